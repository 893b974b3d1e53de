/*
 * im.xmppd.User: accounts of clients. Passwords are kept as SCRAM keys only,
 * derived by the worker.
 */
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/jid.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/ctl.h"
#include "xmppd/domains.h"
#include "xmppd/node.h"
#include "xmppd/worker.h"

#define PASSWORD_MAX 1023

/* A password on its way through the worker. */
struct change {
	struct node *node;
	struct varlink_call *call;
	char *name, *password;
	bool add;
	struct scram_keys keys;
};

/* The address of an account; the caller frees. */
static char *
address_of(const struct node *n, const char *name)
{
	char *address;

	if (strchr(name, '@') != NULL)
		return xstrdup(name);
	xasprintf(&address, "%s@%s", name, n->domain != NULL ? n->domain : "");
	return address;
}

static void
change_applied(struct node *n, struct varlink_call *call,
    const struct proposer_result *result, char *name)
{
	(void)n;
	if (result->code == RES_EXISTS)
		varlink_error(call, RES_EXISTS,
		    "account %s already exists: "
		    "'xmpp user passwd %s' changes its password",
		    name, name);
	else if (result->code == RES_NOT_FOUND)
		varlink_error(
		    call, RES_NOT_FOUND, "account %s not found", name);
	else if (result->code != RES_OK)
		ctl_not_applied(call, result->code);
	else
		ctl_reply_done(call, "Password of account %s changed", name);
}

static void
add_applied(struct node *n, struct varlink_call *call,
    const struct proposer_result *result, char *name)
{
	char *address = address_of(n, name);

	if (result->code == RES_OK)
		ctl_reply_done(call, "Account %s added", address);
	else
		change_applied(n, call, result, name);
	free(address);
}

static void
derive_work(void *arg)
{
	struct change *c = arg;

	scram_derive(c->password, &c->keys);
}

static void
derive_done(void *arg)
{
	struct change *c = arg;
	struct buf command = { 0 };

	if (c->add)
		store_cmd_account_add(&command, c->name, &c->keys);
	else
		store_cmd_account_passwd(&command, c->name, &c->keys);
	ctl_submit(c->node, c->call, &command,
	    c->add ? add_applied : change_applied, c->name);
	crypto_wipe(&c->keys, sizeof(c->keys));
	crypto_wipe_free(c->password);
	free(c);
}

/* The name in the store (store.h) for a bare address; NULL if its domain is not
 * served and there is no such account left from when it was. */
static char *
name_of_address(const struct node *n, const struct jid *jid)
{
	char *domain = jid_domain(jid), *name = NULL;

	if (str_equal(domain, n->domain))
		name = jid_local(jid);
	else if (domains_has(n->domains, domain) ||
	    store_account_exists(n->store, jid->full))
		name = xstrdup(jid->full);
	free(domain);
	return name;
}

/* The name of an account in the store, for what was typed: a local part, or an
 * address. NULL with the call answered. */
char *
ctl_account_name(
    const struct node *n, struct varlink_call *call, const char *typed)
{
	struct jid jid = { 0 };
	char *name = NULL;

	if (strchr(typed, '@') == NULL) {
		name = jid_prep_local(typed);
	} else if (jid_parse(typed, strlen(typed), &jid) == 0 &&
	    jid.local > 0 && !jid_has_resource(&jid)) {
		name = name_of_address(n, &jid);
		if (name == NULL)
			varlink_error(call, RES_NOT_FOUND,
			    "%s: its domain is not served here: 'xmpp "
			    "multi_domain add' adds one",
			    typed);
		jid_clear(&jid);
		return name;
	}
	jid_clear(&jid);
	if (name == NULL)
		varlink_error(call, RES_INVALID,
		    "%s is not an account name: "
		    "the part of the address before the @ is asked for",
		    typed);
	return name;
}

static void
change_begin(
    struct node *n, struct varlink_call *call, json_t *params, bool add)
{
	const char *typed, *password;
	struct change *c;
	char *name, *prepared;

	if (!varlink_unpack(call, params, "{s:s, s:s}", "name", &typed,
		"password", &password))
		return;
	if (n->domain == NULL) {
		varlink_error(call, RES_STATE,
		    "no domain configured: run "
		    "'xmpp domain <domain>' first");
		return;
	}
	if ((name = ctl_account_name(n, call, typed)) == NULL)
		return;
	prepared = jid_prep_password(password, true);
	if (prepared == NULL) {
		varlink_error(call, RES_INVALID,
		    "a password has 1 to %d bytes, without control "
		    "characters and those newer than Unicode 3.2",
		    PASSWORD_MAX);
		free(name);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->node = n;
	c->call = call;
	c->name = name;
	c->password = prepared;
	c->add = add;
	worker_run(n->worker, derive_work, derive_done, c);
}

CTL_HANDLER(ctl_user_add)
{
	change_begin(ctx, call, params, true);
}

CTL_HANDLER(ctl_user_passwd)
{
	change_begin(ctx, call, params, false);
}

static void
del_applied(struct node *n, struct varlink_call *call,
    const struct proposer_result *result, char *name)
{
	if (result->code == RES_OK)
		ctl_reply_done(call, "Account %s removed", name);
	else
		change_applied(n, call, result, name);
}

CTL_HANDLER(ctl_user_del)
{
	struct node *n = ctx;
	struct buf command = { 0 };
	const char *typed;
	char *name;

	if (!varlink_unpack(call, params, "{s:s}", "name", &typed) ||
	    (name = ctl_account_name(n, call, typed)) == NULL)
		return;
	store_cmd_account_del(&command, name);
	ctl_submit(n, call, &command, del_applied, name);
}

struct listing {
	struct node *node;
	json_t *list;
};

static void
list_one(void *arg, const char *name, const char *value)
{
	struct listing *l = arg;
	char *address = address_of(l->node, name);

	(void)value;
	json_array_append_new(
	    l->list, json_pack("{s:s, s:s}", "name", name, "address", address));
	free(address);
}

CTL_HANDLER(ctl_user_list)
{
	struct node *n = ctx;
	struct listing l = { n, json_array() };

	(void)params;
	store_accounts(n->store, list_one, &l);
	varlink_reply(call, json_pack("{s:o}", "users", l.list));
}
