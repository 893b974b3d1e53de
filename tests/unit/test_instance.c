/* Identity and lives of a node across restarts, joins and crashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/instance.h"

static char root[64];

static int
setup(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/test_instance.XXXXXX");
	return mkdtemp(root) == NULL;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "instance.json",
		"instance.json.previous" };
	char *path;

	(void)state;
	for (uint64_t i = 1; i < 5; i++)
		instance_delete(root, i);
	for (size_t i = 0; i < 2; i++) {
		xasprintf(&path, "%s/%s", root, names[i]);
		unlink(path);
		free(path);
	}
	return rmdir(root);
}

static struct instance
load(void)
{
	struct instance in;

	assert_int_equal(instance_load(root, &in, NULL), RES_OK);
	return in;
}

static void
is_the_same_after_a_restart(void **state)
{
	struct instance a = load(), b = load();

	(void)state;
	assert_memory_equal(&a, &b, sizeof(a));
	assert_true(a.founder);
	assert_int_equal(a.raft_id, 1);
}

static void
each_start_has_a_higher_boot_number(void **state)
{
	struct instance in = load();
	uint64_t before = in.boot;

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(instance_boot(root, &in, NULL), RES_OK);
		assert_true(in.boot > before);
		before = in.boot;
		in = load();
		assert_true(in.boot == before);
	}
}

/* A node restored from a backup starts with a number that was given already,
 * but not with the same one. */
static void
two_starts_from_one_backup_differ(void **state)
{
	struct instance in = load(), a = in, b = in;

	(void)state;
	assert_int_equal(instance_boot(root, &a, NULL), RES_OK);
	assert_int_equal(instance_boot(root, &b, NULL), RES_OK);
	assert_true(a.boot >> 32 == b.boot >> 32);
	assert_true(a.boot != b.boot);
}

static void
a_new_life_keeps_the_identity_alone(void **state)
{
	struct instance in = load(), old = in;

	(void)state;
	instance_found(&in);
	assert_memory_equal(in.identity, old.identity, sizeof(in.identity));
	assert_memory_not_equal(in.cluster, old.cluster, sizeof(in.cluster));
	assert_memory_not_equal(in.key, old.key, sizeof(in.key));
	assert_int_equal(in.number, old.number + 1);
}

static struct instance
begin_join(const struct instance *old)
{
	struct instance in = *old;

	in.previous = old->number;
	in.number++;
	in.raft_id = 7;
	in.founder = false;
	assert_int_equal(instance_save(root, &in, NULL), RES_OK);
	return in;
}

static void
a_join_cut_off_by_a_crash_is_undone(void **state)
{
	struct instance old = load(), in = begin_join(&old);
	char *dir = instance_dir(root, in.number), *file;

	(void)state;
	xasprintf(&file, "%s/raft.db", dir);
	assert_int_equal(file_write(file, "x", 1, 0600), 0);
	in = load();
	assert_memory_equal(&in, &old, sizeof(in));
	assert_int_equal(access(dir, F_OK), -1);
	in = load();
	assert_memory_equal(&in, &old, sizeof(in));
	free(dir);
	free(file);
}

static void
a_join_that_is_complete_stays(void **state)
{
	struct instance old = load(), in = begin_join(&old), now;

	(void)state;
	in.previous = 0;
	assert_int_equal(instance_save(root, &in, NULL), RES_OK);
	now = load();
	assert_memory_equal(&now, &in, sizeof(in));
}

static void
a_malformed_file_is_refused_by_name(void **state)
{
	static const char *const rows[] = { "", "{", "[]", "{\"number\": 1}",
		"{\"number\":0,\"identity\":\"00\",\"cluster\":\"\",\"key\":"
		"\"\","
		"\"raft_id\":1,\"founder\":true,\"born\":true,\"boot\":0,"
		"\"previous\":0}" };
	char *path;

	(void)state;
	xasprintf(&path, "%s/instance.json", root);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct instance in;
		struct error e;

		file_write(path, rows[i], strlen(rows[i]), 0600);
		assert_int_equal(instance_load(root, &in, &e), RES_INVALID);
		assert_non_null(strstr(e.text, "instance.json"));
	}
	free(path);
}

static void
a_log_that_cannot_be_looked_at_is_not_gone(void **state)
{
	struct instance in = { .number = 1 };
	char *path;

	(void)state;
	assert_false(instance_has_log(root, &in));
	/* ENOTDIR stands for all that isn't ENOENT. */
	xasprintf(&path, "%s/data-1", root);
	file_write(path, "x", 1, 0600);
	assert_true(instance_has_log(root, &in));
	unlink(path);
	free(path);
	path = instance_dir(root, 1);
	assert_false(instance_has_log(root, &in));
	free(path);
}

static void
its_size_is_that_of_its_files(void **state)
{
	char *dir = instance_dir(root, 1), *path;

	(void)state;
	assert_int_equal(instance_size(root, 1), 0);
	assert_int_equal(instance_size(root, 4), 0);
	xasprintf(&path, "%s/raft.db", dir);
	file_write(path, "12345", 5, 0600);
	free(path);
	xasprintf(&path, "%s/state.db", dir);
	file_write(path, "123", 3, 0600);
	assert_int_equal(instance_size(root, 1), 8);
	free(path);
	free(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_the_same_after_a_restart),
		TEST(each_start_has_a_higher_boot_number),
		TEST(two_starts_from_one_backup_differ),
		TEST(a_new_life_keeps_the_identity_alone),
		TEST(a_join_cut_off_by_a_crash_is_undone),
		TEST(a_join_that_is_complete_stays),
		TEST(a_malformed_file_is_refused_by_name),
		TEST(a_log_that_cannot_be_looked_at_is_not_gone),
		TEST(its_size_is_that_of_its_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
