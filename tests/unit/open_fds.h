/* SPDX-License-Identifier: MIT */
/* Counts the open descriptors of this process, so that a test finds one that was not closed. */
#ifndef TESTS_UNIT_OPEN_FDS_H
#define TESTS_UNIT_OPEN_FDS_H

#include <dirent.h>

static inline unsigned count_open_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

#endif
