"""RFC 6120, 8.4 and 11: what is passed on means what it meant. Each stanza is
read again and compared as a whole."""

from scenario import (
    CLIENT, COMPONENT, XML, canonical, case, check, parse, show)

CHUNKED = True

LANG = "{%s}lang" % XML


def passes(s, insides, more=""):
    """To another client, and back by a component's way."""
    ann, bob, gate = s.client("ann"), s.online("bob"), s.component("gate")
    for inside in insides:
        sent = f"<message to='%s' id='m' type='headline'{more}>{inside}</message>"
        ann.send(sent % bob.jid)
        compare(sent % bob.jid, CLIENT, bob.expect("<message id='m'/>"))
        ann.send(sent % gate.jid)
        got = gate.expect("<message id='m'/>")
        compare(sent % gate.jid, gate.content, got)


def compare(sent, content, got):
    wanted = parse(sent, content)
    del got.attrib["from"]
    for added in got.findall("{urn:xmpp:sid:0}stanza-id"):
        got.remove(added)            # XEP-0313, 3.6: its id in the archive
    if LANG not in wanted.attrib:
        got.attrib.pop(LANG, None)   # 8.1.5: the sender's server may add it
    for added in got.findall("{urn:xmpp:sid:0}stanza-id"):
        got.remove(added)                # XEP-0359: so may an archive
    for element in list(wanted.iter()) + list(got.iter()):
        element.tag = element.tag.replace("{%s}" % COMPONENT, "{%s}" % CLIENT)
    check(canonical(wanted) == canonical(got), "sent %s, and got %s" % (
        show(wanted), show(got)))


@case("8.4", "a server MUST NOT modify ... the extended content: names, "
      "namespaces, order")
def order_and_namespaces(s):
    passes(s, (
        "<a xmlns='urn:a'/><b xmlns='urn:b'/><a xmlns='urn:a'>2</a>",
        "<body>1</body><subject>2</subject><body>3</body>",
        "text<a xmlns='urn:a'/>more<b xmlns='urn:b'>in<c/>side</b>end",
        "<a xmlns='urn:a'><b xmlns='urn:b'><c xmlns='urn:a'><d xmlns='urn:b'/>"
        "</c></b></a>",
        "<a xmlns=''><b/></a>", "<a xmlns='urn:a'><b xmlns=''><c/></b></a>",
        "<a xmlns='urn:a'><body/></a>", "<body xmlns='urn:a'><body/></body>",
        "<A xmlns='urn:a'/><a xmlns='URN:A'/><a xmlns='urn:a '/>",
        "<a xmlns='&lt;&apos;&quot;&amp;'/>",
        "<\u00e9l\u00e9ment xmlns='urn:\u00e9' attribut\u00e9='1'/>",
        "<a.b-c_d xmlns='urn:a'/>"))


@case("8.4", "content of the content namespace inside another's")
def stanzas_in_stanzas(s):
    ann, bob = s.client("ann"), s.online("bob")
    sent = (f"<message to='{bob.jid}' id='m'><forwarded "
            f"xmlns='urn:xmpp:forward:0'><message xmlns='{CLIENT}' to='x'>"
            "<body>hi</body><y xmlns='urn:y'/></message></forwarded></message>")
    ann.send(sent)
    compare(sent, CLIENT, bob.expect("<message id='m'/>"))


@case("4.8", "prefixes, wherever they are declared")
def prefixes(s):
    passes(s, (
        "<p:a xmlns:p='urn:p'><p:b/><c/></p:a>",
        "<p:a xmlns:p='urn:p'><p:b xmlns:p='urn:q'><p:c/></p:b><p:d/></p:a>",
        "<a xmlns='urn:a' xmlns:p='urn:p' p:x='1' x='2'/>",
        "<a xmlns='urn:a' xmlns:p='urn:a' p:x='1'><p:b p:x='3'/></a>",
        "<a xmlns='urn:a' xmlns:p='urn:p'><b p:x='1'><c p:x='2'/></b></a>",
        "<a xmlns='urn:a' xmlns:a0='urn:p' xmlns:a1='urn:q' a1:x='1' a0:x='2'/>",
        "<a xmlns='urn:a' xmlns:p='urn:p' xmlns:q='urn:q' p:x='1' q:x='2' "
        "y='3'/>",
        "<stream:a/>", "<stream:stream/>"))


@case("4.8", "a prefix in the text or in a value (xsi:type) still leads to its "
      "namespace")
def qualified_names_in_content(s):
    ann, bob = s.client("ann"), s.online("bob")
    for inside in (
            "<a xmlns='urn:a' xmlns:xs='http://www.w3.org/2001/XMLSchema' "
            "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' "
            "xsi:type='xs:string'/>",
            "<a xmlns='urn:a' xmlns:e='urn:e'><b>e:code</b></a>"):
        ann.send(f"<message to='{bob.jid}'>{inside}</message>")
        bob.expect("<message/>")
        raw = bob.reader.raw[bob.reader.raw.rindex(b"<message"):]
        check(b"xmlns:xs='http://www.w3.org/2001/XMLSchema'" in raw or
              b"xmlns:e='urn:e'" in raw, "the prefix is not declared: %r" % raw)


@case("8.4", "attributes of the stanza that aren't XMPP's")
def attributes_of_the_stanza(s):
    passes(s, ("<body>hi</body>",), " x='1' xmlns:p='urn:p' p:x='2' "
           "xml:lang='de' xml:space='preserve' subject=''")


@case("8.1.5", "a server MUST NOT modify or delete 'xml:lang' ... and "
      "xml:space stays")
def xml_attributes(s):
    passes(s, (
        "<body xml:lang='de'>hallo</body><body xml:lang='en'>hello</body>",
        "<body xml:lang=''/>", "<a xmlns='urn:a' xml:space='preserve'> </a>",
        "<a xmlns='urn:a' xml:id='x' xml:base='http://example.org/'/>"))
    got = parse(f"<a xml:lang='de' xmlns='{CLIENT}'/>")
    check(got.get("{%s}lang" % XML) == "de", "the comparison itself")


@case("11.7", "white space: in text it stays; in attributes XML's rules")
def white_space(s):
    passes(s, (
        "<body> a\n\tb  </body>", "<body>\r\n</body>", "<body>&#13;&#10;</body>",
        "\n <body/>\n ", "<a xmlns='urn:a' x='a\n\tb  c'/>",
        "<a xmlns='urn:a' x='&#10;&#9;&#13; &#32;'/>",
        "<a xmlns='urn:a' x=' '/>", "<body>&#32;</body>", "<body>\t</body>"))


@case("11.1", "characters that have to be escaped")
def escapes(s):
    passes(s, (
        "<body>&lt;b&gt; &amp;amp; ]]&gt; &quot;&apos;</body>",
        "<a xmlns='urn:a' x='&lt;&gt;&amp;&quot;&apos;>'/>",
        "<a xmlns='urn:a' x=\"it's\" y='\"'/>",
        "<body>&#x41;&#66;\u00e9&#233;\U0001F600&#x1F600;</body>",
        "<body><![CDATA[<b>&amp;]] ></b>]]></body>",
        "<body>a<![CDATA[]]>b<![CDATA[c]]>d</body>",
        "<body><![CDATA[]]]]><![CDATA[>]]></body>"))


@case("8.4", "empty elements, with and without an end tag")
def empty_elements(s):
    passes(s, ("<body/>", "<body></body>", "<body ></body >", "",
               "<a xmlns='urn:a'><b></b><c/></a>"))


@case("8.4", "big stanzas, and deep ones")
def big_and_deep(s):
    passes(s, (
        "<body>%s</body>" % ("x" * 60000 + "\u20ac" * 1000 + "&lt;" * 1000),
        "<a xmlns='urn:a'>%s</a>" % "".join(
            "<b n='%d'>%d</b>" % (n, n) for n in range(1500)),
        "".join("<a%d xmlns='urn:a%d'>" % (n, n) for n in range(40)) +
        "".join("</a%d>" % n for n in reversed(range(40))),
        "<a xmlns='urn:a' %s/>" % " ".join(
            "n%d='%d'" % (n, n) for n in range(40))))


@case("4.2", "streams are independent, however their bytes are mixed")
def streams_do_not_mix(s):
    bob = s.online("bob")
    peers = [s.client("ann", "r%d" % n, more="version='1.0' xmlns:p='urn:%d'" %
                      (n % 3) if n % 2 else "version='1.0'")
             for n in range(6)]
    texts = [f"<message to='{bob.jid}' id='{n}'><body xml:lang='l{n}'>"
             f"{'x' * n}&amp;<![CDATA[{n}<]]></body><q:x xmlns:q='urn:q{n}' "
             f"q:n='{n}'><y{n}/></q:x></message> \n" for n in range(6)]
    sent = "".join(peers[n].jid for n in range(6))
    for position in range(max(map(len, texts)) + 10):
        for number, peer in enumerate(peers):
            piece = texts[number][max(0, position - number):][:1]
            if position >= number and piece:
                peer.send(piece, chunked=False)
    for _ in range(6):
        got = bob.expect("<message/>")
        number = int(got.get("id"))
        check(got.get("from") == peers[number].jid, sent)
        compare(texts[number], CLIENT, got)
    for number in (1, 3, 5):
        peers[number].send(f"<message to='{bob.jid}'><p:x/></message>")
        bob.expect("<message><x xmlns='urn:%d'/></message>" % (number % 3))
    peers[0].send(f"<message to='{bob.jid}'><p:x/></message>")
    peers[0].expect_stream_error("not-well-formed")
    peers[0].jid = None
    bob.expect_nothing()


@case("8.3.1", "types, ids and errors of others are passed on as they are")
def errors_of_others(s):
    ann, bob = s.online("ann"), s.online("bob")
    stanza = (f"<iq type='error' id=' x&#10;' to='{ann.jid}'><query "
              "xmlns='urn:q'/><error type='cancel' by='x' code='503'>"
              "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
              "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' "
              "xml:lang='de'>nein</text><app xmlns='urn:app'/></error></iq>")
    bob.send(stanza)
    compare(stanza, CLIENT, ann.expect("<iq/>"))
