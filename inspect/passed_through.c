/* SPDX-License-Identifier: MIT */
/* The list of passed-through devices: their host addresses, and whether the snapshot has their state. */
#include <stdio.h>
#include <string.h>

#include "inspect/inspect.h"
#include "state/names.h"

void inspect_part_name(const struct inspect_device *device, const char *part, char name[INSPECT_PART_LENGTH])
{
	snprintf(name, INSPECT_PART_LENGTH, "%s/%s", device->name, part);
}

static const struct inspect_device *find_device(const struct inspection *inspection, const char *name)
{
	for (unsigned i = 0; i < inspection->device_count; i++)
		if (!strcmp(inspection->devices[i].name, name))
			return &inspection->devices[i];
	return NULL;
}

/* Only the device's host driver can interpret its state, so only the size is shown. */
static void add_data(const struct inspection *inspection, const char *name, struct report *report)
{
	struct sections *sections = &inspection->snapshot->sections;
	char part[SECTION_NAME_LENGTH + 1];
	const struct section *section;
	struct field data;

	snprintf(part, sizeof(part), "%s/data", name);
	section = sections_find(sections, part);
	if (section && field_find(&section->fields, FIELD_DEVICE_DATA, &data)) {
		report_string(report, "state", "saved");
		report_bytes(report, "data", (uint64_t)data.size * data.count);
		return;
	}
	/* A partial snapshot has no data, although the device is attached: an inspection does not detach it. */
	report_string(report, "state", section || sections_find(sections, SECTION_PARTIAL) ? NULL : "detached");
	report_string(report, "data", NULL);
}

void inspect_passed_through(const struct inspection *inspection, struct report *report)
{
	report_begin_list(report, "passed_through");
	for (unsigned i = 0; i < inspection->config.vfio.count; i++) {
		char name[16], address[INSPECT_ADDRESS_LENGTH];
		const struct inspect_device *device;

		snprintf(name, sizeof(name), "vfio%u", i);
		device = find_device(inspection, name);
		report_begin(report, NULL);
		report_string(report, "device", name);
		if (device)
			inspect_pci_address(device->slot << 3, address);
		report_string(report, "pci", device ? address : NULL);
		report_string(report, "host", inspection->config.vfio.devices[i]);
		add_data(inspection, name, report);
		report_end(report);
	}
	report_end_list(report);
}
