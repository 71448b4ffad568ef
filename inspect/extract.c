/* SPDX-License-Identifier: MIT */
/*
 * Copies the part of a paused machine's RAM that the views and checks need: the tables and rings that its state refers to.
 * Reads them as the views and checks do, and keeps each page that is read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arm/its_command.h"
#include "inspect/inspect.h"
#include "state/names.h"

#define PAGE 4096u

struct extract {
	const struct ram *ram;
	struct ram *copy;
};

static int read_and_keep(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	const struct extract *extract = owner;

	(void)error;
	for (uint64_t page = address & ~(uint64_t)(PAGE - 1); page < address + size; page += PAGE)
		memcpy(ram_at(extract->copy, page, PAGE), ram_at(extract->ram, page, PAGE), PAGE);
	memcpy(to, ram_at(extract->ram, address, size), size);
	return 0;
}

/* Keeps the pages of [address, address + size) that are RAM. */
static void keep(const struct guest_memory *memory, uint64_t address, uint64_t size)
{
	struct error none;
	uint8_t byte;

	for (uint64_t at = address; at - address < size; at = (at | (PAGE - 1)) + 1)
		guest_memory_read(memory, at, &byte, 1, &none);
}

static int keep_its(const struct inspection *inspection, struct error *error)
{
	const struct its_visitor nobody = { 0 };
	struct its_tables tables;
	struct its_queue queue;
	uint64_t cbaser;

	if (inspection_its_tables(inspection, &tables, error) < 0 ||
	    inspection_number(inspection, SECTION_ITS, "CBASER", &cbaser, error) < 0)
		return -1;
	queue = its_queue_decode(cbaser, 0, 0);
	if (queue.valid)
		keep(&inspection->memory, queue.address, queue.size);
	for (unsigned i = 0; i < tables.vcpu_count; i++)
		keep(&inspection->memory, its_pending_address(tables.pendbasers[i]), its_lpi_limit(tables.propbaser) / 8);
	return inspection_walk(inspection, &nobody, NULL, error);
}

static int keep_queue(const struct inspection *inspection, const struct section *section, struct error *error)
{
	struct virtqueue_state queue;

	if (inspect_load_queue(section, &queue, error) < 0)
		return -1;
	if (!queue.enabled)
		return 0;
	keep(&inspection->memory, queue.descriptors, 16u * queue.size);
	keep(&inspection->memory, queue.driver, 6u + 2u * queue.size);
	keep(&inspection->memory, queue.device, 6u + 8u * queue.size);
	return 0;
}

static int keep_all(const struct inspection *inspection, struct error *error)
{
	const struct sections *sections = &inspection->snapshot->sections;

	for (size_t i = 0; i < sections->count; i++)
		if (inspect_is_queue(&sections->items[i]) && keep_queue(inspection, &sections->items[i], error) < 0)
			return -1;
	return inspection_has_its(inspection) ? keep_its(inspection, error) : 0;
}

int inspect_extract(const struct byte_buffer *sections, const struct ram *ram, struct ram *copy, struct error *error)
{
	struct snapshot snapshot = { .fd = -1, .ram_base = ram->base, .ram_size = ram->size };
	struct extract extract = { .ram = ram, .copy = copy };
	struct inspection inspection;
	int result = -1;

	if (sections_parse(&snapshot.sections, sections->bytes, sections->size, error) == 0 &&
	    inspection_open(&inspection, &snapshot, error) == 0) {
		inspection.memory.read = read_and_keep;
		inspection.memory.owner = &extract;
		result = keep_all(&inspection, error);
		inspection_close(&inspection);
	}
	sections_free(&snapshot.sections);
	return result;
}
