#ifndef XMPPD_INSTANCE_H
#define XMPPD_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/result.h"

/*
 * Which cluster this node's durable state belongs to, and who the node is in
 * it: ROOT/instance.json. The state itself (raft.db, state.db) is in a folder
 * ROOT/data-<number>; a new number begins a new life (a join, a reset), and the
 * old folder goes when the new one is known to hold.
 */
struct instance {
	uint64_t number;      /* of the data folder */
	uint8_t identity[16]; /* of the node: permanent, random */
	uint8_t
	    cluster[16];   /* of the cluster; random for a standalone server */
	uint8_t key[32];   /* proves which member this is; given at join */
	uint32_t raft_id;  /* never reused within a cluster */
	bool born;         /* its log has been made */
	bool founder;      /* its log began here, as the one voter */
	uint64_t boot;     /* number of this start (upper half) and a random
			      part, so that a clone's differs */
	uint64_t previous; /* while joining: the folder to go back to; 0 */
};

/*
 * Reads the file, or makes an identity and a first instance. What a crash left
 * of a join that did not complete is undone.
 */
int instance_load(const char *root, struct instance *in, struct error *e);
int instance_save(const char *root, const struct instance *in, struct error *e);

/* Counts this start in. Saves. */
int instance_boot(const char *root, struct instance *in, struct error *e);

/* A new life as a standalone server: the next number, a cluster of its own. */
void instance_found(struct instance *in);

/* ROOT/data-<number>, made if it isn't there; the caller frees. */
char *instance_dir(const char *root, uint64_t number);
/* Whether there is a Raft log in its folder. */
bool instance_has_log(const char *root, const struct instance *in);
void instance_delete(const char *root, uint64_t number);

/* How many bytes its files have. */
uint64_t instance_size(const char *root, uint64_t number);

#endif
