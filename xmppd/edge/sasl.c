/*
 * SASL exchanges. The states and who moves them on:
 *
 *   SCRAM  FIRST -client-first-> KEYS -sasl_keys-> FINAL -client-final-> DONE
 *   PLAIN  FIRST -message-> KEYS -sasl_keys-> DERIVE -sasl_derived-> DONE
 *
 * An account that doesn't exist takes the same way with keys that are made up
 * from its name, and fails at its end, so that no answer tells it apart.
 */
#include "xmppd/edge/sasl.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/jid.h"
#include "common/result.h"
#include "common/stanza.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/edge/scram.h"

#define NS_CHANNEL_BINDING "urn:xmpp:sasl-cb:0"

enum sasl_state {
	SASL_FIRST,
	SASL_WAIT_KEYS,
	SASL_FINAL,
	SASL_WAIT_DERIVED,
	SASL_DONE
};

struct mechanism {
	const char *name;
	bool plain, plus;
	enum scram_hash hash;
};

/* In the order in which they are offered (RFC 6120, 6.3.3). */
static const struct mechanism mechanisms[] = {
	{ "SCRAM-SHA-256-PLUS", .plus = true, .hash = SCRAM_SHA256 },
	{ "SCRAM-SHA-1-PLUS", .plus = true, .hash = SCRAM_SHA1 },
	{ "SCRAM-SHA-256", .hash = SCRAM_SHA256 },
	{ "SCRAM-SHA-1", .hash = SCRAM_SHA1 },
	{ "PLAIN", .plain = true, .hash = SCRAM_SHA256 },
};

/*
 * Types of channel binding, in the order of preference. tls-unique isn't
 * defined for TLS 1.3 and so not listed there, but clients that know of no
 * other (slixmpp) use it all the same, with what OpenSSL calls the Finished
 * message: as good a binding, and better than driving them to PLAIN.
 */
static const char *const bindings[SASL_BINDINGS] = {
	[SASL_EXPORTER] = "tls-exporter",
	[SASL_UNIQUE] = "tls-unique",
	[SASL_END_POINT] = "tls-server-end-point",
};

#define BIT(binding) (1U << (binding))

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct sasl {
	const struct sasl_env *env;
	const struct mechanism *mechanism;
	enum sasl_state state;
	struct scram scram;
	char *user; /* prepared; "" if that is impossible */
	char *password;
	struct scram_keys keys;
	bool known; /* the account exists */
	const char *condition;
};

/* ---- what is offered --------------------------------------------------- */

void
sasl_env_ready(struct sasl_env *env)
{
	env->bindings = 0;
	for (unsigned i = 0; i < SASL_BINDINGS; i++)
		if (env->binding(env->arg, (enum sasl_binding)i, NULL) > 0)
			env->bindings |= BIT(i);
}

static bool
is_listed(const struct sasl_env *env, unsigned binding)
{
	if (binding == SASL_UNIQUE && !env->tls_12)
		return false;
	return (env->bindings & BIT(binding)) != 0;
}

static bool
is_offered(const struct sasl_env *env, const struct mechanism *m)
{
	if (env->sha1_only && !m->plain && m->hash == SCRAM_SHA256)
		return false;
	return !m->plus || env->bindings != 0;
}

void
sasl_mechanisms(const struct sasl_env *env, struct buf *out)
{
	for (size_t i = 0; i < COUNT(mechanisms); i++)
		if (is_offered(env, &mechanisms[i]))
			buf_addf(out, "<mechanism>%s</mechanism>",
			    mechanisms[i].name);
}

void
sasl_bindings(const struct sasl_env *env, struct buf *out)
{
	if (env->bindings == 0)
		return;
	buf_add_str(
	    out, "<sasl-channel-binding xmlns='" NS_CHANNEL_BINDING "'>");
	for (unsigned i = 0; i < SASL_BINDINGS; i++)
		if (is_listed(env, i))
			buf_addf(
			    out, "<channel-binding type='%s'/>", bindings[i]);
	buf_add_str(out, "</sasl-channel-binding>");
}

static int
name_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
add_sorted(struct buf *out, const char **names, size_t count)
{
	qsort(names, count, sizeof(*names), name_cmp);
	for (size_t i = 0; i < count; i++)
		buf_addf(out, "%s%s", i == 0 ? "" : "\x1e", names[i]);
}

/* XEP-0474, 5.1: what was offered, in the form that its hash is made of. */
static void
offer_write(const struct sasl_env *env, struct buf *out)
{
	const char *names[COUNT(mechanisms) + SASL_BINDINGS];
	size_t count = 0;

	for (size_t i = 0; i < COUNT(mechanisms); i++)
		if (is_offered(env, &mechanisms[i]))
			names[count++] = mechanisms[i].name;
	add_sorted(out, names, count);
	if (env->bindings == 0)
		return;
	count = 0;
	for (unsigned i = 0; i < SASL_BINDINGS; i++)
		if (is_listed(env, i))
			names[count++] = bindings[i];
	buf_add_str(out, "\x1f");
	add_sorted(out, names, count);
}

/* The data of the binding that the client has named; 0: there is none. */
static size_t
binding_data(const struct sasl *s, uint8_t out[64])
{
	const struct sasl_env *env = s->env;

	for (unsigned i = 0; i < SASL_BINDINGS; i++)
		if (strcmp(bindings[i], s->scram.binding_type) == 0)
			return env->binding(
			    env->arg, (enum sasl_binding)i, out);
	return 0;
}

/* ---- life -------------------------------------------------------------- */

struct sasl *
sasl_new(const char *mechanism, const struct sasl_env *env)
{
	struct sasl *s;

	for (size_t i = 0; i < COUNT(mechanisms); i++) {
		if (strcmp(mechanisms[i].name, mechanism) != 0)
			continue;
		if (!is_offered(env, &mechanisms[i]))
			return NULL;
		s = xcalloc(1, sizeof(*s));
		s->env = env;
		s->mechanism = &mechanisms[i];
		scram_init(&s->scram, mechanisms[i].hash);
		return s;
	}
	return NULL;
}

void
sasl_free(struct sasl *s)
{
	if (s == NULL)
		return;
	scram_clear(&s->scram);
	crypto_wipe(&s->keys, sizeof(s->keys));
	crypto_wipe_free(s->password);
	free(s->user);
	free(s);
}

const char *
sasl_mechanism(const struct sasl *s)
{
	return s->mechanism->name;
}

const char *
sasl_condition(const struct sasl *s)
{
	return s->condition;
}

const char *
sasl_user(const struct sasl *s)
{
	return s->user == NULL ? "" : s->user;
}

const char *
sasl_password(const struct sasl *s)
{
	return s->password;
}

const struct scram_keys *
sasl_params(const struct sasl *s)
{
	return &s->keys;
}

static enum sasl_result
fail(struct sasl *s, const char *condition)
{
	s->state = SASL_DONE;
	s->condition = condition;
	return SASL_FAILED;
}

/* Whatever fits keys that are made up, it lets nobody in. */
static enum sasl_result
succeed(struct sasl *s)
{
	if (!s->known)
		return fail(s, "not-authorized");
	s->state = SASL_DONE;
	return SASL_SUCCESS;
}

/* ---- who it is --------------------------------------------------------- */

/* RFC 6120, 6.3.8: an authorization identity is a bare JID, and nobody may act
 * for another account; XEP-0388, 2.3: nor than the header has named. */
static bool
authzid_is_own(const struct sasl *s, const char *authzid)
{
	struct jid jid;
	char *own;
	bool same;

	if (authzid == NULL || authzid[0] == '\0')
		return true;
	if (jid_parse(authzid, strlen(authzid), &jid) != 0)
		return false;
	xasprintf(&own, "%s@%s", sasl_user(s), s->env->domain);
	same = strcmp(own, jid.full) == 0 &&
	    (s->env->from == NULL || strcmp(own, s->env->from) == 0);
	free(own);
	jid_clear(&jid);
	return same;
}

static enum sasl_result
identify(
    struct sasl *s, const char *authcid, const char *authzid, struct buf *out)
{
	s->user = jid_prep_local(authcid);
	if (!authzid_is_own(s, authzid))
		return fail(s, "invalid-authzid");
	s->state = SASL_WAIT_KEYS;
	if (s->user == NULL)
		return sasl_keys(s, RES_NOT_FOUND, NULL, out);
	return SASL_KEYS;
}

/* Keys of an account that doesn't exist: the same whenever one asks. */
static void
made_up_key(const struct sasl *s, const char *hash, struct scram_key *key)
{
	uint8_t digest[32];
	char *text;

	xasprintf(&text, "%s:%s@%s", hash, sasl_user(s), s->env->domain);
	crypto_hmac_sha256(
	    s->env->secret, strlen(s->env->secret), text, strlen(text), digest);
	key->salt_len = SCRAM_SALT;
	memcpy(key->salt, digest, SCRAM_SALT);
	key->iterations = SCRAM_ITERATIONS;
	memcpy(key->stored_key, digest, sizeof(key->stored_key));
	memcpy(key->server_key, digest, sizeof(key->server_key));
	free(text);
}

/* ---- SCRAM ------------------------------------------------------------- */

/*
 * What the client may say of channel binding (RFC 5802, 6): a -PLUS mechanism
 * uses one that this connection has; another mechanism none; and "y" ("you seem
 * to have none") is a sign of a stripped list where -PLUS was offered.
 */
static bool
binding_is_fitting(const struct sasl *s)
{
	uint8_t data[64];

	switch (s->scram.binding) {
	case 'p':
		return s->mechanism->plus && binding_data(s, data) > 0;
	case 'y':
		return !s->mechanism->plus && s->env->bindings == 0;
	default:
		return !s->mechanism->plus;
	}
}

static enum sasl_result
scram_begin(struct sasl *s, const char *msg, size_t len, struct buf *out)
{
	char nonce[25];

	crypto_random_text(nonce, sizeof(nonce) - 1);
	if (scram_first(&s->scram, msg, len, nonce) != RES_OK)
		return fail(s, "malformed-request");
	if (!binding_is_fitting(s))
		return fail(s, "not-authorized");
	return identify(s, s->scram.username, s->scram.authzid, out);
}

static enum sasl_result
scram_end(struct sasl *s, const char *msg, size_t len, struct buf *out)
{
	uint8_t data[64];
	struct text binding = { (const char *)data, 0 };
	int rc;

	if (s->scram.binding == 'p')
		binding.len = binding_data(s, data);
	rc = scram_final(&s->scram, msg, len, &binding, out);
	if (rc == RES_INVALID)
		return fail(s, "malformed-request");
	return rc == RES_OK ? succeed(s) : fail(s, "not-authorized");
}

/* ---- PLAIN ------------------------------------------------------------- */

/* RFC 4616, 2: [authzid] NUL authcid NUL passwd. */
static enum sasl_result
plain(struct sasl *s, const char *msg, size_t len, struct buf *out)
{
	const char *end = msg + len, *authcid, *password;
	char *copy;
	enum sasl_result rc;

	authcid = memchr(msg, '\0', len);
	if (authcid == NULL)
		return fail(s, "malformed-request");
	authcid++;
	password = memchr(authcid, '\0', (size_t)(end - authcid));
	if (password == NULL || password == authcid)
		return fail(s, "malformed-request");
	password++;
	if (password == end || !str_is_utf8(msg, len) ||
	    memchr(password, '\0', (size_t)(end - password)) != NULL)
		return fail(s, "malformed-request");
	/* The parts end with NUL but for the password. */
	s->password = xstrndup(password, (size_t)(end - password));
	copy = xmemdup(msg, len - strlen(s->password));
	rc = identify(s, copy + (authcid - msg), copy, out);
	free(copy);
	return rc;
}

/* ---- moves ------------------------------------------------------------- */

enum sasl_result
sasl_input(struct sasl *s, const void *msg, size_t len, struct buf *out)
{
	switch (s->state) {
	case SASL_FIRST:
		if (msg == NULL)
			return SASL_CHALLENGE; /* an empty one: go on */
		return s->mechanism->plain ? plain(s, msg, len, out)
					   : scram_begin(s, msg, len, out);
	case SASL_FINAL:
		return scram_end(s, msg == NULL ? "" : msg, len, out);
	case SASL_WAIT_KEYS:
	case SASL_WAIT_DERIVED:
	case SASL_DONE:
		break;
	}
	/* It wasn't the client's turn. */
	return fail(s, "malformed-request");
}

/* Whether an account has the key that the mechanism needs. */
static bool
has_key(const struct sasl *s, const struct scram_keys *keys)
{
	if (s->mechanism->plain)
		return keys->sha1.iterations > 0 || keys->sha256.iterations > 0;
	return (s->mechanism->hash == SCRAM_SHA1 ? keys->sha1 : keys->sha256)
		   .iterations > 0;
}

enum sasl_result
sasl_keys(
    struct sasl *s, int code, const struct scram_keys *keys, struct buf *out)
{
	struct buf offer = { 0 };

	if (code != RES_OK && code != RES_NOT_FOUND)
		return fail(s, "temporary-auth-failure");
	s->known = code == RES_OK;
	/* Made up in any case, so that it takes as long. */
	if (s->mechanism->hash == SCRAM_SHA1)
		made_up_key(s, "sha1", &s->keys.sha1);
	else
		made_up_key(s, "sha256", &s->keys.sha256);
	if (s->known && !has_key(s, keys))
		s->known = false; /* one that was imported without */
	if (s->known)
		s->keys = *keys;
	if (s->mechanism->plain) {
		/* One hash is enough to compare. */
		if (s->keys.sha256.iterations > 0)
			memset(&s->keys.sha1, 0, sizeof(s->keys.sha1));
		s->state = SASL_WAIT_DERIVED;
		return SASL_DERIVE;
	}
	s->state = SASL_FINAL;
	offer_write(s->env, &offer);
	scram_challenge(&s->scram,
	    s->mechanism->hash == SCRAM_SHA1 ? &s->keys.sha1 : &s->keys.sha256,
	    &offer, out);
	buf_clear(&offer);
	return SASL_CHALLENGE;
}

enum sasl_result
sasl_derived(struct sasl *s, const struct scram_keys *derived, struct buf *out)
{
	bool same = s->keys.sha256.iterations > 0
	    ? crypto_equal(derived->sha256.stored_key,
		  s->keys.sha256.stored_key, sizeof(s->keys.sha256.stored_key))
	    : crypto_equal(derived->sha1.stored_key, s->keys.sha1.stored_key,
		  sizeof(s->keys.sha1.stored_key));

	(void)out;
	crypto_wipe_free(s->password);
	s->password = NULL;
	return same ? succeed(s) : fail(s, "not-authorized");
}
