/*
 * The messages of a join, from a node that isn't a member yet, and the
 * comparison with what the cluster has.
 */
#include "xmppd/compare.h"

#include <stdlib.h>

#include "common/log.h"
#include "tests/lib/fuzz.h"
#include "tests/lib/store_fixture.h"

#define FUZZ_DOMAIN "example.com"

static struct store_fixture f;

static void
forget(void)
{
	store_fixture_clear(&f);
}

/* With an account, a component and a member. */
static struct store *
cluster(void)
{
	struct scram_keys keys = store_sample_keys(1);
	struct store_member m;
	struct buf b = { 0 };

	if (f.store != NULL)
		return f.store;
	store_fixture_init(&f);
	atexit(forget);
	store_cmd_account_add(&b, "alice", &keys);
	store_fixture_run(&f, &b);
	store_cmd_component_add(&b, "cb1", "secret", false);
	store_fixture_run(&f, &b);
	store_sample_member(&m, 1);
	store_cmd_member_put(&b, &m);
	store_fixture_run(&f, &b);
	store_member_clear(&m);
	return f.store;
}

bool
fuzz_seed(size_t i, struct buf *b)
{
	struct store *store = cluster();
	struct join_terms terms = { .cluster = (const uint8_t[16]){ 5 },
		.domain = FUZZ_DOMAIN,
		.count = 1 };
	struct store_member m;

	store_sample_member(&m, 2);
	terms.row = terms.members = &m;
	switch (i) {
	case 0:
		join_request_encode(b, &m, store, FUZZ_DOMAIN);
		break;
	case 1:
		join_request_encode(b, &m, store, NULL);
		break;
	case 2:
		join_answer_encode(b, RES_OK, NULL, &terms);
		break;
	default:
		join_answer_encode(b, RES_DIFFERS, "the domain", &terms);
	}
	store_member_clear(&m);
	return i < 4;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct join_request request;
	struct join_answer answer;
	struct error e = { 0 };

	if (join_request_decode(data, size, &request) == RES_OK &&
	    join_compare(&request, cluster(), FUZZ_DOMAIN, &e) != RES_OK)
		fuzz_check(e.text[0] != '\0', "a refusal says why");
	join_request_clear(&request);
	if (join_answer_decode(data, size, &answer) == RES_OK)
		for (size_t i = 0; i < answer.member_count; i++)
			fuzz_check(answer.members[i].address != NULL,
			    "a member has an address");
	join_answer_clear(&answer);
	return 0;
}
