#ifndef MMP_CALL_H
#define MMP_CALL_H

#include "common/varlink_client.h"
#include "mmp/mmp.h"

/* A call to a daemon; `params` is taken. */
struct call {
	enum command_at at;
	const char *method;
	json_t *params;
	varlink_more_cb more; /* answers before the last; NULL: none wanted */
	void *arg;
	int timeout_ms; /* 0: as long as commands may take */
};

/* As mmp_call(); *absent: the daemon couldn't be called at all. */
int call_stream(struct mmp *mmp, const struct call *call, json_t **result,
    bool *absent, struct error *error);

#endif
