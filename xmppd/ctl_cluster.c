/*
 * im.xmppd.Cluster: the cluster of servers.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/varlink_client.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/ctl.h"
#include "xmppd/leader.h"
#include "xmppd/membership.h"
#include "xmppd/node.h"
#include "xmppd/worker.h"

#define TROUBLES_MAX 64
#define RESOLVE_MS 5000
#define CLIENT_PORT "5222"

/* ---- the last command, for status -------------------------------------- */

static void
remember(struct node *n, const char *command, int code)
{
	struct error e;
	char *text;

	xasprintf(&text, "xmpp cluster %s (%s)", command,
	    code == RES_OK ? "Success" : "Failed");
	if (conf_set_text(n->conf, SET_LAST_COMMAND, text, &e) != RES_OK ||
	    conf_commit(n->conf, &e) != RES_OK)
		log_warn("ctl: %s", e.text);
	free(text);
}

/* A command that membership.c carries out. */
struct operation {
	struct node *node;
	struct varlink_call *call;
	char *command;
	json_t *checks;
};

static struct operation *
operation_new(struct node *n, struct varlink_call *call, const char *command,
    const char *argument)
{
	struct operation *op = xcalloc(1, sizeof(*op));

	op->node = n;
	op->call = call;
	op->checks = ctl_checks();
	xasprintf(&op->command, "%s%s%s", command, argument != NULL ? " " : "",
	    argument != NULL ? argument : "");
	return op;
}

static void
operation_done(void *arg, int code, const char *text)
{
	struct operation *op = arg;

	remember(op->node, op->command, code);
	if (code == RES_OK) {
		ctl_check(op->checks, true, "%s", text);
		ctl_reply_checks(op->call, op->checks);
	} else {
		json_decref(op->checks);
		varlink_error(op->call, code, "%s", text);
	}
	free(op->command);
	free(op);
}

/* ---- cluster mode ------------------------------------------------------ */

/* What cluster mode rests on; answers the call if something is missing. */
static bool
has_base(struct node *n, struct varlink_call *call)
{
	if (conf_text(n->conf, SET_KEY) == NULL)
		varlink_error(call, RES_STATE,
		    "no certificate configured: run 'xmpp certs <key> "
		    "<certificate> [<bundle>]' first");
	else if (conf_text(n->conf, SET_TRUST) == NULL)
		varlink_error(call, RES_STATE,
		    "no cluster trust bundle "
		    "configured: run 'xmpp cluster trust <bundle>' first");
	else if (conf_count(n->conf, SET_LISTEN) == 0)
		varlink_error(call, RES_STATE,
		    "no listen interface "
		    "configured: run 'xmpp listen <interface>' first");
	else
		return true;
	return false;
}

static void
set_clustered(struct node *n, struct varlink_call *call, bool on)
{
	struct error e;

	conf_set_bool(n->conf, SET_CLUSTERED, on);
	if (conf_commit(n->conf, &e) != RES_OK) {
		varlink_error_from(call, &e);
		return;
	}
	if (node_apply(n, &e) != RES_OK) {
		conf_set_bool(n->conf, SET_CLUSTERED, !on);
		conf_commit(n->conf, NULL);
		varlink_error_from(call, &e);
		return;
	}
	ctl_reply_done(call,
	    on ? "XMPP cluster mode enabled" : "XMPP cluster mode disabled");
}

CTL_HANDLER(ctl_cluster_enable)
{
	struct node *n = ctx;

	(void)params;
	if (conf_bool(n->conf, SET_CLUSTERED))
		ctl_reply_done(call, "XMPP cluster mode enabled");
	else if (conf_bool(n->conf, SET_ENABLED))
		varlink_error(call, RES_STATE,
		    "XMPP server is enabled, run "
		    "'xmpp disable' first");
	else if (has_base(n, call))
		set_clustered(n, call, true);
}

CTL_HANDLER(ctl_cluster_disable)
{
	struct node *n = ctx;

	(void)params;
	if (!conf_bool(n->conf, SET_CLUSTERED))
		ctl_reply_done(call, "XMPP cluster mode disabled");
	else if (node_is_member(n))
		varlink_error(call, RES_STATE,
		    "this node is a member of a cluster: run 'xmpp cluster "
		    "remove' first");
	else if (conf_bool(n->conf, SET_ENABLED))
		varlink_error(call, RES_STATE,
		    "XMPP server is enabled, run "
		    "'xmpp disable' first");
	else
		set_clustered(n, call, false);
}

/* ---- trust ------------------------------------------------------------- */

static void
trust_clear(struct node *n, struct varlink_call *call)
{
	struct error e;

	if (conf_bool(n->conf, SET_CLUSTERED)) {
		varlink_error(call, RES_STATE,
		    "XMPP cluster mode is enabled: "
		    "run 'xmpp cluster disable' first");
		return;
	}
	conf_clear(n->conf, SET_TRUST);
	conf_clear(n->conf, SET_TRUST_FILE);
	if (conf_commit(n->conf, &e) != RES_OK || node_apply(n, &e) != RES_OK)
		varlink_error_from(call, &e);
	else
		ctl_reply_done(call, "Cluster trust bundle removed");
}

CTL_HANDLER(ctl_cluster_trust)
{
	struct node *n = ctx;
	struct pki_lines lines = { 0 };
	struct pki_file file;
	json_t *checks;
	struct error e;
	char *pem = NULL;

	if (!ctl_file(params, "bundle", &file)) {
		trust_clear(n, call);
		return;
	}
	checks = ctl_checks();
	if (!pki_check_trust(&file, clock_unix(), &lines, &pem)) {
		ctl_check_lines(checks, &lines);
	} else {
		ctl_check_lines(checks, &lines);
		if (conf_set_text(n->conf, SET_TRUST, pem, &e) != RES_OK ||
		    conf_set_text(n->conf, SET_TRUST_FILE, file.name, &e) !=
			RES_OK ||
		    conf_commit(n->conf, &e) != RES_OK ||
		    node_apply(n, &e) != RES_OK)
			ctl_check(checks, false, "%s", e.text);
		else
			ctl_check(checks, true, "Cluster trust bundle set");
	}
	ctl_reply_checks(call, checks);
	pki_lines_clear(&lines);
	free(pem);
}

/* ---- initialize and join ----------------------------------------------- */

static bool
in_cluster_mode(struct node *n, struct varlink_call *call)
{
	if (conf_bool(n->conf, SET_CLUSTERED) && n->domain == NULL) {
		varlink_error(call, RES_STATE,
		    "no domain configured: run 'xmpp domain <domain>' first");
		return false;
	}
	if (conf_bool(n->conf, SET_CLUSTERED))
		return has_base(n, call);
	varlink_error(call, RES_STATE,
	    "XMPP cluster mode is not enabled: run "
	    "'xmpp cluster enable' first");
	return false;
}

CTL_HANDLER(ctl_cluster_initialize)
{
	struct node *n = ctx;

	(void)params;
	if (!in_cluster_mode(n, call))
		return;
	membership_initialize(n->membership, operation_done,
	    operation_new(n, call, "initialize", NULL));
}

/* A name or address on its way to a numeric one, in the worker. */
struct resolving {
	struct node *node;
	struct varlink_call *call;
	char *socket; /* of the Call Bridge, which has the resolver */
	char *typed, *host, *port;
	char *longer;  /* a name without a dot, with the domain; or NULL */
	char *address; /* numeric with port; NULL: not found */
	char *why;
};

static bool
numeric(struct resolving *r, const char *host)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *ai;
	char text[INET6_ADDRSTRLEN];

	if (getaddrinfo(host, r->port, &hints, &ai) != 0)
		return false;
	if (getnameinfo(ai->ai_addr, ai->ai_addrlen, text, sizeof(text), NULL,
		0, NI_NUMERICHOST) == 0)
		xasprintf(&r->address,
		    ai->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", text,
		    r->port);
	freeaddrinfo(ai);
	return r->address != NULL;
}

/* "name. 300 IN A 10.1.1.1": the last word is the address. */
static void
take_record(struct resolving *r, const json_t *records)
{
	const char *record = json_string_value(json_array_get(records, 0));
	const char *last = record != NULL ? strrchr(record, ' ') : NULL;

	if (last != NULL)
		numeric(r, last + 1);
}

/* The node's own resolver, with its forward zones and local records, is the
 * Call Bridge's: 'dns lookup' shows the same. */
static void
ask_call_bridge(struct resolving *r, const char *type, const char *name)
{
	struct varlink_client *client;
	struct error e = { 0 };
	json_t *result = NULL;

	client = varlink_client_open(r->socket, RESOLVE_MS, &e);
	if (client == NULL)
		return;
	if (varlink_client_call(client, "im.callbridge.Dns.Lookup",
		json_pack("{s:s, s:s}", "type", type, "name", name), &result,
		&e) == RES_OK)
		take_record(r, json_object_get(result, "records"));
	else if (r->why == NULL)
		r->why = xstrdup(e.text);
	json_decref(result);
	varlink_client_free(client);
}

static void
ask_system(struct resolving *r)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *ai;
	char text[INET6_ADDRSTRLEN];

	if (getaddrinfo(r->host, NULL, &hints, &ai) != 0)
		return;
	if (getnameinfo(ai->ai_addr, ai->ai_addrlen, text, sizeof(text), NULL,
		0, NI_NUMERICHOST) == 0)
		numeric(r, text);
	freeaddrinfo(ai);
}

static void
resolve_work(void *arg)
{
	struct resolving *r = arg;

	if (numeric(r, r->host))
		return;
	for (size_t i = 0; i < 2 && r->address == NULL; i++) {
		const char *name = i == 0 ? r->longer : r->host;

		if (name != NULL)
			ask_call_bridge(r, "a", name);
		if (name != NULL && r->address == NULL)
			ask_call_bridge(r, "aaaa", name);
	}
	if (r->address == NULL)
		ask_system(r);
}

static void
resolve_done(void *arg)
{
	struct resolving *r = arg;
	struct operation *op =
	    operation_new(r->node, r->call, "join", r->typed);

	if (r->address == NULL) {
		struct error e;

		error_set(&e, RES_NOT_FOUND, "%s: no address found (%s)",
		    r->host, r->why != NULL ? r->why : "no such name");
		operation_done(op, e.code, e.text);
	} else {
		if (strcmp(r->host, r->typed) != 0 ||
		    strncmp(r->address, r->host, strlen(r->host)) != 0)
			ctl_check(
			    op->checks, true, "%s is %s", r->host, r->address);
		membership_join(
		    r->node->membership, r->address, operation_done, op);
	}
	free(r->socket);
	free(r->typed);
	free(r->host);
	free(r->longer);
	free(r->port);
	free(r->address);
	free(r->why);
	free(r);
}

/* "host", "host:port", "10.1.1.1:5222", "[2001:db8::1]:5222", "2001:db8::1" */
static void
split_address(struct resolving *r, const char *typed)
{
	const char *colon = strrchr(typed, ':');
	size_t len = strlen(typed);

	r->typed = xstrdup(typed);
	if (typed[0] == '[' && strchr(typed, ']') != NULL) {
		const char *end = strchr(typed, ']');

		r->host = xstrndup(typed + 1, (size_t)(end - typed - 1));
		r->port = xstrdup(end[1] == ':' ? end + 2 : CLIENT_PORT);
	} else if (colon != NULL && strchr(typed, ':') == colon) {
		r->host = xstrndup(typed, (size_t)(colon - typed));
		r->port = xstrdup(colon + 1);
	} else {
		r->host = xstrndup(typed, len);
		r->port = xstrdup(CLIENT_PORT);
	}
}

CTL_HANDLER(ctl_cluster_join)
{
	struct node *n = ctx;
	struct resolving *r;
	const char *member;

	if (!varlink_unpack(call, params, "{s:s}", "member", &member) ||
	    !in_cluster_mode(n, call))
		return;
	/* A member among others is told that it is one, whatever it is else. */
	if (!conf_bool(n->conf, SET_ENABLED) && n->member_count < 2) {
		varlink_error(call, RES_STATE,
		    "XMPP server is not enabled: "
		    "run 'xmpp enable' first");
		return;
	}
	r = xcalloc(1, sizeof(*r));
	r->node = n;
	r->call = call;
	r->socket = daemon_path(n->daemon, "callbridge.sock");
	split_address(r, member);
	/* The list of peers calls its members so. */
	if (strpbrk(r->host, ".:") == NULL)
		xasprintf(&r->longer, "%s.%s", r->host, n->domain);
	worker_run(n->worker, resolve_work, resolve_done, r);
}

CTL_HANDLER(ctl_cluster_remove)
{
	struct node *n = ctx;
	const char *member = NULL;

	if (!varlink_unpack(call, params, "{s?s}", "member", &member))
		return;
	membership_remove(n->membership, member, operation_done,
	    operation_new(n, call, "remove", member));
}

/* ---- hold -------------------------------------------------------------- */

static void
hold_applied(struct node *n, struct varlink_call *call,
    const struct proposer_result *result, char *data)
{
	(void)n;
	if (result->code != RES_OK)
		ctl_not_applied(call, result->code);
	else
		ctl_reply_done(call, "Hold set to %s seconds", data);
}

CTL_HANDLER(ctl_cluster_hold)
{
	struct buf command = { 0 };
	json_int_t seconds;
	char *text;

	if (!varlink_unpack(call, params, "{s:I}", "seconds", &seconds))
		return;
	if (seconds < HOLD_MIN || seconds > HOLD_MAX) {
		varlink_error(call, RES_INVALID, "hold is %d to %d seconds",
		    HOLD_MIN, HOLD_MAX);
		return;
	}
	xasprintf(&text, "%lld", (long long)seconds);
	store_cmd_setting(&command, SHARED_HOLD, text);
	ctl_submit(ctx, call, &command, hold_applied, text);
}

/* ---- status ------------------------------------------------------------ */

struct trouble_list {
	struct peer_trouble list[TROUBLES_MAX];
	size_t count;
};

static const struct peer_trouble *
trouble_of(const struct trouble_list *t, uint32_t raft_id)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->list[i].node == raft_id && t->list[i].since != 0)
			return &t->list[i];
	return NULL;
}

static const char *
state_text(const struct node *n)
{
	if (!conf_bool(n->conf, SET_CLUSTERED))
		return "NOT CLUSTERED";
	if (n->instance.previous != 0)
		return "JOINING";
	if (!node_is_member(n))
		return "NOT A MEMBER";
	if (!conf_bool(n->conf, SET_ENABLED))
		return "DISABLED";
	if (n->leader_id == 0)
		return "NO LEADER";
	return node_is_leader(n) ? "LEADER" : "FOLLOWER";
}

static json_t *
peer_json(const struct node *n, const struct store_member *m,
    const struct trouble_list *troubles)
{
	bool me = m->raft_id == n->instance.raft_id;
	const struct peer_trouble *t = trouble_of(troubles, m->raft_id);
	int64_t since = me || t == NULL ? 0 : t->since;

	return json_pack("{s:s, s:s?, s:b, s:b, s:b, s:o}", "address",
	    m->address, "host", m->host, "leader", n->leader_id == m->raft_id,
	    "me", me, "reachable", since == 0, "since",
	    since == 0 ? json_null() : json_integer(since));
}

static void
since_text(int64_t when, char out[32])
{
	clock_stamp(when, out);
}

/* One text and some advice about a member without a leader. */
static void
explain_no_leader(const struct node *n, const struct trouble_list *troubles,
    json_t *advice, char **reason)
{
	size_t away = 0;
	char *line, stamp[32];

	for (size_t i = 0; n->members != NULL && i < n->member_count; i++) {
		const struct store_member *m = &n->members[i];
		const struct peer_trouble *t = trouble_of(troubles, m->raft_id);

		if (t == NULL || m->raft_id == n->instance.raft_id)
			continue;
		away++;
		since_text(t->since, stamp);
		xasprintf(&line, "%s%s%s not reachable since %s: %s",
		    m->address, m->host != NULL ? " " : "",
		    m->host != NULL ? m->host : "", stamp, t->text);
		json_array_append_new(advice, json_string(line));
		free(line);
	}
	xasprintf(reason, "no leader, %zu of %zu nodes reachable",
	    n->member_count - away, n->member_count);
	if (2 * away < n->member_count) {
		json_array_append_new(advice,
		    json_string("a leader is being elected: look again in a "
				"moment"));
		return;
	}
	json_array_append_new(advice,
	    json_string("start these servers, or mend the network between "
			"them and this one: this server serves again by "
			"itself when a majority is reachable"));
	json_array_append_new(advice,
	    json_string("if a majority is lost for good: run 'xmpp reset' "
			"here and build the cluster anew ('help cluster')"));
}

static void
explain(const struct node *n, const char *state,
    const struct trouble_list *troubles, json_t *advice, char **reason)
{
	const char *refusal = membership_refusal(n->membership);

	if (refusal != NULL) {
		*reason = xstrdup(refusal);
		json_array_append_new(advice,
		    json_string("run 'xmpp cluster join <member>' here: it "
				"gets the cluster's data anew"));
	} else if (strcmp(state, "NO LEADER") == 0) {
		explain_no_leader(n, troubles, advice, reason);
	} else if (strcmp(state, "NOT A MEMBER") == 0) {
		*reason = xstrdup("in no cluster yet");
		json_array_append_new(advice,
		    json_string("run 'xmpp cluster initialize' on the first "
				"server, 'xmpp cluster join <member>' on the "
				"others"));
	} else if (strcmp(state, "NOT CLUSTERED") == 0) {
		json_array_append_new(advice,
		    json_string("run 'xmpp cluster enable' first; 'help "
				"cluster' shows all steps"));
	} else if (strcmp(state, "DISABLED") == 0) {
		*reason = xstrdup("the XMPP server is disabled; it still is a "
				  "member and votes");
		json_array_append_new(
		    advice, json_string("run 'xmpp enable' to serve again"));
	} else if (strcmp(state, "JOINING") == 0) {
		*reason = xstrdup("joining: catching up with the cluster");
	}
}

static int64_t
state_since(const struct node *n, const char *state)
{
	return strcmp(state, "LEADER") == 0 || strcmp(state, "FOLLOWER") == 0 ||
		strcmp(state, "NO LEADER") == 0
	    ? n->role_since
	    : 0;
}

CTL_HANDLER(ctl_cluster_status)
{
	struct node *n = ctx;
	struct trouble_list *troubles = xcalloc(1, sizeof(*troubles));
	json_t *peers = json_array(), *advice = json_array(), *status;
	const char *state = state_text(n);
	bool alone = strcmp(state, "NO LEADER") == 0;
	int64_t since = state_since(n, state);
	char *reason = NULL;

	(void)params;
	troubles->count =
	    peers_troubles(n->peers, troubles->list, TROUBLES_MAX);
	for (size_t i = 0; n->members != NULL && i < n->member_count; i++)
		if (!alone || n->members[i].raft_id == n->instance.raft_id)
			json_array_append_new(
			    peers, peer_json(n, &n->members[i], troubles));
	explain(n, state, troubles, advice, &reason);
	status = json_pack("{s:s, s:o, s:s?, s:o, s:s?, s:I, s:I, s:I, s:I, "
			   "s:s?}",
	    "state", state, "peers", peers, "reason", reason, "advice", advice,
	    "trust_file", conf_text(n->conf, SET_TRUST_FILE), "hold",
	    (json_int_t)n->hold_ms / 1000, "term", (json_int_t)n->term,
	    "applied", (json_int_t)store_applied_index(n->store), "stored",
	    (json_int_t)instance_size(n->daemon->root, n->instance.number),
	    "last_command", conf_text(n->conf, SET_LAST_COMMAND));
	json_object_set_new(
	    status, "since", since == 0 ? json_null() : json_integer(since));
	varlink_reply(call, status);
	free(reason);
	free(troubles);
}
