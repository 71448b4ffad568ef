/* SPDX-License-Identifier: MIT */
/* Header and commit record of a snapshot file. */
#include "snapshot/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/names.h"
#include "state/sections.h"
#include "util/checksum.h"

/* The layout in the file, little-endian. fields.c asserts that the host is little-endian too. */
struct header_bytes {
	char magic[8];
	uint32_t version;
	uint32_t architecture;
	uint8_t identity[16];
	uint64_t created;
	uint8_t zero[20];
	uint32_t checksum; /* of the bytes before it */
};
_Static_assert(sizeof(struct header_bytes) == FORMAT_HEADER_SIZE, "size of the header");

struct commit_bytes {
	char magic[8];
	uint8_t identity[16];
	uint64_t head_end;
	uint64_t tail;
	uint64_t size;
	uint32_t sections_checksum;
	uint32_t zero[2];
	uint32_t checksum; /* of the bytes before it */
};
_Static_assert(sizeof(struct commit_bytes) == FORMAT_COMMIT_SIZE, "size of the commit record");

static const char header_magic[8] = { 'l', 'k', 'v', 'm', 'S', 'N', 'A', 'P' };
static const char commit_magic[8] = { 'l', 'k', 'v', 'm', 'D', 'O', 'N', 'E' };

void format_identity_text(const uint8_t identity[16], char text[FORMAT_IDENTITY_TEXT])
{
	for (unsigned i = 0; i < 16; i++)
		text += sprintf(text, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", identity[i]);
}

void format_write_header(const struct format_header *header, uint8_t bytes[FORMAT_HEADER_SIZE])
{
	struct header_bytes raw = {
		.version = header->version,
		.architecture = header->architecture,
		.created = header->created,
	};

	memcpy(raw.magic, header_magic, sizeof(raw.magic));
	memcpy(raw.identity, header->identity, sizeof(raw.identity));
	raw.checksum = checksum(0, &raw, offsetof(struct header_bytes, checksum));
	memcpy(bytes, &raw, sizeof(raw));
}

int format_make_head(const struct format_header *header, const struct format_ram *ram, struct format_commit *commit,
		     struct byte_buffer *head, struct error *error)
{
	struct section_writer writer = { 0 };

	byte_buffer_add(&writer.buffer, NULL, FORMAT_HEADER_SIZE);
	section_begin(&writer, SECTION_RAM, 1, SECTION_MANDATORY);
	field_add_number(&writer.buffer, FIELD_RAM_BASE, ram->base);
	field_add_number(&writer.buffer, FIELD_RAM_SIZE, ram->size);
	field_add_number(&writer.buffer, FIELD_RAM_OFFSET, ram->offset);
	section_end(&writer);
	*head = writer.buffer;
	if (head->failed)
		return error_system(error, ENOMEM, "sections");
	format_write_header(header, head->bytes);
	memcpy(commit->identity, header->identity, sizeof(commit->identity));
	commit->head_end = head->size;
	commit->checksum = checksum(0, head->bytes, head->size);
	return 0;
}

int format_read_header(const uint8_t bytes[FORMAT_HEADER_SIZE], struct format_header *header, struct error *error)
{
	struct header_bytes raw;

	memcpy(&raw, bytes, sizeof(raw));
	if (memcmp(raw.magic, header_magic, sizeof(raw.magic)) != 0)
		return error_set(error, EBADMSG, "this is not an lkvm snapshot");
	/* Check the version first: in another version everything but the magic number may be different. */
	if (raw.version != FORMAT_VERSION)
		return error_set(error, ENOTSUP, "it is of format version %u, this lkvm reads version %u", raw.version,
				 FORMAT_VERSION);
	if (raw.checksum != checksum(0, &raw, offsetof(struct header_bytes, checksum)))
		return error_set(error, EBADMSG, "the header is damaged: its checksum is wrong");
	if (raw.architecture != FORMAT_ARCHITECTURE)
		return error_set(error, ENOTSUP, "it is of architecture %u, not of arm64 (%u)", raw.architecture,
				 FORMAT_ARCHITECTURE);
	*header = (struct format_header){
		.version = raw.version,
		.architecture = raw.architecture,
		.created = raw.created,
	};
	memcpy(header->identity, raw.identity, sizeof(header->identity));
	return 0;
}

void format_write_commit(const struct format_commit *commit, uint8_t bytes[FORMAT_COMMIT_SIZE])
{
	struct commit_bytes raw = {
		.head_end = commit->head_end,
		.tail = commit->tail,
		.size = commit->size,
		.sections_checksum = commit->checksum,
	};

	memcpy(raw.magic, commit_magic, sizeof(raw.magic));
	memcpy(raw.identity, commit->identity, sizeof(raw.identity));
	raw.checksum = checksum(0, &raw, offsetof(struct commit_bytes, checksum));
	memcpy(bytes, &raw, sizeof(raw));
}

int format_read_commit(const uint8_t bytes[FORMAT_COMMIT_SIZE], uint64_t size, struct format_commit *commit,
		       struct error *error)
{
	struct commit_bytes raw;

	memcpy(&raw, bytes, sizeof(raw));
	if (memcmp(raw.magic, commit_magic, sizeof(raw.magic)) != 0)
		return error_set(error, EBADMSG, "it has no commit record at its end: cut short, or never finished");
	if (raw.checksum != checksum(0, &raw, offsetof(struct commit_bytes, checksum)))
		return error_set(error, EBADMSG, "the commit record is damaged: its checksum is wrong");
	if (raw.size != size)
		return error_set(error, EBADMSG, "it has %llu bytes, its commit record says %llu",
				 (unsigned long long)size, (unsigned long long)raw.size);
	if (size < FORMAT_HEADER_SIZE + FORMAT_COMMIT_SIZE || raw.head_end < FORMAT_HEADER_SIZE ||
	    raw.tail < raw.head_end || raw.tail > size - FORMAT_COMMIT_SIZE || raw.head_end % 8 || raw.tail % 8 ||
	    size % 8)
		return error_set(error, EBADMSG, "the commit record's offsets are impossible");
	if (raw.head_end > FORMAT_METADATA_LIMIT || size - raw.tail > FORMAT_METADATA_LIMIT)
		return error_set(error, EFBIG, "its sections are larger than %llu MiB", FORMAT_METADATA_LIMIT >> 20);
	*commit = (struct format_commit){
		.head_end = raw.head_end,
		.tail = raw.tail,
		.size = raw.size,
		.checksum = raw.sections_checksum,
	};
	memcpy(commit->identity, raw.identity, sizeof(commit->identity));
	return 0;
}

bool format_is_about_place(const char *section)
{
	return !strcmp(section, SECTION_RAM) || !strcmp(section, SECTION_RAM_BASE) || !strcmp(section, SECTION_RAM_FRAMES);
}
