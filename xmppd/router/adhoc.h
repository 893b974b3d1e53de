#ifndef XMPPD_ROUTER_ADHOC_H
#define XMPPD_ROUTER_ADHOC_H

#include "common/buf.h"
#include "xmppd/router/iq_store.h"

/*
 * Commands (XEP-0050) of the server, for those who administer it: what a
 * command asks for, and what it does. None keeps anything between its steps:
 * a form that is filled in says all.
 */
struct adhoc_field {
	const char *var, *type, *label;
	bool required;
};

struct adhoc;

/* Does it: may write the fields of a result, and a note. */
typedef enum stanza_error (*adhoc_fn)(struct adhoc *a);

struct adhoc_command {
	const char *node, *name;
	const struct adhoc_field *fields; /* the last has no var; NULL: none */
	bool stores; /* proposes what is applied before it is answered */
	adhoc_fn run;
};

/* One that is being executed. */
struct adhoc {
	struct router *r;
	struct job *job;
	const struct xml *form; /* filled in; NULL: it has no fields */
	struct buf result;      /* fields */
	char *note;             /* owned; NULL: none */
};

extern const struct adhoc_command adhoc_commands[]; /* the last has no node */
extern const char adhoc_form_type[];

/* Whether an address administers the server. */
bool adhoc_may(struct router *r, const struct job *job);

#endif
