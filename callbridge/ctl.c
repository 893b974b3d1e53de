/*
 * The control methods of a Call Bridge: what an
 * administrator types reaches the settings here. A setting is checked, written,
 * then used; the answer tells what was done.
 */
#include "callbridge/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callbridge/bridge.h"
#include "callbridge/locator.h"
#include "callbridge/settings.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/pki.h"
#include "common/strutil.h"
#include "common/varlink_server.h"
#include "common/varlink_text.h"
#include "common/xmalloc.h"

/* ---- answers ----------------------------------------------------------- */

static void
ctl_add_check(json_t *checks, bool ok, const char *text)
{
	json_array_append_new(
	    checks, json_pack("{s:b, s:s}", "ok", ok, "text", text));
}

static void
ctl_reply_checks(struct varlink_call *call, json_t *checks)
{
	varlink_reply(call, json_pack("{s:o}", "checks", checks));
}

void
ctl_done(struct varlink_call *call, const char *fmt, ...)
{
	json_t *checks = json_array();
	char *text;
	va_list ap;

	va_start(ap, fmt);
	xvasprintf(&text, fmt, ap);
	va_end(ap);
	log_info("ctl: %s: %s", varlink_call_user(call), text);
	ctl_add_check(checks, true, text);
	ctl_reply_checks(call, checks);
	free(text);
}

/* A parameter that is null is one that isn't there. */
static void
ctl_drop_nulls(json_t *params)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(params, next, key, value)
	{
		if (json_is_null(value))
			json_object_del(params, key);
	}
}

static json_t *
ctl_text(const char *text)
{
	return text == NULL ? json_null() : json_string(text);
}

static json_t *
ctl_time(uint64_t ms, int64_t unix_time)
{
	return ms == 0 ? json_null() : json_integer(unix_time);
}

/* ---- the Call Bridge --------------------------------------------------- */

static void
ctl_bridge_show(struct varlink_call *call, json_t *params, void *ctx)
{
	struct bridge *b = ctx;
	const struct conf *conf = b->conf;

	(void)params;
	varlink_reply(call,
	    json_pack("{s:o, s:o, s:o, s:b, s:o, s:I}", "name",
		ctl_text(conf_text(conf, SETTING_NAME)), "domain",
		ctl_text(conf_text(conf, SETTING_DOMAIN)), "server",
		ctl_text(conf_text(conf, SETTING_SERVER)), "secret_set",
		conf_text(conf, SETTING_SECRET) != NULL, "trust_file",
		ctl_text(conf_text(conf, SETTING_TRUST_FILE)), "uptime",
		(json_int_t)((clock_ms() - b->started) / 1000)));
}

/* "10.1.1.1:5223"; the caller frees. */
static char *
ctl_address(const struct connector_target *t)
{
	bool ipv6 = strchr(t->address, ':') != NULL;
	char *text;

	xasprintf(
	    &text, ipv6 ? "[%s]:%u" : "%s:%u", t->address, (unsigned)t->port);
	return text;
}

static void
ctl_bridge_status(struct varlink_call *call, json_t *params, void *ctx)
{
	struct bridge *b = ctx;
	struct connector_status s;
	char *address = NULL;

	(void)params;
	connector_status(b->connector, &s);
	/* While it waits no server is the one. */
	if (s.state == CONNECTOR_WAITING || s.state == CONNECTOR_LOOKING)
		s.target = NULL;
	if (s.target != NULL)
		address = ctl_address(s.target);
	varlink_reply(call,
	    json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "state",
		connector_state_name(s.state), "name",
		ctl_text(conf_text(b->conf, SETTING_NAME)), "domain",
		ctl_text(conf_text(b->conf, SETTING_DOMAIN)), "server",
		ctl_text(s.target != NULL ? s.target->name : NULL), "address",
		ctl_text(address), "since", ctl_time(s.since, b->since_unix),
		"reason", ctl_text(s.reason[0] != '\0' ? s.reason : NULL),
		"next", ctl_text(s.next[0] != '\0' ? s.next : NULL), "next_at",
		ctl_time(s.next_at, clock_unix_at(s.next_at))));
	free(address);
}

/*
 * Sets a text, or clears it; logs in anew if that changes it. False: the call
 * has been refused.
 */
static bool
ctl_set(struct bridge *b, struct varlink_call *call, enum setting setting,
    const char *value)
{
	bool changed = !str_equal(conf_text(b->conf, setting), value);
	struct error e;

	if (conf_set_text(b->conf, setting, value, &e) != RES_OK ||
	    conf_commit(b->conf, &e) != RES_OK) {
		varlink_error_from(call, &e);
		return false;
	}
	if (changed)
		bridge_configure(b);
	else
		bridge_retry(b);
	return true;
}

static void
ctl_bridge_name(struct varlink_call *call, json_t *params, void *ctx)
{
	const char *typed = NULL;
	char *name = NULL;
	struct error e;

	ctl_drop_nulls(params);
	if (!varlink_unpack(call, params, "{s?s}", "name", &typed))
		return;
	if (typed != NULL && (name = settings_make_name(typed, &e)) == NULL)
		varlink_error_from(call, &e);
	else if (ctl_set(ctx, call, SETTING_NAME, name))
		ctl_done(call,
		    name != NULL ? "Call Bridge name is %s"
				 : "Call Bridge name cleared",
		    name);
	free(name);
}

static void
ctl_bridge_domain(struct varlink_call *call, json_t *params, void *ctx)
{
	const char *typed = NULL;
	char *domain = NULL;
	struct error e;

	ctl_drop_nulls(params);
	if (!varlink_unpack(call, params, "{s?s}", "domain", &typed))
		return;
	if (typed != NULL && (domain = settings_make_domain(typed, &e)) == NULL)
		varlink_error_from(call, &e);
	else if (ctl_set(ctx, call, SETTING_DOMAIN, domain))
		ctl_done(call,
		    domain != NULL ? "Call Bridge domain is %s"
				   : "Call Bridge domain cleared",
		    domain);
	free(domain);
}

static void
ctl_bridge_server(struct varlink_call *call, json_t *params, void *ctx)
{
	char host[RESOLVER_NAME_SIZE];
	const char *server = NULL;
	struct error e;
	uint16_t port;

	ctl_drop_nulls(params);
	if (!varlink_unpack(call, params, "{s?s}", "server", &server))
		return;
	if (server != NULL &&
	    locator_parse_server(server, host, &port, &e) != RES_OK)
		varlink_error_from(call, &e);
	else if (!ctl_set(ctx, call, SETTING_SERVER, server))
		return;
	else if (server != NULL)
		ctl_done(call, "Call Bridge logs in to %s only", server);
	else
		ctl_done(call, "Call Bridge finds servers by DNS SRV");
}

static void
ctl_bridge_secret(struct varlink_call *call, json_t *params, void *ctx)
{
	const char *secret = NULL;

	ctl_drop_nulls(params);
	if (!varlink_unpack(call, params, "{s?s}", "secret", &secret))
		return;
	if (ctl_set(ctx, call, SETTING_SECRET, secret))
		ctl_done(call, "Call Bridge secret %s",
		    secret != NULL ? "set" : "cleared");
}

/* ---- trust ------------------------------------------------------------- */

/* Checks a bundle and stages it; its lines go to the checks. */
static int
ctl_stage_trust(struct bridge *b, json_t *file, json_t *checks, struct error *e)
{
	struct pki_lines lines = { 0 };
	const char *name, *data;
	struct pki_file bundle;
	char *pem = NULL;
	int rc = RES_FAILED;
	size_t len;

	if (json_unpack(
		file, "{s:s, s:s%}", "name", &name, "pem", &data, &len) != 0)
		return error_set(e, RES_INVALID, "a file has name and pem");
	bundle = (struct pki_file){ name, data, len };
	if (pki_check_trust(&bundle, clock_unix(), &lines, &pem) &&
	    (rc = conf_set_text(b->conf, SETTING_TRUST_FILE, name, e)) ==
		RES_OK)
		rc = conf_set_text(b->conf, SETTING_TRUST, pem, e);
	else if (rc == RES_FAILED)
		error_set(e, rc, "%s: no certificates to trust", name);
	for (size_t i = 0; i < lines.count; i++)
		ctl_add_check(checks, lines.line[i].ok, lines.line[i].text);
	pki_lines_clear(&lines);
	free(pem);
	return rc;
}

/* Sets the bundle, or clears it; false: the call has been answered. */
static bool
ctl_set_trust(
    struct bridge *b, struct varlink_call *call, json_t *file, json_t *checks)
{
	struct error e;
	int rc = RES_OK;

	if (file != NULL) {
		rc = ctl_stage_trust(b, file, checks, &e);
	} else {
		conf_clear(b->conf, SETTING_TRUST_FILE);
		conf_clear(b->conf, SETTING_TRUST);
	}
	if (rc == RES_OK && (rc = conf_commit(b->conf, &e)) == RES_OK)
		return true;
	/* Its lines say more than one. */
	if (rc == RES_FAILED && json_array_size(checks) > 0)
		ctl_reply_checks(call, json_incref(checks));
	else
		varlink_error_from(call, &e);
	return false;
}

static void
ctl_bridge_trust(struct varlink_call *call, json_t *params, void *ctx)
{
	json_t *file = NULL, *checks = json_array();
	struct bridge *b = ctx;

	ctl_drop_nulls(params);
	if (varlink_unpack(call, params, "{s?o}", "bundle", &file) &&
	    ctl_set_trust(b, call, file, checks)) {
		bridge_configure(b);
		ctl_add_check(checks, true,
		    file != NULL
			? "XMPP servers are checked with this bundle only"
			: "XMPP servers are checked with the system's and "
			  "this node's XMPP certificates");
		log_info("ctl: %s: trust %s", varlink_call_user(call),
		    file != NULL ? conf_text(b->conf, SETTING_TRUST_FILE)
				 : "none");
		ctl_reply_checks(call, json_incref(checks));
	}
	json_decref(checks);
}

static void
ctl_bridge_restart(struct varlink_call *call, json_t *params, void *ctx)
{
	json_t *file = NULL, *checks = json_array();
	struct bridge *b = ctx;

	ctl_drop_nulls(params);
	if (varlink_unpack(call, params, "{s?o}", "trust", &file) &&
	    (file == NULL || ctl_set_trust(b, call, file, checks))) {
		bridge_configure(b);
		ctl_add_check(checks, true, "Call Bridge logs in anew");
		log_info("ctl: %s: restart", varlink_call_user(call));
		ctl_reply_checks(call, json_incref(checks));
	}
	json_decref(checks);
}

/* ---- the socket -------------------------------------------------------- */

static const struct varlink_method ctl_methods[] = {
	{ "Bridge.Show", ROLE_AUDIT, ctl_bridge_show },
	{ "Bridge.Status", ROLE_AUDIT, ctl_bridge_status },
	{ "Bridge.Restart", ROLE_ADMIN, ctl_bridge_restart },
	{ "Bridge.Name", ROLE_ADMIN, ctl_bridge_name },
	{ "Bridge.Domain", ROLE_ADMIN, ctl_bridge_domain },
	{ "Bridge.Server", ROLE_ADMIN, ctl_bridge_server },
	{ "Bridge.Secret", ROLE_ADMIN, ctl_bridge_secret },
	{ "Bridge.Trust", ROLE_ADMIN, ctl_bridge_trust },
	{ "Dns.Show", ROLE_AUDIT, ctl_dns_show },
	{ "Dns.AddForwardzone", ROLE_ADMIN, ctl_dns_add_zone },
	{ "Dns.DelForwardzone", ROLE_ADMIN, ctl_dns_del_zone },
	{ "Dns.AddRr", ROLE_ADMIN, ctl_dns_add_record },
	{ "Dns.DelRr", ROLE_ADMIN, ctl_dns_del_record },
	{ "Dns.Lookup", ROLE_AUDIT, ctl_dns_lookup },
	{ "Dns.Flush", ROLE_ADMIN, ctl_dns_flush },
	{ NULL, ROLE_NONE, NULL },
};

static const struct varlink_interface ctl_interface = {
	.name = "im.callbridge",
	.text = varlink_text_callbridge,
	.methods = ctl_methods,
};

int
ctl_start(struct bridge *b, struct error *e)
{
	char *path = daemon_path(b->daemon, "callbridge.sock");

	b->ctl =
	    varlink_server_new(b->daemon->base, path, &ctl_interface, b, e);
	free(path);
	return b->ctl != NULL ? RES_OK : e->code;
}
