/* SPDX-License-Identifier: MIT */
/*
 * Reset, save and restore of vCPUs, vGICv3 and ITS. Each is a table of named steps in the only order that KVM allows,
 * with the reason for the place of each step. Kernel: Documentation/virt/kvm/devices/arm-vgic-v3.rst and
 * arm-vgic-its.rst, "ITS Restore Sequence".
 */
#ifndef LKVM_ARM_MIGRATE_H
#define LKVM_ARM_MIGRATE_H

#include "arm/vcpu_init.h"
#include "kvm/vm.h"
#include "util/err.h"

/* The steps of devices. Each may be NULL. */
struct migrate_devices {
	/*
	 * Stop passed-through devices: first their access to each other, then to memory and interrupts. Nothing to do if paused.
	 */
	int (*stop_peers)(void *owner, struct error *error);
	int (*stop)(void *owner, struct error *error);
	/* Stops emulated devices: on return they write no guest memory, and all raised interrupts have reached the GIC. */
	int (*quiesce)(void *owner, struct error *error);
	/* Detaches interrupts that the hardware forwards. Pending ones are lost: attaching again sends each interrupt once. */
	int (*stop_forwarding)(void *owner, struct error *error);
	/* The migration data of passed-through devices. */
	int (*save)(void *owner, struct section_writer *writer, struct error *error);
	int (*load)(void *owner, struct sections *sections, struct error *error);
	/* Sets up routes and irqfds, once. */
	int (*forward)(void *owner, struct error *error);
};

/* The input of all steps. */
struct migrate {
	struct vm *vm;
	const struct cpu_features *features; /* of the vCPUs */
	unsigned interrupts; /* of the GIC: gic_layout.interrupts */
	const char *fault;   /* for fault_at(), or NULL */
	enum {
		MIGRATE_NO_CHECK, /* a save that will not be restored */
		MIGRATE_CHECK,    /* a save fails if a restore would fail */
		MIGRATE_MARK,     /* a save adds the section SECTION_NOT_RESTORABLE if a restore would fail */
	} check;
	const struct error_collector *refused; /* of a restore: NULL, or gets each refusal; the restore then continues */

	const struct migrate_devices *devices; /* NULL: no devices */
	void *owner; /* of these */
};

/*
 * Resets vCPUs, vGICv3 and ITS to their power-on state. The vCPUs must be parked and the devices reset, so that nothing
 * raises an interrupt. The error names the step.
 */
int migrate_reset(const struct migrate *migrate, struct error *error);

/*
 * Saves vCPUs, vGICv3 and ITS as sections. The vCPUs must be parked. Afterwards guest RAM has the ITS's tables and the
 * pending tables, until something runs: save RAM before that. After a failure the VM can resume unchanged.
 */
int migrate_save(const struct migrate *migrate, struct section_writer *writer, struct error *error);

/*
 * Restores them into a fresh VM with the saved RAM, with GIC and ITS initialized and the vCPUs parked. After a failure
 * the VM can only be closed.
 */
int migrate_restore(const struct migrate *migrate, struct sections *sections, struct error *error);

#endif
