/* SPDX-License-Identifier: MIT */
/* Initializes vCPUs: features, registers at power-on, the counter. */
#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>

#include "arm/vcpu_init.h"
#include "kvm/kvm.h"
#include "util/bits.h"

#define MPIDR_EL1 ARM64_SYS_REG(3, 0, 0, 0, 5)
#define MPIDR_AFFINITY 0xff00ffffffull

/* The id of a core register by its name in struct kvm_regs; all used here have 64 bits. */
#define CORE_REGISTER(member)                                                                              \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |                                             \
	 offsetof(struct kvm_regs, member) / sizeof(uint32_t))

int cpu_features_choose(const struct vm *vm, const struct cpu_features *wanted, struct cpu_features *chosen,
			const struct error_collector *refused, struct error *error)
{
	const bool has_pmu = kvm_extension(vm->fd, KVM_CAP_ARM_PMU_V3);

	*chosen = (struct cpu_features){
		.sve = wanted->sve && kvm_extension(vm->fd, KVM_CAP_ARM_SVE),
		/* Address and generic authentication are both on or both off. */
		.pauth = wanted->pauth && kvm_extension(vm->fd, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
			 kvm_extension(vm->fd, KVM_CAP_ARM_PTRAUTH_GENERIC),
		.pmu = wanted->pmu && has_pmu,
		.exact = wanted->exact,
	};
	memcpy(chosen->sve_lengths, wanted->sve_lengths, sizeof(chosen->sve_lengths));
	if (wanted->exact && wanted->sve && !chosen->sve) {
		error_set(error, ENOTSUP, "the guest was started with SVE, which this host does not have");
		if (error_collect(refused, error) < 0)
			return -1;
	}
	if (wanted->exact && wanted->pauth && !chosen->pauth) {
		error_set(error, ENOTSUP, "the guest was started with pointer authentication, which this host does not have");
		if (error_collect(refused, error) < 0)
			return -1;
	}
	if (wanted->pmu && !has_pmu) {
		error_set(error, ENOTSUP, "this host has no PMU for guests (KVM_CAP_ARM_PMU_V3): leave out --pmu");
		return error_collect(refused, error);
	}
	return 0;
}

/* 64-bit core registers that KVM_ARM_VCPU_INIT does not reset. */
static const struct {
	uint64_t id;
	const char *name;
} left_by_init[] = {
	{ CORE_REGISTER(elr_el1), "ELR_EL1" },
	{ CORE_REGISTER(spsr[KVM_SPSR_EL1]), "SPSR_EL1" },
};

static int clear_what_init_leaves(struct vcpu *vcpu, struct error *error)
{
	const uint64_t zero = 0;

	for (size_t i = 0; i < COUNT(left_by_init); i++) {
		int result = kvm_register_set(vcpu->fd, left_by_init[i].id, &zero);

		if (result < 0)
			return error_system(error, -result, "clearing %s of vCPU %u", left_by_init[i].name, vcpu->index);
	}
	return 0;
}

static void set_feature(struct kvm_vcpu_init *init, unsigned feature)
{
	init->features[feature / 32] |= 1u << feature % 32;
}

static int initialise(struct vcpu *vcpu, const struct kvm_vcpu_init *target,
		      const struct cpu_features *features, bool first, struct error *error)
{
	struct kvm_vcpu_init init = { .target = target->target };
	int result;

	set_feature(&init, KVM_ARM_VCPU_PSCI_0_2);
	if (vcpu->index != 0)
		set_feature(&init, KVM_ARM_VCPU_POWER_OFF);
	if (features->sve)
		set_feature(&init, KVM_ARM_VCPU_SVE);
	if (features->pauth) {
		set_feature(&init, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
		set_feature(&init, KVM_ARM_VCPU_PTRAUTH_GENERIC);
	}
	if (features->pmu)
		set_feature(&init, KVM_ARM_VCPU_PMU_V3);

	result = kvm_call(vcpu->fd, KVM_ARM_VCPU_INIT, (uintptr_t)&init);
	if (result < 0)
		return error_system(error, -result, "KVM_ARM_VCPU_INIT of vCPU %u", vcpu->index);
	if (!first)
		return clear_what_init_leaves(vcpu, error);

	if (features->sve) {
		int feature = KVM_ARM_VCPU_SVE;

		if (features->exact) {
			result = kvm_register_set(vcpu->fd, KVM_REG_ARM64_SVE_VLS, features->sve_lengths);
			if (result < 0)
				return error_system(error, -result, "the vector lengths of SVE that the snapshot has");
		}
		result = kvm_call(vcpu->fd, KVM_ARM_VCPU_FINALIZE, (uintptr_t)&feature);
		if (result < 0)
			return error_system(error, -result, "KVM_ARM_VCPU_FINALIZE of SVE on vCPU %u", vcpu->index);
	}
	result = kvm_register_get(vcpu->fd, MPIDR_EL1, &vcpu->mpidr);
	if (result < 0)
		return error_system(error, -result, "reading MPIDR_EL1 of vCPU %u", vcpu->index);
	vcpu->mpidr &= MPIDR_AFFINITY;
	return 0;
}

int vcpus_initialise(struct vm *vm, const struct cpu_features *features, bool first, struct error *error)
{
	struct kvm_vcpu_init target;
	int result = kvm_call(vm->fd, KVM_ARM_PREFERRED_TARGET, (uintptr_t)&target);

	if (result < 0)
		return error_system(error, -result, "KVM_ARM_PREFERRED_TARGET");
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (initialise(&vm->vcpus[i], &target, features, first, error) < 0)
			return -1;
	return 0;
}

int vcpus_initialise_pmu(struct vm *vm, unsigned ppi, struct error *error)
{
	int interrupt = (int)(16 + ppi);

	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		int fd = vm->vcpus[i].fd;
		int result = kvm_attribute_set(fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, &interrupt);

		if (result == 0)
			result = kvm_attribute_set(fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, NULL);
		if (result < 0)
			return error_system(error, -result, "the PMU of vCPU %u", i);
	}
	return 0;
}

int vcpus_set_entry(struct vm *vm, uint64_t entry, uint64_t fdt, struct error *error)
{
	const struct {
		uint64_t id;
		uint64_t value;
		const char *name;
	} registers[] = {
		{ CORE_REGISTER(regs.regs[0]), fdt, "x0" },
		{ CORE_REGISTER(regs.regs[1]), 0, "x1" },
		{ CORE_REGISTER(regs.regs[2]), 0, "x2" },
		{ CORE_REGISTER(regs.regs[3]), 0, "x3" },
		{ CORE_REGISTER(regs.pc), entry, "pc" },
	};

	for (size_t i = 0; i < COUNT(registers); i++) {
		int result = kvm_register_set(vm->vcpus[0].fd, registers[i].id, &registers[i].value);

		if (result < 0)
			return error_system(error, -result, "setting %s of vCPU 0", registers[i].name);
	}
	return 0;
}

int vcpus_get_vector_lengths(struct vm *vm, struct cpu_features *features, struct error *error)
{
	int result = features->sve ? kvm_register_get(vm->vcpus[0].fd, KVM_REG_ARM64_SVE_VLS, features->sve_lengths) : 0;

	if (result < 0)
		return error_system(error, -result, "reading the vector lengths of SVE");
	return 0;
}

/* KVM's ids of the counter and the compare value are swapped against their encodings (api.rst). */

int vcpus_get_counter(struct vm *vm, uint64_t *count, struct error *error)
{
	int result = kvm_register_get(vm->vcpus[0].fd, KVM_REG_ARM_TIMER_CNT, count);

	if (result < 0)
		return error_system(error, -result, "reading the virtual counter");
	return 0;
}

int vcpus_set_counter(struct vm *vm, uint64_t count, struct error *error)
{
	int result = kvm_register_set(vm->vcpus[0].fd, KVM_REG_ARM_TIMER_CNT, &count);

	if (result < 0)
		return error_system(error, -result, "setting the virtual counter");
	return 0;
}

uint64_t vcpus_counter_frequency(void)
{
	uint64_t frequency = 0;

#ifdef __aarch64__
	__asm__("mrs %0, cntfrq_el0" : "=r"(frequency));
#endif
	return frequency;
}

uint64_t vcpus_host_counter(void)
{
	uint64_t count = 0;

#ifdef __aarch64__
	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(count) : : "memory");
#endif
	return count;
}
