/*
 * Random numbers, comparisons and digests, over OpenSSL.
 */
#include "common/crypto.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "common/log.h"
#include "common/xmalloc.h"

static const char text_alphabet[] =
    "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";

void
crypto_random(void *out, size_t len)
{
	if (RAND_bytes(out, (int)len) != 1)
		fatalx("crypto: no random numbers");
}

uint64_t
crypto_random_u64(void)
{
	uint64_t v;

	crypto_random(&v, sizeof(v));
	return v;
}

static bool
text_is_mixed(const char *text)
{
	bool upper = false, lower = false, digit = false;

	for (; *text != '\0'; text++) {
		upper |= isupper((unsigned char)*text) != 0;
		lower |= islower((unsigned char)*text) != 0;
		digit |= isdigit((unsigned char)*text) != 0;
	}
	return upper && lower && digit;
}

void
crypto_random_text(char *out, size_t len)
{
	const size_t n = sizeof(text_alphabet) - 1;
	uint8_t bytes[32];
	size_t used = sizeof(bytes);

	do {
		for (size_t i = 0; i < len;) {
			/* Each call of the generator costs as much as many
			 * bytes of it. */
			if (used == sizeof(bytes)) {
				crypto_random(bytes, sizeof(bytes));
				used = 0;
			}
			/* Bytes beyond a multiple of n would favour some. */
			if (bytes[used] < 256 / n * n)
				out[i++] = text_alphabet[bytes[used] % n];
			used++;
		}
		out[len] = '\0';
	} while (len >= 3 && !text_is_mixed(out));
	crypto_wipe(bytes, sizeof(bytes));
}

bool
crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

bool
crypto_equal_str(const char *a, const char *b)
{
	uint8_t da[32], db[32];

	crypto_sha256(a, strlen(a), da);
	crypto_sha256(b, strlen(b), db);
	return crypto_equal(da, db, sizeof(da));
}

void
crypto_hex(const void *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * len] = '\0';
}

static void
digest(const EVP_MD *md, const void *data, size_t len, uint8_t *out)
{
	if (EVP_Digest(data, len, out, NULL, md, NULL) != 1)
		fatalx("crypto: digest failed");
}

void
crypto_sha1(const void *data, size_t len, uint8_t out[20])
{
	digest(EVP_sha1(), data, len, out);
}

void
crypto_sha256(const void *data, size_t len, uint8_t out[32])
{
	digest(EVP_sha256(), data, len, out);
}

struct crypto_digest {
	EVP_MD_CTX *md;
};

struct crypto_digest *
crypto_digest_new(void)
{
	struct crypto_digest *d = xcalloc(1, sizeof(*d));

	d->md = EVP_MD_CTX_new();
	if (d->md == NULL || EVP_DigestInit_ex(d->md, EVP_sha256(), NULL) != 1)
		fatalx("crypto: digest failed");
	return d;
}

void
crypto_digest_add(struct crypto_digest *d, const void *data, size_t len)
{
	if (EVP_DigestUpdate(d->md, data, len) != 1)
		fatalx("crypto: digest failed");
}

void
crypto_digest_end(struct crypto_digest *d, uint8_t out[32])
{
	if (out != NULL && EVP_DigestFinal_ex(d->md, out, NULL) != 1)
		fatalx("crypto: digest failed");
	EVP_MD_CTX_free(d->md);
	free(d);
}

/*
 * What OpenSSL looks up by name each time anew costs several times the hash of
 * a short text: it is done once, and copied for each use.
 */
static EVP_MAC_CTX *hmacs[2];
static pthread_once_t hmacs_once = PTHREAD_ONCE_INIT;

static void
hmacs_init(void)
{
	static const char *const digests[2] = { "SHA1", "SHA256" };
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	for (size_t i = 0; mac != NULL && i < 2; i++) {
		char *name = xstrdup(digests[i]); /* isn't const to OpenSSL */
		const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(
						  "digest", name, 0),
			OSSL_PARAM_construct_end() };

		hmacs[i] = EVP_MAC_CTX_new(mac);
		if (hmacs[i] == NULL ||
		    EVP_MAC_CTX_set_params(hmacs[i], params) != 1)
			fatalx("crypto: no hmac");
		free(name);
	}
	EVP_MAC_free(mac);
}

struct hmac_key {
	const void *data;
	size_t len;
};

static void
hmac(size_t which, struct hmac_key key, const void *data, size_t len,
    uint8_t *out)
{
	EVP_MAC_CTX *c;
	size_t size;

	pthread_once(&hmacs_once, hmacs_init);
	c = EVP_MAC_CTX_dup(hmacs[which]);
	if (c == NULL || EVP_MAC_init(c, key.data, key.len, NULL) != 1 ||
	    EVP_MAC_update(c, data, len) != 1 ||
	    EVP_MAC_final(c, out, &size, which == 0 ? 20 : 32) != 1)
		fatalx("crypto: hmac failed");
	EVP_MAC_CTX_free(c);
}

void
crypto_hmac_sha1(const void *key, size_t key_len, const void *data, size_t len,
    uint8_t out[20])
{
	hmac(0, (struct hmac_key){ key, key_len }, data, len, out);
}

void
crypto_hmac_sha256(const void *key, size_t key_len, const void *data,
    size_t len, uint8_t out[32])
{
	hmac(1, (struct hmac_key){ key, key_len }, data, len, out);
}

char *
crypto_base64(const void *data, size_t len)
{
	char *out = xmalloc((len + 2) / 3 * 4 + 1);

	EVP_EncodeBlock((unsigned char *)out, data, (int)len);
	return out;
}

uint8_t *
crypto_unbase64(const char *text, size_t *len)
{
	size_t have = strlen(text), digits;
	uint8_t *out;
	int n;

	/* EVP_DecodeBlock forgives blanks at both ends and padding anywhere;
	 * we do not (RFC 4648, 3.3). */
	digits = strspn(text,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789+/");
	if (have % 4 != 0 || have > 1 << 24 || have - digits > 2 ||
	    digits + strspn(text + digits, "=") != have)
		return NULL;
	out = xmalloc(have / 4 * 3 + 1);
	n = EVP_DecodeBlock(out, (const unsigned char *)text, (int)have);
	if (n < 0) {
		free(out);
		return NULL;
	}
	for (size_t i = have; i > 0 && text[i - 1] == '=' && n > 0; i--)
		n--;
	*len = (size_t)n;
	out[n] = '\0';
	return out;
}

void
crypto_wipe(void *data, size_t len)
{
	OPENSSL_cleanse(data, len);
}

void
crypto_wipe_free(char *text)
{
	if (text == NULL)
		return;
	OPENSSL_cleanse(text, strlen(text));
	free(text);
}
