/*
 * The table of control methods, and what their handlers share.
 */
#include "xmppd/ctl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/varlink_text.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/node.h"

static const struct varlink_method methods[] = {
	{ "Xmpp.Show", ROLE_AUDIT, ctl_xmpp_show },
	{ "Xmpp.Enable", ROLE_ADMIN, ctl_xmpp_enable },
	{ "Xmpp.Disable", ROLE_ADMIN, ctl_xmpp_disable },
	{ "Xmpp.Restart", ROLE_ADMIN, ctl_xmpp_restart },
	{ "Xmpp.Domain", ROLE_ADMIN, ctl_xmpp_domain },
	{ "Xmpp.Listen", ROLE_ADMIN, ctl_xmpp_listen },
	{ "Websocket.Listen", ROLE_ADMIN, ctl_websocket_listen },
	{ "Xmpp.Certs", ROLE_ADMIN, ctl_xmpp_certs },
	{ "Xmpp.Export", ROLE_ADMIN, ctl_xmpp_export },
	{ "Xmpp.Reset", ROLE_ADMIN, ctl_xmpp_reset },
	{ "Xmpp.Trust", ROLE_AUDIT, ctl_xmpp_trust },
	{ "Callbridge.Add", ROLE_ADMIN, ctl_callbridge_add },
	{ "Callbridge.AddSecret", ROLE_ADMIN, ctl_callbridge_add_secret },
	{ "Callbridge.Del", ROLE_ADMIN, ctl_callbridge_del },
	{ "Callbridge.List", ROLE_AUDIT, ctl_callbridge_list },
	{ "Component.EnablePlaintext", ROLE_ADMIN,
	    ctl_component_enable_plaintext },
	{ "Component.DisablePlaintext", ROLE_ADMIN,
	    ctl_component_disable_plaintext },
	{ "Domain.Add", ROLE_ADMIN, ctl_domain_add },
	{ "Domain.Del", ROLE_ADMIN, ctl_domain_del },
	{ "Domain.List", ROLE_AUDIT, ctl_domain_list },
	{ "Limits.List", ROLE_AUDIT, ctl_limits_list },
	{ "Limits.Set", ROLE_ADMIN, ctl_limits_set },
	{ "Limits.MaxSessions", ROLE_ADMIN, ctl_limits_max_sessions },
	{ "Archive.Show", ROLE_AUDIT, ctl_archive_show },
	{ "Archive.Always", ROLE_ADMIN, ctl_archive_always },
	{ "Archive.Roster", ROLE_ADMIN, ctl_archive_roster },
	{ "Archive.Never", ROLE_ADMIN, ctl_archive_never },
	{ "Archive.Keep", ROLE_ADMIN, ctl_archive_keep },
	{ "Contact.List", ROLE_AUDIT, ctl_contact_list },
	{ "Contact.Set", ROLE_ADMIN, ctl_contact_set },
	{ "Contact.Del", ROLE_ADMIN, ctl_contact_del },
	{ "Admin.List", ROLE_AUDIT, ctl_admin_list },
	{ "Admin.Add", ROLE_ADMIN, ctl_admin_add },
	{ "Admin.Del", ROLE_ADMIN, ctl_admin_del },
	{ "Push.Show", ROLE_AUDIT, ctl_push_show },
	{ "Push.Count", ROLE_ADMIN, ctl_push_count },
	{ "Push.Sender", ROLE_ADMIN, ctl_push_sender },
	{ "Push.Body", ROLE_ADMIN, ctl_push_body },
	{ "Motd.Show", ROLE_AUDIT, ctl_motd_show },
	{ "Motd.Add", ROLE_ADMIN, ctl_motd_add },
	{ "Motd.Del", ROLE_ADMIN, ctl_motd_del },
	{ "Session.List", ROLE_AUDIT, ctl_session_list },
	{ "Session.Kick", ROLE_ADMIN, ctl_session_kick },
	{ "Stats.Show", ROLE_AUDIT, ctl_stats_show },
	{ "Transfer.Export", ROLE_ADMIN, ctl_transfer_export },
	{ "Transfer.User", ROLE_ADMIN, ctl_transfer_user },
	{ "Transfer.Data", ROLE_ADMIN, ctl_transfer_data },
	{ "User.Add", ROLE_ADMIN, ctl_user_add },
	{ "User.Passwd", ROLE_ADMIN, ctl_user_passwd },
	{ "User.Del", ROLE_ADMIN, ctl_user_del },
	{ "User.List", ROLE_AUDIT, ctl_user_list },
	{ "Cluster.Enable", ROLE_ADMIN, ctl_cluster_enable },
	{ "Cluster.Disable", ROLE_ADMIN, ctl_cluster_disable },
	{ "Cluster.Trust", ROLE_ADMIN, ctl_cluster_trust },
	{ "Cluster.Initialize", ROLE_ADMIN, ctl_cluster_initialize },
	{ "Cluster.Join", ROLE_ADMIN, ctl_cluster_join },
	{ "Cluster.Remove", ROLE_ADMIN, ctl_cluster_remove },
	{ "Cluster.Hold", ROLE_ADMIN, ctl_cluster_hold },
	{ "Cluster.Status", ROLE_AUDIT, ctl_cluster_status },
	{ NULL, ROLE_NONE, NULL },
};

const struct varlink_interface ctl_interface = { "im.xmppd", varlink_text_xmppd,
	methods };

json_t *
ctl_checks(void)
{
	return json_array();
}

static void
add_check(json_t *checks, bool ok, const char *text)
{
	json_array_append_new(
	    checks, json_pack("{s:b, s:s}", "ok", ok, "text", text));
}

void
ctl_check(json_t *checks, bool ok, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	xvasprintf(&text, fmt, ap);
	va_end(ap);
	add_check(checks, ok, text);
	free(text);
}

void
ctl_check_lines(json_t *checks, const struct pki_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		add_check(checks, lines->line[i].ok, lines->line[i].text);
}

void
ctl_log(struct varlink_call *call, const char *what)
{
	log_info("ctl: %s: %s", varlink_call_user(call), what);
}

/* What was done is told by the last line of all that are ok. */
static void
log_checks(struct varlink_call *call, const json_t *checks)
{
	const json_t *check = NULL;
	size_t i;

	json_array_foreach(checks, i, check)
		if (!json_is_true(json_object_get(check, "ok")))
			return;
	if (check != NULL)
		ctl_log(
		    call, json_string_value(json_object_get(check, "text")));
}

void
ctl_reply_checks(struct varlink_call *call, json_t *checks)
{
	log_checks(call, checks);
	varlink_reply(call, json_pack("{s:o}", "checks", checks));
}

void
ctl_reply_done(struct varlink_call *call, const char *fmt, ...)
{
	json_t *checks = ctl_checks();
	va_list ap;
	char *text;

	va_start(ap, fmt);
	xvasprintf(&text, fmt, ap);
	va_end(ap);
	add_check(checks, true, text);
	free(text);
	ctl_reply_checks(call, checks);
}

/* ---- commands of the store --------------------------------------------- */

struct submitted {
	struct node *node;
	struct varlink_call *call;
	ctl_applied done;
	char *data;
};

static void
submitted_cb(void *arg, const struct proposer_result *result)
{
	struct submitted *s = arg;

	s->done(s->node, s->call, result, s->data);
	free(s->data);
	free(s);
}

void
ctl_submit(struct node *n, struct varlink_call *call, struct buf *command,
    ctl_applied done, char *data)
{
	struct submitted *s = xcalloc(1, sizeof(*s));

	*s = (struct submitted){ n, call, done, data };
	proposer_submit(
	    n->proposer, command->data, command->len, submitted_cb, s);
	buf_wipe(command);
}

void
ctl_not_applied(struct varlink_call *call, int code)
{
	if (code == RES_NO_LEADER)
		varlink_error(call, code,
		    "no leader: a majority of the "
		    "servers can't be reached; nothing was confirmed, see "
		    "'xmpp cluster status' and try again");
	else
		varlink_error(call, code, "%s", result_text(code));
}

bool
ctl_file(json_t *params, const char *key, struct pki_file *out)
{
	json_t *file = json_object_get(params, key);
	json_t *pem = json_object_get(file, "pem");

	memset(out, 0, sizeof(*out));
	if (!json_is_string(pem))
		return false;
	out->name = json_string_value(json_object_get(file, "name"));
	if (out->name == NULL)
		out->name = key;
	out->data = json_string_value(pem);
	out->len = json_string_length(pem);
	return true;
}
