/*
 * Questions to this node's own XMPP server.
 *
 * local_ask -> connected, written -> read up to the NUL -> the caller. Refused,
 * closed, malformed, or not within half a second: the caller gets the reason. A
 * server that is down answers at once, so this delays no log-in elsewhere; but
 * where both are being started, it is given a moment.
 */
#include "callbridge/local.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/varlink.h"
#include "common/xmalloc.h"

struct local_call {
	struct event_base *base;
	char *root;
	const char *method;
	uint64_t until; /* ms: tried again before that */
	bool again;     /* the timer is for that */
	struct bufferevent *bev;
	struct event *timer; /* the deadline; or at once, with `why` */
	const char *why;
	local_cb cb;
	void *arg;
};

void
local_cancel(struct local_call *call)
{
	if (call == NULL)
		return;
	if (call->bev != NULL)
		bufferevent_free(call->bev);
	event_free(call->timer);
	free(call->root);
	free(call);
}

static void
local_finish(struct local_call *call, json_t *answer, const char *why)
{
	local_cb cb = call->cb;
	void *arg = call->arg;

	local_cancel(call);
	cb(answer, why, arg);
}

static void
local_read_cb(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_ptr end = evbuffer_search(in, "", 1, NULL);
	json_t *message, *answer;
	const char *data;

	if (end.pos < 0 && evbuffer_get_length(in) < VARLINK_MESSAGE_MAX)
		return;
	data = (const char *)evbuffer_pullup(in, end.pos + 1);
	message =
	    end.pos < 0 ? NULL : varlink_decode(data, (size_t)end.pos, NULL);
	answer = json_object_get(message, "parameters");
	if (json_object_get(message, "error") != NULL || answer == NULL)
		local_finish(arg, NULL, "it refused to tell");
	else
		local_finish(arg, answer, NULL);
	json_decref(message);
}

static void
local_event_cb(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if ((what & (BEV_EVENT_ERROR | BEV_EVENT_EOF)) != 0)
		local_finish(arg, NULL, "it closed the connection");
}

/* A socket file connects at once or not at all. */
static int
local_connect(const char *root)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd, len;

	len = snprintf(to.sun_path, sizeof(to.sun_path), "%s/xmppd.sock", root);
	if (len >= (int)sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		len = errno;
		close(fd);
		errno = len;
		return -1;
	}
	return fd;
}

static void
local_send(struct local_call *call)
{
	json_t *message =
	    json_pack("{s:s, s:{}}", "method", call->method, "parameters");
	struct buf out = { 0 };

	if (varlink_encode(message, &out, NULL) == RES_OK)
		bufferevent_write(call->bev, out.data, out.len);
	json_decref(message);
	buf_clear(&out);
}

/* Connects and asks; or comes back in a moment, while there is time. */
static void
local_try(struct local_call *call)
{
	static const struct timeval limit = { 0, 500000 }, now = { 0, 0 },
				    soon = { 0, 50000 };
	int fd = local_connect(call->root), error = errno;

	if (fd < 0) {
		call->why = error == EACCES
		    ? "this node's XMPP server can't be asked: permission "
		      "denied on its control socket"
		    : "this node's XMPP server is not running";
		call->again = error != EACCES && clock_ms() < call->until;
		evtimer_add(call->timer, call->again ? &soon : &now);
		return;
	}
	call->again = false;
	call->why = "this node's XMPP server does not answer";
	evtimer_add(call->timer, &limit);
	call->bev = bufferevent_socket_new(
	    call->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (call->bev == NULL)
		fatalx("local: no buffers");
	bufferevent_setcb(call->bev, local_read_cb, NULL, local_event_cb, call);
	bufferevent_enable(call->bev, EV_READ | EV_WRITE);
	local_send(call);
}

static void
local_timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct local_call *call = arg;

	(void)fd;
	(void)what;
	if (call->again)
		local_try(call);
	else
		local_finish(call, NULL, call->why);
}

struct local_call *
local_ask(const struct local_question *q, local_cb cb, void *arg)
{
	struct local_call *call = xcalloc(1, sizeof(*call));

	call->base = q->base;
	call->root = xstrdup(q->root);
	call->method = q->method;
	call->until = clock_ms() + q->patience_ms;
	call->cb = cb;
	call->arg = arg;
	call->timer = evtimer_new(q->base, local_timer_cb, call);
	if (call->timer == NULL)
		fatalx("local: no timer");
	local_try(call);
	return call;
}
