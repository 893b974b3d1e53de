/*
 * Sessions: how they begin and end (rules 3, 4, 8 to 10 of delivery(7)).
 *
 *   bind -> the address is free -> in the directory -> at a majority: it
 * counts, and the result goes out -> accepted: done bind, address in use -> the
 * old session is kicked; its end is waited for unbind, missing from an
 * announcement, given up -> those who had to know are told -> out of the
 * directory -> at a majority: forgotten
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/result.h"
#include "common/xmalloc.h"
#include "xmppd/router/caps.h"
#include "xmppd/router/core.h"
#include "xmppd/router/mam.h"

enum bind_stage { BIND_ADDRESS, BIND_MIRROR, BIND_RESULT };

/* ---- what may be asked ------------------------------------------------- */

struct login *
login_find(struct router *r, const struct sid *sid)
{
	return map_find(&r->sessions, sid, sizeof(*sid));
}

/* Rule 8: it counts, on a node that is heard from or not. One that its edge
 * has said to be gone is no target any more. */
bool
login_is_there(const struct login *s)
{
	return s != NULL && s->state == SESSION_BOUND && !s->refused;
}

/* Rule 9: a session that isn't live is held. */
bool
login_is_live(const struct login *s)
{
	return s->edge->ready;
}

bool
login_is_available(const struct login *s)
{
	return login_is_there(s) && s->presence != NULL;
}

/* Whether messages to the bare address go to it: not with a negative priority
 * (RFC 6121, 8.5.2.1.1). */
bool
login_takes_messages(const struct login *s)
{
	return login_is_available(s) && s->priority >= 0;
}

/* Rule 3: whether what is named so may still be sent to somebody. */
bool
login_is_owed(struct router *r, const struct dkey *key)
{
	const struct login *s = login_find(r, &key->about);

	if (s == NULL || s->state < SESSION_BINDING)
		return false;
	return dkey_equal(key, &s->gone) || key->num == 0 ||
	    (s->entry != NULL && s->entry->leaving == key->num);
}

/* ---- life -------------------------------------------------------------- */

static struct login *
login_new(struct router *r, struct edge_state *edge, const struct sid *sid,
    uint8_t kind)
{
	struct login *s = xcalloc(1, sizeof(*s));

	s->sid = *sid;
	s->kind = kind;
	s->edge = edge;
	s->mirror.session = s;
	TAILQ_INIT(&s->waiters);
	TAILQ_INIT(&s->deliveries);
	map_put(&r->sessions, &s->sid, sizeof(s->sid), s);
	TAILQ_INSERT_TAIL(&edge->sessions, s, of_edge);
	return s;
}

static void
login_drop_deliveries(struct router *r, struct login *s)
{
	struct delivery *d;

	while ((d = TAILQ_FIRST(&s->deliveries)) != NULL)
		delivery_drop(r, d);
}

void
login_free(struct router *r, struct login *s)
{
	login_drop_deliveries(r, s);
	handover_gone(r, s);
	job_wake_all(r, &s->waiters);
	mirror_wait_remove(r, &s->mirror);
	if (s->user != NULL) {
		if (s->state < SESSION_BINDING)
			s->user->binding--;
		else
			TAILQ_REMOVE(&s->user->sessions, s, of_user);
		user_touch(r, s->user);
	}
	TAILQ_REMOVE(&s->edge->sessions, s, of_edge);
	map_remove(&r->sessions, &s->sid, sizeof(s->sid));
	bytes_unref(s->presence);
	bytes_unref(s->farewell);
	greeting_free(s->greeting);
	caps_forget(r, s);
	free(s->full);
	free(s);
}

/* The session that waited for an address has it. */
static void
login_attach(struct router *r, struct login *s, struct entry *e)
{
	struct address a;

	address_read(r, text_of(e->full), &a);
	s->entry = e;
	s->full = xstrdup(e->full);
	if (s->user != NULL)
		s->user->binding--;
	s->user = user_get(r, &a);
	TAILQ_INSERT_TAIL(&s->user->sessions, s, of_user);
}

/* A session of the directory that a new leader begins with. */
void
login_adopt(struct router *r, struct entry *e)
{
	struct edge_state *edge = edge_get(r, e->origin.node, e->origin.edge);
	struct login *s = login_new(r, edge, &e->sid, e->kind);

	s->state = SESSION_BOUND;
	login_attach(r, s, e);
	s->wants = e->wants;
	s->account = e->account;
	login_set_presence(s, e->presence);
	handover_adopt(r, s);
}

/* What is at a majority of its broadcast presence. */
void
login_set_presence(struct login *s, struct bytes *presence)
{
	bytes_ref(presence);
	bytes_unref(s->presence);
	s->presence = presence;
	s->priority = 0;
	if (presence != NULL)
		s->priority = presence_priority(presence);
}

/* What a session wants to be told from now on, and what not any more. True
 * once whoever leads knows; else the job waits for that. */
bool
login_want(struct router *r, struct job *job, uint8_t set, uint8_t unset)
{
	struct login *s = login_find(r, &job->f.sid);
	uint8_t wants = (uint8_t)((s->entry->wants | set) & ~unset);

	if (wants != s->entry->wants) {
		directory_want(r->directory, &r->out, &s->sid, wants);
		job->seq = mirror_event(r);
	}
	if (!job_wait_majority(r, job, job->seq))
		return false;
	s->wants = (uint8_t)((s->wants | set) & ~unset);
	return true;
}

static void
login_counts(struct router *r, struct login *s)
{
	s->state = SESSION_BOUND;
	job_wake_all(r, &s->waiters);
	user_touch(r, s->user);
	if (s->roster != 0)
		roster_push(r, s->user);
}

/* It goes into the directory. */
static uint64_t
login_enter(struct router *r, struct login *s, struct text full,
    struct text presence, uint64_t account)
{
	struct entry e;

	memset(&e, 0, sizeof(e));
	TAILQ_INIT(&e.directed);
	e.sid = s->sid;
	e.origin = s->edge->origin->id;
	e.heir = s->came;
	e.moved = !sid_is_zero(&s->came);
	e.kind = s->kind;
	e.wants = s->wants;
	e.account = s->account = account;
	e.full = text_dup(full);
	if (presence.data != NULL)
		e.presence = bytes_new(presence.data, presence.len);
	directory_bind(r->directory, &r->out, &e);
	free(e.full);
	bytes_unref(e.presence);
	login_attach(r, s, directory_find(r->directory, &s->sid));
	s->state = SESSION_BINDING;
	return mirror_event(r);
}

/* ---- kicks ------------------------------------------------------------- */

static void
kick_send(struct router *r, const struct login *s, const char *text)
{
	const struct down_kick m = { s->sid, text_of(s->kick), text_of(text) };

	if (!s->edge->ready)
		return;
	down_kick_encode(&r->out, r->cfg.term, &m);
	edge_send(r, s->edge);
}

void
login_kick(
    struct router *r, struct login *s, const char *condition, const char *text)
{
	s->kick = stream_error_name(stream_error_find(condition));
	s->kicked = r->now;
	kick_send(r, s, text);
}

size_t
router_kick(struct router *r, const char *address, const char *condition,
    const char *text, uint64_t now)
{
	struct login *s;
	struct address a;
	struct user *u;
	size_t count = 0;

	r->now = now;
	address_read(r, text_of(address), &a);
	u = user_find(r, a.bare);
	if (u == NULL)
		return 0;
	TAILQ_FOREACH(s, &u->sessions, of_user) {
		if (!login_is_there(s) ||
		    (a.resource.data != NULL && !text_is(a.full, s->full)))
			continue;
		login_kick(r, s, condition, text);
		count++;
	}
	router_run(r);
	return count;
}

/* ---- announced --------------------------------------------------------- */

/*
 * Without a complete directory a session that its edge announces as bound is
 * taken at its edge's word. With one, a leader has ended it: it was given up,
 * or a component that was superseded; its edge is told.
 */
static void
login_unknown(struct router *r, struct login *s, const struct up_session *m)
{
	struct user *u;
	struct address a;

	address_read(r, m->full, &a);
	u = user_find(r, a.kind == ADDRESS_USER ? a.bare : a.domain);
	if (r->complete || user_session(u, m->full) != NULL ||
	    a.kind == ADDRESS_FOREIGN) {
		s->kick = stream_error_name(STREAM_CONFLICT);
		return;
	}
	s->told = true;
	if (m->carbons)
		s->wants |= WANTS_CARBONS;
	r->adopted = login_enter(r, s, m->full, m->presence, m->account);
	mirror_wait_add(r, &s->mirror, r->adopted);
}

/* It isn't there any more, as far as is known here; and doesn't hold on to
 * that if it has yielded. */
static void
login_strayed(
    struct router *r, struct edge_state *edge, const struct up_session *m)
{
	const struct down_kick kick = { m->sid,
		text_of(stream_error_name(STREAM_CONFLICT)), { NULL, 0 } };

	if (m->yielded)
		return;
	down_kick_encode(&r->out, r->cfg.term, &kick);
	edge_send(r, edge);
}

void
login_shown(
    struct router *r, struct edge_state *edge, const struct up_session *m)
{
	struct login *s = login_find(r, &m->sid);

	if (s == NULL ? m->yielded : !handover_is_its(s, edge, m)) {
		login_strayed(r, edge, m);
		return;
	}
	if (s == NULL) {
		s = login_new(r, edge, &m->sid, m->kind);
		s->came = m->came;
		if (m->bound)
			login_unknown(r, s, m);
	}
	s->shown = true;
	s->told |= m->bound;
	if (m->bound)
		handover_shown(r, s);
	if (m->roster != 0)
		s->wants |= WANTS_ROSTER;
	if (s->roster < m->roster)
		s->roster = m->roster;
}

/* Its account is gone: it is no target any more, and ends. */
void
login_part(struct login *s)
{
	s->former = s->refused = true;
	if (s->kick == NULL)
		s->kick = stream_error_name(STREAM_NOT_AUTHORIZED);
}

/* Whether the account was deleted, or made anew since, and what has changed in
 * its roster: under an earlier leader, or while there was none. */
static void
login_check(struct router *r, struct login *s)
{
	struct store_account account;

	if (s->kind != SESSION_CLIENT || s->entry == NULL || s->former)
		return;
	s->checked = true;
	account = store_account(r->env.store, s->user->local);
	if (account.id != s->account)
		login_part(s);
	else if (s->roster != 0 && s->roster < account.version)
		roster_push(r, s->user);
}

/* Rule 10: a kick is repeated after a relink. */
void
login_relinked(struct router *r, struct login *s)
{
	if (s->state != SESSION_ENDING)
		login_check(r, s);
	if (s->kick != NULL)
		kick_send(r, s, NULL);
	if (s->user != NULL)
		user_touch(r, s->user);
}

void
login_refused(struct router *r, struct login *s)
{
	s->refused = true;
	if (s->user != NULL)
		user_touch(r, s->user);
}

/* ---- the end ----------------------------------------------------------- */

static struct bytes *
farewell_new(const struct login *s, struct text given)
{
	struct buf b = { 0 };
	struct bytes *bytes;

	if (given.data != NULL && given.len > 9 &&
	    memcmp(given.data, "<presence", 9) == 0)
		return bytes_new(given.data, given.len);
	buf_add_str(&b, "<presence");
	xml_add_attr(&b, "from", s->full);
	buf_add_str(&b, " type='unavailable'/>");
	bytes = bytes_new(b.data, b.len);
	buf_clear(&b);
	return bytes;
}

/* All who had to be told have been: it leaves the directory. */
static void
login_leave(struct router *r, struct login *s)
{
	s->entry = NULL;
	directory_end(r->directory, &r->out, &s->sid);
	mirror_wait_add(r, &s->mirror, mirror_event(r));
}

void
login_told_end(struct router *r, struct login *s)
{
	s->ending--;
	if (s->ending == 0)
		login_leave(r, s);
}

/*
 * Rule 3: the end of a session bears its own id, whatever caused it. It is done
 * when all targets have accepted and the unbind is at a majority.
 */
void
login_end(struct router *r, struct login *s, struct text farewell)
{
	if (s->state == SESSION_ENDING || handover_saves(r, s))
		return;
	if (s->bind != NULL)
		job_wake(r, s->bind);
	if (s->state < SESSION_BINDING) {
		login_free(r, s);
		return;
	}
	if (!s->checked)
		login_check(r, s);
	mirror_wait_remove(r, &s->mirror);
	s->state = SESSION_ENDING;
	handover_gone(r, s);
	s->gone = dkey_gone(&s->sid, s->entry->leaving);
	s->farewell = farewell_new(s, farewell);
	job_wake_all(r, &s->waiters);
	user_touch(r, s->user);
	login_drop_deliveries(r, s);
	s->ending = 1; /* this call's own, so that it can't end meanwhile */
	presence_farewell(r, s);
	login_told_end(r, s);
}

/* The event that it waited for is at a majority. */
void
login_mirrored(struct router *r, struct login *s)
{
	if (s->state == SESSION_BINDING) {
		login_set_presence(s, s->entry->presence);
		login_counts(r, s);
		return;
	}
	forget_everywhere(r, &s->gone);
	login_free(r, s);
}

/*
 * Rule 3: a session whose end any edge reports as told has ended, whatever the
 * directory says. (What is named by a number is no more than unavailable.)
 */
void
login_reported_gone(struct router *r, const struct dkey *gone)
{
	const struct text none = { NULL, 0 };
	struct login *s = login_find(r, &gone->about);

	if (s == NULL || s->state != SESSION_BOUND || gone->num != 0)
		return;
	s->kick = stream_error_name(STREAM_CONFLICT);
	kick_send(r, s, NULL);
	login_end(r, s, none);
}

bool
unbind_step(struct router *r, struct job *job)
{
	const struct origin *at = &job->origin->id;
	struct login *s = login_find(r, &job->f.sid);

	/* It may go on elsewhere (handover.c). */
	if (s == NULL || s->edge->id.node != at->node ||
	    s->edge->id.edge != at->edge)
		return true;
	handover_note_end(r, s, job->f.lang);
	login_end(r, s, job->f.payload);
	s = login_find(r, &job->f.sid);
	return s == NULL || job_wait(job, &s->waiters);
}

/* ---- the beginning ----------------------------------------------------- */

/*
 * Rules 4 and 5: a bind that is sent again belongs to a session which was just
 * announced, or it has no effect (stale_bind).
 */
void
bind_received(struct router *r, struct edge_state *edge, struct job *job)
{
	struct login *s = login_find(r, &job->f.sid);

	if (s == NULL && !job->f.resent)
		s = login_new(r, edge, &job->f.sid, job->f.session_kind);
	if (s == NULL || s->bind != NULL || s->state == SESSION_ENDING)
		return;
	s->bind = job;
	job->seq = s->mirror.seq;
	if (s->state != SESSION_EXPECTED)
		return;
	s->state = SESSION_WAITING;
	if (job->to.kind == ADDRESS_FOREIGN || job->f.kind == FRAME_RESUME)
		return;
	s->user = user_get(r, &job->to);
	s->user->binding++;
}

/* The bind is done, and its session isn't bound: it was superseded before its
 * edge could take the result. */
void
bind_repeated(struct router *r, const struct sid *sid)
{
	struct login *s = login_find(r, sid);

	if (s != NULL && s->state == SESSION_EXPECTED)
		login_kick(r, s, "conflict", NULL);
}

/* Whether who logged in may have the address; if not, the condition. */
static const char *
bind_refusal(struct router *r, const struct job *job)
{
	struct scram_keys keys;
	char version[24];
	char *local;
	int rv;

	if (job->f.session_kind == SESSION_COMPONENT)
		return job->to.kind == ADDRESS_COMPONENT &&
			text_equal(job->to.full, job->to.domain)
		    ? NULL
		    : "not-authorized";
	if (job->to.kind != ADDRESS_USER || job->to.resource.data == NULL)
		return "jid-malformed";
	local = text_dup(job->to.local);
	rv = store_account_keys(r->env.store, local, &keys);
	free(local);
	snprintf(
	    version, sizeof(version), "%llu", (unsigned long long)keys.version);
	/* The account was deleted, or made anew, since the login. */
	if (rv != RES_OK || !text_is(job->f.payload, version))
		return "not-authorized";
	return NULL;
}

static bool
bind_refuse(
    struct router *r, struct job *job, struct login *s, const char *condition)
{
	struct dispatch w = { .target = s, .kind = DELIVER_REFUSED };

	log_info("router: %.*s: bind refused: %s", (int)job->f.to.len,
	    job->f.to.data, condition);
	job->fate = FATE_BOUNCING;
	w.key = dkey_frame(job);
	w.payload = text_of(condition);
	job_deliver(r, job, &w);
	return false;
}

/*
 * Rule 10, but for components: the holder of the secret says that the old
 * session is gone, and a Call Bridge whose server died has to be logged in
 * elsewhere within a second. So a component's old session that can't answer, or
 * hasn't answered its kick for `grace`, is ended at once. What it had not
 * accepted is done again for the new one; what it had is done. So nothing is
 * lost, and nothing is delivered twice but to a session on a server which had
 * failed.
 */
static bool
may_supersede(const struct router *r, const struct login *rival)
{
	return rival->kind == SESSION_COMPONENT &&
	    (!login_is_live(rival) ||
		r->now - rival->kicked >= r->cfg.grace_ms);
}

/* Whether the address is free; rivals are kicked, for each new bind again. */
static bool
address_is_free(struct router *r, struct job *job, const struct login *s)
{
	const struct text none = { NULL, 0 };
	struct login *rival, *next;
	bool is_free = true;

	for (rival = TAILQ_FIRST(&s->user->sessions); rival != NULL;
	     rival = next) {
		next = TAILQ_NEXT(rival, of_user);
		if (!text_is(job->f.to, rival->full))
			continue;
		if (rival->state != SESSION_ENDING &&
		    job->rival != rival->sid.id) {
			job->rival = rival->sid.id;
			login_kick(r, rival, "conflict", NULL);
		}
		if (rival->state != SESSION_ENDING && may_supersede(r, rival))
			login_end(r, rival, none);
		if (rival->state != SESSION_ENDING ||
		    rival->kind == SESSION_CLIENT)
			is_free = false;
	}
	return is_free;
}

/* Those that there are already; one whose bind waits is none yet. */
static uint64_t
user_session_count(const struct user *u)
{
	const struct login *s;
	uint64_t count = 0;

	TAILQ_FOREACH(s, &u->sessions, of_user)
		count +=
		    s->state != SESSION_WAITING && s->state != SESSION_ENDING;
	return count;
}

static bool
bind_address(struct router *r, struct job *job, struct login *s)
{
	const struct text none = { NULL, 0 };
	const char *refusal = bind_refusal(r, job);
	uint64_t account = 0;

	if (refusal != NULL)
		return bind_refuse(r, job, s, refusal);
	/* Rule 9: without a complete directory nothing is bound anew. */
	if (!r->complete && !r->settled)
		return job_wait(job, &r->unsettled);
	if (!address_is_free(r, job, s))
		return job_wait(job, &s->user->waiting);
	if (s->kind == SESSION_CLIENT &&
	    user_session_count(s->user) >= r->limits.of[LIMIT_SESSIONS])
		return bind_refuse(r, job, s, "resource-constraint");
	if ((job->f.flags & FRAME_BIND_CARBONS) != 0)
		s->wants |= WANTS_CARBONS;
	if (s->kind == SESSION_CLIENT)
		account = store_account(r->env.store, s->user->local).id;
	job->seq = login_enter(r, s, job->f.to, none, account);
	s->checked = true;
	job->stage = BIND_MIRROR;
	return true;
}

static void
bind_result(struct router *r, struct job *job, struct login *s)
{
	struct dispatch w = { .target = s, .kind = DELIVER_BOUND };
	struct buf b = { 0 };

	if (s->state == SESSION_BINDING)
		login_counts(r, s);
	w.key = dkey_frame(job);
	w.value = s->account;
	buf_add(&b, job->f.to.data, job->f.to.len);
	if ((job->f.flags & FRAME_BIND_INLINE) != 0 && s->user->local != NULL) {
		buf_add_u8(&b, 0);
		mam_write_metadata(r, s->user->local, &b);
	}
	w.hold = bytes_new(b.data, b.len);
	w.payload = (struct text){ w.hold->data, w.hold->len };
	job_deliver(r, job, &w);
	bytes_unref(w.hold);
	buf_clear(&b);
	job->stage = BIND_RESULT;
}

bool
bind_step(struct router *r, struct job *job)
{
	struct login *s = login_find(r, &job->f.sid);

	if (s == NULL || s->bind != job || s->state == SESSION_ENDING)
		return true;
	if (job->fate == FATE_BOUNCING) {
		if (job->pending > 0)
			return false;
		login_free(r, s);
		return true;
	}
	if (job->stage == BIND_ADDRESS && s->state == SESSION_WAITING &&
	    !bind_address(r, job, s))
		return false;
	if (job->stage != BIND_RESULT) {
		if (!job_wait_majority(r, job, job->seq))
			return false;
		bind_result(r, job, s);
	}
	if (job->pending > 0)
		return false;
	s->bind = NULL;
	return true;
}
