"""XEP-0280: message carbons; XEP-0297: what is forwarded; XEP-0334: no-copy."""

from scenario import case, check

BODY = "<body>hello</body>"
MUC = "http://jabber.org/protocol/muc#user"
INFO = "http://jabber.org/protocol/disco#info"


def enable(peer):
    answer = peer.iq("set", "<enable xmlns='urn:xmpp:carbons:2'/>")
    check(answer.get("type") == "result", "not enabled")
    return peer


def disable(peer):
    answer = peer.iq("set", "<disable xmlns='urn:xmpp:carbons:2'/>")
    check(answer.get("type") == "result", "not disabled")


def wrapped(direction, inner, **more):
    attrs = "".join(" %s='%s'" % (k.rstrip("_"), v) for k, v in more.items())
    return (f"<message{attrs}><{direction} xmlns='urn:xmpp:carbons:2'>"
            f"<forwarded xmlns='urn:xmpp:forward:0'>{inner}</forwarded>"
            f"</{direction}></message>")


def crowd(s):
    """Two of one user, two of another; all with carbons but the senders."""
    a, b = s.user(), s.user()
    one, two = s.client(a, "one"), enable(s.client(a, "two"))
    three, four = s.client(b, "three"), enable(s.client(b, "four"))
    return one, two, three, four


@case("3", "an entity advertises support by \"urn:xmpp:carbons:2\"; 6.2: all "
      "the rules by \"urn:xmpp:carbons:rules:0\"")
def is_advertised(s):
    answer = s.client("ann").iq("get", f"<query xmlns='{INFO}'/>", s.domain)
    features = [f.get("var") for f in answer.iter("{%s}feature" % INFO)]
    for name in ("urn:xmpp:carbons:2", "urn:xmpp:carbons:rules:0"):
        check(name in features, "no " + name)


@case("10.1", "the server MUST allow the client to enable and disable the "
      "protocol multiple times; SHOULD NOT treat multiple requests as an error")
def as_often_as_one_likes(s):
    one = s.client("ann")
    for _ in range(2):
        enable(one)
        enable(one)
        disable(one)
        disable(one)


@case("8", "delivers a forwarded copy to each Carbons-enabled resource for the "
      "matching bare JID sender, excluding the sending client")
def what_one_sends(s):
    one, two, three, _ = crowd(s)
    enable(one)
    one.send(f"<message to='{three.jid}' type='chat' id='1'>{BODY}</message>")
    two.expect(wrapped(
        "sent", f"<message xmlns='jabber:client' from='{one.jid}' "
        f"to='{three.jid}' type='chat' id='1'>{BODY}</message>",
        from_=two.bare, to=two.jid, type="chat"))
    two.expect_nothing()
    one.expect_nothing()


@case("7", "delivers a forwarded copy to each Carbons-enabled resource for the "
      "matching bare JID recipient that did not receive it")
def what_one_receives(s):
    one, _, three, four = crowd(s)
    enable(three)
    one.send(f"<message to='{three.jid}' type='chat' id='1'>{BODY}</message>")
    three.expect(f"<message from='{one.jid}' id='1'>{BODY}</message>")
    four.expect(wrapped(
        "received", f"<message xmlns='jabber:client' from='{one.jid}' "
        f"to='{three.jid}' type='chat' id='1'>{BODY}</message>",
        from_=four.bare, to=four.jid, type="chat"))
    three.expect_nothing()
    four.expect_nothing()


@case("7", "MUST NOT send a forwarded copy to the clients that the message was "
      "addressed to")
def who_gets_it_gets_no_copy(s):
    one, _, three, four = crowd(s)
    enable(three)
    for peer in (three, four):
        peer.present()
        peer.sync()
    three.sync()
    one.send(f"<message to='{four.bare}' type='chat' id='1'>{BODY}</message>")
    for peer in (three, four):
        peer.expect(f"<message from='{one.jid}' id='1'>{BODY}</message>")
        peer.expect_nothing()


@case("6.1", "what a message has to be to be copied")
def which_messages(s):
    invite = f"<x xmlns='{MUC}'><invite to='x@y.z'/></x>"
    rows = (("chat", "<x xmlns='urn:x'/>", True, True),
            ("normal", BODY, True, True),
            ("normal", "<x xmlns='urn:x'/>", False, False),
            ("normal", "<request xmlns='urn:xmpp:receipts'/>", True, True),
            ("normal", "<composing xmlns='http://jabber.org/protocol/"
             "chatstates'/>", True, True),
            ("normal", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
             True, True),
            ("normal", "<x xmlns='jabber:x:conference' jid='r@y.z'/>", True,
             True),
            ("normal", invite, True, True),
            ("chat", BODY + f"<x xmlns='{MUC}'/>", True, False),
            ("groupchat", BODY, False, False),
            ("headline", BODY, False, False),
            ("chat", BODY + "<private xmlns='urn:xmpp:carbons:2'/>"
             "<no-copy xmlns='urn:xmpp:hints'/>", False, False))
    one, two, three, four = crowd(s)
    for kind, inner, sent, received in rows:
        one.send(f"<message to='{three.jid}' type='{kind}'>{inner}</message>")
        three.expect(f"<message from='{one.jid}'>{inner}</message>")
        check(bool(two.sync()) == sent, f"sent: {kind} {inner}")
        check(bool(four.sync()) == received, f"received: {kind} {inner}")


@case("9", "earlier versions required the removal of the <private/> element: "
      "lifted")
def private_stays(s):
    one, _, three, _ = crowd(s)
    inner = BODY + "<private xmlns='urn:xmpp:carbons:2'/>"
    one.send(f"<message to='{three.jid}' type='chat'>{inner}</message>")
    three.expect(f"<message from='{one.jid}'>{inner}</message>")


@case("6.1", "it is of type \"error\" and it was sent in response to a message "
      "that was eligible", ours=True)
def errors(s):
    one, two, three, four = crowd(s)
    error = ("<error type='cancel'><item-not-found xmlns="
             "'urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")
    one.send(f"<message to='{three.jid}' type='chat' id='e1'>{BODY}</message>")
    two.expect("<message type='chat'/>")
    four.expect("<message type='chat'/>")
    three.send(f"<message to='{one.jid}' type='error' id='e1'>{error}"
               "</message>")
    one.expect("<message type='error' id='e1'/>")
    two.expect(wrapped("received", "<message xmlns='jabber:client' id='e1' "
                       "type='error'/>", type="error"))
    four.expect(wrapped("sent", "<message xmlns='jabber:client' id='e1' "
                        "type='error'/>", type="error"))
    three.send(f"<message to='{one.jid}' type='error' id='e2'>{error}"
               "</message>")
    one.expect("<message type='error' id='e2'/>")
    two.expect_nothing()
    four.expect_nothing()


@case("10.3", "an error for a copy MUST NOT be forwarded to the original "
      "sender")
def an_error_for_a_copy(s):
    one, two, three, four = crowd(s)
    one.send(f"<message to='{three.jid}' type='chat' id='1'>{BODY}</message>")
    four.expect("<message/>")
    four.send(f"<message to='{four.bare}' type='error' id='1'/>")
    four.expect_nothing()
    one.expect_nothing()
    two.expect("<message/>")
    two.expect_nothing()


@case("8", "a note to oneself")
def to_oneself(s):
    user = s.user()
    one, two = s.client(user, "one"), enable(s.online(user, "two"))
    one.send(f"<message to='{one.bare}' type='chat' id='1'>{BODY}</message>")
    two.expect(f"<message from='{one.jid}' id='1'>{BODY}</message>")
    two.expect_nothing()


@case("XEP-0386, 4", "carbons can be enabled with the bind", ours=True)
def with_the_bind(s):
    user = s.user()
    one = s.client(user, "one")
    enable(one)
    disable(one)
    other = s.client("ann")
    two = enable(s.client(user, "two"))
    other.send(f"<message to='{one.jid}' type='chat'>{BODY}</message>")
    two.expect(wrapped("received", "<message xmlns='jabber:client'/>"))
