/*
 * The settings of a Call Bridge: their table, and what each has to look like.
 */
#include "callbridge/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callbridge/locator.h"
#include "common/jid.h"
#include "common/pki.h"
#include "common/resolver.h"
#include "common/strutil.h"

#define SECRET_MAX 64 /* characters */

char *
settings_make_name(const char *typed, struct error *e)
{
	char *name;

	if (strchr(typed, '.') != NULL) {
		error_set(e, RES_INVALID,
		    "%s is not a Call Bridge name: give the name without the "
		    "domain",
		    typed);
		return NULL;
	}
	if ((name = jid_prep_domain(typed)) == NULL)
		error_set(e, RES_INVALID,
		    "%s is not a Call Bridge name: use letters, digits and "
		    "hyphens",
		    typed);
	return name;
}

char *
settings_make_domain(const char *typed, struct error *e)
{
	char *domain = jid_prep_domain(typed);

	if (domain == NULL)
		error_set(e, RES_INVALID, "%s is not a domain", typed);
	return domain;
}

/* A value from the file has to be what the command would have made of it. */
static int
settings_check_made(char *made, const char *value, struct error *e)
{
	bool same = str_equal(made, value);

	free(made);
	return same ? RES_OK
		    : error_set(e, RES_INVALID, "%s is malformed", value);
}

static int
settings_check_name(const char *value, struct error *e)
{
	return settings_check_made(settings_make_name(value, NULL), value, e);
}

static int
settings_check_domain(const char *value, struct error *e)
{
	return settings_check_made(settings_make_domain(value, NULL), value, e);
}

static int
settings_check_server(const char *value, struct error *e)
{
	char host[RESOLVER_NAME_SIZE];
	uint16_t port;

	return locator_parse_server(value, host, &port, e);
}

static int
settings_check_secret(const char *value, struct error *e)
{
	size_t count = 0;

	for (const char *p = value; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return error_set(e, RES_INVALID,
			    "a secret has only printable characters");
		/* Bytes that continue a character don't count (RFC 3629). */
		count += ((unsigned char)*p & 0xc0) != 0x80;
	}
	if (count < 1 || count > SECRET_MAX)
		return error_set(e, RES_INVALID,
		    "a secret has 1 to %d characters", SECRET_MAX);
	return RES_OK;
}

static int
settings_check_pem(const char *value, struct error *e)
{
	struct pki_file file = { "the certificates", value, strlen(value) };
	struct pki_certs certs = { 0 };
	int rc = pki_read_certs(&file, &certs, e);

	pki_certs_clear(&certs);
	return rc;
}

static int
settings_check_zone(const char *value, struct error *e)
{
	char domain[RESOLVER_NAME_SIZE];
	const char *blank = strchr(value, ' ');

	if (blank == NULL || blank - value >= (int)sizeof(domain))
		return error_set(e, RES_INVALID, "%s is malformed", value);
	snprintf(domain, sizeof(domain), "%.*s", (int)(blank - value), value);
	return settings_check_made(
	    resolver_make_zone(domain, blank + 1, NULL), value, e);
}

static const struct conf_setting settings_table[SETTINGS] = {
	[SETTING_NAME] = {
	    .name = "name", .check = settings_check_name, },
	[SETTING_DOMAIN] = {
	    .name = "domain", .check = settings_check_domain, },
	[SETTING_SERVER] = {
	    .name = "server", .check = settings_check_server, },
	[SETTING_SECRET] = {
	    .name = "secret", .check = settings_check_secret,
	    .flags = CONF_SECRET, },
	[SETTING_TRUST_FILE] = {
	    .name = "trust_file", .min = 1, .max = 255, },
	[SETTING_TRUST] = {
	    .name = "trust", .check = settings_check_pem, },
	[SETTING_ZONES] = {
	    .name = "forwardzones", .type = CONF_LIST, .max = 100,
	    .check = settings_check_zone, },
	[SETTING_RECORDS] = {
	    .name = "records", .type = CONF_LIST, .max = 1000, },
};

struct conf *
settings_new(const char *path)
{
	return conf_new(settings_table, SETTINGS, path);
}

/* The library has to read them, so this can't be a check of the table. */
static int
settings_check_records(
    const struct conf *conf, struct resolver *resolver, struct error *e)
{
	struct error why;
	char *made;

	for (size_t i = 0; i < conf_count(conf, SETTING_RECORDS); i++) {
		const char *record = conf_entry(conf, SETTING_RECORDS, i);

		made = resolver_make_record(resolver, record, &why);
		if (made == NULL)
			return error_set(e, RES_INVALID,
			    "callbridge.json: \"records\": %s", why.text);
		free(made);
	}
	return RES_OK;
}

int
settings_load(struct conf *conf, struct resolver *resolver, struct error *e)
{
	int rc;

	if ((rc = conf_load(conf, e)) != RES_OK ||
	    (rc = settings_check_records(conf, resolver, e)) != RES_OK)
		return rc;
	settings_apply_dns(conf, resolver);
	return RES_OK;
}

void
settings_apply_dns(const struct conf *conf, struct resolver *resolver)
{
	resolver_clear(resolver);
	for (size_t i = 0; i < conf_count(conf, SETTING_ZONES); i++)
		resolver_add_zone(resolver, conf_entry(conf, SETTING_ZONES, i));
	for (size_t i = 0; i < conf_count(conf, SETTING_RECORDS); i++)
		resolver_add_record(
		    resolver, conf_entry(conf, SETTING_RECORDS, i));
	resolver_flush(resolver);
}
