/*
 * The bucket, seen from its other side: each unit moves the moment at which all
 * is paid for, which may be up to a second ahead.
 */
#include "xmppd/edge/rate.h"

#define SECOND_US 1000000ULL

uint64_t
rate_take(struct rate *r, uint64_t units, uint64_t per_second, uint64_t now)
{
	uint64_t now_us = now * 1000;

	if (r->even_us < now_us)
		r->even_us = now_us;
	r->even_us += units * SECOND_US / per_second;
	if (r->even_us <= now_us + SECOND_US)
		return now;
	return (r->even_us - SECOND_US + 999) / 1000;
}
