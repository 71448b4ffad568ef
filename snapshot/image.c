/* SPDX-License-Identifier: MIT */
/*
 * Writing RAM. Most of a guest's memory was never touched: the kernel's page map says what is there, so that the rest
 * is not even looked at (a look would make the pages exist). What is there and all zero becomes a hole. The second time,
 * what the file has is compared with RAM, which costs a quarter of writing it and lets no writer of memory escape: vCPU,
 * device or the host's kernel.
 * Kernel: Documentation/admin-guide/mm/pagemap.rst.
 */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lkvm/io.h"
#include "lkvm/snapshot.h"

#define PAGE 4096u /* holes are made of these, whatever the host's pages are */
#define STEP (4u << 20) /* bytes between two reports of progress, and of one look at the page map */

/* One entry a page of the host. */
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAPPED (1ull << 62)

struct page_map {
	int fd; /* -1: there is none, everything may be there */
	uint64_t page_size;
	uint64_t ram[STEP / PAGE]; /* entries of the part that is looked at */
	uint64_t file[STEP / PAGE]; /* the same of the mapped file */
};

static const uint8_t zeroes[PAGE];

static size_t chunk_size(const struct image *image, uint64_t at)
{
	uint64_t rest = image->ram->size - at;

	return rest < FORMAT_RAM_CHUNK ? (size_t)rest : FORMAT_RAM_CHUNK;
}

uint32_t image_zero_checksum(size_t size)
{
	uint32_t crc = 0;

	for (; size >= PAGE; size -= PAGE)
		crc = checksum(crc, zeroes, PAGE);
	return checksum(crc, zeroes, size);
}

/* Two words at a time: pages are aligned, and comparing them is most of a save's pause. */
typedef uint64_t vector __attribute__((vector_size(16), may_alias));

static bool is_zero(const uint8_t *page)
{
	const vector *words = (const void *)page;

	for (size_t i = 0; i < PAGE / sizeof(vector); i += 8) {
		vector any = { 0 };

#pragma GCC unroll 8
		for (size_t j = 0; j < 8; j++)
			any |= words[i + j];
		if (any[0] | any[1])
			return false;
	}
	return true;
}

static bool is_equal(const uint8_t *page, const uint8_t *other)
{
	const vector *one = (const void *)page, *two = (const void *)other;

	for (size_t i = 0; i < PAGE / sizeof(vector); i += 8) {
		vector any = { 0 };

#pragma GCC unroll 8
		for (size_t j = 0; j < 8; j++)
			any |= one[i + j] ^ two[i + j];
		if (any[0] | any[1])
			return false;
	}
	return true;
}

/* Reads the map's entries for [host, host + size). Where that fails, all of it may be there. */
static void look(const struct page_map *map, uint64_t *entries, const uint8_t *host, uint64_t size)
{
	uint64_t first = (uintptr_t)host / map->page_size;
	size_t bytes = (size_t)((size + map->page_size - 1) / map->page_size * sizeof(*entries));

	if (map->fd < 0 || pread_full(map->fd, entries, bytes, (off_t)(first * sizeof(*entries))) != (ssize_t)bytes)
		memset(entries, 0xff, bytes);
}

/* Whether anything of a chunk `offset` bytes behind what was looked at may be other than zero. */
static bool may_hold_data(const struct page_map *map, const struct ram *ram, uint64_t step, uint64_t offset, size_t size)
{
	for (uint64_t at = offset; at < offset + size; at += map->page_size)
		if (map->ram[at / map->page_size] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED))
			return true;
	/* Where RAM came from a snapshot, what was not touched is what that holds. */
	for (uint64_t at = step + offset, end = at + size; ram->from && at < end;) {
		const struct snapshot_run run = snapshot_find_run(ram->from, at);

		if (run.kind != SNAPSHOT_ZERO)
			return true;
		at += run.size;
	}
	return false;
}

int image_open(struct image *image, const struct ram *ram, int fd, uint64_t offset, struct error *error)
{
	void *file = mmap(NULL, ram->size, PROT_READ, MAP_SHARED, fd, (off_t)offset);

	*image = (struct image){
		.ram = ram,
		.fd = fd,
		.offset = offset,
		.chunks = (ram->size + FORMAT_RAM_CHUNK - 1) / FORMAT_RAM_CHUNK,
		.file = file,
	};
	if (file == MAP_FAILED) {
		image->file = NULL;
		return error_system(error, errno, "mapping the file");
	}
	image->checksums = malloc(image->chunks * sizeof(*image->checksums));
	image->written = calloc(1, (ram->size / PAGE + 7) / 8);
	if (!image->checksums || !image->written) {
		image_close(image);
		return error_system(error, ENOMEM, "checksums of RAM");
	}
	for (uint64_t i = 0; i < image->chunks; i++)
		image->checksums[i] = image_zero_checksum(chunk_size(image, i * FORMAT_RAM_CHUNK));
	return 0;
}

void image_close(struct image *image)
{
	if (image->file)
		munmap((void *)(uintptr_t)image->file, image->ram->size);
	free(image->checksums);
	free(image->written);
	*image = (struct image){ .fd = -1 };
}

uint64_t image_bytes(const struct image *image)
{
	return image->pages * PAGE;
}

static bool is_written(const struct image *image, uint64_t at)
{
	return image->written[at / PAGE / 8] >> at / PAGE % 8 & 1;
}

static bool any_written(const struct image *image, uint64_t at, size_t size)
{
	for (uint64_t page = at; page < at + size; page += PAGE)
		if (is_written(image, page))
			return true;
	return false;
}

/* Whether the file has what RAM has at `at`. */
static bool is_same(const struct image *image, uint64_t at)
{
	const uint8_t *page = image->ram->host + at;

	return is_written(image, at) ? is_equal(page, image->file + at) : is_zero(page);
}

static int write_pages(struct image *image, uint64_t at, size_t size, struct error *error)
{
	int result = pwrite_full(image->fd, image->ram->host + at, size, (off_t)(image->offset + at));

	if (result < 0)
		return error_system(error, -result, "writing RAM");
	for (uint64_t page = at; page < at + size; page += PAGE) {
		image->pages += !is_written(image, page);
		image->written[page / PAGE / 8] |= (uint8_t)(1u << page / PAGE % 8);
	}
	return 0;
}

/*
 * Of what is in the file. RAM that changes cannot be asked: what it says now need not be what was written, and it might
 * yet become that again.
 */
static uint32_t chunk_checksum(const struct image *image, uint64_t at, size_t size, bool still)
{
	uint32_t crc = 0;

	if (still)
		return checksum(0, image->ram->host + at, size);
	for (uint64_t page = at; page < at + size; page += PAGE)
		crc = checksum(crc, is_written(image, page) ? image->file + page : zeroes, PAGE);
	return crc;
}

/*
 * Makes sure that what the file has of the chunk is mapped: touching it would be a signal instead of a sentence if it had to
 * be read again from a disk that failed. It is there from when its checksum was made, or nearly all: so the page map is
 * asked first. Linux 5.14 can read it ahead; before that it is taken to be there.
 */
static int populate(const struct image *image, const struct page_map *map, uint64_t at, size_t size, struct error *error)
{
	for (uint64_t page = at; page < at + size; page += PAGE) {
		uint64_t entry = map->file[(at % STEP + page - at) / map->page_size];

		if (is_written(image, page) && !(entry & PAGEMAP_PRESENT) &&
		    madvise((void *)(uintptr_t)(image->file + page), PAGE, MADV_POPULATE_READ) < 0 && errno != EINVAL)
			return error_system(error, errno == EFAULT ? EIO : errno, "reading the file again");
	}
	return 0;
}

/* Neighbours are written at once. */
static int update_chunk(struct image *image, const struct page_map *map, uint64_t at, size_t size, bool still,
			struct error *error)
{
	bool changed = false;

	if (populate(image, map, at, size, error) < 0)
		return -1;
	for (uint64_t page = at; page < at + size;) {
		uint64_t end = page;

		while (end < at + size && !is_same(image, end))
			end += PAGE;
		if (end > page) {
			if (write_pages(image, page, end - page, error) < 0)
				return -1;
			changed = true;
		}
		page = end + PAGE; /* that one is the same, or the end */
	}
	if (changed)
		image->checksums[at / FORMAT_RAM_CHUNK] = chunk_checksum(image, at, size, still);
	return 0;
}

static int update_step(struct image *image, struct page_map *map, uint64_t step, bool still, struct error *error)
{
	uint64_t size = image->ram->size - step < STEP ? image->ram->size - step : STEP;

	look(map, map->ram, image->ram->host + step, size);
	look(map, map->file, image->file + step, size);
	for (uint64_t at = step; at < step + size; at += FORMAT_RAM_CHUNK) {
		size_t chunk = chunk_size(image, at);

		if ((any_written(image, at, chunk) || may_hold_data(map, image->ram, step, at - step, chunk)) &&
		    update_chunk(image, map, at, chunk, still, error) < 0)
			return -1;
	}
	return 0;
}

int image_update(struct image *image, bool still, const struct snapshot_progress *progress, struct error *error)
{
	uint64_t total = image->ram->size;
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
			result = update_step(image, map, step, still, error);
	}
	if (map->fd >= 0)
		close(map->fd);
	free(map);
	return result;
}
