/*
 * What the router itself says to the sender of a stanza: errors and answers
 * (RFC 6120, 8.2.3 and 8.3).
 */
#include <string.h>

#include "xmppd/router/core.h"

static const char *
stanza_name(const struct job *job)
{
	if (job->f.kind == FRAME_PRESENCE)
		return "presence";
	return job->f.kind == FRAME_IQ || job->f.type == TYPE_GET ||
		job->f.type == TYPE_SET
	    ? "iq"
	    : "message";
}

/* Whom an answer goes to; NULL if that has gone. */
static struct login *
sender_of(struct router *r, const struct job *job)
{
	struct login *s = job->f.kind == FRAME_RETURN
	    ? returned_sender(r, job)
	    : login_find(r, &job->f.sid);

	return login_is_there(s) ? s : NULL;
}

static void
add_attr(struct buf *b, const char *name, struct text value)
{
	if (value.data != NULL)
		xml_add_attr_n(b, name, value.data, value.len);
}

/* The start tag of an answer: the addresses swapped, the same id. */
static void
begin_answer(struct buf *b, const struct job *job, const char *type)
{
	buf_add_str(b, "<");
	buf_add_str(b, stanza_name(job));
	xml_add_attr(b, "type", type);
	add_attr(b, "id", job->f.id);
	if (!(job->f.flags & FRAME_NO_TO))
		add_attr(b, "from", job->f.to);
	add_attr(b, "to", job->f.from);
	buf_add_str(b, ">");
}

static void
end_answer(struct buf *b, const struct job *job)
{
	buf_add_str(b, "</");
	buf_add_str(b, stanza_name(job));
	buf_add_str(b, ">");
}

/* Delivers a stanza to one session, under the frame's own name. */
void
job_deliver_bytes(struct router *r, struct job *job, struct login *target,
    const struct buf *stanza)
{
	struct dispatch w = { .target = target, .kind = DELIVER_STANZA };

	w.key = dkey_frame(job);
	w.hold = bytes_new(stanza->data, stanza->len);
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	job_deliver(r, job, &w);
	bytes_unref(w.hold);
}

/*
 * Sends an error back; the job is done when it is accepted. Never for an error
 * or a result (RFC 6120, 8.3.1), and not to one who has gone. For a step to
 * return: true if there is nothing left to be done.
 */
bool
bounce_error(struct router *r, struct job *job, const struct buf *error)
{
	struct login *sender = sender_of(r, job);
	struct buf b = { 0 };

	job->fate = FATE_BOUNCING;
	if (job->f.type == TYPE_ERROR || job->f.type == TYPE_RESULT ||
	    sender == NULL)
		return true;
	begin_answer(&b, job, "error");
	buf_add(&b, error->data, error->len);
	end_answer(&b, job);
	job_deliver_bytes(r, job, sender, &b);
	buf_clear(&b);
	return job->pending == 0;
}

bool
bounce(struct router *r, struct job *job, enum stanza_error e, const char *text)
{
	struct buf error = { 0 };
	bool done;

	xml_add_stanza_error(&error, e, text);
	done = bounce_error(r, job, &error);
	buf_clear(&error);
	return done;
}

void
reply_iq_noted(struct router *r, struct job *job, const struct buf *payload,
    uint8_t kind, uint64_t value)
{
	struct login *sender = login_find(r, &job->f.sid);
	struct dispatch w = { .target = sender, .kind = kind, .value = value };
	struct buf b = { 0 };

	if (!login_is_there(sender))
		return;
	begin_answer(&b, job, "result");
	if (payload != NULL)
		buf_add(&b, payload->data, payload->len);
	end_answer(&b, job);
	w.key = dkey_frame(job);
	w.hold = bytes_new(b.data, b.len);
	w.payload.data = w.hold->data;
	w.payload.len = w.hold->len;
	job_deliver(r, job, &w);
	bytes_unref(w.hold);
	buf_clear(&b);
}

/* Answers an IQ; `payload` may be NULL. `roster`: of a roster that it is, the
 * version; else 0. */
void
reply_iq(struct router *r, struct job *job, const struct buf *payload,
    uint64_t roster)
{
	reply_iq_noted(r, job, payload,
	    roster != 0 ? DELIVER_RESULT : DELIVER_STANZA, roster);
}
