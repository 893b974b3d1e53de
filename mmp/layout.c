/*
 * Two columns of text: a term, and what it means.
 */
#include "mmp/layout.h"

#include <string.h>

#include "common/buf.h"

#define WIDTH 79 /* the last column makes some terminals wrap */

/* How much of a text a line takes: whole words, or all of a longer one. */
static size_t
line_of(const char *text, size_t room)
{
	size_t fits = 0, len = 0;

	while (text[len] != '\0') {
		len += strcspn(text + len, " ");
		if (len > room && fits > 0)
			break;
		fits = len;
		len += strspn(text + len, " ");
	}
	return fits;
}

void
layout_entry(struct buf *out, size_t column, const char *what, const char *text)
{
	size_t len = strlen(what) + 2;

	buf_addf(out, "  %s", what);
	if (len >= column) {
		buf_add_str(out, "\n");
		len = 0;
	}
	do {
		buf_addf(out, "%*s", (int)(column - len), "");
		len = line_of(text, WIDTH - column);
		buf_addf(out, "%.*s\n", (int)len, text);
		text += len;
		text += strspn(text, " ");
		len = 0;
	} while (*text != '\0');
}
