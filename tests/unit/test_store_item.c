/*
 * Items: what an account keeps in the store.
 */
#include "xmppd/cluster/store_item.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmalloc.h"
#include "tests/lib/store_fixture.h"

static char alice[] = "alice", bob[] = "bob", nobody[] = "nobody",
	    server[] = "", node[] = "node", other[] = "other";

static void
add_account(struct store_fixture *f, const char *local)
{
	struct scram_keys keys = store_sample_keys(1);
	struct buf b = { 0 };

	store_cmd_account_add(&b, local, &keys);
	store_fixture_run(f, &b);
}

static int
setup(void **state)
{
	struct store_fixture *f = xcalloc(1, sizeof(*f));

	store_fixture_init(f);
	add_account(f, alice);
	add_account(f, bob);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct store_fixture *f = *state;

	store_fixture_clear(f);
	free(f);
	return 0;
}

static int
run(struct store_fixture *f, struct store_op *op)
{
	struct buf b = { 0 };

	store_cmd_items(&b, op, 1);
	return store_fixture_run(f, &b);
}

static struct store_op
op_put(char *user, char *id, char *value)
{
	return (struct store_op){ .op = EFFECT_ITEM_PUT,
		.user = user,
		.space = SPACE_PEP,
		.node = node,
		.id = id,
		.time = 1700000000,
		.stanza = { (uint8_t *)value, strlen(value), 0 } };
}

static int
put(struct store_fixture *f, char *user, const char *id, const char *value)
{
	char *name = xstrdup(id), *text = xstrdup(value);
	struct store_op op = op_put(user, name, text);
	int rc = run(f, &op);

	free(name);
	free(text);
	return rc;
}

static int
del(struct store_fixture *f, char *user, char *in, char *id)
{
	struct store_op op = { .op = EFFECT_ITEM_DEL,
		.user = user,
		.space = SPACE_PEP,
		.node = in,
		.id = id };

	return run(f, &op);
}

/* The ids of a node, in the order that they are read in: "a b c ". */
static const char *
ids(struct store_fixture *f, const struct store_node *n)
{
	static char text[256];
	struct store_item *items;
	size_t count = store_items(f->store, n, &items), at = 0;

	text[0] = '\0';
	for (size_t i = 0; i < count; i++)
		at += (size_t)snprintf(
		    text + at, sizeof(text) - at, "%s ", items[i].id);
	store_items_clear(items, count);
	return text;
}

static const struct store_node of_alice = {
	.local = alice, .space = SPACE_PEP, .node = node
};

static void
item_is_put_replaced_and_deleted(void **state)
{
	struct store_fixture *f = *state;
	struct store_item item;

	assert_false(store_item(f->store, &of_alice, "a", &item));
	assert_int_equal(put(f, alice, "a", "<one/>"), RES_OK);
	assert_true(store_item(f->store, &of_alice, "a", &item));
	assert_string_equal(buf_str(&item.value), "<one/>");
	assert_int_equal(item.time, 1700000000);
	assert_int_equal(item.seq, f->rows[0]);
	assert_null(item.by);
	store_item_clear(&item);
	assert_int_equal(put(f, alice, "b", "<b/>"), RES_OK);
	assert_int_equal(put(f, alice, "a", "<two/>"), RES_OK);
	assert_string_equal(ids(f, &of_alice), "b a ");
	assert_int_equal(del(f, alice, node, alice), RES_OK);
	assert_int_equal(f->rows[0], 0);
	assert_string_equal(ids(f, &of_alice), "b a ");
	assert_int_equal(del(f, alice, node, NULL), RES_OK);
	assert_true(f->rows[0] > 0);
	assert_string_equal(ids(f, &of_alice), "");
	assert_int_equal(store_item_bytes(f->store, alice), 0);
}

static void
items_belong_to_an_account_a_space_and_a_node(void **state)
{
	struct store_fixture *f = *state;
	struct store_op op = op_put(alice, bob, bob);

	put(f, bob, "a", "x");
	assert_string_equal(ids(f, &of_alice), "");
	op.space = SPACE_PRIVATE;
	run(f, &op);
	op.space = SPACE_PEP;
	op.node = other;
	run(f, &op);
	assert_string_equal(ids(f, &of_alice), "");
	assert_true(store_item_any(f->store, alice, SPACE_PRIVATE));
	assert_false(store_item_any(f->store, alice, SPACE_VCARD));
	assert_int_equal(del(f, alice, NULL, NULL), RES_OK);
	assert_true(store_item_any(f->store, alice, SPACE_PRIVATE));
	assert_false(store_item_any(f->store, alice, SPACE_PEP));
	assert_true(store_item_any(f->store, bob, SPACE_PEP));
}

static void
who_has_no_account_has_no_items_but_the_server_has(void **state)
{
	struct store_fixture *f = *state;

	assert_int_equal(put(f, nobody, "a", "x"), RES_NOT_FOUND);
	assert_int_equal(put(f, server, "a", "x"), RES_OK);
	assert_true(store_item_any(f->store, "", SPACE_PEP));
	assert_int_equal(store_item_total(f->store), 0);
	put(f, alice, "a", "x");
	assert_int_equal(store_item_total(f->store), 1);
}

static void
oldest_go_where_a_node_keeps_only_some(void **state)
{
	struct store_fixture *f = *state;
	char a[] = "a", b[] = "b", c[] = "c";
	struct store_op op[] = { op_put(alice, a, a), op_put(alice, b, b),
		op_put(alice, c, c) };
	uint64_t one;

	run(f, &op[0]);
	one = store_item_bytes(f->store, alice);
	run(f, &op[1]);
	op[0].keep = 2;
	run(f, &op[0]);
	assert_string_equal(ids(f, &of_alice), "b a ");
	op[2].keep = 2;
	run(f, &op[2]);
	assert_string_equal(ids(f, &of_alice), "a c ");
	op[1].keep = 1;
	run(f, &op[1]);
	assert_string_equal(ids(f, &of_alice), "b ");
	assert_int_equal(store_item_bytes(f->store, alice), one);
}

static void
quota_refuses_what_would_go_beyond_it(void **state)
{
	struct store_fixture *f = *state;
	char a[] = "a", b[] = "b", text[101];
	struct store_op op = op_put(alice, a, text);

	memset(text, 'x', 100);
	text[100] = '\0';
	op.stanza.len = 100;
	op.quota = 64 + 4 + 1 + 99;
	assert_int_equal(run(f, &op), RES_LIMIT);
	assert_int_equal(store_item_bytes(f->store, alice), 0);
	op.quota++;
	assert_int_equal(run(f, &op), RES_OK);
	assert_int_equal(store_item_bytes(f->store, alice), op.quota);
	/* What is there already is not counted twice, and may always shrink. */
	assert_int_equal(run(f, &op), RES_OK);
	op.id = b;
	assert_int_equal(run(f, &op), RES_LIMIT);
	op.id = a;
	op.quota = 1;
	op.stanza.len = 50;
	assert_int_equal(run(f, &op), RES_OK);
}

static void
pages_go_both_ways(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d", "e" };
	struct store_fixture *f = *state;
	struct store_node n = of_alice;
	uint64_t seq[5];

	for (size_t i = 0; i < 5; i++) {
		put(f, alice, names[i], "x");
		seq[i] = f->rows[0];
	}
	n.max = 2;
	assert_string_equal(ids(f, &n), "a b ");
	n.newest = true;
	assert_string_equal(ids(f, &n), "d e ");
	n.before = seq[3];
	assert_string_equal(ids(f, &n), "b c ");
	n.newest = false;
	n.before = 0;
	n.after = seq[1];
	assert_string_equal(ids(f, &n), "c d ");
	assert_int_equal(store_item_count(f->store, &n), 3);
	n.no_values = true;
	n.max = 0;
	assert_string_equal(ids(f, &n), "c d e ");
	n.after = seq[4];
	assert_string_equal(ids(f, &n), "");
}

static void
all_of_an_account_is_read_in_parts(void **state)
{
	struct store_fixture *f = *state;
	struct store_item *items, last;
	struct store_op op = op_put(alice, bob, bob);

	put(f, alice, "b", "x");
	put(f, alice, "a", "x");
	op.space = SPACE_PRIVATE;
	run(f, &op);
	assert_int_equal(store_items_of(f->store, alice, NULL, 2, &items), 2);
	assert_int_equal(items[0].space, SPACE_PRIVATE);
	assert_string_equal(items[1].id, "a");
	last = items[1];
	store_items_clear(items, 1);
	assert_int_equal(store_items_of(f->store, alice, &last, 2, &items), 1);
	assert_string_equal(items[0].id, "b");
	store_items_clear(items, 1);
	store_item_clear(&last);
}

static void
account_takes_its_items_and_its_role_along(void **state)
{
	struct store_fixture *f = *state;
	struct store_node role = {
		.local = "", .space = SPACE_ROLE, .node = "admin"
	};
	char admin[] = "admin";
	struct store_op op = op_put(server, alice, alice);
	struct buf b = { 0 };

	put(f, alice, "a", "x");
	put(f, bob, "a", "x");
	op.space = SPACE_ROLE;
	op.node = admin;
	run(f, &op);
	assert_true(store_item(f->store, &role, alice, NULL));
	store_cmd_account_del(&b, alice);
	store_fixture_run(f, &b);
	assert_string_equal(ids(f, &of_alice), "");
	assert_int_equal(store_item_bytes(f->store, alice), 0);
	assert_false(store_item(f->store, &role, alice, NULL));
	assert_true(store_item_any(f->store, bob, SPACE_PEP));
	add_account(f, alice);
	assert_string_equal(ids(f, &of_alice), "");
}

static void
effect_puts_once_and_repeats_its_result(void **state)
{
	struct store_fixture *f = *state;
	struct store_op op = op_put(alice, bob, bob);
	struct store_effect effect = { { 1, 0, 42 }, 1, 1, 0, &op, 1 };
	struct buf b = { 0 };
	uint8_t before[32], after[32];
	uint64_t seq;
	int code = 1;

	store_cmd_effect(&b, &effect);
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	seq = f->rows[0];
	store_digest(f->store, before);
	store_cmd_effect(&b, &effect);
	store_fixture_run(f, &b);
	assert_true(f->last.again);
	assert_int_equal(f->rows[0], seq);
	store_digest(f->store, after);
	assert_memory_equal(before, after, 32);
	assert_true(store_effect_code(f->store, &effect.origin, 1, &code));
	assert_int_equal(code, RES_OK);
	effect.num = 2;
	effect.ops[0].quota = 1;
	effect.ops[0].id = other;
	store_cmd_effect(&b, &effect);
	assert_int_equal(store_fixture_run(f, &b), RES_LIMIT);
	assert_true(store_effect_code(f->store, &effect.origin, 2, &code));
	assert_int_equal(code, RES_LIMIT);
	assert_false(store_effect_code(f->store, &effect.origin, 3, &code));
}

static void
digest_tells_items_apart(void **state)
{
	struct store_fixture *f = *state;
	uint8_t before[32], after[32];

	store_digest(f->store, before);
	put(f, alice, "a", "x");
	store_digest(f->store, after);
	assert_memory_not_equal(before, after, 32);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(item_is_put_replaced_and_deleted),
		T(items_belong_to_an_account_a_space_and_a_node),
		T(who_has_no_account_has_no_items_but_the_server_has),
		T(oldest_go_where_a_node_keeps_only_some),
		T(quota_refuses_what_would_go_beyond_it),
		T(pages_go_both_ways),
		T(all_of_an_account_is_read_in_parts),
		T(account_takes_its_items_and_its_role_along),
		T(effect_puts_once_and_repeats_its_result),
		T(digest_tells_items_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
