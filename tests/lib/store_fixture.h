#ifndef TESTS_LIB_STORE_FIXTURE_H
#define TESTS_LIB_STORE_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "xmppd/cluster/store.h"

/*
 * A store in a private folder, without a thread, that remembers the newest
 * event; and one well-formed command of each kind.
 */
struct store_fixture {
	char dir[64];
	struct store *store;
	uint64_t index;           /* of the newest entry */
	size_t applied, replaced; /* how many events of a kind came */
	struct store_event last;  /* pointers in it are gone, these are kept: */
	uint64_t rows[8], versions[8]; /* of its ops */
	char name[64];
	char failed[512]; /* why; "" */
	int copy_code;    /* of the newest copy or install */
	uint64_t copy_index;
};

void store_fixture_init(struct store_fixture *f);
void store_fixture_clear(struct store_fixture *f);
void store_fixture_reopen(struct store_fixture *f);

/* The callbacks that fill the fixture, for a store that a test opens itself. */
struct store_callbacks store_fixture_callbacks(struct store_fixture *f);

void store_fixture_copied_cb(
    void *arg, int code, uint64_t index, const uint8_t sha256[32]);
void store_fixture_installed_cb(void *arg, int code, uint64_t index);

/* Applies one command as an entry of its own (clears `command`), from proposer
 * 0 or as named; returns the event's code. */
int store_fixture_run(struct store_fixture *f, struct buf *command);
int store_fixture_run_as(struct store_fixture *f, uint64_t proposer,
    uint64_t seq, struct buf *command);

/* Sample `i` of each kind of command; false beyond the last kind. */
bool store_sample(size_t i, struct buf *b);

/* Keys that differ by `seed`. */
struct scram_keys store_sample_keys(uint8_t seed);
/* Member number n: identity, key and Raft id n, cbN at 10.0.0.N:5222. */
void store_sample_member(struct store_member *m, uint8_t n);

#endif
