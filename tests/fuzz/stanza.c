/*
 * Stanzas as they travel, read as trees: one that is written back is read the
 * same again, also with something put into it.
 */
#include "common/stanza.h"

#include <string.h>

#include "tests/lib/fuzz.h"

static const char *const seeds[] = {
	"<message to='a@b' type='chat'><body>x &lt; y</body></message>",
	"<presence/>",
	("<iq id='1'><query xmlns='jabber:iq:roster'><item jid='a' name='&#9;'>"
	 "<group>g</group></item></query></iq>"),
	"<message xml:lang='de'><x xmlns='' xmlns:a='u' a:b='c'/>t</message>",
	NULL,
};

bool
fuzz_seed(size_t i, struct buf *b)
{
	return fuzz_text_seed(seeds, i, b);
}

static struct xml *
write_and_read(struct buf *b, const struct xml *x)
{
	struct xml *again;

	xml_write(b, x);
	again = xml_parse((const char *)b->data, b->len);
	fuzz_check(again != NULL, "what is written can be read");
	return again;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once = { 0 }, twice = { 0 }, more = { 0 };
	struct xml *x = xml_parse((const char *)data, size), *again;

	if (x == NULL)
		return 0;
	again = write_and_read(&once, x);
	xml_free(x);
	xml_write(&twice, again);
	fuzz_check(once.len == twice.len &&
		memcmp(once.data, twice.data, once.len) == 0,
	    "it stays the same when it is written again");
	xml_free(again);
	stanza_insert(
	    &more, once.data, once.len, "<delay xmlns='urn:xmpp:delay'/>");
	x = xml_parse((const char *)more.data, more.len);
	fuzz_check(x != NULL && xml_child(x, "delay", NS_DELAY) != NULL,
	    "what is put in is there");
	xml_free(x);
	buf_clear(&once);
	buf_clear(&twice);
	buf_clear(&more);
	return 0;
}
