/* SPDX-License-Identifier: MIT */
/*
 * The documented sequences over vCPUs, vGICv3 and ITS, each as a table of named steps in the one order that KVM
 * allows, with the reason for each step's place: reset, save, restore.
 * Kernel: Documentation/virt/kvm/devices/arm-vgic-v3.rst and arm-vgic-its.rst, "ITS Restore Sequence".
 */
#ifndef LKVM_ARM_MIGRATE_H
#define LKVM_ARM_MIGRATE_H

#include "arm/vcpu_init.h"
#include "kvm/vm.h"
#include "util/err.h"

/* What the devices have to do with it. Each may be NULL. */
struct migrate_devices {
	/* Passed-through devices leave each other alone; and then memory and interrupts. Where a pause has stopped them, nothing. */
	int (*stop_peers)(void *owner, struct error *error);
	int (*stop)(void *owner, struct error *error);
	/* Ours write no guest memory and raise no interrupt when it returns, and what was raised has reached the GIC. */
	int (*quiesce)(void *owner, struct error *error);
	/* Takes off what the hardware forwards. What is pending there is lost: whoever puts it on again sends each once. */
	int (*stop_forwarding)(void *owner, struct error *error);
	/* The data that passed-through devices keep of themselves. */
	int (*save)(void *owner, struct section_writer *writer, struct error *error);
	int (*load)(void *owner, struct sections *sections, struct error *error);
	/* Routes and irqfds, set up once. */
	int (*forward)(void *owner, struct error *error);
};

/* What the steps work on. */
struct migrate {
	struct vm *vm;
	const struct cpu_features *features; /* as the vCPUs were made with */
	unsigned interrupts; /* of the GIC: gic_layout.interrupts */
	const char *fault;   /* for fault_at(), or NULL */
	enum {
		MIGRATE_NO_CHECK, /* of a save that nobody will restore */
		MIGRATE_CHECK,    /* a save fails if a restore would fail */
		MIGRATE_MARK,     /* a save adds the section SNAPSHOT_NOT_RESTORABLE if a restore would fail */
	} check;
	const struct error_collector *refused; /* of a restore: NULL, or goes on and hears of all that this host does not take */

	const struct migrate_devices *devices; /* NULL: there are none */
	void *owner; /* of these */
};

/*
 * Returns vCPUs, vGICv3 and ITS to their power-on state. The vCPUs are parked and the devices already reset, so that
 * nothing raises an interrupt. The error names the step.
 */
int migrate_reset(const struct migrate *migrate, struct error *error);

/*
 * Saves vCPUs, vGICv3 and ITS as sections. The vCPUs are parked. Afterwards, and as long as nothing runs, guest RAM holds
 * the ITS's and the pending tables: RAM is to be taken now. After a failure everything can go on as it was.
 */
int migrate_save(const struct migrate *migrate, struct section_writer *writer, struct error *error);

/*
 * Restores them into a fresh VM whose RAM holds what was saved, with GIC and ITS initialised and the vCPUs parked. After a
 * failure the VM is of no use.
 */
int migrate_restore(const struct migrate *migrate, struct sections *sections, struct error *error);

#endif
