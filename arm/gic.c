/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <libfdt.h>
#include <linux/kvm.h>
#include <stdio.h>

#include "lkvm/gic.h"
#include "lkvm/kvm.h"

/* Register frames reach 64 bits of attribute: the affinity of the redistributor above, the offset below. */
#define MPIDR_AFF(mpidr, n) (((mpidr) >> ((n) == 3 ? 32 : 8 * (n))) & 0xff)

/* Offsets that have a rule of their own. */
#define GICD_CTLR 0x0000
#define GICR_CTLR 0x0000
#define GICR_PROPBASER 0x0070
#define GICR_PENDBASER 0x0078

/*
 * State by interrupt. `bits` an interrupt: a distributor register starts bits * 4 bytes behind its offset, as
 * INTIDs 0-31 live in the redistributors. User space writes to the set registers: ISENABLER and ISACTIVER only
 * set bits, so all ones go to `clear` first; ISPENDR takes the whole word (arm-vgic-v3.rst).
 */
struct interrupt_register {
	const char *name;
	uint32_t distributor;   /* offset in the distributor, 0: only in redistributors */
	uint32_t redistributor; /* offset in the redistributor, 0: only in the distributor */
	uint32_t bits;
	uint32_t clear; /* added to the offset: the register that clears, 0: none */
	uint32_t reset; /* of a word in the distributor */
	uint32_t reset_private; /* of a word in a redistributor */
};

static const struct interrupt_register interrupt_registers[] = {
	{ "ISENABLER", 0x100, 0x10100, 1, 0x80, 0, 0xffff }, /* SGIs start enabled */
	{ "ISPENDR", 0x200, 0x10200, 1, 0, 0, 0 },
	{ "ISACTIVER", 0x300, 0x10300, 1, 0x80, 0, 0 },
	{ "IGROUPR", 0x080, 0x10080, 1, 0, 0xffffffff, 0xffffffff },
	{ "IPRIORITYR", 0x400, 0x10400, 8, 0, 0, 0 },
	{ "ICFGR", 0xc00, 0, 2, 0, 0xaaaaaaaa, 0 }, /* SPIs start edge-triggered; SGIs and PPIs are fixed */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int gic_open(struct vm *vm, const struct gic_layout *layout, struct error *error)
{
	/* Region 0 with one frame a vCPU: count in 63:52, base in 51:16, index in 11:0. */
	uint64_t region = (uint64_t)vm->vcpu_count << 52 | layout->redistributors;
	uint64_t distributor = layout->distributor;
	uint32_t interrupts = layout->interrupts;
	int result;

	vm->gic_fd = kvm_device_create(vm->fd, KVM_DEV_TYPE_ARM_VGIC_V3, "vGICv3", error);
	if (vm->gic_fd < 0)
		return -1;
	result = kvm_attribute_set(vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &distributor);
	if (result < 0)
		return error_system(error, -result, "placing the distributor at 0x%llx",
				    (unsigned long long)distributor);
	result = kvm_attribute_set(vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, &region);
	if (result < 0)
		return error_system(error, -result, "placing %u redistributors at 0x%llx", vm->vcpu_count,
				    (unsigned long long)layout->redistributors);
	result = kvm_attribute_set(vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &interrupts);
	if (result < 0)
		return error_system(error, -result, "setting the number of interrupts to %u", interrupts);
	return 0;
}

int gic_initialise(struct vm *vm, struct error *error)
{
	int result = kvm_attribute_set(vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);

	if (result < 0)
		return error_system(error, -result, "initialising the vGICv3");
	return 0;
}

static uint64_t affinity_attribute(uint64_t mpidr)
{
	return MPIDR_AFF(mpidr, 3) << 56 | MPIDR_AFF(mpidr, 2) << 48 | MPIDR_AFF(mpidr, 1) << 40 |
	       MPIDR_AFF(mpidr, 0) << 32;
}

static int write_distributor(struct vm *vm, const char *name, uint32_t offset, uint32_t value, struct error *error)
{
	int result = kvm_attribute_set(vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, offset, &value);

	if (result < 0)
		return error_system(error, -result, "GICD_%s at 0x%x", name, offset);
	return 0;
}

static int write_redistributor(struct vm *vm, const struct vcpu *vcpu, const char *name, uint32_t offset,
			       uint32_t value, struct error *error)
{
	int result = kvm_attribute_set(vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS,
				       affinity_attribute(vcpu->mpidr) | offset, &value);

	if (result < 0)
		return error_system(error, -result, "GICR_%s at 0x%x of vCPU %u", name, offset, vcpu->index);
	return 0;
}

int gic_reset_control(struct vm *vm, struct error *error)
{
	/* LPIs off first: writes to PROPBASER and PENDBASER are dropped while they are on. */
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (write_redistributor(vm, &vm->vcpus[i], "CTLR", GICR_CTLR, 0, error) < 0)
			return -1;
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		for (uint32_t half = 0; half <= 4; half += 4) /* 64-bit registers are written by halves */
			if (write_redistributor(vm, &vm->vcpus[i], "PROPBASER", GICR_PROPBASER + half, 0, error) < 0 ||
			    write_redistributor(vm, &vm->vcpus[i], "PENDBASER", GICR_PENDBASER + half, 0, error) < 0)
				return -1;
	return write_distributor(vm, "CTLR", GICD_CTLR, 0, error);
}

int gic_reset_redistributors(struct vm *vm, struct error *error)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		for (size_t r = 0; r < COUNT(interrupt_registers); r++) {
			const struct interrupt_register *reg = &interrupt_registers[r];

			if (!reg->redistributor)
				continue;
			for (uint32_t word = 0; word < reg->bits; word++) {
				uint32_t offset = reg->redistributor + 4 * word;

				if (reg->clear && write_redistributor(vm, &vm->vcpus[i], reg->name, offset + reg->clear,
								      0xffffffff, error) < 0)
					return -1;
				if (write_redistributor(vm, &vm->vcpus[i], reg->name, offset, reg->reset_private, error) < 0)
					return -1;
			}
		}
	}
	return 0;
}

int gic_reset_distributor(struct vm *vm, unsigned interrupts, struct error *error)
{
	for (size_t r = 0; r < COUNT(interrupt_registers); r++) {
		const struct interrupt_register *reg = &interrupt_registers[r];

		for (uint32_t word = reg->bits; word < reg->bits * interrupts / 32; word++) {
			uint32_t offset = reg->distributor + 4 * word;

			if (reg->clear &&
			    write_distributor(vm, reg->name, offset + reg->clear, 0xffffffff, error) < 0)
				return -1;
			if (write_distributor(vm, reg->name, offset, reg->reset, error) < 0)
				return -1;
		}
	}
	/* The upper halves of IROUTER are read-as-zero, write-ignored in KVM. */
	for (uint32_t interrupt = 32; interrupt < interrupts; interrupt++)
		if (write_distributor(vm, "IROUTER", 0x6000 + 8 * interrupt, 0, error) < 0)
			return -1;
	return 0;
}

/* The CPU interface's registers by their system register encodings: op0[15:14] op1[13:11] CRn[10:7] CRm[6:3] op2[2:0]. */
enum icc_register {
	ICC_PMR_EL1 = 0xc230,
	ICC_BPR0_EL1 = 0xc643,
	ICC_AP0R0_EL1 = 0xc644,
	ICC_AP1R0_EL1 = 0xc648,
	ICC_BPR1_EL1 = 0xc663,
	ICC_CTLR_EL1 = 0xc664,
	ICC_IGRPEN0_EL1 = 0xc666,
	ICC_IGRPEN1_EL1 = 0xc667,
};

#define ICC_CTLR_CBPR 1ull
#define ICC_CTLR_EOIMODE 2ull
#define ICC_CTLR_PRIBITS(ctlr) (((ctlr) >> 8 & 7) + 1)

static int write_icc(struct vm *vm, const struct vcpu *vcpu, unsigned encoding, uint64_t value, struct error *error)
{
	int result = kvm_attribute_set(vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS,
				       affinity_attribute(vcpu->mpidr) | encoding, &value);

	if (result < 0)
		return error_system(error, -result, "CPU interface register 0x%x of vCPU %u", encoding, vcpu->index);
	return 0;
}

static int reset_cpu_interface(struct vm *vm, const struct vcpu *vcpu, struct error *error)
{
	static const enum icc_register zero[] = {
		ICC_PMR_EL1, ICC_BPR0_EL1, ICC_BPR1_EL1, ICC_IGRPEN0_EL1, ICC_IGRPEN1_EL1,
	};
	uint64_t control;
	int result = kvm_attribute_get(vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS,
				       affinity_attribute(vcpu->mpidr) | ICC_CTLR_EL1, &control);

	if (result < 0)
		return error_system(error, -result, "ICC_CTLR_EL1 of vCPU %u", vcpu->index);

	/* CTLR before BPR1, which is ignored while CBPR is set. Its other fields describe the host. */
	if (write_icc(vm, vcpu, ICC_CTLR_EL1, control & ~(ICC_CTLR_CBPR | ICC_CTLR_EOIMODE), error) < 0)
		return -1;
	for (size_t i = 0; i < COUNT(zero); i++)
		if (write_icc(vm, vcpu, zero[i], 0, error) < 0)
			return -1;

	/* One word of active priorities for 5 bits of priority, two for 6, four for 7. */
	unsigned words = ICC_CTLR_PRIBITS(control) >= 7 ? 4 : ICC_CTLR_PRIBITS(control) == 6 ? 2 : 1;

	for (unsigned word = 0; word < words; word++)
		if (write_icc(vm, vcpu, ICC_AP0R0_EL1 + word, 0, error) < 0 ||
		    write_icc(vm, vcpu, ICC_AP1R0_EL1 + word, 0, error) < 0)
			return -1;
	return 0;
}

int gic_reset_cpu_interfaces(struct vm *vm, struct error *error)
{
	/* KVM_ARM_VCPU_INIT leaves the CPU interface as it is, so that a reset must do this. */
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (reset_cpu_interface(vm, &vm->vcpus[i], error) < 0)
			return -1;
	return 0;
}

int gic_fdt_begin(void *fdt, const struct vm *vm, const struct gic_layout *layout, uint32_t phandle)
{
	const fdt64_t reg[] = {
		cpu_to_fdt64(layout->distributor), cpu_to_fdt64(GIC_DISTRIBUTOR_SIZE),
		cpu_to_fdt64(layout->redistributors), cpu_to_fdt64(GIC_REDISTRIBUTOR_SIZE * vm->vcpu_count),
	};
	char name[32];
	int result;

	snprintf(name, sizeof(name), "interrupt-controller@%llx", (unsigned long long)layout->distributor);
	result = fdt_begin_node(fdt, name);
	result = result ? result : fdt_property_string(fdt, "compatible", "arm,gic-v3");
	result = result ? result : fdt_property(fdt, "interrupt-controller", NULL, 0);
	result = result ? result : fdt_property_u32(fdt, "#interrupt-cells", 3);
	result = result ? result : fdt_property(fdt, "reg", reg, sizeof(reg));
	result = result ? result : fdt_property_u32(fdt, "#address-cells", 2);
	result = result ? result : fdt_property_u32(fdt, "#size-cells", 2);
	result = result ? result : fdt_property(fdt, "ranges", NULL, 0);
	return result ? result : fdt_property_u32(fdt, "phandle", phandle);
}
