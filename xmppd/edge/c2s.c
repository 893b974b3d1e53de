/*
 * A client's way to a bound session (RFC 6120, 5 to 7).
 *
 *   <starttls/>       -> <proceed/>, and what came with it is dropped
 *   <auth/>           -> sasl1.c \ auth.c
 *   <authenticate/>   -> sasl2.c /
 *   <iq><bind/></iq>  -> bind.c: FRAME_BIND -> c2s_bound or c2s_refused
 */
#include "xmppd/edge/auth.h"

#include <stdlib.h>
#include <string.h>

#include "common/jid.h"
#include "common/log.h"
#include "common/tls.h"
#include "common/xmalloc.h"

#define OUT_MAX (1U << 20)

/* ---- headers ----------------------------------------------------------- */

/* XEP-0478: what one element may have, as long as this state lasts. */
static void
limits_write(struct session *s, struct buf *out)
{
	buf_addf(out,
	    "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>%llu"
	    "</max-bytes></limits>",
	    (unsigned long long)edge_limit(s->edge,
		s->stream.authenticated ? LIMIT_STANZA : LIMIT_LOGIN_STANZA));
}

/* XEP-0115, 6.3: what the server can do, so that nobody has to ask. */
static void
caps_write(struct session *s, struct buf *b)
{
	const char *ver = uplink_caps(s->edge->uplink);

	if (ver == NULL)
		return;
	buf_add_str(b,
	    "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
	    "node='" SERVER_CAPS_NODE "'");
	xml_add_attr(b, "ver", ver);
	buf_add_str(b, "/>");
}

void
c2s_features(struct session *s, struct buf *out)
{
	struct buf more = { 0 };

	if (s->stream.secure && !s->stream.authenticated) {
		sasl1_features(s, &more);
		sasl2_features(s, &more);
		sasl_bindings(&s->c2s->env, &more);
	}
	/* What is enabled already can't be negotiated. */
	if (s->stream.authenticated && s->managed == NULL)
		buf_add_str(&more, "<sm xmlns='" NS_SM "'/>");
	if (s->stream.authenticated)
		caps_write(s, &more);
	limits_write(s, &more);
	stream_features(&s->stream, buf_str(&more), out);
	buf_clear(&more);
}

/* XEP-0388, 2.1: whoever says to be of another domain is in the wrong place. */
static struct stream_fault
from_check(const struct session *s)
{
	const char *from = s->stream.peer;
	const char *at = from == NULL ? NULL : strchr(from, '@');
	const struct stream_fault none = { STREAM_ERROR_NONE, NULL };
	const struct stream_fault wrong = { STREAM_INVALID_FROM, NULL };

	if (from == NULL || !s->stream.secure)
		return none;
	return strcmp(at == NULL ? from : at + 1, s->stream.domain) == 0
	    ? none
	    : wrong;
}

static void
c2s_header(struct session *s, const struct xml_open *open)
{
	struct buf *out = &s->edge->out;
	struct stream_fault fault;

	buf_reset(out);
	fault = stream_header(&s->stream, open, NULL, out);
	if (fault.error == STREAM_ERROR_NONE)
		fault = from_check(s);
	if (fault.error != STREAM_ERROR_NONE) {
		session_flush(s);
		log_info("edge: %s: stream refused: %s%s%s", s->peer,
		    stream_error_name(fault.error),
		    fault.text == NULL ? "" : ": ",
		    fault.text == NULL ? "" : fault.text);
		session_error(s, fault.error, fault.text);
		return;
	}
	auth_ready(s);
	c2s_features(s, out);
	session_flush(s);
	stream_set_state(&s->stream, stream_after_header(&s->stream), s->peer);
}

static void
starttls(struct session *s)
{
	struct ssl_ctx_st *tls = s->edge->client_tls;

	if (s->stream.secure || tls == NULL) {
		/* RFC 6120, 5.4.2.2: and the stream is closed. */
		buf_add_str(&s->edge->out, "<failure xmlns='" NS_TLS "'/>");
		session_flush(s);
		session_finish(s, "STARTTLS refused");
		return;
	}
	buf_add_str(&s->edge->out, "<proceed xmlns='" NS_TLS "'/>");
	session_flush(s);
	/* RFC 6120, 5.4.3.3: nothing of the old stream counts in the new, and
	 * so nothing that a third party slipped in behind <starttls/>. */
	stream_set_state(&s->stream, STREAM_OPENING, s->peer);
	xmlstream_restart(s->xml, true);
	conn_start_tls(s->conn, tls_server_ssl(tls, s->stream.domain));
}

/* ---- the resource ------------------------------------------------------ */

static void
c2s_bound(struct session *s, struct text extra)
{
	struct sasl2 *request = NULL;

	log_info("edge: %s: logged in from %s with %s", s->up.full, s->peer,
	    s->c2s->mechanism);
	if (s->c2s->bind_id == NULL) {
		request = s->c2s->sasl2;
		s->c2s->sasl2 = NULL;
	} else {
		bind_done(s);
	}
	session_is_bound(s);
	if (request != NULL)
		sasl2_bound(s, request, extra);
	sasl2_free(request);
}

/* It may ask for another (RFC 6120, 7.7.2). */
static void
c2s_refused(struct session *s, struct text condition)
{
	char *name = text_dup(condition);
	enum stanza_error error = name == NULL ? STANZA_INTERNAL_SERVER_ERROR
					       : stanza_error_find(name);

	free(name);
	if (error == 0)
		error = STANZA_UNDEFINED_CONDITION;
	stream_set_state(&s->stream, STREAM_UNBOUND, s->peer);
	if (s->c2s->bind_id == NULL)
		sasl2_refused(s, error);
	else
		bind_refused(s, error);
}

/* XEP-0198, 5: instead of a resource of its own. */
static void
resume_done(struct session *s, bool resumed, const char *text)
{
	(void)resumed; /* if not, it may bind */
	session_write(s, text, strlen(text));
}

static void
c2s_resume(struct session *s, const char *previd, uint32_t h)
{
	char *bare;

	xasprintf(&bare, "%s@%s", s->c2s->user, s->stream.domain);
	resume_begin(s, bare, previd, h, resume_done);
	free(bare);
}

/* ---- elements ---------------------------------------------------------- */

/* What a bound client asks of its own connection: the session of RFC 3921, 3,
 * which it has; a second resource, which it can't have. */
static bool
c2s_answers(struct session *s, const struct xml_stanza *stanza, const char *to)
{
	struct buf *out = &s->edge->out;

	if (strcmp(to, s->bare) != 0 && strcmp(to, s->stream.domain) != 0)
		return false;
	if (bind_is_request(stanza)) {
		ingress_reply(s, stanza, to, STANZA_NOT_ALLOWED);
		return true;
	}
	if (strcmp(stanza->child, "session") != 0 ||
	    strcmp(stanza->child_ns, NS_SESSION) != 0)
		return false;
	buf_add_str(out, "<iq type='result'");
	xml_add_attr(out, "id", stanza->id);
	xml_add_attr(out, "from", stanza->to == NULL ? NULL : to);
	xml_add_attr(out, "to", s->up.full);
	buf_add_str(out, "/>");
	session_flush_stanza(s);
	return true;
}

/* XEP-0388, 2.4: nothing else comes while a login is under way. */
static void
interrupted(struct session *s)
{
	session_error(s, STREAM_POLICY_VIOLATION, "in the middle of a login");
}

static void
c2s_space(struct session *s)
{
	if (sasl2_is_under_way(s))
		interrupted(s);
}

static void
c2s_element(
    struct session *s, enum stream_input input, const struct xml_stanza *stanza)
{
	if (!sasl2_allows(s, stanza)) {
		interrupted(s);
		return;
	}
	switch (input) {
	case INPUT_STARTTLS:
		starttls(s);
		break;
	case INPUT_AUTH:
	case INPUT_RESPONSE:
	case INPUT_ABORT:
		if (strcmp(stanza->ns, NS_SASL2) == 0)
			sasl2_element(s, stanza);
		else
			sasl1_element(s, stanza);
		break;
	case INPUT_STANZA:
		if (bind_is_request(stanza))
			bind_request(s, stanza);
		else
			/* RFC 6120, 7.1 */
			session_error(
			    s, STREAM_NOT_AUTHORIZED, "bind a resource first");
		break;
	case INPUT_HANDSHAKE:
	case INPUT_MANAGEMENT:
	case INPUT_ACTIVITY:
	case INPUT_ERROR:
	case INPUT_UNKNOWN:
		break;
	}
}

const struct session_kind_ops c2s_ops = {
	.name = "client",
	.queue_max = OUT_MAX,
	.header = c2s_header,
	.element = c2s_element,
	.space = c2s_space,
	.answers = c2s_answers,
	.answer = auth_keys,
	.bound = c2s_bound,
	.refused = c2s_refused,
	.resume = c2s_resume,
	.forget_login = auth_forget,
};
