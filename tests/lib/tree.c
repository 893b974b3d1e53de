/*
 * A test's folder goes.
 */
#include "tests/lib/tree.h"

#include <ftw.h>
#include <stdio.h>

static int
remove_cb(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
tree_remove(const char *path)
{
	nftw(path, remove_cb, 8, FTW_DEPTH | FTW_PHYS);
}
