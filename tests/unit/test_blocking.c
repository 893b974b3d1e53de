/*
 * Blocking (XEP-0191): what is stopped, what is pushed, what contacts see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/router_world.h"
#include "xmppd/cluster/store_item.h"

#define ANN "ann@example.org"
#define BOB "bob@example.org"
#define LIST "<iq type='get' id='l'><blocklist xmlns='urn:xmpp:blocking'/></iq>"
#define ITEMS(verb, items)                                                     \
	"<iq type='set' id='b'><" verb " xmlns='urn:xmpp:blocking'>" items     \
	"</" verb "></iq>"
#define BLOCK(jid) ITEMS("block", "<item jid='" jid "'/>")
#define UNBLOCK(jid) ITEMS("unblock", "<item jid='" jid "'/>")
#define DONE "<iq type='result' id='b' to='" ANN "/x'></iq>"
#define BLOCKED "<blocked xmlns='urn:xmpp:blocking:errors'/>"

struct fixture {
	struct world *w;
	struct client *ann, *bob;
};

static int
setup(void **state)
{
	static struct fixture f;

	f.w = world_new(3);
	world_account(f.w, "ann");
	world_account(f.w, "bob");
	world_account(f.w, "carl");
	world_component(f.w, "cb1");
	world_befriend(f.w, "ann", "bob");
	f.ann = world_join(f.w, 1, ANN "/x", "<presence/>");
	f.bob = world_join(f.w, 2, BOB "/x", "<presence/>");
	client_skip(f.ann);
	client_skip(f.bob);
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
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(uplink_unacked(w->nodes[i].uplink), 0);
	world_free(w);
	return 0;
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

/* Ann blocks it, and everybody has read what comes of it. */
static void
block(struct fixture *f, const char *stanza)
{
	say(f, f->ann, stanza);
	expect(f->ann, DONE);
	client_skip(f->ann);
	client_skip(f->bob);
}

static void
list_is_kept_and_shown(void **state)
{
	struct fixture *f = *state;

	say(f, f->ann, LIST);
	expect(f->ann,
	    "<iq type='result' id='l' to='" ANN
	    "/x'><blocklist xmlns='urn:xmpp:blocking'></blocklist></iq>");
	block(f, BLOCK("Carl@Example.org/Y"));
	say(f, f->ann, LIST);
	expect(f->ann,
	    "<iq type='result' id='l' to='" ANN
	    "/x'><blocklist xmlns='urn:xmpp:blocking'>"
	    "<item jid='carl@example.org/Y'/></blocklist></iq>");
	block(f, UNBLOCK("carl@example.org/Y"));
	say(f, f->ann, LIST);
	assert_has(client_next(f->ann), "blocking'></blocklist>");
}

static void
malformed_requests_are_refused(void **state)
{
	static const struct {
		const char *iq, *condition;
	} rows[] = {
		{ ITEMS("block", ""), "<bad-request " },
		{ ITEMS("block", "<item/>"), "<bad-request " },
		{ BLOCK("@"), "<jid-malformed " },
		{ UNBLOCK("a@b@c"), "<jid-malformed " },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		say(f, f->ann, rows[i].iq);
		assert_has(client_next(f->ann), rows[i].condition);
	}
}

static void
change_is_pushed_to_who_asked_for_the_list(void **state)
{
	struct fixture *f = *state;
	struct client *y = world_join(f->w, 2, ANN "/y", NULL);
	struct client *z = world_join(f->w, 2, ANN "/z", NULL);

	say(f, y, LIST);
	client_skip(y);
	/* The next leader knows who has asked. */
	world_crash(f->w, 0);
	world_elect(f->w, 1, 1U << 2, 0);
	world_wait(f->w, 1000);
	block(f, BLOCK("carl@example.org"));
	assert_has(client_next(y),
	    "<block xmlns='urn:xmpp:blocking'>"
	    "<item jid='carl@example.org'/></block>");
	expect_nothing(y);
	block(f, ITEMS("unblock", ""));
	assert_has(client_next(y), "<unblock xmlns='urn:xmpp:blocking'>");
	expect_nothing(z);
}

/* Each way to name bob, and what else it stands for. */
static void
address_is_blocked_in_any_form(void **state)
{
	static const struct {
		const char *request;
		bool blocks;
	} rows[] = {
		{ BLOCK(BOB), true },
		{ BLOCK(BOB "/x"), true },
		{ BLOCK(BOB "/y"), false },
		{ BLOCK("example.org"), true },
		{ BLOCK("example.org/x"), true },
		{ BLOCK("example.org/y"), false },
		{ BLOCK("carl@example.org"), false },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		block(f, rows[i].request);
		say(f, f->bob,
		    "<message to='" ANN "/x' id='m' type='chat'><body>b"
		    "</body></message>");
		if (rows[i].blocks) {
			assert_has(
			    client_next(f->bob), "<service-unavailable ");
			expect_nothing(f->ann);
		} else {
			expect_nothing(f->bob);
			assert_has(client_next(f->ann), "<body>b</body>");
		}
		block(f, ITEMS("unblock", ""));
	}
}

static void
nothing_comes_from_somebody_blocked(void **state)
{
	static const struct {
		const char *stanza;
		bool answered;
	} rows[] = {
		{ "<message to='" ANN "'><body>b</body></message>", true },
		{ "<message to='" ANN "/x' type='headline'/>", true },
		{ "<message to='" ANN "/x' type='error'/>", false },
		{ "<iq to='" ANN "/x' type='get' id='1'><a xmlns='a'/></iq>",
		    true },
		{ "<iq to='" ANN "/x' type='result' id='1'/>", false },
		{ "<iq to='" ANN
		  "' type='get' id='1'><vCard xmlns='vcard-temp'/></iq>",
		    true },
		{ "<presence to='" ANN "'/>", false },
		{ "<presence to='" ANN "/x' type='unavailable'/>", false },
		{ "<presence to='" ANN "' type='probe'/>", false },
		{ "<presence to='" ANN "' type='subscribe'/>", false },
	};
	struct fixture *f = *state;

	block(f, BLOCK(BOB));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		say(f, f->bob, rows[i].stanza);
		expect_nothing(f->ann);
		if (rows[i].answered)
			assert_has(
			    client_next(f->bob), "<service-unavailable ");
		expect_nothing(f->bob);
	}
	say(f, f->bob, "<presence><show>away</show></presence>");
	expect_nothing(f->ann);
}

static void
nothing_goes_to_somebody_one_has_blocked(void **state)
{
	static const char *const stanzas[] = {
		"<message to='" BOB "'><body>b</body></message>",
		"<message to='" BOB "/x'/>",
		"<iq to='" BOB "/x' type='get' id='1'><a xmlns='a'/></iq>",
		"<presence to='" BOB "'/>",
	};
	struct fixture *f = *state;
	const char *got;

	block(f, BLOCK(BOB));
	for (size_t i = 0; i < sizeof(stanzas) / sizeof(stanzas[0]); i++) {
		say(f, f->ann, stanzas[i]);
		got = client_next(f->ann);
		assert_has(got, "<not-acceptable ");
		assert_has(got, BLOCKED);
		expect_nothing(f->bob);
	}
	say(f, f->ann, "<presence><show>away</show></presence>");
	expect_nothing(f->bob);
}

static void
contact_sees_the_user_go_and_come_back(void **state)
{
	struct fixture *f = *state;

	say(f, f->ann, BLOCK(BOB));
	expect(f->bob,
	    "<presence type='unavailable' from='" ANN "/x' to='" BOB "'/>");
	expect_nothing(f->bob);
	say(f, f->ann, UNBLOCK(BOB));
	assert_has(client_next(f->bob), "<presence to='" BOB "'");
	expect_nothing(f->bob);
}

static void
stranger_sees_nothing_of_it(void **state)
{
	struct fixture *f = *state;
	struct client *carl =
	    world_join(f->w, 0, "carl@example.org/x", "<presence/>");

	client_skip(carl);
	say(f, f->ann, BLOCK("carl@example.org"));
	say(f, f->ann, UNBLOCK("carl@example.org"));
	expect_nothing(carl);
}

static void
blocked_contact_finds_the_user_offline_at_login(void **state)
{
	struct fixture *f = *state;
	struct client *y;

	block(f, BLOCK(BOB));
	y = world_login(f->w, 0, BOB "/y");
	world_run(f->w);
	client_say(y, "<presence/>");
	world_run(f->w);
	for (const char *got = client_next(y); *got != '\0';
	     got = client_next(y))
		assert_null(strstr(got, ANN));
	expect_nothing(f->ann);
}

static void
who_is_not_here_is_asked_of_the_store(void **state)
{
	struct fixture *f = *state;

	block(f, BLOCK("example.org/x"));
	client_leave(f->ann);
	world_run(f->w);
	client_skip(f->bob);
	say(f, f->bob,
	    "<message to='" ANN "' type='chat'><body>b</body></message>");
	assert_has(client_next(f->bob), "<service-unavailable ");
	assert_int_equal(store_row_count(f->w->store), 0);
}

static void
component_can_be_blocked(void **state)
{
	struct fixture *f = *state;
	struct client *cb = world_join(f->w, 0, "cb1.example.org", NULL);

	block(f, BLOCK("cb1.example.org"));
	say(f, cb,
	    "<message from='r@cb1.example.org/n' to='" ANN
	    "/x'><body>b</body></message>");
	assert_has(client_next(cb), "<service-unavailable ");
	expect_nothing(f->ann);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(list_is_kept_and_shown),
		T(malformed_requests_are_refused),
		T(change_is_pushed_to_who_asked_for_the_list),
		T(address_is_blocked_in_any_form),
		T(nothing_comes_from_somebody_blocked),
		T(nothing_goes_to_somebody_one_has_blocked),
		T(contact_sees_the_user_go_and_come_back),
		T(stranger_sees_nothing_of_it),
		T(blocked_contact_finds_the_user_offline_at_login),
		T(who_is_not_here_is_asked_of_the_store),
		T(component_can_be_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
