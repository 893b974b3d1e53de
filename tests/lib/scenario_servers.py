"""The servers that scenarios can be played against: ours; and, to see whether a
scenario is right about the standard, Prosody and ejabberd where they are
installed. Each is started with settings of its own, on free ports."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from xmppd_node import (
    ADDRESS, DOMAIN, SLOW, Failure, Xmppd, check, free_port, header, wait_for)

COMPONENT_SECRET = "s3cret"
COMPONENTS = ("echo", "gate")  # those that other servers are told of at once


class Ours(Xmppd):
    """xmppd; what scenarios need of any server, by our control socket."""

    name = "ours"
    component_tls = True

    def __init__(self, build):
        self.domain, self.users, self.components = DOMAIN, set(), set()
        super().__init__(build)
        self.tls_port = self.port

    def need_user(self, user, password=None):
        if user in self.users:
            return
        self.users.add(user)
        self.call("User.Add", name=user, password=password or "secret-" + user)

    def need_component(self, name):
        if name not in self.components:
            self.components.add(name)
            self.call("Callbridge.AddSecret", name=name,
                      secret=COMPONENT_SECRET)
        return COMPONENT_SECRET

    def wait_open(self):
        wait_for("open ports", self.is_open)

    def check_alive(self):
        if self.process.poll() is None:
            return
        status = self.process.returncode
        log = self.log()[-3000:]
        self.start()
        self.wait_open()
        raise Failure("xmppd ended with %d:\n%s" % (status, log))


class Other:
    """A server that isn't ours."""

    component_tls = False
    domain = DOMAIN

    def __init__(self):
        self.users, self.process = set(), None
        self.dir = tempfile.mkdtemp(prefix="scenario.%s." % self.name)
        os.chmod(self.dir, 0o755)
        self.port, self.tls_port, self.component_port = (
            free_port() for _ in range(3))
        subprocess.run(
            ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
             "/CN=" + DOMAIN, "-addext", "subjectAltName=DNS:" + DOMAIN,
             "-keyout", "x.key", "-out", "x.crt"),
            cwd=self.dir, check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.chmod(self.dir + "/x.key", 0o644)
        self.begin()
        wait_for("open port", self.is_open, 60)

    def spawn(self, *command, **more):
        with open(self.dir + "/out", "a") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True, **more)

    def is_open(self):
        check(self.process.poll() is None, "%s ended: %s" % (
            self.name, self.log()[-2000:]))
        with socket.socket() as s:
            if s.connect_ex((ADDRESS, self.port)) != 0:
                return False
            s.sendall(header().encode())
            s.settimeout(1)
            try:
                return s.recv(1) != b""
            except OSError:
                return False

    def log(self):
        with open(self.dir + "/out") as out:
            return out.read()

    def call(self, method, **_):
        raise Failure("%s: %s is a call of ours" % (self.name, method))

    def need_component(self, name):
        check(name in COMPONENTS, "no such component: " + name)
        return COMPONENT_SECRET

    def check_alive(self):
        check(self.process.poll() is None, self.name + " ended")

    def remove(self):
        """The whole session of processes that it began."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                break
            try:
                self.process.wait(5 * SLOW)
            except subprocess.TimeoutExpired:
                continue
            time.sleep(0.1)
        shutil.rmtree(self.dir, ignore_errors=True)
        return 0


class Prosody(Other):
    name = "prosody"
    MODULES = (
        "roster", "saslauth", "tls", "disco", "ping", "carbons", "mam", "smacks",
        "pep", "private", "blocklist", "vcard4", "vcard_legacy", "version",
        "uptime", "time", "csi", "csi_simple", "cloud_notify", "bookmarks",
        "presence", "message", "iq", "c2s", "component", "offline", "websocket",
        "server_contact_info", "limits")

    def begin(self):
        check(shutil.which("prosody"), "prosody is not installed")
        accounts = "%s/data/%s/accounts" % (
            self.dir, DOMAIN.replace(".", "%2e"))
        os.makedirs(accounts)
        with open(self.dir + "/config.lua", "w") as config:
            config.write(f"""
run_as_root = true
pidfile = "{self.dir}/pid"
data_path = "{self.dir}/data"
log = {{ debug = "*console" }}
interfaces = {{ "{ADDRESS}" }}
c2s_ports = {{ {self.port} }}
c2s_direct_tls_ports = {{ {self.tls_port} }}
component_ports = {{ {self.component_port} }}
http_ports = {{}}
https_ports = {{}}
modules_enabled = {{ {", ".join('"%s"' % m for m in self.MODULES)} }}
modules_disabled = {{ "s2s", "posix" }}
c2s_require_encryption = true
authentication = "internal_plain"
ssl = {{ key = "{self.dir}/x.key", certificate = "{self.dir}/x.crt" }}
VirtualHost "{DOMAIN}"
""")
            for name in COMPONENTS:
                config.write('Component "%s.%s"\n\tcomponent_secret = "%s"\n' %
                             (name, DOMAIN, COMPONENT_SECRET))
        self.spawn("prosody", "-F", "--config", self.dir + "/config.lua")

    def need_user(self, user, password=None):
        """As `prosodyctl adduser` leaves it."""
        if user in self.users:
            return
        self.users.add(user)
        name = "".join(c if c.isalnum() and c.isascii() else
                       "".join("%%%02x" % b for b in c.encode()) for c in user)
        with open("%s/data/%s/accounts/%s.dat" % (
                self.dir, DOMAIN.replace(".", "%2e"), name), "w") as account:
            account.write('return { ["password"] = %s; };\n' % json.dumps(
                password or "secret-" + user))


class Ejabberd(Other):
    name = "ejabberd"
    MODULES = (
        "adhoc", "admin_extra", "blocking", "caps", "carboncopy", "client_state",
        "disco", "last", "mam", "offline", "ping", "private", "privacy",
        "pubsub", "push", "roster", "stream_mgmt", "time", "vcard", "version")

    def begin(self):
        check(shutil.which("ejabberdctl"), "ejabberd is not installed")
        options = {"mod_mam": {"default": "never"}, "mod_pubsub": {
            "plugins": ["flat", "pep"]}, "mod_roster": {"versioning": True}}
        config = {
            "hosts": [DOMAIN], "loglevel": 4, "auth_password_format": "plain",
            "certfiles": [self.dir + "/both.pem"],
            "listen": [
                {"port": self.port, "ip": ADDRESS, "module": "ejabberd_c2s",
                 "starttls": True, "starttls_required": True},
                {"port": self.tls_port, "ip": ADDRESS,
                 "module": "ejabberd_c2s", "tls": True},
                {"port": self.component_port, "ip": ADDRESS,
                 "module": "ejabberd_service", "hosts": {
                     "%s.%s" % (name, DOMAIN): {"password": COMPONENT_SECRET}
                     for name in COMPONENTS}}],
            "modules": {"mod_" + name: options.get("mod_" + name, {})
                        for name in self.MODULES}}
        with open(self.dir + "/both.pem", "w") as both:
            for part in ("x.crt", "x.key"):
                with open("%s/%s" % (self.dir, part)) as pem:
                    both.write(pem.read())
        with open(self.dir + "/ejabberd.yml", "w") as file:
            json.dump(config, file)  # which is YAML, too
        with open(self.dir + "/inetrc", "w"):
            pass
        for folder in ("spool", "logs"):
            os.mkdir("%s/%s" % (self.dir, folder))
        self.node = "scenario%d@localhost" % self.port
        with open(self.dir + "/ejabberdctl.cfg", "w") as cfg:
            cfg.write("INET_DIST_INTERFACE=127.0.0.1\n")
        if os.getuid() == 0:
            subprocess.run(("chown", "-R", "ejabberd:", self.dir), check=True)
        self.spawn(*self.ctl("foreground"))

    def ctl(self, *words):
        return ("ejabberdctl", "--node", self.node, "--config-dir", self.dir,
                "--config", self.dir + "/ejabberd.yml", "--ctl-config",
                self.dir + "/ejabberdctl.cfg", "--logs", self.dir + "/logs",
                "--spool", self.dir + "/spool") + words

    def need_user(self, user, password=None):
        if user in self.users:
            return
        self.users.add(user)
        subprocess.run(self.ctl("register", user, DOMAIN,
                                password or "secret-" + user), check=True,
                       stdout=subprocess.DEVNULL)

    def remove(self):
        subprocess.run(self.ctl("stop"), check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return super().remove()


def start(name, build):
    return Ours(build) if name == "ours" else {
        "prosody": Prosody, "ejabberd": Ejabberd}[name]()
