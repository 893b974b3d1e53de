/*
 * Command patterns: matching a line to its row, and what may come next.
 */
#include "common/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "common/grammar_walk.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

/* All that was followed: steps[i] is where word i was to be taken. */
struct trail {
	struct positions steps[WORDS_MAX + 1];
	size_t count;
	bool abbreviated;
};

static void
trail_clear(struct trail *t)
{
	for (size_t i = 0; i <= t->count; i++)
		free(t->steps[i].at);
}

/* Follows words as far as they fit; returns how many did. */
static size_t
trail_follow(const struct grammar *g, char *const *words, size_t count,
    bool abbreviate, struct trail *t)
{
	struct positions *next;
	enum fit fit;

	t->count = 0;
	t->abbreviated = false;
	walk_start(g, &t->steps[0]);
	while (t->count < count) {
		next = &t->steps[t->count + 1];
		fit = walk_follow(
		    g, &t->steps[t->count], words[t->count], abbreviate, next);
		if (fit == FIT_NONE)
			break;
		t->abbreviated = t->abbreviated || fit == FIT_PREFIX;
		t->count++;
	}
	return t->count;
}

/* Where the row ended; NULL if no row may end here. */
static const struct position *
trail_end(const struct grammar *g, const struct trail *t)
{
	const struct positions *last = &t->steps[t->count];

	for (size_t i = 0; i < last->count; i++)
		if (walk_item(g, &last->at[i])->kind == ITEM_END)
			return &last->at[i];
	return NULL;
}

/* Goes back from the end and notes what each word was. */
static void
trail_collect(const struct grammar *g, const struct trail *t,
    const struct position *end, const struct words *words, struct match *match)
{
	const struct item *items[WORDS_MAX] = { NULL };
	const struct position *p = end;
	struct match_arg *arg;

	match->command = &g->table[end->row];
	match->count = 0;
	for (size_t i = t->count; i-- > 0;) {
		p = &t->steps[i].at[p->from];
		items[i] = walk_item(g, p);
	}
	for (size_t i = 0; i < t->count; i++) {
		if (items[i]->kind == ITEM_WORD && items[i]->depth == 0)
			continue;
		arg = &match->args[match->count++];
		arg->label = items[i]->text;
		arg->type = items[i]->type;
		arg->text = words->at[i];
		arg->repeats = items[i]->repeat;
	}
}

int
grammar_match(const struct grammar *g, const struct words *words,
    bool abbreviate, struct match *match, size_t *at, struct error *error)
{
	const struct position *end;
	struct trail t;
	int rc = 0;

	*at = trail_follow(g, words->at, words->count, abbreviate, &t);
	end = *at == words->count ? trail_end(g, &t) : NULL;
	if (end == NULL) {
		rc = grammar_explain(
		    g, words, *at, &t.steps[*at], abbreviate, error);
	} else if (t.abbreviated && (g->table[end->row].flags & CMD_REMOVES)) {
		*at = 0;
		rc = error_set(error, RES_INVALID,
		    "'%s' removes something: its words aren't abbreviated",
		    g->table[end->row].pattern);
	} else {
		trail_collect(g, &t, end, words, match);
	}
	trail_clear(&t);
	return rc;
}

/* Whether something that says the same is in the list. */
static bool
is_listed(const struct grammar_next *list, size_t count,
    const struct grammar_next *one)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].type == one->type &&
		    str_equal(list[i].word, one->word) &&
		    str_equal(list[i].label, one->label))
			return true;
	return false;
}

size_t
grammar_next(const struct grammar *g, char *const *words, size_t count,
    bool abbreviate, enum role role, struct grammar_next **out)
{
	const struct positions *last;
	const struct item *item;
	struct grammar_next one;
	struct trail t;
	size_t found = 0;

	*out = NULL;
	if (count > WORDS_MAX ||
	    trail_follow(g, words, count, abbreviate, &t) != count) {
		if (count <= WORDS_MAX)
			trail_clear(&t);
		return 0;
	}
	last = &t.steps[count];
	for (size_t i = 0; i < last->count; i++) {
		item = walk_item(g, &last->at[i]);
		one = (struct grammar_next){
			.word = item->kind == ITEM_WORD ? item->text : NULL,
			.type = item->type,
			.label = item->kind == ITEM_ARG ? item->text : NULL,
			.command = &g->table[last->at[i].row],
		};
		if (one.command->role > role || is_listed(*out, found, &one))
			continue;
		*out = xrealloc(*out, (found + 1) * sizeof(**out));
		(*out)[found++] = one;
	}
	trail_clear(&t);
	return found;
}

char *
grammar_usage(const struct command *command)
{
	return pattern_usage(command->pattern);
}

struct grammar *
grammar_new(const struct command *table, struct error *error)
{
	struct grammar *g = xcalloc(1, sizeof(*g));
	size_t row = 0;
	bool ok = true;

	g->table = table;
	while (table[g->count].pattern != NULL)
		g->count++;
	g->rows = xcalloc(g->count + 1, sizeof(*g->rows));
	for (size_t i = 0; i < g->count && ok; i++) {
		row = i;
		ok = pattern_compile(&g->rows[i], table[i].pattern);
	}
	if (ok && grammar_check(g, &row))
		return g;
	error_set(error, RES_INVALID, "pattern '%s' is malformed or ambiguous",
	    table[row].pattern);
	grammar_free(g);
	return NULL;
}

void
grammar_free(struct grammar *g)
{
	if (g == NULL)
		return;
	for (size_t i = 0; i < g->count; i++)
		pattern_clear(&g->rows[i]);
	free(g->rows);
	free(g);
}
