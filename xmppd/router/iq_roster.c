/*
 * The client's view of its roster (RFC 6121, 2): getting it, with versioning
 * (2.6), and setting or removing an item.
 */
#include <stdlib.h>
#include <string.h>

#include "common/jid.h"
#include "common/strutil.h"
#include "xmppd/router/extension.h"

#define NAME_MAX_BYTES 1023 /* RFC 6121, 2.3.3: a limit of the server */
#define GROUPS_MAX 100

/* ---- get --------------------------------------------------------------- */

static enum stanza_error
roster_get(struct router *r, struct job *job, const struct xml *query)
{
	struct login *s = login_find(r, &job->f.sid);
	struct buf b = { 0 };
	uint64_t version;

	if (!login_is_there(s))
		return 0;
	/* RFC 6121, 2.1.6: from now on it is pushed what changes. */
	if (!login_want(r, job, WANTS_ROSTER, 0))
		return IQ_WAITS;
	version = roster_version(r, s->user);
	roster_write(r, s->user, xml_attr(query, "ver"), &b);
	reply_iq(r, job, &b, version);
	if (s->roster < version)
		s->roster = version;
	buf_clear(&b);
	return 0;
}

/* ---- set --------------------------------------------------------------- */

/* Adds a group; RFC 6121, 2.3.3, says what is wrong with one. */
static enum stanza_error
add_group(struct buf *groups, const char *name)
{
	size_t len = strlen(name);
	const char *at = (const char *)groups->data;
	size_t left = groups->len;

	if (len == 0 || len > NAME_MAX_BYTES)
		return STANZA_NOT_ACCEPTABLE;
	if (strchr(name, '\n') != NULL)
		return STANZA_BAD_REQUEST;
	while (left > 0) {
		const char *end = memchr(at, '\n', left);
		size_t size = end == NULL ? left : (size_t)(end - at);

		if (size == len && memcmp(at, name, len) == 0)
			return STANZA_BAD_REQUEST; /* twice */
		size += end != NULL;
		at += size;
		left -= size;
	}
	if (groups->len > 0)
		buf_add_str(groups, "\n");
	buf_add_str(groups, name);
	return 0;
}

static enum stanza_error
read_groups(const struct xml *item, struct buf *groups)
{
	enum stanza_error e;
	const struct xml *g;
	size_t count = 0;

	for (g = xml_child(item, "group", NS_ROSTER); g != NULL;
	     g = xml_next(g, "group", NS_ROSTER)) {
		if (++count > GROUPS_MAX)
			return STANZA_NOT_ACCEPTABLE;
		e = add_group(groups, g->text);
		if (e != 0)
			return e;
	}
	return 0;
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
	struct buf groups = { 0 };
	enum stanza_error e;
	struct jid jid;

	if (text == NULL || jid_parse(text, strlen(text), &jid) != 0)
		return text == NULL ? STANZA_BAD_REQUEST : STANZA_JID_MALFORMED;
	e = read_item(r, item, &jid, &change);
	if (e == 0)
		e = read_groups(item, &groups);
	if (e == 0 && text_equal(change.contact.bare, job->to.bare))
		e = STANZA_NOT_ALLOWED; /* oneself */
	change.groups = groups.len > 0 ? buf_str(&groups) : NULL;
	if (e == 0)
		e = plan_roster(r, job, &change);
	buf_clear(&groups);
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

static const struct iq_handler iqs[] = {
	{ TYPE_GET, AT_ACCOUNT, "{" NS_ROSTER "}query", roster_get },
	{ TYPE_SET, AT_ACCOUNT, "{" NS_ROSTER "}query", roster_set },
	{ 0 },
};
static const char *const features[] = { NS_ROSTER, NULL };

const struct extension rfc_6121_roster = {
	.number = "RFC 6121, 2",
	.server_features = features,
	.account_features = features,
	.iqs = iqs,
};
