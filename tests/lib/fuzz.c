/*
 * Seeds, checks and a scratch folder for the fuzz targets.
 */
#include "tests/lib/fuzz.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/strutil.h"

static void
write_seeds(char **argv)
{
	struct buf b = { 0 };
	struct stat st;
	char path[512];

	/* What a target logs of bad input is of no interest. */
	log_init("fuzz", LOG_LEVEL_ERR, 0);
	for (argv++; *argv != NULL; argv++)
		if (stat(*argv, &st) == 0 && S_ISDIR(st.st_mode))
			break;
	for (size_t i = 0; *argv != NULL && fuzz_seed(i, &b); i++) {
		snprintf(path, sizeof(path), "%s/seed-%zu", *argv, i);
		if (file_write(path, b.data, b.len, 0600) != 0)
			fatal("%s", path);
		buf_reset(&b);
	}
	buf_clear(&b);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv) /* NOLINT */
{
	(void)argc;
	write_seeds(*argv);
	return 0;
}

bool
fuzz_text_seed(const char *const *texts, size_t i, struct buf *b)
{
	while (*texts != NULL && i > 0) {
		texts++;
		i--;
	}
	if (*texts == NULL)
		return false;
	buf_add_str(b, *texts);
	return true;
}

void
fuzz_check(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "does not hold: %s\n", what);
	abort();
}

static char folder[64];

static int
remove_cb(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
remove_folder(void)
{
	nftw(folder, remove_cb, 8, FTW_DEPTH | FTW_PHYS);
}

const char *
fuzz_folder(void)
{
	if (folder[0] != '\0')
		return folder;
	snprintf(folder, sizeof(folder), "%s/fuzz.XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(folder) == NULL)
		fatal("%s", folder);
	atexit(remove_folder);
	return folder;
}
