"""XMPP over WebSocket (RFC 7395) from the client's side, byte by byte: frames
may be as wrong as a case wants them."""

import base64
import hashlib
import os
import re
import socket
import struct
import xml.etree.ElementTree as ET

from scenario import CLIENT, PATIENCE, Peer, check
from xmppd_node import tls_context

FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
PATH = "/xmpp-websocket"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = base64.b64encode(b"0123456789abcdef").decode()


def frame(opcode, payload=b"", fin=True, mask=True, rsv=0):
    """One frame of a client (RFC 6455, 5.2)."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit, size = 0x80 if mask else 0, len(payload)
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += struct.pack("!BH", bit | 126, size)
    else:
        head += struct.pack("!BQ", bit | 127, size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(
        b ^ key[i % 4] for i, b in enumerate(payload))


def request(path=PATH, method="GET", version="HTTP/1.1", drop=(), **fields):
    """The opening handshake; a field is named with _ for -."""
    lines = {"Host": "example.org", "Upgrade": "websocket",
             "Connection": "Upgrade", "Sec-WebSocket-Key": KEY,
             "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "xmpp"}
    lines.update({k.replace("_", "-"): v for k, v in fields.items()})
    return ("%s %s %s\r\n%s\r\n" % (method, path, version, "".join(
        "%s: %s\r\n" % line for line in lines.items()
        if line[0] not in drop))).encode()


class Answer:
    """Of HTTP."""

    def __init__(self, head, body):
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.fields = {k.lower(): v for k, v in (
            line.split(": ", 1) for line in lines)}
        self.body = body


class WebPeer(Peer):
    """A Peer whose stream is on WebSocket."""

    def __init__(self, server, label, port):
        super().__init__(server, label, port)
        self.bytes, self.upgraded, self.parts = b"", False, b""
        self.head, self.code, self.messages = None, None, []

    @property
    def header(self):
        return self.head

    def secure_socket(self, alpn=("http/1.1",), name=None, context=None):
        context = context or tls_context()
        if alpn:
            context.set_alpn_protocols(list(alpn))
        self.sock = context.wrap_socket(
            self.sock, server_hostname=name or self.domain)
        return self

    # -- HTTP

    def ask(self, data):
        """Sends a request; the answer, or None if the connection ended."""
        self.note(">", data.decode("latin-1"))
        for piece in self.pieces(data):
            self.sock.sendall(piece)
        return self.answer()

    def answer(self):
        self.sock.settimeout(PATIENCE)
        while b"\r\n\r\n" not in self.bytes:
            if not self.more():
                return None
        head, _, self.bytes = self.bytes.partition(b"\r\n\r\n")
        answer = Answer(head, b"")
        if answer.status != 101:
            while self.more():
                pass
            answer.body, self.bytes = self.bytes, b""
        self.note("<", head.decode())
        return answer

    def more(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        self.bytes += data
        return data != b""

    def upgrade(self, **fields):
        answer = self.ask(request(**fields))
        check(answer is not None and answer.status == 101,
              "no upgrade: %r" % (answer and answer.body))
        wanted = base64.b64encode(
            hashlib.sha1((KEY + GUID).encode()).digest()).decode()
        check(answer.fields.get("sec-websocket-accept") == wanted and
              answer.fields.get("sec-websocket-protocol") == "xmpp" and
              answer.fields.get("upgrade", "").lower() == "websocket" and
              answer.fields.get("connection", "").lower() == "upgrade",
              answer.fields)
        self.upgraded = True
        return self

    # -- frames

    def pieces(self, data):
        return [data[i:i + 1] for i in range(len(data))] if self.chunked \
            else [data]

    def send_bytes(self, data):
        for piece in self.pieces(data):
            self.sock.sendall(piece)

    def send_frame(self, opcode, payload=b"", **more):
        self.note(">", "%d %r %s" % (opcode, payload[:200], more or ""))
        self.send_bytes(frame(opcode, payload, **more))

    def send(self, text, chunked=None):
        """One element: a message, with what a stream would declare."""
        if isinstance(text, str):
            text = re.sub(r"^<(message|presence|iq)(?![^>]*\sxmlns=)",
                          r"<\1 xmlns='%s'" % CLIENT, text)
            text = text.encode()
        self.send_frame(TEXT, text)

    def pump(self, seconds):
        self.sock.settimeout(max(0.001, seconds))
        try:
            data = self.sock.recv(65536)
        except (socket.timeout, TimeoutError):
            return False
        except OSError:
            data = b""
        if data == b"":
            self.eof = True
            self.reader.events.append(("eof", None))
            self.note("<", "(end of the connection)")
        self.bytes += data
        while self.take_frame():
            pass
        return True

    def take_frame(self):
        data = self.bytes
        if len(data) < 2:
            return False
        check(data[0] & 0x70 == 0 and data[1] & 0x80 == 0, "a wrong frame")
        size, at = data[1] & 0x7f, 2
        if size >= 126:
            at = 4 if size == 126 else 10
            if len(data) < at:
                return False
            size = int.from_bytes(data[2:at], "big")
        if len(data) < at + size:
            return False
        payload, self.bytes = data[at:at + size], data[at + size:]
        self.note("<", "%d %s" % (data[0], payload.decode("utf-8", "replace")))
        self.take(data[0] & 15, bool(data[0] & 0x80), payload)
        return True

    def take(self, opcode, fin, payload):
        if opcode in (TEXT, CONTINUATION):
            self.parts += payload
            if fin:
                text, self.parts = self.parts.decode(), b""
                self.messages.append(text)
                self.document(text)
        elif opcode == CLOSE:
            self.code = int.from_bytes(payload[:2], "big") if payload else None
            self.reader.events.append(("closed", None))
        else:
            self.reader.events.append((
                "ping" if opcode == PING else "pong", payload))

    def document(self, text):
        check(text.startswith("<"), "a message that begins with " + text[:9])
        element = ET.fromstring(text)   # with all that it needs declared
        kind = "element"
        if element.tag == "{%s}open" % FRAMING:
            kind, self.head = "header", dict(element.attrib)
        elif element.tag == "{%s}close" % FRAMING:
            kind = "end"
        self.reader.events.append((kind, element))

    # -- streams

    def open(self, more="version='1.0'", to=None):
        self.send("<open xmlns='%s' to='%s' %s/>" % (
            FRAMING, to or self.domain, more))
        self.expect_header()
        self.features = self.expect("<stream:features/>")
        return self.features

    def expect_end(self, seconds=PATIENCE):
        for wanted in ("end", "closed", "eof"):
            event = self.event(seconds)
            check(event is not None and event[0] == wanted,
                  "%s: expected %s, and %s" % (self.label, wanted, event))

    def expect_closed(self, code):
        """The server ends WebSocket alone."""
        event = self.event()
        while event is not None and event[0] == "element":
            event = self.event()
        check(event is not None and event[0] == "closed" and
              self.code == code, "%s, %s" % (event, self.code))
        event = self.event()
        check(event is not None and event[0] == "eof", event)

    def shut(self):
        try:
            if not self.eof and self.upgraded:
                self.sock.settimeout(2)
                self.sock.sendall(frame(
                    TEXT, b"<close xmlns='%s'/>" % FRAMING.encode()))
                while self.sock.recv(65536) != b"":
                    pass
        except OSError:
            pass
        self.sock.close()
