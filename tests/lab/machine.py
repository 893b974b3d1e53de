"""What the lab needs of the machine: free addresses, and processes that outlive
the lab's own and are found again."""

import errno
import os
import re
import signal
import socket
import subprocess
import time

STEP = 0.02  # seconds between two looks at something that will be there soon


class LabError(Exception):
    """One line for the user."""


def wait_for(ready, seconds, what):
    """Waits until ready() gives something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        found = ready()
        if found:
            return found
        if time.monotonic() > deadline:
            raise LabError("%s: not within %d s" % (what, seconds))
        time.sleep(STEP)


def bindable(address, port, kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as sock:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def holder(address, port):
    """Who has a port, as ss(8) tells it: 'sshd (pid 12)'."""
    shown = subprocess.run(
        ["ss", "-Hlntup", "sport = :%d" % port], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True).stdout
    for line in shown.splitlines():
        fields = line.split()
        local = fields[4].rsplit(":", 1)[0].split("%")[0]
        if local in (address, "0.0.0.0", "*", "[::]") and "users:" in line:
            name = line.split('(("', 1)[1].split('"')[0]
            pid = line.split("pid=", 1)[1].split(",")[0]
            return "%s (pid %s)" % (name, pid)
    if os.geteuid() != 0 and port < 1024:
        return "root (ports below 1024)"
    return "somebody"


def accepts(address, port):
    with socket.socket() as sock:
        return sock.connect_ex((address, port)) == 0


def answers(path):
    """Whether somebody listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(path)
        except OSError:
            return False
    return True


# A process is known by its number and the time of its start, which together
# are never given again.

def started_at(pid):
    """The start time of a process that runs; None if it doesn't (any more)."""
    try:
        with open("/proc/%d/stat" % pid) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def spawn(command, log):
    """Starts a process that goes on when the lab ends; gives [pid, start]."""
    with open(log, "ab") as out:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True, cwd="/")
    return [child.pid, started_at(child.pid)]


def alive(process):
    return process is not None and started_at(process[0]) == process[1]


def send(process, number):
    if alive(process):
        try:
            os.kill(process[0], number)
        except ProcessLookupError:
            pass


def running_in(folder, programs=None):
    """Processes, of these programs, that were told to work in a folder."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % name, errors="replace") as line:
                # sshd makes one text of it: 'sshd: /usr/sbin/sshd -D ...'.
                args = re.split("[\0 ]+", line.read())
        except OSError:
            continue
        program = os.path.basename(args[0]).rstrip(":")
        if (programs is None or program in programs) and any(
                (arg + "/").startswith(folder + "/") for arg in args[1:]):
            found.append([int(name), started_at(int(name))])
    return [process for process in found if process[1] is not None]


def runs(program):
    """Whether anybody's process of that name runs."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/comm" % name) as comm:
                if comm.read().strip() == program and started_at(int(name)):
                    return True
        except OSError:
            pass
    return False


def with_descendants(processes):
    """Also what they started: an sshd's open sessions, say."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % name) as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(name))
    found = list(processes)
    for pid, _ in found:
        found += [[child, started_at(child)]
                  for child in parents.get(pid, ())]
    return found


def reap():
    """Children of this very lab stay zombies until they are asked about."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def end(processes, number=signal.SIGTERM, seconds=5):
    """Ends processes, those that don't listen by force, and sees them go."""
    def gone():
        reap()
        return not any(alive(p) for p in processes)

    for process in processes:
        send(process, number)
        send(process, signal.SIGCONT)
    try:
        wait_for(gone, seconds, "processes")
    except LabError:
        for process in processes:
            send(process, signal.SIGKILL)
        wait_for(gone, seconds, "processes killed")
