/*
 * Varlink messages, and server and client over a real socket: a loop in a
 * second thread answers what the test asks.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <grp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <event2/thread.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/varlink.h"
#include "common/varlink_client.h"
#include "common/varlink_server.h"
#include "common/xmalloc.h"

#define DEEP(n) n n n n n n n n n n n n n n n n n n n n n n n n n n n n n n n n

static const struct {
	const char *text;
	enum result code;
} messages[] = {
	{ "{}", RES_OK },
	{ "{\"a\":[1,2,{\"b\":null}]}", RES_OK },
	{ "{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}",
	    RES_OK },
	{ "{\"a\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}",
	    RES_OK },
	{ "", RES_INVALID },
	{ "{", RES_INVALID },
	{ "[]", RES_INVALID },
	{ "\"a\"", RES_INVALID },
	{ "{} {}", RES_INVALID },
	{ "{\"a\":1,\"a\":2}", RES_INVALID },
	{ "{\"a\":\"\\u0000\"}", RES_INVALID },
	{ "{\"a\":\"\xff\"}", RES_INVALID },
	{ "{\"a\":" DEEP("["), RES_LIMIT },
};

static void
decode_takes_one_plain_object(void **state)
{
	struct error e;
	json_t *m;

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		e.code = RES_OK;
		m = varlink_decode(
		    messages[i].text, strlen(messages[i].text), &e);
		assert_int_equal(e.code, messages[i].code);
		assert_int_equal(m != NULL, messages[i].code == RES_OK);
		json_decref(m);
	}
}

static void
encode_keeps_the_limit(void **state)
{
	char *text = xmalloc(VARLINK_MESSAGE_MAX);
	struct buf out = { 0 };
	struct error e;
	json_t *m;

	(void)state;
	memset(text, 'x', VARLINK_MESSAGE_MAX);
	text[VARLINK_MESSAGE_MAX - 9] = '\0'; /* {"a":""} and the NUL */
	m = json_pack("{s:s}", "a", text);
	assert_int_equal(varlink_encode(m, &out, &e), 0);
	assert_int_equal(out.len, VARLINK_MESSAGE_MAX);
	json_decref(m);
	buf_reset(&out);
	text[VARLINK_MESSAGE_MAX - 9] = 'x';
	text[VARLINK_MESSAGE_MAX - 8] = '\0';
	m = json_pack("{s:s}", "a", text);
	assert_int_equal(varlink_encode(m, &out, &e), RES_LIMIT);
	assert_int_equal(out.len, 0);
	json_decref(m);
	buf_clear(&out);
	free(text);
}

static const struct {
	const char *text, *method;
	bool more, oneway;
} requests[] = {
	{ "{\"method\":\"a.B\"}", "a.B", false, false },
	{ "{\"method\":\"a.B\",\"parameters\":null}", "a.B", false, false },
	{ "{\"method\":\"a.B\",\"more\":true}", "a.B", true, false },
	{ "{\"method\":\"a.B\",\"oneway\":true}", "a.B", false, true },
	{ "{}", NULL, false, false },
	{ "{\"method\":1}", NULL, false, false },
	{ "{\"method\":\"a.B\",\"parameters\":[]}", NULL, false, false },
};

static void
request_read_checks_the_shape(void **state)
{
	struct varlink_request req;
	struct error e;
	json_t *m;
	int rc;

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		m = varlink_decode(
		    requests[i].text, strlen(requests[i].text), &e);
		rc = varlink_request_read(m, &req, &e);
		assert_int_equal(rc == 0, requests[i].method != NULL);
		if (rc == 0) {
			assert_string_equal(req.method, requests[i].method);
			assert_int_equal(req.more, requests[i].more);
			assert_int_equal(req.oneway, requests[i].oneway);
		}
		json_decref(m);
	}
}

/* What the daemon of this test does. */
struct fixture {
	struct event_base *base;
	struct varlink_server *server;
	struct varlink_client *client;
	struct varlink_call *parked;
	char folder[64], path[96];
	pthread_t thread;
	_Atomic int marks; /* counted by the server's thread */
};

static void
test_echo(struct varlink_call *call, json_t *params, void *ctx)
{
	(void)ctx;
	varlink_reply(call, json_incref(params));
}

static void
test_refuse(struct varlink_call *call, json_t *params, void *ctx)
{
	const char *name;
	int times = 0;

	(void)ctx;
	if (!varlink_unpack(
		call, params, "{s:s,s?i}", "name", &name, "times", &times))
		return;
	varlink_error(call, RES_EXISTS, "Callbridge %s already exists", name);
}

static void
test_count(struct varlink_call *call, json_t *params, void *ctx)
{
	(void)params;
	(void)ctx;
	for (int i = 1; i <= 3; i++)
		assert_true(
		    varlink_reply_more(call, json_pack("{s:i}", "n", i)));
	varlink_reply(call, json_pack("{s:i}", "n", 4));
}

static void
test_park(struct varlink_call *call, json_t *params, void *ctx)
{
	struct fixture *f = ctx;

	(void)params;
	f->parked = call;
}

/* Answers the parked call, then its own. */
static void
test_wake(struct varlink_call *call, json_t *params, void *ctx)
{
	struct fixture *f = ctx;

	(void)params;
	if (f->parked != NULL)
		varlink_reply(f->parked, json_pack("{s:s}", "late", "yes"));
	f->parked = NULL;
	varlink_reply(call, NULL);
}

static void
test_mark(struct varlink_call *call, json_t *params, void *ctx)
{
	struct fixture *f = ctx;

	(void)params;
	f->marks++;
	varlink_reply(call, json_pack("{s:i}", "marks", f->marks));
}

static void
test_huge(struct varlink_call *call, json_t *params, void *ctx)
{
	char *text = xmalloc(VARLINK_MESSAGE_MAX + 1);

	(void)params;
	(void)ctx;
	memset(text, 'x', VARLINK_MESSAGE_MAX);
	text[VARLINK_MESSAGE_MAX] = '\0';
	varlink_reply(call, json_pack("{s:s}", "text", text));
	free(text);
}

/* Streams until nobody listens any more. */
static void
test_flood(struct varlink_call *call, json_t *params, void *ctx)
{
	struct fixture *f = ctx;
	char *text = xmalloc(VARLINK_MESSAGE_MAX / 2);

	(void)params;
	memset(text, 'x', VARLINK_MESSAGE_MAX / 2 - 1);
	text[VARLINK_MESSAGE_MAX / 2 - 1] = '\0';
	while (varlink_reply_more(call, json_pack("{s:s}", "text", text)))
		f->marks++;
	varlink_reply(call, NULL);
	free(text);
}

static void
test_stop(struct varlink_call *call, json_t *params, void *ctx)
{
	struct fixture *f = ctx;

	(void)params;
	varlink_reply(call, NULL);
	varlink_server_free(f->server);
	f->server = NULL;
}

static const struct varlink_method methods[] = {
	{ "Test.Echo", ROLE_AUDIT, test_echo },
	{ "Test.Refuse", ROLE_ADMIN, test_refuse },
	{ "Test.Count", ROLE_AUDIT, test_count },
	{ "Test.Park", ROLE_AUDIT, test_park },
	{ "Test.Wake", ROLE_AUDIT, test_wake },
	{ "Test.Mark", ROLE_AUDIT, test_mark },
	{ "Test.Huge", ROLE_AUDIT, test_huge },
	{ "Test.Flood", ROLE_AUDIT, test_flood },
	{ "Test.Stop", ROLE_ADMIN, test_stop },
	{ NULL, ROLE_NONE, NULL },
};

static const struct varlink_interface interface = {
	.name = "im.test",
	.text = "# A test\ninterface im.test.Test\n\nmethod Echo() -> ()\n"
		"interface im.test.Other\n\nmethod None() -> ()\n",
	.methods = methods,
};

static void *
serve(void *arg)
{
	struct fixture *f = arg;

	event_base_dispatch(f->base);
	return NULL;
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct error e;

	strcpy(f->folder, "/tmp/mmp-test-varlink.XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/sock", f->folder);
	f->base = event_base_new();
	f->server = varlink_server_new(f->base, f->path, &interface, f, &e);
	assert_non_null(f->server);
	pthread_create(&f->thread, NULL, serve, f);
	f->client = varlink_client_open(f->path, 5000, &e);
	assert_non_null(f->client);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	varlink_client_free(f->client);
	event_base_loopbreak(f->base);
	pthread_join(f->thread, NULL);
	if (f->parked != NULL)
		varlink_reply(f->parked, NULL);
	varlink_server_free(f->server);
	event_base_free(f->base);
	unlink(f->path);
	rmdir(f->folder);
	free(f);
	return 0;
}

static int
ask(struct fixture *f, const char *method, json_t *params, json_t **result,
    struct error *e)
{
	return varlink_client_call(f->client, method, params, result, e);
}

static void
a_call_is_answered(void **state)
{
	json_t *params = json_pack("{s:s,s:[i,i]}", "a", "\xc3\xa4", "b", 1, 2);
	struct error e;
	json_t *result;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(*state, "im.test.Test.Echo",
				     json_deep_copy(params), &result, &e),
		    0);
		assert_true(json_equal(params, result));
		json_decref(result);
	}
	json_decref(params);
}

static void
a_refusal_has_code_and_text(void **state)
{
	struct error e;
	json_t *result;

	assert_int_equal(ask(*state, "im.test.Test.Refuse",
			     json_pack("{s:s}", "name", "cb1"), &result, &e),
	    RES_EXISTS);
	assert_string_equal(e.text, "Callbridge cb1 already exists");
	assert_null(result);
}

static void
wrong_parameters_are_refused(void **state)
{
	struct error e;
	json_t *result;

	assert_int_equal(
	    ask(*state, "im.test.Test.Refuse", NULL, &result, &e), RES_INVALID);
	assert_int_equal(
	    ask(*state, "im.test.Test.Refuse",
		json_pack("{s:s,s:s}", "name", "a", "no", "b"), &result, &e),
	    RES_INVALID);
	assert_int_equal(ask(*state, "im.test.Test.Refuse",
			     json_pack("{s:i}", "name", 1), &result, &e),
	    RES_INVALID);
}

static void
an_unknown_method_is_refused(void **state)
{
	static const char *const names[] = { "im.test.Test.Nope", "im.test.",
		"im.test", "im.tesT.Test.Echo", "x", "", "im.testTest.Echo",
		"org.varlink.service.Nope" };
	struct error e;
	json_t *result;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(
		    ask(*state, names[i], NULL, &result, &e), RES_INVALID);
}

static void
collect(json_t *result, void *arg)
{
	int *sum = arg;

	*sum =
	    *sum * 10 + (int)json_integer_value(json_object_get(result, "n"));
}

static void
a_stream_gives_all_its_answers(void **state)
{
	struct fixture *f = *state;
	struct error e;
	json_t *result;
	int sum = 0;
	const struct varlink_more more = { collect, &sum };

	assert_int_equal(varlink_client_stream(f->client, "im.test.Test.Count",
			     NULL, &more, &result, &e),
	    0);
	assert_int_equal(sum, 123);
	assert_int_equal(json_integer_value(json_object_get(result, "n")), 4);
	json_decref(result);
}

static void
without_more_only_the_last_answer_comes(void **state)
{
	struct error e;
	json_t *result;

	assert_int_equal(
	    ask(*state, "im.test.Test.Count", NULL, &result, &e), 0);
	assert_int_equal(json_integer_value(json_object_get(result, "n")), 4);
	json_decref(result);
}

static int
raw_connect(const struct fixture *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval tv = { 5, 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, f->path);
	assert_int_equal(
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

static void
raw_send(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text) + 1, MSG_NOSIGNAL),
	    (ssize_t)strlen(text) + 1);
}

/* Reads up to and with the n-th NUL; NULs come out as blanks. */
static char *
raw_read(int fd, int count)
{
	size_t size = VARLINK_MESSAGE_MAX * 2, len = 0;
	char *text = xmalloc(size);

	while (count > 0 && len < size - 1 && recv(fd, text + len, 1, 0) == 1) {
		if (text[len] == '\0') {
			text[len] = ' ';
			count--;
		}
		len++;
	}
	text[len] = '\0';
	return text;
}

static void
a_call_may_be_answered_later(void **state)
{
	struct fixture *f = *state;
	int fd = raw_connect(f);
	struct error e;
	json_t *result;
	char *text;

	/* The second call waits for the first one's answer. */
	raw_send(fd, "{\"method\":\"im.test.Test.Park\"}");
	raw_send(fd, "{\"method\":\"im.test.Test.Mark\"}");
	do {
		assert_int_equal(
		    ask(f, "im.test.Test.Echo", NULL, &result, &e), 0);
		json_decref(result);
	} while (f->parked == NULL);
	assert_int_equal(f->marks, 0);
	assert_int_equal(ask(f, "im.test.Test.Wake", NULL, &result, &e), 0);
	json_decref(result);
	text = raw_read(fd, 2);
	assert_string_equal(text,
	    "{\"parameters\":{\"late\":\"yes\"}} "
	    "{\"parameters\":{\"marks\":1}} ");
	free(text);
	close(fd);
}

static void
the_answer_to_a_client_that_left_is_dropped(void **state)
{
	struct fixture *f = *state;
	int fd = raw_connect(f);
	struct error e;
	json_t *result;

	raw_send(fd, "{\"method\":\"im.test.Test.Park\"}");
	do {
		assert_int_equal(
		    ask(f, "im.test.Test.Echo", NULL, &result, &e), 0);
		json_decref(result);
	} while (f->parked == NULL);
	close(fd);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
		    ask(f, "im.test.Test.Wake", NULL, &result, &e), 0);
		json_decref(result);
	}
}

static void
many_calls_at_once_are_answered_in_order(void **state)
{
	struct fixture *f = *state;
	int fd = raw_connect(f);
	char *text, want[64];

	for (int i = 0; i < 50; i++)
		raw_send(fd, "{\"method\":\"im.test.Test.Mark\"}");
	for (int i = 1; i <= 50; i++) {
		text = raw_read(fd, 1);
		snprintf(
		    want, sizeof(want), "{\"parameters\":{\"marks\":%d}} ", i);
		assert_string_equal(text, want);
		free(text);
	}
	close(fd);
}

static void
a_message_may_come_byte_by_byte(void **state)
{
	static const char text[] = "{\"method\":\"im.test.Test.Mark\"}";
	struct fixture *f = *state;
	int fd = raw_connect(f);
	char *got;

	for (size_t i = 0; i < sizeof(text); i++)
		assert_int_equal(send(fd, text + i, 1, MSG_NOSIGNAL), 1);
	got = raw_read(fd, 1);
	assert_string_equal(got, "{\"parameters\":{\"marks\":1}} ");
	free(got);
	close(fd);
}

static void
a_oneway_call_has_no_answer(void **state)
{
	struct fixture *f = *state;
	int fd = raw_connect(f);
	char *text;

	raw_send(fd, "{\"method\":\"im.test.Test.Mark\",\"oneway\":true}");
	raw_send(fd, "{\"method\":\"im.test.Nope\",\"oneway\":true}");
	raw_send(fd, "{\"method\":\"im.test.Test.Mark\"}");
	text = raw_read(fd, 1);
	assert_string_equal(text, "{\"parameters\":{\"marks\":2}} ");
	free(text);
	close(fd);
}

static void
nonsense_ends_the_connection_and_nothing_else(void **state)
{
	static const char *const bad[] = { "", "x", "[]", "{\"a\":1}",
		"{\"method\":\"a.B\",\"parameters\":3}" };
	struct fixture *f = *state;
	struct error e;
	json_t *result;
	char *text;
	int fd;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fd = raw_connect(f);
		raw_send(fd, bad[i]);
		text = raw_read(fd, 1);
		assert_string_equal(text, "");
		free(text);
		close(fd);
	}
	assert_int_equal(ask(f, "im.test.Test.Echo", NULL, &result, &e), 0);
	json_decref(result);
}

static void
a_message_without_end_is_cut_off(void **state)
{
	struct fixture *f = *state;
	int fd = raw_connect(f);
	char block[4096];
	ssize_t n = 1;
	size_t sent;

	memset(block, 'x', sizeof(block));
	for (sent = 0; n > 0 && sent < 16 * VARLINK_MESSAGE_MAX;
	     sent += (size_t)n)
		n = send(fd, block, sizeof(block), MSG_NOSIGNAL);
	assert_true(sent < 16 * VARLINK_MESSAGE_MAX);
	close(fd);
}

static void
an_answer_that_is_too_long_is_an_error(void **state)
{
	struct error e;
	json_t *result;

	assert_int_equal(
	    ask(*state, "im.test.Test.Huge", NULL, &result, &e), RES_LIMIT);
	assert_string_equal(e.text, "the answer is too long");
}

static void
ignore(json_t *result, void *arg)
{
	(void)result;
	(void)arg;
}

static void
a_stream_that_is_not_read_is_cut_off(void **state)
{
	const struct varlink_more more = { ignore, NULL };
	struct fixture *f = *state;
	struct error e;
	json_t *result;

	assert_int_equal(varlink_client_stream(f->client, "im.test.Test.Flood",
			     NULL, &more, &result, &e),
	    RES_UNREACHABLE);
	assert_true(f->marks < 100);
}

static void
a_user_has_a_limited_number_of_connections(void **state)
{
	struct fixture *f = *state;
	int fds[40], served = 0;
	char *text;

	for (int i = 0; i < 40; i++)
		fds[i] = raw_connect(f);
	for (int i = 0; i < 40; i++) {
		/* The server may have closed it already. */
		if (send(fds[i], "{\"method\":\"im.test.Test.Mark\"}", 31,
			MSG_NOSIGNAL) == 31) {
			text = raw_read(fds[i], 1);
			served += *text != '\0';
			free(text);
		}
		close(fds[i]);
	}
	assert_int_equal(served, 31); /* and the fixture's own */
}

static void
the_service_describes_itself(void **state)
{
	struct error e;
	json_t *result, *names;

	assert_int_equal(
	    ask(*state, "org.varlink.service.GetInfo", NULL, &result, &e), 0);
	names = json_object_get(result, "interfaces");
	assert_int_equal(json_array_size(names), 3);
	assert_string_equal(
	    json_string_value(json_array_get(names, 1)), "im.test.Test");
	assert_string_equal(
	    json_string_value(json_array_get(names, 2)), "im.test.Other");
	json_decref(result);
	assert_int_equal(
	    ask(*state, "org.varlink.service.GetInterfaceDescription",
		json_pack("{s:s}", "interface", "im.test.Test"), &result, &e),
	    0);
	assert_string_equal(
	    json_string_value(json_object_get(result, "description")),
	    "interface im.test.Test\n\nmethod Echo() -> ()\n");
	json_decref(result);
	assert_int_equal(
	    ask(*state, "org.varlink.service.GetInterfaceDescription",
		json_pack("{s:s}", "interface", "im.test"), &result, &e),
	    RES_INVALID);
}

/* What somebody without a role gets; runs in a child. */
static int
ask_as_nobody(const struct fixture *f)
{
	struct varlink_client *client;
	struct error e = { .code = RES_OK };
	json_t *result = NULL;
	int rc;

	if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
		return 1;
	client = varlink_client_open(f->path, 5000, &e);
	if (client == NULL)
		return 2;
	rc =
	    varlink_client_call(client, "im.test.Test.Echo", NULL, &result, &e);
	return rc == RES_DENIED && strcmp(e.text, "permission denied") == 0 ? 0
									    : 3;
}

static void
a_user_without_a_role_is_told_so(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->folder, 0755), 0);
	pid = fork();
	if (pid == 0)
		_exit(ask_as_nobody(f));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
a_second_server_finds_the_first_running(void **state)
{
	struct fixture *f = *state;
	struct error e;
	json_t *result;

	assert_null(varlink_server_new(f->base, f->path, &interface, f, &e));
	assert_int_equal(e.code, RES_STATE);
	assert_non_null(strstr(e.text, "already running"));
	assert_int_equal(ask(f, "im.test.Test.Echo", NULL, &result, &e), 0);
	json_decref(result);
}

static void
a_stopped_server_still_sends_its_last_answer(void **state)
{
	struct fixture *f = *state;
	struct error e;
	json_t *result;

	assert_int_equal(ask(f, "im.test.Test.Stop", NULL, &result, &e), 0);
	json_decref(result);
	assert_int_equal(
	    ask(f, "im.test.Test.Echo", NULL, &result, &e), RES_UNREACHABLE);
}

static void
a_stale_socket_is_replaced(void **state)
{
	struct event_base *base = event_base_new();
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char folder[] = "/tmp/mmp-test-varlink.XXXXXX";
	struct varlink_server *server;
	struct error e;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", folder);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_null(varlink_client_open(addr.sun_path, 100, &e));
	assert_int_equal(e.code, RES_UNREACHABLE);
	server = varlink_server_new(base, addr.sun_path, &interface, NULL, &e);
	assert_non_null(server);
	varlink_server_free(server);
	assert_int_equal(access(addr.sun_path, F_OK), -1);
	rmdir(folder);
	event_base_free(base);
}

static void
a_path_that_does_not_fit_is_refused(void **state)
{
	char path[200];
	struct error e;

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_null(varlink_server_new(NULL, path, &interface, NULL, &e));
	assert_int_equal(e.code, RES_INVALID);
	assert_null(varlink_client_open(path, 100, &e));
	assert_int_equal(e.code, RES_INVALID);
}

static void
a_silent_server_times_out(void **state)
{
	struct fixture *f = *state;
	struct varlink_client *client;
	struct error e;
	json_t *result;

	client = varlink_client_open(f->path, 50, &e);
	assert_int_equal(
	    varlink_client_call(client, "im.test.Test.Park", NULL, &result, &e),
	    RES_TIMEOUT);
	varlink_client_free(client);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decode_takes_one_plain_object),
		cmocka_unit_test(encode_keeps_the_limit),
		cmocka_unit_test(request_read_checks_the_shape),
		SERVED(a_call_is_answered),
		SERVED(a_refusal_has_code_and_text),
		SERVED(wrong_parameters_are_refused),
		SERVED(an_unknown_method_is_refused),
		SERVED(a_stream_gives_all_its_answers),
		SERVED(without_more_only_the_last_answer_comes),
		SERVED(a_call_may_be_answered_later),
		SERVED(the_answer_to_a_client_that_left_is_dropped),
		SERVED(many_calls_at_once_are_answered_in_order),
		SERVED(a_message_may_come_byte_by_byte),
		SERVED(a_oneway_call_has_no_answer),
		SERVED(nonsense_ends_the_connection_and_nothing_else),
		SERVED(a_message_without_end_is_cut_off),
		SERVED(an_answer_that_is_too_long_is_an_error),
		SERVED(a_stream_that_is_not_read_is_cut_off),
		SERVED(a_user_has_a_limited_number_of_connections),
		SERVED(the_service_describes_itself),
		SERVED(a_user_without_a_role_is_told_so),
		SERVED(a_second_server_finds_the_first_running),
		SERVED(a_stopped_server_still_sends_its_last_answer),
		SERVED(a_silent_server_times_out),
		cmocka_unit_test(a_stale_socket_is_replaced),
		cmocka_unit_test(a_path_that_does_not_fit_is_refused),
	};

	log_init("test", LOG_LEVEL_ERR, 0);
	evthread_use_pthreads();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
