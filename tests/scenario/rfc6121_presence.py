"""RFC 6121, 4: presence."""

import socket

from scenario import STANZA_ERRORS, case, check, show
from scenario_roster import drain, interested, presences

STATUS = "<show>away</show><status xml:lang='de'>weg</status>" \
    "<status xml:lang='en'>gone</status><priority>7</priority>" \
    "<x xmlns='urn:x' a='1'><y>z</y></x>"


def say(peer, type_, to, from_=None, inside=""):
    peer.send("<presence%s to='%s'%s>%s</presence>" % (
        "" if type_ is None else " type='%s'" % type_, to,
        "" if from_ is None else " from='%s'" % from_, inside))


def subscribe(one, other, from_=None, to=None):
    """`one` (whose address may be a component's) sees `other` from now on."""
    mine, theirs = from_ or one.bare, to or other.bare
    say(one, "subscribe", theirs, from_)
    drain(one, other)
    say(other, "subscribed", mine, to)
    drain(other, one)


def came_from(elements, jid):
    """The types of the presence from that address."""
    return [t for t, f in presences(elements) if f == jid]


def cut(s, peer):
    """The connection breaks, without a word."""
    peer.sock.close()
    s.peers.remove(peer)


def leave(s, peer):
    peer.shut()
    s.peers.remove(peer)


# ---- 4.2: initial presence ------------------------------------------------


@case("4.2.2", "MUST send it to all contacts that are subscribed, in full, "
      "from the full JID; and to no others")
def initial_presence(s):
    name = s.user()
    ann = s.client(name, "a")
    friend = s.online(s.user(), "f")
    second = s.online(friend.user, "g", "<priority>-3</priority>")
    connected = s.client(friend.user, "h")
    one_way, stranger = s.online(s.user()), s.online(s.user())
    subscribe(friend, ann)
    subscribe(ann, one_way)
    say(stranger, "subscribe", ann.bare)
    drain(ann, friend, second, one_way, stranger)
    ann.send(f"<presence id='p1' xml:lang='fr'>{STATUS}</presence>")
    drain(ann)
    for peer in (friend, second):
        came = [e for e in drain(peer) if e.get("from") == ann.jid]
        check(len(came) == 1, presences(came))
        check(came[0].get("id") == "p1" and came[0].get("to") in
              (peer.bare, peer.jid) and came[0].get("type") is None,
              show(came[0]))
        check([c.tag.split("}")[1] for c in came[0]][:5] == [
            "show", "status", "status", "priority", "x"], show(came[0]))
        check(came[0][4].get("a") == "1" and came[0][4][0].text == "z",
              show(came[0]))
    for peer in (one_way, stranger, connected):
        check(not presences(drain(peer)), peer.label)


@case("4.2.2", "MUST also broadcast it to all of the user's available "
      "resources, including the one that it comes from")
def initial_presence_to_oneself(s):
    name = s.user()
    one = s.online(name, "1", "<priority>-1</priority>")
    connected, two = s.client(name, "2"), s.client(name, "3")
    two.send("<presence id='x'><show>dnd</show></presence>")
    came = [e for e in drain(two)]
    check(sorted(presences(came)) == sorted([("", two.jid), ("", one.jid)]),
          presences(came))
    check(presences(drain(one)) == [("", two.jid)], "the other")
    connected.expect_nothing()


@case("4.3.1, 4.3.2", "the presence of contacts that one is subscribed to "
      "comes at once, of each resource in full; of nobody else, and for those "
      "that are away nothing but perhaps 'unavailable'")
def initial_presence_brings_contacts(s):
    name = s.user()
    ann = s.client(name)
    one, away = s.online(s.user(), "1", STATUS), s.client(s.user())
    two = s.online(one.user, "2")
    watcher, stranger = s.online(s.user()), s.online(s.user())
    for contact in (one, away):
        subscribe(ann, contact)
    subscribe(watcher, ann)
    say(ann, "subscribe", stranger.bare)
    drain(ann, stranger, watcher)
    ann.send("<presence/>")
    came = drain(ann)
    check(came_from(came, one.jid) == [""] == came_from(came, two.jid),
          presences(came))
    check(set(presences(came)) <= {
        ("", ann.jid), ("", one.jid), ("", two.jid),
        ("unavailable", away.bare)}, presences(came))
    shown = next(e for e in came if e.get("from") == one.jid)
    check([c.text for c in shown][:4] == ["away", "weg", "gone", "7"],
          show(shown))
    for peer in (one, two, stranger):
        came = drain(peer)
        check("probe" not in [t for t, _ in presences(came)] and
              not came_from(came, ann.jid), presences(came))


@case("4.3.1", "a contact elsewhere is sent a probe: from the user, to the "
      "contact's bare JID; with initial presence only")
def probes_to_contacts_elsewhere(s):
    gate, ann = s.component("gate"), s.client(s.user())
    bob = "b.%s@%s" % (ann.user, gate.jid)
    subscribe(ann, gate, to=bob)
    ann.send("<presence/>")
    came = [e for e in drain(ann, gate)[1] if e.get("to") == bob]
    check([(e.get("type"), e.get("from")) for e in came] in (
        [("probe", ann.jid)], [("probe", ann.bare)]), list(map(show, came)))
    ann.send("<presence><show>away</show></presence>")
    came = drain(ann, gate)[1]
    check("probe" not in [t for t, _ in presences(came)], presences(came))


# ---- 4.3.2: answers to probes ---------------------------------------------


@case("4.3.2", "no such account, or no subscription: SHOULD return "
      "'unsubscribed'; nobody else is told")
def probes_of_strangers(s):
    gate, ann = s.component("gate"), s.online(s.user(), "a")
    eve, bob = s.client(s.user()), "eve@" + gate.jid
    wanted = s.client(s.user())
    say(wanted, "subscribe", ann.bare)   # asked, and not answered
    drain(wanted, ann, gate)
    for to in (ann.bare, "nobody@" + s.domain, ann.jid):
        for peer, from_ in ((gate, bob), (eve, None), (wanted, None)):
            say(peer, "probe", to, from_)
            came = drain(peer)
            check([t for t, _ in presences(came)] == ["unsubscribed"] and
                  came[0].get("from").split("/")[0] == to.split("/")[0],
                  presences(came))
    check(not presences(drain(ann)), "ann was told")


@case("4.3.2", "no available resource: 'unavailable'; otherwise the last "
      "presence of each, in full")
def probes_of_subscribers(s):
    gate = s.component("gate")
    ann = s.client(s.user(), "a")
    bob = "b.%s@%s" % (ann.user, gate.jid)
    friend = s.client(s.user())
    subscribe(gate, ann, bob)
    subscribe(friend, ann)
    drain(gate)
    askers = ((gate, bob), (friend, None))
    for peer, from_ in askers:
        say(peer, "probe", ann.bare, from_)
        came = drain(peer)
        check(presences(came) == [("unavailable", ann.bare)], presences(came))
    ann.present("<show>chat</show>")
    ann.send(f"<presence>{STATUS}</presence>")
    second = s.online(ann.user, "b")
    drain(ann, second, gate)
    for peer, from_ in askers:
        say(peer, "probe", ann.bare, from_)
        came = drain(peer)
        check(sorted(presences(came)) == [("", ann.jid), ("", second.jid)],
              presences(came))
        shown = next(e for e in came if e.get("from") == ann.jid)
        check([c.text for c in shown][:4] == ["away", "weg", "gone", "7"],
              show(shown))
        check(shown.get("to", "").split("/")[0] == (from_ or peer.bare),
              show(shown))
    check("probe" not in [t for t, _ in presences(drain(ann))],
          "a client was sent a probe")


@case("4.3.2", "of one's own account: one's available resources")
def probes_of_oneself(s):
    name = s.user()
    ann, other = s.client(name, "a"), s.online(name, "b")
    say(ann, "probe", ann.bare)
    check(presences(drain(ann)) == [("", other.jid)], "not answered")


@case("4.3.2", "a subscription the other way round lets nobody see")
def probes_against_the_direction(s):
    ann, friend = s.online(s.user()), s.online(s.user())
    subscribe(ann, friend)
    drain(ann, friend)
    say(friend, "probe", ann.bare)
    check([t for t, _ in presences(drain(friend))] == ["unsubscribed"],
          "it was answered")


# ---- 4.4, 4.5: later presence, and its end --------------------------------


@case("4.4.2", "MUST broadcast the full XML of subsequent presence to "
      "subscribers, and to the user's available resources")
def subsequent_presence(s):
    gate, ann = s.component("gate"), s.online(s.user(), "a")
    friend, other = s.online(s.user()), s.online(ann.user, "b")
    bob = "b.%s@%s" % (ann.user, gate.jid)
    subscribe(friend, ann)
    subscribe(gate, ann, bob)
    drain(ann, friend, gate, other)
    for number in range(3):
        ann.send(f"<presence id='n{number}'>{STATUS}</presence>")
    for peer, came in zip((ann, friend, gate, other),
                          drain(ann, friend, gate, other)):
        came = [e for e in came if e.get("from") == ann.jid]
        check([e.get("id") for e in came] == ["n0", "n1", "n2"],
              "%s: %s" % (peer.label, list(map(show, came))))
        check(all(len(e) >= 5 for e in came), show(came[0]))


@case("4.4.2", "it goes to who is subscribed when it is sent: one that has "
      "subscribed since, none that has been cancelled")
def presence_follows_subscriptions(s):
    ann, friend = s.online(s.user()), s.online(s.user())
    subscribe(friend, ann)
    ann.send("<presence id='1'/>")
    check("1" in [e.get("id") for e in drain(ann, friend)[1]], "not told")
    say(ann, "unsubscribed", friend.bare)
    drain(ann, friend)
    ann.send("<presence id='2'/>")
    drain(ann)
    friend.expect_nothing()


@case("4.5.2", "MUST broadcast 'unavailable' to subscribers, to all of the "
      "user's available resources, and to the one that has sent it")
def unavailable_presence(s):
    ann, other = s.online(s.user(), "a"), s.online(s.user())
    friend, other = s.online(s.user()), s.online(ann.user, "b")
    subscribe(friend, ann)
    drain(ann, friend, other)
    ann.send("<presence type='unavailable' id='u'><status>bye &amp; thanks"
             "</status><x xmlns='urn:x'/></presence>")
    mine, theirs, own = drain(ann, friend, other)
    for came in (theirs, own) + ((mine,) if s.server.name == "ours" else ()):
        came = [e for e in came if e.get("from") == ann.jid]
        check(len(came) == 1 and came[0].get("type") == "unavailable" and
              came[0].get("id") == "u", list(map(show, came)))
        check(came[0][0].text == "bye & thanks", show(came[0]))
    ann.send("<presence type='unavailable' id='again'/>")
    drain(ann)
    check(not drain(friend) and not drain(other), "told twice")


@case("4.5.2", "the connection is lost, or the stream closed: the server MUST "
      "do it on the client's behalf, once")
def unavailable_for_the_client(s):
    for end in (cut, leave):
        gate, ann = s.component("gate"), s.online(s.user(), "a")
        friend, other = s.online(s.user()), s.online(ann.user, "b")
        bob = "b.%s@%s" % (ann.user, gate.jid)
        subscribe(friend, ann)
        subscribe(gate, ann, bob)
        drain(ann, friend, other, gate)
        end(s, ann)
        for peer in (friend, other, gate):
            peer.find(f"<presence type='unavailable' from='{ann.jid}'/>")
        for came in drain(friend, other, gate):
            check(not came_from(came, ann.jid), presences(came))
        leave(s, gate)


@case("4.5.2", "one that has said 'unavailable' before is not said to be again")
def unavailable_then_gone(s):
    for end in (cut, leave):
        ann, friend = s.online(s.user(), "a"), s.online(s.user())
        subscribe(friend, ann)
        ann.send("<presence type='unavailable'/>")
        drain(ann)
        friend.find(f"<presence type='unavailable' from='{ann.jid}'/>")
        end(s, ann)
        watch = s.online(friend.user)   # time for it
        drain(watch)
        check(not came_from(drain(friend), ann.jid), "told twice")


@case("4.5.2", "a resource that was never available is not said to have become "
      "unavailable")
def never_available(s):
    friend = s.online(s.user())
    ann = s.client(s.user(), "a")
    subscribe(friend, ann)
    second = s.client(ann.user, "b")
    second.send("<presence type='unavailable'/>")
    drain(ann, second, friend)
    leave(s, second)
    drain(ann)
    check(not came_from(drain(friend), second.jid), "told")


@case("4.2.2", "available again after 'unavailable' is initial presence again")
def available_again(s):
    ann, friend = s.online(s.user()), s.online(s.user())
    subscribe(friend, ann)
    subscribe(ann, friend)
    ann.send("<presence type='unavailable'/>")
    drain(ann, friend)
    friend.send("<presence><show>xa</show></presence>")
    drain(friend)
    check(not came_from(drain(ann), friend.jid), "told while unavailable")
    ann.send("<presence/>")
    came = drain(ann, friend)
    check(came_from(came[0], friend.jid) == [""], presences(came[0]))
    check(came_from(came[1], ann.jid) == [""], presences(came[1]))


# ---- 4.6: directed presence -----------------------------------------------


@case("4.6.3", "MUST route or deliver it in full; to a bare JID: to all "
      "available resources (8.5.2.1.2), to a full one: to that")
def directed_presence(s):
    ann, bob = s.client(s.user(), "a"), s.online(s.user(), "1")
    two, connected = s.online(bob.user, "2"), s.client(bob.user, "3")
    gate = s.component("gate")
    drain(bob, two, gate)
    say(ann, None, bob.bare, inside=STATUS)
    say(ann, None, two.jid, inside=STATUS)
    say(ann, None, connected.jid, inside=STATUS)
    say(ann, None, f"x@{gate.jid}/r", inside=STATUS)
    drain(ann)
    for peer, to in ((bob, [bob.bare]), (two, [two.bare, two.jid]),
                     (connected, [connected.jid]),
                     (gate, [f"x@{gate.jid}/r"])):
        came = [e for e in drain(peer) if e.get("from") == ann.jid]
        check(len(came) == len(to), presences(came))
        check([e.get("to") for e in came] in (to, [peer.jid] * len(to)),
              list(map(show, came)))
        check(all(len(e) >= 5 and e[0].text == "away" for e in came),
              show(came[0]))


@case("8.5.1, 8.5.2.2.2, 8.5.3.2.2", "to nobody, to a resource that isn't "
      "there: it is ignored, whichever it is")
def directed_presence_to_nobody(s):
    ann, away = s.online(s.user()), s.user()
    bob = s.online(s.user())
    for to in ("nobody@" + s.domain, "nobody@%s/x" % s.domain,
               f"{away}@{s.domain}", f"{away}@{s.domain}/x",
               bob.bare + "/elsewhere"):
        for type_ in (None, "unavailable"):
            say(ann, type_, to)
    check(not drain(ann), "an answer")
    bob.expect_nothing()


def watchers(s, ann):
    """Who is sent directed presence, and where: a user's address, a resource,
    two addresses of a component."""
    bob, carl = s.online(s.user(), "1"), s.online(s.user(), "1")
    two, gate = s.online(bob.user, "2"), s.component("gate")
    drain(bob, two, carl, gate)
    for to in (bob.bare, carl.jid, f"x@{gate.jid}/r", f"y@{gate.jid}"):
        say(ann, None, to)
    peers = (bob, two, carl, gate)
    for count, came in zip((1, 1, 1, 2), drain(ann, *peers)[1:]):
        check(came_from(came, ann.jid) == [""] * count, presences(came))
    return peers


def told_once(s, peers, jid):
    """Each of them has been told, once an address."""
    peers[0].find(f"<presence type='unavailable' from='{jid}'/>")
    counts = [len(came_from(came, jid)) for came in drain(*peers)]
    check(counts == [0, 1, 1, 2], counts)
    leave(s, peers[-1])


@case("4.6.3", "when the user goes offline: MUST send 'unavailable' to those "
      "that were sent directed presence; here with and without initial "
      "presence, by word, by the end of the stream, by a lost connection")
def directed_presence_ends(s):
    for begin in (s.client, s.online):
        for end in (cut, leave, None):
            ann = begin(s.user(), "a")
            peers = watchers(s, ann)
            if end is None:
                ann.send("<presence type='unavailable'/>")
                drain(ann)
            else:
                end(s, ann)
            told_once(s, peers, ann.jid)
            if end is None:
                leave(s, ann)
                drain(peers[0])
                check(not came_from(drain(peers[0]), ann.jid), "again")


@case("4.6.3", "unless the user has sent them directed 'unavailable' itself")
def directed_presence_taken_back(s):
    for end in (cut, leave):
        ann, bob, carl = s.client(s.user()), s.online(s.user()), s.online(
            s.user())
        for peer in (bob, carl):
            say(ann, None, peer.jid)
        say(ann, "unavailable", bob.jid, inside="<status>bye</status>")
        came = drain(ann, bob, carl)[1]
        check(came_from(came, ann.jid) == ["", "unavailable"], presences(came))
        end(s, ann)
        carl.find(f"<presence type='unavailable' from='{ann.jid}'/>")
        check(not came_from(drain(bob), ann.jid), "told twice")


@case("4.6.3", "directed presence that is sent often: its end is told once")
def directed_presence_repeated(s):
    ann, bob = s.online(s.user()), s.online(s.user())
    for number in range(5):
        say(ann, None, bob.bare, inside=f"<priority>{number}</priority>")
    drain(ann, bob)
    cut(s, ann)
    bob.find(f"<presence type='unavailable' from='{ann.jid}'/>")
    check(not came_from(drain(bob), ann.jid), "told twice")


@case("4.6.3", "to who is subscribed: it is told of the end, and not twice, "
      "whether the subscription was there before, or came afterwards")
def directed_presence_to_subscribers(s):
    for before in (True, False):
        for end in (cut, leave, None):
            ann, bob = s.online(s.user()), s.online(s.user())
            if before:
                subscribe(bob, ann)
            say(ann, None, bob.bare)
            say(ann, None, bob.jid)
            if not before:
                subscribe(bob, ann)
            drain(ann, bob)
            if end is None:
                ann.send("<presence type='unavailable'/>")
                drain(ann)
            else:
                end(s, ann)
            bob.find(f"<presence type='unavailable' from='{ann.jid}'/>")
            check(not came_from(drain(bob), ann.jid), "told twice")


@case("4.6.2", "to a subscriber, without initial presence: it is told of the "
      "end all the same")
def directed_presence_without_initial(s):
    for end in (cut, leave, None):
        ann, bob = s.client(s.user()), s.online(s.user())
        gate = s.component("gate")
        carl = "c.%s@%s" % (ann.user, gate.jid)
        subscribe(bob, ann)
        subscribe(gate, ann, carl)
        for to in (bob.bare, carl):
            say(ann, None, to)
        for came in drain(ann, bob, gate)[1:]:
            check(came_from(came, ann.jid) == [""], "not delivered")
        if end is None:
            ann.send("<presence type='unavailable'/>")
            drain(ann)
        else:
            end(s, ann)
        for peer in (bob, gate):
            peer.find(f"<presence type='unavailable' from='{ann.jid}'/>")
            check(not came_from(drain(peer), ann.jid), "told twice")
        leave(s, gate)


@case("4.6.2", "the same, and then initial presence: once")
def directed_presence_then_initial(s):
    ann, bob = s.client(s.user()), s.online(s.user())
    gate = s.component("gate")
    carl = "c.%s@%s" % (ann.user, gate.jid)
    subscribe(bob, ann)
    subscribe(gate, ann, carl)
    for to in (bob.bare, carl):
        say(ann, None, to)
    ann.send("<presence/>")
    drain(ann, bob, gate)
    cut(s, ann)
    for peer in (bob, gate):
        peer.find(f"<presence type='unavailable' from='{ann.jid}'/>")
        check(not came_from(drain(peer), ann.jid), "told twice")


@case("4.6.2", "directed presence is no broadcast: no subscription comes of "
      "it, no update follows, no message is delivered because of it")
def directed_presence_is_for_one(s):
    ann, bob = s.client(s.user(), "a"), s.online(s.user())
    friend = s.online(s.user())
    subscribe(friend, ann)
    drain(friend)
    say(ann, None, bob.bare)
    drain(ann, bob)
    check(not drain(friend), "a subscriber was told")
    say(friend, "probe", ann.bare)
    check(presences(drain(friend)) == [("unavailable", ann.bare)], "available")
    ann.send("<presence/>")
    drain(ann)
    check(not came_from(drain(bob), ann.jid), "an update")
    ann.send("<presence><show>away</show></presence>")
    drain(ann)
    check(not came_from(drain(bob), ann.jid), "an update")


@case("4.6", "between the resources of one account")
def directed_presence_to_own_resources(s):
    name = s.user()
    ann, other = s.online(name, "a"), s.client(name, "b")
    say(ann, None, other.jid, inside="<show>xa</show>")
    other.expect(f"<presence from='{ann.jid}' to='{other.jid}'><show>xa</show>"
                 "</presence>")
    other.present()
    drain(ann, other)
    say(ann, None, name + "@" + s.domain, inside="<show>dnd</show>")
    for came in drain(ann, other):
        check(came_from(came, ann.jid) == [""], presences(came))
    cut(s, ann)
    other.find(f"<presence type='unavailable' from='{ann.jid}'/>")
    check(not came_from(drain(other), ann.jid), "told twice")


# ---- 4.7: what it consists of ---------------------------------------------


@case("4.7.1", "'type' is one of seven; another one is an error", ours=True)
def types_that_are_none(s):
    ann, bob = s.online(s.user()), s.online(s.user())
    for type_ in ("available", "", "UNAVAILABLE", "invisible", "chat"):
        for to in (None, bob.bare, bob.jid, s.domain):
            ann.send("<presence type='%s' id='t'%s/>" % (
                type_, "" if to is None else f" to='{to}'"))
            ann.expect_error("bad-request", "modify", "presence", id="t")
    bob.expect_nothing()


@case("4.7.1", "subscription stanzas and probes are to somebody", ours=True)
def types_without_to(s):
    ann = s.online(s.user())
    for type_ in ("subscribe", "subscribed", "unsubscribe", "unsubscribed",
                  "probe"):
        ann.send(f"<presence type='{type_}' id='t'/>")
        ann.expect_error("bad-request", "modify", "presence", id="t")


@case("4.7.1", "'error' goes to who it is for; nobody answers it")
def type_error(s):
    ann, bob = s.online(s.user()), s.online(s.user())
    ann.send(f"<presence type='error' id='e' to='{bob.jid}'><error "
             f"type='cancel'><gone xmlns='{STANZA_ERRORS}'/></error>"
             "</presence>")
    bob.expect_error("gone", "cancel", "presence", id="e", from_=ann.jid)
    for to in ("nobody@" + s.domain, bob.bare + "/x", s.domain):
        ann.send(f"<presence type='error' to='{to}'/>")
    ann.send("<presence type='error'/>")
    ann.expect_nothing()


@case("4.7.2", "<show/>, <status/> and what the server doesn't know are passed "
      "on as they are, in their order")
def content_is_untouched(s):
    ann, bob = s.online(s.user()), s.online(s.user())
    subscribe(bob, ann)
    drain(ann, bob)
    for inside in ("<show>chat</show>", "<show>dnd</show>", "<show>xa</show>",
                   "<show>something</show>", "<status/>",
                   "<x xmlns='urn:x'/><show>away</show><y xmlns='urn:y'/>",
                   "<status> a  b </status>", "<priority>+5</priority>"):
        ann.send(f"<presence>{inside}</presence>")
        drain(ann)
        got = [e for e in drain(bob) if e.get("from") == ann.jid]
        check(len(got) == 1, presences(got))
        sent = ["".join(t.split("<")[:1]) for t in inside.split(">")]
        check([t for t in got[0].itertext()] == [t for t in sent if t],
              show(got[0]))


def takes_messages(s, peer, bob):
    """Whether a message to the bare JID goes to that resource."""
    bob.send(f"<message to='{peer.bare}' type='headline' id='m'/>")
    bob.sync()
    return [e.get("id") for e in drain(peer)
            if e.tag.endswith("}message")] == ["m"]


@case("4.7.2.3", "an integer between -128 and +127; no <priority/>: MUST "
      "consider it to be zero; negative: never a message to the bare JID")
def priorities(s):
    ann, bob = s.online(s.user()), s.client(s.user())
    for value, takes in (("", True), ("0", True), ("1", True), ("127", True),
                         ("-1", False), ("-128", False), (" 5 ", True),
                         ("+3", True), ("-0", True)):
        ann.send("<presence>%s</presence>" % (
            value and f"<priority>{value}</priority>"))
        drain(ann)
        check(takes_messages(s, ann, bob) == takes, "priority %r" % value)


@case("4.7.2.3", "what is out of range, or no number, is none: the presence "
      "counts, and is passed on", ours=True)
def priorities_that_are_none(s):
    ann, bob = s.online(s.user()), s.client(s.user())
    for value in ("128", "-129", "99999999999999999999", "x", "1.5", "-", "--1",
                  "-5x"):
        ann.send(f"<presence id='p'><priority>{value}</priority></presence>")
        got = [e for e in drain(ann) if e.get("id") == "p"]
        check(len(got) == 1, "lost")
        check(got[0].get("type") == "error" or takes_messages(s, ann, bob),
              "priority %r" % value)


# ---- components, limits ---------------------------------------------------


@case("4.4", "presence to the addresses of a component, and from them")
def components(s):
    gate, ann = s.component("gate"), s.online(s.user(), "a")
    for type_ in (None, "unavailable", "error", "subscribe", "unsubscribe",
                  "probe"):
        say(ann, type_, "room@%s/nick" % gate.jid, inside="<x xmlns='urn:x'/>")
        came = [e for e in drain(ann, gate)[1]
                if (e.get("to") or "").startswith("room@")]
        check(len(came) == 1 and came[0].get("type") == type_,
              list(map(show, came)))
    for type_ in (None, "unavailable", "error"):
        say(gate, type_, ann.jid, "room@%s/nick" % gate.jid,
            "<x xmlns='urn:x'/>")
        drain(gate)
        got = ann.find(f"<presence from='room@{gate.jid}/nick' "
                       f"to='{ann.jid}'/>")
        check(got.get("type") == type_, show(got))


@case("4.6", "presence to a domain that can't be reached is an error, and "
      "takes nothing of the session's", ours=True)
def presence_to_strange_domains(s):
    ann = s.online(s.user())
    for to in ("romeo@example.net", "example.net", "x@example.net/y"):
        ann.send(f"<presence id='d' to='{to}'/>")
        ann.expect_error("remote-server-not-found", "cancel", "presence",
                         id="d", from_=to)
    leave(s, ann)


@case("4.5.2", "half a stanza, and the connection is reset: 'unavailable'")
def reset_in_the_midst(s):
    ann, bob = s.online(s.user()), s.online(s.user())
    subscribe(bob, ann)
    drain(ann, bob)
    ann.send("<presence><show>aw")
    ann.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        b"\x01\0\0\0\0\0\0\0")
    cut(s, ann)
    bob.find(f"<presence type='unavailable' from='{ann.jid}'/>")
    check(not came_from(drain(bob), ann.jid), "told twice")


@case("4.5.2", "the address is bound anew by another connection: the old "
      "session is unavailable before the new one is available")
def replaced_by_another(s):
    ann, bob = s.online(s.user(), "a"), interested(s, s.user())
    subscribe(bob, ann)
    drain(ann, bob)
    again = s.client(ann.user, "a")
    if again.jid != ann.jid:
        return   # its policy is another (RFC 6120, 7.7.2.2)
    ann.expect_stream_error("conflict")
    again.present("<show>away</show>")
    drain(again)
    check(came_from(drain(bob), ann.jid) == ["unavailable", ""], "the order")
