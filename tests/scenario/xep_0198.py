"""XEP-0198: Stream Management."""

import hashlib
import time

from scenario import (
    COMPONENT, SLOW, STANZA_ERRORS, Failure, case, check, fits, parse)

SM = "urn:xmpp:sm:3"
DELAY = "urn:xmpp:delay"


def enabled(peer, more="resume='true'"):
    peer.send(f"<enable xmlns='{SM}' {more}/>")
    return peer.find(f"<enabled xmlns='{SM}'/>")


def managed(s, user, more="resume='true'", online=True):
    """A session that can be resumed; its id is peer.sm."""
    peer = (s.online if online else s.client)(user, "phone")
    peer.sm = enabled(peer, more).get("id")
    return peer


def lose(peer):
    """The connection goes without a word."""
    peer.sock.close()
    peer.eof = True


def again(s, user, previd, h):
    peer = s.authenticated(user, user + "/phone again")
    peer.send(f"<resume xmlns='{SM}' previd='{previd}' h='{h}'/>")
    return peer


def failed(peer, condition, more=""):
    return peer.expect(f"<failed xmlns='{SM}' {more}><{condition} "
                       f"xmlns='{STANZA_ERRORS}'/></failed>")


def message(sender, to, body):
    sender.send(f"<message to='{to}' type='chat' id='{body}'>"
                f"<body>{body}</body></message>")


def got(peer, body):
    return peer.find(f"<message type='chat' id='{body}'/>")


def handled(peer, h):
    """Asks until so much is handled."""
    peer.send(f"<r xmlns='{SM}'/>")
    wanted = parse(f"<a xmlns='{SM}' h='{h}'/>")
    until = time.monotonic() + 5 * SLOW
    while time.monotonic() < until:
        element = peer.find(f"<a xmlns='{SM}' h='*'/>")
        if fits(wanted, element):
            return
    raise Failure("not all is handled")


# ---- 2 and 3: the feature, and <enable/> ----------------------------------


@case("2", "the server returns a new stream header along with stream features, "
      "where the features include an <sm/> element")
def is_a_feature_after_the_login(s):
    check(s.stream().features.find(f"{{{SM}}}sm") is None, "before the login")
    ann = s.authenticated(s.user())
    check(ann.features.find(f"{{{SM}}}sm") is not None, "no <sm/>")


@case("3", "upon receiving the enable request, the server MUST reply with an "
      "<enabled/> element or a <failed/> element")
def enables(s):
    ann = s.client(s.user())
    ann.send(f"<enable xmlns='{SM}'/>")
    ann.expect(f"<enabled xmlns='{SM}' resume='!'/>")


@case("5", "it MUST include a 'resume' attribute set to \"true\" or \"1\" and "
      "MUST include an 'id' attribute")
def enables_resumption(s):
    for value in ("true", "1"):
        ann = s.client(s.user())
        ann.send(f"<enable xmlns='{SM}' resume='{value}'/>")
        ann.expect(f"<enabled xmlns='{SM}' resume='true' id='*'/>")


@case("5", "the SM-ID MUST NOT be reused; an id that nobody can guess")
def ids_differ(s):
    ids = {enabled(s.client(s.user())).get("id") for _ in range(5)}
    check(len(ids) == 5 and min(map(len, ids)) >= 22, str(ids))


@case("3", "the client MUST NOT attempt to negotiate stream management until "
      "it is authenticated")
def comes_after_the_login(s):
    ann = s.stream()
    ann.send(f"<enable xmlns='{SM}'/>")
    ann.expect_stream_error("not-authorized")


@case("3", "the server SHALL enforce this order and return a <failed/> element "
      "in response if the order is violated")
def comes_after_the_bind(s):
    ann = s.authenticated(s.user())
    ann.send(f"<enable xmlns='{SM}'/>")
    failed(ann, "unexpected-request")
    ann.bind("x")


@case("3", "a client SHALL only make at most one attempt to enable stream "
      "management")
def comes_once(s):
    ann = s.client(s.user())
    enabled(ann)
    ann.send(f"<enable xmlns='{SM}' resume='true'/>")
    failed(ann, "unexpected-request")


@case("3", "the client's preferred maximum resumption time in seconds", True)
def takes_a_shorter_time(s):
    ann = s.client(s.user())
    check(enabled(ann, "resume='true' max='7'").get("max") == "7", "max")


# ---- 4: acknowledgements --------------------------------------------------


@case("4", "the recipient MUST acknowledge it by sending an <a/> element "
      "containing a value of 'h' that is equal to the number of stanzas "
      "handled")
def tells_what_is_handled(s):
    ann = managed(s, s.user())
    ann.send(f"<r xmlns='{SM}'/>")
    ann.expect(f"<a xmlns='{SM}' h='0'/>")
    ann.send("<presence/>")
    message(ann, ann.bare, "one")
    ann.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
    handled(ann, 3)


@case("4", "nonzas are not counted; an erroneous stanza, which is answered, is")
def counts_stanzas_alone(s):
    ann = managed(s, s.user())
    ann.send(f"<a xmlns='{SM}' h='0'/>")
    ann.send("<message to='@@'/>")
    ann.find("<message type='error'/>")
    handled(ann, 1)


@case("4", "a server accepts responsibility: what it tells as handled has "
      "reached the recipient's session, or is stored")
def handled_is_stored(s):
    user = s.user()
    bob = s.client(user, "x")
    bob.shut()
    ann = managed(s, s.user())
    message(ann, bob.bare, "kept")
    handled(ann, 1)
    got(s.online(user, "y"), "kept")


@case("4", "when a party receives an <r/> it answers, also of itself: the "
      "server asks for what it has sent", True)
def asks_when_nothing_follows(s):
    ann, bob = managed(s, s.user()), s.online(s.user())
    ann.send("<presence/>")
    message(bob, ann.jid, "one")
    got(ann, "one")
    ann.find(f"<r xmlns='{SM}'/>")


@case("6", "when a remote entity acknowledges that it has handled a number of "
      "stanzas that is higher than the amount of stanzas that it was sent, "
      "the local entity SHOULD generate an undefined-condition stream error "
      "that includes a <handled-count-too-high/> element")
def refuses_too_high_a_count(s):
    ann = managed(s, s.user())
    ann.send(f"<a xmlns='{SM}' h='10'/>")
    error = ann.expect_stream_error("undefined-condition")
    check(error is None or error.find(f"{{{SM}}}handled-count-too-high")
          is not None, "no <handled-count-too-high/>")


@case("4", "an <a/> element MUST possess an 'h' attribute", True)
def refuses_no_count(s):
    for more in ("", "h='-1'", "h='x'", "h='4294967296'"):
        ann = managed(s, s.user())
        ann.send(f"<a xmlns='{SM}' {more}/>")
        ann.expect_stream_error("invalid-xml")


@case("4", "before the stream is closed in order: what has been received")
def tells_at_the_end(s):
    ann = managed(s, s.user())
    message(ann, ann.bare, "one")
    ann.send("</stream:stream>")
    ann.find(f"<a xmlns='{SM}' h='1'/>")
    ann.expect_end()


# ---- 5: resumption --------------------------------------------------------


@case("5", "the sequence values are carried over from the previous session; "
      "after processing it MUST re-send to the peer any stanzas that are "
      "still marked as unhandled")
def resumes(s):
    user = s.user()
    ann, bob = managed(s, user), s.online(s.user())
    message(ann, ann.bare, "own")
    got(ann, "own")
    handled(ann, 1)
    message(bob, ann.jid, "before")
    got(ann, "before")
    lose(ann)
    message(bob, ann.jid, "meanwhile")
    message(bob, ann.bare, "bare")
    bob.sync()
    jid, previd = ann.jid, ann.sm
    ann = again(s, user, previd, 1)
    ann.expect(f"<resumed xmlns='{SM}' previd='{previd}' h='1'/>")
    for body in ("before", "meanwhile", "bare"):
        ann.expect(f"<message id='{body}'/>")
    ann.jid = jid
    message(bob, jid, "after")
    got(ann, "after")
    message(ann, bob.jid, "answer")
    check(got(bob, "answer").get("from") == jid, "another address")
    handled(ann, 2)


@case("5", "the client sends the number of the last stanza that it has: what "
      "it has isn't sent again")
def sends_nothing_twice(s):
    user = s.user()
    ann, bob = managed(s, user), s.online(s.user())
    for i in range(5):
        message(bob, ann.jid, str(i))
    got(ann, "4")
    lose(ann)
    ann = again(s, user, ann.sm, 3)
    ann.expect(f"<resumed xmlns='{SM}'/>")
    ann.expect("<message id='3'/>")
    ann.expect("<message id='4'/>")
    ann.jid = "x"
    ann.expect_nothing()


@case("5", "a reconnecting client's former presence state will have been "
      "retained by the server: its contacts see nothing of it")
def nobody_sees_it(s):
    one, other = s.user(), s.user()
    s.friends(one, other)
    bob = s.online(other)
    ann = managed(s, one)
    bob.find(f"<presence from='{ann.jid}'/>")
    lose(ann)
    bob.expect_nothing()
    ann = again(s, one, ann.sm, 0)
    ann.find(f"<resumed xmlns='{SM}'/>")
    bob.expect_nothing()


@case("5", "the client hasn't got the server's acknowledgements: 'h' says what "
      "it needn't send again")
def says_what_it_has(s):
    user = s.user()
    ann, bob = managed(s, user), s.online(s.user())
    message(ann, bob.jid, "one")
    message(ann, bob.jid, "two")
    got(bob, "two")
    lose(ann)
    ann = again(s, user, ann.sm, 0)
    ann.expect(f"<resumed xmlns='{SM}' h='2'/>")


@case("5", "if the server still has the stream for the previously-identified "
      "session open at this time, the server SHOULD send a 'conflict' stream "
      "error and close that stream")
def ends_the_old_stream(s):
    user = s.user()
    old = managed(s, user)
    ann = again(s, user, old.sm, 0)
    ann.expect(f"<resumed xmlns='{SM}'/>")
    old.expect_stream_error("conflict")
    bob = s.online(s.user())
    message(bob, old.jid, "one")
    got(ann, "one")


@case("6", "the number that comes with <resume/> may be too high as well", True)
def resumes_nothing_by_too_high_a_count(s):
    for _ in range(4):   # wherever the session is
        user = s.user()
        ann = managed(s, user)
        lose(ann)
        ann = again(s, user, ann.sm, 1000)
        ann.expect_stream_error("undefined-condition")


@case("5", "if the server does not recognize the 'previd' as an earlier "
      "session, it MUST return a <failed/> element, which SHOULD include an "
      "error condition of <item-not-found/>; the server SHOULD allow the "
      "client to bind a resource at this point")
def knows_its_ids(s):
    ann = again(s, s.user(), "no-such-id", 0)
    failed(ann, "item-not-found")
    ann.bind("x")


@case("11", "a session is its account's")
def is_nobody_elses(s):
    ann = managed(s, s.user())
    lose(ann)
    eve = again(s, s.user(), ann.sm, 0)
    failed(eve, "item-not-found", "h='!'")


@case("5", "a previd and a count", True)
def needs_both(s):
    ann = s.authenticated(s.user())
    for more in ("h='0'", "previd='x'", "previd='x' h='y'"):
        ann.send(f"<resume xmlns='{SM}' {more}/>")
        failed(ann, "bad-request")


@case("7", "a cleanly closed stream differs from an unfinished stream")
def ends_with_its_stream(s):
    user = s.user()
    ann = managed(s, user)
    ann.shut()
    failed(again(s, user, ann.sm, 0), "item-not-found")


@case("5", "if the server recognizes the 'previd' as an earlier session that "
      "has timed out the server MAY also include a 'h' attribute", True)
def says_how_far_it_came(s):
    user = s.user()
    ann = managed(s, user, "resume='true' max='1'")
    message(ann, "nobody@" + s.domain, "one")
    handled(ann, 1)
    lose(ann)
    time.sleep(2.5)
    failed(again(s, user, ann.sm, 0), "item-not-found", "h='1'")


# ---- 4: stanzas that nobody has acknowledged ------------------------------


def unacknowledged(s, user, send):
    """A session that is lost with what `send` sends; then its time is over."""
    ann = managed(s, user, "resume='true' max='1'")
    send(ann)
    lose(ann)
    return ann


@case("4", "a server SHOULD treat unacknowledged stanzas in the same way that "
      "it would treat a stanza sent to an unavailable resource: committing "
      "the stanza to offline storage; with the original timestamp", True)
def stores_them(s):
    user, bob = s.user(), s.online(s.user())
    ann = unacknowledged(s, user, lambda a: message(bob, a.jid, "one"))
    message(bob, ann.bare, "two")
    bob.sync()
    time.sleep(2.5)
    ann = s.online(user)
    for body in ("one", "two"):
        delay = got(ann, body).findall(f"{{{DELAY}}}delay")
        check(len(delay) == 1, "%d stamps" % len(delay))
    ann.expect_nothing()


@case("4", "delivery to an alternate resource; never to one that has it", True)
def gives_them_to_others(s):
    user, bob = s.user(), s.online(s.user())
    desk = s.online(user, "desk")
    ann = managed(s, user, "resume='true' max='1'")
    message(bob, ann.bare, "both")
    message(bob, ann.jid, "one")
    got(desk, "both")
    got(ann, "one")
    lose(ann)
    time.sleep(2.5)
    delayed = got(desk, "one")
    check(delayed.find(f"{{{DELAY}}}delay") is not None, "no stamp")
    desk.expect(f"<presence type='unavailable' from='{ann.jid}'/>")
    desk.expect_nothing()


@case("4", "or an error to the sender", True)
def returns_requests(s):
    user, bob = s.user(), s.online(s.user())
    ann = unacknowledged(s, user, lambda a: bob.send(
        f"<iq type='get' id='q' to='{a.jid}'><x xmlns='urn:x'/></iq>"
        f"<message type='groupchat' id='g' to='{a.jid}'><body>x</body>"
        f"</message>"))
    time.sleep(2.5)
    bob.expect_error("service-unavailable", id="q", from_=ann.jid)
    bob.expect_error("service-unavailable", stanza="message", id="g",
                     from_=ann.jid)


@case("4", "what is acknowledged is neither stored nor returned", True)
def forgets_the_rest(s):
    user, bob = s.user(), s.online(s.user())
    ann = managed(s, user, "resume='true' max='1'")
    message(bob, ann.jid, "one")
    got(ann, "one")
    ann.send(f"<a xmlns='{SM}' h='1'/>")
    ann.sync()
    lose(ann)
    time.sleep(2.5)
    s.online(user).expect_nothing()


@case("XEP-0160, 3", "a stored message is there until its client has it",
      True)
def keeps_what_is_stored(s):
    user, bob = s.user(), s.online(s.user())
    for body in ("one", "two"):
        message(bob, f"{user}@{s.domain}", body)
    bob.sync()
    ann = managed(s, user, "resume='true' max='1'", online=False)
    ann.send("<presence/>")
    got(ann, "two")
    # What is live comes though they are not acknowledged.
    message(bob, ann.bare, "live")
    got(ann, "live")
    ann.send(f"<a xmlns='{SM}' h='2'/>")   # the presence and "one"
    ann.sync()
    lose(ann)
    time.sleep(2.5)
    ann = s.online(user)
    got(ann, "two")
    got(ann, "live")
    ann.expect_nothing()


@case("5", "the address is free when its own account binds it anew", True)
def gives_way_to_a_new_bind(s):
    user, bob = s.user(), s.online(s.user())
    ann = managed(s, user)
    message(bob, ann.jid, "one")
    got(ann, "one")
    lose(ann)
    ann = s.client(user, "phone")
    ann.present()
    got(ann, "one")


# ---- components -----------------------------------------------------------


@case("2", "stream management on XEP-0114's streams", True)
def components_manage_theirs(s):
    echo, ann = s.component(), s.online(s.user())
    enabled(echo)
    message(ann, "x@" + echo.jid if echo.jid else "x@echo." + s.domain, "one")
    got(echo, "one")
    echo.send(f"<message from='x@echo.{s.domain}' to='{ann.jid}' id='back' "
              f"type='chat'/><r xmlns='{SM}'/>")
    got(ann, "back")
    echo.find(f"<a xmlns='{SM}' h='*'/>")


@case("5", "a component sends <resume/> with its handshake, before it", True)
def components_resume(s):
    ann = s.online(s.user())
    echo = s.component("resumed")
    previd = enabled(echo).get("id")
    message(ann, "x@" + echo.jid, "one")
    got(echo, "one")
    lose(echo)
    message(ann, "x@" + echo.jid, "two")
    ann.send(f"<iq type='get' id='q' to='{echo.jid}'><x xmlns='urn:x'/></iq>")
    ann.sync()
    for h, rest in ((1, ("two",)), (2, ())):
        echo = component_again(s, "resumed", previd, h)
        echo.expect(f"<resumed xmlns='{SM}' previd='{previd}' h='0'/>")
        for body in rest:
            echo.expect(f"<message id='{body}'/>")
        echo.find("<iq type='get' id='q'/>")
        lose(echo)
    ann.expect_nothing()


@case("5", "where there is nothing to resume it is a new session", True)
def components_begin_anew(s):
    s.component("anew").shut()
    echo = component_again(s, "anew", "no-such-id", 0)
    failed(echo, "item-not-found")
    ann = s.online(s.user())
    message(ann, "x@anew." + s.domain, "one")
    got(echo, "one")


def component_again(s, name, previd, h):
    """A connection of a component that wants to go on as it was."""
    secret = s.server.need_component(name)
    full = f"{name}.{s.domain}"
    peer = s.new(name, s.server.component_port, COMPONENT)
    if s.server.component_tls:
        peer.start_tls()
    peer.open(more="", to=full)
    digest = hashlib.sha1((peer.header["id"] + secret).encode()).hexdigest()
    peer.send(f"<resume xmlns='{SM}' previd='{previd}' h='{h}'/>"
              f"<handshake>{digest}</handshake>")
    peer.expect("<handshake/>")
    return peer
