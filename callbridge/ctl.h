#ifndef CALLBRIDGE_CTL_H
#define CALLBRIDGE_CTL_H

#include <jansson.h>

struct varlink_call;

/* For ctl.c and ctl_dns.c only. */

/* Answers with one line that says what was done, and logs it. */
void ctl_done(struct varlink_call *call, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The methods of im.callbridge.Dns; ctx is the struct bridge. */
void ctl_dns_show(struct varlink_call *call, json_t *params, void *ctx);
void ctl_dns_add_zone(struct varlink_call *call, json_t *params, void *ctx);
void ctl_dns_del_zone(struct varlink_call *call, json_t *params, void *ctx);
void ctl_dns_add_record(struct varlink_call *call, json_t *params, void *ctx);
void ctl_dns_del_record(struct varlink_call *call, json_t *params, void *ctx);
void ctl_dns_lookup(struct varlink_call *call, json_t *params, void *ctx);
void ctl_dns_flush(struct varlink_call *call, json_t *params, void *ctx);

#endif
