#!/usr/bin/python3
"""admin.py BUILD: what an administrator does with those who are logged in, by
command: sees them, ends their sessions, tells them something, limits them.

Ends with a line 'N passed, M failed'.
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

from xmppd_node import (DOMAIN, Xmppd, check, client, online,  # noqa: E402
                        run_tests)


def said(text, words):
    check(words in text, "not %s: %s" % (words, text))


def fixture(build):
    return Xmppd(build, ("ann", "bob"))


# ---- sessions and kick ----------------------------------------------------


def test_sessions_are_listed(server):
    said(server.done("xmpp sessions"), "no sessions")
    ann = client(server, "ann", "phone")
    bob = client(server, "bob", "desk")
    lines = server.done("xmpp sessions").splitlines()
    check(len(lines) == 2, lines)
    for line, address in zip(lines, ("ann@%s/phone", "bob@%s/desk")):
        check(re.fullmatch(
            re.escape(address % DOMAIN) + r" from 127\.0\.0\.1:\d+ since "
            r"\d{4}-\d\d-\d\dT[\d:]+Z idle \ds", line), line)
    said(server.done("xmpp sessions ann"), "ann@%s/phone" % DOMAIN)
    check("bob" not in server.done("xmpp sessions ann@" + DOMAIN), "bob")
    said(server.done("xmpp sessions bob@%s/other" % DOMAIN), "no sessions")
    server.refused("xmpp sessions a@b@c", "is not an address")
    ann.close()
    bob.close()


def test_kick_ends_a_user_s_sessions_or_one(server):
    ann = [client(server, "ann", r) for r in ("a", "b", "c")]
    bob = client(server, "bob", "a")
    said(server.done("xmpp kick ann@%s/b" % DOMAIN), "1 session")
    ann[1].expect_error("policy-violation", "ended by the administrator")
    said(server.done("xmpp kick ann"), "2 sessions")
    ann[0].expect_error("policy-violation")
    ann[2].expect_error("policy-violation")
    server.refused("xmpp kick ann", "is not logged in")
    bob.send("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
    bob.expect("id='1'")
    bob.close()


def test_contacts_hear_of_a_kick_once(server):
    first = online(server, "ann", "a")
    second = online(server, "ann", "b")
    first.expect("from='ann@%s/b'" % DOMAIN)
    server.done("xmpp kick ann@%s/b" % DOMAIN)
    second.expect_error("policy-violation")
    first.expect(re.compile("<presence [^>]*type='unavailable'[^>]*/>|"
                            "<presence [^>]*type='unavailable'[^>]*>"))
    first.send("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
    between = first.expect("id='1'")
    check("unavailable" not in between, between)
    first.close()


if __name__ == "__main__":
    run_tests(dict(globals()), fixture)
