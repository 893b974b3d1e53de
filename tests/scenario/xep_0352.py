"""XEP-0352: Client State Indication."""

import time

from scenario import SLOW, case, check

CSI = "urn:xmpp:csi:0"
CHAT_STATES = "http://jabber.org/protocol/chatstates"
SM = "urn:xmpp:sm:3"


def inactive(peer):
    peer.send(f"<inactive xmlns='{CSI}'/>")


def active(peer):
    peer.send(f"<active xmlns='{CSI}'/>")


def settle(peer):
    """What it has sent is with those who get it."""
    peer.sync()
    time.sleep(0.3 * SLOW)


def stage(s):
    """Ann, whom nobody looks at, and Bob, whom she sees."""
    one, other = s.user(), s.user()
    s.friends(one, other)
    ann, bob = s.online(one, "phone"), s.online(other, "desk")
    ann.find(f"<presence from='{bob.jid}'/>")
    inactive(ann)
    ann.sync()
    return ann, bob


@case("4.1", "if the server supports CSI, it advertises it in the stream "
      "features after the client has authenticated")
def is_a_feature(s):
    check(s.stream().features.find(f"{{{CSI}}}csi") is None, "before the login")
    ann = s.authenticated(s.user())
    check(ann.features.find(f"{{{CSI}}}csi") is not None, "no feature")


@case("4.2", "there is no reply from the server to either of these elements")
def is_not_answered(s):
    ann = s.client(s.user())
    for say in (inactive, inactive, active, active):
        say(ann)
    ann.expect_nothing()


@case("3.2", "suppress presence updates until the client becomes active again; "
      "on becoming active, push the latest presence from each contact")
def holds_presence_back(s):
    ann, bob = stage(s)
    for show in ("away", "xa", "dnd"):
        bob.send(f"<presence><show>{show}</show></presence>")
    settle(bob)
    active(ann)
    ann.expect(f"<presence from='{bob.jid}'><show>dnd</show></presence>")
    ann.expect_nothing()


@case("5.1", "the server first changes the CSI state to active and flushes all "
      "eventually queued stanzas; after the resulting stanzas have been put on "
      "the wire, the server sends the pong")
def flushes_first(s):
    ann, bob = stage(s)
    bob.send("<presence><show>away</show></presence>")
    settle(bob)
    ann.send(f"<active xmlns='{CSI}'/><iq type='get' id='p'>"
             "<ping xmlns='urn:xmpp:ping'/></iq>")
    ann.expect(f"<presence from='{bob.jid}'/>")
    ann.expect("<iq type='result' id='p'/>")


@case("RFC 6120, 10.1", "what is held back comes before what is said later",
      True)
def keeps_the_order(s):
    ann, bob = stage(s)
    bob.send("<presence><show>away</show></presence>")
    bob.send(f"<message to='{ann.jid}' type='chat'>"
             f"<composing xmlns='{CHAT_STATES}'/></message>")
    bob.send(f"<message to='{ann.jid}' type='chat'><body>hi</body></message>")
    ann.expect(f"<presence from='{bob.jid}'/>")
    ann.expect(f"<message><composing xmlns='{CHAT_STATES}'/></message>")
    ann.expect("<message><body>hi</body></message>")


@case("3", "what is of importance comes at once")
def holds_no_message_back(s):
    ann, bob = stage(s)
    bob.send(f"<message to='{ann.jid}' type='chat'><body>hi</body>"
             f"<active xmlns='{CHAT_STATES}'/></message>")
    ann.expect("<message><body>hi</body></message>")
    bob.send(f"<iq type='get' id='q' to='{ann.jid}'><x xmlns='urn:x'/></iq>")
    ann.expect("<iq type='get' id='q'/>")


@case("5.2", "stream resumption does not affect the current CSI state, which "
      "always defaults to 'active' for new and resumed streams")
def is_active_when_resumed(s):
    one, other = s.user(), s.user()
    s.friends(one, other)
    ann, bob = s.online(one, "phone"), s.online(other, "desk")
    ann.find(f"<presence from='{bob.jid}'/>")
    ann.send(f"<enable xmlns='{SM}' resume='true'/>")
    previd = ann.expect(f"<enabled xmlns='{SM}'/>").get("id")
    inactive(ann)
    ann.sync()
    bob.send("<presence><show>away</show></presence>")
    settle(bob)
    ann.sock.close()
    ann.eof = True
    ann = s.authenticated(one)
    ann.send(f"<resume xmlns='{SM}' previd='{previd}' h='1'/>")
    ann.expect(f"<resumed xmlns='{SM}'/>")
    ann.expect("<presence><show>away</show></presence>")
    bob.send("<presence><show>xa</show></presence>")
    ann.find("<presence><show>xa</show></presence>")
