"""XEP-0440: SASL Channel-Binding Type Capability; with it the channel bindings
themselves (RFC 5929, RFC 9266) and what SCRAM says of them (RFC 5802, 6)."""

from logins import (
    TLS12, bindings, condition, end_point, mechanisms2, play1, play2, scram)
from scenario import case, check

PLUS = "SCRAM-SHA-256-PLUS"


def direct(s, **more):
    s.server.need_user("ann")
    peer = s.raw(tls=True, **more)
    peer.open()
    return peer


@case("3, rule 1", "Servers MUST implement tls-server-end-point and "
      "enable/advertise it")
def lists_the_end_point(s):
    for version in (None, TLS12):
        check("tls-server-end-point" in bindings(direct(s, version=version)),
              "not listed")


@case("2", "listing the supported types: of this very connection (RFC 9266, 3: "
      "tls-unique isn't defined for TLS 1.3)")
def lists_what_is_valid(s):
    names = bindings(direct(s))
    check(names == ["tls-exporter", "tls-server-end-point"], names)
    names = bindings(direct(s, version=TLS12))
    # RFC 9266, 4.2: with extended master secret, which OpenSSL always offers.
    check(set(names) == {"tls-exporter", "tls-unique", "tls-server-end-point"},
          names)


@case("2", "next to <mechanisms/> and <authentication/>: with types listed "
      "there is a -PLUS mechanism in both")
def is_never_without_plus(s):
    peer = direct(s)
    check(PLUS in peer.mechanisms() and PLUS in mechanisms2(peer),
          "not offered")


@case("RFC 5929, 4.1", "the hash of the TLS server's certificate")
def binds_to_the_certificate(s):
    for version in (None, TLS12):
        for digest, name in (("sha256", PLUS), ("sha1", "SCRAM-SHA-1-PLUS")):
            for play in (play1, play2):
                peer = direct(s, version=version)
                answer = play(peer, name, scram(
                    "ann", None, digest, "p=tls-server-end-point,,",
                    end_point(peer)))
                check(answer.tag.endswith("success"), condition(answer))


@case("RFC 5929, 3.1", "the first TLS Finished message")
def binds_to_the_handshake(s):
    peer = direct(s, version=TLS12)
    binding = peer.sock.get_channel_binding("tls-unique")
    answer = play1(peer, PLUS, scram(
        "ann", None, "sha256", "p=tls-unique,,", binding))
    check(answer.tag.endswith("success"), condition(answer))


@case("RFC 5802, 5.1", "the server MUST verify the channel binding data")
def refuses_another_binding(s):
    for header, binding in (
            ("p=tls-server-end-point,,", b"x" * 32),
            ("p=tls-server-end-point,,", b""),
            ("p=tls-exporter,,", b"x" * 32)):
        answer = play1(direct(s), PLUS, scram(
            "ann", None, "sha256", header, binding))
        check(condition(answer) == "not-authorized", condition(answer))


@case("RFC 5802, 6", "If the flag is 'y' and the server supports channel "
      "binding, the server MUST fail authentication; -PLUS is 'p', and others "
      "aren't", ours=True)
def holds_clients_to_the_flag(s):
    for name, header, fine in (
            ("SCRAM-SHA-256", "n,,", True),
            ("SCRAM-SHA-256", "y,,", False),
            ("SCRAM-SHA-256", "p=tls-server-end-point,,", False),
            (PLUS, "n,,", False),
            (PLUS, "y,,", False),
            (PLUS, "p=tls-server-end-point,,", True),
            (PLUS, "p=tls-no-such-thing,,", False)):
        for play in (play1, play2):
            peer = direct(s)
            answer = play(peer, name, scram(
                "ann", None, "sha256", header,
                end_point(peer) if header[0] == "p" else b""))
            check(answer.tag.endswith("success") == fine, "%s with %s: %s" % (
                name, header, condition(answer)))
