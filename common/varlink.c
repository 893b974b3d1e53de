/*
 * Varlink messages: reading and writing them, strictly.
 */
#include "common/varlink.h"

#include <stdint.h>
#include <string.h>

#include <stdlib.h>

/* jansson recurses; nesting is bounded before it sees the text. */
static bool
is_too_deep(const char *data, size_t len)
{
	bool quoted = false;
	size_t depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (quoted && data[i] == '\\')
			i++;
		else if (data[i] == '"')
			quoted = !quoted;
		else if (!quoted && (data[i] == '{' || data[i] == '['))
			depth++;
		else if (!quoted && depth > 0 &&
		    (data[i] == '}' || data[i] == ']'))
			depth--;
		if (depth > VARLINK_DEPTH_MAX)
			return true;
	}
	return false;
}

int
varlink_encode(const json_t *message, struct buf *out, struct error *error)
{
	char *text = json_dumps(message, JSON_COMPACT);
	size_t len;
	int rc = 0;

	if (text == NULL)
		return error_set(error, RES_INVALID, "message isn't valid");
	len = strlen(text) + 1;
	if (len <= VARLINK_MESSAGE_MAX)
		buf_add(out, text, len);
	else
		rc = error_set(error, RES_LIMIT,
		    "message of %zu bytes is longer than %d", len,
		    VARLINK_MESSAGE_MAX);
	/* It may hold a secret. */
	explicit_bzero(text, len);
	free(text);
	return rc;
}

json_t *
varlink_decode(const char *data, size_t len, struct error *error)
{
	json_error_t why;
	json_t *message;

	if (len >= VARLINK_MESSAGE_MAX) {
		error_set(error, RES_LIMIT, "message is longer than %d bytes",
		    VARLINK_MESSAGE_MAX);
		return NULL;
	}
	if (is_too_deep(data, len)) {
		error_set(error, RES_LIMIT, "message is nested too deeply");
		return NULL;
	}
	message = json_loadb(data, len, JSON_REJECT_DUPLICATES, &why);
	if (message == NULL)
		error_set(
		    error, RES_INVALID, "message isn't JSON: %s", why.text);
	else if (!json_is_object(message)) {
		json_decref(message);
		message = NULL;
		error_set(error, RES_INVALID, "message isn't an object");
	}
	return message;
}

int
varlink_request_read(
    const json_t *message, struct varlink_request *req, struct error *error)
{
	const json_t *method = json_object_get(message, "method");
	json_t *parameters = json_object_get(message, "parameters");

	memset(req, 0, sizeof(*req));
	if (!json_is_string(method))
		return error_set(error, RES_INVALID, "message has no method");
	if (parameters != NULL && !json_is_null(parameters) &&
	    !json_is_object(parameters))
		return error_set(
		    error, RES_INVALID, "parameters aren't an object");
	req->method = json_string_value(method);
	req->parameters = json_is_object(parameters) ? parameters : NULL;
	req->more = json_is_true(json_object_get(message, "more"));
	req->oneway = json_is_true(json_object_get(message, "oneway"));
	return 0;
}

void
varlink_wipe(json_t *value)
{
	const char *key;
	json_t *child;
	size_t i;

	if (json_is_string(value)) {
		/* jansson hands out const, but the bytes are its own. */
		union {
			const char *from;
			char *to;
		} text = { json_string_value(value) };
		explicit_bzero(text.to, json_string_length(value));
	}
	json_array_foreach(value, i, child)
		varlink_wipe(child);
	json_object_foreach(value, key, child)
		varlink_wipe(child);
}
