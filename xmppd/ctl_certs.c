/*
 * im.xmppd.Xmpp.Certs: the server's key and certificate, checked as a whole,
 * and by the other members of the cluster before it is taken.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/control.h"
#include "xmppd/ctl.h"
#include "xmppd/node.h"

#define TRUST_CHECK_MS 2000

/* ---- certificates ------------------------------------------------------ */

/* A change of certificate, while the other members are asked about it. */
struct certs_change {
	struct node *node;
	struct varlink_call *call;
	json_t *checks;
	struct pki_service service;
	char *key_name, *cert_name, *bundle_name;
	unsigned asked;
	char *refusal;
	bool restart;
};

static void
certs_free(struct certs_change *c)
{
	pki_service_clear(&c->service);
	free(c->key_name);
	free(c->cert_name);
	free(c->bundle_name);
	free(c->refusal);
	free(c);
}

static int
certs_commit(struct node *n, const struct certs_change *c, struct error *e)
{
	const struct {
		unsigned key;
		const char *value;
	} rows[] = {
		{ SET_KEY, c->service.key },
		{ SET_CERT, c->service.cert },
		{ SET_BUNDLE, c->service.bundle },
		{ SET_KEY_FILE, c->key_name },
		{ SET_CERT_FILE, c->cert_name },
		{ SET_BUNDLE_FILE, c->bundle_name },
	};
	int rc = RES_OK;

	for (size_t i = 0; rc == RES_OK && i < sizeof(rows) / sizeof(rows[0]);
	     i++)
		rc = conf_set_text(n->conf, rows[i].key,
		    str_equal(rows[i].value, "") ? NULL : rows[i].value, e);
	if (rc == RES_OK)
		rc = conf_commit(n->conf, e);
	if (rc == RES_OK)
		rc = node_apply(n, e);
	return rc;
}

static void
certs_finish(struct certs_change *c)
{
	struct error e;

	if (c->refusal != NULL)
		ctl_check(c->checks, false, "%s", c->refusal);
	else if (certs_commit(c->node, c, &e) != RES_OK)
		ctl_check(c->checks, false, "%s", e.text);
	else if (c->restart)
		ctl_check(c->checks, true, "XMPP server restarted");
	else
		ctl_check(c->checks, true, "Key and certificate set");
	ctl_reply_checks(c->call, c->checks);
	certs_free(c);
}

struct trust_question {
	struct certs_change *change;
	char *member;
};

static void
trust_answered_cb(
    void *arg, int code, const char *why, const void *msg, size_t len)
{
	struct trust_question *q = arg;
	struct certs_change *c = q->change;

	(void)why;
	/* A member that isn't reachable has no say; an empty answer is of an
	 * older version, which does not know the question. */
	if (code == RES_OK && len > 1 && *(const uint8_t *)msg == 0 &&
	    c->refusal == NULL)
		xasprintf(&c->refusal,
		    "member %s would not trust this certificate: %.*s; run "
		    "'xmpp cluster trust' there first with a bundle that has "
		    "it",
		    q->member, (int)(len - 1), (const char *)msg + 1);
	free(q->member);
	free(q);
	if (--c->asked == 0)
		certs_finish(c);
}

/* Asks each other member whether it would trust the new certificate. */
static void
certs_ask_members(struct certs_change *c)
{
	struct node *n = c->node;
	const struct store_member *self = node_self(n);
	struct buf b = { 0 };

	buf_add_u8(&b, CONTROL_TRUST_CHECK);
	buf_add_text(&b, self != NULL ? self->host : NULL);
	buf_add_text(&b, self != NULL ? self->address : NULL);
	buf_add_str(&b, c->service.cert);
	buf_add_str(&b, c->service.bundle);
	c->asked = 1;
	for (size_t i = 0; self != NULL && i < n->member_count; i++) {
		struct trust_question *q;

		if (&n->members[i] == self)
			continue;
		q = xcalloc(1, sizeof(*q));
		q->change = c;
		q->member = xstrdup(n->members[i].address);
		c->asked++;
		peers_request(n->peers, n->members[i].raft_id, NULL, b.data,
		    b.len, TRUST_CHECK_MS, trust_answered_cb, q);
	}
	buf_clear(&b);
	if (--c->asked == 0)
		certs_finish(c);
}

/* "10.1.1.1:5222", "[2001:db8::1]:5222" -> the address alone. */
static void
drop_port(char *address)
{
	char *port = strrchr(address, ':');
	size_t len;

	if (port != NULL)
		*port = '\0';
	len = strlen(address);
	if (len < 2 || address[0] != '[' || address[len - 1] != ']')
		return;
	memmove(address, address + 1, len - 2);
	address[len - 2] = '\0';
}

static void
trust_judge(struct node *n, struct cursor *c, struct buf *answer)
{
	const char *trust = conf_text(n->conf, SET_TRUST);
	char *host = cursor_dup_text(c), *address = cursor_dup_text(c);
	struct pki_file file = { "certificate", c->p, cursor_left(c) };
	struct pki_file bundle = { "trust", trust,
		trust == NULL ? 0 : strlen(trust) };
	struct pki_certs sent = { 0 }, trusted = { 0 };
	struct pki_peer peer = {
		.domain = n->domain, .host = host, .address = address
	};
	struct error e = { 0 };
	int rc = RES_INVALID;

	if (address != NULL)
		drop_port(address);
	if (cursor_ok(c) && trust != NULL &&
	    pki_read_certs(&file, &sent, &e) == RES_OK &&
	    pki_read_certs(&bundle, &trusted, &e) == RES_OK) {
		peer.cert = sent.cert[0];
		peer.sent = &sent;
		rc = pki_trust_peer(&trusted, &peer, &e);
	}
	buf_add_u8(answer, rc == RES_OK);
	if (rc != RES_OK)
		buf_add_str(
		    answer, e.text[0] != '\0' ? e.text : "no trust bundle");
	pki_certs_clear(&sent);
	pki_certs_clear(&trusted);
	free(host);
	free(address);
}

void
ctl_trust_request(struct node *n, uint64_t token, const void *msg, size_t len)
{
	struct buf answer = { 0 };
	struct cursor c;

	cursor_init(&c, msg, len);
	cursor_u8(&c);
	trust_judge(n, &c, &answer);
	peers_answer(n->peers, token, answer.data, answer.len);
	buf_clear(&answer);
}

void
ctl_certs_set(struct node *n, struct varlink_call *call, json_t *params,
    json_t *checks, bool restart)
{
	struct certs_change *c = xcalloc(1, sizeof(*c));
	struct pki_service_files files = {
		.domain = n->domain, .system = true, .now = clock_unix()
	};

	ctl_file(params, "key", &files.key);
	ctl_file(params, "certificate", &files.cert);
	if (ctl_file(params, "bundle", &files.bundle))
		c->bundle_name = xstrdup(files.bundle.name);
	c->node = n;
	c->call = call;
	c->checks = checks;
	c->restart = restart;
	c->key_name = xstrdup(files.key.name);
	c->cert_name = xstrdup(files.cert.name);
	if (pki_check_service(&files, &c->service)) {
		ctl_check_lines(checks, &c->service.lines);
		certs_ask_members(c);
		return;
	}
	ctl_check_lines(checks, &c->service.lines);
	ctl_reply_checks(call, checks);
	certs_free(c);
}

static void
certs_clear(struct node *n, struct varlink_call *call)
{
	static const unsigned keys[] = { SET_KEY, SET_CERT, SET_BUNDLE,
		SET_KEY_FILE, SET_CERT_FILE, SET_BUNDLE_FILE };
	struct error e;

	if (conf_bool(n->conf, SET_ENABLED) || node_is_member(n)) {
		varlink_error(call, RES_STATE, "%s",
		    conf_bool(n->conf, SET_ENABLED)
			? "XMPP server is enabled, run 'xmpp disable' first"
			: "the cluster knows this server by its certificate: "
			  "run 'xmpp cluster remove' first");
		return;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		conf_clear(n->conf, keys[i]);
	if (conf_commit(n->conf, &e) != RES_OK || node_apply(n, &e) != RES_OK)
		varlink_error_from(call, &e);
	else
		ctl_reply_done(call, "Key and certificate removed");
}

CTL_HANDLER(ctl_xmpp_certs)
{
	struct node *n = ctx;
	struct pki_file key, cert;
	bool have_key = ctl_file(params, "key", &key);
	bool have_cert = ctl_file(params, "certificate", &cert);

	if (have_key && have_cert)
		ctl_certs_set(n, call, params, ctl_checks(), false);
	else if (!have_key && !have_cert)
		certs_clear(n, call);
	else
		varlink_error(call, RES_INVALID,
		    "a key and a certificate belong together");
}
