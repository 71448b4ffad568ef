/* SPDX-License-Identifier: MIT */
/*
 * Runs in a guest. Writes a word in each page of MIB of memory, repeatedly. About every 20 ms it prints "writes PAGES
 * NANOSECONDS LONGEST": the number of pages, their total time, and the time of the longest write.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PERIOD 20000000u /* nanoseconds */
#define PAGE 4096u

static unsigned long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (unsigned long long)time.tv_sec * 1000000000 + (unsigned long long)time.tv_nsec;
}

int main(int argc, char **argv)
{
	size_t size = argc > 1 ? (size_t)atoi(argv[1]) << 20 : PAGE, at = 0;
	unsigned char *memory = malloc(size);

	if (!memory)
		return 1;
	for (size_t i = 0; i < size; i += sizeof(i))
		memcpy(memory + i, &(size_t){ i * 0x9e3779b97f4a7c15u | 1 }, sizeof(i));
	for (;;) {
		unsigned long long start = now(), last = start, longest = 0, pages = 0;

		for (; last - start < PERIOD; pages++, at = at + PAGE < size ? at + PAGE : 0) {
			unsigned long long time;

			memory[at] += 2;
			time = now();
			longest = time - last > longest ? time - last : longest;
			last = time;
		}
		printf("writes %llu %llu %llu\n", pages, last - start, longest);
		fflush(stdout);
	}
}
