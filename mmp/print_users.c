/*
 * Domains, accounts, who is logged in, and what they are held to.
 */
#include "mmp/fields.h"

#include "mmp/mmp.h"
#include "mmp/print.h"

static const struct field domain_fields[] = {
	{ "Domain", "domain", FIELD_TEXT },
	{ "Key file", "key_file", FIELD_TEXT },
	{ "Certificate file", "certificate_file", FIELD_TEXT },
	{ "Bundle file", "bundle_file", FIELD_TEXT },
	{ "Accounts", "accounts", FIELD_NUMBER },
};

void
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

void
print_users(FILE *out, const json_t *result)
{
	const json_t *list = json_object_get(result, "users"), *one;
	size_t i;

	json_array_foreach(list, i, one) {
		print_text(out, field_text(one, "address"));
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
	const char *server = field_text(one, "server");

	print_text(out, field_text(one, "address"));
	fputs(" from ", out);
	print_text(out, field_text(one, "peer"));
	if (server != NULL) {
		fputs(" on ", out);
		print_text(out, server);
	}
	fputs(field_is_set(one, "detached") ? " (connection lost)" : "", out);
	fputs(" since ", out);
	field_time(out, json_object_get(one, "since"));
	fputs(" idle ", out);
	print_span(out, json_integer_value(json_object_get(one, "idle")));
	fputc('\n', out);
}

void
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

void
print_stats(FILE *out, const json_t *result)
{
	fputs("This server\n", out);
	PRINT_FIELDS(out, result, stats_fields, 18);
	fputs("All servers\n", out);
	PRINT_FIELDS(out, result, stats_shared, 18);
}

void
print_limits(FILE *out, const json_t *result)
{
	const json_t *list = json_object_get(result, "limits"), *one;
	const char *unit;
	json_int_t value;
	size_t i;

	json_array_foreach(list, i, one) {
		value = json_integer_value(json_object_get(one, "value"));
		unit = field_text(one, "unit");
		fprintf(out, "%-14s: %lld%s%s", field_text(one, "name"),
		    (long long)value, *unit == '\0' ? "" : " ", unit);
		if (value != json_integer_value(json_object_get(one, "usual")))
			fputs(" (changed)", out);
		fprintf(out, ", %s\n", field_text(one, "help"));
	}
}

void
print_motd(FILE *out, const json_t *result)
{
	const char *text = field_text(result, "text");

	print_text(out, text != NULL ? text : "no message of the day");
	fputc('\n', out);
}

void
print_contacts(FILE *out, const json_t *result)
{
	const json_t *list = json_object_get(result, "contacts"), *one, *uri;
	size_t i, k;

	if (json_array_size(list) == 0)
		fputs("no contact addresses\n", out);
	json_array_foreach(list, i, one) {
		fprintf(out, "%-14s:", field_text(one, "role"));
		json_array_foreach(json_object_get(one, "addresses"), k, uri) {
			fputc(' ', out);
			print_text(out, json_string_value(uri));
		}
		fputc('\n', out);
	}
}

void
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

void
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

void
print_archive(FILE *out, const json_t *result)
{
	PRINT_FIELDS(out, result, archive_fields, 18);
}
