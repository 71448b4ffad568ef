/* SPDX-License-Identifier: MIT */
/*
 * Initializes, resets and starts vCPUs; reads and writes their state.
 * Kernel: Documentation/virt/kvm/api.rst, KVM_ARM_VCPU_INIT, KVM_ARM_VCPU_FINALIZE, KVM_SET_ONE_REG.
 */
#ifndef LKVM_ARM_VCPU_INIT_H
#define LKVM_ARM_VCPU_INIT_H

#include <stdbool.h>
#include <stdint.h>

#include "kvm/vm.h"
#include "state/sections.h"
#include "util/err.h"

/* Features of the guest's processors beyond the base architecture. */
struct cpu_features {
	bool sve;
	bool pauth;
	bool pmu;
	bool exact; /* require all wanted features and these vector lengths: for a restored guest */
	uint64_t sve_lengths[8]; /* of SVE, as in KVM_REG_ARM64_SVE_VLS */
};

/*
 * Chooses the wanted features that the host has. A missing `pmu` is an error, because the user requested it; with
 * `exact` each missing feature is. If `refused` is not NULL, it gets each of these errors, and `chosen` lacks the
 * feature.
 */
int cpu_features_choose(const struct vm *vm, const struct cpu_features *wanted, struct cpu_features *chosen,
			const struct error_collector *refused, struct error *error);

/*
 * Calls KVM_ARM_VCPU_INIT on each vCPU, in order of id (vCPU 0 on, the others off). This also resets registers. The
 * first time it also calls KVM_ARM_VCPU_FINALIZE. Sets vcpu->mpidr. The vCPUs must not run.
 */
int vcpus_initialise(struct vm *vm, const struct cpu_features *features, bool first, struct error *error);

/* Gives each vCPU a PMU on PPI `ppi` (INTID 16 + ppi). Call it after gic_initialise(). */
int vcpus_initialise_pmu(struct vm *vm, unsigned ppi, struct error *error);

/* Makes vCPU 0 start at `entry` with `fdt` in x0 and zero in x1 to x3 (Documentation/arch/arm64/booting.rst). */
int vcpus_set_entry(struct vm *vm, uint64_t entry, uint64_t fdt, struct error *error);

/* Saves all state of each vCPU, except counters, in a section "vcpuN". The vCPUs must be parked. */
int vcpus_save(struct vm *vm, struct section_writer *writer, struct error *error);

/*
 * Writes this state into fresh vCPUs that were initialized with the same features. Fails with the register's name if
 * this host's kernel does not have a register or does not accept its value; arm/register_names.h has the exceptions. If
 * `refused` is not NULL, it gets each of these errors, and the other registers are written.
 */
int vcpus_restore(struct vm *vm, struct sections *sections, const struct error_collector *refused, struct error *error);

/* Reads vCPU 0's SVE vector lengths into features->sve_lengths. Does nothing without SVE. */
int vcpus_get_vector_lengths(struct vm *vm, struct cpu_features *features, struct error *error);

/*
 * The virtual counter of the whole VM, in ticks. Writing it back before the vCPUs run again hides a pause: the guest's
 * clocks do not advance. The vCPUs must be parked.
 */
int vcpus_get_counter(struct vm *vm, uint64_t *count, struct error *error);
int vcpus_set_counter(struct vm *vm, uint64_t count, struct error *error);

/* The frequency of the counter on this host, Hz. Guests read it at boot, so a restore needs the same frequency. */
uint64_t vcpus_counter_frequency(void);

/* The counter of this host, in ticks. While the vCPUs run, the guest's virtual counter differs from it by a constant. */
uint64_t vcpus_host_counter(void);

#endif
