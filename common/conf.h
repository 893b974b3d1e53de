#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/*
 * The settings of one node: a flat JSON object in one file, described by a
 * table of its owner. A setting is named by its row's index (an enum of the
 * owner). Every value that is read has passed the table's check, so that code
 * above has no branch for a malformed one.
 */
enum conf_type {
	CONF_TEXT, /* a text, or unset */
	CONF_INT,
	CONF_BOOL,
	CONF_LIST /* texts, in order, none twice */
};

enum conf_flags {
	CONF_SECRET = 1 /* wiped from memory; never in an error */
};

/* Whether a text (each text of a list) is well-formed. */
typedef int (*conf_check_fn)(const char *value, struct error *e);

struct conf_setting {
	const char *name; /* the key in the file */
	enum conf_type type;
	int64_t min, max; /* INT: value; TEXT: bytes; LIST: entries;
			     both 0: no limit but the file's size */
	int64_t def;      /* of an INT or BOOL */
	unsigned flags;
	conf_check_fn check; /* or NULL */
};

struct conf;

struct conf *conf_new(
    const struct conf_setting *table, size_t count, const char *path);
void conf_free(struct conf *c);

/*
 * Reads the file. One that is not there gives the defaults. A malformed one
 * is RES_INVALID with "file:line: what", and leaves everything as it was: a
 * daemon then refuses to start with that line.
 */
int conf_load(struct conf *c, struct error *e);

/* What is in force. Texts are borrowed until the next commit. */
const char *conf_text(const struct conf *c, unsigned key); /* NULL: unset */
int64_t conf_int(const struct conf *c, unsigned key);
bool conf_bool(const struct conf *c, unsigned key);
size_t conf_count(const struct conf *c, unsigned key); /* of a LIST */
const char *conf_entry(const struct conf *c, unsigned key, size_t at);

/*
 * Changes are staged, and come into force together with conf_commit(), which
 * writes the file first: it succeeds as a whole or everything stays as it was
 * (RES_IO: a full disk). A refused change drops all that is staged.
 */
int conf_set_text(struct conf *c, unsigned key, const char *value,
    struct error *e); /* NULL unsets */
int conf_set_int(struct conf *c, unsigned key, int64_t value, struct error *e);
int conf_set_bool(struct conf *c, unsigned key, bool value);
int conf_add_entry(struct conf *c, unsigned key, const char *value,
    struct error *e); /* RES_EXISTS */
int conf_del_entry(struct conf *c, unsigned key, const char *value,
    struct error *e);                          /* RES_NOT_FOUND */
void conf_clear(struct conf *c, unsigned key); /* back to the default */
int conf_commit(struct conf *c, struct error *e);
void conf_abort(struct conf *c);

#endif
