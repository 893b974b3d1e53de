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

from xmppd_node import (BIND, DOMAIN, Stream, Xmppd, check,  # noqa: E402
                        client, online, run_tests)


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


def test_stats_count(server):
    def numbers():
        return dict((label.strip(), int(value)) for label, value in re.findall(
            r"^(.*?)\s*: (\d+)$", server.done("xmpp stats"), re.M))

    before = numbers()
    ann = client(server, "ann", "a")
    ann.send("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
    ann.expect("id='1'")
    after = numbers()
    for label in ("Logins", "Stanzas received", "Stanzas sent"):
        check(after[label] == before[label] + 1, (label, before, after))
    check(after["Bytes received"] > before["Bytes received"], after)
    check(after["Accounts"] == 2 and after["Sessions"] == 1, after)
    check(after["Memory in bytes"] > 1 << 20, after)
    ann.close()


# ---- the service -----------------------------------------------------------

INFO = ("<iq type='get' id='i' to='%s'><query xmlns='http://jabber.org/"
        "protocol/disco#info'/></iq>" % DOMAIN)


def test_contact_addresses_are_shown_to_clients(server):
    said(server.done("xmpp contact"), "no contact addresses")
    said(server.done("xmpp contact set abuse mailto:a@example.com "
                     "https://example.com/?a&b"), "for abuse set")
    said(server.done("xmpp contact"),
         "abuse         : mailto:a@example.com https://example.com/?a&b")
    ann = client(server, "ann", "phone")
    ann.send(INFO)
    said(ann.expect("</query></iq>"), "<field var='abuse-addresses' "
         "type='list-multi'><value>mailto:a@example.com</value>"
         "<value>https://example.com/?a&amp;b</value></field>")
    server.refused("xmpp contact set nobody mailto:a@b", "not one of")
    server.refused("xmpp contact set sales me", "an address is a URI")
    server.refused("xmpp contact del sales", "no contact addresses")
    said(server.done("xmpp contact del abuse"), "removed")
    ann.send(INFO)
    check("serverinfo" not in ann.expect("</query></iq>"), "still shown")
    ann.close()


def test_administrators_are_accounts(server):
    said(server.done("xmpp admin"), "nobody")
    server.refused("xmpp admin add nobody", "account nobody not found")
    said(server.done("xmpp admin add ann"), "ann administers the service")
    check(server.done("xmpp admin") == "ann\n", server.done("xmpp admin"))
    server.refused("xmpp admin del bob", "does not administer")
    said(server.done("xmpp admin del ann"), "no longer")
    said(server.done("xmpp admin"), "nobody")


def test_app_servers_are_told_what_is_set(server):
    for how in ("sender", "body", "count"):
        server.done("xmpp push " + how)
        said(server.done("xmpp push"), ": " + how)


# ---- limits and the message of the day ------------------------------------


def test_limits_are_shown_and_changed(server):
    said(server.done("xmpp limits"), "stanza        : 262144 bytes, ")
    said(server.done("xmpp limits stanza 20k"), "is 20480 bytes")
    said(server.done("xmpp limits"), "stanza        : 20480 bytes (changed)")
    ann = client(server, "ann", "a")
    ann.send("<message to='bob@%s'><body>%s</body></message>" % (
        DOMAIN, "x" * 30000))
    ann.expect_error("policy-violation")
    said(server.done("xmpp limits stanza default"), "is 262144 bytes")
    server.refused("xmpp limits stanza 1", "10000 to 16777216 bytes")
    server.refused("xmpp limits nonsense 1", "not a limit")
    server.refused("xmpp limits stanza 99999999999999999999", "not a number")


def test_limits_hold_for_who_is_there_already(server):
    ann = client(server, "ann", "a")
    server.done("xmpp limits stanza 20k")
    ann.send("<message to='bob@%s'><body>%s</body></message>" % (
        DOMAIN, "x" * 30000))
    ann.expect_error("policy-violation")
    server.done("xmpp limits stanza default")


def test_the_time_for_resumption_is_limited(server):
    enable = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
    for value, words in (("120", "max='120'"), ("default", "max='300'")):
        server.done("xmpp limits resume-time " + value)
        ann = client(server, "ann", "r")
        ann.send(enable)
        said(ann.expect(re.compile("<enabled [^>]*/>")).group(0), words)
        ann.close()
    server.done("xmpp limits resume-time 0")
    ann = client(server, "ann", "r")
    ann.send(enable)
    found = ann.expect(re.compile("<enabled [^>]*/>")).group(0)
    check("resume=" not in found, found)
    ann.close()
    server.done("xmpp limits resume-time default")


def test_sessions_of_a_user_are_limited(server):
    server.done("xmpp max_sessions 2")
    said(server.done("xmpp"), "Max sessions per user   : 2")
    two = [client(server, "ann", r) for r in ("a", "b")]
    third = Stream(server)
    third.secure()
    third.login("ann")
    third.send("<iq type='set' id='bind'><bind xmlns='%s'/></iq>" % BIND)
    third.expect("<resource-constraint ")
    two[0].close()
    for stream in two[1:] + [third]:
        stream.close()
    server.done("xmpp max_sessions none")
    said(server.done("xmpp limits"), "sessions      : 100,")


def test_everybody_is_told_the_message_of_the_day(server):
    said(server.done("xmpp motd"), "no message of the day")
    server.done("xmpp motd add Back at 5 <pm> & later")
    said(server.done("xmpp motd"), "Back at 5 <pm> & later")
    ann = online(server, "ann", "a")
    ann.expect(re.compile(
        "<message type='headline' from='%s' to='ann@%s/a'><body>Back at 5 "
        "&lt;pm&gt; &amp; later</body></message>" % (DOMAIN, DOMAIN)))
    ann.send("<presence><show>away</show></presence>"
             "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
    check("headline" not in ann.expect("id='1'"), "told twice")
    ann.close()
    server.done("xmpp motd del")
    server.refused("xmpp motd del", "there is no message of the day")
    server.refused("xmpp motd add %s" % ("x" * 2049), "longer than 2048")


if __name__ == "__main__":
    run_tests(dict(globals()), fixture)
