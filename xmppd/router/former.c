/*
 * Accounts that come and go. What a deletion does to rosters is done by the
 * store, as it is applied; what it keeps (store_former()) says whom to tell of
 * the sessions' ends, whoever leads then.
 *
 *   deleted: its sessions are kicked and count no more; contacts who are here
 *     are told, rosters are pushed, components have stored stanzas
 *   all its sessions have ended, on all nodes: the store may forget it
 */
#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/router/extension.h"

#define PRUNE_MS 1000
#define GONE_MAX 64

/* What is cached may be of an older account of that name. */
void
account_added(struct router *r, const struct store_event *event)
{
	struct user *u = user_find_account(r, event->name);

	if (u == NULL)
		return;
	u->rows = ROWS_UNKNOWN;
	extensions_forget(u);
	roster_drop(u);
}

/* ---- contacts ---------------------------------------------------------- */

static void
say_parting(
    struct router *r, struct user *u, const char *bare, const char *type)
{
	struct dispatch w = { .kind = DELIVER_STANZA };
	struct buf b = { 0 };

	presence_write(&b, type, text_of(bare), text_of(u->bare));
	w.hold = bytes_new(b.data, b.len);
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	TAILQ_FOREACH(w.target, &u->sessions, of_user) {
		if (!login_is_there(w.target) ||
		    !(w.target->wants & WANTS_ROSTER))
			continue;
		w.key = dkey_term(r);
		session_deliver(r, &w);
	}
	bytes_unref(w.hold);
	buf_clear(&b);
}

/* RFC 6121, 3.2 and 3.3, as if the account had cancelled both ways. A session
 * that misses it, for want of a leader, is still sent the push. */
static void
tell_parting(struct router *r, struct user *u, const char *bare,
    const struct store_roster_item *item)
{
	if (item->to || item->ask)
		say_parting(r, u, bare, "unsubscribe");
	if (item->from || item->pending_in)
		say_parting(r, u, bare, "unsubscribed");
}

static void
part(struct router *r, const char *bare, const struct store_roster_item *item)
{
	struct address a;
	struct user *u;

	address_read(r, text_of(item->contact), &a);
	u = user_find(r, a.kind == ADDRESS_USER ? a.bare : a.domain);
	if (u == NULL)
		return;
	user_touch(r, u);
	if (a.kind == ADDRESS_COMPONENT) {
		u->rows = ROWS_UNKNOWN; /* there is one for it */
	} else if (u->local != NULL) {
		roster_drop(u);
		tell_parting(r, u, bare, item);
		roster_push(r, u);
	}
}

/* ---- deleted ----------------------------------------------------------- */

static void
end_sessions(struct router *r, struct user *u, uint64_t account)
{
	struct login *s;

	u->rows = ROWS_UNKNOWN;
	extensions_forget(u);
	roster_drop(u);
	TAILQ_FOREACH(s, &u->sessions, of_user) {
		if (s->account != account)
			continue;
		login_part(s);
		login_kick(r, s, "not-authorized", "the account was deleted");
	}
	user_touch(r, u);
}

void
account_deleted(struct router *r, const struct store_event *event)
{
	struct user *u = user_find_account(r, event->name);
	struct store_roster former;
	char *bare;

	if (event->again)
		return;
	if (u != NULL)
		end_sessions(r, u, event->id);
	bare = account_bare(r, event->name);
	store_former(r->env.store, event->name, event->id, &former);
	for (size_t i = 0; i < former.count; i++)
		part(r, bare, &former.items[i]);
	store_roster_clear(&former);
	free(bare);
}

/* ---- forgotten --------------------------------------------------------- */

static bool
has_sessions(struct router *r, const struct store_gone *gone)
{
	const struct user *u = user_find_account(r, gone->local);
	const struct login *s;

	if (u == NULL)
		return false;
	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (s->account == gone->id)
			return true;
	return false;
}

/* Once every node has announced or is given up, all sessions are known. */
void
formers_prune(struct router *r)
{
	struct store_gone gone[GONE_MAX];
	struct buf b = { 0 };
	size_t count;

	if (!r->settled || r->now < r->next_part)
		return;
	r->next_part = r->now + PRUNE_MS;
	count = store_gone(r->env.store, gone, GONE_MAX);
	for (size_t i = 0; i < count; i++) {
		if (!has_sessions(r, &gone[i])) {
			store_cmd_former_del(&b, gone[i].local, gone[i].id);
			r->env.propose(r->env.arg, b.data, b.len);
			buf_clear(&b);
		}
		free(gone[i].local);
	}
}
