/*
 * A component's way to a bound session (XEP-0114, 3).
 *
 *   header, to = its domain  -> ours, with an id; QUERY_COMPONENT
 *   <handshake/>, the answer -> both there: compared
 *     right: FRAME_BIND -> component_bound: <handshake/>
 *     right, and <resume/> came before it (XEP-0198): <handshake/>, and
 *       resume.c; if that comes to nothing, FRAME_BIND
 *     wrong: not-authorized, and the log says what is wrong
 */
#include "xmppd/edge/session.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/jid.h"
#include "common/log.h"
#include "common/result.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

#define OUT_MAX (16U << 20)

struct component_login {
	char *name;      /* its domain, prepared */
	char *handshake; /* what it sent; NULL: not yet */
	bool answered;
	char *secret; /* NULL: it is not known */
	char *previd; /* to be resumed; NULL: nothing is */
	uint32_t h;
	bool welcome; /* <handshake/> was sent */
};

static void
component_forget_login(struct session *s)
{
	struct component_login *login = s->component;

	uplink_cancel(s->edge->uplink, s);
	if (login == NULL)
		return;
	free(login->name);
	free(login->handshake);
	free(login->previd);
	crypto_wipe_free(login->secret);
	free(login);
	s->component = NULL;
}

/* A plaintext stream is for loopback, where it is allowed (spec: `xmpp
 * component plaintext`). */
static bool
is_loopback(const char *peer)
{
	return str_starts(peer, "127.") || str_starts(peer, "[::1]:") ||
	    str_starts(peer, "[::ffff:127.");
}

static struct stream_fault
header_check(const struct session *s, const char *name)
{
	if (conn_ssl(s->conn) == NULL &&
	    !(s->edge->plaintext && is_loopback(s->peer)))
		return (struct stream_fault){ STREAM_POLICY_VIOLATION,
			"components connect with direct TLS" };
	if (name == NULL)
		return (struct stream_fault){ STREAM_HOST_UNKNOWN, NULL };
	return (struct stream_fault){ STREAM_ERROR_NONE, NULL };
}

static void
component_header(struct session *s, const struct xml_open *open)
{
	char *name = open->to == NULL ? NULL : jid_prep_domain(open->to);
	struct buf *out = &s->edge->out;
	struct stream_fault fault;

	s->stream.secure = true;
	buf_reset(out);
	fault = stream_header(
	    &s->stream, open, name == NULL ? s->stream.domain : name, out);
	session_flush(s);
	if (fault.error == STREAM_ERROR_NONE)
		fault = header_check(s, name);
	if (fault.error != STREAM_ERROR_NONE) {
		log_info("edge: component %s from %s: stream refused: %s%s%s",
		    name == NULL ? "?" : name, s->peer,
		    stream_error_name(fault.error),
		    fault.text == NULL ? "" : ": ",
		    fault.text == NULL ? "" : fault.text);
		session_error(s, fault.error, fault.text);
		free(name);
		return;
	}
	s->component = xcalloc(1, sizeof(*s->component));
	s->component->name = name;
	stream_set_state(&s->stream, STREAM_LOGIN, s->peer);
	uplink_query(
	    s->edge->uplink, QUERY_COMPONENT, name, s, edge_now(s->edge));
}

/* ---- the handshake ----------------------------------------------------- */

/* XEP-0114, 3: the hash of stream id and secret, in hexadecimal. */
static bool
handshake_is_right(const struct session *s)
{
	struct buf b = { 0 };
	uint8_t digest[20];
	char want[41];

	buf_add_str(&b, s->stream.id);
	buf_add_str(&b, s->component->secret);
	crypto_sha1(b.data, b.len, digest);
	crypto_hex(digest, sizeof(digest), want);
	buf_wipe(&b);
	return crypto_equal_str(want, s->component->handshake);
}

static void
handshake_refused(struct session *s, const char *why)
{
	log_warn("edge: component %s from %s: refused: %s", s->component->name,
	    s->peer, why);
	session_error(s, STREAM_NOT_AUTHORIZED, NULL);
}

static void
welcome(struct session *s)
{
	buf_add_str(&s->edge->out, "<handshake/>");
	session_flush(s);
}

static void
bind_domain(struct session *s)
{
	s->up.full = xstrdup(s->component->name);
	stream_set_state(&s->stream, STREAM_BINDING, s->peer);
	uplink_begin(
	    s->edge->uplink, &s->up, SESSION_COMPONENT, session_window(s));
}

static void
resume_done(struct session *s, bool resumed, const char *text)
{
	session_write(s, text, strlen(text));
	if (!resumed)
		bind_domain(s);
}

static void
go_on_as(struct session *s, struct component_login *login)
{
	login->welcome = true;
	welcome(s);
	stream_set_state(&s->stream, STREAM_UNBOUND, s->peer);
	resume_begin(s, login->name, login->previd, login->h, resume_done);
}

/* It comes before the handshake, which binds at once, and counts with it. */
static void
component_resume(struct session *s, const char *previd, uint32_t h)
{
	struct component_login *login = s->component;

	if (login->previd != NULL) {
		session_error(s, STREAM_NOT_AUTHORIZED, NULL);
		return;
	}
	login->previd = xstrdup(previd);
	login->h = h;
}

/* When both the handshake and the secret are there. */
static void
handshake_check(struct session *s)
{
	struct component_login *login = s->component;

	if (login->handshake == NULL || !login->answered)
		return;
	if (login->secret == NULL) {
		handshake_refused(s, "no component of that name is known");
		return;
	}
	if (!handshake_is_right(s)) {
		handshake_refused(s, "its secret is wrong");
		return;
	}
	if (login->previd != NULL)
		go_on_as(s, login);
	else
		bind_domain(s);
}

static void
component_answer(struct session *s, int code, struct text data)
{
	if (code != RES_OK && code != RES_NOT_FOUND) {
		session_error(s, STREAM_REMOTE_CONNECTION_FAILED,
		    "no leader knows the secret now");
		return;
	}
	s->component->answered = true;
	if (code == RES_OK)
		s->component->secret = text_dup(data);
	handshake_check(s);
}

static void
component_element(
    struct session *s, enum stream_input input, const struct xml_stanza *stanza)
{
	struct component_login *login = s->component;

	(void)input; /* nothing but the handshake comes before the bind */
	if (login->handshake != NULL) {
		session_error(s, STREAM_POLICY_VIOLATION, "a second handshake");
		return;
	}
	login->handshake = stanza->inner_len == 0
	    ? xstrdup("")
	    : xstrndup(stanza->inner, stanza->inner_len);
	str_lower(login->handshake);
	handshake_check(s);
}

/* ---- bound ------------------------------------------------------------- */

static void
component_bound(struct session *s, struct text extra)
{
	(void)extra;
	log_info("edge: component %s: connected from %s", s->up.full, s->peer);
	if (!s->component->welcome)
		welcome(s);
	session_is_bound(s);
}

static void
component_refused(struct session *s, struct text condition)
{
	char *name = text_dup(condition);
	enum stream_error error =
	    name == NULL ? STREAM_ERROR_NONE : stream_error_find(name);

	log_warn("edge: component %s from %s: refused: %s", s->component->name,
	    s->peer, name == NULL ? "?" : name);
	free(name);
	session_error(
	    s, error == STREAM_ERROR_NONE ? STREAM_CONFLICT : error, NULL);
}

const struct session_kind_ops component_ops = {
	.name = "component",
	.queue_max = OUT_MAX,
	.header = component_header,
	.element = component_element,
	.answer = component_answer,
	.bound = component_bound,
	.refused = component_refused,
	.resume = component_resume,
	.forget_login = component_forget_login,
};
