#ifndef COMMON_VARLINK_CLIENT_H
#define COMMON_VARLINK_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/result.h"

/* A blocking connection to a daemon's control socket. */
struct varlink_client;

/* Who gets the answers of a call before its last one, borrowed. */
typedef void (*varlink_more_cb)(json_t *parameters, void *arg);
struct varlink_more {
	varlink_more_cb cb;
	void *arg;
};

/*
 * Connects. NULL and RES_UNREACHABLE where no daemon answers, RES_DENIED where
 * the socket may not be used. The time-out holds for each wait.
 */
struct varlink_client *varlink_client_open(
    const char *path, int timeout_ms, struct error *error);
void varlink_client_free(struct varlink_client *client);

/* A wait for an answer also ends (RES_TIMEOUT) when this descriptor becomes
   readable; -1 is none. */
void varlink_client_set_interrupt(struct varlink_client *client, int fd);

/*
 * Calls a method by its full name; takes `parameters` (NULL: none) and zeroes
 * their texts, since one may be a secret. 0 and the answer, which the caller
 * releases; or the code and text of the refusal, or RES_UNREACHABLE,
 * RES_TIMEOUT or RES_IO: the connection is of no use then. With `more` the call
 * asks for it.
 */
int varlink_client_call(struct varlink_client *client, const char *method,
    json_t *parameters, json_t **result, struct error *error);
int varlink_client_stream(struct varlink_client *client, const char *method,
    json_t *parameters, const struct varlink_more *more, json_t **result,
    struct error *error);

#endif
