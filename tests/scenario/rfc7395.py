"""RFC 7395: XMPP over WebSocket; RFC 6455 as far as it binds a server; and
XEP-0156, where to find it."""

from scenario import case, check
from xmppd_node import free_port
from websocket import FRAMING, WebPeer

OURS = True
CHUNKED = True


def setup(server):
    server.websocket_port = free_port()
    server.call("Websocket.Listen", interface=["a:%d" % server.websocket_port])


def connection(s, label="web"):
    """TCP alone."""
    peer = WebPeer(s.server, label, s.server.websocket_port)
    s.peers.append(peer)
    return peer


def secure(s, label="web", **more):
    return connection(s, label).secure_socket(**more)


def upgraded(s, label="web", **fields):
    return secure(s, label).upgrade(**fields)


def stream(s, label="web", **more):
    peer = upgraded(s, label)
    peer.open(**more)
    return peer


def client(s, user, resource=None):
    s.server.need_user(user)
    peer = stream(s, "%s/%s" % (user, resource))
    peer.login(user)
    return peer.bind(resource)


@case("3.4", "The first message sent by the client after the WebSocket opening "
      "handshake MUST be an <open/> element")
def logs_in_and_chats(s):
    ann = client(s, "ann", "web").present()
    bob = s.online("bob", "tcp")
    ann.send("<message to='%s' type='chat' id='1'><body>x &lt; y</body>"
             "</message>" % bob.jid)
    bob.find("<message from='%s' id='1'><body>x &lt; y</body></message>"
             % ann.jid)
    bob.send("<message to='%s' type='chat' id='2'><body>y</body></message>"
             % ann.jid)
    ann.find("<message from='%s' id='2'><body>y</body></message>" % bob.jid)
    ann.send("<close xmlns='%s'/>" % FRAMING)
    ann.expect_end()
