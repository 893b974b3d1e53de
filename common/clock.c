/*
 * The two clocks of the system: monotonic for intervals, wall for stamps.
 */
#include "common/clock.h"

#include <time.h>

uint64_t
clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
clock_ms(void)
{
	return clock_us() / 1000;
}

int64_t
clock_unix(void)
{
	return (int64_t)time(NULL);
}

int64_t
clock_unix_at(uint64_t ms)
{
	int64_t away = (int64_t)ms - (int64_t)clock_ms();
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + away) / 1000;
}

void
clock_stamp(int64_t unix_time, char out[32])
{
	time_t t = (time_t)unix_time;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}
