#ifndef COMMON_XMLPARSER_H
#define COMMON_XMLPARSER_H

#include <stdint.h>

#include <libxml/parser.h>

#include "common/xmlelement.h"

/*
 * libxml2's parser with what is being read by it, some 20 KiB; and those that
 * streams with the usual header leave to each other between two elements, so
 * that what is touched for each stanza is the same memory and not each stream's
 * own. For xmlstream.c alone.
 */
struct xml_parser {
	xmlParserCtxtPtr ctxt;
	uint64_t fed; /* bytes given to it */
	struct xml_element element;
	struct xml_parser *next; /* of those that are left */
};

void xml_parser_free(struct xml_parser *p);

/* Bytes that it has consumed. */
uint64_t xml_parser_consumed(const struct xml_parser *p);
/* Declared, by a mark of its order of bytes, or by the look of its bytes. */
bool xml_parser_is_utf8(const struct xml_parser *p);
/* Whether it stands before bytes that are no UTF-8. */
bool xml_parser_at_bad_utf8(const struct xml_parser *p);
/*
 * The parser judges a token when it has its end, or may take the next one's for
 * it: what can't become right any more in what it stands before, at that depth.
 */
enum stream_error xml_parser_fault(const struct xml_parser *p, unsigned depth);
bool xml_is_space(const xmlChar *text, int len);

struct xml_parsers;

/* One that stands inside a stream with the usual header; NULL: there's none. */
struct xml_parser *xml_parsers_take(struct xml_parsers *parsers);
/* Takes one that stands there with nothing unfinished. */
void xml_parsers_leave(struct xml_parsers *parsers, struct xml_parser *p);

#endif
