/*
 * A client's login, whatever the profile:
 *
 *   auth_begin     -> sasl.c; it asks for keys   -> QUERY_SCRAM -> auth_keys
 *   auth_response           it needs a password derived -> env.derive
 *                  -> the profile's challenge, success or failure
 *
 * Wrong passwords are counted for the connection (RFC 6120, 6.4.5) and for the
 * user and the address that they come from (lockout.c).
 */
#include "xmppd/edge/auth.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/result.h"
#include "common/tls.h"
#include "common/xmalloc.h"

/* A password that the worker derives from; outlives the session perhaps. */
struct derivation {
	struct session *session; /* NULL: gone */
};

struct c2s_login *
auth_login(struct session *s)
{
	if (s->c2s == NULL)
		s->c2s = xcalloc(1, sizeof(*s->c2s));
	return s->c2s;
}

bool
auth_is_under_way(const struct session *s)
{
	return s->c2s != NULL && s->c2s->sasl != NULL;
}

void
auth_drop(struct session *s)
{
	struct c2s_login *login = s->c2s;

	sasl_free(login->sasl);
	login->sasl = NULL;
	uplink_cancel(s->edge->uplink, s);
	if (login->derivation != NULL)
		login->derivation->session = NULL;
	login->derivation = NULL;
}

void
auth_forget(struct session *s)
{
	if (s->c2s == NULL)
		return;
	auth_drop(s);
	sasl2_free(s->c2s->sasl2);
	free(s->c2s->user);
	free(s->c2s->account);
	free(s->c2s->mechanism);
	free(s->c2s->bind_id);
	free(s->c2s);
	s->c2s = NULL;
}

/* ---- what is offered --------------------------------------------------- */

static size_t
binding_cb(void *arg, enum sasl_binding binding, uint8_t out[64])
{
	struct session *s = arg;
	struct ssl_st *ssl = conn_ssl(s->conn);

	if (ssl == NULL)
		return 0;
	switch (binding) {
	case SASL_EXPORTER:
		return tls_exporter(ssl, out);
	case SASL_UNIQUE:
		return tls_unique(ssl, out);
	case SASL_END_POINT:
		return tls_end_point(ssl, out);
	case SASL_BINDINGS:
		break;
	}
	return 0;
}

void
auth_ready(struct session *s)
{
	struct c2s_login *login = auth_login(s);
	struct ssl_st *ssl = conn_ssl(s->conn);

	if (s->stream.authenticated)
		return;
	login->env = (struct sasl_env){ .arg = s,
		.domain = s->stream.domain,
		.secret = s->edge->secret,
		.binding = binding_cb,
		.sha1_only = s->edge->sha1_only,
		.tls_12 = ssl != NULL && tls_is_12(ssl) };
	if (ssl != NULL)
		sasl_env_ready(&login->env);
}

/* ---- an exchange ------------------------------------------------------- */

static void
refuse(struct session *s, const struct auth_profile *profile,
    const char *condition, const char *text)
{
	struct c2s_login *login = s->c2s;
	const struct sasl *sasl = login->sasl;

	log_info("edge: %s: login of %s refused: %s%s%s", s->peer,
	    sasl == NULL || sasl_user(sasl)[0] == '\0' ? "?" : sasl_user(sasl),
	    sasl == NULL ? "" : sasl_mechanism(sasl), sasl == NULL ? "" : ": ",
	    condition);
	auth_drop(s);
	sasl2_free(login->sasl2);
	login->sasl2 = NULL;
	profile->failure(s, condition, text);
	if (++login->failures >= edge_limit(s->edge, LIMIT_ATTEMPTS))
		session_error(
		    s, STREAM_POLICY_VIOLATION, "too many failed logins");
}

void
auth_fail(struct session *s, const struct auth_profile *profile,
    const char *condition)
{
	refuse(s, profile, condition, NULL);
}

/* For counts: the account's bare address; the caller frees. */
static char *
who(const struct session *s)
{
	char *bare;

	xasprintf(&bare, "%s@%s", sasl_user(s->c2s->sasl), s->stream.domain);
	return bare;
}

static void
succeed(struct session *s, const struct buf *data)
{
	struct c2s_login *login = s->c2s;
	char *user = who(s);

	logins_passed(s->edge->cfg.logins, s->peer, user, edge_now(s->edge));
	free(user);
	login->user = xstrdup(sasl_user(login->sasl));
	login->mechanism = xstrdup(sasl_mechanism(login->sasl));
	xasprintf(&login->account, "%llu",
	    (unsigned long long)sasl_params(login->sasl)->version);
	auth_drop(s);
	s->stream.authenticated = true;
	session_limit(s);
	login->profile->success(s, data);
}

static void go_on(
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
	go_on(s, sasl_derived(s->c2s->sasl, derived, &data), &data);
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

/* RFC 6120, 6.5.10: "it is advisable for the initiating entity to try again
 * later"; whatever the password, and the same for any name. */
static void
begin_exchange(struct session *s)
{
	struct c2s_login *login = s->c2s;
	char *user = who(s);

	if (logins_allow(s->edge->cfg.logins, s->peer, user, edge_now(s->edge)))
		ask_keys(s);
	else
		refuse(s, login->profile, "temporary-auth-failure",
		    "too many wrong passwords");
	free(user);
}

/* A wrong password, as it seems; anything else is no guess. */
static void
count_guess(struct session *s, const char *condition)
{
	struct edge *e = s->edge;
	char *user;

	if (strcmp(condition, "not-authorized") != 0 ||
	    sasl_user(s->c2s->sasl)[0] == '\0')
		return;
	e->counters.failures++;
	user = who(s);
	if (logins_failed(
		e->cfg.logins, s->peer, user, &e->cfg.limits, edge_now(e)))
		log_warn("edge: %s: locked out, too many wrong passwords, "
			 "last for %s",
		    s->peer, user);
	free(user);
}

static void
go_on(struct session *s, enum sasl_result result, const struct buf *data)
{
	struct c2s_login *login = s->c2s;

	switch (result) {
	case SASL_CHALLENGE:
		login->profile->challenge(s, data);
		break;
	case SASL_SUCCESS:
		succeed(s, data);
		break;
	case SASL_FAILED:
		count_guess(s, sasl_condition(login->sasl));
		auth_fail(s, login->profile, sasl_condition(login->sasl));
		break;
	case SASL_KEYS:
		begin_exchange(s);
		break;
	case SASL_DERIVE:
		derive(s);
		break;
	}
}

void
auth_keys(struct session *s, int code, struct text data)
{
	struct buf out = { 0 };
	struct scram_keys keys;
	struct cursor c;

	cursor_init(&c, data.data, data.len);
	if (code == RES_OK && scram_keys_decode(&c, &keys) != RES_OK)
		code = RES_INVALID;
	go_on(s, sasl_keys(s->c2s->sasl, code, &keys, &out), &out);
	crypto_wipe(&keys, sizeof(keys));
	buf_clear(&out);
}

/* A message of the client in base64; NULL: none. */
static void
message(struct session *s, const char *text)
{
	struct c2s_login *login = s->c2s;
	struct buf out = { 0 };
	uint8_t *msg = NULL;
	size_t len = 0;

	if (text != NULL)
		msg = crypto_unbase64(text, &len);
	if (text != NULL && msg == NULL)
		auth_fail(s, login->profile, "incorrect-encoding");
	else
		go_on(s, sasl_input(login->sasl, msg, len, &out), &out);
	if (msg != NULL)
		crypto_wipe(msg, len);
	free(msg);
	buf_wipe(&out);
}

void
auth_begin(struct session *s, const struct auth_profile *profile,
    const char *mechanism, const char *text)
{
	struct c2s_login *login = s->c2s;

	/* RFC 6120, 6.4.2: a new attempt ends the one that is under way. */
	auth_drop(s);
	login->profile = profile;
	if (!s->stream.secure) {
		auth_fail(s, profile, "encryption-required");
		return;
	}
	if (mechanism != NULL)
		login->sasl = sasl_new(mechanism, &login->env);
	if (login->sasl == NULL)
		auth_fail(s, profile, "invalid-mechanism");
	else
		message(s, text);
}

void
auth_response(struct session *s, const char *text)
{
	message(s, text);
}

struct xml *
auth_tree(const struct xml_stanza *stanza)
{
	struct buf b = { 0 };
	struct xml *x;

	xml_stanza_write(&b, stanza, NULL, NULL, NULL);
	x = xml_parse((const char *)b.data, b.len);
	buf_wipe(&b);
	return x;
}
