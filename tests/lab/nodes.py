"""The lab's nodes: where they are, what runs on them, and how that is kept
between two commands of the lab."""

import json
import os
import re
import shutil
import signal
import socket

import machine
import services
from machine import LabError

TREE = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
DAEMONS = ("xmppd", "callbridge")
PROGRAMS = DAEMONS + ("mmp", "sshd", "nsd", "ssh")
OWN = re.compile(r"(cb[1-9]|ca|dns|files|home|trust|profanity|known_hosts|"
                 r"ssh_key(\.pub|\.ppk)?|ssh_config|ssh-cb.*|"
                 r"lab\.json(\.new)?)$")
CLIENT, COMPONENT = 5222, 5223


class Node:
    def __init__(self, lab, number):
        self.name = "cb%d" % number
        self.address = "%s.%d" % (lab.block, 10 + number)
        self.root = lab.path(self.name)

    def path(self, name):
        return os.path.join(self.root, name)


class Lab:
    """All zero until up; kept in the file lab.json of its folder."""

    KEPT = ("domain", "certs", "count", "block", "ssh_port", "dns_port",
            "build", "processes", "secrets", "accounts")

    def __init__(self, folder):
        self.dir = folder
        self.domain, self.certs, self.count = "tptac9.com", "shared", 3
        self.block, self.ssh_port, self.dns_port = None, 22, 53
        self.build = os.path.join(TREE, "build")
        self.processes = {}  # "cb1 xmppd": [pid, start]
        self.secrets = {}    # Call Bridge: what `xmpp callbridge add` said
        self.accounts = {}   # name: password

    def path(self, name):
        return os.path.join(self.dir, name)

    def load(self):
        try:
            with open(self.path("lab.json")) as kept:
                for name, value in json.load(kept).items():
                    setattr(self, name, value)
        except FileNotFoundError:
            raise LabError("there is no lab in %s: tests/lab/lab up" %
                           self.dir) from None
        except ValueError as error:
            raise LabError("%s is damaged (%s): tests/lab/lab --dir %s down" %
                           (self.path("lab.json"), error,
                            self.dir)) from None
        return self

    def save(self):
        text = json.dumps({name: getattr(self, name) for name in self.KEPT})
        services.write(self.path("lab.json.new"), text)
        os.rename(self.path("lab.json.new"), self.path("lab.json"))

    @property
    def nodes(self):
        return [Node(self, n + 1) for n in range(self.count)]

    @property
    def dns_address(self):
        return self.block + ".10"

    def node(self, name):
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError("no node %s: there are %s" % (
            name, ", ".join(n.name for n in self.nodes)))

    def program(self, name):
        return os.path.join(self.build, "bin", name)

    # Processes

    def process(self, node, program):
        return self.processes.get("%s %s" % (node.name, program))

    def pid(self, node, program):
        process = self.process(node, program)
        return process[0] if machine.alive(process) else None

    def start_sshd(self, node):
        prepare_root(node)
        if self.pid(node, "sshd") is None:
            self.processes[node.name + " sshd"] = services.start_sshd(
                self, node)
        self.save()
        machine.wait_for(
            lambda: machine.accepts(node.address, self.ssh_port), 10,
            "sshd of %s, see %s" % (node.name, node.path("sshd.log")))

    def start(self, node):
        """Starts what doesn't run, and waits until it answers."""
        self.start_sshd(node)
        for program in DAEMONS:
            if self.pid(node, program) is None:
                self.processes["%s %s" % (node.name, program)] = machine.spawn(
                    [self.program(program), "--root", node.root],
                    node.path(program + ".out"))
        self.save()
        for program in DAEMONS:
            self.wait_started(node, program)

    def wait_started(self, node, program):
        def ready():
            machine.reap()
            if self.pid(node, program) is None:
                raise LabError("%s of %s ended: %s" % (
                    program, node.name, last_line(
                        node.path(program + ".out"))))
            return machine.answers(node.path(program + ".sock"))
        machine.wait_for(ready, 20, "%s of %s" % (program, node.name))

    def signal(self, node, number):
        for program in DAEMONS:
            machine.send(self.process(node, program), number)

    def kill(self, node):
        machine.end([self.process(node, p) for p in DAEMONS
                     if self.pid(node, p)], signal.SIGKILL)

    def end_all(self):
        # Also what was started and not noted, by a lab cut short.
        known = [p for p in self.processes.values() if machine.alive(p)]
        known += [p for p in machine.running_in(self.dir, PROGRAMS)
                  if p not in known]
        machine.end(machine.with_descendants(known))
        services.remove_run_sshd()

    def info(self):
        return {
            "domain": self.domain,
            "ca": self.path("ca/root.pem"),
            "dns": "%s:%d" % (self.dns_address, self.dns_port),
            "dir": self.dir,
            "user": services.user(),
            "accounts": [{"jid": "%s@%s" % (name, self.domain),
                          "password": password}
                         for name, password in self.accounts.items()],
            "nodes": [{
                "name": node.name, "address": node.address,
                "ssh": self.ssh_port, "client": CLIENT,
                "component": COMPONENT, "webadmin": None, "root": node.root,
                "pids": {p: self.pid(node, p) for p in DAEMONS},
            } for node in self.nodes],
        }


def last_line(path):
    try:
        with open(path, errors="replace") as out:
            lines = out.read().split("\n")
    except OSError:
        return "no output"
    lines = [line for line in lines if line.strip()]
    return lines[-1] if lines else "no output"


def prepare_root(node):
    """Installation data: what the node's administrator finds there."""
    os.makedirs(node.path("pki"), mode=0o700, exist_ok=True)
    os.chmod(node.root, 0o700)
    if not os.path.exists(node.path("interfaces.json")):
        services.write(node.path("interfaces.json"), json.dumps(
            {"a": {"addresses": [node.address]}}) + "\n", 0o644)


# Addresses: the first block 127.0.N.0/24 in which nothing is in the way.

def in_the_way(lab):
    """The (address, port) that is taken in the lab's block, or None."""
    wanted = [(lab.dns_address, lab.dns_port)]
    for node in lab.nodes:
        wanted += [(node.address, port)
                   for port in (lab.ssh_port, CLIENT, COMPONENT)]
    for address, port in wanted:
        if not machine.bindable(address, port):
            return address, port
    if not machine.bindable(lab.dns_address, lab.dns_port, socket.SOCK_DGRAM):
        return lab.dns_address, lab.dns_port
    return None


def choose_ports(lab):
    """The usual ones unless somebody has them on every address."""
    lab.block = "127.0.254"
    for name, ports in (("ssh_port", (22, 2222, 2022)),
                        ("dns_port", (53, 5300, 5301))):
        for port in ports:
            setattr(lab, name, port)
            address = lab.dns_address if name == "dns_port" else \
                lab.nodes[0].address
            if machine.bindable(address, port):
                break
            say("lab: port %d is taken by %s, trying another" % (
                port, machine.holder(address, port)))
        else:
            raise LabError("no free port of %s" % (ports,))


def choose_block(lab):
    choose_ports(lab)
    for number in range(1, 255):
        lab.block = "127.0.%d" % number
        taken = in_the_way(lab)
        if taken is None:
            return
        say("lab: %s:%d is taken by %s, trying 127.0.%d.*" % (
            *taken, machine.holder(*taken), number + 1))
    raise LabError("no block of free addresses")


def say(text=""):
    print(text, flush=True)


class OnlyOne:
    """Two labs that choose addresses at once must not choose the same. A name
    that goes with its holder."""

    def __enter__(self):
        self.sock = socket.socket(socket.AF_UNIX)
        machine.wait_for(self.bound, 60, "another lab that is starting")

    def bound(self):
        try:
            self.sock.bind("\0mmp-lab")
        except OSError:
            return False
        return True

    def __exit__(self, *_):
        self.sock.close()


def make_folder(folder):
    """Only this user may look into it: keys and passwords are there."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        if os.path.exists(os.path.join(folder, "lab.json")):
            raise LabError("there is a lab in %s already: tests/lab/lab down "
                           "ends it" % folder) from None
        if os.lstat(folder).st_uid != os.geteuid() or os.path.islink(folder):
            raise LabError("%s belongs to somebody else" % folder) from None
        if os.listdir(folder):
            raise LabError("%s is not empty" % folder) from None
    except FileNotFoundError:
        raise LabError("%s: no such folder" % os.path.dirname(
            folder)) from None


def remove_folder(lab):
    """Only what the lab made. It began with an empty folder."""
    for name in filter(OWN.match, os.listdir(lab.dir)):
        path = lab.path(name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    left = os.listdir(lab.dir)
    if left:
        raise LabError("%s stays: the lab didn't make %s in it" % (
            lab.dir, ", ".join(left)))
    os.rmdir(lab.dir)


def build_services(lab):
    """Everything around the nodes' daemons."""
    lab.save()
    for program in ("mmp",) + DAEMONS:
        if not os.access(lab.program(program), os.X_OK):
            raise LabError("%s is not built: make" % lab.program(program))
    with OnlyOne():
        choose_block(lab)
        lab.save()
        services.make_dns(lab)
        lab.processes["nsd"] = services.start_dns(lab)
        lab.save()
        machine.wait_for(
            lambda: machine.accepts(lab.dns_address, lab.dns_port), 10,
            "nsd, see %s" % lab.path("dns/nsd.log"))
    for node in lab.nodes:
        prepare_root(node)
    os.makedirs(lab.path("home"), mode=0o700)
    services.make_ssh(lab)
    services.make_ca(lab)
    for node in lab.nodes:
        lab.start_sshd(node)
