/*
 * What clients say, through a small cluster: nothing breaks, and every stanza
 * that anybody gets can be read. An input is lines: who speaks (a to d), then
 * the stanza; L: the leader changes; T: a second passes; O: a leaves.
 */
#include <stdlib.h>
#include <string.h>

#include "common/jid.h"
#include "common/stanza.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "tests/lib/fuzz.h"
#include "tests/lib/router_world.h"

#define LINES_MAX 20

static const char *const seeds[] = {
	("a<presence/>\nb<presence/>\na<message to='bob@example.org'>"
	 "<body>x</body></message>\nL\nb<message to='ann@example.org/x'/>"),
	("a<presence to='bob@example.org' type='subscribe'/>\n"
	 "b<presence to='ann@example.org' type='subscribed'/>\nb<presence/>\n"
	 "b<presence type='unavailable'/>\na<presence to='bob@example.org' "
	 "type='unsubscribe'/>"),
	("a<iq id='1' type='get'><query xmlns='jabber:iq:roster'/></iq>\n"
	 "a<iq id='2' type='set'><query xmlns='jabber:iq:roster'><item "
	 "jid='bob@example.org' name='B'><group>g</group></item></query></iq>\n"
	 "a<iq id='3' type='set'><query xmlns='jabber:iq:roster'><item "
	 "jid='bob@example.org' subscription='remove'/></query></iq>"),
	("c<message from='x@cb1.example.org' to='ann@example.org' type='chat'>"
	 "<body>x</body></message>\nO\nc<message from='cb1.example.org' "
	 "to='ann@example.org'><body>y</body></message>\nT\nT"),
	("a<iq id='1' type='get' to='example.org'><query "
	 "xmlns='http://jabber.org/protocol/disco#info'/></iq>\n"
	 "a<iq id='2' type='get' to='cb1.example.org'><ping "
	 "xmlns='urn:xmpp:ping'/></iq>\nc<iq id='2' type='result' "
	 "from='cb1.example.org' to='ann@example.org/x'/>\n"
	 "a<iq id='3' type='get'><query xmlns='jabber:iq:version'/></iq>"),
	NULL,
};

bool
fuzz_seed(size_t i, struct buf *b)
{
	return fuzz_text_seed(seeds, i, b);
}

struct talk {
	struct world *world;
	struct client *clients[4]; /* NULL: has left */
};

static void
begin(struct talk *t)
{
	t->world = world_new(3);
	world_account(t->world, "ann");
	world_account(t->world, "bob");
	world_component(t->world, "cb1");
	world_run(t->world);
	t->clients[0] = world_join(t->world, 0, "ann@example.org/x", NULL);
	t->clients[1] = world_join(t->world, 1, "bob@example.org/y", NULL);
	t->clients[2] = world_join(t->world, 2, "cb1.example.org", NULL);
	t->clients[3] = world_join(t->world, 2, "ann@example.org/z", NULL);
}

static bool
is_prepared(const char *address)
{
	struct jid j;
	bool same;

	if (jid_parse(address, strlen(address), &j) != RES_OK)
		return false;
	same = strcmp(j.full, address) == 0;
	jid_clear(&j);
	return same;
}

static size_t
count(const char *text, char of)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == of;
	return n;
}

/* What an edge lets through, roughly (RFC 6120, 8.1 and 8.2.3). */
static bool
is_sayable(const struct xml *x, bool component)
{
	const char *to = xml_attr(x, "to"), *from = xml_attr(x, "from");
	bool iq = strcmp(x->name, "iq") == 0;

	if ((to != NULL || component) && (to == NULL || !is_prepared(to)))
		return false;
	if (component &&
	    (from == NULL || !is_prepared(from) ||
		!str_ends(from, "cb1." WORLD_DOMAIN)))
		return false;
	return !iq ||
	    (xml_attr(x, "id") != NULL && xml_attr(x, "type") != NULL &&
		x->children != NULL && x->children->next == NULL);
}

static void
say(struct talk *t, size_t who, const char *stanza)
{
	struct buf b = { 0 };
	struct xml *x;

	/* The stream's parser has limits, and a target of its own. */
	if (count(stanza, '<') > 20 || count(stanza, '=') > 20)
		return;
	x = xml_parse(stanza, strlen(stanza));
	if (x != NULL && t->clients[who] != NULL &&
	    (strcmp(x->name, "message") == 0 || strcmp(x->name, "iq") == 0 ||
		strcmp(x->name, "presence") == 0) &&
	    is_sayable(x, who == 2)) {
		xml_write(&b, x);
		client_say(t->clients[who], buf_str(&b));
	}
	buf_clear(&b);
	xml_free(x);
}

static void
step(struct talk *t, const char *line)
{
	if (*line >= 'a' && *line <= 'd') {
		say(t, (size_t)(*line - 'a'), line + 1);
	} else if (*line == 'L') {
		world_elect(t->world, t->world->nodes[0].router == NULL ? 0 : 1,
		    4, 100);
	} else if (*line == 'T') {
		world_wait(t->world, 1000);
	} else if (*line == 'O' && t->clients[0] != NULL) {
		client_leave(t->clients[0]);
		t->clients[0] = NULL;
	}
	fuzz_check(world_run(t->world), "it comes to rest");
}

static void
check_received(struct client *c)
{
	struct xml *x;
	const char *text;

	while (c != NULL && *(text = client_next(c)) != '\0') {
		x = xml_parse(text, strlen(text));
		fuzz_check(x != NULL, "what a client gets can be read");
		xml_free(x);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct talk t;
	char *copy = xmalloc(size + 1), *rest = copy, *line;

	memcpy(copy, size == 0 ? (const uint8_t *)"" : data, size);
	copy[size] = '\0';
	begin(&t);
	for (int i = 0; i < LINES_MAX; i++) {
		line = strsep(&rest, "\n");
		if (line == NULL)
			break;
		step(&t, line);
	}
	for (size_t i = 0; i < 4; i++)
		check_received(t.clients[i]);
	fuzz_check(t.world->problem[0] == '\0', t.world->problem);
	world_free(t.world);
	free(copy);
	return 0;
}
