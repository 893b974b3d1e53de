/*
 * The two clocks of the system: monotonic for intervals, wall for stamps.
 */
#include "common/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
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
clock_unix_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
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

void
clock_stamp_ms(int64_t unix_ms, char out[32])
{
	char seconds[32];

	clock_stamp(unix_ms / 1000, seconds);
	snprintf(out, 32, "%.*s.%03dZ", (int)strlen(seconds) - 1, seconds,
	    (int)(unix_ms % 1000));
}

/* ".5", if there is a fraction. */
static const char *
parse_fraction(const char *at, int64_t *ms)
{
	int64_t unit = 100;

	*ms = 0;
	if (*at != '.')
		return at;
	if (!isdigit((unsigned char)*++at))
		return NULL;
	for (; isdigit((unsigned char)*at); at++, unit /= 10)
		*ms += (*at - '0') * unit;
	return at;
}

/* "Z" or "+01:00"; seconds to the east. */
static bool
parse_zone(const char *at, int64_t *east)
{
	int hours, minutes, len = 0;
	char sign;

	*east = 0;
	if (strcmp(at, "Z") == 0)
		return true;
	if (sscanf(at, "%c%2d:%2d%n", &sign, &hours, &minutes, &len) != 3 ||
	    len != 6 || at[6] != '\0' || (sign != '+' && sign != '-') ||
	    hours < 0 || hours > 14 || minutes < 0 || minutes > 59)
		return false;
	*east = (hours * 60 + minutes) * 60;
	if (sign == '-')
		*east = -*east;
	return true;
}

bool
clock_parse_ms(const char *stamp, int64_t *unix_ms)
{
	struct tm tm = { 0 };
	const char *at = strptime(stamp, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ms, east;

	if (at == NULL || at - stamp != 19)
		return false;
	at = parse_fraction(at, &ms);
	if (at == NULL || !parse_zone(at, &east))
		return false;
	*unix_ms = ((int64_t)timegm(&tm) - east) * 1000 + ms;
	return true;
}
