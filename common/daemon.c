/*
 * What the main() of each daemon shares: options, the node's folder and its
 * lock, log file, limits, signals, sandbox.
 */
#include "common/daemon.h"

#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <malloc.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

#define DAEMON_ROOT "/var/lib/mmp"
#define DAEMON_FILES_MAX 1048576

static const struct option daemon_options[] = {
	{ "root", required_argument, NULL, 'r' },
	{ "debug", no_argument, NULL, 'd' },
	{ "check", no_argument, NULL, 'n' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/*
 * What a messaging daemon never needs, and a hijacked one would want first.
 * They fail with EPERM rather than end the process: a library that probes
 * for one of them must not take the service down.
 */
static const char *const daemon_denied[] = {
	"acct",
	"add_key",
	"adjtimex",
	"bpf",
	"chroot",
	"clock_adjtime",
	"clock_settime",
	"create_module",
	"delete_module",
	"execve",
	"execveat",
	"finit_module",
	"fsconfig",
	"fsmount",
	"fsopen",
	"fspick",
	"init_module",
	"ioperm",
	"iopl",
	"io_uring_setup",
	"kcmp",
	"kexec_file_load",
	"kexec_load",
	"keyctl",
	"lookup_dcookie",
	"mknod",
	"mknodat",
	"mount",
	"mount_setattr",
	"move_mount",
	"name_to_handle_at",
	"open_by_handle_at",
	"open_tree",
	"perf_event_open",
	"personality",
	"pidfd_getfd",
	"pivot_root",
	"process_vm_writev",
	"quotactl",
	"reboot",
	"request_key",
	"setdomainname",
	"setgid",
	"setgroups",
	"sethostname",
	"setns",
	"setregid",
	"setresgid",
	"setresuid",
	"setreuid",
	"settimeofday",
	"setuid",
	"swapoff",
	"swapon",
	"umount2",
	"unshare",
	"userfaultfd",
	"vhangup",
#ifndef __SANITIZE_ADDRESS__
	/* The leak checker stops the threads that it looks at. */
	"process_vm_readv",
	"ptrace",
#endif
};

static void
daemon_usage(FILE *out, const char *program)
{
	fprintf(out,
	    "usage: %s [--root folder] [--debug] [-n | --check] [--version]\n",
	    program);
}

/* "" and "." are folders too; the daemon may not depend on where it began. */
static char *
daemon_absolute(const char *path)
{
	char *cwd, *full;

	if (path[0] == '/')
		return xstrdup(path);
	if ((cwd = getcwd(NULL, 0)) == NULL)
		fatal("daemon: current folder");
	xasprintf(&full, "%s/%s", cwd, path);
	free(cwd);
	return full;
}

int
daemon_parse(struct daemon *d, const char *program, int argc, char **argv)
{
	const char *root = DAEMON_ROOT;
	int option;

	*d = (struct daemon){ .program = program, .lock_fd = -1, .log_fd = -1 };
	optind = 1;
	while ((option = getopt_long(
		    argc, argv, "r:dnVh", daemon_options, NULL)) != -1) {
		switch (option) {
		case 'r':
			root = optarg;
			break;
		case 'd':
			d->debug = true;
			break;
		case 'n':
			d->check_only = true;
			break;
		case 'V':
			printf("%s %s\n", program, MMP_VERSION);
			return 0;
		case 'h':
			daemon_usage(stdout, program);
			return 0;
		default:
			daemon_usage(stderr, program);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "%s: unexpected argument: %s\n", program,
		    argv[optind]);
		return 2;
	}
	d->root = daemon_absolute(root);
	log_init(program, d->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, 1);
	return -1;
}

char *
daemon_path(const struct daemon *d, const char *name)
{
	char *path;

	xasprintf(&path, "%s/%s", d->root, name);
	return path;
}

/* ROOT/<program>.<ending>; the caller frees. */
static char *
daemon_own_path(const struct daemon *d, const char *ending)
{
	char *path;

	xasprintf(&path, "%s/%s.%s", d->root, d->program, ending);
	return path;
}

/* Makes the folder and those above it. */
static int
daemon_make_root(const struct daemon *d, struct error *e)
{
	char *path = xstrdup(d->root), *slash = path;
	struct stat st;
	int rc = RES_OK;

	do {
		slash = strchr(slash + 1, '/');
		if (slash != NULL)
			*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			rc = error_set(
			    e, RES_IO, "%s: %s", path, strerror(errno));
		if (slash != NULL)
			*slash = '/';
	} while (slash != NULL && rc == RES_OK);
	free(path);
	if (rc == RES_OK && (stat(d->root, &st) < 0 || !S_ISDIR(st.st_mode)))
		return error_set(e, RES_IO, "%s is not a folder", d->root);
	return rc;
}

/* The lock lasts as long as the process, however it ends. */
static int
daemon_lock(struct daemon *d, struct error *e)
{
	char *path = daemon_own_path(d, "lock"), *pid_path, *pid;
	int rc = RES_OK;
	size_t len;

	d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (d->lock_fd < 0) {
		rc = error_set(e, RES_IO, "%s: %s", path, strerror(errno));
	} else if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		pid_path = daemon_own_path(d, "pid");
		pid = file_read(pid_path, 32, &len);
		rc = error_set(e, RES_STATE,
		    "%s is already running in %s (process %.*s)", d->program,
		    d->root, pid != NULL ? (int)strcspn(pid, "\n") : 7,
		    pid != NULL ? pid : "unknown");
		free(pid);
		free(pid_path);
		close(d->lock_fd);
		d->lock_fd = -1;
	}
	free(path);
	return rc;
}

static int
daemon_write_pid(const struct daemon *d, struct error *e)
{
	char *path = daemon_own_path(d, "pid"), text[16];
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	int rc = RES_OK;

	if (file_write(path, text, (size_t)len, 0644) < 0)
		rc = error_set(e, RES_IO, "%s: %s", path, strerror(errno));
	free(path);
	return rc;
}

/* Also anew, on SIGHUP, after the old file was moved away. */
static int
daemon_open_log(struct daemon *d, struct error *e)
{
	char *path = daemon_own_path(d, "log");
	int fd, rc = RES_OK;

	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0) {
		rc = error_set(e, RES_IO, "%s: %s", path, strerror(errno));
	} else if (d->log_fd >= 0) {
		/* The number stays: another thread may just be writing. */
		dup3(fd, d->log_fd, O_CLOEXEC);
		close(fd);
	} else {
		d->log_fd = fd;
		log_set_file(fd);
	}
	free(path);
	return rc;
}

static void
daemon_set_limits(void)
{
	struct rlimit limit, no_core = { 0, 0 };

	/* A core would hold keys and secrets. */
	setrlimit(RLIMIT_CORE, &no_core);
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_cur > DAEMON_FILES_MAX)
		limit.rlim_cur = DAEMON_FILES_MAX;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warn("daemon: limit of open files: %s", strerror(errno));
}

static void
daemon_stop_cb(evutil_socket_t number, short what, void *arg)
{
	struct daemon *d = arg;

	(void)what;
	if (d->stopping || d->on_stop == NULL) {
		log_info("daemon: signal %d: ends", (int)number);
		event_base_loopbreak(d->base);
		return;
	}
	log_info("daemon: signal %d: stopping", (int)number);
	d->stopping = true;
	d->on_stop(d->arg);
}

static void
daemon_reload_cb(evutil_socket_t number, short what, void *arg)
{
	struct daemon *d = arg;
	struct error e;

	(void)number;
	(void)what;
	if (daemon_open_log(d, &e) != RES_OK)
		log_warn("daemon: log file: %s", e.text);
	log_info("daemon: log file opened anew");
	if (d->on_reload != NULL)
		d->on_reload(d->arg);
}

static void
daemon_add_signals(struct daemon *d)
{
	d->signals[0] = evsignal_new(d->base, SIGTERM, daemon_stop_cb, d);
	d->signals[1] = evsignal_new(d->base, SIGINT, daemon_stop_cb, d);
	d->signals[2] = evsignal_new(d->base, SIGHUP, daemon_reload_cb, d);
	for (size_t i = 0; i < 3; i++)
		if (d->signals[i] == NULL || event_add(d->signals[i], NULL) < 0)
			fatalx("daemon: signals can't be watched");
}

/*
 * Secrets pass through JSON (control messages, settings), and its library
 * doesn't wipe what it frees.
 */
static void
daemon_json_free(void *data)
{
	if (data != NULL)
		explicit_bzero(data, malloc_usable_size(data));
	free(data);
}

int
daemon_start(struct daemon *d, struct error *e)
{
	umask(027);
	signal(SIGPIPE, SIG_IGN);
	json_set_alloc_funcs(xmalloc, daemon_json_free);
	if (daemon_make_root(d, e) != RES_OK || daemon_lock(d, e) != RES_OK)
		return e->code;
	if (daemon_open_log(d, e) != RES_OK ||
	    daemon_write_pid(d, e) != RES_OK) {
		daemon_stop(d);
		return e->code;
	}
	daemon_set_limits();
	if (evthread_use_pthreads() < 0 || (d->base = event_base_new()) == NULL)
		fatalx("daemon: no event loop");
	daemon_add_signals(d);
	log_info(
	    "daemon: %s %s starts in %s", d->program, MMP_VERSION, d->root);
	return RES_OK;
}

static int
daemon_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int rc = -ENOMEM;

	if (filter == NULL)
		return rc;
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; i < sizeof(daemon_denied) / sizeof(char *); i++) {
		int call = seccomp_syscall_resolve_name(daemon_denied[i]);

		/* Not every architecture has each of them. */
		if (call != __NR_SCMP_ERROR)
			seccomp_rule_add(
			    filter, SCMP_ACT_ERRNO(EPERM), call, 0);
	}
	rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc;
}

void
daemon_sandbox(struct daemon *d)
{
	int rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		log_warn("daemon: %s: no new privileges: %s", d->program,
		    strerror(errno));
	if ((rc = daemon_filter()) < 0)
		log_warn("daemon: %s: filter of system calls: %s", d->program,
		    strerror(-rc));
}

void
daemon_run(struct daemon *d)
{
	/* From here on the log file has it; a terminal only on request. */
	log_init(
	    d->program, d->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, d->debug);
	event_base_dispatch(d->base);
}

void
daemon_quit(struct daemon *d)
{
	event_base_loopexit(d->base, NULL);
}

void
daemon_stop(struct daemon *d)
{
	char *path;

	for (size_t i = 0; i < 3; i++)
		if (d->signals[i] != NULL)
			event_free(d->signals[i]);
	if (d->base != NULL)
		event_base_free(d->base);
	if (d->lock_fd >= 0) {
		if (d->base != NULL)
			log_info("daemon: %s ends", d->program);
		path = daemon_own_path(d, "pid");
		unlink(path);
		free(path);
		close(d->lock_fd);
	}
	log_set_file(-1);
	if (d->log_fd >= 0)
		close(d->log_fd);
	free(d->root);
	*d = (struct daemon){ .lock_fd = -1, .log_fd = -1 };
}
