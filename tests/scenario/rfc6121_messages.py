"""RFC 6121, 8: which sessions a stanza goes to, or what becomes of it instead,
by kind, type and who is there (8.5.4's table, cell by cell)."""

import itertools
import time

from scenario import case, check

TYPES = ("normal", "chat", "groupchat", "headline")
BODY = "<body>hello</body>"
NEGATIVE = "<priority>-1</priority>"
ZERO, ONE = "<priority>0</priority>", "<priority>1</priority>"

numbers = itertools.count(1)


def say(s, ann, to, kind):
    """Sends a message, and says what the sender hears: D where it is delivered,
    E for an error, S for nothing."""
    name = "m%d" % next(numbers)
    ann.send(f"<message to='{to}' type='{kind}' id='{name}'>{BODY}</message>")
    came = ann.sync()
    errors = [e for e in came if e.get("id") == name]
    check(len(errors) == len(came) <= 1, "more came than an error")
    if errors:
        check(errors[0].get("type") == "error", "an error")
        check(errors[0].find(
            "{jabber:client}error/{urn:ietf:params:xml:ns:xmpp-stanzas}"
            "service-unavailable") is not None, "service-unavailable")
    return "E" if errors else "S", name


def got(peer, name):
    """Whether the peer was sent that message."""
    return any(e.get("id") == name for e in peer.sync())


def stored(s, user, name):
    """Whether it waits for the user; takes it out."""
    peer = s.client(user)
    peer.send("<presence/>")
    waited = False
    for _ in range(20):   # a ping's answer may overtake it
        waited = waited or got(peer, name)
        if waited:
            break
        time.sleep(0.02)
    peer.shut()
    s.peers.remove(peer)
    return waited


def play(s, rows, resource, *others):
    """rows: of types by address, what may become of each: D: the first of the
    others gets it; A: all that may; O: stored; E: an error; S: nothing."""
    ann, user = s.client("ann"), others[0]
    peers = [p for p in others[1:]]
    for kind, allowed in zip(TYPES, rows):
        to = user + "@" + s.domain + resource
        heard, name = say(s, ann, to, kind)
        who = [p.label for p in peers if got(p, name)]
        said = "D" if who else heard
        if not who and heard == "S" and not any(
                p.open_for_messages for p in peers) and "O" in allowed:
            said = "O" if stored(s, user, name) else "S"
        check(said in allowed, "%s to %s: %s, not %s (%s)" % (
            kind, resource or "bare", said, allowed, who))
        yield kind, who


def listening(peer, takes):
    peer.open_for_messages = takes
    return peer


# ---- 8.5.1 ----------------------------------------------------------------


@case("8.5.1", "no such user: the server MUST either silently ignore the "
      "message or return an error")
def nobody(s):
    ann = s.client("ann")
    for resource in ("", "/x"):
        for kind in TYPES:
            heard, _ = say(s, ann, "nobody@%s%s" % (s.domain, resource), kind)
            check(heard in "ES", kind)


@case("8.5.1", "an IQ for no such user: service-unavailable")
def iq_for_nobody(s):
    ann = s.client("ann")
    for to in ("nobody@" + s.domain, "nobody@%s/x" % s.domain):
        ann.send(f"<iq type='get' id='1' to='{to}'><x xmlns='urn:x'/></iq>")
        ann.expect_error("service-unavailable", id="1")


# ---- no resources: 8.5.2.2, 8.5.3.2 ---------------------------------------


@case("8.5.2.2.1", "nobody is there: normal and chat are stored or refused, "
      "groupchat refused, headlines silently ignored")
def bare_and_nobody_there(s):
    user = s.user()
    list(play(s, ("OE", "OE", "E", "S"), "", user))


@case("8.5.3.2.1", "a full JID that nobody has, and nobody else: chat is "
      "stored or refused, the others are ignored or refused")
def full_and_nobody_there(s):
    user = s.user()
    list(play(s, ("ES", "OE", "ES", "ES"), "/none", user))


@case("8.5.2.2.1", "errors to nobody are silently ignored")
def errors_are_ignored(s):
    ann, user = s.client("ann"), s.user()
    for resource in ("", "/none"):
        ann.send(f"<message to='{user}@{s.domain}{resource}' type='error' "
                 f"id='1'>{BODY}<store xmlns='urn:xmpp:hints'/></message>")
        ann.expect_nothing()
    check(not stored(s, user, "1"), "it was stored")


@case("8.5.2.2.1", "connected resources without presence are not available")
def connected_is_not_available(s):
    user = s.user()
    silent = listening(s.client(user, "silent"), False)
    list(play(s, ("OE", "OE", "E", "S"), "", user))
    silent.expect_nothing()


# ---- negative priorities --------------------------------------------------


@case("8.5.2.1.1", "MUST NOT deliver to the bare JID where all priorities are "
      "negative")
def bare_and_negative(s):
    user = s.user()
    shy = listening(s.online(user, "shy", NEGATIVE), False)
    for _, who in play(s, ("OE", "OE", "E", "S"), "", user, shy):
        check(not who, "delivered")


@case("8.5.3.1", "a full JID is delivered to whatever the priority")
def full_and_negative(s):
    user = s.user()
    shy = listening(s.online(user, "shy", NEGATIVE), True)
    list(play(s, "DDDD", "/shy", user, shy))


@case("8.5.3.2.1", "a full JID that nobody has, and only negative priorities")
def other_full_and_negative(s):
    user = s.user()
    shy = listening(s.online(user, "shy", NEGATIVE), False)
    for _, who in play(s, ("ES", "OE", "ES", "ES"), "/none", user, shy):
        check(not who, "delivered")


# ---- one, and several -----------------------------------------------------


@case("8.5.2.1.1", "one resource: normal, chat and headline go to it, "
      "groupchat is refused")
def bare_and_one(s):
    user = s.user()
    one = listening(s.online(user, "one", ONE), True)
    list(play(s, "DDED", "", user, one))


@case("8.5.3.1", "a full JID that somebody has: it is delivered to that one")
def full_match(s):
    user = s.user()
    one = listening(s.online(user, "one", ONE), True)
    two = listening(s.online(user, "two", ZERO), True)
    one.sync()
    for _, who in play(s, "DDDD", "/two", user, one, two):
        check(who == [two.label], who)


@case("8.5.3.1", "a connected resource has a full JID as well")
def full_match_without_presence(s):
    user = s.user()
    silent = listening(s.client(user, "silent"), True)
    list(play(s, "DDDD", "/silent", user, silent))


@case("8.5.3.2.1", "a full JID that nobody has, and somebody there: chat goes "
      "as to the bare JID, the others MUST NOT be delivered")
def other_full_and_one(s):
    user = s.user()
    one = listening(s.online(user, "one", ONE), True)
    for kind, who in play(s, ("ES", "D", "ES", "ES"), "/none", user, one):
        check(not who or kind == "chat", kind)


@case("8.5.2.1.1", "several: to the most available or to all; headlines to "
      "all; never to a negative one")
def bare_and_several(s):
    user = s.user()
    one = listening(s.online(user, "one", ONE), True)
    two = listening(s.online(user, "two", ZERO), True)
    shy = listening(s.online(user, "shy", NEGATIVE), False)
    for peer in (one, two):
        peer.sync()
    for kind, who in play(s, "DDED", "", user, one, two, shy):
        check(shy.label not in who, "to a negative priority")
        if kind == "headline":
            check(set(who) == {one.label, two.label}, who)
        elif who:
            check(one.label in who, who)


@case("8.5.3.2.1", "a full JID that nobody has, and several there")
def other_full_and_several(s):
    user = s.user()
    one = listening(s.online(user, "one", ONE), True)
    two = listening(s.online(user, "two", ZERO), True)
    one.sync()
    for kind, who in play(s, ("ES", "D", "ES", "ES"), "/none", user, one, two):
        check(not who or kind == "chat", kind)


# ---- 8.1, 8.3 -------------------------------------------------------------


@case("5.2.2", "a message without type, or of an unknown one, is a normal one")
def types_that_are_not_known(s):
    ann, user = s.client("ann"), s.user()
    one = s.online(user, "one")
    for attr in ("", " type='unheard-of'"):
        ann.send(f"<message to='{one.bare}'{attr}>{BODY}</message>")
        one.expect(f"<message from='{ann.jid}'>{BODY}</message>")


@case("8.1.1.1", "a message without 'to' is for the sender's own account")
def to_oneself(s):
    user = s.user()
    one, two = s.online(user, "one"), s.online(user, "two")
    one.sync()
    two.sync()
    one.send(f"<message type='chat'>{BODY}</message>")
    two.expect(f"<message from='{one.jid}' type='chat'>{BODY}</message>")


# ---- IQs ------------------------------------------------------------------

QUESTION = "<query xmlns='urn:question'/>"


@case("8.5.2.1.3", "an IQ for a bare JID is answered by the server: never "
      "delivered")
def iq_to_a_bare_address(s):
    s.friends("amy", "ben")
    amy, ben = s.online("amy", "a"), s.online("ben", "b")
    ben.sync()
    amy.sync()
    amy.send(f"<iq type='get' id='1' to='{ben.bare}'>{QUESTION}</iq>")
    amy.expect_error("service-unavailable", id="1")
    ben.expect_nothing()


@case("8.5.3.1", "an IQ for a full JID is delivered")
def iq_to_a_full_address(s):
    s.friends("amy", "ben")
    amy, ben = s.online("amy", "a"), s.online("ben", "b")
    ben.sync()
    amy.sync()
    amy.send(f"<iq type='get' id='1' to='{ben.jid}'>{QUESTION}</iq>")
    ben.expect(f"<iq type='get' id='1' from='{amy.jid}'>{QUESTION}</iq>")
    ben.send(f"<iq type='result' id='1' to='{amy.jid}'/>")
    amy.expect(f"<iq type='result' id='1' from='{ben.jid}'/>")


@case("8.5.3.2.3", "an IQ for a full JID that nobody has: "
      "service-unavailable")
def iq_to_a_free_address(s):
    s.friends("amy", "ben")
    amy = s.client("amy", "a")
    amy.send(f"<iq type='get' id='1' to='ben@{s.domain}/none'>{QUESTION}"
             "</iq>")
    amy.expect_error("service-unavailable", id="1")


@case("8.5.3.1", "if the intended recipient does not share presence with the "
      "requesting entity, the server SHOULD NOT deliver the IQ stanza but "
      "SHOULD return service-unavailable", ours=True)
def iq_of_a_stranger(s):
    ann, user = s.online("ann", "a"), s.user()
    there = s.online(user, "there")
    for to in (there.jid, there.bare + "/none"):
        ann.send(f"<iq type='get' id='1' to='{to}'>{QUESTION}</iq>")
        ann.expect_error("service-unavailable", id="1", from_=to)
    there.expect_nothing()
    # By directed presence it does.
    there.send(f"<presence to='{ann.jid}'/>")
    ann.expect(f"<presence from='{there.jid}'/>")
    ann.send(f"<iq type='get' id='2' to='{there.jid}'>{QUESTION}</iq>")
    there.expect(f"<iq id='2' from='{ann.jid}'/>")
    there.send(f"<presence to='{ann.jid}' type='unavailable'/>")
    ann.expect(f"<presence from='{there.jid}' type='unavailable'/>")
    ann.send(f"<iq type='get' id='3' to='{there.jid}'>{QUESTION}</iq>")
    ann.expect_error("service-unavailable", id="3")
