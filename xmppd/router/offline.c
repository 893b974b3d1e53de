/*
 * Stored messages (XEP-0160): rows of the store, by user.
 *
 *   nobody is there -> a command with the stanza -> applied: acknowledged
 *   a row, and a session that may take it -> handed out under the row's own id
 *     -> accepted -> deleted by a command -> edges may forget it
 *   a session with XEP-0198 takes it -> the next ones go -> its client
 *     acknowledges -> accepted
 *   the session ends before -> handed out again
 *
 * Rule 2 of delivery(7): a row that an edge reports to have is deleted, not
 * handed out again. Rule 7: handing out is triggered by the state, and live
 * messages wait behind it.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/xmalloc.h"
#include "xmppd/router/archive.h"
#include "xmppd/router/extension.h"

#define HANDING_MAX 32
#define DELETE_MAX 256

/* A row that is with a session, or is being deleted. */
struct handed {
	uint64_t row;              /* key of router.rows */
	struct user *user;         /* NULL: not known yet */
	struct delivery *delivery; /* NULL once accepted */
	bool taken; /* by a session that will say when it has it (XEP-0198):
		       what comes next needn't wait for that */
	bool deleting;
	TAILQ_ENTRY(handed) next; /* in router.to_delete */
};

/* ---- storing ----------------------------------------------------------- */

/* Beyond the limit the store refuses it (RES_LIMIT). */
void
offline_store(struct router *r, struct job *job)
{
	struct text stanza = archive_stamped(r, job);
	struct store_op op = { .op = EFFECT_STORE };

	op.user = text_dup(job->to.local);
	job->fate = FATE_STORING;
	op.time = returned_time(r, job);
	buf_add(&op.stanza, stanza.data, stanza.len);
	job_propose(r, job, job->lane_id, &op, 1); /* rule 5 */
	buf_clear(&op.stanza);
	free(op.user);
}

/* A row of this user was added. */
void
offline_stored(struct router *r, struct user *u)
{
	u->rows = ROWS_SOME;
	user_touch(r, u);
}

static void
begin_cb(void *arg, const char *local, const char *value)
{
	struct router *r = arg;
	struct user *u = *local == '@' ? user_find(r, text_of(local + 1))
				       : user_find_account(r, local);

	(void)value;
	if (u != NULL)
		u->rows = ROWS_SOME;
}

/* What a new leader has to know of all who are there, at once. */
void
offline_begin(struct router *r)
{
	struct user *u;
	size_t at = 0;

	while ((u = map_next(&r->users, &at)) != NULL)
		u->rows = ROWS_NONE;
	store_row_users(r->env.store, begin_cb, r);
}

/* ---- deleting ---------------------------------------------------------- */

static void
delete_some(struct router *r)
{
	uint64_t rows[DELETE_MAX];
	struct buf b = { 0 };
	struct handed *h;
	size_t count = 0;

	if (r->deleting)
		return;
	while (count < DELETE_MAX && (h = TAILQ_FIRST(&r->to_delete)) != NULL) {
		TAILQ_REMOVE(&r->to_delete, h, next);
		rows[count++] = h->row;
	}
	if (count == 0)
		return;
	r->deleting = true;
	store_cmd_rows_del(&b, rows, count);
	r->env.propose(r->env.arg, b.data, b.len);
	buf_clear(&b);
}

static void
handed_delete(struct router *r, struct handed *h)
{
	if (h->deleting)
		return;
	h->deleting = true;
	TAILQ_INSERT_TAIL(&r->to_delete, h, next);
	delete_some(r);
}

static struct handed *
handed_new(struct router *r, uint64_t row, struct user *u)
{
	struct handed *h = xcalloc(1, sizeof(*h));

	h->row = row;
	h->user = u;
	if (u != NULL)
		u->handing++;
	map_put(&r->rows, &h->row, sizeof(h->row), h);
	return h;
}

/* Nobody waits for it any more. */
static void
handed_pass(struct router *r, struct handed *h)
{
	if (h->user == NULL || h->taken)
		return;
	h->user->handing--;
	user_touch(r, h->user);
}

static void
handed_free(struct router *r, struct handed *h)
{
	map_remove(&r->rows, &h->row, sizeof(h->row));
	handed_pass(r, h);
	free(h);
}

static struct dkey
dkey_row(uint64_t row)
{
	struct dkey key;

	memset(&key, 0, sizeof(key));
	key.kind = DKEY_ROW;
	key.num = row;
	return key;
}

/* The deletion of rows is committed: nobody needs to remember them. */
void
offline_deleted(struct router *r, const struct store_event *event)
{
	struct handed *h;
	struct dkey key;

	for (size_t i = 0; i < event->row_count; i++) {
		h = map_find(&r->rows, &event->rows[i], sizeof(uint64_t));
		if (h == NULL)
			continue;
		if (h->delivery != NULL)
			delivery_free(r, h->delivery);
		key = dkey_row(h->row);
		forget_everywhere(r, &key);
		handed_free(r, h);
	}
	r->deleting = false;
	delete_some(r);
}

/* An edge says that one of its sessions has had the row. */
void
offline_reported(struct router *r, uint64_t row)
{
	struct handed *h = map_find(&r->rows, &row, sizeof(row));

	if (h == NULL)
		h = handed_new(r, row, NULL);
	handed_delete(r, h);
}

void
offline_taken(struct router *r, struct handed *h)
{
	handed_pass(r, h);
	h->taken = true;
}

/*
 * An edge announces a row that its session has taken. So has an earlier leader
 * handed it out: what became of it is still to be said. (If the row is with
 * another session now, this one's node had been given up.)
 */
void
offline_kept(struct router *r, const struct delivery_id *id)
{
	struct handed *h = map_find(&r->rows, &id->key.num, sizeof(uint64_t));
	struct dispatch w = { .kind = DELIVER_STANZA };

	w.target = login_find(r, &id->sid);
	if (w.target == NULL || w.target->user == NULL)
		return;
	if (h == NULL) {
		h = handed_new(r, id->key.num, w.target->user);
		w.key = id->key;
		h->delivery = row_deliver(r, h, &w); /* the edge has it */
	}
	if (h->delivery != NULL && sid_equal(&h->delivery->id.sid, &id->sid))
		offline_taken(r, h);
}

void
offline_accepted(struct router *r, struct handed *h)
{
	h->delivery = NULL;
	handed_delete(r, h);
}

void
offline_dropped(struct router *r, struct handed *h)
{
	h->delivery = NULL;
	if (h->deleting)
		return;
	h->user->rows = ROWS_SOME;
	h->user->row_after = 0;
	user_touch(r, h->user);
	handed_free(r, h);
}

void
offline_free(struct router *r)
{
	struct handed *h;
	size_t at = 0;

	while ((h = map_next(&r->rows, &at)) != NULL) {
		if (h->delivery != NULL)
			delivery_free(r, h->delivery);
		map_remove(&r->rows, &h->row, sizeof(h->row));
		free(h);
	}
	map_clear(&r->rows);
}

/* ---- handing out ------------------------------------------------------- */

static bool
has_rows(struct router *r, struct user *u)
{
	struct store_row row = { 0 };

	if (u->rows == ROWS_UNKNOWN) {
		u->rows = store_rows(r->env.store, u->box, 0, &row, 1) > 0
		    ? ROWS_SOME
		    : ROWS_NONE;
		buf_clear(&row.stanza);
	}
	return u->rows == ROWS_SOME;
}

/* Rule 7: whether live messages to this user have to wait. */
bool
offline_is_waiting(struct router *r, struct user *u)
{
	const struct login *s;

	if (u->rows == ROWS_NONE)
		return false;
	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (login_takes_messages(s))
			return has_rows(r, u);
	return false;
}

/*
 * The session that takes stored messages: the one with the highest priority.
 * None while any is held (rule 7), as that may have had some.
 */
static struct login *
find_taker(const struct user *u)
{
	struct login *s, *best = NULL;

	TAILQ_FOREACH(s, &u->sessions, of_user) {
		if (!login_is_there(s))
			continue;
		if (!login_is_live(s))
			return NULL;
		if (s->told &&
		    (login_takes_messages(s) || s->kind == SESSION_COMPONENT) &&
		    (best == NULL || s->priority > best->priority))
			best = s;
	}
	return best;
}

/* XEP-0203: says when the message came in; what a component is told has no
 * time. */
struct bytes *
offline_stamped(const struct router *r, struct text stanza, int64_t time)
{
	struct buf delay = { 0 }, b = { 0 };
	struct bytes *bytes;
	char stamp[32];

	if (time == 0)
		return bytes_new(stanza.data, stanza.len);
	clock_stamp(time, stamp);
	buf_add_str(&delay, "<delay xmlns='" NS_DELAY "'");
	xml_add_attr(&delay, "from", r->domain);
	xml_add_attr(&delay, "stamp", stamp);
	buf_add_str(&delay, "/>");
	stanza_insert(&b, stanza.data, stanza.len, buf_str(&delay));
	bytes = bytes_new(b.data, b.len);
	buf_clear(&delay);
	buf_clear(&b);
	return bytes;
}

static void
row_hand_out(struct router *r, struct user *u, struct login *taker,
    const struct store_row *row)
{
	struct dispatch w = { .target = taker, .kind = DELIVER_STANZA };
	const struct text stanza = { (const char *)row->stanza.data,
		row->stanza.len };
	struct handed *h = map_find(&r->rows, &row->id, sizeof(row->id));

	u->row_after = row->id;
	if (h != NULL) {
		if (h->user == NULL) {
			h->user = u;
			u->handing++;
		}
		return;
	}
	h = handed_new(r, row->id, u);
	w.key = dkey_row(row->id);
	w.hold = offline_stamped(r, stanza, row->time);
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	h->delivery = row_deliver(r, h, &w);
	bytes_unref(w.hold);
}

static size_t
hand_out_some(struct router *r, struct user *u, struct login *taker)
{
	struct store_row rows[HANDING_MAX];
	size_t count;

	memset(rows, 0, sizeof(rows));
	count = store_rows(
	    r->env.store, u->box, u->row_after, rows, HANDING_MAX - u->handing);
	for (size_t i = 0; i < count; i++) {
		row_hand_out(r, u, taker, &rows[i]);
		buf_clear(&rows[i].stanza);
	}
	return count;
}

/* Rules 7 and 9. Called whenever anything about the user has changed. */
void
offline_hand_out(struct router *r, struct user *u)
{
	struct login *taker;

	if (u->rows == ROWS_NONE || TAILQ_EMPTY(&u->sessions) ||
	    !r->grace_over || (!r->complete && !r->settled))
		return;
	taker = find_taker(u);
	if (taker == NULL || !has_rows(r, u))
		return;
	while (u->handing < HANDING_MAX)
		if (hand_out_some(r, u, taker) == 0)
			break;
	if (u->handing > 0)
		return;
	u->rows = ROWS_NONE;
	u->row_after = 0;
	job_wake_all(r, &u->waiting);
}

static const char *const features[] = { "msgoffline", NULL };

const struct extension xep_0160 = {
	.number = "XEP-0160",
	.server_features = features,
	.account_features = features,
};
