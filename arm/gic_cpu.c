/* SPDX-License-Identifier: MIT */
/*
 * The GIC's CPU interfaces: ICC system registers, one set for each vCPU. KVM_ARM_VCPU_INIT does not reset them, so reset writes
 * them.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>

#include "arm/gic.h"
#include "kvm/kvm.h"
#include "state/names.h"
#include "util/bits.h"

/* By their encodings: op0[15:14] op1[13:11] CRn[10:7] CRm[6:3] op2[2:0]. */
enum icc_encoding {
	ICC_PMR_EL1 = 0xc230,
	ICC_BPR0_EL1 = 0xc643,
	ICC_AP0R0_EL1 = 0xc644,
	ICC_AP1R0_EL1 = 0xc648,
	ICC_BPR1_EL1 = 0xc663,
	ICC_CTLR_EL1 = 0xc664,
	ICC_SRE_EL1 = 0xc665,
	ICC_IGRPEN0_EL1 = 0xc666,
	ICC_IGRPEN1_EL1 = 0xc667,
};

#define ICC_CTLR_CBPR 1ull
#define ICC_CTLR_EOIMODE 2ull
#define ICC_CTLR_PRIBITS(ctlr) (((ctlr) >> 8 & 7) + 1)

/* Restored in this order. CTLR first: BPR1 is ignored while CTLR.CBPR is set. Active priorities before the enables. */
static const struct icc_register {
	const char *name;
	uint64_t kept; /* bits that describe the host: reset keeps them */
	enum icc_encoding encoding;
	unsigned bits; /* of priority that it takes for this register to exist */
} icc_registers[] = {
	{ "SRE", ~0ull, ICC_SRE_EL1, 0 },
	{ "CTLR", ~(ICC_CTLR_CBPR | ICC_CTLR_EOIMODE), ICC_CTLR_EL1, 0 },
	{ "PMR", 0, ICC_PMR_EL1, 0 },
	{ "BPR0", 0, ICC_BPR0_EL1, 0 },
	{ "BPR1", 0, ICC_BPR1_EL1, 0 },
	{ "AP0R0", 0, ICC_AP0R0_EL1, 0 },
	{ "AP0R1", 0, ICC_AP0R0_EL1 + 1, 6 },
	{ "AP0R2", 0, ICC_AP0R0_EL1 + 2, 7 },
	{ "AP0R3", 0, ICC_AP0R0_EL1 + 3, 7 },
	{ "AP1R0", 0, ICC_AP1R0_EL1, 0 },
	{ "AP1R1", 0, ICC_AP1R0_EL1 + 1, 6 },
	{ "AP1R2", 0, ICC_AP1R0_EL1 + 2, 7 },
	{ "AP1R3", 0, ICC_AP1R0_EL1 + 3, 7 },
	{ "IGRPEN0", 0, ICC_IGRPEN0_EL1, 0 },
	{ "IGRPEN1", 0, ICC_IGRPEN1_EL1, 0 },
};

#define REGISTERS (COUNT(icc_registers))

static uint64_t attribute(const struct vcpu *vcpu, enum icc_encoding encoding)
{
	return (vcpu->mpidr & 0xff00000000) << 24 | (vcpu->mpidr & 0xffffff) << 32 | encoding;
}

static int read_register(struct vm *vm, const struct vcpu *vcpu, const struct icc_register *reg, uint64_t *value,
			 struct error *error)
{
	int result = kvm_attribute_get(vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, attribute(vcpu, reg->encoding),
				       value);

	return result < 0 ? error_system(error, -result, "reading ICC_%s_EL1 of vCPU %u", reg->name, vcpu->index) : 0;
}

static int write_register(struct vm *vm, const struct vcpu *vcpu, const struct icc_register *reg, uint64_t value,
			  struct error *error)
{
	int result = kvm_attribute_set(vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, attribute(vcpu, reg->encoding),
				       &value);

	return result < 0 ? error_system(error, -result, "writing 0x%llx to ICC_%s_EL1 of vCPU %u",
					 (unsigned long long)value, reg->name, vcpu->index) : 0;
}

/* How many bits of priority this host has: it follows from CTLR, which is always there. */
static int priority_bits(struct vm *vm, const struct vcpu *vcpu, unsigned *bits, struct error *error)
{
	static const struct icc_register control = { .name = "CTLR", .encoding = ICC_CTLR_EL1 };
	uint64_t value;

	if (read_register(vm, vcpu, &control, &value, error) < 0)
		return -1;
	*bits = (unsigned)ICC_CTLR_PRIBITS(value);
	return 0;
}

static int reset_one(struct vm *vm, const struct vcpu *vcpu, struct error *error)
{
	unsigned bits;

	if (priority_bits(vm, vcpu, &bits, error) < 0)
		return -1;
	for (size_t i = 0; i < REGISTERS; i++) {
		const struct icc_register *reg = &icc_registers[i];
		uint64_t value = 0;

		if (reg->bits > bits)
			continue;
		if (reg->kept && read_register(vm, vcpu, reg, &value, error) < 0)
			return -1;
		if (write_register(vm, vcpu, reg, value & reg->kept, error) < 0)
			return -1;
	}
	return 0;
}

int gic_reset_cpu_interfaces(struct vm *vm, struct error *error)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (reset_one(vm, &vm->vcpus[i], error) < 0)
			return -1;
	return 0;
}

static int save_one(struct vm *vm, const struct vcpu *vcpu, struct section_writer *writer, struct error *error)
{
	char name[SECTION_NAME_LENGTH + 1];
	unsigned bits;

	if (priority_bits(vm, vcpu, &bits, error) < 0)
		return -1;
	snprintf(name, sizeof(name), SECTION_GIC_CPU_INTERFACE "%u", vcpu->index);
	section_begin(writer, name, 1, SECTION_MANDATORY);
	for (size_t i = 0; i < REGISTERS; i++) {
		uint64_t value;

		if (icc_registers[i].bits > bits)
			continue;
		if (read_register(vm, vcpu, &icc_registers[i], &value, error) < 0)
			return -1;
		field_add_number(&writer->buffer, icc_registers[i].name, value);
	}
	section_end(writer);
	return 0;
}

int gic_save_cpu_interfaces(struct vm *vm, struct section_writer *writer, struct error *error)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (save_one(vm, &vm->vcpus[i], writer, error) < 0)
			return -1;
	return 0;
}

/* More words of active priorities than this host has are harmless while they are zero. */
static int restore_missing(const struct section *section, const struct icc_register *reg, unsigned bits,
			   struct error *error)
{
	struct field field;

	if (!field_find(&section->fields, reg->name, &field) || (field.count == 1 && !field_element(&field, 0)))
		return 0;
	return error_set(error, EINVAL, "ICC_%s_EL1 is in use in the snapshot, but this host has %u bits of priority only",
			 reg->name, bits);
}

static int restore_one(struct vm *vm, const struct vcpu *vcpu, const struct section *section, struct error *error)
{
	unsigned bits;

	if (priority_bits(vm, vcpu, &bits, error) < 0)
		return -1;
	for (size_t i = 0; i < REGISTERS; i++) {
		const struct icc_register *reg = &icc_registers[i];
		uint64_t value = 0;

		if (reg->bits > bits) {
			if (restore_missing(section, reg, bits, error) < 0)
				return -1;
			continue;
		}
		/* A snapshot of a host with fewer bits has fewer words: none of those interrupts was active. */
		if (field_get_number(&section->fields, reg->name, &value, error) < 0 && !reg->bits)
			return -1;
		if (write_register(vm, vcpu, reg, value, error) < 0)
			return -1;
	}
	return 0;
}

int gic_restore_cpu_interfaces(struct vm *vm, struct sections *sections, struct error *error)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		char name[SECTION_NAME_LENGTH + 1];
		const struct section *section;

		snprintf(name, sizeof(name), SECTION_GIC_CPU_INTERFACE "%u", i);
		section = sections_need(sections, name, 1, error);
		if (!section)
			return -1;
		if (restore_one(vm, &vm->vcpus[i], section, error) < 0)
			return error_context(error, "%s", name);
	}
	return 0;
}
