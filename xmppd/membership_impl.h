#ifndef XMPPD_MEMBERSHIP_IMPL_H
#define XMPPD_MEMBERSHIP_IMPL_H

#include "common/buf.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/compare.h"
#include "xmppd/instance.h"
#include "xmppd/membership.h"

/*
 * What membership.c, joining.c and leaving.c share: one operation at a time.
 */
enum membership_state {
	MEMBERSHIP_IDLE,
	MEMBERSHIP_ASKING,   /* the join was sent */
	MEMBERSHIP_JOINING,  /* the new instance catches up */
	MEMBERSHIP_DRAINING, /* before LEAVING: sessions are being ended */
	MEMBERSHIP_LEAVING,  /* this node's row is being deleted, or is */
	MEMBERSHIP_WORKING,  /* another command of the store is under way */
};

struct membership {
	struct node *node;
	enum membership_state state;
	uint64_t since; /* ms */
	membership_done done;
	void *arg;
	bool reset; /* DRAINING, LEAVING: for a reset, which always succeeds */
	bool unreached;       /* LEAVING: the cluster doesn't know of it */
	uint8_t removing[16]; /* WORKING: the member that is taken out */

	/* Sessions were ended because a member said that it will remove this
	 * node. */
	uint64_t asked; /* ms; 0: not */
	uint64_t asked_token;

	/* A life ends in a tick only: never inside a callback of what ends with
	 * it. */
	bool leave_now; /* LEAVING: in the next tick */
	bool admitted;  /* ASKING: answered by `answer` */
	struct join_answer answer;
	struct instance previous; /* JOINING: to go back to */
	char *via;                /* JOINING: the member that was asked */
	bool retried;             /* ASKING: with another identity */

	uint64_t refused; /* ms, since when; 0: not */
	bool removed;     /* because it was taken out */
	char *refusal;
};

void membership_set_state(struct membership *m, enum membership_state state);

/* Begins an operation, or tells `done` that another one is under way. */
bool membership_begin(struct membership *m, enum membership_state state,
    membership_done done, void *arg);
/* Ends it. */
void membership_finish(struct membership *m, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts a command through and clears it. */
void membership_submit(
    struct membership *m, struct buf *command, proposer_done done);

/* Opens the instance that the node now has, and serves as the settings say. */
int membership_reopen(struct node *n, struct error *e);
/* Standalone, disabled, empty; the domain stays. */
int membership_start_over(struct membership *m, struct error *e);
/* The cluster has let this node in, or it is in none. */
void membership_forget_refusal(struct membership *m);

/* joining.c */
void joining_tick(struct membership *m, uint64_t now);

/* leaving.c */
void leaving_tick(struct membership *m, uint64_t now);
/* CONTROL_REMOVED, CONTROL_DRAIN. */
void leaving_request(
    struct membership *m, uint64_t token, const void *msg, size_t len);

#endif
