/*
 * Hellos of other nodes: what is taken encodes to itself, and proves nothing
 * without the key.
 */
#include "xmppd/cluster/peer_hello.h"

#include <string.h>

#include "common/result.h"
#include "tests/lib/fuzz.h"

static const uint8_t key[32] = { 1 }, exporter[32] = { 2 };

bool
fuzz_seed(size_t i, struct buf *b)
{
	struct peer_hello h = { .protocol = PEER_PROTOCOL,
		.channel = (uint8_t)i,
		.from = 1,
		.to = 2,
		.boot = 1ULL << 32,
		.host = "cb1" };

	if (i == 4) {
		h.verdict = PEER_REFUSED_BOOT;
		memcpy(h.text, "started", 8);
	}
	peer_hello_prove(&h, PEER_DIALLER, (const uint8_t[32]){ 9 }, exporter);
	peer_hello_encode(b, &h);
	return i < 5;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct peer_hello h;
	struct buf again = { 0 };

	if (peer_hello_decode(data, size, &h) != RES_OK)
		return 0;
	fuzz_check(memchr(h.host, '\0', sizeof(h.host)) != NULL &&
		memchr(h.text, '\0', sizeof(h.text)) != NULL,
	    "its texts end");
	fuzz_check(!peer_hello_is_proven(&h, PEER_DIALLER, key, exporter),
	    "nothing is proven without the key");
	peer_hello_encode(&again, &h);
	/* Of another version only the refusal is read. */
	fuzz_check(h.protocol != PEER_PROTOCOL ||
		(again.len == size && memcmp(again.data, data, size) == 0),
	    "what is taken is what the encoder makes");
	buf_clear(&again);
	return 0;
}
