/*
 * A blocking client of a control socket: the shell does one thing at a time.
 */
#include "common/varlink_client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/strutil.h"
#include "common/varlink.h"
#include "common/xmalloc.h"

struct varlink_client {
	int fd, interrupt_fd;
	int timeout_ms;
	struct buf in;
};

static int
set_timeout(int fd, int ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) != 0)
		return -1;
	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static int
connect_to(const char *path, int timeout_ms, struct error *error)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, saved;

	if (strlen(path) >= sizeof(addr.sun_path))
		return error_set(error, RES_INVALID,
		    "%s: path is longer than %zu characters", path,
		    sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && set_timeout(fd, timeout_ms) == 0 &&
	    connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	saved = errno;
	if (fd >= 0)
		close(fd);
	if (saved == EACCES || saved == EPERM)
		return error_set(
		    error, RES_DENIED, "%s: permission denied", path);
	return error_set(
	    error, RES_UNREACHABLE, "%s: %s", path, strerror(saved));
}

struct varlink_client *
varlink_client_open(const char *path, int timeout_ms, struct error *error)
{
	struct varlink_client *client;
	int fd = connect_to(path, timeout_ms, error);

	if (fd < 0)
		return NULL;
	client = xcalloc(1, sizeof(*client));
	client->fd = fd;
	client->interrupt_fd = -1;
	client->timeout_ms = timeout_ms;
	return client;
}

void
varlink_client_set_interrupt(struct varlink_client *client, int fd)
{
	client->interrupt_fd = fd;
}

void
varlink_client_free(struct varlink_client *client)
{
	if (client == NULL)
		return;
	close(client->fd);
	buf_wipe(&client->in);
	free(client);
}

static int
wait_failed(struct error *error)
{
	if (errno == EAGAIN)
		return error_set(error, RES_TIMEOUT,
		    "no answer in time: it isn't known whether it was done");
	return error_set(
	    error, RES_UNREACHABLE, "connection lost: %s", strerror(errno));
}

static int
send_all(
    struct varlink_client *client, const struct buf *out, struct error *error)
{
	size_t done = 0;
	ssize_t n;

	while (done < out->len) {
		n = send(client->fd, out->data + done, out->len - done,
		    MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return wait_failed(error);
		done += (size_t)n;
	}
	return 0;
}

/* Waits until something can be read. */
static int
wait_readable(const struct varlink_client *client, struct error *error)
{
	struct pollfd p[2] = { { .fd = client->fd, .events = POLLIN },
		{ .fd = client->interrupt_fd, .events = POLLIN } };
	int rc;

	do
		rc = poll(p, 2, client->timeout_ms);
	while (rc < 0 && errno == EINTR);
	if (rc > 0 && p[1].revents == 0)
		return 0;
	/* What a user interrupts is the wait, not the work. */
	if (rc > 0)
		return error_set(error, RES_TIMEOUT,
		    "interrupted: it isn't known whether it was done");
	if (rc == 0)
		errno = EAGAIN;
	return wait_failed(error);
}

/* The next message; NULL and an error if there is none. */
static json_t *
receive(struct varlink_client *client, struct error *error)
{
	struct buf *in = &client->in;
	const uint8_t *end;
	json_t *message;
	ssize_t n;

	while ((end = in->len == 0 ? NULL : memchr(in->data, 0, in->len)) ==
	    NULL) {
		if (in->len >= VARLINK_MESSAGE_MAX) {
			error_set(error, RES_IO, "the answer is too long");
			return NULL;
		}
		if (wait_readable(client, error) != 0)
			return NULL;
		n = recv(client->fd, buf_reserve(in, 65536), 65536, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ECONNRESET;
		if (n <= 0) {
			wait_failed(error);
			return NULL;
		}
		in->len += (size_t)n;
	}
	message = varlink_decode(
	    (const char *)in->data, (size_t)(end - in->data), error);
	buf_drop(in, (size_t)(end - in->data) + 1);
	return message;
}

/* What the daemon refused, as a code and one line. */
static int
read_refusal(const json_t *message, struct error *error)
{
	const char *name = json_string_value(json_object_get(message, "error"));
	const json_t *params = json_object_get(message, "parameters");
	const char *code = json_string_value(json_object_get(params, "code"));
	const char *text = json_string_value(json_object_get(params, "text"));
	const char *what =
	    json_string_value(json_object_get(params, "parameter"));

	if (name == NULL)
		return error_set(error, RES_IO, "the answer makes no sense");
	if (str_ends(name, ".Error") && code != NULL && text != NULL)
		return error_set(error, result_from_name(code), "%s", text);
	if (str_equal(name, VARLINK_SERVICE ".PermissionDenied"))
		return error_set(error, RES_DENIED, "permission denied");
	return error_set(error, RES_INVALID, "%s%s%s", name,
	    what == NULL ? "" : ": ", what == NULL ? "" : what);
}

/* Takes `parameters`. */
static int
send_call(struct varlink_client *client, const char *method, json_t *parameters,
    bool more, struct error *error)
{
	struct buf out = { 0 };
	json_t *message;
	int rc;

	message = json_pack("{s:s,s:o}", "method", method, "parameters",
	    parameters != NULL ? parameters : json_object());
	if (more)
		json_object_set_new(message, "more", json_true());
	rc = varlink_encode(message, &out, error);
	varlink_wipe(message);
	json_decref(message);
	if (rc == 0)
		rc = send_all(client, &out, error);
	buf_wipe(&out);
	return rc;
}

int
varlink_client_stream(struct varlink_client *client, const char *method,
    json_t *parameters, const struct varlink_more *more, json_t **result,
    struct error *error)
{
	json_t *message, *got;
	int rc;

	*result = NULL;
	rc = send_call(client, method, parameters, more != NULL, error);
	while (rc == 0 && *result == NULL) {
		message = receive(client, error);
		if (message == NULL)
			return error->code;
		got = json_object_get(message, "parameters");
		if (json_object_get(message, "error") != NULL || got == NULL)
			rc = read_refusal(message, error);
		else if (!json_is_true(json_object_get(message, "continues")))
			*result = json_incref(got);
		else if (more != NULL)
			more->cb(got, more->arg);
		json_decref(message);
	}
	return rc;
}

int
varlink_client_call(struct varlink_client *client, const char *method,
    json_t *parameters, json_t **result, struct error *error)
{
	return varlink_client_stream(
	    client, method, parameters, NULL, result, error);
}
