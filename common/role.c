/*
 * Who may do what: two groups of the system stand for the two roles.
 */
#include "common/role.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <grp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/xmalloc.h"

static const struct {
	enum role role;
	const char *name, *group;
} roles[] = {
	{ ROLE_ADMIN, "admin", "mmp-admin" },
	{ ROLE_AUDIT, "audit", "mmp-audit" },
};

#define ROLES (sizeof(roles) / sizeof(roles[0]))

const char *
role_name(enum role role)
{
	for (size_t i = 0; i < ROLES; i++)
		if (roles[i].role == role)
			return roles[i].name;
	return "none";
}

const char *
role_group(enum role role)
{
	for (size_t i = 0; i < ROLES; i++)
		if (roles[i].role == role)
			return roles[i].group;
	return NULL;
}

static bool
has_group(const gid_t *groups, size_t count, gid_t wanted)
{
	for (size_t i = 0; i < count; i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

static enum role
role_of_groups(const gid_t *groups, size_t count)
{
	const struct group *g;

	for (size_t i = 0; i < ROLES; i++) {
		g = getgrnam(roles[i].group);
		if (g != NULL && has_group(groups, count, g->gr_gid))
			return roles[i].role;
	}
	return ROLE_NONE;
}

enum role
role_of_peer(int fd, uid_t *uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	gid_t *groups;
	enum role role;

	*uid = (uid_t)-1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return ROLE_NONE;
	*uid = peer.uid;
	if (peer.uid == 0 || peer.uid == geteuid())
		return ROLE_ADMIN;
	/* Asking with no room tells how much is needed. */
	len = 0;
	/* cppcheck-suppress nullPointer ; nothing is written to no room */
	getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len);
	groups = xmalloc(len + sizeof(*groups));
	if (len > 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
		len = 0;
	groups[len / sizeof(*groups)] = peer.gid;
	role = role_of_groups(groups, len / sizeof(*groups) + 1);
	free(groups);
	return role;
}

enum role
role_of_self(const char *root)
{
	int count = getgroups(0, NULL);
	struct stat st;
	gid_t *groups;
	enum role role;

	if (geteuid() == 0)
		return ROLE_ADMIN;
	if (stat(root, &st) == 0 && st.st_uid == geteuid())
		return ROLE_ADMIN;
	if (count < 0)
		count = 0;
	groups = xcalloc((size_t)count + 1, sizeof(*groups));
	count = getgroups(count, groups);
	if (count < 0)
		count = 0;
	groups[count] = getegid();
	role = role_of_groups(groups, (size_t)count + 1);
	free(groups);
	return role;
}
