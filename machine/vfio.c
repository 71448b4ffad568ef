/* SPDX-License-Identifier: MIT */
/* The passed-through devices as a component of the machine. */
#include "vfio_private.h"

/* These open last: they get the PCI slots that are left. */
int machine_vfio_open(struct machine *machine, struct error *error)
{
	struct vfio_config *config = &machine->config.vfio;

	if (!config->count)
		return 0;
	if (rcec_open(&machine->collector, &machine->pci, error) < 0)
		return -1;
	config->restores = machine->config.snapshot != NULL;
	machine->vfio = vfio_open(config, &machine->vm, &machine->pci, machine->loop, error);
	if (machine->vfio)
		return 0;
	rcec_close(&machine->collector);
	return error_context(error, "--vfio-pci");
}

void machine_vfio_close(struct machine *machine)
{
	vfio_close(machine->vfio);
	machine->vfio = NULL;
	rcec_close(&machine->collector);
}

/* After a failure the machine is paused anyway. A save stops the devices again, and fails then. */
void machine_vfio_pause(struct machine *machine)
{
	struct error error;

	if (vfio_stop_peers(machine->vfio, &error) < 0 || vfio_stop(machine->vfio, &error) < 0)
		log_message(machine->config.log, LOG_LEVEL_WARNING, "a device goes on while the guest is paused: %s", error.text);
}

void machine_vfio_resume(struct machine *machine)
{
	vfio_resume(machine->vfio);
}

void machine_vfio_reset(struct machine *machine)
{
	vfio_reset(machine->vfio);
	rcec_reset(&machine->collector);
}
