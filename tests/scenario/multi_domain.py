#!/usr/bin/python3
"""multi_domain.py BUILD: further domains on one server, added by command:
their certificates, their accounts, what becomes of them when they go.

Ends with a line 'N passed, M failed'.
"""

import os
import re
import socket
import ssl
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

from xmppd_node import (ADDRESS, DOMAIN, TLS, Stream, Xmppd, check, header,  # noqa: E402
                        run_tests, wait_for)

SECOND = "example.net"
FILES = {"first": DOMAIN, "second": SECOND}
ADD = "xmpp multi_domain add %s %s.key %s.crt"


class Peer(Stream):
    """A client of a domain that trusts this domain's certificate alone."""

    def __init__(self, server, domain, sni=True, ca=None):
        super().__init__(server)
        self.domain = domain
        self.send(header(to=domain))
        self.expect("</stream:features>")
        self.send("<starttls xmlns='%s'/>" % TLS)
        self.expect("<proceed xmlns='%s'/>" % TLS)
        context = ssl.create_default_context(cafile=ca)
        context.check_hostname = sni
        self.sock = context.wrap_socket(
            self.sock, server_hostname=domain if sni else None)
        self.open()

    def open(self, **more):
        self.send(header(to=self.domain))
        return self.expect("</stream:features>")

    def online(self, user, resource):
        self.plain(user, "secret")
        self.expect("<success ")
        self.open()
        self.bind(resource)
        self.send("<presence id='here'/>")
        self.expect(re.compile("<presence [^>]*id='here'[^>]*/>"))
        return self


class Server(Xmppd):
    """One with the files of a second domain beside it."""

    def __init__(self, build):
        super().__init__(build)
        os.mkdir(self.dir + "/pki")
        for name, domain in FILES.items():
            self.done("pki selfsigned %s CN:%s" % (name, domain))
        self.done("xmpp certs first.key first.crt")

    def add_second(self):
        return self.done(ADD % (SECOND, "second", "second"))

    def account(self, address):
        if address not in self.done("xmpp user list"):
            self.done("xmpp user add " + address, "secret\n")

    def pem(self, domain):
        return "%s/pki/%s.crt" % (
            self.dir, "first" if domain == DOMAIN else "second")


def said(text, words):
    check(words in text, "not %s: %s" % (words, text))


def test_commands_refuse_what_would_not_work(server):
    server.refused(ADD % (DOMAIN, "first", "first"), "is the domain that 'xmpp domain' set")
    server.refused(ADD % (SECOND, "first", "first"), SECOND)
    server.refused(ADD % (SECOND, "first", "second"), "match")
    server.refused("xmpp multi_domain del " + SECOND, "not found")
    server.refused("xmpp user add ann@" + SECOND, "not served", "secret\n")
    said(server.done("xmpp multi_domain list"), "no further domains")


def test_accounts_of_two_domains_talk(server):
    said(server.add_second(), "added")
    server.account("ann@" + DOMAIN)
    server.account("ann@" + SECOND)
    said(server.done("xmpp user list"),
         "ann@%s\nann@%s\n" % (DOMAIN, SECOND))
    one = Peer(server, DOMAIN, ca=server.pem(DOMAIN)).online("ann", "a")
    two = Peer(server, SECOND, ca=server.pem(SECOND)).online("ann", "b")
    check(two.jid == "ann@%s/b" % SECOND, two.jid)
    one.send("<message to='ann@%s'><body>hello</body></message>" % SECOND)
    two.expect("<body>hello</body>")
    two.send("<message to='ann@%s/a'><body>hi</body></message>" % DOMAIN)
    one.expect("from='ann@%s/b'" % SECOND)
    one.expect("<body>hi</body>")


def presence(type_, sender):
    """A presence of that type from there."""
    return re.compile("<presence (?=[^>]*type='%s')[^>]*from='%s'" % (
        type_, re.escape(sender)))


def test_contacts_of_two_domains(server):
    server.add_second()
    mine, other = "ann@" + DOMAIN, "ann@" + SECOND
    for name in (mine, other):
        server.account(name)
    one = Peer(server, DOMAIN, ca=server.pem(DOMAIN)).online("ann", "a")
    two = Peer(server, SECOND, ca=server.pem(SECOND)).online("ann", "b")
    for peer in (one, two):
        peer.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/>"
                  "</iq>")
        peer.expect("id='r'")
    one.send("<presence type='subscribe' to='%s'/>" % other)
    one.expect("<item jid='%s' subscription='none' ask='subscribe'" % other)
    two.expect(presence("subscribe", mine))
    two.send("<presence type='subscribed' to='%s'/>" % mine)
    two.expect("<item jid='%s' subscription='from'" % mine)
    one.expect(presence("subscribed", other))
    one.expect("<item jid='%s' subscription='to'" % other)
    one.expect("from='%s/b'" % other)
    two.send("<presence><show>away</show></presence>")
    one.expect("<show>away</show>")
    one.send("<iq type='get' id='p' to='%s/b'><ping xmlns='urn:xmpp:ping'/>"
             "</iq>" % other)
    two.expect("from='%s/a'" % mine)
    again = Peer(server, DOMAIN, ca=server.pem(DOMAIN)).online("ann", "c")
    again.expect("<show>away</show>")
    two.close()
    for peer in (one, again):
        peer.expect(presence("unavailable", other + "/b"))
    one.send("<iq type='set' id='e'><query xmlns='jabber:iq:roster'><item "
             "jid='%s' subscription='remove'/></query></iq>" % other)
    one.expect("id='e'")
    two = Peer(server, SECOND, ca=server.pem(SECOND)).online("ann", "b")
    two.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
    two.expect("<item jid='%s' subscription='none'" % mine)


def test_the_certificate_follows_sni_or_the_stream(server):
    server.add_second()
    Peer(server, SECOND, sni=False, ca=server.pem(SECOND)).close()
    Peer(server, DOMAIN, sni=False, ca=server.pem(DOMAIN)).close()
    context = ssl.create_default_context(cafile=server.pem(SECOND))
    with socket.create_connection((ADDRESS, server.port), 5) as plain:
        context.wrap_socket(plain, server_hostname=SECOND).close()


def test_it_is_there_after_a_restart(server):
    server.add_second()
    server.stop()
    server.start()
    wait_for("open ports", server.is_open)
    Peer(server, SECOND, ca=server.pem(SECOND)).close()
    said(server.done("xmpp multi_domain list"), "second.key")


def test_sessions_end_with_their_domain(server):
    server.add_second()
    server.account("ann@" + SECOND)
    two = Peer(server, SECOND, ca=server.pem(SECOND)).online("ann", "b")
    said(server.done("xmpp multi_domain del " + SECOND),
         "its 1 account is kept")
    two.expect_error("host-gone")
    three = Stream(server)
    three.send(header(to=SECOND))
    three.expect("<host-unknown ")
    server.add_second()
    Peer(server, SECOND, ca=server.pem(SECOND)).online("ann", "b").close()


def test_a_certificate_is_replaced_under_open_sessions(server):
    server.add_second()
    server.account("ann@" + SECOND)
    two = Peer(server, SECOND, ca=server.pem(SECOND)).online("ann", "b")
    server.done("pki selfsigned anew CN:" + SECOND)
    said(server.done(ADD % (SECOND, "anew", "anew")), "set")
    two.send("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
    two.expect("id='1'")
    Peer(server, SECOND, ca=server.dir + "/pki/anew.crt").close()


def test_a_server_without_the_certificate_says_so(server):
    server.add_second()
    server.stop()
    os.unlink("%s/domain-%s.json" % (server.dir, SECOND))
    server.start()
    wait_for("open ports", server.is_open)
    said(server.done("xmpp detail"),
         "domain %s: no certificate on this server" % SECOND)



if __name__ == "__main__":
    run_tests(dict(globals()), Server)
