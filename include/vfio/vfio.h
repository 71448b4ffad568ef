/* SPDX-License-Identifier: MIT */
/*
 * Passed-through devices: PCI devices of the host that the guest drives itself, through the kernel's VFIO.
 *
 * The IOMMU limits a device's DMA to guest RAM. For a mediated device, its driver in the kernel does that.
 * Registers are mapped into the guest. Config space is partly emulated (vfio/config.c). Interrupts reach KVM
 * without lkvm. Kernel: Documentation/driver-api/vfio.rst, vfio-mediated-device.rst, include/uapi/linux/vfio.h.
 */
#ifndef LKVM_VFIO_H
#define LKVM_VFIO_H

#include <stdio.h>

#include "hw/pci.h"
#include "kvm/vm.h"
#include "state/sections.h"
#include "state/state_table.h"
#include "util/err.h"
#include "util/loop.h"
#include "util/report.h"

#define VFIO_MAX_DEVICES 8
#define VFIO_ADDRESS_SIZE 40 /* "0000:00:10.0", or of a mediated device "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001" */

struct vfio;

/* The host's file systems. Tests use other folders. */
struct vfio_paths {
	const char *sys; /* "/sys" */
	const char *dev; /* "/dev" */
};

struct vfio_config {
	const struct vfio_paths *paths; /* NULL: the host's */
	unsigned count;
	bool restores; /* interrupts are set up by vfio_restored(), not by vfio_open() */
	char devices[VFIO_MAX_DEVICES][VFIO_ADDRESS_SIZE]; /* as vfio_address() writes them */
};

/* ioctl(2) on a file of VFIO: its result or -errno. All requests go through it; unit tests replace it. */
int vfio_call(int fd, unsigned long request, uintptr_t argument);

/* Parses [DOM:]BB:DD.F or a UUID, and writes it as sysfs does. */
int vfio_address(const char *text, char address[VFIO_ADDRESS_SIZE], struct error *error);

/* Opens the devices, maps RAM for their DMA, and plugs them into free slots. NULL with the error set. */
struct vfio *vfio_open(const struct vfio_config *config, struct vm *vm, struct pci_bus *pci, struct loop *loop,
		       struct error *error);
void vfio_close(struct vfio *vfio);

/*
 * Power-on. Call it before the reset of the ITS: a device must not signal by a mapping that KVM forwards and
 * that is removed.
 */
void vfio_reset(struct vfio *vfio);

/*
 * KVM refuses to save the ITS while hardware forwards interrupts to vCPUs (GICv4.0). vfio_detach_interrupts()
 * detaches all irqfds, which ends the forwarding. vfio_detach_interrupts_early() does the same before the
 * pause, if an earlier save needed it. vfio_attach_interrupts() attaches them again, and signals each vector
 * once: what was pending in hardware is lost.
 */
void vfio_detach_interrupts(struct vfio *vfio);
void vfio_detach_interrupts_early(struct vfio *vfio);
void vfio_attach_interrupts(struct vfio *vfio);

/*
 * Saving. If a device's driver supports VFIO migration (version 2), the device's state is saved. Any other
 * device makes the save fail, unless `may_detach`. Then no state of it is saved. It cannot access memory during
 * the save, and is reset at the end. A restored VM finds it reset, too. Both guests are notified by a PCI
 * Express error of the device.
 *
 * vfio_check_saving() fails if there is a device without state and `may_detach` is false.
 *
 * Order, with the vCPUs parked: vfio_stop_peers() and vfio_stop(), which may be repeated; vfio_save(), which
 * writes the devices' data as sections; vfio_visit(), for the objects that hold what the guest programmed.
 * vfio_resume() ends it, whether the save succeeded or not, before the vCPUs run.
 */
int vfio_check_saving(const struct vfio *vfio, bool may_detach, struct error *error);
void vfio_may_detach(struct vfio *vfio, bool may_detach);
int vfio_stop_peers(struct vfio *vfio, struct error *error);
int vfio_stop(struct vfio *vfio, struct error *error);
int vfio_save(struct vfio *vfio, struct section_writer *writer, struct error *error);
int vfio_visit(struct vfio *vfio, struct state_visitor *visitor, struct error *error);
void vfio_resume(struct vfio *vfio);

/*
 * While the guest runs: reads the data that devices offer before they are stopped. Any one thread. May be
 * repeated, as devices may offer more. Cancel it if the save is cancelled.
 */
void vfio_precopy(struct vfio *vfio);
void vfio_cancel_precopy(struct vfio *vfio);

/*
 * Restoring, for devices that were opened with `restores`. vfio_visit() has loaded its objects, and the ITS is
 * restored. vfio_load() loads the devices' data. vfio_restored() sets up BARs, routes, irqfds and interrupts,
 * by one call a device, and signals each vector once. vfio_resume() starts the devices.
 */
int vfio_load(struct vfio *vfio, struct sections *sections, struct error *error);
int vfio_restored(struct vfio *vfio, struct error *error);

/*
 * Dirty tracking. vfio_dirty_start() starts it where it is not started. Returns whether all devices track what
 * they write to RAM. vfio_dirty_mark() marks what was written since (ram_mark()).
 */
bool vfio_dirty_start(struct vfio *vfio);
void vfio_dirty_stop(struct vfio *vfio);
void vfio_dirty_mark(struct vfio *vfio);

void vfio_stat(struct vfio *vfio, struct report *report);

/* Parses KVM's ITS file in debugfs: which events of a device are vLPIs, forwarded to the vCPUs by hardware. */
#define VFIO_EVENTS 0x10000u /* of any device of our ITS */
void vfio_vlpi_parse(FILE *file, uint32_t device_id, bool is_vlpi[VFIO_EVENTS]);

#endif
