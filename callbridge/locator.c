/*
 * Finds the servers that a Call Bridge may log in to.
 *
 * By SRV: the record, then AAAA and A of all targets at once. A server that is
 * set: its AAAA and A. localhost: what this node's own XMPP server says that it
 * listens on. Beside all this that server is asked what it trusts. When the
 * last answer is there, or its time is up, the owner is told.
 */
#include "callbridge/locator.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callbridge/local.h"
#include "common/buf.h"
#include "common/interfaces.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

#define LOCATOR_SERVERS_MAX 16
#define LOCATOR_PORT 5223
#define LOCATOR_SET_TTL 3600 /* of an address that needs no DNS */
#define LOCATOR_WHY_MAX 400

/* AAAA is tried before A. */
static const enum resolver_type locator_types[] = { RESOLVER_AAAA, RESOLVER_A };

struct locator_host {
	struct locator *l;
	struct resolver_answer srv;
	struct resolver_query *query[2]; /* by locator_types */
	struct resolver_answer found[2][CONNECTOR_ADDRESSES_MAX];
	size_t count[2];
	char why[512]; /* it has no address */
};

struct locator {
	struct event_base *base;
	struct resolver *resolver;
	char *root;
	locator_cb cb;
	void *arg;
	struct event *done;
	struct resolver_query *srv;
	struct local_call *trust_call, *show_call;
	struct locator_host hosts[LOCATOR_SERVERS_MAX];
	size_t count;
	uint16_t port; /* of localhost; 0: what it listens on */
	unsigned patience_ms;
	unsigned open; /* questions without an answer */
	uint32_t ttl;
	struct buf why;
	bool uncertain; /* somebody didn't answer */
	char *trust;
	const char *no_trust; /* a constant; NULL: it was told */
};

static void
locator_note(struct locator *l, const char *why)
{
	if (l->why.len == 0 || l->why.len + strlen(why) < LOCATOR_WHY_MAX)
		buf_addf(&l->why, "%s%s", l->why.len > 0 ? "; " : "", why);
}

/* ---- the end ----------------------------------------------------------- */

static void
locator_make_server(
    const struct locator_host *h, struct connector_server *server)
{
	memset(server, 0, sizeof(*server));
	server->srv = h->srv;
	for (size_t type = 0; type < 2; type++)
		for (size_t i = 0; i < h->count[type] &&
		     server->count < CONNECTOR_ADDRESSES_MAX;
		     i++)
			snprintf(server->addresses[server->count++],
			    CONNECTOR_ADDRESS_SIZE, "%.*s",
			    CONNECTOR_ADDRESS_SIZE - 1,
			    h->found[type][i].value);
}

static void
locator_done_cb(evutil_socket_t fd, short what, void *arg)
{
	struct connector_server servers[LOCATOR_SERVERS_MAX];
	struct locator *l = arg;
	struct locator_result result = {
		.servers = servers,
		.ttl = l->ttl,
		.trust = l->trust,
		.no_trust = l->no_trust,
	};

	(void)fd;
	(void)what;
	for (size_t i = 0; i < l->count; i++) {
		locator_make_server(&l->hosts[i], &servers[result.count]);
		if (servers[result.count].count > 0)
			result.count++;
		else
			locator_note(l, l->hosts[i].why);
	}
	result.why = buf_str(&l->why);
	result.certain = result.count == 0 && !l->uncertain;
	l->cb(&result, l->arg);
}

/* The result is given by the loop, when all is known. */
static void
locator_answered(struct locator *l)
{
	static const struct timeval now = { 0, 0 };

	if (--l->open == 0)
		evtimer_add(l->done, &now);
}

/* ---- addresses --------------------------------------------------------- */

static struct locator_host *
locator_add_host(struct locator *l, const char *name, uint16_t port)
{
	struct locator_host *h = &l->hosts[l->count++];

	memset(h, 0, sizeof(*h));
	h->l = l;
	h->srv.port = port;
	snprintf(h->srv.value, sizeof(h->srv.value), "%s", name);
	return h;
}

static void
locator_add_address(struct locator_host *h, const char *address)
{
	size_t type = strchr(address, ':') == NULL;

	if (h->count[type] < CONNECTOR_ADDRESSES_MAX)
		snprintf(h->found[type][h->count[type]++].value,
		    CONNECTOR_ADDRESS_SIZE, "%s", address);
}

static void
locator_address_cb(const struct resolver_result *r, void *arg)
{
	struct locator_host *h = arg;

	h->query[r->type == RESOLVER_A] = NULL;
	for (size_t i = 0; i < r->count; i++)
		locator_add_address(h, r->answers[i].value);
	if (r->outcome == RESOLVER_FOUND && r->ttl < h->l->ttl)
		h->l->ttl = r->ttl;
	if (r->outcome == RESOLVER_NO_REPLY || r->outcome == RESOLVER_FAILED)
		h->l->uncertain = true;
	/* What there is to say of A says enough of AAAA. */
	if (r->type == RESOLVER_A || h->why[0] == '\0')
		resolver_describe(r, h->why, sizeof(h->why));
	locator_answered(h->l);
}

static void
locator_ask_addresses(struct locator_host *h)
{
	for (size_t i = 0; i < 2; i++) {
		h->l->open++;
		h->query[i] = resolver_ask(h->l->resolver, h->srv.value,
		    locator_types[i], locator_address_cb, h);
	}
}

/* ---- SRV --------------------------------------------------------------- */

static void
locator_srv_cb(const struct resolver_result *r, void *arg)
{
	struct locator *l = arg;
	struct locator_host *h;
	char text[512];

	l->srv = NULL;
	if (r->outcome == RESOLVER_FOUND && r->ttl < l->ttl)
		l->ttl = r->ttl;
	for (size_t i = 0; i < r->count; i++) {
		/* RFC 2782: a target of "." says that there is no service. */
		if (str_equal(r->answers[i].value, ".") ||
		    l->count == LOCATOR_SERVERS_MAX)
			continue;
		h = locator_add_host(l, "", 0);
		h->srv = r->answers[i];
		locator_ask_addresses(h);
	}
	resolver_describe(r, text, sizeof(text));
	if (r->outcome == RESOLVER_FOUND && l->count == 0)
		snprintf(text, sizeof(text),
		    "SRV %s: the service is not offered (target .)", r->name);
	if (l->count == 0)
		locator_note(l, text);
	if (r->outcome == RESOLVER_NO_REPLY || r->outcome == RESOLVER_FAILED)
		l->uncertain = true;
	locator_answered(l);
}

static void
locator_ask_srv(struct locator *l, const char *domain)
{
	char *name;

	xasprintf(&name, "_xmpp-component._tcp.%s", domain);
	l->open++;
	l->srv =
	    resolver_ask(l->resolver, name, RESOLVER_SRV, locator_srv_cb, l);
	free(name);
}

/* ---- this node's own server -------------------------------------------- */

static struct local_call *
locator_ask_local(struct locator *l, const char *method, local_cb cb)
{
	struct local_question q = { l->base, l->root, method, l->patience_ms };

	return local_ask(&q, cb, l);
}

/* An entry of what it listens on, "a:5222:5223", as addresses. */
static void
locator_add_listen(
    struct locator *l, const struct interfaces *interfaces, const char *entry)
{
	struct sockaddr_storage *all = NULL;
	struct listen_spec spec;
	struct locator_host *h;
	char text[INET6_ADDRSTRLEN];
	size_t count = 0;

	if (listen_spec_parse(entry, &spec, NULL) != RES_OK ||
	    interfaces_addresses(interfaces, spec.name, &all, &count, NULL) !=
		RES_OK ||
	    l->count == LOCATOR_SERVERS_MAX)
		return;
	h = locator_add_host(
	    l, "localhost", l->port != 0 ? l->port : spec.component_port);
	for (size_t i = 0; i < count; i++) {
		const void *address = all[i].ss_family == AF_INET6
		    ? (const void *)&((struct sockaddr_in6 *)&all[i])->sin6_addr
		    : (const void *)&((struct sockaddr_in *)&all[i])->sin_addr;

		if (inet_ntop(all[i].ss_family, address, text, sizeof(text)) !=
		    NULL)
			locator_add_address(h, text);
	}
	free(all);
}

static void
locator_show_cb(json_t *answer, const char *why, void *arg)
{
	struct locator *l = arg;
	struct interfaces *interfaces;
	json_t *listen = json_object_get(answer, "listen"), *entry;
	size_t i;

	l->show_call = NULL;
	if (answer == NULL) {
		l->uncertain = true;
		locator_note(l, why);
	}
	interfaces = interfaces_load(l->root, NULL);
	json_array_foreach(listen, i, entry) {
		if (json_is_string(entry) && interfaces != NULL)
			locator_add_listen(
			    l, interfaces, json_string_value(entry));
	}
	interfaces_free(interfaces);
	if (answer != NULL && json_array_size(listen) == 0)
		locator_note(l,
		    "this node's XMPP server listens nowhere, 'xmpp "
		    "listen <interface>' tells it where");
	else if (answer != NULL && l->count == 0)
		locator_note(l,
		    "the interfaces that this node's XMPP server "
		    "listens on have no address");
	locator_answered(l);
}

static void
locator_trust_cb(json_t *answer, const char *why, void *arg)
{
	const char *pem = json_string_value(json_object_get(answer, "pem"));
	struct locator *l = arg;

	l->trust_call = NULL;
	l->no_trust = why;
	if (pem != NULL)
		l->trust = xstrdup(pem);
	locator_answered(l);
}

/* ---- a server that is set ---------------------------------------------- */

static bool
locator_is_address(const char *host)
{
	uint8_t bytes[16];

	return inet_pton(AF_INET, host, bytes) == 1 ||
	    inet_pton(AF_INET6, host, bytes) == 1;
}

int
locator_parse_server(const char *server, char host[RESOLVER_NAME_SIZE],
    uint16_t *port, struct error *e)
{
	const char *end = NULL, *begin = server;
	uint64_t number = 0;
	size_t len;

	if (server[0] == '[')
		end = strchr(++begin, ']');
	else if (strchr(server, ':') == strrchr(server, ':'))
		end = strchr(server, ':');
	len = end != NULL ? (size_t)(end - begin) : strlen(begin);
	if (end != NULL && *end == ']')
		end++;
	if (end != NULL && *end == '\0' && server[0] == '[')
		end = NULL;
	if (len == 0 || len >= RESOLVER_NAME_SIZE ||
	    strcspn(begin, " \t/@[") < len ||
	    (server[0] == '[' && begin[len] != ']') ||
	    (end != NULL &&
		(*end != ':' || !str_to_u64(end + 1, 1, 65535, &number))))
		return error_set(e, RES_INVALID,
		    "%s is not a server: give a name or an address, and a "
		    "port behind a colon if it is not %d",
		    server, LOCATOR_PORT);
	snprintf(host, RESOLVER_NAME_SIZE, "%.*s", (int)len, begin);
	if ((server[0] == '[' || strchr(host, ':') != NULL) &&
	    !locator_is_address(host))
		return error_set(e, RES_INVALID, "%s is not an address", host);
	*port = (uint16_t)number;
	return RES_OK;
}

static void
locator_use_server(struct locator *l, const char *server)
{
	char host[RESOLVER_NAME_SIZE] = "";
	uint16_t port = 0;

	if (locator_parse_server(server, host, &port, NULL) != RES_OK)
		return;
	if (str_equal_nocase(host, "localhost")) {
		l->port = port;
		l->open++;
		l->show_call =
		    locator_ask_local(l, "im.xmppd.Xmpp.Show", locator_show_cb);
		return;
	}
	locator_add_host(l, host, port != 0 ? port : LOCATOR_PORT);
	if (locator_is_address(host))
		locator_add_address(&l->hosts[0], host);
	else
		locator_ask_addresses(&l->hosts[0]);
}

/* ---- life -------------------------------------------------------------- */

struct locator *
locator_new(struct event_base *base, struct resolver *resolver,
    const char *root, locator_cb cb, void *arg)
{
	struct locator *l = xcalloc(1, sizeof(*l));

	l->base = base;
	l->resolver = resolver;
	l->root = xstrdup(root);
	l->cb = cb;
	l->arg = arg;
	l->done = evtimer_new(base, locator_done_cb, l);
	if (l->done == NULL)
		fatalx("locator: no timer");
	return l;
}

void
locator_free(struct locator *l)
{
	if (l == NULL)
		return;
	locator_cancel(l);
	event_free(l->done);
	buf_clear(&l->why);
	free(l->trust);
	free(l->root);
	free(l);
}

void
locator_cancel(struct locator *l)
{
	for (size_t i = 0; i < l->count; i++)
		for (int type = 0; type < 2; type++)
			resolver_cancel(l->hosts[i].query[type]);
	resolver_cancel(l->srv);
	local_cancel(l->trust_call);
	local_cancel(l->show_call);
	l->srv = NULL;
	l->trust_call = l->show_call = NULL;
	l->count = 0;
	l->open = 0;
	evtimer_del(l->done);
}

void
locator_start(struct locator *l, const char *domain, const char *server,
    unsigned patience_ms)
{
	locator_cancel(l);
	l->patience_ms = patience_ms;
	buf_reset(&l->why);
	free(l->trust);
	l->trust = NULL;
	l->no_trust = NULL;
	l->uncertain = false;
	l->ttl = LOCATOR_SET_TTL;
	l->open++;
	l->trust_call =
	    locator_ask_local(l, "im.xmppd.Xmpp.Trust", locator_trust_cb);
	if (server != NULL)
		locator_use_server(l, server);
	else
		locator_ask_srv(l, domain);
}
