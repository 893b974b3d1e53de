/*
 * im.xmppd.Domain: further domains on the same server. That there is one is
 * the cluster's; its certificate is each node's own.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/jid.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/ctl.h"
#include "xmppd/domains.h"
#include "xmppd/node.h"

/* The name of the setting; the caller frees. */
static char *
setting_of(const char *domain)
{
	char *name;

	xasprintf(&name, "%s%s", SHARED_DOMAINS, domain);
	return name;
}

/* The prepared domain; NULL with the call answered. */
static char *
check_domain(struct varlink_call *call, const char *typed)
{
	char *domain = jid_prep_domain(typed);

	if (domain == NULL || strchr(domain, '/') != NULL) {
		varlink_error(
		    call, RES_INVALID, "%s is not a domain name", typed);
		free(domain);
		return NULL;
	}
	return domain;
}

/* ---- add --------------------------------------------------------------- */

static void
add_applied(struct node *n, struct varlink_call *call,
    const struct proposer_result *result, char *domain)
{
	if (result->code == RES_OK) {
		ctl_reply_done(call,
		    "Domain %s added; each other server needs its certificate "
		    "by the same command",
		    domain);
		return;
	}
	domains_forget(n->domains, domain);
	ctl_not_applied(call, result->code);
}

/* The certificate is kept before the domain is there, so that it is never
 * served without one here. Takes the domain. */
static void
add_checked(struct node *n, struct varlink_call *call, json_t *checks,
    const struct domain *domain, char *name)
{
	bool known = domains_has(n->domains, name);
	struct buf command = { 0 };
	struct error e;
	char *setting;

	if (domains_keep(n->domains, domain, &e) != RES_OK) {
		ctl_check(checks, false, "%s", e.text);
		ctl_reply_checks(call, checks);
		free(name);
		return;
	}
	if (known) {
		node_reload(n);
		ctl_check(checks, true,
		    "Domain %s is there; this server's certificate for it set",
		    name);
		ctl_reply_checks(call, checks);
		free(name);
		return;
	}
	json_decref(checks);
	setting = setting_of(name);
	store_cmd_setting(&command, setting, "1");
	free(setting);
	ctl_submit(n, call, &command, add_applied, name);
}

static void
add_begin(struct node *n, struct varlink_call *call, json_t *params, char *name)
{
	struct pki_service_files files = {
		.domain = name, .system = true, .now = clock_unix()
	};
	struct pki_service service = { 0 };
	json_t *checks = ctl_checks();
	struct domain domain = { .name = name };

	ctl_file(params, "key", &files.key);
	ctl_file(params, "certificate", &files.cert);
	if (ctl_file(params, "bundle", &files.bundle))
		domain.bundle_file = files.bundle.name;
	domain.key_file = files.key.name;
	domain.cert_file = files.cert.name;
	if (pki_check_service(&files, &service)) {
		ctl_check_lines(checks, &service.lines);
		domain.key = service.key;
		domain.cert = service.cert;
		domain.bundle =
		    service.bundle[0] != '\0' ? service.bundle : NULL;
		add_checked(n, call, checks, &domain, name);
	} else {
		ctl_check_lines(checks, &service.lines);
		ctl_reply_checks(call, checks);
		free(name);
	}
	pki_service_clear(&service);
}

CTL_HANDLER(ctl_domain_add)
{
	struct node *n = ctx;
	struct pki_file file;
	json_t *ignored;
	const char *typed;
	char *name;

	/* The files are read by ctl_file(). */
	if (!varlink_unpack(call, params, "{s:s, s?o, s?o, s?o}", "domain",
		&typed, "key", &ignored, "certificate", &ignored, "bundle",
		&ignored))
		return;
	if (!ctl_file(params, "key", &file) ||
	    !ctl_file(params, "certificate", &file)) {
		varlink_error(
		    call, RES_INVALID, "a domain has a key and a certificate");
		return;
	}
	if ((name = check_domain(call, typed)) == NULL)
		return;
	if (n->domain != NULL && strcmp(n->domain, name) != 0) {
		add_begin(n, call, params, name);
		return;
	}
	varlink_error(call, n->domain == NULL ? RES_STATE : RES_EXISTS,
	    n->domain == NULL
		? "no domain configured: run 'xmpp domain <domain>' first"
		: "%s is the domain that 'xmpp domain' set",
	    name);
	free(name);
}

/* ---- del and list ------------------------------------------------------ */

/* How many accounts a domain has. */
struct counting {
	const char *domain;
	size_t count;
};

static void
count_one(void *arg, const char *name, const char *value)
{
	struct counting *c = arg;
	const char *at = strchr(name, '@');

	(void)value;
	c->count += at != NULL && strcmp(at + 1, c->domain) == 0;
}

static size_t
account_count(struct node *n, const char *domain)
{
	struct counting c = { .domain = domain };

	store_accounts(n->store, count_one, &c);
	return c.count;
}

static void
del_applied(struct node *n, struct varlink_call *call,
    const struct proposer_result *result, char *domain)
{
	size_t count = account_count(n, domain);

	if (result->code != RES_OK) {
		ctl_not_applied(call, result->code);
		return;
	}
	domains_forget(n->domains, domain);
	if (count == 0)
		ctl_reply_done(call, "Domain %s removed", domain);
	else
		ctl_reply_done(call,
		    "Domain %s removed; its %zu account%s kept, 'xmpp user "
		    "list' shows them",
		    domain, count, count == 1 ? " is" : "s are");
}

CTL_HANDLER(ctl_domain_del)
{
	struct node *n = ctx;
	struct buf command = { 0 };
	const char *typed;
	char *name, *setting;

	if (!varlink_unpack(call, params, "{s:s}", "domain", &typed) ||
	    (name = check_domain(call, typed)) == NULL)
		return;
	if (!domains_has(n->domains, name)) {
		varlink_error(call, RES_NOT_FOUND,
		    "domain %s not found: 'xmpp multi_domain list' shows the "
		    "ones that there are",
		    name);
		free(name);
		return;
	}
	setting = setting_of(name);
	store_cmd_setting(&command, setting, NULL);
	free(setting);
	ctl_submit(n, call, &command, del_applied, name);
}

CTL_HANDLER(ctl_domain_list)
{
	struct node *n = ctx;
	json_t *list = json_array();

	(void)params;
	for (size_t i = 0; i < domains_count(n->domains); i++) {
		struct domain d = domains_at(n->domains, i);

		json_array_append_new(list,
		    json_pack("{s:s, s:s?, s:s?, s:s?, s:I}", "domain", d.name,
			"key_file", d.key_file, "certificate_file", d.cert_file,
			"bundle_file", d.bundle_file, "accounts",
			(json_int_t)account_count(n, d.name)));
	}
	varlink_reply(call, json_pack("{s:o}", "domains", list));
}
