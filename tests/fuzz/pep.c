/*
 * What a client sends about its nodes: a form is read, and what is kept of it
 * is read again as the same; a page and a form's fields are found or not.
 */
#include <string.h>

#include "common/strutil.h"
#include "tests/lib/fuzz.h"
#include "xmppd/router/form.h"
#include "xmppd/router/pep_node.h"
#include "xmppd/router/rsm.h"

#define FORM(inside) "<x xmlns='jabber:x:data' type='submit'>" inside "</x>"
#define FIELD(var, value)                                                      \
	"<field var='pubsub#" var "'><value>" value "</value></field>"

bool
fuzz_seed(size_t i, struct buf *b)
{
	static const char *const seeds[] = {
		FORM(""),
		FORM(FIELD("access_model", "open") FIELD("max_items", "max")),
		FORM(FIELD("persist_items", "false") FIELD("max_items", "10")),
		FORM(FIELD("title", "a&lt;b")
			FIELD("send_last_published_item", "never")),
		FORM("<field var='pubsub#roster_groups_allowed'><value>a"
		     "</value><value>b</value></field>"),
		("<pubsub><set xmlns='http://jabber.org/protocol/rsm'><max>3"
		 "</max><before/></set></pubsub>"),
	};

	if (i >= sizeof(seeds) / sizeof(seeds[0]))
		return false;
	buf_add_str(b, seeds[i]);
	return true;
}

static void
check_config(const struct xml *form)
{
	struct node_config config, again;
	struct buf kept = { 0 };

	node_config_init(&config);
	if (node_config_read(&config, form) == 0) {
		node_config_encode(&kept, &config);
		node_config_decode(&again, &kept);
		for (size_t o = 0; o < NODE_OPTIONS; o++)
			fuzz_check(str_equal(config.value[o], again.value[o]),
			    "an option is kept as it was read");
		fuzz_check(node_config_keep(&config) >= 1 &&
			node_config_keep(&config) <= PEP_ITEMS_MAX,
		    "a node keeps some items");
		node_config_clear(&again);
	}
	node_config_has(&config, form);
	node_config_clear(&config);
	buf_clear(&kept);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xml *x = xml_parse((const char *)data, size);
	struct rsm rsm;

	if (x == NULL)
		return 0;
	check_config(x);
	rsm = rsm_read(x);
	fuzz_check(rsm.there || (rsm.after == NULL && rsm.before == NULL),
	    "what isn't there says nothing");
	form_find(x, NULL);
	xml_free(x);
	return 0;
}
