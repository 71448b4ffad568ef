/* SPDX-License-Identifier: MIT */
/*
 * vCPU registers: initialising, resetting and starting vCPUs.
 * Kernel: Documentation/virt/kvm/api.rst, KVM_ARM_VCPU_INIT, KVM_ARM_VCPU_FINALIZE, KVM_SET_ONE_REG.
 */
#ifndef LKVM_ARM_VCPU_INIT_H
#define LKVM_ARM_VCPU_INIT_H

#include <stdbool.h>
#include <stdint.h>

#include "kvm/vm.h"
#include "state/sections.h"
#include "util/err.h"

/* What the guest's processors have beyond the base architecture. */
struct cpu_features {
	bool sve;
	bool pauth;
	bool pmu;
	bool exact; /* all that is wanted and nothing less, with these vector lengths: for a guest that runs already */
	uint64_t sve_lengths[8]; /* of SVE, as in KVM_REG_ARM64_SVE_VLS */
};

/*
 * Keeps of `wanted` what the host has; but `pmu` is asked for by the user, so that its absence fails; as do all if exact.
 * `refused` is NULL, or hears of each, and `chosen` goes without.
 */
int cpu_features_choose(const struct vm *vm, const struct cpu_features *wanted, struct cpu_features *chosen,
			const struct error_collector *refused, struct error *error);

/*
 * KVM_ARM_VCPU_INIT on every vCPU in order of id (vCPU 0 on, the others off), which is also how registers return to their
 * reset values; FINALIZE at the first time; fills in vcpu->mpidr. The vCPUs must not run.
 */
int vcpus_initialise(struct vm *vm, const struct cpu_features *features, bool first, struct error *error);

/* Gives every vCPU its PMU on PPI `ppi` (INTID 16 + ppi). After the GIC's initialisation. */
int vcpus_initialise_pmu(struct vm *vm, unsigned ppi, struct error *error);

/* vCPU 0 starts at `entry` with `fdt` in x0 and x1-x3 zero (Documentation/arch/arm64/booting.rst). */
int vcpus_set_entry(struct vm *vm, uint64_t entry, uint64_t fdt, struct error *error);

/* Reads all state of every vCPU, but for the counters, into a section "vcpuN" each. The vCPUs must be parked. */
int vcpus_save(struct vm *vm, struct section_writer *writer, struct error *error);

/*
 * Writes it back into fresh vCPUs that were initialised with the same features. A register that this host's kernel does
 * not know, or does not let have the saved value, is an error that names it; see arm/register_names.h for the exceptions.
 * `refused` is NULL, or hears of each of these, while the others are written.
 */
int vcpus_restore(struct vm *vm, struct sections *sections, const struct error_collector *refused, struct error *error);

/* The vector lengths of SVE that vCPU 0 has, into features->sve_lengths; nothing without SVE. */
int vcpus_get_vector_lengths(struct vm *vm, struct cpu_features *features, struct error *error);

/*
 * The virtual counter of the whole VM, in ticks. Written back before the vCPUs run again, it hides a pause: the guest's
 * clocks stood still. The vCPUs must be parked.
 */
int vcpus_get_counter(struct vm *vm, uint64_t *count, struct error *error);
int vcpus_set_counter(struct vm *vm, uint64_t count, struct error *error);

/* How fast it runs on this host, Hz. Guests know: it cannot be another one for a guest that runs. */
uint64_t vcpus_counter_frequency(void);

#endif
