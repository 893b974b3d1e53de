#!/usr/bin/python3
"""c2s.py BUILD: client streams against a real xmppd. Each test names the
sentence of RFC 6120 that it holds the server to (or another, where it says
so)."""

import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

from xmppd_node import (  # noqa: E402
    ADDRESS, BIND, DOMAIN, SASL, SLOW, STANZA_ERRORS, TLS, Failure, Loop,
    Scram, Stream, Xmppd, b64, check, client, header, online, run_tests,
    tls_context, wait_for)

TLS12 = ssl.TLSVersion.TLSv1_2


def fixture(build):
    return Xmppd(build, users=("ann", "bob", "eve"))


# ---- streams (section 4) --------------------------------------------------


def test_response_header(server):
    """4.7: 'from', 'id', 'version' and 'xml:lang' of the response; its 'to' is
    the initial 'from'; 4.2: header first, then features."""
    stream = Stream(server)
    stream.send(header(more="version='1.0' from='ann@%s'" % DOMAIN))
    response = stream.expect("<stream:features>")
    for part in ("<?xml version='1.0'?>", " from='%s'" % DOMAIN, " id='",
                 " version='1.0'", " xml:lang='en'", " to='ann@%s'" % DOMAIN):
        check(part in response, "%s is missing: %s" % (part, response))
    stream.close()


def test_host_unknown(server):
    """4.9.3.6: "the value of the 'to' attribute ... does not correspond to an
    FQDN that is serviced by the receiving entity"."""
    stream = Stream(server)
    stream.send(header(to="example.net"))
    stream.expect("<stream:stream")
    stream.expect_error("host-unknown")


def test_unsupported_version(server):
    """4.9.3.25: "the 'version' attribute ... specifies a version of XMPP that
    is not supported"; 4.7.5: absent is 0.9."""
    for version in ("", "version='0.9'"):
        stream = Stream(server)
        stream.send(header(more=version))
        stream.expect_error("unsupported-version")
    stream = Stream(server)
    stream.open(more="version='1.9'")
    stream.close()


def test_invalid_namespace(server):
    """4.9.3.10."""
    stream = Stream(server)
    stream.send(header(content="jabber:server"))
    stream.expect_error("invalid-namespace")


def test_bad_xml(server):
    """4.9.3.13, 4.9.3.18 and 11.1: not well-formed; comments, DTDs, entities
    and processing instructions are forbidden."""
    for bytes_, condition in (
            ("<message></iq>", "not-well-formed"),
            ("<message id=x/>", "not-well-formed"),
            ("<!-- hello -->", "restricted-xml"),
            ("<?php echo 1?>", "restricted-xml"),
            ("<message>&foo;</message>", "restricted-xml"),
            ("<x:message/>", "not-well-formed")):
        stream = client(server, "ann")
        stream.send(bytes_)
        stream.expect_error(condition)
    for bytes_, condition in (
            ("<!DOCTYPE lolz [<!ENTITY a 'b'>]>" + header(), "restricted-xml"),
            ("GET / HTTP/1.0\r\n\r\n", "not-well-formed")):
        stream = Stream(server)
        stream.send(bytes_)
        stream.expect_error(condition)


def test_invalid_utf8(server):
    """11.6: "MUST support the UTF-8 transformation", and nothing else."""
    stream = client(server, "ann")
    stream.send(b"<message><body>\xff\xfe</body></message>")
    stream.expect("<stream:error>")
    stream.expect("</stream:stream>")
    stream.expect_end()


def test_too_big(server):
    """13.12 and 4.9.3.14: stanzas have a limit, and before the login a small
    one."""
    stream = Stream(server)
    stream.secure()
    stream.send("<auth xmlns='%s' mechanism='PLAIN'>%s</auth>" % (
        SASL, "A" * 12000))
    stream.expect_error("policy-violation")
    ann = client(server, "ann")
    ann.send("<message to='ann@%s'><body>%s</body></message>" % (
        DOMAIN, "x" * 300000))
    ann.expect_error("policy-violation")


def test_too_deep(server):
    ann = client(server, "ann")
    ann.send("<message>" + "<x>" * 1000)
    ann.expect_error("policy-violation")


def test_closes_when_asked(server):
    """4.4: "The entity that receives the closing stream tag ... sends a closing
    stream tag"; what was asked before is answered first."""
    for stream in (Stream(server), Stream(server)):
        stream.open()
        stream.send("</stream:stream>")
        stream.expect("</stream:stream>")
        stream.expect_end()
    ann = client(server, "ann")
    ann.send("<iq type='get' id='p' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>"
             "</stream:stream>" % DOMAIN)
    answers = ann.expect("</stream:stream>")
    check("id='p'" in answers and "type='result'" in answers,
          "no pong before the end: %r" % answers)
    ann.expect_end()


def test_keepalives(server):
    """4.6.1: white space between stanzas is for nobody."""
    ann = client(server, "ann")
    for _ in range(3):
        ann.send(" \n ")
        time.sleep(0.1)
    ann.expect_nothing()
    ann.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
    ann.expect("id='p'")
    ann.close()


def test_byte_by_byte(server):
    """TCP knows no messages."""
    stream = Stream(server)
    for byte in header():
        stream.send(byte)
    stream.expect("</stream:features>")
    stream.close()


# ---- STARTTLS (section 5) and direct TLS (XEP-0368) -----------------------


def test_starttls_is_all_there_is(server):
    """5.3.1: mandatory-to-negotiate TLS is offered alone."""
    features = Stream(server).open()
    check("<starttls xmlns='%s'><required/></starttls>" % TLS in features and
          "mechanism" not in features, features)


def test_nothing_survives_starttls(server):
    """5.4.3.3: "the initiating entity ... MUST send a new initial stream
    header"; what somebody slipped in before doesn't count."""
    stream = Stream(server)
    stream.open()
    stream.send("<starttls xmlns='%s'/>" % TLS + header() +
                "<auth xmlns='%s' mechanism='PLAIN'>%s</auth>" % (
                    SASL, b64("\0ann\0secret-ann")))
    stream.expect("<proceed xmlns='%s'/>" % TLS)
    stream.start_tls()
    stream.expect_nothing()
    check("PLAIN" in stream.open(), "no mechanisms")
    stream.close()


def test_starttls_twice(server):
    """5.4.2.2: "the receiving entity MUST return a <failure/> element ... and
    close the XML stream"."""
    stream = Stream(server)
    stream.secure()
    stream.send("<starttls xmlns='%s'/>" % TLS)
    stream.expect("<failure xmlns='%s'/></stream:stream>" % TLS)
    stream.expect_end()


def test_direct_tls(server):
    """XEP-0368: TLS from the first byte, with and without its ALPN."""
    for alpn in ("xmpp-client", None):
        for version in (None, TLS12):
            stream = Stream(server, tls=True, alpn=alpn, version=version)
            if alpn is not None:
                check(stream.sock.selected_alpn_protocol() == alpn, "no ALPN")
            features = stream.open()
            check("<mechanism>PLAIN</mechanism>" in features, features)
            check("starttls" not in features, features)
            stream.login("ann")
            stream.bind()
            stream.close()


def test_old_tls(server):
    """RFC 7590, RFC 8996: TLS 1.1 is gone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = tls_context(ssl.TLSVersion.TLSv1_1)
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        with socket.create_connection((ADDRESS, server.port)) as sock:
            context.wrap_socket(sock)
    except (ssl.SSLError, OSError):
        return
    raise Failure("TLS 1.1 was accepted")


def test_no_handshake(server):
    """A peer that promises TLS and sends something else is done with."""
    stream = Stream(server)
    stream.open()
    stream.send("<starttls xmlns='%s'/>" % TLS)
    stream.expect("<proceed xmlns='%s'/>" % TLS)
    stream.send(header())
    stream.expect_end()


# ---- SASL (section 6) -----------------------------------------------------


def test_mechanisms(server):
    """6.3.3, 13.8: offered under TLS, strongest first; XEP-0440 names the
    bindings."""
    names = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256",
             "SCRAM-SHA-1", "PLAIN")
    offer = "".join("<mechanism>%s</mechanism>" % n for n in names)
    for version, binding in ((None, "tls-exporter"), (TLS12, "tls-unique")):
        stream = Stream(server, tls=True, version=version)
        features = stream.open()
        check(offer in features, features)
        check("<channel-binding type='%s'/>" % binding in features, features)
        stream.close()


def test_no_password_without_tls(server):
    """6.5.5: encryption-required."""
    stream = Stream(server)
    stream.open()
    stream.plain("ann", "secret-ann")
    stream.expect("<failure xmlns='%s'><encryption-required/></failure>" % SASL)
    stream.close()


def test_failures(server):
    """6.5: a row a condition; 6.4.5: then it may try again."""
    auth = "<auth xmlns='%s' mechanism='PLAIN'>%%s</auth>" % SASL
    rows = (
        ("<auth xmlns='%s' mechanism='CRAM-MD5'/>" % SASL, "invalid-mechanism"),
        (auth % "x", "incorrect-encoding"),
        (auth % "AGFubg=AA", "incorrect-encoding"),
        (auth % b64("ann"), "malformed-request"),
        (auth % b64("\0ann\0wrong"), "not-authorized"),
        (auth % b64("\0nobody\0secret"), "not-authorized"),
        (auth % b64("eve@%s\0ann\0secret-ann" % DOMAIN), "invalid-authzid"),
        ("<abort xmlns='%s'/>" % SASL, "aborted"),
        ("<response xmlns='%s'>AA==</response>" % SASL, "malformed-request"))
    for element, condition in rows:
        stream = Stream(server)
        stream.secure()
        stream.send(element)
        stream.expect("<failure xmlns='%s'><%s/></failure>" % (
            SASL, condition))
        stream.login("ann")
        stream.close()


def test_too_many_failures(server):
    """6.4.5: "the receiving entity MUST close the stream ... SHOULD be
    <policy-violation/>"."""
    stream = Stream(server)
    stream.secure()
    for _ in range(5):
        stream.plain("ann", "wrong")
        stream.expect("<not-authorized/></failure>")
    stream.expect_error("policy-violation")


def scram(stream, mechanism, exchange):
    """Plays it; None, or the condition of the failure."""
    stream.send("<auth xmlns='%s' mechanism='%s'>%s</auth>" % (
        SASL, mechanism, exchange.first()))
    answer = stream.expect(re.compile(
        "<challenge xmlns='%s'>(.*?)</challenge>|"
        "<failure xmlns='%s'><(.*?)/></failure>" % (SASL, SASL)))
    if answer.group(2):
        return answer.group(2)
    stream.send("<response xmlns='%s'>%s</response>" % (
        SASL, exchange.final(answer.group(1))))
    answer = stream.expect(re.compile(
        "<success xmlns='%s'>(.*?)</success>|"
        "<failure xmlns='%s'><(.*?)/></failure>" % (SASL, SASL)))
    if answer.group(2):
        return answer.group(2)
    check(answer.group(1) == exchange.verifier, "the server's proof is wrong")
    return None


def test_scram(server):
    """RFC 5802 and 7677, with and without channel binding (RFC 5929, 3)."""
    for digest, name in (("sha1", "SCRAM-SHA-1"), ("sha256", "SCRAM-SHA-256")):
        stream = Stream(server)
        stream.secure()
        check(scram(stream, name, Scram("ann", "wrong", digest)) ==
              "not-authorized", "a wrong password")
        check(scram(stream, name, Scram("ann", "secret-ann", digest)) is None,
              name)
        stream.open()
        stream.bind()
        stream.close()
        stream = Stream(server, tls=True, version=TLS12)
        binding = stream.sock.get_channel_binding("tls-unique")
        stream.open()
        check(scram(stream, name + "-PLUS", Scram(
            "ann", "secret-ann", digest, "p=tls-unique,,", b"other")) ==
            "not-authorized", "a wrong binding")
        check(scram(stream, name + "-PLUS", Scram(
            "ann", "secret-ann", digest, "p=tls-unique,,", binding)) is None,
            name + "-PLUS")
        stream.close()


def test_scram_end_point(server):
    """RFC 5929, 4: the hash of the server's certificate."""
    import hashlib
    stream = Stream(server, tls=True)
    binding = hashlib.sha256(stream.sock.getpeercert(True)).digest()
    stream.open()
    check(scram(stream, "SCRAM-SHA-256-PLUS", Scram(
        "ann", "secret-ann", "sha256", "p=tls-server-end-point,,",
        binding)) is None, "tls-server-end-point")
    stream.close()


def test_stripped_offer(server):
    """RFC 5802, 6: "y" where -PLUS was offered is a man in the middle."""
    stream = Stream(server, tls=True)
    stream.open()
    check(scram(stream, "SCRAM-SHA-256", Scram(
        "ann", "secret-ann", header_="y,,")) == "not-authorized", "y")
    stream.close()


def test_unknown_accounts_show_nothing(server):
    """The same challenge for a name that isn't there, also after a restart:
    salt and rounds like any other's."""
    def salt():
        stream = Stream(server)
        stream.secure()
        exchange = Scram("nobody", "secret")
        stream.send("<auth xmlns='%s' mechanism='SCRAM-SHA-256'>%s</auth>" % (
            SASL, exchange.first()))
        challenge = stream.expect(re.compile(
            "<challenge xmlns='%s'>(.*?)</challenge>" % SASL)).group(1)
        stream.send("<response xmlns='%s'>%s</response>" % (
            SASL, exchange.final(challenge)))
        stream.expect("<not-authorized/></failure>")
        stream.close()
        import base64
        return base64.b64decode(challenge).decode().split(",", 1)[1]
    first = salt()
    check(salt() == first, "another salt")
    server.stop()
    server.start()
    wait_for("open ports", server.is_open)
    check(salt() == first, "another salt after a restart")


def test_changed_password_counts_at_once(server):
    server.call("User.Add", name="zoe", password="one")
    server.call("User.Passwd", name="zoe", password="two")
    stream = Stream(server)
    stream.secure()
    stream.plain("zoe", "one")
    stream.expect("<not-authorized/></failure>")
    stream.plain("zoe", "two")
    stream.expect("<success")
    stream.close()
    server.call("User.Del", name="zoe")


def test_deleted_account_is_closed(server):
    server.call("User.Add", name="zoe", password="secret-zoe")
    zoe = client(server, "zoe")
    server.call("User.Del", name="zoe")
    zoe.expect("<stream:error>")
    zoe.expect("</stream:stream>")
    zoe.expect_end()


def test_unicode_names(server):
    """RFC 6122: nodeprep of the name, SASLprep of the password."""
    server.call("User.Add", name="j\u00fcrgen", password="p\u00e4ss")
    stream = Stream(server)
    stream.secure()
    stream.plain("J\u00dcRGEN", "p\u00e4ss")
    stream.expect("</success>")
    stream.open()
    stream.bind("x")
    check(stream.jid == "j\u00fcrgen@%s/x" % DOMAIN, stream.jid)
    stream.close()
    server.call("User.Passwd", name="j\u00fcrgen", password="\u2168\u00a0\u00aa")
    stream = Stream(server)
    stream.secure()
    stream.plain("j\u00fcrgen", "I\u00adX a")
    stream.expect("</success>")
    stream.close()
    server.call("User.Del", name="j\u00fcrgen")


# ---- resources (section 7) ------------------------------------------------


def test_bind(server):
    """7.6, 7.7: a resource of the client's choice, or of the server's."""
    ann = client(server, "ann", "phone")
    check(ann.jid == "ann@%s/phone" % DOMAIN, ann.jid)
    other = client(server, "ann")
    check(re.match("ann@%s/.{8,}" % DOMAIN, other.jid), other.jid)
    ann.close()
    other.close()


def test_bind_before_all_else(server):
    """7.1: "the server MUST NOT process the stanza and MUST close the stream
    with a <not-authorized/> stream error"."""
    stream = Stream(server)
    stream.secure()
    stream.login("ann")
    stream.send("<message to='bob@%s'/>" % DOMAIN)
    stream.expect_error("not-authorized")


def test_resource_conflict(server):
    """7.7.2.2: the newer session gets it, the older is told."""
    first = client(server, "ann", "phone")
    second = client(server, "ann", "phone")
    check(second.jid == first.jid, second.jid)
    first.expect_error("conflict")
    second.close()


def test_bad_resource(server):
    """7.7.2.1: bad-request."""
    stream = Stream(server)
    stream.secure()
    stream.login("ann")
    stream.send("<iq type='set' id='b'><bind xmlns='%s'><resource>%s"
                "</resource></bind></iq>" % (BIND, "x" * 1100))
    stream.expect("<bad-request xmlns='%s'/>" % STANZA_ERRORS)
    stream.expect("</iq>")
    stream.bind("fine")
    stream.close()


def test_session_of_rfc_3921(server):
    """RFC 3921, 3: it has to be there for clients that still ask."""
    ann = client(server, "ann")
    ann.send("<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:"
             "xmpp-session'/></iq>")
    ann.expect(re.compile("<iq type='result' id='s'[^>]*/>"))
    ann.close()


# ---- stanzas (section 8) --------------------------------------------------


def test_message(server):
    """8.1.2.1: "the server MUST add a 'from'", the full JID; 10.5.4: to the
    session that is meant."""
    ann, bob = online(server, "ann", "a"), online(server, "bob", "b")
    ann.send("<message to='bob@%s/b' type='chat' id='1'><body>hi</body>"
             "</message>" % DOMAIN)
    bob.expect("<message from='%s' to='%s' type='chat' id='1'><body>hi</body>"
               "</message>" % (ann.jid, bob.jid))
    bob.send("<message to='ann@%s' from='bob@%s'/>" % (DOMAIN, DOMAIN))
    ann.expect("<message from='%s' to='ann@%s'" % (bob.jid, DOMAIN))
    ann.close()
    bob.close()


def test_wrong_from(server):
    """8.1.2.1: "the server MUST return an <invalid-from/> stream error"."""
    for name in ("bob@" + DOMAIN, "ann@%s/other" % DOMAIN, DOMAIN):
        ann = client(server, "ann", "x")
        ann.send("<message to='bob@%s' from='%s'/>" % (DOMAIN, name))
        ann.expect_error("invalid-from")


def test_unknown_stanzas(server):
    """4.9.3.24: a first-level child that is not supported."""
    for element in ("<query/>", "<x xmlns='urn:xmpp:x'/>"):
        ann = client(server, "ann")
        ann.send(element)
        ann.expect_error("unsupported-stanza-type")


def test_malformed_stanzas(server):
    """8.3.3.8 and 8.2.3: answered, and the stream goes on."""
    ann = client(server, "ann")
    for stanza, condition in (
            ("<iq type='get' id='1' to='@'><x xmlns='u'/></iq>",
             "jid-malformed"),
            ("<iq type='x' id='1'><x xmlns='u'/></iq>", "bad-request"),
            ("<iq type='get' id='1'/>", "bad-request"),
            ("<iq type='get'><x xmlns='u'/></iq>", "bad-request"),
            ("<presence type='here' id='1'/>", "bad-request")):
        ann.send(stanza)
        ann.expect("type='error'")
        ann.expect("<%s xmlns='%s'/>" % (condition, STANZA_ERRORS))
    ann.close()


def test_order(server):
    """10.1: "in-order processing", however fast they come."""
    ann, bob = online(server, "ann"), online(server, "bob")
    ann.send("".join("<message to='%s' id='%d'><body>%s</body></message>" % (
        bob.jid, n, "x" * 100) for n in range(5000)))
    for n in range(5000):
        bob.expect("id='%d'>" % n, 10)
    ann.close()
    bob.close()


def test_language(server):
    """8.1.5: "if an outbound stanza ... doesn't possess an 'xml:lang', the
    server ... includes the stream's"."""
    bob = online(server, "bob")
    stream = Stream(server)
    stream.secure()
    stream.plain("ann", "secret-ann")
    stream.expect("</success>")
    stream.open(more="version='1.0' xml:lang='de'")
    stream.bind()
    stream.send("<message to='%s' id='l'/>" % bob.jid)
    bob.expect(re.compile("<message [^>]*id='l'[^>]*xml:lang='de'"))
    stream.close()
    bob.close()


def test_namespaces_travel(server):
    """4.8: prefixes and default namespaces mean the same on the other side."""
    ann, bob = online(server, "ann"), online(server, "bob")
    ann.send("<message to='%s'><p:x xmlns:p='urn:p' p:a='1'><p:y/>"
             "<body xmlns='jabber:client'/></p:x></message>" % bob.jid)
    got = bob.expect("</message>")
    import xml.etree.ElementTree as tree
    stanza = tree.fromstring("<m xmlns='jabber:client'>" +
                             got[got.index(">") + 1:] + "</m>")
    check([e.tag for e in stanza.iter()][1:] == [
        "{urn:p}x", "{urn:p}y", "{jabber:client}body"], got)
    ann.close()
    bob.close()


# ---- manners under load ---------------------------------------------------


def test_slow_reader_costs_nobody(server):
    """One that doesn't read is ended; others notice nothing."""
    ann, bob, eve = (online(server, u) for u in ("ann", "bob", "eve"))
    eve.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    big = "<message to='%s'><body>%s</body></message>" % (
        eve.jid, "x" * 50000)
    for _ in range(150):
        ann.send(big)
    ann.send("<message to='%s' id='after'/>" % bob.jid)
    bob.expect("id='after'", 10)
    server.wait_log("%s: does not read" % re.escape(eve.jid))
    eve.close()
    ann.close()
    bob.close()


def test_many_connections_of_one_address(server):
    """Unauthenticated connections of one address have a limit; logins go on
    once some have gone."""
    streams = []
    try:
        for _ in range(300):
            streams.append(socket.create_connection((ADDRESS, server.port)))
        for stream in streams:
            try:
                stream.sendall(header().encode())
            except OSError:
                pass
        refused = 0
        for stream in streams:
            stream.settimeout(5)
            try:
                refused += stream.recv(10) == b""
            except OSError:
                refused += 1
        check(0 < refused < 100, "%d of 300 were refused" % refused)
    finally:
        for stream in streams:
            stream.close()
    wait_for("a login", lambda: logs_in(server))


def logs_in(server):
    try:
        client(server, "ann").close()
        return True
    except (Failure, OSError):
        return False


def test_reset_connections(server):
    """Whatever the moment at which a peer vanishes."""
    for step in range(6):
        stream = Stream(server)
        if step > 0:
            stream.send(header())
        if step > 1:
            stream.expect("</stream:features>")
            stream.send("<starttls xmlns='%s'/>" % TLS)
        if step > 2:
            stream.expect("<proceed xmlns='%s'/>" % TLS)
            stream.start_tls()
            stream.open()
        if step > 3:
            stream.plain("ann", "secret-ann")
        if step > 4:
            stream.expect("</success>")
        stream.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.close()
    client(server, "ann").close()


def test_disable_closes_streams(server):
    """4.9.3.21: system-shutdown; and after `xmpp enable` all is well."""
    ann, stream = client(server, "ann"), Stream(server)
    stream.open()
    server.call("Xmpp.Disable")
    ann.expect_error("system-shutdown")
    stream.expect_error("system-shutdown")
    server.call("Xmpp.Enable")
    wait_for("open ports", server.is_open)
    client(server, "ann").close()


def test_shutdown_closes_streams(server):
    """4.9.3.21: "The server is being shut down"."""
    ann = client(server, "ann")
    server.process.terminate()
    ann.expect_error("system-shutdown")
    check(server.stop() == 0, "did not end well")
    server.start()
    wait_for("open ports", server.is_open)
    client(server, "ann").close()


# ---- clients that nobody here wrote ---------------------------------------


def slixmpp_chat(server, loop, direct):
    """Two of them log in, and one talks to the other."""
    from slixmpp import ClientXMPP
    got, bots = [], []
    for user in ("ann", "bob"):
        bot = ClientXMPP("%s@%s" % (user, DOMAIN), "secret-" + user)
        bot.ca_certs = server.ca

        async def start(_, bot=bot):
            bot.send_presence()
            await bot.get_roster()
            got.append(bot.boundjid.user)

        bot.add_event_handler("session_start", start)
        bot.add_event_handler("message", lambda m: got.append(m["body"]))
        bot.connect((ADDRESS, server.port), use_ssl=direct)
        bots.append(bot)
    loop.wait_for("both", lambda: "ann" in got and "bob" in got)
    bots[0].send_message("bob@" + DOMAIN, "hello, bob", mtype="chat")
    loop.wait_for("the message", lambda: "hello, bob" in got)
    for bot in bots:
        bot.disconnect()


def test_slixmpp(server):
    """slixmpp logs in by STARTTLS and by direct TLS, by the strongest mechanism
    that it has, and chats."""
    for direct in (False, True):
        with Loop() as loop:
            slixmpp_chat(server, loop, direct)
        last = server.log().split("logged in")[-1]
        check("SCRAM-SHA-256-PLUS" in last, "otherwise: " + last)


def test_go_sendxmpp(server):
    """go-sendxmpp sends a message."""
    check(shutil.which("go-sendxmpp"), "go-sendxmpp is not installed")
    bob = online(server, "bob")
    for direct in ([], ["-t"]):
        done = subprocess.run(
            ["go-sendxmpp", "-u", "ann@" + DOMAIN, "-p", "secret-ann", "-j",
             "%s:%d" % (ADDRESS, server.port), "-n"] + direct +
            ["bob@" + DOMAIN], input="hello from Go\n", text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=20 * SLOW, check=False)
        check(done.returncode == 0, done.stdout)
        bob.expect("hello from Go")
    bob.close()


if __name__ == "__main__":
    run_tests(dict(globals()), fixture)
