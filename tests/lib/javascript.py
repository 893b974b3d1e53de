"""The JavaScript clients of tests/js, which run in the build folder."""

import fcntl
import os
import shutil
import subprocess

from xmppd_node import check

SOURCE = os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "js")


def same(one, other):
    with open(one) as a, open(other) as b:
        return a.read() == b.read()


def install(server, script):
    """Installs what package-lock.json names, once, and the script; the folder
    to run it in."""
    folder = server.build + "/js"
    os.makedirs(folder, exist_ok=True)
    old, new = folder + "/installed", SOURCE + "/package-lock.json"
    with open(folder + "/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)   # parts run two at a time
        if not os.path.exists(old) or not same(old, new):
            for name in ("package.json", "package-lock.json"):
                shutil.copy(os.path.join(SOURCE, name), folder)
            done = subprocess.run(
                ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
                cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, check=False)
            check(done.returncode == 0, "npm: " + done.stdout)
            shutil.copy(new, old)
        shutil.copy(os.path.join(SOURCE, script), folder)
    return folder
