"""What clients are held to (`xmpp limits`, xmppd(8)): each at its limit, over
and far over it, while the round trip of another client is measured."""

import contextlib
import statistics
import time

from logins import auth, condition, failure, plain, play1, scram
from scenario import SASL, SLOW, STANZA_ERRORS, Failure, case, check

OURS = True


@contextlib.contextmanager
def limits(s, **values):
    """Others for a while."""
    for name, value in values.items():
        s.server.call("Limits.Set", limit=name.replace("_", "-"),
                      value=str(value))
    try:
        yield
    finally:
        for name in values:
            s.server.call("Limits.Set", limit=name.replace("_", "-"),
                          value="default")


class Bystander:
    """A client that notices nothing."""

    def __init__(self, s):
        self.peer = s.client("bystander")
        self.usual = self.measure()

    def measure(self, count=10):
        times = []
        for _ in range(count):
            start = time.monotonic()
            self.peer.sync()
            times.append(time.monotonic() - start)
        return statistics.median(times)

    def check(self):
        now = self.measure()
        check(now < 4 * self.usual + 0.005 * SLOW,
              "a round trip takes %.1f ms, and took %.1f" % (
                  now * 1000, self.usual * 1000))


def is_refused(s, tls=False):
    """A connection that is closed without a word."""
    try:
        peer = s.raw(tls=tls)
        peer.open()
    except (OSError, Failure):
        return True
    return False


# ---- connections ----------------------------------------------------------


@case("connections", "from one address to one server")
def connections(s):
    with limits(s, connections=20):
        other = Bystander(s)
        peers = [s.client("ann") for _ in range(19)]
        check(is_refused(s), "one more than may be")
        check(sum(is_refused(s) for _ in range(200)) == 200, "far more")
        other.check()
        for peer in peers[:5]:
            peer.shut()
        time.sleep(0.1 * SLOW)
        s.client("ann").sync()
        for peer in peers[5:]:
            peer.sync()


@case("logins", "connections from one address that are not logged in yet")
def logins(s):
    with limits(s, logins=10):
        other = Bystander(s)
        s.client("ann")
        peers = [s.raw() for _ in range(10)]
        for peer in peers:
            peer.open()
        check(sum(is_refused(s) for _ in range(200)) == 200, "more than 10")
        other.check()
        peers[0].shut()
        time.sleep(0.1 * SLOW)
        s.client("ann").sync()


@case("login-time", "half-open handshakes by the hundred end in time, and cost "
      "nobody else anything")
def login_time(s):
    with limits(s, login_time=5):
        other = Bystander(s)
        start = time.monotonic()
        peers = [s.raw() for _ in range(200)]
        for number, peer in enumerate(peers):
            if number % 4 > 0:
                peer.open()
            if number % 4 > 1:
                peer.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
                peer.expect("<proceed "
                            "xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            if number % 4 > 2:
                # The beginning of a TLS record that never ends.
                peer.send(b"\x16\x03\x01\x02\x00\x01\x00")
        other.check()
        s.client("ann").sync()
        for number, peer in enumerate(peers):
            if number % 4 == 1:
                peer.expect_stream_error("connection-timeout", seconds=10)
            else:
                # Nothing can be said to who speaks no XMPP yet.
                event = peer.event(10)
                check(event is not None and event[0] == "eof", event)
        check(time.monotonic() - start < 9 * SLOW, "too late")
        other.check()


@case("sessions", "of one user")
def sessions(s):
    name = s.user()
    with limits(s, sessions=3):
        other = Bystander(s)
        peers = [s.client(name) for _ in range(3)]
        late = s.authenticated(name)
        for _ in range(3):
            answer = late.iq("set", "<bind xmlns='urn:ietf:params:xml:ns:"
                             "xmpp-bind'/>")
            check(answer.find(".//{%s}resource-constraint" % STANZA_ERRORS)
                  is not None, "bound")
        other.check()
        peers[0].shut()
        time.sleep(0.1 * SLOW)
        late.bind()
        for peer in peers[1:]:
            peer.sync()


# ---- passwords ------------------------------------------------------------


@case("attempts", "tries to log in on one connection")
def attempts(s):
    name = s.user()
    for most in (3, 6):
        with limits(s, attempts=most):
            peer = s.stream()
            for _ in range(most):
                peer.send(auth("PLAIN", plain(name, "wrong")))
                peer.expect(failure("not-authorized"))
            peer.expect_stream_error("policy-violation")
            s.client(name).sync()


def guess(s, name, times):
    for _ in range(times):
        answer = play1(s.stream(), "SCRAM-SHA-256", scram(name, "wrong"))
        check(condition(answer) == "not-authorized", condition(answer))


def is_locked_out(s, name):
    answer = play1(s.stream(), "SCRAM-SHA-256", scram(name))
    if answer.tag.endswith("success"):
        return False
    check(condition(answer) == "temporary-auth-failure", condition(answer))
    check(answer.find("{%s}text" % SASL) is not None, "without a word")
    return True


@case("failures, lockout", "wrong passwords for a user from one address until a "
      "lock-out; each that follows lasts twice as long")
def lock_out(s):
    name, colleague = s.user(), s.user()
    with limits(s, failures=3, lockout=2):
        other = Bystander(s)
        session = s.client(name)
        guess(s, name, 2)
        check(not is_locked_out(s, name), "before its time")
        guess(s, name, 3)
        check(is_locked_out(s, name), "not locked out")
        check(not is_locked_out(s, colleague), "somebody else is")
        session.sync()
        # Far over: what comes now isn't looked at.
        for _ in range(20):
            check(is_locked_out(s, name), "let in")
        other.check()
        time.sleep(2.2)
        guess(s, name, 3)
        check(is_locked_out(s, name), "not locked out again")
        time.sleep(2.2)
        check(is_locked_out(s, name), "not for twice as long")
        time.sleep(2)
        check(not is_locked_out(s, name), "for ever")


@case("failures", "an account that doesn't exist is locked out like one that "
      "does")
def lock_out_of_nobody(s):
    with limits(s, failures=3, lockout=2):
        guess(s, "no-such-user", 3)
        check(is_locked_out(s, "no-such-user"), "not locked out")


# ---- rates ----------------------------------------------------------------
# What was read at once, up to 64 KiB, is handled before the waiting begins.


def late(s, peer, text):
    """Sends; how long it takes until what follows is answered, while others
    go on as ever."""
    other = Bystander(s)
    peer.sync()  # its edge has heard of the limit, too
    start = time.monotonic()
    peer.send(text, chunked=False)
    for _ in range(3):
        other.check()
    peer.jid, jid = None, peer.jid
    peer.send("<iq type='get' id='late' to='%s'><ping xmlns='urn:xmpp:ping'/>"
              "</iq>" % s.domain)
    peer.find("<iq id='late'/>", 30)
    peer.jid = jid
    return time.monotonic() - start


def messages(jid, count, size):
    return "".join("<message to='%s' id='%d'><body>%s</body></message>" % (
        jid, n, "x" * size) for n in range(count))


@case("stanzas", "a session that sends more than it may is read more slowly")
def stanzas_a_second(s):
    for count, least, most in ((80, 0, 1), (300, 1.3, 6), (600, 4.2, 12)):
        ann, bob = s.client("ann"), s.online("bob")
        with limits(s, stanzas=100):
            took = late(s, ann, messages(bob.jid, count, 1000))
        check(least <= took <= most * SLOW, "%d took %.1f s" % (count, took))
        for number in range(count):
            bob.find("<message id='%d'/>" % number)


@case("rate", "the same by bytes")
def bytes_a_second(s):
    for count, least, most in ((20, 0, 1), (120, 1, 6), (200, 3.5, 14)):
        ann, bob = s.client("ann"), s.online("bob")
        with limits(s, rate="30k"):
            took = late(s, ann, messages(bob.jid, count, 1000))
        check(least <= took <= most * SLOW, "%d took %.1f s" % (count, took))
        for number in range(count):
            bob.find("<message id='%d'/>" % number)
