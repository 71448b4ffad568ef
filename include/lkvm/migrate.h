/* SPDX-License-Identifier: MIT */
/*
 * The documented sequences over vCPUs, vGICv3 and ITS, each as a table of named steps in the one order that KVM
 * allows, with the reason for each step's place. Reset stands here; save and restore will stand beside it.
 */
#ifndef LKVM_MIGRATE_H
#define LKVM_MIGRATE_H

#include "lkvm/err.h"
#include "lkvm/regs.h"
#include "lkvm/vm.h"

/* What the steps work on. */
struct migrate {
	struct vm *vm;
	const struct cpu_features *features; /* as the vCPUs were made with */
	unsigned interrupts; /* of the GIC: gic_layout.interrupts */
};

/*
 * Returns vCPUs, vGICv3 and ITS to their power-on state. The vCPUs are parked and the devices already reset, so that
 * nothing raises an interrupt. The error names the step.
 */
int migrate_reset(const struct migrate *migrate, struct error *error);

#endif
