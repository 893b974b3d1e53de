"""XEP-0199: XMPP Ping."""

from scenario import STANZA_ERRORS, case, check

PING = "<ping xmlns='urn:xmpp:ping'/>"


@case("4.2", "if a server supports the ping namespace, it MUST return an "
      "IQ-result")
def pings_the_server(s):
    ann = s.client("ann", "phone")
    ann.send(f"<iq type='get' id='p' to='{s.domain}'>{PING}</iq>")
    answer = ann.expect(
        f"<iq type='result' id='p' from='{s.domain}' to='{ann.jid}'/>")
    check(len(answer) == 0, "it isn't empty")


@case("4.2", "a ping without 'to' is the account's, and answered for it")
def pings_its_account(s):
    ann = s.client("ann", "phone")
    ann.send(f"<iq type='get' id='p'>{PING}</iq>")
    answer = ann.expect(f"<iq type='result' id='p' to='{ann.jid}'/>")
    check(answer.get("from") in (None, ann.bare), answer.get("from"))


@case("4.4", "client-to-client pings: the server passes them on")
def pings_another_client(s):
    s.friends("ann", "bob")
    ann, bob = s.online("ann", "phone"), s.online("bob", "desk")
    bob.sync()
    ann.sync()
    ann.send(f"<iq type='get' id='p' to='{bob.jid}'>{PING}</iq>")
    bob.expect(f"<iq type='get' id='p' from='{ann.jid}'>{PING}</iq>")
    bob.send(f"<iq type='error' id='p' to='{ann.jid}'><error type='cancel'>"
             f"<service-unavailable xmlns='{STANZA_ERRORS}'/></error></iq>")
    ann.expect_error("service-unavailable", "cancel", from_=bob.jid)


@case("6", "advertise 'urn:xmpp:ping'")
def is_advertised(s):
    answer = s.client("ann").iq(
        "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        s.domain)
    check("urn:xmpp:ping" in [f.get("var") for f in answer.iter(
        "{http://jabber.org/protocol/disco#info}feature")], "no such feature")
