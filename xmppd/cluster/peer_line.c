/*
 * One connection between nodes.
 *
 *   dialled:  CONNECTING --> SECURING --hello sent--> HELLO --welcome--> UP
 *   accepted: HELLO --hello is good, welcome sent--> UP
 *   Raft's:   ... --> LEAVING --hello written--> given to the Raft thread
 *
 * Failures: refused by either side, closed, timed out, malformed: each ends in
 * peers_line_gone() with a reason. Neither side says a word to the other, nor
 * reads one, before it has checked its certificate; whether that names the one
 * who speaks is checked as soon as that is known.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/clock.h"
#include "common/conn.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/peer_impl.h"

#define CONNECT_MS 1000

/* When nothing is acknowledged for so long, the connection is given up: after a
 * cut that has healed, a new one is there sooner than TCP's next attempt. */
#define USER_TIMEOUT_MS 2000

/* What waits to be written when a connection is given up: who doesn't read is
 * not waited for. */
#define QUEUE_MAX (64U << 20)

static const size_t message_max[PEER_CHANNELS] = {
	[PEER_RAFT] = 0, /* behind the hello it's the Raft thread's */
	[PEER_LINK] = 1U << 20,
	[PEER_MIRROR] = 64U << 20,
	[PEER_CONTROL] = 64U << 20,
	[PEER_COPY] = 1U << 20,
};

/* Of who is no member: a request to join. */
#define STRANGER_MESSAGE_MAX (8U << 20)
#define STRANGERS_MAX 16

/* Connections that haven't shown who they are. */
#define UNKNOWN_MAX 64

/* What answers is no server, or not on that port. */
#define NOT_OURS                                                               \
	"it does not speak the cluster's protocol: is that its client port?"

static const struct conn_ops line_ops;

/* ---- the end ------------------------------------------------------------ */

static void
sweep_later(struct peers *p)
{
	event_active(p->sweep, EV_TIMEOUT, 0);
}

static void
line_bury(struct peer_line *l)
{
	struct peers *p = l->peers;

	l->state = LINE_DEAD;
	l->conn = NULL;
	TAILQ_REMOVE(&p->lines, l, entry);
	TAILQ_INSERT_TAIL(&p->dead, l, entry);
	sweep_later(p);
}

void
line_drop(struct peer_line *l)
{
	if (l->state == LINE_DEAD)
		return;
	conn_abort(l->conn);
	line_bury(l);
}

/* The other side is to get what was written last. */
static void
line_leave(struct peer_line *l)
{
	conn_close(l->conn);
	line_bury(l);
}

void
line_fail(struct peer_line *l, const char *why)
{
	bool was_up = l->state == LINE_UP;

	if (l->state == LINE_DEAD)
		return;
	line_drop(l);
	peers_line_gone(l, was_up, why);
}

static void
line_closed(void *arg, const char *why)
{
	struct peer_line *l = arg;
	bool was_up = l->state == LINE_UP;

	if (l->why != NULL) {
		log_warn("cluster: %s: closed: %s", l->address, l->why);
		why = l->why;
	} else if (l->state == LINE_SECURING && !str_equal(why, "timed out")) {
		why = "no cluster is served there: are 'xmpp cluster enable', "
		      "'xmpp certs' and 'xmpp cluster trust' done?";
	}
	line_bury(l);
	peers_line_gone(l, was_up, why);
}

/* ---- messages ----------------------------------------------------------- */

void
line_send(struct peer_line *l, const void *msg, size_t len)
{
	struct buf head = { 0 };

	if (l->conn == NULL || l->why != NULL)
		return;
	if (len > message_max[l->channel] && l->state == LINE_UP)
		l->why = "a message to it is too long";
	else if (conn_pending(l->conn) > QUEUE_MAX)
		l->why = "it does not read what is sent to it";
	if (l->why != NULL) {
		/* The sender must not be called back from here. */
		conn_set_deadline(l->conn, 1);
		return;
	}
	buf_add_u32(&head, (uint32_t)len);
	conn_write(l->conn, head.data, head.len);
	conn_write(l->conn, msg, len);
	buf_clear(&head);
}

static void
send_hello(struct peer_line *l, struct peer_hello *h)
{
	const struct peers *p = l->peers;
	uint8_t exporter[32];
	struct buf b = { 0 };

	h->protocol = PEER_PROTOCOL;
	h->channel = (uint8_t)l->channel;
	h->boot = p->self.me.boot;
	memcpy(h->cluster, p->self.cluster, sizeof(h->cluster));
	snprintf(h->host, sizeof(h->host), "%s",
	    p->self.me.host != NULL ? p->self.me.host : "");
	snprintf(h->address, sizeof(h->address), "%s",
	    p->self.me.address != NULL ? p->self.me.address : "");
	if (peer_tls_exporter(conn_ssl(l->conn), exporter))
		peer_hello_prove(h, l->dialled ? PEER_DIALLER : PEER_ACCEPTOR,
		    p->self.me.key, exporter);
	peer_hello_encode(&b, h);
	line_send(l, b.data, b.len);
	buf_clear(&b);
}

/* ---- who it is ---------------------------------------------------------- */

/*
 * The names that its certificate must have one of: those of the member table,
 * else what it calls itself (which the certificate then proves) and where it
 * comes from. Before it has said anything (no hello) any will do.
 */
static int
check_certificate(struct peer_line *l, const struct peer *peer,
    const struct peer_hello *h, struct error *e)
{
	struct peers *p = l->peers;
	struct peer_names names = { .domain = p->domain };
	char ip[PEER_IP_SIZE];

	if (peer != NULL || h != NULL) {
		peer_ip(peer != NULL ? peer->member.address : l->address, ip);
		names.ip = ip;
		names.host = peer != NULL ? peer->member.host : h->host;
	}
	if (names.host != NULL && *names.host == '\0')
		names.host = NULL;
	if (peer_tls_check(&p->tls, conn_ssl(l->conn), &names, e) != RES_OK)
		return RES_DENIED;
	peer_tls_warn(&p->tls, conn_ssl(l->conn), l->address);
	return RES_OK;
}

/* Whether a hello is that of a member, and if not why. */
static enum peer_verdict
judge_member(struct peer_line *l, const struct peer_hello *h,
    const struct peer *peer, const char **why)
{
	const struct peers *p = l->peers;
	uint8_t exporter[32];

	if (memcmp(h->cluster, p->self.cluster, sizeof(h->cluster)) != 0) {
		*why = "it belongs to another cluster";
		return PEER_REFUSED_CLUSTER;
	}
	if (peer == NULL && h->from > p->newest_id) {
		*why = "it is not known here yet";
		return PEER_REFUSED_UNKNOWN;
	}
	if (peer == NULL) {
		*why = "it is no member any more: join it anew";
		return PEER_REFUSED_REMOVED;
	}
	if (!peer_tls_exporter(conn_ssl(l->conn), exporter) ||
	    !peer_hello_is_proven(h, l->dialled ? PEER_ACCEPTOR : PEER_DIALLER,
		peer->member.key, exporter)) {
		*why = "its member key is wrong: join it anew";
		return PEER_REFUSED_KEY;
	}
	if (peer_boot_is_old(h->boot, peer->member.boot)) {
		*why = "a newer start of this member is known (restored from a "
		       "backup, or a copy): join it anew";
		return PEER_REFUSED_BOOT;
	}
	return PEER_WELCOME;
}

/*
 * One that the table doesn't have yet may be the leader with the log that would
 * say so: it's let in where that comes from. Its certificate has shown that it
 * belongs here, and its Raft id is newer than any that was taken out.
 */
static bool
brings_the_log(const struct peer_hello *h, enum peer_verdict verdict)
{
	return verdict == PEER_REFUSED_UNKNOWN &&
	    (h->channel == PEER_RAFT || h->channel == PEER_COPY);
}

/* Accepted connections of nobody known, in that state. */
static unsigned
count_unknown(const struct peers *p, enum line_state state)
{
	const struct peer_line *l;
	unsigned n = 0;

	TAILQ_FOREACH(l, &p->lines, entry)
		n += !l->dialled && l->node == 0 && l->state == state;
	return n;
}

/*
 * Who dials this node by its address only, for a request, need not be a member;
 * for all else it must be one. Either way the certificate decides first.
 */
static enum peer_verdict
judge(struct peer_line *l, const struct peer_hello *h, char *why, size_t size)
{
	const struct peers *p = l->peers;
	bool stranger = h->channel == PEER_CONTROL && h->to == 0;
	const struct peer *peer = NULL;
	enum peer_verdict verdict;
	const char *text = "";
	struct error e;

	if (!p->known) {
		snprintf(why, size, "it has just started");
		return PEER_REFUSED_BUSY;
	}
	if (memcmp(h->cluster, p->self.cluster, sizeof(h->cluster)) == 0)
		peer = peers_find(p, h->from);
	l->channel = (enum peer_channel)h->channel;
	if (check_certificate(l, stranger ? NULL : peer, h, &e) != RES_OK) {
		snprintf(why, size, "%.*s", (int)size - 1, e.text);
		return PEER_REFUSED_CERTIFICATE;
	}
	verdict = judge_member(l, h, peer, &text);
	if (brings_the_log(h, verdict)) {
		verdict = PEER_WELCOME;
		peers_guest(l->peers, h);
	}
	if (verdict == PEER_WELCOME && h->to != 0 &&
	    h->to != p->self.me.raft_id) {
		text = "another node is meant";
		verdict = PEER_REFUSED_UNKNOWN;
	}
	if (verdict == PEER_WELCOME) {
		l->node = h->from;
	} else if (stranger) {
		verdict = PEER_WELCOME;
		if (count_unknown(p, LINE_UP) >= STRANGERS_MAX) {
			text = "too many ask at the same time";
			verdict = PEER_REFUSED_BUSY;
		}
	}
	snprintf(why, size, "%s", text);
	return verdict;
}

/* ---- the hello ---------------------------------------------------------- */

static void
line_is_up(struct peer_line *l)
{
	l->state = LINE_UP;
	l->heard = clock_ms();
	conn_set_deadline(l->conn, 0);
	peers_line_up(l);
}

/* Raft's connections are its thread's from here on. */
static void
line_give_away(struct peer_line *l)
{
	struct peers *p = l->peers;
	struct ssl_st *ssl;
	int fd;

	conn_set_deadline(l->conn, 0);
	conn_detach(l->conn, &fd, &ssl);
	line_bury(l);
	peers_line_up(l);
	p->cb.raft(p->cb.arg, l->node, l->dialled, fd, ssl);
}

/* Says why, and goes. */
static void
refuse(struct peer_line *l, uint32_t to, enum peer_verdict verdict,
    const char *why)
{
	struct peers *p = l->peers;
	struct peer_hello answer = { .to = to,
		.from = p->self.me.raft_id,
		.verdict = (uint8_t)verdict };

	snprintf(answer.text, sizeof(answer.text), "%.*s",
	    (int)sizeof(answer.text) - 1, why);
	send_hello(l, &answer);
	log_debug("cluster: %s: refused: %s", l->address, why);
	/* Nothing of who it says it is has been proven. */
	peers_refused(p, l->address, verdict, answer.text);
	line_leave(l);
}

static void
take_hello(struct peer_line *l, const struct peer_hello *h)
{
	struct peer_hello answer = { .to = h->from,
		.from = l->peers->self.me.raft_id };
	enum peer_verdict verdict = PEER_REFUSED_VERSION;
	char why[sizeof(answer.text)] = "";

	if (h->protocol == PEER_PROTOCOL)
		verdict = judge(l, h, why, sizeof(why));
	else
		snprintf(why, sizeof(why), "its protocol is %u, this node's %u",
		    h->protocol, PEER_PROTOCOL);
	l->boot = h->boot;
	if (verdict != PEER_WELCOME) {
		refuse(l, h->from, verdict, why);
		return;
	}
	send_hello(l, &answer);
	if (l->channel != PEER_RAFT) {
		line_is_up(l);
		return;
	}
	/* What follows is the Raft thread's to read. */
	conn_pause(l->conn);
	l->state = LINE_LEAVING;
}

static bool
is_whom_it_dialled(struct peer_line *l, const struct peer_hello *h,
    const struct peer *peer, const char **why)
{
	enum peer_verdict verdict;

	*why = "another node answers";
	if (h->from != l->node)
		return false;
	verdict = judge_member(l, h, peer, why);
	return verdict == PEER_WELCOME || brings_the_log(h, verdict);
}

/* What this node was told by whom it dialled. */
static void
take_verdict(struct peer_line *l, const struct peer_hello *h)
{
	struct peers *p = l->peers;
	const struct peer *peer = peers_find(p, l->node);
	const char *text = "";
	char why[PEER_TEXT_MAX + 32] = "";
	struct error e;

	l->verdict = (enum peer_verdict)h->verdict;
	if (h->protocol != PEER_PROTOCOL) {
		snprintf(why, sizeof(why), "its protocol is %u, this node's %u",
		    h->protocol, PEER_PROTOCOL);
		l->verdict = PEER_REFUSED_VERSION;
	} else if (peer == NULL &&
	    check_certificate(l, NULL, h, &e) != RES_OK) {
		snprintf(why, sizeof(why), "%.*s", PEER_TEXT_MAX, e.text);
		l->verdict = PEER_REFUSED_CERTIFICATE;
	} else if (h->verdict != PEER_WELCOME) {
		snprintf(why, sizeof(why), "it refuses this node: %s", h->text);
	} else if (l->node != 0 && !is_whom_it_dialled(l, h, peer, &text)) {
		snprintf(why, sizeof(why), "not accepted: %s", text);
		l->verdict = PEER_REFUSED_KEY;
	}
	if (l->verdict != PEER_WELCOME) {
		line_fail(l, why);
		return;
	}
	l->boot = h->boot;
	if (l->channel == PEER_RAFT)
		line_give_away(l);
	else
		line_is_up(l);
}

/* ---- events ------------------------------------------------------------- */

static void
line_message(struct peer_line *l, const uint8_t *msg, size_t len)
{
	struct peer_hello h;

	if (l->state == LINE_UP) {
		l->heard = clock_ms();
		if (peers_line_message(l, msg, len) != RES_OK)
			line_fail(l, "malformed message");
		return;
	}
	if (l->state != LINE_HELLO ||
	    peer_hello_decode(msg, len, &h) != RES_OK) {
		line_fail(l, l->dialled ? NOT_OURS : "malformed hello");
		return;
	}
	if (l->dialled)
		take_verdict(l, &h);
	else
		take_hello(l, &h);
}

static size_t
longest(const struct peer_line *l)
{
	if (l->state != LINE_UP)
		return PEER_HELLO_MAX;
	return l->node == 0 && !l->dialled ? STRANGER_MESSAGE_MAX
					   : message_max[l->channel];
}

static size_t
take_messages(struct peer_line *l, const uint8_t *data, size_t len)
{
	size_t used = 0, max;
	struct cursor c;
	uint32_t size;

	while (len - used >= sizeof(size) && l->state != LINE_DEAD) {
		max = longest(l);
		cursor_init(&c, data + used, len - used);
		size = cursor_u32(&c);
		if (size == 0 || size > max) {
			line_fail(l,
			    l->dialled && l->state == LINE_HELLO
				? NOT_OURS
				: "malformed message");
			break;
		}
		if (cursor_left(&c) < size)
			break;
		line_message(l, cursor_bytes(&c, size), size);
		used += sizeof(size) + size;
	}
	return used;
}

static void
line_read(void *arg, const uint8_t *data, size_t len)
{
	struct peer_line *l = arg;
	struct buf part;
	size_t used;

	if (l->part.len == 0) {
		used = take_messages(l, data, len);
		buf_add(&l->part, data + used, len - used);
		return;
	}
	/* The line may end, and its buffer with it, while it is read. */
	part = l->part;
	l->part = (struct buf){ 0 };
	buf_add(&part, data, len);
	used = take_messages(l, part.data, part.len);
	buf_drop(&part, used);
	if (part.len == 0)
		buf_clear(&part);
	l->part = part;
}

/* The handshake of what was dialled is done. */
static void
line_secure(struct peer_line *l)
{
	struct peer_hello h = { .to = l->node };
	uint8_t exporter[32];
	struct error e;

	if (!peer_tls_exporter(conn_ssl(l->conn), exporter)) {
		line_fail(l, NOT_OURS);
		return;
	}
	if (check_certificate(l, peers_find(l->peers, l->node), NULL, &e) !=
	    RES_OK) {
		l->verdict = PEER_REFUSED_CERTIFICATE;
		line_fail(l, e.text);
		return;
	}
	h.from = l->peers->self.me.raft_id;
	l->state = LINE_HELLO;
	conn_set_deadline(l->conn, PEER_TIMEOUT_MS);
	send_hello(l, &h);
}

static void
line_ready(void *arg)
{
	struct peer_line *l = arg;

	if (conn_ssl(l->conn) != NULL) {
		line_secure(l);
		return;
	}
	l->state = LINE_SECURING;
	conn_set_deadline(l->conn, PEER_TIMEOUT_MS);
	conn_start_tls(l->conn, peer_tls_client(&l->peers->tls));
}

static void
line_drained(void *arg)
{
	struct peer_line *l = arg;

	if (l->state == LINE_LEAVING)
		line_give_away(l);
	else if (l->state == LINE_UP && l->channel == PEER_COPY)
		peer_copy_drained(l);
}

static const struct conn_ops line_ops = {
	.read = line_read,
	.ready = line_ready,
	.drained = line_drained,
	.closed = line_closed,
};

/* ---- the beginning ------------------------------------------------------ */

static struct peer_line *
line_new(struct peers *p, bool dialled, const char *address)
{
	struct peer_line *l = xcalloc(1, sizeof(*l));

	l->peers = p;
	l->dialled = dialled;
	l->serial = ++p->serial;
	snprintf(l->address, sizeof(l->address), "%s", address);
	TAILQ_INSERT_TAIL(&p->lines, l, entry);
	return l;
}

static void
set_user_timeout(struct peer_line *l)
{
	unsigned ms = USER_TIMEOUT_MS;

	setsockopt(
	    conn_fd(l->conn), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

/* "10.1.1.1:5222", "[2001:db8::1]:5222". */
static socklen_t
parse_address(const char *address, struct sockaddr_storage *out)
{
	const char *colon = address == NULL ? NULL : strrchr(address, ':');
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
	struct sockaddr_in *four = (struct sockaddr_in *)out;
	char ip[PEER_IP_SIZE];
	uint64_t port;

	memset(out, 0, sizeof(*out));
	if (colon == NULL || !str_to_u64(colon + 1, 1, 65535, &port))
		return 0;
	peer_ip(address, ip);
	if (inet_pton(AF_INET, ip, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons((uint16_t)port);
		return sizeof(*four);
	}
	if (inet_pton(AF_INET6, ip, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t)port);
		return sizeof(*six);
	}
	return 0;
}

/* From this node's own address, if it has one of that kind, so that the other
 * side sees the address that it knows. */
static struct conn *
dial(struct peer_line *l, const struct sockaddr_storage *to, socklen_t len)
{
	struct sockaddr_storage from;
	struct conn *c = NULL;

	if (parse_address(l->peers->self.me.address, &from) == len &&
	    from.ss_family == to->ss_family) {
		((struct sockaddr_in *)&from)->sin_port = 0;
		c = conn_connect(l->peers->loop, (const struct sockaddr *)to,
		    len, (const struct sockaddr *)&from, CONNECT_MS, &line_ops,
		    l);
	}
	if (c == NULL)
		c = conn_connect(l->peers->loop, (const struct sockaddr *)to,
		    len, NULL, CONNECT_MS, &line_ops, l);
	return c;
}

struct peer_line *
line_dial(struct peers *p, uint32_t node, const char *address,
    enum peer_channel channel, struct error *e)
{
	struct sockaddr_storage to;
	socklen_t len = parse_address(address, &to);
	struct peer_line *l;

	if (len == 0) {
		error_set(e, RES_INVALID, "not a numeric address: %s", address);
		return NULL;
	}
	if (p->tls.client == NULL || !p->known) {
		error_set(
		    e, RES_STATE, "certificate or trust bundle is not set");
		return NULL;
	}
	l = line_new(p, true, address);
	l->node = node;
	l->channel = channel;
	l->state = LINE_CONNECTING;
	l->conn = dial(l, &to, len);
	if (l->conn == NULL) {
		error_set(e, RES_UNREACHABLE, "%s", strerror(errno));
		line_bury(l);
		return NULL;
	}
	set_user_timeout(l);
	return l;
}

void
line_adopt(struct peers *p, struct conn *c, const char *from)
{
	uint8_t exporter[32];
	struct peer_line *l;
	struct error e;

	if (conn_ssl(c) == NULL || !peer_tls_exporter(conn_ssl(c), exporter) ||
	    count_unknown(p, LINE_HELLO) >= UNKNOWN_MAX) {
		log_warn(
		    "cluster: %s: refused: too many, or not TLS 1.3", from);
		conn_abort(c);
		return;
	}
	l = line_new(p, false, from);
	l->conn = c;
	l->state = LINE_HELLO;
	conn_set_owner(c, &line_ops, l);
	conn_set_deadline(c, PEER_TIMEOUT_MS);
	set_user_timeout(l);
	if (check_certificate(l, NULL, NULL, &e) != RES_OK)
		refuse(l, 0, PEER_REFUSED_CERTIFICATE, e.text);
}

struct peer_line *
line_find(const struct peers *p, uint32_t node, enum peer_channel channel,
    bool dialled)
{
	struct peer_line *l;

	TAILQ_FOREACH(l, &p->lines, entry)
		if (l->node == node && l->channel == channel &&
		    l->dialled == dialled && (dialled || l->state == LINE_UP))
			return l;
	return NULL;
}
