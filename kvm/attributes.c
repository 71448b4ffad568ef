/* SPDX-License-Identifier: MIT */
/* Wrappers of common KVM ioctls: capabilities, devices, attributes, registers. */
#include <linux/kvm.h>

#include "kvm/kvm.h"

int kvm_extension(int fd, long capability)
{
	int result = kvm_call(fd, KVM_CHECK_EXTENSION, (uintptr_t)capability);

	return result < 0 ? 0 : result;
}

int kvm_device_create(int vm_fd, uint32_t type, const char *what, struct error *error)
{
	struct kvm_create_device create = { .type = type };
	int result = kvm_call(vm_fd, KVM_CREATE_DEVICE, (uintptr_t)&create);

	if (result < 0)
		return error_system(error, -result, "KVM_CREATE_DEVICE of the %s", what);
	return (int)create.fd;
}

static int attribute(int fd, unsigned long request, uint32_t group, uint64_t name, const void *value)
{
	struct kvm_device_attr attr = {
		.group = group,
		.attr = name,
		.addr = (uintptr_t)value,
	};

	return kvm_call(fd, request, (uintptr_t)&attr);
}

int kvm_attribute_set(int fd, uint32_t group, uint64_t name, const void *value)
{
	return attribute(fd, KVM_SET_DEVICE_ATTR, group, name, value);
}

int kvm_attribute_get(int fd, uint32_t group, uint64_t name, void *value)
{
	return attribute(fd, KVM_GET_DEVICE_ATTR, group, name, value);
}

bool kvm_attribute_exists(int fd, uint32_t group, uint64_t name)
{
	return attribute(fd, KVM_HAS_DEVICE_ATTR, group, name, NULL) == 0;
}

int kvm_register_get(int vcpu_fd, uint64_t id, void *value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return kvm_call(vcpu_fd, KVM_GET_ONE_REG, (uintptr_t)&reg);
}

int kvm_register_set(int vcpu_fd, uint64_t id, const void *value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return kvm_call(vcpu_fd, KVM_SET_ONE_REG, (uintptr_t)&reg);
}
