#ifndef XMPPD_CLUSTER_STORE_H
#define XMPPD_CLUSTER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/result.h"
#include "xmppd/link/frame.h"

/*
 * The replicated state: domain, settings, accounts, rosters, components, stored
 * messages, what frames have done, the member table. It lives in SQLite
 * (state.db), and changes only by commands that went through the Raft log. A
 * command is applied the same way on every node: times, random numbers and
 * permanent ids that only one place may choose are inside it, and a command
 * whose condition does not hold has a result code instead of an effect.
 *
 * Threads: commands are applied by the store's own thread, in order. What was
 * applied is reported to the main loop as events, in order. Reads are made from
 * the main loop on a connection of their own; they see all that was reported,
 * and perhaps a little more.
 */
struct store;
struct event_base;

/*
 * The name of an account is the local part of its address; at a further domain
 * (SHARED_DOMAINS) it is the bare address itself. So the first domain can be
 * changed without any account being another, and no name is ambiguous: a local
 * part has no "@" (RFC 7622, 3.3).
 */
#define SHARED_DOMAINS "domain/" /* and its name: a further domain */

/* What is archived of those who didn't say: "always", "roster" or "never"; and
 * for how many days; absent: for ever. Limits are in bytes, for each user. */
#define SHARED_ARCHIVE "archive"
#define SHARED_ARCHIVE_KEEP "archive-keep"
#define SHARED_ARCHIVE_LIMIT "limit/archive"
#define SHARED_OFFLINE_LIMIT "limit/offline"

#define SHARED_DATA_LIMIT "limit/data" /* of items, in bytes */

#define SHARED_MOTD "motd" /* the message of the day */

/* And a role ("abuse", ...): URIs (XEP-0157) with '\n' between them. */
#define SHARED_CONTACT "contact/"

/* What app servers are told of messages (XEP-0357): "sender", or also the
 * "body"; absent: only how many there are. */
#define SHARED_PUSH "push"

/* ---- commands ---------------------------------------------------------- */

enum store_command {
	STORE_SETTING =
	    1, /* name, value: "domain", timers; value absent: unset */
	STORE_ACCOUNT_ADD,    /* local, scram_keys; RES_EXISTS */
	STORE_ACCOUNT_PASSWD, /* local, scram_keys; RES_NOT_FOUND */
	STORE_ACCOUNT_DEL,    /* local; its roster and rows go with it, and its
				 contacts' subscriptions */
	STORE_COMPONENT_ADD,  /* name, secret, bool secret_given; RES_EXISTS;
				 given and equal: RES_OK, id 1; given and
				 different: RES_DIFFERS. Compared without case.
			       */
	STORE_COMPONENT_DEL,  /* name; RES_NOT_FOUND */
	STORE_EFFECT,         /* struct store_effect: all of a frame's */
	STORE_ROWS_DEL,       /* row ids that have been handed out */
	STORE_PRUNE,          /* (origin, low): forget effects numbered lower */
	STORE_ORIGIN_END,     /* origin: forget all of its effects */
	STORE_MEMBER_PUT,   /* struct store_member: a new row; RES_EXISTS on an
			       address, identity or Raft id that a row has */
	STORE_MEMBER_SWAP,  /* identity, struct store_member: replaces the row
			       with that identity or address in one step; old
			       Raft ids are marked for removal. With its own
			       Raft id: a changed address, nothing is marked.
			       RES_EXISTS on a Raft id that is another's */
	STORE_MEMBER_DEL,   /* identity; its Raft id is marked for removal */
	STORE_MEMBER_BOOT,  /* identity, boot; RES_DIFFERS unless higher */
	STORE_RAFT_ID_GONE, /* Raft id: the voter is gone, drop the mark */
	STORE_NEXT_RAFT_ID, /* -> result id: a fresh Raft id, never reused */
	STORE_CLEAR,        /* accounts and all of theirs, components, members
			       but this identity (their Raft ids are marked):
			       `xmpp reset`; settings stay */
	STORE_ITEMS,        /* ops on items that no frame asked for */
	STORE_FORMER_DEL,   /* local, account id: all have been told that this
			       deleted account's sessions have ended */
	STORE_ARCHIVE,      /* batch, messages (store_archive.h) */
	STORE_SWEEP,        /* time: a part of what is to be taken out of
			       archives goes; -> how many messages */
};
#define STORE_LAST STORE_SWEEP

/* A change of one roster item (RFC 6121, 2.1.2). */
struct store_roster_item {
	char *contact;      /* prepared bare JID */
	char *name;         /* NULL: none */
	char *groups;       /* '\n'-separated; NULL: none */
	uint8_t to, from;   /* subscription halves, 0 or 1 */
	uint8_t ask;        /* pending out: <ask='subscribe'/> */
	uint8_t pending_in; /* a request waits for approval (3.1.3) */
	uint8_t approved;   /* pre-approval (3.4) */
	uint8_t visible;    /* is in the roster: not only pending in */
	uint64_t version;   /* of the last change, for roster versioning */
	char *request;      /* pending_in: the subscribe stanza's bytes */
};

enum effect_op {
	EFFECT_STORE = 1, /* user, time, stanza bytes: a row; id in the result;
			     RES_LIMIT, and no effect, beyond the limit */
	EFFECT_ROSTER, /* user, item: set as a whole, version given by apply */
	EFFECT_ROSTER_DEL, /* user, contact */
	EFFECT_DONE,       /* nothing but the note that the frame is done */
	EFFECT_ITEM_PUT,   /* user, space, node, id, time, by, value, keep,
			      quota: replaces one of that id; RES_LIMIT, and no
			      effect, beyond the quota */
	EFFECT_ITEM_DEL,   /* user, space; node and id, or absent: all */
};

/*
 * Items: what an account keeps here, besides its roster and messages. Each has
 * a space, which says what it is and who reads it; a node, and an id in that;
 * and a sequence number, by which the newest of a node is known. The user ""
 * is the server itself.
 */
enum item_space {
	SPACE_PRIVATE = 1, /* XEP-0049; node: "{namespace}name"; id: "" */
	SPACE_VCARD,       /* XEP-0054; node, id: "" */
	SPACE_BLOCK,       /* XEP-0191; node: ""; id: a JID */
	SPACE_PEP,         /* XEP-0163: items of a node */
	SPACE_PEP_NODE,    /* node: ""; id: a node; value: how it is set up */
	SPACE_PEP_WHO, /* node: a node; id: a JID; value: what it is to it */
	SPACE_PUSH,    /* XEP-0357; node: ""; id: service and its node */
	SPACE_CAPS,    /* the server's own: XEP-0115; id: a hash; value:
			  what a client of that hash wants to be told of */
	SPACE_ARCHIVE, /* XEP-0441; node, id: ""; value: what is archived */
	SPACE_ROLE,    /* the server's own; node: "admin": who administers
			  it (XEP-0133); id: an account, and it goes with
			  that */
};

struct store_op {
	uint8_t op;        /* enum effect_op */
	char *user;        /* local part of the account */
	int64_t time;      /* STORE: unix seconds */
	struct buf stanza; /* STORE: bytes, not yet stamped with a delay;
			      ITEM_PUT: the value */
	struct store_roster_item item; /* ROSTER; ROSTER_DEL: contact only */
	/* ITEM_PUT, ITEM_DEL */
	uint8_t space; /* enum item_space */
	char *node, *id;
	char *by;       /* who put it there: a JID; absent: the account */
	uint32_t keep;  /* so many of the node; 0: all */
	uint64_t quota; /* bytes of all of the account's items; 0: no limit */
};

/*
 * All durable effects of one frame, as one command: applied once for (origin,
 * num), whoever sends it again. An op whose account is gone is a no-op (row and
 * version 0) and the rest goes on; the code is then RES_NOT_FOUND. Applied
 * effects of the origin with a number below `low` are forgotten along the way.
 */
struct store_effect {
	struct origin origin;
	uint64_t num, low;
	uint64_t note; /* the proposer's own, kept with the result */
	struct store_op *ops;
	size_t count;
};

struct store_member {
	uint8_t identity[16]; /* permanent, random */
	uint32_t raft_id;
	char *host;      /* host name */
	char *address;   /* numeric, normalised: "10.1.1.1:5222",
			    "[2001:db8::1]:5222" */
	uint8_t key[32]; /* given at join; proves which node it is */
	uint64_t boot;   /* newest start */
};

void store_member_clear(struct store_member *);
void store_effect_clear(struct store_effect *);
void store_roster_item_clear(struct store_roster_item *);
void store_roster_item_copy(
    struct store_roster_item *to, const struct store_roster_item *from);

/* Encoders: append one command to b. */
void store_cmd_setting(struct buf *b, const char *name, const char *value);
void store_cmd_account_add(
    struct buf *b, const char *local, const struct scram_keys *keys);
void store_cmd_account_passwd(
    struct buf *b, const char *local, const struct scram_keys *keys);
void store_cmd_account_del(struct buf *b, const char *local);
void store_cmd_former_del(struct buf *b, const char *local, uint64_t id);
void store_cmd_component_add(
    struct buf *b, const char *name, const char *secret, bool given);
void store_cmd_component_del(struct buf *b, const char *name);
void store_cmd_effect(struct buf *b, const struct store_effect *effect);
void store_cmd_rows_del(struct buf *b, const uint64_t *rows, size_t count);
void store_cmd_prune(struct buf *b, const struct origin *origin, uint64_t low);
void store_cmd_origin_end(struct buf *b, const struct origin *origin);
void store_cmd_member_put(struct buf *b, const struct store_member *m);
void store_cmd_member_swap(struct buf *b, const struct store_member *m);
void store_cmd_member_del(struct buf *b, const uint8_t identity[16]);
void store_cmd_member_boot(
    struct buf *b, const uint8_t identity[16], uint64_t boot);
void store_cmd_raft_id_gone(struct buf *b, uint32_t raft_id);
void store_cmd_next_raft_id(struct buf *b);
void store_cmd_clear(struct buf *b, const uint8_t identity[16]);
void store_cmd_items(struct buf *b, const struct store_op *ops, size_t count);

/*
 * An entry of the Raft log: commands with their proposers, as many as arrived
 * together. (proposer, seq) names a command: the store keeps the results of the
 * newest 4096, so that one sent again after a lost leader does not act twice.
 * proposer 0 (router's effects, which have their own names) is not kept. A
 * proposer is random for each start of a node. An entry without commands moves
 * only the index.
 */
struct store_proposal {
	uint64_t proposer, seq;
	const void *command;
	size_t len;
};

void store_entry_add(struct buf *entry, const struct store_proposal *p);

/* ---- what has been applied, for the main loop -------------------------- */

struct store_event {
	uint64_t proposer, seq; /* as proposed */
	uint64_t index;         /* Raft index of its entry */
	uint8_t what;           /* enum store_command; 0 with RES_INVALID:
				   the rest of a malformed entry */
	bool again;             /* was applied earlier: result repeated */
	int code;               /* RES_* */
	uint64_t id;            /* EFFECT: of the first op that made a row
				   or version; NEXT_RAFT_ID; ACCOUNT_ADD,
				   ACCOUNT_DEL: the account's id; ARCHIVE: the
				   batch; SWEEP: how many */
	const char *name;       /* setting, account, component; or NULL */
	const struct store_effect *effect; /* EFFECT: with row ids and versions;
					      ITEMS: only the ops; else NULL */
	const uint64_t *rows; /* EFFECT, ITEMS: row id, or an item's sequence
				 number, by op (0: none; again: of those ops
				 that are of the same kind as at the first
				 time); ROWS_DEL: all */
	size_t row_count;
};

struct store_callbacks {
	/* On the main loop, in order; pointers are valid during the call. */
	void (*applied)(void *arg, const struct store_event *event);
	/* The whole state was replaced (a snapshot file): forget caches. */
	void (*replaced)(void *arg);
	/* A storage error: the node must stop (one function ends it). */
	void (*failed)(void *arg, const char *why);
	void *arg;
};

/* ---- life -------------------------------------------------------------- */

/*
 * Opens or makes DIR/state.db. With `base` NULL there is no thread: everything
 * happens inside the calls (tests, simulation); what a callback asks for is
 * then done when it has returned. Callbacks must not close the store.
 */
struct store *store_open(const char *dir, struct event_base *base,
    const struct store_callbacks *cb, struct error *e);
/* Applies what is queued and joins the thread; calls nobody back, copies that
 * are under way are given up. NULL is fine. */
void store_close(struct store *s);

/* ---- for the Raft thread; thread-safe ---------------------------------- */

/* Queues a committed entry; one whose index is applied already is skipped.
 * Copies the bytes. Waits only while 64 MiB are queued. */
void store_apply(
    struct store *s, uint64_t index, const void *entry, size_t len);

/* The Raft index up to which state.db is applied, and synced to the disk. */
uint64_t store_applied_index(const struct store *s);
uint64_t store_synced_index(const struct store *s);

/* Asks for a checkpoint and sync of what is queued now; store_synced_index()
 * says when it is there. Never blocks. */
void store_sync(struct store *s);

/* Writes a copy (SQLite's backup API, on the store's thread) to `path`; `done`
 * is called on the main loop with the index it holds and its SHA-256. */
void store_copy(struct store *s, const char *path,
    void (*done)(void *arg, int code, uint64_t index, const uint8_t sha256[32]),
    void *arg);

/* Replaces the state by a copied file (takes and removes it), on the store's
 * thread, durable before `replaced` and then `done` are called on the main
 * loop. One that isn't newer than the state is dropped: RES_OK, the state's own
 * index. RES_STATE: not such a file, or of a newer version; RES_INVALID:
 * damaged; RES_IO: no room. */
void store_install(struct store *s, const char *path,
    void (*done)(void *arg, int code, uint64_t index), void *arg);

/* ---- reads, on the main loop ------------------------------------------- */

/* The caller frees what is returned; NULL if there is none. */
char *store_setting(struct store *s, const char *name);
bool store_account_exists(struct store *s, const char *account);
/* Zeroes if there is no such account. */
struct store_account {
	uint64_t id;      /* another one if it is deleted and made anew */
	uint64_t version; /* of its roster; the id or higher */
};
struct store_account store_account(struct store *s, const char *local);
int store_account_keys(struct store *s, const char *local,
    struct scram_keys *keys); /* RES_NOT_FOUND */
char *store_component_secret(struct store *s, const char *name);

/* Whether some account has a key for SCRAM-SHA-1 and none for -256. */
bool store_any_sha1_only(struct store *s);

/* The first account after this one (NULL: of all) at a domain, in the order of
 * names; NULL: there is none. `domain` NULL: the first one. The caller frees.
 */
char *store_account_after(
    struct store *s, const char *domain, const char *after);

typedef void (*store_name_fn)(void *arg, const char *name, const char *value);
/* Settings whose names begin with `prefix`, which ends in a "/", in the order
 * of their names. */
void store_settings(
    struct store *s, const char *prefix, store_name_fn fn, void *arg);
void store_accounts(struct store *s, store_name_fn fn, void *arg);
void store_components(struct store *s, store_name_fn fn, void *arg); /* value:
					  the secret; in the order of adding */
size_t store_account_count(struct store *s);
size_t store_row_count(struct store *s);
size_t store_user_row_count(struct store *s, const char *local);
void store_row_users(struct store *s, store_name_fn fn, void *arg); /* who has
					  any; value: NULL */

struct store_roster {
	struct store_roster_item *items;
	size_t count;
	uint64_t version;
};

void store_roster(struct store *s, const char *local, struct store_roster *out);
/* Contacts that were taken out of it since this version, with the version of
 * that. False if these may not be all: only so many are kept. */
bool store_removed(struct store *s, const char *local, uint64_t after,
    struct store_roster *out);
/* The contacts that a deleted account shared presence with, or was about to:
 * contact, to, from, ask, pending_in. */
void store_former(
    struct store *s, const char *local, uint64_t id, struct store_roster *out);
void store_roster_clear(struct store_roster *r);

/* A deleted account of which something is still to be told. */
struct store_gone {
	char *local;
	uint64_t id;
};
/* At most `max`; returns how many. The caller frees each local. */
size_t store_gone(struct store *s, struct store_gone *out, size_t max);

/* Items of contacts at a domain that isn't served, by user and contact; to,
 * from and ask only. */
struct store_contact {
	char *local;
	struct store_roster_item item;
};
/* The next ones after that of `last` (NULL: from the beginning), at most `max`;
 * returns how many. The caller clears each. */
size_t store_contacts_at(struct store *s, const char *host,
    const struct store_contact *last, struct store_contact *out, size_t max);
void store_contact_clear(struct store_contact *c);

struct store_row {
	uint64_t id;
	int64_t time;
	struct buf stanza;
};

/* Stored messages of a user with id > after, oldest first, at most `max`;
 * returns how many. The caller clears each stanza. "@domain" stands for a
 * component: what it has to be told, without a time. */
size_t store_rows(struct store *s, const char *local, uint64_t after,
    struct store_row *out, size_t max);

/* Whether the frame has been applied. */
bool store_effect_done(
    struct store *s, const struct origin *origin, uint64_t num);
/* The same, with the note that it was proposed with. */
bool store_effect_note(
    struct store *s, const struct origin *origin, uint64_t num, uint64_t *note);
/* The same, with what it came to. */
bool store_effect_code(
    struct store *s, const struct origin *origin, uint64_t num, int *code);
/* Whether a frame of the origin with a higher number and this note has been
 * applied. */
bool store_effect_later(
    struct store *s, const struct origin *origin, uint64_t num, uint64_t note);
/* Origins of which effects are kept; the caller frees *out. */
size_t store_origins(struct store *s, struct origin **out);

/* The member table, ordered by numeric address; the caller clears each and
 * frees the array. */
size_t store_members(struct store *s, struct store_member **out);
/* Raft ids marked for removal; the caller frees. */
size_t store_raft_ids_marked(struct store *s, uint32_t **out);

/* A digest of the whole state but the index: equal on all nodes that have
 * applied the same entries. */
void store_digest(struct store *s, uint8_t out[32]);

#endif
