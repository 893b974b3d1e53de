/*
 * im.xmppd.Session: who is logged in, wherever in the cluster; and the end of
 * a session.
 *
 *   List -> this node's edges, and CONTROL_SESSIONS to each other member
 *        -> when all have answered, or can't: one list, by address
 *   Kick -> the leader's router: here, or by CONTROL_KICK
 *
 * What nodes answer each other: how many there are (u64), then of the first
 * SESSIONS_MAX an address, a peer, since (u64), idle seconds (u64), and flags
 * (u8): 1 a component, 2 detached.
 */
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/jid.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/control.h"
#include "xmppd/ctl.h"
#include "xmppd/leader.h"
#include "xmppd/local_edges.h"
#include "xmppd/node.h"
#include "xmppd/router/router.h"

/* Of one node; a longer list is for nobody to read. */
#define SESSIONS_MAX 1000
#define ASK_MS 3000

/* ---- one node's -------------------------------------------------------- */

struct gathering {
	const char *of; /* a bare address or a full one; "": all */
	uint64_t count;
	struct buf list;
};

/* Whether an address is, or begins with, what is looked for. */
static bool
is_of(const char *address, const char *of)
{
	size_t len = strlen(of);

	if (len == 0)
		return true;
	return strncmp(address, of, len) == 0 &&
	    (address[len] == '\0' ||
		(address[len] == '/' && strchr(of, '/') == NULL));
}

static void
gather_one(void *arg, const struct edge_session *s)
{
	struct gathering *g = arg;

	if (!is_of(s->address, g->of))
		return;
	if (g->count++ >= SESSIONS_MAX)
		return;
	buf_add_text(&g->list, s->address);
	buf_add_text(&g->list, s->peer);
	buf_add_u64(&g->list, (uint64_t)s->since);
	buf_add_u64(&g->list, s->idle_ms / 1000);
	buf_add_u8(&g->list, (uint8_t)(s->component | s->detached << 1));
}

static void
gather_edge(struct edge *edge, void *arg)
{
	edge_sessions(edge, gather_one, arg);
}

static void
gather_here(struct node *n, const char *of, struct buf *out)
{
	struct gathering g = { .of = of };

	local_edges_each(n->edges, gather_edge, &g);
	buf_add_u64(out, g.count);
	buf_add(out, g.list.data, g.list.len);
	buf_clear(&g.list);
}

void
ctl_sessions_request(
    struct node *n, uint64_t token, const void *msg, size_t len)
{
	struct buf answer = { 0 };
	struct cursor c;
	char *of;

	cursor_init(&c, msg, len);
	cursor_u8(&c);
	of = cursor_dup_text(&c);
	if (cursor_ok(&c))
		gather_here(n, of != NULL ? of : "", &answer);
	peers_answer(n->peers, token, answer.data, answer.len);
	buf_clear(&answer);
	free(of);
}

/* ---- all nodes' -------------------------------------------------------- */

struct asking {
	struct node *node;
	struct varlink_call *call;
	json_t *list, *missing;
	uint64_t left_out;
	unsigned asked;
};

static void
add_sessions(struct asking *a, const char *server, const void *msg, size_t len)
{
	uint64_t count, taken = 0, since, idle;
	char *address, *peer;
	struct cursor c;
	uint8_t flags;

	cursor_init(&c, msg, len);
	count = cursor_u64(&c);
	while (cursor_ok(&c) && cursor_left(&c) > 0) {
		address = cursor_dup_text(&c);
		peer = cursor_dup_text(&c);
		since = cursor_u64(&c);
		idle = cursor_u64(&c);
		flags = cursor_u8(&c);
		if (cursor_ok(&c) && address != NULL && peer != NULL) {
			json_array_append_new(a->list,
			    json_pack("{s:s, s:s, s:s?, s:I, s:I, s:b, s:b}",
				"address", address, "peer", peer, "server",
				server, "since", (json_int_t)since, "idle",
				(json_int_t)idle, "component", flags & 1,
				"detached", flags >> 1 & 1));
			taken++;
		}
		free(address);
		free(peer);
	}
	a->left_out += count > taken ? count - taken : 0;
}

static int
compare_sessions(const void *a, const void *b)
{
	const json_t *const *one = a, *const *other = b;

	return strcmp(json_string_value(json_object_get(*one, "address")),
	    json_string_value(json_object_get(*other, "address")));
}

/* The list in the order of addresses; takes it. */
static json_t *
sorted(json_t *list)
{
	size_t count = json_array_size(list);
	json_t **all = xcalloc(count + 1, sizeof(*all)), *out = json_array();

	for (size_t i = 0; i < count; i++)
		all[i] = json_array_get(list, i);
	qsort(all, count, sizeof(*all), compare_sessions);
	for (size_t i = 0; i < count; i++)
		json_array_append(out, all[i]);
	free(all);
	json_decref(list);
	return out;
}

static void
asking_done(struct asking *a)
{
	if (--a->asked > 0)
		return;
	varlink_reply(a->call,
	    json_pack("{s:o, s:o, s:I}", "sessions", sorted(a->list), "missing",
		a->missing, "left_out", (json_int_t)a->left_out));
	free(a);
}

struct question {
	struct asking *asking;
	char *server;
};

static void
answered_cb(void *arg, int code, const char *why, const void *msg, size_t len)
{
	struct question *q = arg;

	(void)why;
	if (code == RES_OK && len > 0)
		add_sessions(q->asking, q->server, msg, len);
	else
		json_array_append_new(
		    q->asking->missing, json_string(q->server));
	asking_done(q->asking);
	free(q->server);
	free(q);
}

static void
ask_member(struct asking *a, const struct store_member *member,
    const struct buf *request)
{
	struct question *q = xcalloc(1, sizeof(*q));

	q->asking = a;
	q->server = xstrdup(member->address);
	a->asked++;
	peers_request(a->node->peers, member->raft_id, NULL, request->data,
	    request->len, ASK_MS, answered_cb, q);
}

static void
list_begin(struct node *n, struct varlink_call *call, const char *of)
{
	const struct store_member *self = node_self(n);
	struct asking *a = xcalloc(1, sizeof(*a));
	struct buf request = { 0 }, own = { 0 };

	a->node = n;
	a->call = call;
	a->list = json_array();
	a->missing = json_array();
	a->asked = 1;
	gather_here(n, of, &own);
	add_sessions(a, self != NULL ? self->address : NULL, own.data, own.len);
	buf_add_u8(&request, CONTROL_SESSIONS);
	buf_add_text(&request, of);
	for (size_t i = 0; node_is_member(n) && i < n->member_count; i++)
		if (&n->members[i] != self)
			ask_member(a, &n->members[i], &request);
	buf_clear(&own);
	buf_clear(&request);
	asking_done(a);
}

/* What was typed as a prepared address: a local part is one at the domain; a
 * domain is a component's. NULL with the call answered. */
static char *
address_typed(
    const struct node *n, struct varlink_call *call, const char *typed)
{
	bool whole = strpbrk(typed, "@/.") != NULL;
	struct jid jid = { 0 };
	char *full, *address = NULL;

	xasprintf(&full, "%s%s%s", typed, whole ? "" : "@",
	    whole || n->domain == NULL ? "" : n->domain);
	if (jid_parse(full, strlen(full), &jid) == 0)
		address = xstrdup(jid.full);
	else
		varlink_error(call, RES_INVALID, "%s is not an address", typed);
	jid_clear(&jid);
	free(full);
	return address;
}

CTL_HANDLER(ctl_session_list)
{
	struct node *n = ctx;
	const char *typed = NULL;
	char *of;

	if (!varlink_unpack(call, params, "{s?s}", "address", &typed))
		return;
	of = typed == NULL ? xstrdup("") : address_typed(n, call, typed);
	if (of == NULL)
		return;
	list_begin(n, call, of);
	free(of);
}

/* ---- kick -------------------------------------------------------------- */

#define KICK_CONDITION "policy-violation"
#define KICK_TEXT "ended by the administrator"

static size_t
kick_here(struct node *n, const char *address)
{
	struct router *r = leader_router(n->lead);

	return r == NULL
	    ? 0
	    : router_kick(r, address, KICK_CONDITION, KICK_TEXT, clock_ms());
}

/* The answer: how many (u64); empty if this node doesn't lead. */
void
ctl_kick_request(struct node *n, uint64_t token, const void *msg, size_t len)
{
	struct buf answer = { 0 };
	struct cursor c;
	char *address;

	cursor_init(&c, msg, len);
	cursor_u8(&c);
	address = cursor_dup_text(&c);
	if (cursor_ok(&c) && address != NULL && leader_router(n->lead) != NULL)
		buf_add_u64(&answer, kick_here(n, address));
	peers_answer(n->peers, token, answer.data, answer.len);
	buf_clear(&answer);
	free(address);
}

struct kicking {
	struct varlink_call *call;
	char *address;
};

static void
kicked(struct varlink_call *call, const char *address, uint64_t count)
{
	if (count == 0)
		varlink_error(call, RES_NOT_FOUND,
		    "%s is not logged in: 'xmpp sessions' shows who is",
		    address);
	else
		ctl_reply_done(call, "%llu session%s of %s ended",
		    (unsigned long long)count, count == 1 ? "" : "s", address);
}

static void
kick_cb(void *arg, int code, const char *why, const void *msg, size_t len)
{
	struct kicking *k = arg;
	struct cursor c;

	(void)why;
	cursor_init(&c, msg, len);
	if (code == RES_OK && len > 0)
		kicked(k->call, k->address, cursor_u64(&c));
	else
		ctl_not_applied(k->call, RES_NO_LEADER);
	free(k->address);
	free(k);
}

CTL_HANDLER(ctl_session_kick)
{
	struct node *n = ctx;
	struct buf request = { 0 };
	struct kicking *k;
	const char *typed;
	char *address;

	if (!varlink_unpack(call, params, "{s:s}", "address", &typed) ||
	    (address = address_typed(n, call, typed)) == NULL)
		return;
	if (leader_router(n->lead) != NULL) {
		kicked(call, address, kick_here(n, address));
		free(address);
		return;
	}
	if (n->leader_id == 0 || !node_is_member(n)) {
		ctl_not_applied(call, RES_NO_LEADER);
		free(address);
		return;
	}
	k = xcalloc(1, sizeof(*k));
	k->call = call;
	k->address = address;
	buf_add_u8(&request, CONTROL_KICK);
	buf_add_text(&request, address);
	peers_request(n->peers, n->leader_id, NULL, request.data, request.len,
	    ASK_MS, kick_cb, k);
	buf_clear(&request);
}
