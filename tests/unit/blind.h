/* SPDX-License-Identifier: MIT */
/* A host whose page map nobody may read: open(2) as a test wants it, for a program of one file. */
#ifndef TESTS_BLIND_H
#define TESTS_BLIND_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static bool blind; /* there is no page map */

int open(const char *name, int flags, ...)
{
	int (*real)(const char *, int, ...);
	va_list arguments;
	unsigned mode = 0;

	va_start(arguments, flags);
	if (flags & O_CREAT)
		mode = va_arg(arguments, unsigned);
	va_end(arguments);
	if (blind && !strcmp(name, "/proc/self/pagemap")) {
		errno = EACCES;
		return -1;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "open");
	return real(name, flags, mode);
}

#endif
