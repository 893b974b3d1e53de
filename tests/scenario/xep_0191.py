"""XEP-0191: Blocking Command."""

from scenario import case, check

NS = "urn:xmpp:blocking"
BLOCKED = "<blocked xmlns='urn:xmpp:blocking:errors'/>"


def items(*jids):
    return "".join("<item jid='%s'/>" % jid for jid in jids)


def block(peer, *jids):
    answer = peer.iq("set", "<block xmlns='%s'>%s</block>" % (
        NS, items(*jids)))
    check(answer.get("type") == "result", "not blocked")


def unblock(peer, *jids):
    answer = peer.iq("set", "<unblock xmlns='%s'>%s</unblock>" % (
        NS, items(*jids)))
    check(answer.get("type") == "result", "not unblocked")


def blocklist(peer):
    answer = peer.iq("get", "<blocklist xmlns='%s'/>" % NS)
    return sorted(i.get("jid") for i in answer[0])


def two(s):
    """Two users who see each other's presence."""
    names = s.user(), s.user()
    s.friends(*names)
    ann, bob = s.online(names[0], "phone"), s.online(names[1], "desk")
    ann.sync()
    bob.sync()
    return ann, bob


def chat(to):
    return "<message to='%s' type='chat'><body>b</body></message>" % to


@case("3.1", "the server MUST return a feature of 'urn:xmpp:blocking'")
def is_advertised(s):
    answer = s.client(s.user()).iq(
        "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        s.domain)
    check(NS in [f.get("var") for f in answer.iter(
        "{http://jabber.org/protocol/disco#info}feature")], "no such feature")


@case("3.2", "an item for each blocked JID; an empty blocklist if there is "
      "none")
def lists_who_is_blocked(s):
    ann = s.client(s.user(), "phone")
    check(blocklist(ann) == [], "it isn't empty")
    block(ann, "b@example.net", "example.com")
    check(blocklist(ann) == ["b@example.net", "example.com"], "the list")
    other = s.client(ann.user, "desk")
    check(blocklist(other) == ["b@example.net", "example.com"], "the list")
    unblock(ann, "example.com")
    check(blocklist(other) == ["b@example.net"], "the list after unblock")


@case("3.3", "an IQ-set to all of the user's resources that have requested the "
      "blocklist")
def pushes_to_who_has_the_list(s):
    ann = s.client(s.user(), "phone")
    knows, knows_not = s.client(ann.user, "desk"), s.client(ann.user, "tv")
    blocklist(knows)
    block(ann, "b@example.net")
    knows.expect("<iq type='set' to='%s' id='*'><block xmlns='%s'>"
                 "<item jid='b@example.net'/></block></iq>" % (knows.jid, NS))
    unblock(ann, "b@example.net")
    knows.expect("<iq type='set' id='*'><unblock xmlns='%s'>"
                 "<item jid='b@example.net'/></unblock></iq>" % NS)
    unblock(ann)
    knows.expect("<iq type='set' id='*'><unblock xmlns='%s'/></iq>" % NS)
    knows_not.expect_nothing()


@case("3.3", "if the block element has no item, bad-request")
def asks_for_an_item(s):
    ann = s.client(s.user(), "phone")
    ann.send("<iq type='set' id='1'><block xmlns='%s'/></iq>" % NS)
    ann.expect_error("bad-request")


@case("3.3", "the user's server MUST send unavailable presence to the JID; "
      "3.4: and current presence after unblock")
def contact_sees_it_go_and_come(s):
    ann, bob = two(s)
    block(ann, bob.bare)
    bob.expect("<presence type='unavailable' from='%s'/>" % ann.jid)
    unblock(ann, bob.bare)
    bob.expect("<presence from='%s' type='!'/>" % ann.jid)


@case("3.3", "only if the JID is allowed to receive presence notifications")
def stranger_sees_nothing(s):
    ann, eve = s.online(s.user(), "phone"), s.online(s.user(), "desk")
    block(ann, eve.bare)
    unblock(ann, eve.bare)
    eve.expect_nothing()


@case("3.3", "the server MUST NOT deliver any XML stanzas from the JID; "
      "messages SHOULD, IQs MUST return service-unavailable")
def stops_what_comes_in(s):
    ann, bob = two(s)
    block(ann, bob.bare)
    bob.sync()
    for to in (ann.bare, ann.jid):
        bob.send(chat(to))
        bob.expect_error("service-unavailable", stanza="message")
        bob.send("<iq type='get' id='i' to='%s'>"
                 "<query xmlns='jabber:iq:version'/></iq>" % to)
        bob.expect_error("service-unavailable")
        bob.send("<iq type='result' id='i' to='%s'/>" % to)
        bob.send("<presence to='%s'/>" % to)
        bob.send("<presence type='probe' to='%s'/>" % to)
    bob.expect_nothing()
    ann.expect_nothing()
    unblock(ann, bob.bare)
    bob.sync()
    bob.send(chat(ann.bare))
    ann.expect("<message from='%s'><body>b</body></message>" % bob.jid)


@case("3.3", "it MUST return not-acceptable with blocked for what the user "
      "sends to the JID")
def stops_what_goes_out(s):
    ann, bob = two(s)
    block(ann, bob.bare)
    bob.sync()
    for to in (bob.bare, bob.jid):
        ann.send(chat(to))
        error = ann.expect_error("not-acceptable", "cancel", "message")
        check(error.find(".//{urn:xmpp:blocking:errors}blocked") is not None,
              "no <blocked/>")
    ann.send("<iq type='get' id='i' to='%s'>"
             "<query xmlns='jabber:iq:version'/></iq>" % bob.jid)
    ann.expect_error("not-acceptable")
    bob.expect_nothing()


@case("2", "user@domain/resource, user@domain, domain/resource, domain")
def knows_each_form_of_address(s):
    ann, bob = s.online(s.user(), "phone"), s.online(s.user(), "desk")
    for jid, stops in ((bob.jid, True), (bob.bare, True),
                       (bob.bare + "/other", False),
                       (s.domain + "/desk", True),
                       (s.domain + "/other", False)):
        block(ann, jid)
        bob.send(chat(ann.jid))
        if stops:
            bob.expect_error("service-unavailable", stanza="message")
        else:
            ann.expect("<message from='%s'/>" % bob.jid)
        unblock(ann, jid)


@case("3.3", "the duration applies across sessions")
def outlasts_the_session(s):
    ann, bob = s.online(s.user(), "phone"), s.online(s.user(), "desk")
    block(ann, bob.bare)
    ann.shut()
    s.peers.remove(ann)
    bob.send(chat(ann.bare))
    bob.expect_error("service-unavailable", stanza="message")
    again = s.online(ann.user, "phone")
    bob.send(chat(ann.bare))
    bob.expect_error("service-unavailable", stanza="message")
    again.expect_nothing()
