/*
 * Calls to the daemons, and names of files in the pki folder.
 */
#include "mmp/call.h"

#include <stdlib.h>
#include <string.h>

#include "common/arg.h"
#include "common/strutil.h"
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
		error_set(error, RES_UNREACHABLE, "%s isn't running: %s",
		    program, why.text);
	return client;
}

int
call_stream(struct mmp *mmp, const struct call *call, json_t **result,
    bool *absent, struct error *error)
{
	int timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : ANSWER_MS;
	struct varlink_client *client;
	struct error why;
	char *full;
	int rc;

	*result = NULL;
	client = open_daemon(mmp, call->at, timeout_ms, error);
	*absent = client == NULL;
	if (client == NULL) {
		json_decref(call->params);
		return RES_UNREACHABLE;
	}
	xasprintf(&full, "%s.%s", command_interface(call->at), call->method);
	rc = varlink_client_stream(
	    client, full, call->params, call->more, call->arg, result, &why);
	if (rc != 0)
		error_set(error, rc, "%s", why.text);
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

	return call_stream(mmp, &call, result, &absent, error);
}
