/* SPDX-License-Identifier: MIT */
/*
 * PCI devices of the host that a guest drives itself, by the kernel's VFIO. The IOMMU lets them reach guest RAM and nothing
 * else; their registers are mapped into the guest; config space is shown as vfio/config.c says; their interrupts reach KVM
 * without us. Kernel: Documentation/driver-api/vfio.rst, include/uapi/linux/vfio.h.
 */
#ifndef LKVM_VFIO_H
#define LKVM_VFIO_H

#include "lkvm/err.h"
#include "lkvm/loop.h"
#include "lkvm/pci.h"
#include "lkvm/report.h"
#include "lkvm/vm.h"

#define VFIO_MAX_DEVICES 8
#define VFIO_ADDRESS_SIZE 16 /* "0000:00:10.0" */

struct vfio;

/* Where the host's devices are found: tests have other places. */
struct vfio_place {
	const char *sys; /* "/sys" */
	const char *dev; /* "/dev" */
};

extern const struct vfio_place vfio_host;

struct vfio_config {
	unsigned count;
	char devices[VFIO_MAX_DEVICES][VFIO_ADDRESS_SIZE]; /* as vfio_address() makes them */
};

/* ioctl(2) on a file of VFIO's, its result or -errno: the one way there, in whose place unit tests have a fake. */
int vfio_call(int fd, unsigned long request, uintptr_t argument);

/* [DOM:]BB:DD.F as sysfs writes it. */
int vfio_address(const char *text, char address[VFIO_ADDRESS_SIZE], struct error *error);

/* Opens the devices, lets them reach RAM, and plugs them into free slots. NULL with the error set. */
struct vfio *vfio_open(const struct vfio_config *config, const struct vfio_place *place, struct vm *vm, struct pci_bus *pci,
		       struct loop *loop, struct error *error);
void vfio_close(struct vfio *vfio);

/* Power-on. To be called before the ITS is reset: mappings that KVM forwards must not go under a device that signals. */
void vfio_reset(struct vfio *vfio);

/* As pci_device_quiesce() and _resume(): what the devices signal in between waits. */
void vfio_quiesce(struct vfio *vfio);
void vfio_resume(struct vfio *vfio);

void vfio_stat(struct vfio *vfio, struct report *report);

#endif
