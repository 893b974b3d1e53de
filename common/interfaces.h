#ifndef COMMON_INTERFACES_H
#define COMMON_INTERFACES_H

#include <sys/socket.h>

#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/*
 * The interfaces of a node, as its administrators name them: a, b, c, d and lo.
 * ROOT/interfaces.json maps each to addresses, or to an interface of the system
 * with all of its addresses:
 *
 *	{"a": {"addresses": ["10.1.1.1", "2001:db8::1"]},
 *	 "b": {"interface": "eth1"}}
 *
 * Without the file a, b, c, d are the system's interfaces in their order. lo is
 * the loopback interface where the file doesn't say otherwise.
 */
struct interfaces;

/* RES_INVALID with "file: what" where the file makes no sense. */
struct interfaces *interfaces_load(const char *root, struct error *error);
void interfaces_free(struct interfaces *interfaces);

/* Starts with *at = 0; NULL at the end. Names in order. */
const char *interfaces_next(const struct interfaces *interfaces, size_t *at);

/* The system's name for it ("eth1"); NULL where it is mapped to addresses, or
   there is none of that name. */
const char *interfaces_system_name(
    const struct interfaces *interfaces, const char *name);

/*
 * Its addresses now, with port 0; the caller frees *out. RES_NOT_FOUND: no such
 * interface; RES_STATE: it has no address. Link-local addresses are left out.
 */
int interfaces_addresses(const struct interfaces *interfaces, const char *name,
    struct sockaddr_storage **out, size_t *count, struct error *error);

/* What `xmpp listen` takes: "a", "a:5222", "a:5222:5223". */
struct listen_spec {
	char name[8];
	uint16_t client_port, component_port;
};

int listen_spec_parse(
    const char *text, struct listen_spec *spec, struct error *error);
/* What `xmpp websocket listen` takes: "a", "a:5443"; client_port alone. */
int websocket_spec_parse(
    const char *text, struct listen_spec *spec, struct error *error);

#endif
