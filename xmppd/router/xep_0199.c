/* Ping (XEP-0199): answered by the server and on behalf of an account. */
#include "xmppd/router/core.h"

enum stanza_error
ping_get(struct router *r, struct job *job, const struct xml *ping)
{
	(void)ping;
	reply_iq(r, job, NULL, DELIVER_STANZA);
	return 0;
}
