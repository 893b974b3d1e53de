/*
 * The directory: the sessions of all nodes, mirrored in memory to every node as
 * numbered events, so that a new leader knows who was there (G3).
 *
 *   leader: directory_bind() etc.: number, apply, send to the passive routers
 *   passive: a copy (begin, entries, end), then the events that follow it
 *   out of order, or of a lower term: refused; the mirror link is made anew
 *
 * A copy replaces what was there only when it has arrived whole: until then the
 * old content still counts for a new leader that has to merge (rule 8).
 */
#include "xmppd/router/directory.h"

#include <stdlib.h>
#include <string.h>

#include "common/result.h"
#include "common/xmalloc.h"

#define COPY_CHUNK (64U << 10)

enum mirror_kind {
	MIRROR_COPY = 1, /* begins a copy */
	MIRROR_ENTRIES,
	MIRROR_COPIED, /* ends it */
	MIRROR_EVENTS, /* events have the numbers from here */
	MIRROR_BIND = MIRROR_EVENTS,
	MIRROR_PRESENCE,
	MIRROR_WANT,
	MIRROR_LEFT,
	MIRROR_DIRECT,
	MIRROR_UNDIRECT,
	MIRROR_END,
	MIRROR_MOVE,
	MIRROR_COMPLETE,
	MIRROR_KINDS
};

/* ---- shared bytes ------------------------------------------------------ */

struct bytes *
bytes_new(const void *data, size_t len)
{
	struct bytes *b = xmalloc(sizeof(*b) + len + 1);

	b->refs = 1;
	b->len = len;
	if (len > 0)
		memcpy(b->data, data, len);
	b->data[len] = '\0';
	return b;
}

struct bytes *
bytes_ref(struct bytes *b)
{
	if (b != NULL)
		b->refs++;
	return b;
}

void
bytes_unref(struct bytes *b)
{
	if (b != NULL && --b->refs == 0)
		free(b);
}

/* ---- entries ----------------------------------------------------------- */

static struct entry *
entry_new(void)
{
	struct entry *e = xcalloc(1, sizeof(*e));

	TAILQ_INIT(&e->directed);
	return e;
}

static void
directed_remove(struct entry *e, struct directed *t)
{
	TAILQ_REMOVE(&e->directed, t, next);
	e->directed_count--;
	free(t->jid);
	free(t);
}

static void
directed_add(struct entry *e, struct text jid)
{
	struct directed *t = xcalloc(1, sizeof(*t));

	t->jid = text_dup(jid);
	TAILQ_INSERT_TAIL(&e->directed, t, next);
	e->directed_count++;
}

static void
directed_clear(struct entry *e)
{
	struct directed *t;

	while ((t = TAILQ_FIRST(&e->directed)) != NULL)
		directed_remove(e, t);
}

static void
entry_free(struct entry *e)
{
	directed_clear(e);
	bytes_unref(e->presence);
	free(e->full);
	free(e);
}

static void
entry_add(struct directory *d, struct entry *e)
{
	map_put(&d->by_sid, &e->sid, sizeof(e->sid), e);
	TAILQ_INSERT_TAIL(&d->entries, e, next);
}

static void
entry_remove(struct directory *d, struct entry *e)
{
	map_remove(&d->by_sid, &e->sid, sizeof(e->sid));
	TAILQ_REMOVE(&d->entries, e, next);
	entry_free(e);
}

struct directed *
directory_find_directed(const struct entry *e, struct text jid)
{
	struct directed *t;

	TAILQ_FOREACH(t, &e->directed, next)
		if (text_is(jid, t->jid))
			return t;
	return NULL;
}

static void
entry_encode(struct buf *b, const struct entry *e)
{
	const struct directed *t;

	sid_encode(b, &e->sid);
	origin_encode(b, &e->origin);
	buf_add_u8(b, e->moved);
	sid_encode(b, &e->heir);
	buf_add_u8(b, e->kind);
	buf_add_u8(b, e->wants);
	buf_add_u64(b, e->account);
	buf_add_text(b, e->full);
	if (e->presence == NULL)
		buf_add_text(b, NULL);
	else
		buf_add_block(b, e->presence->data, e->presence->len);
	buf_add_u64(b, e->newest);
	buf_add_u64(b, e->initial);
	buf_add_u64(b, e->leaving);
	buf_add_u32(b, (uint32_t)e->directed_count);
	TAILQ_FOREACH(t, &e->directed, next)
		buf_add_text(b, t->jid);
}

static struct text
text_read(struct cursor *c)
{
	struct text t;

	t.data = cursor_text(c, &t.len);
	return t;
}

static void
directed_decode(struct cursor *c, struct entry *e)
{
	uint32_t count = cursor_u32(c);

	while (count-- > 0 && cursor_ok(c)) {
		struct text jid = text_read(c);

		if (jid.data == NULL)
			c->failed = true;
		else
			directed_add(e, jid);
	}
}

/* Reads an entry; NULL if there is none to be read. */
static struct entry *
entry_decode(struct cursor *c)
{
	struct entry *e = entry_new();
	struct text presence;

	e->sid = sid_decode(c);
	e->origin = origin_decode(c);
	e->moved = cursor_u8(c) != 0;
	e->heir = sid_decode(c);
	e->kind = cursor_u8(c);
	e->wants = cursor_u8(c);
	e->account = cursor_u64(c);
	e->full = cursor_dup_text(c);
	presence = text_read(c);
	e->newest = cursor_u64(c);
	e->initial = cursor_u64(c);
	e->leaving = cursor_u64(c);
	directed_decode(c, e);
	if (!cursor_ok(c) || e->full == NULL) {
		c->failed = true;
		entry_free(e);
		return NULL;
	}
	if (presence.data != NULL)
		e->presence = bytes_new(presence.data, presence.len);
	return e;
}

/* ---- the directory ----------------------------------------------------- */

struct directory *
directory_new(void)
{
	struct directory *d = xcalloc(1, sizeof(*d));

	TAILQ_INIT(&d->entries);
	return d;
}

static void
directory_empty(struct directory *d)
{
	struct entry *e;

	while ((e = TAILQ_FIRST(&d->entries)) != NULL)
		entry_remove(d, e);
}

void
directory_free(struct directory *d)
{
	if (d == NULL)
		return;
	directory_free(d->incoming);
	directory_empty(d);
	map_clear(&d->by_sid);
	free(d);
}

void
directory_set_complete(struct directory *d)
{
	d->complete = true;
}

struct directory_state
directory_state(const struct directory *d)
{
	struct directory_state s = { d->term, d->seq, d->complete };

	return s;
}

size_t
directory_count(const struct directory *d)
{
	return d->by_sid.count;
}

uint32_t
directory_component_node(const struct directory *d, const char *domain)
{
	const struct entry *e;

	TAILQ_FOREACH(e, &d->entries, next)
		if (e->kind == SESSION_COMPONENT &&
		    strcmp(e->full, domain) == 0)
			return e->origin.node;
	return 0;
}

struct entry *
directory_find(const struct directory *d, const struct sid *sid)
{
	return map_find(&d->by_sid, sid, sizeof(*sid));
}

void
directory_lead(struct directory *d, uint64_t term, bool complete)
{
	directory_free(d->incoming);
	d->incoming = NULL;
	d->term = term;
	d->seq++; /* so that a copy of this very state can be acknowledged */
	d->complete = complete;
}

/* Takes the entries of another directory, which is freed. */
static void
directory_take(struct directory *d, struct directory *from)
{
	directory_empty(d);
	map_clear(&d->by_sid);
	d->by_sid = from->by_sid;
	memset(&from->by_sid, 0, sizeof(from->by_sid));
	TAILQ_CONCAT(&d->entries, &from->entries, next);
	directory_free(from);
}

/* ---- events ------------------------------------------------------------ */

static bool
apply_bind(struct directory *d, struct cursor *c)
{
	struct entry *e = entry_decode(c);

	if (e == NULL)
		return false;
	if (directory_find(d, &e->sid) != NULL) {
		entry_free(e);
		return false;
	}
	entry_add(d, e);
	return true;
}

static void
apply_presence(struct entry *e, struct cursor *c)
{
	struct text presence = text_read(c);
	uint64_t num = cursor_u64(c);
	bool was = e->presence != NULL;

	bytes_unref(e->presence);
	e->presence = NULL;
	e->leaving = 0;
	e->newest = num;
	if (presence.data == NULL) {
		e->leaving = num;
		return;
	}
	e->presence = bytes_new(presence.data, presence.len);
	if (!was)
		e->initial = num;
}

static void
apply_directed(struct entry *e, uint8_t kind, struct cursor *c)
{
	struct text jid = text_read(c);
	struct directed *t;

	if (jid.data == NULL)
		return;
	t = directory_find_directed(e, jid);
	if (kind == MIRROR_DIRECT && t == NULL)
		directed_add(e, jid);
	else if (kind == MIRROR_UNDIRECT && t != NULL)
		directed_remove(e, t);
}

/* What is said of one session that is there; false if it isn't. */
static bool
apply_to_entry(struct directory *d, uint8_t kind, struct cursor *c)
{
	const struct sid sid = sid_decode(c);
	struct entry *e = directory_find(d, &sid);

	if (e == NULL)
		return false;
	if (kind == MIRROR_PRESENCE) {
		apply_presence(e, c);
	} else if (kind == MIRROR_WANT) {
		e->wants = cursor_u8(c);
	} else if (kind == MIRROR_LEFT) {
		e->leaving = 0;
		directed_clear(e);
	} else if (kind == MIRROR_END) {
		entry_remove(d, e);
	} else if (kind == MIRROR_MOVE) {
		e->origin = origin_decode(c);
		e->heir = sid_decode(c);
		e->moved = true;
		e->newest = e->initial = 0;
	} else {
		apply_directed(e, kind, c);
	}
	return true;
}

static bool
apply(struct directory *d, uint8_t kind, struct cursor *c)
{
	bool done = true;

	if (kind == MIRROR_BIND)
		done = apply_bind(d, c);
	else if (kind == MIRROR_COMPLETE)
		d->complete = true;
	else
		done = apply_to_entry(d, kind, c);
	return done && cursor_done(c);
}

static void
head_add(struct buf *out, uint8_t kind, uint64_t term, uint64_t seq)
{
	buf_reset(out);
	buf_add_u8(out, kind);
	buf_add_u64(out, term);
	buf_add_u64(out, seq);
}

static void
event_begin(struct directory *d, struct buf *out, uint8_t kind)
{
	d->seq++;
	head_add(out, kind, d->term, d->seq);
}

static void
event_end(struct directory *d, const struct buf *out)
{
	struct cursor c;
	uint8_t kind;

	cursor_init(&c, out->data, out->len);
	kind = cursor_u8(&c);
	cursor_u64(&c);
	cursor_u64(&c);
	apply(d, kind, &c);
}

void
directory_bind(struct directory *d, struct buf *out, const struct entry *entry)
{
	event_begin(d, out, MIRROR_BIND);
	entry_encode(out, entry);
	event_end(d, out);
}

void
directory_presence(struct directory *d, struct buf *out, const struct sid *sid,
    struct text presence, uint64_t num)
{
	event_begin(d, out, MIRROR_PRESENCE);
	sid_encode(out, sid);
	if (presence.data == NULL)
		buf_add_text(out, NULL);
	else
		buf_add_block(out, presence.data, presence.len);
	buf_add_u64(out, num);
	event_end(d, out);
}

void
directory_want(
    struct directory *d, struct buf *out, const struct sid *sid, uint8_t wants)
{
	event_begin(d, out, MIRROR_WANT);
	sid_encode(out, sid);
	buf_add_u8(out, wants);
	event_end(d, out);
}

void
directory_left(struct directory *d, struct buf *out, const struct sid *sid)
{
	event_begin(d, out, MIRROR_LEFT);
	sid_encode(out, sid);
	event_end(d, out);
}

void
directory_direct(struct directory *d, struct buf *out, const struct sid *sid,
    struct text jid)
{
	event_begin(d, out, MIRROR_DIRECT);
	sid_encode(out, sid);
	buf_add_block(out, jid.data, jid.len);
	event_end(d, out);
}

void
directory_undirect(struct directory *d, struct buf *out, const struct sid *sid,
    struct text jid)
{
	event_begin(d, out, MIRROR_UNDIRECT);
	sid_encode(out, sid);
	buf_add_block(out, jid.data, jid.len);
	event_end(d, out);
}

void
directory_end(struct directory *d, struct buf *out, const struct sid *sid)
{
	event_begin(d, out, MIRROR_END);
	sid_encode(out, sid);
	event_end(d, out);
}

void
directory_move(struct directory *d, struct buf *out, const struct sid *sid,
    const struct origin *origin, const struct sid *heir)
{
	event_begin(d, out, MIRROR_MOVE);
	sid_encode(out, sid);
	origin_encode(out, origin);
	sid_encode(out, heir);
	event_end(d, out);
}

void
directory_complete(struct directory *d, struct buf *out)
{
	event_begin(d, out, MIRROR_COMPLETE);
	event_end(d, out);
}

/* ---- copies ------------------------------------------------------------ */

void
directory_copy(const struct directory *d,
    void (*send)(void *arg, const void *msg, size_t len), void *arg)
{
	const struct entry *e;
	struct buf b = { 0 };

	head_add(&b, MIRROR_COPY, d->term, d->seq);
	send(arg, b.data, b.len);
	head_add(&b, MIRROR_ENTRIES, d->term, d->seq);
	TAILQ_FOREACH(e, &d->entries, next) {
		entry_encode(&b, e);
		if (b.len < COPY_CHUNK)
			continue;
		send(arg, b.data, b.len);
		head_add(&b, MIRROR_ENTRIES, d->term, d->seq);
	}
	send(arg, b.data, b.len);
	head_add(&b, MIRROR_COPIED, d->term, d->seq);
	buf_add_u8(&b, d->complete);
	send(arg, b.data, b.len);
	buf_clear(&b);
}

static bool
entries_decode(struct directory *d, struct cursor *c)
{
	while (cursor_ok(c) && cursor_left(c) > 0) {
		struct entry *e = entry_decode(c);

		if (e == NULL)
			return false;
		if (directory_find(d, &e->sid) != NULL) {
			entry_free(e);
			return false;
		}
		entry_add(d, e);
	}
	return cursor_ok(c);
}

static int
mirror_copied(struct directory *d, struct cursor *c, uint64_t *seq)
{
	struct directory *copy = d->incoming;
	uint8_t complete = cursor_u8(c);

	if (!cursor_done(c) || complete > 1)
		return RES_INVALID;
	d->incoming = NULL;
	d->term = copy->term;
	d->seq = copy->seq;
	d->complete = complete == 1;
	directory_take(d, copy);
	*seq = d->seq;
	return RES_OK;
}

static int
mirror_copy(struct directory *d, uint8_t kind, struct cursor *c, uint64_t *seq)
{
	if (kind == MIRROR_COPIED)
		return mirror_copied(d, c, seq);
	return entries_decode(d->incoming, c) ? RES_OK : RES_INVALID;
}

int
directory_mirror(struct directory *d, uint64_t promised, const void *msg,
    size_t len, uint64_t *seq)
{
	struct cursor c;
	uint64_t term, number;
	uint8_t kind;

	*seq = 0;
	cursor_init(&c, msg, len);
	kind = cursor_u8(&c);
	term = cursor_u64(&c);
	number = cursor_u64(&c);
	if (!cursor_ok(&c) || kind < MIRROR_COPY || kind >= MIRROR_KINDS)
		return RES_INVALID;
	/* Rule 12 of delivery(7), for the passive routers of rule 8. */
	if (term < promised || term < d->term)
		return RES_DENIED;
	if (kind == MIRROR_COPY) {
		directory_free(d->incoming);
		d->incoming = directory_new();
		d->incoming->term = term;
		d->incoming->seq = number;
		return cursor_done(&c) ? RES_OK : RES_INVALID;
	}
	if (kind < MIRROR_EVENTS) {
		if (d->incoming == NULL || d->incoming->term != term ||
		    d->incoming->seq != number)
			return RES_INVALID;
		return mirror_copy(d, kind, &c, seq);
	}
	if (d->incoming != NULL || term != d->term || number != d->seq + 1 ||
	    !apply(d, kind, &c))
		return RES_INVALID;
	*seq = d->seq = number;
	return RES_OK;
}

void
directory_encode(const struct directory *d, struct buf *out)
{
	const struct entry *e;

	buf_add_u64(out, d->term);
	buf_add_u64(out, d->seq);
	buf_add_u8(out, d->complete);
	TAILQ_FOREACH(e, &d->entries, next)
		entry_encode(out, e);
}

int
directory_decode(struct directory *d, const void *data, size_t len)
{
	struct directory *from = directory_new();
	struct cursor c;
	uint8_t complete;

	cursor_init(&c, data, len);
	from->term = cursor_u64(&c);
	from->seq = cursor_u64(&c);
	complete = cursor_u8(&c);
	if (complete > 1 || !entries_decode(from, &c)) {
		directory_free(from);
		return RES_INVALID;
	}
	directory_free(d->incoming);
	d->incoming = NULL;
	d->term = from->term;
	d->seq = from->seq;
	d->complete = complete == 1;
	directory_take(d, from);
	return RES_OK;
}
