"""RFC 6120, 5, and RFC 7590: STARTTLS, and the use of TLS."""

import socket
import ssl
import struct
import warnings

from scenario import (
    ADDRESS, SASL, TLS, Failure, b64, case, check, show, tls_context)

LANG = "{http://www.w3.org/XML/1998/namespace}lang"


# ---- RFC 6120, 5: STARTTLS ------------------------------------------------


@case("5.3.1", "mandatory-to-negotiate: <required/>, and nothing else that "
      "could be negotiated")
def is_all_that_is_offered(s):
    peer = s.raw()
    peer.open()
    check([e.tag for e in peer.features] == ["{%s}starttls" % TLS] and
          [e.tag for e in peer.features[0]] == ["{%s}required" % TLS],
          show(peer.features))


@case("5.4.3.3", "the receiving entity MUST send stream features without the "
      "STARTTLS feature")
def is_not_offered_again(s):
    peer = s.stream()
    check(peer.features.find("{%s}starttls" % TLS) is None,
          show(peer.features))


@case("5.4.2.3", "<proceed/>, and after its '>' not a byte in the clear")
def nothing_follows_proceed(s):
    peer = s.raw()
    peer.open()
    peer.send(f"<starttls xmlns='{TLS}'/>")
    peer.expect(f"<proceed xmlns='{TLS}'/>")
    check(peer.reader.raw.endswith(b"/>"), peer.reader.raw)
    check(not peer.pump(0.2), "something came")


@case("5.4.2.2", "<failure/>, and the stream and the connection are closed")
def not_twice(s):
    peer = s.stream()
    peer.send(f"<starttls xmlns='{TLS}'/>")
    peer.expect(f"<failure xmlns='{TLS}'/>")
    peer.expect_end()


@case("5.4.3.3", "MUST discard any knowledge ... obtained in an insecure "
      "manner: what was typed behind <starttls/>")
def typed_ahead(s):
    s.server.need_user("ann")
    for more in ("<stream:stream xmlns='jabber:client' xmlns:stream="
                 f"'http://etherx.jabber.org/streams' to='{s.domain}' "
                 "version='1.0'>",
                 "<auth xmlns='%s' mechanism='PLAIN'>%s</auth>" % (
                     SASL, b64("\0ann\0secret-ann")), "</stream:stream>",
                 "<message/>", " " * 50, "\x16\x03\x01\x00\x05hello"):
        peer = s.raw()
        peer.open()
        peer.send(f"<starttls xmlns='{TLS}'/>" + more)
        peer.expect(f"<proceed xmlns='{TLS}'/>")
        try:
            peer.start_tls()
        except (OSError, ssl.SSLError):
            continue   # it was taken for the handshake, which is as good
        check(not peer.pump(0.1), "an answer to what was typed ahead")
        peer.open()
        check(peer.mechanisms(), show(peer.features))


@case("5.4.3.3", "nor the language, nor the name that was said before")
def said_before(s):
    s.server.need_user("ann")
    bob = s.online("bob")
    peer = s.raw()
    peer.open(more=f"version='1.0' xml:lang='de' from='eve@{s.domain}'")
    peer.starttls()
    peer.open()
    check("to" not in peer.header, peer.header)
    peer.login("ann")
    peer.bind()
    peer.send(f"<message to='{bob.jid}'/>")
    got = bob.expect(f"<message from='{peer.jid}'/>")
    check(got.get(LANG) != "de", show(got))


@case("5.4.3.2", "if the TLS negotiation is unsuccessful, the receiving entity "
      "MUST terminate the TCP connection, without a closing stream tag")
def failed_negotiations(s):
    for rubbish in (b"<stream:stream>", b"\0" * 100, b"\x16\x03\x01\xff\xff",
                    b"\x80\x2e\x01\x00\x02", b"GET / HTTP/1.0\r\n\r\n",
                    b"\x15\x03\x03\x00\x02\x02\x28"):
        peer = s.raw()
        peer.open()
        peer.send(f"<starttls xmlns='{TLS}'/>")
        peer.expect(f"<proceed xmlns='{TLS}'/>")
        peer.sock.sendall(rubbish)
        peer.sock.shutdown(socket.SHUT_WR)
        got = b""
        peer.sock.settimeout(5)
        try:
            while True:
                piece = peer.sock.recv(4096)
                if piece == b"":
                    break
                got += piece
        except OSError:
            pass
        check(b"<" not in got, got)


@case("5.2", "direct TLS (XEP-0368), with and without its ALPN")
def direct(s):
    for alpn in (None, "xmpp-client"):
        peer = s.raw(tls=True, alpn=alpn)
        peer.open()
        check(peer.mechanisms(), show(peer.features))
        check(peer.features.find("{%s}starttls" % TLS) is None,
              show(peer.features))


@case("5.3.4", "the order: STARTTLS, then SASL: <encryption-required/>")
def no_login_without(s):
    peer = s.raw()
    peer.open()
    peer.send("<auth xmlns='%s' mechanism='PLAIN'>%s</auth>" % (
        SASL, b64("\0ann\0secret-ann")))
    peer.expect(f"<failure xmlns='{SASL}'><encryption-required/></failure>")


@case("5.3.3", "a connection that is lost at any step harms nobody")
def lost_at_any_step(s):
    for step in range(4):
        peer = s.raw()
        if step > 0:
            peer.open()
        if step > 1:
            peer.send(f"<starttls xmlns='{TLS}'/>")
        if step > 2:
            peer.expect(f"<proceed xmlns='{TLS}'/>")
            peer.sock.sendall(b"\x16\x03\x01\x02\x00\x01")
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        peer.sock.close()
    s.stream()


@case("4.4", "MUST send a TLS close_notify alert before it terminates the "
      "connection")
def close_notify(s):
    for text in ("</stream:stream>", "<message/>"):
        peer = s.raw()
        peer.open()
        peer.send(f"<starttls xmlns='{TLS}'/>")
        peer.expect(f"<proceed xmlns='{TLS}'/>")
        peer.sock = tls_context().wrap_socket(
            peer.sock, server_hostname=s.domain, suppress_ragged_eofs=False)
        peer.open()
        peer.send(text)
        peer.sock.settimeout(5)
        while peer.sock.recv(4096) != b"":
            pass   # an end without the alert is an SSLEOFError


# ---- RFC 7590 -------------------------------------------------------------


def handshake(s, context, name=None):
    sock = socket.create_connection((ADDRESS, s.server.tls_port), 5)
    return context.wrap_socket(sock, server_hostname=name)


@case("RFC 7590, 3.1; RFC 8996", "TLS 1.2 and 1.3 are spoken, and nothing older")
def versions(s):
    for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
                          (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
        context = tls_context(version)
        context.minimum_version = version
        with handshake(s, context) as sock:
            check(sock.version() == name, sock.version())
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = tls_context(version)
            context.minimum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
        refused(s, context)


def refused(s, context):
    try:
        sock = handshake(s, context)
    except (ssl.SSLError, OSError):
        return
    raise Failure("accepted: %s" % (sock.cipher(),))


@case("RFC 7590, 3.1; RFC 7525, 4.1", "no NULL, RC4, export, 3DES, anonymous "
      "or static RSA cipher")
def weak_ciphers(s):
    for ciphers in ("eNULL", "aNULL", "RC4", "3DES", "kRSA", "kRSA+AES",
                    "CAMELLIA", "ECDHE+AES+SHA1"):
        context = tls_context(ssl.TLSVersion.TLSv1_2)
        try:
            context.set_ciphers(ciphers + ":@SECLEVEL=0")
        except ssl.SSLError:
            continue   # not even known here
        refused(s, context)


@case("RFC 7590, 3.1; RFC 7525, 6.3", "forward secrecy, and authenticated "
      "encryption")
def strong_ciphers(s):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with handshake(s, tls_context(version)) as sock:
            name = sock.cipher()[0]
            check("GCM" in name or "POLY1305" in name, name)
            check(name.startswith(("ECDHE", "DHE", "TLS_")), name)


@case("RFC 7590, 3.3; RFC 7525, 3.3", "TLS-level compression is disabled")
def no_compression(s):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with handshake(s, tls_context(version)) as sock:
            check(sock.compression() is None, sock.compression())


@case("RFC 7590, 3.4; RFC 7525, 3.6", "Server Name Indication: the certificate "
      "is that of the domain; without it, and with another, one is shown")
def server_names(s):
    for name in (s.domain, s.domain.upper(), None, "example.net",
                 "x" * 60 + ".example"):
        with handshake(s, tls_context(), name) as sock:
            check(sock.getpeercert(True), "no certificate")


@case("RFC 7590, 3.2; RFC 7525, 3.4", "resumption of a TLS session begins a new "
      "stream, which has to log in")
def resumption(s):
    context = tls_context(ssl.TLSVersion.TLSv1_2)
    with handshake(s, context) as first:
        session = first.session
    sock = socket.create_connection((ADDRESS, s.server.tls_port), 5)
    with context.wrap_socket(sock, session=session) as again:
        again.sendall((
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://"
            f"etherx.jabber.org/streams' to='{s.domain}' version='1.0'>"
            "<iq type='get' id='1'/>").encode())
        got = b""
        again.settimeout(5)
        while b"</stream:stream>" not in got:
            piece = again.recv(4096)
            check(piece, got)
            got += piece
        check(b"mechanisms" in got and b"not-authorized" in got, got)
