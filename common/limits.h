#ifndef COMMON_LIMITS_H
#define COMMON_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/*
 * The limits that clients are held to: one table of names, units, defaults and
 * bounds, which the command, the manual, the router and the edges share.
 */
enum limit {
	LIMIT_STANZA,
	LIMIT_LOGIN_STANZA,
	LIMIT_DEPTH,
	LIMIT_ATTRIBUTES,
	LIMIT_RATE,
	LIMIT_STANZAS,
	LIMIT_CONNECTIONS,
	LIMIT_LOGINS,
	LIMIT_SESSIONS,
	LIMIT_ATTEMPTS,
	LIMIT_FAILURES,
	LIMIT_LOCKOUT,
	LIMIT_LOGIN_TIME,
	LIMIT_RESUME_TIME,
	LIMIT_ARCHIVE,
	LIMIT_OFFLINE,
	LIMIT_DATA,
	LIMITS
};

struct limit_row {
	const char *name; /* as typed: "stanza" */
	const char *unit; /* "bytes"; "" where the help says it */
	uint64_t usual, min, max;
	const char *help; /* one line, lower case, no full stop */
};

extern const struct limit_row limit_rows[LIMITS];

/* Values, by enum limit. */
struct edge_limits {
	uint64_t of[LIMITS];
};

void limits_init(struct edge_limits *l); /* each as usual */

/* The row of a name, or LIMITS. */
enum limit limit_find(const char *name);

/* Takes a number as text, also with k, M or G (1024) behind it; RES_INVALID
 * names what would be possible. */
int limit_parse(
    enum limit limit, const char *text, uint64_t *out, struct error *e);

#endif
