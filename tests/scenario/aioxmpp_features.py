"""aioxmpp, as a client that nobody here wrote: avatars, personal eventing,
blocking, private XML, vCards, push to what it wants."""

import asyncio
import hashlib
import logging

import aioxmpp
import aioxmpp.avatar
import aioxmpp.blocking
import aioxmpp.connector
import aioxmpp.private_xml
import aioxmpp.pubsub.xso
import aioxmpp.security_layer
import aioxmpp.vcard
import aioxmpp.xso

from scenario import ADDRESS, SLOW, case, check

OURS = True
logging.getLogger("aioxmpp").setLevel(logging.CRITICAL)


@aioxmpp.pubsub.xso.as_payload_class
class Thing(aioxmpp.xso.XSO):
    TAG = ("urn:example:thing", "thing")
    text = aioxmpp.xso.Text(default=None)


@aioxmpp.private_xml.Query.as_payload_class
class Notes(aioxmpp.xso.XSO):
    TAG = ("urn:example:notes", "notes")
    text = aioxmpp.xso.Text(default=None)


def client(s, user, *services):
    s.server.need_user(user)
    made = aioxmpp.PresenceManagedClient(
        aioxmpp.JID.fromstr("%s@%s/aio" % (user, s.domain)),
        aioxmpp.make_security_layer("secret-" + user, no_verify=True),
        override_peer=[(ADDRESS, s.server.port,
                        aioxmpp.connector.STARTTLSConnector())])
    for service in services:
        made.summon(service)
    return made


def play(function):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.wait_for(function(), 60 * SLOW))
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def until(test):
    for _ in range(int(200 * SLOW)):
        if test():
            return
        await asyncio.sleep(0.05)
    check(False, "it never comes to be")


@case("XEP-0191", "blocks and unblocks; the list is kept up to date by pushes")
def blocks(s):
    async def run():
        user = s.user()
        enemy = aioxmpp.JID.fromstr("enemy@" + s.domain)
        ann = client(s, user, aioxmpp.BlockingClient)
        async with ann.connected():
            blocking = ann.summon(aioxmpp.BlockingClient)
            await blocking.block_jids([enemy])
            await until(lambda: enemy in (blocking.blocklist or ()))
            await blocking.unblock_jids([enemy])
            await until(lambda: enemy not in blocking.blocklist)
    play(run)


@case("XEP-0049", "private XML is kept")
def keeps_private_data(s):
    async def run():
        ann = client(s, s.user(), aioxmpp.private_xml.PrivateXMLService)
        async with ann.connected():
            service = ann.summon(aioxmpp.private_xml.PrivateXMLService)
            notes = Notes()
            notes.text = "some"
            await service.set_private_xml(notes)
            got = await service.get_private_xml(Notes())
            check(got.registered_payload.text == "some", str(got))
    play(run)


@case("XEP-0054", "a vCard is kept")
def keeps_a_vcard(s):
    async def run():
        ann = client(s, s.user(), aioxmpp.vcard.VCardService)
        async with ann.connected():
            service = ann.summon(aioxmpp.vcard.VCardService)
            await service.set_vcard(await service.get_vcard())
            check(await service.get_vcard() is not None, "no vCard")
    play(run)


@case("XEP-0163", "what a user publishes reaches a contact that has claimed it")
def tells_contacts(s):
    names = s.user(), s.user()
    s.friends(*names)

    async def run():
        got = []
        ann = client(s, names[0], aioxmpp.PEPClient)
        bob = client(s, names[1], aioxmpp.PEPClient, aioxmpp.EntityCapsService)
        claim = bob.summon(aioxmpp.PEPClient).claim_pep_node(
            "urn:example:thing", notify=True)
        claim.on_item_publish.connect(
            lambda jid, node, item, message=None: got.append((jid, item)))
        async with ann.connected(), bob.connected():
            await asyncio.sleep(1)
            pep = ann.summon(aioxmpp.PEPClient)
            check(await pep.available(), "no personal eventing")
            thing = Thing()
            thing.text = "hello"
            await pep.publish("urn:example:thing", thing, id_="current",
                              access_model="open")
            await until(lambda: got)
            jid, item = got[0]
            check(str(jid) == "%s@%s" % (names[0], s.domain), str(jid))
            check(item.registered_payload.text == "hello", str(item))
    play(run)


@case("XEP-0084", "an avatar is published, announced and fetched")
def shows_avatars(s):
    names = s.user(), s.user()
    s.friends(*names)

    async def run():
        changed = []
        ann = client(s, names[0], aioxmpp.AvatarService)
        bob = client(s, names[1], aioxmpp.AvatarService)
        bob.summon(aioxmpp.AvatarService).on_metadata_changed.connect(
            lambda jid, metadata: changed.append((jid, metadata)))
        async with ann.connected(), bob.connected():
            await asyncio.sleep(1)
            picture = b"\x89PNG: not really one"
            avatars = aioxmpp.avatar.AvatarSet()
            avatars.add_avatar_image("image/png", image_bytes=picture)
            await ann.summon(aioxmpp.AvatarService).publish_avatar_set(avatars)
            await until(lambda: any(m for _, m in changed))
            jid, metadata = [c for c in changed if c[1]][0]
            check(metadata[0].normalized_id ==
                  hashlib.sha1(picture).hexdigest(), str(metadata[0]))
            check(await metadata[0].get_image_bytes() == picture, "the bytes")
    play(run)
