/*
 * Ad-hoc commands (XEP-0050) at the server's address, for administrators.
 *
 *   execute -> a form, if the command has fields, which is filled in
 *   filled in, or without fields -> done -> answered: completed
 */
#include <stdlib.h>
#include <string.h>

#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/router/adhoc.h"
#include "xmppd/router/form.h"

#define NS_COMMANDS "http://jabber.org/protocol/commands"

bool
adhoc_may(struct router *r, const struct job *job)
{
	static const struct store_node admins = {
		.local = "", .space = SPACE_ROLE, .node = "admin"
	};
	struct address from;
	char *account;
	bool may;

	address_read(r, job->f.from, &from);
	if (from.kind != ADDRESS_USER || job->f.session_kind != SESSION_CLIENT)
		return false;
	account = text_dup(from.local);
	may = store_item(r->env.store, &admins, account, NULL);
	free(account);
	return may;
}

static const struct adhoc_command *
command_find(const char *node)
{
	const struct adhoc_command *c = adhoc_commands;

	while (c->node != NULL && !str_equal(c->node, node))
		c++;
	return c->node == NULL ? NULL : c;
}

/* ---- answers ----------------------------------------------------------- */

/* The session: the client's, or one named by the frame that begins it. */
static void
open_command(struct buf *b, const struct job *job, const struct xml *command,
    const char *status)
{
	const char *session = xml_attr(command, "sessionid");
	char *made = NULL;

	if (session == NULL) {
		xasprintf(&made, "%llx-%llu", (unsigned long long)job->f.sid.id,
		    (unsigned long long)job->f.num);
		session = made;
	}
	buf_add_str(b, "<command xmlns='" NS_COMMANDS "'");
	xml_add_attr(b, "node", xml_attr(command, "node"));
	xml_add_attr(b, "sessionid", session);
	xml_add_attr(b, "status", status);
	buf_add_str(b, ">");
	free(made);
}

static void
close_command(struct router *r, struct job *job, struct buf *b)
{
	buf_add_str(b, "</command>");
	reply_iq(r, job, b, 0);
	buf_clear(b);
}

static void
answer_form(struct router *r, struct job *job, const struct xml *command,
    const struct adhoc_command *c)
{
	struct buf b = { 0 };

	open_command(&b, job, command, "executing");
	buf_add_str(&b, "<actions execute='complete'><complete/></actions>");
	form_begin(&b, "form", adhoc_form_type);
	buf_add_str(&b, "<title>");
	xml_add_text(&b, c->name);
	buf_add_str(&b, "</title>");
	for (const struct adhoc_field *f = c->fields; f->var != NULL; f++) {
		form_open_field(&b, f->var, f->type, f->label);
		if (f->required)
			buf_add_str(&b, "<required/>");
		form_close_field(&b);
	}
	form_end(&b);
	close_command(r, job, &b);
}

static void
answer_done(struct adhoc *a, const struct xml *command)
{
	struct buf b = { 0 };

	open_command(&b, a->job, command, "completed");
	if (a->note != NULL) {
		buf_add_str(&b, "<note type='info'>");
		xml_add_text(&b, a->note);
		buf_add_str(&b, "</note>");
	}
	if (a->result.len > 0) {
		form_begin(&b, "result", adhoc_form_type);
		buf_add(&b, a->result.data, a->result.len);
		form_end(&b);
	}
	close_command(a->r, a->job, &b);
}

/* XEP-0050, 4.5: with the condition of its own. */
static enum stanza_error
refuse(struct router *r, struct job *job, const char *condition)
{
	struct buf error = { 0 };

	buf_addf(&error,
	    "<error type='modify'><bad-request xmlns='" NS_STANZA_ERRORS
	    "'/><%s xmlns='" NS_COMMANDS "'/></error>",
	    condition);
	bounce_error(r, job, &error);
	buf_clear(&error);
	return 0;
}

/* ---- execution --------------------------------------------------------- */

static bool
is_filled_in(const struct adhoc_command *c, const struct xml *form)
{
	for (const struct adhoc_field *f = c->fields; f->var != NULL; f++) {
		const char *value = form_value(form, f->var);

		if (f->required && (value == NULL || *value == '\0'))
			return false;
	}
	return true;
}

/* What it changes is proposed first, and then that this frame is done: when
 * that is applied, so is the rest. */
static enum stanza_error
run(struct adhoc *a, const struct adhoc_command *c)
{
	struct change done = { 0 };
	enum stanza_error e;

	if (!c->stores)
		return c->run(a);
	if (iq_stored(a->r, a->job, &e) || e != 0)
		return e;
	e = c->run(a);
	return e == 0 ? iq_store(a->r, a->job, &done) : e;
}

static enum stanza_error
execute(struct router *r, struct job *job, const struct xml *command,
    const struct adhoc_command *c)
{
	struct adhoc a = { .r = r, .job = job };
	enum stanza_error e;

	a.form = xml_child(command, "x", NS_DATA);
	if (c->fields != NULL && a.form == NULL) {
		answer_form(r, job, command, c);
		return 0;
	}
	if (c->fields != NULL && !is_filled_in(c, a.form))
		return refuse(r, job, "bad-payload");
	e = run(&a, c);
	if (e == 0)
		answer_done(&a, command);
	buf_clear(&a.result);
	free(a.note);
	return e;
}

static enum stanza_error
command_set(struct router *r, struct job *job, const struct xml *command)
{
	const struct adhoc_command *c = command_find(xml_attr(command, "node"));
	const char *action = xml_attr(command, "action");
	struct buf b = { 0 };

	if (!adhoc_may(r, job))
		return STANZA_FORBIDDEN;
	if (c == NULL)
		return STANZA_ITEM_NOT_FOUND;
	if (action == NULL || str_equal(action, "execute") ||
	    str_equal(action, "complete") || str_equal(action, "next"))
		return execute(r, job, command, c);
	if (str_equal(action, "prev"))
		return refuse(r, job, "bad-action");
	if (!str_equal(action, "cancel"))
		return refuse(r, job, "malformed-action");
	open_command(&b, job, command, "canceled");
	close_command(r, job, &b);
	return 0;
}

/* ---- discovery (XEP-0050, 2) ------------------------------------------- */

static bool
node_info(
    struct router *r, const struct job *job, const char *node, struct buf *b)
{
	const struct adhoc_command *c = command_find(node);
	bool list = str_equal(node, NS_COMMANDS);

	if (job->to.kind != ADDRESS_SERVER || !adhoc_may(r, job) ||
	    (c == NULL && !list))
		return false;
	buf_add_str(b, "<identity category='automation'");
	xml_add_attr(b, "type", list ? "command-list" : "command-node");
	xml_add_attr(b, "name", list ? "Administration" : c->name);
	buf_add_str(b,
	    "/><feature var='" NS_COMMANDS "'/>"
	    "<feature var='" NS_DATA "'/>");
	return true;
}

static bool
node_items(
    struct router *r, const struct job *job, const char *node, struct buf *b)
{
	const struct adhoc_command *c = adhoc_commands;

	if (job->to.kind != ADDRESS_SERVER || !str_equal(node, NS_COMMANDS))
		return false;
	for (; c->node != NULL && adhoc_may(r, job); c++) {
		buf_add_str(b, "<item");
		xml_add_attr_n(b, "jid", job->to.full.data, job->to.full.len);
		xml_add_attr(b, "node", c->node);
		xml_add_attr(b, "name", c->name);
		buf_add_str(b, "/>");
	}
	return true;
}

static const struct iq_handler iqs[] = {
	{ TYPE_SET, AT_SERVER, "{" NS_COMMANDS "}command", command_set },
	{ 0 },
};
static const char *const features[] = { NS_COMMANDS, NULL };

const struct extension xep_0050 = {
	.number = "XEP-0050",
	.server_features = features,
	.iqs = iqs,
	.node_info = node_info,
	.node_items = node_items,
};
