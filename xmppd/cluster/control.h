#ifndef XMPPD_CLUSTER_CONTROL_H
#define XMPPD_CLUSTER_CONTROL_H

/*
 * Requests between nodes, on the control channel (peer.h): the first byte says
 * what is asked, the rest belongs to the module that asks and answers. A
 * request that isn't known is answered by an empty message.
 */
enum control_kind {
	CONTROL_PROPOSE = 1, /* proposer.c: a command, for the leader */
	CONTROL_DIR_STATE,   /* leader.c: how new is your directory? */
	CONTROL_DIR_COPY,    /* leader.c: a copy of it */
	CONTROL_JOIN,        /* membership.c: compare, and take me in */
	CONTROL_MOVED,       /* reconciler.c: I am at another address now */
	CONTROL_REMOVED,     /* leaving.c: you are no member any more */
	CONTROL_TRUST_CHECK, /* ctl_xmpp.c: would you trust this certificate? */
	CONTROL_DRAIN,       /* leaving.c: end your sessions before you go */
	CONTROL_SESSIONS,    /* ctl_session.c: who is logged in there? */
	CONTROL_KICK,        /* ctl_session.c: end these, leader */
};

#endif
