#ifndef XMPPD_CLUSTER_RAFT_IO_IMPL_H
#define XMPPD_CLUSTER_RAFT_IO_IMPL_H

#include <sys/queue.h>

#include "common/buf.h"
#include "xmppd/cluster/raft_io.h"
#include "xmppd/cluster/raft_store.h"

/*
 * What raft_io.c (completions, sending), raft_disk.c (storage) and raft_recv.c
 * (receiving) share, and nobody else knows.
 */
enum completion_kind { DONE_SEND, DONE_APPEND, DONE_PUT, DONE_GET, DONE_WORK };

/* Something that libraft asked for, and that is done. */
struct completion {
	STAILQ_ENTRY(completion) entry;
	enum completion_kind kind;
	int status;
	void *req;
	void (*cb)(void);
	struct raft_snapshot *snapshot; /* DONE_GET */
};

/* A snapshot's marker that waits until its state is at the server. */
struct waiting {
	TAILQ_ENTRY(waiting) entry;
	uint32_t to;
	uint64_t index;
	struct buf frame;
	struct raft_io_send *req;
	raft_io_send_cb cb;
};

struct raft_backend {
	struct raft_io io;
	struct raft_io_hooks hooks;
	struct raft_store *store;
	raft_io_tick_cb tick;
	raft_io_recv_cb recv;
	STAILQ_HEAD(completions, completion) done;
	TAILQ_HEAD(waitings, waiting) waiting;
	struct {
		struct raft_io_async_work *req;
		raft_io_async_work_cb cb;
		uint64_t index;
	} work; /* a snapshot that waits for the state to be synced */
	uint64_t quiet_until;
	/* The newest AppendEntries that was taken. */
	struct {
		uint32_t leader;
		uint64_t term, sent;
	} heard;
	/* The AppendEntries that is being handled; term 0: none is. */
	struct {
		uint64_t term, end;
	} append;
};

typedef void (*raft_io_cb)(void); /* cast back by its completion's kind */

struct raft_backend *raft_io_backend(struct raft_io *io);
/* Queues one; the snapshot of a DONE_GET is set by the caller. */
struct completion *raft_io_complete(struct raft_backend *b,
    enum completion_kind kind, void *req, raft_io_cb cb, int status);

/* raft_disk.c: its callbacks. */
void raft_disk_set(struct raft_io *io);

#endif
