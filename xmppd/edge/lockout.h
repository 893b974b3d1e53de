#ifndef XMPPD_EDGE_LOCKOUT_H
#define XMPPD_EDGE_LOCKOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"

/*
 * Who may try passwords. Wrong ones are counted for each pair of address and
 * user, and for each address:
 *
 *   a pair      is locked out after LIMIT_FAILURES, so that one of many behind
 *               an address locks out nobody else there, and nobody from afar
 *               locks out a user at home
 *   an address  is locked out after ten times as many, whoever they were for;
 *               but not for a user who has logged in from there lately
 *
 * The first lock-out takes LIMIT_LOCKOUT; each that follows takes twice as
 * long, up to a day. A count is forgotten ten minutes after its last failure,
 * that of a pair also by a login. An account that doesn't exist is counted
 * like any other. Pure; memory is bounded: what is oldest goes.
 */
struct lockout;

struct lockout *lockout_new(void);
void lockout_free(struct lockout *l);

/* Whether the user may try from there. `address`: see address_key(); now: ms.
 */
bool lockout_allows(
    struct lockout *l, const char *address, const char *user, uint64_t now);
/* A wrong password. True: it was one too many, they are locked out from now. */
bool lockout_failed(struct lockout *l, const char *address, const char *user,
    const struct edge_limits *limits, uint64_t now);
void lockout_passed(
    struct lockout *l, const char *address, const char *user, uint64_t now);

/* How many bytes of "192.0.2.1:40000" or "[2001:db8::1]:40000" name who it is:
 * the address, of IPv6 the network (/64), which is one customer's. Writes it as
 * text. */
#define ADDRESS_KEY 48
void address_key(const char *peer, char key[ADDRESS_KEY]);

#endif
