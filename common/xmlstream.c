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
#include "common/xmlelement.h"
#include "common/xmlparser.h"

/* After so many bytes a resting parser is made anew: its dictionary keeps each
 * name that it has ever seen. */
#define PARSER_BYTES_MAX (1U << 20)

/* Bytes of a token that lacks its end, and of the attributes of one element. */
#define TOKEN_MAX (64 * 1024)
#define VALUES_MAX (16 * 1024)

#define OPEN_CLIENT                                                            \
	"<stream:stream xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAM "'>"

struct xmlstream {
	const struct xmlstream_ops *ops;
	void *arg;
	struct xml_limits limits;
	struct xml_parsers *shared; /* NULL: its own parser only */
	struct xml_parser *parser; /* NULL: at rest, or before the first byte */
	uint64_t boundary; /* of its bytes, up to the last finished element */
	unsigned depth;    /* 1: inside the stream */
	bool opened;       /* the header was reported */
	bool replaying;    /* a header of ours is being parsed */
	bool stopped;      /* drop the rest of what is being fed */
	bool framed;       /* no header: each element is a document */
	bool failed;
	bool in_feed, free_later;
	bool restart, restart_drop;
	size_t rest_at;      /* where in the bytes a restart goes on */
	const uint8_t *data; /* being fed */
	size_t data_len;

	char *content_ns; /* declared by the header; NULL: none */
	char *reopen;     /* header for a new parser; NULL: OPEN_CLIENT */
};

/* ---- errors ------------------------------------------------------------ */

static void
parser_stop(struct xmlstream *x)
{
	x->stopped = true;
	if (x->parser != NULL)
		xmlStopParser(x->parser->ctxt);
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

static bool
over_limit(struct xmlstream *x)
{
	if (xml_parser_consumed(x->parser) - x->boundary <= x->limits.element)
		return false;
	fail(x, STREAM_POLICY_VIOLATION, "stanza too big");
	return true;
}

/* ---- the stream header ------------------------------------------------- */

static void
reopen_remember(struct xmlstream *x, const struct xml_tag *t)
{
	for (int i = 0; i < t->ns_count; i++) {
		const char *uri = (const char *)t->ns[(ptrdiff_t)2 * i + 1];

		if (t->ns[(ptrdiff_t)2 * i] == NULL &&
		    strcmp(uri, NS_STREAM) != 0)
			xmlstream_set_content(x, uri);
	}
	free(x->reopen);
	x->reopen = xml_tag_is_usual(t) ? NULL : xml_tag_header(t);
}

static void
header_start(struct xmlstream *x, const struct xml_tag *t)
{
	struct xml_open open;

	reopen_remember(x, t);
	xml_element_header(&x->parser->element, t, &open);
	x->opened = true;
	x->boundary = xml_parser_consumed(x->parser);
	x->ops->open(x->arg, &open);
}

/* ---- SAX --------------------------------------------------------------- */

static void
/* NOLINTNEXTLINE(readability-function-size): libxml2 gives the parameters */
on_start(void *arg, const xmlChar *name, const xmlChar *prefix,
    const xmlChar *uri, int ns_count, const xmlChar **ns, int attr_count,
    int defaulted, const xmlChar **attrs)
{
	struct xmlstream *x = arg;
	const struct xml_tag t = { name, prefix, uri, ns_count, attr_count, ns,
		attrs };

	(void)defaulted;
	if (x->stopped)
		return;
	x->depth++;
	if (x->depth == 1 && x->replaying)
		return;
	if (x->depth == (x->framed ? 2 : 1) && !xml_parser_is_utf8(x->parser)) {
		fail(x, STREAM_UNSUPPORTED_ENCODING, "UTF-8 only");
		return;
	}
	if (x->depth == 1) {
		if (!over_limit(x))
			header_start(x, &t);
		return;
	}
	if (x->depth - 1 > x->limits.depth) {
		fail(x, STREAM_POLICY_VIOLATION, "elements nested too deep");
		return;
	}
	if ((unsigned)(attr_count + ns_count) > x->limits.attributes ||
	    xml_tag_size(&t) > VALUES_MAX) {
		fail(x, STREAM_POLICY_VIOLATION, "too many attributes");
		return;
	}
	if (over_limit(x))
		return;
	xml_element_start(&x->parser->element, x->depth, &t);
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
		x->boundary = xml_parser_consumed(x->parser);
		x->ops->stanza(x->arg, xml_element_stanza(&x->parser->element));
	} else {
		xml_element_end(&x->parser->element, name);
	}
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
		xml_element_text(&x->parser->element, text, (size_t)len);
	} else if (xml_is_space(text, len)) {
		x->boundary = xml_parser_consumed(
		    x->parser); /* a keepalive: RFC 6120, 4.6.1 */
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

static void
on_error(void *arg, xmlErrorPtr error)
{
	struct xmlstream *x = arg;

	/* A namespace is known by its name, whatever that looks like. */
	if (error->level < XML_ERR_ERROR || error->code == XML_WAR_NS_URI)
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
		    xml_parser_at_bad_utf8(x->parser) ||
			    !xml_parser_is_utf8(x->parser)
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
	xml_parser_free(x->parser);
	x->parser = NULL;
}

/* Whether all that the parser was given is read, and nothing unfinished. */
static bool
at_end(const struct xmlstream *x)
{
	const xmlParserInput *in = x->parser->ctxt->input;

	return x->depth == 1 && !x->stopped && !x->failed && in != NULL &&
	    in->cur == in->end;
}

/* A parser knows no more of a stream with the usual header than that it is
 * inside: the next such stream can go on with it. */
static void
parser_leave(struct xmlstream *x)
{
	if (x->shared == NULL || x->reopen != NULL || !x->opened ||
	    x->parser == NULL || !at_end(x))
		return;
	if (x->parser->fed > PARSER_BYTES_MAX)
		xml_parser_free(x->parser);
	else
		xml_parsers_leave(x->shared, x->parser);
	x->parser = NULL;
}

static bool
parser_take(struct xmlstream *x)
{
	if (x->shared == NULL || x->reopen != NULL || !x->opened)
		return false;
	x->parser = xml_parsers_take(x->shared);
	if (x->parser == NULL)
		return false;
	x->parser->ctxt->userData = x;
	x->parser->element.content_ns = x->content_ns;
	x->boundary = x->parser->fed;
	x->depth = 1;
	x->stopped = false;
	return true;
}

static bool
parser_make(struct xmlstream *x)
{
	xmlSAXHandler sax = stream_sax;
	const char *open = x->reopen != NULL ? x->reopen : OPEN_CLIENT;
	struct xml_parser *p;

	p = x->parser = xcalloc(1, sizeof(*p));
	p->element.content_ns = x->content_ns;
	p->ctxt = xmlCreatePushParserCtxt(&sax, x, NULL, 0, NULL);
	if (p->ctxt == NULL) {
		free(p);
		x->parser = NULL;
		return false;
	}
	/* Or "&amp;" in an attribute is given as "&#38;". No other entity can
	 * be there: declarations are refused. */
	xmlCtxtUseOptions(p->ctxt, XML_PARSE_NONET | XML_PARSE_NOENT);
	/* RFC 6120, 11.6: UTF-8, so nothing is guessed from the first bytes. */
	xmlSwitchEncoding(p->ctxt, XML_CHAR_ENCODING_UTF8);
	x->boundary = 0;
	/* A document of its own counts as if it were inside a stream. */
	x->depth = x->framed ? 1 : 0;
	x->stopped = false;
	if (!x->opened)
		return true;
	x->replaying = true;
	p->fed = strlen(open);
	xmlParseChunk(p->ctxt, open, (int)p->fed, 0);
	x->boundary = p->fed;
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
xmlstream_share(struct xmlstream *x, struct xml_parsers *parsers)
{
	x->shared = parsers;
}

void
xmlstream_set_framed(struct xmlstream *x, const char *content_ns)
{
	x->framed = true;
	x->shared = NULL;
	xmlstream_set_content(x, content_ns);
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
	free(x->content_ns);
	free(x->reopen);
	free(x);
}

/* Whether the parser has nothing unfinished but white space. */
static bool
at_boundary(const struct xmlstream *x)
{
	const xmlParserInput *in = x->parser->ctxt->input;

	return x->depth == 1 && !x->stopped && in != NULL &&
	    xml_is_space(in->cur, (int)(in->end - in->cur));
}

void
xmlstream_rest(struct xmlstream *x)
{
	if (x->in_feed || x->framed || x->parser == NULL || !at_boundary(x))
		return;
	parser_drop(x);
}

bool
xmlstream_is_resting(const struct xmlstream *x)
{
	return x->parser == NULL;
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

/* True if that was the end. A token without end costs more with each byte. */
static bool
pending_judge(struct xmlstream *x)
{
	const xmlParserInput *in = x->parser->ctxt->input;
	bool before = x->framed && x->depth == 1 && x->boundary == 0;
	enum stream_error error;

	if (in == NULL || in->cur == NULL)
		return false;
	if (in->end - in->cur > TOKEN_MAX && !at_boundary(x)) {
		fail(x, STREAM_POLICY_VIOLATION, "tag too long");
		return true;
	}
	error = xml_parser_is_utf8(x->parser)
	    ? xml_parser_fault(x->parser, before ? 0 : x->depth)
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
	if (x->parser == NULL && !parser_take(x) && !parser_make(x)) {
		fail(x, STREAM_INTERNAL_SERVER_ERROR, NULL);
		return 0;
	}
	x->parser->fed += len;
	xmlParseChunk(x->parser->ctxt, (const char *)data, (int)len, 0);
	if (x->restart) {
		reset(x);
		return x->rest_at;
	}
	if (x->stopped)
		return 0;
	if (x->parser->fed - x->boundary > x->limits.element && !at_boundary(x))
		fail(x, STREAM_POLICY_VIOLATION, "stanza too big");
	else if (pending_judge(x))
		return 0;
	else if (x->parser->fed > PARSER_BYTES_MAX && !x->framed &&
	    at_boundary(x))
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
	else
		parser_leave(x);
}

void
xmlstream_end_frame(struct xmlstream *x)
{
	if (x->failed || x->stopped || x->in_feed)
		return;
	x->in_feed = true;
	if (x->parser == NULL)
		fail(x, STREAM_NOT_WELL_FORMED, "an empty message");
	else
		xmlParseChunk(x->parser->ctxt, NULL, 0, 1);
	x->in_feed = false;
	if (x->free_later)
		xmlstream_free(x);
	else
		parser_drop(x);
}

void
xmlstream_restart(struct xmlstream *x, bool drop)
{
	uint64_t left;

	if (x->framed)
		return; /* each message is a stream of its own */
	if (!x->in_feed) {
		reset(x);
		return;
	}
	left = x->parser->fed - xml_parser_consumed(x->parser);
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
	if (x->parser != NULL)
		x->parser->element.content_ns = x->content_ns;
}

void
xmlstream_stop(struct xmlstream *x)
{
	x->failed = true;
	parser_stop(x);
}
