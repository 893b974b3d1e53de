/*
 * Commands of the original that have no place here.
 */
#include "common/elsewhere.h"

#include <string.h>
#include <strings.h>

#include "common/commands.h"
#include "common/words.h"

/* How many words of "a b *" a line begins with all of; 0 if it doesn't. */
static size_t
begins_with(const struct words *words, const char *pattern)
{
	size_t count = 0, len;

	for (; *pattern != '\0'; pattern += len + (pattern[len] == ' ')) {
		len = strcspn(pattern, " ");
		if (count == words->count)
			return 0;
		if (*pattern != '*' &&
		    (strlen(words->at[count]) != len ||
			strncasecmp(words->at[count], pattern, len) != 0))
			return 0;
		count++;
	}
	return count;
}

const char *
elsewhere_find(const struct words *words, size_t at)
{
	const struct command_elsewhere *e;
	const char *best = NULL;
	size_t longest = at, len;

	for (e = commands_elsewhere; e->words != NULL; e++) {
		len = begins_with(words, e->words);
		if (len > longest) {
			longest = len;
			best = e->instead;
		}
	}
	return best;
}
