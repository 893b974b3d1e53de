#ifndef MMP_SHELL_H
#define MMP_SHELL_H

#include "mmp/mmp.h"

/* The interactive shell on the terminal, until 'exit' or Ctrl-D. */
int shell_run(struct mmp *mmp);

/* Commands from standard input that nobody types. The status of the first that
   failed. */
int script_run(struct mmp *mmp);

#endif
