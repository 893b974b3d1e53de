/*
 * Typed lines: words, the match in the table of commands, completion; a line
 * that fits nothing is refused with one line of text.
 */
#include "common/elsewhere.h"
#include "common/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tests/lib/fuzz.h"

static const char *const seeds[] = {
	"xmpp cluster join 10.1.2.3",
	"xmpp callbridge add-secret cb1 # a comment",
	("pki csr name CN:cb1.example.com O:\"My Company\" "
	 "subjectAltName:a.example,b.example"),
	"xmpp listen a:5222 b",
	"dns lookup srv _xmpp-component._tcp.example.com",
	"x c st",
	"'open",
	"callbridge xmpp name \"a \\\" b\"",
	NULL,
};

static struct grammar *grammar;

bool
fuzz_seed(size_t i, struct buf *b)
{
	return fuzz_text_seed(seeds, i, b);
}

static void
match(const struct words *words, bool abbreviate)
{
	struct grammar_next *next;
	struct match m;
	struct error e = { 0 };
	size_t at = 0;

	if (grammar_match(grammar, words, abbreviate, &m, &at, &e) == RES_OK) {
		fuzz_check(m.command != NULL && m.count <= WORDS_MAX,
		    "a match is a row");
	} else {
		fuzz_check(e.text[0] != '\0' && strchr(e.text, '\n') == NULL,
		    "a refusal is one line");
		fuzz_check(at <= words->count, "it says where");
		elsewhere_find(words, at);
	}
	grammar_next(
	    grammar, words->at, words->count, abbreviate, ROLE_ADMIN, &next);
	free(next);
}

static void
split(const char *line, bool comments, bool partial)
{
	struct words words;
	struct error e = { 0 };

	if (words_split(line, comments, partial, &words, &e) != RES_OK) {
		fuzz_check(e.text[0] != '\0', "a refusal says why");
		return;
	}
	fuzz_check(words.count <= WORDS_MAX, "words have a limit");
	match(&words, false);
	match(&words, true);
	words_clear(&words);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf b = { 0 };
	struct error e;
	const char *line;

	if (grammar == NULL && (grammar = grammar_new(commands, &e)) == NULL)
		fatalx("%s", e.text);
	buf_add(&b, data, size);
	line = buf_str(&b);
	split(line, true, false);
	split(line, false, true);
	buf_clear(&b);
	return 0;
}
