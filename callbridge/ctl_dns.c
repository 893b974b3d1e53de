/*
 * The control methods of the resolver: zones, records, look-ups.
 */
#include "callbridge/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callbridge/bridge.h"
#include "callbridge/settings.h"
#include "common/conf.h"
#include "common/resolver.h"
#include "common/strutil.h"
#include "common/varlink_server.h"
#include "common/xmalloc.h"

void
ctl_dns_show(struct varlink_call *call, json_t *params, void *ctx)
{
	json_t *zones = json_array(), *records = json_array();
	json_t *servers = json_array();
	struct bridge *b = ctx;
	const char *text;
	bool all = false; /* a zone has every name */

	(void)params;
	for (size_t i = 0; i < conf_count(b->conf, SETTING_ZONES); i++) {
		text = conf_entry(b->conf, SETTING_ZONES, i);
		all = all || str_starts(text, ". ");
		json_array_append_new(zones,
		    json_pack("{s:s%, s:s}", "zone", text, strcspn(text, " "),
			"server", strchr(text, ' ') + 1));
	}
	for (size_t i = 0; i < conf_count(b->conf, SETTING_RECORDS); i++)
		json_array_append_new(records,
		    json_string(conf_entry(b->conf, SETTING_RECORDS, i)));
	for (size_t i = 0;
	     !all && (text = resolver_system_server(b->resolver, i)) != NULL;
	     i++)
		json_array_append_new(servers, json_string(text));
	varlink_reply(call,
	    json_pack("{s:o, s:o, s:o}", "zones", zones, "records", records,
		"servers", servers));
}

/*
 * Adds an entry to a list of the settings, or deletes it, and uses it. `entry`
 * is as it is kept. False: the call has been refused.
 */
static bool
ctl_change(struct varlink_call *call, struct bridge *b, enum setting list,
    const char *entry, bool add)
{
	struct error e;
	int rc;

	rc = add ? conf_add_entry(b->conf, list, entry, &e)
		 : conf_del_entry(b->conf, list, entry, &e);
	if (rc == RES_OK)
		rc = conf_commit(b->conf, &e);
	if (rc == RES_EXISTS)
		varlink_error(call, rc, "%s is there already", entry);
	else if (rc == RES_NOT_FOUND)
		varlink_error(call, rc,
		    "there is no %s, 'dns' shows what there is", entry);
	else if (rc != RES_OK)
		varlink_error_from(call, &e);
	if (rc != RES_OK)
		return false;
	settings_apply_dns(b->conf, b->resolver);
	bridge_retry(b);
	return true;
}

static void
ctl_change_zone(
    struct varlink_call *call, json_t *params, struct bridge *b, bool add)
{
	const char *domain, *server;
	struct error e;
	char *zone;

	if (!varlink_unpack(
		call, params, "{s:s, s:s}", "zone", &domain, "server", &server))
		return;
	zone = resolver_make_zone(domain, server, &e);
	if (zone == NULL)
		varlink_error_from(call, &e);
	else if (ctl_change(call, b, SETTING_ZONES, zone, add))
		ctl_done(call, "Forward zone %s %s", zone,
		    add ? "added" : "deleted");
	free(zone);
}

void
ctl_dns_add_zone(struct varlink_call *call, json_t *params, void *ctx)
{
	ctl_change_zone(call, params, ctx, true);
}

void
ctl_dns_del_zone(struct varlink_call *call, json_t *params, void *ctx)
{
	ctl_change_zone(call, params, ctx, false);
}

static void
ctl_change_record(
    struct varlink_call *call, json_t *params, struct bridge *b, bool add)
{
	const char *typed;
	struct error e;
	char *record;

	if (!varlink_unpack(call, params, "{s:s}", "record", &typed))
		return;
	record = resolver_make_record(b->resolver, typed, &e);
	if (record == NULL)
		varlink_error_from(call, &e);
	else if (ctl_change(call, b, SETTING_RECORDS, record, add))
		ctl_done(
		    call, "Record %s %s", record, add ? "added" : "deleted");
	free(record);
}

void
ctl_dns_add_record(struct varlink_call *call, json_t *params, void *ctx)
{
	ctl_change_record(call, params, ctx, true);
}

void
ctl_dns_del_record(struct varlink_call *call, json_t *params, void *ctx)
{
	ctl_change_record(call, params, ctx, false);
}

/* ---- look-ups ---------------------------------------------------------- */

static json_t *
ctl_record(
    const struct resolver_result *r, const struct resolver_answer *answer)
{
	size_t len = strlen(r->name);
	const char *dot = len > 0 && r->name[len - 1] == '.' ? "" : ".";

	if (r->type != RESOLVER_SRV)
		return json_sprintf("%s%s %u IN %s %s", r->name, dot,
		    (unsigned)r->ttl, resolver_type_name(r->type),
		    answer->value);
	return json_sprintf("%s%s %u IN SRV %u %u %u %s%s", r->name, dot,
	    (unsigned)r->ttl, (unsigned)answer->priority,
	    (unsigned)answer->weight, (unsigned)answer->port, answer->value,
	    str_ends(answer->value, ".") ? "" : ".");
}

/* How a look-up that found nothing counts. */
static int
ctl_outcome(enum resolver_outcome outcome)
{
	switch (outcome) {
	case RESOLVER_FOUND:
		return RES_OK;
	case RESOLVER_NO_RECORD:
	case RESOLVER_NO_NAME:
		return RES_NOT_FOUND;
	case RESOLVER_NO_REPLY:
		return RES_TIMEOUT;
	case RESOLVER_NO_SERVER:
		return RES_STATE;
	case RESOLVER_BAD_NAME:
		return RES_INVALID;
	case RESOLVER_FAILED:
		return RES_FAILED;
	}
	return RES_FAILED;
}

static void
ctl_lookup_cb(const struct resolver_result *r, void *arg)
{
	struct varlink_call *call = arg;
	json_t *records;
	char text[512];

	if (r->outcome != RESOLVER_FOUND) {
		resolver_describe(r, text, sizeof(text));
		varlink_error(call, ctl_outcome(r->outcome), "%s%s", text,
		    r->outcome == RESOLVER_NO_SERVER
			? "; 'dns add forwardzone . <address>' sets one"
			: "");
		return;
	}
	records = json_array();
	for (size_t i = 0; i < r->count; i++)
		json_array_append_new(records, ctl_record(r, &r->answers[i]));
	varlink_reply(call,
	    json_pack("{s:o, s:s}", "records", records, "server", r->server));
}

void
ctl_dns_lookup(struct varlink_call *call, json_t *params, void *ctx)
{
	static const enum resolver_type types[] = { RESOLVER_A, RESOLVER_AAAA,
		RESOLVER_SRV };
	const char *type, *name;
	struct bridge *b = ctx;

	if (!varlink_unpack(
		call, params, "{s:s, s:s}", "type", &type, "name", &name))
		return;
	for (size_t i = 0; i < 3; i++)
		if (str_equal_nocase(type, resolver_type_name(types[i]))) {
			resolver_ask(
			    b->resolver, name, types[i], ctl_lookup_cb, call);
			return;
		}
	varlink_error(call, RES_INVALID,
	    "%s can't be looked up, give a, aaaa or srv", type);
}

void
ctl_dns_flush(struct varlink_call *call, json_t *params, void *ctx)
{
	struct bridge *b = ctx;

	(void)params;
	resolver_flush(b->resolver);
	bridge_retry(b);
	ctl_done(call, "DNS cache flushed");
}
