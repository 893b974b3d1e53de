#ifndef XMPPD_ROUTER_IQ_STORE_H
#define XMPPD_ROUTER_IQ_STORE_H

#include "xmppd/cluster/store_item.h"
#include "xmppd/router/extension.h"

/*
 * Requests that change what an account keeps in the store: "change, then
 * answer", exactly once though the frame is sent again. A handler reads
 *
 *	if (!iq_stored(job, &e)) {
 *		if (e != 0)
 *			return e;            it waits, or could not be stored
 *		... check, and make the change ...
 *		return iq_store(r, job, &change);
 *	}
 *	... it is stored: answer, tell others ...
 *	return 0;
 */
struct change {
	struct store_op *ops;
	size_t count;
	uint64_t note; /* for when it is stored: iq_note() */
};

/* Adds an op; what it is to hold beside its name is the caller's to set. */
struct store_op *change_put(struct router *r, struct change *c,
    const struct store_node *n, const char *id);
/* id NULL: the whole node; n->node NULL: the whole space. */
void change_del(struct change *c, const struct store_node *n, const char *id);
void change_clear(struct change *c);

/* Whether the change that the job asks for is stored; if not, *e is 0: it was
 * not proposed yet, IQ_WAITS, or what is wrong. */
bool iq_stored(struct router *r, struct job *job, enum stanza_error *e);

/* The note that it was stored with. */
uint64_t iq_note(struct router *r, const struct job *job);

/* Proposes it, and clears it; returns IQ_WAITS. */
enum stanza_error iq_store(struct router *r, struct job *job, struct change *c);

/* Puts it through the log without a frame that asked for it. */
void change_propose(struct router *r, struct change *c);

#endif
