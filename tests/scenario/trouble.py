#!/usr/bin/python3
"""trouble.py BUILD: what goes wrong on one node besides its clients: settings
edited by hand, ports in use, a full disk, folders without permission, damaged
files, garbage on the ports. One clear line, the right exit status, everything
as it was, and no daemon ends but for its own disk.

Ends with a line 'N passed, M failed'.
"""

import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

import guard  # noqa: E402

SLOW = 4 if os.environ.get("MMP_SANITIZED") else 1
ADDRESS = "127.0.0.1"
DOMAIN = "example.org"
PROGRAMS = ("xmppd", "callbridge")
NO_OVERRIDE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


class Failure(Exception):
    pass


def check(condition, *what):
    if not condition:
        raise Failure(" ".join(str(w) for w in what))


def wait_for(what, ready, seconds=5):
    end = time.monotonic() + seconds * SLOW
    while not ready():
        check(time.monotonic() < end, "not within %d s: %s" % (seconds, what))
        time.sleep(0.02)


def free_ports():
    with socket.socket() as one, socket.socket() as two:
        one.bind((ADDRESS, 0))
        two.bind((ADDRESS, 0))
        return one.getsockname()[1], two.getsockname()[1]


class Node:
    """Both daemons and the shell, with an enabled server."""

    def __init__(self, build):
        self.build = build
        self.root = guard.folder("trouble.")
        self.processes = {}
        self.port, self.component_port = free_ports()
        os.mkdir(self.path("pki"), 0o700)
        self.write("interfaces.json", {"a": {"addresses": [ADDRESS]}})
        for program in PROGRAMS:
            self.start(program)
        self.done("pki selfsigned x CN:" + DOMAIN)
        self.done("xmpp domain " + DOMAIN)
        self.done("xmpp listen " + self.listen)
        self.done("xmpp certs x.key x.crt")
        self.done("xmpp enable")
        self.done("xmpp user add ann", "secret\n")
        self.done("callbridge xmpp name cb1")

    @property
    def listen(self):
        return "a:%d:%d" % (self.port, self.component_port)

    def path(self, name):
        return os.path.join(self.root, name)

    def read(self, name):
        with open(self.path(name)) as kept:
            return kept.read()

    def write(self, name, content):
        if not isinstance(content, str):
            content = json.dumps(content)
        with open(self.path(name), "w") as out:
            out.write(content)

    def spawn(self, program, *more):
        return subprocess.Popen(
            list(more) + ["%s/bin/%s" % (self.build, program), "--root",
                          self.root], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # A write beyond the limit of size shall fail, not kill.
            preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
            restore_signals=False)

    def start(self, program, *more):
        process = self.spawn(program, *more)
        self.processes[program] = process

        def answers():
            check(process.poll() is None, program, "ended")
            with socket.socket(socket.AF_UNIX) as control:
                return control.connect_ex(
                    self.path(program + ".sock")) == 0
        wait_for(program, answers)

    def stop(self, program):
        process = self.processes.pop(program)
        if process.poll() is None:
            process.terminate()
        said = process.communicate(timeout=20 * SLOW)
        return process.returncode, said[1]

    def restart(self, program, *more):
        self.stop(program)
        self.start(program, *more)

    def refuses(self, program, *more):
        """Doesn't start; gives what it says in its last line but one."""
        process = self.spawn(program, *more)
        try:
            _, said = process.communicate(timeout=20 * SLOW)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Failure(program, "started") from None
        check(process.returncode == 1, "status", process.returncode, said)
        errors = [line for line in said.splitlines() if " ERROR : " in line]
        check(len(errors) == 1, "not one line:", said)
        return errors[0]

    def ask(self, line, typed=""):
        done = subprocess.run(
            [self.build + "/bin/mmp", "--root", self.root, "-c", line],
            input=typed, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, timeout=60 * SLOW)
        return done.returncode, done.stdout, done.stderr

    def done(self, line, typed=""):
        status, out, err = self.ask(line, typed)
        check(status == 0, line, out, err)
        return out

    def refused(self, line, pattern, typed=""):
        """Ends with 1 and this as its last line."""
        status, out, err = self.ask(line, typed)
        last = (out + err).splitlines()[-1]
        check(status == 1, line, "ended with", status, out, err)
        check(re.search("FAILURE: .*" + pattern, last), line, "said", last)

    def status(self):
        return re.search(r"^STATUS +: (.*)$", self.done("xmpp"), re.M).group(1)

    def shown(self):
        """All that an administrator can set."""
        return [self.done(line) for line in (
            "xmpp", "xmpp callbridge", "xmpp user list", "callbridge", "dns",
            "hostname", "pki list")]

    def alive(self):
        for program, process in self.processes.items():
            check(process.poll() is None, program, "ended")

    def is_served(self):
        with socket.socket() as client:
            if client.connect_ex((ADDRESS, self.port)) != 0:
                return False
            client.settimeout(5 * SLOW)
            try:
                client.sendall(b"<stream:stream xmlns='jabber:client' "
                               b"xmlns:stream='http://etherx.jabber.org/"
                               b"streams' to='example.org' version='1.0'>")
                return client.recv(1) != b""
            except OSError:
                return False

    def remove(self):
        for program in list(self.processes):
            self.stop(program)
        shutil.rmtree(self.root)


# ---- settings edited by hand ----------------------------------------------

SETTINGS = (
    ("xmppd.json", "{", r"xmppd\.json:1: "),
    ("xmppd.json", "", r"xmppd\.json:1: "),
    ("xmppd.json", "[]", r"xmppd\.json:1: no object of settings"),
    ("xmppd.json", '{\n"nope": 1}', r'json:2: no setting is called "nope"'),
    ("xmppd.json", '{"enabled": "yes"}', r'"enabled" has to be true or false'),
    ("xmppd.json", '{"listen": ["zz"]}', r'"listen": not an interface'),
    ("xmppd.json", '{"listen": ["a:1:1"]}', r'"listen": .*different ports'),
    ("xmppd.json", '{"enabled": true, "enabled": true}', "duplicate"),
    ("instance.json", "{", r"instance\.json:1: "),
    ("instance.json", "{}", r"instance\.json: not an instance file"),
    ("callbridge.json", "{", r"callbridge\.json:1: "),
    ("callbridge.json", '{"name": "a b"}', r'"name": a b is malformed'),
    ("callbridge.json", '{"server": "a:b:c"}', r'"server": .*a:b:c'),
    ("callbridge.json", '{"secret": ""}', r'"secret": a secret has 1 to 64'),
    ("callbridge.json", '{"trust": "no PEM"}', r'"trust": .*no certificate'),
    ("callbridge.json", '{"forwardzones": ["x 1.2.3"]}', "x 1.2.3 is malf"),
    ("callbridge.json", '{"records": ["x"]}', "not an A, AAAA or SRV record"),
)


def malformed_settings_are_named(node):
    """With file and line, by the daemon that then doesn't start; it touches
    nothing."""
    for program in PROGRAMS:
        node.stop(program)
    for name, text, pattern in SETTINGS:
        before = node.read(name)
        program = "callbridge" if "callbridge" in name else "xmppd"
        node.write(name, text)
        line = node.refuses(program)
        check(re.search(pattern, line), repr(text), "gives", line)
        check(name in line, "no file is named:", line)
        check(node.read(name) == text, "changed", name)
        node.write(name, before)
    for program in PROGRAMS:
        node.start(program)
    wait_for("service", node.is_served)


def secrets_of_settings_are_not_told(node):
    node.stop("callbridge")
    before = node.read("callbridge.json")
    node.write("callbridge.json", {"secret": "TopSecret" * 10})
    check("TopSecret" not in node.refuses("callbridge"), "told")
    node.write("callbridge.json", before)
    node.start("callbridge")


def broken_interfaces_are_told_and_waited_for(node):
    """Installation data that is wrong ends nothing; put right, it serves."""
    right = node.read("interfaces.json")
    before = node.done("xmpp")
    for text, pattern in (
            ('{"a": 5}', '"a" must be'),
            ('{"a": {"addresses": ["1.2.3"]}}', "not an address: 1.2.3"),
            ('{"a": {"interface": "nosuch0"}}', "nosuch0.* has no address"),
            ('{"b": {"addresses": ["%s"]}}' % ADDRESS, "no interface a"),
            ("{", r"interfaces\.json: line 1")):
        node.write("interfaces.json", text)
        node.refused("xmpp listen " + node.listen, pattern)
        check(node.is_served(), "the old listener is gone")
    node.restart("xmppd")
    check(re.search("not running: .*interfaces.json: line 1", node.status()),
          node.status())
    node.write("interfaces.json", right)
    wait_for("service", node.is_served, 20)
    check(node.done("xmpp") == before, node.done("xmpp"))


# ---- ports ----------------------------------------------------------------

def interfaces_are_checked_before_they_are_set(node):
    before = node.shown()
    node.refused("xmpp listen %s %s" % (node.listen, node.listen.upper()),
                 "interface %s is given twice" % node.listen)
    node.refused("xmpp listen %s b" % node.listen, "there is no interface b")
    node.refused("xmpp listen none", "run 'xmpp disable' first")
    check(node.shown() == before, "changed")
    node.done("xmpp listen " + node.listen.upper())
    check(node.shown() == before, "not as it is written everywhere")


def a_port_in_use_is_named_with_its_holder(node):
    node.done("xmpp disable")
    before = node.shown()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((ADDRESS, node.component_port))
        other.listen(1)
        node.refused("xmpp enable", r"%s:%d is in use by .*\(pid %d\)" % (
            ADDRESS, node.component_port, os.getpid()))
        check(node.shown() == before, "changed")
        check(not node.is_served(), "half enabled")
    node.done("xmpp enable")
    wait_for("service", node.is_served)
    before = node.shown()
    port, component_port = free_ports()
    with socket.socket() as other:
        other.bind((ADDRESS, port))
        other.listen(1)
        node.refused("xmpp listen a:%d:%d" % (port, component_port),
                     "in use by")
        check(node.shown() == before, "changed")
        check(node.is_served(), "the old ports are gone")


def a_port_in_use_at_the_start_is_waited_for(node):
    node.stop("xmppd")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((ADDRESS, node.port))
        other.listen(1)
        node.start("xmppd")
        wait_for("the reason", lambda: "in use by" in node.status())
    wait_for("service", node.is_served, 20)
    check(node.status() == "XMPP server running", node.status())


# ---- disks ----------------------------------------------------------------

# Each writes a file of its own or a daemon's.
WRITING = (
    ("xmpp listen a", ""), ("xmpp disable", ""),
    ("xmpp certs x.key x.crt", ""), ("xmpp cluster trust x.crt", ""),
    ("xmpp component plaintext enable", ""),
    ("callbridge xmpp name other", ""), ("callbridge xmpp name none", ""),
    ("callbridge xmpp domain example.com", ""),
    ("callbridge xmpp server cb2", ""), ("callbridge xmpp secret", "secret\n"),
    ("callbridge trust xmpp x.crt", ""),
    ("dns add forwardzone example.com 10.1.1.1", ""),
    ("dns add rr a.example.com A 10.1.1.1", ""),
)


def limit(process, size):
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE,
                     (size, resource.RLIM_INFINITY))


def a_full_disk_changes_no_setting(node):
    """The disk is full for the daemons: no file of theirs may grow."""
    before = node.shown()
    files = {name: node.read(name) for name in (
        "xmppd.json", "callbridge.json")}
    for process in node.processes.values():
        limit(process, 0)
    for line, typed in WRITING:
        node.refused(line, "File too large; nothing was changed", typed)
        node.alive()
    check(node.shown() == before, "changed:", node.shown(), "from", before)
    for name, text in files.items():
        check(node.read(name) == text, "changed", name)
    left = [name for name in os.listdir(node.root) if name.endswith(".new")]
    check(left == [], "left behind:", left)
    for process in node.processes.values():
        limit(process, resource.RLIM_INFINITY)
    node.done("callbridge xmpp name cb1")
    check(node.shown() == before, "changed")


def a_full_disk_loses_nothing_that_was_confirmed(node):
    """In the store a full disk ends the server; it comes back whole."""
    node.done("xmpp callbridge add kept")
    kept = node.done("xmpp callbridge")
    limit(node.processes["xmppd"], 0)
    status, _, err = node.ask("xmpp callbridge add lost")
    check(status == 1 and "FAILURE: " in err, status, err)
    wait_for("end", lambda: node.processes["xmppd"].poll() is not None)
    check(node.processes["xmppd"].returncode > 0, "ended by a signal")
    node.restart("xmppd")
    wait_for("leader", lambda: node.ask("xmpp user list")[0] == 0)
    check(node.done("xmpp callbridge").startswith(kept), "lost")
    check("ann@" in node.done("xmpp user list"), "the account is lost")
    wait_for("service", node.is_served)


def without_permission(node, name, mode, act):
    """With a file or folder of the node's as if it were somebody else's."""
    path = node.path(name)
    before = os.stat(path).st_mode
    os.chmod(path, mode)
    try:
        act()
    finally:
        os.chmod(path, before)


def a_folder_without_permission_changes_no_setting(node):
    for program in PROGRAMS:
        node.restart(program, *NO_OVERRIDE)
    wait_for("service", node.is_served)
    before = node.shown()

    def act():
        for line, typed in WRITING:
            node.refused(line, "Permission denied; nothing was changed", typed)
            node.alive()
    without_permission(node, "", 0o500, act)
    check(node.shown() == before, "changed")
    for program in PROGRAMS:
        node.restart(program)


def files_without_permission_are_named(node):
    """By the one line of a daemon that doesn't start."""
    for program in PROGRAMS:
        node.stop(program)
    data = [name for name in os.listdir(node.root) if name.startswith("data-")]
    check(len(data) == 1, data)
    for program, name, mode in (
            ("xmppd", "xmppd.json", 0), ("xmppd", "instance.json", 0),
            ("xmppd", data[0], 0), ("xmppd", data[0] + "/raft.db", 0),
            ("xmppd", data[0] + "/state.db", 0),
            ("callbridge", "callbridge.json", 0)):
        def act():
            line = node.refuses(program, *NO_OVERRIDE)
            check(name in line, name, "isn't in", line)
        without_permission(node, name, mode, act)
    for program in PROGRAMS:
        node.start(program)
    wait_for("service", node.is_served)


def damaged_files_are_named(node):
    node.stop("xmppd")
    data = [name for name in os.listdir(node.root)
            if name.startswith("data-")][0]
    shutil.copytree(node.path(data), node.path("saved"))
    for name in ("raft.db", "state.db"):
        for content in (random.Random(1).randbytes(5000), b"SQLite format 3"):
            with open(node.path("%s/%s" % (data, name)), "wb") as out:
                out.write(content)
            line = node.refuses("xmppd")
            check("%s/%s" % (data, name) in line, line)
        shutil.rmtree(node.path(data))
        shutil.copytree(node.path("saved"), node.path(data))
    shutil.rmtree(node.path("saved"))
    node.start("xmppd")
    check("ann@" in node.done("xmpp user list"), "the account is lost")
    wait_for("service", node.is_served)


def a_second_daemon_is_refused(node):
    for program in PROGRAMS:
        line = node.refuses(program)
        check("already running in %s (process %d)" % (
            node.root, node.processes[program].pid) in line, line)
    node.alive()


# ---- garbage --------------------------------------------------------------

def garbage(node, port, alpn, data, tls):
    sock = socket.create_connection((ADDRESS, port), 5 * SLOW)
    try:
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            if alpn:
                context.set_alpn_protocols([alpn])
            sock = context.wrap_socket(sock, server_hostname=DOMAIN)
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass
    except OSError:
        pass  # a reset is an answer, too
    finally:
        sock.close()


def garbage_ends_its_own_connection_only(node):
    rnd = random.Random(20)
    header = (b"<stream:stream xmlns='jabber:client' xmlns:stream='http://"
              b"etherx.jabber.org/streams' to='example.org' version='1.0'>")
    for length in (1, 2, 5, 100, 5000, 40000):
        for before in (b"", b"<", b"\x16\x03\x01", header):
            data = before + rnd.randbytes(length)
            for port in (node.port, node.component_port):
                garbage(node, port, None, data, False)
                garbage(node, port, None, data, True)
            garbage(node, node.port, "mmp-cluster/1", data, True)
            garbage(node, node.port, "xmpp-client", data, True)
    node.alive()
    check(node.is_served(), "serves no more")


TESTS = (
    a_second_daemon_is_refused, garbage_ends_its_own_connection_only,
    malformed_settings_are_named, secrets_of_settings_are_not_told,
    broken_interfaces_are_told_and_waited_for,
    interfaces_are_checked_before_they_are_set,
    a_port_in_use_is_named_with_its_holder,
    a_port_in_use_at_the_start_is_waited_for,
    a_full_disk_changes_no_setting,
    a_full_disk_loses_nothing_that_was_confirmed,
    a_folder_without_permission_changes_no_setting,
    files_without_permission_are_named, damaged_files_are_named,
)


def main():
    build = os.path.abspath(sys.argv[1])
    only = sys.argv[2:]
    passed = failed = 0
    node = Node(build)
    try:
        for test in TESTS:
            if only and test.__name__ not in only:
                continue
            try:
                test(node)
                passed += 1
            except Exception:
                failed += 1
                print("%s:" % test.__name__)
                traceback.print_exc(file=sys.stdout)
                sys.stdout.flush()
                node.remove()
                node = Node(build)
    finally:
        node.remove()
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


main()
