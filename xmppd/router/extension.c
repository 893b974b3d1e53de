/*
 * The table of extensions.
 */
#include "xmppd/router/extension.h"

#include <stdlib.h>

#include "common/xmalloc.h"

static const struct extension *const extensions[] = {
	&motd,
	&rfc_3921,
	&rfc_6121_roster,
	&xep_0030,
	&xep_0049,
	&xep_0050,
	&xep_0054,
	&xep_0060,
	&xep_0060_owner,
	&xep_0092,
	&xep_0115,
	&xep_0157,
	&xep_0160,
	&xep_0163,
	&xep_0191,
	&xep_0199,
	&xep_0202,
	&xep_0280,
	&xep_0297,
	&xep_0313,
	&xep_0357,
	&xep_0359,
	&xep_0441,
	&xep_0398,
	&xep_0402,
};

#define COUNT (sizeof(extensions) / sizeof(extensions[0]))

static bool
is_on(const struct router *r, const struct extension *x)
{
	return x->is_on == NULL || x->is_on(r);
}

const struct extension *
extension_next(const struct router *r, size_t *at)
{
	while (*at < COUNT && !is_on(r, extensions[*at]))
		++*at;
	return *at < COUNT ? extensions[(*at)++] : NULL;
}

/* ---- IQs --------------------------------------------------------------- */

/* A child that is answered: by whom, and its first handler. */
struct iq_place {
	const struct extension *of;
	const struct iq_handler *first;
};

static void
add_iqs(struct router *r, const struct extension *x)
{
	const struct iq_handler *h;
	struct iq_place *place;

	if (x->iqs == NULL)
		return;
	for (h = x->iqs; h->handle != NULL; h++) {
		if (map_find_str(&r->iqs, h->child) != NULL)
			continue;
		place = xmalloc(sizeof(*place));
		place->of = x;
		place->first = h;
		map_put_str(&r->iqs, h->child, place);
	}
}

const struct iq_handler *
extension_iq(const struct router *r, const struct job *job, enum iq_at at)
{
	const struct iq_place *place =
	    map_find(&r->iqs, job->f.child.data, job->f.child.len);
	const struct iq_handler *h;

	if (place == NULL || !is_on(r, place->of))
		return NULL;
	for (h = place->first; h->handle != NULL; h++)
		if (h->type == job->f.type && (h->at & at) != 0 &&
		    text_is(job->f.child, h->child))
			return h;
	return NULL;
}

void
extensions_item(struct router *r, const struct store_op *op)
{
	for (size_t i = 0; i < COUNT; i++)
		if (extensions[i]->item_changed != NULL)
			extensions[i]->item_changed(r, op);
}

/* ---- news --------------------------------------------------------------- */

void
extensions_arrived(struct router *r, struct job *job, struct login *s)
{
	for (size_t i = 0; i < COUNT; i++)
		if (extensions[i]->arrived != NULL && is_on(r, extensions[i]))
			extensions[i]->arrived(r, job, s);
}

void
extensions_setting(struct router *r, const char *name)
{
	for (size_t i = 0; i < COUNT; i++)
		if (extensions[i]->setting_changed != NULL)
			extensions[i]->setting_changed(r, name);
}

void
extensions_forget(struct user *u)
{
	for (size_t i = 0; i < COUNT; i++)
		if (extensions[i]->forget != NULL)
			extensions[i]->forget(u);
}

void
extensions_available(struct router *r, struct login *s)
{
	for (size_t i = 0; i < COUNT; i++)
		if (extensions[i]->available != NULL)
			extensions[i]->available(r, s);
}

void
extensions_message(struct router *r, struct job *job)
{
	for (size_t i = 0; i < COUNT; i++)
		if (extensions[i]->message != NULL)
			extensions[i]->message(r, job);
}

void
extensions_missed(struct router *r, struct login *s)
{
	for (size_t i = 0; i < COUNT; i++)
		if (extensions[i]->missed != NULL)
			extensions[i]->missed(r, s);
}

void
extensions_answered(struct router *r, struct job *job)
{
	for (size_t i = 0; i < COUNT; i++)
		if (extensions[i]->answered != NULL)
			extensions[i]->answered(r, job);
}

/* ---- beginning and end ------------------------------------------------- */

void
extensions_begin(struct router *r)
{
	for (size_t i = 0; i < COUNT; i++) {
		add_iqs(r, extensions[i]);
		if (extensions[i]->begin != NULL)
			extensions[i]->begin(r);
	}
}

void
extensions_end(struct router *r)
{
	struct iq_place *place;
	size_t at = 0;

	for (size_t i = 0; i < COUNT; i++)
		if (extensions[i]->end != NULL)
			extensions[i]->end(r);
	while ((place = map_next(&r->iqs, &at)) != NULL)
		free(place);
	map_clear(&r->iqs);
}
