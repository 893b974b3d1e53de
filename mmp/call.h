#ifndef MMP_CALL_H
#define MMP_CALL_H

#include "mmp/mmp.h"

/* Called with an answer before the last; true if nothing more is to be done
   with it, false to have it joined with the rest. */
typedef bool (*call_part_cb)(json_t *part, void *arg);

/* A call to a daemon; `params` is taken. */
struct call {
	enum command_at at;
	const char *method;
	json_t *params;
	call_part_cb part; /* or NULL: all are joined */
	void *arg;
	int timeout_ms; /* 0: as long as commands may take */
};

/*
 * As mmp_call(). A result that comes in pieces is joined: lists go on, other
 * values replace. *absent: the daemon couldn't be called at all.
 */
int call_daemon(struct mmp *mmp, const struct call *call, json_t **result,
    bool *absent, struct error *error);

#endif
