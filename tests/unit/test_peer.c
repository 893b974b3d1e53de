/*
 * Connections between nodes, over loopback: who is let in, what arrives, what
 * is said when something is wrong.
 */
#include "xmppd/cluster/peer.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "common/conn.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "tests/lib/peer_raw.h"
#include "tests/lib/peer_world.h"
#include "xmppd/cluster/peer_impl.h"

#define YEAR ((int64_t)365 * 86400)

static int
setup(void **state)
{
	struct peer_world *w = xcalloc(1, sizeof(*w));

	peer_world_init(w, 3, NULL);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	peer_world_clear(*state);
	free(*state);
	return 0;
}

static int
forget_certs(void **state)
{
	(void)state;
	certs_free_all();
	return 0;
}

static void
assert_says(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" doesn't say \"%s\"", text, part);
}

struct sending {
	char path[160];
	uint8_t sha256[32];
	size_t len;
	char *data;
	unsigned done;
	int code;
};

static void
sent(void *arg, int code)
{
	struct sending *s = arg;

	s->done++;
	s->code = code;
}

static void
make_file(struct peer_world *w, struct sending *s, size_t len)
{
	memset(s, 0, sizeof(*s));
	s->len = len;
	s->data = xmalloc(len);
	crypto_random(s->data, len);
	crypto_sha256(s->data, len, s->sha256);
	snprintf(s->path, sizeof(s->path), "%s/state", w->dir);
	assert_int_equal(file_write(s->path, s->data, len, 0600), 0);
}

static void
assert_arrived(const struct peer_world_node *n, const struct sending *s)
{
	size_t len;
	char *data = file_read(n->copy_path, s->len + 1, &len);

	assert_int_equal(len, s->len);
	assert_memory_equal(data, s->data, len);
	free(data);
}

/* ---- the ordinary -------------------------------------------------------- */

static void
members_reach_each_other(void **state)
{
	struct peer_world *w = *state;

	peer_world_join_all(w);
	for (unsigned i = 0; i < 3; i++)
		peer_world_await_calm(w, i);
	peer_world_request(w, 0, 2, NULL, "hello", 1000);
	assert_int_equal(w->code, RES_OK);
	assert_memory_equal(w->answer.data, "1:hello", 7);
	assert_int_equal(w->nodes[1].asked_by, 1);
	peer_world_request(w, 2, 2, NULL, "", 1000);
	assert_memory_equal(w->answer.data, "3:", 2);
}

static void
messages_go_both_ways(void **state)
{
	struct peer_world *w = *state;
	struct peer_world_node *a = &w->nodes[0], *b = &w->nodes[1];
	size_t big = 3U << 20;
	char *data = xmalloc(big);

	memset(data, 'x', big);
	peer_world_join_all(w);
	peers_want(a->peers, 2, PEER_MIRROR, true);
	peer_world_await(w, &a->ups[PEER_MIRROR], 1);
	peer_world_await(w, &b->ups[PEER_MIRROR], 1);
	peers_send(a->peers, 2, PEER_MIRROR, true, "up", 2);
	peer_world_await(w, &b->messages, 1);
	assert_memory_equal(b->message.data, "up", 2);
	peers_send(b->peers, 1, PEER_MIRROR, false, data, big);
	assert_true(peers_pending(b->peers, 1, PEER_MIRROR, false) >= big);
	peer_world_await(w, &a->messages, 1);
	assert_int_equal(a->message.len, big);
	/* In order. */
	for (unsigned i = 0; i < 500; i++)
		peers_send(a->peers, 2, PEER_MIRROR, true, &i, sizeof(i));
	peer_world_await(w, &b->messages, 501);
	assert_int_equal(b->message.data[0] + 256 * b->message.data[1], 499);
	free(data);
}

static void
each_up_has_its_down(void **state)
{
	struct peer_world *w = *state;
	struct peer_world_node *a = &w->nodes[0], *b = &w->nodes[1];

	peer_world_join_all(w);
	peers_want(a->peers, 2, PEER_LINK, true);
	peers_want(a->peers, 2, PEER_MIRROR, true);
	peer_world_await(w, &b->ups[PEER_LINK], 1);
	peer_world_await(w, &b->ups[PEER_MIRROR], 1);
	peer_world_await(w, &a->ups[PEER_LINK], 1);
	peer_world_await(w, &a->ups[PEER_MIRROR], 1);
	peers_want(a->peers, 2, PEER_LINK, false);
	assert_int_equal(a->downs[PEER_LINK], 1);
	peer_world_await(w, &b->downs[PEER_LINK], 1);
	peer_world_run(w, 150);
	assert_int_equal(a->ups[PEER_LINK], 1);
	/* A malformed message ends it; it's wanted, so it comes again. */
	b->reject = true;
	peers_send(a->peers, 2, PEER_MIRROR, true, "?", 1);
	peer_world_await(w, &b->downs[PEER_MIRROR], 1);
	peer_world_await(w, &a->downs[PEER_MIRROR], 1);
	peer_world_await(w, &a->ups[PEER_MIRROR], 2);
	peer_world_await(w, &b->ups[PEER_MIRROR], 2);
}

static void
a_node_is_dialled_when_the_table_has_it(void **state)
{
	struct peer_world *w = *state;
	struct peer_world_node *a = &w->nodes[0];

	peer_world_join_all(w);
	peer_world_members(w, 0, 3);
	peers_want(a->peers, 3, PEER_LINK, true);
	peers_want(a->peers, 3, PEER_MIRROR, true);
	peers_want(a->peers, 3, PEER_MIRROR, false);
	peer_world_run(w, 50);
	assert_int_equal(a->ups[PEER_LINK], 0);
	peer_world_members(w, 0, 7);
	peer_world_await(w, &a->ups[PEER_LINK], 1);
	/* It leaves the table, and is there again. */
	peer_world_members(w, 0, 3);
	assert_int_equal(a->downs[PEER_LINK], 1);
	peer_world_members(w, 0, 7);
	peer_world_await(w, &a->ups[PEER_LINK], 2);
	assert_int_equal(a->ups[PEER_MIRROR], 0);
}

/* More than the other side reads; nobody is called back meanwhile. */
static void
who_does_not_read_is_given_up(void **state)
{
	struct peer_world *w = *state;
	struct peer_world_node *a = &w->nodes[0];
	size_t len = 1U << 20;
	char *data = xcalloc(1, len + 1);

	peer_world_join_all(w);
	peers_want(a->peers, 2, PEER_LINK, true);
	peer_world_await(w, &a->ups[PEER_LINK], 1);
	for (unsigned i = 0; i < 70; i++)
		peers_send(a->peers, 2, PEER_LINK, true, data, len);
	assert_true(peers_pending(a->peers, 2, PEER_LINK, true) < 67U << 20);
	assert_int_equal(a->downs[PEER_LINK], 0);
	peer_world_await(w, &a->downs[PEER_LINK], 1);
	peer_world_await(w, &a->ups[PEER_LINK], 2);
	peers_send(a->peers, 2, PEER_LINK, true, data, len + 1);
	peer_world_await(w, &a->downs[PEER_LINK], 2);
	free(data);
}

static void
a_node_that_comes_back_is_dialled_again(void **state)
{
	struct peer_world *w = *state;
	struct peer_world_node *a = &w->nodes[0];

	peer_world_join_all(w);
	peer_world_await_calm(w, 0);
	peers_want(a->peers, 2, PEER_LINK, true);
	peer_world_await(w, &a->ups[PEER_LINK], 1);
	peer_world_stop(w, 1);
	peer_world_listen(w, 1, false);
	peer_world_await(w, &a->downs[PEER_LINK], 1);
	peer_world_run(w, 400);
	assert_says(peer_world_trouble(w, 0, 2), "refused");
	assert_string_equal(peer_world_trouble(w, 0, 3), "");
	peer_world_request(w, 0, 2, NULL, "there?", 60);
	assert_int_equal(w->code, RES_UNREACHABLE);
	assert_says(w->why, "refused");
	peer_world_start(w, 1);
	peer_world_tls(w, 1, a->who, a->who->cert_pem);
	peer_world_members(w, 1, 7);
	peer_world_listen(w, 1, true);
	peer_world_await(w, &a->ups[PEER_LINK], 2);
	peer_world_await_calm(w, 0);
}

/* Nothing comes of it any more, on any connection. */
static void
fall_silent(struct peers *p, uint32_t node, bool both)
{
	struct peer_line *l;

	TAILQ_FOREACH(l, &p->lines, entry)
		if (l->node == node && (l->dialled || both))
			l->heard -= 10000;
}

static void
who_is_silent_is_unreachable(void **state)
{
	struct peer_world *w = *state;
	struct peer_world_node *a = &w->nodes[0];

	peer_world_join_all(w);
	peer_world_await_calm(w, 0);
	peer_world_await_calm(w, 1);
	peers_want(a->peers, 2, PEER_LINK, true);
	peer_world_await(w, &a->ups[PEER_LINK], 1);
	peer_request_beat(a->peers);
	/* It still speaks on another. */
	fall_silent(a->peers, 2, false);
	peer_request_beat(a->peers);
	assert_string_equal(peer_world_trouble(w, 0, 2), "");
	assert_null(line_find(a->peers, 2, PEER_CONTROL, true));
	peer_world_await_calm(w, 0);
	fall_silent(a->peers, 2, true);
	peer_request_beat(a->peers);
	assert_says(peer_world_trouble(w, 0, 2), "not answer");
	/* Until it does. */
	peer_world_await_calm(w, 0);
}

/* Then it is this process that has heard nobody, not they who were silent. */
static void
who_has_slept_blames_nobody(void **state)
{
	struct peer_world *w = *state;
	struct peers *p = w->nodes[0].peers;

	peer_world_join_all(w);
	peer_world_await_calm(w, 0);
	peer_world_await_calm(w, 1);
	peer_request_beat(p);
	fall_silent(p, 2, true);
	p->beaten -= 10000;
	peer_request_beat(p);
	assert_string_equal(peer_world_trouble(w, 0, 2), "");
	assert_non_null(line_find(p, 2, PEER_CONTROL, true));
}

static void
who_does_not_answer_times_out(void **state)
{
	struct peer_world *w = *state;

	peer_world_join_all(w);
	peer_world_await_calm(w, 0);
	w->nodes[1].mute = true;
	peer_world_request(w, 0, 2, NULL, "hello", 30);
	assert_int_equal(w->code, RES_TIMEOUT);
	peer_world_request(w, 0, 9, NULL, "hello", 1000);
	assert_int_equal(w->code, RES_UNREACHABLE);
	/* Late, or to nobody: no harm. */
	peers_answer(w->nodes[1].peers, 12345, "x", 1);
}

/* As a join does: the answer begins another life. */
static void
end_of_life(void *arg, int code, const char *why, const void *msg, size_t len)
{
	struct peer_world *w = arg;

	(void)why, (void)msg;
	w->code = code;
	if (w->nodes[0].peers != NULL && len == 7)
		peer_world_stop(w, 0);
	w->answers++;
}

static void
an_answer_may_free_the_peers(void **state)
{
	struct peer_world *w = *state;

	peer_world_join_all(w);
	peer_world_await_calm(w, 0);
	w->answers = 0;
	/* This one ends with the other. */
	peers_request(w->nodes[0].peers, 0, w->nodes[2].member.address, "later",
	    5, 5000, end_of_life, w);
	peers_request(
	    w->nodes[0].peers, 2, NULL, "hello", 5, 5000, end_of_life, w);
	peer_world_await(w, &w->answers, 2);
	assert_null(w->nodes[0].peers);
}

static void
a_raft_connection_is_given_away(void **state)
{
	struct peer_world *w = *state;
	struct peer_world_node *a = &w->nodes[0], *b = &w->nodes[1];
	char data[8];

	peer_world_join_all(w);
	peers_want(a->peers, 2, PEER_RAFT, true);
	peer_world_await(w, &a->rafts, 1);
	peer_world_await(w, &b->rafts, 1);
	assert_true(a->dialled && !b->dialled);
	assert_int_equal(SSL_write(a->ssl, "frame", 5), 5);
	assert_int_equal(fcntl(b->fd, F_SETFL, 0), 0);
	assert_int_equal(SSL_read(b->ssl, data, sizeof(data)), 5);
	assert_memory_equal(data, "frame", 5);
	/* Wanted once, given once. */
	peer_world_run(w, 150);
	assert_int_equal(a->rafts, 1);
}

/* ---- who is let in ------------------------------------------------------- */

struct certificate_row {
	struct certs_spec spec;
	bool listed, in;
	const char *why;
};

/* Nodes 1 and 2 anew, where 2 has the row's certificate. */
static void
try_certificate(struct peer_world *w, const struct certificate_row *row,
    const struct certs_who *own, const struct certs_who *ca)
{
	const struct certs_who *who = certs_make(&row->spec);
	char *trust;

	xasprintf(&trust, "%s%s%s", own->cert_pem, ca->cert_pem,
	    row->listed ? who->cert_pem : "");
	for (unsigned i = 0; i < 2; i++) {
		peer_world_stop(w, i);
		peer_world_start(w, i);
		peer_world_tls(w, i, i == 0 ? own : who, trust);
		peer_world_members(w, i, 3);
	}
	free(trust);
	/* Both who dials and who accepts decides so. */
	peer_world_request(w, 1, 1, NULL, "in?", 3000);
	if (w->code != (row->in ? RES_OK : RES_DENIED))
		fail_msg("%s: %s", row->spec.cn, w->why);
	if (!row->in) {
		assert_says(w->why, row->why);
		assert_says(peer_world_trouble(w, 0, 0), row->why);
	}
	peer_world_request(w, 0, 2, NULL, "in?", 3000);
	if (w->code != (row->in ? RES_OK : RES_DENIED))
		fail_msg("%s, dialled: %s", row->spec.cn, w->why);
}

static void
a_certificate_decides(void **state)
{
	struct certs_spec ca_spec = { .cn = "CA", .ca = true };
	struct certs_spec own_spec = { .cn = "node one" };
	const struct certs_who *ca = certs_make(&ca_spec);
	const struct certs_who *own = certs_make(&own_spec);
	const int64_t long_ago = CERTS_NOW - 5 * YEAR;
	const struct certificate_row rows[] = {
		/* Listed: whatever it says, even if it has expired. */
		{ { .cn = "a" }, true, true, NULL },
		{ { .cn = "b", .from = long_ago, .to = long_ago + 86400 }, true,
		    true, NULL },
		{ { .cn = "c", .eku = "clientAuth" }, true, true, NULL },
		/* Issued by one that is listed: domain and node. */
		{ { .cn = "d",
		      .san = "DNS:tptac9.com,DNS:cb2.tptac9.com",
		      .eku = "serverAuth",
		      .issuer = ca },
		    false, true, NULL },
		{ { .cn = "e",
		      .san = "DNS:tptac9.com,IP:127.0.0.2",
		      .issuer = ca },
		    false, true, NULL },
		{ { .cn = "f", .san = "DNS:tptac9.com", .issuer = ca }, false,
		    false, "cb2.tptac9.com" },
		{ { .cn = "g", .san = "DNS:cb2.tptac9.com", .issuer = ca },
		    false, false, "domain" },
		{ { .cn = "h",
		      .san = "DNS:tptac9.com,DNS:cb3.tptac9.com",
		      .issuer = ca },
		    false, false, "cb2.tptac9.com" },
		/* Neither. */
		{ { .cn = "i", .san = "DNS:tptac9.com,DNS:cb2.tptac9.com" },
		    false, false, "trust bundle" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		try_certificate(*state, &rows[i], own, ca);
}

static unsigned
count_lines(int fd, const char *part)
{
	char text[65536], *at = text;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	unsigned count = 0;

	assert_true(n >= 0);
	text[n] = '\0';
	while ((at = strstr(at, part)) != NULL) {
		at++;
		count++;
	}
	return count;
}

/* However often it is shown, each node complains of it once. */
static void
an_expired_certificate_is_logged_once(void **state)
{
	struct peer_world *w = *state;
	struct certs_spec spec = { .cn = "old",
		.from = CERTS_NOW - 5 * YEAR,
		.to = CERTS_NOW - 4 * YEAR };
	const struct certs_who *who = certs_make(&spec);
	FILE *file = tmpfile();
	int fd = fileno(file);

	log_set_file(fd);
	log_set_level(LOG_LEVEL_WARN);
	for (unsigned i = 0; i < 3; i++) {
		peer_world_tls(w, i, who, who->cert_pem);
		peer_world_members(w, i, 7);
	}
	for (unsigned i = 0; i < 3; i++)
		peer_world_await_calm(w, i);
	peers_want(w->nodes[0].peers, 2, PEER_LINK, true);
	peer_world_await(w, &w->nodes[1].ups[PEER_LINK], 1);
	log_set_level(LOG_LEVEL_ERR);
	log_set_file(-1);
	assert_int_equal(
	    count_lines(fd, "\"CN=old\" expired on 2023-01-16"), 3);
	fclose(file);
}

/* It learns why, as soon as the handshake is done. */
static void
who_is_not_trusted_may_not_even_speak(void **state)
{
	struct peer_world *w = *state;
	struct certs_spec spec = { .cn = "outsider" };
	struct peer_raw raw;
	struct peer_hello h;

	peer_world_join_all(w);
	peer_raw_open(&raw, w, 1, certs_make(&spec));
	assert_int_equal(peer_raw_answer(&raw, &h), RES_OK);
	assert_int_equal(h.verdict, PEER_REFUSED_CERTIFICATE);
	assert_says(h.text, "trust bundle");
	peer_raw_await_closed(&raw);
	peer_raw_close(&raw);
	assert_says(peer_world_trouble(w, 1, 0), "CN=outsider");
	/* Without a certificate there isn't even a handshake. */
	peer_raw_open(&raw, w, 1, NULL);
	assert_int_equal(peer_raw_answer(&raw, &h), RES_UNREACHABLE);
	peer_raw_close(&raw);
}

static void
a_new_certificate_counts_for_new_handshakes(void **state)
{
	struct peer_world *w = *state;
	struct certs_spec spec = { .cn = "new" };
	const struct certs_who *old, *fresh = certs_make(&spec);
	const struct ssl_ctx_st *context;
	char *both;

	peer_world_join_all(w);
	old = w->nodes[0].who;
	peers_want(w->nodes[0].peers, 2, PEER_LINK, true);
	peer_world_await(w, &w->nodes[0].ups[PEER_LINK], 1);
	/* The same again is no reason to make anything anew. */
	context = peers_tls(w->nodes[0].peers);
	peer_world_tls(w, 0, old, old->cert_pem);
	assert_ptr_equal(peers_tls(w->nodes[0].peers), context);
	xasprintf(&both, "%s%s", old->cert_pem, fresh->cert_pem);
	peer_world_tls(w, 0, fresh, both);
	peer_world_tls(w, 1, old, both);
	peer_world_run(w, 100);
	assert_int_equal(w->nodes[0].downs[PEER_LINK], 0);
	peers_want(w->nodes[0].peers, 2, PEER_MIRROR, true);
	peer_world_await(w, &w->nodes[0].ups[PEER_MIRROR], 1);
	free(both);
}

static void
members_of_another_cluster_are_refused(void **state)
{
	struct peer_world *w = *state;

	w->nodes[1].cluster[0] ^= 1;
	peer_world_join_all(w);
	peer_world_request(w, 0, 2, NULL, "hello", 3000);
	assert_int_equal(w->code, RES_DENIED);
	assert_says(w->why, "another cluster");
	assert_int_equal(w->nodes[0].refusals, 0);
	/* It may be about to join; but not for ever. */
	assert_string_equal(peer_world_trouble(w, 0, 2), "");
	assert_string_equal(peer_world_trouble(w, 1, 0), "");
	for (unsigned i = 0; i < 200 && peer_world_trouble(w, 1, 0)[0] == '\0';
	     i++)
		peer_world_run(w, 20);
	assert_says(peer_world_trouble(w, 0, 2), "another cluster");
	assert_says(peer_world_trouble(w, 1, 0), "another cluster");
}

static void
a_wrong_member_key_is_refused(void **state)
{
	struct peer_world *w = *state;
	uint8_t right = w->nodes[1].member.key[0];

	peer_world_join_all(w);
	peer_world_await_calm(w, 0);
	w->nodes[1].member.key[0] ^= 1;
	peer_world_stop(w, 1);
	peer_world_start(w, 1);
	peer_world_tls(w, 1, w->nodes[0].who, w->nodes[0].who->cert_pem);
	peer_world_members(w, 1, 7);
	w->nodes[1].member.key[0] = right;
	peer_world_request(w, 1, 1, NULL, "hello", 3000);
	assert_int_equal(w->code, RES_DENIED);
	assert_says(w->why, "key");
	/* And who dials it doesn't take it for the member. */
	peer_world_request(w, 0, 2, NULL, "hello", 3000);
	assert_int_equal(w->code, RES_DENIED);
	assert_says(w->why, "key");
}

static void
an_old_start_is_told_to_join_anew(void **state)
{
	struct peer_world *w = *state;
	struct peer_world_node *b = &w->nodes[1];

	peer_world_join_all(w);
	peer_world_await_calm(w, 1);
	/* The others learn of a newer start: the old one is cut off. */
	b->member.boot = 2ULL << 32;
	peer_world_members(w, 0, 7);
	peer_world_await(w, &b->refusals, 1);
	assert_says(b->why, "newer start");
	/* A start that the table doesn't have yet is fine. */
	b->member.boot = 3ULL << 32 | 9;
	peer_world_members(w, 1, 7);
	b->member.boot = 2ULL << 32;
	peer_world_request(w, 1, 1, NULL, "hello", 3000);
	peer_world_request(w, 1, 1, NULL, "hello", 3000);
	assert_int_equal(w->code, RES_OK);
}

static void
who_was_removed_is_told_and_who_is_not_known_yet_waits(void **state)
{
	struct peer_world *w = *state;
	struct peer_world_node *c = &w->nodes[2];
	struct sending s;

	peer_world_join_all(w);
	/* Node 1 has never heard of node 3. */
	peer_world_stop(w, 0);
	peer_world_start(w, 0);
	peer_world_tls(w, 0, c->who, c->who->cert_pem);
	peer_world_members(w, 0, 3);
	peer_world_request(w, 2, 1, NULL, "hello", 3000);
	assert_int_equal(w->code, RES_DENIED);
	assert_says(w->why, "not known here yet");
	assert_int_equal(c->refusals, 0);
	/* But as a leader it would be who brings that news. */
	peers_want(c->peers, 1, PEER_LINK, true);
	peers_want(c->peers, 1, PEER_RAFT, true);
	peer_world_await(w, &w->nodes[0].rafts, 1);
	peer_world_await(w, &c->rafts, 1);
	assert_int_equal(c->ups[PEER_LINK], 0);
	/* And can be answered, though no table says where it is. */
	peers_want(w->nodes[0].peers, 3, PEER_RAFT, true);
	peer_world_await(w, &w->nodes[0].rafts, 2);
	peer_world_await(w, &c->rafts, 2);
	make_file(w, &s, 1000);
	peers_send_copy(c->peers, 1, s.path, 7, s.sha256, sent, &s);
	peer_world_await(w, &s.done, 1);
	assert_int_equal(s.code, RES_OK);
	assert_arrived(&w->nodes[0], &s);
	free(s.data);
	/* Node 2 has, and has it no more. */
	peer_world_members(w, 1, 3);
	peer_world_await(w, &c->refusals, 1);
	assert_says(c->why, "no member any more");
}

static void
a_stranger_may_ask_but_nothing_else(void **state)
{
	struct peer_world *w = *state;
	struct peer_world_node *c = &w->nodes[2];

	peer_world_join_all(w);
	memset(c->cluster, 9, sizeof(c->cluster));
	peer_world_members(w, 0, 3);
	peer_world_members(w, 1, 3);
	peer_world_members(w, 2, 4);
	peer_world_request(w, 2, 0, w->nodes[0].member.address, "join?", 3000);
	assert_int_equal(w->code, RES_OK);
	assert_memory_equal(w->answer.data, "0:join?", 7);
	assert_int_equal(w->nodes[0].asked_by, 0);
	peer_world_members(w, 2, 7);
	peers_want(c->peers, 1, PEER_LINK, true);
	peer_world_run(w, 200);
	assert_int_equal(c->ups[PEER_LINK], 0);
	/* By address, a member is known as one. */
	peer_world_request(
	    w, 1, 0, w->nodes[0].member.address, "it's me", 3000);
	assert_memory_equal(w->answer.data, "2:it's me", 9);
}

static void
a_request_to_an_address_fails_with_its_reason(void **state)
{
	struct peer_world *w = *state;
	struct certs_spec spec = { .cn = "outsider" };
	const struct certs_who *who = certs_make(&spec);
	char *trust;

	peer_world_join_all(w);
	peer_world_request(w, 0, 0, "127.0.0.9:1", "x", 3000);
	assert_int_equal(w->code, RES_UNREACHABLE);
	assert_says(w->why, "refused");
	/* It has no certificates yet. */
	peer_world_stop(w, 1);
	peer_world_request(w, 0, 0, w->nodes[1].member.address, "x", 3000);
	assert_int_equal(w->code, RES_UNREACHABLE);
	assert_says(w->why, "no cluster is served there");
	peer_world_start(w, 1);
	peer_world_request(w, 0, 0, "cb1.example.com:5222", "x", 3000);
	assert_int_equal(w->code, RES_INVALID);
	peer_world_request(w, 0, 0, "127.0.0.1", "x", 3000);
	assert_int_equal(w->code, RES_INVALID);
	xasprintf(&trust, "%s%s", who->cert_pem, w->nodes[0].who->cert_pem);
	peer_world_tls(w, 2, who, trust);
	free(trust);
	peer_world_request(w, 2, 0, w->nodes[0].member.address, "x", 3000);
	assert_int_equal(w->code, RES_DENIED);
	assert_says(w->why, "trust bundle");
}

/* ---- copies -------------------------------------------------------------- */

static void
a_copy_arrives_whole(void **state)
{
	struct peer_world *w = *state;
	struct sending s;

	peer_world_join_all(w);
	make_file(w, &s, (5U << 20) + 17);
	peers_send_copy(w->nodes[0].peers, 2, s.path, 44, s.sha256, sent, &s);
	peer_world_await(w, &s.done, 1);
	assert_int_equal(s.code, RES_OK);
	assert_int_equal(w->nodes[1].copies, 1);
	assert_int_equal(w->nodes[1].copy_index, 44);
	assert_arrived(&w->nodes[1], &s);
	free(s.data);
}

/* The connection is cut again and again; it goes on where it was. */
static void
a_copy_goes_on_after_a_cut(void **state)
{
	struct peer_world *w = *state;
	struct peer_world_node *a = &w->nodes[0], *b = &w->nodes[1];
	struct peer_coming *in;
	struct peer_line *l;
	struct sending s;
	unsigned cuts = 0;

	peer_world_join_all(w);
	make_file(w, &s, 24U << 20);
	peers_send_copy(a->peers, 2, s.path, 44, s.sha256, sent, &s);
	while (s.done == 0) {
		peer_world_run(w, 3);
		l = line_find(a->peers, 2, PEER_COPY, true);
		in = TAILQ_FIRST(&b->peers->comings);
		if (l == NULL || in == NULL || cuts == 3 ||
		    peer_coming_offset(in) < cuts * (4U << 20) + (1U << 20))
			continue;
		line_fail(l, "cut");
		cuts++;
	}
	assert_int_equal(cuts, 3);
	assert_int_equal(s.code, RES_OK);
	assert_arrived(b, &s);
	free(s.data);
}

static void
a_damaged_copy_is_not_taken(void **state)
{
	struct peer_world *w = *state;
	struct sending s, t = { 0 };

	peer_world_join_all(w);
	make_file(w, &s, 100000);
	s.sha256[0] ^= 1;
	peers_send_copy(w->nodes[0].peers, 2, s.path, 44, s.sha256, sent, &s);
	/* One at a time for a node. */
	peers_send_copy(w->nodes[0].peers, 2, s.path, 44, s.sha256, sent, &t);
	peer_world_await(w, &s.done, 1);
	peer_world_await(w, &t.done, 1);
	assert_int_equal(s.code, RES_INVALID);
	assert_int_equal(t.code, RES_EXISTS);
	assert_int_equal(w->nodes[1].copies, 0);
	peers_send_copy(
	    w->nodes[0].peers, 2, "/nowhere", 1, s.sha256, sent, &s);
	peer_world_await(w, &s.done, 2);
	assert_int_equal(s.code, RES_IO);
	peers_send_copy(w->nodes[0].peers, 8, s.path, 1, s.sha256, sent, &s);
	peer_world_await(w, &s.done, 3);
	assert_int_equal(s.code, RES_NOT_FOUND);
	free(s.data);
}

static void
an_address_is_taken_from_its_port(void **state)
{
	static const struct {
		const char *address, *ip;
	} rows[] = {
		{ "10.1.1.1:5222", "10.1.1.1" },
		{ "[2001:db8::1]:5222", "2001:db8::1" },
		{ "10.1.1.1", "10.1.1.1" },
		{ "[]:1", "" },
		{ "", "" },
	};
	char ip[PEER_IP_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		peer_ip(rows[i].address, ip);
		assert_string_equal(ip, rows[i].ip);
	}
}

/* ---- bad bytes ----------------------------------------------------------- */

/* What a member with the right certificate may send, but shouldn't. */
static void
malformed_bytes_end_only_their_connection(void **state)
{
	static const struct {
		enum peer_channel channel;
		const char *bytes;
		size_t len;
	} rows[] = {
		{ PEER_CONTROL, "\0\0\0\0", 4 },         /* empty */
		{ PEER_CONTROL, "\xff\xff\xff\xff", 4 }, /* far too long */
		{ PEER_CONTROL, "\4\0\0\1", 4 },         /* too long */
		{ PEER_CONTROL, "\0\0\0\1\x09", 5 },     /* unknown kind */
		{ PEER_CONTROL, "\0\0\0\3\1\0\0", 7 },   /* cut request */
		/* An answer to nothing. */
		{ PEER_CONTROL, "\0\0\0\x09\2\0\0\0\0\0\0\0\1", 13 },
		{ PEER_LINK, "\0\0\0\0", 4 }, { PEER_LINK, "\0\x10\0\1", 4 },
		{ PEER_COPY, "\0\0\0\1\1", 5 },         /* cut offer */
		{ PEER_COPY, "\0\0\0\5\2\0\0\0\0", 9 }, /* not his to say */
	};
	struct peer_world *w = *state;
	struct peer_raw raw;
	struct peer_hello h;

	peer_world_join_all(w);
	peer_world_await_calm(w, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		peer_raw_open(&raw, w, 1, w->nodes[0].who);
		peer_raw_hello(&raw, &h, 0, 1, rows[i].channel);
		peer_raw_say(&raw, &h, 0, NULL);
		assert_int_equal(peer_raw_answer(&raw, &h), RES_OK);
		assert_int_equal(h.verdict, PEER_WELCOME);
		peer_raw_write(&raw, rows[i].bytes, rows[i].len);
		peer_raw_await_closed(&raw);
		peer_raw_close(&raw);
	}
	peer_world_await_calm(w, 0);
	peer_world_await_calm(w, 2);
}

/* Connects as nobody in particular, as a node does that wants to join. */
static void
open_as_stranger(
    struct peer_raw *raw, struct peer_world *w, enum peer_verdict verdict)
{
	struct peer_hello h;

	peer_raw_open(raw, w, 1, w->nodes[0].who);
	peer_raw_hello(raw, &h, 0, 1, PEER_CONTROL);
	h.from = h.to = 0;
	peer_raw_say(raw, &h, 0, NULL);
	assert_int_equal(peer_raw_answer(raw, &h), RES_OK);
	assert_int_equal(h.verdict, verdict);
}

static void
strangers_have_limits(void **state)
{
	static const uint8_t too_long[] = { 0, 0x80, 0, 1 };
	struct peer_world *w = *state;
	struct peer_raw raw[17];

	peer_world_join_all(w);
	open_as_stranger(&raw[0], w, PEER_WELCOME);
	peer_raw_write(&raw[0], too_long, sizeof(too_long));
	peer_raw_await_closed(&raw[0]);
	peer_raw_close(&raw[0]);
	for (size_t i = 0; i < 16; i++)
		open_as_stranger(&raw[i], w, PEER_WELCOME);
	open_as_stranger(&raw[16], w, PEER_REFUSED_BUSY);
	for (size_t i = 0; i < 17; i++)
		peer_raw_close(&raw[i]);
	peer_world_await_calm(w, 0);
}

static void
who_asks_too_much_at_once_is_closed(void **state)
{
	static const uint8_t request[] = { 0, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0,
		1 };
	struct peer_world *w = *state;
	struct peer_world_node *b = &w->nodes[1];
	struct peer_raw raw;

	peer_world_join_all(w);
	b->mute = true;
	open_as_stranger(&raw, w, PEER_WELCOME);
	for (unsigned i = 0; i < 1024; i++)
		peer_raw_write(&raw, request, sizeof(request));
	peer_world_await(w, &b->requests, 1024);
	assert_non_null(raw.conn);
	peer_raw_write(&raw, request, sizeof(request));
	peer_raw_await_closed(&raw);
	assert_int_equal(b->requests, 1024);
	peer_raw_close(&raw);
	b->mute = false;
	peer_world_await_calm(w, 0);
}

/* Each byte of it, the length in front too, is changed. */
static void
a_changed_hello_opens_nothing(void **state)
{
	struct peer_world *w = *state;
	struct buf frame = { 0 };
	struct peer_raw raw;
	struct peer_hello h;
	size_t len = 1;

	peer_world_join_all(w);
	for (size_t i = 0; i < len; i++) {
		peer_raw_open(&raw, w, 1, w->nodes[0].who);
		peer_raw_hello(&raw, &h, 0, 1, PEER_LINK);
		peer_raw_say(&raw, &h, 0, &frame);
		len = frame.len;
		/* A longer one is waited for: not here. */
		frame.data[i] ^= i < 4 ? 0x80 : 1;
		if (i == 3)
			frame.data[i] = 1;
		peer_raw_write(&raw, frame.data, frame.len);
		if (peer_raw_answer(&raw, &h) == RES_OK)
			assert_int_not_equal(h.verdict, PEER_WELCOME);
		peer_raw_await_closed(&raw);
		peer_raw_close(&raw);
		buf_clear(&frame);
	}
	assert_true(len > 80);
	assert_int_equal(w->nodes[1].ups[PEER_LINK], 0);
}

/* The Raft thread must get all that follows the hello, so nothing may follow it
 * before the other side has spoken. */
static void
nothing_is_said_with_a_raft_hello(void **state)
{
	struct peer_world *w = *state;
	struct buf frame = { 0 };
	struct peer_raw raw;
	struct peer_hello h;

	peer_world_join_all(w);
	peer_raw_open(&raw, w, 1, w->nodes[0].who);
	peer_raw_hello(&raw, &h, 0, 1, PEER_RAFT);
	peer_raw_say(&raw, &h, 0, &frame);
	buf_add(&frame, "\0\0\0\1x", 5);
	peer_raw_write(&raw, frame.data, frame.len);
	peer_raw_await_closed(&raw);
	assert_int_equal(w->nodes[1].rafts, 0);
	peer_raw_close(&raw);
	buf_clear(&frame);
}

/* However it is cut into pieces; and if the rest never comes, it ends. */
static void
a_hello_in_pieces_is_whole(void **state)
{
	struct peer_world *w = *state;
	struct buf frame = { 0 };
	struct peer_raw raw;
	struct peer_hello h;

	peer_world_join_all(w);
	peer_raw_open(&raw, w, 1, w->nodes[0].who);
	peer_raw_hello(&raw, &h, 0, 1, PEER_LINK);
	peer_raw_say(&raw, &h, 0, &frame);
	for (size_t i = 0; i < frame.len; i++) {
		assert_int_equal(raw.in.len, 0);
		peer_raw_write(&raw, frame.data + i, 1);
		peer_world_run(w, 1);
	}
	assert_int_equal(peer_raw_answer(&raw, &h), RES_OK);
	assert_int_equal(h.verdict, PEER_WELCOME);
	peer_world_await(w, &w->nodes[1].ups[PEER_LINK], 1);
	peer_raw_close(&raw);
	peer_world_await(w, &w->nodes[1].downs[PEER_LINK], 1);
	buf_clear(&frame);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(members_reach_each_other),
		T(messages_go_both_ways),
		T(each_up_has_its_down),
		T(a_node_is_dialled_when_the_table_has_it),
		T(who_does_not_read_is_given_up),
		T(an_answer_may_free_the_peers),
		T(a_node_that_comes_back_is_dialled_again),
		T(who_is_silent_is_unreachable),
		T(who_has_slept_blames_nobody),
		T(who_does_not_answer_times_out),
		T(a_raft_connection_is_given_away),
		T(a_certificate_decides),
		T(an_expired_certificate_is_logged_once),
		T(who_is_not_trusted_may_not_even_speak),
		T(a_new_certificate_counts_for_new_handshakes),
		T(members_of_another_cluster_are_refused),
		T(a_wrong_member_key_is_refused),
		T(an_old_start_is_told_to_join_anew),
		T(who_was_removed_is_told_and_who_is_not_known_yet_waits),
		T(a_stranger_may_ask_but_nothing_else),
		T(a_request_to_an_address_fails_with_its_reason),
		T(a_copy_arrives_whole),
		T(a_copy_goes_on_after_a_cut),
		T(a_damaged_copy_is_not_taken),
		cmocka_unit_test(an_address_is_taken_from_its_port),
		T(malformed_bytes_end_only_their_connection),
		T(strangers_have_limits),
		T(who_asks_too_much_at_once_is_closed),
		T(a_changed_hello_opens_nothing),
		T(a_hello_in_pieces_is_whole),
		T(nothing_is_said_with_a_raft_hello),
	};

	log_set_level(getenv("DEBUG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, forget_certs);
}
