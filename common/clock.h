#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Time for those who sit at the edge of the system; pure modules are given the
 * time as an argument instead and never call these.
 */
uint64_t clock_ms(void);     /* monotonic, milliseconds */
uint64_t clock_us(void);     /* monotonic, microseconds */
int64_t clock_unix(void);    /* wall clock, seconds since 1970 UTC */
int64_t clock_unix_ms(void); /* the same, milliseconds */

/* The wall clock when the monotonic one shows ms: rounded, so that it is the
 * same whenever it is asked. */
int64_t clock_unix_at(uint64_t ms);

/* Writes "2026-11-22T09:10:12Z" (XEP-0082); out holds 32 bytes. */
void clock_stamp(int64_t unix_time, char out[32]);
/* The same of milliseconds: "2026-11-22T09:10:12.345Z". */
void clock_stamp_ms(int64_t unix_ms, char out[32]);
/* Reads one, with or without a fraction and a zone (XEP-0082); what is finer
 * than a millisecond goes. */
bool clock_parse_ms(const char *stamp, int64_t *unix_ms);

#endif
