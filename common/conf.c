/*
 * The settings of one node: a JSON file checked against its owner's table,
 * changed as a whole or not at all.
 */
#include "common/conf.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/crypto.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

#define CONF_FILE_MAX 1048576

struct conf_value {
	char *text;
	int64_t number; /* INT, BOOL */
	char **entries; /* LIST */
	size_t count;
};

struct conf {
	const struct conf_setting *table;
	size_t count;
	char *path;
	struct conf_value *now, *next; /* next: staged, or NULL */
};

static const char *const conf_type_names[] = {
	[CONF_TEXT] = "a text",
	[CONF_INT] = "a whole number",
	[CONF_BOOL] = "true or false",
	[CONF_LIST] = "a list of texts",
};

static void
conf_value_clear(const struct conf_setting *s, struct conf_value *v)
{
	if ((s->flags & CONF_SECRET) != 0)
		crypto_wipe_free(v->text);
	else
		free(v->text);
	for (size_t i = 0; i < v->count; i++)
		free(v->entries[i]);
	free(v->entries);
	*v = (struct conf_value){ .number = s->def };
}

static void
conf_value_append(struct conf_value *v, const char *entry)
{
	v->entries = xrealloc(v->entries, (v->count + 1) * sizeof(char *));
	v->entries[v->count++] = xstrdup(entry);
}

static struct conf_value *
conf_values_new(const struct conf *c)
{
	struct conf_value *values = xcalloc(c->count, sizeof(*values));

	for (size_t i = 0; i < c->count; i++)
		values[i].number = c->table[i].def;
	return values;
}

static void
conf_values_free(const struct conf *c, struct conf_value *values)
{
	if (values == NULL)
		return;
	for (size_t i = 0; i < c->count; i++)
		conf_value_clear(&c->table[i], &values[i]);
	free(values);
}

/* What changes are made to: a copy of what is in force. */
static struct conf_value *
conf_staged(struct conf *c, unsigned key)
{
	if (c->next != NULL)
		return &c->next[key];
	c->next = conf_values_new(c);
	for (size_t i = 0; i < c->count; i++) {
		const struct conf_value *from = &c->now[i];
		struct conf_value *to = &c->next[i];

		to->number = from->number;
		if (from->text != NULL)
			to->text = xstrdup(from->text);
		for (size_t n = 0; n < from->count; n++)
			conf_value_append(to, from->entries[n]);
	}
	return &c->next[key];
}

struct conf *
conf_new(const struct conf_setting *table, size_t count, const char *path)
{
	struct conf *c = xcalloc(1, sizeof(*c));

	c->table = table;
	c->count = count;
	c->path = xstrdup(path);
	c->now = conf_values_new(c);
	return c;
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	conf_values_free(c, c->now);
	conf_values_free(c, c->next);
	free(c->path);
	free(c);
}

/* One text against its row; the text itself may be secret and isn't shown. */
static int
conf_check_text(const struct conf_setting *s, const char *text, struct error *e)
{
	struct error why;
	size_t len = strlen(text);

	if (!str_is_utf8(text, len))
		return error_set(
		    e, RES_INVALID, "\"%s\" has to be UTF-8", s->name);
	if (s->type == CONF_TEXT && (s->min != 0 || s->max != 0) &&
	    (len < (size_t)s->min || len > (size_t)s->max))
		return error_set(e, RES_INVALID,
		    "\"%s\" has to be %" PRId64 " to %" PRId64
		    " characters long",
		    s->name, s->min, s->max);
	if (s->check != NULL && s->check(text, &why) != RES_OK)
		return error_set(
		    e, RES_INVALID, "\"%s\": %s", s->name, why.text);
	return RES_OK;
}

static int
conf_check_number(const struct conf_setting *s, int64_t number, struct error *e)
{
	if ((s->min != 0 || s->max != 0) &&
	    (number < s->min || number > s->max))
		return error_set(e, RES_INVALID,
		    "\"%s\" has to be from %" PRId64 " to %" PRId64, s->name,
		    s->min, s->max);
	return RES_OK;
}

static bool
conf_value_has(const struct conf_value *v, const char *entry)
{
	for (size_t i = 0; i < v->count; i++)
		if (strcmp(v->entries[i], entry) == 0)
			return true;
	return false;
}

static int
conf_value_add(const struct conf_setting *s, struct conf_value *v,
    const char *entry, struct error *e)
{
	int rc;

	if ((rc = conf_check_text(s, entry, e)) != RES_OK)
		return rc;
	if (conf_value_has(v, entry))
		return error_set(
		    e, RES_EXISTS, "\"%s\" has %s already", s->name, entry);
	if (s->max != 0 && v->count >= (size_t)s->max)
		return error_set(e, RES_LIMIT,
		    "\"%s\" holds at most %" PRId64 " entries", s->name,
		    s->max);
	conf_value_append(v, entry);
	return RES_OK;
}

static int
conf_wrong_type(const struct conf_setting *s, struct error *e)
{
	return error_set(e, RES_INVALID, "\"%s\" has to be %s", s->name,
	    conf_type_names[s->type]);
}

static int
conf_read_list(const struct conf_setting *s, struct conf_value *v,
    const json_t *json, struct error *e)
{
	const json_t *entry;
	size_t i;
	int rc;

	if (!json_is_array(json))
		return conf_wrong_type(s, e);
	json_array_foreach(json, i, entry) {
		if (!json_is_string(entry))
			return conf_wrong_type(s, e);
		if ((rc = conf_value_add(s, v, json_string_value(entry), e)) !=
		    RES_OK)
			return rc;
	}
	return RES_OK;
}

static int
conf_read_value(const struct conf_setting *s, struct conf_value *v,
    const json_t *json, struct error *e)
{
	switch (s->type) {
	case CONF_TEXT:
		if (!json_is_string(json))
			return conf_wrong_type(s, e);
		v->text = xstrdup(json_string_value(json));
		return conf_check_text(s, v->text, e);
	case CONF_INT:
		if (!json_is_integer(json))
			return conf_wrong_type(s, e);
		v->number = json_integer_value(json);
		return conf_check_number(s, v->number, e);
	case CONF_BOOL:
		if (!json_is_boolean(json))
			return conf_wrong_type(s, e);
		v->number = json_is_true(json);
		return RES_OK;
	case CONF_LIST:
		return conf_read_list(s, v, json, e);
	}
	return RES_OK;
}

static const struct conf_setting *
conf_find(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->table[i].name, name) == 0)
			return &c->table[i];
	return NULL;
}

/*
 * The line of a key. The JSON library tells lines of syntax errors only; the
 * file is flat, so the first place where the name stands as a key is it.
 */
static int
conf_line_of(const char *text, const char *name)
{
	size_t len = strlen(name);
	const char *at = text;
	int line = 1;

	while ((at = strstr(at, name)) != NULL) {
		if (at > text && at[-1] == '"' && at[len] == '"') {
			const char *colon = at + len + 1;

			colon += strspn(colon, " \t\r\n");
			if (*colon == ':')
				break;
		}
		at += len > 0 ? len : 1;
	}
	for (const char *p = text; at != NULL && p < at; p++)
		line += *p == '\n';
	return line;
}

static int
conf_read_object(const struct conf *c, struct conf_value *values, json_t *root,
    const char *text, struct error *e)
{
	struct error why;
	const char *name;
	json_t *json;

	json_object_foreach(root, name, json) {
		const struct conf_setting *s = conf_find(c, name);

		if (s == NULL)
			return error_set(e, RES_INVALID,
			    "%s:%d: no setting is called \"%.64s\"", c->path,
			    conf_line_of(text, name), name);
		if (conf_read_value(s, &values[s - c->table], json, &why) !=
		    RES_OK)
			return error_set(e, RES_INVALID, "%s:%d: %s", c->path,
			    conf_line_of(text, name), why.text);
	}
	return RES_OK;
}

static int
conf_parse(const struct conf *c, struct conf_value *values, const char *text,
    size_t len, struct error *e)
{
	json_error_t why;
	json_t *root;
	int rc;

	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (root == NULL)
		return error_set(e, RES_INVALID, "%s:%d: %s", c->path,
		    why.line > 0 ? why.line : 1, why.text);
	if (json_is_object(root))
		rc = conf_read_object(c, values, root, text, e);
	else
		rc = error_set(
		    e, RES_INVALID, "%s:1: no object of settings", c->path);
	json_decref(root);
	return rc;
}

int
conf_load(struct conf *c, struct error *e)
{
	struct conf_value *values;
	char *text;
	size_t len;
	int rc;

	text = file_read(c->path, CONF_FILE_MAX, &len);
	if (text == NULL && errno != ENOENT)
		return error_set(e, RES_IO, "%s: %s", c->path, strerror(errno));
	values = conf_values_new(c);
	rc = text == NULL ? RES_OK : conf_parse(c, values, text, len, e);
	if (text != NULL)
		crypto_wipe(text, len);
	free(text);
	if (rc == RES_OK) {
		conf_abort(c);
		conf_values_free(c, c->now);
		c->now = values;
	} else
		conf_values_free(c, values);
	return rc;
}

const char *
conf_text(const struct conf *c, unsigned key)
{
	return c->now[key].text;
}

int64_t
conf_int(const struct conf *c, unsigned key)
{
	return c->now[key].number;
}

bool
conf_bool(const struct conf *c, unsigned key)
{
	return c->now[key].number != 0;
}

size_t
conf_count(const struct conf *c, unsigned key)
{
	return c->now[key].count;
}

const char *
conf_entry(const struct conf *c, unsigned key, size_t at)
{
	return c->now[key].entries[at];
}

int
conf_set_text(struct conf *c, unsigned key, const char *value, struct error *e)
{
	struct conf_value *v = conf_staged(c, key);
	int rc;

	if (value != NULL &&
	    (rc = conf_check_text(&c->table[key], value, e)) != RES_OK) {
		conf_abort(c);
		return rc;
	}
	conf_value_clear(&c->table[key], v);
	if (value != NULL)
		v->text = xstrdup(value);
	return RES_OK;
}

int
conf_set_int(struct conf *c, unsigned key, int64_t value, struct error *e)
{
	struct conf_value *v = conf_staged(c, key);
	int rc;

	if ((rc = conf_check_number(&c->table[key], value, e)) != RES_OK) {
		conf_abort(c);
		return rc;
	}
	v->number = value;
	return RES_OK;
}

int
conf_set_bool(struct conf *c, unsigned key, bool value)
{
	conf_staged(c, key)->number = value;
	return RES_OK;
}

int
conf_add_entry(struct conf *c, unsigned key, const char *value, struct error *e)
{
	int rc;

	rc = conf_value_add(&c->table[key], conf_staged(c, key), value, e);
	if (rc != RES_OK)
		conf_abort(c);
	return rc;
}

int
conf_del_entry(struct conf *c, unsigned key, const char *value, struct error *e)
{
	struct conf_value *v = conf_staged(c, key);

	for (size_t i = 0; i < v->count; i++) {
		if (strcmp(v->entries[i], value) != 0)
			continue;
		free(v->entries[i]);
		v->count--;
		memmove(&v->entries[i], &v->entries[i + 1],
		    (v->count - i) * sizeof(char *));
		return RES_OK;
	}
	conf_abort(c);
	return error_set(
	    e, RES_NOT_FOUND, "\"%s\" has no %s", c->table[key].name, value);
}

void
conf_clear(struct conf *c, unsigned key)
{
	conf_value_clear(&c->table[key], conf_staged(c, key));
}

static bool
conf_is_default(const struct conf_setting *s, const struct conf_value *v)
{
	return v->text == NULL && v->count == 0 && v->number == s->def;
}

static json_t *
conf_encode_value(const struct conf_setting *s, const struct conf_value *v)
{
	json_t *list;

	switch (s->type) {
	case CONF_TEXT:
		return json_string(v->text);
	case CONF_INT:
		return json_integer(v->number);
	case CONF_BOOL:
		return json_boolean(v->number);
	case CONF_LIST:
		list = json_array();
		for (size_t i = 0; i < v->count; i++)
			json_array_append_new(list, json_string(v->entries[i]));
		return list;
	}
	return NULL;
}

static int
conf_write_cb(const char *data, size_t len, void *arg)
{
	buf_add(arg, data, len);
	return 0;
}

/* Only what differs from its default is in the file. */
static void
conf_encode(
    const struct conf *c, const struct conf_value *values, struct buf *out)
{
	json_t *root = json_object();

	for (size_t i = 0; i < c->count; i++)
		if (!conf_is_default(&c->table[i], &values[i]))
			json_object_set_new(root, c->table[i].name,
			    conf_encode_value(&c->table[i], &values[i]));
	json_dump_callback(
	    root, conf_write_cb, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_decref(root);
	buf_add_str(out, "\n");
}

int
conf_commit(struct conf *c, struct error *e)
{
	struct buf file = { 0 };
	int rc = RES_OK;

	if (c->next == NULL)
		return RES_OK;
	conf_encode(c, c->next, &file);
	if (file_write(c->path, file.data, file.len, 0600) < 0)
		rc = error_set(e, RES_IO, "%s: %s; nothing was changed",
		    c->path, strerror(errno));
	buf_wipe(&file);
	if (rc != RES_OK) {
		conf_abort(c);
		return rc;
	}
	conf_values_free(c, c->now);
	c->now = c->next;
	c->next = NULL;
	return RES_OK;
}

void
conf_abort(struct conf *c)
{
	conf_values_free(c, c->next);
	c->next = NULL;
}
