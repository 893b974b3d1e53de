/* Contact addresses (XEP-0157): whom to write to about this server. */
#include <string.h>

#include "xmppd/router/extension.h"
#include "xmppd/router/form.h"

#define NS_SERVER_INFO "http://jabber.org/network/serverinfo"

static void
begin_form(struct buf *b)
{
	if (b->len == 0)
		form_begin(b, "result", NS_SERVER_INFO);
}

static void
add_contact(void *arg, const char *name, const char *value)
{
	struct buf *b = arg, var = { 0 };

	begin_form(b);
	buf_addf(&var, "%s-addresses", name + strlen(SHARED_CONTACT));
	form_add(b, buf_str(&var), "list-multi", NULL, value);
	buf_clear(&var);
}

static void
describe(struct router *r, const struct job *job, enum iq_at at, struct buf *b)
{
	struct buf form = { 0 };

	(void)job;
	if (at != AT_SERVER)
		return;
	store_settings(r->env.store, SHARED_CONTACT, add_contact, &form);
	if (form.len > 0) {
		form_end(&form);
		buf_add(b, form.data, form.len);
	}
	buf_clear(&form);
}

const struct extension xep_0157 = {
	.number = "XEP-0157",
	.describe = describe,
};
