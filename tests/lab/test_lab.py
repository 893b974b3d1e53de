#!/usr/bin/python3
"""test_lab.py BUILD [CASE...]: the appliances as their users meet them: over
real SSH, SFTP, DNS and TLS, with clients that nobody here wrote, while nodes
die.

The cases run one after the other on one lab, and each leaves three healthy
nodes. After one that failed, the lab is built anew. Says what failed; the last
line is 'N passed, M failed'.
"""

import asyncio
import inspect
import os
import pty
import re
import select
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import traceback

import slixmpp

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

import guard
import machine
import nodes
import procedure
import services
import usage

HERE = os.path.dirname(os.path.abspath(__file__))
SLOW = 6 if os.environ.get("MMP_SANITIZED") else 1


class Failed(Exception):
    pass


def check(condition, *what):
    if not condition:
        raise Failed(" ".join(str(w) for w in what))


# The lab under test

class World:
    """One lab, and how the cases look at it."""

    def __init__(self, build, certs):
        self.folder = guard.folder("mmp-test-lab-")
        # Where the daemons are sanitized, what is found outlives the lab.
        os.environ["ASAN_OPTIONS"] = "log_path=%s/sanitizer" % self.folder
        os.environ["UBSAN_OPTIONS"] = os.environ["ASAN_OPTIONS"]
        self.tool = [HERE + "/lab", "--dir", self.folder + "/lab"]
        try:
            self.output = self.run("up", "--certs", certs, "--build", build)
        except BaseException:
            self.close()
            raise
        self.lab = nodes.Lab(self.folder + "/lab").load()
        self.t = procedure.Terminal(self.lab, quiet=True)
        for node in self.nodes:
            self.t.connect(node)

    def run(self, *command, fine=True):
        done = subprocess.run(
            self.tool + list(command), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
        check(not fine or done.returncode == 0, "lab", *command, "ended with",
              done.returncode, "\n", done.stdout[-3000:])
        return done.stdout

    def close(self):
        if hasattr(self, "t"):
            self.t.__exit__()
        self.run("down", fine=False)
        reports = [open(os.path.join(self.folder, name)).read()
                   for name in os.listdir(self.folder)
                   if name.startswith("sanitizer")]
        shutil.rmtree(self.folder, ignore_errors=True)
        return reports

    @property
    def nodes(self):
        return self.lab.nodes

    def node(self, name):
        return self.lab.node(name)

    def ask(self, name, line, typed=""):
        return self.t.ask(self.node(name), line, typed)

    def done(self, name, line, typed=""):
        """A command that succeeds; gives what it said."""
        status, out, err = self.ask(name, line, typed)
        check(status == 0, name + ">", line, "gave", status, out, err)
        return out

    def refused(self, name, line, *said, typed=""):
        """A command that is refused, with these words in its one line."""
        status, out, err = self.ask(name, line, typed)
        check(status == 1, name + ">", line, "gave", status, out, err)
        text = out + err
        check("FAILURE: " in text, line, "said", text)
        for word in said:
            check(word.lower() in text.lower(), line, "doesn't say", word,
                  "but", text)

    # The state of the cluster

    def status(self, name):
        """(state, [peers], leader) as a node tells it; None if it can't."""
        status, out, _ = self.ask(name, "xmpp cluster status")
        if status != 0:
            return None
        state = re.search(r"^State: (.*)$", out, re.M)
        peers = re.findall(r"^([\d.]+:\d+)( \(Leader\))?$", out, re.M)
        leader = [address for address, mark in peers if mark]
        return (state.group(1) if state else "?", [p[0] for p in peers],
                leader[0] if leader else None)

    def agree(self, names, addresses=None):
        """Whether these nodes, and no others, are a cluster with a leader."""
        seen = [self.status(name) for name in names]
        if None in seen:
            return None
        wanted = sorted(addresses or [self.node(n).address + ":5222"
                                      for n in names])
        leader = seen[0][2]
        good = leader is not None and all(
            sorted(s[1]) == wanted and s[1] == seen[0][1] and s[2] == leader
            and s[0] in ("LEADER", "FOLLOWER") for s in seen)
        return leader if good and [s[0] for s in seen].count(
            "LEADER") == 1 else None

    def wait_agreed(self, *names, addresses=None):
        names = names or [n.name for n in self.nodes]
        last = [None]

        def look():
            last[0] = self.agree(names, addresses)
            return last[0]
        try:
            return machine.wait_for(look, 20 * SLOW, "agreement")
        except machine.LabError:
            raise Failed("no agreement of %s: %s" % (
                ", ".join(names), [self.status(n) for n in names])) from None

    def wait_healthy(self):
        self.wait_agreed()
        procedure.wait_for_bridges(self.lab, self.t, 20 * SLOW)

    def named(self, address):
        for node in self.nodes:
            if address.split(":")[0] == node.address:
                return node.name
        return None

    def leader(self):
        return self.named(self.wait_agreed())

    def others(self, *without):
        return [n.name for n in self.nodes if n.name not in without]

    def bridge(self, name):
        """The address of the server that a node's Call Bridge is at."""
        status, out, _ = self.ask(name, "callbridge status")
        found = re.search(r"connected to .*?([\d.]+):5223", out)
        return found.group(1) if status == 0 and found else None

    # What is done to nodes

    def kill(self, name):
        self.run("kill", name)

    def start(self, name):
        self.run("start", name)

    def rejoin(self, name):
        return self.run("rejoin", name)


# Clients

class Client(slixmpp.ClientXMPP):
    def __init__(self, world, name, node):
        super().__init__("%s@%s" % (name, world.lab.domain),
                         world.lab.accounts[name])
        self.name, self.address = name, world.node(node).address
        self.ssl_context = ssl.create_default_context(
            cafile=world.lab.path("ca/root.pem"))
        self.ready = asyncio.get_running_loop().create_future()
        self.received, self.lost = [], None
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("failed_auth", self.on_trouble)
        self.add_event_handler("disconnected", self.on_trouble)
        self.presence = []
        self.add_event_handler("presence_available", self.on_presence)
        self.add_event_handler("presence_unavailable", self.on_presence)

    async def on_start(self, _):
        await self.get_roster()
        self.send_presence()
        if not self.ready.done():
            self.ready.set_result(True)

    def on_message(self, message):
        self.received.append((time.monotonic(), message["from"].bare,
                              message["body"], message["type"]))

    def on_presence(self, presence):
        self.presence.append((presence["from"].full, presence["type"]))

    def on_trouble(self, why):
        self.lost = str(why)
        if not self.ready.done():
            self.ready.set_exception(Failed("%s: %s" % (self.name, why)))

    async def login(self):
        self.connect((self.address, 5222))
        await asyncio.wait_for(self.ready, 10 * SLOW)
        return self

    async def logout(self):
        self.lost = "logged out"
        await self.disconnect(wait=0.5)


async def until(ready, seconds, what):
    deadline = time.monotonic() + seconds
    while not ready():
        check(time.monotonic() < deadline, what, "not within", seconds, "s")
        await asyncio.sleep(0.01)


class Chat:
    """Two clients that tell each other numbers."""

    def __init__(self, one, two):
        self.clients, self.sent, self.on = (one, two), [0, 0], True

    async def say(self, who):
        me, you = self.clients[who], self.clients[1 - who]
        while self.on:
            me.send_message(mto=you.boundjid.bare, mbody=str(self.sent[who]),
                            mtype="chat")
            self.sent[who] += 1
            await asyncio.sleep(0.01 * SLOW)

    def heard(self, who):
        return [int(body) for _, _, body, kind in self.clients[who].received
                if kind == "chat"]

    def times(self, who):
        return [when for when, _, _, _ in self.clients[who].received]

    async def during(self, work):
        """Runs blocking work while they talk; gives the longest pause."""
        for client in self.clients:
            client.received.clear()
        talk = [asyncio.ensure_future(self.say(who)) for who in (0, 1)]
        loop = asyncio.get_running_loop()
        await until(lambda: all(len(self.heard(w)) > 20 for w in (0, 1)),
                    10 * SLOW, "first messages")
        await loop.run_in_executor(None, work)
        count = [len(self.heard(w)) for w in (0, 1)]
        await until(lambda: all(len(self.heard(w)) > count[w] + 50
                                for w in (0, 1)), 30 * SLOW,
                    "messages afterwards")
        self.on = False
        await asyncio.gather(*talk)
        await until(lambda: all(len(self.heard(w)) >= self.sent[1 - w]
                                for w in (0, 1)), 15 * SLOW, "last messages")
        await asyncio.sleep(0.2)
        for who in (0, 1):
            check(self.heard(who) == list(range(self.sent[1 - who])),
                  self.clients[who].name, "heard not exactly once, in order:",
                  odd(self.heard(who), self.sent[1 - who]))
            check(self.clients[who].lost is None, self.clients[who].name,
                  "lost the session:", self.clients[who].lost)
        return max(max(b - a for a, b in zip(self.times(w),
                                             self.times(w)[1:]))
                   for w in (0, 1))


def odd(heard, sent):
    """What is wrong with a list that should count from 0."""
    twice = sorted({n for n in heard if heard.count(n) > 1})
    missing = sorted(set(range(sent)) - set(heard))
    return "twice %s, missing %s, in order %s" % (
        twice[:10], missing[:10], heard == sorted(heard))


async def chatting(w, at, work):
    """alice on one node and bob on the other talk while something is done."""
    alice = await Client(w, "alice", at[0]).login()
    bob = await Client(w, "bob", at[1]).login()
    try:
        return await Chat(alice, bob).during(work)
    finally:
        await alice.logout()
        await bob.logout()


# Cases. The docstring is what is shown.

def procedure_ends_with_all_in_place(w):
    """the procedure, typed over SSH and SFTP, ends with all in place"""
    w.wait_healthy()
    for node in w.nodes:
        check("(Leader)" in w.done(node.name, "xmpp cluster status"))
    check("To copy:" in w.output, w.output[-2000:])
    cb1 = w.node("cb1")
    check("SUCCESS: cb1.%s is %s:5222" % (w.lab.domain, cb1.address) in
          w.output, "no join by name:", w.output)


def putty_tools_work(w):
    """plink and psftp: commands, exit statuses, files"""
    node = w.node("cb2")
    option = ["-batch", "-P", str(w.lab.ssh_port), "-i",
              w.lab.path("ssh_key.ppk"), "-hostkey",
              services.fingerprint(node.path("ssh_host_key.pub")),
              "%s@%s" % (services.user(), node.address)]
    env = dict(os.environ, HOME=w.folder)

    def run(tool, *args, typed=None):
        # plink asks for a terminal where there is no command.
        no_tty = ["-T"] if tool == "plink" else []
        return subprocess.run([tool, *no_tty, *option, *args], input=typed,
                              env=env,
                              stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.PIPE, cwd=w.folder,
                              timeout=30 * SLOW)
    done = run("plink", "xmpp cluster status")
    check(done.returncode == 0 and "List of peers" in done.stdout, done)
    check(run("plink", "no such thing").returncode == 2)
    check(run("plink", "xmpp cluster initialize").returncode == 1)
    # A script through standard input: the first failure is the status.
    done = run("plink", typed="# a comment\r\nversion\r\nnonsense\r\n"
               "uptime\r\n")
    check(done.returncode == 2 and len(done.stdout.split("\n")) >= 3, done)
    with open(w.folder + "/up.crt", "w") as out:
        out.write(open(w.lab.path("ca/root.pem")).read())
    done = run("psftp", typed="ls\nput up.crt\nren up.crt moved.crt\n"
               "get moved.crt back.crt\n")
    check("abhiall.cer" in done.stdout, done)
    check(open(w.folder + "/back.crt").read() ==
          open(w.folder + "/up.crt").read())
    check("moved.crt" in w.done("cb2", "pki list"))
    w.done("cb2", "pki delete moved.crt")


class Typing:
    """Somebody at a terminal, over ssh."""

    def __init__(self, w, name):
        self.fd, slave = pty.openpty()
        self.child = subprocess.Popen(
            ["ssh", "-tt", "-F", w.lab.path("ssh_config"), name], stdin=slave,
            stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.prompt = name + "> "

    def type(self, keys, until):
        """Types; gives all that comes until a text stands at the end."""
        os.write(self.fd, keys.encode())
        seen = b""
        deadline = time.monotonic() + 10 * SLOW
        while not seen.endswith(until.encode()):
            check(time.monotonic() < deadline, "no", repr(until), "in", seen)
            if select.select([self.fd], [], [], 0.1)[0]:
                seen += os.read(self.fd, 4096)
        return seen.decode("utf-8", "replace")

    def close(self):
        os.write(self.fd, b"exit\r")
        status = self.child.wait(10 * SLOW)
        os.close(self.fd)
        return status


def shell_is_typed_at(w):
    """Tab, ?, a prompted secret and the exit status, at a terminal by ssh"""
    t = Typing(w, "cb2")
    t.type("", t.prompt)
    out = t.type("xmpp cl\tst\t\r", t.prompt)
    check("State: " in out and "List of peers" in out, out)
    out = t.type("xmpp cluster ?", t.prompt + "xmpp cluster ")
    check("initialize" in out and "join" in out, out)
    t.type("\x15\r", t.prompt)
    t.type("pki inspect abh\t", "iall.")
    t.type("\x15\r", t.prompt)
    t.type("xmpp user add erin\r", "password: ")
    out = t.type("topsecret\r", ": ")
    out += t.type("topsecret\r", t.prompt)
    check("topsecret" not in out and "SUCCESS" in out, out)
    t.type("xmpp user del erin\r", t.prompt)
    # libedit leaks a little, which a sanitizer makes the exit status.
    check(t.close() == 0 or SLOW > 1, "exit status")


STATE = ("xmpp", "xmpp cluster status", "xmpp callbridge list",
         "xmpp user list", "xmpp multi_domain", "callbridge", "dns", "pki list",
         "hostname")


def bad_input_is_refused(w):
    """each command with too few, too many, wrong and absent arguments"""
    rows = subprocess.run(
        [w.lab.program("mmp"), "--list-commands"], stdout=subprocess.PIPE,
        text=True, check=True).stdout.splitlines()
    before = [w.done("cb3", line) for line in STATE]
    lines = [(line, 2) for line in usage.too_many(rows) +
             usage.too_few(rows) + usage.wrong(rows)]
    lines += [(line, 1) for line in usage.absent(rows)]
    said = ""
    for line, wanted in lines:
        status, out, err = w.ask("cb3", line, "secret\n")
        err = re.sub("^Enter [a-z ]+: ", "", err)
        text = out + err
        check(status == wanted and re.fullmatch("FAILURE: [^\n]+\n", text),
              line, "gave", status, repr(out), repr(err))
        said += text if wanted == 2 else ""
    # As a script: the same words in the same order, the first status.
    status, out, err = w.t.ask(w.node("cb3"), "", "".join(
        line + "\n" for line, wanted in lines if wanted == 2))
    check((status, out, err) == (2, "", said), status, out, err[-2000:])
    check([w.done("cb3", line) for line in STATE] == before,
          "the state has changed")


def pki_explains(w):
    """pki verifies, matches and refuses over the wire"""
    w.done("cb1", "pki match abhiall.key abhiall.cer")
    out = w.done("cb1", "pki verify abhiall.cer certallbundle.cer")
    check("Lab Root CA" in out, out)
    w.refused("cb1", "pki csr abhiall CN:x.tptac9.com", "abhiall.key")
    w.refused("cb1", "pki delete abhiall.key", "used by xmpp")
    # A chain without its intermediate, and a key of another certificate.
    with open(w.lab.path("files/rootonly.cer"), "w") as out:
        out.write(open(w.lab.path("ca/root.pem")).read())
    w.t.sftp(w.node("cb1"), "put rootonly.cer")
    w.refused("cb1", "xmpp certs abhiall.key abhiall.cer rootonly.cer",
              "Lab Issuing CA", "missing")
    w.done("cb1", "pki selfsigned stray CN:stray.tptac9.com")
    w.refused("cb1", "xmpp certs stray.key abhiall.cer certallbundle.cer",
              "match")
    # The other way round it is put in order.
    with open(w.lab.path("files/reversed.cer"), "w") as out:
        out.write(open(w.lab.path("ca/root.pem")).read() +
                  open(w.lab.path("ca/issuing.pem")).read())
    w.t.sftp(w.node("cb1"), "put reversed.cer")
    out = w.done("cb1", "xmpp certs abhiall.key abhiall.cer reversed.cer")
    check("in order" in out, out)
    w.done("cb1", "xmpp certs abhiall.key abhiall.cer certallbundle.cer")
    for name in ("rootonly.cer", "reversed.cer", "stray.key", "stray.crt"):
        w.done("cb1", "pki delete " + name)


def dns_is_asked(w):
    """dns lookup shows what the Call Bridge sees"""
    out = w.done("cb1", "dns lookup SRV _xmpp-component._tcp." + w.lab.domain)
    for node in w.nodes:
        check("%s.%s" % (node.name, w.lab.domain) in out, out)
    out = w.done("cb1", "dns lookup a cb2." + w.lab.domain)
    check(w.node("cb2").address in out, out)


async def chat_goes_on_while_the_leader_dies(w):
    """kill -9 of the leader: nothing lost, nothing twice, a short pause"""
    leader = w.leader()
    pause = await chatting(w, w.others(leader), lambda: w.kill(leader))
    print("  leader killed: pause %.0f ms" % (pause * 1000))
    check(pause < 2.5 * SLOW, "a pause of", pause, "s")
    w.start(leader)


async def chat_goes_on_while_the_leader_is_silent(w):
    """SIGSTOP of the leader, and what it does when it comes back"""
    leader = w.leader()
    pause = await chatting(w, w.others(leader), lambda: w.run("stop", leader))
    w.run("cont", leader)
    print("  leader silent: pause %.0f ms" % (pause * 1000))
    check(pause < 6 * SLOW, "a pause of", pause, "s")


async def chat_goes_on_while_a_follower_dies(w):
    """kill -9 of a follower that serves neither of them"""
    leader = w.leader()
    at = [leader, w.others(leader)[0]]
    follower = w.others(*at)[0]
    pause = await chatting(w, at, lambda: w.kill(follower))
    check(pause < 1 * SLOW, "a pause of", pause, "s")
    w.start(follower)


async def leadership_is_handed_over(w):
    """xmpp disable on the leader: the others go on at once"""
    leader = w.leader()
    pause = await chatting(w, w.others(leader),
                           lambda: w.done(leader, "xmpp disable"))
    print("  leadership handed over: pause %.0f ms" % (pause * 1000))
    check(pause < 1 * SLOW, "a pause of", pause, "s")
    state, peers, now = w.status(leader)
    check(state == "DISABLED" and len(peers) == 3, state, peers)
    check(w.named(now) != leader, now)
    w.done(leader, "xmpp enable")


async def alice_watches_bob(w, at):
    """Both of them, logged in on two nodes; alice has bob's presence."""
    alice = await Client(w, "alice", at[0]).login()
    bob = await Client(w, "bob", at[1]).login()
    alice.send_presence_subscription(pto=bob.boundjid.bare)
    await until(lambda: (bob.boundjid.full, "available") in alice.presence,
                10 * SLOW, "bob's presence")
    return alice, bob


async def contacts_see_who_died(w):
    """a contact on a killed node goes offline, once; later messages are kept"""
    leader = w.leader()
    victim, third = w.others(leader)
    alice, bob = await alice_watches_bob(w, (leader, victim))
    await asyncio.get_running_loop().run_in_executor(None, w.kill, victim)

    def gone():
        return [p for p in alice.presence if p[1] == "unavailable"]
    await until(gone, 15 * SLOW, "bob seen leaving")
    alice.send_message(mto=bob.boundjid.bare, mbody="later", mtype="chat")
    await asyncio.sleep(0.5)
    check(gone() == [(bob.boundjid.full, "unavailable")], alice.presence)
    again = await Client(w, "bob", third).login()
    await until(lambda: [m[2] for m in again.received] == ["later"],
                10 * SLOW, "the kept message")
    await alice.logout()
    await again.logout()
    bob.abort()
    w.start(victim)


async def contacts_see_who_leaves(w, name, typed_at, command):
    """Takes out a node with a client on it, whose contact is told at once."""
    alice, bob = await alice_watches_bob(w, (w.others(name)[0], name))
    seen = []
    alice.add_event_handler("presence_unavailable", lambda presence:
                            seen.append(time.monotonic()))
    told = []
    bob.add_event_handler("stream_error",
                          lambda error: told.append(error["condition"]))
    start = time.monotonic()
    out = await asyncio.get_running_loop().run_in_executor(
        None, w.done, typed_at, command)
    await until(lambda: seen, 10 * SLOW, "bob seen leaving")
    check(seen[0] - start < 1 * SLOW, "seen after", seen[0] - start, "s")
    # Longer than hold: what is held for a node that doesn't answer.
    await asyncio.sleep(4)
    check([p for p in alice.presence if p[1] == "unavailable"] ==
          [(bob.boundjid.full, "unavailable")], alice.presence)
    check(told == ["system-shutdown"], "bob was told", told)
    await alice.logout()
    bob.abort()
    w.rejoin(name)
    return out


async def contacts_see_who_is_removed(w):
    """xmpp cluster remove, typed there or elsewhere: contacts hear of it at
    once, once"""
    leader = w.leader()
    follower, other = w.others(leader)
    await contacts_see_who_leaves(w, follower, follower, "xmpp cluster remove")
    await contacts_see_who_leaves(
        w, follower, other, "xmpp cluster remove %s.%s" % (
            follower, w.lab.domain))


async def contacts_see_who_is_reset(w):
    """xmpp reset of a follower: contacts hear of it at once, once"""
    follower = w.others(w.leader())[0]
    await contacts_see_who_leaves(w, follower, follower, "xmpp reset")


def call_bridges_move(w):
    """Call Bridges whose server died are logged in elsewhere within a second"""
    victim = w.node(w.leader())
    xmppd = w.lab.process(victim, "xmppd")
    start = time.monotonic()
    machine.end([xmppd], 9)
    for name in w.others():
        machine.wait_for(
            lambda name=name: w.bridge(name) not in (None, victim.address),
            10 * SLOW, "Call Bridge of " + name)
    print("  Call Bridges moved within %.0f ms" % (
        (time.monotonic() - start) * 1000))
    check(time.monotonic() - start < 3 * SLOW, "took long")
    w.start(victim.name)


async def go_sendxmpp_sends(w):
    """go-sendxmpp delivers by STARTTLS and by direct TLS, with the lab's CA"""
    bob = await Client(w, "bob", "cb2").login()
    env = dict(os.environ, SSL_CERT_FILE=w.lab.path("ca/root.pem"),
               HOME=w.folder)
    for number, way in enumerate(([], ["-t"])):
        sender = await asyncio.create_subprocess_exec(
            "go-sendxmpp", *way, "-u", "alice@" + w.lab.domain, "-p",
            w.lab.accounts["alice"], "-j", w.node("cb3").address + ":5222",
            bob.boundjid.bare, env=env, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        out, _ = await asyncio.wait_for(
            sender.communicate(b"by go %d\n" % number), 20 * SLOW)
        check(sender.returncode == 0, "go-sendxmpp", way, out.decode())
        await until(lambda: len(bob.received) > number, 10 * SLOW, "message")
        check(bob.received[-1][2].strip() == "by go %d" % number,
              bob.received)
    await bob.logout()


async def identity(client, jid):
    """The first name that a service gives itself (XEP-0030)."""
    client.register_plugin("xep_0030")
    for _ in range(50):
        try:
            info = await client["xep_0030"].get_info(jid=jid, timeout=5)
            return sorted(info["disco_info"]["identities"])[0][:2]
        except slixmpp.exceptions.IqError:
            await asyncio.sleep(0.1)
    raise Failed("no answer of " + jid)


def add_component(w, name):
    out = w.done("cb1", "xmpp callbridge add " + name)
    return re.search(r"^Secret *: (\S+)$", out, re.M).group(1)


async def biboumi_connects(w):
    """biboumi, which can't speak TLS, connects where that is allowed"""
    secret = add_component(w, "irc")
    with open(w.folder + "/biboumi.cfg", "w") as out:
        out.write("hostname=irc.%s\npassword=%s\nxmpp_server_ip=%s\n"
                  "port=5223\ndb_name=%s/biboumi.db\nadmin=\n" % (
                      w.lab.domain, secret, w.node("cb2").address, w.folder))
    w.done("cb2", "xmpp component plaintext enable")
    gateway = subprocess.Popen(
        ["biboumi", w.folder + "/biboumi.cfg"], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, cwd=w.folder)
    alice = await Client(w, "alice", "cb3").login()
    try:
        check(await identity(alice, "irc." + w.lab.domain) ==
              ("conference", "irc"))
    finally:
        gateway.kill()
        gateway.wait()
        await alice.logout()
    w.done("cb2", "xmpp component plaintext disable")
    w.done("cb1", "xmpp callbridge del irc")


async def slixmpp_component_connects(w):
    """slixmpp's component, by direct TLS, and dropped when it is deleted"""
    component = slixmpp.ComponentXMPP(
        "echo." + w.lab.domain, add_component(w, "echo"))
    component.ssl_context = ssl.create_default_context(
        cafile=w.lab.path("ca/root.pem"))
    component.default_domain = w.lab.domain
    heard, ended = [], []

    def echo(message):
        heard.append(message["body"])
        message.reply("echo " + message["body"]).send()
    component.add_event_handler("message", echo)
    component.add_event_handler("disconnected", ended.append)
    started = asyncio.get_running_loop().create_future()
    component.add_event_handler("session_start", started.set_result)
    component.connect(w.node("cb3").address, 5223, use_ssl=True)
    await asyncio.wait_for(started, 10 * SLOW)
    alice = await Client(w, "alice", "cb2").login()
    alice.send_message(mto="x@echo." + w.lab.domain, mbody="hello",
                       mtype="chat")
    await until(lambda: [m[2] for m in alice.received] == ["echo hello"],
                10 * SLOW, "the echo")
    await alice.logout()
    await asyncio.get_running_loop().run_in_executor(
        None, w.done, "cb1", "xmpp callbridge del echo")
    await until(lambda: ended, 10 * SLOW, "the component dropped")
    component.abort()


async def call_bridge_answers(w):
    """a client sees that cb1.DOMAIN is alive"""
    alice = await Client(w, "alice", "cb2").login()
    alice.register_plugin("xep_0199")
    for node in w.nodes:
        jid = "%s.%s" % (node.name, w.lab.domain)
        check(await identity(alice, jid) is not None)
        await alice["xep_0199"].ping(jid, timeout=10 * SLOW)
    await alice.logout()


def minority_says_so(w):
    """one node of three alone: NO LEADER, what is missing, and it recovers"""
    w.kill("cb2")
    w.kill("cb3")
    machine.wait_for(lambda: (w.status("cb1") or "?")[0] == "NO LEADER",
                     15 * SLOW, "NO LEADER")
    out = w.done("cb1", "xmpp cluster status")
    for name in ("cb2", "cb3"):
        check(w.node(name).address in out, out)
    w.refused("cb1", "xmpp user add carol", typed="secret\n")
    w.start("cb2")
    w.start("cb3")


def join_twice(w):
    """join of a member is refused and changes nothing"""
    before = w.status("cb2")[1]
    w.refused("cb2", "xmpp cluster join " + w.node("cb1").address,
              "already a member")
    for node in w.nodes:
        w.refused(node.name, "xmpp cluster initialize")
    w.refused("cb2", "xmpp cluster disable", "remove")
    w.refused("cb2", "xmpp domain example.org", w.lab.domain)
    w.done("cb2", "xmpp domain " + w.lab.domain)
    check(w.status("cb2")[1] == before, w.status("cb2"))


def take_out(w, name):
    """Takes a node out and makes it a new one that is ready to join."""
    w.done(name, "xmpp cluster remove")
    w.wait_agreed(*w.others(name))
    w.done(name, "xmpp reset")
    w.done(name, "xmpp cluster enable")


def try_join(w, name, *said):
    """A join that is refused, names the reason, and changes nothing."""
    w.done(name, "xmpp enable")
    w.refused(name, "xmpp cluster join " + w.node("cb1").address, *said)
    w.wait_agreed(*w.others(name))
    w.done(name, "xmpp disable")


def join_with_wrong_trust(w):
    """a node that trusts others, and one that nobody trusts, can't join"""
    take_out(w, "cb3")
    w.done("cb3", "pki selfsigned stray CN:%s" % w.lab.domain)
    w.done("cb3", "xmpp cluster trust stray.crt")
    try_join(w, "cb3", "trust")
    w.done("cb3", "xmpp cluster trust abhiall.cer")
    w.done("cb3", "xmpp certs stray.key stray.crt")
    try_join(w, "cb3", "trust")
    w.done("cb3", "xmpp certs abhiall.key abhiall.cer certallbundle.cer")
    w.rejoin("cb3")
    w.done("cb3", "pki delete stray.key")
    w.done("cb3", "pki delete stray.crt")


def join_with_another_domain(w):
    """another domain: refused, and named"""
    take_out(w, "cb3")
    # The certificate names this one too.
    other = "cb1." + w.lab.domain
    w.done("cb3", "xmpp domain " + other)
    try_join(w, "cb3", "domain", other)
    w.done("cb3", "xmpp domain " + w.lab.domain)
    w.rejoin("cb3")


def join_with_another_secret(w):
    """a Call Bridge with another secret: refused, and named"""
    take_out(w, "cb3")
    w.done("cb3", "xmpp callbridge add-secret cb1", typed="another\n")
    try_join(w, "cb3", "cb1", "secret")
    w.done("cb3", "xmpp callbridge del cb1")
    w.rejoin("cb3")
    out = w.done("cb3", "xmpp callbridge list")
    for secret in w.lab.secrets.values():
        check(secret in out, "cb3 lacks a secret after joining:", out)


def join_with_accounts_of_its_own(w):
    """accounts that the cluster lacks: refused, and named"""
    take_out(w, "cb3")
    w.done("cb3", "xmpp user add carol", typed="secret\nsecret\n")
    try_join(w, "cb3", "carol")
    w.done("cb3", "xmpp user del carol")
    w.rejoin("cb3")
    out = w.done("cb3", "xmpp user list")
    check("alice@" in out and "bob@" in out and "carol" not in out, out)


def join_after_initialize(w):
    """`initialize` typed by mistake on a node of its own is no obstacle"""
    take_out(w, "cb3")
    w.done("cb3", "xmpp cluster initialize")
    w.done("cb3", "xmpp enable")
    w.refused("cb3", "xmpp cluster join cb1:5223", "client port")
    # As the list of peers calls it.
    w.done("cb3", "xmpp cluster join cb1")


def remove_a_dead_node(w):
    """a dead node is removed from a survivor, and joins again"""
    w.kill("cb3")
    machine.wait_for(
        lambda: w.ask("cb1", "xmpp cluster remove %s:5222" %
                      w.node("cb3").address)[0] == 0, 10 * SLOW, "removal")
    w.wait_agreed("cb1", "cb2")
    w.refused("cb1", "xmpp cluster remove %s:5222" % w.node("cb3").address)
    w.start("cb3")
    w.rejoin("cb3")


def remove_itself(w):
    """a follower and then the leader take themselves out"""
    leader = w.leader()
    follower = w.others(leader)[0]
    w.done(follower, "xmpp cluster remove")
    w.wait_agreed(*w.others(follower))
    check(w.status(follower)[1] == [], w.status(follower))
    w.rejoin(follower)
    leader = w.leader()
    w.done(leader, "xmpp cluster remove")
    w.wait_agreed(*w.others(leader))
    w.rejoin(leader)


class Watch(threading.Thread):
    """Looks at the list of peers all the while."""

    def __init__(self, w, name):
        super().__init__(daemon=True)
        self.w, self.name_of, self.on, self.wrong = w, name, True, []
        self.looks = 0

    def run(self):
        while self.on:
            seen = self.w.status(self.name_of)
            self.looks += 1
            if seen and len(set(seen[1])) != len(seen[1]):
                self.wrong.append(seen)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.on = False
        self.join()
        if kind is not None:
            return
        check(not self.wrong, "peers twice:", self.wrong[:3])
        check(self.looks > 3, "hardly looked")


def reset_while_a_member(w):
    """reset of a member, and joined again: once in the list at every moment"""
    with Watch(w, "cb1"):
        w.done("cb3", "xmpp reset")
        w.rejoin("cb3")
        w.wait_agreed()
        # Where it can't leave cleanly: cut off from the others.
        w.kill("cb2")
        w.run("stop", "cb1")
        w.ask("cb3", "xmpp reset")
        w.run("cont", "cb1")
        w.start("cb2")
        w.rejoin("cb3")
        w.wait_agreed()


def change_its_address(w):
    """a node that comes back with another address is the same member"""
    node = w.node("cb3")
    before = open(node.path("interfaces.json")).read()
    moved = node.address.rsplit(".", 1)[0] + ".33"
    others = [w.node(n).address + ":5222" for n in ("cb1", "cb2")]
    with Watch(w, "cb1"):
        w.kill("cb3")
        services.write(node.path("interfaces.json"),
                       before.replace(node.address, moved))
        w.start("cb3")
        w.wait_agreed(addresses=others + [moved + ":5222"])
        w.kill("cb3")
        services.write(node.path("interfaces.json"), before)
        w.start("cb3")
        w.wait_agreed()


def wipe_its_disk(w):
    """a node whose disk was wiped gets its place again"""
    node = w.node("cb3")
    with Watch(w, "cb1"):
        w.kill("cb3")
        for name in os.listdir(node.root):
            if name.startswith(("ssh", "interfaces")):
                continue
            path = node.path(name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        w.start("cb3")
        w.rejoin("cb3")
        w.wait_agreed()


def disable_and_enable(w):
    """disabled members stay voters and see all changes"""
    w.done("cb3", "xmpp disable")
    check(w.status("cb3")[0] == "DISABLED", w.status("cb3"))
    check(not machine.accepts(w.node("cb3").address, 5223), "5223 is open")
    w.done("cb1", "xmpp user add dave", typed="secret\nsecret\n")
    machine.wait_for(lambda: "dave@" in w.done("cb3", "xmpp user list"),
                     5 * SLOW, "dave on cb3")
    w.done("cb2", "xmpp user del dave")
    w.done("cb3", "xmpp enable")


async def all_start_again(w):
    """kill -9 of all three: accounts and stored messages are still there"""
    alice = await Client(w, "alice", "cb2").login()
    for number in range(20):
        alice.send_message(mto="bob@" + w.lab.domain, mbody=str(number),
                           mtype="chat")
    # An answer by bob's server comes after what was said to bob before.
    alice.register_plugin("xep_0030")
    try:
        await alice["xep_0030"].get_info(jid="bob@" + w.lab.domain)
    except slixmpp.exceptions.IqError:
        pass  # bob isn't there, and is alice's contact or not
    await asyncio.sleep(0.5)
    await alice.logout()
    for node in w.nodes:
        w.kill(node.name)
    for node in w.nodes:
        w.start(node.name)
    w.wait_agreed()
    bob = await Client(w, "bob", "cb3").login()
    await until(lambda: len(bob.received) >= 20, 10 * SLOW, "stored messages")
    await asyncio.sleep(0.3)
    check([m[2] for m in bob.received] == [str(n) for n in range(20)],
          [m[2] for m in bob.received])
    await bob.logout()


def build_anew(w):
    """all three reset, and the cluster built again, as another published form
    of the procedure has it: enabled first"""
    for node in reversed(w.nodes):
        w.done(node.name, "xmpp reset")
    listed = w.done("cb1", "pki list")
    check(len(listed.split("\n")) > 4, "what was lost was not kept:", listed)
    w.lab.secrets.clear()
    with procedure.Terminal(w.lab, quiet=True) as t:
        procedure.first_server(w.lab, t, early=True)
        for node in w.nodes[1:]:
            procedure.further_server(w.lab, t, node, early=True)
        for node in w.nodes:
            t.type(node, "callbridge xmpp secret",
                   [w.lab.secrets[node.name]] * 2)
        procedure.add_accounts(w.lab, t)


def nothing_is_left_behind(w):
    """a test that is interrupted or killed leaves no process and no folder"""
    folder = os.path.join(w.folder, "t")
    os.mkdir(folder)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        test = subprocess.Popen(
            [sys.executable, HERE + "/test_lab.py", w.lab.build, "pki_explains"],
            env=dict(os.environ, TMPDIR=folder), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        machine.wait_for(
            lambda: len(machine.running_in(folder, nodes.DAEMONS)) >= 4,
            30 * SLOW, "a lab")
        os.kill(test.pid, number)
        test.wait(20 * SLOW)
        machine.wait_for(lambda: not machine.running_in(folder) and
                         not os.listdir(folder), 10 * SLOW,
                         "nothing left after signal %d" % number)
    os.rmdir(folder)


def lab_ends_without_its_notes(w):
    """lab down, of a lab whose lab.json is gone"""
    folder = os.path.join(w.folder, "l")
    lab = [HERE + "/lab", "--dir", folder]

    def run(*command):
        done = subprocess.run(
            lab + list(command), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
        return done.returncode, done.stdout
    up = subprocess.Popen(lab + ["up", "--build", w.lab.build],
                          stdout=subprocess.DEVNULL)
    machine.wait_for(
        lambda: len(machine.running_in(folder, nodes.DAEMONS)) >= 4,
        30 * SLOW, "a lab")
    up.kill()
    up.wait()
    os.unlink(folder + "/lab.json")
    check(run("down") == (0, ""))
    check(not machine.running_in(folder), machine.running_in(folder))
    check(not os.path.exists(folder), "the folder is there")
    status, out = run("down")
    check(status == 1 and "there is no lab in" in out, status, out)


def one_certificate_each(w):
    """with one certificate a node the procedure works as well"""
    w.wait_healthy()
    out = w.done("cb2", "pki verify cb2.cer certallbundle.cer")
    check("Lab Root CA" in out, out)


SHARED = [
    procedure_ends_with_all_in_place, putty_tools_work, shell_is_typed_at,
    bad_input_is_refused, pki_explains,
    dns_is_asked, chat_goes_on_while_the_leader_dies,
    chat_goes_on_while_the_leader_is_silent,
    chat_goes_on_while_a_follower_dies, leadership_is_handed_over,
    contacts_see_who_died, contacts_see_who_is_removed,
    contacts_see_who_is_reset, go_sendxmpp_sends, call_bridge_answers,
    biboumi_connects, slixmpp_component_connects, call_bridges_move, minority_says_so, join_twice,
    join_with_wrong_trust, join_with_another_domain, join_with_another_secret,
    join_with_accounts_of_its_own, join_after_initialize, remove_a_dead_node,
    remove_itself, reset_while_a_member, change_its_address, wipe_its_disk,
    disable_and_enable, all_start_again, build_anew, nothing_is_left_behind,
    lab_ends_without_its_notes,
]
EACH = [
    one_certificate_each, chat_goes_on_while_the_leader_dies,
    reset_while_a_member,
]


def interrupted(*_):
    raise KeyboardInterrupt


def run_case(w, case):
    """Gives None, or what went wrong."""
    try:
        w.lab.load()  # other lab commands have changed what runs
        done = case(w)
        if inspect.isawaitable(done):
            asyncio.run(done)
        w.wait_healthy()
        return None
    except (Failed, machine.LabError, asyncio.TimeoutError,
            slixmpp.exceptions.IqTimeout) as error:
        return "%s: %s" % (type(error).__name__, error)
    except Exception:  # a broken case must not hide the others
        return traceback.format_exc()


def run_all(build, certs, cases):
    """Gives (passed, failed)."""
    w, failed = None, 0
    try:
        for case in cases:
            start, wrong = time.monotonic(), None
            try:
                w = w or World(build, certs)
            except Failed as error:
                wrong = str(error)
            wrong = wrong or run_case(w, case)
            print("%-44s %s  (%.1f s)" % (
                case.__name__, "FAILED" if wrong else "ok",
                time.monotonic() - start), flush=True)
            if wrong:
                failed += 1
                print(wrong)
            if wrong and w:
                show_logs(w)
                failed += close(w)
                w = None
    finally:
        if w:
            failed += close(w)
    return len(cases) - failed, failed


def close(w):
    """Gives 1 where a sanitizer found something, else 0."""
    reports = w.close()
    for report in reports[:3]:
        print(report[:4000])
    return 1 if reports else 0


def show_logs(w):
    for node in w.nodes:
        for program in nodes.DAEMONS:
            try:
                lines = open(node.path(program + ".log")).readlines()
            except OSError:
                continue
            print("  %s %s:" % (node.name, program))
            print("".join("    " + line for line in lines[-15:]), end="")


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: test_lab.py BUILD [CASE...]")
    signal.signal(signal.SIGTERM, interrupted)
    build, wanted = os.path.abspath(sys.argv[1]), sys.argv[2:]
    passed = failed = 0
    for certs, cases in (("shared", SHARED), ("each", EACH)):
        cases = [c for c in cases if not wanted or c.__name__ in wanted]
        if cases:
            result = run_all(build, certs, cases)
            passed, failed = passed + result[0], failed + result[1]
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


main()
