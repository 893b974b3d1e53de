#ifndef XMPPD_EDGE_LOGINS_H
#define XMPPD_EDGE_LOGINS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/map.h"

/*
 * How many logins are under way, in all and from each address: both have a
 * limit, for whoever connects costs a handshake before it says who it is. Pure.
 */
struct logins {
	struct map addresses;
	size_t count; /* under way */
	size_t begun; /* since it was last set to 0 */
	bool full;    /* and said so */
};

/* `peer`: "192.0.2.1:40000". False: there are too many; the first time is
 * logged. */
bool logins_enter(struct logins *l, const char *peer);
void logins_leave(struct logins *l, const char *peer);
void logins_clear(struct logins *l);

#endif
