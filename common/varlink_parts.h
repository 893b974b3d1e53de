#ifndef COMMON_VARLINK_PARTS_H
#define COMMON_VARLINK_PARTS_H

#include "common/varlink_server.h"

/* Inside of the server: what its files have of each other. */

/* Listens at a path: a descriptor, or a negative RES_*. (varlink_listen.c) */
int varlink_listen(const char *path, struct error *error);

/* org.varlink.service.GetInfo and GetInterfaceDescription; they answer the
   call. (varlink_service.c) */
void varlink_service_info(
    struct varlink_call *call, const struct varlink_interface *iface);
void varlink_service_describe(struct varlink_call *call, json_t *params,
    const struct varlink_interface *iface);

/* Ends the call with an error of org.varlink.service that has one parameter. */
void varlink_refuse(struct varlink_call *call, const char *error,
    const char *key, const char *value);

#endif
