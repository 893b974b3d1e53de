/*
 * How a node of an account is set up.
 */
#include "xmppd/router/pep_node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/router/form.h"

#define TEXT_MAX_BYTES 1000
#define LIST_MAX_VALUES 100

/* What values an option has. */
enum option_kind {
	OPTION_BOOL,   /* "0", "1" */
	OPTION_CHOICE, /* one of `choices` */
	OPTION_COUNT,  /* 1 to PEP_ITEMS_MAX, or "max" */
	OPTION_TEXT,
	OPTION_LIST, /* texts, with '\n' between them */
};

static const char *const access_models[] = { "authorize", "open", "presence",
	"roster", "whitelist", NULL };
static const char *const publish_models[] = { "publishers", NULL };
static const char *const send_last[] = { "never", "on_sub",
	"on_sub_and_presence", NULL };
static const char *const message_types[] = { "headline", "normal", NULL };

/* XEP-0163, 5, and for the rest XEP-0060, 16.4.4. */
static const struct {
	const char *var;
	enum option_kind kind;
	const char *usual;
	const char *const *choices;
	const char *label;
} options[NODE_OPTIONS] = {
	[NODE_ACCESS] = { "pubsub#access_model", OPTION_CHOICE, "presence",
	    access_models, "Who may subscribe and read" },
	[NODE_DELIVER_PAYLOADS] = { "pubsub#deliver_payloads", OPTION_BOOL, "1",
	    NULL, "Notifications hold the items" },
	[NODE_DESCRIPTION] = { "pubsub#description", OPTION_TEXT, "", NULL,
	    "Description" },
	[NODE_MAX_ITEMS] = { "pubsub#max_items", OPTION_COUNT, "1", NULL,
	    "How many items are kept" },
	[NODE_NOTIFICATION_TYPE] = { "pubsub#notification_type", OPTION_CHOICE,
	    "headline", message_types, "Type of notifications" },
	[NODE_NOTIFY_CONFIG] = { "pubsub#notify_config", OPTION_BOOL, "0", NULL,
	    "Say when the configuration changes" },
	[NODE_NOTIFY_DELETE] = { "pubsub#notify_delete", OPTION_BOOL, "1", NULL,
	    "Say when the node is deleted" },
	[NODE_NOTIFY_RETRACT] = { "pubsub#notify_retract", OPTION_BOOL, "1",
	    NULL, "Say when an item is removed" },
	[NODE_PERSIST] = { "pubsub#persist_items", OPTION_BOOL, "1", NULL,
	    "Items are kept" },
	[NODE_PUBLISH_MODEL] = { "pubsub#publish_model", OPTION_CHOICE,
	    "publishers", publish_models, "Who may publish" },
	[NODE_ROSTER_GROUPS] = { "pubsub#roster_groups_allowed", OPTION_LIST,
	    "", NULL, "Roster groups that may subscribe" },
	[NODE_SEND_LAST] = { "pubsub#send_last_published_item", OPTION_CHOICE,
	    "on_sub_and_presence", send_last, "When to send the last item" },
	[NODE_TITLE] = { "pubsub#title", OPTION_TEXT, "", NULL, "Title" },
	[NODE_TYPE] = { "pubsub#type", OPTION_TEXT, "", NULL,
	    "Namespace of what the items hold" },
};

static const char *const form_types[] = {
	[OPTION_BOOL] = "boolean",
	[OPTION_CHOICE] = "list-single",
	[OPTION_COUNT] = "text-single",
	[OPTION_TEXT] = "text-single",
	[OPTION_LIST] = "text-multi",
};

void
node_config_init(struct node_config *c)
{
	for (size_t o = 0; o < NODE_OPTIONS; o++)
		c->value[o] = xstrdup(options[o].usual);
}

void
node_config_clear(struct node_config *c)
{
	for (size_t o = 0; o < NODE_OPTIONS; o++) {
		free(c->value[o]);
		c->value[o] = NULL;
	}
}

/* ---- values ------------------------------------------------------------ */

static char *
read_bool(const char *text)
{
	if (str_equal(text, "1") || str_equal(text, "true"))
		return xstrdup("1");
	if (str_equal(text, "0") || str_equal(text, "false"))
		return xstrdup("0");
	return NULL;
}

static char *
read_choice(const char *text, const char *const *choices)
{
	for (; *choices != NULL; choices++)
		if (str_equal(text, *choices))
			return xstrdup(text);
	return NULL;
}

static char *
read_count(const char *text)
{
	uint64_t count;
	char *value;

	if (str_equal(text, "max"))
		return xstrdup(text);
	if (text == NULL || !str_to_u64(text, 1, PEP_ITEMS_MAX, &count))
		return NULL;
	xasprintf(&value, "%llu", (unsigned long long)count);
	return value;
}

/* Lines without empty ones at either end. */
static char *
trim_lines(struct buf *b)
{
	const char *text = buf_str(b);
	size_t len = b->len;
	char *trimmed;

	for (; len > 0 && *text == '\n'; len--)
		text++;
	while (len > 0 && text[len - 1] == '\n')
		len--;
	trimmed = xstrndup(text, len);
	buf_clear(b);
	return trimmed;
}

/* The values of a field, each a line; of a list none may be several. */
static char *
read_lines(const struct xml *field, bool list)
{
	struct buf b = { 0 };
	const struct xml *v;
	size_t count = 0;

	for (v = xml_child(field, "value", NS_DATA); v != NULL;
	     v = xml_next(v, "value", NS_DATA)) {
		if (++count > LIST_MAX_VALUES ||
		    strlen(v->text) > TEXT_MAX_BYTES ||
		    (list && strchr(v->text, '\n') != NULL)) {
			buf_clear(&b);
			return NULL;
		}
		if (count > 1)
			buf_add_str(&b, "\n");
		buf_add_str(&b, v->text);
	}
	return trim_lines(&b);
}

/* What a field says, in the option's one form; NULL: it has no such value. */
static char *
read_value(enum node_option o, const struct xml *field)
{
	const char *text = xml_child_text(field, "value");

	switch (options[o].kind) {
	case OPTION_BOOL:
		return read_bool(text);
	case OPTION_CHOICE:
		return read_choice(text, options[o].choices);
	case OPTION_COUNT:
		return read_count(text);
	case OPTION_TEXT:
		return read_lines(field, false);
	case OPTION_LIST:
		break;
	}
	return read_lines(field, true);
}

/* ---- forms ------------------------------------------------------------- */

static enum node_option
option_find(const char *var)
{
	size_t o = 0;

	while (o < NODE_OPTIONS && !str_equal(options[o].var, var))
		o++;
	return (enum node_option)o;
}

enum stanza_error
node_config_read(struct node_config *c, const struct xml *form)
{
	const struct xml *f;
	enum node_option o;
	char *value;

	for (f = xml_child(form, "field", NS_DATA); f != NULL;
	     f = xml_next(f, "field", NS_DATA)) {
		o = option_find(xml_attr(f, "var"));
		if (o == NODE_OPTIONS)
			continue;
		value = read_value(o, f);
		if (value == NULL)
			return STANZA_NOT_ACCEPTABLE;
		free(c->value[o]);
		c->value[o] = value;
	}
	return 0;
}

bool
node_config_has(const struct node_config *c, const struct xml *form)
{
	const struct xml *f;
	enum node_option o;
	char *value;
	bool has = true;

	for (f = xml_child(form, "field", NS_DATA); f != NULL && has;
	     f = xml_next(f, "field", NS_DATA)) {
		if (str_equal(xml_attr(f, "var"), "FORM_TYPE"))
			continue;
		o = option_find(xml_attr(f, "var"));
		if (o == NODE_OPTIONS)
			return false;
		value = read_value(o, f);
		has = str_equal(value, c->value[o]);
		free(value);
	}
	return has;
}

void
node_config_write(struct buf *b, const struct node_config *c, const char *type,
    const char *form_type)
{
	bool full = str_equal(type, "form");
	const char *const *choice;

	form_begin(b, type, form_type);
	for (size_t o = 0; o < NODE_OPTIONS; o++) {
		form_open_field(b, options[o].var,
		    full ? form_types[options[o].kind] : NULL,
		    full ? options[o].label : NULL);
		form_add_values(b, c->value[o]);
		choice = options[o].choices;
		for (; full && choice != NULL && *choice != NULL; choice++)
			form_add_option(b, *choice);
		form_close_field(b);
	}
	form_end(b);
}

void
node_config_encode(struct buf *b, const struct node_config *c)
{
	node_config_write(b, c, "submit", NULL);
}

void
node_config_decode(struct node_config *c, const struct buf *value)
{
	struct xml *form = xml_parse((const char *)value->data, value->len);

	node_config_init(c);
	if (form != NULL)
		node_config_read(c, form);
	xml_free(form);
}

/* ---- what it says ------------------------------------------------------ */

bool
node_config_is(
    const struct node_config *c, enum node_option o, const char *value)
{
	return str_equal(c->value[o], value);
}

bool
node_config_on(const struct node_config *c, enum node_option o)
{
	return node_config_is(c, o, "1");
}

uint32_t
node_config_keep(const struct node_config *c)
{
	uint64_t count = PEP_ITEMS_MAX;

	str_to_u64(c->value[NODE_MAX_ITEMS], 1, PEP_ITEMS_MAX, &count);
	return (uint32_t)count;
}
