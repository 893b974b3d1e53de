/*
 * The store's commands and entries as bytes, and the care of their values.
 */
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/store.h"

void
store_cmd_setting(struct buf *b, const char *name, const char *value)
{
	buf_add_u8(b, STORE_SETTING);
	buf_add_text(b, name);
	buf_add_text(b, value);
}

static void
encode_account(struct buf *b, enum store_command what, const char *local,
    const struct scram_keys *keys)
{
	buf_add_u8(b, (uint8_t)what);
	buf_add_text(b, local);
	scram_keys_encode(b, keys);
}

void
store_cmd_account_add(
    struct buf *b, const char *local, const struct scram_keys *keys)
{
	encode_account(b, STORE_ACCOUNT_ADD, local, keys);
}

void
store_cmd_account_passwd(
    struct buf *b, const char *local, const struct scram_keys *keys)
{
	encode_account(b, STORE_ACCOUNT_PASSWD, local, keys);
}

void
store_cmd_account_del(struct buf *b, const char *local)
{
	buf_add_u8(b, STORE_ACCOUNT_DEL);
	buf_add_text(b, local);
}

void
store_cmd_former_del(struct buf *b, const char *local, uint64_t id)
{
	buf_add_u8(b, STORE_FORMER_DEL);
	buf_add_text(b, local);
	buf_add_u64(b, id);
}

void
store_cmd_component_add(
    struct buf *b, const char *name, const char *secret, bool given)
{
	buf_add_u8(b, STORE_COMPONENT_ADD);
	buf_add_text(b, name);
	buf_add_text(b, secret);
	buf_add_u8(b, given);
}

void
store_cmd_component_del(struct buf *b, const char *name)
{
	buf_add_u8(b, STORE_COMPONENT_DEL);
	buf_add_text(b, name);
}

static void
encode_item(struct buf *b, const struct store_roster_item *item)
{
	buf_add_text(b, item->contact);
	buf_add_text(b, item->name);
	buf_add_text(b, item->groups);
	buf_add_u8(b, item->to);
	buf_add_u8(b, item->from);
	buf_add_u8(b, item->ask);
	buf_add_u8(b, item->pending_in);
	buf_add_u8(b, item->approved);
	buf_add_u8(b, item->visible);
	buf_add_text(b, item->request);
}

static void
encode_item_op(struct buf *b, const struct store_op *op)
{
	buf_add_u8(b, op->space);
	buf_add_text(b, op->node);
	buf_add_text(b, op->id);
	if (op->op == EFFECT_ITEM_DEL)
		return;
	buf_add_u64(b, (uint64_t)op->time);
	buf_add_text(b, op->by);
	buf_add_u32(b, op->keep);
	buf_add_u64(b, op->quota);
	buf_add_block(b, op->stanza.data, op->stanza.len);
}

static void
encode_op(struct buf *b, const struct store_op *op)
{
	buf_add_u8(b, op->op);
	buf_add_text(b, op->user);
	switch ((enum effect_op)op->op) {
	case EFFECT_STORE:
		buf_add_u64(b, (uint64_t)op->time);
		buf_add_block(b, op->stanza.data, op->stanza.len);
		break;
	case EFFECT_ROSTER:
		encode_item(b, &op->item);
		break;
	case EFFECT_ROSTER_DEL:
		buf_add_text(b, op->item.contact);
		break;
	case EFFECT_ITEM_PUT:
	case EFFECT_ITEM_DEL:
		encode_item_op(b, op);
		break;
	case EFFECT_DONE:
		break;
	}
}

static void
encode_ops(struct buf *b, const struct store_op *ops, size_t count)
{
	buf_add_u32(b, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		encode_op(b, &ops[i]);
}

void
store_cmd_items(struct buf *b, const struct store_op *ops, size_t count)
{
	buf_add_u8(b, STORE_ITEMS);
	encode_ops(b, ops, count);
}

void
store_cmd_effect(struct buf *b, const struct store_effect *effect)
{
	buf_add_u8(b, STORE_EFFECT);
	origin_encode(b, &effect->origin);
	buf_add_u64(b, effect->num);
	buf_add_u64(b, effect->low);
	buf_add_u64(b, effect->note);
	encode_ops(b, effect->ops, effect->count);
}

void
store_cmd_rows_del(struct buf *b, const uint64_t *rows, size_t count)
{
	buf_add_u8(b, STORE_ROWS_DEL);
	buf_add_u32(b, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		buf_add_u64(b, rows[i]);
}

void
store_cmd_prune(struct buf *b, const struct origin *origin, uint64_t low)
{
	buf_add_u8(b, STORE_PRUNE);
	origin_encode(b, origin);
	buf_add_u64(b, low);
}

void
store_cmd_origin_end(struct buf *b, const struct origin *origin)
{
	buf_add_u8(b, STORE_ORIGIN_END);
	origin_encode(b, origin);
}

static void
encode_member(
    struct buf *b, enum store_command what, const struct store_member *m)
{
	buf_add_u8(b, (uint8_t)what);
	buf_add(b, m->identity, sizeof(m->identity));
	buf_add_u32(b, m->raft_id);
	buf_add_text(b, m->host);
	buf_add_text(b, m->address);
	buf_add(b, m->key, sizeof(m->key));
	buf_add_u64(b, m->boot);
}

void
store_cmd_member_put(struct buf *b, const struct store_member *m)
{
	encode_member(b, STORE_MEMBER_PUT, m);
}

void
store_cmd_member_swap(struct buf *b, const struct store_member *m)
{
	encode_member(b, STORE_MEMBER_SWAP, m);
}

static void
encode_identity(
    struct buf *b, enum store_command what, const uint8_t identity[16])
{
	buf_add_u8(b, (uint8_t)what);
	buf_add(b, identity, 16);
}

void
store_cmd_member_del(struct buf *b, const uint8_t identity[16])
{
	encode_identity(b, STORE_MEMBER_DEL, identity);
}

void
store_cmd_member_boot(struct buf *b, const uint8_t identity[16], uint64_t boot)
{
	encode_identity(b, STORE_MEMBER_BOOT, identity);
	buf_add_u64(b, boot);
}

void
store_cmd_raft_id_gone(struct buf *b, uint32_t raft_id)
{
	buf_add_u8(b, STORE_RAFT_ID_GONE);
	buf_add_u32(b, raft_id);
}

void
store_cmd_next_raft_id(struct buf *b)
{
	buf_add_u8(b, STORE_NEXT_RAFT_ID);
}

void
store_cmd_clear(struct buf *b, const uint8_t identity[16])
{
	encode_identity(b, STORE_CLEAR, identity);
}

void
store_entry_add(struct buf *entry, const struct store_proposal *p)
{
	buf_add_u64(entry, p->proposer);
	buf_add_u64(entry, p->seq);
	buf_add_block(entry, p->command, p->len);
}

void
store_member_clear(struct store_member *m)
{
	free(m->host);
	free(m->address);
	crypto_wipe(m, sizeof(*m));
}

void
store_roster_item_clear(struct store_roster_item *item)
{
	free(item->contact);
	free(item->name);
	free(item->groups);
	free(item->request);
	*item = (struct store_roster_item){ 0 };
}

static char *
dup_or_null(const char *text)
{
	return text == NULL ? NULL : xstrdup(text);
}

void
store_roster_item_copy(
    struct store_roster_item *to, const struct store_roster_item *from)
{
	*to = *from;
	to->contact = dup_or_null(from->contact);
	to->name = dup_or_null(from->name);
	to->groups = dup_or_null(from->groups);
	to->request = dup_or_null(from->request);
}

void
store_effect_clear(struct store_effect *effect)
{
	for (size_t i = 0; i < effect->count; i++) {
		free(effect->ops[i].user);
		buf_clear(&effect->ops[i].stanza);
		store_roster_item_clear(&effect->ops[i].item);
		free(effect->ops[i].node);
		free(effect->ops[i].id);
		free(effect->ops[i].by);
	}
	free(effect->ops);
	*effect = (struct store_effect){ 0 };
}
