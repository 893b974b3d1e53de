#ifndef COMMON_RESULT_H
#define COMMON_RESULT_H

/*
 * Result codes: 0 is success, failures are negative. A code travels between
 * daemons and the shell by its name (result_name), so numbers may move.
 */
enum result {
	RES_OK = 0,
	RES_FAILED = -1,    /* refused; the text says why */
	RES_INVALID = -2,   /* the input is malformed */
	RES_EXISTS = -3,    /* there is one of that name */
	RES_NOT_FOUND = -4, /* there is none of that name */
	RES_STATE = -5,     /* not now: another step has to come first */
	RES_DENIED = -6,    /* the role or a proof is missing */
	RES_NO_LEADER = -7, /* no majority reachable: unknown outcome */
	RES_TIMEOUT = -8,
	RES_UNREACHABLE = -9,
	RES_IO = -10, /* disk or socket */
	RES_LIMIT = -11,
	RES_DIFFERS = -12 /* known already, with another value */
};

/* What went wrong, for the caller to show: one line without a full stop. */
struct error {
	enum result code;
	char text[512];
};

const char *result_name(int code);      /* "not-found"; "failed" if unknown */
int result_from_name(const char *name); /* RES_FAILED if unknown */
const char *result_text(int code);      /* "not found" */

/* Sets *e (which may be NULL) and returns the code, for `return error_set()`.
 */
int error_set(struct error *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
