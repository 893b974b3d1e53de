/*
 * Result set management (XEP-0059).
 */
#include "xmppd/router/rsm.h"

#include <stdint.h>

#include "common/strutil.h"

struct rsm
rsm_read(const struct xml *parent)
{
	const struct xml *set = xml_child(parent, "set", NS_RSM);
	struct rsm rsm = { .max = SIZE_MAX };
	const char *max, *index;
	uint64_t count;

	if (set == NULL)
		return rsm;
	rsm.there = true;
	max = xml_child_text(set, "max");
	if (max != NULL) {
		rsm.bad = !str_to_u64(max, 0, UINT32_MAX, &count);
		rsm.max = rsm.bad ? 0 : (size_t)count;
	}
	index = xml_child_text(set, "index");
	rsm.has_index = index != NULL;
	if (index != NULL && !str_to_u64(index, 0, UINT32_MAX, &rsm.index))
		rsm.bad = true;
	rsm.after = xml_child_text(set, "after");
	rsm.before = xml_child_text(set, "before");
	return rsm;
}

void
rsm_write(struct buf *b, const struct rsm_page *page)
{
	buf_add_str(b, "<set xmlns='" NS_RSM "'>");
	if (page->first != NULL) {
		buf_add_str(b, "<first");
		if (!page->no_index)
			buf_addf(b, " index='%zu'", page->index);
		buf_add_str(b, ">");
		xml_add_text(b, page->first);
		buf_add_str(b, "</first><last>");
		xml_add_text(b, page->last);
		buf_add_str(b, "</last>");
	}
	if (!page->no_count)
		buf_addf(b, "<count>%zu</count>", page->count);
	buf_add_str(b, "</set>");
}
