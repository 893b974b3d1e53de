/*
 * Client state indication (XEP-0352): what is of no importance to a client that
 * nobody looks at waits until there is something that is, or somebody looks.
 *
 *   presence of others  the newest of each address
 *   chat states alone   the newest of each address
 *
 * What waits is in the session's queue, as far as the router is concerned. It
 * is sent in the order in which it came.
 */
#include "xmppd/edge/session.h"

#include <stdlib.h>
#include <string.h>

#include "common/strutil.h"
#include "common/xmalloc.h"

#define HELD_MAX 200
#define HELD_BYTES 65536

struct held {
	TAILQ_ENTRY(held) next;
	struct delivery_id id;
	uint8_t kind;
	char *from; /* with "p" or "m" before it: key of csi.by_from */
	size_t len;
	char data[];
};

TAILQ_HEAD(held_list, held);

struct csi {
	struct held_list list;
	struct map by_from;
	size_t bytes;
};

static void
held_remove(struct csi *c, struct held *h)
{
	TAILQ_REMOVE(&c->list, h, next);
	map_remove_str(&c->by_from, h->from);
	c->bytes -= h->len;
}

static void
held_free(struct held *h)
{
	free(h->from);
	free(h);
}

/* ---- what is of no importance ------------------------------------------ */

static bool
is_presence(const struct xml *x)
{
	const char *type = xml_attr(x, "type");

	return strcmp(x->name, "presence") == 0 &&
	    (type == NULL || strcmp(type, "unavailable") == 0);
}

/* Chat states (XEP-0085), and what says nothing by itself. */
static bool
is_chat_state(const struct xml *x)
{
	static const char *const silent[] = { "urn:xmpp:hints",
		"urn:xmpp:sid:0" };
	bool state = false;

	if (strcmp(x->name, "message") != 0 ||
	    str_equal(xml_attr(x, "type"), "error"))
		return false;
	for (const struct xml *child = x->children; child != NULL;
	     child = child->next) {
		if (strcmp(child->ns, NS_CHAT_STATES) == 0)
			state = true;
		else if (strcmp(child->name, "thread") != 0 &&
		    strcmp(child->ns, silent[0]) != 0 &&
		    strcmp(child->ns, silent[1]) != 0)
			return false;
	}
	return state;
}

/* The key to hold it by; NULL if it is important. The caller frees. */
static char *
held_key(const struct session *s, struct text bytes)
{
	struct xml *x = xml_parse(bytes.data, bytes.len);
	const char *from = x == NULL ? NULL : xml_attr(x, "from");
	char *key = NULL;

	/* One's own presence comes as an answer. */
	if (from != NULL && strcmp(from, s->up.full) != 0 &&
	    (is_presence(x) || is_chat_state(x)))
		xasprintf(&key, "%c%s", x->name[0], from);
	xml_free(x);
	return key;
}

bool
csi_holds(struct session *s, const struct down_deliver *d)
{
	struct csi *c = s->csi;
	struct held *h;
	char *key;

	if (d->id.key.kind == DKEY_ROW || d->payload.len > HELD_BYTES)
		return false;
	key = held_key(s, d->payload);
	if (key == NULL)
		return false;
	h = map_find_str(&c->by_from, key);
	if (h != NULL) {
		held_remove(c, h);
		held_free(h);
	} else if (c->by_from.count >= HELD_MAX ||
	    c->bytes + d->payload.len > HELD_BYTES) {
		csi_flush(s);
	}
	h = xcalloc(1, sizeof(*h) + d->payload.len);
	h->id = d->id;
	h->kind = d->kind;
	h->from = key;
	h->len = d->payload.len;
	memcpy(h->data, d->payload.data, h->len);
	c->bytes += h->len;
	TAILQ_INSERT_TAIL(&c->list, h, next);
	map_put_str(&c->by_from, h->from, h);
	return true;
}

/* ---- the end of waiting ------------------------------------------------ */

void
csi_flush(struct session *s)
{
	struct csi *c = s->csi;
	struct down_deliver d;
	struct held *h;

	if (c == NULL)
		return;
	while ((h = TAILQ_FIRST(&c->list)) != NULL) {
		held_remove(c, h);
		memset(&d, 0, sizeof(d));
		d.id = h->id;
		d.kind = h->kind;
		egress_stanza(s, &d, (struct text){ h->data, h->len });
		held_free(h);
	}
}

void
csi_end(struct session *s)
{
	struct csi *c = s->csi;
	struct held *h;

	if (c == NULL)
		return;
	while ((h = TAILQ_FIRST(&c->list)) != NULL) {
		held_remove(c, h);
		held_free(h);
	}
	map_clear(&c->by_from);
	free(c);
	s->csi = NULL;
}

void
csi_element(struct session *s, const struct xml_stanza *stanza)
{
	csi_set(s, strcmp(stanza->name, "active") == 0);
}

void
csi_set(struct session *s, bool active)
{
	if (s->stream.state != STREAM_BOUND)
		return;
	if (active) {
		csi_flush(s);
		csi_end(s);
	} else if (s->csi == NULL) {
		s->csi = xcalloc(1, sizeof(*s->csi));
		TAILQ_INIT(&s->csi->list);
	}
}
