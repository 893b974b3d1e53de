/*
 * Archiving preferences (XEP-0441): what of an account is archived, as one item
 * of its data: the usual behaviour, then a line for each JID, "+" always, "-"
 * never.
 */
#include <stdlib.h>
#include <string.h>

#include "common/jid.h"
#include "common/xmalloc.h"
#include "xmppd/router/archive.h"
#include "xmppd/router/iq_store.h"

#define JIDS_MAX 1000

const char *const archive_usuals[] = {
	[ARCHIVE_ALWAYS] = "always",
	[ARCHIVE_ROSTER] = "roster",
	[ARCHIVE_NEVER] = "never",
};

bool
archive_usual_find(const char *name, uint8_t *out)
{
	for (size_t i = 0; i <= ARCHIVE_NEVER; i++)
		if (strcmp(archive_usuals[i], name) == 0) {
			*out = (uint8_t)i;
			return true;
		}
	return false;
}

/* ---- as they are kept -------------------------------------------------- */

static void
list_clear(struct map *list)
{
	char *jid;
	size_t at = 0;

	while ((jid = map_next(list, &at)) != NULL)
		free(jid);
	map_clear(list);
}

void
prefs_free(struct prefs *p)
{
	if (p == NULL)
		return;
	list_clear(&p->always);
	list_clear(&p->never);
	free(p);
}

static void
list_add(struct map *list, char *jid)
{
	free(map_put_str(list, jid, jid));
}

static struct prefs *
prefs_decode(char *text)
{
	struct prefs *p = xcalloc(1, sizeof(*p));
	char *save = NULL, *line = strtok_r(text, "\n", &save);

	if (line != NULL)
		archive_usual_find(line, &p->usual);
	while ((line = strtok_r(NULL, "\n", &save)) != NULL)
		list_add(
		    *line == '+' ? &p->always : &p->never, xstrdup(line + 1));
	return p;
}

static void
prefs_encode(const struct prefs *p, struct buf *b)
{
	const char *jid;
	size_t at = 0;

	buf_add_str(b, archive_usuals[p->usual]);
	while ((jid = map_next(&p->always, &at)) != NULL)
		buf_addf(b, "\n+%s", jid);
	at = 0;
	while ((jid = map_next(&p->never, &at)) != NULL)
		buf_addf(b, "\n-%s", jid);
}

struct prefs *
prefs_read(struct router *r, const char *account)
{
	const struct store_node n = {
		.local = account, .space = SPACE_ARCHIVE, .node = ""
	};
	struct prefs *p = NULL;
	struct store_item item;

	if (store_item(r->env.store, &n, "", &item))
		p = prefs_decode(buf_str(&item.value));
	store_item_clear(&item);
	return p;
}

static void
item_changed(struct router *r, const struct store_op *op)
{
	struct user *u;

	if (op->space != SPACE_ARCHIVE)
		return;
	u = user_find_account(r, op->user);
	if (u != NULL)
		archive_forget(u);
}

static void
setting_changed(struct router *r, const char *name)
{
	if (strcmp(name, SHARED_ARCHIVE) == 0)
		archive_setting(r);
}

/* ---- as they travel ---------------------------------------------------- */

static void
write_list(struct buf *b, const char *name, const struct map *list)
{
	const char *jid;
	size_t at = 0;

	buf_addf(b, "<%s>", name);
	while (list != NULL && (jid = map_next(list, &at)) != NULL) {
		buf_add_str(b, "<jid>");
		xml_add_text(b, jid);
		buf_add_str(b, "</jid>");
	}
	buf_addf(b, "</%s>", name);
}

static void
answer(struct router *r, struct job *job)
{
	char *account = text_dup(job->to.local);
	struct prefs *p = prefs_read(r, account);
	uint8_t usual = p != NULL ? p->usual : archive_usual(r);
	struct buf b = { 0 };

	buf_add_str(&b, "<prefs xmlns='" NS_MAM "'");
	xml_add_attr(&b, "default", archive_usuals[usual]);
	buf_add_str(&b, ">");
	write_list(&b, "always", p == NULL ? NULL : &p->always);
	write_list(&b, "never", p == NULL ? NULL : &p->never);
	buf_add_str(&b, "</prefs>");
	reply_iq(r, job, &b, 0);
	buf_clear(&b);
	prefs_free(p);
	free(account);
}

static enum stanza_error
read_list(const struct xml *prefs, const char *name, struct map *list)
{
	const struct xml *x = xml_child(prefs, name, NS_MAM);
	struct jid jid;

	x = x == NULL ? NULL : xml_child(x, "jid", NS_MAM);
	for (; x != NULL; x = xml_next(x, "jid", NS_MAM)) {
		if (jid_parse(x->text, strlen(x->text), &jid) != 0)
			return STANZA_JID_MALFORMED;
		if (list->count >= JIDS_MAX) {
			jid_clear(&jid);
			return STANZA_NOT_ACCEPTABLE;
		}
		list_add(list, jid.full);
	}
	return 0;
}

static enum stanza_error
read_prefs(const struct xml *x, struct prefs *p)
{
	const char *usual = xml_attr(x, "default");
	enum stanza_error e;

	if (usual == NULL || !archive_usual_find(usual, &p->usual))
		return STANZA_BAD_REQUEST;
	e = read_list(x, "always", &p->always);
	return e != 0 ? e : read_list(x, "never", &p->never);
}

static enum stanza_error
prefs_get(struct router *r, struct job *job, const struct xml *x)
{
	(void)x;
	answer(r, job);
	return 0;
}

static enum stanza_error
store_prefs(struct router *r, struct job *job, const struct prefs *p)
{
	char *account = text_dup(job->to.local);
	const struct store_node n = {
		.local = account, .space = SPACE_ARCHIVE, .node = ""
	};
	struct change change = { 0 };
	struct store_op *op = change_put(r, &change, &n, "");
	enum stanza_error e;

	prefs_encode(p, &op->stanza);
	e = iq_store(r, job, &change);
	free(account);
	return e;
}

static enum stanza_error
prefs_set(struct router *r, struct job *job, const struct xml *x)
{
	struct prefs *p;
	enum stanza_error e;

	if (iq_stored(r, job, &e)) {
		answer(r, job);
		return 0;
	}
	if (e != 0)
		return e;
	p = xcalloc(1, sizeof(*p));
	e = read_prefs(x, p);
	if (e == 0)
		e = store_prefs(r, job, p);
	prefs_free(p);
	return e;
}

static const struct iq_handler iqs[] = {
	{ TYPE_GET, AT_ACCOUNT, "{" NS_MAM "}prefs", prefs_get },
	{ TYPE_SET, AT_ACCOUNT, "{" NS_MAM "}prefs", prefs_set },
	{ 0 },
};

const struct extension xep_0441 = {
	.number = "XEP-0441",
	.iqs = iqs,
	.item_changed = item_changed,
	.forget = archive_forget,
	.setting_changed = setting_changed,
};
