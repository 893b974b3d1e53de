// xmppjs.js SERVICE DOMAIN USER PASSWORD: logs in with @xmpp/client, sends
// itself a message, loses its connection, and goes on. Prints what happened, a
// JSON object a line.

import { client, xml } from "@xmpp/client";

const [service, domain, username, password] = process.argv.slice(2);

const xmpp = client({
  service,
  domain,
  username,
  password,
  resource: "xmpp.js",
  userAgent: xml("user-agent", { id: "d4565fa7-4d72-4749-b3d3-740edbf87770" }),
});
const elements = [];
const errors = [];

function say(what) {
  console.log(JSON.stringify(what));
}

function sendToSelf(id) {
  const message = new Promise((resolve) => {
    xmpp.on("stanza", (stanza) => {
      if (stanza.is("message") && stanza.attrs.id === id) resolve();
    });
  });
  xmpp.send(
    xml(
      "message",
      { to: xmpp.jid.toString(), type: "chat", id },
      xml("body", {}, "hello"),
    ),
  );
  return message;
}

xmpp.on("nonza", (element) => elements.push([element.name, element.attrs.xmlns]));
// What it complains of, it may still get over: a lost connection, for one.
xmpp.on("error", (error) => errors.push(String(error)));
setTimeout(() => {
  say({ error: "too late", elements, errors });
  process.exit(1);
}, 30000).unref();

const online = new Promise((resolve) => xmpp.once("online", resolve));
await xmpp.start();
say({ jid: (await online).toString() });
await xmpp.send(xml("presence"));
await sendToSelf("one");
say({ elements: elements.splice(0), managed: xmpp.streamManagement.enabled });

const resumed = new Promise((resolve) =>
  xmpp.streamManagement.on("resumed", resolve),
);
xmpp.socket.socket?.destroy?.() ?? xmpp.socket.destroy();
await resumed;
await sendToSelf("two");
say({ elements: elements.splice(0), jid: xmpp.jid.toString() });
// Its stop() listens for the end of the stream too late where that comes at
// once, and takes it for an error.
process.exit(0);
