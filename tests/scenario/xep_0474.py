"""XEP-0474: SASL SCRAM Downgrade Protection."""

import base64
import hashlib

from logins import (
    SASL2, TLS12, authenticate, auth, bindings, challenge_fields, mechanisms2,
    scram)
from scenario import SASL, case, check


def offered(mechanisms, types):
    """5.1: sorted by bytes, joined by %x1E; the types behind %x1F."""
    text = "\x1e".join(sorted(mechanisms))
    if types:
        text += "\x1f" + "\x1e".join(sorted(types))
    return text.encode()


@case("5.1", "The server then adds the optional attribute 'h' with the base64 "
      "encoded hash to its server-first-message")
def challenges_carry_the_hash(s):
    s.server.need_user("ann")
    for version in (None, TLS12):
        for digest, name in (("sha1", "SCRAM-SHA-1"),
                             ("sha256", "SCRAM-SHA-256")):
            peer = s.raw(tls=True, version=version)
            peer.open()
            want = base64.b64encode(hashlib.new(digest, offered(
                peer.mechanisms(), bindings(peer))).digest()).decode()
            peer.send(auth(name, scram("ann", None, digest).first()))
            answer = peer.expect("<challenge xmlns='%s'/>" % SASL)
            fields = challenge_fields(answer.text)
            check(fields.get("h") == want, fields)


@case("5.1", "only the mechanism list of the SASL protocol the client uses "
      "MUST be considered for hashing")
def of_the_profile_that_is_used(s):
    s.server.need_user("ann")
    peer = s.raw(tls=True)
    peer.open()
    want = base64.b64encode(hashlib.sha256(offered(
        mechanisms2(peer), bindings(peer))).digest()).decode()
    peer.send(authenticate("SCRAM-SHA-256", scram("ann").first()))
    answer = peer.expect("<challenge xmlns='%s'/>" % SASL2)
    check(challenge_fields(answer.text).get("h") == want, answer.text)


@case("5.2", "the server will always fail the authentication: the proof is "
      "over what it sent itself")
def a_changed_hash_fails(s):
    s.server.need_user("ann")
    peer = s.stream()
    exchange = scram("ann")
    peer.send(auth("SCRAM-SHA-256", exchange.first()))
    answer = peer.expect("<challenge xmlns='%s'/>" % SASL)
    text = base64.b64decode(answer.text).decode()
    text = text[:text.index(",h=")] + ",h=AAAA"
    peer.send("<response xmlns='%s'>%s</response>" % (
        SASL, exchange.final(base64.b64encode(text.encode()))))
    peer.expect("<failure xmlns='%s'><not-authorized/></failure>" % SASL)
