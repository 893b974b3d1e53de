/* Session establishment (RFC 3921, 3), which old clients still ask for: there
 * is nothing left to be done. */
#include "xmppd/router/core.h"

enum stanza_error
session_set(struct router *r, struct job *job, const struct xml *session)
{
	(void)session;
	reply_iq(r, job, NULL, DELIVER_STANZA);
	return 0;
}
