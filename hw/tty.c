/* SPDX-License-Identifier: MIT */
/* How to share a terminal and standard output with other processes. */
#include "hw/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

bool tty_in_foreground(int fd)
{
	pid_t group = tcgetpgrp(fd);

	return group < 0 || group == getpgrp(); /* < 0: not the controlling terminal, so no job control */
}

bool tty_set_raw(int fd, const struct termios *saved)
{
	struct termios raw = *saved;

	raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	/* Output processing stays on: lkvm's messages and bare-metal guests end lines with "\n" alone. */
	return tcsetattr(fd, TCSANOW, &raw) == 0;
}

/*
 * O_NONBLOCK belongs to the open file description. The caller shares that with its shell, and standard output often
 * shares it with standard input. So pipes and terminals are opened again. A regular file needs the same description,
 * because of its offset, and never blocks. Sockets cannot be opened again, and other devices may not allow it.
 */
int tty_open_output(int fd, bool *may_block, struct error *error)
{
	char path[32];
	struct stat status;
	int own = -1;

	if (fstat(fd, &status) < 0)
		return error_system(error, errno, "standard output");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (S_ISFIFO(status.st_mode) || isatty(fd))
		own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	*may_block = own < 0 && !S_ISREG(status.st_mode);
	if (own < 0)
		own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return own >= 0 ? own : error_system(error, errno, "standard output");
}
