"""@xmpp/client, from npm: SASL 2, Bind 2 and stream management in one answer,
as a client has them that nobody here wrote."""

import json
import os
import subprocess

from javascript import install
from logins import SASL2
from scenario import ADDRESS, SLOW, Failure, case, check

OURS = True
FEATURES = "stream:features"


def run(s, script, user):
    """What it prints, by line."""
    s.server.need_user(user)
    folder = install(s.server, script)
    try:
        done = subprocess.run(
            ["node", script, "xmpp://%s:%d" % (ADDRESS, s.server.port),
             s.domain, user, "secret-" + user], cwd=folder,
            env=dict(os.environ, NODE_EXTRA_CA_CERTS=s.server.ca),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            timeout=40 * SLOW, check=False)
    except subprocess.TimeoutExpired as late:
        raise Failure("no end: %s" % late.stdout)
    check(done.returncode == 0, done.stdout + done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


@case("XEP-0388, XEP-0386, XEP-0198", "it is logged in, bound and managed by one "
      "answer; having lost its connection it goes on by one")
def logs_in_and_goes_on(s):
    first, begun, again = run(s, "xmppjs.js", "ann")
    check(first["jid"].startswith("ann@%s/xmpp.js/" % s.domain), first)
    names = [name for name, _ in begun["elements"]]
    check([SASL2] == [ns for name, ns in begun["elements"]
                      if name == "success"], begun)
    check(names[-2:] == ["success", FEATURES], names)
    check(begun["managed"], begun)
    check(again["elements"][-1] == ["success", SASL2], again)
    check(again["jid"] == first["jid"], again)
