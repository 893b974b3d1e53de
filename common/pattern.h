#ifndef COMMON_PATTERN_H
#define COMMON_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arg.h"

/* A command's pattern as a row of items; grammar.h has the language. */
enum item_kind { ITEM_WORD, ITEM_ARG, ITEM_OPEN, ITEM_CLOSE, ITEM_END };

struct item {
	enum item_kind kind;
	char *text;                  /* WORD: "a|b"; ARG: its label */
	const struct arg_type *type; /* ARG */
	bool repeat;                 /* ARG: once or more often */
	size_t skip;                 /* OPEN: the item behind its CLOSE */
	size_t depth;                /* how many brackets it is in */
};

struct pattern {
	struct item *items; /* the last is the END */
	size_t count;
};

/* Compiles; false where the text is malformed or a type unknown. */
bool pattern_compile(struct pattern *p, const char *text);
void pattern_clear(struct pattern *p);

/* "xmpp listen <interface>...": as people read it. The caller frees. */
char *pattern_usage(const char *text);

/* How a text fits one of the words "a|b"; *word (if it does) is that one's
   beginning. */
enum fit { FIT_NONE, FIT_PREFIX, FIT_WORD };
enum fit pattern_fit_word(
    const char *words, const char *text, const char **word);

#endif
