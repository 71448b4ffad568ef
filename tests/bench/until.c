/* SPDX-License-Identifier: MIT */
/*
 * until TEXT COMMAND...: starts COMMAND, and kills it when its output contains TEXT. Prints the time until then in microseconds
 * of CLOCK_MONOTONIC. With -m it also prints the anonymous memory in KiB at that time, without mappings of 32 MiB and more
 * (guest RAM). With QEMU's -icount, this clock counts instructions.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static unsigned long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (unsigned long long)time.tv_sec * 1000000 + (unsigned long long)time.tv_nsec / 1000;
}

/* Returns the KiB of anonymous memory, without large mappings. */
static unsigned long private_memory(pid_t pid)
{
	unsigned long from, to, value, total = 0;
	bool counted = false;
	char path[64], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	file = fopen(path, "r");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			counted = to - from < 32ul << 20;
		else if (counted && sscanf(line, "Anonymous: %lu", &value) == 1)
			total += value;
	}
	fclose(file);
	return total;
}

int main(int argc, char **argv)
{
	bool memory = argc > 1 && !strcmp(argv[1], "-m");
	char buffer[65536];
	size_t have = 0;
	int output[2];
	pid_t child;

	argv += memory;
	argc -= memory;
	if (argc < 3 || pipe(output) < 0) {
		fprintf(stderr, "usage: until [-m] TEXT COMMAND...\n");
		return 2;
	}

	unsigned long long start = now();

	child = fork();
	if (child == 0) {
		dup2(output[1], STDOUT_FILENO);
		close(output[0]);
		close(output[1]);
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	close(output[1]);
	for (;;) {
		ssize_t got = read(output[0], buffer + have, sizeof(buffer) - 1 - have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		have += (size_t)got;
		buffer[have] = '\0';
		if (strstr(buffer, argv[1])) {
			unsigned long long end = now();

			if (memory)
				printf("%llu %lu\n", end - start, private_memory(child));
			else
				printf("%llu\n", end - start);
			kill(child, SIGKILL);
			waitpid(child, NULL, 0);
			return 0;
		}
		if (have > sizeof(buffer) / 2) {
			memmove(buffer, buffer + have - 4096, 4096);
			have = 4096;
		}
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	fprintf(stderr, "until: %s ended without \"%s\"; the last it said: %.*s\n", argv[2], argv[1], (int)have, buffer);
	return 1;
}
