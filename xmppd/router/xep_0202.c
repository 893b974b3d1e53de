/* Entity time (XEP-0202): the server's, in UTC. */
#include "common/clock.h"
#include "xmppd/router/extension.h"

static enum stanza_error
time_get(struct router *r, struct job *job, const struct xml *time)
{
	struct buf b = { 0 };
	char stamp[32];

	(void)time;
	clock_stamp(r->env.unix_time(r->env.arg), stamp);
	buf_addf(&b,
	    "<time xmlns='" NS_TIME "'><tzo>+00:00</tzo><utc>%s</utc></time>",
	    stamp);
	reply_iq(r, job, &b, 0);
	buf_clear(&b);
	return 0;
}

static const struct iq_handler iqs[] = {
	{ TYPE_GET, AT_SERVER, "{" NS_TIME "}time", time_get },
	{ 0 },
};
static const char *const features[] = { NS_TIME, NULL };

const struct extension xep_0202 = {
	.number = "XEP-0202",
	.server_features = features,
	.iqs = iqs,
};
