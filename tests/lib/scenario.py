"""What the cases in tests/scenario are written with.

A file stands for a document or a part of it: rfc6120_streams.py, xep_0199.py.
A case is a function with the sentence that it stands for:

    \"\"\"XEP-0199: XMPP Ping.\"\"\"
    from scenario import case

    @case("4.1", "the server returns an IQ-result")
    def pings_a_server(s):
        ann = s.client("ann", "phone")
        ann.send("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
        ann.expect(f"<iq type='result' id='1' to='{ann.jid}'/>")

tests/scenario/run plays it: `run xep_0199.py`, `run xep_0199.py:pings_a_server`,
`run --chunked ...` (each byte sent alone), `run --server prosody ...` (is the
scenario right about the standard?). Nothing else has to be done: tests/check
finds the file.

What is expected is a pattern in XML. An element fits if name and namespace are
equal (without a declaration: the stream's content namespace), if it has the
pattern's attributes, its text (if any) and its children, in any order; more may
be there. In a pattern an attribute may be '*': there, whatever it says; or '!':
not there.

s, the stage of a case (class Stage):
    s.client(user, resource)  logged in and bound; the account is made on demand
                              (its password is "secret-" and its name)
    s.online(user, resource)  and has sent its presence
    s.user()                  the name of an account that no other case uses
    s.friends(user, user)     they see each other's presence from now on
    s.component(name)         a connected component, name.example.org
    s.raw(), s.stream()       not yet, and just, opened
    s.domain, s.server        server.call(...) is a control call: ours only
A stream (class Peer):
    send, expect (the next element), find (skips others), expect_error,
    expect_stream_error, expect_nothing, expect_end, iq, sync
A file may say
    CHUNKED = True            it is about XML: CI plays it in single bytes, too
    OURS = True               nothing in it can be asked of another server
    def setup(server):        before its cases
and a case `@case(section, sentence, ours=True)`. The server is started once a
file: a case leaves it as it found it, and closes nothing itself.
"""

import collections
import functools
import hashlib
import os
import re
import socket
import ssl
import sys
import time
import xml.etree.ElementTree as ET
from xml.parsers import expat

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from xmppd_node import (  # noqa: E402,F401
    ADDRESS, BIND, CLIENT, COMPONENT, SASL, SLOW, STANZA_ERRORS, STREAM_ERRORS,
    STREAMS, TLS, Failure, Scram, b64, check, tls_context, wait_for)

XML = "http://www.w3.org/XML/1998/namespace"
PATIENCE = 5.0
SEPARATOR = "\x01"  # no XML has it


def case(section, sentence, ours=False):
    """Marks a function as a case."""
    def mark(function):
        function.case = section, sentence, ours
        return function
    return mark


# ---- elements and patterns ------------------------------------------------


def parse(text, content=CLIENT):
    """One element, as it would be read from a stream."""
    return ET.fromstring("<w xmlns='%s' xmlns:stream='%s'>%s</w>" % (
        content, STREAMS, text))[0]


def fits(pattern, element):
    """See above."""
    if pattern.tag != element.tag:
        return False
    for name, value in pattern.attrib.items():
        there = element.get(name)
        if value == "!" and there is not None or value == "*" and there is None:
            return False
        if value not in ("*", "!") and there != value:
            return False
    if (pattern.text or "").strip() and pattern.text != (element.text or ""):
        return False
    free = list(element)
    for child in pattern:
        found = next((c for c in free if fits(child, c)), None)
        if found is None:
            return False
        free.remove(found)
    return True


def canonical(element):
    """For the comparison of whole elements: all that an XML document means,
    prefixes apart."""
    return (element.tag, sorted(element.attrib.items()), element.text or "",
            [(canonical(c), c.tail or "") for c in element])


def show(element):
    return ET.tostring(element, encoding="unicode")


# ---- a stream -------------------------------------------------------------


class Ended(Failure):
    """The stream has ended."""


class Reader:
    """Bytes in; the header and first-level elements out."""

    def __init__(self):
        self.events = collections.deque()
        self.raw = b""         # since the last header was asked for
        self.restart()

    def restart(self):
        """A new stream on the same connection."""
        self.raw, self.depth = b"", 0
        self.header, self.declared = None, {}
        self.parser = expat.ParserCreate(namespace_separator=SEPARATOR)
        self.parser.buffer_text = True
        self.parser.StartNamespaceDeclHandler = self.declare
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text

    def feed(self, data):
        self.raw += data
        try:
            self.parser.Parse(data)
        except expat.ExpatError as error:
            raise Failure("the server's XML: %s: %r" % (error, self.raw))

    def declare(self, prefix, uri):
        if self.depth == 0:
            self.declared[prefix] = uri

    @staticmethod
    def name(text):
        uri, _, local = text.rpartition(SEPARATOR)
        return "{%s}%s" % (uri, local) if uri else local

    def start(self, name, attrs):
        attrs = {self.name(k): v for k, v in attrs.items()}
        self.depth += 1
        if self.depth == 1:
            self.header = dict(attrs)
            self.events.append(("header", ET.Element(self.name(name), attrs)))
            return
        if self.depth == 2:
            self.builder = ET.TreeBuilder()
        self.builder.start(self.name(name), attrs)

    def end(self, name):
        self.depth -= 1
        if self.depth == 0:
            self.events.append(("end", None))
            return
        self.builder.end(self.name(name))
        if self.depth == 1:
            self.events.append(("element", self.builder.close()))

    def text(self, data):
        if self.depth >= 2:
            self.builder.data(data)


class Peer:
    """One connection, from the client's (or component's) side."""

    chunked = False   # the runner's switch

    def __init__(self, server, label, port=None, content=CLIENT):
        self.server, self.domain = server, server.domain
        self.label, self.content = label, content
        self.sock = socket.create_connection(
            (ADDRESS, port or server.port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader, self.ids, self.eof = Reader(), 0, False
        self.features = self.jid = self.user = None
        self.tape = []

    @property
    def bare(self):
        return self.jid.split("/")[0]

    @property
    def header(self):
        """The attributes of the server's header."""
        return self.reader.header

    def note(self, who, what):
        self.tape.append("%s %s %s" % (self.label, who, what))

    # -- bytes

    def send(self, text, chunked=None):
        data = text.encode() if isinstance(text, str) else text
        self.note(">", text)
        pieces = [data]
        if self.chunked if chunked is None else chunked:
            pieces = [data[i:i + 1] for i in range(len(data))]
        for piece in pieces:
            self.sock.sendall(piece)

    def start_tls(self, alpn=None, version=None):
        context = tls_context(version)
        if alpn is not None:
            context.set_alpn_protocols([alpn])
        self.sock = context.wrap_socket(self.sock, server_hostname=self.domain)

    def pump(self, seconds):
        """Reads once; False if there was nothing."""
        self.sock.settimeout(max(0.001, seconds))
        try:
            data = self.sock.recv(65536)
        except (socket.timeout, ssl.SSLWantReadError):
            return False
        except OSError:
            data = b""
        if data == b"":
            self.eof = True
            self.reader.events.append(("eof", None))
            self.note("<", "(end of the connection)")
        else:
            self.note("<", data.decode("utf-8", "replace"))
            self.reader.feed(data)
        return True

    def event(self, seconds=PATIENCE):
        """The next event; None if there is none in time."""
        until = time.monotonic() + seconds * SLOW
        while not self.reader.events:
            if self.eof:
                return "eof", None
            left = until - time.monotonic()
            if left <= 0:
                return None
            self.pump(left)
        return self.reader.events.popleft()

    # -- elements

    def read(self, seconds=PATIENCE):
        """The next first-level element; None if there is none in time."""
        event = self.event(seconds)
        if event is None:
            return None
        if event[0] != "element":
            raise Ended("%s: the stream ended (%s)" % (self.label, event[0]))
        return event[1]

    def expect(self, pattern, seconds=PATIENCE):
        """The next element, which has to fit."""
        element = self.read(seconds)
        check(element is not None, "%s: expected %s, and nothing came" % (
            self.label, pattern))
        check(fits(parse(pattern, self.content), element),
              "%s: expected %s, and read %s" % (
                  self.label, pattern, show(element)))
        return element

    def find(self, pattern, seconds=PATIENCE):
        """The next element that fits; those before it are dropped."""
        wanted = parse(pattern, self.content)
        until = time.monotonic() + seconds * SLOW
        while True:
            element = self.read(max(0.0, until - time.monotonic()) / SLOW)
            check(element is not None, "%s: expected %s" % (
                self.label, pattern))
            if fits(wanted, element):
                return element

    def expect_error(self, condition, type_="*", stanza="iq", **attributes):
        """The next element is a stanza error (RFC 6120, 8.3.2)."""
        return self.expect(
            "<%s type='error'%s><error type='%s'><%s xmlns='%s'/></error></%s>"
            % (stanza, "".join(" %s='%s'" % (k.rstrip("_"), v)
                               for k, v in attributes.items()),
               type_, condition, STANZA_ERRORS, stanza))

    def expect_end(self, seconds=PATIENCE):
        """The end of the stream, and then of the connection."""
        for wanted in ("end", "eof"):
            event = self.event(seconds)
            check(event is not None and event[0] == wanted,
                  "%s: expected the stream's %s, and %s" % (
                      self.label, wanted, "nothing came" if event is None else
                      "read %s" % (event[0] if event[1] is None
                                   else show(event[1]))))

    def expect_stream_error(self, *conditions, seconds=PATIENCE):
        """A stream error with one of these conditions, and the end (RFC 6120,
        4.9.1.1). A header of the server, and stanzas, may come before."""
        while True:
            event = self.event(seconds)
            check(event is not None, "%s: expected <%s/>, and nothing came" % (
                self.label, "/> or <".join(conditions)))
            check(event[1] is not None, "%s: expected <%s/>, and the end came"
                  % (self.label, "/> or <".join(conditions)))
            if event[1].tag == "{%s}error" % STREAMS:
                break
        error = event[1]
        check(any(error.find("{%s}%s" % (STREAM_ERRORS, c)) is not None
                  for c in conditions), "%s: expected <%s/>, and read %s" % (
                      self.label, "/> or <".join(conditions), show(error)))
        self.expect_end(seconds)
        return error

    def new_id(self):
        self.ids += 1
        return "%s%d" % (self.label, self.ids)

    def iq(self, type_, payload, to=None):
        """Sends a request, and gives its answer; drops what comes before."""
        name = self.new_id()
        self.send("<iq type='%s' id='%s'%s>%s</iq>" % (
            type_, name, "" if to is None else " to='%s'" % to, payload))
        return self.find("<iq id='%s' type='%s'/>" % (
            name, "*"))

    def sync(self):
        """What had come before the server answered a ping that is sent now."""
        name, came = self.new_id(), []
        self.send("<iq type='get' id='%s' to='%s'%s><ping "
                  "xmlns='urn:xmpp:ping'/></iq>" % (
                      name, self.domain, "" if self.content == CLIENT else
                      " from='%s'" % self.jid))
        while True:
            element = self.read()
            check(element is not None, "%s: no answer to a ping" % self.label)
            if element.get("id") == name:
                return came
            came.append(element)

    def expect_nothing(self):
        """Nothing has come, nor does before a ping's answer."""
        came = self.sync()
        check(not came, "%s: expected nothing, and read %s" % (
            self.label, " ".join(map(show, came))))

    def shut(self):
        """The other side's end of it; for the end of a case."""
        try:
            if not self.eof and self.jid is not None:
                self.sock.settimeout(2)
                self.sock.sendall(b"</stream:stream>")
                while self.sock.recv(65536) != b"":
                    pass
        except OSError:
            pass
        self.sock.close()

    # -- a client's way

    def open(self, more="version='1.0'", to=None):
        """Sends a header, waits for the server's, and its features if any."""
        self.reader.restart()
        self.send("<?xml version='1.0'?><stream:stream xmlns='%s' "
                  "xmlns:stream='%s' to='%s' %s>" % (
                      self.content, STREAMS, to or self.domain, more))
        self.expect_header()
        if self.content == CLIENT:
            self.features = self.expect("<stream:features/>")
        return self.features

    def expect_header(self):
        event = self.event()
        check(event is not None and event[0] == "header",
              "%s: no header, but %s" % (self.label, event))
        return event[1]

    def starttls(self):
        self.send("<starttls xmlns='%s'/>" % TLS)
        self.expect("<proceed xmlns='%s'/>" % TLS)
        self.start_tls()

    def secure(self, **more):
        """Opened, and opened again under TLS."""
        self.open(**more)
        self.starttls()
        return self.open(**more)

    def mechanisms(self):
        return [m.text for m in self.features.iter("{%s}mechanism" % SASL)]

    def login(self, user, password=None, **more):
        self.user = user
        password = password or "secret-" + user
        offered = self.mechanisms()
        for name, digest in (("SCRAM-SHA-256", "sha256"),
                             ("SCRAM-SHA-1", "sha1")):
            if name in offered:
                self.scram(name, CachedScram(user, password, digest))
                break
        else:
            self.send("<auth xmlns='%s' mechanism='PLAIN'>%s</auth>" % (
                SASL, b64("\0%s\0%s" % (user, password))))
            self.expect("<success xmlns='%s'/>" % SASL)
        return self.open(**more)

    def scram(self, mechanism, exchange):
        self.send("<auth xmlns='%s' mechanism='%s'>%s</auth>" % (
            SASL, mechanism, exchange.first()))
        challenge = self.expect("<challenge xmlns='%s'/>" % SASL)
        self.send("<response xmlns='%s'>%s</response>" % (
            SASL, exchange.final(challenge.text)))
        success = self.expect("<success xmlns='%s'/>" % SASL)
        check(success.text == exchange.verifier, "the server's proof")

    def bind(self, resource=None):
        answer = self.iq("set", "<bind xmlns='%s'>%s</bind>" % (
            BIND, "" if resource is None else
            "<resource>%s</resource>" % resource))
        jid = answer.find("{%s}bind/{%s}jid" % (BIND, BIND))
        check(jid is not None, "not bound: " + show(answer))
        self.jid = jid.text
        self.tape = []   # all went well up to here
        return self

    def present(self, inside=""):
        """Sends its presence, and waits until it sees it."""
        name = self.new_id()
        self.send("<presence id='%s'>%s</presence>" % (name, inside))
        self.find("<presence id='%s' from='%s'/>" % (name, self.jid))
        return self


@functools.lru_cache(maxsize=None)
def salted_password(digest, password, salt, count):
    return hashlib.pbkdf2_hmac(digest, password, salt, count)


class CachedScram(Scram):
    """Logs in many times, and derives its key once."""

    salted = staticmethod(salted_password)


# ---- the stage ------------------------------------------------------------


class Stage:
    """What a case gets."""

    numbers = 0

    def __init__(self, server):
        self.server, self.domain, self.peers = server, server.domain, []

    def new(self, label, port=None, content=CLIENT):
        peer = Peer(self.server, label, port, content)
        self.peers.append(peer)
        return peer

    def raw(self, label="peer", tls=False, **more):
        """A connection; `tls`: direct TLS (XEP-0368)."""
        peer = self.new(label, self.server.tls_port if tls else None)
        if tls:
            peer.start_tls(**more)
        return peer

    def stream(self, label="peer", **more):
        """Under TLS, before the login."""
        peer = self.raw(label)
        peer.secure(**more)
        return peer

    def authenticated(self, user, label=None, **more):
        """Before the bind."""
        self.server.need_user(user)
        peer = self.stream(label or user, **more)
        peer.login(user, **more)
        return peer

    def client(self, user, resource=None, **more):
        label = user if resource is None else "%s/%s" % (user, resource)
        return self.authenticated(user, label, **more).bind(resource)

    def online(self, user, resource=None, inside="", **more):
        return self.client(user, resource, **more).present(inside)

    def user(self):
        Stage.numbers += 1
        name = "user%d" % Stage.numbers
        self.server.need_user(name)
        return name

    def friends(self, one, other):
        """Each is subscribed to the other's presence (RFC 6121, 3)."""
        a, b = self.client(one, "befriends"), self.client(other, "befriends")
        for x, y in ((a, b), (b, a)):
            x.send("<presence type='subscribe' to='%s'/>" % y.bare)
            x.sync()
            y.send("<presence type='subscribed' to='%s'/>" % x.bare)
            y.sync()
        for peer in (a, b):
            peer.shut()
            self.peers.remove(peer)

    def component(self, name="echo"):
        """XEP-0114."""
        secret = self.server.need_component(name)
        full = "%s.%s" % (name, self.domain)
        peer = self.new(name, self.server.component_port, COMPONENT)
        if self.server.component_tls:
            peer.start_tls()
        peer.open(more="", to=full)
        peer.send("<handshake>%s</handshake>" % hashlib.sha1(
            (peer.header["id"] + secret).encode()).hexdigest())
        peer.expect("<handshake/>")
        peer.jid = full
        return peer

    def leave(self):
        for peer in reversed(self.peers):
            peer.shut()
        self.peers = []

    def tape(self):
        """What was said at last, per stream."""
        lines = []
        for peer in self.peers[-4:]:
            lines += [re.sub(r"\s+", " ", line)[:700]
                      for line in peer.tape[-8:]]
        return "\n".join("    " + line for line in lines)
