#ifndef MMP_COMPLETE_H
#define MMP_COMPLETE_H

#include "common/buf.h"
#include "mmp/mmp.h"

/* What may stand where the cursor is: words that go on with what is there. */
struct candidates {
	char **at; /* sorted, none twice */
	size_t count;
	size_t typed; /* bytes of the line that they replace */
};

/* `line` is what stands before the cursor. Asks daemons for names, shortly. */
void complete_line(struct mmp *mmp, const char *line, struct candidates *out);
void candidates_clear(struct candidates *c);

/* How many bytes all of them begin with. */
size_t candidates_common(const struct candidates *c);

/* A candidate as it is typed: in quotes where it needs them. Caller frees. */
char *complete_quoted(const char *text);

/* What may come next, a line each with its explanation: for '?'. */
void complete_help(struct mmp *mmp, const char *line, struct buf *out);

#endif
