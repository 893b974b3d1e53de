#ifndef COMMON_COMMANDS_H
#define COMMON_COMMANDS_H

#include <stddef.h>

#include "common/role.h"

/*
 * The table of commands: what an administrator can type, who may, and which
 * method does it. Data only; parser, help, completion, role checks, the calls
 * to the daemons and the lint of the manual all come of it.
 */
enum command_at { AT_LOCAL, AT_XMPPD, AT_CALLBRIDGE };

/* What is asked beyond the line. */
enum command_ask {
	ASK_NOTHING,
	ASK_SECRET,  /* without echo: becomes the parameter `asks` */
	ASK_PASSWORD /* the same, typed twice at a terminal */
};

struct command {
	const char *pattern; /* see grammar.h */
	const char *help;    /* one line, lower case, no full stop */
	enum role role;
	enum command_at at;
	const char *method; /* "Cluster.Join", behind the daemon's interface */
	enum command_ask ask;
	const char *prompt; /* "Enter callbridge secret: " */
	const char *asks;   /* the parameter's name */
	unsigned flags;
};

#define CMD_REMOVES 1u /* never by an abbreviated word */
#define CMD_REREAD 2u  /* sends the files that the group's Show names again */
#define CMD_EXPORT 4u  /* saves what would be lost to the pki folder first */

/* What the commands that begin with these words are about. */
struct command_group {
	const char *words;
	const char *help;
};

/* A command of the original that has no place here. */
struct command_elsewhere {
	const char *words;   /* its first words: "xmpp motd"; * is any */
	const char *instead; /* what to use, or why there is none */
};

extern const struct command commands[]; /* end with one without a pattern */
extern const struct command_group command_groups[];         /* the same */
extern const struct command_elsewhere commands_elsewhere[]; /* the same */

/* "im.xmppd"; NULL for AT_LOCAL. */
const char *command_interface(enum command_at at);

#endif
