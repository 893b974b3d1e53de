"""RFC 6120, 13.12: limits, at them, one over, far over; each answered by
<policy-violation/> (4.9.3.14)."""

from scenario import SASL, STREAM_ERRORS, case, check, show

OURS = True

LOGIN, STANZA, DEPTH, ATTRIBUTES = 10000, 262144, 64, 64
LOGIN_DEPTH, LOGIN_ATTRIBUTES = 8, 16


def message(s, size, to=None):
    """A message of so many bytes, from '<' to '>'."""
    head = f"<message to='{to or s.domain}' id='m'><body>"
    tail = "</body></message>"
    return head + "x" * (size - len(head) - len(tail)) + tail


def is_refused(peer, text, chunked=False):
    """However much of it can still be written."""
    try:
        peer.send(text, chunked)
    except OSError:
        pass
    peer.expect_stream_error("policy-violation")
    peer.jid = None


@case("13.12", "the maximum stanza size MUST NOT be smaller than 10000 bytes")
def ten_thousand_bytes(s):
    ann, bob = s.client("ann"), s.online("bob")
    ann.send(message(s, 10000, bob.jid))
    bob.expect("<message id='m'/>")
    peer = s.stream()
    text = f"<auth xmlns='{SASL}' mechanism='X'></auth>"
    peer.send(text.replace("></", ">" + "A" * (10000 - len(text)) + "</"))
    peer.expect(f"<failure xmlns='{SASL}'/>")


@case("4.9.3.14", "a stanza at the limit passes; one byte more doesn't")
def size_of_stanzas(s):
    bob = s.online("bob")
    ann = s.client("ann")
    ann.send(message(s, STANZA, bob.jid))
    bob.expect("<message id='m'/>")
    ann.send(message(s, STANZA, bob.jid) * 2)
    bob.expect("<message id='m'/>")
    bob.expect("<message id='m'/>")
    for size in (STANZA + 1, STANZA * 4):
        is_refused(s.client("ann"), message(s, size, bob.jid))
    bob.expect_nothing()


@case("4.9.3.14", "before the login it is smaller")
def size_before_the_login(s):
    text = f"<auth xmlns='{SASL}' mechanism='X'></auth>"
    for size in (LOGIN + 1, LOGIN * 2, STANZA, STANZA * 4):
        element = text.replace("></", ">%s</" % ("A" * (size - len(text))))
        is_refused(s.stream(), element)
        peer = s.raw()
        peer.open()
        is_refused(peer, element)


@case("4.9.3.14", "also of the header itself")
def size_of_headers(s):
    for more in ("x='%s'" % ("y" * LOGIN), "xmlns:%s='u'" % ("p" * LOGIN),
                 " ".join("xmlns:p%d='urn:p%d'" % (n, n)
                          for n in range(1000))):
        peer = s.raw()
        is_refused(peer, "<stream:stream xmlns='jabber:client' xmlns:stream="
                   "'http://etherx.jabber.org/streams' to='%s' version='1.0' "
                   "%s>" % (s.domain, more))


@case("4.9.3.14", "what is never finished: a tag, a name, an attribute, a text")
def unfinished_tokens(s):
    big = "x" * (STANZA + 10)
    for start in ("<", "<message ", "<message id='", "<message><", "<message>",
                  "<message><body>", "<message><x xmlns='", "<message a",
                  "<message><![CDATA[", "<message xmlns:"):
        is_refused(s.client("ann"), start + big)
        peer = s.stream()
        is_refused(peer, start + "x" * (LOGIN + 10))
        peer = s.raw()
        peer.open()
        is_refused(peer, start + "x" * (LOGIN + 10))
        peer = s.raw()
        peer.send(start + big)
        peer.expect_stream_error("policy-violation", "not-well-formed",
                                 "invalid-namespace")


@case("4.9.3.14", "an unfinished tag has its limit before a stanza has")
def unfinished_tags(s):
    ann = s.client("ann")
    try:
        for _ in range(70):
            ann.send("<message id='" if _ == 0 else "x" * 1000)
    except OSError:
        pass
    ann.expect_stream_error("policy-violation")
    ann.jid = None


@case("4.9.3.14", "elements at the greatest depth pass, and one deeper don't")
def depth(s):
    ann, bob = s.client("ann"), s.online("bob")

    def deep(levels):
        return (f"<message to='{bob.jid}' id='d'>" + "<x>" * (levels - 1) +
                "</x>" * (levels - 1) + "</message>")
    ann.send(deep(DEPTH))
    bob.expect("<message id='d'/>")
    got = ann.iq("get", "<query xmlns='urn:x'>" + "<x>" * (DEPTH - 2) +
                 "</x>" * (DEPTH - 2) + "</query>", s.domain)
    check(got.get("type") == "error", show(got))
    for levels in (DEPTH + 1, 10000):
        is_refused(s.client("ann"), deep(levels))
    is_refused(s.client("ann"), "<x>" * 30000)
    for levels in (LOGIN_DEPTH + 1, 2000):
        is_refused(s.stream(), "<x>" * levels)


@case("4.9.3.14", "as many attributes as may be, and one more")
def attributes(s):
    ann, bob = s.client("ann"), s.online("bob")

    def many(count):
        return "<message to='%s' id='a'><x %s/></message>" % (
            bob.jid, " ".join("a%d='%d'" % (n, n) for n in range(count)))
    ann.send(many(ATTRIBUTES))
    bob.expect("<message id='a'/>")
    for count in (ATTRIBUTES + 1, 10000):
        is_refused(s.client("ann"), many(count))
    is_refused(s.client("ann"), "<message %s/>" % " ".join(
        "xmlns:a%d='%d'" % (n, n) for n in range(ATTRIBUTES + 1)))
    is_refused(s.stream(), "<auth %s/>" % " ".join(
        "a%d='%d'" % (n, n) for n in range(LOGIN_ATTRIBUTES + 1)))
    is_refused(s.client("ann"), "<message><x a='%s'/></message>" % (
        "x" * 40000))


@case("4.9.3.14", "the limit is the stanza's, not the stream's: many small ones")
def many_small_stanzas(s):
    ann, bob = s.client("ann"), s.online("bob")
    ann.send("".join(f"<message to='{bob.jid}' id='{n}'/>"
                     for n in range(4000)))
    for number in range(4000):
        bob.expect(f"<message id='{number}'/>", 20)


@case("4.9.3.4", "connection-timeout: a login that comes to nothing")
def login_time(s):
    s.server.call("Limits.Set", limit="login-time", value="5")
    peers = [s.raw("opened"), s.stream("secured"),
             s.authenticated("ann", "unbound")]
    peers[0].open()
    for peer in peers:
        peer.expect_stream_error("connection-timeout", seconds=7)
    s.server.call("Limits.Set", limit="login-time", value="default")


@case("4.9.3.14", "the error says what was wrong")
def says_what_was_wrong(s):
    ann = s.client("ann")
    ann.send(message(s, STANZA + 1))
    error = ann.expect_stream_error("policy-violation")
    ann.jid = None
    check(error.find("{%s}text" % STREAM_ERRORS) is not None, show(error))
