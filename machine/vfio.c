/* SPDX-License-Identifier: MIT */
/* The passed-through devices as a component of the machine. */
#include "components.h"

/* These open after virtio: they get the next PCI slots. */
static int component_vfio_open(struct machine *machine, struct error *error)
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

static void component_vfio_close(struct machine *machine)
{
	vfio_close(machine->vfio);
	machine->vfio = NULL;
	rcec_close(&machine->collector);
}

/* After a failure the machine is paused anyway. A save stops the devices again, and fails then. */
static void component_vfio_pause(struct machine *machine)
{
	struct error error;

	if (vfio_stop_peers(machine->vfio, &error) < 0 || vfio_stop(machine->vfio, &error) < 0)
		log_message(machine->config.log, LOG_LEVEL_WARNING, "a device keeps running while the guest is paused: %s",
								    error.text);
}

static void component_vfio_resume(struct machine *machine)
{
	vfio_resume(machine->vfio);
}

static void component_vfio_reset(struct machine *machine)
{
	vfio_reset(machine->vfio);
	rcec_reset(&machine->collector);
}

static int component_vfio_visit(struct machine *machine, struct state_visitor *visitor, struct error *error)
{
	if (rcec_visit(&machine->collector, visitor, error) < 0)
		return -1;
	return vfio_visit(machine->vfio, visitor, error);
}

static void component_vfio_quiesce(struct machine *machine)
{
	rcec_quiesce(&machine->collector);
}

static void component_vfio_unquiesce(struct machine *machine)
{
	rcec_resume(&machine->collector);
	vfio_attach_interrupts(machine->vfio);
}

static int component_vfio_restored(struct machine *machine, struct error *error)
{
	if (rcec_restored(&machine->collector, error) < 0)
		return -1;
	return vfio_restored(machine->vfio, error);
}

static void component_vfio_stat(struct machine *machine, struct report *report)
{
	vfio_stat(machine->vfio, report);
}

const struct component component_vfio = {
	.open = component_vfio_open,
	.close = component_vfio_close,
	.pause = component_vfio_pause,
	.resume = component_vfio_resume,
	.reset = component_vfio_reset,
	.visit = component_vfio_visit,
	.quiesce = component_vfio_quiesce,
	.unquiesce = component_vfio_unquiesce,
	.restored = component_vfio_restored,
	.stat = component_vfio_stat,
};
