/*
 * What a reset would lose, saved before it: xmppd sends it in pieces, which
 * become a file of the pki folder.
 */
#include "mmp/export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/strutil.h"
#include "mmp/call.h"

/* A copy in memory is written as a whole: file_write() makes it durable. */
static bool
part_cb(json_t *part, void *arg)
{
	const char *lines = json_string_value(json_object_get(part, "lines"));

	if (lines != NULL)
		buf_add_str(arg, lines);
	return true;
}

static int
save(struct mmp *mmp, const json_t *last, const struct buf *text, json_t **said,
    json_t **named, struct error *error)
{
	const char *name = json_string_value(json_object_get(last, "name"));
	json_int_t accounts = 0, messages = 0;
	char *path, line[256];

	if (name == NULL)
		return 0;
	path = mmp_pki_path(mmp, name, error);
	if (path == NULL)
		return RES_INVALID;
	if (file_write(path, text->data, text->len, 0660) != 0)
		error_set(error, RES_IO,
		    "%s can't be written, nothing was reset: %s", path,
		    strerror(errno));
	free(path);
	if (error->code != RES_OK)
		return error->code;
	accounts = json_integer_value(json_object_get(last, "accounts"));
	messages = json_integer_value(json_object_get(last, "messages"));
	snprintf(line, sizeof(line),
	    "%lld account%s and %lld stored message%s saved to %s in the pki "
	    "folder",
	    (long long)accounts, accounts == 1 ? "" : "s", (long long)messages,
	    messages == 1 ? "" : "s", name);
	*said = json_pack("{s:b,s:s}", "ok", 1, "text", line);
	*named = json_string(name);
	return 0;
}

int
export_save(struct mmp *mmp, json_t **said, json_t **name, bool *absent,
    struct error *error)
{
	struct buf text = { 0 };
	const struct call call = { .at = AT_XMPPD,
		.method = "Xmpp.Export",
		.part = part_cb,
		.arg = &text };
	json_t *last;
	int rc;

	*said = *name = NULL;
	error->code = RES_OK;
	rc = call_daemon(mmp, &call, &last, absent, error);
	if (rc == 0) {
		part_cb(last, &text);
		rc = save(mmp, last, &text, said, name, error);
	}
	json_decref(last);
	/* Keys of accounts are in it. */
	buf_wipe(&text);
	return rc;
}
