/* SPDX-License-Identifier: MIT */
/*
 * vCPUs: one thread each, which is in KVM_RUN, handling an exit, or parked. A parked vCPU is outside
 * KVM_RUN with its last exit completed: KVM finishes a pending MMIO or PSCI exit at the next KVM_RUN, so
 * parking makes one with immediate_exit set (api.rst, "KVM_RUN"; kvm_run.immediate_exit).
 */
#ifndef LKVM_KVM_VCPU_H
#define LKVM_KVM_VCPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct vm;
struct kvm_run;

/* Counted by the vCPU's thread, read by any (relaxed). */
struct vcpu_counters {
	_Atomic uint64_t runs;      /* returns from KVM_RUN */
	_Atomic uint64_t mmio;      /* exits that the bus answered */
	_Atomic uint64_t unmapped;  /* MMIO exits that nobody answered */
	_Atomic uint64_t signals;   /* interrupted by a kick */
	_Atomic uint64_t other;
};

struct vcpu {
	struct vm *vm;
	unsigned index; /* KVM's vCPU id; MPIDR follows from it */
	int fd;
	struct kvm_run *run;
	size_t run_size;
	uint64_t mpidr; /* affinity fields, as in MPIDR_EL1; set by arm/vcpu_init.c */
	struct vcpu_counters counters;

	/* Private. */
	pthread_t thread;
	bool started;
};

/* KVM_CREATE_VCPU for all of vm->vcpu_count, in order of id. Does not initialise them: arm/vcpu_init.c does. */
int vcpus_open(struct vm *vm, struct error *error);
void vcpus_close(struct vm *vm);

/* Starts the threads, parked. To be called once, after every vCPU and the GIC are initialised. */
int vcpus_start(struct vm *vm, struct error *error);

/*
 * vcpus_pause returns once every vCPU is parked; vCPU and GIC ioctls are then allowed from any thread.
 * Neither nests: the one who pauses resumes. Both are harmless when there is nothing to do, but must not be
 * called by a vCPU thread.
 */
void vcpus_pause(struct vm *vm);
void vcpus_resume(struct vm *vm);

#endif
