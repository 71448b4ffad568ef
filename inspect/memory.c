/* SPDX-License-Identifier: MIT */
/* The view of RAM: ranges with data, zero ranges and interrupt tables. RAM itself is not read, only the ITS's tables are. */
#include <stdio.h>
#include <string.h>

#include "arm/its_command.h"
#include "inspect/inspect.h"
#include "state/names.h"

#define MOST_RANGES 32u /* ranges in text */

/* Compares the checksum with that of a zero chunk, so the file's holes need not be looked up. */
static bool is_zero(const struct snapshot *snapshot, uint32_t zero, uint64_t chunk)
{
	return field_element(&snapshot->checksums, (uint32_t)chunk) == zero;
}

static void add_range(struct report *report, uint64_t address, uint64_t size)
{
	report_begin(report, NULL);
	report_hex(report, "address", address);
	report_bytes(report, "size", size);
	report_end(report);
}

/* Adds the runs of chunks that are not zero. Returns their size in bytes. */
static uint64_t add_ranges(const struct inspection *inspection, struct report *report)
{
	const struct snapshot *snapshot = inspection->snapshot;
	const uint32_t zero = snapshot_zero_checksum();
	uint64_t chunks = snapshot->ram_size / FORMAT_RAM_CHUNK, data = 0;
	struct inspect_rows rows = { .list = "touched", .limit = report->json ? INSPECT_MOST_ROWS : MOST_RANGES };

	report_begin_list(report, rows.list);
	for (uint64_t start = 0; start < chunks;) {
		uint64_t end = start;

		while (end < chunks && !is_zero(snapshot, zero, end))
			end++;
		if (end > start && inspect_row(&rows))
			add_range(report, snapshot->ram_base + start * FORMAT_RAM_CHUNK, (end - start) * FORMAT_RAM_CHUNK);
		data += end - start;
		start = end + 1;
	}
	report_end_list(report);
	inspect_rows_end(&rows, report);
	return data * FORMAT_RAM_CHUNK;
}

static void add_table(struct report *report, const char *name, uint64_t address, uint64_t size)
{
	report_begin(report, NULL);
	report_string(report, "table", name);
	report_hex(report, "address", address);
	report_bytes(report, "size", size);
	report_end(report);
}

/* The devices' event tables (ITTs). The guest chooses their number, so the rows have a limit. */
struct device_tables {
	struct report *report;
	struct inspect_rows rows;
};

static void inspect_memory_device(void *owner, const struct its_device *device)
{
	struct device_tables *tables = owner;
	char name[32];

	if (!inspect_row(&tables->rows))
		return;
	snprintf(name, sizeof(name), "ITT of device 0x%x", device->id);
	add_table(tables->report, name, device->itt, device->itt_size);
}

static int add_its_tables(const struct inspection *inspection, struct device_tables *devices, struct error *error)
{
	const struct its_visitor visitor = { .device = inspect_memory_device, .owner = devices };
	struct report *report = devices->report;
	struct its_tables tables;
	struct its_baser table;
	uint64_t cbaser;

	if (inspection_its_tables(inspection, &tables, error) < 0 ||
	    inspection_number(inspection, SECTION_ITS, "CBASER", &cbaser, error) < 0)
		return -1;
	table = its_baser_decode(tables.device_baser, true);
	if (table.valid)
		add_table(report, table.indirect ? "ITS devices, first level" : "ITS devices", table.address, table.size);
	table = its_baser_decode(tables.collection_baser, false);
	if (table.valid)
		add_table(report, "ITS collections", table.address, table.size);
	if (its_queue_decode(cbaser, 0, 0).valid)
		add_table(report, "ITS commands", its_queue_decode(cbaser, 0, 0).address, its_queue_decode(cbaser, 0, 0).size);
	return inspection_walk(inspection, &visitor, NULL, error);
}

static int add_lpi_tables(const struct inspection *inspection, struct report *report, struct error *error)
{
	uint32_t lpis = its_lpi_limit(inspection->propbaser);

	for (unsigned i = 0; i < inspection->config.cpus; i++) {
		char section[SECTION_NAME_LENGTH + 1], name[48];
		uint64_t control;

		snprintf(section, sizeof(section), SECTION_GIC_REDISTRIBUTOR "%u", i);
		if (inspection_number(inspection, section, "CTLR", &control, error) < 0)
			return -1;
		if (!(control & 1)) /* EnableLPIs */
			continue;
		if (i == 0 && lpis > ITS_FIRST_LPI)
			add_table(report, "LPI configuration", its_properties_address(inspection->propbaser),
				  lpis - ITS_FIRST_LPI);
		snprintf(name, sizeof(name), "LPIs pending on vCPU %u", i);
		add_table(report, name, its_pending_address(inspection->pendbasers[i]), lpis / 8);
	}
	return 0;
}

int inspect_memory(const struct inspection *inspection, struct report *report, struct error *error)
{
	struct device_tables devices = { .report = report, .rows = { .list = "tables", .limit = INSPECT_MOST_ROWS } };
	const struct snapshot *snapshot = inspection->snapshot;
	uint64_t data;

	report_hex(report, "base", snapshot->ram_base);
	report_bytes(report, "size", snapshot->ram_size);
	report_hex(report, "file_offset", snapshot->ram_offset);
	report_bytes(report, "file_size", snapshot->file_size);
	report_bytes(report, "disk_usage", snapshot->disk_size);
	report_begin_list(report, "tables");
	if (inspection_has_its(inspection) &&
	    (add_its_tables(inspection, &devices, error) < 0 || add_lpi_tables(inspection, report, error) < 0))
		return -1;
	report_end_list(report);
	inspect_rows_end(&devices.rows, report);
	data = add_ranges(inspection, report);
	report_bytes(report, "data", data);
	report_bytes(report, "zero", snapshot->ram_size - data);
	return 0;
}
