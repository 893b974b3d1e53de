/*
 * The table of commands. Rows of a group stand together; help shows them in
 * this order.
 */
#include "common/commands.h"

#define ADMIN .role = ROLE_ADMIN
#define AUDIT .role = ROLE_AUDIT
#define LOCAL(name) .at = AT_LOCAL, .method = (name)
#define XMPPD(name) .at = AT_XMPPD, .method = (name)
#define BRIDGE(name) .at = AT_CALLBRIDGE, .method = (name)
/* clang-format off */
#define SECRET                                                                 \
	.ask = ASK_SECRET, .prompt = "Enter callbridge secret: ",              \
	.asks = "secret"
#define PASSWORD                                                               \
	.ask = ASK_PASSWORD, .prompt = "Enter password: ", .asks = "password"

const struct command commands[] = {
	/* The XMPP server of this node. */
	{ .pattern = "xmpp [detail]", AUDIT, XMPPD("Xmpp.Show"),
	  .help = "show the XMPP server's configuration and state", },
	{ .pattern = "xmpp status", AUDIT, XMPPD("Xmpp.Show"),
	  .help = "the same as xmpp", },
	{ .pattern = "xmpp enable", ADMIN, XMPPD("Xmpp.Enable"),
	  .help = "check the configuration and start the XMPP server", },
	{ .pattern = "xmpp disable", ADMIN, XMPPD("Xmpp.Disable"),
	  .help = "stop the XMPP server; its configuration is kept", },
	{ .pattern = "xmpp restart", ADMIN, XMPPD("Xmpp.Restart"),
	  .help = "stop and start the XMPP server, with its files read again",
	  .flags = CMD_REREAD, },
	{ .pattern = "xmpp domain <domain>", ADMIN, XMPPD("Xmpp.Domain"),
	  .help = "set the XMPP domain", },
	{ .pattern = "xmpp domain none", ADMIN, XMPPD("Xmpp.Domain"),
	  .help = "clear the XMPP domain", .flags = CMD_REMOVES, },
	{ .pattern = "xmpp listen <listen:interface>...", ADMIN,
	  XMPPD("Xmpp.Listen"),
	  .help = "accept clients and components on these interfaces", },
	{ .pattern = "xmpp listen none", ADMIN, XMPPD("Xmpp.Listen"),
	  .help = "accept nobody", .flags = CMD_REMOVES, },
	{ .pattern = "xmpp websocket listen <websocket:interface>...", ADMIN,
	  XMPPD("Websocket.Listen"),
	  .help = "accept clients over WebSocket on these interfaces", },
	{ .pattern = "xmpp websocket listen none", ADMIN,
	  XMPPD("Websocket.Listen"),
	  .help = "accept nobody over WebSocket", .flags = CMD_REMOVES, },
	{ .pattern = "xmpp certs <key> <certificate> [<bundle>]", ADMIN,
	  XMPPD("Xmpp.Certs"),
	  .help = "set private key, certificate and chain from the pki folder",
	},
	{ .pattern = "xmpp certs none", ADMIN, XMPPD("Xmpp.Certs"),
	  .help = "remove key and certificate", .flags = CMD_REMOVES, },
	{ .pattern = "xmpp reset", ADMIN, XMPPD("Xmpp.Reset"),
	  .help = "back to a single server without Call Bridges and accounts",
	  .flags = CMD_REMOVES | CMD_EXPORT, },

	/* Who may log in to the XMPP server as a component. */
	{ .pattern = "xmpp callbridge add <name>", ADMIN,
	  XMPPD("Callbridge.Add"),
	  .help = "let a Call Bridge log in here, with a new secret", },
	{ .pattern = "xmpp callbridge add-secret <name>", ADMIN,
	  XMPPD("Callbridge.AddSecret"), SECRET,
	  .help = "let a Call Bridge log in here, with a secret it has", },
	{ .pattern = "xmpp callbridge del <callbridge:name>", ADMIN,
	  XMPPD("Callbridge.Del"), .flags = CMD_REMOVES,
	  .help = "let a Call Bridge log in here no longer", },
	{ .pattern = "xmpp callbridge", AUDIT, XMPPD("Callbridge.List"),
	  .help = "the same as xmpp callbridge list", },
	{ .pattern = "xmpp callbridge list [detail]", AUDIT,
	  XMPPD("Callbridge.List"),
	  .help = "list the Call Bridges that may log in here", },
	{ .pattern = "xmpp component plaintext enable", ADMIN,
	  XMPPD("Component.EnablePlaintext"),
	  .help = "let components on this machine connect without TLS", },
	{ .pattern = "xmpp component plaintext disable", ADMIN,
	  XMPPD("Component.DisablePlaintext"),
	  .help = "let components connect with TLS only", },

	/* Further domains on the same server. */
	{ .pattern = "xmpp multi_domain add <domain> <key> <certificate> [<bundle>]",
	  ADMIN, XMPPD("Domain.Add"),
	  .help = "serve a further domain, with a certificate of its own", },
	{ .pattern = "xmpp multi_domain del <served:domain>", ADMIN,
	  XMPPD("Domain.Del"), .flags = CMD_REMOVES,
	  .help = "serve a further domain no longer; its accounts are kept", },
	{ .pattern = "xmpp multi_domain", AUDIT, XMPPD("Domain.List"),
	  .help = "the same as xmpp multi_domain list", },
	{ .pattern = "xmpp multi_domain list", AUDIT, XMPPD("Domain.List"),
	  .help = "list the further domains", },

	/* Accounts of XMPP clients. */
	{ .pattern = "xmpp user add <account:name>", ADMIN, XMPPD("User.Add"), PASSWORD,
	  .help = "create an account for XMPP clients", },
	{ .pattern = "xmpp user passwd <user:name>", ADMIN,
	  XMPPD("User.Passwd"), PASSWORD,
	  .help = "change the password of an account", },
	{ .pattern = "xmpp user del <user:name>", ADMIN, XMPPD("User.Del"),
	  .flags = CMD_REMOVES,
	  .help = "delete an account, its roster and its stored messages", },
	{ .pattern = "xmpp user export <basename>", ADMIN, LOCAL("User.Export"),
	  .help = "write all users, and what they have, to a file", },
	{ .pattern = "xmpp user import <file>", ADMIN, LOCAL("User.Import"),
	  .help = "take users from a file of another server (XEP-0227)", },
	{ .pattern = "xmpp user list", AUDIT, XMPPD("User.List"),
	  .help = "list the accounts", },

	/* Who is logged in. */
	{ .pattern = "xmpp sessions [<session:address>]", AUDIT,
	  XMPPD("Session.List"),
	  .help = "show who is logged in, on all servers, or one user", },
	{ .pattern = "xmpp kick <session:address>", ADMIN,
	  XMPPD("Session.Kick"), .flags = CMD_REMOVES,
	  .help = "end the sessions of a user, or one session", },

	{ .pattern = "xmpp stats", AUDIT, XMPPD("Stats.Show"),
	  .help = "show what this server has done and what is stored", },

	/* What they are held to, and told. */
	{ .pattern = "xmpp limits", AUDIT, XMPPD("Limits.List"),
	  .help = "show what clients are held to", },
	{ .pattern = "xmpp limits <limit> <setting:value>", ADMIN,
	  XMPPD("Limits.Set"),
	  .help = "change a limit, on all servers at once", },
	{ .pattern = "xmpp max_sessions <amount:value>", ADMIN,
	  XMPPD("Limits.MaxSessions"),
	  .help = "limit the sessions of a user; the same as xmpp limits "
	  "sessions", },
	{ .pattern = "xmpp max_sessions none", ADMIN, XMPPD("Limits.MaxSessions"),
	  .help = "set that limit back", },
	{ .pattern = "xmpp motd", AUDIT, XMPPD("Motd.Show"),
	  .help = "show the message of the day", },
	{ .pattern = "xmpp motd add <text>...", ADMIN, XMPPD("Motd.Add"),
	  .help = "tell everybody who logs in this", },
	{ .pattern = "xmpp motd del", ADMIN, XMPPD("Motd.Del"),
	  .flags = CMD_REMOVES, .help = "tell them nothing", },

	/* Whom they write to about the service, and who runs it. */
	{ .pattern = "xmpp contact", AUDIT, XMPPD("Contact.List"),
	  .help = "show the contact addresses that clients are shown", },
	{ .pattern = "xmpp contact set <role> <uri>...", ADMIN,
	  XMPPD("Contact.Set"),
	  .help = "set the contact addresses for something", },
	{ .pattern = "xmpp contact del <role>", ADMIN, XMPPD("Contact.Del"),
	  .flags = CMD_REMOVES, .help = "remove them", },
	{ .pattern = "xmpp admin", AUDIT, XMPPD("Admin.List"),
	  .help = "list who administers the service by XMPP", },
	{ .pattern = "xmpp admin add <user:name>", ADMIN, XMPPD("Admin.Add"),
	  .help = "let a user administer the service by XMPP", },
	{ .pattern = "xmpp admin del <admin:name>", ADMIN, XMPPD("Admin.Del"),
	  .flags = CMD_REMOVES,
	  .help = "let a user administer the service no longer", },

	/* What app servers are told of messages. */
	{ .pattern = "xmpp push", AUDIT, XMPPD("Push.Show"),
	  .help = "show what app servers are told of messages", },
	{ .pattern = "xmpp push count", ADMIN, XMPPD("Push.Count"),
	  .help = "tell app servers how many messages there are", },
	{ .pattern = "xmpp push sender", ADMIN, XMPPD("Push.Sender"),
	  .help = "the same, and from whom the last one is", },
	{ .pattern = "xmpp push body", ADMIN, XMPPD("Push.Body"),
	  .help = "the same, and how it begins", },

	/* What is kept of what they say. */
	{ .pattern = "xmpp archive", AUDIT, XMPPD("Archive.Show"),
	  .help = "show what is archived, and for how long", },
	{ .pattern = "xmpp archive always", ADMIN, XMPPD("Archive.Always"),
	  .help = "archive messages, unless their users choose otherwise", },
	{ .pattern = "xmpp archive roster", ADMIN, XMPPD("Archive.Roster"),
	  .help = "the same, but only those with contacts", },
	{ .pattern = "xmpp archive never", ADMIN, XMPPD("Archive.Never"),
	  .help = "archive only what users choose", },
	{ .pattern = "xmpp archive keep <amount:days>", ADMIN,
	  XMPPD("Archive.Keep"), .flags = CMD_REMOVES,
	  .help = "delete what was archived longer ago", },
	{ .pattern = "xmpp archive keep forever", ADMIN,
	  XMPPD("Archive.Keep"), .help = "delete nothing because of its age", },

	/* The cluster of XMPP servers. */
	{ .pattern = "xmpp cluster enable", ADMIN, XMPPD("Cluster.Enable"),
	  .help = "put the server in cluster mode; it must be disabled", },
	{ .pattern = "xmpp cluster disable", ADMIN, XMPPD("Cluster.Disable"),
	  .help = "leave cluster mode; the server must be in no cluster", },
	{ .pattern = "xmpp cluster trust <bundle>", ADMIN,
	  XMPPD("Cluster.Trust"),
	  .help = "set the certificates of the servers that are trusted", },
	{ .pattern = "xmpp cluster trust none", ADMIN, XMPPD("Cluster.Trust"),
	  .help = "trust no other server", .flags = CMD_REMOVES, },
	{ .pattern = "xmpp cluster initialize", ADMIN,
	  XMPPD("Cluster.Initialize"),
	  .help = "make a cluster of this server, for the others to join", },
	{ .pattern = "xmpp cluster join <address:member>", ADMIN,
	  XMPPD("Cluster.Join"),
	  .help = "join the cluster through a member", },
	{ .pattern = "xmpp cluster remove [<member>]", ADMIN,
	  XMPPD("Cluster.Remove"), .flags = CMD_REMOVES,
	  .help = "take this server, or another one, out of the cluster", },
	{ .pattern = "xmpp cluster hold <seconds>", ADMIN,
	  XMPPD("Cluster.Hold"),
	  .help = "set how long clients wait when a server is cut off", },
	{ .pattern = "xmpp cluster", AUDIT, XMPPD("Cluster.Status"),
	  .help = "the same as xmpp cluster status", },
	{ .pattern = "xmpp cluster status [detail]", AUDIT,
	  XMPPD("Cluster.Status"),
	  .help = "show this server's role and the list of peers", },

	/* Keys and certificates: the folder that SFTP shows. */
	{ .pattern = "pki list [detail]", AUDIT, LOCAL("Pki.List"),
	  .help = "list keys, certificates and requests", },
	{ .pattern = "pki inspect <file>", AUDIT, LOCAL("Pki.Inspect"),
	  .help = "say what a file is and print it", },
	{ .pattern = "pki csr <basename> <attribute>...", ADMIN,
	  LOCAL("Pki.Csr"),
	  .help = "make a private key and a signing request", },
	{ .pattern = "pki selfsigned <basename> [<attribute>...]", ADMIN,
	  LOCAL("Pki.Selfsigned"),
	  .help = "make a private key and a certificate signed by itself", },
	{ .pattern = "pki sign <csr> <ca>", ADMIN, LOCAL("Pki.Sign"),
	  .help = "sign a request with a self-signed certificate of here", },
	{ .pattern = "pki match <key> <certificate>", AUDIT,
	  LOCAL("Pki.Match"),
	  .help = "say whether a key and a certificate belong together", },
	{ .pattern = "pki verify <certificate> <bundle> [<file:root>]", AUDIT,
	  LOCAL("Pki.Verify"),
	  .help = "say whether a certificate is proved by a bundle", },
	{ .pattern = "pki unlock <key>", ADMIN, LOCAL("Pki.Unlock"),
	  .help = "remove the pass-phrase from a private key", },
	{ .pattern = "pki delete <file>", ADMIN, LOCAL("Pki.Delete"),
	  .flags = CMD_REMOVES, .help = "delete a file of the pki folder", },

	/* This node's own Call Bridge. */
	{ .pattern = "callbridge", AUDIT, BRIDGE("Bridge.Show"),
	  .help = "show the configuration of this node's Call Bridge", },
	{ .pattern = "callbridge status", AUDIT, BRIDGE("Bridge.Status"),
	  .help = "show where this node's Call Bridge is logged in", },
	{ .pattern = "callbridge restart", ADMIN, BRIDGE("Bridge.Restart"),
	  .help = "log in anew, with the trusted certificates read again",
	  .flags = CMD_REREAD, },
	{ .pattern = "callbridge xmpp", AUDIT, BRIDGE("Bridge.Show"),
	  .help = "show where this node's Call Bridge is to log in", },
	{ .pattern = "callbridge xmpp name <name>", ADMIN,
	  BRIDGE("Bridge.Name"),
	  .help = "set the unique name that it logs in with", },
	{ .pattern = "callbridge xmpp name none", ADMIN, BRIDGE("Bridge.Name"),
	  .help = "clear the name; it logs in nowhere", .flags = CMD_REMOVES, },
	{ .pattern = "callbridge xmpp domain <domain>", ADMIN,
	  BRIDGE("Bridge.Domain"),
	  .help = "set the XMPP domain that it logs in to", },
	{ .pattern = "callbridge xmpp domain none", ADMIN,
	  BRIDGE("Bridge.Domain"), .flags = CMD_REMOVES,
	  .help = "clear the domain; it logs in nowhere", },
	{ .pattern = "callbridge xmpp server <server>", ADMIN,
	  BRIDGE("Bridge.Server"),
	  .help = "log in to this server only: no fail-over", },
	{ .pattern = "callbridge xmpp server none", ADMIN,
	  BRIDGE("Bridge.Server"), .flags = CMD_REMOVES,
	  .help = "find servers by DNS SRV, and fail over between them", },
	{ .pattern = "callbridge xmpp secret", ADMIN, BRIDGE("Bridge.Secret"),
	  .ask = ASK_PASSWORD, .prompt = "Enter callbridge secret: ",
	  .asks = "secret",
	  .help = "set the secret that 'xmpp callbridge add' printed", },
	{ .pattern = "callbridge xmpp secret none", ADMIN,
	  BRIDGE("Bridge.Secret"), .flags = CMD_REMOVES,
	  .help = "clear the secret; it logs in nowhere", },
	{ .pattern = "callbridge trust xmpp <bundle>", ADMIN,
	  BRIDGE("Bridge.Trust"),
	  .help = "set the certificates that XMPP servers are checked with", },
	{ .pattern = "callbridge trust xmpp none", ADMIN,
	  BRIDGE("Bridge.Trust"), .flags = CMD_REMOVES,
	  .help = "check with the system's and this node's XMPP certificates",
	},

	/* The resolver that the Call Bridge finds servers with. */
	{ .pattern = "dns", AUDIT, BRIDGE("Dns.Show"),
	  .help = "show forward zones and local records", },
	{ .pattern = "dns add forwardzone <zone> <ip:server>", ADMIN,
	  BRIDGE("Dns.AddForwardzone"),
	  .help = "ask this server for names under a domain; . is all", },
	{ .pattern = "dns del forwardzone <forwardzone:zone> <ip:server>", ADMIN,
	  BRIDGE("Dns.DelForwardzone"), .flags = CMD_REMOVES,
	  .help = "ask this server no longer", },
	{ .pattern = "dns add rr <record>...", ADMIN, BRIDGE("Dns.AddRr"),
	  .help = "add a local record: <name> [<ttl>] [IN] <type> <data>", },
	{ .pattern = "dns del rr <rr:record>...", ADMIN, BRIDGE("Dns.DelRr"),
	  .flags = CMD_REMOVES, .help = "delete a local record", },
	{ .pattern = "dns lookup <rrtype:type> <dnsname:name>", AUDIT,
	  BRIDGE("Dns.Lookup"),
	  .help = "look a name up, as the Call Bridge does", },
	{ .pattern = "dns flush", ADMIN, BRIDGE("Dns.Flush"),
	  .help = "forget all answers", },

	/* The node. */
	{ .pattern = "iface [<interface>]", AUDIT, LOCAL("Node.Iface"),
	  .help = "show interfaces", },
	{ .pattern = "ipv4 [<interface>]", AUDIT, LOCAL("Node.Ipv4"),
	  .help = "show IPv4 addresses", },
	{ .pattern = "hostname", AUDIT, LOCAL("Node.Hostname"),
	  .help = "show the host name", },
	{ .pattern = "hostname <hostname:name>", ADMIN, LOCAL("Node.Hostname"),
	  .help = "set the host name", },
	{ .pattern = "version", AUDIT, LOCAL("Node.Version"),
	  .help = "show the version", },
	{ .pattern = "uptime", AUDIT, LOCAL("Node.Uptime"),
	  .help = "show for how long the node and its services run", },
	{ .pattern = "help [<topic>...]", AUDIT, LOCAL("Shell.Help"),
	  .help = "explain commands; 'help cluster' is the whole procedure", },
	{ .pattern = "exit|quit|logout", AUDIT, LOCAL("Shell.Exit"),
	  .help = "leave the shell", },
	{ .pattern = NULL, },
};

/* What a first word, or the first words, are about. */
const struct command_group command_groups[] = {
	{ "xmpp", "the XMPP server of this node" },
	{ "xmpp callbridge", "who may log in to the XMPP server: Call Bridges "
	  "and other components" },
	{ "xmpp component", "how components may connect" },
	{ "xmpp multi_domain", "further domains on the same server" },
	{ "xmpp user", "accounts of XMPP clients" },
	{ "xmpp sessions", "who is logged in" },
	{ "xmpp limits", "what clients are held to" },
	{ "xmpp motd", "what clients are told when they log in" },
	{ "xmpp contact", "whom clients write to about the service" },
	{ "xmpp admin", "who administers the service by XMPP" },
	{ "xmpp push", "what app servers are told of messages" },
	{ "xmpp archive", "what is kept of what clients say" },
	{ "xmpp cluster", "the cluster of XMPP servers" },
	{ "pki", "keys and certificates: the folder that SFTP shows" },
	{ "callbridge", "this node's own Call Bridge" },
	{ "callbridge xmpp", "where this node's Call Bridge logs in" },
	{ "callbridge trust", "what this node's Call Bridge trusts" },
	{ "dns", "the resolver that the Call Bridge finds servers with" },
	{ NULL, NULL },
};

/* Compared word by word, * is any; the longest that fits answers. */
const struct command_elsewhere commands_elsewhere[] = {
	{ "pki pkcs12-to-ssh", "put the public key into the administrator's "
	  "~/.ssh/authorized_keys" },
	{ "callbridge listen", "the Call Bridge opens no port: it connects to "
	  "XMPP servers, see 'callbridge xmpp'" },
	{ "callbridge prefer", "the Call Bridge opens no port: it connects to "
	  "XMPP servers, see 'callbridge xmpp'" },
	{ "callbridge certs", "the Call Bridge logs in with a secret: "
	  "'callbridge xmpp secret'; what it trusts is set with 'callbridge "
	  "trust xmpp <bundle>'" },
	{ "callbridge trust *", "it trusts XMPP servers only: 'callbridge trust "
	  "xmpp <bundle>'" },
	{ "webadmin", "configure the Call Bridge with 'callbridge xmpp "
	  "name|domain|server|secret' and look with 'callbridge status'" },
	{ "dns mmp", "there is one resolver: leave out 'mmp'" },
	{ "dns app", "there is one resolver: leave out 'app'" },
	{ "user", "administrators are accounts of the system in the groups "
	  "mmp-admin and mmp-audit, see adduser(8); accounts of XMPP clients "
	  "are 'xmpp user'" },
	{ "passwd", "an administrator's password is the system's, see "
	  "passwd(1); that of an XMPP account is 'xmpp user passwd <name>'" },
	{ "cac", "log in with a key: see ssh-keygen(1)" },
	{ "health", "there is no appliance hardware to watch; see 'xmpp', "
	  "'xmpp cluster status' and 'callbridge status'" },
	{ "timezone", "times are shown in UTC; the system's zone is set with "
	  "timedatectl(1)" },
	{ "date", "the clock is the system's, see date(1) and timedatectl(1)" },
	{ "ntp", "the clock is the system's, see timedatectl(1)" },
	{ "reboot", "the machine is rebooted by its own administrator, see "
	  "reboot(8); the server is restarted with 'xmpp restart'" },
	{ "shutdown", "the machine is shut down by its own administrator, see "
	  "shutdown(8); the server is stopped with 'xmpp disable'" },
	{ "ipv4 * *", "addresses are the system's, see ip(8); which of them this "
	  "node uses is in interfaces.json, see mmp(8)" },
	{ "ipv6", "'iface' shows the addresses of both families" },
	{ "iface * *", "interfaces are the system's, see ip(8)" },
	{ "ping", "use ping(8) from another account; 'dns lookup' tests names" },
	{ "traceroute", "use traceroute(8) from another account" },
	{ "pcap", "use tcpdump(8) from another account" },
	{ "syslog", "events go to the system's log, see journalctl(1) and "
	  "syslog.conf(5)" },
	{ "backup", "save the node's folder, see mmp(8), FILES" },
	{ "factory_reset", "use 'xmpp reset' and 'pki delete <file>'" },
	{ "upgrade", "the package manager installs new versions" },
	{ "license", "no licence is needed" },
	{ "tls", "TLS 1.2 and 1.3 are spoken everywhere, nothing older" },
	{ "firewall", "the firewall is the system's, see nft(8)" },
	{ "database", "nothing needs a database of its own; XMPP servers are "
	  "clustered with 'xmpp cluster'" },
	{ "webbridge", "there is no web bridge; clients connect to the XMPP "
	  "server" },
	{ "turn", "there is no TURN server" },
	{ "streamer", "there is no streamer" },
	{ "recorder", "there is no recorder" },
	{ "ldap", "accounts are made with 'xmpp user add <name>'" },
	{ NULL, NULL },
};
/* clang-format on */

const char *
command_interface(enum command_at at)
{
	static const char *const names[] = {
		[AT_LOCAL] = NULL,
		[AT_XMPPD] = "im.xmppd",
		[AT_CALLBRIDGE] = "im.callbridge",
	};

	return names[at];
}
