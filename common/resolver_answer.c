/*
 * What comes back from DNS: answers read out of a packet, told in words, and
 * SRV records put into the order in which they are tried. Pure.
 */
#include "common/resolver.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/crypto.h"

static const char *const resolver_outcomes[] = {
	[RESOLVER_FOUND] = "found",
	[RESOLVER_NO_RECORD] = "no such record",
	[RESOLVER_NO_NAME] = "no such name (NXDOMAIN)",
	[RESOLVER_FAILED] = "refused or failed (REFUSED, SERVFAIL)",
	[RESOLVER_NO_REPLY] = "no reply",
	[RESOLVER_NO_SERVER] = "no DNS server is set for it",
	[RESOLVER_BAD_NAME] = "not a DNS name",
};

const char *
resolver_type_name(enum resolver_type type)
{
	switch (type) {
	case RESOLVER_A:
		return "A";
	case RESOLVER_AAAA:
		return "AAAA";
	case RESOLVER_SRV:
		return "SRV";
	}
	return "?";
}

const char *
resolver_outcome_text(enum resolver_outcome outcome)
{
	return resolver_outcomes[outcome];
}

void
resolver_describe(const struct resolver_result *r, char *out, size_t size)
{
	char what[128];

	if (r->outcome == RESOLVER_FOUND)
		snprintf(what, sizeof(what), "%zu answer%s", r->count,
		    r->count == 1 ? "" : "s");
	else
		snprintf(what, sizeof(what), "%s",
		    resolver_outcome_text(r->outcome));
	snprintf(out, size, "%s %s: %s%s%s", resolver_type_name(r->type),
	    r->name, what, r->server[0] != '\0' ? " from " : "", r->server);
}

/* RFC 2782: priority, weight, port, then the target, never compressed. */
static int
resolver_parse_srv(
    const ns_msg *msg, const ns_rr *rr, struct resolver_answer *a)
{
	const u_char *data = ns_rr_rdata(*rr);

	if (ns_rr_rdlen(*rr) < 7)
		return RES_INVALID;
	a->priority = (uint16_t)ns_get16(data);
	a->weight = (uint16_t)ns_get16(data + 2);
	a->port = (uint16_t)ns_get16(data + 4);
	if (ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg), data + 6,
		a->value, sizeof(a->value)) < 0)
		return RES_INVALID;
	return RES_OK;
}

static int
resolver_parse_answer(
    const ns_msg *msg, const ns_rr *rr, struct resolver_answer *a)
{
	bool ipv6 = ns_rr_type(*rr) == ns_t_aaaa;

	memset(a, 0, sizeof(*a));
	if (ns_rr_type(*rr) == ns_t_srv)
		return resolver_parse_srv(msg, rr, a);
	if (ns_rr_rdlen(*rr) != (ipv6 ? 16 : 4))
		return RES_INVALID;
	inet_ntop(ipv6 ? AF_INET6 : AF_INET, ns_rr_rdata(*rr), a->value,
	    sizeof(a->value));
	return RES_OK;
}

int
resolver_parse(const uint8_t *packet, size_t len, enum resolver_type type,
    struct resolver_reply *reply)
{
	ns_msg msg;
	ns_rr rr;

	reply->count = 0;
	reply->ttl = 0;
	if (len > NS_MAXMSG || ns_initparse(packet, (int)len, &msg) < 0)
		return RES_INVALID;
	reply->rcode = ns_msg_getflag(msg, ns_f_rcode);
	for (int i = 0; i < ns_msg_count(msg, ns_s_an); i++) {
		if (ns_parserr(&msg, ns_s_an, i, &rr) < 0)
			return RES_INVALID;
		/* Aliases on the way count for the time to live only. */
		if (i == 0 || ns_rr_ttl(rr) < reply->ttl)
			reply->ttl = (uint32_t)ns_rr_ttl(rr);
		if ((int)ns_rr_type(rr) != (int)type ||
		    reply->count == RESOLVER_ANSWERS_MAX)
			continue;
		if (resolver_parse_answer(
			&msg, &rr, &reply->answers[reply->count]) != RES_OK)
			return RES_INVALID;
		reply->count++;
	}
	return RES_OK;
}

/* The top of the range that doesn't divide evenly is drawn again. */
uint32_t
resolver_random(uint32_t below, void *arg)
{
	uint64_t limit = UINT64_MAX - UINT64_MAX % below, drawn;

	(void)arg;
	do
		drawn = crypto_random_u64();
	while (drawn >= limit);
	return (uint32_t)(drawn % below);
}

static void
resolver_swap(struct resolver_answer *a, struct resolver_answer *b)
{
	struct resolver_answer kept = *a;

	*a = *b;
	*b = kept;
}

/* Whether a comes before b before anything is drawn: within a priority those
 * of weight 0 stand first (RFC 2782). */
static bool
resolver_before(
    const struct resolver_answer *a, const struct resolver_answer *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority;
	return a->weight == 0 && b->weight != 0;
}

/* Draws one by weight out of `count` of one priority. */
static size_t
resolver_draw(const struct resolver_answer *answers, size_t count,
    resolver_random_fn random, void *arg)
{
	uint32_t sum = 0, drawn;
	size_t i;

	for (i = 0; i < count; i++)
		sum += answers[i].weight;
	drawn = random(sum + 1, arg);
	sum = 0;
	for (i = 0; i < count - 1; i++) {
		sum += answers[i].weight;
		if (sum >= drawn)
			break;
	}
	return i;
}

void
resolver_order(struct resolver_answer *answers, size_t count,
    resolver_random_fn random, void *arg)
{
	size_t end;

	/*
	 * Shuffled first: the order of the packet must not decide between
	 * equals, and with all weights 0 RFC 2782's draw always takes the
	 * first.
	 */
	for (size_t i = count; i > 1; i--)
		resolver_swap(
		    &answers[i - 1], &answers[random((uint32_t)i, arg)]);
	for (size_t i = 1; i < count; i++)
		for (size_t k = i;
		     k > 0 && resolver_before(&answers[k], &answers[k - 1]);
		     k--)
			resolver_swap(&answers[k], &answers[k - 1]);
	for (size_t i = 0; i < count; i++) {
		size_t pick;

		end = i + 1;
		while (
		    end < count && answers[end].priority == answers[i].priority)
			end++;
		pick = i + resolver_draw(&answers[i], end - i, random, arg);
		/* Moved to the front; the rest keeps its order. */
		for (; pick > i; pick--)
			resolver_swap(&answers[pick], &answers[pick - 1]);
	}
}
