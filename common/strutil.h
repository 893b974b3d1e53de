#ifndef COMMON_STRUTIL_H
#define COMMON_STRUTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NULL equals only NULL. */
bool str_equal(const char *a, const char *b);
bool str_equal_nocase(const char *a, const char *b);
bool str_starts(const char *str, const char *prefix);
bool str_ends(const char *str, const char *suffix);

/* A whole decimal number within [min, max]; no sign, blank or rest. */
bool str_to_u64(const char *str, uint64_t min, uint64_t max, uint64_t *out);

/* Whether the bytes are UTF-8 as RFC 3629 has it. */
bool str_is_utf8(const char *str, size_t len);

/* Lower-cases ASCII letters in place. */
void str_lower(char *str);

/*
 * Reads a whole file of at most `max` bytes, NUL-terminated beyond *len; the
 * caller frees. NULL with errno set (EFBIG when larger).
 */
char *file_read(const char *path, size_t max, size_t *len);

/*
 * Replaces a file as a whole: temporary file beside it, fsync, rename, fsync
 * of the folder. 0, or -1 with errno set and the old file as it was.
 */
int file_write(const char *path, const void *data, size_t len, unsigned mode);

#endif
