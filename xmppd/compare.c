/*
 * What a node that wants to join sends, and what it is compared with.
 */
#include "xmppd/compare.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/crypto.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/control.h"
#include "xmppd/cluster/store_archive.h"
#include "xmppd/cluster/store_item.h"

#define JOIN_VERSION 3
#define NAMED_MIN 36 /* bytes that a name and its digest take at least */
#define MEMBER_MIN 60

/* ---- names with digests ------------------------------------------------ */

struct collecting {
	struct store *store;
	struct buf *b;
	uint32_t count;
};

static void
add_component(void *arg, const char *name, const char *secret)
{
	struct collecting *c = arg;
	uint8_t digest[32];

	crypto_sha256(secret, strlen(secret), digest);
	buf_add_text(c->b, name);
	buf_add(c->b, digest, sizeof(digest));
	c->count++;
}

static void
account_digest(struct store *s, const char *name, uint8_t out[32])
{
	struct scram_keys keys;
	struct buf b = { 0 };

	memset(out, 0, 32);
	if (store_account_keys(s, name, &keys) != RES_OK)
		return;
	scram_keys_encode(&b, &keys);
	crypto_sha256(b.data, b.len, out);
	buf_wipe(&b);
	crypto_wipe(&keys, sizeof(keys));
}

static void
add_account(void *arg, const char *name, const char *value)
{
	struct collecting *c = arg;
	uint8_t digest[32];

	(void)value;
	account_digest(c->store, name, digest);
	buf_add_text(c->b, name);
	buf_add(c->b, digest, sizeof(digest));
	c->count++;
}

static void
collect(struct buf *b, struct store *s,
    void (*each)(struct store *s, store_name_fn fn, void *arg),
    store_name_fn fn)
{
	struct collecting c = { s, b, 0 };
	size_t at = b->len;

	buf_add_u32(b, 0);
	each(s, fn, &c);
	buf_put_u32(b, at, c.count);
}

static void
read_bytes(struct cursor *c, void *out, size_t len)
{
	const uint8_t *at = cursor_bytes(c, len);

	if (at != NULL)
		memcpy(out, at, len);
}

static char *
read_text(struct cursor *c)
{
	char *text = cursor_dup_text(c);

	if (text == NULL)
		c->failed = true;
	return text;
}

static struct named_digest *
read_named(struct cursor *c, size_t *count)
{
	uint32_t n = cursor_u32(c);
	struct named_digest *list;

	*count = 0;
	if (!cursor_ok(c) || n > cursor_left(c) / NAMED_MIN) {
		c->failed = true;
		return NULL;
	}
	list = xcalloc((size_t)n + 1, sizeof(*list));
	for (; *count < n && cursor_ok(c); ++*count) {
		list[*count].name = read_text(c);
		read_bytes(c, list[*count].digest, sizeof(list[*count].digest));
	}
	return list;
}

static void
free_named(struct named_digest *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i].name);
	free(list);
}

/* ---- the request ------------------------------------------------------- */

void
join_request_encode(struct buf *b, const struct store_member *self,
    struct store *s, const char *domain)
{
	buf_add_u8(b, CONTROL_JOIN);
	buf_add_u8(b, JOIN_VERSION);
	buf_add(b, self->identity, sizeof(self->identity));
	buf_add_text(b, self->host);
	buf_add_text(b, self->address);
	buf_add_text(b, domain);
	buf_add_u64(b, self->boot);
	buf_add_u64(b, store_row_count(s));
	buf_add_u64(b, store_item_total(s));
	buf_add_u64(b, store_archive_total(s));
	collect(b, s, store_components, add_component);
	collect(b, s, store_accounts, add_account);
}

int
join_request_decode(const void *msg, size_t len, struct join_request *r)
{
	struct cursor c;

	memset(r, 0, sizeof(*r));
	cursor_init(&c, msg, len);
	if (cursor_u8(&c) != CONTROL_JOIN || cursor_u8(&c) != JOIN_VERSION)
		return RES_INVALID;
	read_bytes(&c, r->identity, sizeof(r->identity));
	r->host = read_text(&c);
	r->address = read_text(&c);
	r->domain = cursor_dup_text(&c);
	r->boot = cursor_u64(&c);
	r->rows = cursor_u64(&c);
	r->items = cursor_u64(&c);
	r->archived = cursor_u64(&c);
	r->components = read_named(&c, &r->component_count);
	r->accounts = read_named(&c, &r->account_count);
	return cursor_done(&c) ? RES_OK : RES_INVALID;
}

void
join_request_clear(struct join_request *r)
{
	free(r->host);
	free(r->address);
	free(r->domain);
	free_named(r->components, r->component_count);
	free_named(r->accounts, r->account_count);
	*r = (struct join_request){ 0 };
}

/* ---- the comparison ---------------------------------------------------- */

/* Call Bridges by name: what the node has must be so in the cluster. */
static int
compare_components(
    const struct join_request *r, struct store *s, struct error *e)
{
	for (size_t i = 0; i < r->component_count; i++) {
		const char *name = r->components[i].name;
		char *secret = store_component_secret(s, name);
		uint8_t digest[32];

		if (secret == NULL)
			return error_set(e, RES_DIFFERS,
			    "the cluster has no Call Bridge %s: run 'xmpp "
			    "callbridge del %s' here, or add it there with "
			    "'xmpp callbridge add-secret %s'",
			    name, name, name);
		crypto_sha256(secret, strlen(secret), digest);
		crypto_wipe_free(secret);
		if (!crypto_equal(digest, r->components[i].digest, 32))
			return error_set(e, RES_DIFFERS,
			    "Call Bridge %s has another secret in the "
			    "cluster: run 'xmpp callbridge del %s' here; the "
			    "cluster's comes with the join",
			    name, name);
	}
	return RES_OK;
}

/* What only the joining node has would be lost. */
static int
compare_accounts(const struct join_request *r, struct store *s, struct error *e)
{
	size_t lacking = 0;
	const char *first = NULL;
	uint8_t digest[32];

	for (size_t i = 0; i < r->account_count; i++) {
		account_digest(s, r->accounts[i].name, digest);
		if (memcmp(digest, r->accounts[i].digest, 32) == 0)
			continue;
		if (store_account_exists(s, r->accounts[i].name))
			return error_set(e, RES_DIFFERS,
			    "account %s has another password in the cluster: "
			    "run 'xmpp user del %s' here",
			    r->accounts[i].name, r->accounts[i].name);
		if (lacking++ == 0)
			first = r->accounts[i].name;
	}
	if (lacking == 1)
		return error_set(e, RES_DIFFERS,
		    "the cluster lacks account %s of this node: add it there "
		    "and run 'xmpp user del %s' here, or run 'xmpp reset' here",
		    first, first);
	if (lacking > 1)
		return error_set(e, RES_DIFFERS,
		    "the cluster lacks %zu accounts of this node (%s, ...): "
		    "add them there and delete them here, or run 'xmpp reset' "
		    "here",
		    lacking, first);
	if (r->rows > 0)
		return error_set(e, RES_DIFFERS,
		    "this node holds %llu stored messages that the cluster "
		    "lacks: let their users log in here first, or run 'xmpp "
		    "reset' here",
		    (unsigned long long)r->rows);
	if (r->items > 0)
		return error_set(e, RES_DIFFERS,
		    "this node holds data that its users keep on the server "
		    "(vCards, bookmarks and the like) and the cluster lacks: "
		    "run 'xmpp reset' here, which writes it to a file first");
	if (r->archived > 0)
		return error_set(e, RES_DIFFERS,
		    "this node holds %llu archived messages that the cluster "
		    "lacks: run 'xmpp reset' here, which writes them to a file "
		    "first",
		    (unsigned long long)r->archived);
	return RES_OK;
}

int
join_compare(const struct join_request *r, struct store *s, const char *domain,
    struct error *e)
{
	int rc;

	if (r->domain != NULL && domain != NULL &&
	    strcasecmp(r->domain, domain) != 0)
		return error_set(e, RES_DIFFERS,
		    "domain differs: %s here, %s in the cluster: run 'xmpp "
		    "domain %s' here",
		    r->domain, domain, domain);
	rc = compare_components(r, s, e);
	return rc == RES_OK ? compare_accounts(r, s, e) : rc;
}

/* ---- the answer -------------------------------------------------------- */

void
join_answer_encode(
    struct buf *b, int code, const char *text, const struct join_terms *terms)
{
	buf_add_u8(b, JOIN_VERSION);
	buf_add_text(b, result_name(code));
	buf_add_text(b, text);
	if (code != RES_OK)
		return;
	buf_add_u32(b, terms->row->raft_id);
	buf_add(b, terms->row->key, sizeof(terms->row->key));
	buf_add(b, terms->cluster, 16);
	buf_add_text(b, terms->domain);
	buf_add_u32(b, (uint32_t)terms->count);
	for (size_t i = 0; i < terms->count; i++) {
		const struct store_member *m = &terms->members[i];

		buf_add(b, m->identity, sizeof(m->identity));
		buf_add_u32(b, m->raft_id);
		buf_add_text(b, m->host);
		buf_add_text(b, m->address);
		buf_add(b, m->key, sizeof(m->key));
		buf_add_u64(b, m->boot);
	}
}

static void
read_members(struct cursor *c, struct join_answer *a)
{
	uint32_t n = cursor_u32(c);

	if (!cursor_ok(c) || n > cursor_left(c) / MEMBER_MIN) {
		c->failed = true;
		return;
	}
	a->members = xcalloc((size_t)n + 1, sizeof(*a->members));
	for (; a->member_count < n && cursor_ok(c); a->member_count++) {
		struct store_member *m = &a->members[a->member_count];

		read_bytes(c, m->identity, sizeof(m->identity));
		m->raft_id = cursor_u32(c);
		m->host = cursor_dup_text(c);
		m->address = read_text(c);
		read_bytes(c, m->key, sizeof(m->key));
		m->boot = cursor_u64(c);
	}
}

int
join_answer_decode(const void *msg, size_t len, struct join_answer *a)
{
	struct cursor c;
	char *name;

	memset(a, 0, sizeof(*a));
	cursor_init(&c, msg, len);
	if (cursor_u8(&c) != JOIN_VERSION)
		return RES_INVALID;
	name = read_text(&c);
	a->text = read_text(&c);
	a->code = name == NULL ? RES_INVALID : result_from_name(name);
	free(name);
	if (a->code == RES_OK) {
		a->raft_id = cursor_u32(&c);
		read_bytes(&c, a->key, sizeof(a->key));
		read_bytes(&c, a->cluster, sizeof(a->cluster));
		a->domain = read_text(&c);
		read_members(&c, a);
	}
	if (cursor_done(&c))
		return RES_OK;
	join_answer_clear(a);
	return RES_INVALID;
}

void
join_answer_clear(struct join_answer *a)
{
	for (size_t i = 0; i < a->member_count; i++)
		store_member_clear(&a->members[i]);
	free(a->members);
	free(a->domain);
	free(a->text);
	*a = (struct join_answer){ 0 };
}
