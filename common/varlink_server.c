/*
 * The control socket of a daemon, on libevent.
 *
 * A call's life: bytes -> message -> method found, role checked -> handler ->
 * (now or later) answer -> bytes. One call of a connection is open at a time;
 * what a client sends meanwhile waits, in a bounded buffer.
 *
 * What can go wrong:
 * - no JSON, no request, too long: the connection is closed;
 * - unknown method, wrong parameters, role too low: org.varlink.service.* is
 *   the answer, and the connection goes on;
 * - the client leaves while a call is open: the call stays valid, and its
 *   answer goes nowhere;
 * - a client that doesn't read its answers, or sends nothing for long, is
 *   disconnected; one user has a limited number of connections.
 */
#include "common/varlink_server.h"

#include <sys/queue.h>

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/strutil.h"
#include "common/varlink.h"
#include "common/varlink_parts.h"
#include "common/xmalloc.h"

#define CONNECTIONS_PER_UID 32
#define OUTPUT_MAX (16 * VARLINK_MESSAGE_MAX)

static const struct timeval idle_time = { 60, 0 };
static const struct timeval accept_pause = { 1, 0 };

struct conn {
	LIST_ENTRY(conn) link;
	struct varlink_server *server;
	struct bufferevent *bev;
	struct varlink_call *call; /* the open one, or NULL */
	struct event *resume;      /* handles what came during a call */
	uid_t uid;
	enum role role;
	char user[64];
};

struct varlink_server {
	struct event_base *base;
	struct evconnlistener *listener;
	struct event *accept_again;
	const struct varlink_interface *interface;
	void *ctx;
	char *path;
	LIST_HEAD(, conn) conns;
};

struct varlink_call {
	struct conn *conn; /* NULL: the client has gone */
	const char *interface;
	json_t *message;
	bool more, oneway;
	uid_t uid;
	enum role role;
	char user[64];
	void (*sent)(void *arg, bool gone); /* varlink_when_sent(), or NULL */
	void *sent_arg;
};

static void
call_tell_sent(struct varlink_call *call, bool gone)
{
	void (*sent)(void *arg, bool gone) = call->sent;

	call->sent = NULL;
	if (sent != NULL)
		sent(call->sent_arg, gone);
}

static void
conn_close(struct conn *conn)
{
	struct varlink_call *call = conn->call;

	if (call != NULL)
		call->conn = NULL;
	LIST_REMOVE(conn, link);
	bufferevent_free(conn->bev);
	event_free(conn->resume);
	free(conn);
	if (call != NULL)
		call_tell_sent(call, true);
}

static void
call_free(struct varlink_call *call)
{
	struct conn *conn = call->conn;

	if (conn != NULL) {
		conn->call = NULL;
		bufferevent_set_timeouts(conn->bev, &idle_time, &idle_time);
		/* Not from here: the handler of the next call would run inside
		   the one that just answered. */
		event_active(conn->resume, EV_TIMEOUT, 0);
	}
	varlink_wipe(json_object_get(call->message, "parameters"));
	json_decref(call->message);
	free(call);
}

/* Takes `message`. */
static void
conn_send(struct conn *conn, json_t *message)
{
	struct buf out = { 0 };
	struct error error;

	if (varlink_encode(message, &out, &error) == 0) {
		bufferevent_write(conn->bev, out.data, out.len);
	} else {
		log_err("control: answer not sent: %s", error.text);
		evbuffer_add_printf(bufferevent_get_output(conn->bev),
		    "{\"error\":\"%s.Error\",\"parameters\":{\"code\":\"limit\""
		    ",\"text\":\"the answer is too long\"}}%c",
		    conn->server->interface->name, 0);
	}
	buf_wipe(&out);
	json_decref(message);
}

void
varlink_reply(struct varlink_call *call, json_t *result)
{
	if (result == NULL)
		result = json_object();
	if (call->conn != NULL && !call->oneway)
		conn_send(call->conn, json_pack("{s:o}", "parameters", result));
	else
		json_decref(result);
	call_free(call);
}

bool
varlink_reply_more(struct varlink_call *call, json_t *result)
{
	struct conn *conn = call->conn;

	if (conn == NULL || !call->more) {
		json_decref(result);
		return conn != NULL;
	}
	conn_send(
	    conn, json_pack("{s:o,s:b}", "parameters", result, "continues", 1));
	if (evbuffer_get_length(bufferevent_get_output(conn->bev)) < OUTPUT_MAX)
		return true;
	/* Half an answer must not look like a whole one. */
	log_warn("control: uid %d: doesn't read its answers", (int)conn->uid);
	conn_close(conn);
	return false;
}

void
varlink_when_sent(
    struct varlink_call *call, void (*fn)(void *arg, bool gone), void *arg)
{
	call->sent = fn;
	call->sent_arg = arg;
	if (call->conn == NULL)
		call_tell_sent(call, true);
}

static void
call_refuse(struct varlink_call *call, const char *error, json_t *parameters)
{
	if (call->conn != NULL && !call->oneway)
		conn_send(call->conn,
		    json_pack(
			"{s:s,s:o}", "error", error, "parameters", parameters));
	else
		json_decref(parameters);
	call_free(call);
}

void
varlink_refuse(struct varlink_call *call, const char *error, const char *key,
    const char *value)
{
	char name[64];

	snprintf(name, sizeof(name), VARLINK_SERVICE ".%s", error);
	call_refuse(call, name, json_pack("{s:s}", key, value));
}

void
varlink_error_from(struct varlink_call *call, const struct error *error)
{
	varlink_error(call, error->code, "%s", error->text);
}

void
varlink_error(struct varlink_call *call, int code, const char *fmt, ...)
{
	char *text, name[128];
	json_t *parameters;
	va_list ap;

	va_start(ap, fmt);
	xvasprintf(&text, fmt, ap);
	va_end(ap);
	snprintf(name, sizeof(name), "%s.Error", call->interface);
	/* What a peer sent may be quoted in the text, and be no UTF-8. */
	if (!str_is_utf8(text, strlen(text)))
		for (char *c = text; *c != '\0'; c++)
			if (*c & 0x80)
				*c = '?';
	parameters =
	    json_pack("{s:s,s:s}", "code", result_name(code), "text", text);
	free(text);
	call_refuse(call, name, parameters);
}

bool
varlink_unpack(struct varlink_call *call, json_t *params, const char *fmt, ...)
{
	json_error_t why;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = json_vunpack_ex(params, &why, JSON_STRICT, fmt, ap);
	va_end(ap);
	if (rc != 0)
		varlink_refuse(call, "InvalidParameter", "parameter", why.text);
	return rc == 0;
}

const char *
varlink_call_user(const struct varlink_call *call)
{
	return call->user;
}

uid_t
varlink_call_uid(const struct varlink_call *call)
{
	return call->uid;
}

enum role
varlink_call_role(const struct varlink_call *call)
{
	return call->role;
}

static const struct varlink_method *
find_method(const struct varlink_interface *iface, const char *full)
{
	size_t len = strlen(iface->name);
	const struct varlink_method *m;

	if (strncmp(full, iface->name, len) != 0 || full[len] != '.')
		return NULL;
	for (m = iface->methods; m->name != NULL; m++)
		if (strcmp(m->name, full + len + 1) == 0)
			return m;
	return NULL;
}

/* Finds who handles the call; it is answered sooner or later. */
static void
call_dispatch(struct varlink_call *call, const struct varlink_request *req)
{
	struct varlink_server *server = call->conn->server;
	const struct varlink_method *m =
	    find_method(server->interface, req->method);

	if (str_equal(req->method, VARLINK_SERVICE ".GetInfo"))
		varlink_service_info(call, server->interface);
	else if (str_equal(
		     req->method, VARLINK_SERVICE ".GetInterfaceDescription"))
		varlink_service_describe(
		    call, req->parameters, server->interface);
	else if (m == NULL)
		varlink_refuse(call, "MethodNotFound", "method", req->method);
	else if (call->role < m->role)
		varlink_refuse(call, "PermissionDenied", "method", req->method);
	else
		m->handler(call, req->parameters, server->ctx);
}

/* Takes `message`. The connection may be closed by what this starts. */
static int
conn_message(struct conn *conn, json_t *message)
{
	struct varlink_request req;
	struct varlink_call *call;
	struct error error;

	if (varlink_request_read(message, &req, &error) != 0) {
		log_warn("control: uid %d: %s", (int)conn->uid, error.text);
		json_decref(message);
		return -1;
	}
	if (req.parameters == NULL) {
		req.parameters = json_object();
		json_object_set_new(message, "parameters", req.parameters);
	}
	call = xcalloc(1, sizeof(*call));
	call->conn = conn;
	call->interface = conn->server->interface->name;
	call->message = message;
	call->more = req.more;
	call->oneway = req.oneway;
	call->uid = conn->uid;
	call->role = conn->role;
	memcpy(call->user, conn->user, sizeof(call->user));
	conn->call = call;
	bufferevent_set_timeouts(conn->bev, NULL, &idle_time);
	call_dispatch(call, &req);
	return 0;
}

/* Handles the next message, if a whole one is there and no call is open. */
static void
conn_input(struct conn *conn)
{
	struct evbuffer *in = bufferevent_get_input(conn->bev);
	struct evbuffer_ptr end;
	struct error error;
	json_t *message;
	const char *data;
	size_t len;

	if (conn->call != NULL)
		return;
	end = evbuffer_search(in, "", 1, NULL);
	if (end.pos < 0) {
		if (evbuffer_get_length(in) >= VARLINK_MESSAGE_MAX) {
			log_warn("control: uid %d: message is longer than %d",
			    (int)conn->uid, VARLINK_MESSAGE_MAX);
			conn_close(conn);
		}
		return;
	}
	len = (size_t)end.pos;
	data = (const char *)evbuffer_pullup(in, end.pos + 1);
	message = varlink_decode(data, len, &error);
	evbuffer_drain(in, len + 1);
	if (message == NULL)
		log_warn("control: uid %d: %s", (int)conn->uid, error.text);
	if (message == NULL || conn_message(conn, message) != 0)
		conn_close(conn);
}

static void
conn_read_cb(struct bufferevent *bev, void *arg)
{
	(void)bev;
	conn_input(arg);
}

/* All that was to be sent is. */
static void
conn_write_cb(struct bufferevent *bev, void *arg)
{
	const struct conn *conn = arg;

	(void)bev;
	if (conn->call != NULL)
		call_tell_sent(conn->call, false);
}

static void
conn_resume_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_input(arg);
}

/* The client left, failed, or kept silent for too long. */
static void
conn_event_cb(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	conn_close(arg);
}

static size_t
connections_of(const struct varlink_server *server, uid_t uid)
{
	const struct conn *conn;
	size_t count = 0;

	LIST_FOREACH(conn, &server->conns, link)
		count += conn->uid == uid;
	return count;
}

static void
find_user(uid_t uid, char *name, size_t size)
{
	struct passwd pw, *found = NULL;
	char space[4096];

	if (getpwuid_r(uid, &pw, space, sizeof(space), &found) == 0 &&
	    found != NULL)
		snprintf(name, size, "%s", pw.pw_name);
	else
		snprintf(name, size, "uid %d", (int)uid);
}

static void
accept_cb(struct evconnlistener *listener, evutil_socket_t fd,
    struct sockaddr *addr, int len, void *arg)
{
	struct varlink_server *server = arg;
	struct conn *conn;
	enum role role;
	uid_t uid;

	(void)listener;
	(void)addr;
	(void)len;
	role = role_of_peer(fd, &uid);
	/* Without a role a client is let in, to be told so. */
	if (connections_of(server, uid) >= CONNECTIONS_PER_UID) {
		log_warn("control: uid %d refused: more than %d connections",
		    (int)uid, CONNECTIONS_PER_UID);
		close(fd);
		return;
	}
	conn = xcalloc(1, sizeof(*conn));
	conn->server = server;
	conn->uid = uid;
	conn->role = role;
	find_user(uid, conn->user, sizeof(conn->user));
	conn->bev =
	    bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
	conn->resume = event_new(server->base, -1, 0, conn_resume_cb, conn);
	if (conn->bev == NULL || conn->resume == NULL)
		fatalx("out of memory");
	LIST_INSERT_HEAD(&server->conns, conn, link);
	bufferevent_setcb(
	    conn->bev, conn_read_cb, conn_write_cb, conn_event_cb, conn);
	bufferevent_setwatermark(conn->bev, EV_READ, 0, VARLINK_MESSAGE_MAX);
	bufferevent_set_timeouts(conn->bev, &idle_time, &idle_time);
	bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
}

static void
accept_again_cb(evutil_socket_t fd, short what, void *arg)
{
	struct varlink_server *server = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(server->listener);
}

/* Out of descriptors: waiting is better than spinning. */
static void
accept_error_cb(struct evconnlistener *listener, void *arg)
{
	struct varlink_server *server = arg;

	log_warn("control: accept: %s", strerror(errno));
	evconnlistener_disable(listener);
	event_add(server->accept_again, &accept_pause);
}

struct varlink_server *
varlink_server_new(struct event_base *base, const char *path,
    const struct varlink_interface *interface, void *ctx, struct error *error)
{
	struct varlink_server *server;
	int fd = varlink_listen(path, error);

	if (fd < 0)
		return NULL;
	server = xcalloc(1, sizeof(*server));
	server->base = base;
	server->interface = interface;
	server->ctx = ctx;
	server->path = xstrdup(path);
	LIST_INIT(&server->conns);
	server->listener = evconnlistener_new(
	    base, accept_cb, server, LEV_OPT_CLOSE_ON_FREE, 0, fd);
	server->accept_again = evtimer_new(base, accept_again_cb, server);
	if (server->listener == NULL || server->accept_again == NULL)
		fatalx("out of memory");
	evconnlistener_set_error_cb(server->listener, accept_error_cb);
	return server;
}

/* Answers given just before the end must still reach their clients. */
static void
conn_flush(struct conn *conn)
{
	struct evbuffer *out = bufferevent_get_output(conn->bev);

	/* A bufferevent lets nobody else take from its output. */
	evbuffer_unfreeze(out, 1);
	if (evbuffer_write(out, bufferevent_getfd(conn->bev)) < 0)
		log_debug("control: last answer: %s", strerror(errno));
	evbuffer_freeze(out, 1);
}

void
varlink_server_free(struct varlink_server *server)
{
	struct conn *conn, *next;

	if (server == NULL)
		return;
	unlink(server->path);
	for (conn = LIST_FIRST(&server->conns); conn != NULL; conn = next) {
		next = LIST_NEXT(conn, link);
		conn_flush(conn);
		conn_close(conn);
	}
	evconnlistener_free(server->listener);
	event_free(server->accept_again);
	free(server->path);
	free(server);
}
