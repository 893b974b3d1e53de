#ifndef XMPPD_CLUSTER_RAFT_CODEC_H
#define XMPPD_CLUSTER_RAFT_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <raft.h>

#include "common/buf.h"

/*
 * libraft's messages as bytes. A frame is its length (u32) and that many bytes;
 * integers are big-endian. What the lease needs goes along: the leader's send
 * time in AppendEntries, and its echo in the answer.
 *
 * Decoding checks everything, for libraft checks nothing: Debian's build has no
 * asserts, so what it doesn't expect is undefined behaviour (trap 12).
 */

#define RAFT_FRAME_MAX (16U << 20)
/* An entry: a group of commands (64 KiB) or a single larger one. */
#define RAFT_ENTRY_MAX (4U << 20)
#define RAFT_SERVERS_MAX 64

/* What goes with a message beside libraft's own. */
struct raft_stamp {
	uint64_t sent;   /* AppendEntries: the leader's clock, ms */
	uint64_t echo;   /* its answer: newest `sent` taken, 0: none */
	bool willing;    /* its answer: this server may lead */
	uint64_t synced; /* its answer: what its state is durable up to */
};

/*
 * Appends a message as one frame; AppendEntries with more than fits well as
 * several, each valid by itself and in order: a node that lags would else get
 * all entries in one message (trap 15).
 */
void raft_codec_encode(struct buf *out, const struct raft_message *m,
    const struct raft_stamp *stamp);

/*
 * Decodes what is behind a frame's length, from server `from`. RES_OK gives a
 * message whose memory libraft takes, or raft_codec_release() frees;
 * RES_INVALID for bytes that no encoder makes.
 */
int raft_codec_decode(const uint8_t *data, size_t len, uint32_t from,
    struct raft_message *out, struct raft_stamp *stamp);
void raft_codec_release(struct raft_message *m);

/* libraft's encoded configuration, of which it exports the encoder only. */
int raft_codec_configuration(
    const void *data, size_t len, struct raft_configuration *out);

/*
 * A command entry begins with its own index: libraft tells the state machine
 * no index (trap 16), and so it can be checked where it arrives. A snapshot's
 * marker is the index of the newest command that it covers (0: of none), which
 * is what the state is as new as; the snapshot's own index may be that of a
 * barrier or a change, of which the state knows nothing.
 */
#define RAFT_INDEX_SIZE 8
void raft_codec_put_index(struct buf *out, uint64_t index);
uint64_t raft_codec_index(const void *data, size_t len); /* 0 if too short */

#endif
