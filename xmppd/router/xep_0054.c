/* vCards (XEP-0054): one's own to set, and everybody's to be read. */
#include <stdlib.h>

#include "xmppd/router/avatar.h"
#include "xmppd/router/iq_store.h"

#define VCARD "{" NS_VCARD "}vCard"

/* The vCard of the address that the job is for; false if there is none. */
static bool
vcard_read(struct router *r, const struct job *job, struct store_item *out)
{
	char *account = text_dup(job->to.local);
	const struct store_node n = {
		.local = account, .space = SPACE_VCARD, .node = ""
	};
	bool there = store_item(r->env.store, &n, "", out);

	free(account);
	return there;
}

static enum stanza_error
vcard_get(struct router *r, struct job *job, const struct xml *vcard)
{
	static const char empty[] = "<vCard xmlns='" NS_VCARD "'/>";
	struct store_item item;

	(void)vcard;
	if (!vcard_read(r, job, &item))
		buf_add_str(&item.value, empty);
	reply_iq(r, job, &item.value, 0);
	store_item_clear(&item);
	return 0;
}

/* The same error as where there is no account (XEP-0054, 3.3). */
static enum stanza_error
vcard_get_other(struct router *r, struct job *job, const struct xml *vcard)
{
	struct store_item item;
	bool there = vcard_read(r, job, &item);

	(void)vcard;
	if (there)
		reply_iq(r, job, &item.value, 0);
	store_item_clear(&item);
	return there ? 0 : STANZA_SERVICE_UNAVAILABLE;
}

static enum stanza_error
vcard_set(struct router *r, struct job *job, const struct xml *vcard)
{
	struct store_node n = { .space = SPACE_VCARD, .node = "" };
	struct change change = { 0 };
	enum stanza_error e;
	char *account;

	if (iq_stored(r, job, &e)) {
		reply_iq(r, job, NULL, 0);
		if (iq_note(r, job) != 0)
			avatar_notify(r, job);
		return 0;
	}
	if (e != 0)
		return e;
	account = text_dup(job->to.local);
	n.local = account;
	xml_write_whole(&change_put(r, &change, &n, "")->stanza, vcard);
	free(account);
	change.note = avatar_from_vcard(r, &job->to, vcard, &change);
	return iq_store(r, job, &change);
}

static enum stanza_error
vcard_set_other(struct router *r, struct job *job, const struct xml *vcard)
{
	(void)r, (void)job, (void)vcard;
	return STANZA_FORBIDDEN;
}

static const struct iq_handler iqs[] = {
	{ TYPE_GET, AT_ACCOUNT, VCARD, vcard_get },
	{ TYPE_GET, AT_OTHER, VCARD, vcard_get_other },
	{ TYPE_SET, AT_ACCOUNT, VCARD, vcard_set },
	{ TYPE_SET, AT_OTHER | AT_NOBODY | AT_SERVER, VCARD, vcard_set_other },
	{ 0 },
};
static const char *const features[] = { NS_VCARD, NULL };

const struct extension xep_0054 = {
	.number = "XEP-0054",
	.server_features = features,
	.account_features = features,
	.iqs = iqs,
};
