/* SPDX-License-Identifier: MIT */
/*
 * Verifies MSI and MSI-X vectors. A vector that is not masked sends a message on its device's next interrupt. The ITS drops a
 * message without a mapped event. A correct guest masks the vectors that it does not use.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>

#include "arm/its.h"
#include "arm/its_table.h"
#include "verify_common.h"

#define DOORBELL (MACHINE_ITS + ITS_DOORBELL_OFFSET)
#define PLACE_LENGTH (SECTION_NAME_LENGTH + 16)

/* Reports vectors that send to another address, or send an event that the ITS does not map. */
static void verify_vectors(const struct inspect_device *device, const struct inspect_vectors *vectors,
			   const struct inspect_events *events, struct verdict *verdict)
{
	for (unsigned i = 0; i < vectors->count; i++) {
		struct inspect_vector vector;
		char place[PLACE_LENGTH];

		inspect_vector_at(vectors, i, &vector);
		if (vector.masked)
			continue;
		snprintf(place, sizeof(place), "%s/%s %u", device->name, vectors->messages.kind == INSPECT_MSIX ? "msix" : "msi", i);
		if (vector.address != DOORBELL)
			verdict_fault(verdict, place, "it is not masked and sends to 0x%llx, where no ITS is (its doorbell "
				      "is 0x%llx); its interrupts would be dropped", (unsigned long long)vector.address, DOORBELL);
		else if (!events->left_out && !inspect_events_find(events, device->slot << 3, vector.data))
			verdict_fault(verdict, place, "it is not masked and sends event %u of device 0x%x, which the "
				      "ITS does not map; its interrupts would be dropped", vector.data, device->slot << 3);
	}
}

/* Reports an MSI-X table of a passed-through device whose configuration space has no MSI-X capability. */
static void verify_no_table(const struct inspection *inspection, const struct inspect_device *device,
			    struct verdict *verdict)
{
	char name[INSPECT_PART_LENGTH];

	inspect_part_name(device, "msix", name);
	if (sections_find(&inspection->snapshot->sections, name))
		verdict_fault(verdict, name, "there is an MSI-X table, but the device has no MSI-X; a restore refuses it");
}

static void verify_kind(const struct inspection *inspection, const struct inspect_device *device, const uint8_t *config,
			enum inspect_kind kind, const struct inspect_events *events, struct verdict *verdict)
{
	struct inspect_vectors vectors;
	bool has_table = inspect_vectors_open(&vectors, inspection, device, config, kind);
	const struct inspect_messages *messages = &vectors.messages;

	if (!messages->capability) {
		if (kind == INSPECT_MSIX)
			verify_no_table(inspection, device, verdict);
		return;
	}
	if (!inspection_has_its(inspection))
		verdict_fault(verdict, device->pci->name, "it has %s, but the machine has no ITS; a restore refuses it",
			      inspect_kind_name(kind));
	else if (!device->is_passed_through && messages->vectors > PCI_MAX_VECTORS)
		verdict_fault(verdict, device->pci->name, "it has %u MSI-X vectors, above the %u of any device; a "
			      "restore refuses it", messages->vectors, PCI_MAX_VECTORS);
	else if (!has_table)
		verdict_fault(verdict, vectors.section, "its MSI-X table is missing or of another size");
	else if (messages->enabled && !messages->held)
		verify_vectors(device, &vectors, events, verdict);
}

static void verify_device(const struct inspection *inspection, const struct inspect_device *device,
			  const struct inspect_events *events, struct verdict *verdict)
{
	const uint8_t *config = verify_config(inspection, device, verdict);

	for (enum inspect_kind kind = 0; config && kind < INSPECT_KINDS; kind++)
		verify_kind(inspection, device, config, kind, events, verdict);
}

int verify_msix(const struct inspection *inspection, struct verdict *verdict, struct error *error)
{
	struct inspect_events events;

	if (inspect_events_open(&events, inspection, error) < 0) {
		/* A register of the ITS is missing, so the events cannot be read. verify_its() reports that. */
		return error->code == ENOENT || error->code == EBADMSG ? 0 : -1;
	}
	for (unsigned slot = 0; slot < inspection->device_count; slot++)
		verify_device(inspection, &inspection->devices[slot], &events, verdict);
	inspect_events_close(&events);
	return 0;
}
