/*
 * Completion and help in the middle of a line.
 */
#include "mmp/complete.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/grammar.h"
#include "common/strutil.h"
#include "common/words.h"
#include "common/xmalloc.h"
#include "mmp/call.h"
#include "mmp/layout.h"

#define COLUMN 23     /* where explanations begin */
#define NAMES_MS 1000 /* for how long a daemon may take to name names */

/* The line before the cursor: whole words, and the one that is being typed. */
struct place {
	struct words words;
	char **before;
	size_t count;
	const char *typed;
	size_t typed_len; /* in the line, with quotes */
};

static int
find_place(const char *line, struct place *p)
{
	int rc = words_split(line, false, true, &p->words, NULL);

	if (rc != 0)
		return rc;
	p->before = p->words.at;
	p->count = p->words.count;
	p->typed = "";
	p->typed_len = 0;
	if (p->words.inside) {
		p->count--;
		p->typed = p->words.at[p->count];
		p->typed_len = strlen(line) - p->words.columns[p->count];
	}
	/* What help is asked for is completed as if it were typed itself. */
	if (p->count > 0 && str_equal_nocase(p->before[0], "help")) {
		p->before++;
		p->count--;
	}
	return 0;
}

static void
add(struct candidates *c, const char *typed, const char *text, size_t len)
{
	char *copy;

	if (len < strlen(typed) || strncasecmp(text, typed, strlen(typed)) != 0)
		return;
	copy = xstrndup(text, len);
	for (size_t i = 0; i < c->count; i++)
		if (str_equal(c->at[i], copy)) {
			free(copy);
			return;
		}
	c->at = xrealloc(c->at, (c->count + 1) * sizeof(*c->at));
	c->at[c->count++] = copy;
}

/* "a|b": each of them. */
static void
add_words(struct candidates *c, const char *typed, const char *words)
{
	size_t len;

	for (; *words != '\0'; words += len + (words[len] == '|')) {
		len = strcspn(words, "|");
		add(c, typed, words, len);
	}
}

/* The ending that a file of a type has; NULL: it isn't one. */
static const char *
suffix_of(const struct arg_type *type, const char *name)
{
	if (type->suffixes == NULL)
		return "";
	for (size_t i = 0; type->suffixes[i] != NULL; i++)
		if (str_ends(name, type->suffixes[i]))
			return type->suffixes[i];
	return NULL;
}

/* Files of the pki folder whose names end as they should. */
static void
add_files(struct mmp *mmp, struct candidates *c, const char *typed,
    const struct arg_type *type)
{
	const struct dirent *entry;
	const char *suffix;
	char *path;
	DIR *dir;
	size_t len;

	xasprintf(&path, "%s/pki", mmp->root);
	dir = opendir(path);
	free(path);
	/* cppcheck-suppress readdirCalled ; nobody else reads this stream */
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		len = strlen(entry->d_name);
		if (entry->d_name[0] == '.')
			continue;
		suffix = suffix_of(type, entry->d_name);
		if (suffix == NULL)
			continue;
		if (type->strip)
			len -= strlen(suffix);
		add(c, typed, entry->d_name, len);
	}
	if (dir != NULL)
		closedir(dir);
}

/* Names that a daemon knows. */
static void
add_names(struct mmp *mmp, struct candidates *c, const char *typed,
    const struct arg_source *source)
{
	const struct call call = { .at = source->at,
		.method = source->method,
		.timeout_ms = NAMES_MS };
	json_t *result, *one;
	struct error error;
	const char *name;
	bool absent;
	size_t i;

	if (call_daemon(mmp, &call, &result, &absent, &error) != 0)
		return;
	json_array_foreach(json_object_get(result, source->list), i, one) {
		name = json_string_value(source->key == NULL
			? one
			: json_object_get(one, source->key));
		if (name != NULL)
			add(c, typed, name, strlen(name));
	}
	json_decref(result);
}

static void
add_argument(struct mmp *mmp, struct candidates *c, const char *typed,
    const struct arg_type *type)
{
	for (size_t i = 0; type->words != NULL && type->words[i] != NULL; i++)
		add(c, typed, type->words[i], strlen(type->words[i]));
	if (type->kind == ARG_FILE || type->suffixes != NULL)
		add_files(mmp, c, typed, type);
	if (type->source != NULL)
		add_names(mmp, c, typed, type->source);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
complete_line(struct mmp *mmp, const char *line, struct candidates *out)
{
	struct grammar_next *next;
	struct place place;
	size_t count;

	memset(out, 0, sizeof(*out));
	if (find_place(line, &place) != 0)
		return;
	out->typed = place.typed_len;
	count = grammar_next(
	    mmp->grammar, place.before, place.count, true, mmp->role, &next);
	for (size_t i = 0; i < count; i++) {
		if (next[i].word != NULL)
			add_words(out, place.typed, next[i].word);
		else if (next[i].type != NULL)
			add_argument(mmp, out, place.typed, next[i].type);
	}
	free(next);
	words_clear(&place.words);
	if (out->count > 0)
		qsort(out->at, out->count, sizeof(*out->at), compare);
}

void
candidates_clear(struct candidates *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->at[i]);
	free(c->at);
	memset(c, 0, sizeof(*c));
}

size_t
candidates_common(const struct candidates *c)
{
	size_t len = c->count == 0 ? 0 : strlen(c->at[0]);

	for (size_t i = 1; i < c->count; i++)
		while (strncmp(c->at[0], c->at[i], len) != 0)
			len--;
	/* Not in the middle of a character. */
	while (len > 0 && (c->at[0][len] & 0xc0) == 0x80)
		len--;
	return len;
}

char *
complete_quoted(const char *text)
{
	char quote = strchr(text, '"') == NULL ? '"' : '\'', *quoted;

	if (strpbrk(text, " \t'\"") == NULL && *text != '#')
		return xstrdup(text);
	xasprintf(&quoted, "%c%s%c", quote, text, quote);
	return quoted;
}

/* What a word leads to: its group's explanation, or its command's. */
static const char *
explain(const struct place *place, const struct grammar_next *next)
{
	const struct command_group *g;
	struct buf words = { 0 };
	const char *help = next->command->help;

	for (size_t i = 0; i < place->count; i++)
		buf_addf(&words, "%s ", place->before[i]);
	buf_add_str(&words, next->word);
	for (g = command_groups; g->words != NULL; g++)
		if (str_equal_nocase(g->words, buf_str(&words)))
			help = g->help;
	buf_clear(&words);
	return help;
}

static void
add_help(
    struct buf *out, const struct place *place, const struct grammar_next *next)
{
	char label[64];

	if (next->word != NULL) {
		if (strncasecmp(
			next->word, place->typed, strlen(place->typed)) != 0)
			return;
		layout_entry(out, COLUMN, next->word, explain(place, next));
	} else if (next->type != NULL) {
		snprintf(label, sizeof(label), "<%s>", next->label);
		layout_entry(out, COLUMN, label, next->type->what);
	} else if (*place->typed == '\0') {
		layout_entry(out, COLUMN, "Enter", next->command->help);
	}
}

void
complete_help(struct mmp *mmp, const char *line, struct buf *out)
{
	struct grammar_next *next;
	struct place place;
	size_t count;

	if (find_place(line, &place) != 0)
		return;
	count = grammar_next(
	    mmp->grammar, place.before, place.count, true, mmp->role, &next);
	for (size_t i = 0; i < count; i++)
		add_help(out, &place, &next[i]);
	if (out->len == 0)
		buf_add_str(out, "  nothing is known that goes on so\n");
	free(next);
	words_clear(&place.words);
}
