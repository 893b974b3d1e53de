/*
 * The configuration in force, by what the disk says.
 */
#include "xmppd/cluster/raft_core_impl.h"
#include "xmppd/cluster/raft_store.h"

/* Sets index and configuration to what the log, or else the marker, has. */
static int
find_configuration(
    struct raft_core *c, uint64_t before, uint64_t *index, struct buf *conf)
{
	struct raft_store *s = raft_io_store(c->io);
	struct raft_store_marker m;
	int rc = raft_store_newest(s, RAFT_CHANGE, before, index, conf);

	if (rc != RES_OK || raft_store_get_marker(s, &m) != RES_OK)
		return RES_IO;
	if (m.index != 0 && m.conf_index >= *index) {
		*index = m.conf_index;
		buf_reset(conf);
		buf_add(conf, m.conf.data, m.conf.len);
	}
	raft_store_marker_clear(&m);
	return RES_OK;
}

/*
 * Trap 11, and more: 0.15.0 rolls back an uncommitted configuration by looking
 * for the one before in its log, where a snapshot may have dropped it; and
 * after a restart it takes an uncommitted one for committed, and doesn't roll
 * it back at all. So the library is kept from doing it, and after the log has
 * been cut, and at the start, the configuration is set to what the disk says.
 */
void
raft_conf_reload(struct raft_core *c)
{
	struct raft *r = &c->raft;
	struct raft_configuration conf;
	struct buf bytes = { 0 };
	uint64_t index, before;

	if (find_configuration(c, UINT64_MAX >> 1, &index, &bytes) != RES_OK)
		goto out;
	raft_configuration_init(&conf);
	if (index != 0 &&
	    raft_codec_configuration(bytes.data, bytes.len, &conf) != RES_OK) {
		raft_core_fail(c, "raft: a configuration is malformed");
		goto out;
	}
	raft_configuration_close(&r->configuration);
	r->configuration = conf;
	r->configuration_index = index;
	r->configuration_uncommitted_index = 0;
	if (index <= r->commit_index)
		goto out;
	r->configuration_uncommitted_index = index;
	if (find_configuration(c, index, &before, &bytes) == RES_OK)
		r->configuration_index = before;
out:
	buf_clear(&bytes);
}

bool
raft_conf_is_sole_voter(struct raft_core *c)
{
	struct raft_configuration conf;
	struct buf bytes = { 0 };
	uint64_t index;
	unsigned others = 0, self = 0;

	if (find_configuration(c, UINT64_MAX >> 1, &index, &bytes) == RES_OK &&
	    raft_codec_configuration(bytes.data, bytes.len, &conf) == RES_OK) {
		for (unsigned i = 0; i < conf.n; i++)
			if (conf.servers[i].role == RAFT_VOTER)
				*(conf.servers[i].id == c->cfg.id ? &self
								  : &others) +=
				    1;
		raft_configuration_close(&conf);
	}
	buf_clear(&bytes);
	return self == 1 && others == 0;
}
