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
#include "xmppd/domains.h"
#include "xmppd/edge/logins.h"
#include "xmppd/leader.h"
#include "xmppd/links.h"
#include "xmppd/listen.h"
#include "xmppd/local_edges.h"
#include "xmppd/membership.h"
#include "xmppd/node_peers.h"
#include "xmppd/reconciler.h"
#include "xmppd/service.h"
#include "xmppd/shared_limits.h"
#include "xmppd/worker.h"

#define AGAIN_MS 2000
#define DRAIN_MS 1000
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
node_is_voter(const struct node *n, uint32_t raft_id)
{
	for (size_t i = 0; i < n->voter_count; i++)
		if (n->voters[i] == raft_id)
			return true;
	return false;
}

/* This node's row as it should be; the caller clears. */
int
node_self_row(const struct node *n, struct store_member *row, struct error *e)
{
	memset(row, 0, sizeof(*row));
	memcpy(row->identity, n->instance.identity, sizeof(row->identity));
	memcpy(row->key, n->instance.key, sizeof(row->key));
	row->raft_id = n->instance.raft_id;
	row->boot = n->instance.boot;
	row->address = node_address(n, e);
	row->host = node_hostname(n);
	if (row->address != NULL)
		return RES_OK;
	store_member_clear(row);
	return RES_STATE;
}

bool
node_is_member(const struct node *n)
{
	return node_self(n) != NULL;
}

bool
node_wants_service(const struct node *n)
{
	return conf_bool(n->conf, SET_ENABLED) && !n->draining &&
	    n->domain != NULL && n->tls != NULL &&
	    conf_count(n->conf, SET_LISTEN) > 0 &&
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
			reconciler_departs(n->reconciler, &n->members[i]);
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

/* ---- the edges and the router take their domain from here -------------- */

static void
edges_make(struct node *n)
{
	char secret[33];
	struct local_edges_config cfg = {
		.edge = { .node = n->instance.raft_id,
		    .hold_ms = n->hold_ms,
		    .domain = n->domain != NULL ? n->domain : "",
		    .secret = secret,
		    .limits = n->limits,
		    .window = WINDOW,
		    .session_window = SESSION_WINDOW,
		    .logins = n->logins },
		.base = n->base,
		.up = links_mailbox(n->links),
		.worker = n->worker,
	};

	crypto_hex(n->instance.cluster, sizeof(n->instance.cluster), secret);
	n->edges = local_edges_new(&cfg);
	n->sha1_only = store_any_sha1_only(n->store);
	local_edges_set_sha1_only(n->edges, n->sha1_only);
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

/* Domain or hold are another: edges and router begin anew with them. */
static void
shared_apply(struct node *n)
{
	uint32_t leader = n->leader_id;

	leader_end(n->lead);
	links_follow(n->links, 0, n->term);
	local_edges_free(n->edges);
	edges_make(n);
	links_follow(n->links, leader, n->term);
	if (node_is_leader(n))
		leader_begin(n->lead);
}

void
node_reload(struct node *n)
{
	load_members(n);
	domains_load(n->domains, n->store);
	if (shared_limits_load(n->store, &n->limits)) {
		local_edges_set_limits(n->edges, &n->limits);
		leader_set_limits(n->lead);
	}
	if (shared_changed(n))
		shared_apply(n);
	node_apply(n, NULL);
}

/* The edges are told where it is another than before. */
static void
sha1_only_load(struct node *n)
{
	bool any = store_any_sha1_only(n->store);

	if (any != n->sha1_only)
		local_edges_set_sha1_only(n->edges, any);
	n->sha1_only = any;
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
		reconciler_wake(n->reconciler);
		break;
	case STORE_ACCOUNT_DEL:
	case STORE_ACCOUNT_ADD:
	case STORE_ACCOUNT_PASSWD:
		sha1_only_load(n);
		break;
	case STORE_COMPONENT_DEL:
	case STORE_COMPONENT_ADD:
	case STORE_EFFECT:
	case STORE_ROWS_DEL:
	case STORE_PRUNE:
	case STORE_ORIGIN_END:
	case STORE_RAFT_ID_GONE:
	case STORE_NEXT_RAFT_ID:
	case STORE_ITEMS:
	case STORE_FORMER_DEL:
	case STORE_ARCHIVE:
	case STORE_SWEEP:
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
	reconciler_wake(n->reconciler);
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
		node_wants_copy, node_failed };

	n->raft = raft_node_start(&cfg, n->base, n->store, &cb, e);
	if (n->raft == NULL)
		return RES_IO;
	raft_node_set_dialler(n->raft, dial_cb, n);
	return RES_OK;
}

int
node_open(struct node *n, struct error *e)
{
	char *dir = instance_dir(n->daemon->root, n->instance.number);
	int rc;

	n->copying = 0;
	n->role = RAFT_ROLE_NONE;
	n->leader_id = 0;
	n->term = 0;
	n->directory = directory_new();
	n->peers = node_peers_new(n);
	rc = open_store(n, dir, e);
	if (rc == RES_OK) {
		shared_changed(n);
		shared_limits_load(n->store, &n->limits);
		domains_load(n->domains, n->store);
		load_members(n);
		edges_make(n);
		/* Before Raft asks for its peers. */
		service_tls(n, NULL);
		service_peers(n);
		rc = open_raft(n, dir, e);
	}
	if (rc == RES_OK)
		n->proposer = proposer_new(
		    n->base, n->raft, n->peers, n->instance.raft_id);
	free(dir);
	if (rc == RES_OK && !n->instance.born) {
		n->instance.born = true;
		rc = instance_save(n->daemon->root, &n->instance, e);
	}
	if (rc != RES_OK)
		node_close(n, 0);
	return rc;
}

void
node_close(struct node *n, unsigned handover_ms)
{
	reconciler_forget(n->reconciler);
	leader_end(n->lead);
	if (n->edges != NULL)
		links_follow(n->links, 0, n->term);
	if (n->raft != NULL)
		raft_node_stop(n->raft, handover_ms);
	n->raft = NULL;
	local_edges_free(n->edges);
	n->edges = NULL;
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
drained_tick(struct node *n, uint64_t now)
{
	void (*done)(void *arg) = n->on_drained;

	if (done == NULL ||
	    (now < n->drained && n->edges != NULL &&
		local_edges_stats(n->edges).unacked > 0))
		return;
	n->on_drained = NULL;
	done(n->on_drained_arg);
}

static void
tick_cb(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval tv = { 0, NODE_TICK_MS * 1000 };
	struct node *n = arg;
	uint64_t now = clock_ms();
	struct error e;

	(void)fd, (void)what;
	if (n->raft != NULL) {
		local_edges_set_term(n->edges, raft_node_term(n->raft));
		leader_tick(n->lead, now);
		membership_tick(n->membership, now);
		reconciler_tick(n->reconciler, now);
		/* 5223 goes and comes with the majority (G4). */
		if (node_is_serving(n) != n->components_open &&
		    service_listeners(n, &e) != RES_OK)
			log_debug("node: %s", e.text);
		/* An interface may come up later than this process. */
		if (n->trouble != NULL && now - n->tried > AGAIN_MS) {
			n->tried = now;
			node_apply(n, NULL);
		}
	}
	drained_tick(n, now);
	event_add(n->tick, &tv);
}

void
node_drain(struct node *n, void (*done)(void *arg), void *arg)
{
	n->draining = true;
	n->drained = clock_ms() + DRAIN_MS;
	n->on_drained = done;
	n->on_drained_arg = arg;
	if (n->edges != NULL)
		local_edges_close(n->edges, "system-shutdown");
}

void
node_undrain(struct node *n)
{
	if (!n->draining || n->daemon->stopping)
		return;
	n->draining = false;
	node_apply(n, NULL);
}

/*
 * A voter that has lost its log and its vote must not go on as the same one. A
 * disk that was wiped begins a new life, which its cluster takes in anew.
 */
static int
check_folder(struct node *n, struct error *e)
{
	const char *root = n->daemon->root;

	if (!n->instance.born || instance_has_log(root, &n->instance))
		return RES_OK;
	log_err("node: data-%llu is gone: this server starts over without "
		"accounts and messages, and is no member of its cluster: join "
		"it anew",
	    (unsigned long long)n->instance.number);
	instance_found(&n->instance);
	return instance_save(root, &n->instance, e);
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
	n->logins = logins_new();
	n->listener = listener_new(n->loop, n->base, &service_listen_ops, n);
	n->links = links_new(n);
	n->domains = domains_new(n->daemon->root);
	n->lead = leader_new(n);
	n->membership = membership_new(n);
	n->reconciler = reconciler_new(n);
	rc = check_folder(n, e);
	if (rc == RES_OK)
		rc = node_open(n, e);
	if (rc != RES_OK)
		return rc;
	node_apply(n, NULL); /* a port in use is no reason to end */
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
	reconciler_free(n->reconciler);
	leader_free(n->lead);
	domains_free(n->domains);
	links_free(n->links);
	worker_free(n->worker);
	logins_free(n->logins);
	conn_loop_free(n->loop);
	SSL_CTX_free(n->tls);
	conf_free(n->conf);
	free(n->trouble);
}
