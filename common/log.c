/*
 * Logging to syslog, standard error and a file of the node's root. The only
 * mutable globals of the program are here.
 */
#include "common/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define SYSLOG_ASK_S 10

static const char *log_program = "mmp";
static enum log_level log_upto = LOG_LEVEL_INFO;
static int log_stderr = 1;
static int log_fd = -1;
static _Atomic time_t syslog_asked;
static atomic_bool syslog_there;

static const struct {
	int priority;
	const char *name;
} log_levels[] = {
	[LOG_LEVEL_ERR] = { LOG_ERR, "ERROR" },
	[LOG_LEVEL_WARN] = { LOG_WARNING, "WARNING" },
	[LOG_LEVEL_INFO] = { LOG_INFO, "INFO" },
	[LOG_LEVEL_DEBUG] = { LOG_DEBUG, "DEBUG" },
};

void
log_init(const char *program, enum log_level upto, int to_stderr)
{
	log_program = program;
	log_upto = upto;
	log_stderr = to_stderr;
	openlog(program, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void
log_set_level(enum log_level upto)
{
	log_upto = upto;
}

void
log_set_file(int fd)
{
	log_fd = fd;
}

/* Replaces what could forge a line or drive a terminal. */
static void
log_escape(char *line)
{
	for (; *line != '\0'; line++)
		if ((unsigned char)*line < 0x20 || *line == 0x7f)
			*line = '?';
}

static void
log_write(int fd, enum log_level level, const char *line)
{
	struct timeval now;
	struct tm tm;
	char stamp[32], out[2304];
	int len;

	gettimeofday(&now, NULL);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	len = snprintf(out, sizeof(out), "%s.%03ldZ %s[%d]: %s : %s\n", stamp,
	    (long)now.tv_usec / 1000, log_program, (int)getpid(),
	    log_levels[level].name, line);
	if (len > (int)sizeof(out) - 1)
		len = (int)sizeof(out) - 1;
	/* One write a line keeps lines of several threads whole. */
	if (write(fd, out, (size_t)len) < 0)
		return;
}

/*
 * Without a system log, each line would look for it anew: so it is asked for
 * only so often. Threads may do so at once, and find the same.
 */
static bool
has_syslog(void)
{
	time_t now = time(NULL);

	if (now - atomic_load(&syslog_asked) >= SYSLOG_ASK_S) {
		atomic_store(&syslog_asked, now);
		atomic_store(&syslog_there, access(_PATH_LOG, F_OK) == 0);
	}
	return atomic_load(&syslog_there);
}

static void log_line(enum log_level level, const char *fmt, va_list ap,
    const char *why) __attribute__((format(printf, 2, 0)));

static void
log_line(enum log_level level, const char *fmt, va_list ap, const char *why)
{
	int saved = errno;
	char line[2048];
	int len;

	if (level > log_upto)
		return;
	len = vsnprintf(line, sizeof(line), fmt, ap);
	if (why != NULL && len >= 0 && (size_t)len < sizeof(line))
		snprintf(line + len, sizeof(line) - (size_t)len, ": %s", why);
	log_escape(line);
	if (has_syslog())
		syslog(log_levels[level].priority, "%s : %s",
		    log_levels[level].name, line);
	if (log_stderr)
		log_write(STDERR_FILENO, level, line);
	if (log_fd >= 0)
		log_write(log_fd, level, line);
	errno = saved;
}

#define LOG_FUNCTION(name, level)                                              \
	void name(const char *fmt, ...)                                        \
	{                                                                      \
		va_list ap;                                                    \
                                                                               \
		va_start(ap, fmt);                                             \
		log_line(level, fmt, ap, NULL);                                \
		va_end(ap);                                                    \
	}

LOG_FUNCTION(log_err, LOG_LEVEL_ERR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

void
fatal(const char *fmt, ...)
{
	const char *why = strerror(errno);
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_ERR, fmt, ap, why);
	va_end(ap);
	exit(1);
}

void
fatalx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_ERR, fmt, ap, NULL);
	va_end(ap);
	exit(1);
}
