/*
 * Runs of elements, cut into messages that stand alone.
 */
#include "xmppd/edge/framing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/stanza.h"

#define CLIENT " xmlns='" NS_CLIENT "'"
#define STREAM " xmlns:stream='" NS_STREAM "'"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *run, *messages[4];
} rows[] = {
	{ "", { NULL } },
	{ "x", { NULL } },
	{ "<presence/>", { "<presence" CLIENT "/>" } },
	{ "<iq id='1'/>", { "<iq" CLIENT " id='1'/>" } },
	{ "<message><body>a</body></message>",
	    { "<message" CLIENT "><body>a</body></message>" } },
	{ "<presence/><presence></presence><iq/>",
	    { "<presence" CLIENT "/>", "<presence" CLIENT "></presence>",
		"<iq" CLIENT "/>" } },
	/* "<", ">" and "/" in values and texts */
	{ "<message a='/>' b=\"'>\"><x y='</message>'/>></message><r "
	  "xmlns='s'/>",
	    { "<message" CLIENT
	      " a='/>' b=\"'>\"><x y='</message>'/>></message>",
		"<r xmlns='s'/>" } },
	{ "<stream:features><bind xmlns='b'/></stream:features>",
	    { "<stream:features" STREAM
	      "><bind xmlns='b'/></stream:features>" } },
	{ "<a xmlns='" NS_SM "' h='1'/><stream:error><x xmlns='y'/>"
	  "</stream:error><close xmlns='z'/>",
	    { "<a xmlns='" NS_SM "' h='1'/>",
		"<stream:error" STREAM "><x xmlns='y'/></stream:error>",
		"<close xmlns='z'/>" } },
	/* Names that only begin like it. */
	{ "<messages xmlns='m'/><stream xmlns='s'/>",
	    { "<messages xmlns='m'/>", "<stream xmlns='s'/>" } },
	/* What can't come: it ends somewhere. */
	{ "<message", { "<message" CLIENT } },
	{ "<message><body>", { "<message" CLIENT "><body>" } },
	{ "<message a='", { "<message" CLIENT " a='" } },
};

static void
each_message_stands_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct text run = { rows[i].run, strlen(rows[i].run) };
		struct buf out = { 0 };
		size_t n = 0;

		while (framing_next(&run, &out)) {
			assert_true(n < COUNT(rows[i].messages));
			assert_non_null(rows[i].messages[n]);
			assert_string_equal(buf_str(&out), rows[i].messages[n]);
			n++;
		}
		assert_true(n == COUNT(rows[i].messages) ||
		    rows[i].messages[n] == NULL);
		buf_clear(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_message_stands_alone),
	};

	return cmocka_run_group_tests_name("framing", tests, NULL, NULL);
}
