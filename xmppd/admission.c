/*
 * Letting a node in: compare -> NEXT_RAFT_ID -> MEMBER_SWAP -> answer.
 *
 * Failures: what differs is answered and nothing changed; a lost leader is
 * answered, and the node may ask again.
 */
#include "xmppd/admission.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/proposer.h"
#include "xmppd/compare.h"
#include "xmppd/membership.h"
#include "xmppd/node.h"

struct admission {
	struct node *node;
	uint64_t token, instance;
	struct join_request request;
	struct store_member row;
};

static void
answer_join(struct node *n, uint64_t token, int code, const char *text,
    const struct store_member *row)
{
	struct join_terms terms = { row, n->instance.cluster, n->domain,
		n->members, n->member_count };
	struct buf b = { 0 };

	join_answer_encode(&b, code, text, &terms);
	peers_answer(n->peers, token, b.data, b.len);
	buf_clear(&b);
}

static void
admission_end(struct admission *ad, int code, const char *text)
{
	struct node *n = ad->node;

	/* This node itself may have begun another life meanwhile. */
	if (n->instance.number == ad->instance && n->peers != NULL)
		answer_join(n, ad->token, code, text, &ad->row);
	store_member_clear(&ad->row);
	join_request_clear(&ad->request);
	free(ad);
}

static void
admitted_cb(void *arg, const struct proposer_result *result)
{
	struct admission *ad = arg;

	if (result->code == RES_OK)
		log_info("membership: %s joins as Raft id %u", ad->row.address,
		    ad->row.raft_id);
	admission_end(ad, result->code,
	    result->code == RES_OK ? ""
				   : "the cluster has no leader at the moment: "
				     "try again");
}

static void
raft_id_cb(void *arg, const struct proposer_result *result)
{
	struct admission *ad = arg;
	struct store_member *row = &ad->row;
	struct buf command = { 0 };

	if (result->code != RES_OK) {
		admission_end(ad, result->code,
		    "the cluster has no leader at "
		    "the moment: try again");
		return;
	}
	memcpy(row->identity, ad->request.identity, sizeof(row->identity));
	row->raft_id = (uint32_t)result->id;
	row->host = xstrdup(ad->request.host);
	row->address = xstrdup(ad->request.address);
	row->boot = ad->request.boot;
	crypto_random(row->key, sizeof(row->key));
	store_cmd_member_swap(&command, row);
	proposer_submit(
	    ad->node->proposer, command.data, command.len, admitted_cb, ad);
	buf_clear(&command);
}

/* A row of that identity elsewhere, whose node answers: the asker is a clone.
 */
static bool
is_clone(const struct node *n, const struct join_request *req)
{
	struct peer_trouble troubles[64];
	size_t count = peers_troubles(n->peers, troubles, 64);

	for (size_t i = 0; i < n->member_count; i++) {
		const struct store_member *row = &n->members[i];
		bool reachable = true;

		if (memcmp(row->identity, req->identity,
			sizeof(row->identity)) != 0 ||
		    strcmp(row->address, req->address) == 0)
			continue;
		for (size_t k = 0; k < count; k++)
			if (troubles[k].node == row->raft_id &&
			    troubles[k].since != 0)
				reachable = false;
		return reachable;
	}
	return false;
}

void
admission_request(struct node *n, const char *peer, uint64_t token,
    const void *msg, size_t len)
{
	struct admission *ad = xcalloc(1, sizeof(*ad));
	struct buf command = { 0 };
	struct error e;

	ad->node = n;
	ad->token = token;
	ad->instance = n->instance.number;
	if (join_request_decode(msg, len, &ad->request) != RES_OK) {
		log_warn("membership: %s: malformed request to join", peer);
		admission_end(ad, RES_INVALID, "malformed request to join");
		return;
	}
	if (!node_is_member(n) || !membership_is_settled(n->membership)) {
		char *address = node_address(n, NULL);
		char *text;

		xasprintf(&text,
		    "%s is in no cluster: run 'xmpp cluster "
		    "initialize' there first",
		    address != NULL ? address : "that node");
		admission_end(ad, RES_STATE, text);
		free(text);
		free(address);
		return;
	}
	if (join_compare(&ad->request, n->store, n->domain, &e) != RES_OK) {
		log_info("membership: %s may not join: %s", peer, e.text);
		admission_end(ad, e.code, e.text);
		return;
	}
	if (is_clone(n, &ad->request)) {
		admission_end(ad, RES_EXISTS,
		    "a member with the identity of this node is alive");
		return;
	}
	store_cmd_next_raft_id(&command);
	proposer_submit(n->proposer, command.data, command.len, raft_id_cb, ad);
	buf_clear(&command);
}
