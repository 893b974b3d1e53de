#ifndef XMPPD_ROUTER_PEP_H
#define XMPPD_ROUTER_PEP_H

#include "xmppd/cluster/store_item.h"
#include "xmppd/router/iq_store.h"
#include "xmppd/router/pep_node.h"

/*
 * Personal eventing (XEP-0163): nodes of accounts, after XEP-0060. A node is
 * an item of SPACE_PEP_NODE, its items are of SPACE_PEP, and who has to do with
 * it beyond presence is in SPACE_PEP_WHO.
 */
#define NS_PUBSUB "http://jabber.org/protocol/pubsub"
#define NS_PUBSUB_OWNER NS_PUBSUB "#owner"
#define NS_PUBSUB_EVENT NS_PUBSUB "#event"
#define NS_PUBSUB_ERRORS NS_PUBSUB "#errors"
#define NS_NODE_CONFIG NS_PUBSUB "#node_config"

/* A node of an account. */
struct pep_node {
	struct router *r;
	char *account, *bare; /* of the owner */
	char *name;
	bool exists;
	struct node_config config; /* the defaults, if it doesn't */
	struct store_item *who;    /* once asked for */
	size_t who_count;
	bool who_read;
};

void pep_node_open(struct pep_node *n, struct router *r,
    const struct address *owner, const char *name);
void pep_node_close(struct pep_node *n);

/* What a JID is to a node: "subscribed", "pending" or "none"; "member",
 * "outcast" or "none". */
const char *pep_subscription(struct pep_node *n, struct text jid);
const char *pep_affiliation(struct pep_node *n, struct text bare);
/* The same as it is kept: "subscription affiliation". */
void pep_who_put(struct router *r, struct change *c, struct pep_node *n,
    const char *jid, const char *subscription, const char *affiliation);

/* Whether somebody may read the node and be told of it; if not, what is wrong,
 * and *condition as of XEP-0060. */
enum stanza_error pep_access(
    struct pep_node *n, const struct address *who, const char **condition);

/* Where the parts of a node are in the store. */
struct store_node pep_items(const struct pep_node *n);

/* Tells those who want to know. `inner`: what the <event/> holds. `number`
 * tells apart what one frame says. */
void pep_notify(struct pep_node *n, struct job *job, const struct buf *inner,
    uint64_t number);
/* The last item of a node to one session, named by the term. */
void pep_send_last(struct pep_node *n, struct login *s);

/* "<item id='..'>payload</item>" */
void pep_add_item(struct buf *b, const char *id, const struct buf *payload);

/* ---- requests (xep_0060.c, xep_0060_owner.c) --------------------------- */

/* One that is being handled. */
struct pep_request {
	struct router *r;
	struct job *job;
	struct address from;
	bool own;                /* the account's owner asks */
	const struct xml *top;   /* <pubsub/> */
	const struct xml *verb;  /* what it asks for: <publish/> */
	struct pep_node node;    /* that it names; name NULL: none */
	const char *condition;   /* of XEP-0060, if it is refused */
	const char *unsupported; /* the feature, with that condition */
};

typedef enum stanza_error (*pep_fn)(struct pep_request *q);

#define PEP_ANY_NODE 0x01 /* the node needs not be named */
#define PEP_ABSENT 0x02   /* ... needs not exist */
#define PEP_OTHERS 0x04   /* not for the owner only */
#define PEP_STORES 0x08   /* changes the store: see iq_stored() */

struct pep_verb {
	uint8_t type; /* TYPE_GET or TYPE_SET */
	const char *name;
	unsigned flags; /* PEP_* */
	pep_fn handle;
};

/* Finds the verb in a table, and handles the request. */
enum stanza_error pep_handle(struct router *r, struct job *job,
    const struct xml *top, const struct pep_verb *verbs);

/* Answers with <pubsub/> around this, which is cleared. */
void pep_answer(struct pep_request *q, struct buf *inner);

/* pep_subscribe.c */
enum stanza_error pep_subscribe(struct pep_request *q);
enum stanza_error pep_unsubscribe(struct pep_request *q);
enum stanza_error pep_subscriptions(struct pep_request *q);
enum stanza_error pep_affiliations(struct pep_request *q);

enum stanza_error pep_refuse(
    struct pep_request *q, enum stanza_error e, const char *condition);

#endif
