/*
 * Commands on their way into the log.
 *
 *   submit -> leader known: proposed, or sent to it -> applied here -> done
 *   not applied within RETRY_MS, or a new leader: sent again, the same name
 *   not applied within DEADLINE_MS: done with RES_NO_LEADER
 */
#include "xmppd/cluster/proposer.h"

#include <sys/queue.h>

#include <stdlib.h>

#include <event2/event.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/result.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/control.h"
#include "xmppd/cluster/peer.h"
#include "xmppd/cluster/raft_node.h"
#include "xmppd/cluster/store.h"

#define RETRY_MS 600 /* two election time-outs */
#define DEADLINE_MS 5000
#define REQUEST_MS 500
#define COMMAND_MAX 65536

struct pending {
	struct buf command;
	uint64_t seq, deadline;
	proposer_done done;
	void *arg;
	STAILQ_ENTRY(pending) next;
};

struct proposer {
	struct raft_node *raft;
	struct peers *peers;
	struct event *timer;
	uint32_t self, leader;
	uint64_t id, seq; /* this proposer; the newest command */
	uint64_t sent;    /* ms, the first of the queue; 0: not yet */
	STAILQ_HEAD(, pending) queue;
};

static void
sent_cb(void *arg, int code, const char *why, const void *msg, size_t len)
{
	/* What counts is that it comes back as applied. */
	(void)arg, (void)code, (void)why, (void)msg, (void)len;
}

static void
send_first(struct proposer *p)
{
	struct pending *first = STAILQ_FIRST(&p->queue);
	struct buf b = { 0 };

	if (first == NULL || p->leader == 0)
		return;
	p->sent = clock_ms();
	if (p->leader == p->self) {
		raft_node_propose(p->raft, p->id, first->seq,
		    first->command.data, first->command.len, first->seq);
		return;
	}
	buf_add_u8(&b, CONTROL_PROPOSE);
	buf_add_u64(&b, p->id);
	buf_add_u64(&b, first->seq);
	buf_add(&b, first->command.data, first->command.len);
	peers_request(p->peers, p->leader, NULL, b.data, b.len, REQUEST_MS,
	    sent_cb, NULL);
	buf_wipe(&b);
}

static void
arm(struct proposer *p, unsigned ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	evtimer_add(p->timer, &tv);
}

static void
end_first(struct proposer *p, const struct proposer_result *result)
{
	struct pending *first = STAILQ_FIRST(&p->queue);

	STAILQ_REMOVE_HEAD(&p->queue, next);
	p->sent = 0;
	if (!STAILQ_EMPTY(&p->queue))
		arm(p, 0);
	buf_wipe(&first->command);
	first->done(first->arg, result);
	free(first);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	static const struct proposer_result no_leader = { RES_NO_LEADER, 0, 0 };
	struct proposer *p = arg;
	struct pending *first = STAILQ_FIRST(&p->queue);
	uint64_t now = clock_ms();

	(void)fd, (void)what;
	if (first == NULL)
		return;
	arm(p, 100);
	if (now >= first->deadline)
		end_first(p, &no_leader);
	else if (p->sent == 0 || now - p->sent >= RETRY_MS)
		send_first(p);
}

void
proposer_submit(struct proposer *p, const void *command, size_t len,
    proposer_done done, void *arg)
{
	struct pending *pending = xcalloc(1, sizeof(*pending));

	buf_add(&pending->command, command, len);
	pending->seq = ++p->seq;
	pending->deadline = clock_ms() + DEADLINE_MS;
	pending->done = done;
	pending->arg = arg;
	STAILQ_INSERT_TAIL(&p->queue, pending, next);
	if (STAILQ_FIRST(&p->queue) == pending)
		arm(p, 0);
}

void
proposer_set_leader(struct proposer *p, uint32_t leader)
{
	if (leader == p->leader)
		return;
	p->leader = leader;
	p->sent = 0;
	if (!STAILQ_EMPTY(&p->queue))
		arm(p, 0);
}

void
proposer_applied(struct proposer *p, const struct store_event *event)
{
	struct pending *first = STAILQ_FIRST(&p->queue);
	struct proposer_result result = { event->code, event->id,
		event->index };

	if (first != NULL && event->proposer == p->id &&
	    event->seq == first->seq)
		end_first(p, &result);
}

void
proposer_lost(struct proposer *p, uint64_t tag)
{
	struct pending *first = STAILQ_FIRST(&p->queue);

	if (first != NULL && first->seq == tag)
		p->sent = 0;
}

void
proposer_request(
    struct proposer *p, uint64_t token, const void *msg, size_t len)
{
	uint64_t proposer, seq;
	struct cursor c;
	uint8_t ok;

	cursor_init(&c, msg, len);
	cursor_u8(&c);
	proposer = cursor_u64(&c);
	seq = cursor_u64(&c);
	ok = cursor_ok(&c) && proposer != 0 && p->leader == p->self &&
	    cursor_left(&c) > 0 && cursor_left(&c) <= COMMAND_MAX;
	if (ok)
		raft_node_propose(
		    p->raft, proposer, seq, c.p, cursor_left(&c), 0);
	peers_answer(p->peers, token, &ok, sizeof(ok));
}

struct proposer *
proposer_new(struct event_base *base, struct raft_node *raft,
    struct peers *peers, uint32_t self)
{
	struct proposer *p = xcalloc(1, sizeof(*p));

	p->raft = raft;
	p->peers = peers;
	p->self = self;
	p->id = crypto_random_u64() | 1;
	p->timer = evtimer_new(base, timer_cb, p);
	STAILQ_INIT(&p->queue);
	return p;
}

void
proposer_free(struct proposer *p)
{
	static const struct proposer_result ended = { RES_NO_LEADER, 0, 0 };

	if (p == NULL)
		return;
	while (!STAILQ_EMPTY(&p->queue))
		end_first(p, &ended);
	event_free(p->timer);
	free(p);
}
