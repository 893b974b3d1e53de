/*
 * Which server the Call Bridge logs in to next, and when.
 */
#include "callbridge/connector.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/xmalloc.h"

/* The wait after a round doubles, and is drawn from half to one and a half. */
#define WAIT_FIRST_MS 200
#define WAIT_MAX_MS 10000
#define WAIT_REFUSED_MS 30000
/* A shorter stay is an attempt that failed, or two would alternate for ever. */
#define STABLE_MS 5000
#define REFRESH_MIN_MS 30000
#define REASON_MAX 400

struct connector {
	resolver_random_fn random;
	void *arg;
	enum connector_state state;
	enum connector_step step; /* due at once */
	uint64_t due;             /* of a wait, or of a refresh; 0: none */
	uint64_t since;
	uint64_t refused_since; /* 0: no secret was refused */
	uint64_t online_at;
	unsigned rounds; /* that failed one after another */
	bool refused;    /* in this round */
	struct connector_server *servers;
	size_t server_count;
	uint64_t refresh_ms;
	struct connector_target *targets; /* of this round */
	size_t target_count, at;
	struct buf round; /* what failed in it */
	char reason[REASON_MAX + 128];
	const char *next;
};

static const char *const connector_names[] = {
	[CONNECTOR_OFF] = "not configured",
	[CONNECTOR_LOOKING] = "connecting",
	[CONNECTOR_TRYING] = "connecting",
	[CONNECTOR_ONLINE] = "connected",
	[CONNECTOR_WAITING] = "waiting",
	[CONNECTOR_REFUSED] = "authentication failure",
};

/* The same, for the log. */
static const char *const connector_phases[] = {
	[CONNECTOR_OFF] = "off",
	[CONNECTOR_LOOKING] = "looking up",
	[CONNECTOR_TRYING] = "trying",
	[CONNECTOR_ONLINE] = "connected",
	[CONNECTOR_WAITING] = "waiting",
	[CONNECTOR_REFUSED] = "authentication failure",
};

#define FROM(state) (1u << (state))

/* From which states each may be entered. */
static const unsigned connector_from[] = {
	[CONNECTOR_OFF] = ~0u,
	[CONNECTOR_LOOKING] = ~0u,
	[CONNECTOR_TRYING] = FROM(CONNECTOR_LOOKING) | FROM(CONNECTOR_TRYING) |
	    FROM(CONNECTOR_ONLINE),
	[CONNECTOR_ONLINE] = FROM(CONNECTOR_TRYING),
	[CONNECTOR_WAITING] = FROM(CONNECTOR_LOOKING) | FROM(CONNECTOR_TRYING) |
	    FROM(CONNECTOR_ONLINE),
	[CONNECTOR_REFUSED] = ~0u,
};

const char *
connector_state_name(enum connector_state state)
{
	return connector_names[state];
}

struct connector *
connector_new(resolver_random_fn random, void *arg)
{
	struct connector *c = xcalloc(1, sizeof(*c));

	c->random = random;
	c->arg = arg;
	c->next = "";
	return c;
}

void
connector_free(struct connector *c)
{
	if (c == NULL)
		return;
	free(c->servers);
	free(c->targets);
	buf_clear(&c->round);
	free(c);
}

/* ---- states ------------------------------------------------------------ */

/* "cb1.example.com 10.1.1.1:5223" */
static void
connector_describe(const struct connector_target *t, char *out, size_t size)
{
	bool named = strcmp(t->name, t->address) != 0;
	bool ipv6 = strchr(t->address, ':') != NULL;

	snprintf(out, size, "%s%s%s%s%s:%u", named ? t->name : "",
	    named ? " " : "", ipv6 ? "[" : "", t->address, ipv6 ? "]" : "",
	    (unsigned)t->port);
}

static void
connector_set_state(struct connector *c, uint64_t now,
    enum connector_state state, const char *why)
{
	char next[RESOLVER_NAME_SIZE + CONNECTOR_ADDRESS_SIZE + 32] = "";

	assert((connector_from[state] & FROM(c->state)) != 0);
	if (state == CONNECTOR_TRYING) {
		snprintf(next, sizeof(next), "; next: ");
		connector_describe(
		    &c->targets[c->at], next + 8, sizeof(next) - 8);
	} else if (c->due > now && state != CONNECTOR_ONLINE) {
		snprintf(next, sizeof(next), "; next: %s in %.1f s", c->next,
		    (double)(c->due - now) / 1000);
	}
	log_info("connector: %s -> %s: %s%s", connector_phases[c->state],
	    connector_phases[state], why, next);
	c->state = state;
}

static void
connector_set_reason(struct connector *c, const char *why)
{
	snprintf(c->reason, sizeof(c->reason), "%s", why);
}

/* Leaves nothing of the attempt or the connection that there was. */
static void
connector_drop(struct connector *c)
{
	c->step = CONNECTOR_NOTHING;
	c->due = 0;
	c->next = "";
	c->target_count = c->at = 0;
	c->refused = false;
	buf_reset(&c->round);
}

static void
connector_wait(
    struct connector *c, uint64_t now, enum connector_state state, uint64_t ms)
{
	c->due = now + ms / 2 + c->random((uint32_t)ms + 1, c->arg);
	c->next = "the servers are looked up and tried again";
	connector_set_state(c, now, state, c->reason);
}

/* ---- rounds ------------------------------------------------------------ */

static void
connector_add_targets(struct connector *c, const struct resolver_answer *srv)
{
	const struct connector_server *s = c->servers;
	struct connector_target *t;

	while (
	    strcmp(s->srv.value, srv->value) != 0 || s->srv.port != srv->port)
		s++;
	for (size_t i = 0; i < s->count; i++) {
		t = &c->targets[c->target_count++];
		snprintf(t->name, sizeof(t->name), "%s", srv->value);
		memcpy(t->address, s->addresses[i], sizeof(t->address));
		t->port = srv->port;
	}
}

/* What was just lost is tried last: it is likely to be dead. */
static void
connector_put_last(struct connector *c, const struct connector_target *lost)
{
	struct connector_target *order =
	    xcalloc(c->target_count, sizeof(*order));
	size_t count = 0;

	for (int last = 0; last < 2; last++)
		for (size_t i = 0; i < c->target_count; i++)
			if ((strcmp(c->targets[i].name, lost->name) == 0 &&
				c->targets[i].port == lost->port) == last)
				order[count++] = c->targets[i];
	free(c->targets);
	c->targets = order;
}

static void
connector_begin_round(struct connector *c, uint64_t now,
    const struct connector_target *lost, const char *why)
{
	struct resolver_answer *order =
	    xcalloc(c->server_count, sizeof(*order));
	size_t count = 0;

	for (size_t i = 0; i < c->server_count; i++) {
		order[i] = c->servers[i].srv;
		count += c->servers[i].count;
	}
	resolver_order(order, c->server_count, c->random, c->arg);
	connector_drop(c);
	free(c->targets);
	c->targets = xcalloc(count, sizeof(*c->targets));
	for (size_t i = 0; i < c->server_count; i++)
		connector_add_targets(c, &order[i]);
	free(order);
	if (lost != NULL)
		connector_put_last(c, lost);
	c->step = CONNECTOR_CONNECT;
	connector_set_state(c, now, CONNECTOR_TRYING, why);
}

static void
connector_end_round(struct connector *c, uint64_t now)
{
	uint64_t wait = WAIT_FIRST_MS;

	connector_set_reason(c, buf_str(&c->round));
	if (c->refused) {
		if (c->refused_since == 0)
			c->refused_since = now;
		connector_wait(c, now, CONNECTOR_REFUSED, WAIT_REFUSED_MS);
		return;
	}
	c->refused_since = 0;
	for (unsigned i = 0; i < c->rounds && wait < WAIT_MAX_MS; i++)
		wait *= 2;
	c->rounds++;
	connector_wait(
	    c, now, CONNECTOR_WAITING, wait < WAIT_MAX_MS ? wait : WAIT_MAX_MS);
}

/* Notes why the attempt failed; the next one, or the end of the round. */
static void
connector_go_on(struct connector *c, uint64_t now, const char *why)
{
	char text[512];

	connector_describe(&c->targets[c->at], text, sizeof(text));
	snprintf(text + strlen(text), sizeof(text) - strlen(text), ": %s", why);
	if (c->round.len + strlen(text) < REASON_MAX || c->round.len == 0)
		buf_addf(&c->round, "%s%s", c->round.len > 0 ? "; " : "", text);
	connector_set_reason(c, text);
	if (c->at + 1 == c->target_count) {
		connector_end_round(c, now);
		return;
	}
	c->at++;
	c->step = CONNECTOR_CONNECT;
	connector_set_state(c, now, CONNECTOR_TRYING, text);
}

/* ---- events ------------------------------------------------------------ */

void
connector_start(struct connector *c, uint64_t now)
{
	connector_drop(c);
	free(c->servers);
	c->servers = NULL;
	c->server_count = 0;
	c->rounds = 0;
	c->refused_since = 0;
	c->since = now;
	connector_set_reason(c, "");
	c->step = CONNECTOR_LOOK_UP;
	connector_set_state(c, now, CONNECTOR_LOOKING, "configured");
}

void
connector_stop(struct connector *c, uint64_t now, enum connector_state state,
    const char *why)
{
	bool news = c->state != state || strcmp(c->reason, why) != 0;

	connector_drop(c);
	c->refused_since = 0;
	if (!news)
		return;
	c->since = now;
	connector_set_reason(c, why);
	connector_set_state(c, now, state, why);
}

void
connector_found(struct connector *c, uint64_t now,
    const struct connector_server *servers, size_t count, uint32_t ttl)
{
	char why[64];

	free(c->servers);
	c->servers = xmemdup(servers, count * sizeof(*servers));
	c->server_count = count;
	c->refresh_ms = (uint64_t)ttl * 1000;
	if (c->refresh_ms < REFRESH_MIN_MS)
		c->refresh_ms = REFRESH_MIN_MS;
	if (c->state == CONNECTOR_ONLINE)
		c->due = now + c->refresh_ms;
	if (c->state != CONNECTOR_LOOKING)
		return;
	snprintf(why, sizeof(why), "%zu server%s found", count,
	    count == 1 ? "" : "s");
	connector_begin_round(c, now, NULL, why);
}

void
connector_not_found(
    struct connector *c, uint64_t now, const char *why, bool certain)
{
	if (c->state == CONNECTOR_ONLINE) {
		log_info("connector: servers not looked up again: %s; next: "
			 "in %d s",
		    why, REFRESH_MIN_MS / 1000);
		c->due = now + REFRESH_MIN_MS;
	}
	if (certain)
		c->server_count = 0;
	if (c->state != CONNECTOR_LOOKING)
		return;
	if (c->server_count > 0) {
		connector_begin_round(c, now, NULL, why);
		return;
	}
	buf_reset(&c->round);
	buf_add_str(&c->round, why);
	connector_end_round(c, now);
}

void
connector_online(struct connector *c, uint64_t now)
{
	char text[512];

	connector_describe(&c->targets[c->at], text, sizeof(text));
	connector_set_reason(c, "");
	c->refused_since = 0;
	c->since = c->online_at = now;
	c->due = now + c->refresh_ms;
	connector_set_state(c, now, CONNECTOR_ONLINE, text);
}

void
connector_failed(struct connector *c, uint64_t now,
    enum connector_failure failure, const char *why)
{
	struct connector_target lost;
	char text[512];

	c->refused = c->refused || failure == CONNECTOR_UNAUTHORIZED;
	if (c->state == CONNECTOR_TRYING) {
		connector_go_on(c, now, why);
		return;
	}
	if (c->state != CONNECTOR_ONLINE)
		return;
	c->since = now;
	c->due = 0;
	if (now - c->online_at < STABLE_MS) {
		connector_go_on(c, now, why);
		return;
	}
	lost = c->targets[c->at];
	connector_describe(&lost, text, sizeof(text));
	snprintf(text + strlen(text), sizeof(text) - strlen(text), ": %s", why);
	c->rounds = 0;
	connector_set_reason(c, text);
	connector_begin_round(c, now, &lost, text);
}

enum connector_step
connector_step(struct connector *c, uint64_t now)
{
	enum connector_step step = c->step;

	c->step = CONNECTOR_NOTHING;
	if (step != CONNECTOR_NOTHING || c->due == 0 || now < c->due)
		return step;
	c->due = 0;
	c->next = "";
	if (c->state == CONNECTOR_WAITING || c->state == CONNECTOR_REFUSED) {
		connector_drop(c);
		connector_set_state(c, now, CONNECTOR_LOOKING, "time is up");
	}
	return CONNECTOR_LOOK_UP;
}

uint64_t
connector_due(const struct connector *c)
{
	return c->due;
}

const struct connector_target *
connector_target(const struct connector *c)
{
	return c->at < c->target_count ? &c->targets[c->at] : NULL;
}

void
connector_status(const struct connector *c, struct connector_status *status)
{
	*status = (struct connector_status){
		.state = c->state,
		.since = c->since,
		.target = connector_target(c),
		.reason = c->reason,
		.next = c->next,
		.next_at = c->state == CONNECTOR_ONLINE ? 0 : c->due,
	};
	/* A retry of a refused secret is no news until it has ended. */
	if (c->refused_since != 0) {
		status->state = CONNECTOR_REFUSED;
		status->since = c->refused_since;
	}
}
