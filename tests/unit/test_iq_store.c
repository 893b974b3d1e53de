/*
 * Requests that change what an account keeps in the store: once, and answered
 * once, whoever leads. Private data (XEP-0049) and vCards (XEP-0054) stand for
 * the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/limits.h"
#include "common/xmalloc.h"
#include "tests/lib/router_world.h"
#include "xmppd/cluster/store_item.h"

#define ANN "ann@example.org"
#define BOB "bob@example.org"
#define ROOM "<room xmlns='urn:r' name='a'>x<b/>y</room>"
#define PRIVATE(inside) "<query xmlns='jabber:iq:private'>" inside "</query>"
#define SET(id, inside) "<iq type='set' id='" id "'>" inside "</iq>"
#define GET(id, inside) "<iq type='get' id='" id "'>" inside "</iq>"
#define VCARD "<vCard xmlns='vcard-temp'><FN>Ann</FN></vCard>"

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
	f.ann = world_join(f.w, 1, ANN "/x", NULL);
	f.bob = world_join(f.w, 2, BOB "/x", NULL);
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
all_up(struct world *w, unsigned node)
{
	while (world_up(w, node))
		;
}

/* Says it, and gives what comes back. */
static const char *
ask(struct fixture *f, struct client *c, const char *iq)
{
	client_say(c, iq);
	world_run(f->w);
	return client_next(c);
}

static void
assert_has(const char *got, const char *part)
{
	if (strstr(got, part) == NULL)
		print_error("no %s: %s\n", part, got);
	assert_non_null(strstr(got, part));
}

static void
private_data_is_kept_by_element(void **state)
{
	struct fixture *f = *state;

	expect(f->ann, "");
	assert_string_equal(
	    ask(f, f->ann, SET("1", PRIVATE(ROOM "<o xmlns='urn:o'>z</o>"))),
	    "<iq type='result' id='1' to='" ANN "/x'></iq>");
	assert_string_equal(
	    ask(f, f->ann, GET("2", PRIVATE("<room xmlns='urn:r'/>"))),
	    "<iq type='result' id='2' to='" ANN "/x'>" PRIVATE(ROOM) "</iq>");
	assert_has(ask(f, f->ann, GET("3", PRIVATE("<o xmlns='urn:o'/>"))),
	    PRIVATE("<o xmlns='urn:o'>z</o>"));
	assert_has(ask(f, f->bob, GET("4", PRIVATE("<o xmlns='urn:o'/>"))),
	    PRIVATE("<o xmlns='urn:o'/>"));
}

static void
malformed_private_requests_are_refused(void **state)
{
	static const struct {
		const char *iq, *condition;
	} rows[] = {
		{ GET("1", PRIVATE("")), "<bad-request " },
		{ GET("1", PRIVATE("<a xmlns='a'/><b xmlns='b'/>")),
		    "<bad-request " },
		{ GET("1", PRIVATE("<a/>")), "<not-acceptable " },
		{ SET("1", PRIVATE("")), "<not-acceptable " },
		{ SET("1", PRIVATE("<a/>")), "<not-acceptable " },
		{ "<iq type='get' id='1' to='" BOB
		  "'>" PRIVATE("<a xmlns='a'/>") "</iq>",
		    "<service-unavailable " },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_has(ask(f, f->ann, rows[i].iq), rows[i].condition);
}

static void
vcard_is_one_s_own_to_set_and_everybody_s_to_read(void **state)
{
	struct fixture *f = *state;
	static const char other[] = "<iq type='get' id='1' to='" ANN
				    "'><vCard xmlns='vcard-temp'/></iq>";

	assert_has(ask(f, f->ann, GET("1", "<vCard xmlns='vcard-temp'/>")),
	    "<vCard xmlns='vcard-temp'/>");
	assert_has(ask(f, f->bob, other), "<service-unavailable ");
	assert_has(ask(f, f->ann, SET("2", VCARD)), "type='result'");
	assert_has(ask(f, f->bob, other), VCARD);
	assert_has(
	    ask(f, f->bob, "<iq type='set' id='2' to='" ANN "'>" VCARD "</iq>"),
	    "<forbidden ");
	assert_has(
	    ask(f, f->bob,
		"<iq type='set' id='2' to='eve@example.org'>" VCARD "</iq>"),
	    "<forbidden ");
}

static void
too_much_is_refused(void **state)
{
	enum { SIZE = 200000 };
	struct fixture *f = *state;
	uint64_t max = limit_rows[LIMIT_DATA].usual;
	char *value = xmalloc(SIZE + 1), *iq;
	const char *got = "type='result'";

	memset(value, 'x', SIZE);
	value[SIZE] = '\0';
	for (int i = 0; strstr(got, "type='result'") != NULL; i++) {
		xasprintf(&iq,
		    SET("1", PRIVATE("<big%d xmlns='urn:b'>%s</big%d>")), i,
		    value, i);
		got = ask(f, f->ann, iq);
		free(iq);
	}
	assert_has(got, "<resource-constraint ");
	assert_in_range(
	    store_item_bytes(f->w->store, "ann"), max - SIZE - 1000, max);
	free(value);
}

static void
answer_waits_for_the_commit(void **state)
{
	struct fixture *f = *state;

	client_say(f->ann, SET("1", VCARD));
	all_up(f->w, 1);
	while (world_down(f->w, 1))
		;
	expect_nothing(f->ann);
	world_run(f->w);
	assert_has(client_next(f->ann), "id='1'");
}

/* The frame is sent again to the next leader: `survive` of the commands turn
 * out to be committed. */
static void
lead_anew(struct fixture *f, unsigned survive)
{
	client_say(f->ann, SET("1", VCARD));
	all_up(f->w, 1);
	world_crash(f->w, 0);
	assert_true(world_elect(f->w, 1, 1U << 2, survive));
	world_wait(f->w, 1000);
	assert_has(client_next(f->ann), "type='result' id='1'");
	expect_nothing(f->ann);
	assert_true(store_item_any(f->w->store, "ann", SPACE_VCARD));
}

static void
change_is_made_once_though_its_leader_is_lost(void **state)
{
	struct store_node n = {
		.local = "ann", .space = SPACE_VCARD, .node = ""
	};
	struct fixture *f = *state;
	struct store_item item;

	lead_anew(f, 1);
	assert_true(store_item(f->w->store, &n, "", &item));
	assert_int_equal(item.seq, 1);
	store_item_clear(&item);
}

static void
change_is_made_by_the_next_leader_if_it_was_lost(void **state)
{
	lead_anew(*state, 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(private_data_is_kept_by_element),
		T(malformed_private_requests_are_refused),
		T(vcard_is_one_s_own_to_set_and_everybody_s_to_read),
		T(too_much_is_refused),
		T(answer_waits_for_the_commit),
		T(change_is_made_once_though_its_leader_is_lost),
		T(change_is_made_by_the_next_leader_if_it_was_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
