#ifndef TESTS_LIB_ROUTER_WORLD_H
#define TESTS_LIB_ROUTER_WORLD_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xmppd/cluster/store.h"
#include "xmppd/edge/uplink.h"
#include "xmppd/router/router.h"

/*
 * Some nodes in one process under virtual time: each with an edge (the real
 * uplink, with clients that are made of text), a directory, and a router on the
 * one that leads. What the nodes send each other lies in queues until a step
 * takes it; the log is atomic and the store is one for all, as a leader's
 * barrier would have it. Everything between two steps is atomic.
 */
#define WORLD_DOMAIN "example.org"
#define WORLD_NODES 5
#define WORLD_HOLD 3000
#define WORLD_MARGIN 1000
#define WORLD_GRACE 300

struct world;

/* What a client was sent. */
struct got {
	TAILQ_ENTRY(got) next;
	char *text;
	struct dkey key; /* what it was named by */
	uint64_t clock;
	bool read;
	bool marked; /* the test's */
};

struct client {
	TAILQ_ENTRY(client) next;
	struct uplink_session up;
	struct world *world;
	struct world_node *node; /* NULL: has ended */
	char *full, *bare;
	struct sid sid;
	uint64_t begun, bound, ended; /* world.clock; 0: not yet */
	char *kicked;                 /* stream error, with its text */
	char *refused;                /* condition of a refused bind */
	char *greeting; /* sent as soon as it is bound; NULL: nothing */
	bool greet;
	TAILQ_HEAD(got_list, got) got;
	void *mine; /* the test's */
};

TAILQ_HEAD(client_list, client);

struct parcel_queue;

struct world_node {
	struct world *world;
	unsigned index;
	bool alive;
	struct uplink *uplink;
	struct directory *directory;
	struct router *router; /* NULL: passive */
	uint64_t term;         /* of its router */
	uint64_t promised;     /* newest term it has seen; durable */
	int leader;            /* whose router its edge is linked to, or -1 */
	int mirrors;           /* whose router it mirrors, or -1 */
	struct parcel_queue *up, *down, *mirror, *acks;
	bool heard;    /* has announced to the present leader */
	bool failed;   /* its clients were not promised anything */
	bool unacked;  /* something that they sent isn't acknowledged */
	uint64_t late; /* rule 9: world.clock when a leader began that gave it
			  up, or heard it after its grace; 0: none */
};

struct world {
	unsigned count;
	struct world_node nodes[WORLD_NODES];
	bool cut[WORLD_NODES][WORLD_NODES];
	uint64_t now, clock, term, ids, index;
	char dir[64];
	struct store *store;
	struct parcel_queue *log;
	struct client_list clients;
	uint32_t window;       /* of each session: frames not acknowledged */
	const char *version;   /* of the password that logins have proved */
	struct xmlstream *xml; /* reads what clients say */
	struct client *speaking;
	int electing;          /* who is collecting copies (rule 8), or -1 */
	unsigned copies;       /* of which nodes, a mask */
	uint64_t elected;      /* when: world.now */
	uint64_t began, grace; /* the leader: world.clock; world.now */
	bool quiet;            /* applied commands reach no router */
	/* The test's own: takes a delivery (false: it is an ordinary one), and
	 * hears what was acknowledged; NULL: no. */
	bool (*word)(struct client *c, const struct down_deliver *d,
	    enum delivered *delivered);
	void (*moved)(struct client *c, uint64_t seq);
	bool lost_directory; /* some leader began without a complete one */
	char problem[512];   /* what must never happen; "": nothing has */
};

struct world *world_new(unsigned nodes);
void world_free(struct world *w);

/* ---- steps; each says whether it could be taken ------------------------ */

bool world_up(struct world *w, unsigned node);
bool world_down(struct world *w, unsigned node);
bool world_mirror(struct world *w, unsigned node);
bool world_ack(struct world *w, unsigned node);
bool world_commit(struct world *w);
bool world_link(struct world *w, unsigned node, unsigned leader);
bool world_mirror_link(struct world *w, unsigned node, unsigned leader);
bool world_unlink(struct world *w, unsigned node);
bool world_unmirror(struct world *w, unsigned node);
bool world_cut(struct world *w, unsigned a, unsigned b);
bool world_heal(struct world *w);
bool world_crash(struct world *w, unsigned node);
bool world_restart(struct world *w, unsigned node);
bool world_depose(struct world *w, unsigned node);
/* `node` wins an election with the votes of `voters` (a mask, itself not in
 * it); `survive` of the commands under way turn out to be committed. It leads
 * once it has the copies that rule 8 asks for. */
bool world_elect(
    struct world *w, unsigned node, unsigned voters, unsigned survive);
bool world_copy(struct world *w, unsigned node);
bool world_tick(struct world *w, uint64_t ms);

size_t world_waiting(const struct parcel_queue *q);
int world_peek(const struct parcel_queue *q); /* kind of the next; 0: none */

/* Everything that lies in queues arrives, links are made; time stands still.
 * False if it never comes to rest. */
bool world_run(struct world *w);
/* The same, but for one node's channels; -1: none. */
bool world_flow(struct world *w, int skip);
/* The same, and time passes. */
void world_wait(struct world *w, uint64_t ms);
struct world_node *world_leader(struct world *w); /* NULL: none */

/* ---- the store --------------------------------------------------------- */

void world_account(struct world *w, const char *local);
void world_component(struct world *w, const char *name);
/* Puts a command into the log, and clears it; false if nobody leads. */
bool world_propose(struct world *w, struct buf *command);
/* A world begins with archives off, so that messages arrive as they are. */
void world_set(struct world *w, const char *name, const char *value);
/* Applies a command at once, and clears it. */
void world_command(struct world *w, struct buf *command);
/* The item that a user has of a contact, as it comes of a frame's effect. */
void world_roster_item(
    struct world *w, const char *local, const struct store_roster_item *item);
void world_item(struct world *w, const char *local, const char *contact,
    bool to, bool from);
/* Both users see each other's presence. */
void world_befriend(struct world *w, const char *a, const char *b);

/* ---- clients ----------------------------------------------------------- */

/* Asks for a bind of a full JID at the domain, or of a component's domain. */
struct client *world_login(struct world *w, unsigned node, const char *full);
/* Says one stanza, as its edge would hand it up. */
void client_say(struct client *c, const char *stanza);
void client_leave(struct client *c);
struct client *world_client(
    struct world *w, unsigned node, const char *full); /* NULL: none */

/* The next unread stanza that the client was sent, or "". */
const char *client_next(struct client *c);
/* It was sent this. */
void client_note(struct client *c, const struct down_deliver *d);
void client_skip(struct client *c); /* all are read */

/* Logs in and runs until bound; then, with a presence, sends that, and reads
 * what came of it. */
struct client *world_join(
    struct world *w, unsigned node, const char *full, const char *presence);

/* For cmocka: the next stanza is this text; there is none. */
#define expect(c, text) assert_string_equal(client_next(c), text)
#define expect_nothing(c) assert_string_equal(client_next(c), "")

#endif
