/* SPDX-License-Identifier: MIT */
/* Opens files whose kind is checked first. */
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A descriptor with O_PATH names the file without opening it. Its entry in /proc opens exactly that file. */
static int open_kind(const char *path, int flags, bool or_block)
{
	int place = open(path, O_PATH | O_CLOEXEC), fd;
	struct stat status;
	char self[32];

	if (place < 0)
		return -errno;
	if (fstat(place, &status) < 0) {
		fd = -errno;
	} else if (!S_ISREG(status.st_mode) && !(or_block && S_ISBLK(status.st_mode))) {
		fd = -EINVAL;
	} else {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", place);
		fd = open(self, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			fd = -errno;
	}
	close(place);
	return fd;
}

int file_open_regular(const char *path, int flags)
{
	return open_kind(path, flags, false);
}

int file_open_image(const char *path, int flags)
{
	return open_kind(path, flags, true);
}
