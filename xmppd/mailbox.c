/*
 * Mail: batches of messages that change hands.
 *
 *   mail_write .. -> the writer's batch -> its flush event -> mailbox.waiting
 *     -> eventfd, if nothing waited there -> mailbox.taken -> mailbox_next ..
 *   empty batches go the other way, so that none is allocated for each turn
 */
#include "xmppd/mailbox.h"

#include <sys/eventfd.h>
#include <sys/queue.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/xmalloc.h"

#define SPARE_MAX 4
#define SPARE_SIZE (256U << 10) /* larger ones are not kept */

struct batch {
	STAILQ_ENTRY(batch) next;
	struct buf data;
	size_t at; /* read so far */
};

STAILQ_HEAD(batches, batch);

struct mailbox {
	struct event_base *base;
	void (*arrived)(void *arg);
	void *arg;
	int fd;
	struct event *wake;
	struct batches taken; /* the reader's */
	pthread_mutex_t lock;
	struct batches waiting, spare; /* under the lock */
	size_t spares;                 /* under the lock */
};

struct mail_writer {
	struct mailbox *box;
	struct event *flush;
	bool same; /* on the reader's own loop */
	struct batch *batch;
};

/* ---- batches ----------------------------------------------------------- */

static void
batch_free(struct batch *b)
{
	if (b == NULL)
		return;
	buf_clear(&b->data);
	free(b);
}

static struct batch *
batch_pop(struct batches *list)
{
	struct batch *b = STAILQ_FIRST(list);

	if (b != NULL)
		STAILQ_REMOVE_HEAD(list, next);
	return b;
}

static void
batches_free(struct batches *list)
{
	struct batch *b;

	while ((b = batch_pop(list)) != NULL)
		batch_free(b);
}

/* ---- the reader -------------------------------------------------------- */

void
mailbox_read(struct mailbox *box)
{
	pthread_mutex_lock(&box->lock);
	STAILQ_CONCAT(&box->taken, &box->waiting);
	pthread_mutex_unlock(&box->lock);
	box->arrived(box->arg);
}

static void
wake_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	mailbox_read(arg);
}

/* The first has been read. */
static void
taken_done(struct mailbox *box)
{
	struct batch *b = batch_pop(&box->taken);

	if (b->data.size <= SPARE_SIZE) {
		buf_reset(&b->data);
		b->at = 0;
		pthread_mutex_lock(&box->lock);
		if (box->spares < SPARE_MAX) {
			STAILQ_INSERT_HEAD(&box->spare, b, next);
			box->spares++;
			b = NULL;
		}
		pthread_mutex_unlock(&box->lock);
	}
	batch_free(b);
}

bool
mailbox_next(struct mailbox *box, struct mail *mail)
{
	struct batch *b;

	while ((b = STAILQ_FIRST(&box->taken)) != NULL && b->at == b->data.len)
		taken_done(box);
	if (b == NULL)
		return false;
	memcpy(mail, b->data.data + b->at, sizeof(*mail));
	b->at += sizeof(*mail);
	mail->msg = b->data.data + b->at;
	b->at += mail->len;
	return true;
}

void
mailbox_wake(struct mailbox *box)
{
	event_active(box->wake, EV_READ, 0);
}

struct mailbox *
mailbox_new(struct event_base *base, void (*arrived)(void *arg), void *arg)
{
	struct mailbox *box = xcalloc(1, sizeof(*box));

	box->base = base;
	box->arrived = arrived;
	box->arg = arg;
	STAILQ_INIT(&box->taken);
	STAILQ_INIT(&box->waiting);
	STAILQ_INIT(&box->spare);
	pthread_mutex_init(&box->lock, NULL);
	box->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (box->fd < 0)
		fatal("mailbox: eventfd");
	/* Edge-triggered: its count need not be read to be woken again. */
	box->wake = event_new(
	    base, box->fd, EV_READ | EV_PERSIST | EV_ET, wake_cb, box);
	if (box->wake == NULL || event_add(box->wake, NULL) != 0)
		fatalx("mailbox: no event");
	return box;
}

void
mailbox_free(struct mailbox *box)
{
	if (box == NULL)
		return;
	event_free(box->wake);
	close(box->fd);
	batches_free(&box->taken);
	batches_free(&box->waiting);
	batches_free(&box->spare);
	pthread_mutex_destroy(&box->lock);
	free(box);
}

/* ---- a writer ---------------------------------------------------------- */

void
mail_flush(struct mail_writer *w)
{
	struct mailbox *box = w->box;
	bool first;

	if (w->batch == NULL || w->batch->data.len == 0)
		return;
	pthread_mutex_lock(&box->lock);
	first = STAILQ_EMPTY(&box->waiting);
	STAILQ_INSERT_TAIL(&box->waiting, w->batch, next);
	w->batch = batch_pop(&box->spare);
	if (w->batch != NULL)
		box->spares--;
	pthread_mutex_unlock(&box->lock);
	if (!first)
		return;
	if (w->same)
		mailbox_wake(box);
	else if (eventfd_write(box->fd, 1) != 0)
		fatal("mailbox: eventfd");
}

static void
flush_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	mail_flush(arg);
}

void
mail_write(struct mail_writer *w, const struct mail *mail)
{
	struct buf *data;

	if (w->batch == NULL)
		w->batch = xcalloc(1, sizeof(*w->batch));
	data = &w->batch->data;
	if (data->len == 0)
		event_active(w->flush, EV_TIMEOUT, 0);
	buf_add(data, mail, sizeof(*mail));
	buf_add(data, mail->msg, mail->len);
}

struct mail_writer *
mail_writer_new(struct mailbox *box, struct event_base *base)
{
	struct mail_writer *w = xcalloc(1, sizeof(*w));

	w->box = box;
	w->same = base == box->base;
	w->flush = event_new(base, -1, 0, flush_cb, w);
	if (w->flush == NULL)
		fatalx("mailbox: no event");
	return w;
}

void
mail_writer_free(struct mail_writer *w)
{
	if (w == NULL)
		return;
	event_free(w->flush);
	batch_free(w->batch);
	free(w);
}
