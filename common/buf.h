#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <endian.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * A growing run of bytes. All zero is a valid empty one. Integers are written
 * big-endian. `data` may be NULL while `len` is 0; buf_str() makes it a
 * NUL-terminated text (the NUL isn't counted in `len`).
 */
struct buf {
	uint8_t *data;
	size_t len, size;
};

void buf_clear(struct buf *b); /* frees */
void buf_reset(struct buf *b); /* empties, keeps the memory */
void buf_wipe(struct buf *b);  /* zeroes, then frees: secrets */
/* For buf_reserve(). */
uint8_t *buf_grow(struct buf *b, size_t extra) __attribute__((returns_nonnull));
void buf_add_str(struct buf *b, const char *str);
void buf_addf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* A block is its length (u32) and its bytes; NULL is the length 0xffffffff. */
void buf_add_block(struct buf *b, const void *data, size_t len);
void buf_add_text(struct buf *b, const char *str);
void buf_put_u32(struct buf *b, size_t at, uint32_t v); /* overwrites */
void buf_drop(struct buf *b, size_t len); /* removes from the front */
char *buf_str(struct buf *b);             /* borrowed; valid until changed */
char *buf_steal_str(struct buf *b); /* the caller frees; b becomes empty */

/* What each message does some hundred times is inline. */

/* Room at the end. */
static inline void *
buf_reserve(struct buf *b, size_t extra)
{
	uint8_t *data = b->data;

	if (data == NULL || b->size - b->len < extra)
		data = buf_grow(b, extra);
	return data + b->len;
}

static inline void
buf_add(struct buf *b, const void *data, size_t len)
{
	if (len == 0)
		return;
	memcpy(buf_reserve(b, len), data, len);
	b->len += len;
}

static inline void
buf_add_u8(struct buf *b, uint8_t v)
{
	buf_add(b, &v, sizeof(v));
}

static inline void
buf_add_u16(struct buf *b, uint16_t v)
{
	v = htobe16(v);
	buf_add(b, &v, sizeof(v));
}

static inline void
buf_add_u32(struct buf *b, uint32_t v)
{
	v = htobe32(v);
	buf_add(b, &v, sizeof(v));
}

static inline void
buf_add_u64(struct buf *b, uint64_t v)
{
	v = htobe64(v);
	buf_add(b, &v, sizeof(v));
}

/*
 * A reading position in foreign bytes, with a sticky error: read everything,
 * then ask cursor_ok() once. After an error all reads give 0, NULL or "".
 * Nothing is copied: blocks and texts point into the bytes. A text is checked
 * to hold no NUL and is NOT terminated; cursor_dup_text() copies it.
 */
struct cursor {
	const uint8_t *p, *end;
	bool failed;
};

void cursor_init(struct cursor *c, const void *data, size_t len);
const uint8_t *cursor_bytes(struct cursor *c, size_t len);
const uint8_t *cursor_block(struct cursor *c, size_t *len);
const char *cursor_text(struct cursor *c, size_t *len); /* NULL if absent */
char *cursor_dup_text(struct cursor *c); /* the caller frees; NULL if absent */
size_t cursor_left(const struct cursor *c);
bool cursor_ok(const struct cursor *c);   /* no error so far */
bool cursor_done(const struct cursor *c); /* no error, and all was read */

static inline const uint8_t *
cursor_take(struct cursor *c, size_t len)
{
	const uint8_t *at = c->p;

	if (c->failed || (size_t)(c->end - c->p) < len) {
		c->failed = true;
		return NULL;
	}
	c->p += len;
	return at;
}

static inline uint8_t
cursor_u8(struct cursor *c)
{
	const uint8_t *at = cursor_take(c, 1);

	return at == NULL ? 0 : *at;
}

static inline uint16_t
cursor_u16(struct cursor *c)
{
	const uint8_t *at = cursor_take(c, sizeof(uint16_t));
	uint16_t v = 0;

	if (at != NULL)
		memcpy(&v, at, sizeof(v));
	return be16toh(v);
}

static inline uint32_t
cursor_u32(struct cursor *c)
{
	const uint8_t *at = cursor_take(c, sizeof(uint32_t));
	uint32_t v = 0;

	if (at != NULL)
		memcpy(&v, at, sizeof(v));
	return be32toh(v);
}

static inline uint64_t
cursor_u64(struct cursor *c)
{
	const uint8_t *at = cursor_take(c, sizeof(uint64_t));
	uint64_t v = 0;

	if (at != NULL)
		memcpy(&v, at, sizeof(v));
	return be64toh(v);
}

#endif
