#ifndef XMPPD_CTL_H
#define XMPPD_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/pki.h"
#include "common/varlink_server.h"

/*
 * The control handlers: what `mmp` asks of this daemon (common/xmppd.varlink).
 * One file an interface; the table in ctl.c names them.
 */
struct node;
struct proposer_result;

extern const struct varlink_interface ctl_interface;

/* ctl.c: answers made of checks, one line each. */
json_t *ctl_checks(void);
void ctl_check(json_t *checks, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void ctl_check_lines(json_t *checks, const struct pki_lines *lines);
void ctl_reply_checks(struct varlink_call *call, json_t *checks); /* takes */
/* Notes down what an administrator did; before the reply. */
void ctl_log(struct varlink_call *call, const char *what);
/* One line: success, or a refusal. */
void ctl_reply_done(struct varlink_call *call, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts a command through the log; when it is applied `done` answers the call.
 * Takes `data` (freed after done; may be NULL). */
typedef void (*ctl_applied)(struct node *n, struct varlink_call *call,
    const struct proposer_result *result, char *data);
struct buf;
void ctl_submit(struct node *n, struct varlink_call *call, struct buf *command,
    ctl_applied done, char *data);

/* Answers with why a command did not go through, for a code that the caller has
 * no better words for. */
void ctl_not_applied(struct varlink_call *call, int code);

/* A File parameter: its name and bytes; borrowed. False if it is absent. */
bool ctl_file(json_t *params, const char *key, struct pki_file *out);

/* ctl_user.c: the name of an account in the store, as it is typed; NULL with
 * the call answered. The caller frees. */
char *ctl_account_name(
    const struct node *n, struct varlink_call *call, const char *typed);

/* ctl_certs.c: checks and sets the files of `params`, then answers the call
 * with the checks (takes them). */
void ctl_certs_set(struct node *n, struct varlink_call *call, json_t *params,
    json_t *checks, bool restart);
/* CONTROL_TRUST_CHECK of another member. */
void ctl_trust_request(
    struct node *n, uint64_t token, const void *msg, size_t len);

/* ctl_session.c: CONTROL_SESSIONS and CONTROL_KICK of another member. */
void ctl_sessions_request(
    struct node *n, uint64_t token, const void *msg, size_t len);
void ctl_kick_request(
    struct node *n, uint64_t token, const void *msg, size_t len);

/* The handlers, by interface. */
#define CTL_HANDLER(name)                                                      \
	void name(struct varlink_call *call, json_t *params, void *ctx)

CTL_HANDLER(ctl_xmpp_show);
CTL_HANDLER(ctl_xmpp_enable);
CTL_HANDLER(ctl_xmpp_disable);
CTL_HANDLER(ctl_xmpp_restart);
CTL_HANDLER(ctl_xmpp_domain);
CTL_HANDLER(ctl_xmpp_listen);
CTL_HANDLER(ctl_websocket_listen);
CTL_HANDLER(ctl_xmpp_certs);
CTL_HANDLER(ctl_xmpp_export);
CTL_HANDLER(ctl_xmpp_reset);
CTL_HANDLER(ctl_xmpp_trust);
CTL_HANDLER(ctl_callbridge_add);
CTL_HANDLER(ctl_callbridge_add_secret);
CTL_HANDLER(ctl_callbridge_del);
CTL_HANDLER(ctl_callbridge_list);
CTL_HANDLER(ctl_component_enable_plaintext);
CTL_HANDLER(ctl_component_disable_plaintext);
CTL_HANDLER(ctl_domain_add);
CTL_HANDLER(ctl_domain_del);
CTL_HANDLER(ctl_domain_list);
CTL_HANDLER(ctl_limits_list);
CTL_HANDLER(ctl_limits_set);
CTL_HANDLER(ctl_limits_max_sessions);
CTL_HANDLER(ctl_archive_show);
CTL_HANDLER(ctl_archive_always);
CTL_HANDLER(ctl_archive_roster);
CTL_HANDLER(ctl_archive_never);
CTL_HANDLER(ctl_archive_keep);
CTL_HANDLER(ctl_contact_list);
CTL_HANDLER(ctl_contact_set);
CTL_HANDLER(ctl_contact_del);
CTL_HANDLER(ctl_admin_list);
CTL_HANDLER(ctl_admin_add);
CTL_HANDLER(ctl_admin_del);
CTL_HANDLER(ctl_push_show);
CTL_HANDLER(ctl_push_count);
CTL_HANDLER(ctl_push_sender);
CTL_HANDLER(ctl_push_body);
CTL_HANDLER(ctl_motd_show);
CTL_HANDLER(ctl_motd_add);
CTL_HANDLER(ctl_motd_del);
CTL_HANDLER(ctl_stats_show);
CTL_HANDLER(ctl_session_list);
CTL_HANDLER(ctl_session_kick);
CTL_HANDLER(ctl_transfer_export);
CTL_HANDLER(ctl_transfer_user);
CTL_HANDLER(ctl_transfer_data);
CTL_HANDLER(ctl_user_add);
CTL_HANDLER(ctl_user_passwd);
CTL_HANDLER(ctl_user_del);
CTL_HANDLER(ctl_user_list);
CTL_HANDLER(ctl_cluster_enable);
CTL_HANDLER(ctl_cluster_disable);
CTL_HANDLER(ctl_cluster_trust);
CTL_HANDLER(ctl_cluster_initialize);
CTL_HANDLER(ctl_cluster_join);
CTL_HANDLER(ctl_cluster_remove);
CTL_HANDLER(ctl_cluster_hold);
CTL_HANDLER(ctl_cluster_status);

#endif
