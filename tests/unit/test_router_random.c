/*
 * Random schedules over the real router, edges' uplinks and store: crashes,
 * cuts, elections, logins, messages, presence, rosters, components, all in any
 * order; and what must be true of them whatever happens (delivery(7)). It is
 * the model's checker (tests/sim/delivery_model.py) for the real code.
 *
 * Ann and bob are each other's contacts; carl and dora subscribe and cancel as
 * chance has it; dora's account may be deleted and made anew; cb1 is a
 * component, where ann has a contact.
 *
 *   ROUTER_SEEDS=n   how many schedules
 *   ROUTER_SEED=n    this one alone; a failing one is shrunk and printed
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "tests/lib/router_world.h"
#include "xmppd/router/archive.h"

#define SEEDS 4000
#define STEPS_MAX 400
#define START 5 /* steps of a calm beginning */
#define MESSAGES_MAX 400

static const char *const users[] = { "ann", "bob", "carl", "dora" };
static const char *const resources[] = { "x", "y", "z" };

#define USERS 4
#define COMPONENT USERS /* in the place of a user */
#define MORTAL 3        /* the user whose account comes and goes */
#define RESOURCES 2     /* the third is for the end of a run */

/* ---- chance ------------------------------------------------------------ */

struct chance {
	uint64_t state;
};

/* SplitMix64 */
static uint64_t
chance_next(struct chance *c)
{
	uint64_t z = c->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static unsigned
chance_below(struct chance *c, unsigned n)
{
	return (unsigned)(chance_next(c) % n);
}

/* ---- steps ------------------------------------------------------------- */

enum op {
	OP_UP,
	OP_DOWN,
	OP_MIRROR,
	OP_ACK,
	OP_COMMIT,
	OP_LINK,
	OP_MIRROR_LINK,
	OP_LOGIN,
	OP_LOGOUT,
	OP_SEND,
	OP_PRESENCE,
	OP_DIRECT,
	OP_ROSTER,
	OP_SUBSCRIBE,
	OP_ACCOUNT,
	OP_TICK,
	OP_RESET,
	OP_RESET_MIRROR,
	OP_ELECT,
	OP_CUT,
	OP_HEAL,
	OP_CRASH,
	OP_RESTART,
	OP_DEPOSE,
	OP_RUN,
	OP_COPY,
	OPS
};

static const char *const op_names[OPS] = { "up", "down", "mirror", "ack",
	"commit", "link", "mirror-link", "login", "logout", "send", "presence",
	"direct", "roster", "subscribe", "account", "tick", "reset",
	"reset-mirror", "elect", "cut", "heal", "crash", "restart", "depose",
	"run", "copy" };

/* A step and its arguments: mostly a node first. */
struct step {
	uint8_t op;
	uint8_t a, b, c, d, e, f;
};

/* A message or IQ that a client has sent. */
struct sent {
	struct client *sender;
	unsigned sender_node;
	unsigned user;
	char to[64];
	bool full, iq;
	uint64_t clock;
};

/* What the test notes of a client. */
struct notes {
	unsigned node, user;
	uint64_t taking;  /* since when messages to its bare address come */
	unsigned status;  /* of its newest presence; 0: unavailable */
	unsigned first;   /* of the newest that made it available */
	uint64_t showing; /* since when it is, as it was told itself */
	bool negative;
};

struct run {
	struct world *w;
	struct sent messages[MESSAGES_MAX];
	unsigned message_count;
	unsigned statuses, names;
	bool deleted;   /* an account was, at some time */
	char said[512]; /* the first problem; "": none */
};

static void __attribute__((format(printf, 2, 3)))
say(struct run *r, const char *fmt, ...)
{
	va_list ap;

	if (r->said[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(r->said, sizeof(r->said), fmt, ap);
	va_end(ap);
}

static struct notes *
notes_of(const struct client *c)
{
	return c->mine;
}

static const char *
full_jid(unsigned user, unsigned resource)
{
	static char full[4][64];
	static unsigned turn;
	char *out = full[turn++ % 4];

	if (user == COMPONENT)
		snprintf(out, sizeof(full[0]), "cb1." WORLD_DOMAIN);
	else
		snprintf(out, sizeof(full[0]), "%s@" WORLD_DOMAIN "/%s",
		    users[user], resources[resource]);
	return out;
}

/* A session of that address that its client can use. */
static struct client *
bound_client(struct run *r, unsigned node, unsigned user, unsigned resource)
{
	struct client *c = world_client(r->w, node, full_jid(user, resource));

	return c == NULL || c->bound == 0 ? NULL : c;
}

/* ---- what clients do --------------------------------------------------- */

static void
presence_text(struct run *r, struct client *c, unsigned kind, char out[128])
{
	struct notes *n = notes_of(c);

	n->taking = 0;
	n->negative = kind == 1;
	if (kind == 2) {
		n->status = 0;
		n->showing = 0;
		snprintf(out, 128, "<presence type='unavailable'/>");
		return;
	}
	if (n->status == 0)
		n->first = r->statuses + 1;
	n->status = ++r->statuses;
	snprintf(out, 128,
	    "<presence><status>s%u</status><priority>%d</priority></presence>",
	    n->status, n->negative ? -1 : 0);
}

static bool
take_login(struct run *r, const struct step *s)
{
	const char *full = full_jid(s->b, s->c);
	char text[128];
	struct client *c;
	if (!r->w->nodes[s->a].alive || world_client(r->w, s->a, full) != NULL)
		return false;
	c = world_login(r->w, s->a, full);
	c->mine = xcalloc(1, sizeof(struct notes));
	notes_of(c)->node = s->a;
	notes_of(c)->user = s->b;
	if (s->b == COMPONENT)
		return true;
	presence_text(r, c, 0, text);
	xasprintf(&c->greeting,
	    "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>%s%s",
	    s->c == 1 ? "<iq type='set' id='c'>"
			"<enable xmlns='urn:xmpp:carbons:2'/></iq>"
		      : "",
	    text);
	return true;
}

static bool
take_logout(struct run *r, const struct step *s)
{
	struct client *c = bound_client(r, s->a, s->b, s->c);

	if (c == NULL)
		return false;
	client_leave(c);
	return true;
}

static bool
take_presence(struct run *r, const struct step *s)
{
	struct client *c = bound_client(r, s->a, s->b, s->c);
	char text[128];

	if (c == NULL)
		return false;
	presence_text(r, c, s->d, text);
	client_say(c, text);
	return true;
}

/* d: user; e: resource + 1, or 0 for the bare address; f: an IQ. */
static bool
take_send(struct run *r, const struct step *s)
{
	struct client *c = bound_client(r, s->a, s->b, s->c);
	struct sent *m = &r->messages[r->message_count];
	char text[256], *to = m->to;

	if (c == NULL || r->message_count == MESSAGES_MAX)
		return false;
	m->sender = c;
	m->sender_node = s->a;
	m->user = s->d;
	m->full = s->e != 0;
	m->iq = s->f != 0;
	m->clock = r->w->clock;
	if (s->d == COMPONENT)
		snprintf(to, sizeof(m->to), "room@cb1." WORLD_DOMAIN);
	else if (m->full)
		snprintf(to, sizeof(m->to), "%s", full_jid(s->d, s->e - 1U));
	else
		snprintf(to, sizeof(m->to), "%s@" WORLD_DOMAIN, users[s->d]);
	if (m->iq)
		snprintf(text, sizeof(text),
		    "<iq type='get' to='%s' id='m%u'><q xmlns='x'/></iq>", to,
		    r->message_count);
	else
		snprintf(text, sizeof(text),
		    "<message to='%s' type='chat' id='m%u'><body>b</body>"
		    "</message>",
		    to, r->message_count);
	r->message_count++;
	client_say(c, text);
	return true;
}

/* Whether two of these are each other's contacts from the beginning. */
static bool
are_friends(unsigned a, unsigned b)
{
	return a == b || (a < 2 && b < 2);
}

/* d, e: to that address; f: unavailable, but not to one who is told anyway. */
static bool
take_direct(struct run *r, const struct step *s)
{
	struct client *c = bound_client(r, s->a, s->b, s->c);
	char text[256];

	if (c == NULL || notes_of(c)->status == 0)
		return false;
	if (s->f && !are_friends(s->b, s->d))
		snprintf(text, sizeof(text),
		    "<presence to='%s' type='unavailable'/>",
		    full_jid(s->d, s->e));
	else
		snprintf(text, sizeof(text),
		    "<presence to='%s'><status>s%u</status></presence>",
		    full_jid(s->d, s->e), notes_of(c)->status);
	client_say(c, text);
	return true;
}

/* d: which contact; e: remove. */
static bool
take_roster(struct run *r, const struct step *s)
{
	struct client *c = bound_client(r, s->a, s->b, s->c);
	char text[256];

	if (c == NULL)
		return false;
	snprintf(text, sizeof(text),
	    "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>"
	    "<item jid='n%u@" WORLD_DOMAIN "' name='v%u'%s/></query></iq>",
	    s->d, ++r->names, s->e ? " subscription='remove'" : "");
	client_say(c, text);
	return true;
}

/* Carl to dora, or she to him; d: the type. */
static bool
take_subscribe(struct run *r, const struct step *s)
{
	static const char *const types[] = { "subscribe", "subscribed",
		"unsubscribe", "unsubscribed" };
	struct client *c = bound_client(r, s->a, s->b, s->c);
	char text[256];

	if (c == NULL || s->b < 2 || s->b == COMPONENT)
		return false;
	snprintf(text, sizeof(text),
	    "<presence to='%s@" WORLD_DOMAIN "' type='%s'/>",
	    users[s->b == 2 ? 3 : 2], types[s->d]);
	client_say(c, text);
	return true;
}

/* a: deleted, or added. */
static bool
take_account(struct run *r, const struct step *s)
{
	struct scram_keys keys;
	struct buf b = { 0 };

	memset(&keys, 0, sizeof(keys));
	keys.version = 1;
	if (s->a)
		store_cmd_account_del(&b, users[MORTAL]);
	else
		store_cmd_account_add(&b, users[MORTAL], &keys);
	if (!world_propose(r->w, &b))
		return false;
	if (s->a != 0)
		r->deleted = true;
	return true;
}

/* An announcement, and a copy of a directory, arrive as one. */
static bool
is_part(int kind, bool mirror)
{
	if (mirror)
		return kind > 0 && kind < 4;
	return kind > UP_ANNOUNCE && kind <= UP_ANNOUNCED;
}

static bool
take_arrival(struct world *w, const struct step *s)
{
	const struct world_node *n = &w->nodes[s->a];

	if (s->op == OP_DOWN)
		return world_down(w, s->a);
	if (s->op == OP_ACK)
		return world_ack(w, s->a);
	if (s->op == OP_MIRROR) {
		if (!world_mirror(w, s->a))
			return false;
		while (is_part(world_peek(n->mirror), true))
			world_mirror(w, s->a);
		return true;
	}
	if (!world_up(w, s->a))
		return false;
	while (is_part(world_peek(n->up), false))
		world_up(w, s->a);
	return true;
}

/* As many as b says. */
static bool
take_arrivals(struct world *w, const struct step *s)
{
	bool any = false;

	for (unsigned i = 0; i < s->b && take_arrival(w, s); i++)
		any = true;
	return any;
}

static bool
take(struct run *r, const struct step *s)
{
	struct world *w = r->w;

	w->clock++;
	switch ((enum op)s->op) {
	case OP_UP:
	case OP_DOWN:
	case OP_MIRROR:
	case OP_ACK:
		return take_arrivals(w, s);
	case OP_RUN:
		return world_flow(w, s->a == w->count ? -1 : s->a);
	case OP_COPY:
		return world_copy(w, s->a);
	case OP_COMMIT:
		return world_commit(w);
	case OP_LINK:
		return world_link(w, s->a, s->b);
	case OP_MIRROR_LINK:
		return world_mirror_link(w, s->a, s->b);
	case OP_LOGIN:
		return take_login(r, s);
	case OP_LOGOUT:
		return take_logout(r, s);
	case OP_SEND:
		return take_send(r, s);
	case OP_PRESENCE:
		return take_presence(r, s);
	case OP_DIRECT:
		return take_direct(r, s);
	case OP_ROSTER:
		return take_roster(r, s);
	case OP_SUBSCRIBE:
		return take_subscribe(r, s);
	case OP_ACCOUNT:
		return take_account(r, s);
	case OP_TICK:
		return world_tick(w, 100U * s->a);
	case OP_RESET:
		return world_unlink(w, s->a);
	case OP_RESET_MIRROR:
		return world_unmirror(w, s->a);
	case OP_ELECT:
		return world_elect(w, s->a, s->b, s->c);
	case OP_CUT:
		return s->a != s->b && world_cut(w, s->a, s->b);
	case OP_HEAL:
		return world_heal(w);
	case OP_CRASH:
		return world_crash(w, s->a);
	case OP_RESTART:
		return world_restart(w, s->a);
	case OP_DEPOSE:
		return world_depose(w, s->a);
	case OPS:
		break;
	}
	return false;
}

/* ---- drawing ----------------------------------------------------------- */

/* How a schedule is: the channels of a slow node are mostly left alone; in a
 * calm one nothing crashes, but leaders change. */
struct mood {
	unsigned slow; /* as many as there are nodes: none */
	bool calm;
	unsigned flow; /* of 1000 */
};

/* One of the queues that something lies in. */
static bool
draw_arrival(struct chance *c, const struct world *w, const struct mood *mood,
    struct step *s)
{
	struct step busy[4 * WORLD_NODES];
	unsigned count = 0;

	for (uint8_t i = 0; i < w->count; i++) {
		const struct world_node *n = &w->nodes[i];
		const struct parcel_queue *queues[] = { n->up, n->down,
			n->mirror, n->acks };

		if (i == mood->slow && chance_below(c, 5) != 0)
			continue;
		for (uint8_t q = 0; q < 4; q++)
			if (world_waiting(queues[q]) > 0)
				busy[count++] =
				    (struct step){ .op = (uint8_t)(OP_UP + q),
					    .a = i };
	}
	if (count == 0)
		return false;
	*s = busy[chance_below(c, count)];
	s->b = chance_below(c, 2) == 0 ? 1 : (uint8_t)(1 + chance_below(c, 6));
	return true;
}

/* A client that is bound, as node, user, resource. */
static bool
draw_client(struct chance *chance, struct run *r, struct step *s)
{
	struct client *c, *bound[64];
	unsigned count = 0;

	TAILQ_FOREACH(c, &r->w->clients, next)
		if (c->node != NULL && c->bound != 0 && count < 64 &&
		    (s->op == OP_LOGOUT || notes_of(c)->user != COMPONENT))
			bound[count++] = c;
	if (count == 0)
		return false;
	c = bound[chance_below(chance, count)];
	s->a = (uint8_t)notes_of(c)->node;
	s->b = (uint8_t)notes_of(c)->user;
	s->c = 0;
	if (notes_of(c)->user != COMPONENT)
		s->c = (uint8_t)(strchr(c->full, '/')[1] - 'x');
	return true;
}

/* What a client does besides sending messages. */
static void
draw_other(struct chance *c, struct step *s)
{
	unsigned kind = chance_below(c, 8);

	s->op = OP_PRESENCE;
	s->d = (uint8_t)chance_below(c, 3);
	if (kind < 4)
		return;
	s->op = OP_DIRECT;
	s->d = (uint8_t)chance_below(c, USERS);
	s->e = (uint8_t)chance_below(c, RESOURCES);
	s->f = chance_below(c, 3) == 0;
	if (kind == 4)
		return;
	s->op = kind == 5 ? OP_ROSTER : OP_SUBSCRIBE;
	s->d = (uint8_t)chance_below(c, kind == 5 ? 2 : 4);
	s->e = chance_below(c, 4) == 0;
}

static void
draw_from_client(struct chance *c, struct run *r, struct step *s)
{
	if (!draw_client(c, r, s)) {
		s->op = OP_COMMIT;
		return;
	}
	if (chance_below(c, 3) == 0) {
		draw_other(c, s);
		return;
	}
	s->op = OP_SEND;
	s->d = (uint8_t)(chance_below(c, 3) == 0 ? chance_below(c, USERS + 1)
						 : chance_below(c, 2));
	s->e = (uint8_t)(chance_below(c, 2) * (1 + chance_below(c, RESOURCES)));
	if (s->d == COMPONENT)
		s->e = 0;
	s->f = s->e != 0 && chance_below(c, 5) < 2;
}

/* Mostly ann and bob, so that something comes of it. */
static void
draw_login(struct chance *c, struct step *s)
{
	s->op = OP_LOGIN;
	s->b = (uint8_t)(chance_below(c, 5) < 2 ? chance_below(c, USERS + 1)
						: chance_below(c, 2));
	s->c = (uint8_t)chance_below(c, RESOURCES);
	if (s->b == COMPONENT)
		s->c = 0;
}

/* What happens to nodes and links. The numbers are of 1000. */
static void
draw_trouble(struct chance *c, struct run *r, const struct mood *mood,
    unsigned kind, struct step *s)
{
	bool elect = mood->calm || world_leader(r->w) == NULL;

	if (kind < 940) {
		s->op = chance_below(c, 2) == 0 ? OP_RESET : OP_RESET_MIRROR;
	} else if (kind < 957 || (elect && kind < 982)) {
		s->op = OP_ELECT;
		s->b = (uint8_t)(chance_below(c, 1U << r->w->count) &
		    ~(1U << s->a));
		s->c = (uint8_t)chance_below(c, 4);
	} else if (kind < 967) {
		s->op = OP_CUT;
		s->b = (uint8_t)chance_below(c, r->w->count);
	} else if (kind < 977) {
		s->op = OP_HEAL;
	} else if (kind < 985) {
		s->op = OP_CRASH;
	} else {
		s->op = kind < 996 ? OP_RESTART : OP_DEPOSE;
	}
}

static void
draw_link(struct chance *c, struct run *r, struct step *s)
{
	const struct world_node *leader = world_leader(r->w);

	s->op = chance_below(c, 3) == 0 ? OP_MIRROR_LINK : OP_LINK;
	if (r->w->electing >= 0)
		s->op = OP_COPY;
	s->b = leader != NULL ? (uint8_t)leader->index : s->a;
}

/* One step that may be possible now. Arrivals are the most frequent, so that
 * something gets done. */
static struct step
/* NOLINTNEXTLINE(readability-function-*): a branch a kind of step */
draw(struct chance *c, struct run *r, const struct mood *mood)
{
	const unsigned nodes = r->w->count;
	struct step s = { .a = (uint8_t)chance_below(c, nodes) };
	unsigned kind = chance_below(c, 1000);

	if (s.a == mood->slow && kind < 720 && chance_below(c, 5) != 0)
		s.a = (uint8_t)((s.a + 1 + chance_below(c, nodes - 1)) % nodes);
	if (kind < mood->flow) {
		s.op = OP_RUN;
		s.a = (uint8_t)(mood->slow != nodes && chance_below(c, 3) != 0
			? mood->slow
			: chance_below(c, nodes + 1));
	} else if (kind < 550) {
		if (!draw_arrival(c, r->w, mood, &s))
			draw_link(c, r, &s);
	} else if (kind < 630) {
		s.op = OP_COMMIT;
	} else if (kind < 720) {
		draw_link(c, r, &s);
	} else if (kind < 770) {
		draw_login(c, &s);
	} else if (kind < 870) {
		draw_from_client(c, r, &s);
	} else if (kind < 885) {
		s.op = OP_LOGOUT;
		if (!draw_client(c, r, &s))
			s.op = OP_COMMIT;
	} else if (kind < 890) {
		s.op = OP_ACCOUNT;
		s.a = chance_below(c, 2) == 0;
	} else if (kind < 920) {
		s.op = OP_TICK;
		s.a = chance_below(c, 3) == 0 ? 2 : 10;
	} else {
		draw_trouble(c, r, mood, kind, &s);
	}
	return s;
}

static struct mood
draw_mood(struct chance *c, unsigned nodes)
{
	struct mood mood = { nodes, chance_below(c, 3) == 0, 10 };

	if (chance_below(c, 3) == 0)
		mood.slow = chance_below(c, nodes);
	if (chance_below(c, 2) == 0)
		mood.flow = 100;
	return mood;
}

/* Many schedules begin with some who are logged in already. */
static struct step
draw_start(struct chance *c, unsigned i, unsigned nodes)
{
	if (i == START - 1)
		return (struct step){ .op = OP_RUN, .a = (uint8_t)nodes };
	return (struct step){ .op = OP_LOGIN,
		.a = (uint8_t)chance_below(c, nodes),
		.b = (uint8_t)(i % 2 == 0 ? chance_below(c, 2)
					  : chance_below(c, USERS)),
		.c = (uint8_t)chance_below(c, RESOURCES) };
}

/* ---- what clients have seen -------------------------------------------- */

enum seen_kind { SEEN_MESSAGE, SEEN_ROW, SEEN_BOUNCE, SEEN_THERE, SEEN_GONE };

struct seen {
	enum seen_kind kind;
	unsigned number; /* of a message; a status */
	char from[64];
};

static bool
attribute(const char *text, const char *name, char out[64])
{
	const char *at = strstr(text, name);
	const char *end = strchr(text, '>');

	out[0] = '\0';
	if (at == NULL || at > end)
		return false;
	at += strlen(name);
	snprintf(out, 64, "%.*s", (int)strcspn(at, "'"), at);
	return true;
}

static bool
text_read(const char *text, struct seen *s)
{
	char type[64], id[64];
	const char *status, *next;

	memset(s, 0, sizeof(*s));
	attribute(text, " type='", type);
	attribute(text, " from='", s->from);
	if (str_starts(text, "<presence")) {
		if (type[0] != '\0' && strcmp(type, "unavailable") != 0)
			return false;
		status = strstr(text, "<status>s");
		next = strstr(text + 1, "<presence");
		if (next != NULL && status > next)
			status = NULL;
		s->kind =
		    strcmp(type, "unavailable") == 0 ? SEEN_GONE : SEEN_THERE;
		s->number = status == NULL ? 0 : (unsigned)atoi(status + 9);
		return true;
	}
	if (!attribute(text, " id='m", id))
		return false;
	s->number = (unsigned)atoi(id);
	s->kind = SEEN_MESSAGE;
	if (strcmp(type, "error") == 0)
		s->kind = SEEN_BOUNCE;
	else if (strstr(text, "<delay ") != NULL)
		s->kind = SEEN_ROW;
	return true;
}

/* The first stanza of a delivery; a component is sent several at once. */
static bool
seen_read(const struct got *g, struct seen *s)
{
	return text_read(g->text, s);
}

/* How often the client saw this of that message. */
static unsigned
seen_count(const struct client *c, enum seen_kind kind, unsigned number)
{
	const struct got *g;
	struct seen s;
	unsigned count = 0;

	TAILQ_FOREACH(g, &c->got, next)
		if (seen_read(g, &s) && s.kind == kind && s.number == number)
			count++;
	return count;
}

/* Its own presence tells a client since when it counts. */
static void
note_echo(struct client *c, const struct seen *s, uint64_t clock)
{
	struct notes *n = notes_of(c);

	if (s->kind != SEEN_THERE || strcmp(s->from, c->full) != 0)
		return;
	if (n->showing == 0 && n->status != 0 && s->number >= n->first)
		n->showing = clock;
	if (s->number == n->status && !n->negative)
		n->taking = clock;
}

/* Reads what came since the last step, and marks what came while the client
 * was taking messages to its bare address. */
static void
note_echoes(struct run *r)
{
	struct client *c;
	struct seen s;
	struct got *g;

	TAILQ_FOREACH(c, &r->w->clients, next) {
		g = TAILQ_LAST(&c->got, got_list);
		while (g != NULL && !g->read)
			g = TAILQ_PREV(g, got_list, next);
		g = g == NULL ? TAILQ_FIRST(&c->got) : TAILQ_NEXT(g, next);
		for (; g != NULL; g = TAILQ_NEXT(g, next)) {
			g->read = true;
			g->marked = notes_of(c)->taking != 0;
			if (seen_read(g, &s))
				note_echo(c, &s, g->clock);
		}
	}
}

/* ---- checks ------------------------------------------------------------ */

/* Whether a session of this user was on a node that failed: order and "not
 * both" are then not promised. */
static bool
is_touched(const struct run *r, unsigned user)
{
	const struct client *c;

	if (user == MORTAL && r->deleted)
		return true;
	TAILQ_FOREACH(c, &r->w->clients, next)
		if (notes_of(c)->user == user &&
		    r->w->nodes[notes_of(c)->node].failed)
			return true;
	return false;
}

static void
check_twice(struct run *r, const struct client *c)
{
	for (unsigned m = 0; m < r->message_count; m++)
		if (seen_count(c, SEEN_MESSAGE, m) +
			    seen_count(c, SEEN_ROW, m) +
			    seen_count(c, SEEN_BOUNCE, m) >
			1 &&
		    r->messages[m].sender != c)
			say(r, "twice: m%u to %s", m, c->full);
}

/*
 * Whether the second came too late. What was stored may come after what went to
 * the full address of a session that took no stored messages then (rule 7).
 */
static bool
is_late(const struct run *r, const struct got *g, const struct got *h)
{
	struct seen s, t;

	if (!seen_read(g, &s) || s.kind > SEEN_ROW || !seen_read(h, &t) ||
	    t.kind > SEEN_ROW || r->messages[s.number].iq ||
	    r->messages[t.number].iq)
		return false;
	return t.number < s.number &&
	    r->messages[t.number].sender == r->messages[s.number].sender &&
	    (g->marked || t.kind != SEEN_ROW);
}

static void
check_order(struct run *r, const struct client *c)
{
	const struct got *g, *h;

	if (r->w->nodes[notes_of(c)->node].failed ||
	    is_touched(r, notes_of(c)->user))
		return;
	TAILQ_FOREACH(g, &c->got, next)
		for (h = TAILQ_NEXT(g, next); h != NULL;
		     h = TAILQ_NEXT(h, next))
			if (is_late(r, g, h))
				say(r, "out of order: %s: first %s, then %s",
				    c->full, g->text, h->text);
}

/* Whether the session with this address is there and available at the end. */
static const struct client *
shown_now(const struct run *r, const char *full)
{
	const struct client *c;

	TAILQ_FOREACH(c, &r->w->clients, next)
		if (c->node != NULL && c->bound != 0 &&
		    strcmp(c->full, full) == 0 && notes_of(c)->status != 0)
			return c;
	return NULL;
}

/* What the client was last told of an address, since it is available: before,
 * nobody had to tell it anything. */
static bool
last_word(const struct client *c, const char *full, struct seen *last)
{
	const struct got *g;
	struct seen s;
	bool any = false;

	TAILQ_FOREACH(g, &c->got, next)
		for (const char *text = g->text; text != NULL;
		     text = strstr(text + 1, "<presence")) {
			if (g->clock < notes_of(c)->showing ||
			    !text_read(text, &s) || s.kind < SEEN_THERE ||
			    strcmp(s.from, full) != 0)
				continue;
			*last = s;
			any = true;
		}
	return any;
}

static bool
is_alive(const struct run *r, const char *full)
{
	const struct client *c;

	TAILQ_FOREACH(c, &r->w->clients, next)
		if (c->node != NULL && c->bound != 0 &&
		    strcmp(c->full, full) == 0)
			return true;
	return false;
}

/* The item that a user has of another, in the store. */
static bool
item_get(struct run *r, unsigned user, const char *contact,
    struct store_roster_item *item)
{
	struct store_roster roster;
	bool found = false;

	store_roster(r->w->store, users[user], &roster);
	for (size_t i = 0; i < roster.count; i++)
		if (strcmp(roster.items[i].contact, contact) == 0) {
			*item = roster.items[i];
			found = true;
		}
	store_roster_clear(&roster);
	return found;
}

/* Whether this user is shown that one's presence, in the end. */
static bool
is_shown(struct run *r, unsigned to, unsigned of)
{
	struct store_roster_item item;
	char contact[64];

	if (are_friends(to, of))
		return true;
	snprintf(contact, sizeof(contact), "%s@" WORLD_DOMAIN, users[to]);
	return item_get(r, of, contact, &item) && item.from;
}

static void
check_word(struct run *r, const struct client *c, const char *full, bool shown)
{
	const struct client *other = shown_now(r, full);
	struct seen last = { 0 };
	bool told = last_word(c, full, &last);

	if (told && last.kind == SEEN_THERE &&
	    (shown ? other == NULL : !is_alive(r, full)))
		say(r, "wrong last word: %s thinks %s is there", c->full, full);
	if (!shown || other == NULL)
		return;
	if (!told)
		say(r, "wrong last word: %s never heard of %s", c->full, full);
	else if (last.kind != SEEN_THERE ||
	    last.number != notes_of(other)->status)
		say(r, "wrong last word: %s of %s: %s s%u, not s%u", c->full,
		    full, last.kind == SEEN_GONE ? "gone" : "there",
		    last.number, notes_of(other)->status);
}

static void
check_presence(struct run *r, const struct client *c)
{
	const struct notes *n = notes_of(c);

	if (c->node == NULL || r->w->lost_directory)
		return;
	/* What a component is shown, since it has been there. */
	for (unsigned i = 0; n->user == COMPONENT && i < 3; i++)
		check_word(r, c, full_jid(0, i), true);
	if (n->status == 0)
		return;
	for (unsigned i = 0; i < USERS * 3; i++)
		check_word(
		    r, c, full_jid(i / 3, i % 3), is_shown(r, n->user, i / 3));
}

/* ---- rosters ----------------------------------------------------------- */

/* What a client knows of a contact, by the newest that it was sent: its item
 * up to the end of the start tag, or "" for none. */
static bool
known_item(const struct client *c, const char *contact, char out[256])
{
	char mark[96];
	const struct got *g;
	const char *at;
	bool asked = false;

	out[0] = '\0';
	snprintf(mark, sizeof(mark), "<item jid='%s'", contact);
	TAILQ_FOREACH(g, &c->got, next) {
		if (!str_starts(g->text, "<iq ") ||
		    strstr(g->text, "jabber:iq:roster") == NULL)
			continue;
		at = strstr(g->text, mark);
		if (strstr(g->text, " id='r'") != NULL) {
			asked = true;
			out[0] = '\0';
		}
		if (at != NULL)
			snprintf(out, 256, "%.*s", (int)strcspn(at, ">"), at);
		if (strstr(out, "'remove'") != NULL)
			out[0] = '\0';
	}
	return asked;
}

/* The same, by the store. */
static void
stored_item(struct run *r, unsigned user, const char *contact, char out[256])
{
	static const char *const names[] = { "none", "to", "from", "both" };
	struct store_roster roster;

	out[0] = '\0';
	store_roster(r->w->store, users[user], &roster);
	for (size_t i = 0; i < roster.count; i++) {
		const struct store_roster_item *k = &roster.items[i];

		if (!k->visible || strcmp(k->contact, contact) != 0)
			continue;
		snprintf(out, 256, "<item jid='%s'%s%s%s subscription='%s'%s%s",
		    contact, k->name ? " name='" : "", k->name ? k->name : "",
		    k->name ? "'" : "", names[k->to + 2 * k->from],
		    k->ask ? " ask='subscribe'" : "",
		    k->approved ? " approved='true'" : "");
	}
	store_roster_clear(&roster);
}

/* Who has asked for the roster knows it as it is. */
static void
check_roster(struct run *r, const struct client *c)
{
	static const char *const contacts[] = { "ann@" WORLD_DOMAIN,
		"bob@" WORLD_DOMAIN, "carl@" WORLD_DOMAIN, "dora@" WORLD_DOMAIN,
		"n0@" WORLD_DOMAIN, "n1@" WORLD_DOMAIN };
	char known[256], stored[256];

	if (c->node == NULL || notes_of(c)->user == COMPONENT)
		return;
	for (size_t i = 0; i < 6; i++) {
		stored_item(r, notes_of(c)->user, contacts[i], stored);
		if (known_item(c, contacts[i], known) &&
		    strcmp(known, stored) != 0)
			say(r, "wrong roster: %s knows \"%s\", not \"%s\"",
			    c->full, known, stored);
	}
}

/* Both sides of a subscription agree. */
static void
check_subscription(struct run *r)
{
	struct store_roster_item carl = { 0 }, dora = { 0 };

	item_get(r, 2, "dora@" WORLD_DOMAIN, &carl);
	item_get(r, 3, "carl@" WORLD_DOMAIN, &dora);
	/* What is asked of an account that isn't there stays asked. */
	if (r->deleted && carl.ask && !dora.pending_in)
		carl.ask = 0;
	if (carl.to != dora.from || carl.from != dora.to ||
	    carl.ask != dora.pending_in || carl.pending_in != dora.ask)
		say(r, "two minds: carl %u%u%u%u, dora %u%u%u%u", carl.to,
		    carl.from, carl.ask, carl.pending_in, dora.to, dora.from,
		    dora.ask, dora.pending_in);
}

/* ---- messages ---------------------------------------------------------- */

/* Nobody is told twice of the same end; unless those who knew of it, a
 * majority, are lost. */
static void
check_gone(struct run *r, const struct client *c)
{
	const struct got *g, *h;

	if (r->w->lost_directory)
		return;
	TAILQ_FOREACH(g, &c->got, next)
		for (h = TAILQ_NEXT(g, next);
		     g->key.kind == DKEY_GONE && h != NULL;
		     h = TAILQ_NEXT(h, next))
			if (dkey_equal(&g->key, &h->key))
				say(r, "told twice: %s: %s", c->full, g->text);
}

/*
 * Rule 9: what was unfinished when a leader began may also have reached, on a
 * node that announced late or was given up unheard, a session that had ended,
 * or one that stood in for a full address.
 */
static bool
is_late_taker(const struct run *r, const struct sent *m, const struct client *c)
{
	uint64_t late = r->w->nodes[notes_of(c)->node].late;

	return m->clock < late &&
	    ((c->ended != 0 && c->ended < late) ||
		(m->full && strcmp(m->to, c->full) != 0));
}

/* How many fates it has had: one for its own address, one for the others, one
 * for each time that it was stored, and one for an error. */
static unsigned
fates(const struct run *r, unsigned number)
{
	const struct sent *m = &r->messages[number];
	unsigned exact = 0, others = 0, rows = 0;
	const struct client *c;

	TAILQ_FOREACH(c, &r->w->clients, next) {
		if (is_late_taker(r, m, c))
			continue;
		rows += seen_count(c, SEEN_ROW, number);
		if (seen_count(c, SEEN_MESSAGE, number) == 0)
			continue;
		exact += strcmp(m->to, c->full) == 0;
		others += strcmp(m->to, c->full) != 0;
	}
	return exact + (others > 0) + rows +
	    seen_count(m->sender, SEEN_BOUNCE, number);
}

static void
check_came(struct run *r, unsigned number, bool stored)
{
	const struct sent *m = &r->messages[number];
	const struct client *c;

	if (m->full || stored || m->user == COMPONENT ||
	    (m->user == MORTAL && r->deleted))
		return;
	TAILQ_FOREACH(c, &r->w->clients, next)
		if (notes_of(c)->user == m->user && c->ended == 0 &&
		    !r->w->nodes[notes_of(c)->node].failed &&
		    notes_of(c)->taking != 0 &&
		    notes_of(c)->taking < m->clock &&
		    seen_count(c, SEEN_MESSAGE, number) == 0)
			say(r, "never came: m%u to %s", number, c->full);
}

/* The number of the message that this is a copy of (XEP-0280), or -1. */
static int
copy_of(const struct run *r, const struct got *g, const char *direction)
{
	const char *at = strstr(g->text, direction);
	char id[64], type[64];

	if (at == NULL || (at = strstr(at, "<message ")) == NULL ||
	    !attribute(at, " id='m", id) ||
	    (attribute(at, " type='", type) && strcmp(type, "error") == 0) ||
	    (unsigned)atoi(id) >= r->message_count)
		return -1;
	return atoi(id);
}

/* One that went to a full address looks for another session when that is gone;
 * one that has got a copy has it. */
static bool
was_copied(const struct run *r, unsigned number)
{
	const struct sent *m = &r->messages[number];
	const char *direction =
	    notes_of(m->sender)->user == m->user ? "<forwarded " : "<received ";
	const struct client *c;
	const struct got *g;

	TAILQ_FOREACH(c, &r->w->clients, next)
		TAILQ_FOREACH(g, &c->got, next)
			if (copy_of(r, g, direction) == (int)number)
				return true;
	return false;
}

static void
check_message(struct run *r, unsigned number)
{
	const struct sent *m = &r->messages[number];
	unsigned live = 0, rows = 0, bounced;
	const struct client *c;

	if (r->w->nodes[m->sender_node].failed ||
	    (r->deleted &&
		(m->user == MORTAL || notes_of(m->sender)->user == MORTAL)))
		return;
	TAILQ_FOREACH(c, &r->w->clients, next) {
		live += seen_count(c, SEEN_MESSAGE, number) > 0;
		rows += seen_count(c, SEEN_ROW, number);
	}
	bounced = seen_count(m->sender, SEEN_BOUNCE, number);
	/* What only an error could be said of needs somebody to say it to. */
	if (live + rows + bounced == 0 && !was_copied(r, number) &&
	    !((m->iq || m->user == COMPONENT) && m->sender->ended != 0))
		say(r, "silence: m%u", number);
	if (m->user != COMPONENT && !is_touched(r, m->user) &&
	    fates(r, number) > 1)
		say(r, "more than one fate: m%u: live %u, rows %u, bounced %u",
		    number, live, rows, bounced);
	check_came(r, number, rows > 0);
}

static void
check_rest(struct run *r)
{
	const struct world_node *leader = world_leader(r->w);
	struct router_stats stats = router_stats(leader->router);
	struct origin *origins;
	size_t count;

	if (stats.users > stats.sessions)
		say(r, "not forgotten: %zu users of %zu sessions", stats.users,
		    stats.sessions);
	if (stats.jobs != 0 || stats.deliveries != 0 || stats.rows != 0)
		say(r, "never finishes: %zu jobs, %zu deliveries, %zu rows",
		    stats.jobs, stats.deliveries, stats.rows);
	for (unsigned i = 0; i < r->w->count; i++) {
		const struct uplink *u = r->w->nodes[i].uplink;

		if (u == NULL)
			continue;
		if (uplink_unacked(u) != 0)
			say(r, "never acknowledged: %zu frames of node %u",
			    uplink_unacked(u), i);
		if (uplink_accepted(u) != 0)
			say(r, "not forgotten: %zu deliveries by node %u",
			    uplink_accepted(u), i);
	}
	count = store_origins(r->w->store, &origins);
	free(origins);
	if (count != 0)
		say(r, "not forgotten: effects of %zu origins", count);
	if (store_row_count(r->w->store) != 0)
		say(r, "never handed out: %zu rows",
		    store_row_count(r->w->store));
}

static void
check_addresses(struct run *r)
{
	const struct client *a, *b;

	TAILQ_FOREACH(a, &r->w->clients, next)
		for (b = TAILQ_NEXT(a, next); b != NULL;
		     b = TAILQ_NEXT(b, next))
			if (a->node != NULL && b->node != NULL &&
			    notes_of(a)->user != COMPONENT && a->bound != 0 &&
			    b->bound != 0 && strcmp(a->full, b->full) == 0)
				say(r, "two sessions have %s", a->full);
}

/* In the end nobody waits for a login, and of a component there is one. */
static void
check_logins(struct run *r)
{
	const struct client *c;
	unsigned components = 0;

	TAILQ_FOREACH(c, &r->w->clients, next) {
		if (c->node != NULL && c->bound == 0)
			say(r, "never logged in: %s", c->full);
		components += c->node != NULL && notes_of(c)->user == COMPONENT;
	}
	if (components > 1)
		say(r, "two of one component");
}

/* Whoever is logged in is of the account that is there; and nothing is kept of
 * those that were. */
static void
check_accounts(struct run *r)
{
	const uint64_t id = store_account(r->w->store, users[MORTAL]).id;
	const struct client *c;
	struct store_gone gone;

	TAILQ_FOREACH(c, &r->w->clients, next)
		if (c->node != NULL && c->bound != 0 &&
		    notes_of(c)->user == MORTAL && c->up.account_id != id)
			say(r, "of an older account: %s", c->full);
	if (store_gone(r->w->store, &gone, 1) == 0)
		return;
	say(r, "not forgotten: the account that %s was", gone.local);
	free(gone.local);
}

/* ---- archives and copies ----------------------------------------------- */

/* What an archive has of a message. */
struct in_archive {
	unsigned times;
	uint64_t place;
	char id[ARCHIVE_UID_TEXT];
};

static void
archive_note(
    struct run *r, struct in_archive *all, const struct archive_row *row)
{
	struct buf text = { row->stanza.data, row->stanza.len,
		row->stanza.size };
	char id[64], head[512];
	struct in_archive *m;

	snprintf(head, sizeof(head), "%.*s", (int)text.len, text.data);
	if (!attribute(head, " id='m", id) ||
	    (unsigned)atoi(id) >= r->message_count)
		return;
	m = &all[atoi(id)];
	m->times++;
	m->place = row->place;
	archive_uid_text(row->uid, m->id);
}

static void
archive_read(struct run *r, unsigned user, struct in_archive *all)
{
	struct archive a;
	struct archive_range range = { .max = 64, .max_bytes = 1 << 20 };
	struct archive_page page;

	store_archive(r->w->store, users[user], &a);
	range.first = a.first;
	range.next = a.next;
	do {
		store_archive_page(r->w->store, &a, &range, &page);
		for (size_t i = 0; i < page.count; i++)
			archive_note(r, all, &page.rows[i]);
		range.first = page.reached + 1;
		archive_page_clear(&page);
	} while (!page.whole && range.first < range.next);
}

/* What came to a session of the user bears the id that it is archived under. */
static bool
has_come(struct run *r, unsigned user, unsigned number, const char *id)
{
	const struct client *c;
	const struct got *g;
	struct seen s;
	bool come = false;

	TAILQ_FOREACH(c, &r->w->clients, next) {
		if (notes_of(c)->user != user)
			continue;
		TAILQ_FOREACH(g, &c->got, next) {
			if (!seen_read(g, &s) || s.number != number ||
			    s.kind > SEEN_ROW)
				continue;
			come = true;
			if (*id != '\0' && strstr(g->text, id) == NULL)
				say(r, "another id: m%u to %s", number,
				    c->full);
		}
	}
	return come;
}

static void
check_archived(
    struct run *r, unsigned user, unsigned number, const struct in_archive *all)
{
	const struct sent *m = &r->messages[number];
	bool own = notes_of(m->sender)->user == user;
	bool come;

	if (m->iq)
		return;
	come = m->user == user && has_come(r, user, number, all[number].id);
	if (all[number].times > 1)
		say(r, "archived twice: m%u of %s", number, users[user]);
	if ((own || come) && all[number].times == 0 &&
	    !r->w->nodes[m->sender_node].failed)
		say(r, "never archived: m%u of %s", number, users[user]);
}

/* Those of a pair are in the archive in the order that they were sent in. */
static void
check_archive_order(struct run *r, unsigned user, const struct in_archive *all)
{
	for (unsigned a = 0; a < r->message_count; a++)
		for (unsigned b = a + 1; b < r->message_count; b++)
			if (all[a].times == 1 && all[b].times == 1 &&
			    all[a].place > all[b].place &&
			    r->messages[a].sender == r->messages[b].sender &&
			    r->messages[a].user == r->messages[b].user)
				say(r, "archived out of order: m%u, m%u of %s",
				    a, b, users[user]);
}

static void
check_archives(struct run *r)
{
	struct in_archive *all = xcalloc(MESSAGES_MAX, sizeof(*all));

	for (unsigned user = 0; user < USERS; user++) {
		if (user == MORTAL)
			continue;
		memset(all, 0, MESSAGES_MAX * sizeof(*all));
		archive_read(r, user, all);
		for (unsigned m = 0; m < r->message_count; m++)
			check_archived(r, user, m, all);
		check_archive_order(r, user, all);
	}
	free(all);
}

/* Of each message a session gets itself or a copy, once. */
static void
check_copies(struct run *r, const struct client *c)
{
	unsigned *copies = xcalloc(MESSAGES_MAX, sizeof(*copies));
	const struct got *g;
	int number;

	TAILQ_FOREACH(g, &c->got, next) {
		number = copy_of(r, g, "<forwarded ");
		if (number < 0)
			continue;
		if (++copies[number] > 1)
			say(r, "copied twice: m%d to %s", number, c->full);
		if (seen_count(c, SEEN_MESSAGE, (unsigned)number) > 0)
			say(r, "copied as well: m%d to %s", number, c->full);
	}
	free(copies);
}

static void
check_all(struct run *r)
{
	const struct client *c;

	if (r->w->problem[0] != '\0')
		say(r, "%s", r->w->problem);
	check_rest(r);
	TAILQ_FOREACH(c, &r->w->clients, next) {
		check_twice(r, c);
		check_order(r, c);
		check_presence(r, c);
		check_roster(r, c);
		check_gone(r, c);
		check_copies(r, c);
	}
	check_archives(r);
	check_subscription(r);
	check_accounts(r);
	check_logins(r);
	for (unsigned m = 0; m < r->message_count; m++)
		check_message(r, m);
}

/* ---- a run ------------------------------------------------------------- */

static void
drain(struct run *r)
{
	if (!world_run(r->w))
		say(r, "does not come to rest");
	note_echoes(r);
}

static unsigned
alive_count(const struct world *w)
{
	unsigned count = 0;

	for (unsigned i = 0; i < w->count; i++)
		count += w->nodes[i].alive;
	return count;
}

static void
elect_anybody(struct world *w)
{
	for (unsigned a = 0; a < w->count; a++) {
		unsigned voters = 0;

		for (unsigned b = 0; b < w->count; b++)
			if (b != a && w->nodes[b].alive)
				voters |= 1U << b;
		if (world_leader(w) == NULL)
			world_elect(w, a, voters, 0);
	}
}

/* A session for each user that takes what is stored. */
static void
login_for_rows(struct run *r)
{
	uint8_t node = 0;

	while (!r->w->nodes[node].alive)
		node++;
	for (uint8_t user = 0; user < USERS; user++)
		take(r, &(struct step){ OP_LOGIN, node, user, 2, 0, 0, 0 });
}

/* The end of a run: everything heals, nothing new happens. */
static void
settle(struct run *r)
{
	world_heal(r->w);
	for (unsigned i = 0; i < r->w->count; i++)
		if (alive_count(r->w) <= r->w->count / 2)
			world_restart(r->w, i);
	elect_anybody(r->w);
	for (unsigned i = 0; i < 12; i++) {
		drain(r);
		world_tick(r->w, 1000);
	}
	drain(r);
	login_for_rows(r);
	for (unsigned i = 0; i < 4; i++) {
		drain(r);
		world_tick(r->w, 1000);
	}
	drain(r);
}

static void
run_begin(struct run *r, unsigned nodes)
{
	memset(r, 0, sizeof(*r));
	r->w = world_new(nodes);
	for (unsigned i = 0; i < USERS; i++)
		world_account(r->w, users[i]);
	world_befriend(r->w, users[0], users[1]);
	world_set(r->w, SHARED_ARCHIVE, "always");
	world_component(r->w, "cb1");
	world_item(r->w, users[0], "room@cb1." WORLD_DOMAIN, true, true);
}

static void
run_end(struct run *r)
{
	struct client *c;

	settle(r);
	check_all(r);
	TAILQ_FOREACH(c, &r->w->clients, next) {
		free(c->mine);
		c->mine = NULL;
	}
	world_free(r->w);
}

static bool
run_step(struct run *r, const struct step *s)
{
	bool taken = take(r, s);

	note_echoes(r);
	if (taken && (s->op == OP_DOWN || s->op == OP_TICK))
		check_addresses(r);
	return taken;
}

/* Some clusters have five nodes. */
static unsigned
nodes_of(uint64_t seed)
{
	return seed % 5 == 4 ? 5 : 3;
}

/* Plays steps; leaves in `said` what was wrong, or "". */
static void
play(uint64_t seed, const struct step *steps, unsigned count, char said[512])
{
	struct run r;

	run_begin(&r, nodes_of(seed));
	for (unsigned i = 0; i < count; i++)
		run_step(&r, &steps[i]);
	run_end(&r);
	memcpy(said, r.said, 512);
}

/* Draws a schedule and plays it; returns the steps that could be taken. */
static unsigned
make(uint64_t seed, struct step steps[STEPS_MAX], char said[512])
{
	static const unsigned lengths[] = { 30, 60, 120, 200, 400 };
	struct chance c = { seed * 0x2545f4914f6cdd1dULL + 1 };
	unsigned length = lengths[chance_below(&c, 5)], count = 0;
	unsigned start = chance_below(&c, 3) == 0 ? 0 : START;
	const unsigned nodes = nodes_of(seed);
	const struct mood mood = draw_mood(&c, nodes);
	struct run r;

	run_begin(&r, nodes);
	for (unsigned i = 0; i < length; i++) {
		steps[count] =
		    i < start ? draw_start(&c, i, nodes) : draw(&c, &r, &mood);
		if (run_step(&r, &steps[count]))
			count++;
	}
	run_end(&r);
	memcpy(said, r.said, 512);
	return count;
}

/* ---- a failing schedule ------------------------------------------------ */

/* The kind of a problem: up to its colon. */
static bool
is_same(const char *a, const char *b)
{
	size_t len = strcspn(a, ":");

	return *b != '\0' && strncmp(a, b, len) == 0;
}

/* Drops steps as long as it fails in the same way. */
static unsigned
shrink(uint64_t seed, struct step *steps, unsigned count, const char *problem)
{
	struct step less[STEPS_MAX];
	char said[512];

	for (unsigned size = count / 2; size > 0; size /= 2)
		for (unsigned at = 0; at + size <= count;) {
			memcpy(less, steps, at * sizeof(*steps));
			memcpy(less + at, steps + at + size,
			    (count - at - size) * sizeof(*steps));
			play(seed, less, count - size, said);
			if (!is_same(problem, said)) {
				at += size;
				continue;
			}
			count -= size;
			memcpy(steps, less, count * sizeof(*steps));
		}
	return count;
}

static void
show(uint64_t seed, struct step *steps, unsigned count, const char *problem)
{
	char said[512];

	fprintf(stderr, "ROUTER_SEED=%llu: %s (%u steps)\n",
	    (unsigned long long)seed, problem, count);
	if (getenv("ROUTER_SEED") == NULL)
		return;
	count = shrink(seed, steps, count, problem);
	for (unsigned i = 0; i < count; i++)
		fprintf(stderr, "  %-12s %u %u %u %u %u %u\n",
		    op_names[steps[i].op], steps[i].a, steps[i].b, steps[i].c,
		    steps[i].d, steps[i].e, steps[i].f);
	if (getenv("ROUTER_TRACE") != NULL)
		log_init("router", LOG_LEVEL_DEBUG, 1);
	play(seed, steps, count, said);
	fprintf(stderr, "%s\n", said);
}

static void
any_schedule_keeps_the_promises(void **state)
{
	const char *one = getenv("ROUTER_SEED"), *many = getenv("ROUTER_SEEDS");
	uint64_t first = one == NULL ? 0 : strtoull(one, NULL, 10);
	/* Sanitized, everything takes several times as long. */
	uint64_t usual = getenv("MMP_SANITIZED") == NULL ? SEEDS : SEEDS / 10;
	uint64_t count = many == NULL ? usual : strtoull(many, NULL, 10);
	struct step steps[STEPS_MAX];
	char said[512];
	unsigned failed = 0, made;

	(void)state;
	if (one != NULL)
		count = 1;
	for (uint64_t seed = first; seed < first + count; seed++) {
		made = make(seed, steps, said);
		if (said[0] == '\0')
			continue;
		show(seed, steps, made, said);
		failed++;
	}
	assert_int_equal(failed, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_schedule_keeps_the_promises),
	};

	log_init("test", LOG_LEVEL_ERR, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
