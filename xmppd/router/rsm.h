#ifndef XMPPD_ROUTER_RSM_H
#define XMPPD_ROUTER_RSM_H

#include "common/stanza.h"

/* Result set management (XEP-0059): which part of a list is asked for. */
struct rsm {
	bool there, bad;
	size_t max; /* SIZE_MAX: not said */
	bool has_index;
	uint64_t index;             /* of the first: 2.5 */
	const char *after, *before; /* borrowed; before "": the last page */
};

struct rsm rsm_read(const struct xml *parent);

/* What is said of a page. */
struct rsm_page {
	const char *first, *last; /* NULL: it is empty */
	size_t index, count;      /* of the first; of the whole list */
	bool no_index, no_count;  /* they cost too much to say */
};

void rsm_write(struct buf *b, const struct rsm_page *page);

#endif
