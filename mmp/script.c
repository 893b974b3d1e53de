/*
 * Commands that come from a file or a pipe.
 */
#include "mmp/shell.h"

#include <stdlib.h>

#include "common/words.h"
#include "mmp/input.h"
#include "mmp/print.h"
#include "mmp/run.h"

int
script_run(struct mmp *mmp)
{
	int status, first = MMP_DONE;
	char *line;
	bool cut;

	while (!mmp->leave &&
	    (line = input_line(mmp->input, WORDS_LINE_MAX, &cut)) != NULL) {
		if (cut) {
			print_failure(stderr, "line is too long");
			status = MMP_NO_COMMAND;
		} else {
			status = run_line(mmp, line, false);
		}
		free(line);
		if (first == MMP_DONE)
			first = status;
	}
	return first;
}
