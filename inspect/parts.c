/* SPDX-License-Identifier: MIT */
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>

#include "lkvm/its_table.h"
#include "parts.h"

#define GICR_CTLR_ENABLE_LPIS 1u

bool verify_number(const struct inspection *inspection, struct verdict *verdict, const char *section, const char *field,
		   uint64_t *value)
{
	struct error error;

	if (inspection_number(inspection, section, field, value, &error) == 0)
		return true;
	verdict_fault(verdict, section, "%s", error.text);
	return false;
}

static bool lpis_are_on(const struct inspection *inspection, unsigned vcpu)
{
	char section[SECTION_NAME_LENGTH + 1];
	struct error error;
	uint64_t control;

	snprintf(section, sizeof(section), "gic/redistributor%u", vcpu);
	return inspection_number(inspection, section, "CTLR", &control, &error) == 0 && control & GICR_CTLR_ENABLE_LPIS;
}

uint64_t *inspect_pending_tables(const struct inspection *inspection)
{
	uint64_t *tables = calloc(inspection->config.cpus, sizeof(*tables));

	for (unsigned i = 0; tables && i < inspection->config.cpus; i++)
		if (lpis_are_on(inspection, i))
			tables[i] = its_pending_address(inspection->pendbasers[i]);
	return tables;
}

static unsigned get16(const struct field *config, unsigned offset)
{
	return (unsigned)(field_element(config, offset) | field_element(config, offset + 1) << 8);
}

/* Offset of the MSI-X capability, or 0. No list of a sound device is longer than the room for capabilities. */
static unsigned find_capability(const struct field *config)
{
	unsigned left = (PCI_CFG_SPACE_SIZE - PCI_STD_HEADER_SIZEOF) / PCI_CAP_SIZEOF;
	unsigned offset = (unsigned)field_element(config, PCI_CAPABILITY_LIST) & ~3u;

	if (!(get16(config, PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return 0;
	while (offset >= PCI_STD_HEADER_SIZEOF && left--) {
		if (field_element(config, offset + PCI_CAP_LIST_ID) == PCI_CAP_ID_MSIX)
			return offset;
		offset = (unsigned)field_element(config, offset + PCI_CAP_LIST_NEXT) & ~3u;
	}
	return 0;
}

bool verify_find_msix(const struct inspect_device *device, struct verdict *verdict, struct inspect_msix *msix)
{
	struct field config;
	unsigned offset, control;

	*msix = (struct inspect_msix){ .present = false };
	if (!field_find(&device->pci->fields, "config", &config) || config.size != 1 || config.count != PCI_CONFIG_SIZE) {
		verdict_fault(verdict, device->pci->name, "its configuration space is missing or of another size");
		return false;
	}
	offset = find_capability(&config);
	if (!offset)
		return true;
	control = get16(&config, offset + PCI_MSIX_FLAGS);
	msix->present = true;
	msix->enabled = control & PCI_MSIX_FLAGS_ENABLE;
	msix->held = control & PCI_MSIX_FLAGS_MASKALL || !(get16(&config, PCI_COMMAND) & PCI_COMMAND_MASTER);
	msix->vectors = (control & PCI_MSIX_FLAGS_QSIZE) + 1;
	return true;
}
