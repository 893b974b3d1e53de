/*
 * Raft servers under virtual time.
 */
#include "tests/lib/raft_sim.h"

#include <sys/queue.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/xmalloc.h"
#include "tests/lib/tree.h"
#include "xmppd/cluster/raft_lease.h"

#define TICK_MS 10
#define DELAY_MS 4

/* Frames under way; between two servers they arrive in order. */
struct message {
	TAILQ_ENTRY(message) entry;
	unsigned from, to;
	uint64_t at;
	struct buf bytes;
};

struct copy {
	TAILQ_ENTRY(copy) entry;
	unsigned from, to;
	uint64_t at;
};

struct raft_sim {
	struct raft_sim_node nodes[RAFT_SIM_MAX];
	TAILQ_HEAD(messages, message) messages;
	TAILQ_HEAD(copies, copy) copies;
	bool cut[RAFT_SIM_MAX][RAFT_SIM_MAX];
	unsigned slow[RAFT_SIM_MAX][RAFT_SIM_MAX];
	uint64_t now, random, last_at[RAFT_SIM_MAX][RAFT_SIM_MAX];
	unsigned copy_delay, threshold, trailing;
	char dir[64];
};

uint64_t
raft_sim_random(struct raft_sim *s, uint64_t below)
{
	/* xorshift64*, by Vigna. */
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return (s->random * 2685821657736338717ULL >> 33) % below;
}

uint64_t
raft_sim_now(const struct raft_sim *s)
{
	return s->now;
}

struct raft_sim_node *
raft_sim_node(struct raft_sim *s, unsigned i)
{
	return &s->nodes[i];
}

/* ---- a server's surroundings -------------------------------------------- */

static uint64_t
node_clock(const struct raft_sim_node *n)
{
	return n->offset + n->sim->now * (1000 + n->rate) / 1000;
}

static uint64_t
hook_now(void *arg)
{
	return node_clock(arg);
}

static int
hook_random(void *arg, int min, int max)
{
	struct raft_sim_node *n = arg;

	return min + (int)raft_sim_random(n->sim, (uint64_t)(max - min));
}

static bool
hook_send(void *arg, uint32_t to, const void *frames, size_t len)
{
	struct raft_sim_node *n = arg;
	struct raft_sim *s = n->sim;
	struct message *m;
	uint64_t *last;

	if (to == 0 || to > RAFT_SIM_MAX || s->nodes[to - 1].core == NULL ||
	    s->cut[n->number][to - 1])
		return false;
	last = &s->last_at[n->number][to - 1];
	m = xcalloc(1, sizeof(*m));
	m->from = n->number;
	m->to = to - 1;
	m->at = s->now + 1 + raft_sim_random(s, DELAY_MS) +
	    raft_sim_random(s, s->slow[n->number][to - 1] + 1);
	if (m->at < *last)
		m->at = *last;
	*last = m->at;
	buf_add(&m->bytes, frames, len);
	TAILQ_INSERT_TAIL(&s->messages, m, entry);
	return true;
}

static uint64_t
hook_applied(void *arg)
{
	struct raft_sim_node *n = arg;

	return n->count == 0 ? 0 : n->entries[n->count - 1].index;
}

/* All servers apply the same entry at an index. */
static void
check_same(const struct raft_sim *s, const struct raft_sim_entry *e)
{
	for (unsigned i = 0; i < RAFT_SIM_MAX; i++) {
		const struct raft_sim_node *n = &s->nodes[i];

		for (size_t k = n->count; k-- > 0;) {
			if (n->entries[k].index < e->index)
				break;
			if (n->entries[k].index != e->index)
				continue;
			if (n->entries[k].bytes.len == e->bytes.len &&
			    memcmp(n->entries[k].bytes.data, e->bytes.data,
				e->bytes.len) == 0)
				continue;
			fail_msg("entry %llu differs on node %u",
			    (unsigned long long)e->index, i);
		}
	}
}

static void
hook_apply(void *arg, uint64_t index, const void *entry, size_t len)
{
	struct raft_sim_node *n = arg;
	struct raft_sim_entry e = { .index = index };

	/* After a restart it has some already: the store skips them. */
	if (index <= hook_applied(n))
		return;
	buf_add(&e.bytes, entry, len);
	check_same(n->sim, &e);
	n->entries = xrealloc(n->entries, (n->count + 1) * sizeof(e));
	n->entries[n->count++] = e;
}

/* A barrier or a change has no effect; but what is synced counts them. */
static uint64_t
hook_synced(void *arg)
{
	struct raft_sim_node *n = arg;

	return n->synced;
}

static void
hook_sync(void *arg)
{
	struct raft_sim_node *n = arg;

	n->sync_asked = true;
}

static void
hook_role(void *arg, enum raft_role role, uint64_t term, uint32_t leader)
{
	struct raft_sim_node *n = arg;

	n->role = role;
	n->term = term;
	n->leader = leader;
	n->led_with_lease = role == RAFT_ROLE_LEADER && n->lease_term == term &&
	    n->lease_until > node_clock(n);
}

static void
hook_members(void *arg, const struct raft_member *members, size_t count)
{
	struct raft_sim_node *n = arg;

	n->member_count = count;
	if (count > 0)
		memcpy(n->members, members, count * sizeof(*members));
}

static void
hook_lost(void *arg, uint64_t tag)
{
	struct raft_sim_node *n = arg;

	(void)tag;
	n->lost++;
}

static void
hook_wants_copy(void *arg, uint32_t id, uint64_t index)
{
	struct raft_sim_node *n = arg;
	struct raft_sim *s = n->sim;
	struct copy *c;

	(void)index;
	n->copies++;
	if (s->copy_delay == 0)
		return;
	c = xcalloc(1, sizeof(*c));
	c->from = n->number;
	c->to = id - 1;
	c->at = s->now + s->copy_delay;
	TAILQ_INSERT_TAIL(&s->copies, c, entry);
}

static void
hook_failed(void *arg, const char *why)
{
	struct raft_sim_node *n = arg;

	n->failed = true;
	fail_msg("node %u failed: %s", n->number, why);
}

static void
hook_lease(void *arg, uint64_t term, uint64_t until)
{
	struct raft_sim_node *n = arg;

	n->lease_term = term;
	n->lease_until = until;
}

static void
hook_term(void *arg, uint64_t term)
{
	struct raft_sim_node *n = arg;

	assert_true(term >= n->seen_term);
	n->seen_term = term;
}

/* ---- life --------------------------------------------------------------- */

struct raft_sim *
raft_sim_new(uint64_t seed)
{
	struct raft_sim *s = xcalloc(1, sizeof(*s));
	struct raft_sim_node *n;

	TAILQ_INIT(&s->messages);
	TAILQ_INIT(&s->copies);
	s->random = seed * 2 + 1;
	s->now = 1000;
	s->copy_delay = 50;
	s->threshold = 1024;
	s->trailing = 512;
	snprintf(s->dir, sizeof(s->dir), "%s/raft_sim.XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(s->dir));
	for (unsigned i = 0; i < RAFT_SIM_MAX; i++) {
		n = &s->nodes[i];
		n->sim = s;
		n->number = i;
		snprintf(n->dir, sizeof(n->dir), "%s/%u", s->dir, i);
		assert_int_equal(mkdir(n->dir, 0700), 0);
		n->offset = raft_sim_random(s, 100000);
		n->rate = (unsigned)raft_sim_random(s, 50);
	}
	return s;
}

static void
drop_message(struct raft_sim *s, struct message *m)
{
	TAILQ_REMOVE(&s->messages, m, entry);
	buf_clear(&m->bytes);
	free(m);
}

static void
drop_copy(struct raft_sim *s, struct copy *c)
{
	TAILQ_REMOVE(&s->copies, c, entry);
	free(c);
}

static void
cut_state(struct raft_sim_node *n, uint64_t upto)
{
	while (n->count > 0 && n->entries[n->count - 1].index > upto)
		buf_clear(&n->entries[--n->count].bytes);
}

void
raft_sim_free(struct raft_sim *s)
{
	struct raft_sim_node *n;

	for (unsigned i = 0; i < RAFT_SIM_MAX; i++) {
		n = &s->nodes[i];
		raft_core_free(n->core);
		cut_state(n, 0);
		free(n->entries);
	}
	while (!TAILQ_EMPTY(&s->messages))
		drop_message(s, TAILQ_FIRST(&s->messages));
	while (!TAILQ_EMPTY(&s->copies))
		drop_copy(s, TAILQ_FIRST(&s->copies));
	tree_remove(s->dir);
	free(s);
}

void
raft_sim_settings(struct raft_sim *s, unsigned threshold, unsigned trailing)
{
	s->threshold = threshold;
	s->trailing = trailing;
}

void
raft_sim_copy_delay(struct raft_sim *s, unsigned ms)
{
	s->copy_delay = ms;
}

void
raft_sim_start(struct raft_sim *s, unsigned i, bool bootstrap)
{
	struct raft_sim_node *n = &s->nodes[i];
	struct raft_core_config cfg = { .dir = n->dir,
		.id = i + 1,
		.bootstrap = bootstrap,
		.election_ms = RAFT_SIM_ELECTION,
		.heartbeat_ms = 50,
		.threshold = s->threshold,
		.trailing = s->trailing };
	struct raft_core_hooks hooks = { .arg = n,
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
	struct error e;

	n->core = raft_core_new(&cfg, &hooks, &e);
	if (n->core == NULL)
		fail_msg("node %u does not start: %s", i, e.text);
}

/* What was under way from or to it is lost, and what wasn't synced. */
void
raft_sim_crash(struct raft_sim *s, unsigned i)
{
	struct raft_sim_node *n = &s->nodes[i];
	struct message *m, *next;
	struct copy *c, *next_copy;

	raft_core_free(n->core);
	n->core = NULL;
	n->role = RAFT_ROLE_NONE;
	n->lease_until = 0;
	cut_state(n, n->synced);
	for (m = TAILQ_FIRST(&s->messages); m != NULL; m = next) {
		next = TAILQ_NEXT(m, entry);
		if (m->from == i || m->to == i)
			drop_message(s, m);
	}
	for (c = TAILQ_FIRST(&s->copies); c != NULL; c = next_copy) {
		next_copy = TAILQ_NEXT(c, entry);
		if (c->from == i || c->to == i)
			drop_copy(s, c);
	}
	for (unsigned k = 0; k < RAFT_SIM_MAX; k++)
		if (s->nodes[k].core != NULL && !s->cut[i][k])
			raft_core_lost_touch(s->nodes[k].core, i + 1);
}

/*
 * A cut connection loses what was under way on it. By chance it's a reset,
 * which both notice; else silence, which nobody does.
 */
void
raft_sim_cut(struct raft_sim *s, unsigned a, unsigned b, bool cut)
{
	struct message *m, *next;

	s->cut[a][b] = s->cut[b][a] = cut;
	if (!cut)
		return;
	for (m = TAILQ_FIRST(&s->messages); m != NULL; m = next) {
		next = TAILQ_NEXT(m, entry);
		if ((m->from == a && m->to == b) ||
		    (m->from == b && m->to == a))
			drop_message(s, m);
	}
	if (raft_sim_random(s, 2) == 0)
		return;
	if (s->nodes[a].core != NULL)
		raft_core_lost_touch(s->nodes[a].core, b + 1);
	if (s->nodes[b].core != NULL)
		raft_core_lost_touch(s->nodes[b].core, a + 1);
}

void
raft_sim_slow(struct raft_sim *s, unsigned a, unsigned b, unsigned ms)
{
	s->slow[a][b] = s->slow[b][a] = ms;
}

/* ---- time --------------------------------------------------------------- */

static void
deliver(struct raft_sim *s, struct message *m)
{
	struct raft_core *core = s->nodes[m->to].core;
	struct cursor c;
	const uint8_t *frame;
	size_t len;

	cursor_init(&c, m->bytes.data, m->bytes.len);
	while (core != NULL && cursor_left(&c) > 0) {
		frame = cursor_block(&c, &len);
		assert_non_null(frame);
		assert_int_equal(
		    raft_core_receive(core, m->from + 1, frame, len), RES_OK);
	}
}

static void
deliver_due(struct raft_sim *s)
{
	struct message *m, *next;

	for (m = TAILQ_FIRST(&s->messages); m != NULL; m = next) {
		next = TAILQ_NEXT(m, entry);
		if (m->at > s->now)
			continue;
		TAILQ_REMOVE(&s->messages, m, entry);
		deliver(s, m);
		buf_clear(&m->bytes);
		free(m);
		/* What was sent meanwhile comes later. */
		next = TAILQ_FIRST(&s->messages);
		while (next != NULL && next->at > s->now)
			next = TAILQ_NEXT(next, entry);
	}
}

/* The state of one becomes that of another, durably. */
static void
copy_state(struct raft_sim *s, unsigned from, unsigned to)
{
	struct raft_sim_node *a = &s->nodes[from], *b = &s->nodes[to];

	if (a->core == NULL || b->core == NULL ||
	    hook_applied(a) <= hook_applied(b))
		return;
	cut_state(b, 0);
	b->entries = xrealloc(b->entries, a->count * sizeof(*b->entries));
	for (; b->count < a->count; b->count++) {
		b->entries[b->count] =
		    (struct raft_sim_entry){ .index =
						 a->entries[b->count].index };
		buf_add(&b->entries[b->count].bytes,
		    a->entries[b->count].bytes.data,
		    a->entries[b->count].bytes.len);
	}
	b->synced = hook_applied(b);
	raft_core_poll(b->core);
}

static void
copy_due(struct raft_sim *s)
{
	struct copy *c, *next;

	for (c = TAILQ_FIRST(&s->copies); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->at > s->now)
			continue;
		/* It goes on when the connection is there again. */
		if (s->cut[c->from][c->to])
			continue;
		copy_state(s, c->from, c->to);
		drop_copy(s, c);
	}
}

/* G4: nobody else acts as leader while one may. */
static void
check_leases(const struct raft_sim *s)
{
	const struct raft_sim_node *n;
	int holder = -1;

	for (unsigned i = 0; i < RAFT_SIM_MAX; i++) {
		n = &s->nodes[i];
		if (n->core == NULL || n->lease_until == 0 ||
		    (n->lease_until != RAFT_LEASE_FOREVER &&
			node_clock(n) >= n->lease_until))
			continue;
		if (holder >= 0)
			fail_msg("at %llu: nodes %d (term %llu) and %u (term "
				 "%llu) hold a lease",
			    (unsigned long long)s->now, holder,
			    (unsigned long long)s->nodes[holder].lease_term, i,
			    (unsigned long long)n->lease_term);
		holder = (int)i;
	}
}

static void
step(struct raft_sim *s)
{
	struct raft_sim_node *n;

	s->now++;
	deliver_due(s);
	copy_due(s);
	for (unsigned i = 0; i < RAFT_SIM_MAX; i++) {
		n = &s->nodes[i];
		if (n->core == NULL)
			continue;
		if (n->sync_asked && raft_sim_random(s, 10) == 0) {
			n->sync_asked = false;
			n->synced = hook_applied(n);
		}
		if ((s->now + i * 3) % TICK_MS == 0)
			raft_core_tick(n->core);
		else if (raft_core_waits(n->core))
			raft_core_poll(n->core);
	}
	check_leases(s);
}

void
raft_sim_run(struct raft_sim *s, unsigned ms)
{
	while (ms-- > 0)
		step(s);
}

/* ---- looking and acting ------------------------------------------------- */

int
raft_sim_leader(const struct raft_sim *s)
{
	int best = -1;

	for (int i = 0; i < RAFT_SIM_MAX; i++)
		if (s->nodes[i].core != NULL &&
		    s->nodes[i].role == RAFT_ROLE_LEADER &&
		    (best < 0 || s->nodes[i].term > s->nodes[best].term))
			best = i;
	return best;
}

int
raft_sim_await_leader(struct raft_sim *s, unsigned ms)
{
	int i;

	while ((i = raft_sim_leader(s)) < 0 && ms-- > 0)
		step(s);
	return i;
}

void
raft_sim_propose(struct raft_sim *s, unsigned i, const char *text)
{
	struct store_proposal p = { .proposer = i + 1,
		.seq = s->now,
		.command = text,
		.len = strlen(text) };

	raft_core_propose(s->nodes[i].core, &p, s->now);
	raft_core_poll(s->nodes[i].core);
}

unsigned
raft_sim_has(const struct raft_sim *s, unsigned i, const char *text)
{
	const struct raft_sim_node *n = &s->nodes[i];
	unsigned found = 0;

	for (size_t k = 0; k < n->count; k++)
		if (memmem(n->entries[k].bytes.data, n->entries[k].bytes.len,
			text, strlen(text)) != NULL)
			found++;
	return found;
}

bool
raft_sim_equal(const struct raft_sim *s, unsigned a, unsigned b)
{
	const struct raft_sim_node *x = &s->nodes[a], *y = &s->nodes[b];

	if (x->count != y->count)
		return false;
	for (size_t i = 0; i < x->count; i++)
		if (x->entries[i].index != y->entries[i].index ||
		    x->entries[i].bytes.len != y->entries[i].bytes.len ||
		    memcmp(x->entries[i].bytes.data, y->entries[i].bytes.data,
			x->entries[i].bytes.len) != 0)
			return false;
	return true;
}

static void
added(void *arg, int code, const char *text)
{
	(void)text;
	*(int *)arg = code;
}

void
raft_sim_add(struct raft_sim *s, unsigned i, unsigned ms)
{
	int code = 1, leader = raft_sim_leader(s);

	assert_true(leader >= 0);
	raft_core_add(s->nodes[leader].core, i + 1, added, &code);
	while (code == 1 && ms-- > 0)
		step(s);
	assert_int_equal(code, RES_OK);
}

struct raft_sim *
raft_sim_cluster(uint64_t seed, unsigned n)
{
	struct raft_sim *s = raft_sim_new(seed);

	raft_sim_start(s, 0, true);
	assert_int_equal(raft_sim_await_leader(s, 10), 0);
	for (unsigned i = 1; i < n; i++) {
		raft_sim_start(s, i, false);
		raft_sim_add(s, i, 3000);
	}
	/* Who has just started doesn't vote yet. */
	raft_sim_run(s, 2 * RAFT_SIM_ELECTION);
	return s;
}
