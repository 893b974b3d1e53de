/*
 * A node's settings file: one that is taken can be written and is taken again;
 * one that is refused leaves the defaults, and says why in one line.
 */
#include "common/conf.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/strutil.h"
#include "tests/lib/fuzz.h"

enum { F_NAME, F_SECRET, F_PORT, F_ON, F_LISTEN, F_COUNT };

static const struct conf_setting table[F_COUNT] = {
	[F_NAME] = { .name = "name", .min = 1, .max = 8 },
	[F_SECRET] = { .name = "secret", .flags = CONF_SECRET, .max = 4 },
	[F_PORT] = { .name = "port",
	    .type = CONF_INT,
	    .min = 1,
	    .max = 65535,
	    .def = 5223 },
	[F_ON] = { .name = "on", .type = CONF_BOOL, .def = 1 },
	[F_LISTEN] = { .name = "listen", .type = CONF_LIST, .max = 2 },
};

static const char *const seeds[] = {
	("{\"name\":\"cb1\",\"secret\":\"abc\",\"port\":5223,\"on\":false,"
	 "\"listen\":[\"a\",\"b\"]}"),
	"{}",
	"{\"port\":0}",
	"{\"listen\":[\"a\",\"a\"]}",
	NULL,
};

bool
fuzz_seed(size_t i, struct buf *b)
{
	return fuzz_text_seed(seeds, i, b);
}

static void
write_file(const char *path, const uint8_t *data, size_t size)
{
	FILE *file = fopen(path, "w");

	if (file == NULL || fwrite(data, 1, size, file) != size)
		fatal("%s", path);
	fclose(file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *conf;
	struct error e = { 0 };
	char path[128];

	snprintf(path, sizeof(path), "%s/conf.json", fuzz_folder());
	write_file(path, data, size);
	conf = conf_new(table, F_COUNT, path);
	if (conf_load(conf, &e) != RES_OK) {
		fuzz_check(e.text[0] != '\0' && strchr(e.text, '\n') == NULL,
		    "a refusal is one line");
		fuzz_check(conf_int(conf, F_PORT) == 5223 &&
			conf_text(conf, F_NAME) == NULL,
		    "a refusal changes nothing");
	} else {
		fuzz_check(conf_int(conf, F_PORT) >= 1 &&
			conf_count(conf, F_LISTEN) <= 2,
		    "what is in force has passed its checks");
		fuzz_check(conf_set_bool(conf, F_ON, true) == RES_OK &&
			conf_commit(conf, &e) == RES_OK,
		    "what was read can be written");
		fuzz_check(conf_load(conf, &e) == RES_OK,
		    "what was written can be read");
	}
	conf_free(conf);
	return 0;
}
