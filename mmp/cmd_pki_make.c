/*
 * pki: make keys, requests and certificates, and take pass-phrases off keys.
 */
#include "mmp/cmd_pki.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

#define SIGNED_DAYS 1825
#define DAYS_MAX 36500
#define SAN_MAX 100

/* What `name:value` arguments ask for. */
struct wish {
	struct pki_subject subject;
	const char *key_type, *days_text, *san_text;
	enum pki_key_type key;
	unsigned days;
	bool cn_added; /* to the alternative names */
	char *san_copy, *cn_copy;
};

#define AT(member) offsetof(struct wish, member)

static const struct {
	const char *name;
	size_t at; /* of a const char * in the wish */
} attributes[] = {
	{ "CN", AT(subject.cn) },
	{ "OU", AT(subject.ou) },
	{ "O", AT(subject.o) },
	{ "L", AT(subject.l) },
	{ "ST", AT(subject.st) },
	{ "C", AT(subject.c) },
	{ "emailAddress", AT(subject.email) },
	{ "subjectAltName", AT(san_text) },
	{ "key", AT(key_type) },
	{ "days", AT(days_text) },
};

static int
read_attribute(struct wish *wish, const char *arg, struct error *e)
{
	const char *colon = strchr(arg, ':');
	size_t len = colon != NULL ? (size_t)(colon - arg) : 0;

	for (size_t i = 0;
	     colon != NULL && i < sizeof(attributes) / sizeof(attributes[0]);
	     i++) {
		const char *name = attributes[i].name;
		const char **at;

		if (len != strlen(name) || strncasecmp(arg, name, len) != 0)
			continue;
		at = (const char **)(void *)((char *)wish + attributes[i].at);
		if (*at != NULL)
			return error_set(
			    e, RES_INVALID, "%s is given twice", name);
		if (colon[1] == '\0')
			return error_set(
			    e, RES_INVALID, "%s: has no value", name);
		*at = colon + 1;
		return 0;
	}
	return error_set(e, RES_INVALID,
	    "'%s' is no attribute: use CN:, OU:, O:, L:, ST:, C:, "
	    "emailAddress:, subjectAltName:, key: (p256, p384, rsa2048, "
	    "rsa3072, rsa4096) or days:",
	    arg);
}

static int
read_attributes(const json_t *params, struct wish *wish, struct error *e)
{
	const json_t *args = json_object_get(params, "attribute");

	for (size_t i = 0; i < json_array_size(args); i++) {
		int rc = read_attribute(
		    wish, json_string_value(json_array_get(args, i)), e);

		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Splits at commas; "DNS:a" and "IP:a", as other tools write, are "a". */
static int
split_names(struct wish *wish, struct error *e)
{
	struct pki_subject *s = &wish->subject;
	char *rest, *name;

	/* Room for the CN behind them. */
	s->san = xcalloc(SAN_MAX + 1, sizeof(s->san[0]));
	if (wish->san_text == NULL)
		return 0;
	rest = wish->san_copy = xstrdup(wish->san_text);
	while ((name = strsep(&rest, ",")) != NULL) {
		name += strspn(name, " ");
		name[strcspn(name, " ")] = '\0';
		if (strncasecmp(name, "DNS:", 4) == 0)
			name += 4;
		else if (strncasecmp(name, "IP:", 3) == 0)
			name += 3;
		if (s->san_count == SAN_MAX)
			return error_set(e, RES_LIMIT,
			    "subjectAltName: more than %d names", SAN_MAX);
		s->san[s->san_count++] = name;
	}
	return 0;
}

/*
 * The names must repeat the CN, since nobody looks at the CN beside them. A CN
 * that is no name (of a CA, say) stays out.
 */
static void
add_cn(struct wish *wish)
{
	struct pki_subject *s = &wish->subject;
	char *cn = pki_domain(s->cn);

	if (cn == NULL || strchr(cn, '.') == NULL) {
		free(cn);
		return;
	}
	for (size_t i = 0; i < s->san_count; i++) {
		char *name = pki_domain(s->san[i]);
		bool same = str_equal(name, cn);

		free(name);
		if (same) {
			free(cn);
			return;
		}
	}
	free(cn);
	memmove(s->san + 1, s->san, s->san_count * sizeof(s->san[0]));
	s->san_count++;
	s->san[0] = wish->cn_copy = xstrdup(s->cn);
	wish->cn_added = true;
}

static int
read_wish(const json_t *params, struct wish *wish, struct error *e)
{
	uint64_t days = SIGNED_DAYS;
	int rc, type = PKI_EC_P256;

	memset(wish, 0, sizeof(*wish));
	if ((rc = read_attributes(params, wish, e)) != 0)
		return rc;
	if (wish->subject.cn == NULL)
		return error_set(e, RES_INVALID,
		    "the name is missing: give CN:<name>, as in "
		    "CN:cb1.example.com");
	if (wish->key_type != NULL)
		type = pki_key_type_find(wish->key_type);
	if (type < 0)
		return error_set(e, RES_INVALID,
		    "key:%s is not known: use p256, p384, rsa2048, rsa3072 or "
		    "rsa4096",
		    wish->key_type);
	if (wish->days_text != NULL &&
	    !str_to_u64(wish->days_text, 1, DAYS_MAX, &days))
		return error_set(e, RES_INVALID,
		    "days:%s is not a number from 1 to %d", wish->days_text,
		    DAYS_MAX);
	wish->key = (enum pki_key_type)type;
	wish->days = (unsigned)days;
	rc = split_names(wish, e);
	if (rc == 0)
		add_cn(wish);
	return rc;
}

static void
clear_wish(struct wish *wish)
{
	free(wish->subject.san);
	free(wish->san_copy);
	free(wish->cn_copy);
}

/* A base name, with or without one of the endings it is shown with. */
static char *
base_name(const json_t *params, const char *label, struct error *e)
{
	static const char *const endings[] = { ".csr", ".crt", ".cer", ".pem",
		".key" };
	char *base = xstrdup(json_string_value(json_object_get(params, label)));

	for (size_t i = 0; i < 5; i++)
		if (str_ends(base, endings[i])) {
			base[strlen(base) - 4] = '\0';
			break;
		}
	for (const char *p = base; *p != '\0' || p == base; p++) {
		if (isalnum((unsigned char)*p) || *p == '-' || *p == '_')
			continue;
		error_set(e, RES_INVALID,
		    "'%s' is no base name: letters, digits, - and _", base);
		free(base);
		return NULL;
	}
	return base;
}

/* Where a name that ends otherwise is there: "ca.crt", "ca.cer", "ca.pem". */
static char *
find_certificate(struct mmp *mmp, const char *base)
{
	static const char *const endings[] = { "crt", "cer", "pem" };
	char *name;

	for (size_t i = 0; i < 3; i++) {
		xasprintf(&name, "%s.%s", base, endings[i]);
		if (pki_file_exists(mmp, name))
			return name;
		free(name);
	}
	xasprintf(&name, "%s.crt", base);
	return name;
}

/* A key of this name may be made only where none is, in use or lying about. */
static int
check_key_name(struct mmp *mmp, const char *name, struct error *e)
{
	bool known;
	json_t *used = pki_files_in_use(mmp, &known);
	const char *user = json_string_value(json_object_get(used, name));
	int rc = 0;

	if (user != NULL)
		rc = error_set(e, RES_EXISTS,
		    "%s is the key that %s uses: choose another base name",
		    name, user);
	else if (pki_file_exists(mmp, name))
		rc = error_set(e, RES_EXISTS,
		    "%s already exists: choose another base name, or 'pki "
		    "delete %s' first",
		    name, name);
	json_decref(used);
	return rc;
}

/* What csr and selfsigned have in common. */
struct making {
	struct wish wish;
	char *base, *key_name, *file_name;
	struct evp_pkey_st *key;
	struct buf pem; /* the request or certificate */
};

static int
begin(struct mmp *mmp, const json_t *params, const char *ending,
    struct making *m, struct error *e)
{
	int rc;

	memset(m, 0, sizeof(*m));
	if ((m->base = base_name(params, "basename", e)) == NULL)
		return RES_INVALID;
	xasprintf(&m->key_name, "%s.key", m->base);
	xasprintf(&m->file_name, "%s.%s", m->base, ending);
	if ((rc = read_wish(params, &m->wish, e)) != 0 ||
	    (rc = check_key_name(mmp, m->key_name, e)) != 0)
		return rc;
	if ((m->key = pki_key_new(m->wish.key)) == NULL)
		return error_set(e, RES_FAILED, "no key could be made");
	return 0;
}

/* The key first: a request without its key would be of no use. */
static int
save(struct mmp *mmp, struct making *m, struct error *e)
{
	struct buf key = { 0 };
	int rc;

	pki_key_pem(m->key, &key);
	rc = pki_key_create(mmp, m->key_name, &key, e);
	buf_wipe(&key);
	if (rc != 0)
		return rc;
	rc = pki_file_write(mmp, m->file_name, &m->pem, e);
	if (rc != 0)
		(void)pki_file_remove(mmp, m->key_name, NULL);
	return rc;
}

static void
end(struct making *m)
{
	clear_wish(&m->wish);
	free(m->base);
	free(m->key_name);
	free(m->file_name);
	pki_key_free(m->key);
	buf_clear(&m->pem);
}

int
pki_cmd_csr(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *e)
{
	struct making m;
	int rc = begin(mmp, params, "csr", &m, e);

	if (rc == 0 && m.wish.days_text != NULL)
		rc = error_set(e, RES_INVALID,
		    "days: is for 'pki selfsigned': how long a signed "
		    "certificate lasts is its CA's to say");
	if (rc == 0)
		rc = pki_csr_new(&m.wish.subject, m.key, &m.pem, e);
	if (rc == 0)
		rc = save(mmp, &m, e);
	if (rc == 0)
		*result = json_pack("{s:s, s:s, s:s?}", "key", m.key_name,
		    "csr", m.file_name, "added_name",
		    m.wish.cn_added ? m.wish.subject.cn : NULL);
	end(&m);
	return rc;
}

void
pki_print_csr(FILE *out, const json_t *result)
{
	const char *key = json_string_value(json_object_get(result, "key"));
	const char *csr = json_string_value(json_object_get(result, "csr"));
	const char *added =
	    json_string_value(json_object_get(result, "added_name"));

	if (added != NULL)
		fprintf(out, "Added the CN to subjectAltName: %s\n", added);
	/* Two lines of progress, which runbooks know from the original. */
	fputs("..............\n......\n", out);
	fprintf(out, "Created key file %s and CSR %s\n", key, csr);
	fprintf(out, "CSR file %s ready for download via SFTP\n", csr);
}

int
pki_cmd_selfsigned(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *e)
{
	struct making m;
	int rc = begin(mmp, params, "crt", &m, e);

	if (rc == 0 && pki_file_exists(mmp, m.file_name))
		rc = error_set(e, RES_EXISTS,
		    "%s already exists: choose another base name, or 'pki "
		    "delete %s' first",
		    m.file_name, m.file_name);
	if (rc == 0) {
		struct pki_signer self = {
			.key = m.key, .now = clock_unix(), .days = m.wish.days
		};

		rc = pki_selfsigned(&m.wish.subject, &self, &m.pem, e);
	}
	if (rc == 0)
		rc = save(mmp, &m, e);
	if (rc == 0) {
		*result = json_object();
		if (m.wish.cn_added)
			pki_add_check(*result, true,
			    "Added the CN to subjectAltName: %s",
			    m.wish.subject.cn);
		pki_add_check(*result, true,
		    "Created key file %s and certificate %s", m.key_name,
		    m.file_name);
	}
	end(&m);
	return rc;
}

/* The files of `pki sign`. */
struct signing {
	char *base, *ca_base;
	struct pki_signer ca;
	struct pki_certs ca_certs;
	struct X509_req_st *csr;
};

static int
load_ca(struct mmp *mmp, struct signing *s, struct error *e)
{
	char *name = find_certificate(mmp, s->ca_base);
	struct pki_file file;
	int rc = pki_file_read(mmp, name, &file, e);

	if (rc == 0)
		rc = pki_read_certs(&file, &s->ca_certs, e);
	pki_file_clear(&file);
	free(name);
	if (rc != 0)
		return rc;
	s->ca.cert = s->ca_certs.cert[0];
	xasprintf(&name, "%s.key", s->ca_base);
	rc = pki_file_read(mmp, name, &file, e);
	if (rc == 0 && (s->ca.key = pki_read_key(&file, e)) == NULL)
		rc = RES_INVALID;
	pki_file_clear(&file);
	free(name);
	return rc;
}

static int
load_csr(struct mmp *mmp, struct signing *s, struct error *e)
{
	struct pki_file file;
	char *name;
	int rc;

	xasprintf(&name, "%s.csr", s->base);
	rc = pki_file_read(mmp, name, &file, e);
	if (rc == 0 && (s->csr = pki_read_csr(&file, e)) == NULL)
		rc = RES_INVALID;
	pki_file_clear(&file);
	free(name);
	return rc;
}

/* A certificate is renewed in place; one of another key isn't replaced. */
static int
check_replaces(
    struct mmp *mmp, const char *name, const struct buf *pem, struct error *e)
{
	struct pki_certs old = { 0 }, fresh = { 0 };
	struct pki_file old_file, new_file = { name, pem->data, pem->len };
	int rc = 0;

	if (!pki_file_exists(mmp, name))
		return 0;
	if (pki_file_read(mmp, name, &old_file, NULL) != 0 ||
	    pki_read_certs(&old_file, &old, NULL) != 0 ||
	    pki_read_certs(&new_file, &fresh, NULL) != 0 ||
	    !pki_same_key(old.cert[0], fresh.cert[0]))
		rc = error_set(e, RES_EXISTS,
		    "%s already exists, and is not of this request: 'pki "
		    "delete %s' first",
		    name, name);
	pki_certs_clear(&old);
	pki_certs_clear(&fresh);
	pki_file_clear(&old_file);
	return rc;
}

static int
sign_and_save(
    struct mmp *mmp, struct signing *s, json_t **result, struct error *e)
{
	struct buf pem = { 0 };
	char *name, *by;
	int rc = pki_sign(&s->ca, s->csr, &pem, e);

	if (rc != 0)
		return rc;
	xasprintf(&name, "%s.crt", s->base);
	rc = check_replaces(mmp, name, &pem, e);
	if (rc == 0)
		rc = pki_file_write(mmp, name, &pem, e);
	if (rc == 0) {
		by = pki_subject(s->ca.cert);
		*result = json_object();
		pki_add_check(*result, true,
		    "Created certificate %s, signed by \"%s\"", name, by);
		free(by);
	}
	free(name);
	buf_clear(&pem);
	return rc;
}

int
pki_cmd_sign(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *e)
{
	struct signing s = { .ca = {
				 .now = clock_unix(), .days = SIGNED_DAYS } };
	int rc = RES_INVALID;

	s.base = base_name(params, "csr", e);
	if (s.base != NULL)
		s.ca_base = base_name(params, "ca", e);
	if (s.ca_base != NULL)
		rc = load_csr(mmp, &s, e);
	if (rc == 0)
		rc = load_ca(mmp, &s, e);
	if (rc == 0)
		rc = sign_and_save(mmp, &s, result, e);
	free(s.base);
	free(s.ca_base);
	pki_key_free(s.ca.key);
	pki_certs_clear(&s.ca_certs);
	pki_csr_free(s.csr);
	return rc;
}

int
pki_cmd_unlock(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *e)
{
	const char *name = json_string_value(json_object_get(params, "key"));
	struct pki_file file;
	struct buf pem = { 0 };
	char *passphrase = NULL;
	int rc = pki_file_read(mmp, name, &file, e);

	/* What needs no pass-phrase is told so before one is asked for. */
	if (rc == 0)
		rc = pki_unlock(&file, "", &pem, e);
	if (rc == RES_DENIED) {
		passphrase = mmp_ask_secret(mmp, "Enter pass-phrase: ");
		rc = passphrase != NULL
		    ? pki_unlock(&file, passphrase, &pem, e)
		    : error_set(e, RES_FAILED, "no pass-phrase given");
	}
	if (rc == 0)
		rc = pki_key_replace(mmp, name, &pem, e);
	if (rc == 0) {
		*result = json_object();
		pki_add_check(
		    *result, true, "Removed the pass-phrase of %s", name);
	}
	crypto_wipe_free(passphrase);
	buf_wipe(&pem);
	pki_file_clear(&file);
	return rc;
}
