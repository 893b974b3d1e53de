#ifndef XMPPD_EDGE_QUERIES_H
#define XMPPD_EDGE_QUERIES_H

#include <sys/queue.h>

#include <stdint.h>

#include "xmppd/link/frame.h"

/*
 * Questions to the router that wait for their answer, in the order in which
 * they were asked. Pure.
 */
struct query {
	uint64_t id;
	uint8_t kind; /* enum query_kind */
	char *name;
	void *owner;
	uint64_t until; /* when it is given up */
	TAILQ_ENTRY(query) next;
};

struct queries {
	uint64_t next_id;
	TAILQ_HEAD(query_list, query) list;
};

void queries_init(struct queries *qs);
void queries_clear(struct queries *qs);

/* Borrowed until it is removed. */
const struct query *queries_add(struct queries *qs, enum query_kind kind,
    const char *name, void *owner, uint64_t until);
struct query *queries_find(struct queries *qs, uint64_t id); /* or NULL */
/* The oldest, if it is to be given up at that time; or NULL. */
struct query *queries_overdue(struct queries *qs, uint64_t now);
void queries_remove(struct queries *qs, struct query *q); /* frees it */
void queries_remove_owner(struct queries *qs, const void *owner);

#endif
