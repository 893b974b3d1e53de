/* Session establishment (RFC 3921, 3), which old clients still ask for: there
 * is nothing left to be done. */
#include "xmppd/router/extension.h"

static enum stanza_error
session_set(struct router *r, struct job *job, const struct xml *session)
{
	(void)session;
	reply_iq(r, job, NULL, 0);
	return 0;
}

static const struct iq_handler iqs[] = {
	{ TYPE_SET, AT_SERVER | AT_ACCOUNT, "{" NS_SESSION "}session",
	    session_set },
	{ 0 },
};

const struct extension rfc_3921 = { .number = "RFC 3921", .iqs = iqs };
