/*
 * XEP-0386, Bind 2: a resource, and what its session begins with, asked for in
 * XEP-0388's <authenticate/>.
 *
 * The resource is "tag/id". The same installation of a client (<user-agent
 * id=''/>) gets the same id each time, so that its new session takes the place
 * of its old one; nothing of the agent's id can be read from it.
 */
#include "xmppd/edge/auth.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/jid.h"
#include "common/xmalloc.h"

#define NS_BIND2 "urn:xmpp:bind:0"
#define ID_LEN 16

#define NS_CARBONS "urn:xmpp:carbons:2"

/* What can be asked for inside <bind/>. */
static const char *const inlines[] = { NS_CARBONS, NS_CSI, NS_SM };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void
bind2_features(struct buf *out)
{
	buf_add_str(out, "<bind xmlns='" NS_BIND2 "'><inline>");
	for (size_t i = 0; i < COUNT(inlines); i++)
		buf_addf(out, "<feature var='%s'/>", inlines[i]);
	buf_add_str(out, "</inline></bind>");
}

/* The part of the resource that is ours. */
static void
id_of(const struct session *s, const char *agent, char id[ID_LEN + 1])
{
	const char *secret = s->edge->secret;
	char *text;
	uint8_t digest[32];

	if (agent == NULL) {
		crypto_random_text(id, ID_LEN);
		return;
	}
	xasprintf(
	    &text, "agent:%s@%s:%s", s->c2s->user, s->stream.domain, agent);
	crypto_hmac_sha256(secret, strlen(secret), text, strlen(text), digest);
	crypto_hex(digest, ID_LEN / 2, id);
	free(text);
}

/* "tag/id"; only the id if that can't be a resource. */
char *
bind2_resource(const struct session *s, const struct bind2 *bind)
{
	char id[ID_LEN + 1], *text, *resource = NULL;

	id_of(s, bind->agent, id);
	if (bind->tag != NULL && bind->tag[0] != '\0') {
		xasprintf(&text, "%s/%s", bind->tag, id);
		resource = jid_prep_resource(text);
		free(text);
	}
	return resource != NULL ? resource : xstrdup(id);
}

struct bind2 *
bind2_read(const struct xml *bind, const char *agent)
{
	struct bind2 *b = xcalloc(1, sizeof(*b));
	const struct xml *enable = xml_child(bind, "enable", NS_SM);
	const char *tag = xml_child_text(bind, "tag"), *max;

	b->tag = tag == NULL ? NULL : xstrdup(tag);
	b->agent = agent == NULL ? NULL : xstrdup(agent);
	b->flags = FRAME_BIND_INLINE;
	if (xml_child(bind, "enable", NS_CARBONS) != NULL)
		b->flags |= FRAME_BIND_CARBONS;
	b->inactive = xml_child(bind, "inactive", NS_CSI) != NULL;
	if (enable != NULL) {
		b->managed = true;
		b->resume = xml_is_true(xml_attr(enable, "resume"));
		max = xml_attr(enable, "max");
		b->max = max == NULL ? NULL : xstrdup(max);
	}
	return b;
}

void
bind2_begin(struct session *s, const struct bind2 *bind, struct buf *out)
{
	if (bind->managed)
		managed_enable(s, bind->resume, bind->max, out);
	if (bind->inactive)
		csi_set(s, false);
}

void
bind2_free(struct bind2 *b)
{
	if (b == NULL)
		return;
	free(b->tag);
	free(b->agent);
	free(b->max);
	free(b);
}
