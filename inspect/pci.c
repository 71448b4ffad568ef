/* SPDX-License-Identifier: MIT */
/* The view of PCI: functions and BARs as the guest programmed them, and the target of each vector. PCI 3.0, chapter 6. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "inspect/inspect.h"

/* "on", "off" or "held"; NULL: the function does not have the capability. */
static const char *state_of(const uint8_t *config, enum inspect_kind kind)
{
	struct inspect_messages messages;

	inspect_find_messages(config, kind, &messages);
	return !messages.capability ? NULL : !messages.enabled ? "off" : messages.held ? "held" : "on";
}

static void add_function(const struct inspect_device *device, const uint8_t *config, struct report *report)
{
	uint32_t command = inspect_pci_read(config, PCI_COMMAND, 2);
	char text[64];

	report_begin(report, NULL);
	inspect_pci_address(device->slot << 3, text);
	report_string(report, "pci", text);
	report_string(report, "device", device->name);
	snprintf(text, sizeof(text), "%04x:%04x", inspect_pci_read(config, PCI_VENDOR_ID, 2),
		 inspect_pci_read(config, PCI_DEVICE_ID, 2));
	report_string(report, "id", text);
	snprintf(text, sizeof(text), "%06x", inspect_pci_read(config, PCI_CLASS_REVISION, 4) >> 8);
	report_string(report, "class", text);
	report_bool(report, "memory", command & PCI_COMMAND_MEMORY);
	report_bool(report, "bus_master", command & PCI_COMMAND_MASTER);
	report_bool(report, "intx_disabled", command & PCI_COMMAND_INTX_DISABLE);
	report_string(report, "msix", state_of(config, INSPECT_MSIX));
	report_string(report, "msi", state_of(config, INSPECT_MSI));
	report_end(report);
}

static void add_bars(const struct inspect_device *device, const uint8_t *config, struct report *report)
{
	for (unsigned bar = 0; bar < PCI_BARS; bar++) {
		uint64_t value = inspect_pci_read(config, PCI_BASE_ADDRESS_0 + 4 * bar, 4);
		bool wide = (value & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64 && bar + 1 < PCI_BARS;

		if (!value)
			continue;
		if (wide)
			value |= (uint64_t)inspect_pci_read(config, PCI_BASE_ADDRESS_0 + 4 * (bar + 1), 4) << 32;
		report_begin(report, NULL);
		report_string(report, "device", device->name);
		report_number(report, "bar", bar);
		report_hex(report, "address", value & ~UINT64_C(15));
		report_number(report, "bits", wide ? 64 : 32);
		report_bool(report, "prefetchable", value & PCI_BASE_ADDRESS_MEM_PREFETCH);
		report_end(report);
		bar += wide;
	}
}

static void add_vector(const struct inspect_device *device, const struct inspect_vectors *vectors, unsigned number,
		       const struct inspect_events *events, struct report *report)
{
	const struct inspect_messages *messages = &vectors->messages;
	const struct its_event *event;
	struct inspect_vector vector;

	inspect_vector_at(vectors, number, &vector);
	if (vector.masked && !vector.address && !vector.pending)
		return;
	event = inspect_events_find(events, device->slot << 3, vector.data);
	report_begin(report, NULL);
	report_string(report, "device", device->name);
	report_number(report, "vector", number);
	report_hex(report, "address", vector.address);
	report_hex(report, "data", vector.data);
	report_bool(report, "masked", vector.masked);
	if (vectors->knows_pending)
		report_bool(report, "pending", vector.pending);
	else
		report_string(report, "pending", NULL);
	if (event)
		report_number(report, "lpi", event->lpi);
	else
		report_string(report, "lpi", NULL);
	inspect_vcpu(report, event ? event->vcpu : ITS_NO_VCPU);
	report_string(report, "kind", inspect_kind_name(messages->kind));
	/* The snapshot does not record whether hardware forwarded the vector (vLPI). */
	report_string(report, "path", !messages->enabled ? NULL : messages->masked || vector.masked ? "masked" : "irqfd");
	report_end(report);
}

/* Adds the vectors that the guest programmed: those that are unmasked, pending, or have an address. */
static int add_vectors(const struct inspection *inspection, const struct inspect_device *device, const uint8_t *config,
		       const struct inspect_events *events, struct report *report, struct error *error)
{
	for (enum inspect_kind kind = 0; kind < INSPECT_KINDS; kind++) {
		struct inspect_vectors vectors;

		if (!inspect_vectors_open(&vectors, inspection, device, config, kind))
			return error_set(error, EBADMSG, "section %s: the MSI-X table is missing or of another size",
					 vectors.section);
		for (unsigned i = 0; i < vectors.count; i++)
			add_vector(device, &vectors, i, events, report);
	}
	return 0;
}

static int add_lists(const struct inspection *inspection, const struct inspect_events *events, struct report *report,
		     struct error *error)
{
	const uint8_t *configs[PCI_SLOTS];

	report_begin_list(report, "functions");
	for (unsigned i = 0; i < inspection->device_count; i++) {
		configs[i] = inspect_pci_config(inspection, &inspection->devices[i], error);
		if (!configs[i])
			return -1;
		add_function(&inspection->devices[i], configs[i], report);
	}
	report_end_list(report);
	report_begin_list(report, "bars");
	for (unsigned i = 0; i < inspection->device_count; i++)
		add_bars(&inspection->devices[i], configs[i], report);
	report_end_list(report);
	report_begin_list(report, "vectors");
	for (unsigned i = 0; i < inspection->device_count; i++)
		if (add_vectors(inspection, &inspection->devices[i], configs[i], events, report, error) < 0)
			return -1;
	report_end_list(report);
	return 0;
}

int inspect_pci(const struct inspection *inspection, struct report *report, struct error *error)
{
	struct inspect_events events;
	int result;

	if (inspect_events_open(&events, inspection, error) < 0)
		return -1;
	result = add_lists(inspection, &events, report, error);
	inspect_events_close(&events);
	return result;
}
