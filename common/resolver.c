/*
 * DNS look-ups by libunbound on the event loop.
 *
 * libunbound takes most settings only before its first query, so a change
 * throws its context away; the next look-up makes a new one. Two of its ways
 * shape this file. Its own cancelling frees what an event context still uses,
 * so a query that is of no interest any more just loses its ticket. And it
 * doesn't tell which server answered, but logs it: the log is read for that,
 * and where it said nothing, the servers are named that the name belongs to.
 *
 * A look-up: resolver_ask -> resolver_start -> (resolver_log_cb: a server
 * answered) -> resolver_unbound_cb -> resolver_timer_cb -> the caller. When
 * nothing comes, the timer finds the query without a result: no reply.
 */
#include "common/resolver.h"

#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <arpa/nameser.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound-event.h>
#include <unbound.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/resolver_scope.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

#define RESOLVER_FAILURES 8
#define RESOLVER_SYSTEM_MAX 65536 /* bytes of a resolv.conf */

/*
 * A server that was silent is asked anew after 2 s: the library's own 15
 * minutes would outlast every repair. "Not there" is believed for 5 s, since
 * an administrator who adds a missing record wants to see it work. A name
 * below "test." may well be somebody's domain. The root servers aren't for us.
 */
static const char resolver_settings[] =
    "server:\n"
    "  use-syslog: no\n"
    "  verbosity: 2\n"
    "  module-config: \"iterator\"\n"
    "  do-not-query-localhost: no\n"
    "  infra-host-ttl: 2\n"
    "  infra-keep-probing: yes\n"
    "  infra-cache-max-rtt: 1000\n"
    "  cache-max-negative-ttl: 5\n"
    "  outgoing-range: 64\n"
    "  num-queries-per-thread: 64\n"
    "  msg-cache-size: 1m\n"
    "  rrset-cache-size: 1m\n"
    "  local-zone: \"test.\" nodefault\n"
    "  local-zone: \"home.arpa.\" nodefault\n";

/* What the library holds of a query; outlives it where it is cancelled. */
struct resolver_ticket {
	LIST_ENTRY(resolver_ticket) entry;
	struct resolver_query *query; /* NULL: nobody waits any more */
};

struct resolver_query {
	LIST_ENTRY(resolver_query) entry;
	struct resolver *r;
	char *name;
	enum resolver_type type;
	resolver_cb cb;
	void *arg;
	struct event *timer; /* the deadline, then the delivery */
	struct resolver_ticket *ticket;
	bool done;
	enum resolver_outcome outcome;
	struct resolver_reply *reply;
	char server[RESOLVER_SERVER_SIZE]; /* who replied; "": nobody yet */
};

/* How a look-up failed: the library keeps the failure, not the reason. */
struct resolver_failure {
	char name[RESOLVER_NAME_SIZE];
	enum resolver_type type;
	enum resolver_outcome outcome;
	char server[RESOLVER_SERVER_SIZE];
};

struct resolver {
	struct event_base *base;
	struct timeval deadline;
	char *system_path;
	struct stat system_state;
	struct resolver_scope scope;
	struct ub_ctx *context; /* NULL until it is needed */
	FILE *log;
	char logged[RESOLVER_NAME_SIZE + 16]; /* "name. TYPE" it speaks of */
	char refusal[128];                    /* what it had against a record */
	struct resolver_failure failures[RESOLVER_FAILURES];
	size_t failures_next;
	LIST_HEAD(resolver_queries, resolver_query) queries;
	LIST_HEAD(resolver_tickets, resolver_ticket) tickets;
};

/* ---- settings and context ---------------------------------------------- */

static void
resolver_read_system(struct resolver *r)
{
	char *text;
	size_t len;

	memset(&r->system_state, 0, sizeof(r->system_state));
	if (r->system_path == NULL)
		return;
	(void)stat(r->system_path, &r->system_state);
	text = file_read(r->system_path, RESOLVER_SYSTEM_MAX, &len);
	resolver_scope_read_system(&r->scope, text);
	free(text);
}

static bool
resolver_system_changed(const struct resolver *r)
{
	struct stat now = { 0 };

	if (r->system_path == NULL)
		return false;
	(void)stat(r->system_path, &now);
	return now.st_ino != r->system_state.st_ino ||
	    now.st_mtim.tv_sec != r->system_state.st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != r->system_state.st_mtim.tv_nsec;
}

/* The library reads settings from files only; this one is in memory. */
static int
resolver_configure(struct ub_ctx *context, const struct buf *settings)
{
	char path[32];
	int fd, rc = -1;

	if ((fd = memfd_create("resolver", MFD_CLOEXEC)) < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (write(fd, settings->data, settings->len) == (ssize_t)settings->len)
		rc = ub_ctx_config(context, path);
	close(fd);
	return rc;
}

static struct ub_ctx *
resolver_context_new(struct resolver *r)
{
	struct ub_ctx *context = ub_ctx_create_event(r->base);
	struct buf settings = { 0 };
	struct resolver_text *t;

	if (context == NULL)
		fatalx("resolver: no context");
	ub_ctx_debugout(context, r->log);
	resolver_read_system(r);
	buf_add_str(&settings, resolver_settings);
	resolver_scope_clauses(&r->scope, &settings);
	if (resolver_configure(context, &settings) != 0)
		log_err("resolver: settings refused by the library");
	buf_clear(&settings);
	STAILQ_FOREACH(t, &r->scope.records, entry)
		if (ub_ctx_data_add(context, t->text) != 0)
			log_err("resolver: record refused: %s", t->text);
	return context;
}

static void
resolver_context_free(struct resolver *r)
{
	struct resolver_ticket *t;

	/* Deleting it answers what is open with a failure, or not at all. */
	LIST_FOREACH(t, &r->tickets, entry)
		if (t->query != NULL) {
			t->query->ticket = NULL;
			t->query = NULL;
		}
	if (r->context != NULL) {
		ub_ctx_debugout(r->context, NULL);
		ub_ctx_delete(r->context);
	}
	r->context = NULL;
	while ((t = LIST_FIRST(&r->tickets)) != NULL) {
		LIST_REMOVE(t, entry);
		free(t);
	}
}

/* ---- what the library logs --------------------------------------------- */

/* A server answered what the log speaks of: "127.0.0.1#5399". */
static void
resolver_note_server(struct resolver *r, const char *server)
{
	size_t len = strcspn(r->logged, " "), digits;
	const char *hash = strchr(server, '#');
	bool ipv6 = strchr(server, ':') != NULL;
	struct resolver_query *q;

	if (hash == NULL || r->logged[len] != ' ')
		return;
	digits = strspn(hash + 1, "0123456789");
	LIST_FOREACH(q, &r->queries, entry)
		if (!q->done &&
		    resolver_name_equal(
			q->name, strlen(q->name), r->logged, len) &&
		    str_equal(r->logged + len + 1, resolver_type_name(q->type)))
			snprintf(q->server, sizeof(q->server), "%s%.*s%s:%.*s",
			    ipv6 ? "[" : "", (int)(hash - server), server,
			    ipv6 ? "]" : "", (int)digits, hash + 1);
}

/*
 * The lines that tell something:
 *	[time] libunbound[pid:0] info: response for NAME. TYPE IN
 *	[time] libunbound[pid:0] info: reply from <ZONE.> ADDRESS#PORT
 *	[time] libunbound[pid:0] error: error parsing local-data at N '..': WHY
 */
static void
resolver_log_line(struct resolver *r, const char *line)
{
	static const char response[] = "info: response for ";
	static const char reply[] = "info: reply from <";
	static const char refusal[] = "error: error parsing local-data";
	const char *at;
	char *end;

	if ((at = strstr(line, response)) != NULL) {
		snprintf(r->logged, sizeof(r->logged), "%s",
		    at + sizeof(response) - 1);
		if ((end = strrchr(r->logged, ' ')) != NULL)
			*end = '\0';
	} else if ((at = strstr(line, reply)) != NULL) {
		if ((at = strstr(at, "> ")) != NULL)
			resolver_note_server(r, at + 2);
	} else if ((at = strstr(line, refusal)) != NULL) {
		if ((at = strstr(at, "': ")) != NULL)
			snprintf(r->refusal, sizeof(r->refusal), "%s", at + 3);
		str_lower(r->refusal);
	} else if ((at = strstr(line, "error: ")) != NULL)
		log_debug("resolver: libunbound: %s", at);
}

/* The stream is buffered by lines, so what comes is one line. */
static ssize_t
resolver_log_cb(void *cookie, const char *data, size_t len)
{
	char line[1024];

	snprintf(line, sizeof(line), "%.*s", (int)len, data);
	line[strcspn(line, "\n")] = '\0';
	resolver_log_line(cookie, line);
	return (ssize_t)len;
}

struct resolver *
resolver_new(struct event_base *base, const char *system, unsigned deadline_ms)
{
	cookie_io_functions_t io = { .write = resolver_log_cb };
	struct resolver *r = xcalloc(1, sizeof(*r));

	r->base = base;
	r->deadline.tv_sec = deadline_ms / 1000;
	r->deadline.tv_usec = (suseconds_t)(deadline_ms % 1000) * 1000;
	r->system_path = system == NULL ? NULL : xstrdup(system);
	resolver_scope_init(&r->scope);
	LIST_INIT(&r->queries);
	LIST_INIT(&r->tickets);
	if ((r->log = fopencookie(r, "w", io)) == NULL)
		fatal("resolver: log");
	setvbuf(r->log, NULL, _IOLBF, BUFSIZ);
	return r;
}

/* ---- records ----------------------------------------------------------- */

/*
 * Lets the library read a record, in a context of its own, and returns NULL or
 * what it has against it. A new context closes the file that the last one logs
 * to, so the log is taken away from that first.
 */
static char *
resolver_refusal(struct resolver *r, const char *record)
{
	struct buf settings = { 0 };
	struct ub_ctx *scratch;
	char *why = NULL;

	if (r->context != NULL)
		ub_ctx_debugout(r->context, NULL);
	scratch = ub_ctx_create_event(r->base);
	if (scratch == NULL)
		fatalx("resolver: no context");
	ub_ctx_debugout(scratch, r->log);
	buf_add_str(&settings, resolver_settings);
	resolver_configure(scratch, &settings);
	buf_clear(&settings);
	r->refusal[0] = '\0';
	if (ub_ctx_data_add(scratch, record) != 0)
		why = xstrdup(r->refusal[0] != '\0' ? r->refusal : "malformed");
	ub_ctx_debugout(scratch, NULL);
	ub_ctx_delete(scratch);
	if (r->context != NULL)
		ub_ctx_debugout(r->context, r->log);
	return why;
}

char *
resolver_make_record(struct resolver *r, const char *record, struct error *e)
{
	char *copy = xstrdup(record), *tidy = NULL, *why = NULL;

	if (strpbrk(record, "\"();\\") == NULL)
		tidy = resolver_tidy(copy);
	free(copy);
	if (tidy == NULL)
		error_set(e, RES_INVALID,
		    "%s is not an A, AAAA or SRV record (name [TTL] IN A "
		    "address; name [TTL] IN SRV priority weight port target)",
		    record);
	else if ((why = resolver_refusal(r, tidy)) != NULL)
		error_set(e, RES_INVALID, "%s: %s", record, why);
	if (why != NULL) {
		free(tidy);
		tidy = NULL;
	}
	free(why);
	return tidy;
}

/* ---- look-ups ---------------------------------------------------------- */

/* The result is given by the loop, never from inside the library. */
static void
resolver_finish(struct resolver_query *q, enum resolver_outcome outcome)
{
	static const struct timeval now = { 0, 0 };

	q->done = true;
	q->outcome = outcome;
	evtimer_add(q->timer, &now);
}

/* Also a failure may come as a packet: one that the library remembers. */
static enum resolver_outcome
resolver_take_packet(
    struct resolver_query *q, const uint8_t *packet, size_t len)
{
	q->reply = xcalloc(1, sizeof(*q->reply));
	if (resolver_parse(packet, len, q->type, q->reply) != RES_OK) {
		q->reply->count = 0;
		return RESOLVER_FAILED;
	}
	if (q->reply->count > 0)
		return RESOLVER_FOUND;
	if (q->reply->rcode == ns_r_nxdomain)
		return RESOLVER_NO_NAME;
	if (q->reply->rcode == ns_r_noerror)
		return RESOLVER_NO_RECORD;
	return q->server[0] != '\0' ? RESOLVER_FAILED : RESOLVER_NO_REPLY;
}

/*
 * The library answers 5 s long with a failure, or a "no", that it remembers:
 * then it is told as it was when it came.
 */
static void
resolver_recall(struct resolver_query *q)
{
	const struct resolver *r = q->r;

	for (size_t i = 0; i < RESOLVER_FAILURES; i++)
		if (r->failures[i].type == q->type &&
		    strcasecmp(r->failures[i].name, q->name) == 0) {
			if (q->outcome == RESOLVER_NO_REPLY)
				q->outcome = r->failures[i].outcome;
			memcpy(q->server, r->failures[i].server,
			    sizeof(q->server));
		}
}

static void
resolver_remember(struct resolver_query *q)
{
	struct resolver *r = q->r;
	struct resolver_failure *f = NULL;

	for (size_t i = 0; i < RESOLVER_FAILURES; i++)
		if (r->failures[i].type == q->type &&
		    strcasecmp(r->failures[i].name, q->name) == 0)
			f = &r->failures[i];
	if (f == NULL)
		f = &r->failures[r->failures_next++ % RESOLVER_FAILURES];
	snprintf(f->name, sizeof(f->name), "%s", q->name);
	f->type = q->type;
	f->outcome = q->outcome;
	memcpy(f->server, q->server, sizeof(f->server));
}

/* NOLINTBEGIN(readability-*): its parameters are the library's */
static void
resolver_unbound_cb(void *arg, int rcode, void *packet, int len, int secure,
    char *why_bogus, int ratelimited)
{
	struct resolver_ticket *ticket = arg;
	struct resolver_query *q = ticket->query;

	(void)secure;
	(void)why_bogus;
	(void)ratelimited;
	LIST_REMOVE(ticket, entry);
	free(ticket);
	if (q == NULL)
		return;
	q->ticket = NULL;
	if (rcode == 0 && packet != NULL && len > 0)
		resolver_finish(
		    q, resolver_take_packet(q, packet, (size_t)len));
	else
		resolver_finish(q,
		    q->server[0] != '\0' ? RESOLVER_FAILED : RESOLVER_NO_REPLY);
}
/* NOLINTEND(readability-*) */

static void
resolver_start(struct resolver_query *q)
{
	struct resolver *r = q->r;
	struct resolver_ticket *ticket = xcalloc(1, sizeof(*ticket));
	int rc, id = -1;

	ticket->query = q;
	q->ticket = ticket;
	LIST_INSERT_HEAD(&r->tickets, ticket, entry);
	rc = ub_resolve_event(r->context, q->name, (int)q->type, ns_c_in,
	    ticket, resolver_unbound_cb, &id);
	if (rc != 0) {
		LIST_REMOVE(ticket, entry);
		free(ticket);
		q->ticket = NULL;
		log_warn("resolver: %s: %s", q->name, ub_strerror(rc));
		resolver_finish(q, RESOLVER_FAILED);
		return;
	}
	if (!q->done)
		return;
	/* It was answered before the call returned. */
	if (id != 0 && q->outcome != RESOLVER_FOUND)
		resolver_recall(q);
	else
		snprintf(q->server, sizeof(q->server), "%s",
		    id == 0 ? "local records" : "the cache");
}

/* Makes a context where there is none, and begins what is open with it. */
static void
resolver_prepare(struct resolver *r)
{
	struct resolver_query *q;

	if (r->context != NULL && !resolver_system_changed(r))
		return;
	resolver_context_free(r);
	memset(r->failures, 0, sizeof(r->failures));
	r->context = resolver_context_new(r);
	LIST_FOREACH(q, &r->queries, entry)
		if (!q->done)
			resolver_start(q);
}

void
resolver_flush(struct resolver *r)
{
	resolver_context_free(r);
	if (!LIST_EMPTY(&r->queries))
		resolver_prepare(r);
}

void
resolver_clear(struct resolver *r)
{
	resolver_texts_clear(&r->scope.zones);
	resolver_texts_clear(&r->scope.records);
}

void
resolver_add_zone(struct resolver *r, const char *zone)
{
	resolver_texts_add(&r->scope.zones, zone);
}

void
resolver_add_record(struct resolver *r, const char *record)
{
	resolver_texts_add(&r->scope.records, record);
}

const char *
resolver_system_server(struct resolver *r, size_t at)
{
	const struct resolver_text *t;

	resolver_prepare(r);
	t = STAILQ_FIRST(&r->scope.system);
	for (; t != NULL && at > 0; at--)
		t = STAILQ_NEXT(t, entry);
	return t != NULL ? strchr(t->text, ' ') + 1 : NULL;
}

static void
resolver_query_free(struct resolver_query *q)
{
	if (q->ticket != NULL)
		q->ticket->query = NULL;
	event_free(q->timer);
	free(q->reply);
	free(q->name);
	free(q);
}

void
resolver_free(struct resolver *r)
{
	struct resolver_query *q;

	if (r == NULL)
		return;
	while ((q = LIST_FIRST(&r->queries)) != NULL) {
		LIST_REMOVE(q, entry);
		resolver_query_free(q);
	}
	resolver_context_free(r);
	fclose(r->log);
	resolver_clear(r);
	resolver_texts_clear(&r->scope.system);
	free(r->system_path);
	free(r);
}

static void
resolver_deliver(struct resolver_query *q)
{
	struct buf servers = { 0 };
	struct resolver_result result = {
		.name = q->name,
		.type = q->type,
		.outcome = q->outcome,
		.server = q->server,
	};
	char text[1024];

	if (q->outcome == RESOLVER_FOUND) {
		result.answers = q->reply->answers;
		result.count = q->reply->count;
		result.ttl = q->reply->ttl;
	}
	if (q->outcome == RESOLVER_NO_REPLY) {
		resolver_scope_servers(&q->r->scope, q->name, &servers);
		result.server = buf_str(&servers);
	}
	resolver_describe(&result, text, sizeof(text));
	log_debug("resolver: %s", text);
	/* From here on the caller may even end the resolver. */
	LIST_REMOVE(q, entry);
	q->cb(&result, q->arg);
	buf_clear(&servers);
	resolver_query_free(q);
}

static void
resolver_timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct resolver_query *q = arg;

	(void)fd;
	(void)what;
	if (!q->done)
		q->outcome =
		    q->server[0] != '\0' ? RESOLVER_FAILED : RESOLVER_NO_REPLY;
	q->done = true;
	if (q->outcome != RESOLVER_FOUND)
		resolver_remember(q);
	resolver_deliver(q);
}

struct resolver_query *
resolver_ask(struct resolver *r, const char *name, enum resolver_type type,
    resolver_cb cb, void *arg)
{
	struct resolver_query *q = xcalloc(1, sizeof(*q));
	struct buf servers = { 0 };

	resolver_prepare(r);
	q->r = r;
	q->name = resolver_name_ascii(name);
	q->type = type;
	q->cb = cb;
	q->arg = arg;
	q->timer = evtimer_new(r->base, resolver_timer_cb, q);
	if (q->timer == NULL)
		fatalx("resolver: no timer");
	evtimer_add(q->timer, &r->deadline);
	LIST_INSERT_HEAD(&r->queries, q, entry);
	if (q->name == NULL) {
		q->name = xstrdup(name);
		resolver_finish(q, RESOLVER_BAD_NAME);
		return q;
	}
	resolver_scope_servers(&r->scope, q->name, &servers);
	if (servers.len == 0 && !resolver_scope_has_record(&r->scope, q->name))
		resolver_finish(q, RESOLVER_NO_SERVER);
	else
		resolver_start(q);
	buf_clear(&servers);
	return q;
}

void
resolver_cancel(struct resolver_query *q)
{
	if (q == NULL)
		return;
	LIST_REMOVE(q, entry);
	resolver_query_free(q);
}
