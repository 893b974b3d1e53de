/*
 * Bytes going out (struct buf) and foreign bytes coming in (struct cursor).
 */
#include "common/buf.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"

#define TEXT_ABSENT 0xffffffffU

void
buf_clear(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
}

void
buf_wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->size);
	buf_clear(b);
}

uint8_t *
buf_grow(struct buf *b, size_t extra)
{
	size_t size = b->size == 0 ? 64 : b->size;

	while (size - b->len < extra)
		size *= 2;
	b->data = xrealloc(b->data, size);
	b->size = size;
	return b->data;
}

void
buf_add_str(struct buf *b, const char *str)
{
	buf_add(b, str, strlen(str));
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int len;

	va_start(ap, fmt);
	len = xvasprintf(&text, fmt, ap);
	va_end(ap);
	buf_add(b, text, (size_t)len);
	free(text);
}

void
buf_add_block(struct buf *b, const void *data, size_t len)
{
	buf_add_u32(b, (uint32_t)len);
	buf_add(b, data, len);
}

void
buf_add_text(struct buf *b, const char *str)
{
	if (str == NULL)
		buf_add_u32(b, TEXT_ABSENT);
	else
		buf_add_block(b, str, strlen(str));
}

void
buf_put_u32(struct buf *b, size_t at, uint32_t v)
{
	v = htobe32(v);
	memcpy(b->data + at, &v, sizeof(v));
}

void
buf_drop(struct buf *b, size_t len)
{
	if (len >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
}

char *
buf_str(struct buf *b)
{
	char *end = buf_reserve(b, 1);

	*end = '\0';
	return (char *)b->data;
}

char *
buf_steal_str(struct buf *b)
{
	char *str = buf_str(b);

	*b = (struct buf){ 0 };
	return str;
}

void
cursor_init(struct cursor *c, const void *data, size_t len)
{
	c->p = data;
	c->end = len == 0 ? c->p : c->p + len;
	c->failed = false;
}

const uint8_t *
cursor_bytes(struct cursor *c, size_t len)
{
	return cursor_take(c, len);
}

const uint8_t *
cursor_block(struct cursor *c, size_t *len)
{
	const uint8_t *at;

	*len = cursor_u32(c);
	at = cursor_bytes(c, *len);
	if (at == NULL)
		*len = 0;
	return at;
}

const char *
cursor_text(struct cursor *c, size_t *len)
{
	const uint8_t *at;
	uint32_t have = cursor_u32(c);

	*len = 0;
	if (c->failed || have == TEXT_ABSENT)
		return NULL;
	at = cursor_bytes(c, have);
	if (at == NULL)
		return NULL;
	if (have != 0 && memchr(at, '\0', have) != NULL) {
		c->failed = true;
		return NULL;
	}
	*len = have;
	return (const char *)at;
}

char *
cursor_dup_text(struct cursor *c)
{
	size_t len;
	const char *text = cursor_text(c, &len);
	char *copy;

	if (text == NULL)
		return NULL;
	copy = xmalloc(len + 1);
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

size_t
cursor_left(const struct cursor *c)
{
	return c->failed ? 0 : (size_t)(c->end - c->p);
}

bool
cursor_ok(const struct cursor *c)
{
	return !c->failed;
}

bool
cursor_done(const struct cursor *c)
{
	return !c->failed && c->p == c->end;
}
