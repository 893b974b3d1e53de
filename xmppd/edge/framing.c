/*
 * Elements that the edge has written itself, cut apart. They are what its own
 * serializer gives: tags, attributes in quotes, escaped text; no CDATA, no
 * comments.
 */
#include "xmppd/edge/framing.h"

#include <string.h>

#include "common/stanza.h"

#define PREFIX "stream:"

/* Behind the ">" of the tag at `at`. */
static size_t
tag_end(struct text run, size_t at)
{
	char quote = '\0';

	for (; at < run.len; at++) {
		char c = run.data[at];

		if (quote != '\0' && c == quote)
			quote = '\0';
		else if (quote != '\0')
			continue;
		else if (c == '"' || c == '\'')
			quote = c;
		else if (c == '>')
			return at + 1;
	}
	return run.len;
}

/* Behind the end of the element that the run begins with. */
static size_t
element_end(struct text run)
{
	size_t at = 0, end, depth = 0;
	const char *tag;

	do {
		tag = memchr(run.data + at, '<', run.len - at);
		if (tag == NULL)
			return run.len;
		at = (size_t)(tag - run.data);
		end = tag_end(run, at);
		if (end - at >= 2 && tag[1] == '/')
			depth--;
		else if (end - at < 3 || run.data[end - 2] != '/')
			depth++;
		at = end;
	} while (depth > 0 && at < run.len);
	return at;
}

/* What the stream would have declared. */
static const char *
declaration(struct text name)
{
	static const char *const stanzas[] = { "message", "presence", "iq" };

	if (name.len > strlen(PREFIX) &&
	    memcmp(name.data, PREFIX, strlen(PREFIX)) == 0)
		return " xmlns:stream='" NS_STREAM "'";
	for (size_t i = 0; i < sizeof(stanzas) / sizeof(stanzas[0]); i++)
		if (text_is(name, stanzas[i]))
			return " xmlns='" NS_CLIENT "'";
	return ""; /* it has its own */
}

bool
framing_next(struct text *run, struct buf *out)
{
	struct text name;
	size_t end;

	buf_reset(out);
	if (run->len < 2 || run->data[0] != '<')
		return false;
	name.data = run->data + 1;
	name.len = 0;
	while (name.len < run->len - 1 &&
	    strchr(" />", name.data[name.len]) == NULL)
		name.len++;
	end = element_end(*run);
	buf_add(out, run->data, 1 + name.len);
	buf_add_str(out, declaration(name));
	buf_add(out, name.data + name.len, end - 1 - name.len);
	run->data += end;
	run->len -= end;
	return true;
}
