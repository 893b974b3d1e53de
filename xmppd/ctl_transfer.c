/*
 * im.xmppd.Transfer: users out and in, as documents of XEP-0227. The shell has
 * the document; a call has a part of it, so that none takes long.
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
#include "xmppd/user_export.h"
#include "xmppd/user_import.h"
#include "xmppd/worker.h"

/* ---- out --------------------------------------------------------------- */

/* Where the last part ended; the whole of it is the caller's to keep. */
static bool
place_read(json_t *place, struct user_export *x)
{
	const char *domain, *account = NULL;
	json_int_t after, users;

	if (!json_is_object(place))
		return true;
	if (json_unpack(place, "{s:s, s?s, s:i, s:I, s:I}", "domain", &domain,
		"account", &account, "stage", &x->stage, "after", &after,
		"users", &users) != 0)
		return false;
	x->domain = xstrdup(domain);
	x->account = account == NULL ? NULL : xstrdup(account);
	x->after = (uint64_t)after;
	x->users = (uint64_t)users;
	return true;
}

static json_t *
place_write(const struct user_export *x)
{
	return json_pack("{s:s, s:s?, s:i, s:I, s:I}", "domain", x->domain,
	    "account", x->account, "stage", x->stage, "after",
	    (json_int_t)x->after, "users", (json_int_t)x->users);
}

CTL_HANDLER(ctl_transfer_export)
{
	struct node *n = ctx;
	struct user_export x = { 0 };
	struct buf part = { 0 };
	json_t *place = NULL;
	bool more;

	if (!varlink_unpack(call, params, "{s?o}", "place", &place))
		return;
	if (n->domain == NULL) {
		varlink_error(call, RES_STATE,
		    "no domain configured: there are no users");
		return;
	}
	if (!place_read(place, &x)) {
		varlink_error(call, RES_INVALID, "not a place of an export");
		return;
	}
	more = user_export_part(&x, n->store, n->domain, n->domains, &part);
	varlink_reply(call,
	    json_pack("{s:s%, s:o, s:I}", "xml", (const char *)part.data,
		part.len, "place", more ? place_write(&x) : json_null(),
		"users", (json_int_t)x.users));
	buf_wipe(&part);
	user_export_clear(&x);
}

/* ---- in: an account ---------------------------------------------------- */

/* An account on its way: its password goes through the worker. */
struct arriving {
	struct node *node;
	struct varlink_call *call;
	char *name, *password;
	struct scram_keys keys;
};

static void
account_applied(struct node *n, struct varlink_call *call,
    const struct proposer_result *result, char *name)
{
	(void)n;
	if (result->code == RES_EXISTS)
		varlink_error(call, RES_EXISTS,
		    "account %s already exists: it was left as it is", name);
	else if (result->code != RES_OK)
		ctl_not_applied(call, result->code);
	else
		varlink_reply(call, json_pack("{s:s}", "account", name));
}

static void
arriving_work(void *arg)
{
	struct arriving *a = arg;

	scram_derive(a->password, &a->keys);
}

static void
arriving_done(void *arg)
{
	struct arriving *a = arg;
	struct buf command = { 0 };

	store_cmd_account_add(&command, a->name, &a->keys);
	ctl_submit(a->node, a->call, &command, account_applied, a->name);
	crypto_wipe(&a->keys, sizeof(a->keys));
	crypto_wipe_free(a->password);
	free(a);
}

/* The account's name in the store; NULL with the call answered. */
static char *
name_of(struct node *n, struct varlink_call *call, const char *host,
    const char *user)
{
	char *domain = jid_prep_domain(host), *local = jid_prep_local(user);
	char *name = NULL;

	if (domain == NULL || local == NULL)
		varlink_error(
		    call, RES_INVALID, "%s@%s is not an address", user, host);
	else if (str_equal(domain, n->domain))
		name = xstrdup(local);
	else if (domains_has(n->domains, domain))
		xasprintf(&name, "%s@%s", local, domain);
	else
		varlink_error(call, RES_STATE,
		    "%s is not served here: run 'xmpp multi_domain add' for "
		    "it first",
		    domain);
	free(domain);
	free(local);
	return name;
}

CTL_HANDLER(ctl_transfer_user)
{
	struct node *n = ctx;
	const char *host, *user, *password = NULL;
	struct arriving *a;
	char *name;

	if (!varlink_unpack(call, params, "{s:s, s:s, s?s}", "domain", &host,
		"user", &user, "password", &password) ||
	    (name = name_of(n, call, host, user)) == NULL)
		return;
	a = xcalloc(1, sizeof(*a));
	a->node = n;
	a->call = call;
	a->name = name;
	a->keys.version = crypto_random_u64() >> 1;
	a->password =
	    password == NULL ? NULL : jid_prep_password(password, true);
	/* Without one, or with one that can't be kept, the keys follow, or
	 * nobody logs in until 'xmpp user passwd'. */
	if (a->password == NULL)
		arriving_done(a);
	else
		worker_run(n->worker, arriving_work, arriving_done, a);
}

/* ---- in: what it has --------------------------------------------------- */

/* Elements of a user, whose commands are applied one after the other. */
struct taking {
	struct node *node;
	struct varlink_call *call;
	struct buf commands;
	struct cursor at;
	size_t taken;
	json_t *ignored, *wrong;
	int code;
};

static void taking_next(struct taking *t);

static void
taking_end(struct taking *t)
{
	if (t->code == RES_OK)
		varlink_reply(t->call,
		    json_pack("{s:I, s:O, s:O}", "taken", (json_int_t)t->taken,
			"ignored", t->ignored, "wrong", t->wrong));
	else
		ctl_not_applied(t->call, t->code);
	json_decref(t->ignored);
	json_decref(t->wrong);
	buf_wipe(&t->commands);
	free(t);
}

static void
taking_cb(void *arg, const struct proposer_result *result)
{
	struct taking *t = arg;

	/* What is beyond a limit is left out; the account may be deleted. */
	if (result->code == RES_LIMIT)
		json_array_append_new(t->wrong,
		    json_string("more than the limits let a user keep"));
	else if (result->code != RES_OK && result->code != RES_EXISTS)
		t->code = result->code;
	taking_next(t);
}

static void
taking_next(struct taking *t)
{
	const void *command;
	size_t len;

	if (t->code != RES_OK || cursor_left(&t->at) == 0) {
		taking_end(t);
		return;
	}
	len = cursor_u32(&t->at);
	command = cursor_bytes(&t->at, len);
	proposer_submit(t->node->proposer, command, len, taking_cb, t);
}

static void
take_element(struct taking *t, struct user_import *u, const char *text)
{
	struct error e = { 0 };
	char *name, *line;

	switch (user_import_element(
	    u, text, strlen(text), &t->commands, &name, &e)) {
	case RES_OK:
		t->taken++;
		break;
	case RES_NOT_FOUND:
		json_array_append_new(t->ignored, json_string(name));
		break;
	default:
		xasprintf(&line, "%s%s%s", name != NULL ? name : "",
		    name != NULL ? ": " : "", e.text);
		json_array_append_new(t->wrong, json_string(line));
		free(line);
		break;
	}
	free(name);
}

/* The effects of a call have names of their own, and are forgotten with it. */
static void
take_elements(struct taking *t, const char *account, const json_t *elements)
{
	struct node *n = t->node;
	struct user_import u = { .store = n->store, .account = account };
	struct buf command = { 0 };
	const json_t *element;
	char *bare;
	size_t i;

	xasprintf(&bare, "%s%s%s", account,
	    strchr(account, '@') != NULL ? "" : "@",
	    strchr(account, '@') != NULL ? "" : n->domain);
	u.bare = bare;
	u.origin.node = n->instance.raft_id;
	u.origin.edge = UINT32_MAX;
	u.origin.incarnation = crypto_random_u64();
	json_array_foreach(elements, i, element)
		if (json_is_string(element))
			take_element(t, &u, json_string_value(element));
	if (u.num > 0) {
		store_cmd_origin_end(&command, &u.origin);
		buf_add_u32(&t->commands, (uint32_t)command.len);
		buf_add(&t->commands, command.data, command.len);
		buf_clear(&command);
	}
	free(bare);
}

CTL_HANDLER(ctl_transfer_data)
{
	struct node *n = ctx;
	const char *account;
	json_t *elements;
	struct taking *t;

	if (!varlink_unpack(call, params, "{s:s, s:o}", "account", &account,
		"elements", &elements))
		return;
	if (n->domain == NULL || !store_account_exists(n->store, account)) {
		varlink_error(
		    call, RES_NOT_FOUND, "account %s not found", account);
		return;
	}
	t = xcalloc(1, sizeof(*t));
	t->node = n;
	t->call = call;
	t->ignored = json_array();
	t->wrong = json_array();
	take_elements(t, account, elements);
	cursor_init(&t->at, t->commands.data, t->commands.len);
	taking_next(t);
}
