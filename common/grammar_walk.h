#ifndef COMMON_GRAMMAR_WALK_H
#define COMMON_GRAMMAR_WALK_H

#include "common/grammar.h"
#include "common/pattern.h"

/*
 * Inside of the grammar: following words through all patterns at once. A
 * position is a row of the table and an item of its pattern; after each word
 * those positions remain that it fitted.
 */
struct grammar {
	const struct command *table;
	struct pattern *rows;
	size_t count;
};

/* `from` is the index of the position that the word before was taken at. */
struct position {
	size_t row, item, from;
};

/* The caller frees `at`. */
struct positions {
	struct position *at;
	size_t count;
};

const struct item *walk_item(const struct grammar *g, const struct position *p);
void walk_add(struct positions *set, struct position p); /* none twice */

/* Whether an earlier position waits for the same word or argument. */
bool walk_is_repeated(
    const struct grammar *g, const struct positions *set, size_t at);

/* Where all rows begin. */
void walk_start(const struct grammar *g, struct positions *set);

/* The positions behind those that a text fits. */
typedef bool (*walk_fits)(const struct item *item, const char *text);
bool walk_fits_word(const struct item *item, const char *text);
bool walk_fits_prefix(const struct item *item, const char *text);
void walk_step(const struct grammar *g, const struct positions *set,
    const char *text, walk_fits fits, struct positions *next);

/* Whether the words that begin with a text are all the same one. */
bool walk_is_one_word(
    const struct grammar *g, const struct positions *set, const char *text);

/* Follows one word: an exact word, else an argument, else a prefix. */
enum fit walk_follow(const struct grammar *g, const struct positions *set,
    const char *text, bool abbreviate, struct positions *next);

/*
 * False, and the row, where two rows could mean the same: both end, or both go
 * on with an argument, behind the same words. (grammar_check.c)
 */
bool grammar_check(const struct grammar *g, size_t *row);

/* Says why the word `at` fits none of the positions: see grammar_match().
   (grammar_explain.c) */
int grammar_explain(const struct grammar *g, const struct words *words,
    size_t at, const struct positions *set, bool abbreviate,
    struct error *error);

#endif
