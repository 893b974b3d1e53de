/*
 * A client for load and timing.
 *
 *   connect -> features -> starttls -> TLS -> features -> SCRAM -> features
 *     -> bind -> bound
 *
 * Any error or refusal ends it with closed(). Over the relay it begins with TLS
 * and its number, and reads the stanzas of the other's as those of a stream.
 */
#include "tests/lib/bot.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "common/conn.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/stanza.h"
#include "common/strutil.h"
#include "common/tls.h"
#include "common/xmalloc.h"

#define CONNECT_MS 30000
#define NS_SCRAM "urn:ietf:params:xml:ns:xmpp-sasl"

struct bot {
	struct bot_env *env;
	const struct bot_ops *ops;
	void *arg;
	struct conn *conn;
	struct xmlstream *xml;
	char *user, *jid;
	uint32_t number; /* relayed */
	bool secured, authenticated, bound;
	char nonce[23];
	struct buf auth_message; /* RFC 5802, 3: so far */
};

/* A salted password. */
struct bot_salted {
	char *key;
	uint8_t salted[20];
};

static const struct xml_limits limits = { 1 << 20, 50, 50 };

static char *
read_ca(const char *path)
{
	size_t len;
	char *pem = file_read(path, 1 << 20, &len);

	if (pem == NULL)
		fatal("%s", path);
	return pem;
}

void
bot_env_set_address(struct bot_env *env, const char *host, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&env->address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&env->address;

	env->address = (struct sockaddr_storage){ 0 };
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		env->address_len = sizeof(*in);
		return;
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	env->address_len = sizeof(*in6);
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
		fatalx("%s: not a numeric address", host);
}

void
bot_env_init(
    struct bot_env *env, const char *host, uint16_t port, const char *ca)
{
	char *pem = read_ca(ca);
	struct error e;

	*env = (struct bot_env){ .base = event_base_new() };
	env->loop = conn_loop_new(env->base);
	env->tls = tls_client_new(NULL, NULL, pem, &e);
	free(pem);
	if (env->tls == NULL)
		fatalx("%s: %s", ca, e.text);
	bot_env_set_address(env, host, port);
	/* Each login is a full handshake. */
	SSL_CTX_set_session_cache_mode(env->tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(env->tls, SSL_OP_NO_TICKET);
}

static void
bot_drop(struct bot *c)
{
	xmlstream_free(c->xml);
	buf_clear(&c->auth_message);
	free(c->user);
	free(c->jid);
	free(c);
}

/* Ends it from inside; the connection is closed already or now. */
static void
bot_fail(struct bot *c, const char *why)
{
	const struct bot_ops *ops = c->ops;
	void *arg = c->arg;

	if (c->conn != NULL)
		conn_abort(c->conn);
	bot_drop(c);
	ops->closed(arg, why);
}

static void
write_text(struct bot *c, const char *text)
{
	conn_write(c->conn, text, strlen(text));
}

static void
open_stream(struct bot *c)
{
	struct buf b = { 0 };

	buf_addf(&b,
	    "<?xml version='1.0'?><stream:stream to='%s' xmlns='" NS_CLIENT
	    "' xmlns:stream='" NS_STREAM "' version='1.0'>",
	    c->env->domain);
	conn_write(c->conn, b.data, b.len);
	buf_clear(&b);
}

/* ---- SCRAM-SHA-1, RFC 5802 --------------------------------------------- */

static void
send_sasl(struct bot *c, const char *element, const char *text)
{
	char *coded = crypto_base64(text, strlen(text));
	struct buf b = { 0 };

	buf_addf(&b, "<%s xmlns='" NS_SCRAM "'%s>%s</%s>", element,
	    strcmp(element, "auth") == 0 ? " mechanism='SCRAM-SHA-1'" : "",
	    coded, element);
	conn_write(c->conn, b.data, b.len);
	buf_clear(&b);
	free(coded);
}

static void
scram_first(struct bot *c)
{
	struct buf b = { 0 };

	crypto_random_text(c->nonce, sizeof(c->nonce) - 1);
	buf_addf(&c->auth_message, "n=%s,r=%s", c->user, c->nonce);
	buf_addf(&b, "n,,%s", buf_str(&c->auth_message));
	send_sasl(c, "auth", buf_str(&b));
	buf_clear(&b);
}

static const struct bot_salted *
salted_password(struct bot *c, const char *salt_text, const char *iterations)
{
	struct bot_env *env = c->env;
	struct bot_salted *s;
	size_t salt_len = 0;
	uint8_t *salt;
	char *key;

	xasprintf(&key, "%s %s %s", c->user, salt_text, iterations);
	s = map_find_str(&env->salted, key);
	if (s != NULL) {
		free(key);
		return s;
	}
	salt = crypto_unbase64(salt_text, &salt_len);
	s = xcalloc(1, sizeof(*s));
	s->key = key;
	PKCS5_PBKDF2_HMAC(env->password, (int)strlen(env->password), salt,
	    (int)salt_len, atoi(iterations), EVP_sha1(), sizeof(s->salted),
	    s->salted);
	free(salt);
	map_put_str(&env->salted, s->key, s);
	return s;
}

static void
scram_proof(const uint8_t salted[20], struct buf *message, uint8_t proof[20])
{
	uint8_t key[20], stored[20], signature[20];

	crypto_hmac_sha1(salted, 20, "Client Key", 10, key);
	crypto_sha1(key, 20, stored);
	crypto_hmac_sha1(stored, 20, message->data, message->len, signature);
	for (size_t i = 0; i < 20; i++)
		proof[i] = key[i] ^ signature[i];
}

/* "r=...,s=...,i=..." */
static bool
scram_final(struct bot *c, char *server_first)
{
	char *salt = strstr(server_first, ",s="), *iterations, *coded;
	struct buf final = { 0 };
	uint8_t proof[20];

	buf_addf(&c->auth_message, ",%s", server_first);
	if (strncmp(server_first, "r=", 2) != 0 || salt == NULL ||
	    (iterations = strstr(salt, ",i=")) == NULL ||
	    strncmp(server_first + 2, c->nonce, strlen(c->nonce)) != 0)
		return false;
	*salt = *iterations = '\0';
	buf_addf(&final, "c=biws,r=%s", server_first + 2);
	buf_addf(&c->auth_message, ",%s", buf_str(&final));
	scram_proof(salted_password(c, salt + 3, iterations + 3)->salted,
	    &c->auth_message, proof);
	coded = crypto_base64(proof, sizeof(proof));
	buf_addf(&final, ",p=%s", coded);
	send_sasl(c, "response", buf_str(&final));
	buf_clear(&final);
	free(coded);
	return true;
}

static void
on_challenge(struct bot *c, const struct xml_stanza *s)
{
	char *coded = xstrndup(s->inner, s->inner_len), *text;
	size_t len;
	bool good;

	text = (char *)crypto_unbase64(coded, &len);
	free(coded);
	good = text != NULL && scram_final(c, text);
	free(text);
	if (!good)
		bot_fail(c, "malformed challenge");
}

/* ---- the stream --------------------------------------------------------- */

static void
on_features(struct bot *c)
{
	if (!c->secured)
		write_text(c, "<starttls xmlns='" NS_TLS "'/>");
	else if (!c->authenticated)
		scram_first(c);
	else
		write_text(c,
		    "<iq type='set' id='bind'><bind xmlns='" NS_BIND
		    "'/></iq>");
}

static void
on_bound(struct bot *c, const struct xml_stanza *s)
{
	char *inner = xstrndup(s->inner, s->inner_len);
	const char *from = strstr(inner, "<jid>");
	const char *to = from == NULL ? NULL : strstr(from, "</jid>");

	if (to != NULL)
		c->jid = xstrndup(from + 5, (size_t)(to - from - 5));
	free(inner);
	if (c->jid == NULL) {
		bot_fail(c, "no address was bound");
		return;
	}
	c->bound = true;
	c->ops->bound(c->arg);
}

static void
stanza_cb(void *arg, const struct xml_stanza *s)
{
	struct bot *c = arg;

	if (c->bound) {
		c->ops->stanza(c->arg, s);
	} else if (str_equal(s->name, "features")) {
		on_features(c);
	} else if (str_equal(s->name, "proceed")) {
		xmlstream_restart(c->xml, true);
		conn_start_tls(
		    c->conn, tls_client_ssl(c->env->tls, c->env->domain));
	} else if (str_equal(s->name, "challenge")) {
		on_challenge(c, s);
	} else if (str_equal(s->name, "success")) {
		c->authenticated = true;
		xmlstream_restart(c->xml, true);
		open_stream(c);
	} else if (str_equal(s->id, "bind") && str_equal(s->type, "result")) {
		on_bound(c, s);
	} else {
		bot_fail(c, s->name);
	}
}

static void
open_cb(void *arg, const struct xml_open *open)
{
	(void)arg;
	(void)open;
}

static void
end_cb(void *arg)
{
	bot_fail(arg, "end of stream");
}

static void
error_cb(void *arg, enum stream_error error, const char *text)
{
	(void)text;
	bot_fail(arg, stream_error_name(error));
}

static const struct xmlstream_ops xml_ops = { open_cb, stanza_cb, end_cb,
	error_cb, NULL };

static void
read_cb(void *arg, const uint8_t *data, size_t len)
{
	struct bot *c = arg;

	xmlstream_feed(c->xml, data, len);
}

static void
ready_relayed(struct bot *c)
{
	static const char open[] = "<stream:stream xmlns='" NS_CLIENT
				   "' xmlns:stream='" NS_STREAM "'>";
	uint32_t number = htonl(c->number);

	if (!c->secured) {
		conn_start_tls(
		    c->conn, tls_client_ssl(c->env->tls, c->env->domain));
		return;
	}
	conn_write(c->conn, &number, sizeof(number));
	xmlstream_feed(c->xml, (const uint8_t *)open, sizeof(open) - 1);
	c->bound = true;
	c->ops->bound(c->arg);
}

static void
ready_cb(void *arg)
{
	struct bot *c = arg;

	c->secured = conn_ssl(c->conn) != NULL;
	if (c->env->relay)
		ready_relayed(c);
	else
		open_stream(c);
}

static void
closed_cb(void *arg, const char *why)
{
	struct bot *c = arg;

	c->conn = NULL;
	bot_fail(c, why);
}

struct bot *
bot_new(struct bot_env *env, const char *user, const char *from,
    const struct bot_ops *ops, void *arg)
{
	struct sockaddr_in own = { .sin_family = AF_INET };
	static const struct conn_ops conn_ops = {
		.read = read_cb, .ready = ready_cb, .closed = closed_cb
	};
	struct bot *c = xcalloc(1, sizeof(*c));

	if (from != NULL && inet_pton(AF_INET, from, &own.sin_addr) != 1)
		fatalx("%s: not a numeric address", from);
	c->env = env;
	c->ops = ops;
	c->arg = arg;
	c->user = xstrdup(user);
	c->xml = xmlstream_new(&limits, &xml_ops, c);
	c->conn = conn_connect(env->loop,
	    (const struct sockaddr *)&env->address, env->address_len,
	    from == NULL ? NULL : (const struct sockaddr *)&own, CONNECT_MS,
	    &conn_ops, c);
	if (c->conn == NULL)
		fatal("connect");
	return c;
}

struct bot *
bot_new_relayed(
    struct bot_env *env, uint32_t number, const struct bot_ops *ops, void *arg)
{
	struct bot *c;
	char *user;

	xasprintf(&user, "user%u", number);
	c = bot_new(env, user, NULL, ops, arg);
	c->number = number;
	xasprintf(&c->jid, "%s@%s/relayed", user, env->domain);
	free(user);
	return c;
}

void
bot_free(struct bot *c)
{
	if (c == NULL)
		return;
	write_text(c, "</stream:stream>");
	conn_close(c->conn);
	bot_drop(c);
}

void
bot_send(struct bot *c, const void *data, size_t len)
{
	conn_write(c->conn, data, len);
}

const char *
bot_jid(const struct bot *c)
{
	return c->jid;
}
