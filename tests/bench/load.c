/*
 * Clients as a load: what tests/bench/run measures servers with.
 *
 *   load HOST PORT DOMAIN CA PASSWORD USERS idle
 *   load ... login COUNT CONCURRENT
 *   load ... refused COUNT CONCURRENT
 *   load ... wrong COUNT CONCURRENT
 *   load ... chat SECONDS RATE WINDOW
 *   load ... probe MILLISECONDS HOST2
 *
 * USERS accounts are called user0, user1, ...; each is logged in once, but
 *where logins are counted. With the password "-" the server is a relay
 *(relay.c), and they have numbers. When all is prepared it prints "ready", and
 *goes on with a line from standard input.
 *
 * idle	sits there, available, until the next line.
 * login	logs in and out COUNT times, CONCURRENT at a time.
 * refused	the same for accounts nobody0, nobody1, ... that don't exist;
 *	connections come from 127.0.0.2, 127.0.0.3 and so on, so that no address
 *	is locked out.
 * wrong	the same for accounts that exist, by a wrong password: what
 *somebody who tries names can measure. chat	users 0 and 1, 2 and 3, ... talk
 *to each other: RATE messages a second in all, or with RATE 0 as fast as it
 *goes with WINDOW messages of each pair under way. probe	user 0 writes to
 *user 1, who is on HOST2, every so many milliseconds, until the next line. Each
 *arrival is a line: number, when sent, when arrived, in microseconds of the
 *monotonic clock.
 *
 * Results are one line of JSON.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "tests/lib/bot.h"

/* So many logins are under way while sessions are prepared. */
#define PREPARE_CONCURRENT 16
#define BODY 100
/* What is under way at the end is waited for so long. */
#define DRAIN_US 3000000

struct user {
	struct load *load;
	size_t number;
	struct bot *bot;
	bool there;
	uint64_t sent, received; /* probe: numbers */
};

struct load {
	struct bot_env env, second; /* probe: user 1's server */
	struct user *users;
	size_t count, next, there;
	size_t logins, logins_wanted;
	bool measuring, sending;
	bool refused;      /* no login succeeds */
	const char *names; /* what accounts are called before the number */

	uint64_t rate, window;
	uint64_t start, end, sent, received;
	uint32_t *latencies; /* microseconds */
	size_t latency_count, latency_size;
	struct event *timer;
};

static void
user_name(const struct user *u, char out[32])
{
	snprintf(out, 32, "%s%zu", u->load->names, u->number);
}

/* ---- messages ------------------------------------------------------------ */

static void
send_message(struct user *from, const struct user *to, uint64_t number)
{
	static const char fill[] =
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	char text[512];
	int len;

	len = snprintf(text, sizeof(text),
	    "<message to='%s' type='chat' id='%" PRIu64 "-%" PRIu64
	    "'><body>%.*s</body></message>",
	    bot_jid(to->bot), number, clock_us(), BODY, fill);
	bot_send(from->bot, text, (size_t)len);
	from->load->sent++;
}

static struct user *
partner(const struct user *u)
{
	return &u->load->users[u->number ^ 1];
}

static void
note_latency(struct load *l, uint64_t us)
{
	if (l->latency_count == l->latency_size) {
		l->latency_size =
		    l->latency_size == 0 ? 65536 : l->latency_size * 2;
		l->latencies = xrealloc(
		    l->latencies, l->latency_size * sizeof(*l->latencies));
	}
	l->latencies[l->latency_count++] = (uint32_t)us;
}

/* "number-sent" */
static bool
read_id(const char *id, uint64_t *number, uint64_t *sent)
{
	return id != NULL &&
	    sscanf(id, "%" SCNu64 "-%" SCNu64, number, sent) == 2;
}

static void
on_message(struct user *u, const struct xml_stanza *s)
{
	struct load *l = u->load;
	uint64_t number, sent, now = clock_us();

	if (!l->measuring || !str_equal(s->name, "message") ||
	    str_equal(s->type, "error") || !read_id(s->id, &number, &sent))
		return;
	l->received++;
	if (l->second.base != NULL) {
		printf(
		    "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", number, sent, now);
		return;
	}
	note_latency(l, now - sent);
	if (l->sending && l->rate == 0)
		send_message(u, partner(u), 0);
}

/* ---- sessions ------------------------------------------------------------ */

static const struct bot_ops ops;

static void
login_next(struct load *l)
{
	struct user *u = &l->users[l->next++ % l->count];
	struct bot_env *env =
	    l->second.base != NULL && u->number == 1 ? &l->second : &l->env;
	char name[32], from[32];

	if (env->relay) {
		u->bot = bot_new_relayed(env, (uint32_t)u->number, &ops, u);
		return;
	}
	user_name(u, name);
	if (l->refused)
		snprintf(from, sizeof(from), "127.0.%zu.%zu",
		    l->next / 250 % 250, l->next % 250 + 2);
	u->bot = bot_new(env, name, l->refused ? from : NULL, &ops, u);
}

/* A login is through. */
static void
count_login(struct load *l)
{
	if (++l->logins == l->logins_wanted)
		event_base_loopbreak(l->env.base);
	else if (l->next < l->logins_wanted)
		login_next(l);
}

static void
bound_cb(void *arg)
{
	struct user *u = arg;
	struct load *l = u->load;

	if (l->logins_wanted != 0) {
		bot_free(u->bot);
		u->bot = NULL;
		count_login(l);
		return;
	}
	if (!l->env.relay)
		bot_send(u->bot, "<presence/>", 11);
	u->there = true;
	/* What the last one says goes out still. */
	if (++l->there == l->count)
		event_base_loopexit(l->env.base, NULL);
	else if (l->next < l->count)
		login_next(l);
}

static void
stanza_cb(void *arg, const struct xml_stanza *s)
{
	on_message(arg, s);
}

static void
closed_cb(void *arg, const char *why)
{
	struct user *u = arg;

	if (!u->load->refused || strcmp(why, "failure") != 0)
		fatalx("user%zu: %s", u->number, why);
	u->bot = NULL;
	count_login(u->load);
}

static const struct bot_ops ops = { bound_cb, stanza_cb, closed_cb };

static void
wait_for_line(void)
{
	char line[64];

	puts("ready");
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		exit(0);
}

static void
login_all(struct load *l)
{
	for (int i = 0; i < PREPARE_CONCURRENT && l->next < l->count; i++)
		login_next(l);
	event_base_dispatch(l->env.base);
}

/* ---- modes ----------------------------------------------------------------
 */

static uint64_t
number_arg(char **args, int i, uint64_t max)
{
	uint64_t v;

	if (args[i] == NULL || !str_to_u64(args[i], 0, max, &v))
		fatalx("argument %d has to be a number up to %" PRIu64, i + 1,
		    max);
	return v;
}

static void
run_idle(struct load *l, char **args)
{
	(void)args;
	login_all(l);
	wait_for_line();
	puts("{}");
	fflush(stdout);
	wait_for_line();
}

static void
run_logins(struct load *l, size_t count, size_t concurrent)
{
	l->next = l->logins = 0;
	l->logins_wanted = count;
	for (size_t i = 0; i < concurrent && i < count; i++)
		login_next(l);
	event_base_dispatch(l->env.base);
}

static void
run_login(struct load *l, char **args)
{
	size_t count = number_arg(args, 0, 1000000);
	size_t concurrent = number_arg(args, 1, 1000);
	uint64_t start;

	/* Once each: then every salted password is known. */
	run_logins(l, l->count, concurrent);
	wait_for_line();
	start = clock_us();
	run_logins(l, count, concurrent);
	printf("{\"logins\": %zu, \"seconds\": %.3f}\n", count,
	    (double)(clock_us() - start) / 1e6);
}

static void
run_refused(struct load *l, char **args)
{
	l->refused = true;
	l->names = "nobody";
	run_login(l, args);
}

static void
run_wrong(struct load *l, char **args)
{
	l->refused = true;
	l->env.password = "another";
	run_login(l, args);
}

static int
compare_latency(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void
print_chat(struct load *l)
{
	size_t n = l->latency_count;
	double seconds = (double)(l->end - l->start) / 1e6;

	if (n == 0)
		fatalx("no message arrived");
	qsort(l->latencies, n, sizeof(*l->latencies), compare_latency);
	printf("{\"sent\": %" PRIu64 ", \"received\": %" PRIu64
	       ", \"seconds\": %.3f, \"p50_us\": %u, \"p99_us\": %u, "
	       "\"max_us\": %u}\n",
	    l->sent, l->received, seconds, l->latencies[n / 2],
	    l->latencies[n * 99 / 100], l->latencies[n - 1]);
}

/* Each millisecond: what is due by now, and whether it is over. */
static void
chat_tick(evutil_socket_t fd, short what, void *arg)
{
	struct load *l = arg;
	uint64_t now = clock_us(), due;
	struct user *u;

	(void)fd;
	(void)what;
	if (now >= l->end) {
		l->sending = false;
		if (l->received >= l->sent || now >= l->end + DRAIN_US)
			event_base_loopbreak(l->env.base);
		return;
	}
	if (l->rate == 0)
		return;
	due = (now - l->start) * l->rate / 1000000;
	while (l->sent < due) {
		u = &l->users[l->next++ % l->count];
		send_message(u, partner(u), 0);
	}
}

static void
start_timer(struct load *l, unsigned ms, event_callback_fn tick)
{
	struct timeval period = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	l->timer = event_new(l->env.base, -1, EV_PERSIST, tick, l);
	if (l->timer == NULL || event_add(l->timer, &period) != 0)
		fatalx("no timer");
}

static void
run_chat(struct load *l, char **args)
{
	uint64_t seconds = number_arg(args, 0, 3600);
	struct user *u;

	l->rate = number_arg(args, 1, 1000000);
	l->window = number_arg(args, 2, 1000);
	if (l->count % 2 != 0)
		fatalx("chat: users come in pairs");
	login_all(l);
	wait_for_line();
	l->next = 0;
	l->start = clock_us();
	l->end = l->start + seconds * 1000000;
	l->measuring = l->sending = true;
	for (size_t i = 0; l->rate == 0 && i < l->count / 2 * l->window; i++) {
		u = &l->users[i * 2 % l->count];
		send_message(u, partner(u), 0);
	}
	start_timer(l, 1, chat_tick);
	event_base_dispatch(l->env.base);
	print_chat(l);
}

static void
probe_tick(evutil_socket_t fd, short what, void *arg)
{
	struct load *l = arg;

	(void)fd;
	(void)what;
	send_message(&l->users[0], &l->users[1], ++l->users[0].sent);
	fflush(stdout);
}

static void
line_cb(evutil_socket_t fd, short what, void *arg)
{
	struct load *l = arg;

	(void)fd;
	(void)what;
	event_base_loopbreak(l->env.base);
}

static void
run_probe(struct load *l, char **args)
{
	struct timeval rest = { 3, 0 };
	unsigned ms = (unsigned)number_arg(args, 0, 10000);
	struct event *line;

	login_all(l);
	wait_for_line();
	l->measuring = true;
	start_timer(l, ms, probe_tick);
	line = event_new(l->env.base, STDIN_FILENO, EV_READ, line_cb, l);
	event_add(line, NULL);
	event_base_dispatch(l->env.base);
	/* What is under way may still arrive. */
	event_del(l->timer);
	event_del(line);
	event_base_loopexit(l->env.base, &rest);
	event_base_dispatch(l->env.base);
	printf("{\"sent\": %" PRIu64 ", \"received\": %" PRIu64 "}\n", l->sent,
	    l->received);
	event_free(line);
}

static const struct {
	const char *name;
	void (*run)(struct load *l, char **args);
} modes[] = {
	{ "idle", run_idle },
	{ "login", run_login },
	{ "refused", run_refused },
	{ "wrong", run_wrong },
	{ "chat", run_chat },
	{ "probe", run_probe },
};

/* argv from HOST on. */
static void
prepare(struct load *l, char **args, bool probe)
{
	uint64_t port = number_arg(args, 1, 65535);

	bot_env_init(&l->env, args[0], (uint16_t)port, args[3]);
	l->env.domain = args[2];
	l->names = "user";
	l->env.password = args[4];
	l->env.relay = strcmp(args[4], "-") == 0;
	l->count = number_arg(args, 5, 100000);
	l->users = xcalloc(l->count + 1, sizeof(*l->users));
	for (size_t i = 0; i < l->count; i++)
		l->users[i] = (struct user){ .load = l, .number = i };
	if (!probe)
		return;
	if (args[8] == NULL || l->count != 2)
		fatalx("probe: two users, two servers");
	/* The same loop, another server. */
	l->second = l->env;
	l->second.salted = (struct map){ 0 };
	bot_env_set_address(&l->second, args[8], (uint16_t)port);
}

int
main(int argc, char **argv)
{
	struct load l = { 0 };

	log_init("load", LOG_LEVEL_ERR, 1);
	for (size_t i = 0; argc >= 8 && i < sizeof(modes) / sizeof(modes[0]);
	     i++)
		if (strcmp(argv[7], modes[i].name) == 0) {
			prepare(&l, argv + 1, modes[i].run == run_probe);
			modes[i].run(&l, argv + 8);
			fflush(stdout);
			_exit(0); /* sessions end with their sockets */
		}
	fprintf(stderr,
	    "usage: load HOST PORT DOMAIN CA PASSWORD USERS "
	    "idle|login|refused|wrong|chat|probe ...\n");
	return 2;
}
