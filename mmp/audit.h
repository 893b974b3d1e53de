#ifndef MMP_AUDIT_H
#define MMP_AUDIT_H

#include "mmp/mmp.h"

/* Notes who typed a command, from where, and whether it was permitted: to the
   system's log, and to ROOT/audit.log where that can be written. */
void audit_command(
    const struct mmp *mmp, const char *command, const char *verdict);

#endif
