#ifndef XMPPD_SETTINGS_H
#define XMPPD_SETTINGS_H

#include "common/conf.h"

/*
 * This node's own settings, in ROOT/xmppd.json (mode 0600). What all nodes of a
 * cluster share (the domain, accounts, ...) is in the store instead. Keys and
 * certificates are copies: the pki folder is the administrators', and a file
 * half-uploaded there must harm nobody.
 */
enum setting {
	SET_ENABLED,   /* `xmpp enable` was the last word */
	SET_CLUSTERED, /* cluster mode */
	SET_LISTEN,    /* as typed: "a", "b:5222:5223" */
	SET_WEBSOCKET, /* the same for WebSocket: "a", "b:5443" */
	SET_PLAINTEXT, /* components without TLS, from loopback */
	SET_KEY_FILE,  /* the names in the pki folder, to be shown */
	SET_CERT_FILE,
	SET_BUNDLE_FILE,
	SET_TRUST_FILE,
	SET_KEY,          /* PEM */
	SET_CERT,         /* the server's own */
	SET_BUNDLE,       /* its issuers in order */
	SET_TRUST,        /* the peers that are trusted */
	SET_LAST_COMMAND, /* the last cluster command and how it ended */
	SETTINGS
};

extern const struct conf_setting settings[SETTINGS];

/* The settings that the store holds, equal on all nodes of a cluster. */
#define SHARED_DOMAIN "domain"
#define SHARED_HOLD "hold"       /* seconds */
#define SHARED_CLUSTER "cluster" /* its identity, hexadecimal */

#define HOLD_DEFAULT 3
#define HOLD_MIN 1
#define HOLD_MAX 60

#endif
