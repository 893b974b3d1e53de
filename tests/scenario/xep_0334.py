"""XEP-0334: message processing hints."""

import time

from scenario import case, check

BODY = "<body>hello</body>"
MAM = "urn:xmpp:mam:2"


def hint(name):
    return f"<{name} xmlns='urn:xmpp:hints'/>"


def archived(peer):
    peer.send(f"<iq type='set' id='mam'><query xmlns='{MAM}'/></iq>")
    came = peer.sync()
    return len([e for e in came if e.find("{%s}result" % MAM) is not None])


def waiting(s, user):
    peer = s.client(user)
    peer.present()
    count = 0
    for _ in range(5):   # a ping's answer may overtake it
        count += len([e for e in peer.sync() if e.tag.endswith("message")])
        time.sleep(0.02)
    return count, archived(peer)


def outcome(s, inner, kind="chat"):
    """How many are stored, archived by the recipient, and by the sender; and
    how many errors came."""
    a, b = s.user(), s.user()
    one = s.client(a)
    one.send(f"<message to='{b}@{s.domain}' type='{kind}'>{inner}</message>")
    # One that is refused comes behind it.
    one.send(f"<message to='{b}@{s.domain}/none' id='last'><body>b</body>"
             f"{hint('no-store')}</message>")
    errors = 0
    while one.read().get("id") != "last":
        errors += 1
    return (*waiting(s, b), archived(one), errors)


@case("4.1", "no-permanent-store: not in any archive")
def no_permanent_store(s):
    check(outcome(s, BODY) == (1, 1, 1, 0), "without a hint")
    came = outcome(s, BODY + hint("no-permanent-store"))
    check(came == (1, 0, 0, 0), came)


@case("4.2", "no-store: not stored either permanently or temporarily")
def no_store(s):
    came = outcome(s, BODY + hint("no-store"))
    check(came == (0, 0, 0, 1), came)


@case("4.4", "a message containing the <store/> hint that is not of type "
      "'error' SHOULD be stored")
def store(s):
    state = "<active xmlns='http://jabber.org/protocol/chatstates'/>"
    came = outcome(s, state)
    check(came == (0, 0, 0, 1), came)
    came = outcome(s, state + hint("store"))
    check(came == (1, 1, 1, 0), came)


@case("5", "hints within a stanza of type 'error' SHOULD be ignored")
def not_of_errors(s):
    came = outcome(s, BODY + hint("store"), "error")
    check(came == (0, 0, 0, 0), came)


@case("4.3", "no-copy: not copied to addresses other than the one it is "
      "addressed to")
def no_copy(s):
    a, b = s.user(), s.user()
    one, two, three = s.client(a), s.client(b, "two"), s.client(b, "three")
    three.iq("set", "<enable xmlns='urn:xmpp:carbons:2'/>")
    one.send(f"<message to='{two.jid}' type='chat'>{BODY}{hint('no-copy')}"
             "</message>")
    two.expect(f"<message>{BODY}{hint('no-copy')}</message>")
    three.expect_nothing()


@case("4.3", "it does not override the handling of messages to bare JIDs")
def no_copy_to_a_bare_address(s):
    a, b = s.user(), s.user()
    one, two, three = s.client(a), s.online(b, "two"), s.online(b, "three")
    two.sync()
    three.sync()
    one.send(f"<message to='{two.bare}' type='chat'>{BODY}{hint('no-copy')}"
             "</message>")
    for peer in (two, three):
        peer.expect(f"<message>{BODY}</message>")
