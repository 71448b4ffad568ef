/* SPDX-License-Identifier: MIT */
/*
 * nanoseconds COMMAND...: runs COMMAND and prints its duration in nanoseconds of CLOCK_MONOTONIC. With QEMU's -icount, this
 * clock counts instructions.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static unsigned long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (unsigned long long)time.tv_sec * 1000000000 + (unsigned long long)time.tv_nsec;
}

int main(int argc, char **argv)
{
	unsigned long long start = now();
	int status = 0;
	pid_t child;

	if (argc < 2)
		return 2;
	child = fork();
	if (child == 0) {
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0) {
		perror("nanoseconds");
		return 1;
	}
	printf("%llu\n", now() - start);
	return !WIFEXITED(status) || WEXITSTATUS(status);
}
