/* SPDX-License-Identifier: MIT */
/* The pvpanic device as a component. A guest that panics ends the virtual machine. */
#include <errno.h>
#include <stdatomic.h>

#include "components.h"
#include "state/names.h"

static void component_pvpanic_event(void *owner, uint8_t events)
{
	struct machine *machine = owner;
	struct vm_event event = { .kind = VM_EVENT_CRASH };

	if (events & PVPANIC_PANICKED) {
		error_set(&event.error, 0, "the guest panicked");
		vm_event_post(&machine->vm, &event);
	} else if (!atomic_exchange(&machine->panic_logged, true)) {
		log_message(machine->config.log, LOG_LEVEL_WARNING, "the guest panicked, and its crash kernel starts");
	}
}

/*
 * It opens after the other devices: their slots and addresses are the same with it and without it. A new machine that fills the
 * bus has none: nobody requested this device.
 */
static int component_pvpanic_open(struct machine *machine, struct error *error)
{
	if (!machine->config.pvpanic ||
	    pvpanic_open(&machine->pvpanic, &machine->pci, component_pvpanic_event, machine, error) == 0)
		return 0;
	if (error->code != ENOSPC || machine->config.snapshot)
		return -1;
	machine->config.pvpanic = false;
	log_message(machine->config.log, LOG_LEVEL_WARNING, "%s: lkvm does not notice a panic of the guest", error->text);
	return 0;
}

static void component_pvpanic_close(struct machine *machine)
{
	pvpanic_close(&machine->pvpanic);
}

static void component_pvpanic_reset(struct machine *machine)
{
	atomic_store(&machine->panic_logged, false);
	if (machine->config.pvpanic)
		pci_device_reset(&machine->pvpanic.pci);
}

static int component_pvpanic_visit(struct machine *machine, struct state_visitor *visitor, struct error *error)
{
	if (!machine->config.pvpanic)
		return 0;
	return visitor->visit(visitor, SECTION_PVPANIC SECTION_SUFFIX_PCI, &pci_state_table, &machine->pvpanic.pci.state, error);
}

static int component_pvpanic_restored(struct machine *machine, struct error *error)
{
	return machine->config.pvpanic ? pci_device_restored(&machine->pvpanic.pci, error) : 0;
}

const struct component component_pvpanic = {
	.open = component_pvpanic_open,
	.close = component_pvpanic_close,
	.reset = component_pvpanic_reset,
	.visit = component_pvpanic_visit,
	.restored = component_pvpanic_restored,
};
