/*
 * Copies of the directory and mirror messages: a copy that is taken encodes to
 * itself, and one that is refused leaves the directory as it was.
 */
#include <string.h>

#include "tests/lib/fuzz.h"
#include "tests/lib/router_world.h"

bool
fuzz_seed(size_t i, struct buf *b)
{
	struct directory *empty;
	struct world *w;

	if (i == 0) {
		empty = directory_new();
		directory_encode(empty, b);
		directory_free(empty);
		return true;
	}
	w = world_new(3);
	world_account(w, "ann");
	world_component(w, "cb1");
	world_run(w);
	world_join(w, 0, "ann@example.org/x", "<presence/>");
	if (i > 1)
		world_join(w, 1, "cb1.example.org", NULL);
	directory_encode(w->nodes[i - 1].directory, b);
	world_free(w);
	return i < 3;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct directory *d = directory_new(), *same = directory_new();
	struct buf before = { 0 }, after = { 0 };
	uint64_t seq;

	directory_encode(d, &before);
	if (directory_decode(d, data, size) == RES_OK) {
		directory_encode(d, &after);
		fuzz_check(
		    directory_decode(same, after.data, after.len) == RES_OK,
		    "a copy of a copy is taken");
		buf_reset(&before);
		directory_encode(same, &before);
		fuzz_check(directory_count(d) == directory_count(same) &&
			before.len == after.len,
		    "it is the same");
	} else {
		directory_encode(d, &after);
		fuzz_check(before.len == after.len &&
			memcmp(before.data, after.data, after.len) == 0,
		    "what is refused changes nothing");
	}
	directory_mirror(d, 0, data, size, &seq);
	directory_free(d);
	directory_free(same);
	buf_clear(&before);
	buf_clear(&after);
	return 0;
}
