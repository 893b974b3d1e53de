/*
 * Data forms (XEP-0004).
 */
#include "xmppd/router/form.h"

#include <string.h>

#include "common/strutil.h"

const struct xml *
form_field(const struct xml *form, const char *var)
{
	const struct xml *f;

	for (f = xml_child(form, "field", NS_DATA); f != NULL;
	     f = xml_next(f, "field", NS_DATA))
		if (str_equal(xml_attr(f, "var"), var))
			return f;
	return NULL;
}

const char *
form_value(const struct xml *form, const char *var)
{
	const struct xml *f = form_field(form, var);

	return f == NULL ? NULL : xml_child_text(f, "value");
}

const struct xml *
form_find(const struct xml *parent, const char *form_type)
{
	const struct xml *x;

	for (x = xml_child(parent, "x", NS_DATA); x != NULL;
	     x = xml_next(x, "x", NS_DATA))
		if (str_equal(form_value(x, "FORM_TYPE"), form_type))
			return x;
	return NULL;
}

/* ---- writing ----------------------------------------------------------- */

void
form_open_field(
    struct buf *b, const char *var, const char *type, const char *label)
{
	buf_add_str(b, "<field");
	xml_add_attr(b, "var", var);
	xml_add_attr(b, "type", type);
	xml_add_attr(b, "label", label);
	buf_add_str(b, ">");
}

void
form_add_values(struct buf *b, const char *values)
{
	size_t len;

	for (; values != NULL && *values != '\0'; values += len) {
		len = strcspn(values, "\n");
		buf_add_str(b, "<value>");
		xml_add_escaped(b, values, len);
		buf_add_str(b, "</value>");
		len += values[len] == '\n';
	}
}

void
form_add_option(struct buf *b, const char *value)
{
	buf_add_str(b, "<option>");
	form_add_values(b, value);
	buf_add_str(b, "</option>");
}

void
form_close_field(struct buf *b)
{
	buf_add_str(b, "</field>");
}

void
form_add(struct buf *b, const char *var, const char *type, const char *label,
    const char *value)
{
	form_open_field(b, var, type, label);
	form_add_values(b, value);
	form_close_field(b);
}

void
form_begin(struct buf *b, const char *type, const char *form_type)
{
	buf_add_str(b, "<x xmlns='" NS_DATA "'");
	xml_add_attr(b, "type", type);
	buf_add_str(b, ">");
	if (form_type != NULL)
		form_add(b, "FORM_TYPE", "hidden", NULL, form_type);
}

void
form_end(struct buf *b)
{
	buf_add_str(b, "</x>");
}
