"""RFC 6121, 8.5 and 11: what somebody without a subscription can, and cannot,
find out or do; IQs and messages between any two."""

from scenario import STANZA_ERRORS, case, check, show
from scenario_roster import drain, get, interested, presences, pushes, put

PING = "<ping xmlns='urn:xmpp:ping'/>"
PAYLOADS = (
    PING, "<query xmlns='jabber:iq:roster'/>",
    "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    "<query xmlns='http://jabber.org/protocol/disco#items'/>",
    "<query xmlns='jabber:iq:version'/>", "<query xmlns='jabber:iq:last'/>",
    "<time xmlns='urn:xmpp:time'/>", "<vCard xmlns='vcard-temp'/>",
    "<query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query>",
    "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:n'/>"
    "</pubsub>",
    "<blocklist xmlns='urn:xmpp:blocking'/>",
    "<query xmlns='urn:xmpp:mam:2'/>", "<prefs xmlns='urn:xmpp:mam:2'/>",
    "<query xmlns='jabber:iq:register'/>", "<x xmlns='urn:nothing'/>")


def shape(element):
    """What an answer says, but for whose it is."""
    return [(e.tag, e.get("type"), e.text) for e in element.iter()]


@case("11", "a server MUST NOT leak presence: to a stranger all that is said "
      "of who is here, who is away, and who doesn't exist, is the same")
def requests_of_strangers(s):
    here, away = s.online(s.user(), "desk"), s.user()
    eve = s.client(s.user())
    for payload in PAYLOADS:
        for type_ in ("get", "set"):
            answers = [shape(eve.iq(type_, payload, to)) for to in (
                here.bare, f"{away}@{s.domain}", "nobody@" + s.domain)]
            check(answers[0] == answers[1] == answers[2], "%s: %s" % (
                payload, answers))
            answers = [shape(eve.iq(type_, payload, to)) for to in (
                here.jid, here.bare + "/none", f"{away}@{s.domain}/desk",
                f"nobody@{s.domain}/desk")]
            check(answers[0] == answers[1] == answers[2] == answers[3],
                  "%s: %s" % (payload, answers))
    here.expect_nothing()


@case("11", "the same of presence, and of what leads to it")
def presence_of_strangers(s):
    here, away = s.online(s.user(), "desk"), s.user()
    answers = []
    for to in (here.bare, f"{away}@{s.domain}", "nobody@" + s.domain,
               here.jid, f"nobody@{s.domain}/desk"):
        eve = s.client(s.user())
        get(eve)
        for type_ in ("probe", "subscribe", "unsubscribe", "unavailable"):
            eve.send(f"<presence type='{type_}' to='{to}'/>")
        eve.send(f"<presence to='{to}'/>")
        came = drain(eve)
        answers.append((sorted(t for t, _ in presences(came)),
                        [v[:2] for v in pushes(came).values()]))
    check(all(a == answers[0] for a in answers), answers)


@case("8.5.3.1", "for an IQ of type 'result' or 'error' the server MUST "
      "deliver the stanza to the resource")
def answers_of_strangers(s):
    ann, bob = s.client(s.user(), "a"), s.client(s.user(), "b")
    bob.send(f"<iq type='result' id='1' to='{ann.jid}'><x xmlns='urn:x'/></iq>"
             f"<iq type='error' id='2' to='{ann.jid}'><error type='wait'>"
             f"<gone xmlns='{STANZA_ERRORS}'/></error></iq>")
    ann.expect(f"<iq type='result' id='1' from='{bob.jid}'><x xmlns='urn:x'/>"
               "</iq>")
    ann.expect_error("gone", "wait", id="2", from_=bob.jid)


@case("8.5.2.1.3", "an IQ result or error to a bare JID, to nobody, to a "
      "resource that isn't there: nothing comes of it")
def answers_to_nobody(s):
    ann, bob = s.client(s.user(), "a"), s.online(s.user(), "b")
    for to in (bob.bare, bob.bare + "/none", "nobody@" + s.domain,
               "nobody@%s/x" % s.domain, s.domain, s.domain + "/x"):
        for type_ in ("result", "error"):
            ann.send(f"<iq type='{type_}' id='r' to='{to}'/>")
    ann.expect_nothing()
    bob.expect_nothing()


@case("8.5.3.1", "one that shares its presence is asked, in one direction: "
      "'from' lets the contact ask the user; it doesn't let the user ask",
      ours=True)
def directions(s):
    ann, bob = s.online(s.user()), s.online(s.user())
    ann.send(f"<presence type='subscribe' to='{bob.bare}'/>")
    drain(ann, bob)
    bob.send(f"<presence type='subscribed' to='{ann.bare}'/>")
    drain(bob, ann)
    ann.send(f"<iq type='get' id='1' to='{bob.jid}'>{PING}</iq>")
    bob.expect(f"<iq type='get' id='1' from='{ann.jid}'>{PING}</iq>")
    bob.send(f"<iq type='get' id='2' to='{ann.jid}'>{PING}</iq>")
    bob.expect_error("service-unavailable", id="2", from_=ann.jid)
    bob.send(f"<presence type='unsubscribed' to='{ann.bare}'/>")
    drain(bob, ann)
    ann.send(f"<iq type='get' id='3' to='{bob.jid}'>{PING}</iq>")
    ann.expect_error("service-unavailable", id="3", from_=bob.jid)


@case("8.5.3.1", "the resources of one account may ask each other; a component "
      "may ask, and be asked")
def requests_that_pass(s):
    name, gate = s.user(), s.component("gate")
    one, two = s.online(name, "1"), s.client(name, "2")
    for asks, from_, is_asked, to in (
            (one, None, two, two.jid), (two, None, one, one.jid),
            (gate, "x@" + gate.jid, one, one.jid),
            (one, None, gate, "x@%s/r" % gate.jid)):
        drain(one, two, gate)
        asks.send("<iq type='set' id='q' to='%s'%s>%s</iq>" % (
            to, "" if from_ is None else f" from='{from_}'", PING))
        is_asked.expect(f"<iq type='set' id='q' from='{from_ or asks.jid}'/>")


@case("5.2", "<body/>, <subject/>, <thread/> and what the server doesn't know "
      "are delivered as they are, in their order")
def content_is_untouched(s):
    ann, bob = s.client(s.user()), s.online(s.user())
    parts = ("<subject>One</subject>", "<subject xml:lang='de'>Eins</subject>",
             "<thread parent='e0ffe42b'>0e3141cd</thread>",
             "<body> a  b\n c </body>", "<body xml:lang='de'>&lt;&amp;</body>",
             "<x xmlns='urn:x'>one<y b='2'/>two</x>", "<other/>")
    for to in (bob.bare, bob.jid):
        for inside in ("".join(parts), "".join(reversed(parts))):
            ann.send(f"<message to='{to}' type='chat' id='c'>{inside}"
                     "</message>")
            got = bob.expect(f"<message id='c' to='{to}' type='chat'>{inside}"
                             "</message>")
            mine = [e for e in got if e.tag.split("}")[1] in (
                "subject", "thread", "body", "x", "other")]
            check([e.tag.split("}")[1] for e in mine] == [
                p.split("<")[1].split(">")[0].split(" ")[0].rstrip("/")
                for p in (parts if inside.startswith("<subject>One")
                          else reversed(parts))], show(got))


@case("8.5.2.1.1", "equal priorities: to one of them, or to all; the same to "
      "each of the messages; a later priority counts")
def equal_priorities(s):
    ann, name = s.client(s.user()), s.user()
    one, two, never = (s.online(name, r, f"<priority>{p}</priority>")
                       for r, p in (("1", 5), ("2", 5), ("3", -5)))
    drain(one, two, never)
    for number in range(5):
        ann.send(f"<message to='{one.bare}' type='chat' id='m{number}'><body>"
                 "x</body></message>")
    ann.sync()
    counts = [len([e for e in came if e.tag.endswith("}message")])
              for came in drain(one, two, never)]
    check(counts in ([5, 5, 0], [5, 0, 0], [0, 5, 0]), counts)
    for peer in (one, two):
        peer.send("<presence><priority>-1</priority></presence>")
    never.send("<presence><priority>0</priority></presence>")
    drain(one, two, never)
    ann.send(f"<message to='{one.bare}' type='chat' id='last'><body>x</body>"
             "</message>")
    ann.sync()
    counts = [len([e for e in came if e.tag.endswith("}message")])
              for came in drain(one, two, never)]
    check(counts == [0, 0, 1], counts)


@case("8.5.2.2.1", "what is kept while all priorities are negative is handed "
      "out when one isn't")
def kept_until_a_priority(s):
    ann, bob = s.client(s.user()), s.online(
        s.user(), "b", "<priority>-1</priority>")
    for number in range(3):
        ann.send(f"<message to='{bob.bare}' type='chat' id='k{number}'><body>"
                 f"{number}</body></message>")
    drain(ann)
    check(not [e for e in drain(bob) if e.tag.endswith("}message")],
          "delivered")
    bob.send("<presence><priority>1</priority></presence>")
    for number in range(3):
        bob.find(f"<message id='k{number}' from='{ann.jid}'><body>{number}"
                 "</body><delay xmlns='urn:xmpp:delay' stamp='*'/></message>")
    bob.send("<presence><priority>-1</priority></presence>")
    bob.send("<presence><priority>1</priority></presence>")
    check(not [e for e in drain(bob) if e.tag.endswith("}message")], "again")


@case("8.1, 6120 10.3.1", "a roster item alone lets nobody see anything")
def items_are_no_subscriptions(s):
    ann, bob = interested(s, s.user()), interested(s, s.user())
    put(ann, bob.bare, name="Bob")
    put(bob, ann.bare, name="Ann")
    drain(ann, bob)
    ann.send("<presence><show>away</show></presence>")
    drain(ann)
    check(not presences(drain(bob)), "presence without a subscription")
    bob.send(f"<presence type='probe' to='{ann.bare}'/>")
    check([t for t, _ in presences(drain(bob))] == ["unsubscribed"], "seen")
