/*
 * One connection to an SQLite file: queries by text, a sticky error with words
 * for an administrator, sync, copies.
 */
#include "xmppd/cluster/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "common/map.h"
#include "common/xmalloc.h"

#define BUSY_MS 5000

struct db_query {
	struct db *db;
	sqlite3_stmt *stmt; /* NULL: could not be compiled */
	char *sql;
	int bound;
};

struct db {
	sqlite3 *handle;
	char *path;
	struct map queries; /* by text */
	struct db_query none;
	struct error error;
};

struct db_backup {
	struct db copy;
	sqlite3_backup *run;
};

/* What an administrator reads, by SQLite's primary result code. */
static const struct {
	int code;
	const char *what;
} causes[] = {
	{ SQLITE_FULL, "the disk is full: free some space, then start again" },
	{ SQLITE_CORRUPT,
	    "the file is damaged: join the cluster anew, or "
	    "restore it from a backup" },
	{ SQLITE_NOTADB,
	    "the file is damaged: join the cluster anew, or "
	    "restore it from a backup" },
	{ SQLITE_READONLY, "no right to write: check owner and mode" },
	{ SQLITE_CANTOPEN,
	    "cannot be opened: check that the folder is there, "
	    "its owner and mode" },
	{ SQLITE_PERM, "no right to open it: check owner and mode" },
	{ SQLITE_BUSY, "in use by another process: stop that one first" },
};

static int
db_describe(const struct db *db, int rc, struct error *e)
{
	const char *what = NULL;
	int sys = sqlite3_system_errno(db->handle);

	if (sys == ENOSPC || sys == EDQUOT)
		rc = SQLITE_FULL;
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if (causes[i].code == (rc & 0xff))
			what = causes[i].what;
	if (what != NULL)
		return error_set(e, RES_IO, "%s: %s", db->path, what);
	if ((rc & 0xff) == SQLITE_IOERR)
		return error_set(e, RES_IO, "%s: %s: check the disk", db->path,
		    sys == 0 ? sqlite3_errstr(rc) : strerror(sys));
	return error_set(
	    e, RES_IO, "%s: %s (%d)", db->path, sqlite3_errmsg(db->handle), rc);
}

static void
db_fail(struct db *db, int rc)
{
	if (!db_failed(db))
		db_describe(db, rc, &db->error);
}

bool
db_failed(const struct db *db)
{
	return db->error.code != RES_OK;
}

const char *
db_why(const struct db *db)
{
	return db->error.text;
}

/*
 * SQLite gives the -wal and -shm files the mode of the database. Only before
 * the first connection: closing any descriptor of a file ends all locks that
 * this process has on it, and another process could take the WAL away.
 */
static int
db_create(const char *path, struct error *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int rc = RES_OK;

	if (fd == -1 || fchmod(fd, 0600) == -1)
		rc = error_set(e, RES_IO,
		    "%s: %s: check the folder, its owner "
		    "and mode",
		    path, strerror(errno));
	if (fd != -1)
		close(fd);
	return rc;
}

static void
db_attach(struct db *db, const char *path, int flags)
{
	int rc;

	db->path = xstrdup(path);
	db->none.db = db;
	rc = sqlite3_open_v2(path, &db->handle,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | flags, NULL);
	if (db->handle == NULL)
		error_set(&db->error, RES_IO, "%s: out of memory", path);
	else if (rc != SQLITE_OK)
		db_fail(db, rc);
	else
		sqlite3_busy_timeout(db->handle, BUSY_MS);
}

static void
db_detach(struct db *db)
{
	struct db_query *q;

	for (size_t at = 0; (q = map_next(&db->queries, &at)) != NULL;) {
		sqlite3_finalize(q->stmt);
		free(q->sql);
		free(q);
	}
	map_clear(&db->queries);
	sqlite3_close(db->handle);
	free(db->path);
}

static struct db *
db_open_with(
    const char *path, bool create, const char *pragmas, struct error *e)
{
	struct db *db = xcalloc(1, sizeof(*db));

	db_attach(db, path, create ? SQLITE_OPEN_CREATE : 0);
	db_exec(db, pragmas);
	if (!db_failed(db))
		return db;
	error_set(e, RES_IO, "%s", db_why(db));
	db_close(db);
	return NULL;
}

struct db *
db_open(const char *path, struct error *e)
{
	/* A page that is changed again and again is written to the file once
	 * in 16 MiB of the WAL; archives of many users are indexed all over. */
	if (db_create(path, e) != RES_OK)
		return NULL;
	return db_open_with(path, true,
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
	    "PRAGMA trusted_schema = OFF; PRAGMA secure_delete = FAST;"
	    "PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;"
	    "PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 4000",
	    e);
}

struct db *
db_open_reader(const char *path, struct error *e)
{
	return db_open_with(path, false,
	    "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;"
	    "PRAGMA temp_store = MEMORY",
	    e);
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	db_detach(db);
	free(db);
}

void
db_exec(struct db *db, const char *sql)
{
	int rc;

	if (db_failed(db))
		return;
	rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		db_fail(db, rc);
}

struct db_query *
db_query(struct db *db, const char *sql)
{
	struct db_query *q = map_find_str(&db->queries, sql);
	int rc;

	if (db_failed(db))
		return &db->none;
	if (q == NULL) {
		q = xcalloc(1, sizeof(*q));
		q->db = db;
		q->sql = xstrdup(sql);
		rc = sqlite3_prepare_v3(db->handle, sql, -1,
		    SQLITE_PREPARE_PERSISTENT, &q->stmt, NULL);
		if (rc != SQLITE_OK)
			db_fail(db, rc);
		map_put_str(&db->queries, q->sql, q);
	}
	db_end(q);
	return q;
}

static void
db_check(struct db_query *q, int rc)
{
	if (rc != SQLITE_OK)
		db_fail(q->db, rc);
}

void
db_bind_int(struct db_query *q, int64_t value)
{
	if (!db_failed(q->db))
		db_check(q, sqlite3_bind_int64(q->stmt, ++q->bound, value));
}

void
db_bind_uint(struct db_query *q, uint64_t value)
{
	db_bind_int(q, (int64_t)value);
}

void
db_bind_text(struct db_query *q, const char *text)
{
	if (!db_failed(q->db))
		db_check(q,
		    sqlite3_bind_text(
			q->stmt, ++q->bound, text, -1, SQLITE_STATIC));
}

void
db_bind_text_n(struct db_query *q, const char *text, size_t len)
{
	if (!db_failed(q->db))
		db_check(q,
		    sqlite3_bind_text(
			q->stmt, ++q->bound, text, (int)len, SQLITE_STATIC));
}

void
db_bind_blob(struct db_query *q, const void *data, size_t len)
{
	/* A NULL pointer would bind NULL, and no bytes are a value. */
	if (!db_failed(q->db))
		db_check(q,
		    sqlite3_bind_blob64(q->stmt, ++q->bound,
			len == 0 ? "" : data, len, SQLITE_STATIC));
}

bool
db_row(struct db_query *q)
{
	int rc;

	if (db_failed(q->db))
		return false;
	rc = sqlite3_step(q->stmt);
	if (rc == SQLITE_ROW)
		return true;
	if (rc != SQLITE_DONE)
		db_fail(q->db, rc);
	db_end(q);
	return false;
}

void
db_end(struct db_query *q)
{
	if (q->stmt == NULL)
		return;
	/* The error, if any, was the step's. */
	sqlite3_reset(q->stmt);
	sqlite3_clear_bindings(q->stmt);
	q->bound = 0;
}

size_t
db_run(struct db_query *q)
{
	while (db_row(q))
		;
	return db_failed(q->db) ? 0 : (size_t)sqlite3_changes(q->db->handle);
}

int
db_columns(const struct db_query *q)
{
	return sqlite3_column_count(q->stmt);
}

enum db_type
db_type(const struct db_query *q, int column)
{
	switch (sqlite3_column_type(q->stmt, column)) {
	case SQLITE_INTEGER:
		return DB_INT;
	case SQLITE_TEXT:
		return DB_TEXT;
	case SQLITE_BLOB:
		return DB_BLOB;
	default:
		return DB_NULL;
	}
}

int64_t
db_int(const struct db_query *q, int column)
{
	return sqlite3_column_int64(q->stmt, column);
}

uint64_t
db_uint(const struct db_query *q, int column)
{
	return (uint64_t)db_int(q, column);
}

char *
db_dup_text(const struct db_query *q, int column)
{
	const unsigned char *text = sqlite3_column_text(q->stmt, column);

	return text == NULL ? NULL : xstrdup((const char *)text);
}

const void *
db_blob(const struct db_query *q, int column, size_t *len)
{
	const void *data = sqlite3_column_blob(q->stmt, column);

	*len = (size_t)sqlite3_column_bytes(q->stmt, column);
	return data;
}

int64_t
db_only_int(struct db_query *q)
{
	int64_t value = 0;

	if (db_row(q)) {
		value = db_int(q, 0);
		db_end(q);
	}
	return value;
}

bool
db_exists(struct db_query *q)
{
	bool there = db_row(q);

	db_end(q);
	return there;
}

void
db_sync(struct db *db)
{
	sqlite3_file *wal = NULL;
	int rc;

	if (db_failed(db))
		return;
	/*
	 * The WAL is what holds commits that are in the file only later; a
	 * checkpoint that a reader holds up may skip syncing it.
	 */
	rc = sqlite3_file_control(
	    db->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
	if (rc == SQLITE_OK && wal != NULL && wal->pMethods != NULL)
		rc = wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL);
	if (rc != SQLITE_OK)
		db_fail(db, rc);
}

void
db_checkpoint(struct db *db)
{
	int rc;

	if (db_failed(db))
		return;
	rc = sqlite3_wal_checkpoint_v2(
	    db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
		db_fail(db, rc);
}

struct db_backup *
db_backup_start(struct db *db, const char *path, struct error *e)
{
	struct db_backup *b;

	unlink(path);
	if (db_create(path, e) != RES_OK)
		return NULL;
	b = xcalloc(1, sizeof(*b));
	db_attach(&b->copy, path, SQLITE_OPEN_CREATE);
	/* Worthless until whole: a crash in the middle may spoil it. */
	db_exec(
	    &b->copy, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
	if (!db_failed(&b->copy)) {
		b->run = sqlite3_backup_init(
		    b->copy.handle, "main", db->handle, "main");
		if (b->run == NULL)
			db_fail(&b->copy, sqlite3_errcode(b->copy.handle));
	}
	if (!db_failed(&b->copy))
		return b;
	error_set(e, RES_IO, "%s", db_why(&b->copy));
	db_backup_end(b);
	return NULL;
}

int
db_backup_step(struct db_backup *b, int pages, struct error *e)
{
	int rc = sqlite3_backup_step(b->run, pages);

	if (rc == SQLITE_OK)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return db_describe(&b->copy, rc, e);
}

void
db_backup_end(struct db_backup *b)
{
	if (b == NULL)
		return;
	sqlite3_backup_finish(b->run);
	db_detach(&b->copy);
	free(b);
}

int
db_restore(struct db *db, struct db *from, struct error *e)
{
	sqlite3_backup *run =
	    sqlite3_backup_init(db->handle, "main", from->handle, "main");
	int rc = SQLITE_ERROR;

	if (run != NULL) {
		sqlite3_backup_step(run, -1);
		rc = sqlite3_backup_finish(run);
	}
	if (rc != SQLITE_OK)
		return db_describe(db, rc, e);
	/* As many pages are now in the WAL: once it is empty, cut it. */
	sqlite3_wal_checkpoint_v2(
	    db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	return RES_OK;
}
