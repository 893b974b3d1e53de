#ifndef CALLBRIDGE_SERVICE_H
#define CALLBRIDGE_SERVICE_H

struct buf;
struct xml_stanza;

/*
 * What the Call Bridge answers to a stanza: disco, ping, version; errors for
 * what it doesn't offer. Writes the answer, or nothing where none is due. `jid`
 * is the Call Bridge's own address. Pure.
 */
void service_answer(
    const char *jid, const struct xml_stanza *s, struct buf *out);

#endif
