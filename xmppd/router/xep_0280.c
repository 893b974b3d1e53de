/*
 * Message carbons (XEP-0280): a session that has asked for it gets copies of
 * what the user's other sessions send and receive.
 *
 *   a message is on its way -> which sessions are to have a copy -> deliveries
 *     of the same frame, each under a name of its own
 *
 * Sessions that get the message itself, and the one that sent it, get no copy.
 * An error is copied if the message that it answers was; so the newest ids that
 * went either way are remembered for users who have copies made. That memory
 * goes with a leader: at worst an error is shown on one device only.
 */
#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/router/archive.h"
#include "xmppd/router/carbons.h"
#include "xmppd/router/extension.h"
#include "xmppd/router/forward.h"
#include "xmppd/router/tell.h"

/* The names of the copies of one frame. */
enum copy { COPY_SENT = 1, COPY_RECEIVED, COPY_ERROR };

static const char *const copy_names[] = {
	[COPY_SENT] = "sent",
	[COPY_RECEIVED] = "received",
	[COPY_ERROR] = "received",
};

#define IDS_MAX 32

/* Ids of messages that were copied, as hashes with the other side's address. */
struct copied_ids {
	uint64_t ids[IDS_MAX];
	unsigned next;
};

/* ---- which messages ---------------------------------------------------- */

/* 6.1 but its last two rules: error and room. */
static bool
is_im(const struct up_frame *f)
{
	if (f->type == TYPE_CHAT || (f->marks & (MARK_IM | MARK_INVITE)) != 0)
		return true;
	return (f->type == TYPE_NONE || f->type == TYPE_NORMAL) &&
	    (f->marks & MARK_BODY) != 0;
}

/* FNV-1a. */
static uint64_t
hash_add(uint64_t hash, struct text t)
{
	for (size_t i = 0; i < t.len; i++)
		hash = (hash ^ (uint8_t)t.data[i]) * 0x100000001b3ULL;
	return (hash ^ 0xff) * 0x100000001b3ULL;
}

static uint64_t
id_of(const struct job *job, struct text peer)
{
	return hash_add(hash_add(0xcbf29ce484222325ULL, peer), job->f.id) | 1;
}

static void
ids_note(struct user *u, uint64_t id)
{
	if (u->copied == NULL)
		u->copied = xcalloc(1, sizeof(*u->copied));
	u->copied->ids[u->copied->next++ % IDS_MAX] = id;
}

static bool
ids_have(const struct user *u, uint64_t id)
{
	for (unsigned i = 0; u->copied != NULL && i < IDS_MAX; i++)
		if (u->copied->ids[i] == id)
			return true;
	return false;
}

static void
forget(struct user *u)
{
	free(u->copied);
	u->copied = NULL;
}

/* For the sessions of this user, who sent or received it. */
static bool
is_eligible(const struct job *job, const struct user *u, bool sent)
{
	const struct up_frame *f = &job->f;

	if (f->kind != FRAME_MESSAGE || f->type == TYPE_GROUPCHAT)
		return false;
	if (f->type == TYPE_ERROR) /* hints don't count: XEP-0334, 5 */
		return f->id.data != NULL &&
		    ids_have(u,
			id_of(job, sent ? job->to.bare : text_bare(f->from)));
	if ((f->marks & MARK_NO_COPY) != 0)
		return false;
	/* What an occupant says in private comes from the room to each. */
	if (!sent && (f->marks & (MARK_MUC | MARK_INVITE)) == MARK_MUC &&
	    text_bare(f->from).len < f->from.len)
		return false;
	return is_im(f);
}

/* ---- which sessions ---------------------------------------------------- */

static bool
has_copies(const struct user *u)
{
	const struct login *s;

	TAILQ_FOREACH(s, &u->sessions, of_user)
		if ((s->wants & WANTS_CARBONS) != 0)
			return true;
	return false;
}

static bool
wants_copy(const struct job *job, const struct login *s)
{
	return (s->wants & WANTS_CARBONS) != 0 && login_is_there(s) &&
	    !sid_equal(&s->sid, &job->f.sid);
}

bool
carbons_are_due(struct router *r, const struct job *job, const struct login *s)
{
	(void)r;
	return wants_copy(job, s) && is_eligible(job, s->user, false);
}

/* Whether it gets the message itself, or has had it. */
static bool
has_original(const struct job *job, const struct login *s)
{
	const struct delivery *d;
	struct delivery_id id;

	TAILQ_FOREACH(d, &job->deliveries, of_owner)
		if (d->id.key.kind == DKEY_FRAME &&
		    sid_equal(&d->id.sid, &s->sid))
			return true;
	memset(&id, 0, sizeof(id));
	id.key = dkey_frame(job);
	id.sid = s->sid;
	return report_has(job, &id);
}

bool
carbons_has(struct router *r, const struct job *job, const struct login *s)
{
	struct delivery_id id;

	if (job->f.kind != FRAME_MESSAGE || (s->wants & WANTS_CARBONS) == 0)
		return false;
	memset(&id, 0, sizeof(id));
	id.sid = s->sid;
	for (uint64_t copy = COPY_SENT; copy <= COPY_RECEIVED; copy++) {
		id.key = dkey_numbered(job, DKEY_TOLD, copy);
		if (report_has(job, &id) || delivery_find(r, &id) != NULL)
			return true;
	}
	return false;
}

/* ---- copies ------------------------------------------------------------ */

static const char *
type_name(uint8_t type)
{
	static const char *const names[] = {
		[TYPE_NORMAL] = "normal",
		[TYPE_CHAT] = "chat",
		[TYPE_HEADLINE] = "headline",
		[TYPE_ERROR] = "error",
	};

	return type < sizeof(names) / sizeof(names[0]) ? names[type] : NULL;
}

static void
copy_to(struct router *r, struct job *job, struct login *s, enum copy copy,
    const struct forward *f)
{
	const struct dkey key = dkey_numbered(job, DKEY_TOLD, copy);
	uint8_t type = copy == COPY_ERROR ? TYPE_ERROR : job->f.type;
	struct buf b = { 0 };

	buf_add_str(&b, "<message");
	xml_add_attr_n(&b, "from", s->user->bare, s->user->bare_len);
	xml_add_attr(&b, "to", s->full);
	xml_add_attr(&b, "type", type_name(type));
	buf_addf(&b, "><%s xmlns='" NS_CARBONS "'>", copy_names[copy]);
	forward_write(&b, f);
	buf_addf(&b, "</%s></message>", copy_names[copy]);
	tell(r, job, s, &key, &b);
	buf_clear(&b);
}

static void
copy_to_user(struct router *r, struct job *job, struct user *u, enum copy copy,
    const struct forward *f)
{
	struct login *s;

	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (wants_copy(job, s) && !has_original(job, s))
			copy_to(r, job, s, copy, f);
}

static void
copy_side(struct router *r, struct job *job, struct user *u, bool sent)
{
	struct text peer = sent ? job->to.bare : text_bare(job->f.from);
	struct forward f = { .stanza = job->f.payload };
	struct buf id = { 0 };

	if (!has_copies(u) || !is_eligible(job, u, sent))
		return;
	if (job->f.id.data != NULL && job->f.type != TYPE_ERROR)
		ids_note(u, id_of(job, peer));
	archive_write_id(
	    r, job, sent ? ARCHIVE_SENDER : ARCHIVE_RECIPIENT, &id);
	f.child = id.len > 0 ? buf_str(&id) : NULL;
	copy_to_user(r, job, u, sent ? COPY_SENT : COPY_RECEIVED, &f);
	buf_clear(&id);
}

/* 6.1: the error that this server answers the message with. */
static void
copy_bounce(struct router *r, struct job *job, struct user *u)
{
	const struct delivery *d = TAILQ_FIRST(&job->deliveries);
	struct forward f = { 0 };

	if (job->fate != FATE_BOUNCING || job->f.type == TYPE_ERROR ||
	    d == NULL || d->id.key.kind != DKEY_FRAME || !has_copies(u) ||
	    !is_eligible(job, u, true))
		return;
	f.stanza = d->payload;
	copy_to_user(r, job, u, COPY_ERROR, &f);
}

static struct user *
sender_of(struct router *r, const struct job *job)
{
	struct address from;

	if (job->f.session_kind != SESSION_CLIENT)
		return NULL;
	address_read(r, job->f.from, &from);
	return from.kind == ADDRESS_USER ? user_find(r, from.bare) : NULL;
}

/* To oneself it is one copy, as it is one message. */
bool
carbons_copy(struct router *r, struct job *job)
{
	struct user *from, *to = NULL;

	if (job->copied || job->f.kind != FRAME_MESSAGE)
		return job->pending == 0;
	job->copied = true;
	from = sender_of(r, job);
	if (job->to.kind == ADDRESS_USER)
		to = user_find(r, job->to.bare);
	if (from != NULL)
		copy_side(r, job, from, true);
	if (to != NULL && to != from && job->fate != FATE_BOUNCING)
		copy_side(r, job, to, false);
	if (from != NULL)
		copy_bounce(r, job, from);
	return job->pending == 0;
}

/* ---- asking for them --------------------------------------------------- */

static enum stanza_error
want(struct router *r, struct job *job, bool on)
{
	struct login *s = login_find(r, &job->f.sid);

	if (!login_is_there(s))
		return 0;
	if (!login_want(r, job, on ? WANTS_CARBONS : 0, on ? 0 : WANTS_CARBONS))
		return IQ_WAITS;
	reply_iq_noted(r, job, NULL, DELIVER_CARBONS, on);
	return 0;
}

static enum stanza_error
enable(struct router *r, struct job *job, const struct xml *x)
{
	(void)x;
	return want(r, job, true);
}

static enum stanza_error
disable(struct router *r, struct job *job, const struct xml *x)
{
	(void)x;
	return want(r, job, false);
}

static const struct iq_handler iqs[] = {
	{ TYPE_SET, AT_ACCOUNT, "{" NS_CARBONS "}enable", enable },
	{ TYPE_SET, AT_ACCOUNT, "{" NS_CARBONS "}disable", disable },
	{ 0 },
};
static const char *const features[] = { NS_CARBONS, "urn:xmpp:carbons:rules:0",
	NULL };

const struct extension xep_0280 = {
	.number = "XEP-0280",
	.server_features = features,
	.account_features = features,
	.iqs = iqs,
	.forget = forget,
};
