"""XEP-0163: Personal Eventing Protocol, and XEP-0060 as far as it wants it."""

import base64
import hashlib
import uuid

from scenario import canonical, case, check, parse, show

PUBSUB = "http://jabber.org/protocol/pubsub"
OWNER = PUBSUB + "#owner"
EVENT = PUBSUB + "#event"
ERRORS = PUBSUB + "#errors"
INFO = "http://jabber.org/protocol/disco#info"
CAPS = "http://jabber.org/protocol/caps"
DATA = "jabber:x:data"
TUNE = "http://jabber.org/protocol/tune"
MOOD = "http://jabber.org/protocol/mood"


# ---- what clients say -----------------------------------------------------


def ver(features):
    text = "client/pc//t<" + "".join(f + "<" for f in sorted(features))
    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()


def caps(features):
    return "<c xmlns='%s' hash='sha-1' node='urn:example:t' ver='%s'/>" % (
        CAPS, ver(features))


def answer_caps(peer, features, wait=True):
    """Answers the server's question."""
    question = peer.find("<iq type='get' id='*'><query xmlns='%s' node='*'/>"
                         "</iq>" % INFO)
    peer.send("<iq type='result' id='%s' to='%s'><query xmlns='%s' node='%s'>"
              "<identity category='client' type='pc' name='t'/>%s</query></iq>"
              % (question.get("id"), question.get("from"), INFO,
                 question[0].get("node"),
                 "".join("<feature var='%s'/>" % f for f in features)))
    if wait:
        peer.sync()


def wants(*nodes):
    """What a client can do that no server has seen yet."""
    return [INFO, "urn:uuid:%s" % uuid.uuid4()] + [n + "+notify" for n in nodes]


def come(s, user, resource, *nodes):
    """Online, and wants what is published at these nodes."""
    features = wants(*nodes)
    peer = s.client(user, resource)
    peer.present(caps(features))
    answer_caps(peer, features)
    return peer


def two(s, *nodes):
    """Two users who see each other's presence."""
    names = s.user(), s.user()
    s.friends(*names)
    return come(s, names[0], "phone"), come(s, names[1], "desk", *nodes)


def field(var, *values):
    return "<field var='%s'>%s</field>" % (
        var, "".join("<value>%s</value>" % v for v in values))


def form(type_, **fields):
    return "<x xmlns='%s' type='submit'>%s%s</x>" % (
        DATA, field("FORM_TYPE", type_), "".join(
            field("pubsub#" + k, v) for k, v in fields.items()))


def tune(title, id_="current"):
    return "<item%s><tune xmlns='%s'><title>%s</title></tune></item>" % (
        " id='%s'" % id_ if id_ else "", TUNE, title)


def pubsub(peer, type_, inside, to=None, ns=PUBSUB):
    return peer.iq(type_, "<pubsub xmlns='%s'>%s</pubsub>" % (ns, inside), to)


def publish(peer, items, node=TUNE, **options):
    return pubsub(peer, "set", "<publish node='%s'>%s</publish>%s" % (
        node, items, "<publish-options>%s</publish-options>" % form(
            PUBSUB + "#publish-options", **options) if options else ""))


def configure(peer, node=TUNE, **options):
    return pubsub(peer, "set", "<configure node='%s'>%s</configure>" % (
        node, form(PUBSUB + "#node_config", **options)), ns=OWNER)


def items(peer, to=None, node=TUNE, inside="", more=""):
    answer = pubsub(peer, "get", "<items node='%s'%s>%s</items>" % (
        node, more, inside), to)
    ok(answer)
    return [i.get("id") for i in answer.iter("{%s}item" % PUBSUB)]


def ok(answer):
    check(answer.get("type") == "result", "refused: " + show(answer))
    return answer


def refused(answer, condition, special=None):
    error = answer.find("{jabber:client}error")
    check(error is not None and error.find("*[1]").tag.split("}")[1] ==
          condition, "not %s: %s" % (condition, show(answer)))
    if special:
        check(error.find("{%s}%s" % (ERRORS, special)) is not None,
              "no %s: %s" % (special, show(answer)))
    return error


def event(title, from_, node=TUNE):
    return ("<message from='%s' type='headline'><event xmlns='%s'>"
            "<items node='%s'><item id='*'><tune xmlns='%s'><title>%s</title>"
            "</tune></item></items></event></message>" % (
                from_, EVENT, node, TUNE, title))


# ---- notifications --------------------------------------------------------


@case("4.3.1", "the server MUST set the 'from' address on the notification to "
      "the bare JID of the account owner")
def tells_a_contact(s):
    ann, bob = two(s, TUNE)
    ok(publish(ann, tune("one")))
    bob.expect(event("one", ann.bare))


@case("4", "the entity is the account owner itself: all of its available "
      "resources, subject to notification filtering")
def tells_the_owner(s):
    ann = come(s, s.user(), "phone", TUNE)
    desk = come(s, ann.user, "desk", TUNE)
    other = come(s, ann.user, "tv", MOOD)
    ann.sync()
    desk.sync()
    ann.send("<iq type='set' id='p'><pubsub xmlns='%s'><publish node='%s'>%s"
             "</publish></pubsub></iq>" % (PUBSUB, TUNE, tune("one")))
    came = [ann.read(), ann.read()]
    check({e.tag.split("}")[1] for e in came} == {"iq", "message"}, "what?")
    desk.expect(event("one", ann.bare))
    other.expect_nothing()


@case("4.2", "filtered notifications: only what a client says that it wants")
def tells_who_wants_it(s):
    ann, bob = two(s, MOOD)
    ok(publish(ann, tune("one")))
    bob.expect_nothing()
    eve = come(s, s.user(), "x", TUNE)
    ok(publish(ann, tune("two")))
    eve.expect_nothing()


@case("4.3.4", "it MUST send the last published item to all newly-available "
      "resources")
def sends_the_last_item(s):
    ann, bob = two(s, TUNE)
    ok(publish(ann, tune("one")))
    ok(publish(ann, tune("two")))
    bob.find(event("two", ann.bare))
    late = s.client(bob.user, "late")
    features = wants(TUNE)
    late.send("<presence>%s</presence>" % caps(features))
    answer_caps(late, features, False)
    message = late.find(event("two", ann.bare))
    check(message.find("{urn:xmpp:delay}delay") is not None, "no delay")
    # A later presence is not an initial one.
    late.sync()
    late.send("<presence><show>away</show>%s</presence>" % caps(features))
    check(not [e for e in late.sync() if e.tag.endswith("message")], "again")


@case("4.3.4", "including the account owner itself")
def sends_the_last_item_to_the_owner(s):
    ann = s.online(s.user(), "phone")
    ok(publish(ann, tune("one")))
    desk = s.client(ann.user, "desk")
    features = wants(TUNE)
    desk.present(caps(features))
    answer_caps(desk, features, False)
    desk.find(event("one", ann.bare))


@case("4.3.4", "it MUST send the last published item to all new subscribers",
      ours=True)
def sends_the_last_item_to_a_new_contact(s):
    ann, bob = s.online(s.user(), "phone"), come(s, s.user(), "x", TUNE)
    ok(publish(ann, tune("one")))
    bob.send("<presence type='subscribe' to='%s'/>" % ann.bare)
    ann.find("<presence type='subscribe'/>")
    ann.send("<presence type='subscribed' to='%s'/>" % bob.bare)
    bob.find(event("one", ann.bare))


@case("4.3.3", "no notification to whom the user has blocked")
def tells_nobody_who_is_blocked(s):
    ann, bob = two(s, TUNE)
    ann.iq("set", "<block xmlns='urn:xmpp:blocking'><item jid='%s'/></block>"
           % bob.bare)
    bob.sync()
    ok(publish(ann, tune("one")))
    bob.expect_nothing()


@case("XEP-0115, 5.4", "a client whose hash is wrong is believed for itself "
      "only", ours=True)
def believes_a_wrong_hash_for_one_session(s):
    ann = s.online(s.user(), "phone")
    features = wants(TUNE)
    liar = s.client(ann.user, "liar")
    plain = wants()
    liar.present(caps(plain))
    answer_caps(liar, features)
    other = s.client(ann.user, "other")
    other.present(caps(plain))
    answer_caps(other, plain)
    liar.sync()
    ok(publish(ann, tune("one")))
    liar.expect(event("one", ann.bare))
    other.expect_nothing()


@case("XEP-0060, 7.2", "an item is deleted, and subscribers are told")
def retracts(s):
    ann, bob = two(s, TUNE)
    ok(publish(ann, tune("one", "a")))
    bob.find(event("one", ann.bare))
    ok(pubsub(ann, "set", "<retract node='%s' notify='1'><item id='a'/>"
              "</retract>" % TUNE))
    bob.expect("<message from='%s'><event xmlns='%s'><items node='%s'>"
               "<retract id='a'/></items></event></message>" % (
                   ann.bare, EVENT, TUNE))
    check(items(ann) == [], "it is still there")
    refused(pubsub(ann, "set", "<retract node='%s'><item id='a'/></retract>" %
                   TUNE), "item-not-found")


@case("XEP-0060, 8.4 and 8.5", "a node is purged and deleted")
def purges_and_deletes(s):
    ann, bob = two(s, TUNE)
    ok(publish(ann, tune("one")))
    bob.find(event("one", ann.bare))
    ok(pubsub(ann, "set", "<purge node='%s'/>" % TUNE, ns=OWNER))
    bob.expect("<message><event xmlns='%s'><purge node='%s'/></event></message>"
               % (EVENT, TUNE))
    check(items(ann) == [], "not purged")
    ok(pubsub(ann, "set", "<delete node='%s'/>" % TUNE, ns=OWNER))
    bob.expect("<message><event xmlns='%s'><delete node='%s'/></event>"
               "</message>" % (EVENT, TUNE))
    refused(pubsub(ann, "get", "<items node='%s'/>" % TUNE), "item-not-found")


# ---- items ----------------------------------------------------------------


@case("XEP-0060, 7.1.2", "the result holds the item's id, also one that the "
      "service has made")
def gives_an_id(s):
    ann = s.online(s.user(), "phone")
    answer = ok(publish(ann, tune("one", None)))
    name = answer.find(".//{%s}item" % PUBSUB).get("id")
    check(name, "no id")
    check(items(ann) == [name], "not under that id")


@case("XEP-0060, 6.5", "items: all, some, the most recent, named ones")
def gives_items(s):
    ann = s.online(s.user(), "phone")
    ok(publish(ann, tune("0", "i0"), max_items="max"))
    for i in range(1, 6):
        ok(publish(ann, tune(str(i), "i%d" % i)))
    names = ["i%d" % i for i in range(6)]
    check(items(ann) == names, "all")
    check(items(ann, more=" max_items='2'") == names[-2:], "most recent")
    check(items(ann, inside="<item id='i3'/><item id='none'/>") == ["i3"],
          "named")
    refused(pubsub(ann, "get", "<items node='none'/>"), "item-not-found")


@case("XEP-0060, 6.5.4", "pages by XEP-0059", ours=True)
def gives_pages(s):
    ann = s.online(s.user(), "phone")
    ok(publish(ann, tune("0", "i0"), max_items="max"))
    for i in range(1, 5):
        ok(publish(ann, tune(str(i), "i%d" % i)))

    def page(inside):
        answer = ok(pubsub(
            ann, "get", "<items node='%s'/><set xmlns='http://jabber.org/"
            "protocol/rsm'>%s</set>" % (TUNE, inside)))
        rsm = answer.find(".//{http://jabber.org/protocol/rsm}set")
        check(rsm[-1].text == "5", "count")
        return ([i.get("id") for i in answer.iter("{%s}item" % PUBSUB)],
                rsm[0].get("index"))

    check(page("<max>2</max>") == (["i0", "i1"], "0"), "first")
    check(page("<max>2</max><after>i1</after>") == (["i2", "i3"], "2"), "next")
    check(page("<max>2</max><before/>") == (["i3", "i4"], "3"), "last")
    check(page("<max>2</max><before>i3</before>") == (["i1", "i2"], "1"),
          "before")
    check(page("<max>0</max>") == ([], None), "count only")


@case("XEP-0060, 7.1.3", "errors of a publication")
def refuses_publications(s):
    ann, eve = s.online(s.user(), "phone"), s.online(s.user(), "desk")
    refused(pubsub(ann, "set", "<publish>%s</publish>" % tune("x")),
            "bad-request", "nodeid-required")
    refused(publish(ann, ""), "bad-request", "item-required")
    refused(publish(ann, "<item id='a'/>"), "bad-request", "payload-required")
    refused(publish(ann, "<item id='a'><a xmlns='a'/><b xmlns='b'/></item>"),
            "bad-request", "invalid-payload")
    refused(pubsub(eve, "set", "<publish node='%s'>%s</publish>" % (
        TUNE, tune("x")), ann.bare), "forbidden")


@case("XEP-0060, 7.1.5", "if a precondition is not met: conflict")
def checks_preconditions(s):
    ann = s.online(s.user(), "phone")
    ok(publish(ann, tune("one"), access_model="open", persist_items="true"))
    ok(publish(ann, tune("two"), access_model="open"))
    refused(publish(ann, tune("three"), access_model="whitelist"), "conflict",
            "precondition-not-met")
    answer = ok(pubsub(ann, "get", "<items node='%s'/>" % TUNE))
    check("two" in show(answer), "it was published")


@case("5", "the last item only, unless told otherwise")
def keeps_one_item(s):
    ann = s.online(s.user(), "phone")
    for name in "ab":
        ok(publish(ann, tune(name, name)))
    check(items(ann) == ["b"], "more than one")


@case("3", "the payload is kept and given as it was")
def keeps_the_payload(s):
    ann = s.online(s.user(), "phone")
    payload = "<a xmlns='urn:a' b='&lt;'>x<c/>y<d xmlns='urn:d'>z</d> </a>"
    ok(publish(ann, "<item id='1'>%s</item>" % payload, node="urn:a"))
    answer = ok(pubsub(ann, "get", "<items node='urn:a'/>"))
    check(canonical(answer.find(".//{urn:a}a")) == canonical(parse(payload)),
          show(answer))


# ---- access ---------------------------------------------------------------


@case("5", "support the 'presence' access model and set it to the default")
def presence_is_the_default(s):
    ann, bob = two(s)
    eve = s.online(s.user(), "x")
    ok(publish(ann, tune("one")))
    check(items(bob, ann.bare) == ["current"], "bob may read")
    refused(pubsub(eve, "get", "<items node='%s'/>" % TUNE, ann.bare),
            "not-authorized", "presence-subscription-required")


@case("5", "support the 'open', 'roster', and 'whitelist' access models")
def knows_access_models(s):
    ann, bob = two(s)
    eve = s.online(s.user(), "x")

    def read(peer):
        return pubsub(peer, "get", "<items node='%s'/>" % TUNE, ann.bare)

    ok(publish(ann, tune("one"), access_model="open"))
    ok(read(eve))
    ok(configure(ann, access_model="whitelist"))
    refused(read(bob), "not-allowed", "closed-node")
    ok(pubsub(ann, "set", "<affiliations node='%s'><affiliation jid='%s' "
              "affiliation='member'/></affiliations>" % (TUNE, eve.bare),
              ns=OWNER))
    ok(read(eve))
    refused(read(bob), "not-allowed", "closed-node")
    ok(configure(ann, access_model="roster", roster_groups_allowed="pals"))
    refused(read(bob), "not-authorized", "not-in-roster-group")
    ann.iq("set", "<query xmlns='jabber:iq:roster'><item jid='%s'>"
           "<group>pals</group></item></query>" % bob.bare)
    ok(read(bob))
    ok(configure(ann, access_model="authorize"))
    refused(read(bob), "not-authorized", "not-subscribed")


@case("XEP-0060, 8.9", "an outcast sees nothing", ours=True)
def shuts_out_outcasts(s):
    ann, bob = two(s, TUNE)
    ok(publish(ann, tune("one"), access_model="open"))
    bob.find(event("one", ann.bare))
    ok(pubsub(ann, "set", "<affiliations node='%s'><affiliation jid='%s' "
              "affiliation='outcast'/></affiliations>" % (TUNE, bob.bare),
              ns=OWNER))
    refused(pubsub(bob, "get", "<items node='%s'/>" % TUNE, ann.bare),
            "forbidden")
    ok(publish(ann, tune("two")))
    bob.expect_nothing()


# ---- subscriptions --------------------------------------------------------


@case("XEP-0060, 6.1", "an explicit subscription, which needs no presence")
def subscribes(s):
    ann, eve = s.online(s.user(), "phone"), s.online(s.user(), "x")
    ok(publish(ann, tune("one"), access_model="open"))
    answer = ok(pubsub(eve, "set", "<subscribe node='%s' jid='%s'/>" % (
        TUNE, eve.bare), ann.bare))
    check(answer.find(".//{%s}subscription" % PUBSUB).get("subscription") ==
          "subscribed", show(answer))
    eve.expect(event("one", ann.bare))
    ok(publish(ann, tune("two")))
    eve.expect(event("two", ann.bare))
    answer = ok(pubsub(eve, "get", "<subscriptions/>", ann.bare))
    check([x.get("node") for x in answer.iter("{%s}subscription" % PUBSUB)] ==
          [TUNE], show(answer))
    ok(pubsub(eve, "set", "<unsubscribe node='%s' jid='%s'/>" % (
        TUNE, eve.bare), ann.bare))
    ok(publish(ann, tune("three")))
    eve.expect_nothing()


@case("XEP-0060, 6.1.3 and 6.2.3", "errors of subscribing and unsubscribing")
def refuses_subscriptions(s):
    ann, eve = s.online(s.user(), "phone"), s.online(s.user(), "x")
    ok(publish(ann, tune("one")))

    def ask(verb, node=TUNE, jid=eve.bare):
        return pubsub(eve, "set", "<%s node='%s' jid='%s'/>" % (
            verb, node, jid), ann.bare)

    refused(ask("subscribe"), "not-authorized",
            "presence-subscription-required")
    ok(configure(ann, access_model="open"))
    refused(ask("subscribe", jid=ann.bare), "bad-request", "invalid-jid")
    refused(ask("unsubscribe"), "unexpected-request", "not-subscribed")
    check(ask("subscribe", node="none").get("type") == "error", "no node")


@case("XEP-0060, 8.8", "an owner agrees to a subscription", ours=True)
def owner_agrees(s):
    ann, eve = s.online(s.user(), "phone"), s.online(s.user(), "x")
    ok(publish(ann, tune("one"), access_model="authorize"))
    answer = ok(pubsub(eve, "set", "<subscribe node='%s' jid='%s'/>" % (
        TUNE, eve.bare), ann.bare))
    check("pending" in show(answer), show(answer))
    answer = ok(pubsub(ann, "get", "<subscriptions node='%s'/>" % TUNE,
                       ns=OWNER))
    check("pending" in show(answer) and eve.bare in show(answer), "the list")
    ok(pubsub(ann, "set", "<subscriptions node='%s'><subscription jid='%s' "
              "subscription='subscribed'/></subscriptions>" % (
                  TUNE, eve.bare), ns=OWNER))
    check(items(eve, ann.bare) == ["current"], "eve may read")
    ok(publish(ann, tune("two")))
    eve.expect(event("two", ann.bare))


# ---- nodes ----------------------------------------------------------------


@case("XEP-0060, 8.1 and 8.2", "a node is created, configured, and only once")
def creates_and_configures(s):
    ann = s.online(s.user(), "phone")
    ok(pubsub(ann, "set", "<create node='n'/><configure>%s</configure>" % form(
        PUBSUB + "#node_config", title="T", max_items="5")))
    refused(pubsub(ann, "set", "<create node='n'/>"), "conflict")
    answer = ok(pubsub(ann, "get", "<configure node='n'/>", ns=OWNER))
    values = {f.get("var"): f.findtext("{%s}value" % DATA)
              for f in answer.iter("{%s}field" % DATA)}
    check(values["pubsub#title"] == "T" and values["pubsub#max_items"] == "5"
          and values["pubsub#access_model"] == "presence", str(values))
    refused(configure(ann, "n", access_model="odd"), "not-acceptable")
    refused(configure(ann, "none", title="x"), "item-not-found")
    ok(pubsub(ann, "get", "<default/>", ns=OWNER))


@case("6.1", "an identity of pubsub/pep, and the features")
def is_shown_in_disco(s):
    ann, bob = two(s)
    for peer in (ann, bob):
        answer = ok(peer.iq("get", "<query xmlns='%s'/>" % INFO, ann.bare))
        check(any(i.get("category") == "pubsub" and i.get("type") == "pep"
                  for i in answer.iter("{%s}identity" % INFO)), "identity")
        there = [f.get("var") for f in answer.iter("{%s}feature" % INFO)]
        check(len(there) == len(set(there)), "twice: %s" % there)
        for name in ("access-presence", "auto-create", "auto-subscribe",
                     "filtered-notifications", "publish", "retrieve-items",
                     "subscribe", "publish-options", "config-node-max"):
            check(PUBSUB + "#" + name in there, name)


@case("6.2", "MUST return only those nodes to which the contact is allowed to "
      "subscribe")
def lists_what_may_be_read(s):
    ann, bob = two(s)
    ok(publish(ann, tune("one")))
    ok(publish(ann, "<item><a xmlns='a'/></item>", node="mine",
               access_model="whitelist"))

    def nodes(peer):
        answer = ok(peer.iq(
            "get", "<query xmlns='http://jabber.org/protocol/disco#items'/>",
            ann.bare))
        return sorted(i.get("node") for i in answer[0])

    check(nodes(ann) == [TUNE, "mine"], "the owner's")
    check(nodes(bob) == [TUNE], "a contact's")
    answer = ok(bob.iq("get", "<query xmlns='%s' node='%s'/>" % (INFO, TUNE),
                       ann.bare))
    check(any(i.get("type") == "leaf" for i in answer.iter(
        "{%s}identity" % INFO)), "leaf")
    check(bob.iq("get", "<query xmlns='%s' node='mine'/>" % INFO,
                 ann.bare).get("type") == "error", "shown")


@case("XEP-0030, 8", "a stranger is not told that there is such an account",
      ours=True)
def hides_from_strangers(s):
    ann, eve = s.online(s.user(), "phone"), s.online(s.user(), "x")
    for jid in (ann.bare, "nobody-at-all@" + s.domain):
        refused(eve.iq("get", "<query xmlns='%s'/>" % INFO, jid),
                "service-unavailable")
        refused(pubsub(eve, "get", "<items node='x'/>", jid),
                "service-unavailable")


@case("XEP-0115, 6.3", "a server may show its own hash in stream features; it is "
      "the hash of what it says, also when it is asked by the node")
def server_has_a_hash(s):
    peer = s.client(s.user(), "phone")
    c = peer.features.find("{%s}c" % CAPS)
    check(c is not None and c.get("hash") == "sha-1", "no hash")
    for node in ("", " node='%s#%s'" % (c.get("node"), c.get("ver"))):
        answer = ok(peer.iq("get", "<query xmlns='%s'%s/>" % (INFO, node),
                            s.domain))
        there = [f.get("var") for f in answer.iter("{%s}feature" % INFO)]
        check(len(there) == len(set(there)), "twice: %s" % there)
        text = "".join(sorted("%s/%s//%s<" % (
            i.get("category"), i.get("type"), i.get("name", ""))
            for i in answer.iter("{%s}identity" % INFO)))
        text += "".join(sorted(name + "<" for name in there))
        digest = hashlib.sha1(text.encode()).digest()
        check(base64.b64encode(digest).decode() == c.get("ver"), text)
