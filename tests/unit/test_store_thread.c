/*
 * The store with its thread: order, what readers see, copies made and taken
 * under writes, and the end.
 */
#include "xmppd/cluster/store.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/crypto.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "tests/lib/store_fixture.h"

struct fixture {
	struct store_fixture plain; /* the same entries, without a thread */
	struct store_fixture threaded;
	struct event_base *base;
	uint64_t seen;    /* newest index that was reported */
	size_t not_there; /* events whose effect couldn't be read */
	uint64_t until;   /* the loop ends with this index */
	size_t done;      /* copies and installs */
	int code;
	uint64_t copy_index;
	uint8_t sha256[32];
};

static void
applied_cb(void *arg, const struct store_event *event)
{
	struct fixture *f = arg;
	char *value;

	assert_true(event->index >= f->seen);
	f->seen = event->index;
	if (event->what == STORE_SETTING) {
		value = store_setting(f->threaded.store, event->name);
		f->not_there += value == NULL;
		free(value);
	}
	if (event->index == f->until)
		event_base_loopbreak(f->base);
}

static void
replaced_cb(void *arg)
{
	struct fixture *f = arg;

	f->threaded.replaced++;
}

static void
failed_cb(void *arg, const char *why)
{
	struct fixture *f = arg;

	snprintf(f->threaded.failed, sizeof(f->threaded.failed), "%s", why);
	event_base_loopbreak(f->base);
}

static void
copied_cb(void *arg, int code, uint64_t index, const uint8_t sha256[32])
{
	struct fixture *f = arg;

	f->done++;
	f->code = code;
	f->copy_index = index;
	memcpy(f->sha256, sha256, 32);
	event_base_loopbreak(f->base);
}

static void
installed_cb(void *arg, int code, uint64_t index)
{
	struct fixture *f = arg;

	f->done++;
	f->code = code;
	f->copy_index = index;
	event_base_loopbreak(f->base);
}

static void
open_threaded(struct fixture *f)
{
	struct store_callbacks cb = { applied_cb, replaced_cb, failed_cb, f };
	struct error e = { 0 };

	f->threaded.store = store_open(f->threaded.dir, f->base, &cb, &e);
	assert_string_equal(e.text, "");
	assert_non_null(f->threaded.store);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	store_fixture_init(&f->plain);
	store_fixture_init(&f->threaded);
	store_close(f->threaded.store);
	f->base = event_base_new();
	open_threaded(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	store_fixture_clear(&f->threaded);
	store_fixture_clear(&f->plain);
	event_base_free(f->base);
	free(f);
	return 0;
}

/* Entry `index`: a setting of its own, and `size` bytes in another. */
static void
make_entry(struct buf *entry, uint64_t index, size_t size)
{
	struct buf command = { 0 };
	char name[32], *value = xmalloc(size + 1);

	snprintf(name, sizeof(name), "s%llu", (unsigned long long)index);
	store_cmd_setting(&command, name, "x");
	store_entry_add(
	    entry, &(struct store_proposal){ 0, 0, command.data, command.len });
	buf_reset(&command);
	memset(value, 'a' + (char)(index % 26), size);
	value[size] = '\0';
	snprintf(
	    name, sizeof(name), "big%llu", (unsigned long long)(index % 300));
	store_cmd_setting(&command, name, value);
	store_entry_add(
	    entry, &(struct store_proposal){ 0, 0, command.data, command.len });
	buf_clear(&command);
	free(value);
}

static void
feed(struct store *s, uint64_t from, uint64_t to, size_t size)
{
	struct buf entry = { 0 };

	for (uint64_t index = from; index <= to; index++) {
		buf_reset(&entry);
		make_entry(&entry, index, size);
		store_apply(s, index, entry.data, entry.len);
	}
	buf_clear(&entry);
}

static void
run_until(struct fixture *f, uint64_t index)
{
	f->until = index;
	while (f->seen < index && f->threaded.failed[0] == '\0')
		event_base_loop(f->base, EVLOOP_ONCE);
}

static void
run_until_done(struct fixture *f, size_t count)
{
	while (f->done < count && f->threaded.failed[0] == '\0')
		event_base_loop(f->base, EVLOOP_ONCE);
}

static void
assert_same(struct store *a, struct store *b)
{
	uint8_t da[32], db[32];

	store_digest(a, da);
	store_digest(b, db);
	assert_memory_equal(da, db, 32);
}

static void
events_come_in_order_and_their_effects_can_be_read(void **state)
{
	struct fixture *f = *state;

	feed(f->threaded.store, 1, 3000, 10);
	run_until(f, 3000);
	assert_int_equal(f->not_there, 0);
	assert_int_equal(store_applied_index(f->threaded.store), 3000);
	feed(f->plain.store, 1, 3000, 10);
	assert_same(f->threaded.store, f->plain.store);
}

static void
close_applies_what_is_queued(void **state)
{
	struct fixture *f = *state;

	feed(f->threaded.store, 1, 2000, 10);
	store_close(f->threaded.store);
	open_threaded(f);
	assert_int_equal(store_applied_index(f->threaded.store), 2000);
	assert_int_equal(f->seen, 0);
}

static void
sync_is_reached_without_waiting_for_it(void **state)
{
	struct fixture *f = *state;

	feed(f->threaded.store, 1, 10, 10);
	store_sync(f->threaded.store);
	feed(f->threaded.store, 11, 11, 10);
	run_until(f, 11);
	assert_true(store_synced_index(f->threaded.store) >= 10);
}

/* Writes go on while a copy is made; it is taken by a fresh store, which is
 * then fed from the copy's index on. */
static void
copy_made_under_writes_is_a_state_to_go_on_from(void **state)
{
	struct fixture *f = *state;
	char path[96], *file;
	uint8_t sha256[32];
	struct stat st;
	uint64_t index = 600;
	size_t len;

	snprintf(path, sizeof(path), "%s/copy", f->threaded.dir);
	feed(f->threaded.store, 1, index, 9000);
	run_until(f, index);
	store_copy(f->threaded.store, path, copied_cb, f);
	while (f->done == 0) {
		feed(f->threaded.store, index + 1, index + 5, 9000);
		index += 5;
		event_base_loop(f->base, EVLOOP_ONCE);
	}
	run_until(f, index);
	assert_int_equal(f->code, RES_OK);
	assert_in_range(f->copy_index, 600, index);
	file = file_read(path, 1 << 30, &len);
	crypto_sha256(file, len, sha256);
	free(file);
	assert_memory_equal(sha256, f->sha256, 32);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	store_install(f->plain.store, path, installed_cb, f);
	assert_int_equal(f->done, 2);
	assert_int_equal(f->code, RES_OK);
	assert_int_equal(store_applied_index(f->plain.store), f->copy_index);
	assert_int_equal(f->plain.replaced, 1);
	assert_int_equal(access(path, F_OK), -1);
	feed(f->plain.store, 1, index, 9000);
	assert_same(f->threaded.store, f->plain.store);
}

static void
copies_are_made_one_after_the_other(void **state)
{
	struct fixture *f = *state;
	char path[2][96];

	feed(f->threaded.store, 1, 300, 5000);
	for (int i = 0; i < 2; i++) {
		snprintf(
		    path[i], sizeof(path[i]), "%s/copy%d", f->threaded.dir, i);
		store_copy(f->threaded.store, path[i], copied_cb, f);
	}
	run_until_done(f, 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(access(path[i], F_OK), 0);
}

static void
copy_that_has_no_place_is_only_an_error(void **state)
{
	struct fixture *f = *state;

	feed(f->threaded.store, 1, 10, 10);
	store_copy(f->threaded.store, "/nowhere/copy", copied_cb, f);
	run_until_done(f, 1);
	assert_int_equal(f->code, RES_IO);
	feed(f->threaded.store, 11, 11, 10);
	run_until(f, 11);
	assert_string_equal(f->threaded.failed, "");
}

static void
close_gives_up_a_copy(void **state)
{
	struct fixture *f = *state;
	char path[96];

	snprintf(path, sizeof(path), "%s/copy", f->threaded.dir);
	feed(f->threaded.store, 1, 300, 9000);
	store_copy(f->threaded.store, path, copied_cb, f);
	store_close(f->threaded.store);
	assert_int_equal(f->done, 0);
	open_threaded(f);
	assert_int_equal(store_applied_index(f->threaded.store), 300);
}

/* A reader on the main loop is open all the time; it sees the new state. */
static void
install_replaces_the_state_under_a_reader(void **state)
{
	struct fixture *f = *state;
	char path[96], *value;

	snprintf(path, sizeof(path), "%s/copy", f->plain.dir);
	feed(f->plain.store, 1, 500, 3000);
	store_copy(f->plain.store, path, copied_cb, f);
	assert_int_equal(f->code, RES_OK);
	assert_int_equal(f->copy_index, 500);
	feed(f->threaded.store, 1, 20, 3000);
	run_until(f, 20);
	store_install(f->threaded.store, path, installed_cb, f);
	feed(f->threaded.store, 480, 510, 3000);
	run_until(f, 510);
	assert_int_equal(f->done, 2);
	assert_int_equal(f->code, RES_OK);
	assert_int_equal(f->copy_index, 500);
	assert_int_equal(f->threaded.replaced, 1);
	assert_true(store_synced_index(f->threaded.store) >= 500);
	value = store_setting(f->threaded.store, "s300");
	assert_string_equal(value, "x");
	free(value);
	feed(f->plain.store, 501, 510, 3000);
	assert_same(f->threaded.store, f->plain.store);
	store_close(f->threaded.store);
	open_threaded(f);
	assert_int_equal(store_applied_index(f->threaded.store), 510);
	assert_same(f->threaded.store, f->plain.store);
}

static void
older_copy_is_dropped(void **state)
{
	struct fixture *f = *state;
	char path[96];

	snprintf(path, sizeof(path), "%s/copy", f->plain.dir);
	feed(f->plain.store, 1, 5, 10);
	store_copy(f->plain.store, path, copied_cb, f);
	feed(f->threaded.store, 1, 6, 10);
	run_until(f, 6);
	store_install(f->threaded.store, path, installed_cb, f);
	run_until_done(f, 2);
	assert_int_equal(f->code, RES_OK);
	assert_int_equal(f->copy_index, 6);
	assert_int_equal(f->threaded.replaced, 0);
	assert_int_equal(access(path, F_OK), -1);
}

/* Spoils a copy in one place; what install says of it. */
static int
install_spoilt(struct fixture *f, off_t at, const void *bytes, size_t len)
{
	size_t done = f->done;
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/copy", f->plain.dir);
	store_copy(f->plain.store, path, copied_cb, f);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, bytes, len, at), len);
	close(fd);
	store_install(f->threaded.store, path, installed_cb, f);
	run_until_done(f, done + 2);
	return f->code;
}

static void
file_that_is_no_whole_copy_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t before[32], after[32], junk[8192];

	memset(junk, 0x5a, sizeof(junk));
	feed(f->plain.store, 1, 400, 3000);
	feed(f->threaded.store, 1, 10, 10);
	run_until(f, 10);
	store_digest(f->threaded.store, before);
	/* The places are SQLite's: user_version, application_id, a page. */
	assert_int_equal(install_spoilt(f, 60, "\0\0\0\143", 4), RES_STATE);
	assert_int_equal(install_spoilt(f, 68, "junk", 4), RES_STATE);
	assert_int_equal(install_spoilt(f, 0, "junk", 4), RES_IO);
	assert_true(install_spoilt(f, 40960, junk, sizeof(junk)) != RES_OK);
	store_install(f->threaded.store, "/nowhere/copy", installed_cb, f);
	run_until_done(f, 9);
	assert_int_equal(f->code, RES_IO);
	store_digest(f->threaded.store, after);
	assert_memory_equal(before, after, 32);
	assert_string_equal(f->threaded.failed, "");
	assert_int_equal(f->threaded.replaced, 0);
}

/* SQLite takes the WAL away with the last connection: the other process must
 * see that it isn't the last. */
static void
another_process_may_look_and_go(void **state)
{
	static const char look[] =
	    "/usr/bin/python3 -c 'import sqlite3, sys\n"
	    "c = sqlite3.connect(sys.argv[1])\n"
	    "c.execute(\"SELECT * FROM setting\").fetchall()\n"
	    "c.close()' %s/state.db";
	struct fixture *f = *state;
	char command[512], wal[96];

	feed(f->threaded.store, 1, 20, 10);
	run_until(f, 20);
	snprintf(command, sizeof(command), look, f->threaded.dir);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	snprintf(wal, sizeof(wal), "%s/state.db-wal", f->threaded.dir);
	assert_int_equal(access(wal, F_OK), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(events_come_in_order_and_their_effects_can_be_read),
		T(close_applies_what_is_queued),
		T(sync_is_reached_without_waiting_for_it),
		T(copy_made_under_writes_is_a_state_to_go_on_from),
		T(copies_are_made_one_after_the_other),
		T(copy_that_has_no_place_is_only_an_error),
		T(close_gives_up_a_copy),
		T(install_replaces_the_state_under_a_reader),
		T(older_copy_is_dropped),
		T(file_that_is_no_whole_copy_is_refused),
		T(another_process_may_look_and_go),
	};

	return cmocka_run_group_tests_name("store_thread", tests, NULL, NULL);
}
