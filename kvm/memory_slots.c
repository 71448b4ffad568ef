/* SPDX-License-Identifier: MIT */
/* The memory slots of a VM. */
#include <linux/kvm.h>

#include "kvm/kvm.h"
#include "kvm/vm.h"

unsigned vm_alloc_slot(struct vm *vm)
{
	return vm->slots++;
}

int vm_set_memory(const struct vm *vm, unsigned slot, const struct ram *ram, uint32_t flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = ram->base,
		.memory_size = ram->size,
		.userspace_addr = (uintptr_t)ram->host,
	};

	return kvm_call(vm->fd, KVM_SET_USER_MEMORY_REGION, (uintptr_t)&region);
}

int vm_map_memory(struct vm *vm, unsigned slot, const struct ram *ram, struct error *error)
{
	int result = vm_set_memory(vm, slot, ram, 0);

	if (result < 0)
		return error_system(error, -result, "KVM_SET_USER_MEMORY_REGION of guest memory");
	return 0;
}

void vm_unmap_memory(struct vm *vm, unsigned slot)
{
	const struct ram none = { 0 };

	vm_set_memory(vm, slot, &none, 0);
}

int vm_add_memory(struct vm *vm, const struct ram *ram, bool read_only, struct error *error)
{
	int result = vm_set_memory(vm, vm->slots, ram, read_only ? KVM_MEM_READONLY : 0);

	if (result < 0)
		return error_system(error, -result, "KVM_SET_USER_MEMORY_REGION of guest memory");
	vm->slots++;
	return 0;
}
