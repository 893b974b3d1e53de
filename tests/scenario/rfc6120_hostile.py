"""RFC 6120, 13.12: hostile streams. Whatever some do, another client's round
trip stays what it was, and memory is bounded. The rubbish is random: a failure
names the seed, and SEED=n in the environment plays the same again."""

import copy
import multiprocessing
import os
import random
import re
import socket
import statistics
import struct
import time

from scenario import (
    ADDRESS, CLIENT, SASL, SLOW, STREAMS, TLS, case, check, parse, show)

OURS = True

SEED = int(os.environ.get("SEED", time.time_ns() % 1000000))
GROWTH_KB = 96 * 1024
HEADER = ("<?xml version='1.0'?><stream:stream xmlns='%s' xmlns:stream='%s' "
          "to='example.org' version='1.0'>" % (CLIENT, STREAMS))
DATA = "A" * 40

# What is spoilt: what a client says before and after its login.
BEFORE = (
    HEADER + f"<starttls xmlns='{TLS}'/>" + HEADER,
    HEADER + f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{DATA}</auth>"
    f"<response xmlns='{SASL}'>{DATA}</response><abort xmlns='{SASL}'/>",
    HEADER + "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:"
    "xmpp-bind'><resource>x</resource></bind></iq></stream:stream>",
    HEADER + "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-"
    f"response>{DATA}</initial-response><user-agent id='x'><software>x"
    "</software></user-agent><bind xmlns='urn:xmpp:bind:0'><tag>x</tag><enable "
    "xmlns='urn:xmpp:sm:3' resume='true'/></bind></authenticate>",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + DATA * 12)
AFTER = (
    "<message to='bob@example.org' type='chat' id='1' xml:lang='de'><body>hi"
    "&amp;&#10;</body><x xmlns='urn:x' a='1'><y/></x></message>",
    "<presence><show>away</show><priority>1</priority><c xmlns='http://jabber."
    "org/protocol/caps' hash='sha-1' node='n' ver='v'/></presence>",
    "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='a@b' "
    "name='x'><group>g</group></item></query></iq>",
    "<iq type='get' id='d' to='example.org'><query xmlns='http://jabber.org/"
    "protocol/disco#info' node='x'/></iq>",
    "<presence type='subscribe' to='ann@example.org'/> \n",
    "<message to='example.net'><![CDATA[<x>]]></message></stream:stream>",
    "<enable xmlns='urn:xmpp:sm:3' resume='true'/><r xmlns='urn:xmpp:sm:3'/>"
    "<a xmlns='urn:xmpp:sm:3' h='1'/><inactive xmlns='urn:xmpp:csi:0'/>"
    "<active xmlns='urn:xmpp:csi:0'/>",
    "<resume xmlns='urn:xmpp:sm:3' previd='00000001000000019ee790af3c86ab0e-"
    "68rszkoGcmWiiXxn2r3Vke' h='0'/>",
    "<iq type='set' id='m'><query xmlns='urn:xmpp:mam:2' queryid='q'><x xmlns="
    "'jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2"
    "</value></field><field var='start'><value>2026-01-01T00:00:00Z</value>"
    "</field></x><set xmlns='http://jabber.org/protocol/rsm'><max>10</max>"
    "<after>1</after></set></query></iq>",
    "<iq type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'>"
    "<publish node='urn:x'><item id='1'><x xmlns='urn:x'/></item></publish>"
    "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='pubsub"
    "#access_model'><value>open</value></field></x></publish-options></pubsub>"
    "</iq>",
    "<iq type='set' id='v'><vCard xmlns='vcard-temp'><FN>x</FN><PHOTO><TYPE>"
    "image/png</TYPE><BINVAL>AAAA</BINVAL></PHOTO></vCard></iq>",
    "<iq type='set' id='o'><query xmlns='jabber:iq:private'><x xmlns='urn:x'/>"
    "</query></iq><iq type='set' id='k'><block xmlns='urn:xmpp:blocking'><item "
    "jid='a@b'/></block></iq><iq type='set' id='c'><enable "
    "xmlns='urn:xmpp:carbons:2'/></iq>")
MORE = (
    "<iq type='get' id='v'><query xmlns='jabber:iq:version'/></iq>",
    "<iq type='get' id='t'><time xmlns='urn:xmpp:time'/></iq>",
    "<iq type='get' id='i'><query xmlns='http://jabber.org/protocol/"
    "disco#items' node='x'/></iq>",
    "<iq type='get' id='m'><prefs xmlns='urn:xmpp:mam:2' default='always'>"
    "<always><jid>a@b</jid></always><never/></prefs></iq>",
    "<iq type='get' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'>"
    "<items node='urn:x' max_items='1'><item id='1'/></items></pubsub></iq>",
    "<iq type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'>"
    "<retract node='urn:x' notify='1'><item id='1'/></retract></pubsub></iq>",
    "<iq type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub"
    "#owner'><configure node='urn:x'><x xmlns='jabber:x:data' type='submit'>"
    "<field var='pubsub#max_items'><value>1</value></field></x></configure>"
    "</pubsub></iq>",
    "<iq type='set' id='u'><enable xmlns='urn:xmpp:push:0' jid='push.b' "
    "node='n'/></iq>",
    "<iq type='get' id='b'><blocklist xmlns='urn:xmpp:blocking'/></iq>",
    "<iq type='set' id='a'><command xmlns='http://jabber.org/protocol/commands'"
    " node='x' action='execute'/></iq>")
SPOILERS = (
    b"<", b">", b"&", b"'", b'"', b"/", b"<!--", b"-->", b"<![CDATA[", b"]]>",
    b"<?x ?>", b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"&#0;", b"&#x41;",
    b"\0", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbf\xbf",
    b" xmlns=''", b" xmlns:p='urn:p'", b" p:a='1'", b"<p:x>", b"</stream:stream>",
    b"<stream:stream>", b"<stream:error/>", b"x" * 3000, b"<x>" * 200,
    b" a='1'" * 30, b"<message>", b"</message>", b" from='a@b'", b" to='@'",
    b"=", b"\r\n", b"\xe2\x80\xa8", b"]]")


def spoil(rng, data):
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            data[at:at] = rng.choice(SPOILERS)
        elif kind == 1:
            del data[at:at + rng.randint(1, 30)]
        elif kind == 2 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 3:
            data[at:at] = data[at:at + rng.randint(1, 60)]
        elif kind == 4:
            del data[at:]
        else:
            other = rng.randrange(len(data) + 1)
            data[min(at, other):max(at, other)] = b""
        data = data or bytearray(b"<")
    return bytes(data)


# ---- measures -------------------------------------------------------------


def memory_kb(server, what="VmRSS"):
    with open("/proc/%d/status" % server.process.pid) as status:
        return int(re.search(what + r":\s+(\d+) kB", status.read()).group(1))


def round_trips(peer, seconds):
    """The median of pings, in seconds."""
    took, until = [], time.monotonic() + seconds
    while time.monotonic() < until or len(took) < 5:
        start = time.monotonic()
        peer.sync()
        took.append(time.monotonic() - start)
        time.sleep(0.01)
    return statistics.median(took)


class Watch:
    """Another client's round trip, before and during; and memory."""

    def __init__(self, s):
        self.server, self.peer = s.server, s.client("eve", "watch")
        self.before = round_trips(self.peer, 0.3)
        self.memory = memory_kb(s.server)

    def during(self, attack, *arguments):
        """Runs the attack in a process of its own."""
        child = multiprocessing.get_context("fork").Process(
            target=attack, args=arguments)
        child.start()
        trips = [round_trips(self.peer, 0.5)]
        while child.is_alive():
            trips.append(round_trips(self.peer, 0.5))
        child.join()
        check(child.exitcode == 0, "the attack failed (seed %d)" % SEED)
        self.judge(statistics.median(trips))

    def judge(self, trip):
        check(trip < max(0.05, 20 * self.before) * SLOW,
              "a round trip took %.1f ms, and %.1f before (seed %d)" % (
                  1000 * trip, 1000 * self.before, SEED))
        if SLOW == 1:  # a sanitizer keeps what is freed
            grown = memory_kb(self.server) - self.memory
            check(grown < GROWTH_KB, "memory grew by %d KB (seed %d)" % (
                grown, SEED))


def drain(sock, seconds=0.2):
    """Reads what there is, up to the end; True if that came."""
    sock.settimeout(seconds)
    try:
        while True:
            if sock.recv(65536) == b"":
                return True
    except socket.timeout:
        return False
    except OSError:
        return True


# ---- rubbish --------------------------------------------------------------


def rubbish_before(port, seed, count):
    rng = random.Random(seed)
    for _ in range(count):
        with socket.create_connection((ADDRESS, port), 5) as sock:
            try:
                sock.sendall(spoil(rng, rng.choice(BEFORE).encode("latin-1")))
                if rng.random() < 0.5:
                    sock.shutdown(socket.SHUT_WR)
                elif rng.random() < 0.2:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                    struct.pack("ii", 1, 0))
                    continue
            except OSError:
                pass
            drain(sock, 0.004)


@case("13.12", "thousands of malformed streams before the login")
def many_before_the_login(s):
    Watch(s).during(rubbish_before, s.server.port, SEED, 3000)


@case("13.12", "hundreds of them after it: each ends, or goes on")
def many_after_the_login(s):
    watch, rng = Watch(s), random.Random(SEED)
    s.server.need_user("bob")
    for number in range(90):
        peer = s.client("ann", "r%d" % (number % 3))
        elements = "".join(rng.sample(AFTER, 3)).encode()
        if number % 4 == 0:
            elements = HEADER.encode() + elements
        try:
            peer.send(spoil(rng, elements), chunked=number % 10 == 0)
        except OSError:
            pass
        peer.sock.shutdown(socket.SHUT_WR) if number % 2 else None
        drain(peer.sock, 0.01)
        peer.jid = None
        peer.shut()
        s.peers.remove(peer)
        if number % 50 == 0:
            watch.judge(round_trips(watch.peer, 0.05))
    watch.judge(round_trips(watch.peer, 0.3))


VALUES = ("", "0", "-1", "99999999999999999999", "x" * 2000, "example.org",
          "ann@example.org", "@", "a@b/c", "\u00e9", "urn:x", "true", "get",
          "2026-13-45T99:00:00Z", "subscribe", "none", "node", "<&'\"", "\n")


def nonsense(rng, text):
    """Still XML, and hardly what was meant."""
    root = parse(text)
    for _ in range(rng.randint(1, 4)):
        element = rng.choice(list(root.iter()))
        kind = rng.randrange(7)
        if kind == 0 and len(element):
            del element[rng.randrange(len(element))]
        elif kind == 1 and len(element):
            element.append(copy.deepcopy(rng.choice(list(element))))
        elif kind == 2 and element.attrib:
            del element.attrib[rng.choice(sorted(element.attrib))]
        elif kind == 3:
            name = rng.choice(("jid", "node", "id", "type", "var", "name",
                               "subscription", "ask", "ver", "queryid"))
            element.set(name, rng.choice(VALUES))
        elif kind == 4:
            element.text = rng.choice(VALUES)
        elif kind == 5 and element is not root:
            element.tag = rng.choice((
                "{urn:x}x", "x", element.tag + "y", "{%s}iq" % CLIENT,
                rng.choice(list(root.iter())).tag))
        elif kind == 6:
            element.append(copy.deepcopy(rng.choice(list(root.iter()))))
    return root


@case("8.2.3", "each request is answered once, whatever it asks")
def requests_that_make_no_sense(s):
    watch, rng = Watch(s), random.Random(SEED)
    requests = [r for text in AFTER + MORE for r in
                re.findall(r"<iq .*?</iq>", text)]
    for number in range(15):
        ann = s.client("ann", "n%d" % (number % 4))
        ann.send("<presence/>")
        asked = {}
        for count in range(100):
            stanza = nonsense(rng, rng.choice(requests))
            name = "n%d.%d" % (number, count)
            for key in ("from", "to"):
                stanza.attrib.pop(key, None)
            stanza.set("id", name)
            stanza.set("type", rng.choice(("get", "set")))
            to = rng.choice((None, s.domain, ann.bare, "bob@" + s.domain,
                             "nobody@" + s.domain, "example.net"))
            if to is not None:
                stanza.set("to", to)
            asked[name] = show(stanza)
            ann.send(asked[name])
        answers = []
        while not set(asked) <= set(answers):
            got = ann.read()
            missing = sorted(set(asked) - set(answers))
            check(got is not None, "no answer to %s (seed %d)" % (
                " ".join(asked[name] for name in missing), SEED))
            if got.get("type") in ("result", "error"):
                answers.append(got.get("id"))
        answers += [e.get("id") for e in ann.sync()]
        twice = [name for name in asked if answers.count(name) != 1]
        check(not twice, "two answers to %s (seed %d)" % (
            " ".join(asked[name] for name in twice), SEED))
        ann.shut()
        s.peers.remove(ann)
    watch.judge(round_trips(watch.peer, 0.3))


def deep_and_wide(port, seed, count):
    rng = random.Random(seed)
    for _ in range(count):
        with socket.create_connection((ADDRESS, port), 5) as sock:
            try:
                sock.sendall(HEADER.encode() + rng.choice((
                    b"<x>" * 10000, b"<x " + b"a" * 500000,
                    b"<x a='" + b"&amp;" * 100000, b"<" * 100000,
                    b"<!DOCTYPE x [" + b"<!ENTITY a 'b'>" * 20000,
                    b"<x " + b"".join(b"a%d='1' " % n for n in range(20000)),
                    b"<x>" + b"&#x41;" * 100000, b"</x>" * 20000,
                    b"<x/>" * 50000, b"<p:x/>" * 20000,
                    b" " * 3000000)))
            except OSError:
                pass
            drain(sock, 0.05)


@case("13.12", "10000 elements deep, entities, names and lists without end")
def deep(s):
    Watch(s).during(deep_and_wide, s.server.port, SEED, 150)


# ---- patience -------------------------------------------------------------


def idle_handshakes(port, number):
    """Half a ClientHello, half a STARTTLS, or nothing; from several
    addresses, since one has a limit."""
    socks = []
    for n in range(number):
        sock = socket.socket()
        sock.bind(("127.0.0.%d" % (2 + n % 5), 0))
        sock.connect((ADDRESS, port))
        socks.append(sock)
        try:
            sock.sendall((b"", b"\x16\x03\x01\x02\x00\x01\x00", HEADER.encode(),
                          HEADER.encode() + b"<starttls xmlns='" +
                          TLS.encode() + b"'/>\x16\x03\x01")[n % 4])
        except OSError:
            pass
    return socks


@case("13.12", "half-open handshakes by the hundred: others still log in")
def half_open(s):
    watch = Watch(s)
    socks = idle_handshakes(s.server.port, 800)
    try:
        watch.judge(round_trips(watch.peer, 0.5))
        for _ in range(5):
            s.client("ann").sync()
    finally:
        for sock in socks:
            sock.close()
    s.client("ann").sync()


def byte_by_byte(port, seconds):
    socks = idle_handshakes(port, 200)
    said, until = HEADER.encode() * 3, time.monotonic() + seconds
    for byte in said:
        for sock in socks:
            try:
                sock.sendall(bytes((byte,)))
            except OSError:
                pass
        if time.monotonic() > until:
            break
        time.sleep(0.02)


@case("13.12", "hundreds who send a byte at a time")
def slow_writers(s):
    Watch(s).during(byte_by_byte, s.server.port, 2)


def flood(s, port, seed):
    """Asks, and never reads; sends to one who never reads."""
    ann = s.client("ann", "flood")
    ann.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    ann.sock.settimeout(0.5)
    ping = ("<iq type='get' id='%s' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>"
            % ("x" * 2000, s.domain)).encode() * 20
    until = time.monotonic() + 3
    try:
        while time.monotonic() < until:
            ann.sock.sendall(ping)
    except OSError:
        pass
    ann.jid = None
    ann.sock.close()


@case("13.12", "one who asks and never reads the answers")
def asks_and_never_reads(s):
    s.server.need_user("ann")
    Watch(s).during(flood, s, s.server.port, SEED)


def shout(ann, to):
    """As fast as one may, for as long as it takes."""
    text = (f"<message to='{to}' type='headline'><body>{'x' * 50000}</body>"
            "</message>").encode() * 4
    for _ in range(80):
        ann.sock.settimeout(20)
        ann.sock.sendall(text)
    ann.sync()


@case("13.12", "readers that never read: what waits for them is bounded, and "
      "they are ended")
def never_reads(s):
    s.server.call("Limits.Set", limit="rate", value="100M")
    watch = Watch(s)
    deaf = s.online("bob", "deaf")
    deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    watch.during(shout, s.client("ann"), deaf.jid)
    s.server.wait_log("does not read")
    deaf.jid = None


@case("13.12", "connections that are reset at once")
def reset_at_once(s):
    watch = Watch(s)
    for _ in range(500):
        sock = socket.create_connection((ADDRESS, s.server.port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
        sock.close()
    watch.judge(round_trips(watch.peer, 0.3))


@case("13.12", "after all that it serves as before")
def serves_as_before(s):
    ann, bob = s.online("ann"), s.online("bob")
    ann.send(f"<message to='{bob.jid}' id='1'><body>hi</body></message>")
    bob.find(f"<message id='1' from='{ann.jid}'/>")
