#ifndef TESTS_LIB_TREE_H
#define TESTS_LIB_TREE_H

/* Removes a test's folder with all that is in it. */
void tree_remove(const char *path);

#endif
