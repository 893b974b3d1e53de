/*
 * Logins: whatever a client sends that doesn't know the password, it isn't let
 * in, and the exchange ends with a condition. An input is the mechanism and the
 * client's messages, a line each.
 */
#include "xmppd/edge/sasl.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/result.h"
#include "common/xmalloc.h"
#include "tests/lib/fuzz.h"
#include "tests/lib/store_fixture.h"

static const char *const seeds[] = {
	"SCRAM-SHA-1\nn,,n=user,r=abc\nc=biws,r=abc,p=AAAA",
	("SCRAM-SHA-256-PLUS\np=tls-exporter,,n=us=2Cer,r=abc\n"
	 "c=cD10bHMtZXhwb3J0ZXIsLA==,r=abc,p=AAAA"),
	"SCRAM-SHA-1\ny,a=admin,n=user,r=abc\nc=eSws,r=abc,p=AAAA",
	"PLAIN\n\1user\1password",
	"SCRAM-SHA-256\n\nn,,n=user,r=abc,x=y",
	"SCRAM-SHA-256\nn,,m=x,n=user,r=abc\nc=biws,r=abc,m=x,p=AAAA",
	NULL,
};

bool
fuzz_seed(size_t i, struct buf *b)
{
	return fuzz_text_seed(seeds, i, b);
}

static size_t
binding_cb(void *arg, enum sasl_binding binding, uint8_t out[64])
{
	(void)arg;
	if (binding != SASL_EXPORTER)
		return 0;
	if (out != NULL)
		memset(out, 7, 32);
	return 32;
}

/* What the server does between two messages: keys that no password has. */
static enum sasl_result
answer(struct sasl *s, enum sasl_result result, struct buf *out)
{
	static const struct scram_keys none;
	struct scram_keys keys = store_sample_keys(3);

	if (result == SASL_KEYS) {
		fuzz_check(sasl_user(s) != NULL, "a user is named");
		result = sasl_keys(s, RES_OK, &keys, out);
	}
	if (result == SASL_DERIVE) {
		fuzz_check(sasl_password(s) != NULL && sasl_params(s) != NULL,
		    "what to derive from is there");
		result = sasl_derived(s, &none, out);
	}
	return result;
}

static void
exchange(struct sasl *s, char *line, char *end)
{
	enum sasl_result result = SASL_CHALLENGE;
	struct buf out = { 0 };
	char *next;

	for (; line < end && result == SASL_CHALLENGE; line = next + 1) {
		next = memchr(line, '\n', (size_t)(end - line));
		if (next == NULL)
			next = end;
		/* PLAIN has NULs; a text of seeds has none. */
		for (char *p = line; p < next; p++)
			if (*p == '\1')
				*p = '\0';
		buf_reset(&out);
		result = answer(
		    s, sasl_input(s, line, (size_t)(next - line), &out), &out);
	}
	fuzz_check(result != SASL_SUCCESS, "nobody is let in");
	if (result == SASL_FAILED)
		fuzz_check(sasl_condition(s) != NULL, "a failure says why");
	buf_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sasl_env env = { .domain = "example.org",
		.secret = "secret",
		.binding = binding_cb };
	char *copy = xmalloc(size + 1), *line;
	struct sasl *s;

	if (size != 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	sasl_env_ready(&env);
	line = strchr(copy, '\n');
	if (line != NULL) {
		*line = '\0';
		s = sasl_new(copy, &env);
		if (s != NULL)
			exchange(s, line + 1, copy + size);
		sasl_free(s);
	}
	free(copy);
	return 0;
}
