/*
 * What the main loop reads of rosters: those that are, what went out of them,
 * and what a deleted account left behind.
 */
#include <stdlib.h>

#include "common/xmalloc.h"
#include "xmppd/cluster/db.h"
#include "xmppd/cluster/store_apply.h"
#include "xmppd/cluster/store_impl.h"

typedef void (*item_reader)(struct db_query *q, struct store_roster_item *item);

static void
read_item(struct db_query *q, struct store_roster_item *item)
{
	item->contact = db_dup_text(q, 0);
	item->name = db_dup_text(q, 1);
	item->groups = db_dup_text(q, 2);
	item->to = (uint8_t)db_int(q, 3);
	item->from = (uint8_t)db_int(q, 4);
	item->ask = (uint8_t)db_int(q, 5);
	item->pending_in = (uint8_t)db_int(q, 6);
	item->approved = (uint8_t)db_int(q, 7);
	item->visible = (uint8_t)db_int(q, 8);
	item->version = db_uint(q, 9);
	item->request = db_dup_text(q, 10);
}

/* Reads all items, and ends the query. */
static void
read_all(struct db_query *q, item_reader read, struct store_roster *out)
{
	size_t size = 0;

	while (db_row(q)) {
		if (out->count == size) {
			size = size == 0 ? 16 : size * 2;
			out->items =
			    xrealloc(out->items, size * sizeof(*out->items));
		}
		out->items[out->count] = (struct store_roster_item){ 0 };
		read(q, &out->items[out->count++]);
	}
}

void
store_roster(struct store *s, const char *local, struct store_roster *out)
{
	struct db_query *q;

	*out = (struct store_roster){ 0 };
	/* Items and version must be of one state. */
	db_exec(s->reader, "BEGIN");
	q = store_read_query(s,
	    "SELECT contact, name, groups, to_, from_, ask, pending_in,"
	    " approved, visible, version, request FROM roster"
	    " WHERE local = ? ORDER BY contact");
	db_bind_text(q, local);
	read_all(q, read_item, out);
	q = store_read_query(s, "SELECT version FROM account WHERE local = ?");
	db_bind_text(q, local);
	out->version = (uint64_t)db_only_int(q);
	db_exec(s->reader, "COMMIT");
	store_read_done(s);
}

static void
read_removed(struct db_query *q, struct store_roster_item *item)
{
	item->contact = db_dup_text(q, 0);
	item->version = db_uint(q, 1);
}

bool
store_removed(struct store *s, const char *local, uint64_t after,
    struct store_roster *out)
{
	uint64_t newest;
	struct db_query *q = store_read_query(s,
	    "SELECT contact, version FROM removed"
	    " WHERE local = ? AND version > ?");

	*out = (struct store_roster){ 0 };
	db_bind_text(q, local);
	db_bind_uint(q, after);
	read_all(q, read_removed, out);
	q = store_read_query(s, "SELECT value FROM counter WHERE which = ?");
	db_bind_int(q, COUNTER_VERSION);
	newest = (uint64_t)db_only_int(q);
	store_read_done(s);
	return after + STORE_REMOVED_MAX >= newest;
}

static void
read_former(struct db_query *q, struct store_roster_item *item)
{
	item->contact = db_dup_text(q, 0);
	item->to = (uint8_t)db_int(q, 1);
	item->from = (uint8_t)db_int(q, 2);
	item->ask = (uint8_t)db_int(q, 3);
	item->pending_in = (uint8_t)db_int(q, 4);
}

void
store_former(
    struct store *s, const char *local, uint64_t id, struct store_roster *out)
{
	struct db_query *q = store_read_query(s,
	    "SELECT contact, to_, from_, ask, pending_in FROM former"
	    " WHERE local = ? AND account = ? ORDER BY contact");

	*out = (struct store_roster){ 0 };
	db_bind_text(q, local);
	db_bind_uint(q, id);
	read_all(q, read_former, out);
	store_read_done(s);
}

void
store_roster_clear(struct store_roster *r)
{
	for (size_t i = 0; i < r->count; i++)
		store_roster_item_clear(&r->items[i]);
	free(r->items);
	*r = (struct store_roster){ 0 };
}

size_t
store_gone(struct store *s, struct store_gone *out, size_t max)
{
	struct db_query *q = store_read_query(
	    s, "SELECT DISTINCT local, account FROM former LIMIT ?");
	size_t count = 0;

	db_bind_uint(q, max);
	while (db_row(q) && count < max) {
		out[count].local = db_dup_text(q, 0);
		out[count++].id = db_uint(q, 1);
	}
	db_end(q);
	store_read_done(s);
	return count;
}

void
store_contact_clear(struct store_contact *c)
{
	free(c->local);
	store_roster_item_clear(&c->item);
	*c = (struct store_contact){ 0 };
}

size_t
store_contacts_at(struct store *s, const char *host,
    const struct store_contact *last, struct store_contact *out, size_t max)
{
	struct db_query *q = store_read_query(s,
	    "SELECT local, contact, to_, from_, ask FROM roster"
	    " WHERE host = ? AND (local, contact) > (?, ?)"
	    " ORDER BY local, contact LIMIT ?");
	size_t count = 0;

	db_bind_text(q, host);
	db_bind_text(q, last == NULL ? "" : last->local);
	db_bind_text(q, last == NULL ? "" : last->item.contact);
	db_bind_uint(q, max);
	while (db_row(q) && count < max) {
		struct store_contact *c = &out[count++];

		*c = (struct store_contact){ .local = db_dup_text(q, 0) };
		c->item.contact = db_dup_text(q, 1);
		c->item.to = (uint8_t)db_int(q, 2);
		c->item.from = (uint8_t)db_int(q, 3);
		c->item.ask = (uint8_t)db_int(q, 4);
	}
	db_end(q);
	store_read_done(s);
	return count;
}
