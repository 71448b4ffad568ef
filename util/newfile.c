/* SPDX-License-Identifier: MIT */
/* Makes files that get their name after they are complete. */
#include "util/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/io.h"

#define MODE 0600 /* a snapshot has all that the guest has in memory */
#define MAX_LINKS 40 /* symbolic links in a row: the kernel's limit */

/* Makes the n-th temporary name for `path`, in the same folder. Returns false if it is too long. */
static bool name_beside(const char *path, unsigned n, char name[PATH_MAX])
{
	return snprintf(name, PATH_MAX, "%s.%d-%u.new", path, (int)getpid(), n) < PATH_MAX;
}

static int open_named(struct new_file *file)
{
	for (unsigned n = 0; n < 100; n++) {
		if (!name_beside(file->target, n, file->temporary)) {
			errno = ENAMETOOLONG;
			return -1;
		}
		file->fd = open(file->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
		if (file->fd >= 0 || errno != EEXIST)
			return file->fd;
	}
	return -1;
}

/*
 * Whether a symbolic link may be followed, by the rule of fs.protected_symlinks. In a sticky, world-writable folder the link
 * must belong to the user or to the folder's owner.
 */
static bool may_follow(const char *path, const struct stat *link)
{
	char copy[PATH_MAX];
	struct stat folder;

	snprintf(copy, sizeof(copy), "%s", path);
	if (stat(dirname(copy), &folder) < 0)
		return false;
	return link->st_uid == geteuid() || link->st_uid == folder.st_uid ||
	       (folder.st_mode & (S_ISVTX | S_IWOTH)) != (S_ISVTX | S_IWOTH);
}

/*
 * If the last part of `path` is a symbolic link, replaces `path` by the link's target. Otherwise sets *done. Returns 0 or an
 * errno value. Another process may replace the link at any time, so the link is opened once, and checked and read by its
 * descriptor.
 */
static int follow(char path[PATH_MAX], bool *done)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char link[PATH_MAX], joined[PATH_MAX];
	const char *name = strrchr(path, '/');
	int folder = name ? (int)(name - path) + 1 : 0, result = 0;
	struct stat status;
	ssize_t length;

	*done = fd < 0 || fstat(fd, &status) < 0 || !S_ISLNK(status.st_mode);
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	length = *done ? 0 : readlinkat(fd, "", link, sizeof(link) - 1);
	if (length < 0)
		result = errno;
	else if (!*done && !may_follow(path, &status))
		result = EACCES;
	close(fd);
	if (result || *done)
		return result;
	link[length] = '\0';
	if (link[0] == '/')
		folder = 0;
	if (snprintf(joined, sizeof(joined), "%.*s%s", folder, path, link) >= (int)sizeof(joined))
		return ENAMETOOLONG;
	memcpy(path, joined, sizeof(joined));
	return 0;
}

/* Finds the final path of the file. stat(2) comes first, and detects circles of links. */
static int find_target(struct new_file *file, struct error *error)
{
	struct stat named, target;
	bool exists = stat(file->path, &named) == 0;
	int result = !exists && errno != ENOENT ? errno : 0;
	bool done = false;

	if (snprintf(file->target, sizeof(file->target), "%s", file->path) >= (int)sizeof(file->target))
		result = ENAMETOOLONG;
	for (unsigned links = 0; !result && !done; links++)
		result = links < MAX_LINKS ? follow(file->target, &done) : ELOOP;
	if (result)
		return error_system(error, result, "%s", file->path);
	if (exists && !S_ISREG(named.st_mode))
		return error_set(error, EEXIST, "%s exists and is not a regular file", file->path);
	if (exists && (stat(file->target, &target) < 0 || target.st_dev != named.st_dev || target.st_ino != named.st_ino))
		return error_set(error, ESTALE, "%s refers to a file that has no name", file->path);
	return 0;
}

int new_file_open(struct new_file *file, const char *path, struct error *error)
{
	char copy[PATH_MAX];

	*file = (struct new_file){ .fd = -1, .path = path };
	if (find_target(file, error) < 0)
		return -1;
	snprintf(copy, sizeof(copy), "%s", file->target);
	file->fd = open(dirname(copy), O_RDWR | O_TMPFILE | O_CLOEXEC, MODE);
	if (file->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
		open_named(file);
	return file->fd < 0 ? error_system(error, errno, "%s", file->target) : 0;
}

/*
 * Gives the file a temporary name, which is renamed later, because linkat(2) cannot replace a file. Returns 0 or an errno
 * value.
 */
static int give_name(struct new_file *file)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", file->fd);
	for (unsigned n = 0; n < 100; n++) {
		if (!name_beside(file->target, n, file->temporary))
			return ENAMETOOLONG;
		if (linkat(AT_FDCWD, self, AT_FDCWD, file->temporary, AT_SYMLINK_FOLLOW) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	file->temporary[0] = '\0';
	return errno;
}

/* Makes the rename durable. Not every file system supports that. Errors are ignored, as the rename itself has succeeded. */
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

int new_file_commit(struct new_file *file, struct error *error)
{
	int result = fsync(file->fd) < 0 ? errno : 0;

	if (result == 0 && !file->temporary[0])
		result = give_name(file);
	if (result == 0 && rename(file->temporary, file->target) < 0)
		result = errno;
	if (result == 0) {
		file->temporary[0] = '\0';
		sync_folder(file->target);
	}
	new_file_discard(file);
	return result ? error_system(error, result, "%s", file->path) : 0;
}

/* The default is not /tmp, which may be in memory. */
int new_file_open_temporary(struct error *error)
{
	const char *wanted = getenv("TMPDIR"), *folder = wanted && wanted[0] ? wanted : "/var/tmp";
	char name[PATH_MAX];
	int fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, MODE);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL) &&
	    snprintf(name, sizeof(name), "%s/lkvm-XXXXXX", folder) < (int)sizeof(name)) {
		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0)
			unlink(name);
	}
	return fd < 0 ? error_system(error, errno, "a temporary file in %s", folder) : fd;
}

void new_file_discard(struct new_file *file)
{
	if (file->temporary[0])
		unlink(file->temporary);
	file->temporary[0] = '\0';
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
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

int write_file_atomic(const char *path, const void *contents, size_t size, struct error *error)
{
	struct new_file file;
	struct stat status;
	bool exists = stat(path, &status) == 0;
	int result;

	if (exists && S_ISBLK(status.st_mode))
		return error_set(error, EEXIST, "%s is a block device, which is not overwritten", path);
	if (exists && !S_ISREG(status.st_mode))
		return write_special(path, contents, size, error);
	if (new_file_open(&file, path, error) < 0)
		return -1;
	result = write_full(file.fd, contents, size);
	if (result == 0)
		return new_file_commit(&file, error);
	new_file_discard(&file);
	return error_system(error, -result, "%s", path);
}
