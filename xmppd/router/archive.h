#ifndef XMPPD_ROUTER_ARCHIVE_H
#define XMPPD_ROUTER_ARCHIVE_H

#include "xmppd/cluster/store_archive.h"
#include "xmppd/router/core.h"

/*
 * Archives, for those who route: which messages go into whose (XEP-0313, 6.1;
 * XEP-0334; XEP-0441), under which ids (XEP-0359), and when that is durable.
 *
 * A delivery doesn't wait for the archive, the acknowledgement of the sender's
 * frame does. What one turn brought is one command; while one is under way the
 * next is collected. A frame that is sent again under a new leader is archived
 * again, under the same ids: so it is there once.
 */
enum archive_side { ARCHIVE_SENDER = 1, ARCHIVE_RECIPIENT = 2 };

enum archive_usual { ARCHIVE_ALWAYS, ARCHIVE_ROSTER, ARCHIVE_NEVER };

#define ARCHIVE_UID_TEXT 21 /* with the NUL */

void archive_begin(struct router *r);
void archive_end(struct router *r);

/* Whose archives a message is for, an enum archive_side: by what it is and
 * what they want. */
uint8_t archive_sides(struct router *r, struct job *job);

/* Puts it there, once; without `accepted` only into the sender's: it hasn't
 * come to the recipient, or never will. */
void archive_add(struct router *r, struct job *job, bool accepted);

/* Whether that is durable; if not, the job is woken when it is. */
bool archive_is_done(struct router *r, struct job *job);

/* Whether all that has been archived so far is; the same. */
bool archive_is_settled(struct router *r, struct job *job);

/* <stanza-id/> of the message in one of its archives, if it is in that. */
void archive_write_id(
    struct router *r, struct job *job, uint8_t side, struct buf *b);
/* The message as the recipient gets it, borrowed from the job. */
struct text archive_stamped(struct router *r, struct job *job);

void archive_uid_text(
    const uint8_t uid[ARCHIVE_UID], char out[ARCHIVE_UID_TEXT]);
bool archive_uid_parse(const char *text, uint8_t uid[ARCHIVE_UID]);

/* Proposes what was collected; at the end of each turn. */
void archive_flush(struct router *r);
void archive_applied(struct router *r, const struct store_event *event);
void archive_setting(struct router *r);
void archive_tick(struct router *r);
void archive_forget(struct user *u);

/* xep_0441.c. What an account wants; NULL: nothing of its own. */
struct prefs {
	uint8_t usual;            /* enum archive_usual */
	struct map always, never; /* JIDs, their own keys */
};

struct prefs *prefs_read(struct router *r, const char *account);
void prefs_free(struct prefs *p);
uint8_t archive_usual(const struct router *r);
extern const char *const archive_usuals[];
bool archive_usual_find(const char *name, uint8_t *out);

#endif
