/*
 * A store to test with, and samples of its commands.
 */
#include "tests/lib/store_fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/xmalloc.h"
#include "xmppd/cluster/store_archive.h"

static void
applied_cb(void *arg, const struct store_event *event)
{
	struct store_fixture *f = arg;
	size_t max = sizeof(f->rows) / sizeof(f->rows[0]);

	f->applied++;
	f->last = *event;
	memset(f->rows, 0, sizeof(f->rows));
	memset(f->versions, 0, sizeof(f->versions));
	for (size_t i = 0; i < event->row_count && i < max; i++) {
		f->rows[i] = event->rows[i];
		if (event->effect != NULL)
			f->versions[i] = event->effect->ops[i].item.version;
	}
	snprintf(f->name, sizeof(f->name), "%s",
	    event->name == NULL ? "" : event->name);
}

static void
replaced_cb(void *arg)
{
	struct store_fixture *f = arg;

	f->replaced++;
}

static void
failed_cb(void *arg, const char *why)
{
	struct store_fixture *f = arg;

	snprintf(f->failed, sizeof(f->failed), "%s", why);
}

void
store_fixture_installed_cb(void *arg, int code, uint64_t index)
{
	struct store_fixture *f = arg;

	f->copy_code = code;
	f->copy_index = index;
}

void
store_fixture_copied_cb(
    void *arg, int code, uint64_t index, const uint8_t sha256[32])
{
	(void)sha256;
	store_fixture_installed_cb(arg, code, index);
}

struct store_callbacks
store_fixture_callbacks(struct store_fixture *f)
{
	return (struct store_callbacks){ .applied = applied_cb,
		.replaced = replaced_cb,
		.failed = failed_cb,
		.arg = f };
}

static void
fixture_open(struct store_fixture *f)
{
	struct store_callbacks cb = store_fixture_callbacks(f);
	struct error e;

	f->store = store_open(f->dir, NULL, &cb, &e);
	if (f->store == NULL)
		fatalx("%s", e.text);
}

void
store_fixture_init(struct store_fixture *f)
{
	*f = (struct store_fixture){ 0 };
	snprintf(f->dir, sizeof(f->dir), "/tmp/test_store.XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		fatal("mkdtemp");
	fixture_open(f);
}

void
store_fixture_reopen(struct store_fixture *f)
{
	store_close(f->store);
	fixture_open(f);
}

static int
remove_cb(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
store_fixture_clear(struct store_fixture *f)
{
	store_close(f->store);
	nftw(f->dir, remove_cb, 8, FTW_DEPTH | FTW_PHYS);
}

int
store_fixture_run_as(struct store_fixture *f, uint64_t proposer, uint64_t seq,
    struct buf *command)
{
	struct store_proposal p = { proposer, seq, command->data,
		command->len };
	struct buf entry = { 0 };

	store_entry_add(&entry, &p);
	store_apply(f->store, ++f->index, entry.data, entry.len);
	buf_clear(&entry);
	buf_clear(command);
	return f->last.code;
}

int
store_fixture_run(struct store_fixture *f, struct buf *command)
{
	return store_fixture_run_as(f, 0, 0, command);
}

struct scram_keys
store_sample_keys(uint8_t seed)
{
	struct scram_keys keys;

	memset(&keys, 0, sizeof(keys));
	keys.sha1.salt_len = SCRAM_SALT;
	memset(keys.sha1.salt, seed, SCRAM_SALT);
	memset(keys.sha1.stored_key, seed, 20);
	memset(keys.sha1.server_key, seed + 1, 20);
	keys.sha1.iterations = 4096;
	keys.sha256 = keys.sha1;
	memset(keys.sha256.stored_key, seed + 2, 32);
	memset(keys.sha256.server_key, seed + 3, 32);
	keys.version = 1000U + seed;
	return keys;
}

void
store_sample_member(struct store_member *m, uint8_t n)
{
	*m = (struct store_member){ .raft_id = n, .boot = 1 };
	memset(m->identity, n, sizeof(m->identity));
	memset(m->key, n, sizeof(m->key));
	xasprintf(&m->host, "cb%u", n);
	xasprintf(&m->address, "10.0.0.%u:5222", n);
}

static char text_name[] = "alice", text_contact[] = "bob@example.com",
	    text_title[] = "Bob \xc3\xa4", text_groups[] = "friends\nwork",
	    text_request[] = "<presence type='subscribe'/>",
	    text_stanza[] = "<message><body>hello</body></message>";

static void
sample_effect(struct buf *b)
{
	struct store_op ops[6] = {
		{ .op = EFFECT_STORE,
		    .user = text_name,
		    .time = 1700000000,
		    .stanza = { (uint8_t *)text_stanza, strlen(text_stanza),
			0 } },
		{ .op = EFFECT_ROSTER,
		    .user = text_name,
		    .item = { .contact = text_contact,
			.name = text_title,
			.groups = text_groups,
			.to = 1,
			.pending_in = 1,
			.visible = 1,
			.request = text_request } },
		{ .op = EFFECT_ROSTER_DEL,
		    .user = text_name,
		    .item = { .contact = text_contact } },
		{ .op = EFFECT_ITEM_PUT,
		    .user = text_name,
		    .space = SPACE_PEP,
		    .node = text_title,
		    .id = text_groups,
		    .by = text_contact,
		    .keep = 1,
		    .quota = 1000,
		    .stanza = { (uint8_t *)text_stanza, strlen(text_stanza),
			0 } },
		{ .op = EFFECT_ITEM_DEL,
		    .user = text_name,
		    .space = SPACE_PRIVATE },
		{ .op = EFFECT_DONE },
	};
	struct store_effect effect = { { 1, 0, 77 }, 9, 5, 7, ops, 6 };

	store_cmd_effect(b, &effect);
}

static void
sample_items(struct buf *b)
{
	struct store_op op = { .op = EFFECT_ITEM_PUT,
		.user = text_name,
		.space = SPACE_VCARD,
		.node = text_contact,
		.id = text_contact,
		.stanza = { (uint8_t *)text_stanza, strlen(text_stanza), 0 } };

	store_cmd_items(b, &op, 1);
}

static void
sample_archive(struct buf *b)
{
	struct archive_message m = { .time = 1700000000000,
		.stanza = { text_stanza, strlen(text_stanza) },
		.in = { { .account = text_of(text_name),
			    .peer = text_of(text_contact),
			    .uid = { 1 } },
		    { .account = text_of("bob"),
			.peer = text_of("alice@example.com/x"),
			.uid = { 2 } } },
		.count = 2 };

	store_cmd_archive(b, 7);
	store_cmd_archive_add(b, &m);
	store_cmd_archive_add(b, &m);
	store_cmd_archive_end(b);
}

static void
sample_cluster(size_t i, struct buf *b)
{
	struct store_member m;

	store_sample_member(&m, 3);
	switch (i) {
	case STORE_MEMBER_PUT:
		store_cmd_member_put(b, &m);
		break;
	case STORE_MEMBER_SWAP:
		store_cmd_member_swap(b, &m);
		break;
	case STORE_MEMBER_DEL:
		store_cmd_member_del(b, m.identity);
		break;
	case STORE_MEMBER_BOOT:
		store_cmd_member_boot(b, m.identity, 2);
		break;
	case STORE_RAFT_ID_GONE:
		store_cmd_raft_id_gone(b, 3);
		break;
	case STORE_NEXT_RAFT_ID:
		store_cmd_next_raft_id(b);
		break;
	default:
		store_cmd_clear(b, m.identity);
	}
	store_member_clear(&m);
}

bool
store_sample(size_t i, struct buf *b)
{
	const struct origin origin = { 1, 0, 77 };
	const uint64_t rows[] = { 1, 2, 3 };
	struct scram_keys keys = store_sample_keys(1);

	switch (++i) {
	case STORE_SETTING:
		store_cmd_setting(b, "domain", "example.com");
		break;
	case STORE_ACCOUNT_ADD:
		store_cmd_account_add(b, text_name, &keys);
		break;
	case STORE_ACCOUNT_PASSWD:
		store_cmd_account_passwd(b, text_name, &keys);
		break;
	case STORE_ACCOUNT_DEL:
		store_cmd_account_del(b, text_name);
		break;
	case STORE_COMPONENT_ADD:
		store_cmd_component_add(b, "cb1", "secret", true);
		break;
	case STORE_COMPONENT_DEL:
		store_cmd_component_del(b, "cb1");
		break;
	case STORE_FORMER_DEL:
		store_cmd_former_del(b, text_name, 7);
		break;
	case STORE_EFFECT:
		sample_effect(b);
		break;
	case STORE_ROWS_DEL:
		store_cmd_rows_del(b, rows, 3);
		break;
	case STORE_PRUNE:
		store_cmd_prune(b, &origin, 7);
		break;
	case STORE_ORIGIN_END:
		store_cmd_origin_end(b, &origin);
		break;
	case STORE_ITEMS:
		sample_items(b);
		break;
	case STORE_ARCHIVE:
		sample_archive(b);
		break;
	case STORE_SWEEP:
		store_cmd_sweep(b, 1800000000000);
		break;
	default:
		if (i > STORE_LAST)
			return false;
		sample_cluster(i, b);
	}
	return true;
}
