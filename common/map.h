#ifndef COMMON_MAP_H
#define COMMON_MAP_H

#include <stddef.h>
#include <stdint.h>

/*
 * A hash table from bytes to a pointer. Keys are NOT copied: a key lives in the
 * value it leads to, for as long as the entry does. The hash is seeded
 * (SipHash-1-3), so that peers cannot choose keys that collide. All zero is a
 * valid empty map. Not thread-safe.
 *
 * map_next() walks in no particular order; the entry it just returned may be
 * removed during the walk, nothing may be added.
 */
struct map_slot;
struct map {
	struct map_slot *slots;
	size_t count, used, size; /* used: with the marks of removed ones */
};

void map_clear(struct map *m);
void *map_find(const struct map *m, const void *key, size_t len);
void *map_find_str(const struct map *m, const char *key);

/* Adds, or replaces the value (and key) and returns the old value, else NULL.
 */
void *map_put(struct map *m, const void *key, size_t len, void *value);
void *map_put_str(struct map *m, const char *key, void *value);
void *map_remove(struct map *m, const void *key, size_t len);
void *map_remove_str(struct map *m, const char *key);

/* Starts with *at = 0; NULL at the end. */
void *map_next(const struct map *m, size_t *at);

#endif
