/*
 * What the Call Bridge answers.
 *
 * It is "component/generic" in the registry of service discovery (XEP-0030):
 * "conference" would promise rooms.
 */
#include "callbridge/service.h"

#include <stddef.h>
#include <string.h>

#include "common/buf.h"
#include "common/stanza.h"
#include "common/strutil.h"
#include "common/xmlstream.h"

#define SERVICE_NAME "Call Bridge"

struct service_query {
	const char *child, *ns;
	void (*write)(struct buf *out); /* the result's content */
};

static void service_write_info(struct buf *out);

static void
service_write_items(struct buf *out)
{
	buf_add_str(out, "<query xmlns='" NS_DISCO_ITEMS "'/>");
}

static void
service_write_nothing(struct buf *out)
{
	(void)out;
}

static void
service_write_version(struct buf *out)
{
	buf_add_str(out,
	    "<query xmlns='" NS_VERSION "'><name>" SERVICE_NAME "</name>"
	    "<version>" MMP_VERSION "</version></query>");
}

/* What is answered is what disco shows. */
static const struct service_query service_queries[] = {
	{ "query", NS_DISCO_INFO, service_write_info },
	{ "query", NS_DISCO_ITEMS, service_write_items },
	{ "ping", NS_PING, service_write_nothing },
	{ "query", NS_VERSION, service_write_version },
};

#define SERVICE_QUERIES (sizeof(service_queries) / sizeof(service_queries[0]))

static void
service_write_info(struct buf *out)
{
	buf_add_str(out,
	    "<query xmlns='" NS_DISCO_INFO "'><identity category='component' "
	    "type='generic' name='" SERVICE_NAME "'/>");
	for (size_t i = 0; i < SERVICE_QUERIES; i++) {
		buf_add_str(out, "<feature");
		xml_add_attr(out, "var", service_queries[i].ns);
		buf_add_str(out, "/>");
	}
	buf_add_str(out, "</query>");
}

static void
service_begin(struct buf *out, const struct xml_stanza *s, const char *type)
{
	buf_addf(out, "<%s", s->name);
	xml_add_attr(out, "type", type);
	xml_add_attr(out, "id", s->id);
	xml_add_attr(out, "from", s->to);
	xml_add_attr(out, "to", s->from);
	buf_add_str(out, ">");
}

static void
service_end(struct buf *out, const struct xml_stanza *s)
{
	buf_addf(out, "</%s>", s->name);
}

static void
service_refuse(
    struct buf *out, const struct xml_stanza *s, enum stanza_error error)
{
	service_begin(out, s, "error");
	xml_add_stanza_error(out, error, NULL);
	service_end(out, s);
}

/* A disco node is a thing that there isn't (XEP-0030, 3.2). */
static bool
service_names_node(const struct xml_stanza *s)
{
	struct buf copy = { 0 };
	struct xml *query;
	bool named;

	buf_add(&copy, s->inner, s->inner_len);
	query = xml_parse(buf_str(&copy), copy.len);
	named = query != NULL && xml_attr(query, "node") != NULL;
	xml_free(query);
	buf_clear(&copy);
	return named;
}

static const struct service_query *
service_find(const struct xml_stanza *s)
{
	for (size_t i = 0; i < SERVICE_QUERIES; i++)
		if (s->children == 1 &&
		    str_equal(s->child, service_queries[i].child) &&
		    str_equal(s->child_ns, service_queries[i].ns))
			return &service_queries[i];
	return NULL;
}

static void
service_answer_iq(const char *jid, const struct xml_stanza *s, struct buf *out)
{
	const struct service_query *query = service_find(s);

	if (str_equal(s->type, "result") || str_equal(s->type, "error"))
		return;
	/* RFC 6120, 8.2.3: one child, an id, and get or set. */
	if (s->id == NULL || s->children != 1 ||
	    (!str_equal(s->type, "get") && !str_equal(s->type, "set"))) {
		service_refuse(out, s, STANZA_BAD_REQUEST);
		return;
	}
	if (!str_equal_nocase(s->to, jid) || query == NULL ||
	    !str_equal(s->type, "get")) {
		service_refuse(out, s, STANZA_SERVICE_UNAVAILABLE);
		return;
	}
	if (str_starts(query->ns, "http://jabber.org/protocol/disco#") &&
	    service_names_node(s)) {
		service_refuse(out, s, STANZA_ITEM_NOT_FOUND);
		return;
	}
	service_begin(out, s, "result");
	query->write(out);
	service_end(out, s);
}

void
service_answer(const char *jid, const struct xml_stanza *s, struct buf *out)
{
	/* Who can't be answered, and answers that nobody asked for. */
	if (s->from == NULL || str_equal(s->type, "error"))
		return;
	if (str_equal(s->name, "iq")) {
		service_answer_iq(jid, s, out);
	} else if (str_equal(s->name, "message")) {
		/* RFC 6121, 8.5.1: headlines are dropped in silence. */
		if (!str_equal(s->type, "headline"))
			service_refuse(out, s, STANZA_SERVICE_UNAVAILABLE);
	} else if (str_equal(s->name, "presence") &&
	    str_equal(s->type, "subscribe")) {
		service_begin(out, s, "unsubscribed");
		service_end(out, s);
	}
}
