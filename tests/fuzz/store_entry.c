/*
 * Entries of the log, applied: whatever they hold, the store goes on, its index
 * moves, and each event has a result.
 */
#include <stdio.h>

#include "common/log.h"
#include "tests/lib/fuzz.h"
#include "tests/lib/store_fixture.h"

static void
applied_cb(void *arg, const struct store_event *event)
{
	(void)arg;
	fuzz_check(event->code <= RES_OK && event->code >= RES_DIFFERS,
	    "an event has a result");
	fuzz_check(event->what != STORE_EFFECT || event->code == RES_INVALID ||
		event->effect != NULL || event->again,
	    "an effect that was applied is shown");
}

static void
failed_cb(void *arg, const char *why)
{
	(void)arg;
	fuzz_check(false, why);
}

/* Each sample as an entry of its own, then all in one. */
bool
fuzz_seed(size_t i, struct buf *b)
{
	struct buf command = { 0 };
	struct store_proposal p = { i % 3, i, NULL, 0 };
	bool all = i == STORE_LAST;

	if (i > STORE_LAST)
		return false;
	for (size_t k = all ? 0 : i;
	     (all || k == i) && store_sample(k, &command); k++) {
		p.command = command.data;
		p.len = command.len;
		store_entry_add(b, &p);
		buf_reset(&command);
	}
	buf_clear(&command);
	return true;
}

static struct store *
make_store(void)
{
	static const struct store_callbacks cb = { .applied = applied_cb,
		.failed = failed_cb };
	struct error e;
	struct store *store = store_open(fuzz_folder(), NULL, &cb, &e);

	if (store == NULL)
		fatalx("%s", e.text);
	return store;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct store *store;
	uint64_t index;

	if (store == NULL)
		store = make_store();
	index = store_applied_index(store) + 1;
	store_apply(store, index, data, size);
	fuzz_check(store_applied_index(store) == index, "the index moves");
	return 0;
}
