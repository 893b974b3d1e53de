/*
 * What a component is told when it has logged in: it may have lost its state,
 * so it learns anew who is here, and asked again for what it has not answered.
 *
 *   its bind result is accepted -> a page of the items that users have of
 *     contacts at its domain: one delivery -> accepted -> the next page ...
 *   no more: an event of the directory; else the next leader begins anew
 *
 * A page is limited in items and in bytes; one that says nothing is followed by
 * the next with the next tick. What happens meanwhile goes to the component in
 * the ordinary way, and in order.
 */
#include <stdlib.h>

#include "common/xmalloc.h"
#include "xmppd/router/core.h"

#define PAGE_ITEMS 500
#define PAGE_BYTES (64U << 10)

struct greeting {
	struct store_contact last; /* that was read */
	bool under_way;
	bool read; /* there are no more */
};

void
greeting_free(struct greeting *g)
{
	if (g == NULL)
		return;
	store_contact_clear(&g->last);
	free(g);
}

/* ---- a page ------------------------------------------------------------ */

/*
 * RFC 6121, 3.1.2: a request is sent again until it is answered. 4.3: the
 * contact is probed for a user who is here and may see it; of one that the
 * contact may see, it is told.
 */
static void
write_contact(struct router *r, const struct store_contact *c, struct buf *b)
{
	const struct text contact = text_of(c->item.contact);
	const struct user *u = user_find_account(r, c->local);
	const struct login *s;
	bool available = false;
	char *bare = account_bare(r, c->local);

	if (c->item.ask)
		presence_write(b, "subscribe", text_of(bare), contact);
	if (u != NULL)
		TAILQ_FOREACH(s, &u->sessions, of_user) {
			if (!login_is_available(s))
				continue;
			available = true;
			if (c->item.from)
				presence_stamp(b,
				    (struct text){
					s->presence->data, s->presence->len },
				    contact);
		}
	if (available && c->item.to)
		presence_write(b, "probe", text_of(bare), contact);
	free(bare);
}

/* Writes what a page says; false if there are no more. */
static bool
write_page(struct router *r, struct login *s, struct buf *b)
{
	struct store_contact page[PAGE_ITEMS];
	struct greeting *g = s->greeting;
	size_t count, said = 0;

	count = store_contacts_at(r->env.store, s->full,
	    g->last.local == NULL ? NULL : &g->last, page, PAGE_ITEMS);
	while (said < count && b->len < PAGE_BYTES)
		write_contact(r, &page[said++], b);
	for (size_t i = 0; i < count; i++) {
		if (i + 1 == said) {
			store_contact_clear(&g->last);
			g->last = page[i];
		} else {
			store_contact_clear(&page[i]);
		}
	}
	return said == PAGE_ITEMS || said < count;
}

static void
greeting_over(struct router *r, struct login *s)
{
	s->wants |= WANTS_NEWS;
	directory_want(r->directory, &r->out, &s->sid, s->wants);
	mirror_event(r);
	greeting_free(s->greeting);
	s->greeting = NULL;
}

static void
send_page(struct router *r, struct login *s, const struct buf *b)
{
	struct dispatch w = { .target = s, .kind = DELIVER_STANZA };

	s->greeting->under_way = true;
	w.key = dkey_term(r);
	w.hold = bytes_new(b->data, b->len);
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	session_deliver(r, &w);
	bytes_unref(w.hold);
}

/* One page; it is over when the last has been accepted. */
static void
greet(struct router *r, struct login *s)
{
	struct buf b = { 0 };

	if (s->greeting == NULL)
		s->greeting = xcalloc(1, sizeof(*s->greeting));
	if (s->greeting->under_way)
		return;
	if (!s->greeting->read)
		s->greeting->read = !write_page(r, s, &b);
	if (b.len > 0)
		send_page(r, s, &b);
	else if (s->greeting->read)
		greeting_over(r, s);
	buf_clear(&b);
}

/* ---- when -------------------------------------------------------------- */

static bool
is_due(const struct login *s)
{
	return s->kind == SESSION_COMPONENT && login_is_there(s) &&
	    login_is_live(s) && s->told && !(s->wants & WANTS_NEWS);
}

bool
greeting_is_due(const struct user *u)
{
	const struct login *s;

	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (is_due(s))
			return true;
	return false;
}

/* Called whenever anything about the component has changed. Without a complete
 * directory it isn't known who is here. */
void
greeting_run(struct router *r, struct user *u)
{
	struct login *s, *next;

	if (u->local != NULL || (!r->complete && !r->settled))
		return;
	for (s = TAILQ_FIRST(&u->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, of_user);
		if (is_due(s))
			greet(r, s);
	}
}

void
greeting_accepted(struct router *r, struct login *s)
{
	if (s->greeting == NULL)
		return;
	s->greeting->under_way = false;
	user_touch(r, s->user);
}
