/*
 * The table of limits, and how a value is read.
 */
#include "common/limits.h"

#include <string.h>

#include "common/strutil.h"

#define KIB 1024ULL
#define MIB (1024ULL * 1024)

/* The least of LOGIN_STANZA is RFC 6120's own (13.12); ATTEMPTS are the first
 * and between 2 and 5 more (6.4.5). */
const struct limit_row limit_rows[LIMITS] = {
	[LIMIT_STANZA] = { "stanza", "bytes", 256 * KIB, 10000, 16 * MIB,
	    "size of a stanza" },
	[LIMIT_LOGIN_STANZA] = { "login-stanza", "bytes", 10000, 10000, 1 * MIB,
	    "size of an element before the login" },
	[LIMIT_DEPTH] = { "depth", "levels", 64, 8, 1000,
	    "how deep the elements of a stanza may be nested" },
	[LIMIT_ATTRIBUTES] = { "attributes", "", 64, 16, 1000,
	    "attributes of one element" },
	[LIMIT_RATE] = { "rate", "bytes/s", 1 * MIB, 1 * KIB, 1024 * MIB,
	    "what is read from one session" },
	[LIMIT_STANZAS] = { "stanzas", "stanzas/s", 5000, 1, 1000000,
	    "how many stanzas are read from one session" },
	[LIMIT_CONNECTIONS] = { "connections", "", 10000, 1, 1000000,
	    "connections from one address to one server" },
	[LIMIT_LOGINS] = { "logins", "", 256, 1, 4096,
	    "connections from one address that are not logged in yet" },
	[LIMIT_SESSIONS] = { "sessions", "", 100, 1, 1000,
	    "sessions of one user" },
	[LIMIT_ATTEMPTS] = { "attempts", "", 5, 3, 6,
	    "tries to log in on one connection" },
	[LIMIT_FAILURES] = { "failures", "", 10, 3, 1000,
	    "wrong passwords for a user from one address until a lock-out" },
	[LIMIT_LOCKOUT] = { "lockout", "s", 60, 1, 86400,
	    "first lock-out; each that follows lasts twice as long" },
	[LIMIT_LOGIN_TIME] = { "login-time", "s", 30, 5, 600,
	    "time for a login" },
	[LIMIT_RESUME_TIME] = { "resume-time", "s", 300, 0, 86400,
	    "how long a session that lost its connection can be resumed" },
	[LIMIT_ARCHIVE] = { "archive", "bytes", 256 * MIB, 64 * KIB,
	    1024 * 1024 * MIB, "archive of one user; the oldest go" },
	[LIMIT_OFFLINE] = { "offline", "bytes", 4 * MIB, 0, 1024 * MIB,
	    "messages that wait for one user" },
	[LIMIT_DATA] = { "data", "bytes", 16 * MIB, 64 * KIB, 1024 * MIB,
	    "what a user may keep on the server: vCard, bookmarks, keys" },
};

void
limits_init(struct edge_limits *l)
{
	for (size_t i = 0; i < LIMITS; i++)
		l->of[i] = limit_rows[i].usual;
}

enum limit
limit_find(const char *name)
{
	size_t i = 0;

	while (i < LIMITS && strcmp(limit_rows[i].name, name) != 0)
		i++;
	return (enum limit)i;
}

/* What a letter behind a number multiplies it by; 0: none that is known. */
static uint64_t
factor_of(const char *letter)
{
	if (letter[0] == '\0')
		return 1;
	if (letter[1] != '\0')
		return 0;
	switch (letter[0]) {
	case 'k':
	case 'K':
		return KIB;
	case 'M':
		return MIB;
	case 'G':
		return KIB * MIB;
	default:
		return 0;
	}
}

int
limit_parse(enum limit limit, const char *text, uint64_t *out, struct error *e)
{
	const struct limit_row *row = &limit_rows[limit];
	size_t digits = strspn(text, "0123456789");
	uint64_t factor = factor_of(text + digits), number = 0;
	char copy[24];

	/* 19 digits fit into 64 bits. */
	if (digits > 0 && digits < 20 && factor > 0) {
		memcpy(copy, text, digits);
		copy[digits] = '\0';
		if (str_to_u64(copy, 0, UINT64_MAX / factor, &number))
			number *= factor;
		else
			digits = 0;
	} else {
		digits = 0;
	}
	if (digits == 0 || number < row->min || number > row->max)
		return error_set(e, RES_INVALID, "%s is %llu to %llu%s%s",
		    row->name, (unsigned long long)row->min,
		    (unsigned long long)row->max,
		    row->unit[0] == '\0' ? "" : " ", row->unit);
	*out = number;
	return RES_OK;
}
