/*
 * Results of the daemons in their documented layouts.
 */
#include "mmp/print.h"

#include "common/clock.h"
#include "mmp/fields.h"
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

const char *
field_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

bool
field_is_set(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

void
field_time(FILE *out, const json_t *when)
{
	char stamp[32];

	clock_stamp(json_integer_value(when), stamp);
	fputs(stamp, out);
}

void
field_list(FILE *out, const json_t *list)
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
		field_list(out, value);
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
		field_time(out, value);
		break;
	case FIELD_SECRET:
		fputs(json_is_true(value) ? "set" : "none", out);
		break;
	}
}

/* One "label : value" a line; labels are padded to `width`. */
void
fields_print(FILE *out, const json_t *object, const struct field *fields,
    size_t count, int width)
{
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "%-*s: ", width, fields[i].label);
		print_value(out, json_object_get(object, fields[i].key),
		    fields[i].kind);
		fputc('\n', out);
	}
}

void
field_lines(FILE *out, const char *label, const json_t *lines)
{
	const json_t *line;
	size_t i;

	json_array_foreach(lines, i, line) {
		fputs(label, out);
		print_text(out, json_string_value(line));
		fputc('\n', out);
	}
}

/* ---- all --------------------------------------------------------------- */

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
