/*
 * Accounts, rosters, stored and archived messages, and items as lines of JSON.
 */
#include "xmppd/export.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/crypto.h"
#include "common/varlink_server.h"
#include "xmppd/cluster/store_archive.h"
#include "xmppd/cluster/store_item.h"

#define PIECE_SIZE (128 * 1024)
#define ROWS_AT_ONCE 32
#define ITEMS_AT_ONCE 32

struct exporting {
	struct store *store;
	struct varlink_call *call;
	struct buf lines;
	bool gone;
};

static void
flush(struct exporting *x)
{
	if (x->lines.len == 0 || x->gone)
		return;
	if (!varlink_reply_more(x->call,
		json_pack("{s:s, s:n, s:n, s:n}", "lines", buf_str(&x->lines),
		    "name", "accounts", "messages")))
		x->gone = true;
	buf_wipe(&x->lines);
}

static void
add_line(struct exporting *x, json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT | JSON_SORT_KEYS);

	buf_add_str(&x->lines, text);
	buf_add_str(&x->lines, "\n");
	crypto_wipe_free(text);
	json_decref(line);
	if (x->lines.len > PIECE_SIZE)
		flush(x);
}

static json_t *
roster_items(struct store *s, const char *account)
{
	json_t *items = json_array();
	struct store_roster roster;

	store_roster(s, account, &roster);
	for (size_t i = 0; i < roster.count; i++) {
		const struct store_roster_item *it = &roster.items[i];

		json_array_append_new(items,
		    json_pack("{s:s, s:s?, s:s?, s:b, s:b, s:b, s:b}",
			"contact", it->contact, "name", it->name, "groups",
			it->groups, "to", it->to, "from", it->from, "ask",
			it->ask, "pending_in", it->pending_in));
	}
	store_roster_clear(&roster);
	return items;
}

static void
add_rows(struct exporting *x, const char *account)
{
	struct store_row rows[ROWS_AT_ONCE];
	uint64_t after = 0;
	size_t count;

	do {
		count =
		    store_rows(x->store, account, after, rows, ROWS_AT_ONCE);
		for (size_t i = 0; i < count; i++) {
			add_line(x,
			    json_pack("{s:s, s:I, s:s}", "to", account, "time",
				(json_int_t)rows[i].time, "message",
				buf_str(&rows[i].stanza)));
			after = rows[i].id;
			buf_clear(&rows[i].stanza);
		}
	} while (count == ROWS_AT_ONCE);
}

/* What an account keeps here: a value is XML, or base64 where it isn't text. */
static void
add_item(struct exporting *x, const char *account, struct store_item *it)
{
	json_t *text =
	    json_stringn((const char *)it->value.data, it->value.len);
	char *base64 = NULL;

	if (text == NULL)
		base64 = crypto_base64(it->value.data, it->value.len);
	add_line(x,
	    json_pack("{s:s, s:i, s:s, s:s, s:I, s:s*, s:o*, s:s*}", "of",
		account, "space", it->space, "node", it->node, "id", it->id,
		"time", (json_int_t)it->time, "by", it->by, "value", text,
		"base64", base64));
	free(base64);
}

static void
add_items(struct exporting *x, const char *account)
{
	struct store_item *items, last = { 0 };
	size_t count;

	do {
		count = store_items_of(x->store, account,
		    last.node == NULL ? NULL : &last, ITEMS_AT_ONCE, &items);
		for (size_t i = 0; i < count; i++)
			add_item(x, account, &items[i]);
		store_item_clear(&last);
		if (count > 0)
			last = items[--count];
		store_items_clear(items, count);
	} while (count == ITEMS_AT_ONCE - 1);
	store_item_clear(&last);
}

/* A page of the archive, from its `first` on; returns where the next begins. */
static uint64_t
add_archive_page(struct exporting *x, const char *account,
    const struct archive *a, uint64_t first)
{
	const struct archive_range range = { .first = first,
		.next = a->next,
		.max = ROWS_AT_ONCE,
		.max_bytes = PIECE_SIZE };
	struct archive_page page;
	uint64_t reached;

	store_archive_page(x->store, a, &range, &page);
	for (size_t i = 0; i < page.count; i++)
		add_line(x,
		    json_pack("{s:s, s:I, s:s}", "archive", account, "time_ms",
			(json_int_t)page.rows[i].time, "message",
			buf_str(&page.rows[i].stanza)));
	reached = page.count == 0 ? a->next : page.reached + 1;
	archive_page_clear(&page);
	return reached;
}

static void
add_archive(struct exporting *x, const char *account)
{
	struct archive a;
	uint64_t place;

	if (!store_archive(x->store, account, &a))
		return;
	for (place = a.first; place < a.next && !x->gone;)
		place = add_archive_page(x, account, &a, place);
}

static void
add_account(void *arg, const char *name, const char *value)
{
	struct exporting *x = arg;
	struct scram_keys keys;
	struct buf b = { 0 };
	char *base64;

	(void)value;
	if (store_account_keys(x->store, name, &keys) != 0)
		return;
	scram_keys_encode(&b, &keys);
	base64 = crypto_base64(b.data, b.len);
	add_line(x,
	    json_pack("{s:s, s:s, s:o}", "account", name, "keys", base64,
		"roster", roster_items(x->store, name)));
	crypto_wipe_free(base64);
	buf_wipe(&b);
	crypto_wipe(&keys, sizeof(keys));
	add_rows(x, name);
	add_items(x, name);
	add_archive(x, name);
}

bool
export_lines(struct store *s, const char *domain, struct varlink_call *call)
{
	struct exporting x = { .store = s, .call = call };

	add_line(&x, json_pack("{s:s?}", "domain", domain));
	store_accounts(s, add_account, &x);
	flush(&x);
	return !x.gone;
}
