/*
 * An edge and its thread.
 *
 *   main loop -> host.post -> host.inbox -> the edge
 *     link messages, the link's coming and going, and calls: a function that
 *     runs on the edge's thread, with its arguments behind it
 *   the edge -> host.up -> the mailbox of the main loop (links.c)
 *
 * An edge on the main loop has the same boxes; there nothing waits for anybody.
 */
#include "xmppd/edge_host.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/mailbox.h"
#include "xmppd/worker.h"

/* ---- calls ------------------------------------------------------------- */

void
host_call(struct host *h, host_call_fn fn, const void *data, size_t len)
{
	uint8_t msg[sizeof(fn) + CALL_MAX];
	const struct mail mail = {
		.what = MAIL_CALL, .msg = msg, .len = sizeof(fn) + len
	};

	if (sizeof(fn) + len > sizeof(msg))
		fatalx("edge: too long a call");
	memcpy(msg, &fn, sizeof(fn));
	if (len > 0)
		memcpy(msg + sizeof(fn), data, len);
	mail_write(h->post, &mail);
}

static void
host_called(struct host *h, const struct mail *mail)
{
	union {
		uint8_t bytes[CALL_MAX];
		max_align_t align;
	} data;
	host_call_fn fn;

	memcpy(&fn, mail->msg, sizeof(fn));
	memcpy(data.bytes, (const uint8_t *)mail->msg + sizeof(fn),
	    mail->len - sizeof(fn));
	fn(h, data.bytes);
}

/* ---- the edge's surroundings ------------------------------------------- */

static void
send_up(struct host *h, enum local_mail what, const void *msg, size_t len)
{
	const struct mail mail = { .what = what,
		.edge = h->number,
		.of = h->opening,
		.msg = msg,
		.len = len };

	mail_write(h->up, &mail);
}

static void
env_up(void *arg, const void *msg, size_t len)
{
	send_up(arg, MAIL_UP, msg, len);
}

static void
env_unlink(void *arg)
{
	struct host *h = arg;

	send_up(h, MAIL_UNLINK, NULL, 0);
	h->opening = 0;
}

/* What the main loop may look at. */
void
host_publish(struct host *h)
{
	const struct edge_stats stats = edge_stats(h->edge);

	atomic_store(&h->has_leader, edge_has_leader(h->edge));
	atomic_store(&h->connections, stats.connections);
	atomic_store(&h->sessions, stats.sessions);
	atomic_store(&h->components, stats.components);
	atomic_store(&h->unacked, stats.unacked);
	atomic_store(&h->accepted, stats.accepted);
	atomic_store(&h->taken, h->had);
}

static void
env_ticked(void *arg)
{
	struct host *h = arg;

	if (h->edge != NULL)
		host_publish(h);
}

/* ---- passwords, derived from by the worker ----------------------------- */

struct derivation {
	struct host *host;
	char *password;
	struct scram_keys keys;
	void (*done)(void *arg, const struct scram_keys *derived);
	void *arg;
};

void
local_edges_unref(struct local_edges *le)
{
	if (atomic_fetch_sub(&le->references, 1) == 1)
		free(le);
}

static void
derive_work(void *arg)
{
	struct derivation *d = arg;
	struct scram_keys params = d->keys;

	scram_derive_as(d->password, &params, &d->keys);
}

static void
derivation_finish(struct derivation *d)
{
	d->done(d->arg, &d->keys);
	crypto_wipe(&d->keys, sizeof(d->keys));
	crypto_wipe_free(d->password);
	free(d);
}

static void
call_derived(struct host *h, const void *data)
{
	struct derivation *d;

	(void)h;
	memcpy(&d, data, sizeof(d));
	derivation_finish(d);
}

/* On the main loop. With the edge its sessions have gone, and nobody waits. */
static void
derive_done(void *arg)
{
	struct derivation *d = arg;
	struct local_edges *le = d->host->all;

	if (le->closed)
		derivation_finish(d);
	else
		host_call(d->host, call_derived, &d, sizeof(d));
	local_edges_unref(le);
}

static void
env_derive(void *arg, const char *password, const struct scram_keys *params,
    void (*done)(void *done_arg, const struct scram_keys *derived),
    void *done_arg)
{
	struct host *h = arg;
	struct derivation *d = xcalloc(1, sizeof(*d));

	d->host = h;
	d->password = xstrdup(password);
	d->keys = *params;
	d->done = done;
	d->arg = done_arg;
	atomic_fetch_add(&h->all->references, 1);
	worker_run(h->all->worker, derive_work, derive_done, d);
}

/* ---- mail -------------------------------------------------------------- */

/* What can't be a router's ends the link. */
static void
take_down(struct host *h, const struct mail *mail)
{
	static const uint8_t malformed = 1;

	if (mail->of != h->opening ||
	    edge_down(h->edge, mail->msg, mail->len) != RES_INVALID)
		return;
	edge_link_down(h->edge);
	send_up(h, MAIL_UNLINK, &malformed, sizeof(malformed));
	h->opening = 0;
}

static void
take_link_up(struct host *h, const struct mail *mail)
{
	uint64_t term;

	memcpy(&term, mail->msg, sizeof(term));
	h->opening = mail->of;
	edge_link_up(h->edge, term);
}

static void
take_mail(struct host *h, const struct mail *mail)
{
	switch ((enum host_mail)mail->what) {
	case MAIL_DOWN:
		take_down(h, mail);
		break;
	case MAIL_LINK_UP:
		take_link_up(h, mail);
		break;
	case MAIL_LINK_DOWN:
		h->opening = 0;
		edge_link_down(h->edge);
		break;
	case MAIL_CALL:
		host_called(h, mail);
		break;
	}
}

static void
arrived_cb(void *arg)
{
	struct host *h = arg;
	struct mail mail;

	/* Rule 12 of delivery(7): what the node has seen, not what it had when
	 * this mail was sent. */
	edge_set_term(h->edge, atomic_load(&h->all->term));
	while (mailbox_next(h->inbox, &mail))
		take_mail(h, &mail);
	host_publish(h);
}

/* ---- life -------------------------------------------------------------- */

static void
host_end(struct host *h)
{
	edge_free(h->edge);
	SSL_CTX_free(h->tls);
}

static void *
host_main(void *arg)
{
	struct host *h = arg;

	event_base_loop(h->base, EVLOOP_NO_EXIT_ON_EMPTY);
	host_end(h);
	return NULL;
}

static void
call_stop(struct host *h, const void *data)
{
	(void)data;
	event_base_loopbreak(h->base);
}

/* A loop that is touched by one thread only. */
static struct event_base *
base_new(void)
{
	struct event_config *cfg = event_config_new();
	struct event_base *base;

	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (base == NULL)
		fatalx("edge: no event base");
	return base;
}

void
host_start(struct host *h, const struct local_edges_config *cfg)
{
	struct local_edges *le = h->all;
	struct edge_config edge = cfg->edge;
	const struct edge_env env = { .arg = h,
		.up = env_up,
		.unlink = env_unlink,
		.derive = env_derive,
		.ticked = env_ticked };

	edge.edge = h->number;
	edge.edges = le->count;
	h->base = le->threaded ? base_new() : le->base;
	h->inbox = mailbox_new(h->base, arrived_cb, h);
	h->post = mail_writer_new(h->inbox, le->base);
	h->up = mail_writer_new(cfg->up, h->base);
	h->edge = edge_new(h->base, &edge, &env);
	host_publish(h);
	if (le->threaded && pthread_create(&h->thread, NULL, host_main, h) != 0)
		fatalx("edge: no thread");
}

/* An edge on the main loop: what it has been sent so far. */
void
host_read_now(struct host *h)
{
	mail_flush(h->post);
	mailbox_read(h->inbox);
}

void
host_stop(struct host *h)
{
	bool threaded = h->all->threaded;

	if (threaded) {
		host_call(h, call_stop, NULL, 0);
		mail_flush(h->post);
		pthread_join(h->thread, NULL);
	} else {
		host_read_now(h);
		host_end(h);
	}
	mail_writer_free(h->up);
	mail_writer_free(h->post);
	mailbox_free(h->inbox);
	if (threaded)
		event_base_free(h->base);
}
