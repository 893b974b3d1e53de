/*
 * This node's Call Bridge, and its resolver.
 */
#include "mmp/fields.h"

#include "common/strutil.h"
#include "mmp/mmp.h"
#include "mmp/print.h"

/* ---- callbridge, dns --------------------------------------------------- */

static const struct field bridge_fields[] = {
	{ "XMPP name", "name", FIELD_TEXT },
	{ "XMPP domain", "domain", FIELD_TEXT },
	{ "XMPP server", "server", FIELD_TEXT },
	{ "XMPP shared secret", "secret_set", FIELD_SECRET },
	{ "XMPP trusted certs", "trust_file", FIELD_TEXT },
};

void
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
		field_time(out, value);
	else
		print_text(out, json_string_value(value));
}

/* All that is known of the connection, in one line. */
void
print_bridge_status(FILE *out, const json_t *result)
{
	const char *state = field_text(result, "state");
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

void
print_dns(FILE *out, const json_t *result)
{
	const json_t *zones = json_object_get(result, "zones"), *zone;
	const json_t *records = json_object_get(result, "records");
	size_t i;

	fputs("Forward zones:\n", out);
	json_array_foreach(zones, i, zone) {
		print_text(out, field_text(zone, "zone"));
		fputs(" ", out);
		print_text(out, field_text(zone, "server"));
		fputc('\n', out);
	}
	fputs("Local records:\n", out);
	field_lines(out, "", records);
	fputs("Other names are asked of: ", out);
	field_list(out, json_object_get(result, "servers"));
	fputc('\n', out);
}

void
print_lookup(FILE *out, const json_t *result)
{
	field_lines(out, "", json_object_get(result, "records"));
	print_part(out, "Answered by ", result, "server");
	if (field_text(result, "server") != NULL)
		fputc('\n', out);
}
