/* SPDX-License-Identifier: MIT */
/*
 * MSI-X: a vector that the guest left open sends a message as soon as its device has news, and the ITS drops one of which
 * it knows no event. A guest that masks what it does not use, as it must, has none such.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>

#include "lkvm/its.h"
#include "lkvm/its_table.h"
#include "parts.h"

#define DOORBELL (MACHINE_ITS + ITS_DOORBELL_OFFSET)
#define PLACE_LENGTH (SECTION_NAME_LENGTH + 16)

/* The MSI-X table, which a restore takes in this shape only. */
struct table {
	struct field address, data, control;
};

static bool find_column(const struct section *section, const char *name, unsigned size, struct field *column)
{
	return field_find(&section->fields, name, column) && column->size == size && column->count == PCI_MAX_VECTORS;
}

static bool find_table(const struct section *section, struct table *table)
{
	return find_column(section, "msix_address", sizeof(uint64_t), &table->address) &&
	       find_column(section, "msix_data", sizeof(uint32_t), &table->data) &&
	       find_column(section, "msix_control", sizeof(uint32_t), &table->control);
}

static void name_vector(char place[PLACE_LENGTH], const struct inspect_device *device, unsigned vector)
{
	snprintf(place, PLACE_LENGTH, "%s/msix %u", device->name, vector);
}

/* Vectors that send elsewhere, or an event that the ITS does not map. */
static void verify_vectors(const struct inspect_device *device, const struct table *table, unsigned count,
			   const struct inspect_events *events, struct verdict *verdict)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t address = field_element(&table->address, i);
		uint32_t event = (uint32_t)field_element(&table->data, i);
		char place[PLACE_LENGTH];

		if (field_element(&table->control, i) & PCI_MSIX_ENTRY_CTRL_MASKBIT)
			continue;
		name_vector(place, device, i);
		if (address != DOORBELL)
			verdict_fault(verdict, place, "it is not masked and sends to 0x%llx, where no ITS is (its doorbell "
				      "is 0x%llx); its interrupts would be dropped", (unsigned long long)address, DOORBELL);
		else if (!events->left_out && !inspect_events_find(events, device->slot << 3, event))
			verdict_fault(verdict, place, "it is not masked and sends event %u of device 0x%x, which the "
				      "ITS does not map; its interrupts would be dropped", event, device->slot << 3);
	}
}

static void verify_device(const struct inspection *inspection, const struct inspect_device *device,
			  const struct inspect_events *events, struct verdict *verdict)
{
	struct inspect_msix msix;
	struct table table;

	if (!verify_find_msix(inspection, device, verdict, &msix) || !msix.present)
		return;
	if (!inspection_has_its(inspection))
		verdict_fault(verdict, device->pci->name, "it has MSI-X, but the machine has no ITS; a restore refuses "
			      "it");
	else if (msix.vectors > PCI_MAX_VECTORS)
		verdict_fault(verdict, device->pci->name, "it has %u MSI-X vectors, above the %u of any device; a "
			      "restore refuses it", msix.vectors, PCI_MAX_VECTORS);
	else if (!find_table(device->pci, &table))
		verdict_fault(verdict, device->pci->name, "its MSI-X table is missing or of another size");
	else if (msix.enabled && !msix.held)
		verify_vectors(device, &table, msix.vectors, events, verdict);
}

int verify_msix(const struct inspection *inspection, struct verdict *verdict, struct error *error)
{
	struct inspect_events events;

	if (inspect_events_open(&events, inspection, error) < 0) {
		/* Without its registers nothing is known; that is verify_its()' fault to tell. */
		return error->code == ENOENT || error->code == EBADMSG ? 0 : -1;
	}
	for (unsigned slot = 0; slot < inspection->device_count; slot++)
		if (inspection->devices[slot].is_virtio)
			verify_device(inspection, &inspection->devices[slot], &events, verdict);
	inspect_events_close(&events);
	return 0;
}
