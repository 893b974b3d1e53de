/*
 * The mirror links: a passive router is sent a copy of the directory and then
 * each event; what it has acknowledged decides when an event is at a majority
 * (rule 8 of delivery(7)).
 */
#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/router/core.h"

struct copying {
	struct router *router;
	uint32_t node;
};

static struct mirror_node *
mirror_find(struct router *r, uint32_t node)
{
	struct mirror_node *m;

	TAILQ_FOREACH(m, &r->mirrors, next)
		if (m->node == node)
			return m;
	return NULL;
}

/* ---- what is at a majority --------------------------------------------- */

bool
mirror_has(const struct router *r, uint64_t seq)
{
	return r->at_majority >= seq;
}

static bool
has_majority(struct router *r, uint64_t seq)
{
	const struct mirror_node *m;
	size_t count = 0;

	for (size_t i = 0; i < r->cfg.voter_count; i++) {
		if (r->voters[i] == r->cfg.node) {
			count += r->directory->seq >= seq;
			continue;
		}
		m = mirror_find(r, r->voters[i]);
		count += m != NULL && m->up && m->acked >= seq;
	}
	return count > r->cfg.voter_count / 2;
}

/* What is at a majority stays there: it is never lowered. */
static void
majority_update(struct router *r)
{
	const struct mirror_node *m;

	if (has_majority(r, r->directory->seq))
		r->at_majority = r->directory->seq;
	TAILQ_FOREACH(m, &r->mirrors, next)
		if (m->acked > r->at_majority && has_majority(r, m->acked))
			r->at_majority = m->acked;
	if (r->began == 0 && router_takes_links(r))
		r->began = r->now;
}

/* Wakes those whose events are at a majority. */
void
mirror_run(struct router *r)
{
	struct mirror_wait *w;

	while ((w = TAILQ_FIRST(&r->mirror_waits)) != NULL &&
	    w->seq <= r->at_majority) {
		mirror_wait_remove(r, w);
		if (w->job != NULL)
			job_wake(r, w->job);
		else
			login_mirrored(r, w->session);
		edges_check_settled(r);
	}
}

void
mirror_wait_add(struct router *r, struct mirror_wait *w, uint64_t seq)
{
	if (w->seq != 0)
		return;
	w->seq = seq;
	TAILQ_INSERT_TAIL(&r->mirror_waits, w, next);
}

void
mirror_wait_remove(struct router *r, struct mirror_wait *w)
{
	if (w->seq == 0)
		return;
	w->seq = 0;
	TAILQ_REMOVE(&r->mirror_waits, w, next);
}

/* ---- out --------------------------------------------------------------- */

/* Sends the event in r->out to the passive routers; returns its number. */
uint64_t
mirror_event(struct router *r)
{
	const struct mirror_node *m;

	TAILQ_FOREACH(m, &r->mirrors, next)
		if (m->up)
			r->env.mirror(
			    r->env.arg, m->node, r->out.data, r->out.len);
	buf_reset(&r->out);
	majority_update(r);
	return r->directory->seq;
}

static void
copy_cb(void *arg, const void *msg, size_t len)
{
	const struct copying *to = arg;

	to->router->env.mirror(to->router->env.arg, to->node, msg, len);
}

void
router_mirror_up(struct router *r, uint32_t node, uint64_t now)
{
	struct copying to = { r, node };
	struct mirror_node *m = mirror_find(r, node);

	r->now = now;
	if (m == NULL) {
		m = xcalloc(1, sizeof(*m));
		m->node = node;
		TAILQ_INSERT_TAIL(&r->mirrors, m, next);
	}
	m->up = true;
	m->acked = 0;
	directory_copy(r->directory, copy_cb, &to);
}

void
router_mirror_down(struct router *r, uint32_t node)
{
	struct mirror_node *m = mirror_find(r, node);

	if (m == NULL)
		return;
	TAILQ_REMOVE(&r->mirrors, m, next);
	free(m);
}

void
router_mirror_ack(struct router *r, uint32_t node, uint64_t seq, uint64_t now)
{
	struct mirror_node *m = mirror_find(r, node);

	r->now = now;
	if (m == NULL || seq <= m->acked || seq > r->directory->seq)
		return;
	m->acked = seq;
	majority_update(r);
	router_run(r);
}

void
router_set_voters(
    struct router *r, const uint32_t *voters, size_t count, uint64_t now)
{
	r->now = now;
	free(r->voters);
	r->voters = xmalloc(count * sizeof(*voters));
	memcpy(r->voters, voters, count * sizeof(*voters));
	r->cfg.voters = r->voters;
	r->cfg.voter_count = count;
	majority_update(r);
	edges_check_settled(r);
	router_run(r);
}
