/*
 * im.xmppd.Xmpp: the server of this node.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/x509.h>

#include "common/clock.h"
#include "common/interfaces.h"
#include "common/jid.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/control.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/ctl.h"
#include "xmppd/export.h"
#include "xmppd/local_edges.h"
#include "xmppd/membership.h"
#include "xmppd/domains.h"
#include "xmppd/node.h"

#define ALARM_DAYS 30
#define DAY (24 * 60 * 60)

/* ---- show -------------------------------------------------------------- */

static void
alarm_expiry(json_t *alarms, const char *what, const char *pem)
{
	struct pki_file file = { what, pem, pem == NULL ? 0 : strlen(pem) };
	struct pki_certs certs = { 0 };
	int64_t now = clock_unix(), end;
	char day[32], *text;

	if (pem == NULL || pki_read_certs(&file, &certs, NULL) != RES_OK)
		return;
	for (size_t i = 0; i < certs.count; i++) {
		end = pki_not_after(certs.cert[i]);
		if (end - now > (int64_t)ALARM_DAYS * DAY)
			continue;
		pki_day(end, day);
		char *subject = pki_subject(certs.cert[i]);

		xasprintf(&text, "%s: %s %s on %s", what, subject,
		    end < now ? "expired" : "expires", day);
		json_array_append_new(alarms, json_string(text));
		free(subject);
		free(text);
	}
	pki_certs_clear(&certs);
}

/* Those of the further domains. */
static void
alarm_domains(json_t *alarms, const struct domains *domains)
{
	struct domain d;
	char *text;

	for (size_t i = 0; i < domains_count(domains); i++) {
		d = domains_at(domains, i);
		if (d.cert == NULL)
			xasprintf(&text,
			    "domain %s: no certificate on this server: run "
			    "'xmpp multi_domain add' for it here",
			    d.name);
		else
			xasprintf(&text, "certificate of %s", d.name);
		if (d.cert == NULL)
			json_array_append_new(alarms, json_string(text));
		else
			alarm_expiry(alarms, text, d.cert);
		free(text);
	}
}

/* The caller frees. */
static char *
status_line(const struct node *n)
{
	char *text;

	if (!conf_bool(n->conf, SET_ENABLED))
		return xstrdup("XMPP server not running");
	if (n->trouble != NULL) {
		xasprintf(&text, "XMPP server not running: %s", n->trouble);
		return text;
	}
	if (!node_wants_service(n))
		return xstrdup(
		    conf_bool(n->conf, SET_CLUSTERED) && !node_is_member(n)
			? "XMPP server not running, in no cluster yet"
			: "XMPP server not running, configuration not "
			  "complete");
	if (!local_edges_are_serving(n->edges))
		return xstrdup("XMPP server running, waiting for a leader");
	return xstrdup("XMPP server running");
}

static json_t *
listed(const struct node *n, enum setting setting)
{
	json_t *list = json_array();

	for (size_t i = 0; i < conf_count(n->conf, setting); i++)
		json_array_append_new(
		    list, json_string(conf_entry(n->conf, setting, i)));
	return list;
}

CTL_HANDLER(ctl_xmpp_show)
{
	struct node *n = ctx;
	json_t *alarms = json_array();
	char *status = status_line(n);

	(void)params;
	alarm_expiry(alarms, "certificate", conf_text(n->conf, SET_CERT));
	alarm_expiry(alarms, "bundle", conf_text(n->conf, SET_BUNDLE));
	alarm_expiry(alarms, "trust", conf_text(n->conf, SET_TRUST));
	alarm_domains(alarms, n->domains);
	varlink_reply(call,
	    json_pack("{s:b, s:b, s:s?, s:o, s:o, s:s?, s:s?, s:s?, s:s?, s:I, "
		      "s:b, s:s, s:o, s:I}",
		"enabled", conf_bool(n->conf, SET_ENABLED), "clustered",
		conf_bool(n->conf, SET_CLUSTERED), "domain", n->domain,
		"listen", listed(n, SET_LISTEN), "websocket",
		listed(n, SET_WEBSOCKET), "key_file",
		conf_text(n->conf, SET_KEY_FILE), "certificate_file",
		conf_text(n->conf, SET_CERT_FILE), "bundle_file",
		conf_text(n->conf, SET_BUNDLE_FILE), "trust_file",
		conf_text(n->conf, SET_TRUST_FILE), "max_sessions",
		(json_int_t)n->limits.of[LIMIT_SESSIONS],
		"plaintext_components", conf_bool(n->conf, SET_PLAINTEXT),
		"status", status, "alarms", alarms, "uptime",
		(json_int_t)(clock_unix() - n->started)));
	free(status);
}

/* ---- enable and disable ------------------------------------------------ */

/* The certificate as it is configured, checked against the domain. */
static bool
check_certificate(struct node *n, json_t *checks)
{
	const char *key = conf_text(n->conf, SET_KEY);
	const char *cert = conf_text(n->conf, SET_CERT);
	const char *bundle = conf_text(n->conf, SET_BUNDLE);
	struct pki_service_files files = {
		.domain = n->domain, .system = true, .now = clock_unix()
	};
	struct pki_service service = { 0 };
	bool ok;

	if (key == NULL || cert == NULL) {
		ctl_check(checks, false,
		    "no certificate configured: run 'xmpp "
		    "certs <key> <certificate> [<bundle>]'");
		return false;
	}
	files.key = (struct pki_file){ conf_text(n->conf, SET_KEY_FILE), key,
		strlen(key) };
	files.cert = (struct pki_file){ conf_text(n->conf, SET_CERT_FILE), cert,
		strlen(cert) };
	if (bundle != NULL && bundle[0] != '\0')
		files.bundle =
		    (struct pki_file){ conf_text(n->conf, SET_BUNDLE_FILE),
			    bundle, strlen(bundle) };
	if (files.bundle.data != NULL && files.bundle.name == NULL)
		files.bundle.name = "bundle";
	ok = pki_check_service(&files, &service);
	ctl_check_lines(checks, &service.lines);
	pki_service_clear(&service);
	return ok;
}

static bool
check_enable(struct node *n, json_t *checks)
{
	bool ok = true;

	if (n->domain != NULL)
		ctl_check(checks, true, "Domain configured");
	else
		ctl_check(checks, ok = false,
		    "no domain configured: run 'xmpp domain <domain>'");
	if (conf_count(n->conf, SET_LISTEN) > 0)
		ctl_check(checks, true, "Listen interface configured");
	else
		ctl_check(checks, ok = false,
		    "no listen interface configured: "
		    "run 'xmpp listen <interface>'");
	if (!check_certificate(n, checks))
		ok = false;
	if (!ok)
		ctl_check(checks, false, "XMPP configuration not complete");
	return ok;
}

/* Applies an enabled server; on a port in use everything is as it was. */
static int
enable(struct node *n, struct error *e)
{
	struct error ignored = { 0 };
	bool was = conf_bool(n->conf, SET_ENABLED);
	int rc;

	conf_set_bool(n->conf, SET_ENABLED, true);
	rc = conf_commit(n->conf, e);
	if (rc != RES_OK)
		return rc;
	rc = node_apply(n, e);
	if (rc == RES_OK || was)
		return rc;
	conf_set_bool(n->conf, SET_ENABLED, false);
	if (conf_commit(n->conf, &ignored) == RES_OK)
		node_apply(n, &ignored);
	return rc;
}

CTL_HANDLER(ctl_xmpp_enable)
{
	struct node *n = ctx;
	json_t *checks = ctl_checks();
	struct error e;

	(void)params;
	if (!check_enable(n, checks)) {
		ctl_reply_checks(call, checks);
		return;
	}
	if (enable(n, &e) != RES_OK)
		ctl_check(checks, false, "%s", e.text);
	else if (conf_bool(n->conf, SET_CLUSTERED) && !node_is_member(n))
		ctl_check(checks, true,
		    "XMPP server enabled; it serves nobody before it is in a "
		    "cluster: run 'xmpp cluster join <member>', or 'xmpp "
		    "cluster initialize' on the first server");
	else
		ctl_check(checks, true, "XMPP server enabled");
	ctl_reply_checks(call, checks);
}

CTL_HANDLER(ctl_xmpp_disable)
{
	struct node *n = ctx;
	struct error e;

	(void)params;
	conf_set_bool(n->conf, SET_ENABLED, false);
	if (conf_commit(n->conf, &e) != RES_OK) {
		varlink_error_from(call, &e);
		return;
	}
	if (node_apply(n, &e) != RES_OK)
		log_warn("xmpp disable: %s", e.text);
	ctl_reply_done(call, "XMPP server disabled");
}

/* ---- domain and listen ------------------------------------------------- */

static void
domain_applied(struct node *n, struct varlink_call *call,
    const struct proposer_result *result, char *domain)
{
	(void)n;
	if (result->code != RES_OK)
		ctl_not_applied(call, result->code);
	else if (domain == NULL)
		ctl_reply_done(call, "Domain cleared");
	else
		ctl_reply_done(call, "Domain set to %s", domain);
}

CTL_HANDLER(ctl_xmpp_domain)
{
	struct node *n = ctx;
	struct buf command = { 0 };
	const char *typed = NULL;
	char *domain = NULL;

	if (!varlink_unpack(call, params, "{s?s}", "domain", &typed))
		return;
	if (typed != NULL && (domain = jid_prep_domain(typed)) == NULL) {
		varlink_error(
		    call, RES_INVALID, "%s is not a domain name", typed);
		return;
	}
	if (domain != NULL && domains_has(n->domains, domain)) {
		varlink_error(call, RES_EXISTS,
		    "%s is served as a further domain: run 'xmpp "
		    "multi_domain del %s' first",
		    domain, domain);
		free(domain);
		return;
	}
	if (str_equal(domain, n->domain)) {
		if (domain == NULL)
			ctl_reply_done(call, "Domain cleared");
		else
			ctl_reply_done(call, "Domain set to %s", domain);
		free(domain);
		return;
	}
	if (n->member_count > 1)
		varlink_error(call, RES_STATE,
		    "the cluster serves the domain %s: all its servers have "
		    "the same",
		    n->domain != NULL ? n->domain : "none");
	else if (conf_bool(n->conf, SET_ENABLED))
		varlink_error(call, RES_STATE,
		    "XMPP server is enabled, run "
		    "'xmpp disable' first");
	else {
		store_cmd_setting(&command, SHARED_DOMAIN, domain);
		ctl_submit(n, call, &command, domain_applied, domain);
		return;
	}
	free(domain);
}

/* The two settings that say where to listen. */
struct listening {
	enum setting setting;
	int (*parse)(
	    const char *text, struct listen_spec *spec, struct error *e);
};

static const struct listening streams = { SET_LISTEN, listen_spec_parse };
static const struct listening websockets = { SET_WEBSOCKET,
	websocket_spec_parse };

static int
check_listen(struct node *n, const struct listening *where, const char *text,
    struct error *e)
{
	struct interfaces *ifs;
	struct sockaddr_storage *sa = NULL;
	struct listen_spec spec;
	size_t count;
	int rc = where->parse(text, &spec, e);

	if (rc != RES_OK)
		return rc;
	ifs = interfaces_load(n->daemon->root, e);
	if (ifs == NULL)
		return RES_INVALID;
	rc = interfaces_addresses(ifs, spec.name, &sa, &count, e);
	interfaces_free(ifs);
	free(sa);
	return rc;
}

/* Keeps the list and applies it. */
static int
keep_listen(struct node *n, enum setting setting, json_t *list, struct error *e)
{
	json_t *entry;
	size_t i;
	int rc = RES_OK;

	conf_clear(n->conf, setting);
	json_array_foreach(list, i, entry) {
		if (rc == RES_OK)
			rc = conf_add_entry(
			    n->conf, setting, json_string_value(entry), e);
	}
	if (rc == RES_OK)
		rc = conf_commit(n->conf, e);
	if (rc == RES_OK)
		rc = node_apply(n, e);
	if (rc != RES_OK)
		conf_abort(n->conf);
	return rc;
}

/* Puts the list in force; if a port can't be had, back to the old one. */
static int
set_listen(struct node *n, enum setting setting, json_t *list, struct error *e)
{
	json_t *old = listed(n, setting);
	struct error ignored = { 0 };
	int rc = keep_listen(n, setting, list, e);

	if (rc != RES_OK)
		keep_listen(n, setting, old, &ignored);
	json_decref(old);
	return rc;
}

static int
add_listen(struct node *n, const struct listening *where, json_t *list,
    const char *typed, struct error *e)
{
	int rc = typed == NULL ? error_set(e, RES_INVALID, "not an interface")
			       : check_listen(n, where, typed, e);
	char *text = xstrdup(typed != NULL ? typed : "");
	json_t *before;
	size_t i;

	str_lower(text);
	json_array_foreach(list, i, before) {
		if (rc == RES_OK && str_equal(json_string_value(before), text))
			rc = error_set(e, RES_INVALID,
			    "interface %s is given twice", text);
	}
	json_array_append_new(list, json_string(text));
	free(text);
	return rc;
}

static void
listen_on(struct node *n, struct varlink_call *call, json_t *params,
    const struct listening *where)
{
	json_t *typed = json_object_get(params, "interface"), *entry;
	json_t *list = json_array();
	struct error e;
	int rc = RES_OK;
	size_t i;

	json_array_foreach(typed, i, entry) {
		if (rc == RES_OK)
			rc = add_listen(
			    n, where, list, json_string_value(entry), &e);
	}
	if (where == &streams && json_array_size(list) == 0 &&
	    conf_bool(n->conf, SET_ENABLED))
		rc = error_set(&e, RES_STATE,
		    "XMPP server is enabled, run 'xmpp disable' first");
	if (rc == RES_OK)
		rc = set_listen(n, where->setting, list, &e);
	if (rc != RES_OK)
		varlink_error_from(call, &e);
	else if (json_array_size(list) == 0)
		ctl_reply_done(call, "Listening nowhere");
	else
		ctl_reply_done(call, "Listen interfaces set");
	json_decref(list);
}

CTL_HANDLER(ctl_xmpp_listen)
{
	listen_on(ctx, call, params, &streams);
}

CTL_HANDLER(ctl_websocket_listen)
{
	listen_on(ctx, call, params, &websockets);
}

/* Ends all sessions and opens anew, with the files as they are now. */
CTL_HANDLER(ctl_xmpp_restart)
{
	struct node *n = ctx;
	struct pki_file key, cert, trust;
	json_t *checks;
	struct error e;
	char *pem = NULL;
	struct pki_lines lines = { 0 };

	if (!conf_bool(n->conf, SET_ENABLED)) {
		varlink_error(call, RES_STATE,
		    "XMPP server is not enabled, "
		    "run 'xmpp enable'");
		return;
	}
	checks = ctl_checks();
	if (ctl_file(params, "trust", &trust)) {
		if (!pki_check_trust(&trust, clock_unix(), &lines, &pem) ||
		    conf_set_text(n->conf, SET_TRUST, pem, &e) != RES_OK ||
		    conf_commit(n->conf, &e) != RES_OK) {
			ctl_check_lines(checks, &lines);
			ctl_reply_checks(call, checks);
			pki_lines_clear(&lines);
			free(pem);
			return;
		}
		ctl_check_lines(checks, &lines);
	}
	pki_lines_clear(&lines);
	free(pem);
	local_edges_close(n->edges, "system-shutdown");
	if (ctl_file(params, "key", &key) &&
	    ctl_file(params, "certificate", &cert)) {
		ctl_certs_set(n, call, params, checks, true);
		node_apply(n, &e);
		return;
	}
	if (node_apply(n, &e) != RES_OK)
		ctl_check(checks, false, "%s", e.text);
	else
		ctl_check(checks, true, "XMPP server restarted");
	ctl_reply_checks(call, checks);
}

CTL_HANDLER(ctl_xmpp_trust)
{
	struct node *n = ctx;
	const char *bundle = conf_text(n->conf, SET_BUNDLE);
	const char *trust = conf_text(n->conf, SET_TRUST);
	char *pem = NULL;

	(void)params;
	if (bundle != NULL || trust != NULL)
		xasprintf(&pem, "%s%s", bundle != NULL ? bundle : "",
		    trust != NULL ? trust : "");
	varlink_reply(call, json_pack("{s:s?}", "pem", pem));
	free(pem);
}

/* ---- reset ------------------------------------------------------------- */

static bool
would_lose(const struct node *n)
{
	return n->member_count <= 1 &&
	    (store_account_count(n->store) > 0 ||
		store_row_count(n->store) > 0);
}

struct export_call {
	struct node *node;
	struct varlink_call *call;
};

static void
exported(void *arg, bool whole)
{
	struct export_call *x = arg;
	const struct node *n = x->node;
	char *name, stamp[32];

	if (!whole) {
		varlink_error(x->call, RES_IO, "the export was cut off");
		free(x);
		return;
	}
	clock_stamp(clock_unix(), stamp);
	xasprintf(&name, "reset-%.10s-%.2s%.2s%.2s.jsonl", stamp, stamp + 11,
	    stamp + 14, stamp + 17);
	varlink_reply(x->call,
	    json_pack("{s:n, s:s, s:I, s:I}", "lines", "name", name, "accounts",
		(json_int_t)store_account_count(n->store), "messages",
		(json_int_t)store_row_count(n->store)));
	free(name);
	free(x);
}

CTL_HANDLER(ctl_xmpp_export)
{
	struct node *n = ctx;
	struct export_call *x;

	(void)params;
	if (!would_lose(n)) {
		varlink_reply(call,
		    json_pack("{s:n, s:n, s:n, s:n}", "lines", "name",
			"accounts", "messages"));
		return;
	}
	x = xcalloc(1, sizeof(*x));
	x->node = n;
	x->call = call;
	export_begin(n->store, n->domain, call, exported, x);
}

static void
reset_done(void *arg, int code, const char *text)
{
	struct varlink_call *call = arg;

	if (code == RES_OK)
		ctl_reply_done(call, "%s", text);
	else
		varlink_error(call, code, "%s", text);
}

CTL_HANDLER(ctl_xmpp_reset)
{
	struct node *n = ctx;
	const char *saved = NULL;

	if (!varlink_unpack(call, params, "{s?s}", "saved", &saved))
		return;
	if (saved == NULL && would_lose(n)) {
		varlink_error(call, RES_STATE,
		    "accounts and messages that no "
		    "other server has would be lost: keep what Export gives, "
		    "and say under which name");
		return;
	}
	membership_reset(n->membership, reset_done, call);
}
