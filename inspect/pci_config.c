/* SPDX-License-Identifier: MIT */
/* Finds and reads the config space of a function. */
#include <errno.h>

#include "inspect/inspect.h"

/* Little-endian. inspect_pci_config() has checked the size of the config space. */
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
