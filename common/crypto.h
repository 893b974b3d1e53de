#ifndef COMMON_CRYPTO_H
#define COMMON_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void crypto_random(void *out, size_t len); /* from the CSPRNG; never fails */
uint64_t crypto_random_u64(void);

/*
 * `len` random characters out of letters and digits without look-alikes
 * (0 O 1 l I), with at least one upper, one lower and one digit; out holds
 * len + 1 bytes. 22 of them are 128 bits.
 */
void crypto_random_text(char *out, size_t len);

bool crypto_equal(const void *a, const void *b, size_t len); /* constant time */
bool crypto_equal_str(const char *a, const char *b);         /* constant time */

/* Lower-case hexadecimal; out holds 2 * len + 1 bytes. */
void crypto_hex(const void *data, size_t len, char *out);
void crypto_sha1(const void *data, size_t len, uint8_t out[20]);
void crypto_sha256(const void *data, size_t len, uint8_t out[32]);

/* SHA-256 of what comes piece by piece. */
struct crypto_digest;
struct crypto_digest *crypto_digest_new(void);
void crypto_digest_add(struct crypto_digest *d, const void *data, size_t len);
/* Frees it; `out` may be NULL to give up. */
void crypto_digest_end(struct crypto_digest *d, uint8_t out[32]);

void crypto_hmac_sha1(const void *key, size_t key_len, const void *data,
    size_t len, uint8_t out[20]);
void crypto_hmac_sha256(const void *key, size_t key_len, const void *data,
    size_t len, uint8_t out[32]);

/* Base64 without line breaks; the caller frees. Decode: NULL if malformed. */
char *crypto_base64(const void *data, size_t len);
uint8_t *crypto_unbase64(const char *text, size_t *len);

void crypto_wipe(void *data, size_t len);
void crypto_wipe_free(char *text); /* wipes and frees; NULL is fine */

#endif
