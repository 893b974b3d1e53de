"""RFC 6120, 11: the XML that is XMPP, and what is not."""

from scenario import (
    CLIENT, STREAMS, case, check, parse, show)

CHUNKED = True

DECLARED = "xmlns='%s' xmlns:stream='%s'" % (CLIENT, STREAMS)
WRONG = ("not-well-formed", "bad-format", "invalid-xml")
WRONG_BYTES = WRONG + ("unsupported-encoding",)


def refuses(s, element, *conditions):
    """At each stage: in the clear, under TLS, bound."""
    for stage in (s.raw, s.stream, lambda: s.client("ann")):
        peer = stage()
        if peer.header is None:
            peer.open()
        peer.send(element)
        peer.expect_stream_error(*conditions)
        peer.jid = None


def refuses_bound(s, elements, *conditions):
    for element in elements:
        ann = s.client("ann")
        ann.send(element)
        ann.expect_stream_error(*conditions)
        ann.jid = None


# ---- 11.1: restrictions ---------------------------------------------------


@case("11.1", "comments MUST NOT be sent: <restricted-xml/>")
def comments(s):
    refuses(s, "<!-- a comment -->", "restricted-xml")
    refuses_bound(s, ("<message><!--x--></message>",
                      "<message><body>a<!----></body></message>"),
                  "restricted-xml")


@case("11.1", "processing instructions MUST NOT be sent: <restricted-xml/>")
def instructions(s):
    refuses(s, "<?xml-stylesheet href='x'?>", "restricted-xml")
    refuses_bound(s, ("<message><?php x?></message>",), "restricted-xml")
    refuses_bound(s, ("<?xml version='1.0'?>",), "restricted-xml", *WRONG)


@case("11.1", "internal or external DTD subsets MUST NOT be sent: "
      "<restricted-xml/>")
def document_types(s):
    head = f"<stream:stream {DECLARED} to='{s.domain}' version='1.0'>"
    for start in ("<!DOCTYPE x>", "<!DOCTYPE x SYSTEM 'file:///etc/passwd'>",
                  "<!DOCTYPE x [<!ENTITY a 'b'>]>",
                  "<!DOCTYPE x [<!ENTITY % p SYSTEM 'http://127.0.0.1/'> %p;]>",
                  "<?xml version='1.0'?>\n<!DOCTYPE x PUBLIC 'a' 'b' [\n"
                  "<!ATTLIST x a CDATA 'b'>]>"):
        peer = s.raw()
        peer.send(start + head)
        peer.expect_stream_error("restricted-xml", "not-well-formed")
    refuses(s, "<!DOCTYPE x>", "restricted-xml", *WRONG)
    refuses_bound(s, ("<message><!DOCTYPE x></message>",
                      "<!ENTITY a 'b'>", "<![INCLUDE[x]]>"),
                  "restricted-xml", *WRONG)


@case("11.1", "entity references other than the predefined MUST NOT be sent: "
      "<restricted-xml/>")
def entities(s):
    refuses_bound(s, ("<message><body>&nbsp;</body></message>",
                      "<message id='&a;'/>", "<message>&xxe;</message>"),
                  "restricted-xml")
    refuses_bound(s, ("<message>&;</message>", "<message>& </message>",
                      "<message id='&'/>", "<message>%x;&#;</message>"),
                  "restricted-xml", *WRONG)


@case("11.1", "a billion laughs: refused at the first")
def many_entities(s):
    peer = s.raw()
    peer.send("<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY lol 'lol'>" +
              "".join("<!ENTITY lol%d '%s'>" % (
                  n, ("&lol%s;" % (n - 1 or "")) * 10) for n in range(1, 10)) +
              "]><stream:stream %s to='&lol9;' version='1.0'>" % DECLARED)
    peer.expect_stream_error("restricted-xml", "not-well-formed")


@case("11.1", "the predefined entities and character references are XML")
def predefined_entities(s):
    ann, bob = s.client("ann"), s.online("bob")
    ann.send(f"<message to='{bob.jid}' id='&lt;&amp;&#x31;'><body>&lt;&gt;"
             "&amp;&apos;&quot;&#65;&#x1F600;</body></message>")
    got = bob.expect("<message id='&lt;&amp;1'/>")
    check(got[0].text == "<>&'\"A\U0001F600", show(got))


# ---- 11.3: well-formed, with its namespaces -------------------------------


@case("11.3", "data that is not XML-well-formed: <not-well-formed/>")
def well_formed(s):
    refuses(s, "<x></y>", "not-well-formed")
    refuses_bound(s, (
        "<message></iq>", "<message id=x/>", "<message id='1' id='2'/>",
        "<message id='<'/>", "<message><body></message>", "<1/>", "< message/>",
        "<message/ >", "<message id='1'to='2'/>", "<message>]]></message>",
        "<message id/>", "<message <x/></message>", "<>", "<message></ message>",
        "<message>&#0;</message>", "<message>&#xFFFE;</message>",
        "<message>&#xD800;</message>", "<message>&#x110000;</message>",
        "<message>&#8;</message>", "<message id='&#11;'/>", "<-a/>", "</x>",
        "<message\u00d7/>"),
        *WRONG)


@case("11.3", "data that is not namespace-well-formed: <not-well-formed/>")
def namespace_well_formed(s):
    refuses(s, "<p:x/>", "not-well-formed")
    refuses_bound(s, (
        "<p:message/>", "<message><p:x/></message>", "<message p:id='1'/>",
        "<message xmlns:p=''/>", "<message><x xmlns:p=''/></message>",
        "<message xmlns:a='u' xmlns:b='u' a:x='1' b:x='2'/>",
        "<message xmlns:xml='urn:other'/>", "<message xmlns:xmlns='urn:x'/>",
        "<message xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<message xmlns:p='http://www.w3.org/2000/xmlns/'/>",
        "<message xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<message xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<message><a:b:c xmlns:a='u'/></message>",
        "<message xmlns:a='u' a:b:c='1'/>", "<message><:x/></message>",
        "<message><x: xmlns:x='u'/></message>", "<message :a='1'/>",
        "<message><p:x xmlns:p='u'></q:x></message>",
        "<message xmlns:p='u' xmlns:p='u'/>"),
        *WRONG)


@case("11.3", "a prefix is known where it was declared, and not after")
def prefixes_have_a_scope(s):
    refuses_bound(s, ("<message><p:x xmlns:p='u'/><p:x/></message>",),
                  "not-well-formed")
    ann = s.client("ann")
    ann.send(f"<message to='ann@{s.domain}' xmlns:p='u'/><message p:a='1'/>")
    ann.expect_stream_error("not-well-formed")
    ann.jid = None


@case("11.3", "the header, too")
def well_formed_headers(s):
    for head in (f"<stream:stream to='{s.domain}' version='1.0'>",
                 f"<stream:stream xmlns='{CLIENT}' to='x'>",
                 f"<stream:stream {DECLARED} to='{s.domain}' to='x'>",
                 f"<stream:stream {DECLARED} to={s.domain}>",
                 f"<stream:stream {DECLARED} p:to='x'>",
                 "hello", "\x01", "\0", "GET / HTTP/1.1\r\n\r\n", "{}", "[1]",
                 "\n<?xml version='1.0'?><x>", "<<", "<!", "<!x>"):
        peer = s.raw()
        peer.send(head)
        peer.expect_stream_error("restricted-xml", *WRONG_BYTES)


# ---- 11.6: UTF-8 ----------------------------------------------------------


@case("11.6", "MUST support UTF-8 and MUST NOT use another: "
      "<unsupported-encoding/>")
def declared_encodings(s):
    head = f"<stream:stream {DECLARED} to='{s.domain}' version='1.0'>"
    for name in ("UTF-16", "ISO-8859-1", "US-ASCII", "UCS-4", "x-klingon",
                 "utf-7", "windows-1252"):
        peer = s.raw()
        peer.send(f"<?xml version='1.0' encoding='{name}'?>" + head)
        peer.expect_stream_error("unsupported-encoding")


@case("11.6", "UTF-16 and UTF-32, with and without a mark: refused")
def other_encodings(s):
    head = (f"<?xml version='1.0'?><stream:stream {DECLARED} "
            f"to='{s.domain}' version='1.0'>")
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le",
                 "utf-32-be", "cp037"):
        peer = s.raw()
        peer.send(head.encode(name))
        peer.expect_stream_error(*WRONG_BYTES)


@case("11.6", "U+FEFF MUST be interpreted as a zero width no-break space, not "
      "as a byte order mark")
def marks(s):
    head = f"<stream:stream {DECLARED} to='{s.domain}' version='1.0'>"
    peer = s.raw()
    peer.send(b"\xef\xbb\xbf" + head.encode())
    peer.expect_stream_error(*WRONG_BYTES)
    ann, bob = s.client("ann"), s.online("bob")
    ann.send(f"<message to='{bob.jid}'><body>\ufeffa\ufeff</body></message>")
    check(bob.expect("<message/>")[0].text == "\ufeffa\ufeff", "a mark")


@case("11.6", "bytes that are no UTF-8: overlong, surrogates, beyond the last, "
      "alone, cut short")
def bad_utf8(s):
    rows = (b"\xff", b"\xfe", b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf",
            b"\xc3", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xed\xa0\x80",
            b"\xed\xbf\xbf", b"\xe2\x82", b"\xf0\x80\x80\x80",
            b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80",
            b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80",
            b"\xc3\x28", b"\xe2\x28\xa1", b"\xf0\x28\x8c\xbc")
    for row in rows:
        for form in (b"<message><body>%s</body></message>",
                     b"<message id='%s'/>"):
            ann = s.client("ann")
            ann.send(form % row)
            ann.expect_stream_error(*WRONG_BYTES)
            ann.jid = None
    for form in (b"<message %s='1'/>", b"<mess%sage/>", b"%s"):
        ann = s.client("ann")
        ann.send(form % b"\xff\xc0")
        ann.expect_stream_error(*WRONG_BYTES)
        ann.jid = None


@case("11.6", "characters that XML 1.0 forbids")
def forbidden_characters(s):
    for code in (0, 1, 8, 11, 12, 14, 31, 0xfffe, 0xffff):
        for form in ("<message><body>%s</body></message>", "<message id='%s'/>",
                     "%s"):
            ann = s.client("ann")
            ann.send(form % chr(code))
            ann.expect_stream_error(*WRONG_BYTES)
            ann.jid = None


@case("11.6", "all others are passed on")
def all_characters(s):
    text = "".join(map(chr, (9, 10, 32, 0x7e, 0x7f, 0x80, 0x9f, 0xa0, 0x7ff,
                             0x800, 0xd7ff, 0xe000, 0xfdd0, 0xfeff, 0xfffd,
                             0x10000, 0x1fffe, 0x10ffff)))
    ann, bob = s.client("ann"), s.online("bob")
    ann.send(f"<message to='{bob.jid}' id='\u20ac\U0001F600'><body>{text}"
             "</body></message>")
    got = bob.expect("<message id='\u20ac\U0001F600'/>")
    check(got[0].text == text, repr(got[0].text))


# ---- at the last byte -----------------------------------------------------


@case("4.2", "each first-level element is acted upon when its last byte is "
      "there")
def at_the_last_byte(s):
    ann, bob = s.client("ann"), s.online("bob")
    for element in (f"<message to='{bob.jid}'><body>\u20ac</body></message>",
                    f"<message to='{bob.jid}'/>",
                    f"<message to='{bob.jid}' ></message  >",
                    f"<message to='{bob.jid}'>text</message>",
                    f"<message to='{bob.jid}'><![CDATA[<]]></message>",
                    f"<message to='{bob.jid}'>&lt;</message\n>"):
        ann.send(element[:-1])
        ann.send(element[-1:])
        got = bob.expect("<message/>")
        check(parse(element).tag == got.tag, show(got))
        ann.send(element, chunked=True)
        bob.expect("<message/>")
        ann.send(element + element + element[:20])
        bob.expect("<message/>")
        bob.expect("<message/>")
        ann.send(element[20:])
        bob.expect("<message/>")
    bob.expect_nothing()
