/* SPDX-License-Identifier: MIT */
/*
 * Reads RAM from the files of a chain. It uses pread(), which returns an error if a file is cut meanwhile or a disk fails. An
 * access to a mapping would raise a signal instead.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "chain.h"
#include "snapshot/snapshot.h"
#include "util/bits.h"
#include "util/io.h"

static int get(const struct snapshot *snapshot, void *to, size_t size, uint64_t at, uint64_t offset, struct error *error)
{
	ssize_t got = pread_full(snapshot->fd, to, size, (off_t)at);

	if (got < 0)
		return error_system(error, (int)-got, "reading RAM at 0x%" PRIx64, snapshot->ram_base + offset);
	if ((size_t)got < size)
		return error_set(error, EBADMSG, "it was cut short while it was read");
	return 0;
}

/* Frames. */

static size_t frame_bytes(const struct snapshot *snapshot, uint64_t frame)
{
	return (size_t)MIN(snapshot->frames.size, snapshot->ram_size - frame * snapshot->frames.size);
}

/* Decompresses one frame. `to` has room for frame_bytes(). */
static int inflate_frame(const struct snapshot *snapshot, uint64_t frame, uint8_t *to, struct error *error)
{
	uint64_t offset = frame * snapshot->frames.size;
	size_t stored = (size_t)field_element(&snapshot->frames.sizes, (uint32_t)frame);
	uLongf size = frame_bytes(snapshot, frame);
	uint8_t *bytes;
	int result;

	if (!stored) {
		memset(to, 0, size);
		return 0;
	}
	bytes = malloc(stored);
	if (!bytes)
		return error_system(error, ENOMEM, "memory");
	result = get(snapshot, bytes, stored, field_element(&snapshot->frames.offsets, (uint32_t)frame), offset, error);
	if (result == 0 && (uncompress(to, &size, bytes, stored) != Z_OK || size != frame_bytes(snapshot, frame)))
		result = error_set(error, EBADMSG, "RAM is damaged: the %zu bytes at 0x%" PRIx64 " cannot be decompressed",
				   frame_bytes(snapshot, frame), snapshot->ram_base + offset);
	free(bytes);
	return result;
}

static int read_frames(const struct snapshot *snapshot, uint64_t offset, uint8_t *to, size_t size, struct error *error)
{
	uint8_t *whole = malloc(snapshot->frames.size);
	int result = 0;

	if (!whole)
		return error_system(error, ENOMEM, "memory");
	while (result == 0 && size) {
		uint64_t frame = offset / snapshot->frames.size;
		size_t skip = (size_t)(offset % snapshot->frames.size);
		size_t part = (size_t)MIN(size, frame_bytes(snapshot, frame) - skip);

		/* Most callers read whole frames. These need no copy. */
		if (part == frame_bytes(snapshot, frame)) {
			result = inflate_frame(snapshot, frame, to, error);
		} else {
			result = inflate_frame(snapshot, frame, whole, error);
			if (result == 0)
				memcpy(to, whole + skip, part);
		}
		to += part;
		offset += part;
		size -= part;
	}
	free(whole);
	return result;
}

/* Reads RAM that this file has. */
static int read_own(const struct snapshot *snapshot, uint64_t offset, uint8_t *to, size_t size, struct error *error)
{
	if (snapshot->frames.size)
		return read_frames(snapshot, offset, to, size, error);
	return get(snapshot, to, size, snapshot->ram_offset + offset, offset, error);
}

/* Bases. */

static bool is_here(const struct snapshot *snapshot, uint64_t page)
{
	return snapshot->pages.values[page / 8] >> page % 8 & 1;
}

/* Returns the end of the run of pages from `offset` on that are all in this file, or all in the base; at most `limit`. */
static uint64_t end_of_pages(const struct snapshot *snapshot, uint64_t offset, uint64_t limit)
{
	uint64_t page = offset / FORMAT_RAM_PAGE;
	bool here = is_here(snapshot, page);
	uint8_t all = here ? 0xff : 0;

	for (page++; page * FORMAT_RAM_PAGE < limit; page++) {
		/* Runs are long: check eight pages at a time. */
		if (page % 8 == 0 && snapshot->pages.values[page / 8] == all)
			page += 7;
		else if (is_here(snapshot, page) != here)
			break;
	}
	return MIN(page * FORMAT_RAM_PAGE, limit);
}

static int read_base(const struct snapshot *base, uint64_t offset, uint8_t *to, size_t size, struct error *error)
{
	char path[SNAPSHOT_PATH];

	if (snapshot_read_ram(base, offset, to, size, error) == 0)
		return 0;
	return error_context(error, "its base %s", snapshot_path(base, path, sizeof(path)));
}

int snapshot_read_ram(const struct snapshot *snapshot, uint64_t offset, void *to, size_t size, struct error *error)
{
	uint8_t *bytes = to;

	if (!snapshot->base)
		return read_own(snapshot, offset, to, size, error);
	for (uint64_t end = offset + size; offset < end;) {
		uint64_t next = end_of_pages(snapshot, offset, end);
		size_t part = (size_t)(next - offset);

		if (is_here(snapshot, offset / FORMAT_RAM_PAGE)) {
			if (read_own(snapshot, offset, bytes, part, error) < 0)
				return -1;
		} else if (read_base(snapshot->base, offset, bytes, part, error) < 0) {
			return -1;
		}
		bytes += part;
		offset = next;
	}
	return 0;
}

/* Runs. */

static struct snapshot_run frames_run(const struct snapshot *snapshot, uint64_t offset, uint64_t limit)
{
	uint64_t frame = offset / snapshot->frames.size;
	bool zero = field_element(&snapshot->frames.sizes, (uint32_t)frame) == 0;

	for (frame++; frame * snapshot->frames.size < limit; frame++)
		if ((field_element(&snapshot->frames.sizes, (uint32_t)frame) == 0) != zero)
			break;
	return (struct snapshot_run){
		.kind = zero ? SNAPSHOT_ZERO : SNAPSHOT_FRAMES,
		.size = MIN(frame * snapshot->frames.size, limit) - offset,
		.in = snapshot,
	};
}

/* If the file system does not support holes, all of the file is data. */
static struct snapshot_run plain_run(const struct snapshot *snapshot, uint64_t offset, uint64_t limit)
{
	uint64_t at = snapshot->ram_offset + offset, end = snapshot->ram_offset + limit;
	off_t data = lseek(snapshot->fd, (off_t)at, SEEK_DATA), hole;
	struct snapshot_run run = { .kind = SNAPSHOT_PLAIN, .size = limit - offset, .in = snapshot, .at = at };

	if (data < 0) {
		if (errno == ENXIO)
			run.kind = SNAPSHOT_ZERO;
		return run;
	}
	data = (off_t)((uint64_t)data / FORMAT_RAM_PAGE * FORMAT_RAM_PAGE); /* a file system's blocks may be smaller */
	if ((uint64_t)data > at) {
		run.kind = SNAPSHOT_ZERO;
		run.size = MIN((uint64_t)data, end) - at;
		return run;
	}
	hole = lseek(snapshot->fd, (off_t)at, SEEK_HOLE);
	if (hole > 0 && (uint64_t)hole < end)
		run.size = ((uint64_t)hole - at + FORMAT_RAM_PAGE - 1) / FORMAT_RAM_PAGE * FORMAT_RAM_PAGE;
	if (run.size > end - at)
		run.size = end - at;
	return run;
}

const struct snapshot *snapshot_find_file(const struct snapshot *snapshot, uint64_t offset, uint64_t *end)
{
	for (*end = snapshot->ram_size; snapshot->base; snapshot = snapshot->base) {
		*end = end_of_pages(snapshot, offset, *end);
		if (is_here(snapshot, offset / FORMAT_RAM_PAGE))
			break;
	}
	return snapshot;
}

struct snapshot_run snapshot_find_run(const struct snapshot *snapshot, uint64_t offset)
{
	const struct snapshot *file;
	uint64_t end;

	if (offset >= snapshot->ram_size)
		return (struct snapshot_run){ .kind = SNAPSHOT_ZERO, .in = snapshot };
	file = snapshot_find_file(snapshot, offset, &end);
	return file->frames.size ? frames_run(file, offset, end) : plain_run(file, offset, end);
}

bool snapshot_has_data(const struct snapshot *snapshot, uint64_t offset, uint64_t end)
{
	while (offset < end) {
		const struct snapshot_run run = snapshot_find_run(snapshot, offset);

		if (run.kind != SNAPSHOT_ZERO)
			return true;
		offset += run.size;
	}
	return false;
}

static int read_guest_memory(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	const struct snapshot *snapshot = owner;

	return snapshot_read_ram(snapshot, address - snapshot->ram_base, to, size, error);
}

struct guest_memory snapshot_memory(const struct snapshot *snapshot)
{
	return (struct guest_memory){
		.base = snapshot->ram_base,
		.size = snapshot->ram_size,
		.read = read_guest_memory,
		.owner = (void *)(uintptr_t)snapshot,
	};
}
