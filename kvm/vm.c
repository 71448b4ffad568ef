/* SPDX-License-Identifier: MIT */
/* Creates a VM: descriptors and address bits. */
#include <errno.h>
#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kvm/dirty_log.h"
#include "kvm/kvm.h"
#include "kvm/vm.h"
#include "util/bits.h"
#include "util/io.h"

/*
 * Guest physical addresses: 40 bits are the default of KVM and of most guests. RAM uses at most the lower half, because 64-bit
 * PCI memory uses the upper half. Larger RAM gets more bits, if the host has them.
 */
static int choose_address_bits(const struct vm_config *config, unsigned limit, unsigned *bits,
			       struct error *error)
{
	uint64_t end = config->ram_base + config->ram_size;

	*bits = config->address_bits ? config->address_bits : MIN(limit, 40);
	while (!config->address_bits && *bits < limit && end > 1ull << (*bits - 1))
		(*bits)++;
	if (*bits > limit)
		return error_set(error, EINVAL, "%u bits of guest physical addresses are needed, this host has %u",
				 *bits, limit);
	if (end > 1ull << *bits)
		return error_set(error, EINVAL, "%llu MiB of memory are too much: this host's %u bits of guest physical addresses "
				 "allow %llu MiB", (unsigned long long)config->ram_size >> 20, limit,
				 ((1ull << limit) - config->ram_base) >> 20);
	return 0;
}

static int create(struct vm *vm, const struct vm_config *config, struct error *error)
{
	int limit;

	vm->kvm_fd = kvm_open(error);
	if (vm->kvm_fd < 0)
		return -1;
	limit = kvm_extension(vm->kvm_fd, KVM_CAP_ARM_VM_IPA_SIZE);
	if (choose_address_bits(config, limit ? (unsigned)limit : 40, &vm->address_bits, error) < 0)
		return -1;

	/* Type 0 means 40 bits. Hosts without the capability support nothing else. */
	vm->fd = kvm_call(vm->kvm_fd, KVM_CREATE_VM, limit ? KVM_VM_TYPE_ARM_IPA_SIZE(vm->address_bits) : 0);
	if (vm->fd < 0)
		return error_system(error, -vm->fd, "KVM_CREATE_VM with %u address bits", vm->address_bits);

	/*
	 * With this, an access that the processor does not describe (LDP to a device) exits to lkvm; vcpu.c injects an abort into
	 * the guest. On hosts without it, KVM_RUN fails with ENOSYS.
	 */
	struct kvm_enable_cap nisv = { .cap = KVM_CAP_ARM_NISV_TO_USER };

	kvm_call(vm->fd, KVM_ENABLE_CAP, (uintptr_t)&nisv);
	return 0;
}

int vm_open(struct vm *vm, const struct vm_config *config, struct error *error)
{
	*vm = (struct vm){
		.log = config->log,
		.kvm_fd = -1, .fd = -1, .gic_fd = -1, .its_fd = -1, .event_fd = -1,
		.vcpu_count = config->vcpu_count,
		.ram = config->ram,
	};
	pthread_mutex_init(&vm->lock, NULL);
	pthread_cond_init(&vm->changed, NULL);
	if (bus_open(&vm->bus, error) < 0) {
		vm->ram = (struct ram){ 0 };
		return -1;
	}

	vm->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->event_fd < 0) {
		error_system(error, errno, "an eventfd");
		goto fail;
	}
	if (create(vm, config, error) < 0 || interrupts_open(&vm->interrupts, vm->fd, error) < 0)
		goto fail;
	if (!vm->ram.host && ram_open(&vm->ram, config->ram_base, config->ram_size, error) < 0)
		goto fail;
	dirty_log_prepare(vm->fd);
	if (vm_add_memory(vm, &vm->ram, false, error) < 0 || vcpus_open(vm, error) < 0)
		goto fail;
	return 0;
fail:
	if (config->ram.host)
		vm->ram = (struct ram){ 0 }; /* belongs to the caller again */
	vm_close(vm);
	return -1;
}

void vm_close(struct vm *vm)
{
	vcpus_close(vm);
	fd_close(&vm->its_fd);
	fd_close(&vm->gic_fd);
	fd_close(&vm->fd);
	fd_close(&vm->kvm_fd);
	fd_close(&vm->event_fd);
	/* Close RAM after the VM's descriptor, so that KVM releases it first. */
	ram_close(&vm->ram);
	interrupts_close(&vm->interrupts);
	bus_close(&vm->bus);
	pthread_cond_destroy(&vm->changed);
	pthread_mutex_destroy(&vm->lock);
}
