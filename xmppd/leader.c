/*
 * Leadership.
 *
 *   begin: ask each other voter how new its directory is
 *          -> a majority of complete copies known: take the newest, fetching it
 *             if it is elsewhere -> router
 *          -> all have answered but those whose hold is over: the newest, and
 *             the router knows that it is not complete (rules 8 and 9)
 *   router takes links (its own copy is at a majority) -> links_open()
 *   end:   links_close(), the router goes, the directory stays
 *
 * Failures: a voter that doesn't answer is asked again; without a majority
 * there is no leader either, and Raft says so.
 */
#include "xmppd/leader.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/control.h"
#include "xmppd/links.h"
#include "xmppd/node.h"
#include "xmppd/worker.h"

#define ASK_MS 200 /* a voter is asked again after that */
#define VOTERS_MAX 16

struct answer {
	uint32_t node;
	bool known;
	struct directory_state state;
};

struct leader {
	struct node *node;
	struct router *router;
	bool links_open;
	uint32_t mirrors[VOTERS_MAX]; /* nodes whose MIRROR channel is up */
	size_t mirror_count;

	/* Gathering, before the router. */
	bool gathering, fetching;
	bool whole;     /* a majority's copies are complete */
	uint64_t round; /* answers to earlier rounds don't count */
	uint64_t begun, asked;
	struct answer answers[VOTERS_MAX];
	size_t answer_count;
};

struct asked {
	struct leader *leader;
	uint64_t round;
	uint32_t node;
};

struct router *
leader_router(struct leader *ld)
{
	return ld->router;
}

/* ---- the router's environment ------------------------------------------ */

static void
env_mirror(void *arg, uint32_t node, const void *msg, size_t len)
{
	struct node *n = arg;

	peers_send(n->peers, node, PEER_MIRROR, false, msg, len);
}

static void
env_down(void *arg, uint32_t node, uint32_t edge, const void *msg, size_t len)
{
	struct node *n = arg;

	links_down(n->links, node, edge, msg, len);
}

static void
env_propose(void *arg, const void *command, size_t len)
{
	struct node *n = arg;

	raft_node_propose(n->raft, 0, 0, command, len, 0);
}

static void
env_derive(void *arg, const char *password, struct scram_keys *out)
{
	(void)arg;
	scram_derive(password, out);
}

static int64_t
env_unix_time(void *arg)
{
	(void)arg;
	return clock_unix();
}

static int64_t
env_unix_ms(void *arg)
{
	(void)arg;
	return clock_unix_ms();
}

/* As soon as the router's copy of the directory is at a majority. */
static void
open_links(struct leader *ld)
{
	if (ld->links_open || !router_takes_links(ld->router))
		return;
	ld->links_open = true;
	links_open(ld->node->links);
}

static void
router_begin(struct leader *ld, bool complete)
{
	struct node *n = ld->node;
	struct router_config cfg = { .node = n->instance.raft_id,
		.term = n->term,
		.domain = n->domain != NULL ? n->domain : "",
		.version = MMP_VERSION,
		.hold_ms = n->hold_ms,
		.margin_ms = MARGIN_MS,
		.grace_ms = ELECTION_MS,
		.limits = &n->limits,
		.voters = n->voters,
		.voter_count = n->voter_count };
	struct router_env env = { n, env_down, env_mirror, env_propose,
		env_unix_time, env_unix_ms, env_derive, n->store };

	ld->gathering = ld->fetching = false;
	ld->links_open = false;
	log_info("leader: term %llu: routing, %zu sessions known%s",
	    (unsigned long long)n->term, directory_count(n->directory),
	    complete ? "" : ", directory incomplete");
	ld->router = router_new(&cfg, &env, n->directory, complete, clock_ms());
	for (size_t i = 0; i < ld->mirror_count; i++)
		router_mirror_up(ld->router, ld->mirrors[i], clock_ms());
	leader_tick(ld, clock_ms());
}

/* ---- gathering --------------------------------------------------------- */

static size_t
majority(const struct leader *ld)
{
	return ld->node->voter_count / 2 + 1;
}

/* Rule 8 of delivery(7): of a majority of complete copies the others don't
 * count, however new. */
static const struct answer *
newest(const struct leader *ld, bool whole)
{
	const struct answer *best = NULL;

	for (size_t i = 0; i < ld->answer_count; i++) {
		const struct answer *a = &ld->answers[i];

		if (!a->known || (whole && !a->state.complete))
			continue;
		if (best == NULL || a->state.term > best->state.term ||
		    (a->state.term == best->state.term &&
			a->state.seq > best->state.seq))
			best = a;
	}
	return best;
}

static void
fetched_cb(void *arg, int code, const char *why, const void *msg, size_t len)
{
	struct asked *asked = arg;
	struct leader *ld = asked->leader;
	bool current = ld->gathering && ld->round == asked->round;

	if (current && code == RES_OK &&
	    directory_decode(ld->node->directory, msg, len) == RES_OK) {
		router_begin(ld, ld->whole);
	} else if (current) {
		log_warn("leader: directory of node %u: %s", asked->node,
		    code == RES_OK ? "malformed" : why);
		ld->fetching = false;
		for (size_t i = 0; i < ld->answer_count; i++)
			if (ld->answers[i].node == asked->node)
				ld->answers[i].known = false;
	}
	free(asked);
}

static void
request(struct leader *ld, uint32_t node, enum control_kind kind,
    peers_answer_fn done)
{
	struct asked *asked = xcalloc(1, sizeof(*asked));
	uint8_t msg = (uint8_t)kind;

	*asked = (struct asked){ ld, ld->round, node };
	peers_request(ld->node->peers, node, NULL, &msg, 1,
	    kind == CONTROL_DIR_COPY ? 10000 : ASK_MS, done, asked);
}

/* Goes on when enough is known: `late` takes what there is. */
static void
gathered(struct leader *ld, bool late)
{
	size_t known = 0, complete = 0;
	const struct answer *best;

	for (size_t i = 0; i < ld->answer_count; i++) {
		known += ld->answers[i].known;
		complete +=
		    ld->answers[i].known && ld->answers[i].state.complete;
	}
	if (ld->fetching || known < majority(ld) ||
	    (complete < majority(ld) && !late && known < ld->answer_count))
		return;
	ld->whole = complete >= majority(ld);
	best = newest(ld, ld->whole);
	if (best == NULL || best->node == ld->node->instance.raft_id) {
		router_begin(ld, ld->whole);
		return;
	}
	ld->fetching = true;
	request(ld, best->node, CONTROL_DIR_COPY, fetched_cb);
}

static void
answered_cb(void *arg, int code, const char *why, const void *msg, size_t len)
{
	struct asked *asked = arg;
	struct leader *ld = asked->leader;
	struct answer *a;
	struct cursor c;

	(void)why;
	if (code == RES_OK && ld->gathering && ld->round == asked->round) {
		for (size_t i = 0; i < ld->answer_count; i++) {
			a = &ld->answers[i];
			if (a->node != asked->node)
				continue;
			cursor_init(&c, msg, len);
			a->state.term = cursor_u64(&c);
			a->state.seq = cursor_u64(&c);
			a->state.complete = cursor_u8(&c) != 0;
			a->known = cursor_done(&c);
		}
		gathered(ld, false);
	}
	free(asked);
}

static void
ask(struct leader *ld, uint64_t now)
{
	ld->asked = now;
	for (size_t i = 0; i < ld->answer_count; i++)
		if (!ld->answers[i].known)
			request(ld, ld->answers[i].node, CONTROL_DIR_STATE,
			    answered_cb);
}

void
leader_begin(struct leader *ld)
{
	struct node *n = ld->node;
	struct answer *a;

	leader_end(ld);
	ld->round++;
	ld->gathering = true;
	ld->fetching = false;
	ld->begun = clock_ms();
	ld->answer_count = 0;
	if (n->voter_count == 1 && !directory_state(n->directory).complete)
		directory_set_complete(n->directory);
	for (size_t i = 0; i < n->voter_count && i < VOTERS_MAX; i++) {
		a = &ld->answers[ld->answer_count++];
		*a = (struct answer){ .node = n->voters[i] };
		a->known = a->node == n->instance.raft_id;
		a->state = directory_state(n->directory);
	}
	gathered(ld, false);
	if (ld->gathering)
		ask(ld, ld->begun);
}

void
leader_end(struct leader *ld)
{
	ld->gathering = ld->fetching = false;
	if (ld->router == NULL)
		return;
	links_close(ld->node->links);
	router_free(ld->router);
	ld->router = NULL;
	ld->links_open = false;
}

void
leader_set_limits(struct leader *ld)
{
	if (ld->router != NULL)
		router_set_limits(ld->router, &ld->node->limits);
}

void
leader_set_voters(struct leader *ld)
{
	struct node *n = ld->node;

	if (ld->router != NULL)
		router_set_voters(
		    ld->router, n->voters, n->voter_count, clock_ms());
	else if (ld->gathering)
		leader_begin(ld);
}

void
leader_applied(struct leader *ld, const struct store_event *event)
{
	if (ld->router != NULL)
		router_applied(ld->router, event, clock_ms());
}

void
leader_tick(struct leader *ld, uint64_t now)
{
	struct node *n = ld->node;

	if (ld->gathering) {
		gathered(ld, now - ld->begun >= n->hold_ms + MARGIN_MS);
		if (ld->gathering && !ld->fetching && now - ld->asked >= ASK_MS)
			ask(ld, now);
	}
	if (ld->router == NULL || !raft_node_lease(n->raft, n->term, now))
		return;
	router_tick(ld->router, now);
	open_links(ld);
}

/* ---- mirrors ----------------------------------------------------------- */

void
leader_mirror_up(struct leader *ld, uint32_t node, bool dialled)
{
	if (dialled || ld->mirror_count == VOTERS_MAX)
		return;
	leader_mirror_down(ld, node, false);
	ld->mirrors[ld->mirror_count++] = node;
	if (ld->router != NULL)
		router_mirror_up(ld->router, node, clock_ms());
}

void
leader_mirror_down(struct leader *ld, uint32_t node, bool dialled)
{
	if (dialled)
		return;
	for (size_t i = 0; i < ld->mirror_count; i++) {
		if (ld->mirrors[i] != node)
			continue;
		ld->mirrors[i] = ld->mirrors[--ld->mirror_count];
		if (ld->router != NULL)
			router_mirror_down(ld->router, node);
		return;
	}
}

int
leader_mirror(
    struct leader *ld, uint32_t node, bool dialled, const void *msg, size_t len)
{
	struct node *n = ld->node;
	struct buf ack = { 0 };
	struct cursor c;
	uint64_t seq;
	int rc;

	if (!dialled) {
		cursor_init(&c, msg, len);
		seq = cursor_u64(&c);
		if (!cursor_done(&c))
			return RES_INVALID;
		if (ld->router != NULL) {
			router_mirror_ack(ld->router, node, seq, clock_ms());
			open_links(ld);
		}
		return RES_OK;
	}
	if (ld->router != NULL || ld->gathering)
		return RES_INVALID; /* from an older leader than this node */
	rc = directory_mirror(
	    n->directory, raft_node_term(n->raft), msg, len, &seq);
	if (rc == RES_OK) {
		buf_add_u64(&ack, seq);
		peers_send(
		    n->peers, node, PEER_MIRROR, true, ack.data, ack.len);
		buf_clear(&ack);
	}
	return rc == RES_DENIED ? RES_OK : rc;
}

void
leader_request(struct leader *ld, uint64_t token, const void *msg, size_t len)
{
	struct directory_state state = directory_state(ld->node->directory);
	struct buf answer = { 0 };

	if (len == 1 && *(const uint8_t *)msg == CONTROL_DIR_STATE) {
		buf_add_u64(&answer, state.term);
		buf_add_u64(&answer, state.seq);
		buf_add_u8(&answer, state.complete);
	} else {
		directory_encode(ld->node->directory, &answer);
	}
	peers_answer(ld->node->peers, token, answer.data, answer.len);
	buf_clear(&answer);
}

struct leader *
leader_new(struct node *n)
{
	struct leader *ld = xcalloc(1, sizeof(*ld));

	ld->node = n;
	return ld;
}

void
leader_free(struct leader *ld)
{
	if (ld == NULL)
		return;
	if (ld->router != NULL)
		router_free(ld->router);
	free(ld);
}
