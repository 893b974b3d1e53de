/*
 * hostname, version, uptime: the node itself.
 */
#include "mmp/mmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/strutil.h"
#include "common/xmalloc.h"
#include "mmp/node.h"

char *
node_hostname(const char *root)
{
	char *path, *text, name[64] = "";
	size_t len;

	xasprintf(&path, "%s/hostname", root);
	text = file_read(path, sizeof(name), &len);
	free(path);
	if (text != NULL)
		text[strcspn(text, " \t\r\n")] = '\0';
	if (text != NULL && *text != '\0')
		return text;
	free(text);
	if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
		return xstrdup("mmp");
	return xstrdup(name);
}

static int
cmd_hostname(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *error)
{
	const char *name = json_string_value(json_object_get(params, "name"));
	char *path, *text, *said;
	int rc = 0, len;

	if (name == NULL) {
		text = node_hostname(mmp->root);
		*result = json_pack("{s:s}", "hostname", text);
		free(text);
		return 0;
	}
	xasprintf(&path, "%s/hostname", mmp->root);
	len = xasprintf(&text, "%s\n", name);
	if (file_write(path, text, (size_t)len, 0664) != 0)
		rc = error_set(error, RES_IO, "%s: %s", path, strerror(errno));
	if (rc == 0) {
		xasprintf(&said,
		    "host name set to %s; prompts show it from the next login, "
		    "xmppd and callbridge from their next start",
		    name);
		*result = json_pack(
		    "{s:[{s:b,s:s}]}", "checks", "ok", 1, "text", said);
		free(said);
	}
	free(text);
	free(path);
	return rc;
}

static void
print_hostname(FILE *out, const json_t *result)
{
	const char *name =
	    json_string_value(json_object_get(result, "hostname"));

	if (name != NULL)
		fprintf(out, "%s\n", name);
}

static int
cmd_version(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *error)
{
	(void)mmp;
	(void)params;
	(void)error;
	*result = json_pack("{s:s}", "version", MMP_VERSION);
	return 0;
}

static void
print_version(FILE *out, const json_t *result)
{
	fprintf(
	    out, "%s\n", json_string_value(json_object_get(result, "version")));
}

/* Null where the daemon isn't there. */
static json_t *
daemon_uptime(struct mmp *mmp, enum command_at at, const char *method)
{
	json_t *shown, *uptime;
	struct error error;

	if (mmp_call(mmp, at, method, NULL, &shown, &error) != 0)
		return json_null();
	uptime = json_incref(json_object_get(shown, "uptime"));
	json_decref(shown);
	return uptime != NULL ? uptime : json_null();
}

static int
cmd_uptime(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *error)
{
	char *text, *end;
	size_t len;
	long long seconds;

	(void)params;
	text = file_read("/proc/uptime", 256, &len);
	if (text == NULL)
		return error_set(
		    error, RES_IO, "/proc/uptime: %s", strerror(errno));
	seconds = strtoll(text, &end, 10);
	free(text);
	*result = json_pack("{s:I,s:o,s:o}", "system", (json_int_t)seconds,
	    "xmppd", daemon_uptime(mmp, AT_XMPPD, "Xmpp.Show"), "callbridge",
	    daemon_uptime(mmp, AT_CALLBRIDGE, "Bridge.Show"));
	return 0;
}

static void
print_uptime(FILE *out, const json_t *result)
{
	static const char *const names[] = { "system", "xmppd", "callbridge" };
	const json_t *value;
	long long s;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		value = json_object_get(result, names[i]);
		s = json_integer_value(value);
		fprintf(out, "%-10s: ", names[i]);
		if (json_is_integer(value))
			fprintf(out, "%lld days, %02lld:%02lld:%02lld\n",
			    s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
		else
			fputs("not running\n", out);
	}
}

const struct mmp_method node_methods[] = {
	{ "Node.Hostname", cmd_hostname, print_hostname },
	{ "Node.Version", cmd_version, print_version },
	{ "Node.Uptime", cmd_uptime, print_uptime },
	{ NULL, NULL, NULL },
};
