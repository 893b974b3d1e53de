#ifndef CALLBRIDGE_LOCAL_H
#define CALLBRIDGE_LOCAL_H

#include <jansson.h>

struct event_base;
struct local_call;

/*
 * One question to this node's own XMPP server, over its control socket, without
 * making the loop wait. Answered once, never from within local_ask(); the call
 * is gone then. `answer` is borrowed; NULL: none came, and `why`, a constant,
 * tells.
 */
typedef void (*local_cb)(json_t *answer, const char *why, void *arg);

struct local_question {
	struct event_base *base;
	const char *root, *method; /* the method: a constant */
	unsigned patience_ms;      /* for a server that doesn't listen yet */
};

struct local_call *local_ask(
    const struct local_question *q, local_cb cb, void *arg);
void local_cancel(struct local_call *call); /* NULL is fine */

#endif
