"""XEP-0202: Entity Time."""

import datetime

from scenario import case, check


@case("2", "a time element with tzo and utc")
def tells_the_time(s):
    answer = s.client(s.user()).iq("get", "<time xmlns='urn:xmpp:time'/>",
                                   s.domain)
    said = answer[0].findtext("{urn:xmpp:time}utc")
    check(answer[0].findtext("{urn:xmpp:time}tzo") is not None, "no tzo")
    check(said.endswith("Z"), said)
    then = datetime.datetime.fromisoformat(said[:-1])
    check(abs((datetime.datetime.utcnow() - then).total_seconds()) < 60, said)


@case("4", "it MUST report a feature of 'urn:xmpp:time'")
def is_advertised(s):
    answer = s.client(s.user()).iq(
        "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        s.domain)
    check("urn:xmpp:time" in [f.get("var") for f in answer.iter(
        "{http://jabber.org/protocol/disco#info}feature")], "no such feature")
