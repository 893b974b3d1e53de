/*
 * The interactive shell: libedit's line editing, history, Tab and ?.
 *
 * libedit calls back with its EditLine only; what belongs to it is its client
 * data, struct shell.
 */
#include "mmp/shell.h"

#include <sys/signalfd.h>

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/strutil.h"
#include "common/words.h"
#include "common/xmalloc.h"
#include "mmp/complete.h"
#include "mmp/run.h"

#define HISTORY_LINES 500
#define HISTORY_BYTES (64 * 1024)      /* trimmed beyond */
#define HISTORY_MAX (16 * 1024 * 1024) /* given up beyond */
#define LIST_WIDTH 78

struct shell {
	struct mmp *mmp;
	EditLine *el;
	History *history;
	char *history_path; /* NULL: not kept */
	char *prompt;
};

static struct shell *
shell_of(EditLine *el)
{
	struct shell *shell = NULL;

	el_get(el, EL_CLIENTDATA, &shell);
	return shell;
}

static char *
prompt_cb(EditLine *el)
{
	return shell_of(el)->prompt;
}

/* ---- history ----------------------------------------------------------- */

static void
history_add(struct shell *shell, const char *line)
{
	HistEvent event;

	history(shell->history, &event, H_ENTER, line);
}

/* Lets the file's older half go when it has become long. */
static void
history_trim(const struct shell *shell, const char *text, size_t len)
{
	const char *half =
	    len > HISTORY_BYTES ? strchr(text + len / 2, '\n') : NULL;

	if (half != NULL &&
	    file_write(shell->history_path, half + 1, strlen(half + 1), 0600) !=
		0)
		log_debug(
		    "history: %s: %s", shell->history_path, strerror(errno));
}

static void
history_load(struct shell *shell)
{
	char *text, *rest, *line;
	size_t len = 0;

	if (shell->history_path == NULL)
		return;
	text = rest = file_read(shell->history_path, HISTORY_MAX, &len);
	if (text != NULL)
		history_trim(shell, text, len);
	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			history_add(shell, line);
	free(text);
}

/* Keeps a line for the next session. One that can't be kept is no reason for a
   message to who types. */
static void
history_keep(const struct shell *shell, const char *line)
{
	char *text;
	int fd, len;

	if (shell->history_path == NULL)
		return;
	fd = open(shell->history_path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	len = xasprintf(&text, "%s\n", line);
	if (write(fd, text, (size_t)len) < 0)
		log_debug(
		    "history: %s: %s", shell->history_path, strerror(errno));
	free(text);
	close(fd);
}

/* ---- text beside the line ---------------------------------------------- */

/* The number of characters in the last bytes of a text. */
static int
characters(const char *text, size_t bytes)
{
	int count = 0;

	for (text += strlen(text) - bytes; *text != '\0'; text++)
		count += (*text & 0xc0) != 0x80;
	return count;
}

/* Which row of the terminal a place of the line is in, the prompt's being 0. */
static int
row_of(EditLine *el, const char *place)
{
	const LineInfo *info = el_line(el);
	char *before = xstrndup(info->buffer, (size_t)(place - info->buffer));
	int at = characters(before, strlen(before)), columns = 0;

	at += (int)strlen(shell_of(el)->prompt);
	free(before);
	el_get(el, EL_GETTC, "co", &columns, NULL);
	return columns > 0 ? at / columns : 0;
}

static void
go_down(int rows)
{
	while (rows-- > 0)
		fputc('\n', stdout);
}

/*
 * Text that isn't the line's is written below all its rows, and the line anew
 * below that. libedit then clears its rows upwards from where it believes the
 * cursor to be: as many rows as the cursor has above it are left for that.
 */
static int
leave_line(EditLine *el)
{
	const LineInfo *info = el_line(el);
	int row = row_of(el, info->cursor);

	go_down(row_of(el, info->lastchar) - row);
	return row;
}

static unsigned char
return_to_line(int row)
{
	go_down(row);
	fflush(stdout);
	return CC_REDISPLAY;
}

/* ---- keys -------------------------------------------------------------- */

/* The line up to the cursor; the caller frees. */
static char *
line_before_cursor(EditLine *el)
{
	const LineInfo *info = el_line(el);

	return xstrndup(info->buffer, (size_t)(info->cursor - info->buffer));
}

static void
print_candidates(const struct candidates *c)
{
	size_t width = 0, columns, rows;

	for (size_t i = 0; i < c->count; i++)
		if (strlen(c->at[i]) > width)
			width = strlen(c->at[i]);
	columns = width + 2 > LIST_WIDTH ? 1 : LIST_WIDTH / (width + 2);
	rows = (c->count + columns - 1) / columns;
	fputc('\n', stdout);
	for (size_t row = 0; row < rows; row++) {
		for (size_t i = row; i < c->count; i += rows) {
			fputs(c->at[i], stdout);
			if (i + rows < c->count)
				printf("%*s",
				    (int)(width + 2 - strlen(c->at[i])), "");
		}
		fputc('\n', stdout);
	}
}

/* Puts a text where the word before the cursor is. */
static void
replace(EditLine *el, const char *line, size_t typed, const char *text)
{
	if (typed > 0)
		el_deletestr(el, characters(line, typed));
	el_insertstr(el, text);
}

/* Completes as far as all candidates agree; true if that is further. */
static bool
complete_common(EditLine *el, const char *line, const struct candidates *c)
{
	size_t common = candidates_common(c);
	char *text = xstrndup(c->at[0], common);
	char *quoted = complete_quoted(text);
	bool open = *quoted != *text && c->count > 1, further;

	if (open)
		quoted[strlen(quoted) - 1] = '\0';
	further = strlen(quoted) > c->typed;
	if (further || c->count == 1)
		replace(el, line, c->typed, quoted);
	if (c->count == 1 && !str_ends(text, ":"))
		el_insertstr(el, " ");
	free(quoted);
	free(text);
	return further || c->count == 1;
}

static unsigned char
tab_cb(EditLine *el, int key)
{
	char *line = line_before_cursor(el);
	unsigned char rc = CC_REFRESH;
	struct candidates c;
	int row;

	(void)key;
	complete_line(shell_of(el)->mmp, line, &c);
	if (c.count == 0) {
		rc = CC_REFRESH_BEEP;
	} else if (!complete_common(el, line, &c)) {
		row = leave_line(el);
		print_candidates(&c);
		rc = return_to_line(row);
	}
	candidates_clear(&c);
	free(line);
	return rc;
}

/* Inside quotes a ? is one. */
static unsigned char
help_cb(EditLine *el, int key)
{
	char *line = line_before_cursor(el), text[2] = { (char)key, '\0' };
	unsigned char rc = CC_REFRESH;
	struct buf help = { 0 };
	struct words words;
	int row;

	if (words_split(line, false, true, &words, NULL) != 0 ||
	    words.quote != '\0') {
		el_insertstr(el, text);
	} else {
		complete_help(shell_of(el)->mmp, line, &help);
		row = leave_line(el);
		printf("?\n%s", buf_str(&help));
		rc = return_to_line(row);
	}
	words_clear(&words);
	buf_clear(&help);
	free(line);
	return rc;
}

/* Ctrl-C drops the line and gives a fresh prompt. */
static unsigned char
cancel_cb(EditLine *el, int key)
{
	const LineInfo *info = el_line(el);
	int right =
	    characters(info->cursor, (size_t)(info->lastchar - info->cursor));
	int row = leave_line(el);

	(void)key;
	fputs("^C\n", stdout);
	el_cursor(el, right);
	info = el_line(el);
	el_deletestr(el,
	    characters(info->buffer, (size_t)(info->lastchar - info->buffer)));
	return return_to_line(row);
}

/* ---- the loop ---------------------------------------------------------- */

/*
 * While a command runs, Ctrl-C ends its wait, not the shell. A blocked signal
 * stays until it is read, so that none is lost just before the wait begins.
 */
static int
catch_interrupt(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* Forgets a Ctrl-C that came when nothing waited. */
static void
drain_interrupt(int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) > 0)
		;
}

static void
open_editor(struct shell *shell)
{
	HistEvent event;

	shell->history = history_init();
	history(shell->history, &event, H_SETSIZE, HISTORY_LINES);
	history(shell->history, &event, H_SETUNIQUE, 1);
	shell->el = el_init("mmp", stdin, stdout, stderr);
	if (shell->history == NULL || shell->el == NULL)
		return;
	el_set(shell->el, EL_CLIENTDATA, shell);
	el_set(shell->el, EL_PROMPT, prompt_cb);
	el_set(shell->el, EL_EDITOR, "emacs");
	el_set(shell->el, EL_SIGNAL, 0);
	el_set(shell->el, EL_HIST, history, shell->history);
	/* Ctrl-C is a key at the prompt, and a signal elsewhere. */
	el_set(shell->el, EL_SETTY, "-d", "-isig", NULL);
	el_set(shell->el, EL_ADDFN, "mmp-complete", "Complete", tab_cb);
	el_set(shell->el, EL_ADDFN, "mmp-help", "What may come next", help_cb);
	el_set(shell->el, EL_ADDFN, "mmp-cancel", "Drop the line", cancel_cb);
	el_set(shell->el, EL_BIND, "^I", "mmp-complete", NULL);
	el_set(shell->el, EL_BIND, "?", "mmp-help", NULL);
	el_set(shell->el, EL_BIND, "^C", "mmp-cancel", NULL);
	el_set(shell->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
}

static void
read_lines(struct shell *shell)
{
	const char *line;
	char *copy;
	int count;

	while (!shell->mmp->leave) {
		/* Before the prompt is shown: who types at once must not be
		   echoed by the terminal as well. */
		el_set(shell->el, EL_PREP_TERM, 1);
		/* A window that was made wider or narrower meanwhile. */
		el_resize(shell->el);
		line = el_gets(shell->el, &count);
		if (line == NULL || count <= 0)
			break;
		copy = xstrndup(line, strcspn(line, "\n"));
		if (run_may_be_kept(shell->mmp, copy)) {
			history_add(shell, copy);
			history_keep(shell, copy);
		}
		drain_interrupt(shell->mmp->interrupt_fd);
		run_line(shell->mmp, copy, true);
		free(copy);
	}
	if (!shell->mmp->leave)
		fputc('\n', stdout);
}

int
shell_run(struct mmp *mmp)
{
	struct shell shell = { .mmp = mmp };
	const char *home = getenv("HOME");

	mmp->interrupt_fd = catch_interrupt();
	/* There is no other shell to come back to. */
	signal(SIGTSTP, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	if (home != NULL && *home == '/')
		xasprintf(&shell.history_path, "%s/.mmp_history", home);
	xasprintf(&shell.prompt, "%s> ", mmp->hostname);
	open_editor(&shell);
	if (shell.el != NULL && shell.history != NULL) {
		history_load(&shell);
		read_lines(&shell);
	}
	if (shell.el != NULL)
		el_end(shell.el);
	if (shell.history != NULL)
		history_end(shell.history);
	free(shell.prompt);
	free(shell.history_path);
	return MMP_DONE;
}
