/* Ping (XEP-0199): answered by the server and on behalf of an account. */
#include "xmppd/router/extension.h"

static enum stanza_error
ping_get(struct router *r, struct job *job, const struct xml *ping)
{
	(void)ping;
	reply_iq(r, job, NULL, 0);
	return 0;
}

static const struct iq_handler iqs[] = {
	{ TYPE_GET, AT_SERVER | AT_ACCOUNT, "{" NS_PING "}ping", ping_get },
	{ 0 },
};
static const char *const features[] = { NS_PING, NULL };

const struct extension xep_0199 = {
	.number = "XEP-0199",
	.server_features = features,
	.account_features = features,
	.iqs = iqs,
};
