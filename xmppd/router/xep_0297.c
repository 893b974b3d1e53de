/*
 * Stanza forwarding (XEP-0297): <forwarded/>, with the time of the stanza
 * (XEP-0203), and the stanza in its own namespace.
 */
#include "xmppd/router/forward.h"

#include "common/clock.h"
#include "xmppd/router/extension.h"

/* Where the name of its start tag ends; our own writer made these bytes. */
static size_t
name_end(struct text stanza)
{
	size_t at = 1;

	while (at < stanza.len && stanza.data[at] != ' ' &&
	    stanza.data[at] != '>' && stanza.data[at] != '/')
		at++;
	return at;
}

static void
add_stanza(struct buf *b, struct text stanza)
{
	size_t at = name_end(stanza);

	buf_add(b, stanza.data, at);
	buf_add_str(b, " xmlns='" NS_CLIENT "'");
	buf_add(b, stanza.data + at, stanza.len - at);
}

void
forward_write(struct buf *b, const struct forward *f)
{
	struct buf whole = { 0 };
	struct text stanza = f->stanza;
	char stamp[32];

	buf_add_str(b, "<forwarded xmlns='" NS_FORWARD "'>");
	if (f->time != 0) {
		clock_stamp_ms(f->time, stamp);
		buf_add_str(b, "<delay xmlns='" NS_DELAY "'");
		xml_add_attr(b, "stamp", stamp);
		buf_add_str(b, "/>");
	}
	if (f->child != NULL) {
		stanza_insert(&whole, f->stanza.data, f->stanza.len, f->child);
		stanza = (struct text){ (const char *)whole.data, whole.len };
	}
	add_stanza(b, stanza);
	buf_add_str(b, "</forwarded>");
	buf_clear(&whole);
}

/* XEP-0297, 5: what is forwarded here is the server's own doing (carbons, the
 * archive), so there is nothing to be asked for but that it is understood. */
static const char *const features[] = { NS_FORWARD, NULL };

const struct extension xep_0297 = {
	.number = "XEP-0297",
	.server_features = features,
	.account_features = features,
};
