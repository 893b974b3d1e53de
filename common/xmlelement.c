/*
 * A first-level element, written again while it is parsed. Elements lose their
 * prefix and get a default namespace where it differs from what is around them;
 * declared prefixes stay, for those who use them in a text or in a value.
 */
#include "common/xmlelement.h"

#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"

/* ---- tags -------------------------------------------------------------- */

struct attr {
	const xmlChar *name, *prefix, *uri, *value, *end;
};

static struct attr
attr_at(const struct xml_tag *t, int i)
{
	const xmlChar **at = t->attrs + (ptrdiff_t)i * 5;

	return (struct attr){ at[0], at[1], at[2], at[3], at[4] };
}

static size_t
attr_size(const struct attr *a)
{
	return (size_t)(a->end - a->value);
}

char *
xml_tag_header(const struct xml_tag *t)
{
	struct buf b = { 0 };

	buf_addf(&b, "<%s%s%s",
	    t->prefix == NULL ? "" : (const char *)t->prefix,
	    t->prefix == NULL ? "" : ":", (const char *)t->name);
	for (int i = 0; i < t->ns_count; i++) {
		const char *declared = (const char *)t->ns[(ptrdiff_t)2 * i];
		struct buf attr = { 0 };

		buf_add_str(&attr, "xmlns");
		if (declared != NULL)
			buf_addf(&attr, ":%s", declared);
		xml_add_attr(&b, buf_str(&attr),
		    (const char *)t->ns[(ptrdiff_t)2 * i + 1]);
		buf_clear(&attr);
	}
	buf_add_str(&b, ">");
	return buf_steal_str(&b);
}

bool
xml_tag_is_usual(const struct xml_tag *t)
{
	if (t->prefix == NULL || t->ns_count != 2 ||
	    !xmlStrEqual(t->prefix, (const xmlChar *)"stream"))
		return false;
	for (int i = 0; i < t->ns_count; i++) {
		bool content = t->ns[(ptrdiff_t)2 * i] == NULL;

		if (!xmlStrEqual(t->ns[(ptrdiff_t)2 * i + 1],
			(const xmlChar *)(content ? NS_CLIENT : NS_STREAM)))
			return false;
	}
	return true;
}

size_t
xml_tag_size(const struct xml_tag *t)
{
	size_t size = 0;

	for (int i = 0; i < t->attr_count; i++) {
		struct attr a = attr_at(t, i);

		size += attr_size(&a);
	}
	return size;
}

static bool
is_xml_prefix(const xmlChar *prefix)
{
	return xmlStrEqual(prefix, (const xmlChar *)"xml");
}

/* ---- attributes -------------------------------------------------------- */

static void
declaration_write(struct buf *b, const xmlChar *prefix, const xmlChar *uri)
{
	struct buf name = { 0 };

	buf_addf(&name, "xmlns:%s", (const char *)prefix);
	xml_add_attr(b, buf_str(&name), (const char *)uri);
	buf_clear(&name);
}

static void
declarations_write(struct buf *b, const struct xml_tag *t)
{
	for (int i = 0; i < t->ns_count; i++) {
		const xmlChar **ns = t->ns + (ptrdiff_t)2 * i;

		if (ns[0] != NULL)
			declaration_write(b, ns[0], ns[1]);
	}
}

/* Whether the prefix of that attribute is declared in what was written of its
 * element before it. */
static bool
is_declared(const struct xml_tag *t, int number)
{
	const xmlChar *prefix = attr_at(t, number).prefix;

	if (is_xml_prefix(prefix))
		return true;
	for (int i = 0; i < t->ns_count; i++)
		if (xmlStrEqual(t->ns[(ptrdiff_t)2 * i], prefix))
			return true;
	for (int i = 0; i < number; i++)
		if (xmlStrEqual(attr_at(t, i).prefix, prefix))
			return true;
	return false;
}

/* A prefix that comes from further out, perhaps from the stream header, is
 * declared with it. */
static void
attr_write(struct buf *b, const struct xml_tag *t, int number)
{
	const struct attr a = attr_at(t, number);
	const char *value = (const char *)a.value;
	struct buf full = { 0 };

	if (a.prefix == NULL) {
		xml_add_attr_n(b, (const char *)a.name, value, attr_size(&a));
		return;
	}
	if (!is_declared(t, number))
		declaration_write(b, a.prefix, a.uri);
	buf_addf(&full, "%s:%s", (const char *)a.prefix, (const char *)a.name);
	xml_add_attr_n(b, buf_str(&full), value, attr_size(&a));
	buf_clear(&full);
}

/* ---- the head ---------------------------------------------------------- */

static struct xml_head_text
head_add(struct xml_element *e, const void *text, size_t len)
{
	struct xml_head_text t;

	if (e->head.len == 0)
		buf_add_u8(&e->head, 0); /* so that no text is at 0 */
	t.at = e->head.len;
	buf_add(&e->head, text, len);
	buf_add_u8(&e->head, 0);
	return t;
}

static struct xml_head_text
head_add_str(struct xml_element *e, const xmlChar *text)
{
	const char *s = text == NULL ? "" : (const char *)text;

	return head_add(e, s, strlen(s));
}

static const char *
head_text(const struct xml_element *e, struct xml_head_text t)
{
	return t.at == 0 ? NULL : (const char *)e->head.data + t.at;
}

static void
head_reset(struct xml_element *e)
{
	const struct xml_head_text none = { 0 };

	buf_reset(&e->head);
	e->to = e->from = e->id = e->type = e->lang = e->version = none;
	e->child = e->child_ns = none;
}

static struct xml_head_text *
head_slot(struct xml_element *e, const struct attr *a, bool header)
{
	static const struct {
		const char *name;
		size_t offset;
		bool header; /* of the stream's header only */
	} slots[] = {
		{ "to", offsetof(struct xml_element, to), false },
		{ "from", offsetof(struct xml_element, from), false },
		{ "id", offsetof(struct xml_element, id), false },
		{ "type", offsetof(struct xml_element, type), false },
		{ "version", offsetof(struct xml_element, version), true },
	};

	if (a->prefix != NULL)
		return is_xml_prefix(a->prefix) &&
			xmlStrEqual(a->name, (const xmlChar *)"lang")
		    ? &e->lang
		    : NULL;
	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++)
		if (strcmp((const char *)a->name, slots[i].name) == 0 &&
		    (header || !slots[i].header))
			return (struct xml_head_text *)(void *)((char *)e +
			    slots[i].offset);
	return NULL;
}

void
xml_element_header(
    struct xml_element *e, const struct xml_tag *t, struct xml_open *open)
{
	head_reset(e);
	for (int i = 0; i < t->attr_count; i++) {
		struct attr a = attr_at(t, i);
		struct xml_head_text *slot = head_slot(e, &a, true);

		if (slot != NULL)
			*slot = head_add(e, a.value, attr_size(&a));
	}
	open->name = (const char *)t->name;
	open->ns = t->uri == NULL ? "" : (const char *)t->uri;
	open->content_ns = e->content_ns;
	open->to = head_text(e, e->to);
	open->from = head_text(e, e->from);
	open->id = head_text(e, e->id);
	open->version = head_text(e, e->version);
	open->lang = head_text(e, e->lang);
}

/* ---- elements ---------------------------------------------------------- */

/* The namespace as it counts in the travelling form: NULL is the content's. */
static const char *
travel_ns(const struct xml_element *e, const xmlChar *uri)
{
	if (uri == NULL)
		return "";
	if (e->content_ns != NULL &&
	    strcmp((const char *)uri, e->content_ns) == 0)
		return NULL;
	return (const char *)uri;
}

static void
around_set(struct xml_element *e, unsigned depth, const char *ns)
{
	if (depth >= e->around_size) {
		e->around_size = depth < 8 ? 8 : (size_t)depth * 2;
		e->around =
		    xrealloc(e->around, e->around_size * sizeof(*e->around));
	}
	e->around[depth] = ns;
}

static void
first_start(struct xml_element *e, const struct xml_tag *t)
{
	head_reset(e);
	buf_reset(&e->attrs);
	buf_reset(&e->inner);
	e->tag_open = false;
	e->id_depth = 0;
	e->stanza = (struct xml_stanza){ 0 };
	e->stanza.content_ns = travel_ns(e, t->uri) == NULL;
	e->name = head_add_str(e, t->name);
	e->ns = head_add_str(e, t->uri);
	declarations_write(&e->attrs, t);
	for (int i = 0; i < t->attr_count; i++) {
		struct attr a = attr_at(t, i);
		struct xml_head_text *slot = head_slot(e, &a, false);

		if (slot != NULL)
			*slot = head_add(e, a.value, attr_size(&a));
		else
			attr_write(&e->attrs, t, i);
	}
}

/* ---- children -------------------------------------------------------- */

/* Notes where a stanza id begins. */
static void
id_start(struct xml_element *e, const struct xml_tag *t)
{
	size_t n = e->stanza.id_count++;

	if (n == e->id_size) {
		e->id_size = n == 0 ? 4 : n * 2;
		e->ids = xrealloc(e->ids, e->id_size * sizeof(*e->ids));
		e->id_by = xrealloc(e->id_by, e->id_size * sizeof(*e->id_by));
	}
	e->ids[n] = (struct xml_span){ .start = e->inner.len };
	e->id_by[n] = (struct xml_head_text){ 0 };
	for (int i = 0; i < t->attr_count; i++) {
		struct attr a = attr_at(t, i);

		if (a.prefix == NULL &&
		    xmlStrEqual(a.name, (const xmlChar *)"by"))
			e->id_by[n] = head_add(e, a.value, attr_size(&a));
	}
	e->id_depth = 1;
}

static bool
is_stanza_id(const char *ns, const char *name)
{
	return ns != NULL && strcmp(name, "stanza-id") == 0 &&
	    strcmp(ns, NS_SID) == 0;
}

/* A child of the element itself. */
static void
note_child(struct xml_element *e, const struct xml_tag *t, const char *ns)
{
	if (e->stanza.children++ == 0) {
		e->child = head_add_str(e, t->name);
		e->child_ns = head_add_str(e, t->uri);
	}
	e->stanza.marks |= mark_child(ns, (const char *)t->name);
	if (is_stanza_id(ns, (const char *)t->name))
		id_start(e, t);
}

static void
tag_close(struct xml_element *e)
{
	if (e->tag_open)
		buf_add(&e->inner, ">", 1);
	e->tag_open = false;
}

static void
child_start(struct xml_element *e, unsigned depth, const struct xml_tag *t)
{
	const char *ns = travel_ns(e, t->uri), *above = e->around[depth - 1];

	tag_close(e);
	if (e->id_depth > 0)
		e->id_depth++;
	if (depth == 3)
		note_child(e, t, ns);
	else if (depth == 4)
		e->stanza.marks |=
		    mark_grandchild(e->stanza.marks, ns, (const char *)t->name);
	buf_add(&e->inner, "<", 1);
	buf_add_str(&e->inner, (const char *)t->name);
	if (ns != above &&
	    (ns == NULL || above == NULL || strcmp(ns, above) != 0))
		xml_add_attr(&e->inner, "xmlns", ns == NULL ? NS_CLIENT : ns);
	declarations_write(&e->inner, t);
	for (int i = 0; i < t->attr_count; i++)
		attr_write(&e->inner, t, i);
	e->tag_open = true;
}

void
xml_element_start(
    struct xml_element *e, unsigned depth, const struct xml_tag *t)
{
	around_set(e, depth, travel_ns(e, t->uri));
	if (depth == 2)
		first_start(e, t);
	else
		child_start(e, depth, t);
}

void
xml_element_text(struct xml_element *e, const xmlChar *text, size_t len)
{
	tag_close(e);
	xml_add_escaped(&e->inner, (const char *)text, len);
}

void
xml_element_end(struct xml_element *e, const xmlChar *name)
{
	if (e->tag_open) {
		buf_add(&e->inner, "/>", 2);
		e->tag_open = false;
	} else {
		buf_add(&e->inner, "</", 2);
		buf_add_str(&e->inner, (const char *)name);
		buf_add(&e->inner, ">", 1);
	}
	if (e->id_depth > 0 && --e->id_depth == 0)
		e->ids[e->stanza.id_count - 1].end = e->inner.len;
}

const struct xml_stanza *
xml_element_stanza(struct xml_element *e)
{
	struct xml_stanza *s = &e->stanza;

	s->name = head_text(e, e->name);
	s->ns = head_text(e, e->ns);
	s->to = head_text(e, e->to);
	s->from = head_text(e, e->from);
	s->id = head_text(e, e->id);
	s->type = head_text(e, e->type);
	s->lang = head_text(e, e->lang);
	s->child = head_text(e, e->child);
	s->child_ns = head_text(e, e->child_ns);
	s->attrs = (const char *)e->attrs.data;
	s->attrs_len = e->attrs.len;
	s->inner = (const char *)e->inner.data;
	s->inner_len = e->inner.len;
	s->ids = e->ids;
	for (size_t i = 0; i < s->id_count; i++)
		e->ids[i].by = head_text(e, e->id_by[i]);
	return s;
}

void
xml_element_clear(struct xml_element *e)
{
	buf_clear(&e->head);
	buf_clear(&e->attrs);
	buf_clear(&e->inner);
	free(e->ids);
	free(e->id_by);
	e->ids = NULL;
	e->id_by = NULL;
	e->id_size = 0;
	free(e->around);
	e->around = NULL;
	e->around_size = 0;
}

/* ---- what travels ------------------------------------------------------ */

void
xml_stanza_write(struct buf *b, const struct xml_stanza *s, const char *from,
    const char *to, const char *lang)
{
	buf_add(b, "<", 1);
	buf_add_str(b, s->name);
	if (!s->content_ns)
		xml_add_attr(b, "xmlns", s->ns);
	xml_add_attr(b, "from", from);
	xml_add_attr(b, "to", to);
	xml_add_attr(b, "type", s->type);
	xml_add_attr(b, "id", s->id);
	xml_add_attr(b, "xml:lang", s->lang != NULL ? s->lang : lang);
	buf_add(b, s->attrs, s->attrs_len);
	if (s->inner_len == 0) {
		buf_add(b, "/>", 2);
		return;
	}
	buf_add(b, ">", 1);
	buf_add(b, s->inner, s->inner_len);
	buf_add(b, "</", 2);
	buf_add_str(b, s->name);
	buf_add(b, ">", 1);
}
