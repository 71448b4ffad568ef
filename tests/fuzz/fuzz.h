/* SPDX-License-Identifier: MIT */
/*
 * Shared by the harnesses. An input begins with numbers that select how the rest is used. A harness repairs checksums, so that
 * the fuzzer reaches the code after their check.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/format.h"
#include "state/sections.h"
#include "util/checksum.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *count, char ***arguments); /* optional */

/* Asserts a condition that must hold for any input. */
static inline void fuzz_must(int condition)
{
	if (!condition)
		abort();
}

/* Offsets in a section's header: docs/snapshot-format.md, "Sections". */
enum { SECTION_BODY_CHECKSUM = 12, SECTION_SIZE = 16, SECTION_CHECKSUM = 60, SECTION_HEADER = 64 };

/* Repairs the checksums of sections, up to the first section with an invalid size. */
static inline void fuzz_repair_sections(uint8_t *bytes, size_t size)
{
	while (size >= SECTION_HEADER) {
		uint64_t body;
		uint32_t crc;

		memcpy(&body, bytes + SECTION_SIZE, sizeof(body));
		if (body > size - SECTION_HEADER)
			body = size - SECTION_HEADER;
		crc = checksum(0, bytes + SECTION_HEADER, body);
		memcpy(bytes + SECTION_BODY_CHECKSUM, &crc, sizeof(crc));
		crc = checksum(0, bytes, SECTION_CHECKSUM);
		memcpy(bytes + SECTION_CHECKSUM, &crc, sizeof(crc));
		bytes += SECTION_HEADER + body;
		size -= SECTION_HEADER + body;
	}
}

/* Reads every field of a section in every way. */
static inline void fuzz_read_fields(const struct fields *fields)
{
	struct field field, found;
	struct error error;
	size_t offset = 0;
	uint64_t number;
	char text[16];
	int result;

	while ((result = field_next(fields, &offset, &field, &error)) > 0) {
		volatile uint64_t all = 0;

		for (uint32_t i = 0; i < field.count; i++)
			all ^= field_element(&field, i);
		/* The first field with that name may be an earlier one. */
		fuzz_must(field_find(fields, field.name, &found));
		fuzz_must(found.values <= field.values);
		field_get_number(fields, field.name, &number, &error);
		field_get_text(fields, field.name, text, sizeof(text), &error);
	}
	fuzz_must(offset <= fields->size);
	fuzz_must((fields_check(fields, &error) == 0) == (result == 0));
}

/* Descriptor and path of fuzz_snapshot's base, and the value of each byte of its identity. */
#define FUZZ_BASE_FD 100
#define FUZZ_BASE "/proc/self/fd/100"
#define FUZZ_BASE_IDENTITY 0x42

/* Adds the section with RAM's place: after the head. */
static inline void fuzz_add_ram(struct section_writer *writer, uint64_t base, uint64_t size)
{
	section_begin(writer, "ram", 1, SECTION_MANDATORY);
	field_add_number(&writer->buffer, "base", base);
	field_add_number(&writer->buffer, "size", size);
	field_add_number(&writer->buffer, "offset", FORMAT_RAM_ALIGNMENT);
	section_end(writer);
}

/* Adds the checksums of two chunks. */
static inline void fuzz_add_checksums(struct section_writer *writer, const uint8_t ram[2 * FORMAT_RAM_CHUNK])
{
	uint32_t checksums[2];

	for (unsigned i = 0; i < 2; i++)
		checksums[i] = checksum(0, ram + i * FORMAT_RAM_CHUNK, FORMAT_RAM_CHUNK);
	section_begin(writer, "ram-checksums", 1, SECTION_MANDATORY);
	field_add(&writer->buffer, "crc32", sizeof(checksums[0]), 2, checksums);
	section_end(writer);
}

#endif
