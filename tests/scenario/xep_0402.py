"""XEP-0402: PEP Native Bookmarks, and their older form (XEP-0048)."""

from scenario import case, check, show
from xep_0163 import EVENT, INFO, PUBSUB, come, ok, publish, pubsub

ROOMS = "urn:xmpp:bookmarks:1"
STORAGE = "storage:bookmarks"


def private(peer, type_, inside=""):
    return ok(peer.iq(type_, "<query xmlns='jabber:iq:private'>"
                      "<storage xmlns='%s'>%s</storage></query>" % (
                          STORAGE, inside)))


def rooms(peer):
    """JIDs and names, as private XML has them."""
    return sorted((c.get("jid"), c.get("name"), c.get("autojoin"))
                  for c in private(peer, "get").iter(
                      "{%s}conference" % STORAGE))


def conference(inside="", **attributes):
    return "<conference xmlns='%s'%s>%s</conference>" % (ROOMS, "".join(
        " %s='%s'" % a for a in attributes.items()), inside)


OPTIONS = dict(persist_items="true", max_items="max", access_model="whitelist",
               send_last_published_item="never")


@case("4", "bookmarks are published with these options, and pushed")
def is_published(s):
    ann = come(s, s.user(), "phone", ROOMS)
    desk = s.online(ann.user, "desk")
    ok(publish(desk, "<item id='room@example.net'>%s</item>" % conference(
        "<nick>N</nick>", name="R", autojoin="true"), ROOMS, **OPTIONS))
    ann.find("<message from='%s'><event xmlns='%s'><items node='%s'>"
             "<item id='room@example.net'><conference xmlns='%s' name='R'/>"
             "</item></items></event></message>" % (
                 ann.bare, EVENT, ROOMS, ROOMS))


@case("5", "urn:xmpp:bookmarks:1#compat: the account advertises that it keeps "
      "both forms the same")
def is_advertised(s):
    ann = s.client(s.user(), "phone")
    answer = ok(ann.iq("get", "<query xmlns='%s'/>" % INFO, ann.bare))
    check(ROOMS + "#compat" in [f.get("var") for f in answer.iter(
        "{%s}feature" % INFO)], "no such feature")


@case("5", "what is published is seen in private XML")
def is_seen_by_old_clients(s):
    ann = s.online(s.user(), "phone")
    ok(publish(ann, "<item id='a@example.net'>%s</item>" % conference(
        name="A", autojoin="1"), ROOMS, **OPTIONS))
    check(rooms(ann) == [("a@example.net", "A", "true")], str(rooms(ann)))


@case("5", "what is set in private XML is published; what is missing is "
      "retracted")
def is_taken_from_old_clients(s):
    ann = come(s, s.user(), "phone", ROOMS)
    old = s.online(ann.user, "old")
    ok(publish(old, "<item id='gone@example.net'>%s</item>" % conference(),
               ROOMS, **OPTIONS))
    ann.find("<message/>")
    private(old, "set", "<url name='U' url='https://example.net/'/>"
            "<conference jid='A@example.net' name='A' autojoin='1'>"
            "<nick>N</nick></conference>")
    ann.find("<message><event xmlns='%s'><items node='%s'>"
             "<item id='a@example.net'><conference xmlns='%s' name='A' "
             "autojoin='true'><nick xmlns='%s'>N</nick></conference></item>"
             "<retract id='gone@example.net'/></items></event></message>" % (
                 EVENT, ROOMS, ROOMS, ROOMS))
    answer = ok(pubsub(ann, "get", "<items node='%s'/>" % ROOMS))
    check([i.get("id") for i in answer.iter("{%s}item" % PUBSUB)] ==
          ["a@example.net"], show(answer))
    check(private(old, "get").find(".//{%s}url" % STORAGE) is not None,
          "the web page")


@case("5", "what a newer client has added stays", ours=True)
def keeps_extensions(s):
    ann = s.online(s.user(), "phone")
    ok(publish(ann, "<item id='a@example.net'>%s</item>" % conference(
        "<extensions><x xmlns='urn:x'/></extensions>", name="A"), ROOMS,
        **OPTIONS))
    private(ann, "set", "<conference jid='a@example.net' name='B'/>")
    answer = ok(pubsub(ann, "get", "<items node='%s'/>" % ROOMS))
    check(answer.find(".//{urn:x}x") is not None, show(answer))
    check(answer.find(".//{%s}conference" % ROOMS).get("name") == "B",
          show(answer))


@case("4", "only its owner sees it")
def is_private(s):
    ann, eve = s.online(s.user(), "phone"), s.online(s.user(), "x")
    private(ann, "set", "<conference jid='a@example.net'/>")
    answer = pubsub(eve, "get", "<items node='%s'/>" % ROOMS, ann.bare)
    check(answer.get("type") == "error", show(answer))
