/*
 * im.xmppd.Stats: what this node has done since its start, and what the store
 * holds, which is the same on all nodes.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "xmppd/cluster/store_archive.h"
#include "xmppd/ctl.h"
#include "xmppd/local_edges.h"
#include "xmppd/node.h"

static void
add_edge(struct edge *edge, void *arg)
{
	const struct edge_counters one = edge_counters(edge);
	struct edge_counters *sum = arg;

	sum->stanzas_in += one.stanzas_in;
	sum->stanzas_out += one.stanzas_out;
	sum->bytes_in += one.bytes_in;
	sum->bytes_out += one.bytes_out;
	sum->logins += one.logins;
	sum->failures += one.failures;
}

/* Resident bytes of this process (proc(5), statm); 0 if nobody says. */
static long long
resident(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long all, here = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu %llu", &all, &here) != 2)
		here = 0;
	fclose(f);
	return (long long)here * sysconf(_SC_PAGESIZE);
}

CTL_HANDLER(ctl_stats_show)
{
	struct node *n = ctx;
	struct edge_stats now = local_edges_stats(n->edges);
	struct edge_counters sum = { 0 };

	(void)params;
	local_edges_each(n->edges, add_edge, &sum);
	varlink_reply(call,
	    json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
		      "s:I, s:I, s:I, s:I}",
		"uptime", (json_int_t)(clock_unix() - n->started), "memory",
		(json_int_t)resident(), "edges",
		(json_int_t)local_edges_count(n->edges), "connections",
		(json_int_t)now.connections, "sessions",
		(json_int_t)now.sessions, "stanzas_in",
		(json_int_t)sum.stanzas_in, "stanzas_out",
		(json_int_t)sum.stanzas_out, "bytes_in",
		(json_int_t)sum.bytes_in, "bytes_out",
		(json_int_t)sum.bytes_out, "logins", (json_int_t)sum.logins,
		"failures", (json_int_t)sum.failures, "all_sessions",
		(json_int_t)directory_count(n->directory), "accounts",
		(json_int_t)store_account_count(n->store), "stored",
		(json_int_t)store_row_count(n->store), "archived",
		(json_int_t)store_archive_total(n->store)));
}
