/* SPDX-License-Identifier: MIT */
/*
 * Writing RAM. Most of a guest's memory was never touched: the kernel's page map says what is there, so that the rest
 * is not even looked at (a look would make the pages exist). What is there and all zero becomes a hole.
 * Kernel: Documentation/admin-guide/mm/pagemap.rst.
 */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lkvm/io.h"

#define PAGE 4096u /* holes are made of these, whatever the host's pages are */
#define PAGES_A_CHUNK (FORMAT_RAM_CHUNK / PAGE)
#define STEP (4u << 20) /* bytes between two reports of progress, and of one look at the page map */

/* One entry a page of the host. */
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAPPED (1ull << 62)

struct page_map {
	int fd; /* -1: there is none, everything may be there */
	uint64_t page_size;
	uint64_t entries[STEP / PAGE];
};

uint32_t image_zero_checksum(size_t size)
{
	static const uint8_t zeroes[PAGE];
	uint32_t crc = 0;

	for (; size >= PAGE; size -= PAGE)
		crc = checksum(crc, zeroes, PAGE);
	return checksum(crc, zeroes, size);
}

static bool is_zero(const uint8_t *page)
{
	uint64_t words[8];

	for (size_t i = 0; i < PAGE; i += sizeof(words)) {
		memcpy(words, page + i, sizeof(words));
		if (words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7])
			return false;
	}
	return true;
}

/* Reads the map for [host, host + size). Where that fails, all of it may be there. */
static void look(struct page_map *map, const uint8_t *host, uint64_t size)
{
	uint64_t first = (uintptr_t)host / map->page_size;
	size_t bytes = (size_t)((size + map->page_size - 1) / map->page_size * sizeof(map->entries[0]));

	if (map->fd < 0 || pread_full(map->fd, map->entries, bytes, (off_t)(first * sizeof(map->entries[0]))) !=
				   (ssize_t)bytes)
		memset(map->entries, 0xff, bytes);
}

/* Whether anything of a chunk `offset` bytes behind what was looked at may be other than zero. */
static bool may_hold_data(const struct page_map *map, const struct ram *ram, uint64_t step, uint64_t offset, size_t size)
{
	for (uint64_t at = offset; at < offset + size; at += map->page_size)
		if (map->entries[at / map->page_size] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED))
			return true;
	/* Where RAM is a private mapping of a file, what was not touched is what the file holds. */
	if (ram->file_fd < 0)
		return false;

	off_t start = (off_t)(ram->file_offset + step + offset);
	off_t data = lseek(ram->file_fd, start, SEEK_DATA);

	return data < 0 ? errno != ENXIO : data < start + (off_t)size;
}

/* Writes the pages of one chunk that are not zero, neighbours at once. */
static int write_chunk(struct snapshot_writer *writer, const uint8_t *host, size_t size, uint64_t offset,
		       uint32_t *crc, struct error *error)
{
	uint64_t data = 0;

	for (size_t at = 0; at < size;) {
		size_t end = at;
		int result;

		while (end < size && !is_zero(host + end))
			end += PAGE;
		if (end == at) {
			at += PAGE;
			continue;
		}
		result = pwrite_full(writer->fd, host + at, end - at, (off_t)(offset + at));
		if (result < 0)
			return error_system(error, -result, "writing RAM");
		data += end - at;
		at = end;
	}
	writer->figures.data += data;
	*crc = data ? checksum(0, host, size) : image_zero_checksum(size);
	return 0;
}

static int write_step(struct snapshot_writer *writer, struct page_map *map, uint64_t step, uint64_t offset,
		      uint32_t *checksums, struct error *error)
{
	const struct ram *ram = writer->ram;
	uint64_t step_size = ram->size - step < STEP ? ram->size - step : STEP;
	const uint32_t zero = image_zero_checksum(FORMAT_RAM_CHUNK);

	look(map, ram->host + step, step_size);
	for (uint64_t at = 0; at < step_size; at += FORMAT_RAM_CHUNK) {
		size_t size = step_size - at < FORMAT_RAM_CHUNK ? (size_t)(step_size - at) : FORMAT_RAM_CHUNK;
		uint32_t *crc = &checksums[(step + at) / FORMAT_RAM_CHUNK];

		if (!may_hold_data(map, ram, step, at, size))
			*crc = size == FORMAT_RAM_CHUNK ? zero : image_zero_checksum(size);
		else if (write_chunk(writer, ram->host + step + at, size, offset + step + at, crc, error) < 0)
			return -1;
	}
	return 0;
}

int image_write(struct snapshot_writer *writer, uint64_t offset, uint32_t *checksums, struct error *error)
{
	const struct snapshot_progress *progress = writer->progress;
	uint64_t total = writer->ram->size;
	struct page_map *map = malloc(sizeof(*map));
	int result = 0;

	if (!map)
		return error_system(error, ENOMEM, "the page map");
	map->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	map->fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	for (uint64_t step = 0; result == 0 && step < total; step += STEP) {
		if (progress && !progress->step(progress->owner, step, total))
			result = error_set(error, ECANCELED, "it was called off");
		else
			result = write_step(writer, map, step, offset, checksums, error);
	}
	if (map->fd >= 0)
		close(map->fd);
	free(map);
	return result;
}
