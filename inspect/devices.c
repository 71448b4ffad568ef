/* SPDX-License-Identifier: MIT */
/* The view of devices: virtio negotiation and queues, passed-through devices, and the fields of other devices. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "inspect/inspect.h"
#include "state/names.h"
#include "util/bits.h"

#define MOST_ELEMENTS 16u /* of an array in text: one line */
#define MOST_FIELDS 1024u /* of a section; lkvm writes a few dozen */

static bool is_text(const struct field *field)
{
	if (field->size != 1 || !field->count || field->count > 255)
		return false;
	for (uint32_t i = 0; i < field->count; i++)
		if (field->values[i] < 0x20 || field->values[i] > 0x7e)
			return false;
	return true;
}

static void add_array(struct report *report, const struct field *field)
{
	uint32_t count = report->json || field->count <= MOST_ELEMENTS ? field->count : MOST_ELEMENTS;

	report_begin_list(report, field->name);
	for (uint32_t i = 0; i < count; i++)
		report_hex(report, NULL, field_element(field, i));
	if (count < field->count)
		report_string(report, NULL, "...");
	report_end_list(report);
}

int inspect_fields(const struct fields *fields, struct report *report, struct error *error)
{
	struct field field, first;
	unsigned count = 0;
	size_t offset = 0;
	int result;

	while ((result = field_next(fields, &offset, &field, error)) > 0) {
		char text[256];

		if (++count > MOST_FIELDS)
			return error_set(error, EBADMSG, "it has more than %u fields", MOST_FIELDS);
		if (field.count > INSPECT_MOST_VALUES)
			return error_set(error, EBADMSG, "%s has %u values, more than any device", field.name, field.count);
		/* The names become keys of one object, so they must differ. */
		if (field_find(fields, field.name, &first) && first.values != field.values)
			return error_set(error, EBADMSG, "%s occurs twice", field.name);
		if (field.count == 1) {
			report_hex(report, field.name, field_element(&field, 0));
		} else if (is_text(&field)) {
			snprintf(text, sizeof(text), "%.*s", (int)field.count, (const char *)field.values);
			report_string(report, field.name, text);
		} else {
			add_array(report, &field);
		}
	}
	return result;
}

/* "acknowledge driver features-ok driver-ok" */
static void add_status(struct report *report, uint64_t status)
{
	static const struct {
		unsigned bit;
		const char *name;
	} bits[] = {
		{ VIRTIO_STATUS_ACKNOWLEDGE, "acknowledge" },   { VIRTIO_STATUS_DRIVER, "driver" },
		{ VIRTIO_STATUS_FEATURES_OK, "features-ok" },   { VIRTIO_STATUS_DRIVER_OK, "driver-ok" },
		{ VIRTIO_STATUS_NEEDS_RESET, "needs-reset" }, { VIRTIO_STATUS_FAILED, "failed" },
	};
	char text[96] = "";

	for (size_t i = 0; i < COUNT(bits); i++)
		if (status & bits[i].bit)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", *text ? " " : "", bits[i].name);
	report_string(report, "status", *text ? text : "reset");
}

int inspect_virtio(const struct inspection *inspection, const struct inspect_device *device, struct report *report,
		   struct error *error)
{
	uint64_t offered = 0, accepted = 0, status = 0;
	char address[INSPECT_ADDRESS_LENGTH];

	if (inspection_number(inspection, device->name, "offered", &offered, error) < 0 ||
	    inspection_number(inspection, device->name, "accepted", &accepted, error) < 0 ||
	    inspection_number(inspection, device->name, "status", &status, error) < 0)
		return -1;
	report_begin(report, NULL);
	report_string(report, "device", device->name);
	inspect_pci_address(device->slot << 3, address);
	report_string(report, "pci", address);
	report_hex(report, "offered", offered);
	report_hex(report, "accepted", accepted);
	add_status(report, status);
	report_end(report);
	return 0;
}

/* Adds the index in an available or used ring. It has no value if the queue is disabled or the ring is not in RAM. */
static int add_index(const struct inspection *inspection, const char *name, uint64_t ring, bool enabled,
		     struct report *report, struct error *error)
{
	struct guest_window window = { .memory = &inspection->memory };
	uint64_t index;

	if (!enabled || ring % 2 || guest_window_read(&window, ring + 2, 2, &index, error) < 0) {
		if (enabled && ring % 2 == 0 && error->code != EFAULT)
			return -1;
		report_string(report, name, NULL);
		return 0;
	}
	report_number(report, name, index);
	return 0;
}

bool inspect_is_queue(const struct section *section)
{
	const char *part = strrchr(section->name, '/');

	return !strncmp(section->name, "virtio-", 7) && part && !strncmp(part, SECTION_SUFFIX_QUEUE, strlen(SECTION_SUFFIX_QUEUE));
}

int inspect_load_queue(const struct section *section, struct virtqueue_state *queue, struct error *error)
{
	uint64_t maximum = 0;

	/* Loading compares `maximum` with the device's. There is no device here, so take the section's own value. */
	if (field_get_number(&section->fields, "maximum", &maximum, error) < 0)
		return error_context(error, "section %s", section->name);
	*queue = (struct virtqueue_state){ .maximum = (uint16_t)maximum };
	if (state_load(&virtqueue_state_table, queue, &section->fields, section->version, error) < 0)
		return error_context(error, "section %s", section->name);
	return 0;
}

static int add_queue(const struct inspection *inspection, const struct section *section, struct report *report,
		     struct error *error)
{
	struct virtqueue_state queue = { 0 };

	(void)inspection;
	if (inspect_load_queue(section, &queue, error) < 0)
		return -1;
	report_begin(report, NULL);
	report_string(report, "queue", section->name);
	report_number(report, "size", queue.size);
	report_bool(report, "enabled", queue.enabled);
	if (queue.vector == 0xffff)
		report_string(report, "vector", NULL);
	else
		report_number(report, "vector", queue.vector);
	report_hex(report, "descriptors", queue.descriptors);
	report_hex(report, "driver", queue.driver);
	report_hex(report, "device", queue.device);
	report_end(report);
	return 0;
}

/* Adds the device's own positions in the rings, and the indices that the rings hold. */
static int add_progress(const struct inspection *inspection, const struct section *section, struct report *report,
			struct error *error)
{
	struct virtqueue_state queue = { 0 };

	if (inspect_load_queue(section, &queue, error) < 0)
		return -1;
	report_begin(report, NULL);
	report_string(report, "queue", section->name);
	report_number(report, "next_available", queue.next_available);
	if (add_index(inspection, "available", queue.driver, queue.enabled, report, error) < 0)
		return -1;
	report_number(report, "next_used", queue.next_used);
	if (add_index(inspection, "used", queue.device, queue.enabled, report, error) < 0)
		return -1;
	report_end(report);
	return 0;
}

static int add_queues(const struct inspection *inspection, const char *name,
		      int (*add)(const struct inspection *inspection, const struct section *section, struct report *report,
				 struct error *error),
		      struct report *report, struct error *error)
{
	const struct sections *sections = &inspection->snapshot->sections;

	report_begin_list(report, name);
	for (size_t i = 0; i < sections->count; i++)
		if (inspect_is_queue(&sections->items[i]) && add(inspection, &sections->items[i], report, error) < 0)
			return -1;
	report_end_list(report);
	return 0;
}

/* Other device sections: "virtio-blk0/device" and the like, and the devices on the board. */
static bool is_other(const struct section *section)
{
	static const char *const names[] = { SECTION_SERIAL, SECTION_RTC, SECTION_GPIO, SECTION_VMGENID, SECTION_WATCHDOG };
	const char *part = strrchr(section->name, '/');

	for (size_t i = 0; i < COUNT(names); i++)
		if (!strcmp(section->name, names[i]))
			return true;
	return !strncmp(section->name, "virtio-", 7) && part && !strcmp(part, "/device");
}

int inspect_devices(const struct inspection *inspection, struct report *report, struct error *error)
{
	const struct sections *sections = &inspection->snapshot->sections;

	report_begin_list(report, "virtio");
	for (unsigned i = 0; i < inspection->device_count; i++)
		if (inspection->devices[i].is_virtio && inspect_virtio(inspection, &inspection->devices[i], report, error) < 0)
			return -1;
	report_end_list(report);
	inspect_passed_through(inspection, report);
	if (add_queues(inspection, "queues", add_queue, report, error) < 0 ||
	    add_queues(inspection, "progress", add_progress, report, error) < 0)
		return -1;
	for (size_t i = 0; i < sections->count; i++) {
		if (!is_other(&sections->items[i]))
			continue;
		report_begin(report, sections->items[i].name);
		if (inspect_fields(&sections->items[i].fields, report, error) < 0)
			return error_context(error, "section %s", sections->items[i].name);
		report_end(report);
	}
	return 0;
}
