/*
 * The Raft thread: a server (raft_core) and its connections (raft_wire) on an
 * event base of their own, so that neither a storm of handshakes nor a slow
 * client delays a heartbeat. The main loop and the thread share two queues and
 * a few atomic numbers:
 *
 *   main loop --mail--> thread: proposals, wishes, connections
 *   thread --mail--> main loop: role, members, what is lost, done, to be
 * dialled
 *
 * Each queue has an eventfd, and is emptied when that wakes its reader. The end
 * of the lease is read without a queue; it's dropped on the main loop at the
 * moment that a hand-over is asked for, and by the thread otherwise.
 */
#include "xmppd/cluster/raft_node.h"

#include <sys/eventfd.h>
#include <sys/queue.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/clock.h"
#include "common/conn.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/raft_codec.h"
#include "xmppd/cluster/raft_core.h"
#include "xmppd/cluster/raft_lease.h"
#include "xmppd/cluster/raft_mail.h"
#include "xmppd/cluster/raft_wire.h"
#include "xmppd/cluster/store.h"

#define DEFAULT_ELECTION_MS 300
#define DEFAULT_HEARTBEAT_MS 50
#define DEFAULT_TICK_MS 15
/* Trap 15: what a server that lags is sent in one go is bounded by this, and
 * half as much is kept behind a marker. */
#define DEFAULT_SNAPSHOT_ENTRIES 1024
/* Connections are looked after every so many ticks. */
#define KEEP_TICKS 4

struct raft_node {
	struct raft_node_callbacks cb;
	void (*dial)(void *arg, uint32_t id);
	void *dial_arg;
	struct store *store;
	struct raft_mailbox to_thread, to_main;
	bool delivering, stopped; /* main loop */

	_Atomic uint64_t term, lease_term, lease_until;
	atomic_uint lease_blocks; /* hand-overs asked for, not yet begun */

	/* The thread's. */
	pthread_t thread;
	struct event_base *base;
	struct event *tick, *soon, *deadline;
	struct conn_loop *loop;
	struct raft_core *core;
	struct raft_wire *wire;
	bool stopping;
	unsigned ticks;
};

/* ---- what the server asks and reports, on the thread --------------------- */

static uint64_t
hook_now(void *arg)
{
	(void)arg;
	return clock_ms();
}

static int
hook_random(void *arg, int min, int max)
{
	(void)arg;
	return min + (int)(crypto_random_u64() % (uint64_t)(max - min));
}

static bool
hook_send(void *arg, uint32_t to, const void *frames, size_t len)
{
	struct raft_node *rn = arg;

	return rn->wire != NULL && raft_wire_send(rn->wire, to, frames, len);
}

static void
hook_apply(void *arg, uint64_t index, const void *entry, size_t len)
{
	struct raft_node *rn = arg;

	store_apply(rn->store, index, entry, len);
}

static uint64_t
hook_applied(void *arg)
{
	struct raft_node *rn = arg;

	return store_applied_index(rn->store);
}

static uint64_t
hook_synced(void *arg)
{
	struct raft_node *rn = arg;

	return store_synced_index(rn->store);
}

static void
hook_sync(void *arg)
{
	struct raft_node *rn = arg;

	store_sync(rn->store);
}

static void
hook_role(void *arg, enum raft_role role, uint64_t term, uint32_t leader)
{
	struct raft_node *rn = arg;
	struct raft_mail *m = raft_mail_new(MAIL_ROLE);

	m->code = (int)role;
	m->number = term;
	m->id = leader;
	raft_mailbox_post(&rn->to_main, m);
}

static void
hook_members(void *arg, const struct raft_member *members, size_t count)
{
	struct raft_node *rn = arg;
	struct raft_mail *m = raft_mail_new(MAIL_MEMBERS);

	buf_add(&m->data, members, count * sizeof(*members));
	raft_mailbox_post(&rn->to_main, m);
}

static void
hook_lost(void *arg, uint64_t tag)
{
	struct raft_node *rn = arg;
	struct raft_mail *m = raft_mail_new(MAIL_LOST);

	m->number = tag;
	raft_mailbox_post(&rn->to_main, m);
}

static void
hook_wants_copy(void *arg, uint32_t id, uint64_t index)
{
	struct raft_node *rn = arg;
	struct raft_mail *m = raft_mail_new(MAIL_WANTS_COPY);

	m->id = id;
	m->number = index;
	raft_mailbox_post(&rn->to_main, m);
}

static void
hook_failed(void *arg, const char *why)
{
	struct raft_node *rn = arg;
	struct raft_mail *m = raft_mail_new(MAIL_FAILED);

	buf_add_str(&m->data, why);
	raft_mailbox_post(&rn->to_main, m);
}

/*
 * A reader takes the end only if it has seen the same term before and after;
 * so the end of another term is never taken for this one's.
 */
static void
hook_lease(void *arg, uint64_t term, uint64_t until)
{
	struct raft_node *rn = arg;

	if (term != rn->lease_term) {
		rn->lease_until = 0;
		rn->lease_term = term;
	}
	rn->lease_until = until;
}

static void
hook_term(void *arg, uint64_t term)
{
	struct raft_node *rn = arg;

	rn->term = term;
}

static void
hook_wire_lost(void *arg, uint32_t id)
{
	struct raft_node *rn = arg;

	raft_core_lost_touch(rn->core, id);
}

static void
hook_dial(void *arg, uint32_t id)
{
	struct raft_node *rn = arg;
	struct raft_mail *m = raft_mail_new(MAIL_DIAL);

	m->id = id;
	raft_mailbox_post(&rn->to_main, m);
}

/* ---- the thread --------------------------------------------------------- */

/* Looks again soon where the server waits for the store. */
static void
look_again(struct raft_node *rn)
{
	struct timeval tv = { 0, 1000 };

	if (raft_core_waits(rn->core) &&
	    !event_pending(rn->soon, EV_TIMEOUT, NULL))
		event_add(rn->soon, &tv);
	/* A hand-over before the end: nothing is left to wait for. */
	if (rn->stopping && !raft_core_leads(rn->core))
		event_base_loopexit(rn->base, NULL);
}

static int
hook_receive(void *arg, uint32_t from, const void *data, size_t len)
{
	struct raft_node *rn = arg;
	int rc = raft_core_receive(rn->core, from, data, len);

	look_again(rn);
	return rc;
}

static void
keep_connections(struct raft_node *rn)
{
	uint32_t others[RAFT_SERVERS_MAX];
	size_t n = raft_core_others(rn->core, others, RAFT_SERVERS_MAX);

	for (size_t i = 0; i < n; i++)
		raft_wire_keep(rn->wire, others[i]);
}

/* Before the end the leadership is handed over; there may be nobody yet who
 * has shown that it can take over. */
static void
try_to_stop(struct raft_node *rn)
{
	if (raft_core_leads(rn->core))
		raft_core_transfer(rn->core, 0, NULL, NULL);
	else
		event_base_loopexit(rn->base, NULL);
}

static void
tick_cb(evutil_socket_t fd, short what, void *arg)
{
	struct raft_node *rn = arg;

	(void)fd, (void)what;
	raft_core_tick(rn->core);
	if (rn->stopping)
		try_to_stop(rn);
	if (++rn->ticks % KEEP_TICKS == 0)
		keep_connections(rn);
	look_again(rn);
}

static void
soon_cb(evutil_socket_t fd, short what, void *arg)
{
	struct raft_node *rn = arg;

	(void)fd, (void)what;
	raft_core_poll(rn->core);
	look_again(rn);
}

static void
deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	struct raft_node *rn = arg;

	(void)fd, (void)what;
	event_base_loopexit(rn->base, NULL);
}

/* Takes what the main loop wants to know back to it. */
static void
wish_done(void *arg, int code, const char *text)
{
	struct raft_mail *wish = arg, *m = raft_mail_new(MAIL_DONE);

	m->code = code;
	m->done = wish->done;
	m->arg = wish->arg;
	buf_add_str(&m->data, text);
	raft_mailbox_post(&wish->node->to_main, m);
	raft_mail_free(wish);
}

static void
begin_stop(struct raft_node *rn, uint64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000),
		(suseconds_t)(ms % 1000) * 1000 };
	uint32_t other;

	rn->stopping = true;
	if (ms == 0 || raft_core_others(rn->core, &other, 1) == 0) {
		event_base_loopexit(rn->base, NULL);
		return;
	}
	event_add(rn->deadline, &tv);
	try_to_stop(rn);
}

/* Handles one; true if the mail is kept. */
static bool
handle(struct raft_node *rn, struct raft_mail *m)
{
	m->node = rn;
	switch (m->kind) {
	case MAIL_PROPOSE:
		m->proposal.command = m->data.data;
		m->proposal.len = m->data.len;
		raft_core_propose(rn->core, &m->proposal, m->number);
		return false;
	case MAIL_SET_LEADING:
		raft_core_set_leading(rn->core, m->flag);
		rn->lease_blocks -= !m->flag;
		return false;
	case MAIL_ADD:
		raft_core_add(rn->core, m->id, wish_done, m);
		return true;
	case MAIL_REMOVE:
		raft_core_remove(rn->core, m->id, wish_done, m);
		return true;
	case MAIL_TRANSFER:
		raft_core_transfer(rn->core, m->id, wish_done, m);
		rn->lease_blocks--;
		return true;
	case MAIL_CONNECTION:
		raft_wire_connection(rn->wire, m->id, m->flag, m->fd, m->ssl);
		m->fd = -1;
		m->ssl = NULL;
		return false;
	case MAIL_STOP:
		begin_stop(rn, m->number);
		return false;
	case MAIL_ROLE:
	case MAIL_MEMBERS:
	case MAIL_LOST:
	case MAIL_WANTS_COPY:
	case MAIL_DIAL:
	case MAIL_DONE:
	case MAIL_FAILED:
		break;
	}
	return false;
}

static void
thread_mail_cb(evutil_socket_t fd, short what, void *arg)
{
	struct raft_node *rn = arg;
	struct raft_mails mails;
	struct raft_mail *m;

	(void)fd, (void)what;
	raft_mailbox_take(&rn->to_thread, &mails);
	while ((m = raft_mails_pop(&mails)) != NULL)
		if (!handle(rn, m))
			raft_mail_free(m);
	/* All proposals that came together go together. */
	raft_core_poll(rn->core);
	look_again(rn);
}

static void *
thread_main(void *arg)
{
	struct raft_node *rn = arg;

	event_base_loop(rn->base, 0);
	return NULL;
}

/* ---- the main loop ------------------------------------------------------ */

static void
deliver(struct raft_node *rn, struct raft_mail *m)
{
	const struct raft_node_callbacks *cb = &rn->cb;

	switch (m->kind) {
	case MAIL_ROLE:
		cb->role(cb->arg, (enum raft_role)m->code, m->number, m->id);
		break;
	case MAIL_MEMBERS:
		cb->members(cb->arg, (const void *)m->data.data,
		    m->data.len / sizeof(struct raft_member));
		break;
	case MAIL_LOST:
		cb->lost(cb->arg, m->number);
		break;
	case MAIL_WANTS_COPY:
		cb->wants_copy(cb->arg, m->id, m->number);
		break;
	case MAIL_DIAL:
		if (rn->dial != NULL)
			rn->dial(rn->dial_arg, m->id);
		break;
	case MAIL_DONE:
		if (m->done != NULL)
			m->done(m->arg, m->code, buf_str(&m->data));
		break;
	case MAIL_FAILED:
		cb->failed(cb->arg, buf_str(&m->data));
		break;
	case MAIL_PROPOSE:
	case MAIL_SET_LEADING:
	case MAIL_ADD:
	case MAIL_REMOVE:
	case MAIL_TRANSFER:
	case MAIL_CONNECTION:
	case MAIL_STOP:
		break;
	}
}

static void
main_mail_cb(evutil_socket_t fd, short what, void *arg)
{
	struct raft_node *rn = arg;
	struct raft_mails mails;
	struct raft_mail *m;

	(void)fd, (void)what;
	raft_mailbox_take(&rn->to_main, &mails);
	rn->delivering = true;
	while ((m = raft_mails_pop(&mails)) != NULL) {
		if (!rn->stopped)
			deliver(rn, m);
		raft_mail_free(m);
	}
	rn->delivering = false;
	if (rn->stopped) {
		raft_mailbox_clear(&rn->to_main);
		free(rn);
	}
}

void
raft_node_propose(struct raft_node *rn, uint64_t proposer, uint64_t seq,
    const void *command, size_t len, uint64_t tag)
{
	struct raft_mail *m = raft_mail_new(MAIL_PROPOSE);

	m->proposal.proposer = proposer;
	m->proposal.seq = seq;
	m->number = tag;
	buf_add(&m->data, command, len);
	raft_mailbox_post(&rn->to_thread, m);
}

bool
raft_node_lease(const struct raft_node *rn, uint64_t term, uint64_t now)
{
	uint64_t before = atomic_load(&rn->lease_term);
	uint64_t until = atomic_load(&rn->lease_until);
	uint64_t after = atomic_load(&rn->lease_term);

	return before == term && after == term && now < until &&
	    atomic_load(&rn->lease_blocks) == 0;
}

uint64_t
raft_node_term(const struct raft_node *rn)
{
	return rn->term;
}

void
raft_node_set_leading(struct raft_node *rn, bool allowed)
{
	struct raft_mail *m = raft_mail_new(MAIL_SET_LEADING);

	m->flag = allowed;
	rn->lease_blocks += !allowed;
	raft_mailbox_post(&rn->to_thread, m);
}

static void
post_wish(struct raft_node *rn, enum raft_mail_kind kind, uint32_t id,
    raft_node_done done, void *arg)
{
	struct raft_mail *m = raft_mail_new(kind);

	m->id = id;
	m->done = done;
	m->arg = arg;
	raft_mailbox_post(&rn->to_thread, m);
}

void
raft_node_add(struct raft_node *rn, uint32_t id, raft_node_done done, void *arg)
{
	post_wish(rn, MAIL_ADD, id, done, arg);
}

void
raft_node_remove(
    struct raft_node *rn, uint32_t id, raft_node_done done, void *arg)
{
	post_wish(rn, MAIL_REMOVE, id, done, arg);
}

void
raft_node_transfer(
    struct raft_node *rn, uint32_t id, raft_node_done done, void *arg)
{
	rn->lease_blocks++;
	post_wish(rn, MAIL_TRANSFER, id, done, arg);
}

void
raft_node_connection(
    struct raft_node *rn, uint32_t id, bool dialled, int fd, struct ssl_st *ssl)
{
	struct raft_mail *m = raft_mail_new(MAIL_CONNECTION);

	m->id = id;
	m->flag = dialled;
	m->fd = fd;
	m->ssl = ssl;
	raft_mailbox_post(&rn->to_thread, m);
}

void
raft_node_set_dialler(
    struct raft_node *rn, void (*dial)(void *arg, uint32_t id), void *arg)
{
	rn->dial = dial;
	rn->dial_arg = arg;
}

size_t
raft_node_peers(struct raft_node *rn, struct raft_peer_state *out, size_t max)
{
	return raft_wire_peers(rn->wire, out, max);
}

/* ---- life --------------------------------------------------------------- */

static void
make_thread_side(struct raft_node *rn)
{
	struct raft_wire_hooks hooks = { .arg = rn,
		.receive = hook_receive,
		.dial = hook_dial,
		.lost = hook_wire_lost };

	rn->base = event_base_new();
	if (rn->base == NULL)
		fatalx("raft: no event base");
	rn->tick = event_new(rn->base, -1, EV_PERSIST, tick_cb, rn);
	rn->soon = evtimer_new(rn->base, soon_cb, rn);
	rn->deadline = evtimer_new(rn->base, deadline_cb, rn);
	rn->loop = conn_loop_new(rn->base);
	rn->wire = raft_wire_new(rn->loop, &hooks);
	raft_mailbox_init(&rn->to_thread, rn->base, thread_mail_cb, rn);
}

static void
free_thread_side(struct raft_node *rn)
{
	raft_core_free(rn->core);
	raft_wire_free(rn->wire);
	raft_mailbox_clear(&rn->to_thread);
	event_free(rn->tick);
	event_free(rn->soon);
	event_free(rn->deadline);
	conn_loop_free(rn->loop);
	event_base_free(rn->base);
}

static struct raft_core *
start_core(
    struct raft_node *rn, const struct raft_node_config *cfg, struct error *e)
{
	struct raft_core_config core = { .dir = cfg->dir,
		.id = cfg->id,
		.bootstrap = cfg->bootstrap,
		.election_ms = cfg->election_ms,
		.heartbeat_ms = cfg->heartbeat_ms,
		.threshold = cfg->snapshot_entries };
	struct raft_core_hooks hooks = { .arg = rn,
		.now = hook_now,
		.random = hook_random,
		.send = hook_send,
		.apply = hook_apply,
		.applied = hook_applied,
		.synced = hook_synced,
		.sync = hook_sync,
		.role = hook_role,
		.members = hook_members,
		.lost = hook_lost,
		.wants_copy = hook_wants_copy,
		.failed = hook_failed,
		.lease = hook_lease,
		.term = hook_term };

	if (core.election_ms == 0)
		core.election_ms = DEFAULT_ELECTION_MS;
	if (core.heartbeat_ms == 0)
		core.heartbeat_ms = DEFAULT_HEARTBEAT_MS;
	if (core.threshold == 0)
		core.threshold = DEFAULT_SNAPSHOT_ENTRIES;
	core.trailing = core.threshold / 2;
	return raft_core_new(&core, &hooks, e);
}

struct raft_node *
raft_node_start(const struct raft_node_config *cfg,
    struct event_base *main_base, struct store *store,
    const struct raft_node_callbacks *cb, struct error *e)
{
	struct raft_node *rn = xcalloc(1, sizeof(*rn));
	unsigned ms = cfg->tick_ms == 0 ? DEFAULT_TICK_MS : cfg->tick_ms;
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	rn->cb = *cb;
	rn->store = store;
	raft_mailbox_init(&rn->to_main, main_base, main_mail_cb, rn);
	make_thread_side(rn);
	/* Before there is a thread; from then on it's the thread's. */
	rn->core = start_core(rn, cfg, e);
	if (rn->core == NULL) {
		free_thread_side(rn);
		raft_mailbox_clear(&rn->to_main);
		free(rn);
		return NULL;
	}
	event_add(rn->tick, &tv);
	look_again(rn);
	errno = pthread_create(&rn->thread, NULL, thread_main, rn);
	if (errno != 0)
		fatal("raft: thread");
	return rn;
}

void
raft_node_stop(struct raft_node *rn, unsigned ms)
{
	struct raft_mail *m = raft_mail_new(MAIL_STOP);

	m->number = ms;
	rn->lease_blocks++;
	raft_mailbox_post(&rn->to_thread, m);
	pthread_join(rn->thread, NULL);
	free_thread_side(rn);
	rn->stopped = true;
	/* Inside one of its own callbacks, it's freed after that. */
	if (rn->delivering)
		return;
	raft_mailbox_clear(&rn->to_main);
	free(rn);
}
