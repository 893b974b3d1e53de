/*
 * Message archive management (XEP-0313): an account's queries of its archive.
 *
 *   a query -> what is being archived is durable -> which part of the archive
 *     -> a page of it, each message under a name of its own; then the answer
 *
 * A query that is sent again under a new leader is answered again, with those
 * messages that the session has not had; unless the answer itself came.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/jid.h"
#include "common/xmalloc.h"
#include "xmppd/router/archive.h"
#include "xmppd/router/extension.h"
#include "xmppd/router/forward.h"
#include "xmppd/router/mam.h"
#include "xmppd/router/rsm.h"
#include "xmppd/router/tell.h"

#define PAGE_MAX 250
#define PAGE_USUAL 100
#define PAGE_BYTES (128U << 10)
#define IDS_MAX PAGE_MAX

/* A query, read; what it borrows is the request's. */
struct query {
	struct archive archive;
	struct archive_range range; /* by the form */
	struct jid with;            /* full NULL: anybody */
	char *bare;                 /* of that */
	uint64_t *ids;              /* places, in order */
	size_t id_count;
	bool has_ids;
	struct rsm rsm;
	bool flip;
	const char *queryid;
};

static void
query_clear(struct query *q)
{
	if (q->with.full != NULL)
		jid_clear(&q->with);
	free(q->bare);
	free(q->ids);
}

/* ---- the form ---------------------------------------------------------- */

/* The place of an id (4.1.3, 4.3.2). */
static enum stanza_error
place_of(struct router *r, const struct query *q, const char *id, uint64_t *out)
{
	uint8_t uid[ARCHIVE_UID];

	*out = 0;
	if (archive_uid_parse(id, uid))
		*out = store_archive_find(r->env.store, &q->archive, uid);
	return *out == 0 ? STANZA_ITEM_NOT_FOUND : 0;
}

static void
raise_first(struct query *q, uint64_t place)
{
	if (place > q->range.first)
		q->range.first = place;
}

static void
lower_next(struct query *q, uint64_t place)
{
	if (place < q->range.next)
		q->range.next = place;
}

static enum stanza_error
read_type(struct router *r, struct query *q, const struct xml *value)
{
	(void)r, (void)q;
	return strcmp(value->text, NS_MAM) == 0 ? 0 : STANZA_BAD_REQUEST;
}

static enum stanza_error
read_with(struct router *r, struct query *q, const struct xml *value)
{
	(void)r;
	if (q->with.full != NULL)
		return STANZA_BAD_REQUEST;
	if (jid_parse(value->text, strlen(value->text), &q->with) != 0)
		return STANZA_JID_MALFORMED;
	q->bare = jid_bare(&q->with);
	q->range.bare = q->bare;
	q->range.resource = jid_resource(&q->with);
	return 0;
}

static enum stanza_error
read_start(struct router *r, struct query *q, const struct xml *value)
{
	int64_t time;

	if (!clock_parse_ms(value->text, &time))
		return STANZA_BAD_REQUEST;
	raise_first(q, store_archive_at(r->env.store, &q->archive, time));
	return 0;
}

static enum stanza_error
read_end(struct router *r, struct query *q, const struct xml *value)
{
	int64_t time;

	if (!clock_parse_ms(value->text, &time))
		return STANZA_BAD_REQUEST;
	lower_next(q, store_archive_at(r->env.store, &q->archive, time + 1));
	return 0;
}

static enum stanza_error
read_before(struct router *r, struct query *q, const struct xml *value)
{
	uint64_t place;
	enum stanza_error e = place_of(r, q, value->text, &place);

	if (e == 0)
		lower_next(q, place);
	return e;
}

static enum stanza_error
read_after(struct router *r, struct query *q, const struct xml *value)
{
	uint64_t place;
	enum stanza_error e = place_of(r, q, value->text, &place);

	if (e == 0)
		raise_first(q, place + 1);
	return e;
}

static int
place_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static enum stanza_error
read_ids(struct router *r, struct query *q, const struct xml *value)
{
	enum stanza_error e = 0;

	q->has_ids = true;
	q->ids = xrealloc(q->ids, IDS_MAX * sizeof(*q->ids));
	for (; value != NULL && e == 0;
	     value = xml_next(value, "value", NS_DATA)) {
		if (q->id_count == IDS_MAX)
			return STANZA_NOT_ACCEPTABLE;
		e = place_of(r, q, value->text, &q->ids[q->id_count++]);
	}
	if (e == 0)
		qsort(q->ids, q->id_count, sizeof(*q->ids), place_compare);
	return e;
}

/* None of what rooms say is here (4.1.4). */
static enum stanza_error
read_groupchat(struct router *r, struct query *q, const struct xml *value)
{
	(void)r, (void)q, (void)value;
	return 0;
}

static const struct {
	const char *var, *type;
	enum stanza_error (*read)(
	    struct router *r, struct query *q, const struct xml *value);
} fields[] = {
	{ "FORM_TYPE", "hidden", read_type },
	{ "with", "jid-single", read_with },
	{ "start", "text-single", read_start },
	{ "end", "text-single", read_end },
	{ "before-id", "text-single", read_before },
	{ "after-id", "text-single", read_after },
	{ "ids", "list-multi", read_ids },
	{ "include-groupchat", "boolean", read_groupchat },
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

/* 4.1.5: what isn't known is not passed over. */
static enum stanza_error
read_field(struct router *r, struct query *q, const struct xml *field)
{
	const char *var = xml_attr(field, "var");
	const struct xml *value = xml_child(field, "value", NS_DATA);

	if (var == NULL)
		return STANZA_BAD_REQUEST;
	for (size_t i = 0; i < FIELDS; i++)
		if (strcmp(fields[i].var, var) == 0)
			return value == NULL ? 0 : fields[i].read(r, q, value);
	return STANZA_FEATURE_NOT_IMPLEMENTED;
}

static enum stanza_error
read_form(struct router *r, struct query *q, const struct xml *request)
{
	const struct xml *x = xml_child(request, "x", NS_DATA), *field;
	const char *type = x == NULL ? NULL : xml_attr(x, "type");
	enum stanza_error e = 0;

	if (x == NULL)
		return 0;
	if (type == NULL || strcmp(type, "submit") != 0)
		return STANZA_BAD_REQUEST;
	field = xml_child(x, "field", NS_DATA);
	for (; field != NULL && e == 0;
	     field = xml_next(field, "field", NS_DATA))
		e = read_field(r, q, field);
	return e;
}

static enum stanza_error
query_read(struct router *r, const struct job *job, const struct xml *request,
    struct query *q)
{
	char *account = text_dup(job->to.local);

	*q = (struct query){ 0 };
	store_archive(r->env.store, account, &q->archive);
	free(account);
	q->range.first = q->archive.first;
	q->range.next = q->archive.next;
	q->queryid = xml_attr(request, "queryid");
	q->flip = xml_child(request, "flip-page", NS_MAM) != NULL;
	/* 6.1.4: nodes are a publish-subscribe service's. */
	if (xml_attr(request, "node") != NULL)
		return STANZA_ITEM_NOT_FOUND;
	q->rsm = rsm_read(request);
	return q->rsm.bad ? STANZA_BAD_REQUEST : read_form(r, q, request);
}

/* ---- the page ---------------------------------------------------------- */

/* What RSM makes of the range of the form. */
static enum stanza_error
page_range(struct router *r, struct query *q, struct archive_range *range)
{
	struct query within = *q;
	uint64_t place;
	enum stanza_error e;

	if (q->rsm.after != NULL) {
		e = place_of(r, q, q->rsm.after, &place);
		if (e != 0)
			return e;
		raise_first(&within, place + 1);
	}
	if (q->rsm.before != NULL && q->rsm.before[0] != '\0') {
		e = place_of(r, q, q->rsm.before, &place);
		if (e != 0)
			return e;
		lower_next(&within, place);
	}
	if (q->rsm.has_index) {
		if (!store_archive_skip(r->env.store, &q->archive, &q->range,
			q->rsm.index, &place))
			return STANZA_FEATURE_NOT_IMPLEMENTED;
		raise_first(&within, place == 0 ? q->range.next : place);
	}
	*range = within.range;
	range->newest = q->rsm.before != NULL;
	range->max = PAGE_USUAL;
	if (q->rsm.max != SIZE_MAX)
		range->max = q->rsm.max < PAGE_MAX ? q->rsm.max : PAGE_MAX;
	range->max_bytes = PAGE_BYTES;
	return 0;
}

static void
page_take(struct archive_page *page, const struct archive_range *range,
    struct archive_page *one)
{
	if (one->count == 0)
		return;
	if (page->count == range->max) {
		page->whole = false;
		return;
	}
	page->rows[page->count++] = one->rows[0];
	one->count = 0;
}

/* Those that were asked for by their ids. */
static void
page_of_ids(struct router *r, const struct query *q,
    const struct archive_range *range, struct archive_page *page)
{
	*page = (struct archive_page){ .whole = true };
	page->rows = xcalloc(range->max + 1, sizeof(*page->rows));
	for (size_t i = 0; i < q->id_count && page->whole; i++) {
		struct archive_range single = *range;
		struct archive_page one;

		if (q->ids[i] < range->first || q->ids[i] >= range->next ||
		    (i > 0 && q->ids[i] == q->ids[i - 1]))
			continue;
		single.first = q->ids[i];
		single.next = q->ids[i] + 1;
		single.max = 1;
		store_archive_page(r->env.store, &q->archive, &single, &one);
		page_take(page, range, &one);
		archive_page_clear(&one);
	}
}

/* ---- the answer -------------------------------------------------------- */

static void
send_row(struct router *r, struct job *job, const struct query *q,
    const struct archive_row *row)
{
	const struct dkey key = dkey_numbered(job, DKEY_TOLD, row->place);
	struct login *s = login_find(r, &job->f.sid);
	const struct forward f = { .stanza = { (const char *)row->stanza.data,
				       row->stanza.len },
		.time = row->time };
	char id[ARCHIVE_UID_TEXT];
	struct buf b = { 0 };

	archive_uid_text(row->uid, id);
	buf_add_str(&b, "<message");
	xml_add_attr_n(&b, "from", job->to.bare.data, job->to.bare.len);
	xml_add_attr(&b, "to", s->full);
	buf_add_str(&b, "><result xmlns='" NS_MAM "'");
	xml_add_attr(&b, "queryid", q->queryid);
	xml_add_attr(&b, "id", id);
	buf_add_str(&b, ">");
	forward_write(&b, &f);
	buf_add_str(&b, "</result></message>");
	tell(r, job, s, &key, &b);
	buf_clear(&b);
}

static void
send_page(struct router *r, struct job *job, const struct query *q,
    const struct archive_page *page)
{
	for (size_t i = 0; i < page->count; i++)
		send_row(
		    r, job, q, &page->rows[q->flip ? page->count - 1 - i : i]);
}

/* Its index and the count, where they are cheap to say (XEP-0059, 2.6). */
static void
count_page(struct router *r, const struct query *q, uint64_t first,
    struct rsm_page *out)
{
	struct archive_range before = q->range;
	struct store *store = r->env.store;
	uint64_t n = 0;

	out->no_count = q->has_ids ||
	    !store_archive_count(store, &q->archive, &q->range, &n);
	out->count = (size_t)n;
	before.next = first;
	out->no_index = q->has_ids || first == 0 ||
	    !store_archive_count(store, &q->archive, &before, &n);
	out->index = (size_t)n;
}

/* A search that found nothing yet says how far it is, to be gone on from. */
static void
send_fin(struct router *r, struct job *job, const struct query *q,
    const struct archive_page *page)
{
	char first[ARCHIVE_UID_TEXT], last[ARCHIVE_UID_TEXT];
	struct rsm_page rsm = { 0 };
	struct buf b = { 0 };

	if (page->count > 0) {
		archive_uid_text(page->rows[0].uid, first);
		archive_uid_text(page->rows[page->count - 1].uid, last);
		rsm.first = first;
		rsm.last = last;
	} else if (!page->whole && page->reached != 0) {
		archive_uid_text(page->reached_uid, first);
		rsm.first = rsm.last = first;
	}
	count_page(r, q, page->count > 0 ? page->rows[0].place : 0, &rsm);
	buf_add_str(&b, "<fin xmlns='" NS_MAM "'");
	xml_add_attr(&b, "queryid", q->queryid);
	if (page->whole)
		xml_add_attr(&b, "complete", "true");
	buf_add_str(&b, ">");
	rsm_write(&b, &rsm);
	buf_add_str(&b, "</fin>");
	reply_iq(r, job, &b, 0);
	buf_clear(&b);
}

static enum stanza_error
query_answer(struct router *r, struct job *job, struct query *q)
{
	struct archive_range range;
	struct archive_page page;
	enum stanza_error e = page_range(r, q, &range);

	if (e != 0)
		return e;
	if (q->has_ids)
		page_of_ids(r, q, &range, &page);
	else
		store_archive_page(r->env.store, &q->archive, &range, &page);
	send_page(r, job, q, &page);
	send_fin(r, job, q, &page);
	archive_page_clear(&page);
	return 0;
}

/* What was sent before is to be found, also what an earlier leader had not
 * archived yet: its frames come again (rule 9 of delivery(7)). */
static bool
is_settled(struct router *r, struct job *job)
{
	if (!r->grace_over)
		return job_wait(job, &r->unsettled);
	return archive_is_settled(r, job);
}

static enum stanza_error
query_set(struct router *r, struct job *job, const struct xml *request)
{
	struct query q;
	enum stanza_error e;

	if (report_any(job) || !login_is_there(login_find(r, &job->f.sid)))
		return 0;
	if (!is_settled(r, job))
		return IQ_WAITS;
	e = query_read(r, job, request, &q);
	if (e == 0)
		e = query_answer(r, job, &q);
	query_clear(&q);
	return e;
}

/* ---- the form and the metadata ----------------------------------------- */

/* 4.1.5; the ids are open: there is no list of all. */
static enum stanza_error
query_get(struct router *r, struct job *job, const struct xml *request)
{
	struct buf b = { 0 };

	(void)request;
	buf_add_str(&b,
	    "<query xmlns='" NS_MAM "'><x xmlns='" NS_DATA "' type='form'>");
	for (size_t i = 0; i < FIELDS; i++) {
		buf_add_str(&b, "<field");
		xml_add_attr(&b, "type", fields[i].type);
		xml_add_attr(&b, "var", fields[i].var);
		if (fields[i].read == read_type)
			buf_add_str(&b, "><value>" NS_MAM "</value></field>");
		else if (fields[i].read == read_ids)
			buf_add_str(&b,
			    "><validate xmlns='http://jabber.org/protocol/"
			    "xdata-validate' datatype='xs:string'><open/>"
			    "</validate></field>");
		else
			buf_add_str(&b, "/>");
	}
	buf_add_str(&b, "</x></query>");
	reply_iq(r, job, &b, 0);
	buf_clear(&b);
	return 0;
}

static void
write_end(struct router *r, const struct archive *a, bool newest, struct buf *b)
{
	const struct archive_range range = {
		.first = a->first, .next = a->next, .newest = newest, .max = 1
	};
	struct archive_page page;
	char id[ARCHIVE_UID_TEXT], stamp[32];

	store_archive_page(r->env.store, a, &range, &page);
	if (page.count == 1) {
		archive_uid_text(page.rows[0].uid, id);
		clock_stamp_ms(page.rows[0].time, stamp);
		buf_add_str(b, newest ? "<end" : "<start");
		xml_add_attr(b, "id", id);
		xml_add_attr(b, "timestamp", stamp);
		buf_add_str(b, "/>");
	}
	archive_page_clear(&page);
}

void
mam_write_metadata(struct router *r, const char *account, struct buf *b)
{
	struct archive a;

	store_archive(r->env.store, account, &a);
	buf_add_str(b, "<metadata xmlns='" NS_MAM "'>");
	write_end(r, &a, false, b);
	write_end(r, &a, true, b);
	buf_add_str(b, "</metadata>");
}

static enum stanza_error
metadata_get(struct router *r, struct job *job, const struct xml *request)
{
	struct buf b = { 0 };
	char *account;

	(void)request;
	if (!is_settled(r, job))
		return IQ_WAITS;
	account = text_dup(job->to.local);
	mam_write_metadata(r, account, &b);
	reply_iq(r, job, &b, 0);
	buf_clear(&b);
	free(account);
	return 0;
}

/* 8.1: an archive is its account's alone. */
static enum stanza_error
refuse(struct router *r, struct job *job, const struct xml *request)
{
	(void)r, (void)job, (void)request;
	return STANZA_FORBIDDEN;
}

#define QUERY "{" NS_MAM "}query"
#define METADATA "{" NS_MAM "}metadata"

static const struct iq_handler iqs[] = {
	{ TYPE_SET, AT_ACCOUNT, QUERY, query_set },
	{ TYPE_GET, AT_ACCOUNT, QUERY, query_get },
	{ TYPE_SET, AT_OTHER | AT_NOBODY, QUERY, refuse },
	{ TYPE_GET, AT_OTHER | AT_NOBODY, QUERY, refuse },
	{ TYPE_GET, AT_ACCOUNT, METADATA, metadata_get },
	{ TYPE_GET, AT_OTHER | AT_NOBODY, METADATA, refuse },
	{ 0 },
};
static const char *const features[] = { NS_MAM, NS_MAM "#extended",
	NS_MAM "#groupchat-field", NULL };

const struct extension xep_0313 = {
	.number = "XEP-0313",
	.account_features = features,
	.iqs = iqs,
};

/* XEP-0359, 5: forged ids are taken out where stanzas come in. */
static const char *const id_features[] = { NS_SID, NULL };

const struct extension xep_0359 = {
	.number = "XEP-0359",
	.server_features = id_features,
	.account_features = id_features,
};
