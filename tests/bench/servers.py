"""The servers that are measured: each alone on its core, with the same
certificate and the same accounts."""

import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TREE, "tests", "lab"))

import machine  # noqa: E402  (the lab's tools)

DOMAIN, PASSWORD = "bench.example", "correct-horse-battery"
ADDRESS = "127.0.0.1"


def free_port():
    with socket.socket() as s:
        s.bind((ADDRESS, 0))
        return s.getsockname()[1]


def run(*command, **more):
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL, text=True, **more)
    if done.returncode != 0:
        sys.exit("bench: %s: %s" % (" ".join(command), done.stdout.strip()))
    return done.stdout


def make_certificate(folder):
    """A self-signed one on P-256, which is its own bundle."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
        "/CN=" + DOMAIN, "-addext", "subjectAltName=DNS:" + DOMAIN,
        "-keyout", folder + "/bench.key", "-out", folder + "/bench.cer")


class Server:
    """One process, pinned to a core, and what it has used."""

    def __init__(self, folder, core):
        self.dir = "%s/%s" % (folder, self.name)
        self.shared, self.core, self.process = folder, core, None
        self.port = free_port()
        os.makedirs(self.dir)

    def spawn(self, *command):
        self.process = machine.spawn(
            ["taskset", "-c", str(self.core)] + list(command),
            self.dir + "/out")
        # taskset becomes the program.
        machine.wait_for(lambda: machine.accepts(ADDRESS, self.port) or
                         not machine.alive(self.process), 30, self.name)
        if not machine.alive(self.process):
            with open(self.dir + "/out") as out:
                sys.exit("bench: %s ended: %s" % (self.name, out.read()))

    def stop(self):
        if self.process is not None:
            machine.end([self.process])
        self.process = None

    def cpu_us(self):
        """Time on the core, all threads."""
        total = 0
        base = "/proc/%d/task" % self.process[0]
        for thread in os.listdir(base):
            with open("%s/%s/schedstat" % (base, thread)) as stat:
                total += int(stat.read().split()[0])
        return total / 1000

    def memory_kb(self):
        """(resident, proportional)"""
        with open("/proc/%d/smaps_rollup" % self.process[0]) as rollup:
            text = rollup.read()
        return tuple(int(re.search(r"^%s:\s+(\d+) kB" % what, text,
                                   re.M).group(1)) for what in ("Rss", "Pss"))


class Prosody(Server):
    name = "prosody"

    CONFIG = """
run_as_root = true
pidfile = "%(dir)s/pid"
data_path = "%(dir)s/data"
log = { warn = "%(dir)s/log" }
interfaces = { "%(address)s" }
c2s_ports = { %(port)d }
c2s_direct_tls_ports = {}
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping" }
modules_disabled = { "s2s" }
c2s_require_encryption = true
authentication = "internal_hashed"
VirtualHost "%(domain)s"
	ssl = { key = "%(shared)s/bench.key",
	    certificate = "%(shared)s/bench.cer" }
"""

    @staticmethod
    def install():
        run("tests/lab/deps", "prosody", cwd=TREE)
        if shutil.which("systemctl"):
            subprocess.run(["systemctl", "-q", "disable", "prosody"],
                           stderr=subprocess.DEVNULL, check=False)

    def start(self, users):
        self.make_accounts(users)
        with open(self.dir + "/config.lua", "w") as config:
            config.write(self.CONFIG % {
                "dir": self.dir, "shared": self.shared, "port": self.port,
                "address": ADDRESS, "domain": DOMAIN})
        self.spawn("prosody", "-F", "--config", self.dir + "/config.lua")

    def make_accounts(self, users):
        """As `prosodyctl adduser` leaves them, which takes a second each."""
        folder = "%s/data/%s/accounts" % (
            self.dir, DOMAIN.replace(".", "%2e"))
        os.makedirs(folder)
        salt, count = "bench-salt", 10000
        salted = hashlib.pbkdf2_hmac(
            "sha1", PASSWORD.encode(), salt.encode(), count)
        client = hmac.digest(salted, b"Client Key", "sha1")
        text = "return {\n" + "".join('\t["%s"] = %s;\n' % row for row in (
            ("iteration_count", count), ("salt", '"%s"' % salt),
            ("stored_key", '"%s"' % hashlib.sha1(client).hexdigest()),
            ("server_key", '"%s"' % hmac.digest(
                salted, b"Server Key", "sha1").hex()))) + "};\n"
        for number in range(users):
            with open("%s/user%d.dat" % (folder, number), "w") as account:
                account.write(text)


class Ejabberd(Server):
    """Erlang's machine itself, without the shell around it."""

    name = "ejabberd"

    @staticmethod
    def install():
        run("tests/lab/deps", "ejabberd", cwd=TREE)
        if shutil.which("systemctl"):
            subprocess.run(["systemctl", "-q", "disable", "ejabberd"],
                           stderr=subprocess.DEVNULL, check=False)

    def start(self, users):
        api = free_port()
        with open(self.dir + "/both.pem", "w") as both:
            for part in ("bench.cer", "bench.key"):
                with open("%s/%s" % (self.shared, part)) as pem:
                    both.write(pem.read())
        with open(self.dir + "/ejabberd.yml", "w") as config:
            json.dump({  # which is YAML, too
                "hosts": [DOMAIN], "loglevel": 2,
                "auth_password_format": "scram", "auth_scram_hash": "sha",
                "certfiles": [self.dir + "/both.pem"],
                "listen": [
                    {"port": self.port, "ip": ADDRESS, "shaper": "none",
                     "module": "ejabberd_c2s", "starttls": True,
                     "starttls_required": True},
                    {"port": api, "ip": ADDRESS, "module": "ejabberd_http",
                     "request_handlers": {"/api": "mod_http_api"}}],
                "api_permissions": {"local": {
                    "who": {"ip": ADDRESS + "/8"}, "what": ["register"]}},
                "modules": {"mod_" + name: {} for name in (
                    "roster", "disco", "ping", "offline", "http_api")},
            }, config)
        self.spawn(
            "env", "EJABBERD_CONFIG_PATH=%s/ejabberd.yml" % self.dir,
            "EJABBERD_LOG_PATH=%s/ejabberd.log" % self.dir,
            "ERL_LIBS=" + self.libraries(), "HOME=" + self.dir,
            # Otherwise it waits busily for what comes next.
            "erl", "-noinput", "+K", "true", "+P", "250000", "+sbwt", "none",
            "+sbwtdcpu", "none", "+sbwtdio", "none", "-mnesia", "dir",
            '"%s/spool"' % self.dir, "-s", "ejabberd")
        self.make_accounts(api, users)

    @staticmethod
    def libraries():
        with open(shutil.which("ejabberdctl")) as script:
            return re.search(r"^ERL_LIBS='(.*)'$", script.read(), re.M).group(1)

    @staticmethod
    def make_accounts(api, users):
        machine.wait_for(lambda: machine.accepts(ADDRESS, api), 30, "the API")
        server = http.client.HTTPConnection(ADDRESS, api)
        for number in range(users):
            server.request("POST", "/api/register", json.dumps({
                "user": "user%d" % number, "host": DOMAIN,
                "password": PASSWORD}),
                {"Content-Type": "application/json"})
            answer = server.getresponse()
            text = answer.read()
            if answer.status != 200:
                sys.exit("bench: ejabberd: user%d: %s" % (number, text))


class Relay(Server):
    """No server: moves bytes. What all this costs at the least."""

    name = "relay"
    build = None  # set by who uses it

    @staticmethod
    def install():
        pass

    def start(self, users):
        self.spawn(self.build + "/bench/relay", ADDRESS, str(self.port),
                   self.shared + "/bench.key", self.shared + "/bench.cer")


class Xmppd(Server):
    """Made once, with its accounts; each start has a copy of that."""

    name = "xmppd"
    archive = "never"
    build = None     # set by who uses it
    template = None  # (folder, port, how many accounts)

    @staticmethod
    def install():
        pass

    def start(self, users):
        kind = type(self)
        if kind.template is None or kind.template[2] < users:
            self.make_template(users)
        folder, self.port, _ = kind.template
        shutil.rmtree(self.dir)
        shutil.copytree(folder, self.dir,
                        ignore=shutil.ignore_patterns("*.sock", "*.pid"))
        self.spawn(self.build + "/bin/xmppd", "--root", self.dir)

    def make_template(self, users):
        folder = "%s/template-%s" % (
            os.path.dirname(os.path.dirname(self.dir)), self.name)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder + "/pki")
        for name in ("bench.key", "bench.cer"):
            shutil.copy("%s/%s" % (self.shared, name), folder + "/pki")
        with open(folder + "/interfaces.json", "w") as interfaces:
            json.dump({"a": {"addresses": [ADDRESS]}}, interfaces)
        process = machine.spawn(
            [self.build + "/bin/xmppd", "--root", folder], folder + "/out")
        try:
            machine.wait_for(lambda: machine.answers(folder + "/xmppd.sock"),
                             20, self.name)
            for line in ("xmpp domain " + DOMAIN,
                         "xmpp listen a:%d:%d" % (self.port, free_port()),
                         "xmpp certs bench.key bench.cer",
                         "xmpp archive " + self.archive, "xmpp enable"):
                run(self.build + "/bin/mmp", "--root", folder, "-c", line)
            add_accounts(folder, users)
        finally:
            machine.end([process])
        type(self).template = folder, self.port, users


class Archiving(Xmppd):
    """Keeps each message for both who exchange it."""

    name = "+archive"
    archive = "always"
    template = None


def add_accounts(folder, users):
    """`xmpp user add`, without a shell for each."""
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(folder + "/xmppd.sock")
        answers = control.makefile("rb")
        for number in range(users):
            control.sendall(json.dumps({
                "method": "im.xmppd.User.Add", "parameters": {
                    "name": "user%d" % number, "password": PASSWORD},
            }).encode() + b"\0")
            answer = json.loads(read_message(answers))
            if "error" in answer:
                sys.exit("bench: user%d: %s" % (number, answer))


def read_message(stream):
    """Up to the NUL."""
    message = b""
    while True:
        byte = stream.read(1)
        if byte in (b"", b"\0"):
            return message
        message += byte


class Load:
    """A run of the load generator on the other core."""

    def __init__(self, build, core, arguments):
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        self.child = subprocess.Popen(
            pinned + [build + "/bench/load"] + [str(a) for a in arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            bufsize=1)

    def line(self):
        line = self.child.stdout.readline()
        if line == "":
            sys.exit("bench: the load ended")
        return line.strip()

    def wait_ready(self):
        while self.line() != "ready":
            pass

    def go(self):
        self.child.stdin.write("go\n")
        self.child.stdin.flush()

    def result(self):
        line = self.line()
        while not line.startswith("{"):
            line = self.line()
        return json.loads(line)

    def stop(self):
        self.child.kill()
        self.child.wait()


def settle(server, seconds=10):
    """Until a server has used next to nothing for a second."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        before = server.cpu_us()
        time.sleep(1)
        if server.cpu_us() - before < 5000:
            return
