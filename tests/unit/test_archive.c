/*
 * Archives and copies in the router: which messages (XEP-0313, 0334, 0441,
 * 0280), under which ids (XEP-0359), queries, and what becomes of them when the
 * leader changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmalloc.h"
#include "tests/lib/router_world.h"
#include "xmppd/cluster/store_archive.h"

#define ANN "ann@example.org"
#define BOB "bob@example.org"
#define CARL "carl@example.org"

static int
setup(void **state)
{
	struct world *w = world_new(3);

	world_account(w, "ann");
	world_account(w, "bob");
	world_account(w, "carl");
	world_set(w, SHARED_ARCHIVE, "always");
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	world_free(*state);
	return 0;
}

static void say(struct client *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
say(struct client *c, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	client_say(c, text);
	world_wait(c->world, 20);
}

static uint64_t
archived(struct world *w, const char *account)
{
	struct archive a;

	store_archive(w->store, account, &a);
	return a.next - a.first;
}

static bool
has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

/* What follows a mark, up to the next apostrophe; "" without one. */
static const char *
behind(const char *text, const char *mark)
{
	static char out[4][64];
	static unsigned turn;
	char *to = out[turn++ % 4];
	const char *at = strstr(text, mark);

	to[0] = '\0';
	if (at != NULL)
		snprintf(to, 64, "%.*s", (int)strcspn(at + strlen(mark), "'"),
		    at + strlen(mark));
	return to;
}

static const char *
stanza_id(const char *text)
{
	const char *at = strstr(text, "<stanza-id ");

	return at == NULL ? "" : behind(at, " id='");
}

/* ---- what is archived -------------------------------------------------- */

static void
both_sides_have_it_once(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/x", NULL);
	struct client *one = world_join(w, 1, BOB "/y", "<presence/>");
	struct client *two = world_join(w, 2, BOB "/z", "<presence/>");
	const char *first;

	client_skip(one);
	say(ann, "<message to='" BOB "' id='1'><body>hi</body></message>");
	first = client_next(one);
	assert_true(
	    has(first, "<stanza-id xmlns='urn:xmpp:sid:0' by='" BOB "'"));
	assert_int_equal(strlen(stanza_id(first)), 20);
	assert_string_equal(client_next(two), first);
	assert_int_equal(archived(w, "ann"), 1);
	assert_int_equal(archived(w, "bob"), 1);
	assert_int_equal(uplink_unacked(w->nodes[0].uplink), 0);
}

/* Whether it is in ann's archive, and bob's. */
static const struct {
	const char *attrs, *inner;
	unsigned ann, bob;
} kinds[] = {
	{ "to='" BOB "'", "<body>b</body>", 1, 1 },
	{ "to='" BOB "/y' type='chat'", "<body>b</body>", 1, 1 },
	{ "to='" BOB "' type='chat'", "<x xmlns='u'/>", 0, 0 },
	{ "to='" BOB "' type='chat'",
	    "<x xmlns='u'/><store xmlns='urn:xmpp:hints'/>", 1, 1 },
	{ "to='" BOB "' type='chat'",
	    "<received xmlns='urn:xmpp:receipts' id='1'/>", 1, 1 },
	{ "to='" BOB "' type='chat'",
	    "<active xmlns='http://jabber.org/protocol/chatstates'/>", 0, 0 },
	{ "to='" BOB "'", "<body>b</body><no-store xmlns='urn:xmpp:hints'/>", 0,
	    0 },
	{ "to='" BOB "'",
	    "<body>b</body><no-permanent-store xmlns='urn:xmpp:hints'/>", 0,
	    0 },
	{ "to='" BOB "' type='headline'", "<body>b</body>", 0, 0 },
	{ "to='" BOB "/y' type='groupchat'", "<body>b</body>", 0, 0 },
	{ "to='" BOB "/y' type='error'",
	    "<body>b</body><store xmlns='urn:xmpp:hints'/>", 0, 0 },
	/* No session, nobody, elsewhere: it was sent, and refused. */
	{ "to='" CARL "'", "<body>b</body>", 1, 0 },
	{ "to='" BOB "/none'", "<body>b</body>", 1, 0 },
	{ "to='eve@example.org'", "<body>b</body>", 1, 0 },
	{ "to='eve@example.net'", "<body>b</body>", 1, 0 },
	{ "to='" ANN "'", "<body>b</body>", 1, 0 },
	{ "", "<body>b</body>", 1, 0 },
};

static void
it_depends_on_what_it_is(void **state)
{
	void *made;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct client *ann;
		struct world *w;

		setup(&made);
		w = made;
		ann = world_join(w, 0, ANN "/x", NULL);
		world_join(w, 1, BOB "/y", "<presence/>");
		say(ann, "<message %s>%s</message>", kinds[i].attrs,
		    kinds[i].inner);
		if (archived(w, "ann") != kinds[i].ann ||
		    archived(w, "bob") != kinds[i].bob)
			fail_msg("%s %s: %u, %u", kinds[i].attrs,
			    kinds[i].inner, (unsigned)archived(w, "ann"),
			    (unsigned)archived(w, "bob"));
		assert_int_equal(uplink_unacked(w->nodes[0].uplink), 0);
		teardown(&made);
	}
}

static void
one_that_waits_is_archived_too_under_the_same_id(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/x", NULL);
	struct client *bob;
	const char *row, *result;

	say(ann, "<message to='" BOB "'><body>hi</body></message>");
	assert_int_equal(archived(w, "bob"), 1);
	bob = world_join(w, 1, BOB "/y", NULL);
	say(bob, "<presence/>");
	client_next(bob);
	row = client_next(bob);
	assert_true(has(row, "<delay "));
	say(bob, "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>");
	result = client_next(bob);
	assert_string_equal(stanza_id(row), behind(result, " id='"));
}

static void
what_does_not_fit_is_refused_and_not_archived(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/x", NULL);

	world_set(w, SHARED_OFFLINE_LIMIT, "10");
	say(ann, "<message to='" BOB "' id='1'><body>hi</body></message>");
	assert_true(has(client_next(ann), "<service-unavailable "));
	assert_int_equal(archived(w, "ann"), 1);
	assert_int_equal(archived(w, "bob"), 0);
}

/* The delivery is there before the archive's command is in the log. */
static void
a_delivery_does_not_wait_but_the_acknowledgement_does(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 1, ANN "/x", NULL);
	struct client *bob = world_join(w, 2, BOB "/y", "<presence/>");

	client_skip(bob);
	client_say(ann, "<message to='" BOB "'><body>1</body></message>");
	client_say(ann, "<message to='" BOB "'><body>2</body></message>");
	for (int i = 0; i < 9; i++) {
		world_up(w, 1);
		world_up(w, 2);
		world_down(w, 2);
		world_down(w, 1);
	}
	assert_true(has(client_next(bob), "<body>1</body>"));
	assert_true(has(client_next(bob), "<body>2</body>"));
	assert_int_equal(uplink_unacked(w->nodes[1].uplink), 2);
	assert_int_equal(archived(w, "bob"), 0);
	world_wait(w, 20);
	assert_int_equal(uplink_unacked(w->nodes[1].uplink), 0);
	assert_int_equal(archived(w, "bob"), 2);
}

static void
a_new_leader_archives_what_the_old_one_had_not(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 1, ANN "/x", NULL);
	struct client *bob = world_join(w, 2, BOB "/y", "<presence/>");
	const char *got, *result;

	client_skip(bob);
	client_say(ann, "<message to='" BOB "'><body>1</body></message>");
	for (int i = 0; i < 9; i++) {
		world_up(w, 1);
		world_up(w, 2);
		world_down(w, 2);
	}
	got = client_next(bob);
	assert_true(has(got, "<body>1</body>"));
	world_crash(w, 0);
	world_elect(w, 1, 4, 0);
	world_wait(w, WORLD_HOLD + 2 * WORLD_MARGIN);
	expect_nothing(bob);
	assert_int_equal(archived(w, "ann"), 1);
	assert_int_equal(archived(w, "bob"), 1);
	say(bob, "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>");
	result = client_next(bob);
	assert_string_equal(stanza_id(got), behind(result, " id='"));
}

/* ---- preferences ------------------------------------------------------- */

static void
an_account_has_the_last_word(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/x", NULL);

	say(ann, "<iq type='get' id='p'><prefs xmlns='urn:xmpp:mam:2'/></iq>");
	assert_true(has(client_next(ann),
	    "<prefs xmlns='urn:xmpp:mam:2' default='always'><always></always>"
	    "<never></never></prefs>"));
	say(ann,
	    "<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' "
	    "default='never'><always><jid>Bob@example.org</jid></always>"
	    "<never/></prefs></iq>");
	assert_true(has(client_next(ann),
	    "default='never'><always><jid>" BOB "</jid></always>"));
	say(ann, "<message to='" CARL "'><body>1</body></message>");
	assert_int_equal(archived(w, "ann"), 0);
	assert_int_equal(archived(w, "carl"), 1);
	say(ann, "<message to='" BOB "/y'><body>1</body></message>");
	assert_int_equal(archived(w, "ann"), 1);
	say(ann,
	    "<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' "
	    "default='always'><never><jid>" CARL "/x</jid></never></prefs>"
	    "</iq>");
	say(ann, "<message to='" CARL "/x'><body>1</body></message>");
	assert_int_equal(archived(w, "ann"), 1);
	say(ann, "<message to='" CARL "/y'><body>1</body></message>");
	assert_int_equal(archived(w, "ann"), 2);
}

static void
it_can_be_for_contacts_only(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/x", NULL);

	world_set(w, SHARED_ARCHIVE, "roster");
	world_item(w, "ann", BOB, false, false);
	say(ann, "<message to='" CARL "'><body>1</body></message>");
	assert_int_equal(archived(w, "ann"), 0);
	say(ann, "<message to='" BOB "'><body>1</body></message>");
	assert_int_equal(archived(w, "ann"), 1);
	assert_int_equal(archived(w, "bob"), 0);
	world_set(w, SHARED_ARCHIVE, "never");
	say(ann, "<message to='" BOB "'><body>1</body></message>");
	assert_int_equal(archived(w, "ann"), 1);
}

/* ---- queries ----------------------------------------------------------- */

#define FORM(fields)                                                           \
	"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"       \
	"<value>urn:xmpp:mam:2</value></field>" fields "</x>"
#define FIELD(var, value)                                                      \
	"<field var='" var "'><value>" value "</value></field>"
#define RSM(inner) "<set xmlns='http://jabber.org/protocol/rsm'>" inner "</set>"

/* What a query brings: the bodies, and its end: "1 2 3 | complete 3". */
static const char *
ask(struct client *c, const char *inner)
{
	static char out[1024];
	const char *text;
	size_t at = 0;

	client_skip(c);
	say(c,
	    "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2' "
	    "queryid='f'>%s</query></iq>",
	    inner);
	out[0] = '\0';
	while (*(text = client_next(c)) == '<' && has(text, "<result ")) {
		const char *body = strstr(text, "<body>") + 6;

		assert_true(has(text, " queryid='f' "));
		assert_true(has(text, "<message xmlns='jabber:client' from='"));
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%.*s ",
		    (int)strcspn(body, "<"), body);
	}
	if (has(text, " type='error' "))
		snprintf(out + at, sizeof(out) - at, "%s",
		    behind(strstr(text, "<error "), "<") /* "error type=" */);
	if (has(text, "<item-not-found "))
		return "item-not-found";
	if (has(text, "<feature-not-implemented "))
		return "feature-not-implemented";
	if (has(text, "<bad-request "))
		return "bad-request";
	assert_true(has(text, "<fin xmlns='urn:xmpp:mam:2'"));
	text = has(text, "complete='true'") ? "all" : "more";
	snprintf(out + at, sizeof(out) - at, "| %s", text);
	return out;
}

static void
fill(struct client *ann, int count)
{
	static const char *const to[] = { BOB, CARL "/x" };

	for (int i = 1; i <= count; i++) {
		say(ann, "<message to='%s'><body>%d</body></message>",
		    to[i % 2], i);
		world_wait(ann->world, 1000);
	}
	client_skip(ann);
}

static void
queries_are_answered_in_pages(void **state)
{
	static const struct {
		const char *inner, *answer;
	} rows[] = {
		{ "", "1 2 3 4 5 6 | all" },
		{ RSM("<max>2</max>"), "1 2 | more" },
		{ RSM("<max>2</max><before/>"), "5 6 | more" },
		{ RSM("<max>6</max><before/>"), "1 2 3 4 5 6 | all" },
		{ RSM("<max>2</max><before/>") "<flip-page/>", "6 5 | more" },
		{ RSM("<max>0</max>"), "| more" },
		{ RSM("<max>2</max><index>3</index>"), "4 5 | more" },
		{ RSM("<max>x</max>"), "bad-request" },
		{ RSM("<after>none</after>"), "item-not-found" },
		{ RSM("<before>AAAAAAAAAAAAAAAAAAAA</before>"),
		    "item-not-found" },
		{ FORM(FIELD("with", BOB)), "2 4 6 | all" },
		{ FORM(FIELD("with", CARL "/x")) RSM("<max>2</max>"),
		    "1 3 | more" },
		{ FORM(FIELD("with", CARL "/y")), "| all" },
		{ FORM(FIELD("end", "2000-01-01T00:00:00Z")), "| all" },
		{ FORM(FIELD("start", "2000-01-01T00:00:00.5+01:00")),
		    "1 2 3 4 5 6 | all" },
		{ FORM(FIELD("start", "yesterday")), "bad-request" },
		{ FORM(FIELD("after-id", "x")), "item-not-found" },
		{ FORM(FIELD("ids", "x")), "item-not-found" },
		{ FORM(FIELD("include-groupchat", "true")),
		    "1 2 3 4 5 6 | all" },
		{ FORM(FIELD("{u}unheard-of", "1")),
		    "feature-not-implemented" },
		{ "<x xmlns='jabber:x:data' type='submit'>"
		  "<field var='FORM_TYPE'><value>u</value></field></x>",
		    "bad-request" },
	};
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/x", NULL);

	assert_string_equal(ask(ann, ""), "| all");
	fill(ann, 6);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *answer = ask(ann, rows[i].inner);

		if (strcmp(answer, rows[i].answer) != 0)
			fail_msg("%s: %s, not %s", rows[i].inner, answer,
			    rows[i].answer);
	}
}

static void
ids_lead_from_page_to_page(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/x", NULL);
	char inner[512], ids[6][32];
	const char *text;

	fill(ann, 6);
	say(ann, "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>");
	for (int i = 0; i < 6; i++)
		snprintf(ids[i], sizeof(ids[i]), "%s",
		    behind(client_next(ann), " id='"));
	text = client_next(ann);
	assert_true(has(text, "<count>6</count>"));
	assert_true(has(text, "<first index='0'>"));
	assert_true(has(text, ids[5]));
	snprintf(
	    inner, sizeof(inner), RSM("<max>2</max><after>%s</after>"), ids[1]);
	assert_string_equal(ask(ann, inner), "3 4 | more");
	snprintf(inner, sizeof(inner), RSM("<max>2</max><before>%s</before>"),
	    ids[2]);
	assert_string_equal(ask(ann, inner), "1 2 | all");
	snprintf(inner, sizeof(inner),
	    FORM(FIELD("after-id", "%s") FIELD("before-id", "%s")), ids[1],
	    ids[4]);
	assert_string_equal(ask(ann, inner), "3 4 | all");
	snprintf(inner, sizeof(inner),
	    FORM("<field var='ids'><value>%s</value><value>%s</value>"
		 "<value>%s</value></field>"),
	    ids[4], ids[0], ids[0]);
	assert_string_equal(ask(ann, inner), "1 5 | all");
}

static void
the_metadata_tells_both_ends(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/x", NULL);
	const char *text;

	say(ann,
	    "<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>");
	assert_true(has(
	    client_next(ann), "<metadata xmlns='urn:xmpp:mam:2'></metadata>"));
	fill(ann, 2);
	say(ann,
	    "<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>");
	text = client_next(ann);
	assert_true(has(text, "<start id='"));
	assert_true(has(text, "<end id='"));
	assert_true(has(text, "timestamp='2023-11-14T22:"));
}

static void
an_archive_is_its_accounts_alone(void **state)
{
	static const char *const requests[] = {
		"<iq type='set' id='q' to='" BOB "'>"
		"<query xmlns='urn:xmpp:mam:2'/></iq>",
		"<iq type='get' id='q' to='" BOB "'>"
		"<query xmlns='urn:xmpp:mam:2'/></iq>",
		"<iq type='get' id='q' to='" BOB "'>"
		"<metadata xmlns='urn:xmpp:mam:2'/></iq>",
	};
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/x", NULL);

	for (int i = 0; i < 3; i++) {
		say(ann, "%s", requests[i]);
		assert_true(has(client_next(ann), "<forbidden "));
	}
}

/* The leader goes in the middle of an answer. */
static void
an_answer_is_given_once(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 1, ANN "/x", NULL);

	fill(ann, 4);
	client_say(
	    ann, "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>");
	world_up(w, 1);
	world_down(w, 1);
	world_down(w, 1);
	assert_true(has(client_next(ann), "<body>1</body>"));
	assert_true(has(client_next(ann), "<body>2</body>"));
	expect_nothing(ann);
	world_crash(w, 0);
	world_elect(w, 2, 2, 0);
	world_wait(w, WORLD_HOLD + 2 * WORLD_MARGIN);
	assert_true(has(client_next(ann), "<body>3</body>"));
	assert_true(has(client_next(ann), "<body>4</body>"));
	assert_true(has(client_next(ann), "<fin "));
	expect_nothing(ann);
}

/* ---- carbons ----------------------------------------------------------- */

static struct client *
copied(struct world *w, unsigned node, const char *full)
{
	struct client *c = world_join(w, node, full, NULL);

	say(c,
	    "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
	assert_true(has(client_next(c), " type='result' "));
	return c;
}

static void
other_sessions_get_copies(void **state)
{
	struct world *w = *state;
	struct client *ann = copied(w, 0, ANN "/x");
	struct client *other = copied(w, 1, ANN "/y");
	struct client *bob = copied(w, 2, BOB "/y");
	struct client *two = copied(w, 1, BOB "/z");
	const char *got;

	say(ann,
	    "<message to='" BOB "/y' type='chat' id='1'><body>hi</body>"
	    "</message>");
	got = client_next(other);
	assert_true(has(got,
	    "<message from='" ANN "' to='" ANN "/y' "
	    "type='chat'><sent xmlns='urn:xmpp:carbons:2'>"
	    "<forwarded xmlns='urn:xmpp:forward:0'>"
	    "<message xmlns='jabber:client' from='" ANN "/x' "
	    "to='" BOB "/y'"));
	assert_true(has(got, "<stanza-id xmlns='urn:xmpp:sid:0' by='" ANN "'"));
	got = client_next(two);
	assert_true(has(got,
	    "<message from='" BOB "' to='" BOB "/z' "
	    "type='chat'><received "));
	assert_string_equal(stanza_id(got), stanza_id(client_next(bob)));
	expect_nothing(ann);
	expect_nothing(bob);
	expect_nothing(two);
	say(other,
	    "<iq type='set' id='c'><disable xmlns='urn:xmpp:carbons:2'/></iq>");
	client_skip(other);
	say(ann,
	    "<message to='" BOB "/y' type='chat'><body>x</body></message>");
	expect_nothing(other);
}

/* Sent and received copies, of ann's to bob's full address. */
static void
it_depends_on_what_is_copied(void **state)
{
	static const struct {
		const char *type, *inner;
		bool sent, received;
	} rows[] = {
		{ "chat", "", true, true },
		{ "normal", "<body>b</body>", true, true },
		{ "normal", "<x xmlns='u'/>", false, false },
		{ "normal", "<received xmlns='urn:xmpp:receipts' id='1'/>",
		    true, true },
		{ "normal", "<x xmlns='jabber:x:conference' jid='r@c.d'/>",
		    true, true },
		{ "normal",
		    "<x xmlns='http://jabber.org/protocol/muc#user'>"
		    "<invite to='" BOB "'/></x>",
		    true, true },
		{ "chat",
		    "<body>b</body>"
		    "<x xmlns='http://jabber.org/protocol/muc#user'/>",
		    true, false },
		{ "groupchat", "<body>b</body>", false, false },
		{ "headline", "<body>b</body>", false, false },
		{ "error", "<body>b</body>", false, false },
		{ "chat", "<body>b</body><private xmlns='urn:xmpp:carbons:2'/>",
		    false, false },
		{ "chat", "<body>b</body><no-copy xmlns='urn:xmpp:hints'/>",
		    false, false },
	};
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/x", NULL);
	struct client *other = copied(w, 1, ANN "/y");
	struct client *two = copied(w, 1, BOB "/z");

	world_join(w, 2, BOB "/y", NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool sent, received;

		say(ann, "<message to='" BOB "/y' type='%s'>%s</message>",
		    rows[i].type, rows[i].inner);
		sent = has(client_next(other), "<sent ");
		received = has(client_next(two), "<received ");
		if (sent != rows[i].sent || received != rows[i].received)
			fail_msg("%s %s: %d %d", rows[i].type, rows[i].inner,
			    sent, received);
	}
}

static void
errors_are_copied_if_what_they_answer_was(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 0, ANN "/x", NULL);
	struct client *other = copied(w, 1, ANN "/y");
	struct client *bob = world_join(w, 2, BOB "/y", NULL);

	say(ann,
	    "<message to='" BOB "/y' type='chat' id='1'><body>b</body>"
	    "</message>");
	client_skip(other);
	say(bob, "<message to='" ANN "/x' type='error' id='1'/>");
	assert_true(has(client_next(other), " type='error'><received "));
	say(bob, "<message to='" ANN "/x' type='error' id='2'/>");
	expect_nothing(other);
	/* And those of the server itself. */
	say(ann,
	    "<message to='" BOB "/none' type='normal' id='3'><body>b</body>"
	    "</message>");
	assert_true(has(client_next(other), "<sent "));
	assert_true(has(client_next(other), " type='error'><received "));
	expect_nothing(other);
}

static void
to_oneself_it_is_one_copy(void **state)
{
	struct world *w = *state;
	struct client *ann = copied(w, 0, ANN "/x");
	struct client *shown = copied(w, 1, ANN "/y");
	struct client *hidden = copied(w, 2, ANN "/z");

	say(shown, "<presence/>");
	client_skip(shown);
	say(ann, "<message to='" ANN "'><body>note</body></message>");
	assert_true(has(client_next(shown), "<stanza-id "));
	expect_nothing(shown);
	assert_true(has(client_next(hidden), "<sent "));
	expect_nothing(hidden);
	assert_int_equal(archived(w, "ann"), 1);
}

/* A copy that an edge had not accepted comes from the next leader, once. */
static void
copies_come_once_whoever_leads(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 1, ANN "/x", NULL);
	struct client *bob = world_join(w, 2, BOB "/y", NULL);
	struct client *two = copied(w, 2, BOB "/z");

	client_say(ann,
	    "<message to='" BOB "/y' type='chat'><body>1</body></message>");
	world_up(w, 1);
	world_down(w, 2);
	assert_true(has(client_next(bob), "<body>1</body>"));
	expect_nothing(two);
	world_crash(w, 0);
	world_elect(w, 1, 4, 0);
	world_wait(w, WORLD_HOLD + 2 * WORLD_MARGIN);
	assert_true(has(client_next(two), "<received "));
	expect_nothing(two);
	expect_nothing(bob);
	assert_int_equal(archived(w, "bob"), 1);
}

/* Who wants copies is known to the next leader. */
static void
asking_for_copies_is_remembered(void **state)
{
	struct world *w = *state;
	struct client *ann = world_join(w, 1, ANN "/x", NULL);
	struct client *two = copied(w, 2, BOB "/z");

	world_join(w, 2, BOB "/y", NULL);
	world_crash(w, 0);
	world_elect(w, 1, 4, 0);
	world_wait(w, WORLD_HOLD + 2 * WORLD_MARGIN);
	say(ann,
	    "<message to='" BOB "/y' type='chat'><body>1</body></message>");
	assert_true(has(client_next(two), "<received "));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_sides_have_it_once),
		cmocka_unit_test(it_depends_on_what_it_is),
		T(one_that_waits_is_archived_too_under_the_same_id),
		T(what_does_not_fit_is_refused_and_not_archived),
		T(a_delivery_does_not_wait_but_the_acknowledgement_does),
		T(a_new_leader_archives_what_the_old_one_had_not),
		T(an_account_has_the_last_word),
		T(it_can_be_for_contacts_only),
		T(queries_are_answered_in_pages),
		T(ids_lead_from_page_to_page),
		T(the_metadata_tells_both_ends),
		T(an_archive_is_its_accounts_alone),
		T(an_answer_is_given_once),
		T(other_sessions_get_copies),
		T(it_depends_on_what_is_copied),
		T(errors_are_copied_if_what_they_answer_was),
		T(to_oneself_it_is_one_copy),
		T(copies_come_once_whoever_leads),
		T(asking_for_copies_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
