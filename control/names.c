/* SPDX-License-Identifier: MIT */
/* Names of VMs, and the directory of their sockets. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/control.h"
#include "util/trusted_folder.h"

#define LOCK_SECONDS 5
#define LOCK_TRY_MICROSECONDS 10000

int control_check_name(const char *name, struct error *error)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t length = strlen(name);

	if (length < 1 || length > CONTROL_NAME_LENGTH)
		return error_set(error, EINVAL, "a name has 1 to %d characters", CONTROL_NAME_LENGTH);
	if (name[0] == '.' || name[0] == '-' || strspn(name, allowed) != length)
		return error_set(error, EINVAL, "\"%s\" is not a name: use letters, digits, dot, dash and underscore, and do not "
				 "begin with a dot or dash", name);
	return 0;
}

/* The directory of the sockets: `name` in the folder `parent`. */
struct place {
	const char *parent;
	const char *name;
};

static bool find_place(struct place *place, struct error *error)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const char *home = getenv("HOME");

	if (runtime && runtime[0] == '/') {
		*place = (struct place){ runtime, "lkvm" };
	} else if (home && home[0] == '/') {
		*place = (struct place){ home, ".lkvm" };
	} else {
		error_set(error, EINVAL, "neither XDG_RUNTIME_DIR nor HOME is set: lkvm keeps its sockets below one of them");
		return false;
	}
	return true;
}

/* A user who can write the directory can imitate a VM, so only its owner may have access. */
static int check_private(int fd, const struct place *place, struct error *error)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return error_system(error, errno, "%.300s/%s", place->parent, place->name);
	if (status.st_uid != geteuid())
		return error_set(error, EPERM, "%.300s/%s belongs to another user", place->parent, place->name);
	if (status.st_mode & (S_IRWXG | S_IRWXO))
		return error_set(error, EPERM, "%.300s/%s is accessible to other users: remove it, or make it private with chmod 700",
				 place->parent, place->name);
	return 0;
}

/* Fails if $XDG_RUNTIME_DIR does not exist: that must not look as if no VM runs. */
static int check_runtime_directory(struct error *error)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct stat status;

	if (!runtime || runtime[0] != '/' || stat(runtime, &status) == 0 || errno != ENOENT)
		return 0;
	return error_set(error, ENOTDIR, "XDG_RUNTIME_DIR is %.300s, which does not exist: make that directory (mode 700), or "
			 "unset the variable to use ~/.lkvm", runtime);
}

/* A symbolic link is refused: another user's link could lead to any of this user's directories. */
static int open_private(int parent, const struct place *place, bool create, struct error *error)
{
	int fd;

	if (create && mkdirat(parent, place->name, S_IRWXU) < 0 && errno != EEXIST)
		return error_system(error, errno, "%.300s/%s", place->parent, place->name);
	fd = openat(parent, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOTDIR)
		return error_set(error, ENOTDIR, "%.300s/%s is a symbolic link, or no directory: remove it", place->parent,
				 place->name);
	if (fd < 0)
		return error_system(error, errno, "%.300s/%s", place->parent, place->name);
	if (check_private(fd, place, error) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int control_directory_open(bool create, struct error *error)
{
	struct place place;
	int parent, fd;

	if (!find_place(&place, error) || check_runtime_directory(error) < 0)
		return -1;
	parent = trusted_folder_open(place.parent, error);
	if (parent < 0 && error->code == EPERM)
		return error_set(error, EPERM, "%s: set XDG_RUNTIME_DIR to a directory that only you can change", error->text);
	if (parent < 0)
		return -1;
	fd = open_private(parent, &place, create, error);
	close(parent);
	return fd;
}

static int lock(int fd, struct error *error)
{
	for (unsigned tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_system(error, errno, "locking the sockets' directory");
		if (tries == LOCK_SECONDS * 1000000 / LOCK_TRY_MICROSECONDS)
			return error_set(error, EBUSY,
					 "another process holds the lock of the sockets' directory");
		usleep(LOCK_TRY_MICROSECONDS);
	}
	return 0;
}

int control_directory_lock(bool create, struct error *error)
{
	int fd = control_directory_open(create, error);

	if (fd >= 0 && lock(fd, error) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

void control_file_name(char file[CONTROL_NAME_LENGTH + 6], const char *name)
{
	snprintf(file, CONTROL_NAME_LENGTH + 6, "%.*s.sock", CONTROL_NAME_LENGTH, name);
}

/* The path of a deep directory may not fit into an address; a path through the directory's descriptor does. */
void control_address(struct sockaddr_un *address, int directory_fd, const char *name)
{
	char file[CONTROL_NAME_LENGTH + 6];

	control_file_name(file, name);
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", directory_fd, file);
}

enum control_presence control_probe(int directory_fd, const char *name)
{
	struct sockaddr_un address;
	char file[CONTROL_NAME_LENGTH + 6];
	struct stat status;
	int fd, result;

	control_file_name(file, name);
	if (fstatat(directory_fd, file, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? CONTROL_ABSENT : CONTROL_STRANGE;
	if (!S_ISSOCK(status.st_mode))
		return CONTROL_STRANGE;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return CONTROL_STRANGE;
	control_address(&address, directory_fd, name);
	result = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
	close(fd);
	if (result == 0 || result == EAGAIN) /* EAGAIN: it listens, and its backlog is full */
		return CONTROL_PRESENT;
	if (result == ENOENT)
		return CONTROL_ABSENT;
	return result == ECONNREFUSED ? CONTROL_STALE : CONTROL_STRANGE;
}
