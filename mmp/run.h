#ifndef MMP_RUN_H
#define MMP_RUN_H

#include "mmp/mmp.h"

/*
 * Runs one line: matches, checks the role, writes the audit line, asks what has
 * to be asked, does it and prints the result. `typed` at an interactive prompt:
 * words may be abbreviated, # is no comment, and errors point at the word.
 * An empty line is done at once.
 */
int run_line(struct mmp *mmp, const char *line, bool typed);

/* Says why this user may not, who would need a role; gives the status. */
int run_denied(const struct mmp *mmp, enum role needed);

/* Whether a line may be kept in a history: it isn't if what was typed may be a
   secret in the wrong place. */
bool run_may_be_kept(const struct mmp *mmp, const char *line);

#endif
