"""RFC 6121, 2: the roster; XEP-0237: its versions."""

from scenario import CLIENT, case, check, show
from scenario_roster import (
    EARLIER, QUERY, ROSTER, drain, get, interested, is_push, item_of,
    items_of, presences, pushes, put, remove)

VERSIONING = "{urn:xmpp:features:rosterver}ver"


def roster_set(items):
    return "<query xmlns='%s'>%s</query>" % (ROSTER, items)


def refused(answer, *conditions):
    """An error, with one of these conditions."""
    check(answer.get("type") == "error", "not refused: " + show(answer))
    names = [e.tag.split("}")[1] for e in answer.find(
        "{%s}error" % CLIENT)]
    check(names and names[0] in conditions, "%s, not %s" % (
        names, " or ".join(conditions)))


def plain(name=None, groups=()):
    """What is expected of an item without a subscription."""
    return ("none", None, name, frozenset(groups))


# ---- 2.1.3, 2.1.4, 2.2: getting it ----------------------------------------


@case("2.1.4", "if the roster exists, the <query/> contains an <item/> for "
      "each contact; there may be none")
def get_of_an_empty_roster(s):
    ann = s.client(s.user())
    answer = ann.iq("get", roster_set(""))
    check(answer.get("type") == "result" and answer.find(QUERY) is not None and
          len(answer.find(QUERY)) == 0, show(answer))
    check(answer.get("to") in (None, ann.jid) and
          answer.get("from") in (None, ann.bare), show(answer))


@case("2.1.3", "the client requests its roster; also by its own bare JID")
def get_by_address(s):
    ann = s.client(s.user())
    put(ann, "bob@" + s.domain)
    for to in (None, ann.bare):
        answer = ann.iq("get", roster_set(""), to)
        check(items_of(answer.find(QUERY)) == {"bob@" + s.domain: plain()},
              show(answer))


@case("2.1.2", "each item has a 'jid', and what was set of it: 'name', "
      "'subscription', <group/>")
def get_of_items(s):
    ann = s.client(s.user())
    names = ("Bob", "\u0411\u043e\u0431 \u2603", "&lt;&amp;&gt; &apos;",
             "  a   b ")
    expected = {}
    for number, name in enumerate(names):
        jid = "c%d@%s" % (number, s.domain)
        put(ann, jid, "<group>%s</group><group>x</group>" % name,
            name.replace("'", "&apos;"))
        text = name.replace("&lt;", "<").replace("&gt;", ">").replace(
            "&apos;", "'").replace("&amp;", "&")
        expected[jid] = plain(text, (text, "x"))
    check(get(ann) == expected, get(ann))


# ---- 2.1.5, 2.3 to 2.5: changing it ---------------------------------------


@case("2.3.2", "update the roster ..., a roster push to all interested "
      "resources, including the one that made the change, and an IQ-result")
def adding(s):
    user = s.user()
    ann, other = interested(s, user, "a"), s.client(user, "b")
    get(other)
    deaf, bob = s.online(user, "c"), "bob@" + s.domain
    answer = put(ann, bob, "<group>Friends</group>", "Bob")
    check(answer.get("type") == "result" and len(answer) == 0, show(answer))
    expected = plain("Bob", ("Friends",))
    mine, theirs, none = drain(ann, other, deaf)
    check(pushes(mine) == pushes(theirs) == {bob: expected}, pushes(theirs))
    check(not pushes(none), "a push to one that isn't interested")
    check(get(ann) == {bob: expected}, get(ann))


@case("2.4.1", "an item is updated as a whole: name and groups are what the "
      "newest set says")
def updating(s):
    ann, bob = interested(s, s.user()), "bob@" + s.domain
    for name, groups in (("Bob", ("A", "B")), ("Robert", ("B", "C")),
                         (None, ("C",)), ("Bob", ()), (None, ())):
        put(ann, bob, "".join("<group>%s</group>" % g for g in groups), name)
        check(pushes(drain(ann)) == {bob: plain(name, groups)}, groups)
        check(get(ann) == {bob: plain(name, groups)}, get(ann))


@case("2.5.2", "the item is removed; the push says subscription='remove'")
def removing(s):
    user, bob = s.user(), "bob@" + s.domain
    ann, other = interested(s, user, "a"), interested(s, user, "b")
    put(ann, bob, name="Bob")
    put(ann, "carl@" + s.domain)
    drain(ann, other)
    answer = remove(ann, bob)
    check(answer.get("type") == "result" and len(answer) == 0, show(answer))
    for came in drain(ann, other):
        check(pushes(came).keys() == {bob} and
              pushes(came)[bob][0] == "remove", pushes(came))
    check(set(get(ann)) == {"carl@" + s.domain}, get(ann))


@case("2.5.3", "<item-not-found/> if the roster has no such item")
def removing_what_is_not_there(s):
    ann, bob = interested(s, s.user()), "bob@" + s.domain
    refused(remove(ann, bob), "item-not-found")
    put(ann, bob)
    remove(ann, bob)
    drain(ann)
    refused(remove(ann, bob), "item-not-found")
    check(not pushes(drain(ann)), "a push of nothing")


@case("2.1.2.5", "MUST ignore any value of 'subscription' other than 'remove'; "
      "2.1.2.2: and an 'ask'")
def subscription_is_not_set(s):
    ann, bob = interested(s, s.user()), "bob@" + s.domain
    for value in ("both", "to", "from", "none", "", "other"):
        answer = put(ann, bob, name=value or "x", more=
                     f" subscription='{value}' ask='subscribe'")
        check(answer.get("type") == "result", show(answer))
        check(get(ann) == {bob: plain(value or "x")}, get(ann))


@case("2.1.5", "the <query/> MUST contain one and only one <item/>; 2.3.3: "
      "<bad-request/> if it has more")
def not_one_item(s):
    ann = interested(s, s.user())
    for items in ("", "<item jid='a@example.org'/><item jid='b@example.org'/>",
                  "<item/>", "<item name='x'/>",
                  "<item xmlns='urn:x' jid='a@example.org'/>"):
        refused(ann.iq("set", roster_set(items)), "bad-request")
    check(not pushes(drain(ann)) and get(ann) == {}, get(ann))


@case("2.3.3", "<bad-request/>: duplicate groups (as compared by the "
      "resourceprep profile)")
def duplicate_groups(s):
    ann = interested(s, s.user())
    for one, two in (("A", "A"), ("\u00e9", "e\u0301")):
        refused(put(ann, "bob@" + s.domain,
                    f"<group>{one}</group><group>B</group><group>{two}"
                    "</group>"), "bad-request")
    check(not pushes(drain(ann)) and get(ann) == {}, get(ann))


@case("2.3.3", "<not-acceptable/>: a <group/> of zero length")
def empty_group(s):
    ann = interested(s, s.user())
    for group in ("<group/>", "<group></group>", "<group>A</group><group/>"):
        refused(put(ann, "bob@" + s.domain, group), "not-acceptable")
    check(get(ann) == {}, get(ann))


@case("2.3.3", "<not-acceptable/>: a name or group that is longer than the "
      "server's limit", ours=True)
def long_names(s):
    ann, bob = interested(s, s.user()), "bob@" + s.domain
    long = "x" * 1024
    refused(put(ann, bob, name=long), "not-acceptable")
    refused(put(ann, bob, f"<group>{long}</group>"), "not-acceptable")
    refused(put(ann, bob, f"<group>a</group><group>{long}</group>"),
            "not-acceptable")
    refused(put(ann, bob, name="\u20ac" * 400), "not-acceptable")
    check(get(ann) == {} and not pushes(drain(ann)), get(ann))
    fits = "x" * 1023
    check(put(ann, bob, f"<group>{fits}</group>", fits).get("type") ==
          "result", "1023 bytes")
    check(get(ann) == {bob: plain(fits, (fits,))}, get(ann))
    answer = put(ann, bob, "".join(
        "<group>%d</group>" % n for n in range(1000)))
    refused(answer, "not-acceptable")


@case("2.3.3", "<jid-malformed/> for a contact's address that is none",
      ours=True)
def malformed_contacts(s):
    ann = interested(s, s.user())
    for jid in ("", "@", "a b@example.org", "@example.org", "a@", "a@b@c",
                "x" * 1024 + "@example.org"):
        refused(put(ann, jid), "jid-malformed", "bad-request")
        refused(remove(ann, jid), "jid-malformed", "bad-request",
                "item-not-found")
    check(get(ann) == {}, get(ann))


@case("2.1.2.3", "the JID identifies the item; it is compared when prepared")
def one_item_a_contact(s):
    ann = interested(s, s.user())
    bob = "bob@" + s.domain
    for jid in (bob, bob.upper(), "Bob@" + s.domain):
        put(ann, jid, name=jid)
        check(list(get(ann)) == [bob], get(ann))
    check(remove(ann, bob.upper()).get("type") == "result", "not removed")
    check(get(ann) == {}, get(ann))


@case("2.1.2", "a contact can be any address: a domain, one elsewhere")
def kinds_of_contacts(s):
    ann = interested(s, s.user())
    jids = {"example.net", "romeo@example.net", s.domain, "gate." + s.domain,
            "nobody@" + s.domain, "x@[2001:db8::1]"}
    for jid in jids:
        check(put(ann, jid).get("type") == "result", jid)
    check(set(get(ann)) == jids, get(ann))
    for jid in jids:
        check(remove(ann, jid).get("type") == "result", jid)
    check(get(ann) == {}, get(ann))


@case("2.3.3", "one isn't one's own contact: <not-allowed/>", ours=True)
def oneself(s):
    ann = interested(s, s.user())
    for jid in (ann.bare, ann.jid):
        refused(put(ann, jid), "not-allowed")
    check(get(ann) == {}, get(ann))


@case("2.3.3", "<forbidden/> if the sender is not authorized to update the "
      "roster: only the account itself is")
def rosters_of_others(s):
    ann, bob = interested(s, s.user()), interested(s, s.user())
    put(bob, "carl@" + s.domain, name="Carl")
    drain(bob)
    answers = []
    for to in (bob.bare, "nobody@" + s.domain):
        for items in ("<item jid='eve@example.org'/>",
                      f"<item jid='carl@{s.domain}' subscription='remove'/>"):
            answers.append(ann.iq("set", roster_set(items), to))
            refused(answers[-1], *(("forbidden",) if s.server.name == "ours"
                                   else ("forbidden", "service-unavailable")))
        answers.append(ann.iq("get", roster_set(""), to))
        refused(answers[-1], "forbidden", "service-unavailable")
        check(answers[-1].find(QUERY) is None or
              len(answers[-1].find(QUERY)) == 0, show(answers[-1]))
    bob.expect_nothing()
    check(get(bob) == {"carl@" + s.domain: plain("Carl")}, get(bob))
    strip = [[(e.tag, e.get("type")) for e in a.iter()] for a in answers]
    check(strip[:3] == strip[3:], "tells who exists: %s" % strip)


# ---- 2.1.6: pushes --------------------------------------------------------


@case("2.1.6", "a push is an IQ-set with an id, to one resource, from the "
      "account or nobody, with exactly one item")
def form_of_pushes(s):
    user = s.user()
    ann, other = interested(s, user, "a"), interested(s, user, "b")
    for number in range(3):
        put(ann, "c%d@%s" % (number, s.domain))
    for peer, came in zip((ann, other), drain(ann, other)):
        came = [e for e in came if is_push(e)]
        check(len(came) == 3, came)
        check(len({e.get("id") for e in came} - {None, ""}) == 3, came)
        for push in came:
            check(push.get("to") in (None, peer.jid), show(push))
            check(push.get("from") in (None, peer.bare), show(push))
            check(len(push) == 1 and len(push[0]) == 1, show(push))


@case("2.2", "a resource that requests the roster is interested, available or "
      "not; one that has not is not")
def who_is_interested(s):
    user, bob = s.user(), "bob@" + s.domain
    actor = s.client(user, "actor")
    connected, deaf = s.client(user, "connected"), s.online(user, "deaf")
    get(connected)
    gone = interested(s, user, "gone")
    gone.send("<presence type='unavailable'/>")
    drain(gone)
    put(actor, bob)
    for peer, wanted in ((connected, 1), (deaf, 0), (gone, 1), (actor, 0)):
        check(len(pushes(peer.sync())) == wanted, peer.label)


@case("2.1.6", "a client may answer a push by a result or an error, or not at "
      "all: it is pushed what comes then all the same")
def answers_to_pushes(s):
    ann = interested(s, s.user())
    for number, answer in enumerate((
            "<iq type='result' id='%s'/>",
            "<iq type='error' id='%s'><error type='cancel'>"
            "<service-unavailable xmlns="
            "'urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
            "<iq type='result' id='%s'/><iq type='result' id='%s-2'/>",
            "", "<iq type='error' id='%s'/>", "")):
        jid = "c%d@%s" % (number, s.domain)
        put(ann, jid)
        came = [e for e in drain(ann) if not e.tag.endswith("}presence")]
        check(len(came) == 1 and is_push(came[0]), list(map(show, came)))
        ann.send(answer.replace("%s", came[0].get("id")))
        ann.expect_nothing()
    check(len(get(ann)) == 6, get(ann))


@case("2.1.6", "a push that a client makes up is for who it is sent to, in its "
      "sender's name, and changes no roster")
def forged_pushes(s):
    ann, bob = interested(s, s.user()), interested(s, s.user())
    bob.send(f"<presence to='{ann.jid}'/>")   # or it would be a stranger's
    ann.expect(f"<presence from='{bob.jid}'/>")
    item = "<item jid='eve@example.org' subscription='both'/>"
    for more in ("", f" from='{bob.bare}'"):
        ann.send(f"<iq type='set' id='f' to='{bob.jid}'{more}>"
                 f"{roster_set(item)}</iq>")
        if not more:
            bob.expect(f"<iq type='set' id='f' from='{ann.jid}'/>")
    ann.expect_stream_error("invalid-from")
    bob.expect_nothing()
    check(get(bob) == {}, get(bob))


# ---- 2.6, XEP-0237: versions ----------------------------------------------


def catch_up(peer, known, ver):
    """What a client knows when it asks with a version."""
    answer = get(peer, ver)
    if answer is not None:
        return answer, peer.ver
    known = dict(known)
    for element in peer.sync():
        if is_push(element):
            query = element.find(QUERY)
            item, ver = query[0], query.get("ver")
            if item.get("subscription") == "remove":
                known.pop(item.get("jid"), None)
            else:
                known[item.get("jid")] = item_of(item)
    return known, ver


@case("2.6.1", "a server that supports versioning MUST advertise it in stream "
      "features")
def versioning_is_advertised(s):
    peer = s.client("ann")
    check(peer.features.find(VERSIONING) is not None, show(peer.features))


@case("2.6.1", "an empty 'ver': the whole roster, with its version")
def version_empty(s):
    ann = s.client(s.user())
    put(ann, "bob@" + s.domain, name="Bob")
    check(get(ann, "") == {"bob@" + s.domain: plain("Bob")}, "not whole")
    check(ann.ver, "no version")
    ver = ann.ver
    check(get(ann) == {"bob@" + s.domain: plain("Bob")}, "not whole")
    check(ann.ver == ver, "another version")


@case("2.6.2", "if it hasn't changed: an empty IQ-result")
def version_known(s):
    user = s.user()
    ann = s.client(user)
    get(ann, "")
    check(get(ann, ann.ver) is None if ann.ver else True, "an empty roster")
    put(ann, "bob@" + s.domain)
    get(ann, "")
    ver = ann.ver
    for peer in (ann, s.client(user)):
        answer = peer.iq("get", roster_set("").replace(
            "<query", f"<query ver='{ver}'"))
        check(answer.get("type") == "result" and len(answer) == 0,
              show(answer))
        peer.expect_nothing()


@case("2.6.2", "a 'ver' that the server can't tell: the whole roster")
def version_unknown(s):
    ann = s.client(s.user())
    put(ann, "bob@" + s.domain)
    get(ann, "")
    newest = ann.ver
    for ver in ("nonsense", "0", "1", "-1", "18446744073709551615",
                "99999999999999999999999", newest + "0", newest + " ",
                "0" + newest, " " + newest, "x" * 1000, "&lt;&amp;"):
        peer = s.client(ann.user)
        check(get(peer, ver) == {"bob@" + s.domain: plain()}, ver)
        check(peer.ver == newest, peer.ver)
        peer.expect_nothing()


@case("2.6.3", "a push has the 'ver' of the roster after it, so that a cache "
      "is in step; 2.6.2: the roster that a client has after it asked with a "
      "version is the newest")
def versions_lead_to_the_newest(s):
    user = s.user()
    ann = s.client(user)
    known, ver = get(ann, ""), ann.ver
    history = [(known, ver)]
    steps = [(put, "c%d@%s" % (n, s.domain)) for n in range(8)]
    steps += [(remove, "c1@" + s.domain), (put, "c9@" + s.domain),
              (remove, "c9@" + s.domain), (put, "c1@" + s.domain),
              (remove, "c2@" + s.domain)]
    for change, jid in steps:
        change(ann, jid)
        came = EARLIER.pop(ann) + ann.sync()
        came = [e for e in came if is_push(e)]
        check(came and all(e[0].get("ver") for e in came), came)
        peer = s.client(user)
        get(peer, "")
        history.append((get(peer), peer.ver))
        peer.shut()
    newest = history[-1][0]
    for known, ver in history:
        peer = s.client(user)
        check(catch_up(peer, known, ver)[0] == newest, "from %s" % ver)
        check(catch_up(s.client(user), *catch_up(peer, newest, history[-1][1]))
              [0] == newest, "from %s" % ver)
        peer.shut()


@case("2.6.2", "SHOULD send an empty IQ-result and then send the modifications "
      "via roster pushes", ours=True)
def what_changed_is_pushed(s):
    user = s.user()
    ann = s.client(user)
    for number in range(20):
        put(ann, "c%d@%s" % (number, s.domain), name="Contact %d" % number)
    get(ann, "")
    ver = ann.ver
    peer = s.client(user, "a")
    check(get(peer, ver) is None, "not an empty result")
    put(ann, "c3@" + s.domain, name="Three")
    remove(ann, "c4@" + s.domain)
    put(ann, "new@" + s.domain)
    remove(ann, "new@" + s.domain)
    later = s.client(user, "b")
    check(get(later, ver) is None, "not an empty result")
    came = [e for e in later.sync() if is_push(e)]
    check({e[0][0].get("jid"): item_of(e[0][0])[0] for e in came} == {
        "c3@" + s.domain: "none", "c4@" + s.domain: "remove",
        "new@" + s.domain: "remove"}, list(map(show, came)))
    versions = [int(e[0].get("ver")) for e in came]
    check(versions == sorted(set(versions)), versions)
    get(ann, "")
    check(str(versions[-1]) == ann.ver, versions)
    put(ann, "c5@" + s.domain, name="Five")
    check(set(pushes(later.sync())) == {"c5@" + s.domain}, "later changes")
    get(later, ver)
    later.expect_nothing()


@case("2.6.2", "a version of an account's roster says nothing of another one "
      "of the same name", ours=True)
def versions_of_a_former_account(s):
    user = s.user()
    ann = s.client(user)
    put(ann, "bob@" + s.domain)
    get(ann, "")
    ver = ann.ver
    s.server.call("User.Del", name=user)
    ann.expect_stream_error("not-authorized")
    s.server.users.discard(user)
    again = s.client(user)
    check(get(again, ver) == {}, "not the whole roster")


@case("2.6.1", "without 'ver': the whole roster, and no less")
def without_version(s):
    ann = s.client(s.user())
    for number in range(3):
        put(ann, "c%d@%s" % (number, s.domain))
        check(len(get(ann)) == number + 1, get(ann))


# ---- the order of things --------------------------------------------------


@case("2.2", "a client that has asked for its roster has it before its "
      "contacts' presence")
def roster_before_presence(s):
    one, two = s.user(), s.user()
    s.friends(one, two)
    s.online(two)
    ann = s.client(one)
    ann.send("<iq type='get' id='r'>%s</iq><presence/>" % roster_set(""))
    came = ann.sync() + drain(ann)
    check(came[0].get("id") == "r", list(map(show, came)))
    check(len(presences(came)) == 2, presences(came))


@case("2.3", "many changes at once, from two resources: both end with the same "
      "roster as the server's")
def changes_at_once(s):
    user = s.user()
    peers = [interested(s, user, r) for r in ("a", "b")]
    for number in range(20):
        for peer in peers:
            peer.send("<iq type='set' id='s%d'>%s</iq>" % (
                number, roster_set("<item jid='c%d@%s' name='%s'/>" % (
                    number % 7, s.domain, peer.label + str(number)))))
    views = []
    for came in drain(*peers):
        results = [e for e in came if e.get("type") == "result"]
        check(len(results) == 20, len(results))
        views.append(pushes(came))
    check(views[0] == views[1] == get(peers[0]), views)
