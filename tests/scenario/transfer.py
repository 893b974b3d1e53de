#!/usr/bin/python3
"""transfer.py BUILD: users out of one server and into another, by documents of
XEP-0227: ours, and as other servers write them.

Ends with a line 'N passed, M failed'.
"""

import base64
import hashlib
import hmac
import os
import re
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

from xmppd_node import (DOMAIN, SASL, Scram, Stream, Xmppd, check,  # noqa: E402
                        client, online, run_tests)

PIE = "urn:xmpp:pie:0"
HEAD = "<server-data xmlns='%s'>" % PIE
SYNC = "<iq type='get' id='%s'><ping xmlns='urn:xmpp:ping'/></iq>"


def said(text, words):
    check(words in text, "not %s: %s" % (words, text))


class Server(Xmppd):
    def __init__(self, build):
        super().__init__(build)
        os.mkdir(self.dir + "/pki")

    def put(self, name, text):
        path = "%s/pki/%s" % (self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as out:
            out.write(text)

    def take(self, text, name="in.xml"):
        self.put(name, text)
        return self.mmp("xmpp user import " + name)


def document(users, host=DOMAIN):
    return "%s<host jid='%s'>%s</host></server-data>" % (HEAD, host, users)


def keys(password, digest, salt, iterations=4096):
    """Credentials as an export has them."""
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", digest)
    return ("<scram-credentials xmlns='%s#scram' mechanism='SCRAM-%s'>"
            "<iter-count>%d</iter-count><salt>%s</salt><server-key>%s"
            "</server-key><stored-key>%s</stored-key></scram-credentials>" % (
                PIE, {"sha1": "SHA-1", "sha256": "SHA-256"}[digest],
                iterations, base64.b64encode(salt).decode(),
                base64.b64encode(
                    hmac.digest(salted, b"Server Key", digest)).decode(),
                base64.b64encode(
                    hashlib.new(digest, client_key).digest()).decode()))


def scram(server, user, password, digest, mechanism):
    """A login by SCRAM; whether it went well."""
    peer = Stream(server)
    peer.secure()
    way = Scram(user, password, digest)
    peer.send("<auth xmlns='%s' mechanism='%s'>%s</auth>" % (
        SASL, mechanism, way.first()))
    challenge = peer.expect(re.compile("<challenge [^>]*>([^<]*)<")).group(1)
    peer.send("<response xmlns='%s'>%s</response>" % (
        SASL, way.final(challenge)))
    end = peer.expect(re.compile("<(success|failure)")).group(1)
    peer.close()
    return end == "success"


# ---- as others write them -------------------------------------------------


def test_a_password_in_the_clear(server):
    done = server.take(document(
        "<user name='Ann' password='secret-ann'>"
        "<query xmlns='jabber:iq:roster'><item jid='bob@%s' name='Bob' "
        "subscription='both'><group>Friends</group><group>Work</group></item>"
        "<item jid='carl@%s' ask='subscribe' subscription='none'/></query>"
        "<presence xmlns='jabber:client' type='subscribe' "
        "from='dora@%s'><nick xmlns='http://jabber.org/protocol/nick'>D"
        "</nick></presence>"
        "<vCard xmlns='vcard-temp'><FN>Ann A.</FN></vCard>"
        "<query xmlns='jabber:iq:private'><x xmlns='urn:x'>mine</x></query>"
        "<extra xmlns='urn:unknown'/>"
        "</user><user name='bob' password='secret-bob'/><user name='dora'/>" % (
            (DOMAIN,) * 3)))
    check(done.returncode == 0, done.stdout + done.stderr)
    said(done.stdout, "SUCCESS: 3 users imported, 0 not")
    said(done.stdout, "<extra xmlns='urn:unknown'/>")
    said(server.done("xmpp user list"),
         "ann@%s\nbob@%s\ndora@%s\n" % ((DOMAIN,) * 3))
    ann = client(server, "ann", "a")
    ann.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
    roster = ann.expect("</iq>")
    said(roster, "<group>Friends</group><group>Work</group>")
    said(roster, "subscription='both'")
    said(roster, "ask='subscribe'")
    check("dora" not in roster, roster)
    ann.send("<presence/>")
    ann.expect("<nick xmlns='http://jabber.org/protocol/nick'>D</nick>")
    ann.send("<iq type='get' id='v'><vCard xmlns='vcard-temp'/></iq>")
    ann.expect("<FN>Ann A.</FN>")
    ann.send("<iq type='get' id='p'><query xmlns='jabber:iq:private'>"
             "<x xmlns='urn:x'/></query></iq>")
    ann.expect("<x xmlns='urn:x'>mine</x>")
    ann.close()


def test_keys_of_other_lengths(server):
    done = server.take(document(
        "<user name='old'>%s</user><user name='new'>%s%s</user>" % (
            keys("pencil", "sha1", b"a-salt-as-prosody-makes-them-of-36-b"),
            keys("pencil", "sha1", b"short"),
            keys("pencil", "sha256", b"0123456789abcdef", 10000))))
    check(done.returncode == 0, done.stdout)
    check(scram(server, "old", "pencil", "sha1", "SCRAM-SHA-1"), "old, SHA-1")
    check(not scram(server, "old", "wrong", "sha1", "SCRAM-SHA-1"), "wrong")
    check(scram(server, "new", "pencil", "sha1", "SCRAM-SHA-1"), "new")
    said(Stream(server).secure(), "<mechanism>SCRAM-SHA-1</mechanism>")
    offered = Stream(server).secure()
    check("SHA-256" not in offered, offered)
    for password, word in (("pencil", "success"), ("wrong", "failure")):
        peer = Stream(server)
        peer.secure()
        peer.plain("old", password)
        peer.expect("<" + word)
        peer.close()
    server.done("xmpp user passwd old", "pencil\n")
    said(Stream(server).secure(), "SCRAM-SHA-256<")
    for name in ("old", "new"):
        check(scram(server, name, "pencil", "sha256", "SCRAM-SHA-256"), name)


def test_messages_that_wait_and_archives(server):
    done = server.take(document(
        "<user name='eve' password='secret-eve'><offline-messages>"
        "<message xmlns='jabber:client' from='bob@%s/x' to='eve@%s' "
        "type='chat'><body>first</body><delay xmlns='urn:xmpp:delay' "
        "from='%s' stamp='2020-07-21T00:32:29Z'>Offline Storage</delay>"
        "</message><message xmlns='jabber:client' from='bob@%s/x' to='eve@%s'"
        "><body>second</body></message></offline-messages>"
        "<archive xmlns='%s#mam'><result xmlns='urn:xmpp:mam:2' id='28-9'>"
        "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' "
        "stamp='2010-07-10T23:08:25Z'/><message xmlns='jabber:client' "
        "to='eve@%s/b' from='bob@%s/o' type='chat'><body>long ago</body>"
        "</message></forwarded></result></archive></user>" % (
            (DOMAIN,) * 5 + (PIE,) + (DOMAIN,) * 2)))
    check(done.returncode == 0, done.stdout)
    eve = client(server, "eve", "a")
    eve.send("<iq type='set' id='m'><query xmlns='urn:xmpp:mam:2'/></iq>")
    old = eve.expect("id='m'")
    said(old, "long ago")
    said(old, "stamp='2010-07-10T23:08:25")
    eve.send("<presence/>")
    eve.expect("<body>first</body>")
    eve.expect("stamp='2020-07-21T00:32:29Z'")
    eve.expect("<body>second</body>")
    eve.close()


def test_blocked_ones_and_what_is_published(server):
    done = server.take(document(
        "<user name='gus' password='secret-gus'>"
        "<query xmlns='jabber:iq:privacy'><default name='p'/><list name='p'>"
        "<item type='jid' value='bob@%s' action='deny' order='1'/>"
        "<item action='allow' order='2'/></list><list name='other'><item "
        "type='jid' value='ann@%s' action='deny' order='1'/></list></query>"
        "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure "
        "node='urn:n'><x xmlns='jabber:x:data' type='form'><field "
        "var='pubsub#access_model'><value>open</value></field></x>"
        "</configure></pubsub><pubsub "
        "xmlns='http://jabber.org/protocol/pubsub'><items node='urn:n'>"
        "<item id='i'><n xmlns='urn:n'>it</n></item></items></pubsub></user>"
        % (DOMAIN, DOMAIN)))
    check(done.returncode == 0, done.stdout)
    gus = client(server, "gus", "a")
    gus.send("<iq type='get' id='b'><blocklist xmlns='urn:xmpp:blocking'/>"
             "</iq>")
    blocked = gus.expect("</iq>")
    said(blocked, "bob@" + DOMAIN)
    check("ann" not in blocked, blocked)
    gus.close()
    ann = client(server, "ann", "b")
    ann.send("<iq type='get' id='p' to='gus@%s'><pubsub xmlns="
             "'http://jabber.org/protocol/pubsub'><items node='urn:n'/>"
             "</pubsub></iq>" % DOMAIN)
    ann.expect("<n xmlns='urn:n'>it</n>")
    ann.close()


def test_files_that_are_included(server):
    xi = "xmlns:xi='http://www.w3.org/2001/XInclude'"
    server.put("host.xml", "<host xmlns='%s' %s jid='%s'><xi:include "
               "href='host/hal.xml'/></host>" % (PIE, xi, DOMAIN))
    server.put("host/hal.xml", "<user xmlns='%s' name='hal' "
               "password='secret-hal'/>" % PIE)
    done = server.take("<server-data xmlns='%s' %s><xi:include "
                       "href='host.xml'/></server-data>" % (PIE, xi))
    said(done.stdout, "1 user imported")
    client(server, "hal", "a").close()
    outside = server.dir + "/outside.xml"
    with open(outside, "w") as out:
        out.write("<host xmlns='%s' jid='%s'><user name='sly' "
                  "password='x'/></host>" % (PIE, DOMAIN))
    done = server.take("<server-data xmlns='%s' %s><xi:include "
                       "href='../outside.xml'/></server-data>" % (PIE, xi))
    check("sly" not in server.done("xmpp user list"), done.stdout)


# ---- what is refused ------------------------------------------------------


def test_bad_documents_are_refused(server):
    before = server.done("xmpp user list")
    for text, words in (
            ("<x/>", "not a document of XEP-0227"),
            ("", "line 1: not well-formed"),
            (HEAD + "<host jid='%s'>" % DOMAIN, "not well-formed"),
            ("<!DOCTYPE x [<!ENTITY a 'b'>]>" + document(""),
             "document type")):
        done = server.take(text)
        check(done.returncode == 1, (text, done.stdout))
        said(done.stdout, words)
    server.refused("xmpp user import absent.xml", "not found")
    for user, words in (
            ("<user name='a b' password='x'/>", "not an address"),
            ("<user password='x'/>", "without a name")):
        done = server.take(document(user))
        check(done.returncode == 1, (user, done.stdout))
        said(done.stdout, words)
    done = server.take(document("<user name='x'/>", "elsewhere.org"))
    said(done.stdout, "elsewhere.org is not served here")
    check(server.done("xmpp user list") == before, "changed")


def test_an_account_that_exists_is_left_alone(server):
    done = server.take(document(
        "<user name='bob' password='other'><vCard xmlns='vcard-temp'/></user>"
        "<user name='ida' password='secret-ida'/>"))
    check(done.returncode == 1, done.stdout)
    said(done.stdout, "bob already exists")
    said(done.stdout, "1 user imported, 1 not")
    client(server, "bob", "a").close()
    client(server, "ida", "a").close()


# ---- ours -----------------------------------------------------------------


def test_out_and_in_again(server):
    online(server, "ann", "a").close()
    said(server.done("xmpp user export all"), "exported to all.xml")
    server.refused("xmpp user export all", "is there already")
    path = server.dir + "/pki/all.xml"
    check(os.stat(path).st_mode & 0o077 == 0, "others may read it")
    with open(path) as f:
        first = f.read()
    ET.fromstring(first)
    other = Server(server.build)
    try:
        done = other.take(first)
        check(done.returncode == 0, done.stdout)
        other.done("xmpp user export all")
        with open(other.dir + "/pki/all.xml") as f:
            second = f.read()
        # Archives get ids of their own, and what is in them stays.
        ids = re.compile(r"<result xmlns='urn:xmpp:mam:2' id='[^']*'>")
        for one, two in zip(ids.sub("", first).splitlines(),
                            ids.sub("", second).splitlines()):
            check(one == two, "%s\nbecame\n%s" % (one, two))
        check(scram(other, "new", "pencil", "sha256", "SCRAM-SHA-256"), "new")
        client(other, "ann", "a").close()
    finally:
        other.remove()


if __name__ == "__main__":
    run_tests(dict(globals()), Server)
