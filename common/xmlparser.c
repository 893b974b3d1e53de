/*
 * A parser: what it has read and what it stands before; and those that are left
 * for the next stream.
 */
#include "common/xmlparser.h"

#include <stdlib.h>
#include <string.h>

#include <libxml/parserInternals.h>

#include "common/strutil.h"
#include "common/xmalloc.h"
#include "common/xmlstream.h"

/* More than are in use at the same time: those of elements that come in
 * parts. */
#define LEFT_MAX 16
#define SCRATCH_MAX 16384 /* larger buffers are not kept */

/* ---- what it stands before --------------------------------------------- */

uint64_t
xml_parser_consumed(const struct xml_parser *p)
{
	const xmlParserInput *in = p->ctxt->input;

	return in == NULL
	    ? p->fed
	    : (uint64_t)in->consumed + (uint64_t)(in->cur - in->base);
}

bool
xml_parser_is_utf8(const struct xml_parser *p)
{
	const xmlParserInput *in = p->ctxt->input;

	if (in->buf != NULL && in->buf->encoder != NULL)
		return false;
	return p->ctxt->encoding == NULL ||
	    xmlStrcasecmp(p->ctxt->encoding, (const xmlChar *)"UTF-8") == 0;
}

bool
xml_is_space(const xmlChar *text, int len)
{
	for (int i = 0; i < len; i++)
		if (strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0')
			return false;
	return true;
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

bool
xml_parser_at_bad_utf8(const struct xml_parser *p)
{
	const xmlParserInput *in = p->ctxt->input;

	return in != NULL && in->cur != NULL && is_bad_utf8(in->cur, in->end);
}

/* A reference has nothing of this before its end. */
static bool
reference_is_broken(const xmlChar *at, const xmlChar *end)
{
	for (at++; at < end && *at != ';'; at++)
		if (*at == '\0' || strchr(" \t\r\n<&'\"", *at) != NULL)
			return true;
	return false;
}

static enum stream_error
text_fault(const xmlChar *at, const xmlChar *end)
{
	for (; at < end; at++)
		if (*at == '&' && reference_is_broken(at, end))
			return STREAM_NOT_WELL_FORMED;
	return STREAM_ERROR_NONE;
}

/* Of what begins with "<" and has no end yet. */
static enum stream_error
markup_fault(unsigned depth, const xmlChar *at, size_t len)
{
	if (len < 2)
		return STREAM_ERROR_NONE;
	if (at[1] == '?')
		return depth == 0 ? STREAM_ERROR_NONE : STREAM_RESTRICTED_XML;
	if (at[1] == '!') /* CDATA, or what is forbidden */
		return depth >= 2 && (len < 3 || at[2] == '[')
		    ? STREAM_ERROR_NONE
		    : STREAM_RESTRICTED_XML;
	return memchr(at + 1, '<', len - 1) == NULL ? STREAM_ERROR_NONE
						    : STREAM_NOT_WELL_FORMED;
}

enum stream_error
xml_parser_fault(const struct xml_parser *p, unsigned depth)
{
	const xmlParserInput *in = p->ctxt->input;
	const xmlChar *at = in->cur;

	while (depth <= 1 && at < in->end && xml_is_space(at, 1))
		at++;
	if (at == in->end || p->ctxt->instate == XML_PARSER_CDATA_SECTION)
		return STREAM_ERROR_NONE;
	if (*at == '<')
		return markup_fault(depth, at, (size_t)(in->end - at));
	if (depth >= 2 || (depth == 1 && *at == '&'))
		return text_fault(at, in->end);
	if (*at == '\0' || is_bad_utf8(at, in->end))
		return STREAM_UNSUPPORTED_ENCODING;
	return depth == 1 ? STREAM_BAD_FORMAT : STREAM_NOT_WELL_FORMED;
}

/* ---- parsers that are left --------------------------------------------- */

struct xml_parsers {
	struct xml_parser *first;
	unsigned count;
};

void
xml_parser_free(struct xml_parser *p)
{
	if (p == NULL)
		return;
	xmlFreeParserCtxt(p->ctxt);
	xml_element_clear(&p->element);
	free(p);
}

struct xml_parsers *
xml_parsers_new(void)
{
	return xcalloc(1, sizeof(struct xml_parsers));
}

void
xml_parsers_free(struct xml_parsers *parsers)
{
	struct xml_parser *p;

	if (parsers == NULL)
		return;
	while ((p = xml_parsers_take(parsers)) != NULL)
		xml_parser_free(p);
	free(parsers);
}

struct xml_parser *
xml_parsers_take(struct xml_parsers *parsers)
{
	struct xml_parser *p = parsers->first;

	if (p == NULL)
		return NULL;
	parsers->first = p->next;
	parsers->count--;
	return p;
}

void
xml_parsers_leave(struct xml_parsers *parsers, struct xml_parser *p)
{
	if (parsers->count == LEFT_MAX) {
		xml_parser_free(p);
		return;
	}
	if (p->element.inner.size > SCRATCH_MAX ||
	    p->element.head.size > SCRATCH_MAX ||
	    p->element.attrs.size > SCRATCH_MAX)
		xml_element_clear(&p->element);
	p->next = parsers->first;
	parsers->first = p;
	parsers->count++;
}
