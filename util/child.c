/* SPDX-License-Identifier: MIT */
/* Child processes: starts them, keeps what they print, and stops them. */
#include "util/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/text.h"

#define MAX_READS 64 /* per call, so that a program that prints without end cannot block the caller */

static int prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes, int fd, int output)
{
	sigset_t none, all;
	int result;

	sigemptyset(&none);
	sigfillset(&all);
	result = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	/* Our standard output is the guest's console. A program's messages must not go there. */
	if (!result)
		result = posix_spawn_file_actions_adddup2(files, output, STDOUT_FILENO);
	if (!result)
		result = posix_spawn_file_actions_adddup2(files, output, STDERR_FILENO);
	if (!result && fd >= 0)
		result = posix_spawn_file_actions_adddup2(files, fd, CHILD_FD);
	if (!result)
		result = posix_spawnattr_setsigmask(attributes, &none);
	if (!result)
		result = posix_spawnattr_setsigdefault(attributes, &all);
	if (!result)
		result = posix_spawnattr_setflags(attributes,
						  POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return result;
}

static pid_t spawn(const char *const arguments[], int fd, int output, struct error *error)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	pid_t child = -1;
	int result;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	result = prepare(&files, &attributes, fd, output);
	if (!result)
		result = posix_spawnp(&child, arguments[0], &files, &attributes,
				      (char *const *)(uintptr_t)arguments, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	if (result)
		return error_start(error, result, "cannot run %s", arguments[0]);
	return child;
}

int child_start(struct child *child, const char *const arguments[], int fd, struct error *error)
{
	int ends[2];

	*child = (struct child)CHILD_NONE;
	child->name = arguments[0];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_system(error, errno, "cannot run %s", arguments[0]);
	child->output_fd = ends[0];
	child->write_fd = ends[1];
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	child->pid = spawn(arguments, fd, ends[1], error);
	if (child->pid >= 0) {
		child->pid_fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
		if (child->pid_fd >= 0)
			return 0;
		error_system(error, errno, "waiting for %s", arguments[0]);
	}
	child_stop(child);
	return -1;
}

static void keep(struct child *child, const char *piece, size_t length)
{
	size_t first = MIN(child->printed, CHILD_FIRST), last = MIN(child->printed, CHILD_LAST);
	size_t added = MIN(length, CHILD_LAST), kept = MIN(last, CHILD_LAST - added);

	memcpy(child->first + first, piece, MIN(length, CHILD_FIRST - first));
	memmove(child->last, child->last + last - kept, kept);
	memcpy(child->last + kept, piece + length - added, added);
	child->printed += length;
}

/* Reads the bytes that are in the pipe now. */
static void drain(struct child *child)
{
	char piece[4096];

	for (unsigned i = 0; i < MAX_READS; i++) {
		ssize_t got = read(child->output_fd, piece, sizeof(piece));

		if (got <= 0)
			break;
		keep(child, piece, (size_t)got);
	}
}

/* Replaces tabs, line ends and NUL bytes by spaces, and removes spaces at the end. A NUL byte would end the text. */
static void make_one_line(char *text, size_t length)
{
	text[length] = '\0';
	for (size_t i = 0; i < length; i++)
		if (strchr("\t\r\n", text[i])) /* also finds NUL */
			text[i] = ' ';
	while (length > 0 && text[length - 1] == ' ')
		text[--length] = '\0';
	text_make_printable(text);
}

const char *child_output(struct child *child)
{
	const char *last = child->last, *end;
	size_t first = 0;

	drain(child);
	if (child->printed > CHILD_LAST) {
		end = memchr(child->first, '\n', CHILD_FIRST);
		first = end ? (size_t)(end - child->first) : CHILD_FIRST;
		end = memchr(last, '\n', CHILD_LAST - 1);
		if (end)
			last = end + 1; /* begin with a whole line */
	}
	end = child->last + MIN(child->printed, CHILD_LAST);
	memcpy(child->line, child->first, first);
	if (child->printed > CHILD_LAST) {
		memcpy(child->line + first, " ... ", 5);
		first += 5;
	}
	memcpy(child->line + first, last, (size_t)(end - last));
	make_one_line(child->line, first + (size_t)(end - last));
	return child->line;
}

/* Sets the error for a child that has ended. `status` is from waitpid(). */
static void set_ended(struct child *child, int status, struct error *error)
{
	bool signaled = WIFSIGNALED(status);
	const char *output = child_output(child);

	error_set(error, 0, "%.100s %s %d%s%s", child->name, signaled ? "was ended by signal" : "ended with status",
		  signaled ? WTERMSIG(status) : WEXITSTATUS(status), *output ? ": " : "", output);
}

enum child_state child_wait(struct child *child, int milliseconds, struct error *error)
{
	struct pollfd fds[] = { { .fd = child->pid_fd, .events = POLLIN }, { .fd = child->output_fd, .events = POLLIN } };
	int status = 0;

	if (poll(fds, 2, milliseconds) < 0 && errno != EINTR) {
		error_system(error, errno, "waiting for %s", child->name);
		return CHILD_FAILED;
	}
	drain(child);
	if (waitpid(child->pid, &status, WNOHANG) != child->pid)
		return CHILD_RUNS;
	child->pid = -1;
	if (status == 0)
		return CHILD_DONE;
	set_ended(child, status, error);
	return CHILD_FAILED;
}

void child_detach_output(struct child *child)
{
	drain(child);
	/* A write to a full pipe then fails, so that the program does not wait for a reader. */
	fcntl(child->write_fd, F_SETFL, O_NONBLOCK);
}

int child_run(struct child *child, const char *const arguments[], struct error *error)
{
	enum child_state state;

	if (child_start(child, arguments, -1, error) < 0)
		return -1;
	do {
		state = child_wait(child, -1, error);
	} while (state == CHILD_RUNS);
	return state == CHILD_DONE ? 0 : -1;
}

void child_stop(struct child *child)
{
	int *const fds[] = { &child->pid_fd, &child->output_fd, &child->write_fd };

	if (child->pid > 0) {
		kill(child->pid, SIGKILL); /* it has nothing to clean up, and may take long to end by itself */
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	child->pid = -1;
	for (size_t i = 0; i < COUNT(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}
