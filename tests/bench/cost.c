/* SPDX-License-Identifier: MIT */
/*
 * cost COMMAND...: runs COMMAND twenty times and discards its output. Prints the shortest time in microseconds of
 * CLOCK_MONOTONIC, and the largest memory in KiB.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS 20

static unsigned long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (unsigned long)time.tv_sec * 1000000 + (unsigned long)time.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	unsigned long least = -1ul, most = 0;

	for (int i = 0; argc > 1 && i < RUNS; i++) {
		unsigned long start = now(), spent;
		struct rusage usage;
		int status;
		pid_t child = fork();

		if (child == 0) {
			int fd = open("/dev/null", O_WRONLY);

			dup2(fd, STDOUT_FILENO);
			execvp(argv[1], argv + 1);
			_exit(127);
		}
		if (child < 0 || wait4(child, &status, 0, &usage) != child || status) {
			fprintf(stderr, "cost: %s failed\n", argv[1]);
			return 1;
		}
		spent = now() - start;
		if (spent < least)
			least = spent;
		if ((unsigned long)usage.ru_maxrss > most)
			most = (unsigned long)usage.ru_maxrss;
	}
	printf("%lu %lu\n", least, most);
	return 0;
}
