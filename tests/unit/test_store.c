/*
 * What commands do to the state, and that they do it once.
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

static char alice[] = "alice", bob[] = "bob", contact[] = "c@example.com";

static int
setup(void **state)
{
	struct store_fixture *f = xcalloc(1, sizeof(*f));

	store_fixture_init(f);
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
run_setting(struct store_fixture *f, const char *name, const char *value)
{
	struct buf b = { 0 };

	store_cmd_setting(&b, name, value);
	return store_fixture_run(f, &b);
}

static int
run_account_add(struct store_fixture *f, const char *local, uint8_t seed)
{
	struct scram_keys keys = store_sample_keys(seed);
	struct buf b = { 0 };

	store_cmd_account_add(&b, local, &keys);
	return store_fixture_run(f, &b);
}

static int
run_account_passwd(struct store_fixture *f, const char *local, uint8_t seed)
{
	struct scram_keys keys = store_sample_keys(seed);
	struct buf b = { 0 };

	store_cmd_account_passwd(&b, local, &keys);
	return store_fixture_run(f, &b);
}

static int
run_account_del(struct store_fixture *f, const char *local)
{
	struct buf b = { 0 };

	store_cmd_account_del(&b, local);
	return store_fixture_run(f, &b);
}

static int
run_component_add(
    struct store_fixture *f, const char *name, const char *secret, bool given)
{
	struct buf b = { 0 };

	store_cmd_component_add(&b, name, secret, given);
	return store_fixture_run(f, &b);
}

static int
run_effect(struct store_fixture *f, uint64_t num, uint64_t low,
    struct store_op *ops, size_t count)
{
	struct store_effect effect = { { 1, 0, 42 }, num, low, 0, ops, count };
	struct buf b = { 0 };

	store_cmd_effect(&b, &effect);
	return store_fixture_run(f, &b);
}

static struct store_op
op_store(char *user, char *text)
{
	return (struct store_op){ .op = EFFECT_STORE,
		.user = user,
		.time = 1700000000,
		.stanza = { (uint8_t *)text, strlen(text), 0 } };
}

static struct store_op
op_roster(char *user, char *who, uint8_t to)
{
	return (struct store_op){ .op = EFFECT_ROSTER,
		.user = user,
		.item = { .contact = who, .to = to, .visible = 1 } };
}

static struct store_op
op_roster_del(char *user, char *who)
{
	return (struct store_op){ .op = EFFECT_ROSTER_DEL,
		.user = user,
		.item = { .contact = who } };
}

static bool
effect_done(struct store_fixture *f, uint64_t num)
{
	const struct origin origin = { 1, 0, 42 };

	return store_effect_done(f->store, &origin, num);
}

/* ---- settings, accounts, components ------------------------------------ */

static void
setting_is_set_changed_and_unset(void **state)
{
	struct store_fixture *f = *state;
	char *value;

	assert_null(store_setting(f->store, "domain"));
	assert_int_equal(run_setting(f, "domain", "a.example"), RES_OK);
	assert_string_equal(f->name, "domain");
	assert_int_equal(run_setting(f, "domain", "b.example"), RES_OK);
	value = store_setting(f->store, "domain");
	assert_string_equal(value, "b.example");
	free(value);
	assert_int_equal(run_setting(f, "domain", NULL), RES_OK);
	assert_null(store_setting(f->store, "domain"));
}

static void
account_is_added_once(void **state)
{
	struct store_fixture *f = *state;
	struct scram_keys keys, one = store_sample_keys(1);

	assert_int_equal(
	    store_account_keys(f->store, alice, &keys), RES_NOT_FOUND);
	assert_int_equal(run_account_add(f, alice, 1), RES_OK);
	assert_int_equal(run_account_add(f, alice, 2), RES_EXISTS);
	assert_true(store_account_exists(f->store, alice));
	assert_int_equal(store_account_count(f->store), 1);
	assert_int_equal(store_account_keys(f->store, alice, &keys), RES_OK);
	assert_memory_equal(keys.sha256.stored_key, one.sha256.stored_key, 32);
	assert_int_equal(keys.version, one.version);
}

static void
password_changes_only_where_there_is_an_account(void **state)
{
	struct store_fixture *f = *state;
	struct scram_keys keys;

	assert_int_equal(run_account_passwd(f, alice, 2), RES_NOT_FOUND);
	run_account_add(f, alice, 1);
	assert_int_equal(run_account_passwd(f, alice, 2), RES_OK);
	store_account_keys(f->store, alice, &keys);
	assert_int_equal(keys.version, store_sample_keys(2).version);
}

static void
deleted_account_takes_roster_and_rows_along(void **state)
{
	struct store_fixture *f = *state;
	struct store_op ops[] = { op_store(alice, contact),
		op_roster(alice, contact, 1), op_store(bob, contact) };
	struct store_roster roster;

	run_account_add(f, alice, 1);
	run_account_add(f, bob, 1);
	assert_int_equal(run_effect(f, 1, 1, ops, 3), RES_OK);
	assert_int_equal(store_row_count(f->store), 2);
	assert_int_equal(run_account_del(f, alice), RES_OK);
	assert_int_equal(store_row_count(f->store), 1);
	assert_int_equal(run_account_add(f, alice, 1), RES_OK);
	store_roster(f->store, alice, &roster);
	assert_int_equal(roster.count, 0);
	store_roster_clear(&roster);
	assert_int_equal(run_account_del(f, bob), RES_OK);
	assert_int_equal(run_account_del(f, bob), RES_NOT_FOUND);
}

static void
account_made_anew_has_a_newer_roster_version(void **state)
{
	struct store_fixture *f = *state;
	struct store_op op = op_roster(alice, contact, 1);
	struct store_roster before, after;

	run_account_add(f, alice, 1);
	run_effect(f, 1, 1, &op, 1);
	store_roster(f->store, alice, &before);
	run_account_del(f, alice);
	run_account_add(f, alice, 1);
	store_roster(f->store, alice, &after);
	assert_true(after.version > before.version);
	store_roster_clear(&before);
	store_roster_clear(&after);
}

static void
component_names_are_compared_without_case(void **state)
{
	static const struct {
		const char *name, *secret;
		bool given;
		int code;
		uint64_t existed;
	} rows[] = {
		{ "cb1", "one", false, RES_OK, 0 },
		{ "CB1", "two", false, RES_EXISTS, 0 },
		{ "CB1", "one", false, RES_EXISTS, 0 },
		{ "Cb1", "one", true, RES_OK, 1 },
		{ "cb1", "two", true, RES_DIFFERS, 0 },
		{ "cb2", "two", true, RES_OK, 0 },
	};
	struct store_fixture *f = *state;
	char *secret;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(run_component_add(f, rows[i].name,
				     rows[i].secret, rows[i].given),
		    rows[i].code);
		assert_int_equal(f->last.id, rows[i].existed);
	}
	secret = store_component_secret(f->store, "cB1");
	assert_string_equal(secret, "one");
	free(secret);
}

static void
collect_cb(void *arg, const char *name, const char *value)
{
	buf_addf(arg, "%s=%s ", name, value == NULL ? "" : value);
}

static void
components_keep_the_order_of_adding(void **state)
{
	struct store_fixture *f = *state;
	struct buf seen = { 0 }, b = { 0 };

	run_component_add(f, "zeta", "1", false);
	run_component_add(f, "Alpha", "2", false);
	run_component_add(f, "mid", "3", false);
	store_cmd_component_del(&b, "ZETA");
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	store_cmd_component_del(&b, "zeta");
	assert_int_equal(store_fixture_run(f, &b), RES_NOT_FOUND);
	run_component_add(f, "zeta", "4", false);
	store_components(f->store, collect_cb, &seen);
	assert_string_equal(buf_str(&seen), "Alpha=2 mid=3 zeta=4 ");
	buf_clear(&seen);
}

static void
accounts_are_listed_by_name(void **state)
{
	struct store_fixture *f = *state;
	struct buf seen = { 0 };

	run_account_add(f, bob, 1);
	run_account_add(f, alice, 1);
	store_accounts(f->store, collect_cb, &seen);
	assert_string_equal(buf_str(&seen), "alice= bob= ");
	buf_clear(&seen);
}

/* ---- effects ----------------------------------------------------------- */

static void
effect_keeps_the_note_that_it_was_proposed_with(void **state)
{
	const struct origin origin = { 1, 0, 42 };
	struct store_effect effect = {
		.origin = origin, .num = 5, .low = 1, .note = 0x80000001
	};
	struct store_fixture *f = *state;
	struct buf b = { 0 };
	uint64_t note = 0;

	assert_false(store_effect_note(f->store, &origin, 5, &note));
	store_cmd_effect(&b, &effect);
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	effect.note = 2;
	store_cmd_effect(&b, &effect);
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	assert_true(store_effect_note(f->store, &origin, 5, &note));
	assert_int_equal(note, 0x80000001);
	assert_true(store_effect_later(f->store, &origin, 4, 0x80000001));
	assert_false(store_effect_later(f->store, &origin, 5, 0x80000001));
	assert_false(store_effect_later(f->store, &origin, 4, 2));
}

static void
effect_happens_once_and_repeats_its_result(void **state)
{
	struct store_fixture *f = *state;
	struct store_op ops[] = { op_store(alice, contact),
		op_roster(alice, contact, 1) };
	uint64_t row, version;

	run_account_add(f, alice, 1);
	assert_false(effect_done(f, 5));
	assert_int_equal(run_effect(f, 5, 1, ops, 2), RES_OK);
	assert_false(f->last.again);
	row = f->rows[0];
	version = f->versions[1];
	assert_true(row != 0 && version != 0);
	assert_int_equal(f->last.id, row);
	assert_true(effect_done(f, 5));
	assert_int_equal(run_effect(f, 5, 1, ops, 2), RES_OK);
	assert_true(f->last.again);
	assert_int_equal(f->rows[0], row);
	assert_int_equal(f->versions[1], version);
	assert_int_equal(store_row_count(f->store), 1);
}

static void
repeated_effect_with_other_ops_shows_only_like_ones(void **state)
{
	struct store_fixture *f = *state;
	struct store_op first[] = { op_store(alice, contact),
		op_store(alice, contact) };
	struct store_op second[] = { op_roster(alice, contact, 1),
		op_store(alice, contact), op_store(alice, contact) };

	run_account_add(f, alice, 1);
	run_effect(f, 1, 1, first, 2);
	assert_int_equal(f->rows[1], 2);
	run_effect(f, 1, 1, second, 3);
	assert_true(f->last.again);
	assert_int_equal(f->versions[0], 0);
	assert_int_equal(f->rows[1], 2);
	assert_int_equal(f->rows[2], 0);
	assert_int_equal(store_row_count(f->store), 2);
}

static void
later_and_earlier_numbers_are_kept_apart(void **state)
{
	struct store_fixture *f = *state;
	struct store_op op = op_store(alice, contact);

	run_account_add(f, alice, 1);
	run_effect(f, 7, 1, &op, 1);
	run_effect(f, 3, 1, &op, 1);
	assert_false(f->last.again);
	assert_true(effect_done(f, 3) && effect_done(f, 7));
	assert_false(effect_done(f, 5));
}

static void
op_without_its_account_leaves_the_others(void **state)
{
	struct store_fixture *f = *state;
	struct store_op ops[] = { op_store(bob, contact),
		op_store(alice, contact), op_roster(bob, contact, 1) };

	run_account_add(f, alice, 1);
	assert_int_equal(run_effect(f, 1, 1, ops, 3), RES_NOT_FOUND);
	assert_int_equal(f->rows[0], 0);
	assert_true(f->rows[1] != 0);
	assert_int_equal(f->versions[2], 0);
	assert_int_equal(store_row_count(f->store), 1);
	assert_int_equal(run_effect(f, 1, 1, ops, 3), RES_NOT_FOUND);
	assert_true(f->last.again);
}

static void
effect_without_ops_is_a_note_that_it_is_done(void **state)
{
	struct store_fixture *f = *state;
	struct store_op op = { .op = EFFECT_DONE };

	assert_int_equal(run_effect(f, 1, 1, &op, 1), RES_OK);
	assert_int_equal(run_effect(f, 2, 1, NULL, 0), RES_OK);
	assert_true(effect_done(f, 1) && effect_done(f, 2));
}

static void
low_water_mark_forgets_what_is_below_it(void **state)
{
	const struct origin origin = { 1, 0, 42 }, other = { 1, 1, 42 };
	struct store_fixture *f = *state;
	struct store_op op = { .op = EFFECT_DONE };
	struct buf b = { 0 };

	for (uint64_t num = 1; num <= 6; num++)
		run_effect(f, num, 1, &op, 1);
	store_cmd_prune(&b, &other, 100);
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	store_cmd_prune(&b, &origin, 3);
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	assert_false(effect_done(f, 2));
	assert_true(effect_done(f, 3));
	run_effect(f, 7, 6, &op, 1);
	assert_false(effect_done(f, 5));
	assert_true(effect_done(f, 6) && effect_done(f, 7));
}

static void
ended_origin_is_forgotten(void **state)
{
	const struct origin origin = { 1, 0, 42 };
	struct store_fixture *f = *state;
	struct store_op op = { .op = EFFECT_DONE };
	struct store_effect effect = { { 2, 3, UINT64_MAX - 1 }, 1, 1, 0, &op,
		1 };
	struct origin *origins;
	struct buf b = { 0 };

	run_effect(f, 1, 1, &op, 1);
	run_effect(f, 2, 1, &op, 1);
	store_cmd_effect(&b, &effect);
	store_fixture_run(f, &b);
	assert_int_equal(store_origins(f->store, &origins), 2);
	free(origins);
	store_cmd_origin_end(&b, &origin);
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	assert_false(effect_done(f, 1) || effect_done(f, 2));
	assert_int_equal(store_origins(f->store, &origins), 1);
	assert_true(origin_equal(&origins[0], &effect.origin));
	free(origins);
}

static void
row_ids_are_never_reused(void **state)
{
	struct store_fixture *f = *state;
	struct store_op op = op_store(alice, contact);
	struct buf b = { 0 };
	uint64_t row;

	run_account_add(f, alice, 1);
	run_effect(f, 1, 1, &op, 1);
	row = f->rows[0];
	store_cmd_rows_del(&b, &row, 1);
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	assert_int_equal(f->last.row_count, 1);
	assert_int_equal(f->rows[0], row);
	assert_int_equal(store_row_count(f->store), 0);
	store_fixture_reopen(f);
	run_effect(f, 2, 1, &op, 1);
	assert_true(f->rows[0] > row);
}

static void
rows_come_oldest_first_and_in_parts(void **state)
{
	struct store_fixture *f = *state;
	char first[] = "<a/>", second[] = "<b/>", third[] = "<c/>";
	struct store_op ops[] = { op_store(alice, first), op_store(bob, second),
		op_store(alice, third) };
	struct store_row rows[4];
	struct buf seen = { 0 };

	run_account_add(f, alice, 1);
	run_account_add(f, bob, 1);
	run_effect(f, 1, 1, ops, 3);
	assert_int_equal(store_user_row_count(f->store, alice), 2);
	assert_int_equal(store_user_row_count(f->store, "eve"), 0);
	store_row_users(f->store, collect_cb, &seen);
	assert_string_equal(buf_str(&seen), "alice= bob= ");
	buf_clear(&seen);
	assert_int_equal(store_rows(f->store, alice, 0, rows, 1), 1);
	assert_memory_equal(rows[0].stanza.data, first, 4);
	assert_int_equal(rows[0].time, 1700000000);
	buf_clear(&rows[0].stanza);
	assert_int_equal(store_rows(f->store, alice, rows[0].id, rows, 4), 1);
	assert_memory_equal(rows[0].stanza.data, third, 4);
	buf_clear(&rows[0].stanza);
	assert_int_equal(store_rows(f->store, alice, rows[0].id, rows, 4), 0);
}

static void
roster_item_is_set_as_a_whole(void **state)
{
	struct store_fixture *f = *state;
	char name[] = "C", groups[] = "g\nh", request[] = "<presence/>";
	struct store_op op = op_roster(alice, contact, 1);
	struct store_roster roster;
	uint64_t version;

	run_account_add(f, alice, 1);
	op.item.name = name;
	op.item.groups = groups;
	op.item.request = request;
	op.item.from = op.item.ask = op.item.pending_in = 1;
	op.item.approved = 1;
	run_effect(f, 1, 1, &op, 1);
	store_roster(f->store, alice, &roster);
	assert_int_equal(roster.count, 1);
	assert_string_equal(roster.items[0].contact, contact);
	assert_string_equal(roster.items[0].groups, groups);
	assert_string_equal(roster.items[0].request, request);
	assert_true(roster.items[0].from && roster.items[0].ask &&
	    roster.items[0].pending_in && roster.items[0].approved);
	version = roster.version;
	assert_int_equal(roster.items[0].version, version);
	store_roster_clear(&roster);
	op = op_roster(alice, contact, 0);
	run_effect(f, 2, 1, &op, 1);
	store_roster(f->store, alice, &roster);
	assert_int_equal(roster.count, 1);
	assert_null(roster.items[0].name);
	assert_false(roster.items[0].to || roster.items[0].from);
	assert_true(roster.version > version);
	store_roster_clear(&roster);
}

static void
roster_deletion_counts_only_where_there_was_one(void **state)
{
	struct store_fixture *f = *state;
	struct store_op set = op_roster(alice, contact, 1),
			del = op_roster_del(alice, contact);
	struct store_roster roster;
	uint64_t version;

	run_account_add(f, alice, 1);
	run_effect(f, 1, 1, &set, 1);
	version = f->versions[0];
	run_effect(f, 2, 1, &del, 1);
	assert_true(f->versions[0] > version);
	version = f->versions[0];
	run_effect(f, 3, 1, &del, 1);
	assert_int_equal(f->versions[0], 0);
	store_roster(f->store, alice, &roster);
	assert_int_equal(roster.count, 0);
	assert_int_equal(roster.version, version);
	store_roster_clear(&roster);
}

/* ---- commands sent again, entries --------------------------------------- */

static void
command_sent_again_repeats_its_result(void **state)
{
	struct store_fixture *f = *state;
	struct buf b = { 0 };

	store_cmd_next_raft_id(&b);
	store_fixture_run_as(f, 9, 1, &b);
	assert_int_equal(f->last.id, 1);
	store_cmd_next_raft_id(&b);
	store_fixture_run_as(f, 9, 2, &b);
	assert_int_equal(f->last.id, 2);
	for (uint64_t seq = 1; seq <= 2; seq++) {
		store_cmd_next_raft_id(&b);
		store_fixture_run_as(f, 9, seq, &b);
		assert_true(f->last.again);
		assert_int_equal(f->last.id, seq);
	}
	store_cmd_next_raft_id(&b);
	store_fixture_run_as(f, 10, 1, &b);
	assert_false(f->last.again);
	assert_int_equal(f->last.id, 3);
}

static void
refusal_is_repeated_too(void **state)
{
	struct store_fixture *f = *state;
	struct buf b = { 0 };

	store_cmd_account_del(&b, alice);
	assert_int_equal(store_fixture_run_as(f, 9, 1, &b), RES_NOT_FOUND);
	run_account_add(f, alice, 1);
	store_cmd_account_del(&b, alice);
	assert_int_equal(store_fixture_run_as(f, 9, 1, &b), RES_NOT_FOUND);
	assert_true(f->last.again);
	assert_true(store_account_exists(f->store, alice));
}

static void
only_the_newest_results_are_kept(void **state)
{
	struct store_fixture *f = *state;
	struct buf b = { 0 }, entry = { 0 };
	struct store_proposal p = { 1, 0, NULL, 0 };

	store_cmd_next_raft_id(&b);
	p.command = b.data;
	p.len = b.len;
	for (p.seq = 1; p.seq <= 4097; p.seq++)
		store_entry_add(&entry, &p);
	store_apply(f->store, ++f->index, entry.data, entry.len);
	buf_clear(&entry);
	store_fixture_run_as(f, 1, 2, &b);
	assert_true(f->last.again);
	store_cmd_next_raft_id(&b);
	store_fixture_run_as(f, 1, 1, &b);
	assert_false(f->last.again);
}

static void
entry_holds_many_commands(void **state)
{
	struct store_fixture *f = *state;
	struct buf entry = { 0 }, b = { 0 };

	store_cmd_setting(&b, "x", "1");
	for (uint64_t seq = 1; seq <= 3; seq++)
		store_entry_add(
		    &entry, &(struct store_proposal){ 5, seq, b.data, b.len });
	store_apply(f->store, 17, entry.data, entry.len);
	assert_int_equal(f->applied, 3);
	assert_int_equal(f->last.seq, 3);
	assert_int_equal(f->last.index, 17);
	assert_int_equal(store_applied_index(f->store), 17);
	buf_clear(&entry);
	buf_clear(&b);
}

static void
applied_entries_are_skipped(void **state)
{
	struct store_fixture *f = *state;

	run_setting(f, "x", "1");
	run_setting(f, "x", "2");
	store_fixture_reopen(f);
	assert_int_equal(store_applied_index(f->store), 2);
	assert_int_equal(store_synced_index(f->store), 2);
	f->applied = 0;
	f->index = 1;
	run_setting(f, "x", "3");
	assert_int_equal(f->applied, 0);
	run_setting(f, "x", "4");
	assert_int_equal(f->applied, 1);
}

static void
empty_entry_only_moves_the_index(void **state)
{
	struct store_fixture *f = *state;

	store_apply(f->store, 5, NULL, 0);
	assert_int_equal(f->applied, 0);
	assert_int_equal(store_applied_index(f->store), 5);
}

static void
sync_catches_up_with_what_is_applied(void **state)
{
	struct store_fixture *f = *state;

	run_setting(f, "x", "1");
	assert_int_equal(store_synced_index(f->store), 0);
	store_sync(f->store);
	assert_int_equal(store_synced_index(f->store), 1);
}

/* ---- members ------------------------------------------------------------ */

static int
run_member(struct store_fixture *f, uint8_t n, uint32_t raft_id,
    const char *address, bool swap)
{
	struct store_member m;
	struct buf b = { 0 };

	store_sample_member(&m, n);
	m.raft_id = raft_id;
	free(m.address);
	m.address = xstrdup(address);
	if (swap)
		store_cmd_member_swap(&b, &m);
	else
		store_cmd_member_put(&b, &m);
	store_member_clear(&m);
	return store_fixture_run(f, &b);
}

/* "address#raft address#raft /marked,marked" */
static char *
show_members(struct store_fixture *f)
{
	struct store_member *members;
	struct buf b = { 0 };
	uint32_t *marked;
	size_t count = store_members(f->store, &members);

	for (size_t i = 0; i < count; i++) {
		buf_addf(&b, "%s#%u ", members[i].address, members[i].raft_id);
		store_member_clear(&members[i]);
	}
	free(members);
	count = store_raft_ids_marked(f->store, &marked);
	buf_add_str(&b, "/");
	for (size_t i = 0; i < count; i++)
		buf_addf(&b, "%u,", marked[i]);
	free(marked);
	return buf_steal_str(&b);
}

static void
assert_members(struct store_fixture *f, const char *expected)
{
	char *shown = show_members(f);

	assert_string_equal(shown, expected);
	free(shown);
}

static void
members_are_ordered_by_numeric_address(void **state)
{
	static const char *const addresses[] = { "[2001:db8::10]:5222",
		"10.0.0.10:5222", "[2001:db8::9]:5222", "10.0.0.9:6222",
		"9.255.0.1:5222", "10.0.0.9:5222" };
	struct store_fixture *f = *state;

	for (uint8_t i = 0; i < 6; i++)
		assert_int_equal(
		    run_member(f, i + 1, i + 1, addresses[i], false), RES_OK);
	assert_members(f,
	    "9.255.0.1:5222#5 10.0.0.9:5222#6 10.0.0.9:6222#4 "
	    "10.0.0.10:5222#2 [2001:db8::9]:5222#3 [2001:db8::10]:5222#1 /");
}

static void
member_is_unique_by_address_identity_and_raft_id(void **state)
{
	struct store_fixture *f = *state;

	assert_int_equal(run_member(f, 1, 1, "10.0.0.1:5222", false), RES_OK);
	assert_int_equal(
	    run_member(f, 2, 2, "10.0.0.1:5222", false), RES_EXISTS);
	assert_int_equal(
	    run_member(f, 1, 2, "10.0.0.2:5222", false), RES_EXISTS);
	assert_int_equal(
	    run_member(f, 2, 1, "10.0.0.2:5222", false), RES_EXISTS);
	assert_int_equal(
	    run_member(f, 2, 1, "10.0.0.2:5222", true), RES_EXISTS);
	assert_int_equal(run_member(f, 2, 2, "10.0.0.2:5222", false), RES_OK);
	assert_members(f, "10.0.0.1:5222#1 10.0.0.2:5222#2 /");
}

static void
wiped_node_at_a_known_address_is_swapped_in(void **state)
{
	struct store_fixture *f = *state;
	struct buf b = { 0 };

	run_member(f, 1, 1, "10.0.0.1:5222", false);
	run_member(f, 2, 2, "10.0.0.2:5222", false);
	assert_int_equal(run_member(f, 7, 3, "10.0.0.2:5222", true), RES_OK);
	assert_members(f, "10.0.0.1:5222#1 10.0.0.2:5222#3 /2,");
	/* Its old Raft id belongs to nobody any more. */
	assert_int_equal(
	    run_member(f, 8, 2, "10.0.0.8:5222", false), RES_EXISTS);
	store_cmd_raft_id_gone(&b, 2);
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	store_cmd_raft_id_gone(&b, 2);
	assert_int_equal(store_fixture_run(f, &b), RES_NOT_FOUND);
	assert_members(f, "10.0.0.1:5222#1 10.0.0.2:5222#3 /");
}

static void
changed_address_keeps_the_raft_id(void **state)
{
	struct store_fixture *f = *state;

	run_member(f, 1, 1, "10.0.0.1:5222", false);
	assert_int_equal(run_member(f, 1, 1, "10.0.0.9:5222", true), RES_OK);
	assert_members(f, "10.0.0.9:5222#1 /");
}

static void
swap_takes_out_both_rows_that_it_stands_for(void **state)
{
	struct store_fixture *f = *state;

	run_member(f, 1, 1, "10.0.0.1:5222", false);
	run_member(f, 2, 2, "10.0.0.2:5222", false);
	assert_int_equal(run_member(f, 1, 3, "10.0.0.2:5222", true), RES_OK);
	assert_members(f, "10.0.0.2:5222#3 /1,2,");
}

static void
removed_member_leaves_a_mark(void **state)
{
	struct store_fixture *f = *state;
	struct store_member m;
	struct buf b = { 0 };

	store_sample_member(&m, 1);
	store_cmd_member_put(&b, &m);
	store_fixture_run(f, &b);
	store_cmd_member_del(&b, m.identity);
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	store_cmd_member_del(&b, m.identity);
	assert_int_equal(store_fixture_run(f, &b), RES_NOT_FOUND);
	assert_members(f, "/1,");
	store_member_clear(&m);
}

static void
raft_ids_are_never_handed_out_twice(void **state)
{
	struct store_fixture *f = *state;
	struct buf b = { 0 };

	run_member(f, 1, 4, "10.0.0.1:5222", false);
	store_cmd_next_raft_id(&b);
	store_fixture_run(f, &b);
	assert_int_equal(f->last.id, 5);
	store_fixture_reopen(f);
	store_cmd_next_raft_id(&b);
	store_fixture_run(f, &b);
	assert_int_equal(f->last.id, 6);
}

static void
boot_numbers_only_grow(void **state)
{
	struct store_fixture *f = *state;
	struct store_member m;
	struct buf b = { 0 };

	store_sample_member(&m, 1);
	store_cmd_member_boot(&b, m.identity, 5);
	assert_int_equal(store_fixture_run(f, &b), RES_NOT_FOUND);
	store_cmd_member_put(&b, &m);
	store_fixture_run(f, &b);
	store_cmd_member_boot(&b, m.identity, 5);
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	store_cmd_member_boot(&b, m.identity, 5);
	assert_int_equal(store_fixture_run(f, &b), RES_DIFFERS);
	store_cmd_member_boot(&b, m.identity, 4);
	assert_int_equal(store_fixture_run(f, &b), RES_DIFFERS);
	store_member_clear(&m);
}

static void
clear_keeps_settings_and_this_member(void **state)
{
	struct store_fixture *f = *state;
	struct store_op ops[] = { op_store(alice, contact),
		op_roster(alice, contact, 1) };
	struct store_member m;
	struct buf b = { 0 };
	char *domain;

	run_setting(f, "domain", "example.com");
	run_account_add(f, alice, 1);
	run_component_add(f, "cb1", "s", false);
	run_effect(f, 1, 1, ops, 2);
	run_member(f, 1, 1, "10.0.0.1:5222", false);
	run_member(f, 2, 2, "10.0.0.2:5222", false);
	store_sample_member(&m, 2);
	store_cmd_clear(&b, m.identity);
	store_member_clear(&m);
	assert_int_equal(store_fixture_run(f, &b), RES_OK);
	assert_int_equal(store_account_count(f->store), 0);
	assert_int_equal(store_row_count(f->store), 0);
	assert_null(store_component_secret(f->store, "cb1"));
	assert_members(f, "10.0.0.2:5222#2 /1,");
	domain = store_setting(f->store, "domain");
	assert_string_equal(domain, "example.com");
	free(domain);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(setting_is_set_changed_and_unset),
		T(account_is_added_once),
		T(password_changes_only_where_there_is_an_account),
		T(deleted_account_takes_roster_and_rows_along),
		T(account_made_anew_has_a_newer_roster_version),
		T(component_names_are_compared_without_case),
		T(components_keep_the_order_of_adding),
		T(accounts_are_listed_by_name),
		T(effect_keeps_the_note_that_it_was_proposed_with),
		T(effect_happens_once_and_repeats_its_result),
		T(repeated_effect_with_other_ops_shows_only_like_ones),
		T(later_and_earlier_numbers_are_kept_apart),
		T(op_without_its_account_leaves_the_others),
		T(effect_without_ops_is_a_note_that_it_is_done),
		T(low_water_mark_forgets_what_is_below_it),
		T(ended_origin_is_forgotten),
		T(row_ids_are_never_reused),
		T(rows_come_oldest_first_and_in_parts),
		T(roster_item_is_set_as_a_whole),
		T(roster_deletion_counts_only_where_there_was_one),
		T(command_sent_again_repeats_its_result),
		T(refusal_is_repeated_too),
		T(only_the_newest_results_are_kept),
		T(entry_holds_many_commands),
		T(applied_entries_are_skipped),
		T(empty_entry_only_moves_the_index),
		T(sync_catches_up_with_what_is_applied),
		T(members_are_ordered_by_numeric_address),
		T(member_is_unique_by_address_identity_and_raft_id),
		T(wiped_node_at_a_known_address_is_swapped_in),
		T(changed_address_keeps_the_raft_id),
		T(swap_takes_out_both_rows_that_it_stands_for),
		T(removed_member_leaves_a_mark),
		T(raft_ids_are_never_handed_out_twice),
		T(boot_numbers_only_grow),
		T(clear_keeps_settings_and_this_member),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
