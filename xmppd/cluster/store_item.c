/*
 * Items: what commands do to them. Each account's bytes are counted along the
 * way, so that a quota costs one look.
 */
#include "xmppd/cluster/store_apply.h"

#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/cluster/db.h"

/* What an item takes beside its texts and its value. */
#define ITEM_OVERHEAD 64

static int64_t
item_size(const struct store_op *op)
{
	return (int64_t)(ITEM_OVERHEAD + strlen(op->node) + strlen(op->id) +
	    op->stanza.len);
}

static int64_t
bytes_used(struct db *db, const char *local)
{
	struct db_query *q =
	    db_query(db, "SELECT bytes FROM item_use WHERE local = ?");

	db_bind_text(q, local);
	return db_only_int(q);
}

static void
bytes_add(struct db *db, const char *local, int64_t bytes)
{
	struct db_query *q = db_query(db,
	    "INSERT INTO item_use VALUES (?, ?)"
	    " ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes");

	db_bind_text(q, local);
	db_bind_int(q, bytes);
	db_run(q);
}

static void
bind_node(struct db_query *q, const struct store_op *op)
{
	db_bind_text(q, op->user);
	db_bind_int(q, op->space);
	db_bind_text(q, op->node);
}

static int64_t
old_size(struct db *db, const struct store_op *op)
{
	struct db_query *q = db_query(db,
	    "SELECT size FROM item"
	    " WHERE local = ? AND space = ? AND node = ? AND id = ?");

	bind_node(q, op);
	db_bind_text(q, op->id);
	return db_only_int(q);
}

/* Takes out all but the newest; returns their size. */
static int64_t
drop_oldest(struct db *db, const struct store_op *op)
{
	struct db_query *q = db_query(db,
	    "SELECT seq FROM item WHERE local = ? AND space = ? AND node = ?"
	    " ORDER BY seq DESC LIMIT 1 OFFSET ?");
	int64_t last, size;

	bind_node(q, op);
	db_bind_int(q, op->keep);
	last = db_only_int(q);
	if (last == 0)
		return 0;
	q = db_query(db,
	    "SELECT sum(size) FROM item"
	    " WHERE local = ? AND space = ? AND node = ? AND seq <= ?");
	bind_node(q, op);
	db_bind_int(q, last);
	size = db_only_int(q);
	q = db_query(db,
	    "DELETE FROM item"
	    " WHERE local = ? AND space = ? AND node = ? AND seq <= ?");
	bind_node(q, op);
	db_bind_int(q, last);
	db_run(q);
	return size;
}

int
store_apply_item_put(struct db *db, const struct store_op *op, uint64_t *made)
{
	int64_t size = item_size(op), more = size - old_size(db, op);
	struct db_query *q;

	if (op->quota != 0 && more > 0 &&
	    bytes_used(db, op->user) + more > (int64_t)op->quota)
		return RES_LIMIT;
	*made = store_count_up(db, COUNTER_ITEM);
	q = db_query(db,
	    "INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
	bind_node(q, op);
	db_bind_text(q, op->id);
	db_bind_uint(q, *made);
	db_bind_int(q, op->time);
	db_bind_text(q, op->by);
	db_bind_blob(q, op->stanza.data, op->stanza.len);
	db_bind_int(q, size);
	db_run(q);
	if (op->keep != 0)
		more -= drop_oldest(db, op);
	bytes_add(db, op->user, more);
	return RES_OK;
}

/* One item, a node, or a space: NULL stands for all. The index is used as far
 * as what is named goes. */
static struct db_query *
query_some(
    struct db *db, const char *const by_depth[3], const struct store_op *op)
{
	int depth = (op->node != NULL) + (op->id != NULL);
	struct db_query *q = db_query(db, by_depth[depth]);

	db_bind_text(q, op->user);
	db_bind_int(q, op->space);
	if (depth > 0)
		db_bind_text(q, op->node);
	if (depth > 1)
		db_bind_text(q, op->id);
	return q;
}

#define OF_SPACE " FROM item WHERE local = ? AND space = ?"
#define OF_NODE OF_SPACE " AND node = ?"
#define OF_ITEM OF_NODE " AND id = ?"

int
store_apply_item_del(struct db *db, const struct store_op *op, uint64_t *made)
{
	static const char *const sums[] = { "SELECT sum(size)" OF_SPACE,
		"SELECT sum(size)" OF_NODE, "SELECT sum(size)" OF_ITEM };
	static const char *const deletions[] = { "DELETE" OF_SPACE,
		"DELETE" OF_NODE, "DELETE" OF_ITEM };
	int64_t size = db_only_int(query_some(db, sums, op));

	*made = 0;
	if (db_run(query_some(db, deletions, op)) == 0)
		return RES_OK;
	*made = store_count_up(db, COUNTER_ITEM);
	bytes_add(db, op->user, -size);
	return RES_OK;
}

void
store_apply_role_del(struct db *db, const char *local)
{
	char server[] = "", node[] = "admin", *id = xstrdup(local);
	struct store_op op = {
		.user = server, .space = SPACE_ROLE, .node = node, .id = id
	};
	uint64_t made;

	store_apply_item_del(db, &op, &made);
	free(id);
}
