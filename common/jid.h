#ifndef COMMON_JID_H
#define COMMON_JID_H

#include <stdbool.h>
#include <stddef.h>

/*
 * JIDs (RFC 7622, with the profiles of RFC 6122: nodeprep, IDNA, resourceprep).
 * A struct jid holds the prepared text in one block; its parts point into it.
 */
struct jid {
	char *full;    /* "local@domain/resource" as far as there; owned */
	size_t bare;   /* length of "local@domain" */
	size_t local;  /* length of the local part, 0: none */
	size_t domain; /* offset of the domain */
	size_t len;    /* length of full; bare == len: no resource */
};

/* Prepares; 0 or RES_INVALID (then *j is untouched). */
int jid_parse(const char *text, size_t len, struct jid *j);
void jid_clear(struct jid *j);

/* Copies; the caller frees. */
char *jid_bare(const struct jid *j);
char *jid_local(const struct jid *j); /* NULL if none */
char *jid_domain(const struct jid *j);
const char *jid_resource(const struct jid *j); /* borrowed; NULL if none */
bool jid_has_resource(const struct jid *j);

/* Prepare a single part; the caller frees; NULL if it is not allowed. */
char *jid_prep_local(const char *text);
char *jid_prep_domain(const char *text);
char *jid_prep_resource(const char *text);

/*
 * What a password is kept and compared as: SASLprep (RFC 4013; RFC 5802, 2.2).
 * One that is typed at a login may have characters that Unicode 3.2 didn't
 * know, one that is to be kept may not. As above.
 */
char *jid_prep_password(const char *text, bool kept);

#endif
