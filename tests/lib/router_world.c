/*
 * Nodes, queues, time and clients for the router's tests.
 */
#include "tests/lib/router_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/result.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "common/xmlstream.h"

/* A message on its way, and the term of its sender's router. */
struct parcel {
	TAILQ_ENTRY(parcel) next;
	uint64_t term;
	size_t len;
	uint8_t data[];
};

struct parcel_queue {
	TAILQ_HEAD(, parcel) list;
	size_t count;
};

/* ---- queues ------------------------------------------------------------ */

static struct parcel_queue *
queue_new(void)
{
	struct parcel_queue *q = xcalloc(1, sizeof(*q));

	TAILQ_INIT(&q->list);
	return q;
}

static void
queue_put(struct parcel_queue *q, uint64_t term, const void *data, size_t len)
{
	struct parcel *p = xmalloc(sizeof(*p) + len);

	p->term = term;
	p->len = len;
	memcpy(p->data, data, len);
	TAILQ_INSERT_TAIL(&q->list, p, next);
	q->count++;
}

/* The caller frees. */
static struct parcel *
queue_take(struct parcel_queue *q)
{
	struct parcel *p = TAILQ_FIRST(&q->list);

	if (p == NULL)
		return NULL;
	TAILQ_REMOVE(&q->list, p, next);
	q->count--;
	return p;
}

static void
queue_empty(struct parcel_queue *q)
{
	struct parcel *p;

	while ((p = queue_take(q)) != NULL)
		free(p);
}

static void
queue_free(struct parcel_queue *q)
{
	queue_empty(q);
	free(q);
}

size_t
world_waiting(const struct parcel_queue *q)
{
	return q->count;
}

int
world_peek(const struct parcel_queue *q)
{
	const struct parcel *p = TAILQ_FIRST(&q->list);

	return p == NULL ? 0 : p->data[0];
}

static void
problem(struct world *w, const char *what)
{
	if (w->problem[0] == '\0')
		snprintf(w->problem, sizeof(w->problem), "%s", what);
}

/* Nodes are numbered from 0 here and from 1 everywhere else. */
static struct world_node *
node_of(struct world *w, uint32_t id)
{
	return &w->nodes[id - 1];
}

/* ---- links ------------------------------------------------------------- */

static bool
reach(const struct world *w, unsigned a, unsigned b)
{
	return w->nodes[a].alive && w->nodes[b].alive && !w->cut[a][b];
}

static void
link_break(struct world_node *n, bool tell_edge)
{
	struct world_node *leader;

	if (n->leader < 0)
		return;
	leader = &n->world->nodes[n->leader];
	n->leader = -1;
	queue_empty(n->up);
	queue_empty(n->down);
	if (leader->router != NULL)
		router_link_down(
		    leader->router, n->index + 1, 0, n->world->now);
	if (tell_edge && n->uplink != NULL)
		uplink_down(n->uplink);
}

static void
mirror_break(struct world_node *n)
{
	struct world_node *leader;

	if (n->mirrors < 0)
		return;
	leader = &n->world->nodes[n->mirrors];
	n->mirrors = -1;
	queue_empty(n->mirror);
	queue_empty(n->acks);
	if (leader->router != NULL)
		router_mirror_down(leader->router, n->index + 1);
}

bool
world_unlink(struct world *w, unsigned node)
{
	bool linked = w->nodes[node].leader >= 0;

	link_break(&w->nodes[node], true);
	return linked;
}

bool
world_unmirror(struct world *w, unsigned node)
{
	bool mirrored = w->nodes[node].mirrors >= 0;

	mirror_break(&w->nodes[node]);
	return mirrored;
}

bool
world_link(struct world *w, unsigned node, unsigned leader)
{
	struct world_node *n = &w->nodes[node], *l = &w->nodes[leader];

	if (l->router == NULL || n->leader >= 0 || !reach(w, node, leader) ||
	    l->term < n->promised || !router_takes_links(l->router))
		return false;
	n->leader = (int)leader;
	router_link_up(l->router, node + 1, 0, w->now);
	uplink_up(n->uplink, l->term, w->now);
	return true;
}

bool
world_mirror_link(struct world *w, unsigned node, unsigned leader)
{
	struct world_node *n = &w->nodes[node], *l = &w->nodes[leader];

	if (node == leader || l->router == NULL || n->mirrors >= 0 ||
	    n->router != NULL || l->term < n->promised ||
	    !reach(w, node, leader))
		return false;
	n->mirrors = (int)leader;
	router_mirror_up(l->router, node + 1, w->now);
	return true;
}

/* ---- the router's surroundings ----------------------------------------- */

static void
down_cb(void *arg, uint32_t node, uint32_t edge, const void *msg, size_t len)
{
	struct world_node *leader = arg, *n = node_of(leader->world, node);

	if (edge != 0 || n->leader != (int)leader->index)
		problem(leader->world, "sends down to an edge without a link");
	else
		queue_put(n->down, leader->term, msg, len);
}

static void
mirror_cb(void *arg, uint32_t node, const void *msg, size_t len)
{
	struct world_node *leader = arg, *n = node_of(leader->world, node);

	if (n->mirrors != (int)leader->index)
		problem(leader->world, "mirrors to a node without a link");
	else
		queue_put(n->mirror, leader->term, msg, len);
}

static void
propose_cb(void *arg, const void *command, size_t len)
{
	struct world_node *leader = arg;

	if (leader->term == leader->world->term)
		queue_put(leader->world->log, leader->term, command, len);
}

static uint64_t
random_cb(void *arg)
{
	const struct world_node *n = arg;

	n->world->ids++;
	return n->world->ids;
}

static void
derive_cb(void *arg, const char *password, struct scram_keys *out)
{
	(void)arg;
	memset(out, 0, sizeof(*out));
	out->version = strlen(password);
}

static int64_t
unix_time_cb(void *arg)
{
	const struct world_node *n = arg;

	return 1700000000 + (int64_t)(n->world->now / 1000);
}

static int64_t
unix_ms_cb(void *arg)
{
	const struct world_node *n = arg;

	return INT64_C(1700000000000) + (int64_t)n->world->now;
}

static void
applied_cb(void *arg, const struct store_event *event)
{
	struct world *w = arg;

	for (unsigned i = 0; i < w->count && !w->quiet; i++)
		if (w->nodes[i].router != NULL && w->nodes[i].term == w->term)
			router_applied(w->nodes[i].router, event, w->now);
}

static void
replaced_cb(void *arg)
{
	problem(arg, "the store was replaced");
}

static void
failed_cb(void *arg, const char *why)
{
	problem(arg, why);
}

static void
apply(struct world *w, const void *command, size_t len)
{
	const struct store_proposal p = { 0, 0, command, len };
	struct buf entry = { 0 };

	store_entry_add(&entry, &p);
	store_apply(w->store, ++w->index, entry.data, entry.len);
	buf_clear(&entry);
}

bool
world_commit(struct world *w)
{
	struct world_node *leader = world_leader(w);
	struct parcel *p;
	unsigned others = 0;

	for (unsigned i = 0; leader != NULL && i < w->count; i++)
		others += reach(w, leader->index, i);
	if (leader == NULL || others <= w->count / 2)
		return false;
	p = queue_take(w->log);
	if (p == NULL)
		return false;
	if (p->term == w->term)
		apply(w, p->data, p->len);
	free(p);
	return true;
}

struct world_node *
world_leader(struct world *w)
{
	for (unsigned i = 0; i < w->count; i++)
		if (w->nodes[i].router != NULL && w->nodes[i].term == w->term)
			return &w->nodes[i];
	return NULL;
}

/* ---- messages arrive --------------------------------------------------- */

static void
greet(struct world *w)
{
	struct client *c;

	TAILQ_FOREACH(c, &w->clients, next) {
		if (!c->greet)
			continue;
		c->greet = false;
		client_say(c, c->greeting);
	}
}

bool
world_up(struct world *w, unsigned node)
{
	struct world_node *n = &w->nodes[node];
	struct parcel *p;

	if (n->leader < 0 || !reach(w, node, (unsigned)n->leader))
		return false;
	p = queue_take(n->up);
	if (p == NULL)
		return false;
	n->heard |= p->data[0] == UP_ANNOUNCED;
	if (router_up(w->nodes[n->leader].router, node + 1, 0, p->data, p->len,
		w->now) != RES_OK)
		link_break(n, true);
	free(p);
	return true;
}

bool
world_down(struct world *w, unsigned node)
{
	struct world_node *n = &w->nodes[node];
	struct parcel *p;
	int rv;

	if (n->leader < 0 || !reach(w, node, (unsigned)n->leader))
		return false;
	p = queue_take(n->down);
	if (p == NULL)
		return false;
	n->unacked = uplink_unacked(n->uplink) > 0;
	rv = uplink_receive(n->uplink, p->data, p->len, w->now);
	if (rv == RES_INVALID) {
		problem(w, "an edge refuses what a router sends");
		link_break(n, true);
	}
	free(p);
	greet(w);
	return true;
}

bool
world_mirror(struct world *w, unsigned node)
{
	struct world_node *n = &w->nodes[node];
	struct parcel *p;
	uint64_t seq;
	int rv;

	if (n->mirrors < 0 || !reach(w, node, (unsigned)n->mirrors))
		return false;
	p = queue_take(n->mirror);
	if (p == NULL)
		return false;
	rv = directory_mirror(n->directory, n->promised, p->data, p->len, &seq);
	if (rv == RES_INVALID)
		problem(w, "a passive router refuses an event");
	if (rv != RES_OK) {
		mirror_break(n);
	} else {
		if (p->term > n->promised)
			n->promised = p->term;
		if (seq != 0)
			queue_put(n->acks, p->term, &seq, sizeof(seq));
	}
	free(p);
	return true;
}

bool
world_ack(struct world *w, unsigned node)
{
	struct world_node *n = &w->nodes[node];
	struct parcel *p;
	uint64_t seq;

	if (n->mirrors < 0 || !reach(w, node, (unsigned)n->mirrors))
		return false;
	p = queue_take(n->acks);
	if (p == NULL)
		return false;
	memcpy(&seq, p->data, sizeof(seq));
	router_mirror_ack(w->nodes[n->mirrors].router, node + 1, seq, w->now);
	if (w->grace == 0 && router_takes_links(w->nodes[n->mirrors].router))
		w->grace = w->now;
	free(p);
	return true;
}

/* ---- edges and clients ------------------------------------------------- */

static struct client *
client_of(struct uplink_session *s)
{
	return (struct client *)((char *)s - offsetof(struct client, up));
}

void
client_note(struct client *c, const struct down_deliver *d)
{
	struct got *g = xcalloc(1, sizeof(*g));

	g->text = xstrndup(d->payload.data, d->payload.len);
	g->key = d->id.key;
	g->clock = c->world->clock;
	TAILQ_INSERT_TAIL(&c->got, g, next);
}

static void
client_ended(struct client *c)
{
	c->ended = c->world->clock;
	c->node = NULL;
	c->greet = false;
}

static enum delivered
deliver_cb(void *arg, struct uplink_session *s, const struct down_deliver *d)
{
	struct client *c = client_of(s);
	enum delivered delivered;

	(void)arg;
	if (c->world->word != NULL && c->world->word(c, d, &delivered))
		return delivered;
	if (d->kind == DELIVER_BOUND) {
		if (c->bound == 0)
			c->greet = c->greeting != NULL;
		c->bound = c->world->clock;
	} else if (d->kind == DELIVER_REFUSED) {
		c->refused = text_dup(d->payload);
		client_ended(c);
	} else {
		client_note(c, d);
	}
	return DELIVERED;
}

void
client_leave(struct client *c)
{
	struct uplink *u = c->node->uplink;

	client_ended(c);
	uplink_end(u, &c->up);
}

static void
kick_cb(void *arg, struct uplink_session *s, const struct down_kick *kick)
{
	struct client *c = client_of(s);
	struct buf b = { 0 };

	(void)arg;
	buf_add(&b, kick->condition.data, kick->condition.len);
	if (kick->text.data != NULL) {
		buf_add_str(&b, ": ");
		buf_add(&b, kick->text.data, kick->text.len);
	}
	c->kicked = buf_steal_str(&b);
	client_leave(c);
}

static void
moved_cb(void *arg, struct uplink_session *s, uint64_t seq)
{
	struct client *c = client_of(s);

	(void)arg;
	if (c->world->moved != NULL)
		c->world->moved(c, seq);
}

static void
answer_cb(void *arg, void *owner, int code, struct text data)
{
	(void)arg;
	(void)owner;
	(void)code;
	(void)data;
}

static void
up_cb(void *arg, const void *msg, size_t len)
{
	struct world_node *n = arg;

	if (n->leader < 0)
		problem(n->world, "an edge sends without a link");
	else
		queue_put(n->up, 0, msg, len);
}

static void
expired_cb(void *arg)
{
	struct world_node *n = arg;
	struct client *c;

	if (n->unacked || uplink_sessions(n->uplink) > 0)
		n->failed = true;
	TAILQ_FOREACH(c, &n->world->clients, next)
		if (c->node == n)
			client_leave(c);
}

static void
unlink_cb(void *arg)
{
	link_break(arg, false);
}

static void
edge_start(struct world_node *n)
{
	const struct uplink_config cfg = { .node = n->index + 1,
		.edge = 0,
		.edges = 1,
		.hold_ms = WORLD_HOLD,
		.window = 1000,
		.first_id = n->world->ids + 1,
		.incarnation = n->world->ids + 2 };
	const struct uplink_ops ops = { .arg = n,
		.up = up_cb,
		.deliver = deliver_cb,
		.kick = kick_cb,
		.moved = moved_cb,
		.answer = answer_cb,
		.expired = expired_cb,
		.unlink = unlink_cb,
		.random = random_cb };

	n->world->ids += 1000;
	n->uplink = uplink_new(&cfg, &ops, n->world->now);
}

struct client *
world_client(struct world *w, unsigned node, const char *full)
{
	struct client *c;

	TAILQ_FOREACH(c, &w->clients, next)
		if (c->node == &w->nodes[node] && strcmp(c->full, full) == 0)
			return c;
	return NULL;
}

struct client *
world_login(struct world *w, unsigned node, const char *full)
{
	struct client *c = xcalloc(1, sizeof(*c));
	bool component = strchr(full, '@') == NULL;

	c->world = w;
	c->node = &w->nodes[node];
	c->full = xstrdup(full);
	c->bare = xstrndup(full, strcspn(full, "/"));
	c->begun = w->clock;
	c->up.full = xstrdup(full);
	c->up.account = component ? NULL : xstrdup(w->version);
	TAILQ_INIT(&c->got);
	TAILQ_INSERT_TAIL(&w->clients, c, next);
	uplink_begin(c->node->uplink, &c->up,
	    component ? SESSION_COMPONENT : SESSION_CLIENT, w->window);
	c->sid = c->up.sid;
	return c;
}

static void
client_free(struct client *c)
{
	struct got *g;

	while ((g = TAILQ_FIRST(&c->got)) != NULL) {
		TAILQ_REMOVE(&c->got, g, next);
		free(g->text);
		free(g);
	}
	free(c->full);
	free(c->bare);
	free(c->kicked);
	free(c->refused);
	free(c->greeting);
	free(c);
}

const char *
client_next(struct client *c)
{
	struct got *g;

	TAILQ_FOREACH(g, &c->got, next) {
		if (g->read)
			continue;
		g->read = true;
		return g->text;
	}
	return "";
}

void
client_skip(struct client *c)
{
	while (*client_next(c) != '\0')
		;
}

/* ---- what clients say -------------------------------------------------- */

static const struct {
	const char *name;
	enum stanza_type type;
} types[] = {
	{ "normal", TYPE_NORMAL },
	{ "chat", TYPE_CHAT },
	{ "groupchat", TYPE_GROUPCHAT },
	{ "headline", TYPE_HEADLINE },
	{ "error", TYPE_ERROR },
	{ "unavailable", TYPE_UNAVAILABLE },
	{ "subscribe", TYPE_SUBSCRIBE },
	{ "subscribed", TYPE_SUBSCRIBED },
	{ "unsubscribe", TYPE_UNSUBSCRIBE },
	{ "unsubscribed", TYPE_UNSUBSCRIBED },
	{ "probe", TYPE_PROBE },
	{ "get", TYPE_GET },
	{ "set", TYPE_SET },
	{ "result", TYPE_RESULT },
};

static enum stanza_type
type_of(const char *name)
{
	if (name == NULL)
		return TYPE_NONE;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].name, name) == 0)
			return types[i].type;
	return TYPE_INVALID;
}

static enum frame_kind
kind_of(const char *name)
{
	if (name[0] == 'i')
		return FRAME_IQ;
	return name[0] == 'm' ? FRAME_MESSAGE : FRAME_PRESENCE;
}

static void
open_cb(void *arg, const struct xml_open *open)
{
	(void)arg;
	(void)open;
}

static void
stanza_cb(void *arg, const struct xml_stanza *x)
{
	struct client *c = ((struct world *)arg)->speaking;
	const char *from = c->up.kind == SESSION_CLIENT ? c->full : x->from;
	struct up_frame f = { .kind = (uint8_t)kind_of(x->name),
		.type = (uint8_t)type_of(x->type) };
	struct buf payload = { 0 }, child = { 0 };
	const char *to = x->to;

	if (to == NULL && f.kind != FRAME_PRESENCE) {
		to = c->bare;
		f.flags |= FRAME_NO_TO;
	}
	xml_stanza_write(&payload, x, from, to, NULL);
	f.to = text_of(to);
	f.from = text_of(from);
	f.id = text_of(x->id);
	if (x->child != NULL) {
		buf_addf(&child, "{%s}%s", x->child_ns, x->child);
		f.child = text_of(buf_str(&child));
	}
	f.marks = x->marks;
	f.payload = text_of(buf_str(&payload));
	uplink_send(c->node->uplink, &c->up, &f);
	buf_clear(&payload);
	buf_clear(&child);
}

static void
close_cb(void *arg)
{
	(void)arg;
}

static void
error_cb(void *arg, enum stream_error error, const char *text)
{
	(void)error;
	problem(arg, text == NULL ? "a test's stanza is malformed" : text);
}

static void
xml_start(struct world *w)
{
	static const char header[] =
	    "<stream:stream xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAM
	    "' version='1.0'>";
	static const struct xml_limits limits = { 1 << 20, 20, 20 };
	static const struct xmlstream_ops ops = { open_cb, stanza_cb, close_cb,
		error_cb, NULL };

	w->xml = xmlstream_new(&limits, &ops, w);
	xmlstream_feed(w->xml, (const uint8_t *)header, strlen(header));
}

void
client_say(struct client *c, const char *stanza)
{
	c->world->speaking = c;
	xmlstream_feed(c->world->xml, (const uint8_t *)stanza, strlen(stanza));
}

/* ---- nodes ------------------------------------------------------------- */

static void
router_stop(struct world_node *n)
{
	struct world *w = n->world;
	struct router *r = n->router;

	if (r == NULL)
		return;
	n->router = NULL;
	for (unsigned i = 0; i < w->count; i++) {
		if (w->nodes[i].leader == (int)n->index)
			link_break(&w->nodes[i], true);
		if (w->nodes[i].mirrors == (int)n->index)
			mirror_break(&w->nodes[i]);
	}
	router_free(r);
}

bool
world_depose(struct world *w, unsigned node)
{
	bool led = w->nodes[node].router != NULL;

	router_stop(&w->nodes[node]);
	if (w->electing != (int)node)
		return led;
	w->electing = -1;
	return true;
}

bool
world_crash(struct world *w, unsigned node)
{
	struct world_node *n = &w->nodes[node];
	struct client *c;

	if (!n->alive)
		return false;
	world_depose(w, node);
	w->copies &= ~(1U << node);
	link_break(n, true);
	mirror_break(n);
	TAILQ_FOREACH(c, &w->clients, next)
		if (c->node == n)
			client_leave(c);
	uplink_free(n->uplink);
	directory_free(n->directory);
	n->uplink = NULL;
	n->directory = NULL;
	n->alive = false;
	n->failed = true;
	return true;
}

bool
world_restart(struct world *w, unsigned node)
{
	struct world_node *n = &w->nodes[node];

	if (n->alive)
		return false;
	n->alive = true;
	n->directory = directory_new();
	edge_start(n);
	return true;
}

bool
world_cut(struct world *w, unsigned a, unsigned b)
{
	bool was = w->cut[a][b];

	w->cut[a][b] = w->cut[b][a] = true;
	return !was;
}

bool
world_heal(struct world *w)
{
	bool any = false;

	for (unsigned a = 0; a < w->count; a++)
		for (unsigned b = 0; b < w->count; b++)
			any |= w->cut[a][b];
	memset(w->cut, 0, sizeof(w->cut));
	return any;
}

/* ---- elections --------------------------------------------------------- */

static bool
is_newer(const struct directory_state *a, const struct directory_state *b)
{
	if (a->term != b->term)
		return a->term > b->term;
	return a->seq > b->seq;
}

static unsigned
complete_copies(const struct world *w)
{
	unsigned count = 0;

	for (unsigned i = 0; i < w->count; i++)
		count += (w->copies & (1U << i)) != 0 &&
		    directory_state(w->nodes[i].directory).complete;
	return count;
}

/* Rule 8: the newest of the complete copies, if these are a majority's; else
 * the newest of all. */
static struct directory *
newest_copy(const struct world *w, bool complete)
{
	struct directory *best = NULL;
	struct directory_state a, b = { 0 };

	for (unsigned i = 0; i < w->count; i++) {
		if (!(w->copies & (1U << i)))
			continue;
		a = directory_state(w->nodes[i].directory);
		if (complete && !a.complete)
			continue;
		if (best != NULL)
			b = directory_state(best);
		if (best == NULL || is_newer(&a, &b))
			best = w->nodes[i].directory;
	}
	return best;
}

static void
merge(struct world *w, struct world_node *leader, bool complete)
{
	struct directory *best = newest_copy(w, complete);
	struct buf copy = { 0 };

	if (best == leader->directory)
		return;
	directory_encode(best, &copy);
	if (directory_decode(leader->directory, copy.data, copy.len) != 0)
		problem(w, "a directory can't be read");
	buf_clear(&copy);
}

static void
router_start(struct world_node *n, bool complete)
{
	static const uint32_t all[WORLD_NODES] = { 1, 2, 3, 4, 5 };
	const struct router_config cfg = { .node = n->index + 1,
		.term = n->world->term,
		.domain = WORLD_DOMAIN,
		.version = "1.0",
		.hold_ms = WORLD_HOLD,
		.margin_ms = WORLD_MARGIN,
		.grace_ms = WORLD_GRACE,
		.voters = all,
		.voter_count = n->world->count };
	const struct router_env env = { .arg = n,
		.down = down_cb,
		.mirror = mirror_cb,
		.propose = propose_cb,
		.unix_time = unix_time_cb,
		.derive = derive_cb,
		.unix_ms = unix_ms_cb,
		.store = n->world->store };

	n->term = n->world->term;
	n->router =
	    router_new(&cfg, &env, n->directory, complete, n->world->now);
	n->world->began = n->world->clock;
	n->world->grace = 0;
	n->world->lost_directory |= !complete;
	for (unsigned i = 0; i < n->world->count; i++)
		n->world->nodes[i].heard = false;
}

/* Rule 8: enough copies are there, or those of all whose hold is not over. */
static bool
may_begin(const struct world *w)
{
	if (complete_copies(w) > w->count / 2)
		return true;
	return w->copies == (1U << w->count) - 1 ||
	    w->now - w->elected >= WORLD_HOLD + WORLD_MARGIN;
}

static bool
try_begin(struct world *w)
{
	bool complete = complete_copies(w) > w->count / 2;
	struct world_node *leader;

	if (w->electing < 0 || !may_begin(w))
		return false;
	leader = &w->nodes[w->electing];
	w->electing = -1;
	merge(w, leader, complete);
	router_start(leader, complete);
	return true;
}

/* The one that was elected fetches a copy; a copy promises its term. */
bool
world_copy(struct world *w, unsigned node)
{
	struct world_node *n = &w->nodes[node];

	if (w->electing < 0 || (w->copies & (1U << node)) != 0 ||
	    !reach(w, (unsigned)w->electing, node))
		return false;
	w->copies |= 1U << node;
	n->promised = w->term;
	mirror_break(n);
	link_break(n, true);
	uplink_set_term(n->uplink, w->term);
	try_begin(w);
	return true;
}

static bool
may_elect(const struct world *w, unsigned node, unsigned voters)
{
	unsigned votes = 1;

	if (!w->nodes[node].alive || (voters & (1U << node)) != 0)
		return false;
	for (unsigned i = 0; i < w->count; i++) {
		if (!(voters & (1U << i)))
			continue;
		if (!reach(w, node, i))
			return false;
		votes++;
	}
	return votes > w->count / 2;
}

/* What is in the log of those who vote is committed, the rest is gone. */
static void
log_survive(struct world *w, unsigned survive)
{
	struct parcel *p;

	w->quiet = true;
	while ((p = queue_take(w->log)) != NULL) {
		if (p->term == w->term && survive > 0) {
			apply(w, p->data, p->len);
			survive--;
		}
		free(p);
	}
	w->quiet = false;
}

bool
world_elect(struct world *w, unsigned node, unsigned voters, unsigned survive)
{
	if (!may_elect(w, node, voters))
		return false;
	log_survive(w, survive);
	for (unsigned i = 0; i < w->count; i++)
		router_stop(&w->nodes[i]);
	w->term++;
	w->electing = (int)node;
	w->elected = w->now;
	w->copies = 0;
	for (unsigned i = 0; i < w->count; i++)
		if (((voters | 1U << node) & (1U << i)) != 0)
			world_copy(w, i);
	return true;
}

/* ---- time -------------------------------------------------------------- */

/* Rule 9: who has not announced when grace is over, or is given up. */
static void
note_late(struct world *w)
{
	struct world_node *leader = world_leader(w);

	if (leader == NULL)
		return;
	if (w->grace == 0 || w->now - w->grace < WORLD_GRACE)
		return;
	for (unsigned i = 0; i < w->count; i++)
		if (!w->nodes[i].heard && w->nodes[i].late < w->began)
			w->nodes[i].late = w->began;
}

bool
world_tick(struct world *w, uint64_t ms)
{
	w->now += ms;
	for (unsigned i = 0; i < w->count; i++) {
		struct world_node *n = &w->nodes[i];

		if (!n->alive)
			continue;
		n->unacked = uplink_unacked(n->uplink) > 0;
		uplink_tick(n->uplink, w->now);
	}
	try_begin(w);
	for (unsigned i = 0; i < w->count; i++)
		if (w->nodes[i].router != NULL)
			router_tick(w->nodes[i].router, w->now);
	note_late(w);
	return true;
}

static bool
run_links(struct world *w, int skip)
{
	struct world_node *leader;
	bool moved = false;

	for (unsigned i = 0; i < w->count; i++)
		moved |= (int)i != skip && world_copy(w, i);
	leader = world_leader(w);
	for (unsigned i = 0; leader != NULL && i < w->count; i++) {
		if ((int)i == skip)
			continue;
		moved |= world_mirror_link(w, i, leader->index);
		moved |= world_link(w, i, leader->index);
	}
	return moved;
}

static bool
run_channels(struct world *w, int skip)
{
	bool moved = false;

	for (unsigned i = 0; i < w->count; i++) {
		if ((int)i == skip)
			continue;
		while (world_up(w, i) || world_mirror(w, i))
			moved = true;
		while (world_down(w, i) || world_ack(w, i))
			moved = true;
	}
	while (world_commit(w))
		moved = true;
	return moved;
}

bool
world_flow(struct world *w, int skip)
{
	bool moved = true;

	for (unsigned turn = 0; moved && turn < 3000; turn++) {
		w->clock++;
		moved = run_links(w, skip);
		moved |= run_channels(w, skip);
	}
	return !moved;
}

bool
world_run(struct world *w)
{
	return world_flow(w, -1);
}

void
world_wait(struct world *w, uint64_t ms)
{
	world_run(w);
	for (; ms > 100; ms -= 100) {
		world_tick(w, 100);
		world_run(w);
	}
	world_tick(w, ms);
	world_run(w);
}

/* ---- the store --------------------------------------------------------- */

bool
world_propose(struct world *w, struct buf *command)
{
	struct world_node *leader = world_leader(w);

	if (leader != NULL)
		propose_cb(leader, command->data, command->len);
	buf_clear(command);
	return leader != NULL;
}

void
world_command(struct world *w, struct buf *command)
{
	apply(w, command->data, command->len);
	buf_clear(command);
}

void
world_account(struct world *w, const char *local)
{
	struct scram_keys keys;
	struct buf b = { 0 };

	memset(&keys, 0, sizeof(keys));
	keys.version = 1;
	store_cmd_account_add(&b, local, &keys);
	world_command(w, &b);
}

void
world_component(struct world *w, const char *name)
{
	struct buf b = { 0 };

	store_cmd_component_add(&b, name, "secret", false);
	world_command(w, &b);
}

void
world_roster_item(
    struct world *w, const char *local, const struct store_roster_item *item)
{
	struct store_op op = { .op = EFFECT_ROSTER, .item = *item };
	struct store_effect effect = { .origin = { 9, 9, 9 },
		.num = ++w->ids,
		.low = w->ids + 1,
		.ops = &op,
		.count = 1 };
	struct buf command = { 0 };

	op.user = xstrdup(local);
	store_cmd_effect(&command, &effect);
	world_command(w, &command);
	free(op.user);
}

void
world_item(
    struct world *w, const char *local, const char *contact, bool to, bool from)
{
	struct store_roster_item item = {
		.to = to, .from = from, .visible = 1
	};

	item.contact = xstrdup(contact);
	world_roster_item(w, local, &item);
	store_roster_item_clear(&item);
}

void
world_befriend(struct world *w, const char *a, const char *b)
{
	char contact[64];

	snprintf(contact, sizeof(contact), "%s@" WORLD_DOMAIN, b);
	world_item(w, a, contact, true, true);
	snprintf(contact, sizeof(contact), "%s@" WORLD_DOMAIN, a);
	world_item(w, b, contact, true, true);
}

/* ---- the world --------------------------------------------------------- */

static void
node_init(struct world *w, unsigned index)
{
	struct world_node *n = &w->nodes[index];

	n->world = w;
	n->index = index;
	n->alive = true;
	n->leader = n->mirrors = -1;
	n->up = queue_new();
	n->down = queue_new();
	n->mirror = queue_new();
	n->acks = queue_new();
	n->directory = directory_new();
	directory_set_complete(n->directory);
	edge_start(n);
}

/* Nothing here has to outlive the test: a folder in memory, if there is one. */
static void
store_start(struct world *w)
{
	const struct store_callbacks cb = { applied_cb, replaced_cb, failed_cb,
		w };
	struct error e;

	snprintf(w->dir, sizeof(w->dir), "%s/router.XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(w->dir) == NULL)
		fatal("mkdtemp");
	w->store = store_open(w->dir, NULL, &cb, &e);
	if (w->store == NULL)
		fatalx("store: %s", e.text);
}

void
world_set(struct world *w, const char *name, const char *value)
{
	struct buf b = { 0 };

	store_cmd_setting(&b, name, value);
	world_command(w, &b);
}

struct world *
world_new(unsigned nodes)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct buf setting = { 0 };
	unsigned voters = 0;

	w->count = nodes;
	w->now = 1000000;
	w->version = "1";
	w->window = 500;
	w->electing = -1;
	TAILQ_INIT(&w->clients);
	w->log = queue_new();
	store_start(w);
	store_cmd_setting(&setting, "domain", WORLD_DOMAIN);
	world_command(w, &setting);
	world_set(w, SHARED_ARCHIVE, "never");
	xml_start(w);
	for (unsigned i = 0; i < nodes; i++)
		node_init(w, i);
	for (unsigned i = 1; i <= nodes / 2; i++)
		voters |= 1U << i;
	world_elect(w, 0, voters, 0);
	return w;
}

static void
store_stop(struct world *w)
{
	static const char *const files[] = { "state.db", "state.db-wal",
		"state.db-shm" };
	char path[128];

	store_close(w->store);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", w->dir, files[i]);
		unlink(path);
	}
	rmdir(w->dir);
}

void
world_free(struct world *w)
{
	struct world_node *n;
	struct client *c;

	for (unsigned i = 0; i < w->count; i++)
		world_crash(w, i);
	for (unsigned i = 0; i < w->count; i++) {
		n = &w->nodes[i];
		queue_free(n->up);
		queue_free(n->down);
		queue_free(n->mirror);
		queue_free(n->acks);
	}
	while ((c = TAILQ_FIRST(&w->clients)) != NULL) {
		TAILQ_REMOVE(&w->clients, c, next);
		client_free(c);
	}
	queue_free(w->log);
	xmlstream_free(w->xml);
	store_stop(w);
	free(w);
}

struct client *
world_join(
    struct world *w, unsigned node, const char *full, const char *presence)
{
	struct client *c = world_login(w, node, full);

	world_run(w);
	if (presence == NULL)
		return c;
	client_say(c, presence);
	world_run(w);
	client_skip(c);
	return c;
}
