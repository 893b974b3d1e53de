#!/usr/bin/python3
"""mmp.py BUILD: the real shell at a pseudo-terminal, in pipes and by options.

Two stand-ins answer at the control sockets with what their interface files
say, so that every command can be tried without a network. Ends with a line
'N passed, M failed'.
"""

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import fcntl

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

import guard  # noqa: E402
import usage  # noqa: E402
from usage import longest, shortest  # noqa: E402

SLOW = 5 if os.environ.get("MMP_SANITIZED") else 1
PROMPT = b"cb1> "
CERT = None  # set by make_pki()


class Failed(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failed(what)


def equal(got, want):
    expect(got == want, "got %r, want %r" % (got, want))


# ---- stand-ins for the daemons ---------------------------------------------

class Daemon(threading.Thread):
    """Answers calls at a socket out of a table of functions."""

    def __init__(self, path, interface, answers):
        super().__init__(daemon=True)
        self.interface, self.answers, self.calls = interface, answers, []
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen(16)
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,),
                             daemon=True).start()

    def serve(self, client):
        data = b""
        while True:
            while b"\0" not in data:
                try:
                    more = client.recv(65536)
                except ConnectionError:
                    return
                if not more:
                    return
                data += more
            text, data = data.split(b"\0", 1)
            call = json.loads(text)
            try:
                for answer in self.answer(call):
                    client.sendall(json.dumps(answer).encode() + b"\0")
            except ConnectionError:
                return  # a shell that was interrupted

    def answer(self, call):
        method = call["method"][len(self.interface) + 1:]
        params = call.get("parameters") or {}
        self.calls.append((method, params))
        answer = self.answers.get(method)
        if callable(answer):
            answer = answer(params)
        if answer is None:
            answer = done(method)
        if isinstance(answer, Refusal):
            yield {"error": self.interface + ".Error",
                   "parameters": {"code": answer.code, "text": answer.text}}
            return
        parts = answer if isinstance(answer, list) else [answer]
        for part in parts[:-1]:
            if call.get("more"):
                yield {"parameters": part, "continues": True}
        yield {"parameters": parts[-1]}

    def stop(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        os.unlink(self.path)


class Refusal:
    def __init__(self, code, text):
        self.code, self.text = code, text


def check(text, ok=True):
    return {"ok": ok, "text": text}


def done(text):
    return {"checks": [check(text + " done")]}


def peer(address, leader=False, me=False, reachable=True):
    return {"address": address, "host": "cb" + address.split(".")[3][:1],
            "leader": leader, "me": me, "reachable": reachable,
            "since": 1700000000}


SHOW = {"enabled": True, "clustered": False, "domain": "tptac9.com",
        "listen": ["a", "b:5222:5224"], "websocket": ["a:443"],
        "key_file": "abhiall.key",
        "certificate_file": "abhiall.cer", "bundle_file": None,
        "trust_file": "gone.crt", "max_sessions": None,
        "plaintext_components": False, "status": "XMPP server running",
        "alarms": [], "uptime": 90061}
STATUS = {"state": "LEADER", "since": 1700000000,
          "peers": [peer("10.0.0.1:5222", leader=True, me=True),
                    peer("10.0.0.2:5222"), peer("10.0.0.3:5222")],
          "reason": None, "advice": [], "trust_file": None, "hold": 3,
          "term": 7, "applied": 120, "stored": 4096, "last_command": None}
XMPPD = {
    "Xmpp.Show": SHOW,
    "Xmpp.Enable": {"checks": [check("Domain configured"),
                               check("no certificate configured", False),
                               check("XMPP configuration not complete",
                                     False)]},
    "Xmpp.Export": [{"lines": '{"a":1}\n'}, {"lines": '{"b":2}\n'},
                    {"name": "xmpp-export.json", "accounts": 2,
                     "messages": 5}],
    "Callbridge.Add": lambda p: Refusal(
        "exists", "Callbridge %s already exists" % p["name"])
    if p["name"] == "cb9" else
    {"name": p["name"], "domain": "tptac9.com", "secret": "Abc123"},
    "Callbridge.List": {"callbridges": [
        {"name": "cb1", "domain": "tptac9.com", "secret": "S1",
         "digest": None, "connected": "10.0.0.9:1",
         "server": "10.0.0.1:5222"},
        {"name": "cb2", "domain": "tptac9.com", "secret": "S2",
         "digest": None, "connected": None, "server": None},
        {"name": "cb3", "domain": "tptac9.com", "secret": "S3",
         "digest": None, "connected": None, "server": "10.0.0.2:5222"}]},
    "User.List": [{"users": [{"name": "alice", "address": "alice@x"}]},
                  {"users": [{"name": "bob", "address": "bob@x"}]}],
    "Cluster.Status": STATUS,
    "Cluster.Join": [{"checks": [check("domain and Call Bridges are equal")]},
                     {"checks": [check("joined the cluster")]}],
    "Cluster.Remove": Refusal("unreachable", "10.0.0.9:5222 unreachable"),
}
BRIDGE = {
    "Bridge.Show": {"name": "cb1", "domain": "tptac9.com", "server": None,
                    "secret_set": True, "trust_file": None, "uptime": 5},
    "Bridge.Status": {"state": "connected", "name": "cb1",
                      "domain": "tptac9.com", "server": "cb2.tptac9.com",
                      "address": "10.0.0.2:5223", "since": 1700000000,
                      "reason": None, "next": None, "next_at": None},
    "Dns.Show": {"zones": [{"zone": "tptac9.com", "server": "10.0.0.53"}],
                 "records": ["x.tptac9.com. 3600 IN A 10.0.0.1"],
                 "servers": []},
    "Dns.Lookup": {"records": ["x. 5 IN A 10.0.0.1"], "server": "10.0.0.53"},
}


# ---- the node and its shell ------------------------------------------------

class Node:
    def __init__(self, build):
        self.program = os.path.join(os.path.abspath(build), "bin", "mmp")
        self.root = guard.folder("mmp-test-")
        self.pki = os.path.join(self.root, "pki")
        self.home = os.path.join(self.root, "home")
        os.mkdir(self.pki)
        os.mkdir(self.home)
        self.write("hostname", "cb1\n")
        self.write("interfaces.json",
                   '{"a": {"addresses": ["127.0.1.11"]}}')
        # libedit forgets the names that keys are bound to.
        self.write("leaks", "leak:libedit.so\n")
        self.env = {"HOME": self.home, "TERM": "xterm", "PATH": "/usr/bin",
                    "LC_ALL": "C.UTF-8",
                    "ASAN_OPTIONS": "fast_unwind_on_malloc=0",
                    "LSAN_OPTIONS": "print_suppressions=0:suppressions=" +
                    self.root + "/leaks"}
        self.xmppd = self.bridge = None

    def write(self, name, text):
        with open(os.path.join(self.root, name), "w") as f:
            f.write(text)

    def read(self, name):
        with open(os.path.join(self.root, name)) as f:
            return f.read()

    def start(self):
        self.xmppd = Daemon(os.path.join(self.root, "xmppd.sock"),
                            "im.xmppd", dict(XMPPD))
        self.bridge = Daemon(os.path.join(self.root, "callbridge.sock"),
                             "im.callbridge", dict(BRIDGE))

    def stop(self):
        self.xmppd.stop()
        self.bridge.stop()

    def run(self, *args, stdin="", env=None):
        """Gives (exit status, standard output, standard error)."""
        done = subprocess.run(
            [self.program, "--root", self.root] + list(args),
            input=stdin.encode(), env=dict(self.env, **(env or {})),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        return (done.returncode, done.stdout.decode(), done.stderr.decode())

    def one(self, line, stdin=""):
        return self.run("-c", line, stdin=stdin)

    def script(self, *lines):
        return self.run(stdin="".join(line + "\n" for line in lines))


def screen(data, width):
    """The lines, up to the cursor's, of a terminal that got these bytes."""
    rows, row, column = [[]], 0, 0
    for piece in re.findall(rb"\x1b\[\d*[A-Za-z]|[\s\S]", data):
        line = rows[row]
        if piece.startswith(b"\x1b["):
            count, what = piece[2:-1], piece[-1:]
            if what == b"G":
                column = int(count or 1) - 1
            elif what == b"K":
                del line[column:]
            elif what == b"C":
                column += int(count or 1)
            elif what == b"P":
                del line[column:column + int(count or 1)]
            elif what == b"A":
                row = max(0, row - int(count or 1))
        elif piece == b"\n":
            row += 1
        elif piece == b"\r":
            column = 0
        elif piece == b"\b":
            column -= 1
        elif piece >= b" ":
            if column == width:
                row, column = row + 1, 0
            while row >= len(rows):
                rows.append([])
            rows[row] += [b" "] * (column - len(rows[row]))
            rows[row][column:column + 1] = [piece]
            column += 1
        while row >= len(rows):
            rows.append([])
    return [b"".join(line).decode() for line in rows[:row + 1]]


def shown(data):
    """The last line of a terminal that got these bytes."""
    return screen(data, 10000)[-1].encode()


class Terminal:
    """The shell at a pseudo-terminal; what it wrote, as bytes."""

    def __init__(self, node, *args, width=80):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(node.program,
                      ["-mmp", "--root", node.root] + list(args), node.env)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 24, width, 0, 0))
        self.seen, self.rows = b"", 0

    def read(self, until, seconds=10):
        """What comes up to and with `until`."""
        end = time.monotonic() + seconds * SLOW
        while until not in self.seen:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise Failed("%r didn't come, but %r" % (until, self.seen))
            try:
                more = os.read(self.fd, 65536)
            except OSError:
                more = b""
            if not more:
                raise Failed("ended before %r: %r" % (until, self.seen))
            self.seen += more
        at = self.seen.index(until) + len(until)
        text, self.seen = self.seen[:at], self.seen[at:]
        return text

    def shows(self, line, seconds=10):
        """Waits until the last line is the prompt and this; gives all."""
        end = time.monotonic() + seconds * SLOW
        while shown(PROMPT + self.seen) != PROMPT + line.encode():
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise Failed("want %r, have %r" % (line, self.seen))
            self.seen += os.read(self.fd, 65536)
        text, self.seen = self.seen, b""
        return text

    def ends_with(self, rows, seconds=10):
        """Waits until the screen ends with these rows; gives all there are."""
        end = time.monotonic() + seconds * SLOW
        while True:
            seen = screen(PROMPT + self.seen, 80)
            if seen[-len(rows):] == rows and len(seen) > self.rows:
                self.rows = len(seen)
                return seen
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise Failed("want %r, have %r" % (rows, seen))
            self.seen += os.read(self.fd, 65536)

    def send(self, text):
        os.write(self.fd, text if isinstance(text, bytes) else text.encode())

    def prompt(self):
        return self.read(PROMPT)

    def command(self, line):
        """Types a line; gives what is printed before the next prompt."""
        self.send(line + "\r")
        self.read(b"\r\n")
        return self.prompt()[:-len(PROMPT)].replace(b"\r\n", b"\n").decode()

    def end(self):
        """Waits for the end; gives the exit status."""
        rest = b""
        end = time.monotonic() + 10 * SLOW
        while time.monotonic() < end:
            try:
                more = os.read(self.fd, 65536)
            except OSError:
                more = b""
            if not more:
                break
            rest += more
        os.close(self.fd)
        self.seen += rest
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.end()


def make_pki(node):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-keyout",
         node.pki + "/abhiall.key", "-out", node.pki + "/abhiall.cer",
         "-subj", "/CN=tptac9.com", "-days", "2"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.copy(node.pki + "/abhiall.cer", node.pki + "/certall.cer")


# ---- each row of the table -------------------------------------------------

def table(node):
    status, out, _ = node.run("--list-commands")
    equal(status, 0)
    return out.splitlines()


def refused(result, line):
    status, out, err = result
    expect(status == 2, "%r: exit status %d" % (line, status))
    expect(out == "", "%r: printed %r" % (line, out))
    expect(re.fullmatch(r"FAILURE: [^\n]+\n", err), "%r: %r" % (line, err))


def too_many_arguments(node):
    for line in usage.too_many(table(node)):
        refused(node.one(line), line)


def too_few_arguments(node):
    for line in usage.too_few(table(node)):
        refused(node.one(line), line)


def wrong_arguments(node):
    for line in usage.wrong(table(node)):
        refused(node.one(line), line)


def absent_daemons(node):
    """Every command of a daemon says that it isn't there, with status 3."""
    count = 0
    for pattern in table(node):
        line = longest(pattern)
        if pattern.split()[0] not in ("xmpp", "callbridge", "dns"):
            continue
        status, out, err = node.one(line, "secret\n")
        expect(status == 3, "%r: exit status %d" % (line, status))
        equal(out, "")
        err = err.replace("Enter callbridge secret: ", "")
        err = err.replace("Enter password: ", "")
        expect(re.fullmatch(r"FAILURE: (xmppd|callbridge) isn't running \("
                            r"[^\n]+\n", err), "%r: %r" % (line, err))
        count += 1
    expect(count > 40, "only %d commands" % count)


def every_call_fits_the_contract(node):
    """With stand-ins there each command gets through, both forms."""
    for pattern in table(node):
        if pattern.split()[0] not in ("xmpp", "callbridge", "dns"):
            continue
        for line in {longest(pattern), shortest(pattern)}:
            status, _, err = node.one(line, "secret\n")
            expect(status in (0, 1), "%r: %d %r" % (line, status, err))


# ---- layouts ---------------------------------------------------------------

LAYOUTS = (
    ("xmpp", 0, """\
Enabled                 : true
Clustered               : false
Domain                  : tptac9.com
Listening interfaces    : a b:5222:5224
WebSocket interfaces    : a:443
Key file                : abhiall.key
Certificate file        : abhiall.cer
CA Bundle file          : none
Max sessions per user   : unlimited
STATUS                  : XMPP server running
"""),
    ("xmpp callbridge add cb1", 0, """\
Success     : true
Callbridge  : cb1
Domain      : tptac9.com
Secret      : Abc123
"""),
    ("xmpp callBridge list", 0, """\
***
Callbridge  : cb1
Domain      : tptac9.com
Secret      : S1
***
Callbridge  : cb2
Domain      : tptac9.com
Secret      : S2
***
Callbridge  : cb3
Domain      : tptac9.com
Secret      : S3
"""),
    ("xmpp callbridge list detail", 0, """\
***
Callbridge  : cb1
Domain      : tptac9.com
Secret      : S1
Connected   : 10.0.0.9:1
***
Callbridge  : cb2
Domain      : tptac9.com
Secret      : S2
Connected   : none
***
Callbridge  : cb3
Domain      : tptac9.com
Secret      : S3
Connected   : through 10.0.0.2:5222
"""),
    ("xmpp user list", 0, "alice@x\nbob@x\n"),
    ("xmpp cluster status", 0, """\
State: LEADER
List of peers
10.0.0.1:5222 (Leader)
10.0.0.2:5222
10.0.0.3:5222
"""),
    ("xmpp cluster join 10.0.0.1", 0, """\
SUCCESS: domain and Call Bridges are equal
SUCCESS: joined the cluster
"""),
    ("xmpp enable", 1, """\
SUCCESS: Domain configured
FAILURE: no certificate configured
FAILURE: XMPP configuration not complete
"""),
    ("xmpp disable", 0, "SUCCESS: Xmpp.Disable done\n"),
    ("xmpp reset", 0, """\
SUCCESS: 2 accounts and 5 stored messages saved to xmpp-export.json in the \
pki folder
SUCCESS: Xmpp.Reset done
"""),
    ("callbridge", 0, """\
XMPP name             : cb1
XMPP domain           : tptac9.com
XMPP server           : none
XMPP shared secret    : set
XMPP trusted certs    : none
"""),
    ("callbridge status", 0,
     "XMPP connection : connected to cb2.tptac9.com 10.0.0.2:5223 as "
     "cb1.tptac9.com since 2023-11-14T22:13:20Z\n"),
    ("dns", 0, """\
Forward zones:
tptac9.com 10.0.0.53
Local records:
x.tptac9.com. 3600 IN A 10.0.0.1
Other names are asked of: none
"""),
    ("dns lookup A x", 0, "x. 5 IN A 10.0.0.1\nAnswered by 10.0.0.53\n"),
    ("pki list", 0, """\
User supplied certificates and keys:
abhiall.cer
abhiall.key
certall.cer
xmpp-export.json
"""),
    ("hostname", 0, "cb1\n"),
    ("iface a", 0, "Interface : a\nSystem    : none\nMAC       : none\n"
     "MTU       : none\nAddress   : 127.0.1.11\n"),
    ("ipv4 a", 0, "Interface : a\nAddress   : 127.0.1.11\n"
     "Gateway   : none\n"),
)


def documented_layouts(node):
    for line, status, text in LAYOUTS:
        got = node.one(line)
        equal((line,) + got, (line, status, text, ""))
    equal(node.read("pki/xmpp-export.json"), '{"a":1}\n{"b":2}\n')
    equal(os.stat(node.pki + "/xmpp-export.json").st_mode & 0o777, 0o660)
    os.unlink(node.pki + "/xmpp-export.json")
    equal(("Xmpp.Reset", {"saved": "xmpp-export.json"}),
          [c for c in node.xmppd.calls if c[0] == "Xmpp.Reset"][-1])


def no_leader_is_explained(node):
    away = "10.0.0.2:5222 not reachable since 2023-11-14T22:13:20Z"
    lost = dict(STATUS, state="NO LEADER", reason="1 of 3 nodes reachable",
                advice=[away, "start it"],
                peers=[peer("10.0.0.1:5222", me=True)])
    node.xmppd.answers["Cluster.Status"] = lost
    try:
        equal(node.one("xmpp cluster status")[1], """\
State: NO LEADER
Since: 2023-11-14T22:13:20Z
Reason: 1 of 3 nodes reachable
This server
10.0.0.1:5222
%s
start it
""" % away)
    finally:
        node.xmppd.answers["Cluster.Status"] = STATUS


def refusals_are_one_line(node):
    equal(node.one("xmpp callbridge add cb9"),
          (1, "", "FAILURE: Callbridge cb9 already exists\n"))
    # The daemon is there: what it can't reach is no reason for status 3.
    equal(node.one("xmpp cluster remove 10.0.0.9"),
          (1, "", "FAILURE: 10.0.0.9:5222 unreachable\n"))
    equal(node.one("xmpp certs nosuch.key abhiall.cer"),
          (1, "", "FAILURE: nosuch.key not found in the pki folder\n"))


def json_as_it_came(node):
    status, out, err = node.run("--json", "-c", "xmpp cluster status detail")
    equal((status, err), (0, ""))
    equal(json.loads(out), STATUS)
    status, out, _ = node.run("--json", "-c", "xmpp enable")
    equal((status, json.loads(out)), (1, XMPPD["Xmpp.Enable"]))
    status, out, _ = node.run("--json", "-c", "xmpp user list")
    equal([u["name"] for u in json.loads(out)["users"]], ["alice", "bob"])
    equal(len(out.splitlines()), 1)
    # Over SSH there are no options: it may stand behind the command.
    equal(node.one("xmpp user list --json")[1], out)
    equal(node.script("xmpp user list --json", "hostname"),
          (0, out + "cb1\n", ""))


def arguments_become_parameters(node):
    node.one("xmpp listen a b:5222:5224")
    equal(node.xmppd.calls[-1],
          ("Xmpp.Listen", {"interface": ["a", "b:5222:5224"]}))
    node.one("dns add rr x.tptac9.com. IN A 10.0.0.1")
    equal(node.bridge.calls[-1],
          ("Dns.AddRr", {"record": "x.tptac9.com. IN A 10.0.0.1"}))
    node.one("xmpp cluster hold 5")
    equal(node.xmppd.calls[-1], ("Cluster.Hold", {"seconds": 5}))
    node.one("xmpp cluster status detail")
    equal(node.xmppd.calls[-1], ("Cluster.Status", {}))
    node.one("xmpp certs abhiall.key abhiall.cer")
    method, params = node.xmppd.calls[-1]
    equal((method, sorted(params)), ("Xmpp.Certs", ["certificate", "key"]))
    equal(params["key"]["name"], "abhiall.key")
    expect("PRIVATE KEY" in params["key"]["pem"], "no key was sent")
    # What Show names is read again; a file that is gone stays as it is.
    node.one("xmpp restart")
    equal(sorted(node.xmppd.calls[-1][1]), ["certificate", "key"])


# ---- secrets ---------------------------------------------------------------

def secrets_come_from_standard_input(node):
    status, _, err = node.one("xmpp callbridge add-secret cb1", "S3cret x\r\n")
    equal((status, err), (0, "Enter callbridge secret: "))
    equal(node.xmppd.calls[-1],
          ("Callbridge.AddSecret", {"name": "cb1", "secret": "S3cret x"}))
    equal(node.one("xmpp callbridge add-secret cb1"),
          (1, "", "Enter callbridge secret: FAILURE: nothing was entered\n"))
    equal(node.one("xmpp user add alice", "pw\n")[0], 0)
    equal(node.one("xmpp user add alice", "pw\npw\n")[0], 0)
    equal(node.one("xmpp user add alice", "pw\nother\n"),
          (1, "", "Enter password: FAILURE: the two entries differ\n"))


def scripts_repeat_passwords_or_not(node):
    for repeated in ([], ["pw"]):
        lines = ["xmpp user add alice", "pw"] + repeated + ["hostname"]
        status, out, _ = node.script(*lines)
        equal((status, out), (0, "SUCCESS: User.Add done\ncb1\n"))
    status, out, _ = node.script("xmpp user add alice", "pw", "wp", "hostname")
    equal((status, out), (1, "cb1\n"))


def secrets_on_the_line_are_quoted_nowhere(node):
    result = node.one("xmpp callbridge add-secret cb1 TopS3cret")
    equal(result[0], 2)
    expect("TopS3cret" not in result[2], result[2])
    term = Terminal(node)
    term.prompt()
    term.command("xmpp callbridge add-secret cb1 TopS3cret")
    term.command("TopS3cret")
    term.send("xmpp callbridge add-secret cb1\r")
    term.read(b"Enter callbridge secret: ")
    term.send("TopS3cret\r")
    expect(b"TopS3cret" not in term.prompt(), "the secret was shown")
    term.send("\x04")
    equal(term.end(), 0)
    for name in ("audit.log", "home/.mmp_history"):
        expect("TopS3cret" not in node.read(name), "it is in " + name)


# ---- scripts ---------------------------------------------------------------

def scripts_go_on_after_errors(node):
    status, out, err = node.script(
        "# a comment", "  # another", "", "hostname # and one more",
        "no such thing", "xmpp callbridge add cb9", "hostname\r", "exit",
        "version")
    equal((status, out), (2, "cb1\ncb1\n"))
    equal(len(err.splitlines()), 2)


def scripts_take_no_abbreviations(node):
    status, _, err = node.script("hostn", "xmpp ?")
    equal(status, 2)
    expect("'?' isn't known here" in err, err)


def a_byte_order_mark_begins_a_script(node):
    equal(node.script("\ufeffhostname", "hostname"), (0, "cb1\ncb1\n", ""))
    equal(node.script("hostname", "\ufeffhostname")[0], 2)


def a_hash_in_quotes_is_no_comment(node):
    node.script('dns add rr "x. IN TXT #1" # comment')
    equal(node.bridge.calls[-1], ("Dns.AddRr", {"record": "x. IN TXT #1"}))


def a_long_line_is_refused(node):
    status, out, err = node.script("x" * 9000, "hostname")
    equal((status, out, err), (2, "cb1\n", "FAILURE: line is too long\n"))


# ---- how sshd starts it ----------------------------------------------------

def a_forced_command_runs_the_original(node):
    env = {"SSH_ORIGINAL_COMMAND": "hostname"}
    equal(node.run(env=env), (0, "cb1\n", ""))
    # ... also where mmp is the login shell that runs the ForceCommand.
    done = subprocess.run(
        [node.program, "-c", "%s --root %s" % (node.program, node.root)],
        env=dict(node.env, **env), stdout=subprocess.PIPE, timeout=30)
    equal((done.returncode, done.stdout), (0, b"cb1\n"))


def sftp_still_works(node):
    commands = "ls\nget abhiall.cer %s/fetched\nput %s/fetched up.cer\n" % (
        node.root, node.root)
    for request in ("internal-sftp", "/usr/lib/openssh/sftp-server -f AUTH"):
        wrapper = node.root + "/sftp"
        node.write("sftp", "#!/bin/sh\nexport SSH_ORIGINAL_COMMAND='%s'\n"
                   "exec %s --root %s\n" % (request, node.program, node.root))
        os.chmod(wrapper, 0o755)
        got = subprocess.run(["sftp", "-q", "-b", "-", "-D", wrapper],
                             input=commands.encode(), timeout=30,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        equal((got.returncode, got.stderr), (0, b""))
        equal(os.stat(node.pki + "/up.cer").st_mode & 0o007, 0)
        os.unlink(node.pki + "/up.cer")


def commands_are_audited(node):
    before = len(node.read("audit.log").splitlines())
    node.run("-c", "xmpp callbridge add cb1",
             env={"SSH_CONNECTION": "10.1.1.9 63290 10.1.1.1 22"})
    node.one("no such thing")
    lines = node.read("audit.log").splitlines()[before:]
    equal(len(lines), 2)
    expect(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ local0\.info cb1 "
                    r"cli\[\d+\]: User ", lines[0]), lines[0])
    expect(lines[0].endswith(
        ": User root from 10.1.1.9:63290 issued command "
        "< xmpp callbridge add cb1>: permission granted"), lines[0])
    expect(lines[1].endswith("< (not a command)>: refused"), lines[1])


def nobody_may_nothing(node):
    if os.geteuid() != 0:
        return
    os.chmod(node.root, 0o755)
    for line in ("version", "xmpp", "xmpp enable"):
        got = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
             node.program, "--root", node.root, "-c", line], env=node.env,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
        equal((got.returncode, got.stdout), (1, b""))
        equal(got.stderr, b"FAILURE: permission denied: nobody is in neither "
              b"of the groups mmp-admin and mmp-audit\n")


def options_are_checked(node):
    for args in (["--nosuch"], ["surplus"], ["-c"]):
        equal(node.run(*args)[0], 2)
    equal(node.run("--version")[1], node.one("version")[1])


# ---- at a terminal ---------------------------------------------------------

def in_terminal(test):
    """A test that gets a shell at its first prompt."""
    def run(node):
        term = Terminal(node)
        try:
            term.prompt()
            test(node, term)
        finally:
            term.kill()
    run.__name__ = test.__name__
    return run


@in_terminal
def the_prompt_is_the_last_that_is_written(node, term):
    equal(term.command("hostname"), "cb1\n")
    # Nothing follows, and nothing but text precedes it.
    expect(not select.select([term.fd], [], [], 0.3)[0], "more came")
    term.send("hostname\r")
    text = term.read(b"cb1\r\n" + PROMPT)
    expect(b"\x1b[" not in text.split(b"\r\n", 1)[1], text)


@in_terminal
def tab_completes_words(node, term):
    term.send("xm\t")
    term.shows("xmpp ")
    term.send("\x15xmpp cl\t")
    term.shows("xmpp cluster ")
    term.send("st\t\r")
    expect(b"State: LEADER" in term.prompt(), "not run")


@in_terminal
def tab_lists_what_there_is(node, term):
    term.send("xmpp ca\t")
    term.shows("xmpp callbridge ")
    term.send("\t")
    text = term.read(b"list")
    expect(b"add" in text and b"add-secret" in text and b"del" in text, text)
    term.shows("xmpp callbridge ")


@in_terminal
def tab_asks_daemons_for_names(node, term):
    term.send("xmpp user passwd a\t")
    term.shows("xmpp user passwd alice ")
    term.send("\x15xmpp callbridge del cb\t")
    term.read(b"cb1  cb2  cb3\r\n")
    term.shows("xmpp callbridge del cb")


@in_terminal
def tab_completes_files(node, term):
    term.send("xmpp certs a\t")
    term.shows("xmpp certs abhiall.key ")
    term.send("a\t")
    term.read(b"bhiall.cer ")
    term.send("\r")
    expect(b"SUCCESS" in term.prompt(), "not run")
    equal(node.xmppd.calls[-1][0], "Xmpp.Certs")


@in_terminal
def tab_puts_blanks_into_quotes(node, term):
    term.send("dns del rr x\t")
    term.shows('dns del rr "x.tptac9.com. 3600 IN A 10.0.0.1" ')
    term.send("\r")
    term.prompt()
    equal(node.bridge.calls[-1],
          ("Dns.DelRr", {"record": "x.tptac9.com. 3600 IN A 10.0.0.1"}))


@in_terminal
def a_question_mark_helps_in_place(node, term):
    term.send("xmpp cluster ?")
    text = term.read(b"through a member")
    expect(b"join" in text, text)
    term.shows("xmpp cluster ")
    term.send("join ?")
    term.read(b"<member>")
    term.shows("xmpp cluster join ")
    term.send("\x15dns add rr \"?")
    term.shows("dns add rr \"?")
    term.send("\x03")
    term.prompt()


@in_terminal
def words_may_be_abbreviated_except_to_remove(node, term):
    expect("State: LEADER" in term.command("xm cl st"), "not understood")
    text = term.command("xmpp callbridge de cb1")
    expect("removes something" in text, text)
    text = term.command("xmpp c")
    expect("could be: certs, callbridge, component, contact, cluster" in text, text)


@in_terminal
def an_error_points_at_the_word(node, term):
    text = term.command("xmpp listen a zz")
    lines = text.splitlines()
    equal(lines[0], " " * len("cb1> xmpp listen a ") + "^")
    expect(lines[1].startswith("FAILURE: xmpp listen a: 'zz'"), text)


@in_terminal
def history_comes_back(node, term):
    term.command("hostname")
    term.send("\x1b[A")
    term.shows("hostname")
    term.send("\r")
    expect(b"cb1\r\n" in term.prompt(), "not run")
    again = Terminal(node)
    again.prompt()
    again.send("\x1b[A")
    again.shows("hostname")
    again.send("\r")
    again.prompt()
    again.send("exit\r")
    equal(again.end(), 0)
    equal(os.stat(node.home + "/.mmp_history").st_mode & 0o777, 0o600)


def a_long_history_is_trimmed(node):
    path = node.home + "/.mmp_history"
    with open(path, "w") as f:
        f.write("".join("version %d\n" % i for i in range(20000)))
    term = Terminal(node)
    term.prompt()
    term.send("\x1b[A")
    term.shows("version 19999")
    term.send("\x03\x04")
    equal(term.end(), 0)
    expect(10000 < os.stat(path).st_size < 200000, "not trimmed")
    os.unlink(path)


@in_terminal
def control_c_drops_the_line(node, term):
    term.send("xmpp res")
    term.read(b"res")
    term.send("\x03")
    term.read(b"^C\r\n")
    term.prompt()
    equal(term.command("hostname"), "cb1\n")


@in_terminal
def control_c_ends_a_wait(node, term):
    release = threading.Event()

    def slow(_):
        release.wait(20)
        return done("late")
    node.xmppd.answers["Cluster.Initialize"] = slow
    del node.xmppd.calls[:]
    try:
        term.send("xmpp cluster initialize\r")
        deadline = time.monotonic() + 10 * SLOW
        while (("Cluster.Initialize", {}) not in node.xmppd.calls and
               time.monotonic() < deadline):
            time.sleep(0.01)
        term.send("\x03")
        expect(b"interrupted" in term.prompt(), "not interrupted")
    finally:
        release.set()
        del node.xmppd.answers["Cluster.Initialize"]


@in_terminal
def control_c_cancels_a_secret(node, term):
    term.send("callbridge xmpp secret\r")
    term.read(b"Enter callbridge secret: ")
    term.send("abc\x03")
    expect(b"nothing was entered" in term.prompt(), "not cancelled")
    # The terminal shows what is typed again.
    term.send("host")
    term.read(b"host")
    term.send("name\r")
    term.prompt()


@in_terminal
def a_secret_is_typed_twice(node, term):
    for second, result in (("right", b"SUCCESS"), ("wrong", b"differ")):
        term.send("callbridge xmpp secret\r")
        term.read(b"Enter callbridge secret: ")
        term.send("right\r")
        term.read(b"Enter it again: ")
        term.send(second + "\r")
        expect(result in term.prompt(), "want %r" % result)


@in_terminal
def long_lines_reach_the_command(node, term):
    names = ",".join("name%03d.tptac9.com" % i for i in range(60))
    term.send('dns add rr "x. IN TXT %s"\r' % names)
    expect(b"SUCCESS" in term.read(b"done\r\n" + PROMPT), "not run")
    equal(node.bridge.calls[-1][1], {"record": "x. IN TXT " + names})


def keys_leave_the_rows_of_a_long_line(node):
    """What ? and Tab print is below the line, which comes again below that."""
    term = Terminal(node)
    term.prompt()
    line = PROMPT.decode() + "pki selfsigned x CN:" + "abcde" * 20 + " "
    rows = [line[:80], line[80:]]
    term.send(line[len(PROMPT):])
    term.ends_with(rows)
    term.send("?")
    seen = term.ends_with(rows)
    equal(seen[0], rows[0])
    equal(seen[1], rows[1] + "?")
    expect(seen[2].startswith("  <attribute>"), seen)
    term.send("\t")
    seen = term.ends_with(rows)
    at = seen.index(rows[0], 1)
    expect(seen[at + 2].startswith("C:"), seen)
    term.send("\x03")
    seen = term.ends_with([rows[1] + "^C", PROMPT.decode()])
    equal(seen[-3], rows[0])
    term.kill()


@in_terminal
def a_pasted_script_is_run_line_by_line(node, term):
    term.send("hostname\rversion\rhostname\r")
    for _ in range(3):
        term.prompt()
    equal(term.command("hostname"), "cb1\n")


@in_terminal
def unknown_daemon_text_cannot_drive_the_terminal(node, term):
    node.xmppd.answers["Cluster.Disable"] = Refusal("failed", "a\x1b[31mb\nc")
    text = term.command("xmpp cluster disable")
    del node.xmppd.answers["Cluster.Disable"]
    equal(text, "FAILURE: a?[31mb?c\n")


def control_d_leaves(node):
    term = Terminal(node)
    term.prompt()
    term.send("\x04")
    equal(term.end(), 0)


def a_one_shot_command_prints_no_banner(node):
    term = Terminal(node, "-c", "hostname")
    equal(term.end(), 0)
    equal(term.seen, b"cb1\r\n")


def a_prompt_of_a_one_shot_command_is_on_the_terminal(node):
    term = Terminal(node, "-c", "xmpp callbridge add-secret cb1")
    term.read(b"Enter callbridge secret: ")
    term.send("abc\r")
    equal(term.end(), 0)
    equal(term.seen, b"\r\nSUCCESS: Callbridge.AddSecret done\r\n")


def expect_understands_the_shell(node):
    """An ordinary expect script, with lines longer than its terminal."""
    names = ",".join("n%d.tptac9.com" % i for i in range(30))
    node.write("x.exp", """
set timeout %d
log_user 0
spawn %s --root %s
expect -re {cb1> $} {} timeout {exit 9}
send "dns add rr \\"x. IN TXT %s\\"\\r"
expect -re {SUCCESS: Dns.AddRr done\\r\\ncb1> $} {} timeout {exit 8}
send "xmpp callbridge add-secret cb1\\r"
expect "Enter callbridge secret: " {} timeout {exit 7}
send "abc\\r"
expect -re {SUCCESS[^\\n]*\\ncb1> $} {} timeout {exit 6}
send "exit\\r"
expect eof {} timeout {exit 5}
""" % (10 * SLOW, node.program, node.root, names))
    got = subprocess.run(["expect", node.root + "/x.exp"], env=node.env,
                         stdin=subprocess.DEVNULL, timeout=120)
    equal(got.returncode, 0)


ALONE = (too_many_arguments, too_few_arguments, wrong_arguments,
         absent_daemons)
SERVED = (
    every_call_fits_the_contract, documented_layouts, no_leader_is_explained,
    refusals_are_one_line, json_as_it_came, arguments_become_parameters,
    secrets_come_from_standard_input, scripts_repeat_passwords_or_not,
    secrets_on_the_line_are_quoted_nowhere, scripts_go_on_after_errors,
    scripts_take_no_abbreviations, a_byte_order_mark_begins_a_script, a_hash_in_quotes_is_no_comment,
    a_long_line_is_refused, a_forced_command_runs_the_original,
    sftp_still_works, commands_are_audited, nobody_may_nothing,
    options_are_checked,
    the_prompt_is_the_last_that_is_written, tab_completes_words,
    tab_lists_what_there_is, tab_asks_daemons_for_names, tab_completes_files,
    a_question_mark_helps_in_place,
    words_may_be_abbreviated_except_to_remove, an_error_points_at_the_word,
    history_comes_back, a_long_history_is_trimmed,
    tab_puts_blanks_into_quotes, control_c_drops_the_line, control_c_ends_a_wait,
    control_c_cancels_a_secret, a_secret_is_typed_twice,
    long_lines_reach_the_command, keys_leave_the_rows_of_a_long_line,
    a_pasted_script_is_run_line_by_line,
    unknown_daemon_text_cannot_drive_the_terminal, control_d_leaves,
    a_one_shot_command_prints_no_banner,
    a_prompt_of_a_one_shot_command_is_on_the_terminal,
    expect_understands_the_shell,
)


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    only = sys.argv[2:]
    passed = failed = 0
    node = Node(build)
    try:
        make_pki(node)
        for test in ALONE + SERVED:
            if test is SERVED[0]:
                node.start()
            if only and test.__name__ not in only:
                continue
            try:
                test(node)
                passed += 1
            except (Failed, OSError, subprocess.SubprocessError) as why:
                failed += 1
                print("%s: %s" % (test.__name__, why), flush=True)
    finally:
        if node.xmppd:
            node.stop()
        shutil.rmtree(node.root)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


main()
