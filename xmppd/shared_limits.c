/*
 * Reads the limits from the store.
 */
#include "xmppd/shared_limits.h"

#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/cluster/store.h"

char *
shared_limit_setting(enum limit limit)
{
	char *name;

	xasprintf(&name, "limit/%s", limit_rows[limit].name);
	return name;
}

bool
shared_limits_load(struct store *store, struct edge_limits *limits)
{
	struct edge_limits now;

	limits_init(&now);
	for (size_t i = 0; i < LIMITS; i++) {
		char *name = shared_limit_setting((enum limit)i);
		char *value = store_setting(store, name);

		/* One out of bounds was set by another version: as usual. */
		if (value != NULL)
			limit_parse((enum limit)i, value, &now.of[i], NULL);
		free(value);
		free(name);
	}
	if (memcmp(&now, limits, sizeof(now)) == 0)
		return false;
	*limits = now;
	return true;
}
