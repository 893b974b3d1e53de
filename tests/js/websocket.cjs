/*
 * websocket.cjs LIBRARY URL JID PASSWORD PEER: a client over WebSocket, by
 * strophe.js or @xmpp/client.
 *
 * Logs in, asks for its roster and says "hello" to PEER. Prints a line for each
 * thing that happens: "online JID", "roster COUNT", "message FROM BODY",
 * "offline". A message "bye" ends it. All names resolve to loopback here.
 */
"use strict";

const dns = require("dns");

const [library, url, jid, password, peer] = process.argv.slice(2);

/* Strophe tells all that it does. */
for (const level of ["log", "info", "debug", "warn", "error"])
	console[level] = () => {};

dns.lookup = (name, options, done) => {
	const reply = typeof options === "function" ? options : done;

	if (typeof options === "object" && options.all)
		reply(null, [{ address: "127.0.0.1", family: 4 }]);
	else
		reply(null, "127.0.0.1", 4);
};

function say(...words)
{
	process.stdout.write(words.join(" ") + "\n");
}

function fail(why)
{
	say("failed", why);
	process.exit(1);
}

/* Browsers have it, and Strophe takes it for granted. */
function addFirstElementChild()
{
	const { DOMParser } = require("@xmldom/xmldom");
	const { documentElement } =
		new DOMParser().parseFromString("<a/>", "text/xml");

	Object.defineProperty(Object.getPrototypeOf(documentElement),
		"firstElementChild", { get() {
			let child = this.firstChild;

			while (child && child.nodeType !== 1)
				child = child.nextSibling;
			return child || null;
		} });
}

function withStrophe()
{
	addFirstElementChild();

	const { Strophe, $iq, $msg, $pres } = require("strophe.js");
	const connection = new Strophe.Connection(url);

	function message(stanza)
	{
		const body = stanza.getElementsByTagName("body")[0];

		if (!body)
			return true;
		say("message", stanza.getAttribute("from"), body.textContent);
		if (body.textContent === "bye")
			connection.disconnect("");
		return true;
	}

	connection.connect(jid, password, status => {
		if (status === Strophe.Status.DISCONNECTED) {
			say("offline");
			process.exit(0);
		}
		if (status === Strophe.Status.AUTHFAIL ||
		    status === Strophe.Status.CONNFAIL)
			fail("status " + status);
		if (status !== Strophe.Status.CONNECTED)
			return;
		say("online", connection.jid);
		connection.addHandler(message, null, "message");
		connection.send($pres());
		connection.sendIQ(
			$iq({ type: "get" }).c("query", { xmlns: Strophe.NS.ROSTER }),
			answer => say("roster",
				answer.getElementsByTagName("item").length),
			() => fail("roster"));
		connection.send(
			$msg({ to: peer, type: "chat" }).c("body").t("hello"));
	});
}

async function withXmpp()
{
	globalThis.WebSocket = require("ws"); /* that of browsers */

	const { client, xml } = await import("@xmpp/client");
	const [username, domain] = jid.split("@");
	const xmpp = client({ service: url, domain, username, password });

	xmpp.on("error", error => fail(error));
	xmpp.on("stanza", stanza => {
		const body = stanza.is("message") && stanza.getChildText("body");

		if (!body)
			return;
		say("message", stanza.attrs.from, body);
		if (body === "bye")
			xmpp.stop().then(() => {
				say("offline");
				process.exit(0);
			});
	});
	xmpp.on("online", async address => {
		say("online", address.toString());
		await xmpp.send(xml("presence"));
		const answer = await xmpp.iqCaller.get(
			xml("query", { xmlns: "jabber:iq:roster" }));
		say("roster", answer.getChildren("item").length);
		await xmpp.send(xml("message", { to: peer, type: "chat" },
			xml("body", {}, "hello")));
	});
	xmpp.start().catch(fail);
}

if (library === "strophe.js")
	withStrophe();
else
	withXmpp().catch(fail);
