#!/usr/bin/python3
"""A test's own folder, of which nothing is left when the test ends, however it
does: its folder is removed, and who works in it is killed.

As a program, `guard.py FOLDER` waits for the end of its standard input, which
comes also when the test is killed, and does that.
"""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile

LAB = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                   "lab")
sys.path.insert(0, LAB)

import machine  # noqa: E402

guards = []


def folder(prefix):
    """Makes one, with its guard."""
    path = tempfile.mkdtemp(prefix=prefix)
    guards.append(subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), path],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True, cwd="/"))
    return path


@atexit.register
def finish():
    for guard in guards:
        guard.stdin.close()
    for guard in guards:
        guard.wait()


def watch(path):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    found = True
    while found:
        found = [p for p in machine.with_descendants(machine.running_in(path))
                 if p[0] != os.getpid()]
        machine.end(found, signal.SIGKILL)
    if os.path.exists(path + "/lab"):
        subprocess.run([LAB + "/lab", "--dir", path + "/lab", "down"])
    shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    watch(sys.argv[1])
