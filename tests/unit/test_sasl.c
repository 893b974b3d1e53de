/*
 * SASL exchanges: the RFCs' vectors, GNU SASL's client on the other side, and
 * what a client may get wrong.
 */
#include "xmppd/edge/sasl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <gsasl.h>

#include "common/crypto.h"
#include "common/result.h"
#include "common/xmalloc.h"
#include "xmppd/edge/scram.h"
#include "xmppd/worker.h"

#define DOMAIN "example.org"
#define BINDING "0123456789abcdef0123456789abcdef"

struct fixture {
	struct sasl_env env;
	struct scram_keys keys;
	const char *type; /* the bindings of this connection; NULL: none */
};

static const char *const names[SASL_BINDINGS] = { "tls-exporter", "tls-unique",
	"tls-server-end-point" };

static size_t
binding_cb(void *arg, enum sasl_binding binding, uint8_t out[64])
{
	struct fixture *f = arg;

	if (f->type == NULL || strstr(f->type, names[binding]) == NULL)
		return 0;
	if (out != NULL)
		memcpy(out, BINDING, 32);
	return 32;
}

/* The connection has these. */
static void
connection(struct fixture *f, const char *type)
{
	f->type = type;
	f->env.tls_12 = type != NULL && strstr(type, "tls-unique") != NULL;
	sasl_env_ready(&f->env);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->env = (struct sasl_env){ .arg = f,
		.domain = DOMAIN,
		.secret = "secret",
		.binding = binding_cb };
	f->keys.sha1.iterations = f->keys.sha256.iterations = 16;
	f->keys.sha1.salt_len = f->keys.sha256.salt_len = SCRAM_SALT;
	memset(f->keys.sha1.salt, 1, SCRAM_SALT);
	memset(f->keys.sha256.salt, 2, SCRAM_SALT);
	scram_derive_as("pencil", &f->keys, &f->keys);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

/* ---- vectors ----------------------------------------------------------- */

struct vector {
	enum scram_hash hash;
	const char *first, *nonce, *server_first, *final, *verifier;
	const char *salt;
};

/* RFC 5802, 5, and RFC 7677, 3. */
static const struct vector vectors[] = {
	{ SCRAM_SHA1, "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	    "3rfcNHYJY1ZVvWVs7j",
	    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
	    "s=QSXCR+Q6sek8bf92,i=4096",
	    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
	    "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
	    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "QSXCR+Q6sek8bf92" },
	{ SCRAM_SHA256, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	    "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
	    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
	    "W22ZaJ0SNY7soEsUEjb6gQ==" },
};

/* Keys of "pencil" for any length of salt, by GNU SASL. */
static void
vector_key(const struct vector *v, struct scram_key *key)
{
	size_t len = 0;
	uint8_t *salt = crypto_unbase64(v->salt, &len);
	char salted[32], client[32], server[32], stored[32];

	assert_int_equal(
	    gsasl_scram_secrets_from_password(
		v->hash == SCRAM_SHA1 ? GSASL_HASH_SHA1 : GSASL_HASH_SHA256,
		"pencil", 4096, (char *)salt, len, salted, client, server,
		stored),
	    GSASL_OK);
	memset(key, 0, sizeof(*key));
	key->iterations = 4096;
	key->salt_len = (uint8_t)len;
	memcpy(key->salt, salt, len);
	memcpy(key->stored_key, stored, v->hash == SCRAM_SHA1 ? 20 : 32);
	memcpy(key->server_key, server, v->hash == SCRAM_SHA1 ? 20 : 32);
	free(salt);
}

static void
vectors_of_the_rfcs(void **state)
{
	const struct text none = { NULL, 0 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct vector *v = &vectors[i];
		struct scram_key key;
		struct buf out = { 0 };
		struct scram s;

		vector_key(v, &key);
		scram_init(&s, v->hash);
		assert_int_equal(
		    scram_first(&s, v->first, strlen(v->first), v->nonce),
		    RES_OK);
		assert_string_equal(s.username, "user");
		scram_challenge(&s, &key, NULL, &out);
		assert_string_equal(buf_str(&out), v->server_first);
		buf_reset(&out);
		assert_int_equal(
		    scram_final(&s, v->final, strlen(v->final), &none, &out),
		    RES_OK);
		assert_string_equal(buf_str(&out), v->verifier);
		buf_clear(&out);
		scram_clear(&s);
	}
}

/* ---- GNU SASL's client ------------------------------------------------- */

struct attempt {
	const char *mechanism, *user, *password, *authzid;
	bool bound; /* the client has the binding's data */
};

static void
client_start(struct fixture *f, const struct attempt *a, Gsasl_session *client)
{
	char *cb = crypto_base64(BINDING, 32);

	gsasl_property_set(client, GSASL_AUTHID, a->user);
	gsasl_property_set(client, GSASL_PASSWORD, a->password);
	if (a->authzid != NULL)
		gsasl_property_set(client, GSASL_AUTHZID, a->authzid);
	if (a->bound)
		gsasl_property_set(client,
		    strcmp(f->type, "tls-unique") == 0 ? GSASL_CB_TLS_UNIQUE
						       : GSASL_CB_TLS_EXPORTER,
		    cb);
	free(cb);
}

/* The server's move, with the router's and the worker's answers in it. */
static enum sasl_result
server_move(struct fixture *f, struct sasl *s, const char *msg, size_t len,
    struct buf *out)
{
	struct scram_keys derived;
	enum sasl_result result = sasl_input(s, msg, len, out);

	if (result == SASL_KEYS)
		result = strcmp(sasl_user(s), "ann") == 0
		    ? sasl_keys(s, RES_OK, &f->keys, out)
		    : sasl_keys(s, RES_NOT_FOUND, NULL, out);
	if (result == SASL_DERIVE) {
		scram_derive_as(sasl_password(s), sasl_params(s), &derived);
		result = sasl_derived(s, &derived, out);
	}
	return result;
}

/* Plays a whole exchange; the condition of its failure, or NULL. */
static const char *
play(struct fixture *f, const struct attempt *a)
{
	Gsasl *ctx;
	Gsasl_session *client;
	struct sasl *s = sasl_new(a->mechanism, &f->env);
	struct buf in = { 0 };
	enum sasl_result result = SASL_CHALLENGE;
	const char *condition;
	char *out;
	size_t len;
	int rc;

	assert_non_null(s);
	assert_int_equal(gsasl_init(&ctx), GSASL_OK);
	assert_int_equal(
	    gsasl_client_start(ctx, a->mechanism, &client), GSASL_OK);
	client_start(f, a, client);
	while (result == SASL_CHALLENGE) {
		rc = gsasl_step(client, (char *)in.data, in.len, &out, &len);
		assert_true(rc == GSASL_OK || rc == GSASL_NEEDS_MORE);
		buf_reset(&in);
		result = server_move(f, s, out, len, &in);
		gsasl_free(out);
	}
	/* The client checks our proof, too. */
	if (result == SASL_SUCCESS && in.len > 0) {
		assert_int_equal(
		    gsasl_step(client, (char *)in.data, in.len, &out, &len),
		    GSASL_OK);
		gsasl_free(out);
	}
	condition = result == SASL_FAILED ? sasl_condition(s) : NULL;
	gsasl_finish(client);
	gsasl_done(ctx);
	buf_clear(&in);
	sasl_free(s);
	return condition;
}

static void
lets_the_right_ones_in(void **state)
{
	static const struct {
		struct attempt attempt;
		const char *type;
	} rows[] = {
		{ { "PLAIN", "ann", "pencil", NULL, false }, NULL },
		{ { "SCRAM-SHA-1", "ann", "pencil", NULL, false }, NULL },
		{ { "SCRAM-SHA-256", "ann", "pencil", NULL, false }, NULL },
		{ { "SCRAM-SHA-256", "ann", "pencil", NULL, false },
		    "tls-exporter" },
		{ { "SCRAM-SHA-1-PLUS", "ann", "pencil", NULL, true },
		    "tls-exporter" },
		{ { "SCRAM-SHA-256-PLUS", "ann", "pencil", NULL, true },
		    "tls-exporter" },
		{ { "SCRAM-SHA-256-PLUS", "ann", "pencil", NULL, true },
		    "tls-unique" },
		{ { "SCRAM-SHA-256", "ANN", "pencil", NULL, false }, NULL },
		{ { "SCRAM-SHA-256", "ann", "pencil", "ann@example.org",
		      false },
		    NULL },
		{ { "PLAIN", "ann", "pencil", "ANN@Example.Org", false },
		    NULL },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *condition;

		connection(f, rows[i].type);
		condition = play(f, &rows[i].attempt);
		if (condition != NULL)
			fail_msg("row %zu: %s", i, condition);
	}
}

static void
keeps_the_wrong_ones_out(void **state)
{
	static const struct {
		struct attempt attempt;
		const char *condition;
	} rows[] = {
		{ { "PLAIN", "ann", "pencils", NULL, false },
		    "not-authorized" },
		{ { "PLAIN", "eve", "pencil", NULL, false }, "not-authorized" },
		{ { "SCRAM-SHA-1", "ann", "pencils", NULL, false },
		    "not-authorized" },
		{ { "SCRAM-SHA-256", "ann", "pencils", NULL, false },
		    "not-authorized" },
		{ { "SCRAM-SHA-256", "eve", "pencil", NULL, false },
		    "not-authorized" },
		{ { "SCRAM-SHA-256", "a b", "pencil", NULL, false },
		    "not-authorized" },
		{ { "SCRAM-SHA-256", "ann", "pencil", "eve@example.org",
		      false },
		    "invalid-authzid" },
		{ { "PLAIN", "ann", "pencil", "ann@example.net", false },
		    "invalid-authzid" },
		{ { "PLAIN", "ann", "pencil", "ann", false },
		    "invalid-authzid" },
		{ { "PLAIN", "ann", "pencil", "ann@example.org/x", false },
		    "invalid-authzid" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(
		    play(f, &rows[i].attempt), rows[i].condition);
}

/* ---- by hand ----------------------------------------------------------- */

/* What the first message brings: a result, and the condition if it failed. */
static enum sasl_result
first(struct fixture *f, const char *mechanism, const char *msg, size_t len,
    const char **condition)
{
	struct sasl *s = sasl_new(mechanism, &f->env);
	struct buf out = { 0 };
	enum sasl_result result;

	assert_non_null(s);
	result = sasl_input(s, msg, len, &out);
	*condition = result == SASL_FAILED ? sasl_condition(s) : NULL;
	buf_clear(&out);
	sasl_free(s);
	return result;
}

/* RFC 5802, 6: what may be said of channel binding. */
static void
holds_clients_to_the_binding(void **state)
{
	static const struct {
		const char *type, *mechanism, *header;
		bool ok;
	} rows[] = {
		{ NULL, "SCRAM-SHA-1", "n,,", true },
		{ NULL, "SCRAM-SHA-1", "y,,", true },
		/* "y" where -PLUS was offered: somebody stripped the list. */
		{ "tls-exporter", "SCRAM-SHA-1", "y,,", false },
		{ "tls-exporter", "SCRAM-SHA-1", "n,,", true },
		/* "p" belongs to -PLUS, and -PLUS to "p". */
		{ "tls-exporter", "SCRAM-SHA-1", "p=tls-exporter,,", false },
		{ "tls-exporter", "SCRAM-SHA-1-PLUS", "n,,", false },
		{ "tls-exporter", "SCRAM-SHA-1-PLUS", "y,,", false },
		{ "tls-exporter", "SCRAM-SHA-1-PLUS", "p=tls-exporter,,",
		    true },
		{ "tls-server-end-point", "SCRAM-SHA-256-PLUS",
		    "p=tls-server-end-point,,", true },
		{ "tls-exporter", "SCRAM-SHA-1-PLUS", "p=tls-unique,,", false },
		{ "tls-exporter", "SCRAM-SHA-1-PLUS", "p=other,,", false },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *condition;
		char msg[64];

		connection(f, rows[i].type);
		snprintf(msg, sizeof(msg), "%sn=ann,r=abc", rows[i].header);
		first(f, rows[i].mechanism, msg, strlen(msg), &condition);
		if ((condition == NULL) != rows[i].ok)
			fail_msg("row %zu", i);
		if (condition != NULL)
			assert_string_equal(condition, "not-authorized");
	}
}

static void
refuses_malformed_first_messages(void **state)
{
	static const char *const rows[] = {
		"",
		"n",
		"n,",
		"n,,",
		"n,,n=ann",
		"n,,r=abc,n=ann",
		"n,,n=,r=abc",
		"n,,n=ann,r=",
		"n,,n=ann,r=a b",
		"n,,n=a=2cb,r=abc",
		"n,,n=a=b,r=abc",
		"n,,n=a=,r=abc",
		"n,,m=x,n=ann,r=abc",
		"n,,n=ann,r=abc,m=x",
		"n,,n=ann,r=abc,y=1,m=x",
		"n,,n=ann,r=abc,",
		"n,,n=ann,r=abc,x",
		"n,,n=ann,r=abc,x=",
		"n,,n=ann,r=abc,1=x",
		"n,x,n=ann,r=abc",
		"n,a=,n=ann,r=abc",
		"x,,n=ann,r=abc",
		"nn,,n=ann,r=abc",
		"p,,n=ann,r=abc",
		"p=,,n=ann,r=abc",
		"p=a b,,n=ann,r=abc",
		",,n=ann,r=abc",
		"n,,n=\xff\xfe,r=abc",
	};
	struct fixture *f = *state;
	const char *condition;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		first(f, "SCRAM-SHA-256", rows[i], strlen(rows[i]), &condition);
		if (condition == NULL ||
		    strcmp(condition, "malformed-request") != 0)
			fail_msg("row %zu: %s", i,
			    condition == NULL ? "taken" : condition);
	}
	first(f, "SCRAM-SHA-256", "n,,n=a\0b,r=abc", 14, &condition);
	assert_string_equal(condition, "malformed-request");
}

static void
takes_first_messages(void **state)
{
	static const struct {
		const char *msg, *user;
	} rows[] = {
		{ "n,,n=ann,r=abc", "ann" },
		{ "n,,n=ann,r=abc,x=later", "ann" }, /* extensions */
		{ "n,,n=a=2Cb=3D,r=abc", "a,b=" },
		{ "n,,n=J\xc3\xbcrgen,r=abc", "j\xc3\xbcrgen" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sasl *s = sasl_new("SCRAM-SHA-256", &f->env);
		struct buf out = { 0 };

		assert_int_equal(
		    sasl_input(s, rows[i].msg, strlen(rows[i].msg), &out),
		    SASL_KEYS);
		assert_string_equal(sasl_user(s), rows[i].user);
		buf_clear(&out);
		sasl_free(s);
	}
}

static void
refuses_malformed_plain(void **state)
{
	static const struct {
		const char *msg;
		size_t len;
	} rows[] = {
		{ "", 0 },
		{ "ann", 3 },
		{ "\0ann", 4 },
		{ "\0ann\0", 5 },
		{ "\0\0pencil", 8 },
		{ "\0ann\0pen\0cil", 12 },
		{ "\0ann\0\xff\xfe", 7 },
		{ "\xff\0ann\0pencil", 12 },
	};
	struct fixture *f = *state;
	const char *condition;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		first(f, "PLAIN", rows[i].msg, rows[i].len, &condition);
		assert_non_null(condition);
		assert_string_equal(condition, "malformed-request");
	}
}

/* What follows the challenge: replaced piece by piece. */
static void
refuses_wrong_final_messages(void **state)
{
	static const struct {
		const char *fmt; /* %1$s: the nonce */
		const char *condition;
	} rows[] = {
		{ "", "malformed-request" },
		{ "c=biws", "malformed-request" },
		{ "c=biws,r=%s", "malformed-request" },
		{ "c=biws,r=%s,p=", "malformed-request" },
		{ "c=biws,r=%s,p=####", "malformed-request" },
		{ "c=biws,r=%s,p=AAAA", "malformed-request" },
		{ "c=biws,r=%s,m=x,p="
		  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		    "malformed-request" },
		{ "c=biws,r=%s,x,p="
		  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		    "malformed-request" },
		{ "c=biws,r=%s,x=y,p="
		  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		    "not-authorized" },
		{ "r=%s,c=biws,p="
		  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		    "malformed-request" },
		{ "c=biws,r=%s,p="
		  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		    "not-authorized" },
		{ "c=biws,r=%sx,p="
		  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		    "not-authorized" },
		{ "c=eSws,r=%s,p="
		  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		    "not-authorized" },
	};
	struct fixture *f = *state;
	const char begin[] = "n,,n=ann,r=abc";

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sasl *s = sasl_new("SCRAM-SHA-256", &f->env);
		struct buf out = { 0 };
		char nonce[64], msg[256];

		assert_int_equal(
		    sasl_input(s, begin, strlen(begin), &out), SASL_KEYS);
		assert_int_equal(
		    sasl_keys(s, RES_OK, &f->keys, &out), SASL_CHALLENGE);
		snprintf(nonce, sizeof(nonce), "%.*s",
		    (int)strcspn(buf_str(&out) + 2, ","), buf_str(&out) + 2);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(msg, sizeof(msg), rows[i].fmt, nonce);
#pragma GCC diagnostic pop
		buf_reset(&out);
		assert_int_equal(
		    sasl_input(s, msg, strlen(msg), &out), SASL_FAILED);
		assert_string_equal(sasl_condition(s), rows[i].condition);
		assert_int_equal(out.len, 0);
		buf_clear(&out);
		sasl_free(s);
	}
}

/* A final message with a right proof over whatever it says. */
static void
sign(const struct fixture *f, const char *bare, const char *server_first,
    const char *without_proof, char msg[512])
{
	char salted[32], client[32], server[32], stored[32];
	uint8_t signature[32];
	struct buf auth = { 0 };
	char *proof;

	assert_int_equal(
	    gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, "pencil",
		f->keys.sha256.iterations, (const char *)f->keys.sha256.salt,
		16, salted, client, server, stored),
	    GSASL_OK);
	buf_addf(&auth, "%s,%s,%s", bare, server_first, without_proof);
	crypto_hmac_sha256(stored, 32, auth.data, auth.len, signature);
	for (size_t i = 0; i < 32; i++)
		signature[i] ^= (uint8_t)client[i];
	proof = crypto_base64(signature, 32);
	snprintf(msg, 512, "%s,p=%s", without_proof, proof);
	free(proof);
	buf_clear(&auth);
}

/* RFC 5802, 5.1, "c" and "r": who knows the password must mean this very
 * exchange and this connection. */
static void
a_right_proof_is_not_enough(void **state)
{
	static const struct {
		const char *header, *cbind, *nonce_suffix;
		bool ok;
	} rows[] = {
		{ "n,,", "n,,", "", true },
		{ "n,,", "n,,", "x", false },
		{ "n,,", "y,,", "", false },
		{ "n,,", "n,,x", "", false },
		{ "p=tls-exporter,,", "p=tls-exporter,," BINDING, "", true },
		{ "p=tls-exporter,,", "p=tls-exporter,,", "", false },
		{ "p=tls-exporter,,", "p=tls-exporter,,other", "", false },
		{ "p=tls-exporter,,", "n,,", "", false },
	};
	struct fixture *f = *state;

	connection(f, "tls-exporter");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sasl *s =
		    sasl_new(rows[i].header[0] == 'p' ? "SCRAM-SHA-256-PLUS"
						      : "SCRAM-SHA-256",
			&f->env);
		char first_msg[64], without_proof[256], msg[512];
		struct buf out = { 0 };
		char *cbind;

		snprintf(first_msg, sizeof(first_msg), "%sn=ann,r=abc",
		    rows[i].header);
		assert_int_equal(
		    sasl_input(s, first_msg, strlen(first_msg), &out),
		    SASL_KEYS);
		assert_int_equal(
		    sasl_keys(s, RES_OK, &f->keys, &out), SASL_CHALLENGE);
		cbind = crypto_base64(rows[i].cbind, strlen(rows[i].cbind));
		snprintf(without_proof, sizeof(without_proof), "c=%s,%.*s%s",
		    cbind, (int)strcspn(buf_str(&out), ","), buf_str(&out),
		    rows[i].nonce_suffix);
		sign(f, "n=ann,r=abc", buf_str(&out), without_proof, msg);
		buf_reset(&out);
		if ((sasl_input(s, msg, strlen(msg), &out) == SASL_SUCCESS) !=
		    rows[i].ok)
			fail_msg("row %zu", i);
		free(cbind);
		buf_clear(&out);
		sasl_free(s);
	}
}

/* No answer tells an account that exists from one that does not. */
static void
makes_keys_up_for_unknown_accounts(void **state)
{
	struct fixture *f = *state;
	char salts[3][128];
	static const char *const users[] = { "eve", "eve", "mallory" };

	for (size_t i = 0; i < 3; i++) {
		struct sasl *s = sasl_new("SCRAM-SHA-256", &f->env);
		struct buf out = { 0 };
		char msg[64];

		snprintf(msg, sizeof(msg), "n,,n=%s,r=abc", users[i]);
		assert_int_equal(
		    sasl_input(s, msg, strlen(msg), &out), SASL_KEYS);
		assert_int_equal(
		    sasl_keys(s, RES_NOT_FOUND, NULL, &out), SASL_CHALLENGE);
		snprintf(salts[i], sizeof(salts[i]), "%s",
		    strstr(buf_str(&out), ",s="));
		assert_non_null(strstr(salts[i], ",i=4096"));
		buf_clear(&out);
		sasl_free(s);
	}
	assert_string_equal(salts[0], salts[1]);
	assert_string_not_equal(salts[0], salts[2]);
}

/* Whatever fits them. */
static void
made_up_keys_let_nobody_in(void **state)
{
	static const char plain[] = "\0eve\0pencil";
	struct fixture *f = *state;
	struct sasl *s = sasl_new("PLAIN", &f->env);
	struct buf out = { 0 };

	assert_int_equal(
	    sasl_input(s, plain, sizeof(plain) - 1, &out), SASL_KEYS);
	assert_int_equal(sasl_keys(s, RES_NOT_FOUND, NULL, &out), SASL_DERIVE);
	assert_int_equal(sasl_derived(s, sasl_params(s), &out), SASL_FAILED);
	assert_string_equal(sasl_condition(s), "not-authorized");
	sasl_free(s);
}

static void
fails_for_now_without_a_leader(void **state)
{
	struct fixture *f = *state;
	struct sasl *s = sasl_new("SCRAM-SHA-1", &f->env);
	struct buf out = { 0 };

	assert_int_equal(sasl_input(s, "n,,n=ann,r=abc", 14, &out), SASL_KEYS);
	assert_int_equal(sasl_keys(s, RES_NO_LEADER, NULL, &out), SASL_FAILED);
	assert_string_equal(sasl_condition(s), "temporary-auth-failure");
	sasl_free(s);
}

/* RFC 6120, 6.4.2: no initial response, an empty challenge; and a client that
 * speaks when it isn't its turn. */
static void
keeps_the_order(void **state)
{
	struct fixture *f = *state;
	struct sasl *s = sasl_new("SCRAM-SHA-1", &f->env);
	struct buf out = { 0 };

	assert_int_equal(sasl_input(s, NULL, 0, &out), SASL_CHALLENGE);
	assert_int_equal(out.len, 0);
	assert_int_equal(sasl_input(s, "n,,n=ann,r=abc", 14, &out), SASL_KEYS);
	assert_int_equal(
	    sasl_input(s, "n,,n=ann,r=abc", 14, &out), SASL_FAILED);
	assert_string_equal(sasl_condition(s), "malformed-request");
	sasl_free(s);
}

/* Strongest first; and XEP-0440 lists what is valid for the connection:
 * tls-unique isn't defined for TLS 1.3, but taken from who uses it there. */
static void
offers_the_strongest_first(void **state)
{
#define M(name) "<mechanism>" name "</mechanism>"
#define PLUS M("SCRAM-SHA-256-PLUS") M("SCRAM-SHA-1-PLUS")
#define ALWAYS M("SCRAM-SHA-256") M("SCRAM-SHA-1") M("PLAIN")
#define CB(name) "<channel-binding type='" name "'/>"
	static const struct {
		const char *type;
		bool tls_12;
		const char *mechanisms, *bindings;
	} rows[] = {
		{ NULL, true, ALWAYS, "" },
		{ "tls-exporter", false, PLUS ALWAYS, CB("tls-exporter") },
		{ "tls-exporter tls-unique tls-server-end-point", false,
		    PLUS ALWAYS,
		    CB("tls-exporter") CB("tls-server-end-point") },
		{ "tls-exporter tls-unique tls-server-end-point", true,
		    PLUS ALWAYS,
		    CB("tls-exporter") CB("tls-unique")
			CB("tls-server-end-point") },
		{ "tls-unique tls-server-end-point", true, PLUS ALWAYS,
		    CB("tls-unique") CB("tls-server-end-point") },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out = { 0 }, want = { 0 };

		connection(f, rows[i].type);
		f->env.tls_12 = rows[i].tls_12;
		sasl_mechanisms(&f->env, &out);
		assert_string_equal(buf_str(&out), rows[i].mechanisms);
		buf_reset(&out);
		if (rows[i].type != NULL)
			buf_addf(&want,
			    "<sasl-channel-binding "
			    "xmlns='urn:xmpp:sasl-cb:0'>%s"
			    "</sasl-channel-binding>",
			    rows[i].bindings);
		sasl_bindings(&f->env, &out);
		assert_string_equal(buf_str(&out), buf_str(&want));
		buf_clear(&want);
		buf_clear(&out);
	}
	connection(f, NULL);
	assert_null(sasl_new("SCRAM-SHA-1-PLUS", &f->env));
	assert_null(sasl_new("scram-sha-1", &f->env));
	assert_null(sasl_new("DIGEST-MD5", &f->env));
	assert_null(sasl_new("", &f->env));
}

/* XEP-0474, 5.3: its example's text and hash. */
static void
hashes_the_offer_as_in_the_example(void **state)
{
	const char text[] = "SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1f"
			    "tls-exporter\x1etls-server-end-point";
	struct buf offer = { 0 }, out = { 0 };
	struct scram_key key = { .iterations = 4096 };
	struct scram s;

	(void)state;
	scram_init(&s, SCRAM_SHA1);
	assert_int_equal(scram_first(&s, "n,,n=a,r=b", 10, "c"), RES_OK);
	buf_add_str(&offer, text);
	scram_challenge(&s, &key, &offer, &out);
	assert_non_null(
	    strstr(buf_str(&out), ",h=G6k/rBLDqgOhRRaCuuatSDFkJ08="));
	buf_clear(&offer);
	buf_clear(&out);
	scram_clear(&s);
}

/* What a connection offers, sorted by bytes, goes into the hash. */
static void
challenges_with_the_hash_of_the_offer(void **state)
{
	static const struct {
		const char *type, *text;
	} rows[] = {
		{ NULL, "PLAIN\x1eSCRAM-SHA-1\x1eSCRAM-SHA-256" },
		{ "tls-exporter tls-server-end-point",
		    "PLAIN\x1eSCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1e"
		    "SCRAM-SHA-256\x1eSCRAM-SHA-256-PLUS\x1f"
		    "tls-exporter\x1etls-server-end-point" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out = { 0 };
		struct sasl *s;
		uint8_t digest[32];
		char *h;

		connection(f, rows[i].type);
		s = sasl_new("SCRAM-SHA-256", &f->env);
		assert_int_equal(
		    sasl_input(s, "n,,n=ann,r=abc", 14, &out), SASL_KEYS);
		assert_int_equal(
		    sasl_keys(s, RES_OK, &f->keys, &out), SASL_CHALLENGE);
		crypto_sha256(rows[i].text, strlen(rows[i].text), digest);
		h = crypto_base64(digest, sizeof(digest));
		assert_string_equal(strstr(buf_str(&out), ",h=") + 3, h);
		free(h);
		buf_clear(&out);
		sasl_free(s);
	}
}

/* XEP-0388, 2.3: an authorization identity other than the header's is wrong. */
static void
an_authzid_is_the_one_of_the_header(void **state)
{
	static const struct {
		const char *from, *authzid;
		bool ok;
	} rows[] = {
		{ NULL, "ann@example.org", true },
		{ "ann@example.org", "ann@example.org", true },
		{ "bob@example.org", "ann@example.org", false },
		{ "bob@example.org", NULL, true },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct attempt a = { "SCRAM-SHA-256", "ann", "pencil",
			rows[i].authzid, false };
		const char *condition;

		f->env.from = rows[i].from;
		condition = play(f, &a);
		if ((condition == NULL) != rows[i].ok)
			fail_msg("row %zu", i);
		if (condition != NULL)
			assert_string_equal(condition, "invalid-authzid");
	}
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(vectors_of_the_rfcs),
		T(lets_the_right_ones_in),
		T(keeps_the_wrong_ones_out),
		T(holds_clients_to_the_binding),
		T(refuses_malformed_first_messages),
		T(takes_first_messages),
		T(refuses_malformed_plain),
		T(refuses_wrong_final_messages),
		T(a_right_proof_is_not_enough),
		T(makes_keys_up_for_unknown_accounts),
		T(made_up_keys_let_nobody_in),
		T(fails_for_now_without_a_leader),
		T(keeps_the_order),
		T(offers_the_strongest_first),
		T(hashes_the_offer_as_in_the_example),
		T(challenges_with_the_hash_of_the_offer),
		T(an_authzid_is_the_one_of_the_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
