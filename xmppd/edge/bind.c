/*
 * Resource binding (RFC 6120, 7): <iq><bind/></iq>, and what XEP-0386 shares
 * with it: FRAME_BIND to the router, and its answer.
 *
 * A resource that a session of the same user has goes to the newer one; the
 * older is ended with <conflict/> (7.7.2.2, the first of the ways that it
 * allows). A refused client may ask again, some times (7.7.3).
 */
#include "xmppd/edge/auth.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/jid.h"
#include "common/log.h"
#include "common/xmalloc.h"

#define REFUSALS_MAX 10 /* RFC 6120, 7.7.3: at least 5 and no more than 10 */

bool
bind_is_request(const struct xml_stanza *stanza)
{
	return stanza->child != NULL && strcmp(stanza->child, "bind") == 0 &&
	    strcmp(stanza->child_ns, NS_BIND) == 0 && stanza->type != NULL &&
	    strcmp(stanza->type, "set") == 0 && strcmp(stanza->name, "iq") == 0;
}

void
bind_ask(struct session *s, char *resource, uint8_t flags)
{
	xasprintf(
	    &s->up.full, "%s@%s/%s", s->c2s->user, s->stream.domain, resource);
	free(resource);
	s->up.account = xstrdup(s->c2s->account);
	s->up.flags = flags;
	stream_set_state(&s->stream, STREAM_BINDING, s->peer);
	uplink_begin(s->edge->uplink, &s->up, SESSION_CLIENT,
	    s->edge->cfg.session_window);
}

/* The requested resource, prepared; a new one where none is asked for (RFC
 * 6120, 7.6); NULL if it can't be one. */
static char *
resource_of(const struct xml *bind)
{
	const char *asked = xml_child_text(bind, "resource");
	char made[17];

	if (asked != NULL && asked[0] != '\0')
		return jid_prep_resource(asked);
	crypto_random_text(made, sizeof(made) - 1);
	return xstrdup(made);
}

/* RFC 6120, 7.7.3 */
static void
count_refusal(struct session *s)
{
	if (++s->c2s->binds > REFUSALS_MAX)
		session_error(s, STREAM_POLICY_VIOLATION,
		    "too many resources were refused");
}

void
bind_request(struct session *s, const struct xml_stanza *stanza)
{
	struct c2s_login *login = s->c2s;
	struct xml *iq = auth_tree(stanza);
	char *resource = NULL;

	if (iq != NULL && stanza->id != NULL && stanza->children == 1)
		resource = resource_of(xml_child(iq, "bind", NS_BIND));
	xml_free(iq);
	if (resource == NULL) {
		ingress_reply(s, stanza, NULL, STANZA_BAD_REQUEST);
		count_refusal(s);
		return;
	}
	free(login->bind_id);
	login->bind_id = xstrdup(stanza->id);
	bind_ask(s, resource, 0);
}

void
bind_done(struct session *s)
{
	struct buf *out = &s->edge->out;

	buf_add_str(out, "<iq type='result'");
	xml_add_attr(out, "id", s->c2s->bind_id);
	buf_add_str(out, "><bind xmlns='" NS_BIND "'><jid>");
	xml_add_text(out, s->up.full);
	buf_add_str(out, "</jid></bind></iq>");
	session_flush(s);
}

void
bind_refused(struct session *s, enum stanza_error error)
{
	struct buf *out = &s->edge->out;

	buf_add_str(out, "<iq type='error'");
	xml_add_attr(out, "id", s->c2s->bind_id);
	buf_add_str(out, ">");
	xml_add_stanza_error(out, error, NULL);
	buf_add_str(out, "</iq>");
	session_flush(s);
	count_refusal(s);
}
