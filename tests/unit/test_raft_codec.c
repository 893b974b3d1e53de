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

/* Sample i of a message; false beyond the last. */
static bool
sample(size_t i, struct raft_message *m, struct raft_stamp *stamp)
{
	static struct raft_configuration conf;
	struct raft_append_entries *a = &m->append_entries;

	memset(m, 0, sizeof(*m));
	*stamp = (struct raft_stamp){ 0 };
	m->server_id = FROM;
	switch (i) {
	case 0:
		m->type = RAFT_IO_APPEND_ENTRIES;
		*a = (struct raft_append_entries){ .term = 9,
			.prev_log_index = 5,
			.prev_log_term = 3,
			.leader_commit = 4 };
		stamp->sent = 123456;
		return true;
	case 1:
		m->type = RAFT_IO_APPEND_ENTRIES;
		*a = (struct raft_append_entries){ .term = 9,
			.prev_log_index = 5,
			.prev_log_term = 3,
			.leader_commit = 99,
			.n_entries = 4 };
		a->entries = keep(4 * sizeof(*a->entries));
		a->entries[0] = command(3, 6, 13);
		a->entries[1] = change(4);
		a->entries[2] = barrier(9);
		a->entries[3] = command(9, 9, 0);
		return true;
	case 2:
		m->type = RAFT_IO_APPEND_ENTRIES_RESULT;
		m->append_entries_result =
		    (struct raft_append_entries_result){ 9, 5, 77 };
		stamp->echo = 55;
		stamp->synced = 66;
		stamp->willing = true;
		return true;
	case 3:
	case 4:
		m->type = RAFT_IO_REQUEST_VOTE;
		m->request_vote =
		    (struct raft_request_vote){ 9, FROM, 5, 3, i == 3, i == 4 };
		return true;
	case 5:
	case 6:
		m->type = RAFT_IO_REQUEST_VOTE_RESULT;
		m->request_vote_result = (struct raft_request_vote_result){ 9,
			i == 5, TO_RAFT_TRIBOOL(i == 6) };
		return true;
	case 7:
		if (conf.n == 0)
			conf = configuration(5);
		m->type = RAFT_IO_INSTALL_SNAPSHOT;
		m->install_snapshot = (struct raft_install_snapshot){ 9, 50, 8,
			conf, 30, { keep(RAFT_INDEX_SIZE), RAFT_INDEX_SIZE } };
		return true;
	case 8:
		m->type = RAFT_IO_TIMEOUT_NOW;
		m->timeout_now = (struct raft_timeout_now){ 9, 50, 8 };
		return true;
	default:
		raft_configuration_close(&conf);
		raft_configuration_init(&conf);
		return false;
	}
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
static void
what_no_leader_sends_is_refused(void **state)
{
	enum wrong {
		NOTHING,
		TERM_ZERO,
		TERM_HUGE,
		PREV_TERM_WITHOUT_INDEX,
		PREV_INDEX_WITHOUT_TERM,
		PREV_TERM_ABOVE_TERM,
		ENTRY_TERM_ABOVE_TERM,
		ENTRY_TERM_GOES_BACK,
		ENTRY_TERM_BELOW_PREV,
		ENTRY_TYPE_ZERO,
		ENTRY_TYPE_FOUR,
		ENTRY_EMPTY,
		ENTRY_INDEX,
		ENTRY_BAD_CONFIGURATION,
		ENTRY_TOO_LONG,
		WRONGS
	};
	struct raft_message m, out;
	struct raft_append_entries *a = &m.append_entries;
	struct raft_stamp stamp;
	struct buf b;
	int rc;

	(void)state;
	for (int w = NOTHING; w < WRONGS; w++) {
		sample(1, &m, &stamp);
		a->term = w == TERM_ZERO ? 0
		    : w == TERM_HUGE     ? 1ULL << 63
					 : a->term;
		if (w == PREV_TERM_WITHOUT_INDEX)
			a->prev_log_index = 0;
		if (w == PREV_INDEX_WITHOUT_TERM)
			a->prev_log_term = 0;
		if (w == PREV_TERM_ABOVE_TERM)
			a->prev_log_term = 10;
		if (w == ENTRY_TERM_ABOVE_TERM)
			a->entries[3].term = 10;
		if (w == ENTRY_TERM_GOES_BACK)
			a->entries[3].term = 8;
		if (w == ENTRY_TERM_BELOW_PREV)
			a->entries[0].term = 2;
		if (w == ENTRY_TYPE_ZERO)
			a->entries[2].type = 0;
		if (w == ENTRY_TYPE_FOUR)
			a->entries[2].type = 4;
		if (w == ENTRY_EMPTY)
			a->entries[2].buf.len = 0;
		if (w == ENTRY_INDEX)
			a->entries[3] = command(9, 10, 5);
		if (w == ENTRY_BAD_CONFIGURATION)
			a->entries[1].buf.len = 9;
		if (w == ENTRY_TOO_LONG)
			a->entries[3] = command(9, 9, RAFT_ENTRY_MAX);
		b = frame_of(&m, &stamp);
		rc = raft_codec_decode(
		    b.data + 4, b.len - 4, FROM, &out, &stamp);
		if (rc != (w == NOTHING ? RES_OK : RES_INVALID))
			fail_msg("wrong %d: %d", w, rc);
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

	return cmocka_run_group_tests(tests, NULL, NULL);
}
