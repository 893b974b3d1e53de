#ifndef MMP_MMP_H
#define MMP_MMP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/commands.h"
#include "common/result.h"
#include "common/role.h"

struct grammar;
struct input;

/* Who uses the shell, where, and how results are to be shown. */
struct mmp {
	const char *root;     /* the node's folder */
	const char *hostname; /* of the node: "cb1" */
	const char *user;     /* "admin" */
	const char *source;   /* "10.1.1.9:63290", or "console" */
	enum role role;
	bool json;        /* results go out as JSON */
	bool tty;         /* somebody types: standard input is a terminal */
	int interrupt_fd; /* readable when Ctrl-C was typed; -1: it ends mmp */
	bool leave;       /* set by 'exit' */
	bool absent;      /* set by a local handler whose daemon isn't there */
	const struct grammar *grammar; /* of all commands */
	struct input *input;           /* lines of standard input */
};

/* Of a one-shot command, and of a script: the first that wasn't 0. */
enum mmp_status {
	MMP_DONE = 0,
	MMP_REFUSED = 1,
	MMP_NO_COMMAND = 2,
	MMP_NO_DAEMON = 3
};

/*
 * A local handler does what a row with AT_LOCAL says. Like a daemon's method it
 * gets the arguments by label ("pki match <key> <certificate>": {"key":
 * "a.key", "certificate": "a.crt"}; `...` makes an array, a word in brackets a
 * boolean), and gives a result: a JSON object that --json prints as it is, and
 * the method's printer as text. `*result` may stay NULL: success without
 * output. A refusal is a RES_* code, and a text that is printed behind
 * "FAILURE: ". Files of the pki folder come by name.
 *
 * Where the result has "checks": [{"ok": true, "text": "..."}], these are
 * printed as SUCCESS: and FAILURE: lines, and any that isn't ok makes the exit
 * status 1; no printer is needed then.
 */
typedef int (*mmp_handler)(struct mmp *mmp, const json_t *params,
    json_t **result, struct error *error);
typedef void (*mmp_printer)(FILE *out, const json_t *result);

struct mmp_method {
	const char *name;    /* "Pki.List", as in the table of commands */
	mmp_handler handler; /* NULL: a daemon's */
	mmp_printer printer; /* NULL: checks only */
};

/* Lists end with one without a name. */
extern const struct mmp_method daemon_methods[]; /* print.c */
extern const struct mmp_method help_methods[];   /* cmd_help.c */
extern const struct mmp_method iface_methods[];  /* cmd_iface.c */
extern const struct mmp_method node_methods[];   /* cmd_node.c */
extern const struct mmp_method pki_methods[];    /* cmd_pki.c */
extern const struct mmp_method user_methods[];   /* cmd_user.c */

/* NULL where none has that name. */
const struct mmp_method *mmp_method_find(const char *name);

/* ROOT/pki/NAME; the caller frees. NULL and an error if it isn't a name that a
   file there can have (it has no slash, and doesn't begin with a dot). */
char *mmp_pki_path(
    const struct mmp *mmp, const char *name, struct error *error);

/*
 * Calls a daemon's method ("Xmpp.Show"); takes `params`, NULL is none. 0 and
 * the result, which the caller releases; or the refusal. RES_UNREACHABLE: the
 * daemon isn't there.
 */
int mmp_call(struct mmp *mmp, enum command_at at, const char *method,
    json_t *params, json_t **result, struct error *error);

/*
 * Asks for a line without echo (without a terminal: prompt on standard error,
 * one line of standard input). NULL at the end of input; the caller releases
 * it with crypto_wipe_free().
 */
char *mmp_ask_secret(struct mmp *mmp, const char *prompt);

/* Twice at a terminal, once or twice elsewhere. NULL and an error where the two
   differ, or there is none. */
char *mmp_ask_password(
    struct mmp *mmp, const char *prompt, struct error *error);

/* True for y, Y or yes; the end of input is no. "overwrite it? [y/N] " */
bool mmp_confirm(struct mmp *mmp, const char *question);

#endif
