/*
 * What a hash of entity capabilities is made of (XEP-0115, 5.1).
 */
#include "xmppd/router/caps_hash.h"

#include <stdlib.h>
#include <string.h>

#include "common/strutil.h"
#include "common/xmalloc.h"

#define PARTS_MAX 1000 /* of what a client can do */

/* Texts that are sorted before they are hashed. */
struct parts {
	char **list;
	size_t count;
	bool bad; /* 5.4: not to be hashed at all */
};

static void
parts_add(struct parts *p, char *part)
{
	if (p->count == PARTS_MAX) {
		p->bad = true;
		free(part);
		return;
	}
	if (p->list == NULL)
		p->list = xcalloc(PARTS_MAX, sizeof(*p->list));
	p->list[p->count++] = part;
}

static int
part_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Moves them, in order, to the end of the text; two that are equal make it
 * ill-formed. */
static void
parts_move(struct parts *p, struct buf *b)
{
	if (p->count > 1)
		qsort(p->list, p->count, sizeof(*p->list), part_compare);
	for (size_t i = 0; i < p->count; i++) {
		if (i > 0 && strcmp(p->list[i - 1], p->list[i]) == 0)
			p->bad = true;
		buf_add_str(b, p->list[i]);
	}
	for (size_t i = 0; i < p->count; i++)
		free(p->list[i]);
	free(p->list);
	p->list = NULL;
	p->count = 0;
}

/* Security (XEP-0115, 5.1): what separates may not be inside. */
static const char *
clean(struct parts *p, const char *text)
{
	if (text == NULL)
		return "";
	if (strchr(text, '<') != NULL)
		p->bad = true;
	return text;
}

static void
add_identity(struct parts *p, const struct xml *x)
{
	char *part;

	xasprintf(&part, "%s/%s/%s/%s<", clean(p, xml_attr(x, "category")),
	    clean(p, xml_attr(x, "type")), clean(p, xml_attr(x, "xml:lang")),
	    clean(p, xml_attr(x, "name")));
	parts_add(p, part);
}

static void
add_feature(struct parts *p, const struct xml *x)
{
	char *part;

	xasprintf(&part, "%s<", clean(p, xml_attr(x, "var")));
	parts_add(p, part);
}

/* A field of a form: its name, then its values in order. */
static void
add_field(struct parts *fields, const struct xml *field)
{
	struct parts values = { 0 };
	struct buf b = { 0 };
	const struct xml *v;
	char *part;

	buf_addf(&b, "%s<", clean(fields, xml_attr(field, "var")));
	for (v = xml_child(field, "value", NS_DATA); v != NULL;
	     v = xml_next(v, "value", NS_DATA)) {
		xasprintf(&part, "%s<", clean(fields, v->text));
		parts_add(&values, part);
	}
	parts_move(&values, &b);
	parts_add(fields, buf_steal_str(&b));
}

/* One without a hidden FORM_TYPE is passed over. */
static void
add_form(struct parts *p, const struct xml *form)
{
	struct parts fields = { 0 };
	struct buf b = { 0 };
	const struct xml *f;
	bool has_type = false;

	for (f = xml_child(form, "field", NS_DATA); f != NULL;
	     f = xml_next(f, "field", NS_DATA)) {
		if (!str_equal(xml_attr(f, "var"), "FORM_TYPE")) {
			add_field(&fields, f);
			continue;
		}
		has_type = str_equal(xml_attr(f, "type"), "hidden");
		if (xml_child_text(f, "value") != NULL)
			buf_addf(
			    &b, "%s<", clean(p, xml_child_text(f, "value")));
	}
	parts_move(&fields, &b);
	p->bad |= fields.bad;
	if (has_type)
		parts_add(p, buf_steal_str(&b));
	buf_clear(&b);
}

bool
caps_text(const struct xml *query, struct buf *b)
{
	struct parts identities = { 0 }, vars = { 0 }, forms = { 0 };

	for (const struct xml *x = query->children; x != NULL; x = x->next) {
		if (strcmp(x->name, "identity") == 0)
			add_identity(&identities, x);
		else if (strcmp(x->name, "feature") == 0)
			add_feature(&vars, x);
		else if (strcmp(x->name, "x") == 0 &&
		    strcmp(x->ns, NS_DATA) == 0)
			add_form(&forms, x);
	}
	parts_move(&identities, b);
	parts_move(&vars, b);
	parts_move(&forms, b);
	return !identities.bad && !vars.bad && !forms.bad;
}
