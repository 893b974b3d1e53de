/*
 * What the main loop reads of the items.
 */
#include "xmppd/cluster/store_item.h"

#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/cluster/db.h"
#include "xmppd/cluster/store_impl.h"

#define COLUMNS "space, node, id, seq, time, by"
#define OF_NODE " FROM item WHERE local = ? AND space = ? AND node = ?"
#define BETWEEN " AND seq > ? AND seq < ?"

void
store_item_clear(struct store_item *item)
{
	free(item->node);
	free(item->id);
	free(item->by);
	buf_clear(&item->value);
	*item = (struct store_item){ 0 };
}

void
store_items_clear(struct store_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		store_item_clear(&items[i]);
	free(items);
}

static void
read_done(struct store *s)
{
	if (db_failed(s->reader))
		store_fail(s, db_why(s->reader));
}

static struct db_query *
node_query(struct store *s, const char *sql, const struct store_node *n)
{
	struct db_query *q = db_query(s->reader, sql);

	db_bind_text(q, n->local);
	db_bind_int(q, n->space);
	db_bind_text(q, n->node);
	return q;
}

static void
bind_bounds(struct db_query *q, const struct store_node *n)
{
	db_bind_uint(q, n->after);
	db_bind_uint(q, n->before == 0 ? INT64_MAX : n->before);
}

/* The columns above, and the value if the query has it. */
static void
read_item(struct db_query *q, struct store_item *item)
{
	const void *value;
	size_t len;

	*item = (struct store_item){ 0 };
	item->space = (uint8_t)db_int(q, 0);
	item->node = db_dup_text(q, 1);
	item->id = db_dup_text(q, 2);
	item->seq = db_uint(q, 3);
	item->time = db_int(q, 4);
	item->by = db_dup_text(q, 5);
	if (db_columns(q) <= 6)
		return;
	value = db_blob(q, 6, &len);
	buf_add(&item->value, value, len);
}

bool
store_item(struct store *s, const struct store_node *n, const char *id,
    struct store_item *out)
{
	struct db_query *q =
	    node_query(s, "SELECT " COLUMNS ", value" OF_NODE " AND id = ?", n);
	bool there;

	db_bind_text(q, id);
	there = db_row(q);
	if (out != NULL)
		*out = (struct store_item){ 0 };
	if (there && out != NULL)
		read_item(q, out);
	db_end(q);
	read_done(s);
	return there;
}

static size_t
read_items(struct store *s, struct db_query *q, struct store_item **out)
{
	size_t count = 0, size = 0;

	*out = NULL;
	while (db_row(q)) {
		if (count == size) {
			size = size == 0 ? 8 : size * 2;
			*out = xrealloc(*out, size * sizeof(**out));
		}
		read_item(q, &(*out)[count++]);
	}
	read_done(s);
	return count;
}

static void
reverse(struct store_item *items, size_t count)
{
	for (size_t i = 0; i + 1 < count - i; i++) {
		struct store_item other = items[i];

		items[i] = items[count - 1 - i];
		items[count - 1 - i] = other;
	}
}

size_t
store_items(
    struct store *s, const struct store_node *n, struct store_item **out)
{
	static const char *const queries[2][2] = {
		{ "SELECT " COLUMNS ", value" OF_NODE BETWEEN
		  " ORDER BY seq LIMIT ?",
		    "SELECT " COLUMNS ", value" OF_NODE BETWEEN
		    " ORDER BY seq DESC LIMIT ?" },
		{ "SELECT " COLUMNS OF_NODE BETWEEN " ORDER BY seq LIMIT ?",
		    "SELECT " COLUMNS OF_NODE BETWEEN
		    " ORDER BY seq DESC LIMIT ?" },
	};
	struct db_query *q = node_query(s, queries[n->no_values][n->newest], n);
	size_t count;

	bind_bounds(q, n);
	db_bind_int(q, n->max == 0 ? -1 : (int64_t)n->max);
	count = read_items(s, q, out);
	if (n->newest && count > 1)
		reverse(*out, count);
	return count;
}

size_t
store_item_count(struct store *s, const struct store_node *n)
{
	struct db_query *q =
	    node_query(s, "SELECT count(*)" OF_NODE BETWEEN, n);
	size_t count;

	bind_bounds(q, n);
	count = (size_t)db_only_int(q);
	read_done(s);
	return count;
}

size_t
store_items_of(struct store *s, const char *local,
    const struct store_item *after, size_t max, struct store_item **out)
{
	struct db_query *q = db_query(s->reader,
	    "SELECT " COLUMNS ", value FROM item WHERE local = ?"
	    " AND (space, node, id) > (?, ?, ?)"
	    " ORDER BY space, node, id LIMIT ?");

	db_bind_text(q, local);
	db_bind_int(q, after == NULL ? 0 : after->space);
	db_bind_text(q, after == NULL ? "" : after->node);
	db_bind_text(q, after == NULL ? "" : after->id);
	db_bind_uint(q, max);
	return read_items(s, q, out);
}

uint64_t
store_item_bytes(struct store *s, const char *local)
{
	struct db_query *q =
	    db_query(s->reader, "SELECT bytes FROM item_use WHERE local = ?");
	uint64_t bytes;

	db_bind_text(q, local);
	bytes = (uint64_t)db_only_int(q);
	read_done(s);
	return bytes;
}

bool
store_item_any(struct store *s, const char *local, uint8_t space)
{
	struct db_query *q = db_query(s->reader,
	    "SELECT 1 FROM item WHERE local = ? AND space = ? LIMIT 1");
	bool any;

	db_bind_text(q, local);
	db_bind_int(q, space);
	any = db_exists(q);
	read_done(s);
	return any;
}

size_t
store_item_total(struct store *s)
{
	size_t count = (size_t)db_only_int(
	    db_query(s->reader, "SELECT count(*) FROM item WHERE local <> ''"));

	read_done(s);
	return count;
}
