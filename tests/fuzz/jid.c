/*
 * Addresses: a prepared one is prepared already, and its parts are its parts.
 */
#include "common/jid.h"

#include <stdlib.h>
#include <string.h>

#include "common/result.h"
#include "common/strutil.h"
#include "tests/lib/fuzz.h"

static const char *const seeds[] = {
	"alice@example.com/phone",
	"Example.COM",
	"\xc3\x84@xn--bcher-kva.example/\xe2\x84\xab",
	"xn--20pn--20pliiii7liiiiixn--10peccece.",
	"a@[::1]/x",
	"a@10.0.0.1/@/",
	("\xd7\x90@b\xc3\xbc"
	 "cher.example"),
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
	struct jid j, again;

	if (jid_parse((const char *)data, size, &j) != RES_OK)
		return 0;
	fuzz_check(strlen(j.full) == j.len && str_is_utf8(j.full, j.len),
	    "an address is UTF-8 without a NUL");
	fuzz_check(j.bare <= j.len && j.domain <= j.bare &&
		(j.local == 0 || j.domain == j.local + 1),
	    "its parts are in order");
	fuzz_check(jid_parse(j.full, j.len, &again) == RES_OK,
	    "a prepared address is one");
	fuzz_check(strcmp(j.full, again.full) == 0 && j.bare == again.bare &&
		j.local == again.local,
	    "a prepared address stays what it is");
	jid_clear(&again);
	jid_clear(&j);
	return 0;
}
