#ifndef XMPPD_CLUSTER_STORE_COMMAND_H
#define XMPPD_CLUSTER_STORE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xmppd/cluster/store.h"

/* One command as it was decoded; what it doesn't have is zero. */
struct store_command_data {
	uint8_t what; /* enum store_command */
	char *name;   /* setting, account, component */
	char *value;  /* a setting's value, a component's secret */
	bool given;   /* the secret was typed, not generated */
	struct scram_keys keys;
	struct store_effect effect;
	struct origin origin;
	uint64_t low;
	uint64_t account; /* FORMER_DEL: its id */
	uint64_t *rows;   /* ROWS_DEL */
	size_t row_count;
	struct store_member member; /* BOOT, DEL, CLEAR: identity, boot only */
	uint32_t raft_id;
	uint64_t batch; /* ARCHIVE, and its messages, borrowed: */
	const uint8_t *messages;
	size_t messages_len;
	int64_t time; /* SWEEP: unix milliseconds */
};

/*
 * Reads one command. RES_INVALID for bytes that no encoder makes; `what` is
 * then set all the same. The caller clears it either way.
 */
int store_command_decode(
    struct store_command_data *d, const void *bytes, size_t len);
void store_command_clear(struct store_command_data *d);

/* The next command of an entry; false at its end, or where it is malformed
 * (cursor_ok() tells). */
bool store_entry_next(struct cursor *c, struct store_proposal *p);

/* Whether a text is what it is when normalised: "10.1.1.1:5222". The key sorts
 * as addresses do: IPv4 before IPv6, by number, then by port. */
#define STORE_ADDRESS_KEY 19
bool store_address_key(const char *address, uint8_t key[STORE_ADDRESS_KEY]);

#endif
