#!/usr/bin/python3
"""component.py BUILD: components of a real xmppd, beside what xep_0114.py plays:
the log, settings that change, slixmpp's component class. Each test tells by its
name what has to hold."""

import hashlib
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

from xmppd_node import (  # noqa: E402
    ADDRESS, COMPONENT, DOMAIN, Loop, Stream, Xmppd, check,
    header, online, run_tests)

NAME = "cb1." + DOMAIN
SECRET = "s3cret"


def fixture(build):
    server = Xmppd(build, users=("ann", "bob"))
    server.call("Callbridge.AddSecret", name="cb1", secret=SECRET)
    server.call("Callbridge.AddSecret", name="cb2", secret="another")
    return server


def handshake(stream, secret=SECRET, to=NAME):
    """Opens, and answers the stream's id (XEP-0114, 3)."""
    stream.send(header(content=COMPONENT, to=to, more=""))
    stream.expect("<stream:stream")
    stream_id = stream.expect(re.compile(r" id='([^']*)'[^>]*>")).group(1)
    stream.send("<handshake>%s</handshake>" % hashlib.sha1(
        (stream_id + secret).encode()).hexdigest())


def component(server, secret=SECRET, to=NAME):
    stream = Stream(server, server.component_port, tls=True)
    handshake(stream, secret, to)
    stream.expect("<handshake/>")
    return stream


# ---- logging in -----------------------------------------------------------


def test_wrong_secret(server):
    """XEP-0114, 3: "the server MUST return a stream error"; the log says what
    is wrong, the answer doesn't."""
    stream = Stream(server, server.component_port, tls=True)
    handshake(stream, "wrong")
    stream.expect_error("not-authorized")
    server.wait_log(r"component %s from %s:\d+: refused: its secret is wrong" %
                    (re.escape(NAME), re.escape(ADDRESS)))


def test_unknown_name(server):
    stream = Stream(server, server.component_port, tls=True)
    handshake(stream, to="nobody." + DOMAIN)
    stream.expect_error("not-authorized")
    server.wait_log(r"component nobody\.%s from \S+: refused: no component of "
                    "that name is known" % re.escape(DOMAIN))


def test_name_without_case(server):
    component(server, to="CB1." + DOMAIN.upper()).close()


def test_removed_component_is_closed(server):
    server.call("Callbridge.AddSecret", name="cb9", secret="nine")
    cb9 = component(server, "nine", "cb9." + DOMAIN)
    server.call("Callbridge.Del", name="cb9")
    cb9.expect("<stream:error>")
    cb9.expect("</stream:stream>")
    cb9.expect_end()
    stream = Stream(server, server.component_port, tls=True)
    handshake(stream, "nine", "cb9." + DOMAIN)
    stream.expect_error("not-authorized")


def test_without_tls(server):
    """Spec: components connect with direct TLS; plaintext from loopback is for
    where it is allowed."""
    stream = Stream(server, server.component_port)
    stream.send(header(content=COMPONENT, to=NAME, more=""))
    stream.expect("<stream:stream")
    stream.expect_error("policy-violation", "direct TLS")
    server.call("Component.EnablePlaintext")
    stream = Stream(server, server.component_port)
    handshake(stream)
    stream.expect("<handshake/>")
    stream.close()
    server.call("Component.DisablePlaintext")
    stream = Stream(server, server.component_port)
    stream.send(header(content=COMPONENT, to=NAME, more=""))
    stream.expect_error("policy-violation", "direct TLS")


def test_on_the_client_port(server):
    """A common slip in SRV records: answered and logged with what is wrong."""
    for tls in (False, True):
        stream = Stream(server, tls=tls)
        stream.send(header(content=COMPONENT, to=NAME, more=""))
        stream.expect("<stream:stream")
        stream.expect_error("invalid-namespace",
                            "components connect to the component port")
    server.wait_log(r"127\.0\.0\.1:\d+: .*components connect to the component "
                    "port")


def test_client_on_the_component_port(server):
    stream = Stream(server, server.component_port, tls=True)
    stream.send(header())
    stream.expect("<stream:stream")
    stream.expect_error("invalid-namespace", "clients connect to")
    server.wait_log("clients connect to the client port")


# ---- stanzas --------------------------------------------------------------


def test_component_to_component(server):
    cb1 = component(server)
    cb2 = component(server, "another", "cb2." + DOMAIN)
    for number in range(300):
        cb1.send("<message from='%s' to='cb2.%s' id='%d'/>" % (
            NAME, DOMAIN, number))
    for number in range(300):
        cb2.expect("<message from='%s' to='cb2.%s' id='%d'/>" % (
            NAME, DOMAIN, number))
    cb1.close()
    cb2.close()


# ---- slixmpp --------------------------------------------------------------


def test_slixmpps_component(server):
    """slixmpp's component class, which speaks plaintext from loopback, answers
    a client's ping."""
    from slixmpp.componentxmpp import ComponentXMPP
    server.call("Component.EnablePlaintext")
    with Loop() as loop:
        done = []
        bridge = ComponentXMPP(NAME, SECRET, ADDRESS, server.component_port)
        bridge.register_plugin("xep_0199")
        bridge.add_event_handler(
            "session_start", lambda _: done.append("start"))
        bridge.connect()
        loop.wait_for("slixmpp's component", lambda: done)
        ann = online(server, "ann")
        ann.send("<iq type='get' id='p' to='%s'><ping xmlns='urn:xmpp:ping'/>"
                 "</iq>" % NAME)

        def answered():
            ann.read(0.02)
            return "type='result'" in ann.text and "id='p'" in ann.text

        loop.wait_for("a pong", answered)
        bridge.disconnect()
    ann.close()
    server.call("Component.DisablePlaintext")


class Gateway:
    """A gateway made of slixmpp's component class: it keeps nothing, lets
    everybody see its contacts, and shows these to who asks."""

    def __init__(self, loop, server):
        from slixmpp.componentxmpp import ComponentXMPP
        self.loop = loop
        self.seen = []
        self.xmpp = xmpp = ComponentXMPP(NAME, SECRET, ADDRESS,
                                         server.component_port)
        xmpp.roster.auto_authorize = None
        xmpp.roster.auto_subscribe = None
        started = []
        xmpp.add_event_handler("session_start", started.append)
        for kind in ("available", "unavailable", "subscribe", "unsubscribe",
                     "unsubscribed", "probe"):
            xmpp.add_event_handler("presence_" + kind, self.take)
        xmpp.connect()
        loop.wait_for("slixmpp's component", lambda: started)

    def take(self, stanza):
        kind, who = stanza["type"], stanza["from"].bare
        self.seen.append((kind, str(stanza["from"]), str(stanza["to"])))
        if kind == "subscribe":
            self.xmpp.send_presence(pfrom=stanza["to"], pto=who,
                                    ptype="subscribed")
            self.xmpp.send_presence(pfrom=stanza["to"], pto=who,
                                    ptype="subscribe")
        if kind in ("subscribe", "probe"):
            self.xmpp.send_presence(pfrom=stanza["to"].bare + "/gw", pto=who,
                                    pstatus="from the gateway")

    def wait_for(self, *stanza):
        self.loop.wait_for("%s, not %s" % (stanza, self.seen),
                           lambda: stanza in self.seen)

    def end(self):
        self.xmpp.disconnect()
        self.loop.turn(0.2)


def wait_at(loop, stream, *texts):
    def came():
        stream.read(0.02)
        return all(text in stream.text for text in texts)
    loop.wait_for(texts, came)
    stream.text = ""


def test_gateway_that_comes_back(server):
    """RFC 6121, 3.1.2 and 4.3: a request waits for a component that is away;
    one that has lost its state learns who is here, and who is here sees its
    contacts again."""
    friend, ann = "friend@" + NAME, "ann@" + DOMAIN
    server.call("Component.EnablePlaintext")
    with Loop() as loop:
        stream = online(server, "ann", "phone")
        stream.send("<presence type='subscribe' to='%s'/>" % friend)
        stream.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/>"
                    "</iq>")
        wait_at(loop, stream, "ask='subscribe'")
        first = Gateway(loop, server)
        first.wait_for("subscribe", ann, friend)
        wait_at(loop, stream, "from the gateway", "type='subscribe'")
        stream.send("<presence type='subscribed' to='%s'/>" % friend)
        first.wait_for("available", ann + "/phone", friend)
        first.end()
        stream.read(0.1)
        stream.text = ""
        second = Gateway(loop, server)
        second.wait_for("probe", ann, friend)
        second.wait_for("available", ann + "/phone", friend)
        wait_at(loop, stream, "from the gateway")
        second.end()
        stream.close()
    server.call("Component.DisablePlaintext")


def test_gateway_is_told_of_a_deleted_account(server):
    """What it was subscribed to ends, also while it is away."""
    friend, zoe = "friend@" + NAME, "zoe@" + DOMAIN
    server.call("User.Add", name="zoe", password="secret-zoe")
    server.call("Component.EnablePlaintext")
    with Loop() as loop:
        stream = online(server, "zoe", "phone")
        first = Gateway(loop, server)
        stream.send("<presence type='subscribe' to='%s'/>" % friend)
        first.wait_for("subscribe", zoe, friend)
        wait_at(loop, stream, "type='subscribe'")
        stream.send("<presence type='subscribed' to='%s'/>" % friend)
        first.wait_for("available", zoe + "/phone", friend)
        first.end()
        server.call("User.Del", name="zoe")
        stream.expect_error("not-authorized")
        second = Gateway(loop, server)
        second.wait_for("unsubscribe", zoe, friend)
        second.wait_for("unsubscribed", zoe, friend)
        second.end()
        third = Gateway(loop, server)
        loop.turn(0.5)
        check(all(zoe not in who for _, who, _ in third.seen),
              "told again: %s" % third.seen)
        third.end()
    server.call("Component.DisablePlaintext")


if __name__ == "__main__":
    run_tests(dict(globals()), fixture)
