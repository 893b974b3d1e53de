#!/usr/bin/python3
"""c2s.py BUILD: clients of a real xmppd, in what the scenarios by document
(tests/scenario/run) don't play: accounts and servers that come and go, load, and
clients that nobody here wrote."""

import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

from xmppd_node import (  # noqa: E402
    ADDRESS, DOMAIN, SASL, SLOW, TLS, Failure, Loop, Scram, Stream, Xmppd,
    b64, check, client, header, online, run_tests, wait_for)

TLS12 = ssl.TLSVersion.TLSv1_2


def fixture(build):
    return Xmppd(build, users=("ann", "bob", "eve"))


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


def test_session_of_rfc_3921(server):
    """RFC 3921, 3: it has to be there for clients that still ask."""
    ann = client(server, "ann")
    ann.send("<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:"
             "xmpp-session'/></iq>")
    ann.expect(re.compile("<iq type='result' id='s'[^>]*/>"))
    ann.close()


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
