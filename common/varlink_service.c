/*
 * What every Varlink service answers about itself (org.varlink.service).
 */
#include "common/varlink_parts.h"

#include <stdlib.h>
#include <string.h>

#include "common/strutil.h"
#include "common/varlink.h"
#include "common/xmalloc.h"

/*
 * The section of an interface in the text, up to the next one or the end; the
 * caller frees. A .varlink file of ours holds several, one a group of methods.
 */
static char *
section_of(const char *text, const char *name)
{
	size_t len = strlen(name);
	const char *at, *end;

	for (at = text; at != NULL; at = strstr(at, "\ninterface ")) {
		at += *at == '\n';
		if (!str_starts(at, "interface ")) {
			continue;
		}
		at += strlen("interface ");
		if (strncmp(at, name, len) != 0 || at[len] != '\n')
			continue;
		at -= strlen("interface ");
		end = strstr(at, "\ninterface ");
		return end == NULL ? xstrdup(at)
				   : xstrndup(at, (size_t)(end - at) + 1);
	}
	return NULL;
}

static const char service_text[] =
    "# What every Varlink service answers\n"
    "interface " VARLINK_SERVICE "\n\n"
    "method GetInfo() -> (vendor: string, product: string, version: string,"
    " url: string, interfaces: []string)\n"
    "method GetInterfaceDescription(interface: string) ->"
    " (description: string)\n\n"
    "error InterfaceNotFound (interface: string)\n"
    "error MethodNotFound (method: string)\n"
    "error InvalidParameter (parameter: string)\n"
    "error PermissionDenied (method: string)\n";

void
varlink_service_info(
    struct varlink_call *call, const struct varlink_interface *iface)
{
	json_t *names = json_array();
	const char *at = iface->text;

	json_array_append_new(names, json_string(VARLINK_SERVICE));
	while (at != NULL) {
		at += *at == '\n';
		if (str_starts(at, "interface ")) {
			at += strlen("interface ");
			json_array_append_new(
			    names, json_stringn(at, strcspn(at, "\n")));
		}
		at = strstr(at, "\ninterface ");
	}
	varlink_reply(call,
	    json_pack("{s:s,s:s,s:s,s:s,s:o}", "vendor", "mmp", "product",
		iface->name, "version", MMP_VERSION, "url", "", "interfaces",
		names));
}

void
varlink_service_describe(struct varlink_call *call, json_t *params,
    const struct varlink_interface *iface)
{
	const char *name;
	char *text;

	if (!varlink_unpack(call, params, "{s:s}", "interface", &name))
		return;
	text = str_equal(name, VARLINK_SERVICE) ? xstrdup(service_text)
						: section_of(iface->text, name);
	if (text == NULL) {
		varlink_refuse(call, "InterfaceNotFound", "interface", name);
		return;
	}
	varlink_reply(call, json_pack("{s:s}", "description", text));
	free(text);
}
