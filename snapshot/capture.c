/* SPDX-License-Identifier: MIT */
/*
 * Writes RAM as it was at one point in time, while the guest runs. At that time all of RAM was write-protected. Each range
 * may be unprotected after it was captured. Pages that were absent then are not protected, because that would need page
 * tables for them. They need no protection: a page that is present and not protected was made present later, and was zero
 * before.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "image.h"
#include "page.h"
#include "snapshot/snapshot.h"
#include "util/bits.h"
#include "util/checksum.h"
#include "util/fault.h"

#define PAGE FORMAT_RAM_PAGE

/* The range [at, end) of RAM that is captured, with its entries of the page map. */
struct part {
	struct image *image;
	uint64_t at, end;
	uint64_t map[SNAPSHOT_CAPTURE_LIMIT / PAGE];
};

static bool has(const struct part *part, uint64_t at, uint64_t bits)
{
	return (part->map[(at - part->at) / part->image->map.page_size] & bits) != 0;
}

static bool is_protected(const struct part *part, uint64_t at, uint64_t end)
{
	for (; at < end; at += PAGE)
		if (has(part, at, PAGE_MAP_PROTECTED))
			return true;
	return false;
}

/* Absent huge pages are protected too. Reading them would make them present. */
static bool is_data(const struct part *part, uint64_t at)
{
	return has(part, at, PAGE_MAP_PROTECTED) && has(part, at, PAGE_MAP_PRESENT | PAGE_MAP_SWAPPED) &&
	       !page_is_zero(part->image->ram->host + at);
}

static int capture_chunk(const struct part *part, uint64_t at, uint64_t end, struct error *error)
{
	struct image *image = part->image;
	uint32_t crc = 0;

	for (uint64_t page = at, next; page < end; page = next) {
		for (next = page; next < end && is_data(part, next); next += PAGE)
			crc = checksum(crc, image->ram->host + next, PAGE);
		if (next > page && image_write(image, page, image->ram->host + page, next - page, error) < 0)
			return -1;
		if (next == page) {
			crc = checksum(crc, image_zeroes, PAGE);
			next += PAGE;
		}
	}
	image->checksums[at / FORMAT_RAM_CHUNK] = crc;
	return 0;
}

static int read_map(struct part *part, struct snapshot_writer *writer, uint64_t at, uint64_t size, struct error *error)
{
	part->image = writer->image;
	part->at = at;
	part->end = at + size;
	if (page_map_read(&part->image->map, part->map, part->image->ram->host + at, size))
		return 0;
	return error_system(error, part->image->map.problem ? part->image->map.problem : EIO, "/proc/self/pagemap cannot be read");
}

int snapshot_classify(struct snapshot_writer *writer, uint64_t at, uint64_t size, uint8_t *kinds, struct error *error)
{
	struct part part;

	*kinds = 0;
	if (read_map(&part, writer, at, size, error) < 0)
		return -1;
	for (; at < part.end; at += part.image->map.page_size) {
		if (has(&part, at, PAGE_MAP_PROTECTED))
			*kinds |= SNAPSHOT_PROTECTED;
		else
			*kinds |= has(&part, at, PAGE_MAP_PRESENT | PAGE_MAP_SWAPPED) ? SNAPSHOT_OPEN : SNAPSHOT_ABSENT;
	}
	return 0;
}

int snapshot_capture(struct snapshot_writer *writer, uint64_t at, uint64_t size, struct error *error)
{
	struct part part;

	if (fault_at(writer->fault, "save", "take", error) < 0 || read_map(&part, writer, at, size, error) < 0)
		return -1;
	for (uint64_t next; at < part.end; at = next) {
		next = part.end - at < FORMAT_RAM_CHUNK ? part.end : at + FORMAT_RAM_CHUNK;
		if (is_protected(&part, at, next) && capture_chunk(&part, at, next, error) < 0)
			return -1;
	}
	return 0;
}

/* For tests: a copy of RAM, to compare the file with. */

static int keep_copy(struct snapshot_writer *writer, struct error *error)
{
	const struct ram *ram = writer->ram;
	struct part part;
	void *kept = mmap(NULL, ram->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (kept == MAP_FAILED)
		return error_system(error, errno, "a copy of RAM");
	writer->kept = kept;
	madvise(kept, ram->size, MADV_NOHUGEPAGE);
	for (uint64_t at = 0; at < ram->size;) {
		uint64_t rest = ram->size - at;

		if (read_map(&part, writer, at, MIN(rest, SNAPSHOT_CAPTURE_LIMIT), error) < 0)
			return -1;
		for (; at < part.end; at += PAGE)
			if (has(&part, at, PAGE_MAP_PRESENT | PAGE_MAP_SWAPPED))
				memcpy(writer->kept + at, ram->host + at, PAGE);
	}
	return 0;
}

int snapshot_capture_begin(struct snapshot_writer *writer, struct error *error)
{
	struct error asked;

	return fault_at(writer->fault, "save", "recheck", &asked) < 0 ? keep_copy(writer, error) : 0;
}

int snapshot_capture_end(struct snapshot_writer *writer, struct error *error)
{
	const struct image *image = writer->image;

	for (uint64_t at = 0; writer->kept && at < writer->ram->size; at += PAGE) {
		bool written = image->written[at / PAGE / 8] >> at / PAGE % 8 & 1;

		if (!page_is_equal(writer->kept + at, written ? image->file + at : image_zeroes))
			return error_set(error, EIO, "RAM at 0x%" PRIx64 " differed from the file",
					 writer->ram->base + at);
	}
	return 0;
}
