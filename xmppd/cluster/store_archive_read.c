/*
 * What the main loop reads of archives. Places have no gaps and times never go
 * back, so a time is found by halving, and a page of all messages is a run of
 * neighbours; those with one contact are found by an index.
 */
#include "xmppd/cluster/store_archive.h"

#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/cluster/db.h"
#include "xmppd/cluster/store_impl.h"

/* So many rows are looked at for one page, or one count, at most. */
#define LOOK_MAX 4096

static void
read_done(struct store *s)
{
	if (db_failed(s->reader))
		store_fail(s, db_why(s->reader));
}

bool
store_archive(struct store *s, const char *account, struct archive *out)
{
	struct db_query *q = db_query(s->reader,
	    "SELECT id, first, next, bytes FROM archive_of WHERE local = ?");
	bool found;

	*out = (struct archive){ .first = 1, .next = 1 };
	db_bind_text(q, account);
	found = db_row(q);
	if (found) {
		out->id = db_uint(q, 0);
		out->first = db_uint(q, 1);
		out->next = db_uint(q, 2);
		out->bytes = db_uint(q, 3);
	}
	db_end(q);
	read_done(s);
	return found;
}

uint64_t
store_archive_find(
    struct store *s, const struct archive *a, const uint8_t uid[ARCHIVE_UID])
{
	struct db_query *q = db_query(s->reader,
	    "SELECT place FROM archive WHERE archive = ? AND uid = ?");
	uint64_t place;

	db_bind_uint(q, a->id);
	db_bind_blob(q, uid, ARCHIVE_UID);
	place = (uint64_t)db_only_int(q) & ARCHIVE_PLACE_MASK;
	read_done(s);
	return place >= a->first && place < a->next ? place : 0;
}

uint64_t
store_archive_at(struct store *s, const struct archive *a, int64_t time)
{
	uint64_t low = a->first, high = a->next;
	struct db_query *q;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		q = db_query(
		    s->reader, "SELECT time FROM archive WHERE place = ?");
		db_bind_int(q, store_archive_place(a->id, middle));
		if (db_only_int(q) < time)
			low = middle + 1;
		else
			high = middle;
	}
	read_done(s);
	return low;
}

/* ---- pages ------------------------------------------------------------- */

#define PAGE "SELECT place, uid, time, stanza, resource FROM archive"
#define PLACES " place >= ? AND place < ? ORDER BY place"
#define OF_PEER " INDEXED BY archive_peer WHERE archive = ? AND peer = ? AND"

static struct db_query *
page_query(
    struct store *s, const struct archive *a, const struct archive_range *range)
{
	struct db_query *q;

	if (range->bare != NULL) {
		q = db_query(s->reader,
		    range->newest ? PAGE OF_PEER PLACES " DESC"
				  : PAGE OF_PEER PLACES);
		db_bind_uint(q, a->id);
		db_bind_text(q, range->bare);
	} else {
		q = db_query(s->reader,
		    range->newest ? PAGE " WHERE" PLACES " DESC"
				  : PAGE " WHERE" PLACES);
	}
	db_bind_int(q, store_archive_place(a->id, range->first));
	db_bind_int(q, store_archive_place(a->id, range->next));
	return q;
}

static bool
is_wanted(const struct db_query *q, const struct archive_range *range)
{
	const char *resource;
	size_t len;

	if (range->resource == NULL)
		return true;
	resource = db_blob(q, 4, &len);
	return len == strlen(range->resource) &&
	    memcmp(resource, range->resource, len) == 0;
}

static void
read_uid(const struct db_query *q, uint8_t uid[ARCHIVE_UID])
{
	size_t len;
	const void *bytes = db_blob(q, 1, &len);

	memset(uid, 0, ARCHIVE_UID);
	if (len == ARCHIVE_UID)
		memcpy(uid, bytes, len);
}

static size_t
row_read(struct db_query *q, struct archive_row *row)
{
	const void *stanza;
	size_t len;

	*row = (struct archive_row){ 0 };
	row->place = db_uint(q, 0) & ARCHIVE_PLACE_MASK;
	read_uid(q, row->uid);
	row->time = db_int(q, 2);
	stanza = db_blob(q, 3, &len);
	buf_add(&row->stanza, stanza, len);
	return len;
}

static void
rows_reverse(struct archive_row *rows, size_t count)
{
	for (size_t i = 0; i + 1 < count - i; i++) {
		struct archive_row row = rows[i];

		rows[i] = rows[count - 1 - i];
		rows[count - 1 - i] = row;
	}
}

void
store_archive_page(struct store *s, const struct archive *a,
    const struct archive_range *range, struct archive_page *out)
{
	struct db_query *q = page_query(s, a, range);
	size_t bytes = 0, size, looked = 0;

	*out = (struct archive_page){ .whole = true };
	out->rows = xcalloc(range->max + 1, sizeof(*out->rows));
	while (db_row(q)) {
		const void *stanza = db_blob(q, 3, &size);

		(void)stanza;
		if (out->count == range->max || looked++ == LOOK_MAX ||
		    (out->count > 0 && is_wanted(q, range) &&
			bytes + size > range->max_bytes)) {
			out->whole = false;
			break;
		}
		out->reached = db_uint(q, 0) & ARCHIVE_PLACE_MASK;
		read_uid(q, out->reached_uid);
		if (is_wanted(q, range))
			bytes += row_read(q, &out->rows[out->count++]);
	}
	db_end(q);
	read_done(s);
	if (range->newest)
		rows_reverse(out->rows, out->count);
}

void
archive_page_clear(struct archive_page *page)
{
	for (size_t i = 0; i < page->count; i++)
		buf_clear(&page->rows[i].stanza);
	free(page->rows);
	*page = (struct archive_page){ 0 };
}

/* ---- counts ------------------------------------------------------------ */

static struct db_query *
peer_query(struct store *s, const char *sql, const struct archive *a,
    const struct archive_range *range)
{
	struct db_query *q = db_query(s->reader, sql);

	db_bind_uint(q, a->id);
	db_bind_text(q, range->bare);
	db_bind_int(q, store_archive_place(a->id, range->first));
	db_bind_int(q, store_archive_place(a->id, range->next));
	return q;
}

bool
store_archive_count(struct store *s, const struct archive *a,
    const struct archive_range *range, uint64_t *out)
{
	struct db_query *q;

	*out = range->next > range->first ? range->next - range->first : 0;
	if (range->bare == NULL)
		return true;
	if (range->resource != NULL)
		return false;
	q = peer_query(s,
	    "SELECT count(*) FROM (SELECT 1 FROM archive" OF_PEER
	    " place >= ? AND place < ? LIMIT ?)",
	    a, range);
	db_bind_int(q, LOOK_MAX);
	*out = (uint64_t)db_only_int(q);
	read_done(s);
	return *out < LOOK_MAX;
}

bool
store_archive_skip(struct store *s, const struct archive *a,
    const struct archive_range *range, uint64_t skip, uint64_t *out)
{
	struct db_query *q;

	*out = 0;
	if (range->bare == NULL) {
		if (range->next > range->first &&
		    skip < range->next - range->first)
			*out = range->first + skip;
		return true;
	}
	if (range->resource != NULL || skip >= LOOK_MAX)
		return false;
	q = peer_query(s,
	    "SELECT place FROM archive" OF_PEER PLACES " LIMIT 1 OFFSET ?", a,
	    range);
	db_bind_uint(q, skip);
	*out = (uint64_t)db_only_int(q) & ARCHIVE_PLACE_MASK;
	read_done(s);
	return true;
}

/* ---- all of them ------------------------------------------------------- */

bool
store_archive_is_due(struct store *s, int64_t now)
{
	int64_t horizon = store_archive_horizon(s->reader, now);
	struct db_query *q;
	bool due = db_exists(db_query(s->reader, "SELECT 1 FROM archive_gone"));

	if (!due && horizon != INT64_MIN) {
		q = db_query(
		    s->reader, "SELECT 1 FROM archive_of WHERE oldest < ?");
		db_bind_int(q, horizon);
		due = db_exists(q);
	}
	read_done(s);
	return due;
}

uint64_t
store_archive_total(struct store *s)
{
	uint64_t total = (uint64_t)db_only_int(
	    db_query(s->reader, "SELECT total(next - first) FROM archive_of"));

	read_done(s);
	return total;
}
