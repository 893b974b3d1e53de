"""The commands that `mmp --list-commands` prints, and lines made of them: whole
ones, and what an administrator may get wrong. A new command is covered by
itself; a new kind of argument needs its row here."""

import re

# What fits an argument, by its label in the usage.
SAMPLES = {
    "domain": "tptac9.com", "interface": "a", "key": "abhiall.key",
    "certificate": "abhiall.cer", "bundle": "certall.cer", "name": "cb1",
    "member": "10.0.0.2:5222", "seconds": "3", "file": "abhiall.cer",
    "basename": "fresh", "attribute": "CN:x", "csr": "x", "ca": "y",
    "root": "certall.cer", "server": "10.0.0.53", "zone": "tptac9.com",
    "record": "x.tptac9.com. IN A 10.0.0.1", "type": "srv", "topic": "xmpp",
    "address": "ann", "limit": "rate", "value": "2k", "text": "hello",
    "role": "abuse", "uri": "mailto:help@tptac9.com", "days": "30",
}

# What has not the form of one. Others are wrong for all of them.
WRONG = {
    "domain": ("-x.com", "a..com", "10.1.1.1", "x" * 300),
    "interface": ("z", "eth0:0:0", "a:99999:5223"),
    "key": ("../x.key", ".x.key", "/etc/shadow"), "certificate": ("a/b.cer",),
    "bundle": ("..",), "name": ("a b", "x@", "a/b"),
    "member": ("10.0.0.2:70000", "[::1", "10.0.0.256", "-x"),
    "seconds": ("0", "61", "-1", "3s", "1e1"), "file": ("../xmppd.json",),
    "basename": ("x.key", "-x"), "attribute": ("CN", "XY:z", "CN:"),
    "csr": ("a/b",), "ca": ("a.crt",), "root": ("",),
    "server": ("10.0.0.53:0", "[10.0.0.53]"), "zone": ("a..b",),
    "record": (), "type": ("mx", "any"), "topic": (),
    "address": (), "limit": ("rates",), "value": ("x", "1x", "-1"), "text": (),
    "role": ("boss",), "uri": (), "days": ("x",),
}
ALWAYS_WRONG = ("", "a\x01b")

# What has the form, but isn't there.
ABSENT = {
    "key": "absent.key", "certificate": "absent.cer", "bundle": "absent.cer",
    "file": "absent.cer", "root": "absent.cer", "csr": "absent",
    "ca": "absent", "member": "127.9.9.9:5222", "zone": "absent.example",
    "server": "127.9.9.9", "record": "absent.example. IN A 10.0.0.1",
    "name": "absent", "interface": "d", "domain": "absent.example",
    "role": "sales",
}
# Commands that want something that is there.
REFER = re.compile(r"(xmpp (listen|certs|cluster (trust|remove))|iface|ipv4|"
                   r"pki (?!csr|selfsigned|list)\w+|callbridge trust|"
                   r"dns del|.* (del|passwd)) .*<")


def tokens(pattern):
    """The words of a usage, as (text, optional, repeats)."""
    found, depth = [], 0
    for part in re.findall(r"\[|\]|<[^>]*>|\.\.\.|[^][<> .]+", pattern):
        if part == "[":
            depth += 1
        elif part == "]":
            depth -= 1
        elif part == "...":
            found[-1] = (found[-1][0], found[-1][1], True)
        else:
            found.append((part, depth > 0, False))
    return found


def is_argument(token):
    return token[0].startswith("<")


def label(token):
    return token[0][1:-1]


def quoted(text):
    return '"%s"' % text


def fill(token, samples=None):
    if is_argument(token):
        return quoted((samples or SAMPLES)[label(token)])
    return token[0].split("|")[0]


def shortest(pattern):
    return " ".join(fill(t) for t in tokens(pattern) if not t[1])


def longest(pattern):
    return " ".join(fill(t) for t in tokens(pattern))


def too_many(patterns):
    return [longest(pattern) + " surplus surplus" for pattern in patterns
            if "..." not in pattern]


def too_few(patterns):
    whole = {shortest(pattern) for pattern in patterns}
    lines = []
    for pattern in patterns:
        words = [fill(t) for t in tokens(pattern) if not t[1]]
        line = " ".join(words[:-1])
        if line and line not in whole and line not in lines:
            lines.append(line)
    return lines


def wrong(patterns, more=True):
    """Each argument of each command, wrong in each way, or in one."""
    lines = []
    for pattern in patterns:
        parts = tokens(pattern)
        for i, part in enumerate(parts):
            if not is_argument(part):
                continue
            words = [fill(t) for t in parts]
            for value in (WRONG[label(part)] if more else ()) + ALWAYS_WRONG:
                words[i] = quoted(value)
                lines.append(" ".join(words))
    return lines


def absent(patterns):
    """Whole lines about what isn't there."""
    return [" ".join(fill(t, ABSENT) for t in tokens(pattern))
            for pattern in patterns if REFER.match(pattern)]
