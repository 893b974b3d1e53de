/*
 * The node: its parts in order of life, and what each tells the others.
 */
#include "xmppd/node.h"

#include <sys/stat.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/clock.h"
#include "common/conn.h"
#include "common/crypto.h"
#include "common/interfaces.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/tls.h"
#include "common/varlink_server.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/control.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/ctl.h"
#include "xmppd/leader.h"
#include "xmppd/links.h"
#include "xmppd/listen.h"
#include "xmppd/membership.h"
#include "xmppd/worker.h"

#define ADDRESSES_MAX 32
#define LEADERLESS_MS 5000
#define STANZA_MAX (256 * 1024)
#define WINDOW 4096
#define SESSION_WINDOW 64

/* ---- what the node is -------------------------------------------------- */

bool
node_is_leader(const struct node *n)
{
	return n->role == RAFT_ROLE_LEADER;
}

const struct store_member *
node_member(const struct node *n, uint32_t raft_id)
{
	for (size_t i = 0; i < n->member_count; i++)
		if (n->members[i].raft_id == raft_id)
			return &n->members[i];
	return NULL;
}

const struct store_member *
node_self(const struct node *n)
{
	for (size_t i = 0; i < n->member_count; i++)
		if (memcmp(n->members[i].identity, n->instance.identity,
			sizeof(n->instance.identity)) == 0)
			return &n->members[i];
	return NULL;
}

bool
node_is_member(const struct node *n)
{
	return node_self(n) != NULL;
}

bool
node_wants_service(const struct node *n)
{
	return conf_bool(n->conf, SET_ENABLED) && n->domain != NULL &&
	    n->tls != NULL && conf_count(n->conf, SET_LISTEN) > 0 &&
	    (!conf_bool(n->conf, SET_CLUSTERED) || node_is_member(n));
}

char *
node_hostname(const struct node *n)
{
	char *path = daemon_path(n->daemon, "hostname"), *name;
	char system[256] = "localhost";
	size_t len;

	name = file_read(path, 256, &len);
	free(path);
	if (name != NULL) {
		name[strcspn(name, " \t\r\n")] = '\0';
		if (name[0] != '\0')
			return name;
		free(name);
	}
	gethostname(system, sizeof(system) - 1);
	return xstrdup(system);
}

/* ---- listeners --------------------------------------------------------- */

static void
set_port(struct sockaddr_storage *sa, uint16_t port)
{
	/* Both families have the port in the same place. */
	((struct sockaddr_in *)(void *)sa)->sin_port = htons(port);
}

/* The client and component addresses of all `xmpp listen` says. */
static int
addresses(const struct node *n, struct listen_address *out, size_t max,
    size_t *count, struct error *e)
{
	struct interfaces *ifs = interfaces_load(n->daemon->root, e);
	struct sockaddr_storage *sa = NULL;
	struct listen_spec spec;
	size_t found;
	int rc = ifs == NULL ? RES_INVALID : RES_OK;

	*count = 0;
	for (size_t i = 0; rc == RES_OK && i < conf_count(n->conf, SET_LISTEN);
	     i++) {
		rc = listen_spec_parse(
		    conf_entry(n->conf, SET_LISTEN, i), &spec, e);
		if (rc == RES_OK)
			rc = interfaces_addresses(
			    ifs, spec.name, &sa, &found, e);
		for (size_t k = 0;
		     rc == RES_OK && k < found && *count + 2 <= max; k++) {
			out[*count] = (struct listen_address){ sa[k], false };
			set_port(&out[(*count)++].sa, spec.client_port);
			out[*count] = (struct listen_address){ sa[k], true };
			set_port(&out[(*count)++].sa, spec.component_port);
		}
		free(sa);
		sa = NULL;
	}
	interfaces_free(ifs);
	return rc;
}

char *
node_address(const struct node *n, struct error *e)
{
	struct listen_address list[ADDRESSES_MAX];
	char text[64];
	size_t count;

	if (addresses(n, list, ADDRESSES_MAX, &count, e) != RES_OK)
		return NULL;
	if (count == 0) {
		error_set(e, RES_STATE,
		    "no listen interface configured: run "
		    "'xmpp listen <interface>' first");
		return NULL;
	}
	listen_text(&list[0].sa, text);
	return xstrdup(text);
}

/* Whether the edge takes clients at this moment: not while the majority has
 * been out of reach for longer than hold (G4). */
static bool
serving(void *arg)
{
	struct node *n = arg;

	return node_wants_service(n) && edge_is_serving(n->edge);
}

/* 5222 is bound for the cluster's protocol on a member, served or not. */
static int
apply_listeners(struct node *n, struct error *e)
{
	struct listen_address list[ADDRESSES_MAX], want[ADDRESSES_MAX];
	size_t count = 0, wanted = 0;
	bool clustered = conf_bool(n->conf, SET_CLUSTERED) &&
	    conf_text(n->conf, SET_TRUST) != NULL && n->tls != NULL;
	int rc = addresses(n, list, ADDRESSES_MAX, &count, e);

	n->components_open = serving(n);
	for (size_t i = 0; rc == RES_OK && i < count; i++)
		if (list[i].component ? n->components_open
				      : node_wants_service(n) || clustered)
			want[wanted++] = list[i];
	return rc == RES_OK ? listener_set(n->listener, want, wanted, e) : rc;
}

static void
listen_accepted(void *arg, int fd, bool component, const char *from)
{
	edge_accept(((struct node *)arg)->edge, fd, component, from);
}

static void
listen_client(void *arg, struct conn *c, const char *from)
{
	edge_adopt(((struct node *)arg)->edge, c, from);
}

static void
listen_peer(void *arg, struct conn *c, const char *from)
{
	peers_adopt(((struct node *)arg)->peers, c, from);
}

static const struct listen_ops listen_ops = { listen_accepted, listen_client,
	listen_peer, serving };

/* ---- TLS --------------------------------------------------------------- */

static int
apply_tls(struct node *n, struct error *e)
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
	if (rc == RES_OK && tls != NULL && trust != NULL)
		rc = peers_set_tls(n->peers, key, chain, trust, e);
	free(chain);
	if (rc != RES_OK) {
		SSL_CTX_free(tls);
		return rc;
	}
	edge_set_tls(n->edge, tls, tls);
	listener_set_tls(n->listener, tls,
	    trust != NULL && tls != NULL ? peers_tls(n->peers) : NULL);
	SSL_CTX_free(n->tls);
	n->tls = tls;
	return RES_OK;
}

/* ---- applying ---------------------------------------------------------- */

static void
apply_peers(struct node *n)
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

/* A disabled member leads nobody, unless nobody else would: a cluster without
 * a leader could not even be administered. */
static bool
may_lead(const struct node *n)
{
	return conf_bool(n->conf, SET_ENABLED) || !node_is_member(n) ||
	    n->member_count == 1 || n->leads_anyway;
}

static void
check_leaderless(struct node *n, uint64_t now)
{
	if (n->leader_id != 0) {
		n->leaderless = 0;
		if (n->leader_id != n->instance.raft_id && n->leads_anyway) {
			n->leads_anyway = false;
			raft_node_set_leading(n->raft, may_lead(n));
		}
	} else if (n->leaderless == 0) {
		n->leaderless = now;
	} else if (now - n->leaderless > LEADERLESS_MS && !may_lead(n)) {
		n->leads_anyway = true;
		raft_node_set_leading(n->raft, true);
	}
}

int
node_apply(struct node *n, struct error *e)
{
	int rc = apply_tls(n, e);

	apply_peers(n);
	edge_set_plaintext(n->edge, conf_bool(n->conf, SET_PLAINTEXT));
	raft_node_set_leading(
	    n->raft, !node_is_member(n) || conf_bool(n->conf, SET_ENABLED));
	edge_set_serving(n->edge, node_wants_service(n), "system-shutdown");
	if (rc == RES_OK)
		rc = apply_listeners(n, e);
	return rc;
}

static void
apply_logged(struct node *n)
{
	struct error e;

	if (node_apply(n, &e) != RES_OK)
		log_err("node: %s", e.text);
}

static void
members_free(struct node *n)
{
	for (size_t i = 0; i < n->member_count; i++)
		store_member_clear(&n->members[i]);
	free(n->members);
	n->members = NULL;
	n->member_count = 0;
}

/* Who is in the table no longer is to be told so. */
static void
note_departed(struct node *n, const struct store_member *now, size_t count)
{
	for (size_t i = 0; i < n->member_count; i++) {
		bool stays = false;

		for (size_t k = 0; k < count; k++)
			stays |= now[k].raft_id == n->members[i].raft_id;
		if (!stays)
			membership_departs(n->membership, &n->members[i]);
	}
}

/*
 * While a join is under way the table that is being caught up may still lack
 * this node, or have an earlier life of it; until then those count that the
 * cluster named at the join.
 */
static void
load_members(struct node *n)
{
	struct store_member *rows;
	size_t count = store_members(n->store, &rows);
	bool there = n->instance.previous == 0;

	for (size_t i = 0; i < count; i++)
		there |= rows[i].raft_id == n->instance.raft_id;
	if (there) {
		note_departed(n, rows, count);
		members_free(n);
		n->members = rows;
		n->member_count = count;
		return;
	}
	for (size_t i = 0; i < count; i++)
		store_member_clear(&rows[i]);
	free(rows);
}

/* ---- the edge and the router take their domain from here --------------- */

struct derivation {
	char *password;
	struct scram_keys keys;
	void (*done)(void *arg, const struct scram_keys *derived);
	void *arg;
};

static void
derive_work(void *arg)
{
	struct derivation *d = arg;
	struct scram_keys params = d->keys;

	scram_derive_as(d->password, &params, &d->keys);
}

static void
derive_done(void *arg)
{
	struct derivation *d = arg;

	d->done(d->arg, &d->keys);
	crypto_wipe_free(d->password);
	free(d);
}

static void
edge_derive(void *arg, const char *password, const struct scram_keys *params,
    void (*done)(void *done_arg, const struct scram_keys *derived),
    void *done_arg)
{
	struct node *n = arg;
	struct derivation *d = xcalloc(1, sizeof(*d));

	d->password = xstrdup(password);
	d->keys = *params;
	d->done = done;
	d->arg = done_arg;
	worker_run(n->worker, derive_work, derive_done, d);
}

static void
edge_up(void *arg, const void *msg, size_t len)
{
	links_up(((struct node *)arg)->links, msg, len);
}

static void
edge_unlink(void *arg)
{
	links_unlink(((struct node *)arg)->links);
}

static void
edge_make(struct node *n)
{
	char secret[33];
	struct edge_config cfg = { .node = n->instance.raft_id,
		.edge = 0,
		.edges = 1,
		.hold_ms = n->hold_ms,
		.domain = n->domain != NULL ? n->domain : "",
		.secret = secret,
		.stanza_max = STANZA_MAX,
		.window = WINDOW,
		.session_window = SESSION_WINDOW };
	struct edge_env env = { .arg = n,
		.up = edge_up,
		.unlink = edge_unlink,
		.derive = edge_derive };

	crypto_hex(n->instance.cluster, sizeof(n->instance.cluster), secret);
	n->edge = edge_new(n->base, &cfg, &env);
}

/* ---- the store's news -------------------------------------------------- */

static bool
shared_changed(struct node *n)
{
	char *domain = store_setting(n->store, SHARED_DOMAIN);
	char *hold = store_setting(n->store, SHARED_HOLD);
	uint64_t seconds = HOLD_DEFAULT;
	bool changed;

	/* While a join is under way, the cluster's is still to arrive. */
	if (domain == NULL && n->instance.previous != 0 && n->domain != NULL)
		domain = xstrdup(n->domain);
	changed = !str_equal(domain, n->domain);
	if (hold != NULL)
		str_to_u64(hold, HOLD_MIN, HOLD_MAX, &seconds);
	changed |= n->hold_ms != seconds * 1000;
	n->hold_ms = (uint32_t)seconds * 1000;
	free(hold);
	free(n->domain);
	n->domain = domain;
	return changed;
}

/* Domain or hold are another: edge and router begin anew with them. */
static void
shared_apply(struct node *n)
{
	uint32_t leader = n->leader_id;

	leader_end(n->lead);
	links_follow(n->links, 0, n->term);
	edge_free(n->edge);
	edge_make(n);
	links_follow(n->links, leader, n->term);
	if (node_is_leader(n))
		leader_begin(n->lead);
}

void
node_reload(struct node *n)
{
	load_members(n);
	if (shared_changed(n))
		shared_apply(n);
	apply_logged(n);
}

static void
kick(struct node *n, const char *local, const char *domain)
{
	struct router *r = leader_router(n->lead);
	char *bare;

	if (r == NULL || n->domain == NULL)
		return;
	xasprintf(&bare, "%s%s%s", local, domain, n->domain);
	router_kick(r, bare, "not-authorized", "removed by the administrator",
	    clock_ms());
	free(bare);
}

static void
store_applied_cb(void *arg, const struct store_event *ev)
{
	struct node *n = arg;

	leader_applied(n->lead, ev);
	proposer_applied(n->proposer, ev);
	if (ev->code != RES_OK || ev->again)
		return;
	switch ((enum store_command)ev->what) {
	case STORE_SETTING:
	case STORE_CLEAR:
	case STORE_MEMBER_PUT:
	case STORE_MEMBER_SWAP:
	case STORE_MEMBER_DEL:
	case STORE_MEMBER_BOOT:
		node_reload(n);
		membership_applied(n->membership, ev);
		break;
	case STORE_ACCOUNT_DEL:
		kick(n, ev->name, "@");
		break;
	case STORE_COMPONENT_DEL:
		kick(n, ev->name, ".");
		break;
	case STORE_ACCOUNT_ADD:
	case STORE_ACCOUNT_PASSWD:
	case STORE_COMPONENT_ADD:
	case STORE_EFFECT:
	case STORE_ROWS_DEL:
	case STORE_PRUNE:
	case STORE_ORIGIN_END:
	case STORE_RAFT_ID_GONE:
	case STORE_NEXT_RAFT_ID:
		break;
	}
}

static void
store_replaced_cb(void *arg)
{
	node_reload(arg);
}

void
node_failed(void *arg, const char *why)
{
	(void)arg;
	fatalx("%s", why);
}

/* ---- Raft's news ------------------------------------------------------- */

static void
role_cb(void *arg, enum raft_role role, uint64_t term, uint32_t leader)
{
	struct node *n = arg;
	bool led = node_is_leader(n), leads = role == RAFT_ROLE_LEADER;
	bool anew = leads && (!led || term != n->term);

	if (leader != n->leader_id || n->role_since == 0)
		n->role_since = clock_unix();
	if (led && (!leads || anew))
		leader_end(n->lead);
	n->role = role;
	n->term = term;
	n->leader_id = leads                ? n->instance.raft_id
	    : leader == n->instance.raft_id ? 0
					    : leader;
	log_info("raft: term %llu: %s, leader %u", (unsigned long long)term,
	    leads                            ? "leader"
		: role == RAFT_ROLE_FOLLOWER ? "follower"
					     : "no leader",
	    n->leader_id);
	links_follow(n->links, n->leader_id, term);
	proposer_set_leader(n->proposer, n->leader_id);
	if (anew)
		leader_begin(n->lead);
}

static void
voters_cb(void *arg, const struct raft_member *members, size_t count)
{
	struct node *n = arg;

	free(n->voters);
	n->voters = xcalloc(count + 1, sizeof(*n->voters));
	n->voter_count = 0;
	for (size_t i = 0; i < count; i++)
		if (members[i].voter)
			n->voters[n->voter_count++] = members[i].id;
	leader_set_voters(n->lead);
	membership_voters(n->membership);
}

static void
lost_cb(void *arg, uint64_t tag)
{
	proposer_lost(((struct node *)arg)->proposer, tag);
}

static void
dial_cb(void *arg, uint32_t id)
{
	peers_want(((struct node *)arg)->peers, id, PEER_RAFT, true);
}

/* ---- a lagging peer gets a copy of the state --------------------------- */

struct copying {
	struct node *node;
	uint32_t to;
	uint64_t instance;
	char *path;
};

static void
copying_free(struct copying *c)
{
	unlink(c->path);
	free(c->path);
	free(c);
}

static void
copy_sent_cb(void *arg, int code)
{
	struct copying *c = arg;

	if (code != RES_OK)
		log_warn(
		    "copy: node %u: not sent: %s", c->to, result_text(code));
	copying_free(c);
}

static void
copy_made_cb(void *arg, int code, uint64_t index, const uint8_t sha256[32])
{
	struct copying *c = arg;
	struct node *n = c->node;

	if (code != RES_OK || n->instance.number != c->instance) {
		copying_free(c);
		return;
	}
	log_info("copy: sending state at index %llu to node %u",
	    (unsigned long long)index, c->to);
	peers_send_copy(
	    n->peers, c->to, c->path, index, sha256, copy_sent_cb, c);
}

static void
wants_copy_cb(void *arg, uint32_t id, uint64_t index)
{
	struct node *n = arg;
	struct copying *c = xcalloc(1, sizeof(*c));
	char *dir = instance_dir(n->daemon->root, n->instance.number);

	(void)index; /* what is copied now is newer than any marker */
	c->node = n;
	c->to = id;
	c->instance = n->instance.number;
	xasprintf(&c->path, "%s/copy-%u.db", dir, id);
	free(dir);
	store_copy(n->store, c->path, copy_made_cb, c);
}

static void
installed_cb(void *arg, int code, uint64_t index)
{
	(void)arg;
	if (code != RES_OK)
		log_err("copy: not installed: %s", result_text(code));
	else
		log_info("copy: installed state at index %llu",
		    (unsigned long long)index);
}

/* ---- the peers' news --------------------------------------------------- */

static void
peer_up_cb(void *arg, uint32_t node, enum peer_channel channel, bool dialled)
{
	struct node *n = arg;

	if (channel == PEER_LINK)
		links_channel_up(n->links, node, dialled);
	else if (channel == PEER_MIRROR)
		leader_mirror_up(n->lead, node, dialled);
}

static void
peer_down_cb(void *arg, uint32_t node, enum peer_channel channel, bool dialled)
{
	struct node *n = arg;

	if (channel == PEER_LINK)
		links_channel_down(n->links, node, dialled);
	else if (channel == PEER_MIRROR)
		leader_mirror_down(n->lead, node, dialled);
}

static int
peer_message_cb(void *arg, uint32_t node, enum peer_channel channel,
    bool dialled, const void *msg, size_t len)
{
	struct node *n = arg;

	if (channel == PEER_LINK)
		return links_message(n->links, node, dialled, msg, len);
	if (channel == PEER_MIRROR)
		return leader_mirror(n->lead, node, dialled, msg, len);
	return RES_INVALID;
}

static void
peer_request_cb(void *arg, uint32_t node, const char *peer, uint64_t token,
    const void *msg, size_t len)
{
	struct node *n = arg;
	uint8_t kind = len > 0 ? *(const uint8_t *)msg : 0;

	if (kind == CONTROL_JOIN || (kind == CONTROL_REMOVED && node != 0))
		membership_request(n->membership, node, peer, token, msg, len);
	else if (node == 0)
		peers_answer(n->peers, token, NULL, 0);
	else if (kind == CONTROL_PROPOSE)
		proposer_request(n->proposer, token, msg, len);
	else if (kind == CONTROL_DIR_STATE || kind == CONTROL_DIR_COPY)
		leader_request(n->lead, token, msg, len);
	else if (kind == CONTROL_TRUST_CHECK)
		ctl_trust_request(n, token, msg, len);
	else
		peers_answer(n->peers, token, NULL, 0);
}

static void
peer_raft_cb(void *arg, uint32_t node, bool dialled, int fd, struct ssl_st *ssl)
{
	struct node *n = arg;

	raft_node_connection(n->raft, node, dialled, fd, ssl);
}

static void
peer_refused_cb(void *arg, uint32_t node, bool removed, const char *why)
{
	(void)node;
	membership_refused(((struct node *)arg)->membership, removed, why);
}

static void
peer_copy_cb(void *arg, uint32_t node, const char *path, uint64_t index)
{
	struct node *n = arg;

	(void)node, (void)index;
	store_install(n->store, path, installed_cb, n);
}

/* ---- an instance's life ------------------------------------------------ */

static int
open_store(struct node *n, const char *dir, struct error *e)
{
	struct store_callbacks cb = { store_applied_cb, store_replaced_cb,
		node_failed, n };

	n->store = store_open(dir, n->base, &cb, e);
	return n->store == NULL ? RES_IO : RES_OK;
}

static int
open_raft(struct node *n, const char *dir, struct error *e)
{
	struct raft_node_config cfg = { .dir = dir,
		.id = n->instance.raft_id,
		.bootstrap = n->instance.founder,
		.election_ms = ELECTION_MS,
		.heartbeat_ms = HEARTBEAT_MS,
		.tick_ms = RAFT_TICK_MS };
	struct raft_node_callbacks cb = { n, role_cb, voters_cb, lost_cb,
		wants_copy_cb, node_failed };

	n->raft = raft_node_start(&cfg, n->base, n->store, &cb, e);
	if (n->raft == NULL)
		return RES_IO;
	raft_node_set_dialler(n->raft, dial_cb, n);
	return RES_OK;
}

int
node_open(struct node *n, struct error *e)
{
	struct peers_callbacks cb = { n, peer_up_cb, peer_down_cb,
		peer_message_cb, peer_request_cb, peer_raft_cb, peer_refused_cb,
		peer_copy_cb };
	char *dir = instance_dir(n->daemon->root, n->instance.number);
	int rc;

	n->role = RAFT_ROLE_NONE;
	n->leader_id = 0;
	n->term = 0;
	n->directory = directory_new();
	n->peers = peers_new(n->base, &cb);
	rc = open_store(n, dir, e);
	if (rc == RES_OK) {
		shared_changed(n);
		load_members(n);
		edge_make(n);
		/* Before Raft asks for its peers. */
		if (apply_tls(n, e) != RES_OK)
			log_err("node: %s", e->text);
		apply_peers(n);
		rc = open_raft(n, dir, e);
	}
	if (rc == RES_OK)
		n->proposer = proposer_new(
		    n->base, n->raft, n->peers, n->instance.raft_id);
	free(dir);
	if (rc != RES_OK)
		node_close(n, 0);
	return rc;
}

void
node_close(struct node *n, unsigned handover_ms)
{
	leader_end(n->lead);
	links_follow(n->links, 0, n->term);
	if (n->raft != NULL)
		raft_node_stop(n->raft, handover_ms);
	n->raft = NULL;
	if (n->edge != NULL)
		edge_free(n->edge);
	n->edge = NULL;
	proposer_free(n->proposer);
	n->proposer = NULL;
	if (n->listener != NULL) /* it has borrowed the peers' context */
		listener_set_tls(n->listener, n->tls, NULL);
	peers_free(n->peers);
	n->peers = NULL;
	store_close(n->store);
	n->store = NULL;
	directory_free(n->directory);
	n->directory = NULL;
	members_free(n);
	free(n->voters);
	n->voters = NULL;
	n->voter_count = 0;
	free(n->domain);
	n->domain = NULL;
}

/* ---- the process's life ------------------------------------------------ */

static void
tick_cb(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval tv = { 0, NODE_TICK_MS * 1000 };
	struct node *n = arg;
	uint64_t now = clock_ms();
	struct error e;

	(void)fd, (void)what;
	if (n->raft != NULL) {
		edge_set_term(n->edge, raft_node_term(n->raft));
		leader_tick(n->lead, now);
		membership_tick(n->membership, now);
		check_leaderless(n, now);
		/* 5223 goes and comes with the majority (G4). */
		if (serving(n) != n->components_open &&
		    apply_listeners(n, &e) != RES_OK)
			log_debug("node: %s", e.text);
	}
	event_add(n->tick, &tv);
}

static int
start_parts(struct node *n, struct error *e)
{
	char *path = daemon_path(n->daemon, "xmppd.json"), *socket;
	int rc;

	n->conf = conf_new(settings, SETTINGS, path);
	free(path);
	rc = conf_load(n->conf, e);
	if (rc == RES_OK)
		rc = instance_load(n->daemon->root, &n->instance, e);
	if (rc == RES_OK)
		rc = instance_boot(n->daemon->root, &n->instance, e);
	if (rc != RES_OK)
		return rc;
	n->loop = conn_loop_new(n->base);
	n->worker = worker_new(n->base);
	n->listener = listener_new(n->loop, n->base, &listen_ops, n);
	n->links = links_new(n);
	n->lead = leader_new(n);
	n->membership = membership_new(n);
	rc = node_open(n, e);
	if (rc != RES_OK)
		return rc;
	apply_logged(n); /* a port in use is shown, and no reason to end */
	socket = daemon_path(n->daemon, "xmppd.sock");
	n->ctl = varlink_server_new(n->base, socket, &ctl_interface, n, e);
	free(socket);
	return n->ctl == NULL ? RES_FAILED : RES_OK;
}

int
node_start(struct node *n, struct daemon *d, struct error *e)
{
	int rc;

	n->daemon = d;
	n->base = d->base;
	n->started = clock_unix();
	n->hold_ms = HOLD_DEFAULT * 1000;
	rc = start_parts(n, e);
	if (rc != RES_OK) {
		node_stop(n);
		return rc;
	}
	n->tick = evtimer_new(n->base, tick_cb, n);
	tick_cb(-1, 0, n);
	return RES_OK;
}

void
node_stop(struct node *n)
{
	if (n->tick != NULL)
		event_free(n->tick);
	varlink_server_free(n->ctl);
	listener_free(n->listener);
	n->listener = NULL;
	if (n->raft != NULL)
		node_close(n, 1000);
	membership_free(n->membership);
	leader_free(n->lead);
	links_free(n->links);
	worker_free(n->worker);
	conn_loop_free(n->loop);
	SSL_CTX_free(n->tls);
	conf_free(n->conf);
}
