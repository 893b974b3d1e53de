#ifndef XMPPD_SERVICE_H
#define XMPPD_SERVICE_H

#include "common/result.h"

/*
 * Brings listeners, TLS contexts, trust, the edge's service and Raft's
 * leadership in line with the settings and the state (node_apply() does all of
 * it). Each can be done again at any time.
 */
struct listen_ops;
struct node;

extern const struct listen_ops service_listen_ops;

int service_tls(struct node *n, struct error *e);
void service_peers(struct node *n); /* who this node and its peers are */
/* 5222 is bound for the cluster's protocol on a member, served or not; 5223
 * while clients are served. */
int service_listeners(struct node *n, struct error *e);

#endif
