#ifndef MMP_LAYOUT_H
#define MMP_LAYOUT_H

#include <stddef.h>

struct buf;

/* Adds "  what    text", with the text from `column` on, broken between words
 * so that lines fit into a terminal of 80. A longer `what` has its own line. */
void layout_entry(
    struct buf *out, size_t column, const char *what, const char *text);

#endif
