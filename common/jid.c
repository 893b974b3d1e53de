/*
 * Addresses. Nearly all of them are plain ASCII and already prepared, so that
 * is tried first; what is left goes through stringprep and IDNA.
 */
#include "common/jid.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <idn2.h>
#include <stringprep.h>

#include "common/result.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

#define JID_PART_MAX 1023 /* bytes, RFC 7622, 3.1 */
#define DOMAIN_LABEL_MAX 63

static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

static bool
part_is_sized(const char *text)
{
	size_t len = strnlen(text, JID_PART_MAX + 1);

	return len >= 1 && len <= JID_PART_MAX;
}

/* Stringprep into new memory; NULL if the profile forbids it. */
static char *
prep_profile(const char *text, const Stringprep_profile *profile,
    Stringprep_profile_flags flags)
{
	char out[JID_PART_MAX + 1];

	if (!str_is_utf8(text, strlen(text)))
		return NULL;
	memcpy(out, text, strlen(text) + 1);
	if (stringprep(out, sizeof(out), flags, profile) != STRINGPREP_OK ||
	    out[0] == '\0')
		return NULL;
	return xstrdup(out);
}

char *
jid_prep_local(const char *text)
{
	char *out;

	if (!part_is_sized(text))
		return NULL;
	if (!is_ascii(text))
		return prep_profile(
		    text, stringprep_xmpp_nodeprep, STRINGPREP_NO_UNASSIGNED);
	/* RFC 6122, A.5: what nodeprep prohibits in ASCII. */
	for (const char *p = text; *p != '\0'; p++)
		if (*p <= ' ' || *p == 0x7f || strchr("\"&'/:<>@", *p) != NULL)
			return NULL;
	out = xstrdup(text);
	str_lower(out);
	return out;
}

char *
jid_prep_resource(const char *text)
{
	if (!part_is_sized(text))
		return NULL;
	/* RFC 7622, 3.4: any symbol may be in one, those too that Unicode 3.2
	 * didn't have (nicknames in rooms are resources). */
	if (!is_ascii(text))
		return prep_profile(text, stringprep_xmpp_resourceprep, 0);
	for (const char *p = text; *p != '\0'; p++)
		if (*p < ' ' || *p == 0x7f)
			return NULL;
	return xstrdup(text);
}

char *
jid_prep_password(const char *text, bool kept)
{
	if (!part_is_sized(text))
		return NULL;
	if (!is_ascii(text))
		return prep_profile(text, stringprep_saslprep,
		    kept ? STRINGPREP_NO_UNASSIGNED : 0);
	for (const char *p = text; *p != '\0'; p++)
		if (*p < ' ' || *p == 0x7f)
			return NULL;
	return xstrdup(text);
}

static bool
domain_is_ipv6(const char *text)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr addr;
	size_t len = strlen(text);

	if (len < 4 || len - 2 >= sizeof(address) || text[0] != '[' ||
	    text[len - 1] != ']')
		return false;
	memcpy(address, text + 1, len - 2);
	address[len - 2] = '\0';
	return inet_pton(AF_INET6, address, &addr) == 1;
}

/* Letters, digits and hyphens in labels of 1 to 63 (RFC 1035, 2.3.1). */
static bool
domain_is_ldh(const char *text)
{
	size_t label = 0;

	for (const char *p = text;; p++) {
		if (*p == '.' || *p == '\0') {
			if (label == 0 || label > DOMAIN_LABEL_MAX ||
			    p[-1] == '-')
				return false;
			if (*p == '\0')
				return true;
			label = 0;
			continue;
		}
		if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ||
			*p == '_' || (*p == '-' && label > 0)))
			return false;
		label++;
	}
}

/* Whether a label is an A-label (RFC 5890, 2.3.2.1), which goes on as the
 * U-label that it stands for. */
static bool
has_a_label(const char *text, size_t len)
{
	for (size_t i = 0; i + 4 <= len; i++)
		if ((i == 0 || text[i - 1] == '.') &&
		    strncasecmp(text + i, "xn--", 4) == 0)
			return true;
	return false;
}

static char *
domain_to_unicode(const char *text)
{
	char *ascii = NULL, *unicode = NULL, *again = NULL, *out = NULL;

	/* Through the A-label and back: the U-label in its one normal form. */
	if (!str_is_utf8(text, strlen(text)) ||
	    idn2_to_ascii_8z(text, &ascii, IDN2_NONTRANSITIONAL) != IDN2_OK)
		return NULL;
	/* It maps to ASCII as well: full-width '@', '/' and dots. An A-label is
	 * one only if its U-label gives it again (RFC 5891, 5.4). */
	if (domain_is_ldh(ascii) &&
	    idn2_to_unicode_8z8z(ascii, &unicode, 0) == IDN2_OK &&
	    part_is_sized(unicode) &&
	    idn2_to_ascii_8z(unicode, &again, IDN2_NONTRANSITIONAL) ==
		IDN2_OK &&
	    strcmp(again, ascii) == 0)
		out = xstrdup(unicode);
	idn2_free(ascii);
	idn2_free(unicode);
	idn2_free(again);
	return out;
}

char *
jid_prep_domain(const char *text)
{
	size_t len = strlen(text);
	char *copy, *out;

	if (!part_is_sized(text))
		return NULL;
	copy = xstrdup(text);
	/* RFC 7622, 3.2: a final dot is stripped. */
	if (len > 1 && copy[len - 1] == '.')
		copy[len - 1] = '\0';
	if (!is_ascii(copy) || has_a_label(copy, strlen(copy))) {
		out = domain_to_unicode(copy);
		free(copy);
		return out;
	}
	str_lower(copy);
	if (domain_is_ldh(copy) || domain_is_ipv6(copy))
		return copy;
	free(copy);
	return NULL;
}

static bool
is_small(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
local_is_prepared(const char *p, const char *end)
{
	for (; p < end; p++)
		if (!is_small(*p) && *p != '.' && *p != '-' && *p != '_')
			return false;
	return true;
}

static bool
domain_is_prepared(const char *p, const char *end)
{
	const char *start = p;
	size_t label = 0;

	for (; p < end; p++) {
		if (*p == '.') {
			if (label == 0 || p[-1] == '-')
				return false;
			label = 0;
			continue;
		}
		if ((!is_small(*p) && (*p != '-' || label == 0)) ||
		    ++label > DOMAIN_LABEL_MAX)
			return false;
	}
	return label > 0 && end[-1] != '-' &&
	    !has_a_label(start, (size_t)(end - start));
}

static bool
resource_is_prepared(const char *p, const char *end)
{
	if (p == end || end - p >= JID_PART_MAX)
		return false;
	for (; p < end; p++)
		if (*p < ' ' || *p >= 0x7f)
			return false;
	return true;
}

/* Whether the text is prepared as it stands; the usual case, no allocation. */
static bool
jid_is_prepared(const char *text, size_t len, struct jid *j)
{
	const char *at = memchr(text, '@', len);
	const char *slash = memchr(text, '/', len);
	const char *domain, *end = slash != NULL ? slash : text + len;

	if (at != NULL && slash != NULL && at > slash)
		at = NULL;
	if (at == text || (size_t)(end - text) > JID_PART_MAX)
		return false;
	domain = at != NULL ? at + 1 : text;
	if (!(at == NULL || local_is_prepared(text, at)) ||
	    !domain_is_prepared(domain, end) ||
	    !(slash == NULL || resource_is_prepared(slash + 1, text + len)))
		return false;
	j->local = at != NULL ? (size_t)(at - text) : 0;
	j->domain = (size_t)(domain - text);
	j->bare = (size_t)(end - text);
	j->len = len;
	return true;
}

/* Puts prepared parts together; local and resource may be NULL. */
static void
jid_join(
    struct jid *j, const char *local, const char *domain, const char *resource)
{
	j->local = local != NULL ? strlen(local) : 0;
	j->domain = local != NULL ? j->local + 1 : 0;
	j->bare = j->domain + strlen(domain);
	j->len = (size_t)xasprintf(&j->full, "%s%s%s%s%s",
	    local != NULL ? local : "", local != NULL ? "@" : "", domain,
	    resource != NULL ? "/" : "", resource != NULL ? resource : "");
}

int
jid_parse(const char *text, size_t len, struct jid *j)
{
	char *copy, *slash, *at, *local = NULL, *domain = NULL;
	char *resource = NULL;
	int rc = RES_INVALID;

	if (len == 0 || len > 3 * JID_PART_MAX + 2 ||
	    memchr(text, '\0', len) != NULL)
		return RES_INVALID;
	if (jid_is_prepared(text, len, j)) {
		j->full = xstrndup(text, len);
		return RES_OK;
	}
	/* RFC 7622, 3.1: resource first (first "/"), then local (first "@"). */
	copy = xstrndup(text, len);
	slash = strchr(copy, '/');
	if (slash != NULL) {
		*slash = '\0';
		resource = jid_prep_resource(slash + 1);
	}
	at = strchr(copy, '@');
	if (at != NULL) {
		*at = '\0';
		local = jid_prep_local(copy);
	}
	domain = jid_prep_domain(at != NULL ? at + 1 : copy);
	if (domain != NULL && (at == NULL || local != NULL) &&
	    (slash == NULL || resource != NULL)) {
		jid_join(j, local, domain, resource);
		rc = RES_OK;
	}
	free(copy);
	free(local);
	free(domain);
	free(resource);
	return rc;
}

void
jid_clear(struct jid *j)
{
	free(j->full);
	*j = (struct jid){ 0 };
}

char *
jid_bare(const struct jid *j)
{
	return xstrndup(j->full, j->bare);
}

char *
jid_local(const struct jid *j)
{
	return j->local == 0 ? NULL : xstrndup(j->full, j->local);
}

char *
jid_domain(const struct jid *j)
{
	return xstrndup(j->full + j->domain, j->bare - j->domain);
}

bool
jid_has_resource(const struct jid *j)
{
	return j->len > j->bare;
}

const char *
jid_resource(const struct jid *j)
{
	return jid_has_resource(j) ? j->full + j->bare + 1 : NULL;
}
