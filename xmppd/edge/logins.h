#ifndef XMPPD_EDGE_LOGINS_H
#define XMPPD_EDGE_LOGINS_H

#include <stdbool.h>

/*
 * How many logins are under way, in all and from each address: both have a
 * limit, for whoever connects costs a handshake before it says who it is. A
 * node has one for all its edges, which are threads: it has a lock of its own.
 */
struct logins;

struct logins *logins_new(void);
void logins_free(struct logins *l);

/* `peer`: "192.0.2.1:40000". False: there are too many; the first time is
 * logged. */
bool logins_enter(struct logins *l, const char *peer);
void logins_leave(struct logins *l, const char *peer);
/* Whether a burst of them has just ended; true once a burst. */
bool logins_burst_over(struct logins *l);

#endif
