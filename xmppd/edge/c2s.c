/*
 * A client's way to a bound session (RFC 6120, 5 to 7).
 *
 *   <starttls/>  -> <proceed/>, and what came with it is dropped
 *   <auth/>      -> sasl.c; it asks for keys   -> QUERY_SCRAM -> c2s_answer
 *                           it needs a password derived -> env.derive
 *                -> <challenge/>, <success/> or <failure/>
 *   <iq><bind/>  -> FRAME_BIND -> c2s_bound or c2s_refused
 */
#include "xmppd/edge/session.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/jid.h"
#include "common/log.h"
#include "common/result.h"
#include "common/tls.h"
#include "common/xmalloc.h"

#define FAILURES_MAX 5 /* RFC 6120, 6.4.5: between 2 and 5 tries again */
#define OUT_MAX (1U << 20)

/* A password that the worker derives from; outlives the session perhaps. */
struct derivation {
	struct session *session; /* NULL: gone */
};

struct c2s_login {
	struct sasl_env env;
	struct sasl *sasl; /* the exchange under way */
	struct derivation *derivation;
	unsigned failures;
	char *user;      /* authenticated: local part */
	char *account;   /* the password's version */
	char *mechanism; /* for the log */
	char *bind_id;
};

static struct c2s_login *
login_get(struct session *s)
{
	if (s->c2s == NULL)
		s->c2s = xcalloc(1, sizeof(*s->c2s));
	return s->c2s;
}

static void
exchange_drop(struct session *s)
{
	struct c2s_login *login = s->c2s;

	sasl_free(login->sasl);
	login->sasl = NULL;
	uplink_cancel(s->edge->uplink, s);
	if (login->derivation != NULL)
		login->derivation->session = NULL;
	login->derivation = NULL;
}

static void
c2s_forget_login(struct session *s)
{
	if (s->c2s == NULL)
		return;
	exchange_drop(s);
	free(s->c2s->user);
	free(s->c2s->account);
	free(s->c2s->mechanism);
	free(s->c2s->bind_id);
	free(s->c2s);
	s->c2s = NULL;
}

/* ---- headers ----------------------------------------------------------- */

static size_t
binding_cb(void *arg, const char *type, uint8_t out[64])
{
	struct session *s = arg;
	struct ssl_st *ssl = conn_ssl(s->conn);

	if (ssl == NULL)
		return 0;
	if (strcmp(type, "tls-exporter") == 0)
		return tls_exporter(ssl, out);
	if (strcmp(type, "tls-unique") == 0)
		return tls_unique(ssl, out);
	if (strcmp(type, "tls-server-end-point") == 0)
		return tls_end_point(ssl, out);
	return 0;
}

static void
c2s_header(struct session *s, const struct xml_open *open)
{
	struct c2s_login *login = login_get(s);
	struct buf *out = &s->edge->out, mechanisms = { 0 };
	struct stream_fault fault;

	buf_reset(out);
	fault = stream_header(&s->stream, open, NULL, out);
	if (fault.error != STREAM_ERROR_NONE) {
		session_flush(s);
		log_info("edge: %s: stream refused: %s%s%s", s->peer,
		    stream_error_name(fault.error),
		    fault.text == NULL ? "" : ": ",
		    fault.text == NULL ? "" : fault.text);
		session_error(s, fault.error, fault.text);
		return;
	}
	login->env = (struct sasl_env){ .arg = s,
		.domain = s->stream.domain,
		.secret = s->edge->secret,
		.binding = binding_cb };
	sasl_features(&login->env, &mechanisms);
	stream_features(&s->stream, buf_str(&mechanisms), out);
	buf_clear(&mechanisms);
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

/* ---- SASL -------------------------------------------------------------- */

static void
sasl_element(struct session *s, const char *name, const struct buf *data)
{
	struct buf *out = &s->edge->out;
	char *text;

	buf_addf(out, "<%s xmlns='" NS_SASL "'>", name);
	if (data->len > 0) {
		text = crypto_base64(data->data, data->len);
		buf_add_str(out, text);
		free(text);
	}
	buf_addf(out, "</%s>", name);
	session_flush(s);
}

static void
auth_failed(struct session *s, const char *condition)
{
	struct c2s_login *login = s->c2s;
	const struct sasl *sasl = login->sasl;

	log_info("edge: %s: login of %s refused: %s%s%s", s->peer,
	    sasl == NULL || sasl_user(sasl)[0] == '\0' ? "?" : sasl_user(sasl),
	    sasl == NULL ? "" : sasl_mechanism(sasl), sasl == NULL ? "" : ": ",
	    condition);
	exchange_drop(s);
	buf_addf(&s->edge->out, "<failure xmlns='" NS_SASL "'><%s/></failure>",
	    condition);
	session_flush(s);
	if (++login->failures >= FAILURES_MAX)
		session_error(
		    s, STREAM_POLICY_VIOLATION, "too many failed logins");
}

/* RFC 6120, 6.4.6: after the success both begin a new stream. */
static void
auth_succeeded(struct session *s, const struct buf *data)
{
	struct c2s_login *login = s->c2s;

	login->user = xstrdup(sasl_user(login->sasl));
	login->mechanism = xstrdup(sasl_mechanism(login->sasl));
	xasprintf(&login->account, "%llu",
	    (unsigned long long)sasl_params(login->sasl)->version);
	exchange_drop(s);
	sasl_element(s, "success", data);
	s->stream.authenticated = true;
	stream_set_state(&s->stream, STREAM_OPENING, s->peer);
	xmlstream_restart(s->xml, false);
}

static void auth_go_on(
    struct session *s, enum sasl_result result, const struct buf *data);

static void
derived_cb(void *arg, const struct scram_keys *derived)
{
	struct derivation *d = arg;
	struct session *s = d->session;
	struct buf data = { 0 };

	free(d);
	if (s == NULL)
		return;
	s->c2s->derivation = NULL;
	auth_go_on(s, sasl_derived(s->c2s->sasl, derived, &data), &data);
	buf_clear(&data);
}

static void
derive(struct session *s)
{
	struct derivation *d = xcalloc(1, sizeof(*d));
	const struct edge_env *env = &s->edge->env;

	d->session = s;
	s->c2s->derivation = d;
	env->derive(env->arg, sasl_password(s->c2s->sasl),
	    sasl_params(s->c2s->sasl), derived_cb, d);
}

/* Asks for the keys of an account: at a further domain its name is its bare
 * address (store.h). */
static void
ask_keys(struct session *s)
{
	const char *user = sasl_user(s->c2s->sasl);
	const char *domain = s->stream.domain;
	char *account;

	if (domain == s->stream.domains->name)
		account = xstrdup(user);
	else
		xasprintf(&account, "%s@%s", user, domain);
	uplink_query(
	    s->edge->uplink, QUERY_SCRAM, account, s, edge_now(s->edge));
	free(account);
}

static void
auth_go_on(struct session *s, enum sasl_result result, const struct buf *data)
{
	switch (result) {
	case SASL_CHALLENGE:
		sasl_element(s, "challenge", data);
		break;
	case SASL_SUCCESS:
		auth_succeeded(s, data);
		break;
	case SASL_FAILED:
		auth_failed(s, sasl_condition(s->c2s->sasl));
		break;
	case SASL_KEYS:
		ask_keys(s);
		break;
	case SASL_DERIVE:
		derive(s);
		break;
	}
}

static void
c2s_answer(struct session *s, int code, struct text data)
{
	struct buf out = { 0 };
	struct scram_keys keys;
	struct cursor c;

	cursor_init(&c, data.data, data.len);
	if (code == RES_OK && scram_keys_decode(&c, &keys) != RES_OK)
		code = RES_INVALID;
	auth_go_on(s, sasl_keys(s->c2s->sasl, code, &keys, &out), &out);
	crypto_wipe(&keys, sizeof(keys));
	buf_clear(&out);
}

/*
 * A message of the client: base64, where "=" is one that is there and empty
 * (RFC 6120, 6.4.2), and in the first no text is none.
 */
static void
auth_message(struct session *s, const struct xml_stanza *stanza, bool first)
{
	struct buf out = { 0 };
	uint8_t *msg = NULL;
	size_t len = 0;
	char *text;

	text = stanza->inner_len == 0
	    ? xstrdup("")
	    : xstrndup(stanza->inner, stanza->inner_len);
	if (strcmp(text, "=") == 0)
		msg = (uint8_t *)xstrdup("");
	else if (text[0] != '\0' || !first)
		msg = crypto_unbase64(text, &len);
	if (msg == NULL && (text[0] != '\0' || !first))
		auth_failed(s, "incorrect-encoding");
	else
		auth_go_on(s, sasl_input(s->c2s->sasl, msg, len, &out), &out);
	if (msg != NULL)
		crypto_wipe(msg, len);
	free(msg);
	crypto_wipe_free(text);
	buf_wipe(&out);
}

/* The attribute of a first-level element that xmlstream.h doesn't name. */
static char *
mechanism_of(const struct xml_stanza *stanza)
{
	struct buf b = { 0 };
	struct xml *x;
	char *mechanism = NULL;

	xml_stanza_write(&b, stanza, NULL, NULL, NULL);
	x = xml_parse((const char *)b.data, b.len);
	if (x != NULL && xml_attr(x, "mechanism") != NULL)
		mechanism = xstrdup(xml_attr(x, "mechanism"));
	xml_free(x);
	buf_wipe(&b);
	return mechanism;
}

static void
auth(struct session *s, const struct xml_stanza *stanza)
{
	struct c2s_login *login = s->c2s;
	char *mechanism;

	if (!s->stream.secure) {
		auth_failed(s, "encryption-required");
		return;
	}
	if (login->sasl != NULL) {
		auth_failed(s, "malformed-request");
		return;
	}
	mechanism = mechanism_of(stanza);
	if (mechanism != NULL)
		login->sasl = sasl_new(mechanism, &login->env);
	free(mechanism);
	if (login->sasl == NULL)
		auth_failed(s, "invalid-mechanism");
	else
		auth_message(s, stanza, true);
}

/* ---- the resource ------------------------------------------------------ */

/* The bind request's resource, prepared; a new one where none is asked for
 * (RFC 6120, 7.6); NULL if it can't be one. */
static char *
resource_of(const struct xml *bind)
{
	const char *asked = xml_child_text(bind, "resource");
	char made[17];

	if (asked != NULL && asked[0] != '\0')
		return jid_prep_resource(asked);
	crypto_random_text(made, sizeof(made) - 1);
	return xstrdup(made);
}

static void
bind_resource(struct session *s, const struct xml_stanza *stanza)
{
	struct c2s_login *login = s->c2s;
	struct buf b = { 0 };
	struct xml *iq;
	char *resource = NULL;

	xml_stanza_write(&b, stanza, NULL, NULL, NULL);
	iq = xml_parse((const char *)b.data, b.len);
	if (iq != NULL && stanza->id != NULL)
		resource = resource_of(xml_child(iq, "bind", NS_BIND));
	xml_free(iq);
	buf_clear(&b);
	if (resource == NULL) {
		ingress_reply(s, stanza, NULL, STANZA_BAD_REQUEST);
		return;
	}
	free(login->bind_id);
	login->bind_id = xstrdup(stanza->id);
	xasprintf(
	    &s->up.full, "%s@%s/%s", login->user, s->stream.domain, resource);
	free(resource);
	s->up.account = xstrdup(login->account);
	stream_set_state(&s->stream, STREAM_BINDING, s->peer);
	uplink_begin(s->edge->uplink, &s->up, SESSION_CLIENT,
	    s->edge->cfg.session_window);
}

static bool
is_bind(const struct xml_stanza *stanza)
{
	return stanza->child != NULL && strcmp(stanza->child, "bind") == 0 &&
	    strcmp(stanza->child_ns, NS_BIND) == 0 && stanza->type != NULL &&
	    strcmp(stanza->type, "set") == 0 && strcmp(stanza->name, "iq") == 0;
}

static void
c2s_bound(struct session *s)
{
	struct buf *out = &s->edge->out;

	log_info("edge: %s: logged in from %s with %s", s->up.full, s->peer,
	    s->c2s->mechanism);
	buf_add_str(out, "<iq type='result'");
	xml_add_attr(out, "id", s->c2s->bind_id);
	buf_add_str(out, "><bind xmlns='" NS_BIND "'><jid>");
	xml_add_text(out, s->up.full);
	buf_add_str(out, "</jid></bind></iq>");
	session_flush(s);
	session_is_bound(s);
}

/* It may ask for another (RFC 6120, 7.7.2). */
static void
c2s_refused(struct session *s, struct text condition)
{
	struct buf *out = &s->edge->out;
	char *name = text_dup(condition);
	enum stanza_error error = name == NULL ? STANZA_INTERNAL_SERVER_ERROR
					       : stanza_error_find(name);

	free(name);
	if (error == 0)
		error = STANZA_UNDEFINED_CONDITION;
	buf_add_str(out, "<iq type='error'");
	xml_add_attr(out, "id", s->c2s->bind_id);
	buf_add_str(out, ">");
	xml_add_stanza_error(out, error, NULL);
	buf_add_str(out, "</iq>");
	session_flush(s);
	stream_set_state(&s->stream, STREAM_UNBOUND, s->peer);
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
	if (is_bind(stanza)) {
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
	session_flush(s);
	return true;
}

static void
c2s_element(
    struct session *s, enum stream_input input, const struct xml_stanza *stanza)
{
	switch (input) {
	case INPUT_STARTTLS:
		starttls(s);
		break;
	case INPUT_AUTH:
		auth(s, stanza);
		break;
	case INPUT_RESPONSE:
		if (s->c2s->sasl == NULL)
			auth_failed(s, "malformed-request");
		else
			auth_message(s, stanza, false);
		break;
	case INPUT_ABORT:
		auth_failed(s, "aborted");
		break;
	case INPUT_STANZA:
		if (is_bind(stanza))
			bind_resource(s, stanza);
		else
			/* RFC 6120, 7.1 */
			session_error(
			    s, STREAM_NOT_AUTHORIZED, "bind a resource first");
		break;
	case INPUT_HANDSHAKE:
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
	.answers = c2s_answers,
	.answer = c2s_answer,
	.bound = c2s_bound,
	.refused = c2s_refused,
	.forget_login = c2s_forget_login,
};
