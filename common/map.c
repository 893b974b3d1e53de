/*
 * An open-addressed hash table with linear probing and a keyed hash.
 */
#include "common/map.h"

#include <sys/random.h>

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xmalloc.h"

struct map_slot {
	const void *key;
	size_t len;
	uint64_t hash;
	void *value; /* NULL: free, or removed when key is set */
};

static const char map_removed; /* its address marks a removed entry's key */

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

static const uint64_t *
map_seed(void)
{
	static uint64_t seed[2];
	static int known;

	/* Racing threads would both write it; so main() makes a map first. */
	if (!known && getrandom(seed, sizeof(seed), 0) == sizeof(seed))
		known = 1;
	return seed;
}

/* SipHash-1-3 (Aumasson, Bernstein 2012). */
static uint64_t
map_hash(const void *key, size_t len)
{
	const uint64_t *k = map_seed();
	uint64_t v[4] = { k[0] ^ 0x736f6d6570736575ULL,
		k[1] ^ 0x646f72616e646f6dULL, k[0] ^ 0x6c7967656e657261ULL,
		k[1] ^ 0x7465646279746573ULL };
	const uint8_t *p = key;
	uint64_t m = 0;
	size_t left = len;

	for (; left >= 8; left -= 8, p += 8) {
		memcpy(&m, p, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	m = 0;
	if (left != 0)
		memcpy(&m, p, left);
	m |= (uint64_t)len << 56;
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The slot that holds the key, or the one where it would go. */
static struct map_slot *
map_slot(const struct map *m, uint64_t hash, const void *key, size_t len)
{
	struct map_slot *free_slot = NULL, *s;

	for (size_t i = hash & (m->size - 1);; i = (i + 1) & (m->size - 1)) {
		s = &m->slots[i];
		if (s->value == NULL) {
			if (s->key == NULL)
				return free_slot != NULL ? free_slot : s;
			if (free_slot == NULL)
				free_slot = s;
		} else if (s->hash == hash && s->len == len &&
		    memcmp(s->key, key, len) == 0) {
			return s;
		}
	}
}

static void
map_resize(struct map *m)
{
	struct map old = *m;
	struct map_slot *s;

	m->size = 16;
	while (m->size < old.count * 4)
		m->size *= 2;
	m->slots = xcalloc(m->size, sizeof(*m->slots));
	m->used = m->count;
	for (size_t i = 0; i < old.size; i++) {
		s = &old.slots[i];
		if (s->value != NULL)
			*map_slot(m, s->hash, s->key, s->len) = *s;
	}
	free(old.slots);
}

void
map_clear(struct map *m)
{
	free(m->slots);
	*m = (struct map){ 0 };
}

void *
map_find(const struct map *m, const void *key, size_t len)
{
	if (m->count == 0)
		return NULL;
	return map_slot(m, map_hash(key, len), key, len)->value;
}

void *
map_put(struct map *m, const void *key, size_t len, void *value)
{
	struct map_slot *s;
	uint64_t hash = map_hash(key, len);
	void *old;

	if (value == NULL)
		fatalx("map_put: no value");
	if (m->used + 1 > m->size / 2)
		map_resize(m);
	s = map_slot(m, hash, key, len);
	old = s->value;
	if (old == NULL) {
		m->count++;
		if (s->key == NULL)
			m->used++;
	}
	*s = (struct map_slot){ key, len, hash, value };
	return old;
}

void *
map_remove(struct map *m, const void *key, size_t len)
{
	struct map_slot *s;
	void *old;

	if (m->count == 0)
		return NULL;
	s = map_slot(m, map_hash(key, len), key, len);
	old = s->value;
	if (old != NULL) {
		s->value = NULL;
		s->key = &map_removed;
		m->count--;
	}
	return old;
}

void *
map_next(const struct map *m, size_t *at)
{
	while (*at < m->size) {
		struct map_slot *s = &m->slots[(*at)++];

		if (s->value != NULL)
			return s->value;
	}
	return NULL;
}

void *
map_find_str(const struct map *m, const char *key)
{
	return map_find(m, key, strlen(key));
}

void *
map_put_str(struct map *m, const char *key, void *value)
{
	return map_put(m, key, strlen(key), value);
}

void *
map_remove_str(struct map *m, const char *key)
{
	return map_remove(m, key, strlen(key));
}
