#ifndef TESTS_LIB_BOT_H
#define TESTS_LIB_BOT_H

#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/map.h"
#include "common/xmlstream.h"

/*
 * A client for load and timing: STARTTLS, SCRAM-SHA-1, bind, then stanzas as
 * bytes. It speaks to any server; what it costs itself is kept small, salted
 * passwords are computed once. With tests/bench/relay.c, which is no server, it
 * is there as soon as TLS is.
 */
struct bot;
struct conn_loop;
struct event_base;
struct ssl_ctx_st;

/* What all clients of a program share. */
struct bot_env {
	struct event_base *base;
	struct conn_loop *loop;
	struct ssl_ctx_st *tls;
	struct sockaddr_storage address;
	socklen_t address_len;
	const char *domain, *password;
	bool relay;
	struct map salted; /* of bot_salted, by user, salt and count */
};

/* Connects to a numeric host; trusts the certificates of a PEM file. Ends the
 * program with a line on standard error where that can't be. */
void bot_env_init(
    struct bot_env *env, const char *host, uint16_t port, const char *ca);
void bot_env_set_address(struct bot_env *env, const char *host, uint16_t port);

struct bot_ops {
	void (*bound)(void *arg); /* the session is there */
	void (*stanza)(void *arg, const struct xml_stanza *s);
	/* Refused or lost; the client is gone. */
	void (*closed)(void *arg, const char *why);
};

/* `from`: a numeric IPv4 address to connect from; NULL: any. */
struct bot *bot_new(struct bot_env *env, const char *user, const char *from,
    const struct bot_ops *ops, void *arg);
/* A user of the relay, by number. */
struct bot *bot_new_relayed(
    struct bot_env *env, uint32_t number, const struct bot_ops *ops, void *arg);
void bot_free(struct bot *c); /* ends the stream; no callback comes */
void bot_send(struct bot *c, const void *data, size_t len);
const char *bot_jid(const struct bot *c); /* the full one, once bound */

#endif
