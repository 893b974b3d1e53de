/*
 * Who an address stands for: users and components, their sessions, and what
 * the configuration knows of them.
 */
#include <stdlib.h>
#include <string.h>

#include "common/jid.h"
#include "common/xmalloc.h"
#include "xmppd/router/extension.h"

/* ---- addresses --------------------------------------------------------- */

static uint8_t
domain_kind(const struct router *r, struct text domain, bool has_local)
{
	if (text_is(domain, r->domain) ||
	    (r->domains.count > 0 &&
		map_find(&r->domains, domain.data, domain.len) != NULL))
		return has_local ? ADDRESS_USER : ADDRESS_SERVER;
	if (map_find(&r->components, domain.data, domain.len) != NULL)
		return ADDRESS_COMPONENT;
	return ADDRESS_FOREIGN;
}

void
address_read(const struct router *r, struct text jid, struct address *a)
{
	const char *slash = memchr(jid.data, '/', jid.len);
	const char *at;

	memset(a, 0, sizeof(*a));
	a->full = a->bare = jid;
	if (slash != NULL) {
		a->bare.len = (size_t)(slash - jid.data);
		a->resource.data = slash + 1;
		a->resource.len = jid.len - a->bare.len - 1;
	}
	a->domain = a->bare;
	at = memchr(a->bare.data, '@', a->bare.len);
	if (at != NULL) {
		a->domain.data = at + 1;
		a->domain.len =
		    a->bare.len - (size_t)(a->domain.data - a->bare.data);
	}
	a->kind = domain_kind(r, a->domain, at != NULL);
	if (a->kind != ADDRESS_USER)
		return;
	a->local = a->bare;
	if (text_is(a->domain, r->domain))
		a->local.len = (size_t)(at - a->bare.data);
}

bool
address_exists(struct router *r, const struct address *a)
{
	char *account;
	bool exists;

	if (a->kind != ADDRESS_USER)
		return false;
	account = text_dup(a->local);
	exists = store_account_exists(r->env.store, account);
	free(account);
	return exists;
}

/* ---- users ------------------------------------------------------------- */

struct user *
user_find(struct router *r, struct text bare)
{
	struct user **recent = r->recent_users, *u;

	for (size_t i = 0; i < RECENT_USERS; i++)
		if (recent[i] != NULL && recent[i]->bare_len == bare.len &&
		    memcmp(recent[i]->bare, bare.data, bare.len) == 0)
			return recent[i];
	u = map_find(&r->users, bare.data, bare.len);
	if (u == NULL)
		return NULL;
	memmove(recent + 1, recent, (RECENT_USERS - 1) * sizeof(*recent));
	recent[0] = u;
	return u;
}

static void
recent_forget(struct router *r, const struct user *u)
{
	for (size_t i = 0; i < RECENT_USERS; i++)
		if (r->recent_users[i] == u)
			r->recent_users[i] = NULL;
}

/* The bare address of an account, by its name in the store; the caller frees.
 */
char *
account_bare(const struct router *r, const char *account)
{
	char *bare;

	if (strchr(account, '@') != NULL)
		return xstrdup(account);
	xasprintf(&bare, "%s@%s", account, r->domain);
	return bare;
}

struct user *
user_find_account(struct router *r, const char *account)
{
	char *bare = account_bare(r, account);
	struct user *u = user_find(r, text_of(bare));

	free(bare);
	return u;
}

struct user *
user_get(struct router *r, const struct address *a)
{
	struct text bare = a->kind == ADDRESS_USER ? a->bare : a->domain;
	struct user *u = user_find(r, bare);

	if (u != NULL)
		return u;
	u = xcalloc(1, sizeof(*u));
	u->bare = text_dup(bare);
	u->bare_len = bare.len;
	if (a->kind == ADDRESS_USER)
		u->local = text_dup(a->local);
	xasprintf(&u->box, "%s%s", u->local == NULL ? "@" : "",
	    u->local == NULL ? u->bare : u->local);
	TAILQ_INIT(&u->sessions);
	TAILQ_INIT(&u->waiting);
	map_put(&r->users, u->bare, u->bare_len, u);
	return u;
}

void
user_touch(struct router *r, struct user *u)
{
	if (u->touched)
		return;
	u->touched = true;
	TAILQ_INSERT_TAIL(&r->touched, u, next_touched);
}

void
user_free(struct router *r, struct user *u)
{
	if (u->touched)
		TAILQ_REMOVE(&r->touched, u, next_touched);
	map_remove(&r->users, u->bare, u->bare_len);
	recent_forget(r, u);
	roster_free(u->roster);
	extensions_forget(u);
	free(u->bare);
	free(u->local);
	free(u->box);
	free(u);
}

/* Forgets a user of whom nothing is known any more. */
void
user_release(struct router *r, struct user *u)
{
	if (TAILQ_EMPTY(&u->sessions) && TAILQ_EMPTY(&u->waiting) &&
	    u->lock == NULL && u->handing == 0 && u->binding == 0)
		user_free(r, u);
}

struct login *
user_session(const struct user *u, struct text full)
{
	struct login *s;

	if (u == NULL)
		return NULL;
	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (login_is_there(s) && text_is(full, s->full))
			return s;
	return NULL;
}

/* Whether a session is on its way that doesn't count yet. */
bool
user_is_binding(const struct user *u)
{
	const struct login *s;

	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (s->state == SESSION_BINDING)
			return true;
	return u->binding > 0;
}

/* ---- further domains --------------------------------------------------- */

void
registry_free_domains(struct router *r)
{
	char *domain;
	size_t at = 0;

	while ((domain = map_next(&r->domains, &at)) != NULL)
		free(domain);
	map_clear(&r->domains);
}

static void
domain_add_cb(void *arg, const char *name, const char *value)
{
	char *domain = xstrdup(name + strlen(SHARED_DOMAINS));
	struct router *r = arg;

	(void)value;
	map_put_str(&r->domains, domain, domain);
}

void
registry_load_domains(struct router *r)
{
	registry_free_domains(r);
	store_settings(r->env.store, SHARED_DOMAINS, domain_add_cb, r);
}

/* ---- components -------------------------------------------------------- */

struct login *
component_session(struct router *r, struct text domain)
{
	return user_session(user_find(r, domain), domain);
}

void
components_free(struct router *r)
{
	struct component *c;

	while ((c = TAILQ_FIRST(&r->component_order)) != NULL) {
		TAILQ_REMOVE(&r->component_order, c, next);
		free(c->name);
		free(c->domain);
		free(c);
	}
	map_clear(&r->components);
}

/* As addresses have it, prepared. */
char *
component_domain(const struct router *r, const char *name)
{
	char *domain, *prepared;

	xasprintf(&domain, "%s.%s", name, r->domain);
	prepared = jid_prep_domain(domain);
	if (prepared == NULL)
		return domain; /* no address is like it */
	free(domain);
	return prepared;
}

static void
component_add_cb(void *arg, const char *name, const char *secret)
{
	struct component *c = xcalloc(1, sizeof(*c));
	struct router *r = arg;

	(void)secret;
	c->name = xstrdup(name);
	c->domain = component_domain(r, name);
	map_put_str(&r->components, c->domain, c);
	TAILQ_INSERT_TAIL(&r->component_order, c, next);
}

void
components_load(struct router *r)
{
	components_free(r);
	store_components(r->env.store, component_add_cb, r);
}
