"""RFC 6120, 7: resource binding."""

from scenario import BIND, SLOW, case, check, show


def bind(peer, inside, name="b"):
    peer.send(f"<iq type='set' id='{name}'><bind xmlns='{BIND}'>{inside}"
              "</bind></iq>")


@case("7.3.1", "the feature is offered after authentication, and only then; "
      "binding is mandatory")
def is_offered(s):
    s.server.need_user("ann")
    peer = s.raw()
    for step in (peer.open, peer.secure):
        if peer.features is not None:
            peer.starttls()
            peer.open()
        else:
            step()
        check(peer.features.find("{%s}bind" % BIND) is None, "too early")
    peer.login("ann")
    check(peer.features.find("{%s}bind" % BIND) is not None, "not offered")


@case("7.6.1", "a server-generated resource identifier: unique, and returned "
      "as a full JID")
def generated(s):
    jids = set()
    for inside in ("", "<resource/>", "<resource></resource>"):
        peer = s.authenticated("ann")
        bind(peer, inside)
        got = peer.expect(f"<iq type='result' id='b'><bind xmlns='{BIND}'>"
                          "<jid/></bind></iq>")
        peer.jid = got[0][0].text
        check(peer.jid.startswith(f"ann@{s.domain}/") and
              len(peer.jid.split("/", 1)[1]) >= 8, show(got))
        jids.add(peer.jid)
    check(len(jids) == 3, jids)


@case("7.7.1", "a client-submitted resource identifier is prepared and used")
def submitted(s):
    for asked, got in (("balcony", "balcony"), ("Balcony 2", "Balcony 2"),
                       ("\u00e9/@\"&amp;&lt;", "\u00e9/@\"&<"),
                       ("\U0001F600", "\U0001F600"), ("\u2168", "IX"),
                       ("x" * 1023, "x" * 1023), ("a\u00adb", "ab")):
        try:
            peer = s.client("ann", asked)
        except Exception as error:
            raise type(error)("%r: %s" % (asked, error))
        check(peer.jid == f"ann@{s.domain}/{got}", peer.jid)


@case("7.7.2.1", "bad-request: the resource identifier can't be prepared; "
      "7.7.3: it may try again")
def bad_resources(s):
    peer = s.authenticated("ann")
    for number, asked in enumerate(
            ("x" * 1024, "a\u0080", "&#x7f;", "\u2028", "\ufdd0", "\ue000",
             "\u200e")):
        bind(peer, f"<resource>{asked}</resource>", f"b{number}")
        got = peer.expect_error("bad-request", "modify", id=f"b{number}")
        check(got.get("from") is None or got.get("from") == s.domain,
              show(got))
    peer.bind("fine")
    check(peer.jid.endswith("/fine"), peer.jid)


@case("7.7.2.2", "conflict: the newly connected resource gets it, the other is "
      "ended with <conflict/>")
def conflict(s):
    one = s.client("ann", "same")
    two = s.client("ann", "same")
    one.expect_stream_error("conflict")
    one.jid = None
    two.send(f"<message to='{two.jid}' id='1'/>")
    two.expect("<message id='1'/>")


@case("7.7.2.2", "resources are compared after preparation, with case")
def conflicts_of_prepared(s):
    one, two = s.client("ann", "a\u00adb"), s.client("ann", "AB")
    three = s.client("ann", "ab")
    one.expect_stream_error("conflict")
    one.jid = None
    two.expect_nothing()
    three.expect_nothing()


@case("7.5", "several resources of an account are connected at a time")
def several(s):
    peers = [s.online("ann", "r%d" % n) for n in range(5)]
    for peer in peers:
        peer.sync()
        peer.send(f"<message to='{peer.jid}' id='1'/>")
        peer.expect("<message id='1'/>")


@case("7.6.2.1", "resource-constraint: the account has reached a limit on the "
      "number of simultaneous connected resources", ours=True)
def too_many(s):
    name = s.user()
    s.server.call("Limits.Set", limit="sessions", value="3")
    peers = [s.client(name) for _ in range(3)]
    peer = s.authenticated(name)
    bind(peer, "")
    peer.expect_error("resource-constraint", "wait", id="b")
    peers.pop().shut()
    peer.bind()
    for other in peers:
        other.expect_nothing()
    s.server.call("Limits.Set", limit="sessions", value="default")


@case("7.7", "nothing else is processed between the request and its answer, "
      "and what follows is", ours=True)
def typed_ahead(s):
    bob = s.online("bob")
    peer = s.authenticated("ann")
    bind(peer, "<resource>quick</resource>")
    peer.expect("<iq type='result' id='b'/>", PATIENCE)
    peer.jid = f"ann@{s.domain}/quick"
    peer.send(f"<message to='{bob.jid}' id='1'/>")
    bob.expect(f"<message id='1' from='{peer.jid}'/>")


PATIENCE = 5 * SLOW
