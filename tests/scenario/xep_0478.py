"""XEP-0478: Stream Limits Advertisement."""

from scenario import case, check

LIMITS = "urn:xmpp:stream-limits:0"


def max_bytes(peer):
    element = peer.features.find("{%s}limits/{%s}max-bytes" % (LIMITS, LIMITS))
    check(element is not None, "not advertised")
    return int(element.text)


def message(size):
    start, end = "<message to='ann@example.org'><body>", "</body></message>"
    return start + "x" * (size - len(start) - len(end)) + end


@case("3.1", "The responding entity advertises its limits in <stream:features/>"
      "; max-bytes: the maximum size of any first-level stream elements")
def is_told_before_and_after_the_login(s):
    s.server.need_user("ann")
    peer = s.stream()
    before = max_bytes(peer)
    peer.login("ann")
    check(10000 <= before < max_bytes(peer), "%d, then %d" % (
        before, max_bytes(peer)))


@case("3.1", "the announcing entity is willing to accept: at the limit, and not "
      "over it", ours=True)
def the_number_is_true(s):
    ann, bob = s.client("ann"), s.client("bob")
    size = max_bytes(ann)
    ann.send(message(size))
    ann.sync()
    ann.send(message(size + 1))
    ann.expect_stream_error("policy-violation")
    bob.sync()
    ann = s.client("ann")
    for _ in range(20):
        try:
            ann.send("x" * size)
        except OSError:
            break
    bob.sync()


@case("3.1", "before the login as well", ours=True)
def it_is_true_before_the_login(s):
    peer = s.stream()
    size = max_bytes(peer)
    start = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
    end = "</auth>"
    peer.send(start + "A" * (size - len(start) - len(end)) + end)
    peer.expect("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
    peer.send(start + "A" * (size - len(start) - len(end) + 1) + end)
    peer.expect_stream_error("policy-violation")
