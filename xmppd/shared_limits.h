#ifndef XMPPD_SHARED_LIMITS_H
#define XMPPD_SHARED_LIMITS_H

#include <stdbool.h>

#include "common/limits.h"

/*
 * The limits as the store has them, equal on all nodes of a cluster: a setting
 * each, "limit/" and its name, in decimal. One that isn't there is as usual.
 */
struct store;

/* True: some are others than they were. */
bool shared_limits_load(struct store *store, struct edge_limits *limits);

/* The setting's name; the caller frees. */
char *shared_limit_setting(enum limit limit);

#endif
