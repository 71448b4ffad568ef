/* SPDX-License-Identifier: MIT */
/* Writes snapshot files that have only RAM, in each form that a reader accepts: plain, compressed, or on a base. */
#ifndef TESTS_CRAFTED_H
#define TESTS_CRAFTED_H

#include "state/names.h"
#include "unit/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "snapshot/snapshot.h"
#include "util/checksum.h"
#include "util/io.h"

#define CRAFTED_BASE 0x80000000u

struct crafted {
	const char *path;
	const uint8_t *ram;     /* the complete RAM that a reader must get */
	uint64_t size;          /* of RAM, in bytes */
	uint64_t frame;         /* bytes of a compressed frame; 0: plain */
	const char *base_path;  /* snapshot that has the pages outside of `pages`, or NULL */
	const uint8_t *pages;   /* bitmap of pages in this file; NULL: all are */
	uint8_t identity[16];
	struct byte_buffer more; /* sections after those of RAM; crafted_write() frees it */
	uint32_t damaged_chunk; /* chunk whose checksum is wrong; 0: none */
};

static inline bool crafted_has(const struct crafted *file, uint64_t at)
{
	return !file->pages || file->pages[at / FORMAT_RAM_PAGE / 8] >> at / FORMAT_RAM_PAGE % 8 & 1;
}

static inline void crafted_frames(const struct crafted *file, int fd, uint64_t *end, struct section_writer *tail)
{
	uint32_t count = (uint32_t)((file->size + file->frame - 1) / file->frame);
	uint64_t *offsets = calloc(count, sizeof(*offsets));
	uint32_t *sizes = calloc(count, sizeof(*sizes));
	uint8_t *plain = malloc(file->frame), *packed = malloc(compressBound(file->frame));

	for (uint32_t i = 0; i < count; i++) {
		uint64_t at = i * file->frame, size = file->size - at < file->frame ? file->size - at : file->frame;
		uLongf stored = compressBound(size);
		bool zero = true;

		memset(plain, 0, file->frame);
		for (uint64_t page = 0; page < size; page += FORMAT_RAM_PAGE)
			if (crafted_has(file, at + page))
				memcpy(plain + page, file->ram + at + page, FORMAT_RAM_PAGE);
		for (uint64_t byte = 0; byte < size; byte++)
			zero &= !plain[byte];
		if (zero)
			continue;
		assert_int_equal(compress2(packed, &stored, plain, size, 1), Z_OK);
		assert_int_equal(pwrite_full(fd, packed, stored, (off_t)*end), 0);
		offsets[i] = *end;
		sizes[i] = (uint32_t)stored;
		*end += stored;
	}
	*end = (*end + 7) & ~7ull;
	section_begin(tail, SECTION_RAM_FRAMES, 1, SECTION_MANDATORY);
	field_add_number(&tail->buffer, "frame", file->frame);
	field_add(&tail->buffer, "offset", 8, count, offsets);
	field_add(&tail->buffer, "size", 4, count, sizes);
	section_end(tail);
	free(plain);
	free(packed);
	free(offsets);
	free(sizes);
}

static inline void crafted_pages(const struct crafted *file, int fd, uint64_t *end)
{
	static const uint8_t zeroes[FORMAT_RAM_PAGE];

	for (uint64_t at = 0; at < file->size; at += FORMAT_RAM_PAGE)
		if (crafted_has(file, at) && memcmp(file->ram + at, zeroes, FORMAT_RAM_PAGE) != 0)
			assert_int_equal(pwrite_full(fd, file->ram + at, FORMAT_RAM_PAGE, (off_t)(*end + at)), 0);
	*end += file->size;
}

/* Writes the file. All bytes of its identity are `identity`. */
static inline void crafted_write(struct crafted *file, uint8_t identity)
{
	int fd = open(file->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint32_t chunks = (uint32_t)(file->size / FORMAT_RAM_CHUNK), *sums = calloc(chunks, sizeof(*sums));
	struct format_header header = { .version = FORMAT_VERSION, .architecture = FORMAT_ARCHITECTURE };
	struct section_writer head = { 0 }, tail = { 0 };
	struct format_commit commit = { 0 };
	uint64_t end = FORMAT_RAM_ALIGNMENT;
	uint8_t record[FORMAT_COMMIT_SIZE];

	assert_true(fd >= 0);
	memset(file->identity, identity, sizeof(file->identity));
	memcpy(header.identity, file->identity, sizeof(header.identity));
	memcpy(commit.identity, file->identity, sizeof(commit.identity));
	byte_buffer_add(&head.buffer, NULL, FORMAT_HEADER_SIZE);
	section_begin(&head, "ram", 1, SECTION_MANDATORY);
	field_add_number(&head.buffer, "base", CRAFTED_BASE);
	field_add_number(&head.buffer, "size", file->size);
	field_add_number(&head.buffer, "offset", end);
	section_end(&head);
	format_write_header(&header, head.buffer.bytes);
	for (uint32_t i = 0; i < chunks; i++)
		sums[i] = checksum(0, file->ram + (uint64_t)i * FORMAT_RAM_CHUNK, FORMAT_RAM_CHUNK);
	if (file->damaged_chunk)
		sums[file->damaged_chunk] ^= 1;
	section_begin(&tail, "ram-checksums", 1, SECTION_MANDATORY);
	field_add(&tail.buffer, "crc32", 4, chunks, sums);
	section_end(&tail);
	if (file->base_path) {
		struct snapshot base;
		struct error error;

		assert_int_equal(snapshot_open(&base, file->base_path, &error), 0);
		section_begin(&tail, SECTION_RAM_BASE, 1, SECTION_MANDATORY);
		field_add(&tail.buffer, "identity", 1, 16, base.header.identity);
		field_add_text(&tail.buffer, "path", file->base_path);
		field_add(&tail.buffer, "pages", 1, (uint32_t)(file->size / FORMAT_RAM_PAGE / 8), file->pages);
		section_end(&tail);
		snapshot_close(&base);
	}
	if (file->frame)
		crafted_frames(file, fd, &end, &tail);
	else
		crafted_pages(file, fd, &end);
	byte_buffer_add(&tail.buffer, file->more.bytes, file->more.size);
	byte_buffer_free(&file->more);
	commit.head_end = head.buffer.size;
	commit.tail = end;
	commit.size = end + tail.buffer.size + FORMAT_COMMIT_SIZE;
	commit.checksum = checksum(checksum(0, head.buffer.bytes, head.buffer.size), tail.buffer.bytes, tail.buffer.size);
	format_write_commit(&commit, record);
	assert_int_equal(pwrite_full(fd, head.buffer.bytes, head.buffer.size, 0), 0);
	assert_int_equal(pwrite_full(fd, tail.buffer.bytes, tail.buffer.size, (off_t)end), 0);
	assert_int_equal(pwrite_full(fd, record, sizeof(record), (off_t)(commit.size - sizeof(record))), 0);
	byte_buffer_free(&head.buffer);
	byte_buffer_free(&tail.buffer);
	free(sums);
	close(fd);
}

#endif
