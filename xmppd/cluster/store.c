/*
 * The store: entries in, events out.
 *
 * Entries wait in a queue for the store's thread, which applies what is there
 * in one transaction, with the index, and then tells the main loop through a
 * second queue and an eventfd. A commit isn't synced: the entries are in the
 * Raft log, which is, until store_sync() has run for them, and what state.db
 * lost of them is applied again. So a torn tail costs nothing, and applying
 * waits for no disk.
 *
 * Without a thread the same steps are taken inside store_apply().
 *
 * When the disk fails, the transaction is gone, the main loop is told, and
 * nothing is applied any more.
 */
#include "xmppd/cluster/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/db.h"
#include "xmppd/cluster/store_impl.h"

/* What goes into one transaction, and what may wait for it. */
#define BATCH_ENTRIES 512
#define BATCH_BYTES (1U << 20)
#define QUEUE_BYTES (64U << 20)

struct store_job *
store_job_new(enum store_job_kind kind, const char *path)
{
	struct store_job *job = xcalloc(1, sizeof(*job));

	job->kind = kind;
	job->path = path == NULL ? NULL : xstrdup(path);
	return job;
}

void
store_job_free(struct store_job *job)
{
	buf_wipe(&job->entry);
	free(job->path);
	free(job);
}

static void
jobs_free(struct store_jobs *jobs)
{
	struct store_job *job;

	while ((job = TAILQ_FIRST(jobs)) != NULL) {
		TAILQ_REMOVE(jobs, job, next);
		store_job_free(job);
	}
}

struct store_report *
store_report_new(enum store_report_kind kind)
{
	struct store_report *r = xcalloc(1, sizeof(*r));

	r->kind = kind;
	return r;
}

static void
reports_free(struct store_reports *reports)
{
	struct store_report *r;

	while ((r = TAILQ_FIRST(reports)) != NULL) {
		TAILQ_REMOVE(reports, r, next);
		store_applied_clear(&r->applied);
		free(r->why);
		free(r);
	}
}

/* ---- to the main loop -------------------------------------------------- */

static void
reports_move(struct store_reports *to, struct store_reports *from)
{
	struct store_report *r;

	while ((r = TAILQ_FIRST(from)) != NULL) {
		TAILQ_REMOVE(from, r, next);
		TAILQ_INSERT_TAIL(to, r, next);
	}
}

static void
reports_add(struct store *s, struct store_reports *reports)
{
	bool was_empty;

	if (TAILQ_EMPTY(reports))
		return;
	pthread_mutex_lock(&s->lock);
	was_empty = TAILQ_EMPTY(&s->reports);
	reports_move(&s->reports, reports);
	pthread_mutex_unlock(&s->lock);
	if (was_empty && s->threaded && eventfd_write(s->wake_fd, 1) == -1)
		log_err("store: eventfd: %s", strerror(errno));
}

void
store_report_add(struct store *s, struct store_report *r)
{
	struct store_reports one = TAILQ_HEAD_INITIALIZER(one);

	TAILQ_INSERT_TAIL(&one, r, next);
	reports_add(s, &one);
}

static void
deliver_one(struct store *s, struct store_report *r)
{
	const struct store_callbacks *cb = &s->cb;

	switch (r->kind) {
	case REPORT_APPLIED:
		if (cb->applied != NULL)
			cb->applied(cb->arg, &r->applied.event);
		break;
	case REPORT_REPLACED:
		if (cb->replaced != NULL)
			cb->replaced(cb->arg);
		break;
	case REPORT_FAILED:
		if (cb->failed != NULL)
			cb->failed(cb->arg, r->why);
		break;
	case REPORT_COPIED:
		r->copied(r->arg, r->code, r->index, r->sha256);
		break;
	case REPORT_INSTALLED:
		r->installed(r->arg, r->code, r->index);
		break;
	}
}

static bool
deliver(struct store *s)
{
	struct store_reports reports = TAILQ_HEAD_INITIALIZER(reports);
	struct store_report *r;

	pthread_mutex_lock(&s->lock);
	reports_move(&reports, &s->reports);
	pthread_mutex_unlock(&s->lock);
	if (TAILQ_EMPTY(&reports))
		return false;
	TAILQ_FOREACH(r, &reports, next)
		deliver_one(s, r);
	reports_free(&reports);
	return true;
}

static void
wake_cb(evutil_socket_t fd, short what, void *arg)
{
	eventfd_t count;

	(void)what;
	eventfd_read(fd, &count);
	deliver(arg);
}

/* ---- applying ---------------------------------------------------------- */

static void
apply_entry(
    struct store *s, const struct store_job *job, struct store_reports *reports)
{
	struct store_proposal p = { 0 };
	struct store_report *r;
	struct cursor c;

	cursor_init(&c, job->entry.data, job->entry.len);
	while (store_entry_next(&c, &p)) {
		r = store_report_new(REPORT_APPLIED);
		store_apply_proposal(s->db, &p, &r->applied);
		r->applied.event.index = job->index;
		TAILQ_INSERT_TAIL(reports, r, next);
	}
	if (cursor_ok(&c))
		return;
	log_err("store: entry %llu: malformed, the rest has no effect",
	    (unsigned long long)job->index);
	r = store_report_new(REPORT_APPLIED);
	r->applied.event.index = job->index;
	r->applied.event.code = RES_INVALID;
	TAILQ_INSERT_TAIL(reports, r, next);
}

static void
apply_batch(struct store *s, const struct store_jobs *batch)
{
	struct store_reports reports = TAILQ_HEAD_INITIALIZER(reports);
	const struct store_job *job;
	uint64_t index = s->applied;

	db_exec(s->db, "BEGIN IMMEDIATE");
	TAILQ_FOREACH(job, batch, next) {
		if (job->index <= index)
			continue; /* a restart gives the log's end again */
		apply_entry(s, job, &reports);
		index = job->index;
	}
	store_set_index(s->db, index);
	db_exec(s->db, "COMMIT");
	if (db_failed(s->db)) {
		reports_free(&reports);
		store_fail(s, db_why(s->db));
		return;
	}
	s->applied = index;
	reports_add(s, &reports);
}

static void
sync_now(struct store *s)
{
	uint64_t index = s->applied;

	db_checkpoint(s->db);
	db_sync(s->db);
	if (db_failed(s->db))
		store_fail(s, db_why(s->db));
	else
		s->synced = index;
}

static bool
has_failed(struct store *s)
{
	bool failed;

	pthread_mutex_lock(&s->lock);
	failed = s->failed;
	pthread_mutex_unlock(&s->lock);
	return failed;
}

void
store_fail(struct store *s, const char *why)
{
	struct store_report *r;
	bool known;

	pthread_mutex_lock(&s->lock);
	known = s->failed;
	s->failed = true;
	pthread_mutex_unlock(&s->lock);
	if (known)
		return;
	r = store_report_new(REPORT_FAILED);
	r->why = xstrdup(why);
	store_report_add(s, r);
	if (!s->threaded && !s->pumping)
		deliver(s);
}

/* ---- the queue of work ------------------------------------------------- */

/* Takes entries, as many as go into one transaction, or one other job. With
 * the lock held. */
static void
take_batch(struct store *s, struct store_jobs *batch)
{
	struct store_job *job;
	size_t count = 0, bytes = 0;

	while ((job = TAILQ_FIRST(&s->jobs)) != NULL && count < BATCH_ENTRIES &&
	    bytes < BATCH_BYTES && (count == 0 || job->kind == JOB_APPLY)) {
		TAILQ_REMOVE(&s->jobs, job, next);
		TAILQ_INSERT_TAIL(batch, job, next);
		count++;
		bytes += job->entry.len;
		s->job_bytes -= job->entry.len;
		if (job->kind != JOB_APPLY)
			break;
	}
	pthread_cond_broadcast(&s->room);
}

static void
run_batch(struct store *s, struct store_jobs *batch)
{
	struct store_job *job = TAILQ_FIRST(batch);

	if (job == NULL || has_failed(s))
		return;
	switch (job->kind) {
	case JOB_APPLY:
		apply_batch(s, batch);
		break;
	case JOB_SYNC:
		sync_now(s);
		break;
	case JOB_COPY:
		TAILQ_REMOVE(batch, job, next);
		TAILQ_INSERT_TAIL(&s->copies, job, next);
		break;
	case JOB_INSTALL:
		store_install_run(s, job);
		break;
	}
}

/* One turn: what is queued, and a part of a copy. */
static void
turn(struct store *s)
{
	struct store_jobs batch = TAILQ_HEAD_INITIALIZER(batch);

	pthread_mutex_lock(&s->lock);
	take_batch(s, &batch);
	pthread_mutex_unlock(&s->lock);
	run_batch(s, &batch);
	jobs_free(&batch);
	if (store_copy_is_due(s) && !has_failed(s))
		store_copy_step(s);
}

static bool
has_work(struct store *s)
{
	return !TAILQ_EMPTY(&s->jobs) || (store_copy_is_due(s) && !s->failed);
}

static void *
run_thread(void *arg)
{
	struct store *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->closing || !TAILQ_EMPTY(&s->jobs)) {
		if (!has_work(s)) {
			pthread_cond_wait(&s->work, &s->lock);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		turn(s);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Without a thread; what a callback queues is done before this returns to the
 * outermost caller. */
static void
pump(struct store *s)
{
	if (s->pumping)
		return;
	s->pumping = true;
	do
		while (has_work(s))
			turn(s);
	while (deliver(s) || has_work(s));
	s->pumping = false;
}

void
store_job_add(struct store *s, struct store_job *job)
{
	pthread_mutex_lock(&s->lock);
	/* The Raft thread waits for a disk that is slower than its own. */
	while (s->threaded && job->kind == JOB_APPLY &&
	    s->job_bytes > QUEUE_BYTES && !s->failed)
		pthread_cond_wait(&s->room, &s->lock);
	s->job_bytes += job->entry.len;
	TAILQ_INSERT_TAIL(&s->jobs, job, next);
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	if (!s->threaded)
		pump(s);
}

void
store_apply(struct store *s, uint64_t index, const void *entry, size_t len)
{
	struct store_job *job = store_job_new(JOB_APPLY, NULL);

	job->index = index;
	buf_add(&job->entry, entry, len);
	store_job_add(s, job);
}

void
store_sync(struct store *s)
{
	store_job_add(s, store_job_new(JOB_SYNC, NULL));
}

uint64_t
store_applied_index(const struct store *s)
{
	return s->applied;
}

uint64_t
store_synced_index(const struct store *s)
{
	return s->synced;
}

/* ---- life -------------------------------------------------------------- */

/* The name of a new file is durable only with its folder. */
static int
sync_folder(const char *dir, struct error *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = RES_OK;

	if (fd == -1 || fsync(fd) == -1)
		rc = error_set(e, RES_IO, "%s: %s: check the folder", dir,
		    strerror(errno));
	if (fd != -1)
		close(fd);
	return rc;
}

static int
open_files(struct store *s, const char *dir, bool threaded, struct error *e)
{
	s->db = db_open(s->path, e);
	if (s->db == NULL || store_schema_open(s->db, s->path, e) != RES_OK ||
	    sync_folder(dir, e) != RES_OK)
		return RES_IO;
	s->applied = store_index(s->db);
	db_sync(s->db);
	if (db_failed(s->db))
		return error_set(e, RES_IO, "%s", db_why(s->db));
	s->synced = s->applied;
	s->reader = threaded ? db_open_reader(s->path, e) : s->db;
	return s->reader == NULL ? RES_IO : RES_OK;
}

static int
start_thread(struct store *s, struct event_base *base, struct error *e)
{
	s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->wake_fd == -1)
		return error_set(e, RES_IO, "eventfd: %s", strerror(errno));
	s->wake = event_new(base, s->wake_fd, EV_READ | EV_PERSIST, wake_cb, s);
	if (s->wake == NULL || event_add(s->wake, NULL) == -1)
		return error_set(e, RES_FAILED, "store: no event");
	s->threaded = true;
	if (pthread_create(&s->thread, NULL, run_thread, s) == 0)
		return RES_OK;
	s->threaded = false;
	return error_set(e, RES_LIMIT, "store: cannot start a thread");
}

struct store *
store_open(const char *dir, struct event_base *base,
    const struct store_callbacks *cb, struct error *e)
{
	struct store *s = xcalloc(1, sizeof(*s));

	xasprintf(&s->path, "%s/state.db", dir);
	s->cb = *cb;
	s->wake_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_cond_init(&s->room, NULL);
	TAILQ_INIT(&s->jobs);
	TAILQ_INIT(&s->reports);
	TAILQ_INIT(&s->copies);
	if (open_files(s, dir, base != NULL, e) != RES_OK ||
	    (base != NULL && start_thread(s, base, e) != RES_OK)) {
		store_close(s);
		return NULL;
	}
	return s;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	if (s->threaded) {
		pthread_mutex_lock(&s->lock);
		s->closing = true;
		pthread_cond_signal(&s->work);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	store_copy_abort(s);
	if (s->wake != NULL)
		event_free(s->wake);
	if (s->wake_fd != -1)
		close(s->wake_fd);
	jobs_free(&s->jobs);
	jobs_free(&s->copies);
	reports_free(&s->reports);
	if (s->reader != s->db)
		db_close(s->reader);
	db_close(s->db);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->room);
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}
