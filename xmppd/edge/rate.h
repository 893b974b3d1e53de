#ifndef XMPPD_EDGE_RATE_H
#define XMPPD_EDGE_RATE_H

#include <stdint.h>

/*
 * A token bucket: so many units a second in the long run, a second's worth at
 * once. What was taken too early is waited for afterwards, so that whoever is
 * over the rate goes on at it. Pure; times are in milliseconds.
 */
struct rate {
	uint64_t even_us; /* when what was taken so far is paid for */
};

/* Takes `units` at a rate a second; the time to take the next at. */
uint64_t rate_take(
    struct rate *r, uint64_t units, uint64_t per_second, uint64_t now);

#endif
