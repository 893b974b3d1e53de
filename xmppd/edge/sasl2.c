/*
 * XEP-0388, the extensible SASL profile: one stream from <authenticate/> on,
 * and what the client wants of its session is said in the same element.
 *
 *   <authenticate/> -> auth.c -> <challenge/>, <failure/>
 *     success, without <bind/>:  <success/>, features; RFC 6120's bind follows
 *     success, with <bind/>:     FRAME_BIND, its answer, <success/>, features
 *     success, with <resume/>:   resume.c, <success/>; or on with the others
 *
 * Tasks behind the exchange (<continue/>) are not needed: nothing is asked of
 * a client that has shown who it is.
 */
#include "xmppd/edge/auth.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/xmalloc.h"

#define NS_BIND2 "urn:xmpp:bind:0"

struct sasl2 {
	struct bind2 *bind; /* NULL: isn't asked for, or was done */
	struct buf data;    /* the mechanism's last word */
	char *previd, *h;   /* of <resume/>; NULL: not given */
	char *failed;       /* how that went; NULL: it didn't fail */
};

void
sasl2_free(struct sasl2 *request)
{
	if (request == NULL)
		return;
	bind2_free(request->bind);
	free(request->previd);
	free(request->h);
	free(request->failed);
	buf_clear(&request->data);
	free(request);
}

void
sasl2_features(const struct session *s, struct buf *out)
{
	buf_add_str(out, "<authentication xmlns='" NS_SASL2 "'>");
	sasl_mechanisms(&s->c2s->env, out);
	buf_add_str(out, "<inline>");
	bind2_features(out);
	buf_add_str(out, "<sm xmlns='" NS_SM "'/></inline></authentication>");
}

/* ---- answers ----------------------------------------------------------- */

static void
add_base64(struct buf *out, const char *name, const struct buf *data)
{
	char *text;

	if (data->len == 0)
		return;
	text = crypto_base64(data->data, data->len);
	buf_addf(out, "<%s>%s</%s>", name, text, name);
	free(text);
}

static void
challenge(struct session *s, const struct buf *data)
{
	struct buf *out = &s->edge->out;
	char *text = crypto_base64(data->data, data->len);

	buf_addf(out, "<challenge xmlns='" NS_SASL2 "'>%s</challenge>", text);
	free(text);
	session_flush(s);
}

static void
failure(struct session *s, const char *condition, const char *text)
{
	struct buf *out = &s->edge->out;

	buf_addf(out, "<failure xmlns='" NS_SASL2 "'><%s xmlns='" NS_SASL "'/>",
	    condition);
	if (text != NULL) {
		buf_add_str(out, "<text>");
		xml_add_text(out, text);
		buf_add_str(out, "</text>");
	}
	buf_add_str(out, "</failure>");
	session_flush(s);
}

/* <success/> up to where inline features say how they went. */
static void
success_begin(struct session *s, const struct sasl2 *request, const char *who)
{
	struct buf *out = &s->edge->out;

	buf_add_str(out, "<success xmlns='" NS_SASL2 "'>");
	add_base64(out, "additional-data", &request->data);
	buf_add_str(out, "<authorization-identifier>");
	xml_add_text(out, who);
	buf_add_str(out, "</authorization-identifier>");
	if (request->failed != NULL)
		buf_add_str(out, request->failed);
}

/* XEP-0388, 2.6.1: the features follow at once, on the same stream. */
static void
success_end(struct session *s)
{
	buf_add_str(&s->edge->out, "</success>");
	c2s_features(s, &s->edge->out);
	session_flush(s);
}

/* The client is authenticated, and may ask for a resource by an <iq/>. */
static void
unbound(struct session *s, const char *inline_result)
{
	char *bare;

	xasprintf(&bare, "%s@%s", s->c2s->user, s->stream.domain);
	success_begin(s, s->c2s->sasl2, bare);
	free(bare);
	buf_add_str(&s->edge->out, inline_result);
	success_end(s);
}

static void
bind_or_not(struct session *s)
{
	struct bind2 *bind = s->c2s->sasl2->bind;

	if (bind == NULL)
		unbound(s, "");
	else
		bind_ask(s, bind2_resource(s, bind), bind->flags);
}

/* XEP-0198, 8.2: if the session goes on there is nothing to negotiate; if not,
 * it says why, and binds. */
static void
resumed(struct session *s, bool done, const char *answer)
{
	struct sasl2 *request = s->c2s->sasl2;

	if (!done) {
		request->failed = xstrdup(answer);
		bind_or_not(s);
		return;
	}
	success_begin(s, request, s->up.full);
	buf_add_str(&s->edge->out, answer);
	buf_add_str(&s->edge->out, "</success>");
	session_flush(s);
}

static void
resume(struct session *s)
{
	struct sasl2 *request = s->c2s->sasl2;
	struct buf failed = { 0 };
	char *bare;
	uint32_t h;

	if (!sm_read_count(request->h, &h)) {
		managed_write_failed(&failed, STANZA_BAD_REQUEST, NULL);
		resumed(s, false, buf_str(&failed));
		buf_clear(&failed);
		return;
	}
	xasprintf(&bare, "%s@%s", s->c2s->user, s->stream.domain);
	resume_begin(s, bare, request->previd, h, resumed);
	free(bare);
}

static void
success(struct session *s, const struct buf *data)
{
	struct sasl2 *request = s->c2s->sasl2;

	buf_add(&request->data, data->data, data->len);
	stream_set_state(&s->stream, STREAM_UNBOUND, s->peer);
	if (request->previd != NULL)
		resume(s);
	else
		bind_or_not(s);
}

void
sasl2_bound(struct session *s, const struct sasl2 *request, struct text extra)
{
	struct buf *out = &s->edge->out;

	success_begin(s, request, s->up.full);
	buf_add_str(out, "<bound xmlns='" NS_BIND2 "'>");
	buf_add(out, extra.data, extra.len);
	bind2_begin(s, request->bind, out);
	buf_add_str(out, "</bound>");
	success_end(s);
}

void
sasl2_refused(struct session *s, enum stanza_error error)
{
	struct sasl2 *request = s->c2s->sasl2;
	char *failed;

	bind2_free(request->bind);
	request->bind = NULL;
	xasprintf(&failed,
	    "<failed xmlns='" NS_BIND2 "'><%s xmlns='" NS_STANZA_ERRORS
	    "'/></failed>",
	    stanza_error_name(error));
	unbound(s, failed);
	free(failed);
}

static const struct auth_profile profile = {
	.challenge = challenge,
	.failure = failure,
	.success = success,
};

/* ---- what the client says ---------------------------------------------- */

/* XEP-0388, 2.3: the id SHALL be a UUID of version 4; what isn't tells nothing
 * apart. */
static const char *
agent_of(const struct xml *x)
{
	static const char form[] = "xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx";
	struct xml *agent = xml_child(x, "user-agent", NS_SASL2);
	const char *id = agent == NULL ? NULL : xml_attr(agent, "id");

	if (id == NULL || strlen(id) != sizeof(form) - 1)
		return NULL;
	for (size_t i = 0; form[i] != '\0'; i++)
		if (form[i] == 'x'
			? strchr("0123456789abcdefABCDEF", id[i]) == NULL
			: id[i] != form[i])
			return NULL;
	return id;
}

/* "" where it is absent. */
static char *
dup_attr(const struct xml *x, const char *name)
{
	const char *value = xml_attr(x, name);

	return xstrdup(value == NULL ? "" : value);
}

static void
authenticate(struct session *s, const struct xml *x)
{
	struct c2s_login *login = s->c2s;
	struct xml *first = xml_child(x, "initial-response", NS_SASL2);
	struct xml *bind = xml_child(x, "bind", NS_BIND2);
	struct xml *old = xml_child(x, "resume", NS_SM);
	struct sasl2 *request = xcalloc(1, sizeof(*request));

	if (bind != NULL)
		request->bind = bind2_read(bind, agent_of(x));
	if (old != NULL) {
		request->previd = dup_attr(old, "previd");
		request->h = dup_attr(old, "h");
	}
	sasl2_free(login->sasl2);
	login->sasl2 = request;
	login->env.from = s->stream.peer;
	auth_begin(s, &profile, xml_attr(x, "mechanism"),
	    first == NULL ? NULL : first->text);
}

bool
sasl2_is_under_way(const struct session *s)
{
	return auth_is_under_way(s) && s->c2s->profile == &profile;
}

void
sasl2_element(struct session *s, const struct xml_stanza *stanza)
{
	struct xml *x;

	if (strcmp(stanza->name, "abort") == 0) {
		auth_fail(s, &profile, "aborted");
		return;
	}
	if (strcmp(stanza->name, "response") == 0 && !sasl2_is_under_way(s)) {
		auth_fail(s, &profile, "malformed-request");
		return;
	}
	x = auth_tree(stanza);
	if (x == NULL)
		auth_fail(s, &profile, "malformed-request");
	else if (strcmp(stanza->name, "authenticate") == 0)
		authenticate(s, x);
	else
		auth_response(s, x->text);
	xml_free(x);
}

bool
sasl2_allows(const struct session *s, const struct xml_stanza *stanza)
{
	return !sasl2_is_under_way(s) ||
	    (strcmp(stanza->ns, NS_SASL2) == 0 &&
		strcmp(stanza->name, "authenticate") != 0);
}
