"""What an administrator types: the deployment procedure over SSH and SFTP, one
command after the other, each shown with its answer. Nothing here reaches into
a node by any other way."""

import os
import subprocess

import machine
import services
from machine import LabError
from nodes import say


ANSWER_TIME = 120  # seconds


class Terminal:
    """SSH to the nodes, over one connection each while this lives."""

    def __init__(self, lab, quiet=False):
        self.lab, self.quiet = lab, quiet
        self.masters = []  # (process, its socket)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for master, path in self.masters:
            master.terminate()
            try:
                master.wait(2)
            except subprocess.TimeoutExpired:  # seen once in some dozen
                master.kill()
                master.wait()
                if os.path.exists(path):  # ssh would always complain of it
                    os.unlink(path)

    def connect(self, node):
        path = self.lab.path("ssh-" + node.name)
        if machine.answers(path):
            return  # another one keeps a connection open already
        master = subprocess.Popen(
            ["ssh", "-F", self.lab.path("ssh_config"), "-M", "-N", node.name],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        self.masters.append((master, path))
        machine.wait_for(lambda: machine.answers(path), 10,
                         "ssh to " + node.name)

    def say(self, text):
        if not self.quiet:
            say(text)

    def ask(self, node, line, typed=""):
        """Types a line; gives (exit status, standard output, error)."""
        try:
            done = subprocess.run(
                ["ssh", "-F", self.lab.path("ssh_config"), node.name, "--",
                 line], input=typed, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, timeout=ANSWER_TIME)
        except subprocess.TimeoutExpired:
            raise LabError("%s: no answer to '%s' within %d s" % (
                node.name, line, ANSWER_TIME)) from None
        return done.returncode, done.stdout, done.stderr

    def type(self, node, line, typed=(), shown=""):
        """The same, shown; ends the lab's command where it is refused."""
        self.say("%s> %s" % (node.name, line))
        status, out, err = self.ask(
            node, line, "".join(answer + "\n" for answer in typed))
        if err:
            # A prompt stands there without the answer, which has no echo.
            self.say(err.rstrip("\n") + shown)
        if out:
            self.say(out.rstrip("\n"))
        if status != 0:
            raise LabError("%s: '%s' ended with %d" % (
                node.name, line, status))
        return out

    def sftp(self, node, *lines):
        for line in lines:
            self.say("sftp %s> %s" % (node.name, line))
        done = subprocess.run(
            ["sftp", "-q", "-F", self.lab.path("ssh_config"), "-b", "-",
             node.name],
            input="".join(line + "\n" for line in lines), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=self.lab.path("files"))
        if done.returncode != 0:
            raise LabError("sftp %s: %s" % (node.name, done.stderr.strip()))


# Certificates. `files` is the administrator's own folder.

def certificate_names(lab, node):
    """(key, certificate, trust) as this node's administrator calls them."""
    if lab.certs == "shared":
        return "abhiall.key", "abhiall.cer", "abhiall.cer"
    return node.name + ".key", node.name + ".cer", "xmpp-cluster-bundle.crt"


def make_shared(lab, t):
    first, others = lab.nodes[0], lab.nodes[1:]
    names = [lab.domain] + ["%s.%s" % (n.name, lab.domain) for n in lab.nodes]
    t.type(first, "pki csr abhiall CN:%s subjectAltName:%s" % (
        names[1], ",".join(names)))
    t.sftp(first, "get abhiall.csr", "get abhiall.key")
    t.say("ca# sign abhiall.csr")
    services.sign(lab, lab.path("files/abhiall.csr"),
                  lab.path("files/abhiall.cer"))
    t.sftp(first, "put abhiall.cer", "put certallbundle.cer")
    for node in others:
        t.sftp(node, "put abhiall.key", "put abhiall.cer",
               "put certallbundle.cer")


def make_each(lab, t):
    for node in lab.nodes:
        host = "%s.%s" % (node.name, lab.domain)
        t.type(node, "pki csr %s CN:%s subjectAltName:%s,%s" % (
            node.name, host, lab.domain, host))
        t.sftp(node, "get %s.csr" % node.name, "get %s.key" % node.name)
        t.say("ca# sign %s.csr" % node.name)
        services.sign(lab, lab.path("files/%s.csr" % node.name),
                      lab.path("files/%s.cer" % node.name))
    with open(lab.path("files/xmpp-cluster-bundle.crt"), "w") as out:
        for node in lab.nodes:
            out.write(open(lab.path("files/%s.cer" % node.name)).read())
    for node in lab.nodes:
        t.sftp(node, "put %s.cer" % node.name, "put certallbundle.cer",
               "put xmpp-cluster-bundle.crt")


def make_certificates(lab, t):
    os.makedirs(lab.path("files"), exist_ok=True)
    services.write(lab.path("files/certallbundle.cer"), services.bundle(lab),
                   0o644)
    if lab.certs == "shared":
        make_shared(lab, t)
    else:
        make_each(lab, t)
    for node in lab.nodes:
        t.type(node, "pki list")


# The servers

def configure(lab, t, node):
    key, certificate, trust = certificate_names(lab, node)
    t.type(node, "xmpp domain " + lab.domain)
    t.type(node, "xmpp listen a")
    t.type(node, "xmpp certs %s %s certallbundle.cer" % (key, certificate))
    t.type(node, "xmpp cluster trust " + trust)


def first_server(lab, t, early=False):
    """`early`: enabled before the Call Bridges are added, as another published
    form of the procedure has it."""
    node = lab.nodes[0]
    configure(lab, t, node)
    if early:
        t.type(node, "xmpp enable")
    for other in lab.nodes:
        out = t.type(node, "xmpp callbridge add " + other.name)
        for line in out.splitlines():
            label, _, value = line.partition(":")
            if label.strip() == "Secret":
                lab.secrets[other.name] = value.strip()
    lab.save()
    for line in ("xmpp callbridge list", "xmpp disable",
                 "xmpp cluster enable", "xmpp cluster initialize",
                 "xmpp enable"):
        t.type(node, line)


def join(lab, t, node, member):
    t.type(node, "xmpp disable")
    t.type(node, "xmpp cluster enable")
    t.type(node, "xmpp enable")
    t.type(node, "xmpp cluster join " + member)


def further_server(lab, t, node, early=False):
    configure(lab, t, node)
    if early:
        t.type(node, "xmpp enable")
    for other in lab.nodes:
        t.type(node, "xmpp callbridge add-secret " + other.name,
               [lab.secrets[other.name]], "(the secret of %s)" % other.name)
    join(lab, t, node, "%s.%s" % (lab.nodes[0].name, lab.domain))


# The Call Bridges

def resolver(lab, t, node):
    server = lab.dns_address
    if lab.dns_port != 53:
        server += ":%d" % lab.dns_port
    t.type(node, "dns add forwardzone %s %s" % (lab.domain, server))


def call_bridge(lab, t, node):
    t.type(node, "callbridge xmpp name " + node.name)
    t.type(node, "callbridge xmpp domain " + lab.domain)
    t.type(node, "callbridge xmpp secret", [lab.secrets[node.name]] * 2,
           "(the secret of %s, twice)" % node.name)


def bridge_connected(t, node):
    status, out, _ = t.ask(node, "callbridge status")
    return status == 0 and "connected" in out.split("\n")[0].lower().split()


def wait_for_bridges(lab, t, seconds=30):
    for node in lab.nodes:
        machine.wait_for(
            lambda node=node: bridge_connected(t, node), seconds,
            "Call Bridge of " + node.name)


def add_accounts(lab, t):
    for name, password in (("alice", "wonderland"), ("bob", "builder")):
        t.type(lab.nodes[0], "xmpp user add " + name, [password] * 2,
               "(%s, twice)" % password)
        lab.accounts[name] = password
    lab.save()


def deploy(lab, t):
    # A new appliance gets its name first; its daemons know it from the start.
    # Where to ask for names comes next: members are joined by name.
    for node in lab.nodes:
        t.connect(node)
        t.type(node, "hostname " + node.name)
        lab.start(node)
        resolver(lab, t, node)
    make_certificates(lab, t)
    first_server(lab, t)
    for node in lab.nodes[1:]:
        further_server(lab, t, node)
    for node in lab.nodes:
        call_bridge(lab, t, node)
    add_accounts(lab, t)
    wait_for_bridges(lab, t)


def outside(t, node):
    """Whether a node knows that it is in no cluster: one that was removed while
    it was away is told so by the first member that it meets."""
    state = t.ask(node, "xmpp cluster status")[1].partition("\n")[0]
    return state not in ("State: NO LEADER", "State: JOINING")


def rejoin(lab, t, node):
    """A node that was reset, removed or wiped gets what a new one gets; the
    Call Bridges and accounts come from the cluster."""
    members = [n for n in lab.nodes
               if n.name != node.name and lab.pid(n, "xmppd")]
    if not members:
        raise LabError("no other node runs that %s could join" % node.name)
    t.connect(node)
    names = certificate_names(lab, node) + ("certallbundle.cer",)
    missing = [name for name in dict.fromkeys(names)
               if not os.path.exists(node.path("pki/" + name))]
    for name in missing:
        if not os.path.exists(lab.path("files/" + name)):
            raise LabError("%s of %s is gone: no copy was kept" % (
                name, node.name))
    if missing:
        t.sftp(node, *["put " + name for name in missing])
    machine.wait_for(lambda: outside(t, node), 20,
                     "%s hears from a member" % node.name)
    configure(lab, t, node)
    join(lab, t, node, members[0].address)
    if "not configured" in t.ask(node, "callbridge status")[1]:
        resolver(lab, t, node)
        call_bridge(lab, t, node)
    machine.wait_for(lambda: bridge_connected(t, node), 30,
                     "Call Bridge of " + node.name)
