/*
 * What the link's messages are about: names of edges, sessions and deliveries,
 * texts, and the keys of accounts.
 */
#include "xmppd/link/frame.h"

#include <inttypes.h>
#include <string.h>

#include "common/result.h"
#include "common/xmalloc.h"

/* ---- names ------------------------------------------------------------- */

bool
origin_equal(const struct origin *a, const struct origin *b)
{
	return a->incarnation == b->incarnation && a->node == b->node &&
	    a->edge == b->edge;
}

bool
sid_equal(const struct sid *a, const struct sid *b)
{
	return a->id == b->id && a->node == b->node && a->edge == b->edge;
}

bool
sid_is_zero(const struct sid *s)
{
	return s->id == 0 && s->node == 0 && s->edge == 0;
}

bool
dkey_equal(const struct dkey *a, const struct dkey *b)
{
	return a->kind == b->kind && a->num == b->num &&
	    a->version == b->version && origin_equal(&a->origin, &b->origin) &&
	    sid_equal(&a->about, &b->about);
}

/* ---- lists of sessions ------------------------------------------------- */

#define SID_TEXT 33 /* hexadecimal digits, and a blank */

void
sids_add(struct buf *list, const struct sid *s)
{
	buf_addf(list, "%08" PRIx32 "%08" PRIx32 "%016" PRIx64 " ", s->node,
	    s->edge, s->id);
}

static uint64_t
hex_read(const char *digits, size_t count, bool *ok)
{
	static const char values[] = "0123456789abcdef";
	const char *at;
	uint64_t v = 0;

	for (size_t i = 0; i < count; i++) {
		at = memchr(values, digits[i], 16);
		if (at == NULL) {
			*ok = false;
			return 0;
		}
		v = v << 4 | (uint64_t)(at - values);
	}
	return v;
}

bool
sids_next(struct text *list, struct sid *s)
{
	bool ok = true;

	memset(s, 0, sizeof(*s));
	if (list->data == NULL || list->len < SID_TEXT - 1)
		return false;
	s->node = (uint32_t)hex_read(list->data, 8, &ok);
	s->edge = (uint32_t)hex_read(list->data + 8, 8, &ok);
	s->id = hex_read(list->data + 16, 16, &ok);
	if (!ok)
		return false;
	if (list->len < SID_TEXT) {
		list->len = 0;
		return true;
	}
	list->data += SID_TEXT;
	list->len -= SID_TEXT;
	return true;
}

/* ---- texts ------------------------------------------------------------- */

struct text
text_of(const char *str)
{
	return (struct text){ str, str == NULL ? 0 : strlen(str) };
}

bool
text_is(struct text t, const char *str)
{
	return text_equal(t, text_of(str));
}

bool
text_equal(struct text a, struct text b)
{
	if (a.data == NULL || b.data == NULL)
		return a.data == b.data;
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

char *
text_dup(struct text t)
{
	char *copy;

	if (t.data == NULL)
		return NULL;
	copy = xmalloc(t.len + 1);
	memcpy(copy, t.data, t.len);
	copy[t.len] = '\0';
	return copy;
}

/* ---- keys -------------------------------------------------------------- */

static void
scram_key_encode(struct buf *b, const struct scram_key *k)
{
	buf_add_u8(b, k->salt_len);
	buf_add(b, k->salt, k->salt_len);
	buf_add_u32(b, k->iterations);
	buf_add(b, k->stored_key, sizeof(k->stored_key));
	buf_add(b, k->server_key, sizeof(k->server_key));
}

static void
bytes_decode(struct cursor *c, uint8_t *out, size_t len)
{
	const uint8_t *at = cursor_bytes(c, len);

	if (at == NULL)
		memset(out, 0, len);
	else
		memcpy(out, at, len);
}

static void
scram_key_decode(struct cursor *c, struct scram_key *k)
{
	k->salt_len = cursor_u8(c);
	/* More than there can be fails on what follows: nothing is left. */
	if (k->salt_len > sizeof(k->salt))
		cursor_bytes(c, cursor_left(c) + 1);
	else
		bytes_decode(c, k->salt, k->salt_len);
	k->iterations = cursor_u32(c);
	bytes_decode(c, k->stored_key, sizeof(k->stored_key));
	bytes_decode(c, k->server_key, sizeof(k->server_key));
}

void
scram_keys_encode(struct buf *b, const struct scram_keys *keys)
{
	scram_key_encode(b, &keys->sha1);
	scram_key_encode(b, &keys->sha256);
	buf_add_u64(b, keys->version);
}

int
scram_keys_decode(struct cursor *c, struct scram_keys *keys)
{
	memset(keys, 0, sizeof(*keys));
	scram_key_decode(c, &keys->sha1);
	scram_key_decode(c, &keys->sha256);
	keys->version = cursor_u64(c);
	return cursor_ok(c) ? RES_OK : RES_INVALID;
}
