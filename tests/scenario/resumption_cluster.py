#!/usr/bin/python3
"""resumption_cluster.py BUILD: XEP-0198 in a cluster of three: sessions that
go on at another server, also while the leader dies, and a server that goes
down."""

import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

from xmppd_node import (  # noqa: E402
    SLOW, Stream, Xmppd, check, online, run_tests, wait_for)

SM = "urn:xmpp:sm:3"
others = []


def member(server):
    return "%s:%d" % (server.address, server.port)


def nodes(first):
    return [first] + others


def cluster_mode(server, bundle):
    server.call("Xmpp.Disable")
    server.call("Cluster.Trust", bundle=bundle)
    server.call("Cluster.Enable")


def fixture(build):
    first = Xmppd(build, users=("ann", "bob"))
    others.extend(Xmppd(build) for _ in range(2))
    bundle = {"name": "bundle.crt", "pem": "".join(
        n.file("crt")["pem"] for n in nodes(first))}
    cluster_mode(first, bundle)
    first.call("Cluster.Initialize")
    first.call("Xmpp.Enable")
    for server in others:
        cluster_mode(server, bundle)
        server.call("Xmpp.Enable")
        server.call("Cluster.Join", member=member(first))
    return first


def leader(servers):
    """The one that all of these agree on; None if they don't."""
    told = set()
    for server in servers:
        peers = server.call("Cluster.Status")["peers"]
        told |= {p["address"] for p in peers if p["leader"]} or {None}
    return told.pop() if len(told) == 1 else None


def leader_and_others(first):
    known = wait_for("a leader", lambda: leader(nodes(first)), 10)
    leads = next(n for n in nodes(first) if member(n) == known)
    return leads, [n for n in nodes(first) if n is not leads]


class Ann:
    """A client that comes back, and counts what it gets."""

    def __init__(self, server):
        self.stream = online(server, "ann")
        self.stream.send("<enable xmlns='%s' resume='true'/>" % SM)
        self.previd = self.stream.expect(
            re.compile("<enabled [^>]* id='([^']*)'")).group(1)
        self.jid, self.h, self.got = self.stream.jid, 0, []

    def read(self, number):
        """Everything up to this message."""
        while number not in self.got:
            found = self.stream.expect(
                re.compile("<message [^>]*id='([0-9]+)'.*?</message>",
                           re.DOTALL), 15)
            self.got.append(int(found.group(1)))
            self.h += len(re.findall("<(?:message|presence|iq) ",
                                     found.string[:found.end()]))

    def resume(self, server, quietly=True):
        if quietly:
            self.stream.close()
        stream = Stream(server)
        stream.secure()
        stream.login("ann")
        stream.send("<resume xmlns='%s' previd='%s' h='%d'/>" % (
            SM, self.previd, self.h))
        stream.expect("<resumed ", 15)
        self.stream = stream

    def end(self):
        self.stream.send("<a xmlns='%s' h='%d'/></stream:stream>" % (
            SM, self.h))
        self.stream.expect("</stream:stream>")
        self.stream.close()


def say(bob, ann, number):
    bob.send("<message to='%s' type='chat' id='%d'><body>x</body></message>" % (
        ann.jid, number))


def test_goes_from_server_to_server(first):
    """Nothing is lost, nothing comes twice, and nobody sees it."""
    wait_for("a leader", lambda: leader(nodes(first)), 10)
    servers = nodes(first)
    bob, ann = online(first, "bob"), Ann(first)
    for turn in range(1, 13):
        say(bob, ann, 3 * turn)
        ann.resume(servers[turn % 3], quietly=turn % 2 == 0)
        say(bob, ann, 3 * turn + 1)
        ann.read(3 * turn + 1)
        ann.stream.send("<message to='%s' id='back %d'/>" % (bob.jid, turn))
        bob.expect("id='back %d'/>" % turn)
    check(ann.got == [n for turn in range(1, 13)
                      for n in (3 * turn, 3 * turn + 1)], str(ann.got))
    check(bob.text == "", bob.text)
    bob.close()
    ann.end()


def test_goes_on_while_the_leader_dies(first):
    for turn in range(3):
        leads, stay = leader_and_others(first)
        bob, ann = online(stay[0], "bob"), Ann(stay[0])
        for number in range(5):
            say(bob, ann, number)
        leads.process.send_signal(signal.SIGKILL)
        if turn > 0:
            time.sleep(0.1 * turn * SLOW)
        say(bob, ann, 5)
        ann.resume(stay[1])
        say(bob, ann, 6)
        ann.read(6)
        check(ann.got == list(range(7)), str(ann.got))
        leads.process.wait()
        leads.start()
        wait_for("all to agree", lambda: leader(nodes(first)), 20)
        bob.close()
        ann.end()


def test_a_server_that_goes_down_loses_nothing(first):
    """What its clients haven't acknowledged is stored before it ends."""
    _, stay = leader_and_others(first)
    bob, ann = online(stay[0], "bob"), Ann(stay[1])
    say(bob, ann, 1)
    ann.read(1)
    check(stay[1].stop() == 0, stay[1].log()[-2000:])
    again = online(stay[0], "ann")
    text = again.expect("</message>", 10)
    check("id='1'" in text and "urn:xmpp:delay" in text, text)
    again.expect_nothing()
    stay[1].start()
    wait_for("all to agree", lambda: leader(nodes(first)), 20)
    again.close()
    bob.close()


def test_a_session_that_died_with_its_server_is_not_resumed(first):
    """XEP-0198, 5: the client is told, as soon as the server is given up, and
    may bind."""
    _, stay = leader_and_others(first)
    ann = Ann(stay[1])
    stay[1].process.send_signal(signal.SIGKILL)
    stay[1].process.wait()
    stream = Stream(stay[0])
    stream.secure()
    stream.login("ann")
    stream.send("<resume xmlns='%s' previd='%s' h='0'/>" % (SM, ann.previd))
    stream.expect("<failed xmlns='%s'><item-not-found " % SM, 10)
    stream.expect("</failed>")
    stream.bind("x")
    stream.close()
    stay[1].start()
    wait_for("all to agree", lambda: leader(nodes(first)), 20)


def test_all_end_well(first):
    for server in others:
        check(server.stop() == 0, server.log()[-2000:])
        server.remove()
    check(first is not None, "no server")


if __name__ == "__main__":
    run_tests(dict(globals()), fixture)
