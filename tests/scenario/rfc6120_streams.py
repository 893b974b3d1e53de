"""RFC 6120, 4: XML streams, but for their errors."""

import socket
import time

from scenario import CLIENT, STREAMS, TLS, case, check

CHUNKED = True

DECLARED = "xmlns='%s' xmlns:stream='%s'" % (CLIENT, STREAMS)
PING = "<ping xmlns='urn:xmpp:ping'/>"


def opened(s, attributes, start="<?xml version='1.0'?>", tag="stream:stream"):
    """The peer, and the attributes of the server's header."""
    peer = s.raw()
    peer.send("%s<%s %s>" % (start, tag, attributes))
    peer.expect_header()
    return peer


# ---- 4.7: attributes ------------------------------------------------------


@case("4.7.1", "the receiving entity MUST include the 'from' attribute in the "
      "response stream header")
def response_says_from(s):
    for more in ("", "from='ann@example.org'"):
        peer = opened(s, f"{DECLARED} to='{s.domain}' version='1.0' {more}")
        check(peer.header["from"] == s.domain, peer.header)


@case("4.7.2", "if the client included a 'from' ... the server MUST include a "
      "'to' attribute ... and MUST set its value to the bare JID")
def response_says_to(s):
    for name in ("ann@" + s.domain, "ann@%s/phone" % s.domain):
        peer = opened(
            s, f"{DECLARED} to='{s.domain}' version='1.0' from='{name}'")
        check(peer.header.get("to") == "ann@" + s.domain, peer.header)


@case("4.7.2", "if the client did not include a 'from' attribute ... the "
      "server MUST NOT include a 'to' attribute")
def response_says_no_to(s):
    peer = opened(s, f"{DECLARED} to='{s.domain}' version='1.0'")
    check("to" not in peer.header, peer.header)


@case("4.7.2", "also the header of a stream that ends at once")
def error_header_says_to(s):
    peer = opened(s, f"{DECLARED} to='example.net' version='1.0' "
                  f"from='ann@{s.domain}'")
    check(peer.header.get("to") == "ann@" + s.domain, peer.header)
    peer.expect_stream_error("host-unknown")


@case("4.7.3", "the 'id' MUST be both unpredictable and unique")
def ids_are_unique(s):
    seen = set()
    for _ in range(3):
        peer = s.stream()
        seen.add(peer.header["id"])
        peer.login("ann") if "ann" in s.server.users else s.server.need_user(
            "ann")
        seen.add(peer.header["id"])
        peer = opened(s, f"{DECLARED} to='{s.domain}' version='1.0'")
        seen.add(peer.header["id"])
    check(len(seen) >= 8, seen)
    check(all(len(name) >= 10 for name in seen), seen)


@case("4.7.3", "a receiving entity MUST silently ignore the 'id' of an initial "
      "stream header")
def ignores_the_clients_id(s):
    peer = opened(s, f"{DECLARED} to='{s.domain}' version='1.0' id='mine'")
    check(peer.header["id"] != "mine", peer.header)
    peer.expect("<stream:features/>")


@case("4.7.4", "the receiving entity MUST include the 'xml:lang' attribute in "
      "the response stream header")
def response_says_lang(s):
    for lang in ("", "xml:lang='de'", "xml:lang=''", "xml:lang='x y'"):
        peer = opened(s, f"{DECLARED} to='{s.domain}' version='1.0' {lang}")
        check(peer.header.get("{http://www.w3.org/XML/1998/namespace}lang"),
              peer.header)
        peer.expect("<stream:features/>")


@case("4.7.5", "the value supplied by the initiating entity or the highest "
      "version supported by the receiving entity, whichever is lower ... a "
      "numeric comparison")
def versions_are_numbers(s):
    for version in ("1.0", "1.1", "1.10", "2.0", "10.0", "01.0", "1.00",
                    "99999999999999999999.0"):
        peer = opened(s, f"{DECLARED} to='{s.domain}' version='{version}'")
        check(peer.header["version"] == "1.0", peer.header)
        peer.expect("<stream:features/>")


@case("4.7.5", "no 'version' attribute: MUST consider the version ... to be "
      "0.9 and SHOULD NOT include a 'version' attribute in the response")
def no_version(s):
    peer = opened(s, f"{DECLARED} to='{s.domain}'")
    check("version" not in peer.header, peer.header)
    peer.expect_stream_error("unsupported-version")


@case("4.7.5", "whichever is lower")
def older_versions(s):
    for version, answer in (("0.9", "0.9"), ("0.10", "0.10"), ("00.9", "0.9")):
        peer = opened(s, f"{DECLARED} to='{s.domain}' version='{version}'")
        check(peer.header["version"] == answer, peer.header)
        peer.expect_stream_error("unsupported-version")


@case("4.9.3.25", "a version of XMPP that is not supported by the server")
def versions_that_are_none(s):
    for version in ("", "1", "one.zero", "-1.0", "1.0.0", " 1.0", "1.",
                    ".0"):
        peer = opened(s, f"{DECLARED} to='{s.domain}' version='{version}'")
        peer.expect_stream_error("unsupported-version", "bad-format")


# ---- 4.8: namespaces ------------------------------------------------------


@case("4.8.1", "the stream namespace ... if this rule is violated, the entity "
      "MUST close the stream with an <invalid-namespace/> stream error")
def stream_namespace(s):
    peer = opened(s, "xmlns='%s' xmlns:stream='http://example.org/streams' "
                  "to='%s' version='1.0'" % (CLIENT, s.domain))
    peer.expect_stream_error("invalid-namespace")
    peer = opened(s, "xmlns='%s' to='%s' version='1.0'" % (CLIENT, s.domain),
                  tag="stream")
    peer.expect_stream_error("invalid-namespace", "bad-format")


@case("4.8.2", "a content namespace that is not supported: "
      "<invalid-namespace/>")
def content_namespace(s):
    for name in ("jabber:server", "jabber:component:accept", "urn:x"):
        peer = opened(s, f"xmlns='{name}' xmlns:stream='{STREAMS}' "
                      f"to='{s.domain}' version='1.0'")
        peer.expect_stream_error("invalid-namespace")


@case("4.8.2", "both styles are acceptable: the so-called prefix-free "
      "canonicalization", ours=True)
def prefix_free(s):
    peer = opened(s, f"xmlns='{STREAMS}' to='{s.domain}' version='1.0'",
                  tag="stream")
    peer.expect("<stream:features/>")
    peer.send("<starttls xmlns='%s'/>" % TLS)
    peer.expect("<proceed xmlns='%s'/>" % TLS)
    peer.start_tls()

    def reopen():
        peer.reader.restart()
        peer.send("<?xml version='1.0'?><stream xmlns='%s' to='%s' "
                  "version='1.0'>" % (STREAMS, s.domain))
        peer.expect_header()
        peer.features = peer.expect("<stream:features/>")
    reopen()
    s.server.need_user("ann")
    peer.open, kept = lambda **_: reopen(), peer.open
    peer.login("ann")
    peer.open = kept
    peer.send("<iq xmlns='%s' type='set' id='b'><bind xmlns="
              "'urn:ietf:params:xml:ns:xmpp-bind'/></iq>" % CLIENT)
    peer.jid = peer.expect("<iq type='result' id='b'/>")[0][0].text
    bob = s.online("bob")
    peer.send(f"<message xmlns='{CLIENT}' to='{bob.jid}'><body>hi</body>"
              "<x xmlns='urn:x'/></message>")
    bob.expect(f"<message from='{peer.jid}'><body>hi</body>"
               "<x xmlns='urn:x'/></message>")
    peer.send(f"<stream:message to='{bob.jid}' xmlns:stream='{STREAMS}'/>")
    peer.expect_stream_error("unsupported-stanza-type", "bad-format",
                             "invalid-xml")


@case("4.8.3", "elements that are explicitly qualified by the content "
      "namespace are what they are")
def qualified_stanzas(s):
    ann, bob = s.client("ann"), s.online("bob")
    ann.send(f"<c:message xmlns:c='{CLIENT}' to='{bob.jid}' id='q'>"
             "<c:body>hi</c:body></c:message>")
    bob.expect("<message id='q'><body>hi</body></message>")


@case("4.8.4", "MUST NOT generate namespace prefixes for elements qualified by "
      "the content namespace")
def no_prefixes(s):
    ann, bob = s.client("ann"), s.online("bob")
    ann.send(f"<c:message xmlns:c='{CLIENT}' to='{bob.jid}' id='q'>"
             "<c:body>hi</c:body></c:message>")
    bob.expect("<message id='q'/>")
    check(b"<message" in bob.reader.raw and b"<body>hi</body>" in
          bob.reader.raw, bob.reader.raw)


@case("4.8.5", "SHOULD generate only the 'stream:' prefix")
def stream_prefix(s):
    for prefix in ("stream", "s", "flow"):
        peer = opened(s, f"xmlns='{CLIENT}' xmlns:{prefix}='{STREAMS}' "
                      f"to='{s.domain}' version='1.0'",
                      tag=prefix + ":stream")
        peer.expect("<stream:features/>")
        check(peer.reader.raw.startswith(
            b"<?xml version='1.0'?><stream:stream "), peer.reader.raw)
        peer.send(f"</{prefix}:stream>")
        peer.expect_end()


@case("4.8", "a prefix that is declared in the stream header, and used later")
def prefixes_of_the_header(s):
    more = ("version='1.0' xmlns:x='urn:x' xmlns:y='urn:y' "
            "xmlns:db='jabber:server:dialback'")
    ann, bob = s.client("ann", more=more), s.online("bob")
    for _ in range(2):
        time.sleep(0.05)
        ann.send(f"<message to='{bob.jid}' y:a='1'><x:one x:b='2'><two/>"
                 "</x:one></message>")
        bob.expect("<message xmlns:y='urn:y' y:a='1'><x:one xmlns:x='urn:x' "
                   "x:b='2'><two/></x:one></message>")
    ann.send("<iq type='get' id='p' xmlns:p='urn:xmpp:ping'><p:ping/></iq>")
    ann.expect("<iq type='result' id='p'/>")


# ---- 4.3: features --------------------------------------------------------


@case("4.3.2", "the receiving entity MUST send a <features/> child element")
def features_come_each_time(s):
    s.server.need_user("ann")
    peer = s.raw()
    peer.open()
    check(peer.features.find("{%s}starttls/{%s}required" % (TLS, TLS))
          is not None, "TLS is not required")
    peer.starttls()
    peer.open()
    check(peer.features.find("{%s}starttls" % TLS) is None, "TLS again")
    check(peer.mechanisms(), "no mechanisms")
    peer.login("ann")
    check(not peer.mechanisms(), "SASL again")
    check(peer.features.find("{urn:ietf:params:xml:ns:xmpp-bind}bind")
          is not None, "no bind")


@case("4.3.3", "the initiating entity MUST send a new initial stream header; "
      "the id is another")
def restarted_streams_are_new(s):
    peer = s.raw()
    peer.open()
    first = peer.header["id"]
    peer.starttls()
    peer.open()
    check(peer.header["id"] != first, first)


# ---- 4.4: closing ---------------------------------------------------------


@case("4.4", "the entity that receives the closing stream tag ... sends one")
def closes_at_each_stage(s):
    s.server.need_user("ann")
    for steps in range(4):
        peer = s.raw() if steps == 0 else s.stream()
        if steps == 0:
            peer.open()
        if steps > 1:
            peer.login("ann")
        if steps > 2:
            peer.bind()
        peer.send("</stream:stream>")
        peer.jid = None
        peer.expect_end()


@case("4.4", "any outbound data (replies) is sent before the closing tag")
def replies_come_before_the_end(s):
    ann = s.client("ann")
    names = ["q%d" % n for n in range(50)]
    ann.send("".join("<iq type='get' id='%s' to='%s'>%s</iq>" % (
        name, s.domain, PING) for name in names) + "</stream:stream>")
    for name in names:
        ann.expect(f"<iq type='result' id='{name}'/>")
    ann.jid = None
    ann.expect_end()


@case("4.4", "what was sent before the closing tag is still done")
def stanzas_before_the_end_are_delivered(s):
    ann, bob = s.client("ann"), s.online("bob")
    ann.send("".join(f"<message to='{bob.jid}' id='m{n}'/>"
                     for n in range(20)) + "</stream:stream>")
    ann.jid = None
    for number in range(20):
        bob.expect(f"<message id='m{number}'/>")
    ann.expect_end()


@case("4.4", "a TCP connection that is closed in one direction only: what was "
      "asked is answered")
def half_closed_in_the_clear(s):
    peer = s.raw()
    peer.send(f"<stream:stream {DECLARED} to='{s.domain}' version='1.0'>"
              "</stream:stream>")
    peer.sock.shutdown(socket.SHUT_WR)
    peer.expect_header()
    peer.expect("<stream:features/>")
    peer.expect_end()


@case("4.4", "and so it is under TLS, after the closing tag")
def half_closed_under_tls(s):
    for _ in range(5):
        ann = s.client("ann")
        ann.send("".join("<iq type='get' id='%d' to='%s'>%s</iq>" % (
            n, s.domain, PING) for n in range(20)) + "</stream:stream>")
        socket.socket.shutdown(ann.sock, socket.SHUT_WR)
        for n in range(20):
            ann.expect(f"<iq type='result' id='{n}'/>")
        ann.jid = None
        ann.expect_end()


@case("4.4", "nothing is processed that is sent after the closing tag")
def nothing_after_the_end(s):
    ann, bob = s.client("ann"), s.online("bob")
    ann.send(f"<message to='{bob.jid}' id='1'/></stream:stream>")
    ann.jid = None
    try:
        ann.send(f"<message to='{bob.jid}' id='2'/>", chunked=False)
    except OSError:
        pass
    bob.expect("<message id='1'/>")
    bob.expect_nothing()


# ---- 4.6: silence ---------------------------------------------------------


@case("4.6.1", "white space between stanzas is a keepalive")
def keepalives(s):
    peer = s.raw()
    peer.open()
    peer.send(" \n\t ")
    peer.starttls()
    peer.open()
    peer.send("\n")
    s.server.need_user("ann")
    peer.login("ann")
    peer.send(" ")
    peer.bind()
    for _ in range(3):
        peer.send(" \r\n\t")
        time.sleep(0.02)
    peer.expect_nothing()


@case("4.6.1", "white space at any rate is no stanza: it has no limit of size")
def much_white_space(s):
    ann = s.client("ann")
    ann.send(" " * 600000, chunked=False)
    ann.expect_nothing()


# ---- 11.5: text declarations ----------------------------------------------


@case("11.5", "SHOULD send a text declaration before sending a stream header; "
      "an initial header may come without one")
def declarations(s):
    for start in ("", "<?xml version='1.0'?>", "<?xml version=\"1.0\"?>\n",
                  "<?xml version='1.0' encoding='UTF-8'?>",
                  "<?xml version='1.0' encoding='utf-8' standalone='yes' ?> "):
        peer = opened(s, f"{DECLARED} to='{s.domain}' version='1.0'", start)
        check(peer.reader.raw.startswith(b"<?xml version='1.0'?>"),
              peer.reader.raw)
        peer.expect("<stream:features/>")


@case("4.2", "header, STARTTLS: it may all come in one piece")
def all_at_once(s):
    peer = s.raw()
    peer.send(f"<?xml version='1.0'?><stream:stream {DECLARED} "
              f"to='{s.domain}' version='1.0'><starttls xmlns='{TLS}'/>")
    peer.expect_header()
    peer.expect("<stream:features/>")
    peer.expect(f"<proceed xmlns='{TLS}'/>")
    peer.start_tls()
    peer.open()
