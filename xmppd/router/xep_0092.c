/* Software version (XEP-0092). */
#include "xmppd/router/core.h"

enum stanza_error
version_get(struct router *r, struct job *job, const struct xml *query)
{
	struct buf b = { 0 };

	(void)query;
	buf_add_str(&b, "<query xmlns='" NS_VERSION "'><name>xmppd</name>");
	buf_add_str(&b, "<version>");
	xml_add_text(&b, r->version);
	buf_add_str(&b, "</version></query>");
	reply_iq(r, job, &b, DELIVER_STANZA);
	buf_clear(&b);
	return 0;
}
