/* SPDX-License-Identifier: MIT */
/*
 * Compares RAM with its checksums, on every processor at once. It reads with pread(), as snapshot/read_ram.c does. That is also
 * the fastest way: the small buffer is still in the cache when its checksum is computed, and no page has to be mapped.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "image.h"
#include "parallel.h"
#include "util/bits.h"
#include "util/checksum.h"

enum verdict_of_chunk { CHUNK_GOOD, CHUNK_DAMAGED, CHUNK_HOLE };

struct check {
	const struct snapshot *snapshot;
	uint32_t zero;             /* checksum of a chunk of zeroes */
	uint8_t *chunks;           /* enum verdict_of_chunk, each written by one thread; NULL: stop at the first damage */
};

/* Returns the end of the run at `at` without stored data, rounded down to a whole chunk; `at` if there is no such run. */
static uint64_t skip_zeroes(const struct snapshot *snapshot, uint64_t at, uint64_t end)
{
	uint64_t from = at;

	while (from < end) {
		const struct snapshot_run run = snapshot_find_run(snapshot, from);

		if (run.kind != SNAPSHOT_ZERO)
			break;
		from += run.size;
	}
	return MIN(from, end) & ~(uint64_t)(FORMAT_RAM_CHUNK - 1);
}

static int name_base(const struct snapshot *snapshot, const struct snapshot *file, struct error *error)
{
	char path[SNAPSHOT_PATH];

	return file == snapshot ? -1 : error_context(error, "its base %s", snapshot_path(file, path, sizeof(path)));
}

/* Every file of a chain has checksums of all RAM. The damaged file is the oldest one whose RAM at `offset` is wrong. */
static const struct snapshot *find_damaged(const struct snapshot *snapshot, uint64_t offset)
{
	uint8_t *bytes = snapshot->base ? malloc(FORMAT_RAM_CHUNK) : NULL;
	const struct snapshot *damaged = snapshot;
	struct error ignored;

	for (const struct snapshot *file = snapshot->base; bytes && file; file = file->base)
		if (snapshot_read_ram(file, offset, bytes, FORMAT_RAM_CHUNK, &ignored) < 0 ||
		    field_element(&file->checksums, (uint32_t)(offset / FORMAT_RAM_CHUNK)) != checksum(0, bytes, FORMAT_RAM_CHUNK))
			damaged = file;
	free(bytes);
	return damaged;
}

static int refuse(const struct snapshot *snapshot, uint64_t offset, bool hole, struct error *error)
{
	uint64_t address = snapshot->ram_base + offset;

	if (hole)
		error_set(error, EBADMSG, "RAM is damaged: at 0x%" PRIx64 " there is a hole in the file where data was", address);
	else
		error_set(error, EBADMSG, "RAM is damaged: the checksum of the %u bytes at 0x%" PRIx64 " is wrong",
			  FORMAT_RAM_CHUNK, address);
	return name_base(snapshot, find_damaged(snapshot, offset), error);
}

static int judge(struct check *check, uint64_t at, uint32_t is, enum verdict_of_chunk otherwise, struct error *error)
{
	uint64_t chunk = at / FORMAT_RAM_CHUNK;

	if (field_element(&check->snapshot->checksums, (uint32_t)chunk) == is)
		return 0;
	if (!check->chunks)
		return refuse(check->snapshot, at, otherwise == CHUNK_HOLE, error);
	check->chunks[chunk] = (uint8_t)otherwise;
	return 0;
}

/* Checks [from, end) of RAM. `bytes` is the buffer for reads. */
static int check_slice(void *owner, uint64_t from, uint64_t end, uint8_t *bytes, struct error *error)
{
	struct check *check = owner;
	const struct snapshot *snapshot = check->snapshot;
	uint64_t data = skip_zeroes(snapshot, from, end);
	size_t size = (size_t)(end - data);

	for (uint64_t at = from; at < data; at += FORMAT_RAM_CHUNK)
		if (judge(check, at, check->zero, CHUNK_HOLE, error) < 0)
			return -1;
	if (size && snapshot_read_ram(snapshot, data, bytes, size, error) < 0)
		return -1;
	for (size_t at = 0; at < size; at += FORMAT_RAM_CHUNK)
		if (judge(check, data + at, checksum(0, bytes + at, FORMAT_RAM_CHUNK), CHUNK_DAMAGED, error) < 0)
			return -1;
	return 0;
}

/* Reports the damage. Neighbouring chunks with the same verdict are one range. */
static void report_all(const struct check *check, void (*report)(void *owner, const struct snapshot_damage *damage),
		       void *owner)
{
	uint64_t count = check->snapshot->ram_size / FORMAT_RAM_CHUNK;

	for (uint64_t first = 0, end; first < count; first = end) {
		for (end = first + 1; end < count && check->chunks[end] == check->chunks[first];)
			end++;
		if (check->chunks[first] == CHUNK_GOOD)
			continue;
		report(owner, &(struct snapshot_damage){
			.address = check->snapshot->ram_base + first * FORMAT_RAM_CHUNK,
			.size = (end - first) * FORMAT_RAM_CHUNK,
			.hole = check->chunks[first] == CHUNK_HOLE,
		});
	}
}

static int check_length(const struct snapshot *snapshot, struct error *error)
{
	struct stat status;

	for (const struct snapshot *file = snapshot; file; file = file->base) {
		if (fstat(file->fd, &status) == 0 && (uint64_t)status.st_size >= file->file_size)
			continue;
		error_set(error, EBADMSG, "it was cut short while it was read");
		return name_base(snapshot, file, error);
	}
	return 0;
}

static int check_all(struct check *check, const struct snapshot_progress *progress, struct error *error)
{
	const struct parallel_job job = {
		.total = check->snapshot->ram_size, .buffer_size = PARALLEL_SLICE,
		.work = check_slice, .owner = check, .progress = progress,
	};
	int result = parallel_run(&job, error);

	/* A file that was cut during the check also appears to have a hole at its end. Then the cut is the reason. */
	if (result < 0 && error->code != EBADMSG)
		return -1;
	return check_length(check->snapshot, error) < 0 ? -1 : result;
}

int snapshot_find_damage(const struct snapshot *snapshot, const struct snapshot_progress *progress,
			 void (*report)(void *owner, const struct snapshot_damage *damage), void *owner,
			 struct error *error)
{
	struct check check = {
		.snapshot = snapshot,
		.zero = image_zero_checksum(FORMAT_RAM_CHUNK),
		.chunks = calloc(1, snapshot->checksums.count),
	};
	int result;

	if (!check.chunks)
		return error_system(error, ENOMEM, "memory");
	result = check_all(&check, progress, error);
	if (result == 0)
		report_all(&check, report, owner);
	free(check.chunks);
	return result;
}

int snapshot_check_ram(const struct snapshot *snapshot, const struct snapshot_progress *progress, struct error *error)
{
	struct check check = { .snapshot = snapshot, .zero = image_zero_checksum(FORMAT_RAM_CHUNK) };

	return check_all(&check, progress, error);
}

int snapshot_load(const struct snapshot *snapshot, uint64_t offset, void *to, size_t size, bool check, struct error *error)
{
	bool zero = skip_zeroes(snapshot, offset, offset + size) == offset + size;

	if (!zero && snapshot_read_ram(snapshot, offset, to, size, error) < 0)
		return -1;
	for (size_t at = 0; check && at < size; at += FORMAT_RAM_CHUNK) {
		uint32_t is = zero ? image_zero_checksum(FORMAT_RAM_CHUNK) : checksum(0, (uint8_t *)to + at, FORMAT_RAM_CHUNK);

		if (field_element(&snapshot->checksums, (uint32_t)((offset + at) / FORMAT_RAM_CHUNK)) != is)
			return refuse(snapshot, offset + at, zero, error);
	}
	return !zero;
}

uint32_t snapshot_zero_checksum(void)
{
	return image_zero_checksum(FORMAT_RAM_CHUNK);
}
