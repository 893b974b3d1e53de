/*
 * Who listens where this server wants to: the address in the kernel's table of
 * TCP sockets gives an inode, and the process that has it open is the holder.
 */
#include "xmppd/holder.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/strutil.h"
#include "common/xmalloc.h"

#define LISTENS 0x0a /* TCP_LISTEN, in the column "st" */
#define HEX_MAX 33

/* An address as the tables show it: words of 32 bits in the host's order. */
static void
address_hex(const void *address, size_t words, char out[HEX_MAX])
{
	uint32_t word;

	for (size_t i = 0; i < words; i++) {
		memcpy(&word, (const char *)address + 4 * i, sizeof(word));
		snprintf(out + 8 * i, 9, "%08X", (unsigned)word);
	}
}

/* Whether a socket that listens on `local` is in the way of the address. */
static bool
is_in_the_way(const struct sockaddr_storage *sa, const char *local)
{
	const struct sockaddr_in6 *sin6 = (const void *)sa;
	const struct sockaddr_in *sin = (const void *)sa;
	struct in6_addr mapped = { 0 };
	char hex[HEX_MAX];

	if (strspn(local, "0") == strlen(local))
		return true;
	if (sa->ss_family == AF_INET6) {
		address_hex(&sin6->sin6_addr, 4, hex);
		return str_equal(hex, local);
	}
	address_hex(&sin->sin_addr, 1, hex);
	if (str_equal(hex, local))
		return true;
	/* RFC 4291, 2.5.5.2: how a socket of IPv6 has an address of IPv4. */
	mapped.s6_addr[10] = mapped.s6_addr[11] = 0xff;
	memcpy(&mapped.s6_addr[12], &sin->sin_addr, 4);
	address_hex(&mapped, 4, hex);
	return str_equal(hex, local);
}

/* The inode of a socket that listens there (proc(5), /proc/net/tcp). */
static unsigned long
socket_inode(const char *table, const struct sockaddr_storage *sa)
{
	/* The port is at the same place in both families. */
	unsigned port = ntohs(((const struct sockaddr_in *)sa)->sin_port);
	unsigned long inode, found = 0;
	unsigned local_port, state;
	char line[512], local[HEX_MAX];
	FILE *f = fopen(table, "re");

	while (f != NULL && found == 0 && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line,
			"%*d: %32[0-9A-F]:%x %*s %x %*s %*s %*s %*u %*u %lu",
			local, &local_port, &state, &inode) == 4 &&
		    state == LISTENS && local_port == port &&
		    is_in_the_way(sa, local))
			found = inode;
	if (f != NULL)
		fclose(f);
	return found;
}

static bool
process_has_socket(const char *pid, unsigned long inode)
{
	char *dir, link[64], want[64], *path;
	struct dirent *de;
	bool has = false;
	ssize_t n;
	DIR *d;

	snprintf(want, sizeof(want), "socket:[%lu]", inode);
	xasprintf(&dir, "/proc/%s/fd", pid);
	d = opendir(dir);
	while (d != NULL && !has && (de = readdir(d)) != NULL) {
		xasprintf(&path, "%s/%s", dir, de->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		has = str_equal(link, want);
		free(path);
	}
	if (d != NULL)
		closedir(d);
	free(dir);
	return has;
}

/* "nginx (pid 123)" */
static void
name_process(const char *pid, char *out, size_t size)
{
	char *path, *name;
	size_t len;

	xasprintf(&path, "/proc/%s/comm", pid);
	name = file_read(path, 64, &len);
	if (name != NULL)
		snprintf(out, size, "%.*s (pid %.10s)",
		    (int)strcspn(name, "\n"), name, pid);
	free(name);
	free(path);
}

void
holder_find(const struct sockaddr_storage *sa, char *out, size_t size)
{
	unsigned long inode = socket_inode("/proc/net/tcp", sa);
	struct dirent *de;
	DIR *d;

	if (inode == 0)
		inode = socket_inode("/proc/net/tcp6", sa);
	snprintf(out, size, "another process");
	d = inode == 0 ? NULL : opendir("/proc");
	while (d != NULL && (de = readdir(d)) != NULL) {
		if (de->d_name[0] < '1' || de->d_name[0] > '9' ||
		    !process_has_socket(de->d_name, inode))
			continue;
		name_process(de->d_name, out, size);
		break;
	}
	if (d != NULL)
		closedir(d);
}
