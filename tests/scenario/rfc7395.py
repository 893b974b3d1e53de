"""RFC 7395: XMPP over WebSocket; RFC 6455 as far as it binds a server; and
XEP-0156, where to find it."""

import json
import os
import random
import re
import select
import socket
import ssl
import statistics
import subprocess
import time
import xml.etree.ElementTree as ET

from javascript import install
from logins import BIND2, login2, who
from scenario import (
    ADDRESS, CLIENT, SASL, SLOW, STREAMS, TLS, XML, Failure,
    case, check)
from websocket import (
    BINARY, CLOSE, CONTINUATION, FRAMING, PATH, PING, PONG, TEXT, WebPeer,
    frame, request)
from xmppd_node import free_port

SM = "urn:xmpp:sm:3"
XRD = "http://docs.oasis-open.org/ns/xri/xrd-1.0"
LINK = "urn:xmpp:alt-connections:websocket"
META = "/.well-known/host-meta"
SEED = int(os.environ.get("SEED", time.time_ns() % 1000000))

OURS = True
CHUNKED = True


def setup(server):
    server.websocket_port = free_port()
    server.call("Websocket.Listen", interface=["a:%d" % server.websocket_port])


def connection(s, label="web"):
    """TCP alone."""
    peer = WebPeer(s.server, label, s.server.websocket_port)
    s.peers.append(peer)
    return peer


def secure(s, label="web", **more):
    return connection(s, label).secure_socket(**more)


def upgraded(s, label="web", **fields):
    return secure(s, label).upgrade(**fields)


def stream(s, label="web", **more):
    peer = upgraded(s, label)
    peer.open(**more)
    return peer


def client(s, user, resource=None):
    s.server.need_user(user)
    peer = stream(s, "%s/%s" % (user, resource))
    peer.login(user)
    return peer.bind(resource)


def message(text):
    """A text frame of raw bytes."""
    return frame(TEXT, text.encode())


# ---- finding it: XEP-0156 -------------------------------------------------


def meta(s, path, host=None, method="GET"):
    host = host or "%s:%d" % (s.domain, s.server.websocket_port)
    answer = secure(s).ask(request(
        path, method, Host=host,
        drop=("Upgrade", "Connection", "Sec-WebSocket-Key",
              "Sec-WebSocket-Version", "Sec-WebSocket-Protocol")))
    check(answer is not None, "no answer")
    return answer


@case("XEP-0156, 3", "HTTP queries for host-meta information MUST be used "
      "only over HTTPS; the link relation of WebSocket is '%s'" % LINK)
def host_meta(s):
    port = s.server.websocket_port
    for host in ("%s:%d" % (s.domain, port), s.domain, s.domain.upper()):
        answer = meta(s, META, host)
        check(answer.status == 200 and
              answer.fields["content-type"] == "application/xrd+xml" and
              int(answer.fields["content-length"]) == len(answer.body),
              answer.fields)
        links = ET.fromstring(answer.body).findall("{%s}Link" % XRD)
        check([(li.get("rel"), li.get("href")) for li in links] ==
              [(LINK, "wss://%s%s" % (host, PATH))], answer.body)
        answer = meta(s, META + ".json", host)
        check(answer.status == 200 and
              answer.fields["content-type"] == "application/json",
              answer.fields)
        check(json.loads(answer.body) == {"links": [{
            "rel": LINK, "href": "wss://%s%s" % (host, PATH)}]}, answer.body)


@case("XEP-0156, 3.1", "access to host-meta from browsers: "
      "Access-Control-Allow-Origin: *")
def host_meta_for_any_origin(s):
    for path in (META, META + ".json"):
        for method, status in (("GET", 200), ("HEAD", 200), ("OPTIONS", 200),
                               ("POST", 405), ("DELETE", 405)):
            answer = meta(s, path, method=method)
            check(answer.status == status, "%s: %d" % (method, answer.status))
            check(answer.fields["access-control-allow-origin"] == "*",
                  answer.fields)
            check(method != "HEAD" or answer.body == b"", answer.body)


@case("XEP-0156, 3", "the domain is the one that Host names: each that is "
      "served has its own")
def host_meta_by_domain(s):
    check(meta(s, META, "example.net").status == 404, "not served")
    check(meta(s, META, ADDRESS).status == 404, "an address")
    folder = s.server.dir
    subprocess.run(
        ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
         "/CN=example.net", "-addext", "subjectAltName=DNS:example.net",
         "-keyout", "net.key", "-out", "net.crt"), cwd=folder, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pems = {}
    for what in ("key", "crt"):
        with open("%s/net.%s" % (folder, what)) as pem:
            pems[what] = {"name": "net." + what, "pem": pem.read()}
    s.server.call("Domain.Add", domain="example.net", key=pems["key"],
                  certificate=pems["crt"])
    try:
        s.server.call("User.Add", name="ann@example.net",
                      password="secret-ann")
        answer = meta(s, META, "example.net")
        check(answer.status == 200 and b"wss://example.net/" in answer.body,
              answer.body)
        context = ssl.create_default_context(cafile=folder + "/net.crt")
        peer = secure(s, name="example.net", context=context)
        peer.domain = "example.net"
        peer.upgrade(Host="example.net")
        peer.open()
        peer.login("ann")
        peer.bind("web")
        check(peer.jid == "ann@example.net/web", peer.jid)
    finally:
        s.leave()
        s.server.call("Domain.Del", domain="example.net")


# ---- the opening handshake: RFC 6455, 4.2; RFC 7395, 3.1 ------------------


@case("3.1", "the server MUST reply with 'xmpp' in the Sec-WebSocket-Protocol "
      "header field")
def upgrades(s):
    for fields in ({}, {"Sec_WebSocket_Protocol": "chat, xmpp,other"},
                   {"Upgrade": "WebSocket"}, {"Origin": "https://example.net"},
                   {"Connection": "keep-alive, Upgrade"},
                   {"Sec_WebSocket_Extensions": "permessage-deflate"},
                   {"Sec_WebSocket_Version": "13, 8"},
                   {"path": PATH + "?x=y"}, {"Host": "%s:1" % ADDRESS}):
        peer = upgraded(s, **fields)
        peer.open()


@case("RFC 6455, 4.2.2", "any of the conditions not met: an HTTP response with "
      "an appropriate error code")
def upgrades_nothing_else(s):
    rows = (
        (404, {"path": "/"}), (404, {"path": PATH + "/"}),
        (404, {"path": "/%78mpp-websocket"}), (404, {"path": "/../x"}),
        (405, {"method": "POST"}), (405, {"method": "OPTIONS"}),
        (426, {"drop": ("Upgrade",)}), (426, {"drop": ("Connection",)}),
        (426, {"Upgrade": "h2c"}), (426, {"version": "HTTP/1.0"}),
        (426, {"Sec_WebSocket_Version": "8"}),
        (426, {"drop": ("Sec-WebSocket-Version",)}),
        (400, {"Sec_WebSocket_Key": "AAAA"}),
        (400, {"Sec_WebSocket_Key": "!!!"}),
        (400, {"drop": ("Sec-WebSocket-Key",)}),
        (400, {"Sec_WebSocket_Protocol": "chat"}),
        (400, {"Sec_WebSocket_Protocol": "xmpp2"}),
        (400, {"drop": ("Sec-WebSocket-Protocol",)}),
        (400, {"drop": ("Host",)}), (400, {"Host": "a b"}),
        (400, {"Host": "a\"/>"}), (505, {"version": "HTTP/2.0"}),
        (431, {"Cookie": "x" * 9000}), (431, {"path": "/" + "x" * 9000}))
    for status, fields in rows:
        answer = secure(s).ask(request(**fields))
        check(answer is not None and answer.status == status,
              "%s: %s" % (fields, answer and answer.status))
        check(answer.fields["connection"] == "close", answer.fields)
    answer = secure(s).ask(request(Sec_WebSocket_Version="8"))
    check(answer.fields["sec-websocket-version"] == "13", answer.fields)
    twice = request().replace(b"\r\n\r\n", b"\r\nHost: example.net\r\n\r\n")
    check(secure(s).ask(twice).status == 400, "two hosts")


@case("RFC 9112, 2.2", "a message that doesn't match the HTTP-message grammar: "
      "400 (Bad Request), and the connection is closed")
def speaks_http_only(s):
    for text in ("<?xml version='1.0'?><stream:stream>\r\n\r\n",
                 "\0\0\0\0\r\n\r\n", "GET\r\n\r\n",
                 "GET / HTTP/1.1\r\nHost\0: x\r\n\r\n",
                 "GET / HTTP/1.1\r\nA: b\0\r\n\r\n"):
        answer = secure(s).ask(text.encode())
        check(answer is not None and answer.status == 400, text)


@case("RFC 6455, 4.2", "what follows the handshake at once isn't lost")
def takes_what_follows_at_once(s):
    peer = secure(s)
    peer.send_bytes(request() + message(
        "<open xmlns='%s' to='%s' version='1.0'/>" % (FRAMING, s.domain)))
    check(peer.answer().status == 101, "no upgrade")
    while peer.take_frame():
        pass
    peer.expect_header()
    peer.expect("<stream:features/>")


@case("RFC 7301, 3.2", "the protocol is http/1.1; no other is led here")
def protocols(s):
    for offered, chosen in (((), None), (("http/1.1",), "http/1.1"),
                            (("h2", "http/1.1"), "http/1.1")):
        peer = secure(s, alpn=offered)
        check(peer.sock.selected_alpn_protocol() == chosen, offered)
        peer.upgrade()
    for offered in (("h2",), ("xmpp-client",), ("mmp-cluster",)):
        try:
            secure(s, alpn=offered).upgrade()
        except (ssl.SSLError, OSError, Failure):
            continue
        check(False, "%s: taken" % (offered,))


@case("3.9", "TLS is used at the WebSocket layer: wss")
def takes_nothing_without_tls(s):
    for text in (request(), b"<stream:stream>", b"\x16\x03\x01\x00\x05hello"):
        peer = connection(s)
        peer.sock.sendall(text)
        peer.sock.settimeout(5 * SLOW)
        try:
            data = peer.sock.recv(1000)
        except ConnectionError:
            data = b""
        check(data == b"" or data[0] == 0x15, data)   # an alert


@case("3.9", "a client checks the certificate: of another name there is none")
def another_name(s):
    context = ssl.create_default_context(cafile=s.server.ca)
    secure(s, context=context).upgrade()
    context = ssl.create_default_context(cafile=s.server.ca)
    try:
        secure(s, name="example.net", context=context)
    except ssl.SSLCertVerificationError as error:
        check("ostname mismatch" in str(error), error)
    else:
        check(False, "taken")


# ---- messages -------------------------------------------------------------


@case("3.3", "the stream is framed: <open/>, stanzas and <close/>, each a "
      "message")
def logs_in_and_chats(s):
    ann = client(s, "ann", "web").present()
    bob = s.online("bob", "tcp")
    ann.send("<message to='%s' type='chat' id='1'><body>x &lt; y</body>"
             "</message>" % bob.jid)
    bob.find("<message from='%s' id='1'><body>x &lt; y</body></message>"
             % ann.jid)
    bob.send("<message to='%s' type='chat' id='2'><body>y</body>"
             "<x xmlns='urn:x'><body xmlns='%s'/></x></message>"
             % (ann.jid, CLIENT))
    ann.find("<message from='%s' id='2'><body>y</body><x xmlns='urn:x'>"
             "<body xmlns='%s'/></x></message>" % (bob.jid, CLIENT))
    ann.send("<close xmlns='%s'/>" % FRAMING)
    ann.expect_end()
    check(ann.code == 1000, ann.code)


@case("3.3.3", "the attributes of <open/> are those of a stream header")
def opens_as_a_header_does(s):
    peer = upgraded(s)
    peer.send("<open xmlns='%s' to='%s' from='ann@%s' version='1.0' "
              "xml:lang='de'/>" % (FRAMING, s.domain, s.domain))
    peer.expect_header()
    head = peer.header
    check(head.get("from") == s.domain and head.get("version") == "1.0" and
          len(head.get("id", "")) >= 16 and
          head.get("to") == "ann@" + s.domain and
          head.get("{%s}lang" % XML), head)
    check(peer.messages[0].startswith("<open "), peer.messages)


@case("3.9", "servers MUST NOT advertise STARTTLS")
def offers_no_starttls(s):
    peer = stream(s)
    check(peer.features.find("{%s}starttls" % TLS) is None, "offered")
    peer.send("<starttls xmlns='%s'/>" % TLS)
    peer.expect("<failure xmlns='%s'/>" % TLS)
    peer.expect_end()


@case("3.7", "after SASL the stream is restarted by <open/>; the server MUST "
      "NOT send a closing element")
def restarts(s):
    s.server.need_user("ann")
    peer = stream(s)
    first = peer.header["id"]
    peer.login("ann")
    check(peer.header["id"] != first, "the same stream")
    check(not any("<close" in m for m in peer.messages), peer.messages)
    peer = stream(s)
    peer.send("<open xmlns='%s' to='%s' version='1.0'/>" % (FRAMING, s.domain))
    peer.expect_stream_error("bad-format")


@case("3.3.3", "frames MUST be parsable as standalone XML documents, complete "
      "with all relevant namespace declarations")
def documents(s):
    ann = client(s, "ann", "web")
    for text in ("<?xml version='1.0'?><presence xmlns='%s'/>" % CLIENT,
                 "<?xml version='1.0' encoding='UTF-8'?>\n<presence xmlns='%s'"
                 "/>\n" % CLIENT,
                 "<a:presence xmlns:a='%s'/>" % CLIENT):
        ann.send_bytes(message(text))
        ann.find("<presence from='%s'/>" % ann.jid)
    check(any(m.startswith("<stream:features xmlns:stream=")
              for m in ann.messages), ann.messages)
    rows = (
        ("not-well-formed", "<presence xmlns='%s'>" % CLIENT),
        ("not-well-formed", "<presence xmlns='%s'/><presence xmlns='%s'/>" % (
            CLIENT, CLIENT)),
        ("bad-format", "<presence xmlns='%s'/>x" % CLIENT),
        ("not-well-formed", "<stream:error/>"),
        ("not-well-formed", "<a></b>"), ("not-well-formed", ""),
        ("unsupported-stanza-type", "<presence/>"),
        ("bad-format", " "), ("bad-format", "x"),
        ("bad-format", " <presence xmlns='%s'/>" % CLIENT),
        ("restricted-xml", "<!-- x --><presence xmlns='%s'/>" % CLIENT),
        ("restricted-xml", "<presence xmlns='%s'><?a b?></presence>" % CLIENT),
        ("restricted-xml", "<!DOCTYPE a><presence xmlns='%s'/>" % CLIENT),
        ("unsupported-encoding", "<?xml version='1.0' encoding='latin1'?>"
         "<presence xmlns='%s'/>" % CLIENT),
        ("not-well-formed", "<stream:stream xmlns:stream='%s' xmlns='%s'>" % (
            STREAMS, CLIENT)))
    for condition, text in rows:
        ann = client(s, "ann", "web")
        ann.send_bytes(message(text))
        try:
            ann.expect_stream_error(condition)
        except Failure as failure:
            raise Failure("%r: %s" % (text, failure))


@case("3.5", "an error while the stream opens: <open/>, then the error, then "
      "the end")
def errors_while_it_opens(s):
    rows = (
        ("host-unknown", "<open xmlns='%s' to='example.net' version='1.0'/>"
         % FRAMING),
        ("improper-addressing", "<open xmlns='%s' version='1.0'/>" % FRAMING),
        ("unsupported-version", "<open xmlns='%s' to='%s'/>" % (
            FRAMING, s.domain)),
        ("invalid-namespace", "<open xmlns='urn:x' to='%s' version='1.0'/>"
         % s.domain),
        ("invalid-namespace", "<presence xmlns='%s'/>" % CLIENT),
        ("invalid-namespace", "<auth xmlns='%s'/>" % SASL))
    for condition, text in rows:
        peer = upgraded(s)
        peer.send_bytes(message(text))
        peer.expect_stream_error(condition)
        check(peer.messages[0].startswith("<open ") and
              peer.messages[1].startswith("<stream:error xmlns:stream=") and
              peer.messages[2].startswith("<close "), peer.messages)


# ---- frames: RFC 6455 -----------------------------------------------------


def opened(s):
    peer = client(s, "ann", "web")
    peer.sync()
    return peer


@case("RFC 6455, 5.4", "fragments, split anywhere, with control frames between "
      "them")
def fragments(s):
    ann = opened(s)
    text = ("<message xmlns='%s' to='%s' id='f'><body>\u20ac \U0001f600 z</body>"
            "</message>" % (CLIENT, ann.jid)).encode()
    for size in (1, 3, 7, len(text) - 1):
        pieces = [text[i:i + size] for i in range(0, len(text), size)]
        for i, piece in enumerate(pieces):
            ann.send_frame(CONTINUATION if i else TEXT, piece,
                           fin=i == len(pieces) - 1)
            if i in (0, 5):
                ann.send_frame(PING, b"%d" % i)
        while True:
            event = ann.event()
            check(event is not None, "nothing came")
            if event[0] == "element":
                break
            check(event[0] == "pong" and event[1] in (b"0", b"5"), event)
        check(event[1].find("{%s}body" % CLIENT).text ==
              "\u20ac \U0001f600 z", event)
        ann.send_frame(TEXT, b"", fin=False)
        ann.send_frame(CONTINUATION, b"<presence xmlns='%s'/>" % (
            CLIENT.encode()), fin=False)
        ann.send_frame(CONTINUATION)
        ann.find("<presence from='%s'/>" % ann.jid)


@case("RFC 6455, 5.5.2", "a Ping is answered by a Pong with its data")
def pings(s):
    ann = opened(s)
    for data in (b"", b"x", bytes(range(125))):
        ann.send_frame(PONG, b"nobody asked")
        ann.send_frame(PING, data)
        event = ann.event()
        check(event == ("pong", data), event)
    ann.sync()


@case("RFC 6455, 5.1, 5.2, 5.4, 5.5, 8.1", "what breaks the protocol fails the "
      "connection, with the code that says why")
def breaches(s):
    good = b"<presence xmlns='%s'/>" % CLIENT.encode()
    rows = (
        (1002, frame(TEXT, good, mask=False)),
        (1002, frame(TEXT, good, rsv=4)), (1002, frame(TEXT, good, rsv=1)),
        (1002, frame(3, good)), (1002, frame(11)),
        (None, frame(PING, b"x", fin=False)), (None, frame(PING, b"x" * 126)),
        (1002, frame(CONTINUATION, good)),
        (1002, frame(TEXT, good[:5], fin=False) + frame(TEXT, good)),
        (None, frame(CLOSE, b"x")), (1002, frame(CLOSE, b"\3\xed")),
        (1007, frame(TEXT, b"<a>\xff</a>")), (1007, frame(TEXT, b"<\xc3")),
        (1003, frame(BINARY, good)))
    for code, data in rows:   # None: a Close that doesn't say why
        ann = opened(s)
        ann.send_bytes(data)
        try:
            ann.expect_closed(code)
        except Failure as failure:
            raise Failure("%r: %s" % (data, failure))


@case("RFC 6455, 5.5.1", "a Close is answered by a Close, and the server closes "
      "the connection")
def closes(s):
    for payload, code in ((b"", None), (b"\3\xe8", 1000),
                          (b"\3\xe9bye", 1001)):
        ann = opened(s)
        ann.send_frame(CLOSE, payload)
        ann.expect_closed(code)


# ---- the session ----------------------------------------------------------


@case("3.6", "a WebSocket closed without <close/>: the server SHOULD keep the "
      "session alive where stream management is on")
def resumes(s):
    bob = s.online("bob", "tcp")
    for how in ("close", "lost", "tcp"):
        user = s.user()
        ann = client(s, user, "web").present()
        ann.send("<enable xmlns='%s' resume='true'/>" % SM)
        name = ann.expect("<enabled xmlns='%s' resume='true'/>" % SM).get("id")
        if how == "lost":
            ann.sock.close()
        else:
            ann.send_frame(CLOSE, b"\3\xe9")
            ann.expect_closed(1001)
        bob.send("<message to='%s' type='chat'><body>%s</body></message>" % (
            ann.jid, how))
        bob.sync()
        s.peers.remove(ann)
        if how == "tcp":
            heir = s.authenticated(user)
        else:
            heir = stream(s)
            heir.login(user)
        heir.send("<resume xmlns='%s' previd='%s' h='0'/>" % (SM, name))
        heir.expect("<resumed xmlns='%s' previd='%s'/>" % (SM, name))
        heir.find("<message from='%s'><body>%s</body></message>" % (
            bob.jid, how))


@case("3.10", "implementations SHOULD support stream management; and SASL 2 "
      "with Bind 2, and client state")
def has_the_features_of_tcp(s):
    s.server.need_user("ann")
    peer = stream(s)
    success = login2(
        peer, "ann", "<bind xmlns='%s'><tag>w</tag><enable xmlns='%s'/>"
        "<enable xmlns='urn:xmpp:carbons:2'/></bind>" % (BIND2, SM))
    peer.jid = who(success)
    peer.sync()
    for name in ("inactive", "active"):
        peer.send("<%s xmlns='urn:xmpp:csi:0'/>" % name)
    peer.send("<r xmlns='%s'/>" % SM)
    peer.find("<a xmlns='%s' h='1'/>" % SM)
    check(all(m.count("<stream:") <= 1 for m in peer.messages), peer.messages)


@case("RFC 6120, 4.9.3.3", "the conflict is told, and WebSocket is closed")
def conflicts(s):
    user = s.user()
    ann = client(s, user, "same")
    other = s.client(user, "same")
    ann.expect_stream_error("conflict")
    other.sync()


# ---- limits ---------------------------------------------------------------


class Bystander:
    """A client on TCP that notices nothing."""

    def __init__(self, s):
        self.peer = s.client("bystander")
        self.usual = self.measure()

    def measure(self, count=10):
        times = []
        for _ in range(count):
            start = time.monotonic()
            self.peer.sync()
            times.append(time.monotonic() - start)
        return statistics.median(times)

    def check(self):
        now = self.measure()
        check(now < 4 * self.usual + 0.005 * SLOW,
              "a round trip takes %.1f ms, and took %.1f" % (
                  now * 1000, self.usual * 1000))


@case("RFC 6120, 13.12", "limits on sizes, before and after the login, however "
      "a message is announced and cut")
def sizes(s):
    other = Bystander(s)
    big = ("<message xmlns='%s'><body>%s</body></message>" % (
        CLIENT, "x" * 300000)).encode()
    ann = opened(s)
    ann.send_bytes(message("<message xmlns='%s' to='%s' id='b'><body>%s</body>"
                           "</message>" % (CLIENT, ann.jid, "x" * 200000)))
    ann.find("<message id='b'/>")
    ann.send_bytes(frame(TEXT, big))
    ann.expect_stream_error("policy-violation")
    ann = opened(s)
    for i in range(0, len(big), 1000):
        try:
            ann.sock.sendall(frame(
                CONTINUATION if i else TEXT, big[i:i + 1000], fin=False))
        except OSError:
            break
    ann.expect_stream_error("policy-violation")
    ann = opened(s)       # announced as 2^62 bytes
    ann.send_bytes(b"\x81\xff\x40" + bytes(7) + bytes(4) + big[:100])
    other.check()
    ann.shut()
    peer = stream(s)
    peer.send_bytes(message("<auth xmlns='%s'>%s</auth>" % (SASL, "A" * 12000)))
    peer.expect_stream_error("policy-violation")
    ann = opened(s)
    ann.send_bytes(message("<message xmlns='%s'>%s" % (CLIENT, "<a>" * 10000)))
    ann.expect_stream_error("policy-violation")
    other.check()


@case("RFC 6120, 13.12", "connections that say nothing, or half of it, end in "
      "time", ours=True)
def half_open(s):
    other = Bystander(s)
    s.server.call("Limits.Set", limit="login-time", value="5")
    try:
        peers = [connection(s) for _ in range(40)]
        peers += [secure(s) for _ in range(40)]
        for peer in peers[:20]:
            peer.sock.sendall(b"\x16\x03\x01")
        for peer in peers[40:60]:
            peer.sock.sendall(request()[:40])
        web = [upgraded(s) for _ in range(20)]
        for peer in web[10:]:
            peer.send_bytes(message("<open xmlns='%s'" % FRAMING)[:12])
        other.check()
        answer = peers[40].answer()
        check(answer is not None and answer.status == 408, answer)
        for peer in peers[:40]:
            peer.sock.settimeout(20 * SLOW)
            try:
                check(peer.sock.recv(10) == b"", "still there")
            except ConnectionError:
                pass
        web[0].expect_stream_error("connection-timeout", seconds=10)
        web[10].expect_stream_error("connection-timeout", seconds=10)
    finally:
        s.server.call("Limits.Set", limit="login-time", value="default")


@case("RFC 6120, 13.12", "a client that reads no pongs is ended", ours=True)
def reads_nothing(s):
    other = Bystander(s)
    ann = opened(s)
    ann.sock.settimeout(1)
    data = frame(PING, b"x" * 125) * 2000
    s.server.call("Limits.Set", limit="rate", value="100M")
    try:
        for _ in range(200):
            ann.sock.sendall(data)
    except OSError as error:
        check(not isinstance(error, socket.timeout), "it isn't read, nor ended")
    else:
        check(False, "it isn't ended")
    finally:
        s.server.call("Limits.Set", limit="rate", value="default")
    other.check()


def rubbish(rng):
    """Bytes, some of them nearly right."""
    kind = rng.randrange(5)
    if kind == 0:
        return rng.randbytes(rng.randrange(1, 400))
    texts = (b"<presence xmlns='jabber:client'/>", b"<a", b"</a>", b"\xff",
             b"<open xmlns='%s' to='example.org' version='1.0'/>" % (
                 FRAMING.encode()), b"<close xmlns='%s'/>" % FRAMING.encode(),
             b"<auth xmlns='%s' mechanism='PLAIN'>AA</auth>" % SASL.encode())
    out = b""
    for _ in range(rng.randrange(1, 6)):
        out += frame(rng.choice((0, 0, 1, 1, 1, 1, 2, 8, 9, 10, 5)),
                     rng.choice(texts), fin=rng.random() < 0.8,
                     mask=rng.random() < 0.95, rsv=rng.random() < 0.05)
    if kind == 1:
        at = rng.randrange(len(out))
        out = out[:at] + rng.randbytes(1) + out[at + 1:]
    return out


@case("RFC 6120, 13.12", "hostile messages, by the hundred")
def hostile(s):
    other, rng = Bystander(s), random.Random(SEED)
    for number in range(20 if WebPeer.chunked else 90):
        peer = upgraded(s) if number % 3 else secure(s)
        try:
            if number % 3 == 2:
                peer.open()
            peer.sock.sendall(rubbish(rng))
            if number % 2:
                peer.sock.sendall(frame(CLOSE))
                peer.sock.settimeout(0.05)
                peer.sock.recv(4096)
        except (OSError, socket.timeout):
            pass
        peer.sock.close()
        s.peers.remove(peer)
        s.server.check_alive()
    try:
        other.check()
    except Failure as failure:
        raise Failure("SEED=%d: %s" % (SEED, failure))


# ---- the command ----------------------------------------------------------


@case("-", "xmpp websocket listen")
def is_listened_on_where_it_says(s):
    server, port = s.server, s.server.websocket_port
    word = "a:%d" % port

    def shown():
        return server.call("Xmpp.Show")["websocket"]

    def is_open():
        with socket.socket() as sock:
            return sock.connect_ex((ADDRESS, port)) == 0
    check(shown() == [word] and is_open(), shown())
    ann = opened(s)
    try:
        server.done("xmpp websocket listen none")
        check(shown() == [] and not is_open(), shown())
        ann.sync()       # who is there stays
        server.refused("xmpp websocket listen zz", "not an interface")
        server.refused("xmpp websocket listen a:0", "not <interface>")
        server.refused("xmpp websocket listen a:1:2", "not <interface>")
        server.refused("xmpp websocket listen a:%d" % server.port, "in use")
        server.refused("xmpp websocket listen %s %s" % (word, word), "twice")
        check(shown() == [], shown())
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((ADDRESS, port))
            sock.listen(1)
            server.refused("xmpp websocket listen " + word, "is in use")
    finally:
        server.done("xmpp websocket listen " + word.upper())
    check(shown() == [word] and is_open(), shown())
    opened(s)


# ---- real clients ---------------------------------------------------------


class Script:
    """tests/js/websocket.cjs."""

    def __init__(self, s, library, user, peer):
        s.server.need_user(user)
        self.process = subprocess.Popen(
            ("node", "websocket.cjs", library,
             "wss://%s:%d%s" % (s.domain, s.server.websocket_port, PATH),
             "%s@%s" % (user, s.domain), "secret-" + user, peer),
            env=dict(os.environ, NODE_EXTRA_CA_CERTS=s.server.ca),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            cwd=install(s.server, "websocket.cjs"))
        self.said = b""

    def expect(self, pattern):
        """The next line fits."""
        out = self.process.stdout
        while b"\n" not in self.said:
            ready, _, _ = select.select((out,), (), (), 20 * SLOW)
            data = os.read(out.fileno(), 4096) if ready else b""
            check(data, "expected %s, and nothing came" % pattern)
            self.said += data
        line, _, self.said = self.said.partition(b"\n")
        found = re.fullmatch(pattern, line.decode())
        check(found, "expected %s, and read %r" % (pattern, line))
        return found

    def end(self):
        """Its exit status; None: it doesn't end by itself."""
        try:
            return self.process.wait(10 * SLOW)
        except subprocess.TimeoutExpired:
            return None


def chats_by(s, library):
    bob = s.online(s.user(), "tcp")
    script = Script(s, library, s.user(), bob.jid)
    try:
        jid = script.expect(r"online (\S+)")[1]
        script.expect("roster 0")
        bob.find("<message from='%s'><body>hello</body></message>" % jid)
        for text in ("x &lt; \u20ac", "bye"):
            bob.send("<message to='%s' type='chat'><body>%s</body></message>"
                     % (jid, text))
            script.expect("message %s %s" % (
                re.escape(bob.jid), text.replace("&lt;", "<")))
        script.expect("offline")
        check(script.end() == 0, "it doesn't end")
    finally:
        script.process.kill()


@case("3", "strophe.js logs in by SCRAM, and chats")
def strophe(s):
    chats_by(s, "strophe.js")


@case("3", "@xmpp/client does, too")
def xmpp_js(s):
    chats_by(s, "@xmpp/client")
