/* SPDX-License-Identifier: MIT */
/* PCI functions as the guest programmed them, and where each MSI-X vector leads. PCI 3.0, chapter 6. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "lkvm/inspect.h"

#define MOST_CAPABILITIES 48u /* more do not fit 256 bytes: a chain that is longer is a ring */

/* Little-endian bytes of config space, all of which are there: inspect_pci_config() saw to it. */
uint32_t inspect_pci_read(const uint8_t *config, unsigned offset, unsigned size)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint32_t)config[offset + i] << (8 * i);
	return value;
}

const uint8_t *inspect_pci_config(const struct inspection *inspection, const struct inspect_device *device,
				  struct error *error)
{
	struct field field;

	if (inspection_array(inspection, device->pci->name, "config", PCI_CONFIG_SIZE, &field, error) < 0)
		return NULL;
	if (field.size == 1)
		return field.values;
	error_set(error, EBADMSG, "section %s: config is not of bytes", device->pci->name);
	return NULL;
}

/* Offset of the MSI-X capability, or 0. No list of a sound device is longer than the room for capabilities. */
static unsigned find_msix_capability(const uint8_t *config)
{
	unsigned offset = config[PCI_CAPABILITY_LIST] & ~3u;

	if (!(inspect_pci_read(config, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	for (unsigned i = 0; i < MOST_CAPABILITIES && offset >= PCI_STD_HEADER_SIZEOF; i++) {
		if (config[offset + PCI_CAP_LIST_ID] == PCI_CAP_ID_MSIX)
			return offset;
		offset = config[offset + PCI_CAP_LIST_NEXT] & ~3u;
	}
	return 0;
}

void inspect_find_msix(const uint8_t *config, struct inspect_msix *msix)
{
	unsigned offset = find_msix_capability(config);
	uint32_t control = offset ? inspect_pci_read(config, offset + PCI_MSIX_FLAGS, 2) : 0;

	*msix = (struct inspect_msix){
		.present = offset,
		.enabled = control & PCI_MSIX_FLAGS_ENABLE,
		.held = control & PCI_MSIX_FLAGS_MASKALL || !(inspect_pci_read(config, PCI_COMMAND, 2) & PCI_COMMAND_MASTER),
		.vectors = offset ? (control & PCI_MSIX_FLAGS_QSIZE) + 1 : 0,
	};
}

static void add_function(const struct inspect_device *device, const uint8_t *config, struct report *report)
{
	uint32_t command = inspect_pci_read(config, PCI_COMMAND, 2);
	struct inspect_msix msix;
	char text[64];

	inspect_find_msix(config, &msix);
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
	report_string(report, "msix", !msix.present ? NULL : !msix.enabled ? "off" : msix.held ? "held" : "on");
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

/* The vectors that the guest programmed: those that are unmasked or hold an address. */
static int add_vectors(const struct inspection *inspection, const struct inspect_device *device, const uint8_t *config,
		       const struct inspect_events *events, struct report *report, struct error *error)
{
	struct field address, data, control;
	struct inspect_msix msix;
	uint64_t pending;

	if (inspection_array(inspection, device->pci->name, "msix_address", PCI_MAX_VECTORS, &address, error) < 0 ||
	    inspection_array(inspection, device->pci->name, "msix_data", PCI_MAX_VECTORS, &data, error) < 0 ||
	    inspection_array(inspection, device->pci->name, "msix_control", PCI_MAX_VECTORS, &control, error) < 0 ||
	    inspection_number(inspection, device->pci->name, "msix_pending", &pending, error) < 0)
		return -1;
	inspect_find_msix(config, &msix);
	for (unsigned i = 0; i < msix.vectors && i < PCI_MAX_VECTORS; i++) {
		bool masked = field_element(&control, i) & 1;
		uint32_t id = (uint32_t)field_element(&data, i);
		const struct its_event *event = inspect_events_find(events, device->slot << 3, id);

		if (masked && !field_element(&address, i) && !(pending >> i & 1))
			continue;
		report_begin(report, NULL);
		report_string(report, "device", device->name);
		report_number(report, "vector", i);
		report_hex(report, "address", field_element(&address, i));
		report_hex(report, "data", id);
		report_bool(report, "masked", masked);
		report_bool(report, "pending", pending >> i & 1);
		if (event)
			report_number(report, "lpi", event->lpi);
		else
			report_string(report, "lpi", NULL);
		inspect_vcpu(report, event ? event->vcpu : ITS_NO_VCPU);
		report_end(report);
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
