/*
 * The durable effects of frames: each frame's at most once (delivery(7), rule
 * 1). The set of (origin, number) that have been applied keeps their results,
 * until the origin's low-water mark has passed them or the origin has ended.
 */
#include "xmppd/cluster/store_apply.h"

#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/cluster/db.h"

static void
bind_origin(struct db_query *q, const struct origin *o)
{
	db_bind_int(q, o->node);
	db_bind_int(q, o->edge);
	db_bind_uint(q, o->incarnation);
}

static void
forget_below(struct db *db, const struct origin *origin, uint64_t low)
{
	struct db_query *q = db_query(db,
	    "DELETE FROM effect WHERE node = ? AND edge = ?"
	    " AND incarnation = ? AND num < ?");

	bind_origin(q, origin);
	db_bind_uint(q, low);
	db_run(q);
}

/* ---- rosters ----------------------------------------------------------- */

static bool
was_visible(struct db *db, const struct store_op *op)
{
	struct db_query *q = db_query(
	    db, "SELECT visible FROM roster WHERE local = ? AND contact = ?");

	db_bind_text(q, op->user);
	db_bind_text(q, op->item.contact);
	return db_only_int(q) != 0;
}

/* Notes that the item went out of the roster, or is in it (again). */
static void
note_removed(
    struct db *db, const struct store_op *op, uint64_t version, bool removed)
{
	struct db_query *q;

	q = removed
	    ? db_query(db, "INSERT OR REPLACE INTO removed VALUES (?, ?, ?)")
	    : db_query(
		  db, "DELETE FROM removed WHERE local = ? AND contact = ?");
	db_bind_text(q, op->user);
	db_bind_text(q, op->item.contact);
	if (removed)
		db_bind_uint(q, version);
	db_run(q);
	if (!removed || version <= STORE_REMOVED_MAX)
		return;
	q = db_query(db, "DELETE FROM removed WHERE version <= ?");
	db_bind_uint(q, version - STORE_REMOVED_MAX);
	db_run(q);
}

/*
 * An account that isn't there shares no presence: it may have been deleted
 * after this change was made up.
 */
static void
part_from_nobody(struct db *db, struct store_roster_item *item)
{
	char *local = NULL;

	if (item->to || item->from || item->pending_in)
		local = store_account_of(db, item->contact);
	if (local != NULL && !store_has_account(db, local))
		item->to = item->from = item->pending_in = 0;
	free(local);
}

/* The domain of a contact that isn't an account's; NULL for one that is. */
static const char *
foreign_host(struct db *db, const char *contact)
{
	const char *at = strchr(contact, '@');
	char *local = store_account_of(db, contact);
	bool ours = local != NULL;

	free(local);
	if (ours)
		return NULL;
	return at == NULL ? contact : at + 1;
}

static uint64_t
apply_roster(struct db *db, struct store_op *op)
{
	struct store_roster_item *item = &op->item;
	uint64_t version = store_next_version(db, op->user);
	struct db_query *q;

	part_from_nobody(db, item);
	if (item->visible)
		note_removed(db, op, version, false);
	else if (was_visible(db, op))
		note_removed(db, op, version, true);
	q = db_query(db,
	    "INSERT OR REPLACE INTO roster"
	    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	db_bind_text(q, op->user);
	db_bind_text(q, item->contact);
	db_bind_text(q, item->name);
	db_bind_text(q, item->groups);
	db_bind_int(q, item->to);
	db_bind_int(q, item->from);
	db_bind_int(q, item->ask);
	db_bind_int(q, item->pending_in);
	db_bind_int(q, item->approved);
	db_bind_int(q, item->visible);
	db_bind_uint(q, version);
	db_bind_text(q, item->request);
	db_bind_text(q, foreign_host(db, item->contact));
	db_run(q);
	return version;
}

/* 0, and no new version, where there was no such item. */
static uint64_t
apply_roster_del(struct db *db, const struct store_op *op)
{
	bool visible = was_visible(db, op);
	struct db_query *q =
	    db_query(db, "DELETE FROM roster WHERE local = ? AND contact = ?");
	uint64_t version;

	db_bind_text(q, op->user);
	db_bind_text(q, op->item.contact);
	if (db_run(q) == 0)
		return 0;
	version = store_next_version(db, op->user);
	if (visible)
		note_removed(db, op, version, true);
	return version;
}

static bool
op_account_exists(struct db *db, const struct store_op *op)
{
	/* "": the server's own item */
	return *op->user == '\0' || store_has_account(db, op->user);
}

/* ---- effects ----------------------------------------------------------- */

/* *made: a row's id, a roster version, or an item's number. */
static int
apply_op(struct db *db, struct store_op *op, uint64_t *made)
{
	switch ((enum effect_op)op->op) {
	case EFFECT_STORE:
		return store_apply_message(db, op, made);
	case EFFECT_ROSTER:
		*made = apply_roster(db, op);
		break;
	case EFFECT_ROSTER_DEL:
		*made = apply_roster_del(db, op);
		break;
	case EFFECT_ITEM_PUT:
		return store_apply_item_put(db, op, made);
	case EFFECT_ITEM_DEL:
		return store_apply_item_del(db, op, made);
	case EFFECT_DONE:
		break;
	}
	return RES_OK;
}

static bool
makes_version(const struct store_op *op)
{
	return op->op == EFFECT_ROSTER || op->op == EFFECT_ROSTER_DEL;
}

/* Puts what an op made where the event shows it. */
static void
show(struct store_applied *a, size_t i, uint64_t made)
{
	struct store_op *op = &a->data.effect.ops[i];

	if (makes_version(op))
		op->item.version = made;
	else
		a->rows[i] = made;
	if (a->event.id == 0)
		a->event.id = made;
}

/* A result: the note, the code, then for each op its kind and what it made. */
static bool
result_find(struct db *db, struct store_applied *a)
{
	const struct store_effect *effect = &a->data.effect;
	struct db_query *q = db_query(db,
	    "SELECT result FROM effect WHERE node = ? AND edge = ?"
	    " AND incarnation = ? AND num = ?");
	struct cursor c;
	const void *result;
	uint64_t made;
	size_t len;

	bind_origin(q, &effect->origin);
	db_bind_uint(q, effect->num);
	if (!db_row(q))
		return false;
	result = db_blob(q, 0, &len);
	cursor_init(&c, result, len);
	cursor_u64(&c);
	a->event.again = true;
	a->event.code = (int32_t)cursor_u32(&c);
	/* Who sends it again may see it otherwise: only like ops compare. */
	for (size_t i = 0; i < effect->count && cursor_left(&c) != 0; i++) {
		bool like = cursor_u8(&c) == effect->ops[i].op;

		made = cursor_u64(&c);
		if (like)
			show(a, i, made);
	}
	db_end(q);
	return true;
}

static void
result_keep(struct db *db, const struct store_applied *a, int code)
{
	const struct store_effect *effect = &a->data.effect;
	struct db_query *q =
	    db_query(db, "INSERT INTO effect VALUES (?, ?, ?, ?, ?)");
	struct buf result = { 0 };

	buf_add_u64(&result, effect->note);
	buf_add_u32(&result, (uint32_t)code);
	for (size_t i = 0; i < effect->count; i++) {
		const struct store_op *op = &effect->ops[i];

		buf_add_u8(&result, op->op);
		buf_add_u64(
		    &result, makes_version(op) ? op->item.version : a->rows[i]);
	}
	bind_origin(q, &effect->origin);
	db_bind_uint(q, effect->num);
	db_bind_blob(q, result.data, result.len);
	db_run(q);
	buf_clear(&result);
}

/* The event shows the ops, and what they make. */
static void
show_ops(struct store_applied *a)
{
	struct store_effect *effect = &a->data.effect;

	if (effect->count != 0)
		a->rows = xcalloc(effect->count, sizeof(*a->rows));
	a->event.effect = effect;
	a->event.rows = a->rows;
	a->event.row_count = effect->count;
}

/* Returns what is wrong with the last one that could not be. */
static int
apply_ops(struct db *db, struct store_applied *a)
{
	int code = RES_OK, rc;

	for (size_t i = 0; i < a->data.effect.count; i++) {
		struct store_op *op = &a->data.effect.ops[i];
		uint64_t made = 0;

		if (op->op == EFFECT_DONE)
			continue;
		rc = RES_NOT_FOUND;
		if (op_account_exists(db, op)) {
			rc = apply_op(db, op, &made);
			show(a, i, made);
		}
		if (rc != RES_OK)
			code = rc;
	}
	return code;
}

int
store_apply_items(struct db *db, struct store_applied *a)
{
	show_ops(a);
	return apply_ops(db, a);
}

int
store_apply_effect(struct db *db, struct store_applied *a)
{
	const struct store_effect *effect = &a->data.effect;
	int code;

	show_ops(a);
	if (result_find(db, a))
		return a->event.code;
	code = apply_ops(db, a);
	result_keep(db, a, code);
	forget_below(db, &effect->origin, effect->low);
	return code;
}

int
store_apply_prune(struct db *db, struct store_applied *a)
{
	forget_below(db, &a->data.origin, a->data.low);
	return RES_OK;
}

int
store_apply_origin_end(struct db *db, struct store_applied *a)
{
	struct db_query *q = db_query(db,
	    "DELETE FROM effect WHERE node = ? AND edge = ?"
	    " AND incarnation = ?");

	bind_origin(q, &a->data.origin);
	db_run(q);
	return RES_OK;
}
