/*
 * callbridge: the backend that serves meetings. It logs in to one XMPP server
 * at a time as a component, and moves to another when that one is lost.
 */
#include <event2/event.h>

#include "callbridge/bridge.h"
#include "common/daemon.h"
#include "common/log.h"

/* What was said last still has to leave. */
static void
main_stop_cb(void *arg)
{
	static const struct timeval soon = { 0, 100000 };
	struct bridge *b = arg;

	bridge_stop(b);
	event_base_loopexit(b->daemon->base, &soon);
}

/* -n: whether it would start with these settings. */
static int
main_check(struct daemon *d)
{
	struct bridge *b;
	struct error e;

	d->base = event_base_new();
	b = bridge_new(d, &e);
	if (b == NULL)
		log_err("daemon: %s", e.text);
	bridge_free(b);
	daemon_stop(d);
	return b == NULL;
}

static int
main_run(struct daemon *d)
{
	struct bridge *b;
	struct error e;

	if (daemon_start(d, &e) != RES_OK) {
		log_err("daemon: %s", e.text);
		daemon_stop(d);
		return 1;
	}
	b = bridge_new(d, &e);
	if (b == NULL || ctl_start(b, &e) != RES_OK) {
		log_err("daemon: %s", e.text);
		bridge_free(b);
		daemon_stop(d);
		return 1;
	}
	d->on_stop = main_stop_cb;
	d->arg = b;
	daemon_sandbox(d);
	bridge_configure(b);
	daemon_run(d);
	bridge_free(b);
	daemon_stop(d);
	return 0;
}

int
main(int argc, char *argv[])
{
	struct daemon d;
	int status = daemon_parse(&d, "callbridge", argc, argv);

	if (status >= 0)
		return status;
	return d.check_only ? main_check(&d) : main_run(&d);
}
