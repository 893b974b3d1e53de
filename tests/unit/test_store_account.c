/*
 * What the deletion of an account does to the rosters of others, and what is
 * kept until all have been told: of the account's presence, of items that went
 * out of rosters.
 */
#include "xmppd/cluster/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/xmalloc.h"
#include "tests/lib/store_fixture.h"

#define ANN "ann@example.org"
#define BOB "bob@example.org"
#define CARL "carl@example.net"
#define FRIEND "friend@gw.example.org"

static uint64_t number; /* of the newest effect */

static int
run_setting(struct store_fixture *f, const char *name, const char *value)
{
	struct buf b = { 0 };

	store_cmd_setting(&b, name, value);
	return store_fixture_run(f, &b);
}

static int
add(struct store_fixture *f, const char *account)
{
	struct scram_keys keys = store_sample_keys(1);
	struct buf b = { 0 };

	store_cmd_account_add(&b, account, &keys);
	return store_fixture_run(f, &b);
}

static int
del(struct store_fixture *f, const char *account)
{
	struct buf b = { 0 };

	store_cmd_account_del(&b, account);
	return store_fixture_run(f, &b);
}

static int
run_op(struct store_fixture *f, const struct store_op *op)
{
	struct store_op copy = *op;
	struct store_effect effect = {
		.origin = { 1, 0, 1 }, .ops = &copy, .count = 1
	};
	struct buf b = { 0 };

	effect.num = effect.low = ++number;
	store_cmd_effect(&b, &effect);
	return store_fixture_run(f, &b);
}

/* Flags: t, f, a, p (pending in), v (visible), A (approved). */
static void
put(struct store_fixture *f, const char *account, const char *contact,
    const char *flags)
{
	struct store_op op = { .op = EFFECT_ROSTER };
	struct store_roster_item *i = &op.item;

	op.user = xstrdup(account);
	i->contact = xstrdup(contact);
	i->to = strchr(flags, 't') != NULL;
	i->from = strchr(flags, 'f') != NULL;
	i->ask = strchr(flags, 'a') != NULL;
	i->pending_in = strchr(flags, 'p') != NULL;
	i->visible = strchr(flags, 'v') != NULL;
	i->approved = strchr(flags, 'A') != NULL;
	if (i->pending_in)
		i->request = xstrdup("<presence type='subscribe'/>");
	assert_int_equal(run_op(f, &op), RES_OK);
	free(op.user);
	store_roster_item_clear(i);
}

static void
take(struct store_fixture *f, const char *account, const char *contact)
{
	struct store_op op = { .op = EFFECT_ROSTER_DEL };

	op.user = xstrdup(account);
	op.item.contact = xstrdup(contact);
	assert_int_equal(run_op(f, &op), RES_OK);
	free(op.user);
	free(op.item.contact);
}

/* The item in the same letters; "-": there is none. */
static const char *
get(struct store_fixture *f, const char *account, const char *contact)
{
	static char flags[8];
	struct store_roster roster;
	char *p = flags;

	*p++ = '-';
	store_roster(f->store, account, &roster);
	for (size_t i = 0; i < roster.count; i++) {
		const struct store_roster_item *k = &roster.items[i];

		if (strcmp(k->contact, contact) != 0)
			continue;
		p = flags;
		*p = 't';
		p += k->to;
		*p = 'f';
		p += k->from;
		*p = 'a';
		p += k->ask;
		*p = 'p';
		p += k->pending_in;
		*p = 'v';
		p += k->visible;
		*p = 'A';
		p += k->approved;
	}
	*p = '\0';
	store_roster_clear(&roster);
	return flags;
}

static int
setup(void **state)
{
	struct store_fixture *f = xcalloc(1, sizeof(*f));
	struct buf b = { 0 };

	store_fixture_init(f);
	number = 0;
	run_setting(f, "domain", "example.org");
	run_setting(f, SHARED_DOMAINS "example.net", "");
	add(f, "ann");
	add(f, "bob");
	add(f, CARL);
	store_cmd_component_add(&b, "gw", "secret", false);
	store_fixture_run(f, &b);
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

/* ---- accounts ---------------------------------------------------------- */

static void
account_made_anew_has_another_id(void **state)
{
	struct store_fixture *f = *state;
	struct store_account before = store_account(f->store, "ann"), after;

	assert_int_not_equal(before.id, 0);
	assert_int_equal(del(f, "ann"), RES_OK);
	assert_int_equal(f->last.id, before.id);
	assert_int_equal(store_account(f->store, "ann").id, 0);
	add(f, "ann");
	after = store_account(f->store, "ann");
	assert_int_not_equal(after.id, before.id);
	put(f, "ann", BOB, "v");
	assert_int_equal(store_account(f->store, "ann").id, after.id);
	assert_true(store_account(f->store, "ann").version > after.version);
}

static void
subscriptions_to_a_deleted_account_end(void **state)
{
	static const struct {
		const char *own, *other, *left;
	} rows[] = {
		{ "tfv", "tfv", "v" }, { "fv", "tv", "v" }, { "tv", "fv", "v" },
		{ "av", "p", "-" }, /* a request of it waited */
		{ "av", "pv", "v" }, { "p", "av", "v" }, { "fav", "tpv", "v" },
		{ "tv", "fvA", "v" }, { "v", "v", "v" },
		{ "v", "av", "av" }, /* it never heard of this one */
	};
	struct store_fixture *f = *state;
	uint64_t version;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put(f, "ann", BOB, rows[i].own);
		put(f, "bob", ANN, rows[i].other);
		version = store_account(f->store, "bob").version;
		del(f, "ann");
		assert_string_equal(get(f, "bob", ANN), rows[i].left);
		if (strcmp(rows[i].left, "v") == 0 &&
		    strcmp(rows[i].other, "v") != 0)
			assert_true(
			    store_account(f->store, "bob").version > version);
		add(f, "ann");
		take(f, "bob", ANN);
	}
}

static void
account_of_a_further_domain_is_parted_from_too(void **state)
{
	struct store_fixture *f = *state;

	put(f, "ann", CARL, "tfv");
	put(f, CARL, ANN, "tfv");
	del(f, CARL);
	assert_string_equal(get(f, "ann", CARL), "v");
	add(f, CARL);
	put(f, "ann", CARL, "tfv");
	put(f, CARL, ANN, "tfv");
	del(f, "ann");
	assert_string_equal(get(f, CARL, ANN), "v");
}

/* It was made up before the deletion. */
static void
change_that_comes_after_restores_nothing(void **state)
{
	struct store_fixture *f = *state;

	del(f, "ann");
	put(f, "bob", ANN, "tfpav");
	assert_string_equal(get(f, "bob", ANN), "av");
	put(f, "bob", "x@elsewhere.example", "tfv");
	assert_string_equal(get(f, "bob", "x@elsewhere.example"), "tfv");
}

/* ---- who has to be told ------------------------------------------------ */

static void
former(struct store_fixture *f, const char *account, uint64_t id, char *out,
    size_t size)
{
	struct store_roster items;
	size_t len = 0;

	*out = '\0';
	store_former(f->store, account, id, &items);
	for (size_t i = 0; i < items.count; i++)
		len += (size_t)snprintf(out + len, size - len, "%s:%u%u%u%u ",
		    items.items[i].contact, items.items[i].to,
		    items.items[i].from, items.items[i].ask,
		    items.items[i].pending_in);
	store_roster_clear(&items);
}

static void
it_is_kept_whom_an_account_shared_presence_with(void **state)
{
	struct store_fixture *f = *state;
	uint64_t id = store_account(f->store, "ann").id;
	struct store_gone gone[2];
	struct buf b = { 0 };
	char text[256];

	put(f, "ann", BOB, "tfv");
	put(f, "ann", CARL, "av");
	put(f, "ann", FRIEND, "fv");
	put(f, "ann", "nobody@example.org", "v");
	del(f, "ann");
	former(f, "ann", id, text, sizeof(text));
	assert_string_equal(text, BOB ":1100 " CARL ":0010 " FRIEND ":0100 ");
	add(f, "ann"); /* that is another one */
	former(f, "ann", id, text, sizeof(text));
	assert_string_not_equal(text, "");
	assert_int_equal(store_gone(f->store, gone, 2), 1);
	assert_string_equal(gone[0].local, "ann");
	assert_int_equal(gone[0].id, id);
	free(gone[0].local);
	store_cmd_former_del(&b, "ann", id);
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	assert_int_equal(store_gone(f->store, gone, 2), 0);
}

static void
components_have_it_stored(void **state)
{
	struct store_fixture *f = *state;
	struct store_row rows[4];
	struct buf b = { 0 };

	put(f, "ann", FRIEND, "tfv");
	put(f, "ann", "gw.example.org", "av");
	put(f, "ann", "x@none.example.org", "tfv"); /* no component */
	del(f, "ann");
	assert_int_equal(
	    store_rows(f->store, "@gw.example.org", 0, rows, 4), 3);
	assert_string_equal(buf_str(&rows[0].stanza),
	    "<presence type='unsubscribe' from='" ANN "' to='" FRIEND "'/>");
	assert_string_equal(buf_str(&rows[1].stanza),
	    "<presence type='unsubscribed' from='" ANN "' to='" FRIEND "'/>");
	assert_string_equal(buf_str(&rows[2].stanza),
	    "<presence type='unsubscribe' from='" ANN
	    "' to='gw.example.org'/>");
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(rows[i].time, 0);
		buf_clear(&rows[i].stanza);
	}
	assert_int_equal(store_row_count(f->store), 0); /* of users */
	store_cmd_component_del(&b, "GW");
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	assert_int_equal(
	    store_rows(f->store, "@gw.example.org", 0, rows, 4), 0);
}

/* ---- contacts at components -------------------------------------------- */

static void
contacts_at_a_component_come_in_pages(void **state)
{
	static const char *const want[] = { "a@gw.example.org",
		"b@gw.example.org", "gw.example.org", "a@gw.example.org",
		FRIEND };
	struct store_fixture *f = *state;
	struct store_contact page[2], last = { 0 };
	size_t count, seen = 0;

	put(f, "bob", FRIEND, "tfv");
	put(f, "ann", "gw.example.org", "fv");
	put(f, "ann", "b@gw.example.org", "av");
	put(f, "ann", "a@gw.example.org", "tv");
	put(f, "bob", "a@gw.example.org", "v");
	put(f, "ann", BOB, "tfv");
	put(f, "ann", CARL, "tfv");
	put(f, "ann", "a@gw.elsewhere", "tfv");
	do {
		count = store_contacts_at(f->store, "gw.example.org",
		    seen == 0 ? NULL : &last, page, 2);
		for (size_t i = 0; i < count; i++) {
			assert_string_equal(page[i].item.contact, want[seen]);
			assert_string_equal(
			    page[i].local, seen++ < 3 ? "ann" : "bob");
			store_contact_clear(&last);
			last = page[i];
		}
	} while (count == 2);
	assert_int_equal(seen, 5);
	assert_true(last.item.to && last.item.from && !last.item.ask);
	store_contact_clear(&last);
}

/* ---- what went out of a roster ----------------------------------------- */

/* Contacts that were removed since a version, by version. */
static size_t
removed(struct store_fixture *f, uint64_t after, char *first, size_t size)
{
	struct store_roster out;
	size_t count;

	store_removed(f->store, "ann", after, &out);
	count = out.count;
	snprintf(first, size, "%s", count == 0 ? "" : out.items[0].contact);
	store_roster_clear(&out);
	return count;
}

static void
removed_items_are_remembered_by_version(void **state)
{
	struct store_fixture *f = *state;
	char first[64];
	uint64_t version;

	put(f, "ann", BOB, "v");
	put(f, "ann", "dora@example.org", "p"); /* was never seen */
	put(f, "ann", "eve@example.org", "pv");
	take(f, "ann", "dora@example.org");
	assert_int_equal(removed(f, 0, first, sizeof(first)), 0);
	version = store_account(f->store, "ann").version;
	take(f, "ann", BOB);
	assert_int_equal(removed(f, version, first, sizeof(first)), 1);
	assert_string_equal(first, BOB);
	version = store_account(f->store, "ann").version;
	assert_int_equal(removed(f, version, first, sizeof(first)), 0);
	put(f, "ann", "eve@example.org", "p"); /* the request still waits */
	assert_int_equal(removed(f, version, first, sizeof(first)), 1);
	assert_string_equal(first, "eve@example.org");
	put(f, "ann", BOB, "v");
	assert_int_equal(removed(f, 0, first, sizeof(first)), 1);
	assert_string_equal(first, "eve@example.org");
	del(f, "ann");
	assert_int_equal(removed(f, 0, first, sizeof(first)), 0);
}

/* Only those of the newest 4096 versions, of whoever's roster, are known. */
static void
removed_items_are_known_to_be_all_or_not(void **state)
{
	struct store_fixture *f = *state;
	struct store_roster out;
	uint64_t version;
	size_t count = 0;
	bool all;

	put(f, "ann", BOB, "v");
	version = store_account(f->store, "ann").version;
	take(f, "ann", BOB);
	do {
		put(f, "bob", "ann@example.org", "v");
		all = store_removed(f->store, "ann", version, &out);
		store_roster_clear(&out);
	} while (all && count++ < 5000);
	assert_false(all);
	assert_int_equal(count + 1, 4096);
	assert_true(store_removed(f->store, "ann", version + 1, &out));
	store_roster_clear(&out);
}

static void
only_the_newest_removals_are_remembered(void **state)
{
	struct store_fixture *f = *state;
	char first[64];

	put(f, "ann", BOB, "v");
	take(f, "ann", BOB);
	for (unsigned i = 0; i < 4096; i++)
		put(f, "bob", ANN, "v");
	put(f, "ann", "dora@example.org", "v");
	take(f, "ann", "dora@example.org");
	assert_int_equal(removed(f, 0, first, sizeof(first)), 1);
	assert_string_equal(first, "dora@example.org");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(account_made_anew_has_another_id),
		T(subscriptions_to_a_deleted_account_end),
		T(account_of_a_further_domain_is_parted_from_too),
		T(change_that_comes_after_restores_nothing),
		T(it_is_kept_whom_an_account_shared_presence_with),
		T(components_have_it_stored),
		T(contacts_at_a_component_come_in_pages),
		T(removed_items_are_remembered_by_version),
		T(removed_items_are_known_to_be_all_or_not),
		T(only_the_newest_removals_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
