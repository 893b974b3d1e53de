/*
 * Who is asked for which name: forward zones, local records and the system's
 * servers, as texts in normal form. Pure.
 */
#include "common/resolver_scope.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <ctype.h>
#include <idn2.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/resolver.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

void
resolver_texts_add(struct resolver_texts *list, const char *text)
{
	size_t size = strlen(text) + 1;
	struct resolver_text *t = xmalloc(sizeof(*t) + size);

	memcpy(t->text, text, size);
	STAILQ_INSERT_TAIL(list, t, entry);
}

void
resolver_texts_clear(struct resolver_texts *list)
{
	struct resolver_text *t;

	while ((t = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, entry);
		free(t);
	}
}

/* The length of a name without its last dot; 0 for the root. */
static size_t
resolver_name_len(const char *name, size_t len)
{
	return len > 0 && name[len - 1] == '.' ? len - 1 : len;
}

bool
resolver_name_equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
	a_len = resolver_name_len(a, a_len);
	b_len = resolver_name_len(b, b_len);
	return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

/* As it is asked for (RFC 5891); the caller frees; NULL if it is no name. */
char *
resolver_name_ascii(const char *name)
{
	u_char wire[NS_MAXCDNAME];
	uint8_t *ascii = NULL;
	const char *p;
	char *copy;

	for (p = name; (unsigned char)*p > ' ' && (unsigned char)*p < 0x7f;)
		p++;
	if (*p == '\0')
		copy = xstrdup(name);
	else if (idn2_lookup_u8((const uint8_t *)name, &ascii,
		     IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK)
		copy = xstrdup((const char *)ascii);
	else
		return NULL;
	idn2_free(ascii);
	if (copy[0] != '\0' && ns_name_pton(copy, wire, sizeof(wire)) >= 0)
		return copy;
	free(copy);
	return NULL;
}

/* Reads "address[:port]", "[address]:port"; writes its normal form. */
static int
resolver_make_address(const char *address, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN + 1], number[16];
	const char *end = strchr(address, ']'), *port = NULL;
	uint8_t bytes[16];
	uint64_t value = 53;
	bool ipv6 =
	    address[0] == '[' || strchr(address, ':') != strrchr(address, ':');
	size_t len = strlen(address);

	if (address[0] == '[' && end == NULL)
		return RES_INVALID;
	if (address[0] == '[') {
		len = (size_t)(end - ++address);
		port = end[1] == '\0' ? NULL : end + 1;
	} else if (!ipv6 && (port = strchr(address, ':')) != NULL)
		len = (size_t)(port - address);
	if (len >= sizeof(host) ||
	    (port != NULL &&
		(port[0] != ':' || !str_to_u64(port + 1, 1, 65535, &value))))
		return RES_INVALID;
	snprintf(host, sizeof(host), "%.*s", (int)len, address);
	if (inet_pton(ipv6 ? AF_INET6 : AF_INET, host, bytes) != 1)
		return RES_INVALID;
	inet_ntop(ipv6 ? AF_INET6 : AF_INET, bytes, host, sizeof(host));
	snprintf(number, sizeof(number), ":%u", (unsigned)value);
	if (value == 53)
		snprintf(out, size, "%s", host);
	else
		snprintf(out, size, ipv6 ? "[%s]%s" : "%s%s", host, number);
	return RES_OK;
}

char *
resolver_make_zone(const char *domain, const char *address, struct error *e)
{
	char server[RESOLVER_SERVER_SIZE], *zone = NULL;
	char *name = resolver_name_ascii(domain);

	if (name == NULL || strpbrk(name, " \"\\") != NULL) {
		error_set(e, RES_INVALID, "%s is not a domain", domain);
	} else if (resolver_make_address(address, server, sizeof(server)) !=
	    RES_OK) {
		error_set(e, RES_INVALID,
		    "%s is not the address of a DNS server "
		    "(address or address:port)",
		    address);
	} else {
		/* The root keeps its dot, other domains come without. */
		if (strlen(name) > 1 && str_ends(name, "."))
			name[strlen(name) - 1] = '\0';
		xasprintf(&zone, "%s %s", name, server);
		str_lower(zone);
	}
	free(name);
	return zone;
}

void
resolver_scope_init(struct resolver_scope *s)
{
	STAILQ_INIT(&s->zones);
	STAILQ_INIT(&s->records);
	STAILQ_INIT(&s->system);
}

void
resolver_scope_read_system(struct resolver_scope *s, char *text)
{
	char *line, *zone;

	resolver_texts_clear(&s->system);
	while (text != NULL && (line = strsep(&text, "\n")) != NULL) {
		line += strspn(line, " \t");
		if (!str_starts(line, "nameserver") ||
		    !isblank((unsigned char)line[10]))
			continue;
		line += 10 + strspn(line + 10, " \t");
		line[strcspn(line, " \t\r#;")] = '\0';
		zone = resolver_make_zone(".", line, NULL);
		if (zone != NULL)
			resolver_texts_add(&s->system, zone);
		free(zone);
	}
}

/* Which zones hold for everything that no other zone covers. */
static const struct resolver_texts *
resolver_scope_defaults(const struct resolver_scope *s)
{
	const struct resolver_text *t;

	STAILQ_FOREACH(t, &s->zones, entry)
		if (str_starts(t->text, ". "))
			return &s->zones;
	return &s->system;
}

/* The library writes the port behind an at sign, and no brackets. */
static void
resolver_add_server(struct buf *out, const char *address)
{
	const char *end = strchr(address, ']');

	if (address[0] == '[' && end != NULL)
		buf_addf(out, "  forward-addr: %.*s@%s\n",
		    (int)(end - address - 1), address + 1, end + 2);
	else if (strchr(address, ':') == strrchr(address, ':'))
		buf_addf(out, "  forward-addr: %.*s%s%s\n",
		    (int)strcspn(address, ":"), address,
		    strchr(address, ':') != NULL ? "@" : "",
		    strchr(address, ':') != NULL ? strchr(address, ':') + 1
						 : "");
	else
		buf_addf(out, "  forward-addr: %s\n", address);
}

/* One clause a domain, with all its servers: of the root, or all others. */
static void
resolver_add_clauses(
    struct buf *out, const struct resolver_texts *zones, bool root)
{
	const struct resolver_text *t, *other;

	STAILQ_FOREACH(t, zones, entry) {
		size_t len = strcspn(t->text, " ") + 1;

		STAILQ_FOREACH(other, zones, entry)
			if (strncmp(other->text, t->text, len) == 0)
				break;
		if (other != t || str_starts(t->text, ". ") != root)
			continue;
		buf_addf(out, "forward-zone:\n  name: \"%.*s\"\n", (int)len - 1,
		    t->text);
		STAILQ_FOREACH(other, zones, entry)
			if (strncmp(other->text, t->text, len) == 0)
				resolver_add_server(out, other->text + len);
	}
}

void
resolver_scope_clauses(const struct resolver_scope *s, struct buf *out)
{
	resolver_add_clauses(out, &s->zones, false);
	resolver_add_clauses(out, resolver_scope_defaults(s), true);
}

/* What the library would let pass in a word of data: numbers too large. */
static bool
resolver_is_data(unsigned words, unsigned at, const char *word)
{
	uint64_t number;

	return words == 1 || at == 3 || str_to_u64(word, 0, 65535, &number);
}

/* The types that are looked up here, and how many words their data has. */
static const struct resolver_form {
	const char *type;
	unsigned words;
} resolver_forms[] = { { "A", 1 }, { "AAAA", 1 }, { "SRV", 4 } };

static const struct resolver_form *
resolver_form(const char *type)
{
	for (size_t i = 0; i < 3; i++)
		if (strcasecmp(type, resolver_forms[i].type) == 0)
			return &resolver_forms[i];
	return NULL;
}

/*
 * "name. [TTL] in type data", single blanks, lower case; NULL where it isn't
 * of that shape.
 */
char *
resolver_tidy(char *text)
{
	const struct resolver_form *form = NULL;
	struct buf out = { 0 };
	unsigned seen = 0; /* words of data */
	bool fits = true;
	uint64_t ttl;
	char *word;

	str_lower(text);
	while (fits && (word = strsep(&text, " \t\r\n")) != NULL) {
		if (*word == '\0')
			continue;
		if (out.len == 0) {
			buf_addf(
			    &out, "%s%s", word, str_ends(word, ".") ? "" : ".");
		} else if (form != NULL) {
			fits = resolver_is_data(form->words, seen++, word);
			buf_addf(&out, " %s", word);
		} else if (str_to_u64(word, 0, INT32_MAX, &ttl)) {
			buf_addf(&out, " %s", word);
		} else if (strcmp(word, "in") != 0) {
			form = resolver_form(word);
			fits = form != NULL;
			buf_addf(&out, " IN %s", fits ? form->type : "");
		}
	}
	if (fits && form != NULL && seen == form->words) {
		if (form->words > 1 && !str_ends(buf_str(&out), "."))
			buf_add_str(&out, ".");
		return buf_steal_str(&out);
	}
	buf_clear(&out);
	return NULL;
}

bool
resolver_scope_has_record(const struct resolver_scope *s, const char *name)
{
	const struct resolver_text *t;

	if (resolver_name_equal(name, strlen(name), "localhost", 9))
		return true;
	STAILQ_FOREACH(t, &s->records, entry)
		if (resolver_name_equal(
			name, strlen(name), t->text, strcspn(t->text, " ")))
			return true;
	return false;
}

/* How many bytes of a zone's domain fit the end of a name; -1: none. */
static int
resolver_match(const char *zone, const char *name)
{
	size_t len = strcspn(zone, " ");
	size_t name_len = resolver_name_len(name, strlen(name));

	if (len == 1 && zone[0] == '.')
		return 0;
	if (len > name_len ||
	    strncasecmp(name + name_len - len, zone, len) != 0 ||
	    (len < name_len && name[name_len - len - 1] != '.'))
		return -1;
	return (int)len;
}

void
resolver_scope_servers(
    const struct resolver_scope *s, const char *name, struct buf *out)
{
	const struct resolver_texts *lists[] = { &s->zones,
		resolver_scope_defaults(s) };
	const struct resolver_text *t;
	int best = -1;

	for (size_t i = 0; i < 2; i++)
		STAILQ_FOREACH(t, lists[i], entry)
			if (resolver_match(t->text, name) > best)
				best = resolver_match(t->text, name);
	if (best < 0)
		return;
	STAILQ_FOREACH(t, lists[best > 0 ? 0 : 1], entry)
		if (resolver_match(t->text, name) == best) {
			buf_add_str(out, out->len > 0 ? ", " : "");
			buf_add_str(out, strchr(t->text, ' ') + 1);
		}
}
