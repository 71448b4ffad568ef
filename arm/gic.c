/* SPDX-License-Identifier: MIT */
/* Creates the vGICv3 and its node of the device tree. */
#include <errno.h>
#include <libfdt.h>
#include <linux/kvm.h>
#include <stdio.h>

#include "arm/gic.h"
#include "kvm/kvm.h"

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

int gic_save_pending_tables(struct vm *vm, struct error *error)
{
	int result = kvm_attribute_set(vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES, NULL);

	return result < 0 ? error_system(error, -result, "KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES") : 0;
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
