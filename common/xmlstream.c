/*
 * The stream parser: libxml2's SAX2 events in, first-level elements out, each
 * already serialised for its travel.
 *
 *   bytes -> xmlstream_feed -> libxml2 -> on_start / on_text / on_end
 *     depth 1: the stream header       -> ops.open
 *     depth 2: a first-level element   -> ops.stanza, at its last byte
 *     end of depth 1                   -> ops.close
 *
 * Failures: what XML forbids, what XMPP forbids in XML (RFC 6120, 11.1) and
 * what is over a limit goes to ops.error once; the parser is then stopped.
 */
#include "common/xmlstream.h"

#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>

#include "common/strutil.h"
#include "common/xmalloc.h"

/* After so many bytes a resting parser is made anew: its dictionary keeps each
 * name that it has ever seen. */
#define PARSER_BYTES_MAX (1U << 20)

/* Bytes of a token that lacks its end, and of the attributes of one element. */
#define TOKEN_MAX (64 * 1024)
#define VALUES_MAX (16 * 1024)

#define OPEN_CLIENT                                                            \
	"<stream:stream xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAM "'>"

/* Where a text of the current element's head stands in `head`; 0: absent. */
struct head_text {
	size_t at;
};

struct xmlstream {
	const struct xmlstream_ops *ops;
	void *arg;
	struct xml_limits limits;
	xmlParserCtxtPtr ctxt; /* NULL: at rest, or before the first byte */
	uint64_t fed;          /* bytes given to this parser */
	uint64_t boundary;     /* of them, up to the last finished element */
	unsigned depth;        /* 1: inside the stream */
	bool opened;           /* the header was reported */
	bool replaying;        /* a header of ours is being parsed */
	bool stopped;          /* drop the rest of what is being fed */
	bool failed;
	bool in_feed, free_later;
	bool restart, restart_drop;
	size_t rest_at;      /* where in the bytes a restart goes on */
	const uint8_t *data; /* being fed */
	size_t data_len;

	char *content_ns; /* declared by the header; NULL: none */
	char *reopen;     /* header for a new parser; NULL: OPEN_CLIENT */

	/* The first-level element that is being read. */
	struct xml_stanza stanza;
	struct head_text name, ns, to, from, id, type, lang, child, child_ns;
	struct buf head; /* those texts, each NUL-terminated */
	struct buf attrs, inner;
	bool tag_open;       /* a start tag in `inner` lacks its end */
	const char **around; /* default namespace by depth; NULL: content */
	size_t around_size;
};

/* ---- errors ------------------------------------------------------------ */

static void
parser_stop(struct xmlstream *x)
{
	x->stopped = true;
	if (x->ctxt != NULL)
		xmlStopParser(x->ctxt);
}

static void
fail(struct xmlstream *x, enum stream_error error, const char *text)
{
	if (x->failed || x->stopped)
		return;
	x->failed = true;
	parser_stop(x);
	x->ops->error(x->arg, error, text);
}

/* Bytes of the current parser's input that it has consumed. */
static uint64_t
consumed(const struct xmlstream *x)
{
	const xmlParserInput *in = x->ctxt->input;

	return in == NULL
	    ? x->fed
	    : (uint64_t)in->consumed + (uint64_t)(in->cur - in->base);
}

static bool
over_limit(struct xmlstream *x)
{
	if (consumed(x) - x->boundary <= x->limits.element)
		return false;
	fail(x, STREAM_POLICY_VIOLATION, "stanza too big");
	return true;
}

/* ---- the element's head ------------------------------------------------ */

static struct head_text
head_add(struct xmlstream *x, const void *text, size_t len)
{
	struct head_text t;

	if (x->head.len == 0)
		buf_add_u8(&x->head, 0); /* so that no text is at 0 */
	t.at = x->head.len;
	buf_add(&x->head, text, len);
	buf_add_u8(&x->head, 0);
	return t;
}

static struct head_text
head_add_str(struct xmlstream *x, const xmlChar *text)
{
	if (text == NULL)
		return (struct head_text){ 0 };
	return head_add(x, text, strlen((const char *)text));
}

static const char *
head_text(const struct xmlstream *x, struct head_text t)
{
	return t.at == 0 ? NULL : (const char *)x->head.data + t.at;
}

/* libxml2 gives an attribute as localname, prefix, URI, value, end of value. */
struct attr {
	const xmlChar *name, *prefix, *uri, *value, *end;
};

static struct attr
attr_at(const xmlChar **attrs, int i)
{
	const xmlChar **at = attrs + (ptrdiff_t)i * 5;

	return (struct attr){ at[0], at[1], at[2], at[3], at[4] };
}

static size_t
values_size(int count, const xmlChar **attrs)
{
	size_t size = 0;

	for (int i = 0; i < count; i++) {
		struct attr a = attr_at(attrs, i);

		size += (size_t)(a.end - a.value);
	}
	return size;
}

static bool
attr_is_lang(const struct attr *a)
{
	return a->prefix != NULL &&
	    xmlStrEqual(a->prefix, (const xmlChar *)"xml") &&
	    xmlStrEqual(a->name, (const xmlChar *)"lang");
}

/* An attribute in the travelling form; a foreign prefix is declared with it. */
static void
attr_write(struct buf *b, const struct attr *a, int number)
{
	const char *name = (const char *)a->name;

	if (a->prefix == NULL) {
		xml_add_attr_n(b, name, (const char *)a->value,
		    (size_t)(a->end - a->value));
	} else {
		char prefix[24];
		struct buf full = { 0 };

		if (xmlStrEqual(a->prefix, (const xmlChar *)"xml"))
			snprintf(prefix, sizeof(prefix), "xml");
		else {
			snprintf(prefix, sizeof(prefix), "a%d", number);
			buf_addf(&full, "xmlns:%s", prefix);
			xml_add_attr(b, buf_str(&full), (const char *)a->uri);
			buf_reset(&full);
		}
		buf_addf(&full, "%s:%s", prefix, name);
		xml_add_attr_n(b, buf_str(&full), (const char *)a->value,
		    (size_t)(a->end - a->value));
		buf_clear(&full);
	}
}

static struct head_text *
head_slot(struct xmlstream *x, const struct attr *a)
{
	static const struct {
		const char *name;
		size_t offset;
	} slots[] = {
		{ "to", offsetof(struct xmlstream, to) },
		{ "from", offsetof(struct xmlstream, from) },
		{ "id", offsetof(struct xmlstream, id) },
		{ "type", offsetof(struct xmlstream, type) },
	};

	if (attr_is_lang(a))
		return &x->lang;
	if (a->prefix != NULL)
		return NULL;
	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++)
		if (strcmp((const char *)a->name, slots[i].name) == 0)
			return (struct head_text *)(void *)((char *)x +
			    slots[i].offset);
	return NULL;
}

/* ---- the stream header ------------------------------------------------- */

/* For a new parser: the header as far as names and prefixes go. */
static char *
header_copy(const xmlChar *name, const xmlChar *prefix, int ns_count,
    const xmlChar **ns)
{
	struct buf b = { 0 };

	buf_addf(&b, "<%s%s%s", prefix == NULL ? "" : (const char *)prefix,
	    prefix == NULL ? "" : ":", (const char *)name);
	for (int i = 0; i < ns_count; i++) {
		const char *declared = (const char *)ns[(ptrdiff_t)2 * i];
		struct buf attr = { 0 };

		buf_add_str(&attr, "xmlns");
		if (declared != NULL)
			buf_addf(&attr, ":%s", declared);
		xml_add_attr(
		    &b, buf_str(&attr), (const char *)ns[(ptrdiff_t)2 * i + 1]);
		buf_clear(&attr);
	}
	buf_add_str(&b, ">");
	return buf_steal_str(&b);
}

/* Whether it says no more than OPEN_CLIENT. */
static bool
header_is_usual(const xmlChar *prefix, int ns_count, const xmlChar **ns)
{
	if (prefix == NULL || ns_count != 2 ||
	    !xmlStrEqual(prefix, (const xmlChar *)"stream"))
		return false;
	for (int i = 0; i < ns_count; i++) {
		bool content = ns[(ptrdiff_t)2 * i] == NULL;

		if (!xmlStrEqual(ns[(ptrdiff_t)2 * i + 1],
			(const xmlChar *)(content ? NS_CLIENT : NS_STREAM)))
			return false;
	}
	return true;
}

static void
reopen_remember(struct xmlstream *x, const xmlChar *name, const xmlChar *prefix,
    int ns_count, const xmlChar **ns)
{
	for (int i = 0; i < ns_count; i++) {
		const char *uri = (const char *)ns[(ptrdiff_t)2 * i + 1];

		if (ns[(ptrdiff_t)2 * i] != NULL || strcmp(uri, NS_STREAM) == 0)
			continue;
		free(x->content_ns);
		x->content_ns = xstrdup(uri);
	}
	free(x->reopen);
	x->reopen = header_is_usual(prefix, ns_count, ns)
	    ? NULL
	    : header_copy(name, prefix, ns_count, ns);
}

static void
header_start(struct xmlstream *x, const xmlChar *name, const xmlChar *uri,
    int attr_count, const xmlChar **attrs)
{
	struct head_text version = { 0 }, *slot;
	struct xml_open open;
	struct attr a;

	buf_reset(&x->head);
	x->to = x->from = x->id = x->type = x->lang = version;
	for (int i = 0; i < attr_count; i++) {
		a = attr_at(attrs, i);
		slot = head_slot(x, &a);
		if (slot == NULL && a.prefix == NULL &&
		    xmlStrEqual(a.name, (const xmlChar *)"version"))
			slot = &version;
		if (slot != NULL)
			*slot = head_add(x, a.value, (size_t)(a.end - a.value));
	}
	open.name = (const char *)name;
	open.ns = uri == NULL ? "" : (const char *)uri;
	open.content_ns = x->content_ns;
	open.to = head_text(x, x->to);
	open.from = head_text(x, x->from);
	open.id = head_text(x, x->id);
	open.version = head_text(x, version);
	open.lang = head_text(x, x->lang);
	x->opened = true;
	x->boundary = consumed(x);
	x->ops->open(x->arg, &open);
}

/* ---- SAX --------------------------------------------------------------- */

/* The namespace as it counts in the travelling form: NULL is the content's. */
static const char *
travel_ns(const struct xmlstream *x, const xmlChar *uri)
{
	if (uri == NULL)
		return "";
	if (x->content_ns != NULL &&
	    strcmp((const char *)uri, x->content_ns) == 0)
		return NULL;
	return (const char *)uri;
}

static void
around_set(struct xmlstream *x, unsigned depth, const char *ns)
{
	if (depth >= x->around_size) {
		x->around_size = depth < 8 ? 8 : (size_t)depth * 2;
		x->around =
		    xrealloc(x->around, x->around_size * sizeof(*x->around));
	}
	x->around[depth] = ns;
}

static void
stanza_start(struct xmlstream *x, const xmlChar *name, const xmlChar *uri,
    int attr_count, const xmlChar **attrs)
{
	const struct head_text none = { 0 };
	struct head_text *slot;
	struct attr a;

	buf_reset(&x->head);
	buf_reset(&x->attrs);
	buf_reset(&x->inner);
	x->tag_open = false;
	x->to = x->from = x->id = x->type = x->lang = none;
	x->child = x->child_ns = none;
	x->stanza = (struct xml_stanza){ 0 };
	x->stanza.content_ns = travel_ns(x, uri) == NULL;
	x->name = head_add_str(x, name);
	x->ns = head_add_str(x, uri == NULL ? (const xmlChar *)"" : uri);
	for (int i = 0; i < attr_count; i++) {
		a = attr_at(attrs, i);
		slot = head_slot(x, &a);
		if (slot != NULL)
			*slot = head_add(x, a.value, (size_t)(a.end - a.value));
		else
			attr_write(&x->attrs, &a, i);
	}
}

static void
tag_close(struct xmlstream *x)
{
	if (x->tag_open)
		buf_add(&x->inner, ">", 1);
	x->tag_open = false;
}

static void
child_start(struct xmlstream *x, const xmlChar *name, const xmlChar *uri,
    int attr_count, const xmlChar **attrs)
{
	const char *ns = travel_ns(x, uri), *above = x->around[x->depth - 1];

	tag_close(x);
	if (x->depth == 3) {
		if (x->stanza.children++ == 0) {
			x->child = head_add_str(x, name);
			x->child_ns = head_add_str(
			    x, uri == NULL ? (const xmlChar *)"" : uri);
		}
		if (ns == NULL && xmlStrEqual(name, (const xmlChar *)"body"))
			x->stanza.has_body = true;
	}
	buf_add(&x->inner, "<", 1);
	buf_add_str(&x->inner, (const char *)name);
	if (ns != above &&
	    (ns == NULL || above == NULL || strcmp(ns, above) != 0))
		xml_add_attr(&x->inner, "xmlns", ns == NULL ? NS_CLIENT : ns);
	for (int i = 0; i < attr_count; i++) {
		struct attr a = attr_at(attrs, i);

		attr_write(&x->inner, &a, i);
	}
	x->tag_open = true;
}

/* Declared, by a mark of its order of bytes, or by the look of its bytes. */
static bool
encoding_is_utf8(const struct xmlstream *x)
{
	const xmlParserInput *in = x->ctxt->input;

	if (in->buf != NULL && in->buf->encoder != NULL)
		return false;
	return x->ctxt->encoding == NULL ||
	    xmlStrcasecmp(x->ctxt->encoding, (const xmlChar *)"UTF-8") == 0;
}

static void
/* NOLINTNEXTLINE(readability-function-size): libxml2 gives the parameters */
on_start(void *arg, const xmlChar *name, const xmlChar *prefix,
    const xmlChar *uri, int ns_count, const xmlChar **ns, int attr_count,
    int defaulted, const xmlChar **attrs)
{
	struct xmlstream *x = arg;

	(void)defaulted;
	if (x->stopped)
		return;
	x->depth++;
	if (x->depth == 1) {
		if (x->replaying)
			return;
		if (!encoding_is_utf8(x)) {
			fail(x, STREAM_UNSUPPORTED_ENCODING, "UTF-8 only");
			return;
		}
		if (over_limit(x))
			return;
		reopen_remember(x, name, prefix, ns_count, ns);
		header_start(x, name, uri, attr_count, attrs);
		return;
	}
	if (x->depth - 1 > x->limits.depth) {
		fail(x, STREAM_POLICY_VIOLATION, "elements nested too deep");
		return;
	}
	if ((unsigned)(attr_count + ns_count) > x->limits.attributes ||
	    values_size(attr_count, attrs) > VALUES_MAX) {
		fail(x, STREAM_POLICY_VIOLATION, "too many attributes");
		return;
	}
	if (over_limit(x))
		return;
	around_set(x, x->depth, travel_ns(x, uri));
	if (x->depth == 2)
		stanza_start(x, name, uri, attr_count, attrs);
	else
		child_start(x, name, uri, attr_count, attrs);
}

static void
stanza_end(struct xmlstream *x)
{
	struct xml_stanza *s = &x->stanza;

	s->name = head_text(x, x->name);
	s->ns = head_text(x, x->ns);
	s->to = head_text(x, x->to);
	s->from = head_text(x, x->from);
	s->id = head_text(x, x->id);
	s->type = head_text(x, x->type);
	s->lang = head_text(x, x->lang);
	s->child = head_text(x, x->child);
	s->child_ns = head_text(x, x->child_ns);
	s->attrs = (const char *)x->attrs.data;
	s->attrs_len = x->attrs.len;
	s->inner = (const char *)x->inner.data;
	s->inner_len = x->inner.len;
	x->boundary = consumed(x);
	x->ops->stanza(x->arg, s);
}

static void
on_end(
    void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct xmlstream *x = arg;

	(void)prefix, (void)uri;
	if (x->stopped || over_limit(x))
		return;
	x->depth--;
	if (x->depth == 0) {
		parser_stop(x);
		x->ops->close(x->arg);
	} else if (x->depth == 1) {
		stanza_end(x);
	} else if (x->tag_open) {
		buf_add(&x->inner, "/>", 2);
		x->tag_open = false;
	} else {
		buf_add(&x->inner, "</", 2);
		buf_add_str(&x->inner, (const char *)name);
		buf_add(&x->inner, ">", 1);
	}
}

static bool
is_space(const xmlChar *text, int len)
{
	for (int i = 0; i < len; i++)
		if (strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0')
			return false;
	return true;
}

static void
on_text(void *arg, const xmlChar *text, int len)
{
	struct xmlstream *x = arg;

	if (x->stopped)
		return;
	if (x->depth >= 2) {
		if (over_limit(x))
			return;
		tag_close(x);
		xml_add_escaped(&x->inner, (const char *)text, (size_t)len);
	} else if (is_space(text, len)) {
		x->boundary = consumed(x); /* a keepalive: RFC 6120, 4.6.1 */
		if (x->ops->space != NULL)
			x->ops->space(x->arg);
	} else {
		/* RFC 6120, 4.9.3.1 would also allow invalid-xml here. */
		fail(x, STREAM_BAD_FORMAT, "text between stanzas");
	}
}

/* RFC 6120, 11.1: comments, processing instructions, DTDs, entities. */
static void
on_comment(void *arg, const xmlChar *text)
{
	(void)text;
	fail(arg, STREAM_RESTRICTED_XML, "comment");
}

static void
on_instruction(void *arg, const xmlChar *target, const xmlChar *data)
{
	(void)target, (void)data;
	fail(arg, STREAM_RESTRICTED_XML, "processing instruction");
}

static void
on_doctype(void *arg, const xmlChar *name, const xmlChar *external,
    const xmlChar *system)
{
	(void)name, (void)external, (void)system;
	fail(arg, STREAM_RESTRICTED_XML, "document type declaration");
}

static void
on_reference(void *arg, const xmlChar *name)
{
	(void)name;
	fail(arg, STREAM_RESTRICTED_XML, "entity reference");
}

static xmlEntityPtr
on_get_entity(void *arg, const xmlChar *name)
{
	xmlEntityPtr entity = xmlGetPredefinedEntity(name);

	if (entity == NULL)
		fail(arg, STREAM_RESTRICTED_XML, "entity reference");
	return entity;
}

static bool
is_bad_utf8(const xmlChar *at, const xmlChar *end)
{
	if (at >= end || *at < 0x80)
		return false;
	for (size_t len = 2; len <= 4; len++)
		if ((size_t)(end - at) >= len &&
		    str_is_utf8((const char *)at, len))
			return false;
	return true;
}

/* Whether the parser stands before bytes that are no UTF-8. */
static bool
at_bad_utf8(const struct xmlstream *x)
{
	const xmlParserInput *in = x->ctxt->input;

	return in != NULL && in->cur != NULL && is_bad_utf8(in->cur, in->end);
}

static void
on_error(void *arg, xmlErrorPtr error)
{
	struct xmlstream *x = arg;

	if (error->level < XML_ERR_ERROR)
		return;
	switch (error->code) {
	case XML_ERR_UNDECLARED_ENTITY:
		fail(x, STREAM_RESTRICTED_XML, "entity reference");
		break;
	case XML_ERR_UNSUPPORTED_ENCODING:
	case XML_ERR_UNKNOWN_ENCODING:
	case XML_ERR_INVALID_ENCODING:
		fail(x, STREAM_UNSUPPORTED_ENCODING, "UTF-8 only");
		break;
	default:
		/* RFC 6120, 4.9.3.22: improperly encoded, too. */
		fail(x,
		    at_bad_utf8(x) || !encoding_is_utf8(x)
			? STREAM_UNSUPPORTED_ENCODING
			: STREAM_NOT_WELL_FORMED,
		    NULL);
	}
}

static const xmlSAXHandler stream_sax = {
	.initialized = XML_SAX2_MAGIC,
	.startElementNs = on_start,
	.endElementNs = on_end,
	.characters = on_text,
	.ignorableWhitespace = on_text,
	.cdataBlock = on_text,
	.comment = on_comment,
	.processingInstruction = on_instruction,
	.internalSubset = on_doctype,
	.reference = on_reference,
	.getEntity = on_get_entity,
	.serror = on_error,
};

/* ---- life -------------------------------------------------------------- */

static void
parser_drop(struct xmlstream *x)
{
	if (x->ctxt == NULL)
		return;
	xmlFreeParserCtxt(x->ctxt);
	x->ctxt = NULL;
}

/* What follows may be gone at any time without harm: it holds nothing. */
static void
scratch_clear(struct xmlstream *x)
{
	buf_clear(&x->head);
	buf_clear(&x->attrs);
	buf_clear(&x->inner);
	free(x->around);
	x->around = NULL;
	x->around_size = 0;
}

static bool
parser_make(struct xmlstream *x)
{
	xmlSAXHandler sax = stream_sax;
	const char *open = x->reopen != NULL ? x->reopen : OPEN_CLIENT;

	x->ctxt = xmlCreatePushParserCtxt(&sax, x, NULL, 0, NULL);
	if (x->ctxt == NULL)
		return false;
	/* Or "&amp;" in an attribute is given as "&#38;". No other entity can
	 * be there: declarations are refused. */
	xmlCtxtUseOptions(x->ctxt, XML_PARSE_NONET | XML_PARSE_NOENT);
	/* RFC 6120, 11.6: UTF-8, so nothing is guessed from the first bytes. */
	xmlSwitchEncoding(x->ctxt, XML_CHAR_ENCODING_UTF8);
	x->fed = x->boundary = 0;
	x->depth = 0;
	x->stopped = false;
	if (!x->opened)
		return true;
	x->replaying = true;
	x->fed = strlen(open);
	xmlParseChunk(x->ctxt, open, (int)x->fed, 0);
	x->boundary = x->fed;
	x->replaying = false;
	return x->depth == 1;
}

struct xmlstream *
xmlstream_new(
    const struct xml_limits *limits, const struct xmlstream_ops *ops, void *arg)
{
	struct xmlstream *x = xcalloc(1, sizeof(*x));

	x->limits = *limits;
	x->ops = ops;
	x->arg = arg;
	return x;
}

void
xmlstream_free(struct xmlstream *x)
{
	if (x == NULL)
		return;
	if (x->in_feed) {
		x->free_later = x->failed = true;
		parser_stop(x);
		return;
	}
	parser_drop(x);
	scratch_clear(x);
	free(x->content_ns);
	free(x->reopen);
	free(x);
}

/* Whether the parser has nothing unfinished but white space. */
static bool
at_boundary(const struct xmlstream *x)
{
	const xmlParserInput *in = x->ctxt->input;

	return x->depth == 1 && !x->stopped && in != NULL &&
	    is_space(in->cur, (int)(in->end - in->cur));
}

void
xmlstream_rest(struct xmlstream *x)
{
	if (x->in_feed || x->ctxt == NULL || !at_boundary(x))
		return;
	parser_drop(x);
	scratch_clear(x);
}

static void
reset(struct xmlstream *x)
{
	parser_drop(x);
	x->opened = x->stopped = x->restart = false;
	x->depth = 0;
	free(x->content_ns);
	free(x->reopen);
	x->content_ns = x->reopen = NULL;
}

/* ---- what is pending ---------------------------------------------------- */

/* A reference has nothing of this before its end. */
static bool
reference_is_broken(const xmlChar *at, size_t len)
{
	for (size_t i = 1; i < len && at[i] != ';'; i++)
		if (strchr(" \t\r\n<&'\"", at[i]) != NULL || at[i] == '\0')
			return true;
	return false;
}

/* Of what begins with "<" and has no end yet. */
static enum stream_error
markup_fault(const struct xmlstream *x, const xmlChar *at, size_t len)
{
	if (len < 2)
		return STREAM_ERROR_NONE;
	if (at[1] == '?')
		return x->depth == 0 ? STREAM_ERROR_NONE
				     : STREAM_RESTRICTED_XML;
	if (at[1] == '!') /* CDATA, or what is forbidden */
		return x->depth >= 2 && (len < 3 || at[2] == '[')
		    ? STREAM_ERROR_NONE
		    : STREAM_RESTRICTED_XML;
	return memchr(at + 1, '<', len - 1) == NULL ? STREAM_ERROR_NONE
						    : STREAM_NOT_WELL_FORMED;
}

/*
 * The parser judges a token when it has its end, or may take the next one's for
 * it. The peer hears at once of what can't become right any more.
 */
static enum stream_error
pending_fault(const struct xmlstream *x)
{
	const xmlParserInput *in = x->ctxt->input;
	const xmlChar *at = in->cur;
	size_t len;

	while (x->depth <= 1 && at < in->end && is_space(at, 1))
		at++;
	len = (size_t)(in->end - at);
	if (len == 0)
		return STREAM_ERROR_NONE;
	if (*at == '<')
		return markup_fault(x, at, len);
	if (*at == '&' && x->depth > 0)
		return reference_is_broken(at, len) ? STREAM_NOT_WELL_FORMED
						    : STREAM_ERROR_NONE;
	if (x->depth >= 2)
		return STREAM_ERROR_NONE;
	if (*at == '\0' || is_bad_utf8(at, in->end))
		return STREAM_UNSUPPORTED_ENCODING;
	return x->depth == 1 ? STREAM_BAD_FORMAT : STREAM_NOT_WELL_FORMED;
}

/* True if that was the end. A token without end costs more with each byte. */
static bool
pending_judge(struct xmlstream *x)
{
	const xmlParserInput *in = x->ctxt->input;
	enum stream_error error;

	if (in == NULL || in->cur == NULL)
		return false;
	if (in->end - in->cur > TOKEN_MAX && !at_boundary(x)) {
		fail(x, STREAM_POLICY_VIOLATION, "tag too long");
		return true;
	}
	error = encoding_is_utf8(x) ? pending_fault(x)
				    : STREAM_UNSUPPORTED_ENCODING;
	if (error != STREAM_ERROR_NONE)
		fail(x, error, NULL);
	return error != STREAM_ERROR_NONE;
}

/* ---- feeding ----------------------------------------------------------- */

/* One parser's share of the bytes; returns how many are left for the next. */
static size_t
feed_parser(struct xmlstream *x, const uint8_t *data, size_t len)
{
	x->data = data;
	x->data_len = len;
	/* xmlParseChunk() takes an int, and looks back over what it holds. */
	if (x->ctxt == NULL && !parser_make(x)) {
		fail(x, STREAM_INTERNAL_SERVER_ERROR, NULL);
		return 0;
	}
	x->fed += len;
	xmlParseChunk(x->ctxt, (const char *)data, (int)len, 0);
	if (x->restart) {
		reset(x);
		return x->rest_at;
	}
	if (x->stopped)
		return 0;
	if (x->fed - x->boundary > x->limits.element && !at_boundary(x))
		fail(x, STREAM_POLICY_VIOLATION, "stanza too big");
	else if (pending_judge(x))
		return 0;
	else if (x->fed > PARSER_BYTES_MAX && at_boundary(x))
		parser_drop(x);
	return 0;
}

void
xmlstream_feed(struct xmlstream *x, const uint8_t *data, size_t len)
{
	const size_t most = 1 << 16;
	size_t part, left;

	if (x->failed || x->stopped || x->in_feed)
		return;
	x->in_feed = true;
	while (len > 0 && !x->failed && !x->stopped) {
		part = len < most ? len : most;
		left = feed_parser(x, data, part);
		if (x->restart_drop)
			break;
		data += part - left;
		len -= part - left;
	}
	x->in_feed = x->restart_drop = false;
	if (x->free_later)
		xmlstream_free(x);
}

void
xmlstream_restart(struct xmlstream *x, bool drop)
{
	uint64_t left;

	if (!x->in_feed) {
		reset(x);
		return;
	}
	left = x->fed - consumed(x);
	x->rest_at = left < x->data_len ? (size_t)left : x->data_len;
	x->restart = true;
	x->restart_drop = drop;
	parser_stop(x);
}

void
xmlstream_set_limits(struct xmlstream *x, const struct xml_limits *limits)
{
	x->limits = *limits;
}

void
xmlstream_set_content(struct xmlstream *x, const char *ns)
{
	free(x->content_ns);
	x->content_ns = xstrdup(ns);
}

void
xmlstream_stop(struct xmlstream *x)
{
	x->failed = true;
	parser_stop(x);
}

void
xml_stanza_write(struct buf *b, const struct xml_stanza *s, const char *from,
    const char *to, const char *lang)
{
	buf_add(b, "<", 1);
	buf_add_str(b, s->name);
	if (!s->content_ns)
		xml_add_attr(b, "xmlns", s->ns);
	xml_add_attr(b, "from", from);
	xml_add_attr(b, "to", to);
	xml_add_attr(b, "type", s->type);
	xml_add_attr(b, "id", s->id);
	xml_add_attr(b, "xml:lang", s->lang != NULL ? s->lang : lang);
	buf_add(b, s->attrs, s->attrs_len);
	if (s->inner_len == 0) {
		buf_add(b, "/>", 2);
		return;
	}
	buf_add(b, ">", 1);
	buf_add(b, s->inner, s->inner_len);
	buf_add(b, "</", 2);
	buf_add_str(b, s->name);
	buf_add(b, ">", 1);
}
