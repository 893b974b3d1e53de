#ifndef XMPPD_MAILBOX_H
#define XMPPD_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Messages from loop to loop, in this process. A mailbox is read by one loop;
 * each who writes to it has a writer, on a loop of its own: in another thread,
 * or the same.
 *
 * What a turn of the writer's loop brings goes over together at the end of the
 * turn: one buffer that changes hands, one lock, and one wake-up at most. Mail
 * of one writer arrives in order.
 */
struct event_base;
struct mailbox;
struct mail_writer;

struct mail {
	uint32_t what; /* the user's, like the next two */
	uint32_t edge;
	uint64_t of;
	const void *msg;
	size_t len;
};

/* `arrived` is called on base's loop, with mail or (mailbox_wake) without. */
struct mailbox *mailbox_new(
    struct event_base *base, void (*arrived)(void *arg), void *arg);
void mailbox_free(struct mailbox *box); /* after its writers */

/* From inside `arrived`: the next one, whose bytes stay until the one after is
 * asked for; false when there is none. What isn't taken comes again with the
 * next call. */
bool mailbox_next(struct mailbox *box, struct mail *mail);
/* Calls `arrived` at the end of this turn, or at once; on the reader's loop
 * only. */
void mailbox_wake(struct mailbox *box);
void mailbox_read(struct mailbox *box);

struct mail_writer *mail_writer_new(
    struct mailbox *box, struct event_base *base);
/* What it has not handed over is dropped. */
void mail_writer_free(struct mail_writer *w);

void mail_write(struct mail_writer *w, const struct mail *mail);
void mail_flush(struct mail_writer *w); /* now, not at the end of the turn */

#endif
