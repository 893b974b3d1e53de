/*
 * Small helpers for texts, numbers and whole files.
 */
#include "common/strutil.h"

#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/xmalloc.h"

bool
str_equal(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool
str_equal_nocase(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcasecmp(a, b) == 0);
}

bool
str_starts(const char *str, const char *prefix)
{
	return strncmp(str, prefix, strlen(prefix)) == 0;
}

bool
str_ends(const char *str, const char *suffix)
{
	size_t have = strlen(str), want = strlen(suffix);

	return have >= want && strcmp(str + have - want, suffix) == 0;
}

bool
str_to_u64(const char *str, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (*str == '\0')
		return false;
	for (; *str != '\0'; str++) {
		if (*str < '0' || *str > '9')
			return false;
		if (v > (UINT64_MAX - (uint64_t)(*str - '0')) / 10)
			return false;
		v = v * 10 + (uint64_t)(*str - '0');
	}
	if (v < min || v > max)
		return false;
	*out = v;
	return true;
}

/* How many bytes a sequence has that begins with this one; 0 if none does. */
static size_t
utf8_length(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2)
		return 0;
	if (first < 0xe0)
		return 2;
	if (first < 0xf0)
		return 3;
	return first < 0xf5 ? 4 : 0;
}

/* The number of bytes of the sequence at p, or 0 if it is none. */
static size_t
utf8_sequence(const unsigned char *p, size_t left)
{
	size_t need = utf8_length(p[0]);

	if (need == 0 || need > left)
		return 0;
	for (size_t i = 1; i < need; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, and what is beyond U+10FFFF. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return need;
}

bool
str_is_utf8(const char *str, size_t len)
{
	const unsigned char *p = (const unsigned char *)str;
	size_t step;

	for (; len > 0; p += step, len -= step) {
		step = utf8_sequence(p, len);
		if (step == 0)
			return false;
	}
	return true;
}

void
str_lower(char *str)
{
	for (; *str != '\0'; str++)
		if (*str >= 'A' && *str <= 'Z')
			*str = (char)(*str - 'A' + 'a');
}

static char *
read_all(int fd, size_t max, size_t *len)
{
	size_t have = 0, size = 4096;
	char *data = xmalloc(size + 1);
	ssize_t n;

	while ((n = read(fd, data + have, size - have)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		have += n > 0 ? (size_t)n : 0;
		if (n < 0 || have > max) {
			if (n >= 0)
				errno = EFBIG;
			free(data);
			return NULL;
		}
		if (have == size) {
			size *= 2;
			data = xrealloc(data, size + 1);
		}
	}
	data[have] = '\0';
	*len = have;
	return data;
}

char *
file_read(const char *path, size_t max, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), saved;
	char *data;

	if (fd < 0)
		return NULL;
	data = read_all(fd, max, len);
	saved = errno;
	close(fd);
	errno = saved;
	return data;
}

static int
write_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A rename is durable once its folder is. */
static int
sync_folder(const char *path)
{
	char *copy = xstrdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		close(fd);
	free(copy);
	return rc;
}

int
file_write(const char *path, const void *data, size_t len, unsigned mode)
{
	char *temporary;
	int fd, rc = -1, saved;

	xasprintf(&temporary, "%s.XXXXXX", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		goto out;
	rc = write_all(fd, data, len);
	if (rc == 0)
		rc = fchmod(fd, (mode_t)mode);
	if (rc == 0)
		rc = fsync(fd);
	saved = errno;
	if (close(fd) != 0)
		rc = -1;
	else
		errno = saved;
	if (rc == 0)
		rc = rename(temporary, path);
	if (rc != 0) {
		saved = errno;
		unlink(temporary);
		errno = saved;
		goto out;
	}
	rc = sync_folder(path);
out:
	saved = errno;
	free(temporary);
	errno = saved;
	return rc;
}
