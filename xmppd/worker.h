#ifndef XMPPD_WORKER_H
#define XMPPD_WORKER_H

#include "xmppd/link/frame.h"

/*
 * A thread for what takes long: deriving keys from passwords, looking names up.
 * A job's work runs there and may touch nothing but its own argument; its done
 * runs on the main loop afterwards.
 */
struct worker;
struct event_base;

struct worker *worker_new(struct event_base *base);
void worker_free(struct worker *w); /* finishes the job it is at, drops others
				       after calling their done */
void worker_run(struct worker *w, void (*work)(void *arg),
    void (*done)(void *arg), void *arg);

/* New keys for a password, prepared by SASLprep, with random salts and version,
 * and SCRAM_ITERATIONS. Slow: milliseconds. */
void scram_derive(const char *password, struct scram_keys *out);
/* The keys that this password has with these salts and iterations; none where
 * there are no iterations. */
void scram_derive_as(const char *password, const struct scram_keys *params,
    struct scram_keys *out);

#endif
