/*
 * The client's view of its roster (RFC 6121, 2): getting it, with versioning
 * (2.6), and setting or removing an item.
 */
#include <stdlib.h>
#include <string.h>

#include "common/jid.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/router/extension.h"

#define NAME_MAX_BYTES 1023 /* RFC 6121, 2.3.3: a limit of the server */
#define GROUPS_MAX 100

/* ---- get --------------------------------------------------------------- */

/* The version that the client says it has; 0: none that it was ever told. */
static uint64_t
known_version(const struct xml *query)
{
	const char *ver = xml_attr(query, "ver");
	uint64_t version = 0;

	if (ver == NULL || *ver == '0' ||
	    !str_to_u64(ver, 1, UINT64_MAX, &version))
		return 0;
	return version;
}

/*
 * RFC 6121, 2.6.2: nothing if the client's copy is as new; nothing, and then
 * pushes, if little has changed since; else the whole. A session that was told
 * of a version is not told anew of what came before that.
 */
static enum stanza_error
roster_get(struct router *r, struct job *job, const struct xml *query)
{
	struct login *s = login_find(r, &job->f.sid);
	uint64_t known = known_version(query), version;
	struct buf b = { 0 };

	if (!login_is_there(s))
		return 0;
	/* RFC 6121, 2.1.6: from now on it is pushed what changes. */
	if (!login_want(r, job, WANTS_ROSTER, 0))
		return IQ_WAITS;
	version = roster_version(r, s->user);
	if (known != version && s->roster == 0 &&
	    roster_can_follow(r, s, known))
		version = known;
	else if (known != version)
		roster_write(r, s->user, &b);
	reply_iq(r, job, &b, version);
	if (s->roster < version)
		s->roster = version;
	roster_push(r, s->user);
	buf_clear(&b);
	return 0;
}

/* ---- set --------------------------------------------------------------- */

/* The groups of an item; their names end in '\n', which none has. */
struct groups {
	struct buf names, prepared;
	size_t count;
};

static bool
has_line(const struct buf *lines, const char *line)
{
	const char *at = (const char *)lines->data;
	size_t left = lines->len, len = strlen(line), size;

	for (; left > 0; at += size, left -= size) {
		size = (size_t)((const char *)memchr(at, '\n', left) - at) + 1;
		if (size == len + 1 && memcmp(at, line, len) == 0)
			return true;
	}
	return false;
}

/* Adds a group; RFC 6121, 2.3.3, says what is wrong with one, and that they
 * are compared as resourceprep has them. */
static enum stanza_error
add_group(struct groups *groups, const char *name)
{
	size_t len = strlen(name);
	char *prepared;
	bool twice;

	if (len == 0 || len > NAME_MAX_BYTES || ++groups->count > GROUPS_MAX)
		return STANZA_NOT_ACCEPTABLE;
	if (strchr(name, '\n') != NULL)
		return STANZA_BAD_REQUEST;
	prepared = jid_prep_resource(name);
	if (prepared == NULL)
		prepared = xstrdup(name);
	twice = has_line(&groups->prepared, prepared);
	buf_addf(&groups->prepared, "%s\n", prepared);
	buf_addf(&groups->names, "%s\n", name);
	free(prepared);
	return twice ? STANZA_BAD_REQUEST : 0;
}

static enum stanza_error
read_groups(const struct xml *item, struct groups *groups)
{
	enum stanza_error e = 0;
	const struct xml *g;

	for (g = xml_child(item, "group", NS_ROSTER); g != NULL && e == 0;
	     g = xml_next(g, "group", NS_ROSTER))
		e = add_group(groups, g->text);
	if (groups->names.len > 0)
		groups->names.len--; /* the last one ends with the text */
	return e;
}

/* What the client asks for; `change` borrows from the item and its jid. */
static enum stanza_error
read_item(struct router *r, const struct xml *item, const struct jid *jid,
    struct roster_change *change)
{
	const char *subscription = xml_attr(item, "subscription");

	address_read(r, text_of(jid->full), &change->contact);
	change->contact.full = change->contact.bare;
	change->remove =
	    subscription != NULL && strcmp(subscription, "remove") == 0;
	change->name = xml_attr(item, "name");
	if (change->name != NULL && *change->name == '\0')
		change->name = NULL;
	if (change->name != NULL && strlen(change->name) > NAME_MAX_BYTES)
		return STANZA_NOT_ACCEPTABLE;
	return 0;
}

static enum stanza_error
set_item(struct router *r, struct job *job, const struct xml *item)
{
	const char *text = xml_attr(item, "jid");
	struct roster_change change = { 0 };
	struct groups groups = { 0 };
	enum stanza_error e;
	struct jid jid;

	if (text == NULL || jid_parse(text, strlen(text), &jid) != 0)
		return text == NULL ? STANZA_BAD_REQUEST : STANZA_JID_MALFORMED;
	e = read_item(r, item, &jid, &change);
	if (e == 0)
		e = read_groups(item, &groups);
	if (e == 0 && text_equal(change.contact.bare, job->to.bare))
		e = STANZA_NOT_ALLOWED; /* oneself */
	change.groups = groups.count > 0 ? buf_str(&groups.names) : NULL;
	if (e == 0)
		e = plan_roster(r, job, &change);
	buf_clear(&groups.names);
	buf_clear(&groups.prepared);
	jid_clear(&jid);
	return e;
}

/* RFC 6121, 2.1.5: exactly one item. */
static enum stanza_error
roster_set(struct router *r, struct job *job, const struct xml *query)
{
	const struct xml *item = xml_child(query, "item", NS_ROSTER);
	const struct login *s = login_find(r, &job->f.sid);

	if (s != NULL && s->former)
		return STANZA_FORBIDDEN;
	if (item == NULL || xml_next(item, "item", NS_ROSTER) != NULL)
		return STANZA_BAD_REQUEST;
	return set_item(r, job, item);
}

/* RFC 6121, 2.3.3: it is for the account alone to do; whether there is one is
 * not said. */
static enum stanza_error
roster_set_other(struct router *r, struct job *job, const struct xml *query)
{
	(void)r;
	(void)job;
	(void)query;
	return STANZA_FORBIDDEN;
}

static const struct iq_handler iqs[] = {
	{ TYPE_GET, AT_ACCOUNT, "{" NS_ROSTER "}query", roster_get },
	{ TYPE_SET, AT_ACCOUNT, "{" NS_ROSTER "}query", roster_set },
	{ TYPE_SET, AT_OTHER | AT_NOBODY, "{" NS_ROSTER "}query",
	    roster_set_other },
	{ 0 },
};
static const char *const features[] = { NS_ROSTER, NULL };

const struct extension rfc_6121_roster = {
	.number = "RFC 6121, 2",
	.server_features = features,
	.account_features = features,
	.iqs = iqs,
};
