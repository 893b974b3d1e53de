/*
 * iface, ipv4: the node's interfaces, and what the system knows of them.
 */
#include "mmp/mmp.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/interfaces.h"
#include "common/strutil.h"
#include "mmp/print.h"

/* What the system knows of one address of an interface. */
struct system_address {
	char interface[IFNAMSIZ];
	int prefix; /* -1: the system has no such address */
};

/* The number of leading one bits of a netmask. */
static int
prefix_of(const struct sockaddr *mask)
{
	const struct sockaddr_in *in4 = (const void *)mask;
	const struct sockaddr_in6 *in6 = (const void *)mask;
	const uint8_t *bytes;
	size_t len;
	int bits = 0;

	if (mask == NULL)
		return -1;
	bytes = mask->sa_family == AF_INET ? (const void *)&in4->sin_addr
					   : (const void *)&in6->sin6_addr;
	len = mask->sa_family == AF_INET ? 4 : 16;
	for (size_t i = 0; i < len; i++)
		bits += __builtin_popcount(bytes[i]);
	return bits;
}

static const void *
bytes_of(const struct sockaddr *addr, size_t *len)
{
	const struct sockaddr_in *in4 = (const void *)addr;
	const struct sockaddr_in6 *in6 = (const void *)addr;

	*len = addr->sa_family == AF_INET ? 4 : 16;
	return addr->sa_family == AF_INET ? (const void *)&in4->sin_addr
					  : (const void *)&in6->sin6_addr;
}

/* Which interface of the system has an address. */
static struct system_address
find_address(const struct sockaddr_storage *wanted)
{
	struct system_address found = { .prefix = -1 };
	const struct sockaddr *want = (const void *)wanted;
	struct ifaddrs *all, *at;
	const void *bytes;
	size_t len;

	if (getifaddrs(&all) != 0)
		return found;
	for (at = all; at != NULL && found.prefix < 0; at = at->ifa_next) {
		if (at->ifa_addr == NULL ||
		    at->ifa_addr->sa_family != want->sa_family)
			continue;
		bytes = bytes_of(at->ifa_addr, &len);
		if (memcmp(bytes, bytes_of(want, &len), len) != 0)
			continue;
		found.prefix = prefix_of(at->ifa_netmask);
		snprintf(found.interface, sizeof(found.interface), "%s",
		    at->ifa_name);
	}
	freeifaddrs(all);
	return found;
}

/* "10.1.1.1/24"; without the prefix where the system doesn't know it. */
static json_t *
describe_address(const struct sockaddr_storage *addr)
{
	struct system_address found = find_address(addr);
	char text[INET6_ADDRSTRLEN + 16];
	const void *bytes;
	size_t len;

	bytes = bytes_of((const struct sockaddr *)addr, &len);
	inet_ntop(addr->ss_family, bytes, text, INET6_ADDRSTRLEN);
	if (found.prefix >= 0)
		snprintf(text + strlen(text), 16, "/%d", found.prefix);
	return json_string(text);
}

/* Asks the kernel about an interface of the system. */
static void
describe_link(json_t *said, const char *name)
{
	struct ifreq req = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const uint8_t *mac = (const uint8_t *)req.ifr_hwaddr.sa_data;
	char text[24];

	if (fd < 0)
		return;
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFMTU, &req) == 0)
		json_object_set_new(said, "mtu", json_integer(req.ifr_mtu));
	if (ioctl(fd, SIOCGIFHWADDR, &req) == 0) {
		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x",
		    mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
		json_object_set_new(said, "mac", json_string(text));
	}
	close(fd);
}

/* The gateway of the default route through an interface (proc(5)). */
static json_t *
find_gateway(const char *interface)
{
	FILE *file = fopen("/proc/net/route", "re");
	char text[INET_ADDRSTRLEN], line[256], *rest;
	const char *name, *to;
	json_t *found = NULL;
	uint32_t gateway;

	while (file != NULL && found == NULL &&
	    fgets(line, sizeof(line), file) != NULL) {
		rest = line;
		name = strsep(&rest, "\t");
		to = strsep(&rest, "\t");
		if (!str_equal(name, interface) || !str_equal(to, "00000000"))
			continue;
		gateway = (uint32_t)strtoul(rest, NULL, 16);
		inet_ntop(AF_INET, &gateway, text, sizeof(text));
		found = json_string(text);
	}
	if (file != NULL)
		fclose(file);
	return found != NULL ? found : json_null();
}

/* One interface with its addresses of a family (AF_UNSPEC: of both). */
static json_t *
describe(const struct interfaces *all, const char *name, int family)
{
	const char *system = interfaces_system_name(all, name);
	json_t *said, *list = json_array();
	struct sockaddr_storage *addrs = NULL;
	struct system_address found = { .prefix = -1 };
	size_t count = 0;

	if (interfaces_addresses(all, name, &addrs, &count, NULL) != 0)
		count = 0;
	for (size_t i = 0; i < count; i++) {
		if (family == AF_UNSPEC || addrs[i].ss_family == family)
			json_array_append_new(
			    list, describe_address(&addrs[i]));
		if (system == NULL && found.prefix < 0)
			found = find_address(&addrs[i]);
	}
	free(addrs);
	if (system == NULL && found.prefix >= 0)
		system = found.interface;
	said = json_pack("{s:s,s:s?,s:o}", "name", name, "system", system,
	    "addresses", list);
	if (system != NULL)
		describe_link(said, system);
	json_object_set_new(said, "gateway",
	    system != NULL ? find_gateway(system) : json_null());
	return said;
}

static int
list_interfaces(struct mmp *mmp, const json_t *params, int family,
    json_t **result, struct error *error)
{
	const char *wanted =
	    json_string_value(json_object_get(params, "interface"));
	struct interfaces *all = interfaces_load(mmp->root, error);
	json_t *list;
	const char *name;
	size_t at = 0;

	if (all == NULL)
		return error->code;
	list = json_array();
	while ((name = interfaces_next(all, &at)) != NULL)
		if (wanted == NULL || str_equal_nocase(name, wanted))
			json_array_append_new(
			    list, describe(all, name, family));
	interfaces_free(all);
	if (wanted != NULL && json_array_size(list) == 0) {
		json_decref(list);
		return error_set(error, RES_NOT_FOUND,
		    "interface %s isn't there; 'iface' lists those that are",
		    wanted);
	}
	*result = json_pack("{s:o}", "interfaces", list);
	return 0;
}

static int
cmd_iface(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *error)
{
	return list_interfaces(mmp, params, AF_UNSPEC, result, error);
}

static int
cmd_ipv4(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *error)
{
	return list_interfaces(mmp, params, AF_INET, result, error);
}

static void
print_line(FILE *out, const char *label, const json_t *value)
{
	fprintf(out, "%-10s: ", label);
	if (json_is_integer(value))
		fprintf(out, "%lld", (long long)json_integer_value(value));
	else
		print_text(out,
		    json_is_string(value) ? json_string_value(value) : "none");
	fputc('\n', out);
}

static void
print_addresses(FILE *out, const json_t *interface)
{
	const json_t *list = json_object_get(interface, "addresses"), *one;
	size_t i;

	json_array_foreach(list, i, one)
		print_line(out, "Address", one);
	if (json_array_size(list) == 0)
		print_line(out, "Address", NULL);
}

static void
print_iface(FILE *out, const json_t *result)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(result, "interfaces"), i, one) {
		print_line(out, "Interface", json_object_get(one, "name"));
		print_line(out, "System", json_object_get(one, "system"));
		print_line(out, "MAC", json_object_get(one, "mac"));
		print_line(out, "MTU", json_object_get(one, "mtu"));
		print_addresses(out, one);
	}
}

static void
print_ipv4(FILE *out, const json_t *result)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(result, "interfaces"), i, one) {
		print_line(out, "Interface", json_object_get(one, "name"));
		print_addresses(out, one);
		print_line(out, "Gateway", json_object_get(one, "gateway"));
	}
}

const struct mmp_method iface_methods[] = {
	{ "Node.Iface", cmd_iface, print_iface },
	{ "Node.Ipv4", cmd_ipv4, print_ipv4 },
	{ NULL, NULL, NULL },
};
