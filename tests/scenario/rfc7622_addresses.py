"""RFC 7622, with the profiles of RFC 6122: addresses are prepared, compared,
and bounded."""

import ssl
import subprocess

from scenario import STANZA_ERRORS, TLS, case, check, show

ROSTER = "jabber:iq:roster"

# As it is written, and as it is kept.
LOCALS = (
    ("ANN", "ann"), ("\uff41nn", "ann"), ("a\u00adnn", "ann"),
    ("J\u00dcRGEN", "j\u00fcrgen"), ("ju\u0308rgen", "j\u00fcrgen"),
    ("stra\u00dfe", "strasse"), ("\u03a3\u03b1\u03c2", "\u03c3\u03b1\u03c3"),
    ("\u2168x", "ixx"), ("\u0418\u0432\u0430\u043d", "\u0438\u0432\u0430\u043d"),
    ("\u5c71\u7530", "\u5c71\u7530"), ("\u05d0\u05d1", "\u05d0\u05d1"),
    ("\u212bke", "\u00e5ke"), ("a.b-c_d!#$%()*+,;=?[]^`{|}~\\",
                               "a.b-c_d!#$%()*+,;=?[]^`{|}~\\"))
BAD_LOCALS = (
    "", " ", "a b", 'a"b', "a&b", "a'b", "a:b", "a<b", "a>b", "a@b",
    "a\u00a0b", "a\u3000b", "a\u007fb", "a\u0080b", "\u200e", "a\u2028b",
    "\ue000", "\ufdd0", "\ufffd", "\u05d0a", "a\u05d0", "\u0627\u0031",
    "\u0378", "\U000e0001")

DOMAINS = (
    ("EXAMPLE.net", "example.net"), ("example.net.", "example.net"),
    ("B\u00dcCHER.example", "b\u00fccher.example"),
    ("bu\u0308cher.example", "b\u00fccher.example"),
    ("xn--bcher-kva.example", "b\u00fccher.example"),
    ("XN--BCHER-KVA.example", "b\u00fccher.example"),
    ("b\u00fccher\u3002example", "b\u00fccher.example"),
    ("\uff45\uff58.example", "ex.example"),
    ("fa\u00df.example", "fa\u00df.example"),
    ("xn--fa-hia.example", "fa\u00df.example"),
    ("\u4f8b\u3048.\u30c6\u30b9\u30c8", "\u4f8b\u3048.\u30c6\u30b9\u30c8"),
    ("xn--r8jz45g.xn--zckzah", "\u4f8b\u3048.\u30c6\u30b9\u30c8"),
    ("192.0.2.1", "192.0.2.1"), ("[2001:db8::1]", "[2001:db8::1]"))
BAD_DOMAINS = (
    "", ".", "..", ".a", "a..b", "-a", "a-", "a_b c", "a b", "ex@mple",
    "a" * 64 + ".example", ("a" * 60 + ".") * 18, "xn--.example",
    "xn--a.example", "xn--" + "9" * 59 + ".example", "ex\u2603mple.org",
    "\u2488com", "a\u200bb.\u0301", "\u0301a.example", "[::1", "[zz::1]",
    "ex\u00a0ample.org", "a\u2024b\ufe52.", "\uff20.example", "ab--c\u00e9.d")

RESOURCES = (
    ("Home", "Home"), ("a b", "a b"), ("a@b/c", "a@b/c"), ("\u00e9", "\u00e9"),
    ("e\u0301", "\u00e9"), ("\u2168", "IX"), ("\u00df", "\u00df"),
    ("a\u00adb", "ab"), ("\U0001F600", "\U0001F600"),
    ("\"&'<>:", "\"&'<>:"))
BAD_RESOURCES = (
    "", "\u007f", "\u0080", "\u2028", "\ue000", "\ufdd0", "\u200e", "\ufffd",
    "\u05d0a", "\t", "\n", "\U000e0001")


def escaped(text):
    return "".join("&#%d;" % ord(c) if c in "&<'\t\n" else c for c in text)


def to(peer, address):
    """Sends to it; the answer."""
    peer.send(f"<iq type='get' id='a' to='{escaped(address)}'>"
              "<x xmlns='urn:x'/></iq>")
    got = peer.read()
    check(got is not None and got.get("id") == "a",
          "no answer: " + address[:50])
    return got


def is_malformed(got):
    return got.find(".//{%s}jid-malformed" % STANZA_ERRORS) is not None


# ---- to -------------------------------------------------------------------


@case("3.1, 3.3", "the localpart is prepared")
def locals_in_to(s):
    ann = s.client("ann")
    for written, kept in LOCALS:
        got = to(ann, f"{written}@{s.domain}/x")
        check(got.get("from") == f"{kept}@{s.domain}/x", show(got))


@case("3.3.1", "further excluded characters, and what the profile prohibits: "
      "<jid-malformed/>")
def bad_locals_in_to(s):
    ann = s.client("ann")
    for local in BAD_LOCALS:
        got = to(ann, f"{local}@{s.domain}")
        check(is_malformed(got), "%r: %s" % (local, show(got)))


@case("3.2", "the domainpart: labels in their one form, A-labels as U-labels, "
      "a final dot stripped")
def domains_in_to(s):
    ann = s.client("ann")
    for written, kept in DOMAINS:
        got = to(ann, written)
        check(got.get("from") == kept, "%r: %s" % (written, show(got)))


@case("3.2", "what is no domain: <jid-malformed/>")
def bad_domains_in_to(s):
    ann = s.client("ann")
    for domain in BAD_DOMAINS:
        got = to(ann, "ann@" + domain)
        check(is_malformed(got), "%r: %s" % (domain, show(got)))


@case("3.4", "the resourcepart keeps its case")
def resources_in_to(s):
    ann = s.client("ann")
    for written, kept in RESOURCES:
        got = to(ann, f"nobody@{s.domain}/{written}")
        check(got.get("from") == f"nobody@{s.domain}/{kept}", "%r: %s" % (
            written, show(got)))


@case("3.4", "what is no resourcepart: <jid-malformed/>")
def bad_resources_in_to(s):
    ann = s.client("ann")
    for resource in BAD_RESOURCES:
        got = to(ann, f"ann@{s.domain}/{resource}")
        check(is_malformed(got), "%r: %s" % (resource, show(got)))


@case("3.1", "each part is at most 1023 octets, after its preparation")
def sizes(s):
    ann = s.client("ann")
    label = "a" * 62 + "."
    for address, good in (
            ("a" * 1023 + "@" + s.domain, True),
            ("a" * 1024 + "@" + s.domain, False),
            ("\u00e9" * 511 + "@" + s.domain, True),
            ("\u00e9" * 512 + "@" + s.domain, False),
            ("x@" + s.domain + "/" + "b" * 1023, True),
            ("x@" + s.domain + "/" + "b" * 1024, False),
            ("x@" + s.domain + "/" + "\u00e9" * 511, True),
            ("x@" + s.domain + "/" + "\u00e9" * 512, False),
            (label * 16 + "abc", True), (label * 17, False),
            ("a" * 1023 + "@" + s.domain + "/" + "b" * 1023, True),
            ("a" * 15000, False), ("a@b/" + "c" * 15000, False)):
        got = to(ann, address)
        check(is_malformed(got) != good, "%s...: %s" % (
            address[:20], show(got)[:300]))


@case("3.1", "the first '/' and the first '@' before it separate the parts")
def parts(s):
    ann = s.client("ann")
    for address, good in (("a@b@c", False), ("a/b@c", True), ("a/b/c", True),
                          ("a@b/c@d/e", True), ("@a", False), ("a@", False),
                          ("a/", False), ("/a", False), ("a@/b", False),
                          ("@", False), ("/", False), ("@/", False)):
        got = to(ann, address)
        check(is_malformed(got) != good, "%s: %s" % (address, show(got)))


# ---- elsewhere ------------------------------------------------------------


@case("3.3", "in login names: SCRAM and PLAIN log in to the account of the "
      "prepared name; the bound address is prepared")
def in_login_names(s):
    s.server.need_user("j\u00fcrgen")
    for written in ("J\u00dcRGEN", "ju\u0308rgen", "j\u00fcrg\u00aden"):
        peer = s.stream()
        peer.login(written, "secret-j\u00fcrgen")
        peer.bind("r")
        check(peer.jid == f"j\u00fcrgen@{s.domain}/r", peer.jid)
        peer.send(f"<message to='{peer.jid}' from='{written}@{s.domain}/r' "
                  "id='1'/>")
        peer.expect(f"<message id='1' from='{peer.jid}'/>")


@case("3", "in the stream header")
def in_headers(s):
    for written, kept in (("ANN@" + s.domain.upper() + "/x", "ann@" + s.domain),
                          ("J\u00dcRGEN@" + s.domain, "j\u00fcrgen@" + s.domain),
                          ("a b@" + s.domain, None), ("@", None), ("", None)):
        peer = s.raw()
        peer.open(more=f"version='1.0' from='{written}'",
                  to=s.domain.upper())
        check(peer.header.get("to") == kept, peer.header)
        check(peer.header["from"] == s.domain, peer.header)


@case("3", "in roster items: one item, however it is written")
def in_rosters(s):
    name = s.user()
    ann = s.client(name)
    ann.iq("get", f"<query xmlns='{ROSTER}'/>")
    rows = [("J\u00dcRGEN@" + s.domain, "j\u00fcrgen@" + s.domain),
            ("ju\u0308rgen@" + s.domain.upper(), "j\u00fcrgen@" + s.domain)]
    rows += [("a@" + written, "a@" + kept) for written, kept in DOMAINS]
    for written, kept in rows:
        ann.send(f"<iq type='set' id='r'><query xmlns='{ROSTER}'>"
                 f"<item jid='{written}' name='x'/></query></iq>")
        seen = [ann.read(), ann.read()]
        pushes = [e for e in seen if e.get("type") == "set"]
        check(pushes and pushes[0][0][0].get("jid") == kept,
              "%r: %s" % (written, " ".join(map(show, seen))))
    got = ann.iq("get", f"<query xmlns='{ROSTER}'/>")
    check(sorted(i.get("jid") for i in got[0]) == sorted(
        {kept for _, kept in rows}), show(got))
    for bad in ("a b@" + s.domain, "", "@", "a@ex\u2603mple.org",
                "a@xn--a.example", "x" * 1024 + "@" + s.domain):
        ann.send(f"<iq type='set' id='b'><query xmlns='{ROSTER}'>"
                 f"<item jid='{bad}'/></query></iq>")
        ann.expect("<iq type='error' id='b'/>")


@case("3", "presence and messages reach whom is meant")
def in_stanzas(s):
    s.server.need_user("j\u00fcrgen")
    peer = s.online("j\u00fcrgen", "\u00c9")
    ann = s.client("ann")
    for number, written in enumerate((
            "J\u00dcRGEN", "ju\u0308rgen", "\uff4a\u00fcrgen")):
        ann.send(f"<message to='{written}@{s.domain.upper()}/E\u0301' "
                 f"id='{number}'/>")
        peer.expect(f"<message id='{number}'/>")


@case("3.2; RFC 6066, 3", "a domain of ours with letters beyond ASCII: served "
      "by either label, and its certificate found by the A-label", ours=True)
def internationalized_domain(s):
    name, label = "b\u00fccher.example", "xn--bcher-kva.example"
    folder = s.server.dir
    subprocess.run(
        ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
         "/CN=" + label, "-addext", "subjectAltName=DNS:" + label,
         "-keyout", "idn.key", "-out", "idn.crt"), cwd=folder, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pems = {}
    for what in ("key", "crt"):
        with open("%s/idn.%s" % (folder, what)) as pem:
            pems[what] = {"name": "idn." + what, "pem": pem.read()}
    s.server.call("Domain.Add", domain=label, key=pems["key"],
                  certificate=pems["crt"])
    s.server.call("User.Add", name="ann@B\u00dcCHER.example",
                  password="secret-ann")
    context = ssl.create_default_context(cafile=folder + "/idn.crt")
    peers = []
    for number, written in enumerate((name, label, name.upper())):
        peer = s.raw("idn%d" % number)
        peer.open(to=written)
        check(peer.header["from"] == name, peer.header)
        peer.send("<starttls xmlns='%s'/>" % TLS)
        peer.expect("<proceed xmlns='%s'/>" % TLS)
        peer.sock = context.wrap_socket(peer.sock, server_hostname=label)
        peer.domain = name
        peer.open(to=written)
        peer.login("ann", to=written)
        peer.bind("r%d" % number)
        check(peer.jid == f"ann@{name}/r{number}", peer.jid)
        peers.append(peer)
    peers[0].send(f"<message to='ann@{label}/r1' id='1'/>")
    peers[1].expect(f"<message id='1' from='{peers[0].jid}'/>")
    s.leave()
    s.server.call("Domain.Del", domain=label)
