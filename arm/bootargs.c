/* SPDX-License-Identifier: MIT */
/* Builds the kernel's command line. */
#include <stdio.h>
#include <string.h>

#include "arm/bootargs.h"

/* Returns whether the list has a parameter that starts with `name`, at its start or after a space. */
static bool names(const char *parameters, const char *name)
{
	const char *found = parameters;

	while ((found = strstr(found, name))) {
		if (found == parameters || found[-1] == ' ')
			return true;
		found++;
	}
	return false;
}

int bootargs_build(char *to, size_t size, const char *parameters, const char *console, bool root_disk)
{
	const char *given = parameters ? parameters : "";
	bool add_console = console && !names(given, "console=");
	bool add_root = root_disk && !names(given, "root=");
	int length = snprintf(to, size, "%s%s%s%s%s%s", add_console ? "console=" : "", add_console ? console : "",
			      add_console && (*given || add_root) ? " " : "", add_root ? "root=/dev/vda rw" : "",
			      add_root && *given ? " " : "", given);

	return length < 0 || (size_t)length >= size ? -1 : 0;
}
