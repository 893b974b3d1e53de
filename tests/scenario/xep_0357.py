"""XEP-0357: Push Notifications."""

from scenario import case, check, show

PUSH = "urn:xmpp:push:0"
PUBSUB = "http://jabber.org/protocol/pubsub"
OPTIONS = PUBSUB + "#publish-options"
SUMMARY = "urn:xmpp:push:summary"
SM = "urn:xmpp:sm:3"
DATA = "jabber:x:data"


def enable(peer, jid, node="n", inside=""):
    answer = peer.iq("set", "<enable xmlns='%s' jid='%s' node='%s'>%s</enable>"
                     % (PUSH, jid, node, inside))
    check(answer.get("type") == "result", show(answer))


def disable(peer, jid, more=""):
    answer = peer.iq("set", "<disable xmlns='%s' jid='%s'%s/>" % (
        PUSH, jid, more))
    check(answer.get("type") == "result", show(answer))


def leave(s, peer):
    peer.shut()
    s.peers.remove(peer)


def chat(to, body="hello"):
    return "<message to='%s' type='chat'><body>%s</body></message>" % (to, body)


def notification(peer, bare, node="n"):
    return peer.expect(
        "<iq type='set' from='%s' to='%s' id='*'><pubsub xmlns='%s'>"
        "<publish node='%s'><item><notification xmlns='%s'/></item></publish>"
        "</pubsub></iq>" % (bare, peer.jid, PUBSUB, node, PUSH))


def away(s, push):
    """A user whose only client has enabled push and gone; and somebody."""
    ann, bob = s.online(s.user(), "phone"), s.online(s.user(), "desk")
    enable(ann, push.jid)
    leave(s, ann)
    return ann, bob


@case("3", "the feature on the account")
def is_advertised(s):
    ann = s.client(s.user(), "phone")
    answer = ann.iq(
        "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        ann.bare)
    check(PUSH in [f.get("var") for f in answer.iter(
        "{http://jabber.org/protocol/disco#info}feature")], "no such feature")


@case("5", "the server publishes to the app server when a message comes for a "
      "user who isn't there")
def tells_of_a_stored_message(s):
    push = s.component("push")
    ann, bob = away(s, push)
    bob.send(chat(ann.bare))
    answer = notification(push, ann.bare)
    summary = answer.find(".//{%s}x" % DATA)
    values = {f.get("var"): f.findtext("{%s}value" % DATA) for f in summary}
    check(values.get("FORM_TYPE") == SUMMARY, str(values))
    check(values.get("message-count") == "1", str(values))


@case("9", "no more than is needed: by default neither sender nor body",
      ours=True)
def says_little(s):
    push = s.component("push")
    ann, bob = away(s, push)
    bob.send(chat(ann.bare, "secret words"))
    text = show(notification(push, ann.bare))
    check("secret" not in text and bob.bare not in text, text)


@case("4", "publish-options are given back with each notification")
def gives_the_options_back(s):
    push = s.component("push")
    ann, bob = s.online(s.user(), "phone"), s.online(s.user(), "desk")
    enable(ann, push.jid, "n", "<x xmlns='%s' type='submit'>"
           "<field var='FORM_TYPE'><value>%s</value></field>"
           "<field var='secret'><value>eruio234</value></field></x>" % (
               DATA, OPTIONS))
    leave(s, ann)
    bob.send(chat(ann.bare))
    answer = notification(push, ann.bare)
    options = answer.find(".//{%s}publish-options" % PUBSUB)
    check(options is not None and "eruio234" in show(options), show(answer))


@case("5", "only for clients that aren't there", ours=True)
def tells_nobody_who_is_there(s):
    push = s.component("push")
    ann, bob = s.online(s.user(), "phone"), s.online(s.user(), "desk")
    enable(ann, push.jid)
    bob.send(chat(ann.bare))
    ann.find("<message from='%s'/>" % bob.jid)
    push.expect_nothing()
    # Another client has the message, and the first is gone.
    other = s.online(ann.user, "tv")
    leave(s, ann)
    other.sync()
    bob.send(chat(ann.bare))
    other.find("<message from='%s'/>" % bob.jid)
    notification(push, ann.bare)


@case("5", "also for one that can be resumed (XEP-0198)", ours=True)
def tells_of_messages_to_a_lost_connection(s):
    push = s.component("push")
    ann, bob = s.online(s.user(), "phone"), s.online(s.user(), "desk")
    enable(ann, push.jid)
    ann.send("<enable xmlns='%s' resume='true'/>" % SM)
    ann.expect("<enabled xmlns='%s'/>" % SM)
    ann.sock.close()
    s.peers.remove(ann)
    bob.sync()
    bob.send(chat(ann.bare))
    notification(push, ann.bare)


@case("7", "disabled for one node, or for all of an app server")
def is_disabled(s):
    push = s.component("push")
    ann, bob = s.online(s.user(), "phone"), s.online(s.user(), "desk")
    for node in ("a", "b", "c"):
        enable(ann, push.jid, node)
    disable(ann, push.jid, " node='b'")
    leave(s, ann)
    bob.send(chat(ann.bare))
    nodes = sorted(push.expect("<iq type='set' from='%s'/>" % ann.bare).find(
        ".//{%s}publish" % PUBSUB).get("node") for _ in "ac")
    check(nodes == ["a", "c"], str(nodes))
    ann = s.online(ann.user, "phone")
    disable(ann, push.jid)
    leave(s, ann)
    bob.send(chat(ann.bare))
    push.expect_nothing()


@case("6", "an error of the app server ends it")
def ends_with_an_error(s):
    push = s.component("push")
    ann, bob = away(s, push)
    bob.send(chat(ann.bare))
    first = notification(push, ann.bare)
    push.send("<iq type='error' id='%s' from='%s' to='%s'><error type='cancel'>"
              "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
              "</error></iq>" % (first.get("id"), push.jid, ann.bare))
    push.sync()
    bob.send(chat(ann.bare))
    push.expect_nothing()


@case("4", "an enable without a JID is a bad request")
def asks_for_a_jid(s):
    ann = s.client(s.user(), "phone")
    ann.send("<iq type='set' id='1'><enable xmlns='%s' node='x'/></iq>" % PUSH)
    ann.expect_error("bad-request")


@case("4", "an app server that can't be reached is refused", ours=True)
def refuses_what_it_cannot_reach(s):
    ann = s.client(s.user(), "phone")
    for jid, condition in (("push.example.net", "remote-server-not-found"),
                           (ann.bare, "not-acceptable")):
        ann.send("<iq type='set' id='1'><enable xmlns='%s' jid='%s'/></iq>" % (
            PUSH, jid))
        ann.expect_error(condition)
