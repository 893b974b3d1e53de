/*
 * Matching lines against all command patterns at once.
 *
 * A position is a row of the table and an item of its pattern. After each word
 * only those positions remain that it fitted; what each word was is found at
 * the end, on the way back.
 */
#include "common/grammar.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/pattern.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

struct grammar {
	const struct command *table;
	struct pattern *rows;
	size_t count;
};

/* `from` is the position that the word before was taken at. */
struct position {
	size_t row, item, from;
};

struct positions {
	struct position *at;
	size_t count;
};

static const struct item *
item_of(const struct grammar *g, const struct position *p)
{
	return &g->rows[p->row].items[p->item];
}

static void
add_position(struct positions *set, struct position p)
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
	const struct item *item = item_of(g, &p);

	if (item->kind != ITEM_OPEN && item->kind != ITEM_CLOSE) {
		add_position(set, p);
		return;
	}
	advance(g, set, (struct position){ p.row, p.item + 1, p.from });
	if (item->kind == ITEM_OPEN)
		advance(g, set, (struct position){ p.row, item->skip, p.from });
}

static void
start(const struct grammar *g, struct positions *set)
{
	memset(set, 0, sizeof(*set));
	for (size_t i = 0; i < g->count; i++)
		advance(g, set, (struct position){ i, 0, 0 });
}

typedef bool (*fits_fn)(const struct item *item, const char *text);

static bool
fits_word(const struct item *item, const char *text)
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

static bool
fits_prefix(const struct item *item, const char *text)
{
	const char *word;

	return item->kind == ITEM_WORD &&
	    pattern_fit_word(item->text, text, &word) == FIT_PREFIX;
}

/* The positions behind those that a text fits. */
static void
step(const struct grammar *g, const struct positions *set, const char *text,
    fits_fn fits, struct positions *next)
{
	const struct item *item;
	struct position p;

	memset(next, 0, sizeof(*next));
	for (size_t i = 0; i < set->count; i++) {
		item = item_of(g, &set->at[i]);
		if (!fits(item, text))
			continue;
		p = (struct position){ set->at[i].row, set->at[i].item, i };
		if (item->repeat)
			add_position(next, p);
		p.item++;
		advance(g, next, p);
	}
}

/* Whether the words that begin with a text are all the same one. */
static bool
is_one_word(
    const struct grammar *g, const struct positions *set, const char *text)
{
	const char *first = NULL, *word = NULL;
	const struct item *item;

	for (size_t i = 0; i < set->count; i++) {
		item = item_of(g, &set->at[i]);
		if (!fits_prefix(item, text))
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

/* Follows one word: an exact word, else an argument, else a prefix. */
static enum fit
follow(const struct grammar *g, const struct positions *set, const char *text,
    bool abbreviate, struct positions *next)
{
	step(g, set, text, fits_word, next);
	if (next->count == 0)
		step(g, set, text, fits_argument, next);
	if (next->count > 0)
		return FIT_WORD;
	if (abbreviate && is_one_word(g, set, text))
		step(g, set, text, fits_prefix, next);
	return next->count > 0 ? FIT_PREFIX : FIT_NONE;
}

/* ---- what went wrong --------------------------------------------------- */

/* Whether an earlier position waits for the same word or argument. */
static bool
is_repeated(const struct grammar *g, const struct positions *set, size_t at)
{
	const struct item *item = item_of(g, &set->at[at]), *other;

	for (size_t i = 0; i < at; i++) {
		other = item_of(g, &set->at[i]);
		if (other->kind == item->kind &&
		    str_equal(other->text, item->text))
			return true;
	}
	return false;
}

/* ": add, del, <name>": what may stand here. */
static void
add_expected(
    struct buf *b, const struct grammar *g, const struct positions *set)
{
	const char *separator = ": ";
	const struct item *item;

	for (size_t i = 0; i < set->count; i++) {
		item = item_of(g, &set->at[i]);
		if (item->kind == ITEM_END || is_repeated(g, set, i))
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
		if (item_of(g, &set->at[i])->kind == kind)
			return item_of(g, &set->at[i]);
	return NULL;
}

/* The words of which a text could be the beginning, if several. */
static bool
add_ambiguous(struct buf *b, const struct grammar *g,
    const struct positions *set, const char *text)
{
	struct positions fitting = { 0 };
	bool several = !is_one_word(g, set, text);

	for (size_t i = 0; i < set->count; i++)
		if (fits_prefix(item_of(g, &set->at[i]), text))
			add_position(&fitting, set->at[i]);
	if (several) {
		buf_addf(b, "'%s' could be", text);
		add_expected(b, g, &fitting);
	}
	free(fitting.at);
	return several;
}

/* What is wrong with a word that fits none of the positions. */
static void
add_fault(struct buf *b, const struct grammar *g, const struct positions *set,
    const char *text)
{
	const struct item *arg = find_item(g, set, ITEM_ARG);
	struct error why;

	if (arg != NULL && arg->type->check(text, &why) != 0) {
		buf_addf(b, "'%s': %s", text, why.text);
	} else if (find_item(g, set, ITEM_WORD) == NULL) {
		buf_addf(b, "'%s' is too much", text);
	} else {
		buf_addf(b, "'%s' isn't known here, but", text);
		add_expected(b, g, set);
	}
}

static void
add_missing(struct buf *b, const struct grammar *g, const struct positions *set)
{
	const struct item *first = item_of(g, &set->at[0]);

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
		if (item_of(g, &set->at[i])->kind == ITEM_END &&
		    g->table[set->at[i].row].ask != ASK_NOTHING)
			return true;
	return false;
}

static int
explain(const struct grammar *g, const struct words *words, size_t at,
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
		buf_addf(&b, "'%s' isn't a command, see 'help'", words->at[0]);
	else
		add_fault(&b, g, set, words->at[at]);
	if (at > 0)
		add_usage(&b, g, set);
	error_set(error, RES_INVALID, "%s", buf_str(&b));
	buf_clear(&b);
	return RES_INVALID;
}

/* ---- matching ---------------------------------------------------------- */

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
	start(g, &t->steps[0]);
	while (t->count < count) {
		next = &t->steps[t->count + 1];
		fit = follow(
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
		if (item_of(g, &last->at[i])->kind == ITEM_END)
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
		items[i] = item_of(g, p);
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
		rc = explain(g, words, *at, &t.steps[*at], abbreviate, error);
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
		item = item_of(g, &last->at[i]);
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

/* How many words of "a b *" a line begins with all of; 0 if it doesn't. */
static size_t
begins_with(const struct words *words, const char *pattern)
{
	size_t count = 0, len;

	for (; *pattern != '\0'; pattern += len + (pattern[len] == ' ')) {
		len = strcspn(pattern, " ");
		if (count == words->count)
			return 0;
		if (*pattern != '*' &&
		    (strlen(words->at[count]) != len ||
			strncasecmp(words->at[count], pattern, len) != 0))
			return 0;
		count++;
	}
	return count;
}

const char *
grammar_elsewhere(const struct words *words, size_t at)
{
	const struct command_elsewhere *e;
	const char *best = NULL;
	size_t longest = at, len;

	for (e = commands_elsewhere; e->words != NULL; e++) {
		len = begins_with(words, e->words);
		if (len > longest) {
			longest = len;
			best = e->instead;
		}
	}
	return best;
}

/* ---- compiling --------------------------------------------------------- */

/* Two rows that go on with an argument at one place, or end at one. */
static bool
is_ambiguous(const struct grammar *g, const struct positions *set,
    enum item_kind kind, size_t *row)
{
	const struct position *first = NULL;

	for (size_t i = 0; i < set->count; i++) {
		if (item_of(g, &set->at[i])->kind != kind)
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

	step(g, set, text, text == NULL ? fits_any_argument : fits_word, &next);
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
		item = item_of(g, &set->at[i]);
		if (item->kind != ITEM_WORD || is_repeated(g, set, i))
			continue;
		copy = rest = xstrdup(item->text);
		while ((word = strsep(&rest, "|")) != NULL && ok)
			ok = check_step(g, set, word, depth, row);
		free(copy);
	}
	return ok;
}

struct grammar *
grammar_new(const struct command *table, struct error *error)
{
	struct grammar *g = xcalloc(1, sizeof(*g));
	struct positions first = { 0 };
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
	if (ok) {
		start(g, &first);
		ok = check_set(g, &first, 0, &row);
		free(first.at);
	}
	if (ok)
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
