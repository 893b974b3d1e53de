/*
 * Archives: what commands do to them.
 *
 * The messages of all archives are in one table, whose key is the archive's
 * number and the place in it: so those of one archive lie together, and a page
 * is a run of neighbours. archive_of says for each account where its archive
 * begins and ends, and counts its bytes along the way.
 *
 * An account that goes leaves its archive behind, for sweeps to take away in
 * steps; nobody can ask for it any more. Sweeps also take what is too old. They
 * come from the leader, with the time in them.
 */
#include "xmppd/cluster/store_archive.h"

#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "common/strutil.h"
#include "xmppd/cluster/db.h"
#include "xmppd/cluster/store_apply.h"

/* What a message takes beside its bytes: its row, and its places in indexes. */
#define OVERHEAD 128
/* So many go at most to make room for one. */
#define TRIM_MAX 32
/* So many go in one sweep, of so many archives. */
#define SWEEP_MAX 512
#define SWEEP_ARCHIVES 16

#define DAY_MS (24 * 60 * 60 * INT64_C(1000))

/* The row of archive_of. */
struct archive_of {
	int64_t id, first, next, bytes, oldest, newest;
};

int64_t
store_archive_place(uint64_t id, uint64_t place)
{
	return (int64_t)(id << ARCHIVE_PLACE_BITS | place);
}

/* ---- settings ---------------------------------------------------------- */

static uint64_t
setting_number(struct db *db, const char *name, uint64_t usual)
{
	struct db_query *q =
	    db_query(db, "SELECT value FROM setting WHERE name = ?");
	uint64_t number = usual;
	char *text = NULL;

	db_bind_text(q, name);
	if (db_row(q))
		text = db_dup_text(q, 0);
	db_end(q);
	if (text != NULL && !str_to_u64(text, 0, INT64_MAX, &number))
		number = usual;
	free(text);
	return number;
}

int64_t
store_limit(struct db *db, const char *name, enum limit limit)
{
	return (int64_t)setting_number(db, name, limit_rows[limit].usual);
}

/* What was archived before then is too old; INT64_MIN: nothing is. */
int64_t
store_archive_horizon(struct db *db, int64_t now)
{
	uint64_t days = setting_number(db, SHARED_ARCHIVE_KEEP, 0);

	if (days == 0 || days > (uint64_t)(INT64_MAX / DAY_MS))
		return INT64_MIN;
	return now - (int64_t)days * DAY_MS;
}

/* ---- one archive ------------------------------------------------------- */

/* An account's first message makes its archive; false if there is no such
 * account. */
static bool
of_make(struct db *db, struct text account, struct archive_of *of)
{
	struct db_query *q =
	    db_query(db, "SELECT 1 FROM account WHERE local = ?");

	db_bind_text_n(q, account.data, account.len);
	if (!db_exists(q))
		return false;
	*of = (struct archive_of){ .first = 1, .next = 1 };
	of->id = (int64_t)store_count_up(db, COUNTER_ARCHIVE);
	q = db_query(
	    db, "INSERT INTO archive_of VALUES (?, ?, 1, 1, 0, NULL, 0)");
	db_bind_text_n(q, account.data, account.len);
	db_bind_int(q, of->id);
	db_run(q);
	return true;
}

static bool
of_find(struct db *db, struct text account, struct archive_of *of)
{
	struct db_query *q = db_query(db,
	    "SELECT id, first, next, bytes, oldest, newest FROM archive_of"
	    " WHERE local = ?");
	bool found;

	db_bind_text_n(q, account.data, account.len);
	found = db_row(q);
	if (found) {
		of->id = db_int(q, 0);
		of->first = db_int(q, 1);
		of->next = db_int(q, 2);
		of->bytes = db_int(q, 3);
		of->oldest = db_int(q, 4);
		of->newest = db_int(q, 5);
	}
	db_end(q);
	return found || of_make(db, account, of);
}

/* At its end; its beginning is indexed, and seldom changes. */
static void
of_set_end(struct db *db, struct text account, const struct archive_of *of)
{
	struct db_query *q = db_query(db,
	    "UPDATE archive_of SET next = ?, bytes = ?, newest = ?"
	    " WHERE local = ?");

	db_bind_int(q, of->next);
	db_bind_int(q, of->bytes);
	db_bind_int(q, of->newest);
	db_bind_text_n(q, account.data, account.len);
	db_run(q);
}

static void
of_set(struct db *db, struct text account, const struct archive_of *of)
{
	struct db_query *q = db_query(db,
	    "UPDATE archive_of SET first = ?1,"
	    " oldest = iif(?1 < next, ?2, NULL) WHERE local = ?3");

	of_set_end(db, account, of);
	db_bind_int(q, of->first);
	db_bind_int(q, of->oldest);
	db_bind_text_n(q, account.data, account.len);
	db_run(q);
}

static int64_t
time_at(struct db *db, const struct archive_of *of, int64_t place)
{
	struct db_query *q =
	    db_query(db, "SELECT time FROM archive WHERE place = ?");

	db_bind_int(q, store_archive_place((uint64_t)of->id, (uint64_t)place));
	return db_only_int(q);
}

/* Takes the oldest away. */
static void
trim_one(struct db *db, struct archive_of *of)
{
	int64_t place =
	    store_archive_place((uint64_t)of->id, (uint64_t)of->first);
	struct db_query *q =
	    db_query(db, "SELECT length(stanza) FROM archive WHERE place = ?");

	db_bind_int(q, place);
	of->bytes -= db_only_int(q) + OVERHEAD;
	q = db_query(db, "DELETE FROM archive WHERE place = ?");
	db_bind_int(q, place);
	db_run(q);
	of->first++;
	of->oldest = of->first < of->next ? time_at(db, of, of->first) : 0;
}

/* ---- commands ---------------------------------------------------------- */

/* False if it is there already. */
static bool
insert(struct db *db, const struct archive_of *of,
    const struct archive_message *m, const struct archive_entry *in)
{
	const struct text peer = in->peer;
	struct db_query *q = db_query(
	    db, "INSERT OR IGNORE INTO archive VALUES (?, ?, ?, ?, ?, ?, ?)");
	size_t bare = 0;

	while (bare < peer.len && peer.data[bare] != '/')
		bare++;
	db_bind_int(
	    q, store_archive_place((uint64_t)of->id, (uint64_t)of->next));
	db_bind_int(q, of->id);
	db_bind_blob(q, in->uid, sizeof(in->uid));
	db_bind_text_n(q, peer.data, bare);
	if (bare < peer.len)
		db_bind_text_n(q, peer.data + bare + 1, peer.len - bare - 1);
	else
		db_bind_text(q, NULL);
	db_bind_int(q, of->newest);
	db_bind_blob(q, m->stanza.data, m->stanza.len);
	return db_run(q) != 0;
}

/* Times never go back in an archive, whatever clocks do (XEP-0313, 3.1). */
static void
add(struct db *db, const struct archive_message *m,
    const struct archive_entry *in, int64_t limit)
{
	struct archive_of of;
	int64_t first;

	if (!of_find(db, in->account, &of))
		return;
	first = of.first;
	if (m->time > of.newest)
		of.newest = m->time;
	if (!insert(db, &of, m, in))
		return;
	if (of.first == of.next) {
		of.oldest = of.newest;
		first = 0;
	}
	of.next++;
	of.bytes += (int64_t)m->stanza.len + OVERHEAD;
	for (int i = 0;
	     i < TRIM_MAX && of.bytes > limit && of.first < of.next - 1; i++)
		trim_one(db, &of);
	if (of.first == first)
		of_set_end(db, in->account, &of);
	else
		of_set(db, in->account, &of);
}

int
store_apply_archive(struct db *db, struct store_applied *a)
{
	int64_t limit = store_limit(db, SHARED_ARCHIVE_LIMIT, LIMIT_ARCHIVE);
	struct archive_message m;
	struct cursor c;

	a->event.id = a->data.batch;
	cursor_init(&c, a->data.messages, a->data.messages_len);
	while (archive_message_next(&c, &m))
		for (size_t i = 0; i < m.count; i++)
			add(db, &m, &m.in[i], limit);
	return RES_OK;
}

void
store_apply_archive_leave(struct db *db, const char *local)
{
	struct db_query *q = db_query(db,
	    "INSERT INTO archive_gone SELECT id FROM archive_of"
	    " WHERE local = ?");

	db_bind_text(q, local);
	db_run(q);
	q = db_query(db, "DELETE FROM archive_of WHERE local = ?");
	db_bind_text(q, local);
	db_run(q);
}

/* ---- sweeps ------------------------------------------------------------ */

static size_t
sweep_gone(struct db *db)
{
	int64_t id = db_only_int(
	    db_query(db, "SELECT id FROM archive_gone ORDER BY id LIMIT 1"));
	struct db_query *q;
	size_t count;

	if (id == 0)
		return 0;
	q = db_query(db,
	    "DELETE FROM archive WHERE place IN (SELECT place FROM archive"
	    " WHERE place >= ? AND place < ? ORDER BY place LIMIT ?)");
	db_bind_int(q, store_archive_place((uint64_t)id, 0));
	db_bind_int(q, store_archive_place((uint64_t)id + 1, 0));
	db_bind_int(q, SWEEP_MAX);
	count = db_run(q);
	if (count == SWEEP_MAX)
		return count;
	q = db_query(db, "DELETE FROM archive_gone WHERE id = ?");
	db_bind_int(q, id);
	db_run(q);
	return count + 1;
}

/* The archive with the oldest message before then. */
static size_t
sweep_old(struct db *db, int64_t horizon)
{
	struct db_query *q = db_query(db,
	    "SELECT local FROM archive_of WHERE oldest < ?"
	    " ORDER BY oldest, id LIMIT 1");
	struct archive_of of;
	char *local = NULL;
	size_t count = 0;

	db_bind_int(q, horizon);
	if (db_row(q))
		local = db_dup_text(q, 0);
	db_end(q);
	if (local == NULL || !of_find(db, text_of(local), &of)) {
		free(local);
		return 0;
	}
	while (count < SWEEP_MAX / SWEEP_ARCHIVES && of.first < of.next &&
	    of.oldest < horizon) {
		trim_one(db, &of);
		count++;
	}
	of_set(db, text_of(local), &of);
	free(local);
	return count;
}

int
store_apply_sweep(struct db *db, struct store_applied *a)
{
	int64_t horizon = store_archive_horizon(db, a->data.time);
	size_t count = sweep_gone(db);

	for (int i = 0; i < SWEEP_ARCHIVES && horizon != INT64_MIN; i++)
		count += sweep_old(db, horizon);
	a->event.id = count;
	return RES_OK;
}

/* ---- as bytes ---------------------------------------------------------- */

void
store_cmd_archive(struct buf *b, uint64_t batch)
{
	buf_add_u8(b, STORE_ARCHIVE);
	buf_add_u64(b, batch);
}

void
store_cmd_archive_add(struct buf *b, const struct archive_message *m)
{
	buf_add_u8(b, (uint8_t)m->count);
	buf_add_u64(b, (uint64_t)m->time);
	buf_add_block(b, m->stanza.data, m->stanza.len);
	for (size_t i = 0; i < m->count; i++) {
		buf_add_block(b, m->in[i].account.data, m->in[i].account.len);
		buf_add_block(b, m->in[i].peer.data, m->in[i].peer.len);
		buf_add(b, m->in[i].uid, sizeof(m->in[i].uid));
	}
}

void
store_cmd_archive_end(struct buf *b)
{
	buf_add_u8(b, 0);
}

void
store_cmd_sweep(struct buf *b, int64_t now)
{
	buf_add_u8(b, STORE_SWEEP);
	buf_add_u64(b, (uint64_t)now);
}

/* Absent, empty, or no UTF-8: refused. */
static struct text
next_text(struct cursor *c)
{
	struct text t;

	t.data = cursor_text(c, &t.len);
	if (t.data == NULL || t.len == 0 || !str_is_utf8(t.data, t.len))
		c->failed = true;
	return t;
}

bool
archive_message_next(struct cursor *c, struct archive_message *m)
{
	const uint8_t *uid;

	*m = (struct archive_message){ 0 };
	m->count = cursor_u8(c);
	if (m->count == 0)
		return false;
	m->time = (int64_t)cursor_u64(c);
	m->stanza = next_text(c);
	if (m->count > ARCHIVE_ENTRIES || m->time < 0)
		c->failed = true;
	for (size_t i = 0; i < m->count && cursor_ok(c); i++) {
		m->in[i].account = next_text(c);
		m->in[i].peer = next_text(c);
		uid = cursor_bytes(c, ARCHIVE_UID);
		if (uid != NULL)
			memcpy(m->in[i].uid, uid, ARCHIVE_UID);
	}
	return cursor_ok(c);
}
