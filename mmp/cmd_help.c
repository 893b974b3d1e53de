/*
 * help and exit: what the shell says of its commands, out of their table.
 */
#include "mmp/mmp.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/elsewhere.h"
#include "common/grammar.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "mmp/layout.h"
#include "mmp/print.h"

#define COLUMN 40 /* where explanations begin */

/* The whole deployment, in the order in which it is typed. */
static const char cluster_help[] =
    "Three XMPP servers as a cluster. Every line is one command; "
    "the names\n"
    "tptac9.com, abhiall and certall are examples, take your own.\n"
    "\n"
    "Certificates, one for all nodes (or one for each):\n"
    "  pki csr abhiall CN:cb1.tptac9.com "
    "subjectAltName:tptac9.com,cb1.tptac9.com,\n"
    "      cb2.tptac9.com,cb3.tptac9.com      (in one line)\n"
    "  Fetch abhiall.csr by SFTP, have it signed by a CA, put "
    "abhiall.cer and\n"
    "  the CA's bundle certall.cer back, and on the other nodes "
    "abhiall.key too.\n"
    "  With one certificate a node, also put "
    "xmpp-cluster-bundle.crt on all:\n"
    "  the certificates of all nodes in one file.\n"
    "  pki list\n"
    "\n"
    "First node:\n"
    "  xmpp domain tptac9.com\n"
    "  xmpp listen a\n"
    "  xmpp certs abhiall.key abhiall.cer certall.cer\n"
    "  xmpp cluster trust xmpp-cluster-bundle.crt   (one for "
    "all: abhiall.cer)\n"
    "  xmpp callbridge add cb1                      (likewise "
    "cb2, cb3)\n"
    "  xmpp callbridge list\n"
    "  xmpp disable\n"
    "  xmpp cluster enable\n"
    "  xmpp cluster initialize\n"
    "  xmpp enable\n"
    "\n"
    "Second and third node:\n"
    "  xmpp domain, listen, certs and cluster trust as on the first\n"
    "  xmpp callbridge add-secret cb1               (likewise "
    "cb2, cb3)\n"
    "  xmpp disable\n"
    "  xmpp cluster enable\n"
    "  xmpp enable\n"
    "  xmpp cluster join cb1.tptac9.com             (any member)\n"
    "\n"
    "Each Call Bridge, with the secret that 'xmpp callbridge "
    "add' printed:\n"
    "  callbridge xmpp name cb1\n"
    "  callbridge xmpp domain tptac9.com\n"
    "  callbridge xmpp secret\n"
    "\n"
    "DNS:\n"
    "  _xmpp-component._tcp.tptac9.com. 86400 IN SRV 0 0 5223 "
    "cb1.tptac9.com.\n"
    "  _xmpp-client._tcp.tptac9.com. 86400 IN SRV 10 50 5222 "
    "cb1.tptac9.com.\n"
    "  (likewise cb2, cb3; and an address for each of the three "
    "names)\n"
    "  dns lookup srv _xmpp-component._tcp.tptac9.com\n"
    "\n"
    "Then look, on every node:\n"
    "  xmpp cluster status\n"
    "  callbridge status\n";

static void
add_command(struct buf *b, const struct command *c)
{
	char *usage = grammar_usage(c);

	layout_entry(b, COLUMN, usage, c->help);
	free(usage);
}

/* Whether a pattern, or a group, begins with all of these words. */
static bool
begins_with(const char *pattern, const char *words)
{
	size_t len = strlen(words), first;

	if (strncasecmp(pattern, words, len) == 0 &&
	    (pattern[len] == '\0' || pattern[len] == ' '))
		return true;
	/* "exit|quit|logout" */
	first = strcspn(pattern, " <[");
	for (size_t at = 0; at < first && len > 0;
	     at += strcspn(pattern + at, "| ") + 1)
		if (strncasecmp(pattern + at, words, len) == 0 &&
		    strchr("| ", pattern[at + len]) != NULL)
			return true;
	return false;
}

static const char *
group_help(const char *words)
{
	const struct command_group *g;

	for (g = command_groups; g->words != NULL; g++)
		if (str_equal_nocase(g->words, words))
			return g->help;
	return NULL;
}

/* The commands that begin with some words, for the user's role. */
static size_t
add_commands(struct buf *b, const struct mmp *mmp, const char *words)
{
	const struct command *c;
	size_t count = 0;

	for (c = commands; c->pattern != NULL; c++) {
		if (c->role > mmp->role || !begins_with(c->pattern, words))
			continue;
		add_command(b, c);
		count++;
	}
	return count;
}

/* First words, and what each is about. */
static void
add_overview(struct buf *b, const struct mmp *mmp)
{
	const struct command *c;
	struct buf done = { 0 };
	char *word;

	for (c = commands; c->pattern != NULL; c++) {
		word = xstrndup(c->pattern, strcspn(c->pattern, " "));
		if (c->role <= mmp->role && group_help(word) == NULL)
			add_command(b, c);
		else if (c->role <= mmp->role &&
		    !str_equal(word, buf_str(&done))) {
			layout_entry(b, COLUMN, word, group_help(word));
			buf_reset(&done);
			buf_add_str(&done, word);
		}
		free(word);
	}
	buf_clear(&done);
	buf_add_str(b,
	    "\n'help <command>' says more; 'help cluster' is the whole "
	    "procedure.\nAt a prompt Tab completes, and ? shows what may come "
	    "next.\n");
}

static const char *
elsewhere(const char *topic)
{
	struct words words;
	const char *instead;

	if (words_split(topic, false, false, &words, NULL) != 0)
		return NULL;
	instead = elsewhere_find(&words, 0);
	words_clear(&words);
	return instead;
}

static int
add_topic(struct buf *b, const struct mmp *mmp, const char *topic,
    struct error *error)
{
	const char *about = group_help(topic), *instead;

	if (str_equal_nocase(topic, "cluster")) {
		buf_add_str(b, cluster_help);
		return 0;
	}
	if (about != NULL)
		buf_addf(b, "%s: %s\n", topic, about);
	if (add_commands(b, mmp, topic) > 0)
		return 0;
	instead = elsewhere(topic);
	if (instead == NULL)
		return error_set(error, RES_NOT_FOUND,
		    "no help on '%s'; 'help' lists the commands", topic);
	buf_addf(b, "no such command here: %s\n", instead);
	return 0;
}

static int
cmd_help(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *error)
{
	const json_t *words = json_object_get(params, "topic"), *word;
	struct buf text = { 0 }, topic = { 0 };
	size_t i;
	int rc = 0;

	json_array_foreach(words, i, word)
		buf_addf(
		    &topic, "%s%s", i == 0 ? "" : " ", json_string_value(word));
	if (topic.len == 0)
		add_overview(&text, mmp);
	else
		rc = add_topic(&text, mmp, buf_str(&topic), error);
	if (rc == 0)
		*result = json_pack("{s:s}", "help", buf_str(&text));
	buf_clear(&text);
	buf_clear(&topic);
	return rc;
}

static void
print_help(FILE *out, const json_t *result)
{
	fputs(json_string_value(json_object_get(result, "help")), out);
}

static int
cmd_exit(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *error)
{
	(void)params;
	(void)result;
	(void)error;
	mmp->leave = true;
	return 0;
}

const struct mmp_method help_methods[] = {
	{ "Shell.Help", cmd_help, print_help },
	{ "Shell.Exit", cmd_exit, NULL },
	{ NULL, NULL, NULL },
};
