/*
 * Store commands: what is taken decodes to the same again after any change of
 * its place in memory, and names a known command.
 */
#include "xmppd/cluster/store_command.h"

#include "tests/lib/fuzz.h"
#include "tests/lib/store_fixture.h"

bool
fuzz_seed(size_t i, struct buf *b)
{
	return store_sample(i, b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store_command_data d;

	if (store_command_decode(&d, data, size) == RES_OK)
		fuzz_check(d.what >= STORE_SETTING && d.what <= STORE_LAST,
		    "a command that is taken is known");
	store_command_clear(&d);
	return 0;
}
