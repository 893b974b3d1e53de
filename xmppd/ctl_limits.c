/*
 * im.xmppd.Limits and im.xmppd.Motd: what clients are held to, and what they
 * are told when they log in. Both are shared settings.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/limits.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/ctl.h"
#include "xmppd/node.h"
#include "xmppd/shared_limits.h"

#define MOTD_MAX 2048

/* ---- limits ------------------------------------------------------------ */

CTL_HANDLER(ctl_limits_list)
{
	const struct node *n = ctx;
	json_t *list = json_array();

	(void)params;
	for (size_t i = 0; i < LIMITS; i++) {
		const struct limit_row *row = &limit_rows[i];

		json_array_append_new(list,
		    json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:s}", "name",
			row->name, "value", (json_int_t)n->limits.of[i], "unit",
			row->unit, "usual", (json_int_t)row->usual, "min",
			(json_int_t)row->min, "max", (json_int_t)row->max,
			"help", row->help));
	}
	varlink_reply(call, json_pack("{s:o}", "limits", list));
}

/* `data` is what is answered when it is in force. */
static void
limit_applied(struct node *n, struct varlink_call *call,
    const struct proposer_result *result, char *data)
{
	(void)n;
	if (result->code == RES_OK)
		ctl_reply_done(call, "%s", data);
	else
		ctl_not_applied(call, result->code);
}

static void
limit_submit(struct node *n, struct varlink_call *call, enum limit limit,
    const char *value)
{
	const struct limit_row *row = &limit_rows[limit];
	struct buf command = { 0 };
	char *name, *text, *usual;

	xasprintf(&usual, "%llu", (unsigned long long)row->usual);
	xasprintf(&text, "Limit %s is %s%s%s", row->name,
	    value != NULL ? value : usual, row->unit[0] == '\0' ? "" : " ",
	    row->unit);
	name = shared_limit_setting(limit);
	store_cmd_setting(&command, name, value);
	ctl_submit(n, call, &command, limit_applied, text);
	free(name);
	free(usual);
}

/* `typed` NULL: as usual. */
static void
limit_set(struct node *n, struct varlink_call *call, enum limit limit,
    const char *typed)
{
	struct error e;
	uint64_t value;
	char *number;

	if (typed == NULL) {
		limit_submit(n, call, limit, NULL);
		return;
	}
	if (limit_parse(limit, typed, &value, &e) != RES_OK) {
		varlink_error_from(call, &e);
		return;
	}
	xasprintf(&number, "%llu", (unsigned long long)value);
	limit_submit(n, call, limit, number);
	free(number);
}

CTL_HANDLER(ctl_limits_set)
{
	const char *name, *typed;
	enum limit limit;

	if (!varlink_unpack(
		call, params, "{s:s, s:s}", "limit", &name, "value", &typed))
		return;
	limit = limit_find(name);
	if (limit == LIMITS)
		varlink_error(call, RES_NOT_FOUND,
		    "%s is no limit: 'xmpp limits' shows those that there are",
		    name);
	else
		limit_set(ctx, call, limit,
		    strcasecmp(typed, "default") == 0 ? NULL : typed);
}

CTL_HANDLER(ctl_limits_max_sessions)
{
	const char *typed = NULL;

	if (varlink_unpack(call, params, "{s?s}", "value", &typed))
		limit_set(ctx, call, LIMIT_SESSIONS, typed);
}

/* ---- the message of the day -------------------------------------------- */

CTL_HANDLER(ctl_motd_show)
{
	struct node *n = ctx;
	char *text = store_setting(n->store, SHARED_MOTD);

	(void)params;
	varlink_reply(call, json_pack("{s:s?}", "text", text));
	free(text);
}

static void
motd_submit(struct node *n, struct varlink_call *call, const char *text)
{
	struct buf command = { 0 };

	store_cmd_setting(&command, SHARED_MOTD, text);
	ctl_submit(n, call, &command, limit_applied,
	    xstrdup(text != NULL ? "Message of the day set"
				 : "Message of the day removed"));
}

CTL_HANDLER(ctl_motd_add)
{
	const char *text;

	if (!varlink_unpack(call, params, "{s:s}", "text", &text))
		return;
	if (text[0] == '\0' || strlen(text) > MOTD_MAX)
		varlink_error(call, RES_INVALID,
		    "a message of the day has 1 to %d bytes", MOTD_MAX);
	else
		motd_submit(ctx, call, text);
}

CTL_HANDLER(ctl_motd_del)
{
	struct node *n = ctx;
	char *text = store_setting(n->store, SHARED_MOTD);

	(void)params;
	if (text == NULL)
		varlink_error(
		    call, RES_NOT_FOUND, "there is no message of the day");
	else
		motd_submit(n, call, NULL);
	free(text);
}
