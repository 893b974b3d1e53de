#ifndef XMPPD_ROUTER_FORM_H
#define XMPPD_ROUTER_FORM_H

#include "common/stanza.h"

/* Data forms (XEP-0004): reading one that was filled in, and writing one. */

/* The form inside an element that has this FORM_TYPE, or none if that is
 * NULL; NULL: there is none. */
const struct xml *form_find(const struct xml *parent, const char *form_type);
/* A field by its name; NULL: there is none. */
const struct xml *form_field(const struct xml *form, const char *var);
/* The (first) value of a field; NULL: there is none. */
const char *form_value(const struct xml *form, const char *var);

void form_begin(struct buf *b, const char *type, const char *form_type);
/* A field with one value, "a\nb" being several; type and label: or NULL. */
void form_add(struct buf *b, const char *var, const char *type,
    const char *label, const char *value);
void form_end(struct buf *b);

/* The parts of that, where a field has options. */
void form_open_field(
    struct buf *b, const char *var, const char *type, const char *label);
void form_add_values(struct buf *b, const char *values);
void form_add_option(struct buf *b, const char *value);
void form_close_field(struct buf *b);

#endif
