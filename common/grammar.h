#ifndef COMMON_GRAMMAR_H
#define COMMON_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arg.h"
#include "common/commands.h"
#include "common/result.h"
#include "common/words.h"

/*
 * Command patterns, compiled and matched. The whole language:
 *
 *	word            itself, without regard to case
 *	a|b             one of these words
 *	<type>          an argument of that type (arg.h), labelled by it
 *	<type:label>    ... labelled otherwise
 *	[ ... ]         may be left out
 *	<type>...       once or more often
 *
 * A word beats an argument that the same text could be. Pure: no I/O.
 */
struct grammar;

/* Compiles a table, which is kept by reference. NULL and an error that names
   the row where a pattern is malformed, or two rows could mean the same. */
struct grammar *grammar_new(const struct command *table, struct error *error);
void grammar_free(struct grammar *g);

/* One argument, or one word that could have been left out. */
struct match_arg {
	const char *label;           /* of a word: the word */
	const struct arg_type *type; /* NULL: a word */
	const char *text;            /* borrowed from the line's words */
	bool repeats; /* `...`: there may be more of this label */
};

struct match {
	const struct command *command;
	struct match_arg args[WORDS_MAX];
	size_t count;
};

/*
 * Finds the row that a line means. With `abbreviate` a word may be cut to a
 * prefix that nothing else there begins with, except in what removes something.
 * Otherwise RES_INVALID: the error says in one line what is wrong and what
 * would have fitted, and *at is the word where it went wrong (the number of
 * words, where more were expected). RES_DENIED: what was typed may be a secret.
 */
int grammar_match(const struct grammar *g, const struct words *words,
    bool abbreviate, struct match *match, size_t *at, struct error *error);

/* What may come after some words: a word, an argument, or the end. */
struct grammar_next {
	const char *word;            /* NULL: not a word */
	const struct arg_type *type; /* NULL: not an argument; both: the end */
	const char *label;
	const struct command *command; /* the first row that this leads to */
};

/* All of that for somebody's role, in the table's order; the caller frees *out.
   None where the words themselves fit nothing. */
size_t grammar_next(const struct grammar *g, char *const *words, size_t count,
    bool abbreviate, enum role role, struct grammar_next **out);

/* "xmpp listen <interface>...": a pattern as people read it. The caller frees.
 */
char *grammar_usage(const struct command *command);

#endif
