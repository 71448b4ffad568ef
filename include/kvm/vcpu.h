/* SPDX-License-Identifier: MIT */
/*
 * vCPUs have one thread each. A thread is in KVM_RUN, handles an exit, or is parked. A parked vCPU is outside KVM_RUN and its
 * last exit is complete: KVM completes an MMIO or PSCI exit at the next KVM_RUN, so parking calls KVM_RUN with immediate_exit
 * set (api.rst, "KVM_RUN"; kvm_run.immediate_exit).
 */
#ifndef LKVM_KVM_VCPU_H
#define LKVM_KVM_VCPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct vm;
struct kvm_run;

/* The vCPU's thread counts; any thread may read (relaxed). */
struct vcpu_counters {
	_Atomic uint64_t runs;      /* returns from KVM_RUN */
	_Atomic uint64_t mmio;      /* MMIO exits */
	_Atomic uint64_t unmapped;  /* MMIO exits that no device claimed */
	_Atomic uint64_t signals;   /* interrupted by a kick */
	_Atomic uint64_t other;
};

struct vcpu {
	struct vm *vm;
	unsigned index; /* KVM's vCPU id, which determines MPIDR */
	int fd;
	struct kvm_run *run;
	size_t run_size;
	uint64_t mpidr; /* affinity fields, as in MPIDR_EL1; set by arm/vcpu_init.c */
	struct vcpu_counters counters;

	/* Private. */
	pthread_t thread;
	bool started;
};

/* Creates vm->vcpu_count vCPUs, in order of id. arm/vcpu_init.c initializes them. */
int vcpus_open(struct vm *vm, struct error *error);
void vcpus_close(struct vm *vm);

/* Starts the threads, parked. Call it once, after all vCPUs and the GIC are initialized. */
int vcpus_start(struct vm *vm, struct error *error);

/*
 * vcpus_pause() returns when all vCPUs are parked. Then any thread may make vCPU and GIC ioctls. The calls do not nest: the
 * caller that pauses also resumes. A second call of either does nothing. vCPU threads must not call them.
 */
void vcpus_pause(struct vm *vm);
void vcpus_resume(struct vm *vm);

#endif
