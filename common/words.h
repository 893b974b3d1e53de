#ifndef COMMON_WORDS_H
#define COMMON_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/result.h"

/*
 * A typed line as words. Blanks part them; '...' and "..." keep blanks, and may
 * begin inside a word (O:"My Company"); a backslash counts inside "..." only,
 * before " and \. Columns are byte offsets into the line.
 */
#define WORDS_MAX 128
#define WORDS_LINE_MAX 8192

struct words {
	char **at;
	size_t *columns; /* where each begins */
	size_t count;
	size_t end;  /* length of the line without a comment */
	bool inside; /* the line ends within its last word */
	char quote;  /* ... and within this quote, or 0 */
};

/*
 * Splits a line. With `comments` a # at a word's beginning ends it. An open
 * quote is an error unless `partial` (completion). RES_LIMIT beyond the limits.
 */
int words_split(const char *line, bool comments, bool partial,
    struct words *out, struct error *error);
void words_clear(struct words *words);

#endif
