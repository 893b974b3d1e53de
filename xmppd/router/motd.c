/*
 * The message of the day: what each session is told once it is there, as a
 * headline from the server (RFC 6121, 5.2.2).
 */
#include <stdlib.h>
#include <string.h>

#include "xmppd/router/extension.h"

static void
motd_load(struct router *r)
{
	free(r->motd);
	r->motd = store_setting(r->env.store, SHARED_MOTD);
}

static void
motd_changed(struct router *r, const char *name)
{
	if (strcmp(name, SHARED_MOTD) == 0)
		motd_load(r);
}

static void
motd_end(struct router *r)
{
	free(r->motd);
	r->motd = NULL;
}

static void
motd_write(const struct router *r, const struct login *s, struct buf *b)
{
	struct address a;

	address_read(r, text_of(s->full), &a);
	buf_add_str(b, "<message type='headline'");
	xml_add_attr_n(b, "from", a.domain.data, a.domain.len);
	xml_add_attr(b, "to", s->full);
	buf_add_str(b, "><body>");
	xml_add_text(b, r->motd);
	buf_add_str(b, "</body></message>");
}

static void
motd_tell(struct router *r, struct job *job, struct login *s)
{
	struct dispatch w = { .target = s, .kind = DELIVER_STANZA };
	struct buf b = { 0 };

	if (r->motd == NULL || s->priority < 0)
		return;
	motd_write(r, s, &b);
	w.key = dkey_told(job, &s->sid);
	w.hold = bytes_new(b.data, b.len);
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	job_deliver(r, job, &w);
	bytes_unref(w.hold);
	buf_clear(&b);
}

const struct extension motd = {
	.number = "motd",
	.begin = motd_load,
	.end = motd_end,
	.setting_changed = motd_changed,
	.arrived = motd_tell,
};
