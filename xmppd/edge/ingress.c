/*
 * Stanzas on their way in: from a bound session's stream to a frame.
 *
 *   addresses (RFC 6120, 8.1)  -> a stream error, or jid-malformed
 *   form of an iq (8.2.3)      -> bad-request
 *   else one frame: addressing beside the stanza's bytes, which are written
 *   once, with `from` stamped, and never parsed again on their way
 */
#include "xmppd/edge/session.h"

#include <stdlib.h>
#include <string.h>

#include "common/jid.h"
#include "common/xmalloc.h"

static const struct {
	const char *name;
	enum frame_kind kind;
	enum stanza_type type;
} types[] = {
	{ "chat", FRAME_MESSAGE, TYPE_CHAT },
	{ "groupchat", FRAME_MESSAGE, TYPE_GROUPCHAT },
	{ "headline", FRAME_MESSAGE, TYPE_HEADLINE },
	{ "normal", FRAME_MESSAGE, TYPE_NORMAL },
	{ "error", FRAME_MESSAGE, TYPE_ERROR },
	{ "unavailable", FRAME_PRESENCE, TYPE_UNAVAILABLE },
	{ "subscribe", FRAME_PRESENCE, TYPE_SUBSCRIBE },
	{ "subscribed", FRAME_PRESENCE, TYPE_SUBSCRIBED },
	{ "unsubscribe", FRAME_PRESENCE, TYPE_UNSUBSCRIBE },
	{ "unsubscribed", FRAME_PRESENCE, TYPE_UNSUBSCRIBED },
	{ "probe", FRAME_PRESENCE, TYPE_PROBE },
	{ "error", FRAME_PRESENCE, TYPE_ERROR },
	{ "get", FRAME_IQ, TYPE_GET },
	{ "set", FRAME_IQ, TYPE_SET },
	{ "result", FRAME_IQ, TYPE_RESULT },
	{ "error", FRAME_IQ, TYPE_ERROR },
};

static enum frame_kind
kind_of(const struct xml_stanza *stanza)
{
	switch (stanza->name[0]) {
	case 'm':
		return FRAME_MESSAGE;
	case 'p':
		return FRAME_PRESENCE;
	default:
		return FRAME_IQ;
	}
}

/* RFC 6121, 5.2.2: a message of an unknown type counts as a normal one. */
enum stanza_type
ingress_type(enum frame_kind kind, const char *name)
{
	if (name == NULL)
		return kind == FRAME_IQ ? TYPE_INVALID : TYPE_NONE;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].kind == kind && strcmp(types[i].name, name) == 0)
			return types[i].type;
	return kind == FRAME_MESSAGE ? TYPE_NORMAL : TYPE_INVALID;
}

/* ---- addresses --------------------------------------------------------- */

static void
address_clear(struct address *a)
{
	if (a->raw != a->prepared)
		free(a->raw);
	free(a->prepared);
	a->raw = a->prepared = NULL;
}

void
ingress_clear(struct session *s)
{
	address_clear(&s->to);
	address_clear(&s->from);
}

/* The prepared form, from the cache if it came the same last time; NULL if it
 * is no address. `domain`: what its domain has to be, NULL: any. */
static const char *
address_prepare(struct address *a, const char *raw, const char *domain)
{
	struct jid jid;
	size_t len;
	bool fits;

	if (a->raw != NULL && strcmp(a->raw, raw) == 0)
		return a->prepared;
	if (jid_parse(raw, strlen(raw), &jid) != 0)
		return NULL;
	len = jid.bare - jid.domain;
	fits = domain == NULL ||
	    (strlen(domain) == len &&
		memcmp(jid.full + jid.domain, domain, len) == 0);
	if (!fits) {
		jid_clear(&jid);
		return NULL;
	}
	address_clear(a);
	a->prepared = jid.full; /* taken */
	a->raw = strcmp(raw, jid.full) == 0 ? jid.full : xstrdup(raw);
	return a->prepared;
}

/* RFC 6120, 8.1.2.1: a client's `from` is its own full or bare JID; whatever
 * it says, its full JID is stamped. */
static bool
is_own(const struct session *s, const char *from)
{
	struct jid jid;
	bool own;

	if (strcmp(from, s->up.full) == 0 || strcmp(from, s->bare) == 0)
		return true;
	if (jid_parse(from, strlen(from), &jid) != 0)
		return false;
	own =
	    strcmp(jid.full, s->up.full) == 0 || strcmp(jid.full, s->bare) == 0;
	jid_clear(&jid);
	return own;
}

/* The stamped `from`; NULL after a stream error. */
static const char *
sender_of(struct session *s, const struct xml_stanza *stanza)
{
	const char *from;

	if (!s->stream.component) {
		if (stanza->from == NULL || is_own(s, stanza->from))
			return s->up.full;
		session_error(s, STREAM_INVALID_FROM, NULL);
		return NULL;
	}
	/* XEP-0114, 3: both addresses, and the sender's in its own domain. */
	if (stanza->from == NULL || stanza->to == NULL) {
		session_error(s, STREAM_IMPROPER_ADDRESSING,
		    "a component's stanza has 'from' and 'to'");
		return NULL;
	}
	from = address_prepare(&s->from, stanza->from, s->bare);
	if (from == NULL)
		session_error(s, STREAM_INVALID_FROM, NULL);
	return from;
}

/* ---- answers ----------------------------------------------------------- */

void
ingress_reply(struct session *s, const struct xml_stanza *stanza,
    const char *from, enum stanza_error error)
{
	struct buf *out = &s->edge->out;
	const char *type = stanza->type;

	/* RFC 6120, 8.3.1: never an error for an error, nor for a result. */
	if (type != NULL &&
	    (strcmp(type, "error") == 0 ||
		(strcmp(type, "result") == 0 && stanza->name[0] == 'i')))
		return;
	buf_addf(out, "<%s type='error'", stanza->name);
	/* RFC 6120, 8.3.1: an iq's has one, if need be an empty one. */
	xml_add_attr(out, "id",
	    stanza->id == NULL && stanza->name[0] == 'i' ? "" : stanza->id);
	xml_add_attr(out, "from", from);
	xml_add_attr(
	    out, "to", s->stream.component ? stanza->from : s->up.full);
	buf_add_str(out, ">");
	xml_add_stanza_error(out, error, NULL);
	buf_addf(out, "</%s>", stanza->name);
	session_flush_stanza(s);
}

/*
 * RFC 6120, 8.2.3: an iq has an id and one of four types; a request has exactly
 * one child, a result at most one. RFC 6121, 3.1.2 and 4.7.1: a subscription or
 * a probe is somebody's.
 */
static bool
is_well_formed(const struct xml_stanza *stanza, enum frame_kind kind,
    enum stanza_type type)
{
	if (type == TYPE_INVALID)
		return false;
	if (kind == FRAME_IQ) {
		if (stanza->id == NULL)
			return false;
		if (type == TYPE_GET || type == TYPE_SET)
			return stanza->children == 1;
		return type != TYPE_RESULT || stanza->children <= 1;
	}
	return kind == FRAME_MESSAGE || stanza->to != NULL ||
	    type == TYPE_NONE || type == TYPE_UNAVAILABLE;
}

/* ---- the frame --------------------------------------------------------- */

/* "{namespace}name" of the first child. */
static struct text
child_of(struct session *s, const struct xml_stanza *stanza)
{
	struct buf *b = &s->edge->child;

	if (stanza->child == NULL)
		return (struct text){ NULL, 0 };
	buf_reset(b);
	buf_add(b, "{", 1);
	buf_add_str(b, stanza->child_ns);
	buf_add(b, "}", 1);
	buf_add_str(b, stanza->child);
	return (struct text){ (const char *)b->data, b->len };
}

/* For announcements: a presence to all that can see it (RFC 6121, 4.2). */
static void
note_presence(struct session *s, enum stanza_type type, const struct buf *bytes)
{
	if (type != TYPE_NONE && type != TYPE_UNAVAILABLE)
		return;
	free(s->up.presence);
	s->up.presence = NULL;
	s->up.presence_len = 0;
	if (type == TYPE_UNAVAILABLE)
		return;
	s->up.presence = xmemdup(bytes->data, bytes->len);
	s->up.presence_len = bytes->len;
}

/* ---- stanza ids (XEP-0359) --------------------------------------------- */

static bool
is_bare_of(const char *by, const char *full)
{
	size_t len = strcspn(full, "/");

	return strlen(by) == len && memcmp(by, full, len) == 0;
}

static bool
is_of_account(const char *by, const char *full)
{
	struct jid jid;
	bool same;

	if (by == NULL || full == NULL || is_bare_of(by, full))
		return by != NULL && full != NULL;
	if (jid_parse(by, strlen(by), &jid) != 0)
		return false;
	same = is_bare_of(jid.full, full);
	jid_clear(&jid);
	return same;
}

/* Rule 2: only an archive itself gives ids in its name. The sender's is here,
 * and the recipient's may be. */
static void
add_genuine(struct buf *inner, const struct xml_stanza *stanza,
    const char *from, const char *to)
{
	size_t at = 0;

	for (size_t i = 0; i < stanza->id_count; i++) {
		const struct xml_span *id = &stanza->ids[i];

		if (!is_of_account(id->by, from) && !is_of_account(id->by, to))
			continue;
		buf_add(inner, stanza->inner + at, id->start - at);
		at = id->end;
	}
	buf_add(inner, stanza->inner + at, stanza->inner_len - at);
}

static void
write_payload(struct session *s, const struct xml_stanza *stanza,
    const char *from, const char *to)
{
	struct buf *payload = &s->edge->payload, inner = { 0 };
	struct xml_stanza genuine = *stanza;

	buf_reset(payload);
	if (stanza->id_count > 0 && stanza->name[0] == 'm') {
		add_genuine(&inner, stanza, from, to);
		genuine.inner = (const char *)inner.data;
		genuine.inner_len = inner.len;
	}
	xml_stanza_write(payload, &genuine, from, to, s->stream.lang);
	buf_clear(&inner);
}

static void
hand_up(struct session *s, const struct xml_stanza *stanza,
    struct up_frame *frame, const char *from, const char *to)
{
	const struct buf *payload = &s->edge->payload;

	write_payload(s, stanza, from, to);
	frame->from = text_of(from);
	frame->to = text_of(to);
	frame->id = text_of(stanza->id);
	frame->lang =
	    text_of(stanza->lang != NULL ? stanza->lang : s->stream.lang);
	frame->child = child_of(s, stanza);
	frame->payload =
	    (struct text){ (const char *)payload->data, payload->len };
	frame->marks = stanza->marks;
	if (frame->kind == FRAME_PRESENCE && to == NULL)
		note_presence(s, (enum stanza_type)frame->type, payload);
	uplink_send(s->edge->uplink, &s->up, frame);
}

static void
take(struct session *s, const struct xml_stanza *stanza)
{
	enum frame_kind kind = kind_of(stanza);
	enum stanza_type type = ingress_type(kind, stanza->type);
	struct up_frame frame = { .kind = (uint8_t)kind,
		.type = (uint8_t)type };
	const char *from = sender_of(s, stanza), *to = NULL;

	if (from == NULL)
		return;
	if (stanza->to != NULL) {
		to = address_prepare(&s->to, stanza->to, NULL);
		if (to == NULL) {
			ingress_reply(
			    s, stanza, s->stream.domain, STANZA_JID_MALFORMED);
			return;
		}
	} else if (kind != FRAME_PRESENCE) {
		/* RFC 6120, 10.3: the account itself is meant. */
		frame.flags |= FRAME_NO_TO;
		to = s->bare;
	}
	if (!is_well_formed(stanza, kind, type)) {
		ingress_reply(s, stanza, to, STANZA_BAD_REQUEST);
		return;
	}
	if (type == TYPE_SET && s->ops->answers != NULL &&
	    s->ops->answers(s, stanza, to))
		return;
	hand_up(s, stanza, &frame, from, to);
}

void
ingress_stanza(struct session *s, const struct xml_stanza *stanza)
{
	uint64_t before;

	if (s->managed == NULL) {
		take(s, stanza);
		return;
	}
	before = uplink_sent(&s->up);
	take(s, stanza);
	if (s->managed != NULL) /* it may have ended the session */
		managed_received(s, uplink_sent(&s->up) - before);
}
