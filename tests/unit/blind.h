/* SPDX-License-Identifier: MIT */
/* Replaces open(2), so that opening /proc/self/pagemap fails while `blind` is set. For test programs of one file. */
#ifndef TESTS_BLIND_H
#define TESTS_BLIND_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static bool blind; /* opening the page map fails with EACCES */

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
