/*
 * The hello of a connection between nodes. Pure.
 */
#include "xmppd/cluster/peer_hello.h"

#include <string.h>

#include "common/crypto.h"
#include "common/result.h"
#include "common/strutil.h"
#include "xmppd/cluster/peer.h"

static void
encode_body(struct buf *out, const struct peer_hello *h)
{
	buf_add_u16(out, h->protocol);
	buf_add(out, h->cluster, sizeof(h->cluster));
	buf_add_u8(out, h->channel);
	buf_add_u8(out, h->verdict);
	buf_add_u32(out, h->from);
	buf_add_u32(out, h->to);
	buf_add_u64(out, h->boot);
	buf_add_text(out, h->host);
	buf_add_text(out, h->address);
	buf_add_text(out, h->text);
}

void
peer_hello_encode(struct buf *out, const struct peer_hello *h)
{
	encode_body(out, h);
	buf_add(out, h->proof, sizeof(h->proof));
}

static bool
decode_bytes(struct cursor *c, uint8_t *out, size_t len)
{
	const uint8_t *at = cursor_bytes(c, len);

	if (at != NULL)
		memcpy(out, at, len);
	return at != NULL;
}

static bool
decode_text(struct cursor *c, char *out, size_t size)
{
	size_t len;
	const char *text = cursor_text(c, &len);

	if (text == NULL || len >= size || !str_is_utf8(text, len))
		return false;
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

int
peer_hello_decode(const void *data, size_t len, struct peer_hello *h)
{
	struct cursor c;

	*h = (struct peer_hello){ 0 };
	cursor_init(&c, data, len);
	h->protocol = cursor_u16(&c);
	/* What another version says behind it isn't known. */
	if (cursor_ok(&c) && h->protocol != PEER_PROTOCOL)
		return RES_OK;
	if (!decode_bytes(&c, h->cluster, sizeof(h->cluster)))
		return RES_INVALID;
	h->channel = cursor_u8(&c);
	h->verdict = cursor_u8(&c);
	h->from = cursor_u32(&c);
	h->to = cursor_u32(&c);
	h->boot = cursor_u64(&c);
	if (!cursor_ok(&c) || h->channel >= PEER_CHANNELS ||
	    h->verdict >= PEER_VERDICTS ||
	    !decode_text(&c, h->host, sizeof(h->host)) ||
	    !decode_text(&c, h->address, sizeof(h->address)) ||
	    !decode_text(&c, h->text, sizeof(h->text)) ||
	    !decode_bytes(&c, h->proof, sizeof(h->proof)) || !cursor_done(&c))
		return RES_INVALID;
	return RES_OK;
}

static void
proof_of(const struct peer_hello *h, enum peer_side side, const uint8_t key[32],
    const uint8_t exporter[32], uint8_t out[32])
{
	struct buf b = { 0 };

	buf_add_str(&b, PEER_ALPN);
	buf_add_u8(&b, (uint8_t)side);
	buf_add(&b, exporter, 32);
	encode_body(&b, h);
	crypto_hmac_sha256(key, 32, b.data, b.len, out);
	buf_clear(&b);
}

void
peer_hello_prove(struct peer_hello *h, enum peer_side side,
    const uint8_t key[32], const uint8_t exporter[32])
{
	proof_of(h, side, key, exporter, h->proof);
}

bool
peer_hello_is_proven(const struct peer_hello *h, enum peer_side side,
    const uint8_t key[32], const uint8_t exporter[32])
{
	uint8_t proof[32];

	proof_of(h, side, key, exporter, proof);
	return crypto_equal(proof, h->proof, sizeof(proof));
}

bool
peer_boot_is_old(uint64_t shown, uint64_t known)
{
	return shown != known && shown >> 32 <= known >> 32;
}
