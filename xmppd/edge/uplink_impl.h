#ifndef XMPPD_EDGE_UPLINK_IMPL_H
#define XMPPD_EDGE_UPLINK_IMPL_H

#include "common/map.h"
#include "xmppd/edge/accepted.h"
#include "xmppd/edge/queries.h"
#include "xmppd/edge/uplink.h"

/* What uplink.c and uplink_receive.c share, and nobody else knows. */

struct uplink {
	struct uplink_config cfg;
	struct uplink_ops ops;
	struct origin origin;
	struct link *link;
	struct accepted *accepted;
	struct map sessions; /* struct uplink_session by sid */
	bool linked;
	uint64_t term; /* newest seen */
	uint64_t next_id;
	uint64_t last_ok; /* when the newest answered ping was sent */
	uint64_t next_ping;
	bool expired;  /* and no answer since */
	bool expiring; /* the sessions are ending for it */
	struct queries queries;
	char *caps; /* the newest DOWN_CAPS; NULL: none */
	struct buf out;
};

/* Sends what an encoder has just put into `out`. */
void uplink_flush(struct uplink *u);
void uplink_answer(
    struct uplink *u, struct query *q, int code, struct text data);
/* Ends everything if hold is over (rule 11); whether it was. */
bool uplink_expire(struct uplink *u, uint64_t now);

#endif
