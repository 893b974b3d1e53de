/*
 * Files of the pki folder: whatever was uploaded. What is taken as PEM is found
 * again in that PEM.
 */
#include "common/pki.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tests/lib/fuzz.h"

/* A key, a request and a certificate, made anew each time. */
static bool
seed_made(size_t i, struct buf *b)
{
	char name[] = "cb1.example.com", *san[] = { name };
	struct pki_subject subject = { .cn = name, .san = san, .san_count = 1 };
	struct evp_pkey_st *key = pki_key_new(PKI_EC_P256);
	struct pki_signer self = { .key = key, .now = 1700000000, .days = 30 };
	struct error e = { 0 };
	int rc = RES_OK;

	switch (i) {
	case 0:
		pki_key_pem(key, b);
		break;
	case 1:
		rc = pki_csr_new(&subject, key, b, &e);
		break;
	case 2:
		rc = pki_selfsigned(&subject, &self, b, &e);
		break;
	default:
		rc = pki_selfsigned(&subject, &self, b, &e);
		buf_add_str(b, "some text\r\n");
		pki_key_pem(key, b);
	}
	if (rc != RES_OK)
		fatalx("%s", e.text);
	pki_key_free(key);
	return i <= 3;
}

bool
fuzz_seed(size_t i, struct buf *b)
{
	static const char *const texts[] = {
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZ1eno= x",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n",
		"",
		NULL,
	};

	return i < 4 ? seed_made(i, b) : fuzz_text_seed(texts, i - 4, b);
}

static void
check_pem(const struct pki_file *file)
{
	struct pki_content first, again;
	struct error e = { 0 };
	struct buf pem = { 0 };

	if (pki_as_pem(file, &pem, &e) != RES_OK) {
		fuzz_check(pem.len == 0, "an error appends nothing");
		buf_wipe(&pem);
		return;
	}
	fuzz_check(pki_read(file, &first, &e) == RES_OK,
	    "what is given as PEM can be read");
	fuzz_check(pki_read(&(struct pki_file){ "pem", pem.data, pem.len },
		       &again, &e) == RES_OK,
	    "its PEM can be read");
	fuzz_check(first.certs.count == again.certs.count,
	    "its PEM has the same certificates");
	pki_content_clear(&first);
	pki_content_clear(&again);
	buf_wipe(&pem);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pki_file file = { "file", data, size };
	struct pki_lines lines = { 0 };
	struct pki_content content;
	struct error e = { 0 };
	struct buf dump = { 0 };
	char *pem = NULL;

	if (pki_read(&file, &content, &e) == RES_OK) {
		pki_dump(&content, &dump);
		buf_clear(&dump);
		pki_content_clear(&content);
		check_pem(&file);
	} else {
		fuzz_check(e.text[0] != '\0' && strchr(e.text, '\n') == NULL,
		    "a refusal is one line");
	}
	fuzz_check(
	    pki_check_trust(&file, 1700000000, &lines, &pem) == (pem != NULL),
	    "a bundle that is fit has a PEM");
	free(pem);
	pki_lines_clear(&lines);
	return 0;
}
