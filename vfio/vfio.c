/* SPDX-License-Identifier: MIT */
/* All devices that a machine has passed through, and the IOMMU that they share. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "device.h"
#include "iommu.h"
#include "state/names.h"
#include "sysfs.h"

struct vfio {
	struct vfio_iommu iommu;
	bool may_detach; /* devices whose state cannot be saved */
	bool has_vlpis;  /* KVM refused to save because of vLPIs */
	unsigned count;
	struct vfio_device devices[VFIO_MAX_DEVICES];
};

static int add_device(struct vfio *vfio, const struct vfio_config *config, const char *address, struct vm *vm,
		      struct pci_bus *pci, struct loop *loop, struct error *error)
{
	struct vfio_device *device = &vfio->devices[vfio->count];
	int fd = vfio_iommu_attach(&vfio->iommu, address, error);

	if (fd < 0)
		return error_context(error, "%s", address);
	*device = (struct vfio_device){ .vm = vm, .log = vm->log, .loop = loop };
	snprintf(device->address, sizeof(device->address), "%s", address);
	vfio->count++;
	if (vfio_device_open(device, fd, pci, config->restores, error) < 0)
		return error_context(error, "%s", address);
	return 0;
}

struct vfio *vfio_open(const struct vfio_config *config, struct vm *vm, struct pci_bus *pci, struct loop *loop,
		       struct error *error)
{
	const struct vfio_paths *paths = config->paths ? config->paths : &vfio_host_paths;
	struct vfio *vfio = calloc(1, sizeof(*vfio));
	int result;

	if (!vfio) {
		error_system(error, ENOMEM, "memory for devices");
		return NULL;
	}
	result = vfio_iommu_open(&vfio->iommu, paths, vm, config->devices[0], error);
	for (unsigned i = 0; result == 0 && i < config->count; i++)
		result = add_device(vfio, config, config->devices[i], vm, pci, loop, error);
	if (result == 0)
		return vfio;
	vfio_close(vfio);
	return NULL;
}

void vfio_close(struct vfio *vfio)
{
	if (!vfio)
		return;
	while (vfio->count)
		vfio_device_close(&vfio->devices[--vfio->count]);
	vfio_iommu_close(&vfio->iommu);
	free(vfio);
}

void vfio_reset(struct vfio *vfio)
{
	for (unsigned i = 0; vfio && i < vfio->count; i++)
		vfio_device_reset(&vfio->devices[i]);
}

static void detach_all(struct vfio *vfio)
{
	for (unsigned i = 0; i < vfio->count; i++) {
		pthread_mutex_lock(&vfio->devices[i].pci.lock);
		vfio_interrupts_detach(&vfio->devices[i]);
		pthread_mutex_unlock(&vfio->devices[i].pci.lock);
	}
}

void vfio_detach_interrupts(struct vfio *vfio)
{
	if (!vfio)
		return;
	vfio->has_vlpis = true;
	detach_all(vfio);
}

void vfio_detach_interrupts_early(struct vfio *vfio)
{
	if (vfio && vfio->has_vlpis)
		detach_all(vfio);
}

void vfio_attach_interrupts(struct vfio *vfio)
{
	for (unsigned i = 0; vfio && i < vfio->count; i++) {
		pthread_mutex_lock(&vfio->devices[i].pci.lock);
		vfio_interrupts_update(&vfio->devices[i]);
		pthread_mutex_unlock(&vfio->devices[i].pci.lock);
	}
}

/*
 * Saving and restoring
 */

/* One step for all devices, before any of them takes the next. */
static int move_all(struct vfio *vfio, enum vfio_move move, struct error *error)
{
	for (unsigned i = 0; vfio && i < vfio->count; i++)
		if (vfio_migration_move(&vfio->devices[i], move, error) < 0)
			return -1;
	return 0;
}

int vfio_check_saving(const struct vfio *vfio, bool may_detach, struct error *error)
{
	for (unsigned i = 0; vfio && !may_detach && i < vfio->count; i++)
		if (!vfio->devices[i].migration.offers)
			return error_set(error, ENOTSUP, "the guest has a device of the host, %s, whose driver there cannot save "
					 "its state; --detach-vfio resets the device, and the guest initialises it again",
					 vfio->devices[i].address);
	return 0;
}

void vfio_may_detach(struct vfio *vfio, bool may_detach)
{
	if (vfio)
		vfio->may_detach = may_detach;
}

int vfio_stop_peers(struct vfio *vfio, struct error *error)
{
	return move_all(vfio, VFIO_STOP_PEERS, error);
}

int vfio_stop(struct vfio *vfio, struct error *error)
{
	if (move_all(vfio, VFIO_STOP, error) < 0)
		return -1;
	for (unsigned i = 0; vfio && vfio->may_detach && i < vfio->count; i++)
		if (!vfio->devices[i].migration.offers)
			vfio_device_detach(&vfio->devices[i]);
	return 0;
}

/* A device that fails does not keep the others from starting. */
static void start_all(struct vfio *vfio, enum vfio_move move)
{
	struct error error;

	for (unsigned i = 0; i < vfio->count; i++)
		if (vfio_migration_move(&vfio->devices[i], move, &error) < 0)
			log_message(vfio->devices[i].log, LOG_LEVEL_WARNING, "%s", error.text);
}

void vfio_resume(struct vfio *vfio)
{
	if (!vfio)
		return;
	vfio->may_detach = false;
	for (unsigned i = 0; i < vfio->count; i++)
		vfio_device_attach(&vfio->devices[i]);
	start_all(vfio, VFIO_START_PEERS);
	start_all(vfio, VFIO_START);
	for (unsigned i = 0; i < vfio->count; i++)
		vfio_device_report_reset(&vfio->devices[i]);
}

void vfio_precopy(struct vfio *vfio)
{
	struct error ignored; /* all of the data is read at the end then, where an error counts */

	(void)move_all(vfio, VFIO_PRECOPY, &ignored);
}

void vfio_cancel_precopy(struct vfio *vfio)
{
	struct error ignored;

	(void)move_all(vfio, VFIO_CANCEL_PRECOPY, &ignored);
}

static void section_name(char name[SECTION_NAME_LENGTH + 1], unsigned number)
{
	snprintf(name, SECTION_NAME_LENGTH + 1, SECTION_VFIO "%u" SECTION_SUFFIX_DATA, number);
}

int vfio_save(struct vfio *vfio, struct section_writer *writer, struct error *error)
{
	char name[SECTION_NAME_LENGTH + 1];

	for (unsigned i = 0; vfio && i < vfio->count; i++) {
		section_name(name, i);
		if (vfio->devices[i].migration.offers && vfio_migration_save(&vfio->devices[i], name, writer, error) < 0)
			return -1;
	}
	return 0;
}

int vfio_load(struct vfio *vfio, struct sections *sections, struct error *error)
{
	char name[SECTION_NAME_LENGTH + 1];

	for (unsigned i = 0; vfio && i < vfio->count; i++) {
		const struct section *section;

		section_name(name, i);
		section = sections_find(sections, name);
		vfio->devices[i].reset_unreported = !section;
		if (section && vfio_migration_load(&vfio->devices[i], section, error) < 0)
			return -1;
	}
	return 0;
}

int vfio_visit(struct vfio *vfio, struct state_visitor *visitor, struct error *error)
{
	for (unsigned i = 0; vfio && i < vfio->count; i++)
		if (vfio_device_visit(&vfio->devices[i], i, visitor, error) < 0)
			return -1;
	return 0;
}

int vfio_restored(struct vfio *vfio, struct error *error)
{
	for (unsigned i = 0; vfio && i < vfio->count; i++)
		if (vfio_device_restored(&vfio->devices[i], error) < 0)
			return -1;
	return 0;
}

bool vfio_dirty_start(struct vfio *vfio)
{
	bool all = true;

	for (unsigned i = 0; vfio && i < vfio->count; i++)
		all &= vfio_device_dirty_start(&vfio->devices[i]);
	return all;
}

void vfio_dirty_stop(struct vfio *vfio)
{
	for (unsigned i = 0; vfio && i < vfio->count; i++)
		vfio_device_dirty_stop(&vfio->devices[i]);
}

void vfio_dirty_mark(struct vfio *vfio)
{
	for (unsigned i = 0; vfio && i < vfio->count; i++)
		if (vfio->devices[i].is_logged)
			vfio_device_dirty_mark(&vfio->devices[i]);
}

void vfio_stat(struct vfio *vfio, struct report *report)
{
	for (unsigned i = 0; vfio && i < vfio->count; i++) {
		report_begin(report, NULL);
		vfio_device_stat(&vfio->devices[i], report);
		report_end(report);
	}
}
