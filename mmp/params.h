#ifndef MMP_PARAMS_H
#define MMP_PARAMS_H

#include "common/grammar.h"
#include "mmp/mmp.h"

/*
 * The parameters of a method, by the labels of the arguments. For a daemon a
 * file comes as its name and contents, and a word that could have been left out
 * isn't a parameter: it asks for another layout, and goes into `layout` (an
 * object), for the printer. For a local handler both stay as they are typed.
 * The caller releases it; NULL and an error if a file can't be read.
 */
json_t *params_build(struct mmp *mmp, const struct match *match, json_t *layout,
    struct error *error);

/* For CMD_REREAD: the files that the group's Show names, as they are now. */
json_t *params_reread(struct mmp *mmp, const struct command *command,
    bool *absent, struct error *error);

#endif
