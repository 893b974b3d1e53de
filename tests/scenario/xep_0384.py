"""XEP-0384: OMEMO Encryption: the device list and the bundles, which anybody
may read; and other payloads that clients keep in nodes (XEP-0108, XEP-0172)."""

from scenario import case, check, show
from xep_0163 import EVENT, items, ok, publish, pubsub, two

DEVICES = "urn:xmpp:omemo:2:devices"
BUNDLES = "urn:xmpp:omemo:2:bundles"
OLD_DEVICES = "eu.siacs.conversations.axolotl.devicelist"
OLD_BUNDLE = "eu.siacs.conversations.axolotl.bundles:%d"


def devices(*ids):
    return "<item id='current'><devices xmlns='urn:xmpp:omemo:2'>%s</devices>" \
        "</item>" % "".join("<device id='%d'/>" % i for i in ids)


def bundle(device):
    return "<item id='%d'><bundle xmlns='urn:xmpp:omemo:2'><spk id='0'>a" \
        "</spk></bundle></item>" % device


@case("5.3.1", "the device list is published with the access model 'open'")
def anybody_reads_the_devices(s):
    ann, bob = two(s, DEVICES)
    eve = s.online(s.user(), "x")
    ok(publish(ann, devices(1), DEVICES, access_model="open"))
    bob.find("<message from='%s'><event xmlns='%s'><items node='%s'>"
             "<item id='current'><devices xmlns='urn:xmpp:omemo:2'>"
             "<device id='1'/></devices></item></items></event></message>" % (
                 ann.bare, EVENT, DEVICES))
    check(items(eve, ann.bare, DEVICES) == ["current"], "eve may not read")


@case("5.3.2", "a bundle a device, as items of one node, with 'max' items")
def anybody_reads_the_bundles(s):
    ann, eve = s.online(s.user(), "phone"), s.online(s.user(), "x")
    for device in (1, 2, 3):
        ok(publish(ann, bundle(device), BUNDLES, access_model="open",
                   max_items="max"))
    check(items(eve, ann.bare, BUNDLES) == ["1", "2", "3"], "all")
    check(items(eve, ann.bare, BUNDLES, "<item id='2'/>") == ["2"], "one")


@case("5.3.1", "where a client left the node closed, it is configured anew and "
      "published again")
def is_opened_later(s):
    ann, eve = s.online(s.user(), "phone"), s.online(s.user(), "x")
    ok(publish(ann, devices(1), DEVICES))
    answer = publish(ann, devices(1, 2), DEVICES, access_model="open")
    check("precondition-not-met" in show(answer), show(answer))
    ok(pubsub(ann, "set", "<configure node='%s'><x xmlns='jabber:x:data' "
              "type='submit'><field var='FORM_TYPE' type='hidden'><value>"
              "http://jabber.org/protocol/pubsub#node_config</value></field>"
              "<field var='pubsub#access_model'><value>open</value></field>"
              "</x></configure>" % DEVICES,
              ns="http://jabber.org/protocol/pubsub#owner"))
    ok(publish(ann, devices(1, 2), DEVICES, access_model="open"))
    check(items(eve, ann.bare, DEVICES) == ["current"], "eve may not read")


@case("0.3 of XEP-0384", "the older form, a node a device", ours=True)
def older_form(s):
    ann, bob = two(s, OLD_DEVICES)
    ok(publish(ann, "<item id='current'><list xmlns='eu.siacs.conversations."
               "axolotl'><device id='7'/></list></item>", OLD_DEVICES,
               access_model="open"))
    bob.find("<message><event xmlns='%s'><items node='%s'/></event></message>"
             % (EVENT, OLD_DEVICES))
    ok(publish(ann, "<item id='current'><bundle xmlns='eu.siacs.conversations."
               "axolotl'/></item>", OLD_BUNDLE % 7, access_model="open"))
    check(items(bob, ann.bare, OLD_BUNDLE % 7) == ["current"], "the bundle")


@case("XEP-0108 and XEP-0172", "activity and nickname reach who wants them")
def other_payloads(s):
    activity = "http://jabber.org/protocol/activity"
    nick = "http://jabber.org/protocol/nick"
    ann, bob = two(s, activity, nick)
    ok(publish(ann, "<item><activity xmlns='%s'><relaxing><partying/>"
               "</relaxing></activity></item>" % activity, activity))
    bob.find("<message><event xmlns='%s'><items node='%s'><item id='*'>"
             "<activity xmlns='%s'/></item></items></event></message>" % (
                 EVENT, activity, activity))
    ok(publish(ann, "<item><nick xmlns='%s'>Annie</nick></item>" % nick, nick))
    bob.find("<message><event xmlns='%s'><items node='%s'><item id='*'>"
             "<nick xmlns='%s'>Annie</nick></item></items></event></message>"
             % (EVENT, nick, nick))
