/*
 * Following words through all patterns of a grammar at once.
 */
#include "common/grammar_walk.h"

#include <stdlib.h>
#include <string.h>

#include "common/strutil.h"
#include "common/xmalloc.h"

const struct item *
walk_item(const struct grammar *g, const struct position *p)
{
	return &g->rows[p->row].items[p->item];
}

void
walk_add(struct positions *set, struct position p)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->at[i].row == p.row && set->at[i].item == p.item)
			return;
	set->at = xrealloc(set->at, (set->count + 1) * sizeof(*set->at));
	set->at[set->count++] = p;
}

/* Adds a position, gone on to where a word is needed or the row ends. */
static void
advance(const struct grammar *g, struct positions *set, struct position p)
{
	const struct item *item = walk_item(g, &p);

	if (item->kind != ITEM_OPEN && item->kind != ITEM_CLOSE) {
		walk_add(set, p);
		return;
	}
	advance(g, set, (struct position){ p.row, p.item + 1, p.from });
	if (item->kind == ITEM_OPEN)
		advance(g, set, (struct position){ p.row, item->skip, p.from });
}

void
walk_start(const struct grammar *g, struct positions *set)
{
	memset(set, 0, sizeof(*set));
	for (size_t i = 0; i < g->count; i++)
		advance(g, set, (struct position){ i, 0, 0 });
}

bool
walk_fits_word(const struct item *item, const char *text)
{
	const char *word;

	return item->kind == ITEM_WORD &&
	    pattern_fit_word(item->text, text, &word) == FIT_WORD;
}

static bool
fits_argument(const struct item *item, const char *text)
{
	return item->kind == ITEM_ARG && item->type->check(text, NULL) == 0;
}

bool
walk_fits_prefix(const struct item *item, const char *text)
{
	const char *word;

	return item->kind == ITEM_WORD &&
	    pattern_fit_word(item->text, text, &word) == FIT_PREFIX;
}

void
walk_step(const struct grammar *g, const struct positions *set,
    const char *text, walk_fits fits, struct positions *next)
{
	const struct item *item;
	struct position p;

	memset(next, 0, sizeof(*next));
	for (size_t i = 0; i < set->count; i++) {
		item = walk_item(g, &set->at[i]);
		if (!fits(item, text))
			continue;
		p = (struct position){ set->at[i].row, set->at[i].item, i };
		if (item->repeat)
			walk_add(next, p);
		p.item++;
		advance(g, next, p);
	}
}

bool
walk_is_one_word(
    const struct grammar *g, const struct positions *set, const char *text)
{
	const char *first = NULL, *word = NULL;
	const struct item *item;

	for (size_t i = 0; i < set->count; i++) {
		item = walk_item(g, &set->at[i]);
		if (!walk_fits_prefix(item, text))
			continue;
		pattern_fit_word(item->text, text, &word);
		if (first == NULL)
			first = word;
		if (strcspn(first, "|") != strcspn(word, "|") ||
		    strncmp(first, word, strcspn(word, "|")) != 0)
			return false;
	}
	return true;
}

enum fit
walk_follow(const struct grammar *g, const struct positions *set,
    const char *text, bool abbreviate, struct positions *next)
{
	walk_step(g, set, text, walk_fits_word, next);
	if (next->count == 0)
		walk_step(g, set, text, fits_argument, next);
	if (next->count > 0)
		return FIT_WORD;
	if (abbreviate && walk_is_one_word(g, set, text))
		walk_step(g, set, text, walk_fits_prefix, next);
	return next->count > 0 ? FIT_PREFIX : FIT_NONE;
}

bool
walk_is_repeated(
    const struct grammar *g, const struct positions *set, size_t at)
{
	const struct item *item = walk_item(g, &set->at[at]), *other;

	for (size_t i = 0; i < at; i++) {
		other = walk_item(g, &set->at[i]);
		if (other->kind == item->kind &&
		    str_equal(other->text, item->text))
			return true;
	}
	return false;
}
