#ifndef XMPPD_USER_IMPORT_H
#define XMPPD_USER_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/result.h"
#include "xmppd/link/frame.h"

/*
 * What a document of XEP-0227 says of a user, an element at a time: read,
 * checked and turned into commands of the store.
 */
struct store;

/* Whose it is; and names for the effects, which are used up. */
struct user_import {
	struct store *store;
	const char *account, *bare; /* its name in the store, its address */
	struct origin origin;
	uint64_t num;
};

/*
 * Appends the commands for one element, each with its length (u32) before it.
 * RES_NOT_FOUND: it is nothing that this server keeps, *name says what;
 * RES_INVALID: it is malformed, *e says how. The caller frees *name.
 */
int user_import_element(struct user_import *u, const char *text, size_t len,
    struct buf *commands, char **name, struct error *e);

#endif
