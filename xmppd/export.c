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
#include "common/xmalloc.h"
#include "xmppd/cluster/store_archive.h"
#include "xmppd/cluster/store_item.h"

#define PIECE_SIZE (128 * 1024)
#define ROWS_AT_ONCE 32
#define ITEMS_AT_ONCE 32

/* What comes next of an account. */
enum stage { STAGE_HEAD, STAGE_ROWS, STAGE_ITEMS, STAGE_ARCHIVE };

struct exporting {
	struct store *store;
	struct varlink_call *call;
	struct buf lines;
	bool gone;
	bool sent; /* in this step */
	char **names;
	size_t count, at;
	enum stage stage;
	uint64_t row;           /* after this one */
	struct store_item item; /* after this one; node NULL: the first */
	struct archive archive;
	export_done_fn done;
	void *arg;
};

static void
flush(struct exporting *x)
{
	if (x->lines.len == 0 || x->gone)
		return;
	x->sent = true;
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

/* Each of these adds a part, and says whether there is more. */
static bool
add_rows(struct exporting *x, const char *account)
{
	struct store_row rows[ROWS_AT_ONCE];
	size_t count =
	    store_rows(x->store, account, x->row, rows, ROWS_AT_ONCE);

	for (size_t i = 0; i < count; i++) {
		add_line(x,
		    json_pack("{s:s, s:I, s:s}", "to", account, "time",
			(json_int_t)rows[i].time, "message",
			buf_str(&rows[i].stanza)));
		x->row = rows[i].id;
		buf_clear(&rows[i].stanza);
	}
	return count == ROWS_AT_ONCE;
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

static bool
add_items(struct exporting *x, const char *account)
{
	struct store_item *items;
	size_t count = store_items_of(x->store, account,
	    x->item.node == NULL ? NULL : &x->item, ITEMS_AT_ONCE, &items);
	bool more = count == ITEMS_AT_ONCE;

	for (size_t i = 0; i < count; i++)
		add_item(x, account, &items[i]);
	store_item_clear(&x->item);
	if (count > 0)
		x->item = items[--count];
	store_items_clear(items, count);
	return more;
}

static bool
add_archive(struct exporting *x, const char *account)
{
	struct archive_range range = { .max = ROWS_AT_ONCE,
		.max_bytes = PIECE_SIZE };
	struct archive_page page;

	if (x->archive.id == 0 &&
	    !store_archive(x->store, account, &x->archive))
		return false;
	range.first = x->archive.first;
	range.next = x->archive.next;
	store_archive_page(x->store, &x->archive, &range, &page);
	for (size_t i = 0; i < page.count; i++)
		add_line(x,
		    json_pack("{s:s, s:I, s:s}", "archive", account, "time_ms",
			(json_int_t)page.rows[i].time, "message",
			buf_str(&page.rows[i].stanza)));
	x->archive.first = page.reached + 1;
	archive_page_clear(&page);
	return x->archive.first < x->archive.next && !page.whole;
}

static bool
add_head(struct exporting *x, const char *name)
{
	struct scram_keys keys;
	struct buf b = { 0 };
	char *base64;

	if (store_account_keys(x->store, name, &keys) != 0)
		return false;
	scram_keys_encode(&b, &keys);
	base64 = crypto_base64(b.data, b.len);
	add_line(x,
	    json_pack("{s:s, s:s, s:o}", "account", name, "keys", base64,
		"roster", roster_items(x->store, name)));
	crypto_wipe_free(base64);
	buf_wipe(&b);
	crypto_wipe(&keys, sizeof(keys));
	return false;
}

/* ---- step by step ------------------------------------------------------ */

static void
next_account(struct exporting *x)
{
	store_item_clear(&x->item);
	x->archive = (struct archive){ 0 };
	x->row = 0;
	x->stage = STAGE_HEAD;
	x->at++;
}

static void
add_part(struct exporting *x)
{
	static bool (*const parts[])(struct exporting *, const char *) = {
		[STAGE_HEAD] = add_head,
		[STAGE_ROWS] = add_rows,
		[STAGE_ITEMS] = add_items,
		[STAGE_ARCHIVE] = add_archive,
	};

	if (parts[x->stage](x, x->names[x->at]))
		return;
	if (x->stage == STAGE_ARCHIVE)
		next_account(x);
	else
		x->stage++;
}

static void
finish(struct exporting *x)
{
	store_item_clear(&x->item);
	for (size_t i = 0; i < x->count; i++)
		free(x->names[i]);
	free(x->names);
	buf_wipe(&x->lines);
	x->done(x->arg, !x->gone);
	free(x);
}

/* As much as fits into a piece; the next when that has been sent. */
static void
step(void *arg, bool gone)
{
	struct exporting *x = arg;

	x->gone |= gone;
	x->sent = false;
	while (x->at < x->count && !x->gone && !x->sent)
		add_part(x);
	if (x->at < x->count && !x->gone) {
		varlink_when_sent(x->call, step, x);
		return;
	}
	flush(x);
	finish(x);
}

static void
note_name(void *arg, const char *name, const char *value)
{
	struct exporting *x = arg;

	(void)value;
	x->names = xrealloc(x->names, (x->count + 1) * sizeof(*x->names));
	x->names[x->count++] = xstrdup(name);
}

void
export_begin(struct store *s, const char *domain, struct varlink_call *call,
    export_done_fn done, void *arg)
{
	struct exporting *x = xcalloc(1, sizeof(*x));

	x->store = s;
	x->call = call;
	x->done = done;
	x->arg = arg;
	store_accounts(s, note_name, x);
	add_line(x, json_pack("{s:s?}", "domain", domain));
	step(x, false);
}
