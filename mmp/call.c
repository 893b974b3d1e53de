/*
 * Calls to the daemons, and names of files in the pki folder.
 */
#include "mmp/call.h"

#include <stdlib.h>
#include <string.h>

#include "common/arg.h"
#include "common/varlink_client.h"
#include "common/xmalloc.h"

/* For each answer: a join reports progress while it lasts. */
#define ANSWER_MS 120000

static const struct {
	const char *program;
} daemons[] = {
	[AT_XMPPD] = { "xmppd" },
	[AT_CALLBRIDGE] = { "callbridge" },
};

char *
mmp_pki_path(const struct mmp *mmp, const char *name, struct error *error)
{
	char *path;

	if (arg_type_find("file")->check(name, NULL) != 0) {
		error_set(error, RES_INVALID,
		    "'%s' isn't the name of a file in the pki folder", name);
		return NULL;
	}
	xasprintf(&path, "%s/pki/%s", mmp->root, name);
	return path;
}

static struct varlink_client *
open_daemon(const struct mmp *mmp, enum command_at at, int timeout_ms,
    struct error *error)
{
	const char *program = daemons[at].program;
	struct varlink_client *client;
	struct error why;
	char *path;

	xasprintf(&path, "%s/%s.sock", mmp->root, program);
	client = varlink_client_open(path, timeout_ms, &why);
	free(path);
	if (client == NULL)
		error_set(error, RES_UNREACHABLE,
		    "%s isn't running (%s): it is started by the system, see "
		    "%s(8)",
		    program, why.text, program);
	return client;
}

static void
join(json_t *whole, json_t *part)
{
	const char *key;
	json_t *value, *before;

	json_object_foreach(part, key, value) {
		before = json_object_get(whole, key);
		if (json_is_array(before) && json_is_array(value))
			json_array_extend(before, value);
		else
			json_object_set(whole, key, value);
	}
}

struct parts {
	const struct call *call;
	json_t *whole;
};

static void
part_cb(json_t *part, void *arg)
{
	const struct parts *parts = arg;

	if (parts->call->part == NULL ||
	    !parts->call->part(part, parts->call->arg))
		join(parts->whole, part);
}

int
call_daemon(struct mmp *mmp, const struct call *call, json_t **result,
    bool *absent, struct error *error)
{
	int timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : ANSWER_MS;
	struct parts parts = { .call = call };
	const struct varlink_more more = { part_cb, &parts };
	struct varlink_client *client;
	json_t *last;
	char *full;
	int rc;

	*result = NULL;
	client = open_daemon(mmp, call->at, timeout_ms, error);
	*absent = client == NULL;
	if (client == NULL) {
		json_decref(call->params);
		return RES_UNREACHABLE;
	}
	varlink_client_set_interrupt(client, mmp->interrupt_fd);
	parts.whole = json_object();
	xasprintf(&full, "%s.%s", command_interface(call->at), call->method);
	rc = varlink_client_stream(
	    client, full, call->params, &more, &last, error);
	if (rc == 0) {
		join(parts.whole, last);
		*result = json_incref(parts.whole);
	}
	json_decref(last);
	json_decref(parts.whole);
	free(full);
	varlink_client_free(client);
	return rc;
}

int
mmp_call(struct mmp *mmp, enum command_at at, const char *method,
    json_t *params, json_t **result, struct error *error)
{
	const struct call call = {
		.at = at, .method = method, .params = params
	};
	bool absent;

	return call_daemon(mmp, &call, result, &absent, error);
}
