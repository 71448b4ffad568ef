/* SPDX-License-Identifier: MIT */
/* Reads values that several checks need. */
#include <stdio.h>
#include <stdlib.h>

#include "arm/its_table.h"
#include "state/names.h"
#include "verify_common.h"

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

	snprintf(section, sizeof(section), SECTION_GIC_REDISTRIBUTOR "%u", vcpu);
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

const uint8_t *verify_config(const struct inspection *inspection, const struct inspect_device *device,
			     struct verdict *verdict)
{
	struct error error;
	const uint8_t *config = inspect_pci_config(inspection, device, &error);

	if (!config)
		verdict_fault(verdict, device->pci->name, "its configuration space is missing or of another size");
	return config;
}
