"""RFC 6120, 6: SASL negotiation; SCRAM as RFC 5802 and RFC 7677 have it."""

import base64
import time

from logins import (
    auth, challenge_fields, condition, failure, plain, play1, scram)
from scenario import BIND, SASL, b64, case, check

CHUNKED = True


# ---- 6.3: rules -----------------------------------------------------------


@case("6.3.3", "the receiving entity MUST include a list of SASL mechanisms; "
      "6.3.4: in its perceived order of preference; 13.8: SCRAM-SHA-1 and "
      "-PLUS are mandatory to implement")
def offers_mechanisms(s):
    names = s.stream().mechanisms()
    for name in ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256",
                 "SCRAM-SHA-1"):
        check(name in names, name + " isn't offered")


@case("6.3.4", "the receiving entity ... SHOULD list them with the most "
      "preferred first", ours=True)
def offers_the_strongest_first(s):
    check(s.stream().mechanisms() == [
        "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256",
        "SCRAM-SHA-1", "PLAIN"], "another order")


@case("6.3.2", "the client and the server MUST NOT offer or use SASL before "
      "STARTTLS where that is required")
def offers_nothing_in_plaintext(s):
    peer = s.raw()
    peer.open()
    check(peer.mechanisms() == [], peer.mechanisms())


@case("6.4.6", "the initiating entity MUST send a new stream header; the "
      "receiving entity MUST NOT offer SASL again")
def begins_a_new_stream(s):
    ann = s.authenticated("ann")
    check(ann.mechanisms() == [], "offered again")
    check(ann.features.find("{%s}bind" % BIND) is not None, "no bind")


# ---- 6.4: process ---------------------------------------------------------


@case("6.4.2", "a zero-length initial response: a single equals sign")
def takes_an_empty_response(s):
    peer = s.stream()
    peer.send(auth("PLAIN", "="))
    peer.expect(failure("malformed-request"))


@case("6.4.2 and 6.4.3", "without an initial response the receiving entity "
      "challenges")
def asks_for_a_response(s):
    s.server.need_user("ann")
    peer = s.stream()
    peer.send(auth("SCRAM-SHA-1", None))
    empty = peer.expect("<challenge xmlns='%s'/>" % SASL)
    check(empty.text in (None, "="), empty.text)
    exchange = scram("ann", None, "sha1")
    peer.send("<response xmlns='%s'>%s</response>" % (SASL, exchange.first()))
    challenge = peer.expect("<challenge xmlns='%s'/>" % SASL)
    peer.send("<response xmlns='%s'>%s</response>" % (
        SASL, exchange.final(challenge.text)))
    peer.expect("<success xmlns='%s'>%s</success>" % (SASL, exchange.verifier))


@case("6.4.2", "if the initiating entity subsequently sends another <auth/> and "
      "the ongoing negotiation has not yet completed, the receiving entity MUST "
      "discard it and MUST process the new <auth/>")
def takes_a_new_attempt(s):
    s.server.need_user("ann")
    peer = s.stream()
    peer.send(auth("SCRAM-SHA-256", scram("ann").first()))
    peer.expect("<challenge xmlns='%s'/>" % SASL)
    answer = play1(peer, "SCRAM-SHA-1", scram("ann", None, "sha1"))
    check(answer.tag.endswith("success"), condition(answer))


@case("6.4.4", "the initiating entity aborts: the receiving entity MUST reply "
      "with a <failure/> containing an <aborted/> child")
def can_be_aborted(s):
    s.server.need_user("ann")
    peer = s.stream()
    peer.send(auth("SCRAM-SHA-256", scram("ann").first()))
    peer.expect("<challenge xmlns='%s'/>" % SASL)
    peer.send("<abort xmlns='%s'/>" % SASL)
    peer.expect(failure("aborted"))
    peer.login("ann")


@case("6.4.5", "SHOULD allow a configurable but reasonable number of retries "
      "(at least 2 and no more than 5); then MUST close the stream with a "
      "stream error, which SHOULD be <policy-violation/>")
def allows_some_retries(s):
    name = s.user()
    peer = s.stream()
    for attempt in range(1, 7):
        peer.send(auth("PLAIN", plain(name, "wrong")))
        answer = peer.read()
        check(condition(answer) == "not-authorized", condition(answer))
        event = peer.event(0.3)
        if event is not None:
            check(attempt >= 3, "after %d attempts" % attempt)
            peer.reader.events.appendleft(event)
            peer.expect_stream_error("policy-violation", "not-authorized")
            return
    check(False, "seven attempts are too many")


# ---- 6.5: errors ----------------------------------------------------------


@case("6.5", "the conditions, each where it belongs; 6.4.5: and it may try "
      "again on the same stream", ours=True)
def names_what_is_wrong(s):
    s.server.need_user("ann")
    for element, wanted in (
            # 6.5.1
            ("<abort xmlns='%s'/>" % SASL, "aborted"),
            # 6.5.5
            (auth("PLAIN", "x"), "incorrect-encoding"),
            (auth("PLAIN", "AGFu=bg="), "incorrect-encoding"),
            (auth("PLAIN", " AGFubg=="), "incorrect-encoding"),
            (auth("PLAIN", "AGFu\nbg=="), "incorrect-encoding"),
            # 6.5.6
            (auth("PLAIN", plain("ann", authzid="bob@" + s.domain)),
             "invalid-authzid"),
            (auth("PLAIN", plain("ann", authzid="ann")), "invalid-authzid"),
            (auth("PLAIN", plain("ann", authzid="ann@%s/x" % s.domain)),
             "invalid-authzid"),
            # 6.5.7
            (auth("DIGEST-MD5", "AA=="), "invalid-mechanism"),
            (auth("", "AA=="), "invalid-mechanism"),
            ("<auth xmlns='%s'>AA==</auth>" % SASL, "invalid-mechanism"),
            # 6.5.8
            (auth("PLAIN", b64("ann")), "malformed-request"),
            (auth("SCRAM-SHA-1", b64("n,,n=ann")), "malformed-request"),
            ("<response xmlns='%s'>AA==</response>" % SASL,
             "malformed-request"),
            # 6.5.10
            (auth("PLAIN", plain("ann", "wrong")), "not-authorized"),
            (auth("PLAIN", plain("nobody", "wrong")), "not-authorized")):
        peer = s.stream()
        peer.send(element)
        peer.expect(failure(wanted))
        peer.login("ann")


@case("6.5.4", "<encryption-required/>: the mechanism cannot be used unless the "
      "confidentiality of the stream is protected", ours=True)
def wants_encryption(s):
    s.server.need_user("ann")
    for name in ("PLAIN", "SCRAM-SHA-256"):
        peer = s.raw()
        peer.open()
        peer.send(auth(name, plain("ann")))
        peer.expect(failure("encryption-required"))


@case("6.3.8", "an authorization identity, if any, is one's own bare JID")
def takes_the_own_authzid(s):
    s.server.need_user("ann")
    own = "ann@" + s.domain
    peer = s.stream()
    peer.send(auth("PLAIN", plain("ann", authzid=own)))
    peer.expect("<success xmlns='%s'/>" % SASL)
    answer = play1(s.stream(), "SCRAM-SHA-256", scram(
        "ann", header="n,a=%s," % own))
    check(answer.tag.endswith("success"), condition(answer))
    answer = play1(s.stream(), "SCRAM-SHA-256", scram(
        "ann", header="n,a=bob@%s," % s.domain))
    check(condition(answer) == "invalid-authzid", condition(answer))


# ---- SCRAM (RFC 5802) -----------------------------------------------------


@case("RFC 5802, 5.1", "'m': its presence MUST cause authentication failure")
def refuses_reserved_extensions(s):
    s.server.need_user("ann")
    for first in ("n,,m=x,n=ann,r=abc", "n,,n=ann,r=abc,m=x"):
        peer = s.stream()
        peer.send(auth("SCRAM-SHA-1", b64(first)))
        peer.expect("<failure xmlns='%s'/>" % SASL)


@case("RFC 5802, 7", "other extensions mean nothing, and are signed with the "
      "rest")
def takes_extensions(s):
    s.server.need_user("ann")
    exchange = scram("ann")
    exchange.bare += ",x=later"
    answer = play1(s.stream(), "SCRAM-SHA-256", exchange)
    check(answer.tag.endswith("success"), condition(answer))


@case("RFC 5802, 5.1", "the characters ',' or '=' in usernames are sent as "
      "'=2C' and '=3D'; if it contains others the server MUST fail")
def names_are_encoded(s):
    s.server.need_user("ann")
    for name, wanted in (("a=2Cb", "challenge"), ("a=b", "failure"),
                         ("a=2", "failure")):
        peer = s.stream()
        peer.send(auth("SCRAM-SHA-256", b64("n,,n=%s,r=abc" % name)))
        answer = peer.read()
        check(answer.tag.endswith(wanted), condition(answer))


@case("RFC 5802, 5.1", "the nonce: the server MUST verify that it is the same "
      "as it sent; it is new each time")
def nonces_are_new(s):
    s.server.need_user("ann")
    seen = set()
    for _ in range(5):
        peer = s.stream()
        peer.send(auth("SCRAM-SHA-256", scram("ann").first()))
        fields = challenge_fields(
            peer.expect("<challenge xmlns='%s'/>" % SASL).text)
        check(fields["r"].startswith("clientnonce"), fields["r"])
        check(len(fields["r"]) > len("clientnonce") + 18, "too short")
        seen.add(fields["r"])
        check(int(fields["i"]) >= 4096, "RFC 7677, 4: at least 4096")
    check(len(seen) == 5, "nonces repeat")
    peer = s.stream()
    exchange = scram("ann")
    peer.send(auth("SCRAM-SHA-256", exchange.first()))
    text = base64.b64decode(
        peer.expect("<challenge xmlns='%s'/>" % SASL).text).decode()
    peer.send("<response xmlns='%s'>%s</response>" % (
        SASL, exchange.final(b64(text.replace("r=", "r=x", 1)))))
    peer.expect("<failure xmlns='%s'/>" % SASL)


@case("RFC 5802, 9", "an account that doesn't exist answers like one that does: "
      "the same salt and count each time, and a failure at the end", ours=True)
def unknown_accounts_show_nothing(s):
    def challenge(name):
        peer = s.stream()
        exchange = scram(name, "wrong")
        peer.send(auth("SCRAM-SHA-256", exchange.first()))
        text = peer.expect("<challenge xmlns='%s'/>" % SASL).text
        peer.send("<response xmlns='%s'>%s</response>" % (
            SASL, exchange.final(text)))
        peer.expect(failure("not-authorized"))
        fields = challenge_fields(text)
        return fields["s"], fields["i"], sorted(fields)

    s.server.need_user("ann")
    known, nobody = challenge("ann"), challenge("nobody")
    check(challenge("nobody") == nobody, "another answer")
    check(challenge("nobody2")[0] != nobody[0], "the same salt for two")
    check(known[1:] == nobody[1:], "%s %s" % (known, nobody))
    check(len(known[0]) == len(nobody[0]), "another length")


# ---- 7: resource binding: the limits (the rest: rfc6120_bind.py) -----------


@case("7.7.2", "<resource-constraint/>: the account has reached a limit on the "
      "number of simultaneous connected resources", ours=True)
def sessions_have_a_limit(s):
    name = s.user()
    peers = [s.client(name) for _ in range(100)]
    last = s.authenticated(name)
    for _ in range(2):
        answer = last.iq("set", "<bind xmlns='%s'/>" % BIND)
        check(answer.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}"
                          "resource-constraint") is not None, "bound")
    peers[0].shut()
    time.sleep(0.1)
    last.bind()
    # One of one's own may be replaced.
    s.client(name, peers[1].jid.split("/")[1])
    peers[1].expect_stream_error("conflict")


@case("7.7.3", "a reasonable number of retries (at least 5 and no more than "
      "10); then MUST close the stream", ours=True)
def allows_some_bad_binds(s):
    ann = s.authenticated("ann")
    for n in range(10):
        ann.send("<iq type='set' id='%d'><bind xmlns='%s'><resource>%s"
                 "</resource></bind></iq>" % (n, BIND, "x" * 1024))
        ann.expect_error("bad-request", id=str(n))
    ann.send("<iq type='set' id='z'><bind xmlns='%s'><resource>%s"
             "</resource></bind></iq>" % (BIND, "x" * 1024))
    ann.expect_error("bad-request", id="z")
    ann.expect_stream_error("policy-violation")
