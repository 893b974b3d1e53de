/*
 * Result set management (XEP-0059).
 */
#include "xmppd/router/rsm.h"

#include <stdint.h>

#include "common/strutil.h"

#define NS_RSM "http://jabber.org/protocol/rsm"

struct rsm
rsm_read(const struct xml *parent)
{
	const struct xml *set = xml_child(parent, "set", NS_RSM);
	struct rsm rsm = { .max = SIZE_MAX };
	const char *max;
	uint64_t count;

	if (set == NULL)
		return rsm;
	rsm.there = true;
	max = xml_child_text(set, "max");
	if (max != NULL) {
		rsm.bad = !str_to_u64(max, 0, UINT32_MAX, &count);
		rsm.max = rsm.bad ? 0 : (size_t)count;
	}
	rsm.after = xml_child_text(set, "after");
	rsm.before = xml_child_text(set, "before");
	return rsm;
}

void
rsm_write(struct buf *b, const struct rsm_page *page)
{
	buf_add_str(b, "<set xmlns='" NS_RSM "'>");
	if (page->first != NULL) {
		buf_addf(b, "<first index='%zu'>", page->index);
		xml_add_text(b, page->first);
		buf_add_str(b, "</first><last>");
		xml_add_text(b, page->last);
		buf_add_str(b, "</last>");
	}
	buf_addf(b, "<count>%zu</count></set>", page->count);
}
