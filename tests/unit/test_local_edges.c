/*
 * A node's edges together: on the main loop, and on threads of their own. The
 * router is the test itself, which reads their mail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/tls.h"
#include "common/xmalloc.h"
#include "tests/lib/certs.h"
#include "xmppd/edge/logins.h"
#include "xmppd/local_edges.h"
#include "xmppd/mailbox.h"
#include "xmppd/worker.h"

#define CLIENTS 6

struct world {
	struct event_base *base;
	struct mailbox *inbox;
	struct worker *worker;
	struct local_edges *edges;
	struct edge_config cfg;
	struct ssl_ctx_st *tls;
	int clients[CLIENTS];
	/* The newest mail of each edge. */
	uint64_t opening[LOCAL_EDGES_MAX];
	uint32_t what[LOCAL_EDGES_MAX];
	size_t len[LOCAL_EDGES_MAX], count;
};

static void
arrived_cb(void *arg)
{
	struct world *w = arg;
	struct mail mail;

	while (mailbox_next(w->inbox, &mail)) {
		w->opening[mail.edge] = mail.of;
		w->what[mail.edge] = mail.what;
		w->len[mail.edge] = mail.len;
		w->count++;
	}
}

static struct ssl_ctx_st *
make_tls(void)
{
	const struct certs_spec spec = { .cn = "example.org",
		.san = "DNS:example.org" };
	const struct certs_who *who = certs_make(&spec);
	struct error e;

	return tls_server_new(who->key_pem, who->cert_pem, &e);
}

static struct world *
world_new(uint32_t count)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct local_edges_config cfg = { .count = count };

	signal(SIGPIPE, SIG_IGN);
	w->base = event_base_new();
	w->inbox = mailbox_new(w->base, arrived_cb, w);
	w->worker = worker_new(w->base);
	w->tls = make_tls();
	cfg.edge = (struct edge_config){ .node = 1,
		.hold_ms = 60000,
		.domain = "example.org",
		.secret = "secret",
		.window = 64,
		.session_window = 8,
		.logins = logins_new() };
	limits_init(&cfg.edge.limits);
	cfg.base = w->base;
	cfg.up = w->inbox;
	cfg.worker = w->worker;
	w->cfg = cfg.edge;
	w->edges = local_edges_new(&cfg);
	local_edges_set_tls(w->edges, w->tls);
	local_edges_set_serving(w->edges, true, NULL);
	return w;
}

static void
world_free(struct world *w)
{
	local_edges_free(w->edges);
	for (size_t i = 0; i < CLIENTS; i++)
		if (w->clients[i] != 0)
			close(w->clients[i]);
	worker_free(w->worker);
	mailbox_free(w->inbox);
	logins_free(w->cfg.logins);
	SSL_CTX_free(w->tls);
	event_base_free(w->base);
	certs_free_all();
	free(w);
}

/* Until there is mail for which it holds. */
#define TURN_UNTIL(w, condition)                                               \
	while (!(condition))                                                   \
	event_base_loop((w)->base, EVLOOP_ONCE)

static void
connect_clients(struct world *w)
{
	int fds[2];

	for (size_t i = 0; i < CLIENTS; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		w->clients[i] = fds[0];
		local_edges_accept(w->edges, fds[1], false, "192.0.2.1:40000");
	}
}

struct counted {
	size_t connections[LOCAL_EDGES_MAX], edges;
};

static void
count_cb(struct edge *edge, void *arg)
{
	struct counted *c = arg;

	c->connections[c->edges++] = edge_stats(edge).connections;
}

static void
connections_go_to_the_edge_with_the_fewest(void **state)
{
	(void)state;
	for (uint32_t count = 1; count <= 3; count++) {
		struct world *w = world_new(count);
		struct counted c = { 0 };

		connect_clients(w);
		local_edges_each(w->edges, count_cb, &c);
		assert_int_equal(c.edges, count);
		for (size_t i = 0; i < count; i++)
			assert_int_equal(c.connections[i], CLIENTS / count);
		assert_int_equal(
		    local_edges_stats(w->edges).connections, CLIENTS);
		world_free(w);
	}
}

static void
closing_waits_until_all_have_ended(void **state)
{
	char byte;

	(void)state;
	for (uint32_t count = 1; count <= 2; count++) {
		struct world *w = world_new(count);

		connect_clients(w);
		local_edges_close(w->edges, "system-shutdown");
		assert_false(local_edges_are_serving(w->edges));
		assert_int_equal(local_edges_stats(w->edges).connections, 0);
		/* Refused: they don't serve any more. */
		connect_clients(w);
		local_edges_close(w->edges, "system-shutdown");
		for (size_t i = 0; i < CLIENTS; i++)
			assert_true(read(w->clients[i], &byte, 1) <= 0);
		world_free(w);
	}
}

static void
what_belongs_to_an_earlier_opening_is_dropped(void **state)
{
	static const char noise[] = "no message";

	(void)state;
	for (uint32_t count = 1; count <= 2; count++) {
		struct world *w = world_new(count);
		uint32_t last = count - 1;

		local_edges_link_up(w->edges, last, 7, 1);
		TURN_UNTIL(w, w->opening[last] == 7);
		assert_int_equal(w->what[last], MAIL_UP);
		local_edges_link_up(w->edges, last, 8, 1);
		TURN_UNTIL(w, w->opening[last] == 8);
		/* Of the old one: nothing happens. Of this one: it is
		 * closed, and it says why. */
		local_edges_down(w->edges, last, 7, noise, sizeof(noise));
		local_edges_down(w->edges, last, 8, noise, sizeof(noise));
		TURN_UNTIL(w, w->what[last] == MAIL_UNLINK);
		assert_int_equal(w->opening[last], 8);
		assert_int_equal(w->len[last], 1);
		world_free(w);
	}
}

/* Rule 12 of delivery(7). */
static void
a_higher_term_ends_the_link(void **state)
{
	(void)state;
	for (uint32_t count = 1; count <= 2; count++) {
		struct world *w = world_new(count);
		uint32_t last = count - 1;

		local_edges_set_term(w->edges, 4);
		local_edges_link_up(w->edges, last, 1, 4);
		TURN_UNTIL(w, w->opening[last] == 1);
		local_edges_set_term(w->edges, 5);
		TURN_UNTIL(w, w->what[last] == MAIL_UNLINK);
		assert_int_equal(w->len[last], 0);
		world_free(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_go_to_the_edge_with_the_fewest),
		cmocka_unit_test(closing_waits_until_all_have_ended),
		cmocka_unit_test(what_belongs_to_an_earlier_opening_is_dropped),
		cmocka_unit_test(a_higher_term_ends_the_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
