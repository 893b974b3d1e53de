#ifndef XMPPD_ROUTER_EXTENSION_H
#define XMPPD_ROUTER_EXTENSION_H

#include "xmppd/router/core.h"

/*
 * What the router understands beyond passing stanzas on: each RFC or XEP has a
 * file of its own, with one struct extension in it, and a row in extension.c.
 * What an extension has not is NULL. A part that nobody has costs nothing, and
 * one that is there is looked for by a hash of the child's name.
 */

/* Whom an IQ is for. One's own account is what one without `to` is for
 * (RFC 6120, 10.3.3). */
enum iq_at {
	AT_SERVER = 1,  /* the domain */
	AT_ACCOUNT = 2, /* the sender's own account */
	AT_OTHER = 4,   /* another account that exists; the handler checks
			   what the sender may know of it */
	AT_NOBODY = 8,  /* an account that doesn't exist */
};

/* What answers an IQ. */
typedef enum stanza_error (*iq_handle_fn)(
    struct router *r, struct job *job, const struct xml *child);

struct iq_handler {
	uint8_t type;      /* TYPE_GET or TYPE_SET */
	uint8_t at;        /* enum iq_at, one or more */
	const char *child; /* "{namespace}name" */
	iq_handle_fn handle;
};

struct extension {
	const char *number; /* "XEP-0030" */
	/* For disco#info (XEP-0030) of the server, and of an account: the last
	 * is NULL. */
	const char *const *server_features, *const *account_features;
	/* The last has no handle; those for one child stand together. */
	const struct iq_handler *iqs;
	/* NULL: always. While it is off nothing is answered or advertised. */
	bool (*is_on)(const struct router *r);
	/* Adds identities and forms to a disco#info: at is AT_SERVER (job may
	 * be NULL), AT_ACCOUNT or AT_OTHER. */
	void (*describe)(struct router *r, const struct job *job, enum iq_at at,
	    struct buf *b);
	/* Answers disco#info of a node, and disco#items of one, or of the
	 * address itself (node NULL): false if it knows of none. */
	bool (*node_info)(struct router *r, const struct job *job,
	    const char *node, struct buf *b);
	bool (*node_items)(struct router *r, const struct job *job,
	    const char *node, struct buf *b);
	/* An item was put or deleted; what is cached of it is out of date. */
	void (*item_changed)(struct router *r, const struct store_op *op);
	/* A session's first presence counts from now on (RFC 6121, 4.2): what
	 * it is told because of that is the job's. */
	void (*arrived)(struct router *r, struct job *job, struct login *s);
	/* A shared setting was set or removed. */
	void (*setting_changed)(struct router *r, const char *name);
	/* What is cached of a user is to be forgotten. */
	void (*forget)(struct user *u);
	/* A session's broadcast presence counts: it is, or has become,
	 * available. */
	void (*available)(struct router *r, struct login *s);
	/* A message for a user's address is stored, or was accepted by all
	 * whom it is for; a session without connection has some. */
	void (*message)(struct router *r, struct job *job);
	void (*missed)(struct router *r, struct login *s);
	/* An IQ result or error came, for the server or an account. */
	void (*answered)(struct router *r, struct job *job);
	/* The beginning and the end of a router. */
	void (*begin)(struct router *r);
	void (*end)(struct router *r);
};

extern const struct extension motd, rfc_3921, xep_0060, xep_0060_owner,
    xep_0163, rfc_6121_roster, xep_0030, xep_0049, xep_0050, xep_0054, xep_0092,
    xep_0115, xep_0157, xep_0160, xep_0191, xep_0199, xep_0202, xep_0280,
    xep_0297, xep_0313, xep_0357, xep_0359, xep_0398, xep_0402, xep_0441;

/* NULL after the last one that is on. Starts with *at = 0. */
const struct extension *extension_next(const struct router *r, size_t *at);

void extensions_arrived(struct router *r, struct job *job, struct login *s);
void extensions_setting(struct router *r, const char *name);
void extensions_item(struct router *r, const struct store_op *op);
void extensions_forget(struct user *u);
void extensions_available(struct router *r, struct login *s);
void extensions_message(struct router *r, struct job *job);
void extensions_missed(struct router *r, struct login *s);
void extensions_answered(struct router *r, struct job *job);
void extensions_begin(struct router *r);
void extensions_end(struct router *r);

/* What disco#info says of the server. */
void disco_describe_server(struct router *r, struct buf *b);

/* What answers this IQ; NULL: nothing does. */
const struct iq_handler *extension_iq(
    const struct router *r, const struct job *job, enum iq_at at);

#endif
