/*
 * What the main loop reads of the state. No query stays open across a call of
 * a function that was passed in.
 */
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/crypto.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/db.h"
#include "xmppd/cluster/store_impl.h"

struct db_query *
store_read_query(struct store *s, const char *sql)
{
	return db_query(s->reader, sql);
}

/* After each read: a disk that cannot be read ends the node. */
void
store_read_done(struct store *s)
{
	if (db_failed(s->reader))
		store_fail(s, db_why(s->reader));
}

static char *
read_text(struct store *s, const char *sql, const char *key)
{
	struct db_query *q = store_read_query(s, sql);
	char *value = NULL;

	db_bind_text(q, key);
	if (db_row(q))
		value = db_dup_text(q, 0);
	db_end(q);
	store_read_done(s);
	return value;
}

static size_t
read_count(struct store *s, const char *sql)
{
	size_t count = (size_t)db_only_int(store_read_query(s, sql));

	store_read_done(s);
	return count;
}

char *
store_setting(struct store *s, const char *name)
{
	return read_text(s, "SELECT value FROM setting WHERE name = ?", name);
}

char *
store_component_secret(struct store *s, const char *name)
{
	return read_text(
	    s, "SELECT secret FROM component WHERE name = ?", name);
}

bool
store_account_exists(struct store *s, const char *local)
{
	struct db_query *q =
	    store_read_query(s, "SELECT 1 FROM account WHERE local = ?");
	bool there;

	db_bind_text(q, local);
	there = db_exists(q);
	store_read_done(s);
	return there;
}

struct store_account
store_account(struct store *s, const char *local)
{
	struct db_query *q = store_read_query(
	    s, "SELECT id, version FROM account WHERE local = ?");
	struct store_account account = { 0 };

	db_bind_text(q, local);
	if (db_row(q)) {
		account.id = db_uint(q, 0);
		account.version = db_uint(q, 1);
	}
	db_end(q);
	store_read_done(s);
	return account;
}

char *
store_account_after(struct store *s, const char *domain, const char *after)
{
	struct db_query *q = store_read_query(s,
	    domain == NULL
		? "SELECT local FROM account WHERE local > ?"
		  " AND instr(local, '@') = 0 ORDER BY local LIMIT 1"
		: "SELECT local FROM account WHERE local > ?"
		  " AND substr(local, instr(local, '@') + 1) = ?"
		  " AND instr(local, '@') > 0 ORDER BY local LIMIT 1");
	char *account = NULL;

	db_bind_text(q, after != NULL ? after : "");
	if (domain != NULL)
		db_bind_text(q, domain);
	if (db_row(q))
		account = db_dup_text(q, 0);
	db_end(q);
	store_read_done(s);
	return account;
}

bool
store_any_sha1_only(struct store *s)
{
	bool any =
	    db_exists(store_read_query(s, "SELECT 1 FROM sha1_only LIMIT 1"));

	store_read_done(s);
	return any;
}

int
store_account_keys(struct store *s, const char *local, struct scram_keys *keys)
{
	struct db_query *q =
	    store_read_query(s, "SELECT keys FROM account WHERE local = ?");
	struct cursor c;
	const void *blob;
	size_t len;
	int rc = RES_NOT_FOUND;

	db_bind_text(q, local);
	if (db_row(q)) {
		blob = db_blob(q, 0, &len);
		cursor_init(&c, blob, len);
		rc = scram_keys_decode(&c, keys);
	}
	db_end(q);
	store_read_done(s);
	return rc;
}

struct pair {
	char *name, *value;
};

/* Runs a query that has a name and a value in each row. */
static void
each_pair_of(struct store *s, struct db_query *q, store_name_fn fn, void *arg)
{
	struct buf pairs = { 0 };
	struct pair pair;
	struct cursor c;

	while (db_row(q)) {
		pair.name = db_dup_text(q, 0);
		pair.value = db_dup_text(q, 1);
		buf_add(&pairs, &pair, sizeof(pair));
	}
	store_read_done(s);
	cursor_init(&c, pairs.data, pairs.len);
	while (cursor_left(&c) != 0) {
		memcpy(&pair, cursor_bytes(&c, sizeof(pair)), sizeof(pair));
		fn(arg, pair.name, pair.value);
		free(pair.name);
		crypto_wipe_free(pair.value);
	}
	buf_clear(&pairs);
}

static void
each_pair(struct store *s, const char *sql, store_name_fn fn, void *arg)
{
	each_pair_of(s, store_read_query(s, sql), fn, arg);
}

void
store_settings(struct store *s, const char *prefix, store_name_fn fn, void *arg)
{
	/* "domain/" to "domain0": "0" comes after "/". */
	struct db_query *q = store_read_query(s,
	    "SELECT name, value FROM setting"
	    " WHERE name > ?1 AND name < rtrim(?1, '/') || '0' ORDER BY name");

	db_bind_text(q, prefix);
	each_pair_of(s, q, fn, arg);
}

void
store_accounts(struct store *s, store_name_fn fn, void *arg)
{
	each_pair(s, "SELECT local, NULL FROM account ORDER BY local", fn, arg);
}

void
store_components(struct store *s, store_name_fn fn, void *arg)
{
	each_pair(
	    s, "SELECT name, secret FROM component ORDER BY place", fn, arg);
}

size_t
store_account_count(struct store *s)
{
	return read_count(s, "SELECT count(*) FROM account");
}

size_t
store_row_count(struct store *s)
{
	return read_count(
	    s, "SELECT count(*) FROM message WHERE local NOT LIKE '@%'");
}

size_t
store_user_row_count(struct store *s, const char *local)
{
	struct db_query *q = store_read_query(
	    s, "SELECT count FROM message_use WHERE local = ?");
	size_t count;

	db_bind_text(q, local);
	count = (size_t)db_only_int(q);
	store_read_done(s);
	return count;
}

void
store_row_users(struct store *s, store_name_fn fn, void *arg)
{
	each_pair(s, "SELECT DISTINCT local, NULL FROM message", fn, arg);
}

size_t
store_rows(struct store *s, const char *local, uint64_t after,
    struct store_row *out, size_t max)
{
	struct db_query *q = store_read_query(s,
	    "SELECT id, time, stanza FROM message"
	    " WHERE local = ? AND id > ? ORDER BY id LIMIT ?");
	const void *stanza;
	size_t count = 0, len;

	db_bind_text(q, local);
	db_bind_uint(q, after);
	db_bind_uint(q, max);
	while (db_row(q) && count < max) {
		struct store_row *row = &out[count++];

		*row = (struct store_row){ 0 };
		row->id = db_uint(q, 0);
		row->time = db_int(q, 1);
		stanza = db_blob(q, 2, &len);
		buf_add(&row->stanza, stanza, len);
	}
	db_end(q);
	store_read_done(s);
	return count;
}

/* A query about the effects of an origin, by number. */
static struct db_query *
effect_query(
    struct store *s, const char *sql, const struct origin *origin, uint64_t num)
{
	struct db_query *q = store_read_query(s, sql);

	db_bind_int(q, origin->node);
	db_bind_int(q, origin->edge);
	db_bind_uint(q, origin->incarnation);
	db_bind_uint(q, num);
	return q;
}

/* A result begins with the note. */
static uint64_t
effect_note(const struct db_query *q)
{
	struct cursor c;
	const void *result;
	size_t len;

	result = db_blob(q, 0, &len);
	cursor_init(&c, result, len);
	return cursor_u64(&c);
}

bool
store_effect_note(
    struct store *s, const struct origin *origin, uint64_t num, uint64_t *note)
{
	struct db_query *q = effect_query(s,
	    "SELECT result FROM effect WHERE node = ? AND edge = ?"
	    " AND incarnation = ? AND num = ?",
	    origin, num);
	bool done = db_row(q);

	if (done)
		*note = effect_note(q);
	db_end(q);
	store_read_done(s);
	return done;
}

bool
store_effect_code(
    struct store *s, const struct origin *origin, uint64_t num, int *code)
{
	struct db_query *q = effect_query(s,
	    "SELECT result FROM effect WHERE node = ? AND edge = ?"
	    " AND incarnation = ? AND num = ?",
	    origin, num);
	bool done = db_row(q);
	struct cursor c;
	const void *result;
	size_t len;

	if (done) {
		result = db_blob(q, 0, &len);
		cursor_init(&c, result, len);
		cursor_u64(&c); /* the note */
		*code = (int32_t)cursor_u32(&c);
	}
	db_end(q);
	store_read_done(s);
	return done;
}

bool
store_effect_later(
    struct store *s, const struct origin *origin, uint64_t num, uint64_t note)
{
	struct db_query *q = effect_query(s,
	    "SELECT result FROM effect WHERE node = ? AND edge = ?"
	    " AND incarnation = ? AND num > ?",
	    origin, num);
	bool later = false;

	while (!later && db_row(q))
		later = effect_note(q) == note;
	db_end(q);
	store_read_done(s);
	return later;
}

bool
store_effect_done(struct store *s, const struct origin *origin, uint64_t num)
{
	uint64_t note;

	return store_effect_note(s, origin, num, &note);
}

/* An array of what `read` makes of each row; the caller frees *out. */
static size_t
read_array(struct store *s, const char *sql, size_t size,
    void (*read)(struct db_query *, void *), void **out)
{
	struct db_query *q = store_read_query(s, sql);
	struct buf rows = { 0 };
	void *row = xcalloc(1, size);

	while (db_row(q)) {
		memset(row, 0, size);
		read(q, row);
		buf_add(&rows, row, size);
	}
	crypto_wipe(row, size);
	free(row);
	store_read_done(s);
	*out = rows.data;
	return rows.len / size;
}

static void
read_origin(struct db_query *q, void *out)
{
	struct origin *o = out;

	o->node = (uint32_t)db_int(q, 0);
	o->edge = (uint32_t)db_int(q, 1);
	o->incarnation = db_uint(q, 2);
}

size_t
store_origins(struct store *s, struct origin **out)
{
	void *rows;
	size_t count =
	    read_array(s, "SELECT DISTINCT node, edge, incarnation FROM effect",
		sizeof(**out), read_origin, &rows);

	*out = rows;
	return count;
}

static void
read_bytes(struct db_query *q, int column, void *out, size_t size)
{
	size_t len;
	const void *data = db_blob(q, column, &len);

	if (len == size)
		memcpy(out, data, size);
}

static void
read_member(struct db_query *q, void *out)
{
	struct store_member *m = out;

	read_bytes(q, 0, m->identity, sizeof(m->identity));
	m->raft_id = (uint32_t)db_int(q, 1);
	m->host = db_dup_text(q, 2);
	m->address = db_dup_text(q, 3);
	read_bytes(q, 4, m->key, sizeof(m->key));
	m->boot = db_uint(q, 5);
}

static int
member_cmp(const void *a, const void *b)
{
	const struct store_member *x = a, *y = b;
	uint8_t kx[STORE_ADDRESS_KEY], ky[STORE_ADDRESS_KEY];

	store_address_key(x->address, kx);
	store_address_key(y->address, ky);
	return memcmp(kx, ky, sizeof(kx));
}

size_t
store_members(struct store *s, struct store_member **out)
{
	void *rows;
	size_t count = read_array(s,
	    "SELECT identity, raft_id, host, address, key, boot FROM member",
	    sizeof(**out), read_member, &rows);

	*out = rows;
	if (count != 0)
		qsort(*out, count, sizeof(**out), member_cmp);
	return count;
}

static void
read_raft_id(struct db_query *q, void *out)
{
	*(uint32_t *)out = (uint32_t)db_int(q, 0);
}

size_t
store_raft_ids_marked(struct store *s, uint32_t **out)
{
	void *rows;
	size_t count =
	    read_array(s, "SELECT raft_id FROM leaving ORDER BY raft_id",
		sizeof(**out), read_raft_id, &rows);

	*out = rows;
	return count;
}

/* All of the state, but not the index, in an order that is the same where the
 * content is. */
static const char *const digested[] = {
	"SELECT * FROM counter WHERE which <> 0 ORDER BY which",
	"SELECT * FROM setting ORDER BY name",
	"SELECT * FROM account ORDER BY local",
	"SELECT * FROM roster ORDER BY local, contact",
	"SELECT * FROM removed ORDER BY local, contact",
	"SELECT * FROM former ORDER BY local, account, contact",
	"SELECT * FROM component ORDER BY place",
	"SELECT * FROM message ORDER BY id",
	"SELECT * FROM item ORDER BY local, space, node, id",
	"SELECT * FROM item_use ORDER BY local",
	"SELECT * FROM effect ORDER BY node, edge, incarnation, num",
	"SELECT * FROM result ORDER BY place",
	"SELECT * FROM member ORDER BY identity",
	"SELECT * FROM message_use ORDER BY local",
	"SELECT * FROM archive ORDER BY place",
	"SELECT * FROM archive_of ORDER BY local",
	"SELECT * FROM archive_gone ORDER BY id",
	"SELECT * FROM sha1_only ORDER BY local",
	"SELECT * FROM leaving ORDER BY raft_id",
};

_Static_assert(COUNTER_INDEX == 0, "left out of the digest");

/* A value as its type, its length and its bytes. */
static void
digest_value(struct crypto_digest *d, struct db_query *q, int column)
{
	struct buf head = { 0 };
	enum db_type type = db_type(q, column);
	const void *data = NULL;
	size_t len = 0;

	buf_add_u8(&head, (uint8_t)type);
	if (type == DB_INT)
		buf_add_u64(&head, db_uint(q, column));
	else if (type != DB_NULL)
		data = db_blob(q, column, &len);
	buf_add_u64(&head, len);
	crypto_digest_add(d, head.data, head.len);
	if (len != 0)
		crypto_digest_add(d, data, len);
	buf_clear(&head);
}

void
store_digest(struct store *s, uint8_t out[32])
{
	struct crypto_digest *d = crypto_digest_new();
	struct db_query *q;

	/* One snapshot for all of it. */
	db_exec(s->reader, "BEGIN");
	for (size_t i = 0; i < sizeof(digested) / sizeof(digested[0]); i++) {
		crypto_digest_add(d, digested[i], strlen(digested[i]));
		q = store_read_query(s, digested[i]);
		while (db_row(q))
			for (int c = 0; c < db_columns(q); c++)
				digest_value(d, q, c);
	}
	db_exec(s->reader, "COMMIT");
	crypto_digest_end(d, out);
	store_read_done(s);
}
