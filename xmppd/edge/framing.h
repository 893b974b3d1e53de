#ifndef XMPPD_EDGE_FRAMING_H
#define XMPPD_EDGE_FRAMING_H

#include <stdbool.h>

#include "common/buf.h"
#include "xmppd/link/frame.h"

/*
 * What the edge says is a run of elements as they stand in a stream, which
 * declares their namespaces. Over WebSocket each is a message of its own, "with
 * all relevant namespace declarations" (RFC 7395, 3.3.3). Pure.
 */

/* The run's first element, as such a message in `out`; the run goes on behind
 * it. False: there is none left. */
bool framing_next(struct text *run, struct buf *out);

#endif
