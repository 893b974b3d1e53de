/* Software version (XEP-0092). */
#include "xmppd/router/extension.h"

static enum stanza_error
version_get(struct router *r, struct job *job, const struct xml *query)
{
	struct buf b = { 0 };

	(void)query;
	buf_add_str(&b, "<query xmlns='" NS_VERSION "'><name>xmppd</name>");
	buf_add_str(&b, "<version>");
	xml_add_text(&b, r->version);
	buf_add_str(&b, "</version></query>");
	reply_iq(r, job, &b, 0);
	buf_clear(&b);
	return 0;
}

static const struct iq_handler iqs[] = {
	{ TYPE_GET, AT_SERVER, "{" NS_VERSION "}query", version_get },
	{ 0 },
};
static const char *const features[] = { NS_VERSION, NULL };

const struct extension xep_0092 = {
	.number = "XEP-0092",
	.server_features = features,
	.iqs = iqs,
};
