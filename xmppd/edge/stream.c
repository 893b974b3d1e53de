/*
 * The negotiation of a stream, as tables: which state may follow which, and
 * which element may come in which state.
 *
 *   client      OPENING PLAIN -starttls-> OPENING LOGIN -sasl-> OPENING
 *               UNBOUND -bind-> BINDING BOUND
 *   XEP-0388    LOGIN -sasl-> UNBOUND, or -sasl and bind-> BINDING BOUND
 *   direct TLS  begins at the second OPENING
 *   component   OPENING LOGIN -handshake-> BINDING BOUND
 *   resumption  BOUND -lost-> DETACHED, and another: UNBOUND BINDING BOUND
 */
#include "xmppd/edge/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/jid.h"
#include "common/log.h"
#include "common/xmalloc.h"

#define BIT(state) (1U << (state))
#define VERSION "1.0"
#define LANG_MAX 63

static const struct {
	const char *name;
	unsigned to; /* states that may follow */
} states[] = {
	[STREAM_OPENING] = { "opening",
	    BIT(STREAM_PLAIN) | BIT(STREAM_LOGIN) | BIT(STREAM_UNBOUND) |
		BIT(STREAM_CLOSED) },
	[STREAM_PLAIN] = { "plain", BIT(STREAM_OPENING) | BIT(STREAM_CLOSED) },
	[STREAM_LOGIN] = { "login",
	    BIT(STREAM_OPENING) | BIT(STREAM_UNBOUND) | BIT(STREAM_BINDING) |
		BIT(STREAM_CLOSED) },
	[STREAM_UNBOUND] = { "unbound",
	    BIT(STREAM_BINDING) | BIT(STREAM_CLOSED) },
	[STREAM_BINDING] = { "binding",
	    BIT(STREAM_BOUND) | BIT(STREAM_UNBOUND) | BIT(STREAM_CLOSED) },
	[STREAM_BOUND] = { "bound",
	    BIT(STREAM_DETACHED) | BIT(STREAM_ENDING) | BIT(STREAM_CLOSED) },
	[STREAM_DETACHED] = { "detached", BIT(STREAM_CLOSED) },
	[STREAM_ENDING] = { "ending", BIT(STREAM_CLOSED) },
	[STREAM_CLOSED] = { "closed", 0 },
};

/* Where each element may come (RFC 6120, 6.3.2: TLS before SASL; 7.1: nothing
 * before the bind). What else comes earns the error beside it. */
static const struct {
	unsigned in;
	enum stream_error error;
	const char *text;
} inputs[] = {
	[INPUT_STARTTLS] = { BIT(STREAM_PLAIN) | BIT(STREAM_LOGIN) |
		BIT(STREAM_UNBOUND),
	    STREAM_POLICY_VIOLATION, "not now" },
	[INPUT_AUTH] = { BIT(STREAM_PLAIN) | BIT(STREAM_LOGIN),
	    STREAM_POLICY_VIOLATION, "already logged in" },
	[INPUT_RESPONSE] = { BIT(STREAM_PLAIN) | BIT(STREAM_LOGIN),
	    STREAM_POLICY_VIOLATION, "already logged in" },
	[INPUT_ABORT] = { BIT(STREAM_PLAIN) | BIT(STREAM_LOGIN),
	    STREAM_POLICY_VIOLATION, "already logged in" },
	[INPUT_HANDSHAKE] = { BIT(STREAM_LOGIN), STREAM_POLICY_VIOLATION,
	    "already logged in" },
	[INPUT_STANZA] = { BIT(STREAM_UNBOUND) | BIT(STREAM_BOUND),
	    STREAM_NOT_AUTHORIZED, "log in and bind a resource first" },
	/* XEP-0198, 3: not before the login; before the bind it is answered. */
	[INPUT_MANAGEMENT] = { BIT(STREAM_UNBOUND) | BIT(STREAM_BINDING) |
		BIT(STREAM_BOUND),
	    STREAM_NOT_AUTHORIZED, "log in first" },
	[INPUT_ACTIVITY] = { BIT(STREAM_UNBOUND) | BIT(STREAM_BINDING) |
		BIT(STREAM_BOUND),
	    STREAM_NOT_AUTHORIZED, "log in first" },
	[INPUT_ERROR] = { ~0U, STREAM_ERROR_NONE, NULL },
	[INPUT_UNKNOWN] = { 0, STREAM_UNSUPPORTED_STANZA_TYPE, NULL },
};

void
stream_init(
    struct stream *s, const struct stream_domain *domains, bool component)
{
	memset(s, 0, sizeof(*s));
	s->domains = domains;
	s->domain = domains->name;
	s->component = component;
	if (!component)
		snprintf(s->version, sizeof(s->version), "%s", VERSION);
}

void
stream_clear(struct stream *s)
{
	free(s->lang);
	free(s->peer);
	s->lang = s->peer = NULL;
}

const char *
stream_state_name(enum stream_state state)
{
	return states[state].name;
}

void
stream_set_state(struct stream *s, enum stream_state to, const char *who)
{
	if ((states[s->state].to & BIT(to)) == 0)
		fatalx(
		    "stream: %s -> %s", states[s->state].name, states[to].name);
	log_debug("stream: %s: %s -> %s", who, states[s->state].name,
	    states[to].name);
	s->state = to;
	if (to == STREAM_OPENING)
		s->header_sent = false; /* a stream of its own */
}

/* ---- headers ----------------------------------------------------------- */

static void
header_write(struct stream *s, const char *from, struct buf *out)
{
	uint8_t random[16];

	crypto_random(random, sizeof(random));
	crypto_hex(random, sizeof(random), s->id);
	if (s->framed) {
		buf_add_str(out, "<open xmlns='" NS_FRAMING "'");
	} else {
		buf_add_str(out, "<?xml version='1.0'?><stream:stream");
		xml_add_attr(
		    out, "xmlns", s->component ? NS_COMPONENT : NS_CLIENT);
		xml_add_attr(out, "xmlns:stream", NS_STREAM);
	}
	xml_add_attr(out, "id", s->id);
	xml_add_attr(out, "from", from);
	xml_add_attr(out, "to", s->peer);
	if (s->version[0] != '\0')
		xml_add_attr(out, "version", s->version);
	if (!s->component)
		xml_add_attr(out, "xml:lang", "en");
	buf_add_str(out, s->framed ? "/>" : ">");
	s->header_sent = true;
}

/*
 * RFC 6120, 4.7.5: majors and minors are numbers; leading zeros don't count.
 * Ours is 1.0; the lower of both is answered, and to none, none. Before 1.0
 * there were no features, so no TLS: such a stream leads nowhere.
 */
static bool
version_settle(struct stream *s, const char *version)
{
	char *end;
	unsigned long minor;

	snprintf(s->version, sizeof(s->version), "%s", VERSION);
	if (version == NULL) {
		s->version[0] = '\0';
		return false;
	}
	end = strchr(version, '.');
	if (end == NULL || end == version || end[1] == '\0' ||
	    version[strspn(version, "0123456789.")] != '\0' ||
	    strchr(end + 1, '.') != NULL)
		return false;
	if (version + strspn(version, "0") < end)
		return true;
	minor = strtoul(end + 1, NULL, 10);
	if (minor < 100000)
		snprintf(s->version, sizeof(s->version), "0.%lu", minor);
	return false;
}

static struct stream_fault
fault_of(enum stream_error error, const char *text)
{
	return (struct stream_fault){ error, text };
}

/* RFC 6120, 4.8.1 and 4.8.2, and the slip of connecting to the wrong port. A
 * header without a content namespace is for those who name it each time. */
static struct stream_fault
namespaces_check(const struct stream *s, const struct xml_open *open)
{
	const char *ours = s->component ? NS_COMPONENT : NS_CLIENT;
	const char *other = s->component ? NS_CLIENT : NS_COMPONENT;

	if (strcmp(open->ns, NS_STREAM) != 0)
		return fault_of(STREAM_INVALID_NAMESPACE, "not an XMPP stream");
	if (strcmp(open->name, "stream") != 0)
		return fault_of(STREAM_BAD_FORMAT, "not an XMPP stream");
	if (open->content_ns != NULL && strcmp(open->content_ns, other) == 0)
		return fault_of(STREAM_INVALID_NAMESPACE,
		    s->component
			? "clients connect to the client port, 5222"
			: "components connect to the component port, 5223");
	if (open->content_ns != NULL && strcmp(open->content_ns, ours) != 0)
		return fault_of(STREAM_INVALID_NAMESPACE, NULL);
	return fault_of(STREAM_ERROR_NONE, NULL);
}

/* The domain that is asked for; NULL: it isn't served. Who has logged in stays
 * where that was. */
static const char *
domain_find(const struct stream *s, const char *name)
{
	const struct stream_domain *d;

	if (s->authenticated)
		return strcmp(name, s->domain) == 0 ? s->domain : NULL;
	for (d = s->domains; d != NULL; d = d->next)
		if (d->on && strcmp(name, d->name) == 0)
			return d->name;
	return NULL;
}

static struct stream_fault
to_check(struct stream *s, const struct xml_open *open)
{
	const char *found = NULL;
	char *domain;

	if (open->to == NULL)
		return fault_of(STREAM_IMPROPER_ADDRESSING, "'to' is missing");
	if (s->component)
		return fault_of(STREAM_ERROR_NONE, NULL);
	domain = jid_prep_domain(open->to);
	if (domain != NULL)
		found = domain_find(s, domain);
	free(domain);
	if (found == NULL)
		return fault_of(STREAM_HOST_UNKNOWN, NULL);
	s->domain = found;
	return fault_of(STREAM_ERROR_NONE, NULL);
}

/* The peer's address for our header (RFC 6120, 4.7.2); NULL if it is none. */
static char *
peer_address(const struct xml_open *open)
{
	struct jid jid;
	char *bare;

	if (open->from == NULL ||
	    jid_parse(open->from, strlen(open->from), &jid) != 0)
		return NULL;
	bare = jid_bare(&jid);
	jid_clear(&jid);
	return bare;
}

/* What xml:lang may be is written down elsewhere (BCP 47); what it can't be
 * isn't put on each stanza. */
static char *
lang_of(const char *lang)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-";
	size_t len = lang == NULL ? 0 : strspn(lang, chars);

	if (len == 0 || len > LANG_MAX || lang[len] != '\0')
		return NULL;
	return xstrdup(lang);
}

struct stream_fault
stream_header(struct stream *s, const struct xml_open *open,
    const char *component, struct buf *out)
{
	struct stream_fault f;
	bool known = true;

	s->header_sent = false;
	free(s->peer);
	free(s->lang);
	s->peer = s->lang = NULL;
	if (!s->component) {
		/* Also for the header before an error: RFC 6120, 4.7.2. */
		s->peer = peer_address(open);
		s->lang = lang_of(open->lang);
		known = version_settle(s, open->version);
	}
	f = namespaces_check(s, open);
	if (f.error == STREAM_ERROR_NONE)
		f = to_check(s, open);
	if (f.error != STREAM_ERROR_NONE)
		return f;
	header_write(s, s->component ? component : s->domain, out);
	if (!known)
		return fault_of(STREAM_UNSUPPORTED_VERSION, NULL);
	return f;
}

enum stream_state
stream_after_header(const struct stream *s)
{
	if (s->authenticated)
		return STREAM_UNBOUND;
	return s->secure ? STREAM_LOGIN : STREAM_PLAIN;
}

void
stream_features(const struct stream *s, const char *more, struct buf *out)
{
	buf_add_str(out, "<stream:features>");
	/* The session is of RFC 3921, where it had to be asked for. */
	if (s->authenticated && s->state != STREAM_BOUND)
		buf_add_str(out,
		    "<bind xmlns='" NS_BIND "'/>"
		    "<session xmlns='" NS_SESSION "'><optional/></session>");
	/* RFC 6121, 2.6.1 and 3.4 */
	if (s->authenticated)
		buf_add_str(out,
		    "<ver xmlns='urn:xmpp:features:rosterver'/>"
		    "<csi xmlns='" NS_CSI "'/>"
		    "<sub xmlns='urn:xmpp:features:pre-approval'/>");
	if (s->secure)
		buf_add_str(out, more);
	else
		buf_add_str(
		    out, "<starttls xmlns='" NS_TLS "'><required/></starttls>");
	buf_add_str(out, "</stream:features>");
}

/* ---- elements ---------------------------------------------------------- */

static const struct {
	const char *ns, *name;
	enum stream_input input;
} elements[] = {
	{ NS_TLS, "starttls", INPUT_STARTTLS },
	{ NS_SASL, "auth", INPUT_AUTH },
	{ NS_SASL, "response", INPUT_RESPONSE },
	{ NS_SASL, "abort", INPUT_ABORT },
	{ NS_SASL2, "authenticate", INPUT_AUTH },
	{ NS_SASL2, "response", INPUT_RESPONSE },
	{ NS_SASL2, "abort", INPUT_ABORT },
	{ NS_CSI, "active", INPUT_ACTIVITY },
	{ NS_CSI, "inactive", INPUT_ACTIVITY },
};

static const char *const management[] = { "enable", "resume", "r", "a" };

static bool
is_management(const struct xml_stanza *stanza)
{
	if (strcmp(stanza->ns, NS_SM) != 0)
		return false;
	for (size_t i = 0; i < sizeof(management) / sizeof(*management); i++)
		if (strcmp(stanza->name, management[i]) == 0)
			return true;
	return false;
}

static bool
is_stanza_name(const char *name)
{
	return strcmp(name, "message") == 0 || strcmp(name, "presence") == 0 ||
	    strcmp(name, "iq") == 0;
}

enum stream_input
stream_input(const struct stream *s, const struct xml_stanza *stanza)
{
	if (stanza->content_ns) {
		if (is_stanza_name(stanza->name))
			return INPUT_STANZA;
		if (s->component && strcmp(stanza->name, "handshake") == 0)
			return INPUT_HANDSHAKE;
		return INPUT_UNKNOWN;
	}
	if (strcmp(stanza->ns, NS_STREAM) == 0 &&
	    strcmp(stanza->name, "error") == 0)
		return INPUT_ERROR;
	if (is_management(stanza))
		return INPUT_MANAGEMENT;
	if (s->component)
		return INPUT_UNKNOWN;
	for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
		if (strcmp(stanza->name, elements[i].name) == 0 &&
		    strcmp(stanza->ns, elements[i].ns) == 0)
			return elements[i].input;
	return INPUT_UNKNOWN;
}

struct stream_fault
stream_allows(const struct stream *s, enum stream_input input)
{
	if ((inputs[input].in & BIT(s->state)) != 0)
		return fault_of(STREAM_ERROR_NONE, NULL);
	/* XEP-0114 knows no features: a component says with its handshake that
	 * it wants no session of its own. */
	if (input == INPUT_MANAGEMENT && s->component &&
	    s->state == STREAM_LOGIN)
		return fault_of(STREAM_ERROR_NONE, NULL);
	/* RFC 6120, 4.9.3.12: anything else before the login. */
	if (input == INPUT_UNKNOWN &&
	    (s->state == STREAM_PLAIN || s->state == STREAM_LOGIN))
		return fault_of(STREAM_NOT_AUTHORIZED, NULL);
	return fault_of(inputs[input].error, inputs[input].text);
}

/* ---- the end ----------------------------------------------------------- */

void
stream_write_end(struct stream *s, struct buf *out)
{
	if (!s->header_sent)
		header_write(s, s->domain, out);
	/* Strophe.js knows it in just this form. */
	buf_add_str(out,
	    s->framed ? "<close xmlns=\"" NS_FRAMING "\" />"
		      : "</stream:stream>");
}

void
stream_write_error(struct stream *s, struct stream_fault fault, struct buf *out)
{
	if (!s->header_sent)
		header_write(s, s->domain, out);
	buf_addf(out, "<stream:error><%s xmlns='" NS_STREAM_ERRORS "'/>",
	    stream_error_name(fault.error));
	if (fault.text != NULL) {
		buf_add_str(
		    out, "<text xmlns='" NS_STREAM_ERRORS "' xml:lang='en'>");
		xml_add_text(out, fault.text);
		buf_add_str(out, "</text>");
	}
	buf_add_str(out, "</stream:error>");
	stream_write_end(s, out);
}
