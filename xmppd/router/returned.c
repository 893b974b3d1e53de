/*
 * Stanzas that a session with XEP-0198 had accepted and its client has not,
 * when that session ended: its edge gives them back (FRAME_RETURN), and they
 * are delivered anew, as if that session had not been there (XEP-0198, 4).
 *
 *   somebody else who has got it is still there: it is that one's
 *   a message: to other sessions, stored, or an error to its sender
 *   a request: an error; to a component's next session
 *
 * It is a frame of its edge as any other, so it happens once (rule 1 of
 * delivery(7)).
 */
#include <stdlib.h>

#include "common/strutil.h"
#include "xmppd/router/core.h"

/* Whether it is one that this session gave back. */
bool
returned_by(const struct job *job, const struct login *s)
{
	return job->f.kind == FRAME_RETURN && sid_equal(&job->f.sid, &s->sid);
}

/* When the stanza came in; for any other job: now. */
int64_t
returned_time(const struct router *r, const struct job *job)
{
	char *text;
	uint64_t time;
	bool known;

	if (job->f.kind != FRAME_RETURN)
		return r->env.unix_time(r->env.arg);
	text = text_dup(job->f.lang);
	known = text != NULL && str_to_u64(text, 0, UINT32_MAX, &time);
	free(text);
	return known ? (int64_t)time : r->env.unix_time(r->env.arg);
}

/* The session of the address that it is from; NULL if there is none. */
struct login *
returned_sender(struct router *r, const struct job *job)
{
	struct address from;

	address_read(r, job->f.from, &from);
	if (from.kind == ADDRESS_COMPONENT)
		return component_session(r, from.domain);
	if (from.kind != ADDRESS_USER)
		return NULL;
	return user_session(user_find(r, from.bare), from.full);
}

/* Whether another session that has got it is still there. */
static bool
is_with_another(struct router *r, const struct job *job)
{
	struct text others = job->f.child;
	struct sid sid;

	while (sids_next(&others, &sid))
		if (!sid_equal(&sid, &job->f.sid) &&
		    login_is_there(login_find(r, &sid)))
			return true;
	return false;
}

/* Whether the session goes on at another edge, and has it there: this one had
 * lost its leader before it heard of that. */
static bool
has_gone_on(struct router *r, const struct job *job)
{
	const struct login *s = login_find(r, &job->f.sid);

	return login_is_there(s) &&
	    (s->edge->id.node != job->origin->id.node ||
		s->edge->id.edge != job->origin->id.edge);
}

bool
return_step(struct router *r, struct job *job)
{
	if (job->fate == FATE_OPEN && TAILQ_EMPTY(&job->deliveries) &&
	    (is_with_another(r, job) || has_gone_on(r, job)))
		return true;
	if (job->f.type == TYPE_GET || job->f.type == TYPE_SET)
		return iq_to_session(r, job);
	return message_step(r, job);
}
