/*
 * Requests about nodes: what they name, and errors as XEP-0060 has them.
 */
#include <string.h>

#include "common/strutil.h"
#include "xmppd/router/pep.h"
#include "xmppd/router/tell.h"

#define NODE_NAME_MAX 1000

enum stanza_error
pep_refuse(struct pep_request *q, enum stanza_error e, const char *condition)
{
	q->condition = condition;
	return e;
}

/* The stanza error with the condition of XEP-0060 in it. */
static void
bounce_condition(struct pep_request *q, enum stanza_error e)
{
	static const char end[] = "</error>";
	struct buf error = { 0 };

	xml_add_stanza_error(&error, e, NULL);
	error.len -= sizeof(end) - 1;
	buf_addf(&error, "<%s xmlns='" NS_PUBSUB_ERRORS "'", q->condition);
	xml_add_attr(&error, "feature", q->unsupported);
	buf_add_str(&error, "/></error>");
	bounce_error(q->r, q->job, &error);
	buf_clear(&error);
}

/* Whether it is there, and lets the sender see that. */
static bool
knows_account(struct pep_request *q)
{
	struct user *u;

	if (!address_exists(q->r, &q->job->to))
		return false;
	u = user_get(q->r, &q->job->to);
	user_touch(q->r, u);
	return roster_allows(q->r, u, q->from.bare);
}

/* What is the same for all: the node is named, is there, and is one's own. */
static enum stanza_error
check(struct pep_request *q, unsigned flags)
{
	const char *node = q->node.name;
	enum stanza_error e;

	if (!q->own && !(flags & PEP_OTHERS))
		return STANZA_FORBIDDEN;
	if (node == NULL || *node == '\0')
		return flags & PEP_ANY_NODE
		    ? 0
		    : pep_refuse(q, STANZA_BAD_REQUEST, "nodeid-required");
	if (strlen(node) > NODE_NAME_MAX)
		return STANZA_NOT_ACCEPTABLE;
	if ((flags & PEP_STORES) && iq_stored(q->r, q->job, &e))
		return 0;
	if (q->node.exists || (flags & PEP_ABSENT))
		return 0;
	return STANZA_ITEM_NOT_FOUND;
}

static const struct pep_verb *
verb_find(struct pep_request *q, const struct pep_verb *verbs)
{
	for (q->verb = q->top->children; q->verb != NULL;
	     q->verb = q->verb->next)
		for (const struct pep_verb *v = verbs; v->name != NULL; v++)
			if (v->type == q->job->f.type &&
			    strcmp(v->name, q->verb->name) == 0 &&
			    strcmp(q->verb->ns, q->top->ns) == 0)
				return v;
	return NULL;
}

/* A stranger is not told whether there is such an account (RFC 6121, 11),
 * unless it names what is there. */
static enum stanza_error
hide(struct pep_request *q, enum stanza_error e)
{
	if (q->own || q->node.exists || e == STANZA_FORBIDDEN ||
	    knows_account(q))
		return e;
	q->condition = NULL;
	return STANZA_SERVICE_UNAVAILABLE;
}

enum stanza_error
pep_handle(struct router *r, struct job *job, const struct xml *top,
    const struct pep_verb *verbs)
{
	struct pep_request q = { .r = r, .job = job, .top = top };
	const struct pep_verb *verb = verb_find(&q, verbs);
	enum stanza_error e;

	address_read(r, job->f.from, &q.from);
	q.own = job->f.session_kind == SESSION_CLIENT &&
	    text_equal(q.from.bare, job->to.bare);
	pep_node_open(&q.node, r, &job->to,
	    verb == NULL ? NULL : xml_attr(q.verb, "node"));
	e = verb == NULL ? STANZA_FEATURE_NOT_IMPLEMENTED
			 : check(&q, verb->flags);
	if (e == 0)
		e = address_exists(r, &job->to) ? verb->handle(&q)
						: STANZA_SERVICE_UNAVAILABLE;
	if (e != 0 && e != IQ_WAITS)
		e = hide(&q, e);
	if (e != 0 && e != IQ_WAITS && q.condition != NULL) {
		bounce_condition(&q, e);
		e = 0;
	}
	pep_node_close(&q.node);
	return e;
}

void
pep_answer(struct pep_request *q, struct buf *inner)
{
	struct buf b = { 0 };

	buf_add_str(&b, "<pubsub xmlns='" NS_PUBSUB "'>");
	buf_add(&b, inner->data, inner->len);
	buf_add_str(&b, "</pubsub>");
	reply_iq(q->r, q->job, &b, 0);
	buf_clear(&b);
	buf_clear(inner);
}
