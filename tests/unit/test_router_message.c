/*
 * Where a message goes: RFC 6121, 8.5.4, row by row, and what is said to its
 * sender.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/strutil.h"
#include "tests/lib/router_world.h"

static int
setup(void **state)
{
	struct world *w = world_new(1);

	world_account(w, "ann");
	world_account(w, "bob");
	world_component(w, "cb1");
	world_run(w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	assert_string_equal(w->problem, "");
	world_free(w);
	return 0;
}

/* ---- the table --------------------------------------------------------- */

/* How bob is there: the priorities of his sessions r1, r2, ...; 'u' for one
 * that has sent no presence. */
static const char *const there[] = { "", "u", "n", "0", "0n", "02", "nn" };

/*
 * What becomes of a message to bob: numbers of the sessions that get it, S for
 * silence, E for an error to the sender, O for stored. Where the RFC leaves a
 * choice between S and E, this server says E but for headlines.
 */
static const struct {
	const char *type; /* NULL: none */
	const char *to;
	const char *fates[7]; /* by `there` */
} table[] = {
	{ NULL, "bob@example.org", { "O", "O", "O", "1", "1", "12", "O" } },
	{ "normal", "bob@example.org", { "O", "O", "O", "1", "1", "12", "O" } },
	{ "chat", "bob@example.org", { "O", "O", "O", "1", "1", "12", "O" } },
	{ "groupchat", "bob@example.org",
	    { "E", "E", "E", "E", "E", "E", "E" } },
	{ "headline", "bob@example.org",
	    { "S", "S", "S", "1", "1", "12", "S" } },
	{ "error", "bob@example.org", { "S", "S", "S", "S", "S", "S", "S" } },
	{ NULL, "bob@example.org/r1", { "E", "1", "1", "1", "1", "1", "1" } },
	{ "normal", "bob@example.org/r1",
	    { "E", "1", "1", "1", "1", "1", "1" } },
	{ "chat", "bob@example.org/r1", { "O", "1", "1", "1", "1", "1", "1" } },
	{ "groupchat", "bob@example.org/r1",
	    { "E", "1", "1", "1", "1", "1", "1" } },
	{ "headline", "bob@example.org/r1",
	    { "S", "1", "1", "1", "1", "1", "1" } },
	{ "error", "bob@example.org/r1",
	    { "S", "1", "1", "1", "1", "1", "1" } },
	{ NULL, "bob@example.org/r2", { "E", "E", "E", "E", "2", "2", "2" } },
	{ "chat", "bob@example.org/r9",
	    { "O", "O", "O", "1", "1", "12", "O" } },
	{ "normal", "bob@example.org/r9",
	    { "E", "E", "E", "E", "E", "E", "E" } },
	{ "groupchat", "bob@example.org/r9",
	    { "E", "E", "E", "E", "E", "E", "E" } },
	{ "headline", "bob@example.org/r9",
	    { "S", "S", "S", "S", "S", "S", "S" } },
	{ "error", "bob@example.org/r9",
	    { "S", "S", "S", "S", "S", "S", "S" } },
	{ NULL, "eve@example.org", { "E", "E", "E", "E", "E", "E", "E" } },
	{ "chat", "eve@example.org", { "E", "E", "E", "E", "E", "E", "E" } },
	{ "groupchat", "eve@example.org",
	    { "E", "E", "E", "E", "E", "E", "E" } },
	{ "error", "eve@example.org", { "S", "S", "S", "S", "S", "S", "S" } },
	{ "chat", "eve@example.org/r1", { "E", "E", "E", "E", "E", "E", "E" } },
};

static void
arrive(struct world *w, const char *how, struct client *bob[4])
{
	char full[64];

	for (size_t i = 0; how[i] != '\0'; i++) {
		snprintf(full, sizeof(full), "bob@example.org/r%zu", i + 1);
		bob[i] = world_join(w, 0, full,
		    how[i] == 'u' ? NULL
			: how[i] == 'n'
			? "<presence><priority>-1</priority></presence>"
			: how[i] == '2'
			? "<presence><priority>2</priority></presence>"
			: "<presence/>");
		client_skip(bob[i]);
	}
	for (size_t i = 0; how[i] != '\0'; i++)
		client_skip(bob[i]);
}

static void
read_fate(struct world *w, struct client *ann, struct client *const bob[4],
    char out[8])
{
	const char *text = client_next(ann);
	size_t len = 0;

	for (size_t i = 0; i < 4; i++)
		if (bob[i] != NULL &&
		    str_starts(client_next(bob[i]), "<message "))
			out[len++] = (char)('1' + i);
	if (store_row_count(w->store) > 0)
		out[len++] = 'O';
	if (strstr(text, "<service-unavailable ") != NULL)
		out[len++] = 'E';
	else if (*text != '\0')
		out[len++] = '?';
	if (len == 0)
		out[len++] = 'S';
	out[len] = '\0';
}

static void
message_goes_where_the_rfc_says(void **state)
{
	char text[256], fate[8];
	struct client *ann, *bob[4];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		for (size_t k = 0; k < 7; k++) {
			void *made = NULL;
			struct world *w;

			setup(&made);
			w = made;
			memset(bob, 0, sizeof(bob));
			ann = world_join(w, 0, "ann@example.org/x", NULL);
			arrive(w, there[k], bob);
			snprintf(text, sizeof(text),
			    "<message to='%s' id='m'%s%s%s><body>b</body>"
			    "</message>",
			    table[i].to, table[i].type ? " type='" : "",
			    table[i].type ? table[i].type : "",
			    table[i].type ? "'" : "");
			client_say(ann, text);
			world_run(w);
			read_fate(w, ann, bob, fate);
			if (strcmp(fate, table[i].fates[k]) != 0)
				print_error("%s to %s while \"%s\": %s\n",
				    table[i].type ? table[i].type : "none",
				    table[i].to, there[k], fate);
			assert_string_equal(fate, table[i].fates[k]);
			assert_int_equal(uplink_unacked(w->nodes[0].uplink), 0);
			teardown(&made);
		}
}

/* ---- what is not in the table ------------------------------------------ */

static void
how_somebody_types_is_not_stored(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, "ann@example.org/x", NULL);

	client_say(ann,
	    "<message to='bob@example.org' type='chat' id='m'>"
	    "<active xmlns='http://jabber.org/protocol/chatstates'/>"
	    "<thread>t</thread></message>");
	world_run(w);
	expect(ann,
	    "<message type='error' id='m' from='bob@example.org' "
	    "to='ann@example.org/x'><error type='cancel'>"
	    "<service-unavailable "
	    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	    "</message>");
	assert_int_equal(store_row_count(w->store), 0);
}

static void
message_to_another_domain_is_bounced(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, "ann@example.org/x", NULL);

	client_say(ann,
	    "<message to='eve@other.org' id='m'><body>b</body>"
	    "</message>");
	world_run(w);
	expect(ann,
	    "<message type='error' id='m' from='eve@other.org' "
	    "to='ann@example.org/x'><error type='cancel'>"
	    "<remote-server-not-found "
	    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	    "</message>");
}

static void
message_to_oneself_comes_back(void **state)
{
	struct world *w = *state;
	struct client *ann =
	    world_join(w, 0, "ann@example.org/x", "<presence/>");

	client_say(ann, "<message id='m'><body>b</body></message>");
	world_run(w);
	expect(ann,
	    "<message from='ann@example.org/x' to='ann@example.org' "
	    "id='m'><body>b</body></message>");
	expect_nothing(ann);
}

static void
what_a_client_said_is_not_rebuilt(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, "ann@example.org/x", NULL);
	struct client *bob = world_join(w, 0, "bob@example.org/y", NULL);

	client_say(ann,
	    "<message to='bob@example.org/y' id='&lt;1&gt;' "
	    "xml:lang='de' x='y'><body>a &amp; b</body>"
	    "<z xmlns='urn:z'/></message>");
	world_run(w);
	expect(bob,
	    "<message from='ann@example.org/x' to='bob@example.org/y' "
	    "id='&lt;1&gt;' xml:lang='de' x='y'>"
	    "<body>a &amp; b</body><z xmlns='urn:z'/></message>");
}

static void
id_of_a_bounce_is_escaped(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, "ann@example.org/x", NULL);

	client_say(ann,
	    "<message to='eve@example.org' id='&lt;&apos;'>"
	    "<body>b</body></message>");
	world_run(w);
	assert_true(str_starts(client_next(ann),
	    "<message type='error' id='&lt;&apos;' from='eve@example.org'"));
}

static void
messages_of_one_sender_keep_their_order(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, "ann@example.org/x", NULL);
	struct client *bob = world_join(w, 0, "bob@example.org/y", NULL);
	char text[128];

	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text),
		    "<message to='bob@example.org%s' id='%d' type='chat'>"
		    "<body>b</body></message>",
		    i % 3 == 0 ? "/y" : "", i);
		client_say(ann, text);
	}
	client_say(bob, "<presence/>");
	world_run(w);
	for (int i = 0; i < 50; i++) {
		const char *got = client_next(bob);

		if (str_starts(got, "<presence"))
			got = client_next(bob);
		snprintf(text, sizeof(text), " id='%d'", i);
		assert_non_null(strstr(got, text));
	}
	expect_nothing(bob);
}

/* ---- components -------------------------------------------------------- */

static void
component_gets_what_is_for_its_domain(void **state)
{
	static const char *const to[] = { "cb1.example.org",
		"room@cb1.example.org", "room@cb1.example.org/nick",
		"cb1.example.org/x" };
	struct world *w = *state;
	struct client *ann = world_join(w, 0, "ann@example.org/x", NULL);
	struct client *cb = world_join(w, 0, "cb1.example.org", NULL);
	char text[256];

	for (size_t i = 0; i < 4; i++) {
		snprintf(text, sizeof(text),
		    "<message to='%s' id='m'><body>b</body></message>", to[i]);
		client_say(ann, text);
		world_run(w);
		snprintf(text, sizeof(text),
		    "<message from='ann@example.org/x' to='%s' id='m'>"
		    "<body>b</body></message>",
		    to[i]);
		expect(cb, text);
	}
	expect_nothing(ann);
}

static void
component_speaks_for_its_domain(void **state)
{
	struct world *w = *state;
	struct client *bob =
	    world_join(w, 0, "bob@example.org/y", "<presence/>");
	struct client *cb = world_join(w, 0, "cb1.example.org", NULL);

	client_say(cb,
	    "<message from='room@cb1.example.org/n' "
	    "to='bob@example.org' id='m'><body>b</body></message>");
	client_say(cb,
	    "<message from='room@cb1.example.org/n' "
	    "to='eve@example.org' id='m2'><body>b</body></message>");
	world_run(w);
	expect(bob,
	    "<message from='room@cb1.example.org/n' "
	    "to='bob@example.org' id='m'><body>b</body></message>");
	assert_true(str_starts(client_next(cb),
	    "<message type='error' id='m2' from='eve@example.org' "
	    "to='room@cb1.example.org/n'>"));
}

static void
component_that_is_away_is_unavailable(void **state)
{
	static const struct {
		const char *to, *condition;
	} rows[] = {
		{ "cb1.example.org", "<service-unavailable " },
		{ "room@cb1.example.org", "<service-unavailable " },
		{ "cb2.example.org", "<remote-server-not-found " },
		{ "x.cb1.example.org", "<remote-server-not-found " },
		{ "cb1xexample.org", "<remote-server-not-found " },
		{ "example.org", "<service-unavailable " },
	};
	struct world *w = *state;
	struct client *ann = world_join(w, 0, "ann@example.org/x", NULL);
	char text[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text),
		    "<message to='%s' id='m'><body>b</body></message>",
		    rows[i].to);
		client_say(ann, text);
		world_run(w);
		assert_non_null(strstr(client_next(ann), rows[i].condition));
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_goes_where_the_rfc_says),
		T(how_somebody_types_is_not_stored),
		T(message_to_another_domain_is_bounced),
		T(message_to_oneself_comes_back),
		T(what_a_client_said_is_not_rebuilt),
		T(id_of_a_bounce_is_escaped),
		T(messages_of_one_sender_keep_their_order),
		T(component_gets_what_is_for_its_domain),
		T(component_speaks_for_its_domain),
		T(component_that_is_away_is_unavailable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
