/*
 * libraft's storage, over raft_store. Everything is done when a call returns
 * (traps 5 and 6): what the library counts for a majority, or acknowledges, is
 * on this disk, and its completion runs before any message that could change
 * the term is looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/cluster/raft_io_impl.h"

static int
io_status(int rc)
{
	return rc == RES_OK ? 0 : RAFT_IOERR;
}

static int
io_init(struct raft_io *io, raft_id id, const char *address)
{
	(void)io;
	(void)id;
	(void)address;
	return 0;
}

static int
io_bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
	struct raft_backend *b = raft_io_backend(io);
	struct raft_store_entry entry = { .term = 1, .type = RAFT_CHANGE };
	struct raft_buffer buf;
	int rv;

	if (raft_store_term(b->store) != 0 || raft_store_last(b->store) != 0)
		return RAFT_CANTBOOTSTRAP;
	rv = raft_configuration_encode(conf, &buf);
	if (rv != 0)
		return rv;
	entry.data = buf.base;
	entry.len = buf.len;
	rv = raft_store_set_term(b->store, 1);
	if (rv == RES_OK)
		rv = raft_store_append(b->store, &entry, 1);
	raft_free(buf.base);
	return io_status(rv);
}

/* For an operator whose majority is lost for good: see raft_recover(). */
static int
io_recover(struct raft_io *io, const struct raft_configuration *conf)
{
	struct raft_backend *b = raft_io_backend(io);
	struct raft_store_entry entry = { .type = RAFT_CHANGE };
	struct raft_buffer buf;
	int rv;

	rv = raft_configuration_encode(conf, &buf);
	if (rv != 0)
		return rv;
	entry.term = raft_store_term(b->store);
	entry.data = buf.base;
	entry.len = buf.len;
	rv = raft_store_append(b->store, &entry, 1);
	raft_free(buf.base);
	return io_status(rv);
}

/* A snapshot as libraft has it: all memory is its own. */
static struct raft_snapshot *
snapshot_of(const struct raft_store_marker *m)
{
	struct raft_snapshot *s = raft_calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->index = m->index;
	s->term = m->term;
	s->configuration_index = m->conf_index;
	s->n_bufs = 1;
	s->bufs = raft_calloc(1, sizeof(*s->bufs));
	if (s->bufs != NULL)
		s->bufs[0].base = raft_malloc(m->data.len);
	if (s->bufs == NULL || s->bufs[0].base == NULL ||
	    raft_codec_configuration(
		m->conf.data, m->conf.len, &s->configuration) != RES_OK) {
		if (s->bufs != NULL)
			raft_free(s->bufs[0].base);
		raft_free(s->bufs);
		raft_free(s);
		return NULL;
	}
	memcpy(s->bufs[0].base, m->data.data, m->data.len);
	s->bufs[0].len = m->data.len;
	return s;
}

static int
read_snapshot(struct raft_backend *b, struct raft_snapshot **out)
{
	struct raft_store_marker m;

	*out = NULL;
	if (raft_store_get_marker(b->store, &m) != RES_OK)
		return RAFT_IOERR;
	if (m.index != 0)
		*out = snapshot_of(&m);
	if (m.index != 0 && *out == NULL) {
		raft_store_marker_clear(&m);
		return RAFT_CORRUPT;
	}
	raft_store_marker_clear(&m);
	return 0;
}

struct loading {
	struct raft_entry *entries;
	size_t count, size;
};

static int
load_entry(void *arg, uint64_t index, const struct raft_store_entry *entry)
{
	struct loading *l = arg;
	struct raft_entry *e = &l->entries[l->count];

	(void)index;
	/* A batch of its own each: what libraft drops is freed then. */
	e->buf.base = l->count < l->size ? raft_malloc(entry->len) : NULL;
	if (e->buf.base == NULL)
		return RES_LIMIT;
	memcpy(e->buf.base, entry->data, entry->len);
	e->buf.len = entry->len;
	e->term = entry->term;
	e->type = entry->type;
	l->count++;
	return RES_OK;
}

static int
load_undo(struct loading *l, struct raft_snapshot *snapshot)
{
	for (size_t i = 0; i < l->count; i++)
		raft_free(l->entries[i].buf.base);
	raft_free(l->entries);
	if (snapshot != NULL) {
		raft_configuration_close(&snapshot->configuration);
		raft_free(snapshot->bufs[0].base);
		raft_free(snapshot->bufs);
		raft_free(snapshot);
	}
	return RAFT_IOERR;
}

static int
/* NOLINTNEXTLINE(readability-function-size): libraft gives the parameters */
io_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
    struct raft_snapshot **snapshot, raft_index *start_index,
    struct raft_entry *entries[], size_t *n_entries)
{
	struct raft_backend *b = raft_io_backend(io);
	uint64_t first = raft_store_first(b->store);
	struct loading l = { 0 };
	int rv;

	*term = raft_store_term(b->store);
	*voted_for = raft_store_vote(b->store);
	*start_index = first;
	rv = read_snapshot(b, snapshot);
	if (rv != 0)
		return rv;
	l.size = raft_store_last(b->store) + 1 - first;
	if (l.size > 0) {
		l.entries = raft_calloc(l.size, sizeof(*l.entries));
		if (l.entries == NULL)
			return RAFT_NOMEM;
		if (raft_store_each(b->store, first, load_entry, &l) != RES_OK)
			return load_undo(&l, *snapshot);
	}
	*entries = l.entries;
	*n_entries = l.count;
	return 0;
}

static int
io_set_term(struct raft_io *io, raft_term term)
{
	struct raft_backend *b = raft_io_backend(io);

	if (raft_store_set_term(b->store, term) != RES_OK)
		return RAFT_IOERR;
	b->hooks.term(b->hooks.arg, term);
	return 0;
}

static int
io_set_vote(struct raft_io *io, raft_id id)
{
	return io_status(raft_store_set_vote(raft_io_backend(io)->store, id));
}

/*
 * Traps 5 and 6: what libraft counts for a majority, or acknowledges, is on
 * this disk when this returns; and the completion runs before any message that
 * could change the term is looked at.
 */
static int
io_append(struct raft_io *io, struct raft_io_append *req,
    const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
	struct raft_backend *b = raft_io_backend(io);
	struct raft_store_entry *copies = xcalloc(n, sizeof(*copies));
	int rc;

	for (unsigned i = 0; i < n; i++)
		copies[i] = (struct raft_store_entry){ .term = entries[i].term,
			.type = entries[i].type,
			.data = entries[i].buf.base,
			.len = entries[i].buf.len };
	rc = raft_store_append(b->store, copies, n);
	free(copies);
	if (rc != RES_OK)
		return RAFT_IOERR;
	raft_io_complete(b, DONE_APPEND, req, (raft_io_cb)cb, 0);
	return 0;
}

static int
io_truncate(struct raft_io *io, raft_index index)
{
	struct raft_backend *b = raft_io_backend(io);

	if (raft_store_truncate(b->store, index) != RES_OK)
		return RAFT_IOERR;
	b->hooks.truncated(b->hooks.arg);
	return 0;
}

static int
io_snapshot_put(struct raft_io *io, unsigned trailing,
    struct raft_io_snapshot_put *req, const struct raft_snapshot *snapshot,
    raft_io_snapshot_put_cb cb)
{
	struct raft_backend *b = raft_io_backend(io);
	struct raft_store_marker m = { .index = snapshot->index,
		.term = snapshot->term,
		.conf_index = snapshot->configuration_index };
	struct raft_buffer conf;
	int rc;

	if (raft_configuration_encode(&snapshot->configuration, &conf) != 0)
		return RAFT_NOMEM;
	buf_add(&m.conf, conf.base, conf.len);
	raft_free(conf.base);
	for (unsigned i = 0; i < snapshot->n_bufs; i++)
		buf_add(&m.data, snapshot->bufs[i].base, snapshot->bufs[i].len);
	rc = raft_store_put_marker(b->store, &m, trailing);
	raft_store_marker_clear(&m);
	if (rc != RES_OK)
		return RAFT_IOERR;
	raft_io_complete(b, DONE_PUT, req, (raft_io_cb)cb, 0);
	return 0;
}

static int
io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
    raft_io_snapshot_get_cb cb)
{
	struct raft_backend *b = raft_io_backend(io);
	struct raft_snapshot *snapshot;
	int rv = read_snapshot(b, &snapshot);

	if (rv == 0 && snapshot == NULL)
		rv = RAFT_NOTFOUND;
	raft_io_complete(b, DONE_GET, req, (raft_io_cb)cb, rv)->snapshot =
	    snapshot;
	return 0;
}

void
raft_disk_set(struct raft_io *io)
{
	io->init = io_init;
	io->load = io_load;
	io->bootstrap = io_bootstrap;
	io->recover = io_recover;
	io->set_term = io_set_term;
	io->set_vote = io_set_vote;
	io->append = io_append;
	io->truncate = io_truncate;
	io->snapshot_put = io_snapshot_put;
	io->snapshot_get = io_snapshot_get;
}
