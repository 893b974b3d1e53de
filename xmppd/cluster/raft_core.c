/*
 * A Raft server: libraft, its state machine, and the guards that need to know
 * the library's state. Each call from outside ends in settle(), which runs
 * completions, looks at what has changed (the library tells no changes: trap
 * 13) and does what follows, until nothing more does.
 */
#include "xmppd/cluster/raft_core.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/raft_core_impl.h"
#include "xmppd/cluster/raft_store.h"

/* Parts of an election time-out after which a round is held again. */
#define PRE_VOTE_PART 6
#define FIRST_VOTE_PART 2

/* Who has lost touch with its leader waits for one election time-out and, by
 * chance, up to this part of one more. */
#define HURRY_PART 3

/* How many election time-outs a server that doesn't wish to lead lets the
 * others try before it stands. */
#define UNWILLING_FACTOR 3

/*
 * How many election time-outs until a marker is sent again. 0.15.0 doesn't see
 * that one is installed if the server had told so before, and does nothing but
 * wait for this. (What takes long, the copy, comes before the marker.)
 */
#define INSTALL_FACTOR 6

uint64_t
raft_core_now(const struct raft_core *c)
{
	return c->hooks.now(c->hooks.arg);
}

/* The one end of a server whose disk or library has failed. */
void
raft_core_fail(struct raft_core *c, const char *why)
{
	if (c->dead)
		return;
	c->dead = true;
	if (c->error != NULL)
		error_set(c->error, RES_IO, "%s", why);
	else
		c->hooks.failed(c->hooks.arg, why);
}

unsigned
raft_core_voters(const struct raft_core *c, uint32_t *out, unsigned max)
{
	const struct raft_configuration *conf = &c->raft.configuration;
	unsigned n = 0;

	for (unsigned i = 0; i < conf->n; i++)
		if (conf->servers[i].role == RAFT_VOTER && n < max)
			out[n++] = (uint32_t)conf->servers[i].id;
	return n;
}

size_t
raft_core_others(const struct raft_core *c, uint32_t *out, size_t max)
{
	const struct raft_configuration *conf = &c->raft.configuration;
	size_t n = 0;

	for (unsigned i = 0; i < conf->n; i++)
		if (conf->servers[i].id != c->cfg.id && n < max)
			out[n++] = (uint32_t)conf->servers[i].id;
	return n;
}

/* ---- what raft_io asks -------------------------------------------------- */

static uint64_t
hook_now(void *arg)
{
	return raft_core_now(arg);
}

static int
hook_random(void *arg, int min, int max)
{
	struct raft_core *c = arg;

	return c->hooks.random(c->hooks.arg, min, max);
}

static bool
hook_send(void *arg, uint32_t to, const void *frames, size_t len)
{
	struct raft_core *c = arg;

	return !c->dead && c->hooks.send(c->hooks.arg, to, frames, len);
}

/*
 * A server that doesn't wish to lead becomes a candidate as others do (this
 * library's followers know no other way to forget a dead leader, and wouldn't
 * vote for a new one), but asks for no votes for a while.
 */
static bool
hook_allowed(void *arg, const struct raft_message *m)
{
	struct raft_core *c = arg;

	if (m->type != RAFT_IO_REQUEST_VOTE || c->willing)
		return true;
	return c->candidate_since != 0 &&
	    raft_core_now(c) - c->candidate_since >=
	    (uint64_t)c->cfg.election_ms * UNWILLING_FACTOR;
}

static bool
hook_willing(void *arg)
{
	const struct raft_core *c = arg;

	return c->willing;
}

static void
hook_answered(void *arg, uint32_t from, const struct raft_stamp *stamp)
{
	raft_lead_answered(arg, from, stamp);
}

static bool
hook_has_state(void *arg, uint32_t to, uint64_t index)
{
	return raft_lead_has_state(arg, to, index);
}

static uint64_t
hook_synced(void *arg)
{
	struct raft_core *c = arg;

	return c->hooks.synced(c->hooks.arg);
}

static void
hook_truncated(void *arg)
{
	struct raft_core *c = arg;

	c->truncated = true;
}

static void
hook_term(void *arg, uint64_t term)
{
	struct raft_core *c = arg;

	c->hooks.term(c->hooks.arg, term);
}

static void
hook_failed(void *arg, const char *why)
{
	raft_core_fail(arg, why);
}

/* ---- after each step ---------------------------------------------------- */

static void
report_members(struct raft_core *c)
{
	const struct raft *r = &c->raft;
	struct raft_member members[RAFT_SERVERS_MAX];
	size_t n = 0;

	if (r->configuration_uncommitted_index != 0 ||
	    r->configuration_index == c->members_index)
		return;
	c->members_index = r->configuration_index;
	for (; n < r->configuration.n && n < RAFT_SERVERS_MAX; n++) {
		members[n].id = (uint32_t)r->configuration.servers[n].id;
		members[n].voter =
		    r->configuration.servers[n].role == RAFT_VOTER;
	}
	c->hooks.members(c->hooks.arg, members, n);
}

/* A follower's leader is who has spoken in this very term. */
static uint32_t
known_leader(struct raft_core *c)
{
	const char *address;
	raft_id id = 0;

	raft_leader(&c->raft, &id, &address);
	if (id == 0 || raft_io_leader(c->io, c->raft.current_term) != id)
		return 0;
	return (uint32_t)id;
}

static void
report_role(struct raft_core *c)
{
	enum raft_role role = RAFT_ROLE_FOLLOWER;
	uint32_t leader = 0;

	if (c->dead)
		role = RAFT_ROLE_NONE;
	else if (c->ready)
		role = RAFT_ROLE_LEADER;
	else if (c->raft.state != RAFT_FOLLOWER)
		role = RAFT_ROLE_CANDIDATE;
	if (role == RAFT_ROLE_LEADER)
		leader = c->cfg.id;
	else if (role == RAFT_ROLE_FOLLOWER)
		leader = known_leader(c);
	if (role == c->role && leader == c->role_leader &&
	    c->raft.current_term == c->role_term)
		return;
	c->role = role;
	c->role_leader = leader;
	c->role_term = c->raft.current_term;
	c->hooks.role(c->hooks.arg, role, c->role_term, leader);
}

/*
 * 0.15.0 waits one to two election time-outs for each round of an election. To
 * ask whether one may stand changes nothing for anybody: that may be asked
 * sooner again. So may a first vote that was split.
 */
static void
set_pace(struct raft_core *c)
{
	struct raft *r = &c->raft;
	int election = (int)c->cfg.election_ms, least;

	if (r->election_timer_start == c->round)
		return;
	c->round = r->election_timer_start;
	if (r->candidate_state.in_pre_vote)
		least = election / PRE_VOTE_PART;
	else if (c->votings++ == 0)
		least = election / FIRST_VOTE_PART;
	else
		return;
	r->candidate_state.randomized_election_timeout =
	    (unsigned)c->hooks.random(c->hooks.arg, least, 2 * least);
}

static void
note_candidate(struct raft_core *c)
{
	if (c->raft.state != RAFT_CANDIDATE) {
		c->candidate_since = c->round = 0;
		c->votings = 0;
		return;
	}
	if (c->candidate_since == 0)
		c->candidate_since = raft_core_now(c);
	set_pace(c);
}

/* 0.15.0 forgets this where a snapshot takes the place of the entry. */
static void
note_committed_change(struct raft *r)
{
	if (r->configuration_uncommitted_index <= r->last_applied)
		r->configuration_uncommitted_index = 0;
}

static void
settle(struct raft_core *c)
{
	do {
		raft_io_drain(c->io);
		/* Trap 10: the library falls silent without a word. */
		if (!c->dead && c->raft.state == RAFT_UNAVAILABLE)
			raft_core_fail(c, raft_errmsg(&c->raft));
		if (c->dead)
			break;
		note_candidate(c);
		note_committed_change(&c->raft);
		/* Before whoever asked for a change is told. */
		report_members(c);
	} while (raft_lead(c) || raft_io_drain(c->io));
	report_members(c);
	/* Whoever hears of it may act on it at once. */
	raft_lead_publish(c);
	report_role(c);
}

void
raft_core_poll(struct raft_core *c)
{
	if (!c->dead)
		settle(c);
}

/*
 * 0.15.0 begins each further round of an election without asking for a
 * pre-vote, and a server that was handed the leadership goes on disturbing
 * leaders with that permission for as long as it's a candidate. A new round is
 * a new election.
 */
static void
renew_candidate(struct raft_core *c)
{
	struct raft *r = &c->raft;

	if (r->state != RAFT_CANDIDATE ||
	    raft_core_now(c) - r->election_timer_start <
		r->candidate_state.randomized_election_timeout)
		return;
	r->candidate_state.disrupt_leader = false;
	r->candidate_state.in_pre_vote = true;
}

void
raft_core_tick(struct raft_core *c)
{
	if (c->dead)
		return;
	raft_io_drain(c->io);
	renew_candidate(c);
	raft_io_tick(c->io);
	raft_lead_tick(c);
	settle(c);
}

/*
 * Election time-outs are drawn from one to two times the setting, so that
 * servers don't stand together; only the one is a promise (raft_lease.h). Where
 * the connection to the leader has broken, as when its process was killed,
 * waiting longer than that is seldom worth it.
 */
void
raft_core_lost_touch(struct raft_core *c, uint32_t id)
{
	struct raft *r = &c->raft;
	int election = (int)c->cfg.election_ms;

	raft_lead_lost_touch(c, id);
	if (c->dead || r->state != RAFT_FOLLOWER ||
	    r->follower_state.current_leader.id != id || !c->willing)
		return;
	r->follower_state.randomized_election_timeout =
	    (unsigned)c->hooks.random(
		c->hooks.arg, election, election + election / HURRY_PART + 1);
	c->hurried = true;
}

/* It's there after all. */
static void
end_hurry(struct raft_core *c)
{
	struct raft *r = &c->raft;
	int election = (int)c->cfg.election_ms;

	if (c->hurried && r->state == RAFT_FOLLOWER)
		r->follower_state.randomized_election_timeout =
		    (unsigned)c->hooks.random(
			c->hooks.arg, election, 2 * election);
	c->hurried = false;
}

int
raft_core_receive(
    struct raft_core *c, uint32_t from, const void *data, size_t len)
{
	struct raft *r = &c->raft;
	bool append =
	    len > 0 && *(const uint8_t *)data == RAFT_IO_APPEND_ENTRIES;
	int rc;

	if (c->dead)
		return RES_OK;
	raft_io_drain(c->io);
	/* See raft_conf_reload(): while entries come in, the library knows
	 * of nothing that it could roll back. */
	c->truncated = false;
	c->change_saved = append ? r->configuration_uncommitted_index : 0;
	if (append)
		r->configuration_uncommitted_index = 0;
	rc = raft_io_receive(c->io, from, data, len);
	if (append)
		end_hurry(c);
	if (c->truncated)
		raft_conf_reload(c);
	else if (c->change_saved > r->configuration_index)
		r->configuration_uncommitted_index = c->change_saved;
	c->change_saved = 0;
	settle(c);
	return rc;
}

/* ---- life --------------------------------------------------------------- */

static int
bootstrap(struct raft_core *c)
{
	struct raft_configuration conf;
	const struct raft_store *s = raft_io_store(c->io);
	int rv;

	if (!c->cfg.bootstrap || raft_store_term(s) != 0)
		return 0;
	raft_configuration_init(&conf);
	rv = raft_configuration_add(
	    &conf, c->raft.id, c->raft.address, RAFT_VOTER);
	if (rv == 0)
		rv = raft_bootstrap(&c->raft, &conf);
	raft_configuration_close(&conf);
	return rv;
}

/*
 * 0.15.0 lets a single voter lead again in the term in which it led before it
 * restarted; but what is named by its term must not get the same name twice.
 */
static int
begin_term(struct raft_core *c)
{
	struct raft_store *s = raft_io_store(c->io);

	if (raft_store_set_term(s, raft_store_term(s) + 1) != RES_OK ||
	    raft_store_set_vote(s, c->cfg.id) != RES_OK)
		return RAFT_IOERR;
	return 0;
}

static int
start(struct raft_core *c)
{
	char address[16];
	bool sole;
	int rv;

	snprintf(address, sizeof(address), "%" PRIu32, c->cfg.id);
	rv =
	    raft_init(&c->raft, raft_io_of(c->io), &c->fsm, c->cfg.id, address);
	if (rv != 0)
		return rv;
	c->started = true;
	raft_set_election_timeout(&c->raft, c->cfg.election_ms);
	raft_set_heartbeat_timeout(&c->raft, c->cfg.heartbeat_ms);
	raft_set_install_snapshot_timeout(
	    &c->raft, c->cfg.election_ms * INSTALL_FACTOR);
	raft_set_snapshot_threshold(&c->raft, c->cfg.threshold);
	raft_set_snapshot_trailing(&c->raft, c->cfg.trailing);
	/* Without it a restarted server disturbs the leader. */
	raft_set_pre_vote(&c->raft, true);
	rv = bootstrap(c);
	sole = raft_conf_is_sole_voter(c);
	if (rv == 0 && sole)
		rv = begin_term(c);
	if (rv == 0)
		rv = raft_start(&c->raft);
	if (rv != 0)
		return rv;
	if (!sole)
		raft_io_quiet_until(
		    c->io, raft_core_now(c) + c->cfg.election_ms);
	if (c->raft.state == RAFT_FOLLOWER)
		raft_conf_reload(c);
	return 0;
}

static void
make(struct raft_core *c)
{
	raft_fsm_set(c);
	c->willing = true;
	c->members_index = UINT64_MAX;
	c->batch = raft_batch_new();
	c->changes = raft_changes_new();
	c->lease = raft_lease_new(c->cfg.election_ms);
}

struct raft_core *
raft_core_new(const struct raft_core_config *cfg,
    const struct raft_core_hooks *hooks, struct error *e)
{
	struct raft_core *c = xcalloc(1, sizeof(*c));
	struct raft_io_hooks io = { .arg = c,
		.now = hook_now,
		.random = hook_random,
		.send = hook_send,
		.allowed = hook_allowed,
		.willing = hook_willing,
		.answered = hook_answered,
		.has_state = hook_has_state,
		.synced = hook_synced,
		.truncated = hook_truncated,
		.term = hook_term,
		.failed = hook_failed };
	struct error local = { 0 };
	int rv = RAFT_IOERR;

	c->cfg = *cfg;
	c->hooks = *hooks;
	make(c);
	c->error = &local;
	c->io = raft_io_new(cfg->dir, &io, &local);
	if (c->io != NULL)
		rv = start(c);
	if (rv != 0 && local.code == RES_OK)
		error_set(&local, RES_IO, "raft: %s", raft_strerror(rv));
	c->error = NULL;
	if (local.code != RES_OK) {
		c->dead = true;
		error_set(e, local.code, "%s", local.text);
		raft_core_free(c);
		return NULL;
	}
	c->hooks.term(c->hooks.arg, c->raft.current_term);
	settle(c);
	return c;
}

static void
closed(struct raft *r)
{
	(void)r;
}

void
raft_core_free(struct raft_core *c)
{
	if (c == NULL)
		return;
	raft_lead_abandon(c);
	c->dead = true;
	if (c->started)
		raft_close(&c->raft, closed);
	raft_io_free(c->io);
	raft_batch_free(c->batch);
	raft_changes_free(c->changes);
	raft_lease_free(c->lease);
	free(c->followers);
	free(c);
}
