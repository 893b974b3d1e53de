/*
 * Personal eventing: who is told what a user publishes, once, whoever leads;
 * and how the router knows what clients want (XEP-0115).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto.h"
#include "common/xmalloc.h"
#include "tests/lib/router_world.h"
#include "xmppd/cluster/store_item.h"

#define ANN "ann@example.org"
#define BOB "bob@example.org"
#define PUBSUB "http://jabber.org/protocol/pubsub"
#define PUBLISH(id, text)                                                      \
	"<iq type='set' id='" id "'><pubsub xmlns='" PUBSUB                    \
	"'><publish node='n'><item id='" text "'><a xmlns='a'>" text           \
	"</a></item></publish></pubsub></iq>"
#define EVENT(text) "<item id='" text "'><a xmlns='a'>" text "</a></item>"
/* What a client of which only this is known can do: it wants node "n". */
#define FEATURES "n+notify<"
#define ANSWER                                                                 \
	"<query xmlns='http://jabber.org/protocol/disco#info'>"                \
	"<feature var='n+notify'/></query>"

struct fixture {
	struct world *w;
	struct client *ann, *bob;
};

static char presence[256];

/* Presence with the hash of FEATURES. */
static void
make_presence(void)
{
	uint8_t digest[20];
	char *ver;

	crypto_sha1(FEATURES, strlen(FEATURES), digest);
	ver = crypto_base64(digest, sizeof(digest));
	snprintf(presence, sizeof(presence),
	    "<presence><c xmlns='http://jabber.org/protocol/caps' "
	    "hash='sha-1' node='c' ver='%s'/></presence>",
	    ver);
	free(ver);
}

static int
setup(void **state)
{
	static struct fixture f;

	make_presence();
	f.w = world_new(3);
	world_account(f.w, "ann");
	world_account(f.w, "bob");
	world_befriend(f.w, "ann", "bob");
	f.ann = world_join(f.w, 1, ANN "/x", "<presence/>");
	f.bob = world_join(f.w, 2, BOB "/x", NULL);
	client_skip(f.ann);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;

	for (unsigned i = 0; i < 3; i++)
		world_restart(w, i);
	world_heal(w);
	world_wait(w, WORLD_HOLD + WORLD_MARGIN + 3000);
	assert_string_equal(w->problem, "");
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(uplink_unacked(w->nodes[i].uplink), 0);
		assert_int_equal(uplink_accepted(w->nodes[i].uplink), 0);
	}
	world_free(w);
	return 0;
}

static void
all_up(struct world *w, unsigned node)
{
	while (world_up(w, node))
		;
}

static void
say(struct fixture *f, struct client *c, const char *stanza)
{
	client_say(c, stanza);
	world_run(f->w);
}

static void
assert_has(const char *got, const char *part)
{
	if (strstr(got, part) == NULL)
		print_error("no %s: %s\n", part, got);
	assert_non_null(strstr(got, part));
}

/* The next stanza with this in it; others are passed over. */
static const char *
find(struct client *c, const char *part)
{
	const char *got = client_next(c);

	while (*got != '\0' && strstr(got, part) == NULL)
		got = client_next(c);
	return got;
}

/* Answers the server's question with this. */
static void
answer(struct fixture *f, struct client *c, const char *type, const char *query)
{
	const char *question = find(c, "<iq type='get' id='caps-");
	const char *id = strstr(question, "id='");
	char text[512];

	assert_non_null(id);
	snprintf(text, sizeof(text), "<iq type='%s' to='%s' %.*s'>%s</iq>",
	    type, c->bare, (int)(strchr(id + 4, '\'') - id), id, query);
	say(f, c, text);
}

/* Bob comes, and wants what is published at "n". */
static void
come(struct fixture *f)
{
	say(f, f->bob, presence);
	answer(f, f->bob, "result", ANSWER);
	client_skip(f->bob);
	client_skip(f->ann);
}

/* ---- what clients want ------------------------------------------------- */

static void
client_is_asked_once_for_its_hash(void **state)
{
	struct fixture *f = *state;
	struct client *y;

	come(f);
	say(f, f->ann, PUBLISH("1", "a"));
	assert_has(client_next(f->bob), EVENT("a"));
	y = world_join(f->w, 0, BOB "/y", NULL);
	say(f, y, presence);
	assert_has(find(y, "<message"), EVENT("a"));
	expect_nothing(y);
}

static void
hash_is_known_to_the_next_leader(void **state)
{
	struct fixture *f = *state;

	come(f);
	world_crash(f->w, 0);
	world_elect(f->w, 1, 1U << 2, 0);
	world_wait(f->w, 1000);
	say(f, f->ann, PUBLISH("1", "a"));
	assert_has(client_next(f->bob), EVENT("a"));
	expect_nothing(f->bob);
}

static void
answer_to_a_hash_that_is_not_its_own_is_not_kept(void **state)
{
	struct fixture *f = *state;

	say(f, f->bob, presence);
	answer(f, f->bob, "result",
	    "<query xmlns='http://jabber.org/protocol/disco#info'>"
	    "<feature var='n+notify'/><feature var='more'/></query>");
	assert_false(store_item_any(f->w->store, "", SPACE_CAPS));
	client_skip(f->bob);
	say(f, f->ann, PUBLISH("1", "a"));
	assert_has(client_next(f->bob), EVENT("a"));
}

static void
client_that_answers_with_an_error_wants_nothing(void **state)
{
	struct fixture *f = *state;

	say(f, f->bob, presence);
	answer(f, f->bob, "error", "");
	client_skip(f->bob);
	say(f, f->ann, PUBLISH("1", "a"));
	expect_nothing(f->bob);
}

/* XEP-0115, 5.1 and 5.4: none of these is what the hash stands for, whatever
 * it is a hash of. */
static void
ill_formed_answers_are_not_kept(void **state)
{
	static const char *const rows[] = {
		"<feature var='n+notify'/><feature var='n+notify'/>",
		"<identity category='a' type='b&lt;n+notify'/>",
		"<feature var='&lt;'/>",
	};
	struct fixture *f = *state;
	struct client *c;
	char text[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), BOB "/%zu", i);
		c = world_join(f->w, 2, text, NULL);
		say(f, c, presence);
		snprintf(text, sizeof(text),
		    "<query xmlns='http://jabber.org/protocol/"
		    "disco#info'>%s</query>",
		    rows[i]);
		answer(f, c, "result", text);
		assert_false(store_item_any(f->w->store, "", SPACE_CAPS));
	}
}

/* ---- notifications ----------------------------------------------------- */

static void
unavailable_session_is_not_told(void **state)
{
	struct fixture *f = *state;

	come(f);
	say(f, f->bob, "<presence type='unavailable'/>");
	client_skip(f->bob);
	say(f, f->ann, PUBLISH("1", "a"));
	expect_nothing(f->bob);
	say(f, f->bob, presence);
	assert_has(find(f->bob, "<message"), EVENT("a"));
}

/* The leader is lost before the publisher has its answer; `survive` of the
 * commands turn out to be committed. */
static void
publish_over_a_lost_leader(struct fixture *f, unsigned survive, bool told)
{
	struct world *w = f->w;

	come(f);
	client_say(f->ann, PUBLISH("1", "a"));
	all_up(w, 1);
	if (told) {
		world_commit(w);
		while (world_down(w, 2))
			;
		assert_has(client_next(f->bob), EVENT("a"));
	}
	world_crash(w, 0);
	world_elect(w, 1, 1U << 2, survive);
	world_wait(w, 1000);
	assert_has(client_next(f->ann), "type='result' id='1'");
	expect_nothing(f->ann);
	if (!told)
		assert_has(client_next(f->bob), EVENT("a"));
	expect_nothing(f->bob);
}

static void
notification_comes_once_though_its_leader_is_lost(void **state)
{
	publish_over_a_lost_leader(*state, 1, false);
}

static void
notification_comes_once_if_the_command_was_lost(void **state)
{
	publish_over_a_lost_leader(*state, 0, false);
}

static void
notification_that_was_made_is_not_made_again(void **state)
{
	publish_over_a_lost_leader(*state, 0, true);
}

static void
generated_id_is_the_same_for_a_frame_that_comes_again(void **state)
{
	struct store_node n = {
		.local = "ann", .space = SPACE_PEP, .node = "n"
	};
	struct fixture *f = *state;
	struct world *w = f->w;
	struct store_item *items;

	client_say(f->ann,
	    "<iq type='set' id='1'><pubsub xmlns='" PUBSUB
	    "'><publish node='n'><item><a xmlns='a'/></item></publish>"
	    "</pubsub></iq>");
	all_up(w, 1);
	world_crash(w, 0);
	world_elect(w, 1, 1U << 2, 1);
	world_wait(w, 1000);
	assert_int_equal(store_items(w->store, &n, &items), 1);
	assert_has(client_next(f->ann), items[0].id);
	store_items_clear(items, 1);
}

static void
deletion_is_told_once_though_its_leader_is_lost(void **state)
{
	struct fixture *f = *state;
	struct world *w = f->w;

	come(f);
	say(f, f->ann, PUBLISH("1", "a"));
	client_skip(f->ann);
	client_skip(f->bob);
	client_say(f->ann,
	    "<iq type='set' id='2'><pubsub xmlns='" PUBSUB
	    "#owner'><delete node='n'/></pubsub></iq>");
	all_up(w, 1);
	world_crash(w, 0);
	world_elect(w, 1, 1U << 2, 1);
	world_wait(w, 1000);
	assert_has(client_next(f->ann), "type='result' id='2'");
	assert_has(client_next(f->bob), "<delete node='n'/>");
	expect_nothing(f->bob);
	assert_false(store_item_any(w->store, "ann", SPACE_PEP));
	assert_false(store_item_any(w->store, "ann", SPACE_PEP_NODE));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(client_is_asked_once_for_its_hash),
		T(hash_is_known_to_the_next_leader),
		T(answer_to_a_hash_that_is_not_its_own_is_not_kept),
		T(client_that_answers_with_an_error_wants_nothing),
		T(ill_formed_answers_are_not_kept),
		T(unavailable_session_is_not_told),
		T(notification_comes_once_though_its_leader_is_lost),
		T(notification_comes_once_if_the_command_was_lost),
		T(notification_that_was_made_is_not_made_again),
		T(generated_id_is_the_same_for_a_frame_that_comes_again),
		T(deletion_is_told_once_though_its_leader_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
