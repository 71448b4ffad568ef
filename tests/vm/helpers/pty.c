/* SPDX-License-Identifier: MIT */
/*
 * pty COMMAND...: runs COMMAND with a pseudo-terminal of its own as its controlling terminal, copies standard input to
 * that terminal and what it shows to standard output, and ends with COMMAND's status.
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* False at the end: an error, or nothing more to read. A terminal that nobody has open any more is EIO. */
static bool copy(int from, int to)
{
	char bytes[4096];
	ssize_t got = read(from, bytes, sizeof(bytes));

	for (ssize_t done = 0, n; done < got; done += n) {
		n = write(to, bytes + done, (size_t)(got - done));
		if (n < 0)
			return false;
	}
	return got > 0 || (got < 0 && errno == EINTR);
}

int main(int argc, char **argv)
{
	struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .events = POLLIN } };
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	int status;
	pid_t child;

	if (argc < 2) {
		fprintf(stderr, "usage: pty COMMAND...\n");
		return 2;
	}
	child = forkpty(&fds[1].fd, NULL, NULL, &size);
	if (child < 0) {
		perror("pty: forkpty");
		return 125;
	}
	if (child == 0) {
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents && !copy(fds[1].fd, STDOUT_FILENO))
			break;
		if (fds[0].revents && !copy(STDIN_FILENO, fds[1].fd))
			fds[0].fd = -1;
	}
	while (waitpid(child, &status, 0) < 0)
		;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
