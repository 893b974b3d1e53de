#ifndef COMMON_RESOLVER_SCOPE_H
#define COMMON_RESOLVER_SCOPE_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

/*
 * What resolver.c knows without asking: which servers hold for which names, and
 * the forms of names, zones and records. Only for resolver.c.
 */
#define RESOLVER_SERVER_SIZE 64

struct resolver_text {
	STAILQ_ENTRY(resolver_text) entry;
	char text[];
};
STAILQ_HEAD(resolver_texts, resolver_text);

struct resolver_scope {
	struct resolver_texts zones;   /* "example.com 10.1.1.1:5353" */
	struct resolver_texts records; /* "cb1.site. IN A 10.0.0.1" */
	struct resolver_texts system;  /* as zones of the root */
};

void resolver_texts_add(struct resolver_texts *list, const char *text);
void resolver_texts_clear(struct resolver_texts *list);

void resolver_scope_init(struct resolver_scope *s);
/* Takes the servers of a resolv.conf(5), whose text it cuts up; NULL: none. */
void resolver_scope_read_system(struct resolver_scope *s, char *text);
bool resolver_scope_has_record(
    const struct resolver_scope *s, const char *name);
/* Who is asked for a name: "10.1.1.1, 10.1.1.2:5353"; "" is nobody. */
void resolver_scope_servers(
    const struct resolver_scope *s, const char *name, struct buf *out);
/* The zones, as the library's settings have them. */
void resolver_scope_clauses(const struct resolver_scope *s, struct buf *out);

/* With or without a last dot, of any case. */
bool resolver_name_equal(
    const char *a, size_t a_len, const char *b, size_t b_len);
/* As it is asked for (RFC 5891); the caller frees; NULL if it is no name. */
char *resolver_name_ascii(const char *name);
/*
 * "name. [TTL] IN TYPE data", single blanks, lower case; the caller frees; NULL
 * where it isn't of that shape. Cuts the text up.
 */
char *resolver_tidy(char *text);

#endif
