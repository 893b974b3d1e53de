/*
 * Requests that change what an account keeps in the store.
 */
#include "xmppd/router/iq_store.h"

#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "common/result.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

/* ---- changes ----------------------------------------------------------- */

static char *
dup_or_null(const char *text)
{
	return text == NULL ? NULL : xstrdup(text);
}

static struct store_op *
change_add(
    struct change *c, uint8_t kind, const struct store_node *n, const char *id)
{
	struct store_op *op;

	c->ops = xrealloc(c->ops, (c->count + 1) * sizeof(*c->ops));
	op = &c->ops[c->count++];
	memset(op, 0, sizeof(*op));
	op->op = kind;
	op->user = xstrdup(n->local);
	op->space = n->space;
	op->node = dup_or_null(n->node);
	op->id = dup_or_null(id);
	return op;
}

static uint64_t
quota(struct router *r)
{
	char *text = store_setting(r->env.store, SHARED_DATA_LIMIT);
	uint64_t bytes = limit_rows[LIMIT_DATA].usual;

	if (text != NULL)
		str_to_u64(text, 1, INT64_MAX, &bytes);
	free(text);
	return bytes;
}

struct store_op *
change_put(struct router *r, struct change *c, const struct store_node *n,
    const char *id)
{
	struct store_op *op = change_add(c, EFFECT_ITEM_PUT, n, id);

	op->time = r->env.unix_time(r->env.arg);
	op->quota = quota(r);
	return op;
}

void
change_del(struct change *c, const struct store_node *n, const char *id)
{
	change_add(c, EFFECT_ITEM_DEL, n, id);
}

void
change_clear(struct change *c)
{
	struct store_effect effect = { .ops = c->ops, .count = c->count };

	store_effect_clear(&effect);
	*c = (struct change){ 0 };
}

void
change_propose(struct router *r, struct change *c)
{
	struct buf b = { 0 };

	store_cmd_items(&b, c->ops, c->count);
	r->env.propose(r->env.arg, b.data, b.len);
	buf_clear(&b);
	change_clear(c);
}

/* ---- requests ---------------------------------------------------------- */

static enum stanza_error
error_of(int code)
{
	if (code == RES_LIMIT)
		return STANZA_RESOURCE_CONSTRAINT;
	if (code == RES_NOT_FOUND) /* the account went meanwhile */
		return STANZA_SERVICE_UNAVAILABLE;
	return code == RES_OK ? 0 : STANZA_INTERNAL_SERVER_ERROR;
}

bool
iq_stored(struct router *r, struct job *job, enum stanza_error *e)
{
	int code = job->code;

	*e = 0;
	if (job->fate == FATE_STORING && !job->applied) {
		*e = IQ_WAITS;
		return false;
	}
	/* Rule 1 of delivery(7): it was applied under an earlier leader. */
	if (job->fate != FATE_STORING &&
	    (!job->f.resent ||
		!store_effect_code(
		    r->env.store, &job->origin->id, job->f.num, &code)))
		return false;
	*e = error_of(code);
	return *e == 0;
}

uint64_t
iq_note(struct router *r, const struct job *job)
{
	uint64_t note = 0;

	store_effect_note(r->env.store, &job->origin->id, job->f.num, &note);
	return note;
}

enum stanza_error
iq_store(struct router *r, struct job *job, struct change *c)
{
	job->fate = FATE_STORING;
	job_propose(r, job, c->note, c->ops, c->count);
	change_clear(c);
	return IQ_WAITS;
}
