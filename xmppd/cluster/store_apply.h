#ifndef XMPPD_CLUSTER_STORE_APPLY_H
#define XMPPD_CLUSTER_STORE_APPLY_H

#include <stdint.h>

#include "common/limits.h"
#include "xmppd/cluster/store.h"
#include "xmppd/cluster/store_command.h"

struct db;

/*
 * Commands on the database. Nothing here begins or commits a transaction, and
 * a storage error shows only in db_failed(); every other outcome is a result.
 */

/* Makes the tables in a new file; RES_STATE for a file that isn't ours or is
 * newer than this program. */
int store_schema_open(struct db *db, const char *path, struct error *e);

/* The same, for a file that has to be complete already; checks it whole. */
int store_schema_check(struct db *db, const char *path, struct error *e);

/* Brings the tables of an older version of this program up to date; inside a
 * transaction. */
void store_schema_upgrade(struct db *db);

uint64_t store_index(struct db *db); /* up to which it has been applied */
void store_set_index(struct db *db, uint64_t index);

/* One command with what became of it. */
struct store_applied {
	struct store_event event;
	struct store_command_data data;
	uint64_t *rows;
};

void store_apply_proposal(
    struct db *db, const struct store_proposal *p, struct store_applied *out);
void store_applied_clear(struct store_applied *a);

/*
 * What the commands do, one function each: returns RES_*, and may set
 * a->event.id and the like. Never called with a command that isn't whole.
 */
typedef int (*store_apply_fn)(struct db *db, struct store_applied *a);

/* Counters that only grow, and are part of the state. */
/*
 * Of items that went out of rosters those of the newest so many versions are
 * kept: pushes follow at once, or soon after a change of leader; or when a
 * client comes back that has the roster as it was (RFC 6121, 2.6).
 */
#define STORE_REMOVED_MAX 4096

enum store_counter {
	COUNTER_INDEX,     /* the Raft index applied */
	COUNTER_ROW,       /* the newest stored message's id */
	COUNTER_VERSION,   /* the newest roster version, of any account */
	COUNTER_COMPONENT, /* the newest component's place in the order */
	COUNTER_RAFT_ID,   /* the highest Raft id handed out or seen */
	COUNTER_RESULT,    /* how many results were kept */
	COUNTER_ITEM,      /* the newest item's sequence number */
	COUNTER_ARCHIVE    /* the newest archive's number */
};
uint64_t store_count_up(struct db *db, enum store_counter which);

/* store_account.c */
int store_apply_account_add(struct db *db, struct store_applied *a);
int store_apply_account_passwd(struct db *db, struct store_applied *a);
int store_apply_account_del(struct db *db, struct store_applied *a);
int store_apply_former_del(struct db *db, struct store_applied *a);
bool store_has_account(struct db *db, const char *local);
/* Changes the account's roster version; 0 if there is no such account. */
uint64_t store_next_version(struct db *db, const char *local);
/* The name of the account that an address would have; NULL for one of a domain
 * that is not served. The caller frees. */
char *store_account_of(struct db *db, const char *jid);
/* The name that a component's stored messages are kept under; NULL for an
 * address that isn't a component's. The caller frees. */
char *store_box_of(struct db *db, const char *jid);
char *store_box_of_name(struct db *db, const char *name);

/* store_effect.c */
int store_apply_effect(struct db *db, struct store_applied *a);
int store_apply_items(struct db *db, struct store_applied *a);
int store_apply_prune(struct db *db, struct store_applied *a);
int store_apply_origin_end(struct db *db, struct store_applied *a);

/* store_item.c: *made is the item's sequence number. */
int store_apply_item_put(
    struct db *db, const struct store_op *op, uint64_t *made);
int store_apply_item_del(
    struct db *db, const struct store_op *op, uint64_t *made);
/* An account's role ends with it. */
void store_apply_role_del(struct db *db, const char *local);

/* store_message.c: *made is the row's id. */
uint64_t store_add_row(
    struct db *db, const char *local, int64_t time, const struct buf *stanza);
void store_delete_rows(struct db *db, const char *local);
int store_apply_message(
    struct db *db, const struct store_op *op, uint64_t *made);
int store_apply_rows_del(struct db *db, struct store_applied *a);

/* store_archive.c. A message's key: its archive's number and its place. */
#define ARCHIVE_PLACE_BITS 36
#define ARCHIVE_PLACE_MASK ((UINT64_C(1) << ARCHIVE_PLACE_BITS) - 1)
int64_t store_archive_place(uint64_t id, uint64_t place);
int64_t store_limit(struct db *db, const char *name, enum limit limit);
int64_t store_archive_horizon(struct db *db, int64_t now);
int store_apply_archive(struct db *db, struct store_applied *a);
int store_apply_sweep(struct db *db, struct store_applied *a);
/* The account is gone: its archive is nobody's. */
void store_apply_archive_leave(struct db *db, const char *local);

/* store_member.c */
int store_apply_member_put(struct db *db, struct store_applied *a);
int store_apply_member_swap(struct db *db, struct store_applied *a);
int store_apply_member_del(struct db *db, struct store_applied *a);
int store_apply_member_boot(struct db *db, struct store_applied *a);
int store_apply_raft_id_gone(struct db *db, struct store_applied *a);
int store_apply_next_raft_id(struct db *db, struct store_applied *a);
/* Takes out every member but this one. */
void store_apply_members_but(struct db *db, const uint8_t identity[16]);

#endif
