/*
 * Raft's connections. A connection comes from peer.c with handshake and hello
 * done:
 *
 *   dialled:  send() --> frames go out --> peer closes, or time-out --> gone,
 *             and the next send() asks for another
 *   accepted: frames come in --> receive() --> peer closes --> gone
 *
 * Failures: a frame that's too long or malformed ends the connection.
 */
#include "xmppd/cluster/raft_wire.h"

#include <sys/queue.h>
#include <sys/socket.h>

#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/conn.h"
#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/raft_codec.h"

#define QUEUE_MAX (64U << 20)
#define DIAL_MS 50

/* When nothing is acknowledged for so long, the connection is given up: after a
 * cut that has healed, a new one is there sooner than TCP's next attempt. */
#define USER_TIMEOUT_MS 2000

struct wire_peer {
	LIST_ENTRY(wire_peer) entry;
	struct raft_wire *wire;
	uint32_t id;
	struct conn *out, *in;
	struct buf part;        /* the beginning of a frame */
	uint64_t asked;         /* dial() */
	_Atomic uint64_t heard; /* 0: never */
};

struct raft_wire {
	struct conn_loop *loop;
	struct raft_wire_hooks hooks;
	pthread_mutex_t lock; /* over the list's links: others only read it */
	LIST_HEAD(wire_peers, wire_peer) peers;
};

/* ---- a connection's events ---------------------------------------------- */

/* Handles the whole frames in data; what is left is how many bytes used. */
static int
take_frames(struct wire_peer *p, const uint8_t *data, size_t len, size_t *used)
{
	struct cursor c;
	uint32_t size;

	*used = 0;
	while (len - *used >= sizeof(size)) {
		cursor_init(&c, data + *used, len - *used);
		size = cursor_u32(&c);
		if (size == 0 || size > RAFT_FRAME_MAX)
			return RES_INVALID;
		if (cursor_left(&c) < size)
			break;
		if (p->wire->hooks.receive(p->wire->hooks.arg, p->id,
			cursor_bytes(&c, size), size) != RES_OK)
			return RES_INVALID;
		*used += sizeof(size) + size;
	}
	return RES_OK;
}

static void
in_read(void *arg, const uint8_t *data, size_t len)
{
	struct wire_peer *p = arg;
	size_t used;
	int rc;

	p->heard = clock_ms();
	if (p->part.len == 0) {
		rc = take_frames(p, data, len, &used);
		buf_add(&p->part, data + used, len - used);
	} else {
		buf_add(&p->part, data, len);
		rc = take_frames(p, p->part.data, p->part.len, &used);
		buf_drop(&p->part, used);
	}
	if (p->part.len == 0)
		buf_clear(&p->part);
	if (rc == RES_OK)
		return;
	log_warn("raft: server %" PRIu32 ": a malformed message", p->id);
	conn_abort(p->in);
	p->in = NULL;
	buf_clear(&p->part);
}

static void
in_closed(void *arg, const char *why)
{
	struct wire_peer *p = arg;

	log_debug("raft: server %" PRIu32 ": connection lost: %s", p->id, why);
	p->in = NULL;
	buf_clear(&p->part);
	p->wire->hooks.lost(p->wire->hooks.arg, p->id);
}

/* The other side has nothing to say on this connection. */
static void
out_read(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
}

static void
out_closed(void *arg, const char *why)
{
	struct wire_peer *p = arg;

	log_debug("raft: server %" PRIu32 ": connection lost: %s", p->id, why);
	p->out = NULL;
}

static void
ready(void *arg)
{
	(void)arg;
}

static const struct conn_ops in_ops = {
	.read = in_read,
	.ready = ready,
	.closed = in_closed,
};

static const struct conn_ops out_ops = {
	.read = out_read,
	.ready = ready,
	.closed = out_closed,
};

/* ---- peers -------------------------------------------------------------- */

static struct wire_peer *
peer_get(struct raft_wire *w, uint32_t id)
{
	struct wire_peer *p;

	LIST_FOREACH(p, &w->peers, entry)
		if (p->id == id)
			return p;
	p = xcalloc(1, sizeof(*p));
	p->wire = w;
	p->id = id;
	pthread_mutex_lock(&w->lock);
	LIST_INSERT_HEAD(&w->peers, p, entry);
	pthread_mutex_unlock(&w->lock);
	return p;
}

void
raft_wire_connection(
    struct raft_wire *w, uint32_t id, bool dialled, int fd, struct ssl_st *ssl)
{
	struct wire_peer *p = peer_get(w, id);
	struct conn **slot = dialled ? &p->out : &p->in;
	unsigned timeout = USER_TIMEOUT_MS;

	if (*slot != NULL)
		conn_abort(*slot);
	if (!dialled)
		buf_clear(&p->part);
	setsockopt(
	    fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
	*slot = conn_accept(w->loop, fd, dialled ? &out_ops : &in_ops, p);
	conn_start_tls(*slot, ssl);
}

void
raft_wire_keep(struct raft_wire *w, uint32_t to)
{
	struct wire_peer *p = peer_get(w, to);
	uint64_t now = clock_ms();

	if (p->out != NULL || (p->asked != 0 && now - p->asked < DIAL_MS))
		return;
	p->asked = now;
	w->hooks.dial(w->hooks.arg, to);
}

bool
raft_wire_send(struct raft_wire *w, uint32_t to, const void *frames, size_t len)
{
	struct wire_peer *p = peer_get(w, to);

	if (p->out == NULL) {
		raft_wire_keep(w, to);
		return false;
	}
	if (conn_pending(p->out) > QUEUE_MAX)
		return false;
	conn_write(p->out, frames, len);
	return true;
}

size_t
raft_wire_peers(struct raft_wire *w, struct raft_peer_state *out, size_t max)
{
	struct wire_peer *p;
	uint64_t now = clock_ms(), heard;
	size_t n = 0;

	pthread_mutex_lock(&w->lock);
	LIST_FOREACH(p, &w->peers, entry) {
		if (n == max)
			break;
		heard = p->heard;
		out[n].id = p->id;
		out[n++].heard_ms = heard == 0 ? UINT64_MAX
		    : heard < now              ? now - heard
					       : 0;
	}
	pthread_mutex_unlock(&w->lock);
	return n;
}

/* ---- life --------------------------------------------------------------- */

struct raft_wire *
raft_wire_new(struct conn_loop *loop, const struct raft_wire_hooks *hooks)
{
	struct raft_wire *w = xcalloc(1, sizeof(*w));

	w->loop = loop;
	w->hooks = *hooks;
	pthread_mutex_init(&w->lock, NULL);
	LIST_INIT(&w->peers);
	return w;
}

void
raft_wire_free(struct raft_wire *w)
{
	struct wire_peer *p;

	if (w == NULL)
		return;
	while ((p = LIST_FIRST(&w->peers)) != NULL) {
		LIST_REMOVE(p, entry);
		if (p->out != NULL)
			conn_abort(p->out);
		if (p->in != NULL)
			conn_abort(p->in);
		buf_clear(&p->part);
		free(p);
	}
	pthread_mutex_destroy(&w->lock);
	free(w);
}
