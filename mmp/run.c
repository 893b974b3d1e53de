/*
 * One line, from its words to its exit status.
 */
#include "mmp/run.h"

#include <sys/ioctl.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/crypto.h"
#include "common/elsewhere.h"
#include "common/grammar.h"
#include "common/strutil.h"
#include "common/varlink.h"
#include "common/words.h"
#include "common/xmalloc.h"
#include "mmp/audit.h"
#include "mmp/call.h"
#include "mmp/export.h"
#include "mmp/params.h"
#include "mmp/print.h"

/* What has to be done for one line. */
struct job {
	struct mmp *mmp;
	const struct command *command;
	const struct mmp_method *method;
	json_t *params;
	json_t *layout; /* words that are for the printer */
	bool absent;    /* the daemon isn't there */
	bool failed;    /* a check wasn't ok */
};

/* Progress is shown at once. */
static bool
part_cb(json_t *part, void *arg)
{
	const json_t *checks = json_object_get(part, "checks");
	struct job *job = arg;

	if (checks == NULL || job->mmp->json)
		return false;
	if (!print_checks(stdout, checks))
		job->failed = true;
	fflush(stdout);
	return true;
}

/* Asks for what isn't typed on the line. */
static int
ask(struct job *job, struct error *error)
{
	const struct command *c = job->command;
	char *text;

	if (c->ask == ASK_NOTHING)
		return 0;
	text = c->ask == ASK_PASSWORD
	    ? mmp_ask_password(job->mmp, c->prompt, error)
	    : mmp_ask_secret(job->mmp, c->prompt);
	if (c->ask == ASK_SECRET && (text == NULL || *text == '\0')) {
		crypto_wipe_free(text);
		return error_set(error, RES_INVALID, "nothing was entered");
	}
	if (text == NULL)
		return error->code;
	if (!str_is_utf8(text, strlen(text))) {
		crypto_wipe_free(text);
		return error_set(error, RES_INVALID, "not UTF-8 text");
	}
	json_object_set_new(job->params, c->asks, json_string(text));
	crypto_wipe_free(text);
	return 0;
}

static int
prepare(struct job *job, const struct match *match, struct error *error)
{
	json_t *files;

	job->params = params_build(job->mmp, match, job->layout, error);
	if (job->params == NULL)
		return error->code;
	if (job->command->flags & CMD_REREAD) {
		files =
		    params_reread(job->mmp, job->command, &job->absent, error);
		if (files == NULL)
			return error->code;
		json_object_update(job->params, files);
		json_decref(files);
	}
	return ask(job, error);
}

/* Saves what a reset would lose, and says so to the daemon. */
static int
save_first(struct job *job, struct error *error)
{
	json_t *said, *name;
	int rc;

	if (!(job->command->flags & CMD_EXPORT))
		return 0;
	rc = export_save(job->mmp, &said, &name, &job->absent, error);
	if (said != NULL) {
		json_object_set_new(job->params, "saved", name);
		said = json_pack("{s:[o]}", "checks", said);
		part_cb(said, job);
		json_decref(said);
	}
	return rc;
}

static int
execute(struct job *job, json_t **result, struct error *error)
{
	struct call call = { .at = job->command->at,
		.method = job->command->method,
		.part = part_cb,
		.arg = job };
	int rc;

	*result = NULL;
	if (job->command->at == AT_LOCAL)
		return job->method->handler(
		    job->mmp, job->params, result, error);
	rc = save_first(job, error);
	if (rc != 0)
		return rc;
	call.params = json_incref(job->params);
	return call_daemon(job->mmp, &call, result, &job->absent, error);
}

static void
show(struct job *job, json_t *result)
{
	const json_t *checks = json_object_get(result, "checks");

	if (job->mmp->json) {
		print_json(stdout, result);
		if (!print_checks(NULL, checks))
			job->failed = true;
		return;
	}
	if (!print_checks(stdout, checks))
		job->failed = true;
	if (result != NULL && job->method != NULL &&
	    job->method->printer != NULL) {
		json_object_update_missing(result, job->layout);
		job->method->printer(stdout, result);
	}
}

static int
run_match(struct mmp *mmp, const struct match *match)
{
	struct error error = { .code = RES_OK };
	struct job job = { .mmp = mmp,
		.command = match->command,
		.method = mmp_method_find(match->command->method),
		.layout = json_object() };
	json_t *result = NULL;
	int rc;

	mmp->absent = false;
	rc = prepare(&job, match, &error);
	if (rc == 0)
		rc = execute(&job, &result, &error);
	if (rc == 0)
		show(&job, result);
	else
		print_failure(stderr, error.text);
	json_decref(result);
	varlink_wipe(job.params);
	json_decref(job.params);
	json_decref(job.layout);
	if (job.absent || mmp->absent)
		return MMP_NO_DAEMON;
	return rc == 0 && !job.failed ? MMP_DONE : MMP_REFUSED;
}

/* ---- lines that are none ----------------------------------------------- */

/* Under the typed line, which is right above: where it went wrong. */
static void
print_caret(const struct mmp *mmp, const char *line, size_t column)
{
	size_t at = strlen(mmp->hostname) + strlen("> ");
	struct winsize size;

	for (size_t i = 0; i < column; i++) {
		if (line[i] == '\t')
			return;
		at += (line[i] & 0xc0) != 0x80;
	}
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || at >= size.ws_col)
		return;
	printf("%*s^\n", (int)at, "");
	fflush(stdout);
}

static int
refuse(struct mmp *mmp, const char *line, const struct words *words, size_t at,
    const char *why, bool typed)
{
	const char *instead = elsewhere_find(words, at);
	char *text;

	/* What is no command may be anything: it isn't noted down. */
	audit_command(mmp, "(not a command)", "refused");
	if (typed && words->count > 0)
		print_caret(mmp, line,
		    at < words->count ? words->columns[at] : words->end);
	if (instead == NULL) {
		print_failure(stderr, why);
	} else {
		xasprintf(&text, "no such command here: %s", instead);
		print_failure(stderr, text);
		free(text);
	}
	return MMP_NO_COMMAND;
}

/* The words as one line, for the audit. */
static char *
join_words(const struct words *words)
{
	struct buf b = { 0 };
	const char *word;

	for (size_t i = 0; i < words->count; i++) {
		word = words->at[i];
		buf_addf(&b,
		    *word == '\0' || strpbrk(word, " \t#") ? "%s\"%s\""
							   : "%s%s",
		    i == 0 ? "" : " ", word);
	}
	return buf_steal_str(&b);
}

int
run_denied(const struct mmp *mmp, enum role needed)
{
	char *why;

	if (mmp->role == ROLE_NONE)
		xasprintf(&why,
		    "permission denied: %s is in neither of the groups %s and "
		    "%s",
		    mmp->user, role_group(ROLE_ADMIN), role_group(ROLE_AUDIT));
	else
		xasprintf(&why,
		    "permission denied: this needs the role %s (group %s)",
		    role_name(needed), role_group(needed));
	print_failure(stderr, why);
	free(why);
	return MMP_REFUSED;
}

static int
run_permitted(
    struct mmp *mmp, const struct match *match, const struct words *words)
{
	bool permitted = mmp->role >= match->command->role;
	char *line = join_words(words);

	audit_command(
	    mmp, line, permitted ? "permission granted" : "permission denied");
	free(line);
	if (permitted)
		return run_match(mmp, match);
	return run_denied(mmp, match->command->role);
}

/* Behind any command --json asks for the result as it is. */
static bool
take_json(struct words *words)
{
	if (words->count < 2 ||
	    !str_equal(words->at[words->count - 1], "--json"))
		return false;
	free(words->at[--words->count]);
	return true;
}

int
run_line(struct mmp *mmp, const char *line, bool typed)
{
	struct error error = { .code = RES_OK };
	bool json = mmp->json;
	int status = MMP_DONE;
	struct words words;
	struct match match;
	size_t at = 0;

	if (words_split(line, !typed, false, &words, &error) != 0)
		return refuse(mmp, line, &words, at, error.text, typed);
	mmp->json = take_json(&words) || json;
	if (words.count > 0 &&
	    grammar_match(mmp->grammar, &words, typed, &match, &at, &error) !=
		0)
		status = refuse(mmp, line, &words, at, error.text, typed);
	else if (words.count > 0)
		status = run_permitted(mmp, &match, &words);
	words_clear(&words);
	fflush(stdout);
	mmp->json = json;
	return status;
}

bool
run_may_be_kept(const struct mmp *mmp, const char *line)
{
	struct error error = { .code = RES_OK };
	struct words words;
	struct match match;
	size_t at = 0;
	bool kept;

	if (words_split(line, false, false, &words, &error) != 0)
		return false;
	take_json(&words);
	kept = words.count > 0 &&
	    (grammar_match(mmp->grammar, &words, true, &match, &at, &error) ==
		    0 ||
		(at > 0 && error.code != RES_DENIED));
	words_clear(&words);
	return kept;
}
