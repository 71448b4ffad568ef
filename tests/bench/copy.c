/* SPDX-License-Identifier: MIT */
/*
 * Replaces cp(1) of coreutils on hosts without it.
 * copy FROM TO: reads and writes data in pieces of 256 KiB, and keeps holes.
 * copy --dense FROM TO: writes only data, one piece after the other, without zero pages.
 */
#define _GNU_SOURCE /* SEEK_DATA */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PIECE (256 << 10)
#define PAGE 4096

static char bytes[PIECE];

/* Moves pages that are not zero to the front. Returns their size in bytes. */
static ssize_t squeeze(ssize_t size)
{
	static const char zeroes[PAGE];
	ssize_t kept = 0;

	for (ssize_t at = 0; at < size; at += PAGE) {
		size_t page = size - at < PAGE ? (size_t)(size - at) : PAGE;

		if (memcmp(bytes + at, zeroes, page) == 0)
			continue;
		memmove(bytes + kept, bytes + at, page);
		kept += (ssize_t)page;
	}
	return kept;
}

static int copy(int from, int to, int dense)
{
	off_t end = lseek(from, 0, SEEK_END), data = 0, hole;

	for (; (data = lseek(from, data, SEEK_DATA)) >= 0; data = hole) {
		hole = lseek(from, data, SEEK_HOLE);
		for (off_t at = data; at < hole;) {
			ssize_t got = pread(from, bytes, hole - at < PIECE ? (size_t)(hole - at) : PIECE, at);
			ssize_t wanted = dense ? squeeze(got) : got;

			if (got <= 0 || (!dense && lseek(to, at, SEEK_SET) < 0) || write(to, bytes, (size_t)wanted) != wanted)
				return -1;
			at += got;
		}
	}
	return dense ? 0 : ftruncate(to, end);
}

int main(int argc, char **argv)
{
	int dense = argc == 4 && strcmp(argv[1], "--dense") == 0;
	int from = argc == 3 + dense ? open(argv[1 + dense], O_RDONLY) : -1;
	int to = from < 0 ? -1 : open(argv[2 + dense], O_WRONLY | O_CREAT | O_TRUNC, 0666);

	if (to < 0 || copy(from, to, dense) < 0) {
		perror("copy");
		return 1;
	}
	return 0;
}
