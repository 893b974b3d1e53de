"""RFC 6121, 3 and Appendix A: subscriptions to presence."""

from scenario import case, check, show
from scenario_roster import (
    drain, get, interested, is_push, presences, pushes, put, remove)

# ---- Appendix A -----------------------------------------------------------

NONE, NONE_OUT = "None", "None+Out"
NONE_IN, NONE_BOTH = "None+In", "None+Out+In"
TO, TO_IN, FROM, FROM_OUT, BOTH = "To", "To+In", "From", "From+Out", "Both"
STATES = (NONE, NONE_OUT, NONE_IN, NONE_BOTH, TO, TO_IN, FROM, FROM_OUT, BOTH)

# What the roster says of a state: subscription, ask; whether a request waits.
SAYS = {
    NONE: ("none", None, False), NONE_OUT: ("none", "subscribe", False),
    NONE_IN: ("none", None, True), NONE_BOTH: ("none", "subscribe", True),
    TO: ("to", None, False), TO_IN: ("to", None, True),
    FROM: ("from", None, False), FROM_OUT: ("from", "subscribe", False),
    BOTH: ("both", None, False),
}
# The same state as the other side has it.
MIRROR = {
    NONE: NONE, NONE_OUT: NONE_IN, NONE_IN: NONE_OUT, NONE_BOTH: NONE_BOTH,
    TO: FROM, FROM: TO, TO_IN: FROM_OUT, FROM_OUT: TO_IN, BOTH: BOTH,
}
# How a user gets there: < what the contact sends, > what the user does.
WAYS = {
    NONE: (), NONE_OUT: (">subscribe",), NONE_IN: ("<subscribe",),
    NONE_BOTH: (">subscribe", "<subscribe"),
    TO: (">subscribe", "<subscribed"),
    TO_IN: (">subscribe", "<subscribed", "<subscribe"),
    FROM: ("<subscribe", ">subscribed"),
    FROM_OUT: ("<subscribe", ">subscribed", ">subscribe"),
    BOTH: (">subscribe", "<subscribed", "<subscribe", ">subscribed"),
}
# By state: whether it is routed, and the state after; in the order of STATES.
OUTBOUND = {
    "subscribe": (                                             # A.2.1
        (True, NONE_OUT), (True, NONE_OUT), (True, NONE_BOTH),
        (True, NONE_BOTH), (True, TO), (True, TO_IN), (True, FROM_OUT),
        (True, FROM_OUT), (True, BOTH)),
    "unsubscribe": (                                           # A.2.2
        (True, NONE), (True, NONE), (True, NONE_IN), (True, NONE_IN),
        (True, NONE), (True, NONE_IN), (True, FROM), (True, FROM),
        (True, FROM)),
    "subscribed": (                                            # A.2.3
        (False, NONE), (False, NONE_OUT), (True, FROM), (True, FROM_OUT),
        (False, TO), (True, BOTH), (False, FROM), (False, FROM_OUT),
        (False, BOTH)),
    "unsubscribed": (                                          # A.2.4
        (False, NONE), (False, NONE_OUT), (True, NONE), (True, NONE_OUT),
        (False, TO), (True, TO), (True, NONE), (True, NONE_OUT),
        (True, TO)),
}
# By state: whether it is delivered, and the state after.
INBOUND = {
    "subscribe": (                                             # A.3.1
        (True, NONE_IN), (True, NONE_BOTH), (False, NONE_IN),
        (False, NONE_BOTH), (True, TO_IN), (False, TO_IN), (False, FROM),
        (False, FROM_OUT), (False, BOTH)),
    "unsubscribe": (                                           # A.3.2
        (False, NONE), (False, NONE_OUT), (True, NONE), (True, NONE_OUT),
        (False, TO), (True, TO), (True, NONE), (True, NONE_OUT),
        (True, TO)),
    "subscribed": (                                            # A.3.3
        (False, NONE), (True, TO), (False, NONE_IN), (True, TO_IN),
        (False, TO), (False, TO_IN), (False, FROM), (True, BOTH),
        (False, BOTH)),
    "unsubscribed": (                                          # A.3.4
        (False, NONE), (True, NONE), (False, NONE_IN), (True, NONE_IN),
        (True, NONE), (True, NONE_IN), (False, FROM), (True, FROM),
        (True, FROM)),
}
TYPES = ("subscribe", "unsubscribe", "subscribed", "unsubscribed")


def say(peer, type_, to, from_=None):
    peer.send("<presence type='%s' to='%s'%s/>" % (
        type_, to, "" if from_ is None else " from='%s'" % from_))


def subscriptions(elements):
    """(type, from, to); `to` may be made that of the very session."""
    return [(e.get("type"), e.get("from"), e.get("to").split("/")[0])
            for e in elements
            if e.tag.endswith("}presence") and e.get("type") in TYPES]


def about(elements, jid):
    """Those that a component is sent for one of its addresses; for others it
    is sent again what it has not answered."""
    return [v for v in subscriptions(elements) if v[2] == jid]


class Rows:
    """One user, and a contact at a component for each of the nine states."""

    def __init__(self, s):
        self.s, self.user = s, s.user()
        self.gate = s.component("gate")
        self.client = interested(s, self.user, "desk")
        self.deaf = s.client(self.user, "deaf").present()
        self.contacts = {
            state: "s%d.%s@%s" % (number, self.user, self.gate.jid)
            for number, state in enumerate(STATES)}
        for state, contact in self.contacts.items():
            for step in WAYS[state]:
                if step[0] == ">":
                    say(self.client, step[1:], contact)
                    drain(self.client)
                else:
                    say(self.gate, step[1:], self.client.bare, contact)
                    drain(self.gate)
        drain(self.client, self.gate, self.deaf)

    def check_states(self, expected):
        """The roster, and which requests a further login is sent."""
        roster, waiting = get(self.client), set()
        later = self.s.client(self.user, "later").present()
        for type_, from_, _ in subscriptions(drain(later)):
            check(type_ == "subscribe" and from_ not in waiting,
                  "%s of %s" % (type_, from_))
            waiting.add(from_)
        for state, after in zip(STATES, expected):
            contact = self.contacts[state]
            says = roster.get(contact, ("none", None))[:2]
            check(says + (contact in waiting,) == SAYS[after],
                  "after %s: %s, %s; should be %s" % (
                      state, says, contact in waiting, after))


def check_push(state, after, contact, pushed):
    """What the roster shows of a change is pushed; that something is as it was
    may be."""
    changed = SAYS[state][:2] != SAYS[after][:2]
    if contact in pushed:
        check(pushed[contact][:2] == SAYS[after][:2], "pushed in %s: %s" % (
            state, pushed))
    check(not changed or contact in pushed, "no push in " + state)
    check(set(pushed) <= {contact}, "pushed in %s: %s" % (state, pushed))


def outbound(type_):
    def play(s):
        rows = Rows(s)
        for state, (routed, after) in zip(STATES, OUTBOUND[type_]):
            contact = rows.contacts[state]
            say(rows.client, type_, contact)
            mine, theirs, deaf = drain(rows.client, rows.gate, rows.deaf)
            expected = [(type_, rows.client.bare, contact)] if routed else []
            check(about(theirs, contact) == expected, "%s: %s" % (
                state, subscriptions(theirs)))
            check_push(state, after, contact, pushes(mine))
            check(not pushes(deaf), "a push to who isn't interested")
        rows.check_states([after for _, after in OUTBOUND[type_]])
    return play


def inbound(type_):
    def play(s):
        rows = Rows(s)
        for state, (delivered, after) in zip(STATES, INBOUND[type_]):
            contact = rows.contacts[state]
            say(rows.gate, type_, rows.client.bare, contact)
            theirs, mine, deaf = drain(rows.gate, rows.client, rows.deaf)
            expected = [(type_, contact, rows.client.bare)]
            expected = expected if delivered else []
            check(subscriptions(mine) == expected, "%s: %s" % (
                state, subscriptions(mine)))
            check_push(state, after, contact, pushes(mine))
            check(not pushes(deaf), "a push to who isn't interested")
            answers = about(theirs, contact)
            check(all(a == ("subscribed", rows.client.bare, contact)
                      for a in answers), answers)
            check(not answers or type_ == "subscribe" and
                  SAYS[state][0] in ("from", "both"), answers)
        rows.check_states([after for _, after in INBOUND[type_]])
    return play


def between(type_):
    """Both sides are accounts of this server: A.2 for the one, A.3 for the
    other."""
    def play(s):
        user = s.user()
        ann = interested(s, user)
        peers, rosters = {}, {}
        for state in STATES:
            peer = peers[state] = interested(s, s.user())
            for step in WAYS[state]:
                one, other = (ann, peer) if step[0] == ">" else (peer, ann)
                say(one, step[1:], other.bare)
                drain(one, other)
        drain(ann, *peers.values())
        for state, (routed, after) in zip(STATES, OUTBOUND[type_]):
            bob, inverse = peers[state], MIRROR[state]
            delivered, other = INBOUND[type_][STATES.index(inverse)]
            say(ann, type_, bob.bare)
            mine, theirs = drain(ann, bob)
            expected = [(type_, ann.bare, bob.bare)]
            expected = expected if routed and delivered else []
            check(subscriptions(theirs) == expected, "%s: %s" % (
                state, subscriptions(theirs)))
            check_push(state, after, bob.bare, pushes(mine))
            check_push(inverse, other if routed else inverse, ann.bare,
                       pushes(theirs))
            rosters[state] = (after, other if routed else inverse)
        mine = get(ann)
        for state, (after, other) in rosters.items():
            bob = peers[state]
            check(mine.get(bob.bare, ("none", None))[:2] == SAYS[after][:2],
                  "%s: %s" % (state, mine.get(bob.bare)))
            theirs = get(bob).get(ann.bare, ("none", None))[:2]
            check(theirs == SAYS[other][:2], "%s: %s" % (state, theirs))
    return play


outbound_subscribe = case(
    "A.2.1", "processing of outbound \"subscribe\" stanzas, by state")(
        outbound("subscribe"))
outbound_unsubscribe = case(
    "A.2.2", "processing of outbound \"unsubscribe\" stanzas, by state")(
        outbound("unsubscribe"))
outbound_subscribed = case(
    "A.2.3", "processing of outbound \"subscribed\" stanzas, by state")(
        outbound("subscribed"))
outbound_unsubscribed = case(
    "A.2.4", "processing of outbound \"unsubscribed\" stanzas, by state")(
        outbound("unsubscribed"))
inbound_subscribe = case(
    "A.3.1", "processing of inbound \"subscribe\" stanzas, by state")(
        inbound("subscribe"))
inbound_unsubscribe = case(
    "A.3.2", "processing of inbound \"unsubscribe\" stanzas, by state")(
        inbound("unsubscribe"))
inbound_subscribed = case(
    "A.3.3", "processing of inbound \"subscribed\" stanzas, by state")(
        inbound("subscribed"))
inbound_unsubscribed = case(
    "A.3.4", "processing of inbound \"unsubscribed\" stanzas, by state")(
        inbound("unsubscribed"))
between_subscribe = case(
    "A.2.1, A.3.1", "both sides are of this server")(between("subscribe"))
between_unsubscribe = case(
    "A.2.2, A.3.2", "both sides are of this server")(between("unsubscribe"))
between_subscribed = case(
    "A.2.3, A.3.3", "both sides are of this server")(between("subscribed"))
between_unsubscribed = case(
    "A.2.4, A.3.4", "both sides are of this server")(between("unsubscribed"))

# ---- 3.1: requests --------------------------------------------------------


def order(elements, *wanted):
    """Each of these came once, in this order; an 'iq' is a push."""
    came = ["iq" if is_push(e) else e.get("type", "available")
            for e in elements if is_push(e) or e.tag.endswith("}presence")]
    check(came == list(wanted), "%s instead of %s" % (came, list(wanted)))


def befriend(one, other, back=False):
    """`one` may see `other`; and back."""
    say(one, "subscribe", other.bare)
    drain(one, other)
    say(other, "subscribed", one.bare)
    drain(other, one)
    if back:
        befriend(other, one)


@case("3.1.2", "the server MUST stamp the outgoing presence stanza with the "
      "bare JID; a full 'to' SHOULD be treated as if it were bare")
def requests_are_of_bare_addresses(s):
    ann, bob = interested(s, s.user(), "a"), interested(s, s.user(), "b")
    say(ann, "subscribe", bob.jid)
    got = bob.expect(f"<presence type='subscribe' from='{ann.bare}'/>")
    check(got.get("to") in (bob.bare, bob.jid), show(got))
    came = drain(ann)
    check(pushes(came).get(bob.bare, ())[:2] == ("none", "subscribe"), came)
    check(bob.jid not in pushes(came), came)


@case("3.1.2", "MUST initiate a roster push to all of the user's interested "
      "resources: subscription='none', ask='subscribe'")
def requests_are_pushed(s):
    user = s.user()
    ann, other = interested(s, user, "a"), s.client(user, "b")
    get(other)
    bob = interested(s, s.user())
    say(ann, "subscribe", bob.bare)
    for came in drain(ann, other):
        check(pushes(came) == {
            bob.bare: ("none", "subscribe", None, frozenset())}, came)


@case("3.1.1", "a request can bear a <status/> and extensions; 3.1.3: the "
      "complete presence stanza is kept, including any extended content")
def requests_keep_their_content(s):
    ann, name = interested(s, s.user()), s.user()
    bob = f"{name}@{s.domain}"
    content = ("<status>It's me &amp; you</status><nick xmlns="
               "'http://jabber.org/protocol/nick'>Ann</nick>")
    ann.send(f"<presence type='subscribe' id='r1' to='{bob}' xml:lang='de'>"
             f"{content}</presence>")
    drain(ann)
    for _ in range(2):
        peer = s.online(name)
        got = [e for e in drain(peer) if e.get("type") == "subscribe"]
        check(len(got) == 1 and len(got[0]) >= 2, got)
        check(got[0].get("id") == "r1" and got[0].get("from") == ann.bare and
              got[0].get("to").startswith(bob), show(got[0]))
        check(got[0][0].text == "It's me & you", show(got[0]))


@case("3.1.3", "MUST send that subscription request to all available resources")
def requests_go_to_available_resources(s):
    ann, name = interested(s, s.user()), s.user()
    one, two = s.online(name, "1"), s.online(
        name, "2", "<priority>-1</priority>")
    connected = s.client(name, "3")
    get(connected)
    drain(one, two)
    say(ann, "subscribe", one.bare)
    drain(ann)
    for peer, count in ((one, 1), (two, 1), (connected, 0)):
        came = subscriptions(drain(peer))
        check(came == [("subscribe", ann.bare, one.bare)] * count, came)


@case("3.1.3", "if the contact has no available resources ... keep a record "
      "... deliver the request when the contact next has an available "
      "resource, and whenever, until the contact either approves or denies")
def requests_wait(s):
    for answer in ("subscribed", "unsubscribed"):
        ann, name = interested(s, s.user()), s.user()
        connected = s.client(name, "connected")
        say(ann, "subscribe", connected.bare)
        drain(ann)
        connected.expect_nothing()
        connected.send("<presence/>")
        check(len(subscriptions(drain(connected))) == 1, "not delivered")
        connected.send("<presence><show>away</show></presence>")
        check(not subscriptions(drain(connected)), "delivered with an update")
        connected.send("<presence type='unavailable'/><presence/>")
        check(len(subscriptions(drain(connected))) == 1, "not delivered again")
        later = s.online(name, "later")
        check(len(subscriptions(drain(later))) == 1, "not to a later login")
        say(later, answer, ann.bare)
        drain(later)
        last = s.online(name, "last")
        check(not subscriptions(drain(last)), "delivered after an answer")


@case("3.1.3", "MUST NOT deliver more than one request from any given user "
      "when the contact next has an available resource")
def repeated_requests_are_one(s):
    ann, name = interested(s, s.user()), s.user()
    for _ in range(3):
        say(ann, "subscribe", f"{name}@{s.domain}")
        drain(ann)
    got = subscriptions(drain(s.online(name)))
    check(len(got) == 1, got)


@case("A.1", "a server SHOULD NOT push or deliver roster items in the state "
      "'None + Pending In'")
def requests_are_not_in_the_roster(s):
    ann, bob = interested(s, s.user()), interested(s, s.user())
    say(ann, "subscribe", bob.bare)
    ann, came = drain(ann, bob)
    check(not pushes(came) and get(bob) == {}, get(bob))


@case("3.1.3", "until it is answered, whatever becomes of the item: it is "
      "added, renamed, removed by the contact; the user comes and goes")
def requests_outlive_items(s):
    ann, name = interested(s, s.user()), s.user()
    bob = interested(s, name)
    say(ann, "subscribe", bob.bare)
    drain(ann, bob)
    for change in (lambda: put(bob, ann.bare, name="Ann"),
                   lambda: put(bob, ann.bare, "<group>x</group>"),
                   lambda: say(bob, "subscribe", ann.bare),
                   lambda: say(bob, "unsubscribe", ann.bare)):
        change()
        drain(bob, ann)
        peer = s.online(name)
        check(subscriptions(drain(peer)) == [
            ("subscribe", ann.bare, bob.bare)], "the request was lost")
        peer.shut()
        s.peers.remove(peer)
    say(bob, "subscribed", ann.bare)
    drain(bob)
    check(get(bob)[ann.bare] == ("from", None, None, frozenset("x")), get(bob))


@case("3.1.3", "requests and rosters are kept when the server is started anew",
      ours=True)
def kept_for_good(s):
    rows = Rows(s)
    ann, name = interested(s, s.user()), s.user()
    ann.send(f"<presence type='subscribe' id='kept' to='{name}@{s.domain}'>"
             "<status>me</status></presence>")
    say(ann, "subscribed", f"{name}@{s.domain}")
    drain(ann)
    before, mine = get(rows.client), get(ann)
    s.leave()
    s.server.stop()
    s.server.start()
    s.server.wait_open()
    rows.client = s.client(rows.user)
    check(get(rows.client) == before, "the roster is another")
    rows.check_states(STATES)
    check(get(s.client(ann.user)) == mine, "the roster is another")
    came = drain(s.online(name))
    check([(e.get("id"), len(e)) for e in came
           if e.get("type") == "subscribe"] == [("kept", 1)], came)
    bob = interested(s, name)
    say(bob, "subscribe", ann.bare)
    check(pushes(drain(bob)).get(ann.bare, ())[:2] == ("to", None),
          "the pre-approval was lost")


@case("3.1.3", "the user already has a subscription: the contact's server MUST "
      "auto-reply with 'subscribed', from bare JID to bare JID")
def known_requests_are_answered(s):
    gate, ann = s.component("gate"), interested(s, s.user())
    bob = "bob@" + gate.jid
    say(gate, "subscribe", ann.bare, bob)
    drain(gate)
    say(ann, "subscribed", bob)
    drain(ann, gate)
    say(gate, "subscribe", ann.bare, bob)
    theirs, mine = drain(gate, ann)
    check(about(theirs, bob) == [("subscribed", ann.bare, bob)], theirs)
    check(not subscriptions(mine), mine)


@case("3.1.3", "to who doesn't exist: the same as to who doesn't answer; "
      "nothing shows which it is", ours=True)
def requests_to_nobody(s):
    ann = interested(s, s.user())
    came = []
    for to in ("nobody@" + s.domain, f"{s.user()}@{s.domain}"):
        say(ann, "subscribe", to)
        came.append([(v[:2], k == to) for k, v in pushes(drain(ann)).items()])
    check(came[0] == came[1] == [(("none", "subscribe"), True)], came)
    ann.expect_nothing()


@case("3.1.2", "one is subscribed to oneself as it is: a request to one's own "
      "address leads to nothing", ours=True)
def requests_to_oneself(s):
    ann = interested(s, s.user())
    for type_ in TYPES:
        for to in (ann.bare, ann.jid):
            say(ann, type_, to)
    came = drain(ann)
    check(not came and get(ann) == {}, came)


@case("3.1.2", "a domain that can't be reached: an error, and no trace",
      ours=True)
def requests_to_strange_domains(s):
    ann = interested(s, s.user())
    ann.send("<presence type='subscribe' id='1' to='romeo@example.net'/>")
    ann.expect_error("remote-server-not-found", "cancel", "presence", id="1",
                     from_="romeo@example.net")
    for type_ in TYPES[1:]:
        say(ann, type_, "romeo@example.net")
    check(not presences(drain(ann)), "something came")
    say(ann, "unsubscribed", "romeo@example.net")
    drain(ann)
    check(get(ann).get("romeo@example.net", ("none", None))[:2] ==
          ("none", None), get(ann))


@case("3.3.2", "unsubscribing is possible where the contact's domain isn't "
      "there any more", ours=True)
def parting_from_a_domain_that_went(s):
    s.server.need_component("brief")
    gate, ann = s.component("brief"), interested(s, s.user())
    bob = "bob@" + gate.jid
    say(ann, "subscribe", bob)
    drain(ann, gate)
    say(gate, "subscribed", ann.bare, bob)
    drain(gate, ann)
    s.server.call("Callbridge.Del", name="brief")
    s.server.components.discard("brief")
    check(get(ann)[bob][0] == "to", get(ann))
    say(ann, "unsubscribe", bob)
    check(pushes(drain(ann)).get(bob, ())[:2] == ("none", None), get(ann))


# ---- 3.1.4 to 3.1.6: approval ---------------------------------------------


@case("3.1.5", "the contact's server MUST send a roster push ('from'), route "
      "the approval from the bare JID, and then send the current presence of "
      "all the contact's available resources")
def approvals(s):
    gate, name = s.component("gate"), s.user()
    ann = "ann.%s@%s" % (name, gate.jid)
    one = interested(s, name, "1", "<show>chat</show><priority>5</priority>")
    two, three = s.online(name, "2"), s.client(name, "3")
    get(three)
    say(gate, "subscribe", one.bare, ann)
    drain(gate, one, two, three)
    one.send(f"<presence type='subscribed' to='{ann}/x' id='ok'/>")
    pushed, _, also, theirs = drain(one, two, three, gate)
    for came in (pushed, also):
        check(pushes(came)[ann][:2] == ("from", None), came)
    theirs = [e for e in theirs if (e.get("to") or "").startswith(ann)]
    check(theirs[0].get("type") == "subscribed" and theirs[0].get("from") ==
          one.bare and theirs[0].get("to") == ann, show(theirs[0]))
    check(sorted(presences(theirs[1:])) == [("", one.jid), ("", two.jid)],
          presences(theirs))
    shown = next(e for e in theirs if e.get("from") == one.jid)
    check([c.text for c in shown] == ["chat", "5"], show(shown))


@case("3.1.6", "MUST deliver the approval to all interested resources ... "
      "This MUST occur before sending the roster push; and then the contact's "
      "presence, to each of the user's available resources")
def approvals_come_before_pushes(s):
    name = s.user()
    ann, here = interested(s, name, "a"), s.client(name, "connected")
    get(here)
    deaf = s.online(name, "deaf")
    bob = interested(s, s.user())
    say(ann, "subscribe", bob.bare)
    drain(ann, bob, deaf, here)
    say(bob, "subscribed", ann.bare)
    came, connected, uninterested = drain(bob, ann, here, deaf)[1:]
    order(came, "subscribed", "iq", "available")
    order(connected, "subscribed", "iq")
    order(uninterested, "available")
    check(came[0].get("from") == bob.bare and
          came[0].get("to") in (ann.bare, ann.jid), show(came[0]))
    check(presences(came)[1:] == [("", bob.jid)], presences(came))


@case("3.1.6", "an approval from a component: the same", ours=True)
def approvals_of_components(s):
    gate, ann = s.component("gate"), interested(s, s.user())
    bob = "b.%s@%s" % (ann.user, gate.jid)
    say(ann, "subscribe", bob)
    drain(ann, gate)
    say(gate, "subscribed", ann.bare, bob)
    order(drain(gate, ann)[1], "subscribed", "iq")


@case("3.1.4", "names and groups of an item stay as they are while its "
      "subscription changes")
def names_stay(s):
    ann, bob = interested(s, s.user()), interested(s, s.user())
    put(ann, bob.bare, "<group>One</group><group>Two</group>", "Bob")
    befriend(ann, bob, back=True)
    check(get(ann)[bob.bare] == (
        "both", None, "Bob", frozenset(("One", "Two"))), get(ann))
    check(get(bob)[ann.bare] == ("both", None, None, frozenset()), get(bob))


# ---- 3.2, 3.3: ends -------------------------------------------------------


@case("3.2.2", "while the user is still subscribed ... MUST send 'unavailable' "
      "from all of the contact's online resources ... then 'unsubscribed'; "
      "3.2.3: that MUST occur before the roster push")
def cancellations(s):
    name = s.user()
    ann, bob = interested(s, s.user()), interested(s, name, "1")
    second = s.online(name, "2")
    befriend(ann, bob, back=True)
    drain(ann, bob, second)
    bob.send(f"<presence type='unsubscribed' to='{ann.jid}'/>")
    mine, _, came = drain(bob, second, ann)
    order(came, "unavailable", "unavailable", "unsubscribed", "iq")
    check(sorted(presences(came)) == [
        ("unavailable", bob.jid), ("unavailable", second.jid),
        ("unsubscribed", bob.bare)], presences(came))
    check(pushes(came)[bob.bare][:2] == ("from", None), pushes(came))
    check(pushes(mine)[ann.bare][:2] == ("to", None), pushes(mine))
    bob.send("<presence><show>dnd</show></presence>")
    drain(bob)
    ann.expect_nothing()


@case("3.2.3", "delivered to all of the user's interested resources only; a "
      "request that is denied: no 'unavailable'")
def denials(s):
    name = s.user()
    ann, here = interested(s, name, "a"), s.client(name, "b")
    deaf = s.online(name, "c")
    get(here)
    bob = interested(s, s.user())
    say(ann, "subscribe", bob.bare)
    drain(ann, here, deaf, bob)
    say(bob, "unsubscribed", ann.bare)
    _, one, two, three = drain(bob, ann, here, deaf)
    order(one, "unsubscribed", "iq")
    order(two, "unsubscribed", "iq")
    order(three)
    check(pushes(one)[bob.bare][:2] == ("none", None), pushes(one))


@case("3.3.3", "deliver the 'unsubscribe' to all interested resources, before "
      "the roster push; and 'unavailable' from each of the contact's available "
      "resources to the user")
def unsubscribing(s):
    name = s.user()
    ann, bob = interested(s, s.user()), interested(s, name, "1")
    second = s.online(name, "2")
    befriend(ann, bob)
    drain(ann, bob, second)
    ann.send(f"<presence type='unsubscribe' to='{bob.jid}'/>")
    mine, came, other = drain(ann, bob, second)
    order(came, "unsubscribe", "iq")
    check(came[0].get("from") == ann.bare and
          came[0].get("to") in (bob.bare, bob.jid), show(came[0]))
    check(pushes(came)[ann.bare][:2] == ("none", None), pushes(came))
    check(not other, "to one that isn't interested")
    check(pushes(mine)[bob.bare][:2] == ("none", None), pushes(mine))
    check(sorted(presences(mine)) == [
        ("unavailable", bob.jid), ("unavailable", second.jid)],
        presences(mine))


@case("3.3.2", "unsubscribing from, and cancelling for, who is not there; the "
      "contact's roster says so at the next login")
def parting_from_who_is_away(s):
    ann, name = interested(s, s.user()), s.user()
    bob = interested(s, name)
    befriend(ann, bob, back=True)
    bob.send("<presence type='unavailable'/>")
    bob.shut()
    drain(ann)
    say(ann, "unsubscribe", bob.bare)
    drain(ann)
    later = s.client(name)
    check(get(later)[ann.bare][:2] == ("to", None), get(later))
    say(ann, "unsubscribed", bob.bare)
    drain(ann)
    check(get(later)[ann.bare][:2] == ("none", None), get(later))


# ---- 2.5.2: the end of an item --------------------------------------------


@case("2.5.2", "subscription 'both': 'unsubscribe' and 'unsubscribed'; 'to': "
      "'unsubscribe'; 'from': 'unsubscribed'")
def removal_ends_subscriptions(s):
    rows = Rows(s)
    for state, types in ((BOTH, ("unsubscribe", "unsubscribed")),
                         (TO, ("unsubscribe",)), (FROM, ("unsubscribed",)),
                         (NONE_OUT, ("unsubscribe",)),
                         (FROM_OUT, ("unsubscribe", "unsubscribed"))):
        contact = rows.contacts[state]
        answer = remove(rows.client, contact)
        check(answer.get("type") == "result", show(answer))
        theirs, mine = drain(rows.gate, rows.client)
        check(sorted(about(theirs, contact)) == sorted(
            (t, rows.client.bare, contact) for t in types),
              "%s: %s" % (state, subscriptions(theirs)))
        check(pushes(mine)[contact][0] == "remove", pushes(mine))
        hidden = "unsubscribed" in types
        check((("unavailable", rows.client.jid) in presences(theirs)) == hidden,
              "%s: %s" % (state, presences(theirs)))
        check(contact not in get(rows.client), "it is still there")


@case("2.5.2", "the same between two accounts, with pushes on both sides")
def removal_between_accounts(s):
    ann, bob = interested(s, s.user()), interested(s, s.user())
    befriend(ann, bob, back=True)
    drain(ann, bob)
    check(remove(ann, bob.bare).get("type") == "result", "refused")
    mine, came = drain(ann, bob)
    types = [t for t, _ in presences(came)]
    check(sorted(types) == ["unavailable", "unsubscribe", "unsubscribed"],
          types)
    check(types.index("unavailable") < types.index("unsubscribed"), types)
    check(pushes(came)[ann.bare][:2] == ("none", None), pushes(came))
    check(("unavailable", bob.jid) in presences(mine), presences(mine))
    check(get(ann) == {}, get(ann))


# ---- 3.4: pre-approval ----------------------------------------------------


PREAPPROVAL = "{urn:xmpp:features:pre-approval}sub"


def approved(elements, jid):
    """What the pushes say of approval."""
    return [e[0][0].get("approved") for e in elements
            if is_push(e) and e[0][0].get("jid") == jid]


@case("3.4.1", "a server that supports pre-approvals MUST advertise it in "
      "stream features")
def preapproval_is_advertised(s):
    peer = s.client("ann")
    check(peer.features.find(PREAPPROVAL) is not None, show(peer.features))


@case("3.4.2", "the server MUST push approved='true', and MUST NOT route it; "
      "an inbound request is then answered by 'subscribed', and not delivered")
def preapproval(s):
    gate = s.component("gate")
    for before in ((), ("subscribe",)):
        ann = interested(s, s.user())
        bob = "b.%s@%s" % (ann.user, gate.jid)
        for type_ in before:
            say(ann, type_, bob)
        drain(ann, gate)
        say(ann, "subscribed", bob)
        mine, theirs = drain(ann, gate)
        check(not about(theirs, bob), theirs)
        check(approved(mine, bob) == ["true"], mine)
        item = ann.iq("get", "<query xmlns='jabber:iq:roster'/>").find(
            ".//*[@jid='%s']" % bob)
        check(item is not None and item.get("approved") == "true", item)
        say(gate, "subscribe", ann.bare, bob)
        theirs, mine = drain(gate, ann)
        check(about(theirs, bob) == [("subscribed", ann.bare, bob)], theirs)
        check(("", ann.jid) in presences(theirs), presences(theirs))
        check(not subscriptions(mine), subscriptions(mine))
        check(pushes(mine)[bob][0] == "from", pushes(mine))


@case("3.4.2", "the same between two accounts")
def preapproval_between_accounts(s):
    ann, bob = interested(s, s.user()), interested(s, s.user())
    say(ann, "subscribed", bob.bare)
    mine, theirs = drain(ann, bob)
    check(approved(mine, bob.bare) == ["true"] and not theirs, theirs)
    say(bob, "subscribe", ann.bare)
    theirs, mine = drain(bob, ann)
    check(not subscriptions(mine), subscriptions(mine))
    check(pushes(mine)[bob.bare][:2] == ("from", None), pushes(mine))
    check(pushes(theirs)[ann.bare][:2] == ("to", None), pushes(theirs))
    check(presences(theirs) == [("subscribed", ann.bare), ("", ann.jid)],
          presences(theirs))


@case("3.4.2", "'unsubscribed' cancels a pre-approval, and is not routed")
def preapproval_is_cancelled(s):
    gate, ann = s.component("gate"), interested(s, s.user())
    bob = "b.%s@%s" % (ann.user, gate.jid)
    say(ann, "subscribed", bob)
    drain(ann, gate)
    say(ann, "unsubscribed", bob)
    mine, theirs = drain(ann, gate)
    check(approved(mine, bob) in ([None], ["false"]), mine)
    check(not about(theirs, bob), theirs)
    say(gate, "subscribe", ann.bare, bob)
    theirs, mine = drain(gate, ann)
    check(not about(theirs, bob), theirs)
    check(subscriptions(mine) == [("subscribe", bob, ann.bare)], mine)


@case("2.1.2.1", "the server MUST ignore an 'approved' in a roster set")
def preapproval_by_roster_set(s):
    gate, ann = s.component("gate"), interested(s, s.user())
    bob = "b.%s@%s" % (ann.user, gate.jid)
    put(ann, bob, more=" approved='true' ask='subscribe'")
    check(approved(drain(ann), bob) in ([], [None]), "it is approved")
    check(get(ann)[bob][:2] == ("none", None), get(ann))
    say(gate, "subscribe", ann.bare, bob)
    theirs, mine = drain(gate, ann)
    check(not about(theirs, bob), theirs)
    check(subscriptions(mine) == [("subscribe", bob, ann.bare)], mine)
