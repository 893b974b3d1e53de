/*
 * libraft's 16 callbacks, and the guards between the library and the network.
 * The traps named here are those of the library's version 0.15.0; each guard
 * drops or delays a message, which Raft has to endure anyway.
 */
#include "xmppd/cluster/raft_io.h"

#include <sys/queue.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/raft_store.h"

enum completion_kind { DONE_SEND, DONE_APPEND, DONE_PUT, DONE_GET, DONE_WORK };

/* Something that libraft asked for, and that is done. */
struct completion {
	STAILQ_ENTRY(completion) entry;
	enum completion_kind kind;
	int status;
	void *req;
	void (*cb)(void);
	struct raft_snapshot *snapshot; /* DONE_GET */
};

/* A snapshot's marker that waits until its state is at the server. */
struct waiting {
	TAILQ_ENTRY(waiting) entry;
	uint32_t to;
	uint64_t index;
	struct buf frame;
	struct raft_io_send *req;
	raft_io_send_cb cb;
};

struct raft_backend {
	struct raft_io io;
	struct raft_io_hooks hooks;
	struct raft_store *store;
	raft_io_tick_cb tick;
	raft_io_recv_cb recv;
	STAILQ_HEAD(, completion) done;
	TAILQ_HEAD(, waiting) waiting;
	struct {
		struct raft_io_async_work *req;
		raft_io_async_work_cb cb;
		uint64_t index;
	} work; /* a snapshot that waits for the state to be synced */
	uint64_t quiet_until;
	/* The newest AppendEntries that was taken. */
	struct {
		uint32_t leader;
		uint64_t term, sent;
	} heard;
	/* The AppendEntries that is being handled; term 0: none is. */
	struct {
		uint64_t term, end;
	} append;
};

typedef void (*generic_cb)(void);

static struct raft_backend *
backend_of(struct raft_io *io)
{
	return io->impl;
}

static struct completion *
complete(struct raft_backend *b, enum completion_kind kind, void *req,
    generic_cb cb, int status)
{
	struct completion *c = xcalloc(1, sizeof(*c));

	*c = (struct completion){
		.kind = kind, .req = req, .cb = cb, .status = status
	};
	STAILQ_INSERT_TAIL(&b->done, c, entry);
	return c;
}

/* ---- storage ------------------------------------------------------------ */

static int
io_status(int rc)
{
	return rc == RES_OK ? 0 : RAFT_IOERR;
}

static int
io_init(struct raft_io *io, raft_id id, const char *address)
{
	(void)io;
	(void)id;
	(void)address;
	return 0;
}

static int
io_bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
	struct raft_backend *b = backend_of(io);
	struct raft_store_entry entry = { .term = 1, .type = RAFT_CHANGE };
	struct raft_buffer buf;
	int rv;

	if (raft_store_term(b->store) != 0 || raft_store_last(b->store) != 0)
		return RAFT_CANTBOOTSTRAP;
	rv = raft_configuration_encode(conf, &buf);
	if (rv != 0)
		return rv;
	entry.data = buf.base;
	entry.len = buf.len;
	rv = raft_store_set_term(b->store, 1);
	if (rv == RES_OK)
		rv = raft_store_append(b->store, &entry, 1);
	raft_free(buf.base);
	return io_status(rv);
}

/* For an operator whose majority is lost for good: see raft_recover(). */
static int
io_recover(struct raft_io *io, const struct raft_configuration *conf)
{
	struct raft_backend *b = backend_of(io);
	struct raft_store_entry entry = { .type = RAFT_CHANGE };
	struct raft_buffer buf;
	int rv;

	rv = raft_configuration_encode(conf, &buf);
	if (rv != 0)
		return rv;
	entry.term = raft_store_term(b->store);
	entry.data = buf.base;
	entry.len = buf.len;
	rv = raft_store_append(b->store, &entry, 1);
	raft_free(buf.base);
	return io_status(rv);
}

/* A snapshot as libraft has it: all memory is its own. */
static struct raft_snapshot *
snapshot_of(const struct raft_store_marker *m)
{
	struct raft_snapshot *s = raft_calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->index = m->index;
	s->term = m->term;
	s->configuration_index = m->conf_index;
	s->n_bufs = 1;
	s->bufs = raft_calloc(1, sizeof(*s->bufs));
	if (s->bufs != NULL)
		s->bufs[0].base = raft_malloc(m->data.len);
	if (s->bufs == NULL || s->bufs[0].base == NULL ||
	    raft_codec_configuration(
		m->conf.data, m->conf.len, &s->configuration) != RES_OK) {
		if (s->bufs != NULL)
			raft_free(s->bufs[0].base);
		raft_free(s->bufs);
		raft_free(s);
		return NULL;
	}
	memcpy(s->bufs[0].base, m->data.data, m->data.len);
	s->bufs[0].len = m->data.len;
	return s;
}

static int
read_snapshot(struct raft_backend *b, struct raft_snapshot **out)
{
	struct raft_store_marker m;

	*out = NULL;
	if (raft_store_get_marker(b->store, &m) != RES_OK)
		return RAFT_IOERR;
	if (m.index != 0)
		*out = snapshot_of(&m);
	if (m.index != 0 && *out == NULL) {
		raft_store_marker_clear(&m);
		return RAFT_CORRUPT;
	}
	raft_store_marker_clear(&m);
	return 0;
}

struct loading {
	struct raft_entry *entries;
	size_t count, size;
};

static int
load_entry(void *arg, uint64_t index, const struct raft_store_entry *entry)
{
	struct loading *l = arg;
	struct raft_entry *e = &l->entries[l->count];

	(void)index;
	/* A batch of its own each: what libraft drops is freed then. */
	e->buf.base = l->count < l->size ? raft_malloc(entry->len) : NULL;
	if (e->buf.base == NULL)
		return RES_LIMIT;
	memcpy(e->buf.base, entry->data, entry->len);
	e->buf.len = entry->len;
	e->term = entry->term;
	e->type = entry->type;
	l->count++;
	return RES_OK;
}

static int
load_undo(struct loading *l, struct raft_snapshot *snapshot)
{
	for (size_t i = 0; i < l->count; i++)
		raft_free(l->entries[i].buf.base);
	raft_free(l->entries);
	if (snapshot != NULL) {
		raft_configuration_close(&snapshot->configuration);
		raft_free(snapshot->bufs[0].base);
		raft_free(snapshot->bufs);
		raft_free(snapshot);
	}
	return RAFT_IOERR;
}

static int
io_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
    struct raft_snapshot **snapshot, raft_index *start_index,
    struct raft_entry *entries[], size_t *n_entries)
{
	struct raft_backend *b = backend_of(io);
	uint64_t first = raft_store_first(b->store);
	struct loading l = { 0 };
	int rv;

	*term = raft_store_term(b->store);
	*voted_for = raft_store_vote(b->store);
	*start_index = first;
	rv = read_snapshot(b, snapshot);
	if (rv != 0)
		return rv;
	l.size = raft_store_last(b->store) + 1 - first;
	if (l.size > 0) {
		l.entries = raft_calloc(l.size, sizeof(*l.entries));
		if (l.entries == NULL)
			return RAFT_NOMEM;
		if (raft_store_each(b->store, first, load_entry, &l) != RES_OK)
			return load_undo(&l, *snapshot);
	}
	*entries = l.entries;
	*n_entries = l.count;
	return 0;
}

static int
io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
    raft_io_recv_cb recv)
{
	struct raft_backend *b = backend_of(io);

	(void)msecs;
	b->tick = tick;
	b->recv = recv;
	return 0;
}

static int
io_set_term(struct raft_io *io, raft_term term)
{
	struct raft_backend *b = backend_of(io);

	if (raft_store_set_term(b->store, term) != RES_OK)
		return RAFT_IOERR;
	b->hooks.term(b->hooks.arg, term);
	return 0;
}

static int
io_set_vote(struct raft_io *io, raft_id id)
{
	return io_status(raft_store_set_vote(backend_of(io)->store, id));
}

/*
 * Traps 5 and 6: what libraft counts for a majority, or acknowledges, is on
 * this disk when this returns; and the completion runs before any message that
 * could change the term is looked at.
 */
static int
io_append(struct raft_io *io, struct raft_io_append *req,
    const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
	struct raft_backend *b = backend_of(io);
	struct raft_store_entry *copies = xcalloc(n, sizeof(*copies));
	int rc;

	for (unsigned i = 0; i < n; i++)
		copies[i] = (struct raft_store_entry){ .term = entries[i].term,
			.type = entries[i].type,
			.data = entries[i].buf.base,
			.len = entries[i].buf.len };
	rc = raft_store_append(b->store, copies, n);
	free(copies);
	if (rc != RES_OK)
		return RAFT_IOERR;
	complete(b, DONE_APPEND, req, (generic_cb)cb, 0);
	return 0;
}

static int
io_truncate(struct raft_io *io, raft_index index)
{
	struct raft_backend *b = backend_of(io);

	if (raft_store_truncate(b->store, index) != RES_OK)
		return RAFT_IOERR;
	b->hooks.truncated(b->hooks.arg);
	return 0;
}

static int
io_snapshot_put(struct raft_io *io, unsigned trailing,
    struct raft_io_snapshot_put *req, const struct raft_snapshot *snapshot,
    raft_io_snapshot_put_cb cb)
{
	struct raft_backend *b = backend_of(io);
	struct raft_store_marker m = { .index = snapshot->index,
		.term = snapshot->term,
		.conf_index = snapshot->configuration_index };
	struct raft_buffer conf;
	int rc;

	if (raft_configuration_encode(&snapshot->configuration, &conf) != 0)
		return RAFT_NOMEM;
	buf_add(&m.conf, conf.base, conf.len);
	raft_free(conf.base);
	for (unsigned i = 0; i < snapshot->n_bufs; i++)
		buf_add(&m.data, snapshot->bufs[i].base, snapshot->bufs[i].len);
	rc = raft_store_put_marker(b->store, &m, trailing);
	raft_store_marker_clear(&m);
	if (rc != RES_OK)
		return RAFT_IOERR;
	complete(b, DONE_PUT, req, (generic_cb)cb, 0);
	return 0;
}

static int
io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
    raft_io_snapshot_get_cb cb)
{
	struct raft_backend *b = backend_of(io);
	struct raft_snapshot *snapshot;
	int rv = read_snapshot(b, &snapshot);

	if (rv == 0 && snapshot == NULL)
		rv = RAFT_NOTFOUND;
	complete(b, DONE_GET, req, (generic_cb)cb, rv)->snapshot = snapshot;
	return 0;
}

/* The one work there is: a snapshot that waits for the state's sync. */
static int
io_async_work(struct raft_io *io, struct raft_io_async_work *req,
    raft_io_async_work_cb cb)
{
	struct raft_backend *b = backend_of(io);
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
	complete(b, DONE_WORK, req, (generic_cb)b->work.cb, req->work(req));
}

/* ---- time and chance ---------------------------------------------------- */

static raft_time
io_time(struct raft_io *io)
{
	struct raft_backend *b = backend_of(io);

	return b->hooks.now(b->hooks.arg);
}

static int
io_random(struct raft_io *io, int min, int max)
{
	struct raft_backend *b = backend_of(io);

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
	complete(b, DONE_SEND, w->req, (generic_cb)w->cb, status);
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
	struct raft_backend *b = backend_of(io);
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
		complete(b, DONE_SEND, req, (generic_cb)cb,
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

/* ---- receiving ---------------------------------------------------------- */

void
raft_io_quiet_until(struct raft_backend *b, uint64_t ms)
{
	b->quiet_until = ms;
}

uint32_t
raft_io_leader(const struct raft_backend *b, uint64_t term)
{
	return b->heard.term == term ? b->heard.leader : 0;
}

/* Notes whom the answer will go to, and what it will echo. */
static void
note_leader(struct raft_backend *b, uint32_t from, uint64_t term, uint64_t sent)
{
	struct raft *r = b->io.data;

	if (term < r->current_term)
		return;
	if (b->heard.leader != from || b->heard.term != term)
		b->heard.sent = 0;
	b->heard.leader = from;
	b->heard.term = term;
	if (b->heard.sent < sent)
		b->heard.sent = sent;
}

/*
 * A marker for which this server hasn't the state would make a hole in it. It
 * is refused as libraft would, which lets the leader begin anew.
 */
static bool
refuse_marker(struct raft_backend *b, uint32_t from,
    const struct raft_install_snapshot *s)
{
	struct raft *r = b->io.data;
	struct raft_message m = { .type = RAFT_IO_APPEND_ENTRIES_RESULT,
		.server_id = from };
	struct raft_stamp stamp = { 0 };
	struct buf frame = { 0 };

	if (b->hooks.synced(b->hooks.arg) >=
	    raft_codec_index(s->data.base, s->data.len))
		return false;
	log_warn("raft: server %" PRIu32 " sent the marker %llu without its "
		 "state",
	    from, s->last_index);
	m.append_entries_result.term = r->current_term;
	m.append_entries_result.rejected = s->last_index;
	m.append_entries_result.last_log_index = r->last_stored;
	if (r->current_term != 0) {
		raft_codec_encode(&frame, &m, &stamp);
		b->hooks.send(b->hooks.arg, from, frame.data, frame.len);
		buf_clear(&frame);
	}
	return true;
}

static bool
vote_is_lost(const struct raft_backend *b, const struct raft_request_vote *v)
{
	const struct raft *r = b->io.data;

	/* A restarted server has forgotten whom it stood by (G4). */
	if (b->hooks.now(b->hooks.arg) < b->quiet_until)
		return true;
	/* 0.15.0 gives the target of a hand-over a vote in a term in which it
	 * has voted for another. */
	return !v->pre_vote && v->term == r->current_term &&
	    r->voted_for != 0 && r->voted_for != v->candidate_id;
}

static void
took_answer(struct raft_backend *b, uint32_t from,
    const struct raft_append_entries_result *a, const struct raft_stamp *stamp)
{
	const struct raft *r = b->io.data;

	if (r->state == RAFT_LEADER && a->term == r->current_term)
		b->hooks.answered(b->hooks.arg, from, stamp);
}

/* Whether the message is lost on purpose. */
static bool
is_lost(struct raft_backend *b, uint32_t from, const struct raft_message *m,
    const struct raft_stamp *stamp)
{
	switch (m->type) {
	case RAFT_IO_APPEND_ENTRIES:
		note_leader(b, from, m->append_entries.term, stamp->sent);
		return false;
	case RAFT_IO_INSTALL_SNAPSHOT:
		note_leader(b, from, m->install_snapshot.term, 0);
		return refuse_marker(b, from, &m->install_snapshot);
	case RAFT_IO_APPEND_ENTRIES_RESULT:
		took_answer(b, from, &m->append_entries_result, stamp);
		return false;
	case RAFT_IO_REQUEST_VOTE:
		return vote_is_lost(b, &m->request_vote);
	case RAFT_IO_TIMEOUT_NOW:
		return b->hooks.now(b->hooks.arg) < b->quiet_until ||
		    !b->hooks.willing(b->hooks.arg);
	default:
		return false;
	}
}

int
raft_io_receive(
    struct raft_backend *b, uint32_t from, const void *data, size_t len)
{
	struct raft_message m;
	struct raft_stamp stamp;
	char address[16];

	raft_io_drain(b);
	if (raft_codec_decode(data, len, from, &m, &stamp) != RES_OK)
		return RES_INVALID;
	if (is_lost(b, from, &m, &stamp)) {
		raft_codec_release(&m);
		return RES_OK;
	}
	/* Raft's address of a server is its id in digits. */
	snprintf(address, sizeof(address), "%" PRIu32, from);
	m.server_address = address;
	if (m.type == RAFT_IO_APPEND_ENTRIES) {
		b->append.term = m.append_entries.term;
		b->append.end = m.append_entries.prev_log_index +
		    m.append_entries.n_entries;
	}
	b->recv(&b->io, &m);
	b->append.term = 0;
	return RES_OK;
}

void
raft_io_step_down(struct raft_backend *b)
{
	struct raft *r = b->io.data;
	struct raft_message m = { .type = RAFT_IO_APPEND_ENTRIES_RESULT,
		.server_id = r->id,
		.server_address = r->address };

	m.append_entries_result.term = r->current_term + 1;
	b->recv(&b->io, &m);
}

/* ---- life --------------------------------------------------------------- */

/* Completes what is open, so that libraft frees it. */
static void
io_close(struct raft_io *io, raft_io_close_cb cb)
{
	struct raft_backend *b = backend_of(io);

	raft_io_snapshot_cancel(b);
	if (b->work.req != NULL)
		complete(b, DONE_WORK, b->work.req, (generic_cb)b->work.cb,
		    RAFT_CANCELED);
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
		.init = io_init,
		.close = io_close,
		.load = io_load,
		.start = io_start,
		.bootstrap = io_bootstrap,
		.recover = io_recover,
		.set_term = io_set_term,
		.set_vote = io_set_vote,
		.send = io_send,
		.append = io_append,
		.truncate = io_truncate,
		.snapshot_put = io_snapshot_put,
		.snapshot_get = io_snapshot_get,
		.time = io_time,
		.random = io_random,
		.async_work = io_async_work };
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
