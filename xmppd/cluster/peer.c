/*
 * The members as this node sees them: to whom connections are wanted, when
 * they're dialled again, and what is wrong with whom.
 *
 * A control connection to each member is always wanted: it carries requests,
 * and a keep-alive by which a silent member is noticed.
 */
#include "xmppd/cluster/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/conn.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/peer_impl.h"

#define REDIAL_MS 50
/* What has failed for a while is tried less often; so is what costs a
 * handshake each time. */
#define REDIAL_SLOW_MS 250
#define REDIAL_CONTROL_MS 500
#define REDIAL_REFUSED_MS 200
#define REDIAL_REFUSED_SLOW_MS 1000
#define PATIENCE 40
#define PATIENCE_REFUSED 10
#define PATIENCE_JOIN 10
#define BEAT_MS 1000

static const char *const channel_names[PEER_CHANNELS] = {
	[PEER_RAFT] = "raft",
	[PEER_LINK] = "link",
	[PEER_MIRROR] = "mirror",
	[PEER_CONTROL] = "control",
	[PEER_COPY] = "copy",
};

/* Whose coming and going is told. */
static bool
is_told(const struct peer_line *l)
{
	return l->channel == PEER_LINK || l->channel == PEER_MIRROR;
}

/* Also one that is only wanted. */
static struct peer *
find_any(const struct peers *p, uint32_t node)
{
	struct peer *peer;

	TAILQ_FOREACH(peer, &p->peers, entry)
		if (peer->member.raft_id == node)
			return peer;
	return NULL;
}

struct peer *
peers_find(const struct peers *p, uint32_t node)
{
	struct peer *peer = find_any(p, node);

	return peer != NULL && peer->listed ? peer : NULL;
}

static struct peer *
find_or_add(struct peers *p, uint32_t node)
{
	struct peer *peer = find_any(p, node);

	if (peer != NULL)
		return peer;
	peer = xcalloc(1, sizeof(*peer));
	peer->member.raft_id = node;
	TAILQ_INSERT_TAIL(&p->peers, peer, entry);
	return peer;
}

void
peer_ip(const char *address, char out[PEER_IP_SIZE])
{
	const char *colon = strrchr(address, ':');
	int len = colon == NULL ? (int)strlen(address) : (int)(colon - address);

	if (*address == '[' && len >= 2 && address[len - 1] == ']')
		snprintf(out, PEER_IP_SIZE, "%.*s", len - 2, address + 1);
	else
		snprintf(out, PEER_IP_SIZE, "%.*s", len, address);
}

/* ---- troubles ----------------------------------------------------------- */

/* Whether anything was heard of it lately, on a connection of either side. */
static bool
is_heard(const struct peers *p, uint32_t node)
{
	uint64_t now = clock_ms();
	const struct peer_line *l;

	TAILQ_FOREACH(l, &p->lines, entry)
		if (l->node == node && l->state == LINE_UP &&
		    now - l->heard <= PEER_TIMEOUT_MS)
			return true;
	return false;
}

/* Something failed: unreachable is who isn't heard on another connection. */
static void
set_trouble(struct peers *p, struct peer *peer, const char *why)
{
	if (!peer->listed)
		return;
	if (strcmp(peer->why, why) != 0)
		log_warn("cluster: %s: %s", peer->member.address, why);
	if (peer->since == 0 && !is_heard(p, peer->member.raft_id))
		peer->since = clock_unix();
	snprintf(peer->why, sizeof(peer->why), "%s", why);
}

static void
end_trouble(struct peer *peer)
{
	if (peer->since != 0)
		log_info("cluster: %s: connected", peer->member.address);
	peer->since = 0;
}

void
peers_silent(struct peer_line *l)
{
	struct peer *peer = peers_find(l->peers, l->node);

	if (peer != NULL)
		set_trouble(l->peers, peer, "does not answer");
}

static struct peer_stranger *
find_stranger(struct peers *p, const char *ip)
{
	for (size_t i = 0; i < p->stranger_count; i++)
		if (strcmp(p->strangers[i].trouble.address, ip) == 0)
			return &p->strangers[i];
	return NULL;
}

/*
 * A node that joins is known to some a moment before it knows them, and the
 * other way round: that becomes a trouble only if it lasts.
 */
static bool
passes(enum peer_verdict verdict, unsigned count)
{
	return count < PATIENCE_JOIN &&
	    (verdict == PEER_REFUSED_CLUSTER ||
		verdict == PEER_REFUSED_UNKNOWN);
}

void
peers_refused(struct peers *p, const char *address, enum peer_verdict verdict,
    const char *why)
{
	char ip[PEER_IP_SIZE];
	struct peer_stranger *s;

	peer_ip(address, ip);
	s = find_stranger(p, ip);
	if (s == NULL) {
		if (p->stranger_count == PEER_STRANGERS)
			memmove(p->strangers, p->strangers + 1,
			    --p->stranger_count * sizeof(*s));
		s = &p->strangers[p->stranger_count++];
		*s = (struct peer_stranger){ .trouble.since = clock_unix() };
		snprintf(
		    s->trouble.address, sizeof(s->trouble.address), "%s", ip);
	}
	s->last = clock_unix();
	if (passes(verdict, s->count++))
		return;
	if (strcmp(s->trouble.text, why) != 0)
		log_warn("cluster: %s: refused: %s", ip, why);
	snprintf(s->trouble.text, sizeof(s->trouble.text), "%s", why);
}

/* Who was refused from there is let in now. */
static void
forget_stranger(struct peers *p, const char *address)
{
	char ip[PEER_IP_SIZE];
	struct peer_stranger *s;

	peer_ip(address, ip);
	s = find_stranger(p, ip);
	if (s != NULL)
		*s = p->strangers[--p->stranger_count];
}

static size_t
stranger_troubles(const struct peers *p, struct peer_trouble *out, size_t max)
{
	int64_t now = clock_unix();
	size_t n = 0;

	for (size_t i = 0; i < p->stranger_count && n < max; i++)
		if (now - p->strangers[i].last < PEER_STRANGER_S &&
		    p->strangers[i].trouble.text[0] != '\0')
			out[n++] = p->strangers[i].trouble;
	return n;
}

size_t
peers_troubles(const struct peers *p, struct peer_trouble *out, size_t max)
{
	const struct peer *peer;
	size_t n = 0;

	TAILQ_FOREACH(peer, &p->peers, entry) {
		if (!peer->listed)
			continue;
		if (n == max)
			return n;
		out[n] = (struct peer_trouble){ .node = peer->member.raft_id,
			.since = peer->since };
		snprintf(out[n].address, sizeof(out[n].address), "%s",
		    peer->member.address);
		if (peer->since != 0)
			snprintf(
			    out[n].text, sizeof(out[n].text), "%s", peer->why);
		n++;
	}
	return n + stranger_troubles(p, out + n, max - n);
}

/* ---- dialling ----------------------------------------------------------- */

static bool
is_wanted(const struct peer *peer, unsigned channel)
{
	return channel == PEER_CONTROL || peer->want[channel] ||
	    (channel == PEER_COPY && peer->copy != NULL);
}

/* Of the table; of who was here without being in it, what brings its log. */
static bool
may_dial(const struct peer *peer, unsigned channel)
{
	if (!is_wanted(peer, channel) || peer->member.address == NULL)
		return false;
	return peer->listed || channel == PEER_RAFT || channel == PEER_COPY;
}

static void
wait_after_failure(
    struct peer *peer, enum peer_channel channel, enum peer_verdict verdict)
{
	unsigned failures = ++peer->failures[channel];
	uint64_t wait = REDIAL_MS;

	if (verdict == PEER_REFUSED_UNKNOWN && failures <= PATIENCE)
		wait = REDIAL_MS * 2; /* it joins: soon it will be known */
	else if (verdict != PEER_WELCOME)
		wait = failures <= PATIENCE_REFUSED ? REDIAL_REFUSED_MS
						    : REDIAL_REFUSED_SLOW_MS;
	else if (channel == PEER_CONTROL && failures > 2)
		wait = REDIAL_CONTROL_MS;
	else if (failures > PATIENCE)
		wait = REDIAL_SLOW_MS;
	peer->due[channel] = clock_ms() + wait;
}

static void
dial_channel(struct peers *p, struct peer *peer, enum peer_channel channel)
{
	struct error e;

	if (line_dial(p, peer->member.raft_id, peer->member.address, channel,
		&e) != NULL) {
		peer->due[channel] = clock_ms() + REDIAL_MS;
		return;
	}
	wait_after_failure(peer, channel, PEER_WELCOME);
	set_trouble(p, peer, e.text);
}

/* Dials what is due; the time until more is. */
static uint64_t
dial_due(struct peers *p)
{
	uint64_t now = clock_ms(), next = UINT64_MAX;
	struct peer *peer;

	TAILQ_FOREACH(peer, &p->peers, entry)
		for (unsigned i = 0; i < PEER_CHANNELS; i++) {
			if (!may_dial(peer, i) ||
			    line_find(p, peer->member.raft_id,
				(enum peer_channel)i, true) != NULL)
				continue;
			if (peer->due[i] <= now)
				dial_channel(p, peer, (enum peer_channel)i);
			else if (peer->due[i] < next)
				next = peer->due[i];
		}
	return next == UINT64_MAX ? next : next - now;
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct peers *p = arg;
	uint64_t wait = dial_due(p);
	struct timeval tv;

	(void)fd, (void)what;
	if (wait == UINT64_MAX)
		return;
	tv.tv_sec = (time_t)(wait / 1000);
	tv.tv_usec = (suseconds_t)(wait % 1000) * 1000;
	event_add(p->timer, &tv);
}

static void
peer_free(struct peers *p, struct peer *peer)
{
	TAILQ_REMOVE(&p->peers, peer, entry);
	peer_copy_forget(peer);
	store_member_clear(&peer->member);
	free(peer);
}

/* One that isn't in the table stays as long as something of it is wanted: a
 * table that lags will have it. */
static void
drop_unless_needed(struct peers *p, struct peer *peer)
{
	bool needed = peer->listed;

	for (unsigned i = 0; i < PEER_CHANNELS; i++)
		needed |= peer->want[i];
	if (!needed)
		peer_free(p, peer);
}

void
peers_schedule(struct peers *p)
{
	struct timeval now = { 0, 0 };

	event_add(p->timer, &now);
}

void
peers_want(
    struct peers *p, uint32_t node, enum peer_channel channel, bool wanted)
{
	struct peer *peer = find_or_add(p, node);
	struct peer_line *l;

	/* What the Raft thread asked for before it got the last one. */
	if (channel == PEER_RAFT && wanted && clock_ms() < peer->due[channel])
		return;
	peer->want[channel] = wanted;
	if (wanted) {
		peers_schedule(p);
		return;
	}
	drop_unless_needed(p, peer);
	l = line_find(p, node, channel, true);
	if (l != NULL)
		line_fail(l, "no longer wanted");
}

void
peers_guest(struct peers *p, const struct peer_hello *h)
{
	struct peer *peer = find_or_add(p, h->from);

	if (peer->listed || h->address[0] == '\0')
		return;
	store_member_clear(&peer->member);
	peer->member.raft_id = h->from;
	peer->member.address = xstrdup(h->address);
	peer->member.host = xstrdup(h->host);
}

/* ---- what becomes of lines ---------------------------------------------- */

/* The same member's connection from before is worth nothing any more. */
static void
replace_older(struct peer_line *l)
{
	struct peers *p = l->peers;
	struct peer_line *other, *next;

	for (other = TAILQ_FIRST(&p->lines); other != NULL; other = next) {
		next = TAILQ_NEXT(other, entry);
		if (other == l || other->node != l->node ||
		    other->channel != l->channel ||
		    other->dialled != l->dialled || other->state != LINE_UP)
			continue;
		line_fail(other, "replaced by a newer connection");
		/* The callback may have ended others. */
		next = TAILQ_FIRST(&p->lines);
	}
}

void
peers_line_up(struct peer_line *l)
{
	struct peers *p = l->peers;
	struct peer *peer = peers_find(p, l->node);

	log_debug("cluster: %s: %s connection %s", l->address,
	    channel_names[l->channel], l->dialled ? "made" : "accepted");
	if (peer != NULL) {
		end_trouble(peer);
		if (l->dialled)
			peer->why[0] = '\0';
	}
	if (l->dialled && (peer = find_any(p, l->node)) != NULL) {
		peer->failures[l->channel] = 0;
		/* Raft asks again when it has lost it. */
		if (l->channel == PEER_RAFT) {
			peer->want[PEER_RAFT] = false;
			peer->due[PEER_RAFT] = clock_ms() + REDIAL_MS;
		}
	}
	if (!l->dialled && l->node != 0) {
		forget_stranger(p, l->address);
		replace_older(l);
	}
	if (l->state == LINE_DEAD)
		return;
	if (l->channel == PEER_CONTROL)
		peer_request_up(l);
	else if (l->channel == PEER_COPY)
		peer_copy_up(l);
	else if (is_told(l))
		p->cb.up(p->cb.arg, l->node, l->channel, l->dialled);
}

void
peers_line_gone(struct peer_line *l, bool was_up, const char *why)
{
	struct peers *p = l->peers;
	struct peer *peer = find_any(p, l->node);

	log_debug("cluster: %s: %s connection: %s", l->address,
	    channel_names[l->channel], why);
	if (l->dialled && peer != NULL) {
		if (was_up) {
			peer->due[l->channel] = clock_ms() + REDIAL_MS;
		} else if (is_wanted(peer, l->channel)) {
			wait_after_failure(peer, l->channel, l->verdict);
			if (!passes(l->verdict, peer->failures[l->channel]))
				set_trouble(p, peer, why);
		}
		peers_schedule(p);
	}
	if (l->channel == PEER_CONTROL)
		peer_request_gone(l, why);
	else if (l->channel == PEER_COPY)
		peer_copy_gone(l, why);
	else if (was_up && is_told(l))
		p->cb.down(p->cb.arg, l->node, l->channel, l->dialled);
	if (l->dialled && l->node != 0 &&
	    (l->verdict == PEER_REFUSED_BOOT ||
		l->verdict == PEER_REFUSED_REMOVED))
		p->cb.refused_us(p->cb.arg, l->node,
		    l->verdict == PEER_REFUSED_REMOVED, why);
}

int
peers_line_message(struct peer_line *l, const uint8_t *msg, size_t len)
{
	struct peers *p = l->peers;

	switch (l->channel) {
	case PEER_LINK:
	case PEER_MIRROR:
		return p->cb.message(
		    p->cb.arg, l->node, l->channel, l->dialled, msg, len);
	case PEER_CONTROL:
		return peer_request_message(l, msg, len);
	case PEER_COPY:
		return peer_copy_message(l, msg, len);
	case PEER_RAFT:
	case PEER_CHANNELS:
		break;
	}
	return RES_INVALID;
}

void
peers_send(struct peers *p, uint32_t node, enum peer_channel channel,
    bool dialled, const void *msg, size_t len)
{
	struct peer_line *l = line_find(p, node, channel, dialled);

	if (l != NULL && l->state == LINE_UP)
		line_send(l, msg, len);
}

size_t
peers_pending(
    struct peers *p, uint32_t node, enum peer_channel channel, bool dialled)
{
	struct peer_line *l = line_find(p, node, channel, dialled);

	return l == NULL ? 0 : conn_pending(l->conn);
}

void
peers_adopt(struct peers *p, struct conn *c, const char *from)
{
	line_adopt(p, c, from);
}

/* ---- members ------------------------------------------------------------ */

static void
member_copy(struct store_member *to, const struct store_member *from)
{
	*to = *from;
	to->host = from->host == NULL ? NULL : xstrdup(from->host);
	to->address = from->address == NULL ? NULL : xstrdup(from->address);
}

static void
set_self(struct peers *p, const struct peers_self *self)
{
	char *dir = self->dir == NULL ? NULL : xstrdup(self->dir);
	bool moved = !str_equal(dir, p->dir);

	store_member_clear(&p->self.me);
	free(p->domain);
	free(p->dir);
	p->self = *self;
	member_copy(&p->self.me, &self->me);
	p->domain = self->domain == NULL ? NULL : xstrdup(self->domain);
	p->dir = dir;
	p->self.domain = p->domain;
	p->self.dir = p->dir;
	p->known = true;
	if (moved)
		peer_copy_set_dir(p);
}

/* Whether a connection is that of a member as the table now has it. */
static bool
line_is_valid(const struct peers *p, const struct peer_line *l)
{
	const struct peer *peer = peers_find(p, l->node);

	if (l->node == 0)
		return true;
	if (peer == NULL) /* not yet, or not any more */
		return l->node > p->newest_id;
	if (l->state == LINE_UP && peer_boot_is_old(l->boot, peer->member.boot))
		return false;
	return !l->dialled || strcmp(l->address, peer->member.address) == 0;
}

static void
end_invalid_lines(struct peers *p)
{
	struct peer_line *l, *next;

	for (l = TAILQ_FIRST(&p->lines); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (line_is_valid(p, l))
			continue;
		line_fail(l, "the member table has changed");
		next = TAILQ_FIRST(&p->lines);
	}
}

static void
set_member(struct peers *p, const struct store_member *m)
{
	struct peer *peer;

	if (m->raft_id > p->newest_id)
		p->newest_id = m->raft_id;
	if (m->raft_id == p->self.me.raft_id)
		return;
	peer = find_or_add(p, m->raft_id);
	store_member_clear(&peer->member);
	member_copy(&peer->member, m);
	peer->listed = true;
}

/* No member, or none any more. */
static void
forget(struct peer *peer)
{
	uint32_t node = peer->member.raft_id;

	peer_copy_forget(peer);
	store_member_clear(&peer->member);
	peer->member.raft_id = node;
	peer->want[PEER_RAFT] = false; /* its thread asks again */
	peer->since = 0;
	peer->why[0] = '\0';
}

void
peers_set(struct peers *p, const struct peers_self *self,
    const struct store_member *members, size_t count)
{
	struct peer *peer, *next;

	/* What was known of another cluster's members counts no more. */
	if (memcmp(p->self.cluster, self->cluster, sizeof(self->cluster)) != 0)
		p->newest_id = 0;
	set_self(p, self);
	TAILQ_FOREACH(peer, &p->peers, entry)
		peer->listed = false;
	for (size_t i = 0; i < count; i++)
		set_member(p, &members[i]);
	for (peer = TAILQ_FIRST(&p->peers); peer != NULL; peer = next) {
		next = TAILQ_NEXT(peer, entry);
		if (peer->listed)
			continue;
		forget(peer);
		drop_unless_needed(p, peer);
	}
	end_invalid_lines(p);
	peers_schedule(p);
}

int
peers_set_tls(struct peers *p, const char *key, const char *chain,
    const char *trust, struct error *e)
{
	int rc = peer_tls_set(&p->tls, key, chain, trust, e);

	if (rc == RES_OK)
		peers_schedule(p);
	return rc;
}

struct ssl_ctx_st *
peers_tls(struct peers *p)
{
	return p->tls.server;
}

/* ---- life --------------------------------------------------------------- */

static void
beat_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	peer_request_beat(arg);
}

static void
sweep_cb(evutil_socket_t fd, short what, void *arg)
{
	struct peers *p = arg;
	struct peer_line *l;

	(void)fd, (void)what;
	while ((l = TAILQ_FIRST(&p->dead)) != NULL) {
		TAILQ_REMOVE(&p->dead, l, entry);
		buf_clear(&l->part);
		free(l);
	}
}

struct peers *
peers_new(struct event_base *base, const struct peers_callbacks *cb)
{
	struct peers *p = xcalloc(1, sizeof(*p));
	struct timeval beat = { BEAT_MS / 1000, (BEAT_MS % 1000) * 1000 };

	p->cb = *cb;
	p->base = base;
	p->loop = conn_loop_new(base);
	TAILQ_INIT(&p->peers);
	TAILQ_INIT(&p->lines);
	TAILQ_INIT(&p->dead);
	TAILQ_INIT(&p->copies);
	TAILQ_INIT(&p->comings);
	peer_request_init(p);
	p->timer = evtimer_new(base, timer_cb, p);
	p->sweep = event_new(base, -1, 0, sweep_cb, p);
	p->beat = event_new(base, -1, EV_PERSIST, beat_cb, p);
	event_add(p->beat, &beat);
	return p;
}

void
peers_free(struct peers *p)
{
	struct peer_line *l;

	if (p == NULL)
		return;
	peer_request_clear(p);
	peer_copy_clear(p);
	while ((l = TAILQ_FIRST(&p->lines)) != NULL) {
		conn_abort(l->conn);
		TAILQ_REMOVE(&p->lines, l, entry);
		TAILQ_INSERT_TAIL(&p->dead, l, entry);
	}
	sweep_cb(-1, 0, p);
	while (!TAILQ_EMPTY(&p->peers))
		peer_free(p, TAILQ_FIRST(&p->peers));
	event_free(p->timer);
	event_free(p->sweep);
	event_free(p->beat);
	conn_loop_free(p->loop);
	peer_tls_clear(&p->tls);
	store_member_clear(&p->self.me);
	free(p->domain);
	free(p->dir);
	free(p);
}
