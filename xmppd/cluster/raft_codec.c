/*
 * The wire format of Raft's messages. Pure.
 */
#include "xmppd/cluster/raft_codec.h"

#include <endian.h>
#include <string.h>

#include "common/log.h"
#include "common/result.h"

/* Entries of one AppendEntries frame, beyond the first. */
#define APPEND_BYTES (1U << 20)
#define APPEND_COUNT 4096

/* Terms and indexes beyond this are nobody's; sums of two don't overflow. */
#define NUMBER_MAX (1ULL << 62)

/* libraft's encoding of a configuration; its number in configuration.c. */
#define CONFIGURATION_FORMAT 1

static bool
number(struct cursor *c, uint64_t min, unsigned long long *out)
{
	*out = cursor_u64(c);
	return cursor_ok(c) && *out >= min && *out <= NUMBER_MAX;
}

static bool
boolean(struct cursor *c, bool *out)
{
	uint8_t v = cursor_u8(c);

	*out = v == 1;
	return cursor_ok(c) && v <= 1;
}

/* ---- AppendEntries ------------------------------------------------------ */

/* How many entries, from `at` on, go into one frame: one at least. */
static unsigned
append_take(const struct raft_append_entries *a, unsigned at)
{
	size_t bytes = 0;
	unsigned n;

	for (n = 0; at + n < a->n_entries && n < APPEND_COUNT; n++) {
		bytes += a->entries[at + n].buf.len;
		if (n > 0 && bytes > APPEND_BYTES)
			break;
	}
	return n;
}

static void
encode_append_part(struct buf *out, const struct raft_append_entries *a,
    unsigned at, unsigned count, const struct raft_stamp *stamp)
{
	const struct raft_entry *e;

	buf_add_u64(out, a->term);
	buf_add_u64(out, a->prev_log_index + at);
	buf_add_u64(out, at == 0 ? a->prev_log_term : a->entries[at - 1].term);
	buf_add_u64(out, a->leader_commit);
	buf_add_u64(out, stamp->sent);
	buf_add_u32(out, count);
	for (unsigned i = at; i < at + count; i++) {
		e = &a->entries[i];
		buf_add_u64(out, e->term);
		buf_add_u8(out, (uint8_t)e->type);
		buf_add_block(out, e->buf.base, e->buf.len);
	}
}

static size_t
frame_begin(struct buf *out, unsigned type)
{
	size_t at = out->len;

	buf_add_u32(out, 0);
	buf_add_u8(out, (uint8_t)type);
	return at;
}

static void
frame_end(struct buf *out, size_t at)
{
	buf_put_u32(out, at, (uint32_t)(out->len - at - sizeof(uint32_t)));
}

static void
encode_append(struct buf *out, const struct raft_append_entries *a,
    const struct raft_stamp *stamp)
{
	unsigned at = 0, count;
	size_t frame;

	do {
		count = append_take(a, at);
		frame = frame_begin(out, RAFT_IO_APPEND_ENTRIES);
		encode_append_part(out, a, at, count, stamp);
		frame_end(out, frame);
		at += count;
	} while (at < a->n_entries);
}

static bool
entry_is_valid(const struct raft_entry *e, uint64_t index)
{
	struct raft_configuration conf;

	if (e->buf.len == 0 || e->buf.len > RAFT_ENTRY_MAX)
		return false;
	switch (e->type) {
	case RAFT_COMMAND:
		return raft_codec_index(e->buf.base, e->buf.len) == index;
	case RAFT_BARRIER:
		return true;
	case RAFT_CHANGE:
		if (raft_codec_configuration(e->buf.base, e->buf.len, &conf) !=
		    RES_OK)
			return false;
		raft_configuration_close(&conf);
		return true;
	default:
		return false;
	}
}

/* Reads one entry; the bytes are still the frame's. */
static bool
decode_entry(struct cursor *c, struct raft_entry *e, uint64_t index)
{
	unsigned long long term;
	const uint8_t *at;
	size_t len;

	if (!number(c, 1, &term))
		return false;
	e->term = term;
	e->type = cursor_u8(c);
	at = cursor_block(c, &len);
	if (at == NULL)
		return false;
	/* Only read, until it's copied. */
	e->buf.base = (void *)(uintptr_t)at;
	e->buf.len = len;
	return entry_is_valid(e, index);
}

/* Moves what the entries point to into one batch, as libraft wants it. */
static bool
batch_entries(struct raft_append_entries *a)
{
	size_t bytes = 0;
	uint8_t *batch, *to;

	for (unsigned i = 0; i < a->n_entries; i++)
		bytes += a->entries[i].buf.len;
	batch = to = raft_malloc(bytes);
	if (batch == NULL)
		return false;
	for (unsigned i = 0; i < a->n_entries; i++) {
		memcpy(to, a->entries[i].buf.base, a->entries[i].buf.len);
		a->entries[i].buf.base = to;
		a->entries[i].batch = batch;
		to += a->entries[i].buf.len;
	}
	return true;
}

static bool
decode_entries(struct cursor *c, struct raft_append_entries *a)
{
	uint64_t term = a->prev_log_term;

	/* An entry is 14 bytes at least; so memory is bounded by the frame. */
	if (a->n_entries > cursor_left(c) / 14)
		return false;
	a->entries = raft_calloc(a->n_entries, sizeof(*a->entries));
	if (a->entries == NULL)
		return false;
	for (unsigned i = 0; i < a->n_entries; i++) {
		struct raft_entry *e = &a->entries[i];

		if (!decode_entry(c, e, a->prev_log_index + 1 + i) ||
		    e->term < term || e->term > a->term)
			return false;
		term = e->term;
	}
	return batch_entries(a);
}

static bool
decode_append(
    struct cursor *c, struct raft_append_entries *a, struct raft_stamp *stamp)
{
	*a = (struct raft_append_entries){ 0 };
	if (!number(c, 1, &a->term) || !number(c, 0, &a->prev_log_index) ||
	    !number(c, 0, &a->prev_log_term) ||
	    !number(c, 0, &a->leader_commit))
		return false;
	stamp->sent = cursor_u64(c);
	a->n_entries = cursor_u32(c);
	if (!cursor_ok(c) || a->prev_log_term > a->term ||
	    (a->prev_log_index == 0) != (a->prev_log_term == 0))
		return false;
	if (a->n_entries == 0)
		return true;
	if (decode_entries(c, a))
		return true;
	raft_free(a->entries);
	return false;
}

static void
encode_append_result(struct buf *out,
    const struct raft_append_entries_result *r, const struct raft_stamp *stamp)
{
	buf_add_u64(out, r->term);
	buf_add_u64(out, r->rejected);
	buf_add_u64(out, r->last_log_index);
	buf_add_u64(out, stamp->echo);
	buf_add_u64(out, stamp->synced);
	buf_add_u8(out, stamp->willing);
}

static bool
decode_append_result(struct cursor *c, struct raft_append_entries_result *r,
    struct raft_stamp *stamp)
{
	if (!number(c, 1, &r->term) || !number(c, 0, &r->rejected) ||
	    !number(c, 0, &r->last_log_index))
		return false;
	stamp->echo = cursor_u64(c);
	stamp->synced = cursor_u64(c);
	return boolean(c, &stamp->willing);
}

/* ---- votes -------------------------------------------------------------- */

static void
encode_vote(struct buf *out, const struct raft_request_vote *v)
{
	buf_add_u64(out, v->term);
	buf_add_u64(out, v->candidate_id);
	buf_add_u64(out, v->last_log_index);
	buf_add_u64(out, v->last_log_term);
	buf_add_u8(out, v->disrupt_leader);
	buf_add_u8(out, v->pre_vote);
}

static bool
decode_vote(struct cursor *c, uint32_t from, struct raft_request_vote *v)
{
	return number(c, 1, &v->term) && number(c, 1, &v->candidate_id) &&
	    v->candidate_id == from && number(c, 0, &v->last_log_index) &&
	    number(c, 0, &v->last_log_term) && boolean(c, &v->disrupt_leader) &&
	    boolean(c, &v->pre_vote);
}

static void
encode_vote_result(struct buf *out, const struct raft_request_vote_result *r)
{
	buf_add_u64(out, r->term);
	buf_add_u8(out, r->vote_granted);
	buf_add_u8(out, (uint8_t)r->pre_vote);
}

static bool
decode_vote_result(struct cursor *c, struct raft_request_vote_result *r)
{
	uint8_t pre;

	if (!number(c, 0, &r->term) || !boolean(c, &r->vote_granted))
		return false;
	pre = cursor_u8(c);
	if (!cursor_ok(c) ||
	    (pre != raft_tribool_true && pre != raft_tribool_false))
		return false;
	r->pre_vote =
	    pre == raft_tribool_true ? raft_tribool_true : raft_tribool_false;
	return true;
}

/* ---- snapshots, hand-over ----------------------------------------------- */

static void
encode_snapshot(struct buf *out, const struct raft_install_snapshot *s)
{
	struct raft_buffer conf;

	if (raft_configuration_encode(&s->conf, &conf) != 0)
		fatalx("raft: a configuration can't be encoded");
	buf_add_u64(out, s->term);
	buf_add_u64(out, s->last_index);
	buf_add_u64(out, s->last_term);
	buf_add_u64(out, s->conf_index);
	buf_add_block(out, conf.base, conf.len);
	buf_add_block(out, s->data.base, s->data.len);
	raft_free(conf.base);
}

static bool
decode_snapshot(struct cursor *c, struct raft_install_snapshot *s)
{
	const uint8_t *conf, *data;
	size_t conf_len, len;

	if (!number(c, 1, &s->term) || !number(c, 1, &s->last_index) ||
	    !number(c, 1, &s->last_term) || !number(c, 1, &s->conf_index))
		return false;
	conf = cursor_block(c, &conf_len);
	data = cursor_block(c, &len);
	if (conf == NULL || data == NULL || len != RAFT_INDEX_SIZE ||
	    raft_codec_index(data, len) > s->last_index ||
	    s->last_term > s->term || s->conf_index > s->last_index)
		return false;
	if (raft_codec_configuration(conf, conf_len, &s->conf) != RES_OK)
		return false;
	s->data.base = raft_malloc(len);
	s->data.len = len;
	if (s->data.base == NULL) {
		raft_configuration_close(&s->conf);
		return false;
	}
	memcpy(s->data.base, data, len);
	return true;
}

static void
encode_timeout(struct buf *out, const struct raft_timeout_now *t)
{
	buf_add_u64(out, t->term);
	buf_add_u64(out, t->last_log_index);
	buf_add_u64(out, t->last_log_term);
}

static bool
decode_timeout(struct cursor *c, struct raft_timeout_now *t)
{
	return number(c, 1, &t->term) && number(c, 0, &t->last_log_index) &&
	    number(c, 0, &t->last_log_term);
}

/* ---- all ---------------------------------------------------------------- */

void
raft_codec_encode(struct buf *out, const struct raft_message *m,
    const struct raft_stamp *stamp)
{
	size_t frame;

	if (m->type == RAFT_IO_APPEND_ENTRIES) {
		encode_append(out, &m->append_entries, stamp);
		return;
	}
	frame = frame_begin(out, m->type);
	switch (m->type) {
	case RAFT_IO_APPEND_ENTRIES_RESULT:
		encode_append_result(out, &m->append_entries_result, stamp);
		break;
	case RAFT_IO_REQUEST_VOTE:
		encode_vote(out, &m->request_vote);
		break;
	case RAFT_IO_REQUEST_VOTE_RESULT:
		encode_vote_result(out, &m->request_vote_result);
		break;
	case RAFT_IO_INSTALL_SNAPSHOT:
		encode_snapshot(out, &m->install_snapshot);
		break;
	case RAFT_IO_TIMEOUT_NOW:
		encode_timeout(out, &m->timeout_now);
		break;
	default:
		fatalx("raft: a message of the unknown type %u", m->type);
	}
	frame_end(out, frame);
}

static bool
decode_body(struct cursor *c, uint32_t from, struct raft_message *out,
    struct raft_stamp *stamp)
{
	switch (out->type) {
	case RAFT_IO_APPEND_ENTRIES:
		return decode_append(c, &out->append_entries, stamp);
	case RAFT_IO_APPEND_ENTRIES_RESULT:
		return decode_append_result(
		    c, &out->append_entries_result, stamp);
	case RAFT_IO_REQUEST_VOTE:
		return decode_vote(c, from, &out->request_vote);
	case RAFT_IO_REQUEST_VOTE_RESULT:
		return decode_vote_result(c, &out->request_vote_result);
	case RAFT_IO_INSTALL_SNAPSHOT:
		return decode_snapshot(c, &out->install_snapshot);
	case RAFT_IO_TIMEOUT_NOW:
		return decode_timeout(c, &out->timeout_now);
	default:
		return false;
	}
}

int
raft_codec_decode(const uint8_t *data, size_t len, uint32_t from,
    struct raft_message *out, struct raft_stamp *stamp)
{
	struct cursor c;

	*out = (struct raft_message){ 0 };
	*stamp = (struct raft_stamp){ 0 };
	if (len == 0 || len > RAFT_FRAME_MAX)
		return RES_INVALID;
	cursor_init(&c, data, len);
	out->type = cursor_u8(&c);
	out->server_id = from;
	if (!decode_body(&c, from, out, stamp))
		return RES_INVALID;
	if (!cursor_done(&c)) {
		raft_codec_release(out);
		return RES_INVALID;
	}
	return RES_OK;
}

void
raft_codec_release(struct raft_message *m)
{
	struct raft_append_entries *a = &m->append_entries;

	if (m->type == RAFT_IO_APPEND_ENTRIES && a->entries != NULL) {
		raft_free(a->entries[0].batch);
		raft_free(a->entries);
	} else if (m->type == RAFT_IO_INSTALL_SNAPSHOT) {
		raft_configuration_close(&m->install_snapshot.conf);
		raft_free(m->install_snapshot.data.base);
	}
}

/* libraft's own bytes are little-endian. */
static uint64_t
little_u64(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, sizeof(uint64_t));
	uint64_t v = 0;

	if (at != NULL)
		memcpy(&v, at, sizeof(v));
	return le64toh(v);
}

static bool
decode_server(struct cursor *c, struct raft_configuration *out)
{
	uint64_t id = little_u64(c);
	const char *address = (const char *)c->p;
	const uint8_t *end;
	uint8_t role;

	if (!cursor_ok(c) || cursor_left(c) == 0 || id == 0 || id > UINT32_MAX)
		return false;
	end = memchr(c->p, '\0', cursor_left(c));
	if (end == NULL)
		return false;
	cursor_bytes(c, (size_t)(end - c->p) + 1);
	role = cursor_u8(c);
	return cursor_ok(c) &&
	    raft_configuration_add(out, id, address, role) == 0;
}

int
raft_codec_configuration(
    const void *data, size_t len, struct raft_configuration *out)
{
	struct cursor c;
	uint64_t count;

	raft_configuration_init(out);
	cursor_init(&c, data, len);
	if (cursor_u8(&c) != CONFIGURATION_FORMAT)
		return RES_INVALID;
	count = little_u64(&c);
	if (!cursor_ok(&c) || count == 0 || count > RAFT_SERVERS_MAX)
		return RES_INVALID;
	for (uint64_t i = 0; i < count; i++)
		if (!decode_server(&c, out)) {
			raft_configuration_close(out);
			return RES_INVALID;
		}
	/* The rest fills it up to a multiple of 8. */
	if (cursor_left(&c) < 8)
		return RES_OK;
	raft_configuration_close(out);
	return RES_INVALID;
}

void
raft_codec_put_index(struct buf *out, uint64_t index)
{
	buf_add_u64(out, index);
}

uint64_t
raft_codec_index(const void *data, size_t len)
{
	struct cursor c;

	cursor_init(&c, data, len);
	return cursor_u64(&c);
}
