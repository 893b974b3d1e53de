#ifndef XMPPD_ROUTER_MAM_H
#define XMPPD_ROUTER_MAM_H

#include "xmppd/router/core.h"

/* Adds <metadata/> of an account's archive (XEP-0313, 5). */
void mam_write_metadata(struct router *r, const char *account, struct buf *b);

#endif
