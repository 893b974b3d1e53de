#ifndef COMMON_STANZA_H
#define COMMON_STANZA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

/*
 * Reading a stanza that must be understood (a tree), writing XML (into a
 * buffer), and the conditions of stream and stanza errors with their names.
 */

#define NS_CLIENT "jabber:client"
#define NS_COMPONENT "jabber:component:accept"
#define NS_STREAM "http://etherx.jabber.org/streams"
#define NS_FRAMING "urn:ietf:params:xml:ns:xmpp-framing"
#define NS_STREAM_ERRORS "urn:ietf:params:xml:ns:xmpp-streams"
#define NS_STANZA_ERRORS "urn:ietf:params:xml:ns:xmpp-stanzas"
#define NS_TLS "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2 "urn:xmpp:sasl:2"
#define NS_BIND "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_SESSION "urn:ietf:params:xml:ns:xmpp-session"
#define NS_ROSTER "jabber:iq:roster"
#define NS_DISCO_INFO "http://jabber.org/protocol/disco#info"
#define NS_DISCO_ITEMS "http://jabber.org/protocol/disco#items"
#define NS_PING "urn:xmpp:ping"
#define NS_VERSION "jabber:iq:version"
#define NS_DELAY "urn:xmpp:delay"
#define NS_SM "urn:xmpp:sm:3"
#define NS_CSI "urn:xmpp:csi:0"
#define NS_CHAT_STATES "http://jabber.org/protocol/chatstates"
#define NS_PRIVATE "jabber:iq:private"
#define NS_VCARD "vcard-temp"
#define NS_BLOCKING "urn:xmpp:blocking"
#define NS_TIME "urn:xmpp:time"
#define NS_DATA "jabber:x:data"
/* What this server is known by where its capabilities are (XEP-0115). */
#define SERVER_CAPS_NODE "urn:uuid:5f0c1f4e-7a0b-4c52-9d6a-1f6f2d1c7b55"
#define NS_SID "urn:xmpp:sid:0"
#define NS_HINTS "urn:xmpp:hints"
#define NS_CARBONS "urn:xmpp:carbons:2"
#define NS_FORWARD "urn:xmpp:forward:0"
#define NS_MAM "urn:xmpp:mam:2"
#define NS_RSM "http://jabber.org/protocol/rsm"

/*
 * What the children of a message are, as far as it matters to those who route
 * it: noted once, by who parses it (common/xmlelement.c).
 */
enum stanza_mark {
	MARK_BODY = 0x01,       /* <body/> of the content namespace */
	MARK_CONTENT = 0x02,    /* any that says more than a chat state does */
	MARK_IM = 0x04,         /* XEP-0085, 0184, 0333 */
	MARK_ACK = 0x08,        /* of them, that a message has been received */
	MARK_STORE = 0x10,      /* XEP-0334: store */
	MARK_NO_STORE = 0x20,   /* no-store */
	MARK_NO_ARCHIVE = 0x40, /* no-permanent-store */
	MARK_NO_COPY = 0x80,    /* no-copy; XEP-0280: private */
	MARK_INVITE = 0x100,    /* XEP-0249; XEP-0045, 7.8.2 */
	MARK_MUC = 0x200,       /* XEP-0045: <x/> of muc#user */
};

/* Of a child (ns NULL: of the content namespace), of its child, and of all. */
uint16_t mark_child(const char *ns, const char *name);
uint16_t mark_grandchild(
    uint16_t of_children, const char *ns, const char *name);
struct xml;
uint16_t stanza_marks(const struct xml *x);

/* RFC 6120, 4.9.3 */
enum stream_error {
	STREAM_ERROR_NONE = 0,
	STREAM_BAD_FORMAT,
	STREAM_BAD_NAMESPACE_PREFIX,
	STREAM_CONFLICT,
	STREAM_CONNECTION_TIMEOUT,
	STREAM_HOST_GONE,
	STREAM_HOST_UNKNOWN,
	STREAM_IMPROPER_ADDRESSING,
	STREAM_INTERNAL_SERVER_ERROR,
	STREAM_INVALID_FROM,
	STREAM_INVALID_NAMESPACE,
	STREAM_INVALID_XML,
	STREAM_NOT_AUTHORIZED,
	STREAM_NOT_WELL_FORMED,
	STREAM_POLICY_VIOLATION,
	STREAM_REMOTE_CONNECTION_FAILED,
	STREAM_RESET,
	STREAM_RESOURCE_CONSTRAINT,
	STREAM_RESTRICTED_XML,
	STREAM_SEE_OTHER_HOST,
	STREAM_SYSTEM_SHUTDOWN,
	STREAM_UNDEFINED_CONDITION,
	STREAM_UNSUPPORTED_ENCODING,
	STREAM_UNSUPPORTED_FEATURE,
	STREAM_UNSUPPORTED_STANZA_TYPE,
	STREAM_UNSUPPORTED_VERSION,
	STREAM_ERRORS
};
const char *stream_error_name(enum stream_error e);    /* "bad-format" */
enum stream_error stream_error_find(const char *name); /* NONE if unknown */

/* RFC 6120, 8.3.3; each with the type the RFC recommends. */
enum stanza_error {
	STANZA_BAD_REQUEST = 1,
	STANZA_CONFLICT,
	STANZA_FEATURE_NOT_IMPLEMENTED,
	STANZA_FORBIDDEN,
	STANZA_GONE,
	STANZA_INTERNAL_SERVER_ERROR,
	STANZA_ITEM_NOT_FOUND,
	STANZA_JID_MALFORMED,
	STANZA_NOT_ACCEPTABLE,
	STANZA_NOT_ALLOWED,
	STANZA_NOT_AUTHORIZED,
	STANZA_POLICY_VIOLATION,
	STANZA_RECIPIENT_UNAVAILABLE,
	STANZA_REDIRECT,
	STANZA_REGISTRATION_REQUIRED,
	STANZA_REMOTE_SERVER_NOT_FOUND,
	STANZA_REMOTE_SERVER_TIMEOUT,
	STANZA_RESOURCE_CONSTRAINT,
	STANZA_SERVICE_UNAVAILABLE,
	STANZA_SUBSCRIPTION_REQUIRED,
	STANZA_UNDEFINED_CONDITION,
	STANZA_UNEXPECTED_REQUEST,
	STANZA_ERRORS
};
const char *stanza_error_name(enum stanza_error e);
const char *stanza_error_type(enum stanza_error e);    /* "cancel", ... */
enum stanza_error stanza_error_find(const char *name); /* 0 if unknown */

/* ---- writing ----------------------------------------------------------- */

void xml_add_escaped(struct buf *b, const char *text, size_t len);
void xml_add_text(struct buf *b, const char *text);
/* " name='value'"; nothing if value is NULL. */
void xml_add_attr(struct buf *b, const char *name, const char *value);
void xml_add_attr_n(
    struct buf *b, const char *name, const char *value, size_t len);
/* "<error type='..'><condition xmlns='..'/>[<text>]</error>" */
void xml_add_stanza_error(struct buf *b, enum stanza_error e, const char *text);

/* ---- reading ----------------------------------------------------------- */

struct xml_attr {
	const char *name; /* "xml:lang" with its prefix; others without */
	const char *ns;   /* NULL: none */
	const char *value;
	struct xml_attr *next;
};

/* An element. All of a tree's memory is one arena: free the root. */
struct xml {
	const char *name, *ns;
	struct xml_attr *attrs;
	const char *text; /* all character data directly inside; "" if none */
	const char *lead; /* the part of it before the first child */
	const char *tail; /* the text behind this element, of its parent's */
	struct xml *parent, *children, *next, *last; /* last: child */
};

/*
 * Parses one whole stanza as it travels in frames (content namespace implied,
 * see xmlstream.h). NULL if it is not one.
 */
struct xml *xml_parse(const char *bytes, size_t len);
void xml_free(struct xml *root);

const char *xml_attr(const struct xml *x, const char *name); /* NULL: absent */
bool xml_is_true(const char *value); /* an xs:boolean; NULL: false */
/* First child with that name and namespace (NULL: any). */
struct xml *xml_child(const struct xml *x, const char *name, const char *ns);
struct xml *xml_next(const struct xml *x, const char *name, const char *ns);
const char *xml_child_text(const struct xml *x, const char *name);
/* Writes an element back, as it travels in frames. */
void xml_write(struct buf *b, const struct xml *x);

/* The same, with its namespace declared whatever is around it. */
void xml_write_whole(struct buf *b, const struct xml *x);

/* Inserts bytes before the end tag of a stanza's bytes; makes room in a stanza
 * that has no content. For <delay/> stamps. */
void stanza_insert(
    struct buf *out, const void *stanza, size_t len, const char *child);

#endif
