/* SPDX-License-Identifier: MIT */
/* Takes a VM's name: makes its socket's file, and removes it again. */
#include "bind.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 128 /* clients that connect at the same time; the kernel refuses more */

/* Makes the socket, in place of a stale one. The directory is locked. */
static int bind_name(struct control *control, int directory_fd, struct error *error)
{
	char file[CONTROL_NAME_LENGTH + 6];
	struct sockaddr_un address;
	struct stat status;

	control_file_name(file, control->name);
	switch (control_probe(directory_fd, control->name)) {
	case CONTROL_PRESENT:
		return error_set(error, EEXIST, "a virtual machine named %s is already running", control->name);
	case CONTROL_STRANGE:
		return error_set(error, EEXIST, "%s is in the way in the sockets' directory", file);
	case CONTROL_STALE:
		if (unlinkat(directory_fd, file, 0) < 0)
			return error_system(error, errno, "%s", file);
		break;
	case CONTROL_ABSENT:
		break;
	}
	/* bind(2) gives the file the socket's mode, so other users can never connect. */
	control_address(&address, directory_fd, control->name);
	if (fchmod(control->listen_fd, S_IRUSR | S_IWUSR) < 0 ||
	    bind(control->listen_fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(control->listen_fd, BACKLOG) < 0 ||
	    fstatat(directory_fd, file, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return error_system(error, errno, "%s", file);
	control->device = status.st_dev;
	control->inode = status.st_ino;
	control->bound = true;
	return 0;
}

int control_bind(struct control *control, struct error *error)
{
	int lock_fd = control_directory_lock(true, error);
	int result;

	if (lock_fd < 0)
		return -1;
	result = bind_name(control, lock_fd, error);
	close(lock_fd);
	return result;
}

/* Removes the socket's file, unless another VM has replaced it. */
static void remove_socket(const struct control *control)
{
	char file[CONTROL_NAME_LENGTH + 6];
	struct error error;
	struct stat status;
	int lock_fd = control_directory_lock(false, &error);

	if (lock_fd < 0)
		return; /* the socket is now stale, and the next VM of this name removes it */
	control_file_name(file, control->name);
	if (fstatat(lock_fd, file, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_dev == control->device &&
	    status.st_ino == control->inode)
		unlinkat(lock_fd, file, 0);
	close(lock_fd);
}

void control_unlink(const struct control *control)
{
	if (control->loop && control->bound)
		remove_socket(control);
}
