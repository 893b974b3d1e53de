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
