#ifndef XMPPD_LINK_LINK_H
#define XMPPD_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xmppd/link/frame.h"

/*
 * The sending half of a link: what an edge's sessions have sent, numbered, kept
 * as encoded bytes until the router acknowledges it, and sent again to the next
 * router (rules 4 and 6 of delivery(7)). Pure.
 *
 * Each session has a queue. Its frames go out in order while the total window
 * and its own have room; what is beyond waits in the queue, unnumbered, and the
 * queue is full: its owner then stops reading from the session's socket.
 */
struct link;
struct link_queue;

struct link_limits {
	uint32_t window;      /* numbers beyond the low-water mark */
	size_t bytes;         /* of all frames not acknowledged; one more frame
				 than fits is let through when there is none */
	size_t session_bytes; /* and of one session */
};

struct link_env {
	void *arg;
	void (*up)(void *arg, const void *msg, size_t len);
	/* A queue has less unacknowledged or waiting than before: its frame
	 * `seq` was acknowledged, unless that is 0. May close any queue. */
	void (*moved)(void *arg, void *owner, uint64_t seq);
};

struct link *link_new(
    const struct link_limits *limits, const struct link_env *env);
void link_free(struct link *l); /* with all queues */

/* For a new incarnation: drops all frames, numbers from 1 (rule 13). */
void link_reset(struct link *l);

/* The link to the router of `term` is up and announced on: sends again what is
 * not acknowledged, in order. What has never been sent is not marked resent. */
void link_start(struct link *l, uint64_t term);
void link_stop(struct link *l);

/* RES_INVALID for a number that was never given. */
int link_ack(struct link *l, uint64_t num);

uint64_t link_low(const struct link *l); /* lowest not acknowledged */
size_t link_unacked(const struct link *l);

/* `window`: frames of this session not acknowledged. */
struct link_queue *link_queue_new(struct link *l, void *owner, uint32_t window);
/* The session has ended; what it sent goes on. Frees q, perhaps later. */
void link_queue_close(struct link_queue *q);
void link_queue_set_owner(struct link_queue *q, void *owner);
/* How many frames it was given: the seq of the newest. */
uint64_t link_queue_sent(const struct link_queue *q);

/* Takes a copy of the frame; num, low and resent are set here. */
void link_send(struct link_queue *q, const struct up_frame *frame);

bool link_queue_is_full(const struct link_queue *q);
bool link_queue_has_room(const struct link_queue *q); /* half of it, at least */
bool link_queue_is_empty(const struct link_queue *q); /* all acknowledged */

#endif
