/* SPDX-License-Identifier: MIT */
/* Starts a VM in the background, for --detach. */
#include "cmd/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/command.h"
#include "util/io.h"

static void replace_by_null(int fd)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd < 0)
		return;
	dup2(null_fd, fd);
	close(null_fd);
}

static int wait_for(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_ERROR;
	return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

pid_t detach_start(struct detach *detach, int *status, struct error *error)
{
	int fds[2];
	pid_t child;
	char byte;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_system(error, errno, "pipe");
	fflush(NULL); /* otherwise the child would write buffered output again */
	child = fork();
	if (child < 0) {
		error_start(error, errno, "fork");
		close(fds[0]);
		close(fds[1]);
		return -1;
	}
	if (child > 0) {
		close(fds[1]);
		*status = read_full(fds[0], &byte, 1) == 1 ? EXIT_OK : wait_for(child);
		close(fds[0]);
		return child;
	}
	close(fds[0]);
	setsid();
	replace_by_null(STDIN_FILENO);
	detach->ready_fd = fds[1];
	if (isatty(detach->output_fd))
		detach->output_fd = -1;
	return 0;
}

bool detach_finish(struct detach *detach)
{
	bool reported;

	if (detach->ready_fd < 0)
		return true;
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (isatty(fd))
			replace_by_null(fd);
	reported = write_full(detach->ready_fd, "", 1) == 0;
	close(detach->ready_fd);
	detach->ready_fd = -1;
	return reported;
}
