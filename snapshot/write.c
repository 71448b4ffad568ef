/* SPDX-License-Identifier: MIT */
/* Writes a snapshot file. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "image.h"
#include "snapshot/snapshot.h"
#include "state/names.h"
#include "util/checksum.h"
#include "util/clock.h"
#include "util/fault.h"
#include "util/io.h"

static int fault(const struct snapshot_writer *writer, const char *step, struct error *error)
{
	return fault_at(writer->fault, "save", step, error);
}

/* A version 4 UUID (RFC 9562, section 5.4). */
static int make_identity(uint8_t identity[16], struct error *error)
{
	if (getrandom(identity, 16, 0) != 16)
		return error_system(error, errno, "random numbers");
	identity[6] = (uint8_t)((identity[6] & 0x0f) | 0x40);
	identity[8] = (uint8_t)((identity[8] & 0x3f) | 0x80);
	return 0;
}

static int put(struct snapshot_writer *writer, uint64_t offset, const void *bytes, size_t size, struct error *error)
{
	int result = pwrite_full(writer->fd, bytes, size, (off_t)offset);

	writer->written += size;
	return result < 0 ? error_system(error, -result, "writing %zu bytes at %llu", size, (unsigned long long)offset) : 0;
}

static int write_head(struct snapshot_writer *writer, uint64_t *ram_offset, struct error *error)
{
	struct format_header header = {
		.version = FORMAT_VERSION, .architecture = FORMAT_ARCHITECTURE, .created = realtime_ns(),
	};
	const struct format_ram ram = {
		.base = writer->ram->base, .size = writer->ram->size, .offset = FORMAT_RAM_ALIGNMENT, /* after the head */
	};
	struct byte_buffer head = { 0 };
	int result;

	if (make_identity(header.identity, error) < 0)
		return -1;
	*ram_offset = ram.offset;
	writer->commit.tail = ram.offset + ram.size;
	result = format_make_head(&header, &ram, &writer->commit, &head, error);
	if (result == 0)
		result = put(writer, 0, head.bytes, head.size, error);
	byte_buffer_free(&head);
	return result;
}

int snapshot_begin(struct snapshot_writer *writer, struct error *error)
{
	uint64_t ram_offset;

	if (fault(writer, "head", error) < 0 || write_head(writer, &ram_offset, error) < 0)
		return -1;
	writer->image = malloc(sizeof(*writer->image));
	if (!writer->image)
		return error_system(error, ENOMEM, "memory");
	if (image_open(writer->image, writer->ram, writer->base, writer->fd, ram_offset, error) == 0)
		return 0;
	free(writer->image);
	writer->image = NULL;
	return -1;
}

int snapshot_copy(struct snapshot_writer *writer, const uint16_t *pages, struct error *error)
{
	return fault(writer, "copy", error) < 0 ? -1 : image_update(writer->image, pages, false, writer->progress, error);
}

static void add_base(const struct snapshot_writer *writer, struct section_writer *to)
{
	const struct snapshot *base = writer->base;

	section_begin(to, SECTION_RAM_BASE, 1, SECTION_MANDATORY);
	field_add(&to->buffer, FIELD_BASE_IDENTITY, 1, sizeof(base->header.identity), base->header.identity);
	field_add_text(&to->buffer, FIELD_BASE_PATH, writer->base_path);
	field_add(&to->buffer, FIELD_BASE_PAGES, 1, (uint32_t)(writer->ram->size / FORMAT_RAM_PAGE / 8), writer->image->written);
	section_end(to);
}

static int write_tail(struct snapshot_writer *writer, const struct byte_buffer *sections, struct error *error)
{
	struct format_commit *commit = &writer->commit;
	struct section_writer tail = { 0 };
	uint8_t record[FORMAT_COMMIT_SIZE];
	int result = -1;

	byte_buffer_add(&tail.buffer, sections->bytes, sections->size);
	section_begin(&tail, SECTION_RAM_CHECKSUMS, 1, SECTION_MANDATORY);
	field_add(&tail.buffer, FIELD_CHECKSUMS_CRC32, sizeof(uint32_t), (uint32_t)writer->image->chunks, writer->image->checksums);
	section_end(&tail);
	if (writer->base)
		add_base(writer, &tail);
	if (tail.buffer.failed || sections->failed) {
		error_system(error, ENOMEM, "sections");
	} else {
		commit->size = commit->tail + tail.buffer.size + FORMAT_COMMIT_SIZE;
		commit->checksum = checksum(commit->checksum, tail.buffer.bytes, tail.buffer.size);
		result = put(writer, commit->tail, tail.buffer.bytes, tail.buffer.size, error);
	}
	byte_buffer_free(&tail.buffer);
	if (result < 0 || fault(writer, "commit", error) < 0)
		return -1;
	format_write_commit(commit, record);
	return put(writer, commit->size - FORMAT_COMMIT_SIZE, record, sizeof(record), error);
}

/* For tests: checks that no page changed outside of `pages`. */
static int recheck(struct snapshot_writer *writer, const uint16_t *pages, struct error *error)
{
	uint64_t before = writer->image->changes;
	struct error asked;

	if (!pages || fault(writer, "recheck", &asked) == 0)
		return 0;
	if (image_update(writer->image, NULL, true, writer->progress, error) < 0)
		return -1;
	if (writer->image->changes == before)
		return 0;
	return error_set(error, EIO, "RAM at 0x%" PRIx64 " changed, but the dirty log does not report it",
			 writer->ram->base + writer->image->changed);
}

int snapshot_write_final(struct snapshot_writer *writer, const uint16_t *pages, struct error *error)
{
	if (fault(writer, "ram", error) < 0 || image_update(writer->image, pages, true, writer->progress, error) < 0)
		return -1;
	return recheck(writer, pages, error);
}

int snapshot_finish(struct snapshot_writer *writer, const struct byte_buffer *sections, struct error *error)
{
	return fault(writer, "sections", error) < 0 ? -1 : write_tail(writer, sections, error);
}

struct snapshot_figures snapshot_written(const struct snapshot_writer *writer)
{
	struct snapshot_figures figures = { .ram = writer->ram->size };

	figures.data = writer->image ? image_bytes(writer->image) : 0;
	figures.size = writer->written + figures.data;
	return figures;
}

void snapshot_end(struct snapshot_writer *writer)
{
	if (writer->image)
		image_close(writer->image);
	free(writer->image);
	writer->image = NULL;
	if (writer->kept)
		munmap(writer->kept, writer->ram->size);
	writer->kept = NULL;
}

int snapshot_write(struct snapshot_writer *writer, const struct byte_buffer *sections, struct error *error)
{
	if (snapshot_begin(writer, error) < 0 || snapshot_write_final(writer, NULL, error) < 0)
		return -1;
	return snapshot_finish(writer, sections, error);
}
