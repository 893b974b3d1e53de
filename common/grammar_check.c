/*
 * Whether a table of patterns is unambiguous: all that could be typed is
 * followed, to a depth.
 */
#include "common/grammar_walk.h"

#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"

/* Two rows that go on with an argument at one place, or end at one. */
static bool
is_ambiguous(const struct grammar *g, const struct positions *set,
    enum item_kind kind, size_t *row)
{
	const struct position *first = NULL;

	for (size_t i = 0; i < set->count; i++) {
		if (walk_item(g, &set->at[i])->kind != kind)
			continue;
		if (first != NULL) {
			*row = set->at[i].row;
			return true;
		}
		first = &set->at[i];
	}
	return false;
}

/* An argument of any value: what `step` takes all of them with. */
static bool
fits_any_argument(const struct item *item, const char *text)
{
	(void)text;
	return item->kind == ITEM_ARG;
}

#define DEPTH_MAX 12 /* words that the check goes into a pattern */

static bool check_set(const struct grammar *g, const struct positions *set,
    size_t depth, size_t *row);

static bool
check_step(const struct grammar *g, const struct positions *set,
    const char *text, size_t depth, size_t *row)
{
	struct positions next;
	bool ok;

	walk_step(g, set, text,
	    text == NULL ? fits_any_argument : walk_fits_word, &next);
	ok = check_set(g, &next, depth + 1, row);
	free(next.at);
	return ok;
}

/* Follows everything that may be typed from here. */
static bool
check_set(const struct grammar *g, const struct positions *set, size_t depth,
    size_t *row)
{
	const struct item *item;
	char *word, *rest, *copy;
	bool ok = true;

	if (depth == DEPTH_MAX || set->count == 0)
		return true;
	if (is_ambiguous(g, set, ITEM_ARG, row) ||
	    is_ambiguous(g, set, ITEM_END, row) ||
	    !check_step(g, set, NULL, depth, row))
		return false;
	for (size_t i = 0; i < set->count && ok; i++) {
		item = walk_item(g, &set->at[i]);
		if (item->kind != ITEM_WORD || walk_is_repeated(g, set, i))
			continue;
		copy = rest = xstrdup(item->text);
		while ((word = strsep(&rest, "|")) != NULL && ok)
			ok = check_step(g, set, word, depth, row);
		free(copy);
	}
	return ok;
}

bool
grammar_check(const struct grammar *g, size_t *row)
{
	struct positions first;
	bool ok;

	walk_start(g, &first);
	ok = check_set(g, &first, 0, row);
	free(first.at);
	return ok;
}
