/*
 * The lists of methods, as one.
 */
#include "mmp/mmp.h"

#include "common/strutil.h"

static const struct mmp_method *const lists[] = {
	daemon_methods,
	help_methods,
	iface_methods,
	node_methods,
	pki_methods,
	user_methods,
};

const struct mmp_method *
mmp_method_find(const char *name)
{
	const struct mmp_method *m;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (m = lists[i]; m->name != NULL; m++)
			if (str_equal(m->name, name))
				return m;
	return NULL;
}
