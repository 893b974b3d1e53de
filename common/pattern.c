/*
 * The pattern of one command, from text to items.
 */
#include "common/pattern.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

static struct item *
add_item(struct pattern *p, enum item_kind kind, size_t depth)
{
	struct item *item;

	p->items = xrealloc(p->items, (p->count + 1) * sizeof(*p->items));
	item = &p->items[p->count++];
	memset(item, 0, sizeof(*item));
	item->kind = kind;
	item->depth = depth;
	return item;
}

/* "type>" or "type:label>" */
static bool
add_argument(struct pattern *p, const char *text, size_t depth)
{
	struct item *item = add_item(p, ITEM_ARG, depth);
	size_t len = strcspn(text, ">"), name_len = strcspn(text, ":>");
	char *name = xstrndup(text, name_len);

	item->type = arg_type_find(name);
	if (name_len < len)
		item->text = xstrndup(text + name_len + 1, len - name_len - 1);
	else
		item->text = xstrdup(name);
	free(name);
	return text[len] == '>' && item->type != NULL && *item->text != '\0';
}

static void
close_bracket(struct pattern *p, size_t depth)
{
	size_t i = p->count;

	while (p->items[--i].kind != ITEM_OPEN || p->items[i].skip != 0)
		;
	add_item(p, ITEM_CLOSE, depth);
	p->items[i].skip = p->count;
}

static bool
set_repeat(struct pattern *p)
{
	if (p->count == 0 || p->items[p->count - 1].kind != ITEM_ARG)
		return false;
	p->items[p->count - 1].repeat = true;
	return true;
}

static bool
add_words(struct pattern *p, const char *text, size_t len, size_t depth)
{
	if (len == 0 || text[0] == '|' || text[len - 1] == '|')
		return false;
	add_item(p, ITEM_WORD, depth)->text = xstrndup(text, len);
	return true;
}

/* Reads one item at `text`; returns its length, or 0. */
static size_t
read_item(struct pattern *p, const char *text, size_t *depth)
{
	size_t len = strcspn(text, " []<>.");

	switch (*text) {
	case ' ':
		return 1;
	case '[':
		add_item(p, ITEM_OPEN, ++*depth);
		return 1;
	case ']':
		if (*depth == 0 || p->items[p->count - 1].kind == ITEM_OPEN)
			return 0;
		close_bracket(p, (*depth)--);
		return 1;
	case '<':
		return add_argument(p, text + 1, *depth)
		    ? strcspn(text, ">") + 1
		    : 0;
	case '.':
		return str_starts(text, "...") && set_repeat(p) ? 3 : 0;
	default:
		return add_words(p, text, len, *depth) ? len : 0;
	}
}

bool
pattern_compile(struct pattern *p, const char *text)
{
	size_t depth = 0, len;

	memset(p, 0, sizeof(*p));
	for (; *text != '\0'; text += len) {
		len = read_item(p, text, &depth);
		if (len == 0)
			return false;
	}
	add_item(p, ITEM_END, 0);
	return depth == 0 && p->items[0].kind == ITEM_WORD;
}

void
pattern_clear(struct pattern *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->items[i].text);
	free(p->items);
	memset(p, 0, sizeof(*p));
}

char *
pattern_usage(const char *text)
{
	struct buf b = { 0 };
	const char *colon;
	size_t len;

	for (; *text != '\0'; text += len) {
		len = 1;
		if (*text == '<') {
			len = strcspn(text, ">");
			colon = memchr(text, ':', len);
			if (colon != NULL) {
				buf_add(&b, "<", 1);
				len -= (size_t)(colon + 1 - text);
				text = colon + 1;
			}
		}
		buf_add(&b, text, len);
	}
	return buf_steal_str(&b);
}

enum fit
pattern_fit_word(const char *words, const char *text, const char **word)
{
	size_t len = strlen(text), have;
	enum fit best = FIT_NONE;

	for (; *words != '\0'; words += have + (words[have] == '|')) {
		have = strcspn(words, "|");
		if (len == 0 || len > have ||
		    strncasecmp(words, text, len) != 0)
			continue;
		if (len == have || best == FIT_NONE)
			*word = words;
		best = len == have     ? FIT_WORD
		    : best == FIT_NONE ? FIT_PREFIX
				       : best;
	}
	return best;
}
