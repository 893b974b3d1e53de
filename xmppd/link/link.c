/*
 * Frames on their way from an edge to the router.
 *
 *   link_send: a frame, encoded once
 *     room: numbered, put into the ring, sent          -> acknowledged: freed
 *     none: waits in its session's queue; queues that only lack the total
 *           window's room take turns as acknowledgements make some
 *   change of leader: link_stop, link_start: the ring again, in order
 */
#include "xmppd/link/link.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "common/result.h"
#include "common/xmalloc.h"

struct link_frame {
	STAILQ_ENTRY(link_frame) next; /* while it waits */
	struct link_queue *queue;
	uint64_t seq; /* in its queue, from 1 */
	bool sent;    /* on any link */
	size_t len;
	uint8_t msg[];
};

STAILQ_HEAD(link_frames, link_frame);

struct link_queue {
	struct link *link;
	void *owner; /* NULL: closed */
	uint32_t window, unacked;
	uint64_t sent; /* how many frames it was given */
	size_t bytes;  /* unacknowledged or waiting */
	struct link_frames waiting;
	bool ready; /* in link.ready */
	TAILQ_ENTRY(link_queue) next_ready;
	LIST_ENTRY(link_queue) next;
};

struct link {
	struct link_limits limits;
	struct link_env env;
	bool started;
	uint64_t term;
	uint64_t low, next; /* numbers */
	size_t unacked, bytes;
	uint64_t mask;
	struct link_frame **ring; /* by number */
	/* Queues with a frame that only the total window holds back. */
	TAILQ_HEAD(, link_queue) ready;
	LIST_HEAD(, link_queue) queues;
	struct buf scratch;
};

struct link *
link_new(const struct link_limits *limits, const struct link_env *env)
{
	struct link *l = xcalloc(1, sizeof(*l));
	size_t size = 1;

	while (size < limits->window)
		size *= 2;
	l->limits = *limits;
	l->env = *env;
	l->mask = size - 1;
	l->ring = xcalloc(size, sizeof(struct link_frame *));
	l->low = l->next = 1;
	TAILQ_INIT(&l->ready);
	LIST_INIT(&l->queues);
	return l;
}

static void
queue_free(struct link_queue *q)
{
	if (q->ready)
		TAILQ_REMOVE(&q->link->ready, q, next_ready);
	LIST_REMOVE(q, next);
	free(q);
}

void
link_reset(struct link *l)
{
	struct link_queue *q, *next;
	struct link_frame *f;

	for (; l->low < l->next; l->low++) {
		free(l->ring[l->low & l->mask]);
		l->ring[l->low & l->mask] = NULL;
	}
	for (q = LIST_FIRST(&l->queues); q != NULL; q = next) {
		next = LIST_NEXT(q, next);
		while ((f = STAILQ_FIRST(&q->waiting)) != NULL) {
			STAILQ_REMOVE_HEAD(&q->waiting, next);
			free(f);
		}
		q->unacked = 0;
		q->bytes = 0;
		if (q->ready)
			TAILQ_REMOVE(&l->ready, q, next_ready);
		q->ready = false;
		if (q->owner == NULL)
			queue_free(q);
	}
	l->unacked = 0;
	l->bytes = 0;
	l->low = l->next = 1;
}

void
link_free(struct link *l)
{
	struct link_queue *q;

	if (l == NULL)
		return;
	link_reset(l);
	while ((q = LIST_FIRST(&l->queues)) != NULL)
		queue_free(q);
	buf_clear(&l->scratch);
	free(l->ring);
	free(l);
}

uint64_t
link_low(const struct link *l)
{
	return l->low;
}

size_t
link_unacked(const struct link *l)
{
	return l->unacked;
}

/* ---- queues ------------------------------------------------------------ */

struct link_queue *
link_queue_new(struct link *l, void *owner, uint32_t window)
{
	struct link_queue *q = xcalloc(1, sizeof(*q));

	q->link = l;
	q->owner = owner;
	q->window = window;
	STAILQ_INIT(&q->waiting);
	LIST_INSERT_HEAD(&l->queues, q, next);
	return q;
}

bool
link_queue_is_empty(const struct link_queue *q)
{
	return q->unacked == 0 && STAILQ_EMPTY(&q->waiting);
}

void
link_queue_close(struct link_queue *q)
{
	q->owner = NULL;
	if (link_queue_is_empty(q))
		queue_free(q);
}

void
link_queue_set_owner(struct link_queue *q, void *owner)
{
	q->owner = owner;
}

uint64_t
link_queue_sent(const struct link_queue *q)
{
	return q->sent;
}

/* Whether the session's own limits let one more frame out. */
static bool
queue_may_send(const struct link_queue *q)
{
	return q->unacked < q->window;
}

/* Whether the total ones do: no number beyond the low-water mark and the
 * window (delivery(7), "Words"), and memory has a limit of its own (G5). */
static bool
link_may_send(const struct link *l, size_t len)
{
	return l->next - l->low < l->limits.window &&
	    (l->unacked == 0 || l->bytes + len <= l->limits.bytes);
}

bool
link_queue_is_full(const struct link_queue *q)
{
	return !STAILQ_EMPTY(&q->waiting) || !queue_may_send(q) ||
	    q->bytes >= q->link->limits.session_bytes;
}

bool
link_queue_has_room(const struct link_queue *q)
{
	return STAILQ_EMPTY(&q->waiting) && q->unacked <= q->window / 2 &&
	    q->bytes <= q->link->limits.session_bytes / 2;
}

static void
queue_set_ready(struct link_queue *q)
{
	bool ready = !STAILQ_EMPTY(&q->waiting) && queue_may_send(q);

	if (q->ready == ready)
		return;
	q->ready = ready;
	if (ready)
		TAILQ_INSERT_TAIL(&q->link->ready, q, next_ready);
	else
		TAILQ_REMOVE(&q->link->ready, q, next_ready);
}

/* ---- frames ------------------------------------------------------------ */

static void
frame_up(struct link *l, struct link_frame *f, uint64_t num)
{
	if (!l->started)
		return;
	up_frame_stamp(f->msg, l->term, num, l->low, f->sent);
	f->sent = true;
	l->env.up(l->env.arg, f->msg, f->len);
}

static void
frame_number(struct link *l, struct link_frame *f)
{
	uint64_t num = l->next++;

	l->ring[num & l->mask] = f;
	l->unacked++;
	l->bytes += f->len;
	f->queue->unacked++;
	frame_up(l, f, num);
}

void
link_send(struct link_queue *q, const struct up_frame *frame)
{
	struct link *l = q->link;
	struct link_frame *f;

	buf_reset(&l->scratch);
	up_frame_encode(&l->scratch, 0, frame);
	f = xmalloc(sizeof(*f) + l->scratch.len);
	f->queue = q;
	f->seq = ++q->sent;
	f->sent = false;
	f->len = l->scratch.len;
	memcpy(f->msg, l->scratch.data, f->len);
	q->bytes += f->len;
	if (STAILQ_EMPTY(&q->waiting) && queue_may_send(q) &&
	    link_may_send(l, f->len)) {
		frame_number(l, f);
		return;
	}
	STAILQ_INSERT_TAIL(&q->waiting, f, next);
	queue_set_ready(q);
}

/* Lets out what waits, one frame a queue in turn. */
static void
pump(struct link *l)
{
	struct link_queue *q;
	struct link_frame *f;

	while ((q = TAILQ_FIRST(&l->ready)) != NULL) {
		f = STAILQ_FIRST(&q->waiting);
		if (!link_may_send(l, f->len))
			return;
		STAILQ_REMOVE_HEAD(&q->waiting, next);
		TAILQ_REMOVE(&l->ready, q, next_ready);
		q->ready = false;
		frame_number(l, f);
		queue_set_ready(q);
		if (STAILQ_EMPTY(&q->waiting) && q->owner != NULL)
			l->env.moved(l->env.arg, q->owner, 0);
	}
}

int
link_ack(struct link *l, uint64_t num)
{
	struct link_frame *f;
	struct link_queue *q;
	uint64_t seq;

	if (num == 0 || num >= l->next)
		return RES_INVALID;
	f = num < l->low ? NULL : l->ring[num & l->mask];
	if (f == NULL)
		return RES_OK; /* said again after a change of leader */
	q = f->queue;
	seq = f->seq;
	l->ring[num & l->mask] = NULL;
	l->unacked--;
	l->bytes -= f->len;
	q->unacked--;
	q->bytes -= f->len;
	free(f);
	while (l->low < l->next && l->ring[l->low & l->mask] == NULL)
		l->low++;
	queue_set_ready(q);
	if (q->owner != NULL)
		l->env.moved(l->env.arg, q->owner, seq);
	else if (link_queue_is_empty(q))
		queue_free(q);
	pump(l);
	return RES_OK;
}

void
link_start(struct link *l, uint64_t term)
{
	struct link_frame *f;

	l->started = true;
	l->term = term;
	for (uint64_t num = l->low; num < l->next; num++) {
		f = l->ring[num & l->mask];
		if (f != NULL)
			frame_up(l, f, num);
	}
}

void
link_stop(struct link *l)
{
	l->started = false;
}
