#ifndef XMPPD_CLUSTER_STORE_ITEM_H
#define XMPPD_CLUSTER_STORE_ITEM_H

#include "xmppd/cluster/store.h"

/* Reading items (struct store_op, enum item_space); on the main loop. */
struct store_item {
	uint8_t space;
	char *node, *id;
	uint64_t seq;
	int64_t time; /* unix seconds */
	char *by;     /* who put it there; NULL: the account */
	struct buf value;
};

void store_item_clear(struct store_item *item);
void store_items_clear(struct store_item *items, size_t count); /* frees, too */

/* Which node; and for store_items(), which part of it. */
struct store_node {
	const char *local; /* "": the server's own */
	uint8_t space;
	const char *node;
	uint64_t after,
	    before;     /* only those with seq in between; 0: no bound */
	size_t max;     /* at most so many; 0: all */
	bool newest;    /* those next to `before`, not to `after` */
	bool no_values; /* leave them out */
};

/* One item; false if there is none, *out is then empty. NULL: asks only. */
bool store_item(struct store *s, const struct store_node *n, const char *id,
    struct store_item *out);

/* Items in the order of their seq; the caller clears them. */
size_t store_items(
    struct store *s, const struct store_node *n, struct store_item **out);

/* How many with seq in between. */
size_t store_item_count(struct store *s, const struct store_node *n);

/* A part of all that an account has, in the order of space, node and id, after
 * this one; NULL: from the first. */
size_t store_items_of(struct store *s, const char *local,
    const struct store_item *after, size_t max, struct store_item **out);

/* How many bytes an account's items take, and whether it has any of a space. */
uint64_t store_item_bytes(struct store *s, const char *local);
bool store_item_any(struct store *s, const char *local, uint8_t space);
/* Of all accounts. */
size_t store_item_total(struct store *s);

#endif
