/*
 * Results of the daemons in their documented layouts.
 */
#include "mmp/print.h"

#include <string.h>

#include "common/clock.h"
#include "common/strutil.h"
#include "mmp/mmp.h"

void
print_text(FILE *out, const char *text)
{
	/* A daemon of another version may leave something out. */
	for (; text != NULL && *text != '\0'; text++)
		fputc(
		    (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text,
		    out);
}

void
print_failure(FILE *out, const char *text)
{
	fflush(stdout);
	fputs("FAILURE: ", out);
	print_text(out, text);
	fputc('\n', out);
	fflush(out);
}

bool
print_checks(FILE *out, const json_t *checks)
{
	const json_t *check;
	const char *text;
	bool all = true, ok;
	size_t i;

	json_array_foreach(checks, i, check) {
		ok = json_is_true(json_object_get(check, "ok"));
		text = json_string_value(json_object_get(check, "text"));
		all = all && ok;
		if (out == NULL)
			continue;
		fputs(ok ? "SUCCESS: " : "FAILURE: ", out);
		print_text(out, text != NULL ? text : "");
		fputc('\n', out);
	}
	return all;
}

void
print_json(FILE *out, const json_t *result)
{
	if (result == NULL)
		fputs("{}", out);
	else
		json_dumpf(result, out, JSON_COMPACT);
	fputc('\n', out);
}

/* ---- pieces of layouts ------------------------------------------------- */

static const char *
text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool
is_set(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* How a value is shown. */
enum field_kind {
	FIELD_TEXT,  /* "none" if it isn't set */
	FIELD_BOOL,  /* true or false */
	FIELD_LIST,  /* texts, with blanks between */
	FIELD_LIMIT, /* a number, or "unlimited" */
	FIELD_NUMBER,
	FIELD_TIME,
	FIELD_SECRET /* "set" or "none" */
};

struct field {
	const char *label, *key;
	enum field_kind kind;
};

static void
print_time(FILE *out, const json_t *when)
{
	char stamp[32];

	clock_stamp(json_integer_value(when), stamp);
	fputs(stamp, out);
}

static void
print_list(FILE *out, const json_t *list)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		fputs(i == 0 ? "" : " ", out);
		print_text(out, json_string_value(one));
	}
	if (json_array_size(list) == 0)
		fputs("none", out);
}

static void
print_value(FILE *out, const json_t *value, enum field_kind kind)
{
	const char *text = json_string_value(value);
	long long number = json_integer_value(value);

	switch (kind) {
	case FIELD_TEXT:
		print_text(out, text != NULL ? text : "none");
		break;
	case FIELD_BOOL:
		fputs(json_is_true(value) ? "true" : "false", out);
		break;
	case FIELD_LIST:
		print_list(out, value);
		break;
	case FIELD_LIMIT:
		if (!json_is_integer(value)) {
			fputs("unlimited", out);
			break;
		}
		fprintf(out, "%lld", number);
		break;
	case FIELD_NUMBER:
		fprintf(out, "%lld", number);
		break;
	case FIELD_TIME:
		print_time(out, value);
		break;
	case FIELD_SECRET:
		fputs(json_is_true(value) ? "set" : "none", out);
		break;
	}
}

/* One "label : value" a line; labels are padded to `width`. */
static void
print_fields(FILE *out, const json_t *object, const struct field *fields,
    size_t count, int width)
{
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "%-*s: ", width, fields[i].label);
		print_value(out, json_object_get(object, fields[i].key),
		    fields[i].kind);
		fputc('\n', out);
	}
}

#define PRINT_FIELDS(out, object, fields, width)                               \
	print_fields(                                                          \
	    out, object, fields, sizeof(fields) / sizeof((fields)[0]), width)

/* ---- xmpp -------------------------------------------------------------- */

static const struct field xmpp_fields[] = {
	{ "Enabled", "enabled", FIELD_BOOL },
	{ "Clustered", "clustered", FIELD_BOOL },
	{ "Domain", "domain", FIELD_TEXT },
	{ "Listening interfaces", "listen", FIELD_LIST },
	{ "WebSocket interfaces", "websocket", FIELD_LIST },
	{ "Key file", "key_file", FIELD_TEXT },
	{ "Certificate file", "certificate_file", FIELD_TEXT },
	{ "CA Bundle file", "bundle_file", FIELD_TEXT },
	{ "Max sessions per user", "max_sessions", FIELD_LIMIT },
	{ "STATUS", "status", FIELD_TEXT },
};

static const struct field xmpp_detail[] = {
	{ "Cluster trust bundle", "trust_file", FIELD_TEXT },
	{ "Plaintext components", "plaintext_components", FIELD_BOOL },
	{ "Uptime in seconds", "uptime", FIELD_NUMBER },
};

static void
print_lines(FILE *out, const char *label, const json_t *lines)
{
	const json_t *line;
	size_t i;

	json_array_foreach(lines, i, line) {
		fputs(label, out);
		print_text(out, json_string_value(line));
		fputc('\n', out);
	}
}

static void
print_xmpp(FILE *out, const json_t *result)
{
	PRINT_FIELDS(out, result, xmpp_fields, 24);
	if (is_set(result, "detail"))
		PRINT_FIELDS(out, result, xmpp_detail, 24);
	print_lines(out,
	    "ALARM                   : ", json_object_get(result, "alarms"));
}

static const struct field callbridge_fields[] = {
	{ "Callbridge", "name", FIELD_TEXT },
	{ "Domain", "domain", FIELD_TEXT },
	{ "Secret", "secret", FIELD_TEXT },
};

static const struct field callbridge_digest[] = {
	{ "Callbridge", "name", FIELD_TEXT },
	{ "Domain", "domain", FIELD_TEXT },
	{ "Digest", "digest", FIELD_TEXT },
};

static void
print_callbridge_added(FILE *out, const json_t *result)
{
	fputs("Success     : true\n", out);
	PRINT_FIELDS(out, result, callbridge_fields, 12);
}

/* From which address to this server, or to which other one. */
static void
print_connected(FILE *out, const json_t *one)
{
	const char *from = text_of(one, "connected");
	const char *server = text_of(one, "server");

	fputs("Connected   : ", out);
	if (from == NULL && server != NULL)
		fputs("through ", out);
	print_text(out, from != NULL ? from : server != NULL ? server : "none");
	fputc('\n', out);
}

static void
print_callbridges(FILE *out, const json_t *result)
{
	const json_t *list = json_object_get(result, "callbridges"), *one;
	bool detail = is_set(result, "detail");
	size_t i;

	json_array_foreach(list, i, one) {
		fputs("***\n", out);
		if (text_of(one, "secret") != NULL)
			PRINT_FIELDS(out, one, callbridge_fields, 12);
		else
			PRINT_FIELDS(out, one, callbridge_digest, 12);
		if (detail)
			print_connected(out, one);
	}
	if (json_array_size(list) == 0)
		fputs("no Call Bridges\n", out);
}

static const struct field domain_fields[] = {
	{ "Domain", "domain", FIELD_TEXT },
	{ "Key file", "key_file", FIELD_TEXT },
	{ "Certificate file", "certificate_file", FIELD_TEXT },
	{ "Bundle file", "bundle_file", FIELD_TEXT },
	{ "Accounts", "accounts", FIELD_NUMBER },
};

static void
print_domains(FILE *out, const json_t *result)
{
	const json_t *list = json_object_get(result, "domains"), *one;
	size_t i;

	json_array_foreach(list, i, one) {
		fputs("***\n", out);
		PRINT_FIELDS(out, one, domain_fields, 17);
	}
	if (json_array_size(list) == 0)
		fputs("no further domains\n", out);
}

static void
print_users(FILE *out, const json_t *result)
{
	const json_t *list = json_object_get(result, "users"), *one;
	size_t i;

	json_array_foreach(list, i, one) {
		print_text(out, text_of(one, "address"));
		fputc('\n', out);
	}
	if (json_array_size(list) == 0)
		fputs("no accounts\n", out);
}

static void
print_span(FILE *out, json_int_t seconds)
{
	if (seconds < 120)
		fprintf(out, "%llds", (long long)seconds);
	else if (seconds < 7200)
		fprintf(out, "%lldm", (long long)seconds / 60);
	else
		fprintf(out, "%lldh", (long long)seconds / 3600);
}

static void
print_session(FILE *out, const json_t *one)
{
	const char *server = text_of(one, "server");

	print_text(out, text_of(one, "address"));
	fputs(" from ", out);
	print_text(out, text_of(one, "peer"));
	if (server != NULL) {
		fputs(" on ", out);
		print_text(out, server);
	}
	fputs(is_set(one, "detached") ? " (connection lost)" : "", out);
	fputs(" since ", out);
	print_time(out, json_object_get(one, "since"));
	fputs(" idle ", out);
	print_span(out, json_integer_value(json_object_get(one, "idle")));
	fputc('\n', out);
}

static void
print_sessions(FILE *out, const json_t *result)
{
	const json_t *list = json_object_get(result, "sessions"), *one;
	const json_t *missing = json_object_get(result, "missing");
	json_int_t left =
	    json_integer_value(json_object_get(result, "left_out"));
	size_t i;

	json_array_foreach(list, i, one)
		print_session(out, one);
	if (json_array_size(list) == 0)
		fputs("no sessions\n", out);
	if (left > 0)
		fprintf(out, "and %lld more: name a user to see them\n",
		    (long long)left);
	json_array_foreach(missing, i, one) {
		fputs("no answer from ", out);
		print_text(out, json_string_value(one));
		fputs(": its sessions are not shown\n", out);
	}
}

static const struct field stats_fields[] = {
	{ "Uptime in seconds", "uptime", FIELD_NUMBER },
	{ "Memory in bytes", "memory", FIELD_NUMBER },
	{ "Edges", "edges", FIELD_NUMBER },
	{ "Connections", "connections", FIELD_NUMBER },
	{ "Sessions", "sessions", FIELD_NUMBER },
	{ "Logins", "logins", FIELD_NUMBER },
	{ "Wrong passwords", "failures", FIELD_NUMBER },
	{ "Stanzas received", "stanzas_in", FIELD_NUMBER },
	{ "Stanzas sent", "stanzas_out", FIELD_NUMBER },
	{ "Bytes received", "bytes_in", FIELD_NUMBER },
	{ "Bytes sent", "bytes_out", FIELD_NUMBER },
};

static const struct field stats_shared[] = {
	{ "Sessions", "all_sessions", FIELD_NUMBER },
	{ "Accounts", "accounts", FIELD_NUMBER },
	{ "Messages waiting", "stored", FIELD_NUMBER },
	{ "Messages archived", "archived", FIELD_NUMBER },
};

static void
print_stats(FILE *out, const json_t *result)
{
	fputs("This server\n", out);
	PRINT_FIELDS(out, result, stats_fields, 18);
	fputs("All servers\n", out);
	PRINT_FIELDS(out, result, stats_shared, 18);
}

static void
print_limits(FILE *out, const json_t *result)
{
	const json_t *list = json_object_get(result, "limits"), *one;
	const char *unit;
	json_int_t value;
	size_t i;

	json_array_foreach(list, i, one) {
		value = json_integer_value(json_object_get(one, "value"));
		unit = text_of(one, "unit");
		fprintf(out, "%-14s: %lld%s%s", text_of(one, "name"),
		    (long long)value, *unit == '\0' ? "" : " ", unit);
		if (value != json_integer_value(json_object_get(one, "usual")))
			fputs(" (changed)", out);
		fprintf(out, ", %s\n", text_of(one, "help"));
	}
}

static void
print_motd(FILE *out, const json_t *result)
{
	const char *text = text_of(result, "text");

	print_text(out, text != NULL ? text : "no message of the day");
	fputc('\n', out);
}

static void
print_contacts(FILE *out, const json_t *result)
{
	const json_t *list = json_object_get(result, "contacts"), *one, *uri;
	size_t i, k;

	if (json_array_size(list) == 0)
		fputs("no contact addresses\n", out);
	json_array_foreach(list, i, one) {
		fprintf(out, "%-14s:", text_of(one, "role"));
		json_array_foreach(json_object_get(one, "addresses"), k, uri) {
			fputc(' ', out);
			print_text(out, json_string_value(uri));
		}
		fputc('\n', out);
	}
}

static void
print_admins(FILE *out, const json_t *result)
{
	const json_t *list = json_object_get(result, "admins"), *one;
	size_t i;

	if (json_array_size(list) == 0)
		fputs("nobody administers the service by XMPP\n", out);
	json_array_foreach(list, i, one) {
		print_text(out, json_string_value(one));
		fputc('\n', out);
	}
}

static const struct field push_fields[] = {
	{ "App servers are told", "summary", FIELD_TEXT },
};

static void
print_push(FILE *out, const json_t *result)
{
	PRINT_FIELDS(out, result, push_fields, 21);
}

static const struct field archive_fields[] = {
	{ "Archived", "usual", FIELD_TEXT },
	{ "Days kept", "days", FIELD_LIMIT },
	{ "Bytes of a user", "limit", FIELD_NUMBER },
	{ "Messages", "messages", FIELD_NUMBER },
};

static void
print_archive(FILE *out, const json_t *result)
{
	PRINT_FIELDS(out, result, archive_fields, 18);
}

/* ---- xmpp cluster ------------------------------------------------------ */

static void
print_peer(FILE *out, const json_t *peer, bool detail)
{
	const char *host = text_of(peer, "host");
	const json_t *since = json_object_get(peer, "since");

	print_text(out, text_of(peer, "address"));
	if (is_set(peer, "leader"))
		fputs(" (Leader)", out);
	if (detail && is_set(peer, "me"))
		fputs(" (me)", out);
	if (detail && host != NULL) {
		fputs(" ", out);
		print_text(out, host);
	}
	if (detail && !is_set(peer, "me")) {
		fputs(
		    is_set(peer, "reachable") ? " Connected" : " Not reachable",
		    out);
		if (json_is_integer(since)) {
			fputs(" since ", out);
			print_time(out, since);
		}
	}
	fputc('\n', out);
}

static const struct field cluster_detail[] = {
	{ "Trust bundle", "trust_file", FIELD_TEXT },
	{ "Hold in seconds", "hold", FIELD_NUMBER },
	{ "Term", "term", FIELD_NUMBER },
	{ "Applied", "applied", FIELD_NUMBER },
	{ "Stored in bytes", "stored", FIELD_NUMBER },
	{ "Last command", "last_command", FIELD_TEXT },
};

static void
print_cluster(FILE *out, const json_t *result)
{
	const json_t *peers = json_object_get(result, "peers"), *peer;
	const char *state = text_of(result, "state");
	const json_t *since = json_object_get(result, "since");
	bool detail = is_set(result, "detail");
	bool lost = str_equal(state, "NO LEADER");
	size_t i;

	fprintf(out, "State: %s\n", state != NULL ? state : "unknown");
	if ((lost || detail) && json_is_integer(since)) {
		fputs("Since: ", out);
		print_time(out, since);
		fputc('\n', out);
	}
	if (text_of(result, "reason") != NULL) {
		fputs("Reason: ", out);
		print_text(out, text_of(result, "reason"));
		fputc('\n', out);
	}
	if (json_array_size(peers) > 0)
		fputs(lost ? "This server\n" : "List of peers\n", out);
	json_array_foreach(peers, i, peer)
		print_peer(out, peer, detail);
	if (detail)
		PRINT_FIELDS(out, result, cluster_detail, 16);
	print_lines(out, "", json_object_get(result, "advice"));
}

/* ---- callbridge, dns --------------------------------------------------- */

static const struct field bridge_fields[] = {
	{ "XMPP name", "name", FIELD_TEXT },
	{ "XMPP domain", "domain", FIELD_TEXT },
	{ "XMPP server", "server", FIELD_TEXT },
	{ "XMPP shared secret", "secret_set", FIELD_SECRET },
	{ "XMPP trusted certs", "trust_file", FIELD_TEXT },
};

static void
print_bridge(FILE *out, const json_t *result)
{
	PRINT_FIELDS(out, result, bridge_fields, 22);
}

static void
print_part(FILE *out, const char *before, const json_t *result, const char *key)
{
	const json_t *value = json_object_get(result, key);

	if (!json_is_string(value) && !json_is_integer(value))
		return;
	fputs(before, out);
	if (json_is_integer(value))
		print_time(out, value);
	else
		print_text(out, json_string_value(value));
}

/* All that is known of the connection, in one line. */
static void
print_bridge_status(FILE *out, const json_t *result)
{
	const char *state = text_of(result, "state");
	bool connected = str_equal(state, "connected");

	fprintf(out, "XMPP connection : %s", state != NULL ? state : "unknown");
	print_part(out,
	    connected || str_equal(state, "connecting") ? " to " : " at ",
	    result, "server");
	print_part(out, " ", result, "address");
	if (connected) {
		print_part(out, " as ", result, "name");
		print_part(out, ".", result, "domain");
	}
	print_part(out, " since ", result, "since");
	print_part(out, ": ", result, "reason");
	print_part(out, "; next: ", result, "next");
	print_part(out, " at ", result, "next_at");
	fputc('\n', out);
}

static void
print_dns(FILE *out, const json_t *result)
{
	const json_t *zones = json_object_get(result, "zones"), *zone;
	const json_t *records = json_object_get(result, "records");
	size_t i;

	fputs("Forward zones:\n", out);
	json_array_foreach(zones, i, zone) {
		print_text(out, text_of(zone, "zone"));
		fputs(" ", out);
		print_text(out, text_of(zone, "server"));
		fputc('\n', out);
	}
	fputs("Local records:\n", out);
	print_lines(out, "", records);
	fputs("Other names are asked of: ", out);
	print_list(out, json_object_get(result, "servers"));
	fputc('\n', out);
}

static void
print_lookup(FILE *out, const json_t *result)
{
	print_lines(out, "", json_object_get(result, "records"));
	print_part(out, "Answered by ", result, "server");
	if (text_of(result, "server") != NULL)
		fputc('\n', out);
}

const struct mmp_method daemon_methods[] = {
	{ "Xmpp.Show", NULL, print_xmpp },
	{ "Callbridge.Add", NULL, print_callbridge_added },
	{ "Callbridge.List", NULL, print_callbridges },
	{ "Domain.List", NULL, print_domains },
	{ "Limits.List", NULL, print_limits },
	{ "Archive.Show", NULL, print_archive },
	{ "Contact.List", NULL, print_contacts },
	{ "Admin.List", NULL, print_admins },
	{ "Push.Show", NULL, print_push },
	{ "Motd.Show", NULL, print_motd },
	{ "Stats.Show", NULL, print_stats },
	{ "Session.List", NULL, print_sessions },
	{ "User.List", NULL, print_users },
	{ "Cluster.Status", NULL, print_cluster },
	{ "Bridge.Show", NULL, print_bridge },
	{ "Bridge.Status", NULL, print_bridge_status },
	{ "Dns.Show", NULL, print_dns },
	{ "Dns.Lookup", NULL, print_lookup },
	{ NULL, NULL, NULL },
};
