#ifndef XMPPD_CLUSTER_RAFT_CORE_H
#define XMPPD_CLUSTER_RAFT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"
#include "xmppd/cluster/raft_node.h"
#include "xmppd/cluster/store.h"

/*
 * One Raft server without threads, sockets or clocks: libraft over raft_io,
 * with what the library lacks. It's given messages, ticks and proposals, and
 * the hooks below are what it gives back; so a test or a simulation runs
 * several of them in one thread under a time of its own, and raft_node runs
 * one in its thread.
 */
struct raft_core;

struct raft_core_config {
	const char *dir;
	uint32_t id;
	bool bootstrap;
	uint32_t election_ms, heartbeat_ms;
	unsigned threshold, trailing; /* entries between markers, kept behind */
};

struct raft_core_hooks {
	void *arg;
	uint64_t (*now)(void *arg);
	int (*random)(void *arg, int min, int max); /* within [min, max) */
	bool (*send)(void *arg, uint32_t to, const void *frames, size_t len);

	/* The state machine: store.h says what they mean. */
	void (*apply)(void *arg, uint64_t index, const void *entry, size_t len);
	uint64_t (*applied)(void *arg);
	uint64_t (*synced)(void *arg);
	void (*sync)(void *arg);

	/* raft_node.h says what they mean. */
	void (*role)(
	    void *arg, enum raft_role role, uint64_t term, uint32_t leader);
	void (*members)(
	    void *arg, const struct raft_member *members, size_t count);
	void (*lost)(void *arg, uint64_t tag);
	void (*wants_copy)(void *arg, uint32_t id, uint64_t index);
	void (*failed)(void *arg, const char *why);

	/* The lease's end, RAFT_LEASE_FOREVER or 0; at each change. */
	void (*lease)(void *arg, uint64_t term, uint64_t until);
	/* The newest term seen, before anything is sent in it. */
	void (*term)(void *arg, uint64_t term);
};

struct raft_core *raft_core_new(const struct raft_core_config *cfg,
    const struct raft_core_hooks *hooks, struct error *e);
void raft_core_free(struct raft_core *c);

void raft_core_tick(struct raft_core *c);
/* The state machine has got on. */
void raft_core_poll(struct raft_core *c);
/* RES_INVALID: bytes that no server sends. */
int raft_core_receive(
    struct raft_core *c, uint32_t from, const void *data, size_t len);

/* The connection from this server is lost: if it leads, it may be dead. */
void raft_core_lost_touch(struct raft_core *c, uint32_t id);

/* Copies. Lost at once if this server doesn't lead; else begun with the next
 * raft_core_poll(), so that what arrived together goes together. */
void raft_core_propose(
    struct raft_core *c, const struct store_proposal *p, uint64_t tag);

void raft_core_set_leading(struct raft_core *c, bool allowed);
void raft_core_add(
    struct raft_core *c, uint32_t id, raft_node_done done, void *arg);
void raft_core_remove(
    struct raft_core *c, uint32_t id, raft_node_done done, void *arg);
/* The caller has made sure that nobody relies on the lease any more. */
void raft_core_transfer(
    struct raft_core *c, uint32_t id, raft_node_done done, void *arg);

/* The other servers of the configuration in force, voters or not. */
size_t raft_core_others(const struct raft_core *c, uint32_t *out, size_t max);

/* Waits for something that poll() would see: look again soon. */
bool raft_core_waits(const struct raft_core *c);
bool raft_core_leads(const struct raft_core *c);

#endif
