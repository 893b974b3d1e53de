/*
 * A client's stream, as RFC 6120 has it: each test says which sentence. The
 * client speaks through a socket pair, under real TLS; the router is the test.
 */
#include "tests/lib/edge_pump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/stanza.h"
#include "common/xmalloc.h"

static int
setup(void **state)
{
	*state = pump_new();
	return 0;
}

static int
teardown(void **state)
{
	pump_free(*state);
	return 0;
}

static void
logs_in_and_exchanges_messages(void **state)
{
	struct pump *p = *state;
	struct client *c = client_bound(p, "phone");
	struct up_frame *f;

	client_send(c,
	    "<message to='bob@example.org' id='m1' type='chat'>"
	    "<body>hi</body></message>");
	f = pump_frame(p, FRAME_MESSAGE);
	assert_true(text_is(f->to, "bob@example.org"));
	assert_true(text_is(f->from, "ann@example.org/phone"));
	assert_true(text_is(f->child, "{jabber:client}body"));
	pump_stanza(p, &f->sid, 1, "<message from='bob@example.org/x'/>");
	client_expect(c, "<message from='bob@example.org/x'/>");
	client_free(c);
	pump_frame(p, FRAME_UNBIND);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(logs_in_and_exchanges_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
