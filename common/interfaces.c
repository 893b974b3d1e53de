/*
 * Interfaces by the names that administrators use, from ROOT/interfaces.json.
 */
#include "common/interfaces.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <errno.h>
#include <ifaddrs.h>
#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/strutil.h"
#include "common/xmalloc.h"

#define FILE_MAX (64 * 1024)

static const char *const names[] = { "a", "b", "c", "d", "lo" };

#define NAMES (sizeof(names) / sizeof(names[0]))

struct interface {
	char *system; /* the system's name, or NULL */
	struct sockaddr_storage *addresses;
	size_t count;
};

struct interfaces {
	struct interface of[NAMES];
};

static const struct interface *
find(const struct interfaces *interfaces, const char *name)
{
	for (size_t i = 0; i < NAMES; i++)
		if (str_equal_nocase(names[i], name))
			return &interfaces->of[i];
	return NULL;
}

static bool
is_mapped(const struct interface *i)
{
	return i->system != NULL || i->count > 0;
}

static void
add_address(struct interface *i, const void *addr, size_t len)
{
	i->addresses =
	    xrealloc(i->addresses, (i->count + 1) * sizeof(*i->addresses));
	memset(&i->addresses[i->count], 0, sizeof(*i->addresses));
	memcpy(&i->addresses[i->count], addr, len);
	i->count++;
}

static bool
add_address_text(struct interface *i, const char *text)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in4.sin_addr) == 1)
		add_address(i, &in4, sizeof(in4));
	else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		add_address(i, &in6, sizeof(in6));
	else
		return false;
	return true;
}

/* The addresses of a system's interface now. */
static void
add_system_addresses(struct interface *i)
{
	struct ifaddrs *all, *at;
	const struct sockaddr_in6 *in6;

	if (getifaddrs(&all) != 0)
		return;
	for (at = all; at != NULL; at = at->ifa_next) {
		if (at->ifa_addr == NULL || !str_equal(at->ifa_name, i->system))
			continue;
		in6 = (const void *)at->ifa_addr;
		if (at->ifa_addr->sa_family == AF_INET)
			add_address(
			    i, at->ifa_addr, sizeof(struct sockaddr_in));
		else if (at->ifa_addr->sa_family == AF_INET6 &&
		    !IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
			add_address(
			    i, at->ifa_addr, sizeof(struct sockaddr_in6));
	}
	freeifaddrs(all);
}

static int
read_entry(struct interface *i, const char *name, const json_t *entry,
    struct error *error)
{
	const char *system =
	    json_string_value(json_object_get(entry, "interface"));
	const json_t *list = json_object_get(entry, "addresses"), *one;
	const char *text;
	size_t n;

	if (!json_is_object(entry) || json_object_size(entry) != 1 ||
	    (system == NULL && json_array_size(list) == 0))
		return error_set(error, RES_INVALID,
		    "\"%s\" must be {\"interface\": \"name\"} or "
		    "{\"addresses\": [\"address\"]}",
		    name);
	if (system != NULL) {
		i->system = xstrdup(system);
		return 0;
	}
	json_array_foreach(list, n, one) {
		text = json_string_value(one);
		if (text == NULL || !add_address_text(i, text))
			return error_set(error, RES_INVALID,
			    "\"%s\": not an address: %s", name,
			    text == NULL ? "no text" : text);
	}
	return 0;
}

static int
read_file(struct interfaces *interfaces, const char *text, size_t len,
    struct error *error)
{
	const struct interface *i;
	json_error_t why;
	const char *name;
	json_t *root, *entry;
	int rc = 0;

	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (root == NULL)
		return error_set(
		    error, RES_INVALID, "line %d: %s", why.line, why.text);
	if (!json_is_object(root))
		rc = error_set(error, RES_INVALID, "not a JSON object");
	json_object_foreach(root, name, entry) {
		if (rc != 0)
			break;
		i = find(interfaces, name);
		rc = i == NULL ? error_set(error, RES_INVALID,
				     "\"%s\" isn't an interface: a, b, c, d "
				     "or lo",
				     name)
			       : read_entry(&interfaces->of[i - interfaces->of],
				     name, entry, error);
	}
	json_decref(root);
	return rc;
}

/* Without a file: the system's own interfaces, in their order. */
static void
take_system(struct interfaces *interfaces)
{
	struct if_nameindex *all = if_nameindex();
	struct ifaddrs *addrs, *at;
	size_t used = 0;

	if (all == NULL || getifaddrs(&addrs) != 0)
		addrs = NULL;
	for (size_t i = 0; addrs != NULL && all[i].if_index != 0; i++) {
		for (at = addrs; at != NULL; at = at->ifa_next)
			if (str_equal(at->ifa_name, all[i].if_name))
				break;
		if (at != NULL && !(at->ifa_flags & IFF_LOOPBACK) &&
		    used < NAMES - 1)
			interfaces->of[used++].system = xstrdup(all[i].if_name);
	}
	if (addrs != NULL)
		freeifaddrs(addrs);
	if (all != NULL)
		if_freenameindex(all);
}

struct interfaces *
interfaces_load(const char *root, struct error *error)
{
	struct interfaces *interfaces = xcalloc(1, sizeof(*interfaces));
	struct interface *lo = &interfaces->of[NAMES - 1];
	struct error why = { 0 };
	char *path, *text;
	size_t len;
	int rc = 0;

	xasprintf(&path, "%s/interfaces.json", root);
	text = file_read(path, FILE_MAX, &len);
	if (text != NULL)
		rc = read_file(interfaces, text, len, &why);
	else if (errno == ENOENT)
		take_system(interfaces);
	else
		rc = error_set(&why, RES_IO, "%s", strerror(errno));
	if (rc != 0) {
		error_set(error, rc, "%s: %s", path, why.text);
		interfaces_free(interfaces);
		interfaces = NULL;
	} else if (!is_mapped(lo)) {
		add_address_text(lo, "127.0.0.1");
		add_address_text(lo, "::1");
	}
	free(text);
	free(path);
	return interfaces;
}

void
interfaces_free(struct interfaces *interfaces)
{
	if (interfaces == NULL)
		return;
	for (size_t i = 0; i < NAMES; i++) {
		free(interfaces->of[i].system);
		free(interfaces->of[i].addresses);
	}
	free(interfaces);
}

const char *
interfaces_next(const struct interfaces *interfaces, size_t *at)
{
	while (*at < NAMES) {
		if (is_mapped(&interfaces->of[(*at)++]))
			return names[*at - 1];
	}
	return NULL;
}

const char *
interfaces_system_name(const struct interfaces *interfaces, const char *name)
{
	const struct interface *i = find(interfaces, name);

	return i == NULL ? NULL : i->system;
}

int
interfaces_addresses(const struct interfaces *interfaces, const char *name,
    struct sockaddr_storage **out, size_t *count, struct error *error)
{
	const struct interface *i = find(interfaces, name);
	struct interface now = { 0 };

	if (i == NULL || !is_mapped(i))
		return error_set(error, RES_NOT_FOUND,
		    "there is no interface %s; 'iface' lists those of this "
		    "node",
		    name);
	now.system = i->system;
	if (i->system != NULL)
		add_system_addresses(&now);
	for (size_t n = 0; n < i->count; n++)
		add_address(&now, &i->addresses[n], sizeof(*i->addresses));
	if (now.count == 0)
		return error_set(error, RES_STATE,
		    "interface %s (%s) has no address", name, i->system);
	*out = now.addresses;
	*count = now.count;
	return 0;
}

/* Reads ":<port>" if there is one. */
static bool
read_port(char **rest, uint16_t *port)
{
	char *text = strsep(rest, ":");
	uint64_t value;

	if (text == NULL)
		return true;
	if (!str_to_u64(text, 1, 65535, &value))
		return false;
	*port = (uint16_t)value;
	return true;
}

/* The interface, in `copy`, whose rest are the ports. */
static int
spec_begin(const char *text, char copy[32], char **rest,
    struct listen_spec *spec, struct error *error)
{
	const char *name;
	bool known = false;

	if (strlen(text) < 32) {
		memcpy(copy, text, strlen(text) + 1);
		str_lower(copy);
		*rest = copy;
		name = strsep(rest, ":");
		for (size_t i = 0; i < NAMES; i++)
			known = known || str_equal(name, names[i]);
	}
	if (!known)
		return error_set(
		    error, RES_INVALID, "not an interface (a, b, c, d or lo)");
	memcpy(spec->name, name, strlen(name) + 1);
	return 0;
}

int
listen_spec_parse(
    const char *text, struct listen_spec *spec, struct error *error)
{
	char copy[32], *rest = copy;

	*spec =
	    (struct listen_spec){ .client_port = 5222, .component_port = 5223 };
	if (spec_begin(text, copy, &rest, spec, error) != 0)
		return RES_INVALID;
	if (!read_port(&rest, &spec->client_port) ||
	    !read_port(&rest, &spec->component_port) || rest != NULL)
		return error_set(error, RES_INVALID,
		    "not <interface>[:<client port>[:<component port>]]");
	if (spec->client_port == spec->component_port)
		return error_set(error, RES_INVALID,
		    "clients and components need different ports");
	return 0;
}

int
websocket_spec_parse(
    const char *text, struct listen_spec *spec, struct error *error)
{
	char copy[32], *rest = copy;

	*spec = (struct listen_spec){ .client_port = 5443 };
	if (spec_begin(text, copy, &rest, spec, error) != 0)
		return RES_INVALID;
	if (!read_port(&rest, &spec->client_port) || rest != NULL)
		return error_set(
		    error, RES_INVALID, "not <interface>[:<port>]");
	return 0;
}
