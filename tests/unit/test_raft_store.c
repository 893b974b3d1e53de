/*
 * Raft's durable state: what was promised is there after a crash, and after an
 * error nothing is promised any more.
 */
#include "xmppd/cluster/raft_store.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "tests/lib/tree.h"

struct fixture {
	char dir[64], copy[64];
	struct raft_store *s;
	unsigned failures;
	char why[256];
};

static void
on_failed(void *arg, const char *why)
{
	struct fixture *f = arg;

	f->failures++;
	snprintf(f->why, sizeof(f->why), "%s", why);
}

static void
must_open(struct fixture *f, const char *dir)
{
	struct error e;

	f->s = raft_store_open(dir, on_failed, f, &e);
	if (f->s == NULL)
		fail_msg("%s", e.text);
}

static void
reopen(struct fixture *f)
{
	raft_store_close(f->s);
	must_open(f, f->dir);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/test_raft_store.XXXXXX");
	snprintf(f->copy, sizeof(f->copy), "/tmp/test_raft_store.XXXXXX");
	if (mkdtemp(f->dir) == NULL || mkdtemp(f->copy) == NULL)
		return -1;
	must_open(f, f->dir);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	raft_store_close(f->s);
	tree_remove(f->dir);
	tree_remove(f->copy);
	free(f);
	return 0;
}

static int
append(struct fixture *f, uint64_t term, const char *text)
{
	struct raft_store_entry e = {
		.term = term, .type = 1, .data = text, .len = strlen(text)
	};

	return raft_store_append(f->s, &e, 1);
}

static int
mark(struct fixture *f, uint64_t index, uint64_t trailing)
{
	struct raft_store_marker m = {
		.index = index, .term = 2, .conf_index = 1
	};
	int rc;

	buf_add_str(&m.conf, "conf");
	buf_add_str(&m.data, "data");
	rc = raft_store_put_marker(f->s, &m, trailing);
	raft_store_marker_clear(&m);
	return rc;
}

static int
describe_entry(void *arg, uint64_t index, const struct raft_store_entry *e)
{
	buf_addf(arg, " %llu:%llu:%.*s", (unsigned long long)index,
	    (unsigned long long)e->term, (int)e->len, (const char *)e->data);
	return 0;
}

/* All of it as a line of text; the caller frees. */
static char *
describe(struct raft_store *s)
{
	struct raft_store_marker m;
	struct buf b = { 0 };

	assert_int_equal(raft_store_get_marker(s, &m), RES_OK);
	buf_addf(&b, "term %llu vote %llu marker %llu [%llu,%llu]",
	    (unsigned long long)raft_store_term(s),
	    (unsigned long long)raft_store_vote(s), (unsigned long long)m.index,
	    (unsigned long long)raft_store_first(s),
	    (unsigned long long)raft_store_last(s));
	raft_store_marker_clear(&m);
	assert_int_equal(raft_store_each(s, 0, describe_entry, &b), RES_OK);
	return buf_steal_str(&b);
}

static void
assert_is(struct fixture *f, const char *want)
{
	char *text = describe(f->s);

	assert_string_equal(text, want);
	free(text);
}

static void
a_new_one_is_empty(void **state)
{
	assert_is(*state, "term 0 vote 0 marker 0 [1,0]");
}

static void
each_step_is_there_after_a_restart(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(raft_store_set_term(f->s, 3), RES_OK);
	assert_int_equal(raft_store_set_vote(f->s, 7), RES_OK);
	reopen(f);
	assert_is(f, "term 3 vote 7 marker 0 [1,0]");
	/* A new term has no vote. */
	assert_int_equal(raft_store_set_term(f->s, 4), RES_OK);
	reopen(f);
	assert_is(f, "term 4 vote 0 marker 0 [1,0]");
	append(f, 1, "a");
	append(f, 2, "b");
	append(f, 2, "c");
	reopen(f);
	assert_is(f, "term 4 vote 0 marker 0 [1,3] 1:1:a 2:2:b 3:2:c");
	assert_int_equal(raft_store_truncate(f->s, 3), RES_OK);
	assert_int_equal(raft_store_truncate(f->s, 9), RES_OK);
	append(f, 4, "d");
	reopen(f);
	assert_is(f, "term 4 vote 0 marker 0 [1,3] 1:1:a 2:2:b 3:4:d");
	assert_int_equal(raft_store_truncate(f->s, 1), RES_OK);
	assert_is(f, "term 4 vote 0 marker 0 [1,0]");
	append(f, 5, "e");
	reopen(f);
	assert_is(f, "term 4 vote 0 marker 0 [1,1] 1:5:e");
}

static void
a_marker_drops_the_logs_beginning(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 6; i++)
		append(f, 2, "x");
	assert_int_equal(mark(f, 4, 9), RES_OK);
	reopen(f);
	assert_is(f,
	    "term 0 vote 0 marker 4 [1,6] 1:2:x 2:2:x 3:2:x 4:2:x "
	    "5:2:x 6:2:x");
	assert_int_equal(mark(f, 5, 2), RES_OK);
	reopen(f);
	assert_is(f, "term 0 vote 0 marker 5 [4,6] 4:2:x 5:2:x 6:2:x");
	/* One that was sent replaces everything. */
	assert_int_equal(mark(f, 50, 0), RES_OK);
	assert_is(f, "term 0 vote 0 marker 50 [51,50]");
	reopen(f);
	assert_is(f, "term 0 vote 0 marker 50 [51,50]");
	append(f, 3, "y");
	reopen(f);
	assert_is(f, "term 0 vote 0 marker 50 [51,51] 51:3:y");
}

static void
a_marker_is_read_as_written(void **state)
{
	struct fixture *f = *state;
	struct raft_store_marker m;

	append(f, 2, "x");
	mark(f, 1, 1);
	reopen(f);
	assert_int_equal(raft_store_get_marker(f->s, &m), RES_OK);
	assert_int_equal(m.index, 1);
	assert_int_equal(m.term, 2);
	assert_int_equal(m.conf_index, 1);
	assert_string_equal(buf_str(&m.conf), "conf");
	assert_string_equal(buf_str(&m.data), "data");
	raft_store_marker_clear(&m);
}

static void
the_newest_entry_of_a_type_is_found(void **state)
{
	struct fixture *f = *state;
	struct raft_store_entry e[] = { { 1, 3, "a", 1 }, { 1, 1, "b", 1 },
		{ 1, 3, "c", 1 }, { 1, 2, "d", 1 } };
	struct buf b = { 0 };
	uint64_t index;

	raft_store_append(f->s, e, 4);
	assert_int_equal(raft_store_newest(f->s, 3, 100, &index, &b), RES_OK);
	assert_int_equal(index, 3);
	assert_string_equal(buf_str(&b), "c");
	buf_reset(&b);
	raft_store_newest(f->s, 3, 3, &index, &b);
	assert_int_equal(index, 1);
	raft_store_newest(f->s, 3, 1, &index, &b);
	assert_int_equal(index, 0);
	buf_clear(&b);
}

static void
any_bytes_and_lengths_are_kept(void **state)
{
	struct fixture *f = *state;
	struct raft_store_entry e[40];
	char data[400];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)i;
	for (size_t i = 0; i < 40; i++)
		e[i] = (struct raft_store_entry){ 1, 1, data, i * 7 };
	assert_int_equal(raft_store_append(f->s, e, 40), RES_OK);
	reopen(f);
	assert_int_equal(raft_store_last(f->s), 40);
	for (size_t i = 0; i < 40; i++) {
		struct buf b = { 0 };
		uint64_t index;

		raft_store_newest(f->s, 1, i + 2, &index, &b);
		assert_int_equal(index, i + 1);
		assert_int_equal(b.len, i * 7);
		if (b.len > 0)
			assert_memory_equal(b.data, data, b.len);
		buf_clear(&b);
	}
}

static void
two_do_not_open_the_same(void **state)
{
	struct fixture *f = *state;
	struct error e;

	assert_null(raft_store_open(f->dir, NULL, NULL, &e));
	assert_int_equal(e.code, RES_IO);
	assert_non_null(strstr(e.text, "raft.db"));
}

static void
what_is_no_log_is_refused(void **state)
{
	struct fixture *f = *state;
	struct error e;
	char *path;

	xasprintf(&path, "%s/raft.db", f->copy);
	assert_int_equal(
	    file_write(path, "rubbish, rubbish, rubbish", 25, 0600), 0);
	assert_null(raft_store_open(f->copy, NULL, NULL, &e));
	assert_int_equal(e.code, RES_IO);
	free(path);
	assert_null(raft_store_open("/nonexistent", NULL, NULL, &e));
	assert_int_equal(e.code, RES_IO);
}

/* ---- crashes ------------------------------------------------------------- */

#define STEPS 14

static void
step(struct fixture *f, unsigned i)
{
	switch (i % 7) {
	case 0:
		raft_store_set_term(f->s, i + 1);
		break;
	case 1:
		raft_store_set_vote(f->s, i);
		break;
	case 5:
		raft_store_truncate(f->s, raft_store_last(f->s));
		break;
	case 6:
		mark(f, raft_store_last(f->s), 1);
		break;
	default:
		append(f, i, "some bytes of an entry");
	}
}

static void
copy_file(const struct fixture *f, const char *name, size_t len)
{
	char *from, *to, *data;
	size_t have;

	xasprintf(&from, "%s/%s", f->dir, name);
	xasprintf(&to, "%s/%s", f->copy, name);
	data = file_read(from, 1 << 24, &have);
	assert_non_null(data);
	assert_int_equal(
	    file_write(to, data, len < have ? len : have, 0600), 0);
	free(data);
	free(from);
	free(to);
}

static size_t
wal_size(const struct fixture *f)
{
	char *path, *data;
	size_t len;

	xasprintf(&path, "%s/raft.db-wal", f->dir);
	data = file_read(path, 1 << 24, &len);
	assert_non_null(data);
	free(data);
	free(path);
	return len;
}

/*
 * The write-ahead log, cut at any place as by a loss of power in the middle of
 * a write: what is found is exactly one of the states that there have been, and
 * never an older one than a shorter log has given.
 */
static void
cut_anywhere_it_is_a_state_that_has_been(void **state)
{
	struct fixture *f = *state, torn = { 0 };
	char *states[STEPS + 1], *text;
	size_t size, at = 0;
	unsigned now;

	for (unsigned i = 0; i < STEPS; i++) {
		states[i] = describe(f->s);
		step(f, i);
	}
	states[STEPS] = describe(f->s);
	size = wal_size(f);
	for (size_t len = 0; len <= size; len += len + 512 > size ? 1 : 509) {
		copy_file(f, "raft.db", SIZE_MAX);
		copy_file(f, "raft.db-wal", len);
		torn.s = raft_store_open(f->copy, NULL, NULL, NULL);
		/* Without its tables it is as if it had never been. */
		assert_non_null(torn.s);
		text = describe(torn.s);
		raft_store_close(torn.s);
		for (now = (unsigned)at; now <= STEPS; now++)
			if (strcmp(states[now], text) == 0)
				break;
		if (now > STEPS)
			fail_msg("cut at %zu of %zu: %s", len, size, text);
		at = now;
		free(text);
	}
	assert_int_equal(at, STEPS);
	for (unsigned i = 0; i <= STEPS; i++)
		free(states[i]);
}

/* The file may not grow any more: as on a full disk. */
static void
after_an_error_nothing_is_promised(void **state)
{
	struct fixture *f = *state;
	struct rlimit was, none = { 0, 0 };
	char *before, *big = xcalloc(1, 1 << 20);

	raft_store_set_term(f->s, 5);
	append(f, 5, "kept");
	before = describe(f->s);
	memset(big, 'b', (1 << 20) - 1);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	none.rlim_cur = 4096;
	none.rlim_max = was.rlim_max;
	setrlimit(RLIMIT_FSIZE, &none);
	assert_int_equal(append(f, 5, big), RES_IO);
	assert_int_equal(f->failures, 1);
	assert_non_null(strstr(f->why, "raft.db"));
	setrlimit(RLIMIT_FSIZE, &was);
	/* Room again; but who failed once isn't believed any more. */
	assert_int_equal(append(f, 5, "more"), RES_IO);
	assert_int_equal(raft_store_set_term(f->s, 6), RES_IO);
	assert_int_equal(raft_store_set_vote(f->s, 6), RES_IO);
	assert_int_equal(raft_store_truncate(f->s, 1), RES_IO);
	assert_int_equal(mark(f, 1, 1), RES_IO);
	assert_int_equal(f->failures, 1);
	reopen(f);
	assert_is(f, before);
	free(before);
	free(big);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_new_one_is_empty),
		T(each_step_is_there_after_a_restart),
		T(a_marker_drops_the_logs_beginning),
		T(a_marker_is_read_as_written),
		T(the_newest_entry_of_a_type_is_found),
		T(any_bytes_and_lengths_are_kept),
		T(two_do_not_open_the_same),
		T(what_is_no_log_is_refused),
		T(cut_anywhere_it_is_a_state_that_has_been),
		T(after_an_error_nothing_is_promised),
	};

	log_set_level(LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
