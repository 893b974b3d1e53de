/*
 * Messages for libraft, and what stands between the network and it: each guard
 * drops a message, which Raft has to endure anyway.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/log.h"
#include "xmppd/cluster/raft_io_impl.h"

void
raft_io_quiet_until(struct raft_backend *b, uint64_t ms)
{
	b->quiet_until = ms;
}

uint32_t
raft_io_leader(const struct raft_backend *b, uint64_t term)
{
	return b->heard.term == term ? b->heard.leader : 0;
}

/* Notes whom the answer will go to, and what it will echo. */
static void
note_leader(struct raft_backend *b, uint32_t from, uint64_t term, uint64_t sent)
{
	struct raft *r = b->io.data;

	if (term < r->current_term)
		return;
	if (b->heard.leader != from || b->heard.term != term)
		b->heard.sent = 0;
	b->heard.leader = from;
	b->heard.term = term;
	if (b->heard.sent < sent)
		b->heard.sent = sent;
}

/*
 * A marker for which this server hasn't the state would make a hole in it. It
 * is refused as libraft would, which lets the leader begin anew.
 */
static bool
refuse_marker(struct raft_backend *b, uint32_t from,
    const struct raft_install_snapshot *s)
{
	struct raft *r = b->io.data;
	struct raft_message m = { .type = RAFT_IO_APPEND_ENTRIES_RESULT,
		.server_id = from };
	struct raft_stamp stamp = { 0 };
	struct buf frame = { 0 };

	if (b->hooks.synced(b->hooks.arg) >=
	    raft_codec_index(s->data.base, s->data.len))
		return false;
	log_warn("raft: server %" PRIu32 " sent the marker %llu without its "
		 "state",
	    from, s->last_index);
	m.append_entries_result.term = r->current_term;
	m.append_entries_result.rejected = s->last_index;
	m.append_entries_result.last_log_index = r->last_stored;
	if (r->current_term != 0) {
		raft_codec_encode(&frame, &m, &stamp);
		b->hooks.send(b->hooks.arg, from, frame.data, frame.len);
		buf_clear(&frame);
	}
	return true;
}

/*
 * 0.15.0's follower stands by a leader until its own timer, drawn by chance,
 * has expired. What it owes the leader is one election time-out (raft_lease.h;
 * Raft itself says the same, 4.2.3): after that it may vote for who was
 * quicker.
 */
static void
forget_leader(struct raft_backend *b)
{
	struct raft *r = b->io.data;

	if (r->state == RAFT_FOLLOWER &&
	    b->hooks.now(b->hooks.arg) - r->election_timer_start >=
		r->election_timeout)
		r->follower_state.current_leader.id = 0;
}

static bool
vote_is_lost(const struct raft_backend *b, const struct raft_request_vote *v)
{
	const struct raft *r = b->io.data;

	/* A restarted server has forgotten whom it stood by (G4). */
	if (b->hooks.now(b->hooks.arg) < b->quiet_until)
		return true;
	/* 0.15.0 gives the target of a hand-over a vote in a term in which it
	 * has voted for another. */
	return !v->pre_vote && v->term == r->current_term &&
	    r->voted_for != 0 && r->voted_for != v->candidate_id;
}

static void
took_answer(struct raft_backend *b, uint32_t from,
    const struct raft_append_entries_result *a, const struct raft_stamp *stamp)
{
	const struct raft *r = b->io.data;

	if (r->state == RAFT_LEADER && a->term == r->current_term)
		b->hooks.answered(b->hooks.arg, from, stamp);
}

/* Whether the message is lost on purpose. */
static bool
is_lost(struct raft_backend *b, uint32_t from, const struct raft_message *m,
    const struct raft_stamp *stamp)
{
	switch (m->type) {
	case RAFT_IO_APPEND_ENTRIES:
		note_leader(b, from, m->append_entries.term, stamp->sent);
		return false;
	case RAFT_IO_INSTALL_SNAPSHOT:
		note_leader(b, from, m->install_snapshot.term, 0);
		return refuse_marker(b, from, &m->install_snapshot);
	case RAFT_IO_APPEND_ENTRIES_RESULT:
		took_answer(b, from, &m->append_entries_result, stamp);
		return false;
	case RAFT_IO_REQUEST_VOTE:
		forget_leader(b);
		return vote_is_lost(b, &m->request_vote);
	case RAFT_IO_TIMEOUT_NOW:
		return b->hooks.now(b->hooks.arg) < b->quiet_until ||
		    !b->hooks.willing(b->hooks.arg);
	default:
		return false;
	}
}

int
raft_io_receive(
    struct raft_backend *b, uint32_t from, const void *data, size_t len)
{
	struct raft_message m;
	struct raft_stamp stamp;
	char address[16];

	raft_io_drain(b);
	if (raft_codec_decode(data, len, from, &m, &stamp) != RES_OK)
		return RES_INVALID;
	if (is_lost(b, from, &m, &stamp)) {
		raft_codec_release(&m);
		return RES_OK;
	}
	/* Raft's address of a server is its id in digits. */
	snprintf(address, sizeof(address), "%" PRIu32, from);
	m.server_address = address;
	if (m.type == RAFT_IO_APPEND_ENTRIES) {
		b->append.term = m.append_entries.term;
		b->append.end = m.append_entries.prev_log_index +
		    m.append_entries.n_entries;
	}
	b->recv(&b->io, &m);
	b->append.term = 0;
	return RES_OK;
}

void
raft_io_step_down(struct raft_backend *b)
{
	struct raft *r = b->io.data;
	struct raft_message m = { .type = RAFT_IO_APPEND_ENTRIES_RESULT,
		.server_id = r->id,
		.server_address = r->address };

	m.append_entries_result.term = r->current_term + 1;
	b->recv(&b->io, &m);
}
