/* SPDX-License-Identifier: MIT */
/*
 * RAM against its checksums, on every processor at once. By pread(), as in snapshot/memory.c; it is the fastest, too: what
 * is copied to a small buffer is still in the cache when it is looked at, and no page has to be mapped.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "image.h"
#include "pieces.h"

enum verdict_of_chunk { CHUNK_GOOD, CHUNK_DAMAGED, CHUNK_HOLE };

struct check {
	const struct snapshot *snapshot;
	uint32_t zero;             /* checksum of a chunk of zeroes */
	uint8_t *chunks;           /* enum verdict_of_chunk of each, which one thread writes */
};

/* The end of the zeroes at `at` that nobody has to read, rounded down to a whole chunk; `at` where there are none. */
static uint64_t skip_zeroes(const struct snapshot *snapshot, uint64_t at, uint64_t end)
{
	uint64_t from = at;

	while (from < end) {
		const struct snapshot_run run = snapshot_find_run(snapshot, from);

		if (run.kind != SNAPSHOT_ZERO)
			break;
		from += run.size;
	}
	return (from < end ? from : end) & ~(uint64_t)(FORMAT_RAM_CHUNK - 1);
}

static void judge(struct check *check, uint64_t at, uint32_t is, enum verdict_of_chunk otherwise)
{
	uint64_t chunk = at / FORMAT_RAM_CHUNK;

	if (field_element(&check->snapshot->checksums, (uint32_t)chunk) != is)
		check->chunks[chunk] = (uint8_t)otherwise;
}

/* [from, end) of RAM, with `bytes` for what is read. */
static int check_piece(void *owner, uint64_t from, uint64_t end, uint8_t *bytes, struct error *error)
{
	struct check *check = owner;
	const struct snapshot *snapshot = check->snapshot;
	uint64_t data = skip_zeroes(snapshot, from, end);
	size_t size = (size_t)(end - data);

	for (uint64_t at = from; at < data; at += FORMAT_RAM_CHUNK)
		judge(check, at, check->zero, CHUNK_HOLE);
	if (size && snapshot_read_ram(snapshot, data, bytes, size, error) < 0)
		return -1;
	for (size_t at = 0; at < size; at += FORMAT_RAM_CHUNK)
		judge(check, data + at, checksum(0, bytes + at, FORMAT_RAM_CHUNK), CHUNK_DAMAGED);
	return 0;
}

/* Neighbours that are damaged alike are one range. */
static void tell_all(const struct check *check, void (*tell)(void *owner, const struct snapshot_damage *damage), void *owner)
{
	uint64_t count = check->snapshot->ram_size / FORMAT_RAM_CHUNK;

	for (uint64_t first = 0, end; first < count; first = end) {
		for (end = first + 1; end < count && check->chunks[end] == check->chunks[first];)
			end++;
		if (check->chunks[first] == CHUNK_GOOD)
			continue;
		tell(owner, &(struct snapshot_damage){
			.address = check->snapshot->ram_base + first * FORMAT_RAM_CHUNK,
			.size = (end - first) * FORMAT_RAM_CHUNK,
			.hole = check->chunks[first] == CHUNK_HOLE,
		});
	}
}

int snapshot_find_damage(const struct snapshot *snapshot, const struct snapshot_progress *progress,
			 void (*tell)(void *owner, const struct snapshot_damage *damage), void *owner,
			 struct error *error)
{
	struct check check = {
		.snapshot = snapshot,
		.zero = image_zero_checksum(FORMAT_RAM_CHUNK),
		.chunks = calloc(1, snapshot->checksums.count),
	};
	const struct pieces pieces = {
		.total = snapshot->ram_size, .room = PIECE, .work = check_piece, .owner = &check, .progress = progress,
	};
	struct stat status;
	int result;

	if (!check.chunks)
		return error_system(error, ENOMEM, "memory");
	result = pieces_work(&pieces, error);
	/* Behind the end of a file that was cut meanwhile is a hole, too. */
	if (result == 0 && (fstat(snapshot->fd, &status) < 0 || (uint64_t)status.st_size < snapshot->file_size))
		result = error_set(error, EBADMSG, "it was cut short while it was read");
	if (result == 0)
		tell_all(&check, tell, owner);
	free(check.chunks);
	return result;
}

static int refuse(uint64_t address, bool hole, struct error *error)
{
	if (hole)
		return error_set(error, EBADMSG, "RAM is damaged: at 0x%" PRIx64 " there is a hole in the file where data was",
				 address);
	return error_set(error, EBADMSG, "RAM is damaged: the checksum of the %u bytes at 0x%" PRIx64 " is wrong",
			 FORMAT_RAM_CHUNK, address);
}

static void keep_first(void *owner, const struct snapshot_damage *damage)
{
	struct snapshot_damage *first = owner;

	if (!first->size)
		*first = *damage;
}

int snapshot_check_ram(const struct snapshot *snapshot, const struct snapshot_progress *progress, struct error *error)
{
	struct snapshot_damage first = { .size = 0 };

	if (snapshot_find_damage(snapshot, progress, keep_first, &first, error) < 0)
		return -1;
	return first.size ? refuse(first.address, first.hole, error) : 0;
}

int snapshot_load(const struct snapshot *snapshot, uint64_t offset, void *to, size_t size, bool check, struct error *error)
{
	bool zero = skip_zeroes(snapshot, offset, offset + size) == offset + size;

	if (!zero && snapshot_read_ram(snapshot, offset, to, size, error) < 0)
		return -1;
	for (size_t at = 0; check && at < size; at += FORMAT_RAM_CHUNK) {
		uint32_t is = zero ? image_zero_checksum(FORMAT_RAM_CHUNK) : checksum(0, (uint8_t *)to + at, FORMAT_RAM_CHUNK);

		if (field_element(&snapshot->checksums, (uint32_t)((offset + at) / FORMAT_RAM_CHUNK)) != is)
			return refuse(snapshot->ram_base + offset + at, zero, error);
	}
	return !zero;
}
