/*
 * Entity capabilities (XEP-0115): what a client can do, by a hash in its
 * presence.
 *
 *   presence with a hash that isn't known -> the client is asked -> the answer
 *     is verified -> kept in the store; whoever has that hash wants that
 *   no hash (as before version 1.4), or not the right one: the answer holds for
 *     this session alone (XEP-0115, 5.4)
 *
 * A shared entry lives while a session has it; the store keeps the newest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/router/caps.h"
#include "xmppd/router/caps_hash.h"
#include "xmppd/router/iq_store.h"
#include "xmppd/router/tell.h"

#define NS_CAPS "http://jabber.org/protocol/caps"
#define NOTIFY "+notify"
#define STORED_MAX 5000
#define WANTED_MAX (16U << 10) /* bytes */

struct caps {
	char *key; /* of router.caps; NULL: of one session */
	char *node;
	bool known;
	char *wanted; /* names of nodes, each with a '\n' behind it */
	TAILQ_HEAD(caps_sessions, login) sessions;
};

/* ---- entries ----------------------------------------------------------- */

static const struct store_node stored = {
	.local = "", .space = SPACE_CAPS, .node = ""
};

void
caps_forget(struct router *r, struct login *s)
{
	struct caps *c = s->caps;

	s->caps = NULL;
	s->caps_read = s->caps_asked = false;
	if (c == NULL)
		return;
	TAILQ_REMOVE(&c->sessions, s, of_caps);
	if (!TAILQ_EMPTY(&c->sessions))
		return;
	if (c->key != NULL)
		map_remove_str(&r->caps, c->key);
	free(c->key);
	free(c->node);
	free(c->wanted);
	free(c);
}

static void
caps_join(struct login *s, struct caps *c)
{
	s->caps = c;
	TAILQ_INSERT_TAIL(&c->sessions, s, of_caps);
}

static struct caps *
caps_new(const char *node)
{
	struct caps *c = xcalloc(1, sizeof(*c));

	TAILQ_INIT(&c->sessions);
	c->node = node == NULL ? NULL : xstrdup(node);
	return c;
}

static void
caps_load(struct router *r, struct caps *c)
{
	struct store_item item;

	c->known = store_item(r->env.store, &stored, c->key, &item);
	if (c->known)
		c->wanted = xstrdup(buf_str(&item.value));
	store_item_clear(&item);
}

/* The entry for what a presence says; NULL: it says nothing. */
static struct caps *
caps_get(const struct xml *x)
{
	const char *hash = xml_attr(x, "hash"), *ver = xml_attr(x, "ver");
	const char *node = xml_attr(x, "node");
	struct caps *c;
	char *key, *about;

	if (ver == NULL || node == NULL)
		return NULL;
	xasprintf(&about, "%s#%s", node, ver);
	c = caps_new(about);
	free(about);
	if (hash == NULL)
		return c;
	xasprintf(&key, "%s %s", hash, ver);
	c->key = key;
	return c;
}

/* The shared one of that key, if there is one already. */
static struct caps *
caps_share(struct router *r, struct caps *c)
{
	struct caps *shared;

	if (c == NULL || c->key == NULL)
		return c;
	shared = map_find_str(&r->caps, c->key);
	if (shared == NULL) {
		map_put_str(&r->caps, c->key, c);
		caps_load(r, c);
		return c;
	}
	free(c->key);
	free(c->node);
	free(c);
	return shared;
}

static bool
mentions_caps(const struct bytes *presence)
{
	return presence != NULL &&
	    memmem(presence->data, presence->len, NS_CAPS,
		sizeof(NS_CAPS) - 1) != NULL;
}

/* Takes what the session's presence says; whether that is another entry. */
static bool
caps_take(struct router *r, struct login *s)
{
	const struct xml *c = NULL;
	struct caps *now = NULL;
	struct xml *x = NULL;

	if (mentions_caps(s->presence))
		x = xml_parse(s->presence->data, s->presence->len);
	if (x != NULL)
		c = xml_child(x, "c", NS_CAPS);
	if (c != NULL)
		now = caps_get(c);
	xml_free(x);
	if (now != NULL && now->key == NULL && s->caps != NULL &&
	    s->caps->key == NULL && str_equal(now->node, s->caps->node)) {
		free(now->node);
		free(now);
		return false;
	}
	now = caps_share(r, now);
	if (s->caps_read && now == s->caps)
		return false;
	caps_forget(r, s);
	s->caps_read = true;
	if (now != NULL)
		caps_join(s, now);
	return true;
}

/* ---- asking ------------------------------------------------------------ */

static void
caps_ask(struct router *r, struct login *s)
{
	struct dispatch w = { .target = s, .kind = DELIVER_STANZA };
	struct buf b = { 0 };

	if (s->caps_asked)
		return;
	s->caps_asked = true;
	buf_addf(&b, "<iq type='get' id='caps-%llu'",
	    (unsigned long long)s->entry->newest);
	xml_add_attr(&b, "from", s->user->bare);
	xml_add_attr(&b, "to", s->full);
	buf_add_str(&b, "><query xmlns='" NS_DISCO_INFO "'");
	xml_add_attr(&b, "node", s->caps->node);
	buf_add_str(&b, "/></iq>");
	w.key = dkey_term(r);
	w.hold = bytes_new(b.data, b.len);
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	session_deliver(r, &w);
	bytes_unref(w.hold);
	buf_clear(&b);
}

/* Its broadcast presence counts. */
static void
available(struct router *r, struct login *s)
{
	bool first = s->caps_read || s->entry->initial == s->entry->newest;

	if (s->kind != SESSION_CLIENT || !caps_take(r, s) || s->caps == NULL)
		return;
	if (!s->caps->known)
		caps_ask(r, s);
	else if (first)
		pep_greet(r, s);
}

static const struct caps *
caps_of(struct router *r, struct login *s)
{
	if (!s->caps_read)
		caps_take(r, s);
	if (s->caps == NULL)
		return NULL;
	if (!s->caps->known) {
		caps_ask(r, s);
		return NULL;
	}
	return s->caps;
}

bool
caps_next(struct router *r, struct login *s, const char **at, struct text *node)
{
	const struct caps *c = caps_of(r, s);
	const char *end;

	if (c == NULL)
		return false;
	if (*at == NULL)
		*at = c->wanted;
	end = strchr(*at, '\n');
	if (end == NULL)
		return false;
	node->data = *at;
	node->len = (size_t)(end - *at);
	*at = end + 1;
	return true;
}

bool
caps_wants(struct router *r, struct login *s, const char *node)
{
	const char *at = NULL;
	struct text wanted;

	if (s->kind != SESSION_CLIENT)
		return false;
	while (caps_next(r, s, &at, &wanted))
		if (text_is(wanted, node))
			return true;
	return false;
}

/* ---- the answer (XEP-0115, 5) ------------------------------------------ */

/* Whether the hash is of what the client says. */
static bool
is_verified(const struct caps *c, const struct xml *query)
{
	struct buf b = { 0 };
	uint8_t digest[32];
	char *base64 = NULL, *key = NULL;
	bool right = false;

	if (caps_text(query, &b) && str_starts(c->key, "sha-1 ")) {
		crypto_sha1(b.data, b.len, digest);
		base64 = crypto_base64(digest, 20);
		xasprintf(&key, "sha-1 %s", base64);
	} else if (str_starts(c->key, "sha-256 ")) {
		crypto_sha256(b.data, b.len, digest);
		base64 = crypto_base64(digest, 32);
		xasprintf(&key, "sha-256 %s", base64);
	}
	if (key != NULL)
		right = strcmp(key, c->key) == 0;
	free(base64);
	free(key);
	buf_clear(&b);
	return right;
}

static char *
read_wanted(const struct xml *query)
{
	struct buf b = { 0 };
	const struct xml *f;
	const char *var;

	for (f = xml_child(query, "feature", NULL); f != NULL;
	     f = xml_next(f, "feature", NULL)) {
		var = xml_attr(f, "var");
		if (var == NULL || !str_ends(var, NOTIFY) ||
		    strchr(var, '\n') != NULL || b.len > WANTED_MAX)
			continue;
		buf_add(&b, var, strlen(var) - (sizeof(NOTIFY) - 1));
		buf_add_str(&b, "\n");
	}
	return buf_steal_str(&b);
}

static void
caps_keep(struct router *r, const struct caps *c)
{
	struct change change = { 0 };
	struct store_op *op = change_put(r, &change, &stored, c->key);

	op->keep = STORED_MAX;
	op->quota = 0;
	buf_add_str(&op->stanza, c->wanted);
	change_propose(r, &change);
}

/* What was said holds for this session alone. */
static struct caps *
caps_alone(struct router *r, struct login *s)
{
	struct caps *c;

	if (s->caps->key == NULL)
		return s->caps;
	c = caps_new(s->caps->node);
	caps_forget(r, s);
	s->caps_read = s->caps_asked = true;
	caps_join(s, c);
	return c;
}

static void
take_answer(struct router *r, struct login *s, const struct xml *query)
{
	struct caps *c = s->caps;

	if (query == NULL || c->key == NULL || !is_verified(c, query))
		c = caps_alone(r, s);
	c->known = true;
	c->wanted = query == NULL ? xstrdup("") : read_wanted(query);
	if (c->key != NULL)
		caps_keep(r, c);
	TAILQ_FOREACH(s, &c->sessions, of_caps)
		if (login_is_available(s))
			pep_greet(r, s);
}

/* ---- the server itself ------------------------------------------------- */

static void
describe_server(struct router *r, struct buf *b)
{
	buf_add_str(b, "<query xmlns='" NS_DISCO_INFO "'>");
	disco_describe_server(r, b);
	buf_add_str(b, "</query>");
}

/* Its hash, of what it can do now. */
static const char *
server_ver(struct router *r)
{
	struct buf info = { 0 }, text = { 0 };
	uint8_t digest[20];
	struct xml *query;

	if (r->caps_ver != NULL)
		return r->caps_ver;
	describe_server(r, &info);
	query = xml_parse((const char *)info.data, info.len);
	if (query != NULL)
		caps_text(query, &text);
	crypto_sha1(text.data, text.len, digest);
	r->caps_ver = crypto_base64(digest, sizeof(digest));
	xml_free(query);
	buf_clear(&text);
	buf_clear(&info);
	return r->caps_ver;
}

void
caps_announce(struct router *r, struct edge_state *e)
{
	down_caps_encode(&r->out, r->cfg.term, text_of(server_ver(r)));
	edge_send(r, e);
}

/* Some settings are shown in it. */
static void
setting_changed(struct router *r, const char *name)
{
	char *was = r->caps_ver;
	struct edge_state *e;

	(void)name;
	r->caps_ver = NULL;
	if (was != NULL && strcmp(was, server_ver(r)) != 0)
		TAILQ_FOREACH(e, &r->edge_order, next)
			if (e->ready)
				caps_announce(r, e);
	free(was);
}

/* XEP-0115, 6.2: it is asked by the node and the hash. */
static bool
node_info(
    struct router *r, const struct job *job, const char *node, struct buf *b)
{
	char *own;
	bool is_own;

	xasprintf(&own, SERVER_CAPS_NODE "#%s", server_ver(r));
	is_own = job->to.kind == ADDRESS_SERVER && strcmp(own, node) == 0;
	free(own);
	if (is_own)
		disco_describe_server(r, b);
	return is_own;
}

/* ---- the table --------------------------------------------------------- */

/* An IQ result or error that is for the server. */
static void
answered(struct router *r, struct job *job)
{
	static const char prefix[] = "caps-";
	struct login *s = login_find(r, &job->f.sid);
	const struct xml *query = NULL;
	struct xml *x;

	if (job->f.id.len < sizeof(prefix) ||
	    memcmp(job->f.id.data, prefix, sizeof(prefix) - 1) != 0 ||
	    !login_is_available(s) || s->caps == NULL || s->caps->known)
		return;
	x = xml_parse(job->f.payload.data, job->f.payload.len);
	if (x != NULL && job->f.type == TYPE_RESULT)
		query = xml_child(x, "query", NS_DISCO_INFO);
	take_answer(r, s, query);
	xml_free(x);
}

static void
end(struct router *r)
{
	struct login *s;
	size_t at = 0;

	while ((s = map_next(&r->sessions, &at)) != NULL)
		caps_forget(r, s);
	map_clear(&r->caps);
	free(r->caps_ver);
	r->caps_ver = NULL;
}

static const char *const features[] = { NS_CAPS, NULL };

const struct extension xep_0115 = {
	.number = "XEP-0115",
	.server_features = features,
	.available = available,
	.node_info = node_info,
	.setting_changed = setting_changed,
	.answered = answered,
	.end = end,
};
