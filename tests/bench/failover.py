"""How long a message between two clients on surviving servers takes when the
leader is killed. Also whether each arrived once, and in order."""

import json
import os
import shutil
import sys
import time

from servers import PASSWORD, TREE, Load, machine, run

sys.path[:0] = [TREE + "/tests/lib", TREE + "/tests/lab"]

import guard  # noqa: E402
import nodes  # noqa: E402
import procedure  # noqa: E402

EVERY_MS = 5


class Cluster:
    """The lab: three nodes, of which one leads."""

    def __init__(self, build):
        self.folder = guard.folder("mmp-bench-lab-")
        self.tool = [TREE + "/tests/lab/lab", "--dir", self.folder + "/lab"]
        run(*self.tool, "up", "--build", build)
        self.lab = nodes.Lab(self.folder + "/lab").load()
        self.t = procedure.Terminal(self.lab, quiet=True)
        self.t.__enter__()
        for name in ("user0", "user1"):
            self.t.ask(self.lab.nodes[0], "xmpp user add " + name,
                       "%s\n%s\n" % (PASSWORD, PASSWORD))

    def close(self):
        run(*self.tool, "down")
        shutil.rmtree(self.folder, ignore_errors=True)

    def view(self, node):
        """(the node's state, the leader's address); None: not known"""
        status, out, _ = self.t.ask(node, "xmpp cluster status")
        lines = out.splitlines()
        leaders = [line.split(":")[0] for line in lines
                   if line.endswith("(Leader)")]
        state = lines[0].partition(":")[2].strip() if lines else ""
        return (state, leaders[0]) if status == 0 and len(leaders) == 1 \
            else None

    def leader(self):
        def look():
            seen = [self.view(node) for node in self.lab.nodes]
            if None in seen or len({s[1] for s in seen}) != 1 or \
                    sorted(s[0] for s in seen) != ["FOLLOWER", "FOLLOWER",
                                                   "LEADER"]:
                return None
            return next(n for n in self.lab.nodes if n.address == seen[0][1])
        return machine.wait_for(look, 60, "a leader")

    def kill(self, node):
        """Returns when, in microseconds."""
        processes = [self.lab.process(node, name) for name in nodes.DAEMONS]
        when = time.monotonic_ns() // 1000
        for process in processes:
            machine.send(process, 9)
        return when

    def start(self, node):
        run(*self.tool, "start", node.name)
        self.lab.load()


def one_kill(cluster, build):
    """(microseconds to the next delivery, sent, numbers as they arrived)"""
    leader = cluster.leader()
    one, two = [n for n in cluster.lab.nodes if n.name != leader.name]
    load = Load(build, None, [
        one.address, nodes.CLIENT, cluster.lab.domain,
        cluster.lab.path("ca/root.pem"), PASSWORD, 2, "probe", EVERY_MS,
        two.address])
    load.wait_ready()
    load.go()
    time.sleep(0.7)
    killed = cluster.kill(leader)
    time.sleep(3)
    load.go()
    arrived, line = [], load.line()
    while not line.startswith("{"):
        arrived.append(tuple(int(v) for v in line.split()))
        line = load.line()
    load.stop()
    cluster.start(leader)
    after = [at for _, sent, at in arrived if sent >= killed]
    return (min(after) - killed if after else None,
            json.loads(line)["sent"], [number for number, _, _ in arrived])


def measure(build, kills):
    """([microseconds, or None where nothing arrived in time], how many times
    not all arrived once and in order)"""
    cluster = Cluster(build)
    times, wrong = [], 0
    try:
        for _ in range(kills):
            took, sent, numbers = one_kill(cluster, build)
            times.append(took)
            wrong += numbers != list(range(1, sent + 1))
    finally:
        cluster.close()
    return times, wrong
