/*
 * An edge: its connections on one loop, and the end of the link that serves
 * them (uplink.c). Between the two nothing is decided here.
 *
 *   edge_accept, edge_adopt  -> session.c
 *   edge_link_up, edge_down  -> uplink.c -> back to the sessions
 *   the timer                -> pings, hold, logins that take too long
 */
#include "xmppd/edge/edge.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/edge/session.h"

#define SWEEP_MS 500

uint64_t
edge_now(const struct edge *e)
{
	return e->env.now != NULL ? e->env.now(e->env.arg) : clock_ms();
}

uint64_t
edge_limit(const struct edge *e, enum limit limit)
{
	return e->cfg.limits.of[limit];
}

/* The session that an uplink session is a part of. */
static struct session *
session_of(struct uplink_session *up)
{
	return (struct session *)(void *)((char *)up -
	    offsetof(struct session, up));
}

/* ---- what the uplink wants --------------------------------------------- */

static void
up_cb(void *arg, const void *msg, size_t len)
{
	struct edge *e = arg;

	e->env.up(e->env.arg, msg, len);
}

static void
unlink_cb(void *arg)
{
	struct edge *e = arg;

	e->env.unlink(e->env.arg);
}

static enum delivered
deliver_cb(void *arg, struct uplink_session *up, const struct down_deliver *d)
{
	(void)arg;
	return egress_deliver(session_of(up), d);
}

static void
kick_cb(void *arg, struct uplink_session *up, const struct down_kick *kick)
{
	struct session *s = session_of(up);
	char *condition = text_dup(kick->condition);
	char *text = text_dup(kick->text);
	enum stream_error error = condition == NULL
	    ? STREAM_ERROR_NONE
	    : stream_error_find(condition);

	(void)arg;
	/* It is said again where it goes, or when it stays. */
	if (s->managed != NULL && s->managed->frozen)
		goto out;
	if (error == STREAM_ERROR_NONE)
		error = STREAM_UNDEFINED_CONDITION;
	session_error(s, error, text);
out:
	free(condition);
	free(text);
}

static void
moved_cb(void *arg, struct uplink_session *up, uint64_t seq)
{
	(void)arg;
	session_moved(session_of(up), seq);
}

static void
answer_cb(void *arg, void *owner, int code, struct text data)
{
	struct session *s = owner;

	(void)arg;
	s->ops->answer(s, code, data);
}

static uint64_t
random_cb(void *arg)
{
	(void)arg;
	return crypto_random_u64();
}

static void
close_all(struct edge *e, enum stream_error error, const char *text)
{
	struct session_list *lists[] = { &e->logins, &e->sessions, &e->ending,
		&e->detached };
	struct session *s;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		while ((s = TAILQ_FIRST(lists[i])) != NULL)
			session_error(s, error, text);
}

/* RFC 6120, 4.9.3.21: clients take system-shutdown for "go elsewhere". */
static void
expired_cb(void *arg)
{
	close_all(arg, STREAM_SYSTEM_SHUTDOWN,
	    "this server has lost the others and serves nobody now");
}

static const struct uplink_ops uplink_ops = {
	.up = up_cb,
	.deliver = deliver_cb,
	.kick = kick_cb,
	.moved = moved_cb,
	.answer = answer_cb,
	.expired = expired_cb,
	.unlink = unlink_cb,
	.random = random_cb,
};

/* ---- the timer --------------------------------------------------------- */

/* Those at the front have been there longest. */
static void
end_overdue(struct edge *e, uint64_t now)
{
	struct session *s;

	while ((s = TAILQ_FIRST(&e->logins)) != NULL && s->until <= now)
		session_error(
		    s, STREAM_CONNECTION_TIMEOUT, "not logged in in time");
	while ((s = TAILQ_FIRST(&e->ending)) != NULL && s->until <= now)
		session_finish(s, "by the peer");
	resume_expire(e, now);
}

/*
 * Handshakes and parsers of a burst of logins take several times what a session
 * keeps, and leave holes among what sessions keep. The pages go back when it is
 * over.
 */
static void
give_memory_back(struct edge *e)
{
	if (logins_burst_over(e->cfg.logins))
		malloc_trim(0);
}

static void
tick_set(struct edge *e, uint64_t now, uint64_t at)
{
	uint64_t ms = at > now ? at - now : 0;
	struct timeval tv = { (time_t)(ms / 1000),
		(suseconds_t)(ms % 1000) * 1000 };

	e->next_tick = at;
	evtimer_add(e->tick, &tv);
}

void
edge_tick_at(struct edge *e, uint64_t at)
{
	if (at < e->next_tick)
		tick_set(e, edge_now(e), at);
}

void
edge_tick(struct edge *e)
{
	uint64_t now = edge_now(e), next, read;

	next = uplink_tick(e->uplink, now);
	read = throttle_tick(e, now);
	end_overdue(e, now);
	if (now >= e->next_sweep) {
		rest_idle(e, now);
		egress_sweep(e, now);
		managed_sweep(e, now);
		give_memory_back(e);
		e->next_sweep = now + SWEEP_MS;
	}
	tick_set(e, now, read < next ? read : next);
	if (e->env.ticked != NULL)
		e->env.ticked(e->env.arg);
}

static void
tick_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	edge_tick(arg);
}

static void
reap_cb(evutil_socket_t fd, short what, void *arg)
{
	struct edge *e = arg;
	struct session *s;

	(void)fd, (void)what;
	while ((s = TAILQ_FIRST(&e->gone)) != NULL) {
		TAILQ_REMOVE(&e->gone, s, next);
		session_free(s);
	}
}

/* ---- life -------------------------------------------------------------- */

struct edge *
edge_new(struct event_base *base, const struct edge_config *cfg,
    const struct edge_env *env)
{
	struct edge *e = xcalloc(1, sizeof(*e));
	struct uplink_ops ops = uplink_ops;
	struct uplink_config up = { .node = cfg->node,
		.edge = cfg->edge,
		.edges = cfg->edges,
		.hold_ms = cfg->hold_ms,
		.window = cfg->window,
		.first_id = crypto_random_u64(),
		.incarnation = crypto_random_u64() };

	e->base = base;
	e->cfg = *cfg;
	e->env = *env;
	e->domains.name = xstrdup(cfg->domain);
	e->domains.on = true;
	e->cfg.domain = e->domains.name;
	e->loop = conn_loop_new(base);
	e->parsers = xml_parsers_new();
	ops.arg = e;
	e->uplink = uplink_new(&up, &ops, edge_now(e));
	e->secret = xstrdup(cfg->secret);
	e->cfg.secret = e->secret;
	TAILQ_INIT(&e->logins);
	TAILQ_INIT(&e->sessions);
	TAILQ_INIT(&e->ending);
	TAILQ_INIT(&e->detached);
	TAILQ_INIT(&e->watched);
	TAILQ_INIT(&e->gone);
	TAILQ_INIT(&e->warm);
	TAILQ_INIT(&e->slow);
	TAILQ_INIT(&e->throttled);
	e->tick = evtimer_new(base, tick_cb, e);
	e->reap = event_new(base, -1, 0, reap_cb, e);
	edge_tick(e);
	return e;
}

static void
domains_free(struct stream_domain *first)
{
	struct stream_domain *d;

	while ((d = first->next) != NULL) {
		first->next = d->next;
		free(d->name);
		free(d);
	}
	free(first->name);
}

void
edge_free(struct edge *e)
{
	uplink_down(e->uplink);
	close_all(e, STREAM_SYSTEM_SHUTDOWN, NULL);
	reap_cb(-1, 0, e);
	event_free(e->tick);
	event_free(e->reap);
	uplink_free(e->uplink);
	resume_clear(e);
	conn_loop_free(e->loop);
	xml_parsers_free(e->parsers);
	buf_clear(&e->out);
	buf_clear(&e->payload);
	buf_clear(&e->child);
	buf_clear(&e->message);
	crypto_wipe_free(e->secret);
	domains_free(&e->domains);
	free(e);
}

static void
domain_on(struct stream_domain *first, const char *name)
{
	struct stream_domain *d = first;

	while (d->next != NULL && strcmp(d->name, name) != 0)
		d = d->next;
	if (strcmp(d->name, name) != 0) {
		d->next = xcalloc(1, sizeof(*d));
		d = d->next;
		d->name = xstrdup(name);
	}
	d->on = true;
}

void
edge_set_domains(struct edge *e, const char *const *names, size_t count)
{
	struct stream_domain *d;

	/* Sessions still name the ones that go. */
	for (d = e->domains.next; d != NULL; d = d->next)
		d->on = false;
	for (size_t i = 0; i < count; i++)
		domain_on(&e->domains, names[i]);
}

void
edge_set_serving(struct edge *e, bool serving, const char *condition)
{
	enum stream_error error = condition == NULL
	    ? STREAM_ERROR_NONE
	    : stream_error_find(condition);

	e->serving = serving;
	if (error == STREAM_ERROR_NONE)
		error = STREAM_SYSTEM_SHUTDOWN;
	if (!serving)
		close_all(e, error, NULL);
}

void
edge_set_tls(
    struct edge *e, struct ssl_ctx_st *client, struct ssl_ctx_st *component)
{
	e->client_tls = client;
	e->component_tls = component;
}

void
edge_set_limits(struct edge *e, const struct edge_limits *limits)
{
	struct session_list *lists[] = { &e->logins, &e->sessions };
	uint64_t until;
	struct session *s;

	e->cfg.limits = *limits;
	/* end_overdue() wants them in order. */
	until = edge_now(e) + edge_limit(e, LIMIT_LOGIN_TIME) * 1000;
	TAILQ_FOREACH(s, &e->logins, next)
		if (s->until > until)
			s->until = until;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		TAILQ_FOREACH(s, lists[i], next)
			session_limit(s);
}

void
edge_set_plaintext(struct edge *e, bool allowed)
{
	e->plaintext = allowed;
}

void
edge_set_sha1_only(struct edge *e, bool sha1_only)
{
	e->sha1_only = sha1_only;
}

/* ---- connections ------------------------------------------------------- */

/* G4: without a leader for hold, new ones are refused at once, so that they
 * move on. */
bool
edge_is_serving(const struct edge *e)
{
	return e->serving && e->client_tls != NULL && edge_has_leader(e);
}

bool
edge_has_leader(const struct edge *e)
{
	return uplink_has_leader(e->uplink);
}

static void
refuse(int fd)
{
	struct linger reset = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

void
edge_accept(struct edge *e, int fd, enum edge_port port, const char *peer)
{
	struct session *s =
	    edge_is_serving(e) ? session_new(e, port, peer) : NULL;

	if (s == NULL)
		refuse(fd);
	else if (port == PORT_COMPONENT)
		session_wait_first(s, fd);
	else
		session_connect(
		    s, fd, port == PORT_WEBSOCKET ? ws_tls(e) : NULL);
}

void
edge_adopt(struct edge *e, int fd, struct ssl_st *ssl, const char *peer)
{
	struct session *s =
	    edge_is_serving(e) ? session_new(e, PORT_CLIENT, peer) : NULL;

	if (s != NULL) {
		session_connect(s, fd, ssl);
		return;
	}
	refuse(fd);
	SSL_free(ssl);
}

/* ---- the link ---------------------------------------------------------- */

void
edge_link_up(struct edge *e, uint64_t term)
{
	uplink_up(e->uplink, term, edge_now(e));
}

void
edge_link_down(struct edge *e)
{
	uplink_down(e->uplink);
}

void
edge_set_term(struct edge *e, uint64_t term)
{
	uplink_set_term(e->uplink, term);
}

int
edge_down(struct edge *e, const void *msg, size_t len)
{
	return uplink_receive(e->uplink, msg, len, edge_now(e));
}

/* ---- what is shown ----------------------------------------------------- */

struct edge_counters
edge_counters(const struct edge *e)
{
	return e->counters;
}

struct edge_stats
edge_stats(const struct edge *e)
{
	struct edge_stats stats;

	stats.sessions = uplink_sessions(e->uplink);
	stats.connections = e->connection_count;
	stats.components = e->component_count;
	stats.unacked = uplink_unacked(e->uplink);
	stats.accepted = uplink_accepted(e->uplink);
	return stats;
}

void
edge_sessions(const struct edge *e,
    void (*fn)(void *arg, const struct edge_session *s), void *arg)
{
	const struct session_list *lists[] = { &e->sessions, &e->detached };
	const struct session *s;
	struct edge_session info;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		TAILQ_FOREACH(s, lists[i], next) {
			info = (struct edge_session){ .address = s->up.full,
				.peer = s->peer,
				.component = s->stream.component,
				.detached = lists[i] == &e->detached,
				.since = s->since,
				.idle_ms = edge_now(e) - s->last_read };
			fn(arg, &info);
		}
}
