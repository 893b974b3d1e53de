/*
 * The table of this node's own settings.
 */
#include "xmppd/settings.h"

#include "common/interfaces.h"

#define PEM_MAX (512 * 1024)

static int
check_listen(const char *value, struct error *e)
{
	struct listen_spec spec;

	return listen_spec_parse(value, &spec, e);
}

static int
check_websocket(const char *value, struct error *e)
{
	struct listen_spec spec;

	return websocket_spec_parse(value, &spec, e);
}

const struct conf_setting settings[SETTINGS] = {
	[SET_ENABLED] = { .name = "enabled", .type = CONF_BOOL },
	[SET_CLUSTERED] = { .name = "clustered", .type = CONF_BOOL },
	[SET_LISTEN] = { .name = "listen",
	    .type = CONF_LIST,
	    .max = 16,
	    .check = check_listen },
	[SET_WEBSOCKET] = { .name = "websocket",
	    .type = CONF_LIST,
	    .max = 16,
	    .check = check_websocket },
	[SET_PLAINTEXT] = { .name = "plaintext_components", .type = CONF_BOOL },
	[SET_KEY_FILE] = { .name = "key_file", .type = CONF_TEXT },
	[SET_CERT_FILE] = { .name = "certificate_file", .type = CONF_TEXT },
	[SET_BUNDLE_FILE] = { .name = "bundle_file", .type = CONF_TEXT },
	[SET_TRUST_FILE] = { .name = "trust_file", .type = CONF_TEXT },
	[SET_KEY] = { .name = "key",
	    .type = CONF_TEXT,
	    .max = PEM_MAX,
	    .flags = CONF_SECRET },
	[SET_CERT] = { .name = "certificate",
	    .type = CONF_TEXT,
	    .max = PEM_MAX },
	[SET_BUNDLE] = { .name = "bundle", .type = CONF_TEXT, .max = PEM_MAX },
	[SET_TRUST] = { .name = "trust", .type = CONF_TEXT, .max = PEM_MAX },
	[SET_LAST_COMMAND] = { .name = "last_command", .type = CONF_TEXT },
};
