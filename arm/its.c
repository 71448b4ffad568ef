/* SPDX-License-Identifier: MIT */
#include <libfdt.h>
#include <linux/kvm.h>
#include <stdio.h>

#include "lkvm/its.h"
#include "lkvm/kvm.h"

int its_open(struct vm *vm, uint64_t base, struct error *error)
{
	int result;

	vm->its_fd = kvm_device_create(vm->fd, KVM_DEV_TYPE_ARM_VGIC_ITS, "ITS", error);
	if (vm->its_fd < 0)
		return -1;
	result = kvm_attribute_set(vm->its_fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE, &base);
	if (result < 0)
		return error_system(error, -result, "placing the ITS at 0x%llx", (unsigned long long)base);
	result = kvm_attribute_set(vm->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	if (result < 0)
		return error_system(error, -result, "initialising the ITS");
	return 0;
}

int its_reset(struct vm *vm, struct error *error)
{
	int result = kvm_attribute_set(vm->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_ITS_CTRL_RESET, NULL);

	if (result < 0)
		return error_system(error, -result, "KVM_DEV_ARM_ITS_CTRL_RESET");
	return 0;
}

int its_fdt(void *fdt, uint64_t base, uint32_t phandle)
{
	const fdt64_t reg[] = { cpu_to_fdt64(base), cpu_to_fdt64(ITS_SIZE) };
	char name[32];
	int result;

	snprintf(name, sizeof(name), "msi-controller@%llx", (unsigned long long)base);
	result = fdt_begin_node(fdt, name);
	result = result ? result : fdt_property_string(fdt, "compatible", "arm,gic-v3-its");
	result = result ? result : fdt_property(fdt, "msi-controller", NULL, 0);
	result = result ? result : fdt_property_u32(fdt, "#msi-cells", 1);
	result = result ? result : fdt_property(fdt, "reg", reg, sizeof(reg));
	result = result ? result : fdt_property_u32(fdt, "phandle", phandle);
	return result ? result : fdt_end_node(fdt);
}
