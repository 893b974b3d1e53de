#ifndef XMPPD_EXPORT_H
#define XMPPD_EXPORT_H

#include <stdbool.h>

/*
 * What a reset would lose, as lines of JSON: {"domain"}, then for each account
 * {"account", "keys", "roster": [...]}, then {"message", "to", "time"} for each
 * stored message. Sent as answers with `lines`, in pieces.
 */
struct store;
struct varlink_call;

/* False if the caller has gone. */
bool export_lines(
    struct store *s, const char *domain, struct varlink_call *call);

#endif
