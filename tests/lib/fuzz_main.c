/*
 * A fuzz target without libFuzzer: runs the files that are named, and so shows
 * what a found input does, with any compiler and in a debugger.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/strutil.h"
#include "tests/lib/fuzz.h"

int
main(int argc, char **argv)
{
	char *data;
	size_t len;

	LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++) {
		data = file_read(argv[i], 1 << 26, &len);
		if (data == NULL) {
			perror(argv[i]);
			return 1;
		}
		LLVMFuzzerTestOneInput((const uint8_t *)data, len);
		free(data);
	}
	return 0;
}
