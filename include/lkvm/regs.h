/* SPDX-License-Identifier: MIT */
/*
 * vCPU registers: initialising, resetting and starting vCPUs.
 * Kernel: Documentation/virt/kvm/api.rst, KVM_ARM_VCPU_INIT, KVM_ARM_VCPU_FINALIZE, KVM_SET_ONE_REG.
 */
#ifndef LKVM_REGS_H
#define LKVM_REGS_H

#include <stdbool.h>
#include <stdint.h>

#include "lkvm/err.h"
#include "lkvm/vm.h"

/* What the guest's processors have beyond the base architecture. */
struct cpu_features {
	bool sve;
	bool pauth;
	bool pmu;
};

/* Keeps of `wanted` what the host has; but `pmu` is asked for by the user, so that its absence fails. */
int cpu_features_choose(const struct vm *vm, const struct cpu_features *wanted, struct cpu_features *chosen,
			struct error *error);

/*
 * KVM_ARM_VCPU_INIT on every vCPU in order of id (vCPU 0 on, the others off), which is also how registers return to their
 * reset values; FINALIZE at the first time; fills in vcpu->mpidr. The vCPUs must not run.
 */
int vcpus_initialise(struct vm *vm, const struct cpu_features *features, bool first, struct error *error);

/* Gives every vCPU its PMU on PPI `ppi` (INTID 16 + ppi). After the GIC's initialisation. */
int vcpus_initialise_pmu(struct vm *vm, unsigned ppi, struct error *error);

/* vCPU 0 starts at `entry` with `fdt` in x0 and x1-x3 zero (Documentation/arch/arm64/booting.rst). */
int vcpus_set_entry(struct vm *vm, uint64_t entry, uint64_t fdt, struct error *error);

/*
 * The virtual counter of the whole VM, in ticks. Written back before the vCPUs run again, it hides a pause: the guest's
 * clocks stood still. The vCPUs must be parked.
 */
int vcpus_get_counter(struct vm *vm, uint64_t *count, struct error *error);
int vcpus_set_counter(struct vm *vm, uint64_t count, struct error *error);

#endif
