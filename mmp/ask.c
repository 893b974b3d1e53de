/*
 * Questions: secrets without echo, passwords twice, confirmations.
 */
#include "mmp/mmp.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/crypto.h"
#include "common/grammar.h"
#include "common/strutil.h"
#include "common/words.h"
#include "mmp/input.h"

#define ANSWER_MAX 4096
#define CTRL_C "\3"
#define REPEAT_MS 1000 /* for how long a repetition is waited for */

static void
show_prompt(const struct mmp *mmp, const char *prompt)
{
	FILE *out = mmp->tty ? stdout : stderr;

	fputs(prompt, out);
	fflush(out);
}

/* Reads up to Enter or Ctrl-C; NULL where it isn't Enter. */
static char *
read_typed(void)
{
	struct buf line = { 0 };
	char *text = NULL;
	ssize_t n;

	do {
		n = read(
		    STDIN_FILENO, buf_reserve(&line, ANSWER_MAX), ANSWER_MAX);
		line.len += n > 0 ? (size_t)n : 0;
	} while (n > 0 && line.len < ANSWER_MAX &&
	    strchr("\n" CTRL_C, line.data[line.len - 1]) == NULL);
	if (n > 0 && line.data[line.len - 1] == '\n')
		text = input_text(line.data, line.len - 1);
	buf_wipe(&line);
	return text;
}

/*
 * Asks at a terminal, which is dark before it shows the prompt: who answers at
 * once isn't seen either. Ctrl-C ends the line instead of sending a signal,
 * which could come just before the reading begins.
 */
static char *
ask_hidden(const struct mmp *mmp, const char *prompt)
{
	struct termios shown, hidden;
	char *line;

	if (tcgetattr(STDIN_FILENO, &shown) != 0)
		return NULL;
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL | ISIG);
	hidden.c_cc[VEOL] = (cc_t)CTRL_C[0];
	tcsetattr(STDIN_FILENO, TCSADRAIN, &hidden);
	show_prompt(mmp, prompt);
	line = read_typed();
	tcsetattr(STDIN_FILENO, TCSADRAIN, &shown);
	/* The Enter wasn't shown either. */
	fputc('\n', stdout);
	fflush(stdout);
	return line;
}

char *
mmp_ask_secret(struct mmp *mmp, const char *prompt)
{
	bool cut;

	if (mmp->tty)
		return ask_hidden(mmp, prompt);
	show_prompt(mmp, prompt);
	return input_line(mmp->input, ANSWER_MAX, &cut);
}

/* Whether a line of a script is its next command (or a comment). */
static bool
is_command(const struct mmp *mmp, const char *line)
{
	struct words words;
	struct match match;
	struct error error;
	bool is = false;
	size_t at;

	if (words_split(line, true, false, &words, &error) != 0)
		return false;
	is = words.count == 0 ||
	    grammar_match(mmp->grammar, &words, false, &match, &at, &error) ==
		0;
	words_clear(&words);
	return is;
}

/* In a script the repetition may be missing: the next command follows then. */
static bool
is_repeated(struct mmp *mmp, const char *first)
{
	char *again;
	bool equal, cut;

	if (mmp->tty) {
		again = ask_hidden(mmp, "Enter it again: ");
		equal = again != NULL && crypto_equal_str(again, first);
		crypto_wipe_free(again);
		return equal;
	}
	again = input_peek(mmp->input, REPEAT_MS);
	equal = again == NULL || crypto_equal_str(again, first);
	if (again != NULL && (equal || !is_command(mmp, again)))
		crypto_wipe_free(input_line(mmp->input, ANSWER_MAX, &cut));
	else
		equal = true;
	crypto_wipe_free(again);
	return equal;
}

char *
mmp_ask_password(struct mmp *mmp, const char *prompt, struct error *error)
{
	char *first = mmp_ask_secret(mmp, prompt);

	if (first == NULL || first[0] == '\0') {
		error_set(error, RES_INVALID, "nothing was entered");
	} else if (!is_repeated(mmp, first)) {
		error_set(error, RES_INVALID, "the two entries differ");
	} else {
		return first;
	}
	crypto_wipe_free(first);
	return NULL;
}

bool
mmp_confirm(struct mmp *mmp, const char *question)
{
	char *line;
	bool yes, cut;

	show_prompt(mmp, question);
	line = input_line(mmp->input, ANSWER_MAX, &cut);
	yes = line != NULL &&
	    (str_equal_nocase(line, "y") || str_equal_nocase(line, "yes"));
	free(line);
	return yes;
}
