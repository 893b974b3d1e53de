#ifndef COMMON_XMLSTREAM_H
#define COMMON_XMLSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/stanza.h"

/*
 * An XML stream (RFC 6120, 4 and 11) on libxml2's push parser: bytes in,
 * events out. It knows sizes, nesting and namespaces, and nothing of sessions.
 *
 * A first-level element is serialised again while it is parsed, so that it can
 * travel without ever being a tree: no prefixes on elements, each element with
 * a default namespace declaration only where it differs from its parent's, and
 * the content namespace (jabber:client, jabber:component:accept) implied at the
 * top. What is implied means either, so a stanza goes from a client to a
 * component without being touched.
 *
 * While nothing is unfinished the parser can be let go (xmlstream_rest); the
 * next bytes make a new one. Streams on one loop may share parsers
 * (xmlstream_share): then those with the usual header let theirs go by
 * themselves.
 */
struct xmlstream;
struct xml_parsers;

struct xml_limits {
	size_t element;      /* bytes of one first-level element */
	unsigned depth;      /* 1: the element itself */
	unsigned attributes; /* of one element */
};

struct xml_open {
	const char *name, *ns;  /* "stream" in NS_STREAM if right */
	const char *content_ns; /* default namespace declared; NULL: none, or
				   that of the stream itself */
	const char *to, *from, *id, *version, *lang; /* NULL: absent */
};

/* A child of a stanza, in its content: <stanza-id/> (XEP-0359). */
struct xml_span {
	size_t start, end;
	const char *by; /* NULL: absent */
};

struct xml_stanza {
	const char *name, *ns;
	const char *to, *from, *id, *type, *lang; /* unescaped; NULL: absent */
	const char *child, *child_ns; /* first child element; NULL: none */
	unsigned children;            /* how many child elements */
	uint16_t marks;               /* enum stanza_mark */
	const char *attrs;            /* the other attributes, serialised, each
					 with a blank before it */
	size_t attrs_len;
	const char *inner; /* the content, serialised */
	size_t inner_len;
	bool content_ns;            /* ns is the content namespace */
	const struct xml_span *ids; /* children that are stanza ids */
	size_t id_count;
};

struct xmlstream_ops {
	void (*open)(void *arg, const struct xml_open *open);
	void (*stanza)(void *arg, const struct xml_stanza *stanza);
	void (*close)(void *arg); /* </stream:stream> */
	/* Fatal for the stream; nothing more is reported after it. */
	void (*error)(void *arg, enum stream_error error, const char *text);
	/* White space between elements, when something follows it; may be
	 * NULL. */
	void (*space)(void *arg);
};

struct xmlstream *xmlstream_new(const struct xml_limits *limits,
    const struct xmlstream_ops *ops, void *arg);
void xmlstream_free(struct xmlstream *x); /* allowed inside a callback */

struct xml_parsers *xml_parsers_new(void);
void xml_parsers_free(struct xml_parsers *parsers); /* after the streams */
void xmlstream_share(struct xmlstream *x, struct xml_parsers *parsers);

/*
 * Before the first byte: no header comes and no end. Instead each first-level
 * element is a document of its own, with all its declarations (RFC 7395), and
 * xmlstream_end_frame() says that it must be complete. `content_ns`: what an
 * element declares that is a stanza.
 */
void xmlstream_set_framed(struct xmlstream *x, const char *content_ns);
void xmlstream_end_frame(struct xmlstream *x);

/* Parses; callbacks come from inside. After xmlstream_stop() or
 * xmlstream_free() inside a callback the rest of the bytes is dropped. */
void xmlstream_feed(struct xmlstream *x, const uint8_t *data, size_t len);

/* A new stream on the same connection (after TLS or SASL). Inside a callback:
 * what follows in the bytes being fed is dropped if `drop`, else parsed as the
 * beginning of the new stream. */
void xmlstream_restart(struct xmlstream *x, bool drop);
void xmlstream_set_limits(struct xmlstream *x, const struct xml_limits *limits);
/* In ops.open, where the header declared none: what it is understood to be. */
void xmlstream_set_content(struct xmlstream *x, const char *ns);
void xmlstream_stop(struct xmlstream *x);
void xmlstream_rest(struct xmlstream *x);
bool xmlstream_is_resting(const struct xmlstream *x);

/* Writes the stanza as bytes that can travel: with these from and to (NULL:
 * none), its id, type, lang, other attributes and content. `lang` replaces an
 * absent xml:lang (RFC 6120, 8.1.5); NULL: none. */
void xml_stanza_write(struct buf *b, const struct xml_stanza *s,
    const char *from, const char *to, const char *lang);

#endif
