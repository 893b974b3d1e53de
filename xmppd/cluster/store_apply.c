/*
 * What commands do to the state. The same commands give the same state and the
 * same results on every node: nothing here reads a clock, a random number or
 * anything else that isn't in the command or the database.
 */
#include "xmppd/cluster/store_apply.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/strutil.h"
#include "xmppd/cluster/db.h"

/* So many results are kept for commands that may be sent again. */
#define RESULTS_MAX 4096

static int
apply_setting(struct db *db, struct store_applied *a)
{
	struct db_query *q;

	if (a->data.value == NULL) {
		q = db_query(db, "DELETE FROM setting WHERE name = ?");
		db_bind_text(q, a->data.name);
	} else {
		q = db_query(
		    db, "INSERT OR REPLACE INTO setting VALUES (?, ?)");
		db_bind_text(q, a->data.name);
		db_bind_text(q, a->data.value);
	}
	db_run(q);
	return RES_OK;
}

static size_t
delete_by(struct db *db, const char *sql, const char *name)
{
	struct db_query *q = db_query(db, sql);

	db_bind_text(q, name);
	return db_run(q);
}

/* A secret that was typed may be known already; a generated one is new. */
static int
apply_component_known(struct store_applied *a, const char *secret)
{
	if (!a->data.given)
		return RES_EXISTS;
	if (!crypto_equal_str(secret, a->data.value))
		return RES_DIFFERS;
	a->event.id = 1;
	return RES_OK;
}

static int
apply_component_add(struct db *db, struct store_applied *a)
{
	struct db_query *q =
	    db_query(db, "SELECT secret FROM component WHERE name = ?");
	char *secret = NULL;
	int code;

	db_bind_text(q, a->data.name);
	if (db_row(q))
		secret = db_dup_text(q, 0);
	db_end(q);
	if (secret != NULL) {
		code = apply_component_known(a, secret);
		crypto_wipe_free(secret);
		return code;
	}
	q = db_query(db, "INSERT INTO component VALUES (?, ?, ?)");
	db_bind_uint(q, store_count_up(db, COUNTER_COMPONENT));
	db_bind_text(q, a->data.name);
	db_bind_text(q, a->data.value);
	db_run(q);
	return RES_OK;
}

/* What it was still to be told goes with it. */
static int
apply_component_del(struct db *db, struct store_applied *a)
{
	char *box = store_box_of_name(db, a->data.name);
	size_t count;

	count =
	    delete_by(db, "DELETE FROM component WHERE name = ?", a->data.name);
	if (count > 0 && box != NULL)
		store_delete_rows(db, box);
	free(box);
	return count > 0 ? RES_OK : RES_NOT_FOUND;
}

static int
apply_clear(struct db *db, struct store_applied *a)
{
	db_exec(db,
	    "DELETE FROM account; DELETE FROM roster; DELETE FROM removed;"
	    "DELETE FROM former; DELETE FROM message;"
	    "DELETE FROM component; DELETE FROM item;"
	    "DELETE FROM item_use; DELETE FROM message_use;"
	    "DELETE FROM archive; DELETE FROM archive_of;"
	    "DELETE FROM archive_gone; DELETE FROM sha1_only");
	store_apply_members_but(db, a->data.member.identity);
	return RES_OK;
}

static const store_apply_fn commands[] = {
	[STORE_SETTING] = apply_setting,
	[STORE_ACCOUNT_ADD] = store_apply_account_add,
	[STORE_ACCOUNT_PASSWD] = store_apply_account_passwd,
	[STORE_ACCOUNT_DEL] = store_apply_account_del,
	[STORE_COMPONENT_ADD] = apply_component_add,
	[STORE_COMPONENT_DEL] = apply_component_del,
	[STORE_EFFECT] = store_apply_effect,
	[STORE_ROWS_DEL] = store_apply_rows_del,
	[STORE_PRUNE] = store_apply_prune,
	[STORE_ORIGIN_END] = store_apply_origin_end,
	[STORE_MEMBER_PUT] = store_apply_member_put,
	[STORE_MEMBER_SWAP] = store_apply_member_swap,
	[STORE_MEMBER_DEL] = store_apply_member_del,
	[STORE_MEMBER_BOOT] = store_apply_member_boot,
	[STORE_RAFT_ID_GONE] = store_apply_raft_id_gone,
	[STORE_NEXT_RAFT_ID] = store_apply_next_raft_id,
	[STORE_CLEAR] = apply_clear,
	[STORE_ITEMS] = store_apply_items,
	[STORE_FORMER_DEL] = store_apply_former_del,
	[STORE_ARCHIVE] = store_apply_archive,
	[STORE_SWEEP] = store_apply_sweep,
};

/* Whether this very command was applied before: its result, once more. */
static bool
result_find(struct db *db, struct store_event *event)
{
	struct db_query *q = db_query(
	    db, "SELECT code, id FROM result WHERE proposer = ? AND seq = ?");
	bool found;

	db_bind_uint(q, event->proposer);
	db_bind_uint(q, event->seq);
	found = db_row(q);
	if (found) {
		event->again = true;
		event->code = (int)db_int(q, 0);
		event->id = db_uint(q, 1);
	}
	db_end(q);
	return found;
}

static void
result_keep(struct db *db, const struct store_event *event)
{
	uint64_t place = store_count_up(db, COUNTER_RESULT);
	struct db_query *q =
	    db_query(db, "INSERT INTO result VALUES (?, ?, ?, ?, ?)");

	db_bind_uint(q, place);
	db_bind_uint(q, event->proposer);
	db_bind_uint(q, event->seq);
	db_bind_int(q, event->code);
	db_bind_uint(q, event->id);
	db_run(q);
	if (place <= RESULTS_MAX)
		return;
	q = db_query(db, "DELETE FROM result WHERE place <= ?");
	db_bind_uint(q, place - RESULTS_MAX);
	db_run(q);
}

void
store_apply_proposal(
    struct db *db, const struct store_proposal *p, struct store_applied *out)
{
	struct store_event *event = &out->event;
	bool kept = p->proposer != 0;
	int code;

	*out = (struct store_applied){ 0 };
	code = store_command_decode(&out->data, p->command, p->len);
	event->proposer = p->proposer;
	event->seq = p->seq;
	event->what = out->data.what;
	event->name = out->data.name;
	if (kept && result_find(db, event))
		return;
	if (code == RES_OK)
		code = commands[event->what](db, out);
	event->code = code;
	if (kept)
		result_keep(db, event);
}

void
store_applied_clear(struct store_applied *a)
{
	store_command_clear(&a->data);
	free(a->rows);
	*a = (struct store_applied){ 0 };
}
