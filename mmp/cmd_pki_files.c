/*
 * The pki folder of a node: one flat folder that administrators see by SFTP. A
 * daemon never reads it, so a file may be changed at any time; keys are for
 * their group alone, and are never silently replaced.
 */
#include "mmp/cmd_pki.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/strutil.h"
#include "common/xmalloc.h"

#define ADMIN_GROUP "mmp-admin"
#define FILES_MAX 10000

static int
file_error(const char *name, struct error *e)
{
	if (errno == ENOENT)
		return error_set(e, RES_NOT_FOUND, "%s not found", name);
	if (errno == EFBIG)
		return error_set(e, RES_LIMIT, "%s is larger than %d KiB", name,
		    PKI_FILE_MAX / 1024);
	return error_set(e, RES_IO, "%s: %s", name, strerror(errno));
}

int
pki_file_read(
    struct mmp *mmp, const char *name, struct pki_file *file, struct error *e)
{
	char *path = mmp_pki_path(mmp, name, e);
	int rc = 0;

	memset(file, 0, sizeof(*file));
	if (path == NULL)
		return RES_INVALID;
	file->name = name;
	file->data = file_read(path, PKI_FILE_MAX, &file->len);
	if (file->data == NULL)
		rc = file_error(name, e);
	free(path);
	return rc;
}

void
pki_file_clear(struct pki_file *file)
{
	void *data;

	memcpy(&data, &file->data, sizeof(data)); /* it is ours to free here */
	if (data != NULL)
		crypto_wipe(data, file->len);
	free(data);
	memset(file, 0, sizeof(*file));
}

bool
pki_file_exists(struct mmp *mmp, const char *name)
{
	char *path = mmp_pki_path(mmp, name, NULL);
	bool yes = path != NULL && access(path, F_OK) == 0;

	free(path);
	return yes;
}

/* Gives a file to the administrators' group, where there is one. */
static void
share(const char *path, mode_t mode)
{
	const struct group *group = getgrnam(ADMIN_GROUP);

	/* Who isn't in the group can't, and then stays the only reader. */
	if (group != NULL && chown(path, (uid_t)-1, group->gr_gid) == 0)
		(void)chmod(path, mode);
}

int
pki_file_write(
    struct mmp *mmp, const char *name, const struct buf *data, struct error *e)
{
	char *path = mmp_pki_path(mmp, name, e);
	int rc = 0;

	if (path == NULL)
		return RES_INVALID;
	if (file_write(path, data->data, data->len, 0644) != 0)
		rc = file_error(name, e);
	else
		share(path, 0664);
	free(path);
	return rc;
}

int
pki_key_create(
    struct mmp *mmp, const char *name, const struct buf *data, struct error *e)
{
	char *path = mmp_pki_path(mmp, name, e), *fresh;
	int rc = 0;

	if (path == NULL)
		return RES_INVALID;
	/* Whole before it has its name, and never in the place of another. */
	xasprintf(&fresh, "%s/pki/.%s.%ld", mmp->root, name, (long)getpid());
	if (file_write(fresh, data->data, data->len, 0600) != 0)
		rc = file_error(name, e);
	else
		share(fresh, 0660);
	if (rc == 0 && link(fresh, path) != 0)
		rc = errno == EEXIST
		    ? error_set(e, RES_EXISTS, "%s already exists", name)
		    : file_error(name, e);
	unlink(fresh);
	free(fresh);
	free(path);
	return rc;
}

int
pki_key_replace(
    struct mmp *mmp, const char *name, const struct buf *data, struct error *e)
{
	char *path = mmp_pki_path(mmp, name, e);
	int rc = 0;

	if (path == NULL)
		return RES_INVALID;
	if (file_write(path, data->data, data->len, 0600) != 0)
		rc = file_error(name, e);
	else
		share(path, 0660);
	free(path);
	return rc;
}

int
pki_file_remove(struct mmp *mmp, const char *name, struct error *e)
{
	char *path = mmp_pki_path(mmp, name, e);
	int rc = 0;

	if (path == NULL)
		return RES_INVALID;
	if (unlink(path) != 0)
		rc = file_error(name, e);
	free(path);
	return rc;
}

static int
not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.' &&
	    (entry->d_type == DT_REG || entry->d_type == DT_LNK ||
		entry->d_type == DT_UNKNOWN);
}

int
pki_file_list(struct mmp *mmp, json_t **names, struct error *e)
{
	struct dirent **entries;
	char *folder;
	int count;

	xasprintf(&folder, "%s/pki", mmp->root);
	count = scandir(folder, &entries, not_hidden, alphasort);
	if (count < 0) {
		int rc = file_error(folder, e);

		free(folder);
		return rc;
	}
	*names = json_array();
	for (int i = 0; i < count; i++) {
		/* A name that isn't UTF-8 can't be typed either. */
		if (i < FILES_MAX)
			json_array_append_new(
			    *names, json_string(entries[i]->d_name));
		free(entries[i]);
	}
	free(entries);
	free(folder);
	return 0;
}

/* Nothing that only administrators may read. */
static bool
is_public(const struct pki_file *file)
{
	static const char mark[] = "PRIVATE KEY"; /* encrypted ones too */
	struct pki_content c;
	bool is = false;

	if (file->len > 0 &&
	    memmem(file->data, file->len, mark, strlen(mark)) != NULL)
		return false;
	if (pki_read(file, &c, NULL) == 0) {
		is = (c.kind == PKI_CERT || c.kind == PKI_CSR) && c.key == NULL;
		pki_content_clear(&c);
	}
	return is;
}

static void
share_own(struct mmp *mmp, const char *name, gid_t group)
{
	char *path = mmp_pki_path(mmp, name, NULL);
	struct pki_file file;
	struct stat st;

	if (path != NULL && lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_uid == geteuid() &&
	    (st.st_gid != group || (st.st_mode & 0777) != 0664) &&
	    pki_file_read(mmp, name, &file, NULL) == 0) {
		share(path, is_public(&file) ? 0664 : 0660);
		pki_file_clear(&file);
	}
	free(path);
}

void
pki_files_share(struct mmp *mmp)
{
	const struct group *group = getgrnam(ADMIN_GROUP);
	json_t *names = NULL, *name;
	gid_t gid;
	size_t i;

	if (group == NULL || pki_file_list(mmp, &names, NULL) != 0)
		return;
	gid = group->gr_gid;
	json_array_foreach(names, i, name)
		share_own(mmp, json_string_value(name), gid);
	json_decref(names);
}

/* What each daemon tells of files, and what it is shown as. */
static const struct {
	enum command_at at;
	const char *method, *user;
	const char *keys[4];
} users[] = {
	{ AT_XMPPD, "Xmpp.Show", "xmpp",
	    { "key_file", "certificate_file", "bundle_file", "trust_file" } },
	{ AT_CALLBRIDGE, "Bridge.Show", "callbridge", { "trust_file" } },
};

json_t *
pki_files_in_use(struct mmp *mmp, bool *known)
{
	json_t *used = json_object();

	*known = true;
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		json_t *shown = NULL;

		if (mmp_call(mmp, users[i].at, users[i].method, NULL, &shown,
			NULL) != 0) {
			*known = false;
			continue;
		}
		for (size_t k = 0; k < 4 && users[i].keys[k] != NULL; k++) {
			const char *name = json_string_value(
			    json_object_get(shown, users[i].keys[k]));

			if (name != NULL)
				json_object_set_new(
				    used, name, json_string(users[i].user));
		}
		json_decref(shown);
	}
	return used;
}
