/*
 * Push notifications (XEP-0357): a client that isn't there is told by its app
 * server that there are messages.
 *
 *   enable -> stored for the account, with the resource that asked
 *   a message for the user, or a session that has lost its connection with some
 *     unread -> each app server is told, but for clients that are connected
 *   the app server answers with an error -> it is told no more
 *
 * App servers are components of this server. Notifications may be lost with
 * their leader.
 */
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/jid.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/router/form.h"
#include "xmppd/router/iq_store.h"
#include "xmppd/router/pep.h"

#define NS_PUSH "urn:xmpp:push:0"
#define NS_SUMMARY "urn:xmpp:push:summary"
#define SERVICES_MAX 20 /* of an account */
#define NODE_MAX 1000
#define FORM_MAX 4000
#define ID_PREFIX "push-"
#define BODY_MAX 200

/* An app server that a client has enabled. In the store its id is the address
 * and the node with '\n' between them, its value the resource that asked and
 * the form of options. */
struct service {
	char *id, *jid, *node; /* node "": none */
	char *resource, *form;
	TAILQ_ENTRY(service) next;
};

TAILQ_HEAD(service_list, service);

/* ---- what is enabled --------------------------------------------------- */

static struct store_node
services_node(const char *account)
{
	return (struct store_node){
		.local = account, .space = SPACE_PUSH, .node = ""
	};
}

static void
service_free(struct service *v)
{
	free(v->id);
	free(v->jid);
	free(v->node);
	free(v->resource);
	free(v->form);
	free(v);
}

static struct service *
service_new(const struct store_item *item)
{
	const char *split = strchr(item->id, '\n');
	struct service *v = xcalloc(1, sizeof(*v));
	struct cursor c;

	if (split == NULL)
		split = item->id + strlen(item->id);
	v->id = xstrdup(item->id);
	v->jid = xstrndup(item->id, (size_t)(split - item->id));
	v->node = xstrdup(*split == '\0' ? "" : split + 1);
	cursor_init(&c, item->value.data, item->value.len);
	v->resource = cursor_dup_text(&c);
	v->form = cursor_dup_text(&c);
	return v;
}

/* Those of an account; the caller frees each. */
static void
services_read(struct router *r, const char *account, struct service_list *list)
{
	const struct store_node n = services_node(account);
	struct store_item *items;
	size_t count = store_items(r->env.store, &n, &items);
	struct service *v;

	TAILQ_INIT(list);
	for (size_t i = 0; i < count; i++) {
		v = service_new(&items[i]);
		TAILQ_INSERT_TAIL(list, v, next);
	}
	store_items_clear(items, count);
}

static void
services_clear(struct service_list *list)
{
	struct service *v;

	while ((v = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, v, next);
		service_free(v);
	}
}

/* Of a user who is here they are kept: most have none. */
static const struct service_list *
services_of(struct router *r, struct user *u)
{
	struct service_list *list;

	if (u->push_read)
		return u->push;
	u->push_read = true;
	if (!store_item_any(r->env.store, u->local, SPACE_PUSH))
		return NULL;
	list = xmalloc(sizeof(*list));
	services_read(r, u->local, list);
	u->push = list;
	return list;
}

static void
forget(struct user *u)
{
	if (u->push != NULL)
		services_clear(u->push);
	free(u->push);
	u->push = NULL;
	u->push_read = false;
}

static void
item_changed(struct router *r, const struct store_op *op)
{
	struct user *u;

	if (op->space != SPACE_PUSH)
		return;
	u = user_find_account(r, op->user);
	if (u != NULL)
		forget(u);
}

/* ---- telling (XEP-0357, 5) --------------------------------------------- */

/* What is told of. */
struct news {
	struct router *r;
	const char *account;
	char *bare;
	struct text from; /* of the message; absent: not known */
	char *body;
	size_t count;
};

static void
add_summary(struct buf *b, const struct news *w)
{
	char *how = store_setting(w->r->env.store, SHARED_PUSH);
	struct buf count = { 0 };
	char *from = text_dup(w->from);

	buf_addf(&count, "%zu", w->count);
	form_begin(b, "form", NS_SUMMARY);
	form_add(b, "message-count", NULL, NULL, buf_str(&count));
	if (from != NULL &&
	    (str_equal(how, "sender") || str_equal(how, "body")))
		form_add(b, "last-message-sender", NULL, NULL, from);
	if (w->body != NULL && str_equal(how, "body"))
		form_add(b, "last-message-body", NULL, NULL, w->body);
	form_end(b);
	buf_clear(&count);
	free(from);
	free(how);
}

/* By which the app server's answer is known for one of the account's. */
static void
service_hash(const struct service *v, char out[33])
{
	uint8_t digest[32];

	crypto_sha256(v->id, strlen(v->id), digest);
	crypto_hex(digest, 16, out);
}

static void
write_news(struct buf *b, const struct news *w, const struct service *v)
{
	char hash[33];

	service_hash(v, hash);
	buf_add_str(b, "<iq type='set'");
	xml_add_attr(b, "from", w->bare);
	xml_add_attr(b, "to", v->jid);
	buf_addf(b,
	    " id='" ID_PREFIX "%s'><pubsub xmlns='" NS_PUBSUB "'><publish",
	    hash);
	if (*v->node != '\0')
		xml_add_attr(b, "node", v->node);
	buf_add_str(b, "><item><notification xmlns='" NS_PUSH "'>");
	add_summary(b, w);
	buf_add_str(b, "</notification></item></publish>");
	if (v->form != NULL)
		buf_addf(b, "<publish-options>%s</publish-options>", v->form);
	buf_add_str(b, "</pubsub></iq>");
}

static void
tell_service(const struct news *w, const struct service *v)
{
	struct dispatch d = { .kind = DELIVER_STANZA };
	struct address to;
	struct buf b = { 0 };

	address_read(w->r, text_of(v->jid), &to);
	d.target = to.kind == ADDRESS_COMPONENT
	    ? component_session(w->r, to.domain)
	    : NULL;
	if (d.target == NULL)
		return;
	write_news(&b, w, v);
	d.key = dkey_term(w->r);
	d.hold = bytes_new(b.data, b.len);
	d.payload.data = d.hold->data;
	d.payload.len = d.hold->len;
	session_deliver(w->r, &d);
	bytes_unref(d.hold);
	buf_clear(&b);
}

/* Whether the client that enabled it is connected: it sees for itself. */
static bool
is_there(const struct user *u, const struct service *v)
{
	const struct login *s;
	const char *resource;

	if (u == NULL || v->resource == NULL)
		return false;
	TAILQ_FOREACH(s, &u->sessions, of_user) {
		resource = login_is_there(s) ? strchr(s->full, '/') : NULL;
		if (resource != NULL && strcmp(resource + 1, v->resource) == 0)
			return !s->away;
	}
	return false;
}

static void
tell_all(
    const struct news *w, const struct user *u, const struct service_list *list)
{
	const struct service *v;

	TAILQ_FOREACH(v, list, next)
		if (!is_there(u, v))
			tell_service(w, v);
}

static void
read_message(struct news *w, const struct job *job)
{
	struct xml *x = xml_parse(job->f.payload.data, job->f.payload.len);
	const char *body = x == NULL ? NULL : xml_child_text(x, "body");
	size_t len = body == NULL ? 0 : strlen(body);

	if (len > BODY_MAX) /* and not inside a character */
		for (len = BODY_MAX; len > 0 && (body[len] & 0xc0) == 0x80;)
			len--;
	if (body != NULL)
		w->body = xstrndup(body, len);
	w->from = job->f.from;
	xml_free(x);
}

/* An app server is told of what a user would want to see at once. */
static bool
is_news(const struct job *job)
{
	const unsigned kept = MARK_STORE | MARK_CONTENT;

	return ((job->f.marks & MARK_BODY) != 0 ||
		   (job->f.marks & kept) == kept) &&
	    (job->f.type == TYPE_NONE || job->f.type == TYPE_NORMAL ||
		job->f.type == TYPE_CHAT);
}

static void
message(struct router *r, struct job *job)
{
	struct user *u = user_find(r, job->to.bare);
	struct service_list read;
	const struct service_list *list = &read;
	struct news w = { .r = r, .count = 1 };
	char *account;

	if (!is_news(job) || (u != NULL && services_of(r, u) == NULL))
		return;
	account = text_dup(job->to.local);
	if (u != NULL)
		list = services_of(r, u);
	else
		services_read(r, account, &read);
	if (!TAILQ_EMPTY(list)) {
		w.account = account;
		w.bare = text_dup(job->to.bare);
		if (job->fate == FATE_STORING)
			w.count = store_user_row_count(r->env.store, account);
		read_message(&w, job);
		tell_all(&w, u, list);
		free(w.bare);
		free(w.body);
	}
	if (u == NULL)
		services_clear(&read);
	free(account);
}

/* A session has lost its connection, and some messages with it. */
static void
missed(struct router *r, struct login *s)
{
	struct news w = { .r = r, .count = 1 };
	const struct service_list *list;

	if (s->user == NULL || s->user->local == NULL)
		return;
	list = services_of(r, s->user);
	if (list == NULL)
		return;
	w.account = s->user->local;
	w.bare = s->user->bare;
	tell_all(&w, s->user, list);
}

int
login_away(struct router *r, const struct edge_state *e, struct cursor *c)
{
	struct up_away m;
	struct login *s;

	if (up_away_decode(c, &m) != RES_OK)
		return RES_INVALID;
	s = login_find(r, &m.sid);
	if (s == NULL || s->edge != e)
		return RES_OK;
	s->away = m.away;
	if (m.away && m.waiting > 0 && login_is_there(s))
		extensions_missed(r, s);
	return RES_OK;
}

/* ---- requests (XEP-0357, 4 and 7) -------------------------------------- */

/* The app server's address; NULL, and *e, if it may not be one. */
static char *
read_jid(struct router *r, const struct xml *x, enum stanza_error *e)
{
	const char *text = xml_attr(x, "jid");
	struct address a;
	struct jid jid;
	char *full = NULL;

	*e = STANZA_BAD_REQUEST;
	if (text == NULL || jid_parse(text, strlen(text), &jid) != 0)
		return NULL;
	address_read(r, text_of(jid.full), &a);
	*e = STANZA_REMOTE_SERVER_NOT_FOUND;
	if (a.kind == ADDRESS_USER || a.kind == ADDRESS_SERVER)
		*e = STANZA_NOT_ACCEPTABLE;
	if (a.kind == ADDRESS_COMPONENT) {
		*e = 0;
		full = xstrdup(jid.full);
	}
	jid_clear(&jid);
	return full;
}

static char *
service_id(const char *jid, const char *node)
{
	char *id;

	xasprintf(&id, "%s\n%s", jid, node == NULL ? "" : node);
	return id;
}

/* The value: the resource that asks, and the options it gives. */
static void
write_value(struct buf *b, const struct job *job, const struct xml *enable)
{
	const struct xml *form = xml_child(enable, "x", NS_DATA);
	const char *slash = memchr(job->f.from.data, '/', job->f.from.len);
	struct text resource = { NULL, 0 };
	struct buf text = { 0 };
	char *copy;

	if (slash != NULL) {
		resource.data = slash + 1;
		resource.len = (size_t)(job->f.from.data + job->f.from.len -
		    resource.data);
	}
	copy = text_dup(resource);
	buf_add_text(b, copy);
	free(copy);
	if (form != NULL)
		xml_write_whole(&text, form);
	buf_add_text(b, form == NULL ? NULL : buf_str(&text));
	buf_clear(&text);
}

static enum stanza_error
enable_store(struct router *r, struct job *job, const struct xml *enable,
    const char *jid)
{
	const char *node = xml_attr(enable, "node");
	char *account = text_dup(job->to.local), *id = service_id(jid, node);
	const struct store_node n = services_node(account);
	struct change change = { 0 };
	struct store_op *op = change_put(r, &change, &n, id);
	enum stanza_error e = 0;

	write_value(&op->stanza, job, enable);
	if ((node != NULL && strlen(node) > NODE_MAX) ||
	    op->stanza.len > FORM_MAX)
		e = STANZA_NOT_ACCEPTABLE;
	else if (!store_item(r->env.store, &n, id, NULL) &&
	    store_item_count(r->env.store, &n) >= SERVICES_MAX)
		e = STANZA_RESOURCE_CONSTRAINT;
	free(account);
	free(id);
	if (e == 0)
		return iq_store(r, job, &change);
	change_clear(&change);
	return e;
}

static enum stanza_error
enable_set(struct router *r, struct job *job, const struct xml *enable)
{
	enum stanza_error e;
	char *jid;

	if (iq_stored(r, job, &e)) {
		reply_iq(r, job, NULL, 0);
		return 0;
	}
	if (e != 0)
		return e;
	jid = read_jid(r, enable, &e);
	if (jid != NULL)
		e = enable_store(r, job, enable, jid);
	free(jid);
	return e;
}

/* Takes out an app server: one node of it, or all. */
static void
disable(struct router *r, const char *account, const char *jid,
    const char *node, struct change *change)
{
	const struct store_node n = services_node(account);
	struct service_list list;
	struct service *v;

	services_read(r, account, &list);
	TAILQ_FOREACH(v, &list, next)
		if (strcmp(v->jid, jid) == 0 &&
		    (node == NULL || strcmp(v->node, node) == 0))
			change_del(change, &n, v->id);
	services_clear(&list);
}

static enum stanza_error
disable_set(struct router *r, struct job *job, const struct xml *x)
{
	const char *text = xml_attr(x, "jid");
	struct change change = { 0 };
	enum stanza_error e;
	char *account;
	struct jid jid;

	if (iq_stored(r, job, &e)) {
		reply_iq(r, job, NULL, 0);
		return 0;
	}
	if (e != 0)
		return e;
	if (text == NULL || jid_parse(text, strlen(text), &jid) != 0)
		return STANZA_BAD_REQUEST;
	account = text_dup(job->to.local);
	disable(r, account, jid.full, xml_attr(x, "node"), &change);
	free(account);
	jid_clear(&jid);
	return iq_store(r, job, &change);
}

/* XEP-0357, 6: an app server that doesn't know the node (any more) is told no
 * more; one that only asks to wait is. */
static void
answered(struct router *r, struct job *job)
{
	const struct text id = job->f.id;
	struct service_list list;
	struct change change = { 0 };
	struct store_node n;
	struct service *v;
	char *account, hash[33];

	if (job->f.type != TYPE_ERROR || id.len != strlen(ID_PREFIX) + 32 ||
	    memcmp(id.data, ID_PREFIX, strlen(ID_PREFIX)) != 0 ||
	    job->to.kind != ADDRESS_USER ||
	    memmem(job->f.payload.data, job->f.payload.len, "'wait'", 6) !=
		NULL)
		return;
	account = text_dup(job->to.local);
	n = services_node(account);
	services_read(r, account, &list);
	TAILQ_FOREACH(v, &list, next) {
		service_hash(v, hash);
		if (memcmp(id.data + strlen(ID_PREFIX), hash, 32) == 0 &&
		    text_is(job->f.from, v->jid))
			change_del(&change, &n, v->id);
	}
	if (change.count > 0)
		change_propose(r, &change);
	services_clear(&list);
	free(account);
}

static const struct iq_handler iqs[] = {
	{ TYPE_SET, AT_ACCOUNT, "{" NS_PUSH "}enable", enable_set },
	{ TYPE_SET, AT_ACCOUNT, "{" NS_PUSH "}disable", disable_set },
	{ 0 },
};
static const char *const features[] = { NS_PUSH, NULL };

const struct extension xep_0357 = {
	.number = "XEP-0357",
	.server_features = features,
	.account_features = features,
	.iqs = iqs,
	.item_changed = item_changed,
	.forget = forget,
	.message = message,
	.missed = missed,
	.answered = answered,
};
