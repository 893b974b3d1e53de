#ifndef COMMON_XMLELEMENT_H
#define COMMON_XMLELEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include <libxml/xmlstring.h>

#include "common/buf.h"
#include "common/xmlstream.h"

/*
 * The first-level element that a stream parser is reading: start tags, texts
 * and end tags in, the form that travels out (xmlstream.h). For xmlstream.c
 * alone.
 */

/* A start tag as libxml2 gives it: prefix and URI of each declaration; of each
 * attribute localname, prefix, URI, value, end of value. */
struct xml_tag {
	const xmlChar *name, *prefix, *uri;
	int ns_count, attr_count;
	const xmlChar **ns, **attrs;
};

/* The bytes of all attributes' values. */
size_t xml_tag_size(const struct xml_tag *t);
/* A header as far as names and prefixes go, for a new parser; the caller frees.
 */
char *xml_tag_header(const struct xml_tag *t);
/* Whether it says no more than a client's usual header does. */
bool xml_tag_is_usual(const struct xml_tag *t);

/* Where a text of the element's head stands in `head`; 0: absent. */
struct xml_head_text {
	size_t at;
};

struct xml_element {
	const char *content_ns; /* borrowed; NULL: none */
	struct xml_stanza stanza;
	struct xml_head_text name, ns, to, from, id, type, lang, version, child,
	    child_ns;
	struct buf head; /* those texts, each NUL-terminated */
	struct buf attrs, inner;
	bool tag_open; /* a start tag in `inner` lacks its end */
	struct xml_span *ids;
	struct xml_head_text *id_by;
	size_t id_size;
	unsigned id_depth;   /* inside the newest of them */
	const char **around; /* default namespace by depth; NULL: content */
	size_t around_size;
};

void xml_element_clear(struct xml_element *e);

/* The stream header; what is filled in lives until the next tag. */
void xml_element_header(
    struct xml_element *e, const struct xml_tag *t, struct xml_open *open);

/* Depth 2 is the element itself. */
void xml_element_start(
    struct xml_element *e, unsigned depth, const struct xml_tag *t);
void xml_element_text(struct xml_element *e, const xmlChar *text, size_t len);
/* The end of a child. */
void xml_element_end(struct xml_element *e, const xmlChar *name);
/* All of it is there; it lives until the next tag. */
const struct xml_stanza *xml_element_stanza(struct xml_element *e);

#endif
