/*
 * An edge between a peer and a router that both may say anything: a component
 * that has logged in from loopback without TLS, a client in plaintext, and one
 * that counts as under TLS; and two that do so on the WebSocket port, before
 * and after the upgrade. The input is a list of turns, each a letter, a length
 * and bytes: of the component (c), of the clients (p, q), of those over
 * WebSocket (h; w: frames, m: one message), down the link (d), a stanza
 * delivered (s), every frame acknowledged (a), the link down and up (l), time
 * that passes (t). The component's session may be claimed by another edge (y),
 * or kept (k); its connection may be lost, and another one asks for the session
 * (o), and gets its state, spoilt by these bytes (z).
 */
#include "xmppd/edge/edge.h"
#include "xmppd/edge/logins.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/result.h"
#include "common/xmalloc.h"
#include "tests/lib/certs.h"
#include "tests/lib/fuzz.h"
#include "tests/lib/store_fixture.h"
#include "common/tls.h"
#include "xmppd/edge/session.h"

#define SECRET "secret"
#define OPEN                                                                   \
	"<stream:stream xmlns='jabber:component:accept' "                      \
	"xmlns:stream='http://etherx.jabber.org/streams' "                     \
	"to='cb1.example.org'>"

/* T(letter, length as one byte in octal, text) */
#define T(letter, len, text) letter len text

static const char *const seeds[] = {
	T("c", "\x4f",
	    "<message from='cb1.example.org' to='ann@example.org' "
	    "id='1'><body>x</body></message>") "a",
	T("c", "\x3f",
	    "<iq type='get' id='1' from='x@cb1.example.org' to='a@b'>"
	    "<q/></iq>") "a",
	T("p", "\x1c", "<stream:stream xmlns='urn:x'") "t",
	T("c", "\x2d", "<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	    T("s", "\x0a", "<message/>") T("s", "\x0b", "<message />")
		T("c", "\x20", "<a xmlns='urn:xmpp:sm:3' h='1'/>")
		    T("c", "\x1a", "<r xmlns='urn:xmpp:sm:3'/>") "ttotay",
	T("c", "\x2d", "<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	    T("s", "\x0a", "<message/>") "ytaylotz\x02\x05\x01ttka",
	T("c", "\x2d", "<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	    T("s", "\x0a", "<message/>") "tyotz\x01\x01tta",
	T("c", "\x23", "<a xmlns='urn:xmpp:sm:3' h='9999'/>") "t",
	T("q", "\x22", "<inactive xmlns='urn:xmpp:csi:0'/>") "t",
	T("s", "\x0a", "<message/>") "l" T("s", "\x0a", "<message/>") "a",
	T("c", "\x10", "</stream:stream>") "ta",
	T("d", "\x09", "\x43\1\1\1\1\1\1\1\1") "t",
	T("q", "\x74",
	    "<stream:stream xmlns='jabber:client' xmlns:stream='http:"
	    "//etherx.jabber.org/streams' to='example.org' version='1"
	    ".0'>") T("q", "\x74",
	    "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>"
	    "<initial-response>AGEAYg==</initial-response></authentic"
	    "ate>") "t",
	T("q", "\x74",
	    "<stream:stream xmlns='jabber:client' xmlns:stream='http:"
	    "//etherx.jabber.org/streams' to='example.org' version='1"
	    ".0'>") T("q", "\x82",
	    "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-S"
	    "HA-1'><initial-response>biwsbj1hLHI9Yg==</initial-respon"
	    "se></authenticate>") T("q", "\x45",
	    "<response xmlns='urn:xmpp:sasl:2'>Yz1iaXdzLHI9YixwPUFBQU"
	    "E=</response>") "t",
	T("q", "\x74",
	    "<stream:stream xmlns='jabber:client' xmlns:stream='http:"
	    "//etherx.jabber.org/streams' to='example.org' version='1"
	    ".0'>") T("q", "\x9d",
	    "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-S"
	    "HA-1'><bind xmlns='urn:xmpp:bind:0'><tag>t</tag><enable "
	    "xmlns='urn:xmpp:sm:3'/></bind></authenticate>")
	    T("q", "\x20", "<abort xmlns='urn:xmpp:sasl:2'/>") "t",
	T("q", "\x74",
	    "<stream:stream xmlns='jabber:client' xmlns:stream='http:"
	    "//etherx.jabber.org/streams' to='example.org' version='1"
	    ".0'>") T("q", "\xae",
	    "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>"
	    "<resume xmlns='urn:xmpp:sm:3' h='1' previd='x'/><user-ag"
	    "ent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/></authent"
	    "icate>") T("q", "\x2e",
	    "<response xmlns='urn:xmpp:sasl:2'>=</response>") "t",
	T("q", "\x74",
	    "<stream:stream xmlns='jabber:client' xmlns:stream='http:"
	    "//etherx.jabber.org/streams' to='example.org' version='1"
	    ".0'>") T("q", "\x60",
	    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism"
	    "='SCRAM-SHA-256'>biwsbj1hLHI9Yg==</auth>") T("q", "\x32",
	    " <abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>") "t",
	T("q", "\x74",
	    "<stream:stream xmlns='jabber:client' xmlns:stream='http:"
	    "//etherx.jabber.org/streams' to='example.org' version='1"
	    ".0'>") T("q", "\x49",
	    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism"
	    "='PLAIN'>=</auth>") "t",
	T("h", "\x2e", "GET /.well-known/host-meta HTTP/1.1\r\nHost: exam")
	    T("h", "\x0e", "ple.org:1\r\n\r\nx"),
	T("h", "\x28", "POST /xmpp-websocket HTTP/1.0\r\nUpgrade: ") "t",
	T("m", "\x49",
	    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='exa"
	    "mple.org' version") T("m", "\x51",
	    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='exam"
	    "ple.org' version='1.0'/>") "t",
	T("m", "\x51",
	    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='exam"
	    "ple.org' version='1.0'/>") T("m", "\x49",
	    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism"
	    "='PLAIN'>=</auth>") T("m", "\x34",
	    "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"),
	T("w", "\x0a", "\x01\x81\1\1\1\1<\x89\x80\1") T(
	    "w", "\x07", "\1\1\1\x80\x82\1\1") T("w", "\x06", "\1\1/>\x88\x80"),
	NULL,
};

bool
fuzz_seed(size_t i, struct buf *b)
{
	return fuzz_text_seed(seeds, i, b);
}

struct world {
	struct event_base *base;
	struct edge *edge;
	uint64_t now, term, delivered;
	bool linked, bound;
	struct origin origin;
	struct sid sid, heir;
	struct buf state;   /* of the session, on its way */
	struct buf answers; /* blocks: messages down */
	uint64_t unacked[256];
	size_t unacked_count;
	void (*derived[16])(void *arg, const struct scram_keys *keys);
	void *derived_arg[16];
	size_t derived_count;
};

static struct buf
answer_take(struct world *w)
{
	struct buf b = { 0 };
	struct cursor c;
	const uint8_t *data;
	size_t len;

	cursor_init(&c, w->answers.data, w->answers.len);
	data = cursor_block(&c, &len);
	buf_add(&b, data, len);
	buf_drop(&w->answers, len + 4);
	return b;
}

static void
answer_add(struct world *w, struct buf *msg)
{
	buf_add_block(&w->answers, msg->data, msg->len);
	buf_clear(msg);
}

static void
frame_seen(struct world *w, const struct up_frame *f)
{
	struct buf msg = { 0 };
	struct down_deliver d;

	if (w->unacked_count < 256)
		w->unacked[w->unacked_count++] = f->num;
	if (f->kind == FRAME_RESUME)
		w->heir = f->sid;
	if (f->kind == FRAME_YIELD && f->child.data == NULL) {
		buf_reset(&w->state);
		buf_add(&w->state, f->payload.data, f->payload.len);
	}
	if (f->kind != FRAME_BIND)
		return;
	memset(&d, 0, sizeof(d));
	d.id.key.kind = DKEY_FRAME;
	d.id.key.origin = w->origin;
	d.id.key.num = f->num;
	d.id.sid = w->sid = f->sid;
	d.kind = DELIVER_BOUND;
	d.payload = f->to;
	w->bound = true;
	down_deliver_encode(&msg, w->term, &d);
	answer_add(w, &msg);
}

static void
query_seen(struct world *w, const struct up_query *q)
{
	struct down_answer a = {
		.id = q->id, .code = RES_OK, .data = { SECRET, strlen(SECRET) }
	};
	struct scram_keys keys = store_sample_keys(3);
	struct buf msg = { 0 }, data = { 0 };

	if (q->kind == QUERY_SCRAM) {
		scram_keys_encode(&data, &keys);
		a.data = (struct text){ buf_str(&data), data.len };
	}
	down_answer_encode(&msg, w->term, &a);
	answer_add(w, &msg);
	buf_clear(&data);
}

static void
up_cb(void *arg, const void *data, size_t len)
{
	struct world *w = arg;
	struct up_announce announce;
	struct up_frame frame;
	struct up_query query;
	struct link_head head;
	struct cursor c;

	cursor_init(&c, data, len);
	fuzz_check(w->linked, "nothing goes up without a link");
	fuzz_check(link_head_decode(&c, &head) == RES_OK, "a head");
	fuzz_check(head.term == w->term, "under the link's term");
	if (head.what == UP_FRAME) {
		fuzz_check(up_frame_decode(&c, &frame) == RES_OK, "a frame");
		frame_seen(w, &frame);
	} else if (head.what == UP_QUERY) {
		fuzz_check(up_query_decode(&c, &query) == RES_OK, "a query");
		query_seen(w, &query);
	} else if (head.what == UP_ANNOUNCE) {
		fuzz_check(up_announce_decode(&c, &announce) == RES_OK,
		    "an announcement");
		w->origin = announce.origin;
	}
}

static void
derive_cb(void *arg, const char *password, const struct scram_keys *params,
    void (*done)(void *done_arg, const struct scram_keys *derived),
    void *done_arg)
{
	struct world *w = arg;

	fuzz_check(password != NULL && params != NULL, "what to derive from");
	if (w->derived_count < 16) {
		w->derived[w->derived_count] = done;
		w->derived_arg[w->derived_count++] = done_arg;
	}
}

/* Keys that no account has: nobody is let in. */
static void
derive(struct world *w)
{
	static const struct scram_keys none;

	for (size_t i = 0; i < w->derived_count; i++)
		w->derived[i](w->derived_arg[i], &none);
	w->derived_count = 0;
}

static void
unlink_cb(void *arg)
{
	((struct world *)arg)->linked = false;
}

static uint64_t
now_cb(void *arg)
{
	return ((struct world *)arg)->now;
}

static void
run(struct world *w)
{
	struct buf msg;

	for (int i = 0; i < 8; i++) {
		event_base_loop(w->base, EVLOOP_NONBLOCK);
		derive(w);
		while (w->answers.len > 0) {
			msg = answer_take(w);
			if (w->linked)
				edge_down(w->edge, msg.data, msg.len);
			buf_clear(&msg);
		}
	}
}

static int
peer_new(struct world *w, enum edge_port port)
{
	struct session *s;
	int fds[2];

	fuzz_check(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "sockets");
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	if (port != PORT_WEBSOCKET) {
		edge_accept(w->edge, fds[1], port, "127.0.0.1:1");
		return fds[0];
	}
	s = session_new(w->edge, port, "127.0.0.1:1");
	fuzz_check(s != NULL, "a client is taken");
	session_connect(s, fds[1], NULL);
	s->stream.secure = true;
	return fds[0];
}

/* A client that has got so far that it may log in. */
static int
secure_new(struct world *w)
{
	int fd = peer_new(w, PORT_CLIENT);
	struct session *s = TAILQ_LAST(&w->edge->logins, session_list);

	fuzz_check(s != NULL, "a client is taken");
	if (s != NULL)
		s->stream.secure = true;
	return fd;
}

static void
peer_write(int fd, const void *data, size_t len)
{
	if (send(fd, data, len, MSG_NOSIGNAL) < 0)
		return;
}

/* One whose connection is upgraded. */
static int
web_new(struct world *w)
{
	static const char request[] =
	    "GET /xmpp-websocket HTTP/1.1\r\nHost: example.org\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Protocol: xmpp\r\n\r\n";
	int fd = peer_new(w, PORT_WEBSOCKET);
	char in[1024];

	peer_write(fd, request, sizeof(request) - 1);
	run(w);
	fuzz_check(recv(fd, in, sizeof(in), 0) > 12 &&
		memcmp(in, "HTTP/1.1 101", 12) == 0,
	    "it is upgraded");
	return fd;
}

/* A text frame with a mask of zeros. */
static void
message_write(int fd, const void *data, uint8_t len)
{
	uint8_t head[8] = { 0x81, 0x80 | 126, 0, len };

	peer_write(fd, head, sizeof(head));
	peer_write(fd, data, len);
}

static int
component_new(struct world *w, const char *before)
{
	int fd = peer_new(w, PORT_COMPONENT);
	char in[1024] = "", text[64], hex[41];
	uint8_t digest[20];
	const char *id;
	ssize_t n;

	peer_write(fd, OPEN, strlen(OPEN));
	run(w);
	n = read(fd, in, sizeof(in) - 1);
	id = n > 0 ? strstr(in, " id='") : NULL;
	fuzz_check(id != NULL || before[0] != '\0', "a component is answered");
	snprintf(text, sizeof(text), "%.32s" SECRET, id == NULL ? "" : id + 5);
	crypto_sha1(text, strlen(text), digest);
	crypto_hex(digest, sizeof(digest), hex);
	peer_write(fd, before, strlen(before));
	peer_write(fd, "<handshake>", 11);
	peer_write(fd, hex, 40);
	peer_write(fd, "</handshake>", 12);
	run(w);
	fuzz_check(w->bound || before[0] != '\0', "and logged in");
	return fd;
}

static void
deliver(struct world *w, const uint8_t *data, size_t len)
{
	struct down_deliver d;
	struct buf msg = { 0 };

	memset(&d, 0, sizeof(d));
	d.id.key.kind = len % 2 == 0 ? DKEY_ROW : DKEY_FRAME;
	d.id.key.num = ++w->delivered;
	d.id.sid = w->sid;
	d.kind = DELIVER_MESSAGE;
	d.payload = (struct text){ (const char *)data, len };
	if (memchr(data, '\0', len) != NULL || !w->linked)
		return;
	down_deliver_encode(&msg, w->term, &d);
	edge_down(w->edge, msg.data, msg.len);
	buf_clear(&msg);
}

/* A word of the router's about the session, as it would say it. */
static void
say(struct world *w, uint8_t kind, const struct sid *to, struct text payload)
{
	struct down_deliver d;
	struct buf msg = { 0 };

	memset(&d, 0, sizeof(d));
	d.id.key.kind = DKEY_FRAME;
	d.id.key.origin = (struct origin){ 2, 0, 2 };
	d.id.key.num = ++w->delivered;
	d.id.sid = *to;
	d.kind = kind;
	d.payload = payload;
	down_deliver_encode(&msg, w->term, &d);
	if (w->linked)
		edge_down(w->edge, msg.data, msg.len);
	buf_clear(&msg);
}

#define HEIR "00000002000000000000000000000001"

static void
claim(struct world *w)
{
	const struct managed *m;
	struct buf b = { 0 };
	size_t at = 0;

	m = map_next(&w->edge->resumable, &at);
	if (m == NULL)
		return;
	buf_addf(&b, "0 " HEIR " %s", m->id);
	say(w, DELIVER_YIELD, &w->sid,
	    (struct text){ (const char *)b.data, b.len });
	buf_clear(&b);
}

/* The state that was seen, with these bytes in it somewhere. */
static void
resumed(struct world *w, const uint8_t *data, size_t len)
{
	if (len > 0 && w->state.len > len)
		memcpy(
		    w->state.data + data[0] % (w->state.len - len), data, len);
	if (!sid_is_zero(&w->heir))
		say(w, DELIVER_RESUMED, &w->heir,
		    (struct text){ (const char *)w->state.data, w->state.len });
}

/* Another connection asks for what the first one had. */
static void
come_again(struct world *w, int *fd)
{
	static const char ask[] = "<resume xmlns='urn:xmpp:sm:3' h='0' "
				  "previd='" HEIR "-x'/>";

	close(*fd);
	run(w);
	*fd = component_new(w, ask);
}

static void
acknowledge(struct world *w)
{
	struct buf msg = { 0 };

	for (size_t i = 0; i < w->unacked_count; i++) {
		struct down_ack ack = { w->origin, w->unacked[i] };

		down_ack_encode(&msg, w->term, &ack);
		answer_add(w, &msg);
	}
	w->unacked_count = 0;
}

static void
relink(struct world *w)
{
	edge_link_down(w->edge);
	w->linked = true;
	w->unacked_count = 0;
	edge_link_up(w->edge, ++w->term);
}

static void
turn(struct world *w, const int fds[5], uint8_t what, const uint8_t *data,
    size_t len)
{
	switch (what) {
	case 'z':
		resumed(w, data, len);
		break;
	case 'c':
		peer_write(fds[0], data, len);
		break;
	case 'p':
		peer_write(fds[1], data, len);
		break;
	case 'q':
		peer_write(fds[2], data, len);
		break;
	case 'h':
		peer_write(fds[3], data, len);
		break;
	case 'w':
		peer_write(fds[4], data, len);
		break;
	case 'm':
		message_write(fds[4], data, (uint8_t)len);
		break;
	case 'd':
		if (w->linked)
			edge_down(w->edge, data, len);
		break;
	case 's':
		deliver(w, data, len);
		break;
	default:
		break;
	}
}

static void
play(struct world *w, const uint8_t *data, size_t size)
{
	int fds[5] = { component_new(w, ""), peer_new(w, PORT_CLIENT),
		secure_new(w), peer_new(w, PORT_WEBSOCKET), web_new(w) };
	struct cursor c;
	uint8_t what, len;

	cursor_init(&c, data, size);
	while (cursor_left(&c) > 0) {
		what = cursor_u8(&c);
		if (what == 'a') {
			acknowledge(w);
		} else if (what == 'l') {
			relink(w);
		} else if (what == 'y') {
			claim(w);
		} else if (what == 'k') {
			say(w, DELIVER_KEEP, &w->sid, text_of(HEIR));
		} else if (what == 'o') {
			come_again(w, &fds[0]);
		} else if (what == 't') {
			w->now += 700;
			edge_tick(w->edge);
		} else if (cursor_left(&c) > 1) {
			len = cursor_u8(&c);
			if (len > cursor_left(&c))
				len = (uint8_t)cursor_left(&c);
			turn(w, fds, what, cursor_bytes(&c, len), len);
		}
		run(w);
	}
	fuzz_check(edge_stats(w->edge).unacked <= 16, "the window holds");
	for (size_t i = 0; i < 5; i++)
		close(fds[i]);
	run(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ssl_ctx_st *tls;
	const struct certs_spec spec = { .cn = "example.org",
		.san = "DNS:example.org" };
	struct logins *logins = logins_new();
	struct edge_config cfg = { .node = 1,
		.logins = logins,
		.edges = 1,
		.hold_ms = 3000,
		.domain = "example.org",
		.secret = "secret",
		.window = 16,
		.session_window = 8 };
	struct world w = { .now = 10000, .term = 1, .linked = true };
	const struct edge_env env = { .arg = &w,
		.up = up_cb,
		.unlink = unlink_cb,
		.derive = derive_cb,
		.now = now_cb };

	if (tls == NULL) {
		const struct certs_who *who = certs_make(&spec);

		signal(SIGPIPE, SIG_IGN);
		log_init("fuzz", LOG_LEVEL_ERR, 0);
		tls = tls_server_new(who->key_pem, who->cert_pem, NULL);
	}
	limits_init(&cfg.limits);
	cfg.limits.of[LIMIT_STANZA] = 4096;
	w.base = event_base_new();
	w.edge = edge_new(w.base, &cfg, &env);
	edge_set_tls(w.edge, tls, tls);
	edge_set_plaintext(w.edge, true);
	edge_set_serving(w.edge, true, NULL);
	edge_link_up(w.edge, w.term);
	play(&w, data, size);
	edge_free(w.edge);
	logins_free(logins);
	event_base_free(w.base);
	buf_clear(&w.answers);
	buf_clear(&w.state);
	return 0;
}
