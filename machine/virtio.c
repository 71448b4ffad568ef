/* SPDX-License-Identifier: MIT */
/* The machine's virtio devices, in the order of their PCI slots. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "components.h"

/* Adds the result of an open function to the machine. Returns whether it is a device. */
static bool keep(struct machine *machine, struct virtio_device *device)
{
	if (device)
		machine->virtio[machine->virtio_count++] = device;
	return device != NULL;
}

/* Returns whether both paths are the same file or block device. */
static bool is_same_file(const char *a, const char *b)
{
	struct stat first, second;

	if (stat(a, &first) < 0 || stat(b, &second) < 0)
		return false;
	if (S_ISBLK(first.st_mode) && S_ISBLK(second.st_mode))
		return first.st_rdev == second.st_rdev;
	return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

static bool is_written(const struct virtio_block_config *disk)
{
	return !disk->read_only && !disk->overlay;
}

/* Two disks may be the same file if the guest writes neither. */
static int check_disks(const struct machine_config *config, struct error *error)
{
	for (unsigned i = 0; i < config->disk_count; i++)
		for (unsigned j = 0; j < i; j++)
			if ((is_written(&config->disks[i]) || is_written(&config->disks[j])) &&
			    is_same_file(config->disks[i].path, config->disks[j].path))
				return error_set(error, EINVAL, "disks %u and %u are the same file, %s: give it once, or both times with ro",
						 j, i, config->disks[i].path);
	return 0;
}

static int open_devices(struct machine *machine, struct error *error)
{
	const struct machine_config *config = &machine->config;
	struct pci_bus *pci = &machine->pci;
	struct vm *vm = &machine->vm;

	for (unsigned i = 0; i < config->disk_count; i++)
		if (!keep(machine, virtio_block_open(vm, pci, i, &config->disks[i], error)))
			return -1;
	for (unsigned i = 0; i < config->network_count; i++)
		if (!keep(machine, virtio_net_open(vm, pci, i, &config->networks[i], error)))
			return -1;
	if (config->console == CONSOLE_VIRTIO &&
	    !keep(machine, virtio_console_open(vm, pci, machine->terminal, error)))
		return -1;
	if (config->entropy && !keep(machine, virtio_entropy_open(vm, pci, error)))
		return -1;
	if (config->balloon && !keep(machine, machine->balloon = virtio_balloon_open(vm, pci, error)))
		return -1;
	if (config->power_buttons && !keep(machine, machine->input = virtio_input_open(vm, pci, error)))
		return -1;
	return 0;
}

static void component_virtio_close(struct machine *machine)
{
	while (machine->virtio_count > 0) {
		struct virtio_device *device = machine->virtio[--machine->virtio_count];

		virtio_close(device);
		free(device);
	}
	machine->balloon = machine->input = NULL;
}

static int component_virtio_open(struct machine *machine, struct error *error)
{
	if (check_disks(&machine->config, error) == 0 && open_devices(machine, error) == 0)
		return 0;
	component_virtio_close(machine);
	return -1;
}

static void component_virtio_pause(struct machine *machine)
{
	for (unsigned i = 0; i < machine->virtio_count; i++)
		virtio_pause(machine->virtio[i]);
}

static void component_virtio_resume(struct machine *machine)
{
	for (unsigned i = 0; i < machine->virtio_count; i++)
		virtio_resume(machine->virtio[i]);
}

static void component_virtio_reset(struct machine *machine)
{
	for (unsigned i = 0; i < machine->virtio_count; i++)
		virtio_reset(machine->virtio[i]);
}

static int component_virtio_visit(struct machine *machine, struct state_visitor *visitor, struct error *error)
{
	for (unsigned i = 0; i < machine->virtio_count; i++)
		if (virtio_visit(machine->virtio[i], visitor, error) < 0)
			return -1;
	return 0;
}

static void component_virtio_quiesce(struct machine *machine)
{
	for (unsigned i = 0; i < machine->virtio_count; i++)
		pci_device_quiesce(&machine->virtio[i]->pci);
}

static void component_virtio_unquiesce(struct machine *machine)
{
	for (unsigned i = 0; i < machine->virtio_count; i++)
		pci_device_resume(&machine->virtio[i]->pci);
}

static int component_virtio_restored(struct machine *machine, struct error *error)
{
	for (unsigned i = 0; i < machine->virtio_count; i++)
		if (virtio_restored(machine->virtio[i], error) < 0)
			return -1;
	return 0;
}

static void component_virtio_stat(struct machine *machine, struct report *report)
{
	for (unsigned i = 0; i < machine->virtio_count; i++) {
		report_begin(report, NULL);
		virtio_stat(machine->virtio[i], report);
		report_end(report);
	}
}

const struct component component_virtio = {
	.open = component_virtio_open,
	.close = component_virtio_close,
	.pause = component_virtio_pause,
	.resume = component_virtio_resume,
	.reset = component_virtio_reset,
	.visit = component_virtio_visit,
	.quiesce = component_virtio_quiesce,
	.unquiesce = component_virtio_unquiesce,
	.restored = component_virtio_restored,
	.stat = component_virtio_stat,
};
