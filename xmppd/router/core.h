#ifndef XMPPD_ROUTER_CORE_H
#define XMPPD_ROUTER_CORE_H

#include <sys/queue.h>

#include "common/map.h"
#include "common/stanza.h"
#include "xmppd/router/directory.h"
#include "xmppd/router/router.h"

/*
 * What the files of the router share. What happens is this:
 *
 *   a frame from an edge becomes a job (job.c), which takes its steps
 *     (login.c, message.c, presence.c, subscribe.c, iq.c) until all that
 *     came of it is done: deliveries accepted by edges, a command applied by
 *     the store, an event at a majority; then it is acknowledged
 *   a job that cannot go on waits on a list and is woken when what it waits
 *     for may have changed; nobody looks through all jobs or sessions
 *   a delivery (delivery.c) is in its edge's outbox until accepted
 *
 * Entry points (router.h) note what happened, and then run what was woken;
 * so no step is ever taken inside another.
 */

struct archiving;
struct copied_ids;
struct greeting;
struct handed;
struct job;
struct plan;
struct prefs;
struct roster;
struct login;
struct user;
struct origin_state;

TAILQ_HEAD(job_list, job);
TAILQ_HEAD(delivery_list, delivery);
TAILQ_HEAD(login_list, login);

/* ---- addresses --------------------------------------------------------- */

enum address_kind {
	ADDRESS_SERVER,    /* a domain that is served itself */
	ADDRESS_USER,      /* somebody at it */
	ADDRESS_COMPONENT, /* a component's domain, and all at it */
	ADDRESS_FOREIGN,   /* any other domain */
};

/* A prepared JID in parts, borrowed; what it hasn't is absent. */
struct address {
	uint8_t kind; /* enum address_kind */
	struct text full, bare, domain, resource;
	struct text local; /* of a user: its account in the store */
};

/* ---- edges and incarnations -------------------------------------------- */

/* An edge of some node, as the router sees it. */
struct edge_state {
	struct {
		uint32_t node, edge;
	} id;           /* key of router.edges */
	bool up;        /* there is a link */
	bool ready;     /* and the edge has announced on it */
	bool announced; /* in this term, on any link */
	bool dead;      /* given up: its hold is over */
	uint64_t heard; /* rule 11: arrival of the newest message */
	struct origin_state *origin; /* its incarnation, once announced */
	struct announcement *announcing;
	struct delivery_list outbox; /* not accepted yet, in order */
	struct login_list sessions;
	TAILQ_ENTRY(edge_state) next;
};

/* What a number of an incarnation stands for. */
struct slot {
	struct job *job;
	bool finished; /* to be acknowledged again if sent again */
};

/* An incarnation of an edge: a numbering of frames. */
struct origin_state {
	struct origin id; /* key of router.origins */
	bool live;        /* announced, and has not ended */
	bool ended;
	uint64_t low;       /* lowest number that its edge has not seen acked */
	size_t busy;        /* unfinished jobs */
	uint64_t pruned;    /* low that the store was last told */
	struct slot *slots; /* [low, low + size), at number & (size - 1) */
	size_t size;
	struct reports *reports; /* NULL: none */
	TAILQ_ENTRY(origin_state) next;
};

/* ---- sessions and users ------------------------------------------------ */

enum login_state {
	SESSION_EXPECTED, /* announced; its bind will be sent again */
	SESSION_WAITING,  /* its bind has come; the address isn't free yet */
	SESSION_BINDING,  /* in the directory, not at a majority yet */
	SESSION_BOUND,    /* rule 8: counts */
	SESSION_ENDING,   /* others are being told that it is gone */
};

/* Waits until an event is at a majority. */
struct mirror_wait {
	TAILQ_ENTRY(mirror_wait) next;
	uint64_t seq; /* 0: isn't waiting */
	struct job *job;
	struct login *session; /* if no job */
};

struct login {
	struct sid sid; /* key of router.sessions */
	uint8_t kind;   /* enum session_kind */
	uint8_t state;  /* enum login_state */
	bool told;      /* its edge has taken the bind result */
	bool shown;     /* in its edge's newest announcement */
	bool refused;   /* its edge says that it is gone; the unbind follows */
	uint8_t wants;  /* enum session_want */
	bool former;    /* its account was deleted */
	bool away;      /* has no connection now (XEP-0198) */
	bool checked;   /* it was not, as far as this leader has asked */
	int8_t priority;
	uint64_t account;       /* its account's id; a component's: 0 */
	uint64_t roster;        /* version that it is told of; 0: isn't known */
	struct bytes *presence; /* at a majority; NULL: unavailable */
	char *full;             /* from BINDING on */
	struct entry *entry;    /* from BINDING until all know of its end */
	struct edge_state *edge;
	struct user *user;       /* from WAITING on */
	struct job *bind;        /* its unfinished bind */
	const char *kick;        /* condition that it was kicked with */
	uint64_t kicked;         /* when */
	struct job *leaving;     /* its unavailable presence, being told */
	struct job_list waiters; /* for being bound, or gone */
	struct delivery_list deliveries; /* to it, not accepted yet */
	struct mirror_wait mirror;
	size_t ending;    /* how many have yet to take its end */
	struct dkey gone; /* the name of that */
	struct bytes *farewell;
	struct greeting *greeting; /* of a component; NULL: none */
	struct caps *caps;         /* what its client wants; NULL: nothing */
	bool caps_read, caps_asked;
	TAILQ_ENTRY(login) of_caps;
	bool moving;       /* to another edge: takes no deliveries yet */
	struct sid came;   /* as it was announced first: up_session.came */
	struct job *heir;  /* whose connection wants it; NULL: none does */
	struct job *yield; /* that holds its state; NULL: none */
	uint64_t back;     /* the event that moved it back */
	TAILQ_ENTRY(login) of_user, of_edge, next_moving;
};

enum rows_state { ROWS_UNKNOWN, ROWS_NONE, ROWS_SOME };

/* An account's bare JID, or a component's domain: while something is known of
 * it that isn't in the store. */
struct user {
	char *bare; /* key of router.users */
	size_t bare_len;
	char *local; /* its account in the store; NULL: a component */
	char *box;   /* the name its stored messages are under */
	struct login_list sessions;
	struct roster *roster; /* cached; NULL: not read */
	uint8_t rows;          /* enum rows_state */
	uint64_t row_after;    /* newest row that was handed out */
	size_t handing;        /* rows that are with a session */
	struct job *lock;      /* the job that is changing its roster */
	struct map blocks;     /* XEP-0191: JIDs, their own keys */
	bool blocks_read;
	void *push; /* XEP-0357: who is told of messages; NULL: none */
	bool push_read;
	char *photo; /* XEP-0398: hash of the avatar; NULL: none */
	bool photo_read;
	struct copied_ids *copied; /* XEP-0280; NULL: none */
	struct prefs *prefs;       /* XEP-0441; NULL: nothing of its own */
	bool prefs_read;
	struct job_list waiting;
	size_t binding; /* binds that wait for this address */
	bool touched;
	TAILQ_ENTRY(user) next_touched;
};

/* A configured component. */
struct component {
	char *name, *domain;
	TAILQ_ENTRY(component) next;
};

/* ---- jobs and deliveries ----------------------------------------------- */

enum delivery_owner { OWNER_JOB, OWNER_END, OWNER_ROW, OWNER_NONE };

struct delivery {
	struct delivery_id id; /* key of router.deliveries, unless embedded */
	uint8_t kind;          /* enum deliver_kind */
	uint8_t owner;         /* enum delivery_owner */
	bool embedded;         /* is its job's first */
	bool accepted;
	struct login *target; /* NULL once accepted or dropped */
	union {
		struct job *job;
		struct login *ending;
		struct handed *row;
	} of;
	uint64_t value; /* as in struct down_deliver */
	struct text payload;
	struct bytes *hold; /* keeps the payload, if the job does not */
	char *stamp;        /* `to` of a presence that is sent to many */
	TAILQ_ENTRY(delivery) in_outbox, of_target, of_owner;
};

/* An item of a cached roster. */
struct contact {
	struct store_roster_item item;
	TAILQ_ENTRY(contact) next;
};

TAILQ_HEAD(contact_list, contact);

/* What a client wants with an item of its roster; borrowed. */
struct roster_change {
	struct address contact; /* bare */
	const char *name, *groups;
	bool remove;
};

/* Who is shown whose presence; `to` is put into the stanza. */
struct showing {
	struct login *target;
	const struct login *about;
	struct text to;
};

/* What is to be delivered. */
struct dispatch {
	struct login *target;
	struct dkey key;
	uint8_t kind;
	uint64_t value;      /* as in struct down_deliver */
	struct text payload; /* borrowed from the job, if not from hold */
	struct bytes *hold;
	struct text stamp; /* absent: none */
};

enum job_fate {
	FATE_OPEN,
	FATE_STORING,  /* its command is in the log */
	FATE_BOUNCING, /* an error goes back */
};

/* Rule 6: a frame waits for earlier unfinished ones of the same session to the
 * same bare address; and presence for earlier presence, to whomever. */
enum lane { LANE_ADDRESS, LANE_PRESENCE, LANES };

struct lane_place {
	const char *key; /* of router.lanes, in the newest; NULL: isn't there */
	size_t len;
	struct job *ahead, *behind;
};

/* A frame that isn't finished. */
struct job {
	struct origin_state *origin;
	struct up_frame f;  /* borrows from raw */
	struct address to;  /* of f.to */
	uint8_t stage;      /* the kind's own */
	uint8_t fate;       /* enum job_fate */
	bool applied;       /* its command was */
	int code;           /* what its command came to */
	uint64_t seq;       /* event that it depends on */
	uint64_t rival;     /* newest session that it had kicked */
	struct plan *plan;  /* of a roster change */
	struct bytes *memo; /* its handler's own */
	struct lane_place lanes[LANES];
	uint64_t lane_id;  /* a hash of the first one's key; 0: none */
	struct buf others; /* sids of all that get it, if they are several */
	bool has_sides, has_uids;
	bool routed;         /* of a message: all have got it that it is for */
	bool copied;         /* and copies are on their way (XEP-0280) */
	uint8_t sides;       /* whose archives it is for: archive.h */
	uint8_t sides_added; /* of them, where it has been put */
	uint8_t uids[32];    /* its ids there */
	uint64_t archived;   /* the batch that it is archived with; 0: none */
	struct buf stamped;  /* the message with its id; empty: not made */
	struct delivery_list deliveries;
	size_t pending; /* not accepted yet */
	struct delivery first;
	struct mirror_wait mirror;
	struct job_list *on; /* waits on; NULL: nothing */
	TAILQ_ENTRY(job) waiting, running;
	bool queued;
	char raw[]; /* the message, then the lane's key */
};

/* ---- the router -------------------------------------------------------- */

struct mirror_node {
	uint32_t node;
	bool up;
	uint64_t acked;
	TAILQ_ENTRY(mirror_node) next;
};

#define RECENT_USERS 2 /* sender and recipient of a message */

struct router {
	struct router_config cfg;
	struct edge_limits limits;
	struct router_env env;
	char *domain, *version;
	struct map domains; /* further ones: char *, its own key */
	char *motd;         /* NULL: none */
	uint32_t *voters;
	struct directory *directory;
	uint64_t now;
	uint64_t began;   /* when it could take links; 0: not yet */
	uint64_t base;    /* rule 8: this much must be at a majority first */
	bool complete;    /* rule 8: the directory it began with */
	bool settled;     /* every node has announced or is given up */
	uint64_t adopted; /* the newest event of sessions that were taken at
			     their edges' word */
	bool grace_over;
	uint64_t next_prune, next_part;
	uint64_t named; /* by dkey_term() */

	struct map edges;
	TAILQ_HEAD(edge_list, edge_state) edge_order;
	struct map origins;
	struct origin_state *recent; /* that was looked for */
	TAILQ_HEAD(origin_list, origin_state) origin_order;
	struct map sessions;
	struct map users;
	struct user *recent_users[RECENT_USERS]; /* who were looked for */
	struct map components;
	struct map iqs;  /* what answers them: extension.c */
	struct map caps; /* XEP-0115: by hash */
	char *caps_ver;  /* the server's own; NULL: not known yet */
	TAILQ_HEAD(component_list, component) component_order;
	struct map lanes;
	struct map deliveries;
	struct map rows; /* struct handed, by row id */
	TAILQ_HEAD(handed_list, handed) to_delete;
	bool deleting; /* a command that deletes rows is in the log */
	struct archiving *archiving;

	TAILQ_HEAD(mirror_list, mirror_node) mirrors;
	TAILQ_HEAD(mirror_wait_list, mirror_wait) mirror_waits;
	uint64_t at_majority; /* newest event that is */

	struct job_list run;
	TAILQ_HEAD(user_list, user) touched;
	struct job_list unsettled; /* rule 9: wait for settled, or grace */
	struct job_list resuming;  /* wait for each other */
	struct login_list moving;
	TAILQ_HEAD(past_list, past) past; /* sessions that could be resumed, */
	struct map past_sids;             /* also by sid */
	struct buf out, scratch;
};

/* ---- by file ----------------------------------------------------------- */

/* job.c */
int job_receive(struct router *r, struct edge_state *edge, struct cursor *c);
void job_wake(struct router *r, struct job *job);
void job_wake_all(struct router *r, struct job_list *list);
bool job_wait(struct job *job, struct job_list *list); /* always false */
bool job_wait_majority(struct router *r, struct job *job, uint64_t seq);
/* Proposes what the job's frame does to the store; it is woken when that was
 * applied. The ops are borrowed for the call; note: struct store_effect. */
void job_propose(struct router *r, struct job *job, uint64_t note,
    struct store_op *ops, size_t count);
void job_leave_lane(struct router *r, struct job *job, enum lane lane);
void job_free(struct router *r, struct job *job);
void router_run(struct router *r);

/* The steps of a job: true when all is done. */
typedef bool (*job_step)(struct router *r, struct job *job);
bool bind_step(struct router *r, struct job *job);      /* login.c */
bool unbind_step(struct router *r, struct job *job);    /* login.c */
bool message_step(struct router *r, struct job *job);   /* message.c */
bool iq_to_session(struct router *r, struct job *job);  /* message.c */
bool presence_step(struct router *r, struct job *job);  /* presence.c */
bool subscribe_step(struct router *r, struct job *job); /* subscribe.c */
bool iq_step(struct router *r, struct job *job);        /* iq.c */
bool return_step(struct router *r, struct job *job);    /* returned.c */
bool resume_step(struct router *r, struct job *job);    /* handover.c */
bool yield_step(struct router *r, struct job *job);     /* handover.c */

/* What a handler of an IQ returns beside 0 and what is wrong: it is to be
 * called again when the job is woken. */
#define IQ_WAITS STANZA_ERRORS

/* delivery.c */
struct dkey dkey_frame(const struct job *job);
struct dkey dkey_told(const struct job *job, const struct sid *about);
struct dkey dkey_numbered(
    const struct job *job, uint32_t kind, uint64_t version);
struct dkey dkey_gone(const struct sid *about, uint64_t num);
struct dkey dkey_term(struct router *r);
void job_deliver(struct router *r, struct job *job, const struct dispatch *w);
void end_deliver(
    struct router *r, struct login *ending, const struct dispatch *w);
void session_deliver(struct router *r, const struct dispatch *w);
struct delivery *row_deliver(
    struct router *r, struct handed *row, const struct dispatch *w);
struct delivery *delivery_find(struct router *r, const struct delivery_id *id);
void delivery_send(struct router *r, struct delivery *d);
void delivery_accepted(struct router *r, struct delivery *d);
void delivery_drop(struct router *r, struct delivery *d); /* tells the owner */
void delivery_free(struct router *r, struct delivery *d); /* tells nobody */
void edge_send(struct router *r, struct edge_state *edge);
void forget_everywhere(struct router *r, const struct dkey *key);

/* edges.c */
struct edge_state *edge_get(struct router *r, uint32_t node, uint32_t edge);
void edge_forget(struct router *r, struct edge_state *e);
void edges_expire(struct router *r);
void edges_check_settled(struct router *r);

/* origin.c */
struct origin_state *origin_find(struct router *r, const struct origin *id);
struct origin_state *origin_get(struct router *r, const struct origin *id);
void origin_free(struct router *r, struct origin_state *o);
void origin_end(struct router *r, struct origin_state *o);
void origins_settle(struct router *r);
void origins_prune(struct router *r);
int origin_set_low(struct origin_state *o, uint64_t low);
int origin_reserve(struct origin_state *o, uint64_t num);
struct slot *origin_slot(struct origin_state *o, uint64_t num);
void report_add(struct router *r, const struct up_report *m);
bool report_any(const struct job *job);
bool report_has(const struct job *job, const struct delivery_id *id);
bool report_later(const struct job *job);

/* login.c */
struct login *login_find(struct router *r, const struct sid *sid);
void login_adopt(struct router *r, struct entry *e);
void login_shown(
    struct router *r, struct edge_state *edge, const struct up_session *m);
void login_relinked(struct router *r, struct login *s);
void login_refused(struct router *r, struct login *s);
void login_kick(
    struct router *r, struct login *s, const char *condition, const char *text);
void login_set_presence(struct login *s, struct bytes *presence);
int login_away(struct router *r, const struct edge_state *e, struct cursor *c);
bool login_want(struct router *r, struct job *job, uint8_t set, uint8_t unset);
void login_end(struct router *r, struct login *s, struct text farewell);
void login_told_end(struct router *r, struct login *s);
void login_mirrored(struct router *r, struct login *s);
void login_free(struct router *r, struct login *s);
bool login_is_there(const struct login *s);
bool login_is_live(const struct login *s);
bool login_is_available(const struct login *s);
bool login_takes_messages(const struct login *s);
void login_part(struct login *s);
bool login_is_owed(struct router *r, const struct dkey *gone);
void login_reported_gone(struct router *r, const struct dkey *gone);
void bind_received(struct router *r, struct edge_state *edge, struct job *job);
void bind_repeated(struct router *r, const struct sid *sid);

/* registry.c */
void address_read(const struct router *r, struct text jid, struct address *a);
bool address_exists(struct router *r, const struct address *a);
struct user *user_find(struct router *r, struct text bare);
char *account_bare(const struct router *r, const char *account);
struct user *user_find_account(struct router *r, const char *account);
struct user *user_get(struct router *r, const struct address *a);
void user_touch(struct router *r, struct user *u);
void user_release(struct router *r, struct user *u);
void user_free(struct router *r, struct user *u);
bool user_is_binding(const struct user *u);
struct login *user_session(const struct user *u, struct text full);
struct login *component_session(struct router *r, struct text domain);
char *component_domain(const struct router *r, const char *name);
void registry_load_domains(struct router *r);
void registry_free_domains(struct router *r);
void components_load(struct router *r);
void components_free(struct router *r);

/* xep_0115.c: tells an edge the hash of what the server can do */
void caps_announce(struct router *r, struct edge_state *e);

/* mirror.c */
uint64_t mirror_event(struct router *r);
bool mirror_has(const struct router *r, uint64_t seq);
void mirror_wait_add(struct router *r, struct mirror_wait *w, uint64_t seq);
void mirror_wait_remove(struct router *r, struct mirror_wait *w);
void mirror_run(struct router *r);

/* presence.c */
int8_t presence_priority(const struct bytes *presence);
void presence_stamp(struct buf *b, struct text stanza, struct text to);
void presence_write(
    struct buf *b, const char *type, struct text from, struct text to);
void presence_farewell(struct router *r, struct login *s);

/* roster.c */
void roster_free(struct roster *roster);
const struct contact_list *roster_contacts(struct router *r, struct user *u);
size_t roster_count(struct router *r, struct user *u);
const struct store_roster_item *roster_item(
    struct router *r, struct user *u, struct text bare);
bool roster_allows(struct router *r, struct user *u, struct text bare);
void roster_applied(struct router *r, const struct store_event *event);
void roster_write(struct router *r, struct user *u, struct buf *b);
bool roster_can_follow(
    struct router *r, const struct login *s, uint64_t version);
uint64_t roster_version(struct router *r, struct user *u);
void roster_push(struct router *r, struct user *u);
void roster_drop(struct user *u);

/* former.c */
void account_added(struct router *r, const struct store_event *event);
void account_deleted(struct router *r, const struct store_event *event);
void formers_prune(struct router *r);

/* greeting.c */
void greeting_run(struct router *r, struct user *u);
void greeting_accepted(struct router *r, struct login *s);
bool greeting_is_due(const struct user *u);
void greeting_free(struct greeting *g);

/* What a handler of an IQ returns beside 0 and what is wrong: it is to be
 * called again when the job is woken. */
#define IQ_WAITS STANZA_ERRORS

/* subscribe.c */
enum stanza_error plan_roster(
    struct router *r, struct job *job, const struct roster_change *change);
bool plan_step(struct router *r, struct job *job);
void plan_free(struct router *r, struct job *job);

/* offline.c */
void offline_begin(struct router *r);
void offline_store(struct router *r, struct job *job);
void offline_stored(struct router *r, struct user *u);
bool offline_is_waiting(struct router *r, struct user *u);
void offline_hand_out(struct router *r, struct user *u);
void offline_taken(struct router *r, struct handed *h);
void offline_kept(struct router *r, const struct delivery_id *id);
void offline_accepted(struct router *r, struct handed *h);
void offline_dropped(struct router *r, struct handed *h);
void offline_reported(struct router *r, uint64_t row);
void offline_deleted(struct router *r, const struct store_event *event);
void offline_free(struct router *r);
struct bytes *offline_stamped(
    const struct router *r, struct text stanza, int64_t time);

/* handover.c */
void handover_adopt(struct router *r, struct login *s);
void handover_shown(struct router *r, struct login *s);
bool handover_is_its(const struct login *s, const struct edge_state *edge,
    const struct up_session *m);
void handover_gone(struct router *r, struct login *s);
bool handover_saves(struct router *r, struct login *s);
void handover_note_end(
    struct router *r, const struct login *s, struct text handled);
void handover_tick(struct router *r);
void handover_free(struct router *r);

/* returned.c */
struct login *returned_sender(struct router *r, const struct job *job);
bool returned_by(const struct job *job, const struct login *s);
int64_t returned_time(const struct router *r, const struct job *job);

/* reply.c */
bool bounce(
    struct router *r, struct job *job, enum stanza_error e, const char *text);
/* The same, with an <error/> as it is given. */
bool bounce_error(struct router *r, struct job *job, const struct buf *error);
void reply_iq(struct router *r, struct job *job, const struct buf *payload,
    uint64_t roster);
/* The same, and the edge notes a value (enum deliver_kind). */
void reply_iq_noted(struct router *r, struct job *job,
    const struct buf *payload, uint8_t kind, uint64_t value);
void job_deliver_bytes(struct router *r, struct job *job, struct login *target,
    const struct buf *stanza);

#endif
