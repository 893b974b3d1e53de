"""XEP-0160: best practices for offline messages; XEP-0203: when they came."""

import time

from scenario import case, check

STATE = "<%s xmlns='http://jabber.org/protocol/chatstates'/>"
DELAY = "{urn:xmpp:delay}delay"


def send(peer, to, inner, kind="chat"):
    name = peer.new_id()
    peer.send(f"<message to='{to}' type='{kind}' id='{name}'>{inner}</message>")
    return name


def refused(s, ann, user):
    """The errors for what has been sent, once all of it was dealt with: one
    that is refused comes behind it."""
    last = send(ann, f"{user}@{s.domain}/none", "<body>b</body>"
                "<no-store xmlns='urn:xmpp:hints'/>", "normal")
    came = [ann.read()]
    while came[-1].get("id") != last:
        came.append(ann.read())
    return came[:-1]


def waiting(peer):
    """The ids of messages that come; a ping's answer may overtake them."""
    ids = []
    for _ in range(5):
        ids += [e.get("id") for e in peer.sync() if e.tag.endswith("message")]
        time.sleep(0.02)
    return ids


@case("2", "the server delivers the message to the resource that has sent "
      "presence; it is RECOMMENDED to add a delay")
def waits_for_presence(s):
    ann, user = s.client("ann"), s.user()
    names = [send(ann, f"{user}@{s.domain}", f"<body>{n}</body>")
             for n in range(3)]
    refused(s, ann, user)
    one = s.client(user, "one")
    one.expect_nothing()
    one.send("<presence><priority>-1</priority></presence>")
    check(not [e for e in one.sync() if e.tag.endswith("message")],
          "to a negative priority")
    one.send("<presence/>")
    for n, name in enumerate(names):
        message = one.find(f"<message from='{ann.jid}' id='{name}' "
                           f"type='chat'><body>{n}</body></message>")
        delay = message.find(DELAY)
        check(delay is not None and delay.get("from") == s.domain,
              "who delayed it")
        check(delay.get("stamp").endswith("Z"), "XEP-0203, 4: in UTC")
    one.expect_nothing()
    two = s.online(user, "two")
    check(not [e for e in two.sync() if e.tag.endswith("message")], "twice")


@case("3", "normal and chat SHOULD be stored, but not chat states alone; "
      "groupchat, headline and error SHOULD NOT")
def which_are_stored(s):
    rows = (("normal", "<body>b</body>", True),
            ("normal", "<x xmlns='urn:x'/>", True),
            ("chat", "<body>b</body>" + STATE % "active", True),
            ("chat", STATE % "composing", False),
            ("chat", STATE % "composing" + "<thread>t</thread>", False),
            ("chat", "<received xmlns='urn:xmpp:receipts' id='x'/>", True),
            ("groupchat", "<body>b</body>", False),
            ("headline", "<body>b</body>", False),
            ("error", "<body>b</body>", False))
    ann = s.client("ann")
    for kind, inner, stored in rows:
        user = s.user()
        name = send(ann, f"{user}@{s.domain}", inner, kind)
        errors = refused(s, ann, user)
        check(not stored or not errors, "an error: " + inner)
        one = s.client(user)
        one.present()
        check(stored == (name in waiting(one)), "%s %s" % (kind, inner))


@case("2", "if not (the queue is full), the server returns "
      "service-unavailable", ours=True)
def a_full_queue(s):
    ann, user = s.client("ann"), s.user()
    s.server.call("Limits.Set", limit="offline", value="2000")
    try:
        heard = []
        for n in range(20):
            last = send(ann, f"{user}@{s.domain}", f"<body>{n}</body>")
        # One after the other is stored; the last one is refused.
        while not heard or heard[-1].get("id") != last:
            heard.append(ann.expect("<message type='error'/>"))
        check(5 < len(heard) < 20, len(heard))
        check(all(e.find("{jabber:client}error/{urn:ietf:params:xml:ns:"
                         "xmpp-stanzas}service-unavailable") is not None
                  for e in heard), "service-unavailable")
    finally:
        s.server.call("Limits.Set", limit="offline", value="default")
    one = s.client(user)
    one.present()
    check(len(waiting(one)) == 20 - len(heard), "those that were taken")


@case("4", "a server SHOULD return a \"msgoffline\" feature")
def is_advertised(s):
    answer = s.client("ann").iq(
        "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        s.domain)
    check("msgoffline" in [f.get("var") for f in answer.iter(
        "{http://jabber.org/protocol/disco#info}feature")], "no such feature")
