#!/usr/bin/python3
"""resumption.py BUILD: XEP-0198 against a real xmppd, where it takes more than
streams: a client library that reconnects, a server that goes down."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

from xmppd_node import (  # noqa: E402
    ADDRESS, DOMAIN, Loop, Stream, Xmppd, check, online, run_tests)

SM = "urn:xmpp:sm:3"


def fixture(build):
    return Xmppd(build, users=("ann", "bob", "eve"))


def message(stream, to, body):
    stream.send("<message to='%s' type='chat'><body>%s</body></message>" % (
        to, body))


def test_slixmpp_resumes(server):
    """slixmpp's XEP-0198 loses its connection, and goes on: at the same address,
    with what was sent to it meanwhile, and what it had sent."""
    from slixmpp import ClientXMPP
    got, said = [], []
    with Loop() as loop:
        bot = ClientXMPP("ann@" + DOMAIN, "secret-ann")
        bot.ca_certs = server.ca
        bot.register_plugin("xep_0198")
        bot.add_event_handler("session_start",
                              lambda _: said.append("started"))
        bot.add_event_handler("sm_enabled", lambda _: said.append("enabled"))
        bot.add_event_handler("session_resumed",
                              lambda _: said.append("resumed"))
        bot.add_event_handler("message", lambda m: got.append(m["body"]))
        bot.connect((ADDRESS, server.port))
        loop.wait_for("stream management", lambda: "enabled" in said)
        bot.send_presence()
        jid = str(bot.boundjid)
        bob = online(server, "bob")
        message(bob, jid, "one")
        loop.wait_for("the message", lambda: "one" in got)
        for turn in range(3):
            del said[:]
            bot.transport.abort()
            loop.turn(0.2)
            message(bob, jid, "meanwhile %d" % turn)
            bot.send_message(bob.jid, "said %d" % turn, mtype="chat")
            bot.connect((ADDRESS, server.port))
            loop.wait_for("resumption", lambda: "resumed" in said)
            loop.wait_for("what came meanwhile",
                          lambda t=turn: "meanwhile %d" % t in got)
            bob.expect("said %d" % turn)
        check("started" not in said, "it began anew")
        check(str(bot.boundjid) == jid, "another address")
        message(bob, jid, "last")
        loop.wait_for("the last one", lambda: "last" in got)
        check(len(got) == len(set(got)), "something came twice: %s" % got)
        bot.disconnect()
        bob.close()


def test_what_is_not_acknowledged_survives_the_server(server):
    """A server that goes down in order stores what clients haven't said to
    have."""
    ann, bob = online(server, "ann"), online(server, "bob")
    ann.send("<enable xmlns='%s' resume='true'/>" % SM)
    ann.expect("<enabled ")
    message(bob, ann.jid, "acknowledged")
    ann.expect("</message>")
    ann.send("<a xmlns='%s' h='1'/>" % SM)
    message(bob, ann.jid, "not acknowledged")
    ann.expect("not acknowledged")
    lost = online(server, "eve")
    lost.send("<enable xmlns='%s' resume='true'/>" % SM)
    lost.expect("<enabled ")
    lost.close()
    message(bob, lost.jid, "to one without a connection")
    bob.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
    bob.expect("id='p'")
    server.stop()
    server.start()
    ann, eve = online(server, "ann"), online(server, "eve")
    text = ann.expect("</message>")
    check("not acknowledged" in text and "urn:xmpp:delay" in text, text)
    ann.expect_nothing()
    check("without a connection" in eve.expect("</message>"), "not stored")
    ann.close()
    eve.close()


def test_resumes_wherever_it_comes(server):
    """Connections go to the edges in turn: some resumptions are from edge to
    edge, some aren't, and nobody can tell."""
    bob = online(server, "bob")
    ann = online(server, "ann")
    ann.send("<enable xmlns='%s' resume='true'/>" % SM)
    previd = ann.expect(re.compile("<enabled [^>]* id='([^']*)'")).group(1)
    for turn in range(20):
        message(bob, ann.jid, "number %d" % turn)
        again = client_without_session(server, "ann")
        if turn % 2 == 0:
            ann.close()
        again.send("<resume xmlns='%s' previd='%s' h='%d'/>" % (
            SM, previd, turn))
        again.expect("<resumed ")
        again.expect("number %d<" % turn)
        again.expect("</message>")
        again.jid, ann = ann.jid, again
    ann.send("<a xmlns='%s' h='20'/>" % SM)
    ann.expect_nothing()
    ann.close()
    bob.close()


def client_without_session(server, user):
    stream = Stream(server)
    stream.secure()
    stream.login(user)
    return stream


if __name__ == "__main__":
    run_tests(dict(globals()), fixture)
