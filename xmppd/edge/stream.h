#ifndef XMPPD_EDGE_STREAM_H
#define XMPPD_EDGE_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/stanza.h"
#include "common/xmlstream.h"

/*
 * Where a stream stands in its negotiation (RFC 6120, 4 to 7; XEP-0114), what
 * its headers and features say, and what an element means at that point. Pure:
 * a header or an element in, text to write and what to do out.
 */
enum stream_state {
	STREAM_OPENING,  /* waits for the peer's header */
	STREAM_PLAIN,    /* header and features sent; only STARTTLS is taken */
	STREAM_LOGIN,    /* SASL, or a component's handshake */
	STREAM_UNBOUND,  /* authenticated, no resource yet */
	STREAM_BINDING,  /* the router has been asked */
	STREAM_BOUND,    /* stanzas go both ways */
	STREAM_DETACHED, /* bound; its connection is lost, and may be replaced
			  */
	STREAM_ENDING, /* the peer has closed; its last stanzas are under way */
	STREAM_CLOSED, /* closed here: nothing more is read */
};

/* A domain that is served: the edge's, for as long as there are streams. */
struct stream_domain {
	char *name;
	bool on; /* new streams may be to it */
	struct stream_domain *next;
};

struct stream {
	enum stream_state state;
	bool component;
	bool framed; /* over WebSocket: RFC 7395, 3.3 */
	bool secure; /* under TLS, or where it needn't be */
	bool authenticated;
	bool header_sent;                    /* on the present stream */
	const struct stream_domain *domains; /* borrowed; the first is ours
						where none was asked for */
	const char *domain; /* of them: whom the peer asked for */
	char *lang;         /* default of the peer's stanzas; NULL: none */
	char *peer;         /* the peer as it names itself; NULL: it doesn't */
	char version[16];   /* that our header says; "": none */
	char id[33];        /* of the present stream */
};

/* What to do; `stream_error` is NONE unless the stream has to end. */
struct stream_fault {
	enum stream_error error;
	const char *text; /* NULL: none */
};

void stream_init(
    struct stream *s, const struct stream_domain *domains, bool component);
void stream_clear(struct stream *s);

/* The one door from state to state; `who` is for the log. */
void stream_set_state(struct stream *s, enum stream_state to, const char *who);
const char *stream_state_name(enum stream_state state);

/*
 * The peer's header. Writes ours and, for a client, the features. Where they
 * lead is stream_after_header(). A component's domain isn't judged here: it is
 * given back as its answer's `from`, prepared by the caller.
 */
struct stream_fault stream_header(struct stream *s, const struct xml_open *open,
    const char *component, struct buf *out);
enum stream_state stream_after_header(const struct stream *s);

/* The features that fit the state (RFC 6120, 4.3.2); `more`: what stands in
 * them under TLS beside the stream's own. */
void stream_features(const struct stream *s, const char *more, struct buf *out);

/* What a first-level element is. */
enum stream_input {
	INPUT_STARTTLS,
	INPUT_AUTH,
	INPUT_RESPONSE,
	INPUT_ABORT,
	INPUT_HANDSHAKE, /* XEP-0114 */
	INPUT_STANZA,
	INPUT_MANAGEMENT, /* XEP-0198 */
	INPUT_ACTIVITY,   /* XEP-0352 */
	INPUT_ERROR,      /* the peer's stream error: it is about to close */
	INPUT_UNKNOWN,
};

enum stream_input stream_input(
    const struct stream *s, const struct xml_stanza *stanza);

/* Whether it may come now: error NONE, or the stream error that it earns. */
struct stream_fault stream_allows(
    const struct stream *s, enum stream_input input);

/* Ends the stream on the wire; a header of ours goes first if none was sent
 * (RFC 6120, 4.9.1.2). */
void stream_write_error(
    struct stream *s, struct stream_fault fault, struct buf *out);
void stream_write_end(struct stream *s, struct buf *out);

#endif
