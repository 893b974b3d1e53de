#ifndef XMPPD_CLUSTER_RAFT_MAIL_H
#define XMPPD_CLUSTER_RAFT_MAIL_H

#include <sys/queue.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "common/buf.h"
#include "xmppd/cluster/raft_node.h"
#include "xmppd/cluster/store.h"

/*
 * The mail between the main loop and the Raft thread: two queues, each with a
 * mutex and an eventfd that wakes its reader.
 */
enum raft_mail_kind {
	/* To the thread. */
	MAIL_PROPOSE,
	MAIL_SET_LEADING,
	MAIL_ADD,
	MAIL_REMOVE,
	MAIL_TRANSFER,
	MAIL_CONNECTION,
	MAIL_STOP,
	/* To the main loop. */
	MAIL_ROLE,
	MAIL_MEMBERS,
	MAIL_LOST,
	MAIL_WANTS_COPY,
	MAIL_DIAL,
	MAIL_DONE,
	MAIL_FAILED
};

struct raft_mail {
	STAILQ_ENTRY(raft_mail) entry;
	enum raft_mail_kind kind;
	uint32_t id;     /* a server */
	uint64_t number; /* tag, index, term, milliseconds */
	bool flag;       /* allowed, dialled */
	int fd;
	struct ssl_st *ssl;
	int code; /* or role */
	raft_node_done done;
	void *arg;
	struct store_proposal proposal;
	struct buf data; /* command, members, text */
	struct raft_node *node;
};

STAILQ_HEAD(raft_mails, raft_mail);

/* Who posts may be another thread than who takes. */
struct raft_mailbox {
	pthread_mutex_t lock;
	struct raft_mails mails;
	int fd;
	struct event *wake;
};

struct raft_mail *raft_mail_new(enum raft_mail_kind kind);
void raft_mail_free(struct raft_mail *m);

void raft_mailbox_init(struct raft_mailbox *box, struct event_base *base,
    event_callback_fn cb, void *arg);
void raft_mailbox_clear(struct raft_mailbox *box);
void raft_mailbox_post(struct raft_mailbox *box, struct raft_mail *m);
/* Moves all that has arrived to *out. */
void raft_mailbox_take(struct raft_mailbox *box, struct raft_mails *out);
struct raft_mail *raft_mails_pop(struct raft_mails *mails); /* NULL: empty */

#endif
