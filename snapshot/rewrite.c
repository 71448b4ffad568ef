/* SPDX-License-Identifier: MIT */
/* Writes a snapshot in another form: whole, compressed, or as a stream. */
#include "snapshot/rewrite.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "parallel.h"
#include "state/names.h"
#include "stream.h"
#include "util/checksum.h"
#include "util/io.h"

#define RAM_OFFSET FORMAT_RAM_ALIGNMENT /* in the new file; the head fits before it */

_Static_assert(PARALLEL_SLICE % FORMAT_RAM_FRAME == 0 && PARALLEL_SLICE <= STREAM_RECORD_LIMIT, "a slice is frames, and fits a record");

struct copy {
	const struct snapshot *from;
	struct rewrite *rewrite;
	uint32_t zero;         /* checksum of a chunk of zeroes */
	uint64_t *offsets;     /* of each frame in the new file */
	uint32_t *sizes;
	_Atomic uint64_t data; /* bytes of RAM in pages that are not zero */
	_Atomic uint64_t size; /* bytes that were written */
	pthread_mutex_t lock;  /* held while a frame is appended */
	uint64_t end;          /* of RAM in the new file */
	struct format_commit commit;
};

static const uint8_t zeroes[FORMAT_RAM_PAGE];

static size_t frame_count(const struct snapshot *from)
{
	return (size_t)((from->ram_size + FORMAT_RAM_FRAME - 1) / FORMAT_RAM_FRAME);
}

/* Writing. */

static int put(struct copy *copy, uint64_t offset, const void *bytes, size_t size, struct error *error)
{
	int result;

	atomic_fetch_add(&copy->size, size);
	if (copy->rewrite->stream)
		return stream_write_record(copy->rewrite->fd, offset, bytes, size, error);
	result = pwrite_full(copy->rewrite->fd, bytes, size, (off_t)offset);
	return result < 0 ? error_system(error, -result, "writing %zu bytes at %" PRIu64, size, offset) : 0;
}

static int put_head(struct copy *copy, const struct byte_buffer *head, struct error *error)
{
	int fd = copy->rewrite->fd;

	if (!copy->rewrite->stream)
		return put(copy, 0, head->bytes, head->size, error);
	atomic_fetch_add(&copy->size, head->size);
	return stream_write_start(fd, head->size, error) < 0 ? -1 : stream_write(fd, head->bytes, head->size, error);
}

static int put_tail(struct copy *copy, const struct byte_buffer *tail, struct error *error)
{
	int fd = copy->rewrite->fd;

	if (!copy->rewrite->stream)
		return put(copy, copy->commit.tail, tail->bytes, tail->size, error);
	atomic_fetch_add(&copy->size, tail->size);
	return stream_write_record(fd, copy->commit.tail, NULL, 0, error) < 0 ? -1 :
	       stream_write(fd, tail->bytes, tail->size, error);
}

/* RAM. */

static int judge(const struct copy *copy, uint64_t at, uint32_t crc, struct error *error)
{
	if (field_element(&copy->from->checksums, (uint32_t)(at / FORMAT_RAM_CHUNK)) == crc)
		return 0;
	return error_set(error, EBADMSG, "RAM is damaged: the checksum of the %u bytes at 0x%" PRIx64 " is wrong",
			 FORMAT_RAM_CHUNK, copy->from->ram_base + at);
}

static bool is_zero(const uint8_t *page)
{
	return memcmp(page, zeroes, FORMAT_RAM_PAGE) == 0;
}

/* Finds the next pages in [*at, end) that are not zero. Returns their bytes, and their offset in `at`. */
static size_t next_data(const uint8_t *bytes, size_t *at, size_t end)
{
	size_t start;

	while (*at < end && is_zero(bytes + *at))
		*at += FORMAT_RAM_PAGE;
	for (start = *at; start < end && !is_zero(bytes + start);)
		start += FORMAT_RAM_PAGE;
	return start - *at;
}

static int write_plain(struct copy *copy, uint64_t from, const uint8_t *bytes, size_t size, struct error *error)
{
	size_t at = 0;

	for (size_t data; (data = next_data(bytes, &at, size)) > 0; at += data) {
		atomic_fetch_add(&copy->data, data);
		if (put(copy, RAM_OFFSET + from + at, bytes + at, data, error) < 0)
			return -1;
	}
	return 0;
}

/* Frames are in the file in the order in which they were compressed. */
static int append_frame(struct copy *copy, uint64_t frame, const uint8_t *bytes, size_t size, struct error *error)
{
	int result;

	pthread_mutex_lock(&copy->lock);
	copy->offsets[frame] = copy->end;
	copy->sizes[frame] = (uint32_t)size;
	copy->end += size;
	result = put(copy, copy->offsets[frame], bytes, size, error);
	pthread_mutex_unlock(&copy->lock);
	return result;
}

/* Compresses a frame into `buffer`, which has compressBound(FORMAT_RAM_FRAME) bytes. Returns the compressed size. */
static size_t pack(z_stream *packer, const uint8_t *bytes, size_t size, uint8_t *buffer)
{
	deflateReset(packer);
	packer->next_in = (uint8_t *)(uintptr_t)bytes;
	packer->avail_in = (uInt)size;
	packer->next_out = buffer;
	packer->avail_out = (uInt)compressBound(FORMAT_RAM_FRAME);
	deflate(packer, Z_FINISH);
	return packer->total_out;
}

static int write_frames(struct copy *copy, z_stream *packer, uint64_t from, const uint8_t *bytes, size_t size, uint8_t *buffer,
			struct error *error)
{
	for (size_t at = 0; at < size; at += FORMAT_RAM_FRAME) {
		size_t end = size - at < FORMAT_RAM_FRAME ? size : at + FORMAT_RAM_FRAME, data = 0, next = at;

		for (size_t run; (run = next_data(bytes, &next, end)) > 0; next += run)
			data += run;
		atomic_fetch_add(&copy->data, data);
		if (!data)
			continue;
		if (append_frame(copy, (from + at) / FORMAT_RAM_FRAME, buffer, pack(packer, bytes + at, end - at, buffer), error) < 0)
			return -1;
	}
	return 0;
}

/* One packer serves many frames, because making one takes as long as compressing a small frame. */
static int write_packed(struct copy *copy, uint64_t from, const uint8_t *bytes, size_t size, uint8_t *buffer,
			struct error *error)
{
	z_stream packer = { .next_in = NULL };
	int result;

	if (deflateInit(&packer, copy->rewrite->level) != Z_OK)
		return error_system(error, ENOMEM, "memory");
	result = write_frames(copy, &packer, from, bytes, size, buffer, error);
	deflateEnd(&packer);
	return result;
}

static int copy_slice(void *owner, uint64_t from, uint64_t end, uint8_t *buffer, struct error *error)
{
	struct copy *copy = owner;
	size_t size = (size_t)(end - from);
	bool kept = snapshot_has_data(copy->from, from, end);

	if (kept && snapshot_read_ram(copy->from, from, buffer, size, error) < 0)
		return -1;
	for (size_t at = 0; at < size; at += FORMAT_RAM_CHUNK)
		if (judge(copy, from + at, kept ? checksum(0, buffer + at, FORMAT_RAM_CHUNK) : copy->zero, error) < 0)
			return -1;
	if (!kept)
		return 0;
	return copy->rewrite->level ? write_packed(copy, from, buffer, size, buffer + PARALLEL_SLICE, error) :
				      write_plain(copy, from, buffer, size, error);
}

static int copy_ram(struct copy *copy, struct error *error)
{
	const struct parallel_job job = {
		.total = copy->from->ram_size,
		.buffer_size = PARALLEL_SLICE + (copy->rewrite->level ? compressBound(FORMAT_RAM_FRAME) : 0),
		.in_order = copy->rewrite->stream && !copy->rewrite->level,
		.work = copy_slice,
		.owner = copy,
		.progress = copy->rewrite->progress,
	};
	int result;

	pthread_mutex_init(&copy->lock, NULL);
	result = parallel_run(&job, error);
	pthread_mutex_destroy(&copy->lock);
	if (!copy->rewrite->level)
		copy->end = RAM_OFFSET + copy->from->ram_size;
	return result;
}

/* Sections. */

static int write_head(struct copy *copy, struct error *error)
{
	const struct snapshot *from = copy->from;
	const struct format_ram ram = { .base = from->ram_base, .size = from->ram_size, .offset = RAM_OFFSET };
	struct byte_buffer head = { 0 };
	int result = format_make_head(&from->header, &ram, &copy->commit, &head, error);

	if (result == 0)
		result = put_head(copy, &head, error);
	byte_buffer_free(&head);
	return result;
}

/* Copies the sections, with RAM's checksums. The sections about RAM's place are not copied but made anew. */
static void add_sections(const struct copy *copy, struct section_writer *tail)
{
	uint32_t frames = (uint32_t)frame_count(copy->from);

	for (size_t i = 0; i < copy->from->sections.count; i++) {
		const struct section *section = &copy->from->sections.items[i];

		if (format_is_about_place(section->name))
			continue;
		section_begin(tail, section->name, section->version, section->flags);
		byte_buffer_add(&tail->buffer, section->fields.bytes, section->fields.size);
		section_end(tail);
	}
	if (!copy->rewrite->level)
		return;
	section_begin(tail, SECTION_RAM_FRAMES, 1, SECTION_MANDATORY);
	field_add_number(&tail->buffer, FIELD_FRAMES_FRAME, FORMAT_RAM_FRAME);
	field_add(&tail->buffer, FIELD_FRAMES_OFFSET, sizeof(*copy->offsets), frames, copy->offsets);
	field_add(&tail->buffer, FIELD_FRAMES_SIZE, sizeof(*copy->sizes), frames, copy->sizes);
	section_end(tail);
}

static int write_tail(struct copy *copy, struct error *error)
{
	struct format_commit *commit = &copy->commit;
	struct section_writer tail = { 0 };
	int result;

	add_sections(copy, &tail);
	commit->tail = (copy->end + 7) / 8 * 8;
	commit->checksum = checksum(commit->checksum, tail.buffer.bytes, tail.buffer.size);
	byte_buffer_add(&tail.buffer, NULL, FORMAT_COMMIT_SIZE);
	commit->size = commit->tail + tail.buffer.size;
	if (tail.buffer.failed) {
		result = error_system(error, ENOMEM, "sections");
	} else if (tail.buffer.size > FORMAT_METADATA_LIMIT) {
		result = error_set(error, EFBIG, "its sections would be larger than %llu MiB", FORMAT_METADATA_LIMIT >> 20);
	} else {
		format_write_commit(commit, tail.buffer.bytes + tail.buffer.size - FORMAT_COMMIT_SIZE);
		result = put_tail(copy, &tail.buffer, error);
	}
	byte_buffer_free(&tail.buffer);
	return result;
}

int snapshot_rewrite(const struct snapshot *from, struct rewrite *rewrite, struct error *error)
{
	struct copy copy = {
		.from = from,
		.rewrite = rewrite,
		.zero = snapshot_zero_checksum(),
		.end = RAM_OFFSET,
		.offsets = calloc(frame_count(from), sizeof(*copy.offsets)),
		.sizes = calloc(frame_count(from), sizeof(*copy.sizes)),
	};
	int result = -1;

	if (!copy.offsets || !copy.sizes)
		error_system(error, ENOMEM, "memory");
	else if (write_head(&copy, error) == 0 && copy_ram(&copy, error) == 0)
		result = write_tail(&copy, error);
	free(copy.offsets);
	free(copy.sizes);
	rewrite->data = copy.data;
	rewrite->size = copy.size;
	return result;
}
