/*
 * Settings: what is read, what is refused with which line, and that a change
 * happens as a whole or not at all.
 */
#include "common/conf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/strutil.h"
#include "common/xmalloc.h"

enum { T_NAME, T_SECRET, T_PORT, T_ON, T_LISTEN, T_COUNT };

static int
check_lower(const char *value, struct error *e)
{
	for (; *value != '\0'; value++)
		if (*value >= 'A' && *value <= 'Z')
			return error_set(e, RES_INVALID, "has capitals");
	return RES_OK;
}

static const struct conf_setting table[T_COUNT] = {
	[T_NAME] = { .name = "name", .max = 8, .min = 1, .check = check_lower },
	[T_SECRET] = { .name = "secret",
	    .flags = CONF_SECRET,
	    .min = 1,
	    .max = 4 },
	[T_PORT] = { .name = "port",
	    .type = CONF_INT,
	    .min = 1,
	    .max = 65535,
	    .def = 5223 },
	[T_ON] = { .name = "on", .type = CONF_BOOL, .def = 1 },
	[T_LISTEN] = { .name = "listen",
	    .type = CONF_LIST,
	    .max = 2,
	    .check = check_lower },
};

struct fixture {
	char dir[64], path[96];
	struct conf *conf;
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/test_conf.XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/t.json", f->dir);
	f->conf = conf_new(table, T_COUNT, f->path);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	conf_free(f->conf);
	unlink(f->path);
	rmdir(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void
put_file(const struct fixture *f, const char *text)
{
	assert_int_equal(file_write(f->path, text, strlen(text), 0600), 0);
}

static void
a_missing_file_gives_the_defaults(void **state)
{
	struct fixture *f = *state;
	struct error e;

	assert_int_equal(conf_load(f->conf, &e), RES_OK);
	assert_null(conf_text(f->conf, T_NAME));
	assert_int_equal(conf_int(f->conf, T_PORT), 5223);
	assert_true(conf_bool(f->conf, T_ON));
	assert_int_equal(conf_count(f->conf, T_LISTEN), 0);
}

static void
what_is_committed_is_read_again(void **state)
{
	struct fixture *f = *state;
	struct conf *again = conf_new(table, T_COUNT, f->path);
	struct stat st;
	struct error e;

	assert_int_equal(conf_set_text(f->conf, T_NAME, "cb1", &e), 0);
	assert_int_equal(conf_set_text(f->conf, T_SECRET, "s\"\\", &e), 0);
	assert_int_equal(conf_set_int(f->conf, T_PORT, 65535, &e), 0);
	assert_int_equal(conf_set_bool(f->conf, T_ON, false), 0);
	assert_int_equal(conf_add_entry(f->conf, T_LISTEN, "b", &e), 0);
	assert_int_equal(conf_add_entry(f->conf, T_LISTEN, "a", &e), 0);
	assert_int_equal(conf_commit(f->conf, &e), RES_OK);

	assert_int_equal(conf_load(again, &e), RES_OK);
	assert_string_equal(conf_text(again, T_NAME), "cb1");
	assert_string_equal(conf_text(again, T_SECRET), "s\"\\");
	assert_int_equal(conf_int(again, T_PORT), 65535);
	assert_false(conf_bool(again, T_ON));
	assert_int_equal(conf_count(again, T_LISTEN), 2);
	assert_string_equal(conf_entry(again, T_LISTEN, 0), "b");
	assert_string_equal(conf_entry(again, T_LISTEN, 1), "a");
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	conf_free(again);
}

static void
defaults_are_not_written(void **state)
{
	struct fixture *f = *state;
	struct error e;
	size_t len;
	char *text;

	conf_set_int(f->conf, T_PORT, 7, &e);
	conf_set_int(f->conf, T_PORT, 5223, &e);
	conf_set_text(f->conf, T_NAME, "x", &e);
	conf_clear(f->conf, T_NAME);
	assert_int_equal(conf_commit(f->conf, &e), RES_OK);
	text = file_read(f->path, 100, &len);
	assert_string_equal(text, "{}\n");
	free(text);
}

static void
a_malformed_file_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *file, *line, *why;
	} rows[] = {
		{ "", ":1: ", "" },
		{ "{\n\"name\": \"a\",\n}", ":3: ", "" },
		{ "[]", ":1: ", "object" },
		{ "{}\n{}", ":2: ", "" },
		{ "{\"on\": true,\n\"on\": false}", ":2: ", "duplicate" },
		{ "{\n\n\"nmae\": 1}", ":3: ", "no setting is called" },
		{ "{\"a\\nb\": 1}", ":1: ", "\"a?b\"" },
		{ "{\"name\": \"port\",\n\"port\"\n: \"x\"}",
		    ":2: ", "whole number" },
		{ "{\"port\": 0}", ":1: ", "1 to 65535" },
		{ "{\"port\": 65536}", ":1: ", "1 to 65535" },
		{ "{\"port\": 1.5}", ":1: ", "whole number" },
		{ "{\"name\": null}", ":1: ", "a text" },
		{ "{\"name\": \"\"}", ":1: ", "1 to 8" },
		{ "{\"name\": \"123456789\"}", ":1: ", "1 to 8" },
		{ "{\"name\": \"Ab\"}", ":1: ", "has capitals" },
		{ "{\"on\": 1}", ":1: ", "true or false" },
		{ "{\"listen\": \"a\"}", ":1: ", "list of texts" },
		{ "{\"listen\": [1]}", ":1: ", "list of texts" },
		{ "{\"listen\": [\"a\", \"a\"]}", ":1: ", "already" },
		{ "{\"listen\": [\"a\", \"b\", \"c\"]}", ":1: ", "at most 2" },
		{ "{\"listen\": [\"A\"]}", ":1: ", "has capitals" },
	};
	struct fixture *f = *state;
	struct error e;

	put_file(f, "{\"name\": \"good\"}");
	assert_int_equal(conf_load(f->conf, &e), RES_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_file(f, rows[i].file);
		assert_int_equal(conf_load(f->conf, &e), RES_INVALID);
		if (!str_starts(e.text, f->path) ||
		    !str_starts(e.text + strlen(f->path), rows[i].line) ||
		    strstr(e.text, rows[i].why) == NULL)
			fail_msg("%s -> %s", rows[i].file, e.text);
		assert_null(strchr(e.text, '\n'));
		assert_string_equal(conf_text(f->conf, T_NAME), "good");
	}
}

static void
a_secret_is_not_in_the_error(void **state)
{
	struct fixture *f = *state;
	struct error e;

	put_file(f, "{\"secret\": \"hush!\"}");
	assert_int_equal(conf_load(f->conf, &e), RES_INVALID);
	assert_null(strstr(e.text, "hush"));
	assert_int_equal(
	    conf_set_text(f->conf, T_SECRET, "hush!", &e), RES_INVALID);
	assert_null(strstr(e.text, "hush"));
}

static void
a_refused_change_drops_what_was_staged(void **state)
{
	struct fixture *f = *state;
	struct error e;

	assert_int_equal(conf_set_text(f->conf, T_NAME, "a", &e), 0);
	assert_int_equal(conf_set_int(f->conf, T_PORT, 0, &e), RES_INVALID);
	assert_int_equal(conf_commit(f->conf, &e), RES_OK);
	assert_null(conf_text(f->conf, T_NAME));
	assert_int_equal(
	    conf_set_text(f->conf, T_NAME, "\xff", &e), RES_INVALID);
	assert_int_equal(
	    conf_del_entry(f->conf, T_LISTEN, "a", &e), RES_NOT_FOUND);
	assert_int_equal(conf_add_entry(f->conf, T_LISTEN, "a", &e), 0);
	assert_int_equal(
	    conf_add_entry(f->conf, T_LISTEN, "a", &e), RES_EXISTS);
}

static void
entries_are_removed_in_place(void **state)
{
	struct fixture *f = *state;
	struct error e;

	conf_add_entry(f->conf, T_LISTEN, "a", &e);
	conf_add_entry(f->conf, T_LISTEN, "b", &e);
	assert_int_equal(conf_commit(f->conf, &e), RES_OK);
	assert_int_equal(conf_del_entry(f->conf, T_LISTEN, "a", &e), 0);
	assert_int_equal(conf_count(f->conf, T_LISTEN), 2);
	assert_int_equal(conf_commit(f->conf, &e), RES_OK);
	assert_int_equal(conf_count(f->conf, T_LISTEN), 1);
	assert_string_equal(conf_entry(f->conf, T_LISTEN, 0), "b");
}

static void
a_failed_write_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct error e;

	conf_set_text(f->conf, T_NAME, "old", &e);
	assert_int_equal(conf_commit(f->conf, &e), RES_OK);
	/* A folder in its place can't be replaced, not even by root. */
	unlink(f->path);
	assert_int_equal(mkdir(f->path, 0700), 0);
	conf_set_text(f->conf, T_NAME, "new", &e);
	assert_int_equal(conf_commit(f->conf, &e), RES_IO);
	assert_non_null(strstr(e.text, f->path));
	assert_string_equal(conf_text(f->conf, T_NAME), "old");
	assert_int_equal(conf_load(f->conf, &e), RES_IO);
	assert_string_equal(conf_text(f->conf, T_NAME), "old");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_missing_file_gives_the_defaults),
		T(what_is_committed_is_read_again),
		T(defaults_are_not_written),
		T(a_malformed_file_is_refused_with_its_line),
		T(a_secret_is_not_in_the_error),
		T(a_refused_change_drops_what_was_staged),
		T(entries_are_removed_in_place),
		T(a_failed_write_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
