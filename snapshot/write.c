/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "image.h"
#include "lkvm/fault.h"
#include "lkvm/io.h"
#include "lkvm/snapshot.h"

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

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int put(struct snapshot_writer *writer, uint64_t offset, const void *bytes, size_t size, struct error *error)
{
	int result = pwrite_full(writer->fd, bytes, size, (off_t)offset);

	writer->figures.size += size;
	return result < 0 ? error_system(error, -result, "writing %zu bytes at %llu", size, (unsigned long long)offset) : 0;
}

/* Header, the given sections and the one that says where RAM is. */
static int write_head(struct snapshot_writer *writer, struct format_commit *commit, uint64_t *ram_offset,
		      struct error *error)
{
	struct format_header header = {
		.version = FORMAT_VERSION, .architecture = FORMAT_ARCHITECTURE, .created = now(),
	};
	struct section_writer head = { 0 };
	uint8_t *bytes;
	int result = -1;

	if (make_identity(header.identity, error) < 0)
		return -1;
	byte_buffer_add(&head.buffer, NULL, FORMAT_HEADER_SIZE);
	byte_buffer_add(&head.buffer, writer->sections->bytes, writer->sections->size);
	section_begin(&head, "ram", 1, SECTION_MANDATORY);
	field_add_number(&head.buffer, "base", writer->ram->base);
	field_add_number(&head.buffer, "size", writer->ram->size);
	field_add_number(&head.buffer, "offset", 0);
	/* The last field's value: it follows from how much stands before it. */
	*ram_offset = (head.buffer.size + FORMAT_RAM_ALIGNMENT - 1) & ~(uint64_t)(FORMAT_RAM_ALIGNMENT - 1);
	if (!head.buffer.failed)
		memcpy(head.buffer.bytes + head.buffer.size - sizeof(*ram_offset), ram_offset, sizeof(*ram_offset));
	section_end(&head);

	bytes = head.buffer.bytes;
	if (head.buffer.failed) {
		error_system(error, ENOMEM, "sections");
	} else {
		format_write_header(&header, bytes);
		memcpy(commit->identity, header.identity, sizeof(commit->identity));
		commit->head_end = head.buffer.size;
		commit->checksum = checksum(0, bytes, head.buffer.size);
		result = put(writer, 0, bytes, head.buffer.size, error);
	}
	byte_buffer_free(&head.buffer);
	return result;
}

static int write_tail(struct snapshot_writer *writer, struct format_commit *commit, const uint32_t *checksums,
		      uint32_t chunks, struct error *error)
{
	struct section_writer tail = { 0 };
	uint8_t record[FORMAT_COMMIT_SIZE];
	int result = -1;

	section_begin(&tail, "ram-checksums", 1, SECTION_MANDATORY);
	field_add(&tail.buffer, "crc32", sizeof(*checksums), chunks, checksums);
	section_end(&tail);
	if (tail.buffer.failed) {
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

int snapshot_write(struct snapshot_writer *writer, struct error *error)
{
	const struct ram *ram = writer->ram;
	uint32_t chunks = (uint32_t)((ram->size + FORMAT_RAM_CHUNK - 1) / FORMAT_RAM_CHUNK);
	uint32_t *checksums = calloc(chunks, sizeof(*checksums));
	struct format_commit commit = { 0 };
	uint64_t ram_offset;
	int result = -1;

	writer->figures = (struct snapshot_figures){ .ram = ram->size };
	if (!checksums)
		return error_system(error, ENOMEM, "checksums of RAM");
	if (fault(writer, "head", error) == 0 && write_head(writer, &commit, &ram_offset, error) == 0 &&
	    fault(writer, "ram", error) == 0 && image_write(writer, ram_offset, checksums, error) == 0) {
		commit.tail = ram_offset + ram->size;
		if (fault(writer, "checksums", error) == 0)
			result = write_tail(writer, &commit, checksums, chunks, error);
	}
	writer->figures.size += writer->figures.data;
	free(checksums);
	return result;
}
