/* SPDX-License-Identifier: MIT */
/*
 * Writes RAM to a snapshot file. Most of a guest's memory was never accessed. The kernel's page map has the present pages,
 * and the others are not read. A present page of zeroes becomes a hole. A second update compares the file with RAM. That
 * takes a quarter of the time of writing, and finds the writes of every vCPU, device and the host's kernel. If the caller
 * passes the pages that were written, only these are compared.
 */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "page.h"
#include "snapshot/snapshot.h"
#include "util/bits.h"
#include "util/checksum.h"
#include "util/io.h"

#define PAGE FORMAT_RAM_PAGE /* the unit of holes, for every page size of the host */
#define ALL_PAGES 0xffffu /* of a chunk */
#define STEP (4u << 20) /* bytes between two reports of progress, and per read of the page map */

/* The state of one update. */
struct update {
	struct image *image;
	const uint16_t *pages; /* NULL, or one bit per page of each chunk: the page may differ from the file */
	bool still;
	uint64_t ram[STEP / PAGE];  /* the page map's entries of the current step */
	uint64_t file[STEP / PAGE]; /* the same of the mapped file, valid if `looked` is set */
	bool looked;
	uint8_t page[PAGE] __attribute__((aligned(16))); /* a copy of the current page of RAM */
	uint8_t below[FORMAT_RAM_CHUNK] __attribute__((aligned(16))); /* the base's contents of the current chunk */
};

const uint8_t image_zeroes[PAGE] __attribute__((aligned(16)));

_Static_assert(FORMAT_RAM_CHUNK / PAGE == 16, "a bit a page is 16 bits a chunk");

static size_t chunk_size(const struct image *image, uint64_t at)
{
	uint64_t rest = image->ram->size - at;

	return (size_t)MIN(rest, FORMAT_RAM_CHUNK);
}

uint32_t image_zero_checksum(size_t size)
{
	uint32_t crc = 0;

	for (; size >= PAGE; size -= PAGE)
		crc = checksum(crc, image_zeroes, PAGE);
	return checksum(crc, image_zeroes, size);
}

static bool is_base_of_ram(const struct image *image)
{
	const struct snapshot *from = image->ram->from;

	return image->base && from &&
	       memcmp(image->base->header.identity, from->header.identity, sizeof(from->header.identity)) == 0;
}

/* Whether a chunk may differ from the base, or from zero without a base, by its entries in the page map. */
static bool may_differ(const struct update *update, uint64_t at, size_t size)
{
	const struct image *image = update->image;
	uint64_t page_size = image->map.page_size;
	bool own_only = is_base_of_ram(image);

	for (uint64_t page = at; page < at + size; page += page_size) {
		uint64_t entry = update->ram[page % STEP / page_size];

		if (entry & PAGE_MAP_SWAPPED || (entry & PAGE_MAP_PRESENT && !(own_only && entry & PAGE_MAP_FILE)))
			return true;
	}
	/* Pages that were not accessed are equal to the snapshot that RAM was mapped from. */
	if (own_only)
		return false;
	return (image->ram->from && snapshot_has_data(image->ram->from, at, at + size)) ||
	       (image->base && snapshot_has_data(image->base, at, at + size));
}

int image_open(struct image *image, const struct ram *ram, const struct snapshot *base, int fd, uint64_t offset,
	       struct error *error)
{
	void *file = mmap(NULL, ram->size, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	uint32_t zero;

	*image = (struct image){
		.ram = ram,
		.base = base,
		.fd = fd,
		.offset = offset,
		.chunks = (ram->size + FORMAT_RAM_CHUNK - 1) / FORMAT_RAM_CHUNK,
		.file = file,
		.map.fd = -1,
	};
	if (file == MAP_FAILED) {
		image->file = NULL;
		return error_system(error, errno, "mapping the file");
	}
	page_map_open(&image->map);
	/* An access after the file's end would fail. Zeroes that replace a base's data are a hole, which is read. */
	if (base && ftruncate(fd, (off_t)(offset + ram->size)) < 0) {
		image_close(image);
		return error_system(error, errno, "making the file larger");
	}
	image->checksums = malloc(image->chunks * sizeof(*image->checksums));
	image->written = calloc(1, (ram->size / PAGE + 7) / 8);
	if (!image->checksums || !image->written) {
		image_close(image);
		return error_system(error, ENOMEM, "checksums of RAM");
	}
	/* Computed only once: for 256 MiB, computing it for each chunk took as long as copying 40 MiB. */
	zero = image_zero_checksum(FORMAT_RAM_CHUNK);
	for (uint64_t i = 0; i < image->chunks; i++)
		image->checksums[i] = base ? (uint32_t)field_element(&base->checksums, (uint32_t)i) : zero;
	if (!base && ram->size % FORMAT_RAM_CHUNK)
		image->checksums[image->chunks - 1] = image_zero_checksum(ram->size % FORMAT_RAM_CHUNK);
	return 0;
}

void image_close(struct image *image)
{
	if (image->file)
		munmap((void *)(uintptr_t)image->file, image->ram->size);
	page_map_close(&image->map);
	free(image->checksums);
	free(image->written);
	*image = (struct image){ .fd = -1, .map.fd = -1 };
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

/* Returns the contents of the page at `at` in the file, or in the base if the file does not have the page. */
static const uint8_t *kept(const struct update *update, uint64_t at)
{
	const struct image *image = update->image;

	if (is_written(image, at))
		return image->file + at;
	return image->base ? update->below + at % FORMAT_RAM_CHUNK : image_zeroes;
}

static bool is_same(const struct update *update, uint64_t at)
{
	const uint8_t *page = update->image->ram->host + at, *other = kept(update, at);

	return other == image_zeroes ? page_is_zero(page) : page_is_equal(page, other);
}

static void note_written(struct image *image, uint64_t page)
{
	image->written[page / PAGE / 8] |= (uint8_t)(1u << page / PAGE % 8);
}

int image_write(struct image *image, uint64_t at, const uint8_t *bytes, size_t size, struct error *error)
{
	int result = pwrite_full(image->fd, bytes, size, (off_t)(image->offset + at));

	if (result < 0)
		return error_system(error, -result, "writing RAM");
	for (uint64_t page = at; page < at + size; page += PAGE) {
		image->pages += !is_written(image, page);
		note_written(image, page);
	}
	return 0;
}

/*
 * Returns the checksum of the chunk in the file. RAM that changes cannot be used for it: its contents may differ from the
 * bytes that were written, and may become equal again later.
 */
static uint32_t chunk_checksum(const struct update *update, uint64_t at, size_t size)
{
	uint32_t crc = 0;

	if (update->still)
		return checksum(0, update->image->ram->host + at, size);
	for (uint64_t page = at; page < at + size; page += PAGE)
		crc = checksum(crc, kept(update, page), PAGE);
	return crc;
}

/*
 * Makes sure that the chunk's pages of the file are present. If an absent page had to be read from a disk that failed, the
 * access would raise a signal instead of returning an error. Nearly all pages are present since their checksum was computed,
 * so that the page map is read first. Reading a page ahead needs Linux 5.14. An older kernel is assumed to have it present.
 */
static int populate(struct update *update, uint64_t at, size_t size, struct error *error)
{
	const struct image *image = update->image;
	uint64_t step = at - at % STEP;

	if (!update->looked)
		page_map_read(&image->map, update->file, image->file + step,
			      MIN(image->ram->size - step, STEP));
	update->looked = true;

	for (uint64_t page = at; page < at + size; page += PAGE) {
		uint64_t entry = update->file[page % STEP / update->image->map.page_size];

		if (is_written(image, page) && !(entry & PAGE_MAP_PRESENT) &&
		    madvise((void *)(uintptr_t)(image->file + page), PAGE, MADV_POPULATE_READ) < 0 && errno != EINVAL)
			return error_system(error, errno == EFAULT ? EIO : errno, "reading the file again");
	}
	return 0;
}

/* A page of zeroes that replaces a base's page is a hole too, which the file has already. */
static int write_changed(struct image *image, uint64_t at, const uint8_t *bytes, size_t size, struct error *error)
{
	if (image->base && size == PAGE && !is_written(image, at) && page_is_zero(bytes)) {
		note_written(image, at);
		return 0;
	}
	return image_write(image, at, bytes, size, error);
}

/* Every page of the chunk may differ. Neighbouring pages are written together. */
static int update_all(struct update *update, uint64_t at, size_t size, struct error *error)
{
	struct image *image = update->image;
	uint64_t end = at + size;
	bool changed = false;

	for (uint64_t page = at, next; page < end; page = next) {
		for (next = page; next < end && !is_same(update, next);) {
			next += PAGE;
			if (image->base) /* each page might be a hole */
				break;
		}
		if (next > page && write_changed(image, page, image->ram->host + page, next - page, error) < 0)
			return -1;
		changed |= next > page;
		next += next == page ? PAGE : 0;
	}
	if (changed)
		image->checksums[at / FORMAT_RAM_CHUNK] = chunk_checksum(update, at, size);
	return changed;
}

/*
 * Only the pages in `pages` may differ, and only these are compared. The CRC is linear: a page's old contribution to the
 * chunk's checksum can be replaced by the new one without reading the other pages.
 */
static int update_some(struct update *update, uint64_t at, size_t size, uint16_t pages, struct error *error)
{
	struct image *image = update->image;
	bool changed = false;

	for (uint64_t page = at; page < at + size; page += PAGE, pages >>= 1) {
		uint32_t difference;

		if (!(pages & 1) || is_same(update, page))
			continue;
		/*
		 * RAM may change, so the checksum and the write use one copy. Reading the file again would map it page by
		 * page.
		 */
		memcpy(update->page, image->ram->host + page, PAGE);
		difference = checksum(0, kept(update, page), PAGE) ^ checksum(0, update->page, PAGE);
		if (write_changed(image, page, update->page, PAGE, error) < 0)
			return -1;
		image->checksums[at / FORMAT_RAM_CHUNK] ^=
			(uint32_t)crc32_combine(difference, 0, (z_off_t)(at + size - page - PAGE));
		changed = true;
	}
	return changed;
}

/* Reads the base's contents of these pages, if the file does not have them. */
static int read_below(struct update *update, uint64_t at, size_t size, uint16_t pages, struct error *error)
{
	const struct image *image = update->image;

	if (!image->base)
		return 0;
	if (pages == ALL_PAGES)
		return snapshot_read_ram(image->base, at, update->below, size, error);
	for (uint64_t page = at; page < at + size; page += PAGE, pages >>= 1)
		if (pages & 1 && !is_written(image, page) &&
		    snapshot_read_ram(image->base, page, update->below + page % FORMAT_RAM_CHUNK, PAGE, error) < 0)
			return -1;
	return 0;
}

static int update_chunk(struct update *update, uint64_t at, size_t size, uint16_t pages, struct error *error)
{
	struct image *image = update->image;
	int changed;

	if ((any_written(image, at, size) && populate(update, at, size, error) < 0) ||
	    read_below(update, at, size, pages, error) < 0)
		return -1;
	changed = pages == ALL_PAGES ? update_all(update, at, size, error) : update_some(update, at, size, pages, error);
	if (changed > 0) {
		image->changes++;
		image->changed = at;
	}
	return changed < 0 ? -1 : 0;
}

/* Whether `pages` has a page in this step. With much RAM, most steps have none. */
static bool any_named(const struct update *update, uint64_t step, uint64_t size)
{
	uint16_t any = 0;

	for (uint64_t chunk = step / FORMAT_RAM_CHUNK; chunk * FORMAT_RAM_CHUNK < step + size; chunk++)
		any |= update->pages[chunk];
	return any;
}

static int update_step(struct update *update, uint64_t step, struct error *error)
{
	struct image *image = update->image;
	uint64_t size = MIN(image->ram->size - step, STEP);

	if (update->pages && !any_named(update, step, size))
		return 0;
	update->looked = false;
	if (!update->pages)
		page_map_read(&image->map, update->ram, image->ram->host + step, size);
	for (uint64_t at = step; at < step + size; at += FORMAT_RAM_CHUNK) {
		size_t chunk = chunk_size(image, at);
		uint16_t pages = update->pages ? update->pages[at / FORMAT_RAM_CHUNK] : ALL_PAGES;

		if (!pages || (!update->pages && !any_written(image, at, chunk) && !may_differ(update, at, chunk)))
			continue;
		if (update_chunk(update, at, chunk, pages, error) < 0)
			return -1;
	}
	return 0;
}

int image_update(struct image *image, const uint16_t *pages, bool still, const struct snapshot_progress *progress,
		 struct error *error)
{
	uint64_t total = image->ram->size;
	struct update *update = malloc(sizeof(*update));
	int result = 0;

	if (!update)
		return error_system(error, ENOMEM, "memory");
	update->image = image;
	update->pages = pages;
	update->still = still;
	for (uint64_t step = 0; result == 0 && step < total; step += STEP) {
		if (progress && !progress->step(progress->owner, step, total))
			result = error_set(error, ECANCELED, "it was cancelled");
		else
			result = update_step(update, step, error);
	}
	free(update);
	return result;
}
