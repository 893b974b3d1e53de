/*
 * im.xmppd.Contact, .Admin and .Push: whom to write to about the service
 * (XEP-0157), who administers it by XMPP (XEP-0133), and what app servers are
 * told of messages (XEP-0357). Shared by all servers.
 */
#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/cluster/store_item.h"
#include "xmppd/ctl.h"
#include "xmppd/node.h"

#define ADDRESSES_MAX 2000 /* bytes of one role's */

static void
service_applied(struct node *n, struct varlink_call *call,
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
	ctl_submit(n, call, &command, service_applied, said);
}

/* ---- contact addresses ------------------------------------------------- */

static json_t *
split_lines(const char *text)
{
	json_t *list = json_array();
	size_t len;

	for (; text != NULL && *text != '\0'; text += len) {
		len = strcspn(text, "\n");
		json_array_append_new(list, json_stringn(text, len));
		len += text[len] == '\n';
	}
	return list;
}

static void
contact_one(void *arg, const char *name, const char *value)
{
	json_array_append_new(arg,
	    json_pack("{s:s, s:o}", "role", name + strlen(SHARED_CONTACT),
		"addresses", split_lines(value)));
}

CTL_HANDLER(ctl_contact_list)
{
	struct node *n = ctx;
	json_t *list = json_array();

	(void)params;
	store_settings(n->store, SHARED_CONTACT, contact_one, list);
	varlink_reply(call, json_pack("{s:o}", "contacts", list));
}

/* The addresses with '\n' between them; NULL with the call answered. */
static char *
join_addresses(struct varlink_call *call, const json_t *list)
{
	struct buf b = { 0 };
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		const char *text = json_string_value(one);

		if (text == NULL || strpbrk(text, " \t\r\n") != NULL ||
		    strchr(text, ':') == NULL) {
			varlink_error(call, RES_INVALID,
			    "%s: an address is a URI, as mailto:a@example.com, "
			    "xmpp:a@example.com or https://example.com/",
			    text == NULL ? "" : text);
			buf_clear(&b);
			return NULL;
		}
		if (i > 0)
			buf_add_str(&b, "\n");
		buf_add_str(&b, text);
	}
	if (b.len > 0 && b.len <= ADDRESSES_MAX)
		return buf_steal_str(&b);
	varlink_error(call, RES_INVALID, "1 to %d bytes of addresses, please",
	    ADDRESSES_MAX);
	buf_clear(&b);
	return NULL;
}

CTL_HANDLER(ctl_contact_set)
{
	const char *role;
	char *name, *value, *said;
	json_t *list;

	if (!varlink_unpack(
		call, params, "{s:s, s:o}", "role", &role, "uri", &list) ||
	    (value = join_addresses(call, list)) == NULL)
		return;
	xasprintf(&name, "%s%s", SHARED_CONTACT, role);
	xasprintf(&said, "Contact addresses for %s set", role);
	set(ctx, call, name, value, said);
	free(name);
	free(value);
}

CTL_HANDLER(ctl_contact_del)
{
	struct node *n = ctx;
	const char *role;
	char *name, *value, *said;

	if (!varlink_unpack(call, params, "{s:s}", "role", &role))
		return;
	xasprintf(&name, "%s%s", SHARED_CONTACT, role);
	value = store_setting(n->store, name);
	if (value == NULL) {
		varlink_error(call, RES_NOT_FOUND,
		    "there are no contact addresses for %s", role);
	} else {
		xasprintf(&said, "Contact addresses for %s removed", role);
		set(n, call, name, NULL, said);
	}
	free(name);
	free(value);
}

/* ---- administrators ---------------------------------------------------- */

static const struct store_node admins = {
	.local = "", .space = SPACE_ROLE, .node = "admin", .no_values = true
};

CTL_HANDLER(ctl_admin_list)
{
	struct node *n = ctx;
	struct store_item *items;
	size_t count = store_items(n->store, &admins, &items);
	json_t *list = json_array();

	(void)params;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_string(items[i].id));
	store_items_clear(items, count);
	varlink_reply(call, json_pack("{s:o}", "admins", list));
}

static void
change_admin(struct node *n, struct varlink_call *call, const char *account,
    enum effect_op kind)
{
	struct store_op op = { .op = (uint8_t)kind, .space = SPACE_ROLE };
	struct store_effect effect = { .ops = NULL };
	struct buf command = { 0 };
	char *said;

	op.user = xstrdup("");
	op.node = xstrdup("admin");
	op.id = xstrdup(account);
	store_cmd_items(&command, &op, 1);
	effect.ops = xmemdup(&op, sizeof(op));
	effect.count = 1;
	store_effect_clear(&effect);
	xasprintf(&said,
	    kind == EFFECT_ITEM_PUT
		? "%s administers the service by XMPP"
		: "%s administers the service by XMPP no longer",
	    account);
	ctl_submit(n, call, &command, service_applied, said);
}

static char *
read_account(struct node *n, struct varlink_call *call, json_t *params)
{
	const char *typed;

	if (!varlink_unpack(call, params, "{s:s}", "name", &typed))
		return NULL;
	return ctl_account_name(n, call, typed);
}

CTL_HANDLER(ctl_admin_add)
{
	struct node *n = ctx;
	char *name = read_account(n, call, params);

	if (name == NULL)
		return;
	if (!store_account_exists(n->store, name))
		varlink_error(call, RES_NOT_FOUND,
		    "account %s not found: 'xmpp user add %s' makes it", name,
		    name);
	else
		change_admin(n, call, name, EFFECT_ITEM_PUT);
	free(name);
}

CTL_HANDLER(ctl_admin_del)
{
	struct node *n = ctx;
	char *name = read_account(n, call, params);

	if (name == NULL)
		return;
	if (!store_item(n->store, &admins, name, NULL))
		varlink_error(call, RES_NOT_FOUND,
		    "%s does not administer the service", name);
	else
		change_admin(n, call, name, EFFECT_ITEM_DEL);
	free(name);
}

/* ---- push notifications ------------------------------------------------ */

CTL_HANDLER(ctl_push_show)
{
	struct node *n = ctx;
	char *summary = store_setting(n->store, SHARED_PUSH);

	(void)params;
	varlink_reply(call,
	    json_pack("{s:s}", "summary", summary != NULL ? summary : "count"));
	free(summary);
}

CTL_HANDLER(ctl_push_count)
{
	(void)params;
	set(ctx, call, SHARED_PUSH, NULL,
	    xstrdup("App servers are told how many messages there are"));
}

CTL_HANDLER(ctl_push_sender)
{
	(void)params;
	set(ctx, call, SHARED_PUSH, "sender",
	    xstrdup("App servers are told from whom messages are"));
}

CTL_HANDLER(ctl_push_body)
{
	(void)params;
	set(ctx, call, SHARED_PUSH, "body",
	    xstrdup("App servers are told from whom messages are, and how "
		    "they begin"));
}
