/*
 * Splits typed lines into words.
 */
#include "common/words.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/xmalloc.h"

static bool
is_blank(char c)
{
	/* A CR is one: scripts come from other systems. */
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
add_word(struct words *words, size_t column, char *text)
{
	words->at =
	    xrealloc(words->at, (words->count + 1) * sizeof(*words->at));
	words->columns = xrealloc(
	    words->columns, (words->count + 1) * sizeof(*words->columns));
	words->at[words->count] = text;
	words->columns[words->count] = column;
	words->count++;
}

/* Reads one word; returns where it ends. *quote is what stays open. */
static const char *
read_word(const char *p, struct buf *text, char *quote)
{
	*quote = '\0';
	for (; *p != '\0'; p++) {
		if (*quote == '\0' && is_blank(*p))
			break;
		if (*p == *quote)
			*quote = '\0';
		else if (*quote == '\0' && (*p == '"' || *p == '\''))
			*quote = *p;
		else {
			if (*quote == '"' && *p == '\\' &&
			    (p[1] == '"' || p[1] == '\\'))
				p++;
			buf_add(text, p, 1);
		}
	}
	return p;
}

int
words_split(const char *line, bool comments, bool partial, struct words *out,
    struct error *error)
{
	struct buf text = { 0 };
	const char *p = line, *start;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (strlen(line) > WORDS_LINE_MAX)
		return error_set(error, RES_LIMIT,
		    "line is longer than %d characters", WORDS_LINE_MAX);
	for (;;) {
		while (is_blank(*p))
			p++;
		if (*p == '\0' || (comments && *p == '#'))
			break;
		if (out->count == WORDS_MAX) {
			rc = error_set(error, RES_LIMIT,
			    "line has more than %d words", WORDS_MAX);
			break;
		}
		start = p;
		p = read_word(p, &text, &out->quote);
		add_word(out, (size_t)(start - line), buf_steal_str(&text));
		out->inside = *p == '\0';
	}
	out->inside = out->inside && *p == '\0' && p > line &&
	    (out->quote != '\0' || !is_blank(p[-1]));
	out->end = (size_t)(p - line);
	if (rc == 0 && out->quote != '\0' && !partial)
		rc = error_set(
		    error, RES_INVALID, "a %c is not closed", out->quote);
	if (rc != 0)
		words_clear(out);
	return rc;
}

void
words_clear(struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->at[i]);
	free(words->at);
	free(words->columns);
	memset(words, 0, sizeof(*words));
}
