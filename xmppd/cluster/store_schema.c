/*
 * The tables of state.db, and which files are accepted as one.
 */
#include "xmppd/cluster/store_apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xmppd/cluster/db.h"

/* "mmps": what file(1) and we know a state.db by. */
#define APPLICATION_ID 0x6d6d7073

/* Unsigned 64-bit values are kept bit by bit in SQLite's signed integers;
 * those that are compared by size never come near 2^63. */
/* Each version as what it added to the one before. */
static const char *const schema[] = {
	"CREATE TABLE counter (which INTEGER PRIMARY KEY, value INTEGER NOT "
	"NULL);"
	"CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE account (local TEXT PRIMARY KEY, keys BLOB NOT NULL,"
	" version INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE roster (local TEXT, contact TEXT, name TEXT, groups TEXT,"
	" to_ INTEGER NOT NULL, from_ INTEGER NOT NULL, ask INTEGER NOT NULL,"
	" pending_in INTEGER NOT NULL, approved INTEGER NOT NULL,"
	" visible INTEGER NOT NULL, version INTEGER NOT NULL, request TEXT,"
	" PRIMARY KEY (local, contact)) WITHOUT ROWID;"
	/* Names of components are compared without case. */
	"CREATE TABLE component (place INTEGER PRIMARY KEY,"
	" name TEXT NOT NULL COLLATE NOCASE UNIQUE, secret TEXT NOT NULL);"
	"CREATE TABLE message (id INTEGER PRIMARY KEY, local TEXT NOT NULL,"
	" time INTEGER NOT NULL, stanza BLOB NOT NULL);"
	"CREATE INDEX message_local ON message (local, id);"
	"CREATE TABLE effect (node INTEGER, edge INTEGER, incarnation INTEGER,"
	" num INTEGER, result BLOB NOT NULL,"
	" PRIMARY KEY (node, edge, incarnation, num)) WITHOUT ROWID;"
	"CREATE TABLE result (place INTEGER PRIMARY KEY, proposer INTEGER NOT "
	"NULL,"
	" seq INTEGER NOT NULL, code INTEGER NOT NULL, id INTEGER NOT NULL,"
	" UNIQUE (proposer, seq));"
	"CREATE TABLE member (identity BLOB PRIMARY KEY, raft_id INTEGER NOT "
	"NULL"
	" UNIQUE, host TEXT NOT NULL, address TEXT NOT NULL UNIQUE,"
	" key BLOB NOT NULL, boot INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE leaving (raft_id INTEGER PRIMARY KEY);"
	"PRAGMA application_id = 1835888755;",

	"CREATE TABLE item (local TEXT, space INTEGER, node TEXT, id TEXT,"
	" seq INTEGER NOT NULL, time INTEGER NOT NULL, by TEXT,"
	" value BLOB NOT NULL, size INTEGER NOT NULL,"
	" PRIMARY KEY (local, space, node, id)) WITHOUT ROWID;"
	"CREATE UNIQUE INDEX item_seq ON item (local, space, node, seq);"
	"CREATE TABLE item_use (local TEXT PRIMARY KEY, bytes INTEGER NOT NULL)"
	" WITHOUT ROWID;",

	/* id: with its name what an account is known by, also later on. */
	"ALTER TABLE account ADD COLUMN id INTEGER NOT NULL DEFAULT 1;"
	/* host: of a contact that is not of a domain that is served here. */
	"ALTER TABLE roster ADD COLUMN host TEXT;"
	"UPDATE roster SET host = substr(contact, instr(contact, '@') + 1)"
	" WHERE substr(contact, instr(contact, '@') + 1) NOT IN"
	" (SELECT value FROM setting WHERE name = 'domain' UNION"
	" SELECT substr(name, 8) FROM setting WHERE name LIKE 'domain/%');"
	"CREATE INDEX roster_host ON roster (host, local, contact)"
	" WHERE host IS NOT NULL;"
	/* Items that went out of a roster, as far as pushes may be due. */
	"CREATE TABLE removed (local TEXT, contact TEXT,"
	" version INTEGER NOT NULL, PRIMARY KEY (local, contact))"
	" WITHOUT ROWID;"
	"CREATE INDEX removed_version ON removed (version);"
	/* Whom a deleted account shared presence with, while that is due. */
	"CREATE TABLE former (local TEXT, account INTEGER, contact TEXT,"
	" to_ INTEGER NOT NULL, from_ INTEGER NOT NULL, ask INTEGER NOT NULL,"
	" pending_in INTEGER NOT NULL,"
	" PRIMARY KEY (local, account, contact)) WITHOUT ROWID;",

	"CREATE TABLE message_use (local TEXT PRIMARY KEY,"
	" count INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO message_use SELECT local, count(*),"
	" sum(length(stanza) + 64) FROM message GROUP BY local;"
	/* The place has the archive's id in its upper bits. */
	"CREATE TABLE archive (place INTEGER PRIMARY KEY,"
	" archive INTEGER NOT NULL, uid BLOB NOT NULL, peer TEXT NOT NULL,"
	" resource TEXT, time INTEGER NOT NULL, stanza BLOB NOT NULL);"
	"CREATE UNIQUE INDEX archive_uid ON archive (archive, uid);"
	"CREATE INDEX archive_peer ON archive (archive, peer);"
	"CREATE TABLE archive_of (local TEXT PRIMARY KEY,"
	" id INTEGER NOT NULL UNIQUE, first INTEGER NOT NULL,"
	" next INTEGER NOT NULL, bytes INTEGER NOT NULL, oldest INTEGER,"
	" newest INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX archive_oldest ON archive_of (oldest)"
	" WHERE oldest IS NOT NULL;"
	"CREATE TABLE archive_gone (id INTEGER PRIMARY KEY);",
	/* Accounts with a key for SCRAM-SHA-1 only. */
	"CREATE TABLE sha1_only (local TEXT PRIMARY KEY) WITHOUT ROWID;",
};

#define SCHEMA_VERSION ((int)(sizeof(schema) / sizeof(schema[0])))

_Static_assert(APPLICATION_ID == 1835888755, "as the schema has it");

static int
check_ours(int64_t id, int64_t version, const char *path, struct error *e)
{
	if (id != APPLICATION_ID)
		return error_set(e, RES_STATE,
		    "%s: not a store of this program: move it away", path);
	if (version > SCHEMA_VERSION)
		return error_set(e, RES_STATE,
		    "%s: written by a newer version (%d, this one knows %d): "
		    "install that version again",
		    path, (int)version, SCHEMA_VERSION);
	return RES_OK;
}

static int
failure(struct db *db, struct error *e)
{
	if (!db_failed(db))
		return RES_OK;
	return error_set(e, RES_IO, "%s", db_why(db));
}

void
store_schema_upgrade(struct db *db)
{
	int64_t version = db_only_int(db_query(db, "PRAGMA user_version"));
	char sql[40];

	if (version < 0 || version >= SCHEMA_VERSION)
		return;
	for (; version < SCHEMA_VERSION; version++)
		db_exec(db, schema[version]);
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", SCHEMA_VERSION);
	db_exec(db, sql);
}

int
store_schema_open(struct db *db, const char *path, struct error *e)
{
	int64_t id, version;

	/* One transaction, so that a crash leaves an empty file or all. */
	db_exec(db, "BEGIN IMMEDIATE");
	id = db_only_int(db_query(db, "PRAGMA application_id"));
	version = db_only_int(db_query(db, "PRAGMA user_version"));
	if (id == 0 && version == 0 &&
	    !db_exists(db_query(db, "SELECT 1 FROM sqlite_schema")))
		id = APPLICATION_ID;
	if (id == APPLICATION_ID)
		store_schema_upgrade(db);
	db_exec(db, "COMMIT");
	if (db_failed(db))
		return failure(db, e);
	return check_ours(id, version, path, e);
}

int
store_schema_check(struct db *db, const char *path, struct error *e)
{
	struct db_query *q;
	char *said = NULL;
	int rc = check_ours(db_only_int(db_query(db, "PRAGMA application_id")),
	    db_only_int(db_query(db, "PRAGMA user_version")), path, e);

	if (rc != RES_OK)
		return db_failed(db) ? failure(db, e) : rc;
	q = db_query(db, "PRAGMA integrity_check(1)");
	if (db_row(q))
		said = db_dup_text(q, 0);
	db_end(q);
	if (said != NULL && strcmp(said, "ok") != 0)
		rc = error_set(e, RES_INVALID, "%s: damaged: %s", path, said);
	free(said);
	return db_failed(db) ? failure(db, e) : rc;
}

uint64_t
store_index(struct db *db)
{
	struct db_query *q =
	    db_query(db, "SELECT value FROM counter WHERE which = ?");

	db_bind_int(q, COUNTER_INDEX);
	return (uint64_t)db_only_int(q);
}

void
store_set_index(struct db *db, uint64_t index)
{
	struct db_query *q =
	    db_query(db, "INSERT OR REPLACE INTO counter VALUES (?, ?)");

	db_bind_int(q, COUNTER_INDEX);
	db_bind_uint(q, index);
	db_run(q);
}

uint64_t
store_count_up(struct db *db, enum store_counter which)
{
	struct db_query *q = db_query(db,
	    "INSERT INTO counter VALUES (?, 1)"
	    " ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value");

	db_bind_int(q, (int64_t)which);
	return (uint64_t)db_only_int(q);
}
