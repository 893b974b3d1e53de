/*
 * Service administration (XEP-0133): the commands, as far as the server has
 * what they are about.
 */
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/jid.h"
#include "common/xmalloc.h"
#include "xmppd/router/adhoc.h"
#include "xmppd/router/form.h"

#define ADMIN "http://jabber.org/protocol/admin"
#define LIST_MAX 1000
#define JIDS_MAX 100
#define MOTD_MAX 10000 /* bytes */

const char adhoc_form_type[] = ADMIN;

/* ---- addresses --------------------------------------------------------- */

/* A user of this server, by what was typed. */
struct whom {
	struct jid jid;
	struct address a; /* borrows from jid */
	char *account;
};

static void
whom_clear(struct whom *w)
{
	jid_clear(&w->jid);
	free(w->account);
	*w = (struct whom){ 0 };
}

static enum stanza_error
whom_read(struct router *r, const char *text, struct whom *w)
{
	*w = (struct whom){ 0 };
	if (text == NULL || jid_parse(text, strlen(text), &w->jid) != 0)
		return STANZA_JID_MALFORMED;
	address_read(r, text_of(w->jid.full), &w->a);
	if (w->a.kind != ADDRESS_USER) {
		whom_clear(w);
		return STANZA_ITEM_NOT_FOUND;
	}
	w->account = text_dup(w->a.local);
	return 0;
}

typedef enum stanza_error (*whom_fn)(struct adhoc *a, const struct whom *w);

/* Calls it for each address of a field, until one is refused. */
static enum stanza_error
each_of(struct adhoc *a, const struct xml *field, whom_fn fn)
{
	enum stanza_error e = 0;
	const struct xml *v;
	struct whom w;
	size_t count = 0;

	for (v = xml_child(field, "value", NS_DATA); v != NULL && e == 0;
	     v = xml_next(v, "value", NS_DATA)) {
		if (++count > JIDS_MAX)
			return STANZA_NOT_ACCEPTABLE;
		e = whom_read(a->r, v->text, &w);
		if (e != 0)
			return e;
		e = fn(a, &w);
		whom_clear(&w);
	}
	return e;
}

/* Nothing is done if one of them is refused. */
static enum stanza_error
each(struct adhoc *a, const char *var, whom_fn check, whom_fn act)
{
	const struct xml *field = form_field(a->form, var);
	enum stanza_error e =
	    field == NULL ? STANZA_BAD_REQUEST : each_of(a, field, check);

	return e != 0 ? e : each_of(a, field, act);
}

static enum stanza_error
check_exists(struct adhoc *a, const struct whom *w)
{
	return store_account_exists(a->r->env.store, w->account)
	    ? 0
	    : STANZA_ITEM_NOT_FOUND;
}

static enum stanza_error
check_new(struct adhoc *a, const struct whom *w)
{
	return check_exists(a, w) == 0 ? STANZA_CONFLICT : 0;
}

static void
propose(struct adhoc *a, struct buf *command)
{
	a->r->env.propose(a->r->env.arg, command->data, command->len);
	buf_wipe(command);
}

/* ---- accounts (XEP-0133, 4.1 to 4.6) ----------------------------------- */

static const struct adhoc_field account_fields[] = {
	{ "accountjids", "jid-multi", "The addresses of the accounts", true },
	{ 0 },
};

static const struct adhoc_field password_fields[] = {
	{ "accountjid", "jid-single", "The address of the account", true },
	{ "password", "text-private", "The password", true },
	{ 0 },
};

static const struct adhoc_field new_fields[] = {
	{ "accountjid", "jid-single", "The address of the account", true },
	{ "password", "text-private", "The password", true },
	{ "password-verify", "text-private", "The password again", true },
	{ 0 },
};

/* Makes or changes an account, with the keys of the form's password. */
static enum stanza_error
set_password(struct adhoc *a, const struct whom *w,
    void (*write)(struct buf *, const char *, const struct scram_keys *))
{
	char *password =
	    jid_prep_password(form_value(a->form, "password"), true);
	struct scram_keys keys;
	struct buf command = { 0 };

	if (password == NULL)
		return STANZA_NOT_ACCEPTABLE;
	a->r->env.derive(a->r->env.arg, password, &keys);
	write(&command, w->account, &keys);
	propose(a, &command);
	crypto_wipe(&keys, sizeof(keys));
	crypto_wipe_free(password);
	return 0;
}

static enum stanza_error
account_make(struct adhoc *a, const struct whom *w)
{
	return set_password(a, w, store_cmd_account_add);
}

static enum stanza_error
account_change(struct adhoc *a, const struct whom *w)
{
	return set_password(a, w, store_cmd_account_passwd);
}

static enum stanza_error
account_delete(struct adhoc *a, const struct whom *w)
{
	struct buf command = { 0 };

	store_cmd_account_del(&command, w->account);
	propose(a, &command);
	return 0;
}

static enum stanza_error
add_user(struct adhoc *a)
{
	const char *again = form_value(a->form, "password-verify");

	if (strcmp(form_value(a->form, "password"), again) != 0)
		return STANZA_NOT_ACCEPTABLE;
	return each(a, "accountjid", check_new, account_make);
}

static enum stanza_error
change_password(struct adhoc *a)
{
	return each(a, "accountjid", check_exists, account_change);
}

static enum stanza_error
delete_user(struct adhoc *a)
{
	return each(a, "accountjids", check_exists, account_delete);
}

/* ---- sessions (4.5, 4.10) ---------------------------------------------- */

static enum stanza_error
end_sessions(struct adhoc *a, const struct whom *w)
{
	const struct user *u = user_find(a->r, w->a.bare);
	struct login *s;

	if (u == NULL)
		return 0;
	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (login_is_there(s) && s->sid.id != a->job->f.sid.id &&
		    (w->a.resource.data == NULL || text_is(w->a.full, s->full)))
			login_kick(a->r, s, "policy-violation",
			    "the session was ended by an administrator");
	return 0;
}

static enum stanza_error
end_session(struct adhoc *a)
{
	return each(a, "accountjids", check_exists, end_sessions);
}

static void
add_number(struct adhoc *a, const char *var, size_t number)
{
	struct buf b = { 0 };

	buf_addf(&b, "%zu", number);
	form_add(&a->result, var, NULL, NULL, buf_str(&b));
	buf_clear(&b);
}

/* The resources that are there, with '\n' between them. */
static enum stanza_error
write_stats(struct adhoc *a, const struct whom *w)
{
	struct user *u = user_get(a->r, &w->a);
	struct buf b = { 0 };
	struct login *s;

	user_touch(a->r, u);
	TAILQ_FOREACH(s, &u->sessions, of_user) {
		if (!login_is_there(s))
			continue;
		if (b.len > 0)
			buf_add_str(&b, "\n");
		buf_add_str(&b, strchr(s->full, '/') + 1);
	}
	form_add(&a->result, "accountjid", "jid-single", NULL, u->bare);
	add_number(a, "rostersize", roster_count(a->r, u));
	form_add(
	    &a->result, "onlineresources", "text-multi", NULL, buf_str(&b));
	buf_clear(&b);
	return 0;
}

static enum stanza_error
user_stats(struct adhoc *a)
{
	return each(a, "accountjid", check_exists, write_stats);
}

static const struct adhoc_field one_field[] = {
	{ "accountjid", "jid-single", "The address of the account", true },
	{ 0 },
};

/* ---- numbers and lists (4.14 to 4.21) ---------------------------------- */

static bool
is_online(const struct user *u)
{
	const struct login *s;

	if (u->local == NULL)
		return false;
	TAILQ_FOREACH(s, &u->sessions, of_user)
		if (login_is_available(s))
			return true;
	return false;
}

static enum stanza_error
count_registered(struct adhoc *a)
{
	add_number(
	    a, "registeredusersnum", store_account_count(a->r->env.store));
	return 0;
}

static enum stanza_error
count_online(struct adhoc *a)
{
	const struct user *u;
	size_t at = 0, count = 0;

	while ((u = map_next(&a->r->users, &at)) != NULL)
		count += is_online(u);
	add_number(a, "onlineusersnum", count);
	return 0;
}

/* A list of addresses that is not longer than is shown. */
struct listing {
	struct router *r;
	struct buf b;
	size_t count;
};

static void
list_add(struct listing *l, const char *bare)
{
	if (l->count++ >= LIST_MAX)
		return;
	if (l->b.len > 0)
		buf_add_str(&l->b, "\n");
	buf_add_str(&l->b, bare);
}

static void
list_account(void *arg, const char *name, const char *value)
{
	struct listing *l = arg;
	char *bare = account_bare(l->r, name);

	(void)value;
	list_add(l, bare);
	free(bare);
}

static void
list_end(struct adhoc *a, const char *var, struct listing *l)
{
	form_add(&a->result, var, "jid-multi", NULL, buf_str(&l->b));
	if (l->count > LIST_MAX)
		xasprintf(&a->note, "the first %d of %zu", LIST_MAX, l->count);
	buf_clear(&l->b);
}

static enum stanza_error
list_registered(struct adhoc *a)
{
	struct listing l = { .r = a->r };

	store_accounts(a->r->env.store, list_account, &l);
	list_end(a, "registereduserjids", &l);
	return 0;
}

static enum stanza_error
list_online(struct adhoc *a)
{
	struct listing l = { .r = a->r };
	const struct user *u;
	size_t at = 0;

	while ((u = map_next(&a->r->users, &at)) != NULL)
		if (is_online(u))
			list_add(&l, u->bare);
	list_end(a, "onlineuserjids", &l);
	return 0;
}

/* ---- what users are told (4.23 to 4.26) -------------------------------- */

static const struct adhoc_field announce_fields[] = {
	{ "subject", "text-single", "Subject", false },
	{ "announcement", "text-multi", "What to tell all who are here", true },
	{ 0 },
};

static const struct adhoc_field motd_fields[] = {
	{ "motd", "text-multi", "What to tell each who comes", true },
	{ 0 },
};

/* The lines of a field as one text. */
static char *
lines_of(const struct adhoc *a, const char *var)
{
	const struct xml *v =
	    xml_child(form_field(a->form, var), "value", NS_DATA);
	struct buf b = { 0 };

	for (; v != NULL; v = xml_next(v, "value", NS_DATA)) {
		if (b.len > 0)
			buf_add_str(&b, "\n");
		buf_add_str(&b, v->text);
	}
	return buf_steal_str(&b);
}

static void
announce_to(struct adhoc *a, struct login *s, const char *text)
{
	struct dispatch w = { .target = s, .kind = DELIVER_STANZA };
	const char *subject = form_value(a->form, "subject");
	struct buf b = { 0 };

	buf_add_str(&b, "<message type='headline'");
	xml_add_attr(&b, "from", a->r->domain);
	xml_add_attr(&b, "to", s->full);
	buf_add_str(&b, ">");
	if (subject != NULL && *subject != '\0') {
		buf_add_str(&b, "<subject>");
		xml_add_text(&b, subject);
		buf_add_str(&b, "</subject>");
	}
	buf_add_str(&b, "<body>");
	xml_add_text(&b, text);
	buf_add_str(&b, "</body></message>");
	w.key = dkey_told(a->job, &s->sid);
	w.hold = bytes_new(b.data, b.len);
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	job_deliver(a->r, a->job, &w);
	bytes_unref(w.hold);
	buf_clear(&b);
}

static enum stanza_error
announce(struct adhoc *a)
{
	char *text = lines_of(a, "announcement");
	struct login *s;
	size_t at = 0, count = 0;

	while ((s = map_next(&a->r->sessions, &at)) != NULL)
		if (s->kind == SESSION_CLIENT && login_is_available(s)) {
			announce_to(a, s, text);
			count++;
		}
	xasprintf(&a->note, "sent to %zu sessions", count);
	free(text);
	return 0;
}

static enum stanza_error
set_motd(struct adhoc *a)
{
	char *text = lines_of(a, "motd");
	struct buf command = { 0 };
	enum stanza_error e = 0;

	if (strlen(text) > MOTD_MAX) {
		e = STANZA_NOT_ACCEPTABLE;
	} else {
		store_cmd_setting(&command, SHARED_MOTD, text);
		propose(a, &command);
	}
	free(text);
	return e;
}

static enum stanza_error
delete_motd(struct adhoc *a)
{
	struct buf command = { 0 };

	store_cmd_setting(&command, SHARED_MOTD, NULL);
	propose(a, &command);
	return 0;
}

/* ---- the table --------------------------------------------------------- */

const struct adhoc_command adhoc_commands[] = {
	{ ADMIN "#add-user", "Add a user", new_fields, true, add_user },
	{ ADMIN "#delete-user", "Delete users", account_fields, true,
	    delete_user },
	{ ADMIN "#change-user-password", "Change a user's password",
	    password_fields, true, change_password },
	{ ADMIN "#end-user-session", "End users' sessions", account_fields,
	    false, end_session },
	{ ADMIN "#user-stats", "Show what there is of a user", one_field, false,
	    user_stats },
	{ ADMIN "#get-registered-users-num", "Count the users", NULL, false,
	    count_registered },
	{ ADMIN "#get-online-users-num", "Count the users who are here", NULL,
	    false, count_online },
	{ ADMIN "#get-registered-users-list", "List the users", NULL, false,
	    list_registered },
	{ ADMIN "#get-online-users-list", "List the users who are here", NULL,
	    false, list_online },
	{ ADMIN "#announce", "Tell all who are here", announce_fields, false,
	    announce },
	{ ADMIN "#set-motd", "Set the message of the day", motd_fields, true,
	    set_motd },
	{ ADMIN "#edit-motd", "Change the message of the day", motd_fields,
	    true, set_motd },
	{ ADMIN "#delete-motd", "Remove the message of the day", NULL, true,
	    delete_motd },
	{ 0 },
};
