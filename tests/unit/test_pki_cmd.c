/*
 * The pki commands on a folder of their own: what they make, what they refuse,
 * and that a key is never lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/strutil.h"
#include "common/xmalloc.h"
#include "mmp/cmd_pki.h"
#include "mmp/mmp.h"
#include "tests/lib/certs.h"

/* The shell's side, as these tests have it. */
static char root[64];
static struct mmp node = { .root = root };
static const char *shown_key; /* what xmppd says that it uses */
static bool daemons_there = true;
static const char *passphrase;

char *
mmp_pki_path(const struct mmp *mmp, const char *name, struct error *error)
{
	char *path;

	if (name[0] == '.' || name[0] == '\0' || strchr(name, '/') != NULL) {
		error_set(error, RES_INVALID, "'%s' is no file name", name);
		return NULL;
	}
	xasprintf(&path, "%s/pki/%s", mmp->root, name);
	return path;
}

int
mmp_call(struct mmp *mmp, enum command_at at, const char *method,
    json_t *params, json_t **result, struct error *error)
{
	(void)mmp;
	(void)method;
	json_decref(params);
	if (!daemons_there)
		return error_set(error, RES_UNREACHABLE, "not there");
	*result = at == AT_XMPPD && shown_key != NULL
	    ? json_pack("{s:s, s:n}", "key_file", shown_key, "trust_file")
	    : json_object();
	return 0;
}

char *
mmp_ask_secret(struct mmp *mmp, const char *prompt)
{
	(void)mmp;
	assert_string_equal(prompt, "Enter pass-phrase: ");
	return passphrase != NULL ? xstrdup(passphrase) : NULL;
}

static int
setup(void **state)
{
	char *folder;

	(void)state;
	strcpy(root, "/tmp/test_pki_cmd.XXXXXX");
	assert_non_null(mkdtemp(root));
	xasprintf(&folder, "%s/pki", root);
	assert_int_equal(mkdir(folder, 0700), 0);
	free(folder);
	shown_key = passphrase = NULL;
	daemons_there = true;
	return 0;
}

static int
teardown(void **state)
{
	json_t *names, *name;
	char *folder;
	size_t i;

	(void)state;
	assert_int_equal(pki_file_list(&node, &names, NULL), 0);
	json_array_foreach(names, i, name) {
		char *path = mmp_pki_path(&node, json_string_value(name), NULL);

		assert_int_equal(remove(path), 0);
		free(path);
	}
	json_decref(names);
	xasprintf(&folder, "%s/pki", root);
	/* Whatever is still in it was left behind. */
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(rmdir(root), 0);
	free(folder);
	certs_free_all();
	return 0;
}

/*
 * Runs a method with "label=value" arguments; `attribute=` may be repeated.
 * Gives what is printed (checks as "+text" and "-text"), or "error: text".
 */
static char *
run(const char *method, ...)
{
	json_t *params = json_object(), *list = json_array(), *result = NULL;
	const struct mmp_method *m = pki_methods;
	const char *arg;
	struct error e = { 0 };
	char *text = NULL;
	size_t size, i;
	json_t *check;
	FILE *out = open_memstream(&text, &size);
	va_list ap;

	va_start(ap, method);
	while ((arg = va_arg(ap, const char *)) != NULL) {
		const char *value = strchr(arg, '=') + 1;
		char *label = xstrndup(arg, (size_t)(value - arg) - 1);

		if (strcmp(label, "attribute") == 0)
			json_array_append_new(list, json_string(value));
		else if (strcmp(value, "true") == 0)
			json_object_set_new(params, label, json_true());
		else
			json_object_set_new(params, label, json_string(value));
		free(label);
	}
	va_end(ap);
	json_object_set_new(params, "attribute", list);
	while (strcmp(m->name, method) != 0)
		m++;
	if (m->handler(&node, params, &result, &e) != 0)
		fprintf(out, "error: %s", e.text);
	else if (m->printer != NULL)
		m->printer(out, result);
	json_array_foreach(json_object_get(result, "checks"), i, check)
		fprintf(out, "%c%s\n",
		    json_is_true(json_object_get(check, "ok")) ? '+' : '-',
		    json_string_value(json_object_get(check, "text")));
	fclose(out);
	json_decref(params);
	json_decref(result);
	return text;
}

#define RUN(...) run(__VA_ARGS__, (const char *)NULL)

static void
says(char *text, const char *wanted)
{
	assert_string_equal(text, wanted);
	free(text);
}

static void
has(char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("'%s' is not in '%.500s'", part, text);
	free(text);
}

static void
put(const char *name, const char *data)
{
	char *path = mmp_pki_path(&node, name, NULL);

	assert_int_equal(file_write(path, data, strlen(data), 0600), 0);
	free(path);
}

static char *
get(const char *name)
{
	char *path = mmp_pki_path(&node, name, NULL);
	size_t len;
	char *data = file_read(path, 1 << 20, &len);

	free(path);
	return data;
}

static void
makes_a_key_and_a_request(void **state)
{
	char *path;
	struct stat st;

	(void)state;
	says(RUN("Pki.Csr", "basename=abhiall", "attribute=CN:cb1.tptac9.com",
		 "attribute=O:A company, with spaces",
		 "attribute=subjectAltName:tptac9.com,cb1.tptac9.com"),
	    "..............\n......\n"
	    "Created key file abhiall.key and CSR abhiall.csr\n"
	    "CSR file abhiall.csr ready for download via SFTP\n");
	says(RUN("Pki.List"),
	    "User supplied certificates and keys:\n"
	    "abhiall.csr\nabhiall.key\n");
	has(RUN("Pki.Inspect", "file=abhiall.csr"),
	    "DNS:tptac9.com, DNS:cb1.tptac9.com\n");
	has(RUN("Pki.Inspect", "file=abhiall.key"), "NIST CURVE: P-256");
	path = mmp_pki_path(&node, "abhiall.key", NULL);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 007, 0);
	free(path);
}

static void
adds_the_cn_to_the_names(void **state)
{
	(void)state;
	has(RUN("Pki.Csr", "basename=a", "attribute=cn:CB1.tptac9.com",
		"attribute=subjectaltname:tptac9.com"),
	    "Added the CN to subjectAltName: CB1.tptac9.com\n");
	has(RUN("Pki.Inspect", "file=a.csr"),
	    "DNS:cb1.tptac9.com, DNS:tptac9.com");
	has(RUN("Pki.Csr", "basename=b", "attribute=CN:cb1.tptac9.com"),
	    "Added the CN");
	/* A company's name is no name of a server. */
	says(RUN("Pki.Selfsigned", "basename=ca", "attribute=CN:My company"),
	    "+Created key file ca.key and certificate ca.crt\n");
}

static void
takes_the_type_of_the_key(void **state)
{
	(void)state;
	free(RUN("Pki.Csr", "basename=a", "attribute=CN:a.b",
	    "attribute=key:rsa2048"));
	has(RUN("Pki.Inspect", "file=a.csr"), "Public-Key: (2048 bit)");
}

static void
refuses_bad_attributes(void **state)
{
	static const struct {
		const char *one, *two, *said;
	} rows[] = {
		{ "attribute=OU:x", "attribute=O:y",
		    "error: the name is missing: give CN:<name>" },
		{ "attribute=CN:a.b", "attribute=CN:a.c",
		    "error: CN is given twice" },
		{ "attribute=CN:", "attribute=O:y", "error: CN: has no value" },
		{ "attribute=CN:a.b", "attribute=X:y",
		    "error: 'X:y' is no attribute: use CN:" },
		{ "attribute=CN:a.b", "attribute=plain",
		    "error: 'plain' is no attribute: use CN:" },
		{ "attribute=CN:a.b", "attribute=key:dsa",
		    "error: key:dsa is not known" },
		{ "attribute=CN:a.b", "attribute=days:9",
		    "error: days: is for 'pki selfsigned'" },
		{ "attribute=CN:a.b", "attribute=C:BEL",
		    "error: C:BEL is not valid" },
		{ "attribute=CN:a.b", "attribute=subjectAltName:a b,,c",
		    "error: subjectAltName: '' is not a domain name" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		has(RUN("Pki.Csr", "basename=a", rows[i].one, rows[i].two),
		    rows[i].said);
	has(RUN("Pki.Csr", "basename=a b", "attribute=CN:a.b"),
	    "error: 'a b' is no base name");
	has(RUN("Pki.Csr", "basename=.key", "attribute=CN:a.b"),
	    "error: '' is no base name");
	says(RUN("Pki.List"), "User supplied certificates and keys:\n");
}

static void
never_replaces_a_key(void **state)
{
	char *before, *after;

	(void)state;
	free(RUN("Pki.Csr", "basename=a", "attribute=CN:a.b"));
	before = get("a.key");
	says(RUN("Pki.Csr", "basename=a", "attribute=CN:a.b"),
	    "error: a.key already exists: choose another base name, or 'pki "
	    "delete a.key' first");
	says(RUN("Pki.Selfsigned", "basename=a", "attribute=CN:a.b"),
	    "error: a.key already exists: choose another base name, or 'pki "
	    "delete a.key' first");
	after = get("a.key");
	assert_string_equal(before, after);
	free(before);
	free(after);
	/* The service has its own copy, and would take the new one later. */
	shown_key = "b.key";
	says(RUN("Pki.Csr", "basename=b", "attribute=CN:a.b"),
	    "error: b.key is the key that xmpp uses: choose another base name");
}

static void
leaves_no_key_without_its_request(void **state)
{
	char *path = mmp_pki_path(&node, "a.csr", NULL), *gone;

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	has(RUN("Pki.Csr", "basename=a", "attribute=CN:a.b"), "error: a.csr: ");
	gone = get("a.key");
	assert_null(gone);
	assert_int_equal(rmdir(path), 0);
	free(path);
}

static void
signs_a_request_by_a_local_ca(void **state)
{
	(void)state;
	free(RUN("Pki.Selfsigned", "basename=dbca", "attribute=CN:My company"));
	free(RUN("Pki.Csr", "basename=db", "attribute=CN:db.example.com"));
	says(RUN("Pki.Sign", "csr=db", "ca=dbca"),
	    "+Created certificate db.crt, signed by \"CN=My company\"\n");
	says(RUN("Pki.Match", "key=db.key", "certificate=db.crt"),
	    "+Key and certificate pair match\n");
	says(RUN("Pki.Match", "key=dbca.key", "certificate=db.crt"),
	    "-Key and certificate do not match\n");
	says(RUN("Pki.Verify", "certificate=db.crt", "bundle=dbca.crt"),
	    "+Certificate verified: \"CN=db.example.com\", issued by "
	    "\"CN=My company\"\n");
	/* Again, as a renewal; but not over the certificate of another key. */
	has(RUN("Pki.Sign", "csr=db.csr", "ca=dbca.crt"), "+Created");
	put("db.crt", certs_make(&(struct certs_spec){ .cn = "x" })->cert_pem);
	has(RUN("Pki.Sign", "csr=db", "ca=dbca"),
	    "error: db.crt already exists, and is not of this request");
	says(RUN("Pki.Sign", "csr=none", "ca=dbca"),
	    "error: none.csr not found");
	says(RUN("Pki.Sign", "csr=db", "ca=none"), "error: none.crt not found");
}

static void
verifies_chains(void **state)
{
	struct certs_who *ca =
	    certs_make(&(struct certs_spec){ .cn = "Root", .ca = true });
	struct certs_who *inter = certs_make(
	    &(struct certs_spec){ .cn = "Inter", .ca = true, .issuer = ca });
	struct certs_who *leaf = certs_make(&(struct certs_spec){ .cn = "x",
	    .issuer = inter,
	    .to = INT64_C(4000000000),
	    .from = 1000000000 });
	char *bundle;

	(void)state;
	/* The clock is the real one here: only what doesn't depend on it. */
	xasprintf(&bundle, "%s%s", ca->cert_pem, inter->cert_pem);
	put("x.crt", leaf->cert_pem);
	put("root.crt", ca->cert_pem);
	put("x.key", leaf->key_pem);
	put("bundle.crt", bundle);
	says(RUN("Pki.Verify", "certificate=x.crt", "bundle=root.crt"),
	    "-x.crt not verified: issuer \"CN=Inter\" missing\n");
	says(RUN("Pki.Verify", "certificate=x.crt", "bundle=gone.crt"),
	    "error: gone.crt not found");
	says(RUN("Pki.Verify", "certificate=x.key", "bundle=root.crt"),
	    "error: x.key holds no certificate: it is a private key");
	free(bundle);
}

static void
shows_details(void **state)
{
	struct certs_who *old = certs_make(&(struct certs_spec){ .cn = "x",
	    .san = "DNS:a.b,DNS:c.d",
	    .from = 1000000000,
	    .to = 1100000000 });

	(void)state;
	put("x.crt", old->cert_pem);
	put("x.key", old->key_pem);
	put("note.txt", "hello");
	shown_key = "x.key";
	says(RUN("Pki.List", "detail=true"),
	    "User supplied certificates and keys:\n"
	    "note.txt\n"
	    "    no key or certificate\n"
	    "x.crt\n"
	    "    certificate, ECDSA P-256, EXPIRED on 2004-11-09\n"
	    "        subject : CN=x\n"
	    "        names   : a.b, c.d\n"
	    "        issuer  : CN=x\n"
	    "x.key (used by xmpp)\n"
	    "    private key, ECDSA P-256\n");
}

static void
inspects_each_kind(void **state)
{
	struct certs_who *who = certs_make(&(struct certs_spec){ .cn = "x" });

	(void)state;
	put("x.crt", who->cert_pem);
	put("id.pub", "ssh-ed25519 AAAA me@here\n");
	put("note.txt", "hello");
	has(RUN("Pki.Inspect", "file=x.crt"),
	    "Checking ssh public keys...not found\n"
	    "Checking user configured certificates and keys...found\n"
	    "File contains a PEM encoded certificate\n"
	    "Certificate:\n    Data:\n        Version: 3 (0x2)\n");
	says(RUN("Pki.Inspect", "file=id.pub"),
	    "Checking ssh public keys...found\n"
	    "Checking user configured certificates and keys...not found\n"
	    "File contains an SSH public key\n");
	says(RUN("Pki.Inspect", "file=note.txt"),
	    "Checking ssh public keys...not found\n"
	    "Checking user configured certificates and keys...not found\n"
	    "File contains no key or certificate\n");
	says(RUN("Pki.Inspect", "file=gone"), "error: gone not found");
	says(RUN("Pki.Inspect", "file=../x"), "error: '../x' is no file name");
}

static void
unlocks_a_key(void **state)
{
	struct certs_who *who = certs_make(&(struct certs_spec){ .cn = "x" });
	BIO *bio = BIO_new(BIO_s_mem());
	char pass[] = "secret", *data, *locked;
	long len;

	(void)state;
	PEM_write_bio_PKCS8PrivateKey(
	    bio, who->key, EVP_aes_128_cbc(), pass, 6, NULL, NULL);
	len = BIO_get_mem_data(bio, &data);
	locked = xstrndup(data, (size_t)len);
	BIO_free(bio);
	put("x.key", locked);
	says(RUN("Pki.Unlock", "key=x.key"), "error: no pass-phrase given");
	passphrase = "wrong";
	says(RUN("Pki.Unlock", "key=x.key"),
	    "error: wrong pass-phrase for x.key");
	data = get("x.key");
	assert_string_equal(data, locked);
	free(data);
	free(locked);
	passphrase = "secret";
	says(RUN("Pki.Unlock", "key=x.key"),
	    "+Removed the pass-phrase of x.key\n");
	data = get("x.key");
	assert_string_equal(data, who->key_pem);
	free(data);
	says(RUN("Pki.Unlock", "key=x.key"), "error: x.key has no pass-phrase");
}

static void
deletes_what_nobody_uses(void **state)
{
	struct certs_who *who = certs_make(&(struct certs_spec){ .cn = "x" });

	(void)state;
	put("x.key", who->key_pem);
	put("x.crt", who->cert_pem);
	shown_key = "x.key";
	says(RUN("Pki.Delete", "file=x.key"),
	    "error: x.key is used by xmpp, which would miss it at its next "
	    "restart: give xmpp another file first");
	shown_key = NULL;
	daemons_there = false;
	has(RUN("Pki.Delete", "file=x.key"),
	    "error: not every daemon is there");
	says(RUN("Pki.Delete", "file=x.crt"), "+x.crt deleted\n");
	daemons_there = true;
	says(RUN("Pki.Delete", "file=x.key"), "+x.key deleted\n");
	says(RUN("Pki.Delete", "file=x.key"), "error: x.key not found");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		ROW(makes_a_key_and_a_request),
		ROW(adds_the_cn_to_the_names),
		ROW(takes_the_type_of_the_key),
		ROW(refuses_bad_attributes),
		ROW(never_replaces_a_key),
		ROW(leaves_no_key_without_its_request),
		ROW(signs_a_request_by_a_local_ca),
		ROW(verifies_chains),
		ROW(shows_details),
		ROW(inspects_each_kind),
		ROW(unlocks_a_key),
		ROW(deletes_what_nobody_uses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
