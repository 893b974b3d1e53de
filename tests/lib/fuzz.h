#ifndef TESTS_LIB_FUZZ_H
#define TESTS_LIB_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

/*
 * What every fuzz target has. A target checks what must hold of what was
 * parsed, not only that nothing crashes: fuzz_check() ends the program where
 * it doesn't. It is linked with libFuzzer's main(), or with ours (fuzz_main.c),
 * which runs the seeds and the files that it is given.
 */

/* The names are libFuzzer's. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* NOLINT */
int LLVMFuzzerInitialize(int *argc, char ***argv);            /* NOLINT */

/* The target's own: seed number i into b; false beyond the last. They are
 * written into the first folder on the command line. */
bool fuzz_seed(size_t i, struct buf *b);

/* For targets whose seeds are texts, the end marked by NULL. */
bool fuzz_text_seed(const char *const *texts, size_t i, struct buf *b);

void fuzz_check(bool holds, const char *what);

/* A folder in memory for files; made at the first call, removed at exit. */
const char *fuzz_folder(void);

#endif
