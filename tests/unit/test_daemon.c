/*
 * The daemons' common plumbing: options, one process a folder, signals, and
 * the sandbox.
 */
#include "common/daemon.h"

#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/strutil.h"

static char root[64];

static int
setup(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/test_daemon.XXXXXX");
	return mkdtemp(root) == NULL;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "a/b/t.lock", "a/b/t.log",
		"a/b/t.log.1", "a/b/t.pid", "a/b", "a", "" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, names[i]);
		remove(path);
	}
	return access(root, F_OK) == 0;
}

/* The command line as its words, blanks between them. */
static int
parse(struct daemon *d, const char *line)
{
	char words[192], *argv[8] = { NULL }, *rest = words;
	int argc = 0;

	snprintf(words, sizeof(words), "%s", line);
	while (argc < 7 && (argv[argc] = strsep(&rest, " ")) != NULL)
		argc++;
	return daemon_parse(d, "t", argc, argv);
}

static void
start(struct daemon *d)
{
	char line[96];
	struct error e;

	snprintf(line, sizeof(line), "t --root %s/a/b", root);
	assert_int_equal(parse(d, line), -1);
	log_init("t", LOG_LEVEL_INFO, 0);
	assert_int_equal(daemon_start(d, &e), RES_OK);
}

static void
options_are_read(void **state)
{
	struct daemon d;

	(void)state;
	assert_int_equal(parse(&d, "t"), -1);
	assert_string_equal(d.root, "/var/lib/mmp");
	assert_false(d.debug || d.check_only);
	daemon_stop(&d);
	assert_int_equal(parse(&d, "t -n --debug --root x"), -1);
	assert_true(d.debug && d.check_only);
	assert_true(d.root[0] == '/' && str_ends(d.root, "/x"));
	daemon_stop(&d);
}

static void
wrong_options_end_with_2(void **state)
{
	struct daemon d;

	(void)state;
	assert_int_equal(parse(&d, "t --frob"), 2);
	assert_int_equal(parse(&d, "t --root"), 2);
	assert_int_equal(parse(&d, "t extra"), 2);
}

static void
a_second_one_in_the_folder_is_refused(void **state)
{
	struct daemon first,
	    second = { .program = "t", .lock_fd = -1, .log_fd = -1 };
	struct error e;
	char pid[64];

	(void)state;
	start(&first);
	second.root = strdup(first.root);
	assert_int_equal(daemon_start(&second, &e), RES_STATE);
	snprintf(pid, sizeof(pid), "(process %d)", (int)getpid());
	assert_non_null(strstr(e.text, "already running"));
	assert_non_null(strstr(e.text, pid));
	daemon_stop(&second);
	daemon_stop(&first);
	start(&first);
	daemon_stop(&first);
}

static void
a_root_that_is_a_file_is_refused(void **state)
{
	struct daemon d = { .program = "t", .lock_fd = -1, .log_fd = -1 };
	struct error e;

	(void)state;
	d.root = strdup("/dev/null/x");
	assert_int_equal(daemon_start(&d, &e), RES_IO);
	daemon_stop(&d);
	d.root = strdup("/dev/null");
	assert_int_equal(daemon_start(&d, &e), RES_IO);
	assert_non_null(strstr(e.text, "not a folder"));
	daemon_stop(&d);
}

static void
stop_cb(void *arg)
{
	struct daemon *d = arg;

	assert_true(d->stopping);
	daemon_quit(d);
}

static void
sigterm_stops_in_order(void **state)
{
	struct daemon d;

	(void)state;
	start(&d);
	d.on_stop = stop_cb;
	d.arg = &d;
	kill(getpid(), SIGTERM);
	daemon_run(&d);
	assert_true(d.stopping);
	daemon_stop(&d);
}

static void
stuck_cb(void *arg)
{
	(void)arg;
	kill(getpid(), SIGINT);
}

static void
a_second_signal_ends_a_stuck_stop(void **state)
{
	struct daemon d;

	(void)state;
	start(&d);
	d.on_stop = stuck_cb;
	kill(getpid(), SIGTERM);
	daemon_run(&d);
	daemon_stop(&d);
}

static void
reload_cb(void *arg)
{
	log_info("after the move");
	daemon_quit(arg);
}

static void
sighup_opens_the_log_anew(void **state)
{
	struct daemon d;
	char *path, *moved, *text;
	size_t len;

	(void)state;
	start(&d);
	d.on_reload = reload_cb;
	d.arg = &d;
	path = daemon_path(&d, "t.log");
	moved = daemon_path(&d, "t.log.1");
	assert_int_equal(rename(path, moved), 0);
	kill(getpid(), SIGHUP);
	daemon_run(&d);
	daemon_stop(&d);
	text = file_read(path, 4096, &len);
	assert_non_null(text);
	assert_non_null(strstr(text, "after the move"));
	free(text);
	free(path);
	free(moved);
}

static void
the_sandbox_denies_without_killing(void **state)
{
	char name[] = "true", *argv[] = { name, NULL };
	struct daemon d;
	int status;
	pid_t pid;

	(void)state;
	start(&d);
	if ((pid = fork()) == 0) {
		daemon_sandbox(&d);
		execv("/bin/true", argv);
		_exit(errno == EPERM ? 7 : 8);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	daemon_stop(&d);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(options_are_read),
		T(wrong_options_end_with_2),
		T(a_second_one_in_the_folder_is_refused),
		T(a_root_that_is_a_file_is_refused),
		T(sigterm_stops_in_order),
		T(a_second_signal_ends_a_stuck_stop),
		T(sighup_opens_the_log_anew),
		T(the_sandbox_denies_without_killing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
