/*
 * Replies of DNS servers.
 */
#include "common/resolver.h"

#include <string.h>

#include "tests/lib/fuzz.h"

/* Head, question x.y, one answer with a pointer to it. */
static const uint8_t srv[] = "\0\1\x81\x80\0\1\0\1\0\0\0\0\1x\1y\0\0\x21\0\1"
			     "\xc0\x0c\0\x21\0\1\0\0\0\x3c\0\x0b\0\1\0\2"
			     "\x14\x67\1a\1b\0";
static const uint8_t a[] = "\0\1\x81\x80\0\1\0\1\0\0\0\0\1x\1y\0\0\1\0\1"
			   "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1";

bool
fuzz_seed(size_t i, struct buf *b)
{
	if (i == 0)
		buf_add(b, srv, sizeof(srv) - 1);
	else if (i == 1)
		buf_add(b, a, sizeof(a) - 1);
	return i < 2;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum resolver_type types[] = { RESOLVER_SRV, RESOLVER_A,
		RESOLVER_AAAA };
	struct resolver_reply reply;

	for (size_t i = 0; i < 3; i++) {
		if (resolver_parse(data, size, types[i], &reply) != RES_OK)
			continue;
		fuzz_check(reply.count <= RESOLVER_ANSWERS_MAX,
		    "answers have a limit");
		for (size_t k = 0; k < reply.count; k++)
			fuzz_check(memchr(reply.answers[k].value, '\0',
				       sizeof(reply.answers[k].value)) != NULL,
			    "an answer is a text");
	}
	return 0;
}
