"""XEP-0386: Bind 2."""

import re
import time

from logins import BIND2, SASL2, agent, login2, who
from scenario import BIND, SLOW, case, check

CHUNKED = True
OTHER = "0f8fad5b-d9cb-469f-a165-70867728950e"


def bind(inside=""):
    return "<bind xmlns='%s'>%s</bind>" % (BIND2, inside)


def bound(s, user, more, label=None):
    """A peer that has logged in and bound in one; and its <success/>."""
    s.server.need_user(user)
    peer = s.stream(label or user)
    success = login2(peer, user, more)
    peer.jid = who(success)
    check(success.find("{%s}bound" % BIND2) is not None, "no <bound/>")
    return peer, success


@case("3", "it MUST advertise this within the SASL2 <inline/> element in the "
      "stream features")
def is_offered_inline(s):
    features = s.stream().features
    inline = features.find("{%s}authentication/{%s}inline" % (SASL2, SASL2))
    check(inline is not None and inline.find("{%s}bind" % BIND2) is not None,
          "not there")
    check(inline.find("{%s}bind/{%s}inline" % (BIND2, BIND2)) is not None,
          "no list of inline features")


@case("4.3", "the server MUST respond with the SASL2 <success/> element, "
      "including the client's full JID in <authorization-identifier/>, and a "
      "<bound/> element")
def binds_at_once(s):
    peer, _ = bound(s, "ann", bind("<tag>Awesome XMPP</tag>"))
    check(re.fullmatch("ann@%s/Awesome XMPP/.{8,}" % re.escape(s.domain),
                       peer.jid), peer.jid)
    check(peer.features.find("{%s}bind" % BIND) is None, "binds again")
    peer.present()


@case("4.2", "[client tag]/[server generated identifier]; without a tag the "
      "identifier alone")
def needs_no_tag(s):
    one, _ = bound(s, "ann", bind())
    two, _ = bound(s, "ann", bind("<tag/>"))
    check(re.fullmatch("ann@%s/[^/]{8,}" % re.escape(s.domain), one.jid),
          one.jid)
    check(one.jid != two.jid, "the same")


@case("4.2", "subject to the necessary validation for resource identifiers")
def a_bad_tag_is_left_out(s):
    peer, _ = bound(s, "ann", bind("<tag>%s</tag>" % ("x" * 1020)))
    check(len(peer.jid) < 100, peer.jid)


@case("4.2", "the generated identifier SHOULD remain stable for every bind "
      "request with the same <tag/> and SASL2 <user-agent> id; the id itself "
      "MUST NOT be exposed", ours=True)
def is_stable_for_an_agent(s):
    tag = bind("<tag>t</tag>")
    first, _ = bound(s, "ann", agent() + tag, "first")
    other, _ = bound(s, "ann", agent(OTHER) + tag, "other")
    bob, _ = bound(s, "bob", agent() + tag)
    check(other.jid != first.jid, "another installation, the same resource")
    check(bob.jid.split("/", 1)[1] != first.jid.split("/", 1)[1],
          "the agent can be recognised")
    check("d4565fa7" not in first.jid, "the id is shown")
    again, _ = bound(s, "ann", agent() + tag, "again")
    check(again.jid == first.jid, "%s, before %s" % (again.jid, first.jid))
    # "SHOULD terminate any earlier sessions from the same client"
    first.expect_stream_error("conflict")
    other.sync()


@case("4", "what follows <success/> comes behind it: nothing is lost between")
def takes_part_at_once(s):
    bob = s.online("bob", "desk")
    ann, _ = bound(s, "ann", bind())
    bob.send("<message to='%s' type='chat'><body>hi</body></message>" %
             ann.jid)
    ann.find("<message from='%s'><body>hi</body></message>" % bob.jid)


SM = "urn:xmpp:sm:3"
CARBONS = "urn:xmpp:carbons:2"
MAM = "urn:xmpp:mam:2"
CSI = "urn:xmpp:csi:0"


@case("3", "each feature is listed as a <feature/> child element with a 'var'")
def lists_inline_features(s):
    features = [f.get("var") for f in s.stream().features.iter(
        "{%s}feature" % BIND2)]
    check({SM, CSI, CARBONS} <= set(features), features)


@case("4.4.1", "Stream Management should be enabled at this point; the <bound/> "
      "response MUST contain the resulting <enabled/>")
def enables_stream_management(s):
    peer, success = bound(s, "ann", bind(
        "<enable xmlns='%s' resume='true'/>" % SM))
    enabled = success.find("{%s}bound/{%s}enabled" % (BIND2, SM))
    check(enabled is not None and enabled.get("id"), "not enabled")
    check(peer.features.find("{%s}sm" % SM) is None, "is offered again")
    peer.send("<message to='%s' id='1'/>" % peer.jid)
    peer.find("<message id='1'/>")
    peer.send("<r xmlns='%s'/>" % SM)
    peer.find("<a xmlns='%s' h='1'/>" % SM)
    peer.send("<enable xmlns='%s'/>" % SM)
    peer.find("<failed xmlns='%s'/>" % SM)


@case("4.4.2", "If the client included a XEP-0280 <enable/> element, Message "
      "Carbons MUST be enabled at this point")
def enables_carbons(s):
    ann, _ = bound(s, "ann", bind("<enable xmlns='%s'/>" % CARBONS))
    deaf, _ = bound(s, "ann", bind(), "deaf")
    other, bob = s.online("ann", "other"), s.client("bob")
    ann.present()
    bob.send("<message to='%s' type='chat' id='c'><body>x</body></message>" %
             other.jid)
    other.find("<message id='c'/>")
    ann.find("<message from='ann@%s'><received xmlns='%s'><forwarded "
             "xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' "
             "from='%s' id='c'/>"
             "</forwarded></received></message>" % (
                 s.domain, CARBONS, bob.jid))
    check([e for e in deaf.sync() if e.tag.endswith("message")] == [],
          "a carbon unasked for")


@case("4.3", "The server SHOULD include a <metadata/> element as defined by "
      "XEP-0313, describing the state of the user's message archive")
def tells_of_the_archive(s):
    name = s.user()
    path = "{%s}bound/{%s}metadata" % (BIND2, MAM)
    _, success = bound(s, name, bind(), "before")
    check(success.find(path) is not None, "no metadata")
    check(len(success.find(path)) == 0, "the archive isn't empty")
    bob = s.client("bob")
    bob.send("<message to='%s@%s' type='chat'><body>x</body></message>" % (
        name, s.domain))
    bob.sync()
    deadline = time.monotonic() + 3 * SLOW
    while True:
        _, success = bound(s, name, bind(), "after")
        metadata = success.find(path)
        if len(metadata) == 2 or time.monotonic() > deadline:
            break
    for end in ("start", "end"):
        element = metadata.find("{%s}%s" % (MAM, end))
        check(element is not None and element.get("id") and
              element.get("timestamp"), "no " + end)


@case("4.4.3", "If the client included <active/> or <inactive/>, the session "
      "must begin in that state")
def begins_inactive(s):
    s.friends("ann", "bob")
    ann, _ = bound(s, "ann", bind("<inactive xmlns='%s'/>" % CSI))
    ann.present()
    ann.sync()
    bob = s.online("bob", "desk")
    bob.sync()
    check(ann.event(0.5) is None, "it is told of presence")
    ann.send("<active xmlns='%s'/>" % CSI)
    ann.find("<presence from='%s'/>" % bob.jid)


@case("4", "a resource that can't be had: the client is logged in all the same",
      ours=True)
def says_when_it_could_not_bind(s):
    s.server.need_user("full")
    peers = [s.client("full") for _ in range(100)]
    peer = s.stream()
    success = login2(peer, "full", bind())
    check(who(success) == "full@" + s.domain, who(success))
    check(success.find("{%s}failed" % BIND2) is not None, "it didn't fail")
    peers.pop().shut()
    peer.bind("now")
    peer.sync()


@case("4", "Bind 2 is of SASL2: RFC 6120's stays beside it")
def an_iq_can_bind_too(s):
    s.server.need_user("ann")
    peer = s.stream()
    login2(peer, "ann")
    check(peer.features.find("{%s}bind" % BIND) is not None, "no bind")
    peer.bind("iq")
    check(peer.jid.endswith("/iq"), peer.jid)


@case("4", "bound is bound")
def is_bound_once(s):
    peer, _ = bound(s, "ann", bind())
    answer = peer.iq("set", "<bind xmlns='%s'/>" % BIND)
    check(answer.get("type") == "error", "bound twice")
    peer.sync()
