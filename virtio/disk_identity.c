/* SPDX-License-Identifier: MIT */
/* Computes and compares the identities of disks. */
#include "virtio/disk_identity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/hash.h"
#include "util/io.h"

#define BLOCK 4096u /* bytes of a sampled block */
#define FIRST 17u   /* blocks at the start: partition table, superblocks (btrfs: at 64 KiB) */
#define LAST 4u     /* blocks at the end: the copy of a GPT; an overlay's footer and a part of its map */
#define SPREAD (DISK_IDENTITY_BLOCKS - FIRST - LAST) /* blocks between: one in each of so many equal parts */

#define SECOND INT64_C(1000000000) /* nanoseconds */

/* SplitMix64. The numbers depend only on the index, so that all versions read the same blocks. */
static uint64_t scatter(uint64_t index)
{
	uint64_t value = (index + 1) * 0x9e3779b97f4a7c15ull;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
	value = (value ^ value >> 27) * 0x94d049bb133111ebull;
	return value ^ value >> 31;
}

/* If the file ends inside of a block, the rest is zeroes. */
static int add_block(struct hash *hash, int fd, uint64_t block, uint64_t size)
{
	uint64_t at = block * BLOCK, length = MIN(size - at, BLOCK);
	uint8_t bytes[BLOCK] = { 0 };
	ssize_t done = pread_full(fd, bytes, length, (off_t)at);

	if (done < 0)
		return (int)-done;
	if ((uint64_t)done != length)
		return EIO;
	hash_add(hash, bytes, (length + HASH_BLOCK - 1) / HASH_BLOCK * HASH_BLOCK);
	return 0;
}

static int add_spread(struct hash *hash, int fd, uint64_t blocks, uint64_t size)
{
	uint64_t part = blocks / SPREAD;
	int result = 0;

	for (uint64_t i = 0; i < SPREAD && result == 0; i++)
		result = add_block(hash, fd, i * part + scatter(i) % part, size);
	return result;
}

static int add_range(struct hash *hash, int fd, uint64_t from, uint64_t end, uint64_t size)
{
	int result = 0;

	for (uint64_t block = from; block < end && result == 0; block++)
		result = add_block(hash, fd, block, size);
	return result;
}

static int digest(int fd, uint64_t size, uint64_t value[2])
{
	uint64_t blocks = size / BLOCK + (size % BLOCK != 0);
	struct hash hash = { .size = 0 };
	int result;

	if (blocks <= FIRST + SPREAD + LAST) {
		result = add_range(&hash, fd, 0, blocks, size);
	} else {
		result = add_range(&hash, fd, 0, FIRST, size);
		if (result == 0)
			result = add_spread(&hash, fd, blocks, size);
		if (result == 0)
			result = add_range(&hash, fd, blocks - LAST, blocks, size);
	}
	hash_get(&hash, value);
	return result;
}

/* Clamps a time that does not fit into 64 bits of nanoseconds. 0 stands for no time, so 1970 becomes 1. */
static int64_t modified(const struct stat *stat)
{
	const int64_t limit = INT64_MAX / SECOND - 1;
	int64_t seconds = stat->st_mtim.tv_sec, time;

	seconds = seconds > limit ? limit : seconds < -limit ? -limit : seconds;
	time = seconds * SECOND + stat->st_mtim.tv_nsec;
	return time ? time : 1;
}

int disk_identity_compute(int fd, struct disk_identity *identity)
{
	struct disk_identity found = { .known = true };
	struct stat stat;
	off_t size;
	int result;

	*identity = (struct disk_identity){ .known = false };
	if (fstat(fd, &stat) < 0)
		return errno;
	size = S_ISREG(stat.st_mode) ? stat.st_size : lseek(fd, 0, SEEK_END);
	if (size < 0)
		return errno;
	found.size = (uint64_t)size;
	if (S_ISREG(stat.st_mode))
		found.modified = modified(&stat);
	result = digest(fd, found.size, found.digest);
	if (result == 0)
		*identity = found;
	return result;
}

static bool is_same_time(int64_t saved, int64_t found)
{
	/* Resolutions of archives, copy programs and file systems. */
	static const int64_t units[] = { 1, 100, 1000, SECOND / 1000, SECOND };

	for (size_t i = 0; i < COUNT(units); i++)
		if (found == saved - saved % units[i])
			return true;
	return false;
}

/* Formats local time, as stat(1) does. */
static void format_time(int64_t time, char text[64])
{
	int nanoseconds = (int)(time % SECOND + (time % SECOND < 0 ? SECOND : 0));
	time_t seconds = (time_t)(time / SECOND - (time % SECOND < 0));
	struct tm tm;
	char zone[16];

	if (!localtime_r(&seconds, &tm)) {
		snprintf(text, 64, "at no time");
		return;
	}
	strftime(zone, sizeof(zone), "%z", &tm);
	snprintf(text, 64, "%04d-%02d-%02d %02d:%02d:%02d.%09d %s", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		 tm.tm_min, tm.tm_sec, nanoseconds, zone);
}

int disk_identity_check(const struct disk_identity *saved, const struct disk_identity *found, const char *what,
			const char *event, struct error *error)
{
	char then[64], now[64];
	bool same;

	if (!saved->known || !found->known)
		return 0;
	same = saved->size == found->size && !memcmp(saved->digest, found->digest, sizeof(saved->digest));
	if (same && (!saved->modified || !found->modified || is_same_time(saved->modified, found->modified)))
		return 0;
	if (!saved->modified || !found->modified)
		return error_set(error, ESTALE, "%.150s was written after %.150s: its contents differ", what, event);
	format_time(saved->modified, then);
	format_time(found->modified, now);
	if (is_same_time(saved->modified, found->modified))
		return error_set(error, ESTALE, "%.150s has other contents than when %.150s, though it was last written at %s",
				 what, event, then);
	if (found->modified < saved->modified)
		return error_set(error, ESTALE, "%.150s is older than when %.150s: last written at %s, then at %s", what, event,
				 now, then);
	return error_set(error, ESTALE, "%.150s was written after %.150s: last written at %s, then at %s%s", what, event, now,
			 then, same ? " (or it is a copy without its times)" : "");
}
