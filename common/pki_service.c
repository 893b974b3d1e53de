/*
 * Is this key, with this certificate and bundle, fit for a service? Every
 * check is a line; what is fit comes out as the daemon keeps it: PEM, the
 * certificate first, its issuers in order behind it.
 */
#include "common/pki.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/crypto.h"
#include "common/xmalloc.h"

#define ALARM_DAYS 30

/* The parsed files on their way through the checks. */
struct check {
	const struct pki_service_files *in;
	struct pki_service *out;
	struct evp_pkey_st *key;
	struct pki_certs certs, bundle; /* as the files have them */
	struct pki_certs chain;         /* leaf first, in order */
};

/* "certificate" in a line's text, with what tells it from the others. */
static char *
described(const struct x509_st *cert)
{
	char *subject = pki_subject(cert), *text;

	xasprintf(&text, "\"%s\"", subject);
	free(subject);
	return text;
}

static void
check_files(struct check *c)
{
	struct pki_lines *lines = &c->out->lines;
	struct error e;

	c->key = pki_read_key(&c->in->key, &e);
	if (c->key == NULL)
		pki_lines_add(lines, false, "%s", e.text);
	if (pki_read_certs(&c->in->cert, &c->certs, &e) != 0)
		pki_lines_add(lines, false, "%s", e.text);
	if (c->in->bundle.data != NULL &&
	    pki_read_certs(&c->in->bundle, &c->bundle, &e) != 0)
		pki_lines_add(lines, false, "%s", e.text);
}

/* The certificate of the key, wherever it stands in its file. */
static struct x509_st *
find_leaf(const struct check *c)
{
	for (size_t i = 0; i < c->certs.count; i++)
		if (pki_match(c->key, c->certs.cert[i]))
			return c->certs.cert[i];
	return NULL;
}

static void
check_strength(struct check *c)
{
	char text[32];

	pki_key_text(c->key, text);
	if (!EVP_PKEY_is_a(c->key, "RSA") && !EVP_PKEY_is_a(c->key, "EC"))
		pki_lines_add(&c->out->lines, false,
		    "%s: a key of type %s is not supported: use ECDSA or RSA",
		    c->in->key.name, text);
	else if (EVP_PKEY_get_security_bits(c->key) < 112)
		pki_lines_add(&c->out->lines, false,
		    "%s: %s is too weak: use ECDSA P-256 or RSA 2048",
		    c->in->key.name, text);
}

static void
check_domain(struct check *c, const struct x509_st *leaf)
{
	const char *domain = c->in->domain;
	char *names;

	if (domain == NULL) {
		pki_lines_add(&c->out->lines, true,
		    "No domain set yet: certificate's names not checked");
		return;
	}
	if (pki_covers_domain(leaf, domain)) {
		pki_lines_add(&c->out->lines, true,
		    "Certificate covers domain %s", domain);
		return;
	}
	names = pki_names_text(leaf);
	pki_lines_add(&c->out->lines, false,
	    "%s does not cover domain %s (it names %s): make one with "
	    "subjectAltName:%s,...",
	    c->in->cert.name, domain, names[0] != '\0' ? names : "nothing",
	    domain);
	free(names);
}

static void
check_dates(struct check *c, const struct x509_st *leaf)
{
	struct pki_lines *lines = &c->out->lines;
	int64_t end = pki_not_after(leaf), now = c->in->now;
	char day[32];

	c->out->not_after = end;
	if (now >= end) {
		pki_day(end, day);
		pki_lines_add(
		    lines, false, "%s expired on %s", c->in->cert.name, day);
	} else if (now < pki_not_before(leaf)) {
		pki_day(pki_not_before(leaf), day);
		pki_lines_add(lines, false,
		    "%s is not valid before %s: check this node's clock",
		    c->in->cert.name, day);
	} else {
		int64_t days = (end - now) / 86400;

		pki_day(end, day);
		if (days < ALARM_DAYS)
			pki_lines_add(lines, true,
			    "Certificate valid until %s: renew it, %lld days "
			    "remain",
			    day, (long long)days);
		else
			pki_lines_add(
			    lines, true, "Certificate valid until %s", day);
	}
}

static void
check_usage(struct check *c, struct x509_st *leaf)
{
	if (!pki_for_servers(leaf))
		pki_lines_add(&c->out->lines, false,
		    "%s is not for servers: its key usage or extended key "
		    "usage lacks server authentication",
		    c->in->cert.name);
}

/* Whether the files had the issuers in the order of the chain, and no others.
 */
static bool
in_order(const struct check *c, const struct pki_certs *pool)
{
	size_t next = 1;

	for (size_t i = 0; i < pool->count; i++) {
		if (pki_equal(pool->cert[i], c->chain.cert[0]))
			continue;
		if (next >= c->chain.count ||
		    !pki_equal(pool->cert[i], c->chain.cert[next]))
			return false;
		next++;
	}
	return true;
}

static void
say_order(struct check *c, const struct pki_certs *pool)
{
	struct buf text = { 0 };

	if (in_order(c, pool))
		return;
	for (size_t i = 1; i < c->chain.count; i++) {
		char *name = described(c->chain.cert[i]);

		buf_addf(&text, "%s%s", i > 1 ? ", " : "", name);
		free(name);
	}
	pki_lines_add(&c->out->lines, true, "Bundle put in order: %s",
	    text.len > 0 ? buf_str(&text) : "nothing in it is needed");
	buf_clear(&text);
}

/* The chain goes up to `top`, and that isn't a root. */
static void
check_open_chain(struct check *c, struct x509_st *top, bool any_given)
{
	struct pki_verify how = { .untrusted = &c->chain,
		.system = true,
		.any_time = true,
		.now = c->in->now };
	char *issuer = pki_issuer(top);

	if (c->in->system && pki_verify(&how, c->chain.cert[0], NULL) == 0)
		pki_lines_add(&c->out->lines, true,
		    "Certificate chain complete, issuer \"%s\" is known to "
		    "this system",
		    issuer);
	else if (!any_given)
		pki_lines_add(&c->out->lines, true,
		    "No bundle given: whoever connects must know the issuer "
		    "\"%s\"",
		    issuer);
	else
		pki_lines_add(&c->out->lines, false,
		    "bundle incomplete, issuer \"%s\" missing", issuer);
	free(issuer);
}

static void
check_closed_chain(struct check *c, struct x509_st *root)
{
	struct pki_certs roots = { &root, 1 };
	struct pki_verify how = {
		.trusted = &roots, .untrusted = &c->chain, .now = c->in->now
	};
	struct error e;
	char *name = described(root);

	/* The leaf's dates have a line of their own. */
	if (c->out->lines.failures > 0)
		how.any_time = true;
	if (pki_verify(&how, c->chain.cert[0], &e) != 0)
		pki_lines_add(&c->out->lines, false, "%s", e.text);
	else if (c->chain.count > 1)
		pki_lines_add(&c->out->lines, true,
		    "Certificate chain complete up to %s", name);
	else
		pki_lines_add(
		    &c->out->lines, true, "Certificate is self-signed");
	free(name);
}

static void
check_chain(struct check *c, struct x509_st *leaf)
{
	struct pki_certs pool = { 0 };
	bool closed;
	struct x509_st *top;

	for (size_t i = 0; i < c->certs.count; i++)
		pki_certs_add(&pool, c->certs.cert[i]);
	for (size_t i = 0; i < c->bundle.count; i++)
		pki_certs_add(&pool, c->bundle.cert[i]);
	closed = pki_chain(leaf, &pool, &c->chain);
	top = c->chain.cert[c->chain.count - 1];
	say_order(c, &pool);
	if (closed)
		check_closed_chain(c, top);
	else
		check_open_chain(c, top, pool.count > 1);
	pki_certs_clear(&pool);
}

static void
keep(struct check *c)
{
	struct buf key = { 0 }, leaf = { 0 }, rest = { 0 };
	struct pki_certs one = { c->chain.cert, 1 };

	pki_key_pem(c->key, &key);
	pki_certs_pem(&one, 0, &leaf);
	pki_certs_pem(&c->chain, 1, &rest);
	c->out->key = buf_steal_str(&key);
	c->out->cert = buf_steal_str(&leaf);
	c->out->bundle = buf_steal_str(&rest);
	pki_fingerprint(c->chain.cert[0], c->out->fingerprint);
}

bool
pki_check_service(
    const struct pki_service_files *files, struct pki_service *out)
{
	struct check c = { .in = files, .out = out };
	struct x509_st *leaf = NULL;

	memset(out, 0, sizeof(*out));
	check_files(&c);
	if (out->lines.failures == 0 && (leaf = find_leaf(&c)) == NULL)
		pki_lines_add(&out->lines, false,
		    "Key and certificate do not match: %s is not the key of %s",
		    files->key.name, files->cert.name);
	if (leaf != NULL) {
		pki_lines_add(
		    &out->lines, true, "Key and certificate pair match");
		check_strength(&c);
		check_domain(&c, leaf);
		check_dates(&c, leaf);
		check_usage(&c, leaf);
		check_chain(&c, leaf);
		if (out->lines.failures == 0)
			keep(&c);
	}
	pki_key_free(c.key);
	pki_certs_clear(&c.certs);
	pki_certs_clear(&c.bundle);
	pki_certs_clear(&c.chain);
	return out->lines.failures == 0;
}

void
pki_service_clear(struct pki_service *s)
{
	pki_lines_clear(&s->lines);
	crypto_wipe_free(s->key);
	free(s->cert);
	free(s->bundle);
	memset(s, 0, sizeof(*s));
}

bool
pki_check_trust(const struct pki_file *file, int64_t now,
    struct pki_lines *lines, char **pem)
{
	struct pki_certs certs;
	struct buf out = { 0 };
	struct error e;

	*pem = NULL;
	if (pki_read_certs(file, &certs, &e) != 0) {
		pki_lines_add(lines, false, "%s", e.text);
		return false;
	}
	for (size_t i = 0; i < certs.count; i++) {
		char *name = described(certs.cert[i]);
		char day[32];

		pki_day(pki_not_after(certs.cert[i]), day);
		pki_lines_add(lines, true, "Trusted: %s, %s %s", name,
		    pki_not_after(certs.cert[i]) <= now ? "EXPIRED on"
							: "valid until",
		    day);
		free(name);
	}
	pki_certs_pem(&certs, 0, &out);
	pki_certs_clear(&certs);
	*pem = buf_steal_str(&out);
	return true;
}
