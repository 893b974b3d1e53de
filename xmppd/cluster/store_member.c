/*
 * The member table: a node is in it once, by address and by identity, at every
 * moment, and a Raft id is never given twice. What leaves the table leaves a
 * mark, from which the leader knows the voter that it has to take out.
 */
#include "xmppd/cluster/store_apply.h"

#include "xmppd/cluster/db.h"

static void
bind_identity(struct db_query *q, const uint8_t identity[16])
{
	db_bind_blob(q, identity, 16);
}

/* Whether a Raft id belongs, or belonged, to another than this identity. */
static bool
raft_id_taken(struct db *db, const struct store_member *m)
{
	struct db_query *q =
	    db_query(db, "SELECT 1 FROM leaving WHERE raft_id = ?");

	db_bind_int(q, m->raft_id);
	if (db_exists(q))
		return true;
	q = db_query(
	    db, "SELECT 1 FROM member WHERE raft_id = ? AND identity <> ?");
	db_bind_int(q, m->raft_id);
	bind_identity(q, m->identity);
	return db_exists(q);
}

static void
insert_member(struct db *db, const struct store_member *m)
{
	struct db_query *q =
	    db_query(db, "INSERT INTO member VALUES (?, ?, ?, ?, ?, ?)");

	bind_identity(q, m->identity);
	db_bind_int(q, m->raft_id);
	db_bind_text(q, m->host);
	db_bind_text(q, m->address);
	db_bind_blob(q, m->key, sizeof(m->key));
	db_bind_uint(q, m->boot);
	db_run(q);
	/* One that was chosen elsewhere counts as handed out. */
	q = db_query(db,
	    "INSERT INTO counter VALUES (?, ?)"
	    " ON CONFLICT DO UPDATE SET value = max(value, excluded.value)");
	db_bind_int(q, COUNTER_RAFT_ID);
	db_bind_int(q, m->raft_id);
	db_run(q);
}

int
store_apply_member_put(struct db *db, struct store_applied *a)
{
	const struct store_member *m = &a->data.member;
	struct db_query *q = db_query(
	    db, "SELECT 1 FROM member WHERE identity = ? OR address = ?");

	bind_identity(q, m->identity);
	db_bind_text(q, m->address);
	if (db_exists(q) || raft_id_taken(db, m))
		return RES_EXISTS;
	insert_member(db, m);
	return RES_OK;
}

int
store_apply_member_swap(struct db *db, struct store_applied *a)
{
	const struct store_member *m = &a->data.member;
	struct db_query *q;

	if (raft_id_taken(db, m))
		return RES_EXISTS;
	q = db_query(db,
	    "INSERT OR IGNORE INTO leaving SELECT raft_id FROM member"
	    " WHERE (identity = ? OR address = ?) AND raft_id <> ?");
	bind_identity(q, m->identity);
	db_bind_text(q, m->address);
	db_bind_int(q, m->raft_id);
	db_run(q);
	q = db_query(
	    db, "DELETE FROM member WHERE identity = ? OR address = ?");
	bind_identity(q, m->identity);
	db_bind_text(q, m->address);
	db_run(q);
	insert_member(db, m);
	return RES_OK;
}

int
store_apply_member_del(struct db *db, struct store_applied *a)
{
	const uint8_t *identity = a->data.member.identity;
	struct db_query *q = db_query(db,
	    "INSERT OR IGNORE INTO leaving"
	    " SELECT raft_id FROM member WHERE identity = ?");

	bind_identity(q, identity);
	db_run(q);
	q = db_query(db, "DELETE FROM member WHERE identity = ?");
	bind_identity(q, identity);
	return db_run(q) == 0 ? RES_NOT_FOUND : RES_OK;
}

int
store_apply_member_boot(struct db *db, struct store_applied *a)
{
	const struct store_member *m = &a->data.member;
	struct db_query *q =
	    db_query(db, "SELECT 1 FROM member WHERE identity = ?");

	bind_identity(q, m->identity);
	if (!db_exists(q))
		return RES_NOT_FOUND;
	q = db_query(db,
	    "UPDATE member SET boot = ?1 WHERE identity = ?2 AND boot < ?1");
	db_bind_uint(q, m->boot);
	bind_identity(q, m->identity);
	return db_run(q) == 0 ? RES_DIFFERS : RES_OK;
}

int
store_apply_raft_id_gone(struct db *db, struct store_applied *a)
{
	struct db_query *q =
	    db_query(db, "DELETE FROM leaving WHERE raft_id = ?");

	db_bind_int(q, a->data.raft_id);
	return db_run(q) == 0 ? RES_NOT_FOUND : RES_OK;
}

int
store_apply_next_raft_id(struct db *db, struct store_applied *a)
{
	a->event.id = store_count_up(db, COUNTER_RAFT_ID);
	return RES_OK;
}

void
store_apply_members_but(struct db *db, const uint8_t identity[16])
{
	struct db_query *q = db_query(db,
	    "INSERT OR IGNORE INTO leaving"
	    " SELECT raft_id FROM member WHERE identity <> ?");

	bind_identity(q, identity);
	db_run(q);
	q = db_query(db, "DELETE FROM member WHERE identity <> ?");
	bind_identity(q, identity);
	db_run(q);
}
