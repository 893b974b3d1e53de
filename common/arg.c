/*
 * Argument types: their checks, what help says of them, what completes them.
 */
#include "common/arg.h"

#include <arpa/inet.h>

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "common/interfaces.h"
#include "common/limits.h"
#include "common/strutil.h"

#define NAME_MAX_LEN 63 /* a label (RFC 1035, 2.3.4) */
#define DOMAIN_MAX_LEN 253
#define ACCOUNT_MAX_LEN 256
#define FILE_NAME_MAX 200
#define TEXT_MAX_LEN 2048

static const char name_chars[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

static bool
has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

static int
check_text(const char *text, struct error *error)
{
	size_t len = strlen(text);

	if (len == 0)
		return error_set(error, RES_INVALID, "an empty text");
	if (len > TEXT_MAX_LEN)
		return error_set(error, RES_LIMIT, "longer than %d characters",
		    TEXT_MAX_LEN);
	if (has_control(text) || !str_is_utf8(text, len))
		return error_set(
		    error, RES_INVALID, "has characters that can't be shown");
	return 0;
}

/* One label of a domain name. Beyond ASCII: left to IDNA in the daemons. */
static bool
is_label(const char *p, size_t len, bool underscore)
{
	if (len == 0 || len > NAME_MAX_LEN || p[0] == '-' || p[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!(p[i] & 0x80) &&
		    (p[i] == '_' ? !underscore
				 : strchr(name_chars, p[i]) == NULL))
			return false;
	return true;
}

static bool
is_domain(const char *text, bool underscore)
{
	size_t len = strlen(text), step;

	/* One dot at the end is the root. */
	if (len > 1 && text[len - 1] == '.')
		len--;
	if (len == 0 || len > DOMAIN_MAX_LEN || !str_is_utf8(text, len))
		return false;
	for (;; text += step + 1, len -= step + 1) {
		const char *dot = memchr(text, '.', len);

		step = dot == NULL ? len : (size_t)(dot - text);
		if (!is_label(text, step, underscore))
			return false;
		if (dot == NULL)
			return true;
	}
}

/* "10", "10.1.1.1" */
static bool
is_numeric(const char *text)
{
	return strspn(text, "0123456789.") == strlen(text);
}

static int
check_domain(const char *text, struct error *error)
{
	/* Nobody's domain is an address (RFC 3696, 2). */
	if (!is_domain(text, false) || is_numeric(text))
		return error_set(error, RES_INVALID,
		    "not a domain name, such as example.com");
	return 0;
}

static int
check_dnsname(const char *text, struct error *error)
{
	if (!is_domain(text, true))
		return error_set(error, RES_INVALID,
		    "not a name, such as _xmpp-client._tcp.example.com");
	return 0;
}

static int
check_zone(const char *text, struct error *error)
{
	if (!str_equal(text, ".") && !is_domain(text, true))
		return error_set(
		    error, RES_INVALID, "neither a domain name nor '.'");
	return 0;
}

static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((*text & 0x80) != 0)
			return false;
	return true;
}

static int
check_hostname(const char *text, struct error *error)
{
	if (!is_domain(text, false) || !is_ascii(text) || str_ends(text, ".") ||
	    strlen(text) > NAME_MAX_LEN)
		return error_set(error, RES_INVALID,
		    "not a host name: up to %d letters, digits, - and .",
		    NAME_MAX_LEN);
	return 0;
}

static int
check_name(const char *text, struct error *error)
{
	size_t len = strlen(text);

	if (strchr(text, '.') != NULL)
		return error_set(error, RES_INVALID,
		    "give the name alone, without its domain");
	if (len == 0 || len > NAME_MAX_LEN || strspn(text, name_chars) != len ||
	    text[0] == '-' || strcasecmp(text, "none") == 0)
		return error_set(error, RES_INVALID,
		    "not a name: up to %d letters, digits, - and _",
		    NAME_MAX_LEN);
	return 0;
}

/* The local part of an address, or all of it; nodeprep is the daemon's (RFC
 * 6122, 2.3). */
static int
check_account(const char *text, struct error *error)
{
	const char *at = strchr(text, '@');
	size_t len = strlen(text);

	if (at != NULL && check_domain(at + 1, error) != 0)
		return RES_INVALID;
	if (at != NULL)
		len = (size_t)(at - text);
	if (len == 0 || len > ACCOUNT_MAX_LEN || !str_is_utf8(text, len) ||
	    has_control(text) || strpbrk(text, " \"&'/:<>") != NULL)
		return error_set(error, RES_INVALID,
		    "not the name of an account: no blanks, no \" & ' / : < >");
	return 0;
}

/* "host", "host:port", "address", "[address]:port" */
static bool
is_host_port(const char *text, bool *numeric)
{
	char host[DOMAIN_MAX_LEN + 3];
	const char *port = NULL, *end;
	struct in6_addr out;
	uint64_t value;

	*numeric = true;
	if (inet_pton(AF_INET6, text, &out) == 1)
		return true;
	if (*text == '[') {
		text++;
		end = strchr(text, ']');
		if (end == NULL || (end[1] != ':' && end[1] != '\0'))
			return false;
		port = end[1] == ':' ? end + 2 : NULL;
	} else {
		end = text + strcspn(text, ":");
		port = *end == ':' ? end + 1 : NULL;
	}
	if ((size_t)(end - text) >= sizeof(host))
		return false;
	memcpy(host, text, (size_t)(end - text));
	host[end - text] = '\0';
	if (port != NULL && !str_to_u64(port, 1, 65535, &value))
		return false;
	if (end[0] == ']')
		return inet_pton(AF_INET6, host, &out) == 1;
	if (is_numeric(host))
		return inet_pton(AF_INET, host, &out) == 1;
	*numeric = false;
	return is_domain(host, false);
}

static int
check_ip(const char *text, struct error *error)
{
	bool numeric;

	if (!is_host_port(text, &numeric) || !numeric)
		return error_set(error, RES_INVALID,
		    "not an IP address, with or without ':port'");
	return 0;
}

static int
check_host_port(const char *text, struct error *error)
{
	bool numeric;

	if (!is_host_port(text, &numeric) || strcasecmp(text, "none") == 0)
		return error_set(error, RES_INVALID,
		    "not an address or host name, with or without ':port'");
	return 0;
}

static int
check_listen(const char *text, struct error *error)
{
	struct listen_spec spec;

	return listen_spec_parse(text, &spec, error);
}

static int
check_websocket(const char *text, struct error *error)
{
	struct listen_spec spec;

	return websocket_spec_parse(text, &spec, error);
}

static const char *const interface_words[] = { "a", "b", "c", "d", "lo", NULL };

static int
check_interface(const char *text, struct error *error)
{
	for (size_t i = 0; interface_words[i] != NULL; i++)
		if (strcasecmp(text, interface_words[i]) == 0)
			return 0;
	return error_set(
	    error, RES_INVALID, "not an interface (a, b, c, d or lo)");
}

/* A name that a file of the pki folder can have. */
static int
check_file(const char *text, struct error *error)
{
	size_t len = strlen(text);

	if (len == 0 || len > FILE_NAME_MAX || text[0] == '.' ||
	    strchr(text, '/') != NULL || has_control(text) ||
	    !str_is_utf8(text, len))
		return error_set(error, RES_INVALID,
		    "not the name of a file in the pki folder");
	return 0;
}

static int
check_basename(const char *text, struct error *error)
{
	size_t len = strlen(text);

	if (len == 0 || len > FILE_NAME_MAX ||
	    strspn(text, name_chars) != len || text[0] == '-')
		return error_set(error, RES_INVALID,
		    "not a base name: letters, digits, - and _, no ending");
	return 0;
}

static const char *const attribute_words[] = { "CN:", "OU:", "O:", "L:", "ST:",
	"C:", "emailAddress:", "subjectAltName:", "key:", "days:", NULL };

static int
check_attribute(const char *text, struct error *error)
{
	size_t len;

	for (size_t i = 0; attribute_words[i] != NULL; i++) {
		len = strlen(attribute_words[i]);
		if (strncasecmp(text, attribute_words[i], len) != 0)
			continue;
		if (text[len] == '\0')
			return error_set(error, RES_INVALID,
			    "the value after the colon is missing");
		return check_text(text, error);
	}
	return error_set(error, RES_INVALID,
	    "not an attribute: CN: OU: O: L: ST: C: emailAddress: "
	    "subjectAltName: key: days:, each with its value");
}

static int
check_limit(const char *text, struct error *error)
{
	if (limit_find(text) != LIMITS)
		return 0;
	return error_set(error, RES_INVALID,
	    "not a limit: 'xmpp limits' shows those that there are");
}

/* What it means is the limit's to say. */
static int
check_amount(const char *text, struct error *error)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 19 ||
	    (text[digits] != '\0' &&
		(strchr("kKMG", text[digits]) == NULL ||
		    text[digits + 1] != '\0')))
		return error_set(error, RES_INVALID,
		    "not a number: digits, and k, M or G if need be");
	return 0;
}

static int
check_setting(const char *text, struct error *error)
{
	return strcasecmp(text, "default") == 0 ? 0 : check_amount(text, error);
}

static int
check_seconds(const char *text, struct error *error)
{
	uint64_t value;

	if (!str_to_u64(text, 1, 60, &value))
		return error_set(
		    error, RES_INVALID, "not a number from 1 to 60");
	return 0;
}

static const char *const rrtype_words[] = { "a", "aaaa", "srv", NULL };

/* XEP-0157, 5. */
static const char *const role_words[] = { "abuse", "admin", "feedback", "sales",
	"security", "status", "support", NULL };

static int
check_role(const char *text, struct error *error)
{
	for (size_t i = 0; role_words[i] != NULL; i++)
		if (strcmp(text, role_words[i]) == 0)
			return 0;
	return error_set(error, RES_INVALID,
	    "not one of abuse, admin, feedback, sales, security, status, "
	    "support");
}

static int
check_rrtype(const char *text, struct error *error)
{
	for (size_t i = 0; rrtype_words[i] != NULL; i++)
		if (strcasecmp(text, rrtype_words[i]) == 0)
			return 0;
	return error_set(error, RES_INVALID, "not a type: a, aaaa or srv");
}

static const char *const key_files[] = { ".key", ".pem", NULL };
static const char *const cert_files[] = { ".crt", ".cer", ".pem", ".der",
	NULL };
static const char *const csr_files[] = { ".csr", NULL };
static const char *const ca_files[] = { ".crt", NULL };

static const struct arg_source callbridge_names = { AT_XMPPD, "Callbridge.List",
	"callbridges", "name" };
static const struct arg_source user_names = { AT_XMPPD, "User.List", "users",
	"name" };
static const struct arg_source admin_names = { AT_XMPPD, "Admin.List", "admins",
	NULL };
static const struct arg_source domain_names = { AT_XMPPD, "Domain.List",
	"domains", "domain" };
static const struct arg_source session_names = { AT_XMPPD, "Session.List",
	"sessions", "address" };
static const char *const setting_words[] = { "default", NULL };
static const struct arg_source limit_names = { AT_XMPPD, "Limits.List",
	"limits", "name" };
static const struct arg_source member_names = { AT_XMPPD, "Cluster.Status",
	"peers", "address" };
static const struct arg_source zone_names = { AT_CALLBRIDGE, "Dns.Show",
	"zones", "zone" };
static const struct arg_source rr_names = { AT_CALLBRIDGE, "Dns.Show",
	"records", NULL };

/* clang-format off */
static const struct arg_type types[] = {
	{ .name = "account", .what = "name of an account; name@domain at a "
	  "further domain",
	  .check = check_account, },
	{ .name = "address", .what = "address or host name [:port]",
	  .check = check_host_port, },
	{ .name = "admin", .what = "name of an account",
	  .check = check_account, .source = &admin_names, },
	{ .name = "amount", .what = "number, also with k, M or G",
	  .check = check_amount, },
	{ .name = "attribute", .what = "CN:, OU:, O:, L:, ST:, C:, "
	  "emailAddress:, subjectAltName:, key: or days: with its value",
	  .check = check_attribute, .words = attribute_words, },
	{ .name = "basename", .what = "file name without an ending",
	  .check = check_basename, },
	{ .name = "bundle", .what = "file with certificates",
	  .kind = ARG_FILE, .check = check_file, .suffixes = cert_files, },
	{ .name = "ca", .what = "base name of a self-signed certificate",
	  .check = check_basename, .suffixes = ca_files, .strip = true, },
	{ .name = "callbridge", .what = "name of a Call Bridge",
	  .check = check_name, .source = &callbridge_names, },
	{ .name = "certificate", .what = "certificate file",
	  .kind = ARG_FILE, .check = check_file, .suffixes = cert_files, },
	{ .name = "csr", .what = "base name of a signing request",
	  .check = check_basename, .suffixes = csr_files, .strip = true, },
	{ .name = "dnsname", .what = "name to look up",
	  .check = check_dnsname, },
	{ .name = "domain", .what = "domain name", .check = check_domain, },
	{ .name = "file", .what = "file of the pki folder", .kind = ARG_FILE,
	  .check = check_file, },
	{ .name = "forwardzone", .what = "zone that is forwarded",
	  .check = check_zone, .source = &zone_names, },
	{ .name = "hostname", .what = "host name", .check = check_hostname, },
	{ .name = "interface", .what = "interface: a, b, c, d or lo",
	  .check = check_interface, .words = interface_words, },
	{ .name = "ip", .what = "IP address [:port]", .check = check_ip, },
	{ .name = "key", .what = "private key file", .kind = ARG_FILE,
	  .check = check_file, .suffixes = key_files, },
	{ .name = "limit", .what = "limit, as 'xmpp limits' shows it",
	  .check = check_limit, .source = &limit_names, },
	{ .name = "listen",
	  .what = "interface [:client port[:component port]]",
	  .check = check_listen, .words = interface_words, },
	{ .name = "member", .what = "server, as in the list of peers",
	  .check = check_host_port, .source = &member_names, },
	{ .name = "name", .what = "name without a domain",
	  .check = check_name, },
	{ .name = "record", .what = "record, as in a zone file",
	  .check = check_text, .joined = true, },
	{ .name = "role", .what = "abuse, admin, feedback, sales, security, "
	  "status or support", .check = check_role, .words = role_words, },
	{ .name = "rr", .what = "record, as 'dns' shows it",
	  .check = check_text, .joined = true, .source = &rr_names, },
	{ .name = "rrtype", .what = "type: a, aaaa or srv",
	  .check = check_rrtype, .words = rrtype_words, },
	{ .name = "seconds", .what = "seconds, 1 to 60", .kind = ARG_NUMBER,
	  .check = check_seconds, },
	{ .name = "served", .what = "further domain",
	  .check = check_domain, .source = &domain_names, },
	{ .name = "server", .what = "address or host name [:port]",
	  .check = check_host_port, },
	{ .name = "session", .what = "user, or address with its resource",
	  .check = check_text, .source = &session_names, },
	{ .name = "setting", .what = "number, also with k, M or G; or default",
	  .check = check_setting, .words = setting_words, },
	{ .name = "text", .what = "text", .check = check_text,
	  .joined = true, },
	{ .name = "topic", .what = "command, or 'cluster'",
	  .check = check_text, },
	{ .name = "uri", .what = "address, as mailto:help@example.com",
	  .check = check_text, },
	{ .name = "user", .what = "name of an account",
	  .check = check_account, .source = &user_names, },
	{ .name = "websocket", .what = "interface [:port]",
	  .check = check_websocket, .words = interface_words, },
	{ .name = "zone", .what = "domain, or . for everything",
	  .check = check_zone, },
};
/* clang-format on */

#define TYPES (sizeof(types) / sizeof(types[0]))

const struct arg_type *
arg_type_at(size_t n)
{
	return n < TYPES ? &types[n] : NULL;
}

const struct arg_type *
arg_type_find(const char *name)
{
	for (size_t i = 0; i < TYPES; i++)
		if (str_equal(types[i].name, name))
			return &types[i];
	return NULL;
}
