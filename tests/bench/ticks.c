/* SPDX-License-Identifier: MIT */
/*
 * Runs in a guest. Fills MIB of memory with nonzero bytes, page by page. Then prints "tick N" every 2 ms, which shows that the
 * guest runs. For each byte of input it changes PAGES pages, as far apart as possible, and prints "bench: dirtied".
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PERIOD 2000000 /* nanoseconds */

static void dirty(unsigned char *memory, size_t size, size_t pages)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) == 1) {
		for (size_t i = 0; i < pages; i++)
			memory[size / pages * i] ^= 2;
		printf("bench: dirtied 1\n");
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	size_t size = argc > 1 ? (size_t)atoi(argv[1]) << 20 : 0;
	size_t pages = argc > 2 ? (size_t)atoi(argv[2]) : 0;
	struct timespec next;
	unsigned char *memory;

	memory = malloc(size + 1);
	if (!memory)
		return 1;
	for (size_t i = 0; i < size; i += sizeof(i))
		memcpy(memory + i, &(size_t){ i * 0x9e3779b97f4a7c15u | 1 }, sizeof(i));
	if (pages)
		fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (unsigned long count = 0;; count++) {
		char line[32];
		int length = snprintf(line, sizeof(line), "tick %lu\n", count);

		if (write(STDOUT_FILENO, line, (size_t)length) != length)
			return 1;
		if (pages)
			dirty(memory, size, pages);
		/* Relative to now: ticks that were missed in a pause are not made up for. */
		clock_gettime(CLOCK_MONOTONIC, &next);
		next.tv_nsec += PERIOD;
		if (next.tv_nsec >= 1000000000) {
			next.tv_sec++;
			next.tv_nsec -= 1000000000;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
}
