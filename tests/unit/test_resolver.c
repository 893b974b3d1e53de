/*
 * DNS: forms of zones and records, reading packets, RFC 2782's order, and
 * look-ups against a small server inside this process.
 */
#include "common/resolver.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

/* ---- forms ------------------------------------------------------------- */

static void
zones_have_one_normal_form(void **state)
{
	static const struct {
		const char *domain, *address, *zone;
	} rows[] = {
		{ "Example.COM", "10.1.1.1", "example.com 10.1.1.1" },
		{ "example.com.", "10.1.1.1:53", "example.com 10.1.1.1" },
		{ ".", "10.1.1.1:5353", ". 10.1.1.1:5353" },
		{ "a.b", "2001:DB8::1", "a.b 2001:db8::1" },
		{ "a.b", "[2001:db8:0::1]", "a.b 2001:db8::1" },
		{ "a.b", "[::1]:5353", "a.b [::1]:5353" },
		{ "b\xc3\xbc.de", "10.1.1.1", "xn--b-eha.de 10.1.1.1" },
		{ "", "10.1.1.1", NULL },
		{ "a..b", "10.1.1.1", NULL },
		{ "a b", "10.1.1.1", NULL },
		{ "a\"b", "10.1.1.1", NULL },
		{ "a.b", "", NULL },
		{ "a.b", "dns.example.com", NULL },
		{ "a.b", "10.1.1.256", NULL },
		{ "a.b", "10.1.1.1:", NULL },
		{ "a.b", "10.1.1.1:0", NULL },
		{ "a.b", "10.1.1.1:65536", NULL },
		{ "a.b", "[::1", NULL },
		{ "a.b", "[::1]53", NULL },
		{ "a.b", "[10.1.1.1]:53", NULL },
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *zone =
		    resolver_make_zone(rows[i].domain, rows[i].address, &e);

		if (!str_equal(zone, rows[i].zone))
			fail_msg("%s %s -> %s", rows[i].domain, rows[i].address,
			    zone);
		if (zone == NULL)
			assert_int_equal(e.code, RES_INVALID);
		free(zone);
	}
}

/* ---- order ------------------------------------------------------------- */

/* Gives the numbers of a list, each checked to be below the bound. */
struct script {
	const uint32_t *numbers;
	size_t at;
};

static uint32_t
scripted(uint32_t below, void *arg)
{
	struct script *s = arg;
	uint32_t number = s->numbers[s->at++];

	return number < below ? number : below - 1;
}

static uint32_t
counted(uint32_t below, void *arg)
{
	uint64_t *seed = arg;

	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*seed >> 33) % below);
}

static void
fill(struct resolver_answer *a, const char *name, uint16_t priority,
    uint16_t weight)
{
	memset(a, 0, sizeof(*a));
	snprintf(a->value, sizeof(a->value), "%s", name);
	a->priority = priority;
	a->weight = weight;
}

static void
a_lower_priority_comes_first(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct resolver_answer a[4];

		fill(&a[0], "c", 20, 0);
		fill(&a[1], "d", 65535, 65535);
		fill(&a[2], "a", 0, 1);
		fill(&a[3], "b", 10, 50);
		resolver_order(a, 4, counted, &seed);
		assert_string_equal(a[0].value, "a");
		assert_string_equal(a[1].value, "b");
		assert_string_equal(a[2].value, "c");
		assert_string_equal(a[3].value, "d");
	}
}

static void
the_draw_follows_the_running_sums(void **state)
{
	/* Two numbers shuffle three into place, then RFC 2782's draws. */
	static const struct {
		uint32_t numbers[5];
		const char *first;
	} rows[] = {
		{ { 2, 1, 0, 0, 0 }, "zero" },
		{ { 2, 1, 1, 0, 0 }, "one" },
		{ { 2, 1, 2, 0, 0 }, "three" },
		{ { 2, 1, 4, 0, 0 }, "three" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct script s = { .numbers = rows[i].numbers };
		struct resolver_answer a[3];

		fill(&a[0], "one", 5, 1);
		fill(&a[1], "three", 5, 3);
		fill(&a[2], "zero", 5, 0);
		resolver_order(a, 3, scripted, &s);
		assert_string_equal(a[0].value, rows[i].first);
	}
}

static void
weights_share_the_load(void **state)
{
	uint64_t seed = 7;
	int first[3] = { 0 };

	(void)state;
	for (int i = 0; i < 9000; i++) {
		struct resolver_answer a[3];

		fill(&a[0], "0", 5, 60);
		fill(&a[1], "1", 5, 30);
		fill(&a[2], "2", 5, 0);
		resolver_order(a, 3, counted, &seed);
		first[a[0].value[0] - '0']++;
	}
	assert_in_range(first[0], 5600, 6400);
	assert_in_range(first[1], 2600, 3400);
	assert_in_range(first[2], 1, 300);
}

static void
equal_ones_of_no_weight_spread_evenly(void **state)
{
	uint64_t seed = 3;
	int first[3] = { 0 };

	(void)state;
	for (int i = 0; i < 9000; i++) {
		struct resolver_answer a[3];

		for (int k = 0; k < 3; k++)
			fill(&a[k], k == 0 ? "0" : k == 1 ? "1" : "2", 0, 0);
		resolver_order(a, 3, counted, &seed);
		first[a[0].value[0] - '0']++;
	}
	for (int k = 0; k < 3; k++)
		assert_in_range(first[k], 2700, 3300);
}

static void
none_or_one_is_in_order(void **state)
{
	struct resolver_answer a[1];
	uint64_t seed = 3;

	(void)state;
	resolver_order(a, 0, counted, &seed);
	fill(&a[0], "a", 0, 65535);
	resolver_order(a, 1, counted, &seed);
	assert_string_equal(a[0].value, "a");
}

static void
random_numbers_stay_below_the_bound(void **state)
{
	(void)state;
	assert_int_equal(resolver_random(1, NULL), 0);
	for (int i = 0; i < 1000; i++)
		assert_true(resolver_random(7, NULL) < 7);
}

/* ---- a server ---------------------------------------------------------- */

/* What the server does with a name that begins so. */
static const struct {
	const char *name;
	uint16_t type;
	int rcode; /* -1: silence */
	const char *answers[3];
} replies[] = {
	{ "_ok._tcp.example.com", ns_t_srv, 0,
	    { "0 0 5223 cb1.example.com", "10 50 5224 cb2.example.com" } },
	{ "_no._tcp.example.com", ns_t_srv, 0, { "0 0 0 ." } },
	{ "cb1.example.com", ns_t_a, 0, { "127.0.0.2", "127.0.0.3" } },
	{ "cb1.example.com", ns_t_aaaa, 0, { "2001:db8::2" } },
	{ "empty.example.com", ns_t_a, 0, { NULL } },
	{ "nowhere.example.com", ns_t_a, 3, { NULL } },
	{ "refused.example.com", ns_t_a, 5, { NULL } },
	{ "silent.example.com", ns_t_a, -1, { NULL } },
};

struct fixture {
	struct event_base *base;
	struct resolver *resolver;
	struct event *event;
	int fd;
	unsigned port;
	int asked;
	char zone[64];
	/* the result */
	bool done;
	enum resolver_outcome outcome;
	struct resolver_answer answers[4];
	size_t count;
	uint32_t ttl;
	char server[128], text[512];
};

static void
add_name(struct buf *out, const char *name)
{
	u_char wire[NS_MAXCDNAME], *end = wire;

	assert_true(ns_name_pton(name, wire, sizeof(wire)) >= 0);
	while (*end != 0)
		end += *end + 1;
	buf_add(out, wire, (size_t)(end - wire) + 1);
}

/* The data of one record, written as in a zone file. */
static void
add_data(struct buf *out, uint16_t type, const char *text)
{
	int family = type == ns_t_aaaa ? AF_INET6 : AF_INET;
	uint8_t address[16];
	char *rest;

	if (type != ns_t_srv) {
		assert_int_equal(inet_pton(family, text, address), 1);
		buf_add(out, address, family == AF_INET ? 4 : 16);
		return;
	}
	buf_add_u16(out, (uint16_t)strtoul(text, &rest, 10));
	buf_add_u16(out, (uint16_t)strtoul(rest, &rest, 10));
	buf_add_u16(out, (uint16_t)strtoul(rest, &rest, 10));
	add_name(out, rest + 1);
}

static void
add_record(struct buf *out, const char *name, uint16_t type, const char *text)
{
	struct buf data = { 0 };

	add_name(out, name);
	buf_add_u16(out, type);
	buf_add_u16(out, ns_c_in);
	buf_add_u32(out, 60);
	add_data(&data, type, text);
	buf_add_u16(out, (uint16_t)data.len);
	buf_add(out, data.data, data.len);
	buf_clear(&data);
}

/* A reply to a query with this id. */
static void
make_reply(struct buf *out, uint16_t id, size_t row)
{
	uint16_t count = 0;

	while (count < 3 && replies[row].answers[count] != NULL)
		count++;
	buf_add_u16(out, id);
	buf_add_u16(out, (uint16_t)(0x8580 | replies[row].rcode));
	buf_add_u16(out, 1);
	buf_add_u16(out, count);
	buf_add_u32(out, 0);
	add_name(out, replies[row].name);
	buf_add_u16(out, replies[row].type);
	buf_add_u16(out, ns_c_in);
	for (uint16_t i = 0; i < count; i++)
		add_record(out, replies[row].name, replies[row].type,
		    replies[row].answers[i]);
}

static void
server_cb(evutil_socket_t fd, short what, void *arg)
{
	struct fixture *f = arg;
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	struct buf out = { 0 };
	uint8_t query[512];
	ns_msg msg;
	ns_rr rr;
	ssize_t len;

	(void)what;
	len = recvfrom(
	    fd, query, sizeof(query), 0, (struct sockaddr *)&from, &from_len);
	assert_true(len > 0 && ns_initparse(query, (int)len, &msg) == 0);
	assert_int_equal(ns_parserr(&msg, ns_s_qd, 0, &rr), 0);
	f->asked++;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		if (strcasecmp(ns_rr_name(rr), replies[i].name) == 0 &&
		    ns_rr_type(rr) == replies[i].type && replies[i].rcode >= 0)
			make_reply(&out, ns_msg_id(msg), i);
	if (out.len > 0)
		sendto(fd, out.data, out.len, 0, (struct sockaddr *)&from,
		    from_len);
	buf_clear(&out);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	char address[32], *zone;

	log_init("test", LOG_LEVEL_WARN, 1);
	f->base = event_base_new();
	f->resolver = resolver_new(f->base, NULL, 700);
	f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(f->fd, (struct sockaddr *)&sin, len) < 0 ||
	    getsockname(f->fd, (struct sockaddr *)&sin, &len) < 0)
		return -1;
	f->port = ntohs(sin.sin_port);
	f->event =
	    event_new(f->base, f->fd, EV_READ | EV_PERSIST, server_cb, f);
	event_add(f->event, NULL);
	snprintf(address, sizeof(address), "127.0.0.1:%u", f->port);
	zone = resolver_make_zone("example.com", address, NULL);
	snprintf(f->zone, sizeof(f->zone), "%s", zone);
	free(zone);
	resolver_add_zone(f->resolver, f->zone);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	resolver_free(f->resolver);
	event_free(f->event);
	close(f->fd);
	event_base_free(f->base);
	free(f);
	return 0;
}

static void
result_cb(const struct resolver_result *r, void *arg)
{
	struct fixture *f = arg;

	assert_false(f->done);
	f->done = true;
	f->outcome = r->outcome;
	f->count = r->count;
	f->ttl = r->ttl;
	for (size_t i = 0; i < r->count && i < 4; i++)
		f->answers[i] = r->answers[i];
	snprintf(f->server, sizeof(f->server), "%s", r->server);
	resolver_describe(r, f->text, sizeof(f->text));
	event_base_loopbreak(f->base);
}

static void
ask(struct fixture *f, const char *name, enum resolver_type type)
{
	f->done = false;
	resolver_ask(f->resolver, name, type, result_cb, f);
	assert_false(f->done);
	event_base_dispatch(f->base);
	assert_true(f->done);
}

static void
add_checked_record(struct fixture *f, const char *record)
{
	struct error e;
	char *tidy = resolver_make_record(f->resolver, record, &e);

	if (tidy == NULL)
		fail_msg("%s", e.text);
	resolver_add_record(f->resolver, tidy);
	resolver_flush(f->resolver);
	free(tidy);
}

/* ---- look-ups ---------------------------------------------------------- */

static void
srv_records_are_found(void **state)
{
	struct fixture *f = *state;
	char expected[64];

	ask(f, "_ok._tcp.Example.com.", RESOLVER_SRV);
	assert_int_equal(f->outcome, RESOLVER_FOUND);
	assert_int_equal(f->count, 2);
	assert_int_equal(f->ttl, 60);
	for (int i = 0; i < 2; i++) {
		bool first = f->answers[i].port == 5223;

		assert_string_equal(f->answers[i].value,
		    first ? "cb1.example.com" : "cb2.example.com");
		assert_int_equal(f->answers[i].priority, first ? 0 : 10);
		assert_int_equal(f->answers[i].weight, first ? 0 : 50);
	}
	snprintf(expected, sizeof(expected), "127.0.0.1:%u", f->port);
	assert_string_equal(f->server, expected);
	assert_non_null(strstr(f->text, ": 2 answers from 127.0.0.1:"));
}

static void
addresses_are_found_and_kept(void **state)
{
	struct fixture *f = *state;

	ask(f, "cb1.example.com", RESOLVER_A);
	assert_int_equal(f->count, 2);
	ask(f, "cb1.example.com", RESOLVER_AAAA);
	assert_int_equal(f->count, 1);
	assert_string_equal(f->answers[0].value, "2001:db8::2");
	assert_int_equal(f->asked, 2);
	ask(f, "cb1.example.com", RESOLVER_A);
	assert_int_equal(f->count, 2);
	assert_int_equal(f->asked, 2);
	assert_string_equal(f->server, "the cache");
	resolver_flush(f->resolver);
	ask(f, "cb1.example.com", RESOLVER_A);
	assert_int_equal(f->asked, 3);
}

static void
a_target_of_a_dot_stays_one(void **state)
{
	struct fixture *f = *state;

	ask(f, "_no._tcp.example.com", RESOLVER_SRV);
	assert_int_equal(f->count, 1);
	assert_string_equal(f->answers[0].value, ".");
}

static void
failures_are_told_apart(void **state)
{
	static const struct {
		const char *name;
		enum resolver_outcome outcome;
		const char *text;
	} rows[] = {
		{ "empty.example.com", RESOLVER_NO_RECORD,
		    "A empty.example.com: no such record from 127.0.0.1:" },
		{ "nowhere.example.com", RESOLVER_NO_NAME,
		    "no such name (NXDOMAIN) from 127.0.0.1:" },
		{ "refused.example.com", RESOLVER_FAILED,
		    "refused or failed (REFUSED, SERVFAIL) from 127.0.0.1:" },
		{ "silent.example.com", RESOLVER_NO_REPLY,
		    "no reply from 127.0.0.1:" },
		{ "other.org", RESOLVER_NO_SERVER, "no DNS server is set" },
		{ "a..b", RESOLVER_BAD_NAME, "not a DNS name" },
		{ "", RESOLVER_BAD_NAME, "not a DNS name" },
	};
	struct fixture *f = *state;

	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			ask(f, rows[i].name, RESOLVER_A);
			if (f->outcome != rows[i].outcome ||
			    (round == 0 &&
				strstr(f->text, rows[i].text) == NULL))
				fail_msg("%s: %s", rows[i].name, f->text);
		}
}

static void
a_local_record_needs_no_server(void **state)
{
	struct fixture *f = *state;

	resolver_clear(f->resolver);
	add_checked_record(f, "_x._tcp.Site  SRV 1 2 5223 cb1.site");
	add_checked_record(f, "cb1.site 300 IN A 10.0.0.1");
	ask(f, "_x._tcp.site", RESOLVER_SRV);
	assert_int_equal(f->outcome, RESOLVER_FOUND);
	assert_string_equal(f->answers[0].value, "cb1.site");
	assert_string_equal(f->server, "local records");
	ask(f, "CB1.site", RESOLVER_A);
	assert_string_equal(f->answers[0].value, "10.0.0.1");
	assert_int_equal(f->ttl, 300);
	ask(f, "cb1.site", RESOLVER_AAAA);
	assert_int_equal(f->outcome, RESOLVER_NO_RECORD);
	ask(f, "localhost", RESOLVER_A);
	assert_string_equal(f->answers[0].value, "127.0.0.1");
	ask(f, "cb2.site", RESOLVER_A);
	assert_int_equal(f->outcome, RESOLVER_NO_SERVER);
}

static void
a_local_record_goes_before_the_server(void **state)
{
	struct fixture *f = *state;

	add_checked_record(f, "cb1.example.com A 10.9.9.9");
	ask(f, "cb1.example.com", RESOLVER_A);
	assert_int_equal(f->count, 1);
	assert_string_equal(f->answers[0].value, "10.9.9.9");
	ask(f, "_ok._tcp.example.com", RESOLVER_SRV);
	assert_int_equal(f->outcome, RESOLVER_FOUND);
	assert_string_not_equal(f->server, "local records");
}

static void
records_have_one_normal_form(void **state)
{
	static const struct {
		const char *record, *tidy;
	} rows[] = {
		{ "CB1.x  300\tIN A 10.0.0.1", "cb1.x. 300 IN A 10.0.0.1" },
		{ "cb1.x. a 10.0.0.1", "cb1.x. IN A 10.0.0.1" },
		{ "x IN 60 AAAA ::1", "x. 60 IN AAAA ::1" },
		{ "_a._tcp.x srv 1 2 3 Y", "_a._tcp.x. IN SRV 1 2 3 y." },
		{ "_a._tcp.x srv 0 0 0 .", "_a._tcp.x. IN SRV 0 0 0 ." },
		{ "", NULL },
		{ "x", NULL },
		{ "x A", NULL },
		{ "x A 10.0.0", NULL },
		{ "x A 10.0.0.256", NULL },
		{ "x A 10.0.0.1 10.0.0.2", NULL },
		{ "x MX 10 y", NULL },
		{ "x SRV 1 2 y", NULL },
		{ "x SRV 1 2 65536 y", NULL },
		{ "x 300 300 A 10.0.0.1", NULL },
		{ "x..y A 10.0.0.1", NULL },
		{ "x A 10.0.0.1 ; note", NULL },
		{ "x TXT \"a\"", NULL },
	};
	struct fixture *f = *state;
	struct error e;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *tidy =
		    resolver_make_record(f->resolver, rows[i].record, &e);

		if (!str_equal(tidy, rows[i].tidy))
			fail_msg("%s -> %s", rows[i].record,
			    tidy != NULL ? tidy : e.text);
		free(tidy);
	}
}

static void
checking_a_record_disturbs_no_look_up(void **state)
{
	struct fixture *f = *state;

	ask(f, "cb1.example.com", RESOLVER_A);
	free(resolver_make_record(f->resolver, "x A 10.0.0.1", NULL));
	free(resolver_make_record(f->resolver, "x A 10.0.0.256", NULL));
	ask(f, "cb1.example.com", RESOLVER_AAAA);
	assert_int_equal(f->outcome, RESOLVER_FOUND);
	assert_non_null(strstr(f->server, "127.0.0.1:"));
}

static void
a_change_begins_look_ups_again(void **state)
{
	struct fixture *f = *state;

	f->done = false;
	resolver_clear(f->resolver);
	resolver_add_zone(f->resolver, "example.com 127.0.0.1:1");
	resolver_ask(f->resolver, "cb1.example.com", RESOLVER_A, result_cb, f);
	resolver_clear(f->resolver);
	resolver_add_zone(f->resolver, f->zone);
	resolver_flush(f->resolver);
	event_base_dispatch(f->base);
	assert_int_equal(f->outcome, RESOLVER_FOUND);
}

static void
a_second_server_stands_in_for_a_silent_one(void **state)
{
	struct fixture *f = *state;

	resolver_free(f->resolver);
	f->resolver = resolver_new(f->base, NULL, RESOLVER_DEADLINE_MS);
	resolver_add_zone(f->resolver, f->zone);
	resolver_add_zone(f->resolver, "example.com 127.0.0.1:1");
	for (int i = 0; i < 4; i++) {
		resolver_flush(f->resolver);
		ask(f, "cb1.example.com", RESOLVER_A);
		assert_int_equal(f->outcome, RESOLVER_FOUND);
	}
}

static void
never_cb(const struct resolver_result *r, void *arg)
{
	(void)r;
	(void)arg;
	fail_msg("a cancelled look-up was answered");
}

static void
a_cancelled_look_up_is_not_answered(void **state)
{
	struct fixture *f = *state;

	resolver_cancel(resolver_ask(
	    f->resolver, "_ok._tcp.example.com", RESOLVER_SRV, never_cb, f));
	resolver_cancel(
	    resolver_ask(f->resolver, "localhost", RESOLVER_A, never_cb, f));
	ask(f, "_ok._tcp.example.com", RESOLVER_SRV);
	assert_int_equal(f->outcome, RESOLVER_FOUND);
	/* And one that is open when all ends. */
	resolver_ask(
	    f->resolver, "silent.example.com", RESOLVER_A, never_cb, f);
	resolver_cancel(NULL);
}

static void
the_systems_servers_are_followed(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/test_resolver.XXXXXX";
	static const char text[] = "# a comment\nsearch x\n"
				   "nameserver 127.0.0.1 # one\n"
				   "nameserver nonsense\nnameservers ::1\n";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	resolver_free(f->resolver);
	f->resolver = resolver_new(f->base, path, 1);
	ask(f, "x.example.org", RESOLVER_A);
	assert_int_equal(f->outcome, RESOLVER_NO_SERVER);
	assert_int_equal(file_write(path, text, strlen(text), 0600), 0);
	ask(f, "x.example.org", RESOLVER_A);
	assert_int_equal(f->outcome, RESOLVER_NO_REPLY);
	assert_string_equal(f->server, "127.0.0.1");
	assert_string_equal(
	    resolver_system_server(f->resolver, 0), "127.0.0.1");
	assert_null(resolver_system_server(f->resolver, 1));
	resolver_add_zone(f->resolver, ". 127.0.0.1:1");
	resolver_flush(f->resolver);
	ask(f, "x.example.org", RESOLVER_A);
	assert_string_equal(f->server, "127.0.0.1:1");
	close(fd);
	unlink(path);
}

/* ---- packets ----------------------------------------------------------- */

static void
a_packet_cut_anywhere_is_refused(void **state)
{
	struct resolver_reply reply;
	struct buf packet = { 0 };

	(void)state;
	make_reply(&packet, 1, 0);
	for (size_t len = 0; len < packet.len; len++) {
		uint8_t *cut = xmalloc(len + 1);

		memcpy(cut, packet.data, len);
		assert_int_equal(resolver_parse(cut, len, RESOLVER_SRV, &reply),
		    RES_INVALID);
		free(cut);
	}
	assert_int_equal(
	    resolver_parse(packet.data, packet.len, RESOLVER_SRV, &reply),
	    RES_OK);
	assert_int_equal(reply.count, 2);
	/* Records of another type are passed over. */
	assert_int_equal(
	    resolver_parse(packet.data, packet.len, RESOLVER_A, &reply),
	    RES_OK);
	assert_int_equal(reply.count, 0);
	buf_clear(&packet);
}

static void
data_of_the_wrong_length_is_refused(void **state)
{
	struct resolver_reply reply;
	struct buf packet = { 0 };

	(void)state;
	make_reply(&packet, 1, 2);
	/* One record, whose length says 3 instead of 4. */
	packet.data[7] = 1;
	packet.data[12 + 17 + 4 + 17 + 8 + 1] = 3;
	assert_int_equal(
	    resolver_parse(packet.data, packet.len, RESOLVER_A, &reply),
	    RES_INVALID);
	buf_clear(&packet);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zones_have_one_normal_form),
		cmocka_unit_test(a_lower_priority_comes_first),
		cmocka_unit_test(the_draw_follows_the_running_sums),
		cmocka_unit_test(weights_share_the_load),
		cmocka_unit_test(equal_ones_of_no_weight_spread_evenly),
		cmocka_unit_test(none_or_one_is_in_order),
		cmocka_unit_test(random_numbers_stay_below_the_bound),
		T(srv_records_are_found),
		T(addresses_are_found_and_kept),
		T(a_target_of_a_dot_stays_one),
		T(failures_are_told_apart),
		T(a_local_record_needs_no_server),
		T(a_local_record_goes_before_the_server),
		T(records_have_one_normal_form),
		T(checking_a_record_disturbs_no_look_up),
		T(a_change_begins_look_ups_again),
		T(a_second_server_stands_in_for_a_silent_one),
		T(a_cancelled_look_up_is_not_answered),
		T(the_systems_servers_are_followed),
		cmocka_unit_test(a_packet_cut_anywhere_is_refused),
		cmocka_unit_test(data_of_the_wrong_length_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
