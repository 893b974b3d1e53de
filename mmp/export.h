#ifndef MMP_EXPORT_H
#define MMP_EXPORT_H

#include "mmp/mmp.h"

/*
 * Saves what `xmpp reset` would lose for good to a file in the pki folder.
 * *said is a check that says so and *name the file's name, both the caller's;
 * NULL if nothing would be lost. The file is on the disk as a whole, or the
 * error says why not.
 */
int export_save(struct mmp *mmp, json_t **said, json_t **name, bool *absent,
    struct error *error);

#endif
