"""XEP-0114: Jabber Component Protocol, on direct TLS where the server has it."""

import hashlib

from scenario import CLIENT, COMPONENT, STREAMS, case, check, show

CHUNKED = True


def connected(s, name="echo"):
    """A connection to the component port; nothing sent yet."""
    s.server.need_component(name)
    peer = s.new(name, s.server.component_port, COMPONENT)
    if s.server.component_tls:
        peer.start_tls()
    return peer


def opened(s, name="echo", to=None):
    peer = connected(s, name)
    peer.open(more="", to=to or "%s.%s" % (name, s.domain))
    return peer


def handshake(s, peer, secret=None, name="echo"):
    secret = secret or s.server.need_component(name)
    return "<handshake>%s</handshake>" % hashlib.sha1(
        (peer.header["id"] + secret).encode()).hexdigest()


@case("3", "the server replies with a header of its own: the component's name "
      "as 'from', and an 'id'")
def header(s):
    ids = set()
    for _ in range(2):
        peer = opened(s)
        check(peer.header.get("from") == "echo." + s.domain, peer.header)
        check("version" not in peer.header, peer.header)
        check(peer.reader.declared[None] == COMPONENT, peer.reader.declared)
        ids.add(peer.header["id"])
    check(len(ids) == 2 and all(len(i) >= 10 for i in ids), ids)


@case("3", "an empty <handshake/> tells that it has been authenticated")
def right_secret(s):
    echo, ann = s.component("echo"), s.online("ann")
    ann.send(f"<message to='x@{echo.jid}/y' id='1'><body>hi</body></message>")
    echo.expect(f"<message from='{ann.jid}' to='x@{echo.jid}/y' id='1'>"
                "<body>hi</body></message>")
    echo.send(f"<message from='x@{echo.jid}' to='{ann.jid}' id='2'><body>ho"
              "</body></message>")
    ann.expect(f"<message from='x@{echo.jid}' id='2'><body>ho</body></message>")


@case("3", "a wrong handshake: the server MUST return a stream error, and "
      "close")
def wrong_secrets(s):
    for text in ("<handshake/>", "<handshake>00</handshake>"):
        peer = opened(s)
        peer.send(text)
        peer.expect_stream_error("not-authorized")
    peer = opened(s)
    peer.send(handshake(s, peer, "wrong"))
    peer.expect_stream_error("not-authorized")


@case("3", "the hash is in lower case; upper case may be understood")
def upper_case(s):
    peer = opened(s)
    text = handshake(s, peer)
    peer.send(text[:11] + text[11:51].upper() + text[51:])
    got = peer.read()
    check(got.tag in ("{%s}handshake" % COMPONENT, "{%s}error" % STREAMS),
          show(got))


@case("3", "a component that nobody knows")
def unknown_name(s):
    peer = connected(s)
    peer.send("<stream:stream xmlns='%s' xmlns:stream='%s' to='nobody.%s'>" % (
        COMPONENT, STREAMS, s.domain))
    peer.expect_header()
    if s.server.name == "ours":  # the answer tells no name from a secret
        peer.send(handshake(s, peer))
    peer.expect_stream_error("not-authorized", "host-unknown")


@case("3", "nothing is processed before the handshake")
def before_the_handshake(s):
    ann = s.online("ann")
    peer = opened(s)
    peer.send(f"<message from='echo.{s.domain}' to='{ann.jid}'/>")
    peer.expect_stream_error("not-authorized")
    ann.expect_nothing()


@case("3", "stanzas MUST have 'from' and 'to'", ours=True)
def addresses(s):
    ann = s.online("ann")
    for more in (f"from='echo.{s.domain}'", f"to='{ann.jid}'", ""):
        echo = s.component("echo")
        echo.send(f"<message {more}/>")
        echo.expect_stream_error("improper-addressing")
        echo.jid = None
    ann.expect_nothing()


@case("3", "the 'from' is the component's name, or of its domain")
def domains(s):
    ann = s.online("ann")
    for name in (s.domain, "gate." + s.domain, "x.echo." + s.domain,
                 "ann@" + s.domain, "", "@"):
        echo = s.component("echo")
        echo.send(f"<message from='{name}' to='{ann.jid}'/>")
        echo.expect_stream_error("invalid-from", "improper-addressing")
        echo.jid = None
    ann.expect_nothing()


@case("3", "requests to a component and its answers")
def requests(s):
    echo, ann = s.component("echo"), s.client("ann")
    for to in (echo.jid, "x@" + echo.jid, "x@%s/y" % echo.jid):
        ann.send(f"<iq type='get' id='1' to='{to}'><q xmlns='urn:q'/></iq>")
        echo.expect(f"<iq type='get' id='1' from='{ann.jid}' to='{to}'>"
                    "<q xmlns='urn:q'/></iq>")
        echo.send(f"<iq type='result' id='1' from='{to}' to='{ann.jid}'/>")
        ann.expect(f"<iq type='result' id='1' from='{to}'/>")


@case("RFC 6120, 8.2.3", "a request to a component that isn't connected is "
      "answered")
def absent(s):
    s.server.need_component("gate")
    ann = s.client("ann")
    got = ann.iq("get", "<q xmlns='urn:q'/>", "gate." + s.domain)
    check(got.get("type") == "error", show(got))
    ann.send(f"<message to='gate.{s.domain}' id='m'><body>hi</body></message>")
    ann.expect("<message type='error' id='m'/>")


@case("RFC 6120, 4.8.2", "a client's stream on the component port: "
      "<invalid-namespace/>")
def clients(s):
    peer = connected(s)
    peer.send("<stream:stream xmlns='%s' xmlns:stream='%s' to='%s' "
              "version='1.0'>" % (CLIENT, STREAMS, s.domain))
    peer.expect_stream_error("invalid-namespace")


@case("RFC 6120, 4.4", "the component closes: what it asked is answered first")
def closes(s):
    echo = s.component("echo")
    echo.send(f"<iq type='get' id='1' from='{echo.jid}' to='{s.domain}'>"
              "<ping xmlns='urn:xmpp:ping'/></iq></stream:stream>")
    echo.expect("<iq id='1'/>")
    echo.jid = None
    echo.expect_end()


@case("RFC 6120, 4.9.3.3", "two of a name: one is served, the other is told",
      ours=True)
def conflict(s):
    first, second = s.component("echo"), s.component("echo")
    first.expect_stream_error("conflict")
    first.jid = None
    second.expect_nothing()
