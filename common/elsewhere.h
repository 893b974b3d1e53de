#ifndef COMMON_ELSEWHERE_H
#define COMMON_ELSEWHERE_H

#include <stddef.h>

struct words;

/*
 * What to use instead of a command of the original, of which the first `at`
 * words fit a row of the table; NULL if the line isn't one.
 */
const char *elsewhere_find(const struct words *words, size_t at);

#endif
