/*
 * Nodes over loopback, in one process.
 */
#include "tests/lib/peer_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/clock.h"
#include "common/conn.h"
#include "common/xmalloc.h"
#include "tests/lib/tree.h"

#define LIMIT_MS 10000

/* ---- xmppd's own listener ------------------------------------------------ */

static void
on_accepted(void *arg, int fd, enum edge_port port, const char *from)
{
	(void)arg, (void)port, (void)from;
	close(fd);
}

static void
on_client(void *arg, int fd, struct ssl_st *ssl, const char *from)
{
	(void)arg, (void)from;
	SSL_free(ssl);
	close(fd);
}

static void
on_peer(void *arg, struct conn *c, const char *from)
{
	struct peer_world_node *n = arg;

	if (n->peers != NULL)
		peers_adopt(n->peers, c, from);
	else
		conn_abort(c);
}

static bool
on_serving(void *arg)
{
	(void)arg;
	return false;
}

static bool
on_enter(void *arg, const char *from)
{
	(void)arg, (void)from;
	return true;
}

static void
on_leave(void *arg, const char *from)
{
	(void)arg, (void)from;
}

static unsigned
patience(void *arg)
{
	(void)arg;
	return 30;
}

static const struct listen_ops listen_ops = {
	.accepted = on_accepted,
	.client = on_client,
	.peer = on_peer,
	.enter = on_enter,
	.leave = on_leave,
	.patience = patience,
	.serving = on_serving,
};

/* An address of its own, with a port that nobody has at the moment. */
static void
choose_address(struct peer_world_node *n)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)&n->address.sa;
	socklen_t len = sizeof(*sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[64];

	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK + n->number);
	assert_int_equal(bind(fd, (struct sockaddr *)sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)sin, &len), 0);
	close(fd);
	listen_text(&n->address.sa, text);
	n->member.address = xstrdup(text);
}

void
peer_world_listen(struct peer_world *w, unsigned i, bool on)
{
	struct peer_world_node *n = &w->nodes[i];
	struct error e;

	if (listener_set(n->listener, &n->address, on ? 1 : 0, &e) != RES_OK)
		fail_msg("%s", e.text);
}

/* ---- what is called back ------------------------------------------------- */

static void
on_up(void *arg, uint32_t node, enum peer_channel channel, bool dialled)
{
	struct peer_world_node *n = arg;

	(void)node, (void)dialled;
	n->ups[channel]++;
}

static void
on_down(void *arg, uint32_t node, enum peer_channel channel, bool dialled)
{
	struct peer_world_node *n = arg;

	(void)node, (void)dialled;
	n->downs[channel]++;
}

static int
on_message(void *arg, uint32_t node, enum peer_channel channel, bool dialled,
    const void *msg, size_t len)
{
	struct peer_world_node *n = arg;

	(void)node, (void)channel, (void)dialled;
	n->messages++;
	buf_reset(&n->message);
	buf_add(&n->message, msg, len);
	return n->reject ? RES_INVALID : RES_OK;
}

/* Answers with the same, and who asked in front. */
static void
on_request(void *arg, uint32_t node, const char *peer, uint64_t token,
    const void *msg, size_t len)
{
	struct peer_world_node *n = arg;
	struct buf b = { 0 };

	assert_non_null(strchr(peer, ':'));
	n->requests++;
	n->asked_by = node;
	if (n->mute)
		return;
	buf_addf(&b, "%u:", node);
	buf_add(&b, msg, len);
	peers_answer(n->peers, token, b.data, b.len);
	buf_clear(&b);
}

static void
on_raft(void *arg, uint32_t node, bool dialled, int fd, struct ssl_st *ssl)
{
	struct peer_world_node *n = arg;

	(void)node;
	n->rafts++;
	if (n->ssl != NULL) {
		SSL_free(n->ssl);
		close(n->fd);
	}
	n->fd = fd;
	n->ssl = ssl;
	n->dialled = dialled;
}

static void
on_refused(void *arg, uint32_t node, bool removed, const char *why)
{
	struct peer_world_node *n = arg;

	(void)removed;
	assert_true(node != 0);
	n->refusals++;
	snprintf(n->why, sizeof(n->why), "%s", why);
}

static void
on_copy(void *arg, uint32_t node, const char *path, uint64_t index)
{
	struct peer_world_node *n = arg;

	(void)node;
	n->copies++;
	n->copy_index = index;
	snprintf(n->copy_path, sizeof(n->copy_path), "%s", path);
}

static const struct peers_callbacks counting = { .up = on_up,
	.down = on_down,
	.message = on_message,
	.request = on_request,
	.raft = on_raft,
	.refused_us = on_refused,
	.copy = on_copy };

/* ---- life ---------------------------------------------------------------- */

void
peer_world_start(struct peer_world *w, unsigned i)
{
	struct peer_world_node *n = &w->nodes[i];
	struct peers_callbacks cb =
	    w->callbacks == NULL ? counting : *w->callbacks;

	cb.arg = n;
	n->peers = peers_new(w->base, &cb);
}

void
peer_world_stop(struct peer_world *w, unsigned i)
{
	peers_free(w->nodes[i].peers);
	w->nodes[i].peers = NULL;
	listener_set_tls(w->nodes[i].listener, NULL, NULL);
}

/* A timer makes each turn of the loop end after a while. */
static void
woken(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

void
peer_world_init(struct peer_world *w, unsigned count,
    const struct peers_callbacks *callbacks)
{
	struct peer_world_node *n;

	memset(w, 0, sizeof(*w));
	w->count = count;
	w->callbacks = callbacks;
	w->base = event_base_new();
	w->loop = conn_loop_new(w->base);
	w->waker = event_new(w->base, -1, EV_PERSIST, woken, NULL);
	event_add(w->waker, &(struct timeval){ 0, 2000 });
	snprintf(w->dir, sizeof(w->dir), "%s/peer_world.XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(w->dir));
	for (unsigned i = 0; i < count; i++) {
		n = &w->nodes[i];
		n->world = w;
		n->number = i;
		snprintf(n->dir, sizeof(n->dir), "%s/%u", w->dir, i);
		assert_int_equal(mkdir(n->dir, 0700), 0);
		memset(n->cluster, 7, sizeof(n->cluster));
		n->member.raft_id = i + 1;
		n->member.boot = 1ULL << 32;
		memset(n->member.identity, (int)i + 1, 16);
		memset(n->member.key, (int)i + 100, 32);
		xasprintf(&n->member.host, "cb%u.tptac9.com", i + 1);
		n->listener = listener_new(w->loop, w->base, &listen_ops, n);
		choose_address(n);
		peer_world_listen(w, i, true);
		peer_world_start(w, i);
	}
}

void
peer_world_clear(struct peer_world *w)
{
	struct peer_world_node *n;

	for (unsigned i = 0; i < w->count; i++) {
		n = &w->nodes[i];
		listener_free(n->listener);
		peers_free(n->peers);
		if (n->ssl != NULL) {
			SSL_free(n->ssl);
			close(n->fd);
		}
		store_member_clear(&n->member);
		buf_clear(&n->message);
	}
	/* What was closed politely waits for the other side. */
	peer_world_run(w, 20);
	event_free(w->waker);
	conn_loop_free(w->loop);
	event_base_free(w->base);
	buf_clear(&w->answer);
	tree_remove(w->dir);
}

void
peer_world_tls(struct peer_world *w, unsigned i, const struct certs_who *who,
    const char *trust)
{
	struct error e;

	w->nodes[i].who = who;
	if (peers_set_tls(w->nodes[i].peers, who->key_pem, who->cert_pem, trust,
		&e) != RES_OK)
		fail_msg("%s", e.text);
	listener_set_tls(
	    w->nodes[i].listener, NULL, peers_tls(w->nodes[i].peers));
}

void
peer_world_members(struct peer_world *w, unsigned i, unsigned mask)
{
	struct peer_world_node *n = &w->nodes[i];
	struct store_member members[PEER_WORLD_MAX];
	struct peers_self self = {
		.me = n->member, .domain = PEER_WORLD_DOMAIN, .dir = n->dir
	};
	size_t count = 0;

	memcpy(self.cluster, n->cluster, sizeof(self.cluster));
	for (unsigned k = 0; k < w->count; k++)
		if ((mask & 1U << k) != 0)
			members[count++] = w->nodes[k].member;
	peers_set(n->peers, &self, members, count);
}

void
peer_world_join_all(struct peer_world *w)
{
	struct certs_spec spec = { .cn = "shared",
		.san = "DNS:" PEER_WORLD_DOMAIN,
		.eku = "serverAuth" };
	const struct certs_who *who = certs_make(&spec);

	for (unsigned i = 0; i < w->count; i++) {
		peer_world_tls(w, i, who, who->cert_pem);
		peer_world_members(w, i, (1U << w->count) - 1);
	}
}

/* ---- acting and looking -------------------------------------------------- */

static void
on_answer(void *arg, int code, const char *why, const void *msg, size_t len)
{
	struct peer_world *w = arg;

	w->answers++;
	w->code = code;
	snprintf(w->why, sizeof(w->why), "%s", why);
	buf_reset(&w->answer);
	buf_add(&w->answer, msg, len);
}

void
peer_world_request(struct peer_world *w, unsigned from, uint32_t node,
    const char *address, const char *text, unsigned timeout_ms)
{
	unsigned before = w->answers;

	peers_request(w->nodes[from].peers, node, address, text, strlen(text),
	    timeout_ms, on_answer, w);
	assert_int_equal(w->answers, before);
	peer_world_await(w, &w->answers, before + 1);
}

void
peer_world_run(struct peer_world *w, unsigned ms)
{
	uint64_t end = clock_ms() + ms;

	while (clock_ms() < end)
		event_base_loop(w->base, EVLOOP_ONCE);
}

void
peer_world_await(struct peer_world *w, const unsigned *what, unsigned least)
{
	uint64_t end = clock_ms() + LIMIT_MS;

	while (*what < least) {
		if (clock_ms() > end)
			fail_msg("nothing happens: %u, not %u", *what, least);
		event_base_loop(w->base, EVLOOP_ONCE);
	}
}

const char *
peer_world_trouble(struct peer_world *w, unsigned i, uint32_t node)
{
	static struct peer_trouble troubles[64];
	size_t n = peers_troubles(w->nodes[i].peers, troubles, 64);

	for (size_t k = 0; k < n; k++)
		if (troubles[k].node == node && troubles[k].since != 0)
			return troubles[k].text;
	return "";
}

/* All control connections that it has dialled are up: it says so by having
 * got an answer. */
void
peer_world_await_calm(struct peer_world *w, unsigned i)
{
	for (unsigned k = 0; k < w->count; k++) {
		if (k == i)
			continue;
		peer_world_request(w, i, k + 1, NULL, "calm", LIMIT_MS);
		assert_int_equal(w->code, RES_OK);
		assert_string_equal(peer_world_trouble(w, i, k + 1), "");
	}
}
