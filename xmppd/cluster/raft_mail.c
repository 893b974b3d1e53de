/*
 * Mail between two threads.
 */
#include "xmppd/cluster/raft_mail.h"

#include <sys/eventfd.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "common/log.h"
#include "common/xmalloc.h"

struct raft_mail *
raft_mail_new(enum raft_mail_kind kind)
{
	struct raft_mail *m = xcalloc(1, sizeof(*m));

	m->kind = kind;
	m->fd = -1;
	return m;
}

void
raft_mail_free(struct raft_mail *m)
{
	if (m->fd >= 0)
		close(m->fd);
	SSL_free(m->ssl);
	buf_wipe(&m->data);
	free(m);
}

void
raft_mailbox_post(struct raft_mailbox *box, struct raft_mail *m)
{
	bool first;

	pthread_mutex_lock(&box->lock);
	first = STAILQ_EMPTY(&box->mails);
	STAILQ_INSERT_TAIL(&box->mails, m, entry);
	pthread_mutex_unlock(&box->lock);
	if (first && eventfd_write(box->fd, 1) != 0)
		fatal("raft: eventfd");
}

void
raft_mailbox_take(struct raft_mailbox *box, struct raft_mails *out)
{
	eventfd_t count;

	STAILQ_INIT(out);
	if (eventfd_read(box->fd, &count) != 0 && errno != EAGAIN)
		fatal("raft: eventfd");
	pthread_mutex_lock(&box->lock);
	STAILQ_CONCAT(out, &box->mails);
	pthread_mutex_unlock(&box->lock);
}

struct raft_mail *
raft_mails_pop(struct raft_mails *mails)
{
	struct raft_mail *m = STAILQ_FIRST(mails);

	if (m != NULL)
		STAILQ_REMOVE_HEAD(mails, entry);
	return m;
}

void
raft_mailbox_init(struct raft_mailbox *box, struct event_base *base,
    event_callback_fn cb, void *arg)
{
	pthread_mutex_init(&box->lock, NULL);
	STAILQ_INIT(&box->mails);
	box->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (box->fd < 0)
		fatal("raft: eventfd");
	box->wake = event_new(base, box->fd, EV_READ | EV_PERSIST, cb, arg);
	event_add(box->wake, NULL);
}

void
raft_mailbox_clear(struct raft_mailbox *box)
{
	struct raft_mail *m;

	event_free(box->wake);
	close(box->fd);
	while ((m = raft_mails_pop(&box->mails)) != NULL)
		raft_mail_free(m);
	pthread_mutex_destroy(&box->lock);
}
