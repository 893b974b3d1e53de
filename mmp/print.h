#ifndef MMP_PRINT_H
#define MMP_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * Prints each check as a SUCCESS: or FAILURE: line (nothing where out is NULL);
 * false if any of them isn't ok. NULL is no checks.
 */
bool print_checks(FILE *out, const json_t *checks);

/* "FAILURE: " and the text, as one line whatever is in it. */
void print_failure(FILE *out, const char *text);

/* A result as one line of JSON; NULL is an empty object. */
void print_json(FILE *out, const json_t *result);

/* Text of a peer or a file: control characters can't drive the terminal. NULL
   is nothing. */
void print_text(FILE *out, const char *text);

#endif
