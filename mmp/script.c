/*
 * Commands that come from a file or a pipe.
 */
#include "mmp/shell.h"

#include <stdlib.h>
#include <string.h>

#include "common/strutil.h"
#include "common/words.h"
#include "mmp/input.h"
#include "mmp/print.h"
#include "mmp/run.h"

/* What some editors put in front of a text in UTF-8. */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

int
script_run(struct mmp *mmp)
{
	int status, first = MMP_DONE;
	bool cut, begins = true;
	char *line;

	while (!mmp->leave &&
	    (line = input_line(mmp->input, WORDS_LINE_MAX, &cut)) != NULL) {
		if (begins && str_starts(line, BYTE_ORDER_MARK))
			memmove(line, line + strlen(BYTE_ORDER_MARK),
			    strlen(line) - strlen(BYTE_ORDER_MARK) + 1);
		begins = false;
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
