/* What keeps a node from joining, and that the messages survive the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xmppd/cluster/store_archive.h"

#include "common/xmalloc.h"
#include "xmppd/compare.h"

/* Two stores: the node's and the cluster's. */
struct world {
	char dir[2][64];
	struct store *node, *cluster;
	uint64_t index;
};

static void
applied(void *arg, const struct store_event *event)
{
	(void)arg, (void)event;
}

static void
failed(void *arg, const char *why)
{
	(void)arg;
	fail_msg("%s", why);
}

static void
replaced(void *arg)
{
	(void)arg;
}

static const struct store_callbacks callbacks = { applied, replaced, failed,
	NULL };

static int
setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	for (int i = 0; i < 2; i++) {
		snprintf(w->dir[i], 64, "/tmp/test_compare.XXXXXX");
		if (mkdtemp(w->dir[i]) == NULL)
			return -1;
	}
	w->node = store_open(w->dir[0], NULL, &callbacks, NULL);
	w->cluster = store_open(w->dir[1], NULL, &callbacks, NULL);
	*state = w;
	return w->node == NULL || w->cluster == NULL;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	char command[160];
	int rc = 0;

	store_close(w->node);
	store_close(w->cluster);
	for (int i = 0; i < 2; i++) {
		snprintf(command, sizeof(command), "rm -r %s", w->dir[i]);
		rc |= system(command); /* NOLINT(cert-env33-c): a test's own */
	}
	free(w);
	return rc;
}

static void
apply(struct world *w, struct store *s, struct buf *command)
{
	struct store_proposal p = { 1, ++w->index, command->data,
		command->len };
	struct buf entry = { 0 };

	store_entry_add(&entry, &p);
	store_apply(s, w->index, entry.data, entry.len);
	buf_clear(&entry);
	buf_clear(command);
}

static void
add_component(
    struct world *w, struct store *s, const char *name, const char *secret)
{
	struct buf b = { 0 };

	store_cmd_component_add(&b, name, secret, true);
	apply(w, s, &b);
}

static void
add_account(struct world *w, struct store *s, const char *name, uint64_t v)
{
	struct scram_keys keys = { .version = v };
	struct buf b = { 0 };

	store_cmd_account_add(&b, name, &keys);
	apply(w, s, &b);
}

static void
add_row(struct world *w, struct store *s, const char *user)
{
	struct store_op op = {
		.op = EFFECT_STORE, .user = xstrdup(user), .time = 1
	};
	struct store_effect effect = { .num = 1, .ops = &op, .count = 1 };
	struct buf b = { 0 };

	buf_add_str(&op.stanza, "<message/>");
	store_cmd_effect(&b, &effect);
	apply(w, s, &b);
	free(op.user);
	buf_clear(&op.stanza);
}

static void
add_item(struct world *w, struct store *s, const char *user)
{
	char text[] = "x", *name = xstrdup(user);
	struct store_op op = { .op = EFFECT_ITEM_PUT,
		.user = name,
		.space = SPACE_VCARD,
		.node = text,
		.id = text };
	struct buf b = { 0 };

	store_cmd_items(&b, &op, 1);
	apply(w, s, &b);
	free(name);
}

/* The line of the comparison; "" if there is no difference. */
static const char *
compare(struct world *w, const char *mine, const char *theirs)
{
	static struct error e;
	struct store_member self = { .host = xstrdup("cb2"),
		.address = xstrdup("10.1.1.2:5222"),
		.boot = 9 };
	struct join_request r;
	struct buf b = { 0 };

	e.text[0] = '\0';
	join_request_encode(&b, &self, w->node, mine);
	assert_int_equal(join_request_decode(b.data, b.len, &r), RES_OK);
	assert_string_equal(r.address, "10.1.1.2:5222");
	assert_int_equal(r.boot, 9);
	if (join_compare(&r, w->cluster, theirs, &e) == RES_OK)
		assert_string_equal(e.text, "");
	join_request_clear(&r);
	store_member_clear(&self);
	buf_clear(&b);
	return e.text;
}

static void
what_the_node_lacks_is_no_difference(void **state)
{
	struct world *w = *state;

	add_component(w, w->cluster, "cb1", "secret");
	add_account(w, w->cluster, "ann", 1);
	assert_string_equal(compare(w, "example.com", "example.com"), "");
	assert_string_equal(compare(w, NULL, "example.com"), "");
}

static void
equal_secrets_and_accounts_are_no_difference(void **state)
{
	struct world *w = *state;

	add_component(w, w->cluster, "cb1", "secret");
	add_component(w, w->node, "cb1", "secret");
	add_account(w, w->cluster, "ann", 1);
	add_account(w, w->node, "ann", 1);
	assert_string_equal(compare(w, "Example.com", "example.com"), "");
}

static void
another_domain_is_named(void **state)
{
	const char *text = compare(*state, "example.org", "example.com");

	assert_non_null(strstr(text, "example.org"));
	assert_non_null(strstr(text, "xmpp domain example.com"));
}

static void
another_secret_is_named_without_being_shown(void **state)
{
	struct world *w = *state;
	const char *text;

	add_component(w, w->cluster, "cb1", "theirs-secret");
	add_component(w, w->node, "cb1", "mine-secret");
	text = compare(w, "example.com", "example.com");
	assert_non_null(strstr(text, "Call Bridge cb1 has another secret"));
	assert_null(strstr(text, "mine-secret"));
	assert_null(strstr(text, "theirs-secret"));
}

static void
a_call_bridge_that_only_the_node_has_is_named(void **state)
{
	struct world *w = *state;

	add_component(w, w->node, "cb7", "secret");
	assert_non_null(
	    strstr(compare(w, "example.com", "example.com"), "cb7"));
}

static void
an_account_that_only_the_node_has_is_named(void **state)
{
	struct world *w = *state;

	add_account(w, w->node, "ann", 1);
	assert_non_null(
	    strstr(compare(w, "example.com", "example.com"), "account ann"));
	add_account(w, w->node, "bob", 1);
	assert_non_null(
	    strstr(compare(w, "example.com", "example.com"), "2 accounts"));
}

static void
another_password_is_named(void **state)
{
	struct world *w = *state;

	add_account(w, w->node, "ann", 1);
	add_account(w, w->cluster, "ann", 2);
	assert_non_null(strstr(
	    compare(w, "example.com", "example.com"), "another password"));
}

static void
stored_messages_are_counted(void **state)
{
	struct world *w = *state;

	add_account(w, w->node, "ann", 1);
	add_account(w, w->cluster, "ann", 1);
	add_row(w, w->node, "ann");
	assert_non_null(strstr(
	    compare(w, "example.com", "example.com"), "1 stored messages"));
}

static void
an_answer_comes_back_and_a_cut_one_does_not(void **state)
{
	struct store_member rows[2] = { { .raft_id = 1,
					    .host = xstrdup("a"),
					    .address = xstrdup("1.1.1.1:1") },
		{ .raft_id = 2, .address = xstrdup("1.1.1.2:1"), .boot = 3 } };
	uint8_t cluster[16] = { 5 };
	struct join_terms terms = { &rows[1], cluster, "example.com", rows, 2 };
	struct buf b = { 0 };
	struct join_answer a;

	(void)state;
	join_answer_encode(&b, RES_OK, "", &terms);
	assert_int_equal(join_answer_decode(b.data, b.len, &a), RES_OK);
	assert_int_equal(a.raft_id, 2);
	assert_int_equal(a.member_count, 2);
	assert_string_equal(a.members[0].address, "1.1.1.1:1");
	assert_null(a.members[1].host);
	assert_memory_equal(a.cluster, cluster, 16);
	assert_string_equal(a.domain, "example.com");
	join_answer_clear(&a);
	for (size_t len = 0; len < b.len; len++)
		assert_int_equal(
		    join_answer_decode(b.data, len, &a), RES_INVALID);
	buf_reset(&b);
	join_answer_encode(&b, RES_DIFFERS, "why", NULL);
	assert_int_equal(join_answer_decode(b.data, b.len, &a), RES_OK);
	assert_int_equal(a.code, RES_DIFFERS);
	assert_string_equal(a.text, "why");
	join_answer_clear(&a);
	buf_clear(&b);
	store_member_clear(&rows[0]);
	store_member_clear(&rows[1]);
}

static void
a_cut_request_is_refused_at_each_byte(void **state)
{
	struct world *w = *state;
	struct store_member self = { .host = xstrdup("h"),
		.address = xstrdup("a:1") };
	struct join_request r;
	struct buf b = { 0 };

	add_component(w, w->node, "cb1", "secret");
	add_account(w, w->node, "ann", 1);
	join_request_encode(&b, &self, w->node, "example.com");
	for (size_t len = 0; len < b.len; len++) {
		assert_int_equal(
		    join_request_decode(b.data, len, &r), RES_INVALID);
		join_request_clear(&r);
	}
	store_member_clear(&self);
	buf_clear(&b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void
data_that_only_the_node_has_is_named(void **state)
{
	struct world *w = *state;

	add_account(w, w->cluster, "alice", 1);
	add_item(w, w->cluster, "alice");
	assert_string_equal(compare(w, NULL, "example.com"), "");
	add_account(w, w->node, "alice", 1);
	assert_string_equal(compare(w, NULL, "example.com"), "");
	add_item(w, w->node, "alice");
	assert_non_null(strstr(compare(w, NULL, "example.com"), "vCards"));
}

static void
archives_that_only_the_node_has_are_named(void **state)
{
	struct world *w = *state;
	struct archive_message m = { .time = 1,
		.stanza = text_of("<message/>"),
		.in = { { .account = text_of("alice"),
		    .peer = text_of("b@c") } },
		.count = 1 };
	struct buf b = { 0 };

	add_account(w, w->cluster, "alice", 1);
	add_account(w, w->node, "alice", 1);
	store_cmd_archive(&b, 1);
	store_cmd_archive_add(&b, &m);
	store_cmd_archive_end(&b);
	apply(w, w->node, &b);
	assert_non_null(strstr(
	    compare(w, NULL, "example.com"), "holds 1 archived messages"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_the_node_lacks_is_no_difference),
		TEST(equal_secrets_and_accounts_are_no_difference),
		TEST(another_domain_is_named),
		TEST(another_secret_is_named_without_being_shown),
		TEST(a_call_bridge_that_only_the_node_has_is_named),
		TEST(an_account_that_only_the_node_has_is_named),
		TEST(another_password_is_named),
		TEST(stored_messages_are_counted),
		TEST(data_that_only_the_node_has_is_named),
		TEST(archives_that_only_the_node_has_are_named),
		TEST(an_answer_comes_back_and_a_cut_one_does_not),
		TEST(a_cut_request_is_refused_at_each_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
