#ifndef COMMON_DAEMON_H
#define COMMON_DAEMON_H

#include <stdbool.h>

#include "common/result.h"

struct event;
struct event_base;

/*
 * What the main() of each daemon shares. In order:
 *
 *	daemon_parse()    options; errors and --help end here
 *	                  (with -n: load the settings, report, return)
 *	daemon_start()    folder, lock, log, limits, signals, event base
 *	...               settings, listeners, threads: the daemon's own
 *	daemon_sandbox()  once all is open
 *	daemon_run()      until daemon_quit()
 *	...               the daemon's own clean-up
 *	daemon_stop()     pid file, lock, event base
 *
 * The first SIGTERM or SIGINT calls `on_stop`, which ends what it has to and
 * then calls daemon_quit(); without it the loop ends at once. A second signal
 * ends the loop whatever the daemon is doing. SIGHUP opens the log file anew,
 * then calls `on_reload` (which may be NULL).
 */
struct daemon {
	const char *program;     /* "xmppd" */
	char *root;              /* --root, absolute */
	bool debug;              /* --debug: log more, and to standard error */
	bool check_only;         /* -n: check the settings and end */
	struct event_base *base; /* after daemon_start() */

	void (*on_stop)(void *arg);
	void (*on_reload)(void *arg);
	void *arg;

	int lock_fd, log_fd;
	bool stopping;
	struct event *signals[3];
};

/*
 * Reads the command line. Returns -1 to go on, else the exit status: after
 * --help and --version, or 2 with a line on standard error.
 */
int daemon_parse(struct daemon *d, const char *program, int argc, char **argv);

/* On error nothing is left behind but perhaps the folder. */
int daemon_start(struct daemon *d, struct error *e);

/*
 * No new privileges, and a filter on system calls that answers EPERM to what a
 * daemon never needs (execve, ptrace, mount, ...). For all threads. A kernel
 * without these is logged, not an error.
 */
void daemon_sandbox(struct daemon *d);

void daemon_run(struct daemon *d);
void daemon_quit(struct daemon *d);
void daemon_stop(struct daemon *d); /* frees; safe after a failed start */

/* ROOT/<name>; the caller frees. */
char *daemon_path(const struct daemon *d, const char *name);

#endif
