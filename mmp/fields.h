#ifndef MMP_FIELDS_H
#define MMP_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * Pieces that layouts are made of (print_*.c): a result of a daemon is a JSON
 * object, and what a daemon of another version leaves out is shown as not set.
 */

/* How a value is shown. */
enum field_kind {
	FIELD_TEXT,  /* "none" if it isn't set */
	FIELD_BOOL,  /* true or false */
	FIELD_LIST,  /* texts, with blanks between */
	FIELD_LIMIT, /* a number, or "unlimited" */
	FIELD_NUMBER,
	FIELD_TIME,
	FIELD_SECRET /* "set" or "none" */
};

struct field {
	const char *label, *key;
	enum field_kind kind;
};

const char *field_text(const json_t *object, const char *key);
bool field_is_set(const json_t *object, const char *key);

/* "Label   : value" a line. */
void fields_print(FILE *out, const json_t *object, const struct field *fields,
    size_t count, int width);
#define PRINT_FIELDS(out, object, fields, width)                               \
	fields_print(                                                          \
	    out, object, fields, sizeof(fields) / sizeof(fields[0]), width)

/* "2026-11-22T12:00:00Z" */
void field_time(FILE *out, const json_t *when);

/* Texts with blanks between them, "none" for no text; and a line each, behind a
 * label. */
void field_list(FILE *out, const json_t *list);
void field_lines(FILE *out, const char *label, const json_t *lines);

/* The printers, by the methods of daemon_methods (print.c). */
void print_xmpp(FILE *out, const json_t *result);
void print_callbridge_added(FILE *out, const json_t *result);
void print_callbridges(FILE *out, const json_t *result);
void print_domains(FILE *out, const json_t *result);
void print_limits(FILE *out, const json_t *result);
void print_archive(FILE *out, const json_t *result);
void print_contacts(FILE *out, const json_t *result);
void print_admins(FILE *out, const json_t *result);
void print_push(FILE *out, const json_t *result);
void print_motd(FILE *out, const json_t *result);
void print_stats(FILE *out, const json_t *result);
void print_sessions(FILE *out, const json_t *result);
void print_users(FILE *out, const json_t *result);
void print_cluster(FILE *out, const json_t *result);
void print_bridge(FILE *out, const json_t *result);
void print_bridge_status(FILE *out, const json_t *result);
void print_dns(FILE *out, const json_t *result);
void print_lookup(FILE *out, const json_t *result);

#endif
