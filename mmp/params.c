/*
 * From the arguments of a line to the parameters of a method.
 */
#include "mmp/params.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/pki.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "mmp/call.h"

/* {"name": "abhiall.key", "pem": "..."} */
static json_t *
read_file(struct mmp *mmp, const char *name, struct error *error)
{
	char *path = mmp_pki_path(mmp, name, error);
	struct pki_file file = { .name = name };
	struct buf pem = { 0 };
	json_t *value = NULL;
	char *data;

	if (path == NULL)
		return NULL;
	data = file_read(path, PKI_FILE_MAX, &file.len);
	file.data = data;
	if (data == NULL)
		error_set(error, errno == ENOENT ? RES_NOT_FOUND : RES_IO,
		    "%s %s%s", name,
		    errno == ENOENT ? "not found" : "can't be read: ",
		    errno == ENOENT ? " in the pki folder" : strerror(errno));
	else if (pki_as_pem(&file, &pem, error) == 0)
		value =
		    json_pack("{s:s,s:s}", "name", name, "pem", buf_str(&pem));
	if (data != NULL)
		explicit_bzero(data, file.len);
	free(data);
	buf_wipe(&pem);
	free(path);
	return value;
}

static json_t *
value_of(struct mmp *mmp, const struct match *match,
    const struct match_arg *arg, struct error *error)
{
	uint64_t number = 0;

	if (arg->type == NULL)
		return json_true();
	if (arg->type->kind == ARG_FILE && match->command->at != AT_LOCAL)
		return read_file(mmp, arg->text, error);
	if (arg->type->kind == ARG_NUMBER &&
	    str_to_u64(arg->text, 0, INT64_MAX, &number))
		return json_integer((json_int_t)number);
	return json_string(arg->text);
}

/* The words of a `...` become a list, or one text. */
static void
add_value(json_t *params, const struct match_arg *arg, json_t *value)
{
	json_t *before = json_object_get(params, arg->label);
	char *text;

	if (arg->repeats && arg->type->joined && before != NULL) {
		xasprintf(&text, "%s %s", json_string_value(before), arg->text);
		json_decref(value);
		json_object_set_new(params, arg->label, json_string(text));
		free(text);
	} else if (!arg->repeats || arg->type->joined) {
		json_object_set_new(params, arg->label, value);
	} else if (before != NULL) {
		json_array_append_new(before, value);
	} else {
		json_object_set_new(
		    params, arg->label, json_pack("[o]", value));
	}
}

json_t *
params_build(struct mmp *mmp, const struct match *match, json_t *layout,
    struct error *error)
{
	json_t *params = json_object(), *value;
	const struct match_arg *arg;

	for (size_t i = 0; i < match->count; i++) {
		arg = &match->args[i];
		value = value_of(mmp, match, arg, error);
		if (value == NULL) {
			json_decref(params);
			return NULL;
		}
		add_value(arg->type == NULL && match->command->at != AT_LOCAL
			? layout
			: params,
		    arg, value);
	}
	return params;
}

/* "key_file": "a.key" becomes "key": the file. One that is gone stays as the
   daemon has it. */
static int
add_file(struct mmp *mmp, json_t *params, const char *key, const json_t *value,
    struct error *error)
{
	char param[64];
	json_t *file;

	if (!str_ends(key, "_file") || !json_is_string(value))
		return 0;
	file = read_file(mmp, json_string_value(value), error);
	if (file == NULL)
		return error->code == RES_NOT_FOUND ? 0 : error->code;
	snprintf(param, sizeof(param), "%.*s",
	    (int)(strlen(key) - strlen("_file")), key);
	return json_object_set_new(params, param, file);
}

json_t *
params_reread(struct mmp *mmp, const struct command *command, bool *absent,
    struct error *error)
{
	json_t *shown, *value, *params = json_object();
	struct call call = { .at = command->at };
	const char *key;
	char method[64];
	int rc;

	snprintf(method, sizeof(method), "%.*s.Show",
	    (int)strcspn(command->method, "."), command->method);
	call.method = method;
	rc = call_daemon(mmp, &call, &shown, absent, error);
	json_object_foreach(shown, key, value)
		if (rc == 0)
			rc = add_file(mmp, params, key, value, error);
	json_decref(shown);
	if (rc == 0)
		return params;
	json_decref(params);
	return NULL;
}
