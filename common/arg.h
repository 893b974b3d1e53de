#ifndef COMMON_ARG_H
#define COMMON_ARG_H

#include <stdbool.h>

#include "common/commands.h"
#include "common/result.h"

/*
 * The types that arguments in command patterns have: one table. The check of a
 * type is of form only; whether a thing exists is said by who knows it.
 */
enum arg_kind {
	ARG_TEXT,
	ARG_NUMBER, /* becomes a JSON integer */
	ARG_FILE    /* a file of the pki folder; its contents go to a daemon */
};

/* Where the shell can ask for the names that there are. */
struct arg_source {
	enum command_at at;
	const char *method; /* "User.List" */
	const char *list;   /* an array in its result: "users" */
	const char *key;    /* of objects in it; NULL: it holds texts */
};

struct arg_type {
	const char *name; /* "interface", as in patterns */
	const char *what; /* for help: "interface: a, b, c, d or lo" */
	enum arg_kind kind;
	int (*check)(const char *text, struct error *error);
	const char *const *words; /* completions that never change, or NULL */
	const char *const *suffixes; /* completions: files that end so; NULL and
					ARG_FILE: all files */
	bool strip;                  /* ... without the ending */
	bool joined; /* `...` makes one text of all words, not a list */
	const struct arg_source *source; /* completions to ask for, or NULL */
};

/* Without it: NULL. */
const struct arg_type *arg_type_find(const char *name);

/* Walks the table: the n-th type, NULL at the end. */
const struct arg_type *arg_type_at(size_t n);

#endif
