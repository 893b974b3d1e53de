/*
 * mmp: the administrative shell. Options, who the user is, and which way
 * commands come: one on the command line, from sshd, typed, or from a script.
 */
#include <sys/stat.h>

#include <getopt.h>
#include <locale.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/grammar.h"
#include "common/log.h"
#include "common/strutil.h"
#include "common/words.h"
#include "common/xmalloc.h"
#include "mmp/audit.h"
#include "mmp/cmd_pki.h"
#include "mmp/input.h"
#include "mmp/mmp.h"
#include "mmp/node.h"
#include "mmp/run.h"
#include "mmp/shell.h"

#define SFTP_SERVER "/usr/lib/openssh/sftp-server"

struct options {
	const char *root, *command;
	bool json;
	struct words
	    forced; /* a ForceCommand, which the texts may point into */
};

static int
usage(void)
{
	fputs("usage: mmp [--root DIR] [--json] [-c COMMAND]\n", stderr);
	return MMP_NO_COMMAND;
}

/* For the lint that holds the manual against the table. */
static int
list_commands(void)
{
	for (const struct command *c = commands; c->pattern != NULL; c++) {
		char *text = grammar_usage(c);

		puts(text);
		free(text);
	}
	return MMP_DONE;
}

/* -1 to go on, else the exit status. */
static int
parse_options(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "list-commands", no_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	int key;

	/* 0 instead of 1: everything is begun anew (getopt(3), NOTES). */
	optind = 0;
	while ((key = getopt_long(argc, argv, "c:hjr:V", longs, NULL)) != -1) {
		switch (key) {
		case 'c':
			options->command = optarg;
			break;
		case 'r':
			options->root = optarg;
			break;
		case 'j':
			options->json = true;
			break;
		case 'h':
			printf("usage: mmp [--root DIR] [--json] "
			       "[-c COMMAND]; see mmp(8)\n");
			return MMP_DONE;
		case 'V':
			puts(MMP_VERSION);
			return MMP_DONE;
		case 'l':
			return list_commands();
		default:
			return usage();
		}
	}
	return optind == argc ? -1 : usage();
}

/*
 * sshd runs a ForceCommand by the login shell. Where that shell is mmp as well,
 * "-c" is not a command but mmp's own command line.
 */
static int
parse_forced(struct options *options)
{
	struct words *words = &options->forced;
	char **argv;
	int rc;

	if (options->command == NULL ||
	    words_split(options->command, false, false, words, NULL) != 0 ||
	    words->count == 0 || !str_ends(words->at[0], "/mmp"))
		return -1;
	options->command = NULL;
	/* getopt(3) wants a NULL at the end, and moves what it is given. */
	argv = xcalloc(words->count + 1, sizeof(*argv));
	memcpy(argv, words->at, words->count * sizeof(*argv));
	rc = parse_options((int)words->count, argv, options);
	free(argv);
	return rc;
}

/* What sshd runs for SFTP: "internal-sftp", or a path to the server. */
static bool
is_sftp(const char *command)
{
	size_t len = strcspn(command, " ");
	char *program = xstrndup(command, len);
	bool is = str_equal(program, "internal-sftp") ||
	    str_ends(program, "/sftp-server");

	free(program);
	return is;
}

/* Becomes the SFTP server, in the pki folder. */
static int
run_sftp(const char *root)
{
	char *folder;

	xasprintf(&folder, "%s/pki", root);
	execl(SFTP_SERVER, "sftp-server", "-u", "0007", "-d", folder,
	    (char *)NULL);
	perror("mmp: " SFTP_SERVER);
	free(folder);
	return MMP_REFUSED;
}

/* "10.1.1.9:63290"; the caller frees. */
static char *
find_source(void)
{
	const char *ssh = getenv("SSH_CONNECTION");
	char address[64], port[16], *source;

	if (ssh == NULL || sscanf(ssh, "%63s %15s", address, port) != 2)
		return xstrdup("console");
	xasprintf(&source, strchr(address, ':') == NULL ? "%s:%s" : "[%s]:%s",
	    address, port);
	return source;
}

static char *
find_user(void)
{
	/* cppcheck-suppress getpwuidCalled ; there is one thread */
	const struct passwd *pw = getpwuid(getuid());
	char *user;

	if (pw != NULL)
		return xstrdup(pw->pw_name);
	xasprintf(&user, "uid %d", (int)getuid());
	return user;
}

static int
run(struct mmp *mmp, const char *command)
{
	bool sftp = command != NULL && is_sftp(command);

	/* A command's own refusal is logged with it. */
	if (mmp->role == ROLE_NONE && (command == NULL || sftp)) {
		audit_command(mmp, sftp ? "sftp" : "", "permission denied");
		return run_denied(mmp, ROLE_AUDIT);
	}
	if (sftp)
		return run_sftp(mmp->root);
	if (command != NULL)
		return run_line(mmp, command, false);
	if (mmp->tty && isatty(STDOUT_FILENO))
		return shell_run(mmp);
	return script_run(mmp);
}

static int
start(const struct options *options)
{
	char *user = find_user(), *source = find_source();
	char *hostname = node_hostname(options->root);
	struct grammar *grammar;
	struct error error;
	struct mmp mmp = { .root = options->root,
		.hostname = hostname,
		.user = user,
		.source = source,
		.role = role_of_self(options->root),
		.json = options->json,
		.tty = isatty(STDIN_FILENO) == 1,
		.interrupt_fd = -1 };
	int status;

	/* A unit test holds that the table compiles. */
	mmp.grammar = grammar = grammar_new(commands, &error);
	mmp.input = input_new(STDIN_FILENO);
	if (mmp.role == ROLE_ADMIN)
		pki_files_share(&mmp);
	status = run(&mmp, options->command);
	input_free(mmp.input);
	grammar_free(grammar);
	free(hostname);
	free(source);
	free(user);
	return status;
}

int
main(int argc, char **argv)
{
	struct options options = { .root = "/var/lib/mmp" };
	int status;

	setlocale(LC_CTYPE, "C.UTF-8");
	log_init("mmp", LOG_LEVEL_INFO, 0);
	umask(007);
	status = parse_options(argc, argv, &options);
	if (status < 0)
		status = parse_forced(&options);
	if (status < 0 && options.command == NULL)
		options.command = getenv("SSH_ORIGINAL_COMMAND");
	if (status < 0)
		status = start(&options);
	words_clear(&options.forced);
	return status;
}
