/*
 * Raft's wire format: what is written is read, and nothing else.
 */
#include "xmppd/cluster/raft_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/result.h"
#include "common/xmalloc.h"

#define FROM 7

/* A configuration for the snapshots; made and freed by the group. */
static struct raft_configuration shared;

/* Memory as libraft would have it, freed by free_all(). */
static void *kept[512];
static size_t kept_count;

static void *
keep(size_t len)
{
	return kept[kept_count++] = raft_calloc(1, len);
}

static void
free_all(void)
{
	while (kept_count > 0)
		raft_free(kept[--kept_count]);
}

static struct raft_entry
command(uint64_t term, uint64_t index, size_t len)
{
	struct raft_entry e = { .term = term, .type = RAFT_COMMAND };
	struct buf b = { 0 };

	raft_codec_put_index(&b, index);
	e.buf.len = RAFT_INDEX_SIZE + len;
	e.buf.base = keep(e.buf.len);
	memset(e.buf.base, 'c', e.buf.len);
	memcpy(e.buf.base, b.data, b.len);
	buf_clear(&b);
	return e;
}

static struct raft_entry
barrier(uint64_t term)
{
	struct raft_entry e = { .term = term, .type = RAFT_BARRIER };

	e.buf.len = 8;
	e.buf.base = keep(8);
	return e;
}

static struct raft_configuration
configuration(unsigned n)
{
	struct raft_configuration conf;
	char address[16];

	raft_configuration_init(&conf);
	for (unsigned i = 1; i <= n; i++) {
		snprintf(address, sizeof(address), "%u", i);
		assert_int_equal(
		    raft_configuration_add(&conf, i, address, (int)(i % 3)), 0);
	}
	return conf;
}

static struct raft_entry
change(uint64_t term)
{
	struct raft_entry e = { .term = term, .type = RAFT_CHANGE };
	struct raft_configuration conf = configuration(3);

	assert_int_equal(raft_configuration_encode(&conf, &e.buf), 0);
	kept[kept_count++] = e.buf.base;
	raft_configuration_close(&conf);
	return e;
}

static void
make_heartbeat(struct raft_message *m, struct raft_stamp *stamp)
{
	m->type = RAFT_IO_APPEND_ENTRIES;
	m->append_entries = (struct raft_append_entries){
		.term = 9, .prev_log_index = 5, .prev_log_term = 3
	};
	m->append_entries.leader_commit = 4;
	stamp->sent = 123456;
}

static void
make_append(struct raft_message *m, struct raft_stamp *stamp)
{
	struct raft_append_entries *a = &m->append_entries;

	make_heartbeat(m, stamp);
	a->n_entries = 4;
	a->entries = keep(4 * sizeof(*a->entries));
	a->entries[0] = command(3, 6, 13);
	a->entries[1] = change(4);
	a->entries[2] = barrier(9);
	a->entries[3] = command(9, 9, 0);
}

static void
make_append_result(struct raft_message *m, struct raft_stamp *stamp)
{
	m->type = RAFT_IO_APPEND_ENTRIES_RESULT;
	m->append_entries_result.term = 9;
	m->append_entries_result.rejected = 5;
	m->append_entries_result.last_log_index = 77;
	stamp->echo = 55;
	stamp->synced = 66;
	stamp->willing = true;
}

static void
make_vote(struct raft_message *m, struct raft_stamp *stamp)
{
	(void)stamp;
	m->type = RAFT_IO_REQUEST_VOTE;
	m->request_vote.term = 9;
	m->request_vote.candidate_id = FROM;
	m->request_vote.last_log_index = 5;
	m->request_vote.last_log_term = 3;
	m->request_vote.disrupt_leader = true;
}

static void
make_pre_vote(struct raft_message *m, struct raft_stamp *stamp)
{
	make_vote(m, stamp);
	m->request_vote.disrupt_leader = false;
	m->request_vote.pre_vote = true;
}

static void
make_vote_result(struct raft_message *m, struct raft_stamp *stamp)
{
	(void)stamp;
	m->type = RAFT_IO_REQUEST_VOTE_RESULT;
	m->request_vote_result.term = 9;
	m->request_vote_result.vote_granted = true;
	m->request_vote_result.pre_vote = raft_tribool_true;
}

static void
make_snapshot(struct raft_message *m, struct raft_stamp *stamp)
{
	struct raft_install_snapshot *s = &m->install_snapshot;

	(void)stamp;
	m->type = RAFT_IO_INSTALL_SNAPSHOT;
	s->term = 9;
	s->last_index = 50;
	s->last_term = 8;
	s->conf_index = 30;
	s->conf = shared;
	s->data.base = keep(RAFT_INDEX_SIZE);
	s->data.len = RAFT_INDEX_SIZE;
}

static void
make_timeout(struct raft_message *m, struct raft_stamp *stamp)
{
	(void)stamp;
	m->type = RAFT_IO_TIMEOUT_NOW;
	m->timeout_now.term = 9;
	m->timeout_now.last_log_index = 50;
	m->timeout_now.last_log_term = 8;
}

typedef void (*make_fn)(struct raft_message *m, struct raft_stamp *stamp);

static const make_fn samples[] = { make_heartbeat, make_append,
	make_append_result, make_vote, make_pre_vote, make_vote_result,
	make_snapshot, make_timeout };

/* Sample i of a message; false beyond the last. */
static bool
sample(size_t i, struct raft_message *m, struct raft_stamp *stamp)
{
	if (i == sizeof(samples) / sizeof(samples[0]))
		return false;
	memset(m, 0, sizeof(*m));
	*stamp = (struct raft_stamp){ 0 };
	m->server_id = FROM;
	samples[i](m, stamp);
	return true;
}

static struct buf
frame_of(const struct raft_message *m, const struct raft_stamp *stamp)
{
	struct buf b = { 0 };

	raft_codec_encode(&b, m, stamp);
	return b;
}

/* What is written again is the same: so all has been read. */
static void
what_is_written_is_read(void **state)
{
	struct raft_message m, out;
	struct raft_stamp stamp, out_stamp;
	struct buf first, second;

	(void)state;
	for (size_t i = 0; sample(i, &m, &stamp); i++) {
		first = frame_of(&m, &stamp);
		if (raft_codec_decode(first.data + 4, first.len - 4, FROM, &out,
			&out_stamp) != RES_OK)
			fail_msg("sample %zu is not read", i);
		assert_int_equal(out.type, m.type);
		assert_int_equal(out.server_id, FROM);
		second = frame_of(&out, &out_stamp);
		assert_int_equal(first.len, second.len);
		assert_memory_equal(first.data, second.data, first.len);
		raft_codec_release(&out);
		buf_clear(&first);
		buf_clear(&second);
	}
	free_all();
}

static void
cut_anywhere_it_is_refused(void **state)
{
	struct raft_message m, out;
	struct raft_stamp stamp;
	struct buf b;

	(void)state;
	for (size_t i = 0; sample(i, &m, &stamp); i++) {
		b = frame_of(&m, &stamp);
		for (size_t len = 0; len < b.len - 4; len++) {
			/* A copy of that size: a read beyond it is seen. */
			uint8_t *cut = xmalloc(len + 1);

			memcpy(cut, b.data + 4, len);
			if (raft_codec_decode(cut, len, FROM, &out, &stamp) !=
			    RES_INVALID)
				fail_msg("sample %zu, %zu bytes", i, len);
			free(cut);
		}
		buf_add_u8(&b, 0);
		assert_int_equal(raft_codec_decode(
				     b.data + 4, b.len - 4, FROM, &out, &stamp),
		    RES_INVALID);
		buf_clear(&b);
	}
	free_all();
}

/* Any change of any byte is refused, or gives another well-formed message. */
static void
changed_anywhere_it_does_no_harm(void **state)
{
	struct raft_message m, out;
	struct raft_stamp stamp;
	struct buf b;

	(void)state;
	for (size_t i = 0; sample(i, &m, &stamp); i++) {
		b = frame_of(&m, &stamp);
		for (size_t at = 4; at < b.len; at++)
			for (unsigned v = 0; v < 256; v += 5) {
				uint8_t was = b.data[at];

				b.data[at] = (uint8_t)v;
				if (raft_codec_decode(b.data + 4, b.len - 4,
					FROM, &out, &stamp) == RES_OK)
					raft_codec_release(&out);
				b.data[at] = was;
			}
		buf_clear(&b);
	}
	free_all();
}

/* One field of a well-formed AppendEntries, made wrong. */
typedef void (*spoil_fn)(struct raft_append_entries *a);

static void
nothing(struct raft_append_entries *a)
{
	(void)a;
}

static void
term_zero(struct raft_append_entries *a)
{
	a->term = 0;
}

static void
term_huge(struct raft_append_entries *a)
{
	a->term = 1ULL << 63;
}

static void
previous_term_without_index(struct raft_append_entries *a)
{
	a->prev_log_index = 0;
}

static void
previous_index_without_term(struct raft_append_entries *a)
{
	a->prev_log_term = 0;
}

static void
previous_term_above_term(struct raft_append_entries *a)
{
	a->prev_log_term = 10;
}

static void
entry_term_above_term(struct raft_append_entries *a)
{
	a->entries[3].term = 10;
}

static void
entry_term_goes_back(struct raft_append_entries *a)
{
	a->entries[3].term = 8;
}

static void
entry_term_below_previous(struct raft_append_entries *a)
{
	a->entries[0].term = 2;
}

static void
entry_type_zero(struct raft_append_entries *a)
{
	a->entries[2].type = 0;
}

static void
entry_type_four(struct raft_append_entries *a)
{
	a->entries[2].type = 4;
}

static void
entry_empty(struct raft_append_entries *a)
{
	a->entries[2].buf.len = 0;
}

static void
entry_with_another_index(struct raft_append_entries *a)
{
	a->entries[3] = command(9, 10, 5);
}

static void
entry_with_a_cut_configuration(struct raft_append_entries *a)
{
	a->entries[1].buf.len = 9;
}

static void
entry_too_long(struct raft_append_entries *a)
{
	a->entries[3] = command(9, 9, RAFT_ENTRY_MAX);
}

static void
what_no_leader_sends_is_refused(void **state)
{
	static const spoil_fn rows[] = { nothing, term_zero, term_huge,
		previous_term_without_index, previous_index_without_term,
		previous_term_above_term, entry_term_above_term,
		entry_term_goes_back, entry_term_below_previous,
		entry_type_zero, entry_type_four, entry_empty,
		entry_with_another_index, entry_with_a_cut_configuration,
		entry_too_long };
	struct raft_message m, out;
	struct raft_stamp stamp;
	struct buf b;
	int rc;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sample(1, &m, &stamp);
		rows[i](&m.append_entries);
		b = frame_of(&m, &stamp);
		rc = raft_codec_decode(
		    b.data + 4, b.len - 4, FROM, &out, &stamp);
		if (rc != (rows[i] == nothing ? RES_OK : RES_INVALID))
			fail_msg("row %zu: %d", i, rc);
		if (rc == RES_OK)
			raft_codec_release(&out);
		buf_clear(&b);
		free_all();
	}
}

static void
a_candidate_speaks_for_itself(void **state)
{
	struct raft_message m, out;
	struct raft_stamp stamp;
	struct buf b;

	(void)state;
	sample(3, &m, &stamp);
	b = frame_of(&m, &stamp);
	assert_int_equal(
	    raft_codec_decode(b.data + 4, b.len - 4, FROM + 1, &out, &stamp),
	    RES_INVALID);
	buf_clear(&b);
}

/* Trap 15: many entries go in several messages, each whole by itself. */
static void
many_entries_are_split(void **state)
{
	struct raft_message m = { .type = RAFT_IO_APPEND_ENTRIES }, out;
	struct raft_append_entries *a = &m.append_entries;
	struct raft_stamp stamp = { .sent = 5 }, got;
	struct buf b;
	struct cursor c;
	uint64_t next = 101, term = 2;
	unsigned frames = 0;
	const uint8_t *frame;
	size_t len;

	(void)state;
	a->term = 9;
	a->prev_log_index = 100;
	a->prev_log_term = 2;
	a->leader_commit = 140;
	a->n_entries = 60;
	a->entries = keep(60 * sizeof(*a->entries));
	for (unsigned i = 0; i < 60; i++)
		a->entries[i] =
		    command(2 + i / 10, 101 + i, i == 30 ? 3U << 20 : 100000);
	b = frame_of(&m, &stamp);
	cursor_init(&c, b.data, b.len);
	while (cursor_left(&c) > 0) {
		frame = cursor_block(&c, &len);
		assert_non_null(frame);
		assert_true(len < RAFT_FRAME_MAX);
		assert_int_equal(
		    raft_codec_decode(frame, len, FROM, &out, &got), RES_OK);
		a = &out.append_entries;
		assert_int_equal(a->prev_log_index, next - 1);
		assert_int_equal(a->prev_log_term, term);
		assert_int_equal(got.sent, 5);
		assert_true(a->n_entries > 0);
		next += a->n_entries;
		term = a->entries[a->n_entries - 1].term;
		raft_codec_release(&out);
		frames++;
	}
	assert_int_equal(next, 161);
	assert_in_range(frames, 7, 20);
	buf_clear(&b);
	free_all();
}

static void
a_configuration_is_read_as_libraft_writes_it(void **state)
{
	struct raft_configuration conf, out;
	struct raft_buffer b;

	(void)state;
	for (unsigned n = 1; n <= 9; n++) {
		conf = configuration(n);
		assert_int_equal(raft_configuration_encode(&conf, &b), 0);
		assert_int_equal(
		    raft_codec_configuration(b.base, b.len, &out), RES_OK);
		assert_int_equal(out.n, n);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(out.servers[i].id, conf.servers[i].id);
			assert_int_equal(
			    out.servers[i].role, conf.servers[i].role);
			assert_string_equal(
			    out.servers[i].address, conf.servers[i].address);
		}
		raft_configuration_close(&out);
		for (size_t len = 0; len + 8 < b.len; len++)
			assert_int_equal(
			    raft_codec_configuration(b.base, len, &out),
			    RES_INVALID);
		raft_free(b.base);
		raft_configuration_close(&conf);
	}
	/* Twice the same server; an unknown role. */
	assert_int_equal(raft_codec_configuration("\1\2\0\0\0\0\0\0\0"
						  "\1\0\0\0\0\0\0\0"
						  "1\0\1"
						  "\1\0\0\0\0\0\0\0"
						  "2\0\1",
			     31, &out),
	    RES_INVALID);
	assert_int_equal(raft_codec_configuration("\1\1\0\0\0\0\0\0\0"
						  "\1\0\0\0\0\0\0\0"
						  "1\0\3",
			     20, &out),
	    RES_INVALID);
}

static int
make_shared(void **state)
{
	(void)state;
	shared = configuration(5);
	return 0;
}

static int
free_shared(void **state)
{
	(void)state;
	raft_configuration_close(&shared);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(cut_anywhere_it_is_refused),
		cmocka_unit_test(changed_anywhere_it_does_no_harm),
		cmocka_unit_test(what_no_leader_sends_is_refused),
		cmocka_unit_test(a_candidate_speaks_for_itself),
		cmocka_unit_test(many_entries_are_split),
		cmocka_unit_test(a_configuration_is_read_as_libraft_writes_it),
	};

	return cmocka_run_group_tests(tests, make_shared, free_shared);
}
