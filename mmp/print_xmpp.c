/*
 * The XMPP server, who may log in to it, and its cluster, in their documented
 * layouts.
 */
#include "mmp/fields.h"

#include "common/strutil.h"
#include "mmp/mmp.h"
#include "mmp/print.h"

/* ---- xmpp -------------------------------------------------------------- */

static const struct field xmpp_fields[] = {
	{ "Enabled", "enabled", FIELD_BOOL },
	{ "Clustered", "clustered", FIELD_BOOL },
	{ "Domain", "domain", FIELD_TEXT },
	{ "Listening interfaces", "listen", FIELD_LIST },
	{ "WebSocket interfaces", "websocket", FIELD_LIST },
	{ "Key file", "key_file", FIELD_TEXT },
	{ "Certificate file", "certificate_file", FIELD_TEXT },
	{ "CA Bundle file", "bundle_file", FIELD_TEXT },
	{ "Max sessions per user", "max_sessions", FIELD_LIMIT },
	{ "STATUS", "status", FIELD_TEXT },
};

static const struct field xmpp_detail[] = {
	{ "Cluster trust bundle", "trust_file", FIELD_TEXT },
	{ "Plaintext components", "plaintext_components", FIELD_BOOL },
	{ "Uptime in seconds", "uptime", FIELD_NUMBER },
};

void
print_xmpp(FILE *out, const json_t *result)
{
	PRINT_FIELDS(out, result, xmpp_fields, 24);
	if (field_is_set(result, "detail"))
		PRINT_FIELDS(out, result, xmpp_detail, 24);
	field_lines(out,
	    "ALARM                   : ", json_object_get(result, "alarms"));
}

static const struct field callbridge_fields[] = {
	{ "Callbridge", "name", FIELD_TEXT },
	{ "Domain", "domain", FIELD_TEXT },
	{ "Secret", "secret", FIELD_TEXT },
};

static const struct field callbridge_digest[] = {
	{ "Callbridge", "name", FIELD_TEXT },
	{ "Domain", "domain", FIELD_TEXT },
	{ "Digest", "digest", FIELD_TEXT },
};

void
print_callbridge_added(FILE *out, const json_t *result)
{
	fputs("Success     : true\n", out);
	PRINT_FIELDS(out, result, callbridge_fields, 12);
}

/* From which address to this server, or to which other one. */
static void
print_connected(FILE *out, const json_t *one)
{
	const char *from = field_text(one, "connected");
	const char *server = field_text(one, "server");

	fputs("Connected   : ", out);
	if (from == NULL && server != NULL)
		fputs("through ", out);
	print_text(out, from != NULL ? from : server != NULL ? server : "none");
	fputc('\n', out);
}

void
print_callbridges(FILE *out, const json_t *result)
{
	const json_t *list = json_object_get(result, "callbridges"), *one;
	bool detail = field_is_set(result, "detail");
	size_t i;

	json_array_foreach(list, i, one) {
		fputs("***\n", out);
		if (field_text(one, "secret") != NULL)
			PRINT_FIELDS(out, one, callbridge_fields, 12);
		else
			PRINT_FIELDS(out, one, callbridge_digest, 12);
		if (detail)
			print_connected(out, one);
	}
	if (json_array_size(list) == 0)
		fputs("no Call Bridges\n", out);
}

/* ---- xmpp cluster ------------------------------------------------------ */

static void
print_peer(FILE *out, const json_t *peer, bool detail)
{
	const char *host = field_text(peer, "host");
	const json_t *since = json_object_get(peer, "since");

	print_text(out, field_text(peer, "address"));
	if (field_is_set(peer, "leader"))
		fputs(" (Leader)", out);
	if (detail && field_is_set(peer, "me"))
		fputs(" (me)", out);
	if (detail && host != NULL) {
		fputs(" ", out);
		print_text(out, host);
	}
	if (detail && !field_is_set(peer, "me")) {
		fputs(field_is_set(peer, "reachable") ? " Connected"
						      : " Not reachable",
		    out);
		if (json_is_integer(since)) {
			fputs(" since ", out);
			field_time(out, since);
		}
	}
	fputc('\n', out);
}

static const struct field cluster_detail[] = {
	{ "Trust bundle", "trust_file", FIELD_TEXT },
	{ "Hold in seconds", "hold", FIELD_NUMBER },
	{ "Term", "term", FIELD_NUMBER },
	{ "Applied", "applied", FIELD_NUMBER },
	{ "Stored in bytes", "stored", FIELD_NUMBER },
	{ "Last command", "last_command", FIELD_TEXT },
};

void
print_cluster(FILE *out, const json_t *result)
{
	const json_t *peers = json_object_get(result, "peers"), *peer;
	const char *state = field_text(result, "state");
	const json_t *since = json_object_get(result, "since");
	bool detail = field_is_set(result, "detail");
	bool lost = str_equal(state, "NO LEADER");
	size_t i;

	fprintf(out, "State: %s\n", state != NULL ? state : "unknown");
	if ((lost || detail) && json_is_integer(since)) {
		fputs("Since: ", out);
		field_time(out, since);
		fputc('\n', out);
	}
	if (field_text(result, "reason") != NULL) {
		fputs("Reason: ", out);
		print_text(out, field_text(result, "reason"));
		fputc('\n', out);
	}
	if (json_array_size(peers) > 0)
		fputs(lost ? "This server\n" : "List of peers\n", out);
	json_array_foreach(peers, i, peer)
		print_peer(out, peer, detail);
	if (detail)
		PRINT_FIELDS(out, result, cluster_detail, 16);
	field_lines(out, "", json_object_get(result, "advice"));
}
