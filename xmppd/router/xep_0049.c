/* Private XML storage (XEP-0049): any elements, by their names. */
#include <stdlib.h>
#include <string.h>

#include "common/xmalloc.h"
#include "xmppd/router/bookmarks.h"
#include "xmppd/router/iq_store.h"

#define ELEMENTS_MAX 100 /* of one set */

static char *
node_of(const struct xml *x)
{
	char *node;

	xasprintf(&node, "{%s}%s", x->ns, x->name);
	return node;
}

/* XEP-0049, 2: an element has a namespace of its own. */
static bool
is_named(const struct xml *x)
{
	return *x->ns != '\0' && strcmp(x->ns, NS_PRIVATE) != 0;
}

static void
read_element(struct router *r, const struct job *job, const struct xml *wanted,
    struct buf *b)
{
	char *account = text_dup(job->to.local), *node = node_of(wanted);
	const struct store_node n = {
		.local = account, .space = SPACE_PRIVATE, .node = node
	};
	struct store_item item = { 0 };

	if (bookmarks_are(wanted) && bookmarks_read(r, &job->to, b))
		;
	else if (store_item(r->env.store, &n, "", &item))
		buf_add(b, item.value.data, item.value.len);
	else
		xml_write_whole(b, wanted);
	store_item_clear(&item);
	free(account);
	free(node);
}

static enum stanza_error
private_get(struct router *r, struct job *job, const struct xml *query)
{
	const struct xml *wanted = query->children;
	struct buf b = { 0 };

	if (wanted == NULL || wanted->next != NULL)
		return STANZA_BAD_REQUEST;
	if (!is_named(wanted))
		return STANZA_NOT_ACCEPTABLE;
	buf_add_str(&b, "<query xmlns='" NS_PRIVATE "'>");
	read_element(r, job, wanted, &b);
	buf_add_str(&b, "</query>");
	reply_iq(r, job, &b, 0);
	buf_clear(&b);
	return 0;
}

static enum stanza_error
check_elements(const struct xml *x)
{
	size_t count = 0;

	if (x == NULL)
		return STANZA_NOT_ACCEPTABLE;
	for (; x != NULL; x = x->next)
		if (!is_named(x) || ++count > ELEMENTS_MAX)
			return STANZA_NOT_ACCEPTABLE;
	return 0;
}

static void
put_elements(
    struct router *r, struct job *job, const struct xml *x, struct change *c)
{
	char *account = text_dup(job->to.local);
	struct store_node n = { .local = account, .space = SPACE_PRIVATE };

	for (; x != NULL; x = x->next) {
		char *node = node_of(x);

		n.node = node;
		xml_write_whole(&change_put(r, c, &n, "")->stanza, x);
		if (bookmarks_are(x))
			bookmarks_put(r, job, x, c);
		free(node);
	}
	free(account);
}

static enum stanza_error
private_set(struct router *r, struct job *job, const struct xml *query)
{
	struct change change = { 0 };
	enum stanza_error e;

	if (iq_stored(r, job, &e)) {
		reply_iq(r, job, NULL, 0);
		bookmarks_notify(r, job);
		return 0;
	}
	if (e == 0)
		e = check_elements(query->children);
	if (e != 0)
		return e;
	put_elements(r, job, query->children, &change);
	return iq_store(r, job, &change);
}

static const struct iq_handler iqs[] = {
	{ TYPE_GET, AT_ACCOUNT, "{" NS_PRIVATE "}query", private_get },
	{ TYPE_SET, AT_ACCOUNT, "{" NS_PRIVATE "}query", private_set },
	{ 0 },
};
static const char *const features[] = { NS_PRIVATE, NULL };

const struct extension xep_0049 = {
	.number = "XEP-0049",
	.server_features = features,
	.account_features = features,
	.iqs = iqs,
};
