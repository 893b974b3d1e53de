/*
 * What the settings and the state of the cluster come to: which addresses are
 * listened on, with which certificate, for whom, and whether this node may
 * lead.
 */
#include "xmppd/service.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "common/interfaces.h"
#include "common/log.h"
#include "common/tls.h"
#include "common/xmalloc.h"
#include "xmppd/domains.h"
#include "xmppd/edge/logins.h"
#include "xmppd/listen.h"
#include "xmppd/local_edges.h"
#include "xmppd/node.h"

#define ADDRESSES_MAX 64

/* ---- listeners --------------------------------------------------------- */

static void
set_port(struct sockaddr_storage *sa, uint16_t port)
{
	/* Both families have the port in the same place. */
	((struct sockaddr_in *)(void *)sa)->sin_port = htons(port);
}

struct addresses {
	struct listen_address at[ADDRESSES_MAX];
	size_t count;
};

static void
address_add(struct addresses *list, const struct sockaddr_storage *sa,
    enum edge_port port, uint16_t number)
{
	struct listen_address *a = &list->at[list->count];

	if (list->count == ADDRESSES_MAX)
		return;
	list->count++;
	a->sa = *sa;
	a->port = port;
	set_port(&a->sa, number);
}

/* Those that one word of a setting says. */
static int
word_addresses(const struct interfaces *ifs, enum setting setting,
    const char *word, struct addresses *list, struct error *e)
{
	struct sockaddr_storage *sa = NULL;
	struct listen_spec spec;
	size_t count = 0;
	int rc = setting == SET_WEBSOCKET ? websocket_spec_parse(word, &spec, e)
					  : listen_spec_parse(word, &spec, e);

	if (rc == RES_OK)
		rc = interfaces_addresses(ifs, spec.name, &sa, &count, e);
	if (rc != RES_OK)
		return rc;
	for (size_t i = 0; i < count; i++) {
		if (setting == SET_WEBSOCKET) {
			address_add(
			    list, &sa[i], PORT_WEBSOCKET, spec.client_port);
			continue;
		}
		address_add(list, &sa[i], PORT_CLIENT, spec.client_port);
		address_add(list, &sa[i], PORT_COMPONENT, spec.component_port);
	}
	free(sa);
	return RES_OK;
}

/* All that `xmpp listen` and `xmpp websocket listen` say; clients come first.
 */
static int
addresses(const struct node *n, struct addresses *list, struct error *e)
{
	static const enum setting from[] = { SET_LISTEN, SET_WEBSOCKET };
	struct interfaces *ifs = interfaces_load(n->daemon->root, e);
	int rc = ifs == NULL ? RES_INVALID : RES_OK;

	list->count = 0;
	for (size_t k = 0; k < sizeof(from) / sizeof(from[0]); k++)
		for (size_t i = 0;
		     rc == RES_OK && i < conf_count(n->conf, from[k]); i++)
			rc = word_addresses(ifs, from[k],
			    conf_entry(n->conf, from[k], i), list, e);
	interfaces_free(ifs);
	return rc;
}

char *
node_address(const struct node *n, struct error *e)
{
	struct addresses list;
	char text[64];

	if (addresses(n, &list, e) != RES_OK)
		return NULL;
	if (conf_count(n->conf, SET_LISTEN) == 0) {
		error_set(e, RES_STATE,
		    "no listen interface configured: run "
		    "'xmpp listen <interface>' first");
		return NULL;
	}
	listen_text(&list.at[0].sa, text);
	return xstrdup(text);
}

/* Whether the edge takes clients at this moment: not while the majority has
 * been out of reach for longer than hold (G4). */
bool
node_is_serving(void *arg)
{
	struct node *n = arg;

	return node_wants_service(n) && local_edges_are_serving(n->edges);
}

/* 5222 is bound for the cluster's protocol on a member, served or not. */
int
service_listeners(struct node *n, struct error *e)
{
	struct addresses list, want = { .count = 0 };
	bool clustered = conf_bool(n->conf, SET_CLUSTERED) &&
	    conf_text(n->conf, SET_TRUST) != NULL && n->tls != NULL;
	int rc = addresses(n, &list, e);

	n->components_open = node_is_serving(n);
	if (rc != RES_OK)
		return rc;
	for (size_t i = 0; i < list.count; i++)
		if (list.at[i].port == PORT_CLIENT
			? node_wants_service(n) || clustered
			: n->components_open)
			want.at[want.count++] = list.at[i];
	return listener_set(n->listener, want.at, want.count, e);
}

static void
listen_accepted(void *arg, int fd, enum edge_port port, const char *from)
{
	local_edges_accept(((struct node *)arg)->edges, fd, port, from);
}

static void
listen_client(void *arg, int fd, struct ssl_st *ssl, const char *from)
{
	local_edges_adopt(((struct node *)arg)->edges, fd, ssl, from);
}

static void
listen_peer(void *arg, struct conn *c, const char *from)
{
	peers_adopt(((struct node *)arg)->peers, c, from);
}

static bool
listen_enter(void *arg, const char *from)
{
	struct node *n = arg;

	return logins_enter(n->logins, from, &n->limits);
}

static void
listen_leave(void *arg, const char *from)
{
	struct node *n = arg;

	logins_leave(n->logins, from, true);
}

static unsigned
listen_patience(void *arg)
{
	struct node *n = arg;

	return (unsigned)n->limits.of[LIMIT_LOGIN_TIME];
}

const struct listen_ops service_listen_ops = {
	.accepted = listen_accepted,
	.client = listen_client,
	.peer = listen_peer,
	.enter = listen_enter,
	.leave = listen_leave,
	.patience = listen_patience,
	.serving = node_is_serving,
};

/* ---- TLS --------------------------------------------------------------- */

int
service_tls(struct node *n, struct error *e)
{
	const char *key = conf_text(n->conf, SET_KEY);
	const char *cert = conf_text(n->conf, SET_CERT);
	const char *bundle = conf_text(n->conf, SET_BUNDLE);
	const char *trust = conf_text(n->conf, SET_TRUST);
	struct ssl_ctx_st *tls = NULL;
	char *chain = NULL;
	int rc = RES_OK;

	if (key != NULL && cert != NULL) {
		xasprintf(&chain, "%s%s", cert, bundle != NULL ? bundle : "");
		tls = tls_server_new(key, chain, e);
		rc = tls == NULL ? RES_INVALID : RES_OK;
	}
	if (tls != NULL)
		domains_add_tls(n->domains, tls);
	if (rc == RES_OK && tls != NULL && trust != NULL)
		rc = peers_set_tls(n->peers, key, chain, trust, e);
	free(chain);
	if (rc != RES_OK) {
		SSL_CTX_free(tls);
		return rc;
	}
	listener_set_tls(n->listener, tls,
	    trust != NULL && tls != NULL ? peers_tls(n->peers) : NULL);
	local_edges_set_tls(n->edges, tls);
	SSL_CTX_free(n->tls);
	n->tls = tls;
	return RES_OK;
}

/* ---- applying ---------------------------------------------------------- */

void
service_peers(struct node *n)
{
	struct peers_self self = { .domain = n->domain };
	const struct store_member *row = node_self(n);
	char *address = node_address(n, NULL), *host = node_hostname(n);
	char *dir = instance_dir(n->daemon->root, n->instance.number);

	memcpy(self.cluster, n->instance.cluster, sizeof(self.cluster));
	memcpy(
	    self.me.identity, n->instance.identity, sizeof(self.me.identity));
	memcpy(self.me.key, n->instance.key, sizeof(self.me.key));
	self.me.raft_id = n->instance.raft_id;
	self.me.boot = n->instance.boot;
	self.me.host = host;
	self.me.address = address != NULL ? address
	    : row != NULL                 ? row->address
					  : NULL;
	self.dir = dir;
	peers_set(n->peers, &self, n->members, n->member_count);
	free(address);
	free(host);
	free(dir);
}

static int
apply(struct node *n, struct error *e)
{
	int rc = service_tls(n, e);

	service_peers(n);
	local_edges_set_plaintext(n->edges, conf_bool(n->conf, SET_PLAINTEXT));
	local_edges_set_domains(
	    n->edges, domains_names(n->domains), domains_count(n->domains));
	/* A disabled member leads nobody, unless nobody else would. */
	raft_node_set_leading(
	    n->raft, !node_is_member(n) || conf_bool(n->conf, SET_ENABLED));
	local_edges_set_serving(
	    n->edges, node_wants_service(n), "system-shutdown");
	if (rc == RES_OK)
		rc = service_listeners(n, e);
	return rc;
}

int
node_apply(struct node *n, struct error *e)
{
	struct error why;
	int rc = apply(n, &why);

	if (rc == RES_OK) {
		free(n->trouble);
		n->trouble = NULL;
		return RES_OK;
	}
	/* Said once a reason: it is tried again (node.c). */
	if (n->trouble == NULL || strcmp(n->trouble, why.text) != 0) {
		log_err("node: %s", why.text);
		free(n->trouble);
		n->trouble = xstrdup(why.text);
	}
	return error_set(e, why.code, "%s", why.text);
}
