/*
 * What the Call Bridge answers to a stanza.
 */
#include "callbridge/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/stanza.h"
#include "common/xmlstream.h"

#define OPEN                                                                   \
	"<stream:stream xmlns='" NS_COMPONENT "' xmlns:stream='" NS_STREAM     \
	"' id='1'>"
#define ADDRESSED " id='7' from='u@x/r' to='cb1.x'"
#define REPLY " id='7' from='cb1.x' to='u@x/r'>"
#define REFUSAL(name, type, condition)                                         \
	"<" name " type='error'" REPLY "<error type='" type "'><" condition    \
	" xmlns='" NS_STANZA_ERRORS "'/></error></" name ">"
#define UNAVAILABLE(name) REFUSAL(name, "cancel", "service-unavailable")

static const struct {
	const char *what, *stanza, *answer; /* "": none is due */
} rows[] = {
	{ "ping",
	    "<iq type='get'" ADDRESSED "><ping xmlns='" NS_PING "'/></iq>",
	    "<iq type='result'" REPLY "</iq>" },
	{ "ping, address in capitals",
	    "<iq type='get' id='7' from='u@x/r' to='CB1.X'>"
	    "<ping xmlns='" NS_PING "'/></iq>",
	    "<iq type='result' id='7' from='CB1.X' to='u@x/r'></iq>" },
	{ "disco info",
	    "<iq type='get'" ADDRESSED "><query xmlns='" NS_DISCO_INFO
	    "'/></iq>",
	    "<iq type='result'" REPLY "<query xmlns='" NS_DISCO_INFO
	    "'><identity category='component' type='generic' "
	    "name='Call Bridge'/><feature var='" NS_DISCO_INFO
	    "'/><feature var='" NS_DISCO_ITEMS "'/><feature var='" NS_PING
	    "'/><feature var='" NS_VERSION "'/></query></iq>" },
	{ "disco items",
	    "<iq type='get'" ADDRESSED "><query xmlns='" NS_DISCO_ITEMS
	    "'/></iq>",
	    "<iq type='result'" REPLY "<query xmlns='" NS_DISCO_ITEMS
	    "'/></iq>" },
	{ "disco of a node",
	    "<iq type='get'" ADDRESSED "><query xmlns='" NS_DISCO_INFO
	    "' node='n'/></iq>",
	    REFUSAL("iq", "cancel", "item-not-found") },
	{ "version",
	    "<iq type='get'" ADDRESSED "><query xmlns='" NS_VERSION "'/></iq>",
	    "<iq type='result'" REPLY "<query xmlns='" NS_VERSION
	    "'><name>Call Bridge</name><version>" MMP_VERSION
	    "</version></query></iq>" },
	{ "not offered",
	    "<iq type='get'" ADDRESSED "><query xmlns='jabber:iq:last'/></iq>",
	    UNAVAILABLE("iq") },
	{ "set of what can only be read",
	    "<iq type='set'" ADDRESSED "><query xmlns='" NS_VERSION "'/></iq>",
	    UNAVAILABLE("iq") },
	{ "somebody at the Call Bridge",
	    "<iq type='get' id='7' from='u@x' to='room@cb1.x'>"
	    "<ping xmlns='" NS_PING "'/></iq>",
	    "<iq type='error' id='7' from='room@cb1.x' to='u@x'>"
	    "<error type='cancel'><service-unavailable xmlns='" NS_STANZA_ERRORS
	    "'/></error></iq>" },
	{ "iq without a child", "<iq type='get'" ADDRESSED "/>",
	    REFUSAL("iq", "modify", "bad-request") },
	{ "iq with two",
	    "<iq type='get'" ADDRESSED "><ping xmlns='" NS_PING
	    "'/><ping xmlns='" NS_PING "'/></iq>",
	    REFUSAL("iq", "modify", "bad-request") },
	{ "iq of no type", "<iq" ADDRESSED "><a xmlns='b'/></iq>",
	    REFUSAL("iq", "modify", "bad-request") },
	{ "iq without id",
	    "<iq type='get' from='u@x' to='cb1.x'><a xmlns='b'/></iq>",
	    "<iq type='error' from='cb1.x' to='u@x'><error type='modify'>"
	    "<bad-request xmlns='" NS_STANZA_ERRORS "'/></error></iq>" },
	{ "result", "<iq type='result'" ADDRESSED "/>", "" },
	{ "iq error", "<iq type='error'" ADDRESSED "/>", "" },
	{ "nobody to answer", "<iq type='get' id='7' to='cb1.x'/>", "" },
	{ "message", "<message" ADDRESSED "><body>a</body></message>",
	    UNAVAILABLE("message") },
	{ "message error", "<message type='error'" ADDRESSED "/>", "" },
	{ "headline", "<message type='headline'" ADDRESSED "/>", "" },
	{ "presence", "<presence" ADDRESSED "/>", "" },
	{ "probe", "<presence type='probe'" ADDRESSED "/>", "" },
	{ "subscription", "<presence type='subscribe'" ADDRESSED "/>",
	    "<presence type='unsubscribed'" REPLY "</presence>" },
	{ "escaped texts",
	    "<iq type='get' id='&lt;&amp;&gt;' from='u@x/&apos;&quot;' "
	    "to='cb1.x'><ping xmlns='" NS_PING "'/></iq>",
	    "<iq type='result' id='&lt;&amp;&gt;' from='cb1.x' "
	    "to='u@x/&apos;\"'></iq>" },
	{ "another kind of stanza", "<thing" ADDRESSED "/>", "" },
};

static void
stanza_cb(void *arg, const struct xml_stanza *stanza)
{
	service_answer("cb1.x", stanza, arg);
}

static void
error_cb(void *arg, enum stream_error error, const char *text)
{
	(void)arg;
	fail_msg("%s: %s", stream_error_name(error), text);
}

static void
open_cb(void *arg, const struct xml_open *open)
{
	(void)arg;
	(void)open;
}

static void
each_stanza_gets_its_answer(void **state)
{
	static const struct xml_limits limits = { 10000, 10, 20 };
	static const struct xmlstream_ops ops = {
		.open = open_cb, .stanza = stanza_cb, .error = error_cb
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf answer = { 0 };
		struct xmlstream *x = xmlstream_new(&limits, &ops, &answer);

		xmlstream_feed(x, (const uint8_t *)OPEN, sizeof(OPEN) - 1);
		xmlstream_feed(
		    x, (const uint8_t *)rows[i].stanza, strlen(rows[i].stanza));
		if (strcmp(buf_str(&answer), rows[i].answer) != 0)
			fail_msg("%s: %s", rows[i].what, buf_str(&answer));
		xmlstream_free(x);
		buf_clear(&answer);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_stanza_gets_its_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
