#ifndef MMP_INPUT_H
#define MMP_INPUT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Standard input where it isn't edited by libedit: lines of a script, and the
 * answers to prompts in between, out of one buffer.
 */
struct input;

struct input *input_new(int fd);
void input_free(struct input *input);

/*
 * The next line without its end (LF or CRLF), which the caller wipes and frees;
 * NULL at the end of input, or when a signal came. A line longer than `max` is
 * cut there, and *cut says so.
 */
char *input_line(struct input *input, size_t max, bool *cut);

/*
 * The same line, left where it is: NULL where none comes in that time. The
 * caller wipes and frees it.
 */
char *input_peek(struct input *input, int timeout_ms);

/* Bytes as a text, which the caller wipes and frees. A NUL becomes a control
 * character: nothing takes that, while a text that ends there might pass. */
char *input_text(const void *data, size_t len);

#endif
