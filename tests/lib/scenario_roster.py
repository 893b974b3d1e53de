"""What the cases of RFC 6121 share: rosters, pushes, and what comes of a
stanza, sorted."""

import time

from scenario import CLIENT, check, show

ROSTER = "jabber:iq:roster"
QUERY = "{%s}query" % ROSTER
GROUP = "{%s}group" % ROSTER
EARLIER = {}


def item_of(element):
    """What an <item/> says, as it is compared."""
    groups = frozenset(g.text for g in element.iter(GROUP))
    return (element.get("subscription", "none"), element.get("ask"),
            element.get("name") or None, groups)


def items_of(query):
    return {i.get("jid"): item_of(i) for i in query
            if not i.get("jid").startswith("barrier@")}


def get(peer, ver=None):
    """The roster, by JID; the peer is interested from now on. With a version:
    what came of it, None if nothing."""
    answer = peer.iq("get", "<query xmlns='%s'%s/>" % (
        ROSTER, "" if ver is None else " ver='%s'" % ver))
    check(answer.get("type") == "result", show(answer))
    query = answer.find(QUERY)
    peer.ver = None if query is None else query.get("ver")
    return None if query is None else items_of(query)


def put(peer, jid, inside="", name=None, more=""):
    """Sets an item; the answer. What comes before that is left to drain()."""
    id_ = peer.new_id()
    peer.send("<iq type='set' id='%s'><query xmlns='%s'><item jid='%s'%s%s>%s"
              "</item></query></iq>" % (
                  id_, ROSTER, jid, "" if name is None else
                  " name='%s'" % name, more, inside))
    before = EARLIER.setdefault(peer, [])
    while True:
        element = peer.read()
        check(element is not None, "%s: no answer" % peer.label)
        if element.get("id") == id_ and not is_push(element):
            return element
        before.append(element)


def remove(peer, jid):
    return put(peer, jid, more=" subscription='remove'")


def is_push(element):
    return (element.tag == "{%s}iq" % CLIENT and element.get("type") == "set"
            and element.find(QUERY) is not None)


def pushes(elements):
    """Of elements that came: the pushed items (2.1.6: exactly one in each),
    by JID, the newest of each."""
    found = {}
    for element in elements:
        if is_push(element) and not is_barrier(element):
            query = element.find(QUERY)
            check(len(query) == 1, "not one item: " + show(element))
            found[query[0].get("jid")] = item_of(query[0])
    return found


def presences(elements):
    """(type, from) of each presence; the type of an available one is ''."""
    return [(e.get("type", ""), e.get("from")) for e in elements
            if e.tag.endswith("}presence")]


def interested(s, user, resource=None, inside=""):
    """Online, and it has asked for its roster."""
    peer = s.client(user, resource)
    get(peer)
    return peer.present(inside)


def read_until(peer, name, came):
    """Reads up to the stanza with that id, and drops that."""
    while True:
        element = peer.read()
        check(element is not None, "%s: %s didn't come" % (peer.label, name))
        if element.get("id") == name:
            return
        came.append(element)


def is_barrier(element):
    return is_push(element) and element.find(QUERY)[0].get(
        "jid").startswith("barrier@")


def drain(*peers):
    """What has come to each, after all that any of them had sent was seen to.
    A ping's answer may overtake what was sent before to somebody else; but
    presence is handled in order, and so are the changes of a roster. (Of other
    servers it is only known that they are quick.)"""
    came = [EARLIER.pop(peer, []) for peer in peers]
    if peers[0].server.name != "ours":
        for _ in range(2):
            for number, peer in enumerate(peers):
                came[number] += peer.sync()
            time.sleep(0.05)
    else:
        for number, peer in enumerate(peers):
            name = peer.new_id()
            peer.send("<presence id='%s' from='%s' to='%s'/>" % (
                name, peer.jid, peer.jid))
            read_until(peer, name, came[number])
        for number, peer in enumerate(peers):
            if peer.content != CLIENT:
                continue
            name = peer.new_id()
            peer.send("<iq type='set' id='%s'><query xmlns='%s'><item jid="
                      "'barrier@%s'/></query></iq>" % (
                          name, ROSTER, peer.domain))
            read_until(peer, name, came[number])
    for number, peer in enumerate(peers):
        came[number] = [e for e in came[number] + peer.sync()
                        if not is_barrier(e)]
    return came[0] if len(peers) == 1 else came
