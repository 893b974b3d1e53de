/*
 * The stream parser: what it reports, in chunks of any size, and what it
 * refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/xmlstream.h"

#define OPEN                                                                   \
	"<?xml version='1.0'?><stream:stream xmlns='jabber:client' "           \
	"xmlns:stream='http://etherx.jabber.org/streams' to='example.com' "    \
	"version='1.0' xml:lang='en'>"

/* What happened, as one text: a line an event. */
struct trace {
	struct buf log;
	struct xmlstream *x;
	bool restart, drop;
};

static void
trace_open(void *arg, const struct xml_open *o)
{
	struct trace *t = arg;

	buf_addf(&t->log, "open %s {%s} to=%s version=%s lang=%s content=%s\n",
	    o->name, o->ns, o->to ? o->to : "-", o->version ? o->version : "-",
	    o->lang ? o->lang : "-", o->content_ns ? o->content_ns : "-");
}

static void
trace_stanza(void *arg, const struct xml_stanza *s)
{
	struct trace *t = arg;

	xml_stanza_write(&t->log, s, s->from, s->to, NULL);
	buf_addf(&t->log, " first={%s}%s n=%u body=%d\n",
	    s->child_ns ? s->child_ns : "", s->child ? s->child : "",
	    s->children, (s->marks & MARK_BODY) != 0);
	for (size_t i = 0; i < s->id_count; i++)
		buf_addf(&t->log, "id by %s: %.*s\n",
		    s->ids[i].by == NULL ? "nobody" : s->ids[i].by,
		    (int)(s->ids[i].end - s->ids[i].start),
		    s->inner + s->ids[i].start);
	if (t->restart)
		xmlstream_restart(t->x, t->drop);
	t->restart = false;
}

static void
trace_close(void *arg)
{
	buf_add_str(&((struct trace *)arg)->log, "close\n");
}

static void
trace_error(void *arg, enum stream_error e, const char *text)
{
	(void)text;
	buf_addf(
	    &((struct trace *)arg)->log, "error %s\n", stream_error_name(e));
}

static const struct xmlstream_ops ops = { trace_open, trace_stanza, trace_close,
	trace_error, NULL };
static const struct xml_limits limits = { 2000, 20, 20 };

/* Feeds in chunks of that size, resting the parser wherever it may. */
static char *
run(const char *input, size_t chunk, bool rest, struct trace *t)
{
	size_t len = strlen(input), part;

	t->x = xmlstream_new(&limits, &ops, t);
	for (; len > 0; input += part, len -= part) {
		part = len < chunk ? len : chunk;
		xmlstream_feed(t->x, (const uint8_t *)input, part);
		if (rest)
			xmlstream_rest(t->x);
	}
	xmlstream_free(t->x);
	return buf_str(&t->log);
}

static const struct {
	const char *name, *input, *expected;
} cases[] = {
	{ "header", OPEN,
	    "open stream {http://etherx.jabber.org/streams} to=example.com "
	    "version=1.0 lang=en content=jabber:client\n" },
	{ "message",
	    OPEN "<message to='a@b' type='chat' id='1'>"
		 "<body>x &lt; y &amp; z</body></message>",
	    "<message to='a@b' type='chat' id='1'><body>x &lt; y &amp; z</body>"
	    "</message> first={jabber:client}body n=1 body=1\n" },
	{ "escaped characters in attributes",
	    OPEN "<iq id='a&amp;b' x='&lt;&amp;&#38;&apos;'>"
		 "<q xmlns='u' y='1&amp;2'/></iq>",
	    "<iq id='a&amp;b' x='&lt;&amp;&amp;&apos;'>"
	    "<q xmlns='u' y='1&amp;2'/></iq> first={u}q n=1 body=0\n" },
	{ "white space between", OPEN " \n <presence/> <presence/>\n",
	    "<presence/> first={} n=0 body=0\n"
	    "<presence/> first={} n=0 body=0\n" },
	{ "other namespaces",
	    OPEN "<iq id='1'><query xmlns='jabber:iq:roster'>"
		 "<item jid='a'/></query></iq>",
	    "<iq id='1'><query xmlns='jabber:iq:roster'><item jid='a'/>"
	    "</query></iq> first={jabber:iq:roster}query n=1 body=0\n" },
	{ "prefixes",
	    OPEN "<iq id='1' xmlns:r='urn:r'><r:q r:a='1' b='2'>"
		 "<r:c/></r:q></iq>",
	    "<iq id='1' xmlns:r='urn:r'><q xmlns='urn:r' xmlns:r='urn:r' "
	    "r:a='1' b='2'><c/></q></iq> first={urn:r}q n=1 body=0\n" },
	{ "a prefix in a value",
	    OPEN "<iq id='1'><q xmlns='u' xmlns:t='urn:t' t:a='t:x' t:b='2'/>"
		 "</iq>",
	    "<iq id='1'><q xmlns='u' xmlns:t='urn:t' t:a='t:x' t:b='2'/></iq> "
	    "first={u}q n=1 body=0\n" },
	{ "names of namespaces that are no URI",
	    OPEN "<message><x xmlns=' &lt;'/></message>",
	    "<message><x xmlns=' &lt;'/></message> first={ <}x n=1 body=0\n" },
	{ "a stanza inside another namespace",
	    OPEN "<message><f xmlns='u'>"
		 "<message xmlns='jabber:client'><body>i</body></message></f>"
		 "</message>",
	    "<message><f xmlns='u'><message xmlns='jabber:client'>"
	    "<body>i</body></message></f></message> first={u}f n=1 body=0\n" },
	{ "stanza ids",
	    OPEN "<message><stanza-id xmlns='urn:xmpp:sid:0' by='a' id='1'/>"
		 "<body>b</body><stanza-id id='2' xmlns='urn:xmpp:sid:0'>"
		 "<x><y/></x>t</stanza-id><f xmlns='u'>"
		 "<stanza-id xmlns='urn:xmpp:sid:0'/></f></message>",
	    "<message><stanza-id xmlns='urn:xmpp:sid:0' by='a' id='1'/>"
	    "<body>b</body><stanza-id xmlns='urn:xmpp:sid:0' id='2'>"
	    "<x><y/></x>t</stanza-id><f xmlns='u'><stanza-id "
	    "xmlns='urn:xmpp:sid:0'/></f></message> "
	    "first={urn:xmpp:sid:0}stanza-id n=4 body=1\n"
	    "id by a: <stanza-id xmlns='urn:xmpp:sid:0' by='a' id='1'/>\n"
	    "id by nobody: <stanza-id xmlns='urn:xmpp:sid:0' id='2'>"
	    "<x><y/></x>t</stanza-id>\n" },
	{ "no namespace", OPEN "<message><x xmlns=''/></message>",
	    "<message><x xmlns=''/></message> first={}x n=1 body=0\n" },
	{ "white space in attributes and text",
	    OPEN "<message id='a&#10;b&#9;c'><body>a\tb&#13;c</body></message>",
	    "<message id='a&#10;b&#9;c'><body>a\tb&#13;c</body></message> "
	    "first={jabber:client}body n=1 body=1\n" },
	{ "cdata", OPEN "<message><body><![CDATA[<a>]]></body></message>",
	    "<message><body>&lt;a&gt;</body></message> "
	    "first={jabber:client}body n=1 body=1\n" },
	{ "what is markup elsewhere, in cdata",
	    OPEN "<message><![CDATA[& <b> <!-- &x; ]] ]>]]></message>",
	    "<message>&amp; &lt;b&gt; &lt;!-- &amp;x; ]] ]&gt;</message> "
	    "first={} n=0 body=0\n" },
	{ "foreign first-level element",
	    OPEN
	    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
	    "AA==</auth>",
	    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
	    "AA==</auth> first={} n=0 body=0\n" },
	{ "end", OPEN "</stream:stream><presence/>", "close\n" },
	{ "prefix declared by the header",
	    "<stream:stream "
	    "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/"
	    "streams' xmlns:p='urn:p'><iq id='1'><p:ping/></iq>",
	    "<iq id='1'><ping xmlns='urn:p'/></iq> first={urn:p}ping n=1 "
	    "body=0\n" },
	{ "prefix of the header in attributes",
	    "<stream:stream "
	    "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/"
	    "streams' xmlns:p='urn:p'><iq id='1'><a xmlns='u' p:b='1' p:c='2'/>"
	    "</iq>",
	    "<iq id='1'><a xmlns='u' xmlns:p='urn:p' p:b='1' p:c='2'/></iq> "
	    "first={u}a n=1 body=0\n" },
	{ "another prefix for streams",
	    "<s:stream xmlns='jabber:client' "
	    "xmlns:s='http://etherx.jabber.org/streams'> <iq/></s:stream>",
	    "<iq/> first={} n=0 body=0\nclose\n" },
	{ "no prefix for streams",
	    "<stream xmlns='http://etherx.jabber.org/streams'> </stream>",
	    "close\n" },
	{ "an ampersand", OPEN "<message>a & ", "error not-well-formed\n" },
	{ "a reference without end", OPEN "<message>&amp<",
	    "error not-well-formed\n" },
	{ "a tag in a tag", OPEN "<message <", "error not-well-formed\n" },
	{ "the beginning of a comment", OPEN "<!", "error restricted-xml\n" },
	{ "the beginning of an instruction", OPEN "<message><?",
	    "error restricted-xml\n" },
	{ "text, and nothing more", OPEN "x", "error bad-format\n" },
	{ "one wrong byte", OPEN "\xff", "error unsupported-encoding\n" },
	{ "no stream", "x", "error not-well-formed\n" },
	{ "mismatch", OPEN "<a></b>", "error not-well-formed\n" },
	{ "unbound prefix", OPEN "<p:a/>", "error not-well-formed\n" },
	{ "comment", OPEN "<!-- x --><presence/>", "error restricted-xml\n" },
	{ "instruction", OPEN "<?x y?>", "error restricted-xml\n" },
	{ "dtd", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "error restricted-xml\n" },
	{ "entity", OPEN "<message><body>&foo;</body></message>",
	    "error restricted-xml\n" },
	{ "entity in an attribute", OPEN "<message id='&foo;'/>",
	    "error restricted-xml\n" },
	{ "text between", OPEN "hello<presence/>", "error bad-format\n" },
	{ "latin-1",
	    "<?xml version='1.0' encoding='ISO-8859-1'?>"
	    "<stream:stream xmlns='jabber:client' "
	    "xmlns:stream='http://etherx.jabber.org/streams'>",
	    "error unsupported-encoding\n" },
	{ "not UTF-8", OPEN "<message><body>\xff</body></message>",
	    "error unsupported-encoding\n" },
	{ "UTF-16", "\xff\xfe<", "error unsupported-encoding\n" },
	{ "too deep",
	    OPEN "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>"
		 "<a><a><a><a><a><a><a>",
	    "error policy-violation\n" },
	{ "too many attributes",
	    OPEN "<a a='1' b='1' c='1' d='1' e='1' f='1' "
		 "g='1' h='1' i='1' j='1' k='1' l='1' m='1' n='1' o='1' p='1' "
		 "q='1' r='1' s='1' t='1' u='1'/>",
	    "error policy-violation\n" },
};

/* Leaves out the line about the header, unless that's all there is. */
static const char *
after_open(const char *log)
{
	const char *line = strchr(log, '\n');

	return strncmp(log, "open ", 5) == 0 && line != NULL && line[1] != 0
	    ? line + 1
	    : log;
}

static void
reports_the_same_in_chunks_of_any_size(void **state)
{
	static const size_t chunks[] = { 1, 2, 7, 100000 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t k = 0; k < 8; k++) {
			struct trace t = { 0 };
			const char *got = after_open(
			    run(cases[i].input, chunks[k / 2], k % 2, &t));

			if (strcmp(got, cases[i].expected) != 0)
				fail_msg("%s, chunks of %zu, rest %zu: got\n%s",
				    cases[i].name, chunks[k / 2], k % 2, got);
			buf_clear(&t.log);
		}
}

/* Between two bytes of the one the other says something whole. */
static char *
run_beside(const char *input, struct trace *one, struct trace *other)
{
	static const char said[] = "<message><body>o</body></message>";
	struct xml_parsers *parsers = xml_parsers_new();

	one->x = xmlstream_new(&limits, &ops, one);
	other->x = xmlstream_new(&limits, &ops, other);
	xmlstream_share(one->x, parsers);
	xmlstream_share(other->x, parsers);
	xmlstream_feed(other->x, (const uint8_t *)OPEN, strlen(OPEN));
	for (; *input != '\0'; input++) {
		xmlstream_feed(one->x, (const uint8_t *)input, 1);
		buf_reset(&other->log);
		xmlstream_feed(
		    other->x, (const uint8_t *)said, sizeof(said) - 1);
		assert_true(xmlstream_is_resting(other->x));
		assert_string_equal(buf_str(&other->log),
		    "<message><body>o</body></message> "
		    "first={jabber:client}body n=1 body=1\n");
	}
	xmlstream_free(one->x);
	xmlstream_free(other->x);
	xml_parsers_free(parsers);
	return buf_str(&one->log);
}

static void
reports_the_same_with_parsers_that_are_shared(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct trace one = { 0 }, other = { 0 };
		char *got = run_beside(cases[i].input, &one, &other);

		if (strstr(got, cases[i].expected) == NULL)
			fail_msg("%s: %s", cases[i].name, got);
		buf_clear(&one.log);
		buf_clear(&other.log);
	}
}

static void
reports_an_element_with_its_last_byte(void **state)
{
	static const char last[] = OPEN "<presence/><iq id='1'/>"
					"<message><body>1</body></message>";
	struct trace t = { 0 };
	size_t len = strlen(last);

	(void)state;
	t.x = xmlstream_new(&limits, &ops, &t);
	for (size_t i = 0; i < len; i++) {
		size_t before = t.log.len;
		bool end = (i > 0 && last[i - 1] == '/' && last[i] == '>') ||
		    i + 1 == len || i + 1 == strlen(OPEN);

		xmlstream_feed(t.x, (const uint8_t *)last + i, 1);
		if (i > 1)
			assert_int_equal(t.log.len > before, end);
	}
	xmlstream_free(t.x);
	buf_clear(&t.log);
}

static void
restart_goes_on_with_the_bytes_behind_the_element(void **state)
{
	static const size_t chunks[] = { 1, 3, 100000 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct trace t = { .restart = true };
		char *log = run(
		    OPEN "<success/>" OPEN "<presence/>", chunks[i], false, &t);

		assert_non_null(strstr(log, "<success/>"));
		assert_non_null(strstr(strstr(log, "<success/>"), "open "));
		assert_non_null(strstr(log, "<presence/>"));
		buf_clear(&t.log);
	}
}

static void
restart_can_drop_what_was_typed_ahead(void **state)
{
	struct trace t = { .restart = true, .drop = true };
	char *log;

	(void)state;
	log = run(OPEN "<starttls/><presence/>" OPEN "<presence/>", 100000,
	    false, &t);
	assert_null(strstr(log, "<presence/>"));
	assert_null(strstr(log, "error"));
	buf_clear(&t.log);
}

/* Sizes at the limit, one over, far over; finished and unfinished. */
static void
limits_the_size_of_an_element(void **state)
{
	static const struct {
		size_t body;
		bool refused;
	} rows[] = { { 1950, false }, { 1990, true }, { 60000, true } };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (size_t chunk = 1; chunk < 100001; chunk += 99999) {
			struct trace t = { 0 };
			struct buf in = { 0 };
			char *log;

			buf_add_str(&in, OPEN "<message>");
			for (size_t k = 0; k < rows[i].body; k++)
				buf_add_str(&in, "x");
			buf_add_str(&in, "</message><presence/>");
			log = run(buf_str(&in), chunk, false, &t);
			assert_int_equal(
			    strstr(log, "policy-violation") != NULL,
			    rows[i].refused);
			assert_int_equal(strstr(log, "<presence/>") != NULL,
			    !rows[i].refused);
			buf_clear(&in);
			buf_clear(&t.log);
		}
}

static void
many_small_elements_are_within_the_limit(void **state)
{
	struct trace t = { 0 };
	struct buf in = { 0 };
	char *log;

	(void)state;
	buf_add_str(&in, OPEN);
	for (int i = 0; i < 20000; i++)
		buf_add_str(&in, "<message><body>0123456789</body></message>");
	log = run(buf_str(&in), 65536, false, &t);
	assert_null(strstr(log, "error"));
	buf_clear(&in);
	buf_clear(&t.log);
}

static void
note_marks(void *arg, const struct xml_stanza *s)
{
	*(uint16_t *)arg = s->marks;
}

static void
ignore_open(void *arg, const struct xml_open *open)
{
	(void)arg, (void)open;
}

static void
ignore_error(void *arg, enum stream_error e, const char *text)
{
	(void)arg, (void)text;
	assert_int_equal(e, STREAM_ERROR_NONE);
}

#define STATE "<active xmlns='http://jabber.org/protocol/chatstates'/>"
#define MUC(c) "<x xmlns='http://jabber.org/protocol/muc#user'>" c "</x>"
#define HINT(n) "<" n " xmlns='urn:xmpp:hints'/>"

static void
marks_what_children_are(void **state)
{
	static const struct xmlstream_ops marking = {
		.open = ignore_open, .stanza = note_marks, .error = ignore_error
	};
	static const struct {
		const char *inner;
		uint16_t marks;
	} rows[] = {
		{ "", 0 },
		{ "x", 0 },
		{ "<body/>", MARK_BODY | MARK_CONTENT },
		{ "<body xmlns='u'/>", MARK_CONTENT },
		{ "<y><body/></y>", MARK_CONTENT },
		{ "<subject/>", MARK_CONTENT },
		{ "<thread/>", 0 },
		{ STATE "<thread/>", MARK_IM },
		{ STATE "<body/>", MARK_IM | MARK_BODY | MARK_CONTENT },
		{ "<received xmlns='urn:xmpp:receipts' id='1'/>",
		    MARK_IM | MARK_ACK | MARK_CONTENT },
		{ "<request xmlns='urn:xmpp:receipts'/>", MARK_IM },
		{ "<markable xmlns='urn:xmpp:chat-markers:0'/>", MARK_IM },
		{ "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
		    MARK_IM | MARK_ACK | MARK_CONTENT },
		{ HINT("store"), MARK_STORE },
		{ HINT("no-store"), MARK_NO_STORE },
		{ HINT("no-permanent-store"), MARK_NO_ARCHIVE },
		{ HINT("no-copy"), MARK_NO_COPY },
		{ HINT("unknown"), 0 },
		{ "<private xmlns='urn:xmpp:carbons:2'/>", MARK_NO_COPY },
		{ "<x xmlns='jabber:x:conference' jid='a'/>",
		    MARK_INVITE | MARK_CONTENT },
		{ MUC(""), MARK_MUC },
		{ MUC("<invite to='a'/>"),
		    MARK_MUC | MARK_INVITE | MARK_CONTENT },
		{ MUC("<invite xmlns='u'/>"), MARK_MUC },
		{ "<origin-id xmlns='urn:xmpp:sid:0' id='1'/>", 0 },
	};
	struct buf b = { 0 };
	uint16_t marks;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xmlstream *x = xmlstream_new(&limits, &marking, &marks);

		marks = 0xffff;
		buf_reset(&b);
		buf_addf(&b, OPEN "<message>%s</message>", rows[i].inner);
		xmlstream_feed(x, b.data, b.len);
		if (marks != rows[i].marks)
			fail_msg("%s: %x", rows[i].inner, marks);
		xmlstream_free(x);
	}
	buf_clear(&b);
}

/* RFC 7395, 3.3.3: "|" ends a message. */
static const struct {
	const char *input, *expected;
} framed[] = {
	{ "<presence xmlns='jabber:client'/>|<iq xmlns='jabber:client'/>|",
	    "<presence/> first={} n=0 body=0\n<iq/> first={} n=0 body=0\n" },
	{ "<?xml version='1.0'?>\n<c:iq xmlns:c='jabber:client'/> \n|",
	    "<iq xmlns:c='jabber:client'/> first={} n=0 body=0\n" },
	{ "<open xmlns='urn:f' to='a'/>|",
	    "<open xmlns='urn:f' to='a'/> first={} n=0 body=0\n" },
	{ "<presence/>|", "<presence xmlns=''/> first={} n=0 body=0\n" },
	{ "|", "error not-well-formed\n" },
	{ "<a>|", "error not-well-formed\n" },
	{ "<a>|</a>|", "error not-well-formed\n" },
	{ "<a/></a>|",
	    "<a xmlns=''/> first={} n=0 body=0\nerror not-well-formed\n" },
	{ "<a/><b/>|",
	    "<a xmlns=''/> first={} n=0 body=0\nerror not-well-formed\n" },
	{ "<a/><!-- x -->|",
	    "<a xmlns=''/> first={} n=0 body=0\nerror restricted-xml\n" },
	{ "<stream:error/>|", "error not-well-formed\n" },
	{ "<a xmlns:p='urn:p'/>|<p:b/>|",
	    "<a xmlns='' xmlns:p='urn:p'/> first={} n=0 body=0\n"
	    "error not-well-formed\n" },
	{ "<!DOCTYPE a><a/>|", "error restricted-xml\n" },
	{ "<?xml version='1.0' encoding='latin1'?><a/>|",
	    "error unsupported-encoding\n" },
	{ "x|", "error not-well-formed\n" },
};

static void
each_message_is_a_document(void **state)
{
	static const size_t chunks[] = { 1, 2, 5, 1000 };
	size_t part;

	(void)state;
	for (size_t i = 0; i < 4 * sizeof(framed) / sizeof(framed[0]); i++) {
		const char *at = framed[i / 4].input;
		struct trace t = { { 0 }, NULL, false, false };

		t.x = xmlstream_new(&limits, &ops, &t);
		xmlstream_set_framed(t.x, NS_CLIENT);
		while (*at != '\0') {
			part = strcspn(at, "|");
			part = part < chunks[i % 4] ? part : chunks[i % 4];
			xmlstream_feed(t.x, (const uint8_t *)at, part);
			xmlstream_rest(t.x);
			at += part;
			if (*at != '|')
				continue;
			xmlstream_end_frame(t.x);
			at++;
		}
		xmlstream_free(t.x);
		assert_string_equal(buf_str(&t.log), framed[i / 4].expected);
		buf_clear(&t.log);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_the_same_in_chunks_of_any_size),
		cmocka_unit_test(reports_the_same_with_parsers_that_are_shared),
		cmocka_unit_test(reports_an_element_with_its_last_byte),
		cmocka_unit_test(
		    restart_goes_on_with_the_bytes_behind_the_element),
		cmocka_unit_test(restart_can_drop_what_was_typed_ahead),
		cmocka_unit_test(limits_the_size_of_an_element),
		cmocka_unit_test(marks_what_children_are),
		cmocka_unit_test(each_message_is_a_document),
		cmocka_unit_test(many_small_elements_are_within_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
