/* SPDX-License-Identifier: MIT */
/*
 * PCI devices of the host that a guest drives itself, by the kernel's VFIO. The IOMMU lets them reach guest RAM and nothing
 * else (a mediated device is the work of a driver, which sees to that itself); their registers are mapped into the guest;
 * config space is shown as vfio/config.c says; their interrupts reach KVM without us. Kernel:
 * Documentation/driver-api/vfio.rst, vfio-mediated-device.rst, include/uapi/linux/vfio.h.
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

/* Where the host's devices are found: tests have other places. */
struct vfio_paths {
	const char *sys; /* "/sys" */
	const char *dev; /* "/dev" */
};

struct vfio_config {
	const struct vfio_paths *paths; /* NULL: the host's own */
	unsigned count;
	bool restores; /* their interrupts wait for vfio_restored() */
	char devices[VFIO_MAX_DEVICES][VFIO_ADDRESS_SIZE]; /* as vfio_address() makes them */
};

/* ioctl(2) on a file of VFIO's, its result or -errno: the one way there, in whose place unit tests have a fake. */
int vfio_call(int fd, unsigned long request, uintptr_t argument);

/* [DOM:]BB:DD.F, or a UUID, as sysfs writes it. */
int vfio_address(const char *text, char address[VFIO_ADDRESS_SIZE], struct error *error);

/* Opens the devices, lets them reach RAM, and plugs them into free slots. NULL with the error set. */
struct vfio *vfio_open(const struct vfio_config *config, struct vm *vm, struct pci_bus *pci, struct loop *loop,
		       struct error *error);
void vfio_close(struct vfio *vfio);

/* Power-on. To be called before the ITS is reset: mappings that KVM forwards must not go under a device that signals. */
void vfio_reset(struct vfio *vfio);

/*
 * Takes all irqfds off, so that no interrupt is is_vlpi by hardware any more, where KVM refuses to save with such (GICv4.0).
 * _ahead: the same before the pause, for a machine that needed it once. Joined again, each vector is signalled: what was
 * pending in hardware is lost else.
 */
void vfio_detach_interrupts(struct vfio *vfio);
void vfio_detach_interrupts_early(struct vfio *vfio);
void vfio_attach_interrupts(struct vfio *vfio);

/*
 * Saving. A device whose driver can (VFIO migration, version 2) gives its state. Of one whose driver cannot, nothing is saved
 * if that is allowed: it is kept from memory while the machine is saved, is reset when that goes on, and so it is
 * found by whoever is restored; both guests are told by its PCI Express errors. vfio_check_saving() says of which device
 * there is no state.
 *
 * With the vCPUs parked, in this order: vfio_stop_peers() and vfio_stop(), which may be called again; vfio_save(), which adds
 * the devices' data as sections; vfio_visit() shows what the guest made of them. vfio_resume() ends it, whether it was saved
 * or not, before the vCPUs go on.
 */
int vfio_check_saving(const struct vfio *vfio, bool may_detach, struct error *error);
void vfio_may_detach(struct vfio *vfio, bool may_detach);
int vfio_stop_peers(struct vfio *vfio, struct error *error);
int vfio_stop(struct vfio *vfio, struct error *error);
int vfio_save(struct vfio *vfio, struct section_writer *writer, struct error *error);
int vfio_visit(struct vfio *vfio, struct state_visitor *visitor, struct error *error);
void vfio_resume(struct vfio *vfio);

/*
 * While the guest runs: reads what devices have to say ahead, by any one thread; again and again, as there may be more. To be
 * given up where no save comes of it.
 */
void vfio_precopy(struct vfio *vfio);
void vfio_cancel_precopy(struct vfio *vfio);

/*
 * Restoring, of devices that were opened with `restores`: vfio_visit() has loaded its objects, and the ITS is restored.
 * vfio_load() gives the devices their data, vfio_restored() sets up their BARs, routes, irqfds and interrupts, with one call a
 * device, each vector signalled once; vfio_resume() lets them run.
 */
int vfio_load(struct vfio *vfio, struct sections *sections, struct error *error);
int vfio_restored(struct vfio *vfio, struct error *error);

/*
 * Dirty tracking. Begins, where it has not; whether all devices keep account of what they write to RAM. vfio_dirty_mark() marks
 * what was written since.
 */
bool vfio_dirty_start(struct vfio *vfio);
void vfio_dirty_stop(struct vfio *vfio);
void vfio_dirty_mark(struct vfio *vfio);

void vfio_stat(struct vfio *vfio, struct report *report);

/* Which events of a device hardware brings to the vCPUs, out of what KVM tells in debugfs. */
#define VFIO_EVENTS 0x10000u /* of any device of our ITS */
void vfio_vlpi_parse(FILE *file, uint32_t device_id, bool is_vlpi[VFIO_EVENTS]);

#endif
