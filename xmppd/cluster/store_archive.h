#ifndef XMPPD_CLUSTER_STORE_ARCHIVE_H
#define XMPPD_CLUSTER_STORE_ARCHIVE_H

#include "xmppd/cluster/store.h"

/*
 * Archives (XEP-0313): the messages of each account, in the order in which they
 * were sent and received. A message has a place in its archive, counted from 1
 * without gaps; only the oldest go. So a page, how many there are and where a
 * time lies are found without looking through the rest.
 *
 * A message is also known by an id that the proposer chose (XEP-0359): the same
 * whenever it is proposed, and it is archived once.
 */
#define ARCHIVE_UID 15

/* Commands and events are told apart by `batch`, the proposer's own. */
struct archive_entry {
	struct text account;      /* whose archive */
	struct text peer;         /* the other side: a full or bare JID */
	uint8_t uid[ARCHIVE_UID]; /* unique in that archive */
};

#define ARCHIVE_ENTRIES 2 /* of the sender and the recipient */

struct archive_message {
	int64_t time; /* unix milliseconds */
	struct text stanza;
	struct archive_entry in[ARCHIVE_ENTRIES];
	size_t count;
};

/* STORE_ARCHIVE: its head, messages, its end. */
void store_cmd_archive(struct buf *b, uint64_t batch);
void store_cmd_archive_add(struct buf *b, const struct archive_message *m);
void store_cmd_archive_end(struct buf *b);
/* STORE_SWEEP, at this time in unix milliseconds. */
void store_cmd_sweep(struct buf *b, int64_t now);

/* The next message of a command; false at its end, or where it is malformed
 * (cursor_ok() tells). */
bool archive_message_next(struct cursor *c, struct archive_message *m);

/* ---- reads, on the main loop ------------------------------------------- */

/* Those in it have the places first to next - 1. */
struct archive {
	uint64_t id;
	uint64_t first, next;
	uint64_t bytes;
};

bool store_archive(struct store *s, const char *account, struct archive *out);

/* The place of the message with that id; 0: there is none. */
uint64_t store_archive_find(
    struct store *s, const struct archive *a, const uint8_t uid[ARCHIVE_UID]);

/* The first place with this time or a later one; a->next: there is none. */
uint64_t store_archive_at(
    struct store *s, const struct archive *a, int64_t time);

struct archive_row {
	uint64_t place;
	uint8_t uid[ARCHIVE_UID];
	int64_t time;
	struct buf stanza;
};

/* Which part of an archive. */
struct archive_range {
	uint64_t first, next;  /* places */
	const char *bare;      /* of the other side; NULL: anybody */
	const char *resource;  /* and its resource; NULL: any */
	bool newest;           /* those next to `next`, not to `first` */
	size_t max, max_bytes; /* of one page; one message always fits */
};

struct archive_page {
	struct archive_row *rows; /* in the order of places */
	size_t count;
	bool whole;       /* there is no more in the range */
	uint64_t reached; /* if not: how far it has been looked through */
	uint8_t reached_uid[ARCHIVE_UID];
};

/* The caller clears it. */
void store_archive_page(struct store *s, const struct archive *a,
    const struct archive_range *range, struct archive_page *out);
void archive_page_clear(struct archive_page *page);

/* How many there are in the range, if that is cheap to say. */
bool store_archive_count(struct store *s, const struct archive *a,
    const struct archive_range *range, uint64_t *out);
/* The place of the one that so many others in the range stand before; 0: there
 * are not as many. False if that isn't cheap to say. */
bool store_archive_skip(struct store *s, const struct archive *a,
    const struct archive_range *range, uint64_t skip, uint64_t *out);

/* Whether a sweep at this time would find anything to do. */
bool store_archive_is_due(struct store *s, int64_t now);
/* How many messages are in archives, of all accounts. */
uint64_t store_archive_total(struct store *s);

#endif
