#ifndef MMP_CMD_PKI_H
#define MMP_CMD_PKI_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/pki.h"
#include "mmp/mmp.h"

/* cmd_pki_files.c: the pki folder. */

/* Reads a file; RES_NOT_FOUND: "xmpp.key not found". Release with
   pki_file_clear(): the contents may be a key. */
int pki_file_read(
    struct mmp *mmp, const char *name, struct pki_file *file, struct error *e);
void pki_file_clear(struct pki_file *file);
bool pki_file_exists(struct mmp *mmp, const char *name);

/* Makes or replaces a file that isn't secret. */
int pki_file_write(
    struct mmp *mmp, const char *name, const struct buf *data, struct error *e);

/* Makes a key file: RES_EXISTS if there is one, never a replacement. */
int pki_key_create(
    struct mmp *mmp, const char *name, const struct buf *data, struct error *e);
/* Replaces the key file, knowingly. */
int pki_key_replace(
    struct mmp *mmp, const char *name, const struct buf *data, struct error *e);
int pki_file_remove(struct mmp *mmp, const char *name, struct error *e);

/* The names in the folder, sorted, without hidden ones. */
int pki_file_list(struct mmp *mmp, json_t **names, struct error *e);

/* What came by SFTP has the mode that it had where it came from. Gives this
   user's files to the other administrators, and to all if it isn't secret. */
void pki_files_share(struct mmp *mmp);

/*
 * Which files the daemons are configured with, as {"a.key": "xmpp"}; `known` is
 * false where a daemon couldn't be asked. The caller releases it.
 */
json_t *pki_files_in_use(struct mmp *mmp, bool *known);

/* cmd_pki_make.c */
int pki_cmd_csr(struct mmp *, const json_t *, json_t **, struct error *);
int pki_cmd_selfsigned(struct mmp *, const json_t *, json_t **, struct error *);
int pki_cmd_sign(struct mmp *, const json_t *, json_t **, struct error *);
int pki_cmd_unlock(struct mmp *, const json_t *, json_t **, struct error *);
void pki_print_csr(FILE *out, const json_t *result);

/* Adds {"ok": ..., "text": ...} to "checks" of the result. */
void pki_add_check(json_t *result, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
