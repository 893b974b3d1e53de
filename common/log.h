#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdarg.h>

enum log_level {
	LOG_LEVEL_ERR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/*
 * The event log: one line a thing that happened, to syslog and, with
 * `to_stderr`, to standard error as well. Lines read "subsystem: who: what:
 * why", in lower case and without a full stop. Control characters in what
 * peers sent are escaped here, so callers need not. Thread-safe; errno is
 * kept. Never log a secret or the body of a stanza.
 */
void log_init(const char *program, enum log_level upto, int to_stderr);
void log_set_level(enum log_level upto);

/* Also appends each line to an open file (ROOT/log); -1 ends it. */
void log_set_file(int fd);

void log_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Ends the process: at start-up, or when an invariant is broken, never over
 * input. fatal() adds the text of errno.
 */
void fatal(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));
void fatalx(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));

#endif
