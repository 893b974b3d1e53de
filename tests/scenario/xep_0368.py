"""XEP-0368: SRV records for XMPP over TLS: direct TLS, and its ALPN (RFC
7301)."""

import ssl

from scenario import case, check, tls_context

TLS12 = ssl.TLSVersion.TLSv1_2


def direct(s, protocols, version=None):
    """A connection under TLS, by these protocols."""
    peer = s.raw(tls=False)
    context = tls_context(version)
    if protocols:
        context.set_alpn_protocols(protocols)
    peer.sock = context.wrap_socket(peer.sock, server_hostname=s.domain)
    return peer


@case("2", "When ALPN is used, the ALPN protocol MUST be 'xmpp-client'; client "
      "or server SHOULD set it", ours=True)
def with_and_without_alpn(s):
    s.server.need_user("ann")
    for version in (None, TLS12):
        for protocols in ((), ("xmpp-client",), ("h2", "xmpp-client", "x")):
            peer = direct(s, protocols, version)
            chosen = peer.sock.selected_alpn_protocol()
            check(chosen == ("xmpp-client" if protocols else None), chosen)
            peer.open()
            peer.login("ann")
            peer.bind()
            peer.sync()


@case("RFC 7301, 3.2", "in the event that the server supports no protocols that "
      "the client advertises, then the server SHALL respond with a fatal "
      "'no_application_protocol' alert", ours=True)
def another_protocol(s):
    for version in (None, TLS12):
        for protocols in (("h2", "http/1.1"), ("xmpp-server",), ("imap",)):
            try:
                direct(s, protocols, version).open()
            except ssl.SSLError as error:
                check("no application protocol" in str(error), error)
            else:
                check(False, "taken")
