/* SPDX-License-Identifier: MIT */
/*
 * KVM's view of a virtual machine: RAM, vCPUs, the bus, interrupts, and the descriptors of the in-kernel GIC and ITS. The
 * folders above (arm/, hw/, virtio/) attach devices to it; machine/components.c lists them.
 */
#ifndef LKVM_KVM_VM_H
#define LKVM_KVM_VM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kvm/bus.h"
#include "kvm/event.h"
#include "kvm/interrupts.h"
#include "kvm/vcpu.h"
#include "memory/ram.h"
#include "util/err.h"
#include "util/log.h"

struct vm {
	const struct log *log; /* from the configuration; may be NULL */
	int kvm_fd;
	int fd;
	int gic_fd; /* the vGICv3 KVM device; -1 until gic_open() */
	int its_fd; /* the ITS KVM device; -1 if there is none */
	unsigned address_bits; /* of guest physical addresses (IPA size) */
	struct ram ram;
	unsigned slots; /* memory slots in use */
	struct bus bus;
	struct interrupts interrupts;

	unsigned vcpu_count;
	struct vcpu *vcpus;

	/* Parking; see vcpu.h. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool pause_wanted;
	bool stop_wanted;
	unsigned parked; /* vCPU threads parked now */

	struct vm_event event;
	int event_fd; /* readable while an event waits */
};

struct vm_config {
	const struct log *log;
	uint64_t ram_base;
	uint64_t ram_size;
	struct ram ram; /* closed: vm_open() makes zeroed memory; open: vm_open() takes it over, but not after a failure */
	unsigned vcpu_count;
	unsigned address_bits; /* 0: the smallest number that holds RAM, and at least 40 if the host allows it */
};

/* Opens KVM, the VM, RAM as memory slot 0, and the bus. Closes everything after a failure. */
int vm_open(struct vm *vm, const struct vm_config *config, struct error *error);

/*
 * Gives the guest memory that is not RAM, in a slot of its own. `ram` belongs to the caller and must stay open while vCPUs run.
 * A guest's write to read-only memory reaches the bus as an access that no device claims.
 */
int vm_add_memory(struct vm *vm, const struct ram *ram, bool read_only, struct error *error);

/* KVM_SET_USER_MEMORY_REGION of a slot, with KVM_MEM_ flags; `ram` of size 0 removes the slot. 0 or -errno. */
int vm_set_memory(const struct vm *vm, unsigned slot, const struct ram *ram, uint32_t flags);

/*
 * Memory that is mapped and unmapped while vCPUs run, as a device's BAR is. vm_alloc_slot() reserves a slot for ever, while the
 * machine is made. Any thread may map and unmap. Once vm_unmap_memory() returns, accesses reach the bus.
 */
unsigned vm_alloc_slot(struct vm *vm);
int vm_map_memory(struct vm *vm, unsigned slot, const struct ram *memory, struct error *error);
void vm_unmap_memory(struct vm *vm, unsigned slot);

/* Ends the vCPU threads and closes everything, also after a vm_open() that failed half-way. */
void vm_close(struct vm *vm);

#endif
