"""Logins step by step, for the scenarios about them: either SASL profile, and
channel bindings that OpenSSL knows and Python doesn't."""

import base64
import hashlib
import ssl

from scenario import (  # noqa: F401
    SASL, STREAMS, CachedScram, Failure, b64, check)

SASL2 = "urn:xmpp:sasl:2"
BIND2 = "urn:xmpp:bind:0"
CB = "urn:xmpp:sasl-cb:0"
TLS12 = ssl.TLSVersion.TLSv1_2
AGENT = "d4565fa7-4d72-4749-b3d3-740edbf87770"


def plain(user, password=None, authzid=""):
    return b64("%s\0%s\0%s" % (authzid, user, password or "secret-" + user))


def auth(mechanism, data):
    """RFC 6120's; None: no initial response."""
    return "<auth xmlns='%s' mechanism='%s'>%s</auth>" % (
        SASL, mechanism, data or "")


def authenticate(mechanism, data, more=""):
    """XEP-0388's."""
    return "<authenticate xmlns='%s' mechanism='%s'>%s%s</authenticate>" % (
        SASL2, mechanism, "" if data is None else
        "<initial-response>%s</initial-response>" % data, more)


def failure(condition, profile=SASL):
    return "<failure xmlns='%s'><%s xmlns='%s'/></failure>" % (
        profile, condition, SASL)


def agent(uuid=AGENT):
    return "<user-agent id='%s'><software>a</software></user-agent>" % uuid


def scram(user, password=None, digest="sha256", header="n,,", binding=b""):
    return CachedScram(user, password or "secret-" + user, digest, header,
                       binding)


def end_point(peer):
    """RFC 5929, 4: for a certificate signed with SHA-256."""
    return hashlib.sha256(peer.sock.getpeercert(True)).digest()


def bindings(peer):
    """What XEP-0440 lists."""
    return [c.get("type") for c in peer.features.iter(
        "{%s}channel-binding" % CB)]


def mechanisms2(peer):
    return [m.text for m in peer.features.iter("{%s}mechanism" % SASL2)]


def play1(peer, mechanism, exchange):
    """A whole exchange by RFC 6120; the answer to the last message."""
    peer.send(auth(mechanism, exchange.first()))
    answer = peer.read()
    if not answer.tag.endswith("challenge"):
        return answer
    peer.send("<response xmlns='%s'>%s</response>" % (
        SASL, exchange.final(answer.text)))
    return peer.read()


def play2(peer, mechanism, exchange, more=""):
    """The same by XEP-0388."""
    peer.send(authenticate(mechanism, exchange.first(), more))
    answer = peer.read()
    if answer is None or not answer.tag.endswith("challenge"):
        return answer
    peer.send("<response xmlns='%s'>%s</response>" % (
        SASL2, exchange.final(answer.text)))
    return peer.read()


def login2(peer, user, more="", mechanism="SCRAM-SHA-256"):
    """Logs in by XEP-0388; <success/>, with the features in peer.features."""
    exchange = scram(user)
    success = play2(peer, mechanism, exchange, more)
    check(success is not None and success.tag == "{%s}success" % SASL2,
          "no success")
    data = success.find("{%s}additional-data" % SASL2)
    check(data is not None and data.text == exchange.verifier,
          "the server's proof")
    peer.features = peer.expect("<f:features xmlns:f='%s'/>" % STREAMS)
    return success


def who(success):
    return success.find("{%s}authorization-identifier" % SASL2).text


def condition(answer):
    """Of a <failure/>; what else came, otherwise."""
    if not answer.tag.endswith("}failure"):
        return answer.tag
    return answer[0].tag.split("}")[1]


def challenge_fields(text):
    return dict(f.split("=", 1)
                for f in base64.b64decode(text).decode().split(","))
