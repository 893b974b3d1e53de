/*
 * Raft's durable state in one SQLite file. Everything is synchronous and on
 * the caller's thread, on purpose: an append that returns is on the disk, so
 * the library never acknowledges, or counts for a majority, what is not
 * (reference/dependencies 1.3, traps 5 and 6).
 */
#include "xmppd/cluster/raft_store.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xmalloc.h"

/* A write that takes longer than this is worth a line. */
#define SLOW_MS 150

enum statement {
	ST_BEGIN,
	ST_COMMIT,
	ST_SET_TERM,
	ST_SET_VOTE,
	ST_APPEND,
	ST_TRUNCATE,
	ST_COMPACT,
	ST_MARK,
	ST_MARKER,
	ST_META,
	ST_RANGE,
	ST_EACH,
	ST_NEWEST,
	STATEMENTS
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS meta(one INTEGER PRIMARY KEY CHECK (one = 1),"
    " version INTEGER NOT NULL, term INTEGER NOT NULL, vote INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS log(idx INTEGER PRIMARY KEY,"
    " term INTEGER NOT NULL, type INTEGER NOT NULL, data BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS marker("
    " one INTEGER PRIMARY KEY CHECK (one = 1), idx INTEGER NOT NULL,"
    " term INTEGER NOT NULL, conf_idx INTEGER NOT NULL, conf BLOB NOT NULL,"
    " data BLOB NOT NULL);"
    "INSERT OR IGNORE INTO meta VALUES(1, 1, 0, 0);";

static const char *const texts[STATEMENTS] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_SET_TERM] = "UPDATE meta SET term = ?1, vote = 0",
	[ST_SET_VOTE] = "UPDATE meta SET vote = ?1",
	[ST_APPEND] = "INSERT INTO log VALUES(?1, ?2, ?3, ?4)",
	[ST_TRUNCATE] = "DELETE FROM log WHERE idx >= ?1",
	[ST_COMPACT] = "DELETE FROM log WHERE idx <= ?1",
	[ST_MARK] = "REPLACE INTO marker VALUES(1, ?1, ?2, ?3, ?4, ?5)",
	[ST_MARKER] = "SELECT idx, term, conf_idx, conf, data FROM marker",
	[ST_META] = "SELECT term, vote, version FROM meta",
	[ST_RANGE] = "SELECT min(idx), max(idx), count(*) FROM log",
	[ST_EACH] = "SELECT idx, term, type, data FROM log WHERE idx >= ?1"
		    " ORDER BY idx",
	[ST_NEWEST] = "SELECT idx, data FROM log WHERE type = ?1 AND idx < ?2"
		      " ORDER BY idx DESC LIMIT 1",
};

struct raft_store {
	sqlite3 *db;
	sqlite3_stmt *st[STATEMENTS];
	raft_store_failed failed_cb;
	void *arg;
	bool failed;
	uint64_t began; /* clock_ms() of the transaction */
	uint64_t term, vote;
	uint64_t first, last; /* of the log; first is last + 1 if it is empty */
};

/* The one place where a storage error ends: no write is tried again. */
static int
raft_store_fail(struct raft_store *s, const char *what)
{
	char why[256];

	if (s->failed)
		return RES_IO;
	s->failed = true;
	snprintf(
	    why, sizeof(why), "raft.db: %s: %s", what, sqlite3_errmsg(s->db));
	log_err("raft: %s", why);
	if (s->failed_cb != NULL)
		s->failed_cb(s->arg, why);
	return RES_IO;
}

static void
bind_u64(sqlite3_stmt *st, int at, uint64_t v)
{
	sqlite3_bind_int64(st, at, (sqlite3_int64)v);
}

/* An empty blob is not a NULL. */
static void
bind_blob(sqlite3_stmt *st, int at, const void *data, size_t len)
{
	if (len == 0)
		sqlite3_bind_zeroblob(st, at, 0);
	else
		sqlite3_bind_blob64(st, at, data, len, SQLITE_STATIC);
}

static uint64_t
column_u64(sqlite3_stmt *st, int at)
{
	return (uint64_t)sqlite3_column_int64(st, at);
}

static void
column_blob(sqlite3_stmt *st, int at, struct buf *out)
{
	buf_add(out, sqlite3_column_blob(st, at),
	    (size_t)sqlite3_column_bytes(st, at));
}

/* Runs a statement that gives no row. */
static int
run(struct raft_store *s, enum statement which)
{
	sqlite3_stmt *st = s->st[which];
	int rc = sqlite3_step(st);

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc == SQLITE_DONE ? RES_OK : raft_store_fail(s, texts[which]);
}

static int
begin(struct raft_store *s)
{
	if (s->failed)
		return RES_IO;
	s->began = clock_ms();
	return run(s, ST_BEGIN);
}

static int
commit(struct raft_store *s)
{
	int rc = run(s, ST_COMMIT);
	uint64_t took = clock_ms() - s->began;

	if (took >= SLOW_MS)
		log_warn("raft: the disk took %llu ms for a write of the log",
		    (unsigned long long)took);
	return rc;
}

static int
setup(struct raft_store *s, const char *dir)
{
	static const char pragmas[] =
	    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
	    "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 8388608;";
	int fd;

	if (sqlite3_exec(s->db, pragmas, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(s->db, schema, NULL, NULL, NULL) != SQLITE_OK)
		return RES_IO;
	for (int i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(s->db, texts[i], -1,
			SQLITE_PREPARE_PERSISTENT, &s->st[i],
			NULL) != SQLITE_OK)
			return RES_IO;
	/* The names of the new files have to last as well. */
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	return RES_OK;
}

/* Reads what is there; the log must be one run that reaches the marker. */
static int
load(struct raft_store *s, struct error *e)
{
	struct raft_store_marker m = { 0 };
	sqlite3_stmt *st = s->st[ST_META];
	uint64_t count = 0;

	if (sqlite3_step(st) == SQLITE_ROW) {
		s->term = column_u64(st, 0);
		s->vote = column_u64(st, 1);
		if (sqlite3_column_int(st, 2) != 1)
			error_set(e, RES_IO, "raft.db is of another version");
	}
	sqlite3_reset(st);
	st = s->st[ST_RANGE];
	if (sqlite3_step(st) == SQLITE_ROW) {
		s->first = column_u64(st, 0);
		s->last = column_u64(st, 1);
		count = column_u64(st, 2);
	}
	sqlite3_reset(st);
	if (e->code != RES_OK)
		return e->code;
	if (raft_store_get_marker(s, &m) != RES_OK)
		return error_set(
		    e, RES_IO, "raft.db: %s", sqlite3_errmsg(s->db));
	if (count == 0) {
		s->last = m.index;
		s->first = m.index + 1;
	} else if (s->last - s->first + 1 != count || s->first == 0 ||
	    s->first > m.index + 1 || s->last < m.index) {
		error_set(e, RES_IO,
		    "raft.db: the log has a gap (%llu to %llu, snapshot %llu)",
		    (unsigned long long)s->first, (unsigned long long)s->last,
		    (unsigned long long)m.index);
	}
	raft_store_marker_clear(&m);
	return e->code;
}

struct raft_store *
raft_store_open(
    const char *dir, raft_store_failed failed, void *arg, struct error *e)
{
	struct raft_store *s = xcalloc(1, sizeof(*s));
	struct error local;
	char *path;
	int rc;

	if (e == NULL)
		e = &local;
	e->code = RES_OK;
	xasprintf(&path, "%s/raft.db", dir);
	rc = sqlite3_open_v2(path, &s->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
	    NULL);
	if (rc != SQLITE_OK || setup(s, dir) != RES_OK)
		error_set(e, RES_IO, "%s: %s", path, sqlite3_errmsg(s->db));
	else
		load(s, e);
	free(path);
	if (e->code != RES_OK) {
		raft_store_close(s);
		return NULL;
	}
	s->failed_cb = failed;
	s->arg = arg;
	return s;
}

void
raft_store_close(struct raft_store *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->st[i]);
	sqlite3_close(s->db);
	free(s);
}

uint64_t
raft_store_term(const struct raft_store *s)
{
	return s->term;
}

uint64_t
raft_store_vote(const struct raft_store *s)
{
	return s->vote;
}

uint64_t
raft_store_first(const struct raft_store *s)
{
	return s->first;
}

uint64_t
raft_store_last(const struct raft_store *s)
{
	return s->last;
}

int
raft_store_set_term(struct raft_store *s, uint64_t term)
{
	int rc = begin(s);

	if (rc == RES_OK) {
		bind_u64(s->st[ST_SET_TERM], 1, term);
		rc = run(s, ST_SET_TERM);
	}
	if (rc == RES_OK)
		rc = commit(s);
	if (rc == RES_OK) {
		s->term = term;
		s->vote = 0;
	}
	return rc;
}

int
raft_store_set_vote(struct raft_store *s, uint64_t id)
{
	int rc = begin(s);

	if (rc == RES_OK) {
		bind_u64(s->st[ST_SET_VOTE], 1, id);
		rc = run(s, ST_SET_VOTE);
	}
	if (rc == RES_OK)
		rc = commit(s);
	if (rc == RES_OK)
		s->vote = id;
	return rc;
}

int
raft_store_append(
    struct raft_store *s, const struct raft_store_entry *entries, size_t count)
{
	sqlite3_stmt *st = s->st[ST_APPEND];
	int rc = begin(s);

	for (size_t i = 0; rc == RES_OK && i < count; i++) {
		bind_u64(st, 1, s->last + 1 + i);
		bind_u64(st, 2, entries[i].term);
		bind_u64(st, 3, entries[i].type);
		bind_blob(st, 4, entries[i].data, entries[i].len);
		rc = run(s, ST_APPEND);
	}
	if (rc == RES_OK)
		rc = commit(s);
	if (rc == RES_OK)
		s->last += count;
	return rc;
}

int
raft_store_truncate(struct raft_store *s, uint64_t index)
{
	int rc = begin(s);

	if (rc == RES_OK) {
		bind_u64(s->st[ST_TRUNCATE], 1, index);
		rc = run(s, ST_TRUNCATE);
	}
	if (rc == RES_OK)
		rc = commit(s);
	if (rc == RES_OK && index <= s->last) {
		s->last = index - 1;
		if (s->first > index)
			s->first = index;
	}
	return rc;
}

/* Drops the log's beginning, up to and with `upto`. */
static int
compact(struct raft_store *s, uint64_t upto)
{
	bind_u64(s->st[ST_COMPACT], 1, upto);
	return run(s, ST_COMPACT);
}

int
raft_store_put_marker(
    struct raft_store *s, const struct raft_store_marker *m, uint64_t trailing)
{
	sqlite3_stmt *st = s->st[ST_MARK];
	uint64_t upto = m->index > trailing ? m->index - trailing : 0;
	bool whole = trailing == 0;
	int rc = begin(s);

	if (rc == RES_OK) {
		bind_u64(st, 1, m->index);
		bind_u64(st, 2, m->term);
		bind_u64(st, 3, m->conf_index);
		bind_blob(st, 4, m->conf.data, m->conf.len);
		bind_blob(st, 5, m->data.data, m->data.len);
		rc = run(s, ST_MARK);
	}
	if (rc == RES_OK)
		rc = compact(s, whole ? (uint64_t)INT64_MAX : upto);
	if (rc == RES_OK)
		rc = commit(s);
	if (rc != RES_OK)
		return rc;
	if (whole) {
		s->last = m->index;
		s->first = m->index + 1;
	} else if (upto >= s->first) {
		s->first = upto + 1;
	}
	return RES_OK;
}

int
raft_store_get_marker(struct raft_store *s, struct raft_store_marker *out)
{
	sqlite3_stmt *st = s->st[ST_MARKER];
	int rc = sqlite3_step(st);

	*out = (struct raft_store_marker){ 0 };
	if (rc == SQLITE_ROW) {
		out->index = column_u64(st, 0);
		out->term = column_u64(st, 1);
		out->conf_index = column_u64(st, 2);
		column_blob(st, 3, &out->conf);
		column_blob(st, 4, &out->data);
	}
	sqlite3_reset(st);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return RES_OK;
	return raft_store_fail(s, "reading the snapshot's marker");
}

void
raft_store_marker_clear(struct raft_store_marker *m)
{
	buf_clear(&m->conf);
	buf_clear(&m->data);
	*m = (struct raft_store_marker){ 0 };
}

int
raft_store_each(
    struct raft_store *s, uint64_t from, raft_store_entry_fn fn, void *arg)
{
	sqlite3_stmt *st = s->st[ST_EACH];
	struct raft_store_entry entry;
	int rc = RES_OK, step;

	bind_u64(st, 1, from);
	while ((step = sqlite3_step(st)) == SQLITE_ROW && rc == RES_OK) {
		entry.term = column_u64(st, 1);
		entry.type = (uint16_t)sqlite3_column_int(st, 2);
		entry.data = sqlite3_column_blob(st, 3);
		entry.len = (size_t)sqlite3_column_bytes(st, 3);
		rc = fn(arg, column_u64(st, 0), &entry);
	}
	sqlite3_reset(st);
	if (rc == RES_OK && step != SQLITE_DONE)
		rc = raft_store_fail(s, "reading the log");
	return rc;
}

int
raft_store_newest(struct raft_store *s, uint16_t type, uint64_t before,
    uint64_t *index, struct buf *data)
{
	sqlite3_stmt *st = s->st[ST_NEWEST];
	int rc;

	*index = 0;
	bind_u64(st, 1, type);
	bind_u64(st, 2, before);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		*index = column_u64(st, 0);
		column_blob(st, 1, data);
	}
	sqlite3_reset(st);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return RES_OK;
	return raft_store_fail(s, "reading the log");
}
