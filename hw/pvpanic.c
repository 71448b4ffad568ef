/* SPDX-License-Identifier: MIT */
/* pvpanic: the PCI function and its register. */
#include "hw/pvpanic.h"

#include <linux/pci_regs.h>

#define REGISTER_BAR 0u
#define SUPPORTED (PVPANIC_PANICKED | PVPANIC_CRASH_LOADED)

static const struct pci_identity identity = {
	.name = "pvpanic",
	.vendor = 0x1b36,
	.device = 0x0011,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = 0x088000, /* another system peripheral */
	.revision = 1,
};

static uint64_t pvpanic_read(void *owner, uint64_t offset, unsigned size)
{
	(void)owner;
	(void)size;
	return offset ? 0 : SUPPORTED;
}

static void pvpanic_write(void *owner, uint64_t offset, unsigned size, uint64_t value)
{
	struct pvpanic *pvpanic = owner;

	(void)size;
	if (!offset && (value & SUPPORTED))
		pvpanic->event(pvpanic->owner, value & SUPPORTED);
}

static const struct bus_ops register_ops = { .read = pvpanic_read, .write = pvpanic_write };

int pvpanic_open(struct pvpanic *pvpanic, struct pci_bus *pci, void (*event)(void *owner, uint8_t events), void *owner,
		 struct error *error)
{
	const struct pci_bar bar = { .size = 16, .ops = &register_ops, .owner = pvpanic };

	*pvpanic = (struct pvpanic){ .event = event, .owner = owner };
	if (pci_device_open(&pvpanic->pci, &identity, error) < 0)
		return -1;
	pvpanic->pci.state.config[PCI_INTERRUPT_PIN] = 0;
	if (pci_device_add_bar(&pvpanic->pci, REGISTER_BAR, &bar, error) == 0 &&
	    pci_device_plug(pci, &pvpanic->pci, -1, error) == 0)
		return 0;
	pci_device_close(&pvpanic->pci);
	return -1;
}

void pvpanic_close(struct pvpanic *pvpanic)
{
	if (pvpanic->pci.bus)
		pci_device_close(&pvpanic->pci);
}
