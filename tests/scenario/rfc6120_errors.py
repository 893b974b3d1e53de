"""RFC 6120, 4.9: stream errors, each with the precise condition."""

from scenario import (
    CLIENT, SASL, STREAM_ERRORS, STREAMS, TLS, XML, case, check)

CHUNKED = True

DECLARED = "xmlns='%s' xmlns:stream='%s'" % (CLIENT, STREAMS)


def header(s, to=None, more="version='1.0'"):
    return "<?xml version='1.0'?><stream:stream %s %s %s>" % (
        DECLARED, "to='%s'" % s.domain if to is None else to, more)


@case("4.9.1.1", "it MUST then close the stream ... the error, a closing tag, "
      "and the end of the connection")
def errors_are_the_end(s):
    peer = s.raw()
    peer.open()
    peer.send("<message/>")
    peer.expect_stream_error("not-authorized")


@case("4.9.1.2", "the receiving entity MUST still send the opening <stream> "
      "tag")
def errors_come_in_a_stream(s):
    for start in ("<message/>", "</x>", "<stream:stream>", "hello, world"):
        peer = s.raw()
        peer.send(start)
        header_ = peer.expect_header()
        check(header_.tag == "{%s}stream" % STREAMS and header_.get("id"),
              header_.attrib)
        peer.expect_stream_error("not-well-formed", "bad-format",
                                 "invalid-namespace")


@case("4.9.1.3", "the value of the 'from' attribute ... MUST be either an "
      "authoritative FQDN for the receiving entity or the empty string")
def errors_of_unknown_hosts(s):
    for to in ("", "to='example.net'", "to=''"):
        peer = s.raw()
        peer.send(header(s, to))
        header_ = peer.expect_header()
        check(header_.get("from", "") in (s.domain, ""), header_.attrib)
        peer.expect_stream_error("host-unknown", "improper-addressing")


@case("4.9.2", "<error/> MUST contain a child element corresponding to one of "
      "the defined conditions; <text/> ... SHOULD possess an 'xml:lang'")
def form_of_errors(s):
    peer = s.raw()
    peer.open()
    peer.send("<message/>")
    error = peer.expect_stream_error("not-authorized")
    names = [child.tag for child in error]
    text = "{%s}text" % STREAM_ERRORS
    check(names in (["{%s}not-authorized" % STREAM_ERRORS],
                    ["{%s}not-authorized" % STREAM_ERRORS, text]), names)
    if text in names:
        check(error[1].get("{%s}lang" % XML), "no xml:lang")


@case("4.9.3.1", "bad-format: XML that cannot be processed")
def bad_format(s):
    peer = s.raw()
    peer.send("<stream:flow %s to='%s' version='1.0'>" % (DECLARED, s.domain))
    peer.expect_stream_error("bad-format", "invalid-namespace")
    ann = s.client("ann")
    ann.send("hello")
    ann.expect_stream_error("bad-format", "invalid-xml", "not-well-formed")
    ann.jid = None


@case("4.9.3.3", "conflict: a new stream conflicts with the existing one")
def conflict(s):
    first = s.client("ann", "same")
    second = s.client("ann", "same")
    first.expect_stream_error("conflict")
    first.jid = None
    check(second.jid == "ann@%s/same" % s.domain, second.jid)
    second.expect_nothing()


@case("4.9.3.6", "host-unknown: the 'to' ... does not correspond to an FQDN "
      "that is serviced by the receiving entity")
def host_unknown(s):
    for name in ("example.net", "sub." + s.domain, "org", "localhost",
                 "ann@" + s.domain, s.domain + "/x"):
        peer = s.raw()
        peer.send(header(s, f"to='{name}'"))
        peer.expect_stream_error("host-unknown", "improper-addressing")


@case("4.9.3.7", "improper-addressing: the 'to' attribute has no value, or the "
      "value violates the rules for XMPP addresses")
def improper_addressing(s):
    for to in ("", "to=''", "to='@'", "to='.'", "to='a..b'", "to='-'",
               "to='" + "a" * 1100 + "'"):
        peer = s.raw()
        peer.send(header(s, to))
        peer.expect_stream_error("improper-addressing", "host-unknown")


@case("4.7.2", "domains are compared as addresses are: without case")
def other_spellings_of_the_domain(s):
    for name in (s.domain.upper(), s.domain + "."):
        peer = s.raw()
        peer.send(header(s, f"to='{name}'"))
        header_ = peer.expect_header()
        check(header_.get("from") == s.domain, header_.attrib)
        peer.expect("<stream:features/>")


@case("4.9.3.9", "invalid-from: the 'from' does not match an authorized JID")
def invalid_from(s):
    for name in ("bob@" + s.domain, "ann@%s/other" % s.domain, s.domain,
                 "ann@example.net", "", "@", "ann"):
        ann = s.client("ann", "here")
        ann.send(f"<message from='{name}' to='bob@{s.domain}'/>")
        ann.expect_stream_error("invalid-from", "improper-addressing")
        ann.jid = None


@case("4.9.3.12", "not-authorized: XML stanzas or other outbound data before "
      "the stream has been authenticated")
def not_authorized(s):
    bob = s.online("bob")
    for element in (
            f"<message to='{bob.jid}'><body>hi</body></message>",
            f"<presence to='{bob.jid}'/>",
            f"<iq type='get' id='1' to='{s.domain}'><ping "
            "xmlns='urn:xmpp:ping'/></iq>",
            "<iq type='set' id='1'><bind "
            "xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
            "<x xmlns='urn:x'/>"):
        for peer in (s.raw(), s.stream()):
            if peer.header is None:
                peer.open()
            peer.send(element)
            peer.expect_stream_error("not-authorized")
    bob.expect_nothing()


@case("7.1", "if the client ... sends stanzas before it has bound a resource "
      "the server MUST NOT process the stanza: <not-authorized/>")
def not_bound(s):
    bob = s.online("bob")
    for element in (
            f"<message to='{bob.jid}'><body>hi</body></message>",
            f"<presence to='{bob.jid}'/>", "<presence/>",
            f"<iq type='get' id='1' to='{s.domain}'><ping "
            "xmlns='urn:xmpp:ping'/></iq>",
            "<iq type='get' id='1'><bind "
            "xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
            "<iq type='set' id='1'><query xmlns='jabber:iq:roster'/></iq>"):
        peer = s.authenticated("ann")
        peer.send(element)
        peer.expect_stream_error("not-authorized")
    bob.expect_nothing()


@case("4.9.3.24", "unsupported-stanza-type: a first-level child of the stream "
      "that is not supported")
def unsupported_stanza_type(s):
    for element in ("<query/>", "<message xmlns='jabber:server'/>",
                    "<message xmlns=''/>", "<body>hi</body>",
                    "<x xmlns='urn:x'><message/></x>",
                    "<stream:stream/>", "<stream:features/>",
                    "<Message/>", "<handshake/>"):
        ann = s.client("ann")
        ann.send(element)
        ann.expect_stream_error("unsupported-stanza-type", "bad-format",
                                "invalid-namespace", "invalid-xml")
        ann.jid = None


@case("4.9.3.24", "elements of the negotiation have their place")
def negotiation_is_over(s):
    for element in (f"<starttls xmlns='{TLS}'/>",
                    f"<auth xmlns='{SASL}' mechanism='PLAIN'/>",
                    f"<response xmlns='{SASL}'/>", f"<abort xmlns='{SASL}'/>",
                    f"<proceed xmlns='{TLS}'/>", f"<success xmlns='{SASL}'/>"):
        ann = s.client("ann")
        ann.send(element)
        ann.expect_stream_error(
            "unsupported-stanza-type", "policy-violation", "not-authorized")
        ann.jid = None


@case("4.9.1.1", "the entity that receives the stream error ... closes")
def errors_of_the_peer(s):
    ann = s.client("ann")
    ann.send(f"<stream:error><internal-server-error xmlns='{STREAM_ERRORS}'/>"
             "</stream:error></stream:stream>")
    ann.jid = None
    ann.expect_end()


@case("4.9.3.20", "system-shutdown: the server is being shut down", ours=True)
def system_shutdown(s):
    ann, peer = s.client("ann"), s.raw()
    peer.open()
    s.server.call("Xmpp.Disable")
    ann.expect_stream_error("system-shutdown")
    ann.jid = None
    peer.expect_stream_error("system-shutdown")
    s.server.call("Xmpp.Enable")
    s.server.wait_open()
