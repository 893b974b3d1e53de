/*
 * What is wrong with a line that no command fits, in one line.
 */
#include "common/grammar_walk.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

#define QUOTED_MAX 100

/* ": add, del, <name>": what may stand here. */
static void
add_expected(
    struct buf *b, const struct grammar *g, const struct positions *set)
{
	const char *separator = ": ";
	const struct item *item;

	for (size_t i = 0; i < set->count; i++) {
		item = walk_item(g, &set->at[i]);
		if (item->kind == ITEM_END || walk_is_repeated(g, set, i))
			continue;
		buf_add_str(b, separator);
		buf_addf(b, item->kind == ITEM_ARG ? "<%s>" : "%s", item->text);
		separator = ", ";
	}
}

static const struct item *
find_item(
    const struct grammar *g, const struct positions *set, enum item_kind kind)
{
	for (size_t i = 0; i < set->count; i++)
		if (walk_item(g, &set->at[i])->kind == kind)
			return walk_item(g, &set->at[i]);
	return NULL;
}

/* The words of which a text could be the beginning, if several. */
static bool
add_ambiguous(struct buf *b, const struct grammar *g,
    const struct positions *set, const char *text)
{
	struct positions fitting = { 0 };
	bool several = !walk_is_one_word(g, set, text);

	for (size_t i = 0; i < set->count; i++)
		if (walk_fits_prefix(walk_item(g, &set->at[i]), text))
			walk_add(&fitting, set->at[i]);
	if (several) {
		buf_addf(b, "'%s' could be", text);
		add_expected(b, g, &fitting);
	}
	free(fitting.at);
	return several;
}

/* A word between quotes; of a long one its beginning, as an error is a line. */
static void
add_quoted(struct buf *b, const char *text)
{
	size_t len = strlen(text);
	bool whole = len <= QUOTED_MAX;

	if (!whole) {
		len = QUOTED_MAX;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--; /* not within a character of UTF-8 */
	}
	buf_addf(b, "'%.*s%s'", (int)len, text, whole ? "" : "...");
}

static void
add_unknown(struct buf *b, const char *text)
{
	add_quoted(b, text);
	buf_add_str(b, " isn't a command, see 'help'");
}

/* What is wrong with a word that fits none of the positions. */
static void
add_fault(struct buf *b, const struct grammar *g, const struct positions *set,
    const char *text)
{
	const struct item *arg = find_item(g, set, ITEM_ARG);
	struct error why;

	if (arg != NULL && arg->type->check(text, &why) != 0) {
		add_quoted(b, text);
		buf_addf(b, ": %s", why.text);
	} else if (find_item(g, set, ITEM_WORD) == NULL) {
		add_quoted(b, text);
		buf_add_str(b, " is too much");
	} else {
		add_quoted(b, text);
		buf_add_str(b, " isn't known here, but");
		add_expected(b, g, set);
	}
}

static void
add_missing(struct buf *b, const struct grammar *g, const struct positions *set)
{
	const struct item *first = walk_item(g, &set->at[0]);

	if (set->count == 1 && first->kind == ITEM_ARG) {
		buf_addf(b, "<%s> is missing", first->text);
	} else {
		buf_add_str(b, "incomplete, it goes on with");
		add_expected(b, g, set);
	}
}

/* Where all positions are of one row: how it is used. */
static void
add_usage(struct buf *b, const struct grammar *g, const struct positions *set)
{
	char *usage;

	for (size_t i = 1; i < set->count; i++)
		if (set->at[i].row != set->at[0].row)
			return;
	usage = grammar_usage(&g->table[set->at[0].row]);
	buf_addf(b, "; usage: %s", usage);
	free(usage);
}

/* A word too many, where a secret is asked for: it may be that secret, and is
   quoted nowhere. */
static bool
is_secret(const struct grammar *g, const struct words *words, size_t at,
    const struct positions *set)
{
	for (size_t i = 0; i < set->count && at < words->count; i++)
		if (walk_item(g, &set->at[i])->kind == ITEM_END &&
		    g->table[set->at[i].row].ask != ASK_NOTHING)
			return true;
	return false;
}

int
grammar_explain(const struct grammar *g, const struct words *words, size_t at,
    const struct positions *set, bool abbreviate, struct error *error)
{
	struct buf b = { 0 };

	if (is_secret(g, words, at, set))
		return error_set(error, RES_DENIED,
		    "the secret isn't typed on the line: it is asked for");
	for (size_t i = 0; i < at; i++)
		buf_addf(&b, "%s%s", i == 0 ? "" : " ", words->at[i]);
	buf_add_str(&b, at == 0 ? "" : ": ");
	if (at == words->count)
		add_missing(&b, g, set);
	else if (abbreviate && add_ambiguous(&b, g, set, words->at[at]))
		;
	else if (at == 0)
		add_unknown(&b, words->at[0]);
	else
		add_fault(&b, g, set, words->at[at]);
	if (at > 0)
		add_usage(&b, g, set);
	error_set(error, RES_INVALID, "%s", buf_str(&b));
	buf_clear(&b);
	return RES_INVALID;
}
