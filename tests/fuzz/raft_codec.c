/*
 * Raft's messages from another server: what is taken is what the encoder makes
 * of it. The server is number 2.
 */
#include "xmppd/cluster/raft_codec.h"

#include <string.h>

#include "common/log.h"
#include "common/result.h"
#include "tests/lib/fuzz.h"

static void
add_frame(struct buf *b, const struct raft_message *m)
{
	static const struct raft_stamp stamp = { 5, 4, true, 3 };
	struct buf frame = { 0 };

	raft_codec_encode(&frame, m, &stamp);
	buf_add(b, frame.data + sizeof(uint32_t), frame.len - sizeof(uint32_t));
	buf_clear(&frame);
}

static void
seed_append(struct buf *b)
{
	struct buf command = { 0 };
	struct raft_entry entries[2] = { 0 };
	struct raft_message m = { .type = RAFT_IO_APPEND_ENTRIES };
	static char barrier[8];

	raft_codec_put_index(&command, 8);
	buf_add_str(&command, "command");
	entries[0].term = entries[1].term = 3;
	entries[0].type = RAFT_COMMAND;
	entries[0].buf.base = command.data;
	entries[0].buf.len = command.len;
	entries[1].type = RAFT_BARRIER;
	entries[1].buf.base = barrier;
	entries[1].buf.len = sizeof(barrier);
	m.append_entries.term = 3;
	m.append_entries.prev_log_index = 7;
	m.append_entries.prev_log_term = 2;
	m.append_entries.leader_commit = 7;
	m.append_entries.entries = entries;
	m.append_entries.n_entries = 2;
	add_frame(b, &m);
	buf_clear(&command);
}

static void
seed_snapshot(struct buf *b)
{
	struct raft_message m = { .type = RAFT_IO_INSTALL_SNAPSHOT };
	struct raft_install_snapshot *s = &m.install_snapshot;
	struct buf marker = { 0 };

	raft_codec_put_index(&marker, 6);
	raft_configuration_init(&s->conf);
	raft_configuration_add(&s->conf, 1, "1", RAFT_VOTER);
	raft_configuration_add(&s->conf, 2, "2", RAFT_STANDBY);
	s->term = s->last_term = 3;
	s->last_index = 7;
	s->conf_index = 1;
	s->data.base = marker.data;
	s->data.len = marker.len;
	add_frame(b, &m);
	raft_configuration_close(&s->conf);
	buf_clear(&marker);
}

bool
fuzz_seed(size_t i, struct buf *b)
{
	struct raft_message m;

	memset(&m, 0, sizeof(m));
	m.type = (unsigned short)(i + 1);
	switch (m.type) {
	case RAFT_IO_APPEND_ENTRIES:
		seed_append(b);
		return true;
	case RAFT_IO_INSTALL_SNAPSHOT:
		seed_snapshot(b);
		return true;
	case RAFT_IO_APPEND_ENTRIES_RESULT:
		m.append_entries_result.term = 3;
		break;
	case RAFT_IO_REQUEST_VOTE:
		m.request_vote.term = 3;
		m.request_vote.candidate_id = 2;
		break;
	case RAFT_IO_REQUEST_VOTE_RESULT:
		m.request_vote_result.term = 3;
		m.request_vote_result.pre_vote = raft_tribool_true;
		break;
	case RAFT_IO_TIMEOUT_NOW:
		m.timeout_now.term = 3;
		break;
	default:
		return false;
	}
	add_frame(b, &m);
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct raft_stamp stamp = { 0 };
	struct raft_message m;
	struct buf again = { 0 };

	if (raft_codec_decode(data, size, 2, &m, &stamp) != RES_OK)
		return 0;
	raft_codec_encode(&again, &m, &stamp);
	/* Of a configuration libraft ignores what it pads with. */
	fuzz_check(m.type == RAFT_IO_INSTALL_SNAPSHOT ||
		(again.len == size + sizeof(uint32_t) &&
		    memcmp(again.data + sizeof(uint32_t), data, size) == 0),
	    "what is taken is what the encoder makes");
	raft_codec_release(&m);
	buf_clear(&again);
	return 0;
}
