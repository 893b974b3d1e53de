/*
 * The state machine as libraft sees it: entries go to the store, a snapshot is
 * a marker of a few bytes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xmppd/cluster/raft_core_impl.h"
#include "xmppd/cluster/raft_store.h"

/* While a server is being given a copy of the state, the log that it will need
 * is kept; but not for ever. */
#define KEEP_FACTOR 16

/*
 * Trap 16: the library doesn't tell the index. It's in the entry, and it must
 * be the one after last_applied.
 */
static int
fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
	struct raft_core *c = fsm->data;
	uint64_t index = raft_codec_index(buf->base, buf->len);

	*result = NULL;
	if (index != c->raft.last_applied + 1) {
		raft_core_fail(c, "raft: an entry is not at its place");
		return RAFT_CORRUPT;
	}
	c->last_command = index;
	c->hooks.apply(c->hooks.arg, index,
	    (const uint8_t *)buf->base + RAFT_INDEX_SIZE,
	    buf->len - RAFT_INDEX_SIZE);
	return 0;
}

/* Whether the log has to be kept as it is at this moment. */
static bool
marker_must_wait(struct raft_core *c)
{
	const struct raft *r = &c->raft;
	const struct raft_store *s = raft_io_store(c->io);
	uint64_t kept = raft_store_last(s) + 1 - raft_store_first(s);

	/* 0.15.0 would note the uncommitted configuration in the snapshot. */
	if (r->configuration_uncommitted_index != 0 ||
	    c->change_saved > r->configuration_index)
		return true;
	return raft_lead_keeps_log(c) &&
	    kept < (uint64_t)c->cfg.threshold * KEEP_FACTOR;
}

/*
 * A marker: the state itself is in state.db. It's written once that is synced
 * (raft_io's async_work waits for it), so this never blocks.
 */
static int
fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
	struct raft_core *c = fsm->data;
	struct raft_buffer *out;
	struct buf marker = { 0 };

	if (marker_must_wait(c))
		return RAFT_BUSY;
	out = raft_calloc(1, sizeof(*out));
	if (out == NULL)
		return RAFT_NOMEM;
	out->base = raft_malloc(RAFT_INDEX_SIZE);
	out->len = RAFT_INDEX_SIZE;
	if (out->base == NULL) {
		raft_free(out);
		return RAFT_NOMEM;
	}
	raft_codec_put_index(&marker, c->last_command);
	memcpy(out->base, marker.data, RAFT_INDEX_SIZE);
	buf_clear(&marker);
	*bufs = out;
	*n_bufs = 1;
	c->hooks.sync(c->hooks.arg);
	return 0;
}

static int
fsm_snapshot_async(
    struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
	(void)fsm;
	(void)bufs;
	(void)n_bufs;
	return 0;
}

/*
 * Nothing is to be done where the state is as new as the marker, which raft_io
 * has seen to when it came from a leader. At start it may not be: then the disk
 * isn't the one that this server had.
 */
static int
fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
	struct raft_core *c = fsm->data;
	uint64_t index = raft_codec_index(buf->base, buf->len);
	uint64_t have = c->hooks.synced(c->hooks.arg);
	char why[160];

	if (have < index) {
		snprintf(why, sizeof(why),
		    "state.db is older (%" PRIu64
		    ") than the log's beginning (%" PRIu64
		    "): remove this node from the cluster and join it anew",
		    have, index);
		raft_core_fail(c, why);
		return RAFT_CORRUPT;
	}
	c->last_command = index;
	raft_free(buf->base);
	return 0;
}

void
raft_fsm_set(struct raft_core *c)
{
	c->fsm = (struct raft_fsm){ .version = 3,
		.data = c,
		.apply = fsm_apply,
		.snapshot = fsm_snapshot,
		.restore = fsm_restore,
		.snapshot_async = fsm_snapshot_async };
}
