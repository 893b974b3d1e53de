#ifndef XMPPD_EDGE_AUTH_H
#define XMPPD_EDGE_AUTH_H

#include "xmppd/edge/session.h"

/*
 * A client's login: what the SASL profiles of RFC 6120 (sasl1.c) and XEP-0388
 * (sasl2.c) have in common, and what they and the two ways to a resource
 * (bind.c, bind2.c) know of the login under way.
 */
struct auth_profile {
	/* Answers in the profile's elements. */
	void (*challenge)(struct session *s, const struct buf *data);
	void (*failure)(
	    struct session *s, const char *condition, const char *text);
	/* login.user is who it is. */
	void (*success)(struct session *s, const struct buf *data);
};

struct derivation;
struct sasl2;

struct c2s_login {
	struct sasl_env env;
	struct sasl *sasl;                  /* the exchange under way */
	const struct auth_profile *profile; /* its */
	struct derivation *derivation;
	unsigned failures;
	char *user;          /* authenticated: local part */
	char *account;       /* the password's version */
	char *mechanism;     /* for the log */
	struct sasl2 *sasl2; /* what <authenticate/> asks for; NULL: RFC 6120 */
	char *bind_id;       /* of the <iq/> that asks for a resource */
	unsigned binds;      /* that were refused */
};

/* ---- auth.c ------------------------------------------------------------ */

struct c2s_login *auth_login(struct session *s); /* made when first asked for */
void auth_forget(struct session *s);             /* frees it */

/* A stream's header has come: finds out what can be offered. */
void auth_ready(struct session *s);

/* Begins an exchange. `text`: the initial response in base64, NULL: none. */
void auth_begin(struct session *s, const struct auth_profile *profile,
    const char *mechanism, const char *text);
void auth_response(struct session *s, const char *text);
void auth_fail(struct session *s, const struct auth_profile *profile,
    const char *condition);
bool auth_is_under_way(const struct session *s);
/* It is over, with or without a result. */
void auth_drop(struct session *s);
/* The router's answer with the keys. */
void auth_keys(struct session *s, int code, struct text data);

/* The element as a tree; NULL if it can't be. */
struct xml *auth_tree(const struct xml_stanza *stanza);

/* ---- sasl1.c: RFC 6120, 6 ---------------------------------------------- */

void sasl1_features(const struct session *s, struct buf *out);
void sasl1_element(struct session *s, const struct xml_stanza *stanza);

/* ---- sasl2.c: XEP-0388 ------------------------------------------------- */

void sasl2_features(const struct session *s, struct buf *out);
void sasl2_element(struct session *s, const struct xml_stanza *stanza);
bool sasl2_is_under_way(const struct session *s);
/* Whether an element may come at this moment. */
bool sasl2_allows(const struct session *s, const struct xml_stanza *stanza);
void sasl2_free(struct sasl2 *request);
/* The router's word on the resource that was asked for in <authenticate/>. Once
 * bound, the session has forgotten its login but for this request. */
void sasl2_bound(
    struct session *s, const struct sasl2 *request, struct text extra);
void sasl2_refused(struct session *s, enum stanza_error error);

/* ---- bind.c: RFC 6120, 7 ----------------------------------------------- */

bool bind_is_request(const struct xml_stanza *stanza);
void bind_request(struct session *s, const struct xml_stanza *stanza);
/* Asks the router for the resource. Takes it. */
void bind_ask(struct session *s, char *resource, uint8_t flags);
void bind_done(struct session *s);
void bind_refused(struct session *s, enum stanza_error error);

/* ---- bind2.c: XEP-0386 ------------------------------------------------- */

/* What <bind/> inside <authenticate/> asks for. */
struct bind2 {
	char *tag, *agent; /* NULL: not given */
	uint8_t flags;     /* FRAME_BIND_* */
	bool inactive;     /* XEP-0352 */
	bool managed;      /* XEP-0198: <enable/>, with: */
	bool resume;
	char *max; /* NULL: not given */
};

void bind2_features(struct buf *out);
/* `agent`: the user agent's id, or NULL. */
struct bind2 *bind2_read(const struct xml *bind, const char *agent);
/* The resource for the user who has logged in; the caller frees. */
char *bind2_resource(const struct session *s, const struct bind2 *bind);
/* The session is bound: what else it begins with. Writes what <bound/> says of
 * it. */
void bind2_begin(struct session *s, const struct bind2 *bind, struct buf *out);
void bind2_free(struct bind2 *b);

/* ---- c2s.c ------------------------------------------------------------- */

/* The features that fit the state. */
void c2s_features(struct session *s, struct buf *out);

#endif
