/*
 * libraft's struct raft_io: completions, sending, snapshots that wait, life.
 * The traps named here and in raft_disk.c and raft_recv.c are those of the
 * library's version 0.15.0.
 */
#include "xmppd/cluster/raft_io.h"

#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/cluster/raft_io_impl.h"

struct raft_backend *
raft_io_backend(struct raft_io *io)
{
	return io->impl;
}

struct completion *
raft_io_complete(struct raft_backend *b, enum completion_kind kind, void *req,
    raft_io_cb cb, int status)
{
	struct completion *c = xcalloc(1, sizeof(*c));

	*c = (struct completion){
		.kind = kind, .req = req, .cb = cb, .status = status
	};
	STAILQ_INSERT_TAIL(&b->done, c, entry);
	return c;
}

/* ---- the one work ------------------------------------------------------- */

/* The one work there is: a snapshot that waits for the state's sync. */
static int
io_async_work(struct raft_io *io, struct raft_io_async_work *req,
    raft_io_async_work_cb cb)
{
	struct raft_backend *b = raft_io_backend(io);
	struct raft *r = io->data;

	if (b->work.req != NULL)
		return RAFT_BUSY;
	b->work.req = req;
	b->work.cb = cb;
	b->work.index = raft_codec_index(
	    r->snapshot.pending.bufs[0].base, r->snapshot.pending.bufs[0].len);
	return 0;
}

static void
work_poll(struct raft_backend *b)
{
	struct raft_io_async_work *req = b->work.req;

	if (req == NULL || b->hooks.synced(b->hooks.arg) < b->work.index)
		return;
	b->work.req = NULL;
	raft_io_complete(
	    b, DONE_WORK, req, (raft_io_cb)b->work.cb, req->work(req));
}

/* ---- time and chance ---------------------------------------------------- */

static raft_time
io_time(struct raft_io *io)
{
	struct raft_backend *b = raft_io_backend(io);

	return b->hooks.now(b->hooks.arg);
}

static int
io_random(struct raft_io *io, int min, int max)
{
	struct raft_backend *b = raft_io_backend(io);

	return b->hooks.random(b->hooks.arg, min, max);
}

/* ---- sending ------------------------------------------------------------ */

static struct waiting *
waiting_find(const struct raft_backend *b, uint32_t to)
{
	struct waiting *w;

	TAILQ_FOREACH(w, &b->waiting, entry)
		if (w->to == to)
			return w;
	return NULL;
}

static void
waiting_drop(struct raft_backend *b, struct waiting *w, int status)
{
	raft_io_complete(b, DONE_SEND, w->req, (raft_io_cb)w->cb, status);
	TAILQ_REMOVE(&b->waiting, w, entry);
	buf_clear(&w->frame);
	free(w);
}

/*
 * A marker is worth nothing to a server that hasn't the state it stands for:
 * it's kept until that has been copied. libraft sends heartbeats meanwhile.
 */
static void
send_snapshot(struct raft_backend *b, struct raft_io_send *req,
    const struct raft_message *m, const struct buf *frame, raft_io_send_cb cb)
{
	uint32_t to = (uint32_t)m->server_id;
	struct waiting *w = waiting_find(b, to);

	/* libraft lost patience with the one before; 0 has no effect. */
	if (w != NULL)
		waiting_drop(b, w, 0);
	w = xcalloc(1, sizeof(*w));
	w->to = to;
	w->index = raft_codec_index(
	    m->install_snapshot.data.base, m->install_snapshot.data.len);
	w->req = req;
	w->cb = cb;
	buf_add(&w->frame, frame->data, frame->len);
	TAILQ_INSERT_TAIL(&b->waiting, w, entry);
	if (b->hooks.has_state(b->hooks.arg, to, w->index))
		raft_io_snapshot(b, to);
}

static void
stamp_fill(struct raft_backend *b, const struct raft_message *m,
    struct raft_stamp *stamp)
{
	stamp->sent = b->hooks.now(b->hooks.arg);
	stamp->willing = b->hooks.willing(b->hooks.arg);
	stamp->synced = b->hooks.synced(b->hooks.arg);
	if (m->type == RAFT_IO_APPEND_ENTRIES_RESULT &&
	    m->server_id == b->heard.leader &&
	    m->append_entries_result.term == b->heard.term)
		stamp->echo = b->heard.sent;
}

/*
 * Two answers of 0.15.0 to AppendEntries are set right.
 *
 * To a success it says the end of its own log, which may hold leftovers of an
 * older term behind what was compared; the leader would count them as
 * replicated. Raft says: the end of what was sent.
 *
 * It refuses what follows an entry that it has compacted, and the leader then
 * looks for a match ever further back, for ever. But what is committed here
 * is what the leader has: that far they do match.
 */
static void
correct_result(
    const struct raft_backend *b, struct raft_append_entries_result *r)
{
	const struct raft *raft = b->io.data;

	if (b->append.term == 0 || r->term != b->append.term)
		return;
	if (r->rejected != 0 && r->rejected <= raft->commit_index) {
		r->rejected = 0;
		r->last_log_index = raft->commit_index;
	} else if (r->rejected == 0 && r->last_log_index > b->append.end) {
		r->last_log_index = b->append.end;
	}
}

/*
 * Trap 8: this never fails; a missing connection is told by the completion.
 * Trap 9: without a callback the request is dead memory soon: it is not kept.
 */
static int
io_send(struct raft_io *io, struct raft_io_send *req,
    const struct raft_message *message, raft_io_send_cb cb)
{
	struct raft_backend *b = raft_io_backend(io);
	struct raft_message m = *message;
	struct raft_stamp stamp = { 0 };
	struct buf frame = { 0 };
	bool sent = true;

	if (m.type == RAFT_IO_APPEND_ENTRIES_RESULT)
		correct_result(b, &m.append_entries_result);
	if (b->hooks.allowed(b->hooks.arg, &m)) {
		stamp_fill(b, &m, &stamp);
		raft_codec_encode(&frame, &m, &stamp);
		if (m.type == RAFT_IO_INSTALL_SNAPSHOT) {
			send_snapshot(b, req, &m, &frame, cb);
			buf_clear(&frame);
			return 0;
		}
		sent = b->hooks.send(
		    b->hooks.arg, (uint32_t)m.server_id, frame.data, frame.len);
		buf_clear(&frame);
	}
	if (cb != NULL)
		raft_io_complete(b, DONE_SEND, req, (raft_io_cb)cb,
		    sent ? 0 : RAFT_NOCONNECTION);
	return 0;
}

void
raft_io_snapshot(struct raft_backend *b, uint32_t to)
{
	struct waiting *w = waiting_find(b, to);
	bool ok;

	if (w == NULL)
		return;
	ok = b->hooks.send(b->hooks.arg, to, w->frame.data, w->frame.len);
	waiting_drop(b, w, ok ? 0 : RAFT_NOCONNECTION);
}

void
raft_io_snapshot_cancel(struct raft_backend *b)
{
	while (!TAILQ_EMPTY(&b->waiting))
		waiting_drop(b, TAILQ_FIRST(&b->waiting), RAFT_CANCELED);
}

bool
raft_io_snapshot_waits(
    const struct raft_backend *b, uint32_t to, uint64_t *index)
{
	const struct waiting *w = waiting_find(b, to);

	if (w != NULL)
		*index = w->index;
	return w != NULL;
}

/* ---- completions -------------------------------------------------------- */

static void
run_completion(struct completion *c)
{
	switch (c->kind) {
	case DONE_SEND:
		((raft_io_send_cb)c->cb)(c->req, c->status);
		break;
	case DONE_APPEND:
		((raft_io_append_cb)c->cb)(c->req, c->status);
		break;
	case DONE_PUT:
		((raft_io_snapshot_put_cb)c->cb)(c->req, c->status);
		break;
	case DONE_GET:
		((raft_io_snapshot_get_cb)c->cb)(
		    c->req, c->snapshot, c->status);
		break;
	case DONE_WORK:
		((raft_io_async_work_cb)c->cb)(c->req, c->status);
		break;
	}
}

bool
raft_io_drain(struct raft_backend *b)
{
	struct completion *c;
	bool any = false;

	work_poll(b);
	while ((c = STAILQ_FIRST(&b->done)) != NULL) {
		STAILQ_REMOVE_HEAD(&b->done, entry);
		run_completion(c);
		free(c);
		any = true;
	}
	return any;
}

void
raft_io_tick(struct raft_backend *b)
{
	raft_io_drain(b);
	b->tick(&b->io);
}

/* ---- life --------------------------------------------------------------- */

static int
io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
    raft_io_recv_cb recv)
{
	struct raft_backend *b = raft_io_backend(io);

	(void)msecs;
	b->tick = tick;
	b->recv = recv;
	return 0;
}

/* Completes what is open, so that libraft frees it. */
static void
io_close(struct raft_io *io, raft_io_close_cb cb)
{
	struct raft_backend *b = raft_io_backend(io);

	raft_io_snapshot_cancel(b);
	if (b->work.req != NULL)
		raft_io_complete(b, DONE_WORK, b->work.req,
		    (raft_io_cb)b->work.cb, RAFT_CANCELED);
	b->work.req = NULL;
	raft_io_drain(b);
	cb(io);
}

static void
store_failed(void *arg, const char *why)
{
	struct raft_backend *b = arg;

	b->hooks.failed(b->hooks.arg, why);
}

struct raft_backend *
raft_io_new(const char *dir, const struct raft_io_hooks *hooks, struct error *e)
{
	struct raft_backend *b = xcalloc(1, sizeof(*b));

	b->store = raft_store_open(dir, store_failed, b, e);
	if (b->store == NULL) {
		free(b);
		return NULL;
	}
	b->hooks = *hooks;
	STAILQ_INIT(&b->done);
	TAILQ_INIT(&b->waiting);
	b->io = (struct raft_io){ .version = 2,
		.impl = b,
		.close = io_close,
		.start = io_start,
		.send = io_send,
		.time = io_time,
		.random = io_random,
		.async_work = io_async_work };
	raft_disk_set(&b->io);
	return b;
}

void
raft_io_free(struct raft_backend *b)
{
	if (b == NULL)
		return;
	raft_store_close(b->store);
	free(b);
}

struct raft_io *
raft_io_of(struct raft_backend *b)
{
	return &b->io;
}

struct raft_store *
raft_io_store(struct raft_backend *b)
{
	return b->store;
}
