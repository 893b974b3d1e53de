/*
 * Edges as the router sees them: links, announcements, hold.
 *
 *   link up -> announcement (sessions, reports) -> ready: frames, deliveries
 *   link down: its sessions are held; deliveries to them stay in its outbox
 *   silent for hold and margin: given up, its sessions end
 *
 * Nothing of an announcement counts before it is whole (rule 4 of
 * delivery(7)).
 */
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/result.h"
#include "common/xmalloc.h"
#include "xmppd/router/core.h"

#define EDGES_MAX 64

/* An announced session; its texts are in raw. */
struct shown {
	struct up_session m;
	TAILQ_ENTRY(shown) next;
	char raw[];
};

struct announcement {
	struct up_announce m;
	struct shown **sessions;
	size_t session_count, session_room;
	struct up_report *reports;
	size_t report_count, report_room;
};

/* ---- edges ------------------------------------------------------------- */

static struct edge_state *
edge_find(struct router *r, uint32_t node, uint32_t edge)
{
	const uint32_t key[2] = { node, edge };

	return map_find(&r->edges, key, sizeof(key));
}

struct edge_state *
edge_get(struct router *r, uint32_t node, uint32_t edge)
{
	struct edge_state *e = edge_find(r, node, edge);

	if (e != NULL)
		return e;
	e = xcalloc(1, sizeof(*e));
	e->id.node = node;
	e->id.edge = edge;
	e->heard = r->now;
	TAILQ_INIT(&e->outbox);
	TAILQ_INIT(&e->sessions);
	map_put(&r->edges, &e->id, sizeof(e->id), e);
	TAILQ_INSERT_TAIL(&r->edge_order, e, next);
	return e;
}

static void
announcement_free(struct announcement *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->session_count; i++)
		free(a->sessions[i]);
	free(a->sessions);
	free(a->reports);
	free(a);
}

void
edge_forget(struct router *r, struct edge_state *e)
{
	map_remove(&r->edges, &e->id, sizeof(e->id));
	TAILQ_REMOVE(&r->edge_order, e, next);
	announcement_free(e->announcing);
	free(e);
}

static void
edge_disconnect(struct edge_state *e)
{
	e->up = e->ready = false;
	announcement_free(e->announcing);
	e->announcing = NULL;
}

void
router_link_up(struct router *r, uint32_t node, uint32_t edge, uint64_t now)
{
	struct edge_state *e;

	r->now = now;
	e = edge_get(r, node, edge);
	edge_disconnect(e);
	e->up = true;
	e->heard = now;
}

void
router_link_down(struct router *r, uint32_t node, uint32_t edge, uint64_t now)
{
	struct edge_state *e = edge_find(r, node, edge);

	r->now = now;
	if (e != NULL)
		edge_disconnect(e);
}

/* ---- settled ----------------------------------------------------------- */

static bool
all_are_settled(struct router *r)
{
	const struct edge_state *e;

	TAILQ_FOREACH(e, &r->edge_order, next)
		if (!e->announced && !e->dead)
			return false;
	return mirror_has(r, r->adopted);
}

/* Rule 9: what waited to know what others have accepted can go on. */
static void
wake_unsettled(struct router *r)
{
	struct edge_state *e;
	struct login *s;

	job_wake_all(r, &r->unsettled);
	TAILQ_FOREACH(e, &r->edge_order, next)
		TAILQ_FOREACH(s, &e->sessions, of_edge)
			if (s->user != NULL)
				user_touch(r, s->user);
}

/* Once all have announced or are given up, it stays so for the term. */
void
edges_check_settled(struct router *r)
{
	if (r->settled)
		return;
	for (size_t i = 0; i < r->cfg.voter_count; i++)
		edge_get(r, r->voters[i], 0);
	if (!all_are_settled(r))
		return;
	r->settled = r->grace_over = true;
	if (!r->directory->complete) {
		directory_complete(r->directory, &r->out);
		mirror_event(r);
	}
	origins_settle(r);
	wake_unsettled(r);
}

static void
edge_give_up(struct router *r, struct edge_state *e)
{
	const struct text none = { NULL, 0 };
	struct login *s, *next;

	log_info("router: node %u, edge %u: given up: not heard from for %u ms",
	    e->id.node, e->id.edge, (unsigned)(r->now - e->heard));
	edge_disconnect(e);
	e->dead = true;
	if (e->origin != NULL)
		origin_end(r, e->origin);
	e->origin = NULL;
	for (s = TAILQ_FIRST(&e->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, of_edge);
		login_end(r, s, none);
	}
}

/* Rule 11: hold is counted from the arrival of the newest message, plus a
 * margin; by a new leader from its start. */
void
edges_expire(struct router *r)
{
	const uint64_t limit =
	    (uint64_t)r->cfg.hold_ms + (uint64_t)r->cfg.margin_ms;
	struct edge_state *e;

	TAILQ_FOREACH(e, &r->edge_order, next)
		if (!e->dead && r->now - e->heard >= limit)
			edge_give_up(r, e);
	edges_check_settled(r);
	if (r->grace_over || r->began == 0 ||
	    r->now - r->began < r->cfg.grace_ms)
		return;
	r->grace_over = true;
	wake_unsettled(r);
}

/* ---- announcements ----------------------------------------------------- */

static int
receive_announce(struct edge_state *e, struct cursor *c)
{
	struct announcement *a = xcalloc(1, sizeof(*a));

	announcement_free(e->announcing);
	e->announcing = a;
	e->ready = false;
	if (up_announce_decode(c, &a->m) != RES_OK ||
	    a->m.origin.node != e->id.node || a->m.origin.edge != e->id.edge ||
	    a->m.edges == 0 || a->m.edges > EDGES_MAX)
		return RES_INVALID;
	return RES_OK;
}

static int
receive_session(struct edge_state *e, struct cursor *c)
{
	const size_t len = cursor_left(c);
	struct announcement *a = e->announcing;
	struct shown *s;
	struct cursor copy;

	if (a == NULL)
		return RES_INVALID;
	s = xmalloc(sizeof(*s) + len);
	memcpy(s->raw, c->p, len);
	cursor_init(&copy, s->raw, len);
	if (up_session_decode(&copy, &s->m) != RES_OK) {
		free(s);
		return RES_INVALID;
	}
	if (a->session_count == a->session_room) {
		a->session_room = a->session_room * 2 + 16;
		a->sessions = xrealloc(
		    a->sessions, a->session_room * sizeof(struct shown *));
	}
	a->sessions[a->session_count++] = s;
	return RES_OK;
}

static int
receive_report(struct edge_state *e, struct cursor *c)
{
	struct announcement *a = e->announcing;
	struct up_report m;

	if (a == NULL)
		return RES_INVALID;
	memset(&m, 0, sizeof(m));
	if (up_report_decode(c, &m) != RES_OK)
		return RES_INVALID;
	if (a->report_count == a->report_room) {
		a->report_room = a->report_room * 2 + 16;
		a->reports = xrealloc(a->reports, a->report_room * sizeof(m));
	}
	a->reports[a->report_count++] = m;
	return RES_OK;
}

/* An edge announces in whatever order its tables have. */
static int
shown_compare(const void *a, const void *b)
{
	const struct shown *const *x = a, *const *y = b;

	return ((*x)->m.sid.id > (*y)->m.sid.id) -
	    ((*x)->m.sid.id < (*y)->m.sid.id);
}

static int
report_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct delivery_id));
}

/* The incarnation that the edge announces, and how far it is. */
static int
announced_origin(struct router *r, struct edge_state *e)
{
	const struct up_announce *m = &e->announcing->m;
	struct origin_state *o = origin_get(r, &m->origin);

	if (o->ended)
		return RES_INVALID;
	if (e->origin != NULL && e->origin != o)
		origin_end(r, e->origin);
	e->origin = o;
	o->live = true;
	for (uint32_t i = 0; i < m->edges; i++)
		edge_get(r, e->id.node, i);
	return origin_set_low(o, m->low);
}

static void
announced_sessions(struct router *r, struct edge_state *e)
{
	struct announcement *a = e->announcing;
	struct login *s;

	TAILQ_FOREACH(s, &e->sessions, of_edge)
		s->shown = false;
	if (a->session_count > 0)
		qsort(a->sessions, a->session_count, sizeof(*a->sessions),
		    shown_compare);
	for (size_t i = 0; i < a->session_count; i++)
		login_shown(r, e, &a->sessions[i]->m);
}

/* A delivery that the edge has accepted, in this term or an earlier one. */
static void
announced_report(struct router *r, const struct up_report *m)
{
	struct delivery *d;

	if (m->kept) {
		offline_kept(r, &m->id);
		return;
	}
	d = delivery_find(r, &m->id);
	if (d != NULL)
		delivery_accepted(r, d);
	if (m->id.key.kind == DKEY_ROW)
		offline_reported(r, m->id.key.num);
	else if (m->id.key.kind == DKEY_GONE)
		login_reported_gone(r, &m->id.key);
	else if (m->id.key.kind <= DKEY_TOLD)
		report_add(r, m);
}

static void
announced_reports(struct router *r, struct edge_state *e)
{
	struct announcement *a = e->announcing;

	if (a->report_count > 0)
		qsort(a->reports, a->report_count, sizeof(*a->reports),
		    report_compare);
	for (size_t i = 0; i < a->report_count; i++)
		announced_report(r, &a->reports[i]);
}

/* What the edge need not remember: of sessions that are quite gone. */
static void
announced_forget(struct router *r, struct edge_state *e)
{
	struct announcement *a = e->announcing;

	for (size_t i = 0; i < a->report_count; i++) {
		const struct dkey *key = &a->reports[i].id.key;

		if (key->kind != DKEY_TERM &&
		    (key->kind != DKEY_GONE || login_is_owed(r, key)))
			continue;
		down_forget_encode(&r->out, r->cfg.term, key);
		edge_send(r, e);
	}
}

static void
announced_missing(struct router *r, struct edge_state *e)
{
	const struct text none = { NULL, 0 };
	struct login *s, *next;

	for (s = TAILQ_FIRST(&e->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, of_edge);
		if (!s->shown && !s->moving)
			login_end(r, s, none);
	}
}

/*
 * The announcement is whole. Rule 5 first: what was accepted. Then sessions
 * that aren't there any more end, which adds to outboxes; and only then is the
 * outbox sent, so that all of it goes out in order.
 */
static int
receive_announced(struct router *r, struct edge_state *e)
{
	struct delivery *d;
	struct login *s;

	if (e->announcing == NULL || announced_origin(r, e) != RES_OK)
		return RES_INVALID;
	announced_sessions(r, e);
	announced_reports(r, e);
	announced_missing(r, e);
	e->ready = e->announced = true;
	e->dead = false;
	TAILQ_FOREACH(d, &e->outbox, in_outbox)
		delivery_send(r, d);
	announced_forget(r, e);
	caps_announce(r, e);
	TAILQ_FOREACH(s, &e->sessions, of_edge)
		login_relinked(r, s);
	announcement_free(e->announcing);
	e->announcing = NULL;
	edges_check_settled(r);
	return RES_OK;
}

/* ---- messages ---------------------------------------------------------- */

static int
receive_accepted(struct router *r, struct cursor *c)
{
	struct delivery_id id;
	struct delivery *d;

	if (delivery_id_decode(c, &id) != RES_OK)
		return RES_INVALID;
	d = delivery_find(r, &id);
	if (d != NULL)
		delivery_accepted(r, d);
	return RES_OK;
}

static int
receive_taken(struct router *r, struct cursor *c)
{
	struct delivery_id id;
	struct delivery *d;

	if (delivery_id_decode(c, &id) != RES_OK)
		return RES_INVALID;
	d = delivery_find(r, &id);
	if (d != NULL && d->owner == OWNER_ROW)
		offline_taken(r, d->of.row);
	return RES_OK;
}

static int
receive_refused(struct router *r, const struct edge_state *e, struct cursor *c)
{
	struct delivery_id id;
	struct delivery *d;
	struct login *s;

	if (delivery_id_decode(c, &id) != RES_OK)
		return RES_INVALID;
	s = login_find(r, &id.sid);
	if (s == NULL || s->edge != e)
		return RES_OK;
	login_refused(r, s);
	d = delivery_find(r, &id);
	if (d != NULL && !d->accepted)
		delivery_drop(r, d);
	return RES_OK;
}

/* Rule 13: each keep-alive lists the live incarnations and their marks; also
 * ended ones while frames of them are unfinished. */
static int
receive_ping(struct router *r, struct edge_state *e, struct cursor *c)
{
	const struct origin_state *o;
	struct live_origin *live;
	struct up_ping m;
	uint32_t count = 0;
	int rv;

	if (up_ping_decode(c, &m) != RES_OK ||
	    !origin_equal(&m.origin, &e->origin->id))
		return RES_INVALID;
	rv = origin_set_low(e->origin, m.low);
	live = xmalloc((r->origins.count + 1) * sizeof(*live));
	TAILQ_FOREACH(o, &r->origin_order, next) {
		if (!o->live && o->busy == 0)
			continue;
		live[count].origin = o->id;
		live[count++].low = o->low;
	}
	down_pong_encode(&r->out, r->cfg.term, m.sent, r->settled, live, count);
	edge_send(r, e);
	free(live);
	return rv;
}

static int
answer_scram(struct router *r, const char *name, struct buf *out)
{
	struct scram_keys keys;
	int rv = store_account_keys(r->env.store, name, &keys);

	if (rv == RES_OK)
		scram_keys_encode(out, &keys);
	return rv;
}

static int
answer_component(struct router *r, const char *domain, struct buf *out)
{
	const struct component *k = map_find_str(&r->components, domain);
	char *secret = NULL;

	if (k != NULL)
		secret = store_component_secret(r->env.store, k->name);
	if (secret == NULL)
		return RES_NOT_FOUND;
	buf_add_str(out, secret);
	crypto_wipe_free(secret);
	return RES_OK;
}

/* Questions before a session exists; any time while there is a link. */
static int
receive_query(struct router *r, struct edge_state *e, struct cursor *c)
{
	struct down_answer a = { 0 };
	struct buf data = { 0 };
	struct up_query m;
	char *name;

	if (up_query_decode(c, &m) != RES_OK || m.name.data == NULL)
		return RES_INVALID;
	name = text_dup(m.name);
	a.id = m.id;
	if (m.kind == QUERY_SCRAM)
		a.code = answer_scram(r, name, &data);
	else if (m.kind == QUERY_COMPONENT)
		a.code = answer_component(r, name, &data);
	a.data.data = (const char *)data.data;
	a.data.len = data.len;
	down_answer_encode(&r->out, r->cfg.term, &a);
	edge_send(r, e);
	buf_wipe(&data);
	free(name);
	return RES_OK;
}

static int
receive_unready(
    struct router *r, struct edge_state *e, uint8_t what, struct cursor *c)
{
	switch (what) {
	case UP_ANNOUNCE:
		return receive_announce(e, c);
	case UP_SESSION:
		return receive_session(e, c);
	case UP_REPORT:
		return receive_report(e, c);
	case UP_ANNOUNCED:
		return receive_announced(r, e);
	case UP_QUERY:
		return receive_query(r, e, c);
	default:
		return RES_INVALID;
	}
}

static int
receive(struct router *r, struct edge_state *e, uint8_t what, struct cursor *c)
{
	if (!e->ready)
		return receive_unready(r, e, what, c);
	switch (what) {
	case UP_FRAME:
		return job_receive(r, e, c);
	case UP_ACCEPTED:
		return receive_accepted(r, c);
	case UP_TAKEN:
		return receive_taken(r, c);
	case UP_AWAY:
		return login_away(r, e, c);
	case UP_REFUSED:
		return receive_refused(r, e, c);
	case UP_PING:
		return receive_ping(r, e, c);
	case UP_QUERY:
		return receive_query(r, e, c);
	default:
		return RES_INVALID;
	}
}

int
router_up(struct router *r, uint32_t node, uint32_t edge, const void *msg,
    size_t len, uint64_t now)
{
	struct edge_state *e = edge_find(r, node, edge);
	struct link_head head;
	struct cursor c;
	int rv;

	r->now = now;
	cursor_init(&c, msg, len);
	if (e == NULL || !e->up || link_head_decode(&c, &head) != RES_OK ||
	    head.term != r->cfg.term)
		return RES_INVALID;
	e->heard = now;
	rv = receive(r, e, head.what, &c);
	if (rv != RES_OK)
		edge_disconnect(e);
	router_run(r);
	return rv;
}
