/*
 * Memory or death: a server that has lost an allocation half-way through a
 * change is of no use to anybody, and its peers take over when it is gone.
 */
#include "common/xmalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

void *
xmalloc(size_t size)
{
	void *ptr;

	if (size == 0)
		fatalx("xmalloc: zero size");
	ptr = malloc(size);
	if (ptr == NULL)
		fatalx("xmalloc: no memory for %zu bytes", size);
	return ptr;
}

void *
xcalloc(size_t count, size_t size)
{
	void *ptr;

	if (count == 0 || size == 0)
		fatalx("xcalloc: zero size");
	ptr = calloc(count, size);
	if (ptr == NULL)
		fatalx("xcalloc: no memory for %zu * %zu bytes", count, size);
	return ptr;
}

void *
xrealloc(void *ptr, size_t size)
{
	void *moved;

	if (size == 0)
		fatalx("xrealloc: zero size");
	moved = realloc(ptr, size);
	if (moved == NULL)
		fatalx("xrealloc: no memory for %zu bytes", size);
	return moved;
}

char *
xstrdup(const char *str)
{
	return xmemdup(str, strlen(str) + 1);
}

char *
xstrndup(const char *str, size_t len)
{
	size_t have = strnlen(str, len);
	char *copy = xmalloc(have + 1);

	memcpy(copy, str, have);
	copy[have] = '\0';
	return copy;
}

void *
xmemdup(const void *data, size_t len)
{
	void *copy = xmalloc(len == 0 ? 1 : len);

	if (len != 0)
		memcpy(copy, data, len);
	return copy;
}

int
xasprintf(char **ret, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = xvasprintf(ret, fmt, ap);
	va_end(ap);
	return len;
}

int
xvasprintf(char **ret, const char *fmt, va_list ap)
{
	int len = vasprintf(ret, fmt, ap);

	if (len < 0)
		fatalx("xvasprintf: no memory");
	return len;
}
