#!/usr/bin/python3
"""callbridge.py BUILD: the real callbridge against real DNS and fake servers.

nsd serves the zones below on an ephemeral port of the loopback interface;
Server plays the component port of an XMPP server (XEP-0114 over direct TLS),
well-behaved or not. Each test is a function that tells by its name what has to
hold; the last line is 'N passed, M failed'.
"""

import hashlib
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

import guard  # noqa: E402

SLOW = 4 if os.environ.get("MMP_SANITIZED") else 1
SECRET = "s3cretSecret"
JID = "cb1.tptac9.com"
CB1, CB2, CB3 = "127.0.0.2", "127.0.0.3", "127.0.0.4"

ZONE = """\
$ORIGIN {domain}.
$TTL 60
@ IN SOA ns root 1 3600 600 86400 5
@ IN NS ns
ns IN A 127.0.0.1
cb1 IN A 127.0.0.2
cb2 IN A 127.0.0.3
cb3 IN A 127.0.0.4
"""
SRV = "_xmpp-component._tcp IN SRV {} {} {} {}\n"


class Failure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def wait_for(what, condition, seconds=5.0):
    """Returns the first true value of condition()."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("not within %.1f s: %s" % (seconds, what))
        time.sleep(0.02)


# ---- certificates ---------------------------------------------------------


def openssl(folder, *args, stdin=None):
    subprocess.run(("openssl",) + args, cwd=folder, check=True, input=stdin,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_certificate(folder, name, names, ca=None):
    """name.key and name.crt; self-signed, or by ca.key and ca.crt."""
    san = ",".join("DNS:" + n for n in names)
    extra = ["-CA", ca + ".crt", "-CAkey", ca + ".key"] if ca else []
    extensions = [] if ca is None else ["-addext", "subjectAltName=" + san,
                                        "-addext", "basicConstraints=CA:FALSE"]
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", "/CN=" + name, "-keyout", name + ".key",
            "-out", name + ".crt", *extra, *extensions)


# ---- servers --------------------------------------------------------------


class Server:
    """A component port. `mode` is what it does:

    ok        logs in whoever knows the secret
    refuse    says not-authorized
    unknown   says host-unknown to the stream
    client    speaks to clients only, and says so
    tls       accepts, and never answers the handshake
    stream    never answers the stream
    proof     never answers the log-in
    mute      logs in, then never answers anything
    """

    def __init__(self, address, port=0, mode="ok", cert="good"):
        self.mode, self.cert = mode, cert
        self.listener = socket.create_server((address, port), backlog=16)
        self.address = address
        self.port = self.listener.getsockname()[1]
        self.online = []    # JIDs logged in now
        self.attempts = 0   # connections
        self.bytes_before_trust = 0
        self.sockets = []
        self.stanzas = []
        self.closed = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if self.closed:
                sock.close()
                return
            self.attempts += 1
            self.sockets.append(sock)
            threading.Thread(target=self.serve, args=(sock,),
                             daemon=True).start()

    def serve(self, sock):
        jid = None
        try:
            if self.mode == "tls":
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*Server.files[self.cert])
            with context.wrap_socket(sock, server_side=True) as tls:
                self.sockets.append(tls)
                jid = self.login(tls)
                if jid:
                    self.online.append(jid)
                    self.talk(tls)
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            if jid in self.online:
                self.online.remove(jid)

    def read_until(self, tls, pattern):
        text = ""
        while True:
            data = tls.recv(4096)
            if not data:
                raise OSError("end")
            self.bytes_before_trust += len(data)
            text += data.decode()
            found = re.search(pattern, text)
            if found:
                return found

    def login(self, tls):
        to = self.read_until(tls, r"<stream:stream [^>]* to='([^']*)'").group(1)
        if self.mode == "stream":
            time.sleep(60)
        kind = ("jabber:client" if self.mode == "client"
                else "jabber:component:accept")
        tls.sendall(("<?xml version='1.0'?><stream:stream xmlns='%s' "
                     "xmlns:stream='http://etherx.jabber.org/streams' "
                     "from='%s' id='i&amp;d7'>" % (kind, to)).encode())
        if self.mode == "client":
            return self.refuse(tls, "invalid-namespace",
                               "this is the client port, components use 5223")
        if self.mode == "unknown":
            return self.refuse(tls, "host-unknown")
        proof = self.read_until(tls, r"<handshake>(\w*)</handshake>").group(1)
        right = hashlib.sha1(("i&d7" + SECRET).encode()).hexdigest()
        if self.mode == "proof":
            time.sleep(60)
        if self.mode == "refuse" or proof != right:
            return self.refuse(tls, "not-authorized")
        tls.sendall(b"<handshake/>")
        self.tls = tls
        return to

    def refuse(self, tls, condition, text=None):
        words = ("<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>%s</text>"
                 % text if text else "")
        tls.sendall(("<stream:error><%s xmlns='urn:ietf:params:xml:ns:"
                     "xmpp-streams'/>%s</stream:error></stream:stream>"
                     % (condition, words)).encode())
        return None

    def talk(self, tls):
        text = ""
        while True:
            data = tls.recv(4096).decode()
            if not data:
                return
            if self.mode == "mute":
                continue
            text += data
            while True:
                stanza = re.match(r"\s*(<(iq|message|presence)\b.*?</\2>)",
                                  text, re.S)
                if not stanza:
                    break
                text = text[stanza.end():]
                ping = re.search(r"id='([^']*)'", stanza.group(1))
                if "<ping xmlns=" in stanza.group(1):
                    tls.sendall(
                        ("<iq type='result' id='%s' from='tptac9.com' to='%s'/>"
                         % (ping.group(1), JID)).encode())
                else:
                    self.stanzas.append(stanza.group(1))

    def ask(self, stanza):
        """Sends a stanza and returns the first that comes back."""
        del self.stanzas[:]
        self.tls.sendall(stanza.encode())
        return wait_for("an answer", lambda: self.stanzas and self.stanzas[0])

    def close(self):
        """As a killed process: no port, no connections."""
        self.closed = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()


def free_port():
    """A port that is free on all the addresses used here."""
    while True:
        with socket.create_server((CB1, 0)) as first:
            port = first.getsockname()[1]
            try:
                for address in ("127.0.0.1", CB2, CB3):
                    socket.create_server((address, port)).close()
                return port
            except OSError:
                continue


class LocalXmppd:
    """The control socket of this node's own XMPP server."""

    def __init__(self, root, trust=None, listen=()):
        self.path = root + "/xmppd.sock"
        self.answers = {"im.xmppd.Xmpp.Trust": {"pem": trust},
                        "im.xmppd.Xmpp.Show": {"listen": list(listen)}}
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock:
                data = b""
                while not data.endswith(b"\0"):
                    more = sock.recv(4096)
                    if not more:
                        break
                    data += more
                method = json.loads(data[:-1])["method"]
                sock.sendall(json.dumps(
                    {"parameters": self.answers[method]}).encode() + b"\0")

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)


# ---- nsd ------------------------------------------------------------------


class Dns:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        self.zones = {}
        self.process = None
        self.port = self.free_port()

    @staticmethod
    def free_port():
        """nsd wants it for UDP and for TCP."""
        while True:
            port = free_port()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    pass

    def add(self, domain, *records):
        self.zones[domain] = ZONE.format(domain=domain) + "".join(records)

    def start(self):
        conf = ("server:\n ip-address: 127.0.0.1@%d\n username: \"\"\n"
                " chroot: \"\"\n zonesdir: \"%s\"\n pidfile: \"\"\n"
                " xfrdfile: \"\"\n zonelistfile: \"%s/list\"\n"
                " database: \"\"\n xfrdir: \"%s\"\n server-count: 1\n"
                "remote-control:\n control-enable: no\n"
                % (self.port, self.folder, self.folder, self.folder))
        for domain, text in self.zones.items():
            conf += "zone:\n name: %s\n zonefile: %s.zone\n" % (domain, domain)
            with open("%s/%s.zone" % (self.folder, domain), "w") as out:
                out.write(text)
        with open(self.folder + "/nsd.conf", "w") as out:
            out.write(conf)
        self.process = subprocess.Popen(
            ["/usr/sbin/nsd", "-d", "-c", self.folder + "/nsd.conf"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        # A truncated query is answered with a format error: it is up.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("127.0.0.1", self.port))

            def up():
                try:
                    probe.send(b"\x12\x34\0\0\0\1\0\0\0\0\0\0"
                               b"\x06tptac9\x03com\0\0\x06\0\1")
                    return select.select([probe], [], [], 0.1)[0] and \
                        probe.recv(512)
                except ConnectionRefusedError:
                    return False
            wait_for("nsd answers", up)

    def stop(self):
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class SilentDns:
    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]


# ---- the Call Bridge ------------------------------------------------------


class Refused(Exception):
    def __init__(self, code, text):
        super().__init__("%s: %s" % (code, text))
        self.code, self.text = code, text


class Bridge:
    count = 0

    def __init__(self, start=True):
        Bridge.count += 1
        self.root = "%s/node%d" % (WORK, Bridge.count)
        os.makedirs(self.root)
        self.process = None
        if start:
            self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, "--root", self.root], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        wait_for("control socket", lambda: self.answers() or
                 self.process.poll() is not None)
        check(self.process.poll() is None, "did not start")

    def answers(self):
        try:
            return self.call("Bridge.Show")
        except OSError:
            return None

    def call(self, method, **parameters):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10 * SLOW)
            sock.connect(self.root + "/callbridge.sock")
            if not method.startswith("org."):
                method = "im.callbridge." + method
            sock.sendall(json.dumps(
                {"method": method,
                 "parameters": parameters}).encode() + b"\0")
            data = b""
            while not data.endswith(b"\0"):
                more = sock.recv(65536)
                check(more, "the control socket was closed")
                data += more
        answer = json.loads(data[:-1])
        if "error" in answer:
            parameters = answer["parameters"]
            raise Refused(parameters.get("code", answer["error"]),
                          parameters.get("text", ""))
        return answer.get("parameters", {})

    def says(self, method, **parameters):
        """The texts of its checks."""
        checks = self.call(method, **parameters)["checks"]
        check(all(c["ok"] for c in checks), str(checks))
        return [c["text"] for c in checks]

    def configure(self, dns=None, trust="ca.crt", **settings):
        if dns is not None:
            self.says("Dns.AddForwardzone", zone=".",
                      server="127.0.0.1:%d" % dns.port)
        if trust is not None:
            self.says("Bridge.Trust", bundle=pem_file(trust))
        values = {"name": "cb1", "domain": "tptac9.com", "secret": SECRET}
        values.update(settings)
        for key, value in values.items():
            if value is not None:
                self.says("Bridge." + key.capitalize(), **{key: value})

    def status(self):
        return self.call("Bridge.Status")

    def wait_state(self, state, seconds=5.0):
        last = {}

        def reached():
            last.update(self.status())
            return last["state"] == state and dict(last)
        try:
            return wait_for(state, reached, seconds)
        except Failure as failure:
            raise Failure("%s; last: %s" % (failure, last)) from None

    def log(self):
        with open(self.root + "/callbridge.log") as lines:
            return lines.read()

    def stop(self, how=signal.SIGTERM):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(how)
        self.process.wait(10 * SLOW)

    def end(self):
        """After a test: it must have lived, and die in order."""
        if self.process is None:
            return
        check(self.process.poll() is None, "callbridge died")
        self.stop()
        output = self.process.stdout.read()
        check(self.process.returncode == 0,
              "ended with %d: %s" % (self.process.returncode, output))
        check("ERROR" not in self.log(), "errors in the log")
        check(SECRET not in self.log() + output, "the secret is in the log")


def pem_file(name):
    with open(WORK + "/pki/" + name) as file:
        return {"name": name, "pem": file.read()}


# ---- the tests ------------------------------------------------------------


class Scene:
    """What a test made, and ends with it."""

    def __init__(self):
        self.things = []

    def bridge(self, **options):
        self.things.append(Bridge(**options))
        return self.things[-1]

    def server(self, *args, **options):
        self.things.append(Server(*args, **options))
        return self.things[-1]

    def xmppd(self, *args, **options):
        self.things.append(LocalXmppd(*args, **options))
        return self.things[-1]

    def end(self):
        bridges = [t for t in self.things if isinstance(t, Bridge)]
        try:
            for bridge in bridges:
                bridge.end()
        finally:
            for bridge in bridges:
                bridge.stop(signal.SIGKILL)
            for thing in self.things:
                if not isinstance(thing, Bridge):
                    thing.close()


def not_configured_says_what_is_missing(s):
    bridge = s.bridge()
    status = bridge.status()
    check(status["state"] == "not configured", status)
    check("callbridge xmpp name" in status["reason"], status)
    bridge.says("Bridge.Name", name="CB1")
    check("callbridge xmpp domain" in bridge.status()["reason"], "domain")
    bridge.says("Bridge.Domain", domain="TPTAC9.com")
    status = bridge.status()
    check(status["state"] == "authentication failure", status)
    check("callbridge xmpp secret" in status["reason"], status)
    show = bridge.call("Bridge.Show")
    check((show["name"], show["domain"]) == ("cb1", "tptac9.com"), show)
    check(show["secret_set"] is False, show)


def it_logs_in_at_the_server_of_lowest_priority(s):
    servers = [s.server(a, PORT) for a in (CB1, CB2, CB3)]
    bridge = s.bridge()
    bridge.configure(DNS, domain="priority.com")
    status = bridge.wait_state("connected")
    check(status["server"] == "cb2.priority.com", status)
    check(status["address"] == "%s:%d" % (CB2, PORT), status)
    check(status["reason"] is None and status["next"] is None, status)
    check(abs(status["since"] - time.time()) < 10 * SLOW, status)
    told = set()
    for _ in range(12):
        told.add(bridge.status()["since"])
        time.sleep(0.1)
    check(told == {status["since"]}, "since wanders: %s" % told)
    check(servers[1].online == ["cb1.priority.com"], servers[1].online)
    check(servers[0].attempts + servers[2].attempts == 0, "tried others")


def equal_servers_share_the_load(s):
    servers = [s.server(a, PORT) for a in (CB1, CB2, CB3)]
    bridge = s.bridge()
    bridge.configure(DNS)
    seen = set()
    for _ in range(40):
        bridge.says("Bridge.Restart")
        seen.add(bridge.wait_state("connected")["server"])
        if len(seen) == 3:
            break
    check(len(seen) == 3, seen)
    wait_for("one log-in", lambda: sum(len(x.online) for x in servers) == 1)


def a_killed_server_is_left_at_once(s):
    servers = {a: s.server(a, PORT) for a in (CB1, CB2, CB3)}
    bridge = s.bridge()
    bridge.configure(DNS)
    address = bridge.wait_state("connected")["address"].split(":")[0]
    time.sleep(5.2)  # before that it counts as an attempt that failed
    servers[address].close()
    wait_for("another", lambda: any(
        x.online for a, x in servers.items() if a != address), 1.0)
    status = bridge.wait_state("connected")
    check(status["address"].split(":")[0] != address, status)
    check("connected -> trying: cb" in bridge.log(), bridge.log())


def a_silent_server_is_left_within_seconds(s):
    server = s.server(CB2, PORT)
    other = s.server(CB1, PORT)
    bridge = s.bridge()
    bridge.configure(DNS, domain="priority.com")
    bridge.wait_state("connected")
    begin = time.monotonic()
    server.mode = "mute"
    wait_for("the next server", lambda: other.online, 4.5)
    check(time.monotonic() - begin >= 2.0, "too soon")
    check("no answer to a ping within 2.0 s" in bridge.log(), bridge.log())


def dead_servers_are_passed_over(s):
    # cb2 answers no TLS, cb1 isn't there, cb3 works.
    s.server(CB2, PORT, mode="tls")
    server = s.server(CB3, PORT)
    bridge = s.bridge()
    bridge.configure(DNS, domain="priority.com")
    status = bridge.wait_state("connected", 8.0)
    check(status["server"] == "cb3.priority.com", status)
    check(server.online == ["cb1.priority.com"], server.online)
    log = bridge.log()
    check("cb2.priority.com %s:%d: no answer to the TLS handshake"
          % (CB2, PORT) in log, log)
    check("cb1.priority.com %s:%d: connection refused" % (CB1, PORT) in log,
          log)


def without_any_server_it_goes_round_for_ever(s):
    bridge = s.bridge()
    bridge.configure(DNS)
    status = bridge.wait_state("waiting")
    for name in ("cb1", "cb2", "cb3"):
        check("%s.tptac9.com 127.0.0." % name in status["reason"], status)
    check("connection refused" in status["reason"], status)
    check(status["next"] and status["next_at"], status)
    check(status["server"] is None, status)
    time.sleep(1.5)
    rounds = bridge.log().count("-> waiting")
    check(2 <= rounds <= 12, "%d rounds" % rounds)
    server = s.server(CB3, PORT)
    bridge.wait_state("connected", 12.0)
    check(server.online == [JID], server.online)


def a_wrong_certificate_gets_nothing(s):
    table = [
        ("other", "certificate not accepted: it is for other.org, not for "
                  "priority.com"),
        ("stranger", "certificate not accepted"),
    ]
    for cert, words in table:
        server = s.server(CB2, PORT, cert=cert)
        bridge = s.bridge()
        bridge.configure(DNS, domain="priority.com")
        status = bridge.wait_state("waiting")
        check(words in status["reason"], status)
        check(server.attempts > 0, "not tried")
        check(server.bytes_before_trust == 0, "sent before trusted")
        server.close()


def the_srv_target_proves_nothing(s):
    # Its certificate names cb2.priority.com, the SRV target, only.
    s.server(CB2, PORT, cert="host")
    bridge = s.bridge()
    bridge.configure(DNS, domain="priority.com")
    check("it is for cb2.priority.com, not for priority.com"
          in bridge.wait_state("waiting")["reason"], bridge.status())


def a_wrong_secret_is_an_authentication_failure(s):
    server = s.server(CB2, PORT)
    bridge = s.bridge()
    bridge.configure(DNS, domain="priority.com", secret="wrong one")
    before = time.time()
    status = bridge.wait_state("authentication failure")
    check("cb2.priority.com %s:%d: name cb1.priority.com or secret refused: "
          "not-authorized" % (CB2, PORT) in status["reason"], status)
    check(abs(status["since"] - before) <= 5 * SLOW, status)
    wait = status["next_at"] - time.time()
    check(10 < wait < 50, "next in %.0f s" % wait)
    attempts = server.attempts
    time.sleep(2)
    check(server.attempts == attempts, "retried too soon")
    # At once when the configuration changes.
    bridge.says("Bridge.Secret", secret=SECRET)
    bridge.wait_state("connected", 2.0)


def an_unknown_name_is_an_authentication_failure(s):
    s.server(CB2, PORT, mode="unknown")
    bridge = s.bridge()
    bridge.configure(DNS, domain="priority.com")
    check("host-unknown" in
          bridge.wait_state("authentication failure")["reason"], "reason")


def the_client_port_is_named_as_the_mistake(s):
    s.server(CB2, PORT, mode="client")
    bridge = s.bridge()
    bridge.configure(DNS, domain="priority.com")
    reason = bridge.wait_state("waiting")["reason"]
    check("invalid-namespace (this is the client port, components use 5223)"
          in reason, reason)


def what_isnt_answered_times_out(s):
    table = [("tls", "the TLS handshake within 2.5 s"),
             ("stream", "the stream within 2.5 s"),
             ("proof", "the log-in within 5.0 s")]
    bridges = []
    for mode, words in table:
        server = s.server(CB2, mode=mode)
        bridge = s.bridge()
        bridge.configure(server="%s:%d" % (CB2, server.port))
        bridges.append((bridge, words))
    for bridge, words in bridges:
        reason = bridge.wait_state("waiting", 8.0)["reason"]
        check("no answer to " + words in reason, reason)


def a_missing_srv_record_is_told(s):
    table = [
        ("nosrv.com", "SRV _xmpp-component._tcp.nosrv.com: no such name "
                      "(NXDOMAIN) from 127.0.0.1:%d"),
        ("dot.com", "the service is not offered (target .)"),
        ("nohost.com", "A nowhere.nohost.com: no such name (NXDOMAIN) from "
                       "127.0.0.1:%d"),
        ("refused.org", "SRV _xmpp-component._tcp.refused.org: refused or "
                        "failed (REFUSED, SERVFAIL) from 127.0.0.1:%d"),
    ]
    bridge = s.bridge()
    bridge.configure(DNS, domain=None)
    for domain, words in table:
        bridge.says("Bridge.Domain", domain=domain)
        status = bridge.wait_state("waiting")
        check((words % DNS.port if "%d" in words else words)
              in status["reason"], status)
        check(status["next_at"], status)
        try:
            bridge.call("Dns.Lookup", type="SRV",
                        name="_xmpp-component._tcp." + domain)
            check(domain in ("nohost.com", "dot.com"), "found " + domain)
        except Refused as refused:
            check(refused.text in status["reason"], refused)


def a_silent_dns_server_is_told_within_seconds(s):
    silent = SilentDns()
    bridge = s.bridge()
    begin = time.monotonic()
    bridge.configure(silent)
    words = ("SRV _xmpp-component._tcp.tptac9.com: no reply from 127.0.0.1:%d"
             % silent.port)
    reason = bridge.wait_state("waiting", 6.0)["reason"]
    check(reason == words, reason)
    check(time.monotonic() - begin < 5 * SLOW, "slow")
    try:
        bridge.call("Dns.Lookup", type="srv",
                    name="_xmpp-component._tcp.tptac9.com")
        check(False, "an answer")
    except Refused as refused:
        check((refused.code, refused.text) == ("timeout", words), refused)
    # And the right server, when it is set, is used at once.
    server = s.server(CB1, PORT)
    bridge.says("Dns.DelForwardzone", zone=".",
                server="127.0.0.1:%d" % silent.port)
    bridge.says("Dns.AddForwardzone", zone=".",
                server="127.0.0.1:%d" % DNS.port)
    bridge.wait_state("connected", 3.0)
    check(server.online == [JID], server.online)
    silent.sock.close()


def a_dead_dns_server_stops_no_fail_over(s):
    dns = Dns(WORK + "/dns2")
    dns.add("tptac9.com", *(SRV.format(i, 0, PORT, "cb%d" % i)
                            for i in (1, 2)))
    dns.start()
    try:
        first, second = s.server(CB1, PORT), s.server(CB2, PORT)
        bridge = s.bridge()
        bridge.configure(dns)
        check(bridge.wait_state("connected")["server"] == "cb1.tptac9.com",
              "first")
        time.sleep(5.2)
    finally:
        dns.stop()
    first.close()
    wait_for("the second", lambda: second.online, 1.0)


def local_records_need_no_dns(s):
    server = s.server(CB3, PORT)
    bridge = s.bridge()
    bridge.configure()
    bridge.says("Dns.AddRr", record="_xmpp-component._tcp.TPTAC9.com SRV 0 0 "
                "%d here.tptac9.com." % PORT)
    bridge.says("Dns.AddRr", record="here.tptac9.com  300 IN A " + CB3)
    bridge.wait_state("connected")
    check(server.online == [JID], server.online)
    shown = bridge.call("Dns.Show")
    check(shown["records"] == [
        "_xmpp-component._tcp.tptac9.com. IN SRV 0 0 %d here.tptac9.com."
        % PORT, "here.tptac9.com. 300 IN A " + CB3], shown)
    found = bridge.call("Dns.Lookup", type="A", name="here.tptac9.com")
    check(found == {"records": ["here.tptac9.com. 300 IN A " + CB3],
                    "server": "local records"}, found)
    for record in shown["records"]:
        bridge.says("Dns.DelRr", record=record)
    check(bridge.call("Dns.Show")["records"] == [], "records")


def a_server_that_is_set_needs_no_srv(s):
    server = s.server(CB3, PORT)
    bridge = s.bridge()
    bridge.configure(server="%s:%d" % (CB3, PORT))
    status = bridge.wait_state("connected")
    check(status["address"] == "%s:%d" % (CB3, PORT), status)
    # Cleared: by SRV, for which no DNS server is set that knows it.
    bridge.says("Dns.AddForwardzone", zone=".",
                server="127.0.0.1:%d" % DNS.port)
    bridge.says("Bridge.Server", server="cb3.tptac9.com:%d" % PORT)
    bridge.wait_state("connected")
    bridge.says("Bridge.Server", server=None)
    bridge.wait_state("connected")
    check(bridge.call("Bridge.Show")["server"] is None, "server")
    server.close()


def localhost_is_this_nodes_own_server(s):
    bridge = s.bridge(start=False)
    with open(bridge.root + "/interfaces.json", "w") as out:
        json.dump({"a": {"addresses": [CB2]}}, out)
    server = s.server(CB2, PORT)
    with open(WORK + "/pki/ca.crt") as ca:
        xmppd = s.xmppd(bridge.root, ca.read(), ["a:5222:%d" % PORT])
    bridge.start()
    bridge.configure(server="localhost", trust=None)
    status = bridge.wait_state("connected")
    check((status["server"], status["address"]) ==
          ("localhost", "%s:%d" % (CB2, PORT)), status)
    # It isn't running: that is told.
    xmppd.close()
    s.things.remove(xmppd)
    bridge.says("Bridge.Restart")
    check(bridge.wait_state("waiting")["reason"] ==
          "this node's XMPP server is not running", bridge.status())
    server.close()


def it_trusts_what_its_own_node_trusts(s):
    bridge = s.bridge(start=False)
    s.server(CB2, PORT)
    bridge.start()
    bridge.configure(DNS, domain="priority.com", trust=None)
    check("certificate not accepted" in bridge.wait_state("waiting")["reason"],
          bridge.status())
    # The XMPP server gets its certificates meanwhile: nothing to be typed.
    with open(WORK + "/pki/ca.crt") as ca:
        s.xmppd(bridge.root, ca.read())
    bridge.wait_state("connected", 12.0)


def it_waits_for_its_own_node_to_start(s):
    bridge = s.bridge(start=False)
    s.server(CB2, PORT)
    with open(WORK + "/pki/ca.crt") as ca:
        trust = ca.read()
    xmppd = s.xmppd(bridge.root, trust)
    bridge.start()
    bridge.configure(DNS, domain="priority.com", trust=None)
    bridge.wait_state("connected")
    bridge.stop()
    xmppd.close()
    s.things.remove(xmppd)
    bridge.start()
    time.sleep(0.3)
    s.xmppd(bridge.root, trust)
    bridge.wait_state("connected")
    check("not accepted" not in bridge.log(), bridge.log())


def a_listed_leaf_is_enough(s):
    s.server(CB2, PORT)
    bridge = s.bridge()
    bridge.configure(DNS, domain="priority.com", trust="good.crt")
    bridge.wait_state("connected")


def settings_survive_a_crash(s):
    server = s.server(CB2, PORT)
    bridge = s.bridge()
    bridge.configure(DNS, domain="priority.com")
    bridge.wait_state("connected")
    bridge.stop(signal.SIGKILL)
    check(os.stat(bridge.root + "/callbridge.json").st_mode & 0o777 == 0o600,
          "mode")
    bridge.start()
    bridge.wait_state("connected")
    wait_for("one session", lambda: len(server.online) == 1)


def a_second_one_in_the_same_folder_is_refused(s):
    bridge = s.bridge()
    done = subprocess.run([BINARY, "--root", bridge.root],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=10 * SLOW)
    check(done.returncode == 1 and "already running" in done.stdout and
          str(bridge.process.pid) in done.stdout, done.stdout)


def a_malformed_settings_file_stops_the_start(s):
    table = [
        ('{\n "name": "cb1",\n "domain": 7\n}', ":3: "),
        ('{\n "name": "cb1"', ":2: "),
        ('{"name": "cb1.tptac9.com"}', ":1: "),
        ('{"colour": "red"}', ":1: "),
        ('{"forwardzones": [". 10.0.0.1", "x"]}', ":1: "),
        ('{"records": ["x. IN A 10.0.0.256"]}', "records"),
        ('{"secret": ""}', ":1: "),
    ]
    bridge = s.bridge(start=False)
    path = bridge.root + "/callbridge.json"
    for text, where in table:
        with open(path, "w") as out:
            out.write(text)
        for option in ("-n", "--debug"):
            done = subprocess.run(
                [BINARY, "--root", bridge.root, option],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                timeout=10 * SLOW)
            lines = [line for line in done.stdout.splitlines()
                     if "ERROR" in line]
            check(done.returncode == 1 and len(lines) == 1 and
                  where in lines[0] and "callbridge.json" in lines[0],
                  "%s: %s" % (text, done.stdout))
        with open(path) as file:
            check(file.read() == text, "the file was changed")
    with open(path, "w") as out:
        out.write('{"name": "cb1"}')
    done = subprocess.run([BINARY, "--root", bridge.root, "-n"],
                          timeout=10 * SLOW)
    check(done.returncode == 0, "a good file")


def wrong_values_are_refused_and_change_nothing(s):
    table = [
        ("Bridge.Name", {"name": "cb1.tptac9.com"}, "without the domain"),
        ("Bridge.Name", {"name": ""}, "not a Call Bridge name"),
        ("Bridge.Name", {"name": "a b"}, "not a Call Bridge name"),
        ("Bridge.Domain", {"domain": "a b"}, "not a domain"),
        ("Bridge.Server", {"server": "a:0"}, "not a server"),
        ("Bridge.Server", {"server": "a:b"}, "not a server"),
        ("Bridge.Server", {"server": "[::1"}, "not a server"),
        ("Bridge.Server", {"server": ""}, "not a server"),
        ("Bridge.Secret", {"secret": ""}, "1 to 64"),
        ("Bridge.Secret", {"secret": "x" * 65}, "1 to 64"),
        ("Bridge.Secret", {"secret": "a\nb"}, "printable"),
        ("Dns.AddForwardzone", {"zone": "a b", "server": "10.0.0.1"},
         "not a domain"),
        ("Dns.AddForwardzone", {"zone": ".", "server": "dns"},
         "not the address"),
        ("Dns.DelForwardzone", {"zone": ".", "server": "10.0.0.1"},
         "there is no"),
        ("Dns.AddRr", {"record": "x"}, "not an A, AAAA or SRV record"),
        ("Dns.AddRr", {"record": "x A 10.0.0.256"}, "ip4 addr"),
        ("Dns.DelRr", {"record": "x A 10.0.0.1"}, "there is no"),
        ("Dns.Lookup", {"type": "mx", "name": "x"}, "a, aaaa or srv"),
        ("Dns.Lookup", {"type": "a", "name": "a..b"}, "not a DNS name"),
    ]
    bridge = s.bridge()
    before = bridge.call("Bridge.Show"), bridge.call("Dns.Show")
    for method, parameters, words in table:
        try:
            bridge.call(method, **parameters)
            check(False, "%s %s was taken" % (method, parameters))
        except Refused as refused:
            check(words in refused.text and "\n" not in refused.text, refused)
    for method in ("Bridge.Name", "Dns.AddRr"):
        try:
            bridge.call(method, name=7, frob=1)
            check(False, "taken")
        except Refused as refused:
            check("InvalidParameter" in refused.code, refused)
    answer = bridge.call("Bridge.Trust", bundle={"name": "x", "pem": "no"})
    check(not answer["checks"][-1]["ok"], answer)
    after = bridge.call("Bridge.Show"), bridge.call("Dns.Show")
    before[0].pop("uptime"), after[0].pop("uptime")
    check(before == after, after)
    check(not os.path.exists(bridge.root + "/callbridge.json"), "a file")


def a_full_disk_changes_nothing(s):
    bridge = s.bridge(start=False)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none",
                    bridge.root], check=True)
    try:
        bridge.start()
        bridge.says("Bridge.Name", name="old")
        with open(bridge.root + "/filler", "wb", buffering=0) as out:
            try:
                while True:
                    out.write(b"x" * 4096)
            except OSError:
                pass
        try:
            bridge.says("Bridge.Name", name="new")
            check(False, "taken")
        except Refused as refused:
            check(refused.code == "io" and "No space" in refused.text,
                  refused)
        check(bridge.call("Bridge.Show")["name"] == "old", "name")
        os.unlink(bridge.root + "/filler")
        bridge.says("Bridge.Name", name="new")
        bridge.end()
        bridge.process = None
    finally:
        bridge.stop(signal.SIGKILL)
        subprocess.run(["umount", bridge.root], check=True)


def it_answers_as_a_service(s):
    server = s.server(CB2, PORT)
    bridge = s.bridge()
    bridge.configure(DNS, domain="priority.com")
    bridge.wait_state("connected")
    iq = ("<iq type='get' id='q1' from='u@priority.com/r' "
          "to='cb1.priority.com'>%s</iq>")
    answer = server.ask(
        iq % "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    for part in ("type='result'", "id='q1'", "to='u@priority.com/r'",
                 "from='cb1.priority.com'", "category='component'",
                 "type='generic'", "var='jabber:iq:version'"):
        check(part in answer, answer)
    answer = server.ask(iq % "<query xmlns='jabber:iq:version'/>")
    check("<name>Call Bridge</name><version>" in answer, answer)
    answer = server.ask(iq % "<query xmlns='jabber:iq:last'/>")
    check("type='error'" in answer and "service-unavailable" in answer, answer)
    answer = server.ask("<message from='u@priority.com/r' type='chat' "
                        "to='cb1.priority.com'><body>hi</body></message>")
    check("service-unavailable" in answer, answer)


def every_method_is_as_the_interface_says(s):
    server = s.server(CB2, PORT)
    bridge = s.bridge()
    bridge.configure(DNS, domain="priority.com")
    bridge.wait_state("connected")
    methods = {}
    for part in ("Bridge", "Dns"):
        text = bridge.call("org.varlink.service.GetInterfaceDescription",
                           interface="im.callbridge." + part)["description"]
        for name, result in re.findall(
                r"^method (\w+)\([^)]*\) -> \(([^)]*)\)", text, re.M):
            methods[part + "." + name] = sorted(
                re.findall(r"(\w+):", result))
    check(len(methods) == 15, methods)
    calls = {"Dns.Lookup": {"type": "a", "name": "cb1.priority.com"},
             "Dns.AddForwardzone": {"zone": "x.org", "server": "127.0.0.1"},
             "Dns.DelForwardzone": {"zone": "x.org", "server": "127.0.0.1"},
             "Dns.AddRr": {"record": "x.org A 127.0.0.1"},
             "Dns.DelRr": {"record": "x.org A 127.0.0.1"}}
    for method, result in methods.items():
        answer = bridge.call(method, **calls.get(method, {}))
        check(sorted(answer) == result, "%s: %s" % (method, answer))
    check(bridge.status()["state"] == "not configured", "all was cleared")
    server.close()


def what_is_no_xmpp_ends_only_the_connection(s):
    server = s.server(CB2, PORT)
    bridge = s.bridge()
    bridge.configure(DNS, domain="priority.com")
    for junk in ("</wrong>", "<!DOCTYPE x>", "\0", "<a>" * 100,
                 "<message><body>" + "x" * 300000):
        bridge.wait_state("connected", 12.0)
        attempts = server.attempts
        server.tls.sendall(junk.encode())
        wait_for("a new connection", lambda: server.attempts > attempts, 12.0)
    check("the server sent what is no XMPP" in bridge.log(), bridge.log())
    bridge.wait_state("connected", 12.0)


TESTS = [f for f in list(globals().values())
         if callable(f) and getattr(f, "__module__", "") == "__main__" and
         getattr(f, "__code__", None) is not None and
         f.__code__.co_varnames[:1] == ("s",)]


def prepare():
    os.makedirs(WORK + "/pki")
    make_certificate(WORK + "/pki", "ca", [])
    domains = ["tptac9.com", "priority.com"]
    for name, names in (("good", domains), ("other", ["other.org"]),
                        ("host", ["cb2.priority.com"])):
        make_certificate(WORK + "/pki", name, names, "ca")
    make_certificate(WORK + "/pki", "ca2", [])
    make_certificate(WORK + "/pki", "stranger", domains, "ca2")
    Server.files = {
        name: ("%s/pki/%s.crt" % (WORK, name), "%s/pki/%s.key" % (WORK, name))
        for name in ("good", "other", "host", "stranger")}
    DNS.add("tptac9.com", *(SRV.format(0, 0, PORT, "cb%d" % i)
                            for i in (1, 2, 3)))
    DNS.add("priority.com", SRV.format(10, 0, PORT, "cb1"),
            SRV.format(5, 0, PORT, "cb2"), SRV.format(20, 0, PORT, "cb3"))
    DNS.add("nosrv.com")
    DNS.add("dot.com", SRV.format(0, 0, 0, "."))
    DNS.add("nohost.com", SRV.format(0, 0, PORT, "nowhere"))
    DNS.start()


def main():
    passed = failed = 0
    chosen = [t for t in TESTS
              if not sys.argv[2:] or t.__name__ in sys.argv[2:]]
    for test in chosen:
        scene = Scene()
        try:
            try:
                test(scene)
            finally:
                scene.end()
            passed += 1
        except Exception:
            failed += 1
            print("FAILED %s" % test.__name__)
            traceback.print_exc(file=sys.stdout)
            for bridge in scene.things:
                if isinstance(bridge, Bridge) and \
                        os.path.exists(bridge.root + "/callbridge.log"):
                    print(bridge.log()[-3000:])
        sys.stdout.flush()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if len(sys.argv) < 2:
    sys.exit("usage: callbridge.py BUILD [TEST...]")
BINARY = os.path.abspath(sys.argv[1]) + "/bin/callbridge"
WORK = guard.folder("callbridge.")
PORT = free_port()
DNS = Dns(WORK + "/dns")
try:
    prepare()
    status = main()
finally:
    DNS.stop()
    shutil.rmtree(WORK, ignore_errors=True)
sys.exit(status)
