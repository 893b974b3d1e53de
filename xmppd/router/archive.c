/*
 * Which messages are archived, and their way into the store (archive.h).
 */
#include "xmppd/router/archive.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/xmalloc.h"
#include "xmppd/router/tell.h"

/* A batch that is that long doesn't wait for the one under way. */
#define BATCH_BYTES (48U << 10)
#define SWEEP_MS 10000
/* Each command costs a write to a disk: under load they are this far apart.
 * Only acknowledgements wait for that. */
#define PAUSE_MS 20

struct archiving {
	uint8_t usual;      /* of accounts that didn't say */
	struct buf command; /* the batch that is collected; empty: none */
	uint64_t batch;     /* its number; they begin with the term */
	uint64_t applied;   /* all up to this one have been */
	uint64_t next_flush;
	bool hurry;              /* somebody asks for what is collected */
	struct job_list waiting; /* in the order of their batches */
	uint64_t next_sweep;
	bool sweeping; /* a sweep is in the log */
};

/* ---- ids --------------------------------------------------------------- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
			     "uvwxyz0123456789-_";

void
archive_uid_text(const uint8_t uid[ARCHIVE_UID], char out[ARCHIVE_UID_TEXT])
{
	for (size_t i = 0; i < ARCHIVE_UID; i += 3) {
		uint32_t v = (uint32_t)uid[i] << 16 |
		    (uint32_t)uid[i + 1] << 8 | uid[i + 2];

		for (int k = 18; k >= 0; k -= 6)
			*out++ = digits[v >> k & 63];
	}
	*out = '\0';
}

bool
archive_uid_parse(const char *text, uint8_t uid[ARCHIVE_UID])
{
	if (strlen(text) != ARCHIVE_UID_TEXT - 1)
		return false;
	for (size_t i = 0; i < ARCHIVE_UID; i += 3) {
		uint32_t v = 0;

		for (int k = 0; k < 4; k++) {
			const char *at = strchr(digits, *text++);

			if (at == NULL)
				return false;
			v = v << 6 | (uint32_t)(at - digits);
		}
		uid[i] = (uint8_t)(v >> 16);
		uid[i + 1] = (uint8_t)(v >> 8);
		uid[i + 2] = (uint8_t)v;
	}
	return true;
}

/*
 * The ids of a message follow from its frame's name, so that they are the same
 * under each leader. Nobody can foresee them: the incarnation is random, and no
 * client sees it.
 */
static const uint8_t *
uid_of(struct job *job, uint8_t side)
{
	if (!job->has_uids) {
		struct {
			struct origin origin;
			uint64_t num;
		} name = { job->origin->id, job->f.num };

		crypto_sha256(&name, sizeof(name), job->uids);
		job->has_uids = true;
	}
	return side == ARCHIVE_SENDER ? job->uids : job->uids + ARCHIVE_UID;
}

/* ---- what is archived -------------------------------------------------- */

/* XEP-0313, 6.1.1, and the hints of XEP-0334; what a room says to all is in the
 * room's own archive. */
static bool
is_archivable(const struct job *job)
{
	const uint16_t wanted = MARK_BODY | MARK_STORE | MARK_ACK;
	const struct up_frame *f = &job->f;

	if (f->kind != FRAME_MESSAGE ||
	    (f->marks & (MARK_NO_STORE | MARK_NO_ARCHIVE)) != 0)
		return false;
	if (f->type == TYPE_HEADLINE)
		return (f->marks & MARK_STORE) != 0;
	return (f->type == TYPE_NONE || f->type == TYPE_NORMAL ||
		   f->type == TYPE_CHAT) &&
	    (f->marks & wanted) != 0;
}

/* XEP-0441, 2.3: as it is listed, or its bare form. */
static bool
is_listed(const struct map *list, const struct address *peer)
{
	return list->count > 0 &&
	    (map_find(list, peer->full.data, peer->full.len) != NULL ||
		map_find(list, peer->bare.data, peer->bare.len) != NULL);
}

static bool
in_roster(
    struct router *r, const struct address *owner, const struct address *peer)
{
	struct user *u = user_get(r, owner);
	const struct store_roster_item *item = roster_item(r, u, peer->bare);

	user_touch(r, u);
	return item != NULL && item->visible;
}

static bool
prefs_want(struct router *r, const struct prefs *p, const struct address *owner,
    const struct address *peer)
{
	uint8_t usual = r->archiving->usual;

	if (p != NULL) {
		if (is_listed(&p->never, peer))
			return false;
		if (is_listed(&p->always, peer))
			return true;
		usual = p->usual;
	}
	return usual == ARCHIVE_ALWAYS ||
	    (usual == ARCHIVE_ROSTER && in_roster(r, owner, peer));
}

static bool
wants(struct router *r, const struct address *owner, const struct address *peer)
{
	struct user *u = user_find(r, owner->bare);
	struct prefs *p;
	char *account;
	bool want;

	if (u != NULL) {
		if (!u->prefs_read) {
			u->prefs = prefs_read(r, u->local);
			u->prefs_read = true;
		}
		return prefs_want(r, u->prefs, owner, peer);
	}
	account = text_dup(owner->local);
	p = prefs_read(r, account);
	want = prefs_want(r, p, owner, peer);
	prefs_free(p);
	free(account);
	return want;
}

void
archive_forget(struct user *u)
{
	prefs_free(u->prefs);
	u->prefs = NULL;
	u->prefs_read = false;
}

static uint8_t
sides_of(struct router *r, const struct job *job)
{
	struct address from;
	uint8_t sides = 0;

	if (!is_archivable(job))
		return 0;
	address_read(r, job->f.from, &from);
	if (from.kind == ADDRESS_USER &&
	    job->f.session_kind == SESSION_CLIENT && wants(r, &from, &job->to))
		sides |= ARCHIVE_SENDER;
	if (job->to.kind != ADDRESS_USER)
		return sides;
	/* To oneself: once. */
	if (text_equal(from.bare, job->to.bare))
		return sides != 0 ? ARCHIVE_RECIPIENT : 0;
	if (wants(r, &job->to, &from))
		sides |= ARCHIVE_RECIPIENT;
	return sides;
}

uint8_t
archive_sides(struct router *r, struct job *job)
{
	if (!job->has_sides) {
		job->sides = sides_of(r, job);
		job->has_sides = true;
	}
	return job->sides;
}

/* ---- stanza ids (XEP-0359) --------------------------------------------- */

void
archive_write_id(struct router *r, struct job *job, uint8_t side, struct buf *b)
{
	struct text by =
	    side == ARCHIVE_SENDER ? text_bare(job->f.from) : job->to.bare;
	char id[ARCHIVE_UID_TEXT];

	if ((archive_sides(r, job) & side) == 0)
		return;
	archive_uid_text(uid_of(job, side), id);
	buf_add_str(b, "<stanza-id xmlns='" NS_SID "'");
	xml_add_attr_n(b, "by", by.data, by.len);
	xml_add_attr(b, "id", id);
	buf_add_str(b, "/>");
}

struct text
archive_stamped(struct router *r, struct job *job)
{
	struct buf id = { 0 };

	if ((archive_sides(r, job) & ARCHIVE_RECIPIENT) == 0)
		return job->f.payload;
	if (job->stamped.len == 0) {
		archive_write_id(r, job, ARCHIVE_RECIPIENT, &id);
		stanza_insert(&job->stamped, job->f.payload.data,
		    job->f.payload.len, buf_str(&id));
		buf_clear(&id);
	}
	return (
	    struct text){ (const char *)job->stamped.data, job->stamped.len };
}

/* ---- into the store ---------------------------------------------------- */

static void
entry_set(struct archive_message *m, struct text account, struct text peer,
    const uint8_t *uid)
{
	struct archive_entry *e = &m->in[m->count++];

	e->account = account;
	e->peer = peer;
	memcpy(e->uid, uid, ARCHIVE_UID);
}

/* The sides that are due and not there yet; a note to oneself was sent. */
static uint8_t
sides_due(struct router *r, struct job *job, const struct address *from,
    bool accepted)
{
	uint8_t sides = archive_sides(r, job) & (uint8_t)~job->sides_added;

	if (!accepted && !text_equal(from->bare, job->to.bare))
		sides &= (uint8_t)~ARCHIVE_RECIPIENT;
	return sides;
}

void
archive_add(struct router *r, struct job *job, bool accepted)
{
	struct archiving *a = r->archiving;
	struct archive_message m = { .stanza = job->f.payload };
	struct address from;
	uint8_t sides;

	if (archive_sides(r, job) == job->sides_added)
		return;
	address_read(r, job->f.from, &from);
	sides = sides_due(r, job, &from, accepted);
	if (sides == 0)
		return;
	job->sides_added |= sides;
	if (sides & ARCHIVE_SENDER)
		entry_set(
		    &m, from.local, job->to.full, uid_of(job, ARCHIVE_SENDER));
	if (sides & ARCHIVE_RECIPIENT)
		entry_set(&m, job->to.local, from.full,
		    uid_of(job, ARCHIVE_RECIPIENT));
	m.time = r->env.unix_ms(r->env.arg);
	if (a->command.len == 0)
		store_cmd_archive(&a->command, a->batch);
	store_cmd_archive_add(&a->command, &m);
	job->archived = a->batch;
	if (a->command.len >= BATCH_BYTES)
		archive_flush(r);
}

/* While one is under way, or soon after, the next is collected; unless it is
 * long, or asked for. */
static bool
is_due(const struct router *r)
{
	const struct archiving *a = r->archiving;

	if (a->command.len == 0)
		return false;
	return a->hurry || a->command.len >= BATCH_BYTES ||
	    (a->batch == a->applied + 1 && r->now >= a->next_flush);
}

void
archive_flush(struct router *r)
{
	struct archiving *a = r->archiving;

	if (!is_due(r))
		return;
	a->hurry = false;
	a->next_flush = r->now + PAUSE_MS;
	store_cmd_archive_end(&a->command);
	r->env.propose(r->env.arg, a->command.data, a->command.len);
	buf_reset(&a->command);
	a->batch++;
}

bool
archive_is_done(struct router *r, struct job *job)
{
	return job->archived <= r->archiving->applied ||
	    job_wait(job, &r->archiving->waiting);
}

bool
archive_is_settled(struct router *r, struct job *job)
{
	struct archiving *a = r->archiving;

	if (job->archived == 0) {
		job->archived = a->command.len > 0 ? a->batch : a->batch - 1;
		a->hurry = true;
	}
	return archive_is_done(r, job);
}

/* ---- what the store and the clock say ---------------------------------- */

static void
batch_applied(struct router *r, uint64_t batch)
{
	struct archiving *a = r->archiving;
	struct job *job;

	if (batch <= a->applied || batch >= a->batch)
		return; /* an earlier leader's */
	a->applied = batch;
	while (
	    (job = TAILQ_FIRST(&a->waiting)) != NULL && job->archived <= batch)
		job_wake(r, job);
}

/* A sweep that found something goes on at once. */
static void
swept(struct router *r, uint64_t count)
{
	r->archiving->sweeping = false;
	if (count > 0)
		r->archiving->next_sweep = r->now;
}

void
archive_applied(struct router *r, const struct store_event *event)
{
	if (event->what == STORE_ARCHIVE)
		batch_applied(r, event->id);
	else if (event->what == STORE_SWEEP)
		swept(r, event->id);
}

void
archive_tick(struct router *r)
{
	struct archiving *a = r->archiving;
	int64_t now = r->env.unix_ms(r->env.arg);
	struct buf b = { 0 };

	if (a->sweeping || r->now < a->next_sweep)
		return;
	a->next_sweep = r->now + SWEEP_MS;
	if (!store_archive_is_due(r->env.store, now))
		return;
	a->sweeping = true;
	store_cmd_sweep(&b, now);
	r->env.propose(r->env.arg, b.data, b.len);
	buf_clear(&b);
}

/* ---- settings ---------------------------------------------------------- */

uint8_t
archive_usual(const struct router *r)
{
	return r->archiving->usual;
}

void
archive_setting(struct router *r)
{
	char *usual = store_setting(r->env.store, SHARED_ARCHIVE);

	r->archiving->usual = ARCHIVE_ALWAYS;
	if (usual != NULL)
		archive_usual_find(usual, &r->archiving->usual);
	free(usual);
}

void
archive_begin(struct router *r)
{
	struct archiving *a = xcalloc(1, sizeof(*a));

	a->applied = r->cfg.term << 32;
	a->batch = a->applied + 1;
	TAILQ_INIT(&a->waiting);
	r->archiving = a;
	archive_setting(r);
}

void
archive_end(struct router *r)
{
	if (r->archiving == NULL)
		return;
	buf_clear(&r->archiving->command);
	free(r->archiving);
	r->archiving = NULL;
}
