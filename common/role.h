#ifndef COMMON_ROLE_H
#define COMMON_ROLE_H

#include <sys/types.h>

/* What somebody at a node may do; a higher role may do what a lower one may. */
enum role {
	ROLE_NONE,
	ROLE_AUDIT, /* look: group mmp-audit */
	ROLE_ADMIN  /* everything: root, group mmp-admin */
};

const char *role_name(enum role role);  /* "admin" */
const char *role_group(enum role role); /* "mmp-admin"; NULL: of none */

/*
 * The role of the process at the other end of a Unix socket, by what the
 * kernel says of it. A peer that runs as this process's own user is an
 * administrator. Writes the peer's uid, or (uid_t)-1 where the kernel won't
 * tell.
 */
enum role role_of_peer(int fd, uid_t *uid);

/* The role of this process, at the node whose root folder is `root`: who owns
   that folder is an administrator. */
enum role role_of_self(const char *root);

#endif
