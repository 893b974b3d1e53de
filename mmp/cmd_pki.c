/*
 * pki: list, look at, compare, verify and delete the files of the pki folder.
 */
#include "mmp/cmd_pki.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

#define ALARM_DAYS 30

void
pki_add_check(json_t *result, bool ok, const char *fmt, ...)
{
	json_t *checks = json_object_get(result, "checks");
	char *text;
	va_list ap;

	if (checks == NULL) {
		checks = json_array();
		json_object_set_new(result, "checks", checks);
	}
	va_start(ap, fmt);
	xvasprintf(&text, fmt, ap);
	va_end(ap);
	json_array_append_new(
	    checks, json_pack("{s:b, s:s}", "ok", ok, "text", text));
	free(text);
}

static const char *
param(const json_t *params, const char *label)
{
	return json_string_value(json_object_get(params, label));
}

/* A text that is foreign: shown as it is if it can be, else left out. */
static void
set_text(json_t *object, const char *key, char *text)
{
	json_t *value = json_string(text);

	json_object_set_new(object, key, value != NULL ? value : json_null());
	free(text);
}

/* pki list [detail] */

static json_t *
describe_cert(const struct x509_st *cert)
{
	json_t *said = json_object();
	char key[32], print[65];

	pki_cert_key_text(cert, key);
	pki_fingerprint(cert, print);
	set_text(said, "subject", pki_subject(cert));
	set_text(said, "issuer", pki_issuer(cert));
	set_text(said, "names", pki_names_text(cert));
	json_object_set_new(said, "key", json_string(key));
	json_object_set_new(
	    said, "not_before", json_integer(pki_not_before(cert)));
	json_object_set_new(
	    said, "not_after", json_integer(pki_not_after(cert)));
	json_object_set_new(said, "sha256", json_string(print));
	return said;
}

static json_t *
describe_file(struct mmp *mmp, const char *name, const json_t *used)
{
	json_t *said = json_object(), *certs = json_array();
	struct pki_content c = { 0 };
	struct pki_file file;
	struct error e;
	char key[32];

	json_object_set_new(said, "name", json_string(name));
	json_object_set(said, "used_by", json_object_get(used, name));
	if (pki_file_read(mmp, name, &file, &e) != 0 ||
	    pki_read(&file, &c, &e) != 0)
		json_object_set_new(said, "error", json_string(e.text));
	json_object_set_new(said, "kind", json_string(pki_kind_text(c.kind)));
	if (c.key != NULL) {
		pki_key_text(c.key, key);
		json_object_set_new(said, "key", json_string(key));
	}
	for (size_t i = 0; i < c.certs.count; i++)
		json_array_append_new(certs, describe_cert(c.certs.cert[i]));
	json_object_set_new(said, "certificates", certs);
	pki_content_clear(&c);
	pki_file_clear(&file);
	return said;
}

static int
cmd_list(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *e)
{
	json_t *names, *name, *used, *files;
	size_t i;
	bool known;
	int rc = pki_file_list(mmp, &names, e);

	if (rc != 0)
		return rc;
	*result = json_object();
	if (!json_is_true(json_object_get(params, "detail"))) {
		json_object_set_new(*result, "files", names);
		return 0;
	}
	used = pki_files_in_use(mmp, &known);
	files = json_array();
	json_array_foreach(names, i, name)
		json_array_append_new(
		    files, describe_file(mmp, json_string_value(name), used));
	json_object_set_new(*result, "files", files);
	json_decref(used);
	json_decref(names);
	return 0;
}

static void
print_validity(FILE *out, const json_t *cert)
{
	int64_t end = json_integer_value(json_object_get(cert, "not_after"));
	int64_t days = (end - clock_unix()) / 86400;
	char day[32];

	pki_day(end, day);
	if (end <= clock_unix())
		fprintf(out, "EXPIRED on %s", day);
	else if (days < ALARM_DAYS)
		fprintf(out, "valid until %s: renew it, %lld days remain", day,
		    (long long)days);
	else
		fprintf(out, "valid until %s", day);
}

static void
print_cert(FILE *out, const json_t *cert)
{
	static const char *const rows[] = { "subject", "names", "issuer" };

	fprintf(out, "    certificate, %s, ",
	    json_string_value(json_object_get(cert, "key")));
	print_validity(out, cert);
	fputc('\n', out);
	for (size_t i = 0; i < 3; i++) {
		const char *text =
		    json_string_value(json_object_get(cert, rows[i]));

		if (text != NULL && text[0] != '\0')
			fprintf(out, "        %-8s: %s\n", rows[i], text);
	}
}

static void
print_file(FILE *out, const json_t *file)
{
	const char *error = json_string_value(json_object_get(file, "error"));
	const char *user = json_string_value(json_object_get(file, "used_by"));
	const char *key = json_string_value(json_object_get(file, "key"));
	const json_t *certs = json_object_get(file, "certificates"), *cert;
	size_t i;

	fprintf(out, "%s", json_string_value(json_object_get(file, "name")));
	if (user != NULL)
		fprintf(out, " (used by %s)", user);
	fputc('\n', out);
	if (error != NULL)
		fprintf(out, "    %s\n", error);
	else if (key != NULL)
		fprintf(out, "    private key, %s\n", key);
	else if (json_array_size(certs) == 0)
		fprintf(out, "    %s\n",
		    json_string_value(json_object_get(file, "kind")));
	json_array_foreach(certs, i, cert)
		print_cert(out, cert);
}

static void
print_list(FILE *out, const json_t *result)
{
	const json_t *files = json_object_get(result, "files"), *file;
	size_t i;

	fputs("User supplied certificates and keys:\n", out);
	json_array_foreach(files, i, file)
		if (json_is_string(file))
			fprintf(out, "%s\n", json_string_value(file));
		else
			print_file(out, file);
}

/* pki inspect <file> */

static int
cmd_inspect(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *e)
{
	struct pki_content c = { 0 };
	struct buf text = { 0 };
	struct pki_file file;
	int rc = pki_file_read(mmp, param(params, "file"), &file, e);

	if (rc == 0)
		rc = pki_read(&file, &c, e);
	if (rc == 0) {
		pki_dump(&c, &text);
		*result = json_pack("{s:s, s:b, s:i, s:o}", "kind",
		    pki_kind_text(c.kind), "pem", c.pem, "certificates",
		    (int)c.certs.count, "text",
		    text.len > 0 && str_is_utf8(buf_str(&text), text.len)
			? json_string(buf_str(&text))
			: json_null());
	}
	buf_clear(&text);
	pki_content_clear(&c);
	pki_file_clear(&file);
	return rc;
}

static const char *
article(const char *noun)
{
	return strchr("aeioS", noun[0]) != NULL ? "an" : "a";
}

static void
print_inspect(FILE *out, const json_t *result)
{
	const char *kind = json_string_value(json_object_get(result, "kind"));
	const char *text = json_string_value(json_object_get(result, "text"));
	bool pem = json_is_true(json_object_get(result, "pem"));
	json_int_t certs =
	    json_integer_value(json_object_get(result, "certificates"));
	bool ssh = str_starts(kind, "SSH");

	fprintf(out, "Checking ssh public keys...%s\n",
	    ssh ? "found" : "not found");
	fprintf(out, "Checking user configured certificates and keys...%s\n",
	    !ssh && !str_starts(kind, "no ") ? "found" : "not found");
	if (str_starts(kind, "no "))
		fprintf(out, "File contains %s\n", kind);
	else if (certs > 1)
		fprintf(out, "File contains %lld PEM encoded certificates\n",
		    (long long)certs);
	else if (ssh)
		fprintf(out, "File contains %s %s\n", article(kind), kind);
	else
		fprintf(out, "File contains a %s encoded %s\n",
		    pem ? "PEM" : "DER", kind);
	if (text != NULL)
		fputs(text, out);
}

/* pki match <key> <certificate> */

static int
cmd_match(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *e)
{
	struct pki_file key_file = { 0 }, cert_file = { 0 };
	struct pki_certs certs = { 0 };
	struct evp_pkey_st *key = NULL;
	bool match = false;
	int rc = pki_file_read(mmp, param(params, "key"), &key_file, e);

	if (rc == 0)
		rc = pki_file_read(
		    mmp, param(params, "certificate"), &cert_file, e);
	if (rc == 0 && (key = pki_read_key(&key_file, e)) == NULL)
		rc = RES_INVALID;
	if (rc == 0)
		rc = pki_read_certs(&cert_file, &certs, e);
	if (rc == 0) {
		for (size_t i = 0; i < certs.count; i++)
			match = match || pki_match(key, certs.cert[i]);
		*result = json_object();
		pki_add_check(*result, match,
		    match ? "Key and certificate pair match"
			  : "Key and certificate do not match");
	}
	pki_key_free(key);
	pki_certs_clear(&certs);
	pki_file_clear(&key_file);
	pki_file_clear(&cert_file);
	return rc;
}

/* pki verify <certificate> <bundle> [<root>] */

struct verify {
	struct pki_certs leaf, pool, trusted;
};

static int
read_certs(
    struct mmp *mmp, const char *name, struct pki_certs *certs, struct error *e)
{
	struct pki_file file;
	int rc = pki_file_read(mmp, name, &file, e);

	if (rc == 0)
		rc = pki_read_certs(&file, certs, e);
	pki_file_clear(&file);
	return rc;
}

/*
 * What may be trusted: the third argument, or else what is self-signed in the
 * bundle; and where nothing is, the bundle as a whole ("signed by that CA").
 */
static void
choose_trusted(struct verify *v)
{
	if (v->trusted.count > 0)
		return;
	for (size_t i = 0; i < v->pool.count; i++)
		if (pki_self_signed(v->pool.cert[i]))
			pki_certs_add(&v->trusted, v->pool.cert[i]);
	if (v->trusted.count == 0 && v->pool.count > 0)
		pki_certs_add(&v->trusted, v->pool.cert[v->pool.count - 1]);
}

static void
say_chain(json_t *result, const struct verify *v, struct x509_st *leaf)
{
	struct pki_certs pool = { 0 }, chain = { 0 };
	struct buf text = { 0 };

	for (size_t i = 0; i < v->pool.count; i++)
		pki_certs_add(&pool, v->pool.cert[i]);
	for (size_t i = 0; i < v->trusted.count; i++)
		pki_certs_add(&pool, v->trusted.cert[i]);
	for (size_t i = 1; i < v->leaf.count; i++)
		pki_certs_add(&pool, v->leaf.cert[i]);
	pki_chain(leaf, &pool, &chain);
	for (size_t i = 0; i < chain.count; i++) {
		char *subject = pki_subject(chain.cert[i]);

		buf_addf(
		    &text, "%s\"%s\"", i > 0 ? ", issued by " : "", subject);
		free(subject);
	}
	pki_add_check(result, true, "Certificate verified: %s", buf_str(&text));
	buf_clear(&text);
	pki_certs_clear(&pool);
	pki_certs_clear(&chain);
}

static int
cmd_verify(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *e)
{
	struct verify v = { 0 };
	struct pki_verify how = {
		.trusted = &v.trusted, .untrusted = &v.pool, .now = clock_unix()
	};
	int rc = read_certs(mmp, param(params, "certificate"), &v.leaf, e);

	if (rc == 0)
		rc = read_certs(mmp, param(params, "bundle"), &v.pool, e);
	if (rc == 0 && param(params, "root") != NULL)
		rc = read_certs(mmp, param(params, "root"), &v.trusted, e);
	if (rc == 0) {
		struct error why;

		*result = json_object();
		for (size_t i = 1; i < v.leaf.count; i++)
			pki_certs_add(&v.pool, v.leaf.cert[i]);
		choose_trusted(&v);
		if (pki_verify(&how, v.leaf.cert[0], &why) == 0)
			say_chain(*result, &v, v.leaf.cert[0]);
		else
			pki_add_check(*result, false, "%s not verified: %s",
			    param(params, "certificate"), why.text);
	}
	pki_certs_clear(&v.leaf);
	pki_certs_clear(&v.pool);
	pki_certs_clear(&v.trusted);
	return rc;
}

/* pki delete <file> */

static bool
is_key(struct mmp *mmp, const char *name)
{
	struct pki_content c;
	struct pki_file file;
	bool yes = false;

	if (pki_file_read(mmp, name, &file, NULL) == 0 &&
	    pki_read(&file, &c, NULL) == 0) {
		yes = c.kind == PKI_KEY || c.key != NULL;
		pki_content_clear(&c);
	}
	pki_file_clear(&file);
	return yes;
}

static int
cmd_delete(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *e)
{
	const char *name = param(params, "file"), *user;
	bool known;
	json_t *used = pki_files_in_use(mmp, &known);
	int rc;

	user = json_string_value(json_object_get(used, name));
	if (user != NULL)
		rc = error_set(e, RES_STATE,
		    "%s is used by %s, which would miss it at its next "
		    "restart: give %s another file first",
		    name, user, user);
	else if (!known && is_key(mmp, name))
		rc = error_set(e, RES_UNREACHABLE,
		    "not every daemon is there to say whether it uses the key "
		    "%s: start them first",
		    name);
	else
		rc = pki_file_remove(mmp, name, e);
	if (rc == 0) {
		*result = json_object();
		pki_add_check(*result, true, "%s deleted", name);
	}
	json_decref(used);
	return rc;
}

const struct mmp_method pki_methods[] = {
	{ "Pki.List", cmd_list, print_list },
	{ "Pki.Inspect", cmd_inspect, print_inspect },
	{ "Pki.Match", cmd_match, NULL },
	{ "Pki.Verify", cmd_verify, NULL },
	{ "Pki.Csr", pki_cmd_csr, pki_print_csr },
	{ "Pki.Selfsigned", pki_cmd_selfsigned, NULL },
	{ "Pki.Sign", pki_cmd_sign, NULL },
	{ "Pki.Unlock", pki_cmd_unlock, NULL },
	{ "Pki.Delete", cmd_delete, NULL },
	{ NULL, NULL, NULL },
};
