/* SPDX-License-Identifier: MIT */
/*
 * The MSI and MSI-X vectors of a function. The snapshot has them in different places. The MSI-X table of a virtio device is
 * in columns in the section of its config space. That of a passed-through device is in its own section, entry by entry.
 * MSI is only in config space.
 */
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "inspect/inspect.h"
#include "util/bits.h"

#define MOST_CAPABILITIES 48u /* more do not fit 256 bytes: a longer chain is a ring */
#define MOST_MESSAGES 5u      /* binary logarithm: MSI has at most 32 */
#define ENTRY_WORDS 4u        /* of a passed-through device's table: address, its upper half, data, control */

/* Returns the offset of a capability, or 0. The limit ends the search in a damaged list that is a ring. */
static unsigned find_capability(const uint8_t *config, uint8_t id)
{
	unsigned offset = config[PCI_CAPABILITY_LIST] & ~3u;

	if (!(inspect_pci_read(config, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	for (unsigned i = 0; i < MOST_CAPABILITIES && offset >= PCI_STD_HEADER_SIZEOF; i++) {
		if (config[offset + PCI_CAP_LIST_ID] == id)
			return offset;
		offset = config[offset + PCI_CAP_LIST_NEXT] & ~3u;
	}
	return 0;
}

/* Returns the number of messages that the guest enabled, at most what the device can send. */
static unsigned count_messages(uint32_t control)
{
	unsigned able = (control & PCI_MSI_FLAGS_QMASK) >> 1, allowed = (control & PCI_MSI_FLAGS_QSIZE) >> 4;

	return control & PCI_MSI_FLAGS_ENABLE ? 1u << MIN(MIN(able, allowed), MOST_MESSAGES) : 0;
}

void inspect_find_messages(const uint8_t *config, enum inspect_kind kind, struct inspect_messages *messages)
{
	bool no_master = !(inspect_pci_read(config, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	unsigned offset = find_capability(config, kind == INSPECT_MSIX ? PCI_CAP_ID_MSIX : PCI_CAP_ID_MSI);
	uint32_t control = offset ? inspect_pci_read(config, offset + PCI_MSI_FLAGS, 2) : 0;
	struct inspect_messages other;

	*messages = (struct inspect_messages){ .kind = kind, .capability = offset };
	if (kind == INSPECT_MSIX) {
		messages->enabled = control & PCI_MSIX_FLAGS_ENABLE;
		messages->masked = control & PCI_MSIX_FLAGS_MASKALL;
		messages->vectors = offset ? (control & PCI_MSIX_FLAGS_QSIZE) + 1 : 0;
	} else if (offset) {
		/* MSI-X has precedence if a guest enables both. */
		inspect_find_messages(config, INSPECT_MSIX, &other);
		messages->enabled = control & PCI_MSI_FLAGS_ENABLE && !other.enabled;
		messages->vectors = messages->enabled ? count_messages(control) : 0;
	}
	messages->held = messages->masked || no_master;
}

const char *inspect_kind_name(enum inspect_kind kind)
{
	return kind == INSPECT_MSIX ? "MSI-X" : "MSI";
}

/* Finding the vectors. */

static bool find_column(const struct section *section, const char *name, unsigned size, uint32_t count, struct field *column)
{
	return field_find(&section->fields, name, column) && column->size == size && column->count == count;
}

static bool find_columns(struct inspect_vectors *vectors, const struct section *section)
{
	struct field pending;

	if (!find_column(section, "msix_address", sizeof(uint64_t), PCI_MAX_VECTORS, &vectors->address) ||
	    !find_column(section, "msix_data", sizeof(uint32_t), PCI_MAX_VECTORS, &vectors->data) ||
	    !find_column(section, "msix_control", sizeof(uint32_t), PCI_MAX_VECTORS, &vectors->control) ||
	    !find_column(section, "msix_pending", sizeof(uint64_t), 1, &pending))
		return false;
	vectors->pending = field_element(&pending, 0);
	vectors->knows_pending = true;
	return true;
}

bool inspect_vectors_open(struct inspect_vectors *vectors, const struct inspection *inspection,
			  const struct inspect_device *device, const uint8_t *config, enum inspect_kind kind)
{
	const struct section *section;

	*vectors = (struct inspect_vectors){ .config = config };
	inspect_find_messages(config, kind, &vectors->messages);
	snprintf(vectors->section, sizeof(vectors->section), "%s", device->pci->name);
	vectors->count = vectors->messages.vectors;
	if (kind == INSPECT_MSI || !vectors->messages.capability)
		return true;
	if (!device->is_passed_through) {
		vectors->count = MIN(vectors->count, PCI_MAX_VECTORS);
		return find_columns(vectors, device->pci);
	}
	inspect_part_name(device, "msix", vectors->section);
	section = sections_find(&inspection->snapshot->sections, vectors->section);
	return section && find_column(section, "entries", sizeof(uint32_t), ENTRY_WORDS * vectors->count, &vectors->entries);
}

/* Reading a vector. */

static void read_message(const struct inspect_vectors *vectors, unsigned number, struct inspect_vector *vector)
{
	const uint8_t *capability = vectors->config + vectors->messages.capability;
	uint32_t control = inspect_pci_read(capability, PCI_MSI_FLAGS, 2), data;
	bool wide = control & PCI_MSI_FLAGS_64BIT;

	vector->address = inspect_pci_read(capability, PCI_MSI_ADDRESS_LO, 4);
	if (wide)
		vector->address |= (uint64_t)inspect_pci_read(capability, PCI_MSI_ADDRESS_HI, 4) << 32;
	/* The device replaces the lowest bits by the number of the vector. */
	data = inspect_pci_read(capability, wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32, 2);
	vector->data = (data & ~(vectors->count - 1)) | number;
	if (control & PCI_MSI_FLAGS_MASKBIT)
		vector->masked = inspect_pci_read(capability, wide ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32, 4) >> number & 1;
}

static void read_entry(const struct field *entries, unsigned number, struct inspect_vector *vector)
{
	uint64_t words[ENTRY_WORDS];

	for (unsigned i = 0; i < ENTRY_WORDS; i++)
		words[i] = field_element(entries, ENTRY_WORDS * number + i);
	vector->address = words[0] | words[1] << 32;
	vector->data = (uint32_t)words[2];
	vector->masked = words[3] & PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

static void read_columns(const struct inspect_vectors *vectors, unsigned number, struct inspect_vector *vector)
{
	vector->address = field_element(&vectors->address, number);
	vector->data = (uint32_t)field_element(&vectors->data, number);
	vector->masked = field_element(&vectors->control, number) & PCI_MSIX_ENTRY_CTRL_MASKBIT;
	vector->pending = vectors->pending >> number & 1;
}

void inspect_vector_at(const struct inspect_vectors *vectors, unsigned number, struct inspect_vector *vector)
{
	*vector = (struct inspect_vector){ .address = 0 };
	if (vectors->messages.kind == INSPECT_MSI)
		read_message(vectors, number, vector);
	else if (vectors->entries.values)
		read_entry(&vectors->entries, number, vector);
	else
		read_columns(vectors, number, vector);
}
