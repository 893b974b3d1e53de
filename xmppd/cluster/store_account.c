/*
 * Accounts: added, given another password, deleted. An account has an id that
 * is never used again, so that one made anew isn't taken for the older one.
 *
 *   deleted: local contacts lose their half of the subscriptions at once
 *     components are sent a stored stanza, which waits until they are there
 *     whom it shared presence with is kept aside (table former) until all its
 *       sessions have ended, since that is who has to be told of their end
 */
#include "xmppd/cluster/store_apply.h"

#include <stdlib.h>
#include <string.h>

#include "common/stanza.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/db.h"

/* ---- addresses --------------------------------------------------------- */

static char *
domain_get(struct db *db)
{
	struct db_query *q =
	    db_query(db, "SELECT value FROM setting WHERE name = 'domain'");
	char *domain = NULL;

	if (db_row(q))
		domain = db_dup_text(q, 0);
	db_end(q);
	return domain;
}

static bool
is_further(struct db *db, const char *domain)
{
	struct db_query *q =
	    db_query(db, "SELECT 1 FROM setting WHERE name = ?");
	char *name;
	bool found;

	xasprintf(&name, SHARED_DOMAINS "%s", domain);
	db_bind_text(q, name);
	found = db_exists(q);
	free(name);
	return found;
}

char *
store_account_of(struct db *db, const char *jid)
{
	const char *at = strchr(jid, '@');
	char *domain, *account = NULL;

	if (at == NULL)
		return NULL;
	domain = domain_get(db);
	if (str_equal(domain, at + 1))
		account = xstrndup(jid, (size_t)(at - jid));
	else if (is_further(db, at + 1))
		account = xstrdup(jid);
	free(domain);
	return account;
}

/* No account has such a name (RFC 7622, 3.3.1). */
static char *
box_of_domain(const char *domain)
{
	char *box;

	xasprintf(&box, "@%s", domain);
	return box;
}

char *
store_box_of_name(struct db *db, const char *name)
{
	char *domain = domain_get(db), *box = NULL;

	if (domain != NULL)
		xasprintf(&box, "@%s.%s", name, domain);
	for (char *p = box; p != NULL && *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	free(domain);
	return box;
}

static bool
is_component(struct db *db, const char *host)
{
	char *domain = domain_get(db), *name = NULL;
	size_t len = strlen(host), tail = domain == NULL ? 0 : strlen(domain);
	struct db_query *q;
	bool found = false;

	if (domain != NULL && len > tail + 1 && host[len - tail - 1] == '.' &&
	    strcmp(host + len - tail, domain) == 0) {
		name = xstrndup(host, len - tail - 1);
		q = db_query(db, "SELECT 1 FROM component WHERE name = ?");
		db_bind_text(q, name);
		found = db_exists(q);
	}
	free(name);
	free(domain);
	return found;
}

char *
store_box_of(struct db *db, const char *jid)
{
	const char *at = strchr(jid, '@');
	const char *host = at == NULL ? jid : at + 1;

	return is_component(db, host) ? box_of_domain(host) : NULL;
}

/* ---- parts ------------------------------------------------------------- */

bool
store_has_account(struct db *db, const char *local)
{
	struct db_query *q =
	    db_query(db, "SELECT 1 FROM account WHERE local = ?");

	db_bind_text(q, local);
	return db_exists(q);
}

uint64_t
store_next_version(struct db *db, const char *local)
{
	uint64_t version = store_count_up(db, COUNTER_VERSION);
	struct db_query *q =
	    db_query(db, "UPDATE account SET version = ? WHERE local = ?");

	db_bind_uint(q, version);
	db_bind_text(q, local);
	return db_run(q) == 0 ? 0 : version;
}

static void
delete_of(struct db *db, const char *sql, const char *local)
{
	struct db_query *q = db_query(db, sql);

	db_bind_text(q, local);
	db_run(q);
}

/* ---- added, changed ---------------------------------------------------- */

/* Keeps count of those that came from elsewhere with one key only. */
static void
note_keys(struct db *db, const struct store_command_data *data)
{
	bool sha1_only =
	    data->keys.sha1.iterations > 0 && data->keys.sha256.iterations == 0;
	struct db_query *q = db_query(db,
	    sha1_only ? "INSERT OR IGNORE INTO sha1_only VALUES (?)"
		      : "DELETE FROM sha1_only WHERE local = ?");

	db_bind_text(q, data->name);
	db_run(q);
}

int
store_apply_account_add(struct db *db, struct store_applied *a)
{
	struct buf keys = { 0 };
	struct db_query *q;

	if (store_has_account(db, a->data.name))
		return RES_EXISTS;
	scram_keys_encode(&keys, &a->data.keys);
	/* A roster version is never reused, so that a client's copy of a
	 * former account's roster isn't taken for this one's. The first one is
	 * the account's id, too. */
	a->event.id = store_count_up(db, COUNTER_VERSION);
	q = db_query(db, "INSERT INTO account VALUES (?, ?, ?, ?)");
	db_bind_text(q, a->data.name);
	db_bind_blob(q, keys.data, keys.len);
	db_bind_uint(q, a->event.id);
	db_bind_uint(q, a->event.id);
	db_run(q);
	buf_wipe(&keys);
	note_keys(db, &a->data);
	return RES_OK;
}

int
store_apply_account_passwd(struct db *db, struct store_applied *a)
{
	struct buf keys = { 0 };
	struct db_query *q =
	    db_query(db, "UPDATE account SET keys = ? WHERE local = ?");
	size_t changed;

	scram_keys_encode(&keys, &a->data.keys);
	db_bind_blob(q, keys.data, keys.len);
	db_bind_text(q, a->data.name);
	changed = db_run(q);
	buf_wipe(&keys);
	if (changed > 0)
		note_keys(db, &a->data);
	return changed == 0 ? RES_NOT_FOUND : RES_OK;
}

/* ---- deleted ----------------------------------------------------------- */

/* What a deleted account had with one contact. */
struct parting {
	char *bare;    /* of the account */
	char *contact; /* bare */
	bool to, from; /* asked for, or asked by, included */
};

/* The contact's item of the account: its subscriptions end. One that said
 * nothing but that a request waits goes. */
static void
part_account(struct db *db, const struct parting *p, const char *local)
{
	struct db_query *q;
	uint64_t version;

	q = db_query(db,
	    "DELETE FROM roster"
	    " WHERE local = ? AND contact = ? AND NOT visible");
	db_bind_text(q, local);
	db_bind_text(q, p->bare);
	if (db_run(q) != 0)
		return;
	version = store_next_version(db, local);
	q = db_query(db,
	    "UPDATE roster SET to_ = 0, from_ = 0, ask = 0, pending_in = 0,"
	    " approved = 0, request = NULL, version = ?"
	    " WHERE local = ? AND contact = ?");
	db_bind_uint(q, version);
	db_bind_text(q, local);
	db_bind_text(q, p->bare);
	db_run(q);
}

static void
tell_component(
    struct db *db, const struct parting *p, const char *box, const char *type)
{
	struct buf b = { 0 };

	buf_add_str(&b, "<presence");
	xml_add_attr(&b, "type", type);
	xml_add_attr(&b, "from", p->bare);
	xml_add_attr(&b, "to", p->contact);
	buf_add_str(&b, "/>");
	store_add_row(db, box, 0, &b);
	buf_clear(&b);
}

static void
part(struct db *db, const struct parting *p)
{
	char *local = store_account_of(db, p->contact);
	char *box = local == NULL ? store_box_of(db, p->contact) : NULL;

	if (local != NULL)
		part_account(db, p, local);
	if (box != NULL && p->to)
		tell_component(db, p, box, "unsubscribe");
	if (box != NULL && p->from)
		tell_component(db, p, box, "unsubscribed");
	free(local);
	free(box);
}

/* Whom the account shares presence with, the one after `after`. */
static bool
next_parting(struct db *db, const char *local, uint64_t id, const char *after,
    struct parting *p)
{
	struct db_query *q = db_query(db,
	    "SELECT contact, to_ OR ask, from_ OR pending_in FROM former"
	    " WHERE local = ? AND account = ? AND contact > ?"
	    " ORDER BY contact LIMIT 1");
	bool found;

	db_bind_text(q, local);
	db_bind_uint(q, id);
	db_bind_text(q, after);
	found = db_row(q);
	if (found) {
		p->contact = db_dup_text(q, 0);
		p->to = db_int(q, 1) != 0;
		p->from = db_int(q, 2) != 0;
	}
	db_end(q);
	return found;
}

static void
part_from_all(struct db *db, const char *local, uint64_t id)
{
	struct parting p = { 0 };
	char *domain = domain_get(db), *after = xstrdup("");

	if (strchr(local, '@') != NULL)
		p.bare = xstrdup(local);
	else
		xasprintf(
		    &p.bare, "%s@%s", local, domain == NULL ? "" : domain);
	while (next_parting(db, local, id, after, &p)) {
		part(db, &p);
		free(after);
		after = p.contact;
	}
	free(after);
	free(p.bare);
	free(domain);
}

static uint64_t
account_id(struct db *db, const char *local)
{
	struct db_query *q =
	    db_query(db, "SELECT id FROM account WHERE local = ?");

	db_bind_text(q, local);
	return (uint64_t)db_only_int(q);
}

int
store_apply_account_del(struct db *db, struct store_applied *a)
{
	const char *local = a->data.name;
	uint64_t id = account_id(db, local);
	struct db_query *q;

	if (id == 0)
		return RES_NOT_FOUND;
	a->event.id = id;
	q = db_query(db,
	    "INSERT INTO former SELECT local, ?, contact, to_, from_, ask,"
	    " pending_in FROM roster WHERE local = ?"
	    " AND (to_ OR from_ OR ask OR pending_in)");
	db_bind_uint(q, id);
	db_bind_text(q, local);
	db_run(q);
	delete_of(db, "DELETE FROM account WHERE local = ?", local);
	delete_of(db, "DELETE FROM sha1_only WHERE local = ?", local);
	delete_of(db, "DELETE FROM roster WHERE local = ?", local);
	delete_of(db, "DELETE FROM removed WHERE local = ?", local);
	store_delete_rows(db, local);
	store_apply_archive_leave(db, local);
	delete_of(db, "DELETE FROM item WHERE local = ?", local);
	delete_of(db, "DELETE FROM item_use WHERE local = ?", local);
	store_apply_role_del(db, local);
	part_from_all(db, local, id);
	return RES_OK;
}

int
store_apply_former_del(struct db *db, struct store_applied *a)
{
	struct db_query *q =
	    db_query(db, "DELETE FROM former WHERE local = ? AND account = ?");

	db_bind_text(q, a->data.name);
	db_bind_uint(q, a->data.account);
	db_run(q);
	return RES_OK;
}
