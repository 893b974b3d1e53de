/*
 * What an extension says to sessions by the router's own will.
 */
#include "xmppd/router/tell.h"

#include <string.h>

void
tell(struct router *r, struct job *job, struct login *target,
    const struct dkey *key, const struct buf *stanza)
{
	struct dispatch w = { .target = target, .kind = DELIVER_STANZA };

	w.key = *key;
	w.hold = bytes_new(stanza->data, stanza->len);
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	job_deliver(r, job, &w);
	bytes_unref(w.hold);
}

static void
presence_of(const struct login *about, struct text to, bool hide, struct buf *b)
{
	const struct text presence = { about->presence->data,
		about->presence->len };

	if (hide)
		presence_write(b, "unavailable", text_of(about->full), to);
	else
		presence_stamp(b, presence, to);
}

void
tell_presence(struct router *r, struct job *job, const struct login *about,
    const struct address *to, bool hide)
{
	const struct dkey key = dkey_told(job, &about->sid);
	const struct user *u = user_find(r, to->bare);
	struct login *s = component_session(r, to->domain);
	struct buf b = { 0 };

	presence_of(about, to->full, hide, &b);
	if (to->kind == ADDRESS_COMPONENT && s != NULL)
		tell(r, job, s, &key, &b);
	if (to->kind == ADDRESS_USER && u != NULL)
		TAILQ_FOREACH(s, &u->sessions, of_user)
			if (login_is_available(s) &&
			    (to->resource.data == NULL ||
				text_is(to->full, s->full)))
				tell(r, job, s, &key, &b);
	buf_clear(&b);
}

struct text
text_bare(struct text jid)
{
	const char *slash = memchr(jid.data, '/', jid.len);

	if (slash != NULL)
		jid.len = (size_t)(slash - jid.data);
	return jid;
}
