/*
 * Sessions that go on at another edge (XEP-0198), and what they give back:
 * every message once and in order, whatever happens meanwhile; and contacts see
 * nothing of it. The edges' part is played by the test; the router is real.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmalloc.h"
#include "tests/lib/router_world.h"

#define ANN "ann@example.org"
#define BOB "bob@example.org"
#define SEEDS 300
#define MESSAGES 12

/* What an edge knows of a client that may be resumed. */
struct edge_part {
	char *claimed; /* by whom; NULL: it isn't */
	bool frozen;
	uint64_t frozen_by;
};

static struct edge_part *
part_of(struct client *c)
{
	if (c->mine == NULL)
		c->mine = xcalloc(1, sizeof(struct edge_part));
	return c->mine;
}

/* ---- the edges' part --------------------------------------------------- */

static void
report_cb(void *arg, const struct up_report *report)
{
	struct buf *b = arg;

	buf_add_u8(b, 1);
	delivery_id_encode(b, &report->id);
	sid_encode(b, &report->sender);
	buf_add_u8(b, report->kind);
	buf_add_u64(b, report->lane);
}

/* All that the client sent is acknowledged: its state goes. */
static void
yield(struct client *c)
{
	struct edge_part *part = part_of(c);
	struct up_frame frame = { 0 };
	struct buf b = { 0 };

	if (part->claimed == NULL || part->frozen || !uplink_is_empty(&c->up))
		return;
	part->frozen = c->up.yielded = true;
	uplink_encode(&c->up, &b);
	uplink_accepted_of(c->node->uplink, &c->up.sid, report_cb, &b);
	buf_add_u8(&b, 0);
	frame.id = text_of(part->claimed);
	frame.payload = (struct text){ (const char *)b.data, b.len };
	uplink_yield(c->node->uplink, &c->up, &frame);
	part->frozen_by = uplink_sent(&c->up);
	buf_clear(&b);
}

static void
take(struct client *c, struct text state)
{
	struct up_report report;
	struct cursor cur;

	cursor_init(&cur, state.data, state.len);
	assert_true(uplink_become(c->node->uplink, &c->up, &cur));
	while (cursor_u8(&cur) == 1) {
		memset(&report, 0, sizeof(report));
		report.id = delivery_id_read(&cur);
		report.sender = sid_decode(&cur);
		report.kind = cursor_u8(&cur);
		report.lane = cursor_u64(&cur);
		uplink_has_accepted(c->node->uplink, &report);
	}
	c->sid = c->up.sid;
	c->bound = c->world->clock;
}

static bool
word(struct client *c, const struct down_deliver *d, enum delivered *delivered)
{
	struct edge_part *part = part_of(c);

	*delivered = DELIVERED;
	if (d->kind == DELIVER_YIELD) {
		if (part->frozen)
			return true;
		free(part->claimed);
		part->claimed = xstrndup(d->payload.data + 2, 32);
		yield(c);
	} else if (d->kind == DELIVER_KEEP) {
		if (!part->frozen || !text_is(d->payload, part->claimed))
			return true;
		part->frozen = c->up.yielded = false;
		free(part->claimed);
		part->claimed = NULL;
	} else if (d->kind == DELIVER_RESUMED) {
		take(c, d->payload);
	} else if (part->frozen) {
		*delivered = DELIVERED_LATER;
	} else {
		return false;
	}
	return true;
}

static void
moved(struct client *c, uint64_t seq)
{
	struct edge_part *part = part_of(c);

	if (c->node == NULL)
		return;
	if (part->frozen && seq == part->frozen_by) {
		uplink_remove(c->node->uplink, &c->up);
		c->ended = c->world->clock;
		c->node = NULL;
		return;
	}
	yield(c);
}

/* A new connection at `node` wants to go on as `old`. */
static struct client *
resume(struct world *w, unsigned node, const struct client *old)
{
	struct client *c = xcalloc(1, sizeof(*c));
	struct buf id = { 0 };

	c->world = w;
	c->node = &w->nodes[node];
	c->full = xstrdup(old->full);
	c->bare = xstrdup(old->bare);
	c->begun = w->clock;
	c->up.full = xstrdup(old->bare);
	TAILQ_INIT(&c->got);
	TAILQ_INSERT_TAIL(&w->clients, c, next);
	sids_add(&id, &old->sid);
	uplink_resume(c->node->uplink, &c->up, SESSION_CLIENT, w->window,
	    buf_str(&id), "0");
	buf_clear(&id);
	c->sid = c->up.sid;
	return c;
}

/* ---- the world --------------------------------------------------------- */

struct fixture {
	struct world *w;
	struct client *ann, *bob;
};

static int
setup(void **state)
{
	static struct fixture f;

	f.w = world_new(3);
	f.w->word = word;
	f.w->moved = moved;
	world_account(f.w, "ann");
	world_account(f.w, "bob");
	world_befriend(f.w, "ann", "bob");
	f.bob = world_join(f.w, 2, BOB "/x", "<presence/>");
	f.ann = world_join(f.w, 1, ANN "/x", "<presence/>");
	client_skip(f.bob);
	client_skip(f.ann);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	struct client *c;

	world_wait(f->w, WORLD_HOLD + WORLD_MARGIN + 3000);
	assert_string_equal(f->w->problem, "");
	TAILQ_FOREACH(c, &f->w->clients, next) {
		free(part_of(c)->claimed);
		free(c->mine);
		c->mine = NULL;
	}
	f->w->word = NULL;
	f->w->moved = NULL;
	world_free(f->w);
	return 0;
}

static void
say(struct client *c, const char *to, unsigned number)
{
	char stanza[160];

	snprintf(stanza, sizeof(stanza),
	    "<message to='%s' type='chat' id='%u'><body>b</body></message>", to,
	    number);
	client_say(c, stanza);
}

/* The numbers of the messages that came to either, in order. */
static void
numbers_of(struct world *w, const char *full, char *out, size_t size)
{
	const struct client *c;
	const struct got *g;
	const char *at;
	size_t len = 0;

	out[0] = '\0';
	TAILQ_FOREACH(c, &w->clients, next) {
		if (strcmp(c->full, full) != 0)
			continue;
		TAILQ_FOREACH(g, &c->got, next) {
			at = strstr(g->text, " id='");
			if (strstr(g->text, "<message") != NULL && at != NULL)
				len += (size_t)snprintf(
				    out + len, size - len, "%d ", atoi(at + 5));
		}
	}
}

/* The one session of that address; NULL if it isn't one. */
static struct client *
present(struct world *w, const char *full)
{
	struct client *c, *found = NULL;

	TAILQ_FOREACH(c, &w->clients, next)
		if (c->node != NULL && c->bound != 0 &&
		    strcmp(c->full, full) == 0) {
			if (found != NULL)
				return NULL;
			found = c;
		}
	return found;
}

/* ---- without trouble --------------------------------------------------- */

static void
a_session_goes_on_elsewhere(void **state)
{
	struct fixture *f = *state;
	struct client *there;
	struct sid sid = f->ann->sid;
	char numbers[200];

	say(f->bob, ANN "/x", 1);
	world_run(f->w);
	there = resume(f->w, 0, f->ann);
	say(f->bob, ANN "/x", 2);
	say(f->bob, ANN, 3);
	world_run(f->w);
	world_wait(f->w, 200);
	assert_null(f->ann->node);
	assert_true(sid_equal(&there->up.sid, &sid));
	say(f->bob, ANN "/x", 4);
	say(there, BOB, 5);
	world_run(f->w);
	numbers_of(f->w, ANN "/x", numbers, sizeof(numbers));
	assert_string_equal(numbers, "1 2 3 4 ");
	numbers_of(f->w, BOB "/x", numbers, sizeof(numbers));
	assert_string_equal(numbers, "5 ");
	/* It is the same one for its contacts, and ends as one. */
	client_skip(f->bob);
	client_leave(there);
	world_run(f->w);
	expect(f->bob,
	    "<presence to='bob@example.org' from='ann@example.org/x' "
	    "type='unavailable'/>");
}

/* Rule 8: also under a leader that begins without a complete directory. */
static void
a_session_that_moved_survives_a_lost_directory(void **state)
{
	struct fixture *f = *state;
	struct client *there = resume(f->w, 2, f->ann);
	char numbers[200];

	world_run(f->w);
	world_wait(f->w, 200);
	world_crash(f->w, 0);
	world_crash(f->w, 1);
	world_restart(f->w, 0);
	world_restart(f->w, 1);
	world_elect(f->w, 0, 6, 0);
	world_wait(f->w, 1500);
	assert_true(f->w->lost_directory);
	world_unlink(f->w, 2);
	world_wait(f->w, 500);
	assert_ptr_equal(present(f->w, ANN "/x"), there);
	assert_null(there->kicked);
	say(f->bob, ANN "/x", 1);
	world_run(f->w);
	numbers_of(f->w, ANN "/x", numbers, sizeof(numbers));
	assert_string_equal(numbers, "1 ");
}

/* How much of what it had sent was handled is remembered for a while. */
static void
a_session_that_has_ended_is_not_resumed(void **state)
{
	struct fixture *f = *state;
	struct client *late;

	f->ann->up.handled = xstrdup("7");
	client_leave(f->ann);
	world_run(f->w);
	late = resume(f->w, 0, f->ann);
	world_run(f->w);
	assert_string_equal(late->refused, "item-not-found 7");
	/* Nor is one that never was, or is another account's. */
	late = resume(f->w, 0, f->bob);
	late->sid = f->bob->sid;
	client_leave(late);
	world_run(f->w);
}

/* The new connection is gone before it has the session. */
static void
a_session_stays_if_nobody_takes_it(void **state)
{
	struct fixture *f = *state;
	struct client *there = resume(f->w, 0, f->ann);
	char numbers[200];

	while (world_up(f->w, 0))
		;
	while (world_down(f->w, 1) || world_up(f->w, 1))
		;
	client_leave(there);
	say(f->bob, ANN "/x", 1);
	world_run(f->w);
	world_wait(f->w, 300);
	assert_ptr_equal(f->ann->node, &f->w->nodes[1]);
	assert_false(part_of(f->ann)->frozen);
	numbers_of(f->w, ANN "/x", numbers, sizeof(numbers));
	assert_string_equal(numbers, "1 ");
	there = resume(f->w, 0, f->ann);
	world_run(f->w);
	world_wait(f->w, 300);
	assert_ptr_equal(present(f->w, ANN "/x"), there);
}

/* ---- what is given back ------------------------------------------------ */

static void
give_back(struct client *c, const char *payload, const char *others)
{
	struct up_frame frame = { .kind = FRAME_RETURN,
		.type = TYPE_CHAT,
		.marks = MARK_BODY | MARK_CONTENT };

	frame.to = text_of(c->full);
	frame.from = text_of(BOB "/x");
	frame.id = text_of("1");
	frame.lang = text_of("1000000000");
	frame.child = text_of(others);
	frame.payload = text_of(payload);
	uplink_send(c->node->uplink, &c->up, &frame);
	client_leave(c);
}

#define RETURNED                                                               \
	"<message from='" BOB "/x' to='" ANN "/x' id='1'><body>b</body>"       \
	"</message>"

static bool
has_a_message(struct client *c)
{
	for (const char *at = client_next(c); at[0] != '\0';
	     at = client_next(c))
		if (strstr(at, "<message") != NULL)
			return true;
	return false;
}

static void
a_message_that_is_given_back_is_stored(void **state)
{
	struct fixture *f = *state;
	struct client *ann;

	give_back(f->ann, RETURNED, NULL);
	world_run(f->w);
	ann = world_join(f->w, 1, ANN "/y", NULL);
	client_say(ann, "<presence/>");
	world_wait(f->w, 500);
	assert_true(has_a_message(ann));
}

static void
a_message_that_is_given_back_goes_to_others(void **state)
{
	struct fixture *f = *state;
	struct client *ann = world_join(f->w, 0, ANN "/y", "<presence/>");

	client_skip(ann);
	give_back(f->ann, RETURNED, NULL);
	world_run(f->w);
	expect(ann,
	    "<message from='" BOB "/x' to='" ANN "/x' id='1'><body>b</body>"
	    "<delay xmlns='urn:xmpp:delay' from='example.org' "
	    "stamp='2001-09-09T01:46:40Z'/></message>");
}

static void
a_message_that_others_have_does_not_come_again(void **state)
{
	struct fixture *f = *state;
	struct client *ann = world_join(f->w, 0, ANN "/y", "<presence/>");
	struct buf others = { 0 };

	client_skip(ann);
	sids_add(&others, &f->ann->sid);
	sids_add(&others, &ann->sid);
	give_back(f->ann, RETURNED, buf_str(&others));
	buf_clear(&others);
	world_run(f->w);
	assert_false(has_a_message(ann));
}

/* ---- stored messages that a client has to acknowledge ------------------ */

static struct delivery_id kept;

static bool
keep_rows(
    struct client *c, const struct down_deliver *d, enum delivered *delivered)
{
	if (d->id.key.kind != DKEY_ROW)
		return false;
	kept = d->id;
	*delivered = DELIVERED_KEPT;
	client_note(c, d);
	return true;
}

/* Rule 7: a stored message that is on its way to the client's memory holds
 * nobody up, whoever leads; it is stored until the client has it. */
static void
a_row_stays_until_its_client_has_it(void **state)
{
	struct fixture *f = *state;
	struct client *ann;
	char numbers[200];

	client_leave(f->ann);
	say(f->bob, ANN, 1);
	world_run(f->w);
	f->w->word = keep_rows;
	f->w->moved = NULL;
	ann = world_join(f->w, 1, ANN "/x", "<presence/>");
	world_wait(f->w, 1000);
	say(f->bob, ANN, 2);
	world_run(f->w);
	numbers_of(f->w, ANN "/x", numbers, sizeof(numbers));
	assert_string_equal(numbers, "1 2 ");
	/* The next leader leaves it there. */
	world_elect(f->w, 2, 3, 0);
	world_wait(f->w, 2000);
	say(f->bob, ANN, 3);
	world_run(f->w);
	numbers_of(f->w, ANN "/x", numbers, sizeof(numbers));
	assert_string_equal(numbers, "1 2 3 ");
	/* Its client doesn't have it. */
	client_leave(ann);
	uplink_settle(f->w->nodes[1].uplink, &kept, false);
	ann = world_join(f->w, 0, ANN "/x", "<presence/>");
	world_wait(f->w, 1000);
	numbers_of(f->w, ANN "/x", numbers, sizeof(numbers));
	assert_string_equal(numbers, "1 2 3 1 ");
	/* Now it has. */
	uplink_settle(f->w->nodes[0].uplink, &kept, true);
	world_run(f->w);
	client_leave(ann);
	world_join(f->w, 2, ANN "/x", "<presence/>");
	world_wait(f->w, 1000);
	numbers_of(f->w, ANN "/x", numbers, sizeof(numbers));
	assert_string_equal(numbers, "1 2 3 1 ");
}

/* ---- with trouble ------------------------------------------------------ */

static uint64_t rng;

static unsigned
below(unsigned n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned)((rng >> 20) % n);
}

static void
elect_another(struct world *w)
{
	unsigned node = below(3);

	world_elect(w, node, 7U & ~(1U << node), below(3));
}

static void
step(struct world *w)
{
	unsigned node = below(3), what = below(60);
	struct world_node *leader = world_leader(w);

	w->clock++;
	if (what < 14)
		world_up(w, node);
	else if (what < 28)
		world_down(w, node);
	else if (what < 38)
		world_mirror(w, node);
	else if (what < 46)
		world_ack(w, node);
	else if (what < 52)
		world_commit(w);
	else if (what < 55 && leader != NULL)
		world_link(w, node, leader->index);
	else if (what < 57 && leader != NULL)
		world_mirror_link(w, node, leader->index);
	else if (what == 57 && below(4) == 0)
		world_unlink(w, node);
	else if (what == 58 && below(4) == 0)
		elect_another(w);
	else
		world_tick(w, 5);
}

/* Ann goes from edge to edge, sometimes in vain, while Bob writes to her. */
static void
play(struct fixture *f)
{
	struct client *ann = f->ann, *next = NULL;
	unsigned sent = 0;

	for (unsigned i = 0; i < 400; i++) {
		step(f->w);
		if (below(25) == 0 && sent < MESSAGES && f->bob->node != NULL)
			say(f->bob, below(2) == 0 ? ANN : ANN "/x", ++sent);
		if (next != NULL && next->node != NULL && next->bound != 0) {
			ann = next;
			next = NULL;
		}
		if (next != NULL && next->node != NULL && below(60) == 0) {
			client_leave(next);
			next = NULL;
		}
		if (next == NULL && ann->node != NULL && below(30) == 0)
			next = resume(
			    f->w, (ann->node->index + 1 + below(2)) % 3, ann);
	}
	while (sent < MESSAGES && f->bob->node != NULL)
		say(f->bob, ANN "/x", ++sent);
}

static void
describe(struct world *w)
{
	struct client *c;

	TAILQ_FOREACH(c, &w->clients, next)
		print_message("%s: node %d, sid %llu%s%s%s%s, kicked %s, "
			      "refused %s\n",
		    c->full, c->node == NULL ? -1 : (int)c->node->index,
		    (unsigned long long)c->up.sid.id % 100000,
		    c->bound != 0 ? " bound" : "",
		    part_of(c)->frozen ? " frozen" : "",
		    part_of(c)->claimed != NULL ? " claimed" : "",
		    c->up.begun ? " begun" : "",
		    c->kicked == NULL ? "-" : c->kicked,
		    c->refused == NULL ? "-" : c->refused);
}

/* Nothing is lost, nothing comes twice or out of order, nobody saw it. */
static bool
is_kept(struct fixture *f)
{
	char want[200] = "", numbers[400];
	size_t len = 0;

	for (unsigned i = 1; i <= MESSAGES; i++)
		len +=
		    (size_t)snprintf(want + len, sizeof(want) - len, "%u ", i);
	numbers_of(f->w, ANN "/x", numbers, sizeof(numbers));
	if (strcmp(want, numbers) != 0) {
		print_message("got %s\n", numbers);
		return false;
	}
	if (present(f->w, ANN "/x") == NULL) {
		print_message("not one session\n");
		return false;
	}
	for (const char *at = client_next(f->bob); at[0] != '\0';
	     at = client_next(f->bob))
		if (strstr(at, "unavailable") != NULL) {
			print_message("seen: %s\n", at);
			return false;
		}
	return true;
}

/* An edge that had no leader for hold has ended its sessions. */
static bool
has_failed(const struct world *w)
{
	for (unsigned i = 0; i < w->count; i++)
		if (w->nodes[i].failed)
			return true;
	return false;
}

static void
whatever_happens_nothing_is_lost(void **state)
{
	const char *only = getenv("HANDOVER_SEED");
	unsigned from = only == NULL ? 1 : (unsigned)atoi(only), bad = 0;

	teardown(state);
	for (unsigned seed = from; seed < from + (only == NULL ? SEEDS : 1);
	     seed++) {
		struct fixture *f;

		setup(state);
		f = *state;
		rng = seed * 0x9e3779b97f4a7c15ULL;
		play(f);
		elect_another(f->w);
		world_wait(f->w, 2500);
		if (!has_failed(f->w) && !is_kept(f)) {
			describe(f->w);
			print_message("HANDOVER_SEED=%u\n", seed);
			bad++;
		}
		teardown(state);
	}
	setup(state);
	assert_int_equal(bad, 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_session_goes_on_elsewhere),
		T(a_session_that_moved_survives_a_lost_directory),
		T(a_session_that_has_ended_is_not_resumed),
		T(a_session_stays_if_nobody_takes_it),
		T(a_message_that_is_given_back_is_stored),
		T(a_message_that_is_given_back_goes_to_others),
		T(a_message_that_others_have_does_not_come_again),
		T(a_row_stays_until_its_client_has_it),
		T(whatever_happens_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
