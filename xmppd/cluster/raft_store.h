#ifndef XMPPD_CLUSTER_RAFT_STORE_H
#define XMPPD_CLUSTER_RAFT_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/result.h"

/*
 * What a Raft server must not forget, in DIR/raft.db (SQLite, WAL, FULL):
 * term, vote, log, the marker of the newest snapshot. Each call is one
 * transaction and returns when it is on the disk.
 *
 * A storage error calls failed() once, and from then on every call is refused:
 * nothing is promised any more on behalf of a disk that lies. Calls return
 * RES_OK or RES_IO.
 */
struct raft_store;

typedef void (*raft_store_failed)(void *arg, const char *why);

struct raft_store_entry {
	uint64_t term;
	uint16_t type;
	const void *data; /* borrowed */
	size_t len;
};

/* A snapshot: what it covers, the configuration then, and a few bytes. */
struct raft_store_marker {
	uint64_t index, term;
	uint64_t conf_index;
	struct buf conf, data;
};

struct raft_store *raft_store_open(
    const char *dir, raft_store_failed failed, void *arg, struct error *e);
void raft_store_close(struct raft_store *s); /* NULL is fine */

uint64_t raft_store_term(const struct raft_store *s);
uint64_t raft_store_vote(const struct raft_store *s); /* 0: none */
uint64_t raft_store_first(
    const struct raft_store *s); /* kept; last + 1 if none */
uint64_t raft_store_last(const struct raft_store *s); /* a marker's, if empty */

int raft_store_set_term(struct raft_store *s, uint64_t term); /* no vote */
int raft_store_set_vote(struct raft_store *s, uint64_t id);

/* Appends after the last one. */
int raft_store_append(
    struct raft_store *s, const struct raft_store_entry *entries, size_t count);

/* Removes all from this index on. */
int raft_store_truncate(struct raft_store *s, uint64_t index);

/*
 * Keeps the marker instead of the one before, and of the log what is newer
 * than m->index - trailing; with trailing 0 nothing: the log is replaced.
 */
int raft_store_put_marker(
    struct raft_store *s, const struct raft_store_marker *m, uint64_t trailing);

/* *out is zeroed before; index 0: there is none. The caller clears it. */
int raft_store_get_marker(struct raft_store *s, struct raft_store_marker *out);
void raft_store_marker_clear(struct raft_store_marker *m);

/* Calls fn with each entry from `from` on, in order; data is valid during the
 * call. A return other than 0 ends it and is returned. */
typedef int (*raft_store_entry_fn)(
    void *arg, uint64_t index, const struct raft_store_entry *entry);
int raft_store_each(
    struct raft_store *s, uint64_t from, raft_store_entry_fn fn, void *arg);

/*
 * The newest entry of `type` with an index below `before`; *index is 0 if none
 * is kept. The bytes are appended to data.
 */
int raft_store_newest(struct raft_store *s, uint16_t type, uint64_t before,
    uint64_t *index, struct buf *data);

#endif
