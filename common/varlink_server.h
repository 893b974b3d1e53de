#ifndef COMMON_VARLINK_SERVER_H
#define COMMON_VARLINK_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/result.h"
#include "common/role.h"

/*
 * A daemon's control socket: it listens, knows by the kernel who calls, checks
 * the role, and gives each call to its handler. All of it belongs to one event
 * loop; a handler that wants another thread's work answers later, from here.
 */
struct event_base;
struct varlink_server;
struct varlink_call;

/*
 * Handles a call. It, or what it started, has to answer each call once with
 * varlink_reply() or varlink_error(), at once or at any later time; the call
 * is valid until then. `params` is an object, borrowed until the call is
 * answered. `ctx` is what varlink_server_new() was given.
 */
typedef void (*varlink_handler)(
    struct varlink_call *call, json_t *params, void *ctx);

struct varlink_method {
	const char *name; /* "Cluster.Join": without the daemon's prefix */
	enum role role;   /* the least that the caller must have */
	varlink_handler handler;
};

struct varlink_interface {
	const char *name; /* the prefix of all methods: "im.xmppd" */
	const char *text; /* the contents of the .varlink file */
	const struct varlink_method *methods; /* ends with one without a name */
};

/*
 * Listens at the path. A stale socket is replaced; NULL with RES_STATE where
 * another process still answers at it. The interface is kept by reference.
 */
struct varlink_server *varlink_server_new(struct event_base *base,
    const char *path, const struct varlink_interface *interface, void *ctx,
    struct error *error);

/*
 * Closes the socket and all connections. Calls without an answer stay valid:
 * their answers are dropped.
 */
void varlink_server_free(struct varlink_server *server);

/* Answers, and ends the call. Takes `result`; NULL is an empty object. */
void varlink_reply(struct varlink_call *call, json_t *result);

/*
 * Sends one of several answers; varlink_reply() or varlink_error() ends them.
 * Takes `result`. Does nothing where the client didn't ask for `more`. False
 * when the client has gone, or was cut off because it doesn't read: end the
 * call then.
 */
bool varlink_reply_more(struct varlink_call *call, json_t *result);

/*
 * Calls fn once the answers so far, of which there is one, have been sent, so
 * that a long one isn't held in memory; or when the client has gone.
 */
void varlink_when_sent(
    struct varlink_call *call, void (*fn)(void *arg, bool gone), void *arg);

/*
 * Refuses, and ends the call: error "<interface>.Error" with parameters
 * {"code": "<result_name(code)>", "text": "..."}. The text is one line without
 * a full stop; the shell prints it behind "FAILURE: ".
 */
void varlink_error(struct varlink_call *call, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void varlink_error_from(struct varlink_call *call, const struct error *error);

/*
 * json_unpack() of the parameters, strict: "{s:s, s?b}". Where they don't
 * fit, answers the call with org.varlink.service.InvalidParameter and returns
 * false: the handler just returns. What it gives is borrowed.
 */
bool varlink_unpack(
    struct varlink_call *call, json_t *params, const char *fmt, ...);

/* Who calls, for the log: the user's name, or "uid 1234". */
const char *varlink_call_user(const struct varlink_call *call);
uid_t varlink_call_uid(const struct varlink_call *call);
enum role varlink_call_role(const struct varlink_call *call);

#endif
