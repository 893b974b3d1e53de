#ifndef XMPPD_EXPORT_H
#define XMPPD_EXPORT_H

#include <stdbool.h>

/*
 * What a reset would lose, as lines of JSON: {"domain"}, then for each account
 * {"account", "keys", "roster": [...]}, {"message", "to", "time"} for each
 * stored message, {"of", "space", ...} for each item, and {"archive",
 * "time_ms", "message"} for each archived message. Sent as answers with
 * `lines`, in pieces, each when the one before has been sent.
 */
struct store;
struct varlink_call;

/* whole: false if the caller has gone. The call is still to be answered. */
typedef void (*export_done_fn)(void *arg, bool whole);

void export_begin(struct store *s, const char *domain,
    struct varlink_call *call, export_done_fn done, void *arg);

#endif
