"""XEP-0049: Private XML Storage."""

import json
import socket

from scenario import case, check, parse, canonical

PRIVATE = "jabber:iq:private"


def query(inside):
    return "<query xmlns='%s'>%s</query>" % (PRIVATE, inside)


@case("3", "data stored privately is given back to the owner as it was")
def keeps_what_is_stored(s):
    ann = s.client(s.user(), "phone")
    notes = ("<notes xmlns='urn:example:n' a='1&apos;'>x<b/>y &lt; "
             "<c xmlns='urn:example:c'>z</c></notes>")
    check(ann.iq("set", query(notes)).get("type") == "result", "not stored")
    answer = ann.iq("get", query("<notes xmlns='urn:example:n'/>"))
    check(canonical(answer[0][0]) == canonical(parse(notes)), "not the same")


@case("3", "each element is replaced as a whole, and kept apart")
def keeps_elements_apart(s):
    ann = s.client(s.user(), "phone")
    for text in ("one", "two"):
        ann.iq("set", query("<a xmlns='urn:example:a'>%s</a>"
                            "<b xmlns='urn:example:b'/>" % text))
    answer = ann.iq("get", query("<a xmlns='urn:example:a'/>"))
    check([e.text for e in answer[0]] == ["two"], "not replaced")


@case("3", "where there is nothing the element itself is given back, empty")
def gives_back_what_is_not_there(s):
    ann = s.client(s.user(), "phone")
    answer = ann.iq("get", query("<none xmlns='urn:example:x'/>"))
    check(answer.get("type") == "result" and len(answer[0]) == 1 and
          answer[0][0].tag == "{urn:example:x}none" and
          len(answer[0][0]) == 0, "it isn't empty")


@case("3", "it MUST NOT be available to others: forbidden, or "
      "service-unavailable")
def is_private(s):
    ann, eve = s.client(s.user(), "phone"), s.client(s.user(), "desk")
    ann.iq("set", query("<a xmlns='urn:example:a'>secret</a>"))
    answer = eve.iq("get", query("<a xmlns='urn:example:a'/>"), ann.bare)
    check(answer.get("type") == "error", "eve has read it")
    answer = eve.iq("set", query("<a xmlns='urn:example:a'/>"), ann.bare)
    check(answer.get("type") == "error", "eve has changed it")
    answer = ann.iq("get", query("<a xmlns='urn:example:a'/>"))
    check(answer[0][0].text == "secret", "it was changed")


@case("2", "at least one child element with a proper namespace MUST be "
      "included")
def asks_for_an_element(s):
    ann = s.client(s.user(), "phone")
    for type_ in ("get", "set"):
        check(ann.iq(type_, query("")).get("type") == "error", type_)


@case("2", "a client MUST NOT query for more than one namespace in a single "
      "IQ get", ours=True)
def takes_one_at_a_time(s):
    ann = s.client(s.user(), "phone")
    answer = ann.iq("get", query("<a xmlns='urn:a'/><b xmlns='urn:b'/>"))
    check(answer.get("type") == "error", "answered")


def export(server):
    """The lines of `xmpp reset`'s file."""
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(server.dir + "/xmppd.sock")
        control.sendall(b'{"method": "im.xmppd.Xmpp.Export", "more": true}\0')
        answer = b""
        while True:
            piece = control.recv(65536)
            check(piece, "no answer")
            answer += piece
            parts = answer.split(b"\0")
            if parts[-1] == b"" and not json.loads(parts[-2]).get("continues"):
                break
    text = "".join(json.loads(p)["parameters"].get("lines") or ""
                   for p in parts[:-1])
    return [json.loads(line) for line in text.splitlines()]


@case("3", "what a user keeps is in the file that 'xmpp reset' writes first",
      ours=True)
def is_exported(s):
    ann = s.client(s.user(), "phone")
    for i in range(70):
        ann.iq("set", query("<a%d xmlns='urn:a'>ä</a%d>" % (i, i)))
    lines = [x for x in export(s.server) if x.get("of") == ann.user]
    check(len(lines) == 70, str(len(lines)))
    check(sorted(x["node"] for x in lines) ==
          sorted("{urn:a}a%d" % i for i in range(70)), "the nodes")
    check("ä" in lines[0]["value"], str(lines[0]))
