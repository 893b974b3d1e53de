#ifndef XMPPD_DOMAINS_H
#define XMPPD_DOMAINS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/result.h"

/*
 * The further domains (`xmpp multi_domain`): which there are is in the store,
 * equal on all nodes; with which certificate this node serves one is this
 * node's, in ROOT/domain-NAME.json (mode 0600).
 */
struct domains;
struct ssl_ctx_st;
struct store;

/* A domain as it is here; texts are borrowed until the next load or set, NULL:
 * this node has no certificate for it. */
struct domain {
	const char *name;
	const char *key, *cert, *bundle; /* PEM */
	const char *key_file, *cert_file, *bundle_file;
};

struct domains *domains_new(const char *root);
void domains_free(struct domains *d);

/* Reads again which there are. A file that can't be read is logged, and counts
 * as no certificate. True if they are others than before. */
bool domains_load(struct domains *d, struct store *store);

size_t domains_count(const struct domains *d);
struct domain domains_at(const struct domains *d, size_t at);
bool domains_has(const struct domains *d, const char *name);
/* All of them, for the edges; borrowed until the next load. */
const char *const *domains_names(const struct domains *d);

/* Keeps this node's certificate for a domain, also before it is in the store;
 * forgets it. RES_IO: nothing has changed. */
int domains_keep(
    struct domains *d, const struct domain *domain, struct error *e);
void domains_forget(struct domains *d, const char *name);

/* Adds the certificates to a server's context. One that can't be used is
 * logged. */
void domains_add_tls(const struct domains *d, struct ssl_ctx_st *ctx);

#endif
