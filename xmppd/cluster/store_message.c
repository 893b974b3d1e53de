/*
 * Stored messages: rows that wait for a user, and how many bytes they take,
 * counted along the way.
 */
#include <stdlib.h>

#include "common/limits.h"
#include "xmppd/cluster/db.h"
#include "xmppd/cluster/store_apply.h"

/* What a message takes beside its bytes. */
#define OVERHEAD 64

static int64_t
use_of(struct db *db, const char *local)
{
	struct db_query *q =
	    db_query(db, "SELECT bytes FROM message_use WHERE local = ?");

	db_bind_text(q, local);
	return db_only_int(q);
}

static void
use_add(struct db *db, const char *local, int64_t count, int64_t bytes)
{
	struct db_query *q = db_query(db,
	    "INSERT INTO message_use VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
	    " SET count = count + excluded.count,"
	    " bytes = bytes + excluded.bytes");

	db_bind_text(q, local);
	db_bind_int(q, count);
	db_bind_int(q, bytes);
	db_run(q);
}

uint64_t
store_add_row(
    struct db *db, const char *local, int64_t time, const struct buf *stanza)
{
	uint64_t id = store_count_up(db, COUNTER_ROW);
	struct db_query *q =
	    db_query(db, "INSERT INTO message VALUES (?, ?, ?, ?)");

	db_bind_uint(q, id);
	db_bind_text(q, local);
	db_bind_int(q, time);
	db_bind_blob(q, stanza->data, stanza->len);
	db_run(q);
	use_add(db, local, 1, (int64_t)stanza->len + OVERHEAD);
	return id;
}

int
store_apply_message(struct db *db, const struct store_op *op, uint64_t *made)
{
	int64_t size = (int64_t)op->stanza.len + OVERHEAD;

	if (use_of(db, op->user) + size >
	    store_limit(db, SHARED_OFFLINE_LIMIT, LIMIT_OFFLINE))
		return RES_LIMIT;
	*made = store_add_row(db, op->user, op->time, &op->stanza);
	return RES_OK;
}

/* All of a user's. */
void
store_delete_rows(struct db *db, const char *local)
{
	static const char *const deletions[] = {
		"DELETE FROM message WHERE local = ?",
		"DELETE FROM message_use WHERE local = ?",
	};
	struct db_query *q;

	for (size_t i = 0; i < 2; i++) {
		q = db_query(db, deletions[i]);
		db_bind_text(q, local);
		db_run(q);
	}
}

static void
row_del(struct db *db, uint64_t row)
{
	struct db_query *q = db_query(db,
	    "DELETE FROM message WHERE id = ?"
	    " RETURNING local, length(stanza)");
	int64_t size = 0;
	char *local = NULL;

	db_bind_uint(q, row);
	while (db_row(q)) {
		free(local);
		local = db_dup_text(q, 0);
		size = db_int(q, 1) + OVERHEAD;
	}
	if (local == NULL)
		return;
	use_add(db, local, -1, -size);
	q = db_query(
	    db, "DELETE FROM message_use WHERE local = ? AND count = 0");
	db_bind_text(q, local);
	db_run(q);
	free(local);
}

int
store_apply_rows_del(struct db *db, struct store_applied *a)
{
	for (size_t i = 0; i < a->data.row_count; i++)
		row_del(db, a->data.rows[i]);
	a->event.rows = a->data.rows;
	a->event.row_count = a->data.row_count;
	return RES_OK;
}
