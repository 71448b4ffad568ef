/* SPDX-License-Identifier: MIT */
/*
 * A virtual machine as KVM sees it: RAM, vCPUs, the bus, interrupts and the descriptors of the in-kernel
 * GIC and ITS. Everything above (arm/, hw/, virtio/) hangs its devices off this; machine/components.c says which.
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
	int gic_fd; /* the vGICv3 KVM device; -1 until arm/gic.c made it */
	int its_fd; /* the ITS KVM device; -1 where there is none */
	unsigned address_bits; /* of guest physical addresses (IPA size) */
	struct ram ram;
	unsigned slots; /* of memory that KVM was given */
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
	int event_fd; /* readable once an event waits */
};

struct vm_config {
	const struct log *log;
	uint64_t ram_base;
	uint64_t ram_size;
	struct ram ram; /* closed: zeroed memory is made; open: it is moved, and after a failure the caller's again */
	unsigned vcpu_count;
	unsigned address_bits; /* 0: the smallest that holds RAM, at least 40 where the host allows */
};

/* Opens KVM, the VM, its RAM as memory slot 0 and the bus. On failure everything is closed again. */
int vm_open(struct vm *vm, const struct vm_config *config, struct error *error);

/*
 * Gives the guest other memory than RAM, in a slot of its own: `ram` stays the caller's, open as long as vCPUs run. What a
 * guest writes to one that is read-only comes to the bus as an access that nobody claims.
 */
int vm_add_memory(struct vm *vm, const struct ram *ram, bool read_only, struct error *error);

/*
 * Memory that comes and goes while vCPUs run, as a device's does: a slot for good, taken while the machine is made; then
 * what is in it, by any thread. Hidden, accesses come to the bus again when vm_unmap_memory() returns.
 */
unsigned vm_alloc_slot(struct vm *vm);
int vm_map_memory(struct vm *vm, unsigned slot, const struct ram *memory, struct error *error);
void vm_unmap_memory(struct vm *vm, unsigned slot);

/* Ends the vCPU threads and closes everything. Works on a half-open VM that vm_open() began. */
void vm_close(struct vm *vm);

#endif
