"""RFC 6120, 8 and 10: stanzas, their attributes, errors and ways."""

from scenario import (
    BIND, CLIENT, STANZA_ERRORS, case, check, show)

PING = "<ping xmlns='urn:xmpp:ping'/>"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def body(text="hi"):
    return f"<body>{text}</body>"


# ---- 8.1.1: to ------------------------------------------------------------


@case("8.1.1.1", "a stanza with a specific intended recipient ... MUST possess "
      "a 'to' attribute; it is delivered with it")
def to_is_kept(s):
    ann, bob = s.client("ann"), s.online("bob")
    ann.send(f"<message to='{bob.jid}'>{body()}</message>")
    bob.expect(f"<message to='{bob.jid}' from='{ann.jid}'/>")
    ann.send(f"<message to='{bob.bare}'>{body()}</message>")
    got = bob.expect(f"<message from='{ann.jid}'/>")
    check(got.get("to") in (bob.bare, bob.jid), show(got))


@case("8.1.1.1", "a stanza without 'to' is treated as if it were for the bare "
      "JID of its sender")
def without_to(s):
    ann = s.online("ann", "a")
    ann.send(f"<message id='1'>{body()}</message>")
    ann.expect(f"<message id='1' from='{ann.jid}'>{body()}</message>")
    ann.send("<iq type='get' id='2'><query xmlns='jabber:iq:roster'/></iq>")
    ann.expect("<iq type='result' id='2'/>")


@case("8.1.1.2", "addresses are prepared before they are compared")
def to_is_prepared(s):
    ann, bob = s.client("ann"), s.online("bob", "Desk")
    ann.send(f"<message to='BOB@{s.domain.upper()}/Desk' id='1'/>")
    bob.expect("<message id='1'/>")
    ann.send(f"<message to='bob@{s.domain}/desk' type='headline' id='2'/>")
    ann.send(f"<message to='bob@{s.domain}/Desk' id='3'/>")
    bob.expect("<message id='3'/>")


@case("8.3.3.8", "jid-malformed: an XMPP address ... that violates the rules")
def malformed_to(s):
    ann = s.client("ann")
    for to in ("", "@", "@" + s.domain, "ann@", f"a b@{s.domain}",
               f"a&amp;b@{s.domain}", "ann@example.org/", "/x",
               f"{'x' * 1024}@{s.domain}", "a" * 1024,
               f"ann@{s.domain}/{'x' * 1024}", "a@@b", "-.-", "a..b",
               "\u0378@example.org", "ann@exa mple.org"):
        for stanza in ("iq", "message", "presence"):
            ann.send(f"<{stanza} to='{to}' id='1' type='%s'>%s</{stanza}>" % {
                "iq": ("get", PING), "message": ("chat", body()),
                "presence": ("subscribe", "")}[stanza])
            got = ann.expect_error("jid-malformed", "modify", stanza, id="1")
            check(got.get("from") in (None, s.domain, ann.bare), show(got))


# ---- 8.1.2: from ----------------------------------------------------------


@case("8.1.2.1", "the server MUST add a 'from' ... the full JID")
def from_is_added(s):
    ann, bob = s.client("ann", "a"), s.online("bob")
    for more in ("", f"from='{ann.bare}'", f"from='{ann.jid}'",
                 f"from='ANN@{s.domain}/a'", f"from='ann@{s.domain.upper()}'"):
        ann.send(f"<message to='{bob.jid}' {more}/>")
        bob.expect(f"<message from='{ann.jid}'/>")


@case("8.1.2.1", "a stanza that the server generates on behalf of the account: "
      "no 'from', or the bare JID")
def from_of_the_account(s):
    ann = s.client("ann")
    for payload in ("<query xmlns='jabber:iq:roster'/>", PING,
                    "<query xmlns='http://jabber.org/protocol/disco#info'/>"):
        got = ann.iq("get", payload)
        check(got.get("from") in (None, ann.bare), show(got))
        check(got.get("to") in (None, ann.jid), show(got))


@case("8.1.2.1", "what the server says for itself has its domain as 'from'")
def from_of_the_server(s):
    ann = s.client("ann")
    for payload in (PING, "<x xmlns='urn:nothing'/>"):
        got = ann.iq("get", payload, s.domain)
        check(got.get("from") == s.domain, show(got))


# ---- 8.1.3: id ------------------------------------------------------------


@case("8.1.3", "a response has the 'id' of its request, whatever it is")
def ids_come_back(s):
    ann = s.client("ann")
    for name in ("1", "a b", "&lt;&amp;&apos;&quot;>", "\u20ac", "x" * 1000,
                 " ", "&#10;", "ann@x/y"):
        ann.send(f"<iq type='get' id='{name}' to='{s.domain}'>{PING}</iq>")
        ann.expect(f"<iq type='result' id='{name}'/>")


@case("8.2.3", "the 'id' attribute is REQUIRED for IQ stanzas; 8.3.1: the "
      "error's id is empty then")
def iq_without_id(s):
    ann = s.client("ann")
    for type_ in ("get", "set"):
        ann.send(f"<iq type='{type_}' to='{s.domain}'>{PING}</iq>")
        got = ann.expect_error("bad-request", "modify")
        check(got.get("id") == "", show(got))


# ---- 8.1.5: xml:lang ------------------------------------------------------


@case("8.1.5", "the client's server SHOULD add an 'xml:lang' attribute whose "
      "value is that of the stream")
def language_of_the_stream(s):
    ann = s.client("ann", more="version='1.0' xml:lang='de-CH'")
    bob = s.online("bob")
    ann.send(f"<message to='{bob.jid}'/>")
    bob.expect("<message xml:lang='de-CH'/>")
    ann.send(f"<presence to='{bob.jid}'/>")
    bob.expect("<presence xml:lang='de-CH'/>")


@case("8.1.5", "if the stanza has an 'xml:lang', the server MUST NOT modify "
      "or delete it")
def language_of_the_stanza(s):
    ann = s.client("ann", more="version='1.0' xml:lang='de'")
    bob = s.online("bob")
    for lang in ("fr", "en-GB", "x-klingon", ""):
        ann.send(f"<message to='{bob.jid}' xml:lang='{lang}'/>")
        got = bob.expect("<message/>")
        check(got.get(LANG) == lang, show(got))


# ---- 8.2.3: IQ ------------------------------------------------------------


@case("8.2.3", "an entity that receives an IQ request of type get or set MUST "
      "reply")
def every_request_is_answered(s):
    ann, bob = s.online("ann"), s.online("bob")
    for to in (None, s.domain, s.domain + "/x", ann.bare, bob.bare,
               "nobody@" + s.domain, "nobody@%s/x" % s.domain,
               ann.bare + "/nowhere", "example.net", "x@example.net/y",
               "unknown." + s.domain):
        for type_ in ("get", "set"):
            got = ann.iq(type_, "<x xmlns='urn:nothing'/>", to)
            check(got.get("type") == "error", show(got))
            check(got.get("from") in ((None, ann.bare) if to is None
                                      else (to,)), show(got))
    bob.expect_nothing()


@case("8.4", "a server that doesn't understand the namespace MUST reply with "
      "<service-unavailable/>")
def unknown_namespaces(s):
    ann = s.client("ann")
    for to in (None, s.domain, ann.bare):
        for type_ in ("get", "set"):
            ann.send(f"<iq type='{type_}' id='u' %s><x xmlns='urn:nothing'/>"
                     "</iq>" % ("" if to is None else f"to='{to}'"))
            ann.expect_error("service-unavailable", "cancel", id="u")


@case("8.2.3", "the 'type' attribute is REQUIRED, and one of four; a request "
      "MUST contain exactly one child element")
def malformed_requests(s):
    ann, bob = s.client("ann"), s.online("bob")
    for to in (s.domain, bob.jid, ann.bare):
        for stanza in (f"<iq id='1' to='{to}'>{PING}</iq>",
                       f"<iq id='1' type='' to='{to}'>{PING}</iq>",
                       f"<iq id='1' type='GET' to='{to}'>{PING}</iq>",
                       f"<iq id='1' type='other' to='{to}'>{PING}</iq>",
                       f"<iq id='1' type='get' to='{to}'/>",
                       f"<iq id='1' type='set' to='{to}'>text</iq>",
                       f"<iq id='1' type='get' to='{to}'>{PING}{PING}</iq>"):
            ann.send(stanza)
            ann.expect_error("bad-request", "modify", id="1")
    bob.expect_nothing()


@case("8.2.3", "a response MUST NOT be answered, whatever is wrong with it")
def responses_are_not_answered(s):
    ann = s.client("ann")
    for to in (None, s.domain, ann.bare, "nobody@" + s.domain, "example.net",
               "@", "nobody@%s/x" % s.domain):
        for type_ in ("result", "error"):
            ann.send("<iq type='%s' id='r'%s><x xmlns='urn:x'/></iq>" % (
                type_, "" if to is None else f" to='{to}'"))
    ann.expect_nothing()


@case("8.2.3", "requests and responses between clients are passed on")
def requests_between_clients(s):
    s.friends("ann", "bob")
    ann, bob = s.client("ann"), s.client("bob")
    ann.send(f"<iq type='get' id='1' to='{bob.jid}'><x xmlns='urn:x'/></iq>")
    bob.expect(f"<iq type='get' id='1' from='{ann.jid}'><x xmlns='urn:x'/>"
               "</iq>")
    bob.send(f"<iq type='result' id='1' to='{ann.jid}'/>")
    ann.expect(f"<iq type='result' id='1' from='{bob.jid}'/>")
    bob.send(f"<iq type='error' id='1' to='{ann.jid}'><error type='cancel'>"
             f"<gone xmlns='{STANZA_ERRORS}'>x</gone></error></iq>")
    ann.expect_error("gone", "cancel", from_=bob.jid)


@case("8.1.4", "presence of a type that there isn't: <bad-request/>; a message "
      "of one is a normal message (RFC 6121, 5.2.2)")
def unknown_types(s):
    ann, bob = s.client("ann"), s.online("bob")
    for type_ in ("here", "", "SUBSCRIBE", "normal"):
        for to in ("", f"to='{bob.jid}'"):
            ann.send(f"<presence type='{type_}' id='1' {to}/>")
            ann.expect_error("bad-request", "modify", "presence", id="1")
    for type_ in ("other", "", "CHAT"):
        ann.send(f"<message type='{type_}' id='2' to='{bob.jid}'/>")
        bob.expect("<message id='2'/>")
    bob.expect_nothing()


# ---- 8.3: errors ----------------------------------------------------------


@case("8.3.1", "the error stanza SHOULD simply swap 'from' and 'to'; the id "
      "MUST match; it MUST contain an <error/>")
def errors_swap_addresses(s):
    ann = s.client("ann")
    for to in (f"nobody@{s.domain}/x", "romeo@example.net", s.domain + "/x"):
        ann.send(f"<iq type='get' id='e1' to='{to}'><x xmlns='urn:x'/></iq>")
        got = ann.expect(f"<iq type='error' id='e1' from='{to}' "
                         f"to='{ann.jid}'><error type='*'/></iq>")
        check(len(got.find("{%s}error" % CLIENT)) >= 1, show(got))


@case("8.3.1", "MUST NOT respond to an error stanza with a further error")
def errors_are_not_answered(s):
    ann = s.client("ann")
    for to in ("nobody@" + s.domain, s.domain, "example.net", "@",
               ann.bare + "/nowhere"):
        ann.send(f"<message type='error' id='1' to='{to}'>{body()}</message>")
        ann.send(f"<presence type='error' id='1' to='{to}'/>")
    ann.expect_nothing()


@case("8.3.2", "<error/> has a 'type', and the condition's element, qualified "
      "by its namespace, first")
def form_of_errors(s):
    ann = s.client("ann")
    got = ann.iq("get", "<x xmlns='urn:x'/>", "nobody@" + s.domain)
    error = got.find("{%s}error" % CLIENT)
    check(error.get("type") in ("auth", "cancel", "continue", "modify", "wait"),
          show(got))
    check(error[0].tag.startswith("{%s}" % STANZA_ERRORS), show(got))
    check(all(e.tag != "{%s}text" % STANZA_ERRORS or e.get(LANG)
              for e in error), "a text without xml:lang: " + show(got))


@case("8.3.2", "the conditions have their types: cancel, modify, auth, wait")
def types_of_conditions(s):
    ann = s.client("ann")
    for to, payload, condition, type_ in (
            ("romeo@example.net", "<x xmlns='urn:x'/>",
             "remote-server-not-found", "cancel"),
            ("nobody@" + s.domain, "<x xmlns='urn:x'/>",
             "service-unavailable", "cancel"),
            ("a b@" + s.domain, "<x xmlns='urn:x'/>", "jid-malformed",
             "modify"),
            (s.domain, "", "bad-request", "modify")):
        ann.send(f"<iq type='get' id='1' to='{to}'>{payload}</iq>")
        ann.expect_error(condition, type_, id="1")


# ---- 10: ways -------------------------------------------------------------


@case("10.1", "the server MUST ensure in-order processing between any two "
      "entities")
def order(s):
    s.friends("ann", "bob")
    ann, bob = s.client("ann"), s.online("bob")
    bob.sync()
    ann.send("".join(
        f"<message to='{bob.jid}' id='{n}'><body>{n}</body></message>"
        f"<iq type='get' id='{n}' to='{bob.jid}'><x xmlns='urn:x'/></iq>"
        for n in range(200)))
    for number in range(200):
        bob.expect(f"<message id='{number}'/>")
        bob.expect(f"<iq id='{number}'/>")


@case("10.3.1", "a message without 'to' is for the sender's bare JID")
def message_without_to(s):
    ann, other = s.online("ann", "a"), s.online("ann", "b")
    ann.find(f"<presence from='{other.jid}'/>")
    other.sync()
    ann.send(f"<message type='chat' id='1'>{body()}</message>")
    check(any(e.get("id") == "1" for e in ann.sync() + other.sync()),
          "it went nowhere")


@case("10.3.2", "presence without 'to' is broadcast: to the account's own "
      "resources at least")
def presence_without_to(s):
    ann, other = s.online("ann", "a"), s.client("ann", "b")
    other.send("<presence id='p'/>")
    ann.find(f"<presence id='p' from='{other.jid}'/>")
    other.find(f"<presence from='{ann.jid}'/>")


@case("10.4", "a domain that is not served and can't be reached: "
      "<remote-server-not-found/>")
def foreign_domains(s):
    ann = s.client("ann")
    for to in ("example.net", "romeo@example.net", "romeo@example.net/x",
               "[2001:db8::1]", "sub.unknown." + s.domain):
        ann.send(f"<message to='{to}' id='m'>{body()}</message>")
        ann.expect_error("remote-server-not-found", "cancel", "message",
                         id="m", from_=to)
        ann.send(f"<iq type='get' id='i' to='{to}'>{PING}</iq>")
        ann.expect_error("remote-server-not-found", "cancel", id="i",
                         from_=to)


@case("10.5.1", "'to' is the domain: the server itself handles it")
def to_the_domain(s):
    ann = s.client("ann")
    ann.send(f"<iq type='get' id='1' to='{s.domain}'>{PING}</iq>")
    ann.expect(f"<iq type='result' id='1' from='{s.domain}'/>")
    ann.send(f"<message to='{s.domain}' id='2'>{body()}</message>"
             f"<presence to='{s.domain}'/>")
    for got in ann.sync():
        check(got.get("type") == "error" and got.get("from") == s.domain,
              show(got))


@case("10.5.3.1", "no such user: <service-unavailable/> for messages and IQs, "
      "and nothing of note for presence")
def no_such_user(s):
    ann = s.client("ann")
    for to in (f"nobody@{s.domain}", f"nobody@{s.domain}/x"):
        ann.send(f"<message to='{to}' id='1' type='chat'>{body()}</message>")
        ann.expect_error("service-unavailable", "cancel", "message", id="1")
        ann.send(f"<iq type='get' id='2' to='{to}'>{PING}</iq>")
        ann.expect_error("service-unavailable", "cancel", id="2")
        ann.send(f"<presence to='{to}'/><presence to='{to}' type='probe'/>")
        for got in ann.sync():
            check(got.get("type") == "unsubscribed", show(got))


@case("13.10", "what is said of somebody who is there tells no stranger that "
      "the account exists")
def strangers_learn_nothing(s):
    bob = s.online("bob", "desk")
    eve = s.client("eve")
    answers = []
    for to in (bob.bare, "nobody@" + s.domain):
        got = eve.iq("get", "<query xmlns='jabber:iq:version'/>", to)
        answers.append([(e.tag, e.get("type")) for e in got.iter()])
    check(answers[0] == answers[1], answers)
    for to in (bob.bare, bob.jid):
        eve.send(f"<presence type='probe' to='{to}'/>")
    for got in eve.sync():
        check(got.get("type") in ("unsubscribed", "error"), show(got))
    bob.expect_nothing()


@case("7.7.3", "a second bind on the same stream is refused, and the first "
      "stays")
def second_bind(s):
    ann = s.client("ann", "one")
    got = ann.iq("set", f"<bind xmlns='{BIND}'><resource>two</resource></bind>")
    check(got.get("type") == "error", show(got))
    ann.send(f"<message to='{ann.jid}' id='1'/>")
    ann.expect(f"<message id='1' from='{ann.jid}'/>")
