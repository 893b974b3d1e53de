/*
 * SASL as RFC 6120, 6, has it: <auth/>, <challenge/>, <response/>, <abort/>,
 * <success/> and <failure/>. After the success both begin a new stream.
 */
#include "xmppd/edge/auth.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/xmalloc.h"

void
sasl1_features(const struct session *s, struct buf *out)
{
	buf_add_str(out, "<mechanisms xmlns='" NS_SASL "'>");
	sasl_mechanisms(&s->c2s->env, out);
	buf_add_str(out, "</mechanisms>");
}

static void
write_element(struct session *s, const char *name, const struct buf *data)
{
	struct buf *out = &s->edge->out;
	char *text;

	buf_addf(out, "<%s xmlns='" NS_SASL "'>", name);
	if (data->len > 0) {
		text = crypto_base64(data->data, data->len);
		buf_add_str(out, text);
		free(text);
	}
	buf_addf(out, "</%s>", name);
	session_flush(s);
}

static void
challenge(struct session *s, const struct buf *data)
{
	write_element(s, "challenge", data);
}

/* RFC 6120, 6.4.6: after the success both begin a new stream. */
static void
success(struct session *s, const struct buf *data)
{
	write_element(s, "success", data);
	stream_set_state(&s->stream, STREAM_OPENING, s->peer);
	xmlstream_restart(s->xml, false);
}

static void
failure(struct session *s, const char *condition, const char *text)
{
	struct buf *out = &s->edge->out;

	buf_addf(out, "<failure xmlns='" NS_SASL "'><%s/>", condition);
	if (text != NULL) {
		buf_add_str(out, "<text xml:lang='en'>");
		xml_add_text(out, text);
		buf_add_str(out, "</text>");
	}
	buf_add_str(out, "</failure>");
	session_flush(s);
}

static const struct auth_profile profile = {
	.challenge = challenge,
	.failure = failure,
	.success = success,
};

/* The element's text; "=" is one that is there and empty (RFC 6120, 6.4.2).
 * The caller frees. */
static char *
text_of_element(const struct xml_stanza *stanza)
{
	if (stanza->inner_len == 0 ||
	    (stanza->inner_len == 1 && stanza->inner[0] == '='))
		return xstrdup("");
	return xstrndup(stanza->inner, stanza->inner_len);
}

static void
auth(struct session *s, const struct xml_stanza *stanza)
{
	struct xml *x = auth_tree(stanza);
	char *text = text_of_element(stanza);

	/* Without a text there is no initial response. */
	auth_begin(s, &profile, x == NULL ? NULL : xml_attr(x, "mechanism"),
	    stanza->inner_len == 0 ? NULL : text);
	crypto_wipe_free(text);
	xml_free(x);
}

void
sasl1_element(struct session *s, const struct xml_stanza *stanza)
{
	char *text;

	if (strcmp(stanza->name, "auth") == 0) {
		auth(s, stanza);
		return;
	}
	if (strcmp(stanza->name, "abort") == 0) {
		auth_fail(s, &profile, "aborted");
		return;
	}
	if (!auth_is_under_way(s)) {
		auth_fail(s, &profile, "malformed-request");
		return;
	}
	text = text_of_element(stanza);
	auth_response(s, text);
	crypto_wipe_free(text);
}
