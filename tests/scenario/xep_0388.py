"""XEP-0388: Extensible SASL Profile."""

from logins import (
    SASL2, agent, auth, authenticate, condition, failure, login2, mechanisms2,
    plain, play2, scram, who)
from scenario import BIND, STREAMS, b64, case, check

CHUNKED = True


@case("2.1", "Servers capable of SASL2 offer a stream feature of "
      "<authentication/>")
def is_offered_under_tls(s):
    s.server.need_user("ann")
    features = s.stream().features
    check(features.find("{%s}authentication" % SASL2) is not None, "not there")


@case("6", "SASL2 MUST only be used by Clients or offered by Servers after TLS "
      "negotiation")
def is_not_offered_in_plaintext(s):
    peer = s.raw()
    peer.open()
    check(peer.features.find("{%s}authentication" % SASL2) is None, "is there")


@case("6", "SASL2 MUST only be used ... after TLS negotiation", ours=True)
def is_refused_in_plaintext(s):
    s.server.need_user("ann")
    peer = s.raw()
    peer.open()
    peer.send(authenticate("PLAIN", plain("ann")))
    peer.expect(failure("encryption-required", SASL2))


@case("2.1", "SHOULD respond with an invalid-from error: the domain in 'from' "
      "does not match the domain used in the 'to' attribute", ours=True)
def refuses_a_stranger(s):
    peer = s.raw(tls=True)
    peer.send("<stream:stream xmlns='jabber:client' xmlns:stream='%s' "
              "to='%s' from='ann@example.net' version='1.0'>" % (
                  STREAMS, s.domain))
    peer.expect_stream_error("invalid-from")


@case("2.6.1", "the Server sends a <success/> element, which contains an "
      "<authorization-identifier/> ... a bare JID, unless resource binding has "
      "occurred; <success> is immediately followed by a <features> element; no "
      "stream restart occurs")
def succeeds_on_the_same_stream(s):
    s.server.need_user("ann")
    peer = s.stream()
    success = login2(peer, "ann", agent())
    check(who(success) == "ann@" + s.domain, who(success))
    check(peer.features.find("{%s}bind" % BIND) is not None, "no bind")
    check(not mechanisms2(peer), "is offered again")
    peer.bind("x")
    check(peer.jid == "ann@%s/x" % s.domain, peer.jid)
    peer.sync()


@case("2.3", "an optional child element of <initial-response/>")
def asks_for_what_was_not_given(s):
    s.server.need_user("ann")
    peer = s.stream()
    peer.send(authenticate("PLAIN", None))
    challenge = peer.expect("<challenge xmlns='%s'/>" % SASL2)
    check(not challenge.text, "not empty")
    peer.send("<response xmlns='%s'>%s</response>" % (SASL2, plain("ann")))
    peer.expect("<success xmlns='%s'/>" % SASL2)
    peer.expect("<f:features xmlns:f='%s'/>" % STREAMS)


@case("2.3", "If the mechanism attribute contains a string not previously "
      "announced, the server MUST fail the authentication")
def refuses_unknown_mechanisms(s):
    peer = s.stream()
    for name in ("CRAM-MD5", "", "plain"):
        peer.send(authenticate(name, "AA=="))
        peer.expect(failure("invalid-mechanism", SASL2))


@case("2.6.2", "It MUST contain one of the SASL error codes from RFC 6120 "
      "Section 6.5", ours=True)
def names_what_is_wrong(s):
    s.server.need_user("ann")
    for element, wanted in (
            (authenticate("PLAIN", "x"), "incorrect-encoding"),
            (authenticate("PLAIN", b64("ann")), "malformed-request"),
            (authenticate("PLAIN", plain("ann", "no")), "not-authorized"),
            (authenticate("PLAIN", plain("nobody", "no")), "not-authorized"),
            (authenticate("PLAIN", plain("ann", authzid="bob@" + s.domain)),
             "invalid-authzid"),
            ("<abort xmlns='%s'/>" % SASL2, "aborted"),
            ("<response xmlns='%s'>AA==</response>" % SASL2,
             "malformed-request")):
        peer = s.stream()
        peer.send(element)
        peer.expect(failure(wanted, SASL2))
        login2(peer, "ann")


@case("2.3", "If the stream's from attribute does not match the non-empty "
      "authorization string, the server MUST fail the authentication")
def an_authzid_is_the_streams(s):
    s.server.need_user("ann")
    for claimed, authzid, fine in (
            ("ann", "ann", True), ("bob", "ann", False), ("bob", None, True)):
        peer = s.stream(more="version='1.0' from='%s@%s'" % (
            claimed, s.domain))
        peer.send(authenticate("PLAIN", plain(
            "ann", authzid="%s@%s" % (authzid, s.domain) if authzid else "")))
        if fine:
            peer.expect("<success xmlns='%s'/>" % SASL2)
        else:
            peer.expect(failure("invalid-authzid", SASL2))


@case("7", "Clients MAY abort unilaterally at any time", ours=True)
def can_be_aborted(s):
    s.server.need_user("ann")
    peer = s.stream()
    peer.send(authenticate("SCRAM-SHA-256", scram("ann").first()))
    peer.expect("<challenge xmlns='%s'/>" % SASL2)
    peer.send("<abort xmlns='%s'><text>no more</text></abort>" % SASL2)
    peer.expect(failure("aborted", SASL2))
    login2(peer, "ann")


@case("2.4", "Servers MUST disconnect Clients immediately if any other traffic "
      "is received", ours=True)
def takes_nothing_else_meanwhile(s):
    s.server.need_user("ann")
    for element in (authenticate("PLAIN", plain("ann")),
                    auth("PLAIN", plain("ann")),
                    "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
                    "<message/>", "<x xmlns='urn:x'/>", " <message/>"):
        peer = s.stream()
        peer.send(authenticate("SCRAM-SHA-256", scram("ann").first()))
        peer.expect("<challenge xmlns='%s'/>" % SASL2)
        peer.send(element)
        peer.expect_stream_error("policy-violation", "not-authorized")


@case("7", "once <success/> has been sent by the server, any further "
      "<authenticate/> element MUST result in a stream error", ours=True)
def is_done_once(s):
    s.server.need_user("ann")
    for bound in (False, True):
        peer = s.stream()
        login2(peer, "ann")
        if bound:
            peer.bind()
        peer.send(authenticate("PLAIN", plain("ann")))
        peer.expect_stream_error("policy-violation")


@case("2.6.2", "The server MUST NOT process any inline features requested by "
      "the client in a failed authentication request")
def a_failure_does_nothing_else(s):
    s.server.need_user("ann")
    peer = s.stream()
    answer = play2(peer, "SCRAM-SHA-256", scram("ann", "wrong"),
                   "<bind xmlns='urn:xmpp:bind:0'/>")
    check(condition(answer) == "not-authorized", answer.tag)
    # Nor later, for who doesn't ask again.
    success = login2(peer, "ann")
    check(who(success) == "ann@" + s.domain, who(success))


@case("2.1", "both profiles side by side: the older one goes on to work")
def the_older_profile_stays(s):
    s.client("ann", "old").sync()


# ---- XEP-0198, 8: stream management inside -----------------------------------


SM = "urn:xmpp:sm:3"
BIND2 = "urn:xmpp:bind:0"


def managed(s, user):
    """A session that can be resumed, and its id."""
    s.server.need_user(user)
    peer = s.stream("old")
    success = login2(peer, user, "<bind xmlns='%s'><enable xmlns='%s' "
                     "resume='true'/></bind>" % (BIND2, SM))
    peer.jid = who(success)
    return peer, success.find(".//{%s}enabled" % SM).get("id")


def resume(previd, h, more=""):
    return "<resume xmlns='%s' previd='%s' h='%s'/>%s" % (SM, previd, h, more)


def log_in(peer, user, more):
    """<success/>, and nothing is read behind it."""
    return play2(peer, "SCRAM-SHA-256", scram(user), more)


@case("XEP-0198, 8.2", "the server adds a <sm/> element to the <inline/> element "
      "of SASL2")
def offers_resumption(s):
    check(s.stream().features.find("{%s}authentication/{%s}inline/{%s}sm" % (
        SASL2, SASL2, SM)) is not None, "not offered")


@case("XEP-0198, 8.2", "<resume/> MUST be processed first; if successful the "
      "server MUST skip resource binding; stream features MUST NOT be sent")
def resumes_inline(s):
    old, previd = managed(s, "ann")
    jid, bob = old.jid, s.client("bob")
    old.sock.close()
    bob.send("<message to='%s' type='chat' id='m'><body>x</body></message>" %
             jid)
    new = s.stream("new")
    success = log_in(new, "ann", resume(previd, 0, "<bind xmlns='%s'/>" %
                                        BIND2))
    check(success.find("{%s}resumed[@previd='%s']" % (SM, previd)) is not None,
          "not resumed")
    check(success.find("{%s}bound" % BIND2) is None, "bound as well")
    check(who(success) == jid, who(success))
    new.jid = jid
    new.expect("<message from='%s' id='m'/>" % bob.jid)
    new.find("<r xmlns='%s'/>" % SM)
    new.send("<a xmlns='%s' h='1'/>" % SM)
    new.sync()


@case("XEP-0198, 8.2.1", "Sometimes resumption might fail: the server MUST "
      "include the <failed/> element in its <success/>, but also MUST continue "
      "to process the <bind/>")
def binds_where_it_can_not_resume(s):
    s.server.need_user("ann")
    for h in ("0", "x", ""):
        peer = s.stream()
        success = login2(peer, "ann", resume("no-such-id", h, "<bind "
                                             "xmlns='%s'/>" % BIND2))
        check(success.find("{%s}failed" % SM) is not None, "not failed")
        check(success.find("{%s}bound" % BIND2) is not None, "not bound")
        peer.jid = who(success)
        peer.sync()
    peer = s.stream()
    success = login2(peer, "ann", resume("no-such-id", "0"))
    check(success.find("{%s}failed" % SM) is not None, "not failed")
    check(who(success) == "ann@" + s.domain, who(success))
    peer.bind("x")


@case("XEP-0198, 9", "a server MUST NOT allow a client to resume a stream until "
      "after the client has authenticated: as the same")
def resumes_for_the_owner_only(s):
    _, previd = managed(s, "ann")
    s.server.need_user("bob")
    peer = s.stream()
    success = login2(peer, "bob", resume(previd, 0))
    check(success.find("{%s}failed" % SM) is not None, "resumed")
