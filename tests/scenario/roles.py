#!/usr/bin/python3
"""roles.py BUILD [TEST...]: who may do what, with accounts and groups of the
system, over a real sshd: one in mmp-admin, one in mmp-audit, one in both, one
in neither. Daemons run under an account of their own.

The accounts are in copies of /etc/passwd, group and shadow that only this test
and what it starts can see: a mount namespace of its own, for which it has to be
root. Ends with a line 'N passed, M failed'.
"""

import grp
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

import guard  # noqa: E402
import usage  # noqa: E402

SLOW = 4 if os.environ.get("MMP_SANITIZED") else 1
ADDRESS = "127.0.0.1"
GROUPS = {"mmp-admin": 63001, "mmp-audit": 63002}
USERS = {  # uid, groups
    "ann": (63011, ("mmp-admin",)),
    "aud": (63012, ("mmp-audit",)),
    "both": (63013, ("mmp-audit", "mmp-admin")),
    "eve": (63014, ()),
    "carl": (63015, ("mmp-admin",)),
    "mmpd": (63016, ()),  # the daemons
}
# No command with one of these words, or that takes one of these, is only a look.
CHANGES = set("""add add-secret certs clear csr del delete disable enable flush
    hold initialize join kick listen passwd plaintext remove reset restart secret
    selfsigned set sign trust unlock <domain> <server> <seconds>""".split())


class Failed(Exception):
    pass


def check(condition, *what):
    if not condition:
        raise Failed(" ".join(str(w) for w in what))


def run(*command, **more):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **more)


def free_port():
    with socket.socket() as s:
        s.bind((ADDRESS, 0))
        return s.getsockname()[1]


def append(path, lines):
    with open(path, "a") as out:
        out.write("".join(line + "\n" for line in lines))


def hide_the_system(work):
    """In the namespace: accounts for this test, and a /run of its own."""
    for name in ("passwd", "group", "shadow"):
        shutil.copy("/etc/" + name, work)
    append(work + "/passwd", [
        "%s:x:%d:%d::%s/home/%s:/bin/sh" % (name, uid, uid, work, name)
        for name, (uid, _) in USERS.items()])
    append(work + "/shadow", [
        "%s:*:19000:0:99999:7:::" % name for name in USERS])
    append(work + "/group", [
        "%s:x:%d:" % (name, uid) for name, (uid, _) in USERS.items()] + [
        "%s:x:%d:%s" % (group, gid, ",".join(
            name for name, (_, groups) in USERS.items() if group in groups))
        for group, gid in GROUPS.items()])
    for name in ("passwd", "group", "shadow"):
        run("mount", "--bind", "%s/%s" % (work, name), "/etc/" + name)
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    os.mkdir("/run/sshd")
    check(pwd.getpwnam("aud").pw_uid == 63012 and
          "aud" in grp.getgrnam("mmp-audit").gr_mem, "no accounts")


SSHD = """\
ListenAddress %(address)s:%(port)d
HostKey %(work)s/host_key
PidFile none
AuthorizedKeysFile %(work)s/key.pub
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PrintMotd no
PrintLastLog no
PermitUserRC no
Subsystem sftp internal-sftp
Match Group *,!nobody
	ForceCommand %(work)s/bin/mmp --root %(work)s/node
"""


class Node:
    def __init__(self, build, work):
        self.work, self.root = work, work + "/node"
        os.mkdir(work + "/bin")
        for program in ("mmp", "xmppd", "callbridge"):
            shutil.copy("%s/bin/%s" % (build, program), work + "/bin")
        for name, (uid, _) in USERS.items():
            os.makedirs("%s/home/%s" % (work, name))
            os.chown("%s/home/%s" % (work, name), uid, uid)
        # As it is installed: the daemons' folder, in which administrators
        # keep the host name; and the administrators' own.
        for folder, mode in ((self.root, 0o2775), (self.root + "/pki", 0o2775)):
            os.mkdir(folder)
            os.chown(folder, USERS["mmpd"][0], GROUPS["mmp-admin"])
            os.chmod(folder, mode)
        append(self.root + "/audit.log", [])
        os.chmod(self.root + "/audit.log", 0o622)
        self.port = free_port()
        self.start_sshd()
        self.start_daemons()
        for line in ("pki selfsigned x CN:example.org", "xmpp domain example.org",
                     "xmpp certs x.key x.crt", "hostname cb1",
                     "xmpp callbridge add cb1"):
            status, out, err = self.ask("ann", line)
            check(status == 0, line, status, out, err)
        self.secret = re.search("Secret *: (.*)", out).group(1)

    def start_sshd(self):
        for name in ("key", "host_key"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                "%s/%s" % (self.work, name))
        with open(self.work + "/host_key.pub") as key:
            append(self.work + "/known_hosts",
                   ["[%s]:%d %s" % (ADDRESS, self.port, key.read().strip())])
        append(self.work + "/sshd_config", [SSHD % {
            "address": ADDRESS, "port": self.port, "work": self.work}])
        self.spawn("sshd", "/usr/sbin/sshd", "-D", "-e", "-f",
                   self.work + "/sshd_config")
        self.wait(lambda: socket.socket().connect_ex(
            (ADDRESS, self.port)) == 0, "sshd")

    def start_daemons(self):
        for program in ("xmppd", "callbridge"):
            self.spawn(program, "setpriv", "--reuid=mmpd", "--regid=mmpd",
                       "--clear-groups", "%s/bin/%s" % (self.work, program),
                       "--root", self.root)
            self.wait(lambda: os.path.exists(
                "%s/%s.sock" % (self.root, program)), program)

    def spawn(self, name, *command):
        with open("%s/%s.out" % (self.work, name), "w") as out:
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                             stderr=out)

    def wait(self, ready, what):
        end = time.monotonic() + 10 * SLOW
        while not ready():
            if time.monotonic() > end:
                with open("%s/%s.out" % (self.work, what)) as out:
                    raise Failed("no %s: %s" % (what, out.read()))
            time.sleep(0.02)

    def ssh(self, user, program="ssh"):
        port = "-p" if program == "ssh" else "-P"
        return [program, "-F", "none", port, str(self.port), "-i",
                self.work + "/key", "-o", "UserKnownHostsFile=%s/known_hosts" %
                self.work, "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o",
                "ControlMaster=auto", "-o", "ControlPersist=yes", "-o",
                "ControlPath=%s/c-%%r" % self.work, "%s@%s" % (user, ADDRESS)]

    def ask(self, user, line, typed=""):
        """(status, standard output, error) of a command over ssh."""
        done = subprocess.run(
            self.ssh(user) + ["--", line], input=typed, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30 * SLOW)
        return done.returncode, done.stdout, done.stderr

    def sftp(self, user, *lines):
        """(status, all output) of an SFTP batch."""
        command = self.ssh(user, "sftp")
        done = subprocess.run(
            command[:-1] + ["-b", "-", command[-1]], text=True,
            input="".join(line + "\n" for line in lines), cwd=self.work,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=30 * SLOW)
        return done.returncode, done.stdout

    def rows(self):
        return subprocess.run(
            [self.work + "/bin/mmp", "--list-commands"], text=True,
            stdout=subprocess.PIPE, check=True).stdout.splitlines()

    def state(self):
        return [self.ask("ann", line) for line in (
            "xmpp", "xmpp callbridge list", "xmpp user list",
            "xmpp cluster status", "callbridge", "dns", "pki list",
            "hostname")]


def administrators_change(node):
    """an account in mmp-admin may do everything"""
    for line, typed in (("xmpp user add bob", "secret\nsecret\n"),
                        ("xmpp user del bob", ""),
                        ("dns add rr a.example.org. IN A 10.0.0.1", ""),
                        ("dns del rr a.example.org. IN A 10.0.0.1", ""),
                        ("hostname cb1", ""), ("callbridge xmpp name cb1", ""),
                        ("callbridge xmpp name none", "")):
        status, out, err = node.ask("ann", line, typed)
        check(status == 0, line, status, out, err)
    check(node.ask("ann", "hostname") == (0, "cb1\n", ""))
    status, out, _ = node.ask("ann", "xmpp callbridge list")
    check(status == 0 and node.secret in out, out)


def administrators_share_the_pki_folder(node):
    """what one administrator makes or uploads, another one works with"""
    info = os.stat(node.root + "/pki/x.key")
    check(info.st_gid == GROUPS["mmp-admin"] and info.st_mode & 0o777 == 0o660,
          oct(info.st_mode), info.st_gid)
    check(node.sftp("ann", "get x.key up.key", "get x.crt up.crt")[0] == 0)
    for name in ("up.key", "up.crt"):
        os.chmod("%s/%s" % (node.work, name), 0o600)
    status, out = node.sftp("ann", "put -p up.key", "put -p up.crt")
    check(status == 0, out)
    # With the next command of who has uploaded it.
    check(node.ask("ann", "version")[0] == 0)
    status, out, err = node.ask("carl", "pki match up.key up.crt")
    check(status == 0, out, err)
    status, out, err = node.ask("aud", "pki inspect up.crt")
    check(status == 0, out, err)
    status, out, err = node.ask("aud", "pki inspect up.key")
    check(status == 1 and "Permission denied" in err, out, err)
    for name in ("up.key", "up.crt"):
        status, out = node.sftp("carl", "get %s back" % name, "put " + name,
                                "rename %s y" % name, "rm y")
        check(status == 0, out)


def auditors_look(node):
    """an account in mmp-audit sees all, but secrets and keys"""
    for line in ("xmpp", "xmpp user list", "xmpp cluster status", "pki list",
                 "pki list detail", "pki inspect x.crt",
                 "pki verify x.crt x.crt", "callbridge",
                 "callbridge status", "dns", "hostname", "version", "uptime",
                 "iface", "help", "help cluster", "exit"):
        status, out, err = node.ask("aud", line)
        check(status == 0 and "FAILURE" not in out + err, line, status, out,
              err)
    status, out, _ = node.ask("aud", "xmpp callbridge list")
    check(status == 0 and "cb1" in out and node.secret not in out, out)
    check("xmpp reset" not in node.ask("aud", "help xmpp")[1], "help")
    status, out, err = node.ask("aud", "pki inspect x.key")
    check(status == 1 and re.fullmatch(
        "FAILURE: x.key: Permission denied[^\n]*\n", out + err), out, err)


def auditors_change_nothing(node):
    """each command that is not for looking is refused to an auditor"""
    rows, before = node.rows(), node.state()
    shown = "".join(node.ask("aud", line)[1] for line in ["help"] + [
        "help " + topic for topic in sorted({row.split()[0] for row in rows})])
    refused = 0
    for row in rows:
        if re.search("^  %s( |$)" % re.escape(row), shown, re.M):
            check(not CHANGES & set(row.split()), row, "only looks?")
            continue
        refused += 1
        for line in {usage.shortest(row), usage.longest(row)}:
            status, out, err = node.ask("aud", line, "secret\nsecret\n")
            check(status == 1 and out == "" and err ==
                  "FAILURE: permission denied: this needs the role admin "
                  "(group mmp-admin)\n", line, status, out, err)
    check(refused > 40, "only %d commands change something" % refused)
    check(node.state() == before, "the state has changed")
    for batch in ("put key.pub", "put key.pub x.crt", "rm x.crt",
                  "get x.key back", "rename x.crt y.crt"):
        status, out = node.sftp("aud", batch)
        check(status != 0 and "ermission denied" in out, batch, status, out)
    check(node.sftp("aud", "get x.crt back")[0] == 0, "get x.crt")
    check(node.state() == before, "the state has changed")


def daemons_check_too(node):
    """a caller of a control socket has no more rights than the kernel says"""
    for user, method, fine in (
            ("ann", "Xmpp.Disable", True), ("aud", "Xmpp.Disable", False),
            ("eve", "Xmpp.Disable", False), ("aud", "Xmpp.Show", True),
            ("eve", "Xmpp.Show", False)):
        call = json.dumps({"method": "im.xmppd." + method}) + "\0"
        script = ("import socket, sys; s = socket.socket(socket.AF_UNIX); "
                  "s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + "
                  "b'\\0'); print(s.recv(65536).decode())")
        out = subprocess.run(
            ["setpriv", "--reuid=" + user, "--regid=" + user, "--init-groups",
             "/usr/bin/python3", "-c", script, node.root + "/xmppd.sock",
             call[:-1]], text=True, stdout=subprocess.PIPE, check=True,
            cwd="/").stdout
        check(("PermissionDenied" not in out) == fine, user, method, out)


def who_is_in_both_groups_is_an_administrator(node):
    """mmp-admin wins"""
    status, out, err = node.ask("both", "dns flush")
    check(status == 0, out, err)


def who_is_in_neither_is_told_so(node):
    """one line that says why, however they come, and nothing is done"""
    why = ("FAILURE: permission denied: eve is in neither of the groups "
           "mmp-admin and mmp-audit\n")
    for line in ("xmpp", "xmpp reset", "exit", "help"):
        check(node.ask("eve", line) == (1, "", why), line,
              node.ask("eve", line))
    done = subprocess.run(node.ssh("eve"), input="xmpp\nxmpp reset\n",
                          text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    check((done.returncode, done.stdout, done.stderr) == (1, "", why), done)
    command = node.ssh("eve")
    done = subprocess.run(command[:1] + ["-tt"] + command[1:], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    check(done.returncode == 1 and done.stdout.replace("\r", "") == why, done)
    # sshd keeps the words of a subsystem to itself.
    status, out = node.sftp("eve", "ls")
    check(status != 0 and "x.crt" not in out, status, out)


def all_is_logged(node):
    """user, address and verdict of each of them"""
    with open(node.root + "/audit.log") as log:
        text = log.read()
    for user, verdict in (("ann", "granted"), ("aud", "granted"),
                          ("aud", "denied"), ("eve", "denied")):
        check(re.search(r"cb1 cli\[\d+\]: User %s from 127\.0\.0\.1:\d+ issued "
                        "command < xmpp[^>]*>: permission %s" % (user, verdict),
                        text), "not logged:", user, verdict)


TESTS = (administrators_change, administrators_share_the_pki_folder,
         auditors_look, auditors_change_nothing, daemons_check_too,
         who_is_in_both_groups_is_an_administrator,
         who_is_in_neither_is_told_so, all_is_logged)


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: roles.py BUILD [TEST...]")
    build, only = os.path.abspath(sys.argv[1]), sys.argv[2:]
    if os.geteuid() != 0:
        print("roles: not root, so there are no other accounts to try")
        print("0 passed, 0 failed")
        return 0
    if os.environ.get("MMP_ROLES") != "hidden":
        os.environ["MMP_ROLES"] = "hidden"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private",
                              sys.executable, os.path.abspath(__file__)] +
                  sys.argv[1:])
    passed = failed = 0
    work = guard.folder("roles.")
    os.chmod(work, 0o755)
    hide_the_system(work)
    node = Node(build, work)
    for test in TESTS:
        if only and test.__name__ not in only:
            continue
        try:
            test(node)
            passed += 1
        except (Failed, OSError, subprocess.SubprocessError) as why:
            failed += 1
            print("%s: %s" % (test.__name__, why), flush=True)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
