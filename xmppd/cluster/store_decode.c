/*
 * The store's commands and entries, read from a log. Everything is checked:
 * what is refused here has no effect, and the same on every node.
 */
#include "xmppd/cluster/store_command.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/store_archive.h"

/* The least that an op of an effect takes: its kind and an absent user. */
#define OP_MIN 5

static void
refuse(struct cursor *c)
{
	c->failed = true;
}

/* A text that may be absent. */
static char *
decode_text(struct cursor *c)
{
	char *text = cursor_dup_text(c);

	if (text != NULL && !str_is_utf8(text, strlen(text)))
		refuse(c);
	return text;
}

/* One that may be neither absent nor empty. */
static char *
decode_name(struct cursor *c)
{
	char *text = decode_text(c);

	if (text == NULL || *text == '\0')
		refuse(c);
	return text;
}

static uint8_t
decode_flag(struct cursor *c)
{
	uint8_t v = cursor_u8(c);

	if (v > 1)
		refuse(c);
	return v;
}

/* What is counted never comes near 2^63, and SQLite's integers end there. */
static uint64_t
decode_count(struct cursor *c)
{
	uint64_t v = cursor_u64(c);

	if (v > INT64_MAX)
		refuse(c);
	return v;
}

static void
decode_bytes(struct cursor *c, uint8_t *out, size_t len)
{
	const uint8_t *at = cursor_bytes(c, len);

	if (at != NULL)
		memcpy(out, at, len);
}

static void
decode_setting(struct cursor *c, struct store_command_data *d)
{
	d->name = decode_name(c);
	d->value = decode_text(c);
}

static void
decode_account(struct cursor *c, struct store_command_data *d)
{
	d->name = decode_name(c);
	if (scram_keys_decode(c, &d->keys) != RES_OK)
		refuse(c);
}

static void
decode_only_name(struct cursor *c, struct store_command_data *d)
{
	d->name = decode_name(c);
}

static void
decode_component(struct cursor *c, struct store_command_data *d)
{
	d->name = decode_name(c);
	d->value = decode_name(c);
	d->given = decode_flag(c);
}

static void
decode_item(struct cursor *c, struct store_roster_item *item)
{
	item->contact = decode_name(c);
	item->name = decode_text(c);
	item->groups = decode_text(c);
	item->to = decode_flag(c);
	item->from = decode_flag(c);
	item->ask = decode_flag(c);
	item->pending_in = decode_flag(c);
	item->approved = decode_flag(c);
	item->visible = decode_flag(c);
	item->request = decode_text(c);
}

static void
decode_value(struct cursor *c, struct store_op *op)
{
	size_t len = 0;
	const uint8_t *bytes = cursor_block(c, &len);

	buf_add(&op->stanza, bytes, len);
}

/* A node that is absent stands for all, and then so does the id. */
static void
decode_item_op(struct cursor *c, struct store_op *op)
{
	op->space = cursor_u8(c);
	op->node = decode_text(c);
	op->id = decode_text(c);
	if (op->space == 0 || (op->node == NULL && op->id != NULL))
		refuse(c);
	if (op->op == EFFECT_ITEM_DEL)
		return;
	op->time = (int64_t)cursor_u64(c);
	op->by = decode_text(c);
	op->keep = cursor_u32(c);
	op->quota = decode_count(c);
	decode_value(c, op);
	if (op->id == NULL)
		refuse(c);
}

static bool
is_item_op(const struct store_op *op)
{
	return op->op == EFFECT_ITEM_PUT || op->op == EFFECT_ITEM_DEL;
}

/* Whose it is: "", the server, has only items. */
static void
decode_user(struct cursor *c, struct store_op *op)
{
	op->user = decode_text(c);
	if (op->op != EFFECT_DONE && op->user == NULL)
		refuse(c);
	else if (op->op != EFFECT_DONE && !is_item_op(op) && *op->user == '\0')
		refuse(c);
}

static void
decode_op(struct cursor *c, struct store_op *op)
{
	op->op = cursor_u8(c);
	decode_user(c, op);
	switch (op->op) {
	case EFFECT_STORE:
		op->time = (int64_t)cursor_u64(c);
		decode_value(c, op);
		break;
	case EFFECT_ROSTER:
		decode_item(c, &op->item);
		break;
	case EFFECT_ROSTER_DEL:
		op->item.contact = decode_name(c);
		break;
	case EFFECT_ITEM_PUT:
	case EFFECT_ITEM_DEL:
		decode_item_op(c, op);
		break;
	case EFFECT_DONE:
		break;
	default:
		refuse(c);
	}
}

static void
decode_ops(struct cursor *c, struct store_effect *effect)
{
	uint32_t count = cursor_u32(c);

	if (count > cursor_left(c) / OP_MIN)
		refuse(c);
	if (!cursor_ok(c) || count == 0)
		return;
	effect->ops = xcalloc(count, sizeof(*effect->ops));
	effect->count = count;
	for (size_t i = 0; i < count && cursor_ok(c); i++)
		decode_op(c, &effect->ops[i]);
}

static void
decode_items(struct cursor *c, struct store_command_data *d)
{
	decode_ops(c, &d->effect);
	for (size_t i = 0; i < d->effect.count && cursor_ok(c); i++)
		if (!is_item_op(&d->effect.ops[i]))
			refuse(c);
}

static void
decode_effect(struct cursor *c, struct store_command_data *d)
{
	struct store_effect *effect = &d->effect;

	effect->origin = origin_decode(c);
	effect->num = decode_count(c);
	effect->low = decode_count(c);
	effect->note = cursor_u64(c);
	decode_ops(c, effect);
}

/* Applying reads them again, from the same bytes. */
static void
decode_archive(struct cursor *c, struct store_command_data *d)
{
	struct archive_message m;

	d->batch = cursor_u64(c);
	d->messages = c->p;
	d->messages_len = cursor_left(c);
	while (archive_message_next(c, &m))
		;
}

static void
decode_sweep(struct cursor *c, struct store_command_data *d)
{
	d->time = (int64_t)decode_count(c);
}

static void
decode_rows(struct cursor *c, struct store_command_data *d)
{
	uint32_t count = cursor_u32(c);

	if (count > cursor_left(c) / sizeof(*d->rows))
		refuse(c);
	if (!cursor_ok(c) || count == 0)
		return;
	d->rows = xcalloc(count, sizeof(*d->rows));
	d->row_count = count;
	for (size_t i = 0; i < count; i++)
		d->rows[i] = decode_count(c);
}

static void
decode_prune(struct cursor *c, struct store_command_data *d)
{
	d->origin = origin_decode(c);
	d->low = decode_count(c);
}

static void
decode_former(struct cursor *c, struct store_command_data *d)
{
	d->name = decode_name(c);
	d->account = decode_count(c);
}

static void
decode_origin(struct cursor *c, struct store_command_data *d)
{
	d->origin = origin_decode(c);
}

static void
decode_identity(struct cursor *c, struct store_command_data *d)
{
	decode_bytes(c, d->member.identity, sizeof(d->member.identity));
}

static void
decode_member(struct cursor *c, struct store_command_data *d)
{
	struct store_member *m = &d->member;
	uint8_t key[STORE_ADDRESS_KEY];

	decode_identity(c, d);
	m->raft_id = cursor_u32(c);
	m->host = decode_name(c);
	m->address = decode_name(c);
	decode_bytes(c, m->key, sizeof(m->key));
	m->boot = decode_count(c);
	if (m->raft_id == 0 || m->address == NULL ||
	    !store_address_key(m->address, key))
		refuse(c);
}

static void
decode_boot(struct cursor *c, struct store_command_data *d)
{
	decode_identity(c, d);
	d->member.boot = decode_count(c);
}

static void
decode_raft_id(struct cursor *c, struct store_command_data *d)
{
	d->raft_id = cursor_u32(c);
}

static void
decode_nothing(struct cursor *c, struct store_command_data *d)
{
	(void)c;
	(void)d;
}

static void (*const decoders[])(
    struct cursor *, struct store_command_data *) = {
	[STORE_SETTING] = decode_setting,
	[STORE_ACCOUNT_ADD] = decode_account,
	[STORE_ACCOUNT_PASSWD] = decode_account,
	[STORE_ACCOUNT_DEL] = decode_only_name,
	[STORE_COMPONENT_ADD] = decode_component,
	[STORE_COMPONENT_DEL] = decode_only_name,
	[STORE_EFFECT] = decode_effect,
	[STORE_ROWS_DEL] = decode_rows,
	[STORE_PRUNE] = decode_prune,
	[STORE_ORIGIN_END] = decode_origin,
	[STORE_MEMBER_PUT] = decode_member,
	[STORE_MEMBER_SWAP] = decode_member,
	[STORE_MEMBER_DEL] = decode_identity,
	[STORE_MEMBER_BOOT] = decode_boot,
	[STORE_RAFT_ID_GONE] = decode_raft_id,
	[STORE_NEXT_RAFT_ID] = decode_nothing,
	[STORE_CLEAR] = decode_identity,
	[STORE_ITEMS] = decode_items,
	[STORE_FORMER_DEL] = decode_former,
	[STORE_ARCHIVE] = decode_archive,
	[STORE_SWEEP] = decode_sweep,
};

int
store_command_decode(
    struct store_command_data *d, const void *bytes, size_t len)
{
	struct cursor c;

	*d = (struct store_command_data){ 0 };
	cursor_init(&c, bytes, len);
	d->what = cursor_u8(&c);
	if (d->what >= sizeof(decoders) / sizeof(decoders[0]) ||
	    decoders[d->what] == NULL)
		return RES_INVALID;
	decoders[d->what](&c, d);
	return cursor_done(&c) ? RES_OK : RES_INVALID;
}

void
store_command_clear(struct store_command_data *d)
{
	free(d->name);
	crypto_wipe_free(d->value);
	store_effect_clear(&d->effect);
	free(d->rows);
	store_member_clear(&d->member);
	crypto_wipe(d, sizeof(*d));
}

bool
store_entry_next(struct cursor *c, struct store_proposal *p)
{
	if (!cursor_ok(c) || cursor_left(c) == 0)
		return false;
	p->proposer = cursor_u64(c);
	p->seq = cursor_u64(c);
	p->command = cursor_block(c, &p->len);
	return cursor_ok(c);
}

/* Splits "host:port" and "[host]:port"; false if it is neither. */
static bool
split_address(const char *address, bool *v6, char *host, size_t size)
{
	const char *colon = strrchr(address, ':'), *end;

	if (colon == NULL)
		return false;
	*v6 = *address == '[';
	address += *v6;
	end = *v6 ? colon - 1 : colon;
	if (end < address || (*v6 && *end != ']') ||
	    (size_t)(end - address) >= size)
		return false;
	memcpy(host, address, (size_t)(end - address));
	host[end - address] = '\0';
	return true;
}

bool
store_address_key(const char *address, uint8_t key[STORE_ADDRESS_KEY])
{
	char host[INET6_ADDRSTRLEN], again[INET6_ADDRSTRLEN + 16];
	uint64_t port;
	bool v6;

	memset(key, 0, STORE_ADDRESS_KEY);
	if (!split_address(address, &v6, host, sizeof(host)) ||
	    !str_to_u64(strrchr(address, ':') + 1, 1, 65535, &port))
		return false;
	key[0] = v6;
	key[17] = (uint8_t)(port >> 8);
	key[18] = (uint8_t)port;
	if (inet_pton(v6 ? AF_INET6 : AF_INET, host, key + 1) != 1)
		return false;
	inet_ntop(v6 ? AF_INET6 : AF_INET, key + 1, host, sizeof(host));
	snprintf(again, sizeof(again), v6 ? "[%s]:%u" : "%s:%u", host,
	    (unsigned)port);
	return strcmp(again, address) == 0;
}
