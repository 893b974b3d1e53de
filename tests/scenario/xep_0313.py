"""XEP-0313: message archive management; XEP-0059: result sets; XEP-0441: what
is archived; XEP-0297: what is forwarded."""

import asyncio
import datetime
import ssl

import slixmpp

from scenario import ADDRESS, SLOW, case, check, wait_for

MAM = "urn:xmpp:mam:2"
INFO = "http://jabber.org/protocol/disco#info"
RESULT = "{%s}result" % MAM
FORWARDED = "{urn:xmpp:forward:0}forwarded"


def fill(s, count, to=None):
    """A user with so many messages in its archive, 1 and so on; by turns with
    two others, or with one. Gives a session, and whom it wrote to."""
    one = s.client(s.user(), "one")
    others = to or [s.user() + "@" + s.domain, s.user() + "@" + s.domain + "/x"]
    for n in range(1, count + 1):
        one.send(f"<message to='{others[n % len(others)]}' type='chat' "
                 f"id='m{n}'><body>{n}</body></message>")
    wait_for("archived", lambda: counted_by(one) == count)
    return one, others


def counted_by(one):
    """How many the archive has: each is stored before the next one goes."""
    return int(Page(one, rsm(max=0)).said("count"))


def form(**fields):
    values = "".join(
        "<field var='%s'>%s</field>" % (
            k.replace("_", "-"), "".join("<value>%s</value>" % v for v in (
                value if isinstance(value, list) else [value])))
        for k, value in fields.items())
    return ("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' "
            f"type='hidden'><value>{MAM}</value></field>{values}</x>")


def rsm(**parts):
    return "<set xmlns='http://jabber.org/protocol/rsm'>%s</set>" % "".join(
        f"<{k}>{v}</{k}>" for k, v in parts.items())


class Page:
    """The answer to a query."""

    def __init__(self, peer, inner="", queryid="q", to=None):
        name = peer.new_id()
        peer.send("<iq type='set' id='%s'%s><query xmlns='%s' queryid='%s'>%s"
                  "</query></iq>" % (name, f" to='{to}'" if to else "", MAM,
                                     queryid, inner))
        self.messages, self.ids, self.bodies, self.stamps = [], [], [], []
        while True:
            element = peer.read()
            check(element is not None, "no answer")
            if element.get("id") == name:
                break
            self.take(element, peer, queryid)
        self.iq = element
        self.error = element.find("{jabber:client}error")
        self.fin = element.find("{%s}fin" % MAM)
        if self.fin is not None:
            self.complete = self.fin.get("complete") == "true"
            self.set = self.fin.find("{http://jabber.org/protocol/rsm}set")
            check(self.set is not None, "an RSM set MUST be there")

    def take(self, element, peer, queryid):
        result = element.find(RESULT)
        check(result is not None, "a result: " + element.tag)
        check(result.get("queryid") == queryid, "its queryid")
        check(element.get("from") in (None, peer.bare), "from the archive")
        forwarded = result.find(FORWARDED)
        message = forwarded.find("{jabber:client}message")
        self.messages.append(message)
        self.ids.append(result.get("id"))
        self.bodies.append(message.findtext("{jabber:client}body"))
        self.stamps.append(
            forwarded.find("{urn:xmpp:delay}delay").get("stamp"))

    def said(self, name):
        return self.set.findtext("{http://jabber.org/protocol/rsm}" + name)

    def refused(self, condition):
        check(self.error is not None and self.error.find(
            "{urn:ietf:params:xml:ns:xmpp-stanzas}" + condition) is not None,
            "expected " + condition)


# ---- 4: queries -----------------------------------------------------------


@case("4", "the server pushes a series of messages in chronological order; "
      "after the results it returns the IQ result, with an RSM <set/>")
def all_of_it(s):
    one, others = fill(s, 5)
    page = Page(one)
    check(page.bodies == ["1", "2", "3", "4", "5"], page.bodies)
    check(page.complete, "complete")
    check(page.said("first") == page.ids[0], "first")
    check(page.said("last") == page.ids[-1], "last")
    check(page.said("count") == "5", "count")
    check(len(set(page.ids)) == 5, "unique ids")
    check(sorted(page.stamps) == page.stamps, "in order")
    check(page.messages[0].get("from") == one.jid, "the original")
    check(page.messages[0].get("to") == others[1], "the original")
    check(page.messages[0].get("id") == "m1", "the original")


@case("4.1", "a query is successful even if the archive is empty")
def an_empty_archive(s):
    page = Page(s.client(s.user()))
    check(page.bodies == [] and page.complete and page.said("count") == "0",
          "empty")


@case("3.3.1", "both the sender's and the recipient's archive have it, with "
      "the other side's address")
def both_sides(s):
    one, others = fill(s, 1, [s.user() + "@" + s.domain])
    two = s.client(others[0].split("@")[0])
    page = Page(two)
    check(page.bodies == ["1"], page.bodies)
    check(page.messages[0].get("from") == one.jid, "from")
    check(Page(two, form(with_=one.bare).replace("with-", "with")).bodies ==
          ["1"], "by the sender")


@case("6.1.1", "it MUST store such a stanza only once, irrespective of "
      "multiple clients receiving copies")
def once(s):
    user = s.user()
    two, three = s.online(user, "two"), s.online(user, "three")
    for peer in (two, three):
        peer.iq("set", "<enable xmlns='urn:xmpp:carbons:2'/>")
    one = s.client(s.user())
    one.send(f"<message to='{two.bare}'><body>b</body></message>")
    one.sync()
    two.sync()
    check(Page(two).bodies == ["b"], "once")


# ---- 4.1: filters ---------------------------------------------------------


def with_(jid):
    return form(**{"with": jid})


@case("4.1.1", "only messages that match the JID; a bare one matches those "
      "with a resource")
def by_address(s):
    one, (first, second) = fill(s, 6)
    check(Page(one, with_(first)).bodies == ["2", "4", "6"], "bare")
    bare = second.split("/")[0]
    check(Page(one, with_(bare)).bodies == ["1", "3", "5"], "of a full one")
    check(Page(one, with_(second)).bodies == ["1", "3", "5"], "full")
    check(Page(one, with_(bare + "/other")).bodies == [], "another full one")
    check(Page(one, with_("nobody@" + s.domain)).bodies == [], "nobody")
    Page(one, with_("@")).refused("jid-malformed")


@case("4.1.2", "messages whose timestamp is equal to or later than 'start', "
      "and equal to or earlier than 'end'")
def by_time(s):
    one, _ = fill(s, 3)
    stamp = Page(one).stamps[1]
    after = Page(one, form(start=stamp))
    check("2" in after.bodies and "3" in after.bodies, after.bodies)
    before = Page(one, form(end=stamp))
    check("1" in before.bodies and "2" in before.bodies, before.bodies)
    check(Page(one, form(start="2100-01-01T00:00:00Z")).bodies == [], "later")
    check(Page(one, form(end="2000-01-01T00:00:00Z")).bodies == [], "earlier")
    hour = datetime.timedelta(hours=1)
    moment = datetime.datetime.now(datetime.timezone.utc)
    east = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    for zone in (datetime.timezone.utc, east):
        check(len(Page(one, form(
            start=(moment - hour).astimezone(zone).isoformat("T", "seconds"),
            end=(moment + hour).astimezone(zone).isoformat("T", "seconds"))
            ).bodies) == 3, "with a zone (XEP-0082)")
    Page(one, form(start="now")).refused("bad-request")


@case("4.1.3", "'before-id' and 'after-id' restrict it, 'ids' name single ones;"
      " a UID that isn't there MUST be answered with item-not-found")
def by_id(s):
    one, _ = fill(s, 6)
    ids = Page(one).ids
    check(Page(one, form(after_id=ids[3])).bodies == ["5", "6"], "after")
    check(Page(one, form(before_id=ids[2])).bodies == ["1", "2"], "before")
    check(Page(one, form(after_id=ids[0], before_id=ids[3])).bodies ==
          ["2", "3"], "between")
    check(Page(one, form(ids=[ids[4], ids[1]])).bodies == ["2", "5"], "ids")
    for field in ("after_id", "before_id", "ids"):
        Page(one, form(**{field: "none"})).refused("item-not-found")
        Page(one, form(**{field: "A" * len(ids[0])})).refused("item-not-found")
    two, _ = fill(s, 1)
    Page(two, form(after_id=ids[3])).refused("item-not-found")


@case("4.1.5", "the server replies with all the form fields it supports; the "
      "ids are open")
def the_form(s):
    one = s.client("ann")
    answer = one.iq("get", f"<query xmlns='{MAM}'/>")
    fields = {f.get("var"): f for f in answer.iter("{jabber:x:data}field")}
    for name, kind in (("with", "jid-single"), ("start", "text-single"),
                       ("end", "text-single"), ("before-id", "text-single"),
                       ("after-id", "text-single"), ("ids", "list-multi"),
                       ("include-groupchat", "boolean")):
        check(fields[name].get("type") == kind, name)
        check(fields[name].find("{jabber:x:data}required") is None, name)
    check(fields["ids"].find(
        "{http://jabber.org/protocol/xdata-validate}validate/"
        "{http://jabber.org/protocol/xdata-validate}open") is not None, "open")


@case("4.1.5", "a form field that the server does not recognise: "
      "feature-not-implemented")
def unknown_fields(s):
    one, _ = fill(s, 1)
    inner = form().replace("</x>", "<field var='{urn:x}y'><value>1</value>"
                           "</field></x>")
    Page(one, inner).refused("feature-not-implemented")
    Page(one, form().replace(MAM, "urn:other")).refused("bad-request")


# ---- 4.3: pages -----------------------------------------------------------


@case("4.3.2", "page after page by <after/>, each in chronological order; "
      "'complete' with the last")
def forwards(s):
    one, _ = fill(s, 7)
    page = Page(one, rsm(max=3))
    pages = [page.bodies]
    while not page.complete:
        page = Page(one, rsm(max=3, after=page.said("last")))
        pages.append(page.bodies)
    check(pages == [["1", "2", "3"], ["4", "5", "6"], ["7"]], pages)


@case("4.3.3", "an empty <before/> requests the last page, in chronological "
      "order")
def backwards(s):
    one, _ = fill(s, 7)
    page = Page(one, rsm(max=3, before=""))
    pages = [page.bodies]
    check(page.set.find("{http://jabber.org/protocol/rsm}first").get("index")
          in (None, "4"), "index")
    while not page.complete:
        page = Page(one, rsm(max=3, before=page.said("first")))
        pages.append(page.bodies)
    check(pages == [["5", "6", "7"], ["2", "3", "4"], ["1"]], pages)


@case("4.3.2", "a UID within <after/> or <before/> that is not present: "
      "item-not-found")
def unknown_ids(s):
    one, _ = fill(s, 2)
    for part in ("after", "before"):
        Page(one, rsm(**{part: "09af3-cc343-b409f"})).refused("item-not-found")


@case("4.3.4", "<flip-page/> affects the order in which results are sent, and "
      "not which")
def flipped(s):
    one, _ = fill(s, 5)
    page = Page(one, rsm(max=2, before="") + "<flip-page/>")
    check(page.bodies == ["5", "4"], page.bodies)
    check(page.said("first") == page.ids[1], "first")


@case("XEP-0059, 2.7", "<max>0</max> asks for the count alone")
def counted(s):
    one, (first, _) = fill(s, 5)
    page = Page(one, rsm(max=0))
    check(page.bodies == [] and page.said("count") == "5", "of all")
    check(not page.complete, "there are more")
    check(Page(one, with_(first) + rsm(max=0)).said("count") == "2", "of one")


@case("XEP-0059, 2.6", "a page out of order, by its index")
def by_index(s):
    one, (first, _) = fill(s, 6)
    check(Page(one, rsm(max=2, index=2)).bodies == ["3", "4"], "of all")
    check(Page(one, with_(first) + rsm(max=2, index=1)).bodies == ["4", "6"],
          "of one")


@case("4.3.1", "a server MAY limit the results; <max/> beyond that")
def large_pages(s):
    one, _ = fill(s, 260)
    page = Page(one, rsm(max=1000))
    check(100 <= len(page.bodies) <= 250 and not page.complete,
          len(page.bodies))
    rest = Page(one, rsm(max=1000, after=page.said("last")))
    check(page.bodies + rest.bodies == [str(n) for n in range(1, 261)], "all")


# ---- 5: metadata ----------------------------------------------------------


@case("5", "<start/> and <end/> with 'id' and 'timestamp' of the first and "
      "last messages; if the archive is empty, an empty <metadata/>")
def metadata(s):
    empty = s.client(s.user()).iq("get", f"<metadata xmlns='{MAM}'/>")
    check(len(empty.find("{%s}metadata" % MAM)) == 0, "empty")
    one, _ = fill(s, 3)
    page = Page(one)
    answer = one.iq("get", f"<metadata xmlns='{MAM}'/>")
    for name, at in (("start", 0), ("end", -1)):
        x = answer.find("{%s}metadata/{%s}%s" % (MAM, MAM, name))
        check(x.get("id") == page.ids[at], name)
        check(x.get("timestamp") == page.stamps[at], name)


# ---- 7, 8 -----------------------------------------------------------------


@case("7", "MUST advertise 'urn:xmpp:mam:2' and '#extended' in response to "
      "requests made to archiving JIDs")
def is_advertised(s):
    one = s.client("ann")
    answer = one.iq("get", f"<query xmlns='{INFO}'/>", one.bare)
    features = [f.get("var") for f in answer.iter("{%s}feature" % INFO)]
    for name in (MAM, MAM + "#extended", MAM + "#groupchat-field"):
        check(name in features, "no " + name)


@case("8.1", "an archive it does not have permissions for: an error, SHOULD be "
      "'forbidden'")
def archives_of_others(s):
    one, _ = fill(s, 1)
    ann = s.client("ann")
    Page(ann, to=one.bare).refused("forbidden")
    for inner in (f"<query xmlns='{MAM}'/>", f"<metadata xmlns='{MAM}'/>"):
        check(ann.iq("get", inner, one.bare).get("type") == "error", inner)
    prefs = ann.iq("get", f"<prefs xmlns='{MAM}'/>", one.bare)
    check(prefs.get("type") == "error", "preferences")


@case("6.2", "ids MUST NOT be reused, even if the item has been removed",
      ours=True)
def ids_are_not_reused(s):
    s.server.call("Limits.Set", limit="archive", value="64k")
    try:
        one, _ = fill(s, 10)
        first = Page(one).ids
        fill_more = "x" * 9000
        for _ in range(12):
            one.send(f"<message to='nobody@{s.domain}'><body>{fill_more}"
                     "</body></message>")
            one.find("<message type='error'/>")
        page = Page(one)
        check(not set(first) & set(page.ids), "the oldest go")
        Page(one, rsm(after=first[0])).refused("item-not-found")
    finally:
        s.server.call("Limits.Set", limit="archive", value="default")


@case("6.1.1", "what is just being archived is there for who asks next")
def at_once(s):
    user = s.user()
    two = s.online(user)
    one = s.client(s.user())
    for n in range(10):
        one.send(f"<message to='{two.bare}' type='chat'><body>{n}</body>"
                 "</message>")
        message = two.expect(f"<message><body>{n}</body></message>")
        got = message.find("{urn:xmpp:sid:0}stanza-id").get("id")
        page = Page(two, rsm(max=1, before=""))
        check(page.ids == [got], "the last one")
        check(Page(two, rsm(after=got)).bodies == [], "nothing behind it")


# ---- XEP-0441 -------------------------------------------------------------


def prefs(peer, default, always=(), never=()):
    return peer.iq("set", "<prefs xmlns='%s' default='%s'><always>%s</always>"
                   "<never>%s</never></prefs>" % (
                       MAM, default, *("".join(f"<jid>{j}</jid>" for j in x)
                                       for x in (always, never))))


@case("XEP-0441, 2.1", "the preferences: MUST contain the default; <always/> "
      "and <never/> MUST also be present")
def preferences(s):
    one = s.client(s.user())
    answer = one.iq("get", f"<prefs xmlns='{MAM}'/>")
    x = answer.find("{%s}prefs" % MAM)
    check(x.get("default") == "always", "shipped so")
    for name in ("always", "never"):
        check(x.find("{%s}%s" % (MAM, name)) is not None, name)
    answer = prefs(one, "roster", ["romeo@montague.lit"],
                   ["Montague@montague.lit"])
    x = answer.find("{%s}prefs" % MAM)
    check(x.get("default") == "roster", "the applied ones")
    check([j.text for j in x.iter("{%s}jid" % MAM)] ==
          ["romeo@montague.lit", "montague@montague.lit"], "prepared")
    check(prefs(one, "sometimes").get("type") == "error", "another default")


@case("XEP-0441, 2.3", "a listed JID with a resource is compared as it is, one "
      "without with the bare target; else the default")
def what_they_do(s):
    one = s.client(s.user())
    a, b, c = (s.user() + "@" + s.domain for _ in range(3))

    def archived(*to):
        before = counted_by(one)
        for jid in to:
            one.send(f"<message to='{jid}' type='chat'><body>b</body>"
                     "</message>")
        # One that is refused comes behind them.
        one.send(f"<message to='{to[-1]}/none' type='normal'><body>b</body>"
                 "<no-store xmlns='urn:xmpp:hints'/></message>")
        one.find(f"<message type='error' from='{to[-1]}/none'/>")
        return counted_by(one) - before

    prefs(one, "never", [a, b + "/x"])
    check(archived(a, a + "/y") == 2, "a bare one is listed: always")
    check(archived(b) == 0, "the bare one of a listed full one")
    check(archived(c) == 0, "the default")
    one.send(f"<message to='{b}/x' type='chat'><body>b</body></message>")
    wait_for("a full one", lambda: counted_by(one) == 3)
    prefs(one, "always", [], [a, b + "/x"])
    check(archived(a) == 0, "a bare one is listed: never")
    check(archived(b) == 1, "the bare one of a listed full one")
    check(archived(c) == 1, "the default")
    prefs(one, "roster")
    one.iq("set", "<query xmlns='jabber:iq:roster'><item jid='%s'/></query>"
           % c)
    check(archived(a) == 0, "no contact")
    check(archived(c) == 1, "a contact")


@case("XEP-0441, 2.1.1", "the default of those who didn't say is the "
      "administrator's", ours=True)
def the_administrators_default(s):
    one = s.client(s.user())
    to = s.user() + "@" + s.domain
    try:
        s.server.call("Archive.Never")
        one.send(f"<message to='{to}/none'><body>b</body></message>")
        one.find("<message type='error'/>")
        check(Page(one).bodies == [], "never")
        s.server.call("Archive.Roster")
        one.send(f"<message to='{to}/none'><body>b</body></message>")
        one.find("<message type='error'/>")
        check(Page(one).bodies == [], "not a contact")
        check(s.server.call("Archive.Show")["usual"] == "roster", "shown")
    finally:
        s.server.call("Archive.Always")
    one.send(f"<message to='{to}/none'><body>b</body></message>")
    one.find("<message type='error'/>")
    check(Page(one).bodies == ["b"], "always")


# ---- a library ------------------------------------------------------------


class Client(slixmpp.ClientXMPP):
    def __init__(self, jid, password):
        super().__init__(jid, password)
        for name in ("xep_0030", "xep_0059", "xep_0280", "xep_0297",
                     "xep_0313"):
            self.register_plugin(name)
        self.there, self.copies = asyncio.Event(), []
        self.add_event_handler("session_start", lambda _: self.there.set())
        self.add_event_handler("carbon_received", self.copies.append)

    def get_ssl_context(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context


async def use_slixmpp(s, user, sender):
    client = Client(user + "@" + s.domain, "secret-" + user)
    client.connect((ADDRESS, s.server.port))
    await asyncio.wait_for(client.there.wait(), 20)
    await client["xep_0280"].enable()
    bodies = []
    async for message in client["xep_0313"].iterate(
            reverse=False, rsm={"max": 3}):
        bodies.append(message["mam_result"]["forwarded"]["stanza"]["body"])
    sender.send(f"<message to='{user}@{s.domain}/none' type='chat'>"
                "<body>copied</body></message>")
    for _ in range(100):
        if client.copies:
            break
        await asyncio.sleep(0.05)
    await client.disconnect()
    return bodies, [c["carbon_received"]["body"] for c in client.copies]


@case("4", "slixmpp reads the archive page by page, and gets carbons")
def by_slixmpp(s):
    user = s.user()
    one, _ = fill(s, 7, [user + "@" + s.domain])
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        bodies, copies = loop.run_until_complete(
            asyncio.wait_for(use_slixmpp(s, user, one), 60 * SLOW))
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    check(bodies == [str(n) for n in range(1, 8)], bodies)
    check(copies == ["copied"], copies)
