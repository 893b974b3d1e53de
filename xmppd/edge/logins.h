#ifndef XMPPD_EDGE_LOGINS_H
#define XMPPD_EDGE_LOGINS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"

/*
 * What is counted by address: connections, those of them whose login is under
 * way (whoever connects costs a handshake before it says who it is), and wrong
 * passwords (lockout.h). Each has a limit. A node has one for all its edges,
 * which are threads: it has a lock of its own.
 */
struct logins;

struct logins *logins_new(void);
void logins_free(struct logins *l);

/* A connection. `peer`: "192.0.2.1:40000". False: there are too many; the first
 * time is logged. */
bool logins_enter(
    struct logins *l, const char *peer, const struct edge_limits *limits);
/* Its login is over, but it stays. */
void logins_done(struct logins *l, const char *peer);
/* It has gone; `under_way`: before that. */
void logins_leave(struct logins *l, const char *peer, bool under_way);
/* Whether a burst of logins has just ended; true once a burst. */
bool logins_burst_over(struct logins *l);

/* lockout.h, under the lock. */
bool logins_allow(
    struct logins *l, const char *peer, const char *user, uint64_t now);
bool logins_failed(struct logins *l, const char *peer, const char *user,
    const struct edge_limits *limits, uint64_t now);
void logins_passed(
    struct logins *l, const char *peer, const char *user, uint64_t now);

#endif
