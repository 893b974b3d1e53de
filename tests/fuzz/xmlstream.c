/*
 * The stream parser: it reports the same however the bytes arrive, and a stanza
 * as it is to travel can be read again. The first byte picks the chunks.
 */
#include "common/xmlstream.h"

#include <stdlib.h>
#include <string.h>

#include "common/stanza.h"
#include "tests/lib/fuzz.h"

#define OPEN                                                                   \
	"<?xml version='1.0'?><stream:stream xmlns='jabber:client' "           \
	"xmlns:stream='http://etherx.jabber.org/streams' to='example.com' "    \
	"version='1.0' xml:lang='en'>"

static const char *const seeds[] = {
	("1" OPEN "<message to='a@b' type='chat' id='1' xml:lang='de'>"
	 "<body>x &lt; y &amp; &#228;</body></message></stream:stream>"),
	("2" OPEN "<iq id='1' type='get'><query xmlns='jabber:iq:roster'>"
	 "<item jid='a'/><![CDATA[x]]></query></iq><presence/>"),
	("3" OPEN "<iq id='1' xmlns:r='urn:r'><r:q r:a='1' b='2'><r:c/></r:q>"
	 "</iq>"),
	("4" OPEN "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AA==</auth>"),
	("5" OPEN "<!-- x -->"),
	"6<!DOCTYPE a [<!ENTITY b 'c'>]>",
	("7" OPEN "<a><a><a><a><a></b></a>"),
	("8<stream:stream xmlns='jabber:component:accept' "
	 "xmlns:stream='http://etherx.jabber.org/streams' to='cb1.x'>"
	 "<handshake>aa</handshake><message xmlns='' from='cb1.x'/>"),
	NULL,
};

bool
fuzz_seed(size_t i, struct buf *b)
{
	return fuzz_text_seed(seeds, i, b);
}

struct trace {
	struct buf log;
	bool failed;
};

static void
open_cb(void *arg, const struct xml_open *o)
{
	struct trace *t = arg;

	buf_addf(&t->log, "open %s {%s} %s\n", o->name, o->ns ? o->ns : "",
	    o->to ? o->to : "-");
}

static void
check_travel(const struct buf *travel)
{
	struct buf once = { 0 }, twice = { 0 };
	struct xml *x = xml_parse((const char *)travel->data, travel->len);

	fuzz_check(x != NULL, "a stanza as it travels can be read");
	xml_write(&once, x);
	xml_free(x);
	x = xml_parse((const char *)once.data, once.len);
	fuzz_check(x != NULL, "one that was written back can be read");
	xml_write(&twice, x);
	xml_free(x);
	fuzz_check(once.len == twice.len &&
		memcmp(once.data, twice.data, once.len) == 0,
	    "it stays the same when it is written again");
	buf_clear(&once);
	buf_clear(&twice);
}

static void
stanza_cb(void *arg, const struct xml_stanza *s)
{
	struct trace *t = arg;
	struct buf travel = { 0 };

	/* Where it isn't content, the owner writes its namespace. */
	xml_stanza_write(&travel, s, "a@b/c", s->to, "en");
	if (s->content_ns)
		check_travel(&travel);
	buf_add(&t->log, travel.data, travel.len);
	buf_addf(&t->log, "\n%s %u %d\n", s->child ? s->child : "", s->children,
	    s->marks & MARK_BODY);
	buf_clear(&travel);
}

static void
close_cb(void *arg)
{
	buf_add_str(&((struct trace *)arg)->log, "close\n");
}

static void
error_cb(void *arg, enum stream_error e, const char *text)
{
	struct trace *t = arg;

	(void)text; /* may be NULL */

	fuzz_check(!t->failed, "an error is the last that is reported");
	fuzz_check(
	    e > STREAM_ERROR_NONE && e < STREAM_ERRORS, "an error is known");
	t->failed = true;
}

static void
run(const uint8_t *data, size_t size, size_t chunk, bool rest, struct trace *t)
{
	static const struct xmlstream_ops ops = { open_cb, stanza_cb, close_cb,
		error_cb, NULL };
	static const struct xml_limits limits = { 2000, 20, 20 };
	struct xmlstream *x = xmlstream_new(&limits, &ops, t);
	size_t part;

	for (; size > 0; data += part, size -= part) {
		part = size < chunk ? size : chunk;
		xmlstream_feed(x, data, part);
		if (rest)
			xmlstream_rest(x);
	}
	xmlstream_free(x);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace whole = { { 0 }, false }, parts = { { 0 }, false };
	size_t least;

	if (size < 2)
		return 0;
	run(data + 1, size - 1, size, false, &whole);
	run(data + 1, size - 1, 1 + (data[0] & 0x0f), (data[0] & 0x10) != 0,
	    &parts);
	/* An error in what isn't finished may be seen early or late. */
	least = whole.log.len < parts.log.len ? whole.log.len : parts.log.len;
	fuzz_check(
	    whole.failed || parts.failed || whole.log.len == parts.log.len,
	    "the same is reported however the bytes arrive");
	fuzz_check(
	    least == 0 || memcmp(whole.log.data, parts.log.data, least) == 0,
	    "reports agree however the bytes arrive");
	buf_clear(&whole.log);
	buf_clear(&parts.log);
	return 0;
}
