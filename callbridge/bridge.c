/*
 * The Call Bridge: what happens goes to the connector, what the connector wants
 * is done here.
 */
#include "callbridge/bridge.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "callbridge/component.h"
#include "callbridge/locator.h"
#include "callbridge/service.h"
#include "callbridge/settings.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/conn.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/tls.h"
#include "common/varlink_server.h"
#include "common/xmalloc.h"

#define BRIDGE_START_MS 1500

static void bridge_continue(struct bridge *b);

/* ---- the connection ---------------------------------------------------- */

static void
bridge_online_cb(void *arg)
{
	struct bridge *b = arg;

	connector_online(b->connector, clock_ms());
	bridge_continue(b);
}

static void
bridge_stanza_cb(void *arg, const struct xml_stanza *stanza)
{
	struct bridge *b = arg;
	struct buf answer = { 0 };

	service_answer(b->jid, stanza, &answer);
	if (answer.len > 0)
		component_send(b->component, &answer);
	buf_clear(&answer);
}

static void
bridge_failed_cb(void *arg, enum connector_failure failure, const char *why)
{
	struct bridge *b = arg;

	b->component = NULL;
	connector_failed(b->connector, clock_ms(), failure, why);
	bridge_continue(b);
}

static const struct component_ops bridge_component_ops = {
	.online = bridge_online_cb,
	.stanza = bridge_stanza_cb,
	.failed = bridge_failed_cb,
};

static socklen_t
bridge_make_address(
    const struct connector_target *t, struct sockaddr_storage *to)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)to;
	struct sockaddr_in *sin = (struct sockaddr_in *)to;

	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET6, t->address, &sin6->sin6_addr) == 1) {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(t->port);
		return sizeof(*sin6);
	}
	inet_pton(AF_INET, t->address, &sin->sin_addr);
	sin->sin_family = AF_INET;
	sin->sin_port = htons(t->port);
	return sizeof(*sin);
}

static void
bridge_connect(struct bridge *b)
{
	struct component_login login = {
		.base = b->daemon->base,
		.loop = b->loop,
		.tls = b->tls,
		.jid = b->jid,
		.domain = conf_text(b->conf, SETTING_DOMAIN),
		.secret = conf_text(b->conf, SETTING_SECRET),
	};

	login.to_len =
	    bridge_make_address(connector_target(b->connector), &login.to);
	b->component = component_open(&login, &bridge_component_ops, b);
}

/* ---- whom to trust ----------------------------------------------------- */

/*
 * The bundle of `callbridge trust xmpp` alone; without it the system's store
 * and what this node's XMPP server trusts.
 */
static void
bridge_make_tls(struct bridge *b)
{
	const char *set = conf_text(b->conf, SETTING_TRUST);
	const char *trust = set != NULL ? set : b->local_trust;
	struct error e;

	if (b->tls != NULL && str_equal(trust, b->tls_trust))
		return;
	SSL_CTX_free(b->tls);
	free(b->tls_trust);
	b->tls_trust = trust != NULL ? xstrdup(trust) : NULL;
	b->tls = tls_client_new(NULL, NULL, set, &e);
	if (b->tls == NULL)
		fatalx("bridge: TLS: %s", e.text);
	if (set == NULL && trust != NULL &&
	    tls_trust_add(b->tls, trust, &e) != RES_OK)
		log_warn("bridge: certificates of this node's XMPP server: %s",
		    e.text);
}

/* What was known stays when that server doesn't answer. */
static void
bridge_take_trust(struct bridge *b, const struct locator_result *result)
{
	if (result->no_trust != NULL && b->local_trust == NULL &&
	    conf_text(b->conf, SETTING_TRUST) == NULL &&
	    !str_equal(result->no_trust, b->no_local_trust))
		log_info("bridge: only the system's certificates are trusted: "
			 "%s",
		    result->no_trust);
	b->no_local_trust = result->no_trust;
	if (result->no_trust != NULL)
		return;
	free(b->local_trust);
	b->local_trust = result->trust != NULL ? xstrdup(result->trust) : NULL;
}

static void
bridge_located_cb(const struct locator_result *result, void *arg)
{
	struct bridge *b = arg;

	bridge_take_trust(b, result);
	bridge_make_tls(b);
	if (result->count > 0 && result->why[0] != '\0')
		log_info("bridge: not all servers found: %s", result->why);
	if (result->count > 0)
		connector_found(b->connector, clock_ms(), result->servers,
		    result->count, result->ttl);
	else
		connector_not_found(
		    b->connector, clock_ms(), result->why, result->certain);
	bridge_continue(b);
}

/* ---- what the connector wants ------------------------------------------ */

static void
bridge_set_timer(struct bridge *b)
{
	uint64_t due = connector_due(b->connector), now = clock_ms();
	uint64_t ms = due > now ? due - now : 0;
	struct timeval tv = { (time_t)(ms / 1000),
		(suseconds_t)(ms % 1000) * 1000 };

	if (due == 0)
		evtimer_del(b->timer);
	else
		evtimer_add(b->timer, &tv);
}

/* Told once, as the state begins: later the wall clock may be set. */
static void
bridge_note_since(struct bridge *b)
{
	struct connector_status status;

	connector_status(b->connector, &status);
	if (status.since == b->since)
		return;
	b->since = status.since;
	b->since_unix = clock_unix_at(status.since);
}

/* Who is started together with this node's XMPP server, and needs to know whom
 * that trusts, waits for it: a log-in without that knowledge would fail. */
static unsigned
bridge_patience(const struct bridge *b)
{
	uint64_t age = clock_ms() - b->started;

	if (b->local_trust != NULL || age > BRIDGE_START_MS ||
	    conf_text(b->conf, SETTING_TRUST) != NULL)
		return 0;
	return (unsigned)(BRIDGE_START_MS - age);
}

static void
bridge_continue(struct bridge *b)
{
	switch (connector_step(b->connector, clock_ms())) {
	case CONNECTOR_LOOK_UP:
		locator_start(b->locator, conf_text(b->conf, SETTING_DOMAIN),
		    conf_text(b->conf, SETTING_SERVER), bridge_patience(b));
		break;
	case CONNECTOR_CONNECT:
		bridge_connect(b);
		break;
	case CONNECTOR_NOTHING:
		break;
	}
	bridge_note_since(b);
	bridge_set_timer(b);
}

static void
bridge_timer_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	bridge_continue(arg);
}

/* ---- settings ---------------------------------------------------------- */

/* Ends what there is; what the settings lack is told, or NULL. */
static const char *
bridge_lacks(const struct bridge *b, enum connector_state *state)
{
	*state = CONNECTOR_OFF;
	if (conf_text(b->conf, SETTING_NAME) == NULL)
		return "no name is set, 'callbridge xmpp name <name>' sets it";
	if (conf_text(b->conf, SETTING_DOMAIN) == NULL)
		return "no domain is set, 'callbridge xmpp domain <domain>' "
		       "sets it";
	*state = CONNECTOR_REFUSED;
	if (conf_text(b->conf, SETTING_SECRET) == NULL)
		return "no secret is set, 'callbridge xmpp secret' sets it";
	return NULL;
}

static void
bridge_drop(struct bridge *b)
{
	locator_cancel(b->locator);
	component_close(b->component);
	b->component = NULL;
	free(b->jid);
	b->jid = NULL;
}

void
bridge_configure(struct bridge *b)
{
	enum connector_state state;
	const char *lacks = bridge_lacks(b, &state);

	bridge_drop(b);
	if (lacks != NULL) {
		connector_stop(b->connector, clock_ms(), state, lacks);
	} else {
		xasprintf(&b->jid, "%s.%s", conf_text(b->conf, SETTING_NAME),
		    conf_text(b->conf, SETTING_DOMAIN));
		bridge_make_tls(b);
		connector_start(b->connector, clock_ms());
	}
	bridge_continue(b);
}

void
bridge_retry(struct bridge *b)
{
	struct connector_status status;

	connector_status(b->connector, &status);
	if (status.state != CONNECTOR_ONLINE)
		bridge_configure(b);
}

void
bridge_stop(struct bridge *b)
{
	bridge_drop(b);
	connector_stop(b->connector, clock_ms(), CONNECTOR_OFF, "stopped");
	bridge_continue(b);
}

/* ---- life -------------------------------------------------------------- */

struct bridge *
bridge_new(struct daemon *daemon, struct error *e)
{
	struct bridge *b = xcalloc(1, sizeof(*b));
	char *path = daemon_path(daemon, "callbridge.json");

	b->daemon = daemon;
	b->started = clock_ms();
	b->conf = settings_new(path);
	b->resolver = resolver_new(
	    daemon->base, "/etc/resolv.conf", RESOLVER_DEADLINE_MS);
	b->connector = connector_new(resolver_random, NULL);
	b->locator = locator_new(
	    daemon->base, b->resolver, daemon->root, bridge_located_cb, b);
	b->loop = conn_loop_new(daemon->base);
	b->timer = evtimer_new(daemon->base, bridge_timer_cb, b);
	free(path);
	if (b->timer == NULL)
		fatalx("bridge: no timer");
	if (settings_load(b->conf, b->resolver, e) == RES_OK)
		return b;
	bridge_free(b);
	return NULL;
}

void
bridge_free(struct bridge *b)
{
	if (b == NULL)
		return;
	varlink_server_free(b->ctl);
	bridge_drop(b);
	event_free(b->timer);
	conn_loop_free(b->loop);
	locator_free(b->locator);
	connector_free(b->connector);
	resolver_free(b->resolver);
	conf_free(b->conf);
	SSL_CTX_free(b->tls);
	free(b->tls_trust);
	free(b->local_trust);
	free(b);
}
