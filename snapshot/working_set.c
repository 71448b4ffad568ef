/* SPDX-License-Identifier: MIT */
/*
 * Records, saves and loads the working set. The pages that a machine accessed are those in the page tables of this process,
 * as KVM gets a guest's pages from them. When a file's page is read, Linux also maps its neighbours that are in the page
 * cache. It does that in windows of 64 KiB, aligned as our chunks. So the working set has whole chunks, not pages.
 */
#include "snapshot/working_set.h"

#include <errno.h>

#include "memory/page_map.h"
#include "state/names.h"
#include "util/bits.h"

#define STEP (4u << 20) /* bytes of RAM per read of the page map */

size_t working_set_bytes(uint64_t ram_size)
{
	return (size_t)((ram_size / FORMAT_RAM_CHUNK + 7) / 8);
}

/* Sets the bits for `size` bytes of RAM at `at`. `entries` are their entries in the page map. */
static int note(uint8_t *chunks, const uint64_t *entries, uint64_t page, uint64_t at, uint64_t size, struct error *error)
{
	for (uint64_t i = 0; i < size / page; i++) {
		uint64_t chunk = (at + i * page) / FORMAT_RAM_CHUNK;

		if (entries[i] == UINT64_MAX)
			return error_set(error, ENOTSUP, "this host does not report which memory is resident");
		if (entries[i] & (PAGE_MAP_PRESENT | PAGE_MAP_SWAPPED))
			chunks[chunk / 8] |= (uint8_t)(1u << chunk % 8);
	}
	return 0;
}

int working_set_record(const struct ram *ram, uint8_t *chunks, struct error *error)
{
	uint64_t entries[STEP / FORMAT_RAM_PAGE];
	struct page_map map;
	int result = 0;

	page_map_open(&map);
	for (uint64_t at = 0; result == 0 && at < ram->size; at += STEP) {
		uint64_t size = MIN(ram->size - at, STEP);

		page_map_read(&map, entries, ram->host + at, size);
		result = note(chunks, entries, map.page_size, at, size, error);
	}
	page_map_close(&map);
	return result;
}

void working_set_save(const uint8_t *chunks, uint64_t ram_size, struct section_writer *writer)
{
	section_begin(writer, SECTION_WORKING_SET, 1, 0);
	field_add(&writer->buffer, "chunks", 1, (uint32_t)working_set_bytes(ram_size), chunks);
	section_end(writer);
}

static bool has(const struct field *chunks, uint64_t chunk)
{
	return chunk / 8 < chunks->count && chunks->values[chunk / 8] >> chunk % 8 & 1;
}

int working_set_load(struct sections *sections, uint64_t ram_size, struct field *chunks, struct error *error)
{
	uint64_t count = ram_size / FORMAT_RAM_CHUNK;
	const struct section *section;
	struct field field;
	bool fits;

	if (!sections_find(sections, SECTION_WORKING_SET))
		return 0;
	section = sections_need(sections, SECTION_WORKING_SET, 1, error);
	if (!section)
		return -1;
	fits = field_find(&section->fields, "chunks", &field) && field.size == 1 && field.count == working_set_bytes(ram_size);
	for (uint64_t chunk = count; fits && chunk % 8; chunk++)
		fits = !has(&field, chunk);
	if (!fits)
		return error_set(error, EBADMSG, "section %s does not fit %llu bytes of RAM", SECTION_WORKING_SET,
				 (unsigned long long)ram_size);
	*chunks = field;
	return 0;
}

bool working_set_has(const struct snapshot *snapshot, uint64_t at)
{
	return has(&snapshot->working_set, at / FORMAT_RAM_CHUNK);
}

uint64_t working_set_count(const struct snapshot *snapshot)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < snapshot->working_set.count; i++)
		count += (uint64_t)__builtin_popcount(snapshot->working_set.values[i]);
	return count;
}
