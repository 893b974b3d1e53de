/*
 * The further domains, and this node's certificates for them.
 */
#include "xmppd/domains.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/tls.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/store.h"

#define PEM_MAX (512 * 1024)

enum {
	DOMAIN_KEY_FILE,
	DOMAIN_CERT_FILE,
	DOMAIN_BUNDLE_FILE,
	DOMAIN_KEY,
	DOMAIN_CERT,
	DOMAIN_BUNDLE,
	DOMAIN_SETTINGS
};

static const struct conf_setting domain_settings[DOMAIN_SETTINGS] = {
	[DOMAIN_KEY_FILE] = { .name = "key_file", .type = CONF_TEXT },
	[DOMAIN_CERT_FILE] = { .name = "certificate_file", .type = CONF_TEXT },
	[DOMAIN_BUNDLE_FILE] = { .name = "bundle_file", .type = CONF_TEXT },
	[DOMAIN_KEY] = { .name = "key",
	    .type = CONF_TEXT,
	    .max = PEM_MAX,
	    .flags = CONF_SECRET },
	[DOMAIN_CERT] = { .name = "certificate",
	    .type = CONF_TEXT,
	    .max = PEM_MAX },
	[DOMAIN_BUNDLE] = { .name = "bundle",
	    .type = CONF_TEXT,
	    .max = PEM_MAX },
};

struct domains {
	char *root;
	char **names;
	struct conf **confs; /* of each name */
	size_t count;
};

struct domains *
domains_new(const char *root)
{
	struct domains *d = xcalloc(1, sizeof(*d));

	d->root = xstrdup(root);
	return d;
}

static void
clear(struct domains *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->names[i]);
		conf_free(d->confs[i]);
	}
	free(d->names);
	free(d->confs);
	d->names = NULL;
	d->confs = NULL;
	d->count = 0;
}

void
domains_free(struct domains *d)
{
	if (d == NULL)
		return;
	clear(d);
	free(d->root);
	free(d);
}

/* ---- files ------------------------------------------------------------- */

/* A prepared domain has no "/". The caller frees. */
static char *
path_of(const struct domains *d, const char *name)
{
	char *path;

	xasprintf(&path, "%s/domain-%s.json", d->root, name);
	return path;
}

static struct conf *
conf_of(const struct domains *d, const char *name)
{
	char *path = path_of(d, name);
	struct conf *c = conf_new(domain_settings, DOMAIN_SETTINGS, path);

	free(path);
	return c;
}

int
domains_keep(struct domains *d, const struct domain *domain, struct error *e)
{
	const char *const values[DOMAIN_SETTINGS] = {
		[DOMAIN_KEY_FILE] = domain->key_file,
		[DOMAIN_CERT_FILE] = domain->cert_file,
		[DOMAIN_BUNDLE_FILE] = domain->bundle_file,
		[DOMAIN_KEY] = domain->key,
		[DOMAIN_CERT] = domain->cert,
		[DOMAIN_BUNDLE] = domain->bundle,
	};
	struct conf *c = conf_of(d, domain->name);
	int rc = RES_OK;

	for (unsigned i = 0; rc == RES_OK && i < DOMAIN_SETTINGS; i++)
		rc = conf_set_text(c, i, values[i], e);
	if (rc == RES_OK)
		rc = conf_commit(c, e);
	conf_free(c);
	return rc;
}

void
domains_forget(struct domains *d, const char *name)
{
	char *path = path_of(d, name);

	unlink(path); /* it may never have been there */
	free(path);
}

/* ---- which there are --------------------------------------------------- */

static void
add_cb(void *arg, const char *name, const char *value)
{
	struct domains *d = arg;
	struct error e;
	size_t at = d->count++;

	(void)value;
	d->names = xrealloc(d->names, d->count * sizeof(*d->names));
	d->confs = xrealloc(d->confs, d->count * sizeof(*d->confs));
	d->names[at] = xstrdup(name + strlen(SHARED_DOMAINS));
	d->confs[at] = conf_of(d, d->names[at]);
	if (conf_load(d->confs[at], &e) != RES_OK)
		log_err("domains: %s", e.text);
}

bool
domains_load(struct domains *d, struct store *store)
{
	struct domains old = *d;
	bool changed;

	d->names = NULL;
	d->confs = NULL;
	d->count = 0;
	store_settings(store, SHARED_DOMAINS, add_cb, d);
	changed = d->count != old.count;
	for (size_t i = 0; !changed && i < d->count; i++)
		changed = strcmp(d->names[i], old.names[i]) != 0;
	clear(&old);
	return changed;
}

size_t
domains_count(const struct domains *d)
{
	return d->count;
}

struct domain
domains_at(const struct domains *d, size_t at)
{
	const struct conf *c = d->confs[at];

	return (struct domain){ .name = d->names[at],
		.key = conf_text(c, DOMAIN_KEY),
		.cert = conf_text(c, DOMAIN_CERT),
		.bundle = conf_text(c, DOMAIN_BUNDLE),
		.key_file = conf_text(c, DOMAIN_KEY_FILE),
		.cert_file = conf_text(c, DOMAIN_CERT_FILE),
		.bundle_file = conf_text(c, DOMAIN_BUNDLE_FILE) };
}

bool
domains_has(const struct domains *d, const char *name)
{
	for (size_t i = 0; i < d->count; i++)
		if (strcmp(d->names[i], name) == 0)
			return true;
	return false;
}

const char *const *
domains_names(const struct domains *d)
{
	return (const char *const *)d->names;
}

void
domains_add_tls(const struct domains *d, struct ssl_ctx_st *ctx)
{
	struct domain domain;
	struct error e;
	char *chain;

	for (size_t i = 0; i < d->count; i++) {
		domain = domains_at(d, i);
		if (domain.key == NULL || domain.cert == NULL)
			continue;
		xasprintf(&chain, "%s%s", domain.cert,
		    domain.bundle != NULL ? domain.bundle : "");
		if (tls_server_add_name(
			ctx, domain.name, domain.key, chain, &e) != RES_OK)
			log_err("domains: %s: %s", domain.name, e.text);
		free(chain);
	}
}
