/*
 * This node's edges together: who gets a connection, who is told what.
 */
#include "xmppd/local_edges.h"

#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "common/xmalloc.h"
#include "xmppd/edge_host.h"
#include "xmppd/mailbox.h"

static void
call_all(struct local_edges *le, host_call_fn fn, const void *data, size_t len)
{
	for (uint32_t i = 0; i < le->count; i++)
		host_call(&le->hosts[i], fn, data, len);
}

/* ---- life -------------------------------------------------------------- */

/* One edge a core that this process may use; with one core, none of them needs
 * a thread. */
static uint32_t
count_for_machine(void)
{
	cpu_set_t set;
	int cores;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	cores = CPU_COUNT(&set);
	return cores > LOCAL_EDGES_MAX ? LOCAL_EDGES_MAX : (uint32_t)cores;
}

struct local_edges *
local_edges_new(const struct local_edges_config *cfg)
{
	struct local_edges *le = xcalloc(1, sizeof(*le));

	le->base = cfg->base;
	le->worker = cfg->worker;
	le->count = cfg->count != 0 ? cfg->count : count_for_machine();
	le->threaded = le->count > 1;
	atomic_init(&le->references, 1);
	for (uint32_t i = 0; i < le->count; i++) {
		le->hosts[i].all = le;
		le->hosts[i].number = i;
		host_start(&le->hosts[i], cfg);
	}
	return le;
}

void
local_edges_free(struct local_edges *le)
{
	if (le == NULL)
		return;
	for (uint32_t i = 0; i < le->count; i++)
		host_stop(&le->hosts[i]);
	le->closed = true;
	local_edges_unref(le);
}

uint32_t
local_edges_count(const struct local_edges *le)
{
	return le->count;
}

/* ---- service ----------------------------------------------------------- */

struct call_serving {
	bool serving;
	char condition[64]; /* "": none */
};

static void
call_serving(struct host *h, const void *data)
{
	const struct call_serving *c = data;

	edge_set_serving(
	    h->edge, c->serving, c->condition[0] == '\0' ? NULL : c->condition);
}

void
local_edges_set_serving(
    struct local_edges *le, bool serving, const char *condition)
{
	struct call_serving c = { .serving = serving };

	snprintf(c.condition, sizeof(c.condition), "%s",
	    condition == NULL ? "" : condition);
	le->serving = serving;
	call_all(le, call_serving, &c, sizeof(c));
}

static void
close_edge(struct edge *edge, void *arg)
{
	edge_set_serving(edge, false, arg);
}

void
local_edges_close(struct local_edges *le, const char *condition)
{
	char *copy = xstrdup(condition);

	le->serving = false;
	local_edges_each(le, close_edge, copy);
	free(copy);
}

static void
call_tls(struct host *h, const void *data)
{
	struct ssl_ctx_st *old = h->tls;

	memcpy(&h->tls, data, sizeof(h->tls));
	edge_set_tls(h->edge, h->tls, h->tls);
	SSL_CTX_free(old);
}

void
local_edges_set_tls(struct local_edges *le, struct ssl_ctx_st *tls)
{
	le->has_tls = tls != NULL;
	for (uint32_t i = 0; i < le->count; i++) {
		if (tls != NULL)
			SSL_CTX_up_ref(tls);
		host_call(&le->hosts[i], call_tls, &tls, sizeof(tls));
	}
}

static void
call_plaintext(struct host *h, const void *data)
{
	edge_set_plaintext(h->edge, *(const bool *)data);
}

void
local_edges_set_plaintext(struct local_edges *le, bool allowed)
{
	call_all(le, call_plaintext, &allowed, sizeof(allowed));
}

static void
call_sha1_only(struct host *h, const void *data)
{
	edge_set_sha1_only(h->edge, *(const bool *)data);
}

void
local_edges_set_sha1_only(struct local_edges *le, bool sha1_only)
{
	call_all(le, call_sha1_only, &sha1_only, sizeof(sha1_only));
}

static void
call_limits(struct host *h, const void *data)
{
	edge_set_limits(h->edge, data);
}

void
local_edges_set_limits(struct local_edges *le, const struct edge_limits *limits)
{
	_Static_assert(sizeof(*limits) <= CALL_MAX, "fits into a call");
	call_all(le, call_limits, limits, sizeof(*limits));
}

/* Texts are too long for a call: it has a pointer to them, and frees it. */
struct call_domains {
	char **names;
	size_t count;
};

static void
call_domains(struct host *h, const void *data)
{
	const struct call_domains *c = data;
	const char **names = xcalloc(c->count + 1, sizeof(*names));

	for (size_t i = 0; i < c->count; i++)
		names[i] = c->names[i];
	edge_set_domains(h->edge, names, c->count);
	free(names);
	for (size_t i = 0; i < c->count; i++)
		free(c->names[i]);
	free(c->names);
}

void
local_edges_set_domains(
    struct local_edges *le, const char *const *names, size_t count)
{
	for (uint32_t i = 0; i < le->count; i++) {
		struct call_domains c = { xcalloc(count + 1, sizeof(char *)),
			count };

		for (size_t k = 0; k < count; k++)
			c.names[k] = xstrdup(names[k]);
		host_call(&le->hosts[i], call_domains, &c, sizeof(c));
	}
}

bool
local_edges_are_serving(const struct local_edges *le)
{
	bool all = le->serving && le->has_tls;

	for (uint32_t i = 0; i < le->count; i++)
		all &= atomic_load(&le->hosts[i].has_leader);
	return all;
}

/* ---- connections ------------------------------------------------------- */

struct call_connection {
	int fd;
	enum edge_port port;
	struct ssl_st *ssl;
	char peer[64];
};

static void
call_accept(struct host *h, const void *data)
{
	const struct call_connection *c = data;

	h->had++;
	if (c->ssl != NULL)
		edge_adopt(h->edge, c->fd, c->ssl, c->peer);
	else
		edge_accept(h->edge, c->fd, c->port, c->peer);
}

/* Connections last: what counts is how many there are, those that are on their
 * way included, not who is busy at this moment. */
static size_t
load_of(const struct host *h)
{
	return h->given - atomic_load(&h->taken) + atomic_load(&h->connections);
}

static void
give(struct local_edges *le, struct call_connection *c, const char *peer)
{
	struct host *h = &le->hosts[0];

	for (uint32_t i = 1; i < le->count; i++)
		if (load_of(&le->hosts[i]) < load_of(h))
			h = &le->hosts[i];
	snprintf(c->peer, sizeof(c->peer), "%s", peer);
	h->given++;
	host_call(h, call_accept, c, sizeof(*c));
}

void
local_edges_accept(
    struct local_edges *le, int fd, enum edge_port port, const char *peer)
{
	struct call_connection c = { .fd = fd, .port = port };

	give(le, &c, peer);
}

void
local_edges_adopt(
    struct local_edges *le, int fd, struct ssl_st *ssl, const char *peer)
{
	struct call_connection c = { .fd = fd, .ssl = ssl };

	give(le, &c, peer);
}

/* ---- links ------------------------------------------------------------- */

static void
call_term(struct host *h, const void *data)
{
	(void)h, (void)data; /* arrived_cb() has looked already */
}

void
local_edges_set_term(struct local_edges *le, uint64_t term)
{
	if (atomic_exchange(&le->term, term) != term)
		call_all(le, call_term, NULL, 0);
}

void
local_edges_link_up(
    struct local_edges *le, uint32_t edge, uint64_t opening, uint64_t term)
{
	const struct mail mail = { .what = MAIL_LINK_UP,
		.of = opening,
		.msg = &term,
		.len = sizeof(term) };

	mail_write(le->hosts[edge].post, &mail);
}

void
local_edges_link_down(struct local_edges *le, uint32_t edge)
{
	const struct mail mail = { .what = MAIL_LINK_DOWN };

	mail_write(le->hosts[edge].post, &mail);
}

void
local_edges_down(struct local_edges *le, uint32_t edge, uint64_t opening,
    const void *msg, size_t len)
{
	const struct mail mail = {
		.what = MAIL_DOWN, .of = opening, .msg = msg, .len = len
	};

	if (edge < le->count)
		mail_write(le->hosts[edge].post, &mail);
}

/* ---- what is shown ----------------------------------------------------- */

struct edge_stats
local_edges_stats(const struct local_edges *le)
{
	struct edge_stats sum = { 0 };

	for (uint32_t i = 0; i < le->count; i++) {
		const struct host *h = &le->hosts[i];

		sum.connections += atomic_load(&h->connections);
		sum.sessions += atomic_load(&h->sessions);
		sum.components += atomic_load(&h->components);
		sum.unacked += atomic_load(&h->unacked);
		sum.accepted += atomic_load(&h->accepted);
	}
	return sum;
}

struct visit {
	void (*fn)(struct edge *edge, void *arg);
	void *arg;
	sem_t *done;
};

static void
call_visit(struct host *h, const void *data)
{
	const struct visit *v = data;

	v->fn(h->edge, v->arg);
	host_publish(h);
	if (v->done != NULL)
		sem_post(v->done);
}

void
local_edges_each(
    struct local_edges *le, void (*fn)(struct edge *edge, void *arg), void *arg)
{
	sem_t done;
	struct visit v = { fn, arg, &done };
	int rc;

	sem_init(&done, 0, 0);
	for (uint32_t i = 0; i < le->count; i++) {
		struct host *h = &le->hosts[i];

		if (le->threaded) {
			host_call(h, call_visit, &v, sizeof(v));
			mail_flush(h->post);
			do /* again after a signal */
				rc = sem_wait(&done);
			while (rc != 0);
		} else {
			v.done = NULL;
			host_read_now(h);
			call_visit(h, &v);
		}
	}
	sem_destroy(&done);
}
