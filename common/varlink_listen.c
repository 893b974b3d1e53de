/*
 * The socket file of a daemon: taken over where it is stale, left alone where
 * somebody still answers.
 */
#include "common/varlink_parts.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Whether somebody answers there. */
static bool
is_alive(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool alive;

	if (fd < 0)
		return false;
	alive = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;
	close(fd);
	return alive;
}

int
varlink_listen(const char *path, struct error *error)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		return error_set(error, RES_INVALID,
		    "%s: path is longer than %zu characters", path,
		    sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (is_alive(&addr))
		return error_set(error, RES_STATE,
		    "%s: already running: another process serves it", path);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* Anybody may connect: the kernel says who it is, see accept_cb. */
	if (fd < 0 ||
	    bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    chmod(path, 0666) != 0 || listen(fd, 64) != 0) {
		error_set(error, RES_IO, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return RES_IO;
	}
	return fd;
}
