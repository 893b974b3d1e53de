/*
 * The store and its disk: which files it opens, what a crash leaves, what a
 * full disk does.
 */
#include "xmppd/cluster/store.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "common/strutil.h"
#include "common/xmalloc.h"
#include "tests/lib/store_fixture.h"

static int
setup(void **state)
{
	struct store_fixture *f = xcalloc(1, sizeof(*f));

	store_fixture_init(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct store_fixture *f = *state;

	store_fixture_clear(f);
	free(f);
	return 0;
}

static char *
state_db(const struct store_fixture *f)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/state.db", f->dir);
	return path;
}

static void
assert_refused(struct store_fixture *f, const char *dir, const char *what)
{
	struct store_callbacks cb = store_fixture_callbacks(f);
	struct error e = { 0 };

	assert_null(store_open(dir, NULL, &cb, &e));
	if (strstr(e.text, what) == NULL)
		fail_msg("'%s' lacks '%s'", e.text, what);
}

static void
only_its_owner_may_read_the_files(void **state)
{
	static const char *const files[] = { "", "-wal", "-shm" };
	struct store_fixture *f = *state;
	struct stat st;
	char path[128];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", state_db(f), files[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
}

static void
wider_mode_is_set_right(void **state)
{
	struct store_fixture *f = *state;
	struct stat st;

	assert_int_equal(chmod(state_db(f), 0644), 0);
	store_fixture_reopen(f);
	assert_int_equal(stat(state_db(f), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void
run_sql(struct store_fixture *f, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(state_db(f), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, 0, 0, 0), SQLITE_OK);
	sqlite3_close(db);
}

static void
foreign_newer_and_damaged_files_are_refused(void **state)
{
	struct store_fixture *f = *state;

	store_close(f->store);
	f->store = NULL;
	assert_refused(f, "/nowhere", "/nowhere/state.db: No such file");
	run_sql(f, "PRAGMA user_version = 99");
	assert_refused(f, f->dir, "written by a newer version (99");
	run_sql(f, "PRAGMA user_version = 1; PRAGMA application_id = 7");
	assert_refused(f, f->dir, "not a store of this program");
	assert_int_equal(
	    file_write(state_db(f), "no database at all", 18, 0600), 0);
	assert_refused(f, f->dir, "the file is damaged");
}

/* An account with a contact of its own domain and one of another. */
static void
run_some(struct store_fixture *f)
{
	char alice[] = "alice";
	static const char *const contacts[] = { "bob@example.org",
		"bob@gw.example.org" };
	struct scram_keys keys = store_sample_keys(1);
	struct store_op op = { .op = EFFECT_ROSTER, .user = alice };
	struct store_effect effect = {
		.origin = { 1, 0, 1 }, .low = 1, .ops = &op, .count = 1
	};
	struct buf b = { 0 };

	store_cmd_setting(&b, "domain", "example.org");
	store_fixture_run(f, &b);
	store_cmd_account_add(&b, alice, &keys);
	store_fixture_run(f, &b);
	for (size_t i = 0; i < 2; i++) {
		op.item = (struct store_roster_item){ .visible = 1 };
		op.item.contact = xstrdup(contacts[i]);
		effect.num = i + 1;
		store_cmd_effect(&b, &effect);
		store_fixture_run(f, &b);
		free(op.item.contact);
	}
}

static void
file_of_an_older_version_is_brought_up_to_date(void **state)
{
	struct store_fixture *f = *state;
	uint8_t before[32], after[32];

	run_some(f);
	store_digest(f->store, before);
	store_close(f->store);
	run_sql(f,
	    "DROP TABLE item; DROP TABLE item_use; DROP TABLE archive;"
	    "DROP TABLE archive_of; DROP TABLE archive_gone;"
	    "DROP TABLE message_use; DROP TABLE sha1_only;"
	    "DROP TABLE removed; DROP TABLE former; DROP INDEX roster_host;"
	    "ALTER TABLE roster DROP COLUMN host;"
	    "ALTER TABLE account DROP COLUMN id;"
	    "PRAGMA user_version = 1");
	f->store = NULL;
	store_fixture_reopen(f);
	store_digest(f->store, after);
	assert_memory_equal(before, after, 32);
}

/* What entry `index` does: several rows in one command, others in the next. */
static void
make_entry(struct buf *entry, uint64_t index)
{
	char alice[] = "alice", contact[64];
	struct store_op ops[] = {
		{ .op = EFFECT_STORE,
		    .user = alice,
		    .stanza = { (uint8_t *)contact, sizeof(contact), 0 } },
		{ .op = EFFECT_ROSTER,
		    .user = alice,
		    .item = { .contact = contact } },
	};
	struct store_effect effect = { { 1, 0, 1 }, index, 1, 0, ops, 2 };
	struct scram_keys keys = store_sample_keys(1);
	struct buf b = { 0 };

	memset(contact, 0, sizeof(contact));
	snprintf(contact, sizeof(contact), "c%llu", (unsigned long long)index);
	store_cmd_account_add(&b, alice, &keys);
	store_entry_add(
	    entry, &(struct store_proposal){ 1, index, b.data, b.len });
	buf_reset(&b);
	store_cmd_effect(&b, &effect);
	store_entry_add(entry, &(struct store_proposal){ 0, 0, b.data, b.len });
	buf_clear(&b);
}

static void
feed(struct store *s, uint64_t from, uint64_t to)
{
	struct buf entry = { 0 };

	for (uint64_t index = from; index <= to; index++) {
		buf_reset(&entry);
		make_entry(&entry, index);
		store_apply(s, index, entry.data, entry.len);
	}
	buf_clear(&entry);
}

/* Applies and tells, until it is killed. */
static void
child(const char *dir, int fd)
{
	struct store_callbacks cb = { 0 };
	struct store *s = store_open(dir, NULL, &cb, NULL);

	for (uint64_t index = store_applied_index(s) + 1;; index++) {
		feed(s, index, index);
		if (index % 16 == 0)
			store_sync(s);
		if (write(fd, "", 1) != 1)
			_exit(0);
	}
}

/* Waits for `count` entries to be told of, kills; returns how many were. */
static uint64_t
kill_child_after(const char *dir, size_t count)
{
	uint64_t told = 0;
	int fds[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		child(dir, fds[1]);
	}
	close(fds[1]);
	while (told < count && read(fds[0], &byte, 1) == 1)
		told++;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	while (read(fds[0], &byte, 1) == 1)
		told++;
	close(fds[0]);
	return told;
}

static void
killed_store_has_index_and_content_that_agree(void **state)
{
	struct store_fixture *f = *state, fresh;
	uint8_t mine[32], theirs[32];
	uint64_t index, told = 0;

	store_fixture_init(&fresh);
	for (size_t round = 1; round <= 12; round++) {
		store_close(f->store);
		told += kill_child_after(f->dir, round * 7);
		f->store = NULL;
		store_fixture_reopen(f);
		index = store_applied_index(f->store);
		assert_in_range(index, told, told + 1);
		told = index;
		feed(fresh.store, 1, index);
		store_digest(f->store, mine);
		store_digest(fresh.store, theirs);
		assert_memory_equal(mine, theirs, 32);
	}
	store_fixture_clear(&fresh);
}

static void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
write_error_ends_it_and_leaves_what_was_applied(void **state)
{
	struct store_fixture *f = *state, fresh;
	uint8_t mine[32], theirs[32];
	uint64_t index;
	size_t told;

	signal(SIGXFSZ, SIG_IGN);
	limit_files(300 * 1024);
	feed(f->store, 1, 1000);
	limit_files(RLIM_INFINITY);
	assert_non_null(strstr(f->failed, "/state.db: "));
	index = store_applied_index(f->store);
	assert_in_range(index, 1, 999);
	told = f->applied;
	assert_int_equal(told, 2 * index);
	/* Nothing more, though there is room again: somebody has to look. */
	feed(f->store, index + 1, index + 5);
	assert_int_equal(f->applied, told);
	store_fixture_reopen(f);
	assert_int_equal(store_applied_index(f->store), index);
	store_fixture_init(&fresh);
	feed(fresh.store, 1, index);
	store_digest(f->store, mine);
	store_digest(fresh.store, theirs);
	assert_memory_equal(mine, theirs, 32);
	store_fixture_clear(&fresh);
}

static void
copy_without_room_is_removed(void **state)
{
	struct store_fixture *f = *state;
	char path[96];

	feed(f->store, 1, 1000);
	snprintf(path, sizeof(path), "%s/copy", f->dir);
	limit_files(20000);
	store_copy(f->store, path, store_fixture_copied_cb, f);
	limit_files(RLIM_INFINITY);
	assert_int_equal(f->copy_code, RES_IO);
	assert_int_equal(access(path, F_OK), -1);
	feed(f->store, 1001, 1001);
	assert_int_equal(store_applied_index(f->store), 1001);
	assert_string_equal(f->failed, "");
}

static void
install_without_room_keeps_the_old_state(void **state)
{
	struct store_fixture *f = *state, other;
	uint8_t before[32], after[32];
	char path[96];

	store_fixture_init(&other);
	feed(other.store, 1, 2000);
	snprintf(path, sizeof(path), "%s/copy", f->dir);
	store_copy(other.store, path, store_fixture_copied_cb, &other);
	assert_int_equal(other.copy_code, RES_OK);
	store_fixture_clear(&other);
	feed(f->store, 1, 10);
	store_digest(f->store, before);
	limit_files(200 * 1024);
	store_install(f->store, path, store_fixture_installed_cb, f);
	limit_files(RLIM_INFINITY);
	assert_int_equal(f->copy_code, RES_IO);
	assert_int_equal(f->replaced, 0);
	store_digest(f->store, after);
	assert_memory_equal(before, after, 32);
	assert_int_equal(store_applied_index(f->store), 10);
	feed(f->store, 11, 11);
	assert_string_equal(f->failed, "");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(only_its_owner_may_read_the_files),
		T(wider_mode_is_set_right),
		T(foreign_newer_and_damaged_files_are_refused),
		T(file_of_an_older_version_is_brought_up_to_date),
		T(killed_store_has_index_and_content_that_agree),
		T(write_error_ends_it_and_leaves_what_was_applied),
		T(copy_without_room_is_removed),
		T(install_without_room_keeps_the_old_state),
	};

	return cmocka_run_group_tests_name("store_disk", tests, NULL, NULL);
}
