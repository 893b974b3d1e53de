/*
 * im.xmppd.Archive: what is archived of users who didn't say it themselves, and
 * for how long. Shared settings; how much is a limit.
 */
#include <stdlib.h>

#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/cluster/store_archive.h"
#include "xmppd/ctl.h"
#include "xmppd/node.h"

#define DAYS_MAX 36500

CTL_HANDLER(ctl_archive_show)
{
	struct node *n = ctx;
	char *usual = store_setting(n->store, SHARED_ARCHIVE);
	char *keep = store_setting(n->store, SHARED_ARCHIVE_KEEP);
	uint64_t days;
	json_t *days_or_null = json_null();

	(void)params;
	if (keep != NULL && str_to_u64(keep, 1, DAYS_MAX, &days))
		days_or_null = json_integer((json_int_t)days);
	varlink_reply(call,
	    json_pack("{s:s, s:o, s:I, s:I}", "usual",
		usual != NULL ? usual : "always", "days", days_or_null, "limit",
		(json_int_t)n->limits.of[LIMIT_ARCHIVE], "messages",
		(json_int_t)store_archive_total(n->store)));
	free(usual);
	free(keep);
}

static void
set_applied(struct node *n, struct varlink_call *call,
    const struct proposer_result *result, char *said)
{
	(void)n;
	if (result->code == RES_OK)
		ctl_reply_done(call, "%s", said);
	else
		ctl_not_applied(call, result->code);
}

/* `said` is taken. */
static void
set(struct node *n, struct varlink_call *call, const char *name,
    const char *value, char *said)
{
	struct buf command = { 0 };

	store_cmd_setting(&command, name, value);
	ctl_submit(n, call, &command, set_applied, said);
}

CTL_HANDLER(ctl_archive_always)
{
	(void)params;
	set(ctx, call, SHARED_ARCHIVE, NULL,
	    xstrdup("Messages are archived, of all users who didn't choose "
		    "otherwise"));
}

CTL_HANDLER(ctl_archive_roster)
{
	(void)params;
	set(ctx, call, SHARED_ARCHIVE, "roster",
	    xstrdup("Messages with contacts are archived, of all users who "
		    "didn't choose otherwise"));
}

CTL_HANDLER(ctl_archive_never)
{
	(void)params;
	set(ctx, call, SHARED_ARCHIVE, "never",
	    xstrdup("Messages are not archived, but of users who chose it; "
		    "archives that there are stay"));
}

CTL_HANDLER(ctl_archive_keep)
{
	const char *typed = NULL;
	char *said;
	uint64_t days;

	if (!varlink_unpack(call, params, "{s?s}", "days", &typed))
		return;
	if (typed == NULL) {
		set(ctx, call, SHARED_ARCHIVE_KEEP, NULL,
		    xstrdup("Archived messages are kept for ever"));
		return;
	}
	if (!str_to_u64(typed, 1, DAYS_MAX, &days)) {
		varlink_error(call, RES_INVALID,
		    "%s: archives are kept for 1 to %d days: 'xmpp archive "
		    "keep forever' keeps them for ever",
		    typed, DAYS_MAX);
		return;
	}
	xasprintf(&said, "Archived messages are kept for %llu day%s",
	    (unsigned long long)days, days == 1 ? "" : "s");
	set(ctx, call, SHARED_ARCHIVE_KEEP, typed, said);
}
