/*
 * The audit line, in the form that log servers know of the original:
 *
 *	cb1 cli: User admin from 10.1.1.9:63290 issued command < xmpp>:
 *permission granted
 *
 * Secrets never are part of a command, so none is in it.
 */
#include "mmp/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/xmalloc.h"

static void
append(const struct mmp *mmp, const char *text)
{
	char stamp[32], *path, *line;
	int fd, len;

	xasprintf(&path, "%s/audit.log", mmp->root);
	fd = open(
	    path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);
	free(path);
	if (fd < 0)
		return;
	clock_stamp(clock_unix(), stamp);
	len = xasprintf(&line, "%s local0.info %s cli[%ld]: %s\n", stamp,
	    mmp->hostname, (long)getpid(), text);
	/* The system's log has it as well: a full disk is no reason to refuse
	   the command. */
	if (write(fd, line, (size_t)len) < 0)
		syslog(
		    LOG_LOCAL0 | LOG_WARNING, "audit.log: %s", strerror(errno));
	free(line);
	close(fd);
}

void
audit_command(const struct mmp *mmp, const char *command, const char *verdict)
{
	char *text;

	xasprintf(&text, "User %s from %s issued command < %s>: %s", mmp->user,
	    mmp->source, command, verdict);
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	openlog("cli", LOG_PID, LOG_LOCAL0);
	syslog(LOG_LOCAL0 | LOG_INFO, "%s", text);
	append(mmp, text);
	free(text);
}
