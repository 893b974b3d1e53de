#ifndef XMPPD_CLUSTER_RAFT_IO_H
#define XMPPD_CLUSTER_RAFT_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <raft.h>

#include "common/result.h"
#include "xmppd/cluster/raft_codec.h"

/*
 * What libraft stands on: its `struct raft_io`, version 2, over raft_store and
 * whatever carries frames to other servers. Nothing here waits for a network,
 * knows a socket, or reads a clock.
 *
 * libraft calls down into it; what it asks for completes later, in the order
 * of asking, when raft_io_drain() is called: before each message, each tick,
 * and after each call into the library.
 */
struct raft_backend;

struct raft_io_hooks {
	void *arg;
	uint64_t (*now)(void *arg); /* ms, never goes back */
	/* Within [min, max). */
	int (*random)(void *arg, int min, int max);
	/* Frames for a server; false if there is no connection. */
	bool (*send)(void *arg, uint32_t to, const void *frames, size_t len);
	/* A message may leave (true), or is silently lost. */
	bool (*allowed)(void *arg, const struct raft_message *m);
	/* What goes into an answer to AppendEntries. */
	bool (*willing)(void *arg);
	/* A server answered in this term. */
	void (*answered)(
	    void *arg, uint32_t from, const struct raft_stamp *stamp);
	/* A server needs a snapshot: whether it has the state that the marker
	 * stands for. If not, raft_io_snapshot() follows. */
	bool (*has_state)(void *arg, uint32_t to, uint64_t index);
	/* What this server's own state is durable up to. */
	uint64_t (*synced)(void *arg);
	/* The log was cut: the configuration in force may be an older one. */
	void (*truncated)(void *arg);
	/* Called when a higher term is on the disk, before anything is sent
	 * in it. */
	void (*term)(void *arg, uint64_t term);
	/* The disk failed: nothing more is to be sent. */
	void (*failed)(void *arg, const char *why);
};

/* Opens DIR/raft.db. */
struct raft_backend *raft_io_new(
    const char *dir, const struct raft_io_hooks *hooks, struct error *e);
void raft_io_free(struct raft_backend *b);

struct raft_io *raft_io_of(struct raft_backend *b);
struct raft_store *raft_io_store(struct raft_backend *b);

/* Runs completions until there are none; whether there were any. */
bool raft_io_drain(struct raft_backend *b);

void raft_io_tick(struct raft_backend *b);

/* A frame's body from server `from`; RES_INVALID ends that connection. */
int raft_io_receive(
    struct raft_backend *b, uint32_t from, const void *data, size_t len);

/* Votes and permissions to stand are lost until then. */
void raft_io_quiet_until(struct raft_backend *b, uint64_t ms);

/* Whether a marker waits for this server's state, and for which index. */
bool raft_io_snapshot_waits(
    const struct raft_backend *b, uint32_t to, uint64_t *index);
/* It goes out. */
void raft_io_snapshot(struct raft_backend *b, uint32_t to);
/* All that wait are dropped. */
void raft_io_snapshot_cancel(struct raft_backend *b);

/* Makes a leader step down, by a message as of a later term. */
void raft_io_step_down(struct raft_backend *b);

/* The leader that this server has heard from in `term`; 0: none. */
uint32_t raft_io_leader(const struct raft_backend *b, uint64_t term);

#endif
