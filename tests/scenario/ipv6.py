#!/usr/bin/python3
"""ipv6.py BUILD: a cluster of three whose servers reach each other by IPv6
only, on one address with ports of their own. They are joined by '[address]:port',
clients on two of them talk, and the leader is killed.
"""

import os
import signal
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

from xmppd_node import (  # noqa: E402
    Failure, Xmppd, check, online, run_tests, wait_for)

ADDRESS = "::1"
others = []


def member(server):
    return "[%s]:%d" % (ADDRESS, server.port)


def nodes(first):
    return [first] + others


def cluster_mode(server, bundle):
    server.call("Xmpp.Disable")
    server.call("Cluster.Trust", bundle=bundle)
    server.call("Cluster.Enable")


def has_ipv6():
    with socket.socket(socket.AF_INET6) as s:
        try:
            s.bind((ADDRESS, 0))
        except OSError:
            return False
    return True


def fixture(build):
    first = Xmppd(build, users=("ann", "bob"), address=ADDRESS)
    others.extend(Xmppd(build, address=ADDRESS) for _ in range(2))
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


def talk(a, b, number):
    a.send("<message to='%s' type='chat'><body>%d</body></message>" % (
        b.jid, number))
    b.expect("<message from='%s' to='%s' type='chat'><body>%d</body>" % (
        a.jid, b.jid, number), 10)


def test_each_peer_is_listed_once_by_its_address(first):
    wait_for("a leader", lambda: leader(nodes(first)), 10)
    for server in nodes(first):
        peers = server.call("Cluster.Status")["peers"]
        check(sorted(p["address"] for p in peers) ==
              sorted(map(member, nodes(first))), str(peers))
        check(all(p["reachable"] for p in peers), str(peers))


def test_a_member_is_not_joined_again(first):
    try:
        others[0].call("Cluster.Join", member=member(first))
    except Failure as why:
        check("already a member" in str(why), str(why))
    else:
        raise Failure("joined twice")


def test_clients_talk_on_while_the_leader_dies(first):
    known = wait_for("a leader", lambda: leader(nodes(first)), 10)
    dies = next(n for n in nodes(first) if member(n) == known)
    stay = [n for n in nodes(first) if n is not dies]
    ann, bob = online(stay[0], "ann"), online(stay[1], "bob")
    talk(ann, bob, 1)
    dies.process.send_signal(signal.SIGKILL)
    dies.process.wait()
    talk(ann, bob, 2)
    talk(bob, ann, 3)
    check(leader(stay) not in (None, known), "the dead one leads")
    dies.start()
    wait_for("all to agree", lambda: leader(nodes(first)), 10)
    talk(ann, bob, 4)
    ann.close()
    bob.close()


def test_one_is_removed_by_its_address(first):
    first.call("Cluster.Remove", member=member(others[1]))
    wait_for("two", lambda: len(
        others[0].call("Cluster.Status")["peers"]) == 2)
    wait_for("it to know", lambda: others[1].call("Cluster.Status")["state"] ==
             "NOT CLUSTERED", 10)


def test_all_end_well(first):
    for server in others:
        check(server.stop() == 0, server.log()[-2000:])
        server.remove()


if __name__ == "__main__":
    if not has_ipv6():
        print("no IPv6 on this machine\n0 passed, 0 failed")
        sys.exit(0)
    run_tests(dict(globals()), fixture)
