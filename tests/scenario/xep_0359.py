"""XEP-0359: unique and stable stanza ids."""

from scenario import case, check

SID = "urn:xmpp:sid:0"
ID = "{%s}stanza-id" % SID
BODY = "<body>hello</body>"
INFO = "http://jabber.org/protocol/disco#info"


def ids(message, by):
    return [x.get("id") for x in message.findall(ID) if x.get("by") == by]


def forged(by):
    return f"<stanza-id xmlns='{SID}' by='{by}' id='forged'/>"


@case("3", "the value of the 'by' attribute MUST be the address of the entity "
      "assigning the id: for one-on-one messages the account")
def by_the_account(s):
    a, b = s.user(), s.user()
    one, two = s.client(a), s.online(b)
    one.send(f"<message to='{two.bare}' type='chat'>{BODY}</message>")
    message = two.expect(f"<message>{BODY}</message>")
    check(len(ids(message, two.bare)) == 1, "an id by the recipient")
    check(not ids(message, one.bare), "XEP-0313, 3.6: not the sender's")
    one.send(f"<message to='{two.bare}' type='chat'>{BODY}</message>")
    other = two.expect(f"<message>{BODY}</message>")
    check(ids(message, two.bare) != ids(other, two.bare), "unique")


@case("3", "entities which encounter a <stanza-id/> whose 'by' they would set "
      "MUST delete that element even if they are not adding their own")
def forged_ids_go(s):
    a, b = s.user(), s.user()
    one, two = s.client(a), s.online(b)
    for by in (two.bare, two.bare.upper(), one.bare):
        for kind, inner in (("chat", BODY), ("chat", "<x xmlns='urn:x'/>"),
                            ("headline", BODY)):
            one.send(f"<message to='{two.bare}' type='{kind}'>{forged(by)}"
                     f"{inner}</message>")
            message = two.expect(f"<message>{inner}</message>")
            check("forged" not in [x.get("id") for x in message.findall(ID)],
                  by)


@case("3", "entities SHOULD NOT strip any other elements qualified by "
      "'urn:xmpp:sid:0'")
def others_stay(s):
    a, b = s.user(), s.user()
    one, two = s.client(a), s.online(b)
    inner = (f"<stanza-id xmlns='{SID}' by='room@example.net' id='r1'/>"
             f"<origin-id xmlns='{SID}' id='o1'/>")
    one.send(f"<message to='{two.bare}' type='chat'>{BODY}{inner}</message>")
    two.expect(f"<message>{BODY}{inner}</message>")


@case("3", "stanzas MUST possess at most one with the same 'by'")
def one_of_each(s):
    a, b = s.user(), s.user()
    one, two = s.client(a), s.online(b)
    one.send(f"<message to='{two.bare}' type='chat'>{forged(two.bare)}{BODY}"
             f"{forged(two.bare)}</message>")
    message = two.expect(f"<message>{BODY}</message>")
    check(len(ids(message, two.bare)) == 1, "one")


@case("XEP-0313, 3.6", "what is stored offline has the id of the archive")
def stored_ones_have_it(s):
    a, b = s.user(), s.user()
    one = s.client(a)
    one.send(f"<message to='{b}@{s.domain}' type='chat'>{BODY}</message>")
    one.sync()
    two = s.client(b)
    two.send("<presence/>")
    message = two.find(f"<message>{BODY}</message>")
    check(len(ids(message, two.bare)) == 1, "an id")
    two.sync()
    two.send("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>")
    result = two.expect("<message><result xmlns='urn:xmpp:mam:2'/></message>")
    check(result.find("{urn:xmpp:mam:2}result").get("id") ==
          ids(message, two.bare)[0], "the same id")


@case("XEP-0313, 3.6", "servers SHOULD include the element as a child of the "
      "forwarded message when using XEP-0280")
def copies_have_it(s):
    a, b = s.user(), s.user()
    one, two, three = s.client(a, "one"), s.client(a, "two"), s.client(b)
    two.iq("set", "<enable xmlns='urn:xmpp:carbons:2'/>")
    one.send(f"<message to='{three.jid}' type='chat'>{BODY}</message>")
    copy = two.expect("<message><sent xmlns='urn:xmpp:carbons:2'/></message>")
    inner = copy.find(".//{urn:xmpp:forward:0}forwarded/"
                      "{jabber:client}message")
    check(len(ids(inner, two.bare)) == 1, "the sender's")
    check(not ids(three.expect("<message/>"), two.bare), "to nobody else")


@case("5", "an entity that follows the business rules SHOULD announce "
      "'urn:xmpp:sid:0'")
def is_advertised(s):
    ann = s.client("ann")
    for to in (s.domain, ann.bare):
        answer = ann.iq("get", f"<query xmlns='{INFO}'/>", to)
        check(SID in [f.get("var") for f in answer.iter("{%s}feature" % INFO)],
              "no such feature of " + to)
