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

/* The vectors that may send, by slot, and whether the ITS has the event. */
struct messages {
	struct open_vector {
		bool waits; /* for its event to be found */
		uint32_t data;
	} vectors[PCI_SLOTS][PCI_MAX_VECTORS];
};

static void see_event(void *owner, const struct its_event *event)
{
	struct messages *messages = owner;
	uint32_t slot = event->device >> 3;

	if (event->device & 7 || slot >= PCI_SLOTS)
		return;
	for (unsigned i = 0; i < PCI_MAX_VECTORS; i++)
		if (messages->vectors[slot][i].data == event->id)
			messages->vectors[slot][i].waits = false;
}

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

/* Notes the open vectors of a device; tells those that send elsewhere. */
static void open_vectors(const struct inspect_device *device, const struct table *table, unsigned count,
			 struct open_vector vectors[PCI_MAX_VECTORS], struct verdict *verdict)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t address = field_element(&table->address, i);
		char place[PLACE_LENGTH];

		if (field_element(&table->control, i) & PCI_MSIX_ENTRY_CTRL_MASKBIT)
			continue;
		vectors[i].data = (uint32_t)field_element(&table->data, i);
		vectors[i].waits = address == DOORBELL;
		if (vectors[i].waits)
			continue;
		name_vector(place, device, i);
		verdict_fault(verdict, place, "it is not masked and sends to 0x%llx, where no ITS is (its doorbell "
			      "is 0x%llx); its interrupts would be dropped", (unsigned long long)address, DOORBELL);
	}
}

static void verify_device(const struct inspection *inspection, const struct inspect_device *device,
			  struct open_vector vectors[PCI_MAX_VECTORS], struct verdict *verdict)
{
	struct inspect_msix msix;
	struct table table;

	if (!verify_find_msix(device, verdict, &msix) || !msix.present)
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
		open_vectors(device, &table, msix.vectors, vectors, verdict);
}

static int find_events(const struct inspection *inspection, struct messages *messages, struct error *error)
{
	const struct its_visitor visitor = { .event = see_event, .owner = messages };
	struct its_tables tables;
	struct its_walk *walk;
	int result;

	/* Without its registers nothing is known; that is verify_its()' fault to tell. */
	if (!inspection_has_its(inspection) || inspection_its_tables(inspection, &tables, error) < 0) {
		*messages = (struct messages){ 0 };
		return 0;
	}
	walk = malloc(sizeof(*walk));
	if (!walk)
		return error_system(error, ENOMEM, "the ITS's tables");
	result = its_tables_walk(&tables, &visitor, walk, error);
	free(walk);
	return result;
}

static void tell_dropped(const struct inspection *inspection, const struct messages *messages, struct verdict *verdict)
{
	for (unsigned slot = 0; slot < inspection->device_count; slot++)
		for (unsigned i = 0; i < PCI_MAX_VECTORS; i++) {
			const struct open_vector *vector = &messages->vectors[slot][i];
			char place[PLACE_LENGTH];

			if (!vector->waits)
				continue;
			name_vector(place, &inspection->devices[slot], i);
			verdict_fault(verdict, place, "it is not masked and sends event %u of device 0x%x, which the "
				      "ITS does not map; its interrupts would be dropped", vector->data, slot << 3);
		}
}

int verify_msix(const struct inspection *inspection, struct verdict *verdict, struct error *error)
{
	struct messages messages = { 0 };

	for (unsigned slot = 0; slot < inspection->device_count; slot++)
		verify_device(inspection, &inspection->devices[slot], messages.vectors[slot], verdict);
	if (find_events(inspection, &messages, error) < 0)
		return -1;
	tell_dropped(inspection, &messages, verdict);
	return 0;
}
