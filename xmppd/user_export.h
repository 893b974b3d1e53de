#ifndef XMPPD_USER_EXPORT_H
#define XMPPD_USER_EXPORT_H

#include <stdint.h>

#include "common/buf.h"

/*
 * All users, with what is kept for them, as a document of XEP-0227, in parts:
 * each call writes some, so that no call takes long, however much there is. All
 * that goes on from part to part is in the place; zeroed, it is the beginning.
 */
struct domains;
struct store;

struct user_export {
	char *domain;  /* NULL: the document hasn't begun */
	char *account; /* the one it is at, or was at last; NULL: none yet */
	int stage;     /* enum of user_export.c */
	uint64_t after;
	uint64_t users; /* how many there have been */
};

void user_export_clear(struct user_export *x);

/* Appends the next part; false if it was the last. `domain` is the first one
 * that is served. */
bool user_export_part(struct user_export *x, struct store *s,
    const char *domain, const struct domains *further, struct buf *out);

#endif
