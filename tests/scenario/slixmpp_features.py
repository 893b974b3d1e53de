"""slixmpp, as a client that nobody here wrote: what users keep on the server,
personal eventing, blocking."""

import asyncio
import logging
import ssl
import xml.etree.ElementTree as ET

import slixmpp

from scenario import ADDRESS, SLOW, case, check

OURS = True
PLUGINS = (
    "xep_0004", "xep_0030", "xep_0049", "xep_0050", "xep_0054", "xep_0060", "xep_0084", "xep_0092",
    "xep_0107", "xep_0115", "xep_0153", "xep_0163", "xep_0172", "xep_0191",
    "xep_0199", "xep_0202", "xep_0222", "xep_0223")
logging.getLogger("slixmpp").setLevel(logging.CRITICAL)


class Secret(slixmpp.ElementBase):
    name, namespace, plugin_attrib = "secret", "urn:secret", "secret"


class Client(slixmpp.ClientXMPP):
    def __init__(self, jid, password, *wants):
        super().__init__(jid, password)
        for name in PLUGINS:
            self.register_plugin(name)
        self.ssl_context = ssl.create_default_context()
        self.events, self.is_there = [], asyncio.Event()
        for node in wants:
            self["xep_0163"].add_interest(node)
        self.add_event_handler("session_start", self.start)

    def get_ssl_context(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def note(self, name):
        """Remembers what comes with this event."""
        self.add_event_handler(name, lambda e: self.events.append((name, e)))

    async def start(self, _):
        await self["xep_0115"].update_caps(broadcast=False)
        self.send_presence()
        await self.get_roster()
        self.is_there.set()

    async def seen(self, name):
        """The next event of that name."""
        for _ in range(int(100 * SLOW)):
            for i, (n, event) in enumerate(self.events):
                if n == name:
                    del self.events[i]
                    return event
            await asyncio.sleep(0.05)
        raise AssertionError("no " + name)


async def connect(s, user, *wants, notes=()):
    s.server.need_user(user)
    client = Client("%s@%s/slix" % (user, s.domain), "secret-" + user, *wants)
    for name in notes:
        client.note(name)
    client.connect((ADDRESS, s.server.port))
    await asyncio.wait_for(client.is_there.wait(), 20 * SLOW)
    return client


def play(function):
    """Runs a coroutine, on a loop of its own."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.wait_for(function, 60 * SLOW))
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def leave(*clients):
    for client in clients:
        await client.disconnect()


@case("XEP-0049", "private data is kept")
def keeps_private_data(s):
    async def run():
        ann = await connect(s, s.user())
        notes = ET.fromstring("<notes xmlns='urn:notes'><a>b</a></notes>")
        iq = ann.make_iq_set()
        query = ET.SubElement(iq.xml, "{jabber:iq:private}query")
        query.append(notes)
        await iq.send()
        iq = ann.make_iq_get()
        query = ET.SubElement(iq.xml, "{jabber:iq:private}query")
        ET.SubElement(query, "{urn:notes}notes")
        answer = await iq.send()
        check(answer.xml.findtext(".//{urn:notes}a") == "b", str(answer))
        await leave(ann)
    play(run())


@case("XEP-0054", "a vCard is set, and read by somebody else")
def keeps_a_vcard(s):
    async def run():
        ann, bob = await connect(s, s.user()), await connect(s, s.user())
        card = ann["xep_0054"].make_vcard()
        card["FN"] = "Ann Other"
        card["NICKNAME"] = "ann"
        await ann["xep_0054"].publish_vcard(card)
        answer = await bob["xep_0054"].get_vcard(ann.boundjid.bare)
        check(answer["vcard_temp"]["FN"] == "Ann Other", str(answer))
        await leave(ann, bob)
    play(run())


@case("XEP-0191", "blocked, listed, and unblocked")
def blocks(s):
    async def run():
        ann, bob = await connect(s, s.user()), await connect(
            s, s.user(), notes=["message_error"])
        await ann["xep_0191"].block(bob.boundjid.bare)
        blocked = await ann["xep_0191"].get_blocked()
        check(bob.boundjid.bare in [str(j) for j in blocked["blocklist"][
            "items"]], str(blocked))
        bob.send_message(ann.boundjid.bare, "hello")
        error = await bob.seen("message_error")
        check(error["error"]["condition"] == "service-unavailable", str(error))
        await ann["xep_0191"].unblock(bob.boundjid.bare)
        blocked = await ann["xep_0191"].get_blocked()
        check(not blocked["blocklist"]["items"], str(blocked))
        await leave(ann, bob)
    play(run())


@case("XEP-0202", "the server's time")
def tells_the_time(s):
    async def run():
        ann = await connect(s, s.user())
        answer = await ann["xep_0202"].get_entity_time(s.domain)
        check(answer.xml.findtext(".//{urn:xmpp:time}utc").endswith("Z"),
              str(answer))
        await leave(ann)
    play(run())


@case("XEP-0163", "mood, nickname and avatar reach a contact, whose client says "
      "what it wants by XEP-0115")
def tells_contacts(s):
    names = s.user(), s.user()
    s.friends(*names)

    async def run():
        ann = await connect(s, names[0])
        bob = await connect(
            s, names[1], "http://jabber.org/protocol/mood",
            "urn:xmpp:avatar:metadata",
            notes=["user_mood_publish", "avatar_metadata_publish"])
        await ann["xep_0107"].publish_mood("happy", "because")
        event = await bob.seen("user_mood_publish")
        mood = "{http://jabber.org/protocol/mood}"
        check(event.xml.find(".//%shappy" % mood) is not None and
              event.xml.findtext(".//%stext" % mood) == "because", str(event))
        check(event["from"] == ann.boundjid.bare, str(event))
        picture = b"not really a picture"
        name = ann["xep_0084"].generate_id(picture)
        await ann["xep_0084"].publish_avatar(picture)
        await ann["xep_0084"].publish_avatar_metadata(
            [{"id": name, "type": "image/png", "bytes": len(picture)}])
        event = await bob.seen("avatar_metadata_publish")
        info = event["pubsub_event"]["items"]["item"]["avatar_metadata"]
        check([i["id"] for i in info["items"]] == [name], str(event))
        answer = await bob["xep_0084"].retrieve_avatar(
            ann.boundjid.bare, name)
        check(answer["pubsub"]["items"]["item"]["avatar_data"]["value"] ==
              picture, str(answer))
        # Who comes later is sent the last mood.
        await leave(bob)
        bob = await connect(s, names[1], "http://jabber.org/protocol/mood",
                            notes=["user_mood_publish"])
        await bob.seen("user_mood_publish")
        await leave(ann, bob)
    play(run())


@case("XEP-0060", "a node is created, configured, filled and deleted")
def manages_nodes(s):
    async def run():
        ann = await connect(s, s.user())
        me, pubsub = ann.boundjid.bare, ann["xep_0060"]
        await pubsub.create_node(me, "n")
        form = (await pubsub.get_node_config(me, "n"))["pubsub_owner"][
            "configure"]["form"]
        form["type"] = "submit"
        form.set_values({"pubsub#max_items": "3",
                         "pubsub#access_model": "open"})
        await pubsub.set_node_config(me, "n", form)
        for i in range(4):
            await pubsub.publish(
                me, "n", id="i%d" % i,
                payload=ET.fromstring("<a xmlns='a'>%d</a>" % i))
        items = (await pubsub.get_items(me, "n"))["pubsub"]["items"]
        check([i["id"] for i in items["substanzas"]] == ["i1", "i2", "i3"],
              str(items))
        await pubsub.retract(me, "n", "i2")
        items = (await ann["xep_0030"].get_items(me, "n"))["disco_items"]["items"]
        check(sorted(i[2] for i in items) == ["i1", "i3"], str(items))
        nodes = (await ann["xep_0030"].get_items(me))["disco_items"]["items"]
        check("n" in [i[1] for i in nodes], str(nodes))
        await pubsub.purge(me, "n")
        await pubsub.delete_node(me, "n")
        await leave(ann)
    play(run())


@case("XEP-0223", "private data in personal eventing, by publish-options")
def keeps_private_items(s):
    async def run():
        ann = await connect(s, s.user())
        await ann["xep_0223"].store(
            Secret(), node="urn:secret", id="current")
        answer = await ann["xep_0223"].retrieve("urn:secret")
        check(answer.xml.find(".//{urn:secret}secret") is not None,
              str(answer))
        config = await ann["xep_0060"].get_node_config(
            ann.boundjid.bare, "urn:secret")
        values = config["pubsub_owner"]["configure"]["form"].get_values()
        check(values["pubsub#access_model"] == "whitelist", str(config))
        await leave(ann)
    play(run())


@case("XEP-0050", "an administrator's client finds the commands, and runs one")
def runs_commands(s):
    async def run():
        user = s.user()
        s.server.need_user(user)
        s.server.call("Admin.Add", name=user)
        ann = await connect(s, user)
        nodes = (await ann["xep_0050"].get_commands(s.domain))["disco_items"][
            "items"]
        add = "http://jabber.org/protocol/admin#add-user"
        check(add in [n for _, n, _ in nodes], str(nodes))
        answer = await ann["xep_0050"].send_command(s.domain, add)
        check(answer["command"]["status"] == "executing", str(answer))
        form = answer["command"]["form"]
        form["type"] = "submit"
        form.set_values({"accountjid": "by-slix@" + s.domain,
                         "password": "p", "password-verify": "p"})
        answer = await ann["xep_0050"].send_command(
            s.domain, add, action="complete", payload=form,
            sessionid=answer["command"]["sessionid"])
        check(answer["command"]["status"] == "completed", str(answer))
        await leave(ann)
    play(run())
