/* SPDX-License-Identifier: MIT */
/* Verifies that the ITS's tables are completely in RAM, also the parts that the guest does not use yet. */
#include <errno.h>
#include <stdlib.h>

#include "arm/its_table.h"
#include "state/names.h"
#include "verify_common.h"
#include "verify_its.h"

#define VALID (1ull << 63)

struct places {
	const struct inspection *inspection;
	const struct its_stops *stops;
	struct ranges *ranges;
	struct verdict *verdict;
};

static void add_table(const struct places *places, const char *name, uint64_t address, uint64_t size, bool reported)
{
	ranges_add(places->ranges, address, size, "%s", name);
	if (!reported && !guest_memory_has(&places->inspection->memory, address, size))
		verdict_fault(places->verdict, SECTION_ITS, "%s at 0x%llx (%llu bytes) is not completely in RAM: writes there "
			      "would be lost", name, (unsigned long long)address, (unsigned long long)size);
}

static int add_second_levels(const struct places *places, const struct its_baser *table, struct error *error)
{
	for (unsigned i = 0; i < ITS_SECOND_LEVELS; i++) {
		uint8_t bytes[8];
		uint64_t entry = 0;

		if (guest_memory_read(&places->inspection->memory, table->address + i * sizeof(bytes), bytes,
				      sizeof(bytes), error) < 0)
			return error->code == EFAULT ? 0 : -1;
		for (unsigned byte = 0; byte < sizeof(bytes); byte++)
			entry |= (uint64_t)bytes[byte] << 8 * byte;
		if (entry & VALID)
			add_table(places, "a second level of the device table", entry & 0xfffffffff0000, ITS_TABLE_PAGE,
				  places->stops->second[i]);
	}
	return 0;
}

/* Adds the LPI tables of vCPUs that use them. verify_lpis() reports two pending tables at one address. */
static int add_lpi_tables(const struct places *places, struct error *error)
{
	const struct inspection *inspection = places->inspection;
	uint64_t properties = its_properties_address(inspection->propbaser);
	uint32_t limit = its_lpi_limit(inspection->propbaser);
	uint64_t *tables;
	bool any = false;

	if (limit <= ITS_FIRST_LPI)
		return 0;
	tables = inspect_pending_tables(inspection);
	if (!tables)
		return error_system(error, ENOMEM, "the pending tables");
	for (unsigned i = 0; i < inspection->config.cpus; i++) {
		unsigned first = 0;

		while (tables[first] != tables[i])
			first++;
		if (tables[i] && first == i)
			ranges_add(places->ranges, tables[i], limit / 8, "the pending table of vCPU %u", i);
		any |= tables[i] != 0;
	}
	if (any && properties)
		ranges_add(places->ranges, properties, limit - ITS_FIRST_LPI, "the LPIs' configuration table");
	free(tables);
	return 0;
}

int verify_its_places(const struct inspection *inspection, const struct its_registers *registers,
		      const struct its_stops *stops, struct ranges *ranges, struct verdict *verdict, struct error *error)
{
	const struct places places = { .inspection = inspection, .stops = stops, .ranges = ranges, .verdict = verdict };
	struct its_baser devices = its_baser_decode(registers->tables[0], true);
	struct its_baser collections = its_baser_decode(registers->tables[1], false);

	if (registers->queue & VALID)
		add_table(&places, "the command queue", its_queue_address(registers->queue),
			  its_queue_size(registers->queue), false);
	if (collections.valid)
		add_table(&places, "the collection table", collections.address, collections.size, stops->collections);
	if (add_lpi_tables(&places, error) < 0)
		return -1;
	if (!devices.valid)
		return 0;
	add_table(&places, "the device table", devices.address, devices.size, stops->devices);
	return devices.indirect ? add_second_levels(&places, &devices, error) : 0;
}
