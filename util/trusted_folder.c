/* SPDX-License-Identifier: MIT */
/* Opens a folder by a path that no other user can redirect. */
#include "util/trusted_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/io.h"

#define MAX_LINKS 40 /* symbolic links of a path: the kernel's limit */

/* A walk over a path, one part at a time. */
struct walk {
	int fd;               /* the folder that the walk has reached */
	char rest[PATH_MAX];  /* the parts that follow */
	unsigned links;
	uid_t owner;          /* of "/" */
	const char *path;     /* for messages */
};

static int refuse(const struct walk *walk, const char *name, const char *why, struct error *error)
{
	return error_set(error, EPERM, "%.300s: %.200s %s", walk->path, name, why);
}

static bool is_trusted(const struct walk *walk, const struct stat *status)
{
	return status->st_uid == 0 || status->st_uid == geteuid() || status->st_uid == walk->owner;
}

static int check_folder(const struct walk *walk, const char *name, const struct stat *status, struct error *error)
{
	if (!S_ISDIR(status->st_mode))
		return error_system(error, ENOTDIR, "%.300s", walk->path);
	if (!is_trusted(walk, status))
		return refuse(walk, name, "belongs to another user", error);
	if ((status->st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH)
		return refuse(walk, name, "can be written by all users", error);
	return 0;
}

/* Moves to the folder `fd`, and closes the last one. */
static void enter(struct walk *walk, int fd)
{
	if (walk->fd >= 0)
		close(walk->fd);
	walk->fd = fd;
}

static int enter_root(struct walk *walk, struct error *error)
{
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat status;

	if (fd < 0)
		return error_system(error, errno, "/");
	enter(walk, fd);
	if (fstat(fd, &status) < 0)
		return error_system(error, errno, "/");
	walk->owner = status.st_uid;
	return 0;
}

/* Puts the link's target before the rest of the path. */
static int follow(struct walk *walk, int fd, const char *name, const struct stat *status, struct error *error)
{
	char target[PATH_MAX], joined[PATH_MAX];
	ssize_t length;

	if (!is_trusted(walk, status))
		return refuse(walk, name, "is a link of another user", error);
	if (++walk->links > MAX_LINKS)
		return error_system(error, ELOOP, "%.300s", walk->path);
	length = readlinkat(fd, "", target, sizeof(target));
	if (length < 0 || length == sizeof(target) ||
	    snprintf(joined, sizeof(joined), "%.*s/%s", (int)length, target, walk->rest) >= (int)sizeof(joined))
		return error_system(error, length < 0 ? errno : ENAMETOOLONG, "%.300s", walk->path);
	memcpy(walk->rest, joined, sizeof(joined));
	return target[0] == '/' ? enter_root(walk, error) : 0;
}

/* Opens one part of the path. Checks what it opened, so that nothing changes in between. */
static int step(struct walk *walk, const char *name, struct error *error)
{
	int fd = openat(walk->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;
	int result;

	if (fd < 0)
		return error_system(error, errno, "%.300s", walk->path);
	if (fstat(fd, &status) < 0)
		result = error_system(error, errno, "%.300s", walk->path);
	else if (S_ISLNK(status.st_mode))
		result = follow(walk, fd, name, &status, error);
	else
		result = check_folder(walk, name, &status, error);
	if (result == 0 && !S_ISLNK(status.st_mode))
		enter(walk, fd);
	else
		close(fd);
	return result;
}

/* Removes the first part from the rest of the path. Returns false if none is left. */
static bool next_name(struct walk *walk, char name[PATH_MAX])
{
	size_t begin = strspn(walk->rest, "/"), length = strcspn(walk->rest + begin, "/");

	memcpy(name, walk->rest + begin, length);
	name[length] = '\0';
	memmove(walk->rest, walk->rest + begin + length, strlen(walk->rest + begin + length) + 1);
	return length > 0;
}

int trusted_folder_open(const char *path, struct error *error)
{
	struct walk walk = { .fd = -1, .path = path };
	char name[PATH_MAX];

	if (path[0] != '/')
		return error_set(error, EINVAL, "%.300s is not an absolute path", path);
	if (snprintf(walk.rest, sizeof(walk.rest), "%s", path) >= (int)sizeof(walk.rest))
		return error_system(error, ENAMETOOLONG, "%.100s...", path);
	if (enter_root(&walk, error) < 0)
		goto fail;
	while (next_name(&walk, name))
		if (step(&walk, name, error) < 0)
			goto fail;
	return walk.fd;

fail:
	fd_close(&walk.fd);
	return -1;
}
