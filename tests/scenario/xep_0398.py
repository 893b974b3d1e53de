"""XEP-0398: User Avatar to vCard-Based Avatars Conversion (with XEP-0084 and
XEP-0153)."""

import base64
import hashlib
import uuid

from scenario import case, check, show
from xep_0163 import (EVENT, INFO, PUBSUB, answer_caps, come, ok, publish,
                      pubsub, two)

DATA = "urn:xmpp:avatar:data"
METADATA = "urn:xmpp:avatar:metadata"
UPDATE = "vcard-temp:x:update"
VCARD = "vcard-temp"


def picture():
    """Bytes, as base64, and their hash."""
    data = uuid.uuid4().bytes
    return (base64.b64encode(data).decode(), hashlib.sha1(data).hexdigest())


def upload(peer, access="open"):
    """By XEP-0084."""
    data, name = picture()
    ok(publish(peer, "<item id='%s'><data xmlns='%s'>%s</data></item>" % (
        name, DATA, data), DATA, access_model=access))
    ok(publish(peer, "<item id='%s'><metadata xmlns='%s'><info id='%s' "
               "bytes='16' type='image/png'/></metadata></item>" % (
                   name, METADATA, name), METADATA, access_model=access))
    return data, name


def vcard(peer, to=None):
    return peer.iq("get", "<vCard xmlns='%s'/>" % VCARD, to)


def photo(answer):
    """Base64 of a vCard's picture; None: none."""
    return answer.findtext("{%s}vCard/{%s}PHOTO/{%s}BINVAL" % (
        VCARD, VCARD, VCARD))


@case("3", "a feature of urn:xmpp:pep-vcard-conversion:0 on the account")
def is_advertised(s):
    ann = s.client(s.user(), "phone")
    answer = ok(ann.iq("get", "<query xmlns='%s'/>" % INFO, ann.bare))
    check("urn:xmpp:pep-vcard-conversion:0" in [
        f.get("var") for f in answer.iter("{%s}feature" % INFO)], "no feature")


@case("4", "MUST look up the item in the data node and store it as a photo in "
      "the vCard")
def puts_the_picture_into_the_vcard(s):
    ann, eve = s.online(s.user(), "phone"), s.online(s.user(), "x")
    ok(ann.iq("set", "<vCard xmlns='%s'><FN>Ann</FN></vCard>" % VCARD))
    data, _ = upload(ann)
    answer = ok(vcard(eve, ann.bare))
    check(photo(answer) == data, show(answer))
    check(answer.findtext("{%s}vCard/{%s}FN" % (VCARD, VCARD)) == "Ann",
          "the rest of the vCard")
    ok(publish(ann, "<item id='x'><metadata xmlns='%s'/></item>" % METADATA,
               METADATA))
    check(photo(vcard(ann)) is None, "no picture any more")


@case("7", "only if the access model of the data node is open")
def respects_the_access_model(s):
    ann = s.online(s.user(), "phone")
    upload(ann, "presence")
    check(photo(vcard(ann)) is None, "it is public")


@case("4", "a vCard with a photo: data and metadata are published, and "
      "subscribers told")
def publishes_the_picture_of_a_vcard(s):
    ann, bob = two(s, METADATA)
    data, name = picture()
    ok(ann.iq("set", "<vCard xmlns='%s'><PHOTO><TYPE>image/jpeg</TYPE><BINVAL>"
              "%s\n</BINVAL></PHOTO></vCard>" % (VCARD, data)))
    bob.expect("<message from='%s'><event xmlns='%s'><items node='%s'>"
               "<item id='%s'><metadata xmlns='%s'><info id='%s' bytes='16' "
               "type='image/jpeg'/></metadata></item></items></event></message>"
               % (ann.bare, EVENT, METADATA, name, METADATA, name))
    answer = ok(pubsub(bob, "get", "<items node='%s'/>" % DATA, ann.bare))
    check(answer.findtext(".//{%s}data" % DATA) == data, show(answer))
    check(answer.find(".//{%s}item" % PUBSUB).get("id") == name, "the id")
    # The same picture again is no news.
    ok(ann.iq("set", "<vCard xmlns='%s'><FN>A</FN><PHOTO><TYPE>image/jpeg"
              "</TYPE><BINVAL>%s</BINVAL></PHOTO></vCard>" % (VCARD, data)))
    bob.expect_nothing()
    ok(ann.iq("set", "<vCard xmlns='%s'/>" % VCARD))
    bob.expect("<message><event xmlns='%s'><items node='%s'><item id='*'>"
               "<metadata xmlns='%s'/></item></items></event></message>" % (
                   EVENT, METADATA, METADATA))


@case("5", "MUST include the hash in every available presence that does not "
      "contain an empty photo element")
def puts_the_hash_into_presence(s):
    ann, bob = two(s)
    _, name = upload(ann)
    right = ("<presence from='%s'><x xmlns='%s'><photo>%s</photo></x>"
             "</presence>" % (ann.jid, UPDATE, name))
    for inside in ("", "<status>s</status>", "<x xmlns='%s'/>" % UPDATE,
                   "<x xmlns='%s'><photo>old</photo></x>" % UPDATE):
        ann.send("<presence>%s</presence>" % inside)
        presence = bob.expect(right)
        check(len(presence.findall("{%s}x" % UPDATE)) == 1, show(presence))
    ann.send("<presence><x xmlns='%s'><photo/></x></presence>" % UPDATE)
    presence = bob.expect("<presence><x xmlns='%s'><photo/></x></presence>"
                          % UPDATE)
    check(not presence.findtext(".//{%s}photo" % UPDATE), show(presence))


@case("5", "the hash MUST also be injected into directed presences")
def puts_the_hash_into_directed_presence(s):
    ann, eve = s.online(s.user(), "phone"), s.online(s.user(), "x")
    _, name = upload(ann)
    ann.send("<presence to='%s'/>" % eve.jid)
    eve.expect("<presence from='%s'><x xmlns='%s'><photo>%s</photo></x>"
               "</presence>" % (ann.jid, UPDATE, name))


@case("XEP-0084, 3", "metadata is pushed to contacts, and the data can be got")
def tells_contacts(s):
    ann, bob = two(s, METADATA)
    data, name = upload(ann)
    bob.expect("<message from='%s'><event xmlns='%s'><items node='%s'>"
               "<item id='%s'/></items></event></message>" % (
                   ann.bare, EVENT, METADATA, name))
    answer = ok(pubsub(bob, "get", "<items node='%s'><item id='%s'/></items>"
                       % (DATA, name), ann.bare))
    check(answer.findtext(".//{%s}data" % DATA) == data, show(answer))
