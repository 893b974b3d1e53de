#ifndef XMPPD_ROUTER_FORWARD_H
#define XMPPD_ROUTER_FORWARD_H

#include "xmppd/router/core.h"

/* A stanza inside another (XEP-0297). */
struct forward {
	struct text stanza; /* as it travels: its content namespace implied */
	const char *child;  /* added to it; NULL: nothing */
	int64_t time;       /* unix milliseconds, for <delay/>; 0: none */
};

void forward_write(struct buf *b, const struct forward *f);

#endif
