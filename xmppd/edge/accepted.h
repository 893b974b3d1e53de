#ifndef XMPPD_EDGE_ACCEPTED_H
#define XMPPD_EDGE_ACCEPTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xmppd/link/frame.h"

/*
 * What an edge has accepted, by name, so that nothing is taken twice and a new
 * router can be told what is done (rules 1 to 5 of delivery(7)). Pure. An entry
 * lives until nobody can ask again: its origin's low-water mark has passed it,
 * its origin or term has ended, or the router said "forget".
 */
struct accepted;

struct accepted *accepted_new(void);
void accepted_free(struct accepted *a);
size_t accepted_count(const struct accepted *a);

/* Whether it is done: accepted already, or (rule 5, `later_done`) it is a
 * message and a later one of the same sending session was. */
bool accepted_is_done(struct accepted *a, const struct delivery_id *id,
    const struct sid *sender, uint8_t kind);
/* Takes what is of the delivery into account: id, sender, kind, lane. */
void accepted_add(struct accepted *a, const struct down_deliver *m);

/*
 * The router isn't told yet: the delivery is in the session's queue, and the
 * session is slow, or (`keep`) has to say first that it has it. accepted_tell()
 * ends that, and says whether it still was so: if it isn't kept, an
 * announcement has told it meanwhile, perhaps.
 */
void accepted_hold_back(
    struct accepted *a, const struct delivery_id *id, bool keep);
bool accepted_tell(struct accepted *a, const struct delivery_id *id);
bool accepted_is_kept(const struct accepted *a, const struct delivery_id *id);
/* It was not taken after all. */
void accepted_remove(struct accepted *a, const struct delivery_id *id);

/* "Forget": the key with all its targets. */
void accepted_forget(struct accepted *a, const struct dkey *key);
/* An origin's low-water mark; one that is not higher is ignored. */
void accepted_low(
    struct accepted *a, const struct origin *origin, uint64_t low);
/* Of an ended term: what may be lost with it. */
void accepted_end_terms(struct accepted *a, uint64_t term);
/* Drops the origins that are not among the live ones (rule 13). */
void accepted_end_origins(struct accepted *a, const struct down_pong *live);

/* For an announcement: each is told by it. */
typedef void (*accepted_fn)(void *arg, const struct up_report *report);
void accepted_each(struct accepted *a, accepted_fn fn, void *arg);
/* The same, but nothing is told. */
void accepted_look(const struct accepted *a, accepted_fn fn, void *arg);
bool accepted_has(const struct accepted *a, const struct delivery_id *id);

#endif
