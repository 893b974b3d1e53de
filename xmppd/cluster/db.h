#ifndef XMPPD_CLUSTER_DB_H
#define XMPPD_CLUSTER_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/*
 * One connection to an SQLite file, with a sticky error: do everything, then
 * ask db_failed() once. After an error nothing has an effect, and queries give
 * no rows. A connection belongs to one thread.
 */
struct db;
struct db_query;
struct db_backup;

/*
 * Opens or makes a file: mode 0600, WAL, and synchronous NORMAL, so a commit
 * is atomic but durable only with the next db_sync().
 */
struct db *db_open(const char *path, struct error *e);

/* A second connection to such a file, which cannot write. */
struct db *db_open_reader(const char *path, struct error *e);
void db_close(struct db *db); /* NULL is fine */

bool db_failed(const struct db *db);
/* "file: what is wrong: what to do"; "" if all is well. */
const char *db_why(const struct db *db);

void db_exec(struct db *db, const char *sql); /* no rows, not kept */

/*
 * A query is compiled once for its text and kept. Values are bound in order,
 * then db_run() for one without rows, or db_row() until it returns false. One
 * that is left before its end needs db_end(): an open one keeps the file's old
 * content alive. Bound memory is borrowed until the query has ended, and what
 * a row gives until the next call.
 */
struct db_query *db_query(struct db *db, const char *sql);
void db_bind_int(struct db_query *q, int64_t value);
void db_bind_uint(struct db_query *q, uint64_t value);   /* bit by bit */
void db_bind_text(struct db_query *q, const char *text); /* NULL is NULL */
void db_bind_text_n(struct db_query *q, const char *text, size_t len);
void db_bind_blob(struct db_query *q, const void *data, size_t len);
bool db_row(struct db_query *q);
void db_end(struct db_query *q);
size_t db_run(struct db_query *q); /* returns how many rows it changed */

enum db_type { DB_NULL, DB_INT, DB_TEXT, DB_BLOB };
int db_columns(const struct db_query *q);
enum db_type db_type(const struct db_query *q, int column);
int64_t db_int(const struct db_query *q, int column);
uint64_t db_uint(const struct db_query *q, int column);
char *db_dup_text(const struct db_query *q, int column); /* caller frees */
const void *db_blob(const struct db_query *q, int column, size_t *len);

/* The first column of the only row; 0 without a row. Ends the query. */
int64_t db_only_int(struct db_query *q);
bool db_exists(struct db_query *q); /* whether there is a row; ends it */

/* What has been committed is on the disk when this returns. */
void db_sync(struct db *db);
/* Moves what the WAL holds into the file as far as readers allow. */
void db_checkpoint(struct db *db);

/*
 * Copies the database into a new file, some pages a step; what `db` commits
 * meanwhile is in the copy. A failure is the copy's, not the database's.
 * db_backup_step() returns 1 (more to do), 0 (whole) or RES_IO; *e says why.
 */
struct db_backup *db_backup_start(
    struct db *db, const char *path, struct error *e);
int db_backup_step(struct db_backup *b, int pages, struct error *e);
void db_backup_end(struct db_backup *b); /* closes the copy */

/*
 * Replaces the whole content by that of another file, in one transaction:
 * readers see the old or the new. On RES_IO the old is still there.
 */
int db_restore(struct db *db, struct db *from, struct error *e);

#endif
