#ifndef TESTS_LIB_CERTS_H
#define TESTS_LIB_CERTS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Keys and certificates made for a test. Keys are P-256 but where said. All
 * are freed by certs_free_all(), for a group's teardown.
 */
struct x509_st;
struct evp_pkey_st;

#define CERTS_NOW 1800000000 /* within what is valid by default */

struct certs_who {
	struct x509_st *cert;
	struct evp_pkey_st *key;
	char *cert_pem, *key_pem;
};

struct certs_spec {
	const char *cn;
	const char *san;   /* OpenSSL's words: "DNS:a,IP:10.0.0.1"; or NULL */
	const char *eku;   /* "serverAuth,clientAuth"; or NULL */
	const char *usage; /* key usage; or NULL */
	bool ca;
	int64_t from, to; /* 0: a year before and after CERTS_NOW */
	const struct certs_who *issuer; /* NULL: self-signed */
	struct evp_pkey_st *key;        /* NULL: a new one */
};

struct certs_who *certs_make(const struct certs_spec *spec);
void certs_free_all(void);

#endif
