/*
 * The whole state as a file: made for a node that lags too far behind the log,
 * and taken by it.
 *
 * A copy is made in steps between transactions, through the connection that
 * writes: what is committed meanwhile is in it, and it holds the index that has
 * been applied when its last page is written. Then it is synced and its digest
 * taken, in steps as well. A copy that fails is removed, and is no failure of
 * the store.
 *
 * A copied file is taken page by page in one transaction, so that readers and
 * a crash see the old state or the new one. One that isn't newer is dropped.
 */
#include "xmppd/cluster/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/db.h"

#define STEP_PAGES 128
#define STEP_BYTES (1U << 20)

struct store_copy {
	struct db_backup *backup; /* while pages are copied */
	uint64_t index;
	int fd; /* while the digest is taken, else -1 */
	struct crypto_digest *digest;
};

void
store_copy(struct store *s, const char *path, store_copied_fn done, void *arg)
{
	struct store_job *job = store_job_new(JOB_COPY, path);

	job->copied = done;
	job->arg = arg;
	store_job_add(s, job);
}

void
store_install(
    struct store *s, const char *path, store_installed_fn done, void *arg)
{
	struct store_job *job = store_job_new(JOB_INSTALL, path);

	job->installed = done;
	job->arg = arg;
	store_job_add(s, job);
}

bool
store_copy_is_due(const struct store *s)
{
	return !TAILQ_EMPTY(&s->copies);
}

static void
copy_free(struct store_copy *copy)
{
	db_backup_end(copy->backup);
	if (copy->fd != -1)
		close(copy->fd);
	if (copy->digest != NULL)
		crypto_digest_end(copy->digest, NULL);
	free(copy);
}

/* Ends the first copy and tells how it went. */
static void
copy_finish(struct store *s, int code, const char *why)
{
	struct store_job *job = TAILQ_FIRST(&s->copies);
	struct store_report *r = store_report_new(REPORT_COPIED);

	if (code == RES_OK) {
		crypto_digest_end(s->copy->digest, r->sha256);
		s->copy->digest = NULL;
		r->index = s->copy->index;
	} else {
		log_warn("store: copy: %s", why);
		unlink(job->path);
	}
	r->code = code;
	r->copied = job->copied;
	r->arg = job->arg;
	if (s->copy != NULL)
		copy_free(s->copy);
	s->copy = NULL;
	TAILQ_REMOVE(&s->copies, job, next);
	store_job_free(job);
	store_report_add(s, r);
}

static int
copy_begin(struct store *s, const char *path, struct error *e)
{
	s->copy = xcalloc(1, sizeof(*s->copy));
	s->copy->fd = -1;
	s->copy->backup = db_backup_start(s->db, path, e);
	return s->copy->backup == NULL ? RES_IO : RES_OK;
}

static int
copy_pages(struct store *s, const char *path, struct error *e)
{
	struct store_copy *copy = s->copy;
	int rc = db_backup_step(copy->backup, STEP_PAGES, e);

	if (rc != 0)
		return rc < 0 ? rc : RES_OK;
	copy->index = s->applied;
	/* SQLite's locks on a file end when any descriptor of it is closed:
	 * so its own comes first. */
	db_backup_end(copy->backup);
	copy->backup = NULL;
	copy->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (copy->fd == -1 || fsync(copy->fd) == -1)
		return error_set(e, RES_IO, "%s: %s", path, strerror(errno));
	copy->digest = crypto_digest_new();
	return RES_OK;
}

/* Returns 1 at the end of the file. */
static int
copy_digest(struct store_copy *copy, const char *path, struct error *e)
{
	uint8_t *data = xmalloc(STEP_BYTES);
	ssize_t n = read(copy->fd, data, STEP_BYTES);
	int rc = n == 0;

	if (n > 0)
		crypto_digest_add(copy->digest, data, (size_t)n);
	else if (n < 0)
		rc = error_set(e, RES_IO, "%s: %s", path, strerror(errno));
	free(data);
	return rc;
}

void
store_copy_step(struct store *s)
{
	const char *path = TAILQ_FIRST(&s->copies)->path;
	struct error e = { 0 };
	int rc;

	if (s->copy == NULL)
		rc = copy_begin(s, path, &e);
	else if (s->copy->backup != NULL)
		rc = copy_pages(s, path, &e);
	else
		rc = copy_digest(s->copy, path, &e);
	if (rc < 0)
		copy_finish(s, rc, e.text);
	else if (rc == 1)
		copy_finish(s, RES_OK, NULL);
}

void
store_copy_abort(struct store *s)
{
	if (s->copy == NULL)
		return;
	unlink(TAILQ_FIRST(&s->copies)->path);
	copy_free(s->copy);
	s->copy = NULL;
}

static void
remove_file(const char *path)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	char *name;

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		xasprintf(&name, "%s%s", path, suffixes[i]);
		unlink(name);
		free(name);
	}
}

static int
install_from(
    struct store *s, struct db *from, const char *path, struct error *e)
{
	uint64_t index;
	int rc = store_schema_check(from, path, e);

	if (rc != RES_OK)
		return rc;
	index = store_index(from);
	if (index <= s->applied)
		return RES_OK;
	rc = db_restore(s->db, from, e);
	if (rc != RES_OK)
		return rc;
	db_exec(s->db, "BEGIN IMMEDIATE");
	store_schema_upgrade(s->db);
	db_exec(s->db, "COMMIT");
	db_sync(s->db);
	if (db_failed(s->db)) {
		store_fail(s, db_why(s->db));
		return error_set(e, RES_IO, "%s", db_why(s->db));
	}
	s->applied = index;
	s->synced = index;
	store_report_add(s, store_report_new(REPORT_REPLACED));
	return RES_OK;
}

void
store_install_run(struct store *s, struct store_job *job)
{
	struct store_report *r = store_report_new(REPORT_INSTALLED);
	struct error e = { 0 };
	struct db *from = db_open_reader(job->path, &e);

	r->code = from == NULL ? RES_IO : install_from(s, from, job->path, &e);
	db_close(from);
	remove_file(job->path);
	if (r->code != RES_OK)
		log_err("store: install: %s", e.text);
	r->index = s->applied;
	r->installed = job->installed;
	r->arg = job->arg;
	store_report_add(s, r);
}
