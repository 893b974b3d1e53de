#ifndef XMPPD_CLUSTER_STORE_IMPL_H
#define XMPPD_CLUSTER_STORE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "xmppd/cluster/store_apply.h"

/* What store.c, store_copy.c and store_read.c share. */
struct db;
struct event;

typedef void (*store_copied_fn)(
    void *arg, int code, uint64_t index, const uint8_t sha256[32]);
typedef void (*store_installed_fn)(void *arg, int code, uint64_t index);

/* Work for the store's thread. */
enum store_job_kind { JOB_APPLY, JOB_SYNC, JOB_COPY, JOB_INSTALL };

struct store_job {
	TAILQ_ENTRY(store_job) next;
	enum store_job_kind kind;
	uint64_t index;   /* APPLY */
	struct buf entry; /* APPLY */
	char *path;       /* COPY, INSTALL */
	store_copied_fn copied;
	store_installed_fn installed;
	void *arg;
};
TAILQ_HEAD(store_jobs, store_job);

/* News for the main loop. */
enum store_report_kind {
	REPORT_APPLIED,
	REPORT_REPLACED,
	REPORT_FAILED,
	REPORT_COPIED,
	REPORT_INSTALLED
};

struct store_report {
	TAILQ_ENTRY(store_report) next;
	enum store_report_kind kind;
	struct store_applied applied;
	int code;
	uint64_t index;
	uint8_t sha256[32];
	char *why; /* FAILED */
	store_copied_fn copied;
	store_installed_fn installed;
	void *arg;
};
TAILQ_HEAD(store_reports, store_report);

struct store {
	char *path;
	struct store_callbacks cb;
	struct db *db;     /* the store's thread's; without one, everybody's */
	struct db *reader; /* the main loop's; without a thread, the same */
	_Atomic uint64_t applied, synced;

	pthread_mutex_t lock; /* over what follows, up to the blank line */
	pthread_cond_t work, room;
	struct store_jobs jobs;
	size_t job_bytes;
	struct store_reports reports;
	bool failed, closing;

	bool threaded;
	pthread_t thread;
	int wake_fd; /* eventfd: there are reports */
	struct event *wake;
	bool pumping;             /* without a thread: inside store_pump() */
	struct store_jobs copies; /* the store's thread only */
	struct store_copy *copy;  /* the first of them, under way */
};

struct store_job *store_job_new(enum store_job_kind kind, const char *path);
void store_job_free(struct store_job *job);
void store_job_add(struct store *s, struct store_job *job); /* takes */

struct store_report *store_report_new(enum store_report_kind kind);
void store_report_add(struct store *s, struct store_report *r); /* takes */

/* To the main loop, once; from now on nothing is applied. */
void store_fail(struct store *s, const char *why);

/* store_read.c: a query on the reader; after each, a disk that cannot be read
 * ends the node. */
struct db_query *store_read_query(struct store *s, const char *sql);
void store_read_done(struct store *s);

/* store_copy.c, on the store's thread. */
bool store_copy_is_due(const struct store *s);
void store_copy_step(struct store *s); /* a bounded part of the first copy */
void store_copy_abort(struct store *s);
void store_install_run(struct store *s, struct store_job *job);

#endif
