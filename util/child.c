/* SPDX-License-Identifier: MIT */
#include "lkvm/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

static int prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes, int fd)
{
	sigset_t none, all;
	int result;

	sigemptyset(&none);
	sigfillset(&all);
	result = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	/* Standard output is the guest's console; what a program has to say goes where our errors go. */
	if (!result)
		result = posix_spawn_file_actions_adddup2(files, STDERR_FILENO, STDOUT_FILENO);
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

pid_t child_start(const char *const arguments[], int fd, struct error *error)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	pid_t child = -1;
	int result;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	result = prepare(&files, &attributes, fd);
	if (!result)
		result = posix_spawnp(&child, arguments[0], &files, &attributes,
				      (char *const *)(uintptr_t)arguments, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	if (result)
		return error_system(error, result, "cannot run %s", arguments[0]);
	return child;
}

static int wait_for(pid_t child)
{
	int status = 0;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

int child_run(const char *const arguments[], struct error *error)
{
	pid_t child = child_start(arguments, -1, error);
	int status;

	if (child < 0)
		return -1;
	status = wait_for(child);
	if (WIFSIGNALED(status))
		return error_set(error, 0, "%s was ended by signal %d", arguments[0], WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return error_set(error, 0, "%s ended with status %d", arguments[0], WEXITSTATUS(status));
	return 0;
}

void child_stop(pid_t child)
{
	if (child <= 0)
		return;
	kill(child, SIGKILL); /* it has nothing to tidy up, and we do not want to wait for it */
	wait_for(child);
}
