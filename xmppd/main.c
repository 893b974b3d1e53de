/*
 * xmppd: the XMPP server. Ordered start-up, then the loop.
 */
#include <stdlib.h>

#include "common/daemon.h"
#include "common/log.h"
#include "xmppd/node.h"

static void
drained_cb(void *arg)
{
	daemon_quit(arg);
}

static void
on_stop(void *arg)
{
	struct node *n = arg;

	node_drain(n, drained_cb, n->daemon);
}

/* -n: whether the settings make sense. */
static int
check_settings(struct daemon *d)
{
	char *path = daemon_path(d, "xmppd.json");
	struct conf *conf = conf_new(settings, SETTINGS, path);
	struct error e;
	int rc = conf_load(conf, &e);

	if (rc != RES_OK)
		log_err("daemon: %s", e.text);
	conf_free(conf);
	free(path);
	return rc == RES_OK ? 0 : 1;
}

int
main(int argc, char **argv)
{
	static struct daemon daemon;
	static struct node node;
	struct error e;
	int status = daemon_parse(&daemon, "xmppd", argc, argv);

	if (status >= 0)
		return status;
	if (daemon.check_only)
		return check_settings(&daemon);
	daemon.on_stop = on_stop;
	daemon.arg = &node;
	if (daemon_start(&daemon, &e) != RES_OK ||
	    node_start(&node, &daemon, &e) != RES_OK) {
		log_err("daemon: %s", e.text);
		daemon_stop(&daemon);
		return 1;
	}
	daemon_sandbox(&daemon);
	daemon_run(&daemon);
	node_stop(&node);
	daemon_stop(&daemon);
	return 0;
}
