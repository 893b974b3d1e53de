/*
 * IQs (RFC 6121, 8.5): to a session they are routed; to the server and to bare
 * addresses they are answered here, by the extensions.
 */
#include <string.h>

#include "xmppd/router/blocking.h"
#include "xmppd/router/extension.h"

enum { IQ_BEGIN, IQ_ANSWERED };

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
handler_find(struct router *r, const struct job *job)
{
	if (job->to.kind == ADDRESS_SERVER)
		return extension_iq(r, job, AT_SERVER);
	if (is_own_account(job))
		return extension_iq(r, job, AT_ACCOUNT);
	return extension_iq(
	    r, job, address_exists(r, &job->to) ? AT_OTHER : AT_NOBODY);
}

/* Handles what is for the server itself; true when all is done. */
static bool
iq_handle(struct router *r, struct job *job)
{
	const struct iq_handler *h = handler_find(r, job);
	enum stanza_error e;
	struct xml *x;
	bool done;

	if (job->fate == FATE_OPEN && blocking_stops(r, job, &done))
		return done;
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
	if (!is_request) {
		/* An answer to a push, or to nothing. */
		extensions_answered(r, job);
		return true;
	}
	if (job->plan != NULL)
		return plan_step(r, job);
	if (job->stage == IQ_ANSWERED)
		return job->pending == 0;
	return iq_handle(r, job);
}
