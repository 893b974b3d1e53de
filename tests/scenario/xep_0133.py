"""XEP-0133: Service Administration, by XEP-0050: Ad-Hoc Commands."""

from scenario import case, check, show

OURS = True
COMMANDS = "http://jabber.org/protocol/commands"
ADMIN = "http://jabber.org/protocol/admin"
DATA = "jabber:x:data"
ITEMS = "http://jabber.org/protocol/disco#items"
INFO = "http://jabber.org/protocol/disco#info"


def administrator(s):
    user = s.user()
    s.server.call("Admin.Add", name=user)
    return s.online(user, "admin")


def command(peer, name, inside="", **attributes):
    return peer.iq("set", "<command xmlns='%s' node='%s#%s'%s>%s</command>" % (
        COMMANDS, ADMIN, name, "".join(
            " %s='%s'" % a for a in attributes.items()), inside), peer.domain)


def run(peer, name, **fields):
    """Asks for the form, and fills it in."""
    answer = command(peer, name, action="execute")
    step = answer.find("{%s}command" % COMMANDS)
    check(step is not None, show(answer))
    if not fields:
        check(step.get("status") == "completed", show(answer))
        return answer
    check(step.get("status") == "executing", show(answer))
    there = {f.get("var") for f in step.iter("{%s}field" % DATA)}
    wanted = {k.replace("_", "-") for k in fields}
    check(wanted <= there, "%s: %s" % (wanted, there))
    return command(peer, name, "<x xmlns='%s' type='submit'>%s</x>" % (
        DATA, "".join("<field var='%s'><value>%s</value></field>" % (
            k.replace("_", "-"), v) for k, v in fields.items())),
        sessionid=step.get("sessionid"))


def completed(answer):
    step = answer.find("{%s}command" % COMMANDS)
    check(step is not None and step.get("status") == "completed",
          show(answer))
    return step


def values(answer, var):
    return [v.text for f in completed(answer).iter("{%s}field" % DATA)
            if f.get("var") == var for v in f.iter("{%s}value" % DATA)]


def refused(answer, condition):
    error = answer.find("{jabber:client}error")
    check(error is not None and error.find(
        "{urn:ietf:params:xml:ns:xmpp-stanzas}" + condition) is not None,
        show(answer))


@case("XEP-0050, 2", "commands are found by service discovery, by those who may "
      "use them")
def lists_commands(s):
    query = "<query xmlns='%s' node='%s'/>" % (ITEMS, COMMANDS)
    admin, ann = administrator(s), s.client(s.user(), "phone")
    nodes = [i.get("node") for i in admin.iq("get", query, s.domain)[0]]
    check(ADMIN + "#add-user" in nodes, str(nodes))
    check(len(ann.iq("get", query, s.domain)[0]) == 0, "ann sees them")
    answer = admin.iq("get", "<query xmlns='%s' node='%s#add-user'/>" % (
        INFO, ADMIN), s.domain)
    check(answer.find(".//{%s}identity" % INFO).get("type") == "command-node",
          show(answer))


@case("XEP-0133, 3", "who is no administrator is refused: forbidden")
def refuses_others(s):
    ann = s.client(s.user(), "phone")
    refused(command(ann, "get-registered-users-num"), "forbidden")
    refused(command(administrator(s), "nonsense"), "item-not-found")


@case("XEP-0050, 3", "a session: executed, canceled, with faults")
def has_sessions(s):
    admin = administrator(s)
    answer = command(admin, "add-user")
    step = answer.find("{%s}command" % COMMANDS)
    check(step.get("sessionid") and step.find(
        "{%s}actions/{%s}complete" % (COMMANDS, COMMANDS)) is not None,
        show(answer))
    answer = command(admin, "add-user", action="cancel",
                     sessionid=step.get("sessionid"))
    check(answer[0].get("status") == "canceled" and
          answer[0].get("sessionid") == step.get("sessionid"), show(answer))
    refused(command(admin, "add-user", action="prev"), "bad-request")
    refused(command(admin, "add-user", action="odd"), "bad-request")
    refused(command(admin, "add-user", "<x xmlns='%s' type='submit'/>" % DATA),
            "bad-request")


@case("4.1, 4.2 and 4.6", "a user is added, its password changed, and deleted")
def manages_users(s):
    admin = administrator(s)
    jid = "made-by-admin@" + s.domain
    completed(run(admin, "add-user", accountjid=jid, password="one",
                  password_verify="one"))
    made = s.stream("made")
    made.login("made-by-admin", "one")
    made.bind("x")
    refused(run(admin, "add-user", accountjid=jid, password="one",
                password_verify="one"), "conflict")
    refused(run(admin, "add-user", accountjid="other@" + s.domain,
                password="one", password_verify="two"), "not-acceptable")
    completed(run(admin, "change-user-password", accountjid=jid,
                  password="two"))
    again = s.stream("again")
    again.login("made-by-admin", "two")
    completed(run(admin, "delete-user", accountjids=jid))
    made.expect_stream_error("not-authorized")
    refused(run(admin, "delete-user", accountjids=jid), "item-not-found")
    refused(run(admin, "delete-user", accountjids="a@b@c"), "jid-malformed")
    refused(run(admin, "delete-user", accountjids="a@example.net"),
            "item-not-found")


@case("4.5", "a user's sessions are ended")
def ends_sessions(s):
    admin, ann = administrator(s), s.online(s.user(), "phone")
    completed(run(admin, "end-user-session", accountjids=ann.bare))
    ann.expect_stream_error("policy-violation")


@case("4.10, 4.14 to 4.21", "who there is, and who is here")
def counts(s):
    admin, ann = administrator(s), s.online(s.user(), "phone")
    total = int(values(run(admin, "get-registered-users-num"),
                       "registeredusersnum")[0])
    check(total >= 2, str(total))
    check(ann.bare in values(run(admin, "get-registered-users-list"),
                             "registereduserjids"), "registered")
    check(int(values(run(admin, "get-online-users-num"),
                     "onlineusersnum")[0]) == 2, "online")
    check(sorted(values(run(admin, "get-online-users-list"),
                        "onlineuserjids")) == sorted([admin.bare, ann.bare]),
          "who is online")
    answer = run(admin, "user-stats", accountjid=ann.bare)
    check(values(answer, "onlineresources") == ["phone"], show(answer))
    check(values(answer, "rostersize") == ["0"], show(answer))


@case("4.23", "all who are here are told")
def announces(s):
    admin, ann = administrator(s), s.online(s.user(), "phone")
    completed(run(admin, "announce", subject="S", announcement="A"))
    ann.expect("<message from='%s'><subject>S</subject><body>A</body></message>"
               % s.domain)


@case("4.24 to 4.26", "the message of the day is set and deleted")
def sets_motd(s):
    admin = administrator(s)
    completed(run(admin, "set-motd", motd="M"))
    ann = s.client(s.user(), "phone")
    ann.send("<presence/>")
    ann.find("<message from='%s'><body>M</body></message>" % s.domain)
    completed(run(admin, "edit-motd", motd="N"))
    completed(run(admin, "delete-motd"))
    bob = s.client(s.user(), "phone")
    bob.send("<presence/>")
    check(not [e for e in bob.sync() if e.tag.endswith("message")], "told")
