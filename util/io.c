/* SPDX-License-Identifier: MIT */
#include "lkvm/io.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t read_full(int fd, void *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = read(fd, (char *)buffer + done, size - done);

		if (got == 0)
			break;
		if (got > 0)
			done += (size_t)got;
		else if (errno != EINTR)
			return -errno;
	}
	return (ssize_t)done;
}

ssize_t pread_full(int fd, void *buffer, size_t size, off_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = pread(fd, (char *)buffer + done, size - done, offset + (off_t)done);

		if (got == 0)
			break;
		if (got > 0)
			done += (size_t)got;
		else if (errno != EINTR)
			return -errno;
	}
	return (ssize_t)done;
}

int write_full(int fd, const void *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t put = write(fd, (const char *)buffer + done, size - done);

		if (put >= 0)
			done += (size_t)put;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int pwrite_full(int fd, const void *buffer, size_t size, off_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t put = pwrite(fd, (const char *)buffer + done, size - done, offset + (off_t)done);

		if (put >= 0)
			done += (size_t)put;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int event_open(struct error *error)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd >= 0 ? fd : error_system(error, errno, "eventfd");
}

void event_raise(int event_fd)
{
	int saved = errno; /* signal handlers must leave it alone */

	eventfd_write(event_fd, 1); /* can only fail where the counter is full: readable anyway */
	errno = saved;
}

bool event_take(int event_fd)
{
	eventfd_t value;

	return eventfd_read(event_fd, &value) == 0;
}

/* Makes a rename in the file's folder last. Not every file system can; what was renamed stands all the same. */
static void sync_folder(const char *path)
{
	char copy[PATH_MAX];
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

static int write_special(const char *path, const void *contents, size_t size, struct error *error)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	int result;

	if (fd < 0)
		return error_system(error, errno, "%s", path);
	result = write_full(fd, contents, size);
	close(fd);
	return result ? error_system(error, -result, "%s", path) : 0;
}

/* A new file beside `path`; its name goes to `name`. Tries a few names: another process may hold one. */
static int open_beside(const char *path, mode_t mode, char name[PATH_MAX])
{
	for (unsigned try = 0; try < 100; try++) {
		int fd;

		if (snprintf(name, PATH_MAX, "%s.%d-%u.new", path, (int)getpid(), try) >= PATH_MAX)
			return -ENAMETOOLONG;
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int write_file_atomic(const char *path, const void *contents, size_t size, mode_t mode, struct error *error)
{
	char name[PATH_MAX];
	struct stat status;
	int fd, result;

	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		return write_special(path, contents, size, error);

	fd = open_beside(path, mode, name);
	if (fd < 0)
		return error_system(error, -fd, "%s", path);
	result = write_full(fd, contents, size);
	if (result == 0 && fsync(fd))
		result = -errno;
	if (close(fd) && result == 0)
		result = -errno;
	if (result == 0 && rename(name, path))
		result = -errno;
	if (result) {
		unlink(name);
		return error_system(error, -result, "%s", path);
	}
	sync_folder(path);
	return 0;
}
