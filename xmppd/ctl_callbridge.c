/*
 * im.xmppd.Callbridge and im.xmppd.Component: who may log in as a component.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/ctl.h"
#include "xmppd/local_edges.h"
#include "xmppd/node.h"

#define NAME_MAX_LEN 63 /* a label of a domain name */
#define SECRET_MAX_LEN 64
#define SECRET_LEN 22  /* 128 bits */
#define DIGEST_SHOWN 8 /* bytes */

/* Letters, digits, "-" and "_"; in lower case, as addresses are. NULL with the
 * call answered. */
static char *
check_name(struct varlink_call *call, const char *typed)
{
	size_t len = strlen(typed);
	bool ok = len >= 1 && len <= NAME_MAX_LEN && typed[0] != '-' &&
	    typed[len - 1] != '-';
	char *name;

	for (const char *p = typed; ok && *p != '\0'; p++)
		ok = isalnum((unsigned char)*p) || *p == '-' || *p == '_';
	if (!ok) {
		varlink_error(call, RES_INVALID,
		    "%s is not a Call Bridge "
		    "name: letters, digits, - and _, without a domain",
		    typed);
		return NULL;
	}
	name = xstrdup(typed);
	str_lower(name);
	return name;
}

static bool
has_domain(const struct node *n, struct varlink_call *call)
{
	if (n->domain != NULL)
		return true;
	varlink_error(call, RES_STATE,
	    "no domain configured: run 'xmpp domain <domain>' first");
	return false;
}

/* ---- add --------------------------------------------------------------- */

static void
reply_added(const struct node *n, struct varlink_call *call, const char *name,
    const char *secret)
{
	char *text;

	xasprintf(&text, "Callbridge %s added", name);
	ctl_log(call, text);
	free(text);
	varlink_reply(call,
	    json_pack("{s:s, s:s, s:s}", "name", name, "domain",
		n->domain != NULL ? n->domain : "", "secret", secret));
}

/* `data` is "name\nsecret". */
static void
add_applied(struct node *n, struct varlink_call *call,
    const struct proposer_result *result, char *data)
{
	char *secret = strchr(data, '\n');

	*secret++ = '\0';
	if (result->code == RES_EXISTS || result->code == RES_DIFFERS)
		varlink_error(
		    call, RES_EXISTS, "Callbridge %s already exists", data);
	else if (result->code != RES_OK)
		ctl_not_applied(call, result->code);
	else
		reply_added(n, call, data, secret);
	crypto_wipe(secret, strlen(secret));
}

CTL_HANDLER(ctl_callbridge_add)
{
	struct node *n = ctx;
	struct buf command = { 0 };
	char secret[SECRET_LEN + 1], *name, *data;
	const char *typed;

	if (!varlink_unpack(call, params, "{s:s}", "name", &typed) ||
	    !has_domain(n, call) || (name = check_name(call, typed)) == NULL)
		return;
	crypto_random_text(secret, SECRET_LEN);
	xasprintf(&data, "%s\n%s", name, secret);
	store_cmd_component_add(&command, name, secret, false);
	ctl_submit(n, call, &command, add_applied, data);
	crypto_wipe(secret, sizeof(secret));
	free(name);
}

/* `data` is the name, "=" before it if the secret was known already. */
static void
secret_applied(struct node *n, struct varlink_call *call,
    const struct proposer_result *result, char *data)
{
	const char *name = data + (data[0] == '=');

	(void)n;
	if (result->code == RES_DIFFERS || result->code == RES_EXISTS)
		varlink_error(call, RES_DIFFERS,
		    "Callbridge %s already exists with another secret: run "
		    "'xmpp callbridge del %s' first if the new one is right",
		    name, name);
	else if (result->code != RES_OK)
		ctl_not_applied(call, result->code);
	else
		ctl_reply_done(call,
		    data[0] == '=' ? "Callbridge %s already known"
				   : "Callbridge %s added",
		    name);
}

static bool
secret_is_fine(const char *secret)
{
	size_t len = strlen(secret);

	for (const char *p = secret; *p != '\0'; p++)
		if (!isprint((unsigned char)*p))
			return false;
	return len >= 1 && len <= SECRET_MAX_LEN;
}

CTL_HANDLER(ctl_callbridge_add_secret)
{
	struct node *n = ctx;
	struct buf command = { 0 };
	const char *typed, *secret;
	char *name, *known, *data;

	if (!varlink_unpack(call, params, "{s:s, s:s}", "name", &typed,
		"secret", &secret) ||
	    !has_domain(n, call) || (name = check_name(call, typed)) == NULL)
		return;
	if (!secret_is_fine(secret)) {
		varlink_error(call, RES_INVALID,
		    "a secret has 1 to %d printable characters",
		    SECRET_MAX_LEN);
		free(name);
		return;
	}
	known = store_component_secret(n->store, name);
	xasprintf(&data, "%s%s", known != NULL ? "=" : "", name);
	crypto_wipe_free(known);
	store_cmd_component_add(&command, name, secret, true);
	ctl_submit(n, call, &command, secret_applied, data);
	free(name);
}

/* ---- del and list ------------------------------------------------------ */

static void
del_applied(struct node *n, struct varlink_call *call,
    const struct proposer_result *result, char *name)
{
	(void)n;
	if (result->code == RES_NOT_FOUND)
		varlink_error(
		    call, RES_NOT_FOUND, "Callbridge %s not found", name);
	else if (result->code != RES_OK)
		ctl_not_applied(call, result->code);
	else
		ctl_reply_done(call, "Callbridge %s removed", name);
}

CTL_HANDLER(ctl_callbridge_del)
{
	struct buf command = { 0 };
	const char *typed;
	char *name;

	if (!varlink_unpack(call, params, "{s:s}", "name", &typed) ||
	    (name = check_name(call, typed)) == NULL)
		return;
	store_cmd_component_del(&command, name);
	ctl_submit(ctx, call, &command, del_applied, name);
}

struct listing {
	struct node *node;
	json_t *list;
	bool secrets;
	const char *name; /* looked for among the connected ones */
	char peer[64];    /* "": not found */
};

static void
find_peer(void *arg, const struct edge_session *s)
{
	struct listing *l = arg;
	size_t len = strlen(l->name);

	if (s->component && strncmp(s->address, l->name, len) == 0 &&
	    s->address[len] == '.')
		snprintf(l->peer, sizeof(l->peer), "%s", s->peer);
}

static void
find_in_edge(struct edge *edge, void *arg)
{
	edge_sessions(edge, find_peer, arg);
}

/* The member that a component is connected to; NULL: none. */
static const char *
find_server(const struct node *n, const char *name)
{
	uint32_t id = 0;
	char *full;

	if (n->domain == NULL || !node_is_member(n))
		return NULL;
	xasprintf(&full, "%s.%s", name, n->domain);
	id = directory_component_node(n->directory, full);
	free(full);
	for (size_t i = 0; i < n->member_count; i++)
		if (id != 0 && n->members[i].raft_id == id)
			return n->members[i].address;
	return NULL;
}

static void
list_one(void *arg, const char *name, const char *secret)
{
	struct listing *l = arg;
	uint8_t digest[32];
	char hex[2 * DIGEST_SHOWN + 1];

	crypto_sha256(secret, strlen(secret), digest);
	crypto_hex(digest, DIGEST_SHOWN, hex);
	l->name = name;
	l->peer[0] = '\0';
	local_edges_each(l->node->edges, find_in_edge, l);
	json_array_append_new(l->list,
	    json_pack("{s:s, s:s?, s:s?, s:s, s:s?, s:s?}", "name", name,
		"domain", l->node->domain, "secret", l->secrets ? secret : NULL,
		"digest", hex, "connected", l->peer[0] != '\0' ? l->peer : NULL,
		"server", find_server(l->node, name)));
}

CTL_HANDLER(ctl_callbridge_list)
{
	struct node *n = ctx;
	struct listing l = { .node = n,
		.list = json_array(),
		.secrets = varlink_call_role(call) >= ROLE_ADMIN };

	(void)params;
	store_components(n->store, list_one, &l);
	varlink_reply(call, json_pack("{s:o}", "callbridges", l.list));
}

/* ---- components -------------------------------------------------------- */

static void
set_plaintext(struct node *n, struct varlink_call *call, bool allowed)
{
	struct error e;

	conf_set_bool(n->conf, SET_PLAINTEXT, allowed);
	if (conf_commit(n->conf, &e) != RES_OK) {
		varlink_error_from(call, &e);
		return;
	}
	local_edges_set_plaintext(n->edges, allowed);
	ctl_reply_done(call,
	    allowed ? "Components on this machine may connect without TLS"
		    : "Components connect with TLS only");
}

CTL_HANDLER(ctl_component_enable_plaintext)
{
	(void)params;
	set_plaintext(ctx, call, true);
}

CTL_HANDLER(ctl_component_disable_plaintext)
{
	(void)params;
	set_plaintext(ctx, call, false);
}
