"""A real xmppd on its own for a scenario, and streams to talk to it by hand.

What is sent and expected is text as it is on the wire, so that a scenario reads
like the examples of RFC 6120.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import traceback

import guard

SLOW = 4 if os.environ.get("MMP_SANITIZED") else 1
DOMAIN = "example.org"
ADDRESS = "127.0.0.1"

CLIENT = "jabber:client"
COMPONENT = "jabber:component:accept"
STREAMS = "http://etherx.jabber.org/streams"
STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"


class Failure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def wait_for(what, condition, seconds=5.0):
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("not within %.1f s: %s" % (seconds, what))
        time.sleep(0.02)


def free_port():
    with socket.socket() as s:
        s.bind((ADDRESS, 0))
        return s.getsockname()[1]


def header(content=CLIENT, to=DOMAIN, more="version='1.0'"):
    return ("<?xml version='1.0'?><stream:stream xmlns='%s' xmlns:stream='%s' "
            "to='%s' %s>" % (content, STREAMS, to, more))


# ---- the server -----------------------------------------------------------


class Xmppd:
    """One standalone server, enabled, with a certificate for DOMAIN."""

    def __init__(self, build, users=(), address=ADDRESS):
        self.address = address
        self.dir = guard.folder("xmppd-scenario.")
        self.port, self.component_port = free_port(), free_port()
        self.process = None
        self.make_certificate()
        with open(self.dir + "/interfaces.json", "w") as interfaces:
            json.dump({"a": {"addresses": [address]}}, interfaces)
        self.build = build
        self.start()
        self.call("Xmpp.Domain", domain=DOMAIN)
        self.call("Xmpp.Listen", interface=[
            "a:%d:%d" % (self.port, self.component_port)])
        self.call("Xmpp.Certs", key=self.file("key"),
                  certificate=self.file("crt"))
        self.call("Xmpp.Enable")
        wait_for("open ports", self.is_open)
        for name in users:
            self.call("User.Add", name=name, password="secret-" + name)

    def make_certificate(self):
        subprocess.run(
            ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
             "/CN=" + DOMAIN, "-addext", "subjectAltName=DNS:" + DOMAIN,
             "-keyout", "x.key", "-out", "x.crt"),
            cwd=self.dir, check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def file(self, what):
        with open("%s/x.%s" % (self.dir, what)) as pem:
            return {"name": "x." + what, "pem": pem.read()}

    @property
    def ca(self):
        return self.dir + "/x.crt"

    def start(self):
        with open(self.dir + "/out", "a") as out:
            self.process = subprocess.Popen(
                [self.build + "/bin/xmppd", "--root", self.dir, "--debug"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_for("control socket", self.answers)

    def answers(self):
        check(self.process.poll() is None, "xmppd ended: " + self.log()[-2000:])
        with socket.socket(socket.AF_UNIX) as control:
            return control.connect_ex(self.dir + "/xmppd.sock") == 0

    def is_open(self):
        with socket.socket(socket.AF_INET6 if ":" in self.address
                           else socket.AF_INET) as s:
            if s.connect_ex((self.address, self.port)) != 0:
                return False
            # Bound is not yet served: what isn't is reset.
            s.sendall(header().encode())
            s.settimeout(1)
            try:
                return s.recv(1) != b""
            except OSError:
                return False

    def call(self, method, **parameters):
        """A method of the control interface; fails with what it says."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(20 * SLOW)
            control.connect(self.dir + "/xmppd.sock")
            control.sendall(json.dumps({
                "method": "im.xmppd." + method,
                "parameters": parameters}).encode() + b"\0")
            answer = b""
            while not answer.endswith(b"\0"):
                piece = control.recv(65536)
                check(piece, method + ": no answer")
                answer += piece
        answer = json.loads(answer[:-1])
        check("error" not in answer, "%s: %s" % (method, answer))
        answer = answer.get("parameters", {})
        for line in answer.get("checks", ()):
            check(line["ok"], "%s: %s" % (method, line["text"]))
        return answer

    # -- commands, as an administrator types them

    def mmp(self, command, typed=""):
        return subprocess.run(
            [self.build + "/bin/mmp", "--root", self.dir, "-c", command],
            input=typed, capture_output=True, text=True, check=False,
            timeout=20 * SLOW)

    def done(self, command, typed=""):
        """What a command that has to succeed prints."""
        ended = self.mmp(command, typed)
        check(ended.returncode == 0, "%s: %s%s" % (
            command, ended.stdout, ended.stderr))
        return ended.stdout

    def refused(self, command, words, typed=""):
        """A command that has to be refused, with these words."""
        ended = self.mmp(command, typed)
        said = ended.stdout + ended.stderr
        check(ended.returncode != 0 and words in said, "%s: %s" % (
            command, said))

    def log(self):
        with open(self.dir + "/out") as out:
            return out.read()

    def wait_log(self, pattern):
        wait_for("a log line like " + pattern,
                 lambda: re.search(pattern, self.log()))

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10 * SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def remove(self):
        status = self.stop()
        shutil.rmtree(self.dir)
        return status


# ---- streams --------------------------------------------------------------


def tls_context(version=None):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        context.maximum_version = version
    return context


class Stream:
    """One connection, spoken by hand."""

    def __init__(self, server, port=None, tls=False, alpn=None, version=None):
        self.sock = socket.create_connection(
            (server.address, port or server.port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.text, self.jid = "", None
        if tls:
            self.start_tls(alpn, version)

    def start_tls(self, alpn=None, version=None):
        context = tls_context(version)
        if alpn is not None:
            context.set_alpn_protocols([alpn])
        self.sock = context.wrap_socket(self.sock, server_hostname=DOMAIN)

    def send(self, text):
        self.sock.sendall(text.encode() if isinstance(text, str) else text)

    def read(self, seconds):
        """Reads once; False at the end of the connection."""
        self.sock.settimeout(seconds)
        try:
            piece = self.sock.recv(65536)
        except (socket.timeout, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        self.text += piece.decode()
        return piece != b""

    def expect(self, what, seconds=5.0):
        """Takes all up to `what`, a text or a compiled pattern; what stood
        before it, or the match."""
        pattern = what if hasattr(what, "search") else re.compile(
            re.escape(what))
        end = time.monotonic() + seconds * SLOW
        while True:
            found = pattern.search(self.text)
            if found:
                before = self.text[:found.start()]
                self.text = self.text[found.end():]
                return before if pattern is not what else found
            left = end - time.monotonic()
            if left < 0 or not self.read(left):
                raise Failure("expected %s, read %r" % (
                    pattern.pattern, self.text))

    def expect_nothing(self, seconds=0.3):
        check(self.read(seconds), "the connection was closed")
        check(self.text == "", "expected nothing, read %r" % self.text)

    def expect_end(self, seconds=5.0):
        end = time.monotonic() + seconds * SLOW
        while self.read(max(0.01, end - time.monotonic())):
            if time.monotonic() > end:
                raise Failure("not closed; read %r" % self.text)
        self.close()

    def expect_error(self, condition, text=""):
        """A stream error, the end of the stream, the end of the connection:
        RFC 6120, 4.9.1.1."""
        self.expect("<stream:error><%s xmlns='%s'/>" % (
            condition, STREAM_ERRORS))
        self.expect(text)
        self.expect("</stream:error></stream:stream>")
        self.expect_end()

    def close(self):
        self.sock.close()

    # -- a client's way

    def open(self, **more):
        self.send(header(**more))
        return self.expect("</stream:features>")

    def secure(self):
        self.open()
        self.send("<starttls xmlns='%s'/>" % TLS)
        self.expect("<proceed xmlns='%s'/>" % TLS)
        check(self.text == "", "plaintext after <proceed/>")
        self.start_tls()
        return self.open()

    def plain(self, user, password):
        self.send("<auth xmlns='%s' mechanism='PLAIN'>%s</auth>" % (
            SASL, b64("\0%s\0%s" % (user, password))))

    def login(self, user):
        self.plain(user, "secret-" + user)
        self.expect("<success xmlns='%s'></success>" % SASL)
        return self.open()

    def bind(self, resource=None):
        self.send("<iq type='set' id='bind'><bind xmlns='%s'>%s</bind></iq>" % (
            BIND, "<resource>%s</resource>" % resource if resource else ""))
        self.expect("<iq type='result' id='bind'")
        self.jid = self.expect(re.compile("<jid>(.*)</jid>")).group(1)
        self.expect("</iq>")
        return self


def client(server, user, resource=None):
    """A client that is logged in and has bound a resource."""
    stream = Stream(server)
    stream.secure()
    stream.login(user)
    return stream.bind(resource)


def online(server, user, resource=None):
    """And has told that it is there, and heard that it is."""
    stream = client(server, user, resource)
    stream.send("<presence id='here'/>")
    stream.expect(re.compile("<presence [^>]*id='here'[^>]*/>"))
    return stream


# ---- SASL -----------------------------------------------------------------


def b64(data):
    return base64.b64encode(
        data.encode() if isinstance(data, str) else data).decode()


class Scram:
    """A client's side of SCRAM (RFC 5802), with all its parts to be spoilt."""

    salted = staticmethod(hashlib.pbkdf2_hmac)

    def __init__(self, user, password, digest="sha256", header_="n,,",
                 binding=b""):
        self.password, self.digest = password, digest
        self.header, self.binding = header_, binding
        self.bare = "n=%s,r=clientnonce" % user

    def first(self):
        return b64(self.header + self.bare)

    def final(self, challenge):
        server_first = base64.b64decode(challenge).decode()
        fields = dict(f.split("=", 1) for f in server_first.split(","))
        salted = self.salted(
            self.digest, self.password.encode(),
            base64.b64decode(fields["s"]), int(fields["i"]))
        without_proof = "c=%s,r=%s" % (
            b64(self.header.encode() + self.binding), fields["r"])
        auth = ",".join((self.bare, server_first, without_proof)).encode()
        key = hmac.digest(salted, b"Client Key", self.digest)
        signature = hmac.digest(
            hashlib.new(self.digest, key).digest(), auth, self.digest)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        self.verifier = b64("v=" + b64(hmac.digest(
            hmac.digest(salted, b"Server Key", self.digest), auth,
            self.digest)))
        return b64("%s,p=%s" % (without_proof, b64(proof)))


# ---- other people's clients -----------------------------------------------


class Loop:
    """An asyncio loop of its own, for slixmpp, that is turned by hand."""

    def __enter__(self):
        logging.disable(logging.CRITICAL)
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        return self

    def __exit__(self, *_):
        self.turn(0.1)
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.turn()
        self.loop.close()

    def turn(self, seconds=0.02):
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def wait_for(self, what, condition, seconds=10):
        def turned():
            self.turn()
            return condition()
        wait_for(what, turned, seconds)


# ---- running --------------------------------------------------------------


def run_tests(scope, fixture):
    """Runs scope's functions test_*(server) in their order, or those that are
    named after BUILD."""
    build = os.path.abspath(sys.argv[1])
    names = [n for n in scope if n.startswith("test_")]
    if len(sys.argv) > 2:
        names = [n for n in names if n[5:] in sys.argv[2:]]
    passed = failed = 0
    server = fixture(build)
    for name in names:
        try:
            scope[name](server)
            check(server.process.poll() is None, "xmppd ended")
            passed += 1
        except Exception:
            failed += 1
            print("%s:" % name)
            traceback.print_exc(file=sys.stdout)
            if server.process.poll() is not None:
                print(server.log()[-3000:])
                server.start()
                wait_for("open ports", server.is_open)
    log = server.log()
    if server.remove() != 0:
        failed += 1
        print("xmppd did not end well: %s" % log[-3000:])
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)
