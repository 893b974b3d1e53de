/*
 * Messages on the control sockets: one that is taken is the same when it is
 * encoded and read again.
 */
#include "common/varlink.h"

#include <string.h>

#include "tests/lib/fuzz.h"

static const char *const seeds[] = {
	"{\"method\":\"im.xmppd.Cluster.Status\",\"parameters\":{}}",
	"{\"method\":\"org.varlink.service.GetInfo\",\"more\":true}",
	("{\"error\":\"im.xmppd.Refused\",\"parameters\":{\"text\":\"\\u00e4\"}"
	 "}"),
	"{\"parameters\":{\"a\":[1,-2.5e3,null,true,{\"b\":\"\"}]}}",
	"{\"method\":\"x\",\"oneway\":true}",
	NULL,
};

bool
fuzz_seed(size_t i, struct buf *b)
{
	return fuzz_text_seed(seeds, i, b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct varlink_request request;
	struct error e = { 0 };
	struct buf b = { 0 };
	json_t *message = varlink_decode((const char *)data, size, &e), *again;

	if (message == NULL) {
		fuzz_check(e.text[0] != '\0', "a refusal says why");
		return 0;
	}
	varlink_request_read(message, &request, &e);
	fuzz_check(varlink_encode(message, &b, &e) == RES_OK &&
		b.data[b.len - 1] == '\0',
	    "what is read can be written");
	again = varlink_decode((const char *)b.data, b.len - 1, &e);
	fuzz_check(again != NULL && json_equal(message, again),
	    "it is the same when it is read again");
	json_decref(again);
	json_decref(message);
	buf_clear(&b);
	return 0;
}
