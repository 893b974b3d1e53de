/*
 * The control channel.
 *
 *   peers_request -> line up? sent : waits for it -> answer -> done(RES_OK)
 *   line refused -> done(RES_DENIED); lost -> done(RES_UNREACHABLE);
 *   time over -> done(RES_TIMEOUT), or RES_UNREACHABLE if it never left
 *
 * Requests go on the connection that this node has dialled; one to an address
 * has a connection of its own. done() is called from an event of the request's
 * own, never inside a connection's: so it may free the peers. Each second a
 * member is asked whether it's there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/peer_impl.h"

/* Requests of one connection that await an answer. */
#define ASKED_MAX 1024

/* How long who isn't a member may keep a connection without a word. */
#define STRANGER_MS 30000

enum control_frame {
	CONTROL_FRAME_REQUEST = 1, /* id, bytes */
	CONTROL_FRAME_ANSWER,      /* id, bytes */
	CONTROL_FRAME_PING,
	CONTROL_FRAME_PONG
};

struct peer_request {
	TAILQ_ENTRY(peer_request) entry;
	struct peers *peers;
	uint64_t id;
	uint32_t node;          /* 0: to an address */
	uint64_t serial;        /* the line it went out on; 0: not yet */
	struct peer_line *line; /* to an address: its own */
	struct buf message;     /* until it's sent; then the answer */
	struct event *timer;
	bool ended; /* with this code, as soon as the timer is there */
	int code;
	char why[512];
	peers_answer_fn done;
	void *arg;
};

/* A beat of a second that comes so late. */
#define SLEPT_MS 2000

struct peer_asked {
	uint64_t token, serial, id;
};

/* ---- requests of this node ---------------------------------------------- */

static void
send_frame(struct peer_line *l, enum control_frame kind, uint64_t id,
    const void *data, size_t len)
{
	struct buf b = { 0 };

	buf_add_u8(&b, (uint8_t)kind);
	if (kind == CONTROL_FRAME_REQUEST || kind == CONTROL_FRAME_ANSWER)
		buf_add_u64(&b, id);
	buf_add(&b, data, len);
	line_send(l, b.data, b.len);
	buf_wipe(&b);
}

static void
finish(struct peer_request *r)
{
	struct peers *p = r->peers;

	TAILQ_REMOVE(&p->requests, r, entry);
	if (r->line != NULL)
		line_drop(r->line);
	event_free(r->timer);
	r->done(r->arg, r->code, r->why, r->message.data, r->message.len);
	buf_wipe(&r->message);
	free(r);
}

static void
end(struct peer_request *r, int code, const char *why)
{
	r->ended = true;
	r->code = code;
	snprintf(r->why, sizeof(r->why), "%s", why);
	if (code != RES_OK)
		buf_wipe(&r->message);
}

static void
finish_soon(struct peer_request *r, int code, const char *why)
{
	struct timeval now = { 0, 0 };

	end(r, code, why);
	event_add(r->timer, &now);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct peer_request *r = arg;
	const struct peer *peer = peers_find(r->peers, r->node);

	(void)fd, (void)what;
	if (!r->ended && r->serial != 0)
		end(r, RES_TIMEOUT, "no answer");
	else if (!r->ended)
		end(r, RES_UNREACHABLE,
		    peer != NULL && peer->why[0] != '\0' ? peer->why
							 : "not connected");
	finish(r);
}

static void
send_request(struct peer_request *r, struct peer_line *l)
{
	r->serial = l->serial;
	send_frame(
	    l, CONTROL_FRAME_REQUEST, r->id, r->message.data, r->message.len);
	buf_wipe(&r->message);
}

static void
dial_for(struct peer_request *r, const char *address)
{
	struct error e;

	r->line = line_dial(r->peers, 0, address, PEER_CONTROL, &e);
	if (r->line == NULL)
		finish_soon(r, e.code, e.text);
}

void
/* NOLINTNEXTLINE(readability-function-size): a question has so many parts */
peers_request(struct peers *p, uint32_t node, const char *address,
    const void *msg, size_t len, unsigned timeout_ms, peers_answer_fn done,
    void *arg)
{
	struct peer_request *r = xcalloc(1, sizeof(*r));
	struct timeval tv = { timeout_ms / 1000,
		(suseconds_t)(timeout_ms % 1000) * 1000 };
	struct peer_line *l;

	r->peers = p;
	r->id = ++p->serial;
	r->node = node;
	r->done = done;
	r->arg = arg;
	buf_add(&r->message, msg, len);
	r->timer = evtimer_new(p->base, timer_cb, r);
	event_add(r->timer, &tv);
	TAILQ_INSERT_TAIL(&p->requests, r, entry);
	if (node == 0) {
		dial_for(r, address);
		return;
	}
	l = line_find(p, node, PEER_CONTROL, true);
	if (l != NULL && l->state == LINE_UP)
		send_request(r, l);
	else if (peers_find(p, node) == NULL)
		finish_soon(r, RES_UNREACHABLE, "not a member");
}

/* ---- requests of others ------------------------------------------------- */

static unsigned
count_asked(const struct peer_line *l)
{
	const struct peers *p = l->peers;
	unsigned n = 0;

	for (size_t i = 0; i < p->asked_count; i++)
		n += p->asked[i].serial == l->serial;
	return n;
}

static int
take_request(struct peer_line *l, uint64_t id, const uint8_t *msg, size_t len)
{
	struct peers *p = l->peers;
	uint64_t token;

	if (count_asked(l) == ASKED_MAX)
		return RES_INVALID;
	token = ++p->serial;
	p->asked = xrealloc(p->asked, (p->asked_count + 1) * sizeof(*p->asked));
	p->asked[p->asked_count++] =
	    (struct peer_asked){ token, l->serial, id };
	p->cb.request(p->cb.arg, l->node, l->address, token, msg, len);
	return RES_OK;
}

void
peers_answer(struct peers *p, uint64_t token, const void *msg, size_t len)
{
	struct peer_asked asked;
	struct peer_line *l;
	size_t i;

	for (i = 0; i < p->asked_count && p->asked[i].token != token; i++)
		;
	if (i == p->asked_count)
		return; /* who asked has gone */
	asked = p->asked[i];
	p->asked[i] = p->asked[--p->asked_count];
	TAILQ_FOREACH(l, &p->lines, entry)
		if (l->serial == asked.serial) {
			send_frame(l, CONTROL_FRAME_ANSWER, asked.id, msg, len);
			return;
		}
}

static void
take_answer(struct peer_line *l, uint64_t id, const uint8_t *msg, size_t len)
{
	struct peer_request *r;

	TAILQ_FOREACH(r, &l->peers->requests, entry)
		if (r->id == id && r->serial == l->serial && !r->ended) {
			buf_add(&r->message, msg, len);
			finish_soon(r, RES_OK, "");
			return;
		}
}

/* ---- what becomes of lines ---------------------------------------------- */

void
peer_request_up(struct peer_line *l)
{
	struct peer_request *r, *next;

	if (!l->dialled)
		return;
	for (r = TAILQ_FIRST(&l->peers->requests); r != NULL; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (r->serial == 0 && !r->ended &&
		    (r->line == l || (l->node != 0 && r->node == l->node)))
			send_request(r, l);
	}
}

/* A request that was lost with its connection, or can't be made. A member that
 * is merely not connected is dialled again until the request's time is over. */
static bool
is_lost(const struct peer_request *r, const struct peer_line *l, bool refused)
{
	return r->line == l || r->serial == l->serial ||
	    (refused && l->dialled && l->node != 0 && r->node == l->node);
}

void
peer_request_gone(struct peer_line *l, const char *why)
{
	struct peers *p = l->peers;
	bool refused = l->verdict != PEER_WELCOME;
	struct peer_request *r;

	for (size_t i = p->asked_count; i-- > 0;)
		if (p->asked[i].serial == l->serial)
			p->asked[i] = p->asked[--p->asked_count];
	TAILQ_FOREACH(r, &p->requests, entry) {
		if (!r->ended && is_lost(r, l, refused))
			finish_soon(
			    r, refused ? RES_DENIED : RES_UNREACHABLE, why);
		if (r->line == l)
			r->line = NULL;
	}
}

int
peer_request_message(struct peer_line *l, const uint8_t *msg, size_t len)
{
	struct cursor c;
	uint64_t id = 0;
	uint8_t kind;

	cursor_init(&c, msg, len);
	kind = cursor_u8(&c);
	if (kind == CONTROL_FRAME_REQUEST || kind == CONTROL_FRAME_ANSWER)
		id = cursor_u64(&c);
	if (!cursor_ok(&c))
		return RES_INVALID;
	switch (kind) {
	case CONTROL_FRAME_REQUEST:
		return l->dialled ? RES_INVALID
				  : take_request(l, id, c.p, cursor_left(&c));
	case CONTROL_FRAME_ANSWER:
		if (!l->dialled)
			return RES_INVALID;
		take_answer(l, id, c.p, cursor_left(&c));
		return RES_OK;
	case CONTROL_FRAME_PING:
		send_frame(l, CONTROL_FRAME_PONG, 0, NULL, 0);
		return RES_OK;
	case CONTROL_FRAME_PONG:
		return RES_OK;
	default:
		return RES_INVALID;
	}
}

/* ---- keep-alive --------------------------------------------------------- */

/* This process itself may have stood still: then what came meanwhile hasn't
 * been read yet. */
static bool
has_slept(struct peers *p, uint64_t now)
{
	uint64_t before = p->beaten;

	p->beaten = now;
	return before != 0 && now - before > SLEPT_MS;
}

static bool
is_silent(const struct peer_line *l, uint64_t now)
{
	uint64_t limit = l->node == 0 ? STRANGER_MS : PEER_TIMEOUT_MS;

	/* The other side asks each second; this one may have been busy. */
	if (!l->dialled && l->node != 0)
		limit = (uint64_t)PEER_TIMEOUT_MS * 2;
	return now - l->heard > limit;
}

void
peer_request_beat(struct peers *p)
{
	struct peer_line *l, *next;
	uint64_t now = clock_ms();
	bool slept = has_slept(p, now);

	for (l = TAILQ_FIRST(&p->lines); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (slept)
			l->heard = now;
		if (l->channel != PEER_CONTROL || l->state != LINE_UP)
			continue;
		if (is_silent(l, now)) {
			peers_silent(l);
			line_fail(l, "does not answer");
			next = TAILQ_FIRST(&p->lines);
		} else if (l->dialled && l->node != 0) {
			send_frame(l, CONTROL_FRAME_PING, 0, NULL, 0);
		}
	}
}

/* ---- life --------------------------------------------------------------- */

void
peer_request_init(struct peers *p)
{
	TAILQ_INIT(&p->requests);
}

void
peer_request_clear(struct peers *p)
{
	struct peer_request *r;

	while ((r = TAILQ_FIRST(&p->requests)) != NULL) {
		end(r, RES_UNREACHABLE, "this node stops");
		finish(r);
	}
	free(p->asked);
	p->asked = NULL;
	p->asked_count = 0;
}
