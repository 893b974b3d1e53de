/*
 * The active router of a term: how it begins from the directory, what it is
 * told by the store and the clock, and how it ends. The rest is in the files
 * that core.h names.
 */
#include <stdlib.h>
#include <string.h>

#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/router/archive.h"
#include "xmppd/router/extension.h"

#define TICK_MS 100

/* ---- beginning and end ------------------------------------------------- */

static void
router_init(struct router *r)
{
	TAILQ_INIT(&r->edge_order);
	TAILQ_INIT(&r->origin_order);
	TAILQ_INIT(&r->component_order);
	TAILQ_INIT(&r->to_delete);
	TAILQ_INIT(&r->mirrors);
	TAILQ_INIT(&r->mirror_waits);
	TAILQ_INIT(&r->run);
	TAILQ_INIT(&r->touched);
	TAILQ_INIT(&r->unsettled);
	TAILQ_INIT(&r->resuming);
	TAILQ_INIT(&r->moving);
	TAILQ_INIT(&r->past);
}

struct router *
router_new(const struct router_config *cfg, const struct router_env *env,
    struct directory *dir, bool complete, uint64_t now)
{
	struct router *r = xcalloc(1, sizeof(*r));
	struct entry *e;

	router_init(r);
	r->cfg = *cfg;
	if (cfg->limits != NULL)
		r->limits = *cfg->limits;
	else
		limits_init(&r->limits);
	r->env = *env;
	r->domain = xstrdup(cfg->domain);
	r->version = xstrdup(cfg->version);
	r->directory = dir;
	r->complete = complete;
	r->now = now;
	registry_load_domains(r);
	components_load(r);
	extensions_begin(r);
	directory_lead(dir, cfg->term, complete);
	r->base = dir->seq;
	TAILQ_FOREACH(e, &dir->entries, next)
		login_adopt(r, e);
	archive_begin(r);
	offline_begin(r);
	router_set_voters(r, cfg->voters, cfg->voter_count, now);
	return r;
}

void
router_set_limits(struct router *r, const struct edge_limits *limits)
{
	r->limits = *limits;
}

static void
free_jobs(struct router *r)
{
	struct origin_state *o;

	TAILQ_FOREACH(o, &r->origin_order, next)
		for (size_t i = 0; i < o->size; i++)
			if (o->slots[i].job != NULL)
				job_free(r, o->slots[i].job);
}

static void
free_sessions(struct router *r)
{
	struct edge_state *e;
	struct login *s;
	struct delivery *d;

	TAILQ_FOREACH(e, &r->edge_order, next) {
		while ((d = TAILQ_FIRST(&e->outbox)) != NULL)
			delivery_free(r, d);
		while ((s = TAILQ_FIRST(&e->sessions)) != NULL)
			login_free(r, s);
	}
}

void
router_free(struct router *r)
{
	struct origin_state *o;
	struct edge_state *e;
	struct user *u;
	size_t at = 0;

	if (r == NULL)
		return;
	free_jobs(r);
	extensions_end(r);
	offline_free(r);
	handover_free(r);
	free_sessions(r);
	while ((u = map_next(&r->users, &at)) != NULL)
		user_free(r, u);
	while ((e = TAILQ_FIRST(&r->edge_order)) != NULL)
		edge_forget(r, e);
	while ((o = TAILQ_FIRST(&r->origin_order)) != NULL)
		origin_free(r, o);
	while (!TAILQ_EMPTY(&r->mirrors))
		router_mirror_down(r, TAILQ_FIRST(&r->mirrors)->node);
	archive_end(r);
	components_free(r);
	registry_free_domains(r);
	map_clear(&r->edges);
	map_clear(&r->origins);
	map_clear(&r->sessions);
	map_clear(&r->users);
	map_clear(&r->lanes);
	map_clear(&r->deliveries);
	buf_clear(&r->out);
	buf_clear(&r->scratch);
	free(r->voters);
	free(r->domain);
	free(r->version);
	free(r);
}

/* Rule 8: its own copy of the directory is at a majority. */
bool
router_takes_links(const struct router *r)
{
	return mirror_has(r, r->base);
}

struct router_stats
router_stats(const struct router *r)
{
	struct router_stats stats = { 0 };
	const struct origin_state *o;
	const struct edge_state *e;
	const struct delivery *d;

	TAILQ_FOREACH(o, &r->origin_order, next)
		stats.jobs += o->busy;
	TAILQ_FOREACH(e, &r->edge_order, next)
		TAILQ_FOREACH(d, &e->outbox, in_outbox)
			stats.deliveries++;
	stats.sessions = r->sessions.count;
	stats.rows = r->rows.count;
	stats.users = r->users.count;
	stats.settled = r->settled;
	return stats;
}

/* ---- the store --------------------------------------------------------- */

static void
effect_applied(struct router *r, const struct store_event *event)
{
	const struct store_effect *effect = event->effect;
	struct origin_state *o = origin_find(r, &effect->origin);
	struct slot *slot;

	roster_applied(r, event);
	slot = o == NULL ? NULL : origin_slot(o, effect->num);
	if (slot == NULL || slot->job == NULL)
		return;
	slot->job->applied = true;
	slot->job->code = event->code;
	job_wake(r, slot->job);
}

static void
component_deleted(struct router *r, const char *name)
{
	struct login *s;
	struct user *u;
	char *domain = component_domain(r, name);

	u = user_find(r, text_of(domain));
	free(domain);
	components_load(r);
	if (u == NULL)
		return;
	TAILQ_FOREACH(s, &u->sessions, of_user)
		login_kick(r, s, "not-authorized", "the component was removed");
	user_touch(r, u);
}

/* A further domain was added, or one of them removed: who is there goes. */
static void
domains_changed(struct router *r)
{
	struct address a;
	struct login *s;
	struct user *u;
	size_t at = 0;

	registry_load_domains(r);
	while ((u = map_next(&r->users, &at)) != NULL) {
		address_read(r, text_of(u->bare), &a);
		if (a.kind != ADDRESS_FOREIGN)
			continue;
		TAILQ_FOREACH(s, &u->sessions, of_user)
			login_kick(r, s, "host-gone",
			    "the domain is not served any more");
		user_touch(r, u);
	}
}

static void
setting_changed(struct router *r, const char *name)
{
	if (str_starts(name, SHARED_DOMAINS))
		domains_changed(r);
	extensions_setting(r, name);
}

void
router_applied(struct router *r, const struct store_event *event, uint64_t now)
{
	r->now = now;
	if (event->what == STORE_EFFECT && event->effect != NULL)
		effect_applied(r, event);
	else if (event->what == STORE_ITEMS && event->effect != NULL)
		roster_applied(r, event);
	else if (event->what == STORE_ROWS_DEL)
		offline_deleted(r, event);
	else if (event->what == STORE_SETTING && event->name != NULL)
		setting_changed(r, event->name);
	else if (event->what == STORE_ARCHIVE || event->what == STORE_SWEEP)
		archive_applied(r, event);
	else if (event->what == STORE_COMPONENT_ADD)
		components_load(r);
	else if (event->what == STORE_ACCOUNT_ADD && event->code == RES_OK)
		account_added(r, event);
	else if (event->what == STORE_ACCOUNT_DEL && event->code == RES_OK)
		account_deleted(r, event);
	else if (event->what == STORE_COMPONENT_DEL && event->code == RES_OK)
		component_deleted(r, event->name);
	router_run(r);
}

/* ---- the clock --------------------------------------------------------- */

/* A component's bind may go on without its old session's word, and its greeting
 * with whom it concerns next. */
static void
components_wake(struct router *r)
{
	const struct component *c;
	struct user *u;

	TAILQ_FOREACH(c, &r->component_order, next) {
		u = user_find(r, text_of(c->domain));
		if (u != NULL && (u->binding > 0 || greeting_is_due(u)))
			user_touch(r, u);
	}
}

uint64_t
router_tick(struct router *r, uint64_t now)
{
	r->now = now;
	edges_expire(r);
	origins_prune(r);
	handover_tick(r);
	formers_prune(r);
	archive_tick(r);
	components_wake(r);
	router_run(r);
	return now + TICK_MS;
}
