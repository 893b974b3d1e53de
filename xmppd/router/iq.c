/*
 * IQs (RFC 6121, 8.5): to a session they are routed; to the server and to bare
 * addresses they are answered here, by a table with a row for each thing that
 * is understood.
 */
#include <string.h>

#include "xmppd/router/core.h"

enum { IQ_BEGIN, IQ_ANSWERED };

/* One's own account is what an IQ without `to` is for (RFC 6120, 10.3.3). */
enum { AT_SERVER = 1, AT_ACCOUNT = 2 };

static const struct iq_handler {
	uint8_t type; /* TYPE_GET or TYPE_SET */
	uint8_t at;
	const char *child;
	const char *feature; /* to be told of it (XEP-0030); NULL: nothing */
	iq_handle_fn handle;
} handlers[] = {
	{ TYPE_GET, AT_SERVER | AT_ACCOUNT, "{" NS_DISCO_INFO "}query",
	    NS_DISCO_INFO, disco_info },
	{ TYPE_GET, AT_SERVER | AT_ACCOUNT, "{" NS_DISCO_ITEMS "}query",
	    NS_DISCO_ITEMS, disco_items },
	{ TYPE_GET, AT_ACCOUNT, "{" NS_ROSTER "}query", NS_ROSTER, roster_get },
	{ TYPE_SET, AT_ACCOUNT, "{" NS_ROSTER "}query", NULL, roster_set },
	{ TYPE_SET, AT_SERVER | AT_ACCOUNT, "{" NS_SESSION "}session", NULL,
	    session_set },
	{ TYPE_GET, AT_SERVER | AT_ACCOUNT, "{" NS_PING "}ping", NS_PING,
	    ping_get },
	{ TYPE_GET, AT_SERVER, "{" NS_VERSION "}query", NS_VERSION,
	    version_get },
};

/* What is understood but by no answer: stored messages (XEP-0160). */
static const char *const more_features[] = { "msgoffline" };

#define HANDLERS (sizeof(handlers) / sizeof(handlers[0]))

/* The namespaces that are understood, for disco#info; NULL after the last. */
const char *
iq_feature(size_t index)
{
	for (size_t i = 0; i < HANDLERS; i++)
		if (handlers[i].feature != NULL && index-- == 0)
			return handlers[i].feature;
	if (index < sizeof(more_features) / sizeof(more_features[0]))
		return more_features[index];
	return NULL;
}

static bool
is_own_account(const struct job *job)
{
	struct text from = job->f.from;
	const char *slash = memchr(from.data, '/', from.len);

	if (job->f.session_kind != SESSION_CLIENT)
		return false;
	if (slash != NULL)
		from.len = (size_t)(slash - from.data);
	return text_equal(from, job->to.bare);
}

static const struct iq_handler *
handler_find(const struct job *job)
{
	unsigned at = 0;

	if (job->to.kind == ADDRESS_SERVER)
		at = AT_SERVER;
	else if (is_own_account(job))
		at = AT_ACCOUNT;
	for (size_t i = 0; i < HANDLERS; i++)
		if (handlers[i].type == job->f.type &&
		    (handlers[i].at & at) != 0 &&
		    text_is(job->f.child, handlers[i].child))
			return &handlers[i];
	return NULL;
}

/* Handles what is for the server itself; true when all is done. */
static bool
iq_handle(struct router *r, struct job *job)
{
	const struct iq_handler *h = handler_find(job);
	enum stanza_error e;
	struct xml *x;

	if (h == NULL)
		return bounce(r, job, STANZA_SERVICE_UNAVAILABLE, NULL);
	x = xml_parse(job->f.payload.data, job->f.payload.len);
	e = x == NULL || x->children == NULL ? STANZA_BAD_REQUEST
					     : h->handle(r, job, x->children);
	xml_free(x);
	if (e == IQ_WAITS)
		return false;
	if (e != 0)
		return bounce(r, job, e, NULL);
	if (job->plan != NULL)
		return plan_step(r, job);
	job->stage = IQ_ANSWERED;
	/* The answer is on its way: what follows need not wait for it. */
	job_leave_lane(r, job, LANE_ADDRESS);
	return job->pending == 0;
}

/* RFC 6120, 8.2.3: a request has an id and one child. */
static bool
is_whole(const struct job *job)
{
	bool request = job->f.type == TYPE_GET || job->f.type == TYPE_SET;

	return job->f.id.data != NULL &&
	    (!request || job->f.child.data != NULL) &&
	    (request || job->f.type == TYPE_RESULT ||
		job->f.type == TYPE_ERROR);
}

bool
iq_step(struct router *r, struct job *job)
{
	bool is_request = job->f.type == TYPE_GET || job->f.type == TYPE_SET;

	if (job->fate == FATE_BOUNCING)
		return job->pending == 0;
	if (!is_whole(job))
		return bounce(r, job, STANZA_BAD_REQUEST, NULL);
	if (job->to.kind == ADDRESS_FOREIGN)
		return bounce(r, job, STANZA_REMOTE_SERVER_NOT_FOUND, NULL);
	if (job->to.kind == ADDRESS_COMPONENT ||
	    (job->to.kind == ADDRESS_USER && job->to.resource.data != NULL))
		return iq_to_session(r, job);
	if (!is_request)
		return true; /* an answer to a push, or to nothing */
	if (job->plan != NULL)
		return plan_step(r, job);
	if (job->stage == IQ_ANSWERED)
		return job->pending == 0;
	return iq_handle(r, job);
}
