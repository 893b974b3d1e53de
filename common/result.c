/*
 * Result codes, their names on the wire and their texts: one table.
 */
#include "common/result.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/strutil.h"

static const struct {
	int code;
	const char *name, *text;
} results[] = {
	{ RES_OK, "ok", "success" },
	{ RES_FAILED, "failed", "failed" },
	{ RES_INVALID, "invalid", "invalid" },
	{ RES_EXISTS, "exists", "already exists" },
	{ RES_NOT_FOUND, "not-found", "not found" },
	{ RES_STATE, "state", "not possible in this state" },
	{ RES_DENIED, "denied", "permission denied" },
	{ RES_NO_LEADER, "no-leader", "no leader" },
	{ RES_TIMEOUT, "timeout", "timed out" },
	{ RES_UNREACHABLE, "unreachable", "unreachable" },
	{ RES_IO, "io", "input or output error" },
	{ RES_LIMIT, "limit", "limit reached" },
	{ RES_DIFFERS, "differs", "exists with another value" },
};

#define RESULTS (sizeof(results) / sizeof(results[0]))

const char *
result_name(int code)
{
	for (size_t i = 0; i < RESULTS; i++)
		if (results[i].code == code)
			return results[i].name;
	return "failed";
}

int
result_from_name(const char *name)
{
	for (size_t i = 0; i < RESULTS; i++)
		if (strcmp(results[i].name, name) == 0)
			return results[i].code;
	return RES_FAILED;
}

const char *
result_text(int code)
{
	for (size_t i = 0; i < RESULTS; i++)
		if (results[i].code == code)
			return results[i].text;
	return "failed";
}

/*
 * What was typed or sent may be in it: it stays one line, and UTF-8, so that it
 * can go out as JSON, also where it was cut.
 */
static void
error_tidy(char *text)
{
	size_t len = strlen(text), cut = 0;
	bool valid = str_is_utf8(text, len);

	while (!valid && cut < 3 && cut < len)
		valid = str_is_utf8(text, len - ++cut);
	if (valid)
		text[len - cut] = '\0';
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f ||
		    (!valid && (unsigned char)*text > 0x7f))
			*text = '?';
}

int
error_set(struct error *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return code;
	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	error_tidy(e->text);
	return code;
}
