/*
 * A copy of the state on its way to a member that lags.
 *
 *   sender:   dial -> OFFER -> HAVE(offset) -> DATA... -> DONE(code) -> done
 *   receiver: OFFER -> HAVE(what is there of it) -> DATA... -> whole, digest
 *             right -> DONE -> copy()
 *
 * Failures: a lost connection is dialled again and goes on where the receiver
 * stands; after a while without progress done(RES_UNREACHABLE). A copy with
 * another digest begins anew.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/conn.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/peer_impl.h"

#define CHUNK (64U << 10)
#define WINDOW (512U << 10) /* bytes that wait to be written */
#define STALL_MS 20000
#define COPY_MAX (1ULL << 40)
#define PEER_COPY_PREFIX "incoming-"

enum copy_frame {
	COPY_OFFER = 1, /* index, size, sha256 */
	COPY_HAVE,      /* offset */
	COPY_DATA,      /* bytes */
	COPY_DONE       /* -code */
};

struct peer_copy {
	TAILQ_ENTRY(peer_copy) entry;
	struct peers *peers;
	uint32_t node;
	int fd;
	uint64_t index, size, offset;
	uint8_t sha256[32];
	struct event *timer; /* no progress, or it has ended */
	bool sending;        /* HAVE has come on the present line */
	int code;            /* with which it ends */
	void (*done)(void *arg, int code);
	void *arg;
};

struct peer_coming {
	TAILQ_ENTRY(peer_coming) entry;
	uint32_t node;
	uint64_t serial; /* of its line; 0: that is lost */
	uint64_t index, size, offset;
	uint8_t sha256[32];
	struct crypto_digest *digest; /* of what has come so far */
	int fd;
	char *path;
};

/* ---- out ---------------------------------------------------------------- */

static void
copy_free(struct peer_copy *c)
{
	struct peer *peer = peers_find(c->peers, c->node);
	struct peer_line *l = line_find(c->peers, c->node, PEER_COPY, true);

	if (peer != NULL && peer->copy == c) {
		peer->copy = NULL;
		if (l != NULL)
			line_drop(l);
	}
	TAILQ_REMOVE(&c->peers->copies, c, entry);
	event_free(c->timer);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static void
copy_end(struct peer_copy *c, int code)
{
	void (*done)(void *arg, int code) = c->done;
	void *arg = c->arg;

	copy_free(c);
	done(arg, code);
}

static void
copy_timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct peer_copy *c = arg;

	(void)fd, (void)what;
	copy_end(c, c->code);
}

static void
copy_wait(struct peer_copy *c, int code, unsigned ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	c->code = code;
	event_add(c->timer, &tv);
}

void
/* NOLINTNEXTLINE(readability-function-size): a copy has so many parts */
peers_send_copy(struct peers *p, uint32_t node, const char *path,
    uint64_t index, const uint8_t sha256[32], void (*done)(void *arg, int code),
    void *arg)
{
	struct peer_copy *c = xcalloc(1, sizeof(*c));
	struct peer *peer = peers_find(p, node);
	struct stat st;

	c->peers = p;
	c->node = node;
	c->index = index;
	c->done = done;
	c->arg = arg;
	memcpy(c->sha256, sha256, sizeof(c->sha256));
	c->timer = evtimer_new(p->base, copy_timer_cb, c);
	TAILQ_INSERT_TAIL(&p->copies, c, entry);
	c->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (peer == NULL) {
		copy_wait(c, RES_NOT_FOUND, 0);
	} else if (peer->copy != NULL) {
		copy_wait(c, RES_EXISTS, 0); /* one is on its way */
	} else if (c->fd < 0 || fstat(c->fd, &st) != 0) {
		copy_wait(c, RES_IO, 0);
	} else {
		c->size = (uint64_t)st.st_size;
		peer->copy = c;
		copy_wait(c, RES_UNREACHABLE, STALL_MS);
		peers_schedule(p);
	}
}

/* As much as the window takes. */
static void
copy_go_on(struct peer_copy *c, struct peer_line *l)
{
	uint8_t chunk[1 + CHUNK];
	ssize_t n;

	while (c->sending && c->offset < c->size &&
	    conn_pending(l->conn) < WINDOW) {
		n = pread(c->fd, chunk + 1, CHUNK, (off_t)c->offset);
		if (n <= 0) {
			c->sending = false;
			copy_wait(c, RES_IO, 0);
			return;
		}
		chunk[0] = COPY_DATA;
		line_send(l, chunk, (size_t)n + 1);
		c->offset += (uint64_t)n;
	}
}

static struct peer_copy *
copy_of(const struct peer_line *l)
{
	const struct peer *peer = peers_find(l->peers, l->node);

	return peer == NULL ? NULL : peer->copy;
}

void
peer_copy_up(struct peer_line *l)
{
	struct peer_copy *c = copy_of(l);
	struct buf b = { 0 };

	if (!l->dialled)
		return;
	if (c == NULL) {
		line_drop(l);
		return;
	}
	c->sending = false;
	buf_add_u8(&b, COPY_OFFER);
	buf_add_u64(&b, c->index);
	buf_add_u64(&b, c->size);
	buf_add(&b, c->sha256, sizeof(c->sha256));
	line_send(l, b.data, b.len);
	buf_clear(&b);
}

void
peer_copy_drained(struct peer_line *l)
{
	struct peer_copy *c = copy_of(l);

	if (!l->dialled || c == NULL || !c->sending)
		return;
	copy_wait(c, RES_UNREACHABLE, STALL_MS);
	copy_go_on(c, l);
}

static int
out_message(struct peer_line *l, struct cursor *in)
{
	struct peer_copy *c = copy_of(l);
	uint8_t kind = cursor_u8(in);
	uint64_t value = kind == COPY_HAVE ? cursor_u64(in) : cursor_u8(in);

	if (!cursor_done(in) || c == NULL)
		return RES_INVALID;
	if (kind == COPY_HAVE && value <= c->size && !c->sending) {
		c->offset = value;
		c->sending = true;
		copy_wait(c, RES_UNREACHABLE, STALL_MS);
		copy_go_on(c, l);
		return RES_OK;
	}
	if (kind != COPY_DONE)
		return RES_INVALID;
	c->sending = false;
	copy_wait(c, -(int)value, 0);
	return RES_OK;
}

void
peer_copy_forget(struct peer *peer)
{
	if (peer->copy == NULL)
		return;
	peer->copy->sending = false;
	copy_wait(peer->copy, RES_NOT_FOUND, 0);
	peer->copy = NULL;
}

/* ---- in ----------------------------------------------------------------- */

static struct peer_coming *
coming_find(const struct peers *p, uint32_t node)
{
	struct peer_coming *in;

	TAILQ_FOREACH(in, &p->comings, entry)
		if (in->node == node)
			return in;
	return NULL;
}

uint64_t
peer_coming_offset(const struct peer_coming *in)
{
	return in->offset;
}

static void
coming_free(struct peers *p, struct peer_coming *in)
{
	TAILQ_REMOVE(&p->comings, in, entry);
	if (in->fd >= 0)
		close(in->fd);
	if (in->path != NULL)
		unlink(in->path);
	if (in->digest != NULL)
		crypto_digest_end(in->digest, NULL);
	free(in->path);
	free(in);
}

static void
send_code(struct peer_line *l, int code)
{
	uint8_t msg[2] = { COPY_DONE, (uint8_t)-code };

	line_send(l, msg, sizeof(msg));
}

static void
send_have(struct peer_line *l, uint64_t offset)
{
	struct buf b = { 0 };

	buf_add_u8(&b, COPY_HAVE);
	buf_add_u64(&b, offset);
	line_send(l, b.data, b.len);
	buf_clear(&b);
}

/* A whole file: given away if it is what was offered. */
static int
coming_end(struct peer_line *l, struct peer_coming *in)
{
	struct peers *p = l->peers;
	uint8_t sha256[32];
	uint64_t index = in->index;
	char *path = in->path;
	int code = RES_OK;

	crypto_digest_end(in->digest, sha256);
	in->digest = NULL;
	if (memcmp(sha256, in->sha256, sizeof(sha256)) != 0)
		code = RES_INVALID;
	send_code(l, code);
	if (code == RES_OK)
		in->path = NULL;
	coming_free(p, in);
	if (code != RES_OK) {
		log_warn("cluster: %s: the copy of the state is damaged",
		    l->address);
		return RES_OK;
	}
	p->cb.copy(p->cb.arg, l->node, path, index);
	free(path);
	return RES_OK;
}

static struct peer_coming *
coming_new(struct peers *p, uint32_t node)
{
	struct peer_coming *in = xcalloc(1, sizeof(*in));

	in->node = node;
	in->digest = crypto_digest_new();
	/* Never the name of one that was given away and is being installed. */
	xasprintf(&in->path, "%s/" PEER_COPY_PREFIX "%u-%llu", p->dir, node,
	    (unsigned long long)++p->serial);
	in->fd = open(in->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	TAILQ_INSERT_TAIL(&p->comings, in, entry);
	return in;
}

static int
take_offer(struct peer_line *l, struct cursor *msg)
{
	struct peers *p = l->peers;
	struct peer_coming *in = coming_find(p, l->node);
	uint64_t index = cursor_u64(msg), size = cursor_u64(msg);
	const uint8_t *sha256 = cursor_bytes(msg, 32);

	if (!cursor_done(msg) || size == 0 || size > COPY_MAX)
		return RES_INVALID;
	if (in != NULL && memcmp(in->sha256, sha256, 32) != 0) {
		coming_free(p, in);
		in = NULL;
	}
	if (p->dir == NULL) {
		send_code(l, RES_STATE);
		return RES_OK;
	}
	if (in == NULL)
		in = coming_new(p, l->node);
	in->serial = l->serial;
	in->index = index;
	in->size = size;
	memcpy(in->sha256, sha256, 32);
	if (in->fd < 0) {
		log_warn("cluster: %s: %s", in->path, strerror(errno));
		send_code(l, RES_IO);
		coming_free(p, in);
		return RES_OK;
	}
	send_have(l, in->offset);
	return RES_OK;
}

static int
take_data(struct peer_line *l, struct cursor *msg)
{
	struct peer_coming *in = coming_find(l->peers, l->node);
	size_t len = cursor_left(msg);

	/* What is still under way after an error was told. */
	if (in == NULL || in->serial != l->serial)
		return RES_OK;
	if (len > in->size - in->offset)
		return RES_INVALID;
	if (pwrite(in->fd, msg->p, len, (off_t)in->offset) != (ssize_t)len) {
		log_warn("cluster: %s: %s", in->path, strerror(errno));
		send_code(l, RES_IO);
		coming_free(l->peers, in);
		return RES_OK;
	}
	crypto_digest_add(in->digest, msg->p, len);
	in->offset += len;
	return in->offset == in->size ? coming_end(l, in) : RES_OK;
}

/* ---- both --------------------------------------------------------------- */

int
peer_copy_message(struct peer_line *l, const uint8_t *msg, size_t len)
{
	struct cursor c;

	cursor_init(&c, msg, len);
	if (l->dialled)
		return out_message(l, &c);
	switch (cursor_u8(&c)) {
	case COPY_OFFER:
		return take_offer(l, &c);
	case COPY_DATA:
		return take_data(l, &c);
	default:
		return RES_INVALID;
	}
}

void
peer_copy_gone(struct peer_line *l, const char *why)
{
	struct peer_copy *c = copy_of(l);

	(void)why;
	if (l->dialled && c != NULL)
		c->sending = false;
	/* What has come so far is kept, for the next attempt. */
}

void
peer_copy_set_dir(struct peers *p)
{
	DIR *dir = p->dir == NULL ? NULL : opendir(p->dir);
	struct dirent *de;

	while (dir != NULL && (de = readdir(dir)) != NULL)
		if (str_starts(de->d_name, PEER_COPY_PREFIX))
			unlinkat(dirfd(dir), de->d_name, 0);
	if (dir != NULL)
		closedir(dir);
}

void
peer_copy_clear(struct peers *p)
{
	struct peer_copy *c;

	while ((c = TAILQ_FIRST(&p->copies)) != NULL)
		copy_end(c, RES_UNREACHABLE);
	while (!TAILQ_EMPTY(&p->comings))
		coming_free(p, TAILQ_FIRST(&p->comings));
}
