/* SPDX-License-Identifier: MIT */
/* Sections of state: writing them to a buffer, and parsing them. */
#include "state/sections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/checksum.h"

/* The layout in the file, little-endian. fields.c asserts that the host is little-endian too. */
struct section_bytes {
	char magic[4];
	uint32_t version;
	uint32_t flags;
	uint32_t body_checksum;
	uint64_t size; /* of the body, a multiple of 8 */
	char name[SECTION_NAME_LENGTH + 1]; /* padded with zeroes */
	uint32_t zero;
	uint32_t checksum; /* of the bytes before it */
};
_Static_assert(sizeof(struct section_bytes) == 64, "size of a section's header");

static const char section_magic[4] = { 'S', 'E', 'C', 'T' };

/* Writing sections. */

void section_begin(struct section_writer *writer, const char *name, uint32_t version, uint32_t flags)
{
	struct section_bytes raw = { .version = version, .flags = flags };

	memcpy(raw.magic, section_magic, sizeof(raw.magic));
	memcpy(raw.name, name, strnlen(name, SECTION_NAME_LENGTH));
	writer->start = writer->buffer.size;
	byte_buffer_add(&writer->buffer, &raw, sizeof(raw));
}

void section_end(struct section_writer *writer)
{
	struct byte_buffer *buffer = &writer->buffer;
	struct section_bytes raw;
	uint8_t *at;

	if (buffer->failed)
		return;
	at = buffer->bytes + writer->start;
	memcpy(&raw, at, sizeof(raw));
	raw.size = buffer->size - writer->start - sizeof(raw);
	raw.body_checksum = checksum(0, at + sizeof(raw), raw.size);
	raw.checksum = checksum(0, &raw, offsetof(struct section_bytes, checksum));
	memcpy(at, &raw, sizeof(raw));
}

/* Parsing sections. */

static bool is_name(const char name[SECTION_NAME_LENGTH + 1])
{
	size_t length = strnlen(name, SECTION_NAME_LENGTH + 1);

	for (size_t i = 0; i < length; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '"' || name[i] == '\\')
			return false;
	for (size_t i = length; i <= SECTION_NAME_LENGTH; i++)
		if (name[i])
			return false;
	return length > 0 && length <= SECTION_NAME_LENGTH;
}

static const struct section *find(const struct sections *sections, const char *name)
{
	for (size_t i = 0; i < sections->count; i++)
		if (!strcmp(sections->items[i].name, name))
			return &sections->items[i];
	return NULL;
}

/*
 * Parses one section from [bytes, bytes + size), which is not empty. Sets `*taken` to the section's whole size. After a
 * failure `*taken` is unchanged if the size is unknown.
 */
static int parse_one(struct sections *sections, const uint8_t *bytes, size_t size, size_t *taken, struct error *error)
{
	struct section section;
	struct section_bytes raw;
	void *larger;

	if (size < sizeof(raw))
		return error_set(error, EBADMSG, "the last section is cut short");
	memcpy(&raw, bytes, sizeof(raw));
	if (memcmp(raw.magic, section_magic, sizeof(raw.magic)) != 0 ||
	    raw.checksum != checksum(0, &raw, offsetof(struct section_bytes, checksum)) || !is_name(raw.name))
		return error_set(error, EBADMSG, "the header of section %zu is damaged", sections->count);
	if (raw.size > size - sizeof(raw) || raw.size % 8)
		return error_set(error, EBADMSG, "section %s is cut short", raw.name);
	*taken = sizeof(raw) + raw.size;
	if (raw.body_checksum != checksum(0, bytes + sizeof(raw), raw.size))
		return error_set(error, EBADMSG, "section %s is damaged: its checksum is wrong", raw.name);
	if (sections->count == SECTIONS_MAX)
		return error_set(error, EBADMSG, "it has more than %u sections", SECTIONS_MAX);
	if (find(sections, raw.name))
		return error_set(error, EBADMSG, "section %s occurs twice", raw.name);

	section = (struct section){
		.version = raw.version,
		.flags = raw.flags,
		.fields = { bytes + sizeof(raw), raw.size },
	};
	memcpy(section.name, raw.name, sizeof(section.name));
	if (fields_check(&section.fields, error) < 0)
		return error_context(error, "section %s", section.name);
	larger = reallocarray(sections->items, sections->count + 1, sizeof(section));
	if (!larger)
		return error_system(error, ENOMEM, "sections");
	sections->items = larger;
	sections->items[sections->count++] = section;
	return 0;
}

int sections_parse(struct sections *sections, const uint8_t *bytes, size_t size, struct error *error)
{
	for (size_t taken; size; bytes += taken, size -= taken) {
		taken = 0;
		if (parse_one(sections, bytes, size, &taken, error) == 0)
			continue;
		if (error_collect(sections->faults, error) < 0)
			return -1;
		sections->damaged++;
		if (!taken)
			break; /* the beginning of the next section is unknown */
	}
	return 0;
}

void sections_free(struct sections *sections)
{
	free(sections->items);
	*sections = (struct sections){ 0 };
}

const struct section *sections_find(struct sections *sections, const char *name)
{
	for (size_t i = 0; i < sections->count; i++) {
		struct section *section = &sections->items[i];

		if (!strcmp(section->name, name)) {
			section->used = true;
			return section;
		}
	}
	return NULL;
}

const struct section *sections_need(struct sections *sections, const char *name, uint32_t version,
				    struct error *error)
{
	const struct section *section = sections_find(sections, name);

	if (!section) {
		error_set(error, ENOENT, "it has no section %s", name);
		return NULL;
	}
	if (section->version > version) {
		error_set(error, ENOTSUP, "section %s is of version %u, this lkvm reads up to %u", name, section->version,
			  version);
		return NULL;
	}
	return section;
}

int sections_check_used(const struct sections *sections, struct error *error)
{
	for (size_t i = 0; i < sections->count; i++)
		if ((sections->items[i].flags & SECTION_MANDATORY) && !sections->items[i].used)
			return error_set(error, ENOTSUP, "section %s is unknown to this lkvm, and must not be skipped",
					 sections->items[i].name);
	return 0;
}
