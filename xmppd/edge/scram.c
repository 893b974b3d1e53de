/*
 * SCRAM over OpenSSL's digests, and not GNU SASL's server, because the latter
 *
 *   has no tls-server-end-point, and what the client calls its binding is part
 *   of what is signed, so it can't be put in from around it;
 *   asks for the keys from inside its step, while ours come over the link;
 *   lets "p=..." pass on a mechanism without -PLUS.
 *
 * The tests hold it against the vectors of RFC 5802, 5, and RFC 7677, 3, and
 * against GNU SASL's client.
 *
 *   scram_first      n,,n=user,r=fyko...
 *   scram_challenge  r=fyko...3rfc...,s=QSXC...,i=4096,h=G6k/...
 *   scram_final      c=biws,r=fyko...3rfc...,p=v0X8...  ->  v=rmF9...
 */
#include "xmppd/edge/scram.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/result.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

#define HASH_MAX 32

static size_t
hash_len(const struct scram *s)
{
	return s->hash == SCRAM_SHA1 ? 20 : 32;
}

static void
hash(const struct scram *s, const uint8_t *data, size_t len, uint8_t *out)
{
	if (s->hash == SCRAM_SHA1)
		crypto_sha1(data, len, out);
	else
		crypto_sha256(data, len, out);
}

static void
hmac(const struct scram *s, const uint8_t *key, const struct buf *data,
    uint8_t *out)
{
	if (s->hash == SCRAM_SHA1)
		crypto_hmac_sha1(key, hash_len(s), data->data, data->len, out);
	else
		crypto_hmac_sha256(
		    key, hash_len(s), data->data, data->len, out);
}

void
scram_init(struct scram *s, enum scram_hash which)
{
	memset(s, 0, sizeof(*s));
	s->hash = which;
}

void
scram_clear(struct scram *s)
{
	free(s->binding_type);
	free(s->authzid);
	free(s->username);
	free(s->gs2_header);
	free(s->first_bare);
	free(s->nonce);
	free(s->server_first);
	scram_init(s, s->hash);
}

/* ---- reading ----------------------------------------------------------- */

/* The text up to the next comma, which is taken too; NULL at the end. */
static char *
field_take(const char **at)
{
	size_t len;
	char *field;

	if (*at == NULL)
		return NULL;
	len = strcspn(*at, ",");
	field = xstrndup(*at, len);
	*at = (*at)[len] == ',' ? *at + len + 1 : NULL;
	return field;
}

/* The value of "x=value"; NULL if it is another attribute or empty. */
static const char *
value_of(const char *field, char name)
{
	if (field == NULL || field[0] != name || field[1] != '=' ||
	    field[2] == '\0')
		return NULL;
	return field + 2;
}

/* A saslname, in place: '=2C' is a comma and '=3D' is '=' (RFC 5802, 5.1). */
static bool
saslname_decode(char *name)
{
	char *out = name;

	for (; *name != '\0'; name++) {
		if (*name != '=') {
			*out++ = *name;
			continue;
		}
		if (strncmp(name, "=2C", 3) == 0)
			*out++ = ',';
		else if (strncmp(name, "=3D", 3) == 0)
			*out++ = '=';
		else
			return false;
		name += 2;
	}
	*out = '\0';
	return true;
}

static bool
saslname_take(const char **at, char name, char **out)
{
	char *field = field_take(at);
	const char *value = value_of(field, name);
	bool ok = false;

	if (value != NULL) {
		*out = xstrdup(value);
		ok = saslname_decode(*out);
	}
	free(field);
	return ok;
}

/* cb-name: letters, digits, '.' and '-' (RFC 5802, 7). */
static bool
binding_read(struct scram *s, const char *field)
{
	const char *type;

	s->binding = field[0];
	if (strcmp(field, "n") == 0 || strcmp(field, "y") == 0)
		return true;
	type = value_of(field, 'p');
	if (type == NULL ||
	    type[strspn(type,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789.-")] != '\0')
		return false;
	s->binding_type = xstrdup(type);
	return true;
}

/* gs2-header: what the client says of channel binding, and for whom it acts. */
static bool
header_read(struct scram *s, const char **at)
{
	const char *start = *at;
	char *field = field_take(at);
	bool ok = binding_read(s, field);

	free(field);
	if (!ok || *at == NULL)
		return false;
	if (**at == ',')
		(*at)++;
	else if (!saslname_take(at, 'a', &s->authzid) || *at == NULL)
		return false;
	s->gs2_header = xstrndup(start, (size_t)(*at - start));
	return true;
}

/* A nonce: printable ASCII without a comma (RFC 5802, 7). */
static bool
nonce_is_printable(const char *nonce)
{
	for (; *nonce != '\0'; nonce++)
		if (*nonce < 0x21 || *nonce > 0x7e)
			return false;
	return true;
}

/*
 * What may follow the fields that are known: more of "x=value" (RFC 5802, 7:
 * extensions), which count for nothing; but "m=" is an extension that must be
 * understood (5.1), and there are none. Takes the fields up to `at`'s end.
 */
static bool
extensions_read(const char **at)
{
	bool ok = true;

	while (ok && *at != NULL) {
		char *field = field_take(at);

		ok = isalpha((unsigned char)field[0]) && field[0] != 'm' &&
		    field[1] == '=' && field[2] != '\0';
		free(field);
	}
	return ok;
}

static bool
bare_read(struct scram *s, const char *at, const char *nonce)
{
	char *field;
	const char *value;
	bool ok = false;

	s->first_bare = xstrdup(at);
	if (!saslname_take(&at, 'n', &s->username))
		return false;
	field = field_take(&at);
	value = value_of(field, 'r');
	if (value != NULL && nonce_is_printable(value)) {
		xasprintf(&s->nonce, "%s%s", value, nonce);
		ok = true;
	}
	free(field);
	return ok && extensions_read(&at);
}

static bool
is_text(const char *msg, size_t len)
{
	return len > 0 && memchr(msg, '\0', len) == NULL &&
	    str_is_utf8(msg, len);
}

int
scram_first(struct scram *s, const char *msg, size_t len, const char *nonce)
{
	const char *at;
	char *copy;
	bool ok;

	if (!is_text(msg, len))
		return RES_INVALID;
	at = copy = xstrndup(msg, len);
	ok = header_read(s, &at) && bare_read(s, at, nonce);
	free(copy);
	return ok ? RES_OK : RES_INVALID;
}

void
scram_challenge(struct scram *s, const struct scram_key *key,
    const struct buf *offer, struct buf *out)
{
	char *salt = crypto_base64(key->salt, key->salt_len), *h;
	uint8_t digest[HASH_MAX];
	struct buf b = { 0 };

	s->key = key;
	buf_addf(&b, "r=%s,s=%s,i=%u", s->nonce, salt, key->iterations);
	free(salt);
	if (offer != NULL) {
		hash(s, offer->data, offer->len, digest);
		h = crypto_base64(digest, hash_len(s));
		buf_addf(&b, ",h=%s", h);
		free(h);
	}
	s->server_first = buf_steal_str(&b);
	buf_add_str(out, s->server_first);
}

/* ---- the proof --------------------------------------------------------- */

/* Whether "c=" is the header of the first message and the binding's data. */
static bool
binding_is_right(
    const struct scram *s, const char *sent, const struct text *binding)
{
	struct buf want = { 0 };
	char *encoded;
	bool ok;

	buf_add_str(&want, s->gs2_header);
	if (s->binding == 'p') {
		if (binding->len == 0)
			return false;
		buf_add(&want, binding->data, binding->len);
	}
	encoded = crypto_base64(want.data, want.len);
	ok = crypto_equal_str(encoded, sent);
	free(encoded);
	buf_clear(&want);
	return ok;
}

/* RFC 5802, 3: ClientKey = ClientProof XOR ClientSignature, and its hash is
 * what is stored. */
static bool
proof_is_right(
    const struct scram *s, const struct buf *auth, const uint8_t *proof)
{
	uint8_t key[HASH_MAX], stored[HASH_MAX];
	size_t len = hash_len(s);
	bool ok;

	hmac(s, s->key->stored_key, auth, key);
	for (size_t i = 0; i < len; i++)
		key[i] ^= proof[i];
	hash(s, key, len, stored);
	ok = crypto_equal(stored, s->key->stored_key, len);
	crypto_wipe(key, sizeof(key));
	return ok;
}

static void
verifier_write(const struct scram *s, const struct buf *auth, struct buf *out)
{
	uint8_t signature[HASH_MAX];
	char *encoded;

	hmac(s, s->key->server_key, auth, signature);
	encoded = crypto_base64(signature, hash_len(s));
	buf_addf(out, "v=%s", encoded);
	free(encoded);
}

/* Checks the fields in order; `without_proof` is the message up to ",p=". */
static int
final_check(struct scram *s, const char *without_proof, const char *proof_text,
    const struct text *binding, struct buf *out)
{
	const char *at = without_proof;
	char *c = field_take(&at), *r = field_take(&at);
	const char *bound = value_of(c, 'c'), *nonce = value_of(r, 'r');
	struct buf auth = { 0 };
	size_t len = 0;
	uint8_t *proof = crypto_unbase64(proof_text, &len);
	bool same_binding, same_nonce;
	int rc = RES_INVALID;

	if (bound == NULL || nonce == NULL || proof == NULL ||
	    len != hash_len(s) || !extensions_read(&at))
		goto out;
	buf_addf(
	    &auth, "%s,%s,%s", s->first_bare, s->server_first, without_proof);
	rc = RES_DENIED;
	/* All three, whatever the first says: no time tells them apart. */
	same_binding = binding_is_right(s, bound, binding);
	same_nonce = crypto_equal_str(nonce, s->nonce);
	if (proof_is_right(s, &auth, proof) && same_nonce && same_binding) {
		verifier_write(s, &auth, out);
		rc = RES_OK;
	}
out:
	buf_clear(&auth);
	free(proof);
	free(r);
	free(c);
	return rc;
}

int
scram_final(struct scram *s, const char *msg, size_t len,
    const struct text *binding, struct buf *out)
{
	char *copy, *proof = NULL;
	int rc = RES_INVALID;

	if (!is_text(msg, len))
		return RES_INVALID;
	copy = xstrndup(msg, len);
	/* The proof is the last field (RFC 5802, 7: client-final-message). */
	for (char *at = strstr(copy, ",p="); at != NULL;
	     at = strstr(at + 1, ",p="))
		proof = at;
	if (proof != NULL) {
		*proof = '\0';
		rc = final_check(s, copy, proof + 3, binding, out);
	}
	free(copy);
	return rc;
}
