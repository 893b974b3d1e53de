/*
 * The node's identity and the folder of its durable state.
 *
 * A join: save {number + 1, previous = number}, start in the new folder; once a
 * voter, save {previous = 0}, delete the old folder. A crash or failure before
 * that: back to `previous`, whose identity in its cluster is kept in the file
 * instance.json.previous meanwhile.
 */
#include "xmppd/instance.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

#define FILE_MAX 65536

static char *
path_of(const char *root, const char *name)
{
	char *path;

	xasprintf(&path, "%s/%s", root, name);
	return path;
}

static bool
unhex(const char *text, uint8_t *out, size_t len)
{
	char pair[3] = { 0 }, *end;

	if (strlen(text) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		memcpy(pair, text + 2 * i, 2);
		out[i] = (uint8_t)strtoul(pair, &end, 16);
		if (*end != '\0')
			return false;
	}
	return true;
}

static json_t *
hex(const uint8_t *data, size_t len)
{
	char text[65];

	crypto_hex(data, len, text);
	return json_string(text);
}

static int
instance_read(const char *path, struct instance *in, struct error *e)
{
	json_int_t number, raft_id, boot, previous;
	const char *identity, *cluster, *key;
	int founder, born, rc = RES_OK;
	json_error_t why;
	json_t *doc;

	doc = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	if (doc == NULL)
		return error_set(
		    e, RES_INVALID, "%s:%d: %s", path, why.line, why.text);
	if (json_unpack_ex(doc, &why, JSON_STRICT,
		"{s:I, s:s, s:s, s:s, s:I, s:b, s:b, s:I, s:I}", "number",
		&number, "identity", &identity, "cluster", &cluster, "key",
		&key, "raft_id", &raft_id, "founder", &founder, "born", &born,
		"boot", &boot, "previous", &previous) != 0 ||
	    !unhex(identity, in->identity, sizeof(in->identity)) ||
	    !unhex(cluster, in->cluster, sizeof(in->cluster)) ||
	    !unhex(key, in->key, sizeof(in->key)) || number < 1 ||
	    raft_id < 1 || raft_id > UINT32_MAX) {
		rc =
		    error_set(e, RES_INVALID, "%s: not an instance file", path);
	} else {
		in->number = (uint64_t)number;
		in->raft_id = (uint32_t)raft_id;
		in->founder = founder != 0;
		in->born = born != 0;
		in->boot = (uint64_t)boot;
		in->previous = (uint64_t)previous;
	}
	json_decref(doc);
	return rc;
}

static int
instance_write(const char *path, const struct instance *in, struct error *e)
{
	json_t *doc = json_pack("{s:I, s:o, s:o, s:o, s:I, s:b, s:b, s:I, s:I}",
	    "number", (json_int_t)in->number, "identity",
	    hex(in->identity, sizeof(in->identity)), "cluster",
	    hex(in->cluster, sizeof(in->cluster)), "key",
	    hex(in->key, sizeof(in->key)), "raft_id", (json_int_t)in->raft_id,
	    "founder", in->founder, "born", in->born, "boot",
	    (json_int_t)in->boot, "previous", (json_int_t)in->previous);
	char *text = json_dumps(doc, JSON_INDENT(1));
	int rc = RES_OK;

	if (file_write(path, text, strlen(text), 0600) != 0)
		rc = error_set(e, RES_IO, "%s: %s", path, strerror(errno));
	crypto_wipe_free(text);
	json_decref(doc);
	return rc;
}

void
instance_found(struct instance *in)
{
	in->number++;
	in->raft_id = 1;
	in->founder = true;
	in->born = false;
	in->previous = 0;
	crypto_random(in->cluster, sizeof(in->cluster));
	crypto_random(in->key, sizeof(in->key));
}

/* A join that did not complete: the instance before it is the one. */
static int
instance_undo_join(const char *root, struct instance *in, struct error *e)
{
	char *kept = path_of(root, "instance.json.previous");
	uint64_t unfinished = in->number;
	int rc = instance_read(kept, in, e);

	if (rc == RES_OK)
		rc = instance_save(root, in, e);
	if (rc == RES_OK) {
		log_warn("instance: a join was cut off: back to what was");
		instance_delete(root, unfinished);
		unlink(kept);
	}
	free(kept);
	return rc;
}

int
instance_load(const char *root, struct instance *in, struct error *e)
{
	char *path = path_of(root, "instance.json");
	int rc;

	memset(in, 0, sizeof(*in));
	if (access(path, F_OK) != 0) {
		crypto_random(in->identity, sizeof(in->identity));
		instance_found(in);
		rc = instance_write(path, in, e);
	} else {
		rc = instance_read(path, in, e);
	}
	if (rc == RES_OK && in->previous != 0)
		rc = instance_undo_join(root, in, e);
	free(path);
	return rc;
}

int
instance_save(const char *root, const struct instance *in, struct error *e)
{
	char *path = path_of(root, "instance.json");
	char *kept = path_of(root, "instance.json.previous");
	struct instance before = { 0 };
	int rc = RES_OK;

	if (in->previous != 0 && access(kept, F_OK) != 0) {
		rc = instance_read(path, &before, e);
		if (rc == RES_OK)
			rc = instance_write(kept, &before, e);
	}
	if (rc == RES_OK)
		rc = instance_write(path, in, e);
	if (rc == RES_OK && in->previous == 0)
		unlink(kept);
	free(path);
	free(kept);
	return rc;
}

int
instance_boot(const char *root, struct instance *in, struct error *e)
{
	uint64_t count = (in->boot >> 32) + 1;

	in->boot =
	    ((count & 0x7fffffff) << 32) | (crypto_random_u64() & 0xffffffff);
	return instance_save(root, in, e);
}

char *
instance_dir(const char *root, uint64_t number)
{
	char *dir;

	xasprintf(&dir, "%s/data-%llu", root, (unsigned long long)number);
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		log_err("instance: %s: %s", dir, strerror(errno));
	return dir;
}

bool
instance_has_log(const char *root, const struct instance *in)
{
	char *path;
	bool has;

	xasprintf(&path, "%s/data-%llu/raft.db", root,
	    (unsigned long long)in->number);
	/* What can't be looked at isn't gone: to open it says why. */
	has = access(path, F_OK) == 0 || errno != ENOENT;
	free(path);
	return has;
}

void
instance_delete(const char *root, uint64_t number)
{
	struct dirent *de;
	char *dir, *path;
	DIR *d;

	xasprintf(&dir, "%s/data-%llu", root, (unsigned long long)number);
	d = opendir(dir);
	while (d != NULL && (de = readdir(d)) != NULL) {
		if (de->d_name[0] == '.')
			continue;
		xasprintf(&path, "%s/%s", dir, de->d_name);
		unlink(path);
		free(path);
	}
	if (d != NULL)
		closedir(d);
	rmdir(dir);
	free(dir);
}

uint64_t
instance_size(const char *root, uint64_t number)
{
	uint64_t size = 0;
	struct dirent *de;
	struct stat st;
	char *dir;
	DIR *d;

	xasprintf(&dir, "%s/data-%llu", root, (unsigned long long)number);
	d = opendir(dir);
	while (d != NULL && (de = readdir(d)) != NULL)
		if (fstatat(dirfd(d), de->d_name, &st, 0) == 0 &&
		    S_ISREG(st.st_mode))
			size += (uint64_t)st.st_size;
	if (d != NULL)
		closedir(d);
	free(dir);
	return size;
}
