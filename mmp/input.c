/*
 * Lines of standard input.
 */
#include "mmp/input.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/xmalloc.h"

#define CHUNK 4096

struct input {
	int fd;
	bool ended;
	struct buf buf;
};

struct input *
input_new(int fd)
{
	struct input *input = xcalloc(1, sizeof(*input));

	input->fd = fd;
	return input;
}

void
input_free(struct input *input)
{
	if (input == NULL)
		return;
	buf_wipe(&input->buf);
	free(input);
}

/* Where the first line ends in the buffer; NULL if it isn't all there. */
static const uint8_t *
find_end(const struct input *input)
{
	if (input->buf.len == 0)
		return NULL;
	return memchr(input->buf.data, '\n', input->buf.len);
}

/* Reads some more; false at the end or when a signal came. */
static bool
read_more(struct input *input)
{
	ssize_t n;

	if (input->ended)
		return false;
	n = read(input->fd, buf_reserve(&input->buf, CHUNK), CHUNK);
	if (n < 0 && errno == EINTR)
		return false;
	if (n <= 0)
		input->ended = true;
	else
		input->buf.len += (size_t)n;
	return !input->ended;
}

/* Drops the rest of a line that is too long. */
static void
skip_line(struct input *input)
{
	const uint8_t *end;

	while ((end = find_end(input)) == NULL) {
		buf_reset(&input->buf);
		if (!read_more(input))
			return;
	}
	buf_drop(&input->buf, (size_t)(end + 1 - input->buf.data));
}

static void
drop_cr(char *line)
{
	size_t len = strlen(line);

	if (len > 0 && line[len - 1] == '\r')
		line[len - 1] = '\0';
}

char *
input_text(const void *data, size_t len)
{
	char *text = xmalloc(len + 1);

	memcpy(text, data, len);
	text[len] = '\0';
	for (size_t at = 0; (at += strlen(text + at)) < len;)
		text[at] = '\1';
	return text;
}

char *
input_line(struct input *input, size_t max, bool *cut)
{
	const uint8_t *end;
	size_t len;
	char *line;

	*cut = false;
	while ((end = find_end(input)) == NULL && input->buf.len <= max)
		if (!read_more(input))
			break;
	if (end == NULL && !input->ended && input->buf.len <= max)
		return NULL; /* a signal */
	if (end == NULL && input->buf.len == 0)
		return NULL;
	len = end != NULL ? (size_t)(end - input->buf.data) : input->buf.len;
	*cut = len > max;
	line = input_text(input->buf.data, *cut ? max : len);
	if (*cut) {
		skip_line(input);
		return line;
	}
	buf_drop(&input->buf, len + (end != NULL));
	drop_cr(line);
	return line;
}

char *
input_peek(struct input *input, int timeout_ms)
{
	struct pollfd p = { .fd = input->fd, .events = POLLIN };
	const uint8_t *end;
	size_t len;
	char *line;

	while ((end = find_end(input)) == NULL && !input->ended)
		if (poll(&p, 1, timeout_ms) != 1 || !read_more(input))
			break;
	if (end == NULL && (!input->ended || input->buf.len == 0))
		return NULL;
	len = end != NULL ? (size_t)(end - input->buf.data) : input->buf.len;
	line = input_text(input->buf.data, len);
	drop_cr(line);
	return line;
}
